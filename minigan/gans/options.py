"""A model's options: one dataclass, which gives `--help` its lines, checks what it is given, and is recorded with a run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints


def option(default: Any, help: str, **limits: Any) -> Any:
    """A field of a configuration: its default, a line of help, and limits (`low`, `high`, `choices`) checked at the start.

    choices: a sequence, or a mapping to a line of help on each.
    """
    if unknown := sorted(limits.keys() - {"low", "high", "choices"}):
        raise TypeError(f"option: got the limits {', '.join(unknown)}, expected low, high or choices")
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every run is given: the options of the run itself. A model's own dataclass adds what the model uses.

    Every field is an int, a float, a bool or a str and has a default; a subclass may give these four other defaults.

    Raises:
        ValueError: a value outside the limits of its option.
    """

    data: str = option("glyphs", "data set by name, or a path to a .npy or .npz file")
    steps: int = option(5000, "steps to train: one update of every player each", low=0)
    batch_size: int = option(64, "examples a step", low=1)
    seed: int = option(0, "seed of all random numbers")

    def __post_init__(self) -> None:
        for f in fields(self):
            value, limits = getattr(self, f.name), f.metadata
            if "low" in limits and not value >= limits["low"]:
                raise ValueError(f"{f.name}: got {value}, expected at least {limits['low']}")
            if "high" in limits and not value <= limits["high"]:
                raise ValueError(f"{f.name}: got {value}, expected at most {limits['high']}")
            if "choices" in limits and value not in limits["choices"]:
                raise ValueError(f"{f.name}: got {value!r}, expected one of {tuple(limits['choices'])}")


RUN_OPTIONS: dict[str, type] = {name: kind for name, kind in get_type_hints(Config).items()}
