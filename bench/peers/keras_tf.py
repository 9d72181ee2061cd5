"""Keras 3 on TensorFlow: Keras layers and optimizers, the whole step in one tf.function.

Idioms followed: keras.io "Writing a training loop from scratch in TensorFlow" (GradientTape, optimizer.apply,
@tf.function on the train step, its end-to-end GAN example), tensorflow.org "Better performance with
tf.function", "XLA: optimizing compiler" (jit_compile=True), tf.config.threading for the thread counts, and
"Better performance with the tf.data API" for the dataset variant.
"""

# Tried (time relative to the default; toy / mlp; 2 threads, lightly loaded 2-core machine, so within ~5%):
#   jit_compile=False (oneDNN on, as it is by default)  1.04 / 1.42   (default: jit_compile=True)
#   D(real), D(fake) apart                              1.16 / 1.09   (default: D(concat))
#   tf.data shuffle/repeat/batch/prefetch               1.21 / 1.10   (default: tf.random.shuffle + tf.gather)
#   tf.random.Generator                                 1.13 / 1.05   (default: tf.random.normal)
#   dcgan: jit_compile=True 9.3 (default there: no); D(real), D(fake) apart 0.98..1.03; tf.data 1.3 (machine not quiet)
# Not tried: TensorFlow's mixed precision or bfloat16, since every peer computes in float32.

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf
from keras import layers
from protocol import (
    BETA1,
    BETA2,
    CRITIC_BETAS,
    CRITIC_RATE,
    D_CHANNELS,
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
    "jit": ("yes", "no"),
    "real_fake": ("concat", "separate"),
    "input": ("gather", "dataset"),
    "rng": ("stateful", "generator"),
}


def make_net(sizes: tuple[int, ...], tanh_out: bool) -> keras.Sequential:
    """Fully connected net: leaky ReLU between the layers, tanh or nothing at the end."""
    net = keras.Sequential([keras.Input((sizes[0],))])
    for size in sizes[1:-1]:
        net.add(layers.Dense(size))
        net.add(layers.LeakyReLU(negative_slope=LEAK))
    net.add(layers.Dense(sizes[-1], activation="tanh" if tanh_out else None))
    return net


def make_conv_g(work: Work) -> keras.Sequential:
    """The convolutional generator of protocol.py."""
    first = G_CHANNELS[0]
    net = keras.Sequential([keras.Input((work.latent,)), layers.Dense(work.start**2 * first, use_bias=False)])
    net.add(layers.BatchNormalization())
    net.add(layers.LeakyReLU(negative_slope=LEAK))
    net.add(layers.Reshape((work.start, work.start, first)))
    for outputs, stride in zip(G_CHANNELS[1:-1], G_STRIDES[:-1], strict=True):
        net.add(layers.Conv2DTranspose(outputs, KERNEL, strides=stride, padding="same", use_bias=False))
        net.add(layers.BatchNormalization())
        net.add(layers.LeakyReLU(negative_slope=LEAK))
    last = {"strides": G_STRIDES[-1], "padding": "same", "use_bias": False, "activation": "tanh"}
    net.add(layers.Conv2DTranspose(G_CHANNELS[-1], KERNEL, **last))
    return net


def make_conv_d(work: Work) -> keras.Sequential:
    """The convolutional discriminator of protocol.py."""
    net = keras.Sequential([keras.Input(work.shape)])
    for outputs in D_CHANNELS[1:]:
        net.add(layers.Conv2D(outputs, KERNEL, strides=2, padding="same"))
        net.add(layers.LeakyReLU(negative_slope=LEAK))
        if work.drop:
            net.add(layers.Dropout(work.drop))
    net.add(layers.Flatten())
    net.add(layers.Dense(1))
    return net


def make_adam(critic: bool) -> keras.optimizers.Adam:
    """The work's Adam."""
    beta1, beta2 = CRITIC_BETAS if critic else (BETA1, BETA2)
    return keras.optimizers.Adam(CRITIC_RATE if critic else LEARNING_RATE, beta_1=beta1, beta_2=beta2)


