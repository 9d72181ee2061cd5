"""JAX with optax: one jitted function is the whole step.

Idioms followed: docs.jax.dev "Just-in-time compilation" (jit the outermost function), "Buffer donation"
(donate_argnums for the state), "Pseudorandom numbers" (keys split inside the jitted function), "Asynchronous
dispatch" (block_until_ready before the clock is read), "Convolutions in JAX" (lax's convolutions, here in NHWC/HWIO);
optax "Getting started" (init, update, apply_updates; sigmoid_binary_cross_entropy).  Threads: JAX has no call for it;
its maintainers' advice is the process's CPU affinity, which sizes XLA's thread pool, set here before JAX is imported
(jax-ml/jax issue 1539).  "Configuration options": jax_platforms chooses the device, jax_default_matmul_precision whether a GPU
rounds factors to TF32, which is JAX's default there and the knob `precision` here.
"""

# Tried (time relative to the default; toy / mlp; 2 threads, loaded 2-core machine, so within ~10%):
#   D(real), D(fake) apart            0.93..0.97 / machine busy   (default: D(concat); worth a quiet check)
#   PRNG rbg                          0.95..1.10 in 5 pairs, 4 of them above 1 / 0.95..1.0
#   no donation                       0.99 / machine busy
#   optax.flatten(adam)               0.96..1.02 / 1.4+ (it concatenates 2M parameters each step)
#   synchronous CPU dispatch          1.01 / 1.0
#   shuffle inside jit (permutation, lax.cond)   1.06 / 1.0  (default: NumPy permutation, jnp.take in jit)
#   dcgan: prng=threefry2x32 2.0 (dropout draws 3.6 million numbers a step; default there: rbg);
#          prng=unsafe_rbg 1.1; D(concat) 1.03..1.05 (default there: apart)
#   lax.scan over 10 steps per call   0.85..0.91 / 0.98: --variant scan=10.  Not the default: one call is then
#   ten steps, whose losses cannot be looked at one by one, which no other peer does.

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
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
    PRECISION,
    SEED,
    Work,
    keep_to,
    make_data,
    parse_args,
    report,
)

KNOBS = {
    "real_fake": ("concat", "separate"),
    "prng": ("threefry2x32", "rbg", "unsafe_rbg"),
    "donate": ("yes", "no"),
    "adam": ("tree", "flat"),
    "dispatch": ("async", "sync"),
    "scan": ("1", "10"),
    "precision": PRECISION,
}
ARGS = parse_args(__doc__, KNOBS, devices=("cpu", "cuda"))
keep_to(ARGS.threads)
if ARGS.threads == 1:
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jaxlib  # noqa: E402
import optax  # noqa: E402
from jax import Array  # noqa: E402

Params = list[dict[str, Array]]


class State(NamedTuple):
    """Everything the step replaces: parameters, optimizers' states, the random key and batch norm's statistics."""

    g: Params
    d: Params
    g_opt: Any
    d_opt: Any
    key: Array
    stats: Params


Step = Callable[[State, Array, Array], tuple[State, tuple[Array, Array]]]


def init_net(key: Array, sizes: tuple[int, ...]) -> Params:
    """He-uniform weights and zero biases, one dict per layer."""
    init = jax.nn.initializers.he_uniform()
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        {"w": init(k, (fan_in, fan_out)), "b": jnp.zeros(fan_out)}
        for k, fan_in, fan_out in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def apply_net(params: Params, x: Array, tanh_out: bool = False) -> Array:
    """Fully connected net: leaky ReLU between the layers, tanh or nothing at the end."""
    for layer in params[:-1]:
        x = jax.nn.leaky_relu(x @ layer["w"] + layer["b"], LEAK)
    x = x @ params[-1]["w"] + params[-1]["b"]
    return jnp.tanh(x) if tanh_out else x


def init_conv_g(key: Array, work: Work) -> Params:
    """The convolutional generator's parameters: a weight a layer, and batch norm's pair after all but the last."""
    init = jax.nn.initializers.he_uniform()
    features = work.start**2 * G_CHANNELS[0]
    shapes = [(work.latent, features)]
    shapes += [
        (KERNEL, KERNEL, inputs, outputs) for inputs, outputs in zip(G_CHANNELS[:-1], G_CHANNELS[1:], strict=True)
    ]
    layers = [{"w": init(k, shape)} for k, shape in zip(jax.random.split(key, len(shapes)), shapes, strict=True)]
    for layer in layers[:-1]:
        channels = layer["w"].shape[-1]
        layer |= {"gamma": jnp.ones(channels), "beta": jnp.zeros(channels)}
    return layers


