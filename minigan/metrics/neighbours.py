"""Distances between two sets, a block of rows at a time: 50,000 by 50,000 of them would be 20 GB."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 2**23  # distances at a time: 64 MB of float64, and as much again while they are computed


def squared_distances(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """(rows, |x_i - y_j|^2 for those rows i and all j), float64, x (N, d) and y (M, d) of any dtype. Of x only those rows become
    float64, and every block is written over the one before.

    As |x|^2 + |y|^2 - 2 x.y after both are moved by the same point, which keeps whole numbers exact and a far origin harmless;
    the rounding is 2^-52 times the largest |x|^2, clipped at 0. y is laid out by columns once: products of a few rows with it
    are a third faster than with its transpose.
    """
    origin = y[0].astype(np.float64)
    columns = np.subtract(y.T, origin[:, None], order="C")
    norms = np.einsum("ij,ij->j", columns, columns)
    height = min(len(x), max(1, BLOCK // max(y.shape)))
    room = np.empty((height, len(y)))
    for start in range(0, len(x), height):
        part = slice(start, start + height)
        moved = x[part] - origin
        block = np.matmul(-2 * moved, columns, out=room[: len(moved)])
        block += norms
        block += np.einsum("ij,ij->i", moved, moved)[:, None]
        yield part, np.maximum(block, 0, out=block)


def radii(x: np.ndarray, k: int) -> np.ndarray:
    """(N,): the squared distance of each row to its k-th nearest other row."""
    out = np.empty(len(x))
    for part, block in squared_distances(x, x):
        own = np.arange(len(x))[part]
        block[own - part.start, own] = np.inf
        block.partition(k - 1, axis=1)
        out[part] = block[:, k - 1]
    return out


def nearest_other(x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(K,): the squared distance of each of the rows x[chosen] to the nearest other row of x, float64."""
    out = np.empty(len(chosen))
    for part, block in squared_distances(x[chosen], x):
        own = chosen[part]
        block[np.arange(len(own)), own] = np.inf
        out[part] = block.min(axis=1)
    return out


def nearest(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) and (N,): the squared distance of each row of x to the nearest of y, float64, and which that is (the first of equal
    ones). Only blocks of both become float64.
    """
    found, places = np.full(len(x), np.inf), np.zeros(len(x), np.int64)
    height = max(1, BLOCK // y.shape[1])
    for start in range(0, len(y), height):
        for part, block in squared_distances(x, y[start : start + height]):
            which = block.argmin(axis=1)
            least = np.take_along_axis(block, which[:, None], axis=1)[:, 0]
            nearer = least < found[part]
            found[part] = np.where(nearer, least, found[part])
            places[part] = np.where(nearer, start + which, places[part])
    return found, places
