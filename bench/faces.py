"""What a GAN learns of eighty faces, with and without augmentation: does it copy them, and does D know them by heart?

    python bench/faces.py --folder RUNS [--steps 1500] [--every 500] [--seeds 0] [--seconds 200] [--out FILE.md]

The DCGAN with its defaults but batches of 16, on the 80 faces of the data set `faces` (28 x 28, grey); 20 others are held out.

copying       the chance that a sample is nearer to its nearest training face than an unseen face is to its own; 1: copies
nearest       the median distance of samples to their nearest training face, as a share of that of the unseen faces
D tells       AUROC of D's logit between training faces and unseen ones; .5: they are alike to D, 1: it knows which it saw
sliced W1     of 500 samples to the 20 unseen faces; beside it that of the 80 training faces to them, the floor
spread        the mean deviation of pixels over samples, as a share of that over the training faces

A run is saved at each look and goes on from there; `--seconds` ends the study after about so long. With `--out` samples above
their nearest training faces are drawn beside it, two rows for each way of training."""

from __future__ import annotations

import argparse
import datetime
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from step_time import cpu_model, publish

from minigan import data, gans
from minigan.data.images import make_grid, save_png
from minigan.gans import needs
from minigan.metrics.auroc import auroc
from minigan.metrics.memorisation import copying
from minigan.metrics.neighbours import nearest
from minigan.metrics.sliced_wasserstein import sliced_w1
from minigan.run.feed import Feed

POLICY = "color,translation,cutout"
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "DiffAugment": {"augment": POLICY},
    "ADA": {"augment": POLICY, "ada": 0.6},
}
COLUMNS = ("way", "step", "copying", "nearest", "D tells", "sliced W1", "floor", "spread", "CPU s")
SAMPLES, SHOWN = 500, 12


class Run:
    """One seed of one way, in a folder of its own."""

    def __init__(self, way: str, seed: int, steps: int, folder: Path) -> None:
        self.way, self.folder = way, folder / f"{way}-seed{seed}"
        supply = needs.find("images", "faces", seed=seed)
        config = gans.get("dcgan").Config(data="faces", batch_size=16, steps=steps, seed=seed, **WAYS[way])
        self.model = gans.get("dcgan")(config, supply.facts)
        self.feed = Feed(supply, self.model, "cpu")
        self.train, self.unseen = data.load("faces").x, data.load("faces", split="test").x
        self.rows = [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []
        if self.rows:
            with np.load(self.folder / "state.npz") as saved:
                self.model.load_state(dict(saved))

    _log = property(lambda self: self.folder / "looks.jsonl")

    def go_on(self, every: int, until: float) -> None:
        """Train to the end, or to a look after the time `until`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        while (
            first := self.rows[-1]["step"] if self.rows else 0
        ) < self.model.config.steps and time.monotonic() < until:
            began, last = time.process_time(), min(first + every, self.model.config.steps)
            for step in range(first, last):
                self.model.game.step(batches=self.feed(step))
            spent = time.process_time() - began + (self.rows[-1]["CPU s"] if self.rows else 0.0)
            self.rows.append({"way": self.way, "step": last, **self.look(), "CPU s": round(spent, 1)})
            np.savez(self.folder / "part.npz", **self.model.state())
            (self.folder / "part.npz").replace(self.folder / "state.npz")
            with self._log.open("a") as file:
                file.write(json.dumps(self.rows[-1]) + "\n")

    def look(self) -> dict[str, float]:
        """The numbers of a line."""
        samples = self.model.sample(SAMPLES)
        fake, train, unseen = (x.reshape(len(x), -1) for x in (samples, self.train, self.unseen))
        near, far = (np.median(np.sqrt(nearest(x, train)[0])) for x in (fake, unseen))
        with self.model.evaluating():
            logits = [self.model.discriminator(self.model.tensor(x)).numpy().ravel() for x in (self.train, self.unseen)]
        told = auroc(np.concatenate(logits), np.arange(100) < len(train))
        return {
            "copying": copying(fake, train, unseen), "nearest": float(near / far), "D tells": float(told),
            "sliced W1": sliced_w1(unseen, fake), "floor": sliced_w1(unseen, train),
            "spread": float(fake.std(axis=0).mean() / train.std(axis=0).mean()),
        }  # fmt: skip

    def picture(self) -> np.ndarray:
        """Samples above their nearest training faces, (2 * SHOWN, H, W, 1)."""
        samples = self.model.sample(SHOWN)
        places = nearest(samples.reshape(SHOWN, -1), self.train.reshape(len(self.train), -1))[1]
        return np.concatenate([samples, self.train[places]])


def main() -> None:
    """Go on with the runs, and write the table of what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--every", type=int, default=500, help="steps from one look to the next")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end about so long after the start")
    parser.add_argument("--out", type=Path, help="write the table there, too, and the picture beside it")
    args = parser.parse_args()
    until = time.monotonic() + args.seconds
    runs = [Run(way, seed, args.steps, args.folder) for seed in args.seeds for way in WAYS]
    for run in runs:
        run.go_on(args.every, until)
    looks = [row for run in runs for row in run.rows]
    lines = [
        "| " + " | ".join(f"{row[c]:.3g}" if isinstance(row[c], float) else str(row[c]) for c in COLUMNS) + " |"
        for row in looks
    ]
    head = (
        f"# Eighty faces\n\n{datetime.date.today()}, {cpu_model()}, seeds {args.seeds}; made by `python bench/faces.py`, which "
        "says what the columns mean.\n"
    )
    ruled = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    publish("\n".join([head, *ruled, *lines, ""]), args.out)
    if args.out:
        drawn = np.concatenate([run.picture() for run in runs[: len(WAYS)]])
        save_png(args.out.with_suffix(".png"), make_grid(drawn, columns=SHOWN))


if __name__ == "__main__":
    main()
