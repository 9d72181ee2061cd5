"""Numba, set up once: the processor to compile for, options, an on-disk cache that can be thrown away, and arrays by address."""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import shutil
import struct
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import caching, cgutils, event, registry
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from minigan.kernels.cpu.registers import VARIABLE, processor
from minigan.profiler import pause, resume

# Reassociation and fused multiply-add, but NaN and Inf keep their meaning (never "nnan" or "ninf").
FAST_MATH = {"contract", "reassoc", "arcp", "nsz"}
_SOURCES = sorted(Path(__file__).parent.glob("*.py"))  # everything beside this file


def _hold_target() -> None:
    """Let Numba compile for registers no wider than MINIGAN_LANES asks for."""
    wanted, config = processor(), vars(numba.config)
    if not wanted.forced:
        return
    # Numba reads both when it compiles its first function.
    config["CPU_NAME"], config["CPU_FEATURES"] = wanted.name, wanted.features
    if registry.cpu_target.target_context.codegen().magic_tuple()[2] != wanted.features:
        text = f"{VARIABLE}: Numba compiled something before minigan was imported: its target keeps the machine's registers"
        warnings.warn(f"{text}; import minigan first", stacklevel=2)


_hold_target()


class _Unprofiled(event.Listener):
    """Whoever compiles is not watched meanwhile; see `minigan.profiler`."""

    def __init__(self) -> None:
        self._paused = threading.local()

    def on_start(self, event: event.Event) -> None:
        """A thread begins to compile, perhaps while it compiles what calls that."""
        self._paused.profilers = [*getattr(self._paused, "profilers", ()), pause()]

    def on_end(self, event: event.Event) -> None:
        """It has compiled."""
        resume(self._paused.profilers.pop())


event.register("numba:compiler_lock", _Unprofiled())


def cache_folder() -> Path:
    """Where compiled kernels are kept: a folder whose name is a hash of their sources, of Numba's version, and of the processor
    with its features and its register tile.

    A changed source means a new folder, so a stale kernel is never run, nor is one that was compiled for another processor
    sharing the home folder, or for another width. `MINIGAN_CACHE` names another parent.
    """
    # Who asks for the machine's own width gets the machine's own kernels.
    digest = hashlib.sha256(repr((numba.__version__, processor()._replace(forced=False))).encode())
    for source in _SOURCES:
        digest.update(source.read_bytes())
    parent = os.environ.get("MINIGAN_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "minigan"
    )
    return Path(parent) / f"kernels-{digest.hexdigest()[:16]}"


def _usable_folder() -> Path:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            return folder
    except OSError:  # read-only home: compile anew in each process, and say where it would have gone in `doctor`
        return Path(tempfile.mkdtemp(prefix="minigan-kernels-"))


FOLDER = _usable_folder()


def clear_cache() -> None:
    """Throw the compiled kernels away; they are compiled again when next used."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)


class CacheFile(caching.IndexDataCacheFile):
    """Numba's, with names for compiled code that nobody else chooses. Two processes that compile a function for two types at the
    same moment number their code without knowing of each other's: one would find the other's by its own entry."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._token = secrets.token_hex(4)

    def _data_name(self, number: int) -> str:
        return f"{self._token}-{super()._data_name(number)}"


def _cached(compile: Callable[..., Any], *args: Any) -> Callable[[Callable[..., Any]], Any]:
    """A Numba decorator that keeps its results in our folder, without Python's division checks."""

    def decorate(function: Callable[..., Any]) -> Any:
        config: Any = numba.config
        module: Any = caching
        before, config.CACHE_DIR = config.CACHE_DIR, str(FOLDER)  # read when a function is decorated, as the class is
        numbas, module.IndexDataCacheFile = module.IndexDataCacheFile, CacheFile
        try:
            return compile(*args, cache=True, fastmath=FAST_MATH, error_model="numpy")(function)
        finally:
            config.CACHE_DIR, module.IndexDataCacheFile = before, numbas

    return decorate


_compile = _cached(functools.partial(numba.njit, nogil=True))
_compile_task = _cached(numba.cfunc, types.void(types.int64, types.int64, types.int64))


def _start_over(error: Exception) -> None:
    """A cache file that cannot be read is not fatal: clear the cache, say so, and let the caller compile again."""
    warnings.warn(f"kernel cache in {FOLDER} is unusable ({error}); compiling again", stacklevel=3)
    clear_cache()


announce: list[Callable[[str], None]] = []  # called with the name of each kernel that has been compiled, not loaded


def _announce(function: Callable[..., Any], compiled: bool) -> None:
    if compiled:
        for listener in announce:
            listener(f"{function.__module__.rpartition('.')[2]}.{function.__name__}")


