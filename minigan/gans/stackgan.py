"""StackGAN (Zhang, Xu, Li, Zhang, Wang, Huang, Metaxas 2016, arXiv 1612.03242): a sketch first, then a picture of it.

    label --> N(mean, std^2) --> c ---+
                            z (64) ---+--> stage 1: dense --> T 4x4/2 --> I_1 (14 x 14) --> D_1(I_1, label)
    label --> N(mean, std^2) --> c', as maps beside I_1 --> stage 2: conv 3x3 --> residual blocks --> nearest x 2
                                                            --> two conv 3x3 --> I_2 (28 x 28) --> D_2(I_2, label)

The label stands for the paper's sentence. Stage s has a D and a G, which minimise (ibid., eq. 3 and 4; 5 and 6 for stage 2)

    D_s    -E log D(I, label) - E log(1 - D(G, label))
    G_s    -E log D(G, label) + kl KL(N(mean, std^2) || N(0, I))     the second term keeps conditions smooth (ibid., eq. 2)

with I real images of the stage's size. Stage 2 reads what stage 1 made, and no noise of its own; stage 1 knows nothing of it. At
the optimum I_1 has the law of small images given the label, I_2 that of large ones. Both learn at once here, as in StackGAN++
(arXiv 1710.10916); the paper trains one after the other. (SGAN, Huang et al. 2016, arXiv 1612.04357, stacks features instead.)

What goes wrong: I_2 need not be the picture of which I_1 is the sketch, nobody asks for that; where stage 1 collapses, so does 2;
and with a large kl all conditions become one law, and the label is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigan import data, losses, nn, optim
from minigan.autodiff import Tensor
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Label
from minigan.gans.images import Averaged, ImageConfig, multiple
from minigan.gans.latents import Posterior
from minigan.gans.options import option
from minigan.gans.protocol import Picture
from minigan.gans.pyramid import down
from minigan.gans.restoring import relative_distance
from minigan.gans.stages import Painter, PictureJudge, Sketch, SketchJudge
from minigan.metrics.label_accuracy import label_accuracy
from minigan.player import Player

JUDGED, ROWS = 1000, 4  # images that checks look at; of each class in the picture, a sketch above what is made of it


@dataclass(frozen=True, kw_only=True)
class StackGANConfig(ImageConfig):
    """StackGAN's options."""

    steps: int = option(1500, "steps to train: one update of every player each", low=0)
    batch_size: int = option(32, "examples a step", low=1)
    features: int = option(24, "channels f: half those before the sketch, those after D's first layer", low=1)
    latent: int = option(64, "length of the noise vector z ~ N(0, 1)", low=1)
    code: int = option(16, "length of c (Zhang 2016, arXiv 1612.03242, section 3.2: 128)", low=1)
    kl: float = option(0.02, "weight of the conditions' KL (ibid., eq. 4: 1, for sentences)", low=0.0)
    blocks: int = option(2, "residual blocks of stage 2 (ibid., section 3.4: 4)", low=0)
    lr: float = option(5e-4, "Adam's rate, beta1 .5 (ibid., section 4: .0002)", low=0.0)


class StackGAN(Averaged):
    """Two stages of two players."""

    Config = StackGANConfig
    summary = "a sketch of a class, then a picture of it (Zhang et al. 2016)"
    lesson = "24_resolution_and_style"
    family = "restoring"
    averaged = ("sketch", "painter", "first", "second")
    needs = {"x": "images", "y": "one-hot"}  # noqa: RUF012
    conditions = {"label": Label("y")}  # noqa: RUF012

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, k = self.config, self.classes
        multiple(self.shape, 4)
        return {
            "first": nn.Dense(k, 2 * config.code),
            "second": nn.Dense(k, 2 * config.code),
            "sketch": Sketch(config.latent + config.code, self.shape, config.features),
            "painter": Painter(self.shape[-1], config.code, config.features, config.blocks),
            "d1": SketchJudge(self.shape, config.features, k),
            "d2": PictureJudge(self.shape, config.features, k),
        }

    def players(self) -> list[Player]:
        """D and G of each stage."""
        adam = partial(optim.Adam, lr=self.config.lr, beta1=0.5)
        chosen = lambda *names: adam({name: self.modules[name] for name in names})  # noqa: E731
        return [
            Player("discriminator1", partial(self.discriminator_loss, 1), chosen("d1")),
            Player("generator1", partial(self.generator_loss, 1), chosen("sketch", "first")),
            Player("discriminator2", partial(self.discriminator_loss, 2), chosen("d2")),
            Player("generator2", partial(self.generator_loss, 2), chosen("painter", "second")),
        ]

    def condition(self, which: str, y: Tensor) -> tuple[Tensor, Posterior]:
        """c of labels y, and the law that it was drawn from."""
        law = Posterior.of(self.modules[which](y))
        return law.draw(self.random.normal(law.mean.shape, stream=which)), law

    def stages(self, y: Tensor) -> tuple[Tensor, Tensor, dict[int, Posterior]]:
        """I_1, I_2, and the conditions' laws."""
        (c, one), (more, two) = self.condition("first", y), self.condition("second", y)
        small = self.modules["sketch"](self.random.normal((len(y), self.config.latent), stream="z"), c)
        return small, self.modules["painter"](small, more), {1: one, 2: two}

    def generate(self, n: int, label: Tensor) -> Tensor:  # type: ignore[override]
        """I_2 of labels."""
        return self.stages(label)[1]

    def discriminator_loss(self, s: int, b: Any) -> Tensor:
        """-E log D(I, label) - E log(1 - D(G, label))."""
        d, real, fake = self.modules[f"d{s}"], down(b.x) if s == 1 else b.x, self.stages(b.y)[s - 1]
        return losses.non_saturating.discriminator(d(real, b.y), d(fake, b.y))

    def generator_loss(self, s: int, b: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """-E log D(G, label) + kl KL."""
        small, large, laws = self.stages(b.y)
        logits, kl = self.modules[f"d{s}"](small if s == 1 else large, b.y), laws[s].kl()
        return losses.non_saturating.generator(logits) + self.config.kl * kl, {f"kl{s}": kl}

    def both(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """n classes in turn, their sketches in full size by bicubic interpolation, and their pictures."""
        labels = np.arange(n) % self.classes
        with self.evaluating(), self.random.apart(seed, "both"):
            small, large, _ = self.stages(self.tensor(np.eye(self.classes, dtype=np.float32)[labels]))
        coarse = np.clip(data.resize(small.numpy(), (self.shape[0], self.shape[1]), filter="bicubic"), -1, 1)
        return labels, coarse.astype(np.float32), large.numpy()

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """A class a column; sketches, enlarged, each above its picture."""
        _, *parts = self.both(ROWS * self.classes, self.config.seed)
        rows = [part.reshape(ROWS, self.classes, *self.shape) for part in parts]
        return {"samples": Picture(np.stack(rows, axis=1).reshape(-1, *self.shape), self.classes)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """What stage 2 adds; whether it shows the class that was asked for."""
        labels, coarse, large = self.both(JUDGED, real.seed)
        judge, x = real.judge(), real["x"][:JUDGED]
        if judge is None:
            return []
        right = label_accuracy(labels, judge.log_probabilities(large).argmax(axis=1))
        share = relative_distance(judge, large, coarse, x)
        return [
            Check("cFD of stage 2, of that of stage 1 enlarged", share, "< 1"),
            Check("class that was asked for", right, ">= 0.9"),
        ]
