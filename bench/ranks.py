"""Several ranks against one: how far their numbers are apart, what "ordered" costs, how a step scales, and a model of that.

    python bench/ranks.py [--equality] [--scaling] [--kills N] [--steps 100] [--seconds 3] [--out FILE.md]

Without a choice all of it. Every rank has one thread. Jobs are started by the `mpiexec` beside this Python.

The model of a step on N ranks, B rows in all, is the alpha-beta model with Rabenseifner's all-reduce (Thakur, Rabenseifner, Gropp
2005, Int. J. High Performance Computing Applications 19(1), section 4):

    T(N) = s + c B / N + m (2 log2 N) alpha + 2 (N - 1) / N n beta

s: what a step costs however few rows it has; c: seconds a row; both from one rank with B and B/4 rows. m, n: how many times ranks
meet in a step, and how many bytes each gives then, counted by `World`. alpha: seconds a message; beta: seconds a byte.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from step_time import cpu_model, publish

from minigan import gans
from minigan.gans import needs
from minigan.ranks import Alone, World
from minigan.ranks.communicators import MPI, Communicator
from minigan.run import checkpoint
from minigan.run.feed import Feed
from minigan.run.rundir import RunDir

ROOT = Path(__file__).resolve().parent.parent
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "toy": ("toy", {}),
    "MLP": ("mlp", {"batch_size": 16}),
    "DCGAN": ("dcgan", {"features": 4, "batch_size": 16}),
    "WGAN-GP, lr 1e-4 as in its paper": ("wgan_gp", {"lr": 1e-4}),
    "WGAN-GP, lr 1e-3": ("wgan_gp", {}),
    "with labels: cGAN": ("cgan", {"batch_size": 16}),
    "with a pool": ("toy", {"pool": 64}),
}
SIZED = {
    "mlp": ("mlp", {}, 256),
    "dcgan": ("dcgan", {"net": "s4", "features": 32}, 64),
}  # model, options, rows of a batch
NETWORKS = {  # alpha in seconds, beta in seconds a byte
    "10 Gbit/s Ethernet": (30e-6, 8 / 10e9),
    "100 Gbit/s InfiniBand": (2e-6, 8 / 100e9),
}
PUBLISHED = (
    "ChainerMN: 90 % on 128 GPUs, ResNet-50 (Akiba, Fukuda, Suzuki 2017, arXiv 1710.11351, abstract). Horovod: 90 % on 512 GPUs, "
    "Inception V3 and ResNet-101, and 68 %, VGG-16 (Horovod's docs/benchmarks; Sergeev, Del Balso 2018, arXiv 1802.05799). "
    "Both are weak scaling: a GPU has as many rows however many GPUs there are."
)


# -- in a job --------------------------------------------------------------------------------------------------------
def built(name: str, options: dict[str, Any], world: World | None, dtype: Any, batch: int = 0) -> tuple[Any, Feed]:
    """A model on its data, and the batches."""
    model = gans.get(name)
    size = {"batch_size": batch} if batch else {}
    config = model.Config(**options, **size)
    supply = needs.find(model.needs, config.data, seed=config.seed)
    made = model(config, supply.facts)
    made.random.dtype = np.dtype(dtype)
    for network in made.modules.values():
        network.astype(dtype)
    made.game.ranks = world
    return made, Feed(supply, made, "cpu")


def doubled(batch: Any) -> Any:
    """A batch in float64."""
    if isinstance(batch, dict):
        return {name: doubled(entry) for name, entry in batch.items()}
    return batch.astype(np.float64) if batch.dtype == np.float32 else batch


def state_after(case: str, world: World | None, steps: int, nudge: float = 0.0) -> dict[str, np.ndarray]:
    """The state of a case in float64; nudge: relative change of the first weights."""
    made, feed = built(*CASES[case], world, np.float64)
    rng = np.random.default_rng(0)
    for network in made.modules.values():
        for t in network.parameters().values():
            t.assign(t.data * (1 + nudge * rng.standard_normal(t.shape)))
    for step in range(steps):
        made.game.step(batches=[doubled(batch) for batch in feed(step)])
    return made.state()


def apart(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """The largest difference, beside 1 and the largest number of an array."""
    pairs = [(np.asarray(a[k], np.float64), np.asarray(b[k], np.float64)) for k in a if np.size(a[k])]
    return max(float(np.abs(x - y).max() / (1 + np.abs(y).max())) for x, y in pairs)


def equality(ranks: Communicator, case: str, steps: int) -> dict[str, Any]:
    """How far one rank and these are apart, and whether "ordered" has one rank's bits."""
    world = World(ranks)
    together = state_after(case, world, steps)
    alone = state_after(case, None, steps)
    ordered = state_after(case, World(ranks, reduce="ordered"), steps)
    of_one = state_after(case, World(Alone(), reduce="ordered"), steps)
    same = all(np.array_equal(ordered[name], of_one[name]) for name in ordered)
    return {
        "apart": apart(together, alone),
        "nudged": apart(state_after(case, None, steps, nudge=2e-16), alone),
        "ordered": apart(ordered, alone),
        "same bits": all(ranks.exchange(same)),
        "gathered": world.gathered,
    }


