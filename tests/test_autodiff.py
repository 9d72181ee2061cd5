"""The engine: walks of any length and order, memory, guards, hooks, switches, and derivatives against closed forms."""

from __future__ import annotations

import gc
import math
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan import ops, switches
from minigan.autodiff import REGISTRY, GraphError, Primitive, Tensor, apply, as_tensor, effect, grad, tensor
from minigan.derivatives import hessian, hvp, jacobian, jvp, vjp
from minigan.gradcheck import gradcheck

RNG = np.random.Generator(np.random.Philox(7))
A, B = RNG.normal(size=(3, 3)), RNG.normal(size=(3, 4))


def leaf(value: Any, dtype: Any = np.float64) -> Tensor:
    return tensor(np.asarray(value, dtype), requires_grad=True)


def close(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
    got = got.numpy() if isinstance(got, Tensor) else got
    expected = np.asarray(expected.numpy() if isinstance(expected, Tensor) else expected)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def made(forward: Callable[..., Any], *vjps: Any) -> Callable[..., Tensor]:
    """An operation outside the registry."""
    op = Primitive(lambda *xs: forward(*xs), vjps, name="made", samples=None)
    return lambda *xs: apply(op, xs, {})


def here() -> int:
    """The number of the caller's line."""
    return sys._getframe(1).f_lineno


# -- long chains -----------------------------------------------------------------------------------------------------
LONG = 100_000


@pytest.mark.parametrize("step", [lambda y: y + 1.0, lambda y: y * 1.0], ids=["add", "multiply"])
def test_a_chain_of_100_000_operations(step: Callable[[Tensor], Tensor]) -> None:
    x = leaf([1.0, 2.0])
    y = x
    for _ in range(LONG):
        y = step(y)
    assert np.array_equal(grad(y, x, np.array([3.0, 4.0])).numpy(), [3.0, 4.0])
    node = weakref.ref(y.node)
    del y  # no recursion here either: a deep one would end the process
    assert node() is None


def test_the_second_derivative_of_a_long_chain() -> None:
    x = leaf(1.0)
    y = x * x
    for _ in range(2_000):
        y = y * 1.0
    g = grad(y, x, create_graph=True)
    assert grad(g, x).item() == 2.0


def test_a_ladder_of_shared_nodes_is_walked_once() -> None:
    """2^60 paths, 60 additions."""
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    seen: Counter[str] = Counter()
    with switches.hook(lambda event: seen.update([event.kind])):
        assert grad(y, x).item() == 2.0**60
    assert seen["cotangent"] == 61


# -- memory ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def without_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def network(x: Tensor, w: Tensor) -> Tensor:
    h = ops.dense(x, w, activation="tanh")
    h = ops.batch_norm(h, leaf(np.ones(4)), leaf(np.zeros(4)))
    return ops.mean(ops.softmax(h[:, 1:]) * ops.norm(h, -1, keepdims=True) + ops.exp(h[:, :1]))


def watch(*tensors: Tensor) -> list[weakref.ref[Any]]:
    return [ref for t in tensors for ref in (weakref.ref(t), weakref.ref(t.node))]


def all_nodes(y: Tensor) -> list[weakref.ref[Any]]:
    stack, seen = [y.node], {}
    while stack:
        node = stack.pop()
        if node is not None and id(node) not in seen:
            seen[id(node)] = weakref.ref(node)
            stack += node.parents
    return list(seen.values())


@pytest.mark.usefixtures("without_gc")
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_graph_dies_with_its_last_tensor(create_graph: bool) -> None:
    x, w = leaf(A), leaf(B)
    y = network(x, w)
    g = grad(y, [x, w], create_graph=create_graph)
    watched = watch(y, x, w) + all_nodes(y) + (all_nodes(g[0]) if create_graph else [])
    assert len(watched) > 15 and all(ref() is not None for ref in watched)
    del y, x, w, g
    assert [ref() for ref in watched if ref() is not None] == []


@pytest.mark.usefixtures("without_gc")
def test_a_graph_dies_after_backward_with_create_graph() -> None:
    x, w = leaf(A), leaf(B)
    y = network(x, w)
    y.backward(create_graph=True)
    assert x.grad is not None and x.grad.node is not None
    watched = watch(y, x, w, x.grad) + all_nodes(x.grad)
    del y, x, w
    assert [ref() for ref in watched if ref() is not None] == []


def _fail_forward(x: Tensor) -> None:
    ops.matmul(x, ops.exp(x)[:2])


def _fail_in_op(x: Tensor) -> None:
    ops.add(ops.exp(x), np.ones((7, 7)))


def _fail_backward(x: Tensor) -> None:
    grad(ops.sum(made(np.exp, lambda g, y, _x: ops.sum(g * y))(ops.tanh(x))), x)


def _fail_version(x: Tensor) -> None:
    h = ops.exp(x)
    y = ops.sum(ops.tanh(h) * h)
    h.assign(0.0)
    grad(y, x)


def _fail_anomaly(x: Tensor) -> None:
    with switches.anomaly():
        grad(ops.sum(ops.sqrt(ops.square(x) * 0.0)), x)


@pytest.mark.usefixtures("without_gc")
@pytest.mark.parametrize("fail", [_fail_forward, _fail_in_op, _fail_backward, _fail_version, _fail_anomaly])
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_graph_dies_after_an_exception(fail: Callable[[Tensor], None]) -> None:
    x = leaf(A)
    h = ops.sin(x)
    watched = watch(x, h)
    failed = False
    try:
        fail(h)
    except (ValueError, GraphError, FloatingPointError):
        failed = True
    assert failed
    del x, h
    assert [ref() for ref in watched if ref() is not None] == []


@pytest.mark.usefixtures("without_gc")
def test_cotangents_are_dropped_as_they_are_consumed() -> None:
    x = leaf(np.ones(10))
    y = x
    for _ in range(50):
        y = ops.negative(y)
    alive: list[weakref.ref[Any]] = []
    most = 0

    def count(event: switches.Event) -> None:
        nonlocal most
        if event.kind == "apply":
            alive.append(weakref.ref(event.output))
            most = max(most, sum(ref() is not None for ref in alive))

    with switches.hook(count):
        grad(y, x, np.ones(10))
    assert len(alive) == 50 and most <= 4


def test_what_is_not_read_is_not_kept() -> None:
    x, y = leaf(A), leaf(A)
    for t in (x + y, ops.sum(x), ops.reshape(x, (9,))):
        assert t.node is not None
        assert not any(isinstance(saved, tuple) and saved and saved[0] is x.data for saved in t.node.saved)


# -- the version counter ---------------------------------------------------------------------------------------------
def _assign(t: Tensor) -> None:
    t.assign(np.zeros(t.shape))


def _add_to_data(t: Tensor) -> None:
    t.data += 1.0


def _replace_data(t: Tensor) -> None:
    t.data = np.zeros(t.shape)


def _like_an_optimizer(t: Tensor) -> None:
    def step(params: list[Any], grads: list[Any]) -> None:
        for p, g in zip(params, grads, strict=True):
            p -= 0.1 * g

    effect(step, [t], [Tensor(np.ones(t.shape))])


WRITES = [_assign, _add_to_data, _replace_data, _like_an_optimizer]


@pytest.mark.parametrize("write", WRITES)
def test_a_saved_input_that_was_changed_is_an_error_with_op_and_line(write: Callable[[Tensor], None]) -> None:
    x = leaf(A)
    y, line = ops.multiply(x, B[:, :3]) * x, here()
    write(x)
    with pytest.raises(
        GraphError, match=rf"multiply called at {__file__}:{line} saved its input 1 of shape \(3, 3\)"
    ) as e:
        grad(y, x, np.ones((3, 3)))
    assert "changed in place since (1 times)" in str(e.value) and "compute on a copy" in str(e.value)


@pytest.mark.parametrize("write", WRITES)
def test_a_saved_output_that_was_changed(write: Callable[[Tensor], None]) -> None:
    x = leaf(A)
    y = ops.exp(x)
    z = ops.sum(y)
    write(y)
    with pytest.raises(GraphError, match=r"exp called at .* saved its output"):
        grad(z, x)


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "reshape": lambda t: ops.reshape(t, (9,)),
    "transpose": lambda t: t.T,
    "slice": lambda t: t[1:],
    "new axis": lambda t: t[None],
    "detach": lambda t: t.detach(),
    "identity": lambda t: ops.identity(t),
    "broadcast": lambda t: ops.broadcast_to(t, (2, 3, 3)),
    "view of a view": lambda t: t.T[0],
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_the_version_and_copies_do_not(name: str) -> None:
    x = leaf(A)
    with switches.no_grad():
        view = VIEWS[name](x)
    w = leaf(np.ones(view.shape))
    y = ops.sum(view * w)
    x.assign(0.0)
    with pytest.raises(GraphError, match="changed in place"):
        grad(y, w)
    copy = x[np.array([0, 1])]
    z = ops.sum(copy * copy)
    x.assign(1.0)
    close(grad(z, x), np.zeros((3, 3)))


def test_a_change_of_what_was_not_saved_is_harmless() -> None:
    x, y = leaf(A), leaf(A)
    z = ops.sum(x + y)
    x.assign(0.0)
    close(grad(z, x), np.ones((3, 3)))


def test_a_change_after_the_backward_walk_is_harmless() -> None:
    x = leaf([2.0])
    for _ in range(3):
        (g,) = grad(x * x, [x])
        x.assign(x.numpy() - 0.1 * g.numpy())
    close(x, [2.0 * 0.8**3])


def test_data_keeps_shape_and_dtype() -> None:
    x = leaf(A)
    with pytest.raises(ValueError, match=r"data: got shape \(9,\) float64, expected \(3, 3\) float64"):
        x.data = A.ravel()
    with pytest.raises(ValueError, match="float32"):
        x.data = A.astype(np.float32)


# -- anomaly mode ----------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value", "ignore:overflow")
def test_anomaly_names_the_first_bad_operation_forward() -> None:
    x = tensor(np.array([-1.0, 4.0]))
    with switches.anomaly():
        with pytest.raises(FloatingPointError) as e:
            ops.sum(ops.log(x)) * 2.0
        with pytest.raises(FloatingPointError, match=r"first Inf made by exp called"):
            ops.exp(x * 1000.0)
    assert np.isnan(ops.log(x).numpy()[0])  # outside: as NumPy does
    line = e.tb.tb_lineno
    assert f"first NaN made by log called at {__file__}:{line} [received (2,) float64]" in str(e.value)


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize("create_graph", [False, True])
def test_anomaly_names_the_operation_backward(create_graph: bool) -> None:
    x = leaf([0.0, 1.0])
    y, line = ops.sum(ops.sqrt(x)), here()
    with switches.anomaly(), pytest.raises(FloatingPointError) as e:
        grad(y, x, create_graph=create_graph)
    assert "first Inf made by divide" in str(e.value)
    assert f"in the derivative of sqrt called at {__file__}:{line}" in str(e.value)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_anomaly_names_the_line_through_layers_of_ops() -> None:
    with switches.anomaly(), pytest.raises(FloatingPointError) as e:
        ops.var(tensor(np.zeros((0, 3))), 0)
    assert f"divide called at {__file__}:{e.tb.tb_lineno}" in str(e.value)


# -- hooks -----------------------------------------------------------------------------------------------------------
def test_the_hook_sees_operations_writes_and_cotangents() -> None:
    events: list[switches.Event] = []
    x = leaf([1.0, 2.0])
    with switches.hook(events.append):
        y = ops.sum(x * x)
        grad(y, x)
        x.assign(0.0)
    names = [(e.kind, e.op.name if e.kind == "apply" else None) for e in events]
    assert names[:2] == [("apply", "multiply"), ("apply", "sum")]
    walk = [e for e in events if e.kind == "cotangent"]
    assert walk[0].node is y.node and [e.op and e.op.name for e in walk][-3:] == ["sum", "multiply", None]
    close(walk[-1].inputs[0], [2.0, 4.0])
    assert events[-1].kind == "effect" and events[-1].inputs[0] is x
    assert events[0].inputs[0] is x and events[0].output.shape == (2,) and events[0].node is not None
    before = len(events)
    ops.exp(x)
    assert len(events) == before


def test_hooks_nest_and_leave_after_an_exception() -> None:
    outer, inner = [], []
    with switches.hook(outer.append):
        with pytest.raises(ValueError, match="add"), switches.hook(inner.append):
            ops.exp(leaf(A))
            ops.add(A, np.ones(7))
        ops.exp(A)
    assert (len(outer), len(inner)) == (2, 1) and switches.state.hooks == ()


def test_register_hook_sees_the_whole_cotangent_once() -> None:
    x = leaf([1.0, 2.0])
    h = x * 3.0
    seen: list[np.ndarray] = []
    h.register_hook(lambda g: seen.append(g.numpy()))
    y = ops.sum(h * h) + ops.sum(h)
    close(grad(y, x), 3.0 * (6.0 * x.numpy() + 1.0))
    assert len(seen) == 1
    close(seen[0], 6.0 * x.numpy() + 1.0)


def test_register_hook_replaces_and_can_be_removed() -> None:
    x = leaf([1.0, 2.0])
    h = x * 3.0
    remove = h.register_hook(lambda g: g * 10.0)
    h.register_hook(lambda g: g + 1.0)  # runs second, on what the first returned
    close(grad(ops.sum(h), x), [33.0, 33.0])
    close(grad(ops.sum(h), h), [11.0, 11.0])
    remove()
    close(grad(ops.sum(h), x), [6.0, 6.0])
    x.register_hook(lambda g: -g)
    close(grad(ops.sum(x * x), x), [-2.0, -4.0])


def test_register_hook_with_create_graph_is_differentiated() -> None:
    x = leaf(2.0)
    h = x * 1.0
    h.register_hook(lambda g: g * g)  # d(h^2)/dh = 2h -> 4 h^2
    g = grad(h * h, x, create_graph=True)
    close(g, 16.0)


def test_a_hook_that_returns_the_wrong_shape_is_an_error() -> None:
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: Tensor(np.ones((2, 2))))
    with pytest.raises(GraphError, match=r"register_hook: .* returned \(2, 2\) float64 for a cotangent of \(2,\)"):
        grad(ops.sum(x), x)
    with pytest.raises(GraphError, match="outside every graph"):
        tensor(1.0).register_hook(lambda g: None)


