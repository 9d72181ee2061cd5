# %% [markdown]
# # 16. WGAN, and what clipping does to its critic
#
# The Wasserstein GAN needs a critic that is 1-Lipschitz. Its first paper clips all weights to $[-c, c]$ after each step,
# and says itself that this is "a clearly terrible way" (Arjovsky et al. 2017). How terrible? For a critic of two layers
# the answer can be worked out in full: we find its best critic, compare with the true one, and then let one train.
#
# You need: lesson 15 (the 1-Lipschitz critic, $W_1$), ReLU networks.
#
# **Predict first.** The data lie in two heaps, left and right of the fakes. The true best critic is a V, low at the fakes,
# high at both heaps. A critic of 64 ReLU neurons with clipped weights is trained to the end. How many *different*
# neurons will it use?

# %%
import itertools
import math

import numpy as np
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.optimize import linprog
from scipy.stats import norm

import minigan as mg
from minigan import ops, optim, penalties
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLACK, BLUE, GREY, ORANGE
from minigan.lessons.strategies import arrays, floats
from minigan.theory import lipschitz, transport

x = np.linspace(-5, 5, 401)  # laws on a grid
bump = lambda m, s: norm.pdf(x, m, s) / norm.pdf(x, m, s).sum()
p, q = 0.5 * bump(-2.0, 0.4) + 0.5 * bump(2.5, 0.4), bump(0.2, 0.4)
WIDTH, CLIP = 64, 0.1


def trained(p, q, steps, seed=0):
    """(v, u, b) of a clipped critic sum v relu(u x + b), after steps of Adam on the Wasserstein loss."""
    start = np.random.default_rng(seed).uniform(-CLIP, CLIP, (3, WIDTH))
    weights = [mg.tensor(row.copy(), requires_grad=True) for row in start]
    adam = optim.Adam(dict(zip("vub", weights, strict=True)), lr=2e-3)
    points = x[:, None]
    for _ in range(steps):
        v, u, b = weights
        f = ops.sum(v * ops.relu(points * u + b), axis=1)
        adam.step(mg.grad(ops.sum(f * (q - p)), weights))
        for w in weights:
            w.data[...] = np.clip(w.data, -CLIP, CLIP)
    return [w.data.copy() for w in weights]


v, u, b = trained(p, q, sized(1500, 600))
critic = np.maximum(x[:, None] * u + b, 0) @ v
true = transport.kantorovich_critic(p, q, x)

# %%
fig, axes = figure(1, 2, width=8.0, height=3.0)
axes[0].fill_between(x, 40 * p, color=GREY, alpha=0.35, linewidth=0, label="data")
axes[0].fill_between(x, 40 * q, color=BLACK, alpha=0.25, linewidth=0, label="fakes")
middle = np.argmax(q)
axes[0].plot(x, true - true[middle], color=BLUE, linestyle="-", label="best 1-Lipschitz")
steepest = np.abs(np.diff(critic)).max() / (x[1] - x[0])
scaled = (critic - critic[middle]) / steepest
axes[0].plot(x, scaled, color=ORANGE, linestyle="--", label="clipped, slope scaled to 1")
axes[0].set(xlabel="$x$", ylabel="critic", ylim=(-1, 6.5))
axes[0].legend(fontsize=8, loc="upper center", ncols=2)
axes[1].hist(np.concatenate([v, u, b]) / CLIP, bins=41, color=ORANGE)
axes[1].set(xlabel="weight / $c$", ylabel="how many of 192")
show(fig, "clipped",
     alt="Left, the true critic is a V, the clipped one has one arm almost flat. Right, weights heap at c and -c.")  # fmt: skip

# %% [markdown]
# Essentially two: a ramp to the right and a ramp to the left, many times each. The *best* clipped critic, as we shall see,
# uses a single one. Here the right arm of the V got nearly everything, and the fakes hear little of the left heap.
#
# ## 1. Why the critic must be 1-Lipschitz
#
# The generator descends on $W_1(p, q_\theta) = \max_f \mathbb{E}_p f - \mathbb{E}_{q_\theta} f$ over 1-Lipschitz $f$. To
# differentiate a maximum, hold the maximiser still (the *envelope theorem*: it is at a maximum, so its own movement
# counts only to second order):
#
# $$ \frac{d}{d\theta} W_1(p, q_\theta) = -\,\mathbb{E}_z\left[f^{*\prime}(g_\theta(z))\,
# \frac{\partial g_\theta(z)}{\partial\theta}\right] . \tag{16.1} $$
#
# That is the step of a WGAN, if its critic is the best one. Hence the advice to train the critic several times for each
# move of the generator. Allow slope $K$ in place of 1, and the maximum is $K W_1$: the pictures come out the same, with
# another step size. Any known $K$ will do. The trouble begins where $K$ depends on what is compared.

