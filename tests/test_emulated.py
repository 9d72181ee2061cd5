"""The emulated GPU itself: it refuses what CuPy refuses, its tables are CuPy's, and it finds faults that are planted."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated import host, signatures
from emulated.host import Kernel, KernelError, RawModule

import minigan as mg

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        "emulated" not in sys.modules.get("cupy", sys).__dict__.get("__version__", ""), reason="a GPU works"
    ),
]

# -- kernels: planted faults -------------------------------------------------------------------------------------------
SOURCE = """
__global__ void scale(const float* x, long long n, double by, float* out) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < n) out[i] = by * x[i];
}
__global__ void reads_past(const float* x, long long n, float* out) {
    if (threadIdx.x < n) out[threadIdx.x] = x[threadIdx.x + 8];
}
__global__ void writes_past(long long n, float* out) { out[n + threadIdx.x] = 1; }
__global__ void copies_past(const float* x, long long n, float* out) {
    if (threadIdx.x <= n) out[threadIdx.x] = x[threadIdx.x];
}
__global__ void writes_before(long long n, float* out) { out[-1] = 1; }
__global__ void total(const float* x, float* out) {  // of blockDim.x numbers
    __shared__ float part[128];
    part[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    float sum = 0;
    for (unsigned i = 0; i < blockDim.x; ++i) sum += part[i];
    if (threadIdx.x == 0) out[0] = sum;
}
__global__ void total_without_barrier(const float* x, float* out) {
    __shared__ float part[128];
    part[threadIdx.x] = x[threadIdx.x];
    float sum = 0;
    for (unsigned i = 0; i < blockDim.x; ++i) sum += part[i];
    if (threadIdx.x == 0) out[0] = sum;
}
__global__ void unset(float* out) {
    __shared__ float never[2], set[2];
    set[0] = 3;
    __syncthreads();
    if (threadIdx.x == 0) out[0] = never[0] + set[0];
}
__global__ void last_wins(float* out) { out[0] = threadIdx.x; }
__global__ void last_block_wins(float* out) { out[0] = blockIdx.x; }
__global__ void half_of_it(float* out) {
    if (threadIdx.x < 16) __syncthreads();
    out[threadIdx.x] = 1;
}
__global__ void two_barriers(float* out) {
    if (threadIdx.x < 16)
        __syncthreads();
    else
        __syncthreads();
    out[threadIdx.x] = 1;
}
__global__ void half_a_warp(float* out) {
    float mine = threadIdx.x;
    if (threadIdx.x < 16) mine += __shfl_xor_sync(0xffffffffu, mine, 1);
    out[threadIdx.x] = mine;
}
__global__ void warp_total(const float* x, float* out) {
    float sum = x[threadIdx.x];
    for (int lane = 16; lane > 0; lane /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, lane);
    out[threadIdx.x] = sum;
}
__global__ void traps() {
    if (threadIdx.x == 5) __trap();
}
"""
NAMES = tuple(re.findall(r"__global__ void (\w+)", SOURCE))


def kernel(name: str) -> Kernel:
    return RawModule(code=SOURCE, name_expressions=NAMES).get_function(name)


def on_device(values: Any, dtype: str = "float32") -> Any:
    import cupy

    return cupy.asarray(np.asarray(values, dtype))


def test_a_right_kernel_runs_in_any_order() -> None:
    x, out = on_device(np.arange(100)), on_device(np.zeros(100))
    with host.racecheck():
        kernel("scale")((2,), (64,), (x, np.int64(100), np.float64(0.5), out))
        np.testing.assert_array_equal(out.get(), np.arange(100) / 2)
        kernel("total")((3,), (100,), (x, out))
        assert out[0].item() == 4950
        kernel("warp_total")((1,), (64,), (x, out))
        np.testing.assert_array_equal(out.get()[:64:32], [496, 1520])


LENGTH = 41  # of the arrays: 164 bytes, whose last 12 before the next multiple of 16 are red zone
FAULTS: list[tuple[str, tuple[int, int], str]] = [  # kernel, grid and block, what is said
    ("reads_past", (1, 40), r"reads_past: an access \d+ bytes past the end of an array of 164"),
    ("writes_past", (1, 40), r"writes_past: (wrote beside|an access \d+ bytes past the end of) an array of 164"),
    ("copies_past", (1, 43), r"copies_past: wrote beside an array of 164"),
    ("writes_before", (1, 1), r"writes_before: wrote beside an array of 164"),
    ("total_without_barrier", (1, 40), "total_without_barrier: the result depends on the order of threads"),
    ("last_wins", (1, 40), "last_wins: the result depends"),
    ("last_block_wins", (2, 1), "last_block_wins: the result depends"),
    ("half_of_it", (1, 32), "half_of_it: 16 threads have ended while others wait"),
    ("two_barriers", (1, 32), "two_barriers: threads of a block wait in lines"),
    ("half_a_warp", (1, 32), "half_a_warp: 16 threads have ended while others wait"),
    ("traps", (1, 32), r"traps: __trap\(\) in thread 5 of block 0"),
]


@pytest.mark.parametrize(("name", "shape", "message"), FAULTS, ids=[f[0] for f in FAULTS])
def test_a_fault_is_found(name: str, shape: tuple[int, int], message: str) -> None:
    faulty, x, out = kernel(name), on_device(np.arange(LENGTH)), on_device(np.zeros(LENGTH))
    arrays = [x, out][-faulty.parameters.count("*f") :] if "*f" in faulty.parameters else []
    args = [arrays.pop(0) if p == "*f" else np.int64(LENGTH) for p in faulty.parameters]
    with host.racecheck(), pytest.raises(KernelError, match=message):
        faulty(shape[:1], shape[1:], tuple(args))
    test_a_right_kernel_runs_in_any_order()  # and the next launch is not disturbed


def test_shared_memory_that_nobody_set_is_nan() -> None:
    out = on_device([0])
    kernel("unset")((1,), (2,), (out,))
    assert np.isnan(out.item())


def test_an_array_that_was_dropped_is_nobodys() -> None:
    x, out = on_device(np.arange(100)), on_device(np.zeros(100))
    gone = type("", (), {"data": x.data.ptr, "dtype": x.dtype})()
    gone.data = type("", (), {"ptr": x.data.ptr})()
    del x
    with pytest.raises(KernelError, match="scale: an access"):
        kernel("scale")((2,), (64,), (gone, np.int64(100), np.float64(0.5), out))


def test_arguments_are_those_of_the_signature() -> None:
    x = on_device(np.arange(10))
    good = (x, np.int64(10), np.float64(2), x)
    bad = {
        "got 3 arguments, expected 4": good[:3],
        "argument 0 is ndarray float64, expected an array of float32": (x.astype(np.float64), *good[1:]),
        "argument 0 is ndarray float32, expected an array": (np.zeros(10, np.float32), *good[1:]),
        "argument 1 is int32 int32, expected q8": (x, np.int32(10), *good[2:]),
        "argument 2 is float , expected d8": (*good[:2], 2.0, x),
    }
    for message, args in bad.items():
        with pytest.raises(KernelError, match=message):
            kernel("scale")((1,), (32,), args)
    with pytest.raises(KernelError, match="CUDA refuses"):
        kernel("scale")((0,), (32,), good)
    with pytest.raises(KernelError, match="2000 threads"):
        kernel("scale")((1,), (2000,), good)


def test_an_unknown_instruction_is_named() -> None:
    with pytest.raises(KeyError, match=r"asm: ex2\.approx\.f32%0,%1; is not emulated"):
        host.translated('asm("ex2.approx.f32 %0, %1;" : "=f"(y) : "f"(x));', ())


# -- arrays: the manners of CuPy ---------------------------------------------------------------------------------------
def test_nothing_is_converted_and_nothing_is_mixed() -> None:
    import cupy

    x, own = on_device([[1, 2], [3, 4]]), np.ones((2, 2), np.float32)
    for convert in (np.asarray, np.array, lambda a: own.__setitem__(..., a)):
        with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
            convert(x)
    mixed = (
        lambda: np.concatenate([own, x]),
        lambda: x + own,
        lambda: own + x,
        lambda: cupy.maximum(x, own),
        lambda: np.add(x, own),
        lambda: x @ own,
        lambda: cupy.concatenate([x, own]),
        lambda: np.exp(x, out=own),
        lambda: cupy.where(x > 0, x, own),
    )
    for call in mixed:
        with pytest.raises(TypeError):
            call()
    for write in (lambda: x.fill(own), lambda: x.__setitem__(..., own)):
        with pytest.raises(ValueError, match=r"non-scalar numpy.ndarray cannot be used for fill"):
            write()
    with pytest.raises(ValueError, match="expected a NumPy array of float32"):
        x.set(own.astype(np.float64))
    assert type(x.sum()).__module__ == "cupy" and x.sum().shape == () and type(x[0, 0]).__module__ == "cupy"
    assert (np.exp(x) + np.float32(1)).dtype == np.float32 and (2 * x).get().tolist() == [[2, 4], [6, 8]]
    assert x.T.base is x and x[:1].base is x and (x + 1).base is None and np.may_share_memory(x, x[1])
    assert np.isnan(cupy.empty(3).get()).all()


def test_calls_that_cupy_does_not_know_are_refused() -> None:
    import cupy

    x = on_device([1, 2])
    for call in (
        lambda: x.max(initial=0),
        lambda: x.sum(where=x > 0),
        lambda: cupy.add(x, x, where=x > 0),
        lambda: cupy.concatenate([x], axis=0, casting="no", foo=1),
        lambda: x.item(0),
        lambda: x.astype(np.float64, device="cpu"),
    ):
        with pytest.raises(TypeError):
            call()


REAL = """
import inspect, json, sys, cupy
def parameters(f):
    try:
        return [n for n in inspect.signature(f).parameters if n != "self"]
    except (TypeError, ValueError):
        text = (f.__doc__ or "").splitlines()[0]
        inside = text[text.index("(") + 1 : text.index(")")]
        names = [p.split("=")[0].split(":")[0].strip() for p in inside.split(",")]
        return [n.lstrip("*").split(" ")[-1] for n in names if n not in ("/", "*", "\\\\*")][("ndarray" in text) :]
tables = json.load(sys.stdin)
places = {"methods": cupy.ndarray, "functions": cupy, "linalg": cupy.linalg}
json.dump({k: {n: parameters(getattr(places[k], n)) for n in names} for k, names in tables.items()}, sys.stdout)
"""


@pytest.fixture(scope="module")
def real() -> dict[str, dict[str, list[str]]]:
    """The parameters' names, from the CuPy that is installed; it needs no GPU for that."""
    try:
        importlib.metadata.version("cupy-cuda12x")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip('CuPy is not installed; pip install -e ".[ci]" does that')
    tables = {
        "methods": [*signatures.METHODS, *signatures.OWN_METHODS],
        "functions": [*signatures.FUNCTIONS, *signatures.CREATION],
        "linalg": [*signatures.LINALG],
    }
    done = subprocess.run(
        [sys.executable, "-c", REAL], input=json.dumps(tables), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("table", ["methods", "functions", "linalg"])
def test_signatures_are_those_of_the_cupy_that_is_installed(real: dict[str, dict[str, list[str]]], table: str) -> None:
    ours = {
        "methods": signatures.METHODS | signatures.OWN_METHODS,
        "functions": signatures.FUNCTIONS | signatures.CREATION,
        "linalg": signatures.LINALG,
    }[table]
    assert {name: list(signatures.signature(text).parameters) for name, text in ours.items()} == real[table]


# -- capture -----------------------------------------------------------------------------------------------------------
def test_a_graph_does_again_what_was_captured() -> None:
    import cupy

    x, y = on_device([1, 2, 3]), on_device([0, 0, 0])
    stream, scale, pool = cupy.cuda.Stream(), kernel("scale"), cupy.cuda.MemoryPool()
    with stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        cupy.multiply(x + 1, x, out=y)
        y[0] = 7
        y += 1
        made = y * 1
        scale((1,), (32,), (y, np.int64(3), np.float64(2), y))
        graph = stream.end_capture()
    assert y.tolist() == [0, 0, 0] and np.isnan(made.get()).all()  # nothing has run
    x[...] = 10
    graph.launch(stream)
    assert y.tolist() == [16, 222, 222] and made.tolist() == [8, 111, 111]
    del made
    graph.launch(stream)
    del pool
    with pytest.raises(RuntimeError, match="memory which was given back"):
        graph.launch(stream)


def test_what_a_capture_does_not_allow_is_refused() -> None:
    import cupy

    x = on_device([[1, 2], [3, 4]])
    refused = (
        lambda: x.get(),
        lambda: bool(x[0, 0] > 0),
        lambda: cupy.asarray(np.ones(2)),
        lambda: x.set(np.ones((2, 2), np.float32)),
        lambda: x @ x,
        lambda: cupy.argsort(x),
        lambda: cupy.nonzero(x),
        lambda: x[[0, 1]],
        lambda: cupy.cuda.Device().synchronize(),
        lambda: x[x > 1],
        lambda: x + 1,  # of the default pool
        lambda: cupy.concatenate([x] * 9),
        lambda: cupy.linalg.det(x),
        lambda: kernel("traps"),
    )
    for call in refused:
        with cupy.cuda.Stream() as stream:
            stream.begin_capture()
            with pytest.raises(RuntimeError, match="not permitted when a stream is capturing"):
                call()
            with pytest.raises(RuntimeError, match="Invalidated"):
                stream.end_capture()
    with pytest.raises(RuntimeError, match="default"):
        cupy.cuda.get_current_stream().begin_capture()


def test_a_first_run_on_a_device_can_be_told_to_measure(capsys: pytest.CaptureFixture[str]) -> None:
    """bench/gpu_first_run.py calls kernels as they are called today, and its graph reads what the device holds."""
    path = Path(__file__).parents[1] / "bench" / "gpu_first_run.py"
    found = importlib.util.spec_from_file_location("gpu_first_run", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    module.capture()
    module.bandwidth(1 << 10)
    module.steps(1, (("toy", 8),))
    told = capsys.readouterr().out
    assert "the counter is read by the graph: True" in told and "the learning rate is read by the graph: True" in told
    assert "its derivative" in told and "highest  toy    batch 8" in told


def test_no_array_is_moved_in_silence() -> None:
    """Whichever comes first; numbers go where the arrays are."""
    own = np.ones((2, 3), np.float32)
    there = mg.tensor(on_device(own))
    calls = (
        lambda: mg.ops.add(there, own),
        lambda: mg.ops.add(own, there),
        lambda: own * there,
        lambda: mg.ops.add(own, there.data),
        lambda: mg.ops.where(own > 0, there, there),
        lambda: mg.ops.concatenate([own, there]),
        lambda: mg.ops.matmul(own, there.T),
    )
    for call in calls:
        with pytest.raises(TypeError, match=r"on the cpu.*minigan\.backend\.to_device brings arrays together"):
            call()
    assert (2 * there + np.float32(1) + np.array(1.0, np.float32)).device == "gpu"
