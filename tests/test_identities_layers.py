"""Identities 46 to 55: convolution, normalisation, stable losses, Lipschitz constants, spectral normalisation, Adam."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from identity import identity
from scipy import special

import minigan as mg
from minigan import ops, optim
from minigan.lessons.strategies import arrays, floats
from minigan.penalties import gradient_penalty
from minigan.theory import lipschitz

SEEDS = st.integers(0, 2**32 - 1)


def normal(seed, *shape):
    """Standard normal numbers: the identities hold for all values, and sizes and options are what hypothesis varies."""
    return np.random.default_rng(seed).standard_normal(shape)


@st.composite
def convolutions(draw):
    """(x, w, options): 1 or 2 spatial axes, any stride, dilation and padding whose kernel fits."""
    n = draw(st.integers(1, 2))
    kernel, stride, dilation = (tuple(draw(st.integers(1, 3)) for _ in range(n)) for _ in range(3))
    pads = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(n))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes = tuple(max(1, r - sum(p)) + draw(st.integers(0, 4)) for r, p in zip(reach, pads, strict=True))
    padding = draw(st.sampled_from(["same", pads, *(["valid"] if all(map(int.__le__, reach, sizes)) else [])]))
    seed, ins, outs = draw(SEEDS), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x, w = normal(seed, draw(st.integers(1, 2)), *sizes, ins), normal(seed + 1, *kernel, ins, outs)
    return x, w, {"stride": stride, "padding": padding, "dilation": dilation}


# -- convolution -----------------------------------------------------------------------------------------------------
@given(xw=convolutions(), seed=SEEDS)
@identity(
    46,
    "<conv x, y> = <x, conv_transpose y>, any stride, padding, dilation (relative to the sum of |terms|)",
    atol=1e-13,
)
def test_identity_46_conv_transpose_is_the_adjoint(see, xw, seed):
    x, w, options = xw
    image = ops.conv(x, w, **options).data
    y = normal(seed, *image.shape)
    size = (ops.conv(abs(x), abs(w), **options).data * abs(y)).sum() + 1e-300
    back = ops.conv_transpose(y, w, output_size=x.shape[1:-1], **options).data
    see.equal((image * y).sum() / size, (x * back).sum() / size)


@given(xw=convolutions(), seed=SEEDS)
@identity(46, "the derivative of <conv x, y> in x is conv_transpose y, in w conv_weight(x, y)", atol=1e-12)
def test_identity_46_the_adjoints_are_the_derivatives(see, xw, seed):
    x, w, options = xw
    tx, tw = mg.tensor(x, requires_grad=True), mg.tensor(w, requires_grad=True)
    image = ops.conv(tx, tw, **options)
    y = normal(seed, *image.shape)
    dx, dw = mg.grad(image, [tx, tw], y)
    see.equal(dx, ops.conv_transpose(y, w, output_size=x.shape[1:-1], **options))
    see.equal(dw, ops.conv_weight(x, y, kernel_size=w.shape[:-2], **options))


# -- normalisation ---------------------------------------------------------------------------------------------------
EPS = floats(1e-5, 1.0)


@given(shape=st.tuples(st.integers(2, 16), st.integers(1, 4)), seed=SEEDS, eps=EPS)
@identity(47, "batch norm, s = sqrt(v + eps): dx = (g/s)(dy - mean dy - xh mean(dy xh)); sum dx = 0", atol=1e-12)
def test_identity_47_derivative_of_batch_norm(see, shape, seed, eps):
    x, dy, gamma, beta = normal(seed, *shape), normal(seed + 1, *shape), normal(seed + 2, shape[1]), np.zeros(shape[1])
    tx = mg.tensor(x, requires_grad=True)
    y = ops.batch_norm(tx, gamma, beta, eps=eps)
    s = np.sqrt(x.var(axis=0) + eps)
    xh = (x - x.mean(axis=0)) / s
    want = gamma / s * (dy - dy.mean(axis=0) - xh * (dy * xh).mean(axis=0))
    for create_graph in (False, True):  # the fused kernel, and the composite that higher orders go through
        dx = mg.grad(y, tx, dy, create_graph=create_graph).data
        see.equal(dx * s, want * s)  # times s: two samples may lie so near that 1/s is 300, and rounding grows with it
        see.equal((dx * s).sum(axis=0), 0.0)


@given(shape=st.tuples(st.integers(2, 16), st.integers(1, 4)), seed=SEEDS, eps=EPS)
@identity(47, "batch norm: sum dx xh = (g/s)(sum dy xh) eps/(v + eps)", atol=1e-12)
def test_identity_47_length_is_felt_through_eps_only(see, shape, seed, eps):
    x, dy, gamma, beta = normal(seed, *shape), normal(seed + 1, *shape), normal(seed + 2, shape[1]), np.zeros(shape[1])
    tx = mg.tensor(x, requires_grad=True)
    dx = mg.grad(ops.batch_norm(tx, gamma, beta, eps=eps), tx, dy).data
    v = x.var(axis=0)
    s = np.sqrt(v + eps)
    xh = (x - x.mean(axis=0)) / s
    see.equal((dx * xh).sum(axis=0) * s, gamma * (dy * xh).sum(axis=0) * eps / (v + eps))


IMAGES = st.tuples(st.integers(1, 3), st.integers(2, 4), st.integers(1, 3), st.integers(1, 4))


@given(shape=IMAGES, seed=SEEDS, eps=EPS)
@identity(48, "GN(1) = LN over HWC, value and gradient", atol=1e-12)
def test_identity_48_one_group_is_a_layer_norm_over_the_image(see, shape, seed, eps):
    n, c = shape[0], shape[-1]
    size = int(np.prod(shape[1:]))
    x, dy = mg.tensor(normal(seed, *shape), requires_grad=True), normal(seed + 1, *shape)
    gamma, beta = normal(seed + 2, c), normal(seed + 3, c)
    grouped = ops.group_norm(x, gamma, beta, groups=1, eps=eps)
    wide = [np.tile(a, size // c) for a in (gamma, beta)]
    layered = ops.layer_norm(x.reshape(n, size), *wide, eps=eps)
    see.equal(grouped.data.reshape(n, size), layered)
    see.equal(mg.grad(grouped, x, dy), mg.grad(layered, x, dy.reshape(n, size)))


@given(shape=IMAGES, seed=SEEDS, eps=EPS)
@identity(48, "GN(C) = IN, which is BN of each image by itself", atol=1e-12)
def test_identity_48_a_group_a_channel_is_an_instance_norm(see, shape, seed, eps):
    x, gamma, beta = normal(seed, *shape), normal(seed + 1, shape[-1]), normal(seed + 2, shape[-1])
    grouped = ops.group_norm(x, gamma, beta, groups=shape[-1], eps=eps)
    see.equal(grouped, ops.instance_norm(x, gamma, beta, eps=eps))
    see.equal(grouped, np.stack([ops.batch_norm(image, gamma, beta, eps=eps).data for image in x]))


@given(shape=st.tuples(st.integers(3, 16), st.integers(1, 4)), seed=SEEDS, a=floats(0.1, 10.0), b=floats(-3.0, 3.0))
@identity(
    48,
    "BN(a x + b) = BN(x) for a > 0, eps = 0; the same numbers with the other sign for a < 0",
    atol=1e-12,
    corrected="needs a variance that is not 0 in each channel; a < 0 is added",
)
def test_identity_48_batch_norm_forgets_scale_and_shift(see, shape, seed, a, b):
    # Evenly spaced values in random order, so that no channel's variance is near 0 and makes rounding large.
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(shape[0])[:, None], shape[1]), axis=0)
    x, one, zero = order / shape[0], np.ones(shape[1]), np.zeros(shape[1])
    plain = ops.batch_norm(x, one, zero, eps=0.0).data
    see.equal(ops.batch_norm(a * x + b, one, zero, eps=0.0), plain)
    see.equal(ops.batch_norm(-a * x + b, one, zero, eps=0.0), -plain)


# -- stable losses ---------------------------------------------------------------------------------------------------
@given(logits=arrays(5, -30, 30), labels=arrays(5, 0, 1))
@identity(
    49, "BCE(l, y) = max(l,0) - l y + log1p(exp(-|l|)) = -y log s(l) - (1-y) log s(-l); gradient s(l) - y", atol=1e-12
)
def test_identity_49_bce_on_logits(see, logits, labels):
    tensor = mg.tensor(logits, requires_grad=True)
    value = ops.bce_with_logits(tensor, labels)
    see.equal(value, np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-abs(logits))))
    see.equal(value, -labels * np.log(special.expit(logits)) - (1 - labels) * np.log(special.expit(-logits)))
    see.equal(mg.grad(value.sum(), tensor), special.expit(logits) - labels)
    see.equal(mg.losses.bce_with_logits(tensor, labels), value.data.mean())


@given(exponent=floats(0, 300), sign=st.sampled_from([-1.0, 1.0]), label=floats(0, 1))
@identity(49, "BCE is finite to |l| = 1e300 (relative to max(1, |l|)), gradient s(l) - y", atol=1e-12)
def test_identity_49_finite_to_1e300(see, exponent, sign, label):
    logit = mg.tensor(np.array([sign * 10.0**exponent, sign * 1e300]), requires_grad=True)
    labels = np.full(2, label)
    value = ops.bce_with_logits(logit, labels)
    size = np.maximum(1.0, abs(logit.data))
    see.true(np.isfinite(value.data))
    see.equal(value.data / size, np.logaddexp(0.0, logit.data) / size - logit.data / size * labels)
    see.equal(mg.grad(value.sum(), logit), special.expit(logit.data) - labels)


@given(x=st.one_of(arrays(6, -50, 50), arrays(6, -1e300, 1e300)))
@identity(50, "softplus(x) - softplus(-x) = x; hence s(x) + s(-x) = 1 for the derivatives", atol=1e-12)
def test_identity_50_softplus(see, x):
    tensor = mg.tensor(x, requires_grad=True)
    difference = ops.softplus(tensor) - ops.softplus(-tensor)
    see.equal(difference, x)
    see.equal(mg.grad(difference.sum(), tensor), 1.0)


# -- Lipschitz constants ---------------------------------------------------------------------------------------------
MATRICES = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(shape=MATRICES, seed=SEEDS)
@identity(51, "dense: |x W - y W| <= sigma_max |x - y|, attained at the leading singular vector", atol=1e-12)
def test_identity_51_dense_constant(see, shape, seed):
    w, (x, y) = normal(seed, *shape), normal(seed + 1, 2, 20, shape[0])
    constant = lipschitz.dense_lipschitz(w)
    moved = ops.dense(x, w).data - ops.dense(y, w).data
    see.below(np.linalg.norm(moved, axis=1), constant * np.linalg.norm(x - y, axis=1))
    worst = np.linalg.svd(w)[0][:, :1].T
    see.equal(np.linalg.norm(ops.dense(worst, w).data), constant)


@given(shape=MATRICES, seed=SEEDS, steps=st.integers(1, 50))
@identity(51, "the power iterate never exceeds sigma_max, and never falls from step to step", atol=1e-12)
def test_identity_51_power_iterate_is_a_lower_bound(see, shape, seed, steps):
    w, start = normal(seed, *shape), normal(seed + 1, shape[1])
    sigma, _, v = ops.power_iteration(w, start, steps=steps)
    see.below(sigma, lipschitz.dense_lipschitz(w))
    see.below(sigma, ops.power_iteration(w, v).sigma)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    seed=SEEDS,
    name=st.sampled_from(["relu", "leaky_relu", "tanh", "sigmoid", "softplus"]),
)
@identity(51, "a network's constant is at most the product of sigma_max, activations 1-Lipschitz", atol=0.0, rtol=1e-12)
def test_identity_51_network_bound(see, sizes, seed, name):
    weights = [normal(seed + i, a, b) for i, (a, b) in enumerate(pairwise(sizes))]

    def network(x):
        for w in weights:
            x = ops.dense(x, w, activation=name)
        return x

    bound = lipschitz.network_bound(weights)
    x, y = normal(seed + 9, 2, 20, sizes[0])
    moved = np.linalg.norm(network(x).data - network(y).data, axis=1)
    see.below(moved, bound * np.linalg.norm(x - y, axis=1))
    local = mg.jacobian(lambda t: network(t.reshape(1, -1)).reshape(-1), x[0]).data
    see.below(np.linalg.norm(local, 2), bound)


# -- spectral normalisation ------------------------------------------------------------------------------------------
@st.composite
def weights_with_gap(draw):
    """A dense or convolution weight whose largest singular value is at least 1.25 times the next: there sigma is smooth."""
    shape = draw(st.sampled_from([(4, 3), (3, 4), (5, 5), (2, 2, 2, 3), (3, 1, 4)]))
    w = normal(draw(SEEDS), *shape)
    left, values, right = np.linalg.svd(w.reshape(-1, shape[-1]), full_matrices=False)
    values = np.array([draw(floats(0.5, 2.0)), *(0.4 * draw(floats(0.0, 1.0)) for _ in values[1:])])
    return (left * values @ right).reshape(shape)


def unit_spectral(w):
    return w / np.linalg.norm(w.reshape(-1, w.shape[-1]), 2)


@given(w=weights_with_gap(), seed=SEEDS)
@identity(52, "d<G, W/s>/dW = (G - <G, Wb> u v^T)/s: of the true W/sigma(W), by central differences", atol=1e-7)
def test_identity_52_derivative_of_the_normalised_weight(see, w, seed):
    g = normal(seed, *w.shape)
    tensor = mg.tensor(w, requires_grad=True)
    s, u, v = ops.power_iteration(tensor, np.linalg.svd(w.reshape(-1, w.shape[-1]))[2][0], steps=1)
    found = mg.grad(ops.spectral_normalize(tensor, u, v), tensor, g).data
    formula = (g - (g * unit_spectral(w)).sum() * np.outer(u.data, v.data).reshape(w.shape)) / s.item()
    see.equal(found, formula)
    direction, h = normal(seed + 1, *w.shape), 1e-5
    direction /= np.linalg.norm(direction)  # the error of the difference grows with its cube
    change = (unit_spectral(w + h * direction) - unit_spectral(w - h * direction)) / (2 * h)
    see.equal((found * direction).sum(), (g * change).sum())


@given(shape=st.sampled_from([(4, 3), (2, 6), (2, 2, 2, 3)]), seed=SEEDS, steps=st.integers(1, 3))
@identity(52, "<grad, W> = 0, also before the power iteration has converged (times s)", atol=1e-12)
def test_identity_52_the_gradient_does_not_lengthen_the_weight(see, shape, seed, steps):
    w, g = mg.tensor(normal(seed, *shape), requires_grad=True), normal(seed + 1, *shape)
    s, u, v = ops.power_iteration(w, normal(seed + 2, shape[-1]), steps=steps)
    found = mg.grad(ops.spectral_normalize(w, u, v), w, g).data
    see.equal((found * w.data).sum() * s.item(), 0.0)


@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    channels=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    size=st.integers(3, 5),
    padding=st.sampled_from(["same", "valid", 1]),
    seed=SEEDS,
)
@identity(53, "stride 1: the norm of a convolution is at most sqrt(kh kw) ||W reshaped||", atol=0.0, rtol=1e-12)
def test_identity_53_norm_of_a_convolution(see, kernel, channels, size, padding, seed):
    w = normal(seed, *kernel, *channels)
    exact = lipschitz.conv_lipschitz(w, size, padding=padding)
    see.below(exact, lipschitz.conv_norm_bound(w))
    see.equal(lipschitz.conv_norm_bound(w), np.sqrt(np.prod(kernel)) * lipschitz.reshaped_norm(w))
    x = normal(seed + 1, 1, size, size, channels[0])
    see.below(np.linalg.norm(ops.conv(x, w, padding=padding).data), exact * np.linalg.norm(x))


@given(size=st.integers(2, 12), scale=floats(0.1, 10.0))
@identity(
    53, "||W reshaped|| alone is no bound: ones of width 3 give 1 + 2 cos(pi/(n+1)) > sqrt 3 on n positions", atol=1e-12
)
def test_identity_53_the_reshaped_norm_is_no_bound(see, size, scale):
    w = scale * np.ones((3, 1, 1))
    exact = lipschitz.conv_lipschitz(w, size)  # the tridiagonal Toeplitz matrix of ones: its eigenvalues are known
    see.equal(exact / scale, 1 + 2 * np.cos(np.pi / (size + 1)))
    see.equal(lipschitz.reshaped_norm(w) / scale, np.sqrt(3))
    see.true(exact > 1.15 * lipschitz.reshaped_norm(w))


# -- gradient penalty ------------------------------------------------------------------------------------------------
@given(dim=st.integers(1, 6), count=st.integers(1, 5), seed=SEEDS, length=floats(0.1, 3.0))
@identity(54, "linear critic: GP = (|w| - 1)^2, gradient 2(|w| - 1) w/|w|, wherever the samples lie", atol=1e-12)
def test_identity_54_gradient_penalty_of_a_linear_critic(see, dim, count, seed, length):
    direction = normal(seed, dim)
    w = mg.tensor(length * direction / np.linalg.norm(direction), requires_grad=True)
    real, fake, uniform = normal(seed + 1, count, dim), normal(seed + 2, count, dim), np.linspace(0, 1, count)
    penalty = gradient_penalty(lambda x: x @ w + 3.0, real, fake, uniform=uniform)
    see.equal(penalty, (length - 1) ** 2)
    see.equal(mg.grad(penalty, w), 2 * (length - 1) * w.data / length)


@given(dim=st.integers(1, 4), seed=SEEDS, length=floats(0.1, 3.0))
@identity(
    54,
    "its Hessian is 2 w w^T/|w|^2 + 2 (1 - 1/|w|)(I - w w^T/|w|^2): below |w| = 1 the penalty is not convex",
    atol=1e-11,
)
def test_identity_54_hessian_of_the_penalty(see, dim, seed, length):
    # atol 1e-11: an element is made of terms of size 1/|w| <= 10, through a root and a division
    unit = normal(seed, dim)
    unit /= np.linalg.norm(unit)
    points = normal(seed + 1, 2, 3, dim)
    found = mg.hessian(lambda w: gradient_penalty(lambda x: x @ w, *points, uniform=0.5), length * unit)
    along = np.outer(unit, unit)
    see.equal(found, 2 * along + 2 * (1 - 1 / length) * (np.eye(dim) - along))


# -- Adam ------------------------------------------------------------------------------------------------------------
@given(
    g=arrays(6, -1e3, 1e3),
    lr=floats(1e-5, 1.0),
    eps=floats(1e-10, 1e-2),
    beta1=floats(0.0, 0.99),
    beta2=floats(0.0, 0.9999),
)
@identity(55, "Adam's first step = -lr g/(|g| + eps), for all beta1, beta2 (relative to lr)", atol=1e-12)
def test_identity_55_first_step_of_adam(see, g, lr, eps, beta1, beta2):
    p = mg.tensor(np.zeros(6), requires_grad=True)
    optim.Adam([p], lr=lr, beta1=beta1, beta2=beta2, eps=eps).step([mg.grad((p * g).sum(), p)])
    see.equal(p.data / lr, -g / (abs(g) + eps))
    see.below(abs(p.data), lr * (1 + 1e-12))
