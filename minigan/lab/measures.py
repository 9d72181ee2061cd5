"""What the page shows of an experiment: a frame, thirty times a second, and the truth, a few times a second.

Maps are (cells, cells), x_2 from below, in levels of colour: 127 is `centre`, 0 and 254 are `centre` -+ `limit`, 255 nothing.
"""

from __future__ import annotations

import base64
import inspect
import math
from typing import Any

import numpy as np

from minigan import ops
from minigan.autodiff import Tensor, grad
from minigan.data import mode_statistics
from minigan.gans import regularizers
from minigan.gans.gan import joined
from minigan.lab import formulas, truth
from minigan.lab.cells import spread_noise
from minigan.lab.experiment import Experiment
from minigan.lab.formulas import PENALTIES
from minigan.lab.laws import TRANSPORTED, transport
from minigan.switches import enable_grad
from minigan.theory import divergences

MAP, SLOPES = 48, 32  # cells along a side of D's map, and of that of |grad D|
SAMPLES, ARROWS, JUDGED = 300, 80, 512
GRID, REACH, FINE = (
    17,
    2.0,
    65,
)  # lines of the grid of noise in each direction, where they end, points on a line of one coordinate
RARE = 1e-7  # below this mass in a cell, what D says there is not drawn


# -- networks as functions -------------------------------------------------------------------------------------------
def scores(e: Experiment, x: np.ndarray) -> np.ndarray:
    """D's raw outputs (n,) on points (n, 2); a D that judges packs sees each point as often as a pack has places."""
    model = e.model
    with model.evaluating():
        tiled = np.repeat(np.ascontiguousarray(x, np.float32), model.config.pack, axis=0)
        return model.discriminator(joined(Tensor(tiled), model.config.pack)).data.reshape(-1)


def made(e: Experiment, z: np.ndarray) -> np.ndarray:
    """G(z), (n, 2)."""
    with e.model.evaluating():
        return e.model.generator(Tensor(np.ascontiguousarray(z, np.float32))).data.copy()


def no_map(e: Experiment) -> str:
    """Why D is no function of a point alone, or ""."""
    compares = regularizers.compares(e.model.discriminator)
    return "D compares the examples of a batch, so it has no value at a point alone" if compares else ""


def noise(e: Experiment, n: int) -> np.ndarray:
    """The same n points of noise at every call."""
    with e.model.random.apart(0, "shown"):
        shape, law = (n, e.config.latent), e.config.law
        drawn = (
            e.model.random.normal(shape, stream="z") if law == "normal" else e.model.random.uniform(shape, stream="z")
        )
    return drawn.data.copy() if law == "normal" else 2 * drawn.data - 1


