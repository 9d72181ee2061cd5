"""See a graph: as indented text for a terminal, as a Graphviz drawing, or as a picture in a notebook."""

from __future__ import annotations

from html import escape

from minigan.autodiff import GraphError, Node, Tensor

LARGEST = 60  # operations that a notebook draws by itself


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


# -- pictures --------------------------------------------------------------------------------------------------------
class Svg(str):
    """A picture as text, which a notebook shows."""

    def _repr_svg_(self) -> str:
        return str(self)


_WIDTH, _HEIGHT, _ACROSS, _DOWN = 170, 24, 186, 52


def _nodes(root: Node) -> list[Node]:
    """All nodes that `root` depends on, older before younger, and so parents before children."""
    found, stack = {id(root): root}, [root]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and id(parent) not in found:
                found[id(parent)] = parent
                stack.append(parent)
    return sorted(found.values(), key=lambda node: node.order)


def graph_to_svg(output: Tensor) -> Svg:
    """The graph that made `output` as an SVG picture: operations as boxes, leaves rounded, each below all that it reads; the
    line that called an operation is its tooltip. A notebook shows it; elsewhere write it to a file."""
    nodes = _nodes(_root(output))
    rows: list[list[Node]] = []
    level: dict[int, int] = {}
    place: dict[int, tuple[int, int]] = {}
    for node in nodes:
        level[id(node)] = depth = 1 + max((level[id(p)] for p in node.parents if p is not None), default=-1)
        if depth == len(rows):
            rows.append([])
        rows[depth].append(node)
    widest = max(map(len, rows))
    for depth, row in enumerate(rows):
        for i, node in enumerate(row):
            place[id(node)] = (8 + i * _ACROSS + (widest - len(row)) * _ACROSS // 2, 8 + depth * _DOWN)
    lines = []
    for node in nodes:
        x, y = place[id(node)]
        for parent in node.parents:
            if parent is not None:
                px, py = place[id(parent)]
                ends = f'x1="{px + _WIDTH // 2}" y1="{py + _HEIGHT}" x2="{x + _WIDTH // 2}" y2="{y}"'
                lines.append(f'<line {ends} stroke="#888" marker-end="url(#arrow)"/>')
    for node in nodes:
        x, y = place[id(node)]
        look = 'rx="3" fill="#eef3fa"' if node.op else 'rx="12" fill="#eef7ee"'
        middle = f'x="{x + _WIDTH // 2}" y="{y + 16}" text-anchor="middle"'
        lines.append(
            f"<g><title>{escape(str(node.origin))}</title>"
            f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" stroke="#567" {look}/>'
            f"<text {middle}>{escape(_label(node))}</text></g>"
        )
    size = f'width="{16 + widest * _ACROSS}" height="{8 + len(rows) * _DOWN}"'
    arrow = '<marker id="arrow" markerWidth="6" markerHeight="6" refX="5" refY="3" orient="auto">'
    arrow += '<path d="M0 0L6 3L0 6z"/></marker>'
    style = 'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11"'
    return Svg(f"<svg {style} {size}><defs>{arrow}</defs>{''.join(lines)}</svg>")


def tensor_to_html(t: Tensor) -> str:
    """What a notebook shows of a tensor: its text, and below it the graph that made it, where that is not too large."""
    text = f"<pre>{escape(repr(t))}</pre>"
    if t.node is None or t.node.op is None:
        return text
    nodes = _nodes(t.node)
    if len(nodes) > LARGEST:
        return f"{text}<p>made by {len(nodes):,} operations and leaves: print(mg.graph_to_text(t)) lists them</p>"
    return f"{text}<details><summary>graph</summary>{graph_to_svg(t)}</details>"


Tensor._repr_html_ = tensor_to_html  # type: ignore[attr-defined]  # for notebooks
