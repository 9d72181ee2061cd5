"""Data of one's own: pictures of every mode are read exactly, and what is broken is refused with the file and the reason."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import corpus
import numpy as np
import pytest
from corpus import BYTES, IMAGES, npy, packed, png
from PIL import Image

from minigan.cli import main
from minigan.data import DataError, Dataset, Loader, Pixels, decoding, load, pictures
from minigan.data.decoding import Form, PictureError, Where, decode_all
from minigan.data.files import fitted
from minigan.data.tables import Units
from minigan.gans import needs
from minigan.kernels.cpu import compiler
from minigan.run import building

assert compiler.FOLDER  # imported before a test chooses another cache, so that kernels are compiled once
TINY = ("--batch-size", "2", "--steps", "1", "--set", "latent=3")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MINIGAN_CACHE", str(folder))
    return folder


def put(path: Path, array: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(array, **options))


def floats(x: np.ndarray) -> np.ndarray:
    return (x / 127.5 - 1).astype(np.float32)


# -- broken ------------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", corpus.CASES)
def test_broken_data_is_refused_with_the_file_and_the_reason(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = corpus.make(tmp_path, case)
    for lazy in (False, True):
        with pytest.raises(DataError, match=f"(?s)^{path}.*{corpus.CASES[case][2]}|{corpus.CASES[case][2]}") as error:
            load(path, lazy=lazy)
        assert Path(path).name in str(error.value)
    capsys.readouterr()
    assert main(["train", "mlp", "--data", path, "--out", "run", *TINY]) == 4
    said = capsys.readouterr().err
    assert Path(path).name in said and "Traceback" not in said and "internal error" not in said
    assert not (tmp_path / "run").exists()


# -- pictures ----------------------------------------------------------------------------------------------------------
def test_modes_of_pictures(tmp_path: Path) -> None:
    """Each mode against its own formula; decoded without a resize, so exactly."""
    grey = IMAGES[0]
    deep = (grey.astype(np.uint16) * 257).astype(np.uint16)
    alpha = np.concatenate([BYTES[0], grey[..., None]], axis=2)
    share = grey[..., None] / 255
    cases = {
        "grey": (png(grey), grey[..., None].repeat(3, 2), 0),
        "sixteen": (png(deep), grey[..., None].repeat(3, 2), 0),
        "rgb": (png(BYTES[0]), BYTES[0], 0),
        "alpha": (png(alpha), BYTES[0] * share + 255 * (1 - share), 1.01),
        "bits": (self_made(Image.fromarray(grey > 99)), np.where(grey > 99, 255, 0)[..., None].repeat(3, 2), 0),
        "palette": (self_made(Image.fromarray(BYTES[0] // 64 * 64).quantize(256)), None, 0),
        "cmyk": (self_made(Image.fromarray(255 - BYTES[0]).convert("CMYK"), "TIFF"), 255 - BYTES[0], 1.01),
    }
    for name, (body, expected, tolerance) in cases.items():
        file = tmp_path / name
        file.write_bytes(body)
        got = decoding.decode(Where(str(file)), Form(8, 8, 3), decoding.Opener())
        if expected is None:
            expected = np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))
        assert got.dtype == np.uint8 and np.abs(got.astype(float) - expected).max() <= tolerance, name


def self_made(image: Image.Image, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    put(tmp_path / "d" / "a.png", np.full((4, 4), 30_000, np.uint16))
    put(tmp_path / "d" / "b.png", np.full((4, 4), 65_535, np.uint16))
    found = load(str(tmp_path / "d"))
    assert found.x.shape == (2, 4, 4, 1)
    np.testing.assert_allclose(found.x[:, 0, 0, 0], [2 * 30_000 / 65_535 - 1, 1], atol=1 / 127)


def test_a_camera_held_sideways(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = np.arange(32, dtype=np.uint8).reshape(4, 8) * 8
    for name in "ab":
        put(tmp_path / "d" / f"{name}.png", wide, exif=exif)
    np.testing.assert_array_equal(load(str(tmp_path / "d"), lazy=True).x.stored[0, :, :, 0], np.rot90(wide, -1))


def test_folders_are_labels(tmp_path: Path) -> None:
    for folder, k in (("dog", 0), ("cat", 1), ("cat", 2), ("wild/fox", 3)):
        put(tmp_path / "set" / folder / f"{k}.png", BYTES[k])
    found = load(str(tmp_path / "set"))
    assert found.classes == ("cat", "dog", "wild/fox") and found.limits is not None
    np.testing.assert_array_equal(found.y, [0, 0, 1, 2])
    np.testing.assert_allclose(found.x, floats(BYTES[[1, 2, 0, 3]]), atol=1e-6)
    assert found.summary().startswith("4 images, 8 x 8 x 3, 3 labels, range ")
    (tmp_path / "set" / "notes.txt").write_text("x")
    (tmp_path / "set" / ".DS_Store").write_text("x")
    put(tmp_path / "set" / "lone.png", BYTES[5])
    found = load(str(tmp_path / "set"))
    assert found.y is None and "1 picture beside the folders (lone.png" in found.summary()
    assert "1 other file left out (notes.txt)" in found.summary()


def test_rows_that_may_be_images_are_told(tmp_path: Path) -> None:
    """They are points by their shape, and would be trained on as such."""
    for columns, said in ((784, "reshape(-1, 28, 28)"), (3072, "reshape(-1, 32, 32, 3)"), (783, ""), (2, ""), (49, "")):
        rows = np.random.default_rng(0).integers(0, 256, (3, columns))
        np.save(tmp_path / "rows.npy", rows)
        np.savetxt(tmp_path / "rows.csv", rows, delimiter=",")
        for name in ("rows.npy", "rows.csv"):
            summary = load(str(tmp_path / name)).summary()
            assert said in summary and ("taken for points" in summary) is bool(said)


def test_a_zip_is_the_folder(tmp_path: Path) -> None:
    for k in range(4):
        put(tmp_path / "set" / f"{'ab'[k % 2]}" / f"{k}.png", BYTES[k])
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in (tmp_path / "set").rglob("*.png"):
            archive.write(file, f"top/{file.relative_to(tmp_path / 'set')}")
        archive.writestr("__MACOSX/top/._0.png", b"x")
    folder, packed_ = load(str(tmp_path / "set")), load(str(tmp_path / "set.zip"))
    np.testing.assert_array_equal(folder.x, packed_.x)
    np.testing.assert_array_equal(folder.y, packed_.y)
    assert packed_.classes == ("a", "b")


def test_sizes_crops_and_grey(tmp_path: Path) -> None:
    photo = np.zeros((32, 64, 3), np.uint8)
    photo[:, 16:48] = (200, 100, 50)  # the middle square
    put(tmp_path / "d" / "a.png", photo)
    put(tmp_path / "d" / "b.png", photo[:16, ::2])
    with pytest.raises(DataError, match=r"2 of 2 pictures have another aspect than 8 x 8 \(a\.png: 64 x 32\).*--crop"):
        load(str(tmp_path / "d"), size=8)
    x = load(str(tmp_path / "d"), size=8, crop=True, lazy=True).x.stored
    np.testing.assert_array_equal(x[0], np.broadcast_to((200, 100, 50), (8, 8, 3)))
    assert load(str(tmp_path / "d"), size="8x16").x.shape == (2, 8, 16, 3)
    assert "1 picture enlarged" in load(str(tmp_path / "d"), size="32x64").summary()
    grey = load(str(tmp_path / "d"), size=8, crop=True, grey=True, lazy=True).x.stored
    assert grey.shape == (2, 8, 8, 1) and abs(int(grey[0, 4, 4, 0]) - (0.299 * 200 + 0.587 * 100 + 0.114 * 50)) < 1
    for size in ("0", "x", "8x", "9999999", "-3", "1x2x3"):
        with pytest.raises(DataError, match="size="):
            load(str(tmp_path / "d"), size=size)


def test_the_resize_does_not_alias(tmp_path: Path) -> None:
    """Stripes finer than the new pixels become their mean, where reading every fourth pixel would keep stripes."""
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    for name in "ab":
        put(tmp_path / "d" / f"{name}.png", stripes)
    x = load(str(tmp_path / "d"), size=16, lazy=True).x.stored
    assert np.abs(x[:, 2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_a_named_set_is_resized_too() -> None:
    named = Dataset("named", floats(BYTES), kind="images")
    assert fitted(named, size=4, grey=True).x.shape == (6, 4, 4, 1) and fitted(named, size="2x8", crop=True).x.shape[
        1:3
    ] == (2, 8)
    with pytest.raises(DataError, match="squashed"):
        fitted(named, size="2x8")
    with pytest.raises(DataError, match="ring8: holds points"):
        load("ring8", n=2, size=16)


@pytest.mark.parametrize("option", [{"size": 8}, {"crop": True}, {"grey": True}, {"value_range": "0..1"}, {"key": "x"}])
def test_options_that_the_data_has_no_use_for(option: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    if "key" not in option:
        with pytest.raises(DataError, match=f"a.csv: the option {next(iter(option))} is not for"):
            load(str(tmp_path / "a.csv"), **option)
    else:
        with pytest.raises(DataError, match="has no column 'x'"):
            load(str(tmp_path / "a.csv"), **option)


# -- the cache and the processes ---------------------------------------------------------------------------------------
def test_pixels_are_kept_by_content(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(3):
        put(tmp_path / "d" / f"{k}.png", BYTES[k])
    first = load(str(tmp_path / "d"), lazy=True)
    assert isinstance(first.x.stored, np.memmap)
    (kept,) = (own_cache / "pictures").iterdir()
    calls: list[int] = []
    monkeypatch.setattr(pictures, "decode_all", lambda *a: calls.append(1) or decode_all(*a))
    (tmp_path / "d").rename(tmp_path / "e")  # elsewhere, and the same
    np.testing.assert_array_equal(load(str(tmp_path / "e"), lazy=True).x.stored, BYTES[:3])
    assert not calls
    damaged = bytearray(kept.read_bytes())
    damaged[-1] ^= 1
    kept.write_bytes(damaged)
    np.testing.assert_array_equal(load(str(tmp_path / "e"), lazy=True).x.stored, BYTES[:3])
    assert len(calls) == 1
    put(tmp_path / "e" / "0.png", BYTES[5])
    np.testing.assert_array_equal(load(str(tmp_path / "e"), lazy=True).x.stored[0], BYTES[5])
    assert len(calls) == 2 and len(list((own_cache / "pictures").iterdir())) == 2


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "file"))
    for k in range(3):
        put(tmp_path / "d" / f"{k}.png", BYTES[k])
    found = load(str(tmp_path / "d"))
    np.testing.assert_allclose(found.x, floats(BYTES[:3]), atol=1e-6)
    assert "cannot be kept" in found.summary()


def test_processes_decode_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_BLOCK", 2)
    wheres = []
    for k in range(6):
        put(tmp_path / f"{k}.png", BYTES[k])
        wheres.append(Where(str(tmp_path / f"{k}.png")))
    np.testing.assert_array_equal(np.concatenate(list(decode_all(wheres, Form(8, 8, 3), 2))), BYTES)
    (tmp_path / "5.png").write_bytes(b"hello")
    with pytest.raises(PictureError, match=r"5\.png: is no picture"):
        list(decode_all(wheres, Form(8, 8, 3), 2))


def test_a_decoder_that_dies_is_an_error_with_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.png", BYTES[0])
    monkeypatch.setattr(decoding.sys, "executable", "false" if sys.platform != "win32" else "where")
    with pytest.raises(PictureError, match=r"a\.png: .*ended the process"):
        list(decode_all([Where(str(tmp_path / "a.png"))], Form(8, 8, 3), 2))


def test_the_process_imports_nothing_of_minigan() -> None:
    loaded = "[m for m in sys.modules if m.split('.')[0] == 'minigan']"
    code = f"import runpy, sys; runpy.run_path({decoding.__file__!r}); print({loaded})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# -- arrays, tables, CIFAR ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "x, y", [("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("X", "y")]
)
def test_habits_of_npz_files(x: str, y: str, tmp_path: Path) -> None:
    labels = np.arange(6)[:, None].astype(np.uint8)
    body = packed((f"{x}.npy", npy(BYTES)), (f"{y}.npy", npy(labels)), ("x_test.npy", npy(BYTES[:2])))
    (tmp_path / "a.npz").write_bytes(body)
    found = load(str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(found.y, np.arange(6))
    np.testing.assert_allclose(found.x, floats(BYTES), atol=1e-6)
    assert f"array {x}, not x_test" in found.summary()
    assert (
        len(load(str(tmp_path / "a.npz"), key="x_test")) == 2 and load(str(tmp_path / "a.npz"), key="x_test").y is None
    )


def test_several_labels_an_example_are_left_out_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(packed(("x.npy", npy(BYTES)), ("y.npy", npy(np.eye(6, dtype=int)))))
    found = load(str(tmp_path / "a.npz"))
    assert found.y is None and "argmax" in found.summary()


@pytest.mark.parametrize("dtype, top", [(np.uint16, 65535), (np.uint8, 15), (np.int64, 4095), (np.float64, 16.0)])
def test_a_range_maps_any_numbers(dtype: Any, top: float, tmp_path: Path) -> None:
    values = (IMAGES.astype(np.int64) % int(top + 1)).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    for lazy in (False, True):
        found = load(str(tmp_path / "a.npy"), value_range=f"0..{top:g}", lazy=lazy)
        np.testing.assert_allclose(np.asarray(found.x)[..., 0], 2 * values / top - 1, atol=1e-6)
    with pytest.raises(DataError, match=r"outside of 0\.\.3"):
        load(str(tmp_path / "a.npy"), value_range="0..3")


def test_booleans_are_black_and_white(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES > 99)
    np.testing.assert_array_equal(load(str(tmp_path / "a.npy")).x[..., 0], np.where(IMAGES > 99, 1, -1))


@pytest.mark.parametrize("text", ["1", "a..b", "3..1", "nan..1", "..", "1..1", "0..inf"])
def test_ranges_that_are_none(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "a.npy", IMAGES)
    with pytest.raises(DataError, match=r"expected A\.\.B"):
        load(str(tmp_path / "a.npy"), value_range=text)
    assert main(["train", "mlp", "--data", str(tmp_path / "a.npy"), "--range", text]) == 2
    assert "range: got" in capsys.readouterr().err


def test_lazy_pixels_are_the_floats_to_the_bit(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", BYTES)
    lazy, eager = load(str(tmp_path / "a.npy"), lazy=True), load(str(tmp_path / "a.npy"))
    assert isinstance(lazy.x, Pixels) and isinstance(lazy.x.stored, np.memmap) and lazy.x.dtype == eager.x.dtype
    np.testing.assert_array_equal(lazy.x[1:3], eager.x[1:3])
    a, b = (Loader(each, batch_size=4, seed=1) for each in (lazy, eager))
    out = np.empty((4, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(a.batch(5, out=out), b.batch(5))
    assert a.batch(5, out=out) is out


def test_tables(tmp_path: Path) -> None:
    for separator, head in ((",", "a,b,label\n"), (";", ""), ("\t", ""), (" ", "")):
        rows = [(1.5, -2, 3), (4, 5e3, 6)]
        (tmp_path / "a.csv").write_text(head + "\n".join(separator.join(map(str, row)) for row in rows) + "\n\n")
        found = load(str(tmp_path / "a.csv"))
        columns = 2 if head else 3
        np.testing.assert_array_equal(found.x, np.array(rows, np.float32)[:, :columns])
        assert (found.y is None) is not bool(head)
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")  # with x, y is a coordinate
    assert load(str(tmp_path / "a.csv")).x.shape == (2, 2)


@pytest.mark.parametrize("form", ["folder", "file", "tar"])
def test_cifar(form: str, tmp_path: Path) -> None:
    records = np.frombuffer(corpus.CIFAR, np.uint8).reshape(4, 3073)
    path = tmp_path / "c"
    if form == "tar":
        path = tmp_path / "cifar-10-binary.tar.gz"
        path.write_bytes(corpus.tar(("c/data_batch_1.bin", corpus.CIFAR), ("c/test_batch.bin", corpus.CIFAR[:3073])))
    elif form == "file":
        path = tmp_path / "data_batch_1.bin"
        path.write_bytes(corpus.CIFAR)
    else:
        path.mkdir()
        (path / "data_batch_1.bin").write_bytes(corpus.CIFAR)
    found = load(str(path), lazy=True)
    np.testing.assert_array_equal(found.y, [0, 1, 2, 3])
    np.testing.assert_array_equal(found.x.stored, records[:, 1:].reshape(4, 3, 32, 32).transpose(0, 2, 3, 1))


# -- a run -------------------------------------------------------------------------------------------------------------
def test_points_are_standardised_and_samples_are_in_the_users_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).normal((1000, -5), (200, 0.01), (64, 2))
    np.savetxt("mine.csv", points, delimiter=",")
    supply = needs.find("points", "mine.csv", seed=0)
    np.testing.assert_allclose(supply.parts["x"].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(supply.parts["x"].std(0), 1, atol=1e-5)
    np.testing.assert_allclose(supply.facts.in_units(supply.parts["x"]), points, rtol=1e-5)
    assert (
        needs.Facts.read({"shapes": {"x": [2]}, "classes": {}, "units": {"x": supply.facts.units["x"]}}) == supply.facts
    )
    assert main(["train", "toy", "--data", "mine.csv", "--steps", "2", "--batch-size", "16", "--out", "run"]) == 0
    assert "read 64 points, 2 coordinates, range" in capsys.readouterr().err
    np.savetxt("mine.csv", points[:50] + 1, delimiter=",")  # the units of the run stay
    assert main(["resume", "run", "--steps", "3"]) == 0
    assert main(["sample", "run", "-n", "200", "--out", "a.npy"]) == 0
    samples = np.load("a.npy")
    assert abs(samples[:, 0].mean() - 1000) < 600 and abs(samples[:, 1].mean() + 5) < 0.03


def test_units_of_a_constant_coordinate() -> None:
    x = np.array([[1.0, 1e9], [3.0, 1e9]])
    units = Units.of(x)
    assert units.scale == (1.0, 1.0) and units.shift == (2.0, 1e9)
    np.testing.assert_array_equal(units.restored(units.standardised(x)), x.astype(np.float32))


def test_a_run_on_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for k in range(6):
        put(tmp_path / "set" / f"{'ab'[k % 2]}" / f"{k}.png", BYTES[k])
    assert main(["train", "mlp", "--data", "set", "--size", "6", "--grey", "--out", "run", *TINY]) == 0
    assert "read 6 images, 6 x 6 x 1, 2 labels, range " in capsys.readouterr().err
    sheet = np.asarray(Image.open("run/samples/real.png"))
    assert len(np.unique(sheet)) > 20
    assert main(["resume", "run", "--steps", "2"]) == 0
    assert main(["sample", "run", "-n", "2", "--out", "a.npy"]) == 0 and np.load("a.npy").shape == (2, 6, 6, 1)


def test_what_pictures_and_metrics_see_is_spread_over_all_labels() -> None:
    np.testing.assert_array_equal(building.spread(10, 4), [0, 2, 5, 7])
    np.testing.assert_array_equal(building.spread(3, 4), [0, 1, 2])