def timing(ranks: Communicator, name: str, reduce: str, batch: int, seconds: float) -> dict[str, Any]:
    """Seconds a step, its meetings, and the bytes that each rank gives."""
    model, options, _ = SIZED[name]
    world = World(ranks, reduce=reduce) if ranks.size > 1 or reduce == "ordered" else None
    made, feed = built(model, options, world, np.float32, batch)
    for step in range(5):
        made.game.step(batches=feed(step))
    calls, given = (world.calls, world.bytes) if world else (0, 0)
    count, times, end = 0, [], time.perf_counter() + seconds
    while any(ranks.exchange(time.perf_counter() < end)):
        begin = time.perf_counter()
        for _ in range(4):
            made.game.step(batches=feed(5 + count))
            count += 1
        times.append((time.perf_counter() - begin) / 4)
    met, gave = (world.calls - calls, world.bytes - given) if world else (0, 0)
    return {"seconds": float(np.median(times)), "calls": met / count, "bytes": gave / count}


def latency(ranks: Communicator) -> dict[str, float]:
    """alpha and beta of all-reduces here, from a small array and a large one."""
    found = {}
    for size, repeats in ((2, 200), (1 << 20, 10)):
        array = np.ones(size, np.float32)
        ranks.sum(array)
        begin = time.perf_counter()
        for _ in range(repeats):
            ranks.sum(array)
        found[size] = (time.perf_counter() - begin) / repeats
    rounds = 2 * math.log2(ranks.size)
    small, large = found[2], found[1 << 20]
    return {"alpha": small / rounds, "beta": (large - small) / (2 * (ranks.size - 1) / ranks.size * 4 * (1 << 20))}


JOBS = {"equality": equality, "timing": timing, "latency": latency}


def work(words: str) -> None:
    """Carry out a job on all ranks; rank 0 prints what it found."""
    warnings.simplefilter("ignore", UserWarning)
    job, *args = json.loads(words)
    ranks: Communicator = MPI() if "PMI_SIZE" in os.environ or "OMPI_COMM_WORLD_SIZE" in os.environ else Alone()
    found = JOBS[job](ranks, *args)
    if ranks.rank == 0:
        print("found " + json.dumps(found), flush=True)


# -- jobs ------------------------------------------------------------------------------------------------------------
def mpiexec(count: int, *words: str) -> list[str]:
    """The command of a job of Python processes."""
    beside = Path(sys.executable).with_name("mpiexec")
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None:
        sys.exit("there is no mpiexec: pip install 'minigan[distributed]'")
    return [launcher, "-n", str(count), sys.executable, *words]


def environment() -> dict[str, str]:
    """One thread a rank."""
    return os.environ | {"MINIGAN_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def asked(count: int, *job: Any) -> dict[str, Any]:
    """What a job on so many ranks finds."""
    print(f"{count} ranks: {job}", file=sys.stderr, flush=True)
    command = mpiexec(count, __file__, "--work", json.dumps(job))
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("found ")]
    if done.returncode or not lines:
        sys.exit(f"{command}: {done.stdout}{done.stderr}")
    return dict(json.loads(lines[0].removeprefix("found ")))


