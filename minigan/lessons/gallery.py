"""The gallery of the models: what each is, from its own file, and what a run of it with the defaults showed.

The runs are made by `bench/gallery.py`, which leaves a picture of each and one table in `lessons/gallery`. An entry knows which
code it was made with, so that one of an earlier version says so.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import re
import struct
import sys
import textwrap
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from minigan import gans
from minigan.gans.protocol import FAMILIES
from minigan.lessons.catalog import LessonError

FOLDER, TABLE = "gallery", "gallery.json"  # beside the lessons
PAPER = re.compile(r"arXiv\s+(\d{4}\.\d{4,5})")
CODE = re.compile(r"`([^`]+)`")
KEPT = (
    "date",
    "machine",
    "steps",
    "cpu_seconds",
    "command",
    "checks",
    "fingerprint",
)  # of an entry of a run that ended well


@dataclass(frozen=True)
class Block:
    """A paragraph of a docstring, as HTML, or lines that keep their form: diagrams and formulas."""

    html: str
    kept: bool = False


@dataclass(frozen=True)
class Picture:
    """A PNG of the gallery."""

    name: str
    data: bytes
    alt: str

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, of the PNG header."""
        width, height = struct.unpack(">II", self.data[16:24])
        return width, height


@dataclass(frozen=True)
class Shown:
    """A model as the gallery shows it.

    Attributes:
        name, family, summary: as `minigan models` has them.
        source, symbol: its file and its class. lesson: the file of the lesson that explains it, without ending, or "".
        title, blocks: the first sentence of the file's docstring, and the rest. command: that trains it.
        run: what a run showed, as in the table; empty where there was none. picture: of that run.
        state: "current", "outdated" (the code has changed since), "failed", or "none".
    """

    name: str
    family: str
    summary: str
    source: str
    symbol: str
    lesson: str
    title: str
    blocks: list[Block]
    command: str
    run: dict[str, Any] = field(default_factory=dict)
    picture: Picture | None = None
    state: str = "none"


def shown(lessons: Path) -> list[tuple[str, str, list[Shown]]]:
    """(family, what it is, its models) for each family, in the order of `minigan models`.

    Raises:
        LessonError: a table that cannot be read, or a picture that is missing.
    """
    runs = table(lessons / FOLDER)
    every = [_shown(name, lessons / FOLDER, runs.get(name, {})) for name in gans.MODELS]
    by_family = [(family, what, [each for each in every if each.family == family]) for family, what in FAMILIES.items()]
    return [group for group in by_family if group[2]]


def table(folder: Path) -> dict[str, dict[str, Any]]:
    """What `bench/gallery.py` has recorded, by model; empty where there is nothing yet.

    Raises:
        LessonError: it cannot be read, or lacks what an entry must have.
    """
    path = folder / TABLE
    if not path.is_file():
        return {}
    try:
        runs = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise LessonError(
            f"{path} cannot be read ({error}); bench/gallery.py makes it anew where it is removed"
        ) from error
    for name, run in runs.items():
        asked = ("failed", "fingerprint") if isinstance(run, dict) and "failed" in run else KEPT
        if not isinstance(run, dict) or (missing := [key for key in asked if key not in run]):
            got = run if not isinstance(run, dict) else f"no {', no '.join(missing)}"
            raise LessonError(
                f"{path}: {name}: got {got}, expected an entry as bench/gallery.py writes it; make it again"
            )
    return runs


def fingerprint(model: type) -> str:
    """A hash of the code of a model: its file and those of the zoo that it builds on, without docstrings and comments.

    It is the same under every version of Python, and changes with anything that could change what a run shows, but for the
    parts of the engine below the zoo.
    """
    told = hashlib.sha256()
    for kind in model.__mro__:
        if kind.__module__.startswith("minigan.gans.") and kind.__module__ != "minigan.gans.base":
            told.update(_code(Path(inspect.getfile(kind))).encode())
    return told.hexdigest()[:16]


@cache
def _code(path: Path) -> str:
    """The lines of a file, without docstrings, whole-line comments and blank ones."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            first = node.body[0]
            lines[first.lineno - 1 : first.end_lineno] = [""] * ((first.end_lineno or 0) - first.lineno + 1)
    return "\n".join(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))


def _shown(name: str, folder: Path, run: dict[str, Any]) -> Shown:
    model = gans.get(name)
    title, blocks = parts(sys.modules[model.__module__].__doc__ or model.summary)
    state = "none" if not run else "failed" if "failed" in run else "current"
    if run and run["fingerprint"] != fingerprint(model):
        state = "outdated"
    source, explained = f"{model.__module__.replace('.', '/')}.py", getattr(model, "lesson", "")
    return Shown(
        name, model.family, model.summary, source, model.__name__, explained, title, blocks,
        run.get("command", f"minigan train {name}"), run, _picture(name, model, folder, run), state,
    )  # fmt: skip


def _picture(name: str, model: Any, folder: Path, run: dict[str, Any]) -> Picture | None:
    if "picture" not in run:
        return None
    path = folder / f"{name}.png"
    if not path.is_file():
        raise LessonError(f"{path} does not exist, and {TABLE} names it; bench/gallery.py --models {name} makes it")
    what = (inspect.getdoc(model.pictures) or "").split("\n\n")[0].replace("\n", " ")
    return Picture(f"{name}.png", path.read_bytes(), f"{model.__name__}, its picture “{run['picture']}”. {what}")


# -- the docstring of a model's file -----------------------------------------------------------------------------------
def parts(docstring: str) -> tuple[str, list[Block]]:
    """(first line or sentence, blocks) of a docstring: what is indented keeps its form, all else is text that flows."""
    blocks = []
    for chunk in re.split(r"\n[ \t]*\n", inspect.cleandoc(docstring)):
        blocks += _split(chunk.splitlines())
    first = blocks.pop(0)
    return first.html, blocks


def _split(lines: list[str]) -> list[Block]:
    """The blocks of a chunk: runs of lines that are indented, and runs of those that are not."""
    blocks: list[Block] = []
    while lines:
        kept = lines[0].startswith("    ")
        end = next((i for i, line in enumerate(lines) if line.startswith("    ") != kept), len(lines))
        run, lines = lines[:end], lines[end:]
        blocks.append(
            Block(escape(textwrap.dedent("\n".join(run))), kept=True)
            if kept
            else Block(_linked(escape(" ".join(line.strip() for line in run), quote=False)))
        )
    return blocks


def _linked(text: str) -> str:
    """Text with `code` set as such, and papers as links."""
    text = CODE.sub(r"<code>\1</code>", text)
    return PAPER.sub(r'<a href="https://arxiv.org/abs/\1">arXiv \1</a>', text)
