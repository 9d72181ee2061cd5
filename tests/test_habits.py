"""What NumPy's and Python's users expect of a tensor: comparisons, protocols, methods, text."""

from __future__ import annotations

import ast
import copy
import inspect
import operator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from devices import each_device

import minigan as mg
from minigan import interop, methods, ops
from minigan.autodiff import Tensor, grad, tensor
from minigan.backend import to_device

A = np.array([[0.5, 1.0, 2.0], [3.0, 0.25, 1.0]])
TABLE = interop._UFUNCS


def leaf(values: Any = A, dtype: Any = np.float64) -> Tensor:
    return tensor(np.array(values, dtype), requires_grad=True)


# -- comparisons -----------------------------------------------------------------------------------------------------
@each_device
def test_equality_is_elementwise_from_both_sides(device: str) -> None:
    a, b = to_device(A, device), to_device(np.array([0.5, 7.0, 2.0]), device)
    t, u = Tensor(a), Tensor(b)
    for ours, theirs in [(t == u, A == [0.5, 7, 2]), (t != u, A != [0.5, 7, 2]), (t == b, A == [0.5, 7, 2])]:
        assert isinstance(ours, Tensor) and ours.dtype == bool and ours.device == device and ours.node is None
        np.testing.assert_array_equal(ours.numpy(), theirs)
    for ours, theirs in [(b == t, A == [0.5, 7, 2]), (b != t, A != [0.5, 7, 2]), (t == 1.0, A == 1), (t != 1, A != 1)]:
        assert isinstance(ours, Tensor)
        np.testing.assert_array_equal(ours.numpy(), theirs)
    nan = Tensor(to_device(np.array([np.nan, 1.0]), device))
    assert (nan == nan).numpy().tolist() == [False, True] and (nan != nan).numpy().tolist() == [True, False]


def test_what_is_no_number_is_unequal_and_shapes_must_fit() -> None:
    t = leaf()
    assert (t == None) is False and (t != None) is True and (t == "relu") is False and (t == object()) is False  # noqa: E711
    assert (t == [0.5, 1.0, 2.0]).numpy()[0].all()
    with pytest.raises(ValueError, match=r"equal: .*\(2, 3\).*\(4,\)"):
        _ = t == np.ones(4)
    with pytest.raises(TypeError, match=r"got float(32|64) and float(32|64) arrays"):
        _ = t == leaf(A, np.float32)


def test_a_tensor_is_hashed_by_identity() -> None:
    t, twin = leaf(), leaf()
    assert len({t, twin}) == 2 and {t: 1}[t] == 1 and twin not in {t} and t in {t, twin}
    assert len({hash(copy.copy(tensor(1.0))) for _ in range(1)}) == 1


def test_a_tensor_in_a_list_is_found_by_identity_or_raises_with_the_way() -> None:
    t, twin = leaf(), leaf()
    assert t in [t, twin] and any(x is twin for x in [t, twin])
    with pytest.raises(ValueError, match=r"\(2, 3\).*6 elements is ambiguous.*any\(x is t for x in values\)"):
        assert t in [twin, t]
    with pytest.raises(ValueError, match=r"t\.all\(\) or t\.any\(\)"):
        [twin].remove(t)
    assert 3.0 in t and 3.5 not in t and "a" not in t and np.float64(0.25) in t
    with pytest.raises(ValueError, match="0 elements"):
        bool(leaf([]))


@pytest.mark.parametrize("name", ["and_", "or_", "xor"])
def test_logic_on_bool_tensors(name: str) -> None:
    f = getattr(operator, name)
    a, b = A > 0.6, A < 2.5
    t, u = leaf() > 0.6, leaf() < 2.5
    for ours, theirs in [
        (f(t, u), f(a, b)),
        (f(t, b), f(a, b)),
        (f(a, u), f(a, b)),
        (f(True, u), f(True, b)),
        (~t, ~a),
    ]:
        assert isinstance(ours, Tensor) and ours.dtype == bool
        np.testing.assert_array_equal(ours.numpy(), theirs)
    for wrong in (1, 0.5, np.ones(3, np.int64), leaf()):
        with pytest.raises(TypeError, match=r"expected bool; compare first"):
            f(t, wrong)
        with pytest.raises(TypeError, match=r"expected bool"):
            f(wrong, t)
    with pytest.raises(TypeError, match="logical_not: got float64, expected bool"):
        ~leaf()


