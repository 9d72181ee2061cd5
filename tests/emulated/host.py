"""The CUDA sources through a C++ compiler of the host, and their kernels as CuPy's `RawModule` gives them.

`cuda_on_cpu.h` says what is emulated. A launch checks every argument against the kernel's signature, and after it that no
red zone of an array was written; inside :func:`racecheck` each launch runs twice, its threads and blocks in opposite orders,
and must leave the same bits.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from emulated import capturing, memory
from minigan.kernels.gpu import compiler as gpu_compile

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
COMPILER = "g++"
PACKAGE = "apt-get install g++"
OPTIONS = ("-std=c++17", "-O1", "-w", "-fPIC", "-shared", "-ffp-contract=off", "-U_FORTIFY_SOURCE")
FORWARD, BACKWARD = 0, 1  # orders of threads and blocks
WORDS = {"b": np.bool_, "f": np.float32, "d": np.float64, "q": np.int64, "I": np.uint32}

# What an asm statement does, by its text without spaces: a function of the operands it writes, then of those it reads.
INSTRUCTIONS = {
    "cvt.rna.tf32.f32%0,%1;": "round_to_tf32",
    "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"
    "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};": "mma_m16n8k8_tf32",
}


class KernelError(AssertionError):
    """A kernel did what a GPU would do wrong in silence."""


def problem() -> str:
    """Why nothing can be compiled, or ""."""
    return "" if shutil.which(COMPILER) else f"no {COMPILER} on the PATH: {PACKAGE}"


# -- translation -----------------------------------------------------------------------------------------------------
ASM = re.compile(r"asm\(\s*((?:\"[^\"]*\"\s*)+):([^;]*?):([^;]*?)\);")
SHARED = re.compile(r"(alignas\(\d+\) )?__shared__ (\w+) ([^;]+);")


def _operands(text: str) -> list[str]:
    """The C expressions of one section of an asm statement."""
    return [part.strip() for part in re.findall(r'"[^"]*"\((.*?)\)(?=\s*(?:,\s*"|$))', text.strip(), re.DOTALL)]


def _instruction(found: re.Match[str]) -> str:
    text = re.sub(r"\s", "", "".join(re.findall(r'"([^"]*)"', found[1])))
    if text not in INSTRUCTIONS:
        raise KeyError(
            f"asm: {text} is not emulated; add it to INSTRUCTIONS of {Path(__file__).name} and to {HEADER.name}"
        )
    return f"emulated::{INSTRUCTIONS[text]}({', '.join(_operands(found[2]) + _operands(found[3]))});"


def _shared(found: re.Match[str]) -> str:
    alignment, kind, variables = found.groups(default="")
    lines = []
    for variable in re.split(r",\s*(?![^\[]*\])", variables):
        name = variable.partition("[")[0]
        lines.append(f"{alignment}static {kind} {variable}; static unsigned {name}_block;")
        lines.append(f"emulated::poison({name}_block, &{name}, sizeof {name});")
    return " ".join(lines)


def translated(code: str, names: Sequence[str]) -> str:
    """C++ of a CUDA source, with a table of the kernels of these C++ names."""
    code = SHARED.sub(_shared, ASM.sub(_instruction, code))
    entries = ",\n".join(f"EMULATED_ENTRY({name})" for name in names)
    return f'#include "{HEADER.name}"\n#line 1\n{code}\nconst emulated::Entry emulated_entries[] = {{\n{entries}\n}};\n'


@cache
def library(code: str, names: tuple[str, ...]) -> ctypes.CDLL:
    """The compiled source; compiled once, as the file is kept."""
    if found := problem():
        raise RuntimeError(found)
    text = translated(code, names)
    digest = hashlib.blake2b("\0".join((text, HEADER.read_text(), *OPTIONS)).encode(), digest_size=12).hexdigest()
    folder = Path(os.environ.get("MINIGAN_CACHE") or tempfile.gettempdir()) / "emulated-cuda"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest}.so"
    if not path.exists():
        source, made = path.with_suffix(f".{os.getpid()}.cpp"), path.with_suffix(f".{os.getpid()}.so")
        source.write_text(text)
        command = [COMPILER, *OPTIONS, f"-I{HEADER.parent}", str(source), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{COMPILER}: {done.stderr}")
        source.unlink()
        made.replace(path)  # whole, also where two processes make it
    return ctypes.CDLL(str(path))


# -- launches --------------------------------------------------------------------------------------------------------
_racecheck = False


@contextmanager
def racecheck() -> Iterator[None]:
    """Inside, a kernel whose result depends on the order of threads or blocks raises KernelError."""
    global _racecheck
    before, _racecheck = _racecheck, True
    try:
        yield
    finally:
        _racecheck = before


class Kernel:
    """One kernel, as CuPy's `RawKernel` is called."""

    def __init__(self, loaded: ctypes.CDLL, number: int, name: str) -> None:
        self._loaded, self._number, self.name = loaded, number, name
        text = ctypes.create_string_buffer(4096)
        loaded.emulated_describe(number, text)
        self.parameters = text.value.decode().split()

    def pack(self, args: tuple[Any, ...]) -> list[Any]:
        """The arguments as C values, in the parameters' order and of their types.

        Raises:
            KernelError: another number of arguments, or one of another type.
        """
        if len(args) != len(self.parameters):
            raise KernelError(f"{self.name}: got {len(args)} arguments, expected {len(self.parameters)}")
        return [self._packed(i, a, p) for i, (a, p) in enumerate(zip(args, self.parameters, strict=True))]

    def _packed(self, place: int, value: Any, parameter: str) -> Any:
        got = f"{type(value).__name__} {getattr(value, 'dtype', '')}"
        if parameter[0] == "*":
            if isinstance(value, np.uint64) and value == 0:
                return ctypes.c_void_p(None)
            if not hasattr(value.data, "ptr") or value.dtype != WORDS[parameter[1]]:
                raise KernelError(
                    f"{self.name}: argument {place} is {got}, expected an array of {WORDS[parameter[1]].__name__}"
                )
            return ctypes.c_void_p(value.data.ptr)
        size = int(parameter[1:])
        fits = (
            isinstance(value, np.ndarray) and value.size == 1 and value.dtype.fields and value.itemsize == size
            if parameter[0] == "s"
            else type(value) is WORDS[parameter[0]]
        )
        if not fits:
            raise KernelError(f"{self.name}: argument {place} is {got}, expected {parameter}")
        return ctypes.create_string_buffer(value.tobytes(), size)

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
        values = self.pack(args)
        if min(*grid, *block) < 1 or max(grid) >= 2**31 or (len(grid) > 1 and grid[1] >= 2**16):
            raise KernelError(f"{self.name}: grid {grid} of blocks {block}: a launch that CUDA refuses")
        arrays = [a._values for a in args if hasattr(a, "_values")]
        capturing.note(self.name, lambda *_: self._run(grid, block, values, FORWARD), *arrays)
        if not _racecheck:
            self._run(grid, block, values, FORWARD)
            self._check_zones({a.data.mem for a in args if hasattr(a, "data") and hasattr(a.data, "mem")})
            return
        before = {a: a.bytes().copy() for a in memory.live.values()}
        self._run(grid, block, values, BACKWARD)
        backward = {a: a.bytes().copy() for a in before}
        for allocation, content in before.items():
            allocation.bytes()[...] = content
        self._run(grid, block, values, FORWARD)
        self._check_zones(set(before))
        for allocation, content in backward.items():
            if not np.array_equal(allocation.bytes(), content):
                raise KernelError(
                    f"{self.name}: the result depends on the order of threads (an array of {allocation.size} bytes)"
                )

    def _run(self, grid: tuple[int, ...], block: tuple[int, ...], values: list[Any], order: int) -> None:
        shape = [*grid, *(1,) * (2 - len(grid)), *block, *(1,) * (2 - len(block))]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(v) for v in values))
        text, address = ctypes.create_string_buffer(256), ctypes.c_void_p()
        result = self._loaded.emulated_launch(
            self._number, (ctypes.c_uint * 4)(*shape), ctypes.c_uint(order), pointers, text, ctypes.byref(address)
        )
        if result == 1:
            raise KernelError(f"{self.name}: {text.value.decode()}")
        if result == 2:
            raise KernelError(f"{self.name}: an access {memory.owner(address.value or 0)}")

    def _check_zones(self, allocations: set[memory.Allocation]) -> None:
        for allocation in allocations:
            if not allocation.intact():
                raise KernelError(f"{self.name}: wrote beside an array of {allocation.size} bytes")


class RawModule:
    """As CuPy's, for the sources of `minigan/kernels/gpu`: one library holds all kernels of a file."""

    def __init__(self, *, code: str, options: tuple[str, ...] = (), name_expressions: Sequence[str] = ()) -> None:
        file = next((file for file, text in gpu_compile.sources().items() if text == code), None)
        self._names = gpu_compile.kernel_names(file) if file else tuple(name_expressions)
        self._asked, self._code = set(name_expressions), code

    def get_function(self, name: str) -> Kernel:
        if name not in self._asked:
            raise KernelError(f"{name} was not among the name_expressions {sorted(self._asked)}")
        capturing.refuse(f"to load {name}")
        return Kernel(library(self._code, self._names), self._names.index(name), name)
