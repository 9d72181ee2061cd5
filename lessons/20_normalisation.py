# %% [markdown]
# # 20. Normalisation: batch, instance, layer, group
#
# Four layers, one formula: subtract a mean, divide by a standard deviation. They differ in *whose* mean. The choice
# decides whether samples of a batch know of each other, and in a GAN that decides a good deal: what a critic can see,
# what a penalty can grip, and what comes out when the finished generator is asked for something.
#
# You need: lessons 1 and 17, a little linear algebra.
#
# **Predict first.** A generator with batch norm gets noise and one of four labels, and learns four heaps. Then you ask
# for 200 samples of one label, and forget to switch from training to evaluation. You get (a) that heap, a little
# noisier, (b) a mixture of all heaps, (c) the same points, whichever label you ask for?

# %%
import math

import numpy as np
from hypothesis import strategies as st

import minigan as mg
from minigan import losses, nn, ops, optim, penalties
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import COLOURS, GREY
from minigan.lessons.strategies import arrays, floats

heaps = 1.5 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)


def generator():
    layers = [
        nn.Dense(6, 48),
        nn.BatchNorm(48),
        nn.ReLU(),
        nn.Dense(48, 48),
        nn.BatchNorm(48),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers, nn.Dense(48, 2))


def train(steps, seed=0):
    """A generator of points with a label: rows of 2 normal numbers and 4 of which one is 1."""
    source, pair = mg.random.Source(seed), losses.non_saturating
    hidden = {"activation": "leaky_relu", "init": "he"}
    D = nn.Sequential(nn.Dense(6, 48, **hidden), nn.Dense(48, 48, **hidden), nn.Dense(48, 1))
    G, D = generator().initialize(source, "G"), D.initialize(source, "D")
    join = lambda a, b: ops.concatenate([a, b], axis=1)
    fakes = lambda y: join(G(join(source.normal((len(y), 2), stream="z"), y)), y)

    def loss_d(batch):
        real = join(batch["x"], batch["y"])
        value = pair.discriminator(D(real), D(fakes(batch["y"])))
        return value + penalties.r1(D, real, gamma=0.1)

    adam = lambda network: optim.Adam(network, lr=2e-3, beta1=0.0, beta2=0.99)
    loss_g = lambda batch: pair.generator(D(fakes(batch["y"])))
    players = [mg.Player("D", loss_d, adam(D)), mg.Player("G", loss_g, adam(G))]
    game, draw = mg.Game(players, random=source, replay=True), np.random.default_rng(seed)
    for _ in range(steps):
        labels = draw.integers(4, size=128)
        x = heaps[labels] + 0.15 * draw.standard_normal((128, 2)).astype(np.float32)
        game.step({"x": x, "y": np.eye(4, dtype=np.float32)[labels]})
    return G


def asked(G, label, training):
    """200 points of one label, from the same noise each time, in training or in evaluation."""
    z = mg.random.normal((200, 2), seed=5, stream="asked").data
    batch = np.concatenate([z, np.tile(np.eye(4, dtype=np.float32)[label], (200, 1))], axis=1)
    for layer in (G.train(training)[1], G[4]):
        layer.update = False
    with mg.no_grad():
        return G(batch).numpy()


G = train(sized(800, 350))
modes = {"evaluation": False, "training": True}
points = {name: [asked(G, label, mode) for label in range(4)] for name, mode in modes.items()}

# %%
fig, axes = figure(1, 2, width=7.0, height=3.2, sharex=True, sharey=True)
for ax, (name, clouds) in zip(axes, points.items(), strict=True):
    ax.plot(*heaps.T, "o", color=GREY, markersize=22, alpha=0.35)
    for label, (cloud, marker) in enumerate(zip(clouds, "osD^", strict=True)):
        ax.plot(*cloud.T, marker, color=COLOURS[label], markersize=6 - label, linestyle="", alpha=0.5,
                label=f"label {label}")  # fmt: skip
    ax.set(title=f"one label asked, in {name}", aspect="equal")
