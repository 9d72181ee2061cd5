"""`minigan plot`: which pictures a model gets, and its numbers for other programs."""

import csv
import shutil
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from minigan import gans
from minigan.cli import main
from minigan.run import field, plotting, tables
from minigan.run.rundir import RunDir

TINY = ["--batch-size", "16", "--set", "width=8"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("plotted") / "run"
    assert main(["train", "toy", "--steps", "8", "--out", str(path), *TINY]) == 0
    return path


def test_the_pictures_of_points(run, capsys):
    capsys.readouterr()
    assert main(["plot", str(run)]) == 0
    said = capsys.readouterr().out
    names = {path.name for path in (run / "plots").iterdir()}
    assert names == {"losses.png", "gradients.png", "samples.png", "scores.png", "field.png", "field.gif"}
    assert all(str(run / "plots" / name) in said for name in names)
    assert "no traversals: it is for images" in said


def test_the_field_is_what_the_model_says(run):
    fields = field.load_all(run / "samples")
    assert sorted(fields) == list(range(9))
    last = fields[8]
    assert last.scores.shape == (field.CELLS, field.CELLS) and last.points.shape == last.arrows.shape
    assert np.isfinite(last.scores).all() and np.linalg.norm(last.arrows) > 0
    # an arrow points to where D's score is higher: the generator's loss falls there
    gradient = np.stack(np.gradient(last.scores)[::-1], axis=-1)
    cells = np.clip((last.points - last.low) / (last.high - last.low) * (field.CELLS - 1), 1, field.CELLS - 2).astype(
        int
    )
    slopes = gradient[cells[:, 1], cells[:, 0]]
    assert ((slopes * last.arrows).sum(axis=1) > 0).mean() > 0.8


def test_numbers_as_csv_and_events(run, tmp_path, capsys):
    capsys.readouterr()
    assert main(["plot", str(run), "--csv", str(tmp_path / "m.csv"), "--tensorboard", str(tmp_path / "tb")]) == 0
    rows = RunDir(run).read_metrics()
    with open(tmp_path / "m.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in row.items() if v} for row in read] == [
        {k: float(v) for k, v in row.items()} for row in rows
    ]
    (events,) = (tmp_path / "tb").iterdir()
    data, at, records = events.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        records.append(data[at + 12 : at + 12 + length])
        at += 16 + length
    assert at == len(data) and len(records) == 1 + len(rows) and b"brain.Event:2" in records[0]
    at = records[-1].index(b"discriminator") + len(b"discriminator")
    assert struct.unpack("<f", records[-1][at + 1 : at + 5])[0] == pytest.approx(rows[-1]["discriminator"])
    assert main(["plot", str(run), "--csv", str(tmp_path / "nowhere" / "m.csv")]) == 2


def test_the_check_sum_of_records():
    assert tables.crc32c(b"123456789") == 0xE3069283  # RFC 3720, appendix B.4, and every table of CRCs
    assert tables.crc32c(bytes(32)) == 0x8A9136AA


@pytest.mark.parametrize("name", ["vae", "aae", "mlp"])
def test_what_a_latent_space_holds_is_drawn_of_decoders_too(name: str) -> None:
    """A VAE's decoder gives logits: they are images only by the model's own `image`."""
    made = gans.get(name)
    options = {"latent": 3, **({"width": 8} if hasattr(made.Config, "width") else {})}
    model = made(made.Config(**options), (8, 8, 1))
    seen = SimpleNamespace(model=model)
    images = plotting._generated(seen, np.random.default_rng(0).standard_normal((5, 3)))
    assert images.shape == (5, 8, 8, 1) and np.abs(images).max() <= 1
    for draw in (plotting._interpolations, plotting._traversals):
        picture = draw(seen)
        assert picture.dtype == np.uint8 and picture.std() > 0


def test_pictures_that_a_model_of_ones_own_does_not_have_are_no_error_of_its_author(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(__file__).parent / "sample_model.py", "mine.py")
    assert main(["train", "mine.py:Anything", "--steps", "0", "--out", "mine"]) == 0
    assert main(["plot", "mine"]) == 0
    said = capsys.readouterr().out
    assert "no losses: metrics.jsonl has no losses" in said and "no samples: the model makes no samples" in said
