"""A lesson as a notebook: executed by a kernel of this interpreter, with the checks that it made on the way."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.compiler import get_file_name
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

import minigan
from minigan.lessons import checks, figures
from minigan.lessons.catalog import Lesson, LessonError

KERNEL = "minigan"
TIMEOUT = 600  # seconds for one cell
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Executed:
    """A notebook with its outputs, the checks it made (file and line are those of the lesson), and how long it took."""

    notebook: Any
    checks: list[checks.Check]
    seconds: float


def notebook(lesson: Lesson) -> Any:
    """The lesson as a notebook without outputs; it says on which line of the lesson each cell begins."""
    made = []
    for i, cell in enumerate(lesson.cells):
        new = nbformat.v4.new_markdown_cell if cell.kind == "markdown" else nbformat.v4.new_code_cell
        made.append(new(cell.shown, id=f"cell-{i}", metadata={"minigan": {"line": cell.line}}))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel, "title": lesson.title})


def execute(lesson: Lesson, *, fast: bool = False) -> Executed:
    """Run a lesson as a notebook.

    Raises:
        LessonError: where a check does not hold, or a cell raises or takes too long.
    """
    book, start = notebook(lesson), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="minigan-lesson-") as place, _kernel(Path(place)) as kernel:
        log = Path(place, "checks.jsonl")
        resources = {"metadata": {"path": place}}
        client = NotebookClient(
            book, km=kernel, timeout=TIMEOUT, resources=resources, record_timing=False, coalesce_streams=True
        )
        try:
            client.execute(env=_environment(log, fast))
        except CellExecutionError as error:
            raise LessonError(f"{lesson.path}: {_told(error)}") from error
        except (CellTimeoutError, DeadKernelError) as error:
            raise LessonError(f"{lesson.path}: {str(error).strip().splitlines()[0]}") from error
        found = _checks(log, lesson)
    book.metadata.kernelspec.name = "python3"
    return Executed(book, found, time.perf_counter() - start)


@contextmanager
def _kernel(place: Path) -> Iterator[AsyncKernelManager]:
    """A kernel of this very interpreter, whatever kernels are installed."""
    folder = place / "kernels" / KERNEL
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=40"]
    spec = {"argv": argv, "display_name": KERNEL, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    specs = KernelSpecManager(kernel_dirs=[str(place / "kernels")], ensure_native_kernel=False)
    yield AsyncKernelManager(
        kernel_name=KERNEL, kernel_spec_manager=specs, connection_file=str(place / "connection.json"), transport="tcp"
    )


def _environment(log: Path, fast: bool) -> dict[str, str]:
    """That of this process, with this minigan on the path, and figures inline instead of in files."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in (figures.FOLDER, "MPLBACKEND", "IPYKERNEL_CELL_NAME")
    }
    paths = [str(Path(minigan.__file__).parent.parent), env.get("PYTHONPATH", "")]
    env |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), checks.LOG: str(log)}
    env |= {"IPYTHONDIR": str(log.parent / "ipython"), "JPY_PARENT_PID": str(os.getpid())}
    return env | ({checks.FAST: "1"} if fast else {})


def _told(error: CellExecutionError) -> str:
    """What a cell raised, and the line of the cell, without the traceback's frames and colours."""
    value = COLOUR.sub("", f"{error.ename}: {error.evalue}")
    first = str(error).split("------------------")
    cell = first[1].strip().splitlines()[:3] if len(first) > 1 else []
    return "\n".join([value, *(f"  | {line}" for line in cell)])


def _checks(log: Path, lesson: Lesson) -> list[checks.Check]:
    """The checks of a log, on the lines of the lesson; a kernel knows only those of the cell."""
    if not log.exists():
        return []
    begins = {Path(get_file_name(cell.shown)).stem: cell.line for cell in lesson.cells if cell.kind == "code"}
    found = []
    for text in log.read_text(encoding="utf-8").splitlines():
        values = json.loads(text)
        line = (
            begins[Path(values["file"]).stem] + values["line"] - 1
        )  # a kernel names the file of a cell by the cell's hash
        values |= {"errata": tuple(values["errata"]), "file": lesson.path.name, "line": line}
        found.append(checks.Check(**values))
    return found
