"""f-divergences by their generators: the convex f, its derivative and conjugate, and the bound that an f-GAN climbs.

Zeros of tables get f(0) and f'(inf), their limits. Everything is in nats.

Sources: Csiszar 1967, "Information-type measures of difference of probability distributions"; Nowozin, Cseke, Tomioka 2016
(arXiv 1606.00709), tables 1 and 2, for generators, conjugates and output activations.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigan import losses, ops
from minigan.autodiff import Tensor, primitive
from minigan.backend import Array, array_module
from minigan.derivatives import vjp
from minigan.switches import state
from minigan.theory import terms
from minigan.theory.arrays import on_arrays, same_outcomes, xlogy

LOG2 = math.log(2.0)
Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Generator:
    """A convex f on [0, inf) and what a variational f-GAN needs of it; D_f(p || q) = sum q f(p/q).

    The functions take tensors, arrays or numbers, elementwise.

    Attributes:
        name: its key in `GENERATORS`.
        f: f(u), u >= 0; f(0) is `at_zero`.
        derivative: f'(u), a subgradient at a kink.
        conjugate: f*(t) = sup over u >= 0 of u t - f(u); inf outside `domain`.
        activation: g_f(v), from a network's raw output v (any real number) into the range of f', inside `domain`. It increases,
            as f' does: so at the best output v grows with p/q, and a high score means "real" for every f.
        domain: (low, high): f* is finite between them.
        at_zero: f(0), perhaps inf: what a point costs that p never shows.
        slope_at_infinity: f'(inf) = lim f(u)/u, perhaps inf: what a point costs, for each unit of p, that q never
            shows.
        curvature: f''(1): close to p = q, D_f is f''(1)/2 sum (p-q)^2/q. Inf for a kink.
        conjugate_of_activation: f*(g_f(v)) from a raw output v, what an f-GAN's loss needs. By default the two one after the
            other; where a float cannot hold how close g_f(v) is to the end of the domain, its own formula is better.
        terms: q f(p/q) from (p, q), elementwise, with zeros at their limits; by default from f.
    """

    name: str
    f: Function
    derivative: Function
    conjugate: Function
    activation: Function
    domain: tuple[float, float]
    at_zero: float
    slope_at_infinity: float
    curvature: float
    # made from the fields above, so that a copy with another f (dataclasses.replace) has its own
    conjugate_of_activation: Function = field(init=False, repr=False, compare=False)
    terms: Callable[[Tensor, Tensor], Tensor] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _set(self, lambda v: self.conjugate(self.activation(v)), lambda p, q: _perspective(self, p, q))

    @staticmethod
    def from_function(f: Function, **known: Any) -> Generator:
        """A generator from its f alone.

        f' is its derivative by autodiff. f*(t) = u t - f(u) at the u with f'(u) = t, found by bisection between e^-200 and e^200;
        it can be differentiated four times. f(0) and f'(inf) are extrapolated from f at 1e-30, 1e-60, 1e-90 and f(u)/u at 1e30,
        1e60, 1e90: right where the limit is approached like a power of u or faster, or infinite. The activation is v, or
        f'(inf) - softplus(-v) where that is finite.

        Args:
            f: a convex function of a tensor, elementwise, written with operators and `ops`.
            known: fields of :class:`Generator` that are known better: `name`, `at_zero`, `slope_at_infinity`, `conjugate`, ...

        Raises:
            ValueError: f is not convex on a grid of points, or a limit has no value; or a field that a Generator lacks.
        """
        return _from_function(f, known)


def _set(g: Generator, conjugate_of_activation: Function, terms: Callable[[Tensor, Tensor], Tensor]) -> None:
    object.__setattr__(g, "conjugate_of_activation", conjugate_of_activation)
    object.__setattr__(g, "terms", terms)


@primitive((lambda g, y, _x: g * (y / (1.0 + y)),), samples=lambda draw: ((draw.array(draw.shape()),), {}))
def wright_omega(x: Array) -> Array:
    """The w > 0 with w + log w = x, that is W(e^x) with Lambert's W;  dx = g w / (1 + w).

    By Newton's method on s = log w: e^s + s - x is convex and increasing, and positive at the starting points, so the
    steps only come down, and eight of them reach the last digit.
    """
    xp = array_module(x)
    infinite = xp.isinf(x)
    goal = xp.where(infinite, 0.0, x).astype(x.dtype)
    s = xp.where(goal > 1, xp.log(xp.maximum(goal, 1)), goal)
    for _ in range(8):
        s = s - (xp.exp(s) + s - goal) / (xp.exp(s) + 1)
    return xp.where(infinite, xp.maximum(x, 0), xp.exp(s)).astype(x.dtype)


def _log_sigmoid(v: Any) -> Tensor:
    return -ops.softplus(-v)


def _gan_f(u: Tensor) -> Tensor:
    return xlogy(u, u / (1.0 + u)) - ops.log1p(u)


def _below(t: Tensor, high: float, value: Function) -> Tensor:
    """value(t) where t is in the domain of a conjugate that ends at `high`, inf beyond."""
    inside = ops.less_equal(t, high)
    return ops.where(inside, value(ops.where(inside, t, high - 1.0)), math.inf)


def _omega_conjugate(t: Tensor) -> Tensor:
    w = wright_omega(1.0 - t)
    return 1.0 / w - 1.0 - ops.log(w)


def _pearson_conjugate(t: Tensor) -> Tensor:
    t = ops.maximum(t, -2.0)  # below, the supremum over u >= 0 is at the end u = 0
    return t * (1.0 + 0.25 * t)


def _split(t: Tensor, low: float, high: float, near: Function, apart: Function) -> Tensor:
    """near(t) in (low, high), around 0, where `apart` would subtract what is nearly equal; apart(t) elsewhere."""
    inside = ops.greater(t, low) & ops.less(t, high)
    return ops.where(inside, near(ops.where(inside, t, 0.0)), apart(ops.where(inside, low, t)))


def _neyman_conjugate(t: Tensor) -> Tensor:
    return _split(t, -1.0, 1.0, lambda t: 2.0 * t / (1.0 + ops.sqrt(1.0 - t)), lambda t: 2.0 - 2.0 * ops.sqrt(1.0 - t))


def _hellinger_conjugate(t: Tensor) -> Tensor:
    return _split(t, -1.0, 0.25, lambda t: t / (1.0 - 2.0 * t), lambda t: 0.5 / (1.0 - 2.0 * t) - 0.5)


def _log_mean_exp(v: Tensor) -> Tensor:
    """log((1 + e^v)/2), which is v/2 + v^2/8 near 0."""
    return _split(v, -1.0, 1.0, lambda v: ops.log1p(0.5 * ops.expm1(v)), lambda v: ops.softplus(v) - LOG2)


def _jensen_shannon_conjugate(t: Tensor) -> Tensor:
    return _split(
        t,
        -0.2,
        0.2,
        lambda t: -0.5 * ops.log1p(-ops.expm1(2.0 * t)),
        lambda t: -0.5 * (LOG2 + ops.log(-ops.expm1(2.0 * t - LOG2))),
    )


def _le_cam_activation(v: Tensor) -> Tensor:
    return _split(
        v,
        -1.0,
        1.0,
        lambda v: 0.5 * ops.tanh(0.5 * v) * (1.0 + 2.0 * ops.sigmoid(-v)),
        lambda v: 0.5 - 2.0 * ops.square(ops.sigmoid(-v)),
    )


def _le_cam_conjugate(t: Tensor) -> Tensor:
    t = ops.maximum(t, -1.5)  # below, the supremum over u >= 0 is at the end u = 0
    s = ops.sqrt(1.0 - 2.0 * t)
    return t * (3.0 - s) / (1.0 + s)


def _generator(
    name: str,
    f: Function,
    derivative: Function,
    conjugate: Function,
    activation: Function,
    conjugate_of_activation: Function,
    terms: Callable[[Tensor, Tensor], Tensor],
    *,
    high: float,
    at_zero: float,
    slope_at_infinity: float,
    curvature: float,
) -> Generator:
    u, t, v = on_arrays("u"), on_arrays("t"), on_arrays("v")
    at_infinity = math.inf if slope_at_infinity > 0 else -math.inf  # those of slope 0 here fall like -log u

    def extended(u: Tensor) -> Tensor:
        endless = ops.equal(_not_negative(u), math.inf)
        return ops.where(endless, at_infinity, f(ops.where(endless, 1.0, u)))

    g = Generator(
        name,
        u(extended),
        u(lambda u: derivative(_not_negative(u))),
        t(lambda t: conjugate(t) if high == math.inf else _below(t, high, conjugate)),
        v(lambda v: activation(v)),
        (-math.inf, high),
        at_zero,
        slope_at_infinity,
        curvature,
    )
    _set(g, v(lambda v: conjugate_of_activation(v)), terms)
    return g


def _not_negative(u: Tensor) -> Tensor:
    if not bool((u._data >= 0).all()):
        raise ValueError(f"generator: got a ratio {float(u._data.min())!r}, expected p/q >= 0")
    return u


# Each conjugate below is u t - f(u) at the u >= 0 with f'(u) = t; for t < f'(0) the supremum is at u = 0, and f*(t) =
# -f(0). (Table 2 of the f-GAN paper goes on with the formula there, which is the supremum over all real u: larger, so a
# weaker bound.)
#
#   kl             f' = 1 + log u = t:  u = e^(t-1),               f* = e^(t-1)
#   reverse_kl     f' = -1/u = t < 0:   u = -1/t,                  f* = -1 - log(-t)
#   pearson        f' = 2(u-1) = t:     u = 1 + t/2,               f* = t + t^2/4 for t >= -2, else -1
#   neyman         f' = 1 - 1/u^2 = t:  u = (1-t)^(-1/2),          f* = 2 - 2 sqrt(1-t)
#   hellinger      f' = (1 - u^(-1/2))/2 = t:  u = (1-2t)^(-2),    f* = t/(1-2t)
#   jensen_shannon f' = log(2u/(1+u))/2 = t:   u/(1+u) = e^(2t)/2, f* = -log(2 - e^(2t))/2
#   gan            f' = log(u/(1+u)) = t:      u/(1+u) = e^t,      f* = -log(1 - e^t)
#   total_variation  f' = sign(u-1)/2; |t| <= 1/2: the sup is at the kink u = 1,  f* = t; below -1/2 at u = 0, f* = -1/2
#   jeffreys       f' = log u + 1 - 1/u = t; w = 1/u: w + log w = 1 - t,          f* = 1/w - 1 - log w
#   le_cam         f' = 1/2 - 2/(u+1)^2 = t; s = sqrt(1-2t): u + 1 = 2/s,         f* = (s-1)(s-3)/2 = t (3-s)/(1+s), s <= 2
GENERATORS: dict[str, Generator] = {
    g.name: g
    for g in (
        _generator(
            "kl", lambda u: xlogy(u, u), lambda u: 1.0 + ops.log(u), lambda t: ops.exp(t - 1.0), lambda v: v,
            lambda v: ops.exp(v - 1.0), terms.kl_terms,
            high=math.inf, at_zero=0.0, slope_at_infinity=math.inf, curvature=1.0,
        ),
        _generator(
            "reverse_kl", lambda u: -ops.log(u), lambda u: -1.0 / u, lambda t: -1.0 - ops.log(-t), lambda v:
            -ops.exp(-v),
            lambda v: v - 1.0, lambda p, q: terms.kl_terms(q, p),
            high=0.0, at_zero=math.inf, slope_at_infinity=0.0, curvature=1.0,
        ),
        _generator(
            "pearson", lambda u: ops.square(u - 1.0), lambda u: 2.0 * (u - 1.0),
            _pearson_conjugate, lambda v: v,
            _pearson_conjugate, terms.pearson_terms,
            high=math.inf, at_zero=1.0, slope_at_infinity=math.inf, curvature=2.0,
        ),
        _generator(
            "neyman", lambda u: (1.0 - u) * ((1.0 - u) / u), lambda u: 1.0 - 1.0 / ops.square(u),
            _neyman_conjugate, lambda v: -ops.expm1(-v),
            lambda v: -2.0 * ops.expm1(-0.5 * v), lambda p, q: terms.pearson_terms(q, p),
            high=1.0, at_zero=math.inf, slope_at_infinity=1.0, curvature=2.0,
        ),
        _generator(
            "hellinger", lambda u: 0.5 * ops.square(ops.sqrt(u) - 1.0), lambda u: 0.5 * (1.0 - 1.0 / ops.sqrt(u)),
            _hellinger_conjugate, lambda v: -0.5 * ops.expm1(-v),
            lambda v: 0.5 * ops.expm1(v), terms.hellinger_terms,
            high=0.5, at_zero=0.5, slope_at_infinity=0.5, curvature=0.25,
        ),
        _generator(
            "jensen_shannon", lambda u: 0.5 * (_gan_f(u) + LOG2 * (u + 1.0)),
            lambda u: 0.5 * (LOG2 - ops.log1p(1.0 / u)), _jensen_shannon_conjugate,
            lambda v: -0.5 * _log_mean_exp(-v),
            lambda v: 0.5 * _log_mean_exp(v), terms.jsd_terms,
            high=0.5 * LOG2, at_zero=0.5 * LOG2, slope_at_infinity=0.5 * LOG2, curvature=0.25,
        ),
        _generator(
            "gan", _gan_f, lambda u: -ops.log1p(1.0 / u), lambda t: -ops.log(-ops.expm1(t)), _log_sigmoid,
            ops.softplus, lambda p, q: 2.0 * terms.jsd_terms(p, q) - LOG2 * (p + q),
            high=0.0, at_zero=0.0, slope_at_infinity=0.0, curvature=0.5,
        ),
        _generator(
            "total_variation", lambda u: 0.5 * ops.abs(u - 1.0), lambda u: 0.5 * ops.sign(u - 1.0),
            lambda t: ops.maximum(t, -0.5), lambda v: 0.5 * ops.tanh(v),
            lambda v: 0.5 * ops.tanh(v), terms.total_variation_terms,
            high=0.5, at_zero=0.5, slope_at_infinity=0.5, curvature=math.inf,
        ),
        _generator(
            "jeffreys", lambda u: (u - 1.0) * ops.log(u), lambda u: ops.log(u) + 1.0 - 1.0 / u, _omega_conjugate, lambda
            v: v,
            _omega_conjugate, terms.jeffreys_terms,
            high=math.inf, at_zero=math.inf, slope_at_infinity=math.inf, curvature=2.0,
        ),
        _generator(
            "le_cam", lambda u: 0.5 * (u - 1.0) * ((u - 1.0) / (u + 1.0)), lambda u: 0.5 - 2.0 / ops.square(u + 1.0),
            _le_cam_conjugate, _le_cam_activation,
            lambda v: 0.5 * ops.tanh(0.5 * v) * (3.0 - 2.0 * ops.sigmoid(-v)), terms.le_cam_terms,
            high=0.5, at_zero=0.5, slope_at_infinity=0.5, curvature=0.5,
        ),
    )
}  # fmt: skip


def generator(f: str | Generator | Function) -> Generator:
    """The generator of that name; `f` itself; or that of a convex function (:meth:`Generator.from_function`).

    Raises:
        ValueError: an unknown name, or as :meth:`Generator.from_function`.
    """
    if isinstance(f, Generator):
        return f
    if callable(f):
        return Generator.from_function(f)
    if f not in GENERATORS:
        raise ValueError(f"f-divergence: got {f!r}, expected a function, a Generator or one of {', '.join(GENERATORS)}")
    return GENERATORS[f]


# -- a generator from f alone ----------------------------------------------------------------------------------------
LOWEST, HIGHEST = -200.0, 200.0  # of log u: e^200 is far from the largest float, also when it is squared


def _from_function(f: Function, known: dict[str, Any]) -> Generator:
    fields = {each.name for each in dataclasses.fields(Generator) if each.init} - {"f"}
    if not set(known) <= fields:
        raise ValueError(f"Generator: got {sorted(set(known) - fields)}, expected fields of it: {sorted(fields)}")
    derivative = known.pop("derivative", None) or on_arrays("u")(lambda u: _slope(f, u))
    value = on_arrays("u")(lambda u: ops.as_tensor(f(u)))
    _check_convex(value)
    with np.errstate(all="ignore"):
        at_zero = known.pop("at_zero", None)
        at_zero = _limit("at_zero", lambda x: value(1.0 / x)) if at_zero is None else at_zero
        steepest = known.pop("slope_at_infinity", None)
        steepest = _limit("slope_at_infinity", lambda x: value(x) / x) if steepest is None else steepest
    kink = derivative(1.0 + 1e-6) - derivative(1.0 - 1e-6) > 1e-3
    made = dict(
        name="custom",
        conjugate=on_arrays("t")(lambda t: _conjugate(value, derivative, at_zero, steepest, t)),
        activation=(lambda v: v) if steepest == math.inf else on_arrays("v")(lambda v: steepest - ops.softplus(-v)),
        domain=(-math.inf, steepest),
        curvature=math.inf if kink else _slope(derivative, Tensor(np.ones(1))).item(),
    )
    return Generator(f=value, derivative=derivative, at_zero=at_zero, slope_at_infinity=steepest, **{**made, **known})


def _slope(f: Function, u: Tensor) -> Tensor:
    """f'(u) of an elementwise f, in the graph of u where it is in one."""
    wanted = state.enabled and u.node is not None
    return vjp(lambda x: ops.sum(f(x)), ops.identity(u) if wanted else u.detach(), 1.0, create_graph=wanted)[1]