# -- protocols of Python ---------------------------------------------------------------------------------------------
def test_numbers_and_text() -> None:
    assert (
        f"{leaf(0.12345):.3f}" == "0.123"
        and f"{leaf([2.0]):+.1e}" == "+2.0e+00"
        and f"{tensor(3.0)}" == str(tensor(3.0))
    )
    with pytest.raises(TypeError, match=r"format: got '\.3f' for a tensor of shape \(2, 3\).*t\.item\(\)"):
        f"{leaf():.3f}"
    whole = Tensor(np.array(2))
    assert list("abc")[whole] == "c" and list(range(whole)) == [0, 1] and int(leaf(2.9)) == 2
    for wrong in (leaf(2.0), Tensor(np.array([2]))):
        with pytest.raises(TypeError, match="index: got a tensor"):
            range(wrong)
    np.testing.assert_array_equal((+leaf()).numpy(), A)


BINARY = ["add", "sub", "mul", "truediv", "pow", "matmul", "and", "or", "xor"]


@pytest.mark.parametrize("name", BINARY)
def test_every_operator_has_its_reflection(name: str) -> None:
    assert callable(getattr(Tensor, f"__{name}__")) and callable(getattr(Tensor, f"__r{name}__"))


def test_text_names_what_was_asked_for() -> None:
    x = leaf()
    for name in methods.NAMES:
        method = getattr(ops, name)
        required = [p for p in inspect.signature(method).parameters.values() if p.default is p.empty]
        if len(required) != 1 or name in ("clip", "reshape", "sqrtm", "logical_not"):
            continue
        image = name.startswith("global")
        y = method(tensor(np.ones((1, 2, 2, 3)), requires_grad=True) if image else x)
        if isinstance(y, Tensor) and y.node is not None:
            assert f"op={name}" in repr(y), name
    for y, name in [
        (x.sum(), "sum"), (x.sum(0), "sum"), (ops.mean(x), "mean"), (x.max(1), "max"), (x + 1, "add"), (x[0], "getitem"),
        (ops.dense(x, np.ones((3, 2))), "dense"), (x.reshape(6), "reshape"), (x, "leaf"), (x.T, "transpose"), (2.0**x, "power"),
        (mg.nn.Dense(3, 2).astype(np.float64)(x), "dense"), (grad((x * x).sum(), x, create_graph=True), ""),
    ]:  # fmt: skip
        assert f"op={name}" in repr(y)
    assert "op=" not in repr(x.detach())


# -- protocols of NumPy ----------------------------------------------------------------------------------------------
def test_asarray_gives_the_values_and_never_an_object_array() -> None:
    for t in (leaf(), leaf(1.5), leaf([]), leaf() > 1, Tensor(np.arange(3)), leaf(A, np.float32)):
        a = np.asarray(t)
        assert a.dtype == t.dtype and a.shape == t.shape and a is not t
        np.testing.assert_array_equal(a, t.numpy())
        assert np.array(t).dtype == t.dtype and not np.shares_memory(np.array(t), t.numpy())
        assert np.asarray(t, np.float32).dtype == np.float32 and np.array([t, t]).shape == (2, *t.shape)
    t = leaf()
    assert np.shares_memory(np.asarray(t), t.numpy()) and np.shares_memory(np.array(t, copy=False), t.numpy())
    assert not np.shares_memory(np.array(t, copy=True), t.numpy())
    with pytest.raises(ValueError, match="copy"):
        np.array(t, dtype=np.float32, copy=False)


