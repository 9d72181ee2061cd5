"""Every CUDA source compiles for Hopper (sm_90), no GPU and no warning, and holds every kernel we launch.

CuPy and NVRTC are part of CI's environment (`pip install -e ".[ci]"`), so where they are missing there these tests fail;
elsewhere those that compile are skipped.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minigan.kernels.gpu import compiler as gpu_compile
from minigan.kernels.gpu.compiler import KERNELS, CompileError, compile_file, kernel_names, sources

FOLDER = Path(gpu_compile.__file__).parent
LAUNCHERS = [path for path in FOLDER.glob("*.py") if path.name != "compiler.py"]
SPILLED = {f"conv_tile_tf32<{map}, 128>": 256 for map in ("FORWARD", "TRANSPOSE", "WEIGHT")}  # two blocks, or no spills
LISTED = {name for names in KERNELS.values() for name in names}


def nvrtc_problem() -> str:
    """Why nothing can be compiled, or ""."""
    try:
        importlib.import_module("cupy_backends.cuda.libs.nvrtc").getVersion()
    except Exception as error:  # a missing library shows as a RuntimeError of CuPy's own
        return f'{type(error).__name__}: {error}; pip install -e ".[ci]" installs CuPy and NVRTC'
    return ""


@pytest.fixture(scope="module")
def nvrtc() -> None:
    """CUDA's compiler. A skip in CI would hide that its environment is not what it should be."""
    problem = nvrtc_problem()
    if problem and os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)


compiles = pytest.mark.usefixtures("nvrtc")


def launched_kernels() -> set[str]:
    """The kernels that the launchers name, read from their syntax trees: a string constant names each.

    The optimizers are named without their template argument, as the first argument of `_multi`.
    """
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in LAUNCHERS]
    names = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value in LISTED or re.fullmatch(r"\w+<\{T\}(, \d+)?>", node.value):
                names.add(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_multi":
            names.add(f"{ast.literal_eval(node.args[0])}<{{T}}>")
    return names


def test_every_source_and_kernel_is_listed_and_launched() -> None:
    assert set(sources()) == set(KERNELS)
    assert launched_kernels() == LISTED
    for file, text in sources().items():
        defined = set(re.findall(r"__global__ void (\w+)\(", text))
        assert defined == {re.sub("<.*", "", name) for name in KERNELS[file]}, file


@compiles
@pytest.mark.parametrize("file", sorted(KERNELS))
def test_compiles_for_sm_90_without_a_warning(file: str) -> None:
    compiled = compile_file(file, "sm_90")
    assert compiled.log.strip("\0 \n") == "", compiled.log
    assert compiled.binary.startswith(b"\x7fELF")
    assert set(compiled.symbols) == set(kernel_names(file))
    for name, symbol in compiled.symbols.items():
        assert symbol.encode() in compiled.binary, name
    assert set(compiled.registers) == set(compiled.spilled) == set(compiled.symbols)
    spilled = {
        name: count for name, count in compiled.spilled.items() if count
    }  # bytes of a thread's that lie in memory
    assert all(count <= SPILLED.get(name, 0) for name, count in spilled.items()), spilled
    for template in (name for name in KERNELS[file] if "{T}" in name):
        assert {template.replace("{T}", t) for t in ("float", "double")} <= set(compiled.symbols)


def test_no_kernel_uses_float_atomics() -> None:
    for file, text in sources().items():
        assert "atomic" not in re.sub("//.*", "", text), file


@compiles
def test_compile_for_gives_a_size_for_each_file() -> None:
    sizes = gpu_compile.compile_for("compute_90")  # PTX: the way to GPUs newer than this NVRTC
    assert set(sizes) == set(KERNELS)
    assert min(sizes.values()) > 1000


@compiles
def test_an_error_shows_the_log_of_nvrtc(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"philox.cu": "__global__ void philox() { undefined_name(); }"}
    monkeypatch.setattr(gpu_compile, "sources", lambda: wrong)
    with pytest.raises(CompileError, match=r"philox\.cu for sm_90[\s\S]*undefined_name"):
        compile_file("philox.cu")


def test_import_needs_neither_cupy_nor_a_driver() -> None:
    code = "import sys, minigan.kernels.gpu.compiler as c; c.sources(); sys.exit('cupy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parents[2], check=False).returncode == 0
