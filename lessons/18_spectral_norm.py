# %% [markdown]
# # 18. Spectral normalisation: a slope that cannot be exceeded
#
# Clipping (lesson 16) bounds the critic's slope by an unknown number, a penalty (lesson 17) asks for slope 1 where it
# happens to look. Spectral normalisation (Miyato et al. 2018) *divides*: each weight by the most it can stretch. After
# that no input whatever finds a slope above 1. What does the guarantee cost? We work out the price for one layer, and
# what the division does to the game.
#
# You need: lessons 15 to 17, singular values.
#
# **Predict first.** The data lie in two heaps, the fakes between them. The best critic is a V with slopes $-1$ and $1$.
# A critic with one layer of 32 ReLU neurons, both weights divided by their largest singular value, is trained to the
# end. The slopes of its two arms are (a) $-1$ and $1$, (b) about $-0.7$ and $0.7$, (c) less?

# %%
import math

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

import minigan as mg
from minigan import losses, nn, ops, optim, penalties
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLACK, BLUE, GREEN, GREY, ORANGE
from minigan.lessons.strategies import arrays, floats
from minigan.theory import dynamics, lipschitz, transport

x = np.linspace(-5, 5, 101)
bump = lambda m, s: norm.pdf(x, m, s) / norm.pdf(x, m, s).sum()
p, q = 0.5 * bump(-2.0, 0.4) + 0.5 * bump(2.5, 0.4), bump(0.2, 0.4)  # as in lessons 16 and 17


def sort_pairs(h):
    """MaxMin: of each two neighbours first the larger, then the smaller."""
    a, b = h[:, ::2], h[:, 1::2]
    return ops.concatenate([ops.maximum(a, b), ops.minimum(a, b)], axis=1)


def trained(activation, steps):
    """The values on the grid of a critic with normalised weights, after steps of Adam on the Wasserstein loss."""
    network = nn.spectral(nn.Sequential(nn.Dense(1, 32), activation, nn.Dense(32, 1)))
    network.astype(np.float64).initialize(mg.random.Source(0), "critic")
    adam = optim.Adam(network, lr=1e-2, beta1=0.5)
    for _ in range(steps):
        f = ops.sum(network(x[:, None]), axis=1)
        adam.step(mg.grad(ops.sum(f * (q - p)), list(adam.parameters.values())))
    with mg.no_grad():
        return network.eval()(x[:, None]).numpy()[:, 0]


relu, sorting = (trained(layer, sized(400, 250)) for layer in (nn.ReLU(), nn.Lambda(sort_pairs)))
best = transport.kantorovich_critic(p, q, x)

# %%
fig, ax = figure(width=6.0, height=3.0)
ax.fill_between(x, 10 * p, color=GREY, alpha=0.35, linewidth=0, label="data")
ax.fill_between(x, 10 * q, color=BLACK, alpha=0.25, linewidth=0, label="fakes")
middle = np.argmax(q)
ax.plot(
    x,
    best - best[middle],
    color=BLUE,
    linestyle="-",
    linewidth=5,
    alpha=0.4,
    label="best 1-Lipschitz",
)
ax.plot(x, relu - relu[middle], color=ORANGE, linestyle="--", label="normalised, ReLU")
ax.plot(x, sorting - sorting[middle], color=GREEN, linestyle="-.", label="normalised, MaxMin")
ax.set(xlabel="$x$", ylabel="critic", ylim=(-0.5, 6))
ax.legend(fontsize=8, loc="upper center", ncols=2)
show(fig, "critic",
     alt="The true critic is a steep V; the ReLU critic's two slopes come to 1 together, MaxMin has the V.")  # fmt: skip