# -- switches and leaving the graph ----------------------------------------------------------------------------------
def test_no_grad_enable_grad_detach() -> None:
    x = leaf([3.0])
    with switches.no_grad():
        assert (x * x).node is None
        with switches.enable_grad():
            assert (x * x).node is not None
        assert (x * x).node is None
    y = x * x
    assert y.requires_grad and not y.detach().requires_grad and y.detach().data is y.data
    close(grad(y * y.detach(), x), [9.0 * 6.0])
    close(grad(ops.stop_gradient(y) * x, x), [9.0])
    with pytest.raises(RuntimeError), switches.no_grad():
        raise RuntimeError
    assert switches.state.enabled


def test_grad_works_inside_no_grad() -> None:
    x = leaf([3.0])
    y = x * x * x
    with switches.no_grad():
        assert grad(y, x).node is None
        g = grad(y, x, create_graph=True)
        close(grad(g, x), [18.0])


def test_requires_grad_can_be_set_on_leaves_only() -> None:
    x = tensor([1.0, 2.0])
    x.requires_grad = True
    assert x.node is not None and x.node.op is None
    with pytest.raises(GraphError, match=r"leaf tensors only; use \.detach"):
        (x * 2.0).requires_grad = False
    x.requires_grad = False
    assert (x * 2.0).node is None
    with pytest.raises(TypeError, match="int64"):
        tensor(np.arange(3)).requires_grad = True


