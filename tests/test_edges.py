"""Right at the edges of operations: places named twice, axes, activations, zeros, integers, long sums, random numbers, files."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from devices import CPU, SPECIFICATION
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import minigan as mg
from minigan import nn, ops, optim, random
from minigan.activation import Activation
from minigan.gradcheck import NonDifferentiableError, gradcheck
from minigan.kernels import kernel, reference
from minigan.kernels.cpu import threads

R = np.random.default_rng(0)
M = R.normal(size=(3, 4, 2))


def second(f: Callable[..., Any], *values: Any) -> list[list[np.ndarray]]:
    """All second derivatives of the sum of f: row i that of its first derivative in argument i, in each argument."""
    xs = [mg.tensor(np.asarray(v, np.float64), requires_grad=True) for v in values]
    first = mg.grad(f(*xs).sum(), xs, create_graph=True)
    return [[g.numpy() for g in mg.grad(g.sum(), xs)] if g.requires_grad else [np.zeros(())] * len(xs) for g in first]


# -- indices ---------------------------------------------------------------------------------------------------------
INDICES = {
    "a tuple": (slice(None), (0, 0)),
    "a list and a tuple": ([0, 2, 2], (1, 1, 1)),
    "a range": (range(2), slice(1, 3)),
    "negative duplicates": (np.array([-1, 2, -1]),),
    "around a slice": ([0, 0], slice(None), [1, 1]),
    "around None": ([[0], [0]], None, [0, 1]),
    "an array and an integer": (np.array([1, 1]), 2),
    "dots and an array": (..., np.array([[0, 0], [1, 0]])),
    "an array without axes": (np.array(1), slice(None, None, -2)),
    "numpy's integers": (np.int64(2), np.int8(-1)),
    "unsigned": (np.array([1, 1], np.uint8),),
    "a mask": (R.normal(size=(3, 4)) > 0,),
    "a mask in the middle": (slice(None), R.normal(size=4) > 0, (1, 1)),
    "a list of booleans": ([True, False, True],),
    "True": (True, [0, 0]),
    "an array without axes that is True": (np.array(True),),
    "None": (None, (1, 1), None),
    "an empty list": ([],),
    "nothing true": (np.zeros((3, 4, 2), bool),),
}


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("wrap", [False, True])
def test_indexing_is_numpys_and_its_derivative_adds_up(name: str, wrap: bool) -> None:
    index = INDICES[name]
    given = tuple(ops.as_tensor(i) if wrap and isinstance(i, np.ndarray) else i for i in index)
    numpys = tuple(list(i) if isinstance(i, (tuple, range)) else i for i in index)
    numpys = tuple(np.array(i, int) if isinstance(i, list) and not i else i for i in numpys)
    want = M[numpys]
    np.testing.assert_array_equal(ops.getitem(M, given).numpy(), want)
    x, w = mg.tensor(M, requires_grad=True), R.normal(size=want.shape)
    expected = np.zeros_like(M)
    np.add.at(expected, numpys, w)
    np.testing.assert_allclose(mg.grad(x[given], x, w).numpy(), expected, atol=1e-12)
    gradcheck(lambda x: x[given], M, order=2)


BAD_INDICES = {
    "mask too short": (np.ones(2, bool),),
    "mask too long": (np.ones((3, 5), bool),),
    "mask of another axis": (slice(None), np.ones(3, bool)),
    "mask after dots": (..., np.ones(4, bool)),
    "mask with one element": (np.ones(1, bool),),
    "too many": (0, 0, 0, 0),
    "two dots": (..., ...),
    "outside": (3,),
    "outside, in an array": ([0, -4],),
    "a float": (1.0,),
    "floats": (np.array([1.0]),),
    "a string": ("0",),
}


@pytest.mark.parametrize("name", BAD_INDICES)
def test_wrong_indices_raise(name: str) -> None:
    with pytest.raises((IndexError, TypeError), match="getitem: "):
        ops.getitem(M, BAD_INDICES[name])


def test_taking_and_gathering_repeated_places() -> None:
    x = mg.tensor(M[:, :, 0], requires_grad=True)
    for y in (ops.take(x, (0, 0)), ops.embedding(x, (0, 0)), ops.take(x, range(0, 1), axis=np.int64(0)) * 2.0):
        assert mg.grad(y.sum(), x).numpy()[0, 0] == 2
    places = np.array([[0, 0, -4], [1, -1, 3], [2, 2, 2]])
    gradcheck(lambda x: ops.gather(x, places), M[:, :, 0], order=2)
    assert mg.grad(ops.gather(x, places).sum(), x).numpy().tolist() == [[3, 0, 0, 0], [0, 1, 0, 2], [0, 0, 3, 0]]
    for call, error in (
        (lambda: ops.permute(x, np.zeros((3, 4), int)), "every number from 0 to 3 once"),
        (lambda: ops.permute(x, (1, 0)), "as many axes"),
        (lambda: ops.permute(x, places), "order of shape"),
        (lambda: ops.gather(x, np.zeros((2, 4), int)), "as many axes"),
    ):
        with pytest.raises(ValueError, match=error):
            call()
    for call in (lambda: ops.gather(x, places + 4), lambda: ops.take(x, 3)):
        with pytest.raises(IndexError):
            call()
    for call in (lambda: ops.take(x, [0.5]), lambda: ops.take(x, [True, False, True]), lambda: ops.gather(x, x)):
        with pytest.raises(TypeError, match="expected integers"):
            call()
    with pytest.raises(TypeError, match="in an index template"):
        ops.index_add(np.ones(2), template=((0, 0),), shape=(3,))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_of_an_embedding_repeats_on_any_number_of_threads(dtype: Any, monkeypatch: Any) -> None:
    w = mg.tensor(R.standard_normal((211, 37)).astype(dtype), requires_grad=True)
    rows, g = R.integers(-211, 150, (7, 719)), R.standard_normal((7, 719, 37)).astype(dtype)
    want = np.zeros(w.shape)
    for row, part in zip(rows.ravel(), g.reshape(-1, 37), strict=True):
        want[row] += part
    found = []
    for count in (1, 2, 3):
        monkeypatch.setattr(threads, "THREADS", count)
        found.append(mg.grad(ops.embedding(w, rows), w, g).numpy())
    np.testing.assert_allclose(found[0], want, rtol=1e-6, atol=1e-6 if dtype == np.float32 else 1e-12)
    assert all((found[0] == again).all() for again in found[1:])
    for wrong in (3, -4):
        with pytest.raises(IndexError, match="index_add: got rows"):
            ops.index_add(np.ones((1, 2)), np.array([wrong]), template=(ops.indexing.Slot(0),), shape=(3, 2))


# -- axes ------------------------------------------------------------------------------------------------------------
AXIS_NAMES = [
    "sum",
    "mean",
    "var",
    "max",
    "min",
    "logsumexp",
    "softmax",
    "log_softmax",
    "cumsum",
    "norm",
    "flip",
    "squeeze",
]
AXIS_NAMES += ["sort", "argsort", "argmax", "argmin"]
ONE_AXIS: dict[str, Callable[[Any, Any], Any]] = {
    name: partial(lambda f, x, axis: f(x, axis=axis), getattr(ops, name)) for name in AXIS_NAMES
} | {
    "expand_dims": lambda x, axis: ops.expand_dims(x, 2 if isinstance(axis, np.int64) else axis),
    "transpose": lambda x, axis: ops.transpose(x, (0, axis)),
    "swapaxes": lambda x, axis: ops.swapaxes(x, 0, axis),
    "flatten": ops.flatten,
    "concatenate": lambda x, axis: ops.concatenate([x, x], axis),
    "stack": lambda x, axis: ops.stack([x, x], 2 if isinstance(axis, np.int64) else axis),
    "split": lambda x, axis: ops.split(x, 1, axis),
    "unstack": ops.unstack,
    "take": lambda x, axis: ops.take(x, [0], axis),
    "gather": lambda x, axis: ops.gather(x, np.zeros((1, 1), int), axis),
    "permute": lambda x, axis: ops.permute(x, np.zeros((1, 1), int), axis),
    "gumbel_softmax": lambda x, axis: ops.gumbel_softmax(x, temperature=1.0, random=random.Source(0), axis=axis),
}


@pytest.mark.parametrize("name", ONE_AXIS)
def test_an_axis_is_one_that_is_there(name: str) -> None:
    call, x = ONE_AXIS[name], np.ones((1, 1))
    call(x, np.int64(1))
    for axis in (3, -4, 7):
        with pytest.raises(ValueError, match=f"{name if name != 'stack' else ''}.*axis"):
            call(x, axis)
    for axis in (0.0, "0", True):
        with pytest.raises(TypeError, match="expected an integer"):
            call(x, axis)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "max", "logsumexp", "softmax", "norm", "flip", "squeeze"])
def test_no_axis_is_named_twice(name: str) -> None:
    with pytest.raises(ValueError, match="names an axis twice"):
        getattr(ops, name)(np.ones((1, 1)), (0, -2))


# -- activations -----------------------------------------------------------------------------------------------------
USES: dict[str, Callable[..., Any]] = {
    "activation": lambda x, a, **o: ops.activation(x, a, **o),
    "dense": lambda x, a, **o: ops.dense(x, np.eye(4) + 0.5, np.zeros(4), activation=a, **o),
    "conv": lambda x, a, **o: ops.conv(x[:, None], np.eye(4)[None] + 0.5, activation=a, **o),
    "conv_transpose": lambda x, a, **o: ops.conv_transpose(x[:, None], np.eye(4)[None] + 0.5, activation=a, **o),
    "batch_norm": lambda x, a, **o: ops.batch_norm(x, np.ones(4), np.zeros(4), activation=a, **o),
}
LAYERS: dict[str, Callable[..., Any]] = {
    "Dense": lambda a, **o: nn.Dense(4, 4, activation=a, **o),
    "Conv": lambda a, **o: nn.Conv(4, 4, 1, axes=1, activation=a, **o),
    "ConvTranspose": lambda a, **o: nn.ConvTranspose(4, 4, 1, axes=1, activation=a, **o),
    "BatchNorm": lambda a, **o: nn.BatchNorm(4, activation=a, **o),
    "Activation": lambda a, **o: nn.Activation(a, **o),
}
BAD_SLOPES = [-0.2, 0.0, -0.0, math.nan, math.inf, -1e-300]


@pytest.mark.parametrize("name", USES)
def test_the_fused_leaky_relu_is_right_or_refused(name: str) -> None:
    x = R.normal(size=(5, 4))
    for slope in (0.2, 1.0, 3.0):
        assert gradcheck(lambda x, s=slope: USES[name](x, "leaky_relu", slope=s), x, order=2)
    for slope in BAD_SLOPES:
        with pytest.raises(ValueError, match=rf"^{name}: got slope .* expected a finite number > 0"):
            USES[name](x, "leaky_relu", slope=slope)
    with pytest.raises(ValueError, match="expected one of"):
        USES[name](x, "swish")
    with pytest.raises(TypeError, match="slope of type Tensor"):
        USES[name](x, "leaky_relu", slope=mg.tensor(0.2))
    np.testing.assert_array_equal(USES[name](x, None).numpy(), USES[name](x, "linear").numpy())


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_checks_its_activation_when_it_is_made(name: str) -> None:
    make = LAYERS[name]
    for slope in BAD_SLOPES:
        with pytest.raises(ValueError, match=r"got slope .* expected a finite number > 0"):
            make("leaky_relu", slope=slope)
    for wrong in ("swish", 3):
        with pytest.raises((ValueError, TypeError), match=f"{name}: got activation"):
            make(wrong)
    assert make(None).activation == make("linear").activation == Activation()
    assert make("leaky_relu", slope=3).activation == Activation("leaky_relu", 3.0)


@pytest.mark.parametrize("name", ["Dense", "Conv", "ConvTranspose", "BatchNorm"])
def test_a_steep_leaky_relu_is_replayed_to_the_bit(name: str) -> None:
    runs = []
    x = R.normal(size=(6, 4) if name in ("Dense", "BatchNorm") else (6, 3, 4)).astype(np.float32)
    for replay in (False, True):
        layer = LAYERS[name]("leaky_relu", slope=1.7).initialize(0, "x")
        player = mg.Player("p", lambda b, layer=layer: ops.square(layer(b)).mean(), optim.Adam(layer, lr=0.1))
        game = mg.Game([player], replay=replay)
        for _ in range(5):
            game.step(x)
        runs.append(layer.state())
    for key, eager in runs[0].items():
        np.testing.assert_array_equal(runs[1][key], eager)


# -- zeros and kinks -------------------------------------------------------------------------------------------------
def test_powers_at_zero_with_a_differentiated_exponent() -> None:
    a = mg.tensor(np.zeros(5), requires_grad=True)
    b = mg.tensor(np.array([0.0, 1.0, 1.5, 2.0, 3.0]), requires_grad=True)
    first = mg.grad((a**b).sum(), [a, b])
    assert first[0].numpy().tolist() == [0, 1, 0, 0, 0] and first[1].numpy().tolist() == [0] * 5
    assert second(lambda a, b: a**b, np.zeros(4), [0.0, 1.0, 2.0, 3.0])[0][0].tolist() == [0, 0, 2, 0]
    assert second(lambda a: a**2.0, [0.0])[0][0] == 2 and second(lambda a: a**1.0, [0.0])[0][0] == 0
    gradcheck(lambda a, b: a**b, (np.array([0.5, 2.0]), np.array([0.0, 1.0])), order=2)
    value = mg.grad((a**b).sum(), a)
    assert np.isfinite(value.numpy()).all()
    with np.errstate(invalid="ignore"):
        assert np.isnan(mg.grad((np.array([-2.0]) ** b[3:4]).sum(), b).numpy()[3])  # no real power beside b = 2
    assert mg.grad((a[0] ** mg.tensor(np.array(0.5))).sum(), a).numpy()[0] == np.inf


@pytest.mark.parametrize("length", [ops.norm, lambda x: ops.norm(x, 0), lambda x: ops.norm(ops.reshape(x, (1, -1)), 1)])
def test_even_functions_of_a_length_have_their_second_derivative_at_zero(length: Any) -> None:
    """h(|x|) with h'(0) = 0 has the Hessian h''(0) I there."""
    z, e = np.zeros(3), np.array([1.0, -2.0, 0.5])
    for h, curvature in (
        (lambda r: r**2, 2.0),
        (ops.square, 2.0),
        (lambda r: r * r, 2.0),
        (lambda r: ops.cos(r), -1.0),
        (lambda r: 3.0 * ops.exp(-0.5 * r * r), -3.0),
        (lambda r: r**4, 0.0),
        (lambda r: ops.sqrt(1.0 + r**2), 1.0),
    ):
        _, product = mg.hvp(lambda x, h=h: h(length(x)).sum(), z, e)
        np.testing.assert_allclose(product.numpy(), curvature * e, atol=1e-15)
        gradcheck(lambda x, h=h: h(length(x)), z, order=2)
        gradcheck(lambda x, h=h: h(length(x)), e, order=2)


