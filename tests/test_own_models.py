"""Models of one's own: which file is imported and when, whose error it is, what is asked for, what a model lacks."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from minigan import gans
from minigan.cli import main
from minigan.gans import protocol
from minigan.gans.base import Model
from minigan.run import checkpoint, references
from minigan.run.rundir import RunDir

GOOD = """
from dataclasses import dataclass

import numpy as np

from minigan import Player, losses, nn, optim, ops
from minigan.gans import Category, Config, Model, Number, Unsuitable, option

@dataclass(frozen=True, kw_only=True)
class MyConfig(Config):
    data: str = option("ring8", "points")
    width: int = option(8, "hidden units", low=1)
    plain: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.width == 13:
            raise ValueError("width: 13 brings bad luck")

class Mine(Model):
    Config = MyConfig
    summary = "a model of my own"
    needs = "points"
    conditions = {"kind": Category(3, one_hot=True), "tilt": Number(-1.0, 2.0)}

    def networks(self):
        # IN NETWORKS
        dense = lambda i, o: nn.Sequential(nn.Dense(i, self.config.width, activation="relu"), nn.Dense(self.config.width, o))
        return {"G": dense(6, 2), "D": dense(2, 1)}

    def players(self):
        # IN PLAYERS
        return [Player("D", self.d_loss, optim.Adam(self.D)), Player("G", self.g_loss, optim.Adam(self.G))]

    def generate(self, n, kind, tilt):
        # IN GENERATE
        return self.G(ops.concatenate([self.random.normal((n, 2), stream="z"), kind, tilt], axis=1))

    def fake(self, n):
        return self.G(self.random.normal((n, 6), stream="z"))

    def d_loss(self, x):
        # IN LOSS
        return losses.non_saturating.discriminator(self.D(x), self.D(self.fake(len(x))))

    def g_loss(self, x):
        return losses.non_saturating.generator(self.D(self.fake(len(x))))

    def metrics(self, real):
        # IN METRICS
        return {"spread": float(real["x"].std())}
