"""Toy laws: the samples follow the stated density, the density integrates to 1, and everything is pure."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.data import DataError, Dataset, load, mode_statistics, toys

MAKERS: dict[str, Callable[..., Dataset]] = {
    "ring8": toys.ring8,
    "grid25": toys.grid25,
    "swiss_roll": toys.swiss_roll,
    "moons": toys.moons,
    "line": toys.line,
    "gauss1d": toys.gauss1d,
    "gauss2d": toys.gauss2d,
}
# A noise wide enough for a lattice of step sigma / 2 to be small.
COARSE = {"ring8": 0.2, "grid25": 0.3, "swiss_roll": 0.1, "moons": 0.1, "line": 0.1, "gauss1d": 0.5, "gauss2d": 0.5}


def density(data: Dataset, x: np.ndarray) -> np.ndarray:
    assert data.log_density is not None
    return np.exp(data.log_density(x))


def lattice(data: Dataset, step: float) -> np.ndarray:
    """Cell centres of a lattice that covers the data with 8 sigma to spare."""
    assert data.sigma is not None
    x = data.x.astype(np.float64)  # a lattice in float32 would have the wrong step
    low, high = x.min(axis=0) - 8 * data.sigma, x.max(axis=0) + 8 * data.sigma
    axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
    return np.stack([mesh.ravel() for mesh in np.meshgrid(*axes, indexing="ij")], axis=1)


@pytest.mark.parametrize("name", MAKERS)
def test_density_integrates_to_one(name: str) -> None:
    data = MAKERS[name](2000, 0, sigma=COARSE[name])
    step = COARSE[name] / 2
    total = density(data, lattice(data, step)).sum() * step ** data.x.shape[1]
    # Summing a Gaussian blur on a lattice of step sigma/2 is exact to exp(-8 pi^2); quadrature adds 1e-9.
    assert abs(total - 1) < 1e-8


@pytest.mark.parametrize("name", MAKERS)
def test_samples_follow_the_density(name: str) -> None:
    """E[f(x)] over the samples equals the integral of f p, for waves f in many directions."""
    n = 40_000
    data = MAKERS[name](n, 3, sigma=COARSE[name])
    step = COARSE[name] / 2
    grid = lattice(data, step)
    weight = density(data, grid) * step ** data.x.shape[1]
    for frequency in np.random.default_rng(0).normal(size=(8, data.x.shape[1])):
        for f in (np.cos, np.sin):
            expected = np.sum(weight * f(grid @ frequency))
            values = f(data.x @ frequency)
            assert abs(values.mean() - expected) < 4.5 * values.std() / math.sqrt(n)


@pytest.mark.parametrize("name", MAKERS)
def test_mean_log_likelihood_is_minus_the_entropy(name: str) -> None:
    """-E[log p] from the samples against -sum p log p on the lattice: a wrong sigma or weight moves it."""
    n = 20_000
    data = MAKERS[name](n, 1, sigma=COARSE[name])
    assert data.log_density is not None
    step = COARSE[name] / 2
    p = density(data, lattice(data, step))
    held = p > 0
    entropy = -np.sum(p[held] * np.log(p[held])) * step ** data.x.shape[1]
    values = data.log_density(data.x[:4000])
    assert abs(values.mean() + entropy) < 4.5 * values.std() / math.sqrt(4000)


@pytest.mark.parametrize("name", MAKERS)
@given(seed=st.integers(-(2**70), 2**70), small=st.integers(2, 40), more=st.integers(0, 60))
@settings(max_examples=15, deadline=None)
def test_pure_and_prefix(name: str, seed: int, small: int, more: int) -> None:
    a, b = MAKERS[name](small, seed), MAKERS[name](small + more, seed)
    np.testing.assert_array_equal(a.x, b.x[:small])
    if a.y is not None and b.y is not None:
        np.testing.assert_array_equal(a.y, b.y[:small])
    assert a.x.dtype == np.float32 and np.isfinite(a.x).all()
    assert not np.array_equal(a.x, MAKERS[name](small, seed + 1).x)


def test_line_density_is_its_closed_form() -> None:
    sigma, half = 0.05, math.sqrt(5)
    x = np.random.default_rng(0).normal(size=(300, 2)) * [1.5, 1.0]
    a, b = (x @ [2, 1]) / half, (x @ [-1, 2]) / half
    distance = np.hypot(b, np.maximum(np.abs(a) - half, 0))
    keep = distance < 10 * sigma
    assert keep.sum() > 50

    def tail(t: float) -> float:
        return 0.5 * math.erfc(t / (sigma * math.sqrt(2)))

    along = np.array([(tail(t - half) - tail(t + half)) / (2 * half) for t in a[keep]])
    exact = np.log(along) - b[keep] ** 2 / (2 * sigma**2) - math.log(sigma * math.sqrt(2 * math.pi))
    log_density = toys.line(2, sigma=sigma).log_density
    assert log_density is not None
    np.testing.assert_allclose(log_density(x[keep]), exact, rtol=0, atol=1e-5)
    near = distance[keep] < 3 * sigma
    assert near.sum() > 10
    np.testing.assert_allclose(log_density(x[keep])[near], exact[near], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["swiss_roll", "moons"])
def test_curve_quadrature_has_converged(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = MAKERS[name](300, 0)
    assert data.log_density is not None and data.sigma is not None
    coarse = data.log_density(data.x)
    monkeypatch.setattr(toys, "_NODES_PER_PANEL", 16)
    np.testing.assert_allclose(coarse, data.log_density(data.x), rtol=0, atol=1e-9)


def test_log_density_far_away_neither_overflows_nor_vanishes() -> None:
    for name, maker in MAKERS.items():
        data = maker(2, 0)
        assert data.log_density is not None and data.sigma is not None
        far = np.full((1, data.x.shape[1]), 1e3)
        value = data.log_density(far)[0]
        assert np.isfinite(value) and value < -1e5, name


def test_known_centres() -> None:
    ring, grid = toys.ring8(2), toys.grid25(2)
    assert ring.modes is not None and grid.modes is not None
    np.testing.assert_allclose(np.linalg.norm(ring.modes, axis=1), 2, atol=1e-12)
    np.testing.assert_allclose(ring.modes[2], [0, 2], atol=1e-12)
    assert sorted(map(tuple, grid.modes)) == [(a, b) for a in range(-4, 5, 2) for b in range(-4, 5, 2)]
    assert (ring.sigma, grid.sigma) == (0.02, 0.05)
    for data in (toys.ring8(4000), toys.grid25(4000), toys.gauss1d(4000, modes=3)):
        assert data.modes is not None and data.y is not None
        assert set(data.y) == set(range(len(data.modes)))
        spread = (data.x - data.modes[data.y]) / data.sigma
        assert abs(spread.std() - 1) < 0.03 and abs(spread.mean()) < 0.05


def test_density_survives_pickling() -> None:
    data = toys.moons(10)
    again = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(data.log_density(data.x), again.log_density(data.x))  # type: ignore[misc]


def test_mode_statistics_by_hand() -> None:
    modes = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    # Three at mode 0 (one of them just outside 3 sigma), one at mode 1, none elsewhere.
    samples = np.array([[0, 0], [0, 2.9], [0, 3.1], [10, 1]])
    got = mode_statistics(samples, modes, 1.0)
    assert got["modes"] == 2 and got["good"] == 0.75
    assert math.isclose(got["reverse_kl"], 0.75 * math.log(3) + 0.25 * math.log(1))


def test_mode_statistics_extremes() -> None:
    data = toys.grid25(50_000)
    assert data.modes is not None and data.sigma is not None
    got = mode_statistics(data.x, data.modes, data.sigma)
    assert got["modes"] == 25 and got["reverse_kl"] < 1e-3
    assert abs(got["good"] - (1 - math.exp(-4.5))) < 0.003
    collapsed = mode_statistics(np.zeros((10, 2)), data.modes, data.sigma)
    assert collapsed["modes"] == 1 and math.isclose(collapsed["reverse_kl"], math.log(25))
    lost = mode_statistics(np.full((10, 2), np.nan), data.modes, data.sigma)
    assert lost == {"modes": 0.0, "good": 0.0, "reverse_kl": math.log(25)}
    for samples in (np.zeros((0, 2)), np.zeros((3, 3)), np.zeros(3)):
        with pytest.raises(DataError):
            mode_statistics(samples, data.modes, data.sigma)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ring8", {"sigma": 0}),
        ("ring8", {"sigma": math.nan}),
        ("ring8", {"sigma": "wide"}),
        ("ring8", {"radius": math.inf}),
        ("swiss_roll", {"sigma": 1e-9}),
        ("gauss1d", {"modes": 4}),
        ("moons", {"radius": 1}),
        ("grid25", {"n": 1}),
        ("grid25", {"n": 2.5}),
    ],
)
def test_bad_options(name: str, options: dict[str, object]) -> None:
    with pytest.raises(DataError, match=name):
        load(name, **options)  # type: ignore[arg-type]


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(DataError, match=r"did you mean 'swiss_roll'.*glyphs.*gauss1d"):
        load("swissroll")
