"""The CUDA sources: where they are, which kernels they hold, and how to compile them without a GPU.

`launch.py` compiles them for the GPU it finds; the tests compile them for sm_90 on machines without.
Both use NVRTC, NVIDIA's compiler as a library, which needs no driver (pip package nvidia-cuda-nvrtc-cu12).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "cuda"
OPTIONS = ("-std=c++17",)  # no --use_fast_math: denormals, division and square root as IEEE 754 has them

TYPES = {"float32": "float", "float64": "double"}

# Every kernel by the file it is in; {T} stands for the C name of a dtype.
KERNELS: dict[str, tuple[str, ...]] = {
    "activation.cu": (
        "bias_activation<{T}>",
        "activation_backward<{T}>",
        "bce_with_logits<{T}>",
        "mean_softplus<{T}>",
        "mean_softplus_finish<{T}>",
        "mean_softplus_backward<{T}>",
    ),
    "normalize.cu": (
        "sums<{T}>",
        "sums_finish<{T}>",
        "batch_norm_sums<{T}>",
        "batch_norm_statistics<{T}>",
        "follow_statistics<{T}>",
        "batch_norm_apply<{T}>",
        "batch_norm_backward_sums<{T}>",
        "batch_norm_backward_statistics<{T}>",
        "batch_norm_backward_apply<{T}>",
        "layer_norm<{T}>",
        "layer_norm_backward<{T}>",
        "layer_norm_backward_sums<{T}>",
        "layer_norm_backward_finish<{T}>",
        "group_norm_sums<{T}>",
        "group_norm_factors<{T}>",
        "group_norm_apply<{T}>",
        "group_norm_backward_sums<{T}>",
        "group_norm_backward_factors<{T}>",
        "group_norm_backward_apply<{T}>",
    ),
    "optimizer.cu": ("sgd<{T}>", "rmsprop<{T}>", "adam<{T}>", "ema<{T}>"),
    "philox.cu": ("philox", "normal", "mask<{T}>"),
    "index.cu": ("segment_starts", "segment_sum<{T}, 1>", "segment_sum<{T}, 32>"),
    "recurrent.cu": (
        "lstm_scan<{T}>",
        "lstm_scan_backward<{T}>",
        "gru_scan<{T}>",
        "gru_scan_backward<{T}>",
    ),
    "conv.cu": (
        "conv_tile<{T}, FORWARD, 8>",
        "conv_tile<{T}, FORWARD, 64>",
        "conv_tile<{T}, TRANSPOSE, 8>",
        "conv_tile<{T}, TRANSPOSE, 64>",
        "conv_tile<{T}, WEIGHT, 8>",
        "conv_tile<{T}, WEIGHT, 64>",
        "conv_tile_tf32<FORWARD, 64>",
        "conv_tile_tf32<FORWARD, 128>",
        "conv_tile_tf32<TRANSPOSE, 64>",
        "conv_tile_tf32<TRANSPOSE, 128>",
        "conv_tile_tf32<WEIGHT, 64>",
        "conv_tile_tf32<WEIGHT, 128>",
        "conv_sum<{T}>",
    ),
}

ONE_BY_ONE = ("conv.cu",)  # many large kernels, of which a program needs few: each is compiled when first used


class CompileError(RuntimeError):
    """NVRTC refused a source; the message is its log."""


@dataclass(frozen=True)
class Compiled:
    """One compiled file: machine code (or PTX), NVRTC's log, the symbol of each kernel by its C++ name; and for machine code by
    the same name how many registers a thread takes, and how many bytes of them are kept in memory for want of room."""

    binary: bytes
    log: str
    symbols: dict[str, str]
    registers: dict[str, int]
    spilled: dict[str, int]


# What ptxas tells of a kernel, among other lines, all of which begin with its name.
_TOLD = re.compile(
    r"Function properties for (\w+)\n.*?(\d+) bytes spill stores, (\d+) bytes spill loads\nptxas info *: Used (\d+) registers"
)


def _text(path: Path) -> str:
    """A source with its `#include "NAME.cuh"` lines replaced by those files: one string, compiled anywhere."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r'^#include "(\w+\.cuh)"$', lambda line: _text(FOLDER / line[1]), text, flags=re.MULTILINE)


def sources() -> dict[str, str]:
    """The text of every `.cu` file by its name, with what it includes."""
    return {path.name: _text(path) for path in sorted(FOLDER.glob("*.cu"))}


def kernel_names(file: str) -> tuple[str, ...]:
    """The C++ names of all kernels of `file`, each in both dtypes where it is a template.

    Raises:
        KeyError: for a file that is not in `KERNELS`.
    """
    names = (name.replace("{T}", c_type) for name in KERNELS[file] for c_type in TYPES.values())
    return tuple(dict.fromkeys(names))  # a kernel without {T} is there once


def compile_file(file: str, arch: str = "sm_90") -> Compiled:
    """Compile one `.cu` file with NVRTC; works without a GPU or driver.

    Args:
        file: a name in `KERNELS`.
        arch: `"sm_90"` gives machine code of that GPU generation, `"compute_90"` gives PTX.

    Raises:
        KeyError: for a file that is not in `KERNELS`.
        CompileError: when NVRTC refuses the source; the message is its log.
    """
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(sources()[file], file, (), ())
    try:
        for name in kernel_names(file):
            nvrtc.addNameExpression(program, name)
        try:
            verbose = ("--ptxas-options=-v",) if arch.startswith("sm_") else ()
            nvrtc.compileProgram(program, (*OPTIONS, f"--gpu-architecture={arch}", *verbose))
        except nvrtc.NVRTCError as error:
            raise CompileError(f"{file} for {arch}: {error}\n{nvrtc.getProgramLog(program)}") from error
        symbols = {name: nvrtc.getLoweredName(program, name) for name in kernel_names(file)}
        result = nvrtc.getCUBIN(program) if arch.startswith("sm_") else nvrtc.getPTX(program)
        binary = result if isinstance(result, bytes) else result.encode()
        log, names = nvrtc.getProgramLog(program), {symbol: name for name, symbol in symbols.items()}
        told = [found for found in _TOLD.findall(log) if found[0] in names]
        registers = {names[symbol]: int(count) for symbol, _, _, count in told}
        spilled = {names[symbol]: int(stores) + int(loads) for symbol, stores, loads, _ in told}
        warnings = "\n".join(line for line in log.splitlines() if not line.startswith(("ptxas info", "ptxas  ")))
        return Compiled(binary, warnings, symbols, registers, spilled)
    finally:
        nvrtc.destroyProgram(program)


def compile_for(arch: str = "sm_90") -> dict[str, int]:
    """Compile every file; the size in bytes of each binary. Arguments and errors as :func:`compile_file`."""
    return {file: len(compile_file(file, arch).binary) for file in KERNELS}
