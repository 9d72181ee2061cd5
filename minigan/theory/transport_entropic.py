"""Optimal transport with an entropy term, by Sinkhorn's iteration in the log domain.

    P = argmin { <P, C> + epsilon KL(P || a b^T) : P 1 = a, P^T 1 = b },    P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon).

The row sums are right where f_i = -epsilon log sum_j b_j exp((g_j - C_ij) / epsilon), the column sums where the mirror image
holds; Sinkhorn's iteration takes these equations in turn. In logarithms nothing overflows, however small epsilon is.

Its steps shrink the error by a factor that tends to 1 as epsilon becomes small. So epsilon starts large and is lowered in
stages, and now and then a Newton step is tried on the function that the iteration climbs, F(g) = <a, f(g)> + <b, g>: concave,
with gradient b - P^T 1 and Hessian -(diag(P^T 1) - P^T diag(1/a) P) / epsilon. A step that does not help is not taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import Array, array_module
from minigan.theory.arrays import on_arrays
from minigan.theory.transport_discrete import Transport, check_problem

STAGE = 4.0  # from one stage to the next epsilon shrinks by this factor
NEWTON_EVERY = 8
HALVINGS = 6


@on_arrays("a", "b", "cost")
def sinkhorn(
    a: Any, b: Any, cost: Any, *, epsilon: float, tolerance: float = 1e-10, max_iterations: int = 20_000
) -> Any:
    """Entropic optimal transport between two probability tables.

    Args:
        a: (n,) and b: (m,) probabilities; zeros are allowed.
        cost: (n, m) finite costs.
        epsilon: > 0, in the units of the cost. As it tends to 0 the plan tends to an optimal one.
        tolerance: the error of the marginals, sum_i |(P 1)_i - a_i| + sum_j |(P^T 1)_j - b_j|, at which to stop.
        max_iterations: over all stages.

    Returns:
        Transport(plan, cost, potentials=(f, g)): the plan P, <P, C> without the entropy term, and the potentials, of which
        <a, f> + <b, g> is the minimum with the entropy term; they are fixed up to a constant, by <a, f> = <b, g>. It holds
        that 0 <= <P, C> - W <= epsilon min(H(a), H(b)), W the cost without entropy.

        Derivatives of tensors are those of the solution: two Newton steps with a differentiable Jacobian follow the iteration
        where a derivative may be asked for, which makes the first three orders exact.

    Raises:
        ValueError: not probabilities, shapes that do not fit, epsilon or tolerance not positive.
        ArithmeticError: the tolerance was not reached; the message says what was.

    Source: Cuturi 2013 (arXiv 1306.0895); Peyre, Cuturi 2019 (arXiv 1803.00567), sections 4.2 to 4.4; Newton: Brauer, Clason,
    Lorenz, Wirth 2017 (arXiv 1710.06635).
    """
    check_problem(a, b, cost)
    if not (epsilon > 0 and tolerance > 0):
        raise ValueError(f"sinkhorn: got epsilon {epsilon!r} and tolerance {tolerance!r}, expected positive numbers")
    kind, epsilon = cost.dtype, float(epsilon)
    a, b, cost = (ops.cast(t, dtype=np.dtype(np.float64)) for t in (a, b, cost))
    a, b = a / ops.sum(a), b / ops.sum(b)
    g = Tensor(_iterate(a.data, b.data, cost.data, epsilon, tolerance, max_iterations))
    if any(t.requires_grad for t in (a, b, cost)):
        g = _newton(a, b, cost, _newton(a, b, cost, g, epsilon), epsilon)
    f = _row_potential(b, g, cost, epsilon)
    shift = 0.5 * (ops.sum(b * g) - ops.sum(a * f))
    plan = _density(f, g, cost, epsilon) * a[:, None] * b
    plan, total, f, g = (ops.cast(t, dtype=kind) for t in (plan, ops.sum(plan * cost), f + shift, g - shift))
    return Transport(plan, total, (f, g))


def _density(f: Tensor, g: Tensor, cost: Tensor, epsilon: float) -> Tensor:
    """P_ij / (a_i b_j); beyond e^700 only where both masses are 0, and P_ij too."""
    return ops.exp(ops.minimum((f[:, None] + g - cost) * (1.0 / epsilon), 700.0))


def _row_potential(b: Tensor, g: Tensor, cost: Tensor, epsilon: float) -> Tensor:
    """f_i = -epsilon log sum_j b_j exp((g_j - C_ij) / epsilon), as a correction of its own value, so that nothing overflows."""
    f = Tensor(_soft_min(b.data, g.data, cost.data, epsilon))
    return f - epsilon * ops.log(ops.matmul(_density(f, g, cost, epsilon), b))


def _newton(a: Tensor, b: Tensor, cost: Tensor, g: Tensor, epsilon: float) -> Tensor:
    """One Newton step for g = h(f(g)), the fixed point of Sinkhorn's iteration, with everything differentiable.

    f and h have the Jacobians -Q and -S, Q_ij the share of j in row i, S_ji that of i in column j, so the fixed point's is
    I - S Q. It has the null vectors 1 (right) and b (left); 1 b^T is added, which fixes the constant. From a solution, one
    step gives the right first derivative, two the first three (its error is squared each time).
    """
    f = _row_potential(b, g, cost, epsilon)
    h = _row_potential(a, f, ops.transpose(cost), epsilon)
    q = _density(f, g, cost, epsilon) * b
    s = ops.transpose(_density(f, h, cost, epsilon) * a[:, None])
    xp = array_module(cost.data)
    jacobian = Tensor(xp.eye(g.size)) - ops.matmul(s, q) + Tensor(xp.ones((g.size, 1))) * b
    return g - ops.solve(jacobian, (g - h)[:, None])[:, 0]


def _soft_min(masses: Array, potential: Array, cost: Array, epsilon: float) -> Array:
    """-epsilon log sum_j masses_j exp((potential_j - cost_ij) / epsilon), for each row i."""
    xp = array_module(cost)
    with np.errstate(divide="ignore"):
        terms = xp.log(masses) + (potential - cost) / epsilon
    top = terms.max(axis=1, keepdims=True)
    return -epsilon * (top[:, 0] + xp.log(xp.exp(terms - top).sum(axis=1)))


def _iterate(a: Array, b: Array, cost: Array, epsilon: float, tolerance: float, max_iterations: int) -> Array:
    """The potential g, with column sums right to `tolerance` where f is its row potential."""
    rows, columns = a > 0, b > 0
    problem = _Problem(a[rows], b[columns], cost[rows][:, columns])
    g = problem.solve(epsilon, tolerance, max_iterations)
    f = _soft_min(b[columns], g, cost[:, columns], epsilon)
    return _soft_min(a, f, cost.T, epsilon) if not bool(columns.all()) else g


class _Problem:
    """Positive masses and their costs; the iteration proper."""

    def __init__(self, a: Array, b: Array, cost: Array) -> None:
        self.a, self.b, self.cost = a, b, cost
        self.xp = array_module(cost)
        self.spread = float(cost.max() - cost.min())  # potentials that solve the equations differ by no more

    def solve(self, epsilon: float, tolerance: float, max_iterations: int) -> Array:
        """Stage after stage, from an epsilon as large as the costs differ."""
        g, stage, iterations = self.xp.zeros_like(self.b), max(self.spread, epsilon), 0
        while True:
            enough = tolerance if stage == epsilon else max(tolerance, 1e-2)
            g, error, used = self._stage(g, stage, enough, max_iterations - iterations)
            iterations += used
            if error > enough:
                raise ArithmeticError(
                    f"sinkhorn: after {iterations} iterations, at epsilon {stage:.3g}, the marginals are off by {error:.3g}, "
                    f"expected {enough:.3g}; allow a larger epsilon or tolerance, or more max_iterations"
                )
            if stage == epsilon:
                return g
            stage = max(stage / STAGE, epsilon)

    def _stage(self, g: Array, epsilon: float, enough: float, allowed: int) -> tuple[Array, float, int]:
        """(g, error of the marginals, iterations used)."""
        newton = False
        for used in range(allowed + 1):
            f, h, error = self._look(g, epsilon)
            if error <= enough or used == allowed:
                break
            better = (
                self._newton(f, g, h, error, epsilon) if newton or used % NEWTON_EVERY == NEWTON_EVERY - 1 else None
            )
            newton = better is not None
            g = h if better is None else better
        return g, error, used

    def _look(self, g: Array, epsilon: float) -> tuple[Array, Array, float]:
        """f(g), h(f), and how far the column sums are off: they are b exp((g - h) / epsilon)."""
        f = _soft_min(self.b, g, self.cost, epsilon)
        h = _soft_min(self.a, f, self.cost.T, epsilon)
        return f, h, float(self.xp.abs(self.b * self.xp.expm1((g - h) / epsilon)).sum())

    def _newton(self, f: Array, g: Array, h: Array, error: float, epsilon: float) -> Array | None:
        """g after a Newton step, shortened until it lowers the error; None where it does not."""
        xp = self.xp
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            plan = self.a[:, None] * self.b * xp.exp((f[:, None] + g - self.cost) / epsilon)
            sums = plan.sum(axis=0)
            root = xp.sqrt(sums)  # in the coordinates root * g the Hessian has the diagonal near 1
            shares = plan / xp.sqrt(self.a)[:, None] / root
            hessian = xp.eye(len(g)) * (1 + 1e-13) - shares.T @ shares + root[:, None] * root
            if not bool(xp.isfinite(hessian).all()):
                return None
            step = epsilon * xp.linalg.solve(hessian, -self.b * xp.expm1((g - h) / epsilon) / root) / root
            step = step * min(1.0, self.spread / float(xp.abs(step).max()))
            for k in range(HALVINGS):
                tried = g + step / 2.0**k
                if self._look(tried, epsilon)[2] < 0.9 * error:
                    return tried
        return None
