"""`minigan diagnose`: runs made to fail in each way are recognised, sound ones are left alone, and what is advised works."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shlex
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from failing_runs import FAILING, SOUND, make_files
from tiny_runs import TINY

from minigan import cli, data, gans
from minigan.cli import main
from minigan.gans import needs
from minigan.gans.needs import Facts
from minigan.lessons import catalog
from minigan.metrics.memorisation import copying, copying_left_out
from minigan.metrics.missing_share import k_means, missing_share
from minigan.run import advice, course, lines, plots, settings
from minigan.run.course import Course
from minigan.run.references import resolve
from minigan.run.rundir import RunDir
from minigan.run.symptoms import SYMPTOMS

rng = np.random.default_rng(5)
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to train in, whose runs draw no pictures: `diagnose` reads none, and they are most of a short run's time."""

    class Blank:
        def picture(self, *_):
            return np.zeros((1, 1, 1), np.uint8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "painter_of", lambda *_: Blank())
        for name in ("save_picture", "save_losses", "save_progress"):
            patch.setattr(plots, name, lambda *_, **__: None)
        patch.chdir(tmp_path_factory.mktemp("diagnose"))
        make_files()
        yield Path.cwd()


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


def said(capsys, *words: str, code: int = 0) -> str:
    """What a command prints; what it says on stderr, where it is to fail."""
    capsys.readouterr()
    assert main(list(words)) == code
    found = capsys.readouterr()
    assert "Traceback" not in found.err and "internal error" not in found.err
    assert not code or not found.out
    return found.err if code else found.out


def trained(recipe, seed: int, out: str) -> str:
    if not os.path.exists(out):
        before, _, after = recipe.words.partition(" --set ")
        sets = ["--set", *after.split()] if after else []
        assert main(["train", *before.split(), "--seed", str(seed), "--out", out, *sets]) == 0
    return out


def found_in(capsys, run: str, recipe) -> dict:
    beside = ["--held-out", recipe.held_out] if recipe.held_out else []
    return json.loads(said(capsys, "diagnose", run, "--json", *beside))


# -- runs ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", FAILING)
def test_a_run_made_to_fail_is_recognised(kind, seed, here, capsys):
    recipe = FAILING[kind]
    found = found_in(capsys, trained(recipe, seed, f"{kind}-{seed}"), recipe)
    assert set(recipe.found) & set(found["verdict"]), found["findings"]
    for told in found["findings"]:
        shown = told["symptom"] in found["verdict"]
        assert not shown or (told["found"] and not all(number["met"] for number in told["evidence"]))
        assert bool(told["advice"]) == shown and all(built(each["command"]) for each in told["advice"])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sound_run_gives_no_alarm(seed, here, capsys):
    recipe = SOUND["sound"]
    found = found_in(capsys, trained(recipe, seed, f"sound-{seed}"), recipe)
    assert found["verdict"] == ["healthy"], found["findings"]
    assert all(each["found"] is False and not each["advice"] for each in found["findings"])


def test_text_and_json_say_the_same(here, capsys):
    run = trained(FAILING["collapse"], 0, "collapse-0")
    text, found = said(capsys, "diagnose", run), json.loads(said(capsys, "diagnose", run, "--json"))
    assert text == said(capsys, "diagnose", run)
    for each in found["findings"]:
        for number in each["evidence"]:
            assert number["name"] in text and number["expected"] in text and f"{number['value']:.4g}" in text
        for tried in each["advice"]:
            assert tried["command"] in text and tried["why"] in text
    assert "COLLAPSE OF MODES" in text and "lessons run 13" in text


# -- what is advised -------------------------------------------------------------------------------------------------
def built(line: str):
    """The configuration that an advised command line trains, through the parser of the command line."""
    words = shlex.split(line)
    args = cli._parse(words[words.index("minigan") + 1 :])
    if "resume" in words:
        return int(args.steps) > 0 and args.dir
    reference = resolve(args.model)
    texts = settings.pairs(args.set) | {k: v for k in cli.SETTINGS if (v := getattr(args, k)) is not None}
    return settings.build(reference, texts)


SMALL = {"features": 4, "width": 8, "latent": 4}


SHAPES = {"audio": (1024, 1), "video": (8, 16, 16, 1), "tokens": (8,), "points": (4,)}


