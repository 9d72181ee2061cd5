"""Milliseconds a full GAN step: minigan and each peer, in one run, in turns, with the ratio to the fastest peer.

    python bench/step_time.py --work toy mlp dcgan --rounds 3 [--peers torch_eager torch_eager:layout=channels_last]
        [--python peers=/path/python chainer_step=/path/python]

A peer's name may carry variants, `peer:knob=value,knob=value` (each peer's --help lists its own), and minigan_step itself
may be named so, as another row. `--device cuda` runs minigan and the peers that can on a GPU. Every peer
(bench/peers/*.py) runs in a process of its own, one after the other, `--rounds` times over, so that a change in the
machine's speed touches all of them. A row quotes the median over rounds of each round's median block, and the spread.
Peak MiB is the most memory the peer's process had resident, its libraries and compilers included.
Run it on an idle machine: with 2 threads on 2 cores, anything else that runs is measured too.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEERS = ("torch_eager", "torch_compile", "jax_jit", "keras_tf")
DCGAN_PEERS = ("torch_eager", "torch_eager:layout=channels_last", "torch_compile:layout=channels_last", *PEERS[2:])
CYCLE_PEERS = ("torch_eager", "torch_eager:layout=channels_last")  # the others do not have this work
GPU_PEERS = ("torch_eager", "torch_eager:graph=yes", "torch_compile", "jax_jit")


def cpu_model() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# How each library is asked for registers no wider than MINIGAN_LANES asks of minigan: OpenBLAS, oneDNN, PyTorch, MKL, XLA. (Eigen
# in TensorFlow's wheels is built for AVX and chooses nothing at run time.)
HELD = {
    "8": {
        "OPENBLAS_CORETYPE": "Haswell", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2", "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
    "4": {
        "OPENBLAS_CORETYPE": "Nehalem", "ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
    },
}  # fmt: skip


def environment() -> dict[str, str]:
    """The environment of a peer: under MINIGAN_LANES all of them are held to that width."""
    return os.environ | HELD.get(os.environ.get("MINIGAN_LANES", ""), {})


def registers() -> str:
    """The vector registers in use, as minigan tells them."""
    code = "from minigan.kernels.cpu.registers import processor as p; print(p().instructions, p().tile.lanes)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout.split()
    held = ", all peers held to it by MINIGAN_LANES" if os.environ.get("MINIGAN_LANES") else ""
    return f"{told[0]}, {told[1]} floats a register{held}" if len(told) == 2 else "registers unknown"


def machine() -> str:
    """The day, and where it was measured: the first words of a table."""
    return f"{datetime.date.today()}, {cpu_model()}, {registers()}, {cores()} cores, {platform.platform()}"


def publish(text: str, out: Path | None) -> None:
    """Print a table, and write it to the file that was asked for."""
    print(text)
    if out:
        out.write_text(text)


def gpu_model() -> str:
    """The first GPU's name and its driver, as NVIDIA's tool tells them."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown GPU"
    return told.splitlines()[0] if told else "unknown GPU"