axes[0].legend(fontsize=8, loc="center")
show(fig, "asked",
     alt="In evaluation each label gives its heap; in training mode all four labels give the same points.")  # fmt: skip

# %% [markdown]
# (c), to the last digit. The label adds one row of the first weight to *every* sample of the batch, and batch norm
# subtracts what a batch has in common: for any $a > 0$ and $b$
#
# $$ \operatorname{BN}(a\,x + b) = \operatorname{BN}(x) \qquad (\varepsilon = 0) . \tag{20.1} $$
#
# In mixed batches the label differs from row to row and passes. Sample in evaluation.
#
# ## 1. One formula
#
# Let $A$ be a set of axes, $\mu_A$ and $v_A$ mean and variance over them. Then
#
# $$ \hat x = \frac{x - \mu_A(x)}{\sqrt{v_A(x) + \varepsilon}}, \qquad y = \gamma\,\hat x + \beta, \tag{20.2} $$
#
# with $\gamma, \beta$ for each channel. For images $(N, H, W, C)$:
#
# | layer | mean over | a sample sees others? | what it forgets |
# |---|---|---|---|
# | batch | $N, H, W$ | yes | scale and shift of a channel in the batch |
# | instance | $H, W$ | no | those of each image's channel: contrast, colour |
# | layer | $H, W, C$ | no | those of each image |
# | group | $H, W$, and channels of a group | no | those of each group |
#
# Group norm with one group is layer norm, with $C$ groups instance norm. (In [`LayerNorm`](../minigan/nn/norm.py#LayerNorm),
# as in transformers, the mean is over the last axis only.)

