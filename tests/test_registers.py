"""Register tiles: what is chosen for which processor, and that widths agree."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigan.kernels.cpu import registers
from minigan.kernels.cpu.registers import TILES, processor, processor_of

AVX2 = {"avx2": True, "fma": True, "avx512f": False}
AVX512 = AVX2 | {"avx512f": True, "avx512vl": True, "amx-tile": True}


@pytest.mark.parametrize(
    ("features", "machine", "wish", "instructions"),
    [
        (AVX512, "x86_64", None, "AVX-512"),
        (AVX512, "x86_64", 16, "AVX-512"),
        (AVX512, "x86_64", 8, "AVX2"),
        (AVX512, "amd64", 4, "SSE"),
        (AVX2, "x86_64", None, "AVX2"),
        (AVX2, "x86_64", 4, "SSE"),
        ({"fma": True}, "x86_64", None, "SSE"),
        ({}, "aarch64", None, "NEON"),
        ({}, "arm64", 4, "NEON"),
    ],
)
def test_the_tile_follows_the_processor(features, machine, wish, instructions):
    found = processor_of("some", features, machine, wish)
    assert found.fused and found.instructions == instructions and found.tile == TILES[instructions]
    assert found.forced == (wish is not None)
    if found.tile.lanes < 16:
        assert "+avx512" not in found.features and "+amx" not in found.features
    assert ("+prefer-128-bit" in found.features) == (instructions == "SSE" and wish == 4)


@pytest.mark.parametrize(
    ("features", "machine", "wish"), [(AVX2, "x86_64", 16), ({}, "aarch64", 8), ({"avx2": True}, "x86_64", 4)]
)
def test_a_width_that_the_processor_lacks_is_refused(features, machine, wish):
    with pytest.raises(ValueError, match=f"MINIGAN_LANES: got {wish} on some .*expected"):
        processor_of("some", features, machine, wish)


def test_without_a_fused_multiply_add_the_blas_is_used_and_the_reason_is_told():
    for features, machine in (({"avx2": True}, "x86_64"), ({}, "riscv64")):
        found = processor_of("some", features, machine)
        assert not found.fused and "NumPy's BLAS" in str(found) and "multiply-add" in str(found)


def test_tiles_fit_into_the_registers():
    for name, count in {"AVX-512": 32, "AVX2": 16, "NEON": 32, "SSE": 16}.items():
        tile = TILES[name]
        assert tile.rows * tile.vectors + tile.vectors + 1 <= count and tile.width == tile.lanes * tile.vectors


def test_a_wish_that_is_no_width_is_refused(monkeypatch):
    monkeypatch.setenv("MINIGAN_LANES", "7")
    with pytest.raises(ValueError, match="MINIGAN_LANES: got '7', expected 16, 8 or 4"):
        registers.wished_lanes()


STEPS = """
import json, sys
import numpy as np
import minigan as mg
from minigan.gans import get
from minigan.kernels.cpu.compiler import FOLDER
from minigan.kernels.cpu.registers import processor
rows = {}
for name, shape, batch in (("toy", (2,), 40), ("mlp", (28, 28, 1), 24), ("dcgan", (28, 28, 1), 13)):
    model = get(name)
    runs = []
    for _ in range(2):
        trained = model(model.Config(batch_size=batch), shape, replay=True)
        x = np.random.default_rng(0).uniform(-1, 1, (batch, *shape)).astype("f4")
        runs.append([[loss.item() for loss in trained.game.step(x).values()] for _ in range(4)])
    assert runs[0] == runs[1], "two runs of one width differ"
    rows[name] = runs[0]
print(json.dumps({"lanes": processor().tile.lanes, "folder": str(FOLDER), "losses": rows}))
"""


@pytest.mark.slow
def test_widths_agree_to_rounding_repeat_to_the_bit_and_never_share_compiled_kernels():
    """Every narrower width of this machine's family trains as the machine's own does."""
    native, widths, found = processor().tile.lanes, registers.widths(), {}
    for lanes in widths:
        environment = os.environ | {"MINIGAN_LANES": str(lanes), "PYTHONPATH": str(Path(__file__).parent.parent)}
        done = subprocess.run(
            [sys.executable, "-c", STEPS], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found[lanes] = json.loads(done.stdout)
    assert {row["lanes"] for row in found.values()} == set(widths)
    assert len({row["folder"] for row in found.values()}) == len(widths)
    for row in found.values():
        for name, losses in row["losses"].items():
            np.testing.assert_allclose(
                losses, found[native]["losses"][name], rtol=2e-4, err_msg=f"{row['lanes']} lanes"
            )
