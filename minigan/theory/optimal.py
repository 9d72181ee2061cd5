"""GANs on discrete worlds, where the best discriminator is known: it is a table with one output for each outcome.

p is the law of the data and q that of the generator, probability tables along the last axis. A player's expectation is then a
finite sum, so the optimal discriminator, the value of the game and the generator's gradient are exact numbers. An outcome
with p = q = 0 occurs in no batch, no loss depends on the output there, and any output is optimal: 1/2 (logit 0) is given.

Each :class:`Game` states the losses of `minigan.losses` as functions of (outputs, p, q), both minimised, with the
discriminator's optimum and its loss there in closed form, as a divergence. `GAMES` is the table of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.derivatives import vjp
from minigan.switches import state
from minigan.theory import divergences
from minigan.theory.arrays import on_arrays, plain, same_outcomes, tensor_of, xlogy
from minigan.theory.generators import Generator
from minigan.theory.generators import generator as generator_of
from minigan.theory.terms import excess


# -- the optimal classifier ------------------------------------------------------------------------------------------
@on_arrays("p", "q")
def optimal_logit(p: Any, q: Any, *, prior: float = 0.5, real_label: float = 1.0, fake_label: float = 0.0) -> Any:
    """The logit of :func:`optimal_discriminator`: log p - log q for the plain game, which is +inf where q = 0 and -inf where
    p = 0; 0 where both are.

    With prior pi and labels a (reals) and b (fakes), log [pi a p + (1-pi) b q] - log [pi (1-a) p + (1-pi) (1-b) q].
    """
    real, fake = _label_masses(p, q, prior, real_label, fake_label)
    nowhere = ops.equal(real + fake, 0.0)
    return ops.log(ops.where(nowhere, 1.0, real)) - ops.log(ops.where(nowhere, 1.0, fake))


@on_arrays("p", "q")
def optimal_discriminator(
    p: Any, q: Any, *, prior: float = 0.5, real_label: float = 1.0, fake_label: float = 0.0
) -> Any:
    """D* = [pi a p + (1-pi) b q] / [pi p + (1-pi) q], the minimiser of pi E_p BCE(D, a) + (1-pi) E_q BCE(D, b); 1/2 where
    p = q = 0. By default p / (p + q)  (Goodfellow et al. 2014, arXiv 1406.2661, proposition 1).

    Args:
        p, q: probability tables of the data and of the generator, (..., n).
        prior: pi in (0, 1), the share of reals among what the discriminator sees.
        real_label: a, the label of reals; below 1 it is one-sided smoothing (Salimans et al. 2016, arXiv 1606.03498, 3.4).
        fake_label: b, the label of fakes, 0 <= b < a <= 1; above 0 smoothing is two-sided.

    Raises:
        ValueError: p or q is no probability table; a prior or label outside its range.
    """
    real, fake = _label_masses(p, q, prior, real_label, fake_label)
    total = real + fake
    nowhere = ops.equal(total, 0.0)
    return ops.where(nowhere, 0.5, real / ops.where(nowhere, 1.0, total))


def _label_masses(p: Tensor, q: Tensor, prior: float, real_label: float, fake_label: float) -> tuple[Tensor, Tensor]:
    """The mass with label "real" at each outcome, and that with label "fake", both over pi: p and q for the plain game."""
    if not 0 < prior < 1:
        raise ValueError(f"prior: got {prior!r}, expected the share of reals, in (0, 1)")
    if not 0 <= fake_label < real_label <= 1:
        raise ValueError(
            f"labels: got {real_label!r} for reals and {fake_label!r} for fakes, expected 0 <= fake < real <= 1"
        )
    (p, q), odds = same_outcomes(p, q), (1 - prior) / prior
    return real_label * p + (odds * fake_label) * q, (1 - real_label) * p + (odds * (1 - fake_label)) * q


# -- the value of the game, and what a discriminator loses -----------------------------------------------------------
@on_arrays("discriminator", "p", "q")
def value(discriminator: Any, p: Any, q: Any) -> Any:
    """V(D) = E_p log D + E_q log(1 - D), from probabilities D in [0, 1], (..., n)  (Goodfellow et al. 2014, eq. 1).

    At D* it is 2 JSD(p, q) - log 4; -inf where D is certain and wrong. Near 0 and 1 prefer :func:`value_of_logits`.
    """
    p, q, d = same_outcomes(p, q, _probability(discriminator))
    return ops.sum(xlogy(p, d) + xlogy(q, 1.0 - d), axis=-1)


@on_arrays("logits", "p", "q")
def value_of_logits(logits: Any, p: Any, q: Any) -> Any:
    """V(D) = -E_p softplus(-l) - E_q softplus(l), from logits l = log D/(1-D), (..., n); l may be infinite."""
    p, q, logits = same_outcomes(p, q, logits)
    return -_logistic(logits, p, q)


@on_arrays("discriminator", "p", "q")
def regret(discriminator: Any, p: Any, q: Any) -> Any:
    """V(D*) - V(D) = sum (p + q) KL(Bern D* || Bern D) >= 0, from probabilities; +inf where D is certain and wrong.

    A D that rounds to 0 or 1 is certain: where p/q is beyond 1e16, take :func:`regret_of_logits`.
    """
    p, q, d = same_outcomes(p, q, _probability(discriminator))
    real, fake = optimal_discriminator(p, q), optimal_discriminator(q, p)
    return _expect(p + q, excess(real, d, real - d) + excess(fake, 1.0 - d, d - real))


@on_arrays("logits", "p", "q")
def regret_of_logits(logits: Any, p: Any, q: Any) -> Any:
    """:func:`regret` from logits: sum (p + q) KL(Bern D* || Bern D) with log D = -softplus(-l)."""
    p, q, logits = same_outcomes(p, q, logits)
    real, fake, best = optimal_discriminator(p, q), optimal_discriminator(q, p), optimal_logit(p, q)
    cross = _times(real, ops.softplus(-logits)) + _times(fake, ops.softplus(logits))
    apart = xlogy(real, real) + xlogy(fake, fake) + cross
    # Close to D* the sum cancels, and D* - D is known better from the logits: sigmoid(a) - sigmoid(b) is
    # sigmoid(a) sigmoid(-b) (1 - e^(b-a))
    finite = Tensor((abs(logits.data) < math.inf) & (abs(best.data) < math.inf))
    close = ops.less(ops.abs(ops.where(finite, logits - best, 1.0)), 1.0)
    step = ops.where(close, logits - ops.where(close, best, 0.0), 0.0)
    d, rest = ops.sigmoid(logits), ops.sigmoid(-logits)
    gap = -real * rest * ops.expm1(step)
    near = excess(real, ops.where(close, d, 1.0), gap) + excess(fake, ops.where(close, rest, 1.0), -gap)
    return _expect(p + q, ops.where(close, near, apart))


def _probability(d: Tensor) -> Tensor:
    if not bool(((d._data >= 0) & (d._data <= 1)).all()):
        raise ValueError(
            f"discriminator: got outputs from {float(d._data.min())!r} to {float(d._data.max())!r}, expected probabilities; "
            "for logits use value_of_logits or regret_of_logits"
        )
    return d


def _times(weight: Tensor, values: Tensor) -> Tensor:
    """weight * values with 0 * inf = 0: what never happens costs nothing."""
    counted = ops.where(ops.less(ops.abs(values), math.inf), values, 0.0)
    return weight * ops.where(ops.equal(weight, 0.0), counted, values)


def _expect(weight: Tensor, values: Tensor) -> Tensor:
    return ops.sum(_times(weight, values), axis=-1)


# -- games -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Game:
    """A GAN on a discrete world.

    Attributes:
        name: of the loss.
        discriminator: (outputs, p, q) -> the loss that the discriminator minimises, (...). Outputs are raw: logits for the
            logistic games, scores for the others; (..., n).
        generator: (outputs, p, q) -> the loss that the generator minimises, the outputs held fixed.
        optimum: (p, q) -> the discriminator's best outputs.
        value: (p, q) -> its loss there, in closed form.
        formula: that closed form, as text.
    """

    name: str
    discriminator: Callable[[Any, Any, Any], Any]
    generator: Callable[[Any, Any, Any], Any]
    optimum: Callable[[Any, Any], Any]
    value: Callable[[Any, Any], Any]
    formula: str


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Closed = Callable[[Tensor, Tensor], Tensor]


def _game(name: str, discriminator: Loss, generator: Loss, optimum: Closed, value: Closed, formula: str) -> Game:
    """A game whose functions check their tables and take arrays as well as tensors."""

    def loss(of: Loss) -> Callable[[Any, Any, Any], Any]:
        def checked(outputs: Any, p: Any, q: Any) -> Any:
            p, q, outputs = same_outcomes(p, q, outputs)
            return of(outputs, p, q)

        return on_arrays("outputs", "p", "q")(checked)

    def closed(of: Closed) -> Callable[[Any, Any], Any]:
        def checked(p: Any, q: Any) -> Any:
            return of(*same_outcomes(p, q))

        return on_arrays("p", "q")(checked)

    return Game(name, loss(discriminator), loss(generator), closed(optimum), closed(value), formula)


def _logistic(logits: Tensor, p: Tensor, q: Tensor) -> Tensor:
    return _expect(p, ops.softplus(-logits)) + _expect(q, ops.softplus(logits))


def _heuristic(logits: Tensor, p: Tensor, q: Tensor) -> Tensor:
    return _expect(q, ops.softplus(-logits))


minimax = _game(
    "minimax",
    _logistic,
    lambda logits, p, q: -_expect(q, ops.softplus(logits)),
    optimal_logit,
    lambda p, q: 2.0 * math.log(2.0) - 2.0 * divergences.jsd(p, q),
    "log 4 - 2 JSD(p, q)",
)
"""L_D = -E_p log D - E_q log(1 - D),  L_G = E_q log(1 - D)  (Goodfellow et al. 2014, eq. 1): D* = p/(p+q)."""

non_saturating = _game("non_saturating", _logistic, _heuristic, optimal_logit, minimax.value, minimax.formula)
"""L_D as in :data:`minimax`,  L_G = -E_q log D  (ibid., section 3)."""


def smoothed(*, real_label: float = 0.9, fake_label: float = 0.0) -> Game:
    """L_D = E_p BCE(D, a) + E_q BCE(D, b),  L_G = -E_q log D  (Salimans et al. 2016, arXiv 1606.03498, section 3.4).

    D* = (a p + b q) / (p + q). With s = (a + b)/2 and the laws p' = (a p + b q)/(2 s), q' = ((1-a) p + (1-b) q)/(2 (1-s)),
    min L_D = 2 h(s) - 2 JSD_s(p', q'), h the binary entropy.
    """
    labels = {"real_label": real_label, "fake_label": fake_label}
    share = (real_label + fake_label) / 2

    def discriminator(logits: Tensor, p: Tensor, q: Tensor) -> Tensor:
        real, fake = _label_masses(p, q, 0.5, **labels)
        return _logistic(logits, real, fake)

    def value(p: Tensor, q: Tensor) -> Tensor:
        real, fake = _label_masses(p, q, 0.5, **labels)
        closed = divergences.jsd(real / (2 * share), fake / (2 * (1 - share)), prior=share)
        return 2.0 * divergences.binary_entropy(share) - 2.0 * closed

    def optimum(p: Tensor, q: Tensor) -> Tensor:
        return optimal_logit(p, q, **labels)

    _label_masses(Tensor(np.ones(1)), Tensor(np.ones(1)), 0.5, **labels)  # bad labels raise here, not at the first use
    return _game("smoothed", discriminator, _heuristic, optimum, value, "2 h(s) - 2 JSD_s(p', q')")


def weighted(*, prior: float) -> Game:
    """L_D = -pi E_p log D - (1-pi) E_q log(1 - D), pi the share of reals in what D sees;  L_G = -E_q log D.

    D* = pi p / (pi p + (1-pi) q), and min L_D = h(pi) - JSD_pi(p, q), h the binary entropy: the conditional entropy of the
    label given the outcome.
    """
    if not 0 < prior < 1:
        raise ValueError(f"weighted: got prior {prior!r}, expected the share of reals, in (0, 1)")
    return _game(
        "weighted",
        lambda logits, p, q: _logistic(logits, prior * p, (1 - prior) * q),
        _heuristic,
        lambda p, q: optimal_logit(p, q, prior=prior),
        lambda p, q: divergences.binary_entropy(prior) - divergences.jsd(p, q, prior=prior),
        "h(pi) - JSD_pi(p, q)",
    )


def least_squares(*, a: float = 0.0, b: float = 1.0, c: float = 1.0) -> Game:
    """L_D = E_p (D - b)^2 / 2 + E_q (D - a)^2 / 2,  L_G = E_q (D - c)^2 / 2  (Mao et al. 2016, arXiv 1611.04076, eq. 2):
    a is the label of fakes, b that of reals, c what the generator wants its fakes to be taken for.

    D* = (b p + a q) / (p + q), (a + b)/2 where p = q = 0, and min L_D = (b - a)^2 (2 - T) / 8 with the triangular
    discrimination T = sum (p - q)^2 / (p + q).
    """
    if a == b:
        raise ValueError(f"least_squares: got a = b = {a}, expected different labels for fakes (a) and reals (b)")

    def optimum(p: Tensor, q: Tensor) -> Tensor:
        return a + (b - a) * optimal_discriminator(p, q)

    def value(p: Tensor, q: Tensor) -> Tensor:
        return 0.125 * (b - a) ** 2 * (2.0 - ops.sum((p - q) * (2.0 * optimal_discriminator(p, q) - 1.0), axis=-1))

    return _game(
        "least_squares",
        lambda outputs, p, q: 0.5 * (_expect(p, ops.square(outputs - b)) + _expect(q, ops.square(outputs - a))),
        lambda outputs, p, q: 0.5 * _expect(q, ops.square(outputs - c)),
        optimum,
        value,
        "(b - a)^2 (2 - sum (p-q)^2/(p+q)) / 8",
    )


hinge = _game(
    "hinge",
    lambda outputs, p, q: _expect(p, ops.relu(1.0 - outputs)) + _expect(q, ops.relu(1.0 + outputs)),
    lambda outputs, p, q: -_expect(q, outputs),
    lambda p, q: ops.sign(p - q),
    lambda p, q: 2.0 - 2.0 * divergences.total_variation(p, q),
    "2 - 2 TV(p, q)",
)
"""L_D = E_p max(0, 1 - D) + E_q max(0, 1 + D),  L_G = -E_q D  (Lim, Ye 2017, arXiv 1705.02894; Miyato et al. 2018, arXiv
1802.05957, eq. 16): D* = sign(p - q), and anything in [-1, 1] where p = q (0 is given)."""


def _critic(outputs: Tensor, p: Tensor, q: Tensor) -> Tensor:
    return _expect(q, outputs) - _expect(p, outputs)


def bounded_critic(*, low: float = -1.0, high: float = 1.0) -> Game:
    """L_D = E_q f - E_p f over low <= f <= high,  L_G = -E_q f: min L_D = -(high - low) TV(p, q), at f = high where p > q, low
    where p < q, and (say) their middle where p = q. The bound is a constraint: outputs beyond it are not punished.

    Without a bound the infimum is -inf wherever p != q.
    """
    if not low < high:
        raise ValueError(f"bounded_critic: got low {low!r} and high {high!r}, expected low < high")
    return _game(
        "bounded_critic",
        _critic,
        lambda outputs, p, q: -_expect(q, outputs),
        lambda p, q: 0.5 * (low + high) + 0.5 * (high - low) * ops.sign(p - q),
        lambda p, q: -(high - low) * divergences.total_variation(p, q),
        "-(high - low) TV(p, q)",
    )


def wasserstein(positions: Sequence[float] | np.ndarray) -> Game:
    """L_D = E_q f - E_p f over 1-Lipschitz f,  L_G = -E_q f  (Arjovsky et al. 2017, arXiv 1701.07875, eq. 2 and 3), for outcomes
    at `positions` (n,) on the line, in any order.

    With the distribution functions F of p and G of q, f' = sign(G - F), and min L_D = -W1(p, q) = -int |F - G| dx. f is 0 at
    the lowest position (a constant changes nothing). The Lipschitz bound is a constraint: it is not punished by L_D.
    """
    x = np.asarray(positions, dtype=np.float64)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all():
        raise ValueError(f"wasserstein: got positions of shape {x.shape}, expected one finite number for each outcome")
    order = x.argsort(kind="stable")
    back, steps = order.argsort(), np.diff(x[order])

    def gaps(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """G - F between neighbours, and the lengths of these intervals."""
        if p.shape[-1] != x.size:
            raise ValueError(f"wasserstein: got p {p.shape} for {x.size} positions, expected one for each outcome")
        excess = ops.cumsum(ops.take(q - p, order, -1), -1)[..., :-1]
        return excess, ops.cast(Tensor(steps), dtype=p.dtype)

    def optimum(p: Tensor, q: Tensor) -> Tensor:
        excess, lengths = gaps(p, q)
        rises = ops.cumsum(ops.sign(excess) * lengths, -1)
        return ops.take(ops.concatenate([0.0 * p[..., :1], rises], -1), back, -1)

    def value(p: Tensor, q: Tensor) -> Tensor:
        excess, lengths = gaps(p, q)
        return -ops.sum(ops.abs(excess) * lengths, axis=-1)

    return _game("wasserstein", _critic, lambda f, p, q: -_expect(q, f), optimum, value, "-W1(p, q)")


def _pairs(p: Tensor, q: Tensor) -> Tensor:
    """p(x) q(y) at [..., x, y]."""
    return ops.expand_dims(p, -1) * ops.expand_dims(q, -2)


def _paired(outputs: Tensor, p: Tensor, q: Tensor, sign: float) -> Tensor:
    """E softplus(-sign (C(x) - C(y))) over independent x ~ p, y ~ q."""
    weight = _pairs(p, q)
    ahead = ops.expand_dims(outputs, -1) - ops.expand_dims(outputs, -2)
    ahead = ops.where(ops.equal(weight, 0.0), 0.0, ahead)  # inf - inf on pairs that never occur
    return ops.sum(_expect(weight, ops.softplus(-sign * ahead)), axis=-1)


def _paired_jsd(p: Tensor, q: Tensor) -> Tensor:
    pairs = _pairs(p, q)
    flat = (*pairs.shape[:-2], -1)
    return divergences.jsd(ops.reshape(pairs, flat), ops.reshape(ops.swapaxes(pairs, -1, -2), flat))


relativistic = _game(
    "relativistic",
    lambda outputs, p, q: _paired(outputs, p, q, 1.0),
    lambda outputs, p, q: _paired(outputs, p, q, -1.0),
    optimal_logit,
    lambda p, q: math.log(2.0) - _paired_jsd(p, q),
    "log 2 - JSD(p x q, q x p)",
)
"""L_D = E softplus(-(C(x) - C(y))), L_G = E softplus(-(C(y) - C(x))), x ~ p and y ~ q independent (Jolicoeur-Martineau 2018,
arXiv 1807.00734): C* = log p/q up to a constant. p x q is the law of the pair (x, y)."""


def f_gan(f: str | Generator | Callable[[Any], Any]) -> Game:
    """L_D = -(E_p T - E_q f*(T)),  L_G = -E_q f*(T)  (Nowozin et al. 2016, arXiv 1606.00709, eq. 4 and 6), for any generator f
    that `generators.f_divergence` takes. Outputs are T itself, in dom f*, after the output activation.

    T* = f'(p/q), and min L_D = -D_f(p || q). Where p/q is above 1e16 or so, a T* that rounds to the end of dom f* costs inf;
    raw outputs come closer (`generators.variational_bound_of_outputs`).
    """
    generator = generator_of(f)
    return _game(
        f"f_gan({generator.name})",
        lambda t, p, q: -divergences.variational_bound(t, p, q, generator),
        lambda t, p, q: -_expect(q, generator.conjugate(t)),
        lambda p, q: divergences.optimal_t(p, q, generator),
        lambda p, q: -divergences.f_divergence(p, q, generator),
        "-D_f(p || q)",
    )


GAMES = {
    game.name: game
    for game in (minimax, non_saturating, smoothed(), least_squares(), hinge, bounded_critic(), relativistic)
}
"""The games that need no argument, by name."""


# -- what the generator follows --------------------------------------------------------------------------------------
def generator_gradient(game: Game, p: Any, law: Callable[[Tensor], Tensor], theta: Any, *, frozen: bool = True) -> Any:
    """The gradient in theta of the generator's loss against the optimal discriminator of q = law(theta).

    With `frozen` the discriminator is that of this theta and held there, as in training. For :data:`minimax` the result is the
    gradient of 2 JSD(p, q) (Goodfellow et al. 2014, theorem 1), for :data:`non_saturating` that of
    KL(q||p) - 2 JSD(p, q) = 2 KL((p+q)/2 || p) (Arjovsky, Bottou 2017, arXiv 1701.04862, theorem 2.5). Without,
    the derivative also runs through the discriminator's reaction to theta.

    Args:
        game: the losses.
        p: the data's table, (n,).
        law: theta -> the generator's table, (n,), in `ops`.
        theta: the generator's parameters, of any shape. A tensor gives a tensor, a function of theta: its derivative is that
            of the field that training follows, in which the discriminator is new at each theta.
        frozen: whether the discriminator is held.

    Returns:
        An array (or tensor) of theta's shape.
    """
    start = tensor_of(theta)
    wanted = state.enabled and start.node is not None
    start = start if wanted else start.detach()

    def loss(moved: Tensor) -> Tensor:
        """`moved` is the theta that the derivative is taken in; the discriminator may answer to the other one."""
        q = law(moved)
        return game.generator(game.optimum(p, law(start) if frozen else q), tensor_of(p), q)

    gradient = vjp(loss, ops.identity(start) if wanted else start, 1.0, create_graph=wanted)[1]
    return gradient if isinstance(theta, Tensor) else plain(gradient)
