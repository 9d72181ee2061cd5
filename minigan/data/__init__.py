"""Data sets by name or by path: `load`, and `catalogue` for what there is."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from minigan.data import files, motion, photographs, toys
from minigan.data.base import DataError, Dataset, cache_folder
from minigan.data.cartpole import cartpole_expert
from minigan.data.derived import MAPS, derive, joined, known_map, split
from minigan.data.glyphs import draw_glyphs
from minigan.data.loader import Loader
from minigan.data.mnist import SOURCES, idx_dataset, only_tested, read_idx
from minigan.data.oracle import oracle_lstm
from minigan.data.pixels import Pixels
from minigan.data.pool import Pool
from minigan.data.sequences import SequenceLoader, bucket_lengths
from minigan.data.toys import mode_statistics
from minigan.data.transforms import colour, invert, resize

__all__ = [
    "MAPS", "DataError", "Dataset", "Entry", "Loader", "Pixels", "Pool", "SequenceLoader",
    "bucket_lengths", "cache_folder", "catalogue", "colour", "derive",
    "draw_glyphs", "held_out", "in_halves", "invert", "is_known", "joined", "known_map", "load", "mode_statistics", "read_idx",
    "resize", "split",
]  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue. shape: of one example; network: whether it may have to be downloaded."""

    name: str
    kind: str
    shape: tuple[int, ...]
    description: str
    source: str
    network: bool


_DRAWN = "drawn here, from matplotlib's typefaces"
_TOY = "generated"
_WHEEL = "scikit-image's wheel"
_ENTRIES = (
    Entry("glyphs", "images", (28, 28, 1), "digits in 21 typefaces, all factors known", _DRAWN, False),
    Entry("letters", "images", (28, 28, 1), "the same with letters A-Z", _DRAWN, False),
    Entry("mnist", "images", (28, 28, 1), "handwritten digits", SOURCES["mnist"].title, True),
    Entry(
        "fashion",
        "images",
        (28, 28, 1),
        "Fashion-MNIST, ten kinds of clothes",
        SOURCES["fashion"].title,
        True,
    ),
    Entry("kmnist", "images", (28, 28, 1), "Kuzushiji-MNIST, ten characters", SOURCES["kmnist"].title, True),
    *(
        Entry(
            f"photo:{name}", "images", (28, 28, 1 + 2 * about.endswith("colour")), f"patches of {about}", _WHEEL, False
        )
        for name, (_, about) in photographs.PICTURES.items()
    ),
    Entry(photographs.ALL, "images", (28, 28, 3), "patches of all of these, the picture as label", _WHEEL, False),
    Entry(
        photographs.FACES,
        "images",
        (28, 28, 1),
        "100 faces, 80 to train on, grey, enlarged from 25 x 25",
        _WHEEL,
        False,
    ),
    Entry("ring8", "points", (2,), "8 Gaussians on a circle", _TOY, False),
    Entry("grid25", "points", (2,), "25 Gaussians on a grid", _TOY, False),
    Entry("swiss_roll", "points", (2,), "a noisy spiral", _TOY, False),
    Entry("moons", "points", (2,), "two interlocking half circles", _TOY, False),
    Entry("line", "points", (2,), "a noisy segment", _TOY, False),
    Entry("gauss1d", "points", (1,), "2 (or 3) Gaussians on the line", _TOY, False),
    Entry("gauss2d", "points", (2,), "one Gaussian in the plane", _TOY, False),
    Entry("cartpole_expert", "points", (4,), "states and actions of one who balances a pole", _TOY, False),
    Entry("oracle_lstm", "tokens", (20,), "from an LSTM, log p known", _TOY, False),
    Entry("tones", "audio", (1024, 1), "eight pitches at 8 kHz", _TOY, False),
    Entry("voiced", "audio", (1024, 1), "five vowels whose pitch glides, at 8 kHz", _TOY, False),
    Entry("moving_shapes", "video", (8, 16, 16, 1), "a shape moves in a straight line", _TOY, False),
)


def _letters(n: int = 10_000, seed: int = 0, *, alphabet: str = "upper", cache: bool = True) -> Dataset:
    return replace(draw_glyphs(n, seed, alphabet=alphabet, cache=cache), name="letters")


_MAKERS: dict[str, Callable[..., Dataset]] = {
    "glyphs": draw_glyphs,
    "letters": _letters,
    **{name: partial(idx_dataset, name) for name in SOURCES},
    **{f"photo:{name}": partial(photographs.patches, name) for name in photographs.PICTURES},
    photographs.ALL: partial(photographs.patches, photographs.ALL),
    photographs.FACES: photographs.faces,
    **{name: getattr(toys, name) for name in ("ring8", "grid25", "swiss_roll", "moons", "line", "gauss1d", "gauss2d")},
    "cartpole_expert": cartpole_expert,
    "oracle_lstm": oracle_lstm,
    "tones": motion.tones,
    "voiced": motion.voiced,
    "moving_shapes": motion.moving_shapes,
}


def catalogue() -> list[Entry]:
    """Every data set that `load` knows by name."""
    return list(_ENTRIES)


def is_known(name: str) -> bool:
    """Whether a name is one of the catalogue, or one of it with maps (see `minigan.data.derived`)."""
    return split(name)[0] in _MAKERS