def equality_table(steps: int, counts: list[int]) -> list[str]:
    """Every case at every number of ranks."""
    lines = [
        f"## N x B/N and 1 x B: float64, {steps} steps", "",
        "The largest difference of any array of the state, beside 1 and the array's largest number. *Nudged*: one rank and one "
        "rank whose first weights were changed by 2e-16 of themselves, which is what the game makes of a rounding.", "",
        "| case | ranks | fast | ordered | nudged | ordered: the bits of one rank | read whole |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for case in CASES:
        for count in counts:
            found = asked(count, "equality", case, steps)
            bits, whole = "yes" if found["same bits"] else "NO", ", ".join(found["gathered"]) or "nothing"
            numbers = " | ".join(f"{found[key]:.1e}" for key in ("apart", "ordered", "nudged"))
            lines.append(f"| {case} | {count} | {numbers} | {bits} | {whole} |")
    return [*lines, ""]


def scaling_table(seconds: float, counts: list[int]) -> list[str]:
    """Measured steps, the model's constants, and its projection."""
    link = asked(2, "latency")
    lines = [
        "## A step, measured", "",
        f"One thread a rank, {os.cpu_count()} processors: more ranks than these share them. Strong scaling: one batch on more "
        f"ranks. alpha = {link['alpha']:.1e} s and beta = {link['beta']:.1e} s a byte between two ranks here.", "",
        "| net | rows | ranks | ms a step | speed-up | model | meetings | KB a rank | ordered, ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    projected = []
    for name, (_, _, batch) in SIZED.items():
        one, few = (asked(1, "timing", name, "fast", rows, seconds)["seconds"] for rows in (batch, batch // 4))
        each = (one - few) / (batch - batch // 4)
        fixed = max(0.0, one - each * batch)
        for count in counts:
            fast = asked(count, "timing", name, "fast", batch, seconds)
            ordered = asked(count, "timing", name, "ordered", batch, seconds)["seconds"]
            model = step_time(count, fixed, each * batch, fast, link["alpha"], link["beta"])
            took = fast["seconds"]
            lines.append(
                f"| {name} | {batch} | {count} | {1e3 * took:.1f} | {one / took:.2f} | {one / model:.2f} | {fast['calls']:.0f} | "
                f"{fast['bytes'] / 1e3:.0f} | {1e3 * ordered:.1f} |"
            )
        met = asked(2, "timing", name, "fast", batch, seconds)
        projected += projection(name, batch, fixed, each, met)
    return [
        *lines, "", "## Projected", "",
        "The model above with constants of networks as they are sold; weak scaling, so many rows a rank, and strong, these "
        "rows over all ranks. Efficiency: of N ranks' speed, how much is left.", "",
        "| net | network | scaling | 2 | 8 | 32 | 128 | 1,000 | stops paying at |",
        "|---|---|---|---|---|---|---|---|---|", *projected, "",
        PUBLISHED, "",
    ]  # fmt: skip


def step_time(count: int, fixed: float, rows: float, met: dict[str, Any], alpha: float, beta: float) -> float:
    """T(N) for so many seconds of rows in all."""
    if count == 1:
        return fixed + rows
    messages = met["calls"] * 2 * math.log2(count) * alpha
    return fixed + rows / count + messages + 2 * (count - 1) / count * met["bytes"] * beta


def projection(name: str, batch: int, fixed: float, each: float, met: dict[str, Any]) -> list[str]:
    """Two lines a network: weak and strong. It stops paying where twice the ranks are less than a tenth faster."""
    lines, sizes = [], (2, 8, 32, 128, 1000)
    for network, (alpha, beta) in NETWORKS.items():
        for kind in ("weak", "strong"):

            def time_of(n: int, kind: str = kind, alpha: float = alpha, beta: float = beta) -> float:
                rows = each * batch * (n if kind == "weak" else 1)
                return step_time(n, fixed, rows, met, alpha, beta)

            def work_of(n: int, kind: str = kind) -> float:
                return time_of(1) * (n if kind == "weak" else 1)

            shares = " | ".join(f"{work_of(n) / (n * time_of(n)):.0%}" for n in sizes)
            gains = (
                (n, work_of(2 * n) / time_of(2 * n) / (work_of(n) / time_of(n))) for n in (2**k for k in range(12))
            )
            end = next((f"{n} ranks" for n, gain in gains if gain < 1.1), "not up to 4,096")
            lines.append(f"| {name} | {network} | {kind} | {shares} | {end} |")
    return lines


def kills_table(count: int) -> list[str]:
    """Kill ranks at random moments; each time ranks of another number go on."""
    rng, rows, seconds = random.Random(0), [], []
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        for kill in range(count):
            ranks = 2 + kill % 3
            words = ["resume", str(run), "--steps", "1000000"] if run.exists() else [
                "train", "toy", "--steps", "1000000", "--save-every", "5", "--live-every", "0", "--out", str(run)
            ]  # fmt: skip
            told = Path(folder, "told")
            with open(told, "wb") as out:
                job = subprocess.Popen(
                    mpiexec(ranks, "-m", "minigan", *words), env=environment(), stdout=out, stderr=subprocess.STDOUT
                )
            while "training toy" not in (text := told.read_text()):
                if job.poll() is not None:
                    sys.exit(text)
                time.sleep(0.05)
            pids = re.findall(r"(\d+): process (\d+) on", text)
            time.sleep(rng.uniform(0, 2))
            rank, pid = pids[rng.randrange(len(pids))]
            os.kill(int(pid), signal.SIGKILL)
            begin = time.perf_counter()
            code = job.wait(60)
            seconds.append(time.perf_counter() - begin)
            named = f"rank {rank} of {ranks}" in told.read_text()
            rows.append((code != 0, named, checkpoint.latest(RunDir.open(str(run)))[1].step))
    steps = [step for _, _, step in rows]
    return [
        "## Ranks that are killed", "",
        f"{count} kills of a random rank of 2, 3 or 4 at a random moment, each job the continuation of the one before: "
        f"{sum(ended for ended, _, _ in rows)} jobs ended, the slowest {max(seconds):.1f} s after the kill; "
        f"{sum(n for _, n, _ in rows)} named the rank; after every one the newest checkpoint was whole, and the "
        f"next job went on from it, from step {steps[0]} to {steps[-1]}.", "",
    ]  # fmt: skip


def main() -> None:
    """Parse the arguments, measure, print the page or write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--equality", action="store_true")
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.work:
        work(args.work)
        return
    every = not (args.equality or args.scaling or args.kills)
    lines = [f"# Several ranks and one ({datetime.date.today()})", "", f"{cpu_model()}, `bench/ranks.py`.", ""]
    if args.equality or every:
        lines += equality_table(args.steps, [n for n in args.ranks if n > 1])
    if args.scaling or every:
        lines += scaling_table(args.seconds, args.ranks)
    if args.kills or every:
        lines += kills_table(args.kills or 20)
    publish("\n".join(lines), args.out)


if __name__ == "__main__":
    main()
