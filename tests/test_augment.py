"""Augmentations: values against plain NumPy, laws, derivatives, replay, refusals; on each device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from devices import each_device
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import minigan as mg
from minigan import augment
from minigan.autodiff import Tensor, grad, tensor
from minigan.backend import to_device, to_numpy
from minigan.random import Source

R = np.random.default_rng(0)
X = R.standard_normal((5, 6, 7, 3))


def source(device: str = "cpu", seed: int = 3) -> Source:
    return Source(seed, device=device, dtype=np.float64)


def run(part: Any, x: np.ndarray, device: str = "cpu", **options: Any) -> np.ndarray:
    return to_numpy(part(to_device(x, device), source(device), **options).data)


@given(seed=st.integers(0, 999))
def test_shift_moves_by_whole_pixels_and_zeros_come_in(seed: int) -> None:
    r = np.random.default_rng(seed)
    n, h, w, c = r.integers(1, 5, 4)
    x, offsets = r.standard_normal((n, h, w, c)), r.integers(-6, 7, (n, 2))
    y = np.zeros_like(x)
    for k, (s, t) in enumerate(offsets):
        for i in range(h):
            for j in range(w):
                if 0 <= i - s < h and 0 <= j - t < w:
                    y[k, i, j] = x[k, i - s, j - t]
    np.testing.assert_array_equal(augment.shift(x, offsets).data, y)


def test_shift_keeps_what_is_not_finite_out_of_the_zeros() -> None:
    x = np.full((1, 2, 2, 1), np.inf)
    np.testing.assert_array_equal(augment.shift(x, np.array([[1, 0]])).data[0, :, :, 0], [[0, 0], [np.inf, np.inf]])


@each_device
def test_flip_mirrors_half_of_the_images(device: str) -> None:
    x = R.standard_normal((400, 2, 3, 1))
    y = run(augment.flip, x, device)
    mirrored = (y == x[:, :, ::-1]).all((1, 2, 3))
    assert ((y == x).all((1, 2, 3)) ^ mirrored).all()
    assert stats.binomtest(int(mirrored.sum()), 400).pvalue > 1e-4


@each_device
@pytest.mark.parametrize("name, low, high", [("brightness", -0.5, 0.5), ("saturation", 0, 2), ("contrast", 0.5, 1.5)])
def test_colour_parts_are_one_uniform_number_an_image(device: str, name: str, low: float, high: float) -> None:
    """The number is read off each image by its formula, is the same at all pixels, and is uniform."""
    x = R.standard_normal((300, 4, 4, 3))
    y = run(augment.PARTS[name], x, device)
    if name == "brightness":
        u = y - x
    else:
        m = x.mean(3, keepdims=True) if name == "saturation" else x.mean((1, 2, 3), keepdims=True)
        u = (y - m) / (x - m)
    first = u[:, 0, 0, 0]
    np.testing.assert_allclose(u, np.broadcast_to(first[:, None, None, None], u.shape), atol=1e-7)
    assert stats.kstest(first, stats.uniform(low, high - low).cdf).pvalue > 1e-4


def test_saturation_leaves_grey_images_alone() -> None:
    np.testing.assert_array_equal(run(augment.saturation, X[..., :1]), X[..., :1])


@each_device
def test_translation_moves_up_to_an_eighth_each_way(device: str) -> None:
    x = np.zeros((600, 16, 24, 1))
    x[:, 8, 12] = 1
    y = run(augment.translation, x, device)
    _, rows, columns, _ = np.nonzero(y)
    assert len(rows) == 600
    for places, middle, most in ((rows, 8, 2), (columns, 12, 3)):
        counts = np.bincount(places - middle + most, minlength=2 * most + 1)
        assert len(counts) == 2 * most + 1 and stats.chisquare(counts).pvalue > 1e-4


@each_device
@pytest.mark.parametrize("size", [8, 9, 10])
def test_cutout_takes_one_rectangle(device: str, size: int) -> None:
    """As in the authors' code: half the side, rounded, middles anywhere, cut off at the border."""
    x = np.ones((500, size, size + 4, 2))
    hole = run(augment.cutout, x, device) == 0
    assert (hole.all(3) == hole.any(3)).all()
    rows, columns = hole[..., 0].any(2), hole[..., 0].any(1)
    np.testing.assert_array_equal(hole[..., 0], rows[:, :, None] & columns[:, None, :])
    for band, side in ((rows, size), (columns, size + 4)):
        length = int(side / 2 + 0.5)
        lengths = band.sum(1)
        assert (
            lengths.max() == length
            and lengths.min() == (length + 1) // 2
            and (np.abs(np.diff(band, axis=1)).sum(1) <= 2).all()
        )
        middles = side + 1 - length % 2
        drawn = np.where(band[:, 0], lengths - length, band.argmax(1)) + length // 2
        assert stats.chisquare(np.bincount(drawn, minlength=middles)).pvalue > 1e-4


