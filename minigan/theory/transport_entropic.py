"""Optimal transport with an entropy term, by Sinkhorn's iteration in the log domain and Newton's on the dual.

    P = argmin { <P, C> + epsilon KL(P || a b^T) : P 1 = a, P^T 1 = b },    P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon).

The row sums are right where f_i = -epsilon log sum_j b_j exp((g_j - C_ij) / epsilon), the column sums where the mirror image
holds; Sinkhorn's iteration takes these equations in turn. In logarithms nothing overflows, however small epsilon is.

Its steps shrink the error by a factor that tends to 1 as epsilon becomes small, so three things are added:

- Each is followed by a Newton step on the function that the iteration climbs, F(g) = <a, f(g)> + <b, g>: concave, with
  gradient b - P^T 1 and Hessian -(diag(P^T 1) - P^T diag(1/a) P) / epsilon. Where few entries of the plan hold it together the
  Hessian is nearly singular; a ridge and a line search on F, not on the error, which may have to rise, keep the steps right.
- epsilon starts large and is lowered in stages.
- At each stage the cost is replaced by C_ij - f_i - g_j, which is near 0 where the plan is. The plan is the same, and the
  rounding of a large C_ij / epsilon no longer spoils it (Schmitzer 2019, arXiv 1610.06519).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.backend import Array, array_module
from minigan.theory.arrays import on_arrays
from minigan.theory.transport_discrete import Transport, check_problem

STAGE = 4.0  # from one stage to the next epsilon shrinks by this factor
ROUGHLY = 1e-2  # the error at which a stage before the last may end
HALVINGS = 40


@on_arrays("a", "b", "cost")
def sinkhorn(
    a: Any, b: Any, cost: Any, *, epsilon: float, tolerance: float = 1e-10, max_iterations: int = 2_000
) -> Any:
    """Entropic optimal transport between two probability tables.

    Args:
        a: (n,) and b: (m,) probabilities, divided by their sums; zeros are allowed.
        cost: (n, m) finite costs.
        epsilon: > 0 and finite, in the units of the cost. As it tends to 0 the plan tends to an optimal one.
        tolerance: the largest error of the plan's marginals, sum_i |(P 1)_i - a_i| + sum_j |(P^T 1)_j - b_j|, in float64
            (a float32 plan is rounded after that).
        max_iterations: over all stages; each is a Sinkhorn and a Newton step.

    Returns:
        Transport(plan, cost, potentials=(f, g)): the plan P, <P, C> without the entropy term, and the potentials, of which
        <a, f> + <b, g> is the minimum with the entropy term; they are fixed up to a constant, by <a, f> = <b, g>. It holds
        that 0 <= <P, C> - W <= epsilon min(H(a), H(b)), W the cost without entropy.

        Derivatives of tensors are those of the solution: two Newton steps with a differentiable Jacobian follow the iteration
        where a derivative may be asked for, which makes the first three orders exact. Where epsilon is so small that parts of
        the plan are joined by less than about 1e-13 of it, the potentials' derivatives between these parts are lost.

    Raises:
        ValueError: not probabilities, shapes that do not fit, epsilon or tolerance not positive and finite.
        ArithmeticError: the tolerance was not reached; the message says what was.

    Source: Cuturi 2013 (arXiv 1306.0895); Peyre, Cuturi 2019 (arXiv 1803.00567), sections 4.2 to 4.4; Newton: Brauer, Clason,
    Lorenz, Wirth 2017 (arXiv 1710.06635).
    """
    check_problem(a, b, cost)
    if not (0 < epsilon < math.inf and 0 < tolerance < math.inf):
        raise ValueError(
            f"sinkhorn: got epsilon {epsilon!r} and tolerance {tolerance!r}, expected positive, finite numbers"
        )
    kind, epsilon = cost.dtype, float(epsilon)
    a, b, cost = (ops.cast(t, dtype=np.dtype(np.float64)) for t in (a, b, cost))
    a, b = a / ops.sum(a), b / ops.sum(b)
    f0, g0, start = _iterate(a.data, b.data, cost.data, epsilon, tolerance, max_iterations)
    reduced = cost - Tensor(f0[:, None]) - Tensor(g0)
    g = Tensor(start)
    if any(t.requires_grad for t in (a, b, cost)):
        g = _newton(a, b, reduced, _newton(a, b, reduced, g, epsilon), epsilon)
    f = _row_potential(b, g, reduced, epsilon)
    plan = _density(f, g, reduced, epsilon) * a[:, None] * b
    error = _marginal_error(plan.data, a.data, b.data)
    if not error <= tolerance:
        raise ArithmeticError(
            f"sinkhorn: the plan's marginals are off by {error:.3g}, expected {tolerance:.3g}; allow a larger tolerance"
        )
    f, g = f + Tensor(f0), g + Tensor(g0)
    shift = 0.5 * (ops.sum(b * g) - ops.sum(a * f))
    least = float(cost.data.min())  # taken out, or the rounding of the masses would be multiplied by it
    total = ops.sum(plan * (cost - least)) + least
    plan, total, f, g = (ops.cast(t, dtype=kind) for t in (plan, total, f + shift, g - shift))
    return Transport(plan, total, (f, g))


def _marginal_error(plan: Array, a: Array, b: Array) -> float:
    return float(abs(plan.sum(axis=1) - a).sum() + abs(plan.sum(axis=0) - b).sum())


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
    step gives the right first derivative, two the first three (its error is squared each time). The value is left as it is:
    it is a solution to rounding, and where the Jacobian is nearly singular the step would be rounding made large.
    """
    f = _row_potential(b, g, cost, epsilon)
    h = _row_potential(a, f, ops.transpose(cost), epsilon)
    q = _density(f, g, cost, epsilon) * b
    s = ops.transpose(_density(f, h, cost, epsilon) * a[:, None])
    xp = array_module(cost._data)
    ridge = 1e-14  # parts that nothing joins would make the matrix singular
    jacobian = Tensor(xp.eye(g.size) * (1 + ridge)) - ops.matmul(s, q) + Tensor(xp.ones((g.size, 1))) * b
    step = ops.solve(jacobian, (g - h)[:, None])[:, 0]
    return g - (step - ops.stop_gradient(step))


