# %% [markdown]
# # 9. The MLP GAN in one and two dimensions
#
# Time to build one. Two small networks, two losses, two optimizers, one loop: this lesson assembles a GAN from
# minigan's parts and checks each part while it goes in. Then we train on the line, where the discriminator's output can
# be compared with the truth $\log p/q$, and in the plane, where we can watch the fakes move. On the way we try out what
# several popular articles leave out or get wrong, and see what happens.
#
# You need: the losses on logits (lessons 2 and 8), the optimal discriminator (lesson 7; repeated here in a line), and
# the pushforward (lesson 3).
#
# **Predict first.** Real points and fakes come from *exactly the same* law. A discriminator may study 16 real points,
# and as many fakes as it likes. Which share of those 16 will it call real in the end? And of 16 *fresh* real points?
# Write down two numbers. Section 7 answers.

# %%
import itertools
import math

import numpy as np
from scipy import special

import minigan as mg
from minigan import losses, nn, ops, optim
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLACK, BLUE, GREEN, GREY, ORANGE
from minigan.theory import divergences, transport

LOG2, LOG4 = math.log(2), math.log(4)
pair = losses.non_saturating


def softplus(x):
    """log(1 + e^x), in plain NumPy."""
    return np.logaddexp(0.0, x)


# %% [markdown]
# ## 1. Two networks
#
# A **multilayer perceptron** alternates matrices with a simple nonlinear function. With two hidden layers,
#
# $$ f(x) = \phi\left(\phi(x W_1 + b_1)\,W_2 + b_2\right) W_3 + b_3, \qquad
# \phi(y) = \begin{cases} y & y \ge 0 \\ a\,y & y < 0 \end{cases} \tag{9.1} $$
#
# where $x$ is a row, $W_k$ are matrices of weights, $b_k$ rows of biases, and $\phi$ is the leaky ReLU with slope
# $a = 0.2$, applied to each number. The generator $G$ is such an $f$ from noise to points; the discriminator $D$ is
# another from points to one logit. No sigmoid at the end: logits, never probabilities, leave a discriminator. minigan
# calls the layer [Dense](../minigan/nn/layers.py#Dense).


# %%
def perceptron(inputs, outputs, width=32):
    hidden = {"activation": "leaky_relu", "slope": 0.2, "init": "he"}
    return nn.Sequential(
        nn.Dense(inputs, width, **hidden),
        nn.Dense(width, width, **hidden),
        nn.Dense(width, outputs),
    )


net = perceptron(2, 1).astype(np.float64).initialize(9, "net")
x = mg.random.normal((5, 2), seed=9, stream="x", dtype=np.float64)
W1, b1, W2, b2, W3, b3 = (t.data for t in net.parameters().values())
leaky = lambda y: np.where(y >= 0, y, 0.2 * y)
by_hand = leaky(leaky(x.data @ W1 + b1) @ W2 + b2) @ W3 + b3
check("9.1", "Sequential of Dense layers = matrices in NumPy", net(x), by_hand, atol=1e-13)
print(net.summary((1, 2)))

# %% [markdown]
# ## 2. Where to start: the variance of the weights
#
# Weights start random, and their *scale* matters. Take one unit, $y = \sum_{i=1}^n w_i x_i$, with independent weights
# of mean 0 and variance $v$. Products of different weights average to 0, so
#
# $$ \mathbb{E}\,y^2 = n\,v\;\overline{x^2}, \qquad \overline{x^2} = \frac1n\sum_i x_i^2. \tag{9.2} $$
#
# Then $\phi$ acts. The law of $y$ is symmetric around 0 (if that of the weights is, as here): half of the time
# $\phi(y) = y$, half of the time $ay$. So
#
# $$ \mathbb{E}\,\phi(y)^2 = \frac{1 + a^2}{2}\,\mathbb{E}\,y^2. \tag{9.3} $$
#
# A layer thus multiplies the mean square by $n v (1 + a^2)/2$. Twenty layers multiply it by the twentieth power. It
# neither dies nor explodes if that factor is 1 (He et al. 2015):
#
# $$ v = \frac{2}{(1 + a^2)\,n} \tag{9.4} $$

# %%
n, v = 10, 0.03
inputs = mg.random.normal((n,), seed=9, stream="inputs", dtype=np.float64).data
# each weight is -√(v/2) with probability 2/3 and 2√(v/2) with 1/3: mean 0, variance v. All 2^n rows of weights:
heads = np.array(list(itertools.product([0, 1], repeat=n)))
w = math.sqrt(v / 2) * np.where(heads, 2, -1)
chance = np.where(heads, 1 / 3, 2 / 3).prod(axis=1)
check("9.2", "E y² = n v · mean x², over all rows of two-valued weights", chance @ (w @ inputs) ** 2,
      n * v * np.mean(inputs**2), atol=0, rtol=1e-12)  # fmt: skip
nodes, weights = np.polynomial.hermite_e.hermegauss(60)
weights = weights / weights.sum()
for a in (0.0, 0.2):
    square = np.sum(weights * np.where(nodes >= 0, nodes, a * nodes) ** 2)
    check("9.3", f"E φ(y)² = (1 + a²)/2 E y² for a = {a} (Gauss-Hermite)", square,
          (1 + a * a) / 2, atol=1e-13)  # fmt: skip
drawn = nn.Dense(40, 100_000, activation="leaky_relu", init=nn.init.he(0.2)).weight.data
check("9.4", "init.he(slope .2) draws weights of variance 2 / ((1 + a²) n)", drawn.var(),
      2 / (1.04 * 40), atol=0, rtol=0.002)  # fmt: skip

# %% [markdown]
# Watch it through 20 layers of 256 units. "Normal, .02" is the habit of convolutional GANs. Here it multiplies the mean
# square by $256 \cdot 0.02^2 \cdot 1.04/2 = 0.053$ at each layer, and after 20 layers nothing is left.
#
# (`init="he"` by name takes $a = 0$; the factor is then $1.04$ a layer, which is harmless.)


# %%
def mean_squares(init, layers=20, width=256):
    """The mean square of the activations after each layer, and of the loss's gradient in each layer's output."""
    stack = [nn.Dense(width, width, activation="leaky_relu", init=init) for _ in range(layers)]
    for k, layer in enumerate(stack):
        layer.initialize(9, f"layer {k}")
    h = [mg.random.normal((64, width), seed=9, stream="batch")]
    h[0].requires_grad = True
    for layer in stack:
        h.append(layer(h[-1]))
    grads = mg.grad(h[-1], h[:-1], mg.random.normal((64, width), seed=9, stream="cotangent"))
    return [float(np.mean(t.data.astype(np.float64) ** 2)) for t in h], [
        float(np.mean(g.data.astype(np.float64) ** 2)) for g in grads
    ]


# %%
he_forward, he_backward = mean_squares(nn.init.he(0.2))
dcgan_forward, dcgan_backward = mean_squares(nn.init.normal(0.02))
check("9.4a", "He: mean squares stay within a factor of 4 through 20 layers",
      np.abs(np.log(he_forward)), math.log(4), atol=0, relation="<=")  # fmt: skip