def _check_convex(f: Function) -> None:
    u = np.geomspace(1e-3, 1e3, 61)
    try:
        values = f(u)
    except (TypeError, ValueError) as error:  # float() of a tensor, as of an array, is a question of its shape
        raise ValueError(
            f"Generator: got an f that takes no tensor ({error}); write it with operators and ops.log"
        ) from error
    slopes = np.diff(values) / np.diff(u)
    if not (np.diff(slopes) >= -1e-9 * (1.0 + np.abs(slopes[1:]))).all():
        raise ValueError(
            "Generator: got an f that is not convex on (0.001, 1000), expected a convex function of u = p/q"
        )


def _limit(name: str, values: Function) -> float:
    """lim values(x), x to infinity, from three points of equal distance in log x, by Aitken's extrapolation."""
    first, second, third = (float(values(10.0**k)) for k in (30, 60, 90))
    before, after = second - first, third - second
    if math.isnan(third):
        raise ValueError(f"Generator: got an f whose {name} has no value at the ends of the floats; pass {name}=...")
    if math.isinf(third):
        return third
    if abs(after) > 1e-9 * (1.0 + abs(third)):
        if not abs(after) < 0.999 * abs(before):
            return math.copysign(math.inf, after)
        third += after * after / (before - after)
    return third if abs(third) > 1e-20 else 0.0


