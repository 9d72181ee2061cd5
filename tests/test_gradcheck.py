"""The checker itself: it passes what is right, catches what is wrong at the order where it is wrong, and sees kinks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan import ops
from minigan.autodiff import Primitive, Tensor, apply
from minigan.gradcheck import GradientError, NonDifferentiableError, gradcheck, repeat
from minigan.primitive import undifferentiable
from minigan.samples import SEPARATION, SeededDraw

X = np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6]])


def made(forward: Callable[..., Any], *vjps: Any, **options: Any) -> Callable[..., Tensor]:
    """An operation outside the registry."""
    op = Primitive(lambda *xs: forward(*xs), vjps, name=forward.__name__, samples=None, **options)
    return lambda *xs: apply(op, xs, {})


# -- right functions pass --------------------------------------------------------------------------------------------
RIGHT: dict[str, tuple[Callable[..., Any], Any, int]] = {
    "tanh": (lambda x: ops.tanh(x), X, 4),
    "two inputs, two outputs": (lambda x, y: (ops.sin(x) * y, ops.sum(y**3)), (X, X[0]), 3),
    "batch norm": (lambda x, g, b: ops.batch_norm(x, g, b, eps=0.1), (X, X[0], X[1]), 3),
    "linear, so the second order is zero": (lambda x: 3.0 * x, X, 3),
    "constant output": (lambda x: Tensor(np.ones(3)), X, 2),
    "an input that does not matter": (lambda x, y: ops.exp(x), (X, X[0]), 2),
    "no outputs that are floats": (lambda x: ops.argsort(x), X, 2),
    "integer output beside a float one": (lambda x: (ops.argsort(x), ops.exp(x)), X, 2),
    "size 0": (lambda x, y: ops.exp(x) * y, (np.ones((0, 3)), X[0]), 2),
    "integer input": (lambda x, i: ops.exp(x)[:, i], (X, np.array([2, 0, 0])), 2),
    "0-d and Python numbers": (lambda x, y: ops.exp(x) * y, (0.3, np.float64(2.0)), 2),
    "a list is one input": (lambda x: ops.square(x), [1.0, 2.0, 3.0], 2),
    "large values": (lambda x: 1e8 * ops.sin(x), X, 2),
    "small values": (lambda x: 1e-6 * ops.sin(x), X, 2),
    "stiff": (lambda x: ops.sin(2e4 * x), X, 1),
    "near the edge of the domain": (lambda x: ops.log(x), np.array([1e-4, 1.0]), 2),
    "near a kink": (lambda x: ops.relu(x), np.array([1e-4, -2e-5, 1.0]), 2),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("seed", [0, 1])
def test_right_derivatives_pass(name: str, seed: int) -> None:
    f, inputs, order = RIGHT[name]
    assert gradcheck(f, inputs, order=order, seed=seed)


def test_float32_has_its_own_tolerance() -> None:
    x = X.astype(np.float32)
    assert gradcheck(lambda x: ops.tanh(x @ ops.transpose(x)), x)
    with pytest.raises(GradientError):  # the float64 tolerance is out of reach
        gradcheck(lambda x: ops.tanh(x @ ops.transpose(x)), x, rtol=1e-9, atol=1e-9)
    with pytest.raises(GradientError):
        gradcheck(made(np.tanh, lambda g, y, _x: g * (1.1 - y * y)), x)


def test_the_inputs_and_the_graph_around_are_left_alone() -> None:
    before = X.copy()
    x = Tensor(X)
    x.requires_grad = True
    assert gradcheck(lambda t: ops.exp(t), x)
    assert x.grad is None
    np.testing.assert_array_equal(X, before)


# -- wrong ones do not -----------------------------------------------------------------------------------------------
def frozen_statistic(x: Tensor) -> Tensor:
    """x / std(x), where the second derivative forgets that std depends on x: the classic batch-norm bug. The value and the
    first derivative are right."""

    def first(g: Tensor, _y: Any, x: Tensor) -> Tensor:
        s, h = ops.stop_gradient(std(x)), ops.stop_gradient(x / std(x))
        return (g - h * ops.mean(g * h)) / s

    def std(x: Tensor) -> Tensor:
        return ops.sqrt(ops.mean(ops.square(x)))

    return made(lambda a: a / np.sqrt(np.mean(a * a)), first)(x)


WRONG: dict[str, tuple[Callable[..., Any], int]] = {
    "factor": (made(np.sin, lambda g, _y, x: 1.01 * g * ops.cos(x)), 1),
    "sign": (made(np.cos, lambda g, _y, x: g * ops.sin(x)), 1),
    "sums to zero": (made(lambda x: 2.0 * x, lambda g, _y, x: 2.0 * g + 0.1 * (g - ops.mean(g))), 1),
    "transposed": (made(lambda x: x @ x.T @ x, lambda g, _y, x: g * 3.0 * x * x), 1),
    "none instead of a derivative": (made(np.square, lambda _g, _y, _x: None), 1),
    "one element of many": (made(np.sin, lambda g, _y, x: g * ops.cos(x) * np.array([1.0, 1.0, 1.001])), 1),
    "statistic taken as a constant": (frozen_statistic, 2),
    "constant second derivative": (made(np.sin, lambda g, _y, x: g * ops.stop_gradient(ops.cos(x))), 2),
    "third order only": (
        lambda x: made(
            np.sin, lambda g, _y, x: g * made(np.cos, lambda h, _z, x: -h * ops.stop_gradient(ops.sin(x)))(x)
        )(x),
        3,
    ),
}


@pytest.mark.parametrize("mode", ["vjp", "jvp"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_derivatives_are_caught_at_their_order(name: str, mode: str) -> None:
    f, order = WRONG[name]
    for seed in range(3):
        if order > 1:
            assert gradcheck(f, X, order=order - 1, modes=(mode,), seed=seed)
        with pytest.raises(GradientError, match=rf"the {mode} of .* is wrong at order {order}\n") as caught:
            gradcheck(f, X, order=order, modes=(mode,), seed=seed)
        assert type(caught.value) is GradientError
        assert abs(caught.value.analytic - caught.value.numeric) > caught.value.tolerance


@given(st.integers(0, 2**32), st.floats(1e-4, 10.0), st.integers(0, 5), st.sampled_from([0.0, 1.0]))
def test_any_single_wrong_entry_of_the_jacobian_is_caught(seed: int, error: float, at: int, base: float) -> None:
    wrong = np.full(6, base)
    wrong[at] += error
    f = made(lambda x: base * x, lambda g, _y, _x: g * wrong)
    with pytest.raises(GradientError):
        gradcheck(f, np.arange(6.0), order=1, seed=seed, modes=("vjp",))


def test_a_missing_second_derivative_is_an_error_of_its_own() -> None:
    kernel = Primitive(lambda g, x: 2 * g * x, undifferentiable("no second order"), name="kernel", samples=None)
    square = made(np.square, lambda g, _y, x: apply(kernel, (g, x), {}))
    assert gradcheck(square, X, order=1, modes=("vjp",))
    with pytest.raises(NotImplementedError, match="no second order"):
        gradcheck(square, X, order=2, modes=("vjp",))


# -- kinks, jumps, edges ---------------------------------------------------------------------------------------------
KINKS: dict[str, tuple[Callable[..., Any], Any, str]] = {
    "relu": (lambda x: ops.relu(x), np.array([1.0, 0.0, -1.0]), r"element \(1,\), value 0.0"),
    "abs in two dimensions": (lambda x: ops.abs(x), np.array([[1.0, 2.0], [3.0, 0.0]]), r"element \(1, 1\), value 0.0"),
    "max of equals": (lambda x: ops.max(x), np.array([2.0, 1.0, 2.0]), r"element \((0|2),\), value 2.0"),
    "second input": (lambda x, y: x * ops.leaky_relu(y), (X[0], np.array([1.0, 2.0, 0.0])), r"input 1, element \(2,\)"),
    "jump": (made(np.floor, lambda _g, _y, _x: None), np.array([0.5, 1.0]), r"element \(1,\), value 1.0"),
    "edge of the domain": (made(np.sqrt, lambda g, y, _x: g * 0.0), np.array([1.0, 0.0]), r"element \(1,\), value 0.0"),
    "norm at the origin": (lambda x: ops.norm(x), np.zeros(3), r"element \(0,\), value 0.0"),
    "float32": (lambda x: ops.relu(x), np.array([1.0, 0.0], np.float32), r"element \(1,\), value 0.0"),
}


@pytest.mark.parametrize("name", KINKS)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_kinks_are_named_with_their_place(name: str) -> None:
    f, inputs, place = KINKS[name]
    with pytest.raises(NonDifferentiableError, match=rf"not differentiable \(order 1\)(.|\n)*{place}"):
        gradcheck(f, inputs)


def test_a_kink_of_the_first_derivative_is_found_at_order_2() -> None:
    def f(x: Tensor) -> Tensor:
        return ops.square(ops.relu(x))  # C1, but f'' jumps at 0

    x = np.array([0.0, 1.0])
    assert gradcheck(f, x, order=1)
    with pytest.raises(NonDifferentiableError, match="order 2"):
        gradcheck(f, x, order=2)


# -- NaN, randomness, misuse -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(value: float) -> None:
    with pytest.raises(GradientError, match="NaN or Inf"):
        gradcheck(lambda x: ops.exp(x), np.array([1.0, value]))
    with pytest.raises(GradientError, match="wrong at order 1"):
        gradcheck(made(np.sin, lambda g, _y, _x: g * value), X)


def test_functions_that_are_none() -> None:
    state = np.random.default_rng(0)
    with pytest.raises(GradientError, match="two results for the same inputs"):
        gradcheck(lambda x: x * state.normal(size=x.shape), X)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [((np.arange(3),), {}), ((X,), {"order": 0}), ((X,), {"modes": ()}), ((X,), {"modes": ("forward",)})],
)
def test_misuse(arguments: Any, options: Any) -> None:
    with pytest.raises(ValueError, match=r"gradcheck: got .* expected"):
        gradcheck(lambda x: x, *arguments, **options)


# -- the report ------------------------------------------------------------------------------------------------------
def slightly_wrong(x: Any, i: Any) -> Tensor:
    return made(np.sin, lambda g, _y, x: g * ops.stop_gradient(ops.cos(x)))(x)[i]


def code_of(error: GradientError) -> str:
    return str(error).split("To repeat it:\n")[1]


def test_the_report_repeats_the_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GradientError) as caught:
        gradcheck(slightly_wrong, (X, np.array([1, 1])), order=2)
    code = code_of(caught.value)
    assert "from test_gradcheck import slightly_wrong as f" in code
    names: dict[str, Any] = {}
    exec(code, names)
    assert (names["analytic"], names["numeric"]) == (caught.value.analytic, caught.value.numeric)  # to the last bit
    assert capsys.readouterr().out.split() == [repr(caught.value.analytic), repr(caught.value.numeric)]


def test_the_report_says_where_a_nameless_function_is() -> None:
    x = np.array([[1 / 3, 1e-30], [0.1, 2e30]], np.float32) % 7  # no short decimal form
    with pytest.raises(GradientError) as caught:
        gradcheck(lambda x: 2.0 * WRONG["sign"][0](x), x)
    code = code_of(caught.value)
    assert f"# f = ...  ({__file__}:" in code
    names: dict[str, Any] = {"f": lambda x: 2.0 * WRONG["sign"][0](x)}
    exec(code, names)
    assert (names["analytic"], names["numeric"]) == (caught.value.analytic, caught.value.numeric)


def test_repeat_is_the_comparison() -> None:
    analytic, numeric = repeat(
        ops.exp, (np.array([1.0]),), earlier=(), direction=(np.ones(1),), cotangent=(np.ones(1),), order=1, mode="jvp"
    )
    assert analytic == np.exp(1.0)
    assert abs(numeric - np.e) < 1e-10 and analytic != numeric


def test_no_global_state() -> None:
    code = (
        "import numpy as np; a = np.random.get_state()[1].copy(); from minigan import ops;"
        "from minigan.gradcheck import gradcheck; gradcheck(ops.exp, np.ones(3)); "
        "assert (np.random.get_state()[1] == a).all()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- SeededDraw ------------------------------------------------------------------------------------------------------
@given(st.integers(0, 2**64))
def test_seeded_draw_keeps_its_promises(seed: int) -> None:
    draw, again = SeededDraw(seed), SeededDraw(seed)
    shape = draw.shape(min_ndim=1, min_side=1)
    assert shape == again.shape(min_ndim=1, min_side=1) and 1 <= len(shape) <= 3 and min(shape) >= 1
    a, b = draw.broadcastable(max_ndim=2)
    assert len(np.broadcast_shapes(a, b)) <= 2
    big, small = draw.widening()
    assert np.broadcast_shapes(big, small) == big
    assert sorted(draw.permutation(4)) == [0, 1, 2, 3]
    assert set(draw.axes(3)) <= {0, 1, 2} and draw.integer(2, 2) == 2 and draw.mask((3,)).dtype == bool
    x = draw.array((50,), -1.0, 1.0, avoid=0.2)
    assert (np.abs(x) >= 0.2).all() and (np.abs(x) <= 1.0).all() and x.dtype == np.float64
    y = np.sort(np.concatenate([draw.array((20,), distinct=True), draw.array((6, 4), distinct=True).ravel()]))
    assert np.diff(y).min() >= SEPARATION and np.abs(y).max() <= 2.0
    many = np.sort(draw.array((1000,), distinct=True))
    assert np.diff(many).min() > 0
