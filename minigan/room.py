"""How much memory there is, so that what cannot fit is refused before it is tried.

Linux grants a program more memory than there is and ends it without a word when it uses that; a limit (`ulimit -v`, a
container's, the one of CuPy's pool) is met in the midst of a step. Whoever is about to take much asks here first.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SMALL = 16 << 20  # bytes that are not worth asking for
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


class NoRoomError(MemoryError):
    """What was asked for does not fit into memory. The message says how much it needs, how much there is, and what would fit."""


_trained = False


@contextmanager
def training() -> Iterator[None]:
    """Inside the block layers are made to be trained."""
    global _trained
    before, _trained = _trained, True
    try:
        yield
    finally:
        _trained = before


def check_weight(owner: str, shape: tuple[int, ...]) -> None:
    """NoRoomError where a layer's float32 weight does not fit: twice, while it is drawn; in training five times, with a
    gradient and two moments. ValueError for one that fits into no machine's addresses."""
    if 4 * math.prod(shape) > sys.maxsize:
        raise ValueError(f"{owner}: its weight {shape} is larger than any array can be")
    copies, what = (5, "with what its training needs") if _trained else (2, "while it is drawn")
    check(4 * copies * math.prod(shape), f"{owner}: its weight {shape}, {what},", hint="; make the layer smaller")


def size(nbytes: float) -> str:
    """12.3 MiB."""
    power = 0
    while nbytes >= 1024 and power < len(_UNITS) - 1:
        nbytes, power = nbytes / 1024, power + 1
    return f"{nbytes:.0f} {_UNITS[power]}" if not power else f"{nbytes:.1f} {_UNITS[power]}"


def available(device: str = "cpu") -> int | None:
    """Bytes that this process can take without swapping, and without passing a limit; None where the system does not tell."""
    return min(_of_gpu() if device == "gpu" else _of_cpu(), default=None)


def check(nbytes: int, what: str, device: str = "cpu", hint: str = "") -> None:
    """NoRoomError for more bytes than there are: "`what` needs 8.0 TiB, and 7.1 GiB are free"."""
    if nbytes < SMALL:
        return
    free = available(device)
    if free is not None and nbytes > free:
        raise NoRoomError(f"{what} needs {size(nbytes)}, and {size(free)} are free{hint}")


def _of_cpu() -> Iterator[int]:
    meminfo = _numbers(Path("/proc/meminfo"), ":")
    if "MemAvailable" in meminfo:
        yield 1024 * meminfo["MemAvailable"]
    yield from _of_address_space()
    yield from _of_container()


def _of_address_space() -> Iterator[int]:
    """What `ulimit -v` leaves."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return
    if limit != resource.RLIM_INFINITY:
        yield max(0, limit - used)


def _of_container() -> Iterator[int]:
    """What the memory limit of a container (cgroup v2) leaves; pages of files that it can drop count as free."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = (folder / name for name in ("memory.max", "memory.current"))
        most, present = limit.read_text().strip(), int(used.read_text())
    except (OSError, ValueError):
        return
    if most.isdigit():
        yield max(0, int(most) - present + _numbers(folder / "memory.stat", " ").get("inactive_file", 0))


def _numbers(path: Path, separator: str) -> dict[str, int]:
    """The lines "name: number ..." of a file of the system; none where there is no such file."""
    try:
        lines = [line.partition(separator) for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {name: int(rest.split()[0]) for name, _, rest in lines if rest.split() and rest.split()[0].isdigit()}


def _of_gpu() -> Iterator[int]:
    import cupy

    pool = cupy.get_default_memory_pool()
    free, _ = cupy.cuda.runtime.memGetInfo()
    yield free + pool.free_bytes()
    if limit := pool.get_limit():
        yield max(0, limit - pool.used_bytes())
