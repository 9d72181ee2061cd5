"""Does a DCGAN step compute what PyTorch computes? Same weights, digits, noise and dropout masks, float64, step by step.

    python bench/parity.py --torch-python /path/python [--steps 10] [--batch-size 16] [--tolerance 1e-9]

The nets are those of the seed article (bench/peers/protocol.py), built here from `minigan.nn`; the other side,
bench/peers/torch_parity.py, writes TensorFlow's "same" padding out by hand. After each step both losses and every weight
are compared. PyTorch also runs a second time with its sums in another order (channels_last, one thread): how far it is from
itself then is the floor below which no difference means anything. Exit code 1 where a difference exceeds the tolerance.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from minigan import grad, losses, nn, no_grad, ops, optim
from minigan.autodiff import Tensor
from minigan.player import frozen

TWIN = Path(__file__).parent / "peers" / "torch_parity.py"
LATENT, SIDE, START = 100, 28, 7
KEEP = 0.7  # 1 - dropout rate
ADAM = {"lr": 2e-4, "beta1": 0.5}
Arrays = dict[str, np.ndarray]


def generator() -> nn.Module:
    """G of the article."""
    features = START * START * 256
    return nn.Sequential(
        nn.Dense(LATENT, features, bias=False),
        nn.BatchNorm(features),
        nn.LeakyReLU(),
        nn.Reshape(START, START, 256),
        nn.ConvTranspose(256, 128, 5, stride=1, padding="same", bias=False),
        nn.BatchNorm(128),
        nn.LeakyReLU(),
        nn.ConvTranspose(128, 64, 5, stride=2, padding="same", bias=False),
        nn.BatchNorm(64),
        nn.LeakyReLU(),
        nn.ConvTranspose(64, 1, 5, stride=2, padding="same", bias=False, activation="tanh"),
    )


class Discriminator(nn.Module):
    """D of the article; the dropout masks are given."""

    def __init__(self) -> None:
        self.first = nn.Conv(1, 64, 5, stride=2, padding="same", activation="leaky_relu")
        self.second = nn.Conv(64, 128, 5, stride=2, padding="same", activation="leaky_relu")
        self.last = nn.Dense(START * START * 128, 1)

    def forward(self, x: Any, masks: tuple[Tensor, Tensor]) -> Tensor:
        """Logits (N, 1)."""
        x = self.first(x) * masks[0]
        return self.last(ops.flatten(self.second(x) * masks[1], 1))


def draw(steps: int, batch: int, seed: int) -> Arrays:
    """Everything random, as arrays: digits stand-ins, noise and masks of each step."""
    rng = np.random.default_rng(seed)
    maps = ((14, 14, 64), (7, 7, 128))
    drawn = {
        "real": rng.uniform(-1, 1, (steps, batch, SIDE, SIDE, 1)),
        "noise_d": rng.standard_normal((steps, batch, LATENT)),
        "noise_g": rng.standard_normal((steps, batch, LATENT)),
    }
    for player, rows in {"d": 2 * batch, "g": batch}.items():
        for i, shape in enumerate(maps):
            drawn[f"mask_{player}{i}"] = rng.random((steps, rows, *shape)) < KEEP
    return drawn


def arrays_of(g: nn.Module, d: nn.Module) -> Arrays:
    """Copies of all weights as g0, g1, ..., d0, d1, ..., in the order in which the layers define them."""
    return {
        f"{letter}{i}": t.data.copy()
        for letter, net in {"g": g, "d": d}.items()
        for i, t in enumerate(net.parameters().values())
    }


def masks_of(drawn: Arrays, player: str, step: int) -> tuple[Tensor, Tensor]:
    """Both multipliers of inverted dropout."""
    first, second = (Tensor(drawn[f"mask_{player}{i}"][step] / KEEP) for i in range(2))
    return first, second


def ours(g: nn.Module, d: nn.Module, drawn: Arrays) -> list[tuple[np.ndarray, Arrays]]:
    """(both losses, all weights) after each step, by minigan."""
    g_adam, d_adam = optim.Adam(g, **ADAM), optim.Adam(d, **ADAM)
    g_weights, d_weights = (list(net.parameters().values()) for net in (g, d))
    pair, batch, history = losses.non_saturating, drawn["real"].shape[1], []
    for step in range(len(drawn["real"])):
        with no_grad():
            fake = g(Tensor(drawn["noise_d"][step]))
        logits = d(ops.concatenate([Tensor(drawn["real"][step]), fake]), masks_of(drawn, "d", step))
        d_loss = pair.discriminator(logits[:batch], logits[batch:])
        d_adam.step(grad(d_loss, d_weights))
        with frozen(d_weights):
            g_loss = pair.generator(d(g(Tensor(drawn["noise_g"][step])), masks_of(drawn, "g", step)))
            g_adam.step(grad(g_loss, g_weights))
        history.append((np.array([d_loss.item(), g_loss.item()]), arrays_of(g, d)))
    return history


def theirs(python: str, given: Arrays, *words: str) -> list[tuple[np.ndarray, Arrays]]:
    """The same by PyTorch, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder) / "given.npz", Path(folder) / "trajectory.npz"
        np.savez(question, **given)
        subprocess.run([python, str(TWIN), str(question), str(answer), *words], check=True)
        with np.load(answer) as found:
            both = found["losses"]
            names = [name for name in given if name[0] in "gd" and name[1:].isdigit()]
            return [(both[step], {name: found[f"{name}/{step}"] for name in names}) for step in range(len(both))]


def differences(one: tuple[np.ndarray, Arrays], other: tuple[np.ndarray, Arrays]) -> tuple[float, float, float]:
    """Largest absolute differences of (D's loss, G's loss, any weight)."""
    weights = max(float(np.abs(one[1][name] - other[1][name]).max()) for name in one[1])
    d_loss, g_loss = np.abs(one[0] - other[0])
    return float(d_loss), float(g_loss), weights


def main() -> None:
    """Run all three, print a table, and exit with the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=1e-9)
    args = parser.parse_args()
    g = generator().initialize(args.seed, "generator").astype(np.float64)
    d = Discriminator().initialize(args.seed, "discriminator").astype(np.float64)
    drawn = draw(args.steps, args.batch_size, args.seed)
    given = {
        **arrays_of(g, d),
        **drawn,
        "keep": np.array(KEEP),
        "lr": np.array(ADAM["lr"]),
        "beta1": np.array(ADAM["beta1"]),
    }
    torch, again = theirs(args.torch_python, given), theirs(args.torch_python, given, "--other-order")
    found = [differences(*pair) for pair in zip(ours(g, d, drawn), torch, strict=True)]
    floor = [differences(*pair) for pair in zip(again, torch, strict=True)]
    print("| step | D's loss | difference | G's loss | difference | weights | floor: losses | floor: weights |")
    print("|---|---|---|---|---|---|---|---|")
    for step, (f, low) in enumerate(zip(found, floor, strict=True)):
        d_loss, g_loss = torch[step][0]
        print(
            f"| {step + 1} | {d_loss:.9f} | {f[0]:.1e} | {g_loss:.9f} | {f[1]:.1e} | {f[2]:.1e} | "
            f"{max(low[:2]):.1e} | {low[2]:.1e} |"
        )
    worst = max(map(max, found))
    print(f"\nlargest difference {worst:.1e}, tolerance {args.tolerance:.0e}")
    sys.exit(int(not worst <= args.tolerance))


if __name__ == "__main__":
    main()
