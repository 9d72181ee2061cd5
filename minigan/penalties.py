"""Penalties on a critic's gradient in its input: WGAN-GP, DRAGAN, R1 and R2.

Each is a tensor with one element that is added to the discriminator's loss. It holds the gradient as a graph, so its own
derivative, which is of second order, is exact. `critic` maps inputs (N, ...) to one score each; a score must depend on its own
input alone, so no batch norm: only then is the gradient of the sum of scores the gradient of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from minigan import ops
from minigan.autodiff import Tensor, TensorLike
from minigan.derivatives import vjp
from minigan.random import Source
from minigan.switches import state

Critic = Callable[[Tensor], Tensor]


def input_gradient(critic: Critic, x: TensorLike) -> Tensor:
    """g_i = grad D(x_i), of the shape of x, and differentiable in the critic's parameters.

    It is differentiable in x too, where x is in a graph.

    Raises:
        ValueError: the critic gives another number of scores than one an input; or there is no input.
    """
    x = ops.as_tensor(x)
    if x.ndim == 0 or not x.size:
        raise ValueError(f"penalty: got inputs of shape {x.shape}, expected (N, ...) with N at least 1")

    def total(points: Tensor) -> Tensor:
        scores = critic(points)
        if scores.size != len(points):
            raise ValueError(f"penalty: got scores {scores.shape} for inputs {x.shape}, expected one score an input")
        return ops.sum(scores)

    return vjp(total, x, 1.0, create_graph=state.enabled)[1]


def gradient_norm(critic: Critic, x: TensorLike) -> Tensor:
    """|grad D(x_i)|, the Euclidean norm over all axes but the first: (N,). At a gradient of 0 its derivative is taken as 0."""
    g = input_gradient(critic, x)
    return ops.norm(ops.reshape(g, (len(g), -1)), axis=1)


def _off_target(critic: Critic, x: Tensor, target: float, one_sided: bool) -> Tensor:
    if not 0 <= target < math.inf:
        raise ValueError(f"penalty: got target {target!r}, expected the norm wanted, a finite number >= 0")
    if target == 0:  # |g|^2 itself: the square of a norm has lost its second derivative at g = 0
        g = input_gradient(critic, x)
        return ops.sum(ops.square(g)) / float(len(g))
    excess = gradient_norm(critic, x) - target
    return ops.mean(ops.square(ops.relu(excess) if one_sided else excess))


def gradient_penalty(
    critic: Critic,
    real: TensorLike,
    fake: TensorLike,
    *,
    uniform: TensorLike | Source,
    target: float = 1.0,
    one_sided: bool = False,
) -> Tensor:
    """E (|grad D(u x + (1 - u) y)| - target)^2, x real, y fake, u uniform in [0, 1)  (Gulrajani et al. 2017, arXiv
    1704.00028, eq. 3 without its factor, lambda = 10).

    The best critic has a gradient of norm 1 on the segments along which mass is moved, not elsewhere, so the penalty lies there.

    Args:
        critic: see the module.
        real, fake: (N, ...), of one shape.
        uniform: the numbers u, (N,) or one number for all; or a `minigan.random.Source` that draws them, from the stream
            "gradient penalty".
        target: the norm wanted, >= 0. At 0 it is E |grad D|^2, which has no kink; :func:`r1` is that at the data.
        one_sided: only norms above the target cost: E max(0, |grad D| - target)^2 (ibid., section 4; Petzka et al. 2017,
            arXiv 1709.08894).

    Raises:
        ValueError: shapes that differ, numbers that are not one an example, or a negative target.
    """
    real, fake = ops.as_tensor(real), ops.as_tensor(fake)
    if real.shape != fake.shape:
        raise ValueError(f"gradient_penalty: got reals {real.shape} and fakes {fake.shape}, expected one shape")
    u = uniform.uniform((len(real),), stream="gradient penalty") if isinstance(uniform, Source) else uniform
    u = ops.cast(ops.as_tensor(u, like=real), dtype=real.dtype)
    if u.shape not in ((), (len(real),)):
        raise ValueError(f"gradient_penalty: got uniform numbers {u.shape}, expected ({len(real)},) or one number")
    u = ops.reshape(u, (-1,) + (1,) * (real.ndim - 1))
    return _off_target(critic, u * real + (1.0 - u) * fake, target, one_sided)


def dragan(critic: Critic, real: TensorLike, *, noise: TensorLike, target: float = 1.0) -> Tensor:
    """E (|grad D(x + d)| - target)^2 around the data, d the noise, of the shape of x  (Kodali et al. 2017, arXiv 1705.07215,
    without its factor; they draw d from N(0, c I)).

    Raises:
        ValueError: noise of another shape, or a negative target.
    """
    real, noise = ops.as_tensor(real), ops.as_tensor(noise)
    if real.shape != noise.shape:
        raise ValueError(f"dragan: got noise {noise.shape}, expected the shape of the data, {real.shape}")
    return _off_target(critic, real + noise, target, False)


def _mean_square(critic: Critic, x: TensorLike, gamma: float | Tensor) -> Tensor:
    if not isinstance(gamma, Tensor) and not gamma >= 0:
        raise ValueError(f"penalty: got gamma {gamma!r}, expected a number >= 0")
    g = input_gradient(critic, x)
    return (0.5 * gamma / len(g)) * ops.sum(ops.square(g))


def r1(critic: Critic, real: TensorLike, *, gamma: float | Tensor) -> Tensor:
    """gamma/2 E |grad D(x)|^2 over the data  (Mescheder et al. 2018, arXiv 1801.04406, eq. 9).

    Where p_g = p_data the best D is constant, and this term pulls it there: the game's eigenvalues get a negative real part.
    """
    return _mean_square(critic, real, gamma)


def r2(critic: Critic, fake: TensorLike, *, gamma: float | Tensor) -> Tensor:
    """gamma/2 E |grad D(G(z))|^2 over the fakes  (ibid., eq. 10)."""
    return _mean_square(critic, fake, gamma)
