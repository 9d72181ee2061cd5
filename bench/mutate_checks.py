"""Would a lesson's checks notice a wrong formula? Mutate every formula that a check compares, and list what survives.

    python bench/mutate_checks.py [LESSON ...] [--seconds 2]     # all lessons unless some are named; writes bench/results

A lesson runs once, with the small sizes. At each `check` its two sides are evaluated again, in the place where they stand, with
one thing changed: a side or a constant times 1.05 (a whole constant plus 1), a sign flipped, + and - or * and / swapped, an
exponent raised, a term or a factor dropped; in the sides themselves, in what the names in them were assigned, and in the lesson's
own functions that they call. Where that kills none, the statements that led to the sides are run again, the nearest first, with
one thing changed in one of them, until a mutant is killed. A mutant is killed where the check then fails, in any round of a loop.
Those that raise, or give the numbers they gave before, are no wrong formulas and are not counted. Nor are survivors that only
move the point at which the formula is tried: they are counted apart, by the kinds that `mutants.py` states. What else survives is
- of an inequality: listed apart, as a bound with a margin holds for its neighbours too; but each must kill some mutant;
- of a refutation (!=): listed apart, as almost any number differs; the check holds if "=" would fail;
- of an equation: a check that is too weak, unless `mutations.toml` beside this file says why it must be so.
What the time did not suffice for is counted as not reached.

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
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["MINIGAN_FAST"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
from mutants import FACTOR, is_data, mutants, names_in

import minigan as mg
import minigan.lessons
from minigan.lessons import catalog, checks

HERE = Path(__file__).parent
PARTS = HERE / "results" / "mutations"
SAME = 1e-13  # numbers that differ by no more, relative to the largest, are the same
ARRAY = "_array_of_a_side"
ASIDE = {"check", "grade", "show", "print", "figure"}  # statements that no formula needs


# -- where the formulas of a check stand -----------------------------------------------------------------------------
@dataclass
class Formula:
    """A check in a lesson's text, its mutants, and what became of them."""

    id: str
    line: int
    relation: str
    alive: list[Mutant]
    seconds: float = 0.0
    killed: int = 0
    refutes: bool = True


@dataclass
class Mutant:
    """What was changed, and how the check's sides are made with it: statements that run first, then a side if it was changed.

    `place` is the same with nothing changed; where that does not give the check's own result, a mutant tells nothing.
    """

    label: str
    kind: str
    place: str
    first: list[ast.stmt] = field(default_factory=list)
    sides: dict[str, ast.expr] = field(default_factory=dict)
    tried: bool = False
    survived: bool = False


class Text:
    """A lesson's text: its checks by line, what each name is assigned, and its functions."""

    def __init__(self, source: str) -> None:
        self.tree = tree = ast.parse(source)
        self.calls = [
            n for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "check"
        ]  # fmt: skip
        self.functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.decorator_list}
        self.parameters = {name: [a.arg for a in f.args.args] for name, f in self.functions.items()}
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

    def reaches(self, tree: ast.AST, line: int) -> set[str]:
        """The names that an expression is made from, through what was assigned to each before the line."""
        found: set[str] = set()
        open_ones = names_in(tree)
        while open_ones:
            name = open_ones.pop()
            found.add(name)
            value = self.value_of(name, line)
            if value is not None:
                open_ones |= names_in(value) - found
        return found

    def before(self, call: ast.Call) -> Iterator[ast.stmt]:
        """The statements that run before a call, the nearest first, of the blocks that it stands in."""
        blocks, block = [], self.tree.body
        while block:
            at = next(i for i, s in enumerate(block) if call in ast.walk(s))
            blocks.append(block[:at])
            inside = [getattr(block[at], name, []) for name in ("body", "orelse", "finalbody")]
            block = next((b for b in inside if any(call in ast.walk(s) for s in b)), [])
        for each in reversed(blocks):
            yield from reversed(each)

    def leading_to(self, call: ast.Call, sides: dict[str, ast.expr]) -> list[ast.stmt]:
        """The statements that made what the sides of a check read, in their order."""
        needed, chosen = names_in(*sides.values()), []
        for statement in self.before(call):
            statement = _without_asides(statement)
            made = _made(statement)
            if made & needed and not isinstance(statement, (ast.ClassDef, ast.Import, ast.ImportFrom)):
                chosen.append(statement)
                if isinstance(statement, (ast.Assign, ast.FunctionDef)):
                    needed -= made
                needed |= names_in(statement)
        return chosen[::-1]


