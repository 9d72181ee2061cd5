"""Formulas as docstrings have them, in plain characters, found among words and turned into LaTeX.

A docstring is read in a terminal, so it says `E_p log D + E_q log(1 - D)` and not `\\mathbb{E}_{p}`. Each sign is turned into the
one it stands for, one by one: nothing is reordered, and a fraction keeps its stroke, so no reading of the formula is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

GREEK = frozenset([
    "alpha", "beta", "gamma", "delta", "eps", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "pi", "rho",
    "sigma", "tau", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Sigma", "Phi", "Psi", "Omega",
])  # fmt: skip
KNOWN = frozenset([  # that LaTeX has a command for
    "log", "exp", "max", "min", "sup", "inf", "det", "cos", "sin", "tanh", "arg", "dim", "lim",
])  # fmt: skip
NAMED = frozenset([
    "softplus", "sigmoid", "relu", "softmax", "logsumexp", "sqrt", "erf", "erfc", "sign", "clip", "mean", "std", "var", "cov",
    "trace", "tr", "rank", "diag", "KL", "JSD", "TV", "BCE", "Bern", "argmax", "argmin", "grad", "softsign", "expm1", "log1p",
    "concat",
])  # fmt: skip
TAKES = frozenset([  # something must follow
    "sum", "prod", "integral", "log", "exp", "max", "min", "sup", "inf", "E", "grad", "d",
])  # fmt: skip
INDICES = frozenset(["real", "fake", "data", "model", "new", "old"])
OPERATORS = {
    "<=": r"\le ", "<<": r"\ll ", ">=": r"\ge ", "!=": r"\ne ", "->": r"\to ", "-->": r"\longrightarrow ", "||": r"\,\Vert\, ",
    "...": r"\dots ", "+-": r"\pm ", "=": "=", "+": "+", "-": "-", "*": r"\cdot ", "/": "/", "<": "<", ">": ">", "|": r"\vert ",
    "~": r"\sim ", "^": "^", "(": "(", ")": ")", "[": "[", "]": "]", ",": ", ", "'": "'",
}  # fmt: skip
JOINS = frozenset([  # need something on both sides
    "<=", "<<", ">=", "!=", "->", "-->", "||", "+-", "=", "+", "-", "*", "/", "<", ">", "~",
])  # fmt: skip
TOKEN = re.compile(
    r"""(?P<code>`[^`]*`|"[^"]*"|'[^'\s]+'|https?://\S+)
      | (?P<word>\d-D\b|\d+x\d+|\b[a-z]-th\b|[a-z]\.[a-z]\.|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|[A-Za-z]\w*'s\b
        |[^\W\d]\w*-[^\W\d]\w+(?:-\w+)*)
      | (?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?|\.\d+)
      | (?P<name>[^\W\d_][^\W_]*(?:_\w+)?)
      | (?P<sign>-->|<<|<=|>=|!=|->|\|\||\.\.\.|\+-|[-=+*/<>|~^()\[\],'])
      | (?P<space>\s+) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
OPEN, CLOSE = "([", ")]"


class FormulaError(ValueError):
    """A formula in a text is broken: its brackets do not match, or an exponent is missing."""


@dataclass(frozen=True)
class Token:
    """A piece of text: its kind, the group of `TOKEN`, and the text."""

    kind: str
    text: str


@dataclass(frozen=True)
class Piece:
    """A part of a text: words, or a formula with its LaTeX."""

    text: str
    latex: str = ""


@cache
def pieces(text: str) -> tuple[Piece, ...]:
    """The words and the formulas of a paragraph, in their order.

    Raises:
        FormulaError: a bracket that is not closed or not opened, or a ^ without exponent.
    """
    tokens = [Token(str(match.lastgroup), match[0]) for match in TOKEN.finditer(text)]
    _unbroken(tokens, text)
    found, words = list[Piece](), ""
    for is_formula, run in _runs(tokens):
        said = "".join(token.text for token in run)
        if not is_formula:
            words += said
            continue
        if words:
            found.append(Piece(words))
        found.append(Piece(said, _latex(run)))
        words = ""
    return (*found, Piece(words)) if words else tuple(found)


def _unbroken(tokens: list[Token], text: str) -> None:
    """Brackets match ([0, 1) is an interval, so either kind closes either), and each ^ has an exponent or is a hat."""
    depth = 0
    for token in tokens:
        if token.kind == "sign":
            depth += (token.text in OPEN) - (token.text in CLOSE)
        if depth < 0:
            break
    for at, token in enumerate(tokens):
        after = tokens[at + 1] if at + 1 < len(tokens) else Token("space", " ")
        if token.text == "^" and not (_hat(tokens, at) or after.kind in ("name", "number") or after.text in "(-*+|"):
            raise FormulaError(f"no exponent after ^ in {text.strip()!r}")
    if depth:
        raise FormulaError(f"brackets do not match in {text.strip()!r}: close what is open, or set a name in backticks")


# -- where a formula begins and ends ----------------------------------------------------------------------------------
def _runs(tokens: list[Token]) -> Iterator[tuple[bool, list[Token]]]:
    """(whether it is a formula, tokens) for consecutive stretches of the text."""
    at = 0
    while at < len(tokens):
        end = _end(tokens, at) if _may_begin(tokens, at) else at
        if end > at and _is_formula(tokens[at:end]):
            yield True, tokens[at:end]
            at = end
        else:
            yield False, [tokens[at]]
            at += 1


def _may_begin(tokens: list[Token], at: int) -> bool:
    """A formula begins with a symbol, a number, a bracket, a bar or a minus, and not within a word."""
    token, before = tokens[at], tokens[at - 1] if at else Token("space", " ")
    if before.kind in ("name", "number", "word", "code") or (before.kind == "sign" and before.text not in OPEN):
        return False
    return _symbol(tokens, at) or token.kind == "number" or token.text in ("(", "[", "|", "-")


def _end(tokens: list[Token], at: int) -> int:
    """The end of the longest stretch from `at` that is made of signs of formulas, with matching brackets, nothing hanging."""
    depth, end, best = 0, at, at
    while end < len(tokens):
        token = tokens[end]
        if token.kind == "sign" and token.text in CLOSE and not depth:
            break
        if token.kind == "sign" and token.text == "," and not depth:
            break
        if not (token.kind in ("number", "sign", "space") or _symbol(tokens, end)):
            break
        if token.kind == "space" and _apart(tokens, end):
            break
        depth += (token.kind == "sign") * ((token.text in OPEN) - (token.text in CLOSE))
        end += 1
        if not depth and not _hanging(tokens, end - 1) and _whole(tokens[at:end]):
            best = end
    return best


def _hanging(tokens: list[Token], at: int) -> bool:
    """Whether what stands here cannot be the last of a formula: a space, a sign that joins, a sum of nothing."""
    token = tokens[at]
    if token.kind == "name":
        return token.text.partition("_")[0] in TAKES
    if token.kind == "sign" and token.text in JOINS | {"^", ","}:
        return not (_star(tokens, at) or _hat(tokens, at) or _inverse(tokens, at))
    return token.kind == "space"


def _apart(tokens: list[Token], at: int) -> bool:
    """Whether a space parts two things that no formula has side by side: "(N, C)" after a name, a number after a number."""
    before, after = tokens[at - 1], tokens[at + 1] if at + 1 < len(tokens) else Token("other", "")
    if after.text in OPEN and before.kind == "name":
        return before.text.partition("_")[0] not in KNOWN | NAMED | TAKES
    return after.kind == "number" and (before.kind == "number" or (before.kind == "name" and before.text not in KNOWN))


def _whole(run: list[Token]) -> bool:
    return sum(token.text == "|" for token in run) % 2 == 0


def _symbol(tokens: list[Token], at: int) -> bool:
    """Whether a name is one of mathematics: a letter, a Greek one, a function, each perhaps with an index."""
    token = tokens[at]
    if token.kind != "name":
        return False
    base, _, index = token.text.partition("_")
    if base in ("a", "A", "I") and not index:
        return not _article(*_beside(tokens, at))
    if re.fullmatch(r"[^\W\d_]\d?", base) or base in GREEK:
        return True
    return base in KNOWN | NAMED | {"sum", "prod", "integral"} and (not index or len(index) <= 2)


def _article(before: Token, after: Token) -> bool:
    """Whether the letter between these is a word ("a", "A", "I"): no sign of a formula and no symbol stands beside it."""
    if after.text in JOINS | {"^", "|"} or before.text in JOINS | {"^", "|"} or before.kind == "number":
        return False
    if before.text in ("(", ",") and after.text in (")", ","):
        return False
    return not (before.kind == "name" and (before.text in GREEK or len(before.text) == 1))


def _beside(tokens: list[Token], at: int) -> tuple[Token, Token]:
    """What stands before and after, spaces left out."""
    near = []
    for step in (-1, 1):
        there = at + step
        while 0 <= there < len(tokens) and tokens[there].kind == "space":
            there += step
        near.append(tokens[there] if 0 <= there < len(tokens) else Token("other", ""))
    return near[0], near[1]


def _is_formula(run: list[Token]) -> bool:
    """Whether it has a letter, and is more than names side by side: a sign that joins, an exponent, an index, or f(x)."""
    names = [token for token in run if token.kind == "name"]
    if not names or run[0].kind == "space":
        return False
    joined = any(token.kind == "sign" and token.text in JOINS | {"^"} for token in run[1:])
    applied = any(a.kind == "name" and b.text == "(" for a, b in pairwise(run))
    return joined or applied or any(_indexed(token.text) for token in names)


def _indexed(name: str) -> bool:
    """Whether a name alone is a symbol with an index: x_k, p_data, and not x_shape, which is an argument's name."""
    base, _, index = name.partition("_")
    return bool(index) and (len(index) <= 2 or index in GREEK | INDICES or base in GREEK)


# -- what it becomes --------------------------------------------------------------------------------------------------
def _latex(run: list[Token]) -> str:
    parts, at = list[str](), 0
    while at < len(run):
        part, at = _one(run, at)
        parts.append(part)
    return "".join(parts).strip()


def _one(run: list[Token], at: int) -> tuple[str, int]:
    """The LaTeX of what stands at a place, and the place after it."""
    token = run[at]
    if token.kind == "space":
        return " ", at + 1
    if token.kind == "name" and _hat(run, at + 1):
        return rf"\hat{{{_name(run, at)[0].strip()}}}", at + 2
    if token.kind == "name":
        return _name(run, at)
    if token.text == "^" and _inverse(run, at + 1):
        return "^{+}", at + 2
    if token.text == "^":
        return _exponent(run, at + 1)
    if token.text == "*" and _star(run, at):
        return "^{*}", at + 1
    return (token.text if token.kind == "number" else OPERATORS[token.text]), at + 1


def _star(run: list[Token], at: int) -> bool:
    """Whether a * is the mark of an optimum, as in D*(x): it touches a name, and nothing but a space or a bracket follows."""
    after = run[at + 1] if at + 1 < len(run) else Token("space", " ")
    return (
        run[at].text == "*" and at > 0 and run[at - 1].kind == "name"
        and (after.kind in ("space", "other") or after.text in ("(", ")", "]", ",", "'"))
    )  # fmt: skip


def _hat(run: list[Token], at: int) -> bool:
    """Whether a ^ is a hat, as in |z - z^|: it touches a name, and nothing that could be an exponent follows."""
    if at >= len(run) or run[at].text != "^" or not at or run[at - 1].kind != "name":
        return False
    after = run[at + 1] if at + 1 < len(run) else Token("space", " ")
    return after.kind in ("space", "other") or after.text in (")", "]", "|", ",", "=")


def _inverse(run: list[Token], at: int) -> bool:
    """Whether a + is the exponent of a pseudo-inverse, as in (A B)^+ C."""
    after = run[at + 1] if at + 1 < len(run) else Token("space", " ")
    return at < len(run) and run[at].text == "+" and run[at - 1].text == "^" and after.kind == "space"


def _name(run: list[Token], at: int) -> tuple[str, int]:
    base, _, index = run[at].text.partition("_")
    if base == "sqrt" and at + 1 < len(run) and run[at + 1].text == "(":
        inside, after = _group(run, at + 1)
        return rf"\sqrt{{{_latex(inside)}}}", after
    found = {"sum": r"\sum ", "prod": r"\prod ", "integral": r"\int ", "eps": r"\epsilon ", "grad": r"\nabla "}.get(
        base, ""
    )
    if not found and (base in GREEK or base in KNOWN):
        found = rf"\{base} "
    elif not found:
        found = (
            base
            if len(base) == 1
            else f"{base[0]}_{{{base[1]}}}"
            if base[1:].isdigit()
            else rf"\operatorname{{{base}}}"
        )
    if index and not base[-1].isdigit():
        found += f"_{{{_index(index)}}}"
    return found, at + 1


def _index(name: str) -> str:
    if name in GREEK:
        return rf"\{name}"
    return name if len(name) == 1 or name.isdigit() else rf"\text{{{name.replace('_', ' ')}}}"


def _exponent(run: list[Token], at: int) -> tuple[str, int]:
    """What follows a ^: a group in brackets, which then need none, or one sign, perhaps with a minus."""
    if at < len(run) and run[at].text == "(":
        inside, after = _group(run, at)
        return f"^{{{_latex(inside)}}}", after
    minus = at < len(run) and run[at].text == "-"
    at += minus
    if at < len(run) and run[at].text == "*":
        return "^{*}", at + 1
    if at < len(run) and run[at].text == "|":
        after = next((i for i in range(at + 1, len(run)) if run[i].text == "|"), len(run) - 1)
        return f"^{{{'-' * minus}{_latex(run[at : after + 1])}}}", after + 1
    if at >= len(run) or run[at].kind not in ("name", "number"):
        raise FormulaError(f"no exponent after ^ in {''.join(token.text for token in run)!r}")
    part, after = _one(run, at)
    return f"^{{{'-' * minus}{part.strip()}}}", after


def _group(run: list[Token], at: int) -> tuple[list[Token], int]:
    """What stands within the bracket that opens at a place, and the place after the one that closes it."""
    depth = 0
    for end in range(at, len(run)):
        depth += (run[end].text in OPEN) - (run[end].text in CLOSE)
        if not depth:
            return run[at + 1 : end], end + 1
    raise FormulaError(f"a bracket is open in {''.join(token.text for token in run)!r}")
