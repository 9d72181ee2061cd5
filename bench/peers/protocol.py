"""What every peer of the speed benchmark shares: the arguments, the works, the data and the timer.

NumPy only, and nothing newer than Python 3.7 (Chainer's fast CPU path stops there).  A peer builds one
closure, `step()`, which launches ONE full GAN step:

1. a batch of real samples is gathered from an in-memory array by shuffled indices;
2. the discriminator is updated: BCE-with-logits, real -> 1 and fake -> 0, no gradient through G;
3. the generator is updated: fresh noise, non-saturating BCE (fake -> 1), no gradient for D's weights;

both with their own Adam(2e-4, beta1=0.5, beta2=0.999), all in float32.  `step()` returns whatever handle the
framework gives for (d_loss, g_loss); `wait(handle)` blocks until that step has really run, and returns the
two losses as floats.  `report` warms up, times blocks of steps and prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

LEARNING_RATE = 2e-4
BETA1 = 0.5
BETA2 = 0.999
LEAK = 0.2
SEED = 0
SAMPLES = 10_000
WARMUP_STEPS = 20
WARMUP_SECONDS = 1.0


@dataclass(frozen=True)
class Work:
    """One benchmark: layer widths of G and of D (hidden layers are leaky ReLU 0.2), and the batch size."""

    name: str
    g_sizes: Tuple[int, ...]
    d_sizes: Tuple[int, ...]
    batch: int
    tanh_out: bool

    @property
    def latent(self) -> int:
        """Length of the noise vector z."""
        return self.g_sizes[0]


WORKS = {
    "toy": Work("toy", g_sizes=(2, 128, 128, 2), d_sizes=(2, 128, 128, 1), batch=256, tanh_out=False),
    "mlp": Work("mlp", g_sizes=(100, 256, 512, 1024, 784), d_sizes=(784, 512, 256, 1), batch=64, tanh_out=True),
}


@dataclass(frozen=True)
class Args:
    """The command line, parsed."""

    work: Work
    threads: int
    seconds: float
    repeats: int
    variant: Dict[str, str]

    def pick(self, knob: str, default: str) -> str:
        """The value of one of the peer's knobs; `default` is the fastest legitimate one."""
        return self.variant.get(knob, default)


def parse_args(description: str, knobs: Dict[str, Tuple[str, ...]]) -> Args:
    """Parse the command line; `knobs` lists the variants this peer has, the default value first."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--work", choices=sorted(WORKS), required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="timed seconds in all, warm-up apart")
    parser.add_argument("--repeats", type=int, default=5, help="blocks the timed seconds are cut into")
    listing = "; ".join("{}={}".format(knob, "|".join(values)) for knob, values in knobs.items())
    parser.add_argument("--variant", nargs="*", default=[], metavar="KNOB=VALUE", help=listing)
    got = parser.parse_args()
    variant = {}
    for item in got.variant:
        knob, _, value = item.partition("=")
        if value not in knobs.get(knob, ()):
            parser.error("unknown variant {!r}; there are: {}".format(item, listing))
        variant[knob] = value
    return Args(WORKS[got.work], got.threads, got.seconds, got.repeats, variant)


def make_data(work: Work) -> np.ndarray:
    """The real samples, float32 and seeded: 8 points on a ring (`toy`), or vectors in [-1, 1] (`mlp`)."""
    rng = np.random.RandomState(SEED)
    if work.name == "toy":
        angle = 2 * np.pi * rng.randint(8, size=SAMPLES) / 8
        ring = 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return (ring + 0.02 * rng.randn(SAMPLES, 2)).astype(np.float32)
    return rng.uniform(-1.0, 1.0, size=(SAMPLES, work.d_sizes[0])).astype(np.float32)


def time_steps(
    step: Callable[[], Any], wait: Callable[[Any], Tuple[float, float]], seconds: float, repeats: int
) -> Tuple[float, List[float], Tuple[float, float]]:
    """Warm up, then time `repeats` blocks of `seconds / repeats`.

    Returns the seconds of the very first step (compilation included), each block's milliseconds per step, and
    the last losses.  A block runs a number of steps fixed beforehand, so no clock is read between
    the steps, and waits for the last one before the clock is read again.
    """
    clock = time.perf_counter
    start = clock()
    wait(step())
    first_step_s = clock() - start

    start, done = clock(), 0
    while done < WARMUP_STEPS or clock() - start < WARMUP_SECONDS:
        wait(step())
        done += 1
    count = max(1, WARMUP_STEPS // 2)
    start = clock()
    for _ in range(count):
        handle = step()
    wait(handle)
    per_step = (clock() - start) / count

    blocks = []
    for _ in range(repeats):
        count = max(1, round(seconds / repeats / per_step))
        start = clock()
        for _ in range(count):
            handle = step()
        losses = wait(handle)
        per_step = (clock() - start) / count
        blocks.append(1e3 * per_step)
    return first_step_s, blocks, losses


def report(
    peer: str,
    args: Args,
    versions: Dict[str, str],
    step: Callable[[], Any],
    wait: Callable[[Any], Tuple[float, float]],
    steps_per_call: int = 1,
) -> None:
    """Time `step` and print the one JSON line."""
    first_step_s, blocks, losses = time_steps(step, wait, args.seconds, args.repeats)
    blocks = [ms / steps_per_call for ms in blocks]
    line = {
        "peer": peer,
        "work": args.work.name,
        "threads": args.threads,
        "ms_median": round(statistics.median(blocks), 5),
        "ms_min": round(min(blocks), 5),
        "repeats_ms": [round(ms, 5) for ms in blocks],
        "versions": dict(versions, python=platform.python_version(), numpy=np.__version__),
        "losses": [round(float(loss), 5) for loss in losses],
        "first_step_s": round(first_step_s, 4),
        "variant": args.variant,
    }
    print(json.dumps(line))
