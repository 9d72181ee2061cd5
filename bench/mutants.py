"""Expressions with one thing changed, and which of the changes leave the formula as it was.

A formula is wrong with another factor, sign, exponent, term or operation. A change of *where* it is tried makes no wrong formula,
so a mutant of one of these kinds that survives is counted apart, by its kind (one that is killed counts as killed):

- "size":   how many points, samples or rows: arguments of `zeros`, `eye`, `sized`, the count of a draw or of a grid; which seed;
- "grid":   the ends of `linspace`, `geomspace` or `arange`, on which a statement is tried or a minimum looked for;
- "search": all but the function, in a call that searches a minimum or a root: where it starts, between which bounds;
- "step":   the constant named `eps` or `step` of a quotient or an expansion, or the sign before it, which takes the same quotient
            from the other side;
- "point":  a constant in data (numbers, arrays of them, draws) that both sides read: the same formula at another point;
- "zero":   the whole of a side times a number, where the other side is exactly 0: as 1.05 x = 0 says x = 0.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

Place = tuple[tuple[str, int | None], ...]
Tree = TypeVar("Tree", bound=ast.AST)

FACTOR = 1.05
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
SEARCHES = {"minimize", "minimize_scalar", "root_scalar", "brentq", "search"}
GRIDS = {"linspace": (2,), "geomspace": (2,), "arange": ()}  # and the place of the number of points
COUNTS: dict[str, tuple[int, ...]] = {  # which arguments are sizes
    "standard_normal": (0,), "random": (0,), "normal": (2,), "uniform": (2,), "load": (1,),
    "default_rng": (0,), "zeros": (0,), "ones": (0,), "eye": (0,), "full": (0,), "sized": (0, 1),
}  # fmt: skip
DATA = {
    *COUNTS, *GRIDS,
    "array", "asarray", "tensor", "integers", "permutation", "dirichlet", "default_rng", "astype", "reshape",
}  # fmt: skip
STEPS = {"eps", "step"}
SIZES = {"count", "rows", "n"}  # what a parameter that is a size is called


def mutants(tree: Tree, parameters: Mapping[str, list[str]]) -> Iterator[tuple[str, Tree, str]]:
    """(what was changed, the tree with that one change, its kind or "" for the formula itself)."""
    for path, kind in _places(tree, (), "", parameters):
        node = _at(tree, path)
        for new in _changes(node):
            yield (
                f"{ast.unparse(node)} -> {ast.unparse(new)}",
                _put(copy.deepcopy(tree), path, new),
                kind or _step(node, new),
            )


def is_data(tree: ast.AST, value_of: Callable[[str], ast.expr | None]) -> bool:
    """Whether an expression is made of numbers, arrays of them and draws only."""
    if isinstance(tree, ast.Name):
        value = value_of(tree.id)
        return value is not None and is_data(value, lambda _: None)
    if isinstance(tree, ast.Call):
        return name_of(tree) in DATA and all(is_data(each, value_of) for each in tree.args)
    if isinstance(tree, ast.Attribute):
        return tree.attr in ("data", "T") and is_data(tree.value, value_of)
    if isinstance(tree, (ast.Constant, ast.UnaryOp, ast.BinOp, ast.List, ast.Tuple)):
        return all(is_data(each, value_of) for each in ast.iter_child_nodes(tree) if isinstance(each, ast.expr))
    return False


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def names_in(*trees: ast.AST) -> set[str]:
    return {n.id for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _places(node: ast.AST, path: Place, kind: str, parameters: Mapping[str, list[str]]) -> Iterator[tuple[Place, str]]:
    if isinstance(node, ast.expr):
        yield path, kind
    for name, value in ast.iter_fields(node):
        if isinstance(node, ast.Subscript) and name == "slice":
            continue
        if isinstance(node, ast.keyword) and node.arg in LAYOUT:
            continue
        if isinstance(value, ast.AST):
            yield from _places(value, (*path, (name, None)), kind, parameters)
        elif isinstance(value, list):
            for i, each in enumerate(value):
                if isinstance(each, ast.AST):
                    inner = kind or (_argument(node, name, i, parameters) if isinstance(node, ast.Call) else "")
                    yield from _places(each, (*path, (name, i)), inner, parameters)


def _argument(call: ast.Call, field: str, i: int, parameters: Mapping[str, list[str]]) -> str:
    """The kind of a call's argument."""
    called = name_of(call)
    if called in SEARCHES:
        return "search" if field == "keywords" or i > 0 else ""
    if field == "keywords":
        name = call.keywords[i].arg
        return "step" if name in STEPS else "size" if name in SIZES else ""
    if i in COUNTS.get(called, ()) or i in GRIDS.get(called, ()):
        return "size"
    if called in GRIDS:
        return "grid"
    parameter = dict(enumerate(parameters.get(called, []))).get(i)
    return "step" if parameter in STEPS else "size" if parameter in SIZES else ""


def _step(node: ast.expr, new: ast.expr) -> str:
    """ "step" where x + eps has become x - eps, or the other way round."""
    turned = (
        isinstance(node, ast.BinOp)
        and isinstance(new, ast.BinOp)
        and {type(node.op), type(new.op)} == {ast.Add, ast.Sub}
    )
    return "step" if turned and names_in(node.right) & STEPS else ""  # type: ignore[attr-defined]


def _at(node: Any, path: Place) -> Any:
    for name, i in path:
        node = getattr(node, name) if i is None else getattr(node, name)[i]
    return node


def _put(tree: Any, path: Place, new: ast.expr) -> Any:
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
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value:
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
        elif kind is ast.MatMult:
            yield ast.BinOp(node.right, ast.MatMult(), node.left)
        elif kind is ast.Pow:
            yield ast.BinOp(node.left, ast.Pow(), ast.BinOp(node.right, ast.Add(), ast.Constant(1)))
            yield node.left
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in TURNS:
        yield ast.Compare(node.left, [TURNS[type(node.ops[0])]()], node.comparators)
