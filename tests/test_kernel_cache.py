"""What one process has compiled, the next one loads."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from devices import CPU

from minigan.activation import Activation
from minigan.kernels.cpu import compiler

USE = """
import gc
from numba.core.dispatcher import Dispatcher
from minigan.kernels.cpu import compiler
import test_kernel_cache
compiled = []
compiler.announce.append(compiled.append)
test_kernel_cache.every_choice_of_a_closure()
kept = [found for found in gc.get_objects() if isinstance(found, Dispatcher) and found.stats.cache_path]
compiled += [found.py_func.__qualname__ for found in kept if found.stats.cache_misses]
assert kept and not compiled, compiled
"""


def every_choice_of_a_closure() -> None:
    """Run the kernels that are compiled for a choice (an activation, an optimizer, a dtype), every choice once."""
    x, out = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4), np.empty((2, 4), np.float32)
    for kind in ("tanh", "sigmoid", "leaky_relu"):
        f = Activation(kind, 0.2 if kind == "leaky_relu" else 0.0)
        CPU.bias_activation(x, None, f, out)
        CPU.activation_backward(x, x, f, out)
    for dtype in (np.float32, np.float64):
        p, g, m, v = ([np.full(5, 0.5, dtype)] for _ in range(4))
        CPU.sgd(p, g, m, np.array([0.1, 0.9, 0.0]), False)
        CPU.rmsprop(p, g, v, np.array([0.1, 0.9, 1e-8]))
        CPU.adam(p, g, m, v, np.array([0.1, 0.9, 0.99, 1e-8, 0.0, 1.0]))
        CPU.ema(m, p, np.array([0.5]))
        z, longer = np.ones((1, 2, 3), dtype), np.ones((1, 4, 3), dtype)
        CPU.interpolate(z, 2, longer)
        CPU.interpolate_adjoint(longer, 2, z)
        rows, ones, f = np.ones((4, 3), dtype), np.ones(3, dtype), Activation("relu")
        CPU.batch_norm(rows, ones, ones, 1e-5, f, np.empty_like(rows), np.empty((2, 3), dtype))
        CPU.batch_norm_backward(rows, rows, rows, ones, 1e-5, f, *map(np.empty_like, (rows, ones, ones)))
        x, sums, small = rows[None], np.empty((1, 2, 3), dtype), np.empty((1, 1, 1, 5), dtype)
        CPU.group_norm(x, ones[None], ones[None], 1, 1e-5, f, np.empty_like(x))
        CPU.group_norm_backward(x, x, x, ones[None], 1, 1e-5, f, np.empty_like(x), sums)
        image, winner = np.ones((1, 2, 2, 5), dtype), np.zeros(small.shape, np.uint8)
        CPU.window_sum(image, (2, 2), (2, 2), 0.5, small)
        CPU.window_spread(small, (2, 2), (2, 2), 0.5, image)
        CPU.window_max(image, (2, 2), (2, 2), small, winner)
        CPU.window_place(small, winner, (2, 2), (2, 2), image)
        CPU.add_rows(rows, np.array([0, 1, 0, -1]), np.zeros((2, 3), dtype))


def test_a_second_process_compiles_nothing():
    every_choice_of_a_closure()
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])}
    done = subprocess.run([sys.executable, "-c", USE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_task_that_would_be_compiled_in_every_process_is_refused():
    @compiler.compile_task
    def chosen(v):
        return v

    def run(parameters, index, thread):
        chosen(index)

    with pytest.raises(
        TypeError, match=r"task: got .*run with the compiled function 'chosen' in its closure, expected"
    ):
        compiler.task(run)


def test_the_key_of_the_cache_covers_every_source_of_compiled_functions():
    folder = Path(compiler.__file__).parent
    assert set(compiler._SOURCES) == set(folder.rglob("*.py"))
    assert all(Path(task.function.__code__.co_filename).is_relative_to(folder) for task in compiler.LATER)
