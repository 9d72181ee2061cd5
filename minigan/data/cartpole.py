"""A pole on a cart, and an expert that balances it: `cartpole_expert`.

The dynamics are those of Barto, Sutton, Anderson 1983 ("Neuronlike adaptive elements that can solve difficult learning control
problems", IEEE Transactions on Systems, Man, and Cybernetics 13(5)) without friction, with the constants and Euler's method of
CartPole-v1 in gymnasium, which the tests compare every step with. A state is (x, dx/dt, theta, dtheta/dt): metres, metres a
second, radians from upright, radians a second. Many carts are moved at once, a row each.
"""

from __future__ import annotations

import numpy as np

from minigan.data.base import DataError, Dataset, checked_count, stream

GRAVITY, CART, POLE, HALF, FORCE, SECONDS = (
    9.8,
    1.0,
    0.1,
    0.5,
    10.0,
    0.02,
)  # m/s^2, kg, kg, m of half the pole, N, s a step
TRACK, LEAN = 2.4, 12 * 2 * np.pi / 360  # farther from the middle, or from upright, is failed
LIMIT, BEGIN = 500, 0.05  # steps of an episode; all four numbers begin uniform in +-BEGIN
GAINS = np.array([1.0, 2.0, 18.0, 4.0])  # of the expert
EVERY = 20  # steps between two examples of an episode
EPISODE = LIMIT // EVERY  # examples of one


def moved(state: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The states (N, 4) one step later, after a push to the right (action 1) or to the left (0), (N,): with total mass M = m_c +
    m_p and half the pole's length l,

        f = (F + m_p l theta'^2 sin theta) / M,    theta'' = (g sin theta - f cos theta) / (l (4/3 - m_p cos^2 theta / M)),
        x'' = f - m_p l theta'' cos theta / M,     each number grows by .02 s times its derivative of before.
    """
    _, speed, angle, turning = np.asarray(state, np.float64).T
    total, sin, cos = CART + POLE, np.sin(angle), np.cos(angle)
    f = (np.where(np.asarray(action) == 1, FORCE, -FORCE) + POLE * HALF * turning**2 * sin) / total
    bent = (GRAVITY * sin - f * cos) / (HALF * (4 / 3 - POLE * cos**2 / total))
    pushed = f - POLE * HALF * bent * cos / total
    slopes = np.stack([speed, pushed, turning, bent], axis=1)
    return np.asarray(state, np.float64) + SECONDS * slopes


def failed(state: np.ndarray) -> np.ndarray:
    """Which states (N, 4) end an episode: off the track, or leaning more than 12 degrees. (N,) booleans."""
    return (np.abs(state[:, 0]) > TRACK) | (np.abs(state[:, 2]) > LEAN)


def begun(n: int, generator: np.random.Generator) -> np.ndarray:
    """First states (n, 4), uniform in +-.05."""
    return generator.uniform(-BEGIN, BEGIN, (n, 4))


def expert(state: np.ndarray) -> np.ndarray:
    """Actions (N,) for states (N, 4): to the right where x + 2 x' + 18 theta + 4 theta' > 0. A cart that drifts to the right is
    pushed farther right first, so that the pole leans back."""
    return (np.asarray(state) @ GAINS > 0).astype(np.int64)


def cartpole_expert(n: int = 250, seed: int = 0) -> Dataset:
    """What an expert does: states x (n, 4), in the units above, and its actions y (n,), 0 for left and 1 for right.

    Of each episode of 500 steps every 20th step is there, 25 examples one after the other, so that the first 25 are one
    demonstration (as in Ho, Ermon 2016, arXiv 1606.03476, section 6). factors: episode, and time in steps. Raises DataError for
    n < 2.
    """
    n = checked_count(n, "cartpole_expert")
    episodes = -(-n // EPISODE)
    generators = [stream(seed, f"cartpole_expert/{k}") for k in range(episodes)]
    states = np.concatenate([begun(1, g) for g in generators])
    offset = np.array([g.integers(EVERY) for g in generators])
    x, y = np.empty((episodes, EPISODE, 4)), np.empty((episodes, EPISODE), np.int64)
    for t in range(LIMIT):
        if failed(states).any():
            raise DataError("cartpole_expert: the expert let a pole fall; its gains do not fit the dynamics")
        action, due = expert(states), (t - offset) % EVERY == 0
        slot = np.clip((t - offset) // EVERY, 0, EPISODE - 1)
        x[due, slot[due]], y[due, slot[due]] = states[due], action[due]
        states = moved(states, action)
    rows = slice(0, n)
    factors = {
        "episode": np.repeat(np.arange(episodes), EPISODE)[rows],
        "time": (offset[:, None] + EVERY * np.arange(EPISODE)).reshape(-1)[rows],
    }
    return Dataset(
        "cartpole_expert", x.reshape(-1, 4)[rows].astype(np.float32), y.reshape(-1)[rows], "points", factors,
        source=f"generated, seed {seed}", classes=("left", "right"),
    )  # fmt: skip


def drawn(state: np.ndarray, side: int = 32) -> np.ndarray:
    """Pictures (N, side, 2 side, 1) in [-1, 1] of states (N, 4): the track from -2.4 to 2.4, the cart, the pole as a line of its
    true length and angle."""
    high, wide = side, 2 * side
    rows, columns = np.mgrid[:high, :wide] + 0.5
    scale, ground = wide / (2 * TRACK), 0.8 * high
    picture = np.full((len(state), high, wide), -1.0)
    picture[:, np.abs(rows - ground - 2) < 0.6] = -0.5
    for frame, (x, _, angle, _) in zip(picture, state, strict=True):
        middle = (x + TRACK) * scale
        along = (columns - middle) * np.sin(angle) - (rows - ground) * np.cos(angle)
        across = (columns - middle) * np.cos(angle) + (rows - ground) * np.sin(angle)
        frame[(np.abs(columns - middle) < 4) & (np.abs(rows - ground) < 2)] = 0.2
        frame[(np.abs(across) < 1) & (along > 0) & (along < 2 * HALF * scale * 1.5)] = 1.0
    return picture[..., None].astype(np.float32)