def _conjugate(f: Function, derivative: Function, at_zero: float, steepest: float, t: Tensor) -> Tensor:
    """u t - f(u) with f'(u) = t; -f(0) for t <= f'(0), inf from t = f'(inf) on."""
    xp = array_module(t._data)
    low, high = xp.full(t.shape, LOWEST), xp.full(t.shape, HIGHEST)
    for _ in range(70):
        middle = 0.5 * (low + high)
        below = derivative(xp.exp(middle)) < t.data
        low, high = xp.where(below, middle, low), xp.where(below, high, middle)
    first, beyond = low == LOWEST, (t.data >= steepest) | (high == HIGHEST)
    inside = Tensor(~(first | beyond))
    u = ops.where(inside, Tensor(xp.exp(0.5 * (low + high)).astype(t.dtype)), 1.0)
    if state.enabled and t.node is not None:
        for _ in range(2):  # Newton steps: they move u by rounding only, and give it the derivatives of the solution
            bend = _slope(derivative, u)
            curved = Tensor(inside.data & (bend.data > 0))
            u = u - ops.where(curved, derivative(u) - t, 0.0) / ops.where(curved, bend, 1.0)
    return ops.where(Tensor(beyond), math.inf, ops.where(inside, u * t - f(u), -at_zero))


# -- the divergence and its bound ------------------------------------------------------------------------------------
def _ratio(p: Tensor, q: Tensor) -> Tensor:
    """p/q, with 1 for 0/0 and inf for p/0 (or for a q so small that p/q is above the largest float)."""
    some = ops.greater(p + q, 0.0)
    return ops.where(some, p, 1.0) / ops.where(some, q, 1.0)


