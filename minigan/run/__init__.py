"""Runs: training, resuming, sampling and what the command line lists. Import the file you need; this one stays empty so that
`minigan --help` is quick."""
