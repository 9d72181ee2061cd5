"""Figures of the lessons: one style, colours that everybody can tell apart, shown in a notebook or saved by a script."""

from __future__ import annotations

import inspect
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigan.run.plots import BLACK, BLUE, COLOURS, GREEN, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BLACK", "BLUE", "COLOURS", "FOLDER", "GREEN", "GREY", "ORANGE", "figure", "show"]

FOLDER = "MINIGAN_FIGURES"  # where scripts save their figures; runs/lessons unless set
DPI = 100  # pixels an inch on the screen
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))  # so that lines differ in black and white too
STYLE: Any = {
    "font.size": 10, "axes.titlesize": 10.5, "axes.labelsize": 10, "legend.fontsize": 9, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.6, "axes.grid": True,
    "grid.color": "#E3E3E3", "grid.linewidth": 0.7, "axes.axisbelow": True, "figure.facecolor": "white",
}  # fmt: skip


def figure(
    rows: int = 1, columns: int = 1, *, width: float = 6.4, height: float = 3.4, **options: Any
) -> tuple[Any, Any]:
    """(figure, axes), as from `matplotlib.pyplot.subplots`, in the style of the lessons.

    Lines take colours and dash patterns in turn. Width and height in inches; a page of a lesson is 6.4 wide. Other options go
    to `subplots` (sharex, subplot_kw, ...).
    """
    import matplotlib.pyplot as plt
    from cycler import cycler

    with plt.rc_context(STYLE):
        plt.rcParams["axes.prop_cycle"] = cycler(color=COLOURS) + cycler(linestyle=DASHES)
        return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", **options)


def show(fig: Figure, name: str, *, alt: str) -> None:
    """Show a figure in a notebook; in a script, save it as a PNG and print where. The figure is closed.

    Args:
        fig: from :func:`figure`.
        name: of the file, without ending: "bounds".
        alt: what the picture shows, in a sentence, for readers who cannot see it.
    """
    import matplotlib.pyplot as plt

    if "ipykernel" in sys.modules and FOLDER not in os.environ:
        from IPython.display import Image, display

        picture = io.BytesIO()
        fig.savefig(picture, dpi=2 * DPI)  # sharp on screens with small pixels and in print
        width = round(fig.get_figwidth() * DPI)
        display(Image(picture.getvalue(), format="png", width=width, alt=alt, metadata={"name": name}))
    else:
        lesson = Path(inspect.stack()[1].filename).stem
        folder = Path(os.environ.get(FOLDER) or Path("runs", "lessons"))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{lesson}-{name}.png"
        fig.savefig(path, dpi=130)
        print(f"figure: {path} ({alt})")
    plt.close(fig)
