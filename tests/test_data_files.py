"""Files: good ones are read exactly, and every broken one ends in a DataError that says what is wrong."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigan.data.mnist as mnist
from minigan.data import DataError, Dataset, catalogue, load, read_idx
from minigan.data.base import write_atomically
from minigan.data.images import from_uint8, make_grid, save_gif, save_png, to_uint8

FLOATS = np.random.default_rng(0).uniform(-1, 1, size=(5, 6, 7, 1)).astype(np.float32)
BYTES = np.random.default_rng(0).integers(0, 256, size=(5, 6, 7), dtype=np.uint8)
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def saved(folder: Path, array: Any, name: str = "a.npy") -> str:
    np.save(folder / name, array)
    return str(folder / name)


def idx(array: np.ndarray, *, code: int = 8, shape: tuple[int, ...] | None = None) -> bytes:
    dimensions = shape if shape is not None else array.shape
    return bytes([0, 0, code, len(dimensions)]) + struct.pack(f">{len(dimensions)}I", *dimensions) + array.tobytes()


# ---- .npy and .npz


def test_uint8_images_are_scaled(tmp_path: Path) -> None:
    data = load(saved(tmp_path, BYTES))
    assert data.kind == "images" and data.x.shape == (5, 6, 7, 1) and data.x.dtype == np.float32
    np.testing.assert_allclose(data.x[..., 0], BYTES / 127.5 - 1, atol=1e-6)
    assert data.x.flags.writeable  # in memory, not a map of the file


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_float_images_are_taken_as_they_are(tmp_path: Path, dtype: str) -> None:
    data = load(saved(tmp_path, np.asfortranarray(FLOATS.astype(dtype))))
    np.testing.assert_array_equal(data.x, FLOATS.astype(dtype).astype(np.float32))
    assert data.x.dtype == np.dtype("float32") and data.x.flags.c_contiguous


def test_points_and_colour(tmp_path: Path) -> None:
    points = load(saved(tmp_path, np.arange(12.0).reshape(4, 3)), n=3)
    assert points.kind == "points" and points.x.shape == (3, 3)
    assert load(saved(tmp_path, np.full((4, 5, 5, 3), 9, np.uint8))).x.shape == (4, 5, 5, 3)


def test_unit_range_needs_to_be_declared(tmp_path: Path) -> None:
    path = saved(tmp_path, np.abs(FLOATS))
    with pytest.raises(DataError, match=r"value_range='0\.\.1'"):
        load(path)
    np.testing.assert_allclose(load(path, value_range="0..1").x, 2 * np.abs(FLOATS) - 1, atol=1e-6)
    np.testing.assert_array_equal(load(path, value_range="-1..1").x, np.abs(FLOATS))
    with pytest.raises(DataError, match="value_range='255'"):
        load(path, value_range="255")
    with pytest.raises(DataError, match=r"outside of 0\.\.1; .*--range -1\.\.1"):
        load(saved(tmp_path, FLOATS), value_range="0..1")


def test_npz_keys(tmp_path: Path) -> None:
    path = str(tmp_path / "a.npz")
    np.savez(path, FLOATS)
    np.testing.assert_array_equal(load(path).x, FLOATS)
    np.savez(path, images=BYTES, y=np.arange(5), other=np.zeros(3))
    data = load(path)
    np.testing.assert_array_equal(data.y, np.arange(5))  # type: ignore[arg-type]
    assert data.y is not None and data.y.dtype == np.int64
    np.savez(path, first=BYTES, second=FLOATS)
    with pytest.raises(DataError, match="holds first, second"):
        load(path)
    np.testing.assert_array_equal(load(path, key="second").x, FLOATS)
    with pytest.raises(DataError, match="an array 'third'"):
        load(path, key="third")
    np.savez(path, x=BYTES, y=np.arange(4))
    with pytest.raises(DataError, match="labels"):
        load(path)
    np.savez(path)
    with pytest.raises(DataError, match="no arrays"):
        load(path)


REFUSED: dict[str, tuple[Any, str]] = {
    "object": (np.array([{}, {}], dtype=object), "cannot be read|Python objects"),
    "text": (np.array([["a", "b"], ["c", "d"]]), "dtype <U1"),
    "complex": (np.zeros((3, 2), complex), "dtype complex128"),
    "int64": (np.full((3, 4, 4), 200), r"int64 images between 200 and 200; .*--range 0\.\.255"),
    "uint16": (np.full((3, 4, 4), 300, np.uint16), r"uint16 .*--range 0\.\.1023"),
    "black bytes": (
        np.eye(4, dtype=np.uint8)[None].repeat(3, 0),
        r"all but be black; give --range 0\.\.1 .*if 1 is white",
    ),
    "bytes as rows of 49": (np.zeros((3, 49), np.uint8), r"reshape\(-1, 7, 7\)"),
    "record": (np.zeros(3, dtype=[("a", "f4")]), "dtype"),
    "date": (np.zeros((3, 2), "M8[s]"), "dtype"),
    "scalar": (np.float32(1), "shape"),
    "vector": (np.zeros(9, np.float32), r"shape \(9,\)"),
    "rank 5": (np.zeros((2, 2, 2, 2, 1), np.float32), "shape"),
    "flat bytes": (np.zeros((3, 784), np.uint8), "reshape"),
    "channels first": (np.zeros((5, 3, 8, 8), np.uint8), "moveaxis"),
    "two channels": (np.zeros((5, 8, 8, 2), np.uint8), "C 1 or 3"),
    "one example": (np.zeros((1, 8, 8), np.uint8), "at least 2"),
    "no example": (np.zeros((0, 2), np.float32), "at least 2|cannot be read"),
    "no columns": (np.zeros((4, 0), np.float32), "at least 2|cannot be read"),
    "nan": (np.array([[0, 1], [np.nan, 2]]), "1 of 4 values"),
    "inf image": (np.full((2, 3, 3), -np.inf), "18 of 18 values"),
    "too large": (np.full((2, 2), 1e300), "4 of 4 values"),
    "0..255 floats": (np.full((2, 3, 3), 255.0), r"expected \[-1, 1\]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_arrays(tmp_path: Path, case: str) -> None:
    array, message = REFUSED[case]
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        load(str(tmp_path / "a.npy"))
    np.savez(tmp_path / "a.npz", array)
    with pytest.raises(DataError, match=message):
        load(str(tmp_path / "a.npz"))


def test_refused_files(tmp_path: Path) -> None:
    (tmp_path / "empty.npy").touch()
    (tmp_path / "empty.npz").touch()
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "picture.png").write_text("hello")
    (tmp_path / "bare.npz").write_bytes(Path(saved(tmp_path, FLOATS)).read_bytes())
    names = [path.name for path in tmp_path.iterdir() if path.name != "a.npy"]
    for name in [*names, "missing.npy", "a\0b.npy", "x" * 5000 + ".npy", ""]:
        with pytest.raises(DataError):
            load(f"{tmp_path}/{name}")
    with pytest.raises(DataError, match="holds one array"):
        load(f"{tmp_path}/a.npy", key="x")
    for n in (1, 6, True):
        with pytest.raises(DataError, match="n="):
            load(f"{tmp_path}/a.npy", n=n)
    with pytest.raises(DataError, match=r"unknown option 'split'.*value_range, key"):
        load(f"{tmp_path}/a.npy", split="train")


def test_a_header_that_promises_too_much_takes_no_memory(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 28, 28)})
    (tmp_path / "a.npy").write_bytes(buffer.getvalue() + b"\0" * 100)
    with pytest.raises(DataError, match="cannot be read"):
        load(str(tmp_path / "a.npy"))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@given(data=st.data())
@FUZZ
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_never_surprise(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    """Whatever bytes change or go missing, the outcome is a valid Dataset or a DataError."""
    buffer = io.BytesIO()
    if suffix == "npy":
        np.save(buffer, FLOATS)
    else:
        np.savez_compressed(buffer, x=FLOATS, y=np.arange(5))
    good = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(good[: data.draw(st.integers(0, len(good)))] if data.draw(st.booleans()) else good)
    try:
        result = load(str(path))
    except DataError:
        return
    assert isinstance(result, Dataset) and np.isfinite(result.x).all()


# ---- IDX


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, ">u1"), (9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
@pytest.mark.parametrize("packed", [False, True])
def test_idx_round_trip(tmp_path: Path, code: int, dtype: str, packed: bool) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    body = idx(array, code=code)
    (tmp_path / "a").write_bytes(gzip.compress(body) if packed else body)
    got = read_idx(tmp_path / "a")
    np.testing.assert_array_equal(got, array)
    assert got.dtype.isnative and got.dtype == array.dtype.newbyteorder("=")


def broken_idx() -> dict[str, bytes]:
    good = idx(BYTES)
    packed = gzip.compress(good)
    return {
        "empty": b"",
        "three bytes": good[:3],
        "bad magic": b"\1" + good[1:],
        "bad type": idx(BYTES, code=0x0A),
        "rank 0": b"\0\0\x08\0" + BYTES.tobytes(),
        "header cut": good[:10],
        "body cut": good[:-1],
        "too long": good + b"\0",
        "count too large": idx(BYTES, shape=(6, 6, 7)),
        "count too small": idx(BYTES, shape=(4, 6, 7)),
        "absurd size": idx(BYTES, shape=(2**32 - 1,) * 3),
        "absurd rank": b"\0\0\x08\xff" + b"\xff" * 1020,
        "gzip cut": packed[: len(packed) // 2],
        "gzip without its end": packed[:-4],
        "gzip wrong checksum": packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:],
        "gzip garbage": b"\x1f\x8b" + b"\x55" * 60,
        "gzip damaged body": packed[:20] + bytes(b ^ 255 for b in packed[20:30]) + packed[30:],
        "gzip absurd size": gzip.compress(idx(BYTES, shape=(2**32 - 1,) * 3)),
        "a picture": b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
    }


@pytest.mark.parametrize("case", broken_idx())
def test_broken_idx(tmp_path: Path, case: str) -> None:
    (tmp_path / "a.gz").write_bytes(broken_idx()[case])
    with pytest.raises(DataError, match=r"a\.gz"):
        read_idx(tmp_path / "a.gz")


def test_absent_idx(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, "a\0b"):
        with pytest.raises(DataError):
            read_idx(path)


@given(data=st.data(), packed=st.booleans())
@FUZZ
def test_damaged_idx_never_surprises(tmp_path: Path, data: st.DataObject, packed: bool) -> None:
    good = bytearray(gzip.compress(idx(BYTES), mtime=0) if packed else idx(BYTES))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(good[: data.draw(st.integers(0, len(good)))])
    try:
        read_idx(tmp_path / "a")
    except DataError:
        return


# ---- MNIST and its relatives


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A MINIGAN_DATA folder with a small `mnist`, an own cache, and mirrors that refuse at once."""
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    for name, source in mnist.SOURCES.items():
        refusing = mnist.Source(source.title, ("https://127.0.0.1:9/a/", "https://127.0.0.1:9/b/"), source.sha256)
        monkeypatch.setitem(mnist.SOURCES, name, refusing)
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(BYTES)))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.arange(5, dtype=np.uint8)))
    return folder


