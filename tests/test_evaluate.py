"""`minigan evaluate` and `minigan compare`: the table is right, stored, the same for programs, and says what it lacks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan import data, metrics
from minigan.cli import main
from minigan.gans.mlp import MLP
from minigan.gans.toy import Toy
from minigan.metrics import judge
from minigan.metrics.frechet import frechet_distance
from minigan.run import building, evaluation, live
from minigan.run.errors import UsageError
from minigan.run.evaluation import measured
from minigan.run.live import Live, Panel
from minigan.run.references import resolve
from minigan.run.schedule import Pace
from minigan.run.setting import Setting

N = 100


@pytest.fixture(scope="module", autouse=True)
def _quick_judge():
    """A judge of 25 steps, in the tests' own cache; what it says is coarse, and the same for all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(judge.RECIPES, "glyphs", judge.Recipe(steps=25, shift=1))
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two short toy runs and one of images, not to be changed."""
    place = tmp_path_factory.mktemp("runs")
    toy = ["train", "toy", "--batch-size", "16", "--set", "width=8", "--out"]
    assert main([*toy, str(place / "one"), "--steps", "10"]) == 0
    assert main([*toy, str(place / "two"), "--steps", "30", "--seed", "5"]) == 0
    assert main(["train", "mlp", "--steps", "2", "--batch-size", "8", "--out", str(place / "images")]) == 0
    return place


@pytest.fixture
def place(runs, tmp_path, monkeypatch):
    """Copies of them in the present folder."""
    for run in ("one", "two", "images"):
        shutil.copytree(runs / run, tmp_path / run)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own_metrics(monkeypatch):
    """What a test registers is gone after it."""
    kept = dict(metrics.METRICS)
    yield
    metrics.METRICS.clear()
    metrics.METRICS.update(kept)


def said(capsys, *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(list(words)) == code
    found = capsys.readouterr()
    assert "Traceback" not in found.err and "internal error" not in found.err
    if code:
        assert found.out == ""
        return found.err
    return found.out


# -- evaluate --------------------------------------------------------------------------------------------------------
def test_the_table_is_printed_stored_and_the_same_for_programs(place, capsys):
    text = said(capsys, "evaluate", "one", "-n", str(N))
    assert Path("one/evaluation.txt").read_text() == text
    document = said(capsys, "evaluate", "one", "-n", str(N), "--json")
    assert Path("one/evaluation.json").read_text() == document
    found = json.loads(document)
    assert found["n"] == N and found["seed"] == 0 and found["model"] == "toy" and found["data"] == "ring8"
    assert found["checkpoints"]["last"]["step"] == 10 and found["judge"] is None
    rows = {row["name"]: row for row in found["metrics"]}
    assert {
        "modes",
        "good samples",
        "reverse KL",
        "sliced W1",
        "copying",
        "coverage",
        "Frechet distance",
    } <= rows.keys()
    for name, row in rows.items():
        assert name in text and f"{row['values']['last']:.4g}" in text
        assert row["floor"] == (row["real"] if row["better"] == "lower" else None)
    assert "inception score" in found["left_out"] and "no judge" in found["left_out"]["inception score"]
    for check in found["checks"]["last"]:
        assert check["name"] in text and check["met"] is (
            {">=": 1, "<=": -1, "==": 0}[check["target"][:2]] in _sides(check)
        )
    assert {"modes", "good samples", "reverse KL"} == {check["name"] for check in found["checks"]["last"]}


def _sides(check) -> set[int]:
    bound = float(check["target"][2:])
    return {0, 1, -1} if check["value"] == bound else {1 if check["value"] > bound else -1}


def test_numbers_are_those_of_samples_and_of_disjoint_real_halves(place):
    found, setting = measured("one", n=N)
    rows = {row.name: row for row in found.rows}
    real, other = setting.real.examples, setting.other.examples
    assert len(real) == len(other) == N
    assert not (set(map(bytes, real)) & set(map(bytes, other)))
    assert rows["Frechet distance"].values["last"] == frechet_distance(real, setting.drawn["last"])
    assert rows["Frechet distance"].floor == frechet_distance(real, other)
    assert rows["modes"].real == 8 and rows["copying"].real == 0.5
    again, _ = measured("one", n=N)
    assert again.as_json() == found.as_json()
    others = [measured("one", n=N, seed=3)[0], measured("one", n=N + 1)[0]]
    assert all(each.as_json() != found.as_json() for each in others)


def test_images_are_judged_and_the_judge_is_named(place, capsys):
    found = json.loads(said(capsys, "evaluate", "images", "-n", str(N), "--json"))
    rows = {row["name"]: row for row in found["metrics"]}
    assert {"cFD", "cKID", "class score", "classes", "class KL", "precision", "density", "copying"} <= rows.keys()
    assert not any("inception" in name.lower() or "fid" in name.lower().split() for name in rows)
    kept = judge.for_data(data.load("glyphs"))
    assert found["judge"]["sha256"] == kept.sha256 and found["judge"]["record"]["recipe"]["steps"] == 25
    assert rows["cFD"]["floor"] < rows["cFD"]["values"]["last"] and rows["cFD"]["bias"] > 0
    text = Path("images/evaluation.txt").read_text()
    assert f"judge {kept.sha256[:12]} of glyphs" in text and "never with an FID" in text
    assert [check["name"] for check in found["checks"]["last"]] == ["classes", "confidence", "legible"]
    assert "where the target comes from" in text and all(check["source"] in text for check in found["checks"]["last"])
    assert all(check["source"] for check in found["checks"]["last"])


def test_the_best_is_beside_the_last_where_there_is_one(place, capsys, monkeypatch):
    last = evaluation.checkpoints_to_evaluate

    def both(folder):
        return {**last(folder), "best": last(evaluation.RunDir.open("two"))["last"]}

    monkeypatch.setattr(evaluation, "checkpoints_to_evaluate", both)
    found = json.loads(said(capsys, "evaluate", "one", "-n", str(N), "--json"))
    assert [each["step"] for each in found["checkpoints"].values()] == [10, 30]
    assert all(row["values"].keys() == {"last", "best"} for row in found["metrics"])
    assert any(row["values"]["last"] != row["values"]["best"] for row in found["metrics"])
    text = Path("one/evaluation.txt").read_text()
    assert "last: step 10, best: step 30" in text and "checks, best" in text


def test_a_folder_that_cannot_be_written_is_a_note(place, capsys, monkeypatch):
    def full(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluation, "write_durably", full)
    capsys.readouterr()
    assert main(["evaluate", "one", "-n", str(N)]) == 0
    found = capsys.readouterr()
    assert "modes" in found.out and "could not be stored" in found.err


def test_samples_that_are_not_finite_are_told_and_no_check_is_met(place, capsys, monkeypatch):
    for model in (Toy, MLP):
        monkeypatch.setattr(model, "sample", lambda self, n, **_: np.full((n, *self.shape), np.nan, np.float32))
    document = json.loads(said(capsys, "evaluate", "one", "-n", str(N), "--json"))
    assert "NaN or Inf" in document["left_out"]["sliced W1, last"]
    assert not any(check["met"] for check in document["checks"]["last"] if check["name"] != "reverse KL")
    rows = {row["name"]: row["values"]["last"] for row in document["metrics"]}
    assert rows["modes"] == 0 and "sliced W1" not in rows


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["evaluate"], 2, "expected either DIR"),
        (["evaluate", "one", "--features", "a.npy", "b.npy"], 2, "expected either DIR"),
        (["evaluate", "one", "-n", "5001"], 2, "20 to 5000"),
        (["evaluate", "one", "-n", "3"], 2, "-n: got 3"),
        (["evaluate", "one", "--jsn"], 2, "did you mean --json?"),
        (["evaluate", "nowhere"], 4, "does not exist"),
        (["evaluate", "one", "--metric", "none.py"], 2, "none.py"),
        (["evaluate", "one", "--metric", "empty.py"], 2, "registers no metric"),
        (["evaluate", "one", "--metric", "broken.py"], 4, "broken.py:1"),
        (["evaluate", "one", "-n", "50", "--metric", "fails.py"], 4, "fails.py:6"),
        (["evaluate", "one", "-n", "50", "--metric", "taken.py"], 4, "already"),
        (["evaluate", "--features", "a.npy", "b.npy", "-n", "9"], 2, "go with DIR"),
        (["evaluate", "--features", "a.npy", "none.npy"], 4, "none.npy"),
        (["evaluate", "--features", "a.npy", "short.npy"], 4, "at least 40"),
        (["evaluate", "--features", "a.npy", "wide.npy"], 4, "one network gives both"),
        (["evaluate", "--features", "a.npy", "nan.npy"], 4, "finite"),
        (["evaluate", "--features", "a.npy", "empty.py"], 4, "cannot be read"),
        (["compare", "one"], 2, "two or more"),
        (["compare", "one", "images", "-n", "50"], 2, "different data"),
        (["compare", "one", "two", "--out", "x.gif"], 2, ".png"),
        (["compare", "one", "two", "--out", "none/x.png"], 2, "folder that exists"),
        (["compare", "one", "nowhere"], 4, "does not exist"),
    ],
)
def test_mistakes_are_named(place, capsys, own_metrics, words, code, what):
    rng = np.random.default_rng(0)
    for name, shape in (("a", (60, 3)), ("short", (5, 3)), ("wide", (60, 4))):
        np.save(f"{name}.npy", rng.standard_normal(shape))
    np.save("nan.npy", np.full((60, 3), np.nan))
    Path("empty.py").write_text("x = 1\n")
    Path("broken.py").write_text("import nothing_of_this_name\n")
    Path("fails.py").write_text(OWN.replace("return float", "return 1 / 0 + float"))
    Path("taken.py").write_text(OWN.replace('better="lower"', 'name="KID", better="lower"'))
    assert what in said(capsys, *words, code=code)


OWN = """
from minigan import metrics


