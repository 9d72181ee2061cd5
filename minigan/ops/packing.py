"""Several arrays end to end in one, since an operation has one result."""

from __future__ import annotations

import math
from typing import Any

from minigan.autodiff import Tensor
from minigan.ops.shape import concatenate, reshape


def end_to_end(*parts: Tensor) -> Tensor:
    """All elements of all of them, one axis."""
    return concatenate([reshape(part, (-1,)) for part in parts])


def cut(packed: Any, *shapes: tuple[int, ...]) -> list[Any]:
    """The arrays, or tensors, of these shapes that lie end to end in `packed`."""
    parts, begin = [], 0
    for shape in shapes:
        end = begin + math.prod(shape)
        parts.append(packed[begin:end].reshape(shape))
        begin = end
    return parts
