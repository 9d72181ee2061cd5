"""The text and DOT views of a graph."""

import numpy as np
import pytest

import minigan as mg
from minigan import ops


def make():
    x = mg.tensor(np.ones((2, 3)), requires_grad=True)
    h = ops.tanh(x)
    return (h * h).sum()


def test_text_shows_each_operation_once_and_refers_back():
    lines = mg.graph_to_text(make()).splitlines()
    assert [line.split()[1] for line in lines] == ["reshape", "sum", "multiply", "activation", "leaf", "^4"]
    assert lines[4].strip().endswith("leaf 2x3 float64") and "scalar" in lines[0]


def test_dot_has_a_node_an_operation_and_an_arrow_an_input():
    text = mg.graph_to_dot(make())
    assert text.startswith("digraph") and text.count("[shape=") == 5 and text.count("->") == 5
    assert text.count("ellipse") == 1 and "test_draw.py" in text


def test_a_constant_has_no_graph():
    for view in (mg.graph_to_text, mg.graph_to_dot):
        with pytest.raises(mg.GraphError, match="outside every graph"):
            view(mg.tensor(1.0))