def test_local_files_are_found(home: Path) -> None:
    data = load("mnist")
    assert data.name == "mnist" and "t10k" in data.source
    np.testing.assert_array_equal(to_uint8(data.x)[..., 0], BYTES)
    np.testing.assert_array_equal(data.y, np.arange(5))  # type: ignore[arg-type]
    assert len(load("mnist", n=3, split="test")) == 3
    (home / "train-images-idx3-ubyte").write_bytes(idx(BYTES[:4]))
    (home / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(4, dtype=np.uint8)))
    assert len(load("mnist")) == len(load("mnist", split="train")) == 4
    assert len(load("mnist", split="test")) == 5
    for options in ({"n": 6}, {"n": 1}, {"split": "valid"}):
        with pytest.raises(DataError, match="mnist"):
            load("mnist", **options)  # type: ignore[arg-type]


def test_files_that_do_not_belong_together(home: Path) -> None:
    (home / "t10k-labels-idx1-ubyte").write_bytes(idx(np.arange(4, dtype=np.uint8)))
    with pytest.raises(DataError, match="of one set"):
        load("mnist")
    (home / "t10k-images-idx3-ubyte.gz").write_bytes(idx(BYTES[0]))
    with pytest.raises(DataError, match=r"expected uint8 \(N, H, W\)"):
        load("mnist")
    (home / "t10k-images-idx3-ubyte.gz").write_bytes(idx(BYTES[:1]))
    (home / "t10k-labels-idx1-ubyte").write_bytes(idx(np.arange(1, dtype=np.uint8)))
    with pytest.raises(DataError, match="at least 2"):
        load("mnist")


