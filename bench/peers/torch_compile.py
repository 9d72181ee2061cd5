"""PyTorch, torch.compile (inductor): compiled gradients and, for `toy`, the whole step in one graph.

Idioms followed: pytorch.org "Introduction to torch.compile", torch.func's "Migrating from functorch"
(functional_call and grad_and_value, which trace in torch.compile), "Compiling the optimizer" (foreach Adam
inside the compiled region), torch.optim's functional Adam (public: torch.optim.adam.adam) and, on a GPU, "CUDAGraph Trees"
(mode=reduce-overhead, with a mark at each step's begin).
"""

# Tried (time relative to eager's default; toy / mlp; 2 threads, loaded 2-core machine, so within ~10%):
#   what=step: one graph with both gradients and both Adams (foreach)     0.62 / 1.18   <- default of toy
#   what=grads: compiled grad_and_value, then the eager fused Adam        0.80 / 1.08   <- default of mlp
#   what=classic: torch.compile(g), torch.compile(d), backward, fused     1.3  / 1.2    (guards + AOTAutograd)
#   compiled loss closures + backward() + eager fused Adam                1.35 / -
#   the same + compiled optimizer.step (foreach)                          1.40 / -
#   torch.compile(the whole eager step) (graph breaks)                    1.53 / -   (1.17 by autograd.grad)
# and, on what=step:
#   python wrapper instead of inductor's C++ wrapper   x1.08 / x0.80..0.97 (x1.12 on what=grads)
#   D(real), D(fake) apart                                                x1.04 / x0.94
#   for-loop Adam instead of foreach                                      not measurable (machine busy)
#   mode=max-autotune-no-cudagraphs                                       x1.00 / x1.0
#   the gather left out of the graph                                      x1.05 / x0.94
#   noise from ATen's generator instead of inductor's                     x0.97 / x1.0
# dcgan: only what=classic runs: torch.func's transforms refuse batch norm's in-place running statistics.
#   layout=channels_last 0.95 of contiguous; slower than eager all the same (1.3)
# Same weights as eager after 30 steps with the same draws (to 1e-4 toy, 8e-4 mlp).

from __future__ import annotations

import sys
from typing import Any

import torch
import torch._inductor.config as inductor
from protocol import BETA1, BETA2, CRITIC_BETAS, CRITIC_RATE, LEARNING_RATE, PRECISION, parse_args, report
from torch import Tensor
from torch.func import functional_call, grad_and_value
from torch.optim.adam import adam
from torch_eager import DEVICES, Batches, Gan, make_samples, set_up, wait, weights_of

KNOBS = {
    "what": ("auto", "step", "grads", "classic"),
    "wrapper": ("cpp", "python"),  # on a GPU: python, then cpp
    "mode": ("default", "max-autotune-no-cudagraphs", "reduce-overhead"),
    "real_fake": ("concat", "separate"),
    "gather": ("graph", "eager"),
    "random": ("inductor", "aten"),
    "layout": ("contiguous", "channels_last"),
    "precision": PRECISION,
}
Params = dict[str, Tensor]


class AdamState:
    """The buffers of torch.optim's functional Adam, for one net's parameters (updated in place)."""

    def __init__(self, params: Params, fused: bool) -> None:
        self.params, self.fused = list(params.values()), fused
        self.rate, self.betas = LEARNING_RATE, (BETA1, BETA2)
        self.exp_avgs = [torch.zeros_like(param) for param in self.params]
        self.exp_avg_sqs = [torch.zeros_like(param) for param in self.params]
        self.steps = [torch.zeros((), device=param.device) for param in self.params]

    def update(self, grads: Params) -> None:
        """One Adam update: fused when run eagerly, foreach where inductor does the fusing itself."""
        adam(
            self.params,
            list(grads.values()),
            self.exp_avgs,
            self.exp_avg_sqs,
            [],
            self.steps,
            fused=self.fused,
            foreach=not self.fused,
            capturable=not self.fused,
            amsgrad=False,
            maximize=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.rate,
            weight_decay=0.0,
            eps=1e-8,
        )