def test_item_assignment_is_an_error_with_a_way_out() -> None:
    x = tensor([1.0, 2.0])
    with pytest.raises(TypeError, match=r"item assignment.*ops\.where"):
        x[0] = 1.0


# -- dtypes and operators --------------------------------------------------------------------------------------------
def test_float32_and_float64_do_not_mix() -> None:
    single, double = tensor([1.0, 2.0]), tensor(np.ones(2))
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    for mix in (lambda: single + double, lambda: single * np.ones(2), lambda: np.ones(2) - single):
        with pytest.raises(TypeError, match=r"got float(32|64) and float(32|64) arrays, expected one dtype.*ops\.cast"):
            mix()
    with pytest.raises(TypeError, match="float16"):
        single + np.ones(2, np.float16)
    with pytest.raises(TypeError, match="float16"):
        tensor(np.ones(2, np.float16))
    with pytest.raises(TypeError, match="complex128"):
        tensor(np.ones(2, complex))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_python_numbers_are_weak(dtype: Any) -> None:
    x = leaf([1.0, 2.0], dtype)
    for y in (
        x + 1,
        2.0 * x,
        1.0 - x,
        x / 3,
        2.0**x,
        x**2,
        x + np.float64(1.5),
        np.float64(1.5) * x,
        x + np.arange(2),
        -x,
    ):
        assert y.dtype == dtype and grad(y, x, np.ones(2, dtype)).dtype == dtype
    for f in (ops.where(x > 0, x, 0.0), ops.maximum(x, 0.0), ops.clip(x, -1, 1), ops.mean(x), ops.pad(x, 1)):
        assert f.dtype == dtype


