"""Register tiles: GFLOP/s of products and convolutions of the networks, for each candidate of a width.

    python bench/tiles.py [--threads 1] [--lanes 8 4] [--out FILE]

Each candidate (rows x vectors) runs in a process of its own, with a kernel cache of its own key.
`minigan/kernels/cpu/registers.py` holds what was chosen by such tables. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

CANDIDATES = {16: [(8, 2), (12, 2), (6, 4)], 8: [(6, 2), (4, 3), (4, 2)], 4: [(6, 2), (4, 3), (8, 2), (8, 3)]}
NAMES = {16: "AVX-512", 8: "AVX2", 4: "NEON" if platform.machine().lower() in ("aarch64", "arm64") else "SSE"}
# rows, depth, columns: the layers of toy (256), MLP (64, 128), a weight gradient
PRODUCTS = [(256, 128, 128), (64, 1024, 784), (128, 784, 512), (64, 512, 1024), (1024, 64, 784)]
# images, side, in, out, kernel, stride: the layers of DCGAN-28
LAYERS = [(64, 7, 128, 256, 5, 1), (64, 14, 64, 128, 5, 2)]


def best(function: object, repeats: int = 15) -> float:
    """The third best of some timings, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()  # type: ignore[operator]
        times.append(time.perf_counter() - start)
    return sorted(times)[2]


def measure(lanes: int, rows: int, vectors: int) -> dict[str, float]:
    """GFLOP/s of each work with one tile, in this process."""
    from minigan.kernels.cpu import registers

    registers.TILES[NAMES[lanes]] = registers.Tile(lanes, rows, vectors)
    import numpy as np

    from minigan import ops
    from minigan.activation import LINEAR
    from minigan.kernels import geometry
    from minigan.kernels import reference as kernels
    from minigan.kernels.cpu import gemm

    rng, found = np.random.default_rng(0), {}
    for m, k, n in PRODUCTS:
        a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
        out = np.empty((m, n), np.float32)  # a plan knows addresses only
        found[f"{m}x{k}x{n}"] = 2e-9 * m * k * n / best(gemm.plan(a, b, out))
    for images, side, ins, outs, kernel, stride in LAYERS:
        geo = geometry.of_conv((kernel, kernel), stride, "same", 1, (side, side))
        x = rng.standard_normal((images, side, side, ins)).astype(np.float32)
        w = rng.standard_normal((kernel, kernel, ins, outs)).astype(np.float32)
        y = rng.standard_normal((images, *geo.small, outs)).astype(np.float32)
        useful = 2e-9 * images * geo.pairs() * ins * outs
        with ops.conv_algorithm("tiles"):
            jobs = {
                "conv": kernels.conv.plan(x, w, None, geo, LINEAR, np.empty_like(y)),
                "weight": kernels.conv_weight.plan(x, y, geo, np.empty_like(w)),
            }
        for name, job in jobs.items():
            found[f"{name} {ins}->{outs} /{stride}"] = useful / best(job, 7)
    return found


def main() -> None:
    """Measure every candidate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lanes", type=int, nargs="+", help="widths to measure; default: all that the machine has")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", type=int, nargs=3, metavar=("LANES", "ROWS", "VECTORS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(*args.one)))
        return
    sys.path.insert(0, str(Path(__file__).parent))
    from step_time import cpu_model, publish

    from minigan.kernels.cpu.registers import processor

    native = processor().tile.lanes
    lines: list[str] = []
    for lanes in args.lanes or [width for width in CANDIDATES if width <= native]:
        for rows, vectors in CANDIDATES[lanes]:
            wide = {} if lanes == native else {"MINIGAN_LANES": str(lanes)}
            command = [sys.executable, __file__, "--one", str(lanes), str(rows), str(vectors)]
            threads = {"MINIGAN_THREADS": str(args.threads)}
            done = subprocess.run(command, env=os.environ | wide | threads, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{rows} x {vectors} of {lanes}: failed: {done.stderr.strip()[-200:]}", file=sys.stderr)
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            if not lines:
                lines = ["| lanes | rows x columns | " + " | ".join(found) + " |", "|---" * (2 + len(found)) + "|"]
            cells = [f"{value:.0f}" for value in found.values()]
            lines.append(f"| {lanes} | {rows} x {lanes * vectors} | " + " | ".join(cells) + " |")
    head = f"{datetime.date.today()}, {cpu_model()}, {args.threads} threads, GFLOP/s (convolutions: useful operations)"
    text = "\n".join([head, "", *lines, ""])
    publish(text, args.out)


if __name__ == "__main__":
    main()
