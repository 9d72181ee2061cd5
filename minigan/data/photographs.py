"""Patches of photographs and textures, and a hundred faces: what lies inside of scikit-image's wheel, without a download.

    photo:NAME   patches of one picture of PICTURES, such as photo:brick
    photos       patches of all of them in turn, the picture as the label, in colour
    faces        100 faces of "Labeled Faces in the Wild" (Huang, Ramesh, Berg, Learned-Miller 2007), grey, 25 x 25, enlarged

A patch shows at least LEAST pixels of its picture a side, averaged to the size that was asked for: fewer show nothing that a
person would know. Its place is drawn evenly, and one in two is mirrored; a place that shows next to nothing (sky) is drawn again,
up to TRIES times. Patches to train on lie in the first KEPT of a picture, along its longer side, those to test by in the rest:
no pixel is in both. Of the faces 80 are to train on and 20 to test by.

Patch i of n is a pure function of the picture, the split, the size, the seed and i.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np

from minigan.data.base import DataError, Dataset, checked_count, stream
from minigan.data.images import from_uint8, to_uint8
from minigan.data.transforms import resize

PICTURES = {  # the files of the wheel, and what they show
    "astronaut": ("astronaut.png", "a portrait before a flag, in colour"),
    "brick": ("brick.png", "a wall of bricks, grey"),
    "camera": ("camera.png", "a man with a camera, grey"),
    "chelsea": ("chelsea.png", "a cat, in colour"),
    "coffee": ("coffee.png", "a cup on a table, in colour"),
    "coins": ("coins.png", "coins from Pompeii, grey"),
    "grass": ("grass.png", "grass from above, grey"),
    "gravel": ("gravel.png", "gravel, grey"),
    "hubble": ("hubble_deep_field.jpg", "galaxies, in colour"),
    "ihc": ("ihc.png", "stained tissue, in colour"),
    "motorcycle": ("motorcycle_left.png", "a motorcycle, in colour"),
    "rocket": ("rocket.jpg", "a rocket at night, in colour"),
}
ALL, FACES = "photos", "faces"
SPLITS = ("train", "test")
SIDE, LEAST, KEPT = 28, 64, 0.7
SPREAD, TRIES = 8.0, 8  # standard deviation, of 255 steps, below which a patch shows next to nothing
PATCHES, FACES_TRAIN, FACES_TEST = 2000, 80, 20


def patches(
    name: str,
    n: int = PATCHES,
    seed: int = 0,
    *,
    split: str = "train",
    size: str | int | None = None,
    grey: bool = False,
) -> Dataset:
    """n patches of one picture (n, H, W, C), or of all of them in turn for the name "photos".

    Args:
        name: of PICTURES, or "photos". split: "train" or "test". size: N or "HxW", 28 by default.
        grey: in one channel, as .299 R + .587 G + .114 B; grey pictures have one anyway.

    Raises:
        DataError: no scikit-image, an unknown split, n < 2, or a size that does not fit into the picture's part.
    """
    owner = name if name == ALL else f"photo:{name}"
    n, (height, width) = checked_count(n, owner), _sides(owner, size)
    chosen = list(PICTURES) if name == ALL else [name]
    shares = [range(first, n, len(chosen)) for first in range(len(chosen))]
    pictures = [_part(owner, each, _checked(owner, split)) for each in chosen]
    channels = 1 if grey or all(picture.shape[-1] == 1 for picture in pictures) else 3
    x = np.empty((n, height, width, channels), np.uint8)
    for each, rows, picture in zip(chosen, shares, pictures, strict=True):
        rng = stream(seed, f"photo:{each}/{split}")
        cut = _cut(f"{owner}, {each}" if name == ALL else owner, picture, (height, width), len(rows), rng)
        x[rows] = _with_channels(cut, channels)
    labels = np.arange(n) % len(chosen) if name == ALL else None
    source = f"scikit-image's {', '.join(PICTURES[each][0] for each in chosen)}, {split}, seed {seed}"
    return Dataset(owner, from_uint8(x), labels, "images", source=source, classes=tuple(chosen) if name == ALL else ())


def faces(n: int | None = None, *, split: str = "train", size: str | int | None = None) -> Dataset:
    """The first n faces of a split, (n, H, W, 1); by default all of it, enlarged to 28 x 28.

    Raises:
        DataError: no scikit-image, an unknown split, or more faces than there are.
    """
    first, last = {"train": (0, FACES_TRAIN), "test": (FACES_TRAIN, FACES_TRAIN + FACES_TEST)}[_checked(FACES, split)]
    images = np.load(_file(FACES, "lfw_subset.npy"))[first:last]
    if n is not None and checked_count(n, FACES) > len(images):
        raise DataError(f"{FACES}: n={n}, but split={split} has {len(images)}: ask for that many or fewer")
    x, sides = (2 * images[:n, :, :, None] - 1).astype(np.float32), _sides(FACES, size)  # stored as floats in [0, 1]
    x = x if x.shape[1:3] == sides else np.clip(resize(x, sides), -1, 1)
    return Dataset(FACES, x, None, "images", source=f"scikit-image's lfw_subset.npy, {split}")


def _checked(owner: str, split: str) -> str:
    if split not in SPLITS:
        raise DataError(f"{owner}: split={split!r}; expected train or test")
    return split


def _sides(owner: str, size: str | int | None) -> tuple[int, int]:
    from minigan.data.pictures import side_lengths  # which imports Pillow

    return side_lengths(SIDE if size is None else size, owner)


def _file(owner: str, file: str) -> Path:
    """Where scikit-image keeps a file, without importing it."""
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise DataError(
            f"{owner}: its pictures are in scikit-image's wheel, which is not installed: pip install scikit-image, or choose "
            "other data"
        )
    path = Path(found.origin).parent / "data" / file
    if not path.is_file():
        raise DataError(
            f"{owner}: {path} is not there; expected scikit-image >= 0.22 from a wheel: reinstall scikit-image"
        )
    return path


@lru_cache
def _picture(path: Path) -> np.ndarray:
    """(H, W, C) uint8, C 1 or 3."""
    from PIL import Image

    with Image.open(path) as image:
        array = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    return array if array.ndim == 3 else array[..., None]


def _part(owner: str, name: str, split: str) -> np.ndarray:
    """The pixels of a split."""
    picture = _picture(_file(owner, PICTURES[name][0]))
    axis = int(picture.shape[1] >= picture.shape[0])
    one, other = np.split(picture, [round(KEPT * picture.shape[axis])], axis=axis)
    return one if split == "train" else other


def _cut(owner: str, picture: np.ndarray, sides: tuple[int, int], n: int, rng: np.random.Generator) -> np.ndarray:
    """n patches (n, *sides, C) uint8."""
    scale = max(1.0, LEAST / max(sides))
    window = tuple(round(scale * side) for side in sides)
    room = [have - want for have, want in zip(picture.shape[:2], window, strict=True)]
    if min(room) < 0:
        raise DataError(
            f"{owner}: patches of {window[1]} x {window[0]} pixels do not fit into its part of {picture.shape[1]} x "
            f"{picture.shape[0]}: ask for a smaller --size, or another picture"
        )
    drawn = rng.random((n, 2 * TRIES + 1))
    found = np.empty((n, *window, picture.shape[2]), np.uint8)
    for patch, numbers in zip(found, drawn, strict=True):
        for u, v in numbers[1:].reshape(TRIES, 2):
            top, left = int(u * (room[0] + 1)), int(v * (room[1] + 1))
            patch[:] = picture[top : top + window[0], left : left + window[1]]
            if patch.std() >= SPREAD:
                break
        if numbers[0] < 0.5:
            patch[:] = patch[:, ::-1].copy()
    return found if window == sides else to_uint8(resize(from_uint8(found), sides))


def _with_channels(x: np.ndarray, channels: int) -> np.ndarray:
    if x.shape[-1] == channels:
        return x
    if channels == 3:
        return np.repeat(x, 3, axis=-1)
    return np.rint(x @ np.array([0.299, 0.587, 0.114]))[..., None].astype(np.uint8)
