"""Convolution, transposed convolution and the weight map: three faces of one trilinear form, closed under differentiation.

**The index relation.** Along each axis, a big position i and a small position o meet under tap k when

    i = o s + k d - p          s stride, d dilation, p padding before the first element

    kernel 3, stride 2, p = 1:      small o       0       1       2
                                    taps k      0 1 2   0 1 2   0 1 2
                                    big i      -1 0 1   1 2 3   3 4 5        (-1 is padding: a zero, left out)

**One form, three maps.** With x on big positions (N, *big, a), g on small ones (N, *small, b) and w a kernel (*kernel, a, b),

    T(x, w, g) = sum over n and all (i, o, k) that meet of  x[n, i]^T w[k] g[n, o]

is linear in each argument, so it is three maps, each the derivative of T in the argument that it lacks:

    conv(x, w)[n, o]           = sum over (i, k) of  w[k]^T x[n, i]          = dT/dg
    conv_transpose(g, w)[n, i] = sum over (o, k) of  w[k]  g[n, o]           = dT/dx
    conv_weight(x, g)[k]       = sum over n, (i, o) of  x[n, i] g[n, o]^T    = dT/dw

Hence <conv(x, w), g> = <x, conv_transpose(g, w)> = <w, conv_weight(x, g)>, which is tested exactly, and the derivative of each
map is the two others, for every order:

    conv(x, w)            d/dx -> conv_transpose(g, w)     d/dw -> conv_weight(x, g)
    conv_transpose(g, w)  d/dg -> conv(u, w)               d/dw -> conv_weight(u, g)
    conv_weight(x, g)     d/dx -> conv_transpose(g, u)     d/dg -> conv(x, u)

**As matrices.** For a fixed w, conv is x -> A x. One axis, one channel, big 5, kernel (w0, w1, w2), stride 2, p = 1:

        | w1 w2  .  .  . |                     | w1  .  . |
    A = |  . w0 w1 w2  . |     and so    A^T = | w2 w0  . |
        |  .  .  . w0 w1 |                     |  . w1  . |
                                               |  . w2 w0 |
                                               |  .  . w1 |

conv_transpose multiplies by A^T: it is the adjoint, not the inverse. Its rows show that a stride-2 transposed convolution is
two small convolutions interleaved: even outputs meet w1 only, odd ones w2 and w0.

(Dumoulin, Visin 2016, arXiv 1603.07285, draws all cases. As everywhere in deep learning, "convolution" is correlation: the
kernel is not turned round.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numpy.typing import DTypeLike

from minigan import backend
from minigan.activation import LINEAR, SLOPE, Activation, activation_of
from minigan.autodiff import Tensor, TensorLike, as_tensor, primitive, run
from minigan.backend import Array, array_module
from minigan.kernels import geometry
from minigan.kernels import reference as kernels
from minigan.kernels.cpu import conv_cost
from minigan.kernels.cpu.conv_cost import algorithm as conv_algorithm
from minigan.kernels.geometry import Geometry
from minigan.ops.elementwise import activation as activation_
from minigan.ops.elementwise import add, apply_backward, apply_fused, draw_activation
from minigan.ops.reduction import sum as sum_
from minigan.ops.shape import reshape

__all__ = ["ConvPlan", "conv", "conv_algorithm", "conv_plan", "conv_transpose", "conv_weight"]


def _cotangent(g: Tensor, y: Tensor, f: Activation) -> Tensor:
    """d = g f'(z): the cotangent before the activation, read off y = f(z)."""
    return g if f.kind == "linear" else apply_backward(g, y, f=f)


