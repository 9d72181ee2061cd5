"""What of a first run on a GPU is no test: `python bench/gpu_first_run.py compile|capture|bandwidth|steps`.

`bench/gpu_first_run.sh` calls all four. `compile` names each kernel's registers and spills and what its compilation takes;
`capture` asks whether own kernels go into a CUDA graph, which then reads counter and hyper-parameters anew; `bandwidth` compares
kernels that are bound by memory with a copy; `steps` times the recorded step of three models.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan import backend, gans
from minigan.activation import Activation

SLOW = 0.2  # s of a kernel's compilation, from which on it is named
LEAKY = Activation("leaky_relu")


def seconds(call: Callable[[], Any], calls: int) -> float:
    """Of one call on the device, on average."""
    import cupy

    for _ in range(3):
        call()
    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    begin.record()
    for _ in range(calls):
        call()
    end.record()
    end.synchronize()
    return float(cupy.cuda.get_elapsed_time(begin, end)) / calls * 1e-3


def compile_all() -> None:
    """Every kernel: seconds, registers, spills."""
    from minigan.kernels.gpu import compiler as gpu_compile
    from minigan.kernels.gpu import launch as gpu_launch

    begin = time.perf_counter()
    for file in gpu_compile.KERNELS:
        for name in gpu_compile.kernel_names(file):
            start = time.perf_counter()
            found = gpu_launch._function(name).attributes
            took = time.perf_counter() - start
            if took > SLOW or found["local_size_bytes"]:
                spills = f"{found['local_size_bytes']} B spilled, {found['shared_size_bytes']} B shared"
                print(f"{name}: {took:.2f} s, {found['num_regs']} registers, {spills}")
    print(f"all kernels: {time.perf_counter() - begin:.1f} s")


def capture() -> None:
    """A graph of own kernels, launched with another counter and another learning rate."""
    import cupy

    from minigan.kernels import reference as kernels
    from minigan.kernels.geometry import of_conv

    on = cupy.asarray
    rng = np.random.default_rng(0)
    geometry = of_conv((1,), 1, "valid", 1, (1,))
    x, w = (on(rng.standard_normal(s).astype(np.float32)) for s in ((256, 1, 128), (1, 128, 128)))
    y, loss, words = cupy.zeros((256, 1, 128), np.float32), cupy.zeros((), np.float32), cupy.zeros(512, np.uint32)
    counter, hyper = on(np.zeros(3, np.uint32)), on(np.array([1e-3, 0.5, 0.999, 1e-8, 0.0, 1.0]))
    player = [[on(np.ones(5000, np.float32))] for _ in range(4)]

    def step() -> None:
        kernels.philox((1, 2), counter, words)
        kernels.conv(x, w, None, geometry, Activation("relu"), y)
        kernels.adam(*player, hyper)
        kernels.mean_softplus(y, 1.0, loss)

    stream, pool = cupy.cuda.Stream(), cupy.cuda.MemoryPool()
    with cupy.cuda.using_allocator(pool.malloc), stream:
        step()
        stream.synchronize()
        stream.begin_capture()
        step()
        graph = stream.end_capture()
    counter[0] = 7
    hyper[0] = 0.0
    before, want = player[0][0].copy(), cupy.zeros(512, np.uint32)
    cupy.cuda.Device().synchronize()
    graph.launch(stream)
    stream.synchronize()
    kernels.philox((1, 2), (7, 0, 0), want)
    for name, right in {
        "the counter is read by the graph": bool((words == want).all()),
        "the learning rate is read by the graph": bool((player[0][0] == before).all()),
    }.items():
        print(f"{name}: {right}")
        if not right:
            sys.exit(1)
    print(
        f"a graph of 4 kernels {1e6 * seconds(lambda: graph.launch(stream), 50):.0f} us, without {1e6 * seconds(step, 50):.0f} us"
    )


def bandwidth(size: int = 1 << 25) -> None:
    """TB/s of kernels that are bound by memory, beside a copy's."""
    import cupy

    from minigan.kernels import reference as k

    x, y, z = (cupy.empty(size, np.float32) for _ in range(3))
    for stream, array in enumerate((x, y, z)):
        k.normal((1, 2), (stream, 0, 0), array)
    v, words = cupy.abs(z), cupy.empty(size, np.uint32)
    hyper = cupy.asarray(np.array([1e-3, 0.5, 0.999, 1e-8, 0.0, 1.0]))
    rows, out, d = x.reshape(-1, 64), cupy.empty((size // 64, 64), np.float32), cupy.empty((size // 64, 64), np.float32)
    one, statistics = cupy.ones(64, np.float32), cupy.empty((2, 64), np.float32)
    cases: dict[str, tuple[int, Callable[[], Any]]] = {  # bytes an element
        "copy (the ceiling)": (8, lambda: cupy.copyto(y, x)),
        "adam": (28, lambda: k.adam([x], [y], [z], [v], hyper)),
        "activation": (8, lambda: k.bias_activation(rows, one, LEAKY, out)),
        "batch norm": (12, lambda: k.batch_norm(rows, one, one, 1e-5, LEAKY, out, statistics)),
        "its derivative": (
            28,
            lambda: k.batch_norm_backward(
                rows, rows, out, one, 1e-5, LEAKY, d, cupy.empty_like(one), cupy.empty_like(one)
            ),
        ),
        "philox": (4, lambda: k.philox((1, 2), (3, 4, 5), words)),
        "normal": (4, lambda: k.normal((1, 2), (3, 4, 5), z)),
    }
    for name, (width, call) in cases.items():
        print(f"{name:20s} {width * size / max(seconds(call, 20), 1e-12) / 1e12:6.2f} TB/s")


def steps(
    count: int = 150, models: tuple[tuple[str, int], ...] = (("toy", 256), ("mlp", 64), ("dcgan", 64), ("dcgan", 256))
) -> None:
    """Milliseconds of a recorded step: until it is queued, and on the device."""
    import cupy

    for precision in backend.PRECISIONS:
        with backend.matmul_precision(precision):
            for name, batch in models:
                kind = gans.get(name)
                shape = (2,) if name == "toy" else (28, 28, 1)
                model = kind(kind.Config(batch_size=batch), shape, device="gpu")
                x = np.random.default_rng(0).uniform(-1, 1, (batch, *shape)).astype(np.float32)
                resident = backend.to_device(x, "gpu")
                for _ in range(5):
                    model.game.step(resident)
                begin = time.perf_counter()
                device = seconds(lambda game=model.game, batch=resident: game.step(batch), count)
                queued = (time.perf_counter() - begin) / (count + 3)
                pool = cupy.get_default_memory_pool().total_bytes() >> 20
                print(
                    f"{precision:8s} {name:6s} batch {batch}: {1e3 * device:.3f} ms, with the host {1e3 * queued:.3f}, {pool} MiB"
                )


PARTS: dict[str, Callable[[], None]] = {
    "compile": compile_all,
    "capture": capture,
    "bandwidth": bandwidth,
    "steps": steps,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    chosen = parser.parse_args().part
    if problem := backend.gpu_problem():
        sys.exit(f"no GPU: {problem}")
    PARTS[chosen]()
