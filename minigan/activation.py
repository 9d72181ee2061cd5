"""An activation as one value, made and checked once, where a layer or a call names it; operations and kernels take it as it is.

    linear      f(z) = z                          relu     f(z) = max(z, 0)
    leaky_relu  f(z) = z for z > 0, else slope z  tanh     f(z) = tanh z
    sigmoid     f(z) = 1 / (1 + e^-z)             softplus, elu, gelu, silu: see `minigan.ops`

The first five are fused into the operation before them. Their derivatives are read off the result y = f(z), so that z need not
be kept: for the leaky ReLU, f' = 1 where y > 0 and the slope elsewhere. That is right for slopes > 0 only. For a negative slope
both halves of the line give y > 0, and the sign of z is lost: such a slope is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from minigan.checks import plain

FUSED = ("linear", "relu", "leaky_relu", "tanh", "sigmoid")
COMPOSED = ("softplus", "elu", "gelu", "silu")  # applied after the operation
SLOPE = 0.2


@dataclass(frozen=True, slots=True)
class Activation:
    """A kind, one of `FUSED` and `COMPOSED`, and the slope below zero: 1 for linear, 0 for relu, that given for leaky_relu.

    Raises:
        TypeError: a slope that is no number.
        ValueError: an unknown kind; a slope of leaky_relu that is not > 0 (see the module), or not finite.
    """

    kind: str = "linear"
    slope: float = SLOPE

    def __post_init__(self) -> None:
        if self.kind not in FUSED + COMPOSED:
            raise ValueError(f"got activation {self.kind!r}, expected one of {(*FUSED, *COMPOSED)}, or None for linear")
        slope = plain("activation", "slope", self.slope)
        if self.kind != "leaky_relu":
            slope = 1.0 if self.kind == "linear" else 0.0
        elif not 0 < slope < math.inf:
            raise ValueError(
                f"got slope {self.slope!r} for leaky_relu, expected a finite number > 0: its derivative is read off the result, "
                "whose sign tells that of the input for positive slopes only; 'relu' has slope 0"
            )
        object.__setattr__(self, "slope", slope)

    @property
    def fused(self) -> bool:
        """Whether kernels apply it."""
        return self.kind in FUSED

    @property
    def below(self) -> float | None:
        """The slope below zero of a piecewise linear kind; None for the others."""
        return self.slope if self.kind in ("linear", "relu", "leaky_relu") else None

    def __str__(self) -> str:
        return f"leaky_relu({self.slope:g})" if self.kind == "leaky_relu" else self.kind


LINEAR = Activation()


def activation_of(owner: str, given: Any, slope: Any = SLOPE) -> Activation:
    """The value that a user means: a kind by name, None for linear, or a value that was made before (and has its slope).

    Raises:
        TypeError, ValueError: as :class:`Activation`, and for what is no name.
    """
    if isinstance(given, Activation):
        return given
    if given is not None and not isinstance(given, str):
        raise TypeError(f"{owner}: got activation {given!r} of type {type(given).__name__}, expected a name or None")
    try:
        return Activation("linear" if given is None else given, slope)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{owner}: {error}") from None
