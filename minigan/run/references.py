"""Which model a command or a run means: a built-in one, a registered one, or a class in a file of one's own.

What is imported, and when: `minigan train FILE.py` imports that file, because the command says so. A run made from a file keeps
the file's path, its class and its SHA-256, and so does every checkpoint. `resume` and `sample` import the recorded file only
if its bytes still have that hash, and never one inside the run's own folder, which may come from somewhere else; in every other
case they import nothing and ask for the command that says which file it is to be: `--model FILE.py[:Class]`. A registered name
must have been registered by the program that runs. The bytes that are hashed are those that are executed.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import traceback
import types
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minigan import gans
from minigan.data.base import read_file
from minigan.finite import NotFiniteError
from minigan.gans.base import Model
from minigan.gans.protocol import ModelError, Unsuitable, check, lacking
from minigan.run.checkpoint import Checkpoint
from minigan.run.errors import AuthorError, CheckpointError, Diverged, UsageError, command, disk_is_full

PACKAGE = Path(gans.__file__).resolve().parent
_MACHINERY = ("<frozen ", str(importlib.__file__), str(PACKAGE.parent) + os.sep)  # where no author's code is


@dataclass(frozen=True)
class Reference:
    """A model and where it comes from.

    Attributes:
        name: as commands have it: toy, or path/to/model.py:Class.
        model: the class.
        file: where the class is written.
        sha256: of that file.
        module: "module:Class" for a registered model; empty for one in a file that was named.
    """

    name: str
    model: Any
    file: Path
    sha256: str
    module: str = ""

    @property
    def own(self) -> bool:
        """Whether it is one of minigan's own models."""
        return self.file.parent == PACKAGE

    @property
    def stem(self) -> str:
        """A word for file names."""
        return self.name if self.module else self.file.stem

    def recorded(self) -> dict[str, str]:
        """What a run keeps of it."""
        where = {"module": self.module} if self.module else {"file": str(self.file), "class": self.model.__name__}
        return {**where, "sha256": self.sha256}

    def blamed(self) -> AbstractContextManager[None]:
        """Around every call of the model's code: what goes wrong there is told as its author's error, with file and line.

        Minigan's own models have no other author: there errors pass, as does what no code is to blame for (memory, a full disk,
        a stop).
        """
        places = str(self.file.parent) + os.sep if self.module else str(self.file)
        return nullcontext() if self.own else blamed_on(places, self.name)


@contextmanager
def blamed_on(places: str, name: str) -> Iterator[None]:
    """Turn an error into the author's. places: where the names of the author's files begin."""
    try:
        yield
    except (UsageError, Diverged, NotFiniteError, Unsuitable, ModelError, MemoryError, AuthorError):
        raise
    except (Exception, SystemExit) as error:
        if disk_is_full(error):
            raise
        hint = _IMPORTS if isinstance(error, ModuleNotFoundError) else ""
        raise AuthorError(f"error in the code of the model {name}: {_told(error, places)}{hint}") from error


_IMPORTS = (
    "\nA model is one file: modules beside it are not searched. Install them, or let a program import them, call "
    "minigan.gans.register and then minigan.cli.main."
)


