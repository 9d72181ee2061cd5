"""What of CuPy the stand-in has, with CuPy's own signatures: a call that CuPy would refuse is refused here too.

`test_emulated.py` compares these with the CuPy that is installed.
"""

from __future__ import annotations

import inspect

METHODS = {
    "all": "(axis=None, out=None, keepdims=False)",
    "any": "(axis=None, out=None, keepdims=False)",
    "argmax": "(axis=None, out=None, dtype=None, keepdims=False)",
    "argmin": "(axis=None, out=None, dtype=None, keepdims=False)",
    "argsort": "(axis=-1, kind=None)",
    "astype": "(dtype, order='K', casting=None, subok=None, copy=True)",
    "clip": "(min=None, max=None, out=None)",
    "copy": "(order='C')",
    "cumprod": "(axis=None, dtype=None, out=None)",
    "cumsum": "(axis=None, dtype=None, out=None)",
    "diagonal": "(offset=0, axis1=0, axis2=1)",
    "dot": "(b, out=None)",
    "flatten": "(order='C')",
    "max": "(axis=None, out=None, keepdims=False)",
    "mean": "(axis=None, dtype=None, out=None, keepdims=False)",
    "min": "(axis=None, out=None, keepdims=False)",
    "nonzero": "()",
    "prod": "(axis=None, dtype=None, out=None, keepdims=None)",
    "ravel": "(order='C')",
    "repeat": "(repeats, axis=None)",
    "reshape": "(*shape, order='C', copy=None)",
    "round": "(decimals=0, out=None)",
    "sort": "(axis=-1, kind=None)",
    "squeeze": "(axis=None)",
    "std": "(axis=None, dtype=None, out=None, ddof=0, keepdims=False)",
    "sum": "(axis=None, dtype=None, out=None, keepdims=False)",
    "swapaxes": "(axis1, axis2)",
    "take": "(indices, axis=None, out=None)",
    "trace": "(offset=0, axis1=0, axis2=1, dtype=None, out=None)",
    "transpose": "(*axes)",
    "var": "(axis=None, dtype=None, out=None, ddof=0, keepdims=False)",
    "view": "(dtype=None, type=None)",
}
OWN_METHODS = {  # written out in arrays.py
    "fill": "(value)",
    "get": "(stream=None, order='C', out=None, blocking=True)",
    "item": "()",
    "set": "(arr, stream=None)",
    "tolist": "()",
}
HOST_READS = ("nonzero",)  # CuPy waits for the device to know how large the result is
SORTS = ("argsort", "sort", "searchsorted", "unique")  # Thrust: not inside a capture
JOINED, JOINED_AT_ONCE = ("concatenate", "stack"), 8  # of more arrays CuPy makes a table of addresses, on the host
PRODUCTS = ("dot", "matmul", "tensordot", "einsum", "vdot", "inner", "outer")  # cuBLAS: not inside a capture

