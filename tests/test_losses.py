"""Losses: values against probabilities, stability, signs, and what the GAN papers say of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigan as mg

logits = hnp.arrays(np.float64, st.integers(1, 8), elements=st.floats(-15, 15))


@given(logits, logits)
def test_values_are_those_of_the_paper_in_probabilities(real, fake):
    d_real, d_fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    want = -np.log(d_real).mean() - np.log(1 - d_fake).mean()
    assert mg.losses.non_saturating.discriminator(mg.tensor(real), mg.tensor(fake)).item() == pytest.approx(
        want, rel=1e-8
    )
    assert mg.losses.minimax.generator(mg.tensor(fake)).item() == pytest.approx(np.log(1 - d_fake).mean(), rel=1e-7)
    assert mg.losses.non_saturating.generator(mg.tensor(fake)).item() == pytest.approx(-np.log(d_fake).mean(), rel=1e-8)


@given(logits)
def test_gradients_in_a_logit_are_minus_d_and_d_minus_one(fake):
    x = mg.tensor(fake, requires_grad=True)
    d = 1 / (1 + np.exp(-fake))
    np.testing.assert_allclose(mg.grad(mg.losses.minimax.generator(x), x).data * len(fake), -d, atol=1e-12)
    np.testing.assert_allclose(mg.grad(mg.losses.non_saturating.generator(x), x).data * len(fake), d - 1, atol=1e-12)


@pytest.mark.parametrize("pair", mg.losses.PAIRS.values(), ids=mg.losses.PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e30, -1e30, 0.0])
def test_finite_to_1e30(pair, dtype, size):
    real = mg.tensor(np.array([size, -size], dtype), requires_grad=True)
    fake = mg.tensor(np.array([-size, size], dtype), requires_grad=True)
    for loss in (pair.discriminator(real, fake), pair.generator(fake)):
        assert np.isfinite(loss.item())
        assert all(np.isfinite(g.data).all() for g in mg.grad(loss, [real, fake]))


@pytest.mark.parametrize("pair", mg.losses.PAIRS.values(), ids=mg.losses.PAIRS)
def test_signs(pair):
    zero = mg.tensor(np.zeros(3), requires_grad=True)
    other = mg.tensor(np.zeros(3), requires_grad=True)
    real_slope, fake_slope = mg.grad(pair.discriminator(zero, other), [zero, other])
    assert (real_slope.data < 0).all() and (fake_slope.data > 0).all()  # D wants reals high and fakes low
    assert (mg.grad(pair.generator(other), other).data < 0).all()  # G wants fakes high


def test_equilibrium_values():
    half = mg.tensor(np.zeros(4))
    assert mg.losses.non_saturating.discriminator(half, half).item() == pytest.approx(math.log(4))
    assert mg.losses.non_saturating.generator(half).item() == pytest.approx(math.log(2))
    assert mg.losses.minimax.generator(half).item() == pytest.approx(-math.log(2))


@given(logits)
def test_losses_on_one_fake_batch_bound_each_other(fake):
    """exp(-L_G) + exp(-L_D,fake) <= 1 (Jensen): printed logs with both losses near 0 are impossible."""
    g = mg.losses.non_saturating.generator(mg.tensor(fake)).item()
    d = mg.ops.softplus(mg.tensor(fake)).mean().item()
    assert math.exp(-g) + math.exp(-d) <= 1 + 1e-12


def test_bce_broadcasts_and_takes_integer_labels():
    logits = mg.tensor(np.array([[0.5], [-2.0]]))
    want = np.mean([np.log1p(np.exp(-0.5)), 2 + np.log1p(np.exp(-2.0))])
    assert mg.losses.bce_with_logits(logits, 1).item() == pytest.approx(want)
    assert mg.losses.bce_with_logits(logits, mg.tensor(np.ones((2, 1), np.int64))).item() == pytest.approx(want)
