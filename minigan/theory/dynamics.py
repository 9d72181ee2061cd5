"""Games in motion: the vector field of several players, its Jacobian, and the maps that step along it.

A game is a list of losses, one a player: `losses[k](*players)` is what player k minimises over `players[k]`, an array or a
number. All players descend at once along

    v(x) = (-grad_1 L_1(x), ..., -grad_n L_n(x)),     x all players' coordinates in their order,

and near a rest point v(x*) = 0 everything is decided by the Jacobian J = dv/dx. Descent on one loss has v = -grad L and
J = -Hessian, which is symmetric, with real eigenvalues. A game's J need not be: its antisymmetric part rotates.

Players are given as a tuple and returned as one; a lone number stays a number. Given tensors, results are tensors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor
from minigan.derivatives import jacobian, vjp
from minigan.switches import state
from minigan.theory.arrays import in_one_dtype, plain, tensor_of

Loss = Callable[..., Any]
Players = tuple[Any, ...]
Step = float | Sequence[float]
Rule = Callable[..., Players]
NEWTON_STEPS = 50


# -- the field -------------------------------------------------------------------------------------------------------
def vector_field(losses: Sequence[Loss], players: Sequence[Any]) -> Players:
    """v = (-grad_1 L_1, ..., -grad_n L_n) at `players`, of their shapes: where each player wants to go.

    Args:
        losses: functions of all players, written with `ops` or operators, each with one number as its result.
        players: a tuple of arrays, numbers or tensors, one a loss.

    Raises:
        ValueError: another number of players than of losses, or a loss with more than one element.
    """
    return _result(players, _field(losses, _tensors(losses, players)))


def game_jacobian(losses: Sequence[Loss], players: Sequence[Any]) -> Any:
    """J[i, j] = d v_i / d x_j at `players`, x all coordinates in the players' order: (n, n).

    The block of row-player k and column-player l is -d^2 L_k / dx_k dx_l.
    """
    xs = _tensors(losses, players)
    rows = jacobian(lambda *at: _flat(_field(losses, at)), tuple(map(_alias, xs)), create_graph=_wanted(xs))
    n = sum(x.size for x in xs)
    whole = ops.concatenate([ops.reshape(block, (n, -1)) for block in rows], axis=1)
    return whole if any(isinstance(p, Tensor) for p in players) else whole.data


def rate_of_change(quantity: Loss, losses: Sequence[Loss], players: Sequence[Any]) -> Any:
    """d/dt q(x) = <grad q(x), v(x)> along x' = v(x), q a function of all players. Where it is 0 at every x, q is conserved."""
    xs = _tensors(losses, players)
    slopes = vjp(lambda *at: _number(quantity(*at), "quantity"), tuple(map(_alias, xs)), 1.0, create_graph=_wanted(xs))[
        1
    ]
    rate = ops.sum(_flat(slopes) * _flat(_field(losses, xs)))
    return rate if any(isinstance(p, Tensor) for p in players) else rate.item()


def _tensors(losses: Sequence[Loss], players: Sequence[Any]) -> list[Tensor]:
    single = isinstance(players, (Tensor, np.ndarray))
    if single or len(losses) != len(players) or not players:
        received = "one array" if single else f"{len(players)} players"
        raise ValueError(f"game: got {len(losses)} losses and {received}, expected a tuple with one array a loss")
    return in_one_dtype(*players)


def _alias(x: Tensor) -> Tensor:
    """x as a place of its own in the graph: another player who was computed from x still counts as held fixed."""
    return x if x.node is None else ops.identity(x)


def _result(players: Sequence[Any], values: Sequence[Tensor]) -> Players:
    given_tensors = any(isinstance(p, Tensor) for p in players)
    result: Players = tuple(values) if given_tensors else plain(tuple(values))
    return result


def _wanted(xs: Sequence[Tensor]) -> bool:
    """Whether somebody will differentiate what is computed from `xs`."""
    return state.enabled and any(x.node is not None for x in xs)


def _number(value: Any, name: str) -> Tensor:
    value = ops.as_tensor(value)
    if value.size != 1:
        raise ValueError(f"game: {name} has shape {value.shape}, expected one number")
    return value if value.ndim == 0 else ops.reshape(value, ())


