"""Pooling, upsampling, pixel shuffle: values by loops and matrices, exact adjoints, derivatives of compositions, errors."""

import itertools

import numpy as np
import pytest

import minigan as mg
from minigan import nn, ops
from minigan.derivatives import jvp, vjp
from minigan.gradcheck import gradcheck
from minigan.ops import resample

RNG = np.random.default_rng(0)
WINDOWS = [((7,), 3, 2), ((6, 5), 2, None), ((6, 5), (3, 2), (1, 2)), ((5, 4, 3), 2, 1), ((4, 4, 2), (2, 2, 1), None)]


def sizes(value, rank):
    return (value,) * rank if isinstance(value, int) else value


def pooled_by_loops(x, window, stride, reduce):
    rank = x.ndim - 2
    window = sizes(window, rank)
    stride = window if stride is None else sizes(stride, rank)
    counts = [(n - w) // s + 1 for n, w, s in zip(x.shape[1:-1], window, stride, strict=True)]
    y = np.empty((len(x), *counts, x.shape[-1]))
    for o in itertools.product(*map(range, counts)):
        part = tuple(slice(i * s, i * s + w) for i, s, w in zip(o, stride, window, strict=True))
        y[(slice(None), *o)] = reduce(x[(slice(None), *part)], axis=tuple(range(1, rank + 1)))
    return y


@pytest.mark.parametrize(("spatial", "window", "stride"), WINDOWS)
@pytest.mark.parametrize(("op", "reduce"), [(ops.avg_pool, np.mean), (ops.max_pool, np.max)])
def test_pooling_is_the_loop(op, reduce, spatial, window, stride):
    x = RNG.normal(size=(2, *spatial, 3))
    got = op(x, window=window, stride=stride).data
    np.testing.assert_allclose(got, pooled_by_loops(x, window, stride, reduce), atol=1e-14)


def test_the_first_of_equal_elements_wins():
    x = mg.tensor(np.zeros((1, 4, 4, 1)), requires_grad=True)
    g = mg.grad(ops.max_pool(x, window=2).sum(), x).data[0, :, :, 0]
    np.testing.assert_array_equal(g, np.tile([[1.0, 0], [0, 0]], (2, 2)))
    y = mg.tensor(np.array([0.0, 2, 2, 1, 2])[None, :, None], requires_grad=True)
    g = mg.grad(ops.max_pool(y, window=3, stride=1).sum(), y).data.ravel()
    np.testing.assert_array_equal(g, [0, 2, 1, 0, 0])  # windows 0 2 2, 2 2 1 and 2 1 2


def test_nan_stays_visible_in_pooling():
    x = np.ones((1, 4, 1))
    x[0, 1] = np.nan
    assert np.isnan(ops.max_pool(x, window=2).data.ravel()).tolist() == [True, False]


@pytest.mark.parametrize("spatial", [(5,), (3, 4), (2, 3, 2), (1, 1)])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_upsampling_by_coordinates(spatial, scale):
    x = RNG.normal(size=(2, *spatial, 3))
    nearest = linear = x
    for axis, n in enumerate(spatial, 1):
        at = (np.arange(n * scale) + 0.5) / scale - 0.5
        nearest = np.repeat(nearest, scale, axis)
        low = np.clip(np.floor(at).astype(int), 0, n - 1)
        high, t = np.clip(np.floor(at).astype(int) + 1, 0, n - 1), at - np.floor(at)
        t = t.reshape(-1, *(1,) * (x.ndim - axis - 1))
        linear = (1 - t) * np.take(linear, low, axis) + t * np.take(linear, high, axis)
    np.testing.assert_array_equal(ops.upsample(x, scale=scale).data, nearest)
    np.testing.assert_allclose(ops.upsample(x, scale=scale, mode="bilinear").data, linear, atol=1e-14)


def test_bilinear_known_values():
    """The usual example: 1 2 / 3 4 at scale 2, as PyTorch gives it with align_corners=False."""
    y = ops.upsample(np.array([[1.0, 2], [3, 4]])[None, :, :, None], scale=2, mode="bilinear").data[0, :, :, 0]
    row = np.array([1, 1.25, 1.75, 2])
    np.testing.assert_allclose(y, row + np.array([0, 0.5, 1.5, 2])[:, None])


def test_a_scale_an_axis():
    x = RNG.normal(size=(1, 2, 3, 2))
    np.testing.assert_array_equal(ops.upsample(x, scale=(1, 3)).data, np.repeat(x, 3, 2))
    assert ops.upsample(x, scale=(3, 2), mode="bilinear").shape == (1, 6, 6, 2)


def test_average_pooling_undoes_nearest_upsampling():
    x = RNG.normal(size=(2, 3, 4, 2))
    np.testing.assert_allclose(ops.avg_pool(ops.upsample(x, scale=3), window=3).data, x, atol=1e-15)


def test_pixel_shuffle_is_its_index_formula():
    x, r = RNG.normal(size=(2, 3, 4, 4 * 5)), 2
    y = ops.pixel_shuffle(x, r).data
    assert y.shape == (2, 6, 8, 5)
    for n, h, w, i, j, c in np.ndindex(2, 3, 4, r, r, 5):
        assert y[n, h * r + i, w * r + j, c] == x[n, h, w, (i * r + j) * 5 + c]


@pytest.mark.parametrize(("spatial", "scale"), [((3,), 2), ((2, 3), (3, 2)), ((2, 1, 2), 2)])
def test_pixel_unshuffle_is_the_inverse_and_the_adjoint(spatial, scale):
    x = RNG.normal(size=(2, *spatial, 3 * int(np.prod(sizes(scale, len(spatial))))))
    y = ops.pixel_shuffle(x, scale)
    np.testing.assert_array_equal(ops.pixel_unshuffle(y, scale).data, x)
    g = RNG.normal(size=y.shape)
    np.testing.assert_array_equal(
        vjp(lambda t: ops.pixel_shuffle(t, scale), x, g)[1].data, ops.pixel_unshuffle(g, scale).data
    )


def test_global_pooling():
    x = RNG.normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(ops.global_avg_pool(x).data, x.mean((1, 2)), atol=1e-15)
    np.testing.assert_array_equal(ops.global_max_pool(x).data, x.max((1, 2)))


LINEAR = {
    "avg_pool": lambda x: ops.avg_pool(x, window=3, stride=2),
    "avg_pool tiles": lambda x: ops.avg_pool(x, window=(2, 3)),
    "nearest": lambda x: ops.upsample(x, scale=(2, 3)),
    "bilinear": lambda x: ops.upsample(x, scale=(3, 2), mode="bilinear"),
    "pixel_unshuffle": lambda x: ops.pixel_unshuffle(ops.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0))), 2),
    "global_avg_pool": ops.global_avg_pool,
}
CURVED = {
    "max_pool": lambda x: ops.max_pool(x * x, window=3, stride=2),
    "global_max_pool": lambda x: ops.global_max_pool(ops.sin(x)),
    "a network": lambda x: ops.tanh(ops.upsample(ops.max_pool(ops.exp(x), window=2), scale=2, mode="bilinear")),
}


