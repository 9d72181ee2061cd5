"""Two small lessons for the tests of the tools, with everything that a lesson may have."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from minigan import gans
from minigan.lessons import gallery, translation

FIRST = r'''# %% [markdown]
# # 1. Halves
#
# What a half is. And *why*.
#
# Prerequisites: numbers; see lesson 2.
#
# **Predict first.** Is $\frac12 + \frac12$ more than 1? By (1.1), say
#
# 1. yes,
# 2. or no?
#
# Then read on.

# %%
import numpy as np

from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.strategies import floats

x = np.linspace(0, 1, sized(50, 5))

# %% [markdown]
# ## Two halves
#
# A *half* of $x$ is $x / 2$, and two of them make the whole, by [multiply](../minigan/ops/elementwise.py#multiply):
#
# $$ \begin{aligned} \frac{x}{2} + \frac{x}{2} &= x \\ &\le \max(x, 1). \end{aligned} \tag{1.1} $$
#
# That is (1.1), and (2.1) follows. See also [the second](02_thirds.py), and <b>no HTML</b>.
#
# > **Aside: what is not a half.** A third $\frac13$ is less. It is folded away:
# >
# > $$ \frac13 < \frac12,
# > \qquad \frac14 < \frac13 . \tag{1.2} $$
#
# > A plain quotation stays open.
#
# | a | b |
# |---|---|
# | $\sqrt{x}$ | `code` |

# %%
check("1.1", "x/2 + x/2 = x", x / 2 + x / 2, x, atol=1e-12, identity=50, errata="S0.7")
check("1.1a", "<= max(x, 1)", x, np.maximum(x, 1), atol=0, relation="<=", errata=("S0.5", "S0.7"))
for name in ("b", "c"):
    check(f"1.1{name}", "a half is not a third", 1 / 2, 1 / 3, atol=0.1, relation="!=")
check("1.2", "a third is less", [1 / 3, 1 / 4], [1 / 2, 1 / 3], atol=0, relation="<=")
print("the first", x[:2], "<&>")

# %%
def is_long():
    """Code of more than thirty lines, which stands folded."""
    y = 0
    y = 1
    y = 2
    y = 3
    y = 4
    y = 5
    y = 6
    y = 7
    y = 8
    y = 9
    y = 10
    y = 11
    y = 12
    y = 13
    y = 14
    y = 15
    y = 16
    y = 17
    y = 18
    y = 19
    y = 20
    y = 21
    y = 22
    y = 23
    y = 24
    y = 25
    y = 26
    y = 27
    y = 28
    y = 29
    return y


check("1.1d", "long code runs too", is_long(), 29, atol=0)

# %%
fig, ax = figure()
ax.plot(x, x / 2)
show(fig, "half", alt="A straight line with slope one half.")


# %% [markdown]
# ## Exercises
# %%
def double(x):
    """Return 2 x."""
    raise NotImplementedError


def is_double(answer, x):
    assert answer(x) == x + x


grade("1.E1", double, is_double, x=floats(-1, 1))
'''
FIRST_SOLUTIONS = '''"""Solutions of lesson 1."""


def double(x):
    return 2 * x


def wrong_double(x):
    return x * x
'''
SECOND = r"""# %% [markdown]
# # 2. Thirds
#
# What a third is.
#
# **Predict first.** How many make 1?
#
# $$ \frac{x}{3} \cdot 3 = \frac{x}{3} + \frac{x}{3} + \frac{x}{3} = \frac{x + x + x}{3} = \frac{3 x}{3} = 1 x = x. \tag{2.1} $$

# %%
from minigan.lessons import check

check("2.1", "3 (x / 3) = x", 3 * (1 / 3), 1, atol=1e-12)  # a line of more than fifty characters
"""
ERRATA = """
[[erratum]]
id = "S0.7"
where = "2.1.3"
claim = "Halves are $\\\\infty$."
right = "They are not."
kind = "check"

[[erratum]]
id = "S0.5"
where = "2.1.2"
claim = "Another claim."
right = "Another fact."
kind = "check"

[[erratum]]
id = "S0.8"
where = "2.2"
claim = "A name."
right = "Another name."
kind = "wording"
reason = "A name is no number."
"""
GLOSSARY = """
[[term]]
name = "half"
line = "One of two equal parts, $x/2$."
see = "1: Two halves"
api = "minigan.ops.multiply"

[[term]]
name = "third"
line = "One of three."
see = "7: Thirds"

[[symbol]]
name = 'x^*'
line = "a number"
see = "1: Two halves"
"""
ARTICLES = """
[[article]]
id = "S0"
title = "On halves"
original = "Des moitiés"
sections = [["1", "Halves", 1, 7], ["2", "Quarters", "later: quarters"]]
"""

CHINESE = {  # of the first lesson, by its English text
    "# 1. Halves": "# 1. 一半",
    "What a half is. And *why*.": "一半是什么，以及*为什么*。",
    "Prerequisites: numbers; see lesson 2.": "预备知识：数；见第 2 课。",
    r"**Predict first.** Is $\frac12 + \frac12$ more than 1? By (1.1), say": (
        r"**先猜一猜。** $\frac12 + \frac12$ 大于 1 吗？由 (1.1)，请回答"
    ),
    "1. yes,\n2. or no?": "1. 是，\n2. 还是不是？",
    "Then read on.": "然后继续读。",
    "## Two halves": "## 两个一半",
    "A *half* of $x$ is $x / 2$, and two of them make the whole, by [multiply](../minigan/ops/elementwise.py#multiply):": (
        "$x$ 的*一半*是 $x / 2$，两个一半合成整体，见 [multiply](../minigan/ops/elementwise.py#multiply)："
    ),
    "That is (1.1), and (2.1) follows. See also [the second](02_thirds.py), and <b>no HTML</b>.": (
        "这就是 (1.1)，由此得 (2.1)。另见[第二课](02_thirds.py)，以及 <b>no HTML</b>。"
    ),
    r"""> **Aside: what is not a half.** A third $\frac13$ is less. It is folded away:
>
> $$ \frac13 < \frac12,
> \qquad \frac14 < \frac13 . \tag{1.2} $$""": r"""> **旁注：什么不是一半。** 三分之一 $\frac13$ 更小。它是折叠的：
>
> $$ \frac13 < \frac12,
> \qquad \frac14 < \frac13 . \tag{1.2} $$""",
    "> A plain quotation stays open.": "> 普通的引文不折叠。",
    "| a | b |\n|---|---|\n| $\\sqrt{x}$ | `code` |": "| 甲 | 乙 |\n|---|---|\n| $\\sqrt{x}$ | `code` |",
    "a half is not a third": "一半不是三分之一",
    "a third is less": "三分之一更小",
    "long code runs too": "长代码也会运行",
    "A straight line with slope one half.": "斜率为二分之一的直线。",
    "## Exercises": "## 练习",
    "Return 2 x.": "返回 2 x。",
}
CHINESE_TERMS = {
    "half": "一半",
    "One of two equal parts, $x/2$.": "两个相等部分之一，$x/2$。",
    "third": "三分之一",
    "One of three.": "三份之一。",
    "a number": "一个数",
}


TEST = """

@given()
def test_identity_50_softplus(see):
    pass
"""
TABLE = """# The identities

Two.

| | identity | test |
|---|---|---|
| 4 | a \\|\\| b | |
| 50 | x | [softplus](../../tests/test_identities_x.py#test_identity_50_softplus) |
"""


def write(root: Path) -> Path:
    """The folder of the lessons, under root, where tests and a table of identities stand beside it."""
    (root / "tests").mkdir()
    (root / "tests" / "test_identities_x.py").write_text(TEST, encoding="utf-8")
    (root / "bench" / "results").mkdir(parents=True)
    (root / "bench" / "results" / "identities-2026-01-01.md").write_text(TABLE, encoding="utf-8")
    folder = root / "lessons"
    (folder / "solutions").mkdir(parents=True)
    (folder / "01_halves.py").write_text(FIRST, encoding="utf-8")
    (folder / "02_thirds.py").write_text(SECOND, encoding="utf-8")
    (folder / "solutions" / "01_halves.py").write_text(FIRST_SOLUTIONS, encoding="utf-8")
    (folder / "errata.toml").write_text(ERRATA, encoding="utf-8")
    (folder / "glossary.toml").write_text(GLOSSARY, encoding="utf-8")
    (folder / "articles.toml").write_text(ARTICLES, encoding="utf-8")
    return folder


def translate(lessons: Path) -> None:
    """Catalogues of the first lesson, of the glossary and of the second lesson's title, beside the lessons."""
    (lessons / "zh").mkdir()
    for name, texts in (("01_halves", CHINESE), ("glossary", CHINESE_TERMS), ("index", {"Thirds": "三分之一"})):
        entries = (f"<!-- {translation.key(english)} -->\n{said}\n" for english, said in texts.items())
        (lessons / "zh" / f"{name}.md").write_text("\n".join(entries), encoding="utf-8")


def entry(name: str, **changes: object) -> dict[str, object]:
    """What the gallery keeps of a run of a model with the code as it is."""
    check = {"name": "KL by Monte Carlo", "value": 0.5, "target": "<= 1", "met": True}
    made = {
        "command": f"minigan train {name}", "data": "x", "steps": 10, "cpu_seconds": 2.4, "machine": "m",
        "date": "2026-01-01", "fingerprint": gallery.fingerprint(gans.get(name)), "checks": [check],
    }  # fmt: skip
    return {**made, **changes}


def write_gallery(lessons: Path, **runs: object) -> None:
    """A gallery beside the lessons: of these runs, or of one of each kind; every picture is black."""
    broken = [
        {"name": "a", "value": None, "target": "<= 1", "met": False},
        {"name": "b", "value": 1e-9, "target": "<= 1", "met": True},
    ]
    failed = {"failed": "minigan train: exit code 3: NaN", "fingerprint": gallery.fingerprint(gans.get("toy"))}
    runs = runs or {
        "vae": entry("vae", picture="reconstructions"),
        "aae": entry("aae", fingerprint="0" * 16, checks=broken),
        "toy": failed,
    }
    place = lessons / gallery.FOLDER
    place.mkdir(parents=True)
    (place / gallery.TABLE).write_text(json.dumps(runs), encoding="utf-8")
    file = io.BytesIO()
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(file, format="PNG")
    for name, run in runs.items():
        if isinstance(run, dict) and "picture" in run:
            (place / f"{name}.png").write_bytes(file.getvalue())