factors = []
for k in range(50):  # 50 single layers, each with a batch of its own
    layer = nn.Dense(256, 256, activation="leaky_relu", init=nn.init.normal(0.02))
    batch = mg.random.normal((128, 256), seed=9, stream="batches", step=k)
    out = layer.initialize(9, f"single {k}")(batch).data
    factors.append(np.mean(np.square(out)) / np.mean(np.square(batch.data)))
check("9.4b", "normal .02: the factor a layer is n v (1 + a²)/2", np.mean(factors),
      256 * 0.02**2 * 1.04 / 2, atol=0, rtol=0.003)  # fmt: skip
check("9.4e", "after 20 layers the mean square is less than 1e-24 of the input's",
      dcgan_forward[-1] / dcgan_forward[0], 1e-24, atol=0, relation="<=")  # fmt: skip

# %%
fig, ax = figure(height=2.9)
xavier_forward, _ = mean_squares(nn.init.xavier())
for name, series, colour, style in (
    ("He, slope .2", he_forward, BLUE, "-"),
    ("Xavier", xavier_forward, GREEN, "-."),
    ("normal, .02", dcgan_forward, ORANGE, "--"),
):
    ax.semilogy(series, color=colour, linestyle=style)
    ax.annotate(name, (20.2, series[-1]), color=colour, va="center", fontsize=9)
ax.set(xlabel="layer", ylabel="mean square", xlim=(0, 24.5), xticks=range(0, 21, 5))
show(
    fig,
    "variance",
    alt="Through 20 layers the mean square stays near 1 with He's variance, falls slowly with Xavier's and to 1e-26 with .02",
)

# %% [markdown]
# ### "Random initialisation" is no remedy
#
# Article S0 recommends random initialisation against local optima (section 2.3.1) and for a more stable training
# (section 5.1). But *every* curve of the last figure starts from random weights; what differs is their variance. And
# the gradient, on its way back through the layers, dies along the same curves.
#
# And there is a second vanishing that no choice of weights can cure. Where $D$ rejects a fake with confidence, the
# saturating generator loss $\log(1 - D) = -\operatorname{softplus}(\ell)$ has the derivative $-\sigma(\ell)$ in the
# logit:
#
# $$ \left|\frac{\partial}{\partial \theta} \log(1 - D(G_\theta(z)))\right|
# = \sigma(\ell)\,\left|\frac{\partial \ell}{\partial\theta}\right|,
# \qquad \sigma(-20) = 2 \cdot 10^{-9} \tag{9.5} $$
#
# We give $D$ a confident logit, $\ell = -20$, on all fakes and draw $G$ at random ten times.

# %%
check("9.4c", "random weights of the wrong scale: gradient gone at layer 1 (mean square ratio)",
      dcgan_backward[0] / dcgan_backward[-1], 1e-20, atol=0, relation="<=", errata="S0.11")  # fmt: skip
check("9.4d", "random weights of the right scale: it is not",
      abs(math.log(he_backward[0] / he_backward[-1])), math.log(6), atol=0, relation="<=")  # fmt: skip
ratios = []
for seed in range(10):
    G = perceptron(2, 2).astype(np.float64).initialize(seed, "G")
    names = list(G.parameters().values())
    logits = G(x)[:, 0] * 0.001 - 20.0  # a discriminator that rejects everything
    sizes = [
        math.sqrt(sum(float((g.data**2).sum()) for g in mg.grad(loss(logits), names)))
        for loss in (losses.saturating, losses.heuristic)
    ]
    ratios.append(sizes[0] / sizes[1])
check("9.5",
      "saturating over non-saturating gradient = σ(ℓ)/σ(−ℓ) = e^ℓ, for ten random starts",
      ratios, math.exp(-20), atol=0, rtol=0.01, errata="S0.11")  # fmt: skip

# %% [markdown]
# ## 3. One step of the game, by hand
#
# A step has two halves. First $D$ moves against its own loss with $G$ held still; then $G$ moves, against the *new*
# $D$. With plain gradient descent and step $h$:
#
# $$ \psi' = \psi - h\,\nabla_\psi L_D(\psi, \theta), \qquad \theta' = \theta - h\,\nabla_\theta L_G(\psi', \theta)
# \tag{9.6} $$
#
# where $\psi$ are $D$'s parameters, $\theta$ are $G$'s, and
#
# $$ \begin{aligned}
# L_D &= \mathbb{E}_{x}\operatorname{softplus}(-\ell(x)) + \mathbb{E}_{z}\operatorname{softplus}(\ell(G(z))), \\
# L_G &= \mathbb{E}_{z}\operatorname{softplus}(-\ell(G(z))).
# \end{aligned} \tag{9.7} $$
#
# In minigan a [Player](../minigan/player.py#Player) is a name, a loss and an optimizer, and a
# [Game](../minigan/game.py#Game) moves them in turn. Here is the whole thing.


# %%
def make(
    discriminator,
    generator,
    latent,
    *,
    adam=None,
    seed=0,
    dtype=np.float32,
    order=("D", "G"),
    after=(),
):
    """A game for D and G. `adam`: Adam's rates for D and G; None means plain descent with step .1."""
    source = mg.random.Source(seed, dtype=dtype)
    generator.astype(dtype).initialize(source, "G")
    discriminator.astype(dtype).initialize(source, "D")
    fake = lambda real, stream: generator(source.normal((len(real), latent), stream=stream))
    losses_of = {"D": lambda real: pair.discriminator(discriminator(real), discriminator(fake(real, "noise for D"))),
                 "G": lambda real: pair.generator(discriminator(fake(real, "noise for G")))}  # fmt: skip
    optimizers = {}
    for k, (name, network) in enumerate((("D", discriminator), ("G", generator))):
        optimizers[name] = (
            optim.Adam(network, lr=adam[k], beta1=0.5) if adam else optim.SGD(network, lr=0.1)
        )
    players = [mg.Player(name, losses_of[name], optimizers[name]) for name in order]
    return mg.Game(players, random=source, replay=adam is not None, after=after)


# %% [markdown]
# And here is the step by hand: the noise of step 1 as a pure function of the seed, both losses in plain view, two
# gradients, two subtractions. The two must agree to the last digits.


# %%
def flat(network):
    return np.concatenate([t.data.ravel() for t in network.parameters().values()])


def descend(network, loss, step=0.1):
    """One step of plain gradient descent on a network's parameters."""
    tensors = list(network.parameters().values())
    for t, g in zip(tensors, mg.grad(loss, tensors), strict=True):
        t.assign(t.data - step * g.data)


def two(seed=0):
    """(D, G) for the plane, in float64, with the weights that `make` gives them."""
    return [
        perceptron(2, k, 16)
        .astype(np.float64)
        .initialize(mg.random.Source(seed, dtype=np.float64), s)
        for k, s in ((1, "D"), (2, "G"))
    ]