def test_operators_from_both_sides() -> None:
    a, b = A, np.abs(B[:, :3]) + 0.5
    t = leaf(b)
    for ours, theirs in [
        (a + t, a + b), (t + a, b + a), (a - t, a - b), (t - a, b - a), (a * t, a * b), (a / t, a / b), (t / a, b / a),
        (a @ t, a @ b), (t @ a, b @ a), (2.0**t, 2.0**b), (t**2.0, b**2.0), (b**t, b**b), (-t, -b), (abs(t), abs(b)),
        (t.T, b.T), (t[0], b[0]), (t[:, [0, 2]], b[:, [0, 2]]),
    ]:  # fmt: skip
        assert isinstance(ours, Tensor) and ours.node is not None
        close(ours, theirs)
    for ours, theirs in [(a < t, a < b), (t < a, b < a), (t >= a, b >= a), (a <= t, a <= b), (a > t, a > b)]:
        assert isinstance(ours, Tensor) and ours.dtype == bool and ours.node is None
        np.testing.assert_array_equal(ours.numpy(), theirs)


def test_small_conveniences() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert x.sum().item() == 10.0 and float(x[0, 1]) == 2.0 and len(x) == 2 and bool(x[0, 0])
    assert [row.shape for row in x] == [(2,), (2,)]
    assert (x.shape, x.ndim, x.size, x.device) == ((2, 2), 2, 4, "cpu") and "op=leaf" in repr(x)
    with pytest.raises(ValueError, match=r"item: got shape \(2, 2\)"):
        x.item()
    with pytest.raises(AttributeError, match="no attribute or method 'frobnicate'"):
        _ = x.frobnicate
    source = np.ones(2)
    assert tensor(source).data is not source and as_tensor(source).data is source


# -- grad: what it accepts -------------------------------------------------------------------------------------------
def test_unused_inputs_have_zero_derivatives() -> None:
    x, y, z = leaf(A), leaf(B), leaf(3.0, np.float32)
    gx, gy, gz = grad(ops.sum(ops.exp(x)), [x, y, z])
    close(gx, np.exp(A))
    close(gy, np.zeros((3, 4)))
    assert (gz.shape, gz.dtype, gz.item()) == ((), np.float32, 0.0)


def test_inputs_twice_inputs_inside_and_outputs_as_inputs() -> None:
    x = leaf([1.0, 2.0])
    h = ops.square(x)
    y = ops.sum(h * x)
    gx, gh, again = grad(y, [x, h, x])
    close(gx, 3.0 * x.numpy() ** 2)  # also through h
    close(gh, x.numpy())
    close(again, gx)
    close(grad(x, x, np.array([5.0, 6.0])), [5.0, 6.0])
    close(grad([h, h, x], x, [np.ones(2), np.ones(2), np.ones(2)]), 4.0 * x.numpy() + 1.0)
    assert isinstance(grad(y, x), Tensor) and isinstance(grad(y, [x]), list) and isinstance(grad(y, (x,)), list)