# %%
random = np.random.default_rng(0)
images = random.standard_normal((4, 5, 5, 6)) * np.arange(1, 7) + np.arange(6)
one, zero = np.ones(6), np.zeros(6)
unit = lambda x, axes, eps=0.0: (
    (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
)
shifted = ops.batch_norm(3.7 * images + random.standard_normal(6), one, zero, eps=0.0)
check("20.1", "BN(a x + b) = BN(x)", shifted, ops.batch_norm(images, one, zero, eps=0.0), atol=1e-12,
      identity=48)  # fmt: skip
same = np.abs(points["training"][0] - points["training"][2]).max()
check("20.1a", "in training all labels give the same points", same, 0, atol=1e-3)
centres = np.array([cloud.mean(axis=0) for cloud in points["evaluation"]])
check("20.1b", "in evaluation each gives its heap", np.linalg.norm(centres - heaps, axis=1), 0.4,
      atol=0, relation="<=")  # fmt: skip
norms = {
    "batch": (ops.batch_norm(images, one, zero, eps=0.1), unit(images, (0, 1, 2), 0.1)),
    "instance": (ops.instance_norm(images, one, zero, eps=0.1), unit(images, (1, 2), 0.1)),
    "layer": (ops.group_norm(images, one, zero, groups=1, eps=0.1), unit(images, (1, 2, 3), 0.1)),
    "group": (ops.group_norm(images, one, zero, groups=2, eps=0.1),
              unit(images.reshape(4, 5, 5, 2, 3), (1, 2, 4), 0.1).reshape(images.shape)),
}  # fmt: skip
for letter, (name, (by_engine, by_axes)) in zip("abcd", norms.items(), strict=True):
    check(f"20.2{letter}", f"{name} norm by its axes", by_engine, by_axes, atol=1e-13)

# %% [markdown]
# > **Aside: for each sample?** Article S2, appendix B, calls instance norm "batch norm for each sample". It is for each
# > sample *and channel*, and that is the point: it forgets the contrast and colour of each image, which style transfer
# > wants and a critic may miss. With $a_{nc} > 0$,
# >
# > $$ \operatorname{IN}(a_{nc}\,x + b_{nc}) = \operatorname{IN}(x), \qquad
# > \operatorname{LN}(a_{nc}\,x + b_{nc}) \ne \operatorname{LN}(x) . \tag{20.3} $$
#
# ## 2. The derivative is a projection
#
# Take the $m$ numbers that share a mean as a vector $x$, $s = \sqrt{v + \varepsilon}$. All of them move $\mu$ and $s$:
# $d\mu = \frac1m\mathbf 1^\top dx$, and $s\,ds = \frac1m(x - \mu)^\top dx$. Hence
#
# $$ d\hat x = J\,dx, \qquad J = \frac1s\left(I - \frac{\mathbf 1\mathbf 1^\top}m - \frac{\hat x\hat x^\top}m\right) ,
# \tag{20.4} $$
#
# and the gradient, as $J = J^\top$, with $g$ the gradient in $\hat x$ (a hat carries no $\gamma$):
#
# $$ \nabla_x = \frac1s\left(g - \overline{g} - \hat x\;\overline{g\hat x}\right), \qquad
# \langle\nabla_x, \mathbf 1\rangle = 0, \qquad
# \langle\nabla_x, \hat x\rangle = \frac{\langle g, \hat x\rangle}{s}\,\frac{\varepsilon}{v + \varepsilon} . \tag{20.5} $$
#
# For $\varepsilon = 0$, $sJ$ *projects*: it takes away what shifts and what stretches the batch, two of $m$ dimensions,
# and leaves the rest. Treat $\mu$ and $s$ as constants, and the gradient is just $g/s$: wrong, and a popular bug.
# Once more for a penalty. Differentiate $J$ along $k$, with $ds = \hat x^\top k/m$:
#
# $$ d^2\hat x[h, k] = -\frac1{sm}\left((\hat x^\top k)\,Jh + (\hat x^\top h)\,Jk + (h^\top Jk)\,\hat x\right) . \tag{20.6} $$

# %%
scale, shift = random.uniform(0.5, 2, (4, 1, 1, 6)), random.standard_normal((4, 1, 1, 6))
plain = lambda x: ops.instance_norm(x, one, zero, eps=0.0).data
check("20.3", "instance norm forgets contrast and colour", plain(scale * images + shift), plain(images),
      atol=1e-12, errata="S2.13")  # fmt: skip
whole = lambda x: ops.group_norm(x, one, zero, groups=1, eps=0.0).data
check("20.3a", "layer norm does not", whole(scale * images + shift), whole(images), atol=0.1,
      relation="!=")  # fmt: skip
m, eps = 7, 0.3
x, g, k = random.standard_normal((3, m))
normalise = lambda t, e=eps: ops.batch_norm(ops.reshape(t, (-1, 1)), np.ones(1), np.zeros(1), eps=e)
s = math.sqrt(x.var() + eps)
hat = (x - x.mean()) / s
J = (np.eye(m) - np.ones((m, m)) / m - np.outer(hat, hat) / m) / s
by_engine = mg.jacobian(lambda t: ops.reshape(normalise(t), (-1,)), x)
check("20.4", "the Jacobian", by_engine, J, atol=1e-13)
sharp = (x - x.mean()) / x.std()
P = np.eye(m) - np.ones((m, m)) / m - np.outer(sharp, sharp) / m
check("20.4a", "ε = 0: a projection", [P @ P, P], [P, x.std() * mg.jacobian(
    lambda t: ops.reshape(normalise(t, 0.0), (-1,)), x).data], atol=1e-13)  # fmt: skip
check("20.4b", "which leaves m − 2 dimensions", np.trace(P), m - 2, atol=1e-13)
leaf = mg.tensor(x, requires_grad=True)
back = mg.grad(ops.sum(ops.reshape(normalise(leaf), (-1,)) * g), leaf).data
check("20.5", "the gradient", back, (g - g.mean() - hat * (g * hat).mean()) / s, atol=1e-13)
check("20.5a", "against shifts and stretches", [back.sum(), back @ (x - x.mean())],
      [0, g @ hat * eps / (x.var() + eps)], atol=1e-13, identity=47)  # fmt: skip
check("20.5b", "statistics held still: another gradient", g / s, back, atol=0.1, relation="!=")
first = mg.grad(ops.sum(ops.reshape(normalise(leaf), (-1,)) * g), leaf, create_graph=True)
second = mg.grad(ops.sum(first * k), leaf).data  # g · d²x̂[·, k]
of_both = lambda h: -((hat @ k) * (J @ h) + (hat @ h) * (J @ k) + (h @ J @ k) * hat) / (s * m)
check("20.6", "the second derivative", second, [g @ of_both(e) for e in np.eye(m)], atol=1e-13)

# %% [markdown]
# > **Aside: batch norm behind tanh.** Article S1, section 4, puts batch norm *after* tanh, as the last layers of the
# > generator. Pixels are to lie in $[-1, 1]$. But normalised numbers have mean square 1, so unless all are $\pm1$ some
# > are larger, up to
# >
# > $$ 1 \le \max_i|\hat x_i| \le \sqrt{m - 1} . \tag{20.7} $$
#
# ## 3. A weight without length
#
# Let batch norm follow $xW$. By (20.1) it does not feel the length of $W$, so with the loss $L$
#
# $$ L(aW) = L(W), \qquad \nabla L(aW) = \tfrac1a\nabla L(W), \qquad \langle\nabla L(W), W\rangle = 0, \tag{20.8} $$
#
# and (18.5) holds again: each step of gradient descent lengthens $W$. What matters is its direction, and that moves by the
# angle $h\lVert\nabla L\rVert/\lVert W\rVert = h\,\tilde g/\lVert W\rVert^2$, with $\tilde g$ the gradient at length 1: an
# *effective learning rate* $h/\lVert W\rVert^2$ that falls as $W$ grows. Add weight decay, $W \leftarrow (1 - h\lambda)W$. It
# cannot shrink the function. It sets the rate. Growth $h^2\tilde g^2/\lVert W\rVert^2$ and decay
# $2h\lambda\lVert W\rVert^2$ balance (to first order) at
#
# $$ \lVert W\rVert^4 = \frac{h\,\tilde g^2}{2\lambda}, \qquad \text{angle of a step} = \sqrt{2h\lambda} , \tag{20.9} $$
#
# whatever the size of the gradient. (For Adam the powers differ, the effect does not.)

# %%
after_tanh = np.tanh(random.standard_normal(m))
extreme = np.eye(m)[0]
largest = [np.abs(unit(t, 0)).max() for t in (after_tanh, extreme)]
check(
    "20.7", "normalised numbers leave [−1, 1]", largest[0], 1, atol=0, relation=">=", errata="S1.6"
)
check(
    "20.7a",
    "at most √(m − 1), by one number unlike the rest",
    largest[1],
    math.sqrt(m - 1),
    atol=1e-13,
)
data, target = random.standard_normal((64, 5)), random.standard_normal((64, 3))
loss = lambda W: ops.mean(
    ops.square(ops.batch_norm(data @ W, np.ones(3), np.zeros(3), eps=0.0) - target)
)
W = mg.tensor(random.standard_normal((5, 3)), requires_grad=True)
longer = mg.tensor(2.5 * W.data, requires_grad=True)
here, there = mg.grad(loss(W), W).data, mg.grad(loss(longer), longer).data
check("20.8", "the loss does not feel length", loss(longer), loss(W), atol=1e-13)
check("20.8a", "the gradient falls with it", there, here / 2.5, atol=1e-13)
check("20.8b", "and is at right angles to W", np.sum(here * W.data), 0, atol=1e-13)
rate, decay, size = 0.02, 0.05, 3.0
w = np.ones(20)
for _ in range(sized(6000, 3000)):  # gradients at right angles to w, of size g/‖w‖
    step = random.standard_normal(20)
    step -= (step @ w) / (w @ w) * w
    moved = w * (1 - rate * decay) - rate * size / np.linalg.norm(w) * step / np.linalg.norm(step)
    angle = math.acos(min(1, moved @ w / np.linalg.norm(moved) / np.linalg.norm(w)))
    w = moved
check("20.9", "‖W‖⁴ in balance", (w @ w) ** 2, rate * size**2 / (2 * decay), atol=0, rtol=0.01)
check("20.9a", "the angle of a step", angle, math.sqrt(2 * rate * decay), atol=0, rtol=0.01)

# %% [markdown]
# ## 4. In a discriminator
#
# Reals and fakes usually come as two batches. By (20.1) a critic whose first layer is batch norm gives the *same* scores
# for fakes that are wrong in scale and shift of each feature: it is blind to them. In one mixed batch it can see them, but
# then each score depends on all others,
#
# $$ \frac{\partial\hat x_i}{\partial x_j} = -\frac{1 + \hat x_i\hat x_j}{s\,m} \qquad (i \ne j), \tag{20.10} $$
#
# and there is no function $D(x)$ of one sample whose optimum lesson 7 could speak about. The gradient penalty breaks down.
# It takes $\nabla_{x_i}\sum_j D_j$ for $\nabla_{x_i} D_i$, which is right when $D_j$ does not contain $x_i$. With
# $D = w\,\operatorname{BN}(x)$ the sum is 0 whatever the batch, and by (20.5)
#
# $$ \nabla_{x_i}\sum_j D_j = 0: \qquad P = (0 - 1)^2 = 1, \quad R_1 = 0, \quad\text{and no gradient in } w . \tag{20.11} $$
#
# The penalty is there, costs time, and pulls at nothing. Gulrajani et al. (2017, section 4) therefore advise layer norm.

# %%
critic = nn.Sequential(nn.BatchNorm(2), nn.Dense(2, 8, activation="tanh"), nn.Dense(8, 1)).astype(
    np.float64
)
critic.initialize(mg.random.Source(1), "critic")
critic[0].eps = 0.0
real = random.standard_normal((32, 2))
wrong = 0.1 * real + [5.0, -3.0]
check(
    "20.10",
    "one sample's number in another's",
    J[0, 3],
    -(1 + hat[0] * hat[3]) / (s * m),
    atol=1e-14,
)
scores = [critic(batch).data for batch in (real, wrong)]
check("20.10a", "apart: fakes far off, the same scores", scores[1], scores[0], atol=1e-12)
mixed = critic(np.concatenate([real, wrong])).data
check("20.10b", "together: others", mixed[32:], mixed[:32], atol=0.1, relation="!=")
weight = mg.tensor(np.array([[0.7], [-1.1]]), requires_grad=True)
blind = lambda t: ops.batch_norm(t, np.ones(2), np.zeros(2), eps=0.0) @ weight
seeing = lambda t: ops.layer_norm(t, np.ones(2), np.zeros(2), eps=0.1) @ weight
penalty = lambda D: penalties.gradient_penalty(D, real, wrong, uniform=random.uniform(size=32))
felt = mg.grad(penalty(blind), weight).data.ravel()
check("20.11", "batch norm: P = 1, R1 = 0, no gradient",
      [penalty(blind).item(), penalties.r1(blind, real, gamma=2.0).item(), *felt], [1, 0, 0, 0], atol=1e-10)  # fmt: skip
alone = [penalties.gradient_norm(seeing, real[i : i + 1]).item() for i in range(32)]
check(
    "20.11a",
    "layer norm: in a batch as alone",
    penalties.gradient_norm(seeing, real),
    alone,
    atol=1e-12,
)

# %% [markdown]
# ## 5. Training and evaluation
#
# In training a sample is normalised with the luck of its batch. A fixed $x$ among $m$ other, normal numbers becomes
# $\hat x$ with a spread: the mean of the batch has variance $\sigma^2/m$, the logarithm of its deviation $1/2m$, so
#
# $$ \operatorname{Var}\,\hat x \approx \frac1m\left(1 + \frac{\hat x^2}2\right) . \tag{20.12} $$
#
# A noise that regularises, and goes away in evaluation, where **running averages** take over,
# $r \leftarrow (1 - \rho)\,r + \rho\,\mu_{\text{batch}}$. From $r_0$ and over independent batches
#
# $$ \mathbb{E}\,r_t - \mu = (1 - \rho)^t\,(r_0 - \mu), \qquad
# \operatorname{Var}\,r_t \to \frac{\rho}{2 - \rho}\,\frac{\sigma^2}m . \tag{20.13} $$
#
# With $\rho = 0.1$ the memory is some ten batches, and a network that learns quickly runs away from it. The **gap** between
# the two modes is easy to measure, and worth measuring before one compares samples.
#
# > **Aside: two modes, two laws.** Article S4's program makes fakes for the discriminator in evaluation and for the
# > generator in training. Then $D$ judges one law and $G$ improves another:
# >
# > $$ G_{\text{eval}}(z) \ne G_{\text{train}}(z) . \tag{20.14} $$

# %%
size, at, repeats = 400, 2.0, sized(400_000, 200_000)
means = random.standard_normal(repeats) / math.sqrt(size)
variances = (
    random.chisquare(size - 1, repeats) / size
)  # mean and variance of a normal batch are independent
seen = (at - means) / np.sqrt(variances)
check("20.12", "Var x̂ ≈ (1 + x̂²/2)/m", seen.var(), (1 + at**2 / 2) / size, atol=0, rtol=0.025)
layer = nn.BatchNorm(1, momentum=0.1).astype(np.float64)
for _ in range(25):
    layer(np.array([[1.0], [3.0]]))  # every batch has mean 2
check("20.13", "what is left of the start", layer.running_mean, 2 + 0.9**25 * (0 - 2), atol=1e-12)
run, found = np.zeros(40_000), []
for _ in range(sized(300, 120)):
    run = 0.9 * run + 0.1 * random.standard_normal(40_000) / math.sqrt(8)  # means of batches of 8
    found.append(run.var())
check(
    "20.13a", "the spread that stays", np.mean(found[60:]), 0.1 / (2 - 0.1) / 8, atol=0, rtol=0.02
)
noise = mg.random.normal((200, 2), seed=6, stream="gap").data
labels = np.eye(4, dtype=np.float32)[np.arange(200) % 4]
with mg.no_grad():
    by_mode = [
        G.train(mode)(np.concatenate([noise, labels], axis=1)).numpy() for mode in (False, True)
    ]
gaps = np.linalg.norm(by_mode[0] - by_mode[1], axis=1)
print(
    f"the same noise and mixed labels, evaluation against training: {gaps.mean():.3f} apart on average"
)
check(
    "20.14", "two modes, two laws", by_mode[0], by_mode[1], atol=0.01, relation="!=", errata="S4.7"
)

# %% [markdown]
# ## Exercises


# %%
def normalised(x, axes, eps):
    """x with mean 0 over the axes, divided by the square root of its variance over them plus eps."""
    # Hint: (20.2); keepdims=True.
    raise NotImplementedError


def normalised_property(answer, x, axes):
    y = np.asarray(answer(x, axes, 0.5))
    assert y.shape == x.shape, f"shape {y.shape}, expected {x.shape}"
    assert np.abs(y.mean(axis=axes)).max() < 1e-9, "a mean is not 0"
    v = x.var(axis=axes)
    assert np.abs(y.var(axis=axes) - v / (v + 0.5)).max() < 1e-9, f"variances {y.var(axis=axes)}"
    moved = np.sum((y - y.mean()) * (x - x.mean()))
    assert moved >= -1e-9, "it has turned the numbers round"


grade("20.E1", normalised, normalised_property, x=arrays((3, 2, 4), -3, 3),
      axes=st.sampled_from([(0,), (1, 2), (0, 1), (2,)]))  # fmt: skip


# %%
def backward(x, g):
    """The gradient in x, shape (m,), of Σ g x̂ for x̂ = (x − mean)/deviation (ε = 0)."""
    # Hint: (20.5). np.std is the deviation.
    raise NotImplementedError


def backward_property(answer, x, g):
    if x.std() < 0.2:
        return
    value = lambda t: g @ ((t - t.mean()) / t.std())
    want = [(value(x + 1e-5 * e) - value(x - 1e-5 * e)) / 2e-5 for e in np.eye(len(x))]
    got = np.asarray(answer(x, g))
    assert np.abs(got - want).max() < 1e-5, f"{got}, expected {np.round(want, 4)}"


grade("20.E2", backward, backward_property, x=arrays(4, -2, 2), g=arrays(4, -1, 1))


# %%
def folded(W, b, mean, var, gamma, beta, eps):
    """(W', b') of one dense layer that equals x W + b followed by batch norm in evaluation."""
    # Hint: in evaluation batch norm is a fixed scale and shift of each column.
    raise NotImplementedError


def folded_property(answer, W, b, mean, var, gamma):
    layer = nn.Sequential(nn.Dense(2, 3), nn.BatchNorm(3)).astype(np.float64).eval()
    beta, eps = np.array([0.5, -1.0, 2.0]), layer[1].eps
    for tensor, value in zip((layer[0].weight, layer[0].bias, layer[1].running_mean, layer[1].running_var,
                              layer[1].gamma, layer[1].beta), (W, b, mean, var, gamma, beta), strict=True):  # fmt: skip
        tensor.assign(value)
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, -3.0]])
    new_w, new_b = answer(W, b, mean, var, gamma, beta, eps)
    want = layer(x).data
    assert np.allclose(x @ new_w + new_b, want, rtol=1e-9, atol=1e-9), f"expected {want}"


