"""Virtual adversarial training (Miyato, Maeda, Koyama, Nakae, Ishii 2015, arXiv 1507.00677; 2017, arXiv 1704.03976): a
classifier that learns from a few labels, and from many images that it should say the same of when they move a little.

    x (784) --> 600 --> 600 --> logits of 10 classes, batch norm and ReLU between; 100 labels, all other images without

The local distributional smoothness of p at x is the divergence in the worst direction of length eps (2017, eq. 5, 6):

    LDS(x) = KL(p(. | x) || p(. | x + r)),      r = argmax over |r| <= eps

where the left p is held fixed. Near r = 0 the divergence is r^T H r / 2 with H = J^T (diag p - p p^T) J, J the Jacobian of the
logits, so r is eps times the top eigenvector of H. One power step from a random d gives H d / |H d| (ibid., eq. 11):

    power = "exact"   H d by the Hessian-vector product of the divergence at 0
    power = "finite"  its gradient at xi d, which is xi H d + O(xi^2): for small xi, rounding is all that is left in float32

With the cross entropy of labelled images, LDS and the two terms of "entropy" (2017, section 4.3; Springenberg 2015, arXiv
1511.06390: sure of each image, all classes equally often), the classifier minimises

    E_labelled -log p(y | x) + weight E LDS(x) + entropy (E H(p(. | x)) - H(E p(. | x)))

At the optimum p is right on the labels, sure of each image, even over the classes, and changes only where no images are. What
goes wrong: with few labels a whole class may be taken for another; the balance term counters it where classes are even.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.derivatives import hvp, vjp
from minigan.gans.checks import Check, RealData
from minigan.gans.directions import top_eigenvectors, unit
from minigan.gans.labelled import FewLabels, labels
from minigan.gans.options import Config, option
from minigan.gans.protocol import Picture
from minigan.player import Player

COMPARED, SHOWN = 20, 10  # images whose direction is compared; in a picture


@dataclass(frozen=True, kw_only=True)
class VATConfig(Config):
    """VAT's options."""

    steps: int = option(1500, "steps to train the classifier", low=0)
    batch_size: int = option(250, "images without labels a step", low=1)
    labels: int = labels()
    width: int = option(600, "hidden units (the paper: 1200)", low=1)
    eps: float = option(2.0, "length of r, for pixels in [-1, 1] (Miyato 2017, arXiv 1704.03976, eq. 6)", low=0.0)
    weight: float = option(1.0, "of the smoothness LDS (ibid., eq. 8)", low=0.0)
    entropy: float = option(1.0, "weight of sure answers and balanced classes (ibid., section 4.3)", low=0.0)
    power: str = option("exact", "H d", choices={"exact": "by hvp at r = 0", "finite": "by a gradient at xi d (ibid.)"})
    xi: float = option(0.1, "finite: where that gradient is taken (ibid.)", low=0.0)
    lr: float = option(2e-3, "Adam's learning rate at the start; it falls linearly to 0 (ibid.)", low=0.0)


class VAT(FewLabels):
    """One network, one player."""

    Config = VATConfig
    summary = "classifier from few labels, smooth where it hurts most (Miyato et al. 2015)"
    classifier: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        pixels, width = math.prod(self.shape), self.config.width
        hidden = [(pixels, width), (width, width)]
        layers = [part for i, o in hidden for part in (nn.Dense(i, o, bias=False), nn.BatchNorm(o, activation="relu"))]
        return {"classifier": nn.Sequential(nn.Flatten(), *layers, nn.Dense(width, self.classes))}

    def players(self) -> list[Player]:
        """The classifier."""
        return [Player("classifier", self.loss, optim.Adam(self.classifier, lr=self.falling(self.config.lr)))]

    def logits(self, x: Tensor) -> Tensor:
        """The classifier's."""
        return self.classifier(x)

    def loss(self, b: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The three terms, each reported."""
        supervised = losses.cross_entropy(self.classifier(b.labelled), b.label)
        # Apart from the labelled ones, as x + r is below: by the statistics of another batch, batch norm would make p(. | x) and
        # p(. | x + r) two things at r = 0 already, and the one would follow the other to a single class.
        free = self.classifier(b.x)
        r = self.config.eps * self.direction(b.x, free)
        smoothness = self.divergence(b.x, free, r) / len(b.x)
        unsure, mean = losses.cross_entropy(free, p := ops.softmax(free)), ops.mean(p, axis=0)
        balance = -ops.sum(mean * ops.log(mean + 1e-8))
        total = supervised + self.config.weight * smoothness + self.config.entropy * (unsure - balance)
        return total, {"supervised": supervised, "smoothness": smoothness, "unsure": unsure, "balance": balance}

    def divergence(self, x: Tensor, logits: Tensor, r: Tensor) -> Tensor:
        """The sum over examples of KL(p(. | x) || p(. | x + r)), p(. | x) from fixed logits."""
        log_p = ops.log_softmax(ops.stop_gradient(logits))
        return ops.sum(ops.exp(log_p) * (log_p - ops.log_softmax(self.classifier(x + r))))

    def direction(self, x: Tensor, logits: Tensor) -> Tensor:
        """One step of power iteration from a random direction: unit vectors of x's shape, constants for the derivative."""
        d = unit(self.random.normal(x.shape, stream="direction"))
        if self.config.power == "exact":
            _, moved = hvp(lambda r: self.divergence(x, logits, r), 0.0 * d, d)
        else:
            _, moved = vjp(lambda r: self.divergence(x, logits, r), self.config.xi * d, np.ones((), np.float32))
        return ops.stop_gradient(unit(moved))

    def predicted(self, x: np.ndarray) -> np.ndarray:
        """The likeliest class of each image (N,)."""
        with self.evaluating():
            return self.classifier(self.tensor(x)).numpy().argmax(axis=1)

    def found(self, x: np.ndarray, seed: int) -> np.ndarray:
        """The directions of images, as training would find them."""
        with self.evaluating(), self.random.apart(seed, "directions"):
            return self.direction(given := self.tensor(x), self.classifier(given)).numpy()

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture]:
        """Images, the directions that change the answer most (grey is 0), and both added: a row each."""
        x = real["x"][:SHOWN]
        r = self.found(x, self.config.seed)
        loudest = np.abs(r).max(axis=(1, 2, 3), keepdims=True) + 1e-12
        return {"directions": Picture(np.concatenate([x, r / loudest, np.clip(x + self.config.eps * r, -1, 1)]), SHOWN)}

    def checks(self, real: RealData) -> Sequence[Check]:
        """The classifier's error, and what one power step is worth."""
        x = real["x"][:COMPARED]
        with self.evaluating():
            best = top_eigenvectors(self.classifier, self.tensor(x))
        cosines = np.abs((self.found(x, real.seed).reshape(best.shape) * best).sum(axis=1))
        return [
            Check("error", self.error(real), "<= 0.12"),
            Check("cosine of direction and top eigenvector", np.median(cosines), ">= 0.7"),
        ]