def njit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter lock, without Python's division checks, and keep the result on disk.

    A cache file that cannot be read is not fatal: the cache is cleared and the function compiled again. Kernels raise
    nothing themselves, so any exception at a first call comes from loading or compiling.
    """
    compiled = _compile(function)
    tried_again = False

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        nonlocal compiled, tried_again
        try:
            return compiled(*args)
        except Exception as error:
            if tried_again:
                raise
            tried_again = True
            _start_over(error)
            compiled = _compile(function)
            return compiled(*args)

    return call


_INNER: dict[str, Any] = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}  # which take longer to compile than many a function


def compile_task(function: Callable[..., Any]) -> Any:
    """Compile a function that other compiled functions call, and Python does not."""
    return numba.njit(nogil=True, fastmath=FAST_MATH, error_model="numpy", **_INNER)(function)


def compile_inlined(function: Callable[..., Any]) -> Any:
    """The same, written out where it is called: LLVM vectorises no loop that still calls a function, and leaves long ones as
    they are."""
    return numba.njit(nogil=True, fastmath=FAST_MATH, error_model="numpy", inline="always")(function)


def compile_ordered(function: Callable[..., Any]) -> Any:
    """The same, with sums in the order that they are written in. LLVM keeps a plain copy of a vectorised loop for arrays that
    might overlap; where a sum of several terms is free to be rearranged, the two copies may round differently."""
    return numba.njit(nogil=True, fastmath=FAST_MATH - {"reassoc"}, error_model="numpy", **_INNER)(function)


def _refuse_compiled(function: Callable[..., Any]) -> None:
    variables = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name in [name for name, cell in variables if isinstance(cell.cell_contents, Dispatcher)]:
        where = f"{function.__module__}.{function.__qualname__}"
        raise TypeError(
            f"task: got {where} with the compiled function {name!r} in its closure, expected numbers and arrays only, since it "
            f"would never be found in the cache; call {name!r} by its global name, chosen by a number where there are several"
        )


def task(function: Callable[[int, int, int], None]) -> int:
    """Compile `function(parameters, index, thread)` to machine code and return its address, for `team.py`.

    Raises:
        TypeError: its closure holds a compiled function. Numba finds a closure in its cache by the closure's variables, and a
            compiled function is another one in each process: every process would compile again, and write another file.
    """
    _refuse_compiled(function)
    try:
        compiled = _compile_task(function)
    except Exception as error:  # a second failure is the caller's to see
        _start_over(error)
        compiled = _compile_task(function)
    _tasks.append(compiled)  # the address is valid as long as this object lives
    _announce(function, not compiled.cache_hits)
    return int(compiled.address)


_tasks: list[Any] = []
LATER: list[Later] = []  # every task of the modules imported so far, compiled or not


class Later:
    """A task that is compiled when it is first asked for: called, it returns the address."""

    def __init__(self, function: Callable[[int, int, int], None]) -> None:
        self.function, self.address = function, 0
        LATER.append(self)

    def __call__(self) -> int:
        self.address = self.address or task(self.function)
        return self.address


def later(function: Callable[[int, int, int], None]) -> Later:
    """Compile `function(parameters, index, thread)` at its first use; see :func:`task`."""
    return Later(function)


def _array_of(dtype: Any) -> tuple[Any, Callable[..., Any]]:
    """The type of a one-dimensional array, and what builds one from (address, length): four words, no allocation."""
    kind = types.Array(dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(kind)(context, builder)
        size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(dtype)))
        populate_array(
            array,
            data=builder.inttoptr(args[0], array.data.type),
            shape=cgutils.pack_array(builder, [args[1]]),
            strides=cgutils.pack_array(builder, [size]),
            itemsize=size,
            meminfo=None,
        )
        return array._getvalue()

    return kind, codegen


def _words_at(typing: Any, address: Any, length: Any) -> Any:
    """`length` 64-bit integers at a memory address, as an array."""
    kind, codegen = _array_of(types.int64)
    return kind(types.int64, types.int64), codegen


def _floats_at(typing: Any, address: Any, length: Any) -> Any:
    """`length` single-precision numbers at a memory address, as an array."""
    kind, codegen = _array_of(types.float32)
    return kind(types.int64, types.int64), codegen


def _array_at(typing: Any, address: Any, length: Any, like: Any) -> Any:
    """`length` elements of the dtype of `like` at a memory address, as an array."""
    kind, codegen = _array_of(like.dtype)
    return kind(types.int64, types.int64, like), codegen


def _record_at(typing: Any, address: Any, like: Any) -> Any:
    """The record at a memory address, of the dtype of `like`: its fields are read by name."""
    kind = like.dtype

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(kind))

    return kind(types.int64, like), codegen


words_at: Any = intrinsic(_words_at)
floats_at: Any = intrinsic(_floats_at)
array_at: Any = intrinsic(_array_at)
record_at: Any = intrinsic(_record_at)


def address_of(array: np.ndarray) -> int:
    """The memory address of an array's first element; the caller keeps the array alive."""
    return array.ctypes.data


_FORMS: dict[
    int, tuple[tuple[str, ...], struct.Struct]
] = {}  # by the identity of a form: its names, and what packs them


def record(integers: str, floats: str = "") -> np.ndarray:
    """The form of a task's parameters: names of integers (addresses, strides, sizes) and of numbers in double precision. An
    array of no records, which a compiled function finds by its global name: `p = record_at(parameters, FORM)`, then `p.name`."""
    whole, real = integers.split(), floats.split()
    fields = [(name, np.int64) for name in whole] + [(name, np.float64) for name in real]
    form = np.empty(0, np.dtype(fields, align=True))
    _FORMS[id(form)] = (*whole, *real), struct.Struct(f"={len(whole)}q{len(real)}d")
    _kept.append(form)
    return form


_kept: list[np.ndarray] = []  # forms stay, so that no other array gets the identity of one


def filled(form: np.ndarray, **values: Any) -> np.ndarray:
    """One record, as bytes, by the names of `form` in their order; for an array its address is put in, and the caller keeps it
    alive.

    Raises:
        TypeError: other names, or in another order.
    """
    names, packing = _FORMS[id(form)]
    if tuple(values) != names:
        raise TypeError(f"parameters of a task: got {tuple(values)}, expected {names}")
    numbers = [v.ctypes.data if type(v) is np.ndarray else v for v in values.values()]
    return np.frombuffer(packing.pack(*numbers), np.uint8)
