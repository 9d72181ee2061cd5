"""Today's kernel: a team that is awake, the next panel fetched meanwhile, any layout, the ending in registers.

- A panel of B belongs to one task, so that it is packed once; a team of threads that spin takes tasks within a microsecond
  (`minigan/kernels/cpu/team.py`), so that products of 20 us are shared out too.
- While a tile is computed, lines of the panel that comes next are asked for, one a round or two.
- A and B may be transposed views: panels are turned in registers as they are packed, and a transposed A is packed by strips.
- Bias and activation are applied before a tile is stored, and so is what follows a product in a recorded step.

`minigan/kernels/cpu/gemm.py` has all of it. It stops here because the multipliers are busy: what is left is the
memory's speed.
"""

from __future__ import annotations

from measuring import run_alone

from minigan.backend import Array
from minigan.kernels import reference as kernels


def compute(a: Array, b: Array, out: Array) -> None:
    """out = a b."""
    kernels.matmul(a, b, out)


if __name__ == "__main__":
    run_alone(__file__)