# %% [markdown]
# (c): *together* they come to 1, on average one half each. How they share it is nearly chance, for this loss: the arm a
# little longer may take all. Section 3 says why, and what the green critic does better.
#
# ## 1. The norm of a layer, and how to find it
#
# How much can $y = xW$ stretch a length? The answer is the **operator norm**, the largest singular value:
#
# $$ \sigma(W) = \max_{x \ne 0}\frac{\lVert xW\rVert}{\lVert x\rVert}, \qquad
# \frac{\lVert W\rVert_F}{\sqrt{\operatorname{rank} W}} \le \sigma(W) \le \lVert W\rVert_F , \tag{18.1} $$
#
# as $\lVert W\rVert_F^2 = \sum_i\sigma_i^2$. A decomposition at each step is dear. **Power iteration** needs two products
# with a vector: $u \leftarrow Wv$, $v \leftarrow W^\top u$, each divided by its length. In the basis of singular vectors, from
# $v_0 = \sum_i c_i v_i$, each step multiplies $c_i$ by $\sigma_i^2$. So $\hat\sigma_k = u^\top W v$ after $k$ steps is
#
# $$ \hat\sigma_k^2 = \frac{\sum_i c_i^2\,\sigma_i^{4k}}{\sum_i c_i^2\,\sigma_i^{4k-2}} \le \sigma_1^2, \qquad
# \frac{\sigma_1 - \hat\sigma_{k+1}}{\sigma_1 - \hat\sigma_k} \to \left(\frac{\sigma_2}{\sigma_1}\right)^4 : \tag{18.2} $$
#
# a mean of the $\sigma_i^2$ with ever more weight on the largest. It comes *from below*, and slowly where two singular
# values nearly agree. The trick of spectral normalisation is to keep $v$: between two updates $W$ changes little, and
# one step from the old $v$ keeps up.

# %%
random = np.random.default_rng(0)
W = random.standard_normal((7, 5))
left, values, right = np.linalg.svd(W, full_matrices=False)
directions = random.standard_normal((1000, 7))
stretched = np.linalg.norm(directions @ W, axis=1) / np.linalg.norm(directions, axis=1)
check("18.1", "no direction is stretched by more than σ", stretched, values[0], atol=0,
      relation="<=")  # fmt: skip
check("18.1a", "one is", np.linalg.norm(left[:, 0] @ W), values[0], atol=1e-14)
root = math.sqrt(np.linalg.matrix_rank(W))
check("18.1b", "σ ≥ ‖W‖_F / √rank", lipschitz.dense_lipschitz(W), np.linalg.norm(W) / root, atol=0,
      relation=">=")  # fmt: skip
single, turned = np.outer(left[:, 0], right[1]), left @ right
ends = [lipschitz.dense_lipschitz(single), lipschitz.dense_lipschitz(turned)]
check("18.1c", "the ends: rank one, and an orthogonal matrix", ends,
      [np.linalg.norm(single), np.linalg.norm(turned) / root], atol=1e-14)  # fmt: skip
start = random.standard_normal(5)
c, k = right @ start, np.arange(1, 9)[:, None]
formula = np.sqrt((c**2 * values ** (4 * k)).sum(1) / (c**2 * values ** (4 * k - 2)).sum(1))
found = [ops.power_iteration(W, start, steps=n).sigma.item() for n in range(1, 9)]
check("18.2", "after k steps", found, formula, atol=1e-13)
close = left @ np.diag([1.0, 0.8, 0.5, 0.2, 0.1]) @ right
missing = [1 - ops.power_iteration(close, start, steps=n).sigma.item() for n in (25, 26)]
check("18.2a", "the rate (σ₂/σ₁)⁴", missing[1] / missing[0], 0.8**4, atol=1e-4)

# %% [markdown]
# ## 2. Its derivative
#
# At the maximum $u$ and $v$ need not be differentiated (the envelope theorem once more), so
#
# $$ d\sigma = u^\top\,dW\,v . \tag{18.3} $$
#
# Let $\bar W = W/\sigma(W)$, and let $G$ be the gradient of the loss in $\bar W$. By the quotient rule the gradient in
# $W$ is (Miyato et al. 2018, equation 12)
#
# $$ \nabla_W = \frac1\sigma\left(G - \langle G, \bar W\rangle\,uv^\top\right), \qquad
# \langle\nabla_W, W\rangle = 0 . \tag{18.4} $$
#
# The subtracted part is what would only lengthen $W$, and length no longer matters. A plain gradient step is thus at right
# angles to $W$,
#
# $$ \lVert W_{t+1}\rVert_F^2 = \lVert W_t\rVert_F^2 + h^2\lVert\nabla_W\rVert_F^2 : \tag{18.5} $$
#
# the raw weight grows, its gradient shrinks as $1/\sigma$, and the same step turns it less and less. The critic's
# learning rate *decays by itself*. Lesson 20 meets the same effect in batch norm.

