"""Formulas as MathML: line breaks in a line of text, and that nothing passes half converted. (The conversion is math-core's.)"""

from xml.dom import minidom

import pytest

from minigan.lessons import mathml

LONG = r"a_{x = 1} + \left(b = c\right) = \frac{d + e}{f} \le \{g\}"


def test_a_formula_on_a_line_of_its_own_is_one_element():
    xml = mathml.convert(LONG, display=True)
    assert xml.startswith("<math display=") and xml.count("<math") == 1
    minidom.parseString(xml)


def test_a_short_formula_stays_whole():
    assert mathml.parts("D^* = p/(p+q)") == ["D^* = p/(p+q)"]


def test_a_long_formula_in_a_line_breaks_after_signs_outside_of_braces():
    assert [part.strip() for part in mathml.parts(LONG)] == [
        "a_{x = 1} +{}", r"\left(b = c\right) ={}", r"\frac{d + e}{f} \le{}", r"\{g\}",
    ]  # fmt: skip
    pieces = mathml.convert(LONG).split("<wbr>")
    assert len(pieces) == 4
    for piece in pieces:
        minidom.parseString(piece)


def test_parts_lose_nothing_and_do_not_begin_with_a_sign():
    assert "".join(mathml.parts(LONG)).replace("{}", "") == LONG
    minus = r"-x = +y \cdot z + \alpha \beta \gamma"
    assert mathml.parts(minus)[0] == "-x ={}" and mathml.parts(minus)[1].strip().startswith("+y")


@pytest.mark.parametrize("latex", [r"\nosuch x", r"\frac{a}{b", r"\left( a", "a }", r"\begin{nothing} a \end{nothing}"])
def test_what_cannot_be_set_raises_and_is_shown(latex):
    with pytest.raises(ValueError, match="cannot set the formula"):
        mathml.convert(latex)
