"""minigan: a GAN engine that a person can read.

Tensors and derivatives: `tensor`, `grad`, `vjp`, `jvp`, `hvp`, `jacobian`, `hessian`, `no_grad`, `gradcheck`.
Building blocks: `ops`, `nn`, `losses`, `penalties`, `optim`, `random`.
GANs: `Game`, `Player`, `Phase`, `Lazy`, and the models in `minigan.gans`.
Imported when first used: `data`, `augment`, `policy`, `gans` (the models), `theory` (the mathematics), `metrics` (how good
samples are).
Recorded steps: `replayed`, `effect`, `scheduled`, `RecordingError` (see `minigan.replayed`).
"""

# ruff: noqa: E402
import importlib
from typing import TYPE_CHECKING, Any

from minigan import interrupted

interrupted.install()  # before whatever takes time is imported

from minigan.kernels.cpu.registers import hold_blas

hold_blas()  # before NumPy is imported

from minigan import losses, nn, ops, optim, penalties, random
from minigan.autodiff import GraphError, Node, Tensor, effect, grad, tensor
from minigan.batch import Batch
from minigan.derivatives import hessian, hvp, jacobian, jvp, vjp
from minigan.draw import graph_to_dot, graph_to_svg, graph_to_text
from minigan.finite import NotFiniteError
from minigan.game import Game, Phase
from minigan.gradcheck import gradcheck
from minigan.player import Lazy, Player
from minigan.refusals import RecordingError
from minigan.replay import Recording
from minigan.replayed import replayed
from minigan.scheduled import scheduled
from minigan.switches import anomaly, enable_grad, hook, no_grad
from minigan.version import __version__

if TYPE_CHECKING:
    from minigan import augment, data, gans, metrics, policy, theory

# Imported at their first use: they take time, and a short program, or `minigan --help`, needs none.
_LATER = ("augment", "data", "gans", "metrics", "policy", "theory")

__all__ = [
    "Batch",
    "Game",
    "GraphError",
    "Lazy",
    "Node",
    "NotFiniteError",
    "Phase",
    "Player",
    "Recording",
    "RecordingError",
    "Tensor",
    "__version__",
    "anomaly",
    "augment",
    "data",
    "effect",
    "enable_grad",
    "gans",
    "grad",
    "gradcheck",
    "graph_to_dot",
    "graph_to_svg",
    "graph_to_text",
    "hessian",
    "hook",
    "hvp",
    "jacobian",
    "jvp",
    "losses",
    "metrics",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "penalties",
    "policy",
    "random",
    "replayed",
    "scheduled",
    "tensor",
    "theory",
    "vjp",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return importlib.import_module(f"minigan.{name}")
    raise AttributeError(f"module 'minigan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
