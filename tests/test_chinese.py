"""The lessons in Chinese: every text has been translated as it is now, and formulas, code and numbers are the same in both."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from minigan.lessons import catalog, frame, glossary, text, translation
from minigan.lessons.catalog import LessonError
from minigan.lessons.languages import CHINESE, ENGLISH
from minigan.lessons.translation import Translated

FOLDER = Path(__file__).parent.parent / "lessons"
LESSONS = [lesson for lesson in catalog.find(str(FOLDER)) if translation.path(lesson, CHINESE).is_file()]
CODE = Path(frame.__file__).parent
HAN = r"[\u3400-\u9fff]"
TYPED = {  # how Chinese text is not set
    "no space between Chinese and Latin text": rf"{HAN}[A-Za-z0-9$`]|[A-Za-z0-9$`]{HAN}",
    "narrow punctuation": rf"{HAN}[,;:?!.]|\({HAN}|{HAN}\)",
    "a space after wide punctuation": "[\uff0c\u3002\uff1b\uff1a\uff1f\uff01\u3001\uff08] (?!\\*\\*)",
    "a space before wide punctuation": " [\uff0c\u3002\uff1b\uff1a\uff09]",
}
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)


def test_the_lessons_of_the_short_way_are_translated():
    assert {lesson.number for lesson in LESSONS} >= {0, 7, 8, 10, 12}


@each_lesson
def test_every_text_is_translated_and_has_the_formulas_code_and_numbers_of_the_english_one(lesson):
    path = translation.path(lesson, CHINESE)
    assert translation.problems(lesson, translation.read(path), path) == []


def test_a_changed_paragraph_is_named_and_must_be_translated_again(tmp_path):
    lesson = LESSONS[0]
    path = translation.path(lesson, CHINESE)
    changed = tmp_path / lesson.path.name
    changed.write_text(
        lesson.source.replace("Nobody wins.", "Somebody wins.").replace("is the library's", "is ours"), "utf-8"
    )
    found = translation.problems(replace(lesson, path=changed), translation.read(path), path)
    lacking = [each for each in found if "lacks" in each]
    assert len(found) == 4 and len(lacking) == 2  # two that are missing, two whose English text is gone
    assert "'Somebody wins. Suppose that" in lacking[0] and re.search(
        r"line \d+: 'the count by words is ours'", lacking[1]
    )


@pytest.mark.parametrize(
    ("english", "said", "kind"),
    [
        ("A half, $x/2$.", "一半，$x/3$。", "formulas"),
        ("Run `train`.", "运行 `sample`。", "code"),
        ("See [this](a.py#f).", "见[此处](a.py)。", "addresses"),
        ("After 2,500 steps.", "2,600 步之后。", "numbers"),
        (r"$$ p = q \text{ for all } x $$", r"$$ p = r \text{ 对所有 } x $$", "formulas"),
    ],
)
def test_what_a_translation_may_not_change(english, said, kind):
    (told,) = translation.differences(english, said)
    assert told.startswith(f"{kind}: got")
    assert translation.differences(english, english) == []


@each_lesson
def test_a_translation_is_set_as_chinese_text_is(lesson):
    for key, said in translation.read(translation.path(lesson, CHINESE)).items():
        bare = re.sub(r"\]\([^)]*\)", "]", said)
        for told, pattern in TYPED.items():
            assert not (found := re.search(pattern, bare)), f"{key}: {told}: {bare[max(0, found.start() - 9) :][:30]!r}"


@each_lesson
def test_a_translated_lesson_has_the_headings_numbers_and_question_of_the_english_one(lesson):
    chinese = Translated(lesson.path, translation.read(translation.path(lesson, CHINESE)))
    writers = {each: text.Text(language=each) for each in (ENGLISH, CHINESE)}
    shown = {
        writer.language: "".join(writer.html(cell.text) for cell in cells if cell.kind == "markdown")
        for writer, cells in zip(writers.values(), (lesson.cells, chinese.cells), strict=True)
    }
    levels = [[level for level, _, _ in writer.headings] for writer in writers.values()]
    assert levels[0] == levels[1]
    assert text.TAG.findall("".join(cell.text for cell in chinese.cells)) == text.TAG.findall(lesson.source)
    plain = re.sub(r"<math.*?</math>|<code>.*?</code>", "", shown[CHINESE], flags=re.DOTALL)
    assert "**" not in plain and "$" not in plain, "Markdown that has not been read"
    assert chinese.title != lesson.title or not re.search("[a-z]{5}", lesson.title.replace("Dirac", ""))
    assert chinese.about and chinese.question.endswith(("。", "？"))
    assert len({each.count('<details class="aside">') for each in shown.values()}) == 1


def test_the_index_and_the_glossary_are_translated():
    titles, terms = (translation.read(FOLDER / CHINESE.folder / name) for name in ("index.md", "glossary.md"))
    rest = {translation.key(lesson.title) for lesson in catalog.find(str(FOLDER)) if lesson not in LESSONS}
    assert rest == titles.keys(), "the titles of the lessons that are not translated, and no others"
    named, symbols = glossary.read(FOLDER)
    lines = {each.line: translation.key(each.line) for each in (*named, *symbols)}
    assert lines.keys() <= {line for line, key in lines.items() if key in terms}
    assert terms.keys() <= {*lines.values(), *(translation.key(each.name) for each in named)}
    for line, key in lines.items():
        assert translation.differences(line, terms[key]) == []


def test_what_a_frame_says_has_words_and_no_word_is_left_over():
    words = tomllib.loads((CODE / "templates" / "zh.toml").read_text(encoding="utf-8"))
    asked = set()
    for path in (*(CODE / "templates").glob("*.html"), *CODE.glob("*.py")):
        found = re.findall(r"""(?:say|language)\((?:"([^"]+)"|'([^']+)')""", path.read_text(encoding="utf-8"))
        asked |= {double or single for double, single in found}
    totals = set(re.findall(r'^        "([a-z ]+)": ', (CODE / "site.py").read_text(encoding="utf-8"), re.MULTILINE))
    states = {"right", "wrong. Smallest counterexample found:", "still open", "Glossary", "Notation"}  # by a variable
    assert asked - words.keys() == set()
    assert words.keys() == asked | states | totals - {"identities"}
    for english, said in words.items():
        assert set(re.findall(r"\{\w+\}|#", english)) == set(re.findall(r"\{\w+\}|#", said)), english
    with pytest.raises(LookupError, match="no words for 'Nothing'"):
        CHINESE("Nothing")
    assert ENGLISH("{count} checks", count=3) == "3 checks"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("text\n<!-- 12345678 -->\nmore", "expected the key"),
        ("<!-- 12345678 -->\na\n\n<!-- 12345678 -->\nb", "12345678 twice"),
    ],
)
def test_a_catalogue_that_is_wrong_is_refused(written, message, tmp_path):
    (tmp_path / "x.md").write_text(written, encoding="utf-8")
    with pytest.raises(LessonError, match=message):
        translation.read(tmp_path / "x.md")


def test_lines_of_a_catalogue_may_be_broken_between_chinese_characters(tmp_path):
    (tmp_path / "x.md").write_text("<!-- 12345678 -->\n判别器\n看样本，\nGAN\n- 不", encoding="utf-8")
    assert translation.read(tmp_path / "x.md") == {"12345678": "判别器看样本，\nGAN\n- 不"}