# %%
points, step = np.linspace(-14, 14, 28_001), 1e-3
gap = lambda m, s: np.abs(norm.cdf(points) - norm.cdf(points, m, s))
w1 = lambda m, s: trapezoid(gap(m, s), points)  # of N(0, 1) and N(m, s²)
mean, spread = 0.5, 2.0
slope = np.sign(norm.cdf(points, mean, spread) - norm.cdf(points))  # f*' = sign(G − F)
law = norm.pdf(points, mean, spread)
z = (points - mean) / spread  # g = mean + spread z
by_mean = -trapezoid(law * slope, points)
by_spread = -trapezoid(law * slope * z, points)
moved = [
    (w1(mean + step, spread) - w1(mean - step, spread)) / (2 * step),
    (w1(mean, spread + step) - w1(mean, spread - step)) / (2 * step),
]
check("16.1", "dW1/dθ with the critic held still", [by_mean, by_spread], moved, atol=1e-3)

# %% [markdown]
# ## 2. How steep can a clipped network be?
#
# A layer $W$ with $n$ inputs and $m$ outputs and all $|W_{ij}| \le c$ has $\sigma_{\max}(W) \le c\sqrt{nm}$, its
# Frobenius norm, with equality where all weights are $c$. ReLU is 1-Lipschitz, and the constants multiply
# ([`network_bound`](../minigan/theory/lipschitz.py#network_bound)): for $d$ inputs, $L$ layers of weights and width $n$
#
# $$ \lVert \nabla D\rVert \le c\sqrt{dn}\,\cdot (cn)^{L-2} \cdot c\sqrt n = \sqrt d\;\frac{(cn)^L}{n}, \tag{16.2} $$
#
# and all weights equal to $c$ reach it, on positive inputs. So $K$ is a power of $cn$. Nobody knows it at work: it depends
# on how the weights lie. For random signs, a ReLU passes half of the squares, and each layer multiplies the mean square
# of the gradient by
#
# $$ \frac{\mathbb{E}\lVert g_{l}\rVert^2}{\mathbb{E}\lVert g_{l+1}\rVert^2} = \frac{n c^2}{2} . \tag{16.3} $$
#
# At $c = \sqrt{2/n}$ the critic keeps its slope through all layers (it is He's initialisation). Above, it explodes; below,
# it vanishes, by the same factor for every layer more (compare Gulrajani et al. 2017, figure 1).


# %%
def slopes(depth, c, width=64, inputs=8, nets=40, seed=0):
    """Norms of the input gradient of random-sign ReLU networks with depth layers of weights ±c."""
    draw, found = np.random.default_rng(seed), []
    for _ in range(nets):
        shapes = [(inputs, width), *[(width, width)] * (depth - 2), (width, 1)]
        layers = [c * draw.choice([-1.0, 1.0], shape) for shape in shapes]
        h, open_ = draw.standard_normal(inputs), []
        for w in layers[:-1]:
            h = h @ w
            open_.append(h > 0)
            h = np.maximum(h, 0)
        g = layers[-1][:, 0]
        for w, gate in zip(layers[-2::-1], open_[::-1], strict=True):
            g = w @ (g * gate)
        found.append(np.linalg.norm(g))
    return np.array(found)


full = [mg.tensor(np.full(shape, 0.1)) for shape in ((3, 16), (16, 16), (16, 1))]
deep = lambda t: ops.relu(ops.relu(t @ full[0]) @ full[1]) @ full[2]
steepness = penalties.gradient_norm(deep, np.ones((1, 3))).item()
check("16.2", "all weights c: ‖∇D‖ = √d (cn)^L/n", steepness, math.sqrt(3) * (0.1 * 16) ** 3 / 16,
      atol=1e-12)  # fmt: skip
bound = lipschitz.network_bound([w.data for w in full])
check("16.2a", "the product of the layers' norms", bound, steepness, atol=1e-12)
check("16.2b", "no network of random signs is steeper", slopes(3, 0.1, 16, 3), bound, atol=0,
      relation="<=")  # fmt: skip