@pytest.mark.parametrize(("name", "options"), [("fashion", {}), ("kmnist", {}), ("mnist", {"split": "train"})])
def test_offline_says_what_to_do(home: Path, name: str, options: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"127.0.0.1:9/a/.*127.0.0.1:9/b/.*MINIGAN_DATA=DIR"):
        load(name, **options)


def test_catalogue_and_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    entries = {entry.name: entry for entry in catalogue()}
    assert {name for name, entry in entries.items() if entry.network} == set(mnist.SOURCES)
    for source in mnist.SOURCES.values():
        assert len(set(source.sha256.values())) == 4 and all(len(s) == 64 for s in source.sha256.values())
    for name, entry in entries.items():
        if not entry.network:
            data = load(name, n=20)
            assert (data.kind, data.x.shape[1:]) == (entry.kind, entry.shape)
            assert data.name == name


# ---- pictures


@given(st.binary(min_size=1, max_size=64))
def test_bytes_survive_the_float_round_trip(raw: bytes) -> None:
    values = np.frombuffer(raw, dtype=np.uint8)
    floats = from_uint8(values)
    assert floats.dtype == np.float32 and floats.min() >= -1 and floats.max() <= 1
    np.testing.assert_array_equal(to_uint8(floats), values)


def test_to_uint8_clips() -> None:
    got = to_uint8(np.array([-np.inf, -7, -1, 0, 1, 7, np.inf, np.nan]))
    np.testing.assert_array_equal(got, [0, 0, 0, 128, 255, 255, 255, 0])
    with pytest.raises(DataError):
        to_uint8(np.zeros(3, int))
    with pytest.raises(DataError):
        from_uint8(np.zeros(3))


