"""Public functions say what they take: no argument of operations, layers, losses and penalties is an `Any`."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import pytest

from minigan import losses, nn, ops, penalties

MEANT = {
    ("Module", "forward"), ("Module", "astype"),  # what a subclass takes is its own; NumPy's own word for a dtype
    ("getitem", ""), ("index_add", ""),  # an index is a number, a slice, an array, ..., None, or a tuple of them
}  # fmt: skip
OPEN = {("Conv", "__init__"), ("ConvTranspose", "__init__")}  # an integer or one an axis, checked by `ops.conv`


def public(space: ModuleType) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for name, value in vars(space).items():
        if name.startswith("_") or not getattr(value, "__module__", "").startswith(space.__name__):
            continue
        if inspect.isclass(value):
            members = {n: m for n, m in vars(value).items() if inspect.isfunction(m)}
            found |= {(name, n): m for n, m in members.items() if not n.startswith("_") or n == "__init__"}
        elif inspect.isfunction(value):
            found[name, ""] = value
    return found


@pytest.mark.parametrize("space", [losses, nn, ops, penalties], ids=lambda m: m.__name__)
def test_no_public_argument_is_an_any(space: ModuleType) -> None:
    functions = public(space)
    assert len(functions) > 5
    for key, function in functions.items():
        for p in inspect.signature(function).parameters.values():
            loose = p.annotation == "Any" and p.kind is not p.VAR_KEYWORD
            assert not loose or key in MEANT | OPEN, f"{'.'.join(key)}: {p.name} is Any"