# %%
cotangent, step = random.standard_normal((2, 7, 5))
normalised = lambda M: M / np.linalg.norm(M, 2)
h = 1e-6
change = (np.linalg.norm(W + h * step, 2) - np.linalg.norm(W - h * step, 2)) / (2 * h)
check("18.3", "dσ = uᵀ dW v", change, left[:, 0] @ step @ right[0], atol=1e-8)
leaf = mg.tensor(W, requires_grad=True)
_, u, v = ops.power_iteration(W, right[0])
by_engine = mg.grad(ops.sum(ops.spectral_normalize(leaf, u, v) * cotangent), leaf).data
top = np.outer(left[:, 0], right[0])
by_hand = (cotangent - np.sum(cotangent * normalised(W)) * top) / values[0]
check("18.4", "the gradient through W/σ", by_engine, by_hand, atol=1e-13, identity=52)
moved = np.sum(cotangent * (normalised(W + h * step) - normalised(W - h * step))) / (2 * h)
check("18.4a", "the same by differences", np.sum(by_hand * step), moved, atol=1e-8)
check("18.4b", "at right angles to W", np.sum(by_engine * W), 0, atol=1e-13)
after = np.sum((W - 0.3 * by_engine) ** 2)
check("18.5", "a step lengthens W", after, np.sum(W**2) + 0.3**2 * np.sum(by_hand**2), atol=1e-12)

# %% [markdown]
# ## 3. A network: what the product promises, and what ReLU cannot keep
#
# Constants multiply. With 1-Lipschitz activations
#
# $$ |D(x) - D(y)| \le \prod_l \sigma(W_l)\;\lVert x - y\rVert , \tag{18.6} $$
#
# which is 1 after normalisation. Is slope 1 also *reached*? Take one hidden layer,
# $D(x) = \sum_i v_i\max(0, u_i x + b_i)$ with $\lVert u\rVert = \lVert v\rVert = 1$. Where the V turns, some neurons switch
# on and others off, and the slope can change by no more than all of them carry. By Cauchy and Schwarz
#
# $$ |\text{slope left}| + |\text{slope right}| = |D'(\text{right}) - D'(\text{left})|
# \le \sum_i |v_i u_i| \le \lVert u\rVert\,\lVert v\rVert = 1 . \tag{18.7} $$
#
# So a V gets half the slope, and its critic reports about half of $W_1$. More layers help, never fully: a norm-bounded
# ReLU network whose slope is 1 everywhere is a straight line (Anil et al. 2019). ReLU *throws length away*. **MaxMin** only
# sorts pairs, its Jacobian is a permutation, and one pair makes the full V:
#
# $$ \left(\tfrac{x}{\sqrt2}, -\tfrac{x}{\sqrt2}\right) \to \tfrac1{\sqrt2}(|x|, -|x|) \to |x|,
# \qquad \sigma(W_1) = \sigma(W_2) = 1 . \tag{18.8} $$
#
# > **Aside: does it prevent vanishing gradients?** Article S2, appendix B, says so. It prevents *explosion*. A random square
# > $W$ has $\sigma \approx 2\lVert W\rVert_F/\sqrt n$, ReLU passes half of the squares, so each layer more multiplies the
# > mean square of the gradient by
# >
# > $$ \frac{\lVert W\rVert_F^2/n}{2\,\sigma^2} \approx \frac18 . \tag{18.9} $$
# >
# > Ten layers leave $8^{-5}$, 0.003 %, of the slope. A bound from above is no bound from below.

# %%
layers = [random.standard_normal(shape) for shape in ((3, 16), (16, 16), (16, 1))]
network = lambda z: np.maximum(np.maximum(z @ layers[0], 0) @ layers[1], 0) @ layers[2]
near, far = random.standard_normal((2, 2000, 3))
rises = np.abs(network(near) - network(far))[:, 0]
check("18.6", "|D(x) − D(y)| ≤ Π σ ‖x − y‖", rises,
      lipschitz.network_bound(layers) * np.linalg.norm(near - far, axis=1), atol=0, relation="<=")  # fmt: skip
