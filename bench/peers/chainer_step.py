"""Chainer 7.8.1 (its last release), define-by-run on NumPy.

Idioms followed: docs.chainer.org "DCGAN" example (one optimizer per net, update per net), "Performance Best
Practices" (type checks off, debug off, iDeep when it can be imported: use_ideep = 'auto' and to_intel64()),
no_backprop_mode() where no graph is wanted, and chainer.grad to differentiate G's parameters only.

Where it runs: Python 3.7 + NumPy 1.21 + ideep4py 2.0.0.post3 (wheels for 3.6 and 3.7 only), the fast way, or,
without iDeep, any Python up to 3.11 with NumPy < 2 (tried: 3.8 + 1.24, 3.11 + 1.23).  Install:
`pip install setuptools wheel`, then `pip install chainer==7.8.1 ideep4py` (`--no-build-isolation` and
`setuptools<80` on 3.11: its setup.py needs pkg_resources).
"""

# Tried (time relative to the default; toy / mlp; 2 threads, lightly loaded 2-core machine, so within ~5%):
#   without iDeep: Python 3.7, NumPy 1.21               1.38 / 1.15..1.33
#   dcgan, without iDeep: Python 3.7, NumPy 1.21        2 to 5 (machine not quiet)
#   without iDeep: Python 3.11, NumPy 1.23              1.12..1.31 / 1.05..1.19
# and, without iDeep, on Python 3.7:
#   mean softplus, as the DCGAN example writes the loss 1.06 / 1.05   (default: F.sigmoid_cross_entropy)
#   D(real), D(fake) apart                              1.04 / 1.11   (default: D(concat))
#   plain backward(), D's gradients computed in vain    1.08 / 1.18   (default: chainer.grad wrt G only)

from __future__ import annotations

import os
import sys

threads = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "2"
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = threads
os.environ["CHAINER_TYPE_CHECK"] = "0"

import chainer  # noqa: E402
import chainer.functions as F  # noqa: E402, N812
import chainer.links as L  # noqa: E402, N812
import numpy as np  # noqa: E402
from chainer import Variable  # noqa: E402
from protocol import (  # noqa: E402
    BETA1,
    BETA2,
    D_CHANNELS,
    DROP,
    G_CHANNELS,
    G_STRIDES,
    KERNEL,
    LEAK,
    LEARNING_RATE,
    SEED,
    Work,
    make_data,
    parse_args,
    report,
)

KNOBS = {
    "real_fake": ("concat", "separate"),
    "g_grad": ("grad", "backward"),
    "ideep": ("auto", "never"),
    "loss": ("bce", "softplus"),
}


class Net(chainer.ChainList):
    """Fully connected net: leaky ReLU between the layers, tanh or nothing at the end."""

    def __init__(self, sizes: tuple[int, ...], tanh_out: bool) -> None:
        super().__init__(*[L.Linear(fan_in, fan_out) for fan_in, fan_out in zip(sizes[:-1], sizes[1:])])
        self.tanh_out = tanh_out

    def forward(self, x: np.ndarray) -> Variable:
        """Apply the net to a batch."""
        links = list(self)
        for link in links[:-1]:
            x = F.leaky_relu(link(x), slope=LEAK)
        x = links[-1](x)
        return F.tanh(x) if self.tanh_out else x


