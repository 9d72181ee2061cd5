"""The way of a newcomer, with the seconds that each step takes: clone, install, train, and what else the README's start names.

    python bench/newcomer.py [--folder EMPTY] [--out FILE.md]

In a fresh clone of this repository and a fresh virtual environment, with an empty cache of kernels, it runs the commands of the
section "Start" of the README as they stand there, but for the tests. The table has the seconds of each on the clock, its exit
code, and the time that the README gives. For the first training it tells when the first picture lay in the folder, too. Packages
are downloaded unless pip has them in its cache: so the seconds of the installation say as much of the network as of minigan.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from step_time import cores, cpu_model, publish

ROOT = Path(__file__).parent.parent
TESTS = "pytest"


class Step(NamedTuple):
    """A command, what the README says it takes, and what it took."""

    command: str
    said: str
    seconds: float
    code: int


def commands(readme: str) -> list[tuple[str, str]]:
    """(command, time that is given) of the section "Start", in order, but for what installs and runs the tests."""
    section = readme.split("\n## Start\n", 1)[1].split("\n## ", 1)[0]
    found = []
    for block in re.findall(r"^```bash\n(.*?)^```$", section, flags=re.M | re.S):
        for line in block.splitlines():
            text, _, comment = line.partition("#")
            if TESTS not in text:
                told = comment.rpartition(":")[2].strip()
                found += [(part.strip(), told if re.search(r"\d", told) else "") for part in text.split("&&")]
    return found


def timed(command: str, told: str, folder: Path, environment: dict[str, str], log: Path) -> Step:
    """Run it as a shell would, its words in a log."""
    began = time.monotonic()
    with log.open("a") as file:
        file.write(f"\n$ {command}\n")
        file.flush()
        done = subprocess.run(command, shell=True, cwd=folder, env=environment, stdout=file, stderr=file, check=False)
    return Step(command, told, time.monotonic() - began, done.returncode)


def first_picture(folder: Path, began: float) -> str:
    """When the first picture of the first run was written, in seconds from the start of its command."""
    written = [file.stat().st_mtime for file in folder.glob("runs/*/samples/step-*.png")]
    return f"{min(written) - began:.0f} s" if written else "none was kept"


def main() -> None:
    """Walk, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the clone goes; by default one that is removed afterwards")
    parser.add_argument("--out", type=Path, help="write the table there, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        clone, log = folder / "minigan", folder / "log.txt"
        folder.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MINIGAN_", "PYTHON"))}
        path = f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = kept | {"PATH": path, "MINIGAN_CACHE": str(folder / "cache"), "VIRTUAL_ENV": str(folder / "venv")}
        steps = [
            timed(f"git clone --quiet {ROOT} {clone}", "", folder, environment, log),
            timed(f"{sys.executable} -m venv {folder / 'venv'}", "", folder, environment, log),
        ]
        steps[0] = steps[0]._replace(command="git clone URL minigan")
        steps[1] = steps[1]._replace(command="python -m venv ...")
        picture = ""
        for command, told in commands((ROOT / "README.md").read_text(encoding="utf-8")):
            began = time.time()
            steps.append(timed(command, told, clone, environment, log))
            if command == "minigan train":
                picture = first_picture(clone, began)
        publish(table(steps, picture), args.out)
        if failed := [step.command for step in steps if step.code]:
            print(log.read_text()[-3000:], file=sys.stderr)
            sys.exit(f"failed: {', '.join(failed)}")


def table(steps: list[Step], picture: str) -> str:
    """The report."""
    rows = [f"| `{s.command}` | {s.seconds:.1f} | {s.said} | {s.code} |" for s in steps]
    return "\n".join(
        [
            f"# A newcomer's way\n\n{datetime.date.today()}, {cpu_model()}, {cores()} cores. From a fresh clone, in a "
            "fresh environment, with no compiled kernels; made by `python bench/newcomer.py`. The first picture of the first "
            f"training was there after: {picture}.\n",
            "| command | s | README | exit code |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
