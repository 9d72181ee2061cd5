"""The reference of the public names: all of them, each where it is, with its formulas set."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
from pathlib import Path

import pytest

import minigan
from minigan.lessons import beside, docstrings, formulas, frame, mathml, reference, sources
from minigan.lessons.catalog import LessonError

ROOT = Path(minigan.__file__).parent.parent
MODULES = {module.name: module for module in reference.modules()}


def reachable():
    """(module, its public names) for what can be reached from `import minigan`, by importing it."""
    waiting, seen = ["minigan"], set()
    while waiting:
        module = importlib.import_module(waiting.pop())
        if module.__name__ in seen:
            continue
        seen.add(module.__name__)
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        names = set(getattr(module, "__all__", [name for name in own if not name.startswith("_")]))
        waiting += [getattr(module, name).__name__ for name in names if inspect.ismodule(getattr(module, name))]
        yield module, {name for name in names if not inspect.ismodule(getattr(module, name))}


def test_every_public_name_is_there_and_its_signature_is_the_one_that_python_sees():
    count = 0
    for module, names in reachable():
        entries = {entry.name: entry for entry in MODULES[module.__name__].entries}
        assert names <= entries.keys(), names - entries.keys()
        for name in names:
            value, entry = getattr(module, name), entries[name]
            count += 1
            if isinstance(value, types.FunctionType):
                assert entry.kind == "function" and entry.docstring == inspect.getdoc(value), name
                shown = re.sub(r"\W", "", entry.signature)
                assert all(parameter in shown for parameter in inspect.signature(value).parameters), name
            elif inspect.isclass(value) and value.__module__.startswith("minigan"):
                assert entry.kind == "class" and entry.docstring, name
    assert count > 400


def test_a_name_stands_on_the_line_that_is_said():
    for module in MODULES.values():
        for entry in module.entries:
            for each in (entry, *entry.members):
                assert (
                    sources.names(ROOT / each.file)[each.name if each in entry.members else _there(each)] == each.line
                )


def _there(entry):
    """The name in its file: that of the definition on the line, where a module has it under another name (pow = power)."""
    at = {line: name for name, line in sources.names(ROOT / entry.file).items()}
    return at[entry.line]


def test_nothing_is_imported_to_be_listed():
    reference.modules.cache_clear()
    reference._read.cache_clear()
    before = set(sys.modules)
    assert reference.modules() and set(sys.modules) == before


def test_every_name_has_a_docstring_whose_formulas_can_be_set():
    for module in MODULES.values():
        for entry in module.entries:
            for each in (entry, *entry.members):
                assert each.docstring or each.kind == "constant", f"{module.name}.{each.name}"
                docstrings.Docstrings(place=f"{each.file}, {each.name}").html(each.docstring)


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("the value V(D) = E_p log D + E_q log(1 - D), from", r"V(D) = E_{p} \log  D + E_{q} \log (1 - D)"),
        ("D* = p/(p + q), by", "D^{*} = p/(p + q)"),
        ("KL(p || q) >= 0", r"\operatorname{KL}(p \,\Vert\,  q) \ge  0"),
        ("|z - z^| and", r"\vert z - \hat{z}\vert"),
        ("e^(-x^2/2) / sqrt(2 pi)", r"e^{-x^{2}/2} / \sqrt{2 \pi}"),
        ("log [pi a p + (1-a) q] here", r"\log  [\pi  a p + (1-a) q]"),
        ("a (N, C) array is a thing, 2-D or k-th, of x (N, H)", ""),
        ("`x = 1` and real_logits, D's own", ""),
    ],
)
def test_formulas_are_found_among_words(text, latex):
    found = formulas.pieces(text)
    assert "".join(piece.text for piece in found) == text
    assert [piece.latex for piece in found if piece.latex] == [latex] * bool(latex)
    assert not latex or "<math" in mathml.convert(latex)


def test_a_docstring_keeps_its_form():
    html = docstrings.Docstrings(link=lambda name: "#y" if name == "y" else None).html(
        """Of `y` and <b>, x = 1 (Shannon 1948, arXiv 1406.2661).

            a  -->  b

        - one
          goes on
        - two

        Args:
            x, y: two numbers,
                of one line.

        Raises:
            ValueError: x > 1.
        """
    )
    assert '<a href="#y"><code>y</code></a> and &lt;b&gt;, <math' in html
    assert '<a href="https://arxiv.org/abs/1406.2661">' in html
    assert '<pre class="kept" tabindex="0">a  --&gt;  b</pre>' in html and "<li>one goes on</li><li>two</li>" in html
    assert "<dt><code>x, y</code></dt><dd>two numbers, of one line.</dd>" in html
    assert re.search(r"Raises</p>.*<dt><code>ValueError</code></dt><dd><math.*</math>\.</dd>", html)


@pytest.mark.parametrize("broken", ["f(x = 1", "a ) b", "2 + x^ ^ 3", "(x + 1)^ is"])
def test_a_broken_formula_fails_the_build_and_says_where(broken, monkeypatch):
    entry = reference.Entry("f", "function", "(x)", f"What is {broken}.", "minigan/losses.py", 7)
    monkeypatch.setattr(
        reference, "modules", lambda: [reference.Module("minigan", "", "minigan/__init__.py", (entry,))]
    )
    with pytest.raises(LessonError, match=r"minigan/losses\.py, line 7, f: (brackets do not match|no exponent)"):
        beside.public_names(frame.Site([], sources.Sources(ROOT / "lessons"), frame.templates()))


def test_a_public_name_that_is_nowhere_is_refused(monkeypatch, tmp_path):
    made = reference._File("minigan", tmp_path / "x.py", "", "", ["lost"])
    monkeypatch.setattr(reference, "_read", lambda module: made)
    with pytest.raises(LessonError, match="__all__ has 'lost'"):
        reference.modules.__wrapped__()
