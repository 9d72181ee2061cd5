"""Nothing that Python reads in a recorded step is frozen in silence: it is followed, or recording it raises.

Each case is a loss that reads a number in one way, and a change of that number after some replayed steps. The losses must be
those of an eager game, to the bit.
"""

import argparse
import collections
import contextlib
import copy
import ctypes
import dataclasses
import functools
import gc
import io
import multiprocessing
import operator
import os
import pathlib
import queue
import random as python_random
import sqlite3
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import numpy as np
import pytest
import sample_settings

import minigan as mg
from minigan import gans, nn, optim, reach
from minigan.random import Source

STEPS, CHANGE = 7, 3


def batch(k):
    return np.random.default_rng(k).standard_normal((6, 3)).astype(np.float32)


def play(build, change, replay):
    """The losses of some steps; `build(net, holder)` gives the loss and the holder of the number, which `change` changes."""
    made = nn.Dense(3, 2).initialize(Source(0), "net")
    loss, holder = build(made)
    game = mg.Game([mg.Player("p", loss, optim.SGD(made, lr=0.05))], replay=replay, random=Source(1))
    found = []
    for k in range(STEPS):
        found.append(game.step(batch(k))["p"].item())
        if k == CHANGE and change is not None:
            change(holder)
    return found


def followed(make, read, change):
    """Both games have the same losses, and the change shows in them."""

    def build(made):
        holder = make()
        return lambda x: (made(x) ** 2).mean() * read(holder), holder

    eager, unchanged = play(build, change, False), play(build, None, False)
    assert play(build, change, True) == eager and eager[: CHANGE + 1] == unchanged[: CHANGE + 1]
    assert eager[CHANGE + 1] != unchanged[CHANGE + 1]


ALIASES = {"table": dict[str, int], "function": Callable[..., int]}


@pytest.mark.parametrize("name", ALIASES)
def test_an_alias_of_a_type_is_no_object_with_attributes_of_its_own(name):
    """`Loss = Callable[..., Tensor]` in a model's file: its `__dict__` is that of the class, which is no dict."""
    holder = types.SimpleNamespace(alias=ALIASES[name], beta=1.0)
    followed(lambda: setattr(holder, "beta", 1.0) or holder, lambda h: h.beta if h.alias else 0.0, change_beta)


def change_beta(holder):
    holder.beta = 3.0


class Slots:
    __slots__ = ("beta",)

    def __init__(self):
        self.beta = 1.0


@dataclasses.dataclass(slots=True)
class Data:
    beta: float = 1.0


class Descriptor:
    def __get__(self, owner, kind):
        return owner.hidden


class Number:
    """Read through special methods only."""

    described = Descriptor()

    def __init__(self):
        self.hidden = 1.0

    __float__ = lambda self: self.hidden  # noqa: E731
    __len__ = lambda self: int(self.hidden)  # noqa: E731
    __getitem__ = lambda self, i: self.hidden  # noqa: E731
    __bool__ = lambda self: self.hidden < 2  # noqa: E731
    __rmul__ = lambda self, other: other * self.hidden  # noqa: E731
    __contains__ = lambda self, other: self.hidden < 2  # noqa: E731
    __lt__ = lambda self, other: self.hidden < other  # noqa: E731
    __enter__ = lambda self: self.hidden  # noqa: E731
    __exit__ = lambda self, *_: None  # noqa: E731

    def __iter__(self):
        yield self.hidden

    def __getattr__(self, name):
        return self.__dict__["hidden"]


def entered(holder):
    with holder as value:
        return value


