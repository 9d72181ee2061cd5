"""What the lessons are written with, and what finds and runs them: check, grade, show, identity, catalog, `minigan lessons`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sample_lessons
from hypothesis import given
from hypothesis import strategies as st
from identity import SEEN, Seen, identity

import minigan as mg
from minigan.cli import main
from minigan.lessons import (
    CheckError,
    catalog,
    check,
    checks,
    commands,
    errata,
    figure,
    figures,
    grade,
    grading,
    pages,
    runner,
    show,
    sized,
)
from minigan.lessons.catalog import Lesson, LessonError
from minigan.lessons.strategies import floats, tables
from minigan.run.errors import UsageError


@pytest.fixture
def found():
    """The checks that a test makes; ids are free again afterwards."""
    with checks.collected() as found:
        yield found


@pytest.fixture
def lessons(tmp_path):
    return sample_lessons.write(tmp_path)


# -- check -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("left", "right", "relation", "error", "ratio"),
    [
        (1.0, 1.0, "=", 0, 0),
        (1.0, 1.0 + 5e-13, "=", 5e-13, 0.5),
        ([1, 2], 1.0, ">=", 0, 0),
        ([1, 2], 2.0, "<=", 0, 0),
        (np.inf, np.inf, "=", 0, 0),
        (-np.inf, 1.0, "<=", 0, 0),
        (1.0, 2.0, "!=", 1, 1e12),
        (1.0, np.inf, "!=", np.inf, np.inf),
        (1 + 1j, 1 + 1j, "=", 0, 0),
        (True, 1.0, "=", 0, 0),
    ],
)
def test_a_check_that_holds(found, capsys, left, right, relation, error, ratio):
    check("5.1", "left and right", left, right, atol=1e-12, relation=relation)
    assert found[0].error == pytest.approx(error, rel=1e-3) and found[0].ratio == pytest.approx(ratio, rel=1e-3)
    assert found[0].count == np.size(left) and found[0].line > 0
    said = capsys.readouterr().out
    if relation in ("<=", ">="):  # both sides and how far apart they are
        assert re.fullmatch(rf"\[5\.1\] left and right   \S+ {relation} \S+, margin \S+(; error .*)?\n", said)
    else:
        assert said.startswith("[5.1] left and right   error ")


@pytest.mark.parametrize(
    ("left", "right", "relation"),
    [
        (1.0, 1.1, "="), ([1, 2], [1, 3], "="), (2.0, 1.0, "<="), (1.0, 2.0, ">="), (1.0, 1.0, "!="), (np.nan, np.nan, "="),
        (np.nan, 1.0, "!="), (np.nan, 1.0, "<="), (np.inf, 1.0, "="), (np.inf, -np.inf, "="), (False, 1, "="),
    ],
)  # fmt: skip
def test_a_check_that_does_not_hold(found, left, right, relation):
    with pytest.raises(CheckError, match="does not hold"):
        check("5.1", "left and right", left, right, atol=1e-12, relation=relation)
    assert found == []


def test_tensors_and_relative_tolerances_are_compared(found):
    check("5.1", "a tensor", mg.tensor(np.array([100.0, 200.0])), [100.5, 200.5], atol=0, rtol=0.01)
    assert found[0].error == 0.5 and found[0].ratio == pytest.approx(0.5 / 1.005)
    assert "0.01 |right|" in str(found[0])


@pytest.mark.parametrize("tolerance", [0.12, 1e-12, 5e-13, 0.005, 2.5, 123.0, 0.999e-7, 0])
def test_tolerances_are_shown_as_they_are(found, tolerance):
    check("5.1", "x", 1, 1, atol=tolerance)
    shown = str(found[0]).split("<= ")[1]
    assert float(shown) == tolerance and len(shown) <= 8


def test_an_inequality_shows_where_it_is_closest(found):
    check("5.1", "x", [1.0, 3.0, 2.0], [5.0, 3.5, 9.0], atol=0, relation="<=")
    assert str(found[0]) == "[5.1] x   3 <= 3.5, margin 0.5"


# -- what is in front of the reader ----------------------------------------------------------------------------------
def test_start_makes_a_copy_that_run_prefers_and_names(lessons, tmp_path, monkeypatch, capsys):
    reader = tmp_path / "reader"
    reader.mkdir()
    monkeypatch.chdir(reader)
    assert "lessons/" in commands.lessons("start", lessons=["1"], dir=str(lessons)).replace("\\", "/")
    copy = next(Path("lessons").glob("01_*.py"))
    with pytest.raises(UsageError, match="exists already"):
        commands.lessons("start", lessons=["1"], dir=str(lessons))
    copy.write_text(copy.read_text(encoding="utf-8") + "\nprint('mine')\n", encoding="utf-8")
    for wanted in ("1", str(copy)):
        said = commands.lessons("run", lessons=[wanted], fast=True)
        assert f"({copy})" in said
        printed = capsys.readouterr().out
        assert f"running {copy}" in printed and "mine" in printed
    with pytest.raises(UsageError, match="no lesson"):
        commands.lessons("run", lessons=["99"])
    Path("other.py").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=r"NN_name\.py"):
        commands.lessons("run", lessons=["other.py"])


def test_a_grader_is_folded_apart_from_its_question():
    code = "\n".join(
        ["def f(x):", "    raise NotImplementedError", "", "def good(answer, x):", "    pass", "", "grade(1)"]
    )
    asked, grader = pages.exercise(code)
    assert asked.endswith("raise NotImplementedError") and "good" not in asked and grader.startswith("def good")
    assert pages.exercise("check('1.1', 'x', 1, 1, atol=0)") == ("", "")


def test_a_hint_is_folded_apart_from_its_exercise():
    code = "def f(x):\n    # Hint: halve it,\n    # then go on.\n    raise NotImplementedError"
    assert pages.hint(code) == ("def f(x):\n    raise NotImplementedError", "halve it, then go on.")
    plain = "def f(x):\n    # not one\n    raise NotImplementedError"
    assert pages.hint(plain) == (plain, "")


def test_what_a_check_refuses(found):
    with pytest.raises(ValueError, match="expected one of"):
        check("5.1", "x", 1, 1, atol=0, relation="<")
    with pytest.raises(ValueError, match="nothing to compare"):
        check("5.2", "x", [], [], atol=0)
    with pytest.raises(ValueError, match="broadcast"):
        check("5.3", "x", [1, 2], [1, 2, 3], atol=0)
    check("5.4", "x", 1, 1, atol=0)
    with pytest.raises(ValueError, match="already has this id"):
        check("5.4", "x", 1, 1, atol=0)


def test_checks_are_logged(found, tmp_path, monkeypatch):
    monkeypatch.setenv(checks.LOG, str(tmp_path / "log"))
    check("5.1", "x", 1, 1, atol=0, errata="S0.7", identity=4)
    check("5.2", "y", 1, 2, atol=0, errata=("S0.7", "S0.8"), relation="<=")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["errata"] for line in lines] == [["S0.7"], ["S0.7", "S0.8"]]
    assert lines[0]["identity"] == 4 and lines[0]["file"] == __file__


def test_sizes_follow_the_environment(monkeypatch):
    for value, expected in (("1", 2), ("0", 10), ("", 10)):
        monkeypatch.setenv(checks.FAST, value)
        assert sized(10, 2) == expected


# -- grade -----------------------------------------------------------------------------------------------------------
def is_square(answer, x):
    assert answer(x) == pytest.approx(x * x)


def graded(answer):
    return grade("5.E1", answer, is_square, x=floats(-3, 3))


def test_grades(capsys):
    def stub(x):
        raise NotImplementedError

    def raises(x):
        return 1 / 0

    assert graded(lambda x: x**2).state == "right"
    assert graded(stub).state == "open"
    wrong = graded(lambda x: 2 * x)
    assert wrong.state == "wrong" and "AssertionError" in wrong.counterexample
    assert "ZeroDivisionError" in graded(raises).counterexample
    assert "still open" in capsys.readouterr().out


def test_the_counterexample_is_the_smallest():
    def positive(answer, x):
        assert answer(x) < 10

    result = grade("5.E1", lambda x: x, positive, x=st.integers(0, 1000))
    assert "x = 10\n" in result.counterexample


def test_a_broken_grader_is_not_the_readers_fault():
    with pytest.raises(Exception, match="SearchStrategy"):
        grade("5.E1", lambda x: x, is_square, x=3)


def test_answers_come_from_a_module_when_asked():
    module = ModuleType("solutions")
    module.square, module.wrong_square = lambda x: x * x, lambda x: x + x
    module.square.__name__ = "square"

    def square(x):
        raise NotImplementedError

    with grading.answers_from(module) as right, grading.answers_from(module, "wrong_") as wrong:
        graded(square)
    assert [grade.state for grade in right] == ["right"] and [grade.state for grade in wrong] == ["wrong"]
    with grading.answers_from(ModuleType("empty")), pytest.raises(LookupError, match="has no function square"):
        graded(square)


@given(pq=tables(2, zeros=True))
def test_tables_are_tables(pq):
    for p in pq:
        assert p.shape == pq[0].shape and np.all(p >= 0) and p.sum() == pytest.approx(1, abs=1e-12)


# -- figures ---------------------------------------------------------------------------------------------------------
def test_a_figure_is_saved_and_closed(tmp_path, monkeypatch, capsys):
    import matplotlib.pyplot as plt

    monkeypatch.setenv(figures.FOLDER, str(tmp_path / "new" / "folder"))
    before = plt.get_fignums()
    fig, axes = figure(1, 2, sharey=True)
    assert len(axes) == 2
    show(fig, "two", alt="Two empty axes.")
    (path,) = (tmp_path / "new" / "folder").glob("*.png")
    assert path.name == f"{Path(__file__).stem}-two.png" and "Two empty axes." in capsys.readouterr().out
    assert plt.get_fignums() == before


def test_styles_do_not_leak():
    import matplotlib.pyplot as plt

    before = plt.rcParams["axes.spines.top"], plt.rcParams["axes.prop_cycle"]
    fig, _ = figure()
    plt.close(fig)
    assert (plt.rcParams["axes.spines.top"], plt.rcParams["axes.prop_cycle"]) == before


# -- identity --------------------------------------------------------------------------------------------------------
def test_what_an_identity_compares():
    seen = Seen(7, "x", atol=0.1)
    seen.equal([1.0, np.inf], [1.05, np.inf])
    seen.below(1.0, 2.0)
    seen.true(np.array([True, True]))
    assert seen.comparisons == 5 and seen.error == pytest.approx(0.05)
    for bad in (
        lambda: seen.equal(1, 2),
        lambda: seen.below(2, 1),
        lambda: seen.true(False),
        lambda: seen.equal(np.nan, np.nan),
    ):
        with pytest.raises(AssertionError, match="identity 7"):
            bad()
    with pytest.raises(AssertionError, match="nothing to compare"):
        seen.equal([], [])


def test_identities_are_registered_by_name():
    with pytest.raises(AssertionError, match="name it by its number"):
        identity(7, "x", atol=0)(lambda see: None)

    def test_identity_99_nothing(see, x):
        see.equal(x, x)

    try:
        test = identity(99, "x = x", atol=0)(test_identity_99_nothing)
        with pytest.raises(AssertionError, match="exists twice"):
            identity(99, "x = x", atol=0)(test_identity_99_nothing)
        test(x=3.0)
        assert SEEN["test_identity_99_nothing"].examples == 1
    finally:
        del SEEN["test_identity_99_nothing"]


# -- catalog ---------------------------------------------------------------------------------------------------------
def test_a_lesson_is_read(lessons):
    first, second = catalog.find(str(lessons))
    assert (first.number, first.title, first.about) == (1, "Halves", "What a half is. And *why*.")
    assert (
        first.question == "Is $\\frac12 + \\frac12$ more than 1? By (1.1), say\n\n1. yes,\n2. or no?\n\nThen read on."
    )
    assert second.question.startswith("How many make 1?")
    assert [cell.kind for cell in second.cells] == ["markdown", "code"]
    lines = first.source.splitlines()
    assert all(lines[cell.line - 1].removeprefix("# ") == cell.text.splitlines()[0] for cell in first.cells)


def test_lessons_are_picked(lessons):
    found = catalog.find(str(lessons))
    for wanted in ("2", "02", "thirds", "02_thirds", "02_thirds.py"):
        assert [lesson.number for lesson in catalog.pick(found, [wanted])] == [2]
    assert [lesson.number for lesson in catalog.pick(found, ["2", "1", "2"])] == [1, 2]
    assert catalog.pick(found, ["all"]) == found
    with pytest.raises(UsageError, match=r"there is no lesson third; did you mean thirds\? Lessons: 1, 2"):
        catalog.pick(found, ["third"])
    with pytest.raises(UsageError, match=r"there is no lesson 77\. Lessons"):
        catalog.pick(found, ["77"])


def test_a_lesson_that_cannot_be_read(tmp_path):
    (tmp_path / "01_x.py").write_bytes(b"# %% [markdown]\n# # 1. \xff\n")
    (tmp_path / "02_x.py").write_text("# %%\nx = 1\n")
    for number, message in ((1, "cannot be read"), (2, "must begin with the title")):
        with pytest.raises(LessonError, match=message):
            print(Lesson(tmp_path / f"0{number}_x.py").title)


def test_lessons_of_an_installed_package_are_found(lessons, tmp_path, monkeypatch):
    monkeypatch.setattr(catalog.minigan, "__file__", str(tmp_path / "elsewhere" / "minigan" / "__init__.py"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    with pytest.raises(UsageError, match="found no lessons"):
        catalog.find()
    share = tmp_path / "prefix" / "share" / "minigan"
    share.mkdir(parents=True)
    lessons.rename(share / "lessons")
    assert [lesson.number for lesson in catalog.find()] == [1, 2]


def test_a_missing_extra_is_named():
    with pytest.raises(UsageError, match=r'jinja2 is not installed.*pip install "minigan\[lessons\]"'), catalog.extra():
        raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")
    with pytest.raises(ModuleNotFoundError), catalog.extra():
        raise ModuleNotFoundError("No module named 'other'", name="other")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[erratum]]\nid = 'S0.1'\nwhere = '1'\nclaim = 'a'\nright = 'b'\nkind = 'chek'", "got kind 'chek'"),
        ("[[erratum]]\nid = 'S0.1'\nwhere = '1'\nclaim = 'a'\nright = 'b'\nkind = 'later'", "they need one"),
        ("[[erratum]]\nid = 'S0.1'\nwhere = '1'\nclaim = 'a'\nkind = 'check'", "right"),
        ("[[erratum", "errata.toml"),
        ("[[erratum]]\nid = 'S0.1'\nwhere = '1'\nclaim = 'a'\nright = 'b'\nkind = 'check'\n" * 2, "S0.1 twice"),
    ],
)
def test_a_broken_list_of_errata(tmp_path, text, message):
    (tmp_path / "errata.toml").write_text(text)
    with pytest.raises(LessonError, match=message):
        errata.errata(tmp_path)


@pytest.mark.parametrize("row", ["['1', 'x']", "['1', 'x', 'soon']", "['1', 'x', 1, 'later: y']"])
def test_a_broken_list_of_sections(tmp_path, row):
    (tmp_path / "articles.toml").write_text(f"[[article]]\nid='S0'\ntitle='x'\noriginal='x'\nsections=[{row}]")
    with pytest.raises(LessonError, match="expected lessons or one 'later: topic'"):
        errata.articles(tmp_path)


# -- minigan lessons -------------------------------------------------------------------------------------------------
def said(capsys, code, *words):
    capsys.readouterr()
    assert main(["lessons", *words]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in err and "internal error" not in err
    return out if code == 0 else err


def test_the_list(lessons, capsys):
    assert " 1  Halves  What a half is.\n 2  Thirds  What a third is." in said(capsys, 0, "--dir", str(lessons))


def test_a_run_ends_with_a_summary(lessons, tmp_path, capsys):
    out = tmp_path / "figures"
    text = said(capsys, 0, "run", "1", "2", "--dir", str(lessons), "--fast", "--out", str(out))
    assert "[1.1] x/2 + x/2 = x   error" in text and (out / "01_halves-half.png").is_file()
    assert "lesson 1, Halves: 6 checks passed, largest error / tolerance" in text
    assert "exercises: 1 open, 0 right, 0 wrong" in text and "lesson 2, Thirds: 1 checks passed" in text
    assert os.environ.get(checks.FAST) is None and os.environ.get(figures.FOLDER) is None


def test_solutions_are_graded(lessons, tmp_path, capsys):
    options = ("--dir", str(lessons), "--solutions", "--out", str(tmp_path))
    assert "0 open, 1 right, 0 wrong" in said(capsys, 0, "run", "1", *options)
    solution = lessons / "solutions" / "01_halves.py"
    solution.write_text(solution.read_text().replace("2 * x", "3 * x"))
    assert "the solution of 1.E1 is wrong" in said(capsys, 4, "run", "1", *options)
    solution.write_text("nonsense(")
    assert "SyntaxError" in said(capsys, 4, "run", "1", *options)
    assert "lesson 2 has no solutions" in said(capsys, 4, "run", "2", *options)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3 * (1 / 3)", "4 * (1 / 3)", "lesson 2, line 13: [2.1]"),
        ("from minigan", "1 / 0\nfrom minigan", "line 11: ZeroDivisionError"),
        ("from minigan", "raise SystemExit(3)\nfrom minigan", "line 11: SystemExit: 3"),
        ("check(", "check((", "SyntaxError"),
        ("from minigan", "import nbclient.nothing\nfrom minigan", 'pip install "minigan[lessons]"'),
    ],
)
def test_a_lesson_that_fails_says_where(lessons, tmp_path, capsys, old, new, message):
    path = lessons / "02_thirds.py"
    path.write_text(path.read_text().replace(old, new))
    code = 2 if "pip" in message else 4
    assert message in said(capsys, code, "run", "2", "--dir", str(lessons), "--out", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu", "5"], "did you mean run?"), (["5"], "lessons run 5"), (["run"], "say which"),
        (["run", "9"], "there is no lesson 9"),
        (["--fast"], "lessons list does not take --fast"), (["build", "1"], "does not take lesson numbers"),
        (["run", "1", "--only", "2"], "does not take --only"), (["build", "--solutions"], "does not take --solutions"),
        (["--dir", "/nowhere"], "no such folder"),
    ],
)  # fmt: skip
def test_what_the_command_line_refuses(lessons, capsys, words, message):
    assert message in said(capsys, 2, *([] if "--dir" in words else ["--dir", str(lessons)]), *words)


def test_the_help_imports_nothing_heavy():
    environment = {**os.environ, "PYTHONPATH": str(Path(mg.__file__).parent.parent)}
    code = "import sys; from minigan.cli import main; main(['lessons', '-h']); print({'jinja2', 'hypothesis'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "exit code 4" in done.stdout and done.stdout.endswith("set()\n")


def test_a_report_without_checks(lessons):
    assert "none with a tolerance" in str(runner.Report(Lesson(lessons / "01_halves.py"), [], [], 0.0))


def test_a_cell_is_shown_without_notes_to_the_formatter():
    cell = catalog.Cell("code", "check(1,\n      2)  # fmt: skip\n# fmt: off\nx = '# fmt: skip'", 1)
    assert cell.shown == "check(1,\n      2)\n# fmt: off\nx = '# fmt: skip'"
    assert catalog.Cell("markdown", "x  # fmt: skip", 1).shown == "x  # fmt: skip"


def test_nobody_reading_on_is_no_failure_of_the_lesson(lessons, tmp_path):
    """`minigan lessons run 1 | head -1`: the pipe closes, which ends the command without a message."""
    command = [
        sys.executable,
        "-m",
        "minigan",
        "lessons",
        "run",
        "1",
        "--dir",
        str(lessons),
        "--out",
        str(tmp_path / "f"),
    ]
    path = lessons / "01_halves.py"
    path.write_text(path.read_text() + "\nfor i in range(100_000):\n    print(i)\n")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert (process.stderr.read(), process.wait(60)) == ("", 0)
    process.stderr.close()


def test_the_list_of_the_real_lessons_is_plain_text():
    lines = catalog.listing().splitlines()
    assert len(lines) >= 12 and not any("\\" in line or "$" in line for line in lines[:12])