def _perspective(g: Generator, p: Tensor, q: Tensor) -> Tensor:
    """q f(p/q): q f(0) where p = 0, p f'(inf) where q = 0, and 0 where both are.

    The derivatives there are f(0) in q and f'(0) in p, f'(inf) in p; 0 stands for those that are infinite, or for q = 0.
    """
    u = _ratio(p, q)
    gone, lost = ops.equal(u, 0.0), ops.equal(u, math.inf)
    usual = Tensor(~(gone.data | lost.data))
    inside = q * g.f(_ratio(ops.where(usual, p, 1.0), ops.where(usual, q, 1.0)))
    start = float(g.derivative(0.0)) if bool(gone.data.any()) else 0.0
    at_zero = g.at_zero * q + (start if math.isfinite(start) else 0.0) * p if g.at_zero < math.inf else math.inf
    at_infinity = g.slope_at_infinity * p if g.slope_at_infinity < math.inf else math.inf
    return ops.where(usual, inside, ops.where(gone, at_zero + 0.0 * p, at_infinity))


@on_arrays("p", "q")
def f_divergence(p: Any, q: Any, f: str | Generator | Function) -> Any:
    """D_f(p || q) = sum over q > 0 of q f(p/q)  +  f'(inf) p(q = 0): Csiszar 1967; Ali, Silvey 1966.

    "kl", "reverse_kl", "pearson", "neyman", "hellinger", "jensen_shannon", "total_variation", "jeffreys" and "le_cam" are the
    functions of `divergences` of these names (chi_squared, hellinger_squared, jsd), with all their digits: so "hellinger" and
    "jensen_shannon" are half of what the f of table 1 in arXiv 1606.00709 gives. "gan" is 2 JSD - log 4: its f(1) is not 0.

    Args:
        p, q: probabilities, (..., n), broadcasting.
        f: a name in `GENERATORS`, a Generator, or a convex function of u = p/q written with operators and `ops`
            (:meth:`Generator.from_function`).

    Raises:
        ValueError: p or q is no table of probabilities, their shapes do not fit, or the name is unknown.
    """
    p, q = same_outcomes(p, q)
    return ops.sum(generator(f).terms(p, q), axis=-1)