class ConvG(chainer.Chain):
    """The convolutional generator of protocol.py, channels first as everything in Chainer."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work
        features = work.start**2 * G_CHANNELS[0]
        with self.init_scope():
            self.dense = L.Linear(work.latent, features, nobias=True)
            self.norms = chainer.ChainList(*[L.BatchNormalization(n) for n in (features, *G_CHANNELS[1:-1])])
            self.convs = chainer.ChainList(*[
                L.Deconvolution2D(inputs, outputs, KERNEL, stride, KERNEL // 2, nobias=True, outsize=(side, side))
                for inputs, outputs, stride, side in zip(
                    G_CHANNELS[:-1], G_CHANNELS[1:], G_STRIDES, (work.start, 2 * work.start, 4 * work.start)
                )
            ])  # fmt: skip

    def forward(self, x: np.ndarray) -> Variable:
        """Noise (N, latent) to images (N, 1, side, side)."""
        norms, convs = list(self.norms), list(self.convs)
        x = F.leaky_relu(norms[0](self.dense(x)), slope=LEAK)
        x = F.reshape(x, (-1, G_CHANNELS[0], self.work.start, self.work.start))
        for norm, conv in zip(norms[1:], convs):
            x = F.leaky_relu(norm(conv(x)), slope=LEAK)
        return F.tanh(convs[-1](x))


class ConvD(chainer.Chain):
    """The convolutional discriminator of protocol.py."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        with self.init_scope():
            self.convs = chainer.ChainList(*[
                L.Convolution2D(inputs, outputs, KERNEL, 2, KERNEL // 2)
                for inputs, outputs in zip(D_CHANNELS[:-1], D_CHANNELS[1:])
            ])  # fmt: skip
            self.dense = L.Linear(work.start**2 * D_CHANNELS[-1], 1)

    def forward(self, x: np.ndarray) -> Variable:
        """Images to logits (N, 1); Linear flattens its input by itself."""
        for conv in self.convs:
            x = F.dropout(F.leaky_relu(conv(x), slope=LEAK), ratio=DROP)
        return self.dense(x)


def make_adam(net: chainer.Link) -> chainer.optimizers.Adam:
    """Adam(2e-4, beta1=0.5, beta2=0.999)."""
    return chainer.optimizers.Adam(alpha=LEARNING_RATE, beta1=BETA1, beta2=BETA2).setup(net)


class Gan:
    """G, D, their optimizers, and the training step."""

    def __init__(self, work: Work, concat: bool, use_grad: bool, softplus: bool, ideep: bool) -> None:
        self.work, self.concat, self.use_grad, self.softplus = work, concat, use_grad, softplus
        if work.size:
            self.g, self.d = ConvG(work), ConvD(work)
        else:
            self.g, self.d = Net(work.g_sizes, work.tanh_out), Net(work.d_sizes, tanh_out=False)
        if ideep:
            self.g.to_intel64()
            self.d.to_intel64()
        self.g_opt, self.d_opt = make_adam(self.g), make_adam(self.d)
        self.ones = np.ones((work.batch, 1), np.int32)
        self.zeros = np.zeros((work.batch, 1), np.int32)
        self.targets = np.concatenate([self.ones, self.zeros])

    def noise(self) -> np.ndarray:
        """Fresh z: NumPy is Chainer's own random generator on a CPU."""
        return np.random.standard_normal((self.work.batch, self.work.latent)).astype(np.float32)

    def bce(self, logits: Variable, real: bool) -> Variable:
        """BCE with logits against all ones or all zeros (or softplus, as the DCGAN example writes it)."""
        if self.softplus:
            return F.sum(F.softplus(-logits if real else logits)) / len(logits)
        return F.sigmoid_cross_entropy(logits, self.ones if real else self.zeros)

    def step(self, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One D update, then one G update."""
        with chainer.no_backprop_mode():
            fake = self.g(self.noise()).array
        if self.concat:
            logits = self.d(np.concatenate([real, np.asarray(fake)]))
            if self.softplus:
                y_real, y_fake = F.split_axis(logits, 2, axis=0)
                d_loss = self.bce(y_real, real=True) + self.bce(y_fake, real=False)
            else:
                d_loss = 2 * F.sigmoid_cross_entropy(logits, self.targets)
        else:
            d_loss = self.bce(self.d(real), real=True) + self.bce(self.d(fake), real=False)
        self.d.cleargrads()
        d_loss.backward()
        self.d_opt.update()

        g_loss = self.bce(self.d(self.g(self.noise())), real=True)
        if self.use_grad:
            params = list(self.g.params())
            for param, grad in zip(params, chainer.grad([g_loss], params)):
                param.grad = grad.array
        else:
            self.g.cleargrads()
            g_loss.backward()
        self.g_opt.update()
        return d_loss.array, g_loss.array


def main() -> None:
    """Time the define-by-run step."""
    args = parse_args(__doc__, KNOBS)
    chainer.global_config.use_ideep = args.pick("ideep", "auto")
    chainer.global_config.type_check = False
    chainer.global_config.debug = False
    np.random.seed(SEED)
    gan = Gan(
        args.work,
        concat=args.pick("real_fake", "concat") == "concat",
        use_grad=args.pick("g_grad", "grad") == "grad",
        softplus=args.pick("loss", "bce") == "softplus",
        ideep=args.pick("ideep", "auto") == "auto" and chainer.backends.intel64.is_ideep_available(),
    )
    data, batch = make_data(args.work), args.work.batch
    if args.work.size:
        data = data.reshape(-1, 1, args.work.size, args.work.size)
    full = len(data) // batch * batch
    todo: list[np.ndarray] = []

    def step() -> tuple[np.ndarray, np.ndarray]:
        if not todo:
            todo.extend(np.random.permutation(len(data))[:full].reshape(-1, batch))
        return gan.step(data[todo.pop()])

    versions = {"chainer": chainer.__version__, "ideep": str(chainer.backends.intel64.is_ideep_available())}
    weights = tuple(sum(param.size for param in net.params()) for net in (gan.g, gan.d))
    report(
        "chainer_step", args, versions, step, wait=lambda losses: (float(losses[0]), float(losses[1])), weights=weights
    )


if __name__ == "__main__":
    main()
