"""Integrals whose integrand has a corner, as functions of parameters: ends that move, and corners that might.

By Leibniz, d/dt int_a(t)^b(t) f(x, t) dx = int f_t dx + f(b, t) b' - f(a, t) a': a quadrature with fixed points knows nothing of
the last two terms. Where f is smooth across x they cancel. Where f jumps they are missed by the first derivative, where f has
a kink by the second: f_t jumps there. If the ends of panels move with the parameter, and the points with them, the rule on
each panel is a smooth function of it, and its derivatives of every order are right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, apply
from minigan.backend import Array
from minigan.derivatives import vjp
from minigan.primitive import Primitive
from minigan.switches import no_grad, state

LogDensity = Callable[[Any], Any]
Values = Callable[[np.ndarray], np.ndarray]

SMOOTH_TO = 1e-3  # how far apart a slope by differences and one by autodiff may be, relative to their size
FINEST = 1e-8  # the width of a window, relative to its place
DEEPEST = 24  # how often a window is halved
BACK = 4  # over so many halvings a second difference shrinks by 2^-8 where f is smooth, 2^-4 at a kink, not at a jump
KINK, JUMP = 2.0**-6, 2.0**-2


def in_graph(*values: Any) -> bool:
    """Whether somebody may differentiate these."""
    return state.enabled and any(isinstance(v, Tensor) and (v.node is not None or v.requires_grad) for v in values)


def number(value: Any) -> float:
    """An end of a panel, a number or a tensor with one element, as a float."""
    return float(value.item() if isinstance(value, Tensor) else value)


# -- ends that move --------------------------------------------------------------------------------------------------
def rule(left: np.ndarray, right: np.ndarray, nodes: int, moving: Sequence[Tensor]) -> tuple[Any, Any]:
    """(points, weights) of the Gauss-Legendre rule of each panel; tensors where an end of one is among `moving`."""
    at, weight = np.polynomial.legendre.leggauss(int(nodes))
    if not moving:
        half, centre = 0.5 * (right - left)[:, None], 0.5 * (right + left)[:, None]
        return (centre + half * at).ravel(), (half * weight).ravel()
    ends = []
    for end in (left, right):
        moved = Tensor(end)
        for t in moving:
            flat = ops.cast(ops.reshape(t, ()), dtype=end.dtype)
            moved = moved + (end == number(t)).astype(end.dtype) * (flat - ops.stop_gradient(flat))
        ends.append(ops.expand_dims(moved, -1))
    half, centre = 0.5 * (ends[1] - ends[0]), 0.5 * (ends[1] + ends[0])
    return ops.reshape(centre + half * at, (-1,)), ops.reshape(half * weight, (-1,))


def roots(log_p: LogDensity, log_q: LogDensity, places: np.ndarray) -> tuple[list[Tensor], list[float]]:
    """Where p = q, as functions of the densities' parameters, and the places at which it is not so (one of them jumps).

    Two steps of Newton's method from a root: they move it by rounding only, and give it the derivatives of the solution up to
    the third.
    """

    def gap(x: Tensor) -> Tensor:
        return at_tensor(log_p, x) - at_tensor(log_q, x)

    with no_grad(), np.errstate(all="ignore"):
        off = np.abs(gap(Tensor(places)).data)
    true = off <= 1e-6 * (1.0 + np.abs(_numbers(log_p(places))))
    x = Tensor(places[true])
    for _ in range(2):
        slope = vjp(lambda y: ops.sum(gap(y)), ops.identity(x), 1.0, create_graph=True)[1]
        x = x - gap(x) / slope
    finite = np.isfinite(x.data)
    x = x + (places[true] - ops.stop_gradient(x))
    moving = [x[i] for i in np.flatnonzero(finite)]
    return moving, [*places[~true].tolist(), *places[true][~finite].tolist()]


def at_tensor(log_p: LogDensity, x: Tensor) -> Tensor:
    """log_p at points that are a tensor.

    Raises:
        ValueError: where it does not take one.
    """
    try:
        return ops.as_tensor(log_p(x))
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"log-density: it does not take a tensor of points ({type(error).__name__}: {error}), which it has to where ends of "
            "panels move with parameters; write it with operators and `ops`, or pass no tensors"
        ) from error


def check_follows(log_p: LogDensity, left: np.ndarray, right: np.ndarray) -> None:
    """Raise ValueError unless autodiff knows the slope of log_p in x, here in the middle of panels whose ends move."""
    x, h = 0.5 * (left + right), 1e-4 * (right - left)
    with np.errstate(all="ignore"):
        points = Tensor(x)
        slope = vjp(lambda y: ops.sum(at_tensor(log_p, y)), points, 1.0)[1].data
        before, after = _numbers(log_p(x - h)), _numbers(log_p(x + h))
        expected = (after - before) / (2 * h)
        noise = 1e-13 * (np.abs(before) + np.abs(after)) / h
        known = np.isfinite(expected)
        wrong = known & ~(np.abs(slope - expected) <= SMOOTH_TO * (1.0 + np.abs(expected)) + noise)
    if wrong.any():
        k = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"log-density: its slope in x at {x[k]:.6g} is {slope[k]:.6g} by autodiff and {expected[k]:.6g} by differences; "
            "where ends of panels move with parameters it has to follow x: write it with operators and `ops`, not with NumPy"
        )


def _numbers(values: Any) -> np.ndarray:
    return np.asarray(values.data if isinstance(values, Tensor) else values, dtype=np.float64)


# -- corners that might move -----------------------------------------------------------------------------------------
def guarded(total: Tensor, corners: tuple[np.ndarray, np.ndarray]) -> Tensor:
    """The integral, with derivatives that raise where they would miss a boundary term."""
    jumps, kinks = corners
    if jumps.size:
        return apply(_NEVER, (total,), {"reason": _reason("jumps", jumps, "derivative")})
    if kinks.size:
        return apply(_ONCE, (total,), {"reason": _reason("has a kink", kinks, "second derivative")})
    return total


def _reason(what: str, places: np.ndarray, derivative: str) -> str:
    shown = ", ".join(f"{x:.6g}" for x in places[:4])
    return (
        f"quadrature: the integrand {what} at x = {shown}, and if that place moves with a parameter the {derivative} lacks a "
        "boundary term; give the place in breaks=: as a number if it is fixed, as a tensor if it moves (the densities then get "
        "points that are tensors)"
    )


def corners(
    values: Values, left: np.ndarray, right: np.ndarray, known: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """(jumps, kinks) of a function, to about 8 digits, but for the `known` ones and the two ends.

    Windows over the panels and over their ends are halved towards the largest second difference. What that does under
    halving tells a smooth function from a kink and a jump.
    """
    inner = left[1:]
    reach = 0.5 * np.minimum((right - left)[1:], (right - left)[:-1])
    a, b = np.concatenate([left, inner - reach]), np.concatenate([right, inner + reach])
    span = right[-1] - left[0]
    history = []
    with np.errstate(all="ignore"):
        start = np.abs(values(np.concatenate([left, right])))
        largest = float(np.max(start, initial=0.0, where=np.isfinite(start)))
        for _ in range(DEEPEST + 1):
            grid = a + (b - a) * np.linspace(0.0, 1.0, 5)[:, None]
            f = np.nan_to_num(values(grid.ravel()).reshape(grid.shape), posinf=np.inf, neginf=-np.inf)
            largest = max(largest, float(np.max(np.abs(f), initial=0.0, where=np.isfinite(f))))
            bends = np.abs(np.stack([f[k] - 2 * f[k + 1] + f[k + 2] for k in range(3)]))
            best = np.argmax(bends, axis=0)
            history.append((np.abs(f[0] - 2 * f[2] + f[4]), 0.5 * (a + b), b - a))
            go = (b - a) > FINEST * np.maximum(np.abs(a + b), 1e-3 * span)
            a, b = (np.where(go, grid[best, np.arange(len(a))], a), np.where(go, grid[best + 2, np.arange(len(a))], b))
    bends, places, widths = (np.array([h[i] for h in history]) for i in range(3))
    final = np.argmax(np.diff(widths, axis=0, append=widths[-1:]) == 0, axis=0)  # the first level that was not halved
    column = np.arange(len(final))
    before = np.maximum(final - BACK, 0)
    bend, place, width = bends[final, column], places[final, column], widths[final, column]
    shrunk = bend / np.where(bends[before, column] > 0, bends[before, column], np.inf)
    noise = 1e-13 * largest
    apart = np.ones(len(place), dtype=bool)
    for x in (left[0], right[-1], *known):
        apart &= np.abs(place - x) > 4 * width
    found = (bend > noise) & apart & (final >= BACK)
    jumps = found & (shrunk > JUMP) & (bend > 1e-9 * largest)
    kinks = found & (shrunk > KINK) & (shrunk <= JUMP) & (bend > 1e-7 * largest * width / span)
    return _distinct(place[jumps]), _distinct(place[kinks])


def _distinct(places: np.ndarray) -> np.ndarray:
    return np.unique(np.array([float(f"{x:.6g}") for x in places]))


# Three identities that are in no table of operations: they compute nothing, and exist to say no.
def _copy(total: Array, *, reason: str) -> Array:
    return total.copy()


def _first(g: Array, y: Array, *, reason: str) -> Array:
    return g.copy()


def _refuse(_needs: Any, _g: Any, _y: Any, *_inputs: Any, reason: str) -> Any:
    raise ValueError(reason)


def _seal(g: Tensor, y: Tensor, _x: Tensor, *, reason: str) -> Tensor:
    """g; whoever differentiates it again, as it depends on y, is told why not."""
    return apply(_SEALED, (g, y), {"reason": reason})


_SEALED = Primitive(_first, _refuse, name="sealed", samples=None)
_ONCE = Primitive(_copy, (_seal,), name="once", samples=None)
_NEVER = Primitive(_copy, _refuse, name="never", samples=None)