d, e = (each / np.linalg.norm(each) for each in random.standard_normal((2, 5)))
product = np.outer(left[:, 0], d) @ np.outer(e, right[0])  # two matrices of norm 1
check("18.6a", "but the directions must meet: |⟨d, e⟩|, not 1", np.linalg.norm(product, 2), abs(d @ e),
      atol=1e-14)  # fmt: skip
slope = np.gradient(relu, x)
arms = np.array([slope[(x > -1.6) & (x < -0.6)].mean(), slope[(x > 1.0) & (x < 1.8)].mean()])
print("slopes of the arms, ReLU:", np.round(arms, 3))
check("18.7", "the trained ReLU critic reaches it", np.abs(arms).sum(), 1, atol=0.02)
units = random.standard_normal((2, 4000, 6))
units /= np.linalg.norm(units, axis=2, keepdims=True)
jump = np.abs(np.sum(units[0] * units[1] * np.sign(units[0]), axis=1))  # all kinks in one place
check("18.7a", "no random layer turns by more", jump, 1, atol=1e-12, relation="<=")
first, second = np.array([[1.0, -1.0]]) / math.sqrt(2), np.array([[1.0], [-1.0]]) / math.sqrt(2)
check("18.8", "one pair of MaxMin makes the V", sort_pairs(x[:, None] @ first) @ second,
      np.abs(x)[:, None], atol=1e-14)  # fmt: skip
check("18.8a", "with weights of norm 1", [lipschitz.dense_lipschitz(w) for w in (first, second)], 1,
      atol=1e-14)  # fmt: skip
report = [f @ (p - q) / transport.wasserstein_tables(p, q, x) for f in (relu, sorting)]
print("share of W1 reported: ReLU {:.2f}, MaxMin {:.2f}".format(*report))
check("18.8b", "the trained MaxMin critic reports W1", report[1], 1, atol=0.02)


# %%
def passed_back(depth, width, nets, seed=1):
    """Mean squared lengths of the gradient behind 1, 2, ... layers of random ReLU networks with normalised weights."""
    draw, squares = np.random.default_rng(seed), np.ones((nets, depth + 1))
    for each in squares:
        weights = [normalised(draw.standard_normal((width, width))) for _ in range(depth)]
        hidden, gates = draw.standard_normal(width), []
        for w in weights:
            hidden = hidden @ w
            gates.append(hidden > 0)
            hidden = np.maximum(hidden, 0)
        g = draw.standard_normal(width)
        g /= np.linalg.norm(g)
        for i, (w, gate) in enumerate(zip(reversed(weights), reversed(gates), strict=True)):
            g = w @ (gate * g)
            each[i + 1] = g @ g
    return squares.mean(axis=0)


lengths = passed_back(8, 64, nets=sized(200, 150))
factor = math.exp(np.polyfit(np.arange(9), np.log(lengths), 1)[0])
kept = lambda w: np.sum(w**2) / len(w) / (2 * np.linalg.norm(w, 2) ** 2)
print(f"a layer more leaves {factor:.3f} of the squares, ten layers {factor**5:.1e} of the slope")
wide, narrow = random.standard_normal((8, 400, 400)), random.standard_normal((100, 64, 64))
check(
    "18.9",
    "‖W‖_F²/2nσ² of a large random W",
    np.mean([kept(w) for w in wide]),
    1 / 8,
    atol=0,
    rtol=0.03,
)
check("18.9a", "and that is what a layer passes back", factor, np.mean([kept(w) for w in narrow]), atol=0,
      rtol=0.03, errata="S2.13")  # fmt: skip

