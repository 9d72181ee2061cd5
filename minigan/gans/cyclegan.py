"""CycleGAN (Zhu, Park, Isola, Efros 2017, arXiv 1703.10593): translation between two sets of images without a single pair.

    a --> G --> G(a) --> F --> F(G(a)), which should be a        G(a) or b --> D_b --> 7 x 7 scores of "of set b", one a patch
    b --> F --> F(b) --> G --> G(F(b)), which should be b        F(b) or a --> D_a --> the same for set a

G and F are residual networks (`translators.py`). Each plays a game with least squares for the logarithms (ibid., section 4):

    D_b minimises  1/2 E (D_b(b) - 1)^2 + 1/2 E D_b(G(a))^2          G minimises  E (D_b(G(a)) - 1)^2  + what follows

and so for F and D_a; to that come, for both together (ibid., eq. 2, 3, and section 5.2),

    lambda L_cyc       L_cyc = E |F(G(a)) - a| + E |G(F(b)) - b|,                                           lambda = 10
    lambda mu L_idt    L_idt = E |G(b) - b| + E |F(a) - a|, where both sets have as many channels,          mu = .5

At the optimum G(a) has the law of b, F(b) that of a, and F = G^-1. That does not say which of the maps between the two laws G is:
followed by any invertible map of b's law to itself, G is as good by all of these terms but L_idt. What picks the right one is
that few small convolutions find it hard to make anything else than what is near (lesson 23 has a game that ends wrong).

What goes wrong: G exchanges classes, or turns strokes into gaps, with a cycle that closes; where b tells less than a, F(G(a)) is
still a, since G hides what is missing in G(a), too faint to be seen (Chu et al. 2017, arXiv 1712.02950). D sees the last 50
fakes mixed with earlier ones (`pool`; ibid., section 4), and learning rates fall in the second half.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minigan import data, losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.base import Stateful
from minigan.gans.cycles import Cycled
from minigan.gans.domains import TranslationConfig
from minigan.gans.options import option
from minigan.gans.translators import PatchGAN, ResNet
from minigan.player import Player


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig(TranslationConfig):
    """CycleGAN's options."""

    data: str = option("a=glyphs,b=glyphs+inverted", "the two sets: a=NAME,b=NAME, or NAME,NAME")
    steps: int = option(1500, "steps to train: one update of every player each", low=0)
    features: int = option(8, "channels f after the first layers of G and F; twice as many in D", low=1)
    blocks: int = option(2, "residual blocks in G and F (9 for 256 pixels: Zhu 2017, arXiv 1703.10593, 7.2)", low=0)
    cycle: float = option(10.0, "lambda: of the cycle (ibid., eq. 3)", low=0.0)
    identity: float = option(0.5, "mu: of the identity, times lambda (ibid., section 5.2)", low=0.0)
    pool: int = option(50, "earlier fakes that D sees (Shrivastava 2016, arXiv 1612.07828); 0: none", low=0)
    lr: float = option(2e-4, "Adam's learning rate; it falls to 0 in the second half (Zhu 2017, section 4)", low=0.0)


class CycleGAN(Cycled):
    """Two generators, one against each discriminator."""

    Config = CycleGANConfig
    summary = "two sets translated into each other and back, without pairs (Zhu et al. 2017)"
    D_a: nn.Module
    D_b: nn.Module
    fakes_a: data.Pool
    fakes_b: data.Pool

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, (a, b) = self.config, self.facts.shapes.values()
        return {
            "G": ResNet(a, b[-1], config.features, config.blocks),
            "F": ResNet(b, a[-1], config.features, config.blocks),
            "D_a": PatchGAN(a[-1], 2 * config.features),
            "D_b": PatchGAN(b[-1], 2 * config.features),
        }

    def extra_state(self) -> dict[str, Stateful]:
        """A pool of fakes for each discriminator."""
        size, seed = self.config.pool, 2 * self.config.seed
        return {"fakes_a": data.Pool(size, seed=seed), "fakes_b": data.Pool(size, seed=seed + 1)}

    def players(self) -> list[Player]:
        """Both generators together, then both discriminators (ibid., the authors' program)."""
        steps = max(2, self.config.steps)
        rate = optim.linear(self.config.lr, steps=steps, hold=steps // 2)
        adam: dict[str, Any] = {"lr": rate, "beta1": self.config.beta1}
        return [
            Player("generators", self.generator_loss, optim.Adam({"G": self.G, "F": self.F}, **adam)),
            Player("discriminators", self.discriminator_loss, optim.Adam({"a": self.D_a, "b": self.D_b}, **adam)),
        ]

    def generator_loss(self, x: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Both games, the cycle and the identity."""
        config, made, back = self.config, self.G(x.a), self.F(x.b)
        game = ops.mean(ops.square(self.D_b(made) - 1.0)) + ops.mean(ops.square(self.D_a(back) - 1.0))
        cycle = losses.l1(self.F(made), x.a) + losses.l1(self.G(back), x.b)
        loss = game + config.cycle * cycle
        if config.identity and x.a.shape == x.b.shape:
            loss = loss + config.cycle * config.identity * (losses.l1(self.G(x.b), x.b) + losses.l1(self.F(x.a), x.a))
        return loss, {"game": game, "cycle_loss": cycle}

    def discriminator_loss(self, x: Any) -> Tensor:
        """Of both, each with fakes from its pool."""
        pair = losses.least_squares()
        of_a = pair.discriminator(self.D_a(x.a), self.D_a(self.fakes_a(self.F(x.b))))
        return of_a + pair.discriminator(self.D_b(x.b), self.D_b(self.fakes_b(self.G(x.a))))