def test_even_functions_of_an_absolute_value_too() -> None:
    assert second(lambda x: abs(x) ** 2, [0.0, 1.0, -2.0])[0][0].tolist() == [2, 2, 2]
    assert second(lambda x: ops.cos(abs(x)), [0.0])[0][0] == -1
    assert mg.grad(ops.norm(x := mg.tensor(np.zeros(2), requires_grad=True)), x).numpy().tolist() == [0, 0]


def test_batch_norm_refuses_one_value_a_channel() -> None:
    with pytest.raises(ValueError, match=r"more than one value a channel.*batch of at least two"):
        nn.BatchNorm(3)(np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match="more than one value a channel"):
        ops.batch_norm(np.ones((1, 1, 1, 3)), np.ones(3), np.zeros(3))
    assert nn.BatchNorm(3).eval()(np.ones((1, 3), np.float32)).shape == (1, 3)
    assert nn.BatchNorm(3)(np.ones((1, 2, 3), np.float32)).shape == (1, 2, 3)


def test_float32_tanh_is_one_where_nothing_is_nearer() -> None:
    x = np.concatenate([np.linspace(-12, 12, 100_001), np.geomspace(1e-30, 12, 1000)]).astype(np.float32)
    y, true = ops.tanh(x).numpy(), np.tanh(x.astype(np.float64))
    assert np.abs(y - true).max() < 1.2e-7 and ((np.abs(y) == 1) == (np.abs(true.astype(np.float32)) == 1)).all()
    assert (np.abs(y - true) <= 1.5 * np.spacing(np.abs(true).astype(np.float32))).all()