depths, levels = np.arange(2, 13), {0.1: BLUE, math.sqrt(2 / 64): GREY, 0.3: ORANGE}
nets = sized(400, 200)
squares = {c: [np.mean(slopes(k, c, nets=nets) ** 2) for k in depths] for c in levels}
for letter, c in zip("abc", levels, strict=True):
    factor = math.exp(np.polyfit(depths, np.log(squares[c]), 1)[0])
    check(f"16.3{letter}", f"c = {c:.3f}: a layer more is a factor of nc²/2", factor, 64 * c**2 / 2,
          atol=0, rtol=0.02)  # fmt: skip

# %%
fig, ax = figure(width=5.6, height=2.9)
for (c, colour), dash in zip(levels.items(), ("-", "--", "-."), strict=True):
    ax.plot(depths, np.sqrt(squares[c]), "o", color=colour, markersize=4)
    line = math.sqrt(squares[c][0]) * (64 * c**2 / 2) ** ((depths - 2) / 2)
    ax.plot(depths, line, color=colour, linestyle=dash, label=f"$c$ = {c:.3f}")
ax.set(yscale="log", xlabel="layers of weights", ylabel="slope of the critic")
ax.legend(fontsize=8)
show(fig, "depth",
     alt="Slope of random critics against depth, with the law as lines: falling, level and rising exponentially.")  # fmt: skip

# %% [markdown]
# > **Aside: clipping against vanishing gradients?** Article S0, section 5.1, recommends clipping for that. Clipped
# > *gradients* stay as short as they are (12.29). Clipped *weights* shorten them further: with $c = 0.1$ and 64 neurons
# > a layer, ten layers more leave
# >
# > $$ \left(\frac{nc^2}{2}\right)^{10/2} = 0.32^5 = 0.0034 \tag{16.4} $$
# >
# > of the slope.
#
# ## 3. Two layers, solved
#
# Let $D(x) = \sum_{i=1}^h v_i \max(0, u_i x + b_i)$ on the line, all weights in $[-c, c]$. The Wasserstein loss is linear
# in $D$, hence a *sum over neurons*,
#
# $$ \mathbb{E}_p D - \mathbb{E}_q D = \sum_i v_i\,\Delta(u_i, b_i), \qquad
# \Delta(u, b) = (\mathbb{E}_p - \mathbb{E}_q)\max(0, ux + b) . \tag{16.5} $$
#
# No neuron feels another. Each climbs its own hill, $v_i = \pm c$ in the end, and the best critic is the best neuron, $h$
# times:
#
# $$ \max_{\text{clipped}} \mathbb{E}_p D - \mathbb{E}_q D = h\,c\,\max_{|u|, |b| \le c} |\Delta(u, b)| . \tag{16.6} $$
#
# One kink, not a V. (Training found two ramps because a neuron seldom changes the sign of $u$.) Other losses couple the
# neurons: once the logistic critic is right somewhere, nothing more is gained there. A linear loss never says "enough".
# And $\Delta(ru, rb) = r\Delta(u, b)$ for $r > 0$: one of $u, b$ is at its bound, so a kink $t = -b/u$ with $|t| > 1$
# costs slope. *Clipped critics see best in $[-1, 1]$.* Data must be scaled into it.


# %%
def delta(u, b, p, q):
    """Δ of (16.5) on the grid, for arrays u and b."""
    return np.maximum(np.multiply.outer(u, x) + np.asarray(b)[..., None], 0) @ (p - q)


def best_neuron(p, q, c=CLIP):
    """(|Δ|, u, b) of the best neuron: u or b is at its bound."""
    side = np.linspace(-c, c, 801)
    candidates = [(s * c * np.ones(801), side) for s in (1, -1)]
    candidates += [(side, s * c * np.ones(801)) for s in (1, -1)]
    u, b = (np.concatenate(parts) for parts in zip(*candidates, strict=True))
    values = np.abs(delta(u, b, p, q))
    k = np.argmax(values)
    return values[k], u[k], b[k]


vanishing = np.exp(10 * np.polyfit(depths, np.log(squares[0.1]), 1)[0])  # ten layers more
check("16.4", "ten layers more, log10: (nc²/2)^(10/2) of the slope", math.log10(vanishing) / 2,
      math.log10(64 * 0.1**2 / 2) * 5, atol=0.04, errata="S0.11")  # fmt: skip
check("16.4a", "less than 1 % of it", math.sqrt(vanishing), 0.01, atol=0, relation="<=",
      errata="S0.11")  # fmt: skip
