"""A network with other tensors in its parameters' places, for a while: what an unrolled player and the game's field need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from minigan.autodiff import Tensor
from minigan.nn.module import Module


def leaves(network: Module) -> dict[str, Tensor]:
    """New tensors with the parameters' numbers (the same memory) that take gradients, by the parameters' paths.

    They serve where the parameters themselves are frozen, in another player's update.
    """
    made = {}
    for name, t in network.parameters().items():
        made[name] = leaf = t.detach()
        leaf.requires_grad = True
    return made


@contextmanager
def substituted(network: Module, values: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block the network computes with `values` instead of its parameters of these paths.

    The values may be in a graph: what the network computes is then a function of what they were computed from. A parameter
    that is reachable in several ways is replaced in all of them.

    Raises:
        ValueError: a path that is no parameter's, a shape that is not the parameter's, or a parameter in a list or dict, which
            cannot be replaced.
    """
    if not values:
        yield
        return
    own = network.parameters()
    for name, value in values.items():
        if name not in own or value.shape != own[name].shape:
            wanted = own[name].shape if name in own else f"one of {list(own)[:6]}"
            raise ValueError(f"substituted: got {name!r} {value.shape}, expected {wanted}")
    new = {id(own[name]): value for name, value in values.items()}
    places = [
        (module, attribute, part)
        for _, module in network.modules()
        for attribute, part in vars(module).items()
        if isinstance(part, Tensor) and id(part) in new
    ]
    if lost := new.keys() - {id(part) for _, _, part in places}:
        names = [name for name in values if id(own[name]) in lost]
        raise ValueError(f"substituted: {names[0]!r} is held in a list or dict; make it an attribute of its own")
    try:
        for module, attribute, part in places:
            vars(module)[attribute] = new[id(part)]
        yield
    finally:
        for module, attribute, part in places:
            vars(module)[attribute] = part
