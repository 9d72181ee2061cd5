"""Files of lines that grow while a run goes on, each a JSON object with the step that it is about."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigan.data.base import open_file, read_file, write_atomically


def line(row: Mapping[str, Any]) -> str:
    """A row as a line; numbers that JSON does not have (NaN, Inf) become null."""
    clean = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()
    }
    return json.dumps(clean) + "\n"


def append(path: Path, row: Mapping[str, Any]) -> None:
    """One more line. Raises OSError."""
    with open_file(path, "ab") as file:
        file.write(line(row).encode())


def read(path: Path) -> list[dict[str, Any]]:
    """All whole lines; what is no JSON object with a step is passed over. None where there is no such file. Raises OSError."""
    return [row for row in map(_row, _texts(path)) if row is not None]


def cut(path: Path, step: int) -> None:
    """Leave out the lines after a step, which are about to be made again, and what is no line. Raises OSError."""
    texts = _texts(path)
    kept = [text for text in texts if (row := _row(text)) is not None and row["step"] <= step]
    if kept != texts:
        write_atomically(path, lambda file: file.write("".join(f"{text}\n" for text in kept).encode()))


def _texts(path: Path) -> list[str]:
    try:
        return read_file(path).decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _row(text: str) -> dict[str, Any] | None:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    step = row.get("step") if isinstance(row, dict) else None
    return row if type(step) is int and 0 <= step < 2**63 else None