"""
SMALL = ["--steps", "6", "--batch-size", "8", "--out", "run"]


pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(GOOD)
    return path


@pytest.fixture
def run(model, tmp_path, capsys) -> Path:
    assert main(["train", "model.py", *SMALL]) == 0
    capsys.readouterr()
    return tmp_path / "run"


def refused(capsys, code: int, *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err and "internal error" not in said.err and "bug in minigan" not in said.err
    return said.err


# -- as a built-in model ---------------------------------------------------------------------------------------------
def test_options_help_and_run_folder_are_those_of_a_built_in_model(run, model, capsys):
    assert main(["train", "model.py", "--help"]) == 0
    out = capsys.readouterr().out
    assert "a model of my own" in out and "hidden units" in out and "plain" in out and "batch_size" in out
    assert "latent" not in out and "beta1" not in out and "ema" not in out
    written = json.loads((run / "config.json").read_text())
    assert written["model"] == "model.py:Mine" and written["config"]["width"] == 8
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    assert written["origin"] == {"file": str(model), "class": "Mine", "sha256": sha256}
    assert checkpoint.latest(RunDir(run))[1].origin == written["origin"]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    norms = {"D_gradient_norm", "G_gradient_norm"}
    assert {"step", "D", "G", "spread", "sliced W1", "ms_per_step", *norms} == set(rows[-1])
    assert (run / "samples" / "final.png").is_file() and (run / "losses.png").is_file()


def test_an_option_that_a_model_does_not_use_is_unknown(model, capsys):
    for key in ("latent", "loss", "lr", "beta1", "ema"):
        assert "unknown key" in refused(capsys, 2, "train", "model.py", *SMALL, "--set", f"{key}=1")


def test_a_default_folder_is_named_after_the_file(model, tmp_path):
    assert main(["train", "./model.py:Mine", "--steps", "1", "--batch-size", "8"]) == 0
    assert (tmp_path / "runs" / "model-ring8-seed0" / "checkpoints").is_dir()


def test_a_resumed_run_equals_an_unbroken_one(run, tmp_path):
    assert main(["resume", "run", "--steps", "9"]) == 0
    assert main(["train", str(tmp_path / "model.py"), "--steps", "9", "--batch-size", "8", "--out", "whole"]) == 0
    ends = [checkpoint.latest(RunDir(tmp_path / name))[1].state for name in ("run", "whole")]
    assert ends[0].keys() == ends[1].keys() and all(np.array_equal(ends[0][k], ends[1][k]) for k in ends[0])


# -- what is asked for -----------------------------------------------------------------------------------------------
def test_samples_follow_what_is_asked_for(run, capsys):
    for words, out in (
        (["kind=2"], "two.npy"), (["kind=2,0"], "turn.npy"), (["kind=2", "tilt=0.5"], "tilted.npy"), ([], "free.npy"),
    ):  # fmt: skip
        given = ["--set", *words] if words else []
        assert main(["sample", "run", "-n", "6", *given, "--out", out]) == 0
    two, turn, tilted, free = (np.load(f) for f in ("two.npy", "turn.npy", "tilted.npy", "free.npy"))
    assert np.array_equal(two[::2], turn[::2]) and not np.array_equal(two[1::2], turn[1::2])
    assert (tilted != two).any()
    assert np.array_equal(free[2::3], two[2::3]) and not np.array_equal(free[::3], two[::3])  # 0, 1, 2 in turn
    assert main(["sample", "run", "-n", "6", "--set", "kind=1"]) == 0
    assert (run / "samples" / "seed-0-n-6-kind-1.png").is_file()
    assert "--set kind=1" in capsys.readouterr().out  # the command for more


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("knid=1", "did you mean 'kind'"),
        ("kind=3", "whole number from 0 to 2"),
        ("kind=-1", "whole number from 0 to 2"),
        ("kind=x", "whole number from 0 to 2"),
        ("kind=1.5", "whole number from 0 to 2"),
        ("kind=", "whole number from 0 to 2"),
        ("tilt=2.5", "a number from -1 to 2"),
        ("tilt=nan", "a number from -1 to 2"),
        ("tilt=high", "a number from -1 to 2"),
        ("kind", "key=value"),
    ],
)
def test_what_cannot_be_asked_for(word, said, run, capsys):
    assert said in refused(capsys, 2, "sample", "run", "-n", "6", "--set", word)


def test_a_model_without_conditions_says_so(tmp_path, capsys):
    assert main(["train", "toy", *SMALL, "--set", "width=8"]) == 0
    assert "Known: none" in refused(capsys, 2, "sample", "run", "-n", "6", "--set", "label=3")


def test_the_first_samples_do_not_depend_on_how_many(model):
    made = references.resolve("model.py")
    mine = made.model(made.model.Config(), (2,))
    mine.chunk = 4
    few, many = mine.sample(3, seed=5), mine.sample(11, seed=5)
    assert np.array_equal(few, many[:3]) and few.dtype == np.float32
    assert not np.array_equal(many[:4], many[4:8])  # each chunk draws noise of its own
    before = mine.random.seed, mine.random.step
    mine.game.step(np.zeros((4, 2), np.float32))
    assert (mine.random.seed, mine.random.step) == (before[0], before[1] + 1)


# -- what is imported, and when --------------------------------------------------------------------------------------
def spoil(path: Path) -> Path:
    """Another file in its place, that tells when it is executed."""
    mark = path.parent / "executed"
    path.write_text(GOOD + f"\nopen({str(mark)!r}, 'w').close()\n")
    return mark


@pytest.mark.parametrize("words", [["resume", "run", "--steps", "8"], ["sample", "run", "-n", "3"]])
def test_a_changed_file_is_imported_only_when_the_command_says_so(words, run, model, capsys):
    mark = spoil(model)
    said = refused(capsys, 4, *words)
    assert "has changed" in said and f"--model {model}:Mine" in said and not mark.exists()
    assert main([*words, "--model", "model.py"]) == 0
    assert mark.exists() and "not what it was" in capsys.readouterr().err


def test_a_run_that_goes_on_with_another_file_keeps_that_one(run, model, tmp_path):
    moved = tmp_path / "moved.py"
    spoil(model.rename(moved))
    assert main(["resume", "run", "--steps", "8", "--model", "moved.py:Mine"]) == 0
    assert checkpoint.latest(RunDir(run))[1].origin["file"] == str(moved)
    assert main(["resume", "run", "--steps", "9"]) == 0


def test_a_resume_that_is_killed_before_its_first_checkpoint_can_be_repeated(run, model, tmp_path):
    moved = model.rename(tmp_path / "moved.py")
    written = json.loads((run / "config.json").read_text())
    written["model"], written["origin"]["file"] = "moved.py:Mine", str(moved)  # as that resume had left it
    (run / "config.json").write_text(json.dumps(written))
    assert main(["resume", "run", "--steps", "8", "--model", "moved.py"]) == 0


def test_a_file_that_is_gone(run, model, capsys):
    model.unlink()
    assert "--model" in refused(capsys, 4, "resume", "run", "--steps", "8")
    assert "nowhere.py" in refused(capsys, 2, "resume", "run", "--steps", "8", "--model", "nowhere.py")


def test_a_file_inside_the_runs_folder_is_not_imported_unasked(run, model, capsys):
    """A folder may come from somewhere else, with a checkpoint that names a file which it brings along."""
    inside = run / "model.py"
    mark = spoil(inside)
    saved = checkpoint.latest(RunDir(run))[1]
    saved.origin = {"file": str(inside), "class": "Mine", "sha256": hashlib.sha256(inside.read_bytes()).hexdigest()}
    checkpoint.save(RunDir(run), saved)
    for words in (["resume", "run", "--steps", "8"], ["sample", "run", "-n", "3"]):
        assert "own folder" in refused(capsys, 4, *words) or not mark.exists()
        assert not mark.exists()


def test_no_module_that_a_checkpoint_names_is_imported(run, tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    mark = spoil(tmp_path / "evil.py")
    saved = checkpoint.latest(RunDir(run))[1]
    for model, module in (
        ("mine", "evil:Mine"),
        ("toy", "evil:Mine"),
        ("evil:Mine", "evil:Mine"),
        ("evil.py", "evil:Mine"),
    ):
        saved.model, saved.origin = model, {"module": module, "sha256": "0"}
        checkpoint.save(RunDir(run), saved)
        assert "register" in refused(capsys, 4, "sample", "run", "-n", "3")
    assert not mark.exists() and "evil" not in sys.modules


# -- registered models -----------------------------------------------------------------------------------------------
@pytest.fixture
def registered(tmp_path, monkeypatch):
    monkeypatch.setattr(gans, "MODELS", dict(gans.MODELS))
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "mine_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "written.py").write_text(GOOD)
    gans.register("mine", "mine_package.written:Mine")
    yield package / "written.py"
    for name in ("mine_package", "mine_package.written"):
        sys.modules.pop(name, None)


def test_a_registered_model_is_as_a_built_in_one(registered, tmp_path, capsys):
    assert "mine_package" not in sys.modules  # not before it is asked for
    assert main(["train", "mine", *SMALL]) == 0
    assert main(["train", "mine", "--help"]) == 0 and "hidden units" in capsys.readouterr().out
    written = json.loads(Path("run/config.json").read_text())
    sha256 = hashlib.sha256(registered.read_bytes()).hexdigest()
    assert written["model"] == "mine" and written["origin"] == {"module": "mine_package.written:Mine", "sha256": sha256}
    assert main(["resume", "run", "--steps", "8"]) == 0
    assert main(["sample", "run", "-n", "3", "--set", "kind=1"]) == 0
    assert main(["models"]) == 0 and "a model of my own" in capsys.readouterr().out
    del gans.MODELS["mine"]
    assert "register('mine'" in refused(capsys, 4, "resume", "run", "--steps", "9")


def test_an_error_in_a_registered_model_is_its_authors(registered, capsys):
    registered.write_text(GOOD.replace("# IN LOSS", "1 / 0"))
    assert "written.py" in refused(capsys, 4, "train", "mine", *SMALL)
    gans.register("gone", "mine_package.gone:Mine")
    assert "No module named 'mine_package.gone'" in refused(capsys, 4, "train", "gone", *SMALL)
    gans.register("other", "mine_package.written:Other")
    assert "no class Other" in refused(capsys, 4, "train", "other", *SMALL)


@pytest.mark.parametrize(
    ("name", "reference"),
    [("a b", "m:C"), ("a", "m"), ("a", "m:"), ("a", ":C"), ("a", "m.py:C"), ("toy", "m:C"), (3, "m:C"), ("a", dict)],
)
def test_bad_registrations(name, reference, registered):
    with pytest.raises(ValueError, match="register: "):
        gans.register(name, reference)


# -- usage -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.py"], "nowhere.py"),
        (["model.py:Yours"], "no class 'Yours'; its models are: Mine"),
        (["model"], "or a file: path/to/model.py[:Class]"),
        (["model.py", "--set", "width=13"], "bad luck"),
        (["model.py", "--set", "width=0"], "at least 1"),
        (["model.py", "--set", "widht=3"], "did you mean 'width'"),
        (["model.py", "--data", "glyphs"], "is a model for points"),
    ],
)
def test_usage(words, said, model, capsys):
    assert said in refused(capsys, 2, "train", *words, *SMALL)
    assert not Path("run").exists()


def test_several_models_in_a_file(model, capsys):
    model.write_text(GOOD + "\nclass Second(Mine):\n    summary = 'another'\n")
    said = refused(capsys, 2, "train", "model.py", *SMALL)
    assert "model.py:Mine or model.py:Second" in said
    assert main(["train", "model.py:Second", *SMALL]) == 0
    model.write_text("x = 1\n")
    assert "has no model" in refused(capsys, 2, "train", "model.py", *SMALL[:4], "--out", "other")


def test_what_a_model_says_of_unsuitable_options_is_usage(model, capsys):
    model.write_text(GOOD.replace("# IN NETWORKS", 'raise Unsuitable("width: too wide for points")'))
    assert "cannot be trained on ring8" in refused(capsys, 2, "train", "model.py", *SMALL)


# -- whose error it is -----------------------------------------------------------------------------------------------
def line_of(text: str, mark: str) -> int:
    return text[: text.index(mark)].count("\n") + 1


@pytest.mark.parametrize("place", ["NETWORKS", "PLAYERS", "GENERATE", "LOSS", "METRICS"])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ValueError('of mine')", "ValueError: of mine"),
        ("ops.matmul(np.zeros((4, 5)), np.zeros((2, 3)))", "ValueError: matmul"),  # inside minigan, called from there
        ("{}['key']", "KeyError: 'key'"),
        ("raise SystemExit(0)", "SystemExit"),
        ("open('no such file')", "FileNotFoundError"),
        ("raise NotImplementedError('yet')", "NotImplementedError: yet"),
    ],
)
def test_an_error_in_a_models_code_is_its_authors(place, code, said, model, capsys):
    text = GOOD.replace(f"# IN {place}", code)
    model.write_text(text)
    err = refused(capsys, 4, "train", "model.py", *SMALL)
    assert "error in the code of the model model.py:Mine" in err and said in err
    assert f"{model}:{line_of(text, code)}, in " in err and code in err
    assert "cannot be trained" not in err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("import numpy as np", "import numpy as np\ndef f(:\n    pass"), "model.py:5: SyntaxError"),
        (("import numpy as np", "import numpy as np\n1 / 0"), "model.py:5, in <module>: ZeroDivisionError"),
        (("import numpy as np", "import helper_beside_it"), "A model is one file"),
        (("import numpy as np", "import sys; sys.exit('by')"), "SystemExit: by"),
        (("import numpy as np", "x = '\0'"), "null bytes"),
        (("super().__post_init__()", "self.nothing"), "AttributeError"),
        (("width: int =", "width: 'Width' ="), "Width"),
    ],
)
def test_an_error_before_the_model_is_made(change, said, model, capsys):
    model.write_text(GOOD.replace(*change))
    assert said in refused(capsys, 4, "train", "model.py", *SMALL)
    assert said in refused(capsys, 4, "train", "model.py", "--help")


def test_an_error_while_sampling_is_the_authors(run, model, capsys):
    model.write_text(GOOD.replace("# IN GENERATE", "1 / 0"))
    err = refused(capsys, 4, "sample", "run", "-n", "3", "--model", "model.py")
    assert f"{model}:" in err and "in generate: ZeroDivisionError" in err


def test_what_no_code_is_to_blame_for_is_told_as_ever(model, capsys):
    model.write_text(GOOD.replace("# IN LOSS", "raise MemoryError('too large')"))
    assert "out of memory" in refused(capsys, 5, "train", "model.py", *SMALL)
    model.write_text(GOOD.replace("optim.Adam(self.D)", "optim.Adam(self.D, lr=1e30)"))
    assert "diverged" in refused(capsys, 3, "train", "model.py", *SMALL[:4], "--out", "other")


def test_the_traceback_is_there_for_who_wants_it(model, capsys, monkeypatch):
    monkeypatch.setenv("MINIGAN_DEBUG", "1")
    model.write_text(GOOD.replace("# IN LOSS", "1 / 0"))
    assert main(["train", "model.py", *SMALL]) == 4
    assert "Traceback" in capsys.readouterr().err


# -- what a model lacks ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("def players(self)", "def palyers(self)"), "no players"),
        (("def networks(self)", "def nets(self)"), "no networks"),
        (
            ("@dataclass(frozen=True, kw_only=True)\nclass MyConfig(Config):", "class MyConfig:"),
            "no Config that is a dataclass",
        ),
        (("class MyConfig(Config):", "class MyConfig:"), "no Config.steps"),
        (("plain: bool = False", "plain: tuple = ()"), "no Config.plain of type int, float, bool or str"),
        (('needs = "points"', 'needs = "points"; family = "gan"'), "no family among two-player, stabilised"),
        (('needs = "points"', 'needs = ["points"]'), "needs: got ['points']"),
        (('needs = "points"', 'needs = "pionts"'), "needs: got 'pionts'"),
        (('needs = "points"', 'needs = {"y": "labels", "x": "points"}'), "behind the data set"),
        (('return {"G": dense(6, 2), "D": dense(2, 1)}', "return [dense(6, 2), dense(2, 1)]"), "networks() returned ["),
        (('{"G": dense(6, 2), "D"', '{"G": dense(6, 2), "game"'), "got the name 'game'"),
        (('{"G": dense(6, 2), "D"', '{"G": dense(6, 2), "config"'), "got the name 'config'"),
        (("return [Player(", "return [None, Player("), "players() returned [None"),
        (("return self.G(ops", "return 3 or self.G(ops"), "generate(500) returned int"),
        (("return self.G(ops", "return self.G(np.zeros((3, 6), np.float32)); self.G(ops"), "returned a tensor (3, 2)"),
        (("Number(-1.0, 2.0)", "3"), "conditions: tilt is 3"),
        (('"tilt": Number', '"seed": Number'), "conditions: got the name 'seed'"),
        (('return {"spread"', 'return {"ms_per_step"'), "'ms_per_step' names two numbers"),
        (('return {"spread"', 'return 3 or {"spread"'), "metrics() returned int, expected a dict"),
        (
            (
                "# IN GENERATE",
                "pass\n    def pictures(self, real):\n        return 3\n    def unused(self, noise, label, tilt):",
            ),
            "pictures() returned int, expected a dict",
        ),
        (
            ("plain: bool = False", "plain: bool = False\n    steps: str = '3'"),
            "no Config.steps of type int, which every run has",
        ),
        (("plain: bool = False", "plain: int = False"), "no default of Config.plain that is of its type, int"),
        (
            ("plain: bool = False", "plain = False"),
            "no Config.plain that is an option, as it seems to be meant: it has no type",
        ),
        (
            ("@dataclass(frozen=True, kw_only=True)\n", ""),
            "no Config.width that is an option, as it seems to be meant: its class lacks",
        ),
        (
            ('return {"spread"', 'return {"odd": "a"} or {"spread"'),
            "metrics() returned 'a' for 'odd', expected one number",
        ),
        (('return {"spread"', 'return {"odd": None} or {"spread"'), "metrics() returned None for 'odd'"),
        (('return {"spread"', 'return {"odd": np.ones(3)} or {"spread"'), "for 'odd', expected one number"),
        (
            ("    def generate", "    def average(self):\n        return self.G\n\n    def generate"),
            "average() returned Sequential",
        ),
        (('needs = "points"', "needs = {}"), "is a function of the batch, but none was given"),
    ],
)
def test_what_a_model_lacks_is_told_by_name(change, said, model, capsys):
    assert change[0] in GOOD
    model.write_text(GOOD.replace(*change))
    assert said in refused(capsys, 4, "train", "model.py", *SMALL)


def test_the_protocol_is_what_the_base_offers():
    class Empty:
        pass

    assert set(protocol.ASKED) - set(protocol.MADE) == {name.removeprefix("no ") for name in protocol.lacking(Empty)}
    assert protocol.lacking(Model) == ["no networks", "no players"]
    assert all(protocol.lacking(gans.get(name)) == [] for name in ("toy", "mlp", "dcgan"))


def test_a_model_that_makes_nothing_is_trained_and_not_sampled(model, capsys):
    text = GOOD.replace("def generate(self, n, kind, tilt)", "def make(self, n, kind, tilt)")
    model.write_text(text)
    assert main(["train", "model.py", *SMALL]) == 0
    assert not list(Path("run/samples").iterdir())
    assert "makes no examples" in refused(capsys, 2, "sample", "run", "-n", "3")


DIRAC = '''
from dataclasses import dataclass
import numpy as np
import minigan as mg
from minigan.gans import Config

class Dirac:
    """A Dirac-GAN (Mescheder et al. 2018, arXiv 1801.04406): two numbers and no data, and nothing inherited."""
    Config, summary, family, needs, conditions, best = Config, "two numbers", "own", {}, {}, None

    def __init__(self, config, data, *, device="cpu"):
        self.config, self.modules = config, {}
        self.x, self.y = (mg.tensor(np.array([v]), requires_grad=True) for v in (1.0, 0.5))
        loss = lambda: (self.x * self.y).sum()
        self.game = mg.Game([
            mg.Player("generator", loss, mg.optim.SGD(self.x, lr=0.1)),
            mg.Player("discriminator", lambda: -loss(), mg.optim.SGD(self.y, lr=0.1)),
        ], replay=True)

    def sample(self, n, *, seed=None):
        return np.repeat(self.x.numpy()[None], n, axis=0).astype(np.float32)

    def parse_condition(self, name, text):
        raise ValueError("there is nothing to ask for")

    @classmethod
    def trains_on(cls, config, data):
        return None

    def feed(self, batch, number):
        return batch

    def pictures(self, real):
        return {}

    def metrics(self, real):
        return {"radius": np.hypot(self.x.numpy(), self.y.numpy()).item()}

    def checks(self, real):
        return []

    def equilibrium(self):
        return {}

    def state(self):
        return {"x": self.x.numpy().copy(), "y": self.y.numpy().copy(), **self.game.state()}

    def load_state(self, state):
        self.x.assign(state.pop("x")), self.y.assign(state.pop("y"))
        self.game.load_state(state)
'''


def test_the_trainer_knows_only_the_protocol(tmp_path, capsys):
    (tmp_path / "dirac.py").write_text(DIRAC)
    assert main(["train", "dirac.py", "--steps", "10", "--out", "whole"]) == 0
    assert main(["train", "dirac.py", "--steps", "5", "--out", "parts"]) == 0
    assert main(["resume", "parts", "--steps", "10"]) == 0
    ends = [checkpoint.latest(RunDir(tmp_path / name))[1].state for name in ("whole", "parts")]
    assert ends[0].keys() == ends[1].keys() and all(np.array_equal(ends[0][k], ends[1][k]) for k in ends[0])
    x, y = 1.0, 0.5
    for _ in range(10):
        x -= 0.1 * y
        y += 0.1 * x
    assert (ends[0]["x"].item(), ends[0]["y"].item()) == pytest.approx((x, y))
    assert main(["sample", "whole", "-n", "4", "--out", "x.npy"]) == 0 and np.load("x.npy").shape == (4, 1)
    assert "nothing to ask for" in refused(capsys, 2, "sample", "whole", "-n", "4", "--set", "label=3")
    (tmp_path / "dirac.py").write_text(DIRAC.replace("def equilibrium", "def balance").replace("def feed", "def food"))
    assert "no equilibrium; it has no feed" in refused(capsys, 4, "train", "dirac.py:Dirac", "--out", "other")


# -- options with the names of those that say how data are read -------------------------------------------------------------
@pytest.mark.parametrize(
    "field", ['size: str = option("8", "of the hat")', "key: str = 'door'", 'range: str = option("", "of the voice")']
)
def test_an_option_named_like_one_of_the_data_is_refused_by_name(model, field, capsys):
    model.write_text(GOOD.replace("    plain: bool = False", f"    {field}"))
    assert main(["train", str(model), *SMALL]) == 4
    name = field.partition(":")[0]
    assert f"an option of its own called {name!r}, which says how data are read" in capsys.readouterr().err


@pytest.mark.parametrize("field", ['size: str = ""', 'size: str = again(Config, "size", "")'])
def test_the_same_option_declared_again_is_not(model, field):
    text = GOOD.replace("    plain: bool = False", f"    {field}")
    model.write_text(
        text.replace("import numpy as np", "import numpy as np\nfrom minigan.gans.options import again", 1)
    )
    assert main(["train", str(model), *SMALL]) == 0