reached = critic @ (p - q)
check("16.5", "the trained critic's loss, neuron by neuron", reached, v @ delta(u, b, p, q),
      atol=1e-12)  # fmt: skip
alone = delta(np.array([CLIP]), np.array([-0.02]), p, q)[0]
tensors = [mg.tensor(row.copy(), requires_grad=True) for row in (v, u, b)]
for w, value in zip(tensors, (CLIP, CLIP, -0.02), strict=True):
    w.data[0] = value
f = ops.sum(tensors[0] * ops.relu(x[:, None] * tensors[1] + tensors[2]), axis=1)
felt = mg.grad(ops.sum(f * (p - q)), tensors[0]).data[0]
check("16.5a", "what a neuron feels, beside 63 others, is its own Δ", felt, alone, atol=1e-12)

# %%
top, best_u, best_b = best_neuron(p, q)
kinks = -b / u
print(f"best kink {-best_b / best_u:.2f}; trained neurons within 0.1 of it: {np.sum(abs(kinks - 0.2) < 0.1)} of 64")  # fmt: skip
print(f"training reached {reached / (WIDTH * CLIP * top):.0%} of the best")
random = np.random.default_rng(1)
others = random.uniform(-CLIP, CLIP, (sized(4000, 1000), 3, WIDTH))
values = np.einsum("ni,ni->n", others[:, 0], delta(others[:, 1], others[:, 2], p, q))
check("16.6", "no random critic does better", values, WIDTH * CLIP * top, atol=1e-12, relation="<=")
check("16.6a", "nor the trained one", reached, WIDTH * CLIP * top, atol=1e-12, relation="<=")
sign = np.sign(delta(np.array(best_u), np.array(best_b), p, q))
repeated = np.maximum(np.outer(x, np.full(WIDTH, best_u)) + best_b, 0) @ np.full(WIDTH, sign * CLIP)
check("16.6b", "one neuron, 64 times", repeated @ (p - q), WIDTH * CLIP * top, atol=1e-12)

# %% [markdown]
# ## 4. What it reports
#
# WGAN's promise is a loss that means something: $K W_1$. Every neuron is $c^2$-Lipschitz, so
#
# $$ \max_{\text{clipped}} \mathbb{E}_p D - \mathbb{E}_q D \le h\,c^2\,W_1(p, q) . \tag{16.7} $$
#
# Is it equal? For a *shift* yes, if both laws lie to one side of a kink in $[-1, 1]$: one ramp is the best critic. For a
# *spread*, $N(0, s^2)$ against $N(0, 1)$, no: with $\mathbb{E}\max(0, sz - t)$ greatest in difference at $t = 0$,
#
# $$ \max|\Delta| = c\,\frac{|s - 1|}{\sqrt{2\pi}} = \frac c2\,W_1 : \tag{16.8} $$
#
# half. So the same number on the screen stands for one distance if the fakes are shifted and for twice that if they lack
# spread: variety comes at half price. With *linear* critics, $D = \langle w, x\rangle$, it
# is complete, and they report
#
# $$ c\,\lVert \mu_p - \mu_q\rVert_1, \tag{16.9} $$
#
# the means and nothing else. Capacity that clipping takes away is diversity that nobody asks for.

# %%
shift = bump(1.5, 0.3), bump(3.0, 0.3)
reports = [best_neuron(*laws)[0] / (CLIP * transport.wasserstein_tables(*laws, x))
           for laws in ((p, q), shift)]  # fmt: skip
print("share of h c² W1 that the best clipped critic reports, two heaps and shift:", np.round(reports, 3))  # fmt: skip
check("16.7", "at most h c² W1", reports, 1.0, atol=1e-9, relation="<=")
check("16.7a", "a shift: all of it", reports[1], 1.0, atol=1e-4)
wide = 1.5
laws = bump(0, wide), bump(0, 1.0)
ramp = lambda t, s: s * norm.pdf(t / s) - t * norm.cdf(-t / s)  # E max(0, s z − t)
places = np.linspace(-1, 1, 801)
check("16.8", "a spread: c (s − 1)/√(2π)", CLIP * np.abs(ramp(places, wide) - ramp(places, 1)).max(),
      CLIP * (wide - 1) / math.sqrt(2 * math.pi), atol=1e-9)  # fmt: skip
