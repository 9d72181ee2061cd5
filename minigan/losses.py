"""GAN losses as pairs, on logits.

A logit is l = log D / (1 - D), so -log D = softplus(-l) and -log(1 - D) = softplus(l): no probability is ever formed, and
every value and derivative of the logistic and hinge losses is finite for |l| up to 1e30. Pairs that are not about
probabilities (hinge, least squares, Wasserstein) read the same number as a score. Both losses of a pair are minimised, each by
its own player, and every mean is over the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from minigan import ops
from minigan.autodiff import Tensor, TensorLike
from minigan.backend import array_module
from minigan.checks import number
from minigan.labels import labels_of


class Pair(NamedTuple):
    """What each player minimises: `discriminator(real_logits, fake_logits)` and `generator(fake_logits, real_logits=None)`.

    Only a relativistic generator reads the real logits; the others take and ignore them, so that one call serves all.
    `relativistic` says which it is, so that logits nobody reads need not be computed.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[..., Tensor]
    relativistic: bool = False


# -- logistic: Goodfellow's game and its non-saturating variant ------------------------------------------------------
def logistic(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))) = E softplus(-l_real) + E softplus(l_fake)  (Goodfellow et al. 2014, arXiv
    1406.2661, eq. 1, negated).

    Pointwise -p log D - q log(1 - D) has the derivative -p/D + q/(1 - D), which is 0 at D* = p/(p + q), the logit log p/q
    (ibid., proposition 1). The minimum is log 4 - 2 JSD(p, q) (ibid., theorem 1): log 4 at p = q, where D = 1/2.
    """
    return ops.mean_softplus(real_logits, sign=-1) + ops.mean_softplus(fake_logits)


def saturating(fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """E log(1 - D(G(z))) = -E softplus(l_fake): the generator's half of the zero-sum game (ibid., eq. 1). Against D* its gradient
    is that of 2 JSD(p, q). Its derivative in a logit is -D, which vanishes where fakes are rejected with confidence."""
    return -ops.mean_softplus(fake_logits)


def heuristic(fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """-E log D(G(z)) = E softplus(-l_fake): the non-saturating loss (ibid., section 3). Against D* its gradient is that of
    KL(q || p) - 2 JSD(p, q) (Arjovsky, Bottou 2017, arXiv 1701.04862, theorem 2.5). Its derivative in a logit is D - 1, largest
    where fakes are rejected. At D = 1/2 it is log 2."""
    return ops.mean_softplus(fake_logits, sign=-1)


minimax = Pair(logistic, saturating)
non_saturating = Pair(logistic, heuristic)


def smoothed(pair: Pair = non_saturating, *, real_label: float = 0.9, fake_label: float = 0.0) -> Pair:
    """The logistic discriminator with soft labels a (reals) and b (fakes), E BCE(D(x), a) + E BCE(D(G(z)), b); the generator's
    half is that of `pair` (one-sided smoothing, b = 0: Salimans et al. 2016, arXiv 1606.03498, section 3.4).

    BCE(D, a) = softplus(l) - a l. Pointwise the minimum is at D* = (a p + b q) / (p + q): never 1, however sure of the reals it
    could be. With b > 0 the numerator does not vanish where p does: D* then rewards fakes far from the data for what q has
    there, hence one side. The minimum is 2 h(s) - 2 JSD_s(p', q') with s = (a + b)/2, p' = (a p + b q)/(2 s),
    q' = ((1-a) p + (1-b) q)/(2 (1-s)) and h the binary entropy (`theory.optimal.smoothed`).

    Args:
        pair: :data:`minimax` or :data:`non_saturating`.
        real_label: a. fake_label: b, 0 <= b < a <= 1.

    Raises:
        ValueError: labels out of their range, or a pair with another discriminator.
    """
    number("smoothed", "fake_label", fake_label, low=0)
    number("smoothed", "real_label", real_label, above=fake_label, high=1)
    if pair.discriminator is not logistic:
        raise ValueError("smoothed: got a pair whose discriminator is not logistic, expected minimax or non_saturating")

    def discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        on_reals = ops.mean_softplus(real_logits) - real_label * ops.mean(real_logits)
        return on_reals + ops.mean_softplus(fake_logits) - fake_label * ops.mean(fake_logits)

    return Pair(discriminator, pair.generator)


# -- scores: Wasserstein, hinge, least squares -----------------------------------------------------------------------
def critic(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E D(G(z)) - E D(x), the negative of what a critic maximises (Arjovsky et al. 2017, arXiv 1701.07875, eq. 2).

    Over all 1-Lipschitz D its minimum is -W1(p_data, p_g). It has none over all D: scaling D scales it. So the critic must be
    constrained, by clipped weights (ibid.), a gradient penalty or spectral normalisation.
    """
    return ops.mean(fake_logits) - ops.mean(real_logits)


