"""Which loss trains with which regulariser, on which data: three seeds, one table and its pictures.

    python bench/stability --folder RUNS [--data ring8 grid25 swiss_roll mnist] [--losses ...] [--regularisers ...]
                           [--product] [--seeds 0 1 2] [--minutes 60] [--out FILE.md]

Every loss is trained alone and with R1, the non-saturating one with every regulariser, and those that are published with others
with these (`CROSSED` in `trials.py`): 45 pairs; `--product` takes all 195. Each run is a file in RUNS, written when it is done:
what is there already is not computed again, so the study is done in as many pieces as one likes (`--minutes` ends it between two
runs), and the table shows what there is. Points: two hidden layers of 128 units, batch 256, Adam 1e-3 (0, .99), rates falling to
0, averaged weights (.995), 5,000 steps. Digits (MNIST): the DCGAN, batch 64, Adam 2e-4 (.5, .999), averaged weights (.99), 2,000
steps. The strengths of the regularisers are in `trials.py`.

Columns, the mean over seeds (and the range), of the last drawing, and the best W1 (or cFD) of the ten;

- modes, good, reverse KL: as in PacGAN (arXiv 1712.04086), of 2,500 samples; a good one is within 3 sigma of a mode
- W1: exact optimal transport between 500 samples and 500 examples; that of two sets of examples is printed beside it
- classes, class KL, confidence, cFD: as `bench/quality.py` has them, cFD the Frechet distance of the judge's features
- steps: to the first drawing with all modes, half of the samples good and reverse KL below .05 (digits: confidence .75; swiss
  roll: W1 below 1.5 times that of two sets of examples)
- s: seconds of the whole run, training alone
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # what the benches share

import pictures
import table
from judges import judge_of
from step_time import publish
from trials import LOSSES, REGULARISERS, Run, chosen, train

from minigan.gans.protocol import Unsuitable

DATA = ("ring8", "grid25", "swiss_roll", "mnist")


def main() -> None:
    """Read the command line, train what is missing, write the table and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where runs, pictures and the judge are kept")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--losses", nargs="+", default=list(LOSSES), choices=LOSSES)
    parser.add_argument("--regularisers", nargs="+", default=list(REGULARISERS), choices=list(REGULARISERS))
    parser.add_argument("--product", action="store_true", help="every loss with every regulariser")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="instead of 5,000 or 2,000; runs of other lengths are kept apart")
    parser.add_argument("--width", type=int, help="units of a hidden layer for points, instead of 128; kept apart, too")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after that time")
    parser.add_argument("--out", type=Path, help="the table, as Markdown")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    began, runs = time.monotonic(), []
    for seed, data, loss, regulariser in itertools.product(args.seeds, args.data, args.losses, args.regularisers):
        if not (args.product or chosen(loss, regulariser)):
            continue
        run = Run(args.folder, data, loss, regulariser, seed, args.steps, args.width)
        runs.append(run)
        if run.done or time.monotonic() - began > 60 * args.minutes:
            continue
        try:
            train(run, judge_of(data, args.folder))
        except Unsuitable as error:
            run.refuse(str(error))
        print(run.name, run.line(), flush=True)
    publish(table.markdown(runs), args.out)
    pictures.draw(runs, args.folder)


if __name__ == "__main__":
    main()
