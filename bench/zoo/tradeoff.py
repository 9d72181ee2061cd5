"""Error against likeness in super-resolution: where the networks of `run.py`'s SRGANs stand, as a picture.

    python bench/zoo/tradeoff.py --folder RUNS --out FILE.png

Takes what the studies of `srgan` with several weights of the adversarial term have left in RUNS (`bench/zoo/run.py --models
srgan`): to the right, decibels of PSNR above bicubic interpolation's; upwards, cFD of bicubic's, the squared Frechet distance of
the judge's features, on a logarithmic axis. Each SRGAN is joined to the network of least error that was trained beside it on the
same batches. No method is both at the right end and at the lower one (Blau, Michaeli 2017, arXiv 1711.06077)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt

WEIGHTS = {"srgan-adversarial=0.001": "0.001", "srgan": "0.01", "srgan-adversarial=0.1": "0.1"}


def points(checks: dict[str, list[float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """(decibels above bicubic, cFD of bicubic's) of the network of least error, and of SRGAN."""
    value = {name: found for name, (found, _) in checks.items()}
    gain, distance = value["SRResNet's PSNR above bicubic's, dB"], value["cFD of SRResNet, of bicubic's"]
    lost, kept = value["SRGAN's PSNR above SRResNet's, dB"], value["cFD of SRGAN, of SRResNet's"]
    return (gain, distance), (gain + lost, distance * kept)


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where run.py has kept its runs")
    parser.add_argument("--out", type=Path, required=True, help="the picture")
    args = parser.parse_args()
    figure, axes = plt.subplots(figsize=(5.5, 4), constrained_layout=True)
    axes.plot(0, 1, "ks", label="bicubic")
    for name, weight in WEIGHTS.items():
        log = args.folder / f"{name}-seed0" / "checks.jsonl"
        row = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
        least, game = points(row["checks"])
        axes.plot(*zip(least, game, strict=True), color="0.7", zorder=0)
        axes.plot(*least, "o", color="C0", label="least error" if name == "srgan" else None)
        axes.plot(*game, "o", color="C1", label="SRGAN, by weight of the game" if name == "srgan" else None)
        axes.annotate(weight, game, textcoords="offset points", xytext=(6, 4))
        print(f"{weight}: least error {least[0]:.2f} dB, {least[1]:.3f}; SRGAN {game[0]:.2f} dB, {game[1]:.3f}")
    axes.set(xlabel="PSNR above bicubic's, dB", ylabel="cFD, of bicubic's", yscale="log")
    axes.legend()
    figure.savefig(args.out, dpi=100)


if __name__ == "__main__":
    main()
