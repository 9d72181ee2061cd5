"""`minigan doctor`: what is installed, what this machine offers, and whether the engine computes rightly here."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from minigan import backend, captured, data, gans, nn, ops, random
from minigan.gans import needs
from minigan.gradcheck import gradcheck
from minigan.kernels import kernel
from minigan.kernels.cpu.registers import processor
from minigan.ranks.start import INSTALL
from minigan.run import environment, references
from minigan.run.feed import Feed
from minigan.run.loop import Loop

STEPS = 50


class Examination:
    """Prints findings as they come and counts what is wrong."""

    def __init__(self) -> None:
        self.problems = 0

    def heading(self, text: str) -> None:
        """Begin a group."""
        print(text, flush=True)

    def fact(self, name: str, value: object) -> None:
        """Something to know, neither good nor bad."""
        print(f"  {name:<22}{value}", flush=True)

    def problem(self, name: str, text: str) -> None:
        """Something wrong."""
        self.problems += 1
        self.fact(name, f"PROBLEM: {text}")

    def test(self, name: str, function: Callable[[], str]) -> None:
        """Run a test that returns what it measured and raises when it fails."""
        start = time.perf_counter()
        try:
            found = function()
        except Exception as error:  # a doctor reports every illness
            self.problem(name, f"{type(error).__name__}: {error}")
            return
        self.fact(name, f"ok: {found} ({time.perf_counter() - start:.1f} s)")


def doctor() -> int:
    """Print everything; returns 0 when all is well, 1 otherwise."""
    found = Examination()
    found.heading("installed")
    _packages(found)
    found.heading("machine")
    _machine(found)
    found.heading("caches")
    _caches(found)
    found.heading("self-test")
    found.test("gradients", gradients)
    found.test("kernels", kernels)
    found.test("training, cpu", lambda: training("cpu"))
    if not backend.gpu_problem():
        found.test("training, gpu", lambda: training("gpu"))
    found.heading("all is well" if not found.problems else f"{found.problems} problem(s)")
    return 0 if not found.problems else 1


def _packages(found: Examination) -> None:
    for name, version in environment.versions().items():
        if version is None:
            found.problem(name, f"is missing; install it with: pip install {name}")
        else:
            found.fact(name, version)


def _machine(found: Examination) -> None:
    found.fact("cpu", environment.processor())
    found.fact("threads", f"{environment.THREADS} (MINIGAN_THREADS sets another number)")
    found.fact("products", processor())
    found.fact("blas", environment.blas())
    found.fact("ranks", _ranks())
    problem = backend.gpu_problem()
    found.fact("gpu", f"none: {problem}" if problem else environment.gpu_name())
    if not problem:
        found.fact("graphs", f"{'on' if captured.wanted() else 'off'} ({captured.VARIABLE}=0|1: steps as CUDA graphs)")


def _ranks() -> str:
    """Which MPI several ranks would use. It is asked in a process of its own: nobody else starts MPI without need."""
    version = environment.version_of("mpi4py")
    if version is None:
        return f"one only: mpi4py is not installed ({INSTALL})"
    asked = "import mpi4py; mpi4py.rc.initialize = False; from mpi4py import MPI; print(MPI.Get_library_version())"
    try:
        done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return f"one only: mpi4py {version} does not find out its MPI within 30 s"
    if done.returncode:
        why = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return f"one only: mpi4py {version} finds no MPI ({why[-1]}); {INSTALL}"
    named = re.search(r"[A-Z]\w+.*?[0-9][0-9.]+", " ".join(done.stdout.split()))
    library = named[0] if named else done.stdout.strip()
    return f"by {library}, mpi4py {version}: mpiexec -n N minigan train ..."


def _caches(found: Examination) -> None:
    from minigan.kernels.cpu.compiler import FOLDER, cache_folder

    wanted = cache_folder()
    if wanted == FOLDER:
        found.fact("kernels", FOLDER)
    else:
        text = f"{wanted} cannot be written, so kernels are compiled anew in each process; set MINIGAN_CACHE"
        found.problem("kernels", text)
    found.fact("data", data.cache_folder())


def gradients() -> str:
    """First and second derivatives of a small network against central differences."""
    with kernel.using("reference"):
        network = nn.Sequential(nn.Dense(3, 5, activation="tanh"), nn.Dense(5, 1)).astype("float64").initialize(1)
        x = random.normal((4, 3), seed=1, dtype="float64")
        gradcheck(lambda x: ops.softplus(network(x)).mean(), x, order=2)
    return "orders 1 and 2 agree with finite differences"


def _losses(choice: str) -> np.ndarray:
    """Three steps of a small GAN, with one kind of kernels."""
    with kernel.using(choice):
        model = gans.get("toy")
        trained = model(model.Config(batch_size=32, width=16), (2,), replay=False)
        batch = random.normal((32, 2), seed=2).data
        rows = [list(trained.game.step(batch).values()) for _ in range(3)]
    return np.array([[float(loss.data) for loss in row] for row in rows])


def kernels() -> str:
    """The compiled kernels against the plain ones that specify them."""
    error = float(np.abs(_losses("fast") - _losses("reference")).max())
    if not error < 1e-4:
        raise ArithmeticError(f"compiled and reference kernels give losses {error:.1e} apart, expected less than 1e-4")
    return f"compiled and reference kernels agree to {error:.0e}"


def training(device: str) -> str:
    """A few steps of the toy GAN."""
    model = gans.get("toy")
    config = model.Config()
    supply = needs.find(model.needs, config.data, seed=config.seed)
    trained = model(config, supply.facts, device=device)
    loop = Loop(references.resolve("toy"), trained, Feed(supply, trained, device), step=0, steps=STEPS)
    loop.advance()
    loop.numbers()
    start = time.perf_counter()
    while loop.step < STEPS:
        loop.advance()
    values = loop.numbers()
    if not np.isfinite(list(values.values())).all():
        raise ArithmeticError(f"losses are {values} after {STEPS} steps")
    time_taken = f"{1e3 * (time.perf_counter() - start) / (STEPS - 1):.2f} ms/step"
    return "; ".join([time_taken, *trained.game.captured])
