"""A kernel, stated once: its reference function is the specification, and its signature the law.

    @kernel
    def interpolate(x, scale, out): ...                   in `reference.py`: what is computed, in plain array code

    @reference.interpolate.on("cpu")
    def interpolate(x, scale, out): ...                   in a file of `cpu/` or `gpu/`: the same numbers, faster

A kernel is called by its name in `reference.py` and works where its arrays live. What implements it there is refused when it is
imported unless it takes the same parameters; where nothing does, the reference itself runs, on the arrays of that device.

Some implementations are **planned**: they return a job, which does it for arrays that stay where they are, as often as it is
called, or None where they gain nothing by it. A replay keeps the job; an eager call makes one and runs it once. So what a replay
plans is what runs eagerly.

One switch is for all: `fast` (the default), or `reference`, which runs the plain code on every device. Set
MINIGAN_KERNELS=reference, or use the context manager :func:`using`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, ParamSpec, TypeVar

from minigan.backend import DEVICES, Array, device_of

P = ParamSpec("P")
R = TypeVar("R")
Job = Callable[[], None]
J = TypeVar("J", bound=Job | None)
CHOICES = ("fast", "reference")
KERNELS: dict[str, Kernel[..., Any]] = {}  # every kernel by its name
_choice = os.environ.get("MINIGAN_KERNELS", "fast")
_loaded: set[str] = set()  # devices whose implementations have been imported


class Kernel(Generic[P, R]):
    """A reference function, and what computes the same on each device.

    Attributes:
        reference: the specification itself, whatever the switch says.
    """

    def __init__(self, reference: Callable[P, R]) -> None:
        self.reference, self.name = reference, reference.__name__
        self.signature = inspect.signature(reference)
        self._place, self._grouped = _deciding(self.name, self.signature)
        self._plans: dict[str, Callable[P, Job | None]] = {}
        self._eager: dict[str, Callable[P, R]] = {}
        self._of_type: dict[type, Callable[P, R]] = {}
        functools.update_wrapper(self, reference)

    def __repr__(self) -> str:
        return f"Kernel({self.name}{self.signature})"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        # Tens of calls a step of microseconds each: what runs for a type of array is looked up once.
        function = self._of_type.get(type(args[self._place])) if _choice == "fast" else None
        return (function or self._found(args))(*args, **kwargs)

    def plan(self, *args: P.args, **kwargs: P.kwargs) -> Job | None:
        """A function that does it for these arrays, each time it is called, as long as they stay where they are; None where the
        device has nothing that gains by it. Whoever keeps the function keeps the arrays."""
        plan = self._plans.get(self._device(args))
        return plan(*args, **kwargs) if plan is not None else None

    def _found(self, args: tuple[Any, ...]) -> Callable[P, R]:
        """What runs for these arguments."""
        device = self._device(args)
        function = self._eager.get(device, self.reference)
        if device and not self._grouped:
            self._of_type[type(args[self._place])] = function
        return function

    def _device(self, args: tuple[Any, ...]) -> str:
        """Where the arrays live, its implementations loaded; "" where the reference is to run."""
        if _choice != "fast":
            return _checked(_choice)
        array = args[self._place]
        if self._grouped:
            if not array:
                return ""  # no arrays live nowhere
            array = array[0]
        device = device_of(array)
        if device not in _loaded:
            load(device)
        return device

    def on(self, device: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Register the decorated function as what runs on `device`.

        Raises:
            TypeError: its parameters' names, kinds, defaults or order are not the reference's, or there is one already.
        """

        def register(function: Callable[P, R]) -> Callable[P, R]:
            self._admit(device, function)
            self._eager[device] = function
            return function

        return register

    def planned_on(self, device: str) -> Callable[[Callable[P, J]], Callable[P, J]]:
        """Register the decorated function as what plans the kernel on `device`: it returns a job, or None for the reference.

        Raises:
            TypeError: as :meth:`on`; also for a kernel that returns something, which a job cannot.
        """

        def register(function: Callable[P, J]) -> Callable[P, J]:
            self._admit(device, function)
            if self.signature.return_annotation != "None":
                raise TypeError(
                    f"kernel {self.name}: returns {self.signature.return_annotation}, expected None: a job fills arrays"
                )
            self._plans[device], self._eager[device] = function, self._once(function)
            return function

        return register

    def _once(self, plan: Callable[P, Job | None]) -> Callable[P, R]:
        """The plan run once."""
        reference = self.reference

        def run(*args: P.args, **kwargs: P.kwargs) -> Any:
            job = plan(*args, **kwargs)
            return reference(*args, **kwargs) if job is None else job()

        return run

    def implemented(self, device: str) -> bool:
        """Whether something other than the reference runs on a device."""
        load(device)
        return device in self._eager

    def planned(self, device: str) -> bool:
        """Whether that is planned."""
        return self.implemented(device) and device in self._plans

    def of(self, device: str) -> Callable[P, R]:
        """What runs on a device, whatever arrays it gets."""
        return self._eager[device] if self.implemented(device) else self.reference

    def _admit(self, device: str, function: Callable[..., Any]) -> None:
        where = f"{function.__module__}.{function.__qualname__}"
        if device not in DEVICES:
            raise TypeError(f"kernel {self.name}: got device {device!r} from {where}, expected one of {DEVICES}")
        if device in self._eager:
            raise TypeError(
                f"kernel {self.name}: got {where} for a device that has one, expected one for each: {device!r}"
            )
        self._of_type.clear()
        theirs, ours = inspect.signature(function), self.signature
        if _law(theirs) != _law(ours):
            raise TypeError(
                f"kernel {self.name}: got {where}{theirs}, expected the parameters of its reference, {ours}"
            )