def _descent(losses: Sequence[Loss], xs: Sequence[Tensor], k: int) -> Tensor:
    """-grad_k L_k, all other players held fixed; a graph where one of `xs` is in one."""

    def own(x: Tensor) -> Tensor:
        return _number(losses[k](*xs[:k], x, *xs[k + 1 :]), f"loss {k}")

    return -vjp(own, _alias(xs[k]), 1.0, create_graph=_wanted(xs))[1]


def _field(losses: Sequence[Loss], xs: Sequence[Tensor]) -> list[Tensor]:
    return [_descent(losses, xs, k) for k in range(len(xs))]


def _flat(xs: Sequence[Tensor]) -> Tensor:
    return ops.concatenate([ops.reshape(x, (-1,)) for x in xs])


def _unflat(flat: np.ndarray, xs: Sequence[Tensor]) -> list[Tensor]:
    parts = np.split(flat, np.cumsum([x.size for x in xs])[:-1])
    return [Tensor(part.reshape(x.shape)) for part, x in zip(parts, xs, strict=True)]


# -- matrices --------------------------------------------------------------------------------------------------------
def decompose(matrix: Any) -> tuple[np.ndarray, np.ndarray]:
    """(S, A) = ((J + J^T)/2, (J - J^T)/2): the part that a potential can have, and the part that rotates (Balduzzi et al.
    2018, arXiv 1802.05642, section 2)."""
    j = square(matrix)
    return (j + j.T) / 2, (j - j.T) / 2


def eigenvalues(matrix: Any) -> np.ndarray:
    """The eigenvalues of a square matrix, complex, by decreasing real part, then decreasing imaginary part.

    x' = v(x) returns to a rest point where all those of J have a negative real part, and leaves it where one is positive.
    """
    values = np.linalg.eigvals(square(matrix)).astype(np.complex128)
    return values[np.lexsort((-values.imag, -values.real.round(12)))] + 0.0  # no -0


def spectral_radius(matrix: Any) -> float:
    """The largest |eigenvalue|. Iterating a map near its rest point converges where that of its matrix is below 1."""
    return float(np.abs(eigenvalues(matrix)).max())


def square(matrix: Any) -> np.ndarray:
    """The matrix as a float64 array, checked to be square."""
    j = np.asarray(matrix.data if isinstance(matrix, Tensor) else matrix, dtype=np.float64)
    if j.ndim != 2 or j.shape[0] != j.shape[1] or not j.size:
        raise ValueError(f"dynamics: got a matrix of shape {j.shape}, expected a square one")
    return j


# -- rules: one step -------------------------------------------------------------------------------------------------
def simultaneous(losses: Sequence[Loss], players: Sequence[Any], *, step: Step) -> Players:
    """x + h v(x): all players at once. In every rule here h is one step size, or one for each player."""
    xs = _tensors(losses, players)
    return _result(players, _move(xs, _field(losses, xs), _sizes(step, xs)))


def alternating(
    losses: Sequence[Loss], players: Sequence[Any], *, step: Step, order: Sequence[int] | None = None
) -> Players:
    """x_k <- x_k - h_k grad_k L_k(x) for one k after the other, each against the others' newest parameters.

    order: the players' numbers as they move, by default each once, first to last. (1, 1, 0) is two moves of player 1, then one
        of player 0.
    """
    xs = _tensors(losses, players)
    hs = _sizes(step, xs)
    for k in checked_order(order, len(xs)):
        xs[k] = xs[k] + hs[k] * _descent(losses, xs, k)
    return _result(players, xs)


def extragradient(losses: Sequence[Loss], players: Sequence[Any], *, step: Step) -> Players:
    """x + h v(x + h v(x)): look ahead, then step from where one stood (Korpelevich 1976; Gidel et al. 2018, arXiv
    1802.10551, section 3.2)."""
    xs = _tensors(losses, players)
    hs = _sizes(step, xs)
    ahead = _move(xs, _field(losses, xs), hs)
    return _result(players, _move(xs, _field(losses, ahead), hs))


