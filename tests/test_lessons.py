"""The lessons: each runs, each formula has its check, links lead somewhere, solutions are right, misconceptions refuted."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import ModuleType

import jupytext
import pytest

from minigan.lessons import catalog, checks, errata, glossary, grading, pages, reference, runner, sources, text
from minigan.lessons.catalog import Lesson

FOLDER = Path(__file__).parent.parent / "lessons"
LESSONS = [Lesson(path) for path in sorted(FOLDER.glob("*.py")) if catalog.FILE.fullmatch(path.name)]
FIGURE = re.compile(r"^figure: (.+\.png) \((.*)\)$", re.MULTILINE)
ERRATA = {each.id: each for each in errata.errata(FOLDER)}

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)


def refuted_in(lesson: Lesson) -> set[str]:
    """The errata that the lesson's checks name, read from its text."""
    found = set()
    for node in ast.walk(ast.parse(lesson.source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check":
            for keyword in node.keywords:
                if keyword.arg == "errata":
                    value = ast.literal_eval(keyword.value)
                    found |= {value} if isinstance(value, str) else set(value)
    return found


def in_other_forms(solutions: ModuleType) -> ModuleType:
    """The solutions, with each `other_NAME` in the place of NAME: answers of another form, and other mistakes."""
    module = ModuleType(solutions.__name__)
    vars(module).update(vars(solutions))
    for name, answer in vars(solutions).items():
        if name.startswith("other_"):
            setattr(module, name.removeprefix("other_"), answer)
    return module


@each_lesson
def test_it_runs_and_every_formula_has_its_check(lesson, tmp_path, capsys):
    solutions = runner.solutions_of(lesson)
    with (
        runner.surroundings(fast=True, figures_to=str(tmp_path)),
        grading.answers_from(solutions) as right,
        grading.answers_from(solutions, "wrong_") as wrong,
        grading.answers_from(in_other_forms(solutions)) as also_right,
        grading.answers_from(in_other_forms(solutions), "wrong_") as also_wrong,
    ):
        report = runner.execute(lesson)
    said = capsys.readouterr().out
    numbers = {check.id.rstrip("abcdefghijklmnopqrstuvwxyz") for check in report.checks}  # 5.3a is a part of 5.3
    tags = text.TAG.findall(lesson.source)
    assert len(tags) == len(set(tags))
    assert set(tags) <= numbers, "a numbered formula has no check of its number"
    assert numbers <= set(tags), "a check belongs to no numbered formula"
    assert all(tag.startswith(f"{lesson.number}.") for tag in tags)
    assert {id for check in report.checks for id in check.errata} == refuted_in(lesson)

    assert 3 <= len(right) <= 5
    assert [grade.id for grade in right] == [f"{lesson.number}.E{i + 1}" for i in range(len(right))]
    assert {grade.name: grade.state for grade in right} == {grade.name: "right" for grade in right}
    assert {grade.name: grade.state for grade in wrong} == {grade.name: "wrong" for grade in wrong}
    assert {grade.id: grade.state for grade in also_right} == {grade.id: "right" for grade in right}
    assert {grade.id: grade.state for grade in also_wrong} == {grade.id: "wrong" for grade in right}
    assert all(grade.counterexample for grade in wrong)

    figures = FIGURE.findall(said)
    assert figures and len({name for name, _ in figures}) == len(figures)
    assert all(Path(name).stat().st_size > 1000 and len(alt) >= 20 for name, alt in figures)


@each_lesson
def test_formulas_convert_and_links_lead_somewhere(lesson):
    cited = sources.Sources(FOLDER)
    dead = []

    def link(href):
        if re.match(r"https?://|mailto:", href):
            return href
        name, symbol = sources.target(href)
        found = cited.cite(name, symbol, lesson.stem, lesson.title)  # raises for a name that the file does not have
        if found is None:
            dead.append(href)
        return found

    writer = text.Text(link=link, place=lesson.stem)
    html = "".join(writer.html(cell.text) for cell in lesson.cells if cell.kind == "markdown")
    assert not dead
    assert "<math" in html
    assert any(name.startswith("minigan/") for name in cited.cited), "no line of the engine is cited"


@each_lesson
def test_it_begins_with_its_title_its_subject_and_a_question(lesson):
    assert lesson.title and lesson.about and lesson.question
    assert lesson.about != lesson.question
    for said in (lesson.about, lesson.question):  # the index shows both: whole, not cut in a sentence
        assert said.rstrip("*").endswith((".", "?", "!")), said
    opening = "\n\n".join(cell.text for cell in lesson.cells[:1])
    assert lesson.question in opening and opening.rstrip().endswith(lesson.question)


@each_lesson
def test_what_an_article_has_wrong_stands_folded_where_nothing_follows_from_it(lesson):
    for cell in lesson.cells:
        if cell.kind == "markdown":
            last = re.split(r"\n\s*\n", cell.text.rstrip())[-1]
            assert not re.match(r"\*{0,2}Articles? S\d", last) or last.endswith(":"), f"make it an aside: {last[:80]}"


@each_lesson
def test_each_exercise_has_a_hint(lesson):
    asked = [
        question
        for question, _ in (pages.exercise(cell.text) for cell in lesson.cells if cell.kind == "code")
        if question
    ]
    assert 3 <= len(asked) <= 5
    assert all(pages.hint(question)[1] for question in asked)


@each_lesson
def test_jupytext_reads_the_same_cells(lesson):
    book = jupytext.reads(lesson.source, fmt="py:percent")
    theirs = [(cell.cell_type, cell.source.strip()) for cell in book.cells if cell.source.strip()]
    assert theirs == [(cell.kind, cell.text.strip()) for cell in lesson.cells]


@each_lesson
def test_fast_sizes_are_the_only_difference(lesson):
    """No lesson looks at the variable itself: sizes go through `sized`, and checks are the same."""
    assert checks.FAST not in lesson.source


@pytest.mark.parametrize(
    "lesson", [each for each in LESSONS if not 1 <= each.number <= 12], ids=lambda lesson: lesson.stem
)
def test_the_later_lessons_are_short_and_begin_with_an_experiment(lesson):
    """Lesson 0, and from lesson 13 on: at most 2,500 words, formulas counted, and a figure after the first piece of text."""
    assert sum(len(cell.text.split()) for cell in lesson.cells if cell.kind == "markdown") <= 2500
    assert len(lesson.cells[0].text.split()) <= 220, "the experiment must begin on the first screen"
    kinds = [cell.kind for cell in lesson.cells]
    first = [cell.text for cell in lesson.cells[1 : kinds.index("markdown", 1)]]
    assert any("show(" in code for code in first), "the first code draws no figure"


def test_the_first_lessons_are_all_there():
    assert [lesson.number for lesson in LESSONS][:13] == list(range(13))


def test_what_a_number_can_refute_is_refuted_and_nothing_else():
    refuted = set().union(*map(refuted_in, LESSONS))
    assert refuted <= ERRATA.keys()
    assert {each.id for each in ERRATA.values() if each.kind == "check"} <= refuted
    assert {id for id in refuted if ERRATA[id].kind == "wording"} == set()


def test_every_section_and_erratum_of_the_articles_is_accounted_for():
    articles = {article.id: article for article in errata.articles(FOLDER)}
    assert list(articles) == ["S0", "S1", "S2", "S3", "S4"]
    counts = {"shared": 5, "S0": 19, "S1": 6, "S2": 14, "S3": 4, "S4": 9}
    assert list(ERRATA) == [f"{article}.{i + 1}" for article, count in counts.items() for i in range(count)]
    for article in articles.values():
        numbers = [section.number for section in article.sections]
        assert len(numbers) == len(set(numbers))
        known = {lesson.number for lesson in LESSONS}
        assert all(lesson in known for section in article.sections for lesson in section.lessons)


def test_every_term_is_explained_where_it_says_and_computed_by_a_name_that_exists():
    lessons = {lesson.number: lesson for lesson in LESSONS}
    names = {f"{module.name}.{entry.name}" for module in reference.modules() for entry in module.entries}
    terms, symbols = glossary.read(FOLDER)
    assert len(terms) > 50 and len(symbols) > 20
    headings = {}
    for number in {term.lesson for term in (*terms, *symbols)}:
        writer = text.Text()
        for cell in lessons[number].cells:
            if cell.kind == "markdown":
                writer.html(cell.text)
        headings[number] = writer.headings
    for term in (*terms, *symbols):
        assert glossary.anchor(term, headings[term.lesson])  # raises where there is no such heading
        assert "<math" in writer.inline(f"${term.name}$") if term in symbols else term.name
        assert writer.inline(term.line) and (not term.api or term.api in names), term.name


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("name = 'x'\nline = 'y'\nsee = 'Lesson 5'", "expected name, line, see"),
        ("name = 'x'\nsee = '5: y'", "expected name, line, see"),
        ("name = 'x'\nline = 'y'\nsee = '5: y'\n[[symbol]]\nname = 'x'\nline = 'y'\nsee = '5: y'", "has x twice"),
        ("name", "Expected '='"),
    ],
)
def test_a_glossary_that_is_wrong_is_refused(entry, message, tmp_path):
    (tmp_path / "glossary.toml").write_text(f"[[term]]\n{entry}\n", encoding="utf-8")
    with pytest.raises(catalog.LessonError, match=message):
        glossary.read(tmp_path)
