"""Settings for the whole test suite: Hypothesis profiles, tests that need what a machine may lack, figures without a screen,
and a summary at the end.

`HYPOTHESIS_PROFILE=quick|dev|ci` chooses how many random examples run; `CI=true` means ci.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from hypothesis import settings

matplotlib.use("Agg")
sys.path.insert(0, str(Path(__file__).parent))  # helpers beside the tests (drawing.py, formulas.py), in any import mode

# Workers of pytest-xdist share the processors: two teams of two threads on two cores wait for each other at every barrier. Tests
# of several threads ask for them by number.
if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    from minigan.kernels.cpu.threads import usable

    os.environ.setdefault("MINIGAN_THREADS", str(max(1, usable() // workers)))

from browsers import browser  # noqa: F401 - a fixture
from devices import few_blocks, race_free  # noqa: F401 - fixtures

settings.register_profile("quick", deadline=None, max_examples=5, derandomize=True)
settings.register_profile("dev", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True, print_blob=True)
in_ci = os.environ.get("CI", "").lower() in ("true", "1")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if in_ci else "dev"))

SLOWEST = 10
COUNTED = re.compile(r"(\d+) passing.*?, (\d+) failing")  # "passing examples, 0 failing examples" before 6.150
EXAMPLES = "hypothesis examples"


# Files with a test of 20 s or more, the longest first: begun last, by a worker of pytest-xdist, it would run alone at the end.
FIRST = [
    "lessons",
    "registers",
    "games_at_random",
    "readme",
    "write_your_own_gan",
    "outside_models",
    "streams",
    "disks",
    "run_files",
]


def _place(item: pytest.Item) -> int:
    name = item.path.stem.removeprefix("test_")
    return FIRST.index(name) if name in FIRST else len(FIRST)


NO_DEVICE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Where no GPU works, `cupy` is the stand-in of tests/emulated from here on, whether CuPy is installed or not."""
    import emulated

    from minigan.backend import gpu_problem

    config.stash[NO_DEVICE] = (gpu_problem() if emulated.driver() else "no CUDA driver (libcuda.so.1)") or ""
    if config.stash[NO_DEVICE]:
        emulated.install()


@pytest.fixture(autouse=True)
def device_problem(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only tests marked `gpu` see the emulated GPU."""
    from minigan import backend

    if problem := request.config.stash[NO_DEVICE]:
        marked = request.node.get_closest_marker("gpu")
        monkeypatch.setattr(backend, "_gpu_problem", "" if marked else problem)


EMULATED_EXAMPLES = 2  # random examples of a test on the emulated GPU, which takes its time


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Few random examples on the emulated GPU, of the many that the same test runs on the CPU."""
    test, name = getattr(item, "obj", None), "_hypothesis_internal_use_settings"
    own = getattr(test, name, None)
    few = own is not None and item.get_closest_marker("gpu") is not None and item.config.stash[NO_DEVICE] != ""
    if few and own is not None:
        setattr(test, name, settings(own, max_examples=min(own.max_examples, EMULATED_EXAMPLES)))
    yield
    if few:
        setattr(test, name, own)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files first. Leave out the tests of NEEDS where there is none of it; asking costs time, so only if there are such
    tests."""
    items.sort(key=_place)
    for marker, problem_of in NEEDS.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and (problem := problem_of(config)):
            items[:] = [item for item in items if item not in set(marked)]
            config.hook.pytest_deselected(items=marked)
            config.stash.setdefault(NOTES, []).append(f"{len(marked)} {marker} tests deselected: {problem}")


def gpu_problem(config: pytest.Config) -> str:
    """Why there is neither a GPU nor an emulated one, or ""."""
    from emulated import host

    problem, none = host.problem(), config.stash[NO_DEVICE]
    return f"{none}; and to emulate one, {problem}" if problem and none else ""


def browser_problem(config: pytest.Config) -> str:
    """Why no browser can be driven, or ""."""
    from browsers import problem

    return problem()


def mount_problem(config: pytest.Config) -> str:
    """Why no disk can be mounted, or ""."""
    from disks import namespace

    return "" if namespace() else "nobody may mount a file system here: needs root, or user namespaces (unshare -rm)"


NEEDS = {"gpu": gpu_problem, "browser": browser_problem, "mount": mount_problem}
NOTES = pytest.StashKey[list[str]]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note how many examples Hypothesis ran. Its pytest plugin leaves a text on the item; user_properties travel with the
    report, also from the workers of pytest-xdist."""
    if call.when == "call":
        text = getattr(item, "hypothesis_statistics", "")
        count = sum(int(n) for pair in COUNTED.findall(text) for n in pair)
        if count:
            item.user_properties.append((EXAMPLES, count))
    yield


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The number of random examples, the tests left out for want of what NEEDS names, and the slowest tests."""
    calls = [r for group in terminalreporter.stats.values() for r in group if getattr(r, "when", "") == "call"]
    examples = sum(value for r in calls for key, value in r.user_properties if key == EXAMPLES)
    terminalreporter.write_line(f"{examples} hypothesis examples")
    for note in config.stash.get(NOTES, []):
        terminalreporter.write_line(note)
    for report in sorted(calls, key=lambda r: -r.duration)[:SLOWEST]:
        terminalreporter.write_line(f"{report.duration:7.2f} s  {report.nodeid}")


# -- fixtures ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runs in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def judged_by_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models have no best, so that a run is saved when its schedule says so, and not where it has become better."""
    from minigan.gans import Model

    monkeypatch.setattr(Model, "best", None)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished toy run of 10 steps, saved by its schedule alone (it knows of no best); not to be changed."""
    from tiny_runs import TINY

    from minigan.cli import main
    from minigan.gans import Model

    path = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Model, "best", None)
        assert main(["train", "toy", "--steps", "10", "--out", str(path), *TINY]) == 0
    return path
