"""The identities and what their property tests saw: statement, examples, the largest error, the tolerance.

    python bench/identities.py [--examples 200] [--only 4 7] [--out bench/results/identities-DATE.md]

Runs `tests/test_identities_*.py` through pytest in this process. The exit code is 1 where a test fails, or where a number from
1 to 63 has none. The lessons' site shows the newest table in `bench/results/`.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import platform
import re
import sys
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from step_time import cores, cpu_model

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
COUNT = 63  # the identities are numbered from 1
HEAD = ("", "identity", "test", "examples", "largest error", "tolerance")


class Watch:
    """A pytest plugin: sets how many examples run, and remembers where each test is and how it ended."""

    def __init__(self, examples: int) -> None:
        self.examples = examples
        self.files: dict[str, str] = {}
        self.failed: dict[str, str] = {}

    def pytest_sessionstart(self) -> None:
        """After conftest.py has chosen its own profile."""
        hypothesis.settings.register_profile(
            "identities", deadline=None, max_examples=self.examples, derandomize=True, database=None, print_blob=True
        )
        hypothesis.settings.load_profile("identities")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Tests by their name without parameters."""
        for item in items:
            self.files[item.name.partition("[")[0]] = item.path.name

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a failure in any phase."""
        if report.failed:
            name = report.nodeid.rpartition("::")[2].partition("[")[0]
            self.failed[name] = str(report.longrepr).strip().splitlines()[-1]


def run(examples: int, only: list[int]) -> tuple[list[Any], Watch, int]:
    """(what the tests saw, the plugin that watched, pytest's exit code). pytest's own report goes to stderr."""
    watch = Watch(examples)
    files = sorted(map(str, TESTS.glob("test_identities_*.py")))
    chosen = ["-k", " or ".join(f"test_identity_{number:02d}_" for number in only)] if only else []
    with contextlib.redirect_stdout(sys.stderr):
        code = pytest.main(
            [
                *files,
                *chosen,
                "-q",
                "--no-header",
                "--tb=short",
                "-p",
                "no:cacheprovider",
                "-W",
                "ignore::pytest.PytestAssertRewriteWarning",
            ],
            plugins=[watch],
        )
    from identity import SEEN  # conftest.py puts tests/ on the path

    seen = [each for name, each in SEEN.items() if name in watch.files and (not only or each.number in only)]
    return sorted(seen, key=lambda each: (each.number, each.name)), watch, int(code)


def tolerance(seen: Any) -> str:
    """atol, with rtol where there is one."""
    return f"{seen.atol:.0e}" + (f" + {seen.rtol:.0e} \\|right\\|" if seen.rtol else "")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|$])", r"\\\1", text)


def row(seen: Any, watch: Watch) -> str:
    """A row of the table, with a link to the test."""
    statement = escaped(seen.statement) + (f" **Corrected:** {escaped(seen.corrected)}." if seen.corrected else "")
    test = f"[{seen.name.split('_', 3)[3].replace('_', ' ')}](../../tests/{watch.files[seen.name]}#{seen.name})"
    error = "FAILED" if seen.name in watch.failed else f"{seen.error:.1e}" if seen.error else "0"
    return f"| {seen.number} | {statement} | {test} | {seen.examples} | {error} | {tolerance(seen)} |"


def report(found: list[Any], watch: Watch, options: argparse.Namespace) -> list[str]:
    """The whole table in Markdown."""
    missing = [n for n in options.only or range(1, COUNT + 1) if n not in {seen.number for seen in found}]
    numbers = len({seen.number for seen in found})
    machine = f"{cpu_model()}, {cores()} cores, {platform.platform()}"
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, Hypothesis {hypothesis.__version__}"
    told = (
        f"{numbers} identities hold by {len(found)} property tests on {sum(seen.examples for seen in found):,} random "
        "examples. The error is the largest that was seen in float64; for an inequality it is the excess."
    )
    if missing or watch.failed:
        told = f"{numbers} identities have tests; failed: {len(watch.failed)}; without a test: {missing or 'none'}."
    lines = [
        "# The identities",
        "",
        f"{datetime.date.today()}, {machine}; {versions}.",
        "",
        f"Command: `python bench/identities.py --examples {options.examples}`",
        "",
        told,
        "",
        f"| {' | '.join(HEAD)} |",
        "|" + "---|" * len(HEAD),
        *(row(seen, watch) for seen in found),
    ]
    return [*lines, "", *(f"FAILED {name}: {why}" for name, why in watch.failed.items())]


def main() -> int:
    """Run the tests, print the table, write it where asked; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100, help="random examples of each test (100)")
    parser.add_argument("--only", type=int, nargs="+", default=[], metavar="N", help="these numbers only")
    parser.add_argument("--out", type=Path, help="also write the table to this Markdown file")
    options = parser.parse_args()
    if options.examples < 1:
        parser.error(f"--examples {options.examples}: at least 1")
    found, watch, code = run(options.examples, options.only)
    text = "\n".join(report(found, watch, options))
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    wanted = set(options.only or range(1, COUNT + 1))
    if missing := sorted(wanted - {seen.number for seen in found}):
        print(f"no test for identity {', '.join(map(str, missing))}", file=sys.stderr)
    return 1 if missing or code else 0


if __name__ == "__main__":
    sys.exit(main())