def _law(signature: inspect.Signature) -> list[tuple[Any, ...]]:
    return [(p.name, p.kind, p.default) for p in signature.parameters.values()]


def _deciding(name: str, signature: inspect.Signature) -> tuple[int, bool]:
    """Which parameter says where a kernel runs: the first array, or sequence of arrays (True)."""
    for i, parameter in enumerate(signature.parameters.values()):
        if parameter.annotation in ("Array", "Sequence[Array]"):
            return i, parameter.annotation != "Array"
    raise TypeError(f"kernel {name}: got {signature}, expected a parameter annotated Array or Sequence[Array]")


def kernel(reference: Callable[P, R]) -> Kernel[P, R]:
    """State a kernel by its reference function.

    Raises:
        TypeError: there is one of this name, or it takes no array.
    """
    if reference.__name__ in KERNELS:
        raise TypeError(f"kernel {reference.__name__}: got a second reference of this name, expected one")
    made = Kernel(reference)
    KERNELS[made.name] = made
    return made


def load(device: str) -> None:
    """Import every file that implements kernels on a device, once. This imports Numba or CuPy."""
    if device in _loaded:
        return
    folder = importlib.import_module(f"minigan.kernels.{device}")
    for found in pkgutil.iter_modules(folder.__path__):
        importlib.import_module(f"{folder.__name__}.{found.name}")
    _loaded.add(device)


def _checked(choice: str) -> str:
    if choice not in CHOICES:
        raise ValueError(f"MINIGAN_KERNELS: got {choice!r}, expected one of {CHOICES}")
    return ""


@contextmanager
def using(choice: str) -> Iterator[None]:
    """Run the block with `"fast"` or `"reference"` kernels."""
    global _choice
    if choice not in CHOICES:
        raise ValueError(f"kernels: got {choice!r}, expected one of {CHOICES}")
    before, _choice = _choice, choice
    try:
        yield
    finally:
        _choice = before


def settings() -> tuple[str, int]:
    """What decides which code runs: the present one of `CHOICES`, and how many threads."""
    from minigan.kernels.cpu import threads  # reads the environment, which may be wrong, so not before it is needed

    return _choice, threads.THREADS


__all__ = ["CHOICES", "KERNELS", "Array", "Job", "Kernel", "kernel", "load", "settings", "using"]