@pytest.mark.parametrize("name", LINEAR)
def test_adjoint(name):
    x = RNG.normal(size=(2, 7, 6, 3))
    y, _ = vjp(LINEAR[name], x, np.zeros(LINEAR[name](x).shape))
    g = RNG.normal(size=y.shape)
    back = vjp(LINEAR[name], x, g)[1].data
    forth = jvp(LINEAR[name], x, x)[1].data
    left, right = (y.data * g).sum(), (x * back).sum()
    assert abs(left - right) < 1e-13 * np.abs(y.data * g).sum()
    np.testing.assert_allclose(forth, y.data, atol=1e-13)


@pytest.mark.parametrize("name", [*LINEAR, *CURVED])
def test_derivatives_of_orders_1_and_2(name):
    f = {**LINEAR, **CURVED}[name]
    assert gradcheck(lambda x: f(x) ** 2, RNG.normal(size=(1, 5, 4, 2)), order=2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_and_replays(dtype):
    def f(x):
        x = ops.identity(x)
        leaf = x.detach()
        leaf.requires_grad = True
        y = ops.max_pool(ops.upsample(leaf, scale=2, mode="bilinear"), window=3, stride=2)
        y = ops.pixel_shuffle(ops.upsample(ops.avg_pool(y, window=2), scale=2), 2)
        return [y, mg.grad((y * y).sum(), leaf)]

    x = mg.tensor(RNG.normal(size=(2, 4, 4, 4)).astype(dtype))
    recording = mg.Recording(f, x)
    x.data[...] = RNG.normal(size=x.shape)
    for got, want in zip(recording.replay(), f(x), strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got.data, want.data)


IMAGE = np.zeros((2, 4, 6, 3), np.float32)


def test_layers():
    for layer, shape in [
        (nn.AvgPool(2), (2, 2, 3, 3)),
        (nn.MaxPool(3, stride=1), (2, 2, 4, 3)),
        (nn.Upsample(2), (2, 8, 12, 3)),
        (nn.Upsample((1, 2), mode="bilinear"), (2, 4, 12, 3)),
        (nn.PixelShuffle((3, 1)), (2, 12, 6, 1)),
        (nn.GlobalAvgPool(), (2, 3)),
        (nn.GlobalMaxPool(), (2, 3)),
    ]:
        assert layer(IMAGE).shape == shape and not layer.parameters()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.avg_pool(IMAGE[0, 0], window=2), r"avg_pool: got x \(6, 3\), expected \(N, \*spatial, C\)"),
        (lambda: ops.max_pool(IMAGE, window=5), r"max_pool: got window \(5, 5\).*smaller"),
        (lambda: ops.max_pool(IMAGE, window=(2, 2, 2)), "max_pool: got window .* 2 of them"),
        (lambda: ops.avg_pool(IMAGE, window=2, stride=0), "avg_pool: got stride 0"),
        (lambda: ops.upsample(IMAGE, scale=1.5), "upsample: got scale 1.5"),
        (lambda: ops.upsample(IMAGE, scale=2, mode="cubic"), "upsample: got mode 'cubic'"),
        (lambda: ops.pixel_shuffle(IMAGE, 2), "pixel_shuffle: .* divisible by 4"),
        (lambda: ops.pixel_unshuffle(IMAGE, 4), r"pixel_unshuffle: .* divisible by scale \(4, 4\)"),
        (lambda: ops.global_avg_pool(np.zeros((2, 3))), "global_avg_pool"),
        (lambda: ops.global_max_pool(np.zeros((2, 3))), "global_max_pool"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_only_whole_windows_are_read():
    x = mg.tensor(RNG.normal(size=(1, 5, 1)), requires_grad=True)
    assert ops.avg_pool(x, window=2).shape == (1, 2, 1)
    assert mg.grad(ops.max_pool(x, window=2).sum(), x).data[0, 4, 0] == 0
    assert (
        resample.window_spread(np.ones((1, 2, 1)), window=(2,), stride=(2,), factor=1.0, shape=(1, 5, 1)).data[0, 4, 0]
        == 0
    )
