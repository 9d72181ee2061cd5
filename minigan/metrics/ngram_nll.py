"""What counting alone can say of a text: the baseline of models of language."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.registry import register
from minigan.metrics.tokens import numbered, texts


def ngram_nll(train: Any, test: Any, *, order: int = 3, vocabulary: int) -> float:
    """-mean log p(x_t | the order - 1 tokens before it) over all tokens of `test`, in nats: an n-gram model of the counts c in
    `train`, smoothed by those of shorter contexts (Witten, Bell 1991; Chen, Goodman 1996, arXiv cmp-lg/9606011, section 2.5):

        p(w | h) = (c(h w) + T(h) p(w | h')) / (c(h) + T(h)),     p(w) from p = 1/vocabulary,

    T(h) the number of different tokens that follow h, and h' the context h without its first token. Before a sequence stand
    tokens of their own. A context that never occurred says what the shorter one does.

    Args:
        train, test: (N, L), (M, L') tokens in [0, vocabulary).
        order: n >= 1.
        vocabulary: how many tokens there are.

    Bias: upwards for few training sequences, as of every fitted model.

    Raises:
        ValueError: other arrays, a token that is not in the vocabulary, an order below 1.
    """
    a, b = texts("ngram_nll", "train", train), texts("ngram_nll", "test", test)
    if order < 1 or max(a.max(), b.max()) >= vocabulary:
        raise ValueError(
            f"ngram_nll: got order {order} and tokens up to {max(a.max(), b.max())}, expected order >= 1 and tokens below "
            f"vocabulary={vocabulary}"
        )
    begin = lambda x: np.pad(x, ((0, 0), (order - 1, 0)), constant_values=vocabulary)  # noqa: E731
    places = [np.lib.stride_tricks.sliding_window_view(begin(x), order, axis=1).reshape(-1, order) for x in (a, b)]
    windows, seen = np.concatenate(places), a.size
    word, context, p = windows[:, -1], np.zeros(len(windows), np.int64), np.full(b.size, 1.0 / vocabulary)
    for back in range(order):
        if back:
            context = numbered(context, windows[:, -1 - back])
        pair = numbered(context, word)
        c_pair = np.bincount(pair[:seen], minlength=pair.max() + 1)
        c = np.bincount(context[:seen], minlength=context.max() + 1)
        followers = np.bincount(context[np.unique(pair[:seen], return_index=True)[1]], minlength=len(c))
        there, t = c[context[seen:]], followers[context[seen:]]
        p = np.where(there > 0, (c_pair[pair[seen:]] + t * p) / np.maximum(there + t, 1), p)
    return float(-np.log(p).mean())


register(ngram_nll, name="n-gram NLL", better="lower")
