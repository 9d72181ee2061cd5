"""LaTeX to MathML, which a browser sets without a script: the conversion is math-core's, the line breaks are ours."""

from __future__ import annotations

import re
from functools import cache

from math_core import LatexError, LatexToMathML

LONG = 24  # characters from which a formula in a line of text may be broken
SIGN = r"(?:le|leq|ge|geq|ne|neq|approx|sim|propto|to|iff|implies|Rightarrow|in|cdot|times|pm)(?![a-zA-Z])"
TOKEN = re.compile(
    rf"(?P<sign>[=<>+]|\\{SIGN})|(?P<open>\{{|\\left(?![a-zA-Z]))|(?P<close>\}}|\\right(?![a-zA-Z]))|\\.|.", re.DOTALL
)

_converter = LatexToMathML(fancy_error=False)


@cache
def convert(latex: str, *, display: bool = False) -> str:
    """The `<math>` element of a formula; a long one in a line of text is several, so that the line can break between them.

    Raises:
        ValueError: for a command that is not known, or braces and delimiters that do not match.
    """
    if display:
        return _element(latex, True)
    return "<wbr>".join(_element(part, False) for part in parts(latex))


def _element(latex: str, display: bool) -> str:
    try:
        return str(_converter.convert_with_local_state(latex, displaystyle=display))
    except LatexError as error:
        raise ValueError(f"cannot set the formula {latex.strip()!r}: {error}") from None


def parts(latex: str) -> list[str]:
    """A long formula, parted after each sign that stands outside of all braces, as TeX would break it; `{}` keeps the sign's
    space on its right."""
    if len(latex) < LONG:
        return [latex]
    found, depth = [""], 0
    for match in TOKEN.finditer(latex):
        depth += bool(match["open"]) - bool(match["close"])
        found[-1] += match[0]
        if match["sign"] and not depth and found[-1].strip() != match[0]:
            found[-1] += "{}"
            found.append("")
    return [part for part in found if part.strip()]
