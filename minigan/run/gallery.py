"""The pictures of a run: what the model wants to be seen, drawn, named and collected into animations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minigan.data import Dataset
from minigan.data.base import IN_TIME
from minigan.gans.needs import Facts
from minigan.gans.protocol import Histogram, ModelError, Picture, Trainable, can_be_drawn, check_mapping, fits
from minigan.run import field, plots, timed_pictures
from minigan.run.building import spread
from minigan.run.references import Reference

SHEET = 64  # real examples that are shown
MAIN = "samples"  # the picture whose files have no name before them


class Gallery:
    """Draws the pictures of a model.

    Args:
        reference, model: whose.
        real: the examples that its pictures may show.
        sets: the data sets; of points, the first one is drawn under the generated ones.
        facts: about them, with the units that points are drawn in.
    """

    def __init__(
        self,
        reference: Reference,
        model: Trainable,
        real: Mapping[str, np.ndarray],
        sets: Mapping[str, Dataset],
        facts: Facts,
    ) -> None:
        self.facts = facts
        self.reference, self.model, self.real, self.sets = reference, model, real, sets
        self.points = next((found for found in sets.values() if found.kind == "points"), None)
        self._field: field.Field | None = None
        self.shown: Mapping[str, Picture | Histogram] = {}  # what was drawn last
        self._painters: dict[str, plots.Framing] = {}

    @property
    def samples(self) -> np.ndarray | None:
        """The samples that were drawn last, in the model's units; None for a model that shows none."""
        return main.examples if isinstance(main := self.shown.get(MAIN), Picture) else None

    def save_real(self, folder: Path) -> None:
        """Sheets of real examples, to compare samples with: real.png, or real-NAME.png where there are several sets of images."""
        sheets = {name: found for name, found in self.sets.items() if found.kind == "images"}
        for found in self.sets.values():
            if found.kind in IN_TIME:
                some = np.asarray(found.x[spread(len(found), SHEET)])
                picture = timed_pictures.painter_in_time(found.kind, self.facts).picture(some, "real")
                plots.save_picture(folder / "real.png", picture)
        for name, found in sheets.items():
            some = np.asarray(found.x[spread(len(found), SHEET)])
            plots.save_picture(
                folder / f"real{f'-{name}' if len(sheets) > 1 else ''}.png", plots.ImagePainter().picture(some, "")
            )

    def draw(self, step: int) -> dict[str, np.ndarray]:
        """All pictures as they are now, by name: (H, W, 1 or 3) uint8. ModelError for what cannot be drawn."""
        with self.reference.blamed():
            made = self.model.pictures(self.real)
        check_mapping(self.reference.name, "pictures", made, "names to Pictures")
        drawn = {}
        for name, picture in made.items():
            if isinstance(picture, Histogram):
                self._painters[name] = bars = plots.HistogramPainter()
                drawn[name] = bars.picture(picture, f"step {step}")
                continue
            examples = picture.examples if isinstance(picture, Picture) else None
            if isinstance(examples, np.ndarray) and fits(examples, picture.kind) and name.isidentifier():
                self._painters[name] = in_time = timed_pictures.painter_in_time(picture.kind, self.facts)
                drawn[name] = in_time.picture(examples, f"step {step}")
                continue
            if not isinstance(examples, np.ndarray) or not can_be_drawn(examples) or not name.isidentifier():
                got = type(picture).__name__ if examples is None else f"shape {np.shape(examples)}"
                raise ModelError(
                    f"{self.reference.name}: pictures(): {name!r}: got {got}, expected a word and Picture(examples), "
                    "examples images (n, H, W, 1 or 3), points (n, d), or of the kind that it says"
                )
            examples = self.facts.in_units(examples)
            self._painters[name] = artist = plots.painter_of(examples, self.points)
            drawn[name] = artist.picture(examples, f"step {step}", picture.columns)
        self.shown = made
        self._field = self._field_now()
        return drawn

    def _field_now(self) -> field.Field | None:
        """What D says over the plane, for the animation of `minigan plot`; None for models without such a D."""
        found = (self.real[name] for name, of in self.sets.items() if of is self.points and name in self.real)
        real = next(found, None)  # in the model's units
        if (
            real is None
            or real.shape[1:] != (2,)
            or self.samples is None
            or field.critic_of(self.model) is None
            or not hasattr(self.model, "evaluating")
        ):
            return None
        try:
            return field.of_model(self.model, real[:1000], self.samples)
        except (TypeError, ValueError, AttributeError):  # its D is no function of points alone: `minigan plot` says so
            return None

    def save_step(self, folder: Path, step: int, drawn: Mapping[str, np.ndarray]) -> None:
        """One file for each picture, named after the step."""
        for name, picture in drawn.items():
            plots.save_picture(plots.step_picture(folder, step, _prefix(name)), picture)
        if self._field is not None:
            field.save(folder, step, self._field)

    def save_final(self, folder: Path, drawn: Mapping[str, np.ndarray]) -> list[Path]:
        """The last pictures, and of films an animation in their own time; returns the files."""
        files = [folder / f"{_prefix(name)}final.png" for name in drawn]
        for file, picture in zip(files, drawn.values(), strict=True):
            plots.save_picture(file, picture)
        for name, film in self.shown.items():
            if isinstance(film, Picture) and film.kind == "video":
                files.append(folder / f"{_prefix(name)}final.gif")
                timed_pictures.save_film(files[-1], film.examples, film.rate or next(iter(self.facts.rates.values())))
        return files

    def animate(self, folder: Path, last: int) -> list[Path]:
        """The animations of all steps' pictures up to `last`; returns the files."""
        made = [plots.save_progress(folder, artist, last, _prefix(name)) for name, artist in self._painters.items()]
        return [file for file in made if file is not None]


def _prefix(name: str) -> str:
    return "" if name == MAIN else f"{name}-"
