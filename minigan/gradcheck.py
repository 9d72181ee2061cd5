"""Check derivatives of any order against finite differences.

**Why inner products with random vectors are enough.** Let J be the Jacobian of f at x, and B^T w what a wrong vjp computes,
B != J. With a direction u and a cotangent w from a normal law, w^T (B - J) u is a bilinear form that is not identically
zero, so it vanishes with probability 0: one random pair finds any error, whatever the size of J, at the price of a few
evaluations of f. (Ones as w would not do: they cannot see errors that sum to zero, such as a normalisation's.) So compare

    vjp:  <vjp(w), u>      jvp:  <w, jvp(u)>      with   phi'(0),   phi(t) = <w, f(x + t u)>.

**Every order.** The derivatives of f are right up to order k when its first one is and those of the function
(x, w) -> vjp_f(x; w) are up to order k - 1. The checker goes on with that function (as HIPS autograd's `test_util.py`).

**Step and error.** The central difference D(h) = (phi(h) - phi(-h)) / 2h = phi'(0) + a h^2 + b h^4 + ... is extrapolated
to h = 0 from h, h/2, h/4 (Richardson 1911); the last corrections bound the error (Ridders 1982, "Accurate computation of
F'(x) and F'(x)F''(x)"; Press et al., Numerical Recipes, 5.7). u is scaled to max |u_i| <= 1, so no coordinate moves by more
than h. In float64, h = 1e-3: the truncation error is about (h/r)^6 / 64 for a function analytic within r, the rounding error
about 1e-16 |phi| / h. Where the extrapolation does not settle, h is halved, up to 24 times (12 in float32): the price of a kink
nearby, or of a function as fast as sin(1e6 x).

**Kinks.** A central difference cannot see the kink of |x| at 0. The one-sided ones differ there: S(h), their difference,

    S(h) = (phi(h) - 2 phi(0) + phi(-h)) / h = [phi'(0+) - phi'(0-)] + a h + b h^3 + ...,

extrapolated in the same way, must vanish.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minigan.autodiff import Tensor, as_tensor
from minigan.backend import array_module, is_float, to_numpy
from minigan.derivatives import jvp, vjp
from minigan.switches import no_grad, state

Arrays = tuple[np.ndarray, ...]
Function = Callable[..., Sequence[Tensor]]
SEARCHED = 500  # elements at most that are tried one by one to name the place of a kink


class Tolerance(NamedTuple):
    """First step h, and the tolerance: |analytic - numeric| <= atol + rtol * size, size = sum_i |w_i (J u)_i|; how often h may be
    halved."""

    step: float
    rtol: float
    atol: float
    halvings: int


TOLERANCES = {  # rounding costs about eps / step; the rest is room for badly conditioned functions
    np.dtype(np.float64): Tolerance(1e-3, 1e-6, 1e-8, 24),
    np.dtype(np.float32): Tolerance(2.0**-4, 2e-2, 1e-3, 12),
}


class GradientError(AssertionError):
    """A derivative is wrong. `analytic`, `numeric` and `tolerance` are the numbers, where there are any."""

    analytic = numeric = tolerance = float("nan")


class NonDifferentiableError(GradientError):
    """The function has no derivative at this point (a kink, a jump, the edge of its domain), so there is nothing to check."""


class _Case(NamedTuple):
    """One comparison; everything that is needed to repeat it."""

    inputs: tuple[Tensor, ...]
    earlier: tuple[Arrays, ...]  # the cotangents of lower orders
    direction: Arrays
    cotangent: Arrays
    order: int
    mode: str


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    order: int = 2,
    modes: Sequence[str] = ("vjp", "jvp"),
    seed: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
) -> bool:
    """Compare the derivatives of `f` at `inputs`, of the orders 1 to `order`, with finite differences (see the module).

    Args:
        f: maps tensors to a tensor or a tuple of tensors; must give the same result each time. Results that are not floats
            are taken as constants.
        inputs: an array or tensor, or a tuple of them, passed to f one by one. Numbers and lists become float64, the dtype to
            check in; float32 arrays stay float32 and get the wide tolerance of `TOLERANCES`. Integer and bool arrays are
            held constant.
        modes: "vjp" (the backward walk itself) and "jvp" (the backward walk differentiated).
        seed: of the directions and cotangents (Philox).
        rtol, atol: instead of those in `TOLERANCES`.

    Returns:
        True.

    Raises:
        GradientError: a derivative is wrong, NaN or Inf, or f is not a function; the message ends in code that repeats it.
        NonDifferentiableError: f has a kink or jump at or very near the inputs; the message names the element.
        ValueError: no float input, an unknown mode, or order < 1.
    """
    xs = _tensors(inputs)
    if order < 1 or not modes or not set(modes) <= {"vjp", "jvp"}:
        raise ValueError(f"gradcheck: got order {order} and modes {modes}, expected order >= 1 and 'vjp' or 'jvp'")
    tolerance = _tolerance(xs, rtol, atol)
    generator = np.random.Generator(np.random.Philox(seed))
    earlier: tuple[Arrays, ...] = ()
    for level in range(1, order + 1):
        function, point = _derived(f, xs, earlier)
        outputs = _checked_outputs(function, point, f"order {level - 1} of {_name(f)}")
        if not outputs:
            return True
        u, w = (
            tuple(generator.standard_normal(t.shape).astype(t.dtype) for t in tensors) for tensors in (point, outputs)
        )
        u = tuple(v / max(1.0, np.abs(v).max(initial=0.0)) for v in u)
        case = _Case(xs, earlier, u, w, level, modes[0])
        numeric, size = _numeric(f, function, point, case, tolerance)
        for mode in modes:
            case = case._replace(mode=mode)
            _compare(f, case, _analytic(function, point, case), numeric, tolerance.atol + tolerance.rtol * size)
        earlier += (w,)
    return True


def repeat(f: Callable[..., Any], inputs: tuple[Any, ...], **case: Any) -> tuple[float, float]:
    """(analytic, numeric) of one comparison; the code in a report calls it. `case`: the other fields of a comparison."""
    full = _Case(_tensors(inputs), **case)
    function, point = _derived(f, full.inputs, full.earlier)
    numeric, _ = _numeric(f, function, point, full, _tolerance(full.inputs, None, None))
    return _analytic(function, point, full), numeric


# -- functions of floats ---------------------------------------------------------------------------------------------
def _tensors(inputs: Any) -> tuple[Tensor, ...]:
    """Inputs outside every graph; numbers and lists in float64."""
    values = inputs if isinstance(inputs, tuple) else (inputs,)
    arrays = [v if hasattr(v, "shape") else np.asarray(v, dtype=np.float64) for v in values]
    xs = tuple(as_tensor(np.asarray(a) if isinstance(a, np.generic) else a).detach() for a in arrays)
    if not any(is_float(x.dtype) for x in xs):
        raise ValueError(
            f"gradcheck: got inputs of dtype {[str(x.dtype) for x in xs]}, expected a float32 or float64 one"
        )
    return xs


def _tolerance(xs: Sequence[Tensor], rtol: float | None, atol: float | None) -> Tolerance:
    widest = max((TOLERANCES[x.dtype] for x in xs if is_float(x.dtype)), key=lambda t: t.rtol)
    return widest._replace(rtol=widest.rtol if rtol is None else rtol, atol=widest.atol if atol is None else atol)


def _derived(f: Callable[..., Any], xs: Sequence[Tensor], earlier: Sequence[Arrays]) -> tuple[Function, list[Tensor]]:
    """The function to check at order 1 + len(earlier), of floats only, and the point to check it at."""

    def function(*floats: Tensor) -> tuple[Tensor, ...]:
        given = iter(floats)
        y = f(*[next(given) if is_float(x.dtype) else x for x in xs])
        tensors = map(as_tensor, y if isinstance(y, (tuple, list)) else (y,))
        return tuple(t for t in tensors if is_float(t.dtype))

    point = [x for x in xs if is_float(x.dtype)]
    derived: Function = function
    for cotangents in earlier:
        derived = _pullback(derived, len(point))
        point = point + [_beside(point[0], w) for w in cotangents]
    return derived, point


def _pullback(function: Function, count: int) -> Function:
    """(x, w) -> vjp_f(x; w), x the first `count` arguments. Finite differences need no graph of it, so it is the first-order
    kernels that they run: a fused backward kernel is compared with the derivative of its composite."""

    def pulled(*args: Tensor) -> Any:
        return vjp(function, args[:count], args[count:], create_graph=state.enabled)[1]

    return pulled


def _beside(like: Tensor, array: np.ndarray) -> Tensor:
    """`array` on the device of `like`."""
    return Tensor(array_module(like.data).asarray(array))


def _evaluate(function: Function, point: Sequence[Tensor]) -> list[np.ndarray]:
    with no_grad(), np.errstate(all="ignore"):  # steps may leave the domain; the caller looks at the values
        return [to_numpy(y.data).astype(np.float64) for y in function(*point)]


def _checked_outputs(function: Function, point: Sequence[Tensor], name: str) -> Sequence[Tensor]:
    with no_grad():
        outputs, again = function(*point), function(*point)
    if not all(np.isfinite(y.numpy()).all() for y in outputs):
        raise GradientError(f"gradcheck: derivative of {name} is NaN or Inf at the inputs, expected finite values")
    if not all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(outputs, again, strict=True)):
        raise GradientError(f"gradcheck: {name} gave two results for the same inputs; fix its random numbers")
    return outputs


def _dot(left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> float:
    return float(sum(np.vdot(np.float64(a), np.float64(b)) for a, b in zip(left, right, strict=True)))


def _analytic(function: Function, point: Sequence[Tensor], case: _Case) -> float:
    if case.mode == "vjp":
        return _dot(case.direction, [g.numpy() for g in vjp(function, tuple(point), case.cotangent)[1]])
    return _dot(case.cotangent, [t.numpy() for t in jvp(function, tuple(point), case.direction)[1]])


# -- finite differences ----------------------------------------------------------------------------------------------
def _extrapolate(values: Sequence[float], powers: Sequence[int]) -> tuple[float, float]:
    """The limit of v(h) = v0 + c1 h^p1 + c2 h^p2 + ... from v(h), v(h/2), v(h/4), and the larger of its distances from
    the two values of one order less as its error."""
    row = before = list(values)
    for power in powers:
        before, row = row, [b + (b - a) / (2.0**power - 1.0) for a, b in pairwise(row)]
    return row[-1], max(abs(row[-1] - value) for value in before)


def _slope(
    along: Callable[[float], list[np.ndarray]], base: list[np.ndarray], w: Arrays, tol: Tolerance
) -> tuple[float, float] | None:
    """(phi'(0), sum of |terms|), or None where the differences do not settle."""
    slopes: list[float] = []
    jumps: list[float] = []
    for i in range(tol.halvings):
        h = tol.step / 2.0**i
        plus, minus = along(h), along(-h)
        if not all(np.isfinite(a).all() for a in (*plus, *minus)):
            slopes, jumps = [], []  # outside the domain: come nearer
            continue
        change = [(a - b) / (2 * h) for a, b in zip(plus, minus, strict=True)]
        slopes.append(_dot(w, change))
        jumps.append(_dot(w, [((a - o) - (o - b)) / h for a, o, b in zip(plus, base, minus, strict=True)]))
        if len(slopes) >= 3:
            size = sum(float(np.abs(v * c).sum()) for v, c in zip(w, change, strict=True))
            limit = tol.atol + tol.rtol * size
            (slope, error), (jump, _) = _extrapolate(slopes[-3:], (2, 4)), _extrapolate(jumps[-3:], (1, 3))
            if error <= limit / 2 and abs(jump) <= limit:
                return slope, size
    return None


def _along(function: Function, point: Sequence[Tensor], u: Sequence[np.ndarray]) -> Callable[[float], list[np.ndarray]]:
    steps = [_beside(x, v).data for v, x in zip(u, point, strict=True)]
    return lambda t: _evaluate(
        function, [Tensor((x.data + t * v).astype(x.dtype)) for x, v in zip(point, steps, strict=True)]
    )


def _numeric(f: Any, function: Function, point: Sequence[Tensor], case: _Case, tol: Tolerance) -> tuple[float, float]:
    base = _evaluate(function, point)
    found = _slope(_along(function, point, case.direction), base, case.cotangent, tol)
    if found is None:
        raise NonDifferentiableError(
            f"gradcheck: {_name(f)} is not differentiable (order {case.order}): one-sided differences disagree or do not "
            f"converge {_place(function, point, base, case, tol)}\n{_report(f, case)}"
        )
    return found


def _place(function: Function, point: Sequence[Tensor], base: list[np.ndarray], case: _Case, tol: Tolerance) -> str:
    """Which single element of the inputs shows the kink."""
    places = [(k, index) for k, x in enumerate(point) for index in np.ndindex(x.shape)]
    for k, index in places[:SEARCHED]:
        unit = [np.zeros(x.shape, x.dtype) for x in point]
        unit[k][index] = 1.0
        if _slope(_along(function, point, unit), base, case.cotangent, tol) is None:
            return f"at float input {k}, element {index}, value {float(point[k].numpy()[index])!r}"
    return "along the direction below, though along no single element that was tried"


# -- reports ---------------------------------------------------------------------------------------------------------
def _compare(f: Any, case: _Case, analytic: float, numeric: float, limit: float) -> None:
    error = abs(analytic - numeric)
    if error <= limit:  # False for NaN
        return
    failure = GradientError(
        f"gradcheck: the {case.mode} of {_name(f)} is wrong at order {case.order}\n  analytic {analytic!r}\n"
        f"  numeric  {numeric!r}\n  error    {error:.3e}, tolerance {limit:.3e}\n{_report(f, case)}"
    )
    failure.analytic, failure.numeric, failure.tolerance = analytic, numeric, limit
    raise failure


def _name(f: Any) -> str:
    return getattr(f, "__qualname__", None) or repr(f)


def _report(f: Any, case: _Case) -> str:
    """Code that repeats a comparison."""
    fields = "".join(f"    {key}={_literal(value)},\n" for key, value in case._asdict().items())
    return (
        "To repeat it:\n\nimport numpy as np\nfrom numpy import inf, nan\nfrom minigan.gradcheck import repeat\n"
        f"{_import_line(f)}\nanalytic, numeric = repeat(\n    f,\n{fields})\nprint(analytic, numeric)"
    )


def _import_line(f: Any) -> str:
    name, module = getattr(f, "__name__", ""), getattr(f, "__module__", "")
    if getattr(sys.modules.get(module), name or " ", None) is f:
        return f"from {module} import {name} as f"
    try:
        place = f"{inspect.getsourcefile(f)}:{f.__code__.co_firstlineno}"
    except (AttributeError, TypeError):
        place = repr(f)
    return f"# f = ...  ({place})"


def _literal(value: Any) -> str:
    """An expression for a value: arrays (each number to its last digit), tuples of them, integers, strings."""
    if isinstance(value, tuple):
        return "(" + "".join(f"{_literal(v)}, " for v in value).strip() + ")"
    if isinstance(value, (int, str)):
        return repr(value)
    a = to_numpy(value.data) if isinstance(value, Tensor) else value
    return f"np.array({a.ravel().tolist()}, dtype=np.{a.dtype}).reshape({a.shape})"