# -- integers --------------------------------------------------------------------------------------------------------
BIG = 2**24 + 1


def test_integers_are_compared_and_computed_exactly() -> None:
    a, b = np.array([BIG, 3]), np.array([BIG - 1, 2])
    assert not ops.equal(BIG, BIG - 1).item() and ops.greater(BIG, BIG - 1).item()
    assert ops.equal(a, b).numpy().tolist() == [False, False] and ops.less_equal(a, BIG).numpy().all()
    assert not ops.equal(a, b.astype(np.float32)).numpy().any()
    for name in ("add", "subtract", "multiply", "maximum", "minimum"):
        got = getattr(ops, name)(a, b)
        assert got.dtype == np.int64 and (got.numpy() == getattr(np, name)(a, b)).all()
    for y, want in (
        (ops.as_tensor(a) + 1, a + 1),
        (2 * ops.as_tensor(a), 2 * a),
        (-ops.as_tensor(a), -a),
        (abs(ops.as_tensor(-a)), a),
        (ops.as_tensor(a) ** 2, a**2),
        (ops.sum(a), a.sum()),
        (ops.cumsum(a), a.cumsum()),
        (ops.max(a), a.max()),
        (ops.clip(a, 0, BIG - 1), np.clip(a, 0, BIG - 1)),
        (ops.where(a > 5, a, b), np.where(a > 5, a, b)),
        (ops.as_tensor(a) @ ops.as_tensor(b), a @ b),
        (ops.sort(a), np.sort(a)),
        (ops.pad(a, 1, value=7), np.pad(a, 1, constant_values=7)),
        (ops.concatenate([a] * 1001), np.concatenate([a] * 1001)),
        (ops.sum(a > 5), 1),
    ):
        assert y.dtype == np.int64 and (y.numpy() == want).all()
    assert (ops.as_tensor(a) / 2).dtype == np.float32 and (ops.as_tensor(a) + 0.5).dtype == np.float32
    assert (ops.as_tensor(a) * np.ones(2)).dtype == np.float64 and ops.mean(a).dtype == np.float32
    with pytest.raises(TypeError, match="whole value for integers"):
        ops.pad(a, 1, value=0.5)
    x = np.float32([1.5])
    assert (ops.less(x, 2).numpy(), ops.equal(x, 1.5).numpy()) == (True, True)


