"""Layers and networks."""

from minigan.nn import init
from minigan.nn.conditional import AdaIN, ConditionalBatchNorm, instance_standardize, modulate
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
from minigan.nn.parts import Embedding, Lambda, Noise, Residual
from minigan.nn.resample import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool, PixelShuffle, Upsample
from minigan.nn.reweight import Change, equalized, reweight, spectral, weight_norm

__all__ = [
    "Activation",
    "AdaIN",
    "AvgPool",
    "BatchNorm",
    "Change",
    "ConditionalBatchNorm",
    "Conv",
    "ConvTranspose",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupNorm",
    "InstanceNorm",
    "Lambda",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool",
    "Module",
    "Noise",
    "PixelShuffle",
    "ReLU",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "Upsample",
    "equalized",
    "init",
    "instance_standardize",
    "modulate",
    "reweight",
    "spectral",
    "weight_norm",
]