def optimistic(
    losses: Sequence[Loss], players: Sequence[Any], previous: Sequence[Any] | None = None, *, step: Step
) -> Players:
    """x_t + 2 h v(x_t) - h v(x_{t-1}): the last change of v is expected once more (Daskalakis et al. 2017, arXiv
    1711.00141, section 2). `previous` is x_{t-1}; at the start it is x_t, and the step is that of :func:`simultaneous`."""
    if previous is None and _steps_before.get():
        raise ValueError(
            "optimistic: got no previous players in a step that is not the first; in `iterate`, give your rule an argument "
            "`previous` and pass it on: rule(losses, players, previous=None, **options)"
        )
    xs = _tensors(losses, players)
    hs = _sizes(step, xs)
    now = _field(losses, xs)
    before = now if previous is None else _field(losses, _tensors(losses, previous))
    return _result(players, _move(xs, [2.0 * a - b for a, b in zip(now, before, strict=True)], hs))


def implicit(losses: Sequence[Loss], players: Sequence[Any], *, step: Step) -> Players:
    """The y with y = x + h v(y): the proximal point, the gradient taken where one arrives (Rockafellar 1976).

    Newton's method: y <- y - (I - h J(y))^-1 (y - x - h v(y)), from y = x.

    Raises:
        ValueError: no solution found, or tensors in a graph (its derivative at a rest point is :func:`linear_map`'s).
    """
    xs = _tensors(losses, players)
    if _wanted(xs):
        raise ValueError(
            "implicit: got tensors that require derivatives, which Newton's method does not give; pass arrays"
        )
    x, h = _flat(xs).data, _spread(_sizes(step, xs), [p.size for p in xs])
    y = x
    for _ in range(NEWTON_STEPS):
        at = _unflat(y, xs)
        gap = y - x - h * _flat(_field(losses, at)).data
        try:
            change = np.linalg.solve(np.eye(len(x)) - h[:, None] * game_jacobian(losses, at).data, gap)
        except np.linalg.LinAlgError:
            raise ValueError(
                f"implicit: got a singular I - h J at {y}: y = x + h v(y) has no or many solutions; take another step than {step}"
            ) from None
        y = y - change
        if np.abs(change).max() <= 1e-14 * max(1.0, np.abs(y).max()):
            return _result(players, _unflat(y, xs))
    raise ValueError(
        f"implicit: no y = x + h v(y) found in {NEWTON_STEPS} Newton steps; take a smaller step than {step}"
    )


def consensus(losses: Sequence[Loss], players: Sequence[Any], *, step: Step, gamma: float) -> Players:
    """x + h (v - gamma J^T v): descent that also shrinks |v|^2 / 2, whose gradient is J^T v (Mescheder et al. 2017, arXiv
    1705.10461, section 4)."""
    return simultaneous(consensus_losses(losses, gamma=gamma), players, step=step)


def consensus_losses(losses: Sequence[Loss], *, gamma: float) -> list[Loss]:
    """L_k + gamma |v|^2 / 2 for every player: the game whose field is v - gamma J^T v (ibid.)."""

    def regularised(k: int) -> Loss:
        def loss(*players: Any) -> Tensor:
            v = _flat(_field(losses, _tensors(losses, players)))
            return _number(losses[k](*players), f"loss {k}") + (0.5 * gamma) * ops.sum(ops.square(v))

        return loss

    return [regularised(k) for k in range(len(losses))]


def runge_kutta(losses: Sequence[Loss], players: Sequence[Any], *, step: Step) -> Players:
    """The classical method of order 4 for x' = v(x): the continuous motion, to an error of h^5 a step."""
    xs = _tensors(losses, players)
    hs = _sizes(step, xs)
    half = [h / 2 for h in hs]
    a = _field(losses, xs)
    b = _field(losses, _move(xs, a, half))
    c = _field(losses, _move(xs, b, half))
    d = _field(losses, _move(xs, c, hs))
    return _result(
        players, _move(xs, [(p + 2.0 * q + 2.0 * r + s) / 6.0 for p, q, r, s in zip(a, b, c, d, strict=True)], hs)
    )


