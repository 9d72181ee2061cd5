"""Ctrl-C while minigan is started as a program: no traceback, exit code 130.

Importing takes a second, in which Python's own answer to Ctrl-C is a traceback out of the middle of somebody's module, or a
line "Exception ignored in ..." and an import that is half done. So the command line has an answer of its own from its first
line on. Whoever imports minigan keeps Python's. What happens before that line, in the first hundredths of a second, is Python's.
"""

from __future__ import annotations

import _signal as signal  # what `signal` wraps; that one takes 5 ms to import, in which nobody would answer
import os
import sys

TYPE_CHECKING = False  # as in `typing`, which is not imported for it
if TYPE_CHECKING:
    from types import FrameType

CODE = 130  # 128 + SIGINT, as a shell reports it
_SCRIPTS = ("minigan", "minigan.exe", "minigan-script.py")


def is_program() -> bool:
    """Whether this process is `minigan ...` or `python -m minigan ...`."""
    argv = getattr(sys, "argv", None) or [""]
    if argv[0] == "-m":  # while the package is imported for it
        words = sys.orig_argv
        return "-m" in words and words[words.index("-m") + 1] == "minigan"
    return os.path.basename(argv[0]) in _SCRIPTS


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _answer(number: int, frame: FrameType | None) -> None:
    if not _importing(frame):
        raise KeyboardInterrupt
    try:  # not through sys.stderr, which may be in the middle of a line
        os.write(2, b"\nminigan: stopped\n")
    finally:
        os._exit(CODE)  # nothing has been written yet


def install() -> None:
    """Answer Ctrl-C, unless the parent process has told us to ignore it (`nohup`), or this is no program of ours."""
    if is_program() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _answer)


def ignore() -> None:
    """For the last moments of a program, when its exit code stands."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
