"""Whether this process is one of several that a launcher has started to compute together, by what it wrote into the environment.

Nothing is imported for it: MPI least of all (see `minigan.ranks.start`).
"""

from __future__ import annotations

import os

SIZES = (
    "PMI_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "SLURM_STEP_NUM_TASKS",
)  # how many there are: by MPICH and its kin, Open MPI, srun
SIZES_HERE = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE")  # how many of them run on this machine

RANKS_HERE = ("MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID")  # which of these this one is, from 0


class LaunchError(RuntimeError):
    """The processes that were started cannot work together."""


def count() -> int:
    """How many there are in all; 1 where nobody has started several.

    Raises:
        LaunchError: the environment holds something else than a number.
    """
    return _number(SIZES)


def count_here() -> int:
    """How many of them run on this machine; 1 where that is not said."""
    return _number(SIZES_HERE)


def rank_here() -> int:
    """Which of them this one is, from 0; 0 where that is not said."""
    return _number(RANKS_HERE, least=0)


def _number(names: tuple[str, ...], *, least: int = 1) -> int:
    for name in names:
        if text := os.environ.get(name, ""):
            if not text.isdigit() or int(text) < least:
                raise LaunchError(f"{name}: got {text!r}, expected a number >= {least}, as mpiexec and srun write it")
            return int(text)
    return least
