"""Training a recurrent layer over 40 steps, its time and the peak of its memory: prints one JSON line, as the other peers do.

Knobs: `library=minigan` or `torch`; `net=loop`, an LSTM's cell (Hochreiter, Schmidhuber 1997) in a Python loop over time, of
plain operations or torch's `LSTMCell`, or `net=lstm` and `net=gru`, the libraries' layers over whole sequences; `replay=yes` or
`no`, for minigan. One player, Adam, a mean square of all outputs; inputs (batch, 40, 64), 128 units.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from protocol import keep_to, peak_mib

STEPS, INPUTS, UNITS = 40, 64, 128


def minigan_step(x: np.ndarray, net: str, replay: bool) -> Callable[[], Any]:
    """A step of a game with one player."""
    import minigan as mg
    from minigan import nn, ops, optim

    class Layer(nn.Module):
        def __init__(self) -> None:
            kind = nn.LSTM if net == "lstm" else nn.GRU
            self.layer, self.out = kind(INPUTS, UNITS), nn.Dense(UNITS, 1)

        def forward(self, x: Any) -> Any:
            return self.out(self.layer(x)[0])

    class Loop(nn.Module):
        def __init__(self) -> None:
            self.gates, self.out = nn.Dense(INPUTS + UNITS, 4 * UNITS), nn.Dense(UNITS, 1)

        def forward(self, x: Any) -> Any:
            h = c = mg.tensor(np.zeros((len(x), UNITS), np.float32))
            made = []
            for t in range(STEPS):
                i, f, o, new = ops.split(self.gates(ops.concatenate([x[:, t], h], axis=1)), 4, axis=1)
                c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(new)
                h = ops.sigmoid(o) * ops.tanh(c)
                made.append(self.out(h))
            return ops.concatenate(made, axis=1)

    model: Any = (Loop() if net == "loop" else Layer()).initialize(0)
    game = mg.Game([mg.Player("net", lambda x: ops.mean(model(x) ** 2), optim.Adam(model))], replay=replay)
    return lambda: game.step(x)


def torch_step(x: np.ndarray, net: str, threads: int) -> Callable[[], Any]:
    """The same eagerly."""
    import torch

    torch.set_num_threads(threads)
    out, data = torch.nn.Linear(UNITS, 1), torch.from_numpy(x)
    if net == "loop":
        cell: Any = torch.nn.LSTMCell(INPUTS, UNITS)
    else:
        cell = (torch.nn.LSTM if net == "lstm" else torch.nn.GRU)(INPUTS, UNITS, batch_first=True)
    adam = torch.optim.Adam([*cell.parameters(), *out.parameters()], fused=True)

    def outputs() -> Any:
        if net != "loop":
            return out(cell(data)[0])
        h = c = torch.zeros(len(data), UNITS)
        made = []
        for t in range(STEPS):
            h, c = cell(data[:, t], (h, c))
            made.append(out(h))
        return torch.cat(made, dim=1)

    def step() -> None:
        loss = (outputs() ** 2).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    return step


def main() -> None:
    """A few steps, then the peak, and the time of a step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=0.0, help="timed seconds; 0: only memory, after a few steps")
    parser.add_argument("--variant", nargs="*", default=[], metavar="KNOB=VALUE")
    args = parser.parse_args()
    knobs = {"library": "minigan", "net": "loop", "replay": "yes"} | dict(item.split("=", 1) for item in args.variant)
    keep_to(args.threads)
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MINIGAN_THREADS"] = str(args.threads)
    x = np.random.RandomState(0).randn(args.batch, STEPS, INPUTS).astype(np.float32)
    ours = knobs["library"] == "minigan"
    net = knobs["net"]
    step = minigan_step(x, net, knobs["replay"] == "yes") if ours else torch_step(x, net, args.threads)
    for _ in range(6):
        step()
    found: dict[str, Any] = {"peer": "lstm", "peak_mib": round(peak_mib(), 1), "variant": knobs}
    if args.seconds:
        found["ms"] = [round(block, 3) for block in timed(step, args.seconds)]
    print(json.dumps(found))


def timed(step: Callable[[], Any], seconds: float, blocks: int = 5) -> list[float]:
    """Milliseconds a step of each of some blocks, after a second of warming up."""
    clock, count, begin = time.perf_counter, 0, time.perf_counter()
    while clock() < begin + 1.0:
        step()
        count += 1
    count = max(1, round(count * seconds / blocks))
    means = []
    for _ in range(blocks):
        begin = clock()
        for _ in range(count):
            step()
        means.append(1e3 * (clock() - begin) / count)
    return means


if __name__ == "__main__":
    main()
