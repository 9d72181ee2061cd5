"""Microseconds a convolution layer of DCGAN takes on the GPU: minigan's kernels and PyTorch's cuDNN, TF32 off and on.

    python bench/gpu_conv.py [--batch 64 256] [--rounds 30] [--calls 10] > table.md

Forward is convolution + bias + leaky ReLU (fused in minigan, eager in PyTorch); then the gradient of the input (which is also
the forward pass of the generator's transposed layer) and the gradient of the weights. Both libraries get the same numbers,
channels last, and their results are compared before they are timed. A time is the median over rounds of `--calls` calls
between two CUDA events, so what a call costs to queue is included where it exceeds the work. Operands stay the same from call
to call: those that fit in the L2 cache are read from it, in both libraries.

Exit codes: 0 done, 1 results differ, 2 no GPU or no PyTorch that sees it.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import gpu_problem, matmul_precision
from minigan.kernels.geometry import Geometry, of_conv

SLOPE = 0.2
WORK = ("forward", "input gradient", "weight gradient")
AGREE = {"highest": 1e-3, "high": 1e-2}  # of the largest value; cuDNN may choose an algorithm such as Winograd's


class Layer(NamedTuple):
    """A convolution from (size, size, inputs) to channels `outputs`."""

    name: str
    size: int
    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int

    def geometry(self) -> Geometry:
        return of_conv((self.kernel,) * 2, self.stride, self.padding, 1, (self.size,) * 2)


LAYERS = (
    Layer("DCGAN-28 1", 28, 1, 64, 5, 2, 2),
    Layer("DCGAN-28 2", 14, 64, 128, 5, 2, 2),
    Layer("DCGAN-28 3", 7, 128, 256, 5, 1, 2),
    Layer("DCGAN-64 1", 64, 3, 64, 4, 2, 1),
    Layer("DCGAN-64 2", 32, 64, 128, 4, 2, 1),
    Layer("DCGAN-64 3", 16, 128, 256, 4, 2, 1),
    Layer("DCGAN-64 4", 8, 256, 512, 4, 2, 1),
)


def missing() -> str:
    """Why nothing can be measured here; empty if it can."""
    if problem := gpu_problem():
        return f"no GPU: {problem}"
    try:
        import torch
    except ImportError as error:
        return f"no PyTorch ({error}); install it with: pip install 'minigan[bench]'"
    return "" if torch.cuda.is_available() else f"PyTorch {torch.__version__} finds no GPU"


def operands(layer: Layer, batch: int) -> dict[str, np.ndarray]:
    """Random x, w, bias and g, channels last."""
    rng, geometry = np.random.default_rng(0), layer.geometry()
    shapes = {
        "x": (batch, *geometry.big, layer.inputs),
        "w": (*geometry.kernel, layer.inputs, layer.outputs),
        "bias": (layer.outputs,),
        "g": (batch, *geometry.small, layer.outputs),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


Calls = dict[str, Callable[[], Any]]  # by WORK; each returns the result in minigan's layout, on the GPU


def minigan_calls(layer: Layer, arrays: dict[str, np.ndarray]) -> Calls:
    """Our kernels, writing into arrays made once."""
    import cupy

    from minigan.activation import LINEAR, Activation
    from minigan.kernels import reference as kernels

    x, w, bias, g = (cupy.asarray(arrays[name]) for name in ("x", "w", "bias", "g"))
    y, dx, dw, geometry = cupy.empty_like(g), cupy.empty_like(x), cupy.empty_like(w), layer.geometry()

    def forward() -> Any:
        kernels.conv(x, w, bias, geometry, Activation("leaky_relu", SLOPE), y)
        return y

    def input_gradient() -> Any:
        kernels.conv_transpose(g, w, None, geometry, LINEAR, dx)
        return dx

    def weight_gradient() -> Any:
        kernels.conv_weight(x, g, geometry, dw)
        return dw

    return dict(zip(WORK, (forward, input_gradient, weight_gradient), strict=True))


def torch_calls(layer: Layer, arrays: dict[str, np.ndarray]) -> Calls:
    """cuDNN through PyTorch, eager, memory format channels_last."""
    import torch
    from torch.nn import functional

    def images(name: str) -> Any:
        return torch.from_numpy(arrays[name]).cuda().permute(0, 3, 1, 2)  # channels_last as it stands

    x, g, bias = images("x"), images("g"), torch.from_numpy(arrays["bias"]).cuda()
    w = torch.from_numpy(arrays["w"]).cuda().permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    steps = ([layer.stride] * 2, [layer.padding] * 2, [1, 1])

    def forward() -> Any:
        return functional.leaky_relu(functional.conv2d(x, w, bias, *steps), SLOPE).permute(0, 2, 3, 1)

    def backward(mask: list[bool]) -> Any:
        return torch.ops.aten.convolution_backward(g, x, w, None, *steps, False, [0, 0], 1, mask)

    return {
        WORK[0]: forward,
        WORK[1]: lambda: backward([True, False, False])[0].permute(0, 2, 3, 1),
        WORK[2]: lambda: backward([False, True, False])[1].permute(2, 3, 1, 0),
    }


def minigan_time(call: Callable[[], Any], rounds: int, calls: int) -> float:
    """Median microseconds a call."""
    import cupy

    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    return median_time(call, begin, end, lambda: cupy.cuda.get_elapsed_time(begin, end), rounds, calls)


def torch_time(call: Callable[[], Any], rounds: int, calls: int) -> float:
    """Median microseconds a call."""
    import torch

    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    return median_time(call, begin, end, lambda: begin.elapsed_time(end), rounds, calls)


def median_time(
    call: Callable[[], Any], begin: Any, end: Any, elapsed: Callable[[], float], rounds: int, calls: int
) -> float:
    """After three calls to warm up (compilation, cuDNN's choice of algorithm)."""
    for _ in range(3):
        call()
    times = []
    for _ in range(rounds):
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        times.append(elapsed() * 1e3 / calls)
    return statistics.median(times)


def set_precision(name: str) -> None:
    """The same for both libraries."""
    import torch

    matmul_precision(name)
    torch.backends.cudnn.allow_tf32 = name == "high"
    torch.backends.cuda.matmul.allow_tf32 = name == "high"


def difference(ours: Any, theirs: Any) -> float:
    """Largest, of the largest value."""
    a, b = ours.get(), theirs.cpu().numpy()
    return float(np.abs(a - b).max() / np.abs(b).max())


def row(layer: Layer, batch: int, work: str, ours: Calls, theirs: Calls, args: argparse.Namespace) -> tuple[str, bool]:
    """One line of the table, and whether the results agree in both precisions."""
    operations = 2 * layer.geometry().pairs() * batch * layer.inputs * layer.outputs
    cells, agree = [], True
    for precision in ("highest", "high"):
        set_precision(precision)
        error = difference(ours[work](), theirs[work]())
        if not error <= AGREE[precision]:
            print(f"{layer.name}, {work}, {precision}: results differ by {error:.1e}", file=sys.stderr)
            agree = False
        mine = minigan_time(ours[work], args.rounds, args.calls)
        torch = torch_time(theirs[work], args.rounds, args.calls)
        cells += [f"{mine:.1f}", f"{torch:.1f}", f"{mine / torch:.2f}", f"{operations / mine / 1e6:.1f}"]
    return f"| {layer.name} | {batch} | {work} | {operations / 1e9:.2f} | {' | '.join(cells)} |", agree


def heading() -> str:
    """Where and when, and the head of the table."""
    import cupy
    import torch

    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    versions = f"CuPy {cupy.__version__}, PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}"
    columns = ["minigan", "PyTorch", "ratio", "TFLOP/s"]
    head = ["layer", "batch", "work", "GFLOP", *columns, *(f"{c}, TF32" for c in columns)]
    return "\n".join(
        [
            f"{name}, {datetime.date.today()}; {versions}. Median microseconds a call; TFLOP/s is minigan's.",
            "",
            f"| {' | '.join(head)} |",
            f"|{' --- |' * 3}{' ---: |' * (len(head) - 3)}",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=10)
    args = parser.parse_args()
    if problem := missing():
        print(f"bench/gpu_conv.py: nothing measured, {problem}", file=sys.stderr)
        return 2
    import torch

    torch.backends.cudnn.benchmark = True
    print(heading(), flush=True)
    good = True
    for batch in args.batch:
        for layer in LAYERS:
            arrays = operands(layer, batch)
            ours, theirs = minigan_calls(layer, arrays), torch_calls(layer, arrays)
            for work in WORK:
                line, agree = row(layer, batch, work, ours, theirs, args)
                print(line, flush=True)
                good = good and agree
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
