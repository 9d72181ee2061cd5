"""The source files that lessons cite: where a name stands in a file, and the pages that show the files."""

from __future__ import annotations

import ast
import posixpath
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import minigan
from minigan.lessons.catalog import LessonError

FOLDER = "source"  # of the site


@dataclass(frozen=True)
class Citation:
    """A place that cites a source file: the page, its title, and what it cites there (a name, or "" for the file)."""

    page: str
    title: str
    symbol: str


@dataclass
class Sources:
    """The files that have been cited so far. Names of files are relative to the folder that holds `lessons/`.

    Attributes:
        lessons: the folder of the lessons.
        cited: for each file, the citations of it.
    """

    lessons: Path
    cited: dict[str, list[Citation]] = field(default_factory=dict)

    def path(self, name: str) -> Path | None:
        """The file of this name. `minigan/` is the package that runs, wherever it is installed; None where there is none."""
        head, _, rest = name.partition("/")
        places = {"lessons": self.lessons, "minigan": Path(minigan.__file__).parent}
        path = Path(places.get(head, self.lessons.parent / head), rest)
        return path if path.is_file() else None

    def cite(self, name: str, symbol: str, page: str, title: str) -> str | None:
        """The address, from the top of the site, of a name in a file, which gets a page; None where there is no such file.

        Raises:
            LessonError: where the file has no such name.
        """
        path = self.path(name)
        if path is None:
            return None
        line = 0
        if re.fullmatch(r"L\d+", symbol):
            line, symbol = int(symbol[1:]), ""
        elif symbol:
            line = names(path).get(symbol, 0)
            if not line:
                raise LessonError(f"{page}: there is no {symbol!r} in {name}")
        citation, known = Citation(page, title, symbol), self.cited.setdefault(name, [])
        if citation not in known:
            known.append(citation)
        return address(name, line)


def address(name: str, line: int = 0) -> str:
    """Where the page of a file, or a line of it, is, from the top of the site."""
    return f"{FOLDER}/{name}.html" + (f"#L{line}" if line else "")


def target(href: str, folder: str = "lessons") -> tuple[str, str]:
    """(file, name) that a link means which stands in a file of `folder`: "../tests/x.py#f" -> ("tests/x.py", "f")."""
    path, _, fragment = href.partition("#")
    return posixpath.normpath(posixpath.join(folder, path)), fragment


@cache
def names(path: Path) -> dict[str, int]:
    """The line on which each function, class, method ("Class.method") and constant begins, decorators and all."""
    if path.suffix != ".py":
        return {}
    found: dict[str, int] = {}
    _collect(ast.parse(path.read_text(encoding="utf-8")).body, "", found)
    return found


def _collect(body: list[ast.stmt], prefix: str, found: dict[str, int]) -> None:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.setdefault(prefix + node.name, min(n.lineno for n in (node, *node.decorator_list)))
            if isinstance(node, ast.ClassDef):
                _collect(node.body, f"{prefix}{node.name}.", found)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for each in targets:
                for name in each.elts if isinstance(each, ast.Tuple) else [each]:
                    if isinstance(name, ast.Name):
                        found.setdefault(prefix + name.id, node.lineno)
        elif isinstance(node, (ast.If, ast.With, ast.Try)):
            _collect(node.body, prefix, found)
