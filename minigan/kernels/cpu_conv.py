"""Convolution on the CPU (for now the reference)."""

from minigan.kernels.reference import (
    conv,
    conv_transpose,
    conv_weight,
    plan_conv,
    plan_conv_transpose,
    plan_conv_weight,
)

__all__ = ["conv", "conv_transpose", "conv_weight", "plan_conv", "plan_conv_transpose", "plan_conv_weight"]