def arrows(e: Experiment, real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Where G's loss falls, -n dL_G/dx at n fakes (n, 2): the loss that G minimises, with all that it was set to."""
    model, x = e.model, Tensor(fake.copy())
    x.requires_grad = True
    with model.evaluating(), enable_grad(), model.random.apart(0, "arrows"):
        loss = model.generator_loss_at(Tensor(real[: len(fake)].copy()), x)
        return -len(fake) * grad(loss, x).data


def slopes(e: Experiment, x: np.ndarray) -> np.ndarray:
    """|grad D(x)|, (n,)."""
    pack = e.config.pack
    t = Tensor(np.ascontiguousarray(x, np.float32))
    t.requires_grad = True
    with e.model.evaluating(), enable_grad():
        seen = joined(ops.reshape(ops.stack([t] * pack, axis=1), (-1, t.shape[1])), pack) if pack > 1 else t
        found = grad(ops.sum(e.model.discriminator(seen)), t).data
    return np.linalg.norm(found, axis=1)


# -- a frame ---------------------------------------------------------------------------------------------------------
def frame(e: Experiment) -> dict[str, Any]:
    """What has to move: losses, D's map, fakes with arrows, the grid of noise, the point in the feasible region."""
    fake = made(e, noise(e, SAMPLES))
    why = no_map(e)
    found = {
        "step": e.batches, "updates": e.updates, "losses": e.losses, "fakes": flat(fake),
        "grid": flat(made(e, _lines(e))) if e.config.latent <= 2 else [],
        "map": None if why else _map_of_d(e), "no_map": why, "feasible": None if why else _feasible(e, fake),
    }  # fmt: skip
    count = ARROWS - ARROWS % e.config.pack
    moved = arrows(e, e.law.dataset.x, fake[:count])
    found["arrows"] = flat(moved) if np.isfinite(moved).all() else []
    return found


def _lines(e: Experiment) -> np.ndarray:
    reach = REACH if e.config.law == "normal" else 1.0
    if e.config.latent == 1:
        return np.linspace(-reach, reach, FINE)[:, None]
    axis = np.linspace(-reach, reach, GRID)
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def flat(x: np.ndarray) -> list[float | None]:
    """Numbers in a row, to three decimals, None for those that are not finite."""
    values = np.round(x.astype(np.float64), 3).reshape(-1)
    return [v if math.isfinite(v) else None for v in values.tolist()]


def _map_of_d(e: Experiment) -> dict[str, Any]:
    raw = scores(e, e.law.square.split(MAP).centres())
    shown = _as_shown(e, raw)
    centre, limit = scale(e, shown)
    return {"levels": levels(shown, centre, limit), "cells": MAP, "centre": centre, "limit": limit, "what": _what(e)}


def _as_shown(e: Experiment, raw: np.ndarray) -> np.ndarray:
    if e.config.loss in truth.PROBABILITIES:
        return _sigmoid(raw)
    return truth.outputs_of(e.config, raw)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return ops.sigmoid(Tensor(logits.astype(np.float64))).data


def _what(e: Experiment) -> str:
    if e.config.loss in truth.PROBABILITIES:
        return "D(x), the probability of a real"
    return "T(x), from D's output" if e.config.loss in truth.F_GANS else "D(x), a score"


def scale(e: Experiment, shown: np.ndarray) -> tuple[float, float]:
    """The middle of the colours, and how far it is to their ends."""
    c = e.config
    if c.loss in truth.PROBABILITIES:
        return 0.5, 0.5
    if c.loss.startswith("least_squares"):
        a, b = (c.a, c.b) if c.loss == "least_squares" else (-1.0, 1.0)
        return (a + b) / 2, abs(b - a) / 2
    if c.loss == "hinge":
        return 0.0, 1.0
    finite = shown[np.isfinite(shown)]
    centre = float(np.median(finite)) if len(finite) else 0.0
    return centre, float(np.quantile(np.abs(finite - centre), 0.95)) if len(finite) else 1.0


def levels(values: np.ndarray, centre: float, limit: float, nothing: np.ndarray | None = None) -> str:
    """Numbers as levels of colour, in base64; see the file's docstring."""
    with np.errstate(invalid="ignore"):
        share = np.clip((values - centre) / (limit or 1.0), -1, 1)
    found = np.where(np.isnan(share), 255, np.round(127 + 127 * np.nan_to_num(share))).astype(np.uint8)
    if nothing is not None:
        found[nothing] = 255
    return base64.b64encode(found.tobytes()).decode()


def _feasible(e: Experiment, fake: np.ndarray) -> dict[str, float] | None:
    """a = -E log D and b = -E log(1 - D) on the same fakes: by Jensen e^-a + e^-b <= E D + E (1 - D) = 1. None where D is no
    probability."""
    if e.config.loss not in truth.PROBABILITIES:
        return None
    logits = scores(e, fake).astype(np.float64)
    g, d = float(np.logaddexp(0, -logits).mean()), float(np.logaddexp(0, logits).mean())
    return {"g": g, "d": d, "sum": math.exp(-g) + math.exp(-d)}


# -- the truth -------------------------------------------------------------------------------------------------------
def measured(e: Experiment) -> dict[str, Any]:
    """What costs more: tables of both laws, the best D, distances, slopes, modes, and every term of the losses."""
    z = spread_noise(e.config.latent, e.config.law)
    x = made(e, z)
    square = e.law.square
    p, q, half = e.law.table, square.table_of_points(x), square.table_of_points(x[::2])
    real, fake = e.law.dataset.x, made(e, noise(e, JUDGED))
    found: dict[str, Any] = {"step": e.batches, "cells": square.cells, "no_best": truth.why_no_best(e.config)}
    potential = None
    if np.isfinite(x).all():
        jsd = float(divergences.jsd(p, q))
        found |= {"jsd": jsd, "jsd_error": abs(float(divergences.jsd(p, half)) - jsd)}
        w1, potential = transport(real[:TRANSPORTED], fake[:TRANSPORTED])
        found |= {"w1": w1, "w1_floor": e.law.floor}
    if e.law.counted and np.isfinite(fake).all():
        modes, sigma = e.law.dataset.modes, e.law.dataset.sigma
        assert modes is not None and sigma is not None
        found["modes"] = {**mode_statistics(fake, modes, sigma), "of": len(modes)}
    if not no_map(e):
        found |= _of_d(e, p, q, x)
        if e.config.loss == "wasserstein" and "slopes" in found and potential is not None:
            found["divergence"] = _of_critic(e, found, real[:JUDGED], fake)
            best = truth.critic(square.centres(), fake[:TRANSPORTED], potential)
            found["best"] = _up_to_a_constant(e, best * found["slopes"]["most"], p, q)
    found["terms"] = _terms(e, found)
    return found


def _of_d(e: Experiment, p: np.ndarray, q: np.ndarray, x: np.ndarray) -> dict[str, Any]:
    square = e.law.square
    inside = scores(e, square.centres())
    places = (x - square.low) / square.size
    outside = x[~((places >= 0) & (places < 1)).all(axis=1)]
    beyond = float(scores(e, outside).mean()) if len(outside) else 0.0
    raw = np.append(inside, beyond)
    if not np.isfinite(raw).all():
        return {}
    found: dict[str, Any] = {"divergence": None, "regret": None}
    steep = slopes(e, square.split(SLOPES).centres())
    found["slopes"] = {
        "levels": levels(steep, 0.0, float(steep.max()) or 1.0), "cells": SLOPES, "most": float(steep.max()),
        "real": float(slopes(e, e.law.dataset.x[:JUDGED]).mean()), "fake": float(slopes(e, x[:: len(x) // JUDGED]).mean()),
    }  # fmt: skip
    judged = truth.verdict(e.config, truth.outputs_of(e.config, raw), p, q)
    what = truth.divergence_of(e.config)
    if judged is not None:
        found |= {"loss": judged.loss, "least": judged.least, "regret": judged.loss - judged.least}
        best = judged.best[:-1]
        shown = _sigmoid(best) if e.config.loss in truth.PROBABILITIES else best
        found["best"] = _best(e, shown, inside, (p + q)[:-1] < RARE)
        if what is not None:
            found["divergence"] = {"name": what.name, "truth": what.of(judged.least), "by_d": what.of(judged.loss)}
    elif e.config.loss == "relativistic":
        found["best"] = _up_to_a_constant(e, truth.log_ratio(p, q)[:-1], p, q)
    return found


def _best(e: Experiment, shown: np.ndarray, inside: np.ndarray, hidden: np.ndarray) -> dict[str, Any]:
    """D* as a map, in the colours that D has: at the same outputs."""
    centre, limit = scale(e, _as_shown(e, inside))
    cells = e.law.square.cells
    return {"levels": levels(shown, centre, limit, hidden), "cells": cells, "centre": centre, "limit": limit}


def _up_to_a_constant(e: Experiment, best: np.ndarray, p: np.ndarray, q: np.ndarray) -> dict[str, Any]:
    """A D* whose loss does not change when a constant is added: with the mean over (p + q)/2 that D has."""
    inside, mass = scores(e, e.law.square.centres()), (p + q)[:-1]
    known = np.isfinite(best) & (mass > 0)
    shift = np.average((inside - best)[known], weights=mass[known]) if known.any() else 0.0
    return _best(e, best + shift, inside, mass < RARE)


def _of_critic(e: Experiment, found: dict[str, Any], real: np.ndarray, fake: np.ndarray) -> dict[str, Any] | None:
    """E D(x) - E D(G(z)) over the steepest slope that was seen: W1 is the largest such number over all D (Kantorovich,
    Rubinstein)."""
    most = found["slopes"]["most"]
    gap = float(scores(e, real).mean() - scores(e, fake).mean())
    return {"name": "W1", "truth": found["w1"], "by_d": gap / most} if most else None


def _terms(e: Experiment, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Each term of the losses, on the next batch and as many fakes."""
    model, real = e.model, Tensor(e.batch().copy())
    with model.evaluating(), model.random.apart(0, "terms"):
        fake = model.fake(len(real), "z")
        logits = model.logits(model.seen(real), model.seen(fake))
        listed = [t._asdict() for t in formulas.terms(e.config, *(t.data.reshape(-1) for t in logits))]
        if e.config.feature_matching:
            listed = [t for t in listed if t["player"] == "discriminator"]
            value = model.generator_loss_at(real, fake).item()
            listed.append({"player": "generator", "text": "|E f(x) − E f(G(z))|²", "value": value})
        for name, penalty in model.penalties.items():
            with enable_grad():
                value = penalty(model, real).item()
            listed.append({"player": "discriminator", "text": PENALTIES[name], "value": value})
        for player, lazy in [(p.name, each) for p in model.game.players for each in p.lazy]:
            if lazy.name not in model.penalties:
                with enable_grad():
                    value = (lazy.term(real) if inspect.signature(lazy.term).parameters else lazy.term()).item()
                listed.append({"player": player, "text": lazy.name.replace("_", " "), "value": value})
    return [t for t in listed if math.isfinite(t["value"])]
