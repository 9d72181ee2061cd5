"""Memory for time: a part of a graph that is not kept, but computed again on the way back.

A walk back needs what was computed on the way forward. `checkpoint(function, inputs)` keeps the inputs alone, and runs the
function again when its derivative is asked for: one more run for the memory of all that lies inside (Griewank, Walther 2000,
"Algorithm 799: revolve", with one level; Chen, Xu, Zhang, Guestrin 2016, arXiv 1604.06174, section 4). A recorded step
records both runs.

The second run must compute what the first did. So the function may write to no tensor, and draws no random numbers; and
whatever takes gradients in it is an input or a named parameter, for from elsewhere its gradient would be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from minigan.autodiff import Tensor, apply, cotangents, run
from minigan.backend import Array
from minigan.ops.packing import cut, end_to_end
from minigan.primitive import Primitive
from minigan.staged import Staged
from minigan.switches import Event, graph, hook, no_grad, state


def checkpoint(
    function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], parameters: Iterable[Tensor] = ()
) -> list[Tensor]:
    """function(*inputs), with nothing kept but the inputs; derivatives of every order, each by another run of the function.

    Args:
        function: of tensors, to a list of tensors of one float dtype. It draws no random numbers and writes to no tensor.
        inputs: its arguments; integers and booleans are constants.
        parameters: the leaves that it uses beside them.

    Raises:
        TypeError: the function uses a tensor that takes gradients and is none of these, or has effects.
    """
    inputs, learned = list(inputs), [t for t in parameters if t.node is not None]
    known = {id(t.node) for t in (*inputs, *learned) if t.node is not None}

    def look(event: Event) -> None:
        if event.kind == "effect":
            function = getattr(event.op, "func", event.op)  # without what a partial fills in
            if "fresh" not in event.params or isinstance(
                function, Staged
            ):  # what has numbers of its own changes with each run
                raise TypeError(
                    f"checkpoint: the function does {getattr(function, '__qualname__', function)}, which its second run "
                    "would do again; draw random numbers before, and give them as inputs"
                )
        if event.kind == "apply" and any(t.node is not None and id(t.node) not in known for t in event.inputs):
            raise TypeError(
                f"checkpoint: {event.op.name} in the function reads a tensor that takes gradients and is neither an input "
                "nor a parameter, so its gradient would be lost; give it as one (of a nn.Module all parameters are known)"
            )

    with no_grad(), hook(look):
        made = list(function(*inputs))
        packed = end_to_end(*made)
    shapes = [t.shape for t in made]
    if state.enabled and known:
        # The function of the node takes the parameters too, since a node's parents are its inputs.
        packed = apply(_AGAIN, (packed, *inputs, *learned), {"function": function, "inputs": len(inputs)})
    return cut(packed, *shapes)


def _cotangents(
    needs: Any, g: Tensor, _y: Any, _packed: Any, *given: Tensor, function: Callable[..., Any], inputs: int
) -> Any:
    create_graph = state.enabled
    with graph(True):
        inner = [run("identity", t) if t.node is not None else t for t in given[:inputs]]
        y = end_to_end(*function(*inner))
    wanted = [t for t, need in zip([*inner, *given[inputs:]], needs[1:], strict=True) if need]
    # The walk ends at the inputs: what they were made of, perhaps by the same parameters, is left to the walk that called this.
    ends = [t.node for t in inner if t.node is not None]
    before = [node.parents for node in ends]
    for node in ends:
        node.parents = (None,)
    try:
        found = iter(cotangents([y], wanted, g, create_graph=create_graph))
    finally:
        for node, parents in zip(ends, before, strict=True):
            node.parents = parents
    return (None, *(next(found) if need else None for need in needs[1:]))


def _forward(packed: Array, *_given: Array, function: Any, inputs: int) -> Array:
    return packed


_AGAIN = Primitive(_forward, _cotangents, name="checkpoint", samples=None, kinds="b", view=True)
