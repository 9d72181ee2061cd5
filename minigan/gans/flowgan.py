"""Flow-GAN (Grover, Dhar, Ermon 2017, arXiv 1705.08868): a generator with an inverse, so that a GAN has a likelihood.

    z (d) ~ N(0, I) --> couplings, backwards --> x = G(z) --+
                                                            +--> D --> logit of "real"
    x --> couplings --> f(x), log p(x)                      x

G is a flow of affine couplings (see `flows.py`), so log p(x) = log N(f(x); 0, I) + log |det df/dx| is exact, f the inverse of G.
G plays the game and is told the likelihood of the data, too (the hybrid objective of the paper):

    D  minimises  -E log D(x) - E log(1 - D(G(z)))
    G  minimises  -adversarial E log D(G(z)) - likelihood E log p(x) / d

At the optimum of both terms G has the data's law: E log p(x) is largest there, -H(p), and what is missing is KL(p || q) exactly;
the game's value is 2 JSD - log 4 for the best D. adversarial = 0 is maximum likelihood, likelihood = 0 a GAN whose
likelihood is only looked at.

What goes wrong: by the game alone samples get sharper and the likelihood falls without a floor, for G may leave out what D does
not miss; by likelihood alone its law covers all data, and more. So likelihood and samples are only told together. Images get
noise and a logit (`flows.py`), and their likelihood is that of 256 levels: 8 bits a pixel are a uniform guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minigan import losses, nn, ops, optim, penalties
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.class_checks import class_checks
from minigan.gans.flows import Flow
from minigan.gans.images import Averaged, AveragedConfig, Down
from minigan.gans.options import option
from minigan.gans.planes import coloured, plane
from minigan.gans.protocol import Histogram, Picture
from minigan.gans.toy import perceptron
from minigan.player import Lazy, Player
from minigan.theory.transport import sliced_wasserstein

JUDGED, SAMPLES = 2000, 1000  # examples and samples that checks look at
LEGIBLE = {"class KL": ("<= 0.15", "a guess"), "legible": (">= 0.7", "a guess")}
CELLS, SIDE = 96, 8  # of the pictures: the plane's side; images between two, and how many pairs


@dataclass(frozen=True, kw_only=True)
class FlowGANConfig(AveragedConfig):
    """Flow-GAN's options."""

    data: str = option("moons", "points or images: a data set by name, or a path (see: minigan datasets)")
    steps: int = option(3000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(256, "examples a step; 64 is usual for images", low=1)
    layers: int = option(8, "affine couplings in G (Dinh 2016, arXiv 1605.08803, eq. 7, 8)", low=2)
    width: int = option(64, "hidden units of each; 128 and more for images", low=1)
    features: int = option(16, "images: channels after D's first layer", low=1)
    adversarial: float = option(0.1, "weight of the game in G's loss (arXiv 1705.08868); 0: without D", low=0.0)
    likelihood: float = option(1.0, "lambda (Grover 2017, arXiv 1705.08868): weight of -log p(x) / d", low=0.0)
    r1: float = option(0.1, "gamma of R1, gamma/2 E |grad D(x)|^2 (Mescheder 2018, arXiv 1801.04406)", low=0.0)
    lr: float = option(1e-3, "Adam's rate (Kingma 2014, arXiv 1412.6980); it falls to 0 in a straight line", low=0.0)


class FlowGAN(Averaged):
    """A flow against a discriminator, and for the likelihood."""

    Config = FlowGANConfig
    summary = "invertible generator: exact likelihood beside the game (Grover et al. 2017)"
    family = "density"
    lesson = "03_probability_and_pushforward"
    needs = "examples"
    generator: Flow
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        flow = Flow(self.shape, self.config.layers, self.config.width)
        judging = perceptron(math.prod(self.shape), 128, 1, "leaky_relu")
        if flow.images:
            trunk = Down(self.shape, self.config.features, norm=False)
            judging = nn.Sequential(trunk, nn.Dense(trunk.outputs, 1, init="normal"))
        return {"generator": flow, "discriminator": judging}

    def players(self) -> list[Player]:
        """Discriminator first, where there is a game; then generator."""
        config, rate = self.config, self.falling(self.config.lr)
        d, g = (optim.Adam(network, lr=rate, beta1=0.5) for network in (self.discriminator, self.generator))
        r1 = Lazy("r1", lambda x: penalties.r1(self.discriminator, x, gamma=config.r1), every=4)
        judging = Player("discriminator", self.discriminator_loss, d, lazy=[r1] if config.r1 else [])
        return [*([judging] if config.adversarial else []), Player("generator", self.generator_loss, g)]

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n examples G(z)."""
        return self.generator(self.random.normal((n, math.prod(self.shape)), stream="z"))

    def code(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f(x), and log p(x) in nats (N,): of images a bound, with noise drawn once."""
        return self.generator.code(x, self.random.uniform(x.shape, stream="levels"))

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z)))."""
        logits = self.discriminator(ops.concatenate([x, self.generate(len(x))]))
        return losses.non_saturating.discriminator(logits[: len(x)], logits[len(x) :])

    def generator_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Both terms; the likelihood is reported in nats."""
        log_p, config = ops.mean(self.code(x)[1]), self.config
        loss = -config.likelihood / math.prod(self.shape) * log_p
        if config.adversarial:
            fakes = self.discriminator(self.generate(len(x)))
            loss = loss + config.adversarial * losses.non_saturating.generator(fakes)
        return loss, {"log_likelihood": log_p}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Samples; of points log p over the plane (white: e^-4), of images what lies between the codes of two of the data."""
        made, x = dict(super().pictures(real)), real["x"]
        with self.evaluating(), self.random.apart(self.config.seed, "pictures"):
            if self.generator.images:
                z = self.code(self.tensor(x[: 2 * SIDE]))[0].numpy()
                share = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None]
                between = np.concatenate([(1 - share) * a + share * b for a, b in zip(z[::2], z[1::2], strict=True)])
                made["between"] = Picture(self.generator(self.tensor(between)).numpy(), SIDE)
            else:
                log_p = self.code(self.tensor(plane(x, CELLS)))[1].numpy()
                made["log_density"] = Picture(coloured(log_p[None] + 4, 6.0))
        return made

    def checks(self, real: RealData) -> Sequence[Check]:
        """Likelihood and samples together, and that the inverse is one."""
        x, law = real["x"][:JUDGED], next(iter(real.sets.values())).log_density
        samples, seed = self.sample(SAMPLES, seed=real.seed), real.seed
        with self.evaluating(), self.random.apart(seed, "checks"):
            z, log_p = self.code(self.tensor(x))
            y = self.generator.inverse(z)
            error = (self.generator.inverse(self.generator.unbounded_code(y)[0]) - y).numpy()
        made = [Check("largest |x - G(f(x))|", float(np.abs(error).max()), "<= 1e-5")]
        if self.generator.images:
            bits = -log_p.numpy().mean() / math.log(2) / x[0].size
            return [
                *made,
                Check("bits a pixel", bits, "<= 2.5"),
                *class_checks(samples, real, LEGIBLE),
            ]
        made.append(
            Check("sliced W1 of samples", sliced_wasserstein(x[:SAMPLES], samples, order=1, seed=seed), "<= 0.1")
        )
        if law is not None:
            made.append(Check("KL(p || q): E log p - E log q, nats", float((law(x) - log_p.numpy()).mean()), "<= 0.1"))
        return made
