"""Models from outside the package (tests/models), each through the command line: trained eagerly and replayed, saved, resumed,
sampled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from minigan import data
from minigan.cli import main
from minigan.gans import needs
from minigan.run import building, checkpoint, references
from minigan.run.feed import Feed
from minigan.run.rundir import RunDir

FOLDER = Path(__file__).parent / "models"
FILES = sorted(path.stem for path in FOLDER.glob("*.py"))
STEPS = 12
SHAPES = {"vaegan": (28, 28, 1), "recurrent": (40,)}
ASKED = {"conditional": ["label=3"], "infogan": ["code=1", "slant=0.5"]}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    t = np.linspace(0, 4 * np.pi, 40)
    phases = np.random.default_rng(0).uniform(0, 6, (64, 1))
    np.save("waves.npy", np.sin(t + phases).astype(np.float32))


def train(name: str, out: str, steps: int, *more: str) -> None:
    shutil.copy(FOLDER / f"{name}.py", f"{name}.py")
    assert main(["train", f"{name}.py", "--steps", str(steps), "--batch-size", "8", "--out", out, *more]) == 0


def end(out: str) -> dict[str, np.ndarray]:
    return checkpoint.latest(RunDir.open(out))[1].state


def equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    assert a.keys() == b.keys()
    return all(a[k].dtype == b[k].dtype and np.array_equal(a[k], b[k]) for k in a)


def rows(out: str) -> list[dict]:
    return [json.loads(line) for line in Path(out, "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", FILES)
def test_trained_saved_resumed_and_sampled_by_the_command_line(name, capsys):
    train(name, "whole", STEPS)
    train(name, "parts", STEPS // 2)
    assert main(["resume", "parts", "--steps", str(STEPS)]) == 0
    assert equal(end("whole"), end("parts"))
    asked = ["--set", *ASKED[name]] if name in ASKED else []
    for out in ("whole", "parts"):
        assert main(["sample", out, "-n", "7", "--seed", "3", "--out", f"{out}.npy", *asked]) == 0
    samples = np.load("whole.npy")
    assert np.array_equal(samples, np.load("parts.npy"))
    assert samples.shape == (7, *SHAPES.get(name, (2,))) and np.isfinite(samples).all() and samples.std() > 0
    assert main(["sample", "whole", "-n", "7"]) == 0


@pytest.mark.parametrize("name", FILES)
def test_replayed_steps_equal_eager_ones_bit_for_bit(name):
    shutil.copy(FOLDER / f"{name}.py", f"{name}.py")
    reference = references.resolve(f"{name}.py")
    config = reference.model.Config(batch_size=8)
    supply = building.load_data(reference, config)
    ends, losses = [], []
    for replay in (False, True, "check"):
        model = reference.model(config, supply.facts, replay=replay)
        feed = Feed(supply, model, "cpu")
        for step in range(STEPS):
            if step == 7:  # what an evaluation in between draws and switches leaves no trace
                model.pictures(building.some_of(supply))
            given = model.game.step(batches=feed(step))
        ends.append(model.state())
        losses.append({k: v.item() for k, v in {**given, **model.game.metrics}.items()})
    assert equal(ends[0], ends[1]) and equal(ends[0], ends[2]) and losses[0] == losses[1] == losses[2]


# -- what each of them shows -----------------------------------------------------------------------------------------
def test_labels_reach_the_losses():
    reference = references.resolve(str(FOLDER / "conditional.py"))
    config = reference.model.Config(batch_size=64)
    supply = building.load_data(reference, config)
    assert supply.facts == needs.Facts({"x": (2,)}, {"y": 8})
    (batch,) = Feed(supply, reference.model(config, supply.facts), "cpu")(3)
    ring = supply.sets["x"]
    assert batch["y"].shape == (64, 8) and (batch["y"].sum(1) == 1).all()
    np.testing.assert_allclose(batch["x"], ring.modes[batch["y"].argmax(1)], atol=0.2)


def test_a_critic_reads_a_batch_of_its_own_for_each_update():
    reference = references.resolve(str(FOLDER / "wgan.py"))
    config = reference.model.Config(batch_size=8)
    supply = building.load_data(reference, config)
    feed = Feed(supply, reference.model(config, supply.facts), "cpu")
    seen = [batch for step in range(3) for batch in feed(step)]
    loader = data.Loader(supply.sets["x"], batch_size=8, seed=0)
    assert len(seen) == 15 and all(np.array_equal(batch, loader.batch(k)) for k, batch in enumerate(seen))


def test_a_clipped_critic_is_within_the_limit_at_every_step():
    train("wgan", "run", 10)
    assert all(0 < row["largest_weight"] <= np.float32(0.01) for row in rows("run"))
    assert all({"critic", "generator", "distance"} <= row.keys() for row in rows("run"))


def test_unpaired_sets_are_shuffled_apart():
    x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    np.save("x.npy", x)
    reference = references.resolve(str(FOLDER / "cyclegan.py"))
    config = reference.model.Config(batch_size=64, data="a=x.npy,b=x.npy")
    supply = building.load_data(reference, config)
    (batch,) = Feed(supply, reference.model(config, supply.facts), "cpu")(0)
    assert sorted(map(tuple, batch["a"])) == sorted(map(tuple, batch["b"])) and (batch["a"] != batch["b"]).any()


def test_a_pool_is_kept_by_a_run(capsys):
    train("cyclegan", "run", 4)
    state = end("run")
    assert state["extra/pool_a/draws"] == 4 and (state["extra/pool_a/kept"] != state["extra/pool_b/kept"]).any()
    assert {"samples", "cycle"} <= {
        p.name.split("-")[0].removesuffix(".png") for p in Path("run/samples").glob("cycle*")
    } | {"samples"}
    assert Path("run/samples/cycle-final.png").is_file() and Path("run/samples/cycle-progress.gif").is_file()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ring8", "expected a=NAME,b=NAME"),
        ("a=ring8", "expected a=NAME,b=NAME"),
        ("a=ring8,b=", "expected a=NAME,b=NAME"),
        ("a=ring8,c=moons", "expected a=NAME,b=NAME"),
        ("a=ring8,b=rign8", "did you mean 'ring8'"),
    ],
)
def test_several_data_sets_are_named(given, said, capsys):
    assert main(["train", str(FOLDER / "cyclegan.py"), "--data", given, "--out", "run"]) == 4
    assert said in capsys.readouterr().err


def test_a_translator_takes_examples_from_the_run_or_from_a_file(capsys):
    train("cyclegan", "run", 4)
    x = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    np.save("mine.npy", x)
    assert main(["sample", "run", "-n", "3", "--set", "a=mine.npy", "--out", "there.npy"]) == 0
    assert main(["sample", "run", "-n", "6", "--set", "a=mine.npy", "--out", "twice.npy"]) == 0
    assert main(["sample", "run", "-n", "3", "--out", "own.npy"]) == 0
    there, twice, own = np.load("there.npy"), np.load("twice.npy"), np.load("own.npy")
    assert np.allclose(there, twice[3:]) and (there != own).any()
    np.save("images.npy", np.zeros((3, 4), np.float32))
    assert main(["sample", "run", "-n", "3", "--set", "a=images.npy"]) == 2
    assert "expected float32 (n, 2)" in capsys.readouterr().err


def test_reports_reach_metrics_progress_and_the_plot(capsys, monkeypatch):
    from minigan.run import plots

    drawn = []
    monkeypatch.setattr(plots, "_curve", lambda axes, points, name, *_: (drawn.append(name), np.array([0.0, 1.0]))[1])
    train("vaegan", "run", 4)
    names = {"encoder", "decoder", "discriminator", "kl", "feature_error"}
    assert names <= rows("run")[-1].keys() and names == set(drawn)
    progress = capsys.readouterr().err.splitlines()[-1]
    assert all(name in progress for name in names)
    assert Path("run/samples/reconstructions-final.png").is_file()


def test_only_goodfellows_game_is_drawn_with_its_equilibrium():
    from minigan.gans.toy import Toy

    config = Toy.Config(batch_size=8, width=8)
    assert Toy(config, (2,)).equilibrium()["discriminator"] == ("log 4", pytest.approx(np.log(4)))
    for name in ("lazy_r1", "conditional", "vaegan", "wgan"):
        reference = references.resolve(str(FOLDER / f"{name}.py"))
        facts = needs.Facts({"x": SHAPES.get(name, (2,))}, {"y": 8} if name == "conditional" else {})
        assert reference.model(reference.model.Config(), facts).equilibrium() == {}


def test_r1_is_computed_in_every_fourth_step(capsys):
    train("lazy_r1", "run", 10)
    assert [row["step"] for row in rows("run") if "r1" in row] == [1, 5, 9]


def test_the_phases_change_where_they_should_also_after_a_resume():
    train("phases", "run", 5)
    before = end("run")
    assert main(["resume", "run", "--steps", "6"]) == 0
    after, fresh = end("run"), [row for row in rows("run") if row["step"] <= 5]
    assert all("D" not in row for row in fresh) and "D" in rows("run")[-1]
    assert before["game/G/steps"] == 5 and after["game/G/steps"] == 6 and after["game/D/steps"] == 1
