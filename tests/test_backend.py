"""Devices, dtypes, threads, the kernel cache."""

import os
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

import minigan as mg
from minigan import backend
from minigan.kernels import kernel
from minigan.kernels import reference as kernels
from minigan.kernels.cpu import compiler, threads


def test_devices_are_named_and_missing_ones_explained():
    assert backend.module_for("cpu") is np and backend.device_of(np.zeros(1)) == "cpu"
    with pytest.raises(ValueError, match="expected one of"):
        backend.module_for("tpu")
    if backend.gpu_problem():
        with pytest.raises(backend.DeviceError, match="--device cpu"):
            backend.module_for("gpu")


class CompileException(Exception):
    """As CuPy's: its only base is Exception."""


class BrokenCupy(ModuleType):
    """A CuPy that sees a GPU, and that fails at `where`."""

    def __init__(self, where, error):
        super().__init__("cupy")
        self.where, self.error = where, error

    def _reach(self, where):
        if where == self.where:
            raise self.error

    def is_available(self):
        self._reach("driver")
        return True

    def arange(self, n):
        self._reach("kernel")
        return np.arange(n)

    def ones(self, shape, dtype):
        self._reach("product")
        return np.full(shape, 2 if self.where == "wrong" else 1, dtype)


@pytest.mark.parametrize("error", [CompileException("no header"), RuntimeError("driver too old"), OSError("libcublas")])
@pytest.mark.parametrize("where", ["driver", "kernel", "product", "wrong", ""])
def test_whatever_a_broken_cupy_raises_is_a_reason_and_not_a_bug(monkeypatch, where, error):
    monkeypatch.setitem(sys.modules, "cupy", BrokenCupy(where, error))
    monkeypatch.setattr(backend, "_gpu_problem", None)
    problem = backend.gpu_problem()
    if where in ("", "wrong"):
        assert problem == ("a GPU is present but its first kernels returned (20, 16), not (20, 4)" if where else "")
        return
    assert f"{type(error).__name__}: {error}" in problem and "pip install" in problem
    with pytest.raises(backend.DeviceError, match="use --device cpu"):
        backend.module_for("gpu")


def test_a_cupy_that_cannot_be_imported_is_a_reason(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise RuntimeError('CuPy is not correctly installed')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(backend, "_gpu_problem", None)
    assert "cannot be imported (RuntimeError: CuPy is not correctly installed)" in backend.gpu_problem()


def test_dtypes():
    assert mg.tensor([1, 2]).dtype == np.float32 and mg.tensor(np.arange(2)).dtype == np.int64
    assert mg.tensor(np.zeros(1)).dtype == np.float64 and mg.tensor(2.0, dtype="float64").dtype == np.float64
    with pytest.raises(TypeError, match="float16"):
        mg.tensor(np.zeros(1, np.float16))
    with pytest.raises(TypeError, match="int32"):
        backend.as_float_dtype("int32")
    with pytest.raises(TypeError, match="requires_grad"):
        mg.tensor(np.arange(2), requires_grad=True)


def test_kernel_choice_is_checked_and_restored():
    with kernel.using("reference"):
        assert kernel.settings()[0] == "reference"
        assert kernels.column_sum.plan(np.ones((2, 2)), np.ones(2)) is None
    assert kernel.settings()[0] == "fast" and kernels.column_sum.plan(np.ones((2, 2)), np.ones(2)) is not None
    with pytest.raises(ValueError, match="expected one of"), kernel.using("slow"):
        pass


def test_split_covers_every_row_once_for_any_number_of_threads(monkeypatch):
    for count in (1, 2, 5):
        monkeypatch.setattr(threads, "THREADS", count)
        seen = np.zeros(17, int)

        def kernel(start, stop, seen=seen):
            seen[start:stop] += 1

        threads.split(kernel, 17, 10**6)
        assert (seen == 1).all()


def test_thread_count_is_checked(monkeypatch):
    monkeypatch.setenv("MINIGAN_THREADS", "0")
    with pytest.raises(ValueError, match="positive integer"):
        threads.thread_count()


SCRIPT = """
import numpy as np
import minigan as mg
print(float(mg.ops.relu(np.full((2, 2), -1.0, np.float32)).sum().item()))
p = mg.tensor([1.0], requires_grad=True)
mg.optim.SGD([p], lr=1.0).step([mg.tensor([1.0])])  # a task of the team
assert p.item() == 0
"""


def run(cache, **environment):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "MINIGAN_CACHE": str(cache), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty"])
def test_a_broken_kernel_cache_is_cleared_not_fatal(tmp_path, damage):
    run(tmp_path)
    files = [p for p in tmp_path.rglob("*") if p.suffix in (".nbi", ".nbc")]
    assert files
    for path in files:
        whole = path.read_bytes()
        path.write_bytes({"garbage": b"\x80garbage" * 40, "truncated": whole[: len(whole) // 2], "empty": b""}[damage])
    assert run(tmp_path).stdout.strip() == "0.0"
    again = run(tmp_path)
    assert again.stdout.strip() == "0.0" and "unusable" not in again.stderr


def test_an_unwritable_cache_folder_is_not_fatal(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert run(blocked).stdout.strip() == "0.0"


def test_the_cache_folder_is_named_by_the_sources():
    assert compiler.cache_folder().name.startswith("kernels-") and compiler.cache_folder() == compiler.cache_folder()


def test_reference_kernels_by_environment(tmp_path):
    assert run(tmp_path, MINIGAN_KERNELS="reference").stdout.strip() == "0.0"
    assert not list(tmp_path.rglob("*.nbi"))


def test_precision_is_set_for_good_or_for_a_block():
    assert backend.precision() == "highest"
    with backend.matmul_precision("high"):
        assert backend.precision() == "high"
        with backend.matmul_precision("highest"):
            assert backend.precision() == "highest"
        assert backend.precision() == "high"
    with pytest.raises(KeyError), backend.matmul_precision("high"):
        raise KeyError
    assert backend.precision() == "highest"
    backend.matmul_precision("high")
    assert backend.precision() == "high"
    backend.matmul_precision("highest")
    with pytest.raises(ValueError, match="matmul_precision: got 'medium', expected one of"):
        backend.matmul_precision("medium")
    assert backend.precision() == "highest"