def _bias_sums(needs: Any, d: Tensor) -> list[Tensor | None]:
    return [sum_(reshape(d, (d.size // d.shape[-1], d.shape[-1])), 0) if need else None for need in needs]


def _conv_cotangents(
    needs: Any, g: Tensor, y: Tensor, x: Tensor, w: Tensor, *_b: Any, geometry: Geometry, f: Activation
) -> Any:
    d = _cotangent(g, y, f)
    dx = run("conv_transpose", d, w, geometry=geometry, f=LINEAR) if needs[0] else None
    dw = run("conv_weight", x, d, geometry=geometry) if needs[1] else None
    return [dx, dw, *_bias_sums(needs[2:], d)]


def _transpose_cotangents(
    needs: Any, g: Tensor, y: Tensor, small: Tensor, w: Tensor, *_b: Any, geometry: Geometry, f: Activation
) -> Any:
    d = _cotangent(g, y, f)
    ds = run("conv", d, w, geometry=geometry, f=LINEAR) if needs[0] else None
    dw = run("conv_weight", d, small, geometry=geometry) if needs[1] else None
    return [ds, dw, *_bias_sums(needs[2:], d)]


def _composite(name: str) -> Callable[..., Tensor]:
    """The unfused equal of a map with bias and activation."""

    def composite(x: Tensor, w: Tensor, *b: Tensor, geometry: Geometry, f: Activation) -> Tensor:
        z = run(name, x, w, geometry=geometry, f=LINEAR)
        return apply_fused(add(z, b[0]) if b else z, f=f)

    return composite


def _draw_geometry(draw: Any) -> Geometry:
    n = draw.integer(1, 3)
    kernel, stride, dilation, big, low = (
        tuple(draw.integer(least, most) for _ in range(n)) for least, most in ((1, 3), (1, 3), (1, 2), (1, 4), (0, 1))
    )
    small = tuple(draw.integer(1, 3) for _ in range(n))  # the relation holds for any sizes: some positions meet nothing
    return Geometry(kernel, stride, dilation, low, big, small)


def _samples(transposed: bool) -> Callable[[Any], Any]:
    def samples(draw: Any) -> Any:
        geo = _draw_geometry(draw)
        n, a, b = draw.integer(0, 2), draw.integer(1, 2), draw.integer(1, 2)
        x = draw.array((n, *geo.small, b) if transposed else (n, *geo.big, a))
        bias = (draw.array((a if transposed else b,)),) if draw.choice((True, False)) else ()
        params = {"geometry": geo, "f": draw_activation(draw)}
        return (x, draw.array((*geo.kernel, a, b)), *bias), params

    return samples


def _weight_samples(draw: Any) -> Any:
    geo = _draw_geometry(draw)
    n, a, b = draw.integer(0, 2), draw.integer(1, 2), draw.integer(1, 2)
    return (draw.array((n, *geo.big, a)), draw.array((n, *geo.small, b))), {"geometry": geo}


def _buffer(like: Array, shape: tuple[int, ...], out: Array | None) -> Array:
    return array_module(like).empty(shape, like.dtype) if out is None else out


def _dense(*arrays: Array) -> list[Array]:
    """The arrays, contiguous: kernels walk along the last axis."""
    return [array_module(a).ascontiguousarray(a) for a in arrays]


def _plan_data(kernel: Any) -> Callable[..., Any]:
    """The plan of a data map, where its arrays are contiguous (a copy would be planned instead of the array)."""

    def plan(x: Array, w: Array, *b: Array, geometry: Geometry, f: Activation, out: Array) -> Any:
        if not all(a.flags.c_contiguous for a in (x, w, out, *b)):
            return None
        return kernel.plan(x, w, b[0] if b else None, geometry, f, out)

    return plan


def _plan_weight(x: Array, g: Array, *, geometry: Geometry, out: Array) -> Any:
    whole = all(a.flags.c_contiguous for a in (x, g, out))
    return kernels.conv_weight.plan(x, g, geometry, out) if whole else None


@primitive(
    _conv_cotangents, samples=_samples(False), equals=_composite("conv"), plan=_plan_data(kernels.conv), name="conv"
)
def _conv(x: Array, w: Array, *b: Array, geometry: Geometry, f: Activation, out: Array | None = None) -> Array:
    y = _buffer(x, (len(x), *geometry.small, w.shape[-1]), out)
    x, w, *b = _dense(x, w, *b)  # type: ignore[assignment]
    kernels.conv(x, w, b[0] if b else None, geometry, f, y)
    return y


@primitive(
    _transpose_cotangents,
    samples=_samples(True),
    equals=_composite("conv_transpose"),
    plan=_plan_data(kernels.conv_transpose),
    name="conv_transpose",
)
def _conv_transpose(
    g: Array, w: Array, *b: Array, geometry: Geometry, f: Activation, out: Array | None = None
) -> Array:
    y = _buffer(g, (len(g), *geometry.big, w.shape[-2]), out)
    g, w, *b = _dense(g, w, *b)  # type: ignore[assignment]
    kernels.conv_transpose(g, w, b[0] if b else None, geometry, f, y)
    return y


@primitive(
    (
        lambda u, _y, _x, g, geometry: run("conv_transpose", g, u, geometry=geometry, f=LINEAR),
        lambda u, _y, x, _g, geometry: run("conv", x, u, geometry=geometry, f=LINEAR),
    ),
    samples=_weight_samples,
    plan=_plan_weight,
    name="conv_weight",
)
def _conv_weight(x: Array, g: Array, *, geometry: Geometry, out: Array | None = None) -> Array:
    y = _buffer(x, (*geometry.kernel, x.shape[-1], g.shape[-1]), out)
    x, g = _dense(x, g)
    kernels.conv_weight(x, g, geometry, y)
    return y


# -- what a reader calls ---------------------------------------------------------------------------------------------
def _check(name: str, x: Tensor, w: Tensor, b: Tensor | None, expected: str, axis: int) -> None:
    """Ranks and channels: x's last axis meets w's axis `axis`, and b the other."""
    other = -3 - axis
    good = 3 <= w.ndim <= 5 and x.ndim == w.ndim and min(w.shape, default=0) > 0
    if not good or x.shape[-1] != w.shape[axis] or (b is not None and b.shape != w.shape[other : other + 1 or None]):
        raise ValueError(
            f"{name}: got x {x.shape}, w {w.shape}, b {None if b is None else b.shape}; expected {expected}"
        )


def _apply(op: Callable[..., Tensor], x: Tensor, w: Tensor, b: Tensor | None, geo: Geometry, f: Activation) -> Tensor:
    if not f.fused:
        return activation_(_apply(op, x, w, b, geo, LINEAR), f)
    return op(x, w, *(() if b is None else (b,)), geometry=geo, f=f)


def conv(
    x: TensorLike,
    w: TensorLike,
    b: TensorLike | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: geometry.Padding = "same",
    dilation: int | Sequence[int] = 1,
    activation: str | Activation | None = None,
    slope: float = SLOPE,
) -> Tensor:
    """activation(b + sum over taps k of x[n, o s + k d - p] w[k]), fused; 1 to 3 spatial axes, channels last.

    Args:
        x: (N, *sizes, in).  w: (*kernel, in, out).  b: (out,) or None.
        stride, dilation: an integer, or one an axis.
        padding: "same" (ceil(size / stride) outputs; the odd zero of an uneven padding comes last), "valid" (none), an
            integer, one an axis, or a pair (before, after) an axis.
        activation: as :func:`dense`.  slope: of leaky_relu below zero, > 0.

    Returns:
        (N, *floor((size + before + after - (kernel - 1) d - 1) / s) + 1, out).

    Raises:
        ValueError: shapes that do not fit together, a kernel that does not fit into the padded input.
    """
    x, w, b = as_tensor(x), as_tensor(w), None if b is None else as_tensor(b)
    _check("conv", x, w, b, "x (N, *sizes, in), w (*kernel, in, out), b (out,)", -2)
    geo = geometry.of_conv(w.shape[:-2], stride, padding, dilation, x.shape[1:-1])
    return _apply(_conv, x, w, b, geo, activation_of("conv", activation, slope))


def conv_transpose(
    g: TensorLike,
    w: TensorLike,
    b: TensorLike | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: geometry.Padding = "same",
    output_size: int | Sequence[int] | None = None,
    dilation: int | Sequence[int] = 1,
    activation: str | Activation | None = None,
    slope: float = SLOPE,
) -> Tensor:
    """activation(b + A^T g), where A x = conv(x, w) with the same stride, padding and dilation: the exact adjoint, fused.

    Args:
        g: (N, *sizes, in).  w: (*kernel, out, in): the array of the convolution that it transposes.  b: (out,) or None.
        output_size: sizes of the result, any that `conv` maps to those of g; it takes the place of an "output padding".
            Default: sizes * stride for "same", else the least, (size - 1) s + (kernel - 1) d + 1 - before - after.
        Others: as :func:`conv`.

    Returns:
        (N, *output_size, out).

    Raises:
        ValueError: shapes that do not fit together, an `output_size` that `conv` does not map to the sizes of g.
    """
    g, w, b = as_tensor(g), as_tensor(w), None if b is None else as_tensor(b)
    _check("conv_transpose", g, w, b, "x (N, *sizes, in), w (*kernel, out, in), b (out,)", -1)
    geo = geometry.of_transpose(w.shape[:-2], stride, padding, dilation, g.shape[1:-1], output_size)
    return _apply(_conv_transpose, g, w, b, geo, activation_of("conv_transpose", activation, slope))


def conv_weight(
    x: TensorLike,
    g: TensorLike,
    *,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: geometry.Padding = "same",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """sum over n and positions of x[n, o s + k d - p] g[n, o]^T: the derivative of <conv(x, w), g> in w.

    Args:
        x: (N, *sizes, in), the input of a convolution.  g: (N, *its output's sizes, out), the cotangent of its output.
        kernel_size: an integer, or one an axis.  Others: as :func:`conv`.

    Returns:
        (*kernel_size, in, out).

    Raises:
        ValueError: shapes that do not fit together.
    """
    x, g = as_tensor(x), as_tensor(g)
    if not 3 <= x.ndim <= 5 or x.ndim != g.ndim or len(x) != len(g):
        raise ValueError(f"conv_weight: got x {x.shape}, g {g.shape}; expected x (N, *sizes, in), g (N, *sizes, out)")
    kernel = geometry.per_axis("kernel_size", kernel_size, x.ndim - 2)
    geo = geometry.of_conv(kernel, stride, padding, dilation, x.shape[1:-1], "conv_weight")
    if geo.small != g.shape[1:-1]:
        raise ValueError(
            f"conv_weight: got g with sizes {g.shape[1:-1]}, expected {geo.small}: what a kernel of {kernel} with stride "
            f"{geo.stride}, padding {padding!r} and dilation {geo.dilation} makes of x's {geo.big}"
        )
    return _conv_weight(x, g, geometry=geo)


# -- which algorithm -------------------------------------------------------------------------------------------------
class ConvPlan(NamedTuple):
    """What `conv_plan` returns; printed, it is a table."""

    problem: conv_cost.Problem
    choices: list[conv_cost.Choice]

    @property
    def algorithm(self) -> str:
        """The algorithm that runs."""
        return self.choices[0].algorithm

    def __str__(self) -> str:
        q = self.problem
        head = f"{q.which}: {q.images} images, {q.ins} -> {q.outs} channels, {q.geometry}"
        tile = f"tiles of {q.tile}" if q.tile else "no register tiles on this processor"
        rows = [f"{'->' if i == 0 else '  '} {choice}" for i, choice in enumerate(self.choices)]
        return "\n".join([head, f"{tile}; by the model {q.rates}, {conv_cost.TEAM} threads", *rows])


def conv_plan(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    *,
    which: str = "conv",
    stride: int | Sequence[int] = 1,
    padding: geometry.Padding = "same",
    output_size: int | Sequence[int] | None = None,
    dilation: int | Sequence[int] = 1,
    dtype: DTypeLike | None = None,
) -> ConvPlan:
    """Which algorithm the CPU takes for a convolution, and what the others would cost: `print(conv_plan(...))`.

    Args:
        x_shape: of the first argument of the map.  w_shape: (*kernel, in, out), for `conv_transpose` (*kernel, out, in).
        which: "conv", "conv_transpose", or "conv_weight" (the weight gradient of the convolution of x_shape and w_shape).
        Others: as of these maps.

    Returns:
        Its choices, the one that runs first: algorithm, operations, bytes, milliseconds by the model, why.

    Raises:
        ValueError: an unknown map, shapes that do not fit.
    """
    if which not in conv_cost.MAPS:
        raise ValueError(f"conv_plan: got which={which!r}, expected one of {conv_cost.MAPS}")
    x_shape, w_shape = tuple(x_shape), tuple(w_shape)
    axis = -1 if which == "conv_transpose" else -2
    if len(x_shape) != len(w_shape) or not 3 <= len(x_shape) <= 5 or x_shape[-1] != w_shape[axis]:
        raise ValueError(f"conv_plan: got x {x_shape} and w {w_shape} for {which}, whose ranks and channels must agree")
    if which == "conv_transpose":
        geo = geometry.of_transpose(w_shape[:-2], stride, padding, dilation, x_shape[1:-1], output_size)
    else:
        geo = geometry.of_conv(w_shape[:-2], stride, padding, dilation, x_shape[1:-1])
    from minigan.kernels.cpu import conv as cpu_conv  # Numba is not imported before a kernel is needed

    problem = cpu_conv.problem(which, x_shape[0], w_shape[-2], w_shape[-1], geo, backend.as_float_dtype(dtype))
    first = conv_cost.choose(problem)
    return ConvPlan(problem, [first, *(c for c in conv_cost.choices(problem) if c != first)])
