"""The peak memory of training an LSTM (Hochreiter, Schmidhuber 1997) over 40 steps: prints one JSON line, as the other peers do.

Knobs: `library=minigan`, a cell of plain operations in a Python loop over time, recorded (`replay=yes`) or not;
`library=torch`, the same loop over `nn.LSTMCell`. One player, Adam, a mean square of all outputs; inputs (batch, 40, 64),
128 cells.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from protocol import keep_to, peak_mib

STEPS, INPUTS, UNITS = 40, 64, 128


def minigan_step(x: np.ndarray, replay: bool) -> Callable[[], Any]:
    """A step of a game with one player."""
    import minigan as mg
    from minigan import nn, ops, optim

    class Net(nn.Module):
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

    net = Net().initialize(0)
    game = mg.Game([mg.Player("net", lambda x: ops.mean(net(x) ** 2), optim.Adam(net))], replay=replay)
    return lambda: game.step(x)


def torch_step(x: np.ndarray, threads: int) -> Callable[[], Any]:
    """The same eagerly."""
    import torch

    torch.set_num_threads(threads)
    cell, out, data = torch.nn.LSTMCell(INPUTS, UNITS), torch.nn.Linear(UNITS, 1), torch.from_numpy(x)
    adam = torch.optim.Adam([*cell.parameters(), *out.parameters()], fused=True)

    def step() -> None:
        h = c = torch.zeros(len(data), UNITS)
        made = []
        for t in range(STEPS):
            h, c = cell(data[:, t], (h, c))
            made.append(out(h))
        loss = (torch.cat(made, dim=1) ** 2).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    return step


def main() -> None:
    """A few steps, then the peak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--variant", nargs="*", default=[], metavar="KNOB=VALUE")
    args = parser.parse_args()
    knobs = {"library": "minigan", "replay": "yes"} | dict(item.split("=", 1) for item in args.variant)
    keep_to(args.threads)
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MINIGAN_THREADS"] = str(args.threads)
    x = np.random.RandomState(0).randn(args.batch, STEPS, INPUTS).astype(np.float32)
    ours = knobs["library"] == "minigan"
    step = minigan_step(x, knobs["replay"] == "yes") if ours else torch_step(x, args.threads)
    for _ in range(6):
        step()
    print(json.dumps({"peer": "lstm", "peak_mib": round(peak_mib(), 1), "variant": knobs}))


if __name__ == "__main__":
    main()
