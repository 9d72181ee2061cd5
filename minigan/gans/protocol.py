"""What the trainer asks of a model, and nothing more: anything that has these members can be trained, resumed and sampled.

:class:`minigan.gans.base.Model` has them all but three, which a model's file writes: `networks`, `players` and, where it makes
examples, `generate`.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from minigan import nn
from minigan.data.base import IN_TIME, KINDS
from minigan.game import Game
from minigan.gans.checks import Check, RealData
from minigan.gans.needs import Facts, Needs, entries
from minigan.gans.options import OPTIONS_OF_RUNS, RUN_OPTIONS

FAMILIES = {  # in the order of `minigan models`
    "two-player": "a generator against a discriminator",
    "stabilised": "the same game, held by a loss, a penalty or a constraint",
    "conditional": "told which class to make",
    "codes": "noise that comes to mean something, without labels",
    "autoencoders": "with an encoder, so that an example has a code",
    "restoring": "more pixels, less noise, what was hidden",
    "anomaly": "learn what is usual, and score what is not",
    "semi-supervised": "classifiers from a few labels and many examples without",
    "density": "densities, or their ratio, as numbers",
    "translation": "from images to other images, by pairs or without",
    "augmentation": "make more of a few labelled examples",
    "text": "sequences of tokens, whose choices have no derivative",
    "control": "actions whose consequences have no derivative",
    "time": "films and sounds",
    "own": "models of your own",
}


class ModelError(TypeError):
    """A model is not what the protocol asks for. The message names the model, the member, and what was expected of it."""


class Unsuitable(ValueError):  # noqa: N818 - it says what the options are
    """What a model's own code raises for options that do not suit each other or the data: a usage error, not a fault."""


class Picture(NamedTuple):
    """Examples to be drawn: images (n, H, W, C) in [-1, 1] as a grid, points (n, d) as a scatter plot, or what `kind` says.

    columns: of the grid; by default as many as rows.
    kind: "tokens" (n, L), "audio" (n, L, C) or "video" (n, T, H, W, C); "" for images and points.
    rate: of a film, pictures a second; 0 where the data has one.
    """

    examples: np.ndarray
    columns: int | None = None
    kind: str = ""
    rate: float = 0.0


class Histogram(NamedTuple):
    """Numbers to be drawn as histograms, one over the other on the same bins.

    groups: by name, (n,) each. label: of the axis.
    """

    groups: Mapping[str, np.ndarray]
    label: str


def can_be_drawn(examples: np.ndarray) -> bool:
    """Whether these are images (n, H, W, C) of 1 or 3 channels, or points (n, d), which are no whole numbers."""
    return (examples.ndim == 2 and examples.dtype.kind == "f") or (examples.ndim == 4 and examples.shape[-1] in (1, 3))


def fits(examples: np.ndarray, kind: str) -> bool:
    """Whether these have the axes and the dtype of a kind in time."""
    if kind not in IN_TIME:
        return False
    axes, dtype = KINDS[kind]
    channels = kind != "video" or examples.shape[-1] in (1, 3)
    return examples.ndim == len(axes) and examples.dtype == dtype and channels


def makes_examples(model: Any) -> bool:
    """Whether a model, or its class, is to be asked for examples: unless it has a method of this name that says no."""
    asked = getattr(model, "makes_examples", None)
    return asked is None or bool(asked())


