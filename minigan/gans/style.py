"""Style transfer by optimisation (Gatys, Ecker, Bethge 2016, CVPR; arXiv 1508.06576): no generator, the image itself is learned.

    content image a --> judge: conv 5x5 --> max pool 2 --> conv 5x5 = P, its content
    style image b   --> the same: F^1 behind the first, F^2 behind the second convolution --> Gram matrices A^1, A^2, its style
    x = tanh(artanh .98 a + change) --> the same --> F^2, which should be P; G^1 and G^2, which should be A^1 and A^2

With F^l_ik the answer of filter i at place k of M_l, each image x minimises (ibid., eq. 1 to 7)

    L = L_content + weight L_style,    L_content = sum (F^2 - P)^2 / sum P^2,
    G^l = F^l (F^l)^T / M_l,           L_style = mean over l of  sum (G^l - A^l)^2 / sum (A^l)^2,

as shares, where the paper has factors that depend on the layers' sizes: both are 1 where no filter answers. G^l does not know
where a filter answers, only how often, and with which others: what is exchanged within the filters' reach has the style of b. At
the optimum of L_style alone x is a texture; at that of L_content alone a, as far as F^2 tells it.

The paper's features are VGG's, of a million photographs, which is not at hand. Here they are those of our own judge (its layers:
`metrics/judge.py`, with means for maxima, as ibid. section 2), trained in the first `judging` steps to tell a from b: two layers,
that see 5 and 14 pixels. What goes wrong: bricks are larger, so that x has grain, contrast and shades of b and no wall; two
layers do not hear of a chessboard of single pixels, which `smooth` takes away (begun with noise, as in the paper, x kept it all);
and `weight` too small or too large gives one of the two images back. Nothing is learned for the next pair: see `cyclegan.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import losses, nn, optim
from minigan.autodiff import Tensor
from minigan.game import Phase
from minigan.gans import domains, transfer
from minigan.gans.base import Model, Stateful
from minigan.gans.checks import Check, RealData
from minigan.gans.options import Config, option
from minigan.gans.protocol import Picture, Unsuitable
from minigan.gans.restoring import beside
from minigan.gans.transfer import CONVOLUTIONS, Canvas, Kept, gram, share, with_means
from minigan.gans.translators import alike, in_colour
from minigan.metrics.judge import Judge
from minigan.player import Player


@dataclass(frozen=True, kw_only=True)
class StyleConfig(Config):
    """The options of style transfer."""

    data: str = option("a=photo:chelsea,b=photo:ihc", "contents and styles: a=NAME,b=NAME, or NAME,NAME")
    steps: int = option(1000, "steps to train: of the judge, then of the images", low=0)
    batch_size: int = option(16, "pairs, the first of the run; images of each set that the judge reads a step", low=1)
    judging: int = option(200, "steps of the judge (the paper takes one that is trained, VGG)", low=1)
    weight: float = option(20.0, "of L_style (1,000 to 100,000, in the paper's units: 1508.06576, figure 3)", low=0.0)
    smooth: float = option(0.5, "of neighbours' differences (Mahendran 2014, arXiv 1412.0035, eq. 3)", low=0.0)
    lr: float = option(0.03, "of Adam for images, falls to 0 (the paper: L-BFGS); a fiftieth for the judge", low=0.0)


class Style(Model):
    """A judge, then an image for each pair."""

    Config = StyleConfig
    summary = "style of one image, content of another, by descent on pixels (Gatys et al. 2016)"
    lesson = "24_resolution_and_style"
    family = "translation"
    needs = {"a": "images", "b": "images"}  # noqa: RUF012
    best = "min loss"
    judge: nn.Sequential
    canvas: Canvas
    pairs: Kept

    @property
    def chunk(self) -> int:  # type: ignore[override]
        """As many as there are pairs: samples begin with the first of them, and begin again."""
        return self.config.batch_size

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        a, b = self.facts.shapes.values()
        shape = (*alike(a, b)[:2], max(a[-1], b[-1]))
        if min(shape[:2]) < 8:
            raise Unsuitable(f"got images of {shape}, expected sides of 8 or more; resize them: --size 28")
        return {"judge": with_means(Judge(shape, classes=2)), "canvas": Canvas((self.config.batch_size, *shape))}

    def extra_state(self) -> dict[str, Stateful]:
        """The pairs."""
        return {"pairs": Kept(self.config.batch_size, self.facts.shapes)}

    def players(self) -> list[Phase]:
        """The judge, then the images."""
        left = max(1, self.config.steps - self.config.judging)
        reading = optim.Adam(self.judge, lr=self.config.lr / 50)
        drawing = optim.Adam(self.canvas, lr=optim.linear(self.config.lr, steps=left))
        return [
            Phase("judge", [Player("judge", self.judge_loss, reading)], steps=self.config.judging),
            Phase("images", [Player("images", self.image_loss, drawing)]),
        ]

    def feed(self, batch: Any, number: int) -> Any:
        """Batches to the judge; the first one, again and again, to the images."""
        if number == 0:
            self.pairs.keep(batch)
        return batch if number < self.config.judging else self.pairs.batch

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """The first n images."""
        return self.drawn(self.tensor(self.pairs.batch["a"]))[:n]

    def drawn(self, a: Tensor) -> Tensor:
        """x = tanh(artanh .98 a + what is learned)."""
        return beside(in_colour(a, self.canvas.change.shape[-1]), self.canvas.change)

    def seen(self, x: Tensor) -> list[Tensor]:
        """F^1 and F^2 of images, (N, H/l, W/l, filters)."""
        found = [in_colour(x, self.canvas.change.shape[-1])]
        for place in range(CONVOLUTIONS[-1] + 1):
            found.append(self.judge[0][place](found[-1]))  # type: ignore[index]
        return [found[place + 1] for place in CONVOLUTIONS]

    def judge_loss(self, x: Any) -> Tensor:
        """The cross entropy of which set an image is of."""
        told = (self.judge(in_colour(each, self.canvas.change.shape[-1])) for each in (x.a, x.b))
        a, b = (losses.cross_entropy(logits, np.full(len(x.a), label)) for label, logits in enumerate(told))
        return a + b

    def both(self, x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """L_content and L_style, the means over pairs."""
        f, p, wanted = self.seen(x), self.seen(a)[-1], self.seen(b)
        layers = [share(gram(g), gram(w)) for g, w in zip(f, wanted, strict=True)]
        return share(f[-1], p), sum(layers[1:], layers[0]) / len(layers)

    def image_loss(self, x: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """L, the mean over pairs."""
        made = self.drawn(x.a)
        content, style = self.both(made, x.a, x.b)
        rough = losses.l1(made[:, 1:], made[:, :-1]) + losses.l1(made[:, :, 1:], made[:, :, :-1])
        loss = content + self.config.weight * style + self.config.smooth * rough
        return loss, {"content": content, "style": style}

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """L of the images as they are."""
        return {"loss": np.dot((1.0, self.config.weight), transfer.losses_of(self, self.sample(self.chunk)))}

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """Rows: contents, styles, images."""
        return {"samples": domains.rows(*self.pairs.batch.values(), self.sample(self.chunk))}

    def checks(self, real: RealData) -> Sequence[Check]:
        """What has become of both; see `transfer.py`."""
        return transfer.checks_of(self, real)
