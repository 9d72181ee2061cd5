"""Kernels on the CPU, compiled by Numba; each registers on the function of `kernels/reference.py` that it computes."""
