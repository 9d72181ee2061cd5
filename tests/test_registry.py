"""Every registered operation, enrolled by itself: values, derivatives of both orders, buffers, dtypes, what is kept.

A new operation is tested from the moment it is registered; one without samples fails. Its value is compared with the
reference kernels, with a second formula (`formulas.py`, compulsory for the plain operations) and with its own composite,
if fused.
"""

from __future__ import annotations

import dis
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import numpy as np
import pytest
from devices import each_device, placed
from drawing import HypothesisDraw
from formulas import FORMULAS
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import backend, ops, theory
from minigan.activation import FUSED as FUSED_KINDS
from minigan.activation import Activation
from minigan.autodiff import REGISTRY, Primitive, Tensor, apply, as_tensor, grad
from minigan.derivatives import vjp
from minigan.gradcheck import GradientError, gradcheck
from minigan.kernels import kernel
from minigan.primitive import Unsaved
from minigan.samples import SeededDraw

for _package in (ops, theory):
    for _module in pkgutil.iter_modules(_package.__path__, f"{_package.__name__}."):
        importlib.import_module(_module.name)

PLAIN = {
    f"minigan.ops.{name}"
    for name in (
        "choice",
        "conv",
        "elementwise",
        "indexing",
        "linear",
        "logical",
        "normalize",
        "reduction",
        "resample",
        "shape",
    )
}
OF_BOOLS = {
    name for name, op in REGISTRY.items() if op.forward.__module__ == "minigan.ops.logical"
}  # nothing to derive
WRONG_BY_DESIGN = {"stop_gradient", "straight_through"}  # their derivatives are declared; gradcheck must notice
FLOATING = {np.dtype(np.float64): dict(rtol=1e-9, atol=1e-10), np.dtype(np.float32): dict(rtol=1e-4, atol=1e-5)}

FIRST_ORDER_ONLY = sorted(n for n, op in REGISTRY.items() if getattr(op.vjps, "__module__", "") == "minigan.primitive")
SAMPLED = sorted(name for name, op in REGISTRY.items() if op.samples or name not in FIRST_ORDER_ONLY)
DIFFERENTIABLE = [name for name in SAMPLED if REGISTRY[name].vjps is not None and name not in FIRST_ORDER_ONLY]
NOT_CHECKED = {*WRONG_BY_DESIGN, *FIRST_ORDER_ONLY, "one_hot"}  # one_hot: of integers
WITH_OUT = [name for name in SAMPLED if REGISTRY[name].takes_out]
FUSED = [name for name in SAMPLED if REGISTRY[name].equals]
VJPS = [
    pytest.param(op, function, id=f"{name}-{i}")
    for name, op in sorted(REGISTRY.items())
    for i, function in enumerate((op.vjps,) if op.joint else op.vjps or ())
    if name not in FIRST_ORDER_ONLY
]

each = pytest.mark.parametrize("name", SAMPLED)
derived = pytest.mark.parametrize("name", DIFFERENTIABLE)
fused = pytest.mark.parametrize("name", FUSED)


def draw_case(name: str, data: st.DataObject, device: str = "cpu") -> tuple[Primitive, list[Any], dict[str, Any]]:
    op = REGISTRY[name]
    assert op.samples is not None, f"{name} has no samples, so nothing tests it: add samples=... to its registration"
    arrays, params = op.samples(HypothesisDraw(data))
    return op, placed([np.asarray(a) for a in arrays], device), params


def cosines(like: Tensor) -> Tensor:
    """cos 0, cos 1, ... in the shape of `like`, beside it."""
    w = np.cos(np.arange(like.size)).reshape(like.shape).astype(like.dtype)
    return Tensor(backend.to_device(w, like.device))


def bound(op: Primitive, params: dict[str, Any]) -> Callable[..., Tensor]:
    def call(*xs: Any) -> Tensor:
        return apply(op, xs, params)

    call.__qualname__ = f"{op.name}({params})"
    return call


def close(got: Any, expected: Any, **tolerance: float) -> None:
    got = got.numpy() if isinstance(got, Tensor) else got
    expected = expected.numpy() if isinstance(expected, Tensor) else np.asarray(expected)
    assert got.shape == expected.shape
    if got.dtype.kind == "f":
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        tolerance = tolerance or FLOATING[got.dtype]
        np.testing.assert_allclose(got, expected, rtol=tolerance["rtol"], atol=tolerance["atol"] * scale)
    else:
        np.testing.assert_array_equal(got, expected)