@pytest.mark.parametrize("ufunc", TABLE, ids=lambda u: u.__name__)
def test_a_ufunc_with_the_same_meaning_is_the_operation(ufunc: Any) -> None:
    masks = ufunc.types[0].startswith("?") and ufunc not in (np.equal, np.not_equal) and ufunc.nin + ufunc.nout < 4
    masks = masks and TABLE[ufunc].startswith("logical")
    values = [A > 0.6, A < 2.5] if masks else [A, A.T.copy() if ufunc is np.matmul else A + 0.5]
    given = [Tensor(v) if masks else leaf(v) for v in values[: ufunc.nin]]
    got = ufunc(*given)
    assert isinstance(got, Tensor)
    np.testing.assert_allclose(got.numpy(), ufunc(*values[: ufunc.nin]), rtol=1e-12)
    if got.dtype == np.float64:
        assert got.node is not None
    if ufunc.nin == 2:
        for mixed in ((values[0], given[1]), (given[0], values[1])):
            np.testing.assert_array_equal(ufunc(*mixed).numpy(), got.numpy())


FUNCTIONS: list[tuple[Any, Any]] = [
    *[(f, ()) for f in (np.sum, np.mean, np.var, np.max, np.min, np.amax, np.amin, np.cumsum, np.sort, np.transpose, np.flip)],
    *[(f, (0,)) for f in (np.sum, np.mean, np.var, np.max, np.min, np.cumsum, np.flip, np.sort, np.expand_dims)],
    (np.argsort, ()), (np.reshape, ((3, 2),)), (np.swapaxes, (0, 1)), (np.clip, (0.6, 2.0)), (np.take, ([1, 0], 0)),
    (np.broadcast_to, ((2, 2, 3),)), (np.squeeze, ()), (np.pad, (1,)), (np.split, (2,)), (np.all, ()), (np.any, (0,)),
]  # fmt: skip


@pytest.mark.parametrize("function, more", FUNCTIONS, ids=lambda v: getattr(v, "__name__", str(v)))
def test_a_function_with_the_same_meaning_is_the_operation(function: Any, more: Any) -> None:
    if function is np.argsort or (function in (np.cumsum,) and not more):
        more = {np.argsort: (), np.cumsum: (1,)}[function]
    got = function(leaf(), *more) if function is not np.argsort else function(leaf(), axis=-1)
    expected = function(A, *more)
    for ours, theirs in zip(*([got, expected] if function is np.split else [[got], [expected]]), strict=True):
        assert isinstance(ours, Tensor)
        np.testing.assert_allclose(ours.numpy(), theirs)


def test_functions_of_several_tensors() -> None:
    t, u = leaf(), leaf(A + 1)
    for function in (np.concatenate, np.stack):
        got = function([t, u])
        assert isinstance(got, Tensor) and got.node is not None
        np.testing.assert_array_equal(got.numpy(), function([A, A + 1]))
    np.testing.assert_array_equal(np.where(t > 1, t, u).numpy(), np.where(A > 1, A, A + 1))
    with pytest.raises(
        TypeError, match=r"np\.mean of a tensor is mg\.ops\.mean\(x, axis=None, \*, keepdims=False\).*'dtype'"
    ):
        np.mean(t, dtype=np.float32)


def test_what_would_lose_a_derivative_raises_and_what_cannot_have_one_works() -> None:
    t = leaf()
    for function in (np.std, np.median, np.floor, np.arctan, np.diff, np.atleast_1d, lambda x: np.percentile(x, 3)):
        with pytest.raises(
            TypeError, match=r"no derivative; use an operation of mg\.ops, or take the values: t\.numpy\(\)"
        ):
            function(t)
        np.testing.assert_array_equal(function(t.detach()), function(A))
    with pytest.raises(TypeError, match=r"use mg\.ops\.add"):
        np.add.reduce(t)
    assert np.allclose(t, A) and np.allclose(A, t) and not np.allclose(t, t + 1) and np.array_equal(t, t)
    assert np.isfinite(t).all() and np.argmax(t) == 3 and np.shape(t) == (2, 3) and np.ndim(t) == 2 and np.size(t) == 6
    np.testing.assert_allclose(t, A)
    assert np.zeros_like(t).shape == (2, 3) and type(np.zeros_like(t)) is np.ndarray
    out = A.copy()
    for write in (lambda: np.add(t, 1.0, out=out), lambda: operator.iadd(out, t), lambda: np.exp(t, out=out)):
        with pytest.raises(TypeError, match=r"cannot write the result of a tensor into an array.*a = a \+ t"):
            write()
    np.testing.assert_array_equal(out, A)


