"""Broken data of every kind, made anew for each test: files and folders that a user might give, and what must be said to them."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

R = np.random.default_rng(0)
BYTES = R.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


def png(array: np.ndarray = BYTES[0], form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, form, **options)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def header(shape: tuple[int, ...], descr: str = "|u1", body: bytes = b"\0" * 100) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + body


def packed(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members:
            archive.writestr(name, body)
    return file.getvalue()


def claiming(body: bytes, name: bytes, size: int) -> bytes:
    """A zip whose directory says that a member unpacks to `size` bytes."""
    at = body.rindex(b"PK\1\2")
    assert body[at + 46 : at + 46 + len(name)] == name
    return body[: at + 24] + struct.pack("<I", size) + body[at + 28 :]


def huge_png(width: int, height: int) -> bytes:
    """A picture whose header claims another size than it holds."""
    import zlib

    head = b"IHDR" + struct.pack(">II", width, height) + png()[24:29]
    return png()[:8] + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + png()[33:]


def tar(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, body in members:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return file.getvalue()


def idx(shape: tuple[int, ...], body: bytes) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + body


def pictures(**files: bytes) -> Callable[[Path], None]:
    """A folder with two good pictures and these, whose names have __ for a dot."""

    def make(path: Path) -> None:
        path.mkdir()
        for name, body in {"a__png": png(), "b__png": png(BYTES[1]), **files}.items():
            (path / name.replace("__", ".")).write_bytes(body)

    return make


def only(**files: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        for name, body in files.items():
            (path / name.replace("__", ".")).write_bytes(body)

    return make


GOOD_PNG = png()
PICKLE = pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]})
CIFAR = b"".join(bytes([k]) + R.bytes(3072) for k in range(4))
IMAGES = BYTES[..., 0]
Case = tuple[str, bytes | Callable[[Path], None], str]  # name of the file or folder, what is in it, what must be said

CASES: dict[str, Case] = {
    # pictures
    "empty folder": ("d", only(), "holds 0 pictures"),
    "folder of text": ("d", only(a__txt=b"x", b__md=b"y"), "holds 0 pictures .*other files, such as a.txt"),
    "one picture": ("d", only(a__png=GOOD_PNG), "holds 1 pictures"),
    "empty picture": ("d", pictures(c__png=b""), r"c\.png: is no picture"),
    "text as a picture": ("d", pictures(c__jpg=b"hello"), r"c\.jpg: is no picture"),
    "truncated png": ("d", pictures(c__png=GOOD_PNG[: len(GOOD_PNG) // 2]), r"c\.png: cannot be read"),
    "truncated jpeg": ("d", pictures(c__jpg=png(BYTES[0], "JPEG")[:-120]), r"c\.jpg: (cannot be read|is no picture)"),
    "huge picture": ("d", pictures(c__png=huge_png(60_000, 60_000)), r"c\.png: (claims 60,000|cannot be read)"),
    "very huge picture": ("d", pictures(c__png=huge_png(2**31 - 1, 2**31 - 1)), r"c\.png: (claims|cannot be read)"),
    "picture of no width": ("d", pictures(c__png=huge_png(0, 8)), r"c\.png: (claims|cannot be read|is no picture)"),
    "lying picture": ("d", pictures(c__png=huge_png(8, 4000)), "sizes|cannot be read"),
    "svg": ("d", only(a__svg=b"<svg/>", b__svg=b"<svg/>"), "holds 0 pictures"),
    "other format": ("d", pictures(c__png=png(BYTES[0], "TGA")), r"c\.png: (is no picture|cannot be read)"),
    "sizes": ("d", pictures(c__png=png(np.zeros((9, 8), np.uint8))), r"2 sizes .*--size 64"),
    "floats": ("d", pictures(c__tif=png(np.zeros((8, 8), np.float32), "TIFF")), r"c\.tif: holds floats"),
    # zip
    "no zip": ("a.zip", b"hello", "cannot be read as a zip"),
    "cut zip": ("a.zip", packed(("a.png", GOOD_PNG), ("b.png", GOOD_PNG))[:-30], "cannot be read as a zip"),
    "empty zip": ("a.zip", packed(), "holds 0 pictures"),
    "zip that leads outside": ("a.zip", packed(("../a.png", GOOD_PNG), ("b.png", GOOD_PNG)), "leads outside"),
    "zip with an absolute path": ("a.zip", packed(("/etc/a.png", GOOD_PNG), ("b.png", GOOD_PNG)), "leads outside"),
    "zip with a drive": ("a.zip", packed(("C:/a.png", GOOD_PNG), ("b.png", GOOD_PNG)), "leads outside"),
    "zip of backslashes": ("a.zip", packed(("..\\a.png", GOOD_PNG), ("b.png", GOOD_PNG)), "leads outside"),
    "zip bomb": ("a.zip", claiming(packed(("b.png", GOOD_PNG), ("a.png", GOOD_PNG)), b"a.png", 2**31), "zip bombs"),
    "zip of arrays": ("a.zip", packed(("a.npy", npy(BYTES))), "rename it to .npz"),
    "zip with a damaged member": (
        "a.zip",
        packed(("a.png", GOOD_PNG), ("b.png", GOOD_PNG)).replace(GOOD_PNG[40:60], b"\0" * 20, 1)[:60]
        + packed(("a.png", GOOD_PNG), ("b.png", GOOD_PNG))[61:],
        "a.zip",
    ),
    # arrays
    "npz called npy": ("a.npy", packed(("x.npy", npy(BYTES))), "is called .npy: rename it"),
    "npy called npz": ("a.npz", npy(BYTES), "is called .npz: rename it"),
    "text called npy": ("a.npy", b"hello", "cannot be read as .npy"),
    "text called npz": ("a.npz", b"hello", "cannot be read as a zip"),
    "10^12 elements": ("a.npy", header((10**12,)), "cannot be read|shape"),
    "10^12 images": ("a.npy", header((10**12, 8, 8)), "cannot be read"),
    "10^12 images in npz": ("a.npz", packed(("x.npy", header((10**12, 8, 8)))), "its header says"),
    "10^12 images that the archive claims too": (
        "a.npz",
        claiming(packed(("x.npy", header((2**25, 8, 8), body=b"\0" * 9999))), b"x.npy", 2**31 + 128),
        "zip bombs",
    ),
    "negative shape": ("a.npy", header((-1, 8, 8)), "cannot be read|shape"),
    "deep header": ("a.npy", npy(BYTES)[:10] + b"(" * 118 + npy(BYTES)[128:], "cannot be read"),
    "cut npy": ("a.npy", npy(BYTES)[:-9], "cannot be read"),
    "cut npz": ("a.npz", packed(("x.npy", npy(BYTES)))[:-9], "cannot be read"),
    "member that is no array": ("a.npz", packed(("x.npy", b"hello")), "is no array"),
    "members that are no arrays": ("a.npz", packed(("a.txt", b"hello")), r"holds no arrays \(but a.txt\)"),
    "npz that leads outside": ("a.npz", packed(("../x.npy", npy(BYTES))), "leads outside"),
    "objects": ("a.npy", npy(np.array([{}, {}], object)), "cannot be read"),
    "objects in npz": ("a.npz", packed(("x.npy", npy(np.array([{}, {}], object)))), "Python objects"),
    "nan": ("a.npy", npy(np.array([[0, np.nan], [1, 2]])), "1 of 4 values are NaN"),
    "uint16": ("a.npy", npy(IMAGES.astype(np.uint16) * 257), r"--range 0\.\.65535"),
    "int64": ("a.npy", npy(IMAGES.astype(np.int64)), r"--range 0\.\.255"),
    "ones and zeros": ("a.npy", npy((IMAGES > 99).astype(np.uint8)), r"all but be black; give --range 0\.\.1"),
    "0..255 floats": ("a.npy", npy(IMAGES.astype(float)), r"--range 0\.\.255"),
    "0..1 floats": ("a.npy", npy(IMAGES / 255), r"--range 0\.\.1"),
    "channels first": ("a.npy", npy(np.moveaxis(BYTES, -1, 1)), "moveaxis"),
    "too few labels": ("a.npz", packed(("x.npy", npy(BYTES)), ("y.npy", npy(np.arange(5)))), "labels"),
    "float labels": ("a.npz", packed(("x.npy", npy(BYTES)), ("y.npy", npy(np.ones(6)))), "labels are float64"),
    "one label": ("a.npz", packed(("x.npy", npy(BYTES)), ("y.npy", npy(np.array(3)))), "labels"),
    # tables
    "words": ("a.csv", b"1,2\n3,four\n", "line 2, column 2: got 'four'"),
    "decimal commas": ("a.csv", b"1,5;2\n3;4\n", "a.csv"),
    "ragged": ("a.csv", b"1,2\n3\n", "line 2 has 1 columns; expected 2"),
    "missing number": ("a.csv", b"x,z\n1,\n2,3\n", "line 2, column 2: got ''"),
    "nan in a table": ("a.csv", b"1,nan\n2,3\n", "got nan, expected a finite number"),
    "blank": ("a.csv", b"\n\n\n", "the file is empty"),
    "heads alone": ("a.csv", b"x,z\n", "0 rows of 2"),
    "binary": ("a.csv", bytes(range(256)), "cannot be read as text|line"),
    "half a label": ("a.csv", b"a,b,label\n1,2,0.5\n3,4,1\n", "labels are whole numbers"),
    "too large": ("a.csv", b"1e300,2\n3,4\n", "too large for float32"),
    # CIFAR
    "pickled cifar": ("d", only(data_batch_1=PICKLE, data_batch_2=PICKLE, test_batch=PICKLE), "binary version"),
    "one pickled batch": ("data_batch_1", PICKLE, "binary version"),
    "tar of pickles": ("a.tar.gz", tar(("c/data_batch_1", PICKLE), ("c/test_batch", PICKLE)), "binary version"),
    "tar of anything": ("a.tar.gz", tar(("a.png", GOOD_PNG)), "without CIFAR"),
    "no tar": ("a.tar.gz", b"\x1f\x8bhello", "cannot be read as a tar"),
    "cut tar": ("a.tar.gz", tar(("data_batch_1.bin", CIFAR))[:-2000], "cannot be read as a tar"),
    "cut cifar": ("data_batch_1.bin", CIFAR[:-1], "expected records of 3,073"),
    "cifar labels": ("data_batch_1.bin", bytes([11]) + CIFAR[1:], "has a label 11"),
    "empty cifar": ("d", only(data_batch_1__bin=b""), "expected records|0 bytes"),
    # IDX
    "lying idx": ("x-images-idx3-ubyte", idx((7, 8, 8), IMAGES.tobytes()), "the header says"),
    "absurd idx": ("x-images-idx3-ubyte", idx((2**32 - 1,) * 3, b""), "the header says"),
    "idx of labels": ("x-labels-idx1-ubyte", idx((6,), bytes(6)), "expected images"),
    # anything else
    "unknown": ("a.parquet", b"PAR1", "unknown kind of file"),
    "empty": ("a.npz", b"", "the file is empty"),
}


def make(folder: Path, case: str) -> str:
    """The path of a case, made."""
    name, body, _ = CASES[case]
    path = folder / name
    if callable(body):
        body(path)
    else:
        path.write_bytes(body)
    return str(path)


def duplicated() -> bytes:
    """An archive with one name twice, as only a hand-made one has."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return packed(("x.npy", npy(BYTES)), ("x.npy", npy(BYTES)))


CASES["duplicate members"] = ("a.npz", duplicated(), "two members 'x.npy'")
