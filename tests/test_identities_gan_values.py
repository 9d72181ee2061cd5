"""Identities 17-30: what the players of a GAN can reach, on discrete worlds where every number is exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from identity import identity

import minigan as mg
from minigan import losses, ops
from minigan.lessons.strategies import arrays, floats, tables
from minigan.theory import divergences, optimal

SIZE = 8
logits = arrays(SIZE, -30.0, 30.0)
pairs = tables(2, min_size=SIZE, max_size=SIZE)
shares = floats(0.05, 0.95)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slope(f, x):
    """The gradient of f's sum at the array x, by the project's autodiff."""
    t = mg.tensor(x, requires_grad=True)
    return mg.grad(f(t).sum(), t).data


# -- the optimal discriminator ---------------------------------------------------------------------------------------
@given(pq=tables(2))
@identity(17, "argmax_D V = p/(p+q): the gradient of V in D vanishes there, and V is strictly concave", atol=1e-12)
def test_identity_17_the_gradient_vanishes_at_the_optimum(see, pq):
    p, q = pq
    best = optimal.optimal_discriminator(p, q)
    see.equal(best, p / (p + q))
    d = mg.tensor(best, requires_grad=True)
    (first,) = mg.grad([optimal.value(d, p, q)], [d], create_graph=True)
    see.equal(first.data * best * (1 - best), 0.0)  # = p (1-D) - q D: the factor undoes the digits that 1/(1-D) loses
    see.true((mg.grad(first.sum(), d).data < 0).all())


@given(pq=pairs, d=arrays(SIZE, 1e-9, 1 - 1e-9))
@identity(17, "V(D) <= V(D*) for every D", atol=1e-12)
def test_identity_17_no_table_is_better(see, pq, d):
    p, q = pq
    see.below(optimal.value(d, p, q), optimal.value(optimal.optimal_discriminator(p, q), p, q))


@given(pq=tables(2))
@identity(17, "logit D* = log p/q", atol=1e-12)
def test_identity_17_the_logit_is_the_log_density_ratio(see, pq):
    p, q = pq
    d = optimal.optimal_discriminator(p, q)
    see.equal(optimal.optimal_logit(p, q), np.log(p) - np.log(q))
    see.equal(sigmoid(optimal.optimal_logit(p, q)), d)


@given(pq=tables(2, zeros=True))
@identity(18, "V(D*) = 2 JSD(p, q) - log 4, zeros allowed", atol=1e-12)
def test_identity_18_the_value_is_the_jsd(see, pq):
    p, q = pq
    right = 2 * divergences.jsd(p, q) - math.log(4)
    see.equal(optimal.value(optimal.optimal_discriminator(p, q), p, q), right)
    see.equal(optimal.value_of_logits(optimal.optimal_logit(p, q), p, q), right)
    see.equal(-optimal.minimax.value(p, q), right)


@given(pq=pairs, logit=logits)
@identity(19, "V(D*) - V(D) = sum (p + q) KL(Bern D* || Bern D)", atol=1e-12)
def test_identity_19_the_regret_is_a_mean_divergence(see, pq, logit):
    p, q = pq
    best = optimal.optimal_discriminator(p, q)
    bernoulli = divergences.kl(np.stack([best, 1 - best], -1), np.stack([sigmoid(logit), sigmoid(-logit)], -1))
    gap = optimal.value(best, p, q) - optimal.value_of_logits(logit, p, q)
    see.equal(gap, ((p + q) * bernoulli).sum())
    see.equal(gap, optimal.regret_of_logits(logit, p, q))
    see.below(0.0, gap)


@given(pq=pairs, logit=arrays(SIZE, -6.0, 6.0))
@identity(19, "the regret, from probabilities", atol=1e-12)
def test_identity_19_the_regret_from_probabilities(see, pq, logit):
    p, q = pq
    d = sigmoid(logit)  # 1 - d has lost 7 digits at a logit of 17, hence the narrow domain
    best = optimal.optimal_discriminator(p, q)
    see.equal(optimal.value(best, p, q) - optimal.value(d, p, q), optimal.regret(d, p, q))
    see.equal(optimal.regret(d, p, q), optimal.regret_of_logits(logit, p, q))


@given(pq=pairs, prior=shares, logit=logits)
@identity(20, "prior pi: D* = pi p/(pi p + (1-pi) q); min L_D = h(pi) - JSD_pi(p, q)", atol=1e-12)
def test_identity_20_a_prior_shifts_the_logit(see, pq, prior, logit):
    p, q = pq
    game = optimal.weighted(prior=prior)
    best = optimal.optimal_discriminator(p, q, prior=prior)
    see.equal(best, prior * p / (prior * p + (1 - prior) * q))
    see.equal(sigmoid(game.optimum(p, q)), best)
    see.equal(game.optimum(p, q), np.log(p / q) + math.log(prior / (1 - prior)))
    see.equal(slope(lambda t: game.discriminator(t, p, q), game.optimum(p, q)), 0.0)
    see.below(game.value(p, q), game.discriminator(logit, p, q))
    see.equal(game.value(p, q), game.discriminator(game.optimum(p, q), p, q))


# -- the generator's gradient ----------------------------------------------------------------------------------------
@given(pq=pairs, theta=arrays(SIZE, -6.0, 6.0))
@identity(21, "grad E_q[log(1-D*)] = grad 2 JSD(p, q), D* frozen at theta0", atol=1e-12)
def test_identity_21_the_saturating_gradient_is_that_of_the_jsd(see, pq, theta):
    p, _ = pq
    frozen = optimal.generator_gradient(optimal.minimax, p, ops.softmax, theta)
    see.equal(frozen, slope(lambda t: 2 * divergences.jsd(p, ops.softmax(t)), theta))


@given(pq=pairs, theta=arrays(SIZE, -6.0, 6.0))
@identity(22, "grad E_q[-log D*] = grad [KL(q||p) - 2 JSD(p, q)], D* frozen at theta0, p and q > 0", atol=1e-12)
def test_identity_22_the_heuristic_gradient_is_reverse_kl_minus_twice_jsd(see, pq, theta):
    p, _ = pq
    frozen = optimal.generator_gradient(optimal.non_saturating, p, ops.softmax, theta)

    def claimed(t):
        q = ops.softmax(t)
        return divergences.kl(q, p) - 2 * divergences.jsd(p, q)

    see.equal(frozen, slope(claimed, theta))


@given(logit=arrays(SIZE, -30.0, 30.0))
@identity(23, "non-saturating over saturating per-sample gradient in the logit = (1-D)/D", atol=0.0, rtol=1e-12)
def test_identity_23_the_ratio_of_the_gradients(see, logit):
    heuristic = slope(losses.non_saturating.generator, logit)
    saturating = slope(losses.minimax.generator, logit)
    see.equal(heuristic / saturating, np.exp(-logit))  # (1-D)/D = e^-logit: 1 - D itself loses its digits for D near 1


@given(logit=arrays(st.integers(1, 32), -30.0, 30.0))
@identity(24, "exp(-L_G) + exp(-L_D,fake) <= 1, same batch and D; equality iff D is constant", atol=1e-12)
def test_identity_24_both_losses_cannot_be_small(see, logit):
    fake = mg.tensor(logit)
    generator, discriminator = losses.non_saturating.generator(fake).item(), ops.softplus(fake).mean().item()
    see.below(math.exp(-generator) + math.exp(-discriminator), 1.0)
    constant = mg.tensor(np.full(4, logit[0]))
    both = losses.non_saturating.generator(constant).item(), ops.softplus(constant).mean().item()
    see.equal(math.exp(-both[0]) + math.exp(-both[1]), 1.0)


# -- labels ----------------------------------------------------------------------------------------------------------
@given(pq=pairs, alpha=shares, share=floats(0.0, 0.95), logit=logits)
@identity(25, "one-sided smoothing: D* = alpha p/(p+q); two-sided (alpha p + beta q)/(p+q)", atol=1e-12)
def test_identity_25_smoothed_labels(see, pq, alpha, share, logit):
    p, q = pq
    for beta in (0.0, alpha * share):
        game = optimal.smoothed(real_label=alpha, fake_label=beta)
        best = (alpha * p + beta * q) / (p + q)
        see.equal(optimal.optimal_discriminator(p, q, real_label=alpha, fake_label=beta), best)
        see.equal(sigmoid(game.optimum(p, q)), best)
        see.equal(slope(lambda t, g=game: g.discriminator(t, p, q), game.optimum(p, q)), 0.0)
        see.equal(game.discriminator(game.optimum(p, q), p, q), game.value(p, q))
        see.below(game.value(p, q), game.discriminator(logit, p, q))


@given(pq=pairs, a=floats(-2, 2), b=floats(-2, 2), d=arrays(SIZE, -4.0, 4.0))
@identity(26, "LSGAN: D* = (b p + a q)/(p + q)", atol=1e-12)
def test_identity_26_the_least_squares_optimum(see, pq, a, b, d):
    p, q = pq
    assume(a != b)
    game = optimal.least_squares(a=a, b=b, c=b)
    see.equal(game.optimum(p, q), (b * p + a * q) / (p + q))
    see.equal(slope(lambda t: game.discriminator(t, p, q), game.optimum(p, q)), 0.0)
    see.equal(game.discriminator(game.optimum(p, q), p, q), game.value(p, q))
    see.below(game.value(p, q), game.discriminator(d, p, q))


@given(pq=tables(2), c=floats(-2, 2))
@identity(
    26,
    "with b-c = 1, b-a = 2: E_p(D*-c)^2 + E_q(D*-c)^2 = sum (p-q)^2/(p+q) = chi2(p+q || 2q), chi2(u||v) = sum (v-u)^2/u",
    atol=1e-12,
)
def test_identity_26_the_generator_minimises_a_chi_squared(see, pq, c):
    p, q = pq
    best = optimal.least_squares(a=c - 1, b=c + 1, c=c).optimum(p, q)
    left = (p * (best - c) ** 2).sum() + (q * (best - c) ** 2).sum()
    see.equal(left, ((p - q) ** 2 / (p + q)).sum())
    # both have mass 2; Pearson's chi2(q || m), m = (p+q)/2, is sum (q - m)^2/m = sum (q-p)^2 / (2 (p+q))
    see.equal(left, 2 * divergences.pearson_chi_squared(q, (p + q) / 2))


def test_identity_26_is_not_the_chi_squared_of_p_and_q():
    p, q = np.array([0.8, 0.2]), np.array([0.4, 0.6])
    assert ((p - q) ** 2 / (p + q)).sum() == pytest.approx(1 / 3)
    assert divergences.pearson_chi_squared(p, q) == pytest.approx(2 / 3)
    assert divergences.neyman_chi_squared(p, q) == pytest.approx(1.0)


# -- hinge and critics -----------------------------------------------------------------------------------------------
@given(pq=pairs, d=arrays(SIZE, -3.0, 3.0))
@identity(27, "hinge: D* = sign(p - q), min L_D = 2 - 2 TV(p, q)", atol=1e-12)
def test_identity_27_the_hinge_loss_sees_the_total_variation(see, pq, d):
    p, q = pq
    see.equal(optimal.hinge.optimum(p, q), np.sign(p - q))
    see.equal(optimal.hinge.discriminator(np.sign(p - q), p, q), 2 - 2 * divergences.total_variation(p, q))
    see.below(2 - 2 * divergences.total_variation(p, q), optimal.hinge.discriminator(d, p, q))


@given(pq=pairs, f=arrays(SIZE, 0.0, 1.0))
@identity(28, "sup over 0 <= f <= 1 of E_p f - E_q f = TV; over |f| <= 1 it is 2 TV", atol=1e-12)
def test_identity_28_bounded_critics(see, pq, f):
    p, q = pq
    tv = divergences.total_variation(p, q)
    for low, high, sup in ((0.0, 1.0, tv), (-1.0, 1.0, 2 * tv)):
        game = optimal.bounded_critic(low=low, high=high)
        best, other = game.optimum(p, q), low + (high - low) * f
        see.true((best >= low).all() and (best <= high).all())
        see.equal(p @ best - q @ best, sup)
        see.below(p @ other - q @ other, sup)
        see.equal(game.value(p, q), -sup)


# -- pairs and labels ------------------------------------------------------------------------------------------------
def of_pairs(p, q):
    """The laws of (x, y) and of (y, x), x ~ p and y ~ q independent, as flat tables."""
    return np.outer(p, q).reshape(-1), np.outer(q, p).reshape(-1)


@given(pq=pairs, c=arrays(SIZE, -9.0, 9.0))
@identity(29, "paired relativistic logistic optimum = log 2 - JSD(p x q || q x p), at C* = log p/q", atol=1e-12)
def test_identity_29_the_relativistic_optimum(see, pq, c):
    p, q = pq
    game = optimal.relativistic
    claimed = math.log(2) - divergences.jsd(*of_pairs(p, q))
    ahead = np.log(p / q)[:, None] - np.log(p / q)[None, :]
    see.equal((np.outer(p, q) * np.log1p(np.exp(-ahead))).sum(), claimed)
    see.equal(game.discriminator(game.optimum(p, q), p, q), claimed)
    see.equal(game.value(p, q), claimed)
    see.below(claimed, game.discriminator(c, p, q))
    see.equal(slope(lambda t: game.discriminator(t, p, q), game.optimum(p, q)), 0.0)


@given(pq=tables(2, max_size=16, zeros=True))
@identity(29, "JSD(p x q || q x p) >= JSD(p || q)", atol=1e-12)
def test_identity_29_pairs_are_easier_to_tell_apart(see, pq):
    p, q = pq
    see.below(divergences.jsd(p, q), divergences.jsd(*of_pairs(p, q)))


@given(labels=tables(1, min_size=4, max_size=4), given_label=tables(8, min_size=5, max_size=5, zeros=True))
@identity(30, "conditional GAN, equal label marginals: joint JSD = E_y JSD(p(.|y), q(.|y))", atol=1e-12)
def test_identity_30_a_conditional_gan_averages_over_labels(see, labels, given_label):
    (weight,) = labels
    p, q = np.stack(given_label[:4]), np.stack(given_label[4:])
    joint = divergences.jsd((weight[:, None] * p).reshape(-1), (weight[:, None] * q).reshape(-1))
    see.equal(joint, weight @ divergences.jsd(p, q))