NUMBERS = {
    "float": float,
    "len": len,
    "an index": lambda h: h[0],
    "bool": lambda h: 1.0 if h else 2.0,
    "a product": lambda h: 2.0 * h,
    "in": lambda h: 1.0 if 3 in h else 2.0,
    "<": lambda h: 1.0 if h < 2 else 2.0,
    "with": entered,
    "iteration": sum,
    "getattr": lambda h: getattr(h, "hid" + "den"),
    "__getattr__": lambda h: h.anything,
    "vars": lambda h: vars(h)["hidden"],
    "a descriptor": lambda h: h.described,
}
HOLDERS = {
    "slots": Slots,
    "a data class with slots": Data,
    "SimpleNamespace": lambda: types.SimpleNamespace(beta=1.0),
    "argparse": lambda: argparse.Namespace(beta=1.0),
    "thread-local": lambda: local(),
    "an attribute of a function": lambda: function(),
    "an attribute of a list": lambda: attribute(type("Numbers", (list,), {})()),
}


def attribute(holder):
    holder.beta = 1.0
    return holder


def local():
    return attribute(threading.local())


def function():
    return attribute(lambda: None)


CONTAINERS = {
    "defaultdict": lambda: collections.defaultdict(float, a=1.0),
    "OrderedDict": lambda: collections.OrderedDict(a=1.0),
    "UserDict": lambda: collections.UserDict(a=1.0),
    "ChainMap": lambda: collections.ChainMap({"a": 1.0}),
    "a long dict": lambda: dict.fromkeys(["a", *range(1000)], 1.0),
}
SEQUENCES = {
    "a long list": lambda: [1.0] * 1000,
    "deque": lambda: collections.deque([1.0]),
    "bytearray": lambda: bytearray([1]),
    "an array of NumPy's": lambda: np.ones(3),
    "a matrix in Fortran's order": lambda: np.asfortranarray(np.ones((2, 2)))[:, 0],
    "memoryview": lambda: memoryview(bytearray([1])),
    "ctypes": lambda: (ctypes.c_double * 2)(1.0),
}


@pytest.mark.parametrize("how", NUMBERS)
def test_attributes_that_only_special_methods_read(how):
    followed(Number, NUMBERS[how], lambda h: setattr(h, "hidden", 3.0))


@pytest.mark.parametrize("kind", HOLDERS)
def test_objects_of_all_kinds(kind):
    followed(HOLDERS[kind], lambda h: h.beta, lambda h: setattr(h, "beta", 3.0))


@pytest.mark.parametrize("kind", CONTAINERS)
def test_mappings_of_all_kinds(kind):
    followed(CONTAINERS[kind], lambda h: h["a"], lambda h: h.update(a=3.0))


@pytest.mark.parametrize("kind", SEQUENCES)
def test_sequences_of_all_kinds(kind):
    followed(SEQUENCES[kind], lambda h: float(h[0]), lambda h: h.__setitem__(0, 3))


def test_sets_and_the_order_of_dicts():
    followed(lambda: {1}, lambda h: 1.0 if 1 in h else 2.0, lambda h: [h.remove(1), h.add(2)])
    followed(lambda: {"a": 1.0, "b": 2.0}, lambda h: next(iter(h.values())), lambda h: h.__setitem__("a", h.pop("a")))
    followed(lambda: [0.0], lambda h: 1.0 if np.copysign(1.0, h[0]) > 0 else 2.0, lambda h: h.__setitem__(0, -0.0))


@pytest.mark.parametrize(
    "read",
    [
        lambda h: h.mean(),
        lambda h: h[[0]],
        lambda h: mg.tensor(h[:1]),
        lambda h: np.eye(6, dtype=np.float32)[h.astype(int)][0, 1],
    ],
    ids=["a mean", "a copy", "a tensor", "one hot"],
)
def test_numpy_that_works_on_arrays_from_outside(read):
    followed(lambda: np.ones(3, np.float32), read, lambda h: h.fill(3))


def matched(holder):
    match holder:
        case Data(beta=value):
            return value


def matched_by_place(holder):
    match holder:
        case Data(value):
            return value


BY_TEXTS = {
    "a class pattern": matched,
    "a class pattern, by place": matched_by_place,
    "a format": lambda h: float("{0.beta:.3f}".format(h)),  # noqa: UP030, UP032
}


