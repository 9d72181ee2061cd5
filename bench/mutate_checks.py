"""Would a lesson's checks notice a wrong formula? Mutate every formula that a check compares, and list what survives.

    python bench/mutate_checks.py [LESSON ...] [--seconds 2]     # all lessons unless some are named; writes bench/results

A lesson runs once, with the small sizes. At each `check` its two sides are evaluated again, in the place where they stand, with
one thing changed: a side or a constant times 1.05 (a whole constant plus 1), a sign flipped,
+ and - or * and / swapped, an exponent raised, a term or a
factor dropped; in the sides themselves, in what the names in them were assigned, and in the lesson's own functions that they
call. A mutant is killed where the check then fails, in any round of a loop. Those that raise, or give the numbers they gave
before, are no wrong formulas and are not counted. What survives is
- of an inequality: listed apart, as a bound with a margin holds for its neighbours too; but each must kill some mutant;
- of a refutation (!=): listed apart, as almost any number differs; the check holds if "=" would fail;
- of an equation: a check that is too weak, unless `mutations.toml` beside this file says why it must be so.

Each lesson has its own part of the results, so an interrupted run goes on where it stopped: name the lessons that are left.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import fnmatch
import io
import json
import os
import runpy
import sys
import time
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["MINIGAN_FAST"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np

import minigan.lessons
from minigan.lessons import catalog, checks

HERE = Path(__file__).parent
PARTS = HERE / "results" / "mutations"
FACTOR = 1.05
SAME = 1e-13  # numbers that differ by no more, relative to the largest, are the same
LAYOUT = {
    "axis",
    "axes",
    "shape",
    "size",
    "dtype",
    "atol",
    "rtol",
    "low",
    "high",
    "panels",
    "nodes",
    "seed",
    "steps",
    "keepdims",
}


# -- mutations of an expression --------------------------------------------------------------------------------------
def mutants(tree: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """(what was changed, the expression with that one change)."""
    places = [path for path in _places(tree, ())]
    for path in places:
        node = _at(tree, path)
        for new in _changes(node):
            changed = copy.deepcopy(tree)
            text = f"{ast.unparse(node)} -> {ast.unparse(new)}"
            yield text, _put(changed, path, new)


def _places(node: ast.AST, path: tuple[tuple[str, int | None], ...]) -> Iterator[tuple[tuple[str, int | None], ...]]:
    if isinstance(node, ast.expr):
        yield path
    for name, value in ast.iter_fields(node):
        if isinstance(node, ast.Subscript) and name == "slice":
            continue
        if isinstance(node, ast.keyword) and node.arg in LAYOUT:
            continue
        if isinstance(value, ast.AST):
            yield from _places(value, (*path, (name, None)))
        elif isinstance(value, list):
            for i, each in enumerate(value):
                if isinstance(each, ast.AST):
                    yield from _places(each, (*path, (name, i)))


def _at(node: Any, path: tuple[tuple[str, int | None], ...]) -> Any:
    for name, i in path:
        node = getattr(node, name) if i is None else getattr(node, name)[i]
    return node


def _put(tree: ast.expr, path: tuple[tuple[str, int | None], ...], new: ast.expr) -> ast.expr:
    if not path:
        return new
    parent = _at(tree, path[:-1])
    name, i = path[-1]
    if i is None:
        setattr(parent, name, new)
    else:
        getattr(parent, name)[i] = new
    return tree


SWAPS: dict[type, type] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
TURNS: dict[type, type] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.Gt,
    ast.Gt: ast.Lt,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


def _changes(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value:
        whole = type(node.value) is int  # a size, perhaps: it has to stay whole
        yield (
            ast.BinOp(node, ast.Add(), ast.Constant(1)) if whole else ast.BinOp(node, ast.Mult(), ast.Constant(FACTOR))
        )
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand
    elif isinstance(node, ast.BinOp):
        kind = type(node.op)
        if kind in SWAPS:
            yield ast.BinOp(node.left, SWAPS[kind](), node.right)
            yield node.left
            yield ast.UnaryOp(ast.USub(), node.right) if kind is ast.Sub else node.right
        elif kind is ast.Pow:
            yield ast.BinOp(node.left, ast.Pow(), ast.BinOp(node.right, ast.Add(), ast.Constant(1)))
            yield node.left
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in TURNS:
        yield ast.Compare(node.left, [TURNS[type(node.ops[0])]()], node.comparators)


# -- where the formulas of a check stand -----------------------------------------------------------------------------
@dataclass
class Formula:
    """A check in a lesson's text, its mutants, and what became of them."""

    id: str
    line: int
    relation: str
    seconds: float = 0.0
    alive: dict[str, Any] = field(default_factory=dict)
    killed: int = 0
    refutes: bool = True
    seen: bool = False


