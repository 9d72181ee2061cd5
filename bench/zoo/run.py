"""What the zoo's models reach: trained on real data, judged on data they have not seen, in one table.

    python bench/zoo/run.py --folder RUNS [--models cgan vae] [--seeds 0 1 2] [--seconds 200] [--steps 12000] [--out FILE.md]

Each study of STUDIES trains a model with its defaults and the options named there, on the training digits of MNIST, on another
set made of them, or on the points that it names, and takes the model's own checks (`minigan evaluate` prints the same), of digits
on 1,000 to 5,000 test digits drawn at random, the same each time, every so many steps. `last` is the value at the end, the mean
over seeds; `best` the one that is nearest to the target at any time and seed. The judge is minigan's classifier of the training
digits, in the cache.

A detector of anomalies (`gans/anomaly.py`) trains on four in five of the training digits of nine classes, and is judged by one in
five of the test digits of these, up to 2,000, and all of the tenth; its baseline, PCA, is fitted on the other test digits.

A run is saved at each check and goes on from there, so that a long study may be done in pieces: `--seconds` ends one after
about so long. Where a study is not at its end, the table says at which step it is. Times are CPU seconds of training, the sum
of all threads."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from step_time import cpu_model, publish

from minigan import data, gans
from minigan.gans import needs
from minigan.gans.checks import Check, RealData
from minigan.gans.options import reading
from minigan.metrics import judge
from minigan.run.feed import Feed


@dataclass(frozen=True)
class Study:
    """One row of the table: a model, its options, how long, how often it is looked at."""

    model: str
    steps: int
    every: int
    options: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    data: str = "mnist"
    asked: bool = False  # whether `steps` are those of the command line

    @property
    def name(self) -> str:
        """Of its folder, and in the table."""
        of = [] if "mnist" in self.data else [self.data]
        long = [f"steps={self.steps}"] if self.asked else []
        return "-".join([self.model, *of, *(f"{k}={v}" for k, v in self.options.items()), *long])


IMAGES = {
    "batch_size": 64,
    "width": 256,
    "r1": 10.0,
    "lr": 3e-4,
}  # what a flow of images takes more of than one of points
EPOCH = 675  # steps of 64 images: four in five of nine classes, about 43,200 digits
ONE_EPOCH = "one epoch, fixed beforehand; the paper trains 15"

STUDIES = [
    Study("cgan", 1200, 200),
    Study("acgan", 1600, 200),
    Study("projection", 1200, 200),
    Study("infogan", 6000, 250, note="the paper's 95 % after long training"),
    Study("vae", 6000, 1000),
    Study("vaegan", 2000, 250),
    Study("vaegan", 2000, 250, {"likelihood": "pixels"}, "the plain VAE of the same networks"),
    Study("aae", 6000, 1000),
    Study("bigan", 6000, 1000, note="the paper's 96.3 % at 25 epochs with 60,000 references; here 4,000"),
    Study("vat", 1500, 250, note="published: about 2 % after 50,000 updates"),
    Study("vat", 1500, 250, {"entropy": 0.0}, "smoothness alone"),
    Study("vat", 1500, 250, {"weight": 0.0, "entropy": 0.0}, "100 labels alone"),
    Study("density", 3000, 1000, data="ring8"),
    Study("density", 3000, 1000, data="grid25"),
    Study("density", 3000, 1000, data="moons"),
    Study("density", 3000, 1000, {"generator_lr": 0.0}, "q rests at N(0, I); closed form", "gauss2d"),
    Study("flowgan", 3000, 1000, data="moons"),
    Study("flowgan", 3000, 1000, {"adversarial": 0.0}, "maximum likelihood alone", "moons"),
    Study("flowgan", 3000, 1000, {"likelihood": 0.0}, "the game alone", "moons"),
    Study("flowgan", 5000, 500, IMAGES),
    Study("flowgan", 5000, 500, {**IMAGES, "adversarial": 0.0}, "maximum likelihood alone"),
    Study("flowgan", 5000, 500, {**IMAGES, "likelihood": 0.0}, "the game alone"),
    Study("ssgan", 3000, 500, note="published: 0.93 % after 300 epochs (180,000 updates)"),
    Study("ssaae", 3000, 500, note="published: 1.9 %, networks of 1,000 units"),
    *(Study("ganomaly", EPOCH, EPOCH, {"held_out": digit}, ONE_EPOCH) for digit in range(10)),
    Study("fanogan", 1800, 300, {"held_out": 2}),
    Study("dcgan", 1800, 600, {"size": "32"}, "in colour", "mnist+coloured"),
    Study("dcgan", 800, 400, {"size": "64"}, "in colour", "glyphs+coloured"),
    Study("pix2pix", 3000, 500, note="L1 100; outlines to digits", data="a=mnist+edges,b=mnist"),
    Study("cyclegan", 1500, 250, data="a=mnist,b=mnist+inverted"),
    Study("cyclegan", 2000, 500, note="textures", data="a=photo:brick,b=photo:grass"),
    Study("style", 1000, 500, note="the classical comparison; its own pairs", data="a=photo:brick,b=photo:grass"),
    Study("discogan", 2000, 250, data="a=mnist,b=mnist+tinted"),
    Study("cogan", 2000, 250, data="a=mnist,b=mnist+edges"),
    Study("pixelda", 2000, 250, note="published, MNIST to MNIST-M: 63.6 to 98.2 %", data="a=mnist,b=mnist+textured"),
    Study("bicyclegan", 2000, 250, data="a=mnist,b=mnist+coloured"),
    Study("srgan", 1500, 250),
    Study("srgan", 1500, 250, {"adversarial": 0.001}, "the paper's weight"),
    Study("srgan", 1500, 250, {"adversarial": 0.1}, "ten times ours"),
    Study("srgan", 1500, 250, {"scale": 2}, "patches of eleven photographs", "photos"),
    Study("srgan", 1500, 250, {"content": "features"}, "the error is of D's features"),
    Study("denoise", 1200, 200),
    Study("denoise", 1200, 200, {"adversarial": 0.0}, "the squared error alone"),
    Study("inpaint", 1500, 250),
    Study("inpaint", 1500, 250, {"adversarial": 0.0}, "the absolute error alone"),
    Study("lapgan", 2000, 250),
    Study("stylegan", 3000, 500),
    Study("stackgan", 1500, 250),
    Study("vgan", 2000, 250, data="moving_shapes"),
    Study("vgan", 2000, 250, {"mask": 0.1, "closed": 0.0}, "the paper's mask", "moving_shapes"),
    Study("mocogan", 2000, 250, data="moving_shapes"),
    Study("mocogan", 2000, 250, {"content": 50}, "z_C as long as in the paper", "moving_shapes"),
    Study("interpolate", 1000, 250, data="moving_shapes"),
    Study("interpolate", 1000, 250, {"adversarial": 0.0}, "the absolute error alone", "moving_shapes"),
    Study("wavegan", 1500, 250, data="tones"),
    Study("wavegan", 1500, 250, {"d_steps": 5}, "as many steps of the critic as in the paper", "tones"),
    Study("cwavegan", 1500, 250, data="tones"),
    Study("segan", 1500, 500, data="voiced"),
    Study("segan", 1500, 500, data="tones"),
    Study("seqgan", 5300, 300, note="published for 5,000 words: 9.07 by likelihood, 8.68", data="oracle_lstm"),
    Study("seqgan", 6000, 1000, {"likelihood_steps": 6000}, "likelihood alone, as long", "oracle_lstm"),
    Study("gumbelgan", 3200, 200, data="oracle_lstm"),
    Study("gumbelgan", 1300, 100, {"kind": "tokens", "likelihood_steps": 1000}, "this project's own text", "README.md"),
    Study("gail", 200, 50, note="one demonstration", data="cartpole_expert"),
    Study("gail", 200, 50, {"reward": "logit"}, "one demonstration", "cartpole_expert"),
    Study("gail", 200, 50, {"demonstrations": 4}, data="cartpole_expert"),
]


def supply_of(wanted: needs.Needs, text: str, config: Any, *, unseen: bool = False) -> needs.Supply:
    """The data that a model needs, to train on or, unseen, to be judged by: the test half of files, another seed of what is made
    here. A text of one's own is one: its model keeps part of it for its checks."""
    names = needs.names_of_sets(text, wanted)
    halves = all(data.in_halves(name) for name in names.values())
    options = {"split": "test"} if unseen and halves else {}
    return needs.find(wanted, text, seed=int(unseen and not halves), options=options | reading(config))