def floats_of(arrays: list[np.ndarray], dtype: Any) -> list[np.ndarray]:
    return [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]


def leaves_of(op: Primitive, arrays: list[np.ndarray]) -> list[Tensor]:
    tensors = [Tensor(a) for a in arrays]
    for t in tensors:
        if backend.is_float(t.dtype):
            t.requires_grad = True
    return tensors


# -- enrolment -------------------------------------------------------------------------------------------------------
def test_the_table_is_not_empty() -> None:
    assert {"add", "matmul", "batch_norm", "getitem"} <= set(REGISTRY)
    assert len(SAMPLED) >= 50 and len(DIFFERENTIABLE) >= 40 and {"activation", "dense", "batch_norm"} <= set(FUSED)


@each
def test_has_samples(name: str) -> None:
    op = REGISTRY[name]
    assert op.samples is not None, f"{name} has no samples, so nothing tests it: add samples=... to its registration"
    for seed in range(5):  # as `minigan doctor` draws them
        arrays, params = op.samples(SeededDraw(seed))
        assert np.isfinite(apply(op, tuple(arrays), params).numpy()).all()


@pytest.mark.parametrize("name", FIRST_ORDER_ONLY)
def test_a_kernel_without_a_derivative_raises(name: str) -> None:
    with pytest.raises(NotImplementedError):
        REGISTRY[name].vjps((True,), Tensor(np.ones(1)), None, Tensor(np.ones(1)))


@each
def test_plain_operations_have_a_second_formula(name: str) -> None:
    if REGISTRY[name].forward.__module__ in PLAIN:
        assert name in FORMULAS, f"add {name} to tests/formulas.py"


# -- (a) values ------------------------------------------------------------------------------------------------------
@each_device
@each
@given(data=st.data())
def test_value(name: str, device: str, data: st.DataObject) -> None:
    op, arrays, params = draw_case(name, data, device)
    before = [backend.to_numpy(a.copy()) for a in arrays]
    got = apply(op, tuple(arrays), params)
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(a), b, err_msg=f"{name} wrote into its input")
    with kernel.using("reference"):
        close(apply(op, tuple(before), params), got)  # on the CPU, whatever the device
    if name in FORMULAS:
        close(got, FORMULAS[name](*before, **params))


SPECIAL = np.array([-np.inf, -1e38, -1.0, -1e-45, -0.0, 0.0, 1e-45, 1.0, 1e38, np.inf, np.nan], np.float32)


@each_device
@pytest.mark.parametrize("kind", FUSED_KINDS)
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
def test_fast_activations_treat_special_values_as_the_reference(kind: str, device: str) -> None:
    with kernel.using("reference"):
        values = ops.activation(SPECIAL, kind=kind, slope=0.2).numpy()
    g, y = (a.ravel() for a in np.meshgrid(SPECIAL, values))
    bias = np.array([0.0, 1.0, -np.inf], np.float32)
    results = []
    for kernels, place in (("fast", device), ("reference", "cpu")):
        special, one, b, g, y = placed([SPECIAL, np.ones((1, 3), np.float32), bias, g, y], place)
        with kernel.using(kernels):
            forward = ops.activation(special, kind=kind, slope=0.2)
            added = ops.dense(special[:, None], one, b, activation=kind, slope=0.2)
            results.append((forward, added, ops.activation_backward(g, y, kind=kind, slope=0.2)))
    for fast, plain in zip(*results, strict=True):
        np.testing.assert_allclose(fast.numpy(), plain.numpy(), rtol=1e-6, equal_nan=True)


LARGE = (1_201, 701)  # enough elements for kernels to be split over threads, and no multiple of a vector's length
LARGE_CASES: dict[str, Callable[..., tuple[list[Any], dict[str, Any]]]] = {
    "activation": lambda draw: ([draw.array(LARGE)], {"f": Activation(draw.choice(FUSED_KINDS))}),
    "dense": lambda draw: (
        [draw.array((1_201, 5)), draw.array((5, 701)), draw.array((701,))],
        {"f": Activation("relu")},
    ),
    "bce_with_logits": lambda draw: ([draw.array(LARGE, -9.0, 9.0), draw.array(LARGE, 0.0, 1.0)], {}),
    "batch_norm": lambda draw: ([draw.array(LARGE), draw.array((701,)), draw.array((701,))], {"eps": 0.1}),
    "group_norm": lambda draw: (
        [draw.array((9, 4_801, 30)), draw.array((9, 30), 0.5, 1.5), draw.array((9, 30))],
        {"groups": 5, "eps": 0.1, "f": Activation(draw.choice(FUSED_KINDS))},
    ),
    "layer_norm": lambda draw: ([draw.array((151, 5_003)), draw.array((5_003,)), draw.array((5_003,))], {"eps": 0.1}),
    "window_sum": lambda draw: (
        [draw.array((5, 61, 47, 37))],
        {"window": (3, 2), "stride": (2, 3), "factor": 0.5},
    ),
    "window_spread": lambda draw: (
        [draw.array((5, 31, 23, 37))],
        {"window": (2, 3), "stride": (2, 3), "factor": 1.0, "shape": (5, 62, 69, 37)},
    ),
    "max_pool": lambda draw: ([draw.array((5, 61, 47, 37))], {"window": (3, 2), "stride": (2, 1)}),
    "mean_softplus": lambda draw: ([draw.array(LARGE, -9.0, 9.0)], {"sign": -1.0}),
}


