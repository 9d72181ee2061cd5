"""The module `cupy` of the stand-in: its functions, and what of `cupy.cuda` minigan uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import scipy.special

from emulated import capturing, memory
from emulated.arrays import applied, computed, ndarray, plain, wrapped
from emulated.host import RawModule
from emulated.signatures import FUNCTIONS, LINALG, UFUNCS, signature

VERSION = "14.0.0+emulated"
SPECIAL = ("erf", "erfc", "gammaln", "digamma", "ndtr", "ndtri")
CONSTANTS = """bool_ float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 complex64 complex128 pi e inf nan
newaxis generic integer floating dtype finfo iinfo result_type""".split()  # noqa: SIM905


# -- functions -------------------------------------------------------------------------------------------------------
def _function(name: str, text: str, source: Any) -> Callable[..., Any]:
    taken = signature(text)

    def call(*args: Any, **options: Any) -> Any:
        taken.bind(*args, **options)
        given = dict(options)
        if name == "take":
            given["mode"] = "wrap"
        return computed(
            name, getattr(source, name), *args, **{k: v for k, v in given.items() if v is not None or k == "axis"}
        )

    call.__name__ = name
    return call


def _ufunc(name: str) -> Callable[..., Any]:
    return _ufunc_of(getattr(np, name))


def _ufunc_of(found: np.ufunc) -> Callable[..., Any]:
    return lambda *args, **options: applied(found, *args, **options)


def array(
    obj: Any, dtype: Any = None, copy: bool = True, order: str = "K", subok: bool = False, ndmin: int = 0
) -> ndarray:
    """A copy on the device, of values of the host, or of an array of the device."""
    if isinstance(obj, ndarray):
        return obj.astype(dtype or obj.dtype, copy=copy)
    capturing.refuse("a copy from the host")
    if isinstance(obj, (list, tuple)) and any(isinstance(part, ndarray) for part in obj):
        return wrapped(np.array([plain(part) for part in obj], dtype=dtype))
    return wrapped(np.array(obj, dtype=dtype, order=order, ndmin=ndmin))


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    """`a` itself where it is on the device, of this dtype."""
    if isinstance(a, ndarray):
        return a if dtype is None or a.dtype == dtype else a.astype(dtype)
    return array(a, dtype=dtype)


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    """The values, on the host."""
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a)


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Poison: NaN, or the largest number."""
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    return ndarray(memory.empty(sizes, np.dtype(dtype)))


def empty_like(
    prototype: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    """Poison."""
    if not isinstance(prototype, ndarray):
        raise TypeError(f"empty_like: got {type(prototype)}, expected an array of the device")
    return empty(prototype.shape if shape is None else shape, dtype or prototype.dtype)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    """With axes, as CuPy's: () becomes (1,)."""
    own = asarray(a, dtype)
    own = own if own.ndim else own.reshape(1)
    return own if own.flags.c_contiguous else own.copy()


def matmul(*args: Any, out: Any = None, **options: Any) -> Any:
    """NumPy's, into `out` where it is given."""
    signature(FUNCTIONS["matmul"]).bind(*args, out=out, **options)
    for value in args:
        if not isinstance(value, ndarray):
            raise TypeError(f"Unsupported type {type(value)}")
    return computed("matmul", np.matmul, *args, **({"out": out} if out is not None else {}), **options)


def may_share_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """Whether the bounds of two arrays overlap; never for one of the host."""
    both = isinstance(a, ndarray) and isinstance(b, ndarray)
    return both and bool(np.may_share_memory(a._values, b._values))


# -- cupy.cuda -------------------------------------------------------------------------------------------------------
class Device:
    """The one device."""

    id = 0
    compute_capability = "90"

    def __init__(self, device: Any = None) -> None:
        pass

    def synchronize(self) -> None:
        capturing.refuse("synchronize")


class Graph:
    """Work that was captured."""

    def __init__(self, work: list[capturing.Work]) -> None:
        self.work = work

    def launch(self, stream: Any = None) -> None:
        for part in self.work:
            part.run()

    def upload(self, stream: Any = None) -> None:
        """Nothing to do."""


class Stream:
    """All streams run at once when they are asked: there is one order of work."""

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: Any = None
    ) -> None:
        self.null = null
        self.ptr = 0 if null else id(self)  # which kernels of libraries take

    def __enter__(self) -> Stream:
        _streams.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _streams.pop()

    def synchronize(self) -> None:
        capturing.refuse("synchronize")

    def begin_capture(self, mode: Any = None) -> None:
        if self.null:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if _streams[-1] is not self:
            raise RuntimeError("the emulation captures what goes to the current stream, and this is another one")
        capturing.begin()

    def end_capture(self) -> Graph:
        return Graph(capturing.end())

    def is_capturing(self) -> bool:
        return capturing.active()