def test_grad_outputs() -> None:
    x = leaf([1.0, 2.0])
    y = x * 3.0
    close(grad([y, ops.sum(x)], x, [np.array([1.0, 10.0]), None]), [4.0, 31.0])
    close(grad(y[:1], x), [3.0, 0.0])  # one element: 1 is meant
    for outputs, grads, error in [
        (y, None, r"the output has shape \(2,\), not one element; pass grad_outputs"),
        (y, np.ones(3), r"grad_outputs has shape \(3,\) float64, expected \(2,\) float64"),
        (y, Tensor(np.ones(2, np.float32)), r"\(2,\) float32, expected \(2,\) float64"),
        ([y, y], [np.ones(2)], "got 1 grad_outputs for 2 outputs"),
    ]:
        with pytest.raises((GraphError, ValueError), match=error):
            grad(outputs, x, grads)


def test_grad_outside_the_graph() -> None:
    x = leaf(1.0)
    with pytest.raises(GraphError, match=r"input 1 is not in a graph; make it with mg\.tensor"):
        grad(x * x, [x, tensor(1.0)])
    with pytest.raises(GraphError, match="depend on no tensor"):
        grad(tensor(1.0) * 2.0, x)
    with pytest.raises(GraphError, match="depends on no tensor"):
        tensor(1.0).backward()


def test_backward_adds_to_leaves() -> None:
    x, y, unused = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf(0.0)
    ops.sum(x * y).backward()
    ops.sum(x * y).backward()
    close(x.grad, 2.0 * y.numpy())
    close(y.grad, 2.0 * x.numpy())
    assert unused.grad is None
    x.grad = None
    (x * y).backward(np.array([1.0, 0.0]))
    close(x.grad, [3.0, 0.0])


def test_errors_hold_the_shapes_and_the_operation() -> None:
    x = leaf(A)
    with pytest.raises(ValueError, match=r"add: .*received \(3, 3\) float64, \(3, 4\) float64"):
        x + B
    with pytest.raises(ValueError, match=r"matmul: got shapes \(3, 3\) and \(2, 3\)"):
        x @ A[:2]
    with pytest.raises(IndexError, match=r"getitem: .*\(3, 3\) float64"):
        x[5]
    bad = made(np.exp, lambda g, y, _x: ops.sum(g * y))
    y = bad(x)
    with pytest.raises(GraphError, match=rf"made called at {__file__}:\d+: its vjp returned \(\) float64 .* \(3, 3\)"):
        grad(y, x, np.ones((3, 3)))


# -- pruning ---------------------------------------------------------------------------------------------------------
def count_backward(work: Callable[[], Any]) -> Counter[str]:
    seen: Counter[str] = Counter()
    with switches.hook(lambda event: seen.update([event.op.name] if event.kind == "apply" else [])):
        work()
    return seen


def test_no_work_for_frozen_parents() -> None:
    x, w = leaf(A), leaf(B)
    both, one = x @ w, x.detach() @ w
    for y, of, nt, tn in ((both, [x, w], 1, 1), (both, w, 0, 1), (one, w, 0, 1), (both, x, 1, 0)):
        work = count_backward(lambda y=y, of=of: grad(y, of, np.ones((3, 4))))
        assert (work["matmul_nt"], work["matmul_tn"], work["matmul"]) == (nt, tn, 0)


def test_branches_that_do_not_reach_the_inputs_are_not_walked() -> None:
    x, other = leaf(A), leaf(A)
    deep = other
    for _ in range(10):
        deep = ops.exp(deep * 0.1)
    y = ops.sum(ops.tanh(x) + deep)
    work = count_backward(lambda: grad(y, x))
    assert work["multiply"] == 0 and work["activation_backward"] == 1
    assert count_backward(lambda: grad(y, [x, other]))["multiply"] >= 20


def test_outputs_that_do_not_reach_the_inputs_are_not_visited() -> None:
    x, other = leaf(1.0), leaf(2.0)
    unrelated, seen = ops.exp(other), []
    unrelated.register_hook(lambda g: seen.append(g))
    close(grad([x * x, unrelated], x), 2.0)
    assert not seen


def test_the_walk_stops_at_its_inputs() -> None:
    x = leaf(A)
    h = x
    for _ in range(10):
        h = ops.sin(h)
    y = ops.sum(ops.square(h))
    assert count_backward(lambda: grad(y, h))["cos"] == 0
    assert count_backward(lambda: grad(y, [h, x]))["cos"] == 10


# -- higher orders against closed forms ------------------------------------------------------------------------------
def derivatives(f: Callable[[Tensor], Tensor], x: Tensor, order: int) -> list[np.ndarray]:
    y, found = f(x), []
    for _ in range(order):
        y = grad(ops.sum(y), x, create_graph=True)
        found.append(y.numpy())
    return found