# %% [markdown]
# ## 4. A convolution is another matrix
#
# The kernel of a convolution, $k\times k$ taps, is usually read as a matrix $M$ with a row for each tap and input channel, and
# divided by $\sigma(M)$. But the layer's matrix is $A$, a row for each number of the whole output map. A number of the
# input lies in up to $r$ windows ($r = k^2$ at stride 1), and if one window lies in the image whole,
#
# $$ \sigma(M) \le \sigma(A) \le \sqrt r\,\sigma(M) . \tag{18.10} $$
#
# (Left: feed $A^\top$ one output. Right: the outputs' squares add up to at most $\sigma(M)^2$ times the squares of all
# windows, and these contain each number at most $r$ times.) Smooth kernels come near the right end: $k\times k$ equal taps on
# a large image have
#
# $$ \sigma(M) = k, \qquad \sigma(A) \to k^2 . \tag{18.11} $$
#
# Three "normalised" layers of $5\times5$ taps may stretch by $5^3$. It still works: a known factor is a learning rate. Who
# needs the bound itself divides by $\sigma(A)$, with the convolution and its transpose in place of the products
# ([`spectral_operator`](../minigan/nn/operator_norm.py#spectral_operator)).
#
# ## 5. Why the state is saved, and rests in evaluation
#
# The vector $v$ belongs to the layer as much as the weight: a run resumed without it starts with a poor $\hat\sigma$, that is
# with another critic. So it is a *buffer*, saved and never trained. And a look must not change what is looked at. In
# evaluation
#
# $$ v_{t+1} = v_t, \qquad \text{in training}\quad v_{t+1} \propto W^\top W v_t : \tag{18.12} $$
#
# otherwise each picture drawn during training would alter the run.

# %%
kernels = [
    random.standard_normal((3, 3, 2, 4)),
    np.ones((5, 5, 1, 1)) + 0.2 * random.standard_normal((5, 5, 1, 1)),
]
for kernel in kernels:
    taps, size = kernel.shape[0], 9
    true = lipschitz.conv_lipschitz(kernel, size)
    reshaped = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2)
    print(
        f"{taps}x{taps} taps: σ(M) = {reshaped:.2f}, σ(A) = {true:.2f}, √r σ(M) = {taps * reshaped:.2f}"
    )
    check("18.10", "σ(M) ≤ σ(A)", true, reshaped, atol=1e-12, relation=">=")
    check("18.10a", "σ(A) ≤ √r σ(M)", true, taps * reshaped, atol=1e-12, relation="<=", identity=53)
flat, ones = np.ones((3, 3, 1, 1)), np.ones((1, 60, 60, 1))
wide = ops.conv_power_iteration(flat, ones, steps=60).sigma.item()
check("18.11", "equal taps: σ(M) = k, σ(A) → k²", [np.linalg.norm(flat.reshape(9, 1), 2), wide], [3, 9],
      atol=0, rtol=0.005)  # fmt: skip
layer = nn.spectral(nn.Dense(7, 5)).astype(np.float64).initialize(3)
w, v = layer.parameters()["weight"].data, lambda: layer.buffers()["changes.0.v"].data.copy()
before = v()
layer.eval()(np.ones((1, 7)))
check("18.12", "a look leaves v alone", v(), before, atol=0)
layer.train()(np.ones((1, 7)))
check("18.12a", "a pass in training is one step", v(), w.T @ w @ before / np.linalg.norm(w.T @ w @ before),
      atol=1e-13)  # fmt: skip

# %% [markdown]
# ## 6. What it does to the game
#
# In the Dirac-GAN (lesson 12) $D(x) = \psi x$ and $\bar\psi = \psi/|\psi| = \pm1$: a critic that can only say left or
# right, and by (18.4) its gradient is 0. It never changes its mind,
#
# $$ \frac{\partial}{\partial\psi}\,L_D\left(\tfrac{\psi}{|\psi|}\,\theta\right) = 0 , \tag{18.13} $$
#
# and the fake runs off. In the plane it can at least turn. Data at 0, a fake at $\theta$ with distance $\rho$, critic
# $\langle w, x\rangle/\lVert w\rVert$ with angle $\delta$ from $\theta$ to $w$, Wasserstein loss. The length $r = \lVert w\rVert$
# does not change (in continuous time), and
#
# $$ \dot\rho = \cos\delta, \qquad \dot\delta = \left(\frac{\rho}{r^2} - \frac1\rho\right)\sin\delta . \tag{18.14} $$
#
# Divide the two and integrate. Something is conserved, as in (12.9):
#
# $$ E = \frac{\rho^2}{2r^2} - \log\left(\rho\,|\sin\delta|\right) \quad\text{never changes.} \tag{18.15} $$
#
# $\rho \to 0$ would make $E$ infinite. The fake circles, at the distance $\rho = r$ for ever or swinging about it: the length
# of a weight that "no longer matters" decides how far away. And R1, the cure of lesson 12, has no handle here. The slope
# is 1 whatever $w$ is,
#
# $$ \nabla_w \tfrac\gamma2\left\lVert\nabla_x \tfrac{\langle w, x\rangle}{\lVert w\rVert}\right\rVert^2 = 0 . \tag{18.16} $$
#
# A bounded slope makes steps safe. It is not friction. (Deeper critics can be flatter than their bound, and then R1
# acts.)

