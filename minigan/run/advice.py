"""What to try, as command lines: each was built by this program before it is given, so that none is refused when it is typed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from minigan.gans.needs import Facts
from minigan.run import building, settings
from minigan.run.errors import AuthorError, UsageError, command
from minigan.run.references import Reference
from minigan.run.rundir import RunDir

MOST = 3  # command lines for one symptom
OPTIONS = ("data", "steps", "batch_size", "seed")  # of `train`; all else is --set
Change = Callable[
    [Any], dict[str, Any]
]  # of a run's configuration, to the settings to change; none where it does not apply


class Advice(NamedTuple):
    """command: to be typed. why: in a line."""

    command: str
    why: str


# -- changes ---------------------------------------------------------------------------------------------------------
def _penalised(config: Any) -> dict[str, Any]:
    """R1 as the model has it by default, or .1; ten times as much where the run had some."""
    usual = float(type(config)().r1) or 0.1
    return {"r1": 10 * config.r1 if config.r1 else usual}


def _damped(config: Any) -> dict[str, Any]:
    """R1, and Adam without a memory of gradients, by which a game that rotates gains speed (Gidel 2018, arXiv 1807.04740)."""
    return _penalised(config) | ({"beta1": 0.0} if config.beta1 else {})


def _slower(config: Any) -> dict[str, Any]:
    """A tenth of the learning rate, and no more than the model's default."""
    return {"lr": float(f"{min(config.lr / 10, type(config)().lr):.3g}")} if config.lr else {"lr": type(config)().lr}


def _moving(config: Any) -> dict[str, Any]:
    """The model's default rate in the place of none."""
    return {} if config.lr else {"lr": type(config)().lr}


def _as_fast(config: Any) -> dict[str, Any]:
    """D at G's rate, where it is slower."""
    return {"d_lr": 0.0} if 0 < config.d_lr < config.lr else {}


def _as_slow(config: Any) -> dict[str, Any]:
    """G at D's rate, where it is faster, and R1 where there is none: on a ring neither helps alone."""
    if not 0 < config.d_lr < config.lr:
        return {}
    return {"lr": config.d_lr, "d_lr": 0.0} | ({} if config.r1 else _penalised(config))


def _more_of_d(config: Any) -> dict[str, Any]:
    """Five updates of D a step, in turn with G."""
    if config.d_steps >= 5:
        return {}
    return {"d_steps": 5} | ({} if config.rule == "alternating" else {"rule": "alternating"})


def _unsaturated(config: Any) -> dict[str, Any]:
    """The non-saturating loss in the place of one whose slope ends where D is sure."""
    return {"loss": "non_saturating"} if config.loss not in ("non_saturating", "wasserstein") else {}


def _once(config: Any) -> dict[str, Any]:
    """One update of D a step."""
    return {"d_steps": 1} if config.d_steps > 1 else {}


def _not_ahead(config: Any) -> dict[str, Any]:
    """One update of D a step, at G's rate where D's is higher."""
    return _once(config) | ({"d_lr": 0.0} if config.d_lr > config.lr else {})


def _unclipped(config: Any) -> dict[str, Any]:
    """A penalty for clipped weights."""
    return {"clip": 0.0, "gp": 10.0, "optimizer": "adam", "beta1": 0.0} if config.clip else {}


def _noisy(config: Any) -> dict[str, Any]:
    """Noise on what D sees, which ends with the run."""
    return {"noise": 0.2, "noise_steps": config.steps} if config.steps and not config.noise else {}


def _packed(config: Any) -> dict[str, Any]:
    """D judges two examples at once."""
    return {"pack": 2} if config.pack == 1 and config.batch_size % 2 == 0 else {}


def _augmented(config: Any) -> dict[str, Any]:
    """Images augmented as often as D's overfitting asks for."""
    return {"augment": "color,translation,cutout", "ada": 0.6} if config.augment == "none" else {}


def _extragradient(config: Any) -> dict[str, Any]:
    """Steps by the gradients a step ahead."""
    return {"rule": "extragradient"} | _once(config) if config.rule != "extragradient" else {}


def _fading(config: Any) -> dict[str, Any]:
    """Rates that fall to 0."""
    return {} if config.decay else {"decay": True}


def _dropout(config: Any) -> dict[str, Any]:
    """Dropout in D."""
    return {} if config.dropout else {"dropout": 0.3}


def _another_seed(config: Any) -> dict[str, Any]:
    """The same with other random numbers."""
    return {"seed": config.seed + 1}