def mean_gap(real, fake):
    return float(abs(real.mean() - fake.mean()))


metrics.register(mean_gap, better="lower", measure=lambda c: mean_gap(c.real.points, c.fake.points))
"""


def test_a_metric_of_ones_own_is_in_the_table(place, capsys, own_metrics):
    Path("gap.py").write_text(OWN)
    found = json.loads(said(capsys, "evaluate", "one", "-n", str(N), "--metric", "gap.py", "--json"))
    row = next(row for row in found["metrics"] if row["name"] == "mean gap")
    _, setting = measured("one", n=N)
    assert row["values"]["last"] == pytest.approx(abs(setting.real.examples.mean() - setting.drawn["last"].mean()))
    assert row["better"] == "lower" and row["floor"] > 0


def test_features_of_another_network_come_from_files(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((400, 6)), rng.standard_normal((300, 6)) + 0.5
    np.save("real.npy", x.astype(np.float32)), np.save("fake.npy", y)
    found = json.loads(said(capsys, "evaluate", "--features", "real.npy", "fake.npy", "--json"))
    rows = {row["name"]: row for row in found["metrics"]}
    assert rows["Frechet distance"]["values"]["given"] == pytest.approx(frechet_distance(x.astype(np.float32), y))
    assert rows["Frechet distance"]["floor"] < 0.5 < 1 < rows["Frechet distance"]["values"]["given"]
    assert {"KID", "precision", "recall", "density", "coverage"} <= rows.keys() and "cFD" not in rows
    assert "Frechet distance" in said(capsys, "evaluate", "--features", "real.npy", "fake.npy")


CONDITIONAL = """
from minigan import Player, nn, optim, ops
from minigan.gans import Config, Label, Model

