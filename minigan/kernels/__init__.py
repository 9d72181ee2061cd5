"""Kernels: array in, array out; they know nothing of derivatives.

A kernel has five places, of which it needs the first and the last: its reference function (`reference.py`: what is computed,
in plain array code), a file of `cpu/` (Numba), a file of `gpu/` with the host's side and a `.cu` file beside it, and the
operation in `minigan/ops` that calls it by its name in `reference.py`. `kernel.py` joins them.
"""