def test_cupy_leaves_its_operators_to_a_tensor() -> None:
    assert leaf().__array_ufunc__ is None  # what CuPy asks: the object
    assert callable(Tensor.__array_ufunc__)  # what NumPy asks: the class


def test_reading_through_numpy_in_a_recorded_step_raises() -> None:
    for read in (
        np.asarray,
        lambda t: f"{t:.3f}",
        np.std,
        np.isfinite,
        lambda t: np.allclose(t, 1.0),
        int,
        lambda t: t in [t + 1],
    ):
        step = mg.replayed(lambda x, read=read: (read(x.sum()), x.sum())[1])
        with pytest.raises(mg.RecordingError, match="reads the values"):
            step(A)
    step = mg.replayed(lambda x: np.exp(x) * np.shape(x)[0] + (x == 1.0).sum() + np.mean(x))
    for k in range(4):
        a = (A + k).astype(np.float32)
        np.testing.assert_allclose(step(a).numpy(), np.exp(a) * 2 + (a == 1).sum() + a.mean(), rtol=1e-6)


def test_bound_methods_of_tensors_in_a_recorded_step_are_compared_by_identity() -> None:
    place = tensor(np.zeros((2, 3)))
    step = mg.replayed(lambda x: (mg.effect(_call, place, x), place.sum())[1])
    for k in range(4):
        assert step(A + k).item() == (A + k).sum()


def _call(target: Any, value: Any) -> None:
    target[...] = value


# -- methods ---------------------------------------------------------------------------------------------------------
NO_METHODS = {  # public, and no method: they need a second tensor, or take none
    **dict.fromkeys(
        ("as_tensor", "concatenate", "stack", "where", "conv_algorithm", "conv_plan"), "no one tensor comes first"
    ),
    **dict.fromkeys(
        ("activation_backward", "index_add", "permute", "embedding", "bce_with_logits", "straight_through"),
        "a second tensor",
    ),
    **dict.fromkeys(("conv", "conv_transpose", "conv_weight", "dense", "solve", "lyapunov"), "a second tensor"),
    **dict.fromkeys(("batch_norm", "layer_norm", "group_norm", "instance_norm"), "gamma and beta"),
    **dict.fromkeys(("lstm", "gru", "log_prob"), "states, weights, choices"),
    **dict.fromkeys(("checkpoint", "scan"), "a function comes first"),
    **dict.fromkeys(("power_iteration", "conv_power_iteration", "spectral_normalize"), "vectors"),
}


def test_every_operation_is_a_method_or_has_a_reason() -> None:
    assert set(ops.__all__) == set(methods.NAMES) | NO_METHODS.keys() and not set(methods.NAMES) & NO_METHODS.keys(), (
        "a new operation that needs no second tensor: add its name to NAMES in minigan/methods.py, and its declaration"
    )
    for name in methods.NAMES:
        assert getattr(Tensor, name) is getattr(ops, name) and name in dir(leaf())
    with pytest.raises(AttributeError, match=r"it is no method, since it needs more tensors: mg\.ops\.conv"):
        _ = leaf().conv


def declarations() -> dict[str, ast.FunctionDef]:
    tree = ast.parse(Path(methods.__file__).read_text())
    (kind,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    (block,) = [node for node in kind.body if isinstance(node, ast.If)]
    return {node.name: node for node in block.body if isinstance(node, ast.FunctionDef)}


def test_methods_are_declared_for_editors_as_they_are() -> None:
    declared = declarations()
    assert declared.keys() - {"assign", "backward"} == set(methods.NAMES)
    for name, node in declared.items():
        space: dict[str, Any] = {}
        exec(f"from __future__ import annotations\n{ast.unparse(node)}", space)
        told = list(inspect.signature(space[name]).parameters.values())[1:]
        true = list(inspect.signature(getattr(Tensor, name)).parameters.values())[1:]
        assert [(p.name, p.kind, p.default) for p in told] == [(p.name, p.kind, p.default) for p in true], name
        assert node.returns is not None and "Any" not in ast.unparse(node.returns)


def test_methods_have_their_operations_documentation() -> None:
    for name in methods.NAMES:
        assert inspect.getdoc(getattr(leaf(), name)), name
    assert "out" not in inspect.signature(ops.exp).parameters
