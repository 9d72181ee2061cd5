"""Do texts repeat one another?"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.metrics.registry import register
from minigan.metrics.tokens import numbered, texts

NOTHING = 0.1  # matches, where there is none (the first smoothing of Chen, Cherry 2014, as in Texygen's program)


def self_bleu(x: Any, *, order: int = 3) -> float:
    """The mean over texts of BLEU with all other texts as references (Zhu et al. 2018, arXiv 1802.01886, section 3.2), in
    [0, 1]: BLEU (Papineni et al. 2002) is the geometric mean over n = 1, ..., order of

        p_n = sum over n-grams g of min(c(g), largest c(g) in another text) / (L - n + 1),

    c(g) counts in the text; its penalty of short texts is 1, since all have one length. High where texts repeat one another.

    Args:
        x: (N, L) tokens, N >= 2. order: the longest n-grams, at most L.

    Bias: it grows with N, for among more references more is found: compare equal N, and with that of real texts.

    Raises:
        ValueError: other arrays, or an order out of range.
    """
    x = texts("self_bleu", "x", x, least=2)
    if not 1 <= order <= x.shape[1]:
        raise ValueError(f"self_bleu: got order {order}, expected 1 to {x.shape[1]}, the length of the texts")
    logs = np.zeros(len(x))
    for n in range(1, order + 1):
        windows = np.lib.stride_tricks.sliding_window_view(x, n, axis=1)
        matches = _clipped(numbered(*(windows[:, :, k] for k in range(n))))
        logs += np.log(np.maximum(matches, NOTHING) / windows.shape[1])
    return float(np.exp(logs / order).mean())


def _clipped(grams: np.ndarray) -> np.ndarray:
    """(N, M) n-grams by number: of each text the matches, each n-gram counted as often as another text has it at most."""
    count = grams.max() + 1
    owner = np.repeat(np.arange(len(grams)), grams.shape[1])
    both, counts = np.unique(owner * count + grams.reshape(-1), return_counts=True)
    text, gram = np.divmod(both, count)
    order = np.lexsort((-counts, gram))  # of each n-gram the texts that have it, most often first
    first = np.flatnonzero(np.diff(gram[order], prepend=-1))
    largest, second, holder = counts[order[first]], np.zeros(count, np.int64), text[order[first]]
    several = np.flatnonzero(np.bincount(gram, minlength=count) > 1)
    second[several] = counts[order[first[several] + 1]]
    elsewhere = np.where(holder[gram] == text, second[gram], largest[gram])
    return np.bincount(text, np.minimum(counts, elsewhere), minlength=len(grams))


register(self_bleu, name="self-BLEU", better="lower")
