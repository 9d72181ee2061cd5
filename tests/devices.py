"""The devices that a test runs on: the CPU always, a GPU (mark `gpu`) where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from minigan.backend import to_device

each_device = pytest.mark.parametrize("device", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])


def placed(arrays: Sequence[Any], device: str) -> list[Any]:
    """The arrays on `device`; on the CPU they are the same objects."""
    return [to_device(a, device) for a in arrays]
