"""Too large a batch is refused before it is tried, with one that fits; an end of memory in the midst of it says the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigan
from minigan import room
from minigan.cli import main
from minigan.game import Game
from minigan.run import building, checkpoint, errors, footprint, references, settings
from minigan.run.feed import Feed
from minigan.run.rundir import RunDir

ROOT = Path(minigan.__file__).parent.parent
MIB = 2**20

pytestmark = pytest.mark.usefixtures("own_folder")


def parts(name: str, **texts: str):
    reference = references.resolve(name)
    config = settings.build(reference, texts)
    return reference, config, building.load_data(reference, config)


@pytest.mark.parametrize(
    ("name", "texts"),
    [("toy", {"width": "64"}), ("toy", {"pack": "3", "width": "16"}), ("mlp", {"data": "glyphs"}), ("vae", {})],
)
def test_a_step_needs_what_two_small_ones_say(name, texts):
    """The largest arrays by their exact shapes, and the most bytes that NumPy holds at once, within 15 %."""
    import gc
    import tracemalloc

    size = 252
    reference, config, supply = parts(name, batch_size=str(size), **texts)
    found = footprint.estimate(reference, config, supply, "cpu").footprint
    assert found is not None and size % found.d == 0
    model = building.new_model(reference, config, supply.facts, "cpu")
    batches = Feed(supply, model, "cpu")(0)
    listener = footprint._Listener(model.modules)
    with footprint.hook(listener):
        model.game.step(batches=batches)
    noted = listener.noted()
    np.testing.assert_allclose(found.sizes(size), [np.prod([*a.shape, a.itemsize]) for a in noted])
    gc.collect()
    tracemalloc.start()
    model.game.step(batches=batches)  # observed, to be recorded
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.85 < peak / found.need(size) < 1.15 or abs(peak - found.need(size)) < MIB / 2


def test_what_fits_is_a_round_number_that_does():
    made = [footprint.Noted("D/layers.0", "dense", (n, 1000), 4, 1, 3) for n in (4, 8)]
    twice = [footprint.Noted("G", "square", (n, n, 10), 4, 2, 2) for n in (4, 8)]
    found = footprint.Footprint([made[0], twice[0]], [made[1], twice[1]], 4)
    assert found.need(100) == 4 * (100 * 1000 + 100 * 100 * 10)
    assert found.largest(1000) == "38.1 MiB of G: square (1000, 1000, 10)"
    assert found.largest(50) == "195.3 KiB of D/layers.0: dense (50, 1000)"
    for free in (2**28, 2**30, 2**40):
        fits = found.fitting(free, 10**6)
        assert fits % 4 == 0 and found.fits(fits, free) and not found.fits(2 * fits, free)
        assert found.fitting(free, fits) < fits
    assert found.fitting(2**20, 10**6) == 0
    with pytest.raises(ValueError, match="make 1 and 2 arrays"):
        footprint.Footprint(made[:1], made, 4)


LIMITED = f"""
import resource, sys
import numpy, matplotlib.figure
from minigan import cli, room
from minigan.run import trainer
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[1]) * {MIB}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.argv[:2] = ["minigan"]
cli.program()
"""


def limited(more: int, *words: str) -> subprocess.CompletedProcess:
    """The command in a process that may have so many MiB of addresses more than its imports take."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(more), *words], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "MINIGAN_THREADS": "2"},
    )  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc to see what is used")
def test_the_batch_size_that_is_named_trains_under_the_same_limit():
    np.save("points.npy", np.random.default_rng(0).normal(size=(200_000, 2)).astype(np.float32))
    words = ["train", "toy", "--data", "points.npy", "--steps", "5", "--set", "width=32"]
    refused = limited(400, *words, "--batch-size", "200000", "--out", "refused")
    assert refused.returncode == 5 and not os.path.exists("refused"), refused.stderr
    found = re.search(
        r"a step of toy at a batch size of 200000 needs (.*) beside the weights, and (.*) were free; its largest array is "
        r"48.8 MiB of discriminator/layers.0: dense \(400000, 32\); --batch-size (\d+) fits",
        refused.stderr,
    )
    assert found and "Traceback" not in refused.stderr, refused.stderr
    size = int(found[3])
    assert 20_000 <= size < 200_000
    trained = limited(400, *words, "--batch-size", str(size), "--out", "run")
    assert trained.returncode == 0, trained.stderr
    resumed = limited(400, "resume", "run", "--steps", "8", "--set", "batch_size=200000")
    assert resumed.returncode == 5 and re.search(r"--set batch_size=\d+ fits", resumed.stderr), resumed.stderr


def test_an_end_of_memory_in_training_says_what_fits(monkeypatch, capsys, judged_by_nothing):
    step = Game.step

    def short(self, *args, **how):
        if self.steps == 12:
            raise MemoryError("Unable to allocate 3 GiB")
        return step(self, *args, **how)

    words = ["train", "toy", "--steps", "100", "--save-every", "5", "--batch-size", "512", "--out", "run"]
    with monkeypatch.context() as patched:
        patched.setattr(Game, "step", short)
        patched.setattr(room, "available", lambda device="cpu": 97 * MIB)
        assert main(words) == 5
    said = capsys.readouterr().err
    assert (
        "Unable to allocate 3 GiB: a step of toy" in said
        and "discriminator/layers.0: dense (1024, 128)" in said
        and "Traceback" not in said
    )
    assert int(re.search(r"--batch-size (\d+) fits", said)[1]) < 512
    run = RunDir.open("run")
    assert checkpoint.latest(run)[1].step == 10 and run.read_state() == "failed"
    assert "fits" in run.read_status()["message"]
    assert main(["resume", "run", "--steps", "13"]) == 0


def test_an_end_of_memory_in_the_first_save_says_so_too(monkeypatch, capsys, judged_by_nothing):
    def short(*args, **how):
        raise MemoryError("Unable to allocate 3 GiB")

    monkeypatch.setattr(checkpoint, "save", short)
    assert main(["train", "toy", "--steps", "2", "--out", "run"]) == 5
    assert "Unable to allocate 3 GiB: a step of toy" in capsys.readouterr().err


def test_what_is_an_end_of_memory():
    assert errors.is_out_of_memory(MemoryError()) and errors.is_out_of_memory(room.NoRoomError("x"))
    assert errors.is_out_of_memory(RuntimeError("cudaErrorMemoryAllocation: out of memory"))
    assert not errors.is_out_of_memory(RuntimeError("x")) and not errors.is_out_of_memory(OSError(28, "No space"))
    assert errors.outcome(RuntimeError("cudaErrorMemoryAllocation: out of memory"))[0] == 5


@pytest.mark.parametrize(
    "words",
    ["toy --set latent=1000000000", "toy --set width=1000000000", "mlp --set width=1000000000", "dcgan --set features=1000000000",
     "vae --set latent=1000000000", "dcgan --set latent=1000000000"],
)  # fmt: skip
def test_networks_of_any_size_are_refused_at_once(words, monkeypatch, capsys):
    monkeypatch.setattr(room, "available", lambda device="cpu": 8 * 2**30)
    code = main(["train", *words.split(), "--out", "run"])
    said = capsys.readouterr().err
    assert code in (2, 5) and "Traceback" not in said and not os.path.exists("run")