@each_device
@pytest.mark.parametrize("name", LARGE_CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_arrays_over_several_threads(name: str, dtype: Any, device: str) -> None:
    op = REGISTRY[name]
    arrays, params = LARGE_CASES[name](SeededDraw(3))
    results = []
    for kernels, place in (("fast", device), ("reference", "cpu")):
        xs = leaves_of(op, placed(floats_of(arrays, dtype), place))
        with kernel.using(kernels):
            y = apply(op, tuple(xs), params)
            results.append([y, *grad(y, xs, cosines(y))])
    for fast, plain in zip(*results, strict=True):
        close(fast, plain, **({"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else {}))


# -- (b) derivatives -------------------------------------------------------------------------------------------------
@each_device
@pytest.mark.parametrize("name", [n for n in SAMPLED if n not in {*NOT_CHECKED, *OF_BOOLS}])
@given(data=st.data())
def test_derivatives_of_orders_1_and_2(name: str, device: str, data: st.DataObject) -> None:
    op, arrays, params = draw_case(name, data, device)
    assert gradcheck(bound(op, params), tuple(arrays), order=2)


@pytest.mark.parametrize("name", sorted(WRONG_BY_DESIGN))
def test_the_checker_notices_what_is_wrong_by_design(name: str) -> None:
    with pytest.raises(GradientError):
        gradcheck(bound(REGISTRY[name], {}), (np.array([1.0, 2.0]),) * (1 + (name == "straight_through")))


# -- (c) buffers -----------------------------------------------------------------------------------------------------
@each_device
@pytest.mark.parametrize("name", WITH_OUT)
@given(data=st.data())
def test_out_is_filled(name: str, device: str, data: st.DataObject) -> None:
    op, arrays, params = draw_case(name, data, device)
    for dtype in (np.float64, np.float32):
        inputs = [t.data for t in map(as_tensor, floats_of(arrays, dtype))]
        expected = backend.to_numpy(op.forward(*inputs, **params))
        filler = np.full(expected.shape, np.nan if expected.dtype.kind == "f" else 85, expected.dtype)
        (poison,) = placed([filler], device)
        result = op.forward(*inputs, **params, out=poison)
        np.testing.assert_array_equal(backend.to_numpy(poison), expected)
        assert np.may_share_memory(result, poison) or not poison.size


# -- (d) dtypes ------------------------------------------------------------------------------------------------------
@each_device
@each
@given(data=st.data())
def test_float32_is_kept_and_close_to_float64(name: str, device: str, data: st.DataObject) -> None:
    op, arrays, params = draw_case(name, data, device)
    narrow = floats_of(arrays, np.float32)
    wide = floats_of(narrow, np.float64)  # the same rounded numbers
    single, double = apply(op, tuple(narrow), params), apply(op, tuple(wide), params)
    if name in ("cast", "one_hot"):
        assert single.dtype == params["dtype"]
    elif double.dtype.kind == "f":
        assert (single.dtype, double.dtype) == (np.float32, np.float64)
    close(single, double.numpy().astype(single.dtype), rtol=1e-4, atol=1e-5)


@each_device
@derived
@given(data=st.data())
def test_float32_derivatives(name: str, device: str, data: st.DataObject) -> None:
    op, arrays, params = draw_case(name, data, device)
    results = []
    for dtype in (np.float32, np.float64):
        xs = leaves_of(op, floats_of(floats_of(arrays, np.float32), dtype))
        y = apply(op, tuple(xs), params)
        if y.node is None:
            return
        wanted = [x for x in xs if x.node is not None]
        results.append(grad(y, wanted, cosines(y)))
    for single, double in zip(*results, strict=True):
        assert (single.dtype, double.dtype) == (np.float32, np.float64)
        close(single, double.numpy().astype(np.float32), rtol=1e-3, atol=1e-4)


# -- (e) fused = composite -------------------------------------------------------------------------------------------
@each_device
@fused
@given(data=st.data())
def test_fused_equals_composite_at_orders_0_1_2(name: str, device: str, data: st.DataObject) -> None:
    op, arrays, params = draw_case(name, data, device)
    assert op.equals is not None
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]  # what is no float is a constant

    def filled(f: Any) -> Any:
        return lambda *xs: f(*(xs[floats.index(i)] if i in floats else Tensor(a) for i, a in enumerate(arrays)))

    fast, plain = filled(bound(op, params)), filled(lambda *xs: op.equals(*xs, **params))  # type: ignore[misc]
    xs, n = tuple(Tensor(arrays[i]) for i in floats), len(floats)
    close(fast(*xs), plain(*xs))
    if name in FIRST_ORDER_ONLY:
        return
    shapes = (fast(*xs).shape, *(x.shape for x in xs))
    w, *us = placed([SeededDraw(i).array(s) for i, s in enumerate(shapes)], device)

    def pulled(f: Any) -> Any:
        return lambda *args: vjp(f, args[:n], args[n], create_graph=True)[1]

    for graph in (False, True):  # the fused backward kernel, and its composite
        for got, expected in zip(vjp(fast, xs, w, create_graph=graph)[1], vjp(plain, xs, w)[1], strict=True):
            close(got, expected)
    seconds = (vjp(pulled(f), (*xs, w), tuple(us))[1] for f in (fast, plain))
    for got, expected in zip(*seconds, strict=True):
        close(got, expected)


# -- (f) what is kept for the backward walk --------------------------------------------------------------------------
@derived
@settings(max_examples=5)
@given(data=st.data())
def test_only_what_the_vjp_reads_is_kept(name: str, data: st.DataObject) -> None:
    op, arrays, params = draw_case(name, data)
    xs = leaves_of(op, arrays)
    y = apply(op, tuple(xs), params)
    assert y.node is not None
    for i, (x, saved) in enumerate(zip(xs, y.node.saved[1:], strict=True)):
        if op.keep(i + 1):
            assert saved[0] is x.data
        else:
            assert saved == Unsaved(x.shape, x.dtype)
    assert (y.node.saved[0] is not None) == op.keep(0)
    assert not (op.composite and op.joint) or op.keep(0) == op.keeps[0], "a composite does not read the output"
    wanted = [x for x in xs if x.node is not None]
    for graph in (False, True):  # a vjp that reads an Unsaved raises AttributeError or TypeError here
        for g, x in zip(grad(y, wanted, Tensor(np.ones(y.shape)), create_graph=graph), wanted, strict=True):
            assert g.shape == x.shape and np.isfinite(g.numpy()).all()


def uses(code: CodeType, name: str) -> Iterator[dis.Instruction]:
    """The instruction after each one that loads `name`, in a function and the functions inside it."""
    instructions = list(dis.get_instructions(code))
    for this, following in zip(instructions, [*instructions[1:], instructions[-1]], strict=True):
        if this.opname.startswith(("LOAD_FAST", "LOAD_DEREF")) and this.argval == name:
            yield following
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from uses(inner, name)


@pytest.mark.parametrize(("op", "function"), VJPS)
def test_the_underscore_in_a_vjp_is_true(op: Primitive, function: Any) -> None:
    """`_x` reads at most its shape and dtype; `x` is read (otherwise its array is kept in memory for nothing)."""
    assert op.samples is not None
    code, skip = function.__code__, 2 if op.joint else 1
    count = skip + 1 + len(op.samples(SeededDraw(0))[0])  # g, y and the inputs; parameters follow
    extra = code.co_varnames[code.co_argcount + code.co_kwonlyargcount :][: int(bool(code.co_flags & 0x04))]
    for name in code.co_varnames[skip : min(count, code.co_argcount)]:
        following = [i.argval for i in uses(code, name)]
        if name.startswith("_"):
            assert set(following) <= {"shape", "dtype", "ndim"}, f"{name} is read, but only its shape is kept"
        elif not op.composite:  # which reads all inputs
            assert following, f"{name} is never read: call it _{name}, and it will not be kept"
    for name in extra:
        assert name.startswith("_") or list(uses(code, name)), f"*{name} is never read: call it *_{name}"
