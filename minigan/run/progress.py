"""Progress on stderr: one tqdm line on a terminal, a plain line every few seconds elsewhere. Never on stdout.

A stderr that is closed (`2>&1 | head`) silences the progress; it does not stop the training.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

TERMINAL_SECONDS, PLAIN_SECONDS = 0.2, 5.0


class Screen:
    """What stands at the end of stderr: a bar, if one moves, and above it the block of lines that was drawn last."""

    bar: Any = None
    drawn: tuple[int, os.terminal_size] | None = None  # lines of that block, and the terminal's size then
    below: int = 0  # lines between that block and the cursor: of a bar that has ended
    silent: bool = False  # of a rank that leaves it to another one


SCREEN = Screen()


def silence() -> None:
    """Show nothing from here on: another process does."""
    SCREEN.silent = True


def note(text: str) -> None:
    """One line on stderr, above the bar."""
    SCREEN.drawn = None
    _write(text + "\n")


def redraw(lines: Sequence[str]) -> None:
    """Draw a block of lines on the terminal, over the last one where nothing was written since and its size is the same."""
    size = os.get_terminal_size(sys.stderr.fileno())
    again = SCREEN.drawn is not None and SCREEN.drawn == (len(lines), size)
    back, below = (f"\x1b[{len(lines) + SCREEN.below}A\r", SCREEN.below) if again else ("", 0)
    _write(back + "".join(f"{line}\x1b[K\n" for line in lines) + "\n" * below)
    SCREEN.drawn, SCREEN.below = (len(lines), size), below


def _write(text: str) -> None:
    bar = SCREEN.bar
    if SCREEN.silent:
        return
    try:
        if bar is not None:
            bar.clear()
        sys.stderr.write(text)
        sys.stderr.flush()
        if bar is not None:
            bar.refresh()
    except (OSError, ValueError, AttributeError):  # closed, or there is none
        return


@contextmanager
def phase(what: str) -> Iterator[None]:
    """Announce something slow, and say how long it took."""
    note(f"{what} ...")
    start = time.perf_counter()
    yield
    note(f"  {time.perf_counter() - start:.1f} s")


def duration(seconds: float) -> str:
    """12 s, 3 min 5 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def losses_text(losses: dict[str, float]) -> str:
    """discriminator 1.234  generator 0.801."""
    return "  ".join(f"{name} {value:.3f}" for name, value in losses.items())


class Progress:
    """Shows how far a run is.

    Args:
        start: steps that were done before the clock started; they count in the bar and not in the time left.
        steps: the last step.

    Attributes:
        due: the `time.perf_counter()` at which `show` wants to be called next; a loop compares, which costs next to nothing.
    """

    def __init__(self, start: int, steps: int) -> None:
        self.start, self.steps = start, steps
        self.began = time.perf_counter()
        self._bar = self._terminal_bar()
        self.every = PLAIN_SECONDS if self._bar is None else TERMINAL_SECONDS
        self.due = self.began + self.every

    def _terminal_bar(self) -> Any:
        try:
            if not sys.stderr.isatty():
                return None
            size = os.get_terminal_size(sys.stderr.fileno())
            if (
                size.columns < 40 or size.lines < 2
            ):  # some terminals of CI services say 0 for both; tqdm is silent there
                return None
        except (OSError, ValueError, AttributeError):
            return None
        from tqdm import tqdm

        form = "{percentage:3.0f}% |{bar}| step {n_fmt}/{total_fmt}{postfix}  ETA {remaining}"
        SCREEN.bar = tqdm(
            total=self.steps, initial=self.start, bar_format=form, mininterval=0, file=sys.stderr, dynamic_ncols=True
        )
        SCREEN.drawn, SCREEN.below = None, 0
        return SCREEN.bar

    def show(self, step: int, losses: dict[str, float]) -> None:
        """Show the step and the losses, and set the time of the next call."""
        present = time.perf_counter()
        self.due = present + self.every
        if self._bar is None:
            note(self._line(step, losses, present))
            return
        try:
            self._bar.set_postfix_str(losses_text(losses), refresh=False)
            self._bar.update(step - self._bar.n)
        except OSError:  # the terminal is gone
            self._bar.disable = True

    def _line(self, step: int, losses: dict[str, float], present: float) -> str:
        pace = (present - self.began) / max(1, step - self.start)
        left = duration(pace * (self.steps - step))
        return f"step {step}/{self.steps}  {losses_text(losses)}  {1e3 * pace:.3g} ms/step  ETA {left}"

    def close(self) -> None:
        """Leave the line as it is and go to the next."""
        if self._bar is not None:
            SCREEN.bar, SCREEN.below = None, 1
            try:
                self._bar.close()
            except OSError:
                self._bar.disable = True