def _move(xs: Sequence[Tensor], vs: Sequence[Tensor], hs: Sequence[float]) -> list[Tensor]:
    return [x + h * v for x, v, h in zip(xs, vs, hs, strict=True)]


def _sizes(step: Step, xs: Sequence[Any]) -> list[float]:
    """One step size a player."""
    hs = [float(h) for h in step] if np.ndim(step) else [float(step)] * len(xs)  # type: ignore[arg-type, union-attr]
    if len(hs) != len(xs) or not all(h >= 0 for h in hs):
        raise ValueError(f"step: got {step!r}, expected a number >= 0, or one for each of {len(xs)} players")
    return hs


def _spread(hs: Sequence[float], sizes: Sequence[int]) -> np.ndarray:
    """The players' step sizes, coordinate by coordinate."""
    return np.repeat(np.asarray(hs, dtype=np.float64), sizes)


def checked_order(order: Sequence[int] | None, count: int) -> list[int]:
    """Which player moves when; raises ValueError for a number that is no player's."""
    chosen = list(range(count)) if order is None else list(order)
    if not chosen or not all(k in range(count) for k in chosen):
        raise ValueError(f"order: got {order!r}, expected players' numbers from 0 to {count - 1}")
    return chosen


# -- rules: many steps, and what they do near a rest point -----------------------------------------------------------
_steps_before: ContextVar[int] = ContextVar("_steps_before", default=0)  # of the path that `iterate` is on


@contextmanager
def _a_step_of_many(step: int) -> Iterator[None]:
    token = _steps_before.set(step)
    try:
        yield
    finally:
        _steps_before.reset(token)


def iterate(
    rule: Rule,
    losses: Sequence[Loss],
    players: Sequence[Any],
    *,
    steps: int,
    project: Callable[..., Players] | None = None,
    **options: Any,
) -> np.ndarray:
    """The path x_0, x_1, ..., x_steps under a rule: (steps + 1, n), n all players' coordinates in their order.

    Args:
        rule: :func:`simultaneous`, :func:`alternating`, ... or any function of (losses, players, **options). One with an argument
            `previous`, as :func:`optimistic` has, gets x_(t-1) by it (at the start x_0); so does `functools.partial` of it.
        steps: how many.
        project: a function of the players applied after every step, that returns them (a clipping, for instance).
        options: what the rule takes: `step`, `order`, `gamma`.

    Raises:
        ValueError: a negative number of steps; or a rule that calls :func:`optimistic` and does not hand it `previous`.
    """
    if not isinstance(steps, (int, np.integer)) or steps < 0:
        raise ValueError(f"iterate: got {steps!r} steps, expected a whole number >= 0")
    now: Players = tuple(t.detach() for t in _tensors(losses, players))
    path, before = [_flat(now).data], now
    remembers = "previous" not in options and "previous" in inspect.signature(rule).parameters
    for step in range(steps):
        memory = {"previous": before} if remembers else {}
        with _a_step_of_many(step):
            after = rule(losses, now, **memory, **options)
        before, now = now, tuple(tensor_of(x) for x in (project(*after) if project else after))
        path.append(_flat(now).data)
    return np.stack(path)