_streams = [Stream(null=True)]


class Event:
    """Times are zero."""

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def record(self, stream: Any = None) -> None:
        capturing.refuse("a timed event")

    def synchronize(self) -> None:
        capturing.refuse("synchronize")


class MemoryPool:
    """Memory is taken when asked for and given back when dropped; what a capture took is kept as long as its pool."""

    def __init__(self) -> None:
        self._captured: list[memory.Allocation] = []

    def malloc(self, size: int) -> memory.Allocation:
        if self is _pool:
            capturing.refuse("memory of the default pool, which others get when it is given back,")
        made = memory.Allocation(size)
        if capturing.active():
            self._captured.append(made)
        return made

    def free_bytes(self) -> int:
        return 0

    def used_bytes(self) -> int:
        return sum(a.size for a in memory.live.values())

    total_bytes = used_bytes

    def get_limit(self) -> int:
        return 0

    def free_all_blocks(self) -> None:
        """None are kept."""


_pool = MemoryPool()
memory.allocator = _pool.malloc


@contextmanager
def using_allocator(allocator: Any = None) -> Iterator[None]:
    """Inside the block, arrays get memory from there."""
    before, memory.allocator = memory.allocator, allocator or memory.Allocation
    try:
        yield
    finally:
        memory.allocator = before


# -- the modules -----------------------------------------------------------------------------------------------------
def _module(name: str, **members: Any) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(members)
    return made


def modules() -> dict[str, ModuleType]:
    """By name, as `sys.modules` holds them."""
    kinds: dict[str, Any] = {}
    runtime = _module(
        "cupy.cuda.runtime",
        getDevice=lambda: 0,
        getDeviceCount=lambda: 1,
        memGetInfo=lambda: (2**33, 2**34),
        getDeviceProperties=lambda device: {"name": b"emulated on the CPU", "multiProcessorCount": 1},
        runtimeGetVersion=lambda: 12090,
        driverGetVersion=lambda: 12090,
        deviceSynchronize=lambda: capturing.refuse("synchronize"),
    )
    cuda = _module(
        "cupy.cuda",
        Device=Device,
        Event=Event,
        Graph=Graph,
        MemoryPool=MemoryPool,
        Stream=Stream,
        get_current_stream=lambda device=None: _streams[-1],
        get_elapsed_time=lambda begin, end: 0.0,
        runtime=runtime,
        using_allocator=using_allocator,
    )
    linalg_core = _module("cupy._core._routines_linalg", COMPUTE_TYPE_DEFAULT=0, COMPUTE_TYPE_TF32=3)
    core = _module(
        "cupy._core",
        _routines_linalg=linalg_core,
        get_compute_type=lambda dtype: kinds.get(np.dtype(dtype).name, 0),
        set_compute_type=lambda dtype, kind: kinds.__setitem__(np.dtype(dtype).name, kind),
    )
    linalg = _module("cupy.linalg", **{name: _function(name, text, np.linalg) for name, text in LINALG.items()})
    own = (array, asarray, asnumpy, empty, empty_like, ascontiguousarray, matmul, may_share_memory)
    cupy = _module(
        "cupy",
        __version__=VERSION,
        __path__=[],
        RawModule=RawModule,
        _core=core,
        cuda=cuda,
        get_default_memory_pool=lambda: _pool,
        is_available=lambda: True,
        linalg=linalg,
        ndarray=ndarray,
        **{name: getattr(np, name) for name in CONSTANTS},
        **{name: _function(name, text, np) for name, text in FUNCTIONS.items()},
        **{name: _ufunc(name) for name in UFUNCS},
    )
    cupy.__dict__.update({function.__name__: function for function in own})
    special = _module("cupyx.scipy.special", **{name: _ufunc_of(getattr(scipy.special, name)) for name in SPECIAL})
    scipy_part = _module("cupyx.scipy", special=special)
    every = (cupy, cuda, runtime, core, linalg_core, linalg, special, scipy_part, _module("cupyx", scipy=scipy_part))
    return {module.__name__: module for module in every}
