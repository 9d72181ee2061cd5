"""Layers and networks."""

from minigan.nn import init
from minigan.nn.conv import Conv, ConvTranspose
from minigan.nn.layers import (
    Activation,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    Tanh,
)
from minigan.nn.module import Module
from minigan.nn.norm import BatchNorm, LayerNorm

__all__ = [
    "Activation",
    "BatchNorm",
    "Conv",
    "ConvTranspose",
    "Dense",
    "Dropout",
    "Flatten",
    "LayerNorm",
    "LeakyReLU",
    "Module",
    "ReLU",
    "Reshape",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "init",
]
