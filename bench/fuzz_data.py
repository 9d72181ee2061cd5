"""Fuzz the readers of data: damaged files must end in a Dataset, or in a DataError that names the file, and nothing else.

    python bench/fuzz_data.py --seconds 240 [--seed 0]

Each round takes a good or a broken file of `tests/corpus.py`, changes, cuts, doubles or inserts bytes that Hypothesis draws, and
loads it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import corpus
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from minigan.data import DataError, load

GOOD = {
    "a.npy": corpus.npy(corpus.BYTES),
    "a.npz": corpus.packed(("x_train.npy", corpus.npy(corpus.BYTES)), ("y_train.npy", corpus.npy(np.arange(6)))),
    "a.zip": corpus.packed(("c/a.png", corpus.png()), ("d/b.jpg", corpus.png(corpus.BYTES[1], "JPEG"))),
    "a.csv": b"a,b,label\n1,2,0\n3.5,-4e3,1\n",
    "data_batch_1.bin": corpus.CIFAR,
    "a.tar.gz": corpus.tar(("c/data_batch_1.bin", corpus.CIFAR)),
    "x-images-idx3-ubyte": corpus.idx((6, 8, 8), corpus.IMAGES.tobytes()),
    **{f"d/c.{form.lower()}": corpus.png(form=form) for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")},
}
FILES = {
    **GOOD,
    **{f"{name}#{case}": body for case, (name, body, _) in corpus.CASES.items() if isinstance(body, bytes)},
}
EDITS = st.lists(
    st.tuples(st.sampled_from(["set", "cut", "double", "insert"]), st.floats(0, 1), st.binary(min_size=1, max_size=8)),
    min_size=1, max_size=6,
)  # fmt: skip


def damaged(body: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    for what, place, new in edits:
        at = int(place * len(body))
        if what == "set":
            body = body[:at] + new + body[at + len(new) :]
        elif what == "cut":
            body = body[:at]
        elif what == "double":
            body = body[:at] + body[at // 2 :]
        else:
            body = body[:at] + new + body[at:]
    return body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    outcomes: Counter[str] = Counter()
    began, number = time.monotonic(), args.seed
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINIGAN_CACHE"] = f"{folder}/cache"
        while time.monotonic() - began < args.seconds:
            _round(Path(folder), number, outcomes)
            number += 1
    total, kinds = sum(outcomes.values()), sorted(outcomes)
    print(f"{total:,} files in {time.monotonic() - began:.0f} s, seeds {args.seed}..{number - 1}, nothing but these:")
    for kind in kinds:
        print(f"  {outcomes[kind]:>8,}  {kind}")


def _round(folder: Path, number: int, outcomes: Counter[str]) -> None:
    @seed(number)
    @settings(
        max_examples=300, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(name=st.sampled_from(sorted(FILES)), edits=EDITS, lazy=st.booleans())
    def one(name: str, edits: list[tuple[str, float, bytes]], lazy: bool) -> None:
        body, file = damaged(FILES[name], edits), folder / name.split("#")[0]
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(body)
        path = file
        if file.parent != folder:  # a picture among good ones
            path = file.parent
            for k in range(2):
                (path / f"{k}.png").write_bytes(corpus.png(corpus.BYTES[k]))
        try:
            found = load(str(path), lazy=lazy)
        except DataError as error:
            assert path.name in str(error), f"the message does not name {path.name}: {error}"
            outcomes[f"refused: {file.suffix or file.name}"] += 1
            return
        finally:
            file.unlink()
        assert np.isfinite(np.asarray(found.x)).all() and found.summary()
        outcomes[f"read:    {file.suffix or file.name}"] += 1

    one()


if __name__ == "__main__":
    main()
