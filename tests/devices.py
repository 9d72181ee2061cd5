"""The devices that a test runs on: the CPU always; a GPU (mark `gpu`), which is an emulated one where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from minigan.backend import to_device
from minigan.kernels import reference as _reference  # which states all kernels
from minigan.kernels.kernel import KERNELS

assert _reference

each_device = pytest.mark.parametrize("device", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])


def placed(arrays: Sequence[Any], device: str) -> list[Any]:
    """The arrays on `device`; on the CPU they are the same objects."""
    return [to_device(a, device) for a in arrays]


class Kernels:
    """All kernels by their names, as one place has them, wherever the arrays live: "cpu", "gpu", or the reference itself."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __getattr__(self, name: str) -> Any:
        return KERNELS[name].reference if self.place == "reference" else KERNELS[name].of(self.place)


SPECIFICATION, CPU = Kernels("reference"), Kernels("cpu")


def emulated() -> bool:
    """Whether the GPU of these tests is the emulated one."""
    return "emulated" in getattr(sys.modules.get("cupy"), "__version__", "")


@pytest.fixture
def race_free() -> Iterator[None]:
    """On the emulated GPU, every kernel runs with its threads in two orders, and must leave the same bits."""
    if not emulated():
        yield
        return
    from emulated.host import racecheck

    with racecheck():
        yield


@pytest.fixture
def few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grids of at most 7 blocks, so that arrays of a few thousand elements make kernels walk their strides."""
    from minigan.kernels.gpu import launch

    monkeypatch.setattr(launch, "MAX_BLOCKS", 7)