def facts_for(wanted: Any) -> Facts:
    """Points in the plane, sounds, films, texts, or images of 28 x 28, and ten classes, by the names that a model asks for;
    states of carts and two actions."""
    if wanted in ("points", "examples"):
        return Facts({"x": (2,)})
    kinds = needs.entries(wanted)
    labels = [name for name, kind in kinds.items() if kind in ("labels", "one-hot")]
    shapes = {name: SHAPES.get(kind, (28, 28, 1)) for name, kind in kinds.items() if name not in labels}
    words = {name: tuple("abcde") for name, kind in kinds.items() if kind == "tokens"}
    return Facts(shapes, dict.fromkeys(labels, 2 if "points" in kinds.values() else 10), vocabularies=words)


@pytest.mark.parametrize("name", gans.MODELS)
def test_every_advised_command_is_one(name):
    """For each model and symptom, with settings that differ from the defaults: it is typed, parsed, and means one change."""
    reference = resolve(name)
    kinds = {f.name: f.default for f in dataclasses.fields(reference.model.Config)}
    config = reference.model.Config(**{k: v for k, v in SMALL.items() if k in kinds}, steps=7, seed=3)
    facts = facts_for(reference.model.needs)
    own = dataclasses.asdict(config)
    for symptom in SYMPTOMS:
        found = advice.advised(symptom, reference, config, facts, "cpu")
        assert len({each.command for each in found}) == len(found) <= advice.MOST
        assert found or symptom == "too early to tell" or (symptom == "divergence" and "lr" not in own)
        for each in found:
            made = dataclasses.asdict(built(each.command))
            differ = {key for key in own if made[key] != own[key]}
            assert differ and not differ & {"steps", "width", "features", "latent"} and each.why


def test_settings_that_do_not_go_together_are_not_advised():
    reference = resolve("toy")
    config = reference.model.Config(loss="wasserstein", gp=1.0, r1=0.0, spectral="reshaped")
    for symptom in SYMPTOMS:
        for each in advice.advised(symptom, reference, config, Facts({"x": (2,)}), "cpu"):
            assert built(each.command) != config


def test_every_symptom_is_explained_by_a_lesson_that_exists():
    lessons = catalog.find()
    for symptom in SYMPTOMS.values():
        assert catalog.pick(lessons, [symptom.lesson])[0].path.stem == symptom.lesson
        assert catalog.pick(lessons, [str(int(symptom.lesson[:2]))])[0].path.stem == symptom.lesson
        assert symptom.plain.endswith(".") and symptom.checks.__doc__
    assert advice.CHANGES.keys() == SYMPTOMS.keys()


