"""Devices, dtypes, threads, the kernel cache."""

import os
import subprocess
import sys

import numpy as np
import pytest

import minigan as mg
from minigan import backend
from minigan.kernels import compiler, dispatch, threads


def test_devices_are_named_and_missing_ones_explained():
    assert backend.module_for("cpu") is np and backend.device_of(np.zeros(1)) == "cpu"
    with pytest.raises(ValueError, match="expected one of"):
        backend.module_for("tpu")
    if backend.gpu_problem():
        with pytest.raises(backend.DeviceError, match="--device cpu"):
            backend.module_for("gpu")


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
    with dispatch.using("reference"):
        assert dispatch.kernels_for(np.zeros(1)).__name__.endswith("reference")
    assert dispatch.kernels_for(np.zeros(1)).__name__.endswith("cpu_fused")
    with pytest.raises(ValueError, match="expected one of"), dispatch.using("slow"):
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
