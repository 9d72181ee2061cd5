"""Kernels: array in, array out; they know nothing of derivatives.

`reference.py` is the specification in plain NumPy. `cpu/` (Numba) and `gpu/` (CuPy, and CUDA in `.cu` files)
compute the same numbers faster; `dispatch.py` picks one by where the arrays live.
"""
