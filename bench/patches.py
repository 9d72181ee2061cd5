"""A folder of photographs, cut into patches: from the pictures that come with scikit-image's wheel, without a download.

    python bench/patches.py FOLDER [--side 96] [--each 300] [--seed 0]
    minigan train dcgan --data FOLDER --size 64

Each patch is a square of a picture at a random place, mirrored with probability 1/2, written as a PNG file in a subfolder of the
picture's name: minigan takes these for labels. A part that is all of one brightness (a clear sky) is not taken.
"""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "hubble_deep_field", "motorcycle_left",
    "rocket",
)  # fmt: skip
LEAST_SPREAD = 8.0  # standard deviation of brightness, of 255, below which a patch shows nothing


def photograph(name: str) -> np.ndarray:
    """(H, W, 3) uint8, from the wheel's own folder."""
    from skimage import data

    (path,) = Path(data.__file__).parent.glob(f"{name}.*")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def patches(picture: np.ndarray, side: int, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Squares of a picture."""
    height, width = picture.shape[:2]
    found: list[np.ndarray] = []
    for _ in range(20 * count):
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        patch = picture[top : top + side, left : left + side]
        if patch.std() >= LEAST_SPREAD:
            found.append(patch[:, ::-1] if rng.random() < 0.5 else patch)
        if len(found) == count:
            break
    return found


def main() -> None:
    """Cut, write, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=96, help="pixels of a patch")
    parser.add_argument("--each", type=int, default=300, help="patches of a picture")
    parser.add_argument("--only", nargs="+", choices=PHOTOGRAPHS, default=PHOTOGRAPHS, metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for name in args.only:
        picture = photograph(name)
        target = args.folder / name
        target.mkdir(parents=True, exist_ok=True)
        cut = patches(picture, args.side, args.each, np.random.default_rng([args.seed, zlib.crc32(name.encode())]))
        for number, patch in enumerate(cut):
            Image.fromarray(np.ascontiguousarray(patch)).save(target / f"{number:04d}.png")
        print(f"{name}: {picture.shape[1]} x {picture.shape[0]}, {len(cut)} patches")


if __name__ == "__main__":
    main()
