"""PyTorch, eager mode.

Idioms followed: pytorch.org "DCGAN Tutorial" (two optimizers, D step then G step, in-place LeakyReLU),
"Performance Tuning Guide" (no_grad where no gradient is wanted, zero_grad(set_to_none=True), number of
threads; channels_last for convolutions, the knob `layout`; tensors created on the device, cuDNN's auto-tuner), "Channels
Last Memory Format in PyTorch", "torch.optim" (fused Adam), "Autograd
mechanics" (requires_grad_(False) to freeze a part; create_graph for the gradient penalty) and
"CUDA semantics" (synchronize before a clock is read; TF32, the knob `precision`; "Whole-network capture": warm-up on a side
stream, then one CUDA graph of the step with static inputs, the knob `graph`).
"""

# Tried (time relative to the default; toy / mlp; 2 threads, lightly loaded 2-core machine, so within ~5%):
#   D(real) and D(fake) apart      1.06 / 1.06   (default: one D(concat(real, fake)))
#   and, measured against that one ("apart"):
#   Adam foreach                   1.19 / 1.32   (default: fused)
#   Adam for-loop                  1.16 / 1.44
#   autograd.grad wrt G only       1.06 / 1.13   (default: requires_grad_(False) on D, then backward)
#   data[index]                    1.08 / 0.99   (default: index_select)
#   dcgan: layout=channels_last 0.97..0.99 of contiguous
#   torch.set_flush_denormal(True) 1.10 / 1.00   (default: off; the losses stay healthy, no denormals arise)

from __future__ import annotations

import sys
from typing import Any

import torch
from protocol import (
    BETA1,
    BETA2,
    CRITIC_BETAS,
    CRITIC_RATE,
    CYCLE,
    KERNEL,
    LEAK,
    LEARNING_RATE,
    OPTIONAL,
    PRECISION,
    SEED,
    Args,
    Work,
    make_data,
    parse_args,
    report,
)
from torch import Tensor, nn
from torch_style import StyleGan

KNOBS = {
    "adam": ("fused", "foreach", "forloop"),
    "real_fake": ("concat", "separate"),
    "g_grad": ("freeze", "grad"),
    "index": ("select", "fancy"),
    "denormal": ("keep", "flush"),
    "layout": ("contiguous", "channels_last"),
    "precision": PRECISION,
    "graph": ("no", "yes"),
}
DEVICES = ("cpu", "cuda")


def set_up(args: Args) -> None:
    """Threads, seed and, on a GPU, the auto-tuner and one precision for products and convolutions."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    if args.device == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision(args.pick("precision", "highest"))
        torch.backends.cudnn.allow_tf32 = args.pick("precision", "highest") == "high"


def wait(losses: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Both losses, when all that was queued has run."""
    if losses[0].is_cuda:
        torch.cuda.synchronize()
    return losses[0].item(), losses[1].item()


class Images(nn.Module):
    """Rows of features to maps; channels_last, the features are read pixel by pixel, so that nothing moves."""

    def __init__(self, side: int, channels: int, channels_last: bool) -> None:
        super().__init__()
        self.side, self.channels, self.channels_last = side, channels, channels_last

    def forward(self, x: Tensor) -> Tensor:
        """(N, features) to (N, channels, side, side)."""
        if self.channels_last:
            return x.view(-1, self.side, self.side, self.channels).permute(0, 3, 1, 2)
        return x.view(-1, self.channels, self.side, self.side)


