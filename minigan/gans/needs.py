"""What data a model needs, in one line of its class, and what it is told of the data that was found.

    needs = "images"                                     each loss gets the batch itself, images (N, H, W, C) in [-1, 1]
    needs = "points"                                     the same with points (N, d)
    needs = {"x": "images", "y": "labels"}               b.x and, row by row, its labels b.y (N,) int64
    needs = {"x": "images", "y": "one-hot"}              the labels as rows of the unit matrix, (N, classes) float32
    needs = {"a": "images", "b": "images"}               two data sets, unpaired; --data a=NAME,b=NAME, or NAME,NAME
    needs = {"a": "images", "b": "paired images"}        pairs: example i of b belongs to example i of a
    needs = "tokens"                                     sequences (N, L) int64; also "audio", sounds (N, L, C) in [-1, 1], and
                                                         "video", films (N, T, H, W, C) in [-1, 1]
    needs = {}                                           a game without data

Labels are those of the data set before them. "examples" is a set of images or of points.

For a model of several data sets one name alone stands for what its default makes of one: where that is
"a=glyphs,b=glyphs+edges", `--data mnist` is a=mnist,b=mnist+edges (see `minigan.data.derived`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minigan import data
from minigan.data import DataError, Dataset
from minigan.data.base import IN_TIME
from minigan.data.tables import Units, standardised

Needs = str | Mapping[str, str]
PAIRED = "paired images"
SETS = ("images", "points", *IN_TIME, "examples", PAIRED)
FITTING = {"examples": ("images", "points"), PAIRED: ("images",)}  # the kinds of data that a need takes
LABELS = ("labels", "one-hot")
ONLY = "x"  # the name of the one entry where `needs` is a plain word


@dataclass(frozen=True)
class Facts:
    """What a model knows of its data before the first batch; kept in a checkpoint, so that sampling needs no data.

    Attributes:
        shapes: of one example of each data set in `needs`, by its name there.
        classes: how many there are, for each entry of labels.
        units: of a user's own points, which are standardised for training, by their names.
        rates: samples, or pictures, a second, of sounds and films.
        vocabularies: what the numbers of tokens stand for.
    """

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    units: dict[str, Units] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    vocabularies: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Facts | tuple[int, ...]) -> Facts:
        """Facts as they are; a shape stands for one data set of such examples."""
        return given if isinstance(given, Facts) else cls({ONLY: tuple(given)})

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Facts:
        """From what `dataclasses.asdict` gave and JSON kept. Raises ValueError for anything else."""
        try:
            shapes = {str(name): tuple(map(int, shape)) for name, shape in value["shapes"].items()}
            units = {str(name): Units.read(both) for name, both in value.get("units", {}).items()}
            rates = {str(name): float(rate) for name, rate in value.get("rates", {}).items()}
            words = {str(name): tuple(map(str, each)) for name, each in value.get("vocabularies", {}).items()}
            classes = {str(name): int(count) for name, count in value["classes"].items()}
            return cls(shapes, classes, units, rates, words)
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"facts of the data: got {value!r}, expected shapes and classes by name") from error

    def in_units(self, examples: np.ndarray) -> np.ndarray:
        """Points (n, d) that a model made, in the user's units; other examples as they are."""
        units = self.units_of(examples)
        return units.restored(examples) if units else examples

    def units_of(self, examples: np.ndarray) -> Units | None:
        """The units of points of so many coordinates, which all sets of them share; None for what is not standardised."""
        fitting = (units for units in self.units.values() if examples.shape[1:] == (len(units.shift),))
        return next(fitting, None) if examples.ndim == 2 else None


class Supply(NamedTuple):
    """The data of a run.

    Attributes:
        facts: about it.
        sets: the data sets by their names in `needs`, in the user's units.
        groups: the arrays whose rows belong together, by the names of a batch's entries: examples, labels, and paired sets, under
            the name of the set that they belong to.
        bare: whether a batch is its one entry itself, and no mapping.
    """

    facts: Facts
    sets: dict[str, Dataset]
    groups: dict[str, dict[str, np.ndarray]]
    bare: bool

    def group_of(self, name: str) -> dict[str, np.ndarray]:
        """The group that a data set is in."""
        return next(group for group in self.groups.values() if name in group)

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """The arrays of all groups."""
        return {name: array for group in self.groups.values() for name, array in group.items()}


class WrongKindError(DataError):
    """A data set is not of the kind that a model is for.

    Attributes:
        given, needed, found: the data set's name, the kind the model is for, and the kind it is of.
    """

    def __init__(self, given: str, needed: str, found: str) -> None:
        super().__init__(f"{given} holds {found}, and the model is for {needed}")
        self.given, self.needed, self.found = given, needed, found


def entries(needs: Needs) -> dict[str, str]:
    """`needs` as a mapping of names to kinds.

    Raises:
        TypeError: what is no such mapping; the message shows what one looks like.
    """
    found = {ONLY: needs} if isinstance(needs, str) else needs
    wrong = f'needs: got {needs!r}, expected one of {SETS}, or a mapping such as {{"x": "images", "y": "labels"}}'
    if not isinstance(found, Mapping):
        raise TypeError(wrong)
    labelled = False
    for name, kind in found.items():
        if kind not in (*SETS, *LABELS) or not isinstance(name, str) or not name.isidentifier():
            raise TypeError(f"{wrong}; its values are {', '.join((*SETS, *LABELS))}")
        if kind in LABELS and not labelled:
            raise TypeError(f"{wrong}; labels stand behind the data set that they belong to")
        if kind == PAIRED and not any(other in SETS for other in list(found.values())[: list(found).index(name)]):
            raise TypeError(f"{wrong}; paired images stand behind the data set that they belong to")
        labelled = kind in SETS
    if isinstance(needs, str) and needs not in SETS:
        raise TypeError(wrong)
    return dict(found)