GETTER = operator.attrgetter("beta")


class Got:
    through = property(operator.attrgetter("beta"))

    def __init__(self):
        self.beta = 1.0


BY_TEXTS |= {
    "a getter": GETTER,
    "a getter for each": lambda h: next(iter(list(map(GETTER, [h])))),
    "the getter of a property": lambda h: Got.through.fget(h),
}


@pytest.mark.parametrize("how", BY_TEXTS)
def test_attributes_that_code_mentions_as_texts(how):
    followed(Data, BY_TEXTS[how], change_beta)


BEHIND = {
    "a read-only mapping": (lambda d: types.MappingProxyType(d), lambda shown: shown["a"]),
    "the values of a dict": (lambda d: d.values(), lambda shown: next(iter(shown))),
    "the items of a dict": (lambda d: d.items(), lambda shown: dict(shown)["a"]),
}


@pytest.mark.parametrize("kind", BEHIND)
def test_what_is_shown_of_a_dict(kind):
    view, read = BEHIND[kind]

    def build(made):
        held = {"a": 1.0}
        shown = view(held)
        return lambda x: (made(x) ** 2).mean() * read(shown), held

    eager = play(build, lambda h: h.update(a=3.0), False)
    assert play(build, lambda h: h.update(a=3.0), True) == eager != play(build, None, False)


def test_what_was_made_to_be_called_later():
    def build(made):
        holder = Got()
        read = functools.partial(getattr, holder, "beta")
        return lambda x: (made(x) ** 2).mean() * read(), holder

    eager = play(build, change_beta, False)
    assert play(build, change_beta, True) == eager != play(build, None, False)
    followed(Got, lambda h: h.through, change_beta)
    held = [1.0]
    followed(
        lambda: [held.__setitem__(0, 1.0), collections.defaultdict(lambda: held[0])][1],
        lambda h: h.default_factory(),
        lambda h: held.__setitem__(0, 3.0),
    )


def test_objects_in_arrays_and_files_in_memory():
    def build(made):
        holder = types.SimpleNamespace(beta=1.0)
        objects = np.array([holder, None], dtype=object)
        return lambda x: (made(x) ** 2).mean() * objects[0].beta, holder

    eager = play(build, change_beta, False)
    assert play(build, change_beta, True) == eager != play(build, None, False)
    followed(lambda: io.StringIO("1.0"), lambda h: float(h.getvalue()), lambda h: [h.seek(0), h.write("3.0")])
    followed(lambda: io.BytesIO(b"1.0"), lambda h: float(h.getvalue()), lambda h: [h.seek(0), h.write(b"3.0")])


@pytest.mark.parametrize("change", ["what a hook reads", "a hook in another's place"])
def test_hooks_of_a_gradient_are_followed(change):
    def build(made):
        holder = types.SimpleNamespace(beta=1.0, weight=made.weight)
        holder.remove = made.weight.register_hook(lambda g: g * holder.beta)
        return lambda x: (made(x) ** 2).mean(), holder

    def swapped(holder):
        holder.remove()
        holder.weight.register_hook(lambda g: g * 3.0)

    how = change_beta if change == "what a hook reads" else swapped
    eager = play(build, how, False)
    assert play(build, how, True) == eager != play(build, None, False)


@pytest.mark.parametrize("read", [np.mean, lambda w: w[0], lambda w: float(w[1:].sum())], ids=["mean", "[0]", "a view"])
def test_an_array_that_operations_and_python_read_is_no_longer_replayed_when_it_changes(read):
    """The operation reads it anew at each replay; what Python makes of it would stay as it was."""

    def build(made, read=read):
        weights = np.ones(2, np.float32)
        return lambda x: ((made(x) * weights) ** 2).mean() * read(weights), weights

    refill = lambda weights: weights.fill(3)  # noqa: E731
    play(build, None, True)
    with pytest.raises(mg.RecordingError, match=r"'weights' was changed in place.*minigan\.ops"):
        play(build, refill, True)
    only_read_by_operations = lambda made: build(made, lambda w: 1.0)  # noqa: E731
    assert play(only_read_by_operations, refill, True) == play(only_read_by_operations, refill, False)


