"""The profiler by which a recording sees what Python a step runs, and what it need not see.

Python calls a profiler for every call and every return, of its own functions and of those in C. Of a step that is watched half of
these are the recording's own work, and where kernels are compiled in it nearly all are the compiler's, which takes twice as long
then. So both take the profiler off meanwhile: this one, and never somebody else's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

Profiler = Callable[..., Any]
_MARK = "watches_steps"


def marked(profiler: Profiler) -> Profiler:
    """The function, known to :func:`pause`."""
    setattr(profiler, _MARK, True)
    return profiler


def pause() -> Profiler | None:
    """Take the recording's profiler off, where it is on in this thread; give what is returned to :func:`resume`."""
    profiler = sys.getprofile()
    if profiler is None or not hasattr(profiler, _MARK):
        return None
    sys.setprofile(None)
    return profiler


def resume(profiler: Profiler | None) -> None:
    """Put it on again, where it was."""
    if profiler is not None:
        sys.setprofile(profiler)
