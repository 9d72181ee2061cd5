"""The public names of minigan, read from its source without importing it: what each is, its signature, docstring and place.

Public is what can be reached from `import minigan`: the names that `minigan.__all__` lists; of a module among them the names of
its own `__all__`, or where it has none, those that it defines and that do not begin with an underscore; and so on.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import minigan
from minigan.lessons.catalog import LessonError

ROOT = "minigan"
Defined = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True)
class Entry:
    """A public name.

    Attributes:
        name: as its module has it; a method is "Class.method".
        kind: "function", "class", "constant", "property" or "method".
        signature: what stands after the name: "(x, *, axis=None)", or " = ..." of a constant.
        docstring: its text, or "".
        file, line: where it is defined: "minigan/ops/conv.py", 12.
        members: of a class, its public methods and properties.
    """

    name: str
    kind: str
    signature: str
    docstring: str
    file: str
    line: int
    members: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Module:
    """A public module: its name, its docstring, its file, and its public names in their order."""

    name: str
    docstring: str
    file: str
    entries: tuple[Entry, ...]


@dataclass
class _File:
    """What a source file binds at its top: definitions, and what it imports, by name."""

    name: str
    path: Path
    text: str
    docstring: str
    public: list[str] | None = None
    defined: dict[str, Defined] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)


@cache
def modules() -> tuple[Module, ...]:
    """Every public module with its public names, `minigan` first, each name where it is first reached.

    Raises:
        LessonError: `__all__` lists a name that the source does not bind.
    """
    found, waiting = dict[str, Module](), [ROOT]
    while waiting:
        name = waiting.pop(0)
        if name in found:
            continue
        file, entries = _read(name), list[Entry]()
        for public in _public(file):
            module, original = _resolve(name, public)
            if not original:
                waiting.append(module)
            else:
                entries.append(_entry(public, module, original))
        found[name] = Module(name, file.docstring, _shown(file.path), tuple(entries))
    return tuple(sorted(found.values(), key=lambda module: (module.name.count("."), module.name)))


def _public(file: _File) -> list[str]:
    return file.public if file.public is not None else [name for name in file.defined if not name.startswith("_")]


def _path(module: str) -> Path | None:
    base = Path(minigan.__file__).parent.joinpath(*module.split(".")[1:])
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def _shown(path: Path) -> str:
    return f"{ROOT}/{path.relative_to(Path(minigan.__file__).parent).as_posix()}"


@cache
def _read(module: str) -> _File:
    path = _path(module)
    assert path is not None, module
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    file = _File(module, path, source, ast.get_docstring(tree) or "")
    for node in _statements(tree.body):
        if isinstance(node, ast.ImportFrom):
            for each in node.names:
                file.imported[each.asname or each.name] = (node.module or "", each.name)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            file.defined.setdefault(node.name, node)
        else:
            for target in _targets(node):
                if target == "__all__":
                    file.public = list(ast.literal_eval(node.value))  # type: ignore[arg-type]
                else:
                    file.defined.setdefault(target, node)
    return file


def _statements(body: list[ast.stmt]) -> Iterator[ast.ImportFrom | Defined]:
    """The imports and definitions at the top of a file, also those under an `if`, as of TYPE_CHECKING."""
    for node in body:
        if isinstance(node, ast.If):
            yield from _statements(node.body)
        elif isinstance(node, (ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)):
            yield node


def _targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    inside = [each for target in targets for each in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [each.id for each in inside if isinstance(each, ast.Name)]


def _resolve(module: str, name: str) -> tuple[str, str]:
    """(module, name there) of a public name, where it is defined; a module has the name ""."""
    file = _read(module)
    if name in file.imported:
        origin, original = file.imported[name]
        if origin.partition(".")[0] != ROOT:
            return module, name
        return (f"{origin}.{original}", "") if _path(f"{origin}.{original}") else _resolve(origin, original)
    if name not in file.defined:
        raise LessonError(f"{file.path}: __all__ has {name!r}, which the file neither defines nor imports by name")
    node = file.defined[name]
    if (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Name)
        and node.value.id in (file.imported | file.defined)
    ):
        return _resolve(module, node.value.id)  # pow = power
    return module, name


def _entry(name: str, module: str, original: str) -> Entry:
    file = _read(module)
    node = file.defined.get(original)
    if node is None:
        raise LessonError(f"{file.path}: {name!r} is public and comes from outside of minigan")
    if isinstance(node, ast.FunctionDef):
        return _function(name, node, file)
    if isinstance(node, ast.ClassDef):
        members = tuple(_members(name, node, file))
        return _made(name, "class", _constructor(module, node), ast.get_docstring(node) or "", file, node, members)
    value = ast.unparse(node.value) if node.value is not None else ""
    return _made(name, "constant", f" = {value}" if 0 < len(value) <= 120 else "", _comment(file, node), file, node)


def _comment(file: _File, node: Defined) -> str:
    """What is said of a constant: the comment on its first or its last line."""
    lines = file.text.splitlines()
    said = (
        lines[at - 1].rpartition("  # ")[2]
        for at in (node.lineno, node.end_lineno or node.lineno)
        if "  # " in lines[at - 1]
    )
    return next((each for each in said if each != "fmt: skip"), "")


def _made(
    name: str, kind: str, signature: str, docstring: str, file: _File, node: Defined, members: tuple[Entry, ...] = ()
) -> Entry:
    decorators = getattr(node, "decorator_list", [])
    line = min(each.lineno for each in (node, *decorators))
    return Entry(name, kind, signature, docstring, _shown(file.path), line, members)


def _function(name: str, node: ast.FunctionDef, file: _File, *, method: bool = False) -> Entry:
    marks = {ast.unparse(each).partition("(")[0] for each in node.decorator_list}
    documented = ast.get_docstring(node) or ""
    if method and marks & {"property", "cached_property"}:
        returned = f": {ast.unparse(node.returns)}" if node.returns else ""
        return _made(name, "property", returned, documented, file, node)
    bound = method and "staticmethod" not in marks
    return _made(name, "method" if method else "function", _signature(node, bound), documented, file, node)


def _signature(node: ast.FunctionDef, bound: bool = False, *, returned: bool = True) -> str:
    """The arguments as they are written, without `self`, and what is returned."""
    text = ast.unparse(node.args)
    if bound:
        first = node.args.posonlyargs + node.args.args
        text = text.removeprefix(ast.unparse(first[0])).removeprefix(", ") if first else text
    result = f" -> {ast.unparse(node.returns)}" if returned and node.returns is not None else ""
    return f"({text}){result}"


def _constructor(module: str, node: ast.ClassDef) -> str:
    """What a class is made with: the arguments of __init__, its own or inherited, or the fields of a dataclass or named tuple."""
    own = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
    if "__init__" in own:
        return _signature(own["__init__"], True, returned=False)
    bases = [ast.unparse(base) for base in node.bases]
    marks = {ast.unparse(each).partition("(")[0] for each in node.decorator_list}
    if marks & {"dataclass", "dataclasses.dataclass"} or "NamedTuple" in bases:
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        return f"({', '.join(ast.unparse(each) for each in fields if not ast.unparse(each.annotation).startswith('ClassVar'))})"
    file = _read(module)
    for base in bases:
        if base in file.defined or base in file.imported:
            place, original = _resolve(module, base)
            parent = _read(place).defined.get(original) if original else None
            if isinstance(parent, ast.ClassDef):
                return _constructor(place, parent)
    return "()" if not bases else ""


def _members(name: str, node: ast.ClassDef, file: _File) -> Iterator[Entry]:
    """The public methods and properties that a class itself defines and says something of."""
    for each in node.body:
        if not isinstance(each, ast.FunctionDef) or each.name.startswith("_") or not ast.get_docstring(each):
            continue
        if not any(ast.unparse(mark).endswith((".setter", "overload")) for mark in each.decorator_list):
            yield _function(f"{name}.{each.name}", each, file, method=True)
