"""The vector registers of this processor, and the register tile of our products and convolutions that fills them.

A register holds 16 floats (AVX-512), 8 (AVX2) or 4 (NEON, SSE). A product keeps a tile of `rows` x `vectors` registers of sums,
and beside it one row of B (`vectors` registers) and one number of A in every lane:

    rows * vectors + vectors + 1 <= registers of the processor

Each of the loop's rounds does rows * vectors multiplications for rows + vectors loads, so the tile is as large and as square as
fits. Everything that packs, transposes, tiles, estimates or reserves scratch memory takes its sizes from :data:`TILE`: nothing
else in the package knows how wide the processor is.

| registers | tile of C | sums | why (`python bench/tiles.py` measures the candidates) |
|---|---|---|---|
| AVX-512: 32 of 16 | 8 x 32 | 16 | what the first kernels had; its other candidates have not been measured |
| AVX2: 16 of 8 | 6 x 16 | 12 | measured: mostly quicker than 4 x 24, whose width divides few channel numbers, and than 4 x 16 |
| NEON: 32 of 4 | 8 x 8 | 16 | not measured; 12 columns again do not divide the usual channel numbers |
| SSE with FMA: 16 of 4 | 6 x 8 | 12 | no processor is narrower; for tests |

The kernels need a fused multiply-add in hardware. Where there is none, products go to NumPy's BLAS.

`MINIGAN_LANES=16|8|4` takes a narrower width than the machine has, for tests and for honest comparison: Numba's target is held to
it as well, and NumPy's BLAS where NumPy has not been imported before minigan.
"""

from __future__ import annotations

import os
import platform
from functools import cache
from typing import NamedTuple

LINE = 16  # floats of a cache line of 64 bytes
VARIABLE = "MINIGAN_LANES"


class Tile(NamedTuple):
    """The register tile: `rows` rows of `vectors` registers of `lanes` floats."""

    lanes: int
    rows: int
    vectors: int

    @property
    def width(self) -> int:
        """Columns of the tile: floats of a row."""
        return self.lanes * self.vectors

    def __str__(self) -> str:
        return f"{self.rows} x {self.width} in registers of {self.lanes} floats"


class Processor(NamedTuple):
    """What the compiler knows of the machine: its name for the processor, the features to compile for, and the tile."""

    name: str
    features: str  # "+avx2,+fma,-avx512f,..."
    instructions: str  # "AVX-512", "AVX2", "NEON", "SSE" or "none": what the tile's registers belong to
    tile: Tile
    fused: bool  # a fused multiply-add in hardware: without it our products are not used
    forced: bool  # by MINIGAN_LANES

    def __str__(self) -> str:
        if not self.fused:
            return "NumPy's BLAS, since this processor has no fused multiply-add for vectors"
        why = f"{VARIABLE}={self.tile.lanes}" if self.forced else f"{self.name} has {self.instructions}"
        return f"our own, tiles of {self.tile}: {why}"


TILES = {"AVX-512": Tile(16, 8, 2), "AVX2": Tile(8, 6, 2), "NEON": Tile(4, 8, 2), "SSE": Tile(4, 6, 2)}
# What OpenBLAS calls a processor without wider registers; read when NumPy is imported.
_OPENBLAS = {"8": "Haswell", "4": "Nehalem"}
_INTEL = {"x86_64", "amd64", "i686", "i386"}
_ARM = {"aarch64", "arm64"}


def wished_lanes() -> int | None:
    """The width that MINIGAN_LANES asks for, or None.

    Raises:
        ValueError: it is not 16, 8 or 4.
    """
    wish = os.environ.get(VARIABLE, "")
    if wish and wish not in ("16", "8", "4"):
        raise ValueError(f"{VARIABLE}: got {wish!r}, expected 16, 8 or 4 floats a vector register, or nothing")
    return int(wish) if wish else None


def hold_blas() -> None:
    """Ask NumPy's BLAS for registers no wider than MINIGAN_LANES. It reads this when NumPy is imported: after minigan."""
    name = _OPENBLAS.get(os.environ.get(VARIABLE, ""))
    if name and platform.machine().lower() in _INTEL:
        os.environ.setdefault("OPENBLAS_CORETYPE", name)


def _instructions(features: dict[str, bool], machine: str) -> str:
    """The widest registers with a fused multiply-add, or "none"."""
    if machine in _ARM:
        return "NEON"  # every AArch64 processor has them
    if machine in _INTEL and features.get("fma"):
        return "AVX-512" if features.get("avx512f") else "AVX2" if features.get("avx2") else "SSE"
    return "none"


def _held(features: dict[str, bool], lanes: int) -> dict[str, bool]:
    """The features of the machine without those of wider registers."""
    wide = ("avx512", "avx10", "amx", "evex512")
    held = {name: on and not (lanes < 16 and name.startswith(wide)) for name, on in features.items()}
    return (
        held | {"prefer-128-bit": True} if lanes < 8 else held
    )  # FMA on x86 needs AVX; the compiler then need not use it


def processor_of(name: str, features: dict[str, bool], machine: str, wish: int | None = None) -> Processor:
    """The tile for a processor, by its features in LLVM's words; `wish`: the lanes asked for.

    Raises:
        ValueError: `wish` is more than the processor has, or a width that its family never has.
    """
    natural = _instructions(features, machine)
    tile = TILES.get(natural, TILES["SSE"])
    instructions = natural
    if wish is not None and (natural == "none" or wish != tile.lanes):
        family = ("AVX-512", "AVX2", "SSE") if machine in _INTEL else (natural,)
        possible = {TILES[kind].lanes: kind for kind in family if natural != "none" and TILES[kind].lanes <= tile.lanes}
        if wish not in possible:
            expected = ", ".join(map(str, possible)) or "nothing, since it has no fused multiply-add"
            raise ValueError(f"{VARIABLE}: got {wish} on {name or machine} ({natural}), expected {expected}")
        instructions = possible[wish]
        tile = TILES[instructions]
        features = _held(features, wish)
    words = ",".join(("+" if on else "-") + key for key, on in sorted(features.items()))
    return Processor(name, words, instructions, tile, natural != "none", wish is not None)


def widths() -> list[int]:
    """The widths that MINIGAN_LANES takes on this machine, the one in use first."""
    found = processor()
    family = ("AVX-512", "AVX2", "SSE") if platform.machine().lower() in _INTEL else (found.instructions,)
    return [TILES[kind].lanes for kind in family if found.fused and TILES[kind].lanes <= found.tile.lanes]


@cache
def processor() -> Processor:
    """This machine's, once a process."""
    from llvmlite import binding

    try:
        features = dict(binding.get_host_cpu_features())
    except RuntimeError:  # LLVM cannot tell on this system
        features = {}
    return processor_of(binding.get_host_cpu_name(), features, platform.machine().lower(), wished_lanes())
