"""Training on several processes, which compute what one would: N ranks with B/N rows each equal one rank with B rows.

**Every tensor is one value on which all ranks agree; where its numbers lie is bookkeeping.** A batch of B rows is dealt to W
shards, and each rank keeps the rows of its own. To Python such a tensor is what it is on one rank: `x.shape` is (B, ...),
`len(x)` is B, `x.mean()` is the mean of all B rows. A model, a loss, a penalty and a layer know nothing of ranks. What an array
can be:

    plain      a NumPy or CuPy array: the same numbers on every rank (parameters, optimizers' state, running statistics)
    Rows       a part of the places along one axis: examples, activations, cotangents of these
    Partial    one array of the full shape for each shard, whose sum is meant: a mean, a weight's gradient

A rule for each operation (`rules.py`) says what the shards do, and what their results are parts of. Elementwise operations,
convolutions and products with weights keep rows; sums over rows and weight gradients make `Partial`; what is linear leaves it
`Partial`; and whoever needs its value adds it up (`World.wholes`). An operation without a rule, or given what its rule does not
cover, reads its inputs whole on every rank: it costs a transfer, which `World.gathered` names, and it is never another number.

So the derivatives need no thought. The backward walk is a program of the same operations, run under the same rules; no
communication is ever differentiated, since it changes no value. Batch norm is its composite (mean, variance, quotient), whose
mean is a sum over all B rows, so its derivative of every order is that of one rank; likewise for minibatch statistics,
relativistic means and gradient penalties. The gradients of a player, its loss and what it reports are `Partial` until the end
of its backward walk, and go through one reduction in one flat array.

Random numbers are a function of (seed, stream, step, row): a draw of B rows is made whole by each rank, which keeps its own.

Two ways to add up, `reduce`:

    "fast"      W = N shards, and what the MPI library does. Equal to one rank to rounding.
    "ordered"   W shards for any number N <= W of ranks (`shards`, 8 by default); the W parts are brought together and added in
                the order of rows. The same operations on the same numbers for every N, one included: equal to the bit.

Only a step of a game is dealt out (`minigan.game.Game.ranks`). Between steps every array is plain, so that samples, metrics and
checkpoints are those of one rank, and a run goes on with any other N.
"""

from minigan.ranks.communicators import Alone, Communicator
from minigan.ranks.layout import Partial, Rows, Spread
from minigan.ranks.world import World

__all__ = ["Alone", "Communicator", "Partial", "Rows", "Spread", "World"]
