"""Elementwise operations: formula, forward, derivative and samples side by side.

Binary operations broadcast as NumPy does; the engine sums cotangents back to each input's shape. In the derivatives, g is
the cotangent of the result, y the result; a name with an underscore is not read and so not kept in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minigan.activation import FUSED, SLOPE, Activation, activation_of
from minigan.autodiff import Tensor, TensorLike, as_tensor, cotangents, primitive
from minigan.backend import Array, array_module
from minigan.checks import plain
from minigan.kernels import reference as kernels
from minigan.primitive import undifferentiable


def one(low: float = -2.0, high: float = 2.0, **options: Any) -> Any:
    """Samples for a unary operation: any shape, values in [low, high]."""
    return lambda draw: ((draw.array(draw.shape(), low, high, **options),), {})


def two(low: float = -2.0, high: float = 2.0, **options: Any) -> Any:
    """Samples for a binary operation: two shapes that broadcast."""

    def samples(draw: Any) -> Any:
        a, b = draw.broadcastable()
        return (draw.array(a, low, high, **options), draw.array(b, low, high, **options)), {}

    return samples


# -- arithmetic ------------------------------------------------------------------------------------------------------
@primitive(
    (lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g),
    samples=two(),
    kinds="n",
    broadcasts=True,
    plan=lambda a, b, out: kernels.add.plan(a, b, out),
)
def add(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """a + b;  da = g, db = g."""
    return array_module(a, b).add(a, b, out=out)


@primitive((lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: -g), samples=two(), kinds="n", broadcasts=True)
def subtract(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """a - b;  da = g, db = -g."""
    return array_module(a, b).subtract(a, b, out=out)


@primitive(
    (lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a),
    samples=two(),
    kinds="n",
    broadcasts=True,
    plan=lambda a, b, out: kernels.multiply.plan(a, b, out),
)
def multiply(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """a b;  da = g b, db = g a."""
    return array_module(a, b).multiply(a, b, out=out)


@primitive(
    (lambda g, _y, _a, b: g / b, lambda g, y, _a, b: -g * y / b),
    samples=lambda draw: _divide_samples(draw),
    broadcasts=True,
)
def divide(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """a / b;  da = g / b, db = -g (a/b) / b."""
    return array_module(a, b).divide(a, b, out=out)


def _divide_samples(draw: Any) -> Any:
    a, b = draw.broadcastable()
    return (draw.array(a), draw.array(b, 0.5, 2.0)), {}


@primitive((lambda g, _y, _x: -g,), samples=one(), kinds="n")
def negative(x: Array, *, out: Array | None = None) -> Array:
    """-x;  dx = -g."""
    return array_module(x).negative(x, out=out)


def _both_zero(a: Tensor, b: Tensor) -> Tensor:
    return equal(where(equal(b, 0.0), a, 1.0), 0.0)


def _power_in_base(g: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """g b a^(b-1), which is 0 at (0, 0), as for every other a, and not 0 * 0^-1 = NaN. (Without a derivative in b, b = 0 alone
    will do.)"""
    flat = _both_zero(a, b) if b.requires_grad else equal(b, 0.0)
    return g * (b * power(a, where(flat, 1.0, b - 1.0)))


def _power_in_exponent(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """g a^b log a, whose limit for a -> 0 is 0 where b > 0."""
    vanishes = equal(where(greater_equal(b, 0.0), a, 1.0), 0.0)
    return g * (y * log(where(vanishes, 1.0, a)))


@primitive(
    (
        lambda g, _y, a, b: _power_in_base(g, a, b),
        lambda g, y, a, b: _power_in_exponent(g, y, a, b),
    ),
    samples=lambda draw: _power_samples(draw),
    kinds="n",
    broadcasts=True,
)
def power(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """a^b;  da = g b a^(b-1), db = g a^b log a.

    At a = 0: da is 0 for b = 0 and b > 1, g for b = 1, infinite else. db is 0 for b > 0, its limit, and infinite for b < 0; at
    (0, 0), where it has none (a^0 log a -> -inf), it is 0 by convention, as elsewhere, so that a masked element stays harmless.
    For a < 0 real powers are defined at integers b only, and db is NaN. Integers to the power of integers >= 0 stay integers.
    """
    return array_module(a, b).power(a, b, out=out)


def _power_samples(draw: Any) -> Any:
    a, b = draw.broadcastable()
    return (draw.array(a, 0.3, 2.0), draw.array(b, -2.0, 3.0)), {}


@primitive((lambda g, _y, x: g * (2.0 * x),), samples=one(), kinds="n")
def square(x: Array, *, out: Array | None = None) -> Array:
    """x^2;  dx = 2 g x."""
    return array_module(x).multiply(x, x, out=out)


@primitive((lambda g, y, _x: g / (2.0 * y),), samples=one(0.2, 4.0))
def sqrt(x: Array, *, out: Array | None = None) -> Array:
    """sqrt(x), x >= 0;  dx = g / (2 sqrt(x)): infinite at 0. For lengths of vectors use `norm`, which is safe there."""
    return array_module(x).sqrt(x, out=out)


@primitive((lambda g, y, _x: g * y,), samples=one())
def exp(x: Array, *, out: Array | None = None) -> Array:
    """e^x;  dx = g e^x."""
    return array_module(x).exp(x, out=out)


@primitive((lambda g, _y, x: g * exp(x),), samples=one())
def expm1(x: Array, *, out: Array | None = None) -> Array:
    """e^x - 1, accurate near 0;  dx = g e^x (from x: y + 1 has lost its digits where y is near -1)."""
    return array_module(x).expm1(x, out=out)


@primitive((lambda g, _y, x: g / x,), samples=one(0.2, 4.0))
def log(x: Array, *, out: Array | None = None) -> Array:
    """log x, x > 0;  dx = g / x."""
    return array_module(x).log(x, out=out)


@primitive((lambda g, _y, x: g / (1.0 + x),), samples=one(-0.7, 3.0))
def log1p(x: Array, *, out: Array | None = None) -> Array:
    """log(1 + x), accurate near 0;  dx = g / (1 + x)."""
    return array_module(x).log1p(x, out=out)


@primitive((lambda g, _y, x: g * cos(x),), samples=one())
def sin(x: Array, *, out: Array | None = None) -> Array:
    """sin x;  dx = g cos x."""
    return array_module(x).sin(x, out=out)


@primitive((lambda g, _y, x: -g * sin(x),), samples=one())
def cos(x: Array, *, out: Array | None = None) -> Array:
    """cos x;  dx = -g sin x."""
    return array_module(x).cos(x, out=out)


@primitive((lambda g, _y, x: g * exp(-x * x) * (2.0 / math.sqrt(math.pi)),), samples=one())
def erf(x: Array) -> Array:
    """(2/sqrt(pi)) int_0^x e^(-t^2) dt;  dx = g (2/sqrt(pi)) e^(-x^2)."""
    return _special("erf", math.erf, x)


@primitive((lambda g, _y, x: g * exp(-x * x) * (-2.0 / math.sqrt(math.pi)),), samples=one())
def erfc(x: Array) -> Array:
    """1 - erf(x), with all its digits where it is small;  dx = -g (2/sqrt(pi)) e^(-x^2)."""
    return _special("erfc", math.erfc, x)


def _special(name: str, function: Any, x: Array) -> Array:
    if array_module(x) is not np:
        from cupyx.scipy import special

        return getattr(special, name)(x)
    return np.array([function(v) for v in x.ravel()], dtype=x.dtype).reshape(x.shape)


# -- pieces ----------------------------------------------------------------------------------------------------------
def slope_at_zero(g: Tensor, y: Tensor) -> Tensor | None:
    """dg/dy where the length y is 0, else 0; None where the cotangent g of y does not depend on y.

    A length |x| has no derivative at 0; h(|x|) has where h'(0) = 0, and then its second derivative is h''(0), in which g = h'(y)
    stands as dg/dy: the derivative of g x/y for x -> 0 is g/y -> dg/dy (L'Hopital). 0/0 does not tell; the graph of g does.
    """
    if g.node is None or y.node is None:
        return None
    (slope,) = cotangents([g], y, array_module(g._data).ones_like(g._data))
    return None if slope is None else where(equal(y, 0.0), slope, 0.0)


def _abs_cotangent(g: Tensor, y: Tensor, x: Tensor) -> Tensor:
    slope = slope_at_zero(g, y)
    return g * sign(x) if slope is None else g * sign(x) + slope * x


@primitive((lambda g, y, x: _abs_cotangent(g, y, x),), samples=one(avoid=0.1), kinds="n")
def abs(x: Array, *, out: Array | None = None) -> Array:
    """|x|;  dx = g sign(x), 0 at 0. The second derivative of h(|x|) at 0, with h'(0) = 0, is h''(0)."""
    return array_module(x).abs(x, out=out)


@primitive((lambda _g, _y, _x: None,), samples=one(avoid=0.1), kinds="n")
def sign(x: Array, *, out: Array | None = None) -> Array:
    """-1, 0 or 1;  dx = 0."""
    return array_module(x).sign(x, out=out)


def _between_steps(draw: Any) -> Any:
    """Values that are nowhere near a whole or a half number."""
    shape = draw.shape()
    whole, part = np.floor(draw.array(shape, -3.0, 3.0)), draw.array(shape, 0.1, 0.4)
    return (whole + part + 0.5 * draw.mask(shape),), {}


@primitive((lambda _g, _y, _x: None,), samples=_between_steps, kinds="n")
def floor(x: Array) -> Array:
    """The largest whole number <= x;  dx = 0."""
    return array_module(x).floor(x).astype(x.dtype, copy=False)


@primitive((lambda _g, _y, _x: None,), samples=_between_steps, kinds="n")
def ceil(x: Array) -> Array:
    """The smallest whole number >= x;  dx = 0."""
    return array_module(x).ceil(x).astype(x.dtype, copy=False)


@primitive((lambda _g, _y, _x: None,), samples=_between_steps, kinds="n")
def round(x: Array) -> Array:
    """The nearest whole number, of two the even one;  dx = 0 (see `straight_through`)."""
    return array_module(x).rint(x).astype(x.dtype, copy=False)


def _share(g: Tensor, wins: Tensor, ties: Tensor) -> Tensor:
    """The whole cotangent where an input wins alone, half of it where both are equal."""
    return g * (cast(wins, dtype=g.dtype) + 0.5 * cast(ties, dtype=g.dtype))


@primitive(
    (
        lambda g, _y, a, b: _share(g, greater(a, b), equal(a, b)),
        lambda g, _y, a, b: _share(g, less(a, b), equal(a, b)),
    ),
    samples=two(distinct=True),
    kinds="n",
    broadcasts=True,
)
def maximum(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """max(a, b);  the cotangent goes to the larger input, half to each where they are equal."""
    return array_module(a, b).maximum(a, b, out=out)


@primitive(
    (
        lambda g, _y, a, b: _share(g, less(a, b), equal(a, b)),
        lambda g, _y, a, b: _share(g, greater(a, b), equal(a, b)),
    ),
    samples=two(distinct=True),
    kinds="n",
    broadcasts=True,
)
def minimum(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """min(a, b);  the cotangent goes to the smaller input, half to each where they are equal."""
    return array_module(a, b).minimum(a, b, out=out)


@primitive(
    (
        lambda _g, _y, _c, _a, _b: None,
        lambda g, _y, c, _a, _b: where(c, g, 0.0),
        lambda g, _y, c, _a, _b: where(c, 0.0, g),
    ),
    samples=lambda draw: _where_samples(draw),
    kinds="bn",
    broadcasts=True,
)
def where(condition: Array, a: Array, b: Array) -> Array:
    """a where `condition`, else b;  da = g where `condition`, else 0; db the other way round. The condition (bool) is a
    constant. A NaN in the branch not taken stays out of the value, but its derivative there must be finite: mask first."""
    return array_module(condition, a, b).where(condition, a, b)


def _where_samples(draw: Any) -> Any:
    a, b = draw.broadcastable()
    return (draw.mask(a), draw.array(a), draw.array(b)), {}


def clip(x: TensorLike, low: TensorLike | None = None, high: TensorLike | None = None) -> Tensor:
    """min(max(x, low), high);  dx = g inside the interval, 0 outside, g/2 on its ends.

    Raises:
        ValueError: no limit, or two numbers with low > high, between which nothing lies.
    """
    if low is None and high is None:
        raise ValueError("clip: got neither low nor high")
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and not low <= high:
        raise ValueError(f"clip: got low {low} and high {high}, expected low <= high")
    raised = as_tensor(x) if low is None else maximum(x, low)
    return raised if high is None else minimum(raised, high)


# -- activations -----------------------------------------------------------------------------------------------------
def rows(x: Array) -> Array:
    """`x` as (rows, channels), the shape kernels work on; a copy only when it is not contiguous."""
    x = array_module(x).ascontiguousarray(x)
    return x.reshape(-1, x.shape[-1] if x.ndim and x.shape[-1] else 1)


def draw_activation(draw: Any) -> Activation:
    """A fused one, for samples."""
    return Activation(draw.choice(FUSED), draw.choice((0.2, 0.01, 1.5)))


def _activation_samples(count: int) -> Any:
    def samples(draw: Any) -> Any:
        shape = draw.shape()
        arrays = tuple(draw.array(shape, -0.9, 0.9, avoid=0.05) for _ in range(count))
        return arrays, {"f": draw_activation(draw)}

    return samples


def _plain_activation(x: Tensor, f: Activation) -> Tensor:
    """The composite each fused activation equals."""
    if f.kind == "tanh":
        return 2.0 / (1.0 + exp(-2.0 * x)) - 1.0
    if f.kind == "sigmoid":
        return 1.0 / (1.0 + exp(-x))
    return where(greater(x, 0.0), x, x * f.slope)


def _plain_activation_backward(g: Tensor, y: Tensor, f: Activation) -> Tensor:
    if f.kind == "tanh":
        return g * (1.0 - y * y)
    if f.kind == "sigmoid":
        return g * (y * (1.0 - y))
    return where(greater(y, 0.0), g, g * f.slope)


@primitive(
    (lambda g, y, _x, f: apply_backward(g, y, f=f),),
    samples=_activation_samples(1),
    equals=_plain_activation,
    name="activation",
)
def apply_fused(x: Array, *, f: Activation, out: Array | None = None) -> Array:
    """f(x), f one of linear, relu, leaky_relu, tanh, sigmoid;  dx = g f'(x), read off the result."""
    out = array_module(x).empty(x.shape, x.dtype) if out is None else out
    kernels.bias_activation(rows(x), None, f, rows(out))
    return out


def _curvature(g: Tensor, y: Tensor, u: Tensor, kind: str) -> Tensor | None:
    """d/dy of <u, g f'(y)>: f'(y) is piecewise constant but for tanh (-2y) and sigmoid (1 - 2y)."""
    if kind == "tanh":
        return u * g * (-2.0 * y)
    return u * g * (1.0 - 2.0 * y) if kind == "sigmoid" else None


@primitive(
    (
        lambda u, _r, _g, y, f: apply_backward(u, y, f=f),
        lambda u, _r, g, y, f: _curvature(g, y, u, f.kind),
    ),
    samples=_activation_samples(2),
    equals=_plain_activation_backward,
    plan=lambda g, y, f, out: kernels.activation_backward.plan(g, y, f, out),
    name="activation_backward",
)
def apply_backward(g: Array, y: Array, *, f: Activation, out: Array | None = None) -> Array:
    """g f'(x) as a function of g and y = f(x): linear g; relu g [y > 0]; leaky_relu g (1 or slope); tanh g (1 - y^2);
    sigmoid g y (1 - y). Bilinear in g; in y as :func:`_curvature` says."""
    out = array_module(g).empty(g.shape, g.dtype) if out is None else out
    kernels.activation_backward(rows(g), rows(y), f, rows(out))
    return out


def activation(x: TensorLike, kind: str | Activation | None, *, slope: float = SLOPE) -> Tensor:
    """f(x), f by name: linear (or None), relu, leaky_relu, tanh, sigmoid, softplus, elu, gelu, silu; or a value made before.

    `slope`, > 0, is that of leaky_relu below zero.

    Raises:
        TypeError, ValueError: as :class:`minigan.activation.Activation`.
    """
    f = activation_of("activation", kind, slope)
    return apply_fused(x, f=f) if f.fused else COMPOSED[f.kind](x)


def activation_backward(g: TensorLike, y: TensorLike, kind: str | Activation | None, *, slope: float = SLOPE) -> Tensor:
    """g f'(x), read off y = f(x), for the fused f: linear, relu, leaky_relu, tanh, sigmoid.

    Exact but for the rounding of y: where tanh and sigmoid saturate, y (1 - y) and 1 - y^2 err by an epsilon, which may be all.

    Raises:
        TypeError, ValueError: as :class:`minigan.activation.Activation`; ValueError for f that is not fused.
    """
    f = activation_of("activation_backward", kind, slope)
    if not f.fused:
        raise ValueError(f"activation_backward: got {f.kind!r}, expected one of {FUSED}")
    return apply_backward(g, y, f=f)


def relu(x: TensorLike) -> Tensor:
    """max(x, 0);  dx = g [x > 0]."""
    return apply_fused(x, f=_RELU)


def leaky_relu(x: TensorLike, *, slope: float = SLOPE) -> Tensor:
    """x for x > 0, slope x below;  dx = g (1 or slope). `slope` > 0 (Maas, Hannun, Ng 2013)."""
    return apply_fused(x, f=activation_of("leaky_relu", "leaky_relu", slope))


def tanh(x: TensorLike) -> Tensor:
    """tanh x;  dx = g (1 - y^2)."""
    return apply_fused(x, f=_TANH)


def sigmoid(x: TensorLike) -> Tensor:
    """1 / (1 + e^-x), no overflow;  dx = g y (1 - y)."""
    return apply_fused(x, f=_SIGMOID)


_RELU, _TANH, _SIGMOID = Activation("relu"), Activation("tanh"), Activation("sigmoid")


@primitive((lambda g, _y, x: g * sigmoid(x),), samples=one(-20.0, 20.0))
def softplus(x: Array, *, out: Array | None = None) -> Array:
    """log(1 + e^x) = max(x, 0) + log1p(e^-|x|), no overflow;  dx = g sigmoid(x)."""
    xp = array_module(x)
    return xp.add(xp.maximum(x, 0), xp.log1p(xp.exp(-xp.abs(x))), out=out)


def elu(x: TensorLike, *, alpha: float = 1.0) -> Tensor:
    """x for x > 0, alpha (e^x - 1) below;  dx = g, below g alpha e^x; at 0, where alpha != 1 makes a kink, g alpha
    (Clevert et al. 2015, arXiv 1511.07289)."""
    positive = greater(x, 0.0)
    return where(positive, x, plain("elu", "alpha", alpha) * expm1(where(positive, 0.0, x)))


def gelu(x: TensorLike, *, approximate: str = "none") -> Tensor:
    """x Phi(x) = x erfc(-x / sqrt 2) / 2 (Hendrycks, Gimpel 2016, arXiv 1606.08415); `approximate="tanh"` gives
    x (1 + tanh u) / 2 = x sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3). Neither loses digits on the left."""
    if approximate == "none":
        return 0.5 * multiply(x, erfc(multiply(x, -math.sqrt(0.5))))
    if approximate != "tanh":
        raise ValueError(f"gelu: got approximate={approximate!r}, expected 'none' or 'tanh'")
    return multiply(x, sigmoid(2 * math.sqrt(2 / math.pi) * add(x, 0.044715 * power(x, 3.0))))


def silu(x: TensorLike) -> Tensor:
    """x sigmoid(x), also called swish."""
    return multiply(x, sigmoid(x))


COMPOSED: dict[str, Callable[..., Tensor]] = {"softplus": softplus, "elu": elu, "gelu": gelu, "silu": silu}


# -- losses ----------------------------------------------------------------------------------------------------------
@primitive(
    (
        lambda g, _y, logits, target: g * (sigmoid(logits) - target),
        lambda g, _y, logits, _target: -g * logits,
    ),
    samples=lambda draw: _bce_samples(draw),
    equals=lambda logits, target: maximum(logits, 0.0) - logits * target + log1p(exp(-abs(logits))),
)
def bce_with_logits(logits: Array, target: Array, *, out: Array | None = None) -> Array:
    """Binary cross entropy of labels t and probabilities s(l), each element by itself:

        max(l, 0) - l t + log1p(e^-|l|)  =  -t log s(l) - (1-t) log(1 - s(l)),   s the sigmoid.

    Finite for every finite logit;  dl = g (s(l) - t), dt = -g l. Equal shapes.
    """
    if logits.shape != target.shape:
        raise ValueError("expected logits and targets of equal shape; broadcast the targets with ops.broadcast_to")
    out = array_module(logits).empty(logits.shape, logits.dtype) if out is None else out
    kernels.bce_with_logits(rows(logits), rows(target), rows(out))
    return out


def _bce_samples(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape, -30.0, 30.0), draw.array(shape, 0.0, 1.0)), {}


def _softplus_slope(g: Tensor, x: Tensor, sign: float) -> Tensor:
    return g * (sign / x.size) * sigmoid(sign * x)


@primitive(
    (lambda g, _y, x, sign: _mean_softplus_backward(g, x, sign=sign),),
    samples=lambda draw: ((draw.array(draw.shape(min_side=1), -20.0, 20.0),), {"sign": draw.choice((1.0, -1.0))}),
    composite=lambda x, sign: softplus(sign * x).mean(),
    name="mean_softplus",
)
def _mean_softplus(x: Array, *, sign: float, out: Array | None = None) -> Array:
    out = array_module(x).empty((), x.dtype) if out is None else out
    kernels.mean_softplus(array_module(x).ascontiguousarray(x), sign, out)
    return out


@primitive(
    undifferentiable("mean_softplus: its composite is differentiated instead of its backward kernel"),
    samples=lambda draw: ((draw.array(()), draw.array(draw.shape(min_side=1), -9.0, 9.0)), {"sign": -1.0}),
    equals=_softplus_slope,
    name="mean_softplus_backward",
)
def _mean_softplus_backward(g: Array, x: Array, *, sign: float, out: Array | None = None) -> Array:
    xp = array_module(x)
    out = xp.empty(x.shape, x.dtype) if out is None else out
    kernels.mean_softplus_backward(g, xp.ascontiguousarray(x), sign, out)
    return out


def mean_softplus(x: TensorLike, *, sign: float = 1.0) -> Tensor:
    """mean of log(1 + e^(sign x)) over all elements, fused: the logistic GAN losses are sums of these.

    With a logit l, -log D = softplus(-l) and -log(1 - D) = softplus(l).  dx = g (sign / n) sigmoid(sign x).
    """
    if sign not in (1, -1):
        raise ValueError(f"mean_softplus: got sign {sign}, expected 1 or -1")
    x = as_tensor(x)
    if not x.size:
        raise ValueError(f"mean_softplus: got shape {x.shape}, expected at least one element")
    return _mean_softplus(x, sign=plain("mean_softplus", "sign", sign))


# -- comparisons and conversions: constants for the derivative -------------------------------------------------------
@primitive(samples=two(), kinds="c", broadcasts=True)
def less(a: Array, b: Array) -> Array:
    """a < b, as bool."""
    return array_module(a, b).less(a, b)


@primitive(samples=two(), kinds="c", broadcasts=True)
def less_equal(a: Array, b: Array) -> Array:
    """a <= b, as bool."""
    return array_module(a, b).less_equal(a, b)


@primitive(samples=two(), kinds="c", broadcasts=True)
def greater(a: Array, b: Array) -> Array:
    """a > b, as bool."""
    return array_module(a, b).greater(a, b)


@primitive(samples=two(), kinds="c", broadcasts=True)
def greater_equal(a: Array, b: Array) -> Array:
    """a >= b, as bool."""
    return array_module(a, b).greater_equal(a, b)


@primitive(samples=two(), kinds="c", broadcasts=True)
def equal(a: Array, b: Array) -> Array:
    """a == b elementwise, as bool."""
    return array_module(a, b).equal(a, b)


@primitive(
    (lambda g, _y, _x, dtype: cast(g, dtype=_x.dtype),),
    samples=lambda draw: ((draw.array(draw.shape()),), {"dtype": np.dtype(np.float64)}),
    kinds="b",
)
def cast(x: Array, *, dtype: DTypeLike) -> Array:
    """The same values in another dtype;  dx = g in the input's dtype (none for integers and bools)."""
    return x.astype(dtype)


@primitive((lambda g, _y, _x: g,), samples=one(), view=True)
def identity(x: Array) -> Array:
    """x itself, as a new place in the graph;  dx = g."""
    return x.view()


@primitive((lambda _g, _y, _x: None,), samples=one(), view=True)
def stop_gradient(x: Array) -> Array:
    """x as a constant;  dx = 0."""
    return x.view()
