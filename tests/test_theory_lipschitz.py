"""Lipschitz constants: exact norms against products and decompositions, bounds that hold and are nearly reached."""

import numpy as np
import pytest
import scipy.linalg

import minigan as mg
from minigan import ops
from minigan.theory import lipschitz


def weight(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_dense_constant_is_the_largest_singular_value():
    for shape in [(4, 4), (2, 7), (7, 2), (1, 1)]:
        w = weight(shape)
        assert lipschitz.dense_lipschitz(w) == pytest.approx(scipy.linalg.svdvals(w)[0], rel=1e-14)
    assert lipschitz.dense_lipschitz([[3.0, 0.0], [0.0, -4.0]]) == pytest.approx(4.0)
    assert lipschitz.dense_lipschitz(mg.tensor(np.diag([1.0, 2.0]))) == 2.0
    assert lipschitz.dense_lipschitz(np.zeros((2, 3))) == 0.0
    assert isinstance(lipschitz.dense_lipschitz(np.float32([[2.0]])), float)


@pytest.mark.parametrize(
    ("sizes", "kernel", "options"),
    [
        ((7,), (3,), {}),
        ((5, 4), (3, 2), {"padding": "valid"}),
        ((5, 6), (3, 3), {"stride": 2}),
        ((6, 6), (2, 2), {"stride": 2, "dilation": 2, "padding": 2}),
        ((4, 3, 3), (2, 1, 2), {"stride": (1, 2, 1)}),
        ((8,), (5,), {"stride": 3, "padding": 4}),
    ],
)
def test_conv_matrix_is_the_map_and_the_bound_holds(sizes, kernel, options):
    w, x = weight((*kernel, 2, 3)), weight((1, *sizes, 2), 1)
    a = lipschitz.conv_matrix(w, sizes, **options)
    np.testing.assert_allclose(a @ x.ravel(), ops.conv(x, w, **options).data.ravel(), atol=1e-12)
    exact = lipschitz.conv_lipschitz(w, sizes, **options)
    assert exact == pytest.approx(scipy.linalg.svdvals(a)[0], rel=1e-13)
    steps = {k: v for k, v in options.items() if k != "padding"}
    assert exact <= lipschitz.conv_norm_bound(w, **steps) * (1 + 1e-13)


def test_overlap_counts_the_patches_that_hold_a_position():
    one = np.ones((4, 1, 1))  # sigma of the reshaped weight is sqrt 4 = 2
    assert lipschitz.reshaped_norm(one) == pytest.approx(2.0)
    assert lipschitz.conv_norm_bound(one) == pytest.approx(4.0)
    assert lipschitz.conv_norm_bound(one, stride=2) == pytest.approx(2 * np.sqrt(2))
    assert lipschitz.conv_norm_bound(one, stride=4) == pytest.approx(2.0)
    assert lipschitz.conv_norm_bound(one, stride=2, dilation=2) == pytest.approx(4.0)
    assert lipschitz.conv_lipschitz(one, 64) == pytest.approx(4.0, rel=2e-2)  # nearly reached
    assert lipschitz.conv_lipschitz(one, 64, stride=4, padding="valid") == pytest.approx(2.0)  # reached


def test_a_network_stretches_no_pair_by_more_than_the_product():
    rng = np.random.default_rng(2)
    w = [weight((4, 8), 3), weight((8, 8), 4), weight((8, 2), 5)]
    x, y = rng.standard_normal((2, 500, 4))

    def net(z):
        for layer in w[:-1]:
            z = ops.leaky_relu(ops.dense(z, layer))
        return ops.dense(z, w[-1]).data

    stretch = np.linalg.norm(net(x) - net(y), axis=1) / np.linalg.norm(x - y, axis=1)
    bound = lipschitz.network_bound(w)
    assert bound == pytest.approx(np.prod([np.linalg.norm(m, 2) for m in w]), rel=1e-13)
    assert 0 < stretch.max() <= bound


def test_network_bound_takes_convolutions():
    w = [weight((3, 3, 1, 2)), weight((8, 1))]
    assert lipschitz.network_bound(w) == pytest.approx(
        3 * lipschitz.reshaped_norm(w[0]) * lipschitz.dense_lipschitz(w[1])
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lipschitz.dense_lipschitz(np.ones(3)), "axes"),
        (lambda: lipschitz.dense_lipschitz(np.ones((3, 3, 3))), "axes"),
        (lambda: lipschitz.dense_lipschitz([[np.nan]]), "finite"),
        (lambda: lipschitz.dense_lipschitz(mg.tensor(np.eye(2), requires_grad=True)), "power_iteration"),
        (lambda: lipschitz.conv_norm_bound(np.ones((3, 3))), "axes"),
        (lambda: lipschitz.conv_norm_bound(np.ones((3, 1, 1)), stride=0), "stride"),
        (lambda: lipschitz.conv_matrix(np.ones((3, 1, 1)), (3, 3)), "sizes"),
        (lambda: lipschitz.network_bound([]), "at least one"),
    ],
)
def test_refuses_what_makes_no_sense(call, message):
    with pytest.raises(ValueError, match=message):
        call()
