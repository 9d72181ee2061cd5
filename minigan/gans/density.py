"""The density-ratio GAN: a discriminator whose logit is a number that is known (f-GAN: Nowozin, Cseke, Tomioka 2016, arXiv
1606.00709; the first game: Goodfellow et al. 2014, arXiv 1406.2661, proposition 1).

    z (2) ~ N(0, I) --> b + z A ~ q = N(b, A^T A) --+
                                                    +--> D: 128 --> 128 --> logit l --> log p/q
    x (2) ~ the data + noise N(0, s^2 I) ~ p -------+

p has a known density, blurred so that p and q overlap, and so has q: what D is said to learn is known. D minimises

    E_p softplus(-l) + E_q softplus(l),      at the optimum l = log p/q, the value log 4 - 2 JSD(p, q)

and with r = e^l the bound of any f-divergence, E_p f'(r) - E_q f*(f'(r)) <= D_f(p || q) (f-GAN, eq. 4), is an equality. Against
this r, held fixed, G minimises the part that depends on it (algorithm 1):

    js  E_q -softplus(l)     kl  E_q -e^l: at the optimum q has mean and covariance of p     reverse_kl  E_q -l: one mode

What goes wrong: l is right only where p or q has samples. Means of e^l scatter more than of l. Without noise p/q is unbounded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigan import data, losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.base import Model
from minigan.gans.checks import Check, RealData
from minigan.gans.options import Config, option
from minigan.gans.planes import coloured, plane
from minigan.gans.protocol import Histogram, Picture, Unsuitable
from minigan.gans.toy import perceptron
from minigan.player import Player
from minigan.theory import gaussians

WAYS = {"js": "Jensen-Shannon", "kl": "KL(p || q): all of p is covered", "reverse_kl": "KL(q || p): one mode"}
TERMS = {"js": ops.softplus, "kl": ops.exp, "reverse_kl": ops.identity}  # f*(f'(e^l)) without constants
WIDTH, JUDGED, CELLS, LIMIT = 128, 20_000, 96, 5.0  # hidden units; points in checks; the picture: side, full colour


@dataclass(frozen=True, kw_only=True)
class DensityConfig(Config):
    """The density-ratio GAN's options."""

    data: str = option("ring8", "p: a generated data set of points in the plane (see: minigan datasets)")
    steps: int = option(3000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(512, "points of p, and as many of q, a step", low=1)
    noise: float = option(0.3, "s: deviation of noise on the data (Sonderby 2016, arXiv 1610.04490)", low=0.0)
    divergence: str = option("kl", "what G minimises (Nowozin 2016, arXiv 1606.00709, table 1)", choices=WAYS)
    generator_lr: float = option(5e-3, "Adam's rate (Kingma 2014, arXiv 1412.6980) in G; 0: q stays N(0, I)", low=0.0)
    lr: float = option(2e-3, "that in D (ibid.); both fall to 0 in a straight line", low=0.0)


class Density(Model):
    """A Gaussian generator and a discriminator, both with a density to be held against."""

    Config = DensityConfig
    summary = "discriminator as log p/q, beside the exact ratio (Nowozin et al. 2016)"
    family = "density"
    lesson = "07_optimal_discriminator"
    needs = "points"
    generator: nn.Module
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring; q begins as N(0, I)."""
        start = nn.Dense(2, 2, init=lambda random, stream, shape: np.eye(2, dtype=np.float32))
        return {"generator": start, "discriminator": perceptron(2, WIDTH, 1, "leaky_relu")}

    def prepare(self) -> None:
        """log p: the data's, with the noise in its blur."""
        law: Any = data.load(self.config.data, n=2)
        if law.log_density is None or self.shape != (2,):
            raise Unsuitable(
                f"data: got {self.config.data!r}, expected points in the plane of known density, such as ring8"
            )
        self.log_p = replace(law.log_density, sigma=math.hypot(law.sigma, self.config.noise))

    def players(self) -> list[Player]:
        """Discriminator first, then generator."""
        config = self.config
        d = optim.Adam(self.discriminator, lr=self.falling(config.lr))
        g = optim.Adam(self.generator, lr=self.falling(config.generator_lr))
        both = [Player("discriminator", self.discriminator_loss, d), Player("generator", self.generator_loss, g)]
        return both[: 2 if config.generator_lr else 1]

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n points of q."""
        return self.generator(self.random.normal((n, 2), stream="z"))

    def blurred(self, x: Tensor) -> Tensor:
        """Data with noise: points of p."""
        return x + self.config.noise * self.random.normal(x.shape, stream="noise")

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """E_p softplus(-l) + E_q softplus(l)."""
        logits = self.discriminator(ops.concatenate([self.blurred(x), self.generate(len(x))]))
        return losses.non_saturating.discriminator(logits[: len(x)], logits[len(x) :])

    def generator_loss(self, x: Tensor) -> Tensor:
        """The part of the bound that depends on q."""
        return -ops.mean(TERMS[self.config.divergence](self.discriminator(self.generate(len(x)))))

    def q(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of q, in float64."""
        weight, b = (t.numpy().astype(np.float64) for t in self.generator.parameters().values())
        return b, weight.T @ weight

    def exact(self, x: np.ndarray) -> np.ndarray:
        """log p/q of points (N, 2), in float64."""
        return self.log_p(x) - gaussians.log_density(x.astype(np.float64), *self.q())

    def compared(self, x: np.ndarray, seed: int) -> dict[str, float]:
        """KL(p || q) and JSD by the logit and by the exact log-ratio on the same points, and the correlation of both."""
        with self.evaluating(), self.random.apart(seed, "compared"):
            points = ops.concatenate([self.blurred(self.tensor(x)), self.generate(n := len(x))])
            ratios = {"told": self.discriminator(points).numpy()[:, 0], "exact": self.exact(points.numpy())}
        found = {"correlation": float(np.corrcoef(*ratios.values())[0, 1])}
        for of, ratio in ratios.items():
            value = np.logaddexp(0, -ratio[:n]).mean() + np.logaddexp(0, ratio[n:]).mean()
            found |= {f"kl_{of}": float(ratio[:n].mean()), f"jsd_{of}": float(math.log(2) - value / 2)}
        return found

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """See `compared`."""
        return self.compared(real["x"], self.config.seed)

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Points of q on the data; and over the plane log p/q, by the logit and exact: green where p is larger, else violet."""
        x = plane(real["x"], CELLS)
        with self.evaluating():
            both = np.stack([self.discriminator(self.tensor(x)).numpy()[:, 0], self.exact(x)])
        return {**super().pictures(real), "log_ratio": Picture(coloured(both, LIMIT), 2)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """The logit against the exact log-ratio; of one Gaussian KL in closed form, too."""
        found = self.compared(real["x"][np.arange(JUDGED) % len(real["x"])], real.seed)
        made = [
            Check("KL(p || q) by the logit, of the exact", found["kl_told"] / found["kl_exact"], "0.95 to 1.05"),
            Check("JSD by the logit, of the exact", found["jsd_told"] / found["jsd_exact"], "0.95 to 1.05"),
            Check("correlation of the logit and log p/q", found["correlation"], ">= 0.9"),
        ]
        if len(modes := getattr(self.log_p, "modes", np.empty(0))) == 1:
            closed = gaussians.kl(modes[0], self.log_p.sigma**2 * np.eye(2), *self.q())
            made.append(Check("KL(p || q) by the logit, of its closed form", found["kl_told"] / closed, "0.95 to 1.05"))
        return made