class Trainable(Protocol):
    """A model, as the trainer sees it.

    Attributes:
        Config: a dataclass of options, among them `minigan.gans.options.RUN_OPTIONS`.
        summary: one line for `minigan models`, at most 90 characters in the zoo.
        family: under which of FAMILIES it stands there.
        needs: the data it is trained on, see `minigan.gans.needs`.
        conditions: what it can be asked for, by name, see `minigan.gans.conditions`.
        best: by which number of a line of `metrics.jsonl` a run is judged, "min NAME" or "max NAME": the best checkpoint is kept
            beside the last ones. NAME may be one that the model reports, or a metric that is registered as live, which is then
            taken at the steps at which the run is judged. None: by none.
        config: the `Config` it was made with.
        modules: its networks by name, to look for NaN in.
        game: who moves, and by which losses.
    """

    Config: type
    summary: str
    family: str
    needs: Needs
    conditions: Mapping[str, Any]
    best: str | None
    config: Any
    modules: dict[str, nn.Module]
    game: Game

    def __init__(self, config: Any, data: Facts, *, device: str = "cpu") -> None: ...

    def sample(self, n: int, *, seed: int | None = None, **conditions: Any) -> np.ndarray:
        """n examples, a pure function of the weights, the seed and the conditions. NotImplementedError: it makes none."""

    def parse_condition(self, name: str, text: str) -> Any:
        """A condition for :meth:`sample` from the command line. ValueError: there is no such condition, or no such value."""

    @classmethod
    def trains_on(cls, config: Any, data: Mapping[str, Any]) -> np.ndarray | None:
        """Which rows of a data set, (k,) whole numbers; None for all. data: its examples and labels, by the names in `needs`."""

    def feed(self, batch: Any, number: int) -> Any:
        """What `game.step` gets for the batch of that number; the batch as it was drawn, or something else."""

    def pictures(self, real: Mapping[str, np.ndarray]) -> Mapping[str, Picture | Histogram]:
        """What to draw, by name. real: some examples of the data, by the names in `needs`, the same at every call."""

    def metrics(self, real: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """Numbers for `metrics.jsonl` that are no losses, by name."""

    def checks(self, real: RealData) -> Sequence[Check]:
        """Numbers that a trained model should reach, for `minigan evaluate`, each with its target. real: all the data."""

    def equilibrium(self) -> Mapping[str, tuple[str, float]]:
        """For players whose loss at the equilibrium is known, by name: what to call it in a plot, and its value."""

    def state(self) -> dict[str, np.ndarray]:
        """Everything a resumed run needs, as a flat dict of arrays."""

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state()` returned. ValueError: it belongs to another model or configuration."""


MADE = ("config", "modules", "game")  # what an instance has; the class has the others
ASKED = tuple(name for name in dir(Trainable) + list(Trainable.__annotations__) if not name.startswith("_"))
_KINDS = (int, float, bool, str)


def lacking(model: type) -> list[str]:
    """What a class lacks to be trained, a phrase for each member; empty for a model that has everything."""
    abstract = sorted(getattr(model, "__abstractmethods__", ()))
    missing = [name for name in dict.fromkeys(ASKED) if name not in MADE and not hasattr(model, name)]
    found = [f"no {name}" for name in (*abstract, *missing)]
    if "Config" not in missing:
        found += _config_lacks(model.Config)  # type: ignore[attr-defined]
    if "best" not in missing:
        try:
            best_of(None if isinstance(model.best, property) else model.best)  # type: ignore[attr-defined]
        except TypeError as error:
            found.append(f"no {error}")
    if "family" not in missing and model.family not in FAMILIES:  # type: ignore[attr-defined]
        found.append(f"no family among {', '.join(FAMILIES)} (it is {model.family!r})")  # type: ignore[attr-defined]
    if "needs" not in missing:
        try:
            entries(model.needs)  # type: ignore[attr-defined]
        except TypeError as error:
            found.append(str(error))
    return found


def best_of(text: str | None) -> tuple[str, int]:
    """The name in "min NAME" or "max NAME", and by what to multiply the number so that the best is the largest; "" for None.

    Raises:
        TypeError: a text of another form.
    """
    if text is None:
        return "", 1
    words = text.split(maxsplit=1) if isinstance(text, str) else []
    if len(words) != 2 or words[0] not in ("min", "max"):
        raise TypeError(f'best that is "min NAME" or "max NAME" (it is {text!r})')
    return words[1].strip(), -1 if words[0] == "min" else 1


def _config_lacks(config: Any) -> list[str]:
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        return [f"no Config that is a dataclass (it is {config!r})"]
    fields, hints = dataclasses.fields(config), typing.get_type_hints(config)
    names = {f.name for f in fields}
    found = [f"no Config.{name}" for name in RUN_OPTIONS if name not in names]
    found += [
        f"no Config.{name} that is an option, as it seems to be meant: {why}" for name, why in _meant(config, names)
    ]
    for f in fields:
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            found.append(f"no default of Config.{f.name}")
        kind = hints[f.name]
        if kind not in _KINDS:
            found.append(f"no Config.{f.name} of type int, float, bool or str (it is {kind!r})")
        elif f.name in OPTIONS_OF_RUNS and kind is not OPTIONS_OF_RUNS[f.name]:
            wanted = OPTIONS_OF_RUNS[f.name].__name__
            found.append(f"no Config.{f.name} of type {wanted}, which every run has (it is {kind.__name__})")
        elif f.default is not dataclasses.MISSING and not _is_of(f.default, kind):
            found.append(f"no default of Config.{f.name} that is of its type, {kind.__name__} (it is {f.default!r})")
    return found


def _meant(config: type, names: set[str]) -> list[tuple[str, str]]:
    """What a Config's file wrote that looks like an option and is none, and why."""
    found = {}
    for base in config.__mro__:
        for name, value in vars(base).items():
            if not name.startswith("_") and name not in names and type(value) in _KINDS:
                found[name] = "it has no type, write it as NAME: TYPE = VALUE"
        if "__dataclass_fields__" not in vars(base):
            found |= dict.fromkeys(
                vars(base).get("__annotations__", {}), "its class lacks @dataclass(frozen=True, kw_only=True)"
            )
    return [(name, why) for name, why in found.items() if name not in names]


def _is_of(value: Any, kind: type) -> bool:
    return type(value) is kind or (kind is float and type(value) is int)


def check(model: type) -> None:
    """ModelError, with all that is missing, for a class that cannot be trained."""
    if found := lacking(model):
        raise ModelError(f"{model.__name__} cannot be trained: it has {'; it has '.join(found)}")


def check_numbers(name: str, method: str, made: Any) -> dict[str, float]:
    """The numbers that a method returned, by name; ModelError for anything else."""
    check_mapping(name, method, made, "names to numbers")
    found = {}
    for key, value in made.items():
        array = value.data if hasattr(value, "requires_grad") else np.asarray(value)
        if array.size != 1 or array.dtype.kind not in "biuf":
            raise ModelError(f"{name}: {method}() returned {value!r:.60} for {key!r}, expected one number")
        found[str(key)] = float(array.reshape(-1)[0])
    return found


def check_mapping(name: str, method: str, made: Any, what: str) -> None:
    """ModelError for a method that returned no mapping."""
    if not isinstance(made, Mapping):
        raise ModelError(f"{name}: {method}() returned {type(made).__name__}, expected a dict of {what}")


def check_checks(name: str, made: Any) -> list[Check]:
    """The checks that a model returned; ModelError for anything but a sequence of them, with names of their own."""
    if not isinstance(made, (list, tuple)) or not all(isinstance(check, Check) for check in made):
        raise ModelError(f"{name}: checks() returned {made!r}, expected a list of Check(name, value, target)")
    names = [check.name for check in made]
    if twice := next((each for each in names if names.count(each) > 1), ""):
        raise ModelError(f"{name}: checks(): {twice!r} comes twice; give each check a name of its own")
    return list(made)


def check_made(model: Any) -> None:
    """ModelError for an instance without what its constructor should have made."""
    if found := [name for name in MADE if not hasattr(model, name)]:
        raise ModelError(f"{type(model).__name__} cannot be trained: after __init__ it has no {', no '.join(found)}")
    try:
        best_of(model.best)  # where it is a property, the class could not tell
    except TypeError as error:
        raise ModelError(f"{type(model).__name__} cannot be trained: it has no {error}") from error
