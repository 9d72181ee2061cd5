"""Directions in which a classifier's answer changes most, found without iteration: what one power step is measured by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.derivatives import jacobian


def unit(r: Tensor) -> Tensor:
    """r / |r| for each example."""
    flat = ops.flatten(r, 1)
    return ops.reshape(flat / (ops.norm(flat, axis=1, keepdims=True) + 1e-12), r.shape)


def top_eigenvectors(classifier: Callable[[Tensor], Tensor], x: Tensor) -> np.ndarray:
    """(N, d): for each example the top eigenvector, of either sign, of H = J^T (diag p - p p^T) J, J the Jacobian of its logits
    and p their softmax. H is the Hessian in r of KL(p(. | x) || p(. | x + r)) at 0, and it is A^T A with

        A = diag(sqrt p) (1 - 1 p^T) J.

    The classifier must treat each example by itself: batch norm in evaluation mode.
    """
    found = []
    for i in range(len(x)):
        one = x[i : i + 1]
        j = jacobian(classifier, one).numpy().astype(np.float64).reshape(-1, one.size)
        p = ops.softmax(classifier(one)).numpy().astype(np.float64)[0]
        a = np.sqrt(p)[:, None] * (j - p @ j)
        found.append(np.linalg.svd(a, full_matrices=False)[2][0])
    return np.stack(found)