class Text:
    """A lesson's text: its checks by line, what each name is assigned, and its functions."""

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        self.calls = [
            n for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "check"
        ]  # fmt: skip
        self.functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.decorator_list}
        self.assigned: dict[str, list[tuple[int, ast.expr]]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                self._assign(node.targets[0], node.value, node.lineno)

    def _assign(self, target: ast.expr, value: ast.expr, line: int) -> None:
        if isinstance(target, ast.Name):
            self.assigned.setdefault(target.id, []).append((line, value))
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for each, part in zip(target.elts, value.elts, strict=True):
                self._assign(each, part, line)

    def call(self, line: int) -> ast.Call | None:
        inside = [c for c in self.calls if c.lineno <= line <= (c.end_lineno or c.lineno)]
        return min(inside, key=lambda c: (c.end_lineno or 0) - c.lineno) if inside else None

    def value_of(self, name: str, line: int) -> ast.expr | None:
        """What the name was last assigned before the line."""
        before = [value for at, value in self.assigned.get(name, []) if at < line]
        return before[-1] if before else None


Mutant = dict[str, Any]  # "left"/"right": an expression; "names": {name: expression}; "function": a definition


def candidates(text: Text, call: ast.Call) -> Iterator[tuple[str, Mutant, Mutant]]:
    """(label, mutant, the same place unchanged) for all that a check compares."""
    sides = {side: call.args[i] for i, side in ((2, "left"), (3, "right")) if len(call.args) > i}
    for keyword in call.keywords:
        if keyword.arg in ("left", "right"):
            sides[keyword.arg] = keyword.value
    for side, tree in sides.items():
        whole = {
            f"{side} * {FACTOR}": ast.BinOp(tree, ast.Mult(), ast.Constant(FACTOR)),
            f"-{side}": ast.UnaryOp(ast.USub(), tree),
        }
        for label, new in whole.items():
            yield label, {side: new}, {side: tree}
        for label, new in mutants(tree):
            yield f"{side}: {label}", {side: new}, {side: tree}
    used = {n.id for tree in sides.values() for n in ast.walk(tree) if isinstance(n, ast.Name)}
    for name in sorted(used):
        value = text.value_of(name, call.lineno)
        if value is not None:
            for label, new in mutants(value):
                yield f"{name} = {label}", {"names": {name: new}}, {"names": {name: value}}
        if name in text.functions:
            yield from _inside(name, text.functions[name])


def _inside(name: str, function: ast.FunctionDef) -> Iterator[tuple[str, Mutant, Mutant]]:
    for i, statement in enumerate(function.body):
        value = getattr(statement, "value", None)
        if not isinstance(statement, (ast.Return, ast.Assign, ast.AugAssign)) or value is None:
            continue
        for label, new in mutants(value):
            changed = copy.deepcopy(function)
            changed.body[i].value = new  # type: ignore[attr-defined]
            yield f"{name}(): {label}", {"function": changed}, {"function": function}


# -- evaluating them in place ----------------------------------------------------------------------------------------
def evaluated(mutant: Mutant, call: ast.Call, frame: Any, sides: dict[str, Any]) -> tuple[Any, Any]:
    scope = {**frame.f_globals, **frame.f_locals}
    if "function" in mutant:
        exec(_compiled(ast.Module([mutant["function"]], []), "exec"), scope)
    for name, value in mutant.get("names", {}).items():
        scope[name] = eval(_compiled(ast.Expression(value), "eval"), scope)
    result = dict(sides)
    for side, place in (("left", 2), ("right", 3)):
        if side in mutant:
            result[side] = eval(_compiled(ast.Expression(mutant[side]), "eval"), scope)
        elif len(call.args) > place and ("names" in mutant or "function" in mutant):
            result[side] = eval(_compiled(ast.Expression(call.args[place]), "eval"), scope)
    return result["left"], result["right"]


def _compiled(tree: Any, mode: str) -> Any:
    return compile(ast.fix_missing_locations(copy.deepcopy(tree)), "<mutant>", mode)


def holds(left: Any, right: Any, relation: str, atol: float, rtol: float) -> bool:
    _, _, gap, limit = checks.gap_and_limit(left, right, relation, atol=atol, rtol=rtol)
    with np.errstate(all="ignore"):
        ratio = np.where(gap == 0, 0.0, gap / limit).max()
    return bool(ratio > 1 if relation == "!=" else ratio <= 1)


def same(values: tuple[Any, Any], others: tuple[Any, Any]) -> bool:
    for one, other in zip(values, others, strict=True):
        a, b = checks._numbers(one), checks._numbers(other)
        if a.shape != b.shape or not np.allclose(
            a, b, rtol=SAME, atol=SAME * float(np.abs(b).max(initial=0.0)), equal_nan=True
        ):
            return False
    return True


class Mutator:
    """Stands in for `check` while a lesson runs."""

    def __init__(self, lesson: catalog.Lesson, seconds: float) -> None:
        self.text, self.path, self.seconds = Text(lesson.source), str(lesson.path), seconds
        self.found: dict[int, Formula] = {}

    def __call__(self, id: str, statement: str, left: Any, right: Any = 0.0, **options: Any) -> None:
        frame = sys._getframe(1)
        relation, atol, rtol = options.get("relation", "="), options["atol"], options.get("rtol", 0.0)
        if not holds(left, right, relation, atol, rtol):
            raise checks.CheckError(f"check {id} does not hold unmutated: {statement}")
        call = self.text.call(frame.f_lineno) if frame.f_code.co_filename == self.path else None
        if call is None:
            raise LookupError(f"check {id}: its call was not found in the lesson's text")
        formula = self.found.setdefault(call.lineno, Formula(id, call.lineno, relation))
        if relation == "!=":
            formula.refutes &= not holds(left, right, "=", atol, rtol)
        if not formula.seen:
            formula.alive = {label: pair for label, *pair in candidates(self.text, call)}
        self._try(formula, call, frame, {"left": left, "right": right}, (relation, atol, rtol))
        formula.seen = True

    def _try(
        self, formula: Formula, call: ast.Call, frame: Any, sides: dict[str, Any], rule: tuple[str, float, float]
    ) -> None:
        unchanged: dict[str, bool] = {}
        for label in sorted(formula.alive, key=lambda text: "()" in text):  # the cheap ones first
            if formula.seconds > self.seconds:
                break
            start = time.perf_counter()
            mutant, plain = formula.alive[label]
            place = "function" if "function" in plain else next(iter(plain.get("names", plain)))
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    if place not in unchanged:  # a draw, or a name that has changed since: its place tells nothing
                        unchanged[place] = holds(*evaluated(plain, call, frame, sides), *rule)
                    values = evaluated(mutant, call, frame, sides)
                    void = not unchanged[place] or same(values, (sides["left"], sides["right"]))
                    survives = not void and holds(*values, *rule)
                except Exception:
                    void, survives = True, False
            formula.seconds += time.perf_counter() - start
            if void:
                formula.alive[label][1].setdefault("void", True)
            elif not survives:
                formula.killed += 1
                del formula.alive[label]
            else:
                plain["tried"] = True


# -- the table -------------------------------------------------------------------------------------------------------
def survivors(formula: Formula) -> list[str]:
    return [label for label, (_, plain) in formula.alive.items() if plain.get("tried")]


def mutate(lesson: catalog.Lesson, seconds: float) -> list[dict[str, Any]]:
    mutator = Mutator(lesson, seconds)
    original = minigan.lessons.check
    minigan.lessons.check = mutator  # type: ignore[assignment]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(lesson.path), run_name="__main__")
    finally:
        minigan.lessons.check = original
    return [
        {
            "id": f.id,
            "line": f.line,
            "relation": f.relation,
            "killed": f.killed,
            "refutes": f.refutes,
            "survivors": survivors(f),
        }
        for f in mutator.found.values()
    ]


def explained(reasons: list[dict[str, str]], id: str, label: str) -> str:
    for each in reasons:
        if fnmatch.fnmatchcase(id, each["check"]) and each.get("mutant", "") in label:
            return each["why"]
    return ""


def table(parts: dict[int, list[dict[str, Any]]], reasons: list[dict[str, str]]) -> tuple[str, int]:
    """(the table, how many survivors of equations nobody has explained)."""
    lines = [
        "| lesson | checks | killed | survivors of equations: explained | unexplained | of inequalities | of refutations |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    details, open_ones = [], 0
    for number, found in sorted(parts.items()):
        counts = {"explained": 0, "unexplained": 0, "<=": 0, "!=": 0}
        for each in found:
            weak = []
            for label in each["survivors"]:
                kind = {"=": "=", "!=": "!="}.get(each["relation"], "<=")
                why = explained(reasons, each["id"], label) if kind == "=" else ""
                counts[kind if kind != "=" else ("explained" if why else "unexplained")] += 1
                if kind == "=":
                    weak.append(f"  - `{label}`: {why or '**unexplained**'}")
                    open_ones += not why
            toothless = (
                not each["killed"] and each["relation"] != "!=" and not explained(reasons, each["id"], "toothless")
            )
            if toothless or not each["refutes"]:
                weak.append("  - **kills no mutant**")
                open_ones += 1
            if weak:
                details += [f"- {each['id']} (line {each['line']}), {each['killed']} killed", *weak]
        killed = sum(each["killed"] for each in found)
        lines.append(f"| {' | '.join(map(str, (number, len(found), killed, *counts.values())))} |")
    return "\n".join([*lines, "", "## Survivors of equations", "", *(details or ["None."])]) + "\n", open_ones


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("lessons", nargs="*", default=["all"])
    parser.add_argument("--seconds", type=float, default=2.0, help="for the mutants of one check (2)")
    arguments = parser.parse_args()
    PARTS.mkdir(parents=True, exist_ok=True)
    for lesson in catalog.pick(catalog.find(), arguments.lessons or ["all"]):
        found = mutate(lesson, arguments.seconds)
        (PARTS / f"{lesson.number:02}.json").write_text(
            json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        print(
            f"lesson {lesson.number}: {len(found)} checks, {sum(f['killed'] for f in found)} mutants killed", flush=True
        )
    parts = {int(p.stem): json.loads(p.read_text(encoding="utf-8")) for p in sorted(PARTS.glob("*.json"))}
    reasons = tomllib.loads((HERE / "mutations.toml").read_text(encoding="utf-8"))["survivor"]
    text, unexplained = table(parts, reasons)
    title = "# Mutated checks\n\nMade by `python bench/mutate_checks.py`; reasons from `bench/mutations.toml`.\n\n"
    (HERE / "results" / "mutations.md").write_text(title + text, encoding="utf-8")
    print(f"{unexplained} unexplained")
    return min(unexplained, 1)


if __name__ == "__main__":
    sys.exit(main())