# -- sums in float32 -------------------------------------------------------------------------------------------------
def off(got: Any, want: Any) -> float:
    return float(np.abs(got.numpy() - want).max() / np.abs(want).max())


@pytest.mark.parametrize("kernels", ["fast", "reference"])
def test_long_sums_lose_nothing_to_their_length(kernels: str) -> None:
    """Relative errors against double; a plain loop over 2e5 to 2e6 numbers near 1000 is off by 1e-3 to 1e-2."""
    x = (1e3 + R.random((2, 200_000, 5))).astype(np.float32)
    wide, tall = x.astype(np.float64), x.reshape(-1, 5)
    with kernel.using(kernels):
        for axis in (1, (0, 1), (1, 2), (0, 2), None, 0, 2):
            assert off(ops.sum(x, axis), wide.sum(axis)) < 2e-7
            assert off(ops.mean(x, axis), wide.mean(axis)) < 2e-7
        assert off(ops.sum(x.transpose(1, 0, 2), 0), wide.sum(1)) < 2e-7
        assert off(ops.sum(x[:, ::2], 1), wide[:, ::2].sum(1)) < 2e-7
        assert off(ops.var(x, 1), wide.var(1)) < 1e-5
        assert off(ops.cumsum(tall[:, 0]), tall[:, 0].astype(np.float64).cumsum()) < 1e-7
        bias = mg.tensor(np.zeros(5, np.float32), requires_grad=True)
        assert off(mg.grad(ops.as_tensor(tall) + bias, bias, tall), wide.sum((0, 1))) < 2e-7
        assert off(mg.grad(ops.dense(tall, np.eye(5, dtype=np.float32), bias), bias, tall), wide.sum((0, 1))) < 5e-7
        assert (
            off(mg.grad(ops.take(bias, np.zeros(400_000, int)), bias, tall[:, 0])[:1], tall[:, 0].sum(dtype=float))
            < 1e-7
        )
        assert off(ops.norm(x, 1), np.sqrt((wide**2).sum(1))) < 2e-7
        assert off(ops.softmax(x * 0, 1), np.full(x.shape, 1 / 200_000)) < 2e-7
        assert off(ops.logsumexp(x * 0, 1), np.log(2e5)) < 2e-7
        assert off(ops.avg_pool(x[:1], window=200_000), wide[:1].mean(1)) < 2e-7