class Gan:
    """G, D, their optimizers, and the training step (to be wrapped in one tf.function)."""

    def __init__(self, work: Work, concat: bool, generator: bool) -> None:
        self.work, self.concat = work, concat
        if work.size:
            self.g, self.d = make_conv_g(work), make_conv_d(work)
        else:
            self.g, self.d = make_net(work.g_sizes, work.tanh_out), make_net(work.d_sizes, tanh_out=False)
        self.g_opt, self.d_opt = make_adam(bool(work.penalty)), make_adam(bool(work.penalty))
        self.g_opt.build(self.g.trainable_weights)
        self.d_opt.build(self.d.trainable_weights)
        self.bce = keras.losses.BinaryCrossentropy(from_logits=True)
        self.normal = tf.random.Generator.from_seed(SEED).normal if generator else tf.random.normal

    def step(self, real: tf.Tensor, penalised: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """One D update, then one G update.  Each tape differentiates one net's weights only."""
        batch = self.work.batch
        ones, zeros = tf.ones((batch, 1)), tf.zeros((batch, 1))
        fake = self.g(self.normal((batch, self.work.latent)), training=True)
        with tf.GradientTape() as tape:
            if self.concat:
                logits = self.d(tf.concat([real, fake], axis=0), training=True)
                d_loss = 2.0 * self.bce(tf.concat([ones, zeros], axis=0), logits)
            else:
                d_loss = self.bce(ones, self.d(real, training=True))
                d_loss += self.bce(zeros, self.d(fake, training=True))
            if penalised:
                d_loss += self.r1(real)
        self.d_opt.apply(tape.gradient(d_loss, self.d.trainable_weights), self.d.trainable_weights)

        noise = self.normal((batch, self.work.latent))
        with tf.GradientTape() as tape:
            g_loss = self.bce(ones, self.d(self.g(noise, training=True), training=True))
        self.g_opt.apply(tape.gradient(g_loss, self.g.trainable_weights), self.g.trainable_weights)
        return d_loss, g_loss

    def r1(self, real: tf.Tensor) -> tf.Tensor:
        """R1, made up for the steps without it."""
        with tf.GradientTape() as inner:
            inner.watch(real)
            scores = self.d(real, training=True)
        squares = tf.reduce_sum(tf.square(inner.gradient(scores, real)), axis=list(range(1, len(real.shape))))
        return self.work.every * self.work.r1 / 2 * tf.reduce_mean(squares)


class Critic(Gan):
    """G as it is, and the update of a critic with a gradient penalty (keras.io, "WGAN-GP overriding Model.train_step")."""

    def step(self, real: tf.Tensor, penalised: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """One update of D, which is penalised always."""
        batch, axes = self.work.batch, list(range(1, len(real.shape)))
        fake = self.g(self.normal((batch, self.work.latent)), training=True)
        u = tf.random.uniform((batch, *(1,) * len(axes)))
        between = u * real + (1.0 - u) * fake
        with tf.GradientTape() as tape:
            with tf.GradientTape() as inner:
                inner.watch(between)
                scores = self.d(between, training=True)
            slope = inner.gradient(scores, between)
            penalty = tf.reduce_mean(tf.square(tf.sqrt(tf.reduce_sum(tf.square(slope), axis=axes)) - 1.0))
            if self.concat:
                d_real, d_fake = tf.split(self.d(tf.concat([real, fake], axis=0), training=True), 2)
            else:
                d_real, d_fake = self.d(real, training=True), self.d(fake, training=True)
            loss = tf.reduce_mean(d_fake) - tf.reduce_mean(d_real) + self.work.penalty * penalty
        self.d_opt.apply(tape.gradient(loss, self.d.trainable_weights), self.d.trainable_weights)
        return loss, penalty


def main() -> None:
    """Time the tf.function step."""
    args = parse_args(__doc__, KNOBS)
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    keras.utils.set_random_seed(SEED)
    work, data = args.work, make_data(args.work)
    gan = (Critic if work.penalty else Gan)(
        work, args.pick("real_fake", "concat") == "concat", args.pick("rng", "stateful") == "generator"
    )
    done = 0

    def due() -> bool:
        """Whether this step has R1; the function is traced once with and once without it."""
        nonlocal done
        done += 1
        return work.r1 > 0 and (done - 1) % work.every == 0

    jit = args.pick("jit", "no" if work.size else "yes") == "yes"  # XLA's convolutions are no match for oneDNN's

    if args.pick("input", "gather") == "dataset":
        dataset = tf.data.Dataset.from_tensor_slices(data).shuffle(len(data)).repeat()
        batches = iter(dataset.batch(work.batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE))
        compiled = tf.function(gan.step, jit_compile=jit)

        def step() -> tuple[tf.Tensor, tf.Tensor]:
            return compiled(next(batches), due())
    else:
        samples = tf.constant(data)
        full = len(data) // work.batch * work.batch
        todo: list[tf.Tensor] = []

        @tf.function(jit_compile=jit)
        def gather_and_step(index: tf.Tensor, penalised: bool) -> tuple[tf.Tensor, tf.Tensor]:
            return gan.step(tf.gather(samples, index), penalised)

        def step() -> tuple[tf.Tensor, tf.Tensor]:
            if not todo:
                order = tf.random.shuffle(tf.range(len(data)))[:full]
                todo.extend(tf.unstack(tf.reshape(order, (-1, work.batch))))
            return gather_and_step(todo.pop(), due())

    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    weights = tuple(sum(w.shape.num_elements() for w in net.trainable_weights) for net in (gan.g, gan.d))
    report("keras_tf", args, versions, step, wait=lambda losses: (float(losses[0]), float(losses[1])), weights=weights)


if __name__ == "__main__":
    main()
