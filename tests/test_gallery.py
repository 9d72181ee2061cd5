"""The gallery: every model named, with its docstring, what a run showed if there was one, and whether that is still its code."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import io
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import sample_lessons
from PIL import Image
from sample_lessons import entry

from minigan import gans
from minigan.lessons import catalog, gallery
from minigan.lessons.catalog import LessonError
from minigan.run import listing, references, settings

ROOT = Path(__file__).parent.parent
LESSONS = {lesson.stem: lesson for lesson in catalog.find(str(ROOT / "lessons"))}
PATH = ROOT / "bench" / "gallery.py"
sys.path.append(str(PATH.parent))  # for what the benches share
spec = importlib.util.spec_from_file_location("bench_gallery", PATH)
assert spec is not None and spec.loader is not None
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)
sys.path.remove(str(PATH.parent))


def write(folder: Path, **runs: object) -> Path:
    """A folder of lessons with a gallery of these runs; returns it."""
    sample_lessons.write_gallery(folder, **runs)
    return folder


def models(folder: Path) -> dict[str, gallery.Shown]:
    return {model.name: model for _, _, models in gallery.shown(folder) for model in models}


# -- which lesson explains a model -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", gans.MODELS)
def test_the_lesson_of_a_model_exists_and_names_it_and_so_do_the_commands(name):
    model = gans.get(name)
    told = settings.help_text(references.resolve(name))
    row = next(line for line in listing.models().splitlines() if line.split()[:1] == [name])
    if not model.lesson:
        assert row.endswith("  -") and "explained in lesson" not in told
        return
    text = LESSONS[model.lesson].source
    assert any(word in text for word in (model.__name__, f"minigan train {name}", f"`{name}`")), (
        "it does not occur there"
    )
    number = int(model.lesson[:2])
    assert row.endswith(f"  {number}") and f"minigan lessons run {number}" in told.replace("python -m ", "")


def test_a_model_of_ones_own_needs_no_lesson():
    class Mine(gans.get("toy")):
        lesson = ""

    reference = dataclasses.replace(references.resolve("toy"), model=Mine)
    assert "explained in lesson" not in settings.help_text(reference)


# -- what is shown -----------------------------------------------------------------------------------------------------
def test_every_model_is_shown_once_by_family(tmp_path):
    names = [model.name for _, _, models in gallery.shown(tmp_path) for model in models]
    assert sorted(names) == sorted(gans.MODELS)
    assert {model.state for model in models(tmp_path).values()} == {"none"}
    assert all(model.title and model.blocks for model in models(tmp_path).values())


def test_a_docstring_keeps_its_diagrams_and_lets_its_text_flow():
    title, blocks = gallery.parts(
        "Title (A 2014,\narXiv 1411.1784): <x>.\n\n    a --> b\n      |\n\nText `f(x)`\nflows:\n    y = x\nThen.\n"
    )
    assert title == 'Title (A 2014, <a href="https://arxiv.org/abs/1411.1784">arXiv 1411.1784</a>): &lt;x&gt;.'
    assert [(block.html, block.kept) for block in blocks] == [
        ("a --&gt; b\n  |", True), ("Text <code>f(x)</code> flows:", False), ("y = x", True), ("Then.", False),
    ]  # fmt: skip


def test_nothing_of_a_docstring_is_lost():
    for model in models(ROOT / "none").values():
        source = Path(sys.modules[gans.get(model.name).__module__].__file__).read_text(encoding="utf-8")
        words = (ast.get_docstring(ast.parse(source)) or "").split()
        kept = " ".join([model.title, *(block.html for block in model.blocks)])
        kept = re.sub("</?a[^>]*>", "", kept.replace("<code>", "`").replace("</code>", "`"))
        for sign, tag in {"&lt;": "<", "&gt;": ">", "&#x27;": "'", "&quot;": '"', "&amp;": "&"}.items():
            kept = kept.replace(sign, tag)
        assert [w for w in words if w not in kept and "." not in w] == [], model.name


def test_a_run_is_shown_as_current_outdated_or_failed(tmp_path):
    folder = write(
        tmp_path, vae=entry("vae", picture="reconstructions"), aae=entry("aae", fingerprint="0" * 16),
        toy={"failed": "minigan train: exit code 3: NaN", "fingerprint": gallery.fingerprint(gans.get("toy"))},
        mlp={"failed": "exit code 5", "fingerprint": "0" * 16},
    )  # fmt: skip
    found = models(folder)
    assert {name: found[name].state for name in ("vae", "aae", "toy", "mlp", "cgan")} == {
        "vae": "current", "aae": "outdated", "toy": "failed", "mlp": "outdated", "cgan": "none",
    }  # fmt: skip
    picture = found["vae"].picture
    assert picture is not None and picture.size == (8, 6) and "reconstructions" in picture.alt and len(picture.alt) > 40
    assert found["aae"].picture is None


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"vae": {"fingerprint": "0"}}, "no date"),
        ({"vae": 3}, "got 3"),
        ({"vae": {"failed": "x"}}, "no fingerprint"),
    ],
)
def test_a_broken_table_is_told(tmp_path, runs, message):
    with pytest.raises(LessonError, match=message):
        gallery.shown(write(tmp_path, **runs))


def test_a_table_that_is_no_json_and_a_picture_that_is_missing_are_told(tmp_path):
    folder = write(tmp_path / "a", vae=entry("vae", picture="samples"))
    (folder / gallery.FOLDER / "vae.png").unlink()
    with pytest.raises(LessonError, match=r"vae\.png does not exist"):
        gallery.shown(folder)
    (folder / gallery.FOLDER / gallery.TABLE).write_text("{")
    with pytest.raises(LessonError, match="cannot be read"):
        gallery.shown(folder)


# -- the fingerprint ---------------------------------------------------------------------------------------------------
def test_a_fingerprint_follows_the_code_and_not_the_words_about_it(tmp_path):
    path = tmp_path / "a.py"
    code = gallery._code.__wrapped__
    first = '"""What it is."""\n\n# Why.\nx = 1\n\n\ndef f():\n    """Two\n    lines."""\n    return "text"\n'
    path.write_text(first)
    before = code(path)
    assert before == 'x = 1\ndef f():\nreturn "text"'
    path.write_text(first.replace("What it is.", "Other\nwords.").replace("# Why.", "# Because."))
    assert code(path) == before
    path.write_text(first.replace("x = 1", "x = 2"))
    assert code(path) != before


def test_models_have_fingerprints_of_their_own_that_hold_their_bases():
    marks = {name: gallery.fingerprint(gans.get(name)) for name in gans.MODELS}
    assert len(set(marks.values())) == len(marks)
    kinds = {kind.__module__ for kind in gans.get("cgan").__mro__}
    assert "minigan.gans.conditional" in kinds, "what the classes share counts, too"


# -- what is committed -------------------------------------------------------------------------------------------------
def test_the_committed_gallery_is_whole_and_small():
    place = ROOT / "lessons" / gallery.FOLDER
    runs = gallery.table(place)
    assert runs.keys() <= gans.MODELS.keys()
    pictures = {path.stem for path in place.glob("*.png")}
    assert pictures == {name for name, run in runs.items() if "picture" in run}
    assert all(path.stat().st_size <= bench.LARGEST for path in place.glob("*.png"))
    assert {path.suffix for path in place.iterdir()} <= {".png", ".json"}
    gallery.shown(ROOT / "lessons")


# -- bench/gallery.py --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("mode", "size"), [("L", (200, 100)), ("RGB", (300, 270))])
def test_pictures_are_made_small(tmp_path, mode, size):
    shape = size[::-1] if mode == "L" else (*size[::-1], 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    made = bench.small(tmp_path / "a.png")
    with Image.open(io.BytesIO(made)) as image:
        assert len(made) <= bench.LARGEST and image.width <= size[0]
        assert abs(image.height / image.width - size[1] / size[0]) < 0.01
        assert image.mode == mode or image.mode == "P"


def test_a_grey_picture_is_stored_as_grey(tmp_path):
    Image.new("RGB", (20, 10), (7, 7, 7)).save(tmp_path / "grey.png")
    Image.new("RGB", (20, 10), (7, 7, 8)).save(tmp_path / "blue.png")
    assert Image.open(io.BytesIO(bench.small(tmp_path / "grey.png"))).mode == "L"
    assert Image.open(io.BytesIO(bench.small(tmp_path / "blue.png"))).mode != "L"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty gallery for the program to fill."""
    monkeypatch.setattr(bench, "PLACE", tmp_path / "gallery")
    return tmp_path / "gallery"