def raise_score(fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """-E D(G(z)): the generator's half of the Wasserstein and the hinge game. Its derivative in a score is -1, whatever the
    score: it never saturates."""
    return -ops.mean(fake_logits)


def margins(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))  (Lim, Ye 2017, arXiv 1705.02894).

    Pointwise p max(0, 1 - t) + q max(0, 1 + t) is linear in t between its kinks at -1 and 1, with slope q - p: the best score is
    sign(p - q), and the minimum is the sum of 2 min(p, q), that is 2 - 2 TV(p, q). Scores beyond the margins get no gradient.
    """
    return ops.mean(ops.relu(1.0 - real_logits)) + ops.mean(ops.relu(1.0 + fake_logits))


wasserstein = Pair(critic, raise_score)
hinge = Pair(margins, raise_score)


def least_squares(*, a: float = 0.0, b: float = 1.0, c: float = 1.0) -> Pair:
    """LSGAN: D minimises 1/2 E (D(x) - b)^2 + 1/2 E (D(G(z)) - a)^2, G minimises 1/2 E (D(G(z)) - c)^2  (Mao et al. 2016,
    arXiv 1611.04076, eq. 2).

    Args:
        a: the score D gives to fakes.
        b: the score D gives to reals.
        c: the score G wants for its fakes. (a, b, c) = (0, 1, 1) and (-1, 1, 0) are the paper's two choices.

    Pointwise p (t - b)^2 + q (t - a)^2 is least at D* = (b p + a q) / (p + q). Where b - c = 1 and b - a = 2,
    E_p (D* - c)^2 + E_q (D* - c)^2 is the Pearson divergence chi2(p + q || 2q); the paper adds the first term, which G cannot
    change, and has no 1/2 there. Here the factor 1/2 of eq. 2 stays, so that the derivative in a score is D - b, D - a, D - c.

    Raises:
        ValueError: a = b, where D learns nothing.
    """
    if a == b:
        raise ValueError(f"least_squares: got a = b = {a}, expected different scores for fakes (a) and reals (b)")

    def discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return 0.5 * (ops.mean(ops.square(real_logits - b)) + ops.mean(ops.square(fake_logits - a)))

    def generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        return 0.5 * ops.mean(ops.square(fake_logits - c))

    return Pair(discriminator, generator)


# -- relativistic: a fake is judged beside a real --------------------------------------------------------------------
def _difference(left: Tensor, right: Tensor | None) -> Tensor:
    if right is None or left.shape != right.shape:
        raise ValueError(
            f"relativistic: got logits {left.shape} and {None if right is None else right.shape}, expected as many of "
            "reals as of fakes; the generator's loss needs both: generator(fake_logits, real_logits)"
        )
    return left - right


def paired(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E softplus(-(D(x) - D(G(z)))), the i-th real beside the i-th fake (RpGAN: Jolicoeur-Martineau 2018, arXiv 1807.00734;
    with R1 and R2 it is R3GAN: Huang et al. 2025, arXiv 2501.05441, section 2).

    D(x) - D(y) is the logit of "x is the real one of the two". Over all antisymmetric functions of the pair, f(x, y) =
    -f(y, x), the best logit is log p(x) q(y) / (q(x) p(y)), and that is such a difference, with D* = log p/q: the minimum is
    log 2 - JSD(p x q || q x p). At p = q it is log 2. Only differences count: a constant added to D changes nothing.

    Raises:
        ValueError: logits of different shapes.
    """
    return ops.mean_softplus(_difference(real_logits, fake_logits), sign=-1)


def paired_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """E softplus(D(x) - D(G(z))), the same with the roles exchanged (ibid.).

    Raises:
        ValueError: no real logits, or of another shape.
    """
    return ops.mean_softplus(_difference(fake_logits, real_logits), sign=-1)


