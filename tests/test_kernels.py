"""Every kernel of the registry on every device against its reference in float64, at odd sizes, eagerly and planned.

There is no list here: a kernel without samples (`kernel_samples.py`) fails. What a kernel fills arrives as NaN, so that an
element it forgets is seen. A plan must leave the same bits as an eager call.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from devices import each_device
from kernel_samples import SAMPLES, SIZES, Case, Size

from minigan.backend import Array, device_of, to_device, to_numpy
from minigan.kernels import reference as kernels
from minigan.kernels.kernel import KERNELS, Kernel

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def each(value: Any, function: Any) -> Any:
    """The function of an array, or of each of a list; anything else as it is."""
    if isinstance(value, list):
        return [each(part, function) for part in value]
    return function(value) if hasattr(value, "dtype") else value


def moved(case: Case, device: str) -> list[Any]:
    """The arguments on a device, in arrays of their own, which lie in memory as before."""
    return [each(v, lambda a: to_device(a.copy(order="K") if device == "cpu" else a, device)) for v in case.args]


def exact(kernel: Kernel[..., Any], case: Case) -> list[Any]:
    """The arguments after the reference has had them in double precision."""
    args = [each(v, lambda a: a.astype(np.float64) if a.dtype.kind == "f" else a.copy()) for v in case.args]
    kernel.reference(*args)
    return args


def results(kernel: Kernel[..., Any], case: Case, args: list[Any]) -> list[np.ndarray]:
    """The arrays that were filled or changed, on the CPU."""
    bound = dict(zip(kernel.signature.parameters, args, strict=False))
    found = [bound[name] for name in (*case.fills, *case.changes)]
    return [to_numpy(a) for value in found for a in (value if isinstance(value, list) else [value])]


def close(got: np.ndarray, want: np.ndarray, dtype: str, scale: float) -> None:
    """Of one shape, and within `scale` tolerances of the largest value; integers equal."""
    assert got.shape == want.shape
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    tolerance = scale * TOLERANCE[got.dtype.name]
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * max(1.0, np.abs(want).max(initial=0)))


@each_device
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(KERNELS))
def test_every_kernel_is_its_reference_and_its_plan(
    name: str, dtype: str, device: str, request: pytest.FixtureRequest
) -> None:
    if device == "gpu":
        request.getfixturevalue("race_free")
        request.getfixturevalue("few_blocks")
    kernel, planned = KERNELS[name], 0
    for rows, channels in SIZES:
        cases = list(SAMPLES[name](Size(rows, channels, dtype)))
        assert cases
        for case in cases:
            eager, replayed = moved(case, device), moved(case, device)
            kernel(*eager)
            got = results(kernel, case, eager)
            for g, w in zip(got, results(kernel, case, exact(kernel, case)), strict=True):
                close(g, w, dtype, case.scale)
            if (job := kernel.plan(*replayed)) is not None:
                planned += 1
                job()
                for g, r in zip(got, results(kernel, case, replayed), strict=True):
                    np.testing.assert_array_equal(g, r)
    if dtype == "float32":
        assert bool(planned) == kernel.planned(device)  # the sizes reach what is planned


def test_samples_are_of_kernels() -> None:
    assert set(SAMPLES) == set(KERNELS)


# -- the law ---------------------------------------------------------------------------------------------------------
def stated() -> Kernel[..., Any]:
    """A kernel outside of the registry."""

    def scaled(x: Array, factor: float, out: Array, power: int = 1) -> None:
        out[...] = factor * x**power

    return Kernel(scaled)


def other_name(x: Array, scale: float, out: Array, power: int = 1) -> None: ...
def other_order(factor: float, x: Array, out: Array, power: int = 1) -> None: ...
def other_default(x: Array, factor: float, out: Array, power: int = 2) -> None: ...
def other_kind(x: Array, factor: float, out: Array, *, power: int = 1) -> None: ...
def one_less(x: Array, factor: float, out: Array) -> None: ...
def the_same(x: Array, factor: float, out: Array, power: int = 1) -> None: ...


@pytest.mark.parametrize("function", [other_name, other_order, other_default, other_kind, one_less])
def test_an_implementation_that_differs_is_refused(function: Any) -> None:
    for register in (stated().on, stated().planned_on):
        with pytest.raises(TypeError, match=rf"^kernel scaled: got .*{function.__name__}.*expected the parameters of"):
            register("cpu")(function)


def test_registrations_that_make_no_sense_are_refused() -> None:
    kernel = stated()
    kernel.on("cpu")(the_same)
    with pytest.raises(TypeError, match="for a device that has one"):
        kernel.planned_on("cpu")(the_same)
    with pytest.raises(TypeError, match=r"got device 'tpu' .*expected one of"):
        kernel.on("tpu")(the_same)
    with pytest.raises(TypeError, match="expected a parameter annotated Array"):
        Kernel(lambda n: None)

    def total(x: Array) -> Array:
        return x.sum()

    with pytest.raises(TypeError, match="returns Array, expected None"):
        Kernel(total).planned_on("cpu")(lambda x: None)  # type: ignore[arg-type,return-value]


def test_a_plan_that_gains_nothing_and_a_missing_implementation_are_the_reference() -> None:
    x, out = np.arange(3.0), np.empty(3)
    for kernel in (stated(), stated()):
        assert kernel.plan(x, 2.0, out) is None
        kernel(x, 2.0, out)
        assert out.tolist() == [0, 2, 4]
        kernel.planned_on("cpu")(lambda x, factor, out, power=1: None)
        kernel(x, 3.0, out, power=2)
        assert out.tolist() == [0, 3, 12]


def test_eager_is_the_plan_run_once() -> None:
    ran: list[str] = []
    kernel = stated()

    @kernel.planned_on("cpu")
    def scaled(x: Array, factor: float, out: Array, power: int = 1) -> Any:
        return lambda: ran.append(device_of(out))

    kernel(np.ones(2), 2.0, np.ones(2))
    job = kernel.plan(np.ones(2), 2.0, np.ones(2))
    assert ran == ["cpu"] and job is not None
    job()
    assert ran == ["cpu", "cpu"]


def test_kernels_of_no_arrays_do_nothing() -> None:
    kernels.ema([], [], np.array([0.9]))


def test_every_kernel_says_what_it_computes() -> None:
    for kernel in KERNELS.values():
        assert kernel.__doc__ and all(p.annotation is not inspect.Parameter.empty for p in parameters(kernel)), kernel


def parameters(kernel: Kernel[..., Any]) -> Sequence[inspect.Parameter]:
    """What a kernel takes."""
    return list(kernel.signature.parameters.values())