def t_of(x: np.ndarray) -> np.ndarray:
    return np.tanh(x)


CLOSED: dict[str, tuple[Callable[..., Any], list[Callable[..., Any]]]] = {
    "x^5": (
        lambda x: x**5,
        [lambda x: 5 * x**4, lambda x: 20 * x**3, lambda x: 60 * x**2, lambda x: 120 * x, lambda x: 120 + 0 * x],
    ),
    "tanh": (
        lambda x: ops.tanh(x),
        [
            lambda x: 1 - t_of(x) ** 2,
            lambda x: -2 * t_of(x) * (1 - t_of(x) ** 2),
            lambda x: (1 - t_of(x) ** 2) * (6 * t_of(x) ** 2 - 2),
            lambda x: (1 - t_of(x) ** 2) * t_of(x) * (16 - 24 * t_of(x) ** 2),
        ],
    ),
    "sigmoid": (
        lambda x: ops.sigmoid(x),
        [
            lambda x: 1 / (2 + 2 * np.cosh(x)),
            lambda x: -np.sinh(x) / (2 * (1 + np.cosh(x)) ** 2),
        ],
    ),
    "sin(x^2)": (
        lambda x: ops.sin(ops.square(x)),
        [
            lambda x: 2 * x * np.cos(x**2),
            lambda x: 2 * np.cos(x**2) - 4 * x**2 * np.sin(x**2),
            lambda x: -12 * x * np.sin(x**2) - 8 * x**3 * np.cos(x**2),
            lambda x: (16 * x**4 - 12) * np.sin(x**2) - 48 * x**2 * np.cos(x**2),
        ],
    ),
    "x exp(-x)": (
        lambda x: x * ops.exp(-x),
        [lambda x, k=k: (-1) ** k * (x - k) * np.exp(-x) for k in range(1, 5)],
    ),
    "1/(1+x^2)": (
        lambda x: 1.0 / (1.0 + x * x),
        [
            lambda x: -2 * x / (1 + x**2) ** 2,
            lambda x: (6 * x**2 - 2) / (1 + x**2) ** 3,
            lambda x: 24 * x * (1 - x**2) / (1 + x**2) ** 4,
            lambda x: 24 * (5 * x**4 - 10 * x**2 + 1) / (1 + x**2) ** 5,
        ],
    ),
    "log softplus": (lambda x: ops.softplus(x), [lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (2 + 2 * np.cosh(x))]),
}


@pytest.mark.parametrize("name", CLOSED)
def test_derivatives_of_high_order(name: str) -> None:
    f, closed = CLOSED[name]
    x = leaf([-1.3, -0.2, 0.0, 0.4, 2.1])  # 0 is among them
    for found, formula in zip(derivatives(f, x, len(closed)), closed, strict=True):
        close(found, formula(x.numpy()), 1e-10)


@given(st.integers(0, 6), st.integers(1, 7))
def test_powers_have_finite_derivatives_at_zero(power: int, order: int) -> None:
    """d^k x^n / dx^k = n!/(n-k)! x^(n-k), and 0 for k > n: no 0 * 0^-1."""
    x = leaf([0.0, 1.5, -2.0])
    y: Any = x**power
    for k in range(1, order + 1):
        y = grad(ops.sum(y), x, create_graph=True)
        factor = math.factorial(power) / math.factorial(power - k) if k <= power else 0.0
        expected = factor * x.numpy() ** max(power - k, 0)
        close(y, expected)
        if y.node is None:
            break


@given(
    st.lists(st.floats(-2, 2, allow_subnormal=False), min_size=1, max_size=6), st.floats(-2, 2, allow_subnormal=False)
)
def test_polynomials(coefficients: list[float], at: float) -> None:
    polynomial = np.polynomial.Polynomial(coefficients)
    x = leaf(at)
    y = x * 0.0
    for c in reversed(coefficients):  # Horner
        y = y * x + c
    for order in range(1, 4):
        y = grad(y, x, create_graph=True)
        close(y, polynomial.deriv(order)(at) if order < len(coefficients) else 0.0, 1e-11)
        if y.node is None:  # a constant by now
            break


def test_mixed_partial_derivatives_commute() -> None:
    x, y = leaf([0.3, -0.7]), leaf([1.1, 0.4])
    z = ops.sum(ops.sin(x * y) + x**3 * y + ops.exp(x) / (y * y))
    gx, gy = grad(z, [x, y], create_graph=True)
    xy, yx = grad(ops.sum(gx), y), grad(ops.sum(gy), x)
    a, b = x.numpy(), y.numpy()
    close(xy, np.cos(a * b) - a * b * np.sin(a * b) + 3 * a**2 - 2 * np.exp(a) / b**3, 1e-11)
    close(xy, yx, 1e-12)