class FunctionalGan(Gan):
    """The eager GAN's nets, with losses written as functions of the parameters."""

    def __init__(self, *args: Any, fused: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.g_params = {name: param.detach() for name, param in self.g.named_parameters()}
        self.d_params = {name: param.detach() for name, param in self.d.named_parameters()}
        self.g_adam, self.d_adam = AdamState(self.g_params, fused), AdamState(self.d_params, fused)
        self.d_grads, self.g_grads = grad_and_value(self.d_loss), grad_and_value(self.g_loss)

    def d_loss(self, d_params: Params, g_params: Params, real: Tensor) -> Tensor:
        """D's loss, as a function of D's parameters; G's output carries no gradient."""
        with torch.no_grad():
            fake = functional_call(self.g, g_params, self.noise())
        if self.concat:
            return 2 * self.bce(functional_call(self.d, d_params, torch.cat([real, fake])), self.targets)
        d_real, d_fake = functional_call(self.d, d_params, real), functional_call(self.d, d_params, fake)
        return self.bce(d_real, self.ones) + self.bce(d_fake, self.zeros)

    def g_loss(self, g_params: Params, d_params: Params) -> Tensor:
        """G's loss, as a function of G's parameters only."""
        fake = functional_call(self.g, g_params, self.noise())
        return self.bce(functional_call(self.d, d_params, fake), self.ones)

    def functional_step(self, real: Tensor) -> tuple[Tensor, Tensor]:
        """One D update, then one G update."""
        grads, d_loss = self.d_grads(self.d_params, self.g_params, real)
        self.d_adam.update(grads)
        grads, g_loss = self.g_grads(self.g_params, self.d_params)
        self.g_adam.update(grads)
        return d_loss, g_loss


class FunctionalCritic(FunctionalGan):
    """The update of a critic with a gradient penalty. AOTAutograd compiles no backward of a backward, so the slope in x is
    torch.func's, inside of the gradient in the parameters. G runs outside of them, and may have batch norm."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.d_adam.rate, self.d_adam.betas = CRITIC_RATE, CRITIC_BETAS
        self.d_grads = grad_and_value(self.critic_loss, has_aux=True)

    def critic_loss(self, d_params: Params, real: Tensor, fake: Tensor, between: Tensor) -> tuple[Tensor, Tensor]:
        """The critic's loss and its penalty, as functions of D's parameters."""
        slope = torch.func.grad(lambda x: functional_call(self.d, d_params, x).sum())(between)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        if self.concat:
            d_real, d_fake = functional_call(self.d, d_params, torch.cat([real, fake])).chunk(2)
        else:
            d_real, d_fake = functional_call(self.d, d_params, real), functional_call(self.d, d_params, fake)
        return d_fake.mean() - d_real.mean() + self.work.penalty * penalty, penalty

    def functional_step(self, real: Tensor) -> tuple[Tensor, Tensor]:
        """One update of D."""
        with torch.no_grad():
            fake = self.g(self.noise())
        u = torch.rand(len(real), *(1,) * (real.ndim - 1), device=self.device)
        grads, (loss, penalty) = self.d_grads(self.d_params, real, fake, torch.lerp(fake, real, u))
        self.d_adam.update(grads)
        return loss, penalty


def main() -> None:
    """Time the compiled step."""
    args = parse_args(__doc__, KNOBS, DEVICES)
    set_up(args)
    inductor.cpp_wrapper = args.pick("wrapper", "cpp" if args.device == "cpu" else "python") == "cpp"
    inductor.fallback_random = args.pick("random", "inductor") == "aten"
    what, options = args.pick("what", "auto"), {"mode": args.pick("mode", "default")}
    if what == "auto":
        what = {"toy": "step", "gp_toy": "step", "dcgan": "classic"}.get(args.work.name, "grads")
    if args.work.r1:
        sys.exit("torch_compile: R1 by intervals is not written for it")
    if args.work.penalty and what == "classic":
        sys.exit("torch_compile: no backward of a compiled backward (AOTAutograd): what=step or what=grads")
    if args.work.size and not args.work.penalty and what != "classic":
        sys.exit(
            "torch_compile: with batch norm, what=classic only (torch.func refuses its in-place running statistics)"
        )
    gan = (FunctionalCritic if args.work.penalty else FunctionalGan)(
        args.work,
        adam="fused",
        concat=args.pick("real_fake", "concat") == "concat",
        use_grad=False,
        fused=what != "step",
        channels_last=args.pick("layout", "contiguous") == "channels_last",
        device=args.device,
    )
    weights, data = weights_of(gan.g, gan.d), make_samples(args.work, args.device)
    indices = Batches(data, args.work.batch)
    if what == "step" and args.pick("gather", "graph") == "graph":
        compiled = torch.compile(
            lambda index: gan.functional_step(data.index_select(0, index)), fullgraph=True, **options
        )
        step = lambda: compiled(indices.next_index())  # noqa: E731
    elif what == "step":
        compiled = torch.compile(gan.functional_step, fullgraph=True, **options)
        step = lambda: compiled(indices())  # noqa: E731
    elif what == "grads":
        gan.d_grads = torch.compile(gan.d_grads, fullgraph=True, **options)
        if args.work.penalty:
            gan.g = torch.compile(gan.g, **options)
        else:
            gan.g_grads = torch.compile(gan.g_grads, fullgraph=True, **options)
        step = lambda: gan.functional_step(indices())  # noqa: E731
    else:
        gan.g, gan.d = torch.compile(gan.g, **options), torch.compile(gan.d, **options)
        step = lambda: gan.step(indices())  # noqa: E731
    if options["mode"] == "reduce-overhead":
        compiled_step, mark = step, torch.compiler.cudagraph_mark_step_begin
        step = lambda: (mark(), compiled_step())[1]  # noqa: E731
    report("torch_compile", args, {"torch": torch.__version__}, step, wait, weights=weights)


if __name__ == "__main__":
    main()