@each_device
def test_p_chooses_images(device: str) -> None:
    x = R.standard_normal((400, 4, 4, 3))
    np.testing.assert_array_equal(run(augment.diff_augment, x, device, p=0.0), x)
    for p in (0.3, Tensor(to_device(np.array(0.3), device))):
        same = (run(augment.brightness, x, device, p=p) == x).all((1, 2, 3))
        assert stats.binomtest(int((~same).sum()), 400, 0.3).pvalue > 1e-4


@each_device
@pytest.mark.parametrize("p", [1.0, 0.5])
@pytest.mark.parametrize("name", ["shift", "diff_augment", *augment.PARTS])
def test_derivatives_of_orders_1_and_2(name: str, p: float, device: str) -> None:
    """Twice differentiated through a square, because the parts are linear."""

    def f(x: Any) -> Any:
        if name == "shift":
            y = augment.shift(x, to_device(np.array([[1, -1], [0, 2], [9, 0], [0, 0], [-3, -4]]), device))
        else:
            y = getattr(augment, name)(x, source(device), p=p)
        return (y * y * y).sum()

    assert mg.gradcheck(f, to_device(X, device), order=2)


@each_device
@pytest.mark.parametrize("name", ["diff_augment", *augment.PARTS])
def test_a_replay_draws_what_an_eager_step_draws(name: str, device: str) -> None:
    """The same to the bit, gradient included, with new numbers at every step and a probability that changes."""
    results: list[list[np.ndarray]] = []
    for recorded in (False, True):
        random, steps = Source(1, device=device), []
        weight = tensor(to_device(X.astype(np.float32), device), requires_grad=True)

        def step(x: Tensor, p: Tensor, random: Source = random, weight: Tensor = weight) -> Any:
            y = getattr(augment, name)(x * weight, random, p=p)
            return y, grad((y * y).sum(), weight)

        call = mg.replayed(step) if recorded else step
        for k in range(5):
            random.advance()
            x, p = (to_device(a, device) for a in ((X + k).astype(np.float32), np.array(k / 4, np.float32)))
            steps += [to_numpy(each.data).copy() for each in call(*((x, p) if recorded else (Tensor(x), Tensor(p))))]
        results.append(steps)
    assert not np.array_equal(*results[0][-4::2])
    for eager, replayed in zip(*results, strict=True):
        np.testing.assert_array_equal(eager, replayed)


def test_two_calls_of_a_step_differ_and_a_step_repeats() -> None:
    random = source()
    random.advance(7)
    a, b = (augment.diff_augment(X, random).data for _ in range(2))
    random.advance(7)
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(augment.diff_augment(X, random).data, a)


def test_dtype_follows_the_images() -> None:
    for image, numbers in ((np.float32, np.float64), (np.float64, np.float32)):
        y = augment.diff_augment(X.astype(image), Source(0, dtype=numbers), p=0.5)
        assert y.dtype == image


@pytest.mark.parametrize(
    "call, part",
    [
        (lambda: augment.diff_augment(X[0], source()), "expected float images (N, H, W, C)"),
        (lambda: augment.diff_augment(np.ones((2, 3, 3, 1), np.uint8), source()), "uint8"),
        (lambda: augment.diff_augment(X, source(), policy="color"), "('color',)"),
        (lambda: augment.diff_augment(X, source(), policy=("colour",)), "'colour'"),
        (lambda: augment.diff_augment(X, source(), p=1.5), "<= 1"),
        (lambda: augment.translation(X, source(), ratio=-1), "ratio"),
        (lambda: augment.cutout(X, source(), ratio=float("nan")), "ratio"),
        (lambda: augment.shift(X, np.zeros((5, 2))), "expected integers (5, 2)"),
        (lambda: augment.shift(X, np.zeros((4, 2), int)), "expected integers (5, 2)"),
    ],
)
def test_refusals(call: Any, part: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert part in str(error.value)