@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (3, 1), (1, 20)])
def test_thin_products_of_many_terms(m: int, n: int, layout: str) -> None:
    """The BLAS is off by 2e-3 where a vector meets a transposed matrix."""
    a = np.array(R.random((m, 300_000)), np.float32, order="C" if layout == "rows" else "F")
    b = np.array(R.random((300_000, n)), np.float32, order="F" if layout == "rows" else "C")
    assert off(ops.matmul(a, b), a.astype(np.float64) @ b.astype(np.float64)) < 2e-6


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 15), st.permutations(range(4)))
def test_sums_over_any_axes_of_any_layout(shape: list[int], chosen: int, order: list[int]) -> None:
    x = R.normal(size=shape).astype(np.float32).transpose([i for i in order if i < len(shape)])
    axis = tuple(i for i in range(len(shape)) if chosen >> i & 1)
    want = x.astype(np.float64).sum(axis, keepdims=True)
    out = np.empty(want.shape, np.float32)
    CPU.sum_over(x, axis, out)
    np.testing.assert_allclose(out, want, rtol=1e-5, atol=1e-5)


def test_norms_at_a_large_mean() -> None:
    x = (1e4 + R.normal(size=(2, 128, 128, 4))).astype(np.float32)
    one, zero = np.ones(4, np.float32), np.zeros(4, np.float32)
    wide = x.astype(np.float64)
    for y, axes in (
        (ops.batch_norm(x, one, zero), (0, 1, 2)),
        (ops.instance_norm(x, one, zero), (1, 2)),
        (ops.group_norm(x, one, zero, groups=1), (1, 2, 3)),
    ):
        want = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-5)
        assert np.abs(y.numpy() - want).max() < 5e-6  # 4.0 with plain sums, 7e-4 in PyTorch


