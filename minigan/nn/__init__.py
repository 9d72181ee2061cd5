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
from minigan.nn.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from minigan.nn.resample import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool, PixelShuffle, Upsample

__all__ = [
    "Activation",
    "AvgPool",
    "BatchNorm",
    "Conv",
    "ConvTranspose",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool",
    "Module",
    "PixelShuffle",
    "ReLU",
    "Reshape",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "Upsample",
    "init",
]
