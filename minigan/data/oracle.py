"""`oracle_lstm`: sequences from an LSTM whose weights are known, so that log p(x) of a sequence is exact."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from minigan.data.base import DataError, Dataset, checked_count, stream
from minigan.kernels import reference

VOCABULARY, LENGTH, UNITS, START = 50, 20, 32, 0
_CHUNK = 2048


@dataclass(frozen=True, eq=False)
class OracleDensity:
    """log p(x) of sequences (M, L) in nats, exact: sum over t of log softmax(h_t V + b)[x_t], h an LSTM that has read the start
    token and x_1, ..., x_{t-1}. With all weights N(0, 1): the oracle of SeqGAN (Yu, Zhang, Wang, Yu 2016, arXiv 1609.05473,
    section 5.1), whose negative mean over its length is "NLL-oracle" there, summed over tokens.

    weights: by name, float64.
    """

    weights: dict[str, np.ndarray] = field(repr=False)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x, vocabulary = np.asarray(x), len(self.weights["table"])
        if x.ndim != 2 or x.dtype.kind not in "iu" or x.size == 0 or x.min() < 0 or x.max() >= vocabulary:
            raise DataError(
                f"oracle_lstm: got {x.dtype} {x.shape}, expected whole numbers (M, L) from 0 to {vocabulary - 1}"
            )
        return np.concatenate([self._chunk(x[i : i + _CHUNK]) for i in range(0, len(x), _CHUNK)])

    def _chunk(self, x: np.ndarray) -> np.ndarray:
        n, length = x.shape
        read = np.concatenate([np.full((n, 1), START), x[:, :-1]], axis=1)
        w, units = self.weights, len(self.weights["recurrent"])
        xw = w["table"][read] @ w["input"] + w["bias"]
        hs, nothing = np.empty((n, length, units)), np.zeros((n, units))
        mask = np.ones((n, length), bool)
        reference.lstm(xw, nothing, nothing, w["recurrent"], mask, hs, np.empty((n, units)))
        logits = hs @ w["output"] + w["output_bias"]
        logits -= logits.max(axis=2, keepdims=True)
        chosen = np.take_along_axis(logits, x[:, :, None], axis=2)[:, :, 0]
        return (chosen - np.log(np.exp(logits).sum(axis=2))).sum(axis=1)

    def draw(self, n: int, length: int, generator: np.random.Generator) -> np.ndarray:
        """n sequences (n, length) of the law."""
        w, units = self.weights, len(self.weights["recurrent"])
        h, c, token = np.zeros((n, units)), np.zeros((n, units)), np.full(n, START)
        x, one = np.empty((n, length), np.int64), np.ones((n, 1), bool)
        for t in range(length):
            xw, hs = (w["table"][token] @ w["input"] + w["bias"])[:, None], np.empty((n, 1, units))
            last = np.empty((n, units))
            reference.lstm(xw, h, c, w["recurrent"], one, hs, last)
            h, c = hs[:, 0], last
            noise = generator.gumbel(size=(n, len(w["table"])))
            token = x[:, t] = (h @ w["output"] + w["output_bias"] + noise).argmax(axis=1)
        return x


def oracle(vocabulary: int = VOCABULARY, units: int = UNITS) -> OracleDensity:
    """The oracle: all weights N(0, 1), the same for every seed of the data, since the task is to find this one law."""
    shapes = {
        "table": (vocabulary, units), "input": (units, 4 * units), "recurrent": (units, 4 * units), "bias": (4 * units,),
        "output": (units, vocabulary), "output_bias": (vocabulary,),
    }  # fmt: skip
    return OracleDensity({name: stream(0, f"oracle_lstm/{name}").standard_normal(s) for name, s in shapes.items()})


def oracle_lstm(n: int = 10_000, seed: int = 0, *, length: int = LENGTH) -> Dataset:
    """Sequences of an LSTM with 32 cells and weights N(0, 1) over 50 tokens: x (n, length), log_density its exact log-likelihood,
    (M, L) to (M,) (SeqGAN: Yu et al. 2016, arXiv 1609.05473, section 5.1, with a vocabulary of 50 for 5,000).

    Raises DataError for n < 2 or length < 1.
    """
    n = checked_count(n, "oracle_lstm")
    if length < 1:
        raise DataError(f"oracle_lstm: length={length}; expected at least 1")
    law = oracle()
    # In blocks of streams of their own, so that a larger set begins with the smaller one.
    blocks = [law.draw(1000, length, stream(seed, f"oracle_lstm/{k}")) for k in range(-(-n // 1000))]
    words = tuple(str(i) for i in range(VOCABULARY))
    x = np.concatenate(blocks)[:n]
    return Dataset("oracle_lstm", x, None, "tokens", {}, None, None, law, f"generated, seed {seed}", vocabulary=words)