# -- wrong input, and runs that lack something -----------------------------------------------------------------------
@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    """A copy of a finished run of 10 steps."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(finished, tmp_path / "run")


def test_a_run_without_a_checkpoint_is_refused_with_the_way_out(run, capsys):
    for file in run.glob("checkpoints/*"):
        file.unlink()
    assert "holds no checkpoint" in said(capsys, "diagnose", "run", code=4)


def test_a_damaged_checkpoint_is_not_diagnosed(run, capsys):
    newest = max(run.glob("checkpoints/*"))
    newest.write_bytes(newest.read_bytes()[:-100])
    capsys.readouterr()
    code = main(["diagnose", "run"])
    told = capsys.readouterr()
    assert newest.name in told.err and "damaged or changed" in told.err
    assert code == (0 if len(list(run.glob("checkpoints/*"))) > 1 else 4)


def test_damaged_lines_are_passed_over_and_missing_ones_told(run, capsys):
    (run / "metrics.jsonl").write_text('no line\n{"step": 3}\n[1]\n')
    (run / "course.jsonl").unlink()
    (run / "status.json").write_text("{")
    text = said(capsys, "diagnose", "run")
    assert "TOO EARLY" in text and "not measured: oscillation: course.jsonl has 0 of the lines" in text


def test_of_a_run_that_goes_on_it_is_told(run, capsys):
    status = json.loads((run / "status.json").read_text())
    status |= {"state": "running", "host": socket.gethostname(), "steps": 1000}
    (run / "status.json").write_text(json.dumps(status))
    text = said(capsys, "diagnose", "run")
    assert "was training here and has died" in text and "resume run --steps" in text
    holder = RunDir.open("run")
    holder.lock()
    with contextlib.closing(holder):
        text = said(capsys, "diagnose", "run")
    assert "is training here, at" in text and "TOO EARLY" in text and "resume" not in text


def test_a_run_that_diverged_at_once_is_diagnosed_without_weights(run, capsys):
    for file in run.glob("checkpoints/*"):
        file.unlink()
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps(status | {"state": "diverged", "message": "diverged: the loss is NaN"}))
    text = said(capsys, "diagnose", "run")
    assert "DIVERGENCE" in text and "diverged: the loss is NaN" in text and "train toy" in text
    (run / "config.json").write_text("{}")
    assert "holds no checkpoint" in said(capsys, "diagnose", "run", code=4)


def test_a_run_whose_data_is_gone_is_diagnosed_as_far_as_it_goes(here, capsys):
    shutil.copy("few.npy", "gone.npy")
    recipe = FAILING["few data"]
    trained(recipe._replace(words=recipe.words.replace("800", "100").replace("few.npy", "gone.npy")), 0, "gone")
    os.remove("gone.npy")
    text = said(capsys, "diagnose", "gone")
    assert "not measured" in text and "gone.npy" in text and "|loss| of generator" in text


def test_held_out_examples_are_checked(here, run, capsys):
    np.save("wide.npy", np.zeros((20, 3), np.float32))
    assert "shape (3,), expected (2,)" in said(capsys, "diagnose", "run", "--held-out", "wide.npy", code=2)
    assert "nosuch.npy" in said(capsys, "diagnose", "run", "--held-out", "nosuch.npy", code=4)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("vae", "no network called discriminator or critic"),
        ("vat", "makes no examples"),
        ("aae", "no function of examples alone"),
        ("cgan", "no network called discriminator or critic"),
    ],
)
def test_models_without_a_discriminator_of_examples_say_what_cannot_be_seen(name, why, here, capsys):
    """Untrained: what can be seen of them is the same."""
    if not os.path.exists("tiny.npz"):
        np.savez("tiny.npz", x=rng.integers(0, 256, (40, 8, 8), np.uint8), y=np.arange(40) % 4)
    sets = [f"{key}=4" for key in ("width", "features") if key in resolve(name).model.Config.__dataclass_fields__]
    words = ["--data", "tiny.npz", "--steps", "0", "--batch-size", "8", "--out", name]
    assert main(["train", name, *words, *(["--set", *sets] if sets else [])]) == 0
    found = json.loads(said(capsys, "diagnose", name, "--json"))
    reasons = {each["symptom"]: each["unmeasured"] for each in found["findings"]}
    assert why in reasons["vanishing gradient of the generator"] and why in reasons["overfitting of the discriminator"]
    assert not reasons["divergence"] and found["verdict"] == ["too early to tell"]
    assert bool(reasons["collapse of modes"]) == (name == "vat")


def test_a_model_of_ones_own_is_diagnosed_and_imported_only_unchanged(here, capsys):
    text = (Path(__file__).parent / "sample_model.py").read_text()
    Path("mine.py").write_text(text)
    assert main(["train", "mine.py:Anything", "--steps", "0", "--out", "mine"]) == 0
    found = json.loads(said(capsys, "diagnose", "mine", "--json"))
    measured = {each["symptom"] for each in found["findings"] if each["evidence"]}
    assert {"vanishing gradient of the generator", "overfitting of the discriminator", "memorising"} <= measured
    Path("mine.py").write_text(text + "\n\nclass Broken(Anything):\n    def generate(self, n):\n        return 1 / 0\n")
    assert "--model" in said(capsys, "diagnose", "mine", code=4)
    assert "mine.py:" in said(capsys, "diagnose", "mine", "--model", "mine.py:Broken", code=4)
    assert "TOO EARLY" in said(capsys, "diagnose", "mine", "--model", "mine.py:Anything")


# -- the end of a training -------------------------------------------------------------------------------------------
def test_a_training_with_a_warning_ends_with_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = said(capsys, "train", "toy", "--steps", "12", "--out", "bad", *TINY, "lr=0")
    assert text.count("diagnose bad") == 1 and "warning: step" in text
    assert "diagnose" not in said(capsys, "train", "toy", "--steps", "12", "--out", "good", *TINY)
    assert "diagnose gone" in said(capsys, "train", "toy", "--steps", "40", "--out", "gone", *TINY, "lr=1e15", code=3)
    assert "DIVERGENCE" in said(capsys, "diagnose", "gone")
    still = said(capsys, "diagnose", "bad")
    assert "largest learning rate: 0, expected > 0" in still and "lr=0.002" in still


# -- what it is made of ----------------------------------------------------------------------------------------------
def test_the_course_is_that_of_the_samples(run, tmp_path):
    rows = lines.read(run / course.NAME)
    assert rows[0]["step"] == 0 and rows[-1]["step"] == 10 and len(rows) > 8
    x, samples = rng.standard_normal((500, 2)), 2 * rng.standard_normal((500, 2)) + [3, 0]
    of = Course(tmp_path, {"y": np.zeros((9, 4)), "x": x})
    of.take(7, samples)
    of.take(8, None), of.take(8, samples[:, :1]), of.take(8, samples[:3])
    (row,) = lines.read(tmp_path / course.NAME)
    scale = np.sqrt(x.var(axis=0).mean())
    assert row["spread"] == pytest.approx(samples.std(axis=0).mean() / x.std(axis=0).mean(), rel=1e-5)
    assert row["centre"] == pytest.approx((samples.mean(axis=0) - x.mean(axis=0)) / scale)
    gaps = np.abs(np.sort(samples, axis=0) - np.sort(x, axis=0)).mean(axis=0)
    assert row["distance"] == pytest.approx(gaps.mean() / scale, rel=0.02)
    of.take(9, samples * np.nan)
    assert lines.read(tmp_path / course.NAME)[-1] == {"step": 9, "spread": None, "distance": None, "centre": None}
    Course(tmp_path, {"x": x}, step=7)
    assert [each["step"] for each in lines.read(tmp_path / course.NAME)] == [7]


def test_a_course_that_cannot_be_written_is_a_note(tmp_path, capsys):
    x = rng.standard_normal((50, 2))
    of = Course(tmp_path, {"x": x})
    of.move(tmp_path / "nowhere")
    of.take(1, x), of.take(2, x)
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_missing_share_is_the_weight_of_the_cells_without_samples():
    centres = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    real = np.repeat(centres, [400, 300, 200, 100], axis=0) + rng.standard_normal((1000, 2))
    assert missing_share(real, real, centres=centres) == missing_share(real, real) == 0
    kept = real[:700]
    assert missing_share(real, kept, centres=centres) == pytest.approx(0.3)
    assert missing_share(real, kept, cells=4) == pytest.approx(0.3)
    wide = rng.standard_normal((2, 1000, 200))  # where each example lies nearest to a centre that it has a part in
    assert missing_share(*wide) == 0
    few = np.concatenate([kept, real[700:730]])  # .041 of the samples, less than a quarter of .2
    assert missing_share(real, few, centres=centres) == pytest.approx(0.3)
    np.testing.assert_allclose(sorted(map(tuple, k_means(real, 4).round(0))), sorted(map(tuple, centres)), atol=0)
    assert len(k_means(np.zeros((6, 2)), 3)) == 3
    for wrong in ({"centres": np.zeros((2, 3))}, {"cells": 0}):
        with pytest.raises(ValueError, match="missing_share"):
            missing_share(real, real, **wrong)


def test_copying_without_held_out_examples_is_that_of_each_against_the_others():
    training, fake = rng.standard_normal((40, 3)), rng.standard_normal((30, 3))
    alone = [copying(fake, training, training[i : i + 1]) for i in range(40)]
    assert min(alone) == 0 or max(alone) == 0  # an example is at distance 0 from itself, hence this metric
    own = np.array([np.linalg.norm(np.delete(training, i, 0) - training[i], axis=1).min() for i in range(40)])
    theirs = np.array([np.linalg.norm(training - x, axis=1).min() for x in fake])
    assert copying_left_out(fake, training) == pytest.approx((theirs[:, None] < own).mean())
    assert copying_left_out(training + 1e-6, training) == 1
    assert copying_left_out(rng.standard_normal((1000, 3)), rng.standard_normal((1000, 3))) == pytest.approx(
        0.5, abs=0.06
    )
    with pytest.raises(ValueError, match="expected at least 2"):
        copying_left_out(fake, training[:1])


def test_held_out_examples_are_others_of_the_same_law(tmp_path, monkeypatch):
    seen, unseen = data.load("ring8", seed=4), data.held_out("ring8", seed=4, n=500)
    assert len(unseen) == 500 and not set(map(bytes, seen.x)) & set(map(bytes, unseen.x))
    assert data.held_out("few.npy") is None
    with pytest.raises(data.DataError, match="nosuch"):
        data.held_out("ring8", nosuch=1)
