"""What is the GPU's own of its kernels: in place, at extremes, of nothing, counters and rates in its memory, refused arguments.

`test_kernels.py` compares each with its reference. Sizes go beyond all threads of the largest grid, which is small here
(`few_blocks`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import SPECIFICATION, Kernels

from minigan.activation import FUSED, Activation

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("race_free", "few_blocks")]

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
MATRICES = [(1, 1), (1, 7), (7, 1), (3, 5), (33, 31), (257, 3), (1025, 64), (130, 129), (5, 2049), (523, 37)]
# name -> number of state arrays, hyper-parameters
OPTIMIZERS: dict[str, tuple[int, list[float]]] = {
    "sgd": (1, [0.1, 0.9, 0.01]),
    "rmsprop": (1, [0.01, 0.9, 1e-8]),
    "adam": (2, [0.001, 0.5, 0.999, 1e-8, 0.01, 1.0]),
}


@pytest.fixture(scope="module")
def fused() -> Any:
    """The kernels under test; asked for one, it imports CuPy, so not where these tests are left out."""
    return Kernels("gpu")


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    """Both dtypes."""
    return str(request.param)


def normal(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Normal numbers of this dtype, always the same for a shape and seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


def gpu(array: np.ndarray) -> Any:
    """The array on the GPU."""
    import cupy

    return cupy.asarray(array)


def poisoned(shape: tuple[int, ...], dtype: str) -> Any:
    """An array of NaN on the GPU."""
    return gpu(np.full(shape, np.nan, dtype))


def wide(array: np.ndarray) -> np.ndarray:
    """The same values in float64, for the reference."""
    return array.astype(np.float64)


def check(got: Any, expected: np.ndarray, dtype: str, scale: float = 1.0) -> None:
    """`got` (GPU) is of this dtype and within `scale` tolerances, of the largest value, of `expected`."""
    assert got.dtype == np.dtype(dtype)
    assert got.shape == expected.shape
    tolerance = scale * TOLERANCE[dtype]
    largest = float(np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(got.get(), expected, rtol=tolerance, atol=tolerance * max(largest, 1e-30))


# -- activations and the logistic loss -----------------------------------------------------------------------
@pytest.mark.parametrize("kind", FUSED)
def test_activation_in_place_without_bias(fused: Any, kind: str, dtype: str) -> None:
    z = normal((33, 31), dtype)
    expected, z_gpu = np.empty(z.shape), gpu(z)
    SPECIFICATION.bias_activation(wide(z), None, Activation(kind), expected)
    fused.bias_activation(z_gpu, None, Activation(kind), z_gpu)
    check(z_gpu, expected, dtype)


@pytest.mark.parametrize("kind", FUSED)
def test_activation_of_extremes(fused: Any, kind: str, dtype: str) -> None:
    z = np.array([[np.inf, -np.inf, np.nan, 0.0, 1e30, -1e30]], dtype)
    y, expected = poisoned(z.shape, dtype), np.empty(z.shape)
    fused.bias_activation(gpu(z), None, Activation(kind), y)
    SPECIFICATION.bias_activation(wide(z), None, Activation(kind), expected)
    np.testing.assert_allclose(y.get(), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (257, 3), (523, 37)])
def test_bce_with_logits_of_one_target_for_all(fused: Any, shape: tuple[int, int], dtype: str) -> None:
    logits, one = 20 * normal(shape, dtype), np.array([0.3], dtype)
    out, expected = poisoned(shape, dtype), np.empty(shape)
    fused.bce_with_logits(gpu(logits), gpu(one), out)
    SPECIFICATION.bce_with_logits(wide(logits), wide(one), expected)
    check(out, expected, dtype)


@pytest.mark.parametrize("size", [3, 5000])
def test_mean_softplus_of_extremes(fused: Any, size: int, dtype: str) -> None:
    for bad, expected in ((np.nan, np.nan), (np.inf, np.inf), (-np.inf, np.log(2) * (size - 1) / size)):
        x, out = np.zeros(size, dtype), poisoned((), dtype)
        x[size // 2] = bad
        fused.mean_softplus(gpu(x), 1.0, out)
        np.testing.assert_allclose(out.get(), expected, rtol=1e-6)


# -- normalisation -------------------------------------------------------------------------------------------
def batch_norm(kernels: Any, x: Any, gamma: Any, beta: Any, out: Any, kind: str = "linear") -> Any:
    """(mean, var), beside each other."""
    statistics = gamma.repeat(2).reshape(2, -1) * np.nan
    kernels.batch_norm(x, gamma, beta, 1e-5, Activation(kind), out, statistics)
    return statistics


def batch_norm_backward(kernels: Any, g: Any, x: Any, y: Any, gamma: Any, kind: str = "linear") -> Any:
    """(dx, dgamma, dbeta), from poison."""
    results = [a * np.nan for a in (x, gamma, gamma)]
    kernels.batch_norm_backward(g, x, y, gamma, 1e-5, Activation(kind), *results)
    return results


def test_norm_in_place(fused: Any, dtype: str) -> None:
    x, gamma, beta = normal((130, 129), dtype), normal((129,), dtype, 1), normal((129,), dtype, 2)
    expected, x_gpu = np.empty(x.shape), gpu(x)
    batch_norm(SPECIFICATION, wide(x), wide(gamma), wide(beta), expected)
    batch_norm(fused, x_gpu, gpu(gamma), gpu(beta), x_gpu)
    check(x_gpu, expected, dtype)
    x_gpu = gpu(x)
    SPECIFICATION.layer_norm(wide(x), wide(gamma), wide(beta), 1e-5, expected)
    fused.layer_norm(x_gpu, gpu(gamma), gpu(beta), 1e-5, x_gpu)
    check(x_gpu, expected, dtype)


def test_variance_survives_a_large_mean(fused: Any, dtype: str) -> None:
    x = (normal((4097, 5), "float64") + 1e4).astype(dtype)
    one, zero = gpu(np.ones(5, dtype)), gpu(np.zeros(5, dtype))
    _, var = batch_norm(fused, gpu(x), one, zero, poisoned(x.shape, dtype))
    np.testing.assert_allclose(var.get(), wide(x).var(axis=0), rtol=max(TOLERANCE[dtype], 1e-10))


def test_batch_norm_keeps_nan(fused: Any, dtype: str) -> None:
    x = normal((100, 3), dtype)
    x[50, 1] = np.nan
    one, zero = gpu(np.ones(3, dtype)), gpu(np.zeros(3, dtype))
    mean, var = batch_norm(fused, gpu(x), one, zero, poisoned(x.shape, dtype))
    np.testing.assert_array_equal(np.isnan(mean.get()), [False, True, False])
    np.testing.assert_array_equal(np.isnan(var.get()), [False, True, False])


def layer_norm_backward(kernels: Any, g: Any, x: Any, gamma: Any) -> Any:
    """(dx, dgamma, dbeta), from poison."""
    results = [a * np.nan for a in (x, gamma, gamma)]
    kernels.layer_norm_backward(g, x, gamma, 1e-5, *results)
    return results


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_norm_repeats_bit_for_bit(fused: Any, kind: str, dtype: str) -> None:
    x, g, gamma = (gpu(normal(shape, dtype, i)) for i, shape in enumerate([(2050, 37), (2050, 37), (37,)]))
    first, second = (
        batch_norm_backward(fused, g, x, x, gamma, "tanh")
        if kind == "batch"
        else layer_norm_backward(fused, g, x, gamma)
        for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.get(), b.get())


def test_layer_norm_of_no_rows(fused: Any, dtype: str) -> None:
    x, gamma = gpu(np.empty((0, 3), dtype)), gpu(np.ones(3, dtype))
    fused.layer_norm(x, gamma, gamma, 1e-5, x)
    dx, dgamma, dbeta = layer_norm_backward(fused, x, x, gamma)
    assert dx.shape == (0, 3)
    assert not dgamma.get().any()
    assert not dbeta.get().any()


# -- optimizers ----------------------------------------------------------------------------------------------
SHAPES: list[list[tuple[int, ...]]] = [
    [(1,)],
    [(3, 5), (1,), (0,), (4097,), (4096,), (1024,), (1023,), (8191, 3), (2, 3, 4, 5)],
    [(17,)] * 300,
]


def player(shapes: list[tuple[int, ...]], dtype: str, groups: int) -> list[list[np.ndarray]]:
    """`groups` lists of arrays of these shapes; from the third on (state) they are zero."""
    lists = [[normal(s, dtype, 10 * k + i) for i, s in enumerate(shapes)] for k in range(2)]
    return lists + [[np.zeros(s, dtype) for s in shapes] for _ in range(groups - 2)]


@pytest.mark.parametrize("shapes", SHAPES, ids=["one", "mixed", "many"])
@pytest.mark.parametrize("name", ["sgd", "nesterov", "rmsprop", "adam"])
def test_optimizer(fused: Any, name: str, shapes: list[tuple[int, ...]], dtype: str) -> None:
    extra = (name == "nesterov",) if name in ("sgd", "nesterov") else ()
    name = "sgd" if extra else name
    states, hyper = OPTIMIZERS[name]
    arrays = player(shapes, dtype, 2 + states)
    on_gpu = [[gpu(a) for a in group] for group in arrays]
    exact = [[wide(a) for a in group] for group in arrays]
    rates = np.array(hyper)
    rates_gpu = gpu(rates)
    for _ in range(3):
        getattr(fused, name)(*on_gpu, rates_gpu, *extra)
        getattr(SPECIFICATION, name)(*exact, rates, *extra)
        rates[-1] += name == "adam"  # the step
        rates_gpu[-1] += name == "adam"  # in place, as a recorded step sees it
    for group, expected in zip(on_gpu, exact, strict=True):
        for a, b in zip(group, expected, strict=True):
            check(a, b, dtype)


def test_ema(fused: Any, dtype: str) -> None:
    averages, params = player(SHAPES[1], dtype, 2)
    on_gpu = [gpu(a) for a in averages]
    exact = [wide(a) for a in averages]
    fused.ema(on_gpu, [gpu(p) for p in params], gpu(np.array([0.999])))
    fused.ema(on_gpu, [gpu(p) for p in params], np.array([0.9]))  # hyper-parameters may be on the CPU
    SPECIFICATION.ema(exact, [wide(p) for p in params], np.array([0.999]))
    SPECIFICATION.ema(exact, [wide(p) for p in params], np.array([0.9]))
    for a, b in zip(on_gpu, exact, strict=True):
        check(a, b, dtype)


def test_optimizer_of_nothing(fused: Any) -> None:
    fused.ema([], [], gpu(np.array([0.9])))
    empty = gpu(np.empty((0, 3)))
    fused.ema([empty], [empty], gpu(np.array([0.9])))


# -- random bits ---------------------------------------------------------------------------------------------
def test_philox_known_answer(fused: Any) -> None:
    """The published answers (Random123, kat_vectors) for counter 0, key 0."""
    out = gpu(np.zeros(4, np.uint32))
    fused.philox((0, 0), (0, 0, 0), out)
    assert [f"{w:08x}" for w in out.get()] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]


def test_random_numbers_of_no_size(fused: Any) -> None:
    for law, extra, kind in (("philox", (), np.uint32), ("normal", (), np.float32), ("mask", (0.7,), np.float64)):
        getattr(fused, law)((1, 2), (3, 4, 5), *extra, gpu(np.empty(0, kind)))


def test_philox_counter_on_the_gpu_and_unaligned_out(fused: Any) -> None:
    counter, expected = np.array([5, 6, 7], np.uint32), np.empty(1001, np.uint32)
    out = gpu(np.zeros(1002, np.uint32))
    fused.philox((1, 2), gpu(counter), out[1:])
    SPECIFICATION.philox((1, 2), counter, expected)
    np.testing.assert_array_equal(out.get()[1:], expected)
    assert int(out.get()[0]) == 0


def test_laws_read_a_counter_on_the_gpu_and_write_into_views(fused: Any) -> None:
    key, counter = (1, 2), np.array([5, 6, 7], np.uint32)
    for law, extra in (("normal", ()), ("mask", (0.7,))):
        out, expected = gpu(np.zeros(1004, np.float32)), np.empty(1001, np.float32)
        getattr(fused, law)(key, gpu(counter), *extra, out[1:-2])
        getattr(SPECIFICATION, law)(key, counter, *extra, expected)
        np.testing.assert_allclose(out.get()[1:-2], expected, rtol=2e-6, atol=2e-6)
        assert not out.get()[[0, -2, -1]].any()


# -- scatter as gather ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("n", "size"), [(1, 1), (7, 3), (1000, 1), (5000, 17), (300, 2000), (3, 15_000), (0, 4), (0, 0)]
)
def test_index_add(fused: Any, n: int, size: int, dtype: str) -> None:
    g = normal((n,), dtype)
    index = np.random.default_rng(n).integers(0, max(size, 1), n)
    expected = np.zeros(size)
    np.add.at(expected, index, wide(g))
    got, again = poisoned((size,), dtype), poisoned((size,), dtype)
    fused.index_add(gpu(g), gpu(index), got)
    check(got, expected, dtype)
    fused.index_add(gpu(g), gpu(index), again)
    np.testing.assert_array_equal(got.get(), again.get())


# -- errors name the kernel ----------------------------------------------------------------------------------
def ones(*shape: int, dtype: str = "float32") -> Any:
    """An array of ones on the GPU."""
    return gpu(np.ones(shape, dtype))


def hyper(*values: float) -> Any:
    """Hyper-parameters on the GPU."""
    return gpu(np.array(values))


def activate(k: Any, kind: str = "relu", **changes: Any) -> None:
    """bias_activation with sound arguments, but for `changes`."""
    k.bias_activation(
        changes.get("z", ones(2, 3)), changes.get("bias", ones(3)), Activation(kind), changes.get("out", ones(2, 3))
    )


def group_norm(k: Any, x: Any, groups: int) -> None:
    """group_norm with sound arguments beside these."""
    k.group_norm(x, ones(1, x.shape[-1]), ones(1, x.shape[-1]), groups, 1e-5, Activation("relu"), ones(*x.shape))


def scan(k: Any, hs: Any, **changes: Any) -> None:
    """gru with sound arguments beside hs, of (2, 3, 4), but for `changes`."""
    given = {
        "xw": ones(2, 3, 12),
        "h0": ones(2, 4),
        "u": ones(4, 12),
        "bias": ones(4),
        "mask": gpu(np.ones((2, 3), bool)),
    }
    k.gru(**(given | changes), hs=hs)


BAD_CALLS: list[tuple[str, type[Exception], str, Callable[[Any], Any]]] = [
    ("half", TypeError, "z is float16", lambda k: activate(k, z=ones(2, 3, dtype="float16"))),
    ("mixed", TypeError, "bias is float64", lambda k: activate(k, bias=ones(3, dtype="float64"))),
    ("host", TypeError, "out is a ndarray", lambda k: activate(k, out=np.ones((2, 3), "float32"))),
    ("kind", ValueError, "gelu", lambda k: activate(k, kind="gelu")),
    ("bias", ValueError, r"\(4,\)", lambda k: activate(k, bias=ones(4))),
    ("strided", ValueError, "z.*contiguous", lambda k: activate(k, z=ones(3, 2).T)),
    ("no rows", ValueError, "row", lambda k: batch_norm(k, ones(0, 3), ones(3), ones(3), ones(0, 3))),
    ("rank", ValueError, "rows, channels", lambda k: batch_norm_backward(k, ones(3), ones(3), ones(3), ones(3))),
    ("norm kind", ValueError, "gelu", lambda k: batch_norm(k, ones(2, 3), ones(3), ones(3), ones(2, 3), "gelu")),
    ("group rank", ValueError, "elements, positions, channels", lambda k: group_norm(k, ones(2, 3), 1)),
    ("groups", ValueError, "multiple of 2 groups", lambda k: group_norm(k, ones(2, 4, 3), 2)),
    ("hyper kind", TypeError, "hyper is a list", lambda k: k.ema([ones(2)], [ones(2)], [0.9])),
    ("hyper single", TypeError, "hyper", lambda k: k.ema([ones(2)], [ones(2)], ones(1))),
    ("hyper length", ValueError, "hyper", lambda k: k.adam(*[[ones(2)]] * 4, hyper(0.1, 0.9))),
    ("counts", ValueError, "equally many", lambda k: k.ema([ones(2)], [], hyper(0.9))),
    ("shapes", ValueError, r"params\[0\]", lambda k: k.ema([ones(2)], [ones(3)], hyper(0.9))),
    ("dtypes", TypeError, r"averages\[1\]", lambda k: k.ema(*[[ones(2), hyper(1, 1)]] * 2, hyper(0.9))),
    ("word", ValueError, "2\\^32", lambda k: k.philox((2**32, 0), (0, 0, 0), gpu(np.zeros(4, np.uint32)))),
    ("out", TypeError, "uint32", lambda k: k.philox((1, 0), (0, 0, 0), ones(4))),
    ("normal out", TypeError, "float64", lambda k: k.normal((1, 0), (0, 0, 0), ones(4, dtype="float64"))),
    ("normal rank", ValueError, r"\(n,\)", lambda k: k.normal((1, 0), (0, 0, 0), ones(2, 2))),
    ("mask word", ValueError, "2\\^32", lambda k: k.mask((1, -1), (0, 0, 0), 0.5, ones(4))),
    ("counter", TypeError, "uint32", lambda k: k.mask((1, 0), ones(3), 0.5, ones(4))),
    ("no logits", ValueError, "one element", lambda k: k.mean_softplus(ones(0), 1.0, ones())),
    ("softplus out", ValueError, r"\(1,\)", lambda k: k.mean_softplus(ones(3), 1.0, ones(1))),
    ("statistics", ValueError, r"\(3,\)", lambda k: k.follow_statistics(ones(3), ones(3), ones(3), 0.1, 5)),
    ("scan rank", ValueError, "rows, steps, units", lambda k: scan(k, ones(2, 4))),
    ("scan weights", ValueError, r"u has shape \(4, 8\)", lambda k: scan(k, ones(2, 3, 4), u=ones(4, 8))),
    ("scan mask", TypeError, "array of bool", lambda k: scan(k, ones(2, 3, 4), mask=ones(2, 3))),
    (
        "scan mask shape",
        ValueError,
        r"mask has shape",
        lambda k: scan(k, ones(2, 3, 4), mask=gpu(np.ones((2, 4), bool))),
    ),
    ("index", TypeError, "int64", lambda k: k.index_add(ones(3), gpu(np.zeros(3, np.int32)), ones(3))),
    ("index shape", ValueError, r"\(2,\)", lambda k: k.index_add(ones(3), gpu(np.zeros(2, np.int64)), ones(3))),
]


@pytest.mark.parametrize(("error", "part", "call"), [c[1:] for c in BAD_CALLS], ids=[c[0] for c in BAD_CALLS])
def test_bad_arguments(fused: Any, error: type[Exception], part: str, call: Callable[[Any], Any]) -> None:
    with pytest.raises(error, match=rf"^\w+: .*{part}"):
        call(fused)
