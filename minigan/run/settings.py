"""A model's `Config` dataclass as text: parse `key=value`, list the keys, read a recorded config back."""

from __future__ import annotations

import difflib
import math
import os
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from minigan import data
from minigan.gans.needs import Facts, Needs, names_of_sets
from minigan.gans.options import DATA_OPTIONS, image_defaults
from minigan.run import lesson
from minigan.run.errors import UsageError
from minigan.run.references import Reference

_WORDS = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text"}
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def parse(key: str, text: str, kind: type) -> Any:
    """`text` as a `kind`.

    Raises:
        UsageError: when it is not one; the message names the key and what is expected.
    """
    word = text.strip().lower()
    try:
        if kind is bool:
            if word in _TRUE or word in _FALSE:
                return word in _TRUE
            raise ValueError(text)
        value = kind(text)
        if kind is float and not math.isfinite(value):
            raise ValueError(text)
        return value
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{key}: got {text!r}, expected {_WORDS.get(kind, kind.__name__)}") from error


def _types(config: type) -> dict[str, type]:
    hints = typing.get_type_hints(config)
    return {f.name: hints[f.name] for f in fields(config)}


def pairs(words: Iterable[str]) -> dict[str, str]:
    """["lr=1e-3", ...] as a dict; UsageError for a word without `=` and for a key that comes twice."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"--set: got {word!r}, expected key=value (what is no setting stands before --set)")
        if key in found:
            raise UsageError(f"--set: {key} is given twice")
        found[key] = value
    return found


def build(reference: Reference, texts: Mapping[str, str]) -> Any:
    """The model's `Config` with these values, given as text.

    Raises:
        UsageError: an unknown key (the message has the closest one), a value of the wrong type, or one out of its limits.
    """
    make = reference.model.Config
    kinds = _types(make)
    for key in texts:
        if key not in kinds:
            close = difflib.get_close_matches(key.replace("-", "_"), kinds, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"--set: unknown key {key!r}{hint} Known: {', '.join(kinds)}")
    values = {key: parse(key, text, kinds[key]) for key, text in texts.items()}
    with reference.blamed():
        try:
            return make(**values)
        except ValueError as error:  # how a configuration says that a value is not one of its own
            raise UsageError(str(error)) from error


def suited(reference: Reference, config: Any, texts: Mapping[str, str], facts: Facts) -> Any:
    """The configuration as it is for points; for images with a model's defaults for these, but for what `texts` set.

    A model whose networks follow the data, such as `wgan_gp`, has two recipes: what is right for eight modes in the plane is a
    hundred times too slow, and too fast a rate, for digits.
    """
    if not any(len(shape) == 3 for shape in facts.shapes.values()):
        return config
    others = {name: value for name, value in image_defaults(config).items() if name not in texts}
    with reference.blamed():
        return replace(config, **others)


def changed(reference: Reference, config: Any, texts: Mapping[str, str]) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A run's configuration with other values, given as text; the values that differ, and what they were.

    Raises:
        UsageError: as :func:`build`, or a setting that has an option of its own.
    """
    for key, option in (("steps", "--steps"), ("data", "--data")):
        if key in texts:
            raise UsageError(f"--set: {key} of a run that goes on is set by {option}")
    if not texts:
        return config, {}, {}
    made = build(reference, {key: str(value) for key, value in asdict(config).items()} | dict(texts))
    new = {key: getattr(made, key) for key in texts if getattr(made, key) != getattr(config, key)}
    return made, new, {key: getattr(config, key) for key in new}


def restore(model: Any, values: Mapping[str, Any]) -> Any:
    """The model's `Config` from values that `dataclasses.asdict` gave.

    Raises:
        ValueError: other keys, types or limits than this version's.
    """
    kinds = _types(model.Config)
    # Runs of before there were these options were read without them.
    values = {**{f.name: f.default for f in fields(model.Config) if f.name in DATA_OPTIONS}, **values}
    if wrong := sorted(kinds.keys() ^ values.keys()):
        raise ValueError(f"settings that are on one side only: {', '.join(wrong)}")
    for key, kind in kinds.items():
        fits = (int, float) if kind is float else kind
        if not isinstance(values[key], fits) or (kind is not bool and isinstance(values[key], bool)):
            raise ValueError(f"{key}: got {values[key]!r}, expected {_WORDS.get(kind, kind.__name__)}")
    return model.Config(**{key: kind(values[key]) for key, kind in kinds.items()})


def data_path(text: str, needs: Needs, default: str = "") -> str:
    """Names of data sets as they are; paths made absolute, so that a run can be resumed from another folder.

    default: the model's own `data`, of which one name alone replaces the base (see `minigan.gans.needs`).
    """
    names = {name: _absolute(value) for name, value in names_of_sets(text, needs, default).items()}
    if len(names) < 2:
        return next(iter(names.values()), text)
    return ",".join(f"{name}={value}" for name, value in names.items())


def _absolute(name: str) -> str:
    base, maps = data.split(name)
    return name if data.is_known(name) or not os.path.exists(base) else data.joined(str(Path(base).resolve()), maps)


def help_text(reference: Reference) -> str:
    """All settings of a model: name, default and help, one a line."""
    model, values = reference.model, defaults(reference)
    rows = []
    for f in fields(model.Config):
        choices = f.metadata.get("choices")
        told = choices if isinstance(choices, Mapping) else {}
        said = f.metadata.get("help", "") + (f": {', '.join(map(str, choices))}" if choices and not told else "")
        images = f"; {f.metadata['images']} for images" if "images" in f.metadata else ""
        rows.append((f.name, str(values[f.name]), said + images))
        rows += [("", "", f"  {name}: {line}") for name, line in told.items()]
    about = f" ({model.summary})" if model.summary else ""
    explained = getattr(model, "lesson", "")  # not every model of one's own has it
    end = f"\n\nexplained in lesson {lesson.told(explained)}" if explained else ""
    return f"settings of {reference.name}{about}, for --set key=value:\n" + table([("key", "default", ""), *rows]) + end


def defaults(reference: Reference) -> dict[str, Any]:
    """The settings a model has when none are given."""
    with reference.blamed():
        return asdict(reference.model.Config())


def table(rows: Iterable[tuple[object, ...]], indent: str = "  ") -> str:
    """Rows of cells as aligned columns."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in cells
    )
