"""A pole on a cart: its laws against gymnasium's, acting that goes on after a resume, PPO and GAIL by their formulas."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from test_zoo import made, run, softplus, values

from minigan import data, gans, ops
from minigan.autodiff import grad, tensor
from minigan.batch import tensors_of
from minigan.data import cartpole
from minigan.gans import ppo
from minigan.gans.acting import Carts, Steps, by_chance, films, shown, up
from minigan.gans.needs import Facts

RNG = np.random.default_rng(0)


# -- the cart --------------------------------------------------------------------------------------------------------
def test_every_step_is_that_of_cartpole_v1() -> None:
    world, coin = gymnasium.make("CartPole-v1"), np.random.default_rng(0)
    assert world.spec is not None and world.spec.max_episode_steps == cartpole.LIMIT
    lasted = []
    for seed in range(20):
        state, _ = world.reset(seed=seed)
        assert np.abs(state).max() <= cartpole.BEGIN
        state = np.array(world.unwrapped.state)  # in float64
        steps = 0
        for _ in range(500):
            steps += 1
            action = int(cartpole.expert(state[None])[0]) if seed < 3 else int(coin.integers(2))
            ours = cartpole.moved(state[None], np.array([action]))
            _, reward, over, cut, _ = world.step(action)
            state = np.array(world.unwrapped.state)
            np.testing.assert_allclose(ours[0], state, rtol=1e-12, atol=1e-14)
            assert reward == 1 and bool(cartpole.failed(ours)[0]) == over
            if over or cut:
                break
        lasted.append(steps)
    assert lasted[:3] == [500] * 3 and max(lasted[3:]) < 200  # the expert's, and chance


def test_cartpole_expert() -> None:
    found, longer = data.load("cartpole_expert", n=60, seed=1), data.load("cartpole_expert", n=90, seed=1)
    assert found.x.shape == (60, 4) and found.kind == "points" and found.classes == ("left", "right")
    np.testing.assert_array_equal(found.x, longer.x[:60])
    np.testing.assert_array_equal(found.y, cartpole.expert(found.x))
    assert not cartpole.failed(found.x).any() and set(found.y) == {0, 1}
    assert found.factors["episode"].tolist() == [0] * 25 + [1] * 25 + [2] * 10
    assert (np.diff(longer.factors["time"].reshape(-1, 90)[0, :25]) == cartpole.EVERY).all()
    assert (data.load("cartpole_expert", n=60, seed=2).x != found.x).any()
    with pytest.raises(data.DataError):
        data.load("cartpole_expert", n=1)


def test_a_pole_is_drawn_where_it_is() -> None:
    states = np.array([[0, 0, 0, 0], [1.2, 0, 0, 0], [0, 0, 0.2, 0], [0, 0, -0.2, 0]])
    pictures = cartpole.drawn(states)
    assert pictures.shape == (4, 32, 64, 1) and np.abs(pictures).max() == 1
    upright, right, leaning, back = (np.argwhere(p[:20, :, 0] == 1)[:, 1].mean() for p in pictures)
    assert upright == pytest.approx(31.5) and right - upright == pytest.approx(16, abs=1)
    assert leaning - upright == pytest.approx(upright - back) and leaning > upright + 1


# -- acting ----------------------------------------------------------------------------------------------------------
def test_carts_go_on_where_they_were_and_begin_anew_where_an_episode_ends() -> None:
    carts, again = Carts(3, 5), Carts(3, 5)
    first, second = carts.act(by_chance(1), 150), None
    again.load_state(carts.state())
    second, same = carts.act(by_chance(2), 40), again.act(by_chance(2), 40)
    assert all(np.array_equal(a, b) for a, b in zip(second, same, strict=True))
    assert (first.state[1:][~first.ended[:-1]] == first.after[:-1][~first.ended[:-1]]).all()
    anew = first.state[1:][first.ended[:-1]]
    assert len(anew) > 5 and np.abs(anew).max() <= cartpole.BEGIN and len(np.unique(anew, axis=0)) == len(anew)
    assert (first.failed == cartpole.failed(first.after.reshape(-1, 4)).reshape(150, 3)).all()
    np.testing.assert_array_equal(second.state[0][~first.ended[-1]], first.after[-1][~first.ended[-1]])
    by_expert = Carts(2, 0).act(cartpole.expert, 501)
    assert not by_expert.failed.any() and np.flatnonzero(by_expert.ended[:, 0]).tolist() == [499]
    with pytest.raises(ValueError, match="of 3 carts"):
        carts.load_state(Carts(2, 5).state())


def test_films_and_returns() -> None:
    begin = cartpole.begun(4, np.random.default_rng(0))
    places, lasted = films(by_chance(0), begin, every=100)
    assert places.shape == (4, 5, 4) and (lasted < 200).all() and cartpole.failed(places[:, -1]).all()
    np.testing.assert_array_equal(places[:, 3], places[:, 4])  # it lies as it lay
    assert up(cartpole.expert, 5, 0) == 500 and 10 < up(by_chance(0), 30, 0) < 40
    assert shown([cartpole.expert, by_chance(1)], 0, every=50).shape == (2, 10, 32, 64, 1)


def test_advantages_are_sums_of_discounted_errors_within_an_episode() -> None:
    t, n, gamma, lam = 7, 2, 0.9, 0.8
    r, v, after = (RNG.normal(size=(t, n)) for _ in range(3))
    failed = np.zeros((t, n), bool)
    failed[3, 0] = True
    ended = failed.copy()
    ended[4, 1] = True  # cut off
    found = ppo.advantages(Steps(None, None, None, failed, ended), r, v, after, gamma, lam)  # type: ignore[arg-type]
    for i in range(n):
        for k in range(t):
            total, weight = 0.0, 1.0
            for j in range(k, t):
                total += weight * (r[j, i] + gamma * after[j, i] * (not failed[j, i]) - v[j, i])
                weight *= gamma * lam
                if ended[j, i]:
                    break
            assert found[k, i] == pytest.approx(total)


def test_the_clipped_loss_has_the_policy_gradient_at_first_and_none_where_nothing_is_to_be_gained() -> None:
    logits = tensor(RNG.normal(size=(5, 2)), requires_grad=True)
    a, gain = np.array([0, 1, 1, 0, 1]), RNG.normal(size=5)
    log_p = ops.log_prob(logits, a)
    b = tensors_of({"a": a, "old": log_p.numpy(), "gain": gain})
    slope = grad(ppo.policy_loss(logits, b, eps=0.2, entropy=0.0)[0], logits).numpy()
    np.testing.assert_allclose(slope, grad(-ops.mean(log_p * gain), logits).numpy(), rtol=1e-6)
    far = tensors_of({"a": a, "old": log_p.numpy() - np.where(gain > 0, 1.0, -1.0), "gain": gain})
    loss, told = ppo.policy_loss(logits, far, eps=0.2, entropy=0.3)
    p = np.exp(logits.data - np.logaddexp.reduce(logits.data, axis=1, keepdims=True))
    assert told["entropy"].item() == pytest.approx(-(p * np.log(p)).sum(1).mean())
    assert loss.item() == pytest.approx(-(np.where(gain > 0, 1.2, 0.8) * gain).mean() - 0.3 * told["entropy"].item())
    assert not grad(ppo.policy_loss(logits, far, eps=0.2, entropy=0.0)[0], logits).numpy().any()


# -- GAIL ------------------------------------------------------------------------------------------------------------
def gail(**config: Any) -> tuple[Any, Any]:
    model, feed = made("gail", None, replay=False, config=config)  # type: ignore[arg-type]
    return model, feed(0)[0]


@pytest.mark.parametrize("reward", ["positive", "logit"])
def test_gail_losses(reward: str) -> None:
    model, batch = gail(reward=reward)
    assert len(model.trains_on(model.config, {"y": np.zeros(200)})) == 25
    b, unit = tensors_of(batch), lambda s: s / np.array([1, 1, 0.1, 0.5], np.float32)
    np.testing.assert_array_equal(batch["y"], cartpole.expert(batch["x"]))
    logit = {
        k: model.discriminator(np.concatenate([unit(s), np.eye(2, dtype=np.float32)[a]], axis=1)).numpy()[:, 0]
        for k, s, a in (("expert", batch["x"], batch["y"]), ("policy", batch["s"], batch["a"]))
    }
    loss, told = model.discriminator_loss(b)
    assert loss.item() == pytest.approx(softplus(-logit["expert"]).mean() + softplus(logit["policy"]).mean(), rel=1e-5)
    wanted = softplus(logit["policy"]) if reward == "positive" else logit["policy"]
    np.testing.assert_allclose(batch["reward"], wanted, rtol=1e-4, atol=1e-6)
    assert told["reward"].item() == pytest.approx(wanted.mean(), rel=1e-4)
    scores = model.clone(unit(batch["x"])).numpy()
    log_p = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    assert values(model.clone_loss(b)) == pytest.approx(-log_p[np.arange(len(log_p)), batch["y"]].mean(), rel=1e-5)
    scores = model.policy(unit(batch["s"])).numpy()
    log_p = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    np.testing.assert_allclose(batch["old"], log_p[np.arange(len(log_p)), batch["a"]], rtol=1e-4)
    assert batch["gain"].mean() == pytest.approx(0, abs=1e-5) and batch["gain"].std() == pytest.approx(1, rel=1e-3)
    v = model.value(unit(batch["s"])).numpy()
    (value,) = (p for p in model.game.players if p.name == "value")
    assert values(value.loss(b)) == pytest.approx(np.square(v - batch["target"]).mean(), rel=1e-4)


def test_all_updates_of_a_step_see_what_the_policy_did_once() -> None:
    model, feed = made("gail", None, config={"updates": 3})  # type: ignore[arg-type]
    first = feed(0)
    assert len(first) == 3 and all(np.array_equal(first[0]["s"], b["s"]) for b in first)
    run(model, feed, 0, 1)
    assert not np.array_equal(feed(1)[0]["s"], first[0]["s"])


def test_a_pole_is_balanced_by_a_reward_for_each_step_with_ppo_alone() -> None:
    """The policy's part by itself: with D at rest every step pays log 2."""
    model, feed = made("gail", None, config={"judge_lr": 0.0, "carts": 8, "acts": 64, "updates": 8, "width": 16})  # type: ignore[arg-type]
    before = up(model.policies(0)["policy"], 20, 0)
    run(model, feed, 0, 25)
    assert up(model.policies(0)["policy"], 20, 0) > max(100, 2 * before)


def test_other_data_is_refused() -> None:
    model = gans.get("gail")
    for shape, classes in (((2,), 2), ((4,), 3)):
        with pytest.raises(gans.Unsuitable, match="cartpole_expert"):
            model(model.Config(), Facts({"x": shape}, {"y": classes}))
    with pytest.raises(ValueError, match="positive"):
        model.Config(reward="none")
