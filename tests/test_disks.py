"""A disk of one MiB that fills up, and one that becomes read-only, for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from disks import namespace
from tiny_runs import TINY

import minigan

HERE = Path(__file__).parent
ROOT = Path(minigan.__file__).parent.parent
MOUNT = 'mount -t tmpfs -o size=1m none disk && cd disk && exec "$@"'


@pytest.mark.mount
def test_a_disk_that_fills_up_and_one_that_cannot_be_written(tmp_path):
    steps = [
        # Checkpoints of a third of a MiB, and pictures: the last ones find no room, and what is there stays.
        ("train toy --steps 100 --save-every 10 --out run", 5),
        ("! ls run/checkpoints/step-*.npz > /dev/null", 0),
        ("sample run -n 500000 --out points.npy", 5),
        ("! dd if=/dev/zero of=fill bs=1k 2> /dev/null || true", 0),
        ("train toy --steps 2 --out new", 5),
        ("export run --safetensors w.safetensors", 5),
        ("resume run --steps 110", 5),
        ("! test ! -e w.safetensors && test ! -e points.npy && rm fill", 0),
        ("! mount -o remount,size=16m .", 0),
        ("resume run --steps 110", 0),
        ("! mount -o remount,ro .", 0),
        (f"train toy --steps 2 --out new {' '.join(TINY)}", 2),
        ("resume run --steps 120", 5),
        ("sample run -n 4", 5),
        ("evaluate run -n 40", 0),  # the table is printed
        ("plot run --csv m.csv", 5),
        ("best run", 0),
    ]
    (tmp_path / "disk").mkdir()
    driver = [sys.executable, str(HERE / "stream_driver.py"), json.dumps([(command, []) for command, _ in steps])]
    mounts = namespace()
    assert mounts is not None
    done = subprocess.run(
        [*mounts, "sh", "-c", MOUNT, "sh", *driver], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for (command, code), (got, said) in zip(steps, json.loads(done.stdout), strict=True):
        assert got == code and "Traceback" not in said and "internal error" not in said, f"{command}: {got} {said}"
        if code == 5 and "resume" not in command:
            assert "no room left on the disk" in said or "Read-only" in said, f"{command}: {said}"
