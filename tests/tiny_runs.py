"""Runs of the command line that take next to no time."""

TINY = ["--batch-size", "16", "--set", "width=8"]  # options of `minigan train toy`
