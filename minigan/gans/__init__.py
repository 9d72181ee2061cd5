"""The zoo: one model a file, each imported when it is asked for; and what one's own models are written with.

A model of one's own is a file that `minigan train path/to/model.py` names, or is registered under a name of its own.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from minigan.gans.base import Model
from minigan.gans.checks import Check, RealData
from minigan.gans.conditions import Category, Examples, Label, Number
from minigan.gans.options import Config, option
from minigan.gans.protocol import Histogram, ModelError, Picture, Unsuitable, check

__all__ = [
    "DEFAULT", "MODELS", "Category", "Check", "Config", "Examples", "Histogram", "Label", "Model", "ModelError", "Number",
    "Picture", "RealData", "Unsuitable", "get", "option", "register",
]  # fmt: skip

MODELS = {
    "dcgan": "minigan.gans.dcgan:DCGAN",
    "mlp": "minigan.gans.mlp:MLP",
    "toy": "minigan.gans.toy:Toy",
    "lsgan": "minigan.gans.lsgan:LSGAN",
    "wgan": "minigan.gans.wgan:WGAN",
    "wgan_gp": "minigan.gans.wgan_gp:WGANGP",
    "sngan": "minigan.gans.sngan:SNGAN",
    "dragan": "minigan.gans.dragan:DRAGAN",
    "r3gan": "minigan.gans.r3gan:R3GAN",
    "pacgan": "minigan.gans.pacgan:PacGAN",
    "unrolled": "minigan.gans.unrolled:Unrolled",
    "cgan": "minigan.gans.cgan:CGAN",
    "acgan": "minigan.gans.acgan:ACGAN",
    "projection": "minigan.gans.projection:Projection",
    "infogan": "minigan.gans.infogan:InfoGAN",
    "vae": "minigan.gans.vae:VAE",
    "vaegan": "minigan.gans.vaegan:VAEGAN",
    "aae": "minigan.gans.aae:AAE",
    "bigan": "minigan.gans.bigan:BiGAN",
    "vat": "minigan.gans.vat:VAT",
    "density": "minigan.gans.density:Density",
    "flowgan": "minigan.gans.flowgan:FlowGAN",
    "dagan": "minigan.gans.dagan:DAGAN",
    "ssgan": "minigan.gans.ssgan:SSGAN",
    "ssaae": "minigan.gans.ssaae:SSAAE",
    "ganomaly": "minigan.gans.ganomaly:GANomaly",
    "fanogan": "minigan.gans.fanogan:FAnoGAN",
    "pix2pix": "minigan.gans.pix2pix:Pix2Pix",
    "cyclegan": "minigan.gans.cyclegan:CycleGAN",
    "discogan": "minigan.gans.discogan:DiscoGAN",
    "cogan": "minigan.gans.cogan:CoGAN",
    "pixelda": "minigan.gans.pixelda:PixelDA",
    "bicyclegan": "minigan.gans.bicyclegan:BicycleGAN",
    "style": "minigan.gans.style:Style",
    "srgan": "minigan.gans.srgan:SRGAN",
    "denoise": "minigan.gans.denoise:Denoise",
    "inpaint": "minigan.gans.inpaint:Inpaint",
    "lapgan": "minigan.gans.lapgan:LAPGAN",
    "stylegan": "minigan.gans.stylegan:StyleGAN",
    "stackgan": "minigan.gans.stackgan:StackGAN",
    "vgan": "minigan.gans.vgan:VGAN",
    "mocogan": "minigan.gans.mocogan:MoCoGAN",
    "interpolate": "minigan.gans.interpolate:Interpolate",
    "wavegan": "minigan.gans.wavegan:WaveGAN",
    "segan": "minigan.gans.segan:SEGAN",
    "cwavegan": "minigan.gans.cwavegan:CWaveGAN",
    "seqgan": "minigan.gans.seqgan:SeqGAN",
    "gumbelgan": "minigan.gans.gumbelgan:GumbelGAN",
    "gail": "minigan.gans.gail:GAIL",
}
DEFAULT, DEFAULT_DATA = "r3gan", "glyphs"  # of `minigan train` alone, chosen by bench/digits.py


def register(name: str, reference: str) -> None:
    """Let a model be trained, resumed and sampled by name, in this process.

    Nothing is imported before the model is asked for. A program that offers its models on the command line registers them and
    calls `minigan.cli.main()`.

    Args:
        name: for `minigan train NAME`: letters, digits, - and _.
        reference: "module:Class".

    Raises:
        ValueError: another form, or a name that is taken by another model.
    """
    if not isinstance(name, str) or not name.replace("-", "_").isidentifier():
        raise ValueError(f"register: got the name {name!r}, expected letters, digits, - and _")
    if not isinstance(reference, str):
        raise ValueError(
            f"register: got {reference!r}, expected the text 'module:Class', which is imported when it is needed"
        )
    module, colon, attribute = reference.partition(":")
    parts = module.split(".")
    if not colon or not all(part.isidentifier() for part in (attribute, *parts)) or parts[-1] == "py":
        raise ValueError(f"register: got {reference!r}, expected 'module:Class'")
    if MODELS.get(name, reference) != reference:
        raise ValueError(f"register: {name!r} is {MODELS[name]} already; choose another name")
    MODELS[name] = reference


def get(name: str) -> Any:
    """The model class of that name.

    Raises:
        ValueError: an unknown name; the message lists the known ones and the closest.
        ModelError: there is no such class, or it is no model.
    """
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, 1)
        raise ValueError(
            f"model: got {name!r}, expected one of {', '.join(MODELS)}"
            + (f"; did you mean {close[0]!r}?" if close else "")
        )
    module, _, attribute = MODELS[name].partition(":")
    found = getattr(importlib.import_module(module), attribute, None)
    if not isinstance(found, type):
        raise ModelError(f"model {name!r}: the module {module} has no class {attribute}")
    check(found)
    return found