@pytest.mark.parametrize("norm", [ops.batch_norm, ops.layer_norm])
def test_normalisations_up_to_order_3_against_finite_differences(norm: Callable[..., Tensor]) -> None:
    x, gamma, beta = RNG.normal(size=(5, 4)), RNG.normal(size=4), RNG.normal(size=4)
    assert gradcheck(lambda *xs: norm(*xs, eps=0.01), (x, gamma, beta), order=3)
    assert gradcheck(lambda x: norm(x, gamma, beta, eps=0.01), x, order=3)  # frozen parameters
    # The second derivative is far from zero, so a statistic taken for a constant would show.
    t = leaf(x)
    g = grad(ops.sum(ops.square(norm(t, gamma, beta)) * x), t, create_graph=True)
    assert np.abs(grad(ops.sum(ops.square(g)), t).numpy()).max() > 0.1


def test_fused_with_shared_and_dependent_inputs() -> None:
    """The composite is replayed on aliases: gamma, a function of x, must not be followed twice."""
    x = leaf(RNG.normal(size=(4, 3)))

    def fused(t: Tensor) -> Tensor:
        return apply(REGISTRY["batch_norm"], (t, ops.mean(ops.square(t), 0), ops.sum(t, 0)), {"eps": 0.1})

    def plain(t: Tensor) -> Tensor:
        h = (t - ops.mean(t, 0)) / ops.sqrt(ops.var(t, 0) + 0.1)
        return h * ops.mean(ops.square(t), 0) + ops.sum(t, 0)

    w = RNG.normal(size=(4, 3))
    for graph in (False, True):
        close(grad(fused(x), x, w, create_graph=graph), grad(plain(x), x, w), 1e-10)
    seconds = [grad(ops.sum(ops.sin(grad(f(x), x, w, create_graph=True))), x) for f in (fused, plain)]
    close(*seconds, 1e-9)


# -- vjp, jvp, hvp, jacobian, hessian --------------------------------------------------------------------------------
def test_vjp_and_jvp_of_a_linear_map() -> None:
    x, v, w = (RNG.normal(size=s) for s in ((4, 2), (4, 2), (3, 2)))
    y, g = vjp(lambda x: ops.matmul(B, x), x, w)
    close(y, B @ x)
    close(g, B.T @ w)
    y, t = jvp(lambda x: ops.matmul(B, x), x, v)
    close(y, B @ x)
    close(t, B @ v)


