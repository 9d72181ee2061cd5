"""See a graph: as indented text for a terminal, or as a Graphviz drawing."""

from __future__ import annotations

from minigan.autodiff import GraphError, Node, Tensor


def _label(node: Node) -> str:
    shape = "x".join(map(str, node.shape)) or "scalar"
    return f"{node.op.name if node.op else 'leaf'} {shape} {node.dtype}"


def _root(output: Tensor) -> Node:
    if output.node is None:
        raise GraphError(
            "the tensor is outside every graph, so there is nothing to draw; make a leaf with requires_grad=True"
        )
    return output.node


def graph_to_text(output: Tensor) -> str:
    """The graph that made `output`, a line an operation, inputs indented below what they feed.

    A node met again is shown as `^k`, the number of the line that shows it in full; constants are left out.
    """
    lines: list[str] = []
    seen: dict[int, int] = {}
    stack = [(_root(output), 0)]
    while stack:
        node, depth = stack.pop()
        if id(node) in seen:
            lines.append(f"{'  ' * depth}^{seen[id(node)]} {_label(node)}")
            continue
        seen[id(node)] = len(lines) + 1
        lines.append(f"{'  ' * depth}{_label(node)}")
        stack += [(parent, depth + 1) for parent in reversed(node.parents) if parent is not None]
    width = len(str(len(lines)))
    return "\n".join(f"{i:>{width}}  {line}" for i, line in enumerate(lines, 1))


def graph_to_dot(output: Tensor) -> str:
    """The graph that made `output` in Graphviz's DOT language: operations as boxes, leaves as ellipses, arrows in the
    direction of the computation. Draw it with `dot -Tsvg`."""
    numbers: dict[int, int] = {}
    lines = ["digraph minigan {", "  rankdir=BT;", '  node [fontname="Helvetica"];']
    stack = [_root(output)]
    while stack:
        node = stack.pop()
        if id(node) in numbers:
            continue
        numbers[id(node)] = len(numbers)
        shape = "box" if node.op else "ellipse"
        lines.append(f'  n{numbers[id(node)]} [shape={shape}, label="{_label(node)}", tooltip="{node.origin}"];')
        stack += [parent for parent in node.parents if parent is not None]
    stack, done = [_root(output)], set()
    while stack:
        node = stack.pop()
        if id(node) in done:
            continue
        done.add(id(node))
        for parent in node.parents:
            if parent is not None:
                lines.append(f"  n{numbers[id(parent)]} -> n{numbers[id(node)]};")
                stack.append(parent)
    return "\n".join([*lines, "}"])