real = mg.data.load("ring8", n=64).x.astype(np.float64)
z_D, z_G = (
    mg.random.normal((64, 2), seed=0, stream=f"noise for {s}", step=1, dtype=np.float64)
    for s in "DG"
)

# %%
D, G = two()
descend(D, ops.softplus(-D(real)).mean() + ops.softplus(D(G(z_D))).mean())
descend(G, ops.softplus(-D(G(z_G))).mean())

D2, G2 = perceptron(2, 1, 16), perceptron(2, 2, 16)
make(D2, G2, 2, dtype=np.float64).step(real)
check("9.6", "Game.step moves D as the hand does", flat(D2), flat(D), atol=1e-14)
check("9.6a", "and then G, against the new D", flat(G2), flat(G), atol=1e-14)
plain = np.logaddexp(0, -D(real).data).mean() + np.logaddexp(0, D(G(z_D)).data).mean()
check("9.7", "L_D of losses.non_saturating = the formula in NumPy",
      pair.discriminator(D(real), D(G(z_D))), plain, atol=1e-14)  # fmt: skip

# %% [markdown]
# ### What goes wrong when a part is missing
#
# **A stale $D(G(z))$.** Article S2's pseudo-code lets $G$ move by values of $D(G(z))$ computed *before* $D$ moved. Then
# $G$ follows $\nabla_\theta L_G(\psi, \theta)$ with the old $\psi$. That is a different algorithm (simultaneous
# descent), and lesson 11 shows that it is the worse one.
#
# **No update of $G$.** The steps (1) to (6) of the same article update $D$ and then repeat: $G$ never moves.
#
# **The order.** S3 lists $D$ first in 3.2 and 4.3, but $G$ first in 4.2; S2's diagram puts $G$ first as well. The two
# orders give different parameters after a step. In the long run the sequences $D, G, D, G, \dots$ and
# $G, D, G, D, \dots$ differ in the first move only; but that first move of $G$ follows a $D$ that knows nothing.

# %%
D_old, G_stale = two()
descend(G_stale, pair.generator(D_old(G_stale(z_G))))
check("9.6b", "a stale D(G(z)) gives another G", flat(G_stale), flat(G), atol=1e-6,
      relation="!=", errata="S2.8")  # fmt: skip

D3, G3 = two()
start = flat(G3).copy()
for _ in range(5):
    descend(D3, pair.discriminator(D3(real), D3(G3(z_D))))
check("9.6c", "steps that update D alone leave G as it was, bit for bit", flat(G3), start,
      atol=0, errata="S2.8")  # fmt: skip

D4, G4 = perceptron(2, 1, 16), perceptron(2, 2, 16)
make(D4, G4, 2, dtype=np.float64, order=("G", "D")).step(real)
check("9.6d", "G before D is another step", flat(G4), flat(G2), atol=1e-6, relation="!=",
      errata="S3.2")  # fmt: skip

# %% [markdown]
# **Frozen players.** $L_G$ depends on $D$'s parameters too. Only $G$ may move in $G$'s half. minigan freezes the other
# players while one moves ([frozen](../minigan/player.py#frozen)): their parameters leave the graph, so no gradient is
# even computed for them. Article S4's code does not freeze $D$ in the generator's step. Then $D$ descends $L_G$ as
# well, $\psi' = \psi - h\,\nabla_\psi L_G$; that is, $D$ learns to *accept fakes*. Because
# $\operatorname{softplus}(\ell) - \operatorname{softplus}(-\ell) = \ell$,
#
# $$ L_{D,\text{fake}} - L_G = \mathbb{E}_z\operatorname{softplus}(\ell) - \mathbb{E}_z\operatorname{softplus}(-\ell)
# = \mathbb{E}_z\,\ell(G(z)). \tag{9.8} $$
#
# $L_G$ falls as the logits of the fakes rise, and with them rises $L_{D,\text{fake}}$, which $D$ should make small.

# %%
from minigan.player import frozen

D5, G5 = two()
ell = D5(G5(z_G)).data
fake_half = pair.discriminator(
    mg.tensor(np.full_like(ell, 60.0)), mg.tensor(ell)
).item()  # no loss on the reals
check("9.8", "L_D,fake − L_G = mean logit of the fakes", fake_half - pair.generator(mg.tensor(ell)).item(), ell.mean(),
      atol=1e-14)  # fmt: skip
with frozen(list(D5.parameters().values())):
    try:
        mg.grad(pair.generator(D5(G5(z_G))), list(D5.parameters().values()))
        computed = True
    except mg.GraphError:
        computed = False
check("9.8b", "in G's half no gradient exists for D's weights", computed, False, atol=0)

fooled = [float(softplus(D5(G5(z_G)).data).mean())]
for _ in range(20):
    descend(D5, pair.generator(D5(G5(z_G))))  # D, not frozen, moves with G's loss
    fooled.append(float(softplus(D5(G5(z_G)).data).mean()))
print(
    f"L_D,fake before: {fooled[0]:.3f}, after 20 generator steps without freezing: {fooled[-1]:.3f}"
)
check("9.8a", "without freezing, D's loss on fakes rises at every step", np.diff(fooled), 0.0,
      atol=0, relation=">=", errata="S4.7")  # fmt: skip

# %% [markdown]
# **No real data.** The steps of article S1, section 3, put noise through $G$ and fakes through $D$, but no real batch
# ever reaches $D$. What is left of its loss is $\mathbb{E}\operatorname{softplus}(\ell(G(z)))$, which tends to its
# infimum as $D$ comes to reject *everything*:
#
# $$ \inf_D\, \mathbb{E}_z\left[-\log(1 - D(G(z)))\right] = 0 \quad\text{as } D \to 0,
# \text{ whatever the data are.} \tag{9.9} $$
#
# The data do not occur in it, so nothing can draw the fakes towards them. We let both players run, once without
# and once with real batches.

# %%
ring = mg.data.load("ring8", n=4000)
batches = mg.data.Loader(ring.x.astype(np.float64), batch_size=64, seed=0)


def outcome(steps, with_data):
    """(D's loss on fakes, mean distance of the fakes from the nearest mode) after so many steps of both."""
    D, G = two()
    adam_D, adam_G = (optim.Adam(net, lr=lr, beta1=0.5) for net, lr in ((D, 4e-3), (G, 1e-3)))
    for k in range(steps):
        z = mg.random.normal((64, 2), seed=1, stream="noise", step=k, dtype=np.float64)
        loss = ops.softplus(D(G(z).detach())).mean()
        if with_data:
            loss = loss + ops.softplus(-D(batches.batch(k))).mean()
        adam_D.step(mg.grad(loss, list(adam_D.parameters.values())))
        adam_G.step(mg.grad(pair.generator(D(G(z))), list(adam_G.parameters.values())))
    fakes = G(mg.random.normal((1000, 2), seed=2, stream="look", dtype=np.float64)).data
    distances = np.linalg.norm(fakes[:, None] - ring.modes, axis=2)
    return softplus(D(fakes).data).mean(), distances.min(axis=1).mean()


