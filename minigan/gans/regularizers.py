"""Regularisers as values: penalties by name, and changes of the networks.

A penalty is a function of the model and of a batch of reals, to a tensor with one element. `GAN.penalties` says which a model
has; a model of one's own adds to it as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from minigan import nn, ops, penalties
from minigan.autodiff import Tensor
from minigan.gans.protocol import Unsuitable
from minigan.random import Source


class Players(Protocol):
    """What a penalty reads of a model, which is a :class:`minigan.gans.gan.GAN`."""

    config: Any
    discriminator: nn.Module
    random: Source

    @property
    def penalties(self) -> Mapping[str, Penalty]:
        """By name."""

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """Of what the discriminator judges."""

    def seen(self, x: Tensor) -> Tensor:
        """Examples as the discriminator sees them."""

    def fake(self, n: int, stream: str) -> Tensor:
        """n examples from fresh noise."""


Penalty = Callable[[Any, Tensor], Tensor]  # of the model and the reals


def r1(model: Players, real: Tensor) -> Tensor:
    """gamma/2 E |grad D(x)|^2."""
    return penalties.r1(model.discriminator, model.seen(real), gamma=model.config.r1)


def r2(model: Players, real: Tensor) -> Tensor:
    """gamma/2 E |grad D(G(z))|^2."""
    return penalties.r2(model.discriminator, model.seen(_fakes(model, real)), gamma=model.config.r2)


def zero_gp(model: Players, real: Tensor) -> Tensor:
    """gamma/2 E |grad D(u x + (1 - u) G(z))|^2."""
    x, y = model.seen(real), model.seen(_fakes(model, real))
    return penalties.zero_centered(model.discriminator, x, y, uniform=model.random, gamma=model.config.zero_gp)


def gp(model: Players, real: Tensor) -> Tensor:
    """lambda E (|grad D(u x + (1 - u) G(z))| - 1)^2."""
    x, y = model.seen(real), model.seen(_fakes(model, real))
    return model.config.gp * penalties.gradient_penalty(model.discriminator, x, y, uniform=model.random)


def lp(model: Players, real: Tensor) -> Tensor:
    """lambda E max(0, |grad D(u x + (1 - u) G(z))| - 1)^2."""
    x, y = model.seen(real), model.seen(_fakes(model, real))
    penalty = penalties.gradient_penalty(model.discriminator, x, y, uniform=model.random, one_sided=True)
    return model.config.lp * penalty


def dragan(model: Players, real: Tensor) -> Tensor:
    """lambda E (|grad D(x + d)| - 1)^2, d normal with half the standard deviation of the batch, as in the authors' code."""
    x = model.seen(real)
    scale = 0.5 * ops.sqrt(ops.var(x.detach()) + 1e-8)
    noise = scale * model.random.normal(x.shape, stream="noise for dragan")
    return model.config.dragan * penalties.dragan(model.discriminator, x, noise=noise)


def _fakes(model: Players, real: Tensor) -> Tensor:
    return model.fake(len(real), "noise for the penalty")


PENALTIES: dict[str, Penalty] = {"r1": r1, "r2": r2, "zero_gp": zero_gp, "gp": gp, "lp": lp, "dragan": dragan}


# -- changes of D ----------------------------------------------------------------------------------------------------
def change(discriminator: nn.Module, model: Players) -> None:
    """Put into D what the configuration asks for, before its weights are drawn.

    Raises:
        Unsuitable: a layer beside the last one is asked for, and D has no last layer that could take it; or penalties for a D
            with batch norm.
    """
    config = model.config
    if model.penalties and any(isinstance(m, nn.BatchNorm) for _, m in discriminator.modules()):
        raise Unsuitable(
            f"{', '.join(model.penalties)}: each is on the gradient of a score in its own input, and batch norm in D mixes "
            "the inputs (Gulrajani 2017, section 4); use LayerNorm or InstanceNorm in D, or no norm"
        )
    if config.feature_matching:
        layers_of(discriminator, "feature_matching")
    if config.minibatch or config.minibatch_std:
        network = layers_of(discriminator, "minibatch, minibatch_std")
        *body, head = network.layers
        assert isinstance(head, nn.Dense)
        count, outputs = head.weight.shape
        if config.minibatch:
            body.append(nn.MinibatchDiscrimination(count, kernels=config.minibatch))
            count += config.minibatch
        if config.minibatch_std:
            body.append(nn.MinibatchStd())
            count += 1
        wider = nn.Dense(count, outputs, bias=head.bias is not None, init=head.init)
        network.layers = [*body, wider]
    if config.spectral == "reshaped":
        nn.spectral(discriminator)
    if config.spectral == "operator":
        nn.spectral_operator(discriminator, model.seen_shape)
    if config.weight_norm:
        nn.weight_norm(discriminator)


def compares(discriminator: nn.Module) -> bool:
    """Whether a score depends on the other examples of its batch, so that reals and fakes have to pass one after the other."""
    kinds = (nn.BatchNorm, nn.MinibatchDiscrimination, nn.MinibatchStd)
    return any(isinstance(module, kinds) for _, module in discriminator.modules())


def layers_of(discriminator: nn.Module, option: str) -> nn.Sequential:
    """D, as layers of which the last one is dense.

    Raises:
        Unsuitable: it is no Sequential that ends in a Dense layer.
    """
    if not isinstance(discriminator, nn.Sequential) or not isinstance(discriminator.layers[-1], nn.Dense):
        raise Unsuitable(f"{option}: needs a discriminator that is a Sequential with a Dense layer at its end")
    return discriminator


def features(discriminator: nn.Module, x: Tensor) -> Tensor:
    """What D's last layer reads."""
    y = x
    for layer in layers_of(discriminator, "feature_matching").layers[:-1]:
        y = layer(y)
    return y
