"""The rules of games: in which order players look and move. A rule takes players and the batches of a step; it returns losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigan.autodiff import Tensor
from minigan.optim import Snapshot
from minigan.player import Player

Rule = Callable[[Sequence[Player], Sequence[Any]], dict[str, Tensor]]


def _others(players: Sequence[Player], player: Player) -> list[Player]:
    own = {id(t) for t in player.parameters}
    return [p for p in players if p is not player and not own & {id(t) for t in p.parameters}]


def alternating(players: Sequence[Player], batches: Sequence[Any]) -> dict[str, Tensor]:
    """One player after the other, each against the others' newest parameters; `updates` moves each."""
    losses = {}
    for player in players:
        for k in range(player.updates):
            loss, grads = player.gradients(batches[k % len(batches)], _others(players, player))
            player.move(grads)
        losses[player.name] = loss
    return losses


def simultaneous(players: Sequence[Player], batches: Sequence[Any]) -> dict[str, Tensor]:
    """All gradients at the same point, then all moves: the vector field of the game, one step along it."""
    _check_single_updates("simultaneous", players)
    results = [player.gradients(batches[0], _others(players, player)) for player in players]
    for player, (_, grads) in zip(players, results, strict=True):
        player.move(grads)
    return {player.name: loss for player, (loss, _) in zip(players, results, strict=True)}


def extragradient(players: Sequence[Player], batches: Sequence[Any]) -> dict[str, Tensor]:
    """All players look ahead by one simultaneous step, take their gradients there, go back, and step by those (Korpelevich
    1976; Gidel et al. 2018, arXiv 1802.10551, algorithm 2).

    Going back restores the optimizers' state too: the look-ahead is the step that the optimizer would take, and leaves no other
    trace (running statistics of batch norm see both passes). It reads the first batch, the step itself the second one where
    there is one. `Player.after` follows the step, not the look-ahead. Returns the losses of where one stood.
    """
    _check_single_updates("extragradient", players)
    standing = [Snapshot(player.optimizer) for player in players]
    results = [player.gradients(batches[0], _others(players, player)) for player in players]
    reported = [player.reported for player in players]
    for player, (_, grads) in zip(players, results, strict=True):
        player.optimizer.step(grads)
    batch = batches[1 % len(batches)]
    ahead = [player.gradients(batch, _others(players, player))[1] for player in players]
    for player, place, grads, values in zip(players, standing, ahead, reported, strict=True):
        place.restore()
        player.move(grads)
        player.reported = values
    return {player.name: loss for player, (loss, _) in zip(players, results, strict=True)}


def _check_single_updates(rule: str, players: Sequence[Player]) -> None:
    if any(player.updates != 1 for player in players):
        raise ValueError(f"{rule}: got a player with several updates a step; use the alternating rule")


extragradient.batches = 2  # type: ignore[attr-defined]  # it can read a second one

RULES: dict[str, Rule] = {"alternating": alternating, "simultaneous": simultaneous, "extragradient": extragradient}


def rule_of(rule: str | Rule) -> Rule:
    """A rule by its name, or as it is. Raises ValueError, TypeError for anything else."""
    if isinstance(rule, str):
        if rule not in RULES:
            raise ValueError(f"game: got rule {rule!r}, expected one of {tuple(RULES)}")
        return RULES[rule]
    if not callable(rule):
        raise TypeError(
            f"game: got rule {rule!r}, expected one of {tuple(RULES)}, or a function of players and batches"
        )
    return rule
