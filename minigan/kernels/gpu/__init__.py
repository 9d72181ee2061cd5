"""Kernels on the GPU: here the host's side, in `cuda/` the CUDA itself; each registers on its function in `reference.py`."""
