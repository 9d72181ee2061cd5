"""LaTeX to MathML: structure, TeX's spacing, and that nothing passes half converted."""

from xml.dom import minidom

import pytest

from minigan.lessons import mathml


def test_mathml_of_small_formulas():
    assert mathml.convert("x") == "<math><mi>x</mi></math>"
    assert (
        mathml.convert(r"\frac12", display=True) == '<math display="block"><mfrac><mn>1</mn><mn>2</mn></mfrac></math>'
    )
    assert mathml.convert("x_1^2") == "<math><msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup></math>"
    assert mathml.convert(r"\mathbb{R}\mathcal{L}\mathbf{x}\boldsymbol\theta") == (
        "<math><mrow><mi>ℝ</mi><mi>ℒ</mi><mi>𝐱</mi><mi>𝜽</mi></mrow></math>"
    )
    assert mathml.convert(r"\text{if $x$}") == "<math><mrow><mtext>if\xa0</mtext><mi>x</mi></mrow></math>"
    assert "&lt;" in mathml.convert("a < b") and mathml.convert(r"f''").count("′") == 2


def test_spacing_is_that_of_tex():
    assert '<mo form="prefix" lspace="0" rspace="0">−</mo>' in mathml.convert("a = -b")
    assert '<mo lspace="0.222em" rspace="0.222em">−</mo>' in mathml.convert("a - b")
    assert '<mo lspace="0.167em" rspace="0.167em">log</mo>' in mathml.convert(r"p \log q")
    assert '<mo lspace="0" rspace="0">log</mo>' in mathml.convert(r"\log(q)")
    assert '<mo lspace="0" rspace="0">=</mo>' in mathml.convert("x_{i=1}")


def test_a_long_formula_in_a_line_can_break():
    latex = "a + b + c = (d - e) f g h"
    assert mathml.convert(latex, display=True).count("<math") == 1 and mathml.convert("a = b").count("<math") == 1
    parts = mathml.convert(latex).split("<wbr>")
    assert [part.count("<mi>") for part in parts] == [1, 1, 1, 1, 4]
    assert parts[0] == '<math><mrow><mi>a</mi><mo lspace="0.222em" rspace="0.222em">+</mo></mrow></math>'


@pytest.mark.parametrize(
    "latex",
    [
        r"\sum_{i=1}^n \int_0^\infty \prod", r"\left( \frac{a}{b} \middle| c \right]",
        r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", r"\{ x : x \ge 0 \}",
        r"\begin{cases} 0 & x < 0 \\ 1 & \text{else} \end{cases}",
        r"\begin{aligned} a &= b \\[2pt] &\le c \\ \end{aligned}",
        r"\operatorname*{arg\,max}_{D \in \mathcal{D}} V", r"\max_D \min_G \sup \lim_{x \to 0}",
        r"\hat{x} \tilde\theta \bar{x} \widehat{xy} \dot x",
        r"\sqrt{x} \sqrt[3]{y}", r"\underbrace{a + b}_{\text{two}} \overset{!}{=} c",
        r"\Vert x \Vert \lVert x \rVert_2 \|x\| |x|",
        r"\bigl( \Big| \bigg) \Biggr]", r"x \mid y \parallel z \,\Vert\, w", r"\mathrm{KL}(p\|q) \mathrm{d}x", r"x'_i{}^2 \%",
        r"\begin{array}{lcr} a & b & c \end{array}", r"\sum\nolimits_i \substack{a \\ b}",
        "é ≤ →", r"\not= \xrightarrow{d} \binom nk",
    ],
)  # fmt: skip
def test_mathml_is_well_formed(latex):
    xml = mathml.convert(latex)
    assert "\0" not in xml and "\\" not in xml
    minidom.parseString(xml)


@pytest.mark.parametrize(
    ("latex", "message"),
    [
        (r"\foo", r"\\foo is not known"), (r"\frac{1}", "ends where"), ("{x", "ends where }"), ("x}", "closes nothing"),
        (r"\left( x", "should follow"), (r"\left x \right)", "no delimiter"), (r"\begin{tikz}\end{tikz}", "tikz is not known"),
        (r"\begin{pmatrix} a \end{bmatrix}", "closed by"),
        (r"x \end{cases}", "closes nothing|ends nothing"), ("x^", "ends where"),
        ("#", "no place"), (r"\frac & 1", "missing"), (r"\right)", "closes nothing"),
    ],
)  # fmt: skip
def test_what_is_no_formula_is_refused(latex, message):
    with pytest.raises(ValueError, match=message):
        mathml.convert(latex)
