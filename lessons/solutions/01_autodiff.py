"""Answers to the exercises of lesson 1, and the wrong ones that come to mind first."""

import numpy as np


def product_vjp(a, b, g):
    return g @ b.T, a.T @ g


def wrong_product_vjp(a, b, g):
    """Right for numbers; for matrices the other factor has to be transposed."""
    return g @ b, a @ g


def sum_back(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def wrong_sum_back(g, shape):
    """The axes that were added are summed, those of length 1 that were stretched are forgotten."""
    return g.sum(axis=tuple(range(g.ndim - len(shape))))


def backward_order(parents, output):
    """Depth first: a node is written down after all its parents; the reverse of that list."""
    done, order = set(), []

    def visit(i):
        if i not in done:
            done.add(i)
            for parent in parents[i]:
                visit(parent)
            order.append(i)

    visit(output)
    return order[::-1]


def wrong_backward_order(parents, output):
    """Breadth first: wrong where a node is reached by a short way and by a long one."""
    order = [output]
    for i in order:
        order += [p for p in dict.fromkeys(parents[i]) if p not in order]
    return order


def forward_product(pull, v, outputs):
    return np.array([pull(unit) @ v for unit in np.eye(outputs)])


def wrong_forward_product(pull, v, outputs):
    """J^T v: right for symmetric Jacobians only, and of the wrong shape where J is not square."""
    return pull(v)


def best_step(value, third, eps):
    return (3 * eps * value / third) ** (1 / 3)


def wrong_best_step(value, third, eps):
    """The rule of the one-sided difference."""
    return 2 * (eps * value / third) ** 0.5
