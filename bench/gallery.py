"""The pictures and the numbers of the gallery page: each model trained with its defaults, as a user would, and evaluated.

    python bench/gallery.py --folder RUNS [--models vae toy] [--seconds 240] [--again]

For each model of `minigan models` that has no entry of its present code: `minigan train NAME`, `minigan evaluate`, then the
picture in which the model's point is seen, made small, as `lessons/gallery/NAME.png`, and an entry in
`lessons/gallery/gallery.json`: checks with value and target, steps, CPU seconds of training and evaluation (all threads),
machine, date, and the fingerprint of the code (see `minigan.lessons.gallery`), by which the page tells an entry of an earlier
version.

Runs lie in RUNS, one for each model and fingerprint, and go on where they stopped: after about `--seconds` a run is told to save
and stop, and the next call resumes it. A model that fails is recorded with its exit code and its last words, and the others go
on; it is not tried again unless its code changes, or with `--again`, which makes the entries of `--models` anew. The exit code is
1 if any model failed."""

from __future__ import annotations

import argparse
import datetime
import io
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image
from step_time import cores, cpu_model

from minigan import gans
from minigan.gans.protocol import ModelError
from minigan.lessons import gallery

PLACE = Path(__file__).parent.parent / "lessons" / gallery.FOLDER
LARGEST = 40_000  # bytes of a picture
WIDTHS = (640, 520, 440, 360, 300, 240, 180)  # pixels, tried in this order, with all colours, then with few
COLOURS = 64
POINT = (
    "reconstructions",
    "scores",
    "styles",
    "told",
    "directions",
    "log_ratio",
    "parts",
    "crossed",
    "chances",
    "film",
)  # in which the point is seen, before samples
MAIN = "samples"
SAVED = {130, 143, -signal.SIGTERM}  # exit codes of a command that was told to stop; of a run after a checkpoint
LEFT = "cpu_seconds.json"  # in a run's folder: what the calls so far took


class Stopped(Exception):  # noqa: N818 - no error: the time is over
    """The time is over; the run is saved."""


class Failed(Exception):  # noqa: N818 - it says what became of a run
    """A command of minigan failed: its exit code and its last words."""


def call(words: list[str], seconds: float) -> float:
    """Carry out a command of minigan; returns its CPU seconds.

    Raises:
        Stopped: the time was over, and it saved. Failed: another exit code than 0.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [sys.executable, "-m", "minigan", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _, said = process.communicate(timeout=max(1.0, seconds))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        process.communicate()
        raise
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode in SAVED:
        raise Stopped(taken)
    if process.returncode:
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        raise Failed(f"minigan {' '.join(words[:1])}: exit code {process.returncode}: {' '.join(last)}")
    return taken


def made(name: str, runs: Path, until: float) -> dict[str, Any]:
    """The entry of a model, whose picture is written; trains what is left of its run.

    Raises:
        Stopped, Failed: see :func:`call`.
    """
    mark = gallery.fingerprint(gans.get(name))
    folder = runs / f"{name}-{mark[:8]}"
    taken = _timed(folder, ["resume", str(folder)] if folder.is_dir() else ["train", name, "--out", str(folder)], until)
    taken = _timed(folder, ["evaluate", str(folder)], until)
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    drawn = picture(folder / "samples")
    entry = {
        "command": f"minigan train {name}", "data": evaluation["data"], "steps": status["step"],
        "cpu_seconds": round(taken, 1), "machine": f"{cpu_model()}, {cores()} cores",
        "date": datetime.date.today().isoformat(), "fingerprint": mark,
        "checks": [
            {key: check[key] for key in ("name", "value", "target", "met")} for check in evaluation["checks"].get("last", [])
        ],
    }  # fmt: skip
    if drawn is not None:
        (PLACE / f"{name}.png").write_bytes(small(drawn[1]))
        entry["picture"] = drawn[0]
    return entry


def _timed(folder: Path, words: list[str], until: float) -> float:
    """Carry out a command about a run, and add what it took to what its calls took before; returns the sum."""
    taken = 0.0
    before = json.loads((folder / LEFT).read_text(encoding="utf-8")) if (folder / LEFT).is_file() else 0.0
    try:
        taken = call(words, until - time.monotonic())
    except Stopped as stopped:
        taken = float(stopped.args[0])
        raise
    finally:
        if folder.is_dir():
            (folder / LEFT).write_text(json.dumps(before + taken), encoding="utf-8")
    return before + taken


def picture(samples: Path) -> tuple[str, Path] | None:
    """(name, file) of the last picture in which the model's point is seen; None where there is none."""
    for name in POINT:
        if (samples / f"{name}-final.png").is_file():
            return name, samples / f"{name}-final.png"
    return (MAIN, samples / "final.png") if (samples / "final.png").is_file() else None