# %%
linear = lambda theta, w: ops.sum(w * theta) / ops.norm(w)
game = [lambda theta, w: -linear(theta, w), lambda theta, w: linear(theta, w)]
for letter, pair in zip("ab", (losses.non_saturating, losses.hinge), strict=True):
    one = nn.spectral(nn.Dense(1, 1, bias=False)).astype(np.float64).initialize(0)
    loss = pair.discriminator(one(np.zeros((1, 1))), one(np.full((1, 1), 0.7)))
    felt = mg.grad(loss, list(one.parameters().values()))[0].data
    check(f"18.13{letter}", "on a line the critic feels nothing", felt, 0, atol=1e-15)


def polar(theta, w):
    """(rho, delta, r) of (18.14), for rows of points."""
    turn = np.arctan2(w[..., 1], w[..., 0]) - np.arctan2(theta[..., 1], theta[..., 0])
    return np.linalg.norm(theta, axis=-1), turn, np.linalg.norm(w, axis=-1)


theta, w = np.array([0.9, 0.4]), np.array([-0.3, 0.5])
to_theta, to_w = dynamics.vector_field(game, (theta, w))
rho, delta, r = polar(theta, w)
h = 1e-5
ahead, back = (np.array(polar(theta + s * to_theta, w + s * to_w)) for s in (h, -h))
check("18.14", "ρ', δ', and r' = 0", (ahead - back) / (2 * h),
      [np.cos(delta), (rho / r**2 - 1 / rho) * np.sin(delta), 0], atol=1e-8)  # fmt: skip
starts = {0.5: BLUE, 0.8: ORANGE}
paths = {}
for radius in starts:
    path = dynamics.iterate(dynamics.runge_kutta, game, (np.array([1.0, 0.0]), np.array([0.0, radius])),
                            steps=sized(400, 200), step=0.04)  # fmt: skip
    paths[radius] = path
    rho, delta, _ = polar(path[:, :2], path[:, 2:])
    conserved = rho**2 / (2 * radius**2) - np.log(rho * np.abs(np.sin(delta)))
    check("18.15", "E along the path", conserved, 1 / (2 * radius**2), atol=0, rtol=5e-3)
    height = lambda rho, radius=radius: (
        rho**2 / (2 * radius**2) - math.log(rho) - 1 / (2 * radius**2)
    )
    check("18.15a", "the fake comes no nearer than E allows", rho.min(), brentq(height, 1e-9, radius),
          atol=1e-3, relation=">=")  # fmt: skip
weight = mg.tensor(np.array([[0.3], [0.8]]), requires_grad=True)
critic = lambda z: z @ (weight / ops.norm(weight))
penalty = penalties.r1(critic, random.standard_normal((5, 2)), gamma=2.0)
check("18.16", "R1 is γ/2 and has no gradient", [penalty.item(), *mg.grad(penalty, weight).data.ravel()],
      [1, 0, 0], atol=1e-14)  # fmt: skip

# %% [markdown]
# ## 7. A run
#
# SNGAN proper: three layers, the hinge, one step of power iteration an update, Adam. We ask two things of the finished
# critic. Does one step keep up,
#
# $$ 0.95 \le \hat\sigma/\sigma \le 1 \quad\text{in every layer?} \tag{18.17} $$
#
# And how much of the slope that it is allowed does it use? With $\sigma(\bar W_l)$ from a decomposition,
#
# $$ \max_x\lVert\nabla D(x)\rVert \le \prod_l\sigma(\bar W_l) . \tag{18.18} $$

# %%
ring = mg.data.load("ring8", n=10_000, sigma=0.1)


def perceptron(outputs):
    hidden = {"activation": "leaky_relu", "init": "he"}
    return nn.Sequential(
        nn.Dense(2, 64, **hidden), nn.Dense(64, 64, **hidden), nn.Dense(64, outputs)
    )


