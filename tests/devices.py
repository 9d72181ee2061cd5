"""The devices that a test runs on: the CPU always; a GPU (mark `gpu`), which is an emulated one where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from minigan.backend import to_device

each_device = pytest.mark.parametrize("device", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])


def placed(arrays: Sequence[Any], device: str) -> list[Any]:
    """The arrays on `device`; on the CPU they are the same objects."""
    return [to_device(a, device) for a in arrays]


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
    from minigan.kernels.gpu import fused as gpu_fused
    from minigan.kernels.gpu import launch as gpu_launch

    monkeypatch.setattr(gpu_launch, "MAX_BLOCKS", 7)
    monkeypatch.setattr(gpu_fused, "MAX_BLOCKS", 7)
