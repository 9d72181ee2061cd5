"""The kernels of `reference.py` for the CPU, collected from the `cpu_*.py` files: what `dispatch` looks for here."""

from minigan.kernels.cpu_activation import (
    activation_backward,
    bce_with_logits,
    bias_activation,
    mean_softplus,
    mean_softplus_backward,
    plan_activation_backward,
)
from minigan.kernels.cpu_batch_norm import (
    batch_norm,
    batch_norm_backward,
    follow_statistics,
    plan_batch_norm,
    plan_batch_norm_backward,
)
from minigan.kernels.cpu_conv import (
    conv,
    conv_transpose,
    conv_weight,
    plan_conv,
    plan_conv_transpose,
    plan_conv_weight,
)
from minigan.kernels.cpu_normalize import layer_norm, layer_norm_backward
from minigan.kernels.cpu_optim import adam, ema, rmsprop, sgd
from minigan.kernels.cpu_product import (
    dense,
    goes_on,
    matmul,
    plan_add,
    plan_dense,
    plan_matmul,
    plan_matmul_add,
    plan_matmul_backward,
    plan_multiply,
)
from minigan.kernels.cpu_random import mask, normal, philox, shuffle
from minigan.kernels.cpu_recurrent import gru, gru_backward, lstm, lstm_backward
from minigan.kernels.cpu_resample import interpolate, interpolate_adjoint
from minigan.kernels.cpu_sum import column_sum, plan_column_sum, sum_over

__all__ = [
    "activation_backward",
    "adam",
    "batch_norm",
    "batch_norm_backward",
    "bce_with_logits",
    "bias_activation",
    "column_sum",
    "conv",
    "conv_transpose",
    "conv_weight",
    "dense",
    "ema",
    "follow_statistics",
    "goes_on",
    "gru",
    "gru_backward",
    "interpolate",
    "interpolate_adjoint",
    "layer_norm",
    "layer_norm_backward",
    "lstm",
    "lstm_backward",
    "mask",
    "matmul",
    "mean_softplus",
    "mean_softplus_backward",
    "normal",
    "philox",
    "plan_activation_backward",
    "plan_add",
    "plan_batch_norm",
    "plan_batch_norm_backward",
    "plan_column_sum",
    "plan_conv",
    "plan_conv_transpose",
    "plan_conv_weight",
    "plan_dense",
    "plan_matmul",
    "plan_matmul_add",
    "plan_matmul_backward",
    "plan_multiply",
    "rmsprop",
    "sgd",
    "shuffle",
    "sum_over",
]