def test_masks_from_outside_that_change_in_place():
    def build(made):
        mask = np.array([True, True, False, False, False, False])
        return lambda x: made(x)[mask].mean(), mask

    for change in (lambda mask: np.copyto(mask, mask[::-1].copy()), lambda mask: mask.fill(True)):
        assert play(build, change, True) == play(build, change, False)


class Base:
    beta = 1.0


class Settings(Base):
    weights = [1.0]  # noqa: RUF012


CLASSES = {
    "an attribute of a base class": (lambda h: Settings.beta, lambda h: setattr(Base, "beta", 3.0)),
    "a list in a class": (lambda h: Settings.weights[0], lambda h: Settings.weights.__setitem__(0, 3.0)),
    "a dict in a module": (lambda h: sample_settings.cfg["a"], lambda h: sample_settings.cfg.update(a=3.0)),
    "an object in a module": (lambda h: sample_settings.ns.beta, lambda h: setattr(sample_settings.ns, "beta", 3.0)),
    "a variable behind a function": (
        lambda h: sample_settings.f(1.0), lambda h: setattr(sample_settings, "hidden", 3.0)
    ),
    "a variable behind a static method": (
        lambda h: sample_settings.K.f(1.0), lambda h: setattr(sample_settings, "hidden", 3.0)
    ),
    "an attribute behind a method": (
        lambda h: sample_settings.k.g(1.0), lambda h: setattr(sample_settings.k, "v", 3.0)
    ),
    "a function put in another's place": (
        lambda h: sample_settings.f(1.0), lambda h: setattr(sample_settings, "f", lambda v: v * 7.0)
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_and_modules(kind, monkeypatch):
    for holder, name in (
        (Base, "beta"),
        (Settings, "weights"),
        *((sample_settings, n) for n in ("cfg", "hidden", "f")),
    ):
        value = getattr(holder, name)
        monkeypatch.setattr(holder, name, value)

    def fresh():
        Base.beta, Settings.weights[0], sample_settings.hidden, sample_settings.k.v = 1.0, 1.0, 1.0, 1.0
        sample_settings.cfg["a"], sample_settings.ns.beta, sample_settings.f = 1.0, 1.0, original

    original = sample_settings.f
    followed(fresh, *CLASSES[kind])
    fresh()


def test_defaults_code_and_wrapped_functions():
    def make():
        def f(w=[1.0]):  # noqa: B006
            return w[0]

        return f

    followed(make, lambda f: f(), lambda f: f.__defaults__[0].__setitem__(0, 3.0))
    followed(make, lambda f: f(), lambda f: setattr(f, "__defaults__", ([3.0],)))
    followed(make, lambda f: f(), lambda f: setattr(f, "__code__", (lambda w: 9.0).__code__))
    followed(lambda: wrapped([1.0]), lambda f: f(), lambda f: f.held.__setitem__(0, 3.0))


def wrapped(holder):
    @functools.wraps(wrapped)
    def inner():
        return holder[0]

    inner.held = holder
    return inner


def test_variables_of_contexts_threads_and_processes(monkeypatch):
    variable = ContextVar("variable", default=1.0)
    followed(lambda: variable.set(1.0), lambda h: variable.get(), lambda h: variable.set(3.0))
    followed(threading.Event, lambda h: 2.0 if h.is_set() else 1.0, threading.Event.set)
    followed(lambda: multiprocessing.Value("d", 1.0), lambda h: h.value, lambda h: setattr(h, "value", 3.0))
    held = [Settings()]
    followed(
        lambda: [setattr(held[0], "beta", 1.0), weakref.ref(held[0])][1],
        lambda h: h().beta, lambda h: setattr(held[0], "beta", 3.0),
    )  # fmt: skip
    followed(
        lambda: monkeypatch.setenv("BETA", "1"),
        lambda h: float(os.environ["BETA"]),
        lambda h: monkeypatch.setenv("BETA", "3"),
    )


# -- what cannot be followed -----------------------------------------------------------------------------------------
class Stock:
    """Python with a state of its own."""

    def __init__(self, folder):
        self.rng, self.twister, self.python = (
            np.random.default_rng(0),
            np.random.RandomState(0),
            python_random.Random(0),
        )
        self.list, self.queue, self.calls = [1.0] * 99, queue.Queue(), 0
        self.iterator, self.file = iter([1.0] * 99), folder / "number"
        self.log, self.pool = io.StringIO(), ThreadPoolExecutor(1)
        self.generator = (1.0 for _ in range(99))
        self.file.write_text("1.0")
        np.save(folder / "number.npy", np.ones(()))
        for number in self.list:
            self.queue.put(number)

    def count(self):
        self.calls += 1
        return 1.0


REFUSED = {
    "NumPy's generator, seldom": lambda s: 2.0 if s.rng.random() < 0.01 else 1.0,
    "NumPy's old generator, seldom": lambda s: 2.0 if s.twister.rand() < 0.001 else 1.0,
    "NumPy's global generator, seldom": lambda s: 2.0 if np.random.rand() < 0.0 else 1.0,
    "Python's generator, seldom": lambda s: 2.0 if s.python.random() < 0.01 else 1.0,
    "Python's global generator, seldom": lambda s: 2.0 if python_random.random() < 0.0 else 1.0,
    "a list that is used up": lambda s: s.list.pop(),
    "a queue": lambda s: s.queue.get(),
    "an iterator": lambda s: next(s.iterator),
    "a generator": lambda s: next(s.generator),
    "a counter": lambda s: s.count(),
    "the time, seldom": lambda s: 2.0 if time.time() < 0 else 1.0,
    "a file": lambda s: float(open(s.file).read()),  # noqa: SIM115
    "a file, through a library": lambda s: float(pathlib.Path(s.file).read_text()),
    "a file of NumPy's": lambda s: float(np.load(f"{s.file}.npy")),
    "a file of numbers": lambda s: 1.0 + 0 * len(np.fromfile(f"{s.file}.npy", np.uint8)),
    "whether there is a file": lambda s: 2.0 if (s.file / "stop").exists() else 1.0,
    "how long a file is": lambda s: 2.0 if os.path.getsize(s.file) > 99 else 1.0,
    "what is in a folder": lambda s: 1.0 + 0 * len(os.listdir(s.file.parent)),
    "the date": lambda s: 2.0 if time.strftime("%Y") < "2000" else 1.0,
    "a file in memory that is written": lambda s: 1.0 + 0 * s.log.write("a step"),
    "another thread": lambda s: s.pool.submit(lambda: 1.0).result(),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("how", REFUSED)
def test_python_with_a_state_of_its_own_is_refused(how, tmp_path):
    build = lambda made: (lambda x: (made(x) ** 2).mean() * REFUSED[how](stock), stock)  # noqa: E731
    stock = Stock(tmp_path)
    play(build, None, False)
    with pytest.raises(mg.RecordingError, match=r"next run of the step|is changed by Python") as caught:
        play(build, None, True)
    assert "mg.effect" in str(caught.value) and "replay=False" in str(caught.value)


@pytest.mark.parametrize("where", ["<stdin>", "<string>", "<ipython-input-1>"])
def test_code_typed_at_a_prompt_is_the_users(where):
    typed: dict[str, object] = {"time": time}
    exec(compile("def late(stock): return 2.0 if time.time() < 0 else 1.0", where, "exec"), typed)
    build = lambda made: (lambda x: (made(x) ** 2).mean() * typed["late"](None), None)  # noqa: E731
    with pytest.raises(mg.RecordingError, match=rf"{where}:1: Python asks for time"):
        play(build, None, True)


def counters(read):
    """A loss that reads a number which goes on with the step."""

    def build(replay):
        made, source = nn.Dense(3, 1).initialize(Source(0), "net"), Source(3)
        optimizer, box = optim.SGD(made, lr=optim.linear(0.1, steps=6)), []
        ema = optim.EMA(made)
        loss = lambda x: (made(x) ** 2).mean() * (1.0 if read(box[0], optimizer, source, ema) < 3 else 2.0)  # noqa: E731
        box.append(mg.Game([mg.Player("p", loss, optimizer)], replay=replay, random=source, after=[ema.update]))
        return box[0]

    return build


@pytest.mark.parametrize(
    "read",
    {
        "a game's steps": lambda game, optimizer, source, ema: game.steps,
        "an optimizer's updates": lambda game, optimizer, source, ema: optimizer.steps,
        "a source's step": lambda game, optimizer, source, ema: source.step,
        "an average's updates": lambda game, optimizer, source, ema: ema.steps,
        "lr": lambda game, optimizer, source, ema: optimizer.lr * 30,
        "advance": lambda game, optimizer, source, ema: source.advance() or 0,
    }.items(),
    ids=lambda item: item[0],
)
def test_counters_of_the_engine_are_not_read_in_a_recorded_step(read):
    build = counters(read[1])
    for k in range(5):
        build(False).step(batch(k))
    game = build(True)
    with pytest.raises(mg.RecordingError, match=rf"{__file__}:\d+: Python (reads|calls).*mg\.scheduled"):
        game.step(batch(0))


def test_the_phase_may_be_asked_for():
    build = counters(lambda game, *_: len(game.phase.name))
    games = [build(False), build(True)]
    for k in range(4):
        a, b = (game.step(batch(k))["p"].item() for game in games)
        assert a == b


def test_drawing_apart_and_another_games_steps_are_refused():
    source, made, other = Source(0), nn.Dense(3, 1), nn.Dense(3, 1)
    inner = mg.Game([mg.Player("q", lambda: (other.weight**2).sum(), optim.SGD(other.weight, lr=0.1))])

    def apart(x):
        with source.apart(1, "a"):
            return (made(x) + source.normal((6, 1), stream="z")).mean()

    for loss, words in (
        (apart, "apart"),
        (lambda x: inner.step() and made(x).mean(), "inside a recorded step of another"),
    ):
        game = mg.Game([mg.Player("p", loss, optim.SGD(made, lr=0.1))])
        game.step(batch(0))
        game.replay = True
        with pytest.raises(mg.RecordingError, match=words):
            game.step(batch(0))


# -- effects and hooks -----------------------------------------------------------------------------------------------
class Pool:
    """An image pool with a length, a counter, and random numbers of its own."""

    def __init__(self):
        self.images, self.count, self.full, self.rng = [], 0, False, np.random.default_rng(0)

    def __len__(self):
        return len(self.images)

    def exchange(self, out, fakes):
        self.count += 1
        self.images.append(fakes.copy())
        self.full = len(self) > 3
        out[...] = self.images[int(self.rng.integers(len(self.images)))]

    def of(self, fake, call):
        out = mg.tensor(np.zeros(fake.shape, np.float32))
        mg.effect(call(self), out, fake.detach())
        return out


CALLS = {
    "a method": lambda pool: pool.exchange,
    "a function": lambda pool: lambda out, fakes: pool.exchange(out, fakes),
    "a partial": lambda pool: functools.partial(Pool.exchange, pool),
}


@pytest.mark.parametrize("how", CALLS)
def test_what_an_effect_changes_is_its_own_business(how):
    def build(made):
        pool = Pool()
        return lambda x: ((made(x) - pool.of(made(x), CALLS[how])) ** 2).mean(), pool

    assert play(build, None, True) == play(build, None, False)


@pytest.mark.parametrize(
    "read",
    [lambda pool: pool.full, lambda pool: len(pool) > 3, lambda pool: pool.count > 4],
    ids=["an attribute", "a length", "a counter"],
)
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_what_an_effect_changes_and_the_step_reads_is_refused(read, first):
    def build(made):
        pool = Pool()

        def loss(x):
            full = first and read(pool)
            old = pool.of(made(x), CALLS["a method"])
            return ((made(x) - old) ** 2).mean() * (2.0 if full or (not first and read(pool)) else 1.0)

        return loss, pool

    play(build, None, False)
    with pytest.raises(mg.RecordingError, match="an effect, or a hook, changes"):
        play(build, None, True)


@pytest.mark.parametrize("place", ["before", "after", "last player", "first player"])
def test_hooks_that_change_what_a_loss_reads(place):
    """Between steps that is followed; between two players of a step it is refused once it happens."""

    def build(replay):
        nets, holder, calls = [nn.Dense(3, 1).initialize(Source(k), "net") for k in range(2)], Slots(), []

        def hook():
            calls.append(1)
            if len(calls) % 3 == 0:
                holder.beta *= 0.5

        players = [
            mg.Player(
                f"{k} player",
                lambda x, net=net: (net(x) ** 2).mean() * holder.beta,
                optim.SGD(net, lr=0.05),
                after=[hook] if place == f"{'first' if k == 0 else 'last'} player" else [],
            )
            for k, net in enumerate(nets)
        ]
        hooks = {place: [hook]} if place in ("before", "after") else {}
        return mg.Game(players, replay=replay, **hooks)

    sides = [build(False), build(True)]
    refused = pytest.raises(mg.RecordingError, match="an effect, or a hook, changes 'beta'")
    with refused if place == "first player" else contextlib.nullcontext():
        for k in range(STEPS):
            a, b = ({n: t.item() for n, t in game.step(batch(k)).items()} for game in sides)
            assert a == b


# -- classes derived from the engine's -------------------------------------------------------------------------------
class Scaled(optim.SGD):
    factor = 1.0

    def step(self, grads):
        super().step([g * self.factor for g in grads])


class Slower(optim.SGD):
    count = 0

    def update(self, params, grads, slots, lr, option):
        self.count += 1
        super().update(params, grads, slots, lr if self.count < 3 else lr / 2, option)


class Weighted(mg.Player):
    weight = 1.0

    def gradients(self, given, others):
        loss, grads = super().gradients(given, others)
        return loss, [g * self.weight for g in grads]


@pytest.mark.parametrize("kind", [Scaled, Slower])
@pytest.mark.parametrize("player", [mg.Player, Weighted])
def test_settings_of_derived_classes(kind, player):
    found = []
    for replay in (False, True):
        made = nn.Dense(3, 1).initialize(Source(0), "net")
        game = mg.Game([player("p", lambda x: (made(x) ** 2).mean(), kind(made, lr=0.05))], replay=replay)  # noqa: B023
        values = []
        for k in range(STEPS):
            values.append(game.step(batch(k))["p"].item())
            if k == CHANGE:
                game.players[0].optimizer.factor = 3.0
            if k == CHANGE + 1:
                game.players[0].weight = 5.0
        found.append(values)
    assert found[0] == found[1]


def test_a_source_whose_seed_changes_and_a_game_that_gets_another():
    def build(made):
        source = Source(3)
        return lambda x: ((made(x) - source.normal((6, 2), stream="z")) ** 2).mean(), source

    change = lambda source: setattr(source, "seed", 9)  # noqa: E731
    assert play(build, change, True) == play(build, change, False)
    found = []
    for replay in (False, True):
        made = nn.Dense(3, 2).initialize(Source(0), "net")
        box = []
        loss = lambda x: ((made(x) - box[0].random.normal((6, 2), stream="z")) ** 2).mean()  # noqa: B023, E731
        box.append(mg.Game([mg.Player("p", loss, optim.SGD(made, lr=0.05))], replay=replay, random=Source(1)))
        values = []
        for k in range(STEPS):
            values.append(box[0].step(batch(k))["p"].item())
            if k == CHANGE:
                box[0].random = Source(11)
        found.append(values)
    assert found[0] == found[1]


def test_check_can_be_turned_on_later_and_runs_operations_of_ones_own():
    from minigan.autodiff import REGISTRY, primitive

    @primitive([lambda g, y, _x: g * 2.0], name="doubled in a test", samples=None)
    def double(x):
        return 2.0 * x

    try:
        made = nn.Dense(3, 1).initialize(Source(0), "net")
        game = mg.Game(
            [mg.Player("p", lambda x: (double(made(x)) ** 2).mean(), optim.SGD(made, lr=0.05))], replay="check"
        )
        values = [game.step(batch(k))["p"].item() for k in range(5)]
        assert len(set(values)) == 5
    finally:
        del REGISTRY["doubled in a test"]
    base = sqlite3.connect(":memory:")  # keeps its number where Python cannot look
    base.execute("create table held as select 1.0 as beta")
    loss = lambda x: (made(x) ** 2).mean() * base.execute("select beta from held").fetchone()[0]  # noqa: E731
    game = mg.Game([mg.Player("p", loss, optim.SGD(made, lr=0.05))], replay=True)
    for k in range(4):
        game.step(batch(k))
    base.execute("update held set beta = 2.0")
    game.step(batch(0))
    game.replay = "check"
    with pytest.raises(mg.RecordingError, match="check: a replay is not what the step does"):
        game.step(batch(0))
    with pytest.raises(ValueError, match="got replay 'often'"):
        game.replay = "often"


def test_a_game_cannot_be_copied():
    game = mg.Game([mg.Player("p", lambda: None, optim.SGD(mg.tensor(np.ones(2), requires_grad=True), lr=0.1))])
    for make in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"cannot be copied.*load_state"):
            make(game)


def test_only_code_that_ran_counts_and_profilers_go_on():
    """A counter that only an unused method reads is no reason to record anew; under a profiler it is."""
    holder = Pool()
    holder.unused = lambda: holder.count

    def build(made):
        return lambda x: (made(x) ** 2).mean() * (holder.unused() if x.ndim > 5 else 1.0), holder

    game_values = play(build, lambda h: setattr(h, "count", 5), True)
    assert game_values == play(build, None, False)
    calls = []
    sys.setprofile(lambda *event: calls.append(event[1]))
    try:
        assert play(build, lambda h: setattr(h, "count", 7), True) == game_values
        assert sys.getprofile() is not None
    finally:
        sys.setprofile(None)
    assert len(calls) > 100


def test_the_package_is_no_library_wherever_it_lies(monkeypatch):
    """Among installed packages its own threads and files were taken for those of the script that called it."""
    monkeypatch.setattr(reach, "_INSTALLED", (*reach._INSTALLED, str(pathlib.Path(mg.__file__).parents[1]) + os.sep))
    for module in (mg, sys.modules[gans.get("toy").__module__]):
        assert not reach.is_library(module.__file__)
    assert reach.is_library(np.__file__) and reach.is_engine(mg.__file__)


def test_a_pool_that_is_collected_during_a_step_asks_for_nothing():
    pool = ThreadPoolExecutor(1)
    pool.submit(int).result()
    pool.itself = pool  # so that only the collector ends it
    del pool
    net = nn.Dense(2, 1).initialize(Source(0))

    def loss(x):
        gc.collect()
        return net(x).mean()

    game = mg.Game([mg.Player("p", loss, optim.SGD(net, lr=0.1))])
    for _ in range(3):
        game.step(np.ones((4, 2), np.float32))
