"""What every peer of the speed benchmark shares: the arguments, the works, the data and the timer.

NumPy only, and nothing newer than Python 3.7 (Chainer's fast CPU path stops there).  A peer builds one
closure, `step()`, which launches ONE full GAN step:

1. a batch of real samples is gathered from an in-memory array by shuffled indices;
2. the discriminator is updated: BCE-with-logits, real -> 1 and fake -> 0, no gradient through G;
3. the generator is updated: fresh noise, non-saturating BCE (fake -> 1), no gradient for D's weights;
   batch norm and dropout, where the nets have them, are in training mode throughout;

both with their own Adam(2e-4, beta1=0.5, beta2=0.999), all in float32.  `step()` returns whatever handle the
framework gives for (d_loss, g_loss); `wait(handle)` blocks until that step has really run (on a GPU: until the
device is idle), and returns the two losses as floats.

The works of a critic (`gp_toy`, `gp_dcgan`) are one update of WGAN-GP's critic D instead (Gulrajani et al. 2017, arXiv
1704.00028, algorithm 1): real samples and noise as above, fake = G(z) without gradient, x = u real + (1 - u) fake with a u
for each example, and Adam(1e-4, beta1=0.5, beta2=0.9) on mean D(fake) - mean D(real) + weight * mean (|grad_x D(x)| - 1)^2;
the losses returned are that sum and the last mean.  D is without dropout there: the penalty is of one function.

The works of R1 (`r1_toy`, `r1_dcgan`) are the GAN's step with R1 by intervals (Mescheder et al. 2018, arXiv 1801.04406; Karras et
al. 2019, arXiv 1912.04958, appendix B): in every `every`-th step D's loss has (every r1 / 2) mean |grad_x D(real)|^2 beside it. A
block of steps is timed whole, so that its mean is of steps with and without. D is without dropout there, too.
The work `cyclegan` is a step of CycleGAN's four networks (Zhu et al. 2017, arXiv 1703.10593) on two batches of images a, b, at
our size: `CYCLE` says how they are made. First G and F minimise, by one Adam(2e-4, beta1=0.5, beta2=0.999) for both,

    mean (D_b(G(a)) - 1)^2 + mean (D_a(F(b)) - 1)^2 + 10 (|F(G(a)) - a| + |G(F(b)) - b|) + 5 (|G(b) - b| + |F(a) - a|),

then D_a and D_b, by another, 1/2 mean (D_b(b) - 1)^2 + 1/2 mean D_b(G(a))^2 and the same of D_a, without gradient through G and F
and without a pool of earlier fakes; the losses returned are the discriminators' and the generators'.

The work `stylegan` is the step of minigan's model of that name (`minigan/gans/stylegan.py` and `stylenets.py`: mapping 4 x 64,
AdaIN and noise at each layer, equalised rates, styles mixed in nine of ten images, R1 of weight 10 in every 4th step, Adam(2e-3,
beta1=0, beta2=0.99), a hundredth of that rate in the mapping), without averages.

`report` warms up, times blocks of steps and prints one JSON line, with the process's peak resident memory after the timed
steps and the numbers of weights, by which works can be told to be the same. With `--asked` it answers after that every line that
it reads, a number of seconds, with the milliseconds a step of a block that long: so that processes can take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

LEARNING_RATE = 2e-4
BETA1 = 0.5
BETA2 = 0.999
CRITIC_RATE, CRITIC_BETAS = 1e-4, (0.5, 0.9)
LEAK = 0.2
SEED = 0
SAMPLES = 10_000
WARMUP_STEPS = 20
WARMUP_SECONDS = 1.0
DATA_FLOATS = 8_000_000  # larger images come in smaller sets, so that the set does not drown the memory figures

# The convolutional nets (`dcgan`), written channels last, padding "same", kernels 5x5, for images of side s:
# (up to 32 pixels; larger images have more stages, see `Work`, in minigan and in torch_eager)
#   G: z -> dense s/4 x s/4 x 256, no bias -> batch norm over its features -> leaky
#        -> convT /1 128 -> batch norm -> leaky -> convT /2 64 -> batch norm -> leaky -> convT /2 1 -> tanh
#        (no biases anywhere in G)
#   D: conv /2 64 -> leaky -> dropout .3 -> conv /2 128 -> leaky -> dropout .3 -> flatten -> dense 1    (all with bias)
# A framework without asymmetric padding takes 2 on each side (and output padding 1 where the stride is 2): as many products.
KERNEL = 5
G_CHANNELS = (256, 128, 64, 1)
G_STRIDES = (1, 2, 2)
D_CHANNELS = (1, 64, 128)
DROP = 0.3

# CycleGAN's networks, convolutions padded to the size of the stride's quotient:
#   G, F: conv 5x5 f -> 3x3/2 2f -> 3x3/2 4f -> blocks x (x + [3x3 4f, norm, ReLU, 3x3 4f, norm]) -> convT 3x3/2 2f -> 3x3/2 f
#         -> conv 5x5 1 with bias -> tanh          instance norm without gain and ReLU after each but the last, no other biases
#   D:    conv 4x4/2 2f with bias -> leaky -> conv 4x4/2 4f -> instance norm -> leaky -> conv 4x4 1 with bias
CYCLE = {"features": 8, "blocks": 2, "cycle": 10.0, "identity": 0.5}


@dataclass(frozen=True)
class Work:
    """One benchmark. `size` 0: dense nets of the given widths (hidden layers are leaky ReLU 0.2). Else the convolutional
    nets above for images (size, size, 1), size a multiple of 4."""

    name: str
    batch: int
    latent: int
    g_sizes: Tuple[int, ...] = ()
    d_sizes: Tuple[int, ...] = ()
    tanh_out: bool = True
    size: int = 0
    penalty: float = 0.0  # weight of the gradient penalty; 0: a GAN's step, not a critic's update
    r1: float = 0.0  # gamma of R1
    every: int = 1  # steps from one R1 to the next
    cycle: bool = False  # the four networks of `CYCLE`

    @property
    def drop(self) -> float:
        """Rate of dropout in the convolutional D."""
        return 0.0 if self.penalty or self.r1 else DROP

    @property
    def stages(self) -> int:
        """Stride-2 layers of each net: two up to 32 pixels, one more for each doubling beyond (as minigan's dcgan)."""
        stages = 2
        while self.size >> stages > 8:
            stages += 1
        return stages

    @property
    def start(self) -> int:
        """Side of the generator's first map."""
        return self.size >> self.stages

    @property
    def g_channels(self) -> Tuple[int, ...]:
        """The generator's channels, first map to image: G_CHANNELS up to 32 pixels."""
        return (*(64 << stage for stage in range(self.stages, -1, -1)), 1)

    @property
    def g_strides(self) -> Tuple[int, ...]:
        """The strides of its transposed convolutions: G_STRIDES up to 32 pixels."""
        return (1, *(2,) * self.stages)

    @property
    def d_channels(self) -> Tuple[int, ...]:
        """The discriminator's channels: D_CHANNELS up to 32 pixels."""
        return (1, *(64 << stage for stage in range(self.stages)))

    @property
    def shape(self) -> Tuple[int, ...]:
        """Shape of one sample, channels last."""
        return (self.size, self.size, 1) if self.size else self.d_sizes[:1]


WORKS = {
    "toy": Work("toy", 256, 2, g_sizes=(2, 128, 128, 2), d_sizes=(2, 128, 128, 1), tanh_out=False),
    "mlp": Work("mlp", 64, 100, g_sizes=(100, 256, 512, 1024, 784), d_sizes=(784, 512, 256, 1)),
    "dcgan": Work("dcgan", 64, 100, size=28),
    "gp_toy": Work(
        "gp_toy", 256, 2, g_sizes=(2, 512, 512, 512, 2), d_sizes=(2, 512, 512, 512, 1), tanh_out=False, penalty=0.1
    ),
    "r1_toy": Work(
        "r1_toy", 256, 2, g_sizes=(2, 128, 128, 2), d_sizes=(2, 128, 128, 1), tanh_out=False, r1=0.1, every=4
    ),
    "r1_dcgan": Work("r1_dcgan", 64, 100, size=28, r1=1.0, every=4),
    "gp_dcgan": Work("gp_dcgan", 64, 100, size=28, penalty=10.0),
    "cyclegan": Work("cyclegan", 16, 0, size=28, cycle=True),
    "stylegan": Work("stylegan", 16, 64, size=28),
}


OPTIONAL = ("cyclegan", "stylegan")  # works that not every peer has


@dataclass(frozen=True)
class Args:
    """The command line, parsed."""

    work: Work
    threads: int
    seconds: float
    repeats: int
    warmup: int
    variant: Dict[str, str]
    device: str = "cpu"
    asked: bool = False

    def pick(self, knob: str, default: str) -> str:
        """The value of one of the peer's knobs; `default` is the fastest legitimate one."""
        return self.variant.get(knob, default)


PRECISION = ("highest", "high")  # of float32 products on a GPU: all 24 bits of the factors, or TF32's 11


def parse_args(
    description: str,
    knobs: Dict[str, Tuple[str, ...]],
    devices: Tuple[str, ...] = ("cpu",),
    more: Tuple[str, ...] = (),
) -> Args:
    """Parse the command line; `knobs` lists the variants this peer has, the default value first; `devices` where it runs;
    `more` the works of OPTIONAL that it has."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--work", choices=sorted(set(WORKS) - set(OPTIONAL) | set(more)), required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="timed seconds in all, warm-up apart")
    parser.add_argument("--repeats", type=int, default=5, help="blocks the timed seconds are cut into")
    parser.add_argument("--warmup", type=int, default=WARMUP_STEPS, help="steps before the clock counts, at least")
    parser.add_argument("--batch", type=int, default=0, help="instead of the work's own batch size")
    parser.add_argument("--size", type=int, default=0, help="instead of a convolutional work's own image side")
    parser.add_argument("--device", choices=devices, default="cpu")
    parser.add_argument(
        "--asked", action="store_true", help="then answer each line of stdin with a block of so many seconds"
    )
    listing = "; ".join("{}={}".format(knob, "|".join(values)) for knob, values in knobs.items())
    parser.add_argument("--variant", nargs="*", default=[], metavar="KNOB=VALUE", help=listing)
    got = parser.parse_args()
    variant = {}
    for item in got.variant:
        knob, _, value = item.partition("=")
        if value not in knobs.get(knob, ()):
            parser.error("unknown variant {!r}; there are: {}".format(item, listing))
        variant[knob] = value
    work = WORKS[got.work]
    if got.size and (not work.size or got.size % 4):
        parser.error("--size is for convolutional works, and a multiple of 4")
    work = replace(work, batch=got.batch or work.batch, size=got.size or work.size)
    return Args(work, got.threads, got.seconds, got.repeats, got.warmup, variant, got.device, got.asked)


def keep_to(threads: int) -> None:
    """Let this process use the first `threads` of its processors only, where the system can hold it to them (Linux)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def make_data(work: Work) -> np.ndarray:
    """The real samples, float32 and seeded: 8 points on a ring (toys), or noise in [-1, 1], (N, *work.shape)."""
    rng = np.random.RandomState(SEED)
    if work.name.endswith("toy"):
        angle = 2 * np.pi * rng.randint(8, size=SAMPLES) / 8
        ring = 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return (ring + 0.02 * rng.randn(SAMPLES, 2)).astype(np.float32)
    each = int(np.prod(work.shape))
    count = max(2 * work.batch, min(SAMPLES, DATA_FLOATS // each))
    return rng.uniform(-1.0, 1.0, size=(count, *work.shape)).astype(np.float32)


def time_steps(
    step: Callable[[], Any], wait: Callable[[Any], Tuple[float, float]], seconds: float, repeats: int, warmup: int
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
    while done < warmup or clock() - start < WARMUP_SECONDS:
        wait(step())
        done += 1
    count = max(1, warmup // 2)
    start = clock()
    for _ in range(count):
        handle = step()
    wait(handle)
    per_step = (clock() - start) / count

    blocks = []
    for _ in range(repeats):
        per_step, losses = time_block(step, wait, max(1, round(seconds / repeats / per_step)))
        blocks.append(1e3 * per_step)
    return first_step_s, blocks, losses


def time_block(
    step: Callable[[], Any], wait: Callable[[Any], Tuple[float, float]], count: int
) -> Tuple[float, Tuple[float, float]]:
    """Seconds a step, of `count` steps, and the last losses."""
    start = time.perf_counter()
    for _ in range(count):
        handle = step()
    losses = wait(handle)
    return (time.perf_counter() - start) / count, losses


def answer(step: Callable[[], Any], wait: Callable[[Any], Tuple[float, float]], per_step: float) -> None:
    """A block for each line of stdin, its seconds; `per_step` is what a step takes by and large, in seconds."""
    for line in sys.stdin:
        per_step, _ = time_block(step, wait, max(1, round(float(line) / per_step)))
        print(json.dumps(1e3 * per_step), flush=True)


def peak_mib() -> float:
    """The most memory this process has had resident, in MiB: libraries, compiler and all (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(
    peer: str,
    args: Args,
    versions: Dict[str, str],
    step: Callable[[], Any],
    wait: Callable[[Any], Tuple[float, float]],
    steps_per_call: int = 1,
    weights: Tuple[int, int] = (0, 0),
) -> None:
    """Time `step` and print the one JSON line; `weights` counts the learned numbers of G and of D (0: not told)."""
    first_step_s, blocks, losses = time_steps(step, wait, args.seconds, args.repeats, args.warmup)
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
        "peak_mib": round(peak_mib(), 1),
        "weights": list(weights),
        "batch": args.work.batch,
        "size": args.work.size,
        "variant": args.variant,
        "device": args.device,
    }
    print(json.dumps(line), flush=True)
    if args.asked:
        answer(step, wait, 1e-3 * statistics.median(blocks))
