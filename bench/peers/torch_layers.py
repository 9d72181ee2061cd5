"""PyTorch's side of `bench/conv_layers.py`: one layer's three maps, in both memory formats, a block whenever asked.

Reads a line of JSON, writes a line of JSON. {"layer": {...}, "seconds": s} prepares a layer and answers {}; {"kind":
"forward"|"input"|"weight"} answers milliseconds a call for each memory format. The gradients are autograd's, of a graph
that is kept, with respect to one tensor only: the other gradient is not computed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
Job = Callable[[], Any]


def apply(x: torch.Tensor, w: torch.Tensor, layer: dict[str, Any]) -> torch.Tensor:
    """The layer as a user writes it."""
    if layer["transposed"]:
        return F.conv_transpose2d(
            x, w, stride=layer["stride"], padding=layer["torch_padding"], output_padding=layer["output_padding"]
        )
    return F.conv2d(x, w, stride=layer["stride"], padding=layer["torch_padding"])


def jobs(layer: dict[str, Any], memory_format: torch.memory_format) -> dict[str, Job]:
    """A function for each map."""
    torch.manual_seed(0)
    first, second = ("inputs", "outputs") if layer["transposed"] else ("outputs", "inputs")
    w = 0.02 * torch.randn(layer[first], layer[second], layer["kernel"], layer["kernel"])
    x = torch.randn(layer["batch"], layer["inputs"], layer["side"], layer["side"])
    x, w = (t.contiguous(memory_format=memory_format) for t in (x, w))

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return apply(x, w, layer)

    made: dict[str, Job] = {"forward": forward}
    for kind, wanted in {"input": x, "weight": w}.items():
        leaf = wanted.clone(memory_format=torch.preserve_format).requires_grad_()
        y = apply(leaf, w, layer) if kind == "input" else apply(x, leaf, layer)
        g = torch.randn_like(y, memory_format=torch.preserve_format)
        made[kind] = lambda y=y, leaf=leaf, g=g: torch.autograd.grad(y, leaf, g, retain_graph=True)
    return made


def block(job: Job, count: int) -> float:
    """Milliseconds a call."""
    start = time.perf_counter()
    for _ in range(count):
        job()
    return 1e3 * (time.perf_counter() - start) / count


def main() -> None:
    """Answer until the input ends."""
    torch.set_num_threads(int(sys.argv[1]))
    prepared: dict[str, dict[str, Job]] = {}
    counts: dict[tuple[str, str], int] = {}
    for line in sys.stdin:
        question = json.loads(line)
        answer = {}
        if "layer" in question:
            prepared = {name: jobs(question["layer"], form) for name, form in FORMATS.items()}
            for name, made in prepared.items():
                for kind, job in made.items():
                    block(job, 2)
                    counts[name, kind] = max(1, round(1e3 * question["seconds"] / block(job, 1)))
        else:
            kind = question["kind"]
            answer = {name: block(made[kind], counts[name, kind]) for name, made in prepared.items()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
