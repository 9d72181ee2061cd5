"""The largest singular value of a weight by power iteration, and spectral normalisation.

A weight `(in, out)` or `(*kernel, in, out)` is read as the matrix M with `out` columns: M[:, j] holds all that meets output j.
Its largest singular value is

    sigma(W) = max of u^T M v over |u| = |v| = 1,        d sigma / d M = u v^T   at the maximum,

so any unit u and v give a value that is never above it, whatever the iteration has reached. Power iteration turns u into
M v and v into M^T u, each divided by its length; the error falls by the factor (sigma_2 / sigma_1)^2 a step. A network's weight
changes little between two updates, so one step an update, from where the last one ended, keeps up with it.

(Miyato, Kataoka, Koyama, Yoshida 2018, arXiv 1802.05957, section 2.1 and algorithm 1. Their matrix is our M transposed, so
their u is our v.)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minigan.autodiff import Tensor, TensorLike, as_tensor
from minigan.ops.conv import conv, conv_transpose
from minigan.ops.elementwise import divide, equal, maximum, stop_gradient, where
from minigan.ops.linear import matmul
from minigan.ops.reduction import norm
from minigan.ops.reduction import sum as total
from minigan.ops.shape import reshape, swapaxes
from minigan.switches import no_grad


class Singular(NamedTuple):
    """What power iteration found: sigma = u^T M v, u of length in (times taps), v of length out."""

    sigma: Tensor
    u: Tensor
    v: Tensor


def as_matrix(w: Any) -> Tensor:
    """A weight `(*rows, out)` as the matrix (product of rows, out).

    Raises:
        ValueError: fewer than two axes, or no elements.
    """
    w = as_tensor(w)
    if w.ndim < 2 or not w.size:
        raise ValueError(f"as_matrix: got a weight of shape {w.shape}, expected (in, out) or (*kernel, in, out)")
    return w if w.ndim == 2 else reshape(w, (-1, w.shape[-1]))


def _unit(x: Tensor) -> Tensor:
    """x / |x|, and 0 where x = 0."""
    length = norm(x)
    return x / where(equal(length, 0.0), 1.0, length)


def power_iteration(w: TensorLike, start: TensorLike, *, steps: int = 1) -> Singular:
    """The largest singular value of a weight, from below: `steps` times u <- M v / |M v|, v <- M^T u / |M^T u|.

    Without rounding, sigma = u^T M v grows with every step and never exceeds the true value, which it reaches from every start
    that is not orthogonal to the leading right singular vector.

    Args:
        w: (in, out) or (*kernel, in, out), read as M (see the module).
        start: (out,), the v to start from, of any length but 0: a random vector first, then the v returned last.
        steps: at least 1.

    Returns:
        sigma, differentiable in `w` with u and v constant (its exact first derivative u v^T once they are singular
        vectors; second derivatives lack the motion of u and v), and u and v as constants. Where M v = 0, as for a weight of
        zeros, sigma and u are 0 and v stays the start, so that the iteration can go on when the weight has changed.

    Raises:
        ValueError: a weight with fewer than two axes, a start of another shape or zero, or steps < 1.
    """
    m = as_matrix(w)
    v = as_tensor(start)
    if v.shape != m.shape[1:] or not bool((v._data != 0).any()):
        raise ValueError(f"power_iteration: got a start of shape {v.shape}, expected {m.shape[1:]}, not all zeros")
    if steps < 1:
        raise ValueError(f"power_iteration: got steps {steps}, expected at least 1")
    with no_grad():
        v = _unit(v)
        for _ in range(steps):
            u = _unit(matmul(m, v))
            turned = matmul(swapaxes(m, 0, 1), u)
            v = where(equal(norm(turned), 0.0), v, _unit(turned))  # M v = 0, as for a weight of zeros: v stays
    return Singular(bilinear(w, u, v), u, v)


def conv_power_iteration(w: TensorLike, start: TensorLike, *, steps: int = 1, **options: Any) -> Singular:
    """The largest singular value of the map x -> conv(x, w), from below: `steps` times u <- A v / |A v|, v <- A^T u / |A^T u|
    with A v = conv(v, w) and A^T u = conv_transpose(u, w), its exact adjoint.

    Args:
        w: a kernel (*kernel, in, out).
        start: (1, *sizes, in), the v to start from, of any length but 0. Its sizes are those of the images.
        steps: at least 1.
        options: stride, padding and dilation, as of :func:`minigan.ops.conv`.

    Returns:
        sigma, differentiable in w with u and v constant, and u (1, *output sizes, out) and v as constants. Where A v = 0,
        sigma and u are 0 and v stays the start.

    Raises:
        ValueError: shapes that do not fit, a start of zeros, or steps < 1.
    """
    w, v = as_tensor(w), as_tensor(start)
    if v.ndim != w.ndim or v.shape[0] != 1 or not bool((v._data != 0).any()):
        raise ValueError(
            f"conv_power_iteration: got a start {v.shape} for a kernel {w.shape}, expected (1, *sizes, in), not all zeros"
        )
    if steps < 1:
        raise ValueError(f"conv_power_iteration: got steps {steps}, expected at least 1")
    sizes = v.shape[1:-1]
    with no_grad():
        v = _unit(v)
        for _ in range(steps):
            u = _unit(conv(v, w, **options))
            turned = conv_transpose(u, w, output_size=sizes, **options)
            v = where(equal(norm(turned), 0.0), v, _unit(turned))
    return Singular(total(stop_gradient(u) * conv(stop_gradient(v), w, **options)), u, v)


def bilinear(w: Any, u: Any, v: Any) -> Tensor:
    """u^T M v, differentiable in w; u and v are constants. At most the largest singular value where |u|, |v| <= 1.

    Raises:
        ValueError: shapes that do not fit.
    """
    m, u, v = as_matrix(w), as_tensor(u), as_tensor(v)
    if u.shape != m.shape[:1] or v.shape != m.shape[1:]:
        raise ValueError(f"bilinear: got u {u.shape}, v {v.shape} for a matrix {m.shape}, expected its two lengths")
    return matmul(matmul(stop_gradient(u), m), stop_gradient(v))


def spectral_normalize(w: TensorLike, u: TensorLike, v: TensorLike, *, eps: float = 1e-12) -> Tensor:
    """W / s with s = u^T M v, u and v constant in the derivative (Miyato et al. 2018, arXiv 1802.05957, eq. 8, 11, 12).

    With G the cotangent of the result Wb = W / s,

        dW = (G - <G, Wb> u v^T) / s.

    The second term takes away what would only lengthen W: <dW, W> = 0, since Wb does not change with the length of W.

    Args:
        w: (in, out) or (*kernel, in, out).
        u, v: from :func:`power_iteration`.
        eps: s is taken as at least this, so that a weight of zeros stays zero.

    Returns:
        A weight of the same shape, with largest singular value 1 (or above, as far as the iteration is not there yet).

    Raises:
        ValueError: shapes that do not fit.
    """
    w = as_tensor(w)
    return divide(w, maximum(bilinear(w, u, v), eps))
