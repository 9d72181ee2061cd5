"""Players that see each other late, and games that average now and then."""

from __future__ import annotations

import numpy as np
import pytest

import minigan as mg
from minigan import losses, ops, optim
from minigan.asynchrony import Averaging, Stale
from minigan.theory import dynamics
from minigan.theory.dirac import DiracGAN


def dirac(start: tuple[float, float], h: float, gamma: float = 0.0) -> tuple[list[mg.Player], list[mg.Tensor]]:
    theta, psi = points = [mg.tensor(np.array([[v]]), requires_grad=True) for v in start]
    pair = losses.non_saturating

    def of_d() -> mg.Tensor:
        zero = ops.stop_gradient(psi) * 0.0
        return pair.discriminator(zero, theta @ psi) + gamma / 2 * ops.sum(ops.square(psi))

    def of_g() -> mg.Tensor:
        return pair.generator(theta @ psi, ops.stop_gradient(psi) * 0.0)

    players = [mg.Player("G", of_g, optim.SGD([theta], lr=h)), mg.Player("D", of_d, optim.SGD([psi], lr=h))]
    return players, points


def path(delay: int, steps: int, start=(1.0, 0.5), h=0.2, gamma=0.0, replay=True) -> np.ndarray:
    players, points = dirac(start, h, gamma)
    game, found = mg.Game(players, rule=Stale(players, delay=delay), replay=replay), [start]
    for _ in range(steps):
        game.step()
        found.append(tuple(p.item() for p in points))
    return np.array(found)


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_players_see_each_other_late_by_the_recurrence(delay):
    """Step by step with the field's own rows, recorded and not."""
    gan, h, wanted = DiracGAN(regularizer="r1", gamma=0.3), 0.2, [(1.0, 0.5)]
    for t in range(12):
        (theta, psi), (late_theta, late_psi) = wanted[-1], wanted[max(0, t - delay)]
        wanted.append((theta + h * gan.field(theta, late_psi)[0], psi + h * gan.field(late_theta, psi)[1]))
    found = path(delay, 12, gamma=0.3)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(found, path(delay, 12, gamma=0.3, replay=False))


def test_a_loss_that_raises_leaves_the_players_where_they_were():
    players, points = dirac((1.0, 0.5), 0.2)
    failing, of_d = [False], players[1].loss

    def loss():
        if failing[0]:
            raise ArithmeticError("no loss")
        return of_d()

    players[1] = mg.Player("D", loss, players[1].optimizer)
    game = mg.Game(players, rule=Stale(players, delay=1), replay=False)
    game.step()
    before, failing[0] = [p.item() for p in points], True
    with pytest.raises(ArithmeticError):
        game.step()
    assert [p.item() for p in points] == before


@pytest.mark.parametrize("delay, gamma", [(0, 0.1), (2, 0.0), (4, 0.6)])
def test_the_map_of_late_steps_says_how_fast_they_grow(delay, gamma):
    matrix = dynamics.stale_map(DiracGAN(regularizer="r1", gamma=gamma).jacobian(), step=0.2, delay=delay)
    assert matrix.shape == (2 * (delay + 1),) * 2
    if not delay:
        jacobian = DiracGAN(regularizer="r1", gamma=gamma).jacobian()
        np.testing.assert_allclose(matrix, dynamics.linear_map(dynamics.simultaneous, jacobian, step=0.2))
    size = np.linalg.norm(path(delay, 300, start=(1e-6, 0.0), gamma=gamma), axis=1)
    turns = np.convolve(size, np.ones(63) / 63, mode="valid")  # of about one turn, 2 pi / (h / 2) steps
    grown = (turns[-1] / turns[60]) ** (1 / (len(turns) - 61))
    assert abs(grown - dynamics.spectral_radius(matrix)) < 2e-3


def test_what_was_seen_is_kept_for_a_run_that_goes_on():
    whole = path(2, 9)
    players, points = dirac((1.0, 0.5), 0.2)
    rule = Stale(players, delay=2)
    game = mg.Game(players, rule=rule)
    for _ in range(4):
        game.step()
    kept, at = rule.state(), [p.item() for p in points]
    players, points = dirac(tuple(at), 0.2)
    rule = Stale(players, delay=2)
    rule.load_state(kept)
    game = mg.Game(players, rule=rule)
    for _ in range(5):
        game.step()
    np.testing.assert_array_equal([p.item() for p in points], whole[-1])
    with pytest.raises(ValueError, match="is the delay another one"):
        Stale(players, delay=1).load_state(kept)


def test_what_a_late_rule_cannot_do_it_says():
    players, _ = dirac((1.0, 0.5), 0.2)
    others, _ = dirac((1.0, 0.5), 0.2)
    with pytest.raises(ValueError, match="other parameters"):
        mg.Game(others, rule=Stale(players, delay=1)).step()
    with pytest.raises(ValueError, match="delay"):
        Stale(players, delay=-1)
    with pytest.raises(ValueError, match="no players"):
        Stale([], delay=1)


def regression(h: float, kind=optim.SGD) -> tuple[mg.Game, mg.Tensor]:
    w = mg.tensor(np.array([[0.5], [-1.0]]), requires_grad=True)
    loss = lambda b: ops.mean(ops.square(ops.matmul(b.x, w) - b.y))  # noqa: E731
    return mg.Game([mg.Player("w", loss, kind([w], lr=h))]), w


def test_the_mean_after_every_step_is_one_game_on_all_rows_and_a_later_one_is_not():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 8, 2)), rng.standard_normal((30, 8, 1))

    def trained(count: int, every: int) -> np.ndarray:
        made = [regression(0.1) for _ in range(count)]
        averaging = Averaging([game for game, _ in made], every=every)
        for step in range(30):
            for rank, (game, _) in enumerate(made):
                own = slice(rank * 8 // count, (rank + 1) * 8 // count)
                game.step({"x": x[step, own], "y": y[step, own]})
            averaging.update()
        if 30 % every == 0:
            assert all((w.data == made[0][1].data).all() for _, w in made)
        return made[0][1].data

    one = trained(1, 1)
    np.testing.assert_allclose(trained(4, 1), one, rtol=0, atol=1e-14)
    assert 1e-6 < np.abs(trained(4, 5) - one).max() < 0.5


def test_games_that_differ_are_not_averaged():
    other = mg.tensor(np.ones(3), requires_grad=True)
    odd = mg.Game([mg.Player("w", lambda: ops.sum(other), optim.SGD([other], lr=0.1))])
    with pytest.raises(ValueError, match="differ in names or shapes"):
        Averaging([regression(0.1)[0], odd], every=1)