def run(monkeypatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["gallery.py", *map(str, words)])
    return bench.main()


def test_a_model_that_fails_is_recorded_and_the_others_go_on(place, tmp_path, monkeypatch, capsys):
    asked = []

    def made(name, runs, until):
        asked.append(name)
        if name == "vae":
            raise bench.Failed("minigan train: exit code 3: loss is NaN")
        if name == "aae":
            raise bench.Stopped(1.0)
        return entry(name)

    monkeypatch.setattr(bench, "made", made)
    assert run(monkeypatch, "--folder", tmp_path / "runs", "--models", "vae", "aae", "toy") == 1
    assert "exit code 3" in capsys.readouterr().out
    runs = gallery.table(place)
    assert list(runs) == ["toy", "vae"] and runs["vae"]["failed"].endswith("NaN"), "in the order of the zoo"
    run(monkeypatch, "--folder", tmp_path / "runs", "--models", "vae", "aae", "toy")
    assert asked == ["vae", "aae", "toy", "aae"], "what is there is not made again, nor what failed with the same code"
    run(monkeypatch, "--folder", tmp_path / "runs", "--models", "vae", "--again")
    assert asked[-1] == "vae"


def test_a_call_tells_how_it_ended():
    assert bench.call(["--version"], 60) > 0
    with pytest.raises(bench.Failed, match=r"nosuch: exit code 2: .*unknown command"):
        bench.call(["nosuch"], 60)
    assert {130, 143, -signal.SIGTERM} == bench.SAVED


def test_the_picture_in_which_the_point_is_seen_comes_first(tmp_path):
    assert bench.picture(tmp_path) is None
    (tmp_path / "final.png").write_bytes(b"")
    assert bench.picture(tmp_path) == ("samples", tmp_path / "final.png")
    (tmp_path / "reconstructions-final.png").write_bytes(b"")
    assert bench.picture(tmp_path) == ("reconstructions", tmp_path / "reconstructions-final.png")
