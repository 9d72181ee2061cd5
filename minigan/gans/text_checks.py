"""What models of text have in common: the options, training by likelihood, and numbers that tell a good text from a likely one.

No number suffices alone (Zhu et al. 2018, arXiv 1802.01886; Caccia et al. 2018, arXiv 1811.02549):

    -E_G log p(x)        of samples under the law of the data, where that is known: whether each text is good. A generator that
                         always writes the likeliest one is best.
    -E_p log G(x)        of data that were held out, under the generator: whether it could have written them. It is least, by
                         KL(p || G) >= 0, at the entropy of p, and knows nothing of how samples look.
    self-BLEU            whether samples repeat one another, more than texts of the data do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import ops, optim
from minigan.autodiff import Tensor
from minigan.gans.base import Model
from minigan.gans.checks import Check, RealData
from minigan.gans.options import Config, option
from minigan.gans.protocol import Histogram, Picture
from minigan.gans.texts import Reader, Writer, kept, law_of
from minigan.metrics.ngram_nll import ngram_nll
from minigan.metrics.self_bleu import self_bleu
from minigan.player import Player

LIVE, JUDGED, BLEU = 500, 2000, 500  # samples that are looked at while training, by checks, for self-BLEU
ORDER = 3


@dataclass(frozen=True, kw_only=True)
class TextConfig(Config):
    """The options of a model of text."""

    data: str = option("oracle_lstm", "text: a data set by name, or a path with --kind tokens (see: minigan datasets)")
    width: int = option(32, "features of a token, and LSTM cells (Yu 2016, arXiv 1609.05473, section 5: 32)", low=1)
    lr: float = option(1e-2, "Adam's rate of the likelihood (Yu 2016, arXiv 1609.05473: .01 in its program)", low=0.0)
    judge_lr: float = option(
        5e-3, "Adam's rate in D (Kingma 2014, arXiv 1412.6980); falls to a tenth before the game", low=0.0
    )


class TextModel(Model):
    """A `generator` that learns by likelihood first, and a `discriminator`."""

    needs = "tokens"
    family = "text"
    lesson = "25_gradients_through_choices_and_time"
    generator: Writer
    discriminator: Reader
    mle: optim.EMA

    @property
    def best(self) -> str | None:  # type: ignore[override]
        """By the texts' likelihood under their law, where that is known."""
        return "min oracle_nll" if law_of(self.config.data) else None

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """What the tokens stand for."""
        return next(iter(self.facts.vocabularies.values()))

    @property
    def length(self) -> int:
        """L, tokens a text."""
        return self.shape[0]

    @classmethod
    def trains_on(cls, config: Any, data: Mapping[str, Any]) -> np.ndarray:
        """All but one text in ten."""
        return np.flatnonzero(~kept(data["x"]))

    def extra_state(self) -> dict[str, Any]:
        """A copy of the generator as the likelihood alone left it, which the game is compared with."""
        return {"mle": optim.EMA(self.generator, decay=0.0, warm_up=False)}

    def by_likelihood(self, name: str) -> Player:
        """G by likelihood, its rate falling in a straight line to a tenth over the phase."""
        rate = optim.linear(self.config.lr, final=0.1 * self.config.lr, steps=self.config.likelihood_steps)
        return Player(name, self.likelihood_loss, optim.Adam(self.generator, lr=rate), after=[self.mle.update])

    def likelihood_loss(self, x: Tensor) -> Tensor:
        """-(1/NL) sum of log G(x_t | x_1..x_{t-1}), in nats a token."""
        return -ops.mean(ops.log_prob(self.generator(x), x))

    def nll(self, x: np.ndarray) -> float:
        """The same of many texts."""
        with self.evaluating():
            parts = [
                self.likelihood_loss(self.tensor(x[i : i + 500])).item() * len(x[i : i + 500])
                for i in range(0, len(x), 500)
            ]
        return sum(parts) / len(x)

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """In nats a token: a few examples' NLL under G, and where the law is known, that of G's texts under the law."""
        found, law = {"data_nll": self.nll(real["x"])}, law_of(self.config.data)
        if law is not None:
            found["oracle_nll"] = -float(law(self.sample(LIVE)).mean()) / self.length
        return found

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Texts, and those of the likelihood alone; where their law is known, how likely a token is by it, the geometric
        mean of each text, of the data, and of both."""
        made, law = dict(super().pictures(real)), law_of(self.config.data)
        with self.mle.applied():
            alone = self.sample(LIVE)
        made["alone"] = Picture(alone, kind="tokens")
        if law is not None:
            texts = {"data": real["x"], "likelihood alone": alone, "game": self.sample(LIVE)}
            chance = {name: np.exp(law(x) / self.length) for name, x in texts.items()}
            made["chances"] = Histogram(chance, "probability of a token under the law")
        return made

    def checks(self, real: RealData) -> Sequence[Check]:
        """G beside what the likelihood alone had reached, the data, and an n-gram model; nothing where no text is held out."""
        x = real["x"]
        out, law = kept(x), real.sets["x"].log_density
        held, rest = x[out], x[~out]
        if not len(held) or not len(rest):
            return []
        n = min(JUDGED, 2 * len(x))
        now, samples = self.nll(held), self.sample(n, seed=real.seed)
        with self.mle.applied():
            before, texts = self.nll(held), self.sample(n, seed=real.seed)
        counted = ngram_nll(rest, held, order=ORDER, vocabulary=len(self.vocabulary))
        some = min(BLEU, len(x))
        bleu, theirs, of_data = (self_bleu(t[:some], order=ORDER) for t in (samples, texts, x))
        made = [
            Check("held-out NLL a token, likelihood alone", before, f"< {counted:.3f}", f"{ORDER}-grams"),
            Check("held-out NLL a token", now, f"<= {before + 0.3:.3f}", "likelihood alone + .3, a guess"),
            Check(f"self-BLEU-{ORDER}", bleu, f"<= {of_data + 0.1:.3f}", f"data + .1; likelihood alone {theirs:.3f}"),
        ]
        if law is not None:
            mine, plateau, floor = (-law(t).mean() / self.length for t in (samples, texts, x[:n]))
            made.append(Check("oracle NLL a token", mine, f"< {plateau:.3f}", f"likelihood alone; data {floor:.3f}"))
        return made
