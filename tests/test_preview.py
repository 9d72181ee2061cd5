"""Samples on the terminal while a run goes on, as a terminal shows them: pyte is one, of a size that is given."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
import threading
from pathlib import Path

import numpy as np
import pyte
import pytest

from minigan.cli import main
from minigan.gans.protocol import Picture
from minigan.run import preview

pytestmark = pytest.mark.usefixtures("own_folder")
TINY = ["train", "toy", "--steps", "40", "--batch-size", "16", "--live-every", "0", "--out", "run"]
BLOCK = preview.BLOCK


class Terminal:
    """A terminal on stderr; what it shows in the end."""

    def __init__(self, columns: int, lines: int) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        show = pyte.ByteStream(self.screen)
        while True:
            try:
                text = os.read(self.master, 65536)
            except OSError:  # the other end is closed
                return
            show.feed(text)

    def shown(self) -> list[str]:
        self.stream.close()
        self.reader.join()
        os.close(self.master)
        return [line.rstrip() for line in self.screen.display]


def trained(monkeypatch, columns: int, lines: int, *words: str, term: str = "xterm-256color") -> list[str]:
    terminal = Terminal(columns, lines)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal.stream)
        patch.setenv("TERM", term)
        patch.delenv("NO_COLOR", raising=False)
        assert main([*TINY, *words]) == 0
    return terminal.shown()


def test_a_run_draws_its_samples_in_one_place_above_the_bar(monkeypatch, tmp_path):
    shown = trained(monkeypatch, 100, 40)
    drawn = [k for k, line in enumerate(shown) if BLOCK in line]
    assert len(drawn) == preview.PLANE // 2 and drawn == list(range(drawn[0], drawn[0] + len(drawn)))  # once, whole
    assert all(line == BLOCK * preview.PLANE for line in shown[drawn[0] : drawn[-1] + 1])
    assert "step 40/40" in shown[drawn[-1] + 1]  # the bar
    assert shown[drawn[0] - 1] == "its pictures as they come: run/latest.png"
    latest, final = (Path("run") / name for name in ("latest.png", "samples/final.png"))
    assert latest.read_bytes() == final.read_bytes()


@pytest.mark.parametrize(
    ("columns", "lines", "words", "term"),
    [(20, 40, [], "xterm"), (100, 8, [], "xterm"), (100, 40, ["--no-preview"], "xterm"), (100, 40, [], "dumb")],
    ids=["narrow", "flat", "not wanted", "dumb"],
)
def test_no_samples_where_they_cannot_be_seen_or_are_not_wanted(monkeypatch, columns, lines, words, term):
    shown = trained(monkeypatch, columns, lines, *words, term=term)
    assert not any(BLOCK in line for line in shown) and any("40/40" in line for line in shown)


def test_a_run_on_numbers_draws_none_and_goes_on(monkeypatch):
    shown = trained(monkeypatch, 100, 40, "--data", "gauss1d")
    assert not any(BLOCK in line for line in shown) and any("40/40" in line for line in shown)


@pytest.mark.parametrize(
    ("shape", "kind", "drawn"),
    [
        ((4, 8, 8, 3), "", True),
        ((4, 2), "", True),
        ((4, 5), "", True),
        ((4, 1), "", False),
        ((4, 9), "tokens", False),
        ((4, 64, 1), "audio", False),
        ((4, 3, 8, 8, 1), "video", False),
    ],
)
def test_what_is_no_image_and_no_point_is_not_drawn(shape, kind, drawn):
    assert preview.drawable(Picture(np.zeros(shape, np.float32), kind=kind)) == drawn


def test_no_samples_in_a_pipe(capsys):
    assert main(TINY) == 0
    seen = capsys.readouterr().err
    assert BLOCK not in seen and "\x1b" not in seen and "its pictures as they come: run/latest.png" in seen


def test_colours_are_those_of_the_picture():
    image = np.full((1, 4, 4, 1), -1, np.float32)
    image[0, :2, 2:] = 1  # white, upper right
    (first, second) = preview.lines_of(Picture(image), 80)
    # 38: the colour of the upper half, 48: of the lower; 16 is black and 231 white. One column stays free beside an image
    left, right, gap = "\x1b[38;5;16;48;5;16m▀▀", "\x1b[38;5;231;48;5;231m▀▀", "\x1b[38;5;16;48;5;16m▀"
    assert first == left + right + gap + "\x1b[0m"
    assert second == left + "▀▀▀" + "\x1b[0m"
    red = np.zeros((1, 2, 1, 3), np.float32) + np.array([1, -1, -1], np.float32)
    assert preview.lines_of(Picture(red), 80) == ["\x1b[38;5;196;48;5;196m▀" + gap + "\x1b[0m"]


@pytest.mark.parametrize("side", [1, 7, 16, 28, 33, 128])
@pytest.mark.parametrize("columns", [40, 79, 120])
def test_images_of_every_size_fit(side, columns):
    images = np.zeros((64, side, side, 1), np.float32)
    lines = preview.lines_of(Picture(images, 8), columns)
    assert 1 <= len(lines) <= 8
    assert all(1 <= line.count(BLOCK) <= columns for line in lines)


def test_points_beyond_the_plane_and_none_at_all_are_left_out():
    real = np.array([[-1, -1], [1, 1]], np.float32)
    lines = preview.lines_of(Picture(np.array([[9, 9], [np.nan, 0]], np.float32)), 80, real)
    text = "".join(lines)
    assert f"5;{preview.SAMPLE};" not in text and text.count(f";{preview.REAL}") == 2
