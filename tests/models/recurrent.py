"""A GAN of sequences: an LSTM (Hochreiter, Schmidhuber 1997) writes 40 numbers, another reads them."""

from dataclasses import dataclass

import numpy as np

from minigan import Player, losses, nn, ops, optim, tensor
from minigan.gans import Config, Model, option


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(Config):
    data: str = option("waves.npy", "sequences as points (N, length)")
    units: int = option(6, "cells", low=1)


class Cell(nn.Module):
    def __init__(self, inputs, units):
        self.units, self.gates = units, nn.Dense(inputs + units, 4 * units)

    def forward(self, x, h, c):
        i, f, o, new = ops.split(self.gates(ops.concatenate([x, h], axis=1)), 4, axis=1)
        c = ops.sigmoid(f + 1.0) * c + ops.sigmoid(i) * ops.tanh(new)
        return ops.sigmoid(o) * ops.tanh(c), c

    def start(self, n):
        return tensor(np.zeros((n, self.units), np.float32)), tensor(np.zeros((n, self.units), np.float32))


class Writer(nn.Module):
    def __init__(self, units):
        self.cell, self.out = Cell(2, units), nn.Dense(units, 1)

    def forward(self, z):
        h, c = self.cell.start(len(z))
        made = []
        for t in range(z.shape[1]):
            h, c = self.cell(z[:, t], h, c)
            made.append(self.out(h))
        return ops.concatenate(made, axis=1)


class Reader(nn.Module):
    def __init__(self, units):
        self.cell, self.out = Cell(1, units), nn.Dense(units, 1)

    def forward(self, x):
        h, c = self.cell.start(len(x))
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t : t + 1], h, c)
        return self.out(h)


class Recurrent(Model):
    Config = RecurrentConfig
    needs = "points"

    def networks(self):
        return {"G": Writer(self.config.units), "D": Reader(self.config.units)}

    def players(self):
        return [Player("D", self.d_loss, optim.Adam(self.D)), Player("G", self.g_loss, optim.Adam(self.G))]

    def generate(self, n):
        return self.G(self.random.normal((n, *self.shape, 2), stream="z"))

    def d_loss(self, x):
        return losses.non_saturating.discriminator(self.D(x), self.D(self.generate(len(x))))

    def g_loss(self, x):
        return losses.non_saturating.generator(self.D(self.generate(len(x))))
