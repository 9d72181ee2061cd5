"""Every convolution of two DCGANs by itself: milliseconds and GFLOP/s of its three maps, minigan beside PyTorch.

    python bench/conv_layers.py [--torch-python /path/python] [--threads 2] [--rounds 7] [--nets dcgan28 dcgan64] [--out FILE.md]

A layer has three maps: forward, the gradient of its input and the gradient of its weight. minigan's are the kernels of
`minigan.kernels` (a planned job where there is one), PyTorch's are conv2d, conv_transpose2d and autograd in a process of
its own, contiguous and channels_last, of which the better is quoted. All take turns, round after round, each for some
20 ms, so that a change in the machine's speed touches all; a cell shows the fastest round and the median.

Two counts of the same work. Dense: 2 N (positions of the smaller map) (taps) (in) (out), what a plain product over padded
patches multiplies. True: without the multiplications by padding, `Geometry.pairs()`. A fast algorithm (Winograd) multiplies
less than either, so a share of the peak above 1 is possible. The peak is the best sgemm of 1024 x 1024 x 1024 by minigan or
NumPy, tried after each layer of the same run.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from step_time import cpu_model, publish

WORKER = Path(__file__).parent / "peers" / "torch_layers.py"
MAPS = ("forward", "input", "weight")
BLOCK_SECONDS = 0.02
PEAK = 1024  # edge of the product that the peak is measured with


@dataclass(frozen=True)
class Layer:
    """A convolution or transposed convolution on square maps. `padding` is minigan's; `torch_padding` has as many taps."""

    net: str
    name: str
    transposed: bool
    batch: int
    side: int
    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: Any
    torch_padding: int
    output_padding: int = 0

    def geometry(self) -> Any:
        """The index relation; for a transposed layer `small` is the side of its input."""
        from minigan.kernels import geometry

        make = geometry.of_transpose if self.transposed else geometry.of_conv
        return make((self.kernel,) * 2, self.stride, self.padding, 1, (self.side,) * 2)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """minigan's layout: (*kernel, in, out) of the convolution, or of the one that a transposed layer is the adjoint of."""
        channels = (self.outputs, self.inputs) if self.transposed else (self.inputs, self.outputs)
        return (self.kernel, self.kernel, *channels)

    def flops(self) -> tuple[int, int]:
        """(true, dense) floating-point operations, the same for all three maps."""
        geometry = self.geometry()
        channels = 2 * self.batch * self.inputs * self.outputs
        return channels * geometry.pairs(), channels * geometry.taps * geometry.small[0] * geometry.small[1]


def same(net: str, name: str, transposed: bool, batch: int, side: int, inputs: int, outputs: int, stride: int) -> Layer:
    """A 5x5 layer with padding "same"."""
    extra = stride - 1 if transposed else 0
    return Layer(net, name, transposed, batch, side, inputs, outputs, 5, stride, "same", 2, extra)


def layers(nets: list[str]) -> Iterator[Layer]:
    """DCGAN-28 (the bench's `dcgan`): G at batch 64, D at 64 and 128. DCGAN-64 (Radford et al. 2015): G's 4x4/2 layers."""
    if "dcgan28" in nets:
        yield same("dcgan28", "G 7 -> 7", True, 64, 7, 256, 128, 1)
        yield same("dcgan28", "G 7 -> 14", True, 64, 7, 128, 64, 2)
        yield same("dcgan28", "G 14 -> 28", True, 64, 14, 64, 1, 2)
        for batch in (64, 128):
            yield same("dcgan28", "D 28 -> 14", False, batch, 28, 1, 64, 2)
            yield same("dcgan28", "D 14 -> 7", False, batch, 14, 64, 128, 2)
    if "dcgan64" in nets:
        for i, (inputs, outputs) in enumerate(itertools.pairwise((512, 256, 128, 64, 3))):
            side = 4 << i
            yield Layer("dcgan64", f"G {side} -> {2 * side}", True, 64, side, inputs, outputs, 4, 2, 1, 1)