grade("20.E3", folded, folded_property, W=arrays((2, 3), -2, 2), b=arrays(3, -2, 2),
      mean=arrays(3, -2, 2), var=arrays(3, 0.1, 2), gamma=arrays(3, -2, 2))  # fmt: skip


# %%
def updates_needed(momentum, share):
    """The least number of updates after which at most this share of the running mean is still its start."""
    # Hint: (20.13): (1 − ρ)^t. A logarithm, rounded up, or a loop.
    raise NotImplementedError


def updates_property(answer, momentum, share):
    t = answer(momentum, share)
    assert t == int(t) and t >= 1, f"{t} is no number of updates"
    left = [math.prod([1 - momentum] * n) for n in (int(t) - 1, int(t))]
    assert left[1] <= share * (1 + 1e-9), f"after {t} updates {left[1]} is left"
    assert left[0] > share * (1 - 1e-9), f"{t - 1} would do"


grade(
    "20.E4", updates_needed, updates_property, momentum=floats(0.01, 0.5), share=floats(1e-4, 0.4)
)

# %% [markdown]
# ## What to read next
#
# - S. Ioffe, C. Szegedy, *Batch Normalization* (2015, arXiv 1502.03167), section 3; Y. Wu, K. He, *Group Normalization*
#   (2018, arXiv 1803.08494), section 3: the table.
# - D. Ulyanov, A. Vedaldi, V. Lempitsky, *Instance Normalization* (2016, arXiv 1607.08022); J. Ba, J. Kiros, G. Hinton, *Layer
#   Normalization* (2016, arXiv 1607.06450).
# - T. van Laarhoven, *L2 Regularization versus Batch and Weight Normalization* (2017, arXiv 1706.05350): section 3.
# - T. Salimans et al., *Improved Techniques for Training GANs* (2016, arXiv 1606.03498), section 3.4: virtual batch
#   normalisation, against samples that know of each other.