def _told(error: BaseException, places: str) -> str:
    """The last place in the author's files on the way to an error, the error, and the line."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and str(error.filename).startswith(places):
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}" + _line(error.text)
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename.startswith(places) and not f.filename.startswith(_MACHINERY)
    ]
    if not frames:
        return what
    return f"{frames[-1].filename}:{frames[-1].lineno}, in {frames[-1].name}: {what}" + _line(frames[-1].line)


def _line(text: str | None) -> str:
    return f"\n    {text.strip()}" if text else ""


# -- from a command --------------------------------------------------------------------------------------------------
def resolve(text: str) -> Reference:
    """The model that a command names: a name, or FILE.py[:Class].

    Raises:
        UsageError: an unknown name, no such file, or a file in which it is not clear which class is meant.
        ModelError: a class that lacks something.
        AuthorError: the file cannot be imported.
    """
    path, _, attribute = text.rpartition(":")
    if path.endswith(".py"):
        return _from_file(Path(path), attribute)
    if text.endswith(".py"):
        return _from_file(Path(text), "")
    return _by_name(text)


def _by_name(name: str) -> Reference:
    if name not in gans.MODELS:
        try:
            gans.get(name)
        except ValueError as error:
            raise UsageError(f"{error}; or a file: path/to/model.py[:Class]") from error
    own = gans.MODELS[name].startswith(f"{gans.__name__}.")
    with nullcontext() if own else blamed_on("", f"{name} ({gans.MODELS[name]})"):
        model = gans.get(name)
    file = Path(str(sys.modules[model.__module__].__file__)).resolve()
    return Reference(name, model, file, hashlib.sha256(file.read_bytes()).hexdigest(), gans.MODELS[name])


def _from_file(path: Path, attribute: str) -> Reference:
    return _executed(*_read(path), attribute, given=path)


def _read(path: Path) -> tuple[Path, bytes]:
    try:
        file = path.resolve()
        return file, read_file(file)
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(path)!r}: cannot be read as a model's file ({error})") from error


def _executed(file: Path, code: bytes, attribute: str, *, given: Path) -> Reference:
    """Import the bytes of a file as a module and choose the class."""
    sha256 = hashlib.sha256(code).hexdigest()
    module = types.ModuleType(f"minigan_model_{sha256[:16]}")
    with blamed_on(str(file), str(given)):
        _fill(module, file, code)
        model = _chosen(module, attribute, given)
    return Reference(f"{given}:{model.__name__}", model, file, sha256)


def _fill(module: types.ModuleType, file: Path, code: bytes) -> None:
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses and annotations look their module up
    exec(compile(code, str(file), "exec"), vars(module))


def import_file(path: str) -> Path:
    """Import a file of one's own that registers something, because a command names it; returns where it is.

    Raises:
        UsageError: there is no such file. AuthorError: what goes wrong in it.
    """
    file, code = _read(Path(path))
    with blamed_on(str(file), path):
        _fill(types.ModuleType(f"minigan_file_{hashlib.sha256(code).hexdigest()[:16]}"), file, code)
    return file


def _chosen(module: types.ModuleType, attribute: str, given: Path) -> Any:
    here = {name: c for name, c in vars(module).items() if isinstance(c, type) and c.__module__ == module.__name__}
    models = {name: c for name, c in here.items() if issubclass(c, Model) or not lacking(c)}
    if attribute:
        if not isinstance(found := getattr(module, attribute, None), type):
            raise UsageError(f"{given}: has no class {attribute!r}; its models are: {', '.join(models) or 'none'}")
        return _checked(found, given)
    whole = {name: c for name, c in models.items() if not lacking(c)}
    if len(whole) > 1:
        raise UsageError(f"{given}: has several models; say which: {' or '.join(f'{given}:{n}' for n in whole)}")
    if not models:
        raise UsageError(f"{given}: has no model: expected a class derived from minigan.gans.Model")
    return _checked(next(iter(whole.values() or models.values())), given)


def _checked(found: Any, given: Path) -> Any:
    try:
        check(found)
    except ModelError as error:
        raise ModelError(f"{given}: {error}") from error
    return found


# -- from a run ------------------------------------------------------------------------------------------------------
def of_run(folder: Path, saved: Checkpoint, chosen: str | None, word: str) -> Reference:
    """The model of a run: the one that the command names, or the recorded one, as the rule above allows.

    Args:
        folder: of the run.
        saved: a checkpoint of it.
        chosen: the value of --model, or None.
        word: the command's, to say how it would have to be.

    Raises:
        CheckpointError: the recorded model is not here, or must not be imported.
        UsageError, ModelError, AuthorError: see :func:`resolve`.
    """
    if chosen is not None:
        return resolve(chosen)
    if "file" not in saved.origin:
        return _registered(saved)
    file, attribute = Path(str(saved.origin["file"])), str(saved.origin.get("class"))
    again = f"to use that file, or another, say so: {command(word, folder, '--model', f'{file}:{attribute}')}"
    try:
        code = read_file(file)
        inside = file.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: its model {str(file)!r} cannot be read ({error}); {again}") from error
    if inside:
        raise CheckpointError(
            f"{folder}: its model {file} lies in the run's folder and is not imported unasked; {again}"
        )
    if hashlib.sha256(code).hexdigest() != saved.origin.get("sha256"):
        raise CheckpointError(f"{folder}: its model {file} has changed since; nothing was imported; {again}")
    return replace(_executed(file, code, attribute, given=file), name=saved.model)


def _registered(saved: Checkpoint) -> Reference:
    name, wanted = saved.model, saved.origin.get("module")
    if name not in gans.MODELS or gans.MODELS[name] != wanted:
        known = f"here that name is {gans.MODELS[name]}" if name in gans.MODELS else "which is not known here"
        raise CheckpointError(
            f"the model is {name!r} ({wanted}), {known}; a program that calls minigan.gans.register({name!r}, {wanted!r}) "
            "and then minigan.cli.main() can go on"
        )
    return _by_name(name)