# -- minigan's side --------------------------------------------------------------------------------------------------
def arrays(layer: Layer) -> tuple[Any, Any, Any]:
    """(x on the big side, weight, g on the small side), float32, of ordinary size."""
    import numpy as np

    rng, geometry = np.random.default_rng(0), layer.geometry()
    w = rng.standard_normal(layer.weight_shape, dtype=np.float32) * np.float32(0.02)
    x = rng.standard_normal((layer.batch, *geometry.big, w.shape[2]), dtype=np.float32)
    g = rng.standard_normal((layer.batch, *geometry.small, w.shape[3]), dtype=np.float32)
    return x, w, g


def our_jobs(layer: Layer) -> dict[str, Callable[[], Any]]:
    """A function for each map. A transposed layer's forward is `conv_transpose` and its input gradient `conv`."""
    import numpy as np

    from minigan.activation import LINEAR
    from minigan.kernels import reference as kernels

    (x, w, g), geometry = arrays(layer), layer.geometry()
    conv = planned(kernels.conv, x, w, None, geometry, LINEAR, np.empty_like(g))
    transpose = planned(kernels.conv_transpose, g, w, None, geometry, LINEAR, np.empty_like(x))
    weight = planned(kernels.conv_weight, x, g, geometry, np.empty_like(w))
    forward, gradient = (transpose, conv) if layer.transposed else (conv, transpose)
    return {"forward": forward, "input": gradient, "weight": weight}


def planned(kernel: Any, *arguments: Any) -> Callable[[], Any]:
    """The planned job of a kernel, or a plain call where nothing is planned. It keeps its arguments."""
    job = kernel.plan(*arguments)
    return partial(_run, job, arguments) if job else partial(kernel, *arguments)


def _run(job: Callable[[], Any], _kept: Any) -> None:
    job()


def algorithms(layer: Layer) -> dict[str, str]:
    """The algorithm that minigan's cost model takes for each map."""
    from minigan import ops

    x, w, g = arrays(layer)
    names = ("conv_transpose", "conv", "conv_weight") if layer.transposed else ("conv", "conv_transpose", "conv_weight")
    found = {}
    for kind, name in zip(MAPS, names, strict=True):
        source = g if name == "conv_transpose" else x
        size = layer.geometry().big if name == "conv_transpose" else None
        plan = ops.conv_plan(
            source.shape, w.shape, which=name, stride=layer.stride, padding=layer.padding, output_size=size
        )
        found[kind] = plan.algorithm
    return found


def block(job: Callable[[], Any], count: int) -> float:
    """Milliseconds a call, over `count` calls."""
    start = time.perf_counter()
    for _ in range(count):
        job()
    return 1e3 * (time.perf_counter() - start) / count


def calls_for(job: Callable[[], Any]) -> int:
    """How many calls fill a block, after two to warm up."""
    block(job, 2)
    return max(1, round(1e3 * BLOCK_SECONDS / block(job, 1)))