def linear_map(
    rule: Rule,
    matrix: Any,
    *,
    step: Step,
    sizes: Sequence[int] | None = None,
    order: Sequence[int] | None = None,
    gamma: float = 0.0,
) -> np.ndarray:
    """The derivative of a rule's map x_t -> x_{t+1} at a rest point, from the game's Jacobian J there; H = diag(h).

    ==============  ==========================================================================
    simultaneous    I + H J
    alternating     the product of I + H_k J, H_k keeping player k's rows only; the last move left
    extragradient   I + H J + (H J)^2
    optimistic      [[I + 2 H J, -H J], [I, 0]], on (x_t, x_{t-1})
    implicit        (I - H J)^-1
    consensus       I + H (J - gamma J^T J)
    runge_kutta     I + H J + (H J)^2/2 + (H J)^3/6 + (H J)^4/24
    ==============  ==========================================================================

    Its spectral radius is the factor by which the distance to the rest point shrinks or grows a step, in the long run.

    Args:
        rule: one of the functions above.
        matrix: J, (n, n).
        step, order, gamma: as the rule takes them.
        sizes: how many coordinates each player has; by default one.

    Raises:
        ValueError: a rule without an entry, or sizes that do not sum to n.
    """
    j = square(matrix)
    sizes = [1] * len(j) if sizes is None else list(sizes)
    if sum(sizes) != len(j):
        raise ValueError(f"linear_map: got sizes {sizes} for a Jacobian of {len(j)} coordinates, expected their sum")
    one, h = np.eye(len(j)), _spread(_sizes(step, sizes), sizes)[:, None]
    hj = h * j
    if rule is alternating:
        owner = np.repeat(np.arange(len(sizes)), sizes)[:, None]
        whole = one
        for k in checked_order(order, len(sizes)):
            whole = (one + np.where(owner == k, hj, 0.0)) @ whole
        return whole
    maps: dict[Rule, Callable[[], np.ndarray]] = {
        simultaneous: lambda: one + hj,
        extragradient: lambda: one + hj + hj @ hj,
        optimistic: lambda: np.block([[one + 2 * hj, -hj], [one, 0 * one]]),
        implicit: lambda: np.linalg.inv(one - hj),
        consensus: lambda: one + h * (j - gamma * j.T @ j),
        runge_kutta: lambda: one + hj @ (one + hj @ (one / 2 + hj @ (one / 6 + hj / 24))),
    }
    if rule not in maps:
        raise ValueError(f"linear_map: got {rule!r}, expected one of {[r.__name__ for r in (*maps, alternating)]}")
    return maps[rule]()


def stale_map(matrix: Any, *, step: Step, delay: int, sizes: Sequence[int] | None = None) -> np.ndarray:
    """The derivative, at a rest point, of simultaneous steps in which every player sees the others `delay` steps late.

        x_{t+1} = x_t + H (D x_t + O x_{t - delay}),   D = the blocks of J on its diagonal, O = the others,

    as a map of (x_t, x_{t-1}, ..., x_{t - delay}). See `minigan.asynchrony.Stale`, the rule.

    Args:
        matrix, step, sizes: as of :func:`linear_map`.
        delay: in steps, >= 0; with 0 it is I + H J.

    Raises:
        ValueError: a negative delay, or sizes that do not sum to n.
    """
    j = square(matrix)
    sizes = [1] * len(j) if sizes is None else list(sizes)
    if sum(sizes) != len(j) or delay < 0:
        raise ValueError(
            f"stale_map: got sizes {sizes} for {len(j)} coordinates and delay {delay}, expected their sum, and delay >= 0"
        )
    n, owner = len(j), np.repeat(np.arange(len(sizes)), sizes)
    hj = _spread(_sizes(step, sizes), sizes)[:, None] * j
    own = owner[:, None] == owner[None, :]
    whole = np.eye(n * (delay + 1), k=-n)  # what was seen moves on by one place
    whole[:n, :n] = np.eye(n) + np.where(own, hj, 0.0)
    whole[:n, n * delay :] += np.where(own, 0.0, hj)
    return whole


def bilinear_game(matrix: Any = None) -> list[Loss]:
    """The losses x^T A y of the first player and -x^T A y of the second: min over x, max over y. Without a matrix, sum(x y).

    Its field is (-A y, A^T x), its only rest point (for invertible A) the origin, its eigenvalues +- i times A's singular values.
    """
    if matrix is None:
        return [lambda x, y: ops.sum(x * y), lambda x, y: -ops.sum(x * y)]
    shape = tensor_of(matrix).shape
    if len(shape) != 2:
        raise ValueError(f"bilinear_game: got a matrix of shape {shape}, expected (n, m)")

    def value(x: Any, y: Any) -> Tensor:
        x, a, y = in_one_dtype(x, matrix, y)
        return ops.sum(ops.reshape(x, (-1, 1)) * a * ops.reshape(y, (1, -1)))

    return [value, lambda x, y: -value(x, y)]
