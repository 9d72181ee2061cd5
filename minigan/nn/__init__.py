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
from minigan.nn.minibatch import MinibatchDiscrimination, MinibatchStd
from minigan.nn.module import Module
from minigan.nn.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from minigan.nn.operator_norm import SpectralOperator, spectral_operator
from minigan.nn.parts import Embedding, Lambda, Noise, PhaseShuffle, Residual
from minigan.nn.recurrent import GRU, LSTM, GRUCell, LSTMCell, LSTMState
from minigan.nn.resample import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool, PixelShuffle, Upsample
from minigan.nn.reweight import Change, equalized, reweight, spectral, weight_norm
from minigan.nn.substitute import leaves, substituted

__all__ = [
    "GRU",
    "LSTM",
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
    "GRUCell",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupNorm",
    "InstanceNorm",
    "LSTMCell",
    "LSTMState",
    "Lambda",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool",
    "MinibatchDiscrimination",
    "MinibatchStd",
    "Module",
    "Noise",
    "PhaseShuffle",
    "PixelShuffle",
    "ReLU",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "SpectralOperator",
    "Tanh",
    "Upsample",
    "equalized",
    "init",
    "instance_standardize",
    "leaves",
    "modulate",
    "reweight",
    "spectral",
    "spectral_operator",
    "substituted",
    "weight_norm",
]
