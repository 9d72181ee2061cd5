"""The zoo: one model a file. Models are imported when they are asked for."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

MODELS = {"dcgan": "minigan.gans.dcgan:DCGAN", "mlp": "minigan.gans.mlp:MLP", "toy": "minigan.gans.toy:Toy"}
DEFAULT = "dcgan"


def get(name: str) -> Any:
    """The model class of that name.

    Raises:
        ValueError: an unknown name; the message lists the known ones and the closest.
    """
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, 1)
        raise ValueError(
            f"model: got {name!r}, expected one of {', '.join(MODELS)}"
            + (f"; did you mean {close[0]!r}?" if close else "")
        )
    module, _, attribute = MODELS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