@on_arrays("p", "q")
def optimal_t(p: Any, q: Any, f: str | Generator | Function) -> Any:
    """T = f'(p/q), which makes :func:`variational_bound` equal D_f(p || q); f'(inf) where q = 0 < p, f'(1) where both
    are 0.

    Where p/q is above 1e16 or so, T may round to the end of the domain of f*, where the bound is -inf: only raw outputs come
    that close (:func:`variational_bound_of_outputs`).

    Shapes as :func:`f_divergence`; the result has one value for each outcome.
    """
    g = generator(f)
    p, q = same_outcomes(p, q)
    lost = ops.equal(_ratio(p, q), math.inf)
    inside = g.derivative(_ratio(ops.where(lost, 1.0, p), ops.where(lost, 1.0, q)))
    return ops.where(lost, g.slope_at_infinity, inside)


def _bound(t: Tensor, conjugate: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """E_p t - E_q conjugate; what is never seen costs nothing, and -inf where one of the two is infinite."""
    gain = p * ops.where(ops.greater(p, 0.0), t, 0.0)
    cost = ops.where(ops.greater(q, 0.0), q * conjugate, 0.0)
    lost = ops.equal(ops.maximum(cost, -gain), math.inf)
    bound = ops.sum(ops.where(lost, 0.0, gain) - ops.where(lost, 0.0, cost), axis=-1)
    return ops.where(Tensor(lost.data.any(axis=-1)), -math.inf, bound)


@on_arrays("t", "p", "q")
def variational_bound(t: Any, p: Any, q: Any, f: str | Generator | Function) -> Any:
    """E_p T - E_q f*(T) <= D_f(p || q), with equality at T = f'(p/q) (Nguyen, Wainwright, Jordan 2010, arXiv 0809.0853;
    f-GAN eq. 4).

    Args:
        t: T, one value for each outcome, (..., n). Where q shows a T outside the domain of f*, the bound is -inf.
        p, q: probabilities, (..., n), broadcasting.
        f: as :func:`f_divergence`.

    Returns:
        (...), a float for one pair.

    Raises:
        ValueError: p or q is no table of probabilities, the three have another number of outcomes, or their leading axes do not
            broadcast.
    """
    g = generator(f)
    p, q, t = same_outcomes(p, q, t)
    inner = 0.0 if g.domain[1] == math.inf else g.domain[1] - 1.0
    return _bound(t, g.conjugate(ops.where(ops.greater(q, 0.0), t, inner)), p, q)


@on_arrays("v", "p", "q")
def variational_bound_of_outputs(v: Any, p: Any, q: Any, f: str | Generator | Function) -> Any:
    """:func:`variational_bound` of T = g_f(v), from a network's raw outputs v (any real numbers; f-GAN eq. 6).

    It stays finite and keeps its digits where g_f(v) rounds to the end of the domain of f*. Arguments as there.
    """
    g = generator(f)
    p, q, v = same_outcomes(p, q, v)
    return _bound(g.activation(v), g.conjugate_of_activation(ops.where(ops.greater(q, 0.0), v, 0.0)), p, q)


def f_gan_pair(f: str | Generator | Function) -> losses.Pair:
    """The losses of an f-GAN on raw outputs v: L_D = -(E g_f(v_real) - E f*(g_f(v_fake))), L_G = -E f*(g_f(v_fake)) (f-GAN
    eq. 6), to train with or for `dirac.DiracGAN`. "gan" is `minigan.losses.minimax`."""
    g = generator(f)

    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        return ops.mean(g.conjugate_of_activation(fake)) - ops.mean(g.activation(real))

    def against(fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -ops.mean(g.conjugate_of_activation(fake))

    return losses.Pair(discriminator, against)