@given(
    count=st.integers(1, 12),
    columns=st.integers(1, 5),
    padding=st.integers(0, 3),
    channels=st.sampled_from([1, 3]),
)
@settings(deadline=None, max_examples=40)
def test_every_picture_is_in_its_place_of_the_grid(count: int, columns: int, padding: int, channels: int) -> None:
    pictures = np.random.default_rng(count).integers(0, 256, size=(count, 4, 5, channels), dtype=np.uint8)
    sheet = make_grid(pictures, columns=columns, padding=padding)
    rows = -(-count // columns)
    assert sheet.shape == (rows * (4 + padding) + padding, columns * (5 + padding) + padding, channels)
    for k, picture in enumerate(pictures):
        top, left = padding + k // columns * (4 + padding), padding + k % columns * (5 + padding)
        np.testing.assert_array_equal(sheet[top : top + 4, left : left + 5], picture)


def test_png_and_gif_come_back(tmp_path: Path) -> None:
    from PIL import Image

    colour = np.random.default_rng(0).integers(0, 256, size=(6, 5, 3), dtype=np.uint8)
    save_png(tmp_path / "a.png", colour)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), colour)
    save_png(str(tmp_path / "b.png"), FLOATS[0])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), to_uint8(FLOATS[0])[..., 0])
    save_gif(tmp_path / "a.gif", list(BYTES), fps=10)
    with Image.open(tmp_path / "a.gif") as movie:
        assert getattr(movie, "n_frames", 1) == 5
        assert movie.info["duration"] == 100 and movie.info["loop"] == 0
        for k in range(5):
            movie.seek(k)
            np.testing.assert_array_equal(np.asarray(movie.convert("L")), BYTES[k])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "a.png", "b.png"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file: IO[bytes]) -> None:
        file.write(b"half of the n")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_pictures_refused(tmp_path: Path) -> None:
    for bad in (np.zeros((2, 2, 2)), np.zeros((0, 4)), np.zeros(4), np.zeros((1, 4, 4, 1))):
        with pytest.raises(DataError):
            save_png(tmp_path / "a.png", bad)
    with pytest.raises(DataError, match="one or more"):
        save_gif(tmp_path / "a.gif", [], fps=5)
    with pytest.raises(DataError, match="shapes"):
        save_gif(tmp_path / "a.gif", [np.zeros((2, 2)), np.zeros((3, 2))], fps=5)
    for fps in (0, -1, 51, float("nan")):
        with pytest.raises(DataError, match="fps"):
            save_gif(tmp_path / "a.gif", [np.zeros((2, 2))], fps=fps)
    for wrong in (np.zeros((0, 4, 4, 1)), np.zeros((3, 4)), np.zeros((3, 4, 4, 2))):
        with pytest.raises(DataError):
            make_grid(wrong)
    with pytest.raises(DataError):
        make_grid(FLOATS, columns=0)
    with pytest.raises(OSError):
        save_png(tmp_path / "missing" / "a.png", np.zeros((2, 2)))
    assert list(tmp_path.iterdir()) == []