class _Asides(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        called = node.value.func if isinstance(node.value, ast.Call) else None
        return ast.Pass() if isinstance(called, ast.Name) and called.id in ASIDE else node


def _without_asides(statement: ast.stmt) -> ast.stmt:
    return _Asides().visit(copy.deepcopy(statement))


def _made(statement: ast.stmt) -> set[str]:
    """The names that a statement binds, or whose contents it changes."""
    if isinstance(statement, ast.FunctionDef):
        return {statement.name}
    made = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            made.add(node.id)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            made |= {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):  # rows.append(...), game.step(...)
            owner = node.value.func
            while isinstance(owner, (ast.Attribute, ast.Subscript)):
                owner = owner.value
            made |= {owner.id} if isinstance(owner, ast.Name) else set()
    return made


# -- the mutants of a check ------------------------------------------------------------------------------------------
def sides_of(call: ast.Call) -> dict[str, ast.expr]:
    sides = {side: call.args[i] for i, side in ((2, "left"), (3, "right")) if len(call.args) > i}
    return sides | {k.arg: k.value for k in call.keywords if k.arg in ("left", "right")}


def near(text: Text, call: ast.Call) -> Iterator[Mutant]:
    """One thing changed in the sides, in what their names were assigned, or in the lesson's functions that they call."""
    sides = sides_of(call)
    for side, tree in sides.items():
        array = ast.Call(ast.Name(ARRAY, ast.Load()), [tree], [])  # a side may be a list, which no number multiplies
        whole = {
            f"{side} * {FACTOR}": ast.BinOp(array, ast.Mult(), ast.Constant(FACTOR)),
            f"-{side}": ast.UnaryOp(ast.USub(), array),
        }
        for label, new in whole.items():
            yield Mutant(label, "whole", side, sides={side: new})
        for label, new, kind in mutants(tree, text.parameters):
            yield Mutant(f"{side}: {label}", kind, side, sides={side: new})
    reached = [text.reaches(tree, call.lineno) for tree in sides.values()]
    for name in sorted(names_in(*sides.values())):
        value = text.value_of(name, call.lineno)
        if value is not None:
            given = all(name in each for each in reached) and len(reached) == 2
            point = given and is_data(value, lambda inner: text.value_of(inner, call.lineno))
            own = "step" if name in ("eps", "step") and isinstance(value, ast.Constant) else "point" if point else ""
            for label, new, kind in mutants(value, text.parameters):
                yield Mutant(f"{name} = {label}", kind or own, name, [_assignment(name, new)])
        if name in text.functions:
            for label, changed, kind in _inside(text.functions[name], text.parameters):
                yield Mutant(f"{name}(): {label}", kind, f"{name}()", [changed])


def _assignment(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def _inside(function: ast.FunctionDef, parameters: dict[str, list[str]]) -> Iterator[tuple[str, ast.FunctionDef, str]]:
    for i, statement in enumerate(function.body):
        value = getattr(statement, "value", None)
        if not isinstance(statement, (ast.Return, ast.Assign, ast.AugAssign)) or value is None:
            continue
        for label, new, kind in mutants(value, parameters):
            changed = copy.deepcopy(function)
            changed.body[i].value = new  # type: ignore[attr-defined]
            yield label, changed, kind


def further_back(text: Text, call: ast.Call) -> Iterator[Mutant]:
    """One thing changed in the statements that led to the sides, the nearest first; all of them run again."""
    statements = text.leading_to(call, sides_of(call))
    for i in reversed(range(len(statements))):
        for label, new, kind in mutants(statements[i], text.parameters):
            yield Mutant(f"before: {label}", kind, "before", [*statements[:i], new, *statements[i + 1 :]])


# -- evaluating them in place ----------------------------------------------------------------------------------------
def evaluated(mutant: Mutant, call: ast.Call, frame: Any, values: dict[str, Any]) -> tuple[Any, Any]:
    """The two sides with the mutant in them. Random sources are copied: the lesson's own go on as if nothing had been drawn."""
    scope = {**frame.f_globals, **frame.f_locals, ARRAY: checks._numbers}
    scope |= {
        name: copy.deepcopy(v) for name, v in scope.items() if isinstance(v, (np.random.Generator, mg.random.Source))
    }
    if mutant.first:
        exec(_compiled(ast.Module(mutant.first, []), "exec"), scope)
    result = dict(values)
    for side, tree in (sides_of(call) if mutant.first else mutant.sides).items():
        result[side] = eval(_compiled(ast.Expression(tree), "eval"), scope)
    return result["left"], result["right"]


def unchanged(mutant: Mutant, text: Text, call: ast.Call) -> Mutant:
    """The mutant's place, with nothing changed in it."""
    place = mutant.place
    if place in ("left", "right"):
        return Mutant("", "", place, sides={place: sides_of(call)[place]})
    if place == "before":
        return Mutant("", "", place, text.leading_to(call, sides_of(call)))
    if place.endswith("()"):
        return Mutant("", "", place, [text.functions[place[:-2]]])
    value = text.value_of(place, call.lineno)
    assert value is not None
    return Mutant("", "", place, [_assignment(place, value)])


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
            a, b, rtol=SAME, atol=SAME * float(np.abs(b[np.isfinite(b)]).max(initial=0.0)), equal_nan=True
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
        if call.lineno not in self.found:
            self.found[call.lineno] = Formula(id, call.lineno, relation, list(near(self.text, call)))
        formula = self.found[call.lineno]
        if relation == "!=":
            formula.refutes &= not holds(left, right, "=", atol, rtol)
        trial = Trial(self.text, call, frame, {"left": left, "right": right}, (relation, atol, rtol))
        formula.alive.sort(key=lambda mutant: mutant.place.endswith("()"))  # the cheap ones first
        for mutant in list(formula.alive):
            if formula.seconds > self.seconds:
                break
            formula.seconds += self._try(formula, mutant, trial)
        if not formula.killed:
            spent = 0.0
            for mutant in further_back(self.text, call):
                if spent > 2 * self.seconds or formula.killed:
                    break
                spent += self._try(formula, mutant, trial)

    def _try(self, formula: Formula, mutant: Mutant, trial: Trial) -> float:
        start = time.perf_counter()
        outcome = trial.outcome(mutant)
        mutant.tried = True
        if outcome == "killed":
            formula.killed += 1
            formula.alive = [each for each in formula.alive if each is not mutant]
        elif outcome == "survives":
            mutant.survived = True
        return time.perf_counter() - start


@dataclass
class Trial:
    """A check as it is made: in which frame, with what on its sides, by which rule."""

    text: Text
    call: ast.Call
    frame: Any
    values: dict[str, Any]
    rule: tuple[str, float, float]
    tells: dict[str, bool] = field(default_factory=dict)

    def outcome(self, mutant: Mutant) -> str:
        """ "killed", "survives", or "void" where the mutant is no other formula."""
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                if mutant.place not in self.tells:  # a name that has changed since: its place tells nothing
                    self.tells[mutant.place] = False
                    plain = unchanged(mutant, self.text, self.call)
                    self.tells[mutant.place] = holds(*evaluated(plain, self.call, self.frame, self.values), *self.rule)
                if not self.tells[mutant.place]:
                    return "void"
                new = evaluated(mutant, self.call, self.frame, self.values)
                if same(new, (self.values["left"], self.values["right"])):
                    return "void"
                held = holds(*new, *self.rule)
            except Exception:
                return "void"
        if held and mutant.kind == "whole":
            other = self.values["right" if mutant.place == "left" else "left"]
            mutant.kind = "zero" if not checks._numbers(other).any() else ""
        return "survives" if held else "killed"


# -- the table -------------------------------------------------------------------------------------------------------
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
            "survivors": [m.label for m in f.alive if m.survived and not m.kind],
            "moved": dict(Counter(m.kind for m in f.alive if m.survived and m.kind)),
            "not_reached": sum(not m.tried for m in f.alive),
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
        "| lesson | checks | killed | survivors of equations: explained | unexplained | of inequalities | of refutations "
        "| that only move the point | not reached |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    details, open_ones = [], 0
    for number, found in sorted(parts.items()):
        counts = {"explained": 0, "unexplained": 0, "<=": 0, "!=": 0, "moved": 0, "not reached": 0}
        for each in found:
            weak = []
            counts["moved"] += sum(each["moved"].values())
            counts["not reached"] += each["not_reached"]
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