def test_structures_are_mirrored() -> None:
    x, y = RNG.normal(size=3), RNG.normal(size=(2, 3))

    def f(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a * b, ops.sum(a)

    (p, q), (gx, gy) = vjp(f, (x, y), (np.ones((2, 3)), np.array(2.0)))
    close(p, x * y)
    close(q, x.sum())
    close(gx, y.sum(0) + 2.0)
    close(gy, np.tile(x, (2, 1)))
    _, (tp, tq) = jvp(f, (x, y), (np.ones(3), np.zeros((2, 3))))
    close(tp, y)
    close(tq, 3.0)
    with pytest.raises(ValueError, match=r"vjp: cotangents: array 0 has shape \(3,\), expected \(2, 3\)"):
        vjp(f, (x, y), (np.ones(3), np.ones(())))
    with pytest.raises(ValueError, match="jvp: tangents: got 1 arrays, expected 2"):
        jvp(f, (x, y), np.ones(3))


def test_constant_and_linear_functions_have_zero_derivatives() -> None:
    x = RNG.normal(size=3)
    close(vjp(lambda t: Tensor(np.ones(2)), x, np.ones(2))[1], np.zeros(3))
    close(jvp(lambda t: Tensor(np.ones(2)), x, np.ones(3))[1], np.zeros(2))
    close(hvp(lambda t: ops.sum(t * 2.0), x, np.ones(3))[1], np.zeros(3))
    close(hessian(lambda t: ops.sum(t), x), np.zeros((3, 3)))
    close(jacobian(lambda t: Tensor(np.ones(2)), x), np.zeros((2, 3)))
    close(jacobian(lambda t: t[:0], x), np.zeros((0, 3)))


def quadratic(x: Tensor) -> Tensor:
    return ops.sum(x * ops.matmul(A, x)) / 2.0 + ops.sum(ops.sin(x))


def test_hvp_hessian_and_jacobian_against_closed_forms() -> None:
    x, v = RNG.normal(size=3), RNG.normal(size=3)
    h = (A + A.T) / 2 - np.diag(np.sin(x))
    close(hessian(quadratic, x), h)
    close(hvp(quadratic, x, v)[1], h @ v)
    close(hvp(quadratic, x, v)[0], x @ A @ x / 2 + np.sin(x).sum())
    close(jacobian(lambda t: ops.matmul(A, ops.exp(t)), x), A * np.exp(x))
    close(jacobian(lambda t: ops.reshape(t, (3, 1)) * t, x).numpy()[1, 2], [0.0, x[2], x[1]])
    with pytest.raises(ValueError, match=r"hvp: f returned shape \[\(3,\)\], expected one element"):
        hvp(lambda t: t, x, v)


def test_blocks_of_several_inputs() -> None:
    x, y = RNG.normal(size=3), RNG.normal(size=4)

    def f(a: Tensor, b: Tensor) -> Tensor:
        return ops.sum(a * ops.matmul(B, b)) + ops.sum(a**3)

    (xx, xy), (yx, yy) = hessian(f, (x, y))
    close(xx, np.diag(6 * x))
    close(xy, B)
    close(yx, B.T)
    close(yy, np.zeros((4, 4)))
    _, (hx, hy) = hvp(f, (x, y), (np.ones(3), np.ones(4)))
    close(hx, 6 * x + B.sum(1))
    close(hy, B.sum(0))
    ja, jb = jacobian(lambda a, b: ops.sum(a) * b, (x, y))
    close(ja, np.outer(y, np.ones(3)))
    close(jb, x.sum() * np.eye(4))


def test_results_can_be_differentiated_again() -> None:
    x, v = leaf([0.3, -0.5, 1.2]), RNG.normal(size=3)
    a = x.numpy()
    close(grad(ops.sum(jvp(lambda t: ops.sin(t), x, v, create_graph=True)[1]), x), -np.sin(a) * v)
    close(grad(ops.sum(hvp(quadratic, x, v, create_graph=True)[1]), x), -np.cos(a) * v)
    close(grad(ops.sum(hessian(quadratic, x, create_graph=True)), x), -np.cos(a))
    close(grad(ops.sum(jacobian(lambda t: ops.exp(t), x, create_graph=True)), x), np.exp(a))
    close(jacobian(lambda t: jacobian(lambda s: s**3, t, create_graph=True), x).numpy()[1, 1, 1], 6 * a[1])
    nested = jvp(lambda t: jvp(lambda s: ops.exp(s), t, v, create_graph=True)[1], x, v)[1]
    close(nested, np.exp(a) * v * v)
    assert jvp(lambda t: ops.sin(t), x, v)[1].node is None and hvp(quadratic, x, v)[1].node is None


def test_they_work_under_no_grad_and_leave_no_trace() -> None:
    x = tensor(np.ones(3))
    with switches.no_grad():
        close(hessian(lambda t: ops.sum(t**3), x), 6 * np.eye(3))
    assert x.node is None and x.grad is None


@given(st.integers(0, 2**32 - 1))
def test_vjp_and_jvp_are_transposes(seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    x, v, w = rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), rng.normal(size=(3, 2))

    def f(t: Tensor) -> Tensor:
        return ops.softmax(ops.transpose(ops.tanh(t @ A)) * 2.0, 0)

    pulled, pushed = vjp(f, x, w)[1].numpy(), jvp(f, x, v)[1].numpy()
    assert abs(np.vdot(pulled, v) - np.vdot(w, pushed)) < 1e-12


# -- threads ---------------------------------------------------------------------------------------------------------
def test_switches_belong_to_their_thread() -> None:
    seen: dict[str, Any] = {}
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait(10)
        x = leaf(A)
        seen["node"] = ops.exp(x).node is not None
        seen["nan"] = bool(np.isnan(ops.log(tensor(np.array(np.nan))).numpy()))
        seen["hooks"] = switches.state.hooks
        done.set()

    events: list[Any] = []
    thread = threading.Thread(target=other)
    thread.start()
    with switches.no_grad(), switches.anomaly(), switches.hook(events.append), np.errstate(all="ignore"):
        inside.set()
        assert done.wait(10)
        assert ops.exp(leaf(A)).node is None
    thread.join()
    assert seen == {"node": True, "nan": True, "hooks": ()} and len(events) == 1


def test_threads_compute_the_same_derivatives() -> None:
    x, w = RNG.normal(size=(64, 3)), leaf(B)
    expected = grad(network(tensor(x), w), w).numpy()
    results: list[Any] = [None] * 8

    def work(i: int) -> None:
        for _ in range(10):
            results[i] = grad(network(tensor(x), w), w).numpy()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


W = leaf([1.0, 2.0], np.float32)
NO_NUMBERS = [
    None,
    "1.5",
    b"2",
    [None, 1.0],
    ["1"],
    1j,
    np.complex64(1j),
    {1},
    {},
    np.datetime64("2020"),
    [W, W],
    [[1.0, W]],
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize(
    "use",
    [lambda v: W * v, ops.exp, tensor, W.detach().assign, lambda v: ops.where(W > 1, v, W)],
    ids=["a product", "exp", "tensor", "assign", "where"],
)
def test_what_is_no_number_is_no_tensor(value, use):
    """NumPy would make NaN of None and 1.5 of "1.5"; tensors in a list would lose their graph in silence."""
    kept = W.data.copy()
    with pytest.raises(TypeError, match=r"got (a list of tensors.*ops\.stack|None|.*expected an array, a number)"):
        use(value)
    assert (W.data == kept).all()


@pytest.mark.parametrize(
    "value", [True, 2, 0.5, Fraction(1, 2), range(2), (1, 2.0), [np.float32(1), 2], np.float16(3)], ids=repr
)
def test_what_is_a_number_is_one(value):
    want = np.asarray(value, np.float32) * W.data
    np.testing.assert_array_equal((W * value).data, want)
    np.testing.assert_array_equal((W.detach() * tensor(value)).data, want)
