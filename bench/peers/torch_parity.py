"""PyTorch's half of `bench/parity.py`: the DCGAN trajectory in float64 from given weights, digits, noise and masks.

    python torch_parity.py GIVEN.npz TRAJECTORY.npz [--other-order]

Weights come in minigan's layouts: dense (in, out); convolutions (kh, kw, in, out); transposed ones as those they are the
adjoint of, (kh, kw, out, in). Both become PyTorch's by reversing the order of the last two axes and moving the kernel's to
the end. TensorFlow's "same" for kernel 5 and stride 2 on an even side pads 1 before and 2 after: by F.pad for a
convolution, by cropping the full result for a transposed one.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

LEAK, BATCH_NORM_EPS = 0.2, 1e-5
STRIDES = (1, 2, 2)
Params = list[Tensor]


def conv_same(x: Tensor, w: Tensor, bias: Tensor) -> Tensor:
    """Stride 2, "same", even side, kernel 5."""
    return F.conv2d(F.pad(x, (1, 2, 1, 2)), w.permute(3, 2, 0, 1), bias, stride=2)


def transpose_same(x: Tensor, w: Tensor, stride: int) -> Tensor:
    """The adjoint of a "same" convolution with kernel 5: the full result without what the padding would have produced."""
    full = F.conv_transpose2d(x, w.permute(3, 2, 0, 1), stride=stride)
    before = (5 - stride) // 2
    size = x.shape[-1] * stride
    return full[..., before : before + size, before : before + size]


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """By the batch's own statistics."""
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=BATCH_NORM_EPS)


def generate(g: Params, z: Tensor, form: torch.memory_format) -> Tensor:
    """G: (dense, gamma, beta), (transposed convolution, gamma, beta) twice, the last transposed convolution."""
    x = F.leaky_relu(batch_norm(z @ g[0], g[1], g[2]), LEAK)
    x = x.view(len(z), 7, 7, 256).permute(0, 3, 1, 2).contiguous(memory_format=form)
    for i, stride in enumerate(STRIDES[:-1]):
        w, gamma, beta = g[3 + 3 * i : 6 + 3 * i]
        x = F.leaky_relu(batch_norm(transpose_same(x, w, stride), gamma, beta), LEAK)
    return torch.tanh(transpose_same(x, g[-1], STRIDES[-1]))


def judge(d: Params, x: Tensor, masks: list[Tensor]) -> Tensor:
    """D: (weight, bias) of two convolutions and of the last layer, which reads its maps channels last."""
    for i, mask in enumerate(masks):
        x = F.leaky_relu(conv_same(x, d[2 * i], d[2 * i + 1]), LEAK) * mask
    return x.permute(0, 2, 3, 1).flatten(1) @ d[-2] + d[-1]


def bce(logits: Tensor, target: float) -> Tensor:
    """Mean binary cross-entropy (F.softplus would be linear above 20)."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def trajectory(given: dict[str, np.ndarray], form: torch.memory_format) -> dict[str, np.ndarray]:
    """All steps; the answer's arrays."""

    def images(name: str, step: int) -> Tensor:
        return torch.from_numpy(given[name][step].astype(np.float64)).permute(0, 3, 1, 2).contiguous(memory_format=form)

    def masks(player: str, step: int) -> list[Tensor]:
        return [images(f"mask_{player}{i}", step) / float(given["keep"]) for i in range(2)]

    g, d = (
        [torch.from_numpy(given[f"{letter}{i}"]).requires_grad_() for i in range(n)]
        for letter, n in (("g", 10), ("d", 6))
    )
    options = {"lr": float(given["lr"]), "betas": (float(given["beta1"]), 0.999)}
    g_adam, d_adam = torch.optim.Adam(g, **options), torch.optim.Adam(d, **options)
    answer: dict[str, np.ndarray] = {}
    both = []
    for step in range(len(given["real"])):
        real = images("real", step)
        with torch.no_grad():
            fake = generate(g, torch.from_numpy(given["noise_d"][step]), form)
        logits = judge(d, torch.cat([real, fake]), masks("d", step))
        d_loss = bce(logits[: len(real)], 1.0) + bce(logits[len(real) :], 0.0)
        for p, grad in zip(d, torch.autograd.grad(d_loss, d), strict=True):
            p.grad = grad
        d_adam.step()
        g_loss = bce(judge(d, generate(g, torch.from_numpy(given["noise_g"][step]), form), masks("g", step)), 1.0)
        for p, grad in zip(g, torch.autograd.grad(g_loss, g), strict=True):
            p.grad = grad
        g_adam.step()
        both.append([d_loss.item(), g_loss.item()])
        for letter, net in {"g": g, "d": d}.items():
            answer |= {f"{letter}{i}/{step}": p.detach().numpy().copy() for i, p in enumerate(net)}
    return answer | {"losses": np.array(both)}


def main() -> None:
    """Read, run, write."""
    question, answer, *words = sys.argv[1:]
    other = "--other-order" in words
    torch.set_num_threads(1 if other else 2)
    with np.load(question) as file:
        given = dict(file)
    np.savez(answer, **trajectory(given, torch.channels_last if other else torch.contiguous_format))


if __name__ == "__main__":
    main()