def _soft_min(masses: Array, potential: Array, cost: Array, epsilon: float) -> Array:
    """-epsilon log sum_j masses_j exp((potential_j - cost_ij) / epsilon), for each row i."""
    return _rows(masses, potential, cost, epsilon)[0]


def _rows(masses: Array, potential: Array, cost: Array, epsilon: float) -> tuple[Array, Array]:
    """The soft minimum of each row, and the shares of its terms, (n, m) with row sums 1."""
    xp = array_module(cost)
    with np.errstate(divide="ignore"):
        terms = xp.log(masses) + (potential - cost) / epsilon
    top = terms.max(axis=1, keepdims=True)
    terms = xp.exp(terms - top)
    total = terms.sum(axis=1, keepdims=True)
    return -epsilon * (top + xp.log(total))[:, 0], terms / total


def _iterate(
    a: Array, b: Array, cost: Array, epsilon: float, tolerance: float, max_iterations: int
) -> tuple[Array, Array, Array]:
    """(f0, g0, g): potentials to reduce the cost by, and the g that solves the problem of the reduced cost."""
    xp = array_module(cost)
    rows, columns = a > 0, b > 0
    problem = _Problem(a[rows], b[columns], cost[rows][:, columns])
    inner = problem.solve(epsilon, tolerance, max_iterations)
    f0, g0, g = (xp.zeros_like(t) for t in (a, b, b))
    f0[rows], g0[columns], g[columns] = problem.f, problem.g, inner
    g0[~columns] = (cost[rows][:, ~columns] - f0[rows, None]).min(axis=0)
    f0[~rows] = (cost[~rows] - g0).min(axis=1)
    reduced = cost - f0[:, None] - g0
    f = _soft_min(b, g, reduced, epsilon)
    g[~columns] = _soft_min(a, f, reduced[:, ~columns].T, epsilon)
    return f0, g0, g


