"""Tables of numbers as text (.csv, .tsv, .txt): a row a point, a column a coordinate; and points on a common scale."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from minigan.data.arrays import hint_of_images
from minigan.data.base import DataError, Dataset, checked_count

LABELS = (
    "label",
    "labels",
    "class",
    "target",
    "y",
)  # heads of a column of labels, where another column is called otherwise
_SEPARATORS = ",;\t "


def load_table(path: str, *, n: int | None = None, key: str | None = None) -> Dataset:
    """A table of points, with or without a line of heads.

    Columns are parted by commas, semicolons, tabs or spaces, whichever the first line has. A column called label, class, target
    or y holds integers, the labels; `key` is the head of another one that does.

    Raises:
        DataError: with the line: a cell that is no number or not finite, a line of another length.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except (OSError, ValueError, MemoryError) as error:  # a UnicodeDecodeError is a ValueError
        raise DataError(f"{path}: cannot be read as text ({error}); expected a table of numbers in UTF-8") from error
    rows = _rows(path, text)
    if not rows:
        raise DataError(f"{path}: the file is empty; expected a row of numbers a line")
    heads = rows.pop(0)[1] if not _is_number(rows[0][1][0]) else []
    width = len(heads) or (len(rows[0][1]) if rows else 0)
    column = _label_column(path, heads, width, key)
    if n is not None:
        if checked_count(n, path) > len(rows):
            raise DataError(f"{path}: n={n}, but there are {len(rows)} rows: ask for that many or fewer")
        rows = rows[:n]
    if len(rows) < 2 or width - (column is not None) < 1:
        raise DataError(
            f"{path}: {len(rows)} rows of {width} columns; expected at least 2 rows and a column of coordinates"
        )
    table = np.array([_numbers(path, line, cells, width) for line, cells in rows], np.float64)
    labels = None if column is None else _labels(path, table[:, column], heads[column])
    x = table if column is None else np.delete(table, column, axis=1)
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(x, np.float32)
    if not np.isfinite(x).all():
        raise DataError(f"{path}: some numbers are too large for float32; expected less than 3e38: scale them")
    notes = () if column is None else (f"labels from the column {heads[column]!r}",)
    return Dataset(
        path, x, labels, "points", source=path, limits=(float(x.min()), float(x.max())), own=True,
        notes=(*notes, *hint_of_images(x.shape[1])),
    )  # fmt: skip


def _rows(path: str, text: str) -> list[tuple[int, list[str]]]:
    """(line number, cells) of each line with something on it."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = next((mark for mark in _SEPARATORS if mark in first.strip()), ",")
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    try:
        found = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: {error}; expected a table of numbers") from error
    if separator == " ":
        found = [(line, [cell for cell in cells if cell]) for line, cells in found]
    return [(line, cells) for line, cells in found if any(cells)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return not cell  # a missing number, not a head
    return True


def _numbers(path: str, line: int, cells: list[str], width: int) -> list[float]:
    if len(cells) != width:
        raise DataError(f"{path}: line {line} has {len(cells)} columns; expected {width}, as the first line has")
    numbers = []
    for place, cell in enumerate(cells, 1):
        try:
            numbers.append(float(cell))
        except ValueError as error:
            raise DataError(
                f"{path}: line {line}, column {place}: got {cell!r}, expected a number such as 1.5"
            ) from error
        if not math.isfinite(numbers[-1]):
            raise DataError(
                f"{path}: line {line}, column {place}: got {cell}, expected a finite number: remove the line"
            )
    return numbers


def _label_column(path: str, heads: list[str], width: int, key: str | None) -> int | None:
    if key is not None:
        if key not in heads:
            raise DataError(f"{path}: has no column {key!r}; its heads are {', '.join(heads) or 'missing'}")
        return heads.index(key)
    # With x and y alone, y is a coordinate.
    named = [i for i, head in enumerate(heads) if head.lower() in LABELS and not (head.lower() == "y" and "x" in heads)]
    return named[0] if len(named) == 1 and width > 1 else None


def _labels(path: str, column: np.ndarray, head: str) -> np.ndarray:
    if (column != np.floor(column)).any() or np.abs(column).max() > 2**53:
        wrong = column[column != np.floor(column)][:1]
        raise DataError(
            f"{path}: the column {head!r} holds {wrong}; labels are whole numbers: call the column otherwise"
        )
    return column.astype(np.int64)


class Units(NamedTuple):
    """An affine map of points from what a model is trained on to the user's units: x scale + shift, for each coordinate."""

    shift: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def of(cls, points: np.ndarray) -> Units:
        """Mean and standard deviation of each coordinate, in float64; the scale of a constant one is 1."""
        x = np.asarray(points, np.float64)
        deviation = x.std(axis=0)
        steady = deviation <= 1e-12 * np.abs(x).max(axis=0)  # what rounding leaves of a constant
        return cls(tuple(x.mean(axis=0).tolist()), tuple(np.where(steady, 1.0, deviation).tolist()))

    @classmethod
    def read(cls, value: Any) -> Units:
        """From what JSON kept of one. Raises ValueError or TypeError for anything else."""
        shift, scale = value
        units = cls(tuple(map(float, shift)), tuple(map(float, scale)))
        if len(units.shift) != len(units.scale) or not np.isfinite(units).all() or not min(units.scale) > 0:
            raise ValueError(f"units: got {value!r}, expected as many shifts as scales, finite, and scales above 0")
        return units

    def standardised(self, points: np.ndarray) -> np.ndarray:
        """(x - shift) / scale, float32."""
        return ((np.asarray(points, np.float64) - self.shift) / self.scale).astype(np.float32)

    def restored(self, points: np.ndarray) -> np.ndarray:
        """x scale + shift, float32."""
        return (np.asarray(points, np.float64) * self.scale + self.shift).astype(np.float32)


def standardised(points: Dataset, units: Units) -> Dataset:
    """Points on the scale of these units; DataError where they are of another number of coordinates."""
    if points.x.shape[1] != len(units.shift):
        raise DataError(
            f"{points.name}: holds {points.x.shape[1]} coordinates, and the run was trained on {len(units.shift)}: give its data"
        )
    return replace(points, x=units.standardised(points.x))
