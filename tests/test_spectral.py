"""Power iteration and spectral normalisation: values against the decomposition, derivatives, and what they refuse."""

import numpy as np
import pytest

import minigan as mg
from minigan import ops
from minigan.ops.spectral import as_matrix, bilinear
from minigan.theory import lipschitz

SHAPES = [(5, 3), (3, 5), (1, 4), (4, 1), (3, 2, 4), (3, 3, 2, 4), (2, 2, 2, 2, 3)]


def weight(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def matrix(w):
    return w.reshape(-1, w.shape[-1])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_finds_the_largest_singular_value_and_its_vectors(shape):
    w, start = weight(shape), weight(shape[-1:], 1)
    sigma, u, v = ops.power_iteration(w, start, steps=3000)
    left, values, right = np.linalg.svd(matrix(w), full_matrices=False)
    assert sigma.item() == pytest.approx(values[0], rel=1e-12)
    np.testing.assert_allclose(np.outer(u.data, v.data), np.outer(left[:, 0], right[0]), atol=1e-7)
    assert not u.requires_grad and not v.requires_grad


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_grows_with_every_step_and_goes_on_from_where_it_ended(shape):
    w, v = weight(shape), weight(shape[-1:], 1)
    found = []
    for steps in range(1, 8):
        found.append(ops.power_iteration(w, weight(shape[-1:], 1), steps=steps).sigma.item())
        sigma, _, v = ops.power_iteration(w, v)
        assert sigma.item() == pytest.approx(found[-1], rel=1e-12)
    assert np.diff(found).min() >= -1e-14 * found[-1]


def test_the_error_falls_by_the_squared_ratio_of_singular_values():
    left, _ = np.linalg.qr(weight((4, 4)))
    right, _ = np.linalg.qr(weight((4, 4), 1))
    w = left @ np.diag([1.0, 0.8, 0.3, 0.1]) @ right.T
    errors = [1 - ops.power_iteration(w, weight(4, 2), steps=k).sigma.item() for k in (20, 21)]
    assert errors[1] / errors[0] == pytest.approx(0.8**4, rel=1e-3)  # the value's error is that of the vectors, squared


def test_length_of_the_start_does_not_matter():
    w = weight((6, 3))
    a, b = (ops.power_iteration(w, scale * weight(3, 1), steps=2).sigma.item() for scale in (1e-200, 1e200))
    assert a == pytest.approx(b, rel=1e-14)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_neither_overflows_nor_underflows(scale):
    w = weight((6, 3))
    want = np.linalg.norm(w, 2) * scale
    assert ops.power_iteration(w * scale, weight(3, 1), steps=200).sigma.item() == pytest.approx(want, rel=1e-10)


def test_float32_stays_float32():
    w = weight((3, 3, 2, 4), dtype=np.float32)
    sigma, u, v = ops.power_iteration(w, weight((4,), 1, np.float32), steps=100)
    assert sigma.dtype == u.dtype == v.dtype == ops.spectral_normalize(w, u, v).dtype == np.float32
    assert sigma.item() == pytest.approx(np.linalg.norm(matrix(w), 2), rel=1e-5)


def test_derivative_of_sigma_is_u_v_and_that_of_the_decomposition():
    w = mg.tensor(weight((4, 3)), requires_grad=True)
    sigma, u, v = ops.power_iteration(w, weight(3, 1), steps=2000)
    g = mg.grad(sigma, w).data
    np.testing.assert_allclose(g, np.outer(u.data, v.data), atol=1e-15)
    step = 1e-5 * weight((4, 3), 2)
    change = np.linalg.norm(w.data + step, 2) - np.linalg.norm(w.data - step, 2)
    assert (g * step).sum() == pytest.approx(change / 2, rel=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_normalized_weights_have_spectral_norm_one(shape):
    w = weight(shape)
    _, u, v = ops.power_iteration(w, weight(shape[-1:], 1), steps=3000)
    normal = ops.spectral_normalize(w, u, v)
    assert normal.shape == w.shape
    assert np.linalg.norm(matrix(normal.data), 2) == pytest.approx(1, rel=1e-10)


def test_an_unfinished_iteration_leaves_at_least_one():
    w = weight((8, 8))
    _, u, v = ops.power_iteration(w, weight(8, 1), steps=1)
    assert np.linalg.norm(ops.spectral_normalize(w, u, v).data, 2) > 1.01


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2, 3)], ids=str)
def test_gradcheck_with_constant_vectors(shape):
    _, u, v = ops.power_iteration(weight(shape), weight(shape[-1:], 1), steps=3)
    mg.gradcheck(lambda w: ops.spectral_normalize(w, u, v), weight(shape), order=3)
    mg.gradcheck(lambda w: bilinear(w, u, v), weight(shape), order=2)


def test_no_derivative_flows_into_u_and_v():
    w = weight((4, 3))
    u, v = mg.tensor(weight(4), requires_grad=True), mg.tensor(weight(3), requires_grad=True)
    y = ops.spectral_normalize(mg.tensor(w, requires_grad=True), u, v).sum()
    for g in mg.grad(y, [u, v]):
        assert not g.data.any()


def test_a_weight_of_zeros_stays_zero_with_finite_derivatives():
    w = mg.tensor(np.zeros((4, 3)), requires_grad=True)
    sigma, u, v = ops.power_iteration(w, np.ones(3))
    normal = ops.spectral_normalize(w, u, v)
    assert sigma.item() == 0 and not normal.data.any()
    assert np.isfinite(mg.grad(normal.sum(), w).data).all()


def test_a_replay_goes_on_iterating():
    """Made of recorded operations: a recording's replay computes with the weight as it is then."""
    w = mg.tensor(weight((5, 4)))
    start = mg.tensor(weight(4, 1))
    recording = mg.Recording(lambda: ops.power_iteration(w, start, steps=2).sigma)
    first = recording.result.item()
    w.assign(2.0 * w.data)
    assert recording.replay().item() == pytest.approx(2 * first, rel=1e-14)


def test_power_iteration_through_convolution_finds_the_norm_of_the_map_not_of_the_weight():
    w, x = np.abs(weight((3, 3, 2, 3))), weight((1, 6, 5, 2), 1)  # positive: a large gap, and fast convergence
    for _ in range(200):
        y = ops.conv(x, w).data
        x = ops.conv_transpose(y / np.linalg.norm(y), w).data
        length = np.linalg.norm(x)
        x = x / length
    assert length == pytest.approx(lipschitz.conv_lipschitz(w, (6, 5)), rel=1e-12)
    assert length > 2 * lipschitz.reshaped_norm(w)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.power_iteration(np.ones(3), np.ones(3)), r"shape \(3,\), expected \(in, out\)"),
        (lambda: ops.power_iteration(np.ones((3, 0)), np.ones(0)), "expected"),
        (lambda: ops.power_iteration(np.ones((3, 2)), np.ones(3)), r"expected \(2,\)"),
        (lambda: ops.power_iteration(np.ones((3, 2)), np.zeros(2)), "not all zeros"),
        (lambda: ops.power_iteration(np.ones((3, 2)), np.ones(2), steps=0), "at least 1"),
        (lambda: ops.spectral_normalize(np.ones((3, 2)), np.ones(2), np.ones(3)), "two lengths"),
    ],
)
def test_refuses_what_makes_no_sense(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_as_matrix_keeps_the_last_axis():
    w = weight((3, 2, 4, 5))
    np.testing.assert_array_equal(as_matrix(w).data, w.reshape(24, 5))
