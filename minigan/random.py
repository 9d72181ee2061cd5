"""Counter-based random numbers: every number is a pure function of (seed, stream, step), on the CPU and the GPU alike.

There is no global state to seed, save or restore. Philox4x32-10 (Salmon et al. 2011) turns a key and a counter into 128
random bits; the key is a hash of seed and stream name, the counter holds the step, the how-many-eth draw of that stream in
this step, and the position. A run resumed at step 1,000 draws what it would have drawn.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import numpy as np

from minigan import backend
from minigan.autodiff import Tensor, as_tensor, fill
from minigan.backend import Array, array_module
from minigan.checks import number, whole
from minigan.counters import Counter, told
from minigan.kernels import reference as kernels
from minigan.kernels.reference import keep_level
from minigan.staged import Staged
from minigan.switches import state

_UNIT = 2.0**-24  # a float32 holds 24 bits: the largest grid of equal steps in [0, 1)
_FINE = 2.0**-53
Key = tuple[int, int]
Counter3 = tuple[int, int, int]


def key_of(seed: int, stream: str, law: str = "normal") -> tuple[int, int]:
    """64 key bits for a seed (any integer), a stream name and the law that is drawn from, as two 32-bit words. With one key for
    all laws, the uniform and the normal numbers of a seed would be functions of the same words."""
    text = f"{int(seed)}/{stream}" if law == "normal" else f"{law} {int(seed)}/{stream}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def _counter(step: int, call: int) -> Counter3:
    return call, step & 0xFFFFFFFF, step >> 32


# Each law fills `out` from a key, the numbers it depends on, and a counter, which may be an array of the device (a captured
# graph finds another counter there at every launch).
def _fill_uniform(key: Key, extra: tuple[()], counter: Any, out: Array) -> None:
    """u = k 2^-24 (float32) or k 2^-53 (float64), k a random integer of as many bits: in [0, 1)."""
    xp = array_module(out)
    single = out.dtype == np.float32
    words = xp.empty(out.size if single else 2 * out.size, np.uint32)
    kernels.philox(key, counter, words)
    if single:
        xp.multiply(words >> np.uint32(8), np.float32(_UNIT), out=out.reshape(-1), dtype=np.float32, casting="unsafe")
    else:
        high, low = (words[::2] >> np.uint32(5)).astype(np.float64), (words[1::2] >> np.uint32(6)).astype(np.float64)
        out.reshape(-1)[...] = (high * 2.0**26 + low) * _FINE


def _fill_normal(key: Key, extra: tuple[()], counter: Any, out: Array) -> None:
    """Box-Muller: with u, v uniform, sqrt(-2 log(1-u)) (cos 2 pi v, sin 2 pi v) are two independent standard normals."""
    if out.dtype == np.float32:
        kernels.normal(key, counter, out.reshape(-1))
        return
    xp = array_module(out)
    pairs = -(-out.size // 2)
    u = xp.empty(2 * pairs, out.dtype)
    _fill_uniform(key, (), counter, u)
    radius = xp.sqrt(out.dtype.type(-2) * xp.log1p(-u[:pairs]))
    angle = u[pairs:] * out.dtype.type(2 * math.pi)
    flat = out.reshape(-1)
    xp.multiply(radius, xp.cos(angle), out=flat[:pairs])
    xp.multiply(radius[: out.size - pairs], xp.sin(angle[: out.size - pairs]), out=flat[pairs:])


def _fill_mask(key: Key, extra: tuple[float], counter: Any, out: Array) -> None:
    """1/keep with probability keep, else 0, keep in steps of 2^-16 (2^-32 near 0 and 1); the same in both dtypes."""
    kernels.mask(key, counter, *extra, out.reshape(-1))


def _open_uniform(key: Key, counter: Any, shape: Any, xp: Any) -> Array:
    """u = (k + 1/2) 2^-53: in (0, 1), so that log u and log(1 - u) are finite."""
    u = xp.empty(shape, np.float64)
    if u.size:
        _fill_uniform(key, (), counter, u)
    return u + 0.5 * _FINE


def _fill_gumbel(key: Key, extra: tuple[()], counter: Any, out: Array) -> None:
    """-log(-log u), u uniform: the distribution function is exp(-e^-x)."""
    xp = array_module(out)
    out[...] = -xp.log(-xp.log(_open_uniform(key, counter, out.shape, xp)))


def _fill_bernoulli(key: Key, extra: tuple[float, ...], counter: Any, out: Array, *array: Array) -> None:
    """[u < p], u uniform of 53 bits; p a number or an array."""
    p = extra[0] if extra else array[0]
    u = array_module(out).empty(out.shape, np.float64)
    _fill_uniform(key, (), counter, u)
    out[...] = u < p


def _fill_categorical(key: Key, extra: tuple[()], counter: Any, out: Array, logits: Array) -> None:
    """argmax of logits + Gumbel noise."""
    xp = array_module(out)
    u = _open_uniform(key, counter, logits.shape, xp)
    out[...] = (logits - xp.log(-xp.log(u))).argmax(axis=-1)


def _fill_integers(key: Key, extra: tuple[int, int], counter: Any, out: Array) -> None:
    """low + floor(w n / 2^64), w a random integer of 64 bits and n = high - low <= 2^32: no two probabilities differ by more
    than 2^-64."""
    low, high = extra
    xp, half, n = array_module(out), np.uint64(32), np.uint64(high - low)
    words = xp.empty(2 * out.size, np.uint32)
    kernels.philox(key, counter, words)
    upper, lower = words[::2].astype(np.uint64), words[1::2].astype(np.uint64)
    out.reshape(-1)[...] = low + ((upper * n + (lower * n >> half)) >> half).astype(np.int64)


_LAWS: dict[str, Callable[..., None]] = {
    "uniform": _fill_uniform,
    "normal": _fill_normal,
    "mask": _fill_mask,
    "gumbel": _fill_gumbel,
    "bernoulli": _fill_bernoulli,
    "categorical": _fill_categorical,
    "integers": _fill_integers,
}


def _draw(law: str, shape: Any, seed: int, stream: str, step: int, dtype: Any, device: str, *extra: float) -> Array:
    out = backend.module_for(device).empty(shape, backend.as_float_dtype(dtype))
    if out.size:
        _LAWS[law](key_of(seed, stream, law), extra, _counter(step, 0), out)
    return out


def uniform(
    shape: Sequence[int], *, seed: int, stream: str = "", step: int = 0, dtype: Any = None, device: str = "cpu"
) -> Tensor:
    """Independent uniform numbers in [0, 1)."""
    return Tensor(_draw("uniform", shape, seed, stream, step, dtype, device))


def normal(
    shape: Sequence[int], *, seed: int, stream: str = "", step: int = 0, dtype: Any = None, device: str = "cpu"
) -> Tensor:
    """Independent standard normal numbers."""
    return Tensor(_draw("normal", shape, seed, stream, step, dtype, device))


def permutation(n: int, *, seed: int, stream: str = "", step: int = 0) -> np.ndarray:
    """A random order of range(n): each of the n! equally likely (Fisher and Yates 1938; Durstenfeld 1964, algorithm 235).

    Raises:
        TypeError, ValueError: n is no integer >= 0.
    """
    order = np.arange(whole("permutation", "n", n, low=0))
    if order.size > 1:
        kernels.shuffle(key_of(seed, stream, "permutation"), _counter(step, 0), order)
    return order


class Clock:
    """One step of a game: its number, and how many draws each (seed, stream) has made in it."""

    __slots__ = ("calls", "step")

    def __init__(self, step: int) -> None:
        self.step = step
        self.calls: dict[tuple[int, str], int] = {}


@contextmanager
def ticking(step: int) -> Iterator[None]:
    """Context manager: inside is step number `step`, a new one."""
    before, state.clock = state.clock, Clock(step)
    try:
        yield
    finally:
        state.clock = before


_unnamed: dict[str, int] = {}  # draws outside of steps by layers that were never initialised: their masks differ


class Source:
    """Random numbers for a run: a seed and the present step.

    Draws of one stream within a step differ (a counter tells them apart); the next step starts anew. What is drawn inside a
    recorded step is drawn again, for the new step, at every replay.

    A source that nobody advances, such as that of a layer initialised by an integer, is at the game's step inside a step of a
    :class:`minigan.game.Game`, and the step counts its draws together with those of others of its seed and stream. So a resumed
    run draws what the unbroken one would have, and no two layers draw the same mask.
    """

    watched: ClassVar[tuple[str, ...]] = ("seed", "device", "dtype", "_branch")  # see `minigan.guards`
    in_effects: ClassVar[tuple[str, ...]] = ("_advanced", "_calls", "_clock")  # what draws change, at each replay
    step = Counter("the step of a random.Source")

    def __init__(self, seed: int, *, device: str = "cpu", dtype: Any = None) -> None:
        self.seed, self.device = whole("Source", "seed", seed), device
        self.dtype = backend.as_float_dtype(dtype)
        self.step = 0
        self._advanced = False
        self._calls: dict[str, int] = {}
        self._clock: Clock | None = None  # the game's step that `_calls` belongs to
        self._branch = ""  # what tells a copy's streams from the original's, and those of `apart`

    def __repr__(self) -> str:
        return f"Source(seed={self.seed}, step={self.step}, {self.dtype} on the {self.device})"

    @classmethod
    def unnamed(cls) -> Source:
        """A source of seed 0 for a layer that was not initialised."""
        source = cls(0)
        source._calls = _unnamed
        return source

    def advance(self, step: int | None = None) -> None:
        """Go to the next step, or to the given one."""
        told(
            "Python calls advance() of a random.Source inside a recorded step (where `before` of a game is the place for it)"
        )
        self.step = self.step + 1 if step is None else step
        self._advanced = True
        self._calls = {}

    def mark(self) -> Callable[[], None]:
        """A function that brings step and counters back to where they are now."""
        clock, own = state.clock, (self.step, self._clock)
        calls, counted = dict(self._calls), dict(clock.calls) if clock is not None else {}

        def restore() -> None:
            self.step, self._clock = own
            for target, kept in ((self._calls, calls), (clock.calls if clock is not None else {}, counted)):
                target.clear()
                target.update(kept)

        return restore

    def __deepcopy__(self, memo: dict[int, Any]) -> Source:
        """A source at the same step, with streams of its own, that nobody advances yet."""
        new = memo[id(self)] = Source(self.seed, device=self.device, dtype=self.dtype)
        new.step, new._branch = self.step, f"{self._branch}/copy"
        return new

    @contextmanager
    def apart(self, seed: int, name: str) -> Iterator[None]:
        """Inside the block draw the numbers of another seed, from step 0 on, in streams of their own, by that name.

        Whatever holds this source, noise and dropout layers included, draws those; afterwards all is as it was.
        """
        told("Python calls apart() of a random.Source inside a recorded step")
        before = self.seed, self.step, self._advanced, self._calls, self._branch
        self.seed, self.step, self._advanced, self._calls = int(seed), 0, True, {}
        self._branch = f"{self._branch}/{name}"
        try:
            yield
        finally:
            self.seed, self.step, self._advanced, self._calls, self._branch = before

    @contextmanager
    def on(self, device: str) -> Iterator[None]:
        """Inside the block draw on another device: the same words there, and numbers equal to rounding."""
        before, self.device = self.device, device
        try:
            yield
        finally:
            self.device = before

    def normal(self, shape: Sequence[int], *, stream: str) -> Tensor:
        """Independent standard normal numbers."""
        return self._fill("normal", shape, stream)

    def uniform(self, shape: Sequence[int], *, stream: str) -> Tensor:
        """Independent uniform numbers in [0, 1)."""
        return self._fill("uniform", shape, stream)

    def mask(self, shape: Sequence[int], *, keep: float, stream: str, dtype: Any = None) -> Tensor:
        """1/keep with probability keep, else 0: the multiplier of inverted dropout. `keep` is rounded to 16 bits, near 0 and 1
        to 32, and what is multiplied by is one over the rounded number: the mean is 1.

        Raises:
            ValueError: a probability outside (0, 1], or too near to 0 or 1 for 32 bits.
        """
        keep_level(keep)
        return self._fill("mask", shape, stream, keep, dtype=dtype)

    def gumbel(self, shape: Any, *, stream: str, dtype: Any = None) -> Tensor:
        """Independent standard Gumbel numbers: distribution function exp(-e^-x), mean 0.5772..., variance pi^2 / 6."""
        return self._fill("gumbel", shape, stream, dtype=dtype)

    def bernoulli(self, shape: Any, *, p: Any, stream: str) -> Tensor:
        """Independent ones, with probability p, and zeros. `p` in [0, 1], to 53 bits: a number, or an array or tensor that
        broadcasts to `shape` (a tensor is read when the draw is made, also by a replay, and not checked).

        Raises:
            ValueError: p outside [0, 1].
        """
        if isinstance(p, Tensor):
            return self._fill("bernoulli", shape, stream, arrays=(p,))
        if isinstance(p, np.ndarray) and p.ndim:
            if not bool(((p >= 0) & (p <= 1)).all()):
                raise ValueError("bernoulli: got p outside [0, 1] or NaN, expected probabilities")
            place = backend.to_device(p, self.device)
            return self._fill("bernoulli", shape, stream, arrays=(Tensor(place),))
        return self._fill("bernoulli", shape, stream, float(number("bernoulli", "p", p, low=0, high=1)))

    def integers(self, shape: Any, *, high: int, low: int = 0, stream: str) -> Tensor:
        """Independent integers, each of low, ..., high - 1 equally likely (to 2^-64), as int64.

        Raises:
            TypeError: limits that are no integers.
            ValueError: low >= high, or more than 2^32 of them.
        """
        low, high = whole("integers", "low", low), whole("integers", "high", high)
        if not 0 < high - low <= 2**32:
            raise ValueError(f"integers: got low {low} and high {high}, expected low < high <= low + 2^32")
        return self._fill("integers", shape, stream, low, high, dtype=np.dtype(np.int64))

    def categorical(self, logits: Any, *, stream: str) -> Tensor:
        """Independent draws from the tables softmax(logits): (..., K) to integers (...) in [0, K), by Gumbel's argmax. A tensor
        is read when the draw is made, also by a replay. The probability of outcome 0 of (log 2, 0) is 2/3.

        Raises:
            ValueError: logits without a last axis, or without outcomes.
        """
        logits = as_tensor(logits)
        if not logits.ndim or not logits.shape[-1]:
            raise ValueError(f"categorical: got logits {logits.shape}, expected (..., K) with K >= 1")
        return self._fill("categorical", logits.shape[:-1], stream, dtype=np.dtype(np.int64), arrays=(logits,))

    def _fill(
        self, law: str, shape: Any, stream: str, *extra: float, dtype: Any = None, arrays: tuple[Tensor, ...] = ()
    ) -> Tensor:
        out = Tensor(backend.module_for(self.device).empty(shape, dtype or self.dtype))
        stream += self._branch
        if self._calls is _unnamed and state.clock is None:
            stream += "/outside of steps"
        if out.size:
            work = partial(_LAWS[law], key_of(self.seed, stream, law), extra)
            fill(Staged(partial(self._next_counter, stream), work), out, *arrays)
        return out if state.spread is None else state.spread.drawn(out)

    def _next_counter(self, stream: str) -> Counter3:
        """Of the next draw of the present step, whichever that is when this is called."""
        clock = state.clock
        if clock is None or self._advanced:
            call = self._calls.get(stream, -1) + 1
        else:
            if self._clock is not clock:
                self.step, self._clock = clock.step, clock
                if self._calls is not _unnamed:
                    self._calls.clear()
            call = clock.calls.get((self.seed, stream), -1) + 1
            clock.calls[self.seed, stream] = call
        self._calls[stream] = call
        return _counter(self.step, call)
