"""A model's options: one dataclass, which gives `--help` its lines, checks what it is given, and is recorded with a run."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar, get_type_hints

from minigan.data.arrays import interval

C = TypeVar("C")


def option(default: Any, help: str, **limits: Any) -> Any:
    """A field of a configuration: its default, a line of help, and limits (`low`, `high`, `choices`) checked at the start.

    choices: a sequence, or a mapping to a line of help on each.
    images: another default where the data are images, for a model of points and of images.
    """
    if unknown := sorted(limits.keys() - {"low", "high", "choices", "images"}):
        raise TypeError(f"option: got the limits {', '.join(unknown)}, expected low, high, choices or images")
    return field(default=default, metadata={"help": help, **limits})


def again(base: type[Any], name: str, default: Any, note: str = "", **limits: Any) -> Any:
    """The option of that name of another dataclass, with its help, limits and source, and another default.

    note: behind the help, such as "1e-4 in the paper".
    limits: other ones than there; the default for images is not taken over.

    Raises:
        TypeError: the other has no such option.
    """
    found = {f.name: {**f.metadata} for f in fields(base) if f.default is not MISSING}
    if name not in found:
        raise TypeError(f"again: {base.__name__} has no option {name!r}; it has {', '.join(found)}")
    help = found[name]["help"] + (f" ({note})" if note else "")
    found[name].pop("images", None)
    return option(default, **{**found[name], "help": help, **limits})


LOSS_BOUND, SPREAD_BOUND = 1e6, 0.02  # see `minigan.run.divergence`


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every run is given: the options of the run itself. A model's own dataclass adds what the model uses.

    Every field is an int, a float, a bool or a str and has a default; a subclass may give these other defaults.

    Raises:
        ValueError: a value outside the limits of its option.
    """

    data: str = option("glyphs", "data set by name, or a path (see: minigan datasets)")
    size: str = option("", "resize images: N, or HxW")
    crop: bool = option(False, "take the middle of images of another aspect, which are refused otherwise")
    grey: bool = option(False, "images in one channel")
    range: str = option("", "of arrays of images: A..B become -1 and 1")
    key: str = option("", "of several arrays in a file the one to read; the column of labels of a table")
    kind: str = option("", "what arrays, .txt or a folder hold: tokens, audio, video; by default images or points")
    length: int = option(
        0, "of text, sounds and films: how long a piece is; 0: 32 characters, 1,024 samples, 8 pictures", low=0
    )
    rate: float = option(0.0, "of arrays of sounds or films: samples, or pictures, a second", low=0.0)
    steps: int = option(5000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(64, "examples a step", low=1)
    seed: int = option(0, "seed of all random numbers")
    loss_bound: float = option(LOSS_BOUND, "warn when a mean loss is beyond plus or minus this; 0 for never", low=0.0)
    spread_bound: float = option(
        SPREAD_BOUND, "warn when samples vary less than this times what the data does; 0 for never", low=0.0
    )

    def __post_init__(self) -> None:
        if self.range:
            try:
                interval(self.range)
            except ValueError as error:
                raise ValueError(f"range: {error}") from error
        for f in fields(self):
            value, limits = getattr(self, f.name), f.metadata
            if "low" in limits and not value >= limits["low"]:
                raise ValueError(f"{f.name}: got {value}, expected at least {limits['low']}")
            if "high" in limits and not value <= limits["high"]:
                raise ValueError(f"{f.name}: got {value}, expected at most {limits['high']}")
            if "choices" in limits and value not in limits["choices"]:
                raise ValueError(f"{f.name}: got {value!r}, expected one of {tuple(limits['choices'])}")


def for_images(config: type[C], **values: Any) -> C:
    """A configuration with those defaults that `option(..., images=...)` names, and `values` above them."""
    return config(**{**image_defaults(config), **values})


def image_defaults(config: Any) -> dict[str, Any]:
    """By name, the defaults that are others where the data are images."""
    return {f.name: f.metadata["images"] for f in fields(config) if "images" in f.metadata}


DATA_OPTIONS: dict[str, str] = {  # how the data is read, and what `minigan.data.load` calls it; a dataclass may lack them
    "size": "size", "crop": "crop", "grey": "grey", "range": "value_range", "key": "key",
    "kind": "kind", "length": "length", "rate": "rate",
}  # fmt: skip
OPTIONS_OF_RUNS: dict[str, type] = dict(get_type_hints(Config))
RUN_OPTIONS: dict[str, type] = {  # what every dataclass of options has
    name: kind for name, kind in OPTIONS_OF_RUNS.items() if not (name in DATA_OPTIONS or name.endswith("_bound"))
}


def misused(config: Any) -> str:
    """The first field that has the name of an option of data and is something else, or ""; a model's own dataclass may want
    `size` or `rate` for itself, and its data would be read by it."""
    ours = {f.name: f for f in fields(Config)}
    for f in fields(config):
        base = ours.get(f.name) if f.name in DATA_OPTIONS else None
        if base is not None and f is not base:
            said = f.metadata.get("help")
            same = f.default == base.default if said is None else said.startswith(base.metadata["help"])
            if not same or getattr(f.type, "__name__", f.type) != base.type:
                return f.name
    return ""


def reading(config: Any) -> dict[str, Any]:
    """How a run's data is to be read, as arguments of `minigan.data.load`; only what was set."""
    found = {ours: getattr(config, name, None) for name, ours in DATA_OPTIONS.items()}
    return {name: value for name, value in found.items() if value}
