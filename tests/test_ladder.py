"""Every rung of the ladders of `bench/ladder` makes what the reference says, at odd sizes."""

import itertools
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "bench" / "ladder"
sys.path.insert(0, str(FOLDER))

from measuring import KINDS, checked, operands, rungs  # noqa: E402

from minigan.kernels.cpu.gemm_microkernel import WIDTH  # noqa: E402

# Not less than two tiles of rows for each of two threads, nor than a tile's width; no multiple of anything.
SMALL = {"product": (37, 133, 4 * WIDTH + 3), "convolution": (9, 9, 5, 3, WIDTH + 3)}
RUNGS = {kind: sorted(path.stem for path in FOLDER.glob(f"{kind}_*.py")) for kind in KINDS}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in RUNGS[kind]])
def test_a_rung_is_right(kind: str, name: str) -> None:
    left, right, want, _ = operands(kind, SMALL[kind])
    rung = next(module for module in rungs(kind) if module.__name__ == name)
    checked(rung, left, right, want)


def test_each_rung_says_what_it_does_and_why_there_is_a_next_one() -> None:
    for kind in KINDS:
        modules = rungs(kind)
        assert [module.__name__ for module in modules] == RUNGS[kind]
        for module, following in itertools.pairwise(modules):
            assert f"`{following.__name__}.py`" in module.__doc__, (
                f"{module.__name__}: name the next rung, and the reason"
            )
        assert all(len(Path(module.__file__).read_text().splitlines()) <= 80 for module in modules)
