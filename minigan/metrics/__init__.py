"""How good samples are, as numbers. A metric is one file: a function, whose docstring has formula, source and bias, and its
registration (see `minigan.metrics.registry`). All files of this folder are imported with it, so a new one needs no other line."""

import importlib
import pkgutil

from minigan.metrics.comparison import Comparison, Side
from minigan.metrics.registry import METRICS, Metric, MissingError, register

__all__ = ["METRICS", "Comparison", "Metric", "MissingError", "Side", "register"]

for _found in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_found.name}")
