"""Tokens, sounds and films: generated ones against their truth, files there and back, what is refused, and runs that use them."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_runs import TINY

from minigan import cli, data
from minigan.data import DataError, motion, oracle
from minigan.data.images import save_gif
from minigan.data.sound import save_sounds
from minigan.data.tokens import as_text
from minigan.gans.protocol import can_be_drawn
from minigan.run import timed_pictures


# -- generated, with known truth -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["tones", "voiced", "moving_shapes", "oracle_lstm"])
def test_a_larger_set_begins_with_the_smaller_one_and_seeds_differ(name: str) -> None:
    small, large, other = (data.load(name, n=n, seed=seed) for n, seed in ((40, 1), (60, 1), (40, 2)))
    np.testing.assert_array_equal(large.x[:40], small.x)
    assert (small.x != other.x).any() and len(small.summary()) < 100
    assert (small.kind, small.x.shape[1:]) == next((e.kind, e.shape) for e in data.catalogue() if e.name == name)
    held = data.held_out(name, seed=1, n=40)
    assert held is not None and (held.x != small.x).any()
    with pytest.raises(DataError, match="at least 2"):
        data.load(name, n=1)


def test_tones_are_at_the_frequencies_that_they_say() -> None:
    tones = data.load("tones", n=200)
    bins, purity = motion.dominant(tones.x)
    np.testing.assert_array_equal(bins * tones.rate / tones.x.shape[1], tones.factors["frequency"])
    np.testing.assert_array_equal(motion.BINS[tones.y], bins)
    assert purity.min() > 1 - 1e-5 and np.abs(tones.x).max() <= 0.9
    np.testing.assert_allclose(np.sqrt(2 * (tones.x[..., 0] ** 2).mean(axis=1)), tones.factors["amplitude"], rtol=1e-4)
    noise = np.random.default_rng(0).standard_normal((50, 1024))
    assert motion.dominant(noise)[1].max() < 0.1
    assert motion.dominant(np.zeros((2, 16)))[1].tolist() == [0, 0]


def test_vowels_have_the_harmonics_of_their_pitch_under_their_formants() -> None:
    sounds = data.load("voiced", n=60)
    assert sounds.x.shape == (60, 1024, 1) and set(np.asarray(sounds.y)) == set(range(5))
    np.testing.assert_allclose(np.abs(sounds.x).max(axis=(1, 2)), sounds.factors["amplitude"], rtol=1e-5)
    held = motion.resonance(np.array([[0.0, 300.0, 2000.0]]), np.array([[300.0, 2000.0, 3000.0]]))
    np.testing.assert_allclose(held[0, 0], 1)
    one = motion.resonance(np.array([[300.0, 2000.0]]), np.array([[300.0]]))[0]
    np.testing.assert_allclose(one, [3, 9e4 / abs(9e4 - 4e6 + 2e5j)])
    slow = np.abs(sounds.factors["first"] - sounds.factors["last"]) < 8
    pitch = (sounds.factors["first"] + sounds.factors["last"])[slow] / 2
    power = np.abs(np.fft.rfft(sounds.x[slow, :, 0] * np.hanning(1024), axis=1)) ** 2
    hertz = np.fft.rfftfreq(1024, 1 / sounds.rate)
    near = np.abs((hertz[None] / pitch[:, None] + 0.5) % 1 - 0.5) * pitch[:, None] < 25
    assert slow.any() and (power * near).sum() > 0.9 * power.sum() and near.mean() < 0.5


def test_shapes_move_in_straight_lines_over_a_still_ground() -> None:
    films = data.load("moving_shapes", n=120)
    f = films.factors
    start, speed = np.stack([f["x0"], f["y0"]], 1), np.stack([f["vx"], f["vy"]], 1)
    truth = start[:, None] + np.arange(8)[None, :, None] * speed[:, None]
    assert np.abs(motion.centroids(films.x) - truth).max() < 0.15
    assert motion.path_residual(films.x).max() < 0.1
    np.testing.assert_allclose(np.median(films.x, axis=(1, 2, 3, 4)), f["ground"], atol=1e-6)
    assert np.abs(motion.velocity(films.x) - speed).max() < 0.05
    assert motion.unrest(films.x).max() < 1e-6  # rounding of a mean: the ground rests
    flicker = 0.1 * (-1.0) ** np.arange(8).reshape(8, 1, 1, 1)
    np.testing.assert_allclose(motion.unrest(films.x + flicker), 0.1, rtol=0.15)
    turned = films.x[:, [0, 3, 1, 6, 2, 7, 5, 4]]
    assert np.median(motion.path_residual(turned)) > 0.5
    empty = np.zeros((1, 8, 4, 4))
    assert all(np.isnan(told(empty)).all() for told in (motion.path_residual, motion.velocity, motion.unrest))
    with pytest.raises(DataError, match="expected films"):
        motion.centroids(np.zeros((3, 4)))


def test_the_oracles_density_is_a_law_and_its_samples_have_it() -> None:
    """Over all sequences of two tokens it sums to 1; the mean of -log p of samples is the entropy that these have."""
    small = oracle.oracle(6, 4)
    every = np.stack(np.meshgrid(*[np.arange(6)] * 3, indexing="ij"), -1).reshape(-1, 3)
    p = np.exp(small(every))
    np.testing.assert_allclose(p.sum(), 1, atol=1e-12)
    drawn = small.draw(20_000, 3, np.random.default_rng(0))
    counts = np.bincount(drawn @ np.array([36, 6, 1]), minlength=216) / len(drawn)
    assert np.abs(counts - p).sum() < 0.15
    np.testing.assert_allclose(-small(drawn).mean(), -(p * np.log(p)).sum(), rtol=0.02)
    found = data.load("oracle_lstm", n=200)
    assert found.log_density is not None and len(found.vocabulary) == 50
    uniform = np.random.default_rng(1).integers(0, 50, (200, 20))
    assert -found.log_density(found.x).mean() / 20 < 3.0 < -found.log_density(uniform).mean() / 20
    with pytest.raises(DataError, match="whole numbers"):
        found.log_density(uniform + 1.0)


# -- files there and back --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_files_there_and_back(tmp_path: Path, channels: int) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (3, 50, channels)).astype(np.float32)
    save_sounds(tmp_path / "a.wav", x, 8000, gap=0)
    found = data.load(tmp_path / "a.wav", length=50)
    assert (found.kind, found.rate, found.x.shape) == ("audio", 8000, x.shape)
    np.testing.assert_allclose(found.x, x, atol=2 / 32768)
    save_sounds(tmp_path / "b.wav", x, 8000, gap=0.001)  # 8 samples of silence behind each
    both = data.load(tmp_path, kind="audio", length=50)
    assert len(both) == 6 and both.notes == ("24 samples at the end left out",)
    save_sounds(tmp_path / "c.wav", x, 16000)
    with pytest.raises(DataError, match="one rate"):
        data.load(tmp_path, kind="audio")


@pytest.mark.parametrize(("width", "dtype", "scale"), [(1, "u1", 128), (3, "", 2**23), (4, "<i4", 2**31)])
def test_wav_files_of_all_widths(tmp_path: Path, width: int, dtype: str, scale: int) -> None:
    values = np.array([0, 0.5, -0.5, -1.0] * 2)
    raw = values * scale
    if width == 1:
        words = (raw + 128).astype("u1").tobytes()
    elif width == 3:
        words = b"".join(int(v).to_bytes(3, "little", signed=True) for v in raw)
    else:
        words = raw.astype(dtype).tobytes()
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(100)
        file.writeframes(words)
    np.testing.assert_allclose(data.load(tmp_path / "a.wav", length=4).x.ravel(), values, atol=1e-6)


def test_gif_files_there_and_back(tmp_path: Path) -> None:
    x = data.load("moving_shapes", n=3).x
    save_gif(tmp_path / "a.gif", list(np.rint((x.reshape(-1, 16, 16) + 1) * 127.5).astype(np.uint8)), fps=10)
    found = data.load(tmp_path / "a.gif")
    assert (found.kind, found.x.shape, found.rate) == ("video", (3, 8, 16, 16, 1), 10)
    np.testing.assert_allclose(found.x, x, atol=0.02)
    assert data.load(tmp_path, kind="video", length=4, n=2).x.shape == (2, 4, 16, 16, 1)
    Image.new("RGB", (4, 4)).save(tmp_path / "b.gif", format="PNG")
    with pytest.raises(DataError, match="is PNG by its content"):
        data.load(tmp_path / "b.gif")


def test_text_as_characters(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("to be, or\nnot to be: that", encoding="utf-8")
    found = data.load(tmp_path / "a.txt", kind="tokens", length=5)
    (tmp_path / "a.md").write_bytes((tmp_path / "a.txt").read_bytes())
    assert np.array_equal(data.load(tmp_path / "a.md", kind="tokens", length=5).x, found.x)
    assert found.x.shape == (5, 5) and found.kind == "tokens"
    assert as_text(found.x, found.vocabulary) == ["to be", ", or\u21b5", "not t", "o be:", " that"]
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\xff" * 99)
    for path, options, told in (
        ("a.txt", {"kind": "tokens", "length": 20}, "at least two sequences"),
        ("b.txt", {"kind": "tokens"}, "UTF-8"),
        ("a.txt", {"kind": "audio"}, "expected .wav"),
        ("a.txt", {"kind": "words"}, "tokens, audio, video"),
        (".", {"kind": "tokens"}, "one file"),
    ):
        with pytest.raises(DataError, match=told):
            data.load(f"{tmp_path}/{path}", **options)


def test_arrays_are_what_is_said_and_never_guessed(tmp_path: Path) -> None:
    r = np.random.default_rng(0)
    floats, words = r.uniform(-1, 1, (4, 9)).astype(np.float32), r.integers(0, 7, (4, 9))
    films = r.integers(0, 256, (3, 5, 8, 8), dtype=np.uint8)
    for name, array in {"floats": floats, "words": words, "films": films}.items():
        np.save(tmp_path / f"{name}.npy", array)
    load = lambda name, **options: data.load(tmp_path / f"{name}.npy", **options)  # noqa: E731
    assert load("floats").kind == "points"
    sounds = load("floats", kind="audio", rate=100.0)
    assert (sounds.kind, sounds.rate, sounds.x.shape) == ("audio", 100, (4, 9, 1))
    tokens = load("words", kind="tokens", n=2)
    assert tokens.x.dtype == np.int64 and tokens.vocabulary == tuple("0123456"[: words.max() + 1])
    np.testing.assert_array_equal(tokens.x, words[:2])
    video = load("films", kind="video", rate=4)
    np.testing.assert_allclose(video.x[..., 0], films / 127.5 - 1, atol=1e-6)
    for name, options, told in (
        ("floats", {"kind": "audio"}, "--rate"),
        ("floats", {"kind": "tokens"}, "whole numbers"),
        ("words", {"kind": "audio", "rate": 9}, "floats in"),
        ("words", {"kind": "tokens", "rate": 9}, "neither a rate"),
        ("films", {"kind": "audio", "rate": 9}, "expected numbers"),
        ("floats", {"rate": 9}, "rate"),
        ("films", {"kind": "video", "size": 4}, "size"),
    ):
        with pytest.raises(DataError, match=told):
            load(name, **options)


def test_data_sets_in_time_are_checked() -> None:
    sound, words = np.zeros((2, 5, 1), np.float32), np.zeros((2, 5), np.int64)
    for kind, x, options, told in (
        ("audio", sound, {}, "rate"),
        ("audio", words, {"rate": 8.0}, "rank 3"),
        ("tokens", words, {}, "vocabulary"),
        ("tokens", words + 2, {"vocabulary": ("a", "b")}, "0 to 1"),
        ("points", words.astype(np.float32), {"rate": 8.0}, "only sounds and films"),
        ("smells", sound, {}, "expected one of"),
    ):
        with pytest.raises(DataError, match=told):
            data.Dataset("x", x, kind=kind, **options)  # type: ignore[arg-type]


def test_a_spectrogram_has_its_peak_at_the_tone() -> None:
    tones = data.load("tones", n=3)
    for sound, frequency in zip(tones.x[..., 0], tones.factors["frequency"], strict=True):
        db = timed_pictures.spectrogram(sound)
        assert np.abs(db.argmax(axis=0) * tones.rate / 256 - frequency).max() <= tones.rate / 256
    assert (timed_pictures.spectrogram(np.zeros(300)) == -80).all()


# -- runs ------------------------------------------------------------------------------------------------------------
MODEL = """
from dataclasses import dataclass
import numpy as np
from minigan import Player, losses, nn, ops, optim
from minigan.gans import Config, Model, option

