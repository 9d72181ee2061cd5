"""How a command can end: one exit code for each way, and the message that goes with it."""

from __future__ import annotations

import errno
import os
import shlex
import sys

from minigan import backend
from minigan.data import DataError
from minigan.gans.protocol import ModelError
from minigan.launched import LaunchError
from minigan.room import NoRoomError

DONE, BUG, USAGE, DIVERGED, BAD_INPUT, NO_ROOM = 0, 1, 2, 3, 4, 5
_FULL = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name)}


class UsageError(Exception):
    """The command cannot be carried out as it was given."""


class TakenError(UsageError):
    """Another process trains in the folder."""


class CheckpointError(DataError):
    """A checkpoint, or a file beside it, is missing, broken or belongs to something else."""


class Diverged(Exception):  # noqa: N818 - it is the name of a state of the run, and of its exit code
    """A loss or a weight became NaN or Inf."""


class AuthorError(Exception):
    """An error in the code of a model that is not minigan's own; the message says where."""


def shown(error: BaseException) -> str:
    """An error's text, or its class where it has none."""
    return str(error) or type(error).__name__


def disk_is_full(error: BaseException) -> bool:
    """Whether the system refused to write because there is no room."""
    cut_short = "requested and" in str(error)  # how NumPy's `tofile` says it, without a number
    return isinstance(error, OSError) and (error.errno in _FULL or (error.errno is None and cut_short))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory for something: NumPy's, Numba's and CuPy's errors, and CUDA's own."""
    return isinstance(error, MemoryError) or "cudaErrorMemoryAllocation" in str(error)


def outcome(error: BaseException) -> tuple[int, str]:
    """(exit code, message) of an error that ended a command."""
    if isinstance(error, (UsageError, LaunchError, backend.DeviceError)):
        return USAGE, shown(error)
    if isinstance(error, Diverged):
        return DIVERGED, shown(error)
    if isinstance(error, ValueError) and str(error).startswith("MINIGAN_"):  # a setting in the environment
        return USAGE, shown(error)
    if isinstance(error, (DataError, AuthorError, ModelError)):
        return BAD_INPUT, shown(error)
    if isinstance(error, NoRoomError):
        return NO_ROOM, f"out of memory: {shown(error)}"
    if is_out_of_memory(error):
        return NO_ROOM, f"out of memory ({shown(error)}): use a smaller --batch-size, model or number of samples"
    if isinstance(error, OSError):
        return NO_ROOM, f"{'no room left on the disk' if disk_is_full(error) else 'reading or writing failed'}: {error}"
    return BUG, (
        f"internal error: {type(error).__name__}: {error}\nThis is a bug in minigan; set MINIGAN_DEBUG=1 for the traceback."
    )


def command(*words: object) -> str:
    """A command line of this program, quoted for the shell, as the reader would have to type it."""
    program = ["python", "-m", "minigan"] if os.path.basename(sys.argv[0]) == "__main__.py" else ["minigan"]
    return shlex.join([*program, *map(str, words)])
