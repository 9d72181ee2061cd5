"""Networks of models of text, which are sequences of tokens: one writes them, one reads them.

    Writer  token x_{t-1} --> table (K + 1, E) --> LSTM (H) --> dense --> K logits of x_t       x_0: a token of its own, K
    Reader  tokens, or rows of weights of tokens, --> table (K, E) --> for k in 1, ..., 5: convolution of k tokens, ReLU, the
            largest over all places --> dropout --> dense --> logit       (Kim 2014, arXiv 1408.5882; D of SeqGAN without its
                                                                          highway layer)

Both are smaller than SeqGAN's: E = H = 32 is theirs, the reader has 5 widths for their 12, of 64 features for 100 to 200.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import numpy as np

from minigan import data, nn, ops
from minigan.autodiff import Tensor, TensorLike
from minigan.data.oracle import OracleDensity
from minigan.random import Source

KEPT, WIDTHS = 10, (1, 2, 3, 4, 5)


class Writer(nn.Module):
    """p(x) = prod over t of p(x_t | x_1, ..., x_{t-1})."""

    def __init__(self, vocabulary: int, features: int, units: int) -> None:
        self.start = vocabulary
        self.table = nn.Embedding(vocabulary + 1, features, init="xavier")
        self.cell = nn.LSTMCell(features, units)
        self.out = nn.Dense(units, vocabulary)

    def forward(self, x: TensorLike) -> Tensor:
        """The logits of each token of x (N, L), given those before it: (N, L, K)."""
        x = ops.as_tensor(x)
        read = ops.concatenate([np.full((len(x), 1), self.start), x[:, :-1]], axis=1)
        return self.out(self.cell.over(self.table(read))[0])

    def step(self, token: TensorLike, state: Any) -> tuple[Tensor, Any]:
        """The logits of what follows a token (N,), and the state behind it."""
        h, state = self.cell(self.table(token), state)
        return self.out(h), state

    def write(self, n: int, length: int, random: Source, stream: str) -> list[Tensor]:
        """n texts: a list of tokens (N,) for each place."""
        token, state, tokens = self.first(n), self.cell.start(n), list[Tensor]()
        for _ in range(length):
            logits, state = self.step(token, state)
            token = random.categorical(logits, stream=stream)
            tokens.append(token)
        return tokens

    def states(self, tokens: list[Tensor]) -> list[Any]:
        """The state in which each of these tokens is chosen, before it is read."""
        state, found = self.cell.start(n := len(tokens[0])), []
        for token in [self.first(n), *tokens[:-1]]:
            state = self.cell(self.table(token), state)[1]
            found.append(state)
        return found

    def first(self, n: int) -> Tensor:
        """The token x_0 of n texts."""
        return ops.as_tensor(np.full(n, self.start))


class Reader(nn.Module):
    """One logit a sequence."""

    def __init__(self, vocabulary: int, features: int, length: int, *, width: int = 64, dropout: float = 0.25) -> None:
        self.table = nn.Embedding(vocabulary, features)
        wide = [k for k in WIDTHS if k <= length]
        self.convolutions = [nn.Conv(features, width, k, axes=1, padding="valid", activation="relu") for k in wide]
        self.drop = nn.Dropout(dropout)
        self.head = nn.Dense(width * len(wide), 1)

    def features(self, x: TensorLike) -> Tensor:
        """Of tokens (N, L), or weights of tokens (N, L, K): how strongly each pattern occurs."""
        x = ops.as_tensor(x)
        vectors = self.table(x) if x.ndim == 2 else ops.matmul(x, self.table.weight)
        return ops.concatenate([ops.max(conv(vectors), axis=1) for conv in self.convolutions], axis=1)

    def forward(self, x: TensorLike, *, sure: bool = False) -> Tensor:
        """(N, 1); sure: without dropout, as a judge of what a policy wrote."""
        h = self.features(x)
        return self.head(h if sure else self.drop(h))


def kept(x: Any) -> np.ndarray:
    """Which sequences (N, L) are never trained on, one in ten, by the CRC-32 of their tokens: (N,) booleans. Equal ones are on
    one side."""
    rows = np.ascontiguousarray(x, dtype="<i8")
    return np.array([zlib.crc32(row.tobytes()) % KEPT == 0 for row in rows], bool)


@cache
def law_of(name: str) -> OracleDensity | None:
    """The exact log-likelihood of a data set of that name, where it is generated from a known law; else None."""
    law = data.load(name, n=2).log_density if name == "oracle_lstm" else None
    return law if isinstance(law, OracleDensity) else None
