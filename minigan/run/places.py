"""Where a run finds its data again: the path it was trained on, or the same way from the run's folder to the file.

A folder with data and runs in it can so be moved, or copied to another machine, as a whole. Whether what is found is the same
data, its checksum tells.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigan import data
from minigan.gans.needs import Needs, names_of_sets
from minigan.run.progress import note


def files_of(text: str, needs: Needs) -> dict[str, Path]:
    """The files among the data sets that the option `data` names."""
    bases = {name: data.split(value)[0] for name, value in names_of_sets(text, needs).items()}
    return {name: Path(base) for name, base in bases.items() if os.path.isabs(base)}


def near(folder: Path, files: Mapping[str, Path]) -> dict[str, str]:
    """The way to each file from a run's folder, where there is one (not from one drive of Windows to another)."""
    found = {}
    for name, file in files.items():
        try:
            found[name] = Path(os.path.relpath(file, folder.resolve())).as_posix()
        except ValueError:
            continue
    return found


def found_again(folder: Path, config: Any, needs: Needs, ways: Mapping[str, str]) -> Any:
    """The configuration with the data's files where they are now, with a note for each that has moved with the run.

    ways: what :func:`near` gave. A file that is nowhere keeps its name, for the message of whoever reads it.
    """
    names = names_of_sets(config.data, needs)
    for name, file in files_of(config.data, needs).items():
        here = Path(os.path.normpath(folder.resolve() / ways.get(name, "")))
        if name in ways and not file.exists() and here.exists():
            note(f"note: {file} is not there; {here} lies where it lay, seen from the run, and is read instead")
            names[name] = data.joined(str(here), data.split(names[name])[1])
    text = ",".join(f"{name}={value}" for name, value in names.items()) if len(names) > 1 else "".join(names.values())
    return replace(config, data=text) if names else config
