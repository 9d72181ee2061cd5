"""The Laplacian pyramid (Burt, Adelson 1983, IEEE Trans. Communications 31): an image as what each octave adds to the next.

    I_0 = x,   I_k+1 = d(I_k),   h_k = I_k - u(I_k+1)          and back:   I_k = u(I_k+1) + h_k

d is the mean of 2 x 2 pixels, u bilinear. The way back is exact whatever they are: u(I_k+1) cancels.
"""

from __future__ import annotations

from minigan import ops
from minigan.autodiff import Tensor


def down(image: Tensor, octaves: int = 1) -> Tensor:
    """d, so many times: means of 2^octaves x 2^octaves pixels, which means of means of equal parts are."""
    return ops.avg_pool(image, window=2**octaves) if octaves else image


def up(image: Tensor) -> Tensor:
    """u: twice as many pixels a side."""
    return ops.upsample(image, scale=2, mode="bilinear")


def taken_apart(image: Tensor, octaves: int) -> tuple[Tensor, list[Tensor]]:
    """The coarsest image I_octaves, and h_0, h_1, ..."""
    details = []
    for _ in range(octaves):
        coarse = down(image)
        details.append(image - up(coarse))
        image = coarse
    return image, details


def put_together(image: Tensor, details: list[Tensor]) -> Tensor:
    """I_0."""
    for detail in reversed(details):
        image = up(image) + detail
    return image
