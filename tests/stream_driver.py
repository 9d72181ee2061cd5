"""Runs commands in children of a process that has imported minigan, with streams as they are asked for: see test_streams.py.

    python stream_driver.py '[["models", [">full"]], ...]'      prints [[exit code, what was said on a stderr that works], ...]

A child ends as a program does, with all that Python does at its end. "! COMMAND" is one of the shell's.
"""

import json
import os
import sys
import tempfile

from minigan import cli
from minigan.run import comparing, trainer  # noqa: F401 - what commands import, once


def gone():
    """A pipe whose reader has ended."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def stream(number):
    """As Python makes it where the descriptor is open."""
    return open(2, "w", buffering=1) if number else open(1, "w")


OPEN = {"full": lambda: os.open("/dev/full", os.O_WRONLY), "gone": gone}


def redirect(how, said):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(said, 2)
    for word in how:
        number, kind = (2, word[2:]) if word.startswith("2>") else (1, word[1:])
        if kind == "closed":
            os.close(number)
        else:
            os.dup2(OPEN[kind](), number)


results = []
for command, how in json.loads(sys.argv[1]):
    if command.startswith("!"):
        results.append([os.waitstatus_to_exitcode(os.system(command[1:])), ""])
        continue
    with tempfile.TemporaryFile() as file:
        child = os.fork()
        if not child:
            redirect(how, file.fileno())
            sys.stdout, sys.stderr = (None if f"{n}>closed" in how else stream(n) for n in ("", "2"))
            sys.argv = ["minigan", *command.split()]
            cli.program()
        _, status = os.waitpid(child, 0)
        file.seek(0)
        results.append([os.waitstatus_to_exitcode(status), file.read().decode()])
print(json.dumps(results))