def init_conv_d(key: Array, work: Work) -> Params:
    """The convolutional discriminator's parameters."""
    init = jax.nn.initializers.he_uniform()
    shapes = [
        (KERNEL, KERNEL, inputs, outputs) for inputs, outputs in zip(D_CHANNELS[:-1], D_CHANNELS[1:], strict=True)
    ]
    shapes.append((work.start**2 * D_CHANNELS[-1], 1))
    keys = jax.random.split(key, len(shapes))
    return [{"w": init(k, shape), "b": jnp.zeros(shape[-1])} for k, shape in zip(keys, shapes, strict=True)]


def init_stats(work: Work) -> Params:
    """Batch norm's running means and variances, which training updates and does not read."""
    sizes = (work.start**2 * G_CHANNELS[0], *G_CHANNELS[1:-1]) if work.size else ()
    return [{"mean": jnp.zeros(n), "var": jnp.ones(n)} for n in sizes]


def batch_norm(layer: dict[str, Array], stats: dict[str, Array], x: Array) -> tuple[Array, dict[str, Array]]:
    """Normalise by the batch, as flax.nnx.BatchNorm does: E[x^2] - E[x]^2, one pass over x."""
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axes)
    var = jnp.maximum(0.0, (x * x).mean(axes) - mean * mean)
    x = (x - mean) * (jax.lax.rsqrt(var + 1e-5) * layer["gamma"]) + layer["beta"]
    return x, {"mean": 0.9 * stats["mean"] + 0.1 * mean, "var": 0.9 * stats["var"] + 0.1 * var}


