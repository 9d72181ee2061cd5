"""Models of text: losses by their formulas, rewards by rollouts written out one by one, and the numbers that judge texts."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_zoo import made, run, softplus, values

from minigan import data, gans, ops
from minigan.autodiff import grad, tensor
from minigan.batch import tensors_of
from minigan.gans.needs import Facts
from minigan.gans.texts import Reader, Writer, kept, law_of
from minigan.metrics.ngram_nll import ngram_nll
from minigan.metrics.self_bleu import self_bleu
from minigan.random import Source

RNG = np.random.default_rng(0)
L = 6  # tokens of a text of the tests


def log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.logaddexp.reduce(x, axis=-1, keepdims=True)


def picked(logits: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.take_along_axis(log_softmax(logits), x[..., None], -1)[..., 0]


# -- writers and readers ---------------------------------------------------------------------------------------------
def test_a_writer_chooses_by_the_logits_that_it_gives_whole_texts() -> None:
    writer, random = Writer(5, 4, 6).initialize(0), Source(1)
    tokens = writer.write(3000, 3, random, "a")
    texts = np.stack([t.numpy() for t in tokens], axis=1)
    p = np.exp(log_softmax(writer(texts).numpy()))
    state, token = writer.cell.start(3000), writer.first(3000)
    for t, before in enumerate(writer.states(tokens)):
        logits, state = writer.step(token, state)
        token = tokens[t]
        np.testing.assert_allclose(np.exp(log_softmax(logits.numpy())), p[:, t], rtol=1e-4)
        np.testing.assert_array_equal(state.h.numpy(), before.h.numpy())
    for t in range(3):  # as often as they are likely
        np.testing.assert_allclose(np.bincount(texts[:, t], minlength=5) / 3000, p[:, t].mean(0), atol=0.03)
    assert (writer(np.roll(texts, 1, axis=1)).numpy()[:, 0] == writer(texts).numpy()[:, 0]).all()  # no look ahead


def test_a_reader_takes_tokens_as_rows_of_the_unit_matrix_and_finds_a_pattern_anywhere() -> None:
    reader = Reader(5, 4, 7).initialize(0).eval()
    x = RNG.integers(0, 5, (6, 7))
    np.testing.assert_allclose(reader(x).numpy(), reader(np.eye(5, dtype=np.float32)[x]).numpy(), rtol=1e-5)
    one = reader.convolutions[2]
    vectors = reader.table(x).numpy()
    by_hand = [
        max(
            np.maximum((v[i : i + 3, :, None] * one.weight.numpy()).sum((0, 1)) + one.bias.numpy(), 0)[0]
            for i in range(5)
        )
        for v in vectors
    ]
    np.testing.assert_allclose(reader.features(x).numpy()[:, 2 * 64], by_hand, rtol=1e-4)
    assert Reader(5, 4, 2)(x[:, :2]).shape == (6, 1)
    assert not np.array_equal(reader.train()(x).numpy(), reader(x, sure=True).numpy())


def test_one_text_in_ten_is_kept_wherever_it_stands() -> None:
    x = data.load("oracle_lstm", n=1000).x
    some = kept(x)
    assert 60 < some.sum() < 150
    assert np.array_equal(kept(x[::-1].astype(np.int32))[::-1], some)
    model = gans.get("seqgan")
    assert np.array_equal(model.trains_on(model.Config(), {"x": x}), np.flatnonzero(~some))


# -- SeqGAN ----------------------------------------------------------------------------------------------------------
def seqgan(**config: Any) -> tuple[Any, np.ndarray]:
    model, feed = made("seqgan", None, replay=False, config=config)  # type: ignore[arg-type]
    return model, feed(0)[0]


def test_seqgan_losses() -> None:
    model, x = seqgan()
    g, d = model.generator, model.discriminator.eval()
    assert values(model.likelihood_loss(tensor(x))) == pytest.approx(-picked(g(x).numpy(), x).mean(), rel=1e-5)
    model.random.advance(5)
    fakes = model.generate(len(x)).numpy()
    model.random.advance(5)
    wanted = softplus(-d(x).numpy()).mean() + softplus(d(fakes).numpy()).mean()
    assert values(model.discriminator_loss(tensors_of(x))) == pytest.approx(wanted, rel=1e-5)
    q = RNG.uniform(size=x.shape).astype(np.float32)
    model.values = lambda tokens: tensor(q)
    model.random.advance(5)
    texts = np.stack([t.numpy() for t in g.write(len(x), L, model.random, "policy")], axis=1)
    model.random.advance(5)
    loss, told = model.policy_loss(tensor(x))
    first = (q[:, 0].sum() - q[:, 0]) / (len(x) - 1)
    baseline = np.concatenate([first[:, None], q[:, :-1]], axis=1)
    wanted = -((q - baseline) * picked(g(texts).numpy(), texts)).sum() / len(x)
    assert loss.item() == pytest.approx(wanted, rel=1e-3, abs=1e-5)
    assert told["reward"].item() == pytest.approx(q[:, -1].mean(), rel=1e-5)


def test_the_value_of_a_token_is_the_mean_verdict_on_completions_of_what_is_written_so_far() -> None:
    model, _ = seqgan(rollouts=100)
    model.discriminator.head.weight.assign(5 * RNG.normal(size=model.discriminator.head.weight.shape))
    tokens = model.generator.write(2, L, model.random, "a")
    texts = np.stack([t.numpy() for t in tokens], axis=1)
    model.random.advance(3)
    many = model.completed(tokens, 200).numpy().reshape(L - 1, 100, 2, L)
    for t in range(1, L):
        assert (many[t - 1, :, :, :t] == texts[:, :t]).all()
        assert t > L - 4 or len(np.unique(many[t - 1, :, 0, t:], axis=0)) > 50
    model.random.advance(3)
    q = model.values(tokens).numpy()
    verdict = lambda x: 1 / (1 + np.exp(-model.discriminator(x, sure=True).numpy()))[:, 0]  # noqa: E731
    np.testing.assert_allclose(q[:, -1], verdict(texts), rtol=1e-4)
    np.testing.assert_allclose(q[0, 4], verdict(many[4, :, 0]).mean(), rtol=1e-3)
    # The next token of a completion has the law that G gives it: a mean of verdicts over all of these, exactly.
    step = np.exp(log_softmax(model.generator(texts).numpy()))[0, L - 1]
    last = np.concatenate([np.repeat(texts[:1, : L - 1], 50, 0), np.arange(50)[:, None]], axis=1)
    exact, spread = float((step * verdict(last)).sum()), np.sqrt((step * verdict(last) ** 2).sum())
    assert q[0, L - 2] == pytest.approx(exact, abs=float(4 * spread / math.sqrt(100)))


def test_rollouts_are_written_by_the_follower_which_keeps_its_share() -> None:
    model, _ = seqgan(likelihood_steps=3, judge_steps=1, follow=0.5)
    before = {k: v.data.copy() for k, v in model.rollout.averages.items()}
    model.generator.out.bias.assign(np.arange(50.0))
    model.rollout.update()
    assert np.allclose(model.rollout.averages["out.bias"].data, 0.5 * np.arange(50) + 0.5 * before["out.bias"])
    model.rollout.averages["out.bias"].assign(np.where(np.arange(50) == 7, 99.0, 0.0))
    tokens = model.generator.write(2, L, model.random, "a")
    assert (model.completed(tokens, 4).numpy()[:4, 1:] != 7).any()
    with model.rollout.applied():
        assert (model.completed(tokens, 4).numpy()[:4, 1:] == 7).all()
    assert (model.generator.out.bias.numpy() == np.arange(50)).all()


def test_what_the_likelihood_left_is_kept_through_the_game() -> None:
    model, feed = made("seqgan", None, config={"likelihood_steps": 5, "judge_steps": 2})  # type: ignore[arg-type]
    run(model, feed, 0, 5)
    left = {k: t.data.copy() for k, t in model.generator.tensors().items()}
    run(model, feed, 5, 12)
    assert all(np.array_equal(left[k], v.data) for k, v in model.mle.averages.items())
    assert any(not np.array_equal(left[k], t.data) for k, t in model.generator.tensors().items())


def test_best_is_by_the_law_where_it_is_known() -> None:
    model, _ = made("seqgan", None)  # type: ignore[arg-type]
    assert model.best == "min oracle_nll" and law_of("oracle_lstm") is not None and law_of("ring8") is None
    found = model.metrics({"x": data.load("oracle_lstm", n=8, length=L).x})
    assert 2 < found["oracle_nll"] < 9 and found["data_nll"] == pytest.approx(math.log(50), rel=0.1)
    own = gans.get("seqgan")(model.Config(data="book.txt", width=3), Facts({"x": (4,)}, vocabularies={"x": ("a", "b")}))
    assert own.best is None and set(own.metrics({"x": np.zeros((3, 4), np.int64)})) == {"data_nll"}
    assert own.sample(3).shape == (3, 4) and own.sample(3).dtype == np.int64


# -- relaxed choices -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("relaxed", [False, True])
def test_gumbelgan_losses(relaxed: bool) -> None:
    model, feed = made("gumbelgan", None, replay=False, config={"relaxed": relaxed, "likelihood": 0.3})  # type: ignore[arg-type]
    x, d = feed(0)[0], model.discriminator.eval()
    model.random.advance(5)
    rows = model.relaxed(len(x)).numpy()
    assert rows.shape == (*x.shape, 50) and np.allclose(rows.sum(-1), 1, atol=1e-5)
    assert (rows.max(-1) == 1).all() != relaxed
    real, fake = d(np.eye(50, dtype=np.float32)[x]).numpy(), d(rows).numpy()
    np.testing.assert_allclose(real, d(x).numpy(), rtol=1e-4, atol=1e-6)
    model.random.advance(5)
    wanted = softplus(-real).mean() + softplus(fake).mean()
    assert values(model.discriminator_loss(tensor(x))) == pytest.approx(wanted, rel=1e-5)
    model.random.advance(5)
    loss, told = model.game_loss(tensor(x))
    nll = -picked(model.generator(x).numpy(), x).mean()
    assert told["nll"].item() == pytest.approx(nll, rel=1e-5)
    assert loss.item() == pytest.approx(0.3 * nll + softplus(-fake).mean(), rel=1e-5)


def test_a_choice_that_is_let_through_has_the_law_of_the_writer_and_a_gradient() -> None:
    model, _ = made("gumbelgan", None, replay=False)  # type: ignore[arg-type]
    model.generator.out.bias.assign(np.linspace(-2, 2, 50))
    p = np.exp(log_softmax(model.generator(np.zeros((1, L), np.int64)).numpy()))[0, 0]
    rows = model.relaxed(4000)
    np.testing.assert_allclose(rows.numpy()[:, 0].mean(0), p, atol=0.02)
    (slope,) = grad(ops.sum(rows * RNG.normal(size=rows.shape).astype(np.float32)), [model.generator.out.weight])
    assert np.abs(slope.numpy()).max() > 0


def test_the_temperature_falls_to_half_in_the_game() -> None:
    model, feed = made("gumbelgan", None, config={"likelihood_steps": 2, "steps": 6, "temperature": 2.0})  # type: ignore[arg-type]
    seen = []
    for step in range(6):
        run(model, feed, step, step + 1)
        seen.append(model.temperature.item())
    assert seen[:3] == [2.0] * 3 and seen[5] == pytest.approx(2 * (1 - 0.5 * 3 / 4))


# -- numbers of texts ------------------------------------------------------------------------------------------------
def bleu_by_hand(x: np.ndarray, order: int) -> float:
    grams = lambda row, n: Counter(tuple(row[i : i + n]) for i in range(len(row) - n + 1))  # noqa: E731
    total = 0.0
    for i, row in enumerate(x):
        logs = 0.0
        for n in range(1, order + 1):
            mine, others = grams(row, n), [grams(other, n) for j, other in enumerate(x) if j != i]
            matches = sum(min(c, max(o[g] for o in others)) for g, c in mine.items())
            logs += math.log(max(matches, 0.1) / (len(row) - n + 1))
        total += math.exp(logs / order)
    return total / len(x)


@settings(max_examples=20)
@given(st.integers(2, 7), st.integers(3, 8), st.integers(1, 3), st.integers(0, 99))
def test_self_bleu(n: int, length: int, vocabulary: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(0, vocabulary + 1, (n, length))
    assert self_bleu(x) == pytest.approx(bleu_by_hand(x, 3))


def test_self_bleu_tells_copies_from_texts_of_their_own() -> None:
    assert self_bleu(np.repeat(np.arange(9)[None], 4, 0)) == pytest.approx(1)
    assert self_bleu(np.arange(36).reshape(4, 9)) < 0.05
    for wrong, what in ((np.zeros((1, 4), int), "at least 2"), (np.zeros((3, 4)), "whole numbers")):
        with pytest.raises(ValueError, match=what):
            self_bleu(wrong)
    with pytest.raises(ValueError, match="1 to 4"):
        self_bleu(np.zeros((3, 4), int), order=5)


def witten_bell(train: np.ndarray, word: int, context: tuple[int, ...], vocabulary: int) -> float:
    """p(word | context), by its recursion."""
    shorter = witten_bell(train, word, context[1:], vocabulary) if context else 1 / vocabulary
    k, pad = len(context), 9
    followers = Counter()
    for row in train:
        padded = [vocabulary] * pad + list(row)
        for i in range(pad, len(padded)):
            if tuple(padded[i - k : i]) == context:
                followers[padded[i]] += 1
    c, t = sum(followers.values()), len(followers)
    return (followers[word] + t * shorter) / (c + t) if c else shorter


@settings(max_examples=8)
@given(st.integers(1, 3), st.integers(2, 4), st.integers(0, 99))
def test_ngram_nll(order: int, vocabulary: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    train, test = rng.integers(0, vocabulary, (3, 5)), rng.integers(0, vocabulary, (2, 4))
    total = 0.0
    for row in test:
        padded = [vocabulary] * (order - 1) + row.tolist()
        for i in range(order - 1, len(padded)):
            total -= math.log(witten_bell(train, padded[i], tuple(padded[i - order + 1 : i]), vocabulary))
    assert ngram_nll(train, test, order=order, vocabulary=vocabulary) == pytest.approx(total / test.size)


def test_ngrams_are_a_law_and_refuse_what_they_have_no_word_for() -> None:
    train = RNG.integers(0, 3, (5, 6))
    begun = [ngram_nll(train, np.array([[1, 2, w]]), vocabulary=3) * 3 for w in range(3)]
    first_two = ngram_nll(train, np.array([[1, 2]]), vocabulary=3) * 2
    assert sum(math.exp(-b + first_two) for b in begun) == pytest.approx(1)
    for order, vocabulary in ((0, 3), (2, 2)):
        with pytest.raises(ValueError, match="order >= 1 and tokens below"):
            ngram_nll(train, train, order=order, vocabulary=vocabulary)
