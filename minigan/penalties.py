"""Penalties: on a critic's gradient in its input (WGAN-GP, its one-sided form, DRAGAN, R1, R2, zero-centred on segments), on
the game's field (consensus), and on how far a network's weights are from orthogonal.

Each is a tensor with one element that is added to a player's loss. A gradient is held as a graph, so that the penalty's own
derivative, which is of second order, is exact. `critic` maps inputs (N, ...) to one score each; a score must depend on its own
input alone, so no batch norm: only then is the gradient of the sum of scores the gradient of each. Everything here is finite,
with finite derivatives, also where the gradient is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from minigan import ops
from minigan.autodiff import Tensor, TensorLike, grad
from minigan.backend import array_module
from minigan.checks import flag, number
from minigan.derivatives import vjp
from minigan.ops.spectral import as_matrix
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
    number("penalty", "target", target, low=0)
    flag("penalty", "one_sided", one_sided)
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
    return _off_target(critic, between(real, fake, uniform), target, one_sided)


def between(real: TensorLike, fake: TensorLike, uniform: TensorLike | Source) -> Tensor:
    """u x + (1 - u) y, one u an example: a point of each segment from a fake y to a real x. Arguments and errors as of
    :func:`gradient_penalty`."""
    real, fake = ops.as_tensor(real), ops.as_tensor(fake)
    if real.shape != fake.shape:
        raise ValueError(f"gradient_penalty: got reals {real.shape} and fakes {fake.shape}, expected one shape")
    u = uniform.uniform((len(real),), stream="gradient penalty") if isinstance(uniform, Source) else uniform
    u = ops.cast(ops.as_tensor(u, like=real), dtype=real.dtype)
    if u.shape not in ((), (len(real),)):
        raise ValueError(f"gradient_penalty: got uniform numbers {u.shape}, expected ({len(real)},) or one number")
    u = ops.reshape(u, (-1,) + (1,) * (real.ndim - 1))
    return u * real + (1.0 - u) * fake


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
    if not isinstance(gamma, Tensor):
        number("penalty", "gamma", gamma, low=0)
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


def zero_centered(
    critic: Critic, real: TensorLike, fake: TensorLike, *, uniform: TensorLike | Source, gamma: float | Tensor
) -> Tensor:
    """gamma/2 E |grad D(u x + (1 - u) y)|^2, x real, y fake, u uniform in [0, 1)  (Thanh-Tung, Tran, Venkatesh 2019, arXiv
    1902.03984; there with lambda = gamma/2).

    :func:`r1` holds D flat at the data only; this one also between fakes and data, where D must lead the way.

    Arguments and errors as of :func:`gradient_penalty`; gamma >= 0.
    """
    return _mean_square(critic, between(real, fake, uniform), gamma)


def consensus(losses: Sequence[Tensor], parameters: Sequence[Sequence[Tensor]], *, gamma: float) -> Tensor:
    """gamma/2 |v|^2 with v = (-grad_1 L_1, ..., -grad_n L_n), each player's own gradient  (Mescheder, Nowozin, Geiger 2017,
    arXiv 1705.10461, section 4).

    Added to every player's loss, in simultaneous steps, it turns the field v into v - gamma J^T v: eigenvalues that only rotate
    get a negative real part (`theory.dynamics.consensus_losses`). A maximum of a player's own gain becomes attractive, too.

    Args:
        losses: one a player.
        parameters: those of each player, in the graph of its loss; none of them frozen.
        gamma: >= 0.

    Raises:
        GraphError: a loss does not reach a parameter of its player.
        ValueError: as many losses as players were not given, or a negative gamma.
    """
    number("consensus", "gamma", gamma, low=0)
    if len(losses) != len(parameters):
        raise ValueError(f"consensus: got {len(losses)} losses, {len(parameters)} players; expected one loss a player")
    field = [
        g
        for loss, own in zip(losses, parameters, strict=True)
        for g in grad(loss, list(own), create_graph=state.enabled)
    ]
    return 0.5 * gamma * ops.sum(ops.stack([ops.sum(ops.square(g)) for g in field]))


def orthogonality(weights: Iterable[Tensor], *, beta: float, diagonal: bool = False) -> Tensor:
    """beta sum over weights of |W^T W * (1 - I)|^2, W read as a matrix with `out` columns: outputs at right angles, of any
    length  (Brock, Donahue, Simonyan 2018, arXiv 1809.11096, eq. 3). With `diagonal`, beta |W^T W - I|^2, lengths 1 too
    (Brock et al. 2016, arXiv 1609.07093, section 2.3, there with |.|_1). dW = 4 beta W (W^T W * (1 - I)).

    Where a weight has more outputs than inputs, columns cannot all be at right angles, and rows are taken.

    Raises:
        ValueError: no weight of two or more axes, or a negative beta.
    """
    number("orthogonality", "beta", beta, low=0)
    flag("orthogonality", "diagonal", diagonal)
    matrices = [as_matrix(w) for w in weights if w.ndim >= 2]
    if not matrices:
        raise ValueError("orthogonality: got 0 weights of two or more axes, expected one or more")
    return beta * ops.sum(ops.stack([_skewness(m, diagonal) for m in matrices]))


def _skewness(m: Tensor, diagonal: bool) -> Tensor:
    turned = ops.swapaxes(m, 0, 1)
    gram = turned @ m if m.shape[0] >= m.shape[1] else m @ turned
    identity = array_module(m._data).eye(len(gram), dtype=m.dtype)
    return ops.sum(ops.square(gram - identity if diagonal else gram * (1 - identity)))
