"""Losses: values against probabilities, stability, signs, and what the GAN papers say of them."""

import math

import numpy as np
import pytest
from devices import each_device
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigan as mg
from minigan.gans.toy import Toy

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


ALL = mg.losses.PAIRS
all_pairs = pytest.mark.parametrize(("name", "pair"), ALL.items(), ids=ALL)


@all_pairs
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e30, -1e30, 0.0])
def test_finite_to_1e30(name, pair, dtype, size):
    if name.startswith("least_squares"):
        size *= 1e-12  # its square must fit: 1e18 ** 2 < 3e38
    real = mg.tensor(np.array([size, -size], dtype), requires_grad=True)
    fake = mg.tensor(np.array([-size, size], dtype), requires_grad=True)
    for loss in (pair.discriminator(real, fake), pair.generator(fake, real)):
        assert np.isfinite(loss.item())
        assert all(np.isfinite(g.data).all() for g in mg.grad(loss, [real, fake]))


@all_pairs
def test_signs(name, pair):
    between = 0.5 if name == "least_squares" else 0.0  # half-way from what D gives to fakes to what it gives to reals
    real = mg.tensor(np.full(3, between), requires_grad=True)
    fake = mg.tensor(np.full(3, between - 0.1), requires_grad=True)
    real_slope, fake_slope = mg.grad(pair.discriminator(real, fake), [real, fake])
    assert (real_slope.data < 0).all() and (fake_slope.data > 0).all()  # D wants reals high and fakes low
    assert (mg.grad(pair.generator(fake, real), fake).data < 0).all()  # G wants fakes high


@all_pairs
def test_gradients_against_finite_differences(name, pair):
    real, fake = np.array([[0.3], [-0.7], [1.9]]), np.array([[-0.4], [0.2], [-2.1]])  # away from the hinge's kinks
    assert mg.gradcheck(pair.discriminator, (real, fake), order=2)
    assert mg.gradcheck(pair.generator, (fake, real), order=2)


@all_pairs
def test_only_relativistic_generators_read_the_reals(name, pair):
    real, fake = mg.tensor(np.array([0.3, -1.0])), mg.tensor(np.array([0.5, 2.0]))
    assert pair.relativistic == name.startswith("relativistic")
    if pair.relativistic:
        with pytest.raises(ValueError, match=r"generator\(fake_logits, real_logits\)"):
            pair.generator(fake)
        assert pair.generator(fake, real).item() != pair.generator(fake, real * 2.0).item()
    else:
        assert pair.generator(fake).item() == pair.generator(fake, real).item()


@given(st.integers(1, 6).flatmap(lambda n: st.tuples(*[hnp.arrays(np.float64, n, elements=st.floats(-15, 15))] * 2)))
def test_values_of_the_scores(arrays):
    real, fake = arrays
    r, f = mg.tensor(real), mg.tensor(fake)
    hinge, ls = mg.losses.hinge, mg.losses.least_squares(a=-1.0, b=1.5, c=0.25)
    want = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
    assert hinge.discriminator(r, f).item() == pytest.approx(want)
    want = ((real - 1.5) ** 2).mean() / 2 + ((fake + 1) ** 2).mean() / 2
    assert ls.discriminator(r, f).item() == pytest.approx(want)
    assert ls.generator(f).item() == pytest.approx(((fake - 0.25) ** 2).mean() / 2)
    for pair in (hinge, mg.losses.wasserstein):
        assert pair.generator(f).item() == pytest.approx(-fake.mean(), abs=1e-12)
    assert mg.losses.wasserstein.discriminator(r, f).item() == pytest.approx(fake.mean() - real.mean(), abs=1e-12)
    paired = mg.losses.relativistic
    assert paired.discriminator(r, f).item() == pytest.approx(np.logaddexp(0, fake - real).mean())
    assert paired.generator(f, r).item() == pytest.approx(np.logaddexp(0, real - fake).mean())
    shifted = paired.discriminator(r + 3.0, f + 3.0).item()
    assert shifted == pytest.approx(paired.discriminator(r, f).item(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("real", "fake"), [((3,), (2,)), ((3, 1), (3,))])
def test_relativistic_logits_come_in_pairs(real, fake):
    real, fake = mg.tensor(np.zeros(real)), mg.tensor(np.zeros(fake))
    with pytest.raises(ValueError, match="as many of reals as of fakes"):
        mg.losses.relativistic.discriminator(real, fake)
    with pytest.raises(ValueError, match="as many of reals as of fakes"):
        mg.losses.relativistic.generator(fake, real)


def test_least_squares_needs_two_labels():
    with pytest.raises(ValueError, match="a = b = 1"):
        mg.losses.least_squares(a=1.0, b=1.0, c=0.0)


@pytest.mark.parametrize("name", ["hinge", "least_squares", "least_squares_pearson"])
def test_models_train_with_the_pair(name):
    model = Toy(Toy.Config(loss=name, batch_size=32, seed=3), (2,))
    before = {k: v.copy() for k, v in model.generator.state().items()}
    x = np.random.default_rng(0).standard_normal((32, 2)).astype(np.float32)
    for _ in range(5):
        values = model.game.step(x)
    assert all(np.isfinite(v.item()) for v in values.values())
    assert any((v != before[k]).any() for k, v in model.generator.state().items())


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


@each_device
def test_bce_broadcasts_and_takes_integer_labels(device):
    logits = mg.tensor(np.array([[0.5], [-2.0]]), device=device)
    want = np.mean([np.log1p(np.exp(-0.5)), 2 + np.log1p(np.exp(-2.0))])
    assert mg.losses.bce_with_logits(logits, 1).item() == pytest.approx(want)
    labels = mg.tensor(np.ones((2, 1), np.int64), device=device)
    assert mg.losses.bce_with_logits(logits, labels).item() == pytest.approx(want)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 9))
def test_the_relativistic_average_is_that_of_the_paper(n, m, seed):
    rng = np.random.default_rng(seed)
    real, fake = rng.standard_normal(n), rng.standard_normal(m)
    pair = mg.losses.relativistic_average
    ahead, behind = 1 / (1 + np.exp(-(real - fake.mean()))), 1 / (1 + np.exp(-(fake - real.mean())))
    loss = pair.discriminator(mg.tensor(real), mg.tensor(fake)).item()
    assert loss == pytest.approx(-np.log(ahead).mean() - np.log(1 - behind).mean())
    mine = pair.generator(mg.tensor(fake), mg.tensor(real)).item()
    assert mine == pytest.approx(-np.log(behind).mean() - np.log(1 - ahead).mean())
    shifted = pair.discriminator(mg.tensor(real + 3.0), mg.tensor(fake + 3.0)).item()
    assert shifted == pytest.approx(loss)  # only differences count


def test_the_relativistic_average_needs_the_reals():
    with pytest.raises(ValueError, match="got no logits of reals"):
        mg.losses.relativistic_average.generator(mg.tensor(np.zeros(2)))


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 9))
def test_feature_matching_is_the_distance_of_the_means(n, m, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, 3, 2)), rng.standard_normal((m, 3, 2))
    found = mg.losses.feature_matching(mg.tensor(x), mg.tensor(y)).item()
    assert found == pytest.approx(((x.mean(0) - y.mean(0)) ** 2).sum())
    assert mg.gradcheck(mg.losses.feature_matching, (x, y), order=2)
    with pytest.raises(ValueError, match="one shape"):
        mg.losses.feature_matching(x, y[:, :2])