@dataclass(frozen=True, kw_only=True)
class C(Config):
    data: str = option("DATA", "data")

class G(nn.Module):
    def __init__(self, shape, words):
        self.shape, self.words = shape, words
        self.out = nn.Dense(3, int(np.prod(shape)) * max(1, words))
    def forward(self, z):
        y = self.out(z)
        return y.reshape(len(z), *self.shape, self.words) if self.words else ops.tanh(y).reshape(len(z), *self.shape)

class D(nn.Module):
    def __init__(self, shape, words):
        self.words, self.out = words, nn.Dense(int(np.prod(shape)) * max(1, words), 1)
    def forward(self, x):
        return self.out(x.reshape(len(x), -1))

class M(Model):
    Config = C
    needs = "KIND"
    best = None
    def networks(self):
        words = len(next(iter(self.facts.vocabularies.values()), ()))
        self.words = words
        return {"G": G(self.shape, words), "D": D(self.shape, words)}
    def players(self):
        return [Player("D", self.d, optim.Adam(self.D)), Player("G", self.g, optim.Adam(self.G))]
    def fake(self, n):
        made = self.G(self.random.normal((n, 3), stream="z"))
        return ops.gumbel_softmax(made, temperature=1.0, random=self.random) if self.words else made
    def generate(self, n):
        made = self.G(self.random.normal((n, 3), stream="z"))
        return self.random.categorical(made, stream="tokens") if self.words else made
    def d(self, x):
        real = ops.one_hot(x, self.words) if self.words else x
        return losses.non_saturating.discriminator(self.D(real), self.D(self.fake(len(x))))
    def g(self, x):
        return losses.non_saturating.generator(self.D(self.fake(len(x))))
