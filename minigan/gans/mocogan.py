"""MoCoGAN (Tulyakov, Liu, Yang, Kautz 2017, arXiv 1707.04993): a film is one content and a path of motion.

    z_C (content, drawn once) ------------- gains of channels --+
    e_1, e_2, ... --> GRU, from h_0 --> z_M,1, z_M,2, ... ------+--> G (`films.py`), picture by picture --> x_1, x_2, ...
    one picture of x --> Down --> dense --> logit                                                       D_I
    x whole          --> FilmDown (`films.py`) --> logit                                                D_V

with z_C, h_0 and each e_t from N(0, I). Two judges, one of pictures and one of films (ibid., section 3: F_V), S a picture at a
time that is drawn for each film:

    min_{G, GRU} max_{D_I, D_V}  E log D_I(S(x)) + E log(1 - D_I(S(x~))) + E log D_V(x) + E log(1 - D_V(x~)),

G's half as -E log D_I(S(x~)) - E log D_V(x~). At the optimum films have the data's law, and D_I could go: it only teaches
pictures sooner. z_C is the same in all pictures of a film, z_M is not: so what moves can be changed with its motion kept.

What goes wrong: nothing keeps a path from depending on z_C. A direction is the same in all pictures, as z_C is, while a fresh GRU
forgets h_0 in a few: so directions are learned as content. Here the GRU begins with a long memory, and z_C enters as gains of
channels, which are the same at all places (the paper joins both codes); how a motion fares with another content is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.data import motion
from minigan.gans.checks import Check, RealData
from minigan.gans.domains import correlation
from minigan.gans.films import FilmConfig, FilmDown, FilmModel, Painter, Path
from minigan.gans.images import Down
from minigan.gans.needs import ONLY
from minigan.gans.options import option
from minigan.gans.protocol import Histogram, Picture
from minigan.player import Player

JUDGED, CONTENTS, MOTIONS = 200, 4, 2  # pairs that checks look at; of the picture


@dataclass(frozen=True, kw_only=True)
class MoCoGANConfig(FilmConfig):
    """MoCoGAN's options."""

    content: int = option(10, "length of z_C (Tulyakov 2017, arXiv 1707.04993, section 4: 50)", low=1)
    motion: int = option(10, "length of z_M, units of the GRU, and length of e (ibid.: 10)", low=1)
    d_lr: float = option(2e-4, "Adam's rate of both judges, as in the paper; with G's they win too early", low=0.0)
    memory: float = option(
        3.0, "m: the GRU's update gate begins near 1 / (1 + e^-m), the share of h that stays; 0 in the paper"
    )


class MoCoGAN(FilmModel):
    """Pictures of a content and a path, a judge of pictures, a judge of films."""

    Config = MoCoGANConfig
    summary = "films of one content code and a GRU's path of motion codes (Tulyakov et al. 2017)"
    averaged = ("generator", "path")
    generator: nn.Module
    path: Path
    of_pictures: nn.Module
    of_films: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, picture = self.config, self.shape[1:]
        judge, trunk = FilmDown(self.shape, config.features), Down(picture, config.features)
        return {
            "generator": Painter(config.motion, config.content, picture, 2 * config.features),
            "path": Path(config.motion, config.memory),
            "of_pictures": nn.Sequential(trunk, nn.Dense(trunk.outputs, 1, init="normal")),
            "of_films": judge,
        }

    def players(self) -> list[Player]:
        """Both judges, then G with its GRU."""
        config = self.config
        judges, makers = ({n: self.modules[n] for n in names} for names in (("of_pictures", "of_films"), self.averaged))
        return [
            Player("discriminators", self.discriminator_loss, optim.Adam(judges, lr=config.d_lr, beta1=config.beta1)),
            Player("generator", self.generator_loss, optim.Adam(makers, lr=config.lr, beta1=config.beta1)),
        ]

    def contents(self, n: int) -> Tensor:
        """z_C of n films."""
        return self.random.normal((n, self.config.content), stream="content")

    def motions(self, n: int) -> Tensor:
        """z_M of n films, (n, T, motion)."""
        d = self.config.motion
        start, noise = (
            self.random.normal(shape, stream=s) for shape, s in (((n, d), "h_0"), ((n, self.shape[0], d), "e"))
        )
        return self.path.over(noise, start)[0]

    def filmed(self, content: Tensor, motions: Tensor) -> Tensor:
        """Films of z_C (n, content) and z_M (n, T, motion)."""
        n, t, d = motions.shape
        same = ops.broadcast_to(ops.expand_dims(content, 1), (n, t, self.config.content))
        made = self.generator(ops.reshape(motions, (n * t, d)), ops.reshape(same, (n * t, -1)))
        return ops.reshape(made, (n, *self.shape))

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n films."""
        return self.filmed(self.contents(n), self.motions(n))

    def one_of(self, x: Tensor) -> Tensor:
        """S: a picture of each film, at a time of its own."""
        n = len(x)
        return x[np.arange(n), self.random.integers((n,), high=self.shape[0], stream="time")]

    def discriminator_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Of both judges: -E log D(real) - E log(1 - D(fake))."""
        fake, pair = self.generate(len(x)), losses.non_saturating
        pictures = pair.discriminator(self.of_pictures(self.one_of(x)), self.of_pictures(self.one_of(fake)))
        films = pair.discriminator(self.of_films(x), self.of_films(fake))
        return pictures + films, {"pictures": pictures, "films": films}

    def generator_loss(self, x: Tensor) -> Tensor:
        """-E log D_I - E log D_V of fakes."""
        fake, pair = self.generate(len(x)), losses.non_saturating
        return pair.generator(self.of_pictures(self.one_of(fake))) + pair.generator(self.of_films(fake))

    def crossed(self, contents: np.ndarray, motions: np.ndarray, seed: int) -> np.ndarray:
        """Films of content number contents[i] and motion number motions[i], two arrays (n,)."""
        with self.evaluating(), self.random.apart(seed, "crossed"):
            c, m = self.contents(contents.max() + 1), self.motions(motions.max() + 1)
            return self.filmed(c[contents], m[motions]).numpy()

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """Films as strips; and two motions, each with four contents, one below the other."""
        rows = np.arange(CONTENTS * MOTIONS)
        films = self.crossed(rows % CONTENTS, rows // CONTENTS, self.config.seed)
        return {**super().pictures(real), "crossed": Picture(films, kind="video")}

    def checks(self, real: RealData) -> Sequence[Check]:
        """What films show; of films with known truth, whether a motion stays when the content changes, and the reverse."""
        made = [*super().checks(real)]
        if "vx" not in real.sets[ONLY].factors:
            return made
        every, pairs = np.arange(2 * JUDGED), np.arange(2 * JUDGED) % JUDGED
        speeds = np.nan_to_num(motion.velocity(self.crossed(every, pairs, real.seed)))
        grounds = np.median(self.crossed(pairs, every, real.seed), axis=(1, 2, 3, 4))[:, None]
        return [
            *made,
            Check("velocity with another content, correlation", correlation(*np.split(speeds, 2)), ">= 0.8"),
            Check("ground with another motion, correlation", correlation(*np.split(grounds, 2)), ">= 0.8"),
        ]
