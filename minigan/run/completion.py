"""What a shell needs to complete command lines: a script by shtab, from the parsers of all commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from minigan import data, gans
from minigan.run.errors import UsageError


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script that completes commands, options, names of models and data sets, folders and files.

    Raises:
        UsageError: shtab is not installed.
    """
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise UsageError(
            'completion: needs shtab, which is not installed: pip install "minigan[completion]"'
        ) from error
    known = {"MODEL": tuple(gans.MODELS), "NAME": tuple(entry.name for entry in data.catalogue())}
    for action in _actions(parser):
        words = str(action.metavar).replace(".py[:Class]", "").replace(".png", "").split("|")
        names = [name for word in words for name in known.get(word, ())]
        if names and action.dest in ("model", "data") and "--model" not in action.option_strings:
            action.choices = names
        elif {"DIR", "FOLDER"} & {*words}:
            vars(action)["complete"] = shtab.DIRECTORY
        elif {"FILE", "PATH"} & {*words}:
            vars(action)["complete"] = shtab.FILE
    text: str = shtab.complete(parser, shell)
    return text


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _actions(each)
        else:
            yield action