def run(peer: str, python: str, options: list[str]) -> dict[str, Any] | None:
    """One process of one peer; None (with the reason on stderr) where it fails."""
    command = [python, str(HERE / "peers" / f"{peer}.py"), *options]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        print(f"{peer}: failed ({done.returncode}): {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    return json.loads(lines[-1])


def measure(work: str, args: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """All rounds of all peers on one work."""
    pythons = dict(item.split("=", 1) for item in args.python)
    options = ["--work", work, "--threads", str(args.threads), "--seconds", str(args.seconds)]
    for name in ("warmup", "batch", "size"):
        if value := getattr(args, name):
            options += [f"--{name}", str(value)]
    if args.device != "cpu":
        options += ["--device", args.device]
    default = GPU_PEERS if args.device != "cpu" else DCGAN_PEERS if work.endswith("dcgan") else PEERS
    if work == "cyclegan":
        default = CYCLE_PEERS
    if work == "stylegan":
        default = ("torch_eager",)  # the others have no such step
    results: dict[str, list[dict[str, Any]]] = {}
    for _ in range(args.rounds):
        for label in ("minigan_step", *(args.peers or default)):
            peer, _, variant = label.partition(":")
            chosen = ["--variant", *variant.split(",")] if variant else []
            theirs = pythons.get(peer, pythons.get("peers", sys.executable))
            if found := run(peer, sys.executable if peer == "minigan_step" else theirs, [*options, *chosen]):
                name = found["peer"] + (f" ({variant})" if variant else "")
                results.setdefault(name, []).append(found)
    return results


def other_nets(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Peers whose networks do not have as many weights as ours: what they do is other work."""
    counts = {peer: rounds[0].get("weights", [0, 0]) for peer, rounds in results.items()}
    ours = counts.get("minigan", [0, 0])
    return [peer for peer, count in counts.items() if sum(count) and sum(ours) and count != ours]


def table(work: str, results: dict[str, list[dict[str, Any]]], threads: int) -> list[str]:
    """Markdown rows, ours first, with the ratio ours / peer."""
    medians = {peer: statistics.median(r["ms_median"] for r in rounds) for peer, rounds in results.items()}
    fastest = min((value for peer, value in medians.items() if not peer.startswith("minigan")), default=float("nan"))
    ours = medians.get("minigan", float("nan"))
    said = f"{ours:.3g} ms, {ours / fastest:.2f} of the fastest peer" if "minigan" in medians else "minigan did not run"
    lines = [
        f"### {work}, threads {threads}: {said}",
        "",
        "| | ms a step (median) | best block | rounds | minigan / this | first step, s | peak MiB | versions |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for peer, rounds in results.items():
        best = min(r["ms_min"] for r in rounds)
        spread = " ".join(f"{r['ms_median']:.3g}" for r in rounds)
        versions = ", ".join(f"{k} {v}" for k, v in rounds[0]["versions"].items())
        first = statistics.median(r["first_step_s"] for r in rounds)
        ratio = f"{ours / medians[peer]:.2f}" if "minigan" in medians else "-"
        peak = max(r["peak_mib"] for r in rounds)
        lines.append(
            f"| {peer} | {medians[peer]:.3f} | {best:.3f} | {spread} | {ratio} | {first:.2f} | {peak:.0f} | {versions} |"
        )
    if others := other_nets(results):
        lines += ["", f"NOT COMPARABLE, the networks differ in size: {', '.join(others)}."]
    return [*lines, ""]


def main() -> None:
    """Measure, print, and write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--work",
        nargs="+",
        default=["toy", "mlp"],
        metavar="NAME",
        help="toy, mlp, dcgan, gp_toy, gp_dcgan, r1_toy, r1_dcgan, cyclegan, stylegan",
    )
    parser.add_argument("--peers", nargs="*", default=[], metavar="PEER[:KNOB=VALUE,...]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warmup", type=int, default=0, help="steps before the clock counts; 0: the protocol's own")
    parser.add_argument(
        "--python", nargs="*", default=[], metavar="PEER=PATH", help="interpreter of a peer, or peers=PATH for all"
    )
    parser.add_argument("--batch", type=int, default=0, help="instead of the works' own batch sizes")
    parser.add_argument("--size", type=int, default=0, help="instead of the convolutional works' own image side")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path, help="also write the table to this Markdown file")
    args = parser.parse_args()
    head = [
        machine() + (f", {gpu_model()}" if args.device == "cuda" else ""),
        "",
        f"Command: `python bench/step_time.py {' '.join(a for a in sys.argv[1:] if '/' not in a)}`",
        "",
    ]
    lines = list(head)
    for work in args.work:
        results = measure(work, args)
        if not results:
            sys.exit(f"{work}: nothing ran; see the messages above")
        lines += table(work, results, args.threads)
    text = "\n".join(lines)
    publish(text, args.out)


if __name__ == "__main__":
    main()
