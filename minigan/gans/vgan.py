"""VGAN (Vondrick, Pirsiavash, Torralba 2016, arXiv 1609.02612): a film is something that moves before a ground that rests.

    z (100) --> FilmUp --> maps (4 x 8 x 8 x 2f) --> T 4x4x4/2, tanh     --> foreground f (8 x 16 x 16)
                                                 --> T 4x4x4/2, sigmoid  --> mask m (8 x 16 x 16), in (0, 1)
    z       --> Up (`images.py`): one picture, tanh                      --> ground b (16 x 16)
    film --> FilmDown (`films.py`) --> logit                                                                              D

The film is put together, with b repeated over time (ibid., eq. 2), and a mask costs what it covers:

    G(z) = m(z) f(z) + (1 - m(z)) b(z)
    D minimises  -E log D(x) - E log(1 - D(G(z))),     G minimises  -E log D(G(z)) + lambda E |m(z)|_1,     lambda = .1,

|m|_1 the mean over places. The optimum of the game alone is p_G = p, and m = 1 reaches it as well as any: nothing but lambda
says what is ground. With lambda a pixel is foreground only where b cannot show it, and b must be the same in all pictures: so the
ground of a film rests by construction where the mask is 0.

What goes wrong: roles are exchanged, b a bright stain and the mask all that is not the shape: a game is content with that, and
lambda = .1 too weak against it. So masks begin nearly closed here. Too large a lambda, and every film is a photograph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.films import FilmConfig, FilmDown, FilmModel, FilmUp
from minigan.gans.images import NORMAL, Up
from minigan.gans.options import option
from minigan.gans.protocol import Histogram, Picture
from minigan.player import Player

SHOWN = 2  # films in the picture of their parts


@dataclass(frozen=True, kw_only=True)
class VGANConfig(FilmConfig):
    """VGAN's options."""

    latent: int = option(100, "length of the noise vector z ~ N(0, 1)", low=1)
    closed: float = option(
        3.0, "c: the mask begins near 1 / (1 + e^c), so that the ground is tried first; 0 in the paper"
    )
    mask: float = option(0.1, "lambda: of the mask's mean (Vondrick 2016, arXiv 1609.02612, section 2.2)", low=0.0)


class Parts(NamedTuple):
    """What a film is made of: foreground (N, T, H, W, C), mask (N, T, H, W, 1), ground (N, 1, H, W, C)."""

    foreground: Tensor
    mask: Tensor
    ground: Tensor

    @property
    def film(self) -> Tensor:
        """m f + (1 - m) b."""
        return self.mask * self.foreground + (1.0 - self.mask) * self.ground


class Scene(nn.Module):
    """G: from z (N, latent) to :class:`Parts`."""

    def __init__(self, latent: int, shape: tuple[int, ...], features: int, closed: float) -> None:
        head: dict[str, Any] = {"stride": 2, "axes": 3, "init": NORMAL}
        self.closed = closed
        self.trunk = FilmUp(latent, shape, features)
        self.foreground = nn.ConvTranspose(2 * features, shape[-1], 4, activation="tanh", **head)
        self.mask = nn.ConvTranspose(2 * features, 1, 4, **head)
        self.ground = Up(latent, shape[1:], features)

    def forward(self, z: Tensor) -> Parts:  # type: ignore[override]
        """The parts of films."""
        h = self.trunk(z)
        return Parts(self.foreground(h), ops.sigmoid(self.mask(h) - self.closed), ops.expand_dims(self.ground(z), 1))


class VGAN(FilmModel):
    """A scene of two streams against a discriminator of films."""

    Config = VGANConfig
    summary = "films of a moving foreground, a mask, and a resting ground (Vondrick et al. 2016)"
    generator: nn.Module
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config = self.config
        return {
            "generator": Scene(config.latent, self.shape, config.features, config.closed),
            "discriminator": FilmDown(self.shape, config.features),
        }

    def players(self) -> list[Player]:
        """D, then G."""
        adam = {"lr": self.config.lr, "beta1": self.config.beta1}
        return [
            Player("discriminator", self.discriminator_loss, optim.Adam(self.discriminator, **adam)),
            Player("generator", self.generator_loss, optim.Adam(self.generator, **adam)),
        ]

    def parts(self, n: int) -> Parts:
        """Of n films with fresh noise."""
        return self.generator(self.random.normal((n, self.config.latent), stream="z"))

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n films G(z)."""
        return self.parts(n).film

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z)))."""
        return losses.non_saturating.discriminator(self.discriminator(x), self.discriminator(self.generate(len(x))))

    def generator_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """-E log D(G(z)) + lambda E |m|_1."""
        parts = self.parts(len(x))
        fooled, covered = losses.non_saturating.generator(self.discriminator(parts.film)), ops.mean(parts.mask)
        return fooled + self.config.mask * covered, {"fooled": fooled, "covered": covered}

    def shown(self, n: int, seed: int) -> list[np.ndarray]:
        """Of n films: the film, the mask, the foreground, the ground, each (n, T, H, W, C)."""
        with self.evaluating(), self.random.apart(seed, "parts"):
            parts = self.parts(n)
            film = parts.film.numpy()
        mask, ground = 2 * parts.mask.numpy() - 1, parts.ground.numpy()
        return [film, *(np.broadcast_to(each, film.shape) for each in (mask, parts.foreground.numpy(), ground))]

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Films as strips; and of some the film, its mask, its foreground and its ground, one below the other."""
        rows = np.stack(self.shown(SHOWN, self.config.seed), axis=1).reshape(-1, *self.shape)
        return {**super().pictures(real), "parts": Picture(rows, kind="video")}

    def checks(self, real: RealData) -> Sequence[Check]:
        """What films show; how much of them the mask covers."""
        covered = float((self.shown(200, real.seed)[1] > 0).mean())
        return [*super().checks(real), Check("share of places that are foreground", covered, "0.02 to 0.3")]