# %%
(_, at_first), (loss_without, without), (_, with_data) = (
    outcome(0, False),
    outcome(500, False),
    outcome(500, True),
)
print(f"D's loss on fakes without real batches: {loss_without:.4f}")
print(
    f"distance from the nearest mode: {at_first:.2f} at first, {without:.2f} without, {with_data:.2f} with real batches"
)
check("9.9", "without real batches D's loss on the fakes falls below .001", loss_without, 1e-3,
      atol=0, relation="<=", errata="S1.5")  # fmt: skip
check("9.9a", "and the fakes move away from the data", without, 1.3 * at_first, atol=0,
      relation=">=", errata="S1.5")  # fmt: skip
check("9.9b", "with them they come nearer", with_data, 0.9 * at_first, atol=0, relation="<=")

# %% [markdown]
# **Unscaled data.** S4's code feeds images as bytes, 0 to 255, against fakes from a tanh in $(-1, 1)$. No network is
# needed to tell them apart: a point with any coordinate above 1 is real. The supports are disjoint, so the total
# variation is 1 before training begins, and a generator with tanh can never change it. minigan's data sets are in
# $[-1, 1]$, and `load` refuses floats that look unscaled.
#
# $$ D(x) = \left[\max_i x_i > 1\right] \text{ has accuracy } 1 \;\Longrightarrow\; \mathrm{TV}
# = 1,\quad \mathrm{JSD} = \log 2 \tag{9.10} $$

# %%
glyphs = mg.data.load("glyphs", n=32, cache=False).x
as_bytes = np.round((glyphs + 1) * 127.5)
tanh_fakes = np.tanh(mg.random.normal(glyphs.shape, seed=9, stream="images").data)
called_real = [
    float(np.mean(batch.reshape(32, -1).max(axis=1) > 1))
    for batch in (as_bytes, tanh_fakes, glyphs)
]
check("9.10", "bytes against tanh: one comparison separates all", called_real[:2], [1.0, 0.0],
      atol=0, errata="S4.7")  # fmt: skip
check("9.10a", "scaled data pass no such test: they fill [−1, 1]",
      [called_real[2], glyphs.min(), glyphs.max()], [0.0, -1.0, 1.0], atol=0)  # fmt: skip
check("9.10b", "JSD of disjoint laws = log 2", divergences.jsd([1.0, 0.0], [0.0, 1.0]), LOG2,
      atol=1e-15)  # fmt: skip

# %% [markdown]
# ## 4. Training on the line
#
# The data: `gauss1d`, two heaps $N(\pm 2, 0.5^2)$, whose density and distribution function are known exactly. Noise:
# one normal number. Adam's rates fall linearly to 0, which calms the end. (Adam: Kingma, Ba 2014;
# [Adam](../minigan/optim.py#Adam). Different rates for $D$ and $G$: Heusel et al. 2017.)
#
# For the fakes' law we need no density estimate. The $N$ noise values $z_i = \Phi^{-1}\left((i - \frac12)/N\right)$ cut
# the normal law into $N$ equal shares, so the share of the $G(z_i)$ in a bin is the pushforward's probability of that
# bin, up to $1/N$ for each crossing:
#
# $$ q_k = P(G(z) \in B_k) = P\left(z \in G^{-1}(B_k)\right) \approx \frac1N\,\#\{i : G(z_i) \in B_k\} \tag{9.11} $$

# %%
data = mg.data.load("gauss1d", n=20_000, seed=1)
X = data.x.astype(np.float64)
edges = np.linspace(-7, 7, 281)
centres = 0.5 * (edges[1:] + edges[:-1])
cdf = lambda x: 0.5 * special.ndtr((x + 2) / 0.5) + 0.5 * special.ndtr((x - 2) / 0.5)
p = np.diff(cdf(edges))
z_grid = special.ndtri((np.arange(50_000) + 0.5) / 50_000)[:, None]
quantiles = np.interp(
    (np.arange(4000) + 0.5) / 4000, cdf(np.linspace(-6, 6, 24_001)), np.linspace(-6, 6, 24_001)
)


def law_of(G):
    """The pushforward's probability of each bin: (9.11)."""
    with mg.no_grad():
        x = G(z_grid).data[:, 0]
    return np.histogram(np.clip(x, -6.99, 6.99), edges)[0] / len(x)


shifted = law_of(lambda z: mg.tensor(1.0 - 0.7 * np.asarray(z)))
check("9.11", "pushforward by counting = exact, for G(z) = 1 − .7 z", shifted,
      np.diff(special.ndtr((edges - 1) / 0.7)), atol=2e-5)  # fmt: skip


# %%
def w1(x):
    """The Wasserstein-1 distance between 4000 samples and the data (lesson 10)."""
    return transport.wasserstein_1d(np.float64(x).ravel(), quantiles)


noise = mg.random.normal((4000, 1), seed=11, stream="evaluation", dtype=np.float64)
steps = sized(3000, 1200)
D, G = perceptron(1, 1), perceptron(1, 1)
rates = [optim.linear(lr, steps=steps) for lr in (4e-3, 1e-3)]
game = make(D, G, 1, adam=rates, dtype=np.float64)
loader, distances, laws, early = mg.data.Loader(X, batch_size=128, seed=0), [], {0: law_of(G)}, None
for t in range(1, steps + 1):
    game.step(loader.batch(t))
    if t % 50 == 0:
        distances.append(w1(G(noise).data))
    if t in (150, 400, steps):
        laws[t] = law_of(G)
    if t == 150:
        early = perceptron(1, 1).astype(np.float64)
        early.load_state(G.state())
print("W1 at steps 50, 150, 400 and at the end:", [round(distances[k], 3) for k in (0, 2, 7, -1)])

# %% [markdown]
# The loop is the algorithm. Article S0, section 3.1.1, lists the five parts (initialise, generate, judge, compute
# losses, update) without saying that they repeat in alternation. After *one* pass the fakes have hardly moved; after
# the loop they are close:

# %%
D1, G1 = perceptron(1, 1), perceptron(1, 1)
one = make(D1, G1, 1, adam=rates, dtype=np.float64)
before = w1(G1.initialize(mg.random.Source(0, dtype=np.float64), "G")(noise).data)
one.step(loader.batch(1))
print(
    f"W1 before {before:.3f}, after one pass {w1(G1(noise).data):.3f}, after the loop {np.mean(distances[-6:]):.3f}"
)
check("9.11a", "one pass changes W1 by less than 1 %", w1(G1(noise).data), before, atol=0,
      rtol=0.01, errata="S0.14")  # fmt: skip
check("9.11b", "the loop brings W1 below a quarter of its start", np.mean(distances[-6:]),
      before / 4, atol=0, relation="<=", errata="S0.14")  # fmt: skip

# %%
fig, axes = figure(1, 4, width=7.2, height=2.4, sharey=True)
for ax, (t, q) in zip(axes, laws.items(), strict=True):
    ax.fill_between(centres, q / 0.05, color="#F3CDB4", step="mid")
    ax.plot(centres, p / 0.05, color=BLACK, linestyle="-", linewidth=1.1)
    ax.set(title=f"step {t}", xlabel="x", xlim=(-4.5, 4.5), ylim=(0, 1.0))