def averaged(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E softplus(-(D(x) - E D(G(z)))) + E softplus(D(G(z)) - E D(x)), each beside the mean of the others (RaGAN:
    Jolicoeur-Martineau 2018, arXiv 1807.00734, section 4.2).

    With A = E_q sigmoid(D - E_p D) and B = E_p sigmoid(E_q D - D) the best D solves, at every outcome,
    p (sigmoid(E_q D - D) + A) = q (sigmoid(D - E_p D) + B), which has no closed form: it grows with p/q, and is constant where
    p = q. log 4 minus the minimum is a divergence of p and q, 0 only where they are equal (Jolicoeur-Martineau 2019, arXiv
    1901.02474). The means are those of the batch, so that the loss is biased for small ones.
    """
    return ops.mean_softplus(real_logits - ops.mean(fake_logits), sign=-1) + ops.mean_softplus(
        fake_logits - ops.mean(real_logits)
    )


def averaged_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """E softplus(-(D(G(z)) - E D(x))) + E softplus(D(x) - E D(G(z))), the same with the roles exchanged (ibid.).

    Raises:
        ValueError: no real logits.
    """
    if real_logits is None:
        raise ValueError("relativistic_average: got no logits of reals, expected generator(fake_logits, real_logits)")
    return averaged(fake_logits, real_logits)


relativistic = Pair(paired, paired_generator, relativistic=True)
relativistic_average = Pair(averaged, averaged_generator, relativistic=True)

PAIRS = {  # those that need no argument, by name
    "minimax": minimax,
    "non_saturating": non_saturating,
    "hinge": hinge,
    "least_squares": least_squares(),
    "least_squares_pearson": least_squares(a=-1.0, b=1.0, c=0.0),
    "wasserstein": wasserstein,
    "relativistic": relativistic,
    "relativistic_average": relativistic_average,
}

EQUILIBRIUM = {  # losses where fakes are as reals and D is best: what to call the value in a plot, and the value
    "minimax": {"discriminator": ("log 4", math.log(4)), "generator": ("-log 2", -math.log(2))},
    "non_saturating": {"discriminator": ("log 4", math.log(4)), "generator": ("log 2", math.log(2))},
    # At a score of 0; any constant in [-1, 1] is as good for the discriminator.
    "hinge": {"discriminator": ("2", 2.0), "generator": ("0", 0.0)},
    "least_squares": {"discriminator": ("1/4", 0.25), "generator": ("1/8", 0.125)},
    "least_squares_pearson": {"discriminator": ("1", 1.0), "generator": ("0", 0.0)},
    "wasserstein": {"discriminator": ("0", 0.0)},  # every constant is a best critic, so G's loss may be any number
    "relativistic": {"discriminator": ("log 2", math.log(2)), "generator": ("log 2", math.log(2))},
    "relativistic_average": {"discriminator": ("log 4", math.log(4)), "generator": ("log 4", math.log(4))},
    # f-GANs (`theory.generators.f_gan_pair`): -D_f = 0, and -f*(f'(1)), which is f(1) - f'(1) = -f'(1)
    "kl": {"discriminator": ("0", 0.0), "generator": ("-1", -1.0)},
    "reverse_kl": {"discriminator": ("0", 0.0), "generator": ("1", 1.0)},
    "js": {"discriminator": ("0", 0.0), "generator": ("0", 0.0)},
    "chi_squared": {"discriminator": ("0", 0.0), "generator": ("0", 0.0)},
    "hellinger": {"discriminator": ("0", 0.0), "generator": ("0", 0.0)},
    "tv": {"discriminator": ("0", 0.0), "generator": ("0", 0.0)},
}


def bce_with_logits(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross entropy between labels in [0, 1] and sigmoid(logits); targets broadcast to the logits."""
    logits = ops.as_tensor(logits)
    target = ops.cast(ops.as_tensor(target, like=logits), dtype=logits.dtype)
    return ops.bce_with_logits(logits, ops.broadcast_to(target, logits.shape)).mean()


# -- supervised: what auxiliary heads, reconstructions and encoders minimise -----------------------------------------
def _alike(name: str, x: TensorLike, y: TensorLike) -> tuple[Tensor, Tensor]:
    """Two tensors of one shape, or a tensor and a number: (N,) beside (N, 1) would silently become N^2 differences."""
    x = ops.as_tensor(x)
    y = ops.as_tensor(y, like=x)
    if x.shape != y.shape and y.shape != ():
        raise ValueError(f"{name}: got shapes {x.shape} and {y.shape}, expected one shape, or a number as the second")
    if not x.size:
        raise ValueError(f"{name}: got shape {x.shape}, expected at least one element")
    return x, y if y.shape == x.shape else ops.cast(y, dtype=x.dtype)


def l1(x: TensorLike, y: TensorLike) -> Tensor:
    """mean |x - y| over all elements;  dx = sign(x - y) / n, 0 where they are equal. pix2pix's reconstruction (Isola et al. 2016,
    arXiv 1611.07004, eq. 3) and CycleGAN's cycle consistency (Zhu et al. 2017, arXiv 1703.10593, eq. 2), without their lambda.

    Args:
        x, y: of one shape; y may be a number.

    Raises:
        ValueError: other shapes.
    """
    x, y = _alike("l1", x, y)
    return ops.mean(ops.abs(x - y))


def mse(x: TensorLike, y: TensorLike) -> Tensor:
    """mean (x - y)^2 over all elements;  dx = 2 (x - y) / n.

    Args:
        x, y: of one shape; y may be a number.

    Raises:
        ValueError: other shapes.
    """
    x, y = _alike("mse", x, y)
    return ops.mean(ops.square(x - y))


def feature_matching(real_features: TensorLike, fake_features: TensorLike) -> Tensor:
    """|E f(x) - E f(G(z))|^2, f a layer inside the discriminator: the generator's loss in place of its half of a pair (Salimans
    et al. 2016, arXiv 1606.03498, section 3.1). It is 0 where the means agree, whatever the rest of the laws: a generator may
    stop there.

    Args:
        real_features, fake_features: (N, ...) and (M, ...), alike but for the first axis, over which means are taken.

    Raises:
        ValueError: other shapes.
    """
    real, fake = ops.mean(ops.as_tensor(real_features), 0), ops.mean(ops.as_tensor(fake_features), 0)
    if real.shape != fake.shape:
        raise ValueError(f"feature_matching: got features {real.shape} and {fake.shape} an example, expected one shape")
    return ops.sum(ops.square(real - fake))


def cross_entropy(logits: TensorLike, labels: TensorLike, *, label_smoothing: float = 0.0) -> Tensor:
    """-sum_k q_k log p_k, the mean over all but the last axis, with p = softmax(logits) and q the labels' distribution:

        q = (1 - e) one_hot(label) + e / K      (e the label smoothing: Szegedy et al. 2015, arXiv 1512.00567, section 7)

    and d logits = (p - q) / N. It is H(q) + KL(q || p) >= H(q). For a discriminator on logits of real and fake see
    :func:`logistic`.

    Args:
        logits: (..., K). Minus infinity stands for a class that is impossible.
        labels: integers (...) in [0, K), or distributions (..., K) as floats, which may carry gradients.
        label_smoothing: e in [0, 1).

    Raises:
        TypeError, ValueError: shapes that do not fit, labels out of range (not looked at on a GPU), a smoothing out of range.
    """
    number("cross_entropy", "label_smoothing", label_smoothing, low=0, below=1)
    logits = ops.as_tensor(logits)
    labels = ops.as_tensor(labels, like=logits)
    wanted = logits.shape if labels.dtype.kind == "f" else logits.shape[:-1]
    if not logits.size or labels.shape != wanted or not logits.ndim:
        raise ValueError(
            f"cross_entropy: got logits {logits.shape} and labels {labels.shape} {labels.dtype}, expected logits (..., K) and "
            "integers (...) or floats (..., K)"
        )
    classes = logits.shape[-1]
    log_p = ops.log_softmax(logits)
    if labels.dtype.kind != "f":
        labels = labels_of("cross_entropy", labels, classes)
        own = ops.equal(ops.expand_dims(labels, -1), array_module(labels._data).arange(classes))
        per_example = -ops.sum(ops.where(own, log_p, 0.0), -1)  # not 0 * log p, which is NaN for an impossible class
    else:
        q = ops.cast(labels, dtype=logits.dtype)
        impossible = ops.equal(q, 0.0) & ops.equal(log_p, -math.inf)
        per_example = -ops.sum(q * ops.where(impossible, 0.0, log_p), -1)
    loss = ops.mean(per_example)
    return loss if not label_smoothing else (1 - label_smoothing) * loss - label_smoothing * ops.mean(log_p)


def gaussian_kl(mean: TensorLike, log_var: TensorLike) -> Tensor:
    """KL(N(mean, diag e^log_var) || N(0, I)) = 1/2 sum_j (mean_j^2 + e^l_j - 1 - l_j), l the log variance: the sum over the last
    axis, the mean over all others (Kingma, Welling 2013, arXiv 1312.6114, appendix B). d mean = mean / N,
    d l = (e^l - 1) / (2 N). In nats, >= 0, and 0 only at the standard normal.

    Args:
        mean, log_var: (..., J), of one shape.

    Raises:
        ValueError: other shapes.
    """
    mean, log_var = ops.as_tensor(mean), ops.as_tensor(log_var)
    if mean.shape != log_var.shape or not mean.ndim or not mean.size:
        raise ValueError(f"gaussian_kl: got mean {mean.shape} and log_var {log_var.shape}, expected one shape (..., J)")
    return 0.5 * ops.mean(ops.sum(ops.square(mean) + (ops.expm1(log_var) - log_var), -1))
