"""The GAN of the lab: that of `minigan train toy`, with networks, noise and everything else to choose."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minigan import nn
from minigan.autodiff import Tensor
from minigan.gans.choices import GANConfig
from minigan.gans.options import again, option
from minigan.gans.toy import Toy, ToyConfig, perceptron

LAWS = {
    "normal": "each coordinate N(0, 1)",
    "uniform": "each coordinate uniform on [-1, 1] (GAN Lab: Kahng 2018, arXiv 1809.01587)",
}


@dataclass(frozen=True, kw_only=True)
class LabConfig(ToyConfig):
    """The options of the lab."""

    batch_size: int = again(ToyConfig, "batch_size", 256, high=2048)
    latent: int = again(ToyConfig, "latent", 2, high=128)
    law: str = option("normal", "law of the noise z", choices=LAWS)
    layers: int = option(2, "hidden layers of G", low=1, high=6)
    width: int = again(ToyConfig, "width", 64, high=512)
    d_layers: int = option(2, "hidden layers of D", low=1, high=6)
    d_width: int = option(64, "units in each hidden layer of D", low=1, high=512)
    ema: float = again(ToyConfig, "ema", 0.0)
    d_steps: int = again(ToyConfig, "d_steps", 1, high=20)
    unroll: int = again(GANConfig, "unroll", 0, high=20)


class LabGAN(Toy):
    """Perceptrons of any depth, noise of any law."""

    Config = LabConfig

    def networks(self) -> dict[str, nn.Module]:
        """As the toy's."""
        c, features = self.config, math.prod(self.shape)
        return {
            "generator": perceptron(c.latent, c.width, features, "relu", hidden=c.layers),
            "discriminator": perceptron(c.pack * features, c.d_width, 1, "leaky_relu", hidden=c.d_layers),
        }

    def fake(self, n: int, stream: str) -> Tensor:
        """n examples G(z) with fresh noise of the law that is asked for."""
        shape = (n, self.config.latent)
        if self.config.law == "uniform":
            return self.generator(2.0 * self.random.uniform(shape, stream=stream) - 1.0)
        return self.generator(self.random.normal(shape, stream=stream))


# -- what the page can set -------------------------------------------------------------------------------------------
GROUPS: dict[str, tuple[str, ...]] = {  # in the order in which the page shows them
    "data and noise": ("data", "batch_size", "seed", "latent", "law"),
    "networks": ("layers", "width", "d_layers", "d_width"),
    "loss": ("loss", "a", "b", "c", "label_real", "label_fake", "feature_matching", "unroll", "unroll_lr"),
    "optimizer": ("optimizer", "lr", "d_lr", "beta1", "beta2", "d_steps", "rule", "ema"),
    "penalties": ("r1", "r2", "zero_gp", "gp", "lp", "dragan", "penalty_every", "consensus"),
    "constraints on weights": ("clip", "spectral", "weight_norm", "orthogonal", "historical"),
    "what D sees": ("noise", "noise_steps", "pack", "minibatch", "minibatch_std", "pool"),
}
NOT_SHOWN = {  # and why
    **dict.fromkeys(("size", "crop", "grey", "range", "key", "kind", "length", "rate"), "how files are read"),
    **dict.fromkeys(("augment", "ada", "ada_images"), "for images"),
    **dict.fromkeys(("steps", "decay"), "the lab has no last step"),
    **dict.fromkeys(("loss_bound", "spread_bound"), "the page shows it"),
}
DATA = ("ring8", "grid25", "moons", "swiss_roll", "line", "gauss2d")
DRAWN = "drawn"  # the points that were drawn on the page
NEW_NETWORKS = ("data", "seed", "latent", "law", "layers", "width", "d_layers", "d_width")  # whose change begins anew


def schema() -> list[dict[str, Any]]:
    """All options that the page shows: name, group, type, default, help, and limits or choices with a line on each."""
    options = {f.name: f for f in dataclasses.fields(LabConfig)}
    return [_described(options[name], group) for group, names in GROUPS.items() for name in names]


def _described(f: dataclasses.Field[Any], group: str) -> dict[str, Any]:
    choices: Mapping[str, str] | None = f.metadata.get("choices")
    if f.name == "data":
        choices = {**dict.fromkeys(DATA, ""), DRAWN: "points that you draw, each the centre of a small Gaussian"}
    return {
        "name": f.name, "group": group, "type": type(f.default).__name__, "default": f.default, "help": f.metadata["help"],
        "low": f.metadata.get("low"), "high": f.metadata.get("high"), "choices": choices,
        "anew": f.name in NEW_NETWORKS,
    }  # fmt: skip


def configured(settings: Mapping[str, Any]) -> LabConfig:
    """A configuration from what the page sent.

    Raises:
        ValueError: an unknown option, or a value of another type or out of its limits.
    """
    known, values = {each["name"]: each for each in schema()}, {}
    for name, value in settings.items():
        if name not in known:
            raise ValueError(f"{name}: is no setting of the lab; it has {', '.join(known)}")
        kind, choices = known[name]["type"], known[name]["choices"]
        if kind == "float" and type(value) is int:
            value = float(value)
        if type(value).__name__ != kind or (kind == "float" and not math.isfinite(value)):
            raise ValueError(f"{name}: got {value!r}, expected {'a finite number' if kind == 'float' else kind}")
        if choices and value not in choices:
            raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(choices)}")
        values[name] = value
    return LabConfig(**values)