class Conditional(Model):
    Config = Config
    needs = {"x": "images", "y": "one-hot"}
    conditions = {"label": Label("y")}

    def networks(self):
        return {"G": nn.Sequential(nn.Dense(10, 784, activation="tanh"), nn.Reshape(28, 28, 1))}

    def players(self):
        return [Player("G", lambda b: ((self.G(b.y) - b.x) ** 2).mean(), optim.Adam(self.G, lr=0.01))]

    def generate(self, n, label):
        return self.G(label)
"""


def test_labels_that_are_asked_for_are_judged(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(CONDITIONAL)
    assert main(["train", "model.py", "--steps", "1", "--batch-size", "8", "--out", "run"]) == 0
    found = json.loads(said(capsys, "evaluate", "run", "-n", str(N), "--json"))
    rows = {row["name"]: row for row in found["metrics"]}
    assert 0 <= rows["label accuracy"]["values"]["last"] <= 1 and rows["label accuracy"]["real"] > 0.3
    assert "--slow" in found["left_out"]["classifier accuracy score"]


def test_samples_are_compared_with_the_examples_that_are_trained_on():
    found = resolve("fanogan")
    config = found.model.Config(held_out=3)
    supply = building.load_data(found, config)
    setting = Setting(found, config, supply, found.model.conditions, None, seed=0)
    rows = found.model.trains_on(config, supply.parts)
    drawn = [setting.real.labels, setting.other.labels, *(side.labels for side in setting._unseen.values())]
    assert setting.n == len(rows) // 2 and not (np.concatenate(drawn) == 3).any()
    assert len(setting._unseen["training"].labels) + len(setting._unseen["held_out"].labels) == len(rows)


def test_a_classifier_of_samples_is_tested_on_what_neither_it_nor_its_rival_has_seen(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(CONDITIONAL)
    assert main(["train", "model.py", "--steps", "1", "--batch-size", "8", "--out", "run"]) == 0
    seen: list[np.ndarray] = []
    fit, accuracy = judge.Judge.fit, judge.Judge.accuracy

    def fitted(self, images, labels, recipe, **words):
        seen.append(np.asarray(images))
        return fit(self, images, labels, judge.Recipe(steps=2), **words)

    def tested(self, images, labels, **words):
        seen.append(np.asarray(images))
        return accuracy(self, images, labels, **words)

    judge.for_data(data.load("glyphs"))
    monkeypatch.setattr(judge.Judge, "fit", fitted), monkeypatch.setattr(judge.Judge, "accuracy", tested)
    found = json.loads(said(capsys, "evaluate", "run", "-n", str(N), "--slow", "--json"))
    (row,) = (row for row in found["metrics"] if row["name"] == "classifier accuracy score")
    assert 0 <= row["values"]["last"] <= 1 and 0 <= row["real"] <= 1
    # One classifier of real examples, and one of the samples of each checkpoint.
    assert len(seen) == 2 * (1 + len(row["values"])) and all(len(images) == N for images in seen)
    for learned, tried in zip(seen[::2], seen[1::2], strict=True):
        assert not (learned[:, None] == tried[None]).all(axis=(2, 3, 4)).any()


def test_a_game_without_data_has_its_own_checks_only(tmp_path, monkeypatch, capsys):
    from test_own_models import DIRAC

    monkeypatch.chdir(tmp_path)
    made = 'return [Check("radius", np.hypot(self.x.numpy(), self.y.numpy()).item(), "> 1"), Check("never", 1, "> 1")]'
    text = DIRAC.replace("from minigan.gans import Config", "from minigan.gans import Check, Config")
    Path("dirac.py").write_text(
        text.replace("def checks(self, real):\n        return []", f"def checks(self, real):\n        {made}")
    )
    assert main(["train", "dirac.py", "--steps", "3", "--out", "run"]) == 0
    found = json.loads(said(capsys, "evaluate", "run", "--json"))
    assert [check["met"] for check in found["checks"]["last"]] == [True, False] and found["metrics"] == []
    assert "NOT met" in Path("run/evaluation.txt").read_text() and "no data set" in found["left_out"]["all metrics"]


# -- compare ---------------------------------------------------------------------------------------------------------
def test_runs_stand_side_by_side_in_numbers_and_pictures(place, capsys):
    text = said(capsys, "compare", "one", "two", "-n", str(N))
    one, setting = measured("one", n=N)
    for each in (one, measured("two", n=N, seed=0, beside=setting)[0]):
        for row in each.rows:
            assert f"{row.values['last']:.4g}" in text
    assert "one (toy, step 10)" in text and "two (toy, step 30)" in text and "own checks met" in text
    width = Image.open("compare.png").width
    assert "compare-2.png" in said(capsys, "compare", "one", "two", "one", "-n", str(N))
    assert Image.open("compare-2.png").width > width * 1.2
    found = json.loads(said(capsys, "compare", "two", "one", "-n", str(N), "--json", "--out", "x.png"))
    assert [each["run"] for each in found] == ["two", "one"] and {each["seed"] for each in found} == {5}
    assert [row["floor"] for row in found[0]["metrics"]] == [row["floor"] for row in found[1]["metrics"]]


def test_images_are_compared_in_columns(place, capsys):
    said(capsys, "compare", "images", "images", "-n", "40", "--out", "x.png")
    picture = Image.open("x.png")
    assert picture.width > 3 * 4 * 28


# -- live ------------------------------------------------------------------------------------------------------------
class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def toy(cost: float = 0.0, clock: Clock | None = None):
    model = Toy(Toy.Config(width=8), (2,))
    sample = model.sample

    def slow(n, **words):
        if clock:
            clock.now += cost
        return sample(n, **words)

    model.sample = slow
    return model


def panel(model) -> Panel:
    return Panel(resolve("toy"), model, {"x": data.load("ring8")})


def test_live_metrics_keep_their_share_of_the_time(tmp_path):
    clock = Clock()
    found = Live(tmp_path, panel(toy(0.3, clock)), clock=clock)
    for step in range(1, 4000):
        clock.now += 0.1
        found.take(step)
        if clock.now > 30:
            assert found.spent <= live.SHARE * clock.now
    rows = [json.loads(line) for line in (tmp_path / live.NAME).read_text().splitlines()]
    assert rows[0]["step"] >= live.FIRST / 0.1 - 1
    assert 0.015 < 0.3 * len(rows) / clock.now <= live.SHARE
    assert all({"modes", "good samples", "reverse KL", "sliced W1"} <= row.keys() for row in rows)


def test_live_metrics_of_a_resumed_run_follow_its_last_step(tmp_path):
    (tmp_path / live.NAME).write_text('{"step": 10, "modes": 1}\n{"step": 20, "modes": 2}\nno line\n{"modes": 3}\n')
    Live(tmp_path, panel(toy()), step=15)
    assert (tmp_path / live.NAME).read_text() == '{"step": 10, "modes": 1}\n'


def test_live_metrics_end_with_a_note_or_quietly_where_there_is_nothing_to_measure(tmp_path, capsys):
    clock = Clock()
    gone = Live(tmp_path / "gone", panel(toy()), clock=clock)
    none = Live(tmp_path, Panel(resolve("toy"), toy(), {}), clock=clock)
    nothing = Live(tmp_path, panel(toy()), clock=clock)
    nothing.panel.model.sample = lambda n: (_ for _ in ()).throw(NotImplementedError("no examples"))
    bad = Live(tmp_path, panel(toy()), clock=clock)
    bad.panel.model.sample = lambda n: np.full((n, 2), np.nan, np.float32)
    clock.now = 100.0
    assert gone.take(1) and not gone.due(2) and "cannot be written" in capsys.readouterr().err
    assert not none.due(1) and none.take(1) == {} and nothing.take(1) == {} and not nothing.due(2)
    bad.take(7)
    assert json.loads((tmp_path / live.NAME).read_text())["sliced W1"] is None


@pytest.mark.parametrize(("every", "steps"), [("0", []), ("40", [40, 80, 120]), ("2s", [21, 42, 63, 84, 105])])
def test_live_metrics_as_often_as_somebody_says(every, steps, tmp_path):
    clock = Clock()
    found = Live(tmp_path, panel(toy(0.01, clock)), every=Pace.parse(every), clock=clock)
    for step in range(1, 125):
        clock.now += 0.1
        found.take(step)
    path = tmp_path / live.NAME
    rows = [json.loads(line)["step"] for line in path.read_text().splitlines()] if path.exists() else []
    assert rows == steps if every != "2s" else len(rows) in (5, 6)
    assert (found.wake < np.inf) == (every == "2s")


@pytest.mark.parametrize("text", ["x", "-1", "0s", "-2s", "1.5", "infs", "nans"])
def test_how_often_that_is_no_number(text):
    with pytest.raises(UsageError, match=r"--live-every: got .* or 0 for never"):
        Pace.parse(text)


def test_how_often_is_kept_with_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = lambda: [json.loads(line)["step"] for line in Path("run/live.jsonl").read_text().splitlines()]  # noqa: E731
    words = ["train", "toy", "--steps", "7", "--batch-size", "16", "--set", "width=8", "--out", "run"]
    assert main([*words[:-2], "--live-every", "3", "--out", "run"]) == 0
    assert told() == [3, 6]
    assert main(["resume", "run", "--steps", "10"]) == 0
    assert told() == [3, 6, 9] and json.loads(Path("run/config.json").read_text())["live_every"] == "3"
    assert main(["resume", "run", "--steps", "14", "--live-every", "0"]) == 0
    assert told() == [3, 6, 9] and json.loads(Path("run/config.json").read_text())["live_every"] == "0"


def test_conditions_that_only_an_instance_has(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("asked.py").write_text(ASKED)
    assert main(["train", "asked.py", "--steps", "2", "--batch-size", "16", "--set", "width=8", "--out", "run"]) == 0
    assert main(["evaluate", "run", "-n", "40"]) == 0
    assert "sliced W1" in capsys.readouterr().out
    assert main(["sample", "run", "-n", "3", "--set", "shift=2", "--out", "x.npy"]) == 0


ASKED = """
from minigan import gans
from minigan.gans.toy import Toy

class Asked(Toy):
    @property
    def conditions(self):
        return {"shift": gans.Number(-self.config.width, self.config.width)}
    @property
    def best(self):
        return "max generator"
    def generate(self, n, shift):
        return self.fake(n, "z") + shift
    def pictures(self, real):
        return {}
"""


def test_a_run_writes_its_live_metrics_and_trains_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", "toy", "--steps", "5", "--batch-size", "16", "--set", "width=8", "--out"]
    monkeypatch.setattr(live, "FIRST", 1e9)
    assert main([*words, "without"]) == 0
    monkeypatch.setattr(live, "FIRST", 0.0), monkeypatch.setattr(live, "SHARE", 1e9)
    assert main([*words, "with"]) == 0
    rows = [json.loads(line) for line in Path("with/live.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 6)) and not Path("without/live.jsonl").exists()
    losses = [
        [
            (row["step"], row["generator"])
            for row in map(json.loads, Path(run, "metrics.jsonl").read_text().splitlines())
        ]
        for run in ("with", "without")
    ]
    assert losses[0] == losses[1]
