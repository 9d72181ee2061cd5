"""What there is: `minigan models` and `minigan datasets`."""

from __future__ import annotations

from minigan import data, gans
from minigan.gans.needs import kind_of
from minigan.gans.protocol import FAMILIES
from minigan.run import lesson, references, settings
from minigan.run.errors import command

SHOWN = ("data", "steps", "batch_size", "lr")


def models() -> str:
    """The zoo by family, a line each: name, kind, what it is, and its most important defaults."""
    rows: list[tuple[object, ...]] = [("name", "for", "what", *SHOWN, "lesson")]
    families = []
    for name in gans.MODELS:
        reference = references.resolve(name)
        model, values = reference.model, settings.defaults(reference)
        mark = " (default)" if name == gans.DEFAULT else ""
        told = lesson.number(model.lesson) if getattr(model, "lesson", "") else "-"
        rows.append((name, kind_of(model.needs), model.summary + mark, *(values.get(key, "") for key in SHOWN), told))
        families.append(model.family)
    head, *lines = settings.table(rows, indent="  ").splitlines()
    listed = [head]
    for family, what in FAMILIES.items():
        if of_it := [line for line, its in zip(lines, families, strict=True) if its == family]:
            listed += [f"{family}: {what}", *of_it]
    return "\n".join([
        *listed, "", f"all settings of a model: {command('train', 'MODEL', '--help')}",
        f"a model of your own: {command('train', 'path/to/model.py')}",
    ])  # fmt: skip


def datasets() -> str:
    """The data sets as a table: name, kind, shape of an example, a line on each, and where it comes from."""
    rows: list[tuple[object, ...]] = [("name", "kind", "shape", "what", "from")]
    for entry in data.catalogue():
        shape = "x".join(map(str, entry.shape))
        rows.append((entry.name, entry.kind, shape, entry.description, entry.source + _note(entry)))
    maps = settings.table([(f"+{name}", each.about) for name, each in data.MAPS.items()])
    kept = f"downloads and decoded pictures are kept in {data.cache_folder()}"
    return "\n\n".join([settings.table(rows, indent=""), _PATHS, f"{_MAPS}\n{maps}", kept])


_PATHS = """or a path, with --data PATH:
  a folder or .zip of pictures   any formats and sizes; subfolders are labels: --size 64 [--crop] [--grey]
  .npy, .npz                     images (N, H, W[, C]) or points (N, d): --key NAME, --range A..B of images
  .csv, .tsv, .txt               points, a row each; a column called label holds labels
  .txt, .md, --kind tokens       text, in pieces of --length L characters
  .wav; a folder, --kind audio   sounds, in pieces of --length L samples
  .gif; a folder, --kind video   films, in clips of --length L pictures
  .npy, .npz, --kind ...         tokens (N, L), sounds (N, L[, C]) with --rate HZ, films (N, T, H, W[, C])
  CIFAR                          the binary version: its archive, its folder, or a .bin file
  ...-idx3-ubyte[.gz]            as MNIST's files"""

_MAPS = "or, of either, other images made of them by a map, as in glyphs+edges or photos/+grey:"


def _note(entry: data.Entry) -> str:
    return " (download)" if entry.network else ""