axes[0].set_ylabel("density (cut at 1)")
axes[-1].annotate("line: data\nfilled: fakes", (-3.9, 0.84), fontsize=8.5)
show(
    fig,
    "line",
    alt="The law of the fakes at four steps: one heap, which splits and settles on the two heaps of the data",
)

# %% [markdown]
# Two things deserve a look. Between the heaps a thin bridge remains: a continuous $G$ cannot jump (lesson 3). And the
# fakes' density has corners and spikes. With leaky ReLUs $G$ is piecewise linear, so its law is the noise's density
# divided by a slope that jumps.
#
# ## 5. What the discriminator has learned
#
# For a fixed $G$ with law $q$, the best discriminator has the logit $\log p/q$, and its value is (lesson 7; [identity
# 18](../tests/test_identities_gan_values.py#test_identity_18_the_value_is_the_jsd))
#
# $$ \begin{aligned}
# V(D) &= \mathbb{E}_p \log D + \mathbb{E}_q \log(1 - D) \;\le\; V(D^*) = 2\,\mathrm{JSD}(p, q) - \log 4, \\
# \ell^*(x) &= \log\frac{p(x)}{q(x)}.
# \end{aligned} \tag{9.12} $$
#
# In a running game $D$ chases a moving target and never gets there. So we stop the clock: take $G$ as it was at step
# 150, when its fakes are still bad, freeze it, and train a fresh $D$ against it. Now we know $p$ exactly and $q$ by
# (9.11), and can compare. The mean over the game's own noise would be a noisy judge. We use the quantiles of both laws,
# which make $V$ exact to four digits.

# %%
q = law_of(early)
jsd = divergences.jsd(p, q / q.sum())
judge, frozen_G = perceptron(1, 1, 64).initialize(3, "judge"), perceptron(1, 1)
frozen_G.load_state(early.state())
adam = optim.Adam(judge, lr=optim.linear(4e-3, steps=sized(1500, 800)))
batches = mg.data.Loader(data, batch_size=256, seed=3)
for k in range(sized(1500, 800)):
    with mg.no_grad():
        fakes = frozen_G(mg.random.normal((256, 1), seed=3, stream="noise", step=k))
    adam.step(
        mg.grad(
            pair.discriminator(judge(batches.batch(k)), judge(fakes)),
            list(adam.parameters.values()),
        )
    )

judge.astype(np.float64)

# %%
with mg.no_grad():
    l_real, l_fake = judge(quantiles[:, None]).data, judge(early(z_grid)).data
    logits = judge(centres[:, None]).data[:, 0]
V = -softplus(-l_real).mean() - softplus(l_fake).mean()
print(f"V of the trained D: {V:.4f};  2 JSD − log 4 = {2 * jsd - LOG4:.4f};  JSD = {jsd:.4f}")
check("9.12", "V(D) ≤ 2 JSD − log 4 (binning leaves 1e-3)", V, 2 * jsd - LOG4, atol=1e-3,
      relation="<=", identity=18)  # fmt: skip
check("9.12a", "a trained D reaches it within .02", V, 2 * jsd - LOG4, atol=0.02, identity=18)
both = (p > 2e-3) & (q > 2e-3)
gap = np.abs(logits[both] - np.log(p[both] / q[both]))
print(
    f"|logit − log p/q| where both laws have mass: median {np.median(gap):.3f}, largest {gap.max():.2f}"
)
check("9.12b", "its logit is log p/q: median error below .25", np.median(gap), 0.25, atol=0,
      relation="<=", identity=17)  # fmt: skip

# %% [markdown]
# At the end of the game the two laws are close, and the game's own $D$ says so: where the data are, its probabilities
# are near $1/2$. (Its 32 units cannot follow the spikes of the last figure; that is why $G$ gets away with them.)

# %%
with mg.no_grad():
    final = D(centres[:, None]).data[:, 0]
average = np.sum(p * special.expit(final))
print(f"mean of D over the data at the end of the game: {average:.3f}")
check("9.12c", "at the end E_p D is within .06 of 1/2", abs(average - 0.5), 0.06, atol=0,
      relation="<=")  # fmt: skip

fig, ax = figure(height=3.0)
seen = (p > 1e-5) | (q > 1e-5)
with np.errstate(divide="ignore"):
    truth = np.log(p / q)
ax.plot(
    centres[seen],
    np.clip(truth[seen], -9, 9),
    color=BLACK,
    linestyle="-",
    linewidth=1.0,
    label=r"$\log\,p/q$, step 150",
)
ax.plot(centres, logits, color=BLUE, linestyle="--", label="D trained against that G")
ax.plot(centres, final, color=ORANGE, linestyle="-.", label="the game's own D, at the end")
ax.set(xlabel="x", ylabel="logit", xlim=(-4.5, 4.5), ylim=(-9, 3))
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8.5, ncols=3, frameon=False)
show(
    fig,
    "logit",
    alt="The trained discriminator's logit follows log p/q; at the end of the game the logit is near 0 where data are",
)

# %% [markdown]
# ## 6. Training in the plane
#
# The data: `ring8`, eight heaps on a circle of radius 2; we take $\sigma = 0.1$, which learns in seconds. The judge is
# [mode_statistics](../minigan/data/toys.py#mode_statistics): how many of the modes are hit, which share of fakes lies
# within $3\sigma$ of a mode, and how evenly the modes are served,
#
# $$ \mathrm{KL}(\text{shares} \,\Vert\, \text{even}) = \sum_k q_k \log(8\,q_k). \tag{9.13} $$
#
# Samples are drawn from a running average of $G$'s weights ([EMA](../minigan/average.py#EMA)), which removes the jitter
# of the last steps.

# %%
ring = mg.data.load("ring8", n=10_000, sigma=0.1)
shares = np.bincount(ring.y, minlength=8) / len(ring)
statistics = mg.data.mode_statistics(ring.x, ring.modes, 0.1)
check("9.13", "the data's own reverse KL, from labels", statistics["reverse_kl"],
      np.sum(shares * np.log(8 * shares)), atol=1e-9)  # fmt: skip
more = mg.data.load("ring8", n=100_000, sigma=0.1)
check("9.13a", "the data's own share within 3σ = 1 − exp(−9/2)",
      mg.data.mode_statistics(more.x, more.modes, 0.1)["good"], 1 - math.exp(-4.5),
      atol=1.5e-3)  # fmt: skip

