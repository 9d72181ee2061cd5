r"""LaTeX to MathML: the mathematics of the lessons, which a browser then sets without a script or a font from elsewhere.

It knows the commands of `symbols.py` and `\frac`, `\sqrt`, `\text`, `\left`, `\begin`, ...; anything else raises, so that
no page shows a formula half converted. TeX's spacing is kept where MathML's own rules differ: a sign after a relation is a
prefix, and a named function stands a thin space from its argument, but not from a parenthesis.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from minigan.lessons.symbols import (
    ACCENTS,
    ALPHABETS,
    BARS,
    BIG,
    BINARY,
    CLOSE,
    ENVIRONMENTS,
    FUNCTIONS,
    GREEK,
    INTEGRALS,
    LETTERS,
    LIMITS,
    OLDER,
    OPEN,
    RELATIONS,
    SIZES,
    SPACES,
    THIN,
    WIDE,
)  # fmt: skip

WORDS = re.compile(
    r"\\(text|textrm|textbf|textit|texttt|mbox|mathrm|operatorname\*?|begin|end)\s*\{([^{}]*)\}(.*)", re.DOTALL
)
TOKEN = re.compile(
    WORDS.pattern.replace("(", "(?:").removesuffix("(?:.*)") + r"|\\[a-zA-Z]+|\\.|\d+(?:\.\d+)?|[^\s]", re.DOTALL
)


LONG = 12  # atoms from which a formula in a line of text may be broken


@dataclass(frozen=True)
class Atom:
    """A piece of a formula: its MathML, in which NUL stands for attributes that its neighbours decide, and TeX's class."""

    xml: str
    kind: str = "ord"  # ord, op, big, bin, rel, open, close, punct, space


def convert(latex: str, *, display: bool = False) -> str:
    """The `<math>` element of a formula; a long one in a line of text is several, so that the line can break between them.

    Raises:
        ValueError: for a command that is not known, or braces and delimiters that do not match.
    """
    parser = _Parser(latex)
    try:
        atoms = parser.atoms()
        if parser.token is not None:
            raise ValueError(f"{parser.token!r} closes nothing")
    except ValueError as error:
        raise ValueError(f"{error}, in the formula {latex.strip()!r}") from None
    if display:
        return f'<math display="block">{_joined(_spaced(atoms))}</math>'
    return "<wbr>".join(f"<math>{_joined(part)}</math>" for part in _parts(atoms))


