"""The work `stylegan` in PyTorch, eager mode: the networks of `minigan/gans/stylenets.py`, and one step of both players.

The idioms are those of `torch_eager.py`. A weight is multiplied by its constant when it is used, as in the authors' programs.
"""

from __future__ import annotations

import itertools
import math

import torch
from protocol import LEAK, Work
from torch import Tensor, nn
from torch.nn import functional as f

FEATURES, MOST, WIDTH, DEPTH = 8, 8, 64, 4
RATE, SLOWER, R1, EVERY, MIXING = 2e-3, 0.01, 10.0, 4, 0.9


def channels_of(octave: int) -> int:
    """At that octave below full size."""
    return min(FEATURES << 2 * octave, MOST * FEATURES)


def octaves(side: int) -> int:
    """How often a side can be halved before it is below 8 or odd."""
    count = 0
    while not (side >> count) % 2 and side >> count > 7:
        count += 1
    return count


class Equal(nn.Module):
    """A dense layer, or a convolution with `kernel`, with an equalised rate and leaky ReLU where it is asked for."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 0, leaky: bool = False, gain: float = 2**0.5) -> None:
        super().__init__()
        self.kernel, self.leaky = kernel, leaky
        self.weight = nn.Parameter(torch.randn(outputs, inputs, *(kernel,) * (2 if kernel else 0)))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.factor = gain / math.sqrt(self.weight[0].numel())

    def forward(self, x: Tensor) -> Tensor:
        """The layer of x."""
        w = self.weight * self.factor
        y = f.conv2d(x, w, self.bias, padding=self.kernel // 2) if self.kernel else f.linear(x, w, self.bias)
        return f.leaky_relu(y, LEAK, inplace=True) if self.leaky else y


class Styled(nn.Module):
    """Noise, leaky ReLU, AdaIN."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(channels, 1, 1))
        self.style = Equal(WIDTH, 2 * channels, gain=1.0)

    def forward(self, h: Tensor, w: Tensor) -> Tensor:
        """The styled maps."""
        h = h + self.strength * torch.randn(len(h), 1, *h.shape[2:], device=h.device)
        a, b = self.style(w)[..., None, None].chunk(2, dim=1)
        return (1 + a) * f.instance_norm(f.leaky_relu(h, LEAK)) + b


class Synthesis(nn.Module):
    """From a style for each layer to images."""

    def __init__(self, side: int) -> None:
        super().__init__()
        depth = octaves(side)
        self.count, wide = 2 * (depth + 1), [channels_of(octave) for octave in range(depth, -1, -1)]
        self.constant = nn.Parameter(torch.randn(1, wide[0], side >> depth, side >> depth))
        self.first = nn.ModuleList(Equal(a, b, 3) for a, b in itertools.pairwise(wide))
        self.second = nn.ModuleList(Equal(c, c, 3) for c in wide)
        self.styled = nn.ModuleList(Styled(c) for c in wide for _ in range(2))
        self.to_image = Equal(wide[-1], 1, 1, gain=1.0)

    def forward(self, styles: list[Tensor]) -> Tensor:
        """Images."""
        h = self.constant.expand(len(styles[0]), -1, -1, -1)
        for octave, second in enumerate(self.second):
            if octave:
                h = self.first[octave - 1](f.interpolate(h, scale_factor=2, mode="bilinear"))
            h = self.styled[2 * octave](h, styles[2 * octave])
            h = self.styled[2 * octave + 1](second(h), styles[2 * octave + 1])
        return self.to_image(h)


class Scorer(nn.Module):
    """D."""

    def __init__(self, side: int) -> None:
        super().__init__()
        depth = octaves(side)
        wide = [channels_of(octave) for octave in range(depth + 1)]
        self.from_image = Equal(1, FEATURES, 1, leaky=True)
        self.down = nn.ModuleList(Equal(a, b, 3, leaky=True) for a, b in itertools.pairwise(wide))
        self.last = nn.Sequential(
            Equal(wide[-1] + 1, wide[-1], 3, leaky=True), nn.Flatten(),
            Equal((side >> depth) ** 2 * wide[-1], wide[-1], leaky=True), Equal(wide[-1], 1, gain=1.0),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        h = self.from_image(x)
        for layer in self.down:
            h = f.avg_pool2d(layer(h), 2)
        spread = (h.var(0, unbiased=False) + 1e-8).sqrt().mean()
        return self.last(torch.cat([h, spread.expand(len(h), 1, *h.shape[2:])], dim=1))


class StyleGan:
    """The networks, their optimizers, and the training step."""

    def __init__(self, work: Work, adam: str, device: str = "cpu") -> None:
        self.work, self.device, self.steps = work, device, 0
        sizes = (work.latent, *(WIDTH,) * DEPTH)
        self.mapping = nn.Sequential(*(Equal(a, b, leaky=True) for a, b in itertools.pairwise(sizes))).to(device)
        self.synthesis, self.d = Synthesis(work.size).to(device), Scorer(work.size).to(device)
        self.g = nn.ModuleList([self.mapping, self.synthesis])
        options = {"betas": (0.0, 0.99), "fused": adam == "fused", "foreach": adam == "foreach"}
        slow = [{"params": self.mapping.parameters(), "lr": SLOWER * RATE}, {"params": self.synthesis.parameters()}]
        self.g_opt = torch.optim.Adam(slow, lr=RATE, **options)
        self.d_opt = torch.optim.Adam(self.d.parameters(), lr=RATE, **options)

    def w(self) -> Tensor:
        """Styles of fresh noise."""
        z = torch.randn(self.work.batch, self.work.latent, device=self.device)
        return self.mapping(z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt())

    def mixed(self) -> Tensor:
        """Images of one style, or of two."""
        first, second, n = self.w(), self.w(), self.work.batch
        change = torch.randint(1, self.synthesis.count, (n, 1), device=self.device)
        one = torch.rand(n, 1, device=self.device) >= MIXING
        return self.synthesis([torch.where((change > k) | one, first, second) for k in range(self.synthesis.count)])

    def step(self, real: Tensor) -> tuple[Tensor, Tensor]:
        """One update of D, in every 4th step with R1, then one of G."""
        with torch.no_grad():
            fake = self.mixed()
        loss = f.softplus(-self.d(real)).mean() + f.softplus(self.d(fake)).mean()
        total = loss
        if self.steps % EVERY == 0:
            x = real.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.d(x).sum(), x, create_graph=True)
            total = loss + EVERY * 0.5 * R1 * slope.square().sum() / len(x)
        self.steps += 1
        self.d_opt.zero_grad(set_to_none=True)
        total.backward()
        self.d_opt.step()
        self.d.requires_grad_(False)
        g_loss = f.softplus(-self.d(self.mixed())).mean()
        self.g_opt.zero_grad(set_to_none=True)
        g_loss.backward()
        self.d.requires_grad_(True)
        self.g_opt.step()
        return loss.detach(), g_loss.detach()
