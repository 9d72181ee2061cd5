"""Whether a run still has numbers: NaN and Inf in losses, weights and running statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minigan import nn
from minigan.backend import array_module


def not_finite(numbers: Mapping[str, float], modules: Mapping[str, nn.Module]) -> str:
    """What is NaN or Inf, the losses before the networks; empty when nothing is."""
    bad = [f"the {name} loss" for name, value in numbers.items() if not math.isfinite(value)]
    return bad[0] if bad else next(_tensors_not_finite(modules), "")


def _tensors_not_finite(modules: Mapping[str, nn.Module]) -> Any:
    for name, module in modules.items():
        for path, tensor in module.tensors().items():
            xp = array_module(tensor.data)
            # A sum is quick to look at; where large finite numbers overflow it, each number is looked at.
            if not bool(xp.isfinite(tensor.data.sum())) and not bool(xp.isfinite(tensor.data).all()):
                yield f"{name}/{path}"
