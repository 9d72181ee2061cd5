"""Runs side by side, in numbers and in a picture: `minigan compare`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minigan.gans.protocol import can_be_drawn
from minigan.run import plots, settings
from minigan.run.errors import UsageError
from minigan.run.evaluation import measured
from minigan.run.setting import Setting
from minigan.run.table import Evaluation, cell

ROWS, COLUMNS, POINTS = 8, 4, 1000  # images of one run in the picture, or points
GAP = 12  # pixels between two runs


def compare(
    paths: Sequence[str],
    *,
    n: int | None = None,
    seed: int | None = None,
    out: str | None = None,
    as_json: bool = False,
) -> str:
    """Measure several runs on the same real examples, with as many samples each.

    Args:
        paths: the runs' directories, two or more, trained on the same data.
        n, seed: of the samples; by default as in `minigan evaluate`, the seed of the first run for all.
        out: FILE.png for the picture; by default compare.png here, or compare-2.png and so on where there is one.
        as_json: return the evaluations as a JSON list instead of the table.

    Returns:
        What to tell on stdout.

    Raises:
        UsageError: fewer than two runs, runs on different data, a file that cannot be written. Others: as `evaluate`.
    """
    if len(paths) < 2:
        raise UsageError(
            f"compare: got {len(paths)} run, expected two or more; of one run: minigan evaluate {' '.join(paths)}"
        )
    target = _target(out)
    found: list[tuple[Evaluation, Setting]] = []
    for path in paths:
        first = found[0][1] if found else None
        found.append(measured(path, n=n, seed=first.seed if first and seed is None else seed, beside=first))
    tables, shown = [table for table, _ in found], _picture(found)
    if shown is not None:
        plots.save_picture(target, shown)
    if as_json:
        return json.dumps([json.loads(each.as_json()) for each in tables], indent=2)
    return side_by_side(tables) + ("" if shown is None else f"\n\n{target}: real examples, then each run's samples")


def side_by_side(tables: Sequence[Evaluation]) -> str:
    """One line for each number, one column for each run."""
    first = tables[0]
    heads = [f"{Path(each.run).name} ({each.model}, step {each.checkpoints['last']['step']})" for each in tables]
    lines = [f"{first.data}; {first.n} samples each, seed {first.seed}"]
    if first.judge:
        lines.append(f"judge {first.judge['sha256'][:12]} of {first.judge['record']['data']}")
    rows: list[tuple[object, ...]] = [("metric", "better", *heads, "floor", "real")]
    for name in dict.fromkeys(row.name for each in tables for row in each.rows):
        entries = [next((row for row in each.rows if row.name == name), None) for each in tables]
        some = next(row for row in entries if row)
        values = [cell(row.values.get("last") if row else None) for row in entries]
        rows.append(
            (name, some.better or "-", *values, cell(some.floor), cell(None if some.better == "lower" else some.real))
        )
    met = [f"{sum(c.met for c in each.checks['last'])} of {len(each.checks['last'])}" for each in tables]
    rows.append(("own checks met", "-", *met, "-", "-"))
    return "\n".join([*lines, "", settings.table(rows, indent="")])


# -- the picture -----------------------------------------------------------------------------------------------------
def _picture(found: Sequence[tuple[Evaluation, Setting]]) -> np.ndarray | None:
    """Real examples and the samples of each run beside each other, each under its name; None where nothing can be drawn."""
    drawn = [(Path(table.run).name, setting.drawn["last"]) for table, setting in found if "last" in setting.drawn]
    if not drawn or not can_be_drawn(real := found[0][1].real.examples):
        return None
    artist = plots.painter_of(real, found[0][1].set)
    count = ROWS * COLUMNS if real.ndim == 4 else POINTS
    columns = []
    for name, examples in [("real", real), *drawn]:
        picture = artist.frame(artist.picture(examples[:count], name, COLUMNS), name)
        columns += [_rgb(picture), np.full((len(picture), GAP, 3), 255, np.uint8)]
    return np.concatenate(columns[:-1], axis=1)


def _rgb(picture: np.ndarray) -> np.ndarray:
    picture = picture[..., None] if picture.ndim == 2 else picture
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def _target(out: str | None) -> Path:
    if out is None:
        names = (Path("compare.png" if k == 1 else f"compare-{k}.png") for k in range(1, 10**6))
        return next(name for name in names if not name.exists())
    target = Path(out)
    other = target.exists() and not target.is_file()
    if target.suffix.lower() != ".png" or other or not target.parent.is_dir():
        raise UsageError(
            f"--out: got {out!r}, expected a file name that ends in .png, in a folder that exists, where there is nothing yet, "
            "or a regular file"
        )
    return target
