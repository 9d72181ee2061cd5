"""What one process has compiled, the next one loads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kernel_samples import SAMPLES, Size
from numba.core import caching

from minigan.kernels.cpu import compiler
from minigan.kernels.kernel import KERNELS
from minigan.profiler import marked

USE = """
import gc
from numba.core.dispatcher import Dispatcher
from minigan.kernels.cpu import compiler
import test_kernel_cache
compiled = []
compiler.announce.append(compiled.append)
test_kernel_cache.every_kernel()
kept = [found for found in gc.get_objects() if isinstance(found, Dispatcher) and found.stats.cache_path]
compiled += [found.py_func.__qualname__ for found in kept if found.stats.cache_misses]
assert kept and not compiled, compiled
"""


def every_kernel() -> None:
    """Run every kernel with all its samples: all that is compiled for a choice (an activation, an optimizer, a dtype)."""
    for name, cases in SAMPLES.items():
        for rows, channels, dtype in ((3, 5, "float32"), (130, 129, "float32"), (3, 5, "float64")):
            for case in cases(Size(rows, channels, dtype)):
                KERNELS[name](*case.args)


def test_a_second_process_compiles_nothing():
    every_kernel()
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


def test_whoever_watches_a_step_does_not_watch_the_compiler():
    """It would take twice as long; a profiler of somebody else's sees all of it, and stays."""

    def events_of(profiler_of):
        seen = []
        profiler = profiler_of(lambda frame, event, called: seen.append(event))

        def doubled(v):
            return v + v

        compiled = compiler._compile(doubled)
        sys.setprofile(profiler)
        try:
            assert compiled(2) == 4
            assert sys.getprofile() is profiler
        finally:
            sys.setprofile(None)
        return len(seen)

    others = lambda profiler: profiler  # noqa: E731
    events_of(others)  # what Numba does once
    assert 10 * events_of(marked) < events_of(others)


def test_processes_that_compile_a_function_at_the_same_moment_find_their_own_code(tmp_path):
    one, other, later = (compiler.CacheFile(str(tmp_path), "kernel", "stamp") for _ in range(3))
    write, other._load_index = one._save_data, dict  # the other looked before the first had written

    def interrupted(name, data):
        other.save("float64", "for float64")
        write(name, data)

    one._save_data = interrupted
    one.save("float32", "for float32")
    assert later.load("float64") == "for float64" and later.load("float32") in (None, "for float32")


def test_kernels_are_kept_under_such_names():
    def doubled(v):
        return v + v

    compiled = compiler._compile(doubled)
    assert type(compiled._cache._cache_file) is compiler.CacheFile
    assert caching.IndexDataCacheFile is not compiler.CacheFile