# -- PyTorch's side --------------------------------------------------------------------------------------------------
class Torch:
    """The other process: a layer in, then rounds of milliseconds out, as lines of JSON. Without an interpreter, nothing."""

    def __init__(self, python: str, threads: int) -> None:
        self.process = None
        if python:
            command = [python, str(WORKER), str(threads)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **question: Any) -> Any:
        """One line there, one line back."""
        if self.process is None:
            return {}
        assert self.process.stdin and self.process.stdout
        print(json.dumps(question), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the PyTorch process ended; its message is above")
        time.sleep(0.005)  # its threads go on spinning for a moment
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            assert self.process.stdin
            self.process.stdin.close()
            self.process.wait()


# -- measuring and telling -------------------------------------------------------------------------------------------
Times = dict[tuple[str, str], list[float]]  # (who, which map) -> a number a round


def measure(layer: Layer, torch: Torch, rounds: int) -> Times:
    """All maps of a layer by everybody, in turns."""
    torch.ask(layer=asdict(layer), seconds=BLOCK_SECONDS)
    jobs = our_jobs(layer)
    counts = {kind: calls_for(job) for kind, job in jobs.items()}
    times: Times = {}
    for _ in range(rounds):
        for kind, job in jobs.items():
            times.setdefault(("minigan", kind), []).append(block(job, counts[kind]))
            for layout, ms in torch.ask(kind=kind).items():
                times.setdefault((layout, kind), []).append(ms)
    return times


def sgemm_jobs() -> dict[str, Callable[[], Any]]:
    """The products that stand for the machine's peak."""
    import numpy as np

    from minigan.kernels import reference as kernels

    a, b = np.random.default_rng(0).standard_normal((2, PEAK, PEAK), dtype=np.float32)
    out = np.empty_like(a)
    ours = planned(kernels.matmul, a, b, out)
    return {"minigan": ours, "NumPy": lambda: np.matmul(a, b, out=out)}


class Peak:
    """The best GFLOP/s of each product so far; looked at again between layers."""

    def __init__(self) -> None:
        self.jobs = sgemm_jobs()
        self.best = dict.fromkeys(self.jobs, 0.0)

    def look(self) -> None:
        """One block of each."""
        for name, job in self.jobs.items():
            self.best[name] = max(self.best[name], 2e-6 * PEAK**3 / block(job, calls_for(job)))


def cell(ms: list[float]) -> str:
    """Fastest round and median."""
    return f"{min(ms):.2f} / {statistics.median(ms):.2f}"


def row(layer: Layer, kind: str, times: Times, peak: float, algorithm: str) -> str:
    """One line of the table."""
    ours, (true, dense) = times["minigan", kind], layer.flops()
    theirs = {who: ms for (who, k), ms in times.items() if k == kind and who != "minigan"}
    best = min(theirs, key=lambda who: min(theirs[who]), default="")
    rate = 1e-6 * true / min(ours)
    cells = [
        f"{layer.net} {layer.name}, {layer.inputs} -> {layer.outputs}, batch {layer.batch}",
        kind,
        cell(ours),
        f"{cell(theirs[best])} {best}" if best else "-",
        f"{min(ours) / min(theirs[best]):.2f}" if best else "-",
        f"{rate:.0f}",
        f"{1e-6 * dense / min(ours):.0f}",
        f"{rate / peak:.2f}",
        f"{1e-6 * true / min(theirs[best]) / peak:.2f}" if best else "-",
        algorithm or "-",
    ]
    return f"| {' | '.join(cells)} |"


def report(args: argparse.Namespace) -> list[str]:
    """Measure everything; Markdown."""
    torch, peak = Torch(args.torch_python, args.threads), Peak()
    results = []
    for layer in layers(args.nets):
        results.append((layer, measure(layer, torch, args.rounds)))
        peak.look()
        print(f"{layer.net} {layer.name} batch {layer.batch}", file=sys.stderr)
    torch.close()
    top = max(peak.best.values())
    lines = [
        f"{datetime.date.today()}, {cpu_model()}, {args.threads} threads, {args.rounds} rounds; sgemm of {PEAK}: "
        + ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in peak.best.items()),
        "",
        "Milliseconds: fastest round / median. GFLOP/s and shares of the peak are of the fastest round; true: without the "
        "multiplications by padding; dense: with them.",
        "",
        "| layer | map | minigan, ms | PyTorch, ms | minigan / PyTorch | true GFLOP/s | dense GFLOP/s | true / peak | "
        "PyTorch's true / peak | algorithm |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for layer, times in results:
        named = algorithms(layer)
        lines += [row(layer, kind, times, top, named.get(kind, "")) for kind in MAPS]
    return [*lines, ""]


def main() -> None:
    """Read the command line before NumPy and Numba start their threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", default="", help="an interpreter with PyTorch; without it, minigan alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--nets", nargs="+", default=["dcgan28", "dcgan64"], choices=["dcgan28", "dcgan64"])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MINIGAN_THREADS"] = str(args.threads)
    text = "\n".join(report(args))
    publish(text, args.out)


if __name__ == "__main__":
    main()