class Run:
    """One seed of one study, in a folder of its own."""

    def __init__(self, study: Study, seed: int, folder: Path) -> None:
        self.study, self.seed, self.folder = study, seed, folder / f"{study.name}-seed{seed}"
        self.rows = [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []

    _log = property(lambda self: self.folder / "checks.jsonl")

    @property
    def step(self) -> int:
        """How far it is."""
        return self.rows[-1]["step"] if self.rows else 0

    def go_on(self, until: float) -> None:
        """Train from check to check until the end, or until a check after the time `until`."""
        model_class, text = gans.get(self.study.model), self.study.data
        config = model_class.Config(**self.study.options, data=text, steps=self.study.steps, seed=self.seed)
        supply = supply_of(model_class.needs, text, config)
        model = model_class(config, supply.facts)
        feed = Feed(supply, model, "cpu")
        real = RealData(
            supply_of(model_class.needs, text, config, unseen=True),
            judge_of=lambda found: judge.for_data(data.load(found.name, **reading(config))),
        )
        if self.step:
            with np.load(self.folder / "state.npz") as saved:
                model.load_state(dict(saved))
        while self.step < self.study.steps and time.monotonic() < until:
            began, first = time.process_time(), self.step
            for step in range(first, min(first + self.study.every, self.study.steps)):
                model.game.step(batches=feed(step))
            self._keep(model, step + 1, time.process_time() - began, list(model.checks(real)))

    def _keep(self, model: Any, step: int, spent: float, checks: list[Check]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        np.savez(self.folder / "part.npz", **model.state())
        (self.folder / "part.npz").replace(self.folder / "state.npz")
        seconds = spent + (self.rows[-1]["seconds"] if self.rows else 0.0)
        values = {check.name: [check.value, check.target] for check in checks}
        self.rows.append({"step": step, "seconds": round(seconds, 1), "checks": values})
        with self._log.open("a") as file:
            file.write(json.dumps(self.rows[-1]) + "\n")
        print(f"{self.folder.name}: step {step}", {k: round(v, 3) for k, (v, _) in values.items()}, file=sys.stderr)


def best(target: str, values: list[float]) -> float:
    """The value nearest to fulfilling the target."""
    if " to " in target:
        middle = sum(map(float, target.split(" to "))) / 2
        return min(values, key=lambda v: abs(v - middle))
    if target.startswith("=="):
        return min(values, key=lambda v: abs(v - float(target[2:])))
    return (max if target.startswith(">") else min)(values)


def number(value: float) -> str:
    """With three decimals, or in powers of ten where these say nothing."""
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.1e}"


def lines(study: Study, runs: list[Run]) -> Iterator[str]:
    """A line of the table for each check."""
    done = [run for run in runs if run.rows]
    if not done:
        yield f"| {study.name} | not run | | | | | | | {study.note} |"
        return
    steps = " ".join(
        sorted({f"{run.step:,}" + ("" if run.step == study.steps else f" of {study.steps:,}") for run in done})
    )
    seconds = np.mean([run.rows[-1]["seconds"] for run in done])
    for name, (_, target) in done[0].rows[-1]["checks"].items():
        ends = [run.rows[-1]["checks"][name] for run in done]
        last = [value for value, _ in ends]
        at_any_time = best(target, [row["checks"][name][0] for run in done for row in run.rows])
        met = sum(Check(name, *each).met for each in ends)  # some targets are what the same run reached otherwise
        targets = ", ".join(dict.fromkeys(of for _, of in ends))
        said = name.replace("|", r"\|")  # which ends a cell
        yield (
            f"| {study.name} | {said} | {number(float(np.mean(last)))} | {number(at_any_time)} | {targets} | "
            f"{met} of {len(done)} | {steps} | {seconds:.0f} | {study.note} |"
        )


def main() -> None:
    """Go on with the studies, and write the table of what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--models", nargs="+", default=[], help="only these, by model or by a study's name")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end about so long after the start")
    parser.add_argument("--steps", type=int, help="train for so many, as a study of its own; schedules end there")
    parser.add_argument("--out", type=Path, help="write the table there, too")
    args = parser.parse_args()
    until = time.monotonic() + args.seconds
    chosen = [s for s in STUDIES if not args.models or {s.model, s.name} & set(args.models)]
    if args.steps:
        chosen = [replace(s, steps=args.steps, asked=True) for s in chosen]
    for study in chosen:
        for seed in args.seeds:
            run = Run(study, seed, args.folder)
            if run.step < study.steps and time.monotonic() < until:
                run.go_on(until)
    table = [line for study in chosen for line in lines(study, [Run(study, s, args.folder) for s in args.seeds])]
    head = (
        f"# What the zoo's models reach\n\n{datetime.date.today()}, {cpu_model()}, seeds {args.seeds}. MNIST, trained on 60,000 "
        "digits, checked on 1,000 to 5,000 test digits drawn at random, as each check takes; points, where named, on others than "
        "those trained on. Made by `python bench/zoo/run.py`, which says what the columns mean.\n"
    )
    columns = ("model and options", "check", "last", "best", "target", "met", "step", "CPU s", "beside it")
    ruled = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    publish("\n".join([head, *ruled, *table, ""]), args.out)


if __name__ == "__main__":
    main()
