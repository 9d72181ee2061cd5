"""What every rung of the two ladders shares: the problem, the reference that it is checked against, and the clock.

A rung is a file with one function, `compute(left, right, out)`: a product out = left right of float32 matrices, or a
convolution with stride 1 and padding "same", x (N, H, W, C) and w (K, K, C, B) to (N, H, W, B).
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigan.activation import LINEAR
from minigan.backend import Array
from minigan.kernels import geometry, reference

HERE = Path(__file__).parent
KINDS = ("product", "convolution")
LARGE = {"product": (768, 768, 768), "convolution": (16, 14, 32, 5, 64)}  # m, k, n; N, H = W, C, K, B
SECONDS, LEAST = 0.5, 3  # of timing a rung, and runs, at least


def rungs(kind: str) -> list[Any]:
    """The rungs of a ladder as modules, from the bottom up."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    return [importlib.import_module(path.stem) for path in sorted(HERE.glob(f"{kind}_[0-9]_*.py"))]


def operands(kind: str, sizes: Sequence[int]) -> tuple[Array, Array, Array, float]:
    """Random operands, the result in double precision, and the operations that it takes."""
    rng = np.random.default_rng(0)
    if kind == "product":
        m, k, n = sizes
        a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))
        return a, b, a.astype(np.float64) @ b, 2.0 * m * k * n
    images, side, channels, taps, outs = sizes
    x = rng.standard_normal((images, side, side, channels)).astype(np.float32)
    w = rng.standard_normal((taps, taps, channels, outs)).astype(np.float32)
    geo = geometry.of_conv((taps, taps), 1, "same", 1, (side, side))
    want = np.empty((images, side, side, outs))
    reference.conv.reference(x.astype(np.float64), w.astype(np.float64), None, geo, LINEAR, want)
    return x, w, want, 2.0 * images * geo.pairs() * channels * outs


def checked(rung: Any, left: Array, right: Array, want: Array) -> Array:
    """What a rung makes. Raises AssertionError: it is not what the reference says."""
    out = np.full(want.shape, np.nan, np.float32)
    rung.compute(left, right, out)
    error = np.abs(out - want).max() / np.abs(want).max()
    assert error < 1e-5, f"{rung.__name__}: off by {error:.1e} of the largest element, expected rounding only"
    return out


def gflops(rung: Any, left: Array, right: Array, out: Array, operations: float) -> float:
    """A billion operations a second, by the quickest run."""
    times: list[float] = []
    while sum(times) < SECONDS or len(times) < LEAST:
        start = time.perf_counter()
        rung.compute(left, right, out)
        times.append(time.perf_counter() - start)
    return operations / min(times) / 1e9


def climb(kind: str, modules: Sequence[Any]) -> list[tuple[str, str, float]]:
    """(rung, what it does, GFLOP/s) of each, checked first."""
    left, right, want, operations = operands(kind, LARGE[kind])
    rows = []
    for rung in modules:
        out = checked(rung, left, right, want)
        title = (rung.__doc__ or "").splitlines()[0].rstrip(".")
        rows.append((rung.__name__, title, gflops(rung, left, right, out, operations)))
    return rows


def run_alone(file: str) -> None:
    """Check and time one rung: what each file does when it is started."""
    name = Path(file).stem
    for _, title, rate in climb(name.partition("_")[0], [importlib.import_module(name)]):
        print(f"{rate:8.2f} GFLOP/s  {title}")