def apply_conv_g(params: Params, stats: Params, z: Array, work: Work) -> tuple[Array, Params]:
    """Images from noise, and the new running statistics."""
    x, norm = batch_norm(params[0], stats[0], z @ params[0]["w"])
    new = [norm]
    x = jax.nn.leaky_relu(x, LEAK).reshape(-1, work.start, work.start, G_CHANNELS[0])
    for i, stride in enumerate(G_STRIDES, 1):
        x = jax.lax.conv_transpose(
            x, params[i]["w"], (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        if "gamma" in params[i]:
            x, norm = batch_norm(params[i], stats[i], x)
            new.append(norm)
            x = jax.nn.leaky_relu(x, LEAK)
    return jnp.tanh(x), new


def apply_conv_d(params: Params, x: Array, key: Array, drop: float) -> Array:
    """Logits of images, with dropout."""
    for layer, k in zip(params[:-1], jax.random.split(key, len(params) - 1), strict=True):
        x = jax.lax.conv_general_dilated(x, layer["w"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.leaky_relu(x + layer["b"], LEAK)
        if drop:
            x = jnp.where(jax.random.bernoulli(k, 1 - drop, x.shape), x / (1 - drop), 0.0)
    return x.reshape(len(x), -1) @ params[-1]["w"] + params[-1]["b"]


def r1(score: Callable[[Params, Array], Array], d: Params, real: Array, work: Work) -> Array:
    """R1, made up for the steps without it."""
    slope = jax.grad(lambda x: score(d, x).sum())(real)
    return work.every * work.r1 / 2 * jnp.square(slope.reshape(work.batch, -1)).sum(axis=1).mean()


def make_conv_step(work: Work, concat: bool, flat: bool, penalised: bool) -> tuple[Step, optax.GradientTransformation]:
    """The same for the convolutional nets: batch norm's statistics travel with the state, dropout takes keys."""
    adam = optax.adam(LEARNING_RATE, b1=BETA1, b2=BETA2)
    if flat:
        adam = optax.flatten(adam)
    bce = optax.sigmoid_binary_cross_entropy

    def d_loss(d: Params, real: Array, fake: Array, key: Array) -> Array:
        penalty = r1(lambda d, x: apply_conv_d(d, x, key, work.drop), d, real, work) if penalised else 0.0
        return penalty + fit(d, real, fake, key)

    def fit(d: Params, real: Array, fake: Array, key: Array) -> Array:
        if concat:
            logits = apply_conv_d(d, jnp.concatenate([real, fake]), key, work.drop)
            targets = jnp.concatenate([jnp.ones((work.batch, 1)), jnp.zeros((work.batch, 1))])
            return 2 * bce(logits, targets).mean()
        real_key, fake_key = jax.random.split(key)
        return (
            bce(apply_conv_d(d, real, real_key, work.drop), 1.0).mean()
            + bce(apply_conv_d(d, fake, fake_key, work.drop), 0.0).mean()
        )

    def g_loss(g: Params, stats: Params, d: Params, z: Array, key: Array) -> tuple[Array, Params]:
        fake, stats = apply_conv_g(g, stats, z, work)
        return bce(apply_conv_d(d, fake, key, work.drop), 1.0).mean(), stats

    def step(state: State, data: Array, index: Array) -> tuple[State, tuple[Array, Array]]:
        key, d_key, g_key, d_drop, g_drop = jax.random.split(state.key, 5)
        real = jnp.take(data, index, axis=0)
        fake, stats = apply_conv_g(state.g, state.stats, jax.random.normal(d_key, (work.batch, work.latent)), work)
        d_value, grads = jax.value_and_grad(d_loss)(state.d, real, fake, d_drop)
        updates, d_opt = adam.update(grads, state.d_opt, state.d)
        d = optax.apply_updates(state.d, updates)

        z = jax.random.normal(g_key, (work.batch, work.latent))
        (g_value, stats), grads = jax.value_and_grad(g_loss, has_aux=True)(state.g, stats, d, z, g_drop)
        updates, g_opt = adam.update(grads, state.g_opt, state.g)
        g = optax.apply_updates(state.g, updates)
        return State(g, d, g_opt, d_opt, key, stats), (d_value, g_value)

    return step, adam


def make_critic_step(work: Work, concat: bool, flat: bool) -> tuple[Step, optax.GradientTransformation]:
    """One update of a critic with a gradient penalty, in the same form; the gradient of the sum of the scores is the
    gradient of each."""
    adam = optax.adam(CRITIC_RATE, b1=CRITIC_BETAS[0], b2=CRITIC_BETAS[1])
    if flat:
        adam = optax.flatten(adam)

    def score(d: Params, x: Array) -> Array:
        return apply_conv_d(d, x, jax.random.key(0), work.drop) if work.size else apply_net(d, x)

    def loss(d: Params, real: Array, fake: Array, between: Array) -> tuple[Array, Array]:
        slope = jax.grad(lambda x: score(d, x).sum())(between)
        penalty = jnp.square(jnp.linalg.norm(slope.reshape(work.batch, -1), axis=1) - 1).mean()
        if concat:
            d_real, d_fake = jnp.split(score(d, jnp.concatenate([real, fake])), 2)
        else:
            d_real, d_fake = score(d, real), score(d, fake)
        return d_fake.mean() - d_real.mean() + work.penalty * penalty, penalty

    def step(state: State, data: Array, index: Array) -> tuple[State, tuple[Array, Array]]:
        key, z_key, u_key = jax.random.split(state.key, 3)
        real, z = jnp.take(data, index, axis=0), jax.random.normal(z_key, (work.batch, work.latent))
        if work.size:
            fake, stats = apply_conv_g(state.g, state.stats, z, work)
        else:
            fake, stats = apply_net(state.g, z, work.tanh_out), state.stats
        u = jax.random.uniform(u_key, (work.batch, *(1,) * (real.ndim - 1)))
        (value, penalty), grads = jax.value_and_grad(loss, has_aux=True)(state.d, real, fake, u * real + (1 - u) * fake)
        updates, d_opt = adam.update(grads, state.d_opt, state.d)
        d = optax.apply_updates(state.d, updates)
        return State(state.g, d, state.g_opt, d_opt, key, stats), (value, penalty)

    return step, adam


def make_step(
    work: Work, concat: bool, flat: bool, penalised: bool = False
) -> tuple[Step, optax.GradientTransformation]:
    """The full step as a pure function of (state, data, index), with or without R1, and the two optimizers."""
    if work.penalty:
        return make_critic_step(work, concat, flat)
    if work.size:
        return make_conv_step(work, concat, flat, penalised)
    adam = optax.adam(LEARNING_RATE, b1=BETA1, b2=BETA2)
    if flat:
        adam = optax.flatten(adam)
    bce = optax.sigmoid_binary_cross_entropy

    def d_loss(d: Params, real: Array, fake: Array) -> Array:
        return fit(d, real, fake) + (r1(apply_net, d, real, work) if penalised else 0.0)

    def fit(d: Params, real: Array, fake: Array) -> Array:
        if concat:
            targets = jnp.concatenate([jnp.ones((work.batch, 1)), jnp.zeros((work.batch, 1))])
            return 2 * bce(apply_net(d, jnp.concatenate([real, fake])), targets).mean()
        return bce(apply_net(d, real), 1.0).mean() + bce(apply_net(d, fake), 0.0).mean()

    def g_loss(g: Params, d: Params, z: Array) -> Array:
        return bce(apply_net(d, apply_net(g, z, work.tanh_out)), 1.0).mean()

    def step(state: State, data: Array, index: Array) -> tuple[State, tuple[Array, Array]]:
        key, d_key, g_key = jax.random.split(state.key, 3)
        real = jnp.take(data, index, axis=0)
        fake = apply_net(state.g, jax.random.normal(d_key, (work.batch, work.latent)), work.tanh_out)
        d_value, grads = jax.value_and_grad(d_loss)(state.d, real, fake)
        updates, d_opt = adam.update(grads, state.d_opt, state.d)
        d = optax.apply_updates(state.d, updates)

        z = jax.random.normal(g_key, (work.batch, work.latent))
        g_value, grads = jax.value_and_grad(g_loss)(state.g, d, z)
        updates, g_opt = adam.update(grads, state.g_opt, state.g)
        g = optax.apply_updates(state.g, updates)
        return State(g, d, g_opt, d_opt, key, state.stats), (d_value, g_value)

    return step, adam


def scan_steps(step: Step) -> Step:
    """Several steps in one call: lax.scan over the rows of an index matrix; returns the last losses."""

    def steps(state: State, data: Array, rows: Array) -> tuple[State, tuple[Array, Array]]:
        state, losses = jax.lax.scan(lambda carry, index: step(carry, data, index), state, rows)
        return state, (losses[0][-1], losses[1][-1])

    return steps


def index_rows(count: int, batch: int, rows: int) -> Iterator[np.ndarray]:
    """Endless shuffled indices from NumPy, a batch at a time (or `rows` batches); a short rest is dropped."""
    rng = np.random.default_rng(SEED)
    shape = (-1, batch) if rows == 1 else (-1, rows, batch)
    full = count // (batch * rows) * batch * rows
    while True:
        yield from rng.permutation(count)[:full].astype(np.int32).reshape(shape)


def main() -> None:
    """Time the jitted step."""
    work, rows = ARGS.work, int(ARGS.pick("scan", "1"))
    jax.config.update("jax_platforms", ARGS.device)
    if ARGS.device == "cuda":
        precision = {"highest": "highest", "high": "tensorfloat32"}[ARGS.pick("precision", "highest")]
        jax.config.update("jax_default_matmul_precision", precision)
    jax.config.update("jax_cpu_enable_async_dispatch", ARGS.pick("dispatch", "async") == "async")
    prng = "rbg" if work.size else "threefry2x32"
    data = jnp.asarray(make_data(work))
    concat = ARGS.pick("real_fake", "separate" if work.size else "concat") == "concat"
    flat = ARGS.pick("adam", "tree") == "flat"
    step, adam = make_step(work, concat, flat)
    g_key, d_key, key = jax.random.split(jax.random.key(SEED, impl=ARGS.pick("prng", prng)), 3)
    if work.size:
        g, d = init_conv_g(g_key, work), init_conv_d(d_key, work)
    else:
        g, d = init_net(g_key, work.g_sizes), init_net(d_key, work.d_sizes)
    weights = tuple(sum(leaf.size for leaf in jax.tree.leaves(net)) for net in (g, d))
    state = State(g, d, adam.init(g), adam.init(d), key, init_stats(work))
    donate = (0,) if ARGS.pick("donate", "yes") == "yes" else ()
    if work.r1 and rows > 1:
        sys.exit("jax_jit: scan is not written for R1 by intervals")
    jitted = jax.jit(step if rows == 1 else scan_steps(step), donate_argnums=donate)
    with_r1 = jax.jit(make_step(work, concat, flat, penalised=True)[0], donate_argnums=donate) if work.r1 else jitted
    indices, done = index_rows(len(data), work.batch, rows), 0

    def advance() -> tuple[Array, Array]:
        nonlocal state, done
        state, losses = (jitted if done % work.every else with_r1)(state, data, next(indices))
        done += 1
        return losses

    def wait(losses: tuple[Array, Array]) -> tuple[float, float]:
        jax.block_until_ready((state, losses))
        return float(losses[0]), float(losses[1])

    versions = {"jax": jax.__version__, "jaxlib": jaxlib.__version__, "optax": optax.__version__}
    report("jax_jit", ARGS, versions, advance, wait, steps_per_call=rows, weights=weights)


if __name__ == "__main__":
    main()
