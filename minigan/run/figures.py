"""The pictures of `minigan plot`: what a model draws beside real examples, what its latent space holds, what D thinks of both.

Colours are those of `minigan.run.plots`; the map is "PRGn", which people with any kind of colour vision can read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigan.data.images import make_grid
from minigan.run.field import Field
from minigan.run.plots import BLACK, BLUE, COLOURS, GREY, ORANGE, STYLES, clean, figure, pixels, smooth


def beside(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """As many real images as generated ones, side by side."""
    count = min(len(real), len(made), 64)
    columns = math.isqrt(count)
    count -= count % columns
    drawn = figure(9.0, 4.9)
    for place, (title, images) in enumerate({"real": real, "generated": made}.items()):
        axes = drawn.add_axes((0.01 + 0.5 * place, 0.01, 0.48, 0.9))
        _image(axes, make_grid(images[:count], columns=columns))
        axes.set_title(f"{title} ({count})", fontsize=12)
    return pixels(drawn)


def strips(images: np.ndarray, title: str, rows: Sequence[str], columns: Sequence[str], below: str) -> np.ndarray:
    """Rows of images: images (rows * columns, H, W, C), with a word before each row and below each column."""
    wide, high = len(columns), len(rows)
    drawn = figure(1.1 + 0.62 * wide, 1.1 + 0.62 * high)
    left, low = 0.9 / (1.1 + 0.62 * wide), 0.62 / (1.1 + 0.62 * high)
    axes = drawn.add_axes((left, low, 0.99 - left, 0.93 - low - 0.25 / (1.1 + 0.62 * high)))
    _image(axes, make_grid(images, columns=wide))
    extent = axes.images[0].get_array().shape
    axes.set_xticks([(i + 0.5) * extent[1] / wide for i in range(wide)], columns, fontsize=8)
    axes.set_yticks([(i + 0.5) * extent[0] / high for i in range(high)], rows, fontsize=8)
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(below, fontsize=9)
    return pixels(drawn)


def _image(axes: Any, grid: np.ndarray) -> None:
    axes.imshow(grid.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def histogram(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """D's scores on real and on generated examples, in the same bins."""
    drawn = figure(6.4, 4.0)
    axes = drawn.add_axes((0.11, 0.14, 0.86, 0.75))
    bins = np.histogram_bin_edges(np.concatenate([real, made]), 50)
    axes.hist(real, bins, density=True, color=BLUE, alpha=0.4, label=f"real ({len(real)}), mean {real.mean():.2f}")
    look = {
        "histtype": "step",
        "color": ORANGE,
        "linewidth": 1.8,
        "label": f"generated ({len(made)}), mean {made.mean():.2f}",
    }
    axes.hist(made, bins, density=True, **look)
    if bins[0] < 0 < bins[-1]:
        axes.axvline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xlabel="score D(x), a logit: above 0 taken for real", ylabel="density")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=9)
    clean(axes)
    return pixels(drawn)


def norms(rows: Sequence[Mapping[str, Any]], keys: Sequence[str], ending: str) -> np.ndarray | None:
    """The norms of gradients over the steps, on a logarithmic axis; None where there are none."""
    drawn = figure(7.2, 4.2)
    axes = drawn.add_axes((0.14, 0.12, 0.83, 0.79))  # room for labels such as 6 x 10^-1
    some = False
    for number, key in enumerate(keys):
        found = [(row["step"], row[key]) for row in rows if isinstance(row.get(key), (int, float)) and row[key] > 0]
        if not found:
            continue
        some = True
        steps, values = np.array(found, float).T
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(steps, values, color=colour, alpha=0.3, linewidth=0.8)
        average = np.exp(smooth(np.log(values), max(1, len(values) // 20)))
        look = {"linestyle": STYLES[number % len(STYLES)], "marker": "o" if len(steps) < 3 else None}
        axes.plot(steps, average, color=colour, linewidth=1.8, label=key.removesuffix(ending), **look)
    if not some:
        return None
    axes.set(xlabel="step", ylabel="norm of the gradient", yscale="log")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
    clean(axes)
    return pixels(drawn)


def field(now: Field, real: np.ndarray, title: str, reach: float, longest: float) -> np.ndarray:
    """D's scores as a map, real points, and generated points with arrows where the generator's loss falls.

    reach: of the colours, from -reach to reach. longest: the arrow that is drawn 6 % of the plane long.
    """
    drawn = figure(6.4, 5.6)
    axes = drawn.add_axes((0.1, 0.15, 0.72, 0.76))
    extent = (now.low[0], now.high[0], now.low[1], now.high[1])
    shown = axes.imshow(
        now.scores,
        origin="lower",
        extent=extent,
        cmap="PRGn",
        vmin=-reach,
        vmax=reach,
        aspect="equal",
        interpolation="bilinear",
    )
    axes.contour(now.scores, [0.0], extent=extent, colors=BLACK, linewidths=0.8) if _crosses(now.scores) else None
    axes.scatter(*real[:500].T, s=5, color=BLUE, alpha=0.5, linewidths=0, label="real")
    axes.scatter(*now.points.T, s=14, color=ORANGE, edgecolors="white", linewidths=0.4, label="generated", zorder=3)
    scale = 0.06 * float((now.high - now.low).max()) / (longest or 1.0)
    # Below the points: near the end arrows are many and short, and would hide what they start from.
    look = {
        "angles": "xy",
        "scale_units": "xy",
        "scale": 1.0,
        "width": 0.003,
        "color": BLACK,
        "alpha": 0.7,
        "zorder": 2,
    }
    axes.quiver(*now.points.T, *(scale * now.arrows).T, **look)
    axes.set(xlim=extent[:2], ylim=extent[2:], xlabel="$x_1$", ylabel="$x_2$")
    axes.set_title(title, fontsize=11)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False, markerscale=1.5)
    bar = drawn.colorbar(shown, cax=drawn.add_axes((0.85, 0.15, 0.03, 0.76)))
    bar.set_label("score D(x), a logit; black line: 0", fontsize=9)
    bar.ax.tick_params(labelsize=9)
    clean(axes)
    return pixels(drawn)


def _crosses(values: np.ndarray) -> bool:
    return bool(values.min() < 0 < values.max())