def kind_in_time(needs: Needs) -> str:
    """ "tokens", "audio" or "video" where that is what a model reads first, and so what it makes; else ""."""
    first = next(iter(entries(needs).values()), "")
    return first if first in IN_TIME else ""


def kind_of(needs: Needs) -> str:
    """In words, for tables: "images", "images, one-hot", "no data"."""
    return ", ".join(entries(needs).values()) or "no data"


def names_of_sets(text: str, needs: Needs, default: str = "") -> dict[str, str]:
    """The data set's name or path for each that a model needs, from the option `data`.

    A model of one data set takes the text as it is; one of several takes a=NAME,b=NAME, or NAME,NAME in the order of its needs,
    or, where `default` names one set with several maps, a NAME to stand for that set.

    Raises:
        DataError: a text of another form.
    """
    wanted = [name for name, kind in entries(needs).items() if kind in SETS]
    if len(wanted) < 2:
        return dict.fromkeys(wanted, text)
    parts = text.split(",")
    pairs = [part.partition("=") for part in parts]
    found = {name: value for name, _, value in pairs}
    if sorted(name for name, _, _ in pairs) == sorted(wanted) and all(found.values()):
        return {name: found[name] for name in wanted}
    if len(parts) == len(wanted) and all(parts) and "=" not in text:
        return dict(zip(wanted, parts, strict=True))
    if len(parts) == 1 and text and default and (instead := _with_base(names_of_sets(default, needs), text)):
        return instead
    form = ",".join(f"{name}=NAME" for name in wanted)
    raise DataError(f"data: got {text!r}; this model reads {len(wanted)} data sets: expected {form}")


def _with_base(names: Mapping[str, str], base: str) -> dict[str, str]:
    """The same sets made of another one; nothing where they are not all made of one."""
    made = {name: data.split(value) for name, value in names.items()}
    if len({of for of, _ in made.values()}) > 1:
        return {}
    return {name: data.joined(base, maps) for name, (_, maps) in made.items()}


def find(
    needs: Needs,
    text: str,
    *,
    seed: int,
    options: Mapping[str, Any] | None = None,
    trained_on: Facts | None = None,
) -> Supply:
    """Load what a model needs.

    Args:
        needs, text: see the module, and `names_of_sets`.
        seed: of generated sets.
        options: of `minigan.data.load`, for each set.
        trained_on: the facts of a run that goes on, whose units are kept.

    Raises:
        DataError: unknown or unreadable data, or a set without the labels that are needed.
        WrongKindError: a set of images for a model of points, or the reverse.
    """
    sets: dict[str, Dataset] = {}
    groups: dict[str, dict[str, np.ndarray]] = {}
    facts, present = Facts(), ""
    names = names_of_sets(text, needs)
    for name, kind in entries(needs).items():
        if kind in SETS:
            sets[name] = found = data.load(names[name], seed=seed, lazy=True, **(options or {}))
            if found.kind not in FITTING.get(kind, (kind,)):
                raise WrongKindError(names[name], " or ".join(FITTING.get(kind, (kind,))), found.kind)
            if found.kind == "points" and found.own and (trained_on is None or name in trained_on.units):
                facts.units[name] = (trained_on or facts).units_of(found.x) or Units.of(found.x)
                found = standardised(found, facts.units[name])
            facts.shapes[name] = tuple(found.x.shape[1:])
            if found.rate:
                facts.rates[name] = found.rate
            if found.vocabulary:
                facts.vocabularies[name] = found.vocabulary
            if kind == PAIRED:
                groups[_first_of(groups, present)][name] = _paired(sets[present], found)
            else:
                groups[name] = {name: found.x}
            present = name
        else:
            groups[_first_of(groups, present)][name] = _labels(sets[present], one_hot=kind == "one-hot")
            facts.classes[name] = _classes(sets[present])
    return Supply(facts, sets, groups, bare=isinstance(needs, str))


def _first_of(groups: Mapping[str, Mapping[str, Any]], name: str) -> str:
    return next(first for first, group in groups.items() if name in group)


def _paired(one: Dataset, other: Dataset) -> Any:
    if len(one) != len(other):
        raise DataError(
            f"{other.name}: has {len(other):,} examples and {one.name} {len(one):,}, expected pairs: as many in one order (of "
            "folders, by the pictures' names), or a map of the other set such as PATH+edges"
        )
    return other.x


def _classes(found: Dataset) -> int:
    if found.y is None:
        raise DataError(
            f"{found.name}: has no labels, and the model needs some: an .npz file gives them as integers called y, a folder by "
            "its subfolders, a table by a column called label"
        )
    if found.y.min() < 0:
        raise DataError(f"{found.name}: the labels begin at {found.y.min()}, expected whole numbers from 0 on")
    return int(found.y.max()) + 1


def _labels(found: Dataset, *, one_hot: bool) -> np.ndarray:
    classes = _classes(found)
    assert found.y is not None
    return np.eye(classes, dtype=np.float32)[found.y] if one_hot else found.y