# %%
steps = sized(5000, 1500)
D, G = perceptron(2, 1, 64), perceptron(2, 2, 64)
rates = [optim.linear(lr, steps=steps) for lr in (3e-3, 1e-3)]
average = optim.EMA(G, decay=0.99)
game = make(D, G, 2, adam=rates, after=[average.update])
loader, fixed = (
    mg.data.Loader(ring, batch_size=128, seed=0),
    mg.random.normal((2000, 2), seed=9, stream="fixed"),
)
pictures, watched = {}, [steps // 50, steps // 5, steps]
for t in range(1, steps + 1):
    game.step(loader.batch(t))
    if t in watched:
        with average.applied(), mg.no_grad():
            samples = G(fixed).data.copy()
        pictures[t] = samples, D.state()
        print(
            f"step {t:5}",
            {k: round(v, 3) for k, v in mg.data.mode_statistics(samples, ring.modes, 0.1).items()},
        )

# %%
first, last = (
    mg.data.mode_statistics(pictures[t][0], ring.modes, 0.1) for t in (watched[0], watched[-1])
)
check("9.13b", "all 8 modes are found", last["modes"], 8, atol=0)
check("9.13c", "more than half of the fakes lie within 3σ of a mode", last["good"], 0.5, atol=0,
      relation=">=")  # fmt: skip
check("9.13d", "several times as many as at the start", last["good"], 3 * first["good"], atol=0,
      relation=">=")  # fmt: skip
check("9.13e", "the modes are served about evenly (all in one: log 8 = 2.08)",
      last["reverse_kl"], 0.3, atol=0, relation="<=")  # fmt: skip

# %% [markdown]
# ### The field that moves the fakes
#
# How does $G$ know where to go? The gradient of its loss at one fake $x$ is, by the chain rule,
#
# $$ \frac{\partial}{\partial x}\left[-\log D(x)\right] = -\left(1 - D(x)\right)\nabla_x \ell(x). \tag{9.14} $$
#
# So each fake is asked to move along $(1 - D)\,\nabla\ell$: uphill on the logit, hardest where $D$ is sure that it is
# fake. $G$'s parameters then do what they can to make all fakes move so at once. We check (9.14) with central
# differences and draw it.


# %%
def push(D, points):
    """Minus the gradient of -log D at each point: the direction in which a fake there should move."""
    points = mg.tensor(np.asarray(points), requires_grad=True)
    return -mg.grad(ops.softplus(-D(points)).sum(), points).data


exact_D = perceptron(2, 1, 64).astype(np.float64)
exact_D.load_state(D.state())
points = mg.random.normal((40, 2), seed=9, stream="points", dtype=np.float64).data * 2
h = 1e-6
logit = lambda x: exact_D(x).data[:, 0]
slope = np.stack(
    [(logit(points + h * e) - logit(points - h * e)) / (2 * h) for e in np.eye(2)], axis=1
)
check("9.14", "−∇ of −log D = (1 − D) ∇ℓ (central differences)", push(exact_D, points),
      special.expit(-logit(points))[:, None] * slope, atol=1e-6, rtol=1e-5)  # fmt: skip

# %%
fig, axes = figure(1, 3, width=7.2, height=2.9, sharey=True)
arrows = np.stack(
    np.meshgrid(np.linspace(-2.8, 2.8, 11), np.linspace(-2.8, 2.8, 11)), axis=-1
).reshape(-1, 2)
for ax, (t, (samples, state)) in zip(axes, pictures.items(), strict=True):
    then = perceptron(2, 1, 64)
    then.load_state(state)
    field = push(then, arrows.astype(np.float32))
    length = np.linalg.norm(field, axis=1, keepdims=True)
    field = (
        field / np.maximum(length, 1e-9) * np.tanh(length)
    )  # long arrows are shortened, short ones kept
    ax.plot(*ring.x[:600].T, ".", color=GREY, markersize=1.5)
    ax.plot(*samples[:600].T, ".", color=ORANGE, markersize=2)
    ax.quiver(
        *arrows.T,
        *field.T,
        color=BLUE,
        angles="xy",
        scale_units="xy",
        scale=1.9,
        width=0.006,
        headwidth=4,
    )
    ax.set(title=f"step {t}", xlabel="$x_1$", xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal")
    ax.grid(False)
axes[0].set_ylabel("$x_2$")
show(
    fig,
    "ring",
    alt="Fakes (orange) spread from the middle to the eight modes (grey); arrows show where D asks them to move",
)

# %% [markdown]
# ## 7. A discriminator with few data
#
# Article S0 recommends GANs "where data are scarce" and trains one on 1000 faces (4.1.2). But $D$ learns from data like
# any classifier, and like any classifier it can memorise. The extreme case, and the question at the start: real points
# and fakes come from the *same* law, $N(0, I)$ in 32 dimensions, so that no $D$ can do better than a coin on fresh
# points,
#
# $$ p = q \;\Longrightarrow\; D^* = \tfrac12, \quad \min_D L_D = \log 4, \quad \text{best accuracy } \tfrac12.
# \tag{9.15} $$
#
# $D$ studies 16 real points over and over, against fresh fakes at each step. Then the same with 20,000 real points.


# %%
def study(count, steps):
    """(share of the studied reals called real, share of fresh reals, L_D with studied reals, L_D with fresh reals)."""
    draw = lambda stream, rows, step=0: (
        mg.random.normal((rows, 32), seed=9, stream=stream, step=step).data
    )
    studied, new, fakes = draw("studied", count), draw("new", 4000), draw("fakes", 4000)
    D = perceptron(32, 1, 64).initialize(9, "D")
    adam, batches = (
        optim.Adam(D, lr=1e-3),
        mg.data.Loader(studied, batch_size=min(count, 64), seed=9),
    )
    for k in range(steps):
        loss = pair.discriminator(D(batches.batch(k)), D(draw("training fakes", 64, k)))
        adam.step(mg.grad(loss, list(adam.parameters.values())))
    with mg.no_grad():
        logits = [D(x[:4000]).data.astype(np.float64) for x in (studied, new, fakes)]
    halves = [softplus(-ell).mean() for ell in logits[:2]]
    return *(float(np.mean(ell > 0)) for ell in logits[:2]), *(
        half + softplus(logits[2]).mean() for half in halves
    )


# %%
few, many = (study(count, steps=sized(500, 300)) for count in (16, 20_000))
for count, result in ((16, few), (20_000, many)):
    print(f"{count:6} real points: called real {result[0]:.3f} of the studied, {result[1]:.3f} of fresh ones;  "
          f"L_D {result[2]:.3f} with the studied, {result[3]:.3f} with fresh ones")  # fmt: skip
check("9.15", "16 points: D calls all of them real", few[0], 1.0, atol=0, errata="S0.2")
check("9.15a", "but few of the fresh ones", few[1], 0.25, atol=0, relation="<=", errata="S0.2")
check("9.15b", "on the studied points its loss is far below log 4, though p = q", few[2],
      LOG4 - 0.7, atol=0, relation="<=", errata="S0.2")  # fmt: skip
check("9.15c", "on fresh points it cannot be: L_D ≥ log 4", few[3], LOG4, atol=0.02,
      relation=">=", errata="S0.2")  # fmt: skip
check("9.15d", "20,000 points: studied and fresh are treated alike, within .12",
      abs(many[0] - many[1]), 0.12, atol=0, relation="<=")  # fmt: skip

# %% [markdown]
# The answer: 100 % of the 16, and next to none of the fresh ones. To $D$, "real" has come to mean "one of these 16". A
# generator that follows such a $D$ is drawn towards 16 points, away from the law. This is why GANs on few images need
# augmentation or other help (Karras et al. 2020), and why the train-against-held-out gap of $D$ is worth a line in
# every log.
#
# ## 8. Does more capacity cure collapse?
#
# Article S4, section 9.3, advises more capacity for $G$, or other noise, against mode collapse. Consider what $G$ is
# asked to do in its half of a step, taken to the end: minimise $\mathbb{E}_q[-\log D]$ for the *present* $D$. That is
# an average of $-\log D$ over the fakes' law $q$, and an average is smallest with all weight on the smallest term:
#
# $$ \min_q \sum_x q(x)\left[-\log D(x)\right] = -\log \max_x D(x),
# \quad\text{by a point mass at } \arg\max D. \tag{9.16} $$
#
# A generator of *unlimited* capacity would collapse completely. Limited capacity is not the cause, so more is not the
# cure. What spreads the fakes is that $D$ moves on before they arrive.
#
# We check the formula on tables. Then we train. Let the data be a single round heap, $N(0, 0.5^2 I)$, and the fakes so
# far $N(0, 2^2 I)$. The optimal discriminator for them is known; up to a constant,
#
# $$ \ell^*(x) = \log\frac{p(x)}{q(x)} = \log 16 - \frac{|x|^2}{2}\left(\frac{1}{0.5^2} - \frac{1}{2^2}\right).
# \tag{9.17} $$
#
# We hold this best of all discriminators still, and let three generators follow it alone, small to large, and one with
# uniform noise. The data have the spread $0.5\sqrt2 = 0.71$. Will the large one keep it?

# %%
D_table = special.expit(3 * mg.random.normal((12,), seed=9, stream="table", dtype=np.float64).data)
laws_tried = np.exp(2 * mg.random.normal((5000, 12), seed=9, stream="laws", dtype=np.float64).data)
laws_tried /= laws_tried.sum(axis=1, keepdims=True)
values = laws_tried @ -np.log(D_table)
check("9.16", "5000 laws: E_q[−log D] ≥ −log max D", values, -np.log(D_table.max()), atol=1e-12,
      relation=">=")  # fmt: skip
point = np.eye(12)[np.argmax(D_table)]
check("9.16a", "the point mass attains it", point @ -np.log(D_table), -np.log(D_table.max()),
      atol=1e-14)  # fmt: skip

# %%
best_logit = lambda x: math.log(16) - 1.875 * ops.square(x).sum(axis=1)
x = mg.random.normal((50, 2), seed=9, stream="points", dtype=np.float64)
log_normal = lambda x, std: -0.5 * (x**2).sum(axis=1) / std**2 - math.log(2 * math.pi * std**2)
check("9.17", "the logit = log p − log q of the two normal laws", best_logit(x),
      log_normal(x.data, 0.5) - log_normal(x.data, 2.0), atol=1e-12)  # fmt: skip


def follow(width, uniform=False):
    """The spread of the fakes before and after G alone has followed the fixed D*."""
    steps = sized(800, 400)
    G, source = perceptron(2, 2, width).initialize(4, "G"), mg.random.Source(4)
    noise = lambda rows, stream: (
        source.uniform((rows, 2), stream=stream) * 2 - 1
        if uniform
        else source.normal((rows, 2), stream=stream)
    )
    spread = lambda: float(np.sqrt(G(noise(2000, "look")).data.var(axis=0).sum()))
    adam, start = optim.Adam(G, lr=optim.linear(5e-3, steps=steps)), spread()
    for _ in range(steps):
        source.advance()
        adam.step(
            mg.grad(
                pair.generator(best_logit(G(noise(64, "noise")))), list(adam.parameters.values())
            )
        )
    return start, spread()


# %%
runs = {
    "16 units": follow(16),
    "64 units": follow(64),
    "256 units": follow(256),
    "64 units, uniform noise": follow(64, uniform=True),
}
for name, (start, end) in runs.items():
    print(
        f"{name:24} spread {start:.3f} at the start, {end:.3f} after following D*; the data have .707"
    )
ends = np.array([end for _, end in runs.values()])
check("9.16b", "every G collapses: spread below a fifth of the data's", ends, 0.707 / 5, atol=0,
      relation="<=", errata="S4.9")  # fmt: skip
check("9.16c", "256 units collapse no less than 16", ends[2], 1.5 * ends[0], atol=0.02,
      relation="<=", errata="S4.9")  # fmt: skip

# %% [markdown]
# All four end in one point, the mode of the data, although with normal noise even the smallest could represent the
# whole law. (The right answer, $G(z) = z/2$, needs no hidden layer at all.) What would have stopped them is the other
# player: as soon as fakes crowd at 0, the best $D$ there is no longer sure. Remedies that work change the *game*: how
# often $D$ moves, what it sees (several samples at a time), how steep it may be. They come in later lessons.
#
# ## 9. Three sentences about the parts
#
# Article S2, in its list of techniques, says that adaptive learning rates watch the generator's *loss*. Adam, which we
# have used all along, sees no loss at all, only gradients, and even of them it forgets the scale. Its first step is
#
# $$ \Delta\theta = -\eta\,\frac{g}{|g| + \varepsilon}, \tag{9.18} $$
#
# so it is the same for $L$ and for $1000\,L + 5$ (up to the tiny $\varepsilon$). The same list says that instance
# normalisation works on each sample. It works on each sample *and channel*: in an image whose channels differ, each
# one gets mean 0, not only their average.

# %%
start = mg.random.normal((6,), seed=4, stream="adam", dtype=np.float64).data


def first_step(scale, shift):
    """Where one step of Adam takes `start` on the loss scale * sum(x^4) + shift."""
    x = mg.tensor(start.copy(), requires_grad=True)
    optim.Adam({"x": x}, lr=0.01).step([mg.grad(scale * (x**4).sum() + shift, x)])
    return x.data - start


gradient = 4 * start**3
check("9.18", "Adam's first step = −lr g / (|g| + ε)", first_step(1, 0),
      -0.01 * gradient / (np.abs(gradient) + 1e-8), atol=1e-15, identity=55)  # fmt: skip
check("9.18a", "the loss 1000 L + 5 takes the same step", first_step(1000, 5), first_step(1, 0),
      atol=1e-6, errata="S2.13")  # fmt: skip
images = mg.random.normal((2, 5, 5, 3), seed=4, stream="images", dtype=np.float64).data
images = images * [1, 5, 2] + [0, 3, -8]  # channels that differ
normed = ops.instance_norm(images, np.ones(3), np.zeros(3)).data
spread = images.var(axis=(1, 2))
check("9.18b", "instance norm: mean 0 and variance v/(v + 1e-5) in each channel of each sample",
      [normed.mean(axis=(1, 2)), normed.var(axis=(1, 2))],
      [np.zeros((2, 3)), spread / (spread + 1e-5)], atol=1e-12, errata="S2.13")  # fmt: skip

# %% [markdown]
# Article S1, section 2.1, builds the generator of convolution and *pooling* layers. Pooling with a window of 2 halves
# the side of an image; a generator has to go the other way, from a vector to a picture, and takes a transposed
# convolution (or repeats pixels and convolves):
#
# $$ n \to \lfloor n / 2 \rfloor \text{ (pooling)}, \qquad n \to 2n \text{ (transposed convolution, stride 2)} \tag{9.19} $$

# %%
sides = np.array([4, 7, 14])
squares = [np.ones((1, n, n, 1)) for n in sides]
pooled = [ops.avg_pool(x, window=2).shape[1] for x in squares]
grown = [ops.conv_transpose(x, np.ones((4, 4, 1, 1)), stride=2).shape[1] for x in squares]
check("9.19", "pooling halves a side", pooled, sides // 2, atol=0, errata="S1.4")
check("9.19a", "a transposed convolution of stride 2 doubles it", grown, 2 * sides, atol=0,
      errata="S1.4")  # fmt: skip

# %% [markdown]
# ## Summary
#
# | Part | What it must do | What happens without |
# |---|---|---|
# | initial variance | $2/((1 + a^2)\,n)$ | signals and gradients die or explode |
# | real batch in $D$'s half | give $D$ the data | $D \equiv 0$; the fakes drift |
# | $D$ frozen in $G$'s half | only $\theta$ moves | $D$ learns to accept fakes |
# | fresh $D(G(z))$ in $G$'s half | follow the new $D$ | another, worse algorithm |
# | both updates, repeated | play the game | one player stands still |
# | scaled data | overlap with the fakes' range | separable from the start |
# | enough data | let "real" mean the law | $D$ memorises |
#
# ## Exercises

# %%
from hypothesis import strategies as st

from minigan.lessons.strategies import arrays, floats


# %%
def he_std(inputs, slope):
    """The standard deviation of the weights of a unit with so many inputs, followed by a leaky ReLU with this slope."""
    # Hint: (9.4) is the variance.
    raise NotImplementedError


def he_property(answer, inputs, slope):
    factor = (
        inputs
        * answer(inputs, slope) ** 2
        * np.sum(weights * np.where(nodes >= 0, nodes, slope * nodes) ** 2)
    )
    assert abs(factor - 1) < 1e-9, (
        f"{inputs} inputs, slope {slope}: a layer multiplies the mean square by {factor}"
    )


nodes, weights = np.polynomial.hermite_e.hermegauss(60)
weights = weights / weights.sum()
grade("9.E1", he_std, he_property, inputs=st.integers(1, 2000), slope=floats(0, 0.9))


# %%
def alternate(psi, theta, d_gradient, g_gradient, step):
    """One alternating step: D moves first, then G. d_gradient(psi, theta) and g_gradient(psi, theta) are numbers.

    Returns (new psi, new theta).
    """
    # Hint: two lines. Which psi does G's gradient see?
    raise NotImplementedError


def alternate_property(answer, psi, theta, slopes, step):
    asked = {"D": [], "G": []}

    def gradient(player, slope):
        return lambda psi, theta: asked[player].append((float(psi), float(theta))) or slope

    d_gradient, g_gradient = (gradient(*each) for each in zip("DG", slopes, strict=True))
    new = [float(each) for each in answer(psi, theta, d_gradient, g_gradient, step)]
    way = np.subtract(new, (psi, theta))
    assert np.allclose(way / step + slopes, 0), (
        f"the players moved by {way}, against the slopes {slopes}"
    )
    for player, place in (("D", (psi, theta)), ("G", (new[0], theta))):
        assert len(asked[player]) == 1, (
            f"{player}'s gradient was asked for {len(asked[player])} times"
        )
        assert np.allclose(asked[player], place), (
            f"{player}'s gradient was asked for at {asked[player]}"
        )


grade("9.E2", alternate, alternate_property, psi=floats(-3, 3), theta=floats(-3, 3),
      slopes=arrays(2, -3, 3), step=floats(0.01, 0.5))  # fmt: skip


# %%
def push_on_fake(logit, slope):
    """-d/dx [-log D(x)] at a fake x, from D's logit there and the logit's derivative in x."""
    # Hint: -log D is softplus(-logit). The chain rule: derivative in the logit, times slope; then
    # the sign.
    raise NotImplementedError


def push_property(answer, logit, slope):
    h = 1e-5
    loss = lambda x: softplus(-(logit + slope * x))
    expected = -(loss(h) - loss(-h)) / (2 * h)
    assert abs(answer(logit, slope) - expected) < 1e-6 * (1 + abs(expected)), f"expected {expected}"


grade("9.E3", push_on_fake, push_property, logit=floats(-8, 8), slope=floats(-3, 3))


# %%
def shares_of_modes(samples, modes):
    """The share of samples (N, d) nearest to each mode (K, d): K numbers, 0 for a mode without samples.

    Of two modes at the same distance either will do.
    """
    # Hint: the distances are an array (N, K). Count the nearest ones so that a mode nobody chose
    # counts 0 (np.bincount has minlength).
    raise NotImplementedError


def shares_property(answer, samples, modes, count):
    modes = modes[:count]
    got = np.asarray(answer(samples, modes))
    assert got.shape == (len(modes),), f"expected {len(modes)} shares, got shape {got.shape}"
    assert abs(got.sum() - 1) < 1e-12, f"the shares sum to {got.sum()}"
    for k, mode in enumerate(modes):
        others = [other for i, other in enumerate(modes) if i != k]
        lead = [min(math.dist(x, o) for o in others) - math.dist(x, mode) for x in samples]
        sure, perhaps = (sum(gap > margin for gap in lead) for margin in (1e-9, -1e-9))
        assert sure - 1e-9 <= got[k] * len(samples) <= perhaps + 1e-9, f"mode {k} has {got[k]}"


grade("9.E4", shares_of_modes, shares_property, samples=arrays((6, 2), -2, 2),
      modes=arrays((5, 2), -2, 2), count=st.integers(2, 5))  # fmt: skip

# %% [markdown]
# ## What to read next
#
# - I. Goodfellow et al., *Generative Adversarial Nets* (2014, arXiv 1406.2661), algorithm 1: the loop, in eight lines.
# - K. He, X. Zhang, S. Ren, J. Sun, *Delving Deep into Rectifiers* (2015, arXiv 1502.01852), section 2.2: (9.4).
# - L. Metz, B. Poole, D. Pfau, J. Sohl-Dickstein, *Unrolled Generative Adversarial Networks* (2016, arXiv 1611.02163):
#   the ring, and collapse as a matter of who moves when.
# - M. Heusel et al. (2017, arXiv 1706.08500), section 2: two learning rates.
# - T. Karras et al., *Training Generative Adversarial Networks with Limited Data* (2020, arXiv 2006.06676), figure 1: a
#   discriminator that memorises.
# - Next: lesson 10, what the two losses of such a run can tell.
