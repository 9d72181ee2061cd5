"""Each metric against an independent computation: SciPy, scikit-image, a published number, or a case solved by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from minigan import data
from minigan.metrics import METRICS, Comparison, MissingError, Side, inputs, neighbours, register
from minigan.metrics.auroc import auroc
from minigan.metrics.classes import class_histogram
from minigan.metrics.classifier_accuracy import classifier_accuracy_score
from minigan.metrics.codes import slant_and_width
from minigan.metrics.density_coverage import density_coverage, expected_coverage
from minigan.metrics.frechet import equal_laws, frechet_distance, moments
from minigan.metrics.inception_score import inception_score
from minigan.metrics.judge import Recipe
from minigan.metrics.kid import kernel_inception_distance
from minigan.metrics.label_accuracy import label_accuracy
from minigan.metrics.memorisation import copying
from minigan.metrics.ms_ssim import WEIGHTS, most_scales, ms_ssim
from minigan.metrics.nearest_neighbour import nearest_neighbour_accuracy
from minigan.metrics.precision_recall import precision_recall
from minigan.metrics.principal import principal
from minigan.metrics.psnr import psnr
from minigan.metrics.sharpness import gradient_energy
from minigan.metrics.sliced_wasserstein import sliced_w1
from minigan.metrics.ssim import ssim
from minigan.theory.transport_line import sliced_wasserstein

SEEDS = st.integers(0, 2**32 - 1)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# -- Frechet distance ------------------------------------------------------------------------------------------------
@given(SEEDS, st.integers(1, 12))
def test_frechet_distance_is_that_of_scipys_root(seed, d):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, d)) @ rng.standard_normal((d, d)) + rng.standard_normal(d)
    y = rng.standard_normal((45, d)) @ rng.standard_normal((d, d))
    s1, s2 = (np.atleast_2d(np.cov(each, rowvar=False)) for each in (x, y))
    root = scipy.linalg.sqrtm(s1 @ s2)
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s1 + s2 - 2 * root.real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_frechet_distance_of_a_shift_and_a_stretch_is_exact():
    x = normal(0, 500, 7)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(x, x + 3) == pytest.approx(63, rel=1e-12)
    centred = x - x.mean(axis=0)
    assert frechet_distance(centred, 2 * centred) == pytest.approx(np.trace(np.cov(x, rowvar=False)), rel=1e-12)
    mean, covariance = moments(x.astype(np.float32))
    assert mean.dtype == covariance.dtype == np.float64
    assert np.allclose(covariance, np.cov(x, rowvar=False), atol=1e-6)


def test_frechet_distance_with_fewer_samples_than_features_is_real_and_finite():
    x, y = normal(0, 20, 64), normal(1, 30, 64)
    assert np.isfinite(frechet_distance(x, y)) and frechet_distance(x, y) == pytest.approx(frechet_distance(y, x))


@pytest.mark.parametrize("scales", [np.ones(12), np.geomspace(0.05, 3, 12)])
def test_the_bias_of_the_frechet_distance_is_what_equal_laws_say(scales):
    n, found = 400, []
    for seed in range(60):
        x, y = normal(2 * seed, n, 12) * scales, normal(2 * seed + 1, n, 12) * scales
        found.append(frechet_distance(x, y))
    expected = equal_laws(normal(999, 20000, 12) * scales, n, n)
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / 60**0.5 + 0.03 * expected)
    if (scales == 1).all():
        assert expected == pytest.approx((12**2 + 5 * 12) / (2 * n), rel=0.02)


# -- KID -------------------------------------------------------------------------------------------------------------
def test_kid_is_the_unbiased_estimate_of_whole_sets():
    x, y = normal(0, 40, 5), normal(1, 40, 5) + 0.3
    xx, yy, xy = ((a @ b.T / 5 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    expected = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (40 * 39) - 2 * xy.mean()
    found = kernel_inception_distance(x, y, subsets=3, subset_size=40)
    assert found.mean == pytest.approx(expected, rel=1e-12) and found.std == pytest.approx(0, abs=1e-12)


def test_kid_has_no_bias_and_may_be_negative():
    found = [
        kernel_inception_distance(normal(2 * s, 60, 4), normal(2 * s + 1, 60, 4), subsets=4, subset_size=30).mean
        for s in range(150)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / 150**0.5 and min(found) < 0
    one, same, other = (
        kernel_inception_distance(normal(0, 60, 4), normal(1, 60, 4), subsets=4, subset_size=30, seed=s)
        for s in (0, 0, 1)
    )
    assert one == same != other


# -- inception score -------------------------------------------------------------------------------------------------
def test_inception_score_of_cases_solved_by_hand():
    with np.errstate(divide="ignore"):
        sure = np.log(np.eye(5)[np.arange(20) % 5])
    assert inception_score(sure).mean == pytest.approx(5, rel=1e-12)
    assert inception_score(sure[:1].repeat(8, axis=0)).mean == pytest.approx(1, rel=1e-12)
    assert inception_score(np.full((9, 4), -np.log(4))) == pytest.approx((1, 0), abs=1e-12)
    p = np.array([[0.8, 0.2], [0.4, 0.6]])
    expected = np.exp(np.mean([scipy.stats.entropy(row, [0.6, 0.4]) for row in p]))
    assert inception_score(np.log(p)).mean == pytest.approx(expected, rel=1e-12)


def test_inception_score_splits_in_order():
    p = np.random.default_rng(0).dirichlet(np.ones(6), 100)
    parts = [inception_score(np.log(part)).mean for part in np.array_split(p, 10)]
    assert inception_score(np.log(p), splits=10) == pytest.approx((np.mean(parts), np.std(parts)))


# -- neighbours: precision, recall, density, coverage -----------------------------------------------------------------
def brute(x, y):
    return np.sqrt(np.square(x[:, None] - y).sum(axis=2))


@given(SEEDS, st.integers(1, 5), st.integers(1, 4))
def test_precision_recall_density_coverage_by_brute_force(seed, k, d):
    rng = np.random.default_rng(seed)
    x, y = (
        rng.integers(-4, 5, (30, d)).astype(float),
        rng.integers(-3, 6, (25, d)).astype(float),
    )  # whole numbers: many ties
    near_x, near_y = (np.sort(brute(z, z), axis=1)[:, k] for z in (x, y))
    between = brute(x, y)
    assert precision_recall(x, y, k=k) == {
        "precision": (between <= near_x[:, None]).any(axis=0).mean(),
        "recall": (between <= near_y).any(axis=1).mean(),
    }
    inside = between < near_x[:, None]
    found = density_coverage(x, y, k=k)
    assert found["density"] == pytest.approx(inside.sum() / (k * 25), rel=1e-12)
    assert found["coverage"] == (between.min(axis=1) < near_x).mean()


@given(SEEDS)
def test_blocks_change_nothing(seed):
    x, y = normal(seed, 23, 3), normal(seed + 1, 31, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK", 70)
        parts = [neighbours.radii(x, 3), *neighbours.nearest(x, y)]
    wholes = [np.sort(brute(x, x) ** 2, axis=1)[:, 3], brute(x, y).min(axis=1) ** 2, brute(x, y).argmin(axis=1)]
    assert all(np.allclose(a, b, rtol=1e-10) for a, b in zip(parts, wholes, strict=True))


def test_a_far_origin_costs_no_digits():
    x, y = normal(0, 50, 4), normal(1, 60, 4)
    assert np.allclose(neighbours.nearest(x + 2**20, y + 2**20)[0], neighbours.nearest(x, y)[0], rtol=1e-6)


def test_coverage_of_equal_laws_is_what_counting_says():
    found = [density_coverage(normal(2 * s, 200, 2), normal(2 * s + 1, 200, 2)) for s in range(40)]
    for name, expected in (("density", 1.0), ("coverage", expected_coverage(200, 200))):
        values = [each[name] for each in found]
        assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / 40**0.5)
    assert expected_coverage(10**6, 10**6) == pytest.approx(1 - 2**-5, abs=1e-5)


# -- sliced Wasserstein distance --------------------------------------------------------------------------------------
@given(SEEDS, st.integers(1, 5), st.sampled_from([(30, 30), (30, 41)]))
def test_sliced_w1_is_that_of_the_theory_in_blocks(seed, d, sizes):
    x, y = normal(seed, sizes[0], d), normal(seed + 1, sizes[1], d) * 2
    expected = sliced_wasserstein(x, y, order=1, directions=9, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "BLOCK", 7 * d)
        assert sliced_w1(x, y, directions=9, seed=seed) == pytest.approx(expected, rel=1e-12)


# -- pairs of images -------------------------------------------------------------------------------------------------
def pictures(seed: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.clip(scipy.ndimage.gaussian_filter(rng.uniform(-3, 3, shape), (0, 1, 1, 0)), -1, 1)
    return x, np.clip(x + 0.1 * rng.standard_normal(shape), -1, 1)


@given(SEEDS, st.integers(11, 20), st.integers(11, 20), st.sampled_from([1, 3]))
def test_psnr_and_ssim_are_those_of_scikit_image(seed, height, width, channels):
    x, y = pictures(seed, 2, height, width, channels)
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for i in range(2):
        common = {"data_range": 2, "channel_axis": -1}
        assert psnr(x, y, data_range=2)[i] == pytest.approx(
            peak_signal_noise_ratio(x[i], y[i], data_range=2), rel=1e-12
        )
        found = ssim(x, y, data_range=2, window="uniform")[i], ssim(x, y, data_range=2)[i]
        expected = structural_similarity(x[i], y[i], **common), structural_similarity(x[i], y[i], **common, **wang)
        assert found == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_psnr_of_noise_is_its_size_and_of_equal_images_infinite():
    x = np.zeros((3, 40, 40, 1))
    sigma = np.array([0.1, 0.2, 0.4])
    y = sigma[:, None, None, None] * np.where(normal(0, 3, 40, 40, 1) > 0, 1, -1)
    assert psnr(x, y, data_range=1) == pytest.approx(-20 * np.log10(sigma), rel=1e-12)
    assert psnr(x, y, data_range=2) == pytest.approx(psnr(x, y, data_range=1) + 20 * np.log10(2), rel=1e-12)
    assert (psnr(x, x, data_range=1) == np.inf).all()


def test_ssim_is_1_for_equal_images_and_symmetric():
    x, y = pictures(0, 2, 32, 32, 3)
    for window in ("uniform", "gaussian"):
        assert np.allclose(ssim(x, x, data_range=2, window=window), 1, rtol=1e-12)
        assert np.allclose(ssim(x, y, data_range=2, window=window), ssim(y, x, data_range=2, window=window))


def written_out(x: np.ndarray, y: np.ndarray, scales: int) -> float:
    """MS-SSIM of one grey pair by SciPy's filters, as the paper's text has it."""
    weights, value = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales]), 1.0

    def blur(z):
        return scipy.ndimage.gaussian_filter(z, 1.5, truncate=5 / 1.5)[5:-5, 5:-5]

    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    for j, weight in enumerate(weights):
        mx, my = blur(x), blur(y)
        vx, vy, c = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        cs = (2 * c + c2) / (vx + vy + c2)
        l = (2 * mx * my + c1) / (mx**2 + my**2 + c1)  # noqa: E741 - the paper's letter
        value *= (l * cs if j == scales - 1 else cs).mean() ** weight
        x, y = (z[: len(z) // 2 * 2, : len(z[0]) // 2 * 2] for z in (x, y))
        x, y = (scipy.ndimage.uniform_filter(z, 2, origin=-1)[::2, ::2] for z in (x, y))
    return value


@pytest.mark.parametrize(("side", "scales"), [(28, 2), (50, 3), (177, 5), (32, 1)])
def test_ms_ssim_is_the_formula_written_out(side, scales):
    x, y = pictures(1, 2, side, side, 1)
    found = ms_ssim(x, y, data_range=2, scales=scales)
    assert found == pytest.approx([written_out(x[i, ..., 0], y[i, ..., 0], scales) for i in range(2)], rel=1e-9)
    assert np.allclose(ms_ssim(x, x, data_range=2, scales=scales), 1)
    assert most_scales(side, side + 3) >= scales
    if scales == 1:
        assert np.allclose(found, ssim(x, y, data_range=2))


def test_ms_ssim_of_opposite_images_is_0_not_complex():
    x = pictures(0, 1, 44, 44, 1)[0]
    assert ms_ssim(x, -x, data_range=2, scales=2) == 0


def test_ms_ssim_says_how_many_scales_fit():
    x = np.zeros((1, 28, 28, 1))
    with pytest.raises(ValueError, match="at least 176 pixels a side, or scales=2"):
        ms_ssim(x, x, data_range=2)
    with pytest.raises(ValueError, match="larger images"):
        ms_ssim(x[:, :8], x[:, :8], data_range=2)


# -- classes ---------------------------------------------------------------------------------------------------------
@given(SEEDS)
def test_class_kl_is_scipys_entropy_of_the_shares(seed):
    rng = np.random.default_rng(seed)
    real, fake = rng.integers(0, 5, 300), rng.integers(0, 4, 200)
    found = class_histogram(np.concatenate([real, np.arange(5)]), fake, classes=5)
    p, q = np.bincount(np.concatenate([real, np.arange(5)]), minlength=5), np.bincount(fake, minlength=5)
    assert found["class KL"] == pytest.approx(scipy.stats.entropy(q, p), rel=1e-9)
    assert found["classes"] == (q >= 1).sum()


def test_a_class_counts_from_half_a_percent_on_and_an_unreal_one_is_infinitely_far():
    fake = np.repeat([0, 1, 2], [1990, 10, 9])
    assert class_histogram(np.arange(3), fake, classes=3)["classes"] == 1  # 10 of 2,009 are less than .5 %
    assert class_histogram(np.arange(3), fake[:2000], classes=3)["classes"] == 2
    assert class_histogram(np.array([0, 0, 1]), np.array([2, 0]), classes=3)["class KL"] == np.inf


# -- ranks, copies, labels -------------------------------------------------------------------------------------------
@given(SEEDS)
def test_auroc_is_mann_and_whitneys_u_with_ties(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, 6, 40).astype(float), np.arange(40) % 3 == 0
    u = scipy.stats.mannwhitneyu(scores[labels], scores[~labels]).statistic
    assert auroc(scores, labels) == pytest.approx(u / (labels.sum() * (~labels).sum()), rel=1e-12)
    assert auroc(-scores, labels) == pytest.approx(1 - auroc(scores, labels))


def test_auroc_of_perfect_and_of_constant_scores():
    labels = np.array([0, 0, 1, 1])
    assert auroc(labels, labels) == 1 and auroc(1 - labels, labels) == 0 and auroc(np.ones(4), labels) == 0.5


def test_copies_are_found_and_real_examples_are_not_taken_for_copies():
    x = normal(0, 900, 6)
    training, held_out, fresh = x[:400], x[400:600], x[600:]
    assert copying(training[:100], training, held_out) == 1
    assert copying(fresh, training, held_out) == pytest.approx(0.5, abs=0.12)
    assert copying(fresh * 3, training, held_out) < 0.2
    half = np.concatenate([training[:150], fresh[:150]])
    assert copying(half, training, held_out) == pytest.approx(0.75, abs=0.08)


def test_label_accuracy_is_a_share():
    assert label_accuracy(np.array([1, 2, 3, 3]), np.array([1, 2, 0, 3])) == 0.75


def test_a_classifier_of_good_samples_knows_real_digits_and_one_of_wrong_labels_does_not():
    found = data.load("glyphs", n=900)
    small, recipe = found.x[:, ::2, ::2], Recipe(steps=40, shift=0)
    for labels, low, high in (
        (found.y[:700], 0.6, 1.0),
        (np.random.default_rng(0).permutation(found.y[:700]), 0.0, 0.3),
    ):
        score = classifier_accuracy_score(small[:700], labels, small[700:], found.y[700:], recipe=recipe)
        assert low < score < high


# -- what is wrong is refused ----------------------------------------------------------------------------------------
GOOD, IMAGES = normal(0, 30, 3), np.zeros((2, 16, 16, 1))
TWO_SETS = [
    frechet_distance,
    precision_recall,
    density_coverage,
    sliced_w1,
    lambda x, y: kernel_inception_distance(x, y, subset_size=10),
]


@pytest.mark.parametrize("metric", TWO_SETS)
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (np.where(GOOD > 2, np.nan, GOOD), "NaN or Inf"),
        (np.full((30, 3), np.inf), "NaN or Inf"),
        (GOOD[:, :2], "coordinates"),
        (GOOD[:, 0], "expected (N, d)"),
        (IMAGES, "expected (N, d)"),
        (GOOD[:1], "examples, expected at least"),
        (GOOD[:0], "examples, expected at least"),
        ([["a", "b"]], "array of numbers"),
        (None, "NaN or Inf"),
    ],
)
def test_two_sets_that_fit_no_metric_are_refused(metric, side, bad, said):
    sets = [GOOD, GOOD]
    sets[side] = bad
    with pytest.raises(ValueError) as error:
        metric(*sets)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: precision_recall(GOOD[:3], GOOD, k=3), "got 3 examples, expected at least 4"),
        (lambda: density_coverage(GOOD, GOOD, k=0), "k: got 0"),
        (lambda: density_coverage(GOOD, GOOD, k=2.5), "k: got 2.5"),
        (lambda: kernel_inception_distance(GOOD, GOOD), "got 30 examples, expected at least 1000"),
        (lambda: kernel_inception_distance(GOOD, GOOD, subsets=0, subset_size=9), "subsets: got 0"),
        (lambda: equal_laws(GOOD, 1, 9), "n: got 1"),
        (lambda: inception_score(np.full((4, 3), 0.3)), "log-probabilities"),
        (lambda: inception_score(np.log(np.full((4, 2), np.nan))), "log-probabilities"),
        (lambda: inception_score(np.log(np.full((4, 4), 0.25)), splits=5), "1 to 4"),
        (lambda: inception_score(np.zeros(4)), "(N, classes)"),
        (lambda: psnr(IMAGES, IMAGES[:1], data_range=2), "two times (N, H, W, C)"),
        (lambda: psnr(IMAGES[..., 0], IMAGES[..., 0], data_range=2), "image[None, ..., None]"),
        (lambda: psnr(IMAGES, IMAGES * np.nan, data_range=2), "NaN"),
        (lambda: psnr(IMAGES, IMAGES, data_range=0), "data_range: got 0"),
        (lambda: ssim(IMAGES, IMAGES, data_range=-1), "data_range: got -1"),
        (lambda: ssim(IMAGES, IMAGES, data_range=[1, 2]), "data_range"),
        (lambda: ssim(IMAGES, IMAGES, data_range=2, window="wang"), "uniform, gaussian"),
        (lambda: ssim(IMAGES[:, :8], IMAGES[:, :8], data_range=2), "at least 11"),
        (lambda: ssim(IMAGES[:, :6], IMAGES[:, :6], data_range=2, window="uniform"), "at least 7"),
        (lambda: class_histogram([0, 1], [0, 2], classes=2), "0 to 1"),
        (lambda: class_histogram([0, 1], [0, -1], classes=2), "0 to 1"),
        (lambda: class_histogram([0.0, 1.0], [0, 1], classes=2), "whole numbers"),
        (lambda: class_histogram([0, 1], [], classes=2), "whole numbers"),
        (lambda: auroc([1, 2], [1, 1]), "2 positives and 0 negatives"),
        (lambda: auroc([1, 2], [1, 2]), "0 and 1"),
        (lambda: auroc([1, np.nan], [1, 0]), "NaN"),
        (lambda: auroc([1, 2, 3], [1, 0]), "(N,)"),
        (lambda: copying(GOOD, GOOD[:, :2], GOOD), "coordinates"),
        (lambda: copying(GOOD, GOOD * np.nan, GOOD), "training"),
        (lambda: copying(GOOD[:0], GOOD, GOOD), "at least 1"),
        (lambda: label_accuracy([1, 2], [1]), "(2,)"),
        (lambda: label_accuracy([1.0], [1.0]), "whole numbers"),
        (lambda: classifier_accuracy_score(IMAGES, [0], IMAGES, [0, 1]), "samples: got shapes"),
        (lambda: classifier_accuracy_score(IMAGES, np.array([1, 1]), IMAGES, np.array([0, 1])), "two classes"),
        (lambda: classifier_accuracy_score(IMAGES, np.array([0, 1]), IMAGES[:, 2:], np.array([0, 1])), "one shape"),
    ],
)
def test_what_is_wrong_is_refused_with_what_is_right(call, said):
    with pytest.raises(ValueError) as error:
        call()
    assert said in str(error.value)


def test_ranges_of_pixels_have_no_default():
    for metric in (psnr, ssim, ms_ssim):
        with pytest.raises(TypeError, match="data_range"):
            metric(IMAGES, IMAGES)


# -- memory ----------------------------------------------------------------------------------------------------------
COUNT, PIXELS = 1200, 28 * 28
IN_FLOAT64 = COUNT * PIXELS * 8
OF_PAIRS = {
    "PSNR": lambda x: psnr(x, x[::-1], data_range=2),
    "SSIM": lambda x: ssim(x, x[::-1], data_range=2),
    "MS-SSIM": lambda x: ms_ssim(x, x[::-1], data_range=2, scales=2),
    "gradient energy": gradient_energy,
    "slant and width": lambda x: slant_and_width(x, x[:, :2, 0, 0], np.arange(COUNT) % 3),
    "nearest neighbour accuracy": lambda x: nearest_neighbour_accuracy(x, np.arange(COUNT), queries=100),
    "principal": lambda x: principal(x[:, :9], 3),
}


class Sure:
    """A judge that takes no memory."""

    def log_probabilities(self, images):
        return np.log(np.full((len(images), 10), 0.1))


# KID holds three tables of 1,000 x 1,000, whatever the number of samples.
OF_SETS = [name for name, metric in METRICS.items() if metric.measure and not metric.slow and name != "KID"]


@pytest.mark.parametrize("name", [*OF_PAIRS, *OF_SETS])
def test_no_metric_holds_all_images_in_float64_twice(name, monkeypatch):
    """50,000 of 28 x 28 pixels would be 314 MB each time. `bench/metric_memory.py` measures the whole process at that size."""
    monkeypatch.setattr(neighbours, "BLOCK", 2**16)
    monkeypatch.setattr(inputs, "BLOCK", 2**14)
    x = np.random.default_rng(0).uniform(-1, 1, (2, COUNT, 28, 28, 1)).astype(np.float32)
    labels = np.arange(COUNT) % 10
    real, fake = (Side(each, judge=Sure, features=each[:, :4].reshape(COUNT, -1), labels=labels) for each in x)
    if name == "mode coverage":
        fake = Side(x[1].reshape(-1, 2)[:COUNT])
    c = Comparison(real, fake, training=real, held_out=Side(x[1, :99]), mixture=(np.zeros((8, 2)), 0.1))
    sliced_w1(x[0, :9, 0, :2, 0], x[1, :9, 0, :2, 0])  # loads the kernels that draw directions
    tracemalloc.start()
    try:
        OF_PAIRS[name](x[0]) if name in OF_PAIRS else METRICS[name].values(c)
        assert tracemalloc.get_traced_memory()[1] < 1.3 * IN_FLOAT64
    finally:
        tracemalloc.stop()


def test_blocks_give_the_same_rows_in_float64(monkeypatch):
    x, y = normal(0, 23, 3, 2).astype(np.float32), np.arange(23)
    monkeypatch.setattr(inputs, "BLOCK", 20)
    parts = list(inputs.blocks(x, y))
    assert len(parts) == 8 and all(a.dtype == b.dtype == np.float64 and len(a) == len(b) for a, b in parts)
    for whole, pieces in zip((x, y), zip(*parts, strict=True), strict=True):
        assert (np.concatenate(pieces) == whole).all()
    few = np.random.default_rng(0).uniform(-1, 1, (9, 22, 22, 1)).astype(np.float32)
    monkeypatch.setattr(inputs, "BLOCK", 2**30)
    wholes = [f(few, few[::-1]) for f in BLOCKWISE]
    monkeypatch.setattr(inputs, "BLOCK", 1000)
    for whole, f in zip(wholes, BLOCKWISE, strict=True):
        assert np.allclose(f(few, few[::-1]), whole, rtol=1e-12)


BLOCKWISE = [
    lambda x, y: psnr(x, y, data_range=2),
    lambda x, y: ssim(x, y, data_range=2, window="uniform"),
    lambda x, y: ms_ssim(x, y, data_range=2, scales=2),
    lambda x, y: gradient_energy(x),
    lambda x, y: moments(x[:, :3, 0, 0])[1],
    lambda x, y: np.abs(principal(x, 2)),
    lambda x, y: slant_and_width(x, y[:, :2, 0, 0], np.zeros(len(x))),
]


# -- the registry ----------------------------------------------------------------------------------------------------
def test_every_metric_says_how_it_errs_and_how_it_fails():
    for metric in METRICS.values():
        text = metric.function.__doc__ or ""
        assert "Raises" in text, metric.name
        assert "Bias" in text or metric.function.__module__.startswith(("minigan.theory", "minigan.data")), metric.name


def test_a_metric_is_one_function_and_one_registration(monkeypatch):
    monkeypatch.setattr("minigan.metrics.registry.METRICS", dict(METRICS))
    from minigan.metrics.registry import METRICS as COPY

    def mean_gap(real, fake):
        return abs(real.mean() - fake.mean())

    metric = register(mean_gap, better="lower", measure=lambda c: mean_gap(c.real.points, c.fake.points))
    assert COPY["mean gap"] is metric and "mean gap" not in METRICS
    c = Comparison(Side(np.zeros((3, 2))), Side(np.ones((4, 2))))
    assert metric.values(c) == {"mean gap": 1.0} and metric.direction("mean gap") == "lower" and metric.biases(c) == {}
    with pytest.raises(ValueError, match="a metric already"):
        register(mean_gap, better="lower")
    with pytest.raises(ValueError, match="better='less'"):
        register(mean_gap, name="other", better="less")
    several = register(mean_gap, name="several", better={"a": "", "b": "lower"}, measure=lambda c: {"a": 1.0})
    with pytest.raises(TypeError, match=r"returned \['a'\], expected \['a', 'b'\]"):
        several.values(c)
    many = register(mean_gap, name="many", better="", measure=lambda c: np.zeros(2))
    with pytest.raises(TypeError, match="for a number"):
        many.values(c)


def test_what_is_not_there_is_missing_with_its_reason():
    points, features = Side(np.zeros((3, 2))), Side(features=np.zeros((5, 4)))
    assert len(points) == 3 and len(features) == 5 and points.features is points.examples
    c = Comparison(points, features)
    for read in (
        lambda: points.judge, lambda: points.images, lambda: points.labels, lambda: features.examples, lambda: c.mixture,
        lambda: c.training, lambda: c.held_out,
    ):  # fmt: skip
        with pytest.raises(MissingError):
            read()
    with pytest.raises(MissingError, match="no metric of two sets"):
        METRICS["PSNR"].values(c)
