"""Class labels: integers in [0, count). One outside would read another row, or none, in silence; so it is looked for."""

from __future__ import annotations

from functools import partial

from minigan.autodiff import Tensor, TensorLike, effect
from minigan.backend import Array, is_gpu_array
from minigan.ops import as_tensor
from minigan.staged import of_arrays


def labels_of(owner: str, labels: TensorLike, count: int) -> Tensor:
    """Labels as a tensor of integers, checked to be in [0, count): now, and in every replay of a recorded step.

    On a GPU the values are not looked at, which would make the CPU wait; as in `ops.getitem`.

    Raises:
        TypeError: not integers.
        ValueError: a label out of range.
    """
    t = as_tensor(labels)
    if t.dtype.kind not in "iu":
        raise TypeError(f"{owner}: got labels of dtype {t.dtype}, expected integers in [0, {count})")
    effect(partial(_check, owner, count), [], t)
    return t


@of_arrays
def _check(owner: str, count: int, _: list[Array], labels: Array) -> None:
    if is_gpu_array(labels) or not labels.size:
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= count:
        raise ValueError(f"{owner}: got labels from {low} to {high}, expected integers in [0, {count})")
