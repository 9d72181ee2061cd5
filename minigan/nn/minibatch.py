"""Layers that let a discriminator compare the examples of a batch, so that fakes which are all alike give themselves away.

With one of them a score depends on the whole batch: reals and fakes have to pass in batches of their own. A gradient penalty is
then on the gradient of the sum of scores, as in StyleGAN (Karras et al. 2018, arXiv 1812.04948), no more of each score.
"""

from __future__ import annotations

import math

from minigan import ops
from minigan.autodiff import Tensor, TensorLike
from minigan.checks import number, whole
from minigan.nn import init as initializers
from minigan.nn.module import Module
from minigan.random import Source


class MinibatchDiscrimination(Module):
    """(N, A) -> (N, A + B): with M_i = f_i T, rows M_ib of length C, each example also gets its closeness to the others,

        o_ib = 1/N sum over j of exp(-|M_ib - M_jb|_1)        (Salimans et al. 2016, arXiv 1606.03498, section 3.2)

    between 1/N (alone) and 1 (all alike). The paper has the sum; the mean keeps its size whatever N is. It costs N^2 B C.

    Args:
        features: A.
        kernels: B.
        dimensions: C, the length of a row.

    Raises:
        TypeError, ValueError: numbers below 1; when called, inputs that are not (N, A).
    """

    def __init__(self, features: int, *, kernels: int = 16, dimensions: int = 8) -> None:
        owner = "MinibatchDiscrimination"
        self.features = whole(owner, "features", features, low=1)
        self.kernels = whole(owner, "kernels", kernels, low=1)
        self.dimensions = whole(owner, "dimensions", dimensions, low=1)
        self.weight = initializers.leaf((features, kernels * dimensions), f"{owner}({features})")
        self.reset(Source(0), f"{owner} {features} {kernels} {dimensions}")

    def reset(self, random: Source, stream: str) -> None:
        """T ~ N(0, 1/A): the M of standardised features have variance 1, so that distances are neither 0 nor endless."""
        drawn = random.normal(self.weight.shape, stream=f"{stream}.weight") / math.sqrt(self.features)
        self.weight.assign(drawn.data)

    def forward(self, x: TensorLike) -> Tensor:
        """[f, o]."""
        x = ops.as_tensor(x)
        if x.ndim != 2 or x.shape[1] != self.features:
            raise ValueError(f"MinibatchDiscrimination: got {x.shape}, expected (N, {self.features})")
        m = ops.reshape(x @ self.weight, (len(x), self.kernels, self.dimensions))
        distance = ops.sum(ops.abs(ops.expand_dims(m, 1) - ops.expand_dims(m, 0)), 3)
        return ops.concatenate([x, ops.mean(ops.exp(-distance), 1)], axis=1)


class MinibatchStd(Module):
    """(N, ..., C) -> (N, ..., C + 1): one more channel, the standard deviation over the batch of each feature, averaged over all
    features (Karras et al. 2017, arXiv 1710.10196, section 3). It is the same number everywhere, small where all are alike.

    Args:
        eps: added to the variance, so that the root has a derivative where all are equal.

    Raises:
        TypeError, ValueError: eps that is not > 0.
    """

    def __init__(self, *, eps: float = 1e-8) -> None:
        self.eps = number("MinibatchStd", "eps", eps, above=0)

    def forward(self, x: TensorLike) -> Tensor:
        """[x, s]."""
        x = ops.as_tensor(x)
        s = ops.mean(ops.sqrt(ops.var(x, 0) + self.eps))
        return ops.concatenate([x, ops.broadcast_to(ops.reshape(s, (1,) * x.ndim), (*x.shape[:-1], 1))], axis=-1)
