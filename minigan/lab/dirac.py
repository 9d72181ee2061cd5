"""The Dirac-GAN's phase plane: the field of (theta, psi), a path through it, and the eigenvalues that say where it goes.

All of it is `minigan.theory`: `dirac.DiracGAN` has the losses and regularisers, `dynamics` the rules.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigan.autodiff import Tensor
from minigan.gans.pairs import EXPLAINED, LOSSES
from minigan.lab.scenes import Event, Scene, wanted
from minigan.losses import PAIRS
from minigan.theory import dynamics
from minigan.theory.dirac import REGULARIZERS, DiracGAN

RULES = {
    "simultaneous": dynamics.simultaneous, "alternating": dynamics.alternating, "extragradient": dynamics.extragradient,
    "optimistic": dynamics.optimistic, "implicit": dynamics.implicit, "runge_kutta": dynamics.runge_kutta,
}  # fmt: skip
REACH, ARROWS = 2.0, 11  # the plane is [-REACH, REACH]^2, with so many arrows along a side
FAR, MOST = 1e3, 4000  # where a path ends: beyond, or after so many steps
FRAME = 1 / 30
DEFAULTS = {
    "loss": "non_saturating", "regularizer": "none", "gamma": 0.5, "sigma": 1.0, "target": 1.0, "clip": 0.0,
    "rule": "alternating",
    "step": 0.1,
}  # fmt: skip


class Dirac(Scene):
    """A game, a rule, a path."""

    name = "dirac"

    def __init__(self) -> None:
        self.settings: dict[str, Any] = dict(DEFAULTS)
        self.game = _game(self.settings)
        self.start, self.playing, self._due = (1.0, 0.5), False, 0.0
        self._restart()

    def _restart(self) -> None:
        self.path = [self.start]

    # -- what the page asks ------------------------------------------------------------------------------------------
    def do_play(self) -> Iterator[Event]:
        """Go on."""
        self.playing = True
        yield self._state()

    def do_pause(self) -> Iterator[Event]:
        """Stop."""
        self.playing = False
        yield self._state()

    def do_step(self) -> Iterator[Event]:
        """One step."""
        self.playing = False
        self._move(1)
        yield self._state()
        yield self._path()

    def do_restart(self) -> Iterator[Event]:
        """From the start again."""
        self._restart()
        yield self._path()

    def do_start(self, theta: float, psi: float) -> Iterator[Event]:
        """Begin at that point of the plane."""
        if not all(isinstance(v, (int, float)) and abs(v) <= REACH for v in (theta, psi)):
            raise ValueError(f"start: got ({theta!r}, {psi!r}), expected numbers from {-REACH:g} to {REACH:g}")
        self.start = (float(theta), float(psi))
        yield from self.do_restart()

    def do_set(self, settings: dict[str, Any]) -> Iterator[Event]:
        """Another loss, regulariser, strength, rule or step size; the path goes on from where it is."""
        if unknown := sorted(settings.keys() - DEFAULTS.keys()):
            raise ValueError(f"{unknown[0]}: is no setting of the Dirac-GAN; it has {', '.join(DEFAULTS)}")
        new = {**self.settings, **settings}
        for name, plain in DEFAULTS.items():
            if isinstance(plain, float) and (type(new[name]) not in (int, float) or not 0 <= new[name] <= 100):
                raise ValueError(f"{name}: got {new[name]!r}, expected a number from 0 to 100")
        wanted("rule", new["rule"], RULES)
        self.game, self.settings = _game(new), new
        yield self._state()
        yield self._plane()
        yield self._path()

    def hello(self) -> Iterator[Event]:
        """Everything."""
        yield self._state()
        yield self._plane()
        yield self._path()

    # -- what happens by itself --------------------------------------------------------------------------------------
    def work(self) -> Iterator[Event]:
        """Some steps, and the path."""
        now = time.perf_counter()
        if self.playing and now >= self._due:
            self._due = now + FRAME
            self._move(2)
            yield self._path()
            if self._ended:
                yield from self.do_pause()

    def pause(self) -> float:
        """To the next frame."""
        return max(0.001, self._due - time.perf_counter()) if self.playing else 1.0

    @property
    def _ended(self) -> bool:
        return len(self.path) > MOST or not max(map(abs, self.path[-1])) <= FAR

    def _move(self, steps: int) -> None:
        rule, options = RULES[self.settings["rule"]], {"step": float(self.settings["step"])}
        for _ in range(steps):
            if self._ended:
                return
            theta, psi = self.path[-1]
            before = {}
            if rule is dynamics.optimistic and len(self.path) > 1:
                before = {"previous": self.path[-2]}
            moved = rule(self.game.losses, (theta, psi), **options, **before)
            clip = self.game.clip
            psi = float(moved[1]) if clip is None else float(np.clip(moved[1], -clip, clip))
            self.path.append((float(moved[0]), psi))

    # -- what is told ------------------------------------------------------------------------------------------------
    def _state(self) -> Event:
        return "state", {
            "mode": self.name, "playing": self.playing, "settings": self.settings, "reach": REACH,
            "choices": {
                "loss": dict(EXPLAINED), "regularizer": dict.fromkeys(REGULARIZERS, ""), "rule": dict.fromkeys(RULES, ""),
            },
        }  # fmt: skip

    def _plane(self) -> Event:
        axis = np.linspace(-REACH, REACH, ARROWS)
        points = [(float(a), float(b)) for b in axis for a in axis]
        field = [[float(v) for v in self.game.field(*point)] for point in points]
        rest = _eigenvalues(self.game, 0.0, 0.0)
        return "plane", {"points": points, "field": field, "rest": rest, "radius": _radius(self.settings, self.game)}

    def _path(self) -> Event:
        theta, psi = self.path[-1]
        losses = [float(loss(theta, psi)) for loss in map(_number, self.game.losses)]
        return "path", {
            "path": [[round(v, 4) for v in point] for point in self.path[-600:]], "steps": len(self.path) - 1, "theta": theta,
            "psi": psi, "losses": losses, "eigenvalues": _eigenvalues(self.game, theta, psi),
        }  # fmt: skip


def _number(loss: Any) -> Any:
    return lambda theta, psi: loss(Tensor(np.array(theta)), Tensor(np.array(psi))).item()


def _game(settings: dict[str, Any]) -> DiracGAN:
    loss = wanted("loss", settings["loss"], LOSSES)
    return DiracGAN(
        loss=loss if loss in PAIRS else LOSSES[loss], regularizer=settings["regularizer"], gamma=settings["gamma"],
        sigma=settings["sigma"], target=settings["target"], clip=settings["clip"] or None,
    )  # fmt: skip


def _eigenvalues(game: DiracGAN, theta: float, psi: float) -> list[list[float]] | None:
    """[[real, imaginary], ...]; None where the field has no Jacobian."""
    try:
        found = game.eigenvalues(theta, psi)
    except ValueError:  # a kink, which the page says
        return None
    return [[float(v.real), float(v.imag)] for v in np.asarray(found, complex)]


def _radius(settings: dict[str, Any], game: DiracGAN) -> float | None:
    """The largest modulus of an eigenvalue of one step's derivative at the rest point: below 1, the steps come in."""
    try:
        matrix = game.jacobian(0.0, 0.0)
    except ValueError:
        return None
    return dynamics.spectral_radius(dynamics.linear_map(RULES[settings["rule"]], matrix, step=float(settings["step"])))
