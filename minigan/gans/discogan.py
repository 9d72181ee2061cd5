"""DiscoGAN (Kim, Cha, Kim, Lee, Kim 2017, arXiv 1703.05192): what relates two sets of images, found without a single pair.

    a --> G: conv 4x4/2 f, conv 4x4/2 2f, conv 3x3 4f, T 4x4/2 2f, T 4x4/2 --> G(a) --> F --> F(G(a)), which should be a
    b --> F: the same --> F(b) --> G --> G(F(b)), which should be b
    G(a) or b --> D_b: conv 4x4/2 f, conv 4x4/2 2f, dense 16f --> logit of "of set b", one an image;   F(b) or a --> D_a

Each generator minimises the game's non-saturating half and the reconstruction of what it began with (ibid., section 2.2)

    L_G = -E log D_b(G(a)) + d(F(G(a)), a)         L_F = -E log D_a(F(b)) + d(G(F(b)), b)         d the mean square,

both minimise L_G + L_F, and D_a, D_b the two halves of Goodfellow's game. CycleGAN came to the same idea in the same month, with
least squares, patches, residual networks and L1 ten times as heavy. Here every image goes through a narrow middle, and D sees it
whole: G may change shapes, as from bags to shoes in the paper, where CycleGAN's keeps them.

At the optimum G(a) has the law of b and F inverts it. That both directions are asked to close is the paper's point: a G alone, or
with one reconstruction, may send two kinds of a to one of b (ibid., section 2.3). Which of the invertible maps it is, nothing
says: here digits may well be exchanged, 4 for 9 and back, and every term is as small.

What goes wrong: just that (`label kept` tells, by labels that no loss hears of), most of all where D is sure early and d weak.
`weight` is d's; the authors' program gives it .01 at first and .5 later, between pixels in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minigan import losses, nn, optim
from minigan.autodiff import Tensor
from minigan.gans.cycles import Cycled
from minigan.gans.domains import TranslationConfig
from minigan.gans.images import NORMAL, Down
from minigan.gans.options import option
from minigan.gans.translators import Narrow
from minigan.player import Player


@dataclass(frozen=True, kw_only=True)
class DiscoGANConfig(TranslationConfig):
    """DiscoGAN's options."""

    data: str = option("a=glyphs,b=glyphs+tinted", "the two sets: a=NAME,b=NAME, or NAME,NAME")
    batch_size: int = option(32, "images of each set a step", low=1)
    weight: float = option(10.0, "of the mean squares d (Kim 2017, arXiv 1703.05192, eq. 3; 1 there)", low=0.0)


class DiscoGAN(Cycled):
    """Two generators, one against each discriminator of whole images."""

    Config = DiscoGANConfig
    summary = "relations between two sets of images, without pairs (Kim et al. 2017)"
    D_a: nn.Module
    D_b: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        f, (a, b) = self.config.features, self.facts.shapes.values()
        judges = {}
        for name, shape in {"D_a": a, "D_b": b}.items():
            trunk = Down(shape, f)
            judges[name] = nn.Sequential(trunk, nn.Dense(trunk.outputs, 1, init=NORMAL))
        return {"G": Narrow(a, b[-1], f), "F": Narrow(b, a[-1], f), **judges}

    def players(self) -> list[Player]:
        """Both discriminators together, then both generators."""
        adam = {"lr": self.config.lr, "beta1": self.config.beta1}
        return [
            Player("discriminators", self.discriminator_loss, optim.Adam({"a": self.D_a, "b": self.D_b}, **adam)),
            Player("generators", self.generator_loss, optim.Adam({"G": self.G, "F": self.F}, **adam)),
        ]

    def discriminator_loss(self, x: Any) -> Tensor:
        """-E log D_a(a) - E log(1 - D_a(F(b))), and the same of b and G(a)."""
        pair = losses.non_saturating
        of_a = pair.discriminator(self.D_a(x.a), self.D_a(self.F(x.b)))
        return of_a + pair.discriminator(self.D_b(x.b), self.D_b(self.G(x.a)))

    def generator_loss(self, x: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """L_G + L_F."""
        pair, made, back = losses.non_saturating, self.G(x.a), self.F(x.b)
        game = pair.generator(self.D_b(made)) + pair.generator(self.D_a(back))
        again = losses.mse(self.F(made), x.a) + losses.mse(self.G(back), x.b)
        return game + self.config.weight * again, {"game": game, "reconstruction": again}
