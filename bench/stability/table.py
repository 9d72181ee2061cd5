"""The table: a line for each pair, the mean over its seeds with the range."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from step_time import machine
from trials import MODES, Run, reached


def markdown(runs: Sequence[Run]) -> str:
    """All finished runs."""
    lines = [f"{machine()}; `bench/stability`", ""]
    for data in dict.fromkeys(run.data for run in runs):
        own = [run for run in runs if run.data == data and run.done]
        lines += [f"`{data}`, {len(own)} of {sum(run.data == data for run in runs)} runs", "", *_of(data, own), ""]
    return "\n".join(lines)


def _of(data: str, runs: Sequence[Run]) -> list[str]:
    distance = "cFD" if data == "mnist" else "W1"
    shown = ["modes", "good", "reverse_kl", "w1"] if data in MODES else ["w1"]
    names = {"reverse_kl": "reverse KL", "w1": distance, "modes": "classes" if data == "mnist" else "modes"}
    names |= {"good": "confidence"} if data == "mnist" else {}
    heads = [names.get(key, key) for key in shown]
    lines = [f"| loss | regulariser | {' | '.join(f'last {h}' for h in heads)} | best {distance} | steps | s |"]
    lines.append("|---" * (len(heads) + 5) + "|")
    floor = None
    for loss, regulariser in dict.fromkeys((run.loss, run.regulariser) for run in runs):
        own = [run for run in runs if (run.loss, run.regulariser) == (loss, regulariser)]
        results = [run.result() for run in own]
        good = [(run, r) for run, r in zip(own, results, strict=True) if r.get("drawings")]
        if not good:
            why = "does not go together" if "unsuitable" in results[0] else "diverged"
            lines.append(f"| {loss} | {regulariser} | {why} |" + " |" * (len(heads) + 2))
            continue
        floor = good[0][1]["drawings"][-1]["w1_floor"]
        cells = [_range([r["drawings"][-1][key] for _, r in good]) for key in shown]
        best = _range([min(d["w1"] for d in r["drawings"]) for _, r in good])
        lost = sum(bool(r.get("diverged")) for r in results)
        tail = f"{_steps(good)} | {_range([r['seconds'] for _, r in good])}" + (f", {lost} diverged" if lost else "")
        lines.append(f"| {loss} | {regulariser} | {' | '.join(cells)} | {best} | {tail} |")
    return lines if floor is None else [*lines, "", f"{distance} of two halves of real examples: {floor:.3g}"]


def _steps(good: Iterable[tuple[Run, dict[str, Any]]]) -> str:
    firsts = [next((d["step"] for d in r["drawings"] if reached(run, d)), None) for run, r in good]
    return ", ".join("-" if first is None else f"{first}" for first in firsts)


def _range(values: Sequence[float]) -> str:
    mean = sum(values) / len(values)
    return f"{mean:.3g}" + (f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else "")