def small(path: Path) -> bytes:
    """A picture as a PNG of at most LARGEST bytes: as wide as fits, with few colours only where that is not enough."""
    with Image.open(path) as opened:
        full = opened.convert("L") if opened.mode in ("L", "1") or is_grey(opened) else opened.convert("RGB")
    for width in WIDTHS:
        size = (min(width, full.width), round(full.height * min(width, full.width) / full.width))
        fitted = full if size == full.size else full.resize(size, Image.Resampling.LANCZOS)
        for image in (fitted, fitted.quantize(COLOURS)):
            file = io.BytesIO()
            image.save(file, format="PNG", optimize=True)
            if len(file.getvalue()) <= LARGEST:
                return file.getvalue()
    raise ValueError(f"{path}: even {WIDTHS[-1]} pixels wide it takes more than {LARGEST} bytes")


def is_grey(image: Image.Image) -> bool:
    """Whether the three channels are equal everywhere."""
    red, green, blue = image.convert("RGB").split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


def numbers(checks: list[dict[str, Any]]) -> str:
    """The checks of a model in a line; a value that is not finite is null in an evaluation."""
    cells = [f"{c['name']} {'-' if c['value'] is None else format(c['value'], '.4g')} ({c['target']})" for c in checks]
    return ", ".join(cells) or "no checks of its own"


def store(name: str, entry: dict[str, Any]) -> None:
    """Add an entry to the table, in one stroke: whoever reads it meanwhile finds the old one or the new one."""
    runs = {**gallery.table(PLACE), name: entry}
    text = json.dumps({key: runs[key] for key in gans.MODELS if key in runs}, indent=1, ensure_ascii=False)
    part = PLACE / f".{gallery.TABLE}.part"
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(PLACE / gallery.TABLE)


def main() -> int:
    """Make what is missing, as far as the time goes; returns the exit code."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    asked.add_argument("--folder", required=True, type=Path, metavar="RUNS", help="where the runs lie")
    asked.add_argument("--models", nargs="+", choices=gans.MODELS, default=list(gans.MODELS), metavar="NAME")
    asked.add_argument("--seconds", type=float, default=float("inf"), metavar="S", help="end after about so long")
    asked.add_argument("--again", action="store_true", help="make the entries anew, those that failed too")
    args = asked.parse_args()
    until = time.monotonic() + args.seconds
    PLACE.mkdir(exist_ok=True)
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in args.models:
        mark = gallery.fingerprint(gans.get(name))
        if args.again:
            shutil.rmtree(args.folder / f"{name}-{mark[:8]}", ignore_errors=True)
        elif gallery.table(PLACE).get(name, {}).get("fingerprint") == mark:
            print(f"{name}: is there")
            continue
        if time.monotonic() > until:
            print(f"{name}: no time left")
            continue
        try:
            entry = made(name, args.folder, until)
        except Stopped:
            print(f"{name}: saved, and to be resumed by the next call", flush=True)
            continue
        except (Failed, OSError, ValueError, KeyError, ModelError) as error:
            told = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
            entry = {"failed": told, "fingerprint": mark}
        store(name, entry)
        print(f"{name}: {entry.get('failed') or numbers(entry['checks'])}", flush=True)
    return int(any("failed" in entry for entry in gallery.table(PLACE).values()))


if __name__ == "__main__":
    sys.exit(main())