def make_conv_g(work: Work, channels_last: bool) -> nn.Sequential:
    """The convolutional generator of protocol.py."""
    first = work.g_channels[0]
    features = work.start**2 * first
    layers: list[nn.Module] = [
        nn.Linear(work.latent, features, bias=False),
        nn.BatchNorm1d(features),
        nn.LeakyReLU(LEAK, inplace=True),
        Images(work.start, first, channels_last),
    ]
    for inputs, outputs, stride in zip(work.g_channels[:-1], work.g_channels[1:], work.g_strides, strict=True):
        layers += [
            nn.ConvTranspose2d(inputs, outputs, KERNEL, stride, KERNEL // 2, output_padding=stride - 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(LEAK, inplace=True),
        ]
    return nn.Sequential(*layers[:-2], nn.Tanh())


def make_conv_d(work: Work) -> nn.Sequential:
    """The convolutional discriminator of protocol.py."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(work.d_channels[:-1], work.d_channels[1:], strict=True):
        layers += [
            nn.Conv2d(inputs, outputs, KERNEL, 2, KERNEL // 2),
            nn.LeakyReLU(LEAK, inplace=True),
            *([nn.Dropout(work.drop)] if work.drop else []),
        ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(work.start**2 * work.d_channels[-1], 1))


def make_nets(work: Work, channels_last: bool = False, device: str = "cpu") -> tuple[nn.Module, nn.Module]:
    """(G, D) of a work."""
    if not work.size:
        return make_net(work.g_sizes, work.tanh_out).to(device), make_net(work.d_sizes, tanh_out=False).to(device)
    g, d = make_conv_g(work, channels_last).to(device), make_conv_d(work).to(device)
    return (
        (g.to(memory_format=torch.channels_last), d.to(memory_format=torch.channels_last)) if channels_last else (g, d)
    )


def make_samples(work: Work, device: str = "cpu") -> Tensor:
    """The real samples: images (N, 1, side, side), which with one channel are channels first and last at once."""
    data = torch.from_numpy(make_data(work)).to(device)
    return data.reshape(-1, 1, work.size, work.size) if work.size else data


def weights_of(*nets: nn.Module) -> tuple[int, ...]:
    """How many learned numbers each net has."""
    return tuple(sum(p.numel() for p in net.parameters()) for net in nets)


def make_net(sizes: tuple[int, ...], tanh_out: bool) -> nn.Sequential:
    """Fully connected net: leaky ReLU between the layers, tanh or nothing at the end."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(fan_in, fan_out), nn.LeakyReLU(LEAK, inplace=True)]
    layers.pop()
    if tanh_out:
        layers.append(nn.Tanh())
    return nn.Sequential(*layers)


class Batches:
    """Endless shuffled batches of an in-memory tensor: one randperm per epoch, one gather per batch."""

    def __init__(self, data: Tensor, batch: int, fancy: bool = False) -> None:
        self.data, self.batch, self.fancy = data, batch, fancy
        self.chunks: list[Tensor] = []

    def next_index(self) -> Tensor:
        """The next batch's indices; a last, short batch is dropped."""
        if not self.chunks:
            perm = torch.randperm(len(self.data), device=self.data.device)
            self.chunks = list(perm[: len(perm) // self.batch * self.batch].split(self.batch))
        return self.chunks.pop()

    def __call__(self) -> Tensor:
        """Gather the next batch."""
        return self.gather(self.next_index())

    def gather(self, index: Tensor) -> Tensor:
        """The samples at these indices."""
        return self.data[index] if self.fancy else self.data.index_select(0, index)


def make_adam(net: nn.Module, kind: str, capturable: bool = False, critic: bool = False) -> torch.optim.Adam:
    """The work's Adam in one of torch.optim's three implementations."""
    return torch.optim.Adam(
        net.parameters(),
        lr=CRITIC_RATE if critic else LEARNING_RATE,
        betas=CRITIC_BETAS if critic else (BETA1, BETA2),
        fused=kind == "fused",
        foreach=kind == "foreach",
        capturable=capturable,
    )


class Gan:
    """G, D, their optimizers, and the training step."""

    def __init__(
        self,
        work: Work,
        adam: str,
        concat: bool,
        use_grad: bool,
        channels_last: bool = False,
        device: str = "cpu",
        capturable: bool = False,
    ) -> None:
        self.work, self.concat, self.use_grad, self.device = work, concat, use_grad, device
        self.g, self.d = make_nets(work, channels_last, device)
        self.g_opt, self.d_opt = (make_adam(net, adam, capturable, bool(work.penalty)) for net in (self.g, self.d))
        self.bce = nn.BCEWithLogitsLoss()
        self.ones, self.zeros = (make(work.batch, 1, device=device) for make in (torch.ones, torch.zeros))
        self.targets = torch.cat([self.ones, self.zeros])
        self.steps = 0

    def noise(self) -> Tensor:
        """Fresh z."""
        return torch.randn(self.work.batch, self.work.latent, device=self.device)

    def step(self, real: Tensor) -> tuple[Tensor, Tensor]:
        """One D update, then one G update."""
        with torch.no_grad():
            fake = self.g(self.noise())
        if self.concat:
            d_loss = 2 * self.bce(self.d(torch.cat([real, fake])), self.targets)
        else:
            d_loss = self.bce(self.d(real), self.ones) + self.bce(self.d(fake), self.zeros)
        if self.work.r1 and self.steps % self.work.every == 0:
            d_loss = d_loss + self.r1(real)
        self.steps += 1
        self.d_opt.zero_grad(set_to_none=True)
        d_loss.backward()
        self.d_opt.step()

        if self.use_grad:
            g_loss = self.bce(self.d(self.g(self.noise())), self.ones)
            params = list(self.g.parameters())
            for param, grad in zip(params, torch.autograd.grad(g_loss, params), strict=True):
                param.grad = grad
        else:
            self.d.requires_grad_(False)
            g_loss = self.bce(self.d(self.g(self.noise())), self.ones)
            self.g_opt.zero_grad(set_to_none=True)
            g_loss.backward()
            self.d.requires_grad_(True)
        self.g_opt.step()
        return d_loss.detach(), g_loss.detach()

    def r1(self, real: Tensor) -> Tensor:
        """R1, made up for the steps without it."""
        x = real.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.d(x).sum(), x, create_graph=True)
        return self.work.every * self.work.r1 / 2 * slope.square().flatten(1).sum(dim=1).mean()


class Critic(Gan):
    """G as it is, D with its optimizer, and the update of a critic with a gradient penalty."""

    def step(self, real: Tensor) -> tuple[Tensor, Tensor]:
        """One update of D."""
        with torch.no_grad():
            fake = self.g(self.noise())
        u = torch.rand(len(real), *(1,) * (real.ndim - 1), device=self.device)
        between = torch.lerp(fake, real, u).requires_grad_()
        (slope,) = torch.autograd.grad(self.d(between).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        if self.concat:
            d_real, d_fake = self.d(torch.cat([real, fake])).chunk(2)
        else:
            d_real, d_fake = self.d(real), self.d(fake)
        loss = d_fake.mean() - d_real.mean() + self.work.penalty * penalty
        self.d_opt.zero_grad(set_to_none=True)
        loss.backward()
        self.d_opt.step()
        return loss.detach(), penalty.detach()


def make_cycle_nets(channels_last: bool) -> list[nn.Module]:
    """G, F, D_a and D_b of `protocol.CYCLE`."""
    f, blocks = int(CYCLE["features"]), int(CYCLE["blocks"])

    def normed(layer: nn.Module, channels: int, *after: nn.Module) -> list[nn.Module]:
        return [layer, nn.InstanceNorm2d(channels), *after]

    def mapping() -> nn.Module:
        layers = normed(nn.Conv2d(1, f, 5, 1, 2, bias=False), f, nn.ReLU(inplace=True))
        for width in (f, 2 * f):
            layers += normed(nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False), 2 * width, nn.ReLU(inplace=True))
        layers += [Block(4 * f) for _ in range(blocks)]
        for width in (4 * f, 2 * f):
            half = width // 2
            up = nn.ConvTranspose2d(width, half, 3, 2, 1, output_padding=1, bias=False)
            layers += normed(up, half, nn.ReLU(inplace=True))
        return nn.Sequential(*layers, nn.Conv2d(f, 1, 5, 1, 2), nn.Tanh())

    def judging() -> nn.Module:
        leaky = nn.LeakyReLU(LEAK, inplace=True)
        second = normed(nn.Conv2d(2 * f, 4 * f, 4, 2, 1, bias=False), 4 * f, nn.LeakyReLU(LEAK, inplace=True))
        return nn.Sequential(nn.Conv2d(1, 2 * f, 4, 2, 1), leaky, *second, nn.Conv2d(4 * f, 1, 4, padding="same"))

    nets = [mapping(), mapping(), judging(), judging()]
    return [net.to(memory_format=torch.channels_last) for net in nets] if channels_last else nets


class Block(nn.Module):
    """x + norm(conv(ReLU(norm(conv(x)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        convs = [nn.Conv2d(channels, channels, 3, 1, 1, bias=False) for _ in range(2)]
        norms = [nn.InstanceNorm2d(channels) for _ in range(2)]
        self.body = nn.Sequential(convs[0], norms[0], nn.ReLU(inplace=True), convs[1], norms[1])

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        return x + self.body(x)


class Cycle:
    """CycleGAN's four networks, two optimizers, and the training step."""

    def __init__(self, adam: str, channels_last: bool, device: str) -> None:
        self.nets = [net.to(device) for net in make_cycle_nets(channels_last)]
        self.maps, self.judges = nn.ModuleList(self.nets[:2]), nn.ModuleList(self.nets[2:])
        self.map_opt, self.judge_opt = make_adam(self.maps, adam), make_adam(self.judges, adam)

    def step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """One update of G and F, then one of D_a and D_b."""
        g, f, d_a, d_b = self.nets
        l1, cycle, identity = nn.functional.l1_loss, CYCLE["cycle"], CYCLE["identity"]
        self.judges.requires_grad_(False)
        there, back = g(a), f(b)
        g_loss = (d_b(there) - 1).square().mean() + (d_a(back) - 1).square().mean()
        g_loss = g_loss + cycle * (l1(f(there), a) + l1(g(back), b)) + cycle * identity * (l1(g(b), b) + l1(f(a), a))
        self.map_opt.zero_grad(set_to_none=True)
        g_loss.backward()
        self.map_opt.step()
        self.judges.requires_grad_(True)
        with torch.no_grad():
            there, back = g(a), f(b)
        d_loss = torch.zeros((), device=a.device)
        for judge, real, fake in ((d_a, a, back), (d_b, b, there)):
            d_loss = d_loss + 0.5 * (judge(real) - 1).square().mean() + 0.5 * judge(fake).square().mean()
        self.judge_opt.zero_grad(set_to_none=True)
        d_loss.backward()
        self.judge_opt.step()
        return d_loss.detach(), g_loss.detach()


class Captured:
    """The whole step, from the gather on, as one CUDA graph that is replayed."""

    def __init__(self, gan: Gan, batches: Batches) -> None:
        self.batches, self.index = batches, batches.next_index().clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                gan.step(batches.gather(self.index))
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.losses = gan.step(batches.gather(self.index))

    def __call__(self) -> tuple[Tensor, Tensor]:
        """One step on the next batch; the losses are overwritten by the next one."""
        self.index.copy_(self.batches.next_index())
        self.graph.replay()
        return self.losses


def make_gan(args: Args, captured: bool) -> Any:
    """What a work trains; `stylegan` has the knob `adam` only."""
    if args.work.name == "stylegan":
        if captured or set(args.variant) - {"adam", "precision"}:
            sys.exit(f"torch_eager: stylegan: got {args.variant}, expected the knobs adam and precision only")
        return StyleGan(args.work, args.pick("adam", "fused"), args.device)
    return (Critic if args.work.penalty else Gan)(
        args.work,
        adam=args.pick("adam", "fused"),
        concat=args.pick("real_fake", "concat") == "concat",
        use_grad=args.pick("g_grad", "freeze") == "grad",
        channels_last=args.pick("layout", "contiguous") == "channels_last",
        device=args.device,
        capturable=captured,
    )


def main() -> None:
    """Time the eager step, or its CUDA graph."""
    args = parse_args(__doc__, KNOBS, DEVICES, OPTIONAL)
    set_up(args)
    torch.set_flush_denormal(args.pick("denormal", "keep") == "flush")
    captured = args.pick("graph", "no") == "yes"
    if captured and args.device != "cuda":
        sys.exit("torch_eager: graph=yes needs --device cuda")
    fancy = args.pick("index", "select") == "fancy"
    if args.work.cycle:
        cycle = Cycle(args.pick("adam", "fused"), args.pick("layout", "contiguous") == "channels_last", args.device)
        a, b = (Batches(make_samples(args.work, args.device), args.work.batch, fancy) for _ in range(2))
        counts = weights_of(cycle.maps, cycle.judges)
        report("torch_eager", args, {"torch": torch.__version__}, lambda: cycle.step(a(), b()), wait, weights=counts)
        return
    gan = make_gan(args, captured)
    batches = Batches(make_samples(args.work, args.device), args.work.batch, fancy)
    step = Captured(gan, batches) if captured else lambda: gan.step(batches())
    report("torch_eager", args, {"torch": torch.__version__}, step, wait, weights=weights_of(gan.g, gan.d))


if __name__ == "__main__":
    main()