def load(name_or_path: str | os.PathLike[str], *, seed: int = 0, n: int | None = None, **options: Any) -> Dataset:
    """A data set by catalogue name, or what is at a path.

    Args:
        name_or_path: see `catalogue`, and below.
        seed: for generated sets.
        n: how many examples: by default 10,000 generated ones, or all of a file. The first n of a file; of a folder n that are
            evenly spread over it.
        options: the keyword arguments of the set's own function (ring8: radius, sigma; mnist: split; ...), and for images

            - size=N or "HxW": resized, with antialiasing; another aspect is an error without crop=True, which takes the middle;
            - grey=True: in one channel;
            - value_range="A..B", for arrays: A becomes -1 and B becomes 1;
            - key=NAME: the array of an .npz, the column of labels of a table, "train" or "test" of CIFAR;
            - kind="tokens", "audio" or "video", length=L, rate=R: see below;
            - lazy=True: whole numbers stay what they are, in memory or in a mapped file, and `x` is a `pixels.Pixels`.

    A path is one of:

        a folder, or a .zip, of pictures
            PNG, JPEG, BMP, GIF, WEBP, TIFF, PPM; of 8 or 16 bits, CMYK, with a palette or alpha (which lies on white); grey
            where all are grey. Subfolders are labels, in the order of their names. The pixels are kept in the cache folder by
            content, and mapped.
        .npy, .npz
            never pickled. Images (N, H, W) or (N, H, W, C), C 1 or 3: uint8, bool, or floats in [-1, 1]; others with
            value_range. Floats (N, d): points. Of several arrays the one called x, images, data, x_train, train_images, ...,
            with its labels (N,) or (N, 1) by the same habit: y, labels, y_train, train_labels.
        .csv, .tsv, .txt
            points, a row each; a column called label, class, target or y holds labels.
        .txt, .md with kind="tokens"
            text in UTF-8 as sequences of `length` characters (32).
        .wav, or a folder of them with kind="audio"
            sounds in [-1, 1], in pieces of `length` samples (1,024), with their rate.
        .gif, or a folder of them with kind="video"
            films, in clips of `length` pictures (8), with their rate.
        .npy, .npz with a kind
            tokens (N, L), sounds (N, L[, C]) with `rate`, films (N, T, H, W[, C]): see `minigan.data.timed`.
        CIFAR-10 or -100
            the .bin files, their folder, or the archive of the binary version.
        ...-idx3-ubyte, plain or .gz
            IDX, with the labels of its companion ...-idx1-ubyte.

    Behind a name or a path there may be maps that make other images of them, BASE+MAP: see `minigan.data.derived`.

    Raises DataError, with the file and the reason, for anything else.
    """
    name = os.fspath(name_or_path)
    base, maps = split(name)
    if maps:
        lazy = bool(options.get("lazy"))
        return derive(load(base, seed=seed, n=n, **options), maps, name, seed=seed, lazy=lazy)
    maker = _MAKERS.get(name)
    changes: dict[str, Any] = {}
    if maker is None:
        if not files.looks_like_path(name):
            raise DataError(_unknown("data set", name, [entry.name for entry in _ENTRIES]))
        maker, known = partial(files.load_file, name), ["n", "lazy", *files.OPTIONS]
    else:
        known = list(inspect.signature(maker).parameters)
        changes = {key: options.pop(key) for key in ("size", "crop", "grey") if key in options and key not in known}
        options.pop("lazy", None)  # they are made in memory
        options = {key: value for key, value in options.items() if key in known or value not in (None, "", False)}
    for option in options:
        if option not in known or option in ("n", "seed"):
            names = [each for each in (*known, *changes) if each not in ("n", "seed")]
            raise DataError(f"{name}: " + _unknown("option", option, names))
    if n is not None:
        options["n"] = n
    if "seed" in known:
        options["seed"] = seed
    try:
        found = files.fitted(maker(**options), **changes)
    except (TypeError, OverflowError) as error:
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise DataError(f"{name}: an option has the wrong type: {given} ({error})") from error
    if name in _MAKERS and os.path.isdir(name):
        found = replace(found, notes=(*found.notes, f"the folder of that name is ./{name}"))
    return found


def in_halves(name: str) -> bool:
    """Whether a set, by catalogue name, has a half to train on and one to test on; other generated sets have further seeds."""
    return "split" in _options(split(name)[0])


def _options(base: str) -> Collection[str]:
    """What the function of a set may be told; nothing for what is no set."""
    return inspect.signature(_MAKERS[base]).parameters if base in _MAKERS else ()


OTHER = 1_000_003  # added to a seed: another set of the same law


def held_out(name: str, *, seed: int = 0, n: int = 1000, **options: Any) -> Dataset | None:
    """Examples of the same law that are not in `load(name, seed=seed)`: n of the test half, as far as it has so many, or of
    another seed.

    None for data of one's own, of which there are no others, and where `load` itself reads the test half. Options as of `load`.
    """
    base, _ = split(name)
    if in_halves(name):
        n = min(n, photographs.FACES_TEST) if base == photographs.FACES else n
        return None if base in SOURCES and only_tested(base) else load(name, seed=seed, split="test", n=n, **options)
    return load(name, seed=seed + OTHER, n=n, **options) if "seed" in _options(base) else None


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    also = (
        f", one of them with a map, as in glyphs+{next(iter(MAPS))}, or a path to {files.KINDS}"
        if what == "data set"
        else ""
    )
    return f"unknown {what} {name!r}{hint} Known: {', '.join(known) or 'none'}{also}"