"""


@pytest.mark.parametrize(
    ("kind", "name", "ending"),
    [("tokens", "oracle_lstm", "txt"), ("audio", "tones", "wav"), ("video", "moving_shapes", "gif")],
)
def test_a_run_is_drawn_sampled_evaluated_and_resumed(
    tmp_path: Path, capsys: Any, kind: str, name: str, ending: str
) -> None:
    model, run = tmp_path / "model.py", tmp_path / "run"
    model.write_text(MODEL.replace("KIND", kind).replace("DATA", name))
    assert cli.main(["train", str(model), "--steps", "3", "--batch-size", "8", "--out", str(run)]) == 0
    for picture in ("real.png", "final.png"):
        with Image.open(run / "samples" / picture) as image:
            assert min(image.size) > 40
    assert cli.main(["resume", str(run), "--steps", "4"]) == 0
    assert cli.main(["sample", str(run), "-n", "5"]) == 0
    file = run / "samples" / f"seed-0-n-5.{ending}"
    again = data.load(file, **({"kind": "tokens"} if kind == "tokens" else {"length": 1024 if kind == "audio" else 4}))
    assert again.kind == kind
    for out in ("a.npy", "a.png"):
        assert cli.main(["sample", str(run), "-n", "5", "--out", str(tmp_path / out)]) == 0
    array = np.load(tmp_path / "a.npy")
    assert array.shape[1:] == data.load(name, n=2).x.shape[1:] and array.dtype == (
        np.int64 if kind == "tokens" else np.float32
    )
    capsys.readouterr()
    assert cli.main(["sample", str(run), "-n", "5", "--out", str(tmp_path / "a.mid")]) == 2
    other = {"tokens": "wav", "audio": "gif", "video": "txt"}[kind]
    assert cli.main(["sample", str(run), "-n", "5", "--out", str(tmp_path / f"a.{other}")]) == 2
    assert ending in capsys.readouterr().err
    assert cli.main(["evaluate", str(run), "-n", "100"]) == 0
    told = capsys.readouterr().out
    assert ("no coordinates" in told) == (kind == "tokens")
    assert cli.main(["plot", str(run)]) == 0 and cli.main(["diagnose", str(run)]) == 0
    with Image.open(run / "plots" / "samples.png") as image:
        assert image.size != (540, 540), "drawn as what they are, and not as points"
    assert not can_be_drawn(array)


def test_the_wrong_kind_is_refused_with_both_named(tmp_path: Path, capsys: Any) -> None:
    assert cli.main(["train", "toy", "--data", "tones", "--steps", "1", "--out", str(tmp_path / "run"), *TINY]) == 2
    told = capsys.readouterr().err
    assert "holds audio" in told and "ring8" in told and "wavegan" in told
    assert cli.main(["train", "flowgan", "--data", "tones", "--steps", "1", "--out", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert "images or points" in told and "glyphs" in told and "moons" in told


def test_options_of_reading_reach_the_data(tmp_path: Path) -> None:
    model, run = tmp_path / "model.py", tmp_path / "run"
    model.write_text(MODEL.replace("KIND", "tokens").replace("DATA", "oracle_lstm"))
    (tmp_path / "a.txt").write_text("the quick brown fox jumps over the lazy dog. " * 9)
    words = ["--data", str(tmp_path / "a.txt"), "--kind", "tokens", "--length", "9"]
    assert cli.main(["train", str(model), *words, "--steps", "2", "--batch-size", "8", "--out", str(run)]) == 0
    assert cli.main(["resume", str(run), "--steps", "3"]) == 0
    assert cli.main(["sample", str(run), "-n", "3", "--out", str(tmp_path / "b.txt")]) == 0
    lines = (tmp_path / "b.txt").read_text().splitlines()
    assert [len(line) for line in lines] == [9, 9, 9] and set("".join(lines)) <= set(
        "the quick brown fox jumps over lazy dog."
    )