CHANGES: dict[str, dict[str, Change]] = {  # by symptom: why, and what
    "too early to tell": {"a learning rate above 0": _moving},
    "divergence": {
        "shorter steps": _slower,
        "D as fast as G: against a D that stands still G runs for ever": _as_fast,
        "R1 makes D's slopes small (Mescheder 2018)": _penalised,
    },
    "vanishing gradient of the generator": {
        "a loss that pulls most where D is sure (Goodfellow 2014, section 3)": _unsaturated,
        "a penalty in place of clipping keeps D's slope near 1 (Gulrajani 2017)": _unclipped,
        "a D that is not ahead": _not_ahead,
        "noise lets both laws overlap (Sonderby 2016)": _noisy,
        "R1 keeps D from being sure (Mescheder 2018)": _penalised,
        "is it this seed?": _another_seed,
    },
    "collapse of variance": {
        "G no faster than D, and R1: a slow D has one best answer, and G takes it": _as_slow,
        "R1 keeps D smooth (Mescheder 2018)": _penalised,
        "D sees two samples at once, and whether they are alike (Lin 2017)": _packed,
        "a D that keeps up": _more_of_d,
        "is it this seed?": _another_seed,
    },
    "collapse of modes": {
        "G no faster than D, and R1: a slow D has one best answer, and G takes it": _as_slow,
        "R1 keeps D smooth (Mescheder 2018)": _penalised,
        "D sees two samples at once, and whether they are alike (Lin 2017)": _packed,
        "a D that keeps up": _more_of_d,
        "is it this seed?": _another_seed,
    },
    "oscillation": {
        "R1 is friction for D (Mescheder 2018), momentum the contrary (Gidel 2018)": _damped,
        "steps that end": _fading,
        "shorter steps": _slower,
        "steps by the gradients a step ahead (Gidel 2018)": _extragradient,
        "is it this seed?": _another_seed,
    },
    "overfitting of the discriminator": {
        "D sees augmented images (Karras 2020)": _augmented,
        "R1 keeps D smooth (Mescheder 2018)": _penalised,
        "noise blurs single examples (Sonderby 2016)": _noisy,
        "dropout in D": _dropout,
        "is it this seed?": _another_seed,
    },
    "memorising": {
        "D sees augmented images (Karras 2020)": _augmented,
        "noise blurs single examples (Sonderby 2016)": _noisy,
        "R1 keeps D smooth (Mescheder 2018)": _penalised,
        "dropout in D": _dropout,
        "is it this seed?": _another_seed,
    },
}


# -- command lines ---------------------------------------------------------------------------------------------------
def advised(symptom: str, reference: Reference, config: Any, facts: Facts, device: str) -> list[Advice]:
    """The first few command lines for a symptom that this model and its settings allow. Each trains anew, with one change."""
    return list(_built(symptom, reference, config, facts, device))[:MOST]


def _built(symptom: str, reference: Reference, config: Any, facts: Facts, device: str) -> Iterator[Advice]:
    for why, change in CHANGES.get(symptom, {}).items():
        try:
            new = change(config)
            if not new or not new.keys() <= asdict(config).keys():
                continue
            changed = replace(config, **new)
            building.new_model(reference, changed, facts, device)
        except (AttributeError, ValueError, UsageError, AuthorError):  # no such setting, or it does not go with others
            continue
        yield Advice(command_of(reference, changed, device, last=tuple(new)), why)


def command_of(reference: Reference, config: Any, device: str, last: tuple[str, ...] = ()) -> str:
    """`minigan train MODEL ...` for a configuration: what differs from the model's defaults, and what was changed, at the end."""
    usual, values = settings.defaults(reference), asdict(config)
    words: list[object] = []
    for key in OPTIONS:
        if values[key] != usual[key]:
            words += [f"--{key.replace('_', '-')}", values[key]]
    words += ["--device", device] if device != "cpu" else []
    told = [key for key in values if key not in OPTIONS and (values[key] != usual[key] or key in last)]
    told.sort(key=lambda key: key in last)
    words += ["--set", *(f"{key}={_text(values[key])}" for key in told)] if told else []
    return command("train", reference.name, *words)


def longer(folder: RunDir, config: Any, step: int, needed: float) -> str:
    """`minigan resume RUN --steps N`: the default, and at least twice as many as were made, or are needed."""
    return command("resume", folder.path, "--steps", max(2 * step, 2 * math.ceil(needed), type(config)().steps))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
