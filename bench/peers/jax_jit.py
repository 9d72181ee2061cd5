"""JAX with optax: one jitted function is the whole step.

Idioms followed: docs.jax.dev "Just-in-time compilation" (jit the outermost function), "Buffer donation"
(donate_argnums for the state), "Pseudorandom numbers" (keys split inside the jitted function), "Asynchronous
dispatch" (block_until_ready before the clock is read); optax "Getting started" (init, update, apply_updates;
sigmoid_binary_cross_entropy).  Threads: JAX has no call for it; its maintainers' advice is the process's CPU
affinity, which sizes XLA's thread pool, set here before JAX is imported (jax-ml/jax issue 1539).
"""

# Tried (time relative to the default; toy / mlp; 2 threads, loaded 2-core machine, so within ~10%):
#   D(real), D(fake) apart            0.93..0.97 / machine busy   (default: D(concat); worth a quiet check)
#   PRNG rbg                          0.95..1.10 in 5 pairs, 4 of them above 1 / 0.95..1.0
#   no donation                       0.99 / machine busy
#   optax.flatten(adam)               0.96..1.02 / 1.4+ (it concatenates 2M parameters each step)
#   synchronous CPU dispatch          1.01 / 1.0
#   shuffle inside jit (permutation, lax.cond)   1.06 / 1.0  (default: NumPy permutation, jnp.take in jit)
#   lax.scan over 10 steps per call   0.85..0.91 / 0.98: --variant scan=10.  Not the default: one call is then
#   ten steps, whose losses cannot be looked at one by one, which no other peer does.

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from protocol import BETA1, BETA2, LEAK, LEARNING_RATE, SEED, Work, make_data, parse_args, report

KNOBS = {
    "real_fake": ("concat", "separate"),
    "prng": ("threefry2x32", "rbg", "unsafe_rbg"),
    "donate": ("yes", "no"),
    "adam": ("tree", "flat"),
    "dispatch": ("async", "sync"),
    "scan": ("1", "10"),
}
ARGS = parse_args(__doc__, KNOBS)
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: ARGS.threads])
if ARGS.threads == 1:
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jaxlib  # noqa: E402
import optax  # noqa: E402
from jax import Array  # noqa: E402

Params = list[dict[str, Array]]


class State(NamedTuple):
    """Everything the step replaces: the parameters, the optimizers' states and the random key."""

    g: Params
    d: Params
    g_opt: Any
    d_opt: Any
    key: Array


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


def make_step(work: Work, concat: bool, flat: bool) -> tuple[Step, optax.GradientTransformation]:
    """The full step as a pure function of (state, data, index), and the two optimizers."""
    adam = optax.adam(LEARNING_RATE, b1=BETA1, b2=BETA2)
    if flat:
        adam = optax.flatten(adam)
    bce = optax.sigmoid_binary_cross_entropy

    def d_loss(d: Params, real: Array, fake: Array) -> Array:
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
        return State(g, d, g_opt, d_opt, key), (d_value, g_value)

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
    jax.config.update("jax_cpu_enable_async_dispatch", ARGS.pick("dispatch", "async") == "async")
    data = jnp.asarray(make_data(work))
    concat, flat = ARGS.pick("real_fake", "concat") == "concat", ARGS.pick("adam", "tree") == "flat"
    step, adam = make_step(work, concat, flat)
    g_key, d_key, key = jax.random.split(jax.random.key(SEED, impl=ARGS.pick("prng", "threefry2x32")), 3)
    g, d = init_net(g_key, work.g_sizes), init_net(d_key, work.d_sizes)
    state = State(g, d, adam.init(g), adam.init(d), key)
    donate = (0,) if ARGS.pick("donate", "yes") == "yes" else ()
    jitted = jax.jit(step if rows == 1 else scan_steps(step), donate_argnums=donate)
    indices = index_rows(len(data), work.batch, rows)

    def advance() -> tuple[Array, Array]:
        nonlocal state
        state, losses = jitted(state, data, next(indices))
        return losses

    def wait(losses: tuple[Array, Array]) -> tuple[float, float]:
        jax.block_until_ready((state, losses))
        return float(losses[0]), float(losses[1])

    versions = {"jax": jax.__version__, "jaxlib": jaxlib.__version__, "optax": optax.__version__}
    report("jax_jit", ARGS, versions, advance, wait, steps_per_call=rows)


if __name__ == "__main__":
    main()
