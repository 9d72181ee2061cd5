"""`python -m minigan`."""

from minigan.cli import program

program()