check("16.8a", "half of c W1", best_neuron(*laws)[0], CLIP / 2 * transport.wasserstein_tables(*laws, x),
      atol=1e-4)  # fmt: skip
difference = np.array([0.4, -1.2, 0.3])
best = -linprog(-difference, bounds=(-CLIP, CLIP)).fun
check("16.9", "linear critics: c ‖μ_p − μ_q‖₁", best, CLIP * np.abs(difference).sum(), atol=1e-12)

# %% [markdown]
# What remains of WGAN without clipping is a good idea: a loss without saturation, and a distance that sees distances.
# Lesson 17 keeps the critic's slope near 1 by a penalty, lesson 18 by the norms of its layers. And the game? In the
# Dirac-GAN clipping ends on a circle of radius $c$, (12.28).
#
# ## Exercises


# %%
def steepest(widths, c):
    """The Lipschitz bound of (16.2) for layers of any widths (inputs, n_1, ..., 1), weights in [-c, c]."""
    # Hint: the product of c √(n m) over the layers.
    raise NotImplementedError


def steepest_property(answer, widths, c):
    layers = [np.full(shape, c) for shape in itertools.pairwise(widths)]
    slope = np.ones(1)
    for w in reversed(layers):  # the gradient of the network with all weights c, at positive inputs
        slope = w @ slope
    got = answer(widths, c)
    assert math.isclose(got, np.linalg.norm(slope), rel_tol=1e-9), (
        f"expected {np.linalg.norm(slope)}"
    )


grade("16.E1", steepest, steepest_property, c=floats(0.05, 1),
      widths=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(lambda w: (*w, 1)))  # fmt: skip


# %%
def best_linear(difference, c):
    """The weights w, all in [-c, c], of the linear critic that tells two laws apart best.

    `difference` is the mean of the data minus the mean of the fakes.
    """
    # Hint: each coordinate earns w_j times its difference.
    raise NotImplementedError


def linear_property(answer, difference, c):
    w = np.asarray(answer(difference, c), dtype=float)
    assert w.shape == difference.shape and np.abs(w).max() <= c + 1e-12, "a weight is out of bounds"
    best = -linprog(-difference, bounds=(-c, c)).fun
    assert w @ difference >= best - 1e-9, f"it earns {w @ difference}, but {best} is possible"


grade("16.E2", best_linear, linear_property, difference=arrays(4, -2, 2), c=floats(0.01, 1))


# %%
def mean_ramp(mean, deviation, t):
    """E max(0, x − t) for x ~ N(mean, deviation²)."""
    # Hint: write x = mean + deviation z, and a = (mean − t)/deviation. z φ(z) is minus the
    # derivative of φ.
    raise NotImplementedError


def ramp_property(answer, mean, deviation, t):
    z = np.linspace(-9, 9, 20_001)
    want = trapezoid(np.maximum(0, mean + deviation * z - t) * norm.pdf(z), z)
    assert abs(answer(mean, deviation, t) - want) < 1e-5, f"expected {want}"


grade("16.E3", mean_ramp, ramp_property, mean=floats(-2, 2), deviation=floats(0.3, 2),
      t=floats(-2, 2))  # fmt: skip


# %%
def level_clip(width):
    """The c at which random signs ±c keep the mean square of a ReLU layer's values, layer by layer."""
    # Hint: a sum of n terms ±c max(0, h), and half of the h are negative.
    raise NotImplementedError


def level_property(answer, width):
    c = answer(width)
    z = np.linspace(-9, 9, 20_001)
    after = width * c**2 * trapezoid(np.maximum(0, z) ** 2 * norm.pdf(z), z)
    assert abs(after - 1) < 1e-4, f"a mean square of 1 becomes {after}"


grade("16.E4", level_clip, level_property, width=st.integers(2, 2000))

# %% [markdown]
# ## What to read next
#
# - M. Arjovsky, S. Chintala, L. Bottou, *Wasserstein GAN* (2017, arXiv 1701.07875): algorithm 1, and section 4.2 on
#   what its loss means.
# - I. Gulrajani et al., *Improved Training of Wasserstein GANs* (2017, arXiv 1704.00028), section 3: capacity underuse,
#   and gradients against depth.
# - J. Stanczuk, C. Etmann, L. Kreusser, C.-B. Schönlieb, *Wasserstein GANs Work Because They Fail* (2021, arXiv
#   2103.01678): how far critics are from $W_1$ in practice.
# - Next: lesson 17, the gradient penalty, and derivatives of derivatives.