def train(steps, seed=0):
    """(critic, 1,000 fakes) of a spectrally normalised GAN."""
    source, pair = mg.random.Source(seed), losses.hinge
    D = nn.spectral(perceptron(1)).initialize(source, "D")
    G = perceptron(2).initialize(source, "G")
    fakes = lambda x: G(source.normal((len(x), 2), stream="z"))
    adam = lambda network, lr: optim.Adam(network, lr=lr, beta1=0.0, beta2=0.9)
    players = [
        mg.Player("D", lambda x: pair.discriminator(D(x), D(fakes(x))), adam(D, 5e-4)),
        mg.Player("G", lambda x: pair.generator(D(fakes(x))), adam(G, 1e-3)),
    ]
    engine = mg.Game(players, random=source, replay=True)
    loader = mg.data.Loader(ring, batch_size=128, seed=seed)
    for t in range(steps):
        engine.step(loader.batch(t))
    with mg.no_grad():
        return D.eval(), G(mg.random.normal((1000, 2), seed=9, stream="look")).numpy()


D, fakes = train(sized(1200, 400))
sigmas = np.array([lipschitz.dense_lipschitz(layer.weight.detach()) for layer in D])  # of W / σ̂
print("σ̂/σ of the layers:", np.round(1 / sigmas, 4))
check("18.17", "one step an update keeps up", 1 / sigmas, 0.95, atol=0, relation=">=")
check("18.17a", "from below", 1 / sigmas, 1, atol=1e-5, relation="<=")
where = random.uniform(-3, 3, (2000, 2)).astype(np.float32)
slopes = penalties.gradient_norm(D, where).data
print(
    f"slope: at most {slopes.max():.3f}, median {np.median(slopes):.3f}; allowed {sigmas.prod():.3f}"
)
check("18.18", "no slope above the product", slopes, sigmas.prod(), atol=1e-5, relation="<=")
check("18.18a", "and far below it", slopes.max(), 0.5, atol=0, relation="<=")

# %%
fig, axes = figure(1, 2, width=7.6, height=3.1)
for (radius, colour), dash in zip(starts.items(), ("-", "--"), strict=True):
    axes[0].plot(
        *paths[radius][:, :2].T,
        color=colour,
        linestyle=dash,
        linewidth=1.1,
        label=f"$r$ = {radius}",
    )
axes[0].plot(0, 0, "+", color=BLACK, markersize=9)
axes[0].plot(1, 0, "o", color=BLACK, markersize=4)
axes[0].set(
    aspect="equal",
    xlabel="$\\theta_1$",
    ylabel="$\\theta_2$",
    ylim=(-1.1, 1.5),
    title="one fake, in the plane",
)
axes[0].legend(fontsize=8, loc="upper center", ncols=2)
axes[1].plot(*ring.modes.T, "o", color=GREY, markersize=11, label="heaps of the data")
axes[1].plot(*fakes.T, ".", color=BLUE, markersize=2, label="fakes")
axes[1].set(aspect="equal", xlim=(-3, 3), ylim=(-3, 3), title="SNGAN on a ring")
axes[1].legend(fontsize=8, loc="center")
show(fig, "game",
     alt="Left, a fake circles the data on two rosettes; right, fakes of SNGAN lie around the eight heaps.")  # fmt: skip

# %% [markdown]
# A tenth of what is allowed. Three leaky layers with norm 1 do not add up, by (18.7) and (18.9). Hence the blurred
# heaps: a critic of slope 0.1 pulls gently, and tells a fake from a heap of width 0.1 only with difficulty.
#
# ## Exercises


# %%
def spectral_gradient(W, G):
    """The gradient in W of the loss L(W/σ(W)), where G is the gradient of L at W/σ(W)."""
    # Hint: (18.4); np.linalg.svd gives u, σ and v.
    raise NotImplementedError


def gradient_property(answer, W, G, step):
    values = np.linalg.svd(W, compute_uv=False)
    if values[0] - values[1] < 0.1:
        return  # the largest singular value must be alone
    value = lambda M: np.sum(G * M / np.linalg.norm(M, 2))
    want = (value(W + 1e-5 * step) - value(W - 1e-5 * step)) / 2e-5
    got = np.sum(np.asarray(answer(W, G)) * step)
    assert abs(got - want) < 1e-4 * (1 + abs(want)), f"along step {got}, expected {want}"


