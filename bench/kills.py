"""Kill real training at random moments, many times, and go on with it: is anything ever lost?

    python bench/kills.py [--kills 200] [--model toy] [--seed 0] [--out FILE.md]

Each trial forks a process that trains as `minigan train` does and sends it SIGKILL after a random time; a second process resumes
what is there, to the end. It has survived when a checkpoint was there that its seal bears out, at most one interval behind the
last line of metrics.jsonl, and when the resumed run ends with the same checkpoint, byte for byte, and the same metrics.jsonl, but
for the times, as a run that was never killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from minigan import cli
from minigan.run import checkpoint
from minigan.run.errors import CheckpointError
from minigan.run.rundir import RunDir

STEPS, EVERY = 60, 10
WORDS = ("--steps", str(STEPS), "--save-every", str(EVERY), "--batch-size", "16")


@dataclass
class Trial:
    """What a kill left, and what became of it.

    appeared: whether there was a run's folder. step: of the newest whole checkpoint, -1 for none. behind: steps from there to
    the last line of metrics.jsonl. damaged: files that have a checkpoint's name and are none. same: whether the resumed run
    ended as the unbroken one did.
    """

    appeared: bool
    step: int = -1
    behind: int = 0
    damaged: int = 0
    same: bool = False

    @property
    def survived(self) -> bool:
        """See the file's docstring; before its first step was done, a run has nothing to lose."""
        return not self.appeared or (self.step >= 0 and self.behind <= EVERY and self.same)


def forked(*words: str) -> int:
    """A process that carries out a command line in silence; returns its number."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (1, 2):
            os.dup2(quiet, number)
        code = cli.main(words)
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """The exit code of a process, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def lines(run: RunDir) -> list[dict]:
    """metrics.jsonl, without the times."""
    return [{k: v for k, v in row.items() if k != "ms_per_step"} for row in run.read_metrics()]


def kill(model: str, folder: Path, seconds: float, unbroken: RunDir) -> Trial:
    """One trial. seconds: from the start to the kill. unbroken: a run of the same command that was never killed."""
    child = forked("train", model, "--out", str(folder), *WORDS)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)  # where it has ended already, it waits to be asked for its code
    ended(child)
    if not folder.exists():
        return Trial(appeared=False)
    run = RunDir.open(str(folder))
    try:
        _, saved = checkpoint.latest(run)
    except CheckpointError:
        return Trial(appeared=True)
    told = max((row["step"] for row in run.read_metrics()), default=0)
    damaged = sum(not whole(path) for path in checkpoint.all_of(run))
    code = ended(forked("resume", str(folder)))
    ends = [checkpoint.path_of(found, STEPS) for found in (run, unbroken)]
    same = code == 0 and ends[0].read_bytes() == ends[1].read_bytes() and lines(run) == lines(unbroken)
    return Trial(True, saved.step, max(0, told - saved.step), damaged, same)


def whole(path: Path) -> bool:
    """Whether a checkpoint can be loaded."""
    try:
        checkpoint.load(path)
    except CheckpointError:
        return False
    return True


def trials(model: str, kills: int, seed: int) -> list[Trial]:
    """Kill so many runs, at times that are spread over the whole of one."""
    moments, found = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        unbroken = Path(folder, "unbroken")
        cli.main(["train", model, "--out", str(unbroken), *WORDS])  # compiles the kernels, too
        reference, began = RunDir.open(str(unbroken)), time.perf_counter()
        assert ended(forked("train", model, "--out", str(Path(folder, "timed")), *WORDS)) == 0
        length = time.perf_counter() - began
        for number in range(kills):
            here = Path(folder, f"run-{number}")
            found.append(kill(model, here, moments.uniform(0, length), reference))
            shutil.rmtree(here, ignore_errors=True)
            print(f"{number + 1}/{kills}: {found[-1]}", file=sys.stderr)
    return found


def report(found: list[Trial], model: str) -> str:
    """A table of the trials."""
    seen = [trial for trial in found if trial.appeared]
    rows = {
        "kills": len(found),
        "before the run's folder appeared (with its first checkpoint in it)": len(found) - len(seen),
        "later": len(seen),
        "with a checkpoint that its seal bears out": sum(trial.step >= 0 for trial in seen),
        "files with a checkpoint's name that are none": sum(trial.damaged for trial in seen),
        f"most steps behind metrics.jsonl (interval: {EVERY})": max((trial.behind for trial in seen), default=0),
        "resumed to the same bytes and the same metrics.jsonl": sum(trial.same for trial in seen),
        "survived": sum(trial.survived for trial in found),
    }
    head = f"`{model}`, {STEPS} steps, `--save-every {EVERY}`\n\n| | |\n|---|---|\n"
    return head + "\n".join(f"| {name} | {value} |" for name, value in rows.items()) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--model", default="toy")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the trials, to be put together")
    parser.add_argument("--out", help="write the table here")
    args = parser.parse_args()
    found = trials(args.model, args.kills, args.seed)
    text = json.dumps([vars(trial) for trial in found]) if args.json else report(found, args.model)
    print(text)
    if args.out:
        Path(args.out).write_text(text)
    return 0 if all(trial.survived for trial in found) else 1


if __name__ == "__main__":
    sys.exit(main())
