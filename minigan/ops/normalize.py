"""Normalisation over the batch (batch norm), over the features (layer norm), and over groups of channels (group norm).

All are fused forward and backward. Their backward kernels are first order only: when a graph of the backward
is wanted, the engine differentiates the composite instead, in which mean and variance are functions of x. Treating them as
constants is the classic batch-norm bug.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.activation import LINEAR, SLOPE, Activation, activation_of
from minigan.autodiff import Tensor, TensorLike, as_tensor, primitive
from minigan.backend import Array, array_module
from minigan.checks import plain, whole
from minigan.kernels import reference as kernels
from minigan.ops.elementwise import activation as activation_
from minigan.ops.elementwise import apply_fused, draw_activation, rows, sqrt, square
from minigan.ops.reduction import mean, var
from minigan.ops.reduction import sum as sum_
from minigan.ops.shape import broadcast_to, reshape
from minigan.primitive import undifferentiable

_NO_SECOND = undifferentiable("a normalisation's backward kernel has no derivative; its composite is replayed instead")


def _samples(draw: Any, min_rows: int, min_channels: int) -> Any:
    n, c = draw.integer(min_rows, 6), draw.integer(min_channels, 5)
    return draw.array((n, c), distinct=True), draw.array((c,), 0.5, 1.5), draw.array((c,))


def _standardize(x: Tensor, eps: float, axis: int | tuple[int, ...]) -> Tensor:
    """(x - mean) / sqrt(var + eps), mean and biased variance over `axis`: plain operations, differentiable throughout."""
    return (x - mean(x, axis, keepdims=True)) / sqrt(var(x, axis, keepdims=True) + eps)


def _parts(packed: Any, x: Any) -> tuple[Any, Any, Any]:
    """dx, dgamma and dbeta, which a backward kernel leaves end to end: an operation has one result."""
    n, c = x.size, x.shape[-1]
    return packed[:n].reshape(x.shape), packed[n : n + c], packed[n + c :]


def _packed_like(x: Array) -> Array:
    return array_module(x).empty(x.size + 2 * x.shape[-1], x.dtype)


# -- batch norm ------------------------------------------------------------------------------------------------------
def _plan_batch_norm_backward(
    g: Array, x: Array, y: Array, gamma: Array, *, eps: float, f: Activation, out: Array
) -> Any:
    return kernels.batch_norm_backward.plan(g, x, y, gamma, eps, f, *_parts(out, x))


@primitive(_NO_SECOND, samples=None, plan=_plan_batch_norm_backward, name="batch_norm_backward")
def _batch_norm_backward(
    g: Array, x: Array, y: Array, gamma: Array, *, eps: float, f: Activation, out: Array | None = None
) -> Array:
    out = _packed_like(x) if out is None else out
    dx, dgamma, dbeta = _parts(out, x)
    g, x, y, gamma = (array_module(x).ascontiguousarray(a) for a in (g, x, y, gamma))
    kernels.batch_norm_backward(g, x, y, gamma, eps, f, dx, dgamma, dbeta)
    return out


def _batch_norm_cotangents(
    needs: Any,
    g: Tensor,
    y: Tensor,
    x: Tensor,
    gamma: Tensor,
    beta: Any,
    *,
    eps: float,
    f: Activation = LINEAR,
    statistics: Any = None,
) -> Any:
    """The statistics are not used: computing them again costs little beside reading x, and nobody can have overwritten them."""
    return _parts(_batch_norm_backward(g, x, y, gamma, eps=eps, f=f), x)


def _batch_norm_composite(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    eps: float,
    f: Activation = LINEAR,
    statistics: Any = None,
) -> Tensor:
    z = gamma * _standardize(x, eps, 0) + beta
    return z if f.kind == "linear" else apply_fused(z, f=f)


def _batch_norm_samples(draw: Any) -> Any:
    return _samples(draw, 2, 1), {"eps": 0.1, "f": draw_activation(draw)}


def _statistics_like(x: Array, statistics: Array | None) -> Array:
    return array_module(x).empty((2, x.shape[1]), x.dtype) if statistics is None else statistics


def _plan_batch_norm(
    x: Array,
    gamma: Array,
    beta: Array,
    *,
    eps: float,
    f: Activation = LINEAR,
    statistics: Any = None,
    out: Array,
) -> Any:
    statistics = _statistics_like(x, statistics)
    return kernels.batch_norm.plan(x, gamma, beta, eps, f, out, statistics)


@primitive(
    _batch_norm_cotangents,
    samples=_batch_norm_samples,
    composite=_batch_norm_composite,
    plan=_plan_batch_norm,
    name="batch_norm",
)
def _batch_norm(
    x: Array,
    gamma: Array,
    beta: Array,
    *,
    eps: float,
    f: Activation = LINEAR,
    statistics: Array | None = None,
    out: Array | None = None,
) -> Array:
    xp = array_module(x)
    out = xp.empty(x.shape, x.dtype) if out is None else out
    x, gamma, beta = (xp.ascontiguousarray(a) for a in (x, gamma, beta))
    kernels.batch_norm(x, gamma, beta, eps, f, out, _statistics_like(x, statistics))
    return out


def batch_norm(
    x: TensorLike,
    gamma: TensorLike,
    beta: TensorLike,
    *,
    eps: float = 1e-5,
    activation: str | Activation | None = None,
    slope: float = SLOPE,
    statistics: Array | None = None,
) -> Tensor:
    """f(gamma (x - mean) / sqrt(var + eps) + beta) with mean and biased variance of each channel over all other axes
    (Ioffe, Szegedy 2015, arXiv 1502.03167, algorithm 1), and an activation f in the same pass.

    With s = sqrt(var + eps), h = (x - mean)/s, u = g f'(gamma h + beta) and means over the batch,

        dx = (gamma/s) (u - mean(u) - h mean(u h)),   dgamma = sum(u h),   dbeta = sum(u).

    The two means are the derivatives of the statistics: h is orthogonal to 1 and, but for eps, to changes of its own length.

    Args:
        x: (..., C).  gamma, beta: (C,).
        eps: added to the variance, >= 0.
        activation, slope: as :func:`minigan.ops.dense`.
        statistics: an array (2, C) to be filled with mean and variance, also by each replay of a recording; or None.

    Raises:
        TypeError, ValueError: shapes that do not fit, one value a channel, eps < 0, an unknown activation or a slope not > 0.
    """
    x, gamma, beta = as_tensor(x), as_tensor(gamma), as_tensor(beta)
    _check("batch_norm", x, gamma, beta, eps)
    if statistics is not None and statistics.shape != (2, *gamma.shape):
        raise ValueError(f"batch_norm: got statistics {statistics.shape}, expected {(2, *gamma.shape)}")
    if x.size == x.shape[-1]:
        raise ValueError(
            f"batch_norm: got x {x.shape}, expected more than one value a channel: one alone would become beta, whatever it was; "
            "train with a batch of at least two, or use layer_norm, group_norm or instance_norm"
        )
    f = activation_of("batch_norm", activation, slope)
    if not f.fused:
        return activation_(batch_norm(x, gamma, beta, eps=eps, statistics=statistics), f)
    flat = x if x.ndim == 2 else reshape(x, (-1, x.shape[-1]))
    y = _batch_norm(flat, gamma, beta, eps=plain("batch_norm", "eps", eps), f=f, statistics=statistics)
    return y if x.ndim == 2 else reshape(y, x.shape)


def _check(name: str, x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> None:
    if x.ndim < 2 or not x.size or gamma.shape != x.shape[-1:] or beta.shape != x.shape[-1:] or eps < 0:
        raise ValueError(
            f"{name}: got x {x.shape}, gamma {gamma.shape}, beta {beta.shape}, eps {eps}; expected a non-empty x (..., C), "
            "gamma and beta (C,), eps >= 0"
        )


# -- layer norm ------------------------------------------------------------------------------------------------------
@primitive(_NO_SECOND, samples=None, name="layer_norm_backward")
def _layer_norm_backward(g: Array, x: Array, gamma: Array, *, eps: float) -> Array:
    out = _packed_like(x)
    g, x, gamma = (array_module(x).ascontiguousarray(a) for a in (g, x, gamma))
    kernels.layer_norm_backward(g, x, gamma, eps, *_parts(out, x))
    return out


@primitive(
    lambda needs, g, _y, x, gamma, beta, eps: _parts(_layer_norm_backward(g, x, gamma, eps=eps), x),
    samples=lambda draw: (_samples(draw, 1, 2), {"eps": 0.1}),
    composite=lambda x, gamma, beta, eps: gamma * _standardize(x, eps, 1) + beta,
    name="layer_norm",
)
def _layer_norm(x: Array, gamma: Array, beta: Array, *, eps: float, out: Array | None = None) -> Array:
    out = array_module(x).empty(x.shape, x.dtype) if out is None else out
    kernels.layer_norm(rows(x), gamma, beta, eps, out)
    return out


def layer_norm(x: TensorLike, gamma: TensorLike, beta: TensorLike, *, eps: float = 1e-5) -> Tensor:
    """gamma (x - mean) / sqrt(var + eps) + beta with mean and biased variance over the last axis of each element
    (Ba, Kiros, Hinton 2016, arXiv 1607.06450, eq. 3-4).

    x: (..., C); gamma, beta: (C,). With u = gamma g and means over the last axis, dx = (u - mean(u) - h mean(u h)) / s.

    Raises:
        ValueError: shapes that do not fit, or eps < 0.
    """
    x, gamma, beta = as_tensor(x), as_tensor(gamma), as_tensor(beta)
    _check("layer_norm", x, gamma, beta, eps)
    flat = reshape(x, (-1, x.shape[-1]))
    return reshape(_layer_norm(flat, gamma, beta, eps=plain("layer_norm", "eps", eps)), x.shape)


# -- group and instance norm -----------------------------------------------------------------------------------------
def _plan_group_norm_backward(
    g: Array, x: Array, y: Array, gain: Array, *, groups: int, eps: float, f: Activation, out: Array
) -> Any:
    return kernels.group_norm_backward.plan(g, x, y, gain, groups, eps, f, *_with_sums(out, x))


def _with_sums(packed: Any, x: Any) -> tuple[Any, Any]:
    """dx, and for each element two sums a channel, which the backward kernel leaves end to end."""
    return packed[: x.size].reshape(x.shape), packed[x.size :].reshape(x.shape[0], 2, x.shape[2])


@primitive(_NO_SECOND, samples=None, plan=_plan_group_norm_backward, name="group_norm_backward")
def _group_norm_backward(
    g: Array, x: Array, y: Array, gain: Array, *, groups: int, eps: float, f: Activation, out: Array | None = None
) -> Array:
    xp = array_module(x)
    out = xp.empty(x.size + 2 * x.shape[0] * x.shape[2], x.dtype) if out is None else out
    g, x, y, gain = (xp.ascontiguousarray(a) for a in (g, x, y, gain))
    kernels.group_norm_backward(g, x, y, gain, groups, eps, f, *_with_sums(out, x))
    return out


def _group_norm_cotangents(
    needs: Any,
    g: Tensor,
    y: Tensor,
    x: Tensor,
    gain: Tensor,
    _offset: Any,
    *,
    groups: int,
    eps: float,
    f: Activation = LINEAR,
) -> Any:
    dx, sums = _with_sums(_group_norm_backward(g, x, y, gain, groups=groups, eps=eps, f=f), x)
    made: list[Tensor | None] = [dx]
    for which, need in enumerate(needs[1:]):
        part = sums[:, which] if need else None
        made.append(part if part is None or gain.shape[0] == x.shape[0] else sum_(part, 0, keepdims=True))
    return made


def _group_norm_composite(
    x: Tensor, gain: Tensor, offset: Tensor, *, groups: int, eps: float, f: Activation = LINEAR
) -> Tensor:
    """Plain operations, differentiable throughout."""
    each = (gain.shape[0], 1, gain.shape[1])
    d = x - _group_mean(x, groups)
    d = d - _group_mean(d, groups)  # what the rounding of a large mean has left
    z = d * (reshape(gain, each) / sqrt(_group_mean(square(d), groups) + eps)) + reshape(offset, each)
    return z if f.kind == "linear" else apply_fused(z, f=f)


def _group_norm_samples(draw: Any) -> Any:
    n, positions, groups, size = draw.integer(1, 3), draw.integer(2, 4), draw.integer(1, 3), draw.integer(1, 3)
    each = (draw.choice((1, n)), groups * size)
    x = draw.array((n, positions, groups * size), distinct=True)
    params = {"groups": groups, "eps": 0.1, "f": draw_activation(draw)}
    return (x, draw.array(each, 0.5, 1.5), draw.array(each)), params


def _plan_group_norm(
    x: Array, gain: Array, offset: Array, *, groups: int, eps: float, f: Activation = LINEAR, out: Array
) -> Any:
    return kernels.group_norm.plan(x, gain, offset, groups, eps, f, out)


@primitive(
    _group_norm_cotangents,
    samples=_group_norm_samples,
    composite=_group_norm_composite,
    plan=_plan_group_norm,
    name="group_norm",
)
def _group_norm(
    x: Array,
    gain: Array,
    offset: Array,
    *,
    groups: int,
    eps: float,
    f: Activation = LINEAR,
    out: Array | None = None,
) -> Array:
    xp = array_module(x)
    out = xp.empty(x.shape, x.dtype) if out is None else out
    x, gain, offset = (xp.ascontiguousarray(a) for a in (x, gain, offset))
    kernels.group_norm(x, gain, offset, groups, eps, f, out)
    return out


def group_norm(
    x: TensorLike,
    gamma: TensorLike,
    beta: TensorLike,
    *,
    groups: int,
    eps: float = 1e-5,
    activation: str | Activation | None = None,
    slope: float = SLOPE,
) -> Tensor:
    """f(gamma (x - mean) / sqrt(var + eps) + beta) with mean and biased variance of each element over all its positions and the
    C / groups neighbouring channels of a group (Wu, He 2018, arXiv 1803.08494, eq. 1, 2, 6, 7), and an activation f in the same
    pass.

    One group: a layer norm over positions and channels. C groups: :func:`instance_norm`. The batch plays no part, so training
    and evaluation are the same. With s = sqrt(var + eps), h = (x - mean)/s, u = g f'(gamma h + beta) and means over a group,

        dx = (gamma u - mean(gamma u) - h mean(gamma u h)) / s,   dgamma = sum(u h),   dbeta = sum(u).

    The two means are the derivatives of the statistics: to first order mean moves by mean(dx), and s by mean(h dx), since
    d var = 2 mean((x - mean) dx) = 2 s mean(h dx) and ds = d var / (2 s): dh = (dx - mean(dx) - h mean(h dx)) / s, and that map
    is its own adjoint. gamma stands inside the means, as the channels of a group may differ in it.

    Args:
        x: (N, *spatial, C), no, one or more spatial axes.
        gamma, beta: (C,), or (N, C) for a gain and an offset of each element, as AdaIN has them.
        groups: a divisor of C; group k holds the channels k C / groups <= c < (k + 1) C / groups.
        eps: added to the variance, >= 0.
        activation, slope: as :func:`minigan.ops.dense`.

    Raises:
        TypeError, ValueError: shapes that do not fit, a number of groups that does not divide C, eps < 0, an unknown activation
            or a slope not > 0.
    """
    return _grouped("group_norm", x, gamma, beta, groups, eps, activation_of("group_norm", activation, slope))


def _grouped(owner: str, x: Any, gamma: Any, beta: Any, groups: int | None, eps: float, f: Activation) -> Tensor:
    """groups: None for one a channel."""
    x, gamma, beta = as_tensor(x), as_tensor(gamma), as_tensor(beta)
    _check_grouped(owner, x, gamma, beta, eps)
    channels = x.shape[-1]
    groups = channels if groups is None else whole(owner, "groups", groups, low=1)
    if channels % groups:
        raise ValueError(f"{owner}: got {groups} groups for {channels} channels, expected a divisor of {channels}")
    if not f.fused:
        return activation_(_grouped(owner, x, gamma, beta, groups, eps, LINEAR), f)
    flat = reshape(x, (x.shape[0], int(np.prod(x.shape[1:-1], dtype=np.int64)), channels))
    gain, offset = (reshape(a, (-1, channels)) for a in (gamma, beta))
    return reshape(_group_norm(flat, gain, offset, groups=groups, eps=plain(owner, "eps", eps), f=f), x.shape)


def _check_grouped(owner: str, x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> None:
    each = (x.shape[-1:], (x.shape[0], x.shape[-1])) if x.ndim > 1 else ()
    if not x.size or gamma.shape not in each or beta.shape != gamma.shape or eps < 0:
        raise ValueError(
            f"{owner}: got x {x.shape}, gamma {gamma.shape}, beta {beta.shape}, eps {eps}; expected a non-empty x (N, *spatial, "
            "C), gamma and beta both (C,) or both (N, C), eps >= 0"
        )


def _group_mean(x: Tensor, groups: int) -> Tensor:
    """The mean over positions and a group's channels of x (N, P, C), for each channel: (N, 1, C). Positions first: that sum
    runs along whole rows of memory, and what is left is small."""
    n, _, channels = x.shape
    means = reshape(mean(x, 1), (n, groups, channels // groups))
    if groups < channels:
        means = broadcast_to(mean(means, 2, keepdims=True), means.shape)
    return reshape(means, (n, 1, channels))


def instance_norm(
    x: TensorLike,
    gamma: TensorLike,
    beta: TensorLike,
    *,
    eps: float = 1e-5,
    activation: str | Activation | None = None,
    slope: float = SLOPE,
) -> Tensor:
    """f(gamma (x - mean) / sqrt(var + eps) + beta) with mean and biased variance of each channel of each element over its
    positions (Ulyanov, Vedaldi, Lempitsky 2016, arXiv 1607.08022, eq. 2): group norm with a group a channel.

    Args:
        x: (N, *spatial, C), more than one position (one alone would become beta, whatever it was).
        gamma, beta: (C,); or (N, C) with a style's for each element (AdaIN: Huang, Belongie 2017, arXiv 1703.06868, eq. 8).
        eps: added to the variance, >= 0.
        activation, slope: as :func:`minigan.ops.dense`.

    Raises:
        TypeError, ValueError: as :func:`group_norm`; ValueError for a single position.
    """
    x = as_tensor(x)
    if x.ndim > 1 and x.size and x.size == x.shape[0] * x.shape[-1]:
        raise ValueError(
            f"instance_norm: got x {x.shape}, expected (N, *spatial, C) with several positions; use layer_norm"
        )
    f = activation_of("instance_norm", activation, slope)
    return _grouped("instance_norm", x, gamma, beta, None, eps, f)
