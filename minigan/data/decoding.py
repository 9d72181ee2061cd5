"""Picture files to bytes: one picture in this process, or many in several.

The processes are fresh interpreters that run this very file, which imports nothing of minigan: they start in a fifth of a
second, never import the program that wants the pictures, and a decoder that crashes takes one of them and not the run.

    python decoding.py      reads lines of JSON, a job each, and answers each with a line of JSON and the pixels
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MOST_PIXELS = 100_000_000  # of one picture: 10,000 x 10,000
GREY_MODES = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_BLOCK = 32  # pictures that a process decodes at a time


class PictureError(ValueError):
    """A picture cannot be read; the message says why."""


class Where(NamedTuple):
    """A picture: a file, or a member of a zip archive."""

    file: str
    member: str | None = None

    def __str__(self) -> str:
        return self.file if self.member is None else f"{self.file}: {self.member}"


@dataclass(frozen=True)
class Form:
    """What pictures are made into: (height, width, channels), cropped to that aspect first or not."""

    height: int
    width: int
    channels: int
    crop: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.height, self.width, self.channels


class Header(NamedTuple):
    """What a picture's file says of it before it is decoded: its size as it is shown, and whether it is grey."""

    width: int
    height: int
    grey: bool


class Opener:
    """Opens pictures; keeps the archive of the last one open."""

    def __init__(self) -> None:
        self._path = ""
        self._archive: zipfile.ZipFile | None = None

    def __call__(self, where: Where) -> IO[bytes]:
        if where.member is None:
            return open(where.file, "rb")
        if self._archive is None or self._path != where.file:
            self._path, self._archive = where.file, zipfile.ZipFile(where.file)
        info = self._archive.getinfo(where.member)
        with self._archive.open(info) as member:  # which gives no more bytes than its header claims
            return io.BytesIO(member.read(info.file_size))


def _checked(image: Image.Image) -> Image.Image:
    width, height = image.size
    if width * height > MOST_PIXELS or not width or not height:
        raise PictureError(f"claims {width:,} x {height:,} pixels; expected at most {MOST_PIXELS:,} in all")
    return image


def _read(where: Where, opener: Opener, use: Any) -> Any:
    """`use(image)`; PictureError for whatever a decoder raises on a file that is not as it should be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with opener(where) as file, Image.open(file, formats=FORMATS) as image:
                return use(_checked(image))
    except PictureError as error:
        raise PictureError(f"{where}: {error}") from error
    except (
        Exception
    ) as error:  # decoders raise anything at all on broken files: IndexError, SyntaxError, struct.error, ...
        said = (
            "is no picture" if isinstance(error, Image.UnidentifiedImageError) else f"cannot be read ({_text(error)})"
        )
        raise PictureError(f"{where}: {said}; expected {', '.join(FORMATS)}; mend or remove it") from error


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def header(where: Where, opener: Opener) -> Header:
    """Size and colour of a picture, without decoding it. Raises PictureError."""
    return _read(where, opener, _header)


def _header(image: Image.Image) -> Header:
    turned = image.getexif().get(0x0112) in (5, 6, 7, 8)  # the camera's "orientation": on its side
    width, height = image.size[::-1] if turned else image.size
    return Header(width, height, image.mode in GREY_MODES)


def decode(where: Where, form: Form, opener: Opener) -> np.ndarray:
    """A picture as uint8 (H, W, C). Raises PictureError.

    The camera's orientation is applied, 16 bits are rounded to 8 (v 255 / 65535), what is transparent lies on white, CMYK and
    palettes become RGB, grey is the luminance of ITU-R 601 (.299 R + .587 G + .114 B). The resize is Pillow's bicubic, whose
    support grows with the factor, so that nothing aliases (Parmar, Zhang, Zhu 2022, arXiv 2104.11222).
    """
    return _read(where, opener, lambda image: _formed(image, form))


def _formed(image: Image.Image, form: Form) -> np.ndarray:
    image.load()
    image = ImageOps.exif_transpose(image)
    image = _eight_bits(image)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    image = image.convert("L" if form.channels == 1 else "RGB")
    if image.size != (form.width, form.height):
        if form.crop:  # before the resize, whose filter would read beyond the edges of a box
            image = image.crop(_middle(image.size, form))
        image = image.resize((form.width, form.height), Image.Resampling.BICUBIC)
    return np.asarray(image, np.uint8).reshape(form.shape)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Pictures of 16 bits, which Pillow would cut off at 255, scaled to 8."""
    if image.mode == "F":
        raise PictureError("holds floats, whose range is not known; save it with 8 or 16 bits")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise PictureError(f"holds whole numbers from {values.min()} to {values.max()}; save it with 8 or 16 bits")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def _middle(size: tuple[int, int], form: Form) -> tuple[int, int, int, int]:
    """The largest box of the form's aspect, to a pixel, in the middle of a picture."""
    scale = min(size[0] / form.width, size[1] / form.height)
    width, height = max(1, round(scale * form.width)), max(1, round(scale * form.height))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


