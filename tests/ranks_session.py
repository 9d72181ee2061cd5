"""What `test_ranks_mpi.py` has every rank of one job do: train models alone and together, and compare."""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from test_ranks import apart, trained

import minigan as mg
from minigan.ranks import Alone, World
from minigan.ranks.communicators import MPI
from minigan.run.errors import UsageError
from minigan.run.team import Team

warnings.simplefilter("ignore", UserWarning)
ranks = MPI()
folder = Path(tempfile.mkdtemp())

# N x B/N equals 1 x B, replayed steps among them; "ordered" to the bit, whoever has which shards
for name, options in (("dcgan", {"net": "s4"}), ("acgan", {}), ("toy", {"pool": "8"})):
    alone = trained(name, folder, None, steps=3, **options)
    world = World(ranks)
    together = trained(name, folder, world, steps=3, replay=True, **options)
    assert apart(together, alone) < 1e-10, (name, apart(together, alone))
    assert world.calls and world.bytes
    ordered = trained(name, folder, World(ranks, reduce="ordered", shards=6), steps=3, replay=True, **options)
    of_one = trained(name, folder, World(Alone(), reduce="ordered", shards=6), steps=3, **options)
    assert apart(ordered, of_one) == 0, name
    everybody = ranks.exchange({k: np.asarray(v).tobytes() for k, v in ordered.items()})
    assert all(state == everybody[0] for state in everybody), name

# what the team agrees on
team = Team(ranks)
team.add_up("", "cpu")
team.agree({"data": 5, "option lr": 1e-3})
for facts, wanted in (
    ({"data": ranks.rank // 2}, "another data than rank 0: 1, there 0"),
    ({"option lr": ranks.rank}, "option lr"),
):
    try:
        team.agree(facts)
    except UsageError as error:
        assert wanted in str(error) and f"of {ranks.size} on" in str(error)
    else:
        raise AssertionError(f"all ranks agree on {facts}")
assert team.signal(15 if ranks.rank == 1 else 0) == 15


class Holding:
    def state(self) -> dict[str, np.ndarray]:
        return {"w": np.full(3, float(ranks.rank == 2))}


team.check(Holding(), 99)  # type: ignore[arg-type]
try:
    team.check(Holding(), 100)  # type: ignore[arg-type]
except RuntimeError as error:
    assert f"rank 2 of {ranks.size} holds other numbers than rank 0 at step 100" in str(error)
else:
    raise AssertionError("ranks with different weights go on")
assert mg.__name__ in sys.modules
if ranks.rank == 0:
    print("all ranks agree", flush=True)