class _Point(NamedTuple):
    """Where the iteration is: g, its f, their plan (whose row sums are right), the gradient of F, and its size, the error."""

    g: Array
    f: Array
    plan: Array
    gradient: Array
    error: float


class _Problem:
    """Positive masses, their costs, and the potentials (f, g) that the costs are reduced by; the iteration proper."""

    def __init__(self, a: Array, b: Array, cost: Array) -> None:
        self.a, self.b, self.cost = a, b, cost
        self.xp = array_module(cost)
        self.spread = float(cost.max() - cost.min())  # potentials that solve the equations differ by no more
        self.f, self.g = self.xp.full_like(a, float(cost.min())), self.xp.zeros_like(b)

    def solve(self, epsilon: float, tolerance: float, max_iterations: int) -> Array:
        """Stage after stage, from an epsilon as large as the costs differ."""
        stage, iterations = max(self.spread, epsilon), 0
        while True:
            self.reduced = self.cost - self.f[:, None] - self.g
            self.epsilon = stage
            enough = tolerance if stage == epsilon else max(tolerance, ROUGHLY)
            point, used = self._stage(enough, max_iterations - iterations)
            iterations += used
            if not point.error <= enough:
                raise ArithmeticError(
                    f"sinkhorn: after {iterations} iterations, at epsilon {stage:.3g}, the marginals are off by "
                    f"{point.error:.3g}, expected {enough:.3g}; allow a larger epsilon or tolerance, or more max_iterations"
                )
            if stage == epsilon:
                return min(point, self._climb(point), key=lambda p: p.error).g  # one step more, as it squares the error
            self.f, self.g = self.f + point.f, self.g + point.g
            stage = max(stage / STAGE, epsilon)

    def _stage(self, enough: float, allowed: int) -> tuple[_Point, int]:
        """(the point reached, iterations used)."""
        point = self._at(self.xp.zeros_like(self.b))
        for used in range(allowed):
            if point.error <= enough:
                return point, used
            point = self._climb(point)
        return point, allowed

    def _at(self, g: Array) -> _Point:
        f, shares = _rows(self.b, g, self.reduced, self.epsilon)
        plan = self.a[:, None] * shares
        gradient = self.b - plan.sum(axis=0)
        return _Point(g, f, plan, gradient, float(abs(gradient).sum()))

    def _climb(self, point: _Point) -> _Point:
        """A Sinkhorn step, which never lowers F, then a Newton step."""
        point = self._at(_soft_min(self.a, point.f, self.reduced.T, self.epsilon))
        step = self._newton_step(point)
        step = step * min(1.0, self.spread / (float(abs(step).max()) or 1.0))
        slope, height = float(point.gradient @ step), self._height(point)
        rounding = 1e-14 * self.spread
        for k in range(HALVINGS):
            tried = self._at(point.g + step / 2.0**k)
            # Not far past the summit along the step, and not lower: the slope says so where F differs by less than rounding.
            if float(tried.gradient @ step) >= -0.5 * slope and self._height(tried) >= height - rounding:
                return tried
        return point

    def _height(self, point: _Point) -> float:
        return float(self.a @ point.f + self.b @ point.g)

    def _newton_step(self, point: _Point) -> Array:
        """In the coordinates root * g no element of the Hessian exceeds 1; its null vector, the constants, is filled in."""
        sums = point.plan.sum(axis=0)
        root = self.xp.sqrt(self.xp.maximum(sums, self.b))
        shares = point.plan / self.xp.sqrt(self.a)[:, None] / root
        ridge = 1e-14 + 1e-3 * min(1.0, point.error)
        hessian = self.xp.diag(sums / root**2 + ridge) - shares.T @ shares + root[:, None] * root
        return self.epsilon * self.xp.linalg.solve(hessian, point.gradient / root) / root
