"""The PyTorch twin of `bench/quality.py`: the same DCGAN, trained by the same recipe, leaves the same files of samples.

Weights start at N(0, .02^2) (Radford et al. 2015), biases at 0, batch norm at (1, 0), whose momentum and eps are PyTorch's
defaults, .1 and 1e-5, as are minigan's. Samples are drawn with the running statistics.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from protocol import WORKS
from torch import nn
from torch_eager import Batches, Gan


def start(net: nn.Module) -> None:
    """Draw the initial weights."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def draw(gan: Gan, count: int, seed: int) -> np.ndarray:
    """(count, H, W, C) float32 samples; the noise depends on the seed alone."""
    z = torch.randn(count, gan.work.latent, generator=torch.Generator().manual_seed(seed))
    gan.g.eval()
    with torch.no_grad():
        images = torch.cat([gan.g(part) for part in z.split(500)])
    gan.g.train()
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())


def main() -> None:
    """Train one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="images (N, H, W, 1) float32 in [-1, 1], .npy")
    parser.add_argument("--folder", type=Path, required=True)
    for name in ("seed", "steps", "every", "samples", "batch-size", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    images = torch.from_numpy(np.load(args.data)).permute(0, 3, 1, 2)
    work = replace(WORKS["dcgan"], batch=args.batch_size, size=images.shape[2])
    gan = Gan(work, adam="fused", concat=True, use_grad=False, channels_last=True)
    start(gan.g)
    start(gan.d)
    batches = Batches(images, work.batch)
    for step in range(1, args.steps + 1):
        gan.step(batches())
        if step % args.every == 0 or step == args.steps:
            np.save(args.folder / f"samples-{step}.npy", draw(gan, args.samples, args.seed + 1000))


if __name__ == "__main__":
    main()