class _Parser:
    """Recursive descent over the tokens of a formula."""

    def __init__(self, latex: str) -> None:
        self.tokens = TOKEN.findall(latex)
        self.at = 0
        self.depth = 0  # of scripts, in which TeX sets relations and signs without space

    @property
    def token(self) -> str | None:
        """The next token, or None at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, expected: str | None = None) -> str:
        """The next token, which is then behind us."""
        token = self.token
        if token is None:
            raise ValueError(f"it ends where {expected or 'something'} should follow")
        if expected is not None and token != expected:
            raise ValueError(f"expected {expected} and got {token!r}")
        self.at += 1
        return token

    def took(self, *wanted: str) -> str | None:
        """The next token where it is one of these, else None."""
        return self.take() if self.token in wanted else None

    # -- rows --------------------------------------------------------------------------------------------------------
    def row(self) -> str:
        """Everything up to a token that ends a row, as one element."""
        return _row(self.atoms(), tight=self.depth > 0)

    def atoms(self) -> list[Atom]:
        found: list[Atom] = []
        while (token := self.token) is not None and not _ends_row(token):
            if token in ("\\displaystyle", "\\textstyle"):
                self.take()
                shown = "true" if token == "\\displaystyle" else "false"
                found.append(Atom(f'<mstyle displaystyle="{shown}">{self.row()}</mstyle>'))
            else:
                found.append(self.scripted())
        return found

    def scripted(self) -> Atom:
        """An atom with its subscript, superscript and primes."""
        base = Atom("<mrow></mrow>") if self.token in ("^", "_", "'") else self.atom()
        limits = base.kind in ("big", "limits")
        if choice := self.took("\\limits", "\\nolimits"):
            limits = choice == "\\limits"
        below, above, primes = "", "", ""
        while mark := self.took("^", "_", "'"):
            if mark == "'":
                primes += "′"
            elif mark == "_":
                below = self.script()
            else:
                above = self.script()
        if primes:
            primed = f'<mo lspace="0" rspace="0">{primes}</mo>'
            above = f"<mrow>{primed}{above}</mrow>" if above else primed
        kind = "op" if base.kind == "limits" else base.kind
        name = ("under", "over") if limits else ("sub", "sup")
        if below and above:
            return Atom(f"<m{name[0]}{name[1]}>{base.xml}{below}{above}</m{name[0]}{name[1]}>", kind)
        if below or above:
            tag = f"m{name[0] if below else name[1]}"
            return Atom(f"<{tag}>{base.xml}{below or above}</{tag}>", kind)
        return Atom(base.xml, kind)

    def script(self) -> str:
        """What stands below or above."""
        self.depth += 1
        inside = self.argument()
        self.depth -= 1
        return inside

    def argument(self) -> str:
        """What a command or a script is applied to: a group in braces, or one atom."""
        if self.took("{"):
            inside = self.row()
            self.take("}")
            return inside
        if self.token is not None and _ends_row(self.token):
            raise ValueError(f"an argument is missing before {self.token!r}")
        if self.token is not None and self.token[0].isdigit():  # only the first digit of \frac12 is the numerator
            self.tokens[self.at : self.at + 1] = list(self.token)
        return _row([self.atom()])

    # -- atoms -------------------------------------------------------------------------------------------------------
    def atom(self) -> Atom:
        """One atom, without scripts."""
        token = self.take()
        if token == "{":
            inside = self.row()
            self.take("}")
            return Atom(inside)
        if token == "~":
            return _space(SPACES[" "])
        if token.startswith("\\"):
            return self.command(token[1:])
        return _character(token)

    def command(self, name: str) -> Atom:
        """What a command stands for; `name` is without its backslash."""
        if words := WORDS.match("\\" + name):
            return self.environment(words[2]) if words[1] == "begin" else _words(words[1], words[2])
        if (symbol := _symbol(name)) is not None:
            return symbol
        if name in ACCENTS:
            inside, wide = self.argument(), name in WIDE
            return Atom(f'<mover accent="true">{inside}<mo stretchy="{str(wide).lower()}">{ACCENTS[name]}</mo></mover>')
        if name in ALPHABETS:
            return _alphabet(name, self.argument())
        if name in SIZES or (name[-1] in "lrm" and name[:-1] in SIZES):
            return self.sized(name)
        method = COMMANDS.get(name)
        if method is None:
            raise ValueError(f"\\{name} is not known")
        return method(self)

    def fraction(self, style: str = "") -> Atom:
        """The rest of a fraction."""
        xml = f"<mfrac>{self.argument()}{self.argument()}</mfrac>"
        return Atom(f'<mstyle displaystyle="{style}">{xml}</mstyle>' if style else xml)

    def binomial(self) -> Atom:
        """The rest of a binomial coefficient."""
        xml = f'<mfrac linethickness="0">{self.argument()}{self.argument()}</mfrac>'
        return Atom(f"<mrow><mo>(</mo>{xml}<mo>)</mo></mrow>")

    def root(self) -> Atom:
        """The rest of a root, with its degree if there is one."""
        if not self.took("["):
            return Atom(f"<msqrt>{self.argument()}</msqrt>")
        degree = []
        while self.token not in ("]", None):
            degree.append(self.scripted())
        self.take("]")
        return Atom(f"<mroot>{self.argument()}{_row(degree)}</mroot>")

    def fenced(self) -> Atom:
        """What stands between `\\left` and `\\right`."""
        parts, begin = [], self.delimiter()
        while True:
            parts.append(self.row())
            if not self.took("\\middle"):
                break
            parts.append(f'<mo stretchy="true" fence="true" lspace="{THIN}" rspace="{THIN}">{self.delimiter()}</mo>')
        self.take("\\right")
        return Atom(_fence(begin, "".join(parts), self.delimiter()), "inner")

    def delimiter(self) -> str:
        """A delimiter, as its character; "" for the dot that stands for none."""
        token = self.take()
        name = token if token in ("\\|", "\\{", "\\}") else token.removeprefix("\\")
        name = {"\\{": "{", "\\}": "}"}.get(name, name)
        if name == ".":
            return ""
        for known in (OPEN, CLOSE, BARS):
            if name in known:
                return known[name]
        raise ValueError(f"{token!r} is no delimiter")

    def sized(self, name: str) -> Atom:
        """A delimiter of a size that the text asks for."""
        kind = {"l": "open", "r": "close", "m": "rel"}.get(name[-1], "ord")
        size = SIZES[name if name in SIZES else name[:-1]]
        space = "0.278em" if kind == "rel" else "0"
        attributes = (
            f'stretchy="true" symmetric="true" minsize="{size}" maxsize="{size}" lspace="{space}" rspace="{space}"'
        )
        return Atom(f"<mo {attributes}>{escape(self.delimiter())}</mo>", kind)

    def above(self) -> Atom:
        """The rest of `\\overset` and `\\stackrel`."""
        over, base = self.argument(), self.argument()
        return Atom(f"<mover>{base}{over}</mover>", "rel")

    def below(self) -> Atom:
        """The rest of `\\underset`."""
        under, base = self.argument(), self.argument()
        return Atom(f"<munder>{base}{under}</munder>", "rel")

    def brace(self, tag: str, sign: str) -> Atom:
        """The rest of a brace over or under something; what it says follows as a script."""
        return Atom(f'<{tag}>{self.argument()}<mo stretchy="true">{sign}</mo></{tag}>', "big")

    def underlined(self) -> Atom:
        """The rest of `\\underline`."""
        return Atom(f'<munder>{self.argument()}<mo stretchy="true">_</mo></munder>')

    def boxed(self) -> Atom:
        """The rest of `\\boxed`."""
        return Atom(f'<mrow class="boxed">{self.argument()}</mrow>')

    def negated(self) -> Atom:
        """The rest of `\\not`: a stroke through the relation that follows."""
        return Atom(self.atom().xml.replace("</mo>", "̸</mo>"), "rel")

    def arrow(self) -> Atom:
        """The rest of an arrow with something above it."""
        return Atom(f'<mover><mo stretchy="true">→</mo><mrow>{self.argument()}</mrow></mover>', "rel")

    def stacked(self) -> Atom:
        """The rest of `\\substack`."""
        self.take("{")
        rows = "".join(f"<mtr><mtd>{cell}</mtd></mtr>" for row in self.cells() for cell in row)
        self.take("}")
        return Atom(f"<mtable>{rows}</mtable>")

    def phantom(self) -> Atom:
        """The rest of `\\phantom`."""
        return Atom(f"<mphantom>{self.argument()}</mphantom>")

    def environment(self, name: str) -> Atom:
        """What stands between `\\begin` and `\\end`."""
        if name not in ENVIRONMENTS:
            raise ValueError(f"the environment {name} is not known")
        begin, end, columns, display = ENVIRONMENTS[name]
        if name in ("array", "alignedat"):
            given = self.argument_text()
            columns = given.replace("|", "") if name == "array" else columns
        rows = self.cells()
        if self.take() != f"\\end{{{name}}}":
            raise ValueError(f"\\begin{{{name}}} is closed by {self.tokens[self.at - 1]}")
        body = "".join(f"<mtr>{_cells(row, columns, spread=name == 'cases')}</mtr>" for row in rows)
        kind = "aligned" if columns == "rl" else "plain"
        table = (
            f'<mtable class="{kind}"{" displaystyle=" + chr(34) + "true" + chr(34) if display else ""}>{body}</mtable>'
        )
        return Atom(_fence(begin, table, end) if begin or end else table)

    def argument_text(self) -> str:
        """An argument in braces, as its text."""
        self.take("{")
        text = ""
        while self.token != "}":
            text += self.take()
        self.take("}")
        return text

    def cells(self) -> list[list[str]]:
        """The rows of a table, each a list of cells; a row without anything at the end is dropped."""
        rows = [[self.row()]]
        while mark := self.took("&", "\\\\"):
            if mark == "&":
                rows[-1].append(self.row())
            else:
                if self.took("["):
                    while self.take() != "]":
                        continue
                rows.append([self.row()])
        return rows[:-1] if rows[-1] == ["<mrow></mrow>"] else rows


COMMANDS: dict[str, Callable[[_Parser], Atom]] = {
    "frac": _Parser.fraction, "tfrac": lambda p: p.fraction("false"), "dfrac": lambda p: p.fraction("true"),
    "binom": _Parser.binomial, "sqrt": _Parser.root, "left": _Parser.fenced, "overset": _Parser.above, "stackrel": _Parser.above,
    "underset": _Parser.below, "overbrace": lambda p: p.brace("mover", "⏞"), "underbrace": lambda p: p.brace("munder", "⏟"),
    "underline": _Parser.underlined, "boxed": _Parser.boxed, "not": _Parser.negated, "xrightarrow": _Parser.arrow,
    "substack": _Parser.stacked, "phantom": _Parser.phantom, "mathrm": lambda p: Atom(p.argument()),
}  # fmt: skip


def _ends_row(token: str) -> bool:
    return token in ("}", "&", "\\\\", "\\right", "\\middle") or token.startswith("\\end{")


def _row(atoms: list[Atom], *, tight: bool = False) -> str:
    """Atoms side by side in one element."""
    return _joined(_spaced(atoms, tight=tight))


def _joined(elements: list[str]) -> str:
    return elements[0] if len(elements) == 1 else f"<mrow>{''.join(elements)}</mrow>"


def _parts(atoms: list[Atom]) -> list[list[str]]:
    """The elements of a formula, parted after each relation and sign between terms if there are many, as TeX would break it."""
    parts: list[list[str]] = [[]]
    for atom, element in zip(atoms, _spaced(atoms), strict=True):
        parts[-1].append(element)
        if len(atoms) >= LONG and atom.kind in ("rel", "bin") and 'form="prefix"' not in element:
            parts.append([])
    return parts if parts[-1] else parts[:-1] or [[]]


def _spaced(atoms: list[Atom], *, tight: bool = False) -> list[str]:
    """The elements of atoms, each with the space that its neighbours ask for."""
    solid = [atom for atom in atoms if atom.kind != "space"]
    elements, at = list[str](), 0
    for atom in atoms:
        if atom.kind == "space":
            elements.append(atom.xml)
            continue
        before = solid[at - 1].kind if at else None
        after = solid[at + 1].kind if at + 1 < len(solid) else None
        elements.append(atom.xml.replace("\0", _attributes(atom.kind, before, after, tight)))
        at += 1
    return elements


def _attributes(kind: str, before: str | None, after: str | None, tight: bool) -> str:
    if kind == "bin" and before in (None, "open", "rel", "bin", "punct", "op", "big", "integral"):
        return ' form="prefix" lspace="0" rspace="0"'
    if kind in ("bin", "rel"):
        space = "0" if tight else "0.222em" if kind == "bin" else "0.278em"
        return f' lspace="{space}" rspace="{space}"'
    if kind == "op":
        left = THIN if before in ("ord", "close", "inner") else "0"
        right = THIN if after in ("ord", "op", "big", "inner") else "0"
        return f' lspace="{left}" rspace="{right}"'
    return ""


def _fence(begin: str, inside: str, end: str) -> str:
    def sign(text: str, form: str) -> str:
        return f'<mo stretchy="true" fence="true" form="{form}">{escape(text)}</mo>' if text else ""

    return f"<mrow>{sign(begin, 'prefix')}{inside}{sign(end, 'postfix')}</mrow>"


def _cells(row: list[str], columns: str, *, spread: bool) -> str:
    names = [columns[i % len(columns)] for i in range(len(row))]
    return "".join(
        f'<mtd class="{name}{" spread" if spread and i else ""}">{cell}</mtd>'
        for i, (name, cell) in enumerate(zip(names, row, strict=True))
    )


def _space(width: str) -> Atom:
    return Atom(f'<mspace width="{width}"></mspace>', "space")


def _character(token: str) -> Atom:
    if token[0].isdigit():
        return Atom(f"<mn>{token}</mn>")
    if token in OPEN:
        return _bracket(token, "open")
    if token in CLOSE:
        return _bracket(token, "close")
    if token in BARS:
        return _bracket(token, "ord")
    if token in "+-*":
        return Atom(f"<mo\0>{'−' if token == '-' else '∗' if token == '*' else token}</mo>", "bin")
    if token in "=<>:":
        return Atom(f"<mo\0>{escape(token)}</mo>", "rel")
    if token in ",;":
        return Atom(f"<mo>{token}</mo>", "punct")
    if token in ".!?":
        return Atom(f'<mo lspace="0" rspace="0">{token}</mo>', "close" if token == "!" else "ord")
    if token.isalpha():
        return Atom(f"<mi>{token}</mi>")
    if token in "#$%&\\":
        raise ValueError(f"{token!r} has no place in a formula")
    return Atom(f"<mo\0>{escape(token)}</mo>", "rel")  # a sign that was typed as such: ≤, →, ...


def _bracket(sign: str, kind: str) -> Atom:
    form = {"open": "prefix", "close": "postfix"}.get(kind, "infix")
    return Atom(f'<mo stretchy="false" form="{form}" lspace="0" rspace="0">{escape(sign)}</mo>', kind)


def _symbol(name: str) -> Atom | None:
    """The atom of a command that stands for a sign or the name of a function."""
    if name in GREEK:
        return Atom(f'<mi mathvariant="normal">{GREEK[name]}</mi>' if name[0].isupper() else f"<mi>{GREEK[name]}</mi>")
    if name in LETTERS:
        return Atom(f'<mi mathvariant="normal">{LETTERS[name]}</mi>')
    if name in FUNCTIONS:
        return _function(name.replace("lim", "lim ").strip() if name in ("liminf", "limsup") else name, name in LIMITS)
    if name in BINARY:
        return Atom(f"<mo\0>{BINARY[name]}</mo>", "bin")
    if name in RELATIONS:
        return Atom(f'<mo stretchy="false"\0>{RELATIONS[name]}</mo>', "rel")
    if name in BIG:
        sign = BIG[name]
        return Atom(f"<mo>{sign}</mo>", "integral" if sign in INTEGRALS else "big")
    if name in SPACES:
        return _space(SPACES[name])
    if name in ("%", "#", "$", "&", "_"):
        return Atom(f"<mtext>{escape(name)}</mtext>")
    if name == "colon":
        return Atom('<mo lspace="0" rspace="0.167em">:</mo>', "punct")
    for known, kind in ((OPEN, "open"), (CLOSE, "close"), (BARS, "ord")):
        if bracket := known.get("\\" + name) or known.get(name):
            return _bracket(bracket, kind)
    return None


def _function(name: str, limits: bool) -> Atom:
    movable = ' movablelimits="true"' if limits else ""
    return Atom(f"<mo\0{movable}>{name}</mo>", "limits" if limits else "op")


def _words(command: str, text: str) -> Atom:
    """`\\text{...}`, `\\operatorname{...}` and their like."""
    if command.startswith("operatorname"):
        plain = text.replace("\\,", " ").replace("\\ ", " ").replace("\\;", " ")
        return _function(escape(plain), command.endswith("*"))
    if command == "mathrm":
        if "\\" in text:
            return Atom(_Parser(text).row())
        letters = escape(text.replace(" ", ""))
        return Atom(f"<mn>{letters}</mn>" if letters.isdigit() else f'<mi mathvariant="normal">{letters}</mi>')
    if command == "end":
        raise ValueError(f"\\end{{{text}}} ends nothing")
    style = {"textbf": ' class="bold"', "textit": ' class="italic"', "texttt": ' class="code"'}.get(command, "")
    parts = []
    for i, part in enumerate(text.split("$")):
        if i % 2:
            parts.append(_Parser(part).row())
        elif part:
            parts.append(f"<mtext{style}>{escape(re.sub('^ +| +$', chr(160), part))}</mtext>")
    return Atom(parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>")


def _alphabet(name: str, xml: str) -> Atom:
    """The letters, digits and Greek of some MathML in another of Unicode's alphabets."""

    def replaced(match: re.Match[str]) -> str:
        return f"<{match[1]}>{''.join(_letter(name, sign) for sign in match[2])}</{match[1]}>"

    return Atom(re.sub(r"<(m[in])(?: mathvariant=\"normal\")?>([^<]*)</m[in]>", replaced, xml))


def _letter(name: str, sign: str) -> str:
    capital, small, digit, greek_capital, greek_small = ALPHABETS[name]
    for first, last, begin in (
        ("A", "Z", capital),
        ("a", "z", small),
        ("0", "9", digit),
        ("Α", "Ω", greek_capital),
        ("α", "ω", greek_small),
    ):
        if first <= sign <= last and begin:
            return OLDER.get(name, {}).get(sign) or chr(begin + ord(sign) - ord(first))
    return sign
