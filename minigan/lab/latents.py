"""What is between noise and a picture on the page: a generator as a function of noise and class, and images as bytes."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from minigan.autodiff import Tensor
from minigan.gans.conditions import Category

GENERATORS = ("generator", "decoder", "G")
SLIDERS, REACH = 8, 3.0  # coordinates of noise that can be moved, and how far


def classes_of(model: Any) -> int:
    """Of how many classes one can be asked for; 0 where that is no question."""
    found = [c.classes for c in getattr(model, "_bound", {}).values() if isinstance(c, Category)]
    return found[0] if found else 0


def no_sliders(model: Any) -> str:
    """Why noise cannot be set by hand, or ""."""
    if getattr(model.config, "latent", None) is None or _generator(model) is None:
        return f"the model has no network called {' or '.join(GENERATORS)} with an option latent"
    try:
        made = decoded(model, np.zeros((1, model.config.latent)), 0)
    except (TypeError, ValueError, AttributeError) as error:
        return f"its generator is no function of noise alone ({error})"
    return "" if made.ndim == 4 and made.shape[-1] in (1, 3) else "it is for images"


def _generator(model: Any) -> Any:
    return next((model.modules[name] for name in GENERATORS if name in model.modules), None)


def decoded(model: Any, z: np.ndarray, label: int) -> np.ndarray:
    """G(z), or G(z, label) of a model with classes: (n, H, W, C) in [-1, 1]."""
    noise, more = Tensor(np.ascontiguousarray(z, np.float32)), []
    if count := classes_of(model):
        more = [Tensor(np.eye(count, dtype=np.float32)[np.full(len(z), label)])]
    as_image = getattr(model, "image", lambda made: made)
    with model.evaluating():
        return np.asarray(as_image(_generator(model)(noise, *more)).data)


def asked_for(model: Any, z: Any, label: Any) -> tuple[np.ndarray, int]:
    """Noise (1, latent) and a class from what the page sent: its first coordinates, the others as a fixed draw.

    Raises:
        ValueError: other numbers than the page has sliders for.
    """
    count = min(SLIDERS, model.config.latent)
    good = isinstance(z, list) and len(z) == count and all(isinstance(v, (int, float)) and abs(v) <= REACH for v in z)
    if not good:
        raise ValueError(f"z: got {z!r}, expected {count} numbers from {-REACH:g} to {REACH:g}")
    if type(label) is not int or not 0 <= label < max(1, classes_of(model)):
        raise ValueError(f"label: got {label!r}, expected 0 to {max(1, classes_of(model)) - 1}")
    whole = np.random.default_rng(0).standard_normal((1, model.config.latent))
    whole[0, :count] = z
    return whole, label


def sliders(model: Any) -> dict[str, Any]:
    """What the page needs to show sliders."""
    why = no_sliders(model)
    count = 0 if why else min(SLIDERS, model.config.latent)
    return {"sliders": count, "reach": REACH, "classes": 0 if why else classes_of(model), "no_sliders": why}


def as_bytes(images: np.ndarray) -> dict[str, Any]:
    """Images (n, H, W, C) in [-1, 1] for a canvas."""
    grey = np.round(np.clip(np.nan_to_num(images), -1, 1) * 127.5 + 127.5).astype(np.uint8)
    n, height, width, channels = grey.shape
    data = base64.b64encode(np.ascontiguousarray(grey).tobytes()).decode()
    return {"count": n, "height": height, "width": width, "channels": channels, "data": data}
