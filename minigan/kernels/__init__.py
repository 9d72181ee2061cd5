"""Kernels: array in, array out; they know nothing of derivatives.

`reference.py` is the specification in plain NumPy. `cpu_*.py` (Numba) and `gpu_*.py` with `cuda/*.cu` (CuPy) compute
the same numbers faster; `dispatch.py` picks one by where the arrays live.
"""
