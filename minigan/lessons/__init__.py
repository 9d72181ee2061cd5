"""What the lessons are written with: `check` beside every formula, `grade` for exercises, `figure` and `show` for pictures.

A lesson is a Python file with Markdown cells (`lessons/NN_name.py`). It runs as a script, opens in a notebook, and is run by
the tests; `minigan lessons` lists, runs and publishes them.
"""

from minigan.lessons.checks import Check, CheckError, check, sized
from minigan.lessons.figures import COLOURS, figure, show
from minigan.lessons.grading import grade

__all__ = ["COLOURS", "Check", "CheckError", "check", "figure", "grade", "show", "sized"]
