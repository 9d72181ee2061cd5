"""Every public function of `minigan.ops`, enrolled by its name: primitives by the registry's tests, the others here.

A value is compared with a formula in double (SciPy, or NumPy's own function), also in the tails, where the error that counts is
the relative one; derivatives of orders 1 and 2 with differences. A function that is in neither table fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from minigan import ops, random
from minigan.autodiff import REGISTRY, Tensor, grad
from minigan.derivatives import vjp
from minigan.gradcheck import gradcheck

R = np.random.default_rng(0)
X, Y, M, B = R.normal(size=(3, 4)), R.normal(size=(3, 4)), R.normal(size=(4, 4)), R.normal(size=(2, 5, 6, 4))
C, IMAGE, KERNEL = np.abs(R.normal(size=4)) + 0.5, R.normal(size=(2, 4, 4, 2)), R.normal(size=(3, 3, 2, 3))
S = M @ M.T + np.eye(4)
INTS = np.array([[0, 2, 1], [1, 1, 3]])


def phi(x: Any) -> Any:
    return 0.5 * special.erfc(-x / np.sqrt(2))


def normalized(x: Any, axis: Any, eps: float = 1e-5) -> Any:
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)


def noise(shape: Any) -> Any:
    return random.Source(3).gumbel(shape, stream="gumbel", dtype=np.dtype(np.float64)).data


Case = tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]
CASES: dict[str, Case] = {  # function, formula, arguments (floats among them are differentiated)
    "activation": (lambda x: ops.activation(x, "leaky_relu", slope=1.5), lambda x: np.where(x > 0, x, 1.5 * x), (X,)),
    "activation_backward": (
        lambda g, y: ops.activation_backward(g, y, "tanh"),
        lambda g, y: g * (1 - y**2),
        (X, np.tanh(Y)),
    ),
    "argsort": (ops.argsort, lambda x: np.argsort(x, -1), (X,)),
    "as_tensor": (ops.as_tensor, lambda x: x, (X,)),
    "avg_pool": (
        lambda x: ops.avg_pool(x, window=2),
        lambda x: x.reshape(2, 2, 2, 2, 2, 2).mean((2, 4)),
        (IMAGE,),
    ),
    "batch_norm": (ops.batch_norm, lambda x, g, b: g * normalized(x, (0, 1, 2)) + b, (B, C, C - 1)),
    "clip": (lambda x: ops.clip(x, -0.5, 0.5), lambda x: np.clip(x, -0.5, 0.5), (X,)),
    "conv": (
        lambda x, w: ops.conv(x, w, padding="valid"),
        lambda x, w: sum(x[:, i : i + 2, j : j + 2] @ w[i, j] for i in range(3) for j in range(3)),
        (IMAGE, KERNEL),
    ),
    "conv_power_iteration": (ops.conv_power_iteration, None, (KERNEL, IMAGE[:1])),  # tests/test_operator_norm.py
    "conv_transpose": (
        lambda g, w: ops.conv_transpose(g, w, padding="valid"),
        lambda g, w: np.stack(
            [
                sum(
                    g[:, i - a, j - b] @ w[a, b].T
                    for a in range(3)
                    for b in range(3)
                    if 0 <= i - a < 4 and 0 <= j - b < 4
                )
                for i in range(6)
                for j in range(6)
            ],
            1,
        ).reshape(2, 6, 6, 3),
        (IMAGE, KERNEL.swapaxes(2, 3)),
    ),
    "conv_weight": (
        lambda x, g: ops.conv_weight(x, g, kernel_size=3, padding="valid"),
        lambda x, g: np.array(
            [[np.einsum("nija,nijb->ab", x[:, i : i + 2, j : j + 2], g) for j in range(3)] for i in range(3)]
        ),
        (IMAGE, R.normal(size=(2, 2, 2, 3))),
    ),
    "not_equal": (lambda x: ops.not_equal(x, x * (x > 0)), lambda x: x <= 0, (X,)),
    "cumsum": (ops.cumsum, lambda x: np.cumsum(x, -1), (X,)),
    "dense": (
        lambda x, w, b: ops.dense(x, w, b, activation="sigmoid"),
        lambda x, w, b: special.expit(x @ w + b),
        (X, M, C),
    ),
    "dropout": (
        lambda x: ops.dropout(x, rate=0.5, random=random.Source(3)),
        lambda x: x * random.Source(3).mask(x.shape, keep=0.5, stream="dropout", dtype=x.dtype).data,
        (X,),
    ),
    "elu": (
        lambda x: ops.elu(x, alpha=0.7),
        lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0))),
        (X,),
    ),
    "embedding": (lambda w: ops.embedding(w, INTS), lambda w: w[INTS], (M,)),
    "expand_dims": (lambda x: ops.expand_dims(x, -2), lambda x: np.expand_dims(x, -2), (X,)),
    "flatten": (lambda x: ops.flatten(x, 1), lambda x: x.reshape(2, -1), (IMAGE,)),
    "flip": (lambda x: ops.flip(x, np.int64(-1)), lambda x: x[:, ::-1], (X,)),
    "gather": (
        lambda x: ops.gather(x, INTS, axis=1),
        lambda x: np.take_along_axis(x, INTS, 1),
        (X[:2],),
    ),
    "gelu": (ops.gelu, lambda x: x * phi(x), (X,)),
    "getitem": (lambda x: ops.getitem(x, (slice(None), (0, 0, -1))), lambda x: x[:, [0, 0, -1]], (X,)),
    "global_avg_pool": (ops.global_avg_pool, lambda x: x.mean((1, 2)), (IMAGE,)),
    "global_max_pool": (ops.global_max_pool, lambda x: x.max((1, 2)), (IMAGE,)),
    "group_norm": (
        lambda x, g, b: ops.group_norm(x, g, b, groups=2),
        lambda x, g, b: g * normalized(x.reshape(2, 30, 2, 2), (1, 3)).reshape(x.shape) + b,
        (B, C, C),
    ),
    "gumbel_softmax": (
        lambda x, t: ops.gumbel_softmax(x, temperature=t, random=random.Source(3)),
        lambda x, t: special.softmax((x + noise(x.shape)) / t, axis=-1),
        (X, np.array(0.7)),
    ),
    "instance_norm": (ops.instance_norm, lambda x, g, b: g * normalized(x, (1, 2)) + b, (B, C, C)),
    "layer_norm": (ops.layer_norm, lambda x, g, b: g * normalized(x, -1) + b, (B, C, C)),
    "leaky_relu": (ops.leaky_relu, lambda x: np.where(x > 0, x, 0.2 * x), (X,)),
    "log_softmax": (ops.log_softmax, lambda x: special.log_softmax(x, axis=-1), (X,)),
    "lyapunov": (ops.lyapunov, None, (S, S)),  # tests/test_ops_matrix.py
    "matmul": (ops.matmul, lambda a, b: a @ b, (X, M)),
    "log_prob": (
        lambda x: ops.log_prob(x, np.array([0, 3, 1])),
        lambda x: (x - special.logsumexp(x, -1, keepdims=True))[np.arange(3), [0, 3, 1]],
        (X,),
    ),
    "max_pool": (
        lambda x: ops.max_pool(x, window=2),
        lambda x: x.reshape(2, 2, 2, 2, 2, 2).max((2, 4)),
        (IMAGE,),
    ),
    "mean": (ops.mean, np.mean, (X,)),
    "mean_softplus": (ops.mean_softplus, lambda x: np.logaddexp(0, x).mean(), (X,)),
    "one_hot": (lambda: ops.one_hot(INTS, 4), lambda: np.eye(4)[INTS], ()),
    "pad": (
        lambda x: ops.pad(x, ((1, 2), (3, 0)), mode="reflect"),
        lambda x: np.pad(x, ((1, 2), (3, 0)), mode="reflect"),
        (X,),
    ),
    "permute": (
        lambda x: ops.permute(x, np.argsort(Y, 0), axis=0),
        lambda x: np.take_along_axis(x, np.argsort(Y, 0), 0),
        (X,),
    ),
    "pixel_shuffle": (
        lambda x: ops.pixel_shuffle(x, 2),
        lambda x: x.reshape(2, 5, 6, 2, 2, 1).transpose(0, 1, 3, 2, 4, 5).reshape(2, 10, 12, 1),
        (B,),
    ),
    "pixel_unshuffle": (
        lambda x: ops.pixel_unshuffle(x, 2),
        lambda x: x.reshape(2, 2, 2, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(2, 2, 2, 8),
        (IMAGE,),
    ),
    "pow": (ops.pow, np.power, (np.abs(X) + 0.1, Y)),
    "power_iteration": (ops.power_iteration, None, (M, C)),  # tests/test_spectral.py
    "relu": (ops.relu, lambda x: np.maximum(x, 0), (X,)),
    "sequence_mask": (
        lambda: ops.sequence_mask([2, 0, 3], 3),
        lambda: np.arange(3) < np.array([2, 0, 3])[:, None],
        (),
    ),
    "sigmoid": (ops.sigmoid, special.expit, (X,)),
    "silu": (ops.silu, lambda x: x * special.expit(x), (X,)),
    "sort": (lambda x: ops.sort(x, 0), lambda x: np.sort(x, 0), (X,)),
    "spectral_normalize": (ops.spectral_normalize, None, (M, C)),  # tests/test_spectral.py
    "split": (lambda x: ops.concatenate(ops.split(x, 4, -1)[::-1], -1), lambda x: x[:, ::-1], (X,)),
    "squeeze": (lambda x: ops.squeeze(x, (0,)), lambda x: x[0], (X[None],)),
    "stack": (lambda x, y: ops.stack([x, y], -1), lambda x, y: np.stack([x, y], -1), (X, Y)),
    "straight_through": (lambda: ops.straight_through(np.round(X), X), lambda: np.round(X), ()),
    "swapaxes": (lambda x: ops.swapaxes(x, 0, -1), lambda x: x.T, (X,)),
    "take": (lambda x: ops.take(x, (1, 1, 0), axis=-1), lambda x: x[:, [1, 1, 0]], (X,)),
    "tanh": (ops.tanh, np.tanh, (X,)),
    "unstack": (lambda x: ops.stack(ops.unstack(x, 1)[::-1]), lambda x: x.T[::-1], (X,)),
    "upsample": (
        lambda x: ops.upsample(x, scale=2),
        lambda x: x.repeat(2, 1).repeat(2, 2),
        (IMAGE,),
    ),
    "var": (lambda x: ops.var(x, 0, ddof=1), lambda x: np.var(x, 0, ddof=1), (X,)),
}
ELSEWHERE = {  # they return something else than a tensor, or take functions
    **dict.fromkeys(("conv_algorithm", "conv_plan"), "tests/test_conv.py"),
    **dict.fromkeys(("checkpoint", "scan"), "tests/test_recurrent.py"),
}


def test_every_public_function_is_enrolled() -> None:
    functions = {name for name in ops.__all__ if callable(getattr(ops, name))}
    assert functions <= CASES.keys() | REGISTRY.keys() | ELSEWHERE.keys(), functions - CASES.keys() - REGISTRY.keys()
    assert CASES.keys() <= functions and len(CASES) >= 50


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[1] is not None])
def test_values_in_both_dtypes(name: str) -> None:
    function, formula, arguments = CASES[name]
    want = formula(*arguments)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        got = function(*(a.astype(dtype) if a.dtype.kind == "f" else a for a in arguments)).numpy()
        assert got.shape == np.shape(want)
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[1] is not None and case[2]])
def test_derivatives_of_orders_1_and_2(name: str) -> None:
    function, _, arguments = CASES[name]
    assert gradcheck(function, arguments, order=2)


# -- where the numbers are small, or the function bends: (value, first, second derivative) --------------------------------
def normal_density(x: Any) -> Any:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


TAILS: dict[str, tuple[Callable[[Any], Any], tuple[Callable[[Any], Any], ...], list[float]]] = {
    "expm1": (ops.expm1, (np.expm1, np.exp, np.exp), [-40.0, -17.0, -5.0, -1e-9, 0.0, 1e-9, 3.0]),
    "elu": (
        ops.elu,
        (
            lambda x: np.where(x > 0, x, np.expm1(x)),
            lambda x: np.where(x > 0, 1.0, np.exp(x)),
            lambda x: np.where(x > 0, 0.0, np.exp(x)),
        ),
        [-40.0, -17.0, -5.0, -1e-9, 0.0, 1e-9, 3.0],
    ),
    "gelu": (
        ops.gelu,
        (
            lambda x: x * phi(x),
            lambda x: phi(x) + x * normal_density(x),
            lambda x: (2 - x * x) * normal_density(x),
        ),
        [-12.0, -9.0, -6.0, -4.0, -1e-9, 0.0, 2.0],
    ),
    "erfc": (
        ops.erfc,
        (
            special.erfc,
            lambda x: -2 * np.exp(-x * x) / np.sqrt(np.pi),
            lambda x: 4 * x * np.exp(-x * x) / np.sqrt(np.pi),
        ),
        [-3.0, 0.0, 1.0, 5.0, 8.0],
    ),
    "sigmoid": (
        ops.sigmoid,
        (
            special.expit,
            lambda x: special.expit(x) * special.expit(-x),
            lambda x: special.expit(x) * special.expit(-x) * (special.expit(-x) - special.expit(x)),
        ),
        [-60.0, -17.0, -1.0, 0.0, 1.0],
    ),
    "softplus": (
        ops.softplus,
        (lambda x: np.log1p(np.exp(x)), special.expit, lambda x: special.expit(x) * special.expit(-x)),
        [-60.0, -17.0, 0.0, 1.0],
    ),
    "silu": (
        ops.silu,
        (
            lambda x: x * special.expit(x),
            lambda x: special.expit(x) * (1 + x * special.expit(-x)),
            lambda x: special.expit(x) * special.expit(-x) * (2 + x * (special.expit(-x) - special.expit(x))),
        ),
        [-60.0, -17.0, 0.0, 1.0],
    ),
}


@pytest.mark.parametrize("name", TAILS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tails_keep_their_digits(name: str, dtype: Any) -> None:
    """Relative errors, so that a zero in place of e^-40 counts as an error of 1."""
    function, formulas, places = TAILS[name]
    x = Tensor(np.array(places, dtype))
    x.requires_grad = True
    y = function(x)
    first = grad(y, x, np.ones(len(places), dtype), create_graph=True)
    second = grad(first, x, np.ones(len(places), dtype))
    tolerance = 3e-13 if dtype == np.float64 else 2e-4  # float32: e^-x^2 of a rounded x^2 at 12 is 1e-5 off
    for got, formula in zip((y, first, second), formulas, strict=True):
        np.testing.assert_allclose(got.numpy(), formula(np.array(places)), rtol=tolerance, atol=1e-30)


def test_straight_through_passes_the_cotangent_to_the_soft_one_alone() -> None:
    _, (hard, soft) = vjp(ops.straight_through, (np.round(X), X), Y)
    assert not hard.numpy().any() and (soft.numpy() == Y).all()
    chosen = ops.gumbel_softmax(X, temperature=0.5, random=random.Source(3), hard=True)
    relaxed = ops.gumbel_softmax(X, temperature=0.5, random=random.Source(3))
    assert (chosen.numpy() == np.eye(4)[relaxed.numpy().argmax(-1)]).all()