# -- random numbers --------------------------------------------------------------------------------------------------
def test_laws_of_one_seed_are_independent() -> None:
    n = 20_000
    u, z = random.uniform((n,), seed=1, dtype="float64").data, random.normal((n,), seed=1, dtype="float64").data
    order = random.permutation(n, seed=1)
    assert not np.array_equal(order, np.argsort(u, kind="stable"))
    radius = np.sqrt(z[: n // 2] ** 2 + z[n // 2 :] ** 2)
    assert abs(stats.spearmanr(u[: n // 2], radius).statistic) < 0.03
    assert abs(stats.spearmanr(u, z).statistic) < 0.03 and abs(stats.spearmanr(u, order).statistic) < 0.03
    sources = [random.Source(1) for _ in range(2)]
    u, z = sources[0].uniform((n,), stream="x").data, sources[1].normal((n,), stream="x").data
    assert abs(stats.spearmanr(u[::2], z[::2] ** 2 + z[1::2] ** 2).statistic) < 0.03


def test_every_permutation_is_equally_likely() -> None:
    seen = [tuple(random.permutation(4, seed=0, step=i).tolist()) for i in range(4800)]
    counts = np.unique(np.array(seen), axis=0, return_counts=True)[1]
    assert len(counts) == 24 and stats.chisquare(counts).pvalue > 1e-3
    results = []
    for kernels in (SPECIFICATION, CPU):
        order = np.arange(1000)
        kernels.shuffle((3, 4), (5, 6, 7), order)
        results.append(order)
    assert (results[0] == results[1]).all() and random.permutation(0, seed=1).tolist() == []


@pytest.mark.parametrize("rate", [1e-9, 0.001, 0.1, 0.5, 0.9, 0.999, 0.99999, 1 - 1e-9])
def test_dropout_has_its_mean_and_its_rate(rate: float) -> None:
    bits, level = reference.keep_level(1 - rate)
    assert abs(level / 2**bits - (1 - rate)) <= max(2.0**-33, min(rate, 1 - rate) / 512 * (bits == 16))
    mask = random.Source(0).mask((1000,), keep=1 - rate, stream="m", dtype=np.dtype(np.float64)).data
    values = set(np.unique(mask).tolist())
    assert values <= {0.0, 2**bits / level}  # times the probability level / 2^bits: a mean of 1
    assert nn.Dropout(rate).rate == rate


def test_a_wide_mask_has_its_probability() -> None:
    mask = random.Source(0).mask((2_000_000,), keep=1e-3, stream="m").data
    assert abs((mask > 0).mean() - 1e-3) < 5 * np.sqrt(1e-3 / 2e6) and abs(mask.mean() - 1) < 0.12
    for rate in (1e-12, 1 - 1e-12, -0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match="Dropout: got rate"):
            nn.Dropout(rate)


def test_more_laws() -> None:
    source, n = random.Source(2), 30_000
    g = source.gumbel((n,), stream="g").data
    assert g.dtype == np.float32 and stats.kstest(g, "gumbel_r").pvalue > 1e-3
    k = source.integers((n,), low=-2, high=5, stream="k").data
    assert k.dtype == np.int64 and stats.chisquare(np.bincount(k + 2, minlength=7)).pvalue > 1e-3
    assert source.integers((5,), high=2**32, stream="k").data.max() > 2**30
    b = source.bernoulli((n,), p=0.3, stream="b").data
    assert set(b.tolist()) == {0.0, 1.0} and abs(b.mean() - 0.3) < 0.015
    assert source.bernoulli((2, 3), p=np.array([0.0, 1.0, 1.0]), stream="b").data.tolist() == [[0, 1, 1]] * 2
    c = source.categorical(np.tile(np.log([0.2, 0.5, 0.3]), (n, 1)), stream="c").data
    assert stats.chisquare(np.bincount(c), n * np.array([0.2, 0.5, 0.3])).pvalue > 1e-3
    assert source.categorical(np.array([-np.inf, 0.0]), stream="c").data == 1
    for call, error in (
        (lambda: source.integers((2,), low=3, high=3, stream="k"), ValueError),
        (lambda: source.integers((2,), high=2.5, stream="k"), TypeError),
        (lambda: source.bernoulli((2,), p=1.5, stream="b"), ValueError),
        (lambda: source.bernoulli((2,), p=np.array([0.5, math.nan]), stream="b"), ValueError),
        (lambda: source.categorical(np.float64(1.0), stream="c"), ValueError),
    ):
        with pytest.raises(error):
            call()


def test_the_new_laws_are_drawn_again_by_a_replay() -> None:
    def run(replay: bool) -> list[float]:
        source, w = random.Source(5), mg.tensor(np.zeros(3, np.float32), requires_grad=True)

        def loss() -> Any:
            k = source.categorical(w, stream="k")
            noise = source.bernoulli((3,), p=ops.sigmoid(w), stream="b") + source.gumbel((3,), stream="g")
            relaxed = ops.gumbel_softmax(w, temperature=0.5, random=source)
            return (ops.one_hot(k, 3) * noise * w + relaxed * w).sum() + source.integers((1,), high=9, stream="i").sum()

        game = mg.Game([mg.Player("p", loss, optim.SGD(w, lr=0.1))], random=source, replay=replay)
        return [game.step()["p"].item() for _ in range(6)]

    eager = run(False)
    assert run(True) == eager and len(set(eager)) == 6


# -- state, shapes, numbers ------------------------------------------------------------------------------------------
def test_states_of_other_shapes_and_alike_names() -> None:
    w = mg.tensor(np.zeros((2, 3), np.float32), requires_grad=True)
    average = optim.EMA(w)
    for shape in ((3,), (1, 3), (2, 1), ()):
        with pytest.raises(ValueError, match="has shape"):
            average.load_state({"steps": np.array(1), "parameter": np.ones(shape)})
    a, b = (mg.tensor(np.full(2, v, np.float32), requires_grad=True) for v in (1.0, 2.0))
    players = [
        mg.Player("D", lambda: ops.square(a).sum(), optim.Adam({"x/w": a})),
        mg.Player("D/x", lambda: ops.square(b).sum() * 3.0, optim.Adam({"w": b})),
    ]
    game = mg.Game(players)
    game.step()
    kept = game.state()
    game.step()
    game.load_state(kept)
    for key, value in game.state().items():
        np.testing.assert_array_equal(value, kept[key])


def test_fortran_ordered_parameters_are_trained() -> None:
    values = np.asfortranarray(R.normal(size=(3, 4)).astype(np.float32))
    made, wrapped = mg.tensor(values, requires_grad=True), mg.autodiff.Tensor(values.copy(order="F"))
    wrapped.requires_grad = True
    for w in (made, wrapped):
        optimizer = optim.Adam(w, lr=0.1)
        optimizer.step([mg.tensor(np.ones((3, 4), np.float32))])
        np.testing.assert_allclose(w.numpy(), values - 0.1, atol=1e-6)


def test_numpys_integers_are_integers() -> None:
    one, two = np.int64(1), np.int32(2)
    layer = nn.Conv(two, two, np.int64(3), stride=two, padding=(one, one), dilation=np.array([1, 1]))
    x = np.ones((2, 8, 8, 2), np.float32)
    assert layer(x).shape == (2, 4, 4, 2)
    assert nn.ConvTranspose(two, one, two, stride=two, output_size=np.int64(16))(x).shape == (2, 16, 16, 1)
    assert ops.conv(x, np.ones((3, 3, 2, 1), np.float32), stride=np.int64(2), padding=np.int64(1)).shape == (2, 4, 4, 1)
    assert ops.upsample(x, scale=two).shape == (2, 16, 16, 2) and nn.Dense(two, one)(x).shape == (2, 8, 8, 1)
    assert ops.pad(x[0, 0, 0], one).shape == (4,) and ops.reshape(x, two, -1).shape == (2, 128)
    for call in (
        lambda: nn.Conv(2, 2, 3, stride=2.0)(x),
        lambda: nn.Conv(2, 2, 3, stride=True)(x),
        lambda: nn.Dense(2.0, 1),
    ):
        with pytest.raises((TypeError, ValueError), match="integer"):
            call()


def test_gradcheck_follows_fast_functions_and_still_sees_kinks() -> None:
    assert gradcheck(lambda x: ops.sin(1e6 * x), np.array([0.3, 1.0]), order=2)
    with pytest.raises(NonDifferentiableError):
        gradcheck(abs, np.array([0.0]))


def test_summary_counts_convolutions_and_reads_tuples() -> None:
    text = nn.Sequential(nn.Conv(3, 64, 5)).summary((1, 28, 28, 3))
    assert "7,526,400" in text
    assert "7,526,400" in nn.ConvTranspose(64, 3, 5).summary((1, 28, 28, 64))

    class Two(nn.Module):
        def __init__(self) -> None:
            self.a, self.b = nn.Dense(2, 3), nn.Dense(4, 1)

        def forward(self, x: Any, y: Any) -> Any:
            return self.a(x), {"b": self.b(y)}

    assert "(5, 3)" in Two().summary((5, 2), (7, 4)) and "(7, 1)" in Two().summary(((5, 2), (7, 4)))

    class Pair(nn.Module):
        def forward(self, x: Any) -> Any:
            return x, x[0]

    assert "(5, 2), (2,)" in Pair().summary((5, 2))


# -- padding and splitting -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
@pytest.mark.parametrize("widths", [1, (2, 0), ((1, 2), (0, 3)), ((3, 2), (7, 9))])
def test_padding_is_numpys(mode: str, widths: Any) -> None:
    x = R.normal(size=(3, 4))
    np.testing.assert_array_equal(ops.pad(x, widths, mode=mode).numpy(), np.pad(x, widths, mode=mode))
    gradcheck(lambda x: ops.pad(x, widths, mode=mode), x, order=2)


def test_padding_refuses() -> None:
    for call, text in (
        (lambda: ops.pad(M, 1, mode="wrap"), "mode"),
        (lambda: ops.pad(M, -1), "expected 3 pairs"),
        (lambda: ops.pad(M, ((1, 1), (1, 1))), "expected 3 pairs"),
        (lambda: ops.pad(M, 1.0), "expected 3 pairs"),
        (lambda: ops.pad(np.ones((0, 2)), 1, mode="edge"), "elements to repeat"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_splitting_moves_each_byte_a_few_times_backward() -> None:
    x = mg.tensor(R.normal(size=(256, 4)), requires_grad=True)
    sizes: list[int] = []
    y = ops.concatenate([ops.square(part) for part in ops.unstack(x)])
    with mg.hook(lambda event: sizes.append(event.output.size) if event.kind == "apply" else None):
        g = mg.grad(y.sum(), x)
    np.testing.assert_allclose(g.numpy(), 2 * x.numpy())
    assert sum(sizes) < 40 * x.size  # 2 log2(256) passes and the squares; 512 with zeros of x for every part
    with pytest.raises(ValueError, match="stack: got shapes"):
        ops.stack([np.ones(2), np.ones(1)])
