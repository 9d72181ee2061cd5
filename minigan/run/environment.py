"""Where a run happens: versions, processor, threads, BLAS, device. For `env.json` and `minigan doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minigan.kernels.cpu import registers
from minigan.kernels.cpu.threads import THREADS, usable
from minigan.version import __version__

PACKAGES = ("numpy", "numba", "matplotlib", "tqdm", "pooch", "pillow")
CUPY = ("cupy-cuda12x", "cupy-cuda13x", "cupy-cuda11x", "cupy")


def version_of(package: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """minigan, Python and what it depends on; CuPy where it is installed."""
    found: dict[str, str | None] = {"minigan": __version__, "python": platform.python_version()}
    found |= {name: version_of(name) for name in PACKAGES}
    cupy = next((v for v in map(version_of, CUPY) if v), None)
    return found | ({"cupy": cupy} if cupy else {})


def processor() -> str:
    """The CPU's model name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def blas() -> str:
    """The linear algebra library NumPy was built with."""
    config: Any = np.show_config(mode="dicts")
    found = config.get("Build Dependencies", {}).get("blas", {})
    held = os.environ.get("OPENBLAS_CORETYPE")
    return f"{found.get('name', 'unknown')} {found.get('version', '')}".strip() + (f", held to {held}" if held else "")


def describe(device: str) -> dict[str, Any]:
    """All of it, as JSON will hold it."""
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "cpu": processor(),
        "cpus": usable(),
        "threads": THREADS,
        "products": str(registers.processor()),
        "blas": blas(),
        "device": device,
        "gpu": gpu_name() if device == "gpu" else None,
        "command": sys.argv,
        "folder": os.getcwd(),
    }


def gpu_name() -> str:
    """The name of the GPU in use."""
    import cupy

    return str(cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode())
