"""CUDA graphs of the emulated device: while a stream captures, work is noted, and a graph does it again on the same memory.

On a GPU nothing runs while it is captured; here it does, which changes no later result, and lets values be looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_noted: list[Callable[[], Any]] | None = None


class CaptureError(RuntimeError):
    """What CUDA does not let into a capture."""


def active() -> bool:
    """Whether a stream captures."""
    return _noted is not None


def begin() -> None:
    """Start to note."""
    global _noted
    if _noted is not None:
        raise CaptureError("cudaErrorIllegalState: a stream captures already")
    _noted = []


def end() -> list[Callable[[], Any]]:
    """What was noted."""
    global _noted
    if _noted is None:
        raise CaptureError("cudaErrorIllegalState: no stream captures")
    noted, _noted = _noted, None
    return noted


def refuse(what: str) -> None:
    """Raise while a stream captures."""
    if _noted is not None:
        raise CaptureError(f"cudaErrorStreamCaptureUnsupported: {what} is not permitted when a stream is capturing")


def note(work: Callable[[], Any]) -> None:
    """Work that has been done, for the graph."""
    if _noted is not None:
        _noted.append(work)


def run(work: Callable[[], Any]) -> None:
    """Do work, and note it."""
    work()
    note(work)