# -- in several processes --------------------------------------------------------------------------------------------
def decode_all(pictures: Sequence[Where], form: Form, processes: int) -> Iterator[np.ndarray]:
    """All pictures in their order, uint8 (n, H, W, C), some at a time. processes: 1 for none but this one.

    Raises:
        PictureError: one that cannot be read, or that ends the process that decodes it.
        OSError: no process to be had.
    """
    blocks = [pictures[start : start + _BLOCK] for start in range(0, len(pictures), _BLOCK)]
    if processes < 2:
        opener = Opener()
        yield from (np.stack([decode(where, form, opener) for where in block]) for block in blocks)
        return
    with ExitStack() as stack:
        workers = [stack.enter_context(_Worker(form)) for _ in range(min(processes, len(blocks)))]
        for number, block in enumerate(blocks[: len(workers)]):
            workers[number].give(block)
        for number, block in enumerate(blocks):
            worker = workers[number % len(workers)]
            images = worker.result(block)
            if number + len(workers) < len(blocks):
                worker.give(blocks[number + len(workers)])
            yield images


class _Worker:
    """A process that decodes blocks, one after the other."""

    def __init__(self, form: Form) -> None:
        self.form = form

    def __enter__(self) -> _Worker:
        self.process = subprocess.Popen(
            [sys.executable, "-P", os.path.abspath(__file__)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def give(self, block: Sequence[Where]) -> None:
        """Begin with a block."""
        assert self.process.stdin is not None
        job = json.dumps({"form": asdict(self.form), "pictures": [tuple(where) for where in block]})
        try:
            self.process.stdin.write(job.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # it has ended: `result` says so
            return

    def result(self, block: Sequence[Where]) -> np.ndarray:
        """The block's images."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        answer = json.loads(said) if said.endswith(b"\n") else {}
        if "error" in answer:
            raise PictureError(answer["error"])
        size = len(block) * self.form.height * self.form.width * self.form.channels
        pixels = self.process.stdout.read(size) if answer else b""
        if len(pixels) < size:
            raise PictureError(
                f"{block[0]}: it, or one of the {len(block) - 1} after it, ended the process that decodes it (exit code "
                f"{self.process.wait()}): too little memory, or a file that crashes the decoder"
            )
        return np.frombuffer(pixels, np.uint8).reshape(len(block), *self.form.shape)


def _serve(jobs: IO[bytes], answers: IO[bytes]) -> None:
    opener = Opener()
    for line in jobs:
        job = json.loads(line)
        form = Form(**job["form"])
        try:
            pixels = b"".join(decode(Where(*where), form, opener).tobytes() for where in job["pictures"])
            answers.write(b'{"ok": true}\n' + pixels)
        except PictureError as error:
            answers.write(json.dumps({"error": str(error)}).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends its helpers
    try:
        _serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:  # nobody waits for the answer any more
        os._exit(0)
