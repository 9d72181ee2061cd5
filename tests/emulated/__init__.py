"""A GPU for the tests of machines without one: CuPy's manners over NumPy, and the CUDA sources on a compiler of the host.

What it finds: arrays of NumPy among those of the device, calls that CuPy does not know, wrong arguments of kernels, accesses
outside of arrays, races, divergent barriers, wrong results; in a capture also reads by the host and copies from it. What it
cannot find: what only the hardware does (its rounding, its limits of registers and shared memory, its speed), and what NVRTC
refuses (`test_gpu_compile.py`). `test_emulated.py` compares its tables with the CuPy that is installed, and shows that planted
faults are found.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import sys


def driver() -> bool:
    """Whether there is a CUDA driver at all: asked before CuPy is imported, which takes half a second."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def install() -> None:
    """From now on `import cupy` gives the stand-in."""
    from emulated.library import modules

    with contextlib.suppress(
        ImportError, RuntimeError
    ):  # CUDA's compiler needs no GPU, and the real CuPy only to be loaded
        importlib.import_module("cupy_backends.cuda.libs.nvrtc").getVersion()
    for name in [name for name in sys.modules if name.partition(".")[0] in ("cupy", "cupyx")]:
        del sys.modules[name]
    sys.modules.update(modules())