UFUNCS = """abs absolute add arccos arcsin arctan arctan2 arccosh arcsinh arctanh bitwise_and bitwise_or bitwise_xor cbrt ceil
cos cosh divide equal exp exp2 expm1 floor floor_divide fmax fmin fmod greater greater_equal hypot invert isfinite
isinf isnan left_shift less less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor
maximum minimum multiply negative not_equal positive power reciprocal remainder right_shift rint sign sin sinh sqrt
square subtract tan tanh true_divide trunc""".split()  # noqa: SIM905
FUNCTIONS = {
    "all": "(a, axis=None, out=None, keepdims=False)",
    "allclose": "(a, b, rtol=1e-05, atol=1e-08, equal_nan=False)",
    "any": "(a, axis=None, out=None, keepdims=False)",
    "arange": "(start, stop=None, step=1, dtype=None)",
    "argmax": "(a, axis=None, dtype=None, out=None, keepdims=False)",
    "argsort": "(a, axis=-1, kind=None)",
    "array_equal": "(a1, a2, equal_nan=False)",
    "ascontiguousarray": "(a, dtype=None)",
    "broadcast_to": "(array, shape)",
    "clip": "(a, a_min, a_max, out=None)",
    "concatenate": "(tup, axis=0, out=None, *, dtype=None, casting='same_kind')",
    "copyto": "(dst, src, casting='same_kind', where=None)",
    "cumsum": "(a, axis=None, dtype=None, out=None)",
    "diag": "(v, k=0)",
    "einsum": "(*operands, **kwargs)",
    "empty": "(shape, dtype=float, order='C')",
    "empty_like": "(prototype, dtype=None, order='K', subok=None, shape=None)",
    "expand_dims": "(a, axis)",
    "eye": "(N, M=None, k=0, dtype=float, order='C')",
    "flip": "(a, axis=None)",
    "full": "(shape, fill_value, dtype=None, order='C')",
    "full_like": "(a, fill_value, dtype=None, order='K', subok=None, shape=None)",
    "isclose": "(a, b, rtol=1e-05, atol=1e-08, equal_nan=False)",
    "linspace": "(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0)",
    "max": "(a, axis=None, out=None, keepdims=False)",
    "may_share_memory": "(a, b, max_work=None)",
    "mean": "(a, axis=None, dtype=None, out=None, keepdims=False)",
    "min": "(a, axis=None, out=None, keepdims=False)",
    "moveaxis": "(a, source, destination)",
    "ndim": "(a)",
    "nonzero": "(a)",
    "ones": "(shape, dtype=float, order='C')",
    "ones_like": "(a, dtype=None, order='K', subok=None, shape=None)",
    "pad": "(array, pad_width, mode='constant', **kwargs)",
    "repeat": "(a, repeats, axis=None)",
    "reshape": "(a, newshape, order='C', *, copy=None)",
    "searchsorted": "(a, v, side='left', sorter=None)",
    "shape": "(a)",
    "sort": "(a, axis=-1, kind=None)",
    "stack": "(tup, axis=0, out=None, *, dtype=None, casting='same_kind')",
    "sum": "(a, axis=None, dtype=None, out=None, keepdims=False)",
    "swapaxes": "(a, axis1, axis2)",
    "take": "(a, indices, axis=None, out=None)",
    "take_along_axis": "(a, indices, axis)",
    "tensordot": "(a, b, axes=2)",
    "transpose": "(a, axes=None)",
    "tril": "(m, k=0)",
    "triu": "(m, k=0)",
    "where": "(condition, x=None, y=None)",
    "zeros": "(shape, dtype=float, order='C')",
    "zeros_like": "(a, dtype=None, order='K', subok=None, shape=None)",
    "matmul": "(*args, axes=None, axis=None, keepdims=False, casting='same_kind', dtype=None, signature=None, order='K', "
    "out=None)",
}
CREATION = {  # take values from the host
    "array": "(obj, dtype=None, copy=True, order='K', subok=False, ndmin=0, *, blocking=False)",
    "asarray": "(a, dtype=None, order=None, *, copy=None, blocking=False)",
    "asnumpy": "(a, stream=None, order='C', out=None, *, blocking=True)",
}
LINALG = {
    "cholesky": "(a)",
    "det": "(a)",
    "eigh": "(a, UPLO='L')",
    "eigvalsh": "(a, UPLO='L')",
    "inv": "(a)",
    "norm": "(x, ord=None, axis=None, keepdims=False)",
    "slogdet": "(a)",
    "solve": "(a, b)",
    "svd": "(a, full_matrices=True, compute_uv=True)",
}
SOLVERS = tuple(LINALG)  # cuSOLVER and cuBLAS: not inside a capture


def signature(text: str) -> inspect.Signature:
    """The signature that `text`, as in the tables above, stands for."""
    return inspect.signature(eval(f"lambda {text[1:-1]}: None"))  # our own tables