grade("18.E1", spectral_gradient, gradient_property, W=arrays((3, 2), -2, 2), G=arrays((3, 2), -1, 1),
      step=arrays((3, 2), -1, 1))  # fmt: skip


# %%
def steps_needed(ratio, error):
    """How many steps of power iteration until 1 − σ̂/σ₁ ≤ error, for σ₂/σ₁ = ratio and v₀ = (1, 1)/√2?"""
    # Hint: (18.2) with two terms, c₁ = c₂. A loop over k will do.
    raise NotImplementedError


def steps_property(answer, ratio, error):
    missing = lambda k: (
        1 - ops.power_iteration(np.diag([1.0, ratio]), np.ones(2), steps=k).sigma.item()
    )
    k = answer(ratio, error)
    assert k == int(k) and k >= 1, f"{k} is no number of steps"
    assert missing(int(k)) <= error + 1e-12, f"after {k} steps {missing(int(k))} is missing"
    assert k == 1 or missing(int(k) - 1) > error, f"{k - 1} steps would do"


grade("18.E2", steps_needed, steps_property, ratio=floats(0.1, 0.98), error=floats(1e-6, 0.02))


# %%
def circular_norm(taps, n):
    """σ of the circular convolution of n numbers with these taps: y_i = Σ_j taps_j x_{(i − j) mod n}, taps no more than n."""
    # Hint: waves come out as waves. Which is stretched most? np.fft.fft(taps, n).
    raise NotImplementedError


def circular_property(answer, taps, n):
    row = np.concatenate([taps, np.zeros(n - len(taps))])
    matrix = np.array([np.roll(row, i) for i in range(n)]).T
    want = np.linalg.norm(matrix, 2)
    assert abs(answer(taps, n) - want) < 1e-9 * (1 + want), f"expected {want}"


grade("18.E3", circular_norm, circular_property, taps=arrays(3, -1, 1), n=st.integers(3, 12))


# %%
def steeper_v():
    """[(W1, b1), (W2, b2), (W3, b3)]: a critic relu(relu(x W1 + b1) W2 + b2) W3 + b3, all σ ≤ 1, with a V steeper than (18.7).

    The absolute slopes at -1 and at 1 must add up to more than 1.1, one falling and one rising.
    """
    # Hint: the first layer can give (max(0, x), max(0, −x))/√2. From it W2 can make |x|/2 and, twice, the line x/√8, once with
    # each sign, which the second ReLU may bend. WW^T = 1 keeps the norm.
    raise NotImplementedError


def steeper_property(answer, spot):
    layers = [(np.asarray(w, dtype=float), np.asarray(b, dtype=float)) for w, b in answer()]
    assert len(layers) == 3, "three layers of weights"
    norms = [np.linalg.norm(w, 2) for w, _ in layers]
    assert max(norms) <= 1 + 1e-9, f"norms {norms}"

    def critic(t):
        h = np.array([[t]])
        for i, (w, b) in enumerate(layers):
            h = h @ w + b
            h = np.maximum(h, 0) if i < 2 else h
        return h.item()

    slope = lambda t: (critic(t + 1e-4) - critic(t - 1e-4)) / 2e-4
    left, right = slope(-spot), slope(spot)
    assert left < 0 < right and right - left > 1.1, f"slopes {left} and {right}"


grade("18.E4", steeper_v, steeper_property, spot=floats(1, 2))

# %% [markdown]
# ## What to read next
#
# - T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, *Spectral Normalization for Generative Adversarial Networks* (2018, arXiv
#   1802.05957): section 2 and algorithm 1.
# - C. Anil, J. Lucas, R. Grosse, *Sorting out Lipschitz function approximation* (2019, arXiv 1811.05381): why ReLU
#   cannot, why MaxMin can.
# - H. Sedghi, V. Gupta, P. Long, *The Singular Values of Convolutional Layers* (2018, arXiv 1805.10408); Y. Tsuzuku, I. Sato,
#   M. Sugiyama, *Lipschitz-Margin Training* (2018, arXiv 1802.04034): the two ends of (18.10).
# - At work: `minigan train sngan --data ring8`, and on images `--set spectral=operator` for section 4.
# - Next: lesson 19, convolution and its transpose.
