# %% [markdown]
# # 3. Probability and the pushforward
#
# A generator contains no randomness. It is a plain function $G$: the same $z$ in, the same $G(z)$ out. Yet we speak of
# "the distribution of fakes" $p_g$, and the whole theory of GANs compares that distribution with the data's. This
# lesson says exactly what $p_g$ is, how it follows from $G$ and the law of $z$, when it has a density and when it has
# none, and how one computes averages over it. Later lessons rest on the four tools built here: expectation, the change
# of variables, the average over $z$ in place of $x$, and the derivative that passes through a sample.
#
# You need: integrals and derivatives of one variable, NumPy, and the idea of a gradient (lesson 1).
#
# **Predict first.** Draw $z$ from the standard normal law; its density is largest at $z = 0$. Let $G(z) = e^z$, so that
# $G(0) = 1$. At which $x$ is the density of the fakes $x = G(z)$ largest: at 1, to the left of it, or to the right?
# Write down a number. Section 3 answers.

# %%
import itertools
import math

import numpy as np
from scipy import interpolate, optimize, special, stats

import minigan as mg
from minigan import nn, ops
from minigan.kernels import reference
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLACK, BLUE, GREY, ORANGE
from minigan.theory import divergences


def integrate(f, low, high, panels=200):
    """The integral of f from low to high: Gauss-Legendre, 16 nodes on each of `panels` panels."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    half = (high - low) / (2 * panels)
    centres = low + half * (2 * np.arange(panels) + 1)
    x = (centres[:, None] + half * nodes).ravel()
    return float(np.sum(f(x) * np.tile(half * weights, panels)))


def normal_density(x, mean=0.0, std=1.0):
    """exp(-(x - mean)^2 / (2 std^2)) / (std sqrt(2 pi))."""
    return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


# %% [markdown]
# ## 1. A density is not a probability
#
# A **random variable** $X$ is a number whose value is uncertain. Its **law** says how probability is spread over the
# possible values. If there are finitely many values, the law is a table: $p_i = P(X = i)$, numbers in $[0, 1]$ that add
# up to 1.
#
# On the line there are too many values for a table. There the law is described by a **density** $p(x) \ge 0$.
# Probability is the *area* below it:
#
# $$ P(a \le X \le b) = \int_a^b p(x)\,dx \tag{3.1} $$
#
# For the normal law the area has a name: $\Phi$, the area left of a point for mean 0 and standard deviation 1. We
# compare our integral with SciPy's $\Phi$.

# %%
mean, std = 0.3, 0.1
area = integrate(lambda x: normal_density(x, mean, std), 0.25, 0.42)
by_phi = special.ndtr((0.42 - mean) / std) - special.ndtr((0.25 - mean) / std)
check("3.1", "P(a ≤ X ≤ b) = ∫ p(x) dx over [a, b]", area, by_phi, atol=1e-13)

# %% [markdown]
# Nothing forces a density to stay below 1. Only the area must be 1, and a narrow law must be tall:
#
# $$ \int p(x)\,dx = 1, \qquad
# p(\mu) = \frac{1}{\sigma\sqrt{2\pi}} > 1 \quad\text{for } \sigma < \frac{1}{\sqrt{2\pi}} = 0.3989 \tag{3.2} $$
#
# > **Aside: a density is no probability.** Article S0, section 2.1.1, explains the density as the function that
# > describes "the probability of a value". With $\sigma = 0.1$ that "probability" would be 3.99. The ring of eight
# > Gaussians that our two-dimensional GANs learn reaches 49.7 at each mode.

# %%
whole = integrate(lambda x: normal_density(x, mean, std), mean - 2, mean + 2)
check("3.2", "∫ p(x) dx = 1", whole, 1.0, atol=1e-13)
check("3.2a", "area per length at μ = 1 / (σ √(2π)) = 3.99 > 1",
      (special.ndtr(1e-4) - special.ndtr(-1e-4)) / (2e-4 * std), 1 / (std * math.sqrt(2 * math.pi)),
      atol=1e-7, errata="S0.4")  # fmt: skip

ring = mg.data.load("ring8", n=16)
peak = np.exp(ring.log_density(ring.modes))
check("3.2b", "ring8: p(mode) = 1/8 · 1/(2πσ²) = 49.7", peak, 1 / (8 * 2 * math.pi * 0.02**2),
      atol=1e-9, errata="S0.4")  # fmt: skip

# %% [markdown]
# What then is the probability of one exact value? Zero: shrink the interval and its area shrinks with it. The density
# is the *rate*: area per length.
#
# $$ P(|X - a| \le h) = 2h\,p(a) + \tfrac{h^3}{3}\,p''(a) + O(h^5) \tag{3.3} $$
#
# The formula is Taylor's series of $p$ around $a$, integrated from $a - h$ to $a + h$; the term with $p'(a)$ is odd and
# cancels. For the standard normal law $p''(a) = (a^2 - 1)\,p(a)$.

# %%
a, h = 0.7, np.array([0.1, 0.01, 0.001])
exact = special.ndtr(a + h) - special.ndtr(a - h)
taylor = 2 * h * normal_density(a) + h**3 / 3 * (a**2 - 1) * normal_density(a)
for width, probability in zip(h, exact, strict=True):
    rate = probability / (2 * width)
    print(f"h = {width:<6}  P(|X - a| <= h) = {probability:.6f}   divided by 2h: {rate:.6f}")
print(f"density at a: {normal_density(a):.6f}")
check("3.3", "P(|X − a| ≤ h) = 2h p(a) + h³ p''(a)/3 + O(h⁵)", exact, taylor, atol=1e-7)

# %% [markdown]
# A density therefore has a unit, one over the unit of $x$. Measure $x$ in other units, $y = cx$ with $c > 0$, and the
# density changes:
#
# $$ p_Y(y) = \frac{1}{c}\,p_X(y / c) \tag{3.4} $$
#
# For images this is not a detail. The same picture in $[0, 255]$ instead of $[0, 1]$ loses $\log 255 = 5.54$ nats *per
# pixel*. Log-densities can only be compared in the same units. (Divergences do not have this problem: lesson 5.)

# %%
c = 255.0
by_interval = (special.ndtr(a + 1e-4) - special.ndtr(a - 1e-4)) / (c * 2e-4)
check("3.4", "p_Y(y) = p_X(y / c) / c for Y = c X", by_interval, stats.norm(scale=c).pdf(c * a),
      atol=1e-10)  # fmt: skip

# %% [markdown]
# ## 2. Expectation, and how well an average finds it
#
# The **expectation** of $f(X)$ is the average of $f$, each value weighted by its probability. It is a sum for a table
# and an integral for a density:
#
# $$ \mathbb{E} f(X) = \sum_i p_i f(i) \qquad\text{or}\qquad \mathbb{E} f(X) = \int p(x) f(x)\,dx \tag{3.5} $$
#
# Two cases with known answers: the mean square of a fair die is $91/6$, and $\mathbb{E}\cos X = e^{-\sigma^2/2}$ for a
# normal $X$ with mean 0.

# %%
die = np.full(6, 1 / 6)
check("3.5", "E X² of a die = Σ p_i i² = 91/6", np.sum(die * np.arange(1, 7) ** 2), 91 / 6,
      atol=1e-13)  # fmt: skip
sigma = 0.8
by_integral = integrate(lambda x: normal_density(x, 0, sigma) * np.cos(x), -12 * sigma, 12 * sigma)
check("3.5a", "E cos X = ∫ p(x) cos x dx = exp(−σ²/2)", by_integral, math.exp(-(sigma**2) / 2),
      atol=1e-13)  # fmt: skip

# %% [markdown]
# Training has neither table nor integral. It has samples $x_1, \dots, x_n$, drawn independently, and takes their
# average
#
# $$ \bar f_n = \frac{1}{n}\sum_{i=1}^n f(x_i), \qquad \mathbb{E}\,\bar f_n = \mathbb{E} f(X), \qquad
# \operatorname{Var} \bar f_n = \frac{\operatorname{Var} f(X)}{n} \tag{3.6} $$
#
# if the variance is finite. Why? The expectation of a sum is the sum of expectations: $n$ equal terms over $n$. The
# variance of a sum of *independent* terms is the sum of variances: $n$ equal terms over $n^2$.
#
# We can check this without any luck. Take a law with three values and $n = 4$. There are $3^4 = 81$ possible samples.
# We visit them all, each with its probability.

# %%
p, f, n = np.array([0.2, 0.5, 0.3]), np.array([1.0, -2.0, 5.0]), 4
outcomes = list(itertools.product(range(3), repeat=n))
probability = np.array([np.prod(p[list(o)]) for o in outcomes])
average = np.array([np.mean(f[list(o)]) for o in outcomes])
true_mean, true_variance = np.sum(p * f), np.sum(p * f**2) - np.sum(p * f) ** 2
check("3.6", "E of the average = E f", np.sum(probability * average), true_mean, atol=1e-13)
spread = np.sum(probability * (average - true_mean) ** 2)
check("3.6a", "Var of the average = Var f / n", spread, true_variance / n, atol=1e-13)

# %% [markdown]
# The variance tells how likely a large error is. Chebyshev's inequality:
#
# $$ P\left(|\bar f_n - \mathbb{E} f| \ge \varepsilon\right) \le \frac{\operatorname{Var} f}{n\,\varepsilon^2} \tag{3.7} $$
#
# It has a one-line proof: the variance is at least $\varepsilon^2$ times the probability that the error is
# $\varepsilon$ or more. As $n$ grows the bound goes to 0 for every $\varepsilon$, so the average converges: the **law
# of large numbers**.

# %%
for epsilon in (1.0, 1.5, 2.0, 3.0):
    far = np.sum(probability[np.abs(average - true_mean) >= epsilon])
    check("3.7", f"P(error ≥ {epsilon}) ≤ Var f / (n ε²)", far,
          true_variance / (n * epsilon**2), atol=1e-13, relation="<=")  # fmt: skip

# %% [markdown]
# The typical error is the square root of the variance:
#
# $$ \sqrt{\mathbb{E}\,(\bar f_n - \mathbb{E} f)^2} = \frac{\operatorname{std} f(X)}{\sqrt{n}} \tag{3.8} $$
#
# One more digit costs a hundred times the samples. That is slow, but it does not depend on the dimension of $x$: a grid
# with two points an axis has $2^{784} \approx 10^{236}$ points for a small image, while 10,000 samples give every
# average to one per cent of its standard deviation. A batch of 64 gives it to $1/8$: the losses printed during training
# *must* flicker.
#
# We estimate $\mathbb{E} X^2 = 1$ for the standard normal law, where $\operatorname{Var} X^2 = 2$, in 400 independent
# runs.

# %%
most = sized(10_000, 2_000)
squares = mg.random.normal((400, most), seed=3, stream="monte carlo", dtype=np.float64).data ** 2
counts = np.unique(np.geomspace(5, most, 12).astype(int))
errors = np.cumsum(squares, axis=1)[:, counts - 1] / counts - 1.0
root_mean_square = np.sqrt(np.mean(errors**2, axis=0))
check("3.8", "root mean square error = std f / √n (400 runs)",
      root_mean_square * np.sqrt(counts), math.sqrt(2), atol=0, rtol=0.15)  # fmt: skip
values, law = (
    np.array([0.0, 1.0, 4.0]),
    np.array([0.5, 0.2, 0.3]),
)  # a small law, and all its samples of 5
means = np.array([np.mean(s) for s in itertools.product(values, repeat=5)])
chances = np.array([np.prod(s) for s in itertools.product(law, repeat=5)])
variance = law @ values**2 - (law @ values) ** 2
check("3.8a", "over all samples of a small law exactly", chances @ (means - law @ values) ** 2,
      variance / 5, atol=1e-13)  # fmt: skip

fig, ax = figure()
for k in range(25):
    ax.loglog(counts, np.abs(errors[k]), color=GREY, linewidth=0.6, linestyle="-", alpha=0.6)
ax.loglog(counts, root_mean_square, "o", color=BLUE, label="root mean square of 400 runs")
ax.loglog(
    counts, math.sqrt(2) / np.sqrt(counts), color=ORANGE, linestyle="-", label=r"$\sqrt{2/n}$"
)
ax.set(xlabel="samples n", ylabel="error of the mean of $x^2$", ylim=(4e-4, 3))
ax.annotate("25 single runs", (counts[1], 1.2e-3), color="#555555", fontsize=9)
ax.legend(loc="upper right")
show(fig, "monte-carlo",
     alt="The error of a Monte Carlo mean falls along the line square root of 2 over n")  # fmt: skip

# %% [markdown]
# ## 3. The pushforward
#
# Now put a function behind a random variable. Let $z$ have a law $p_z$ and let $x = G(z)$. The law of $x$ is the
# **pushforward** of $p_z$ by $G$, and for a generator it is called $p_g$. Its definition is one sentence: the
# probability that $x$ lies in a set $A$ is the probability that $z$ lies where $G$ leads into $A$.
#
# $$ P(x \in A) = P\left(z \in G^{-1}(A)\right), \qquad G^{-1}(A) = \{z : G(z) \in A\} \tag{3.9} $$
#
# For tables: $p_g(j)$ is the *sum* of $p_z(i)$ over all $i$ with $G(i) = j$. Push a die through $G(i) = (i - 3.5)^2$.
# Two faces lead to each value, so each of the three values has probability $1/3$.

# %%
faces = np.arange(1, 7)
values, where = np.unique((faces - 3.5) ** 2, return_inverse=True)
pushed = np.bincount(where, weights=die)
print(dict(zip(values.tolist(), pushed.round(4).tolist(), strict=True)))
by_definition = [sum(die[i] for i in range(6) if (faces[i] - 3.5) ** 2 == v) for v in values]
check("3.9", "p_g(j) = Σ p_z(i) over i with G(i) = j", pushed, by_definition, atol=1e-15)
check("3.9a", "die through (i − 3.5)²: 1/3 each", pushed, 1 / 3, atol=1e-15)

# %% [markdown]
# The most useful consequence: to average over fakes one never needs $p_g$. Averaging over $z$ is enough.
#
# $$ \mathbb{E}_{x \sim p_g} f(x) = \mathbb{E}_{z \sim p_z} f(G(z)) \tag{3.10} $$
#
# For tables it is a regrouping of the same sum:
# $\sum_j p_g(j) f(j) = \sum_j \sum_{i: G(i) = j} p_z(i) f(j) = \sum_i p_z(i) f(G(i))$. The general case follows because
# every integral is a limit of such sums. Every GAN loss uses it: $\mathbb{E}_{x \sim p_g} \log(1 - D(x))$ is *computed*
# as the mean of $\log(1 - D(G(z)))$ over a batch of noise.

# %%
check("3.10", "Σ_j p_g(j) f(j) = Σ_i p_z(i) f(G(i))", np.sum(pushed * np.sin(values)),
      np.sum(die * np.sin((faces - 3.5) ** 2)), atol=1e-15)  # fmt: skip

# %% [markdown]
# ### One dimension: how a density changes
#
# Let $G$ be smooth and increasing, with $G' > 0$. Start from areas, since those are probabilities. The fakes left of
# $x$ come from the $z$ left of $G^{-1}(x)$:
#
# $$ F_g(x) = P(G(z) \le x) = F_z\left(G^{-1}(x)\right) \tag{3.11} $$
#
# where $F$ denotes the area left of a point. Differentiate both sides in $x$, by the chain rule, to get densities. For
# a decreasing $G$ a minus sign appears twice; the absolute value covers both cases:
#
# $$ p_g(x) = p_z\left(G^{-1}(x)\right)\left|\frac{d G^{-1}}{d x}\right| \qquad\iff\qquad
# p_g(G(z)) = \frac{p_z(z)}{|G'(z)|} \tag{3.12} $$
#
# The second form reads: *where $G$ is steep, it stretches and thins; where it is flat, it piles up.* It needs no
# inverse.
#
# First test: $G(z) = \mu + \sigma z$ turns $N(0, 1)$ into $N(\mu, \sigma^2)$, even for a negative factor.

# %%
x = np.linspace(-6, 9, 61)
for mu, scale in ((1.5, 2.0), (1.5, -2.0)):
    inverse = (x - mu) / scale
    check("3.12", f"affine map, factor {scale}: p_z(G⁻¹(x)) / |σ| = density of N(μ, σ²)",
          normal_density(inverse) / abs(scale), stats.norm(mu, 2.0).pdf(x), atol=1e-15)  # fmt: skip

# %% [markdown]
# Second test, and the question of the beginning: $G(z) = e^z$. Then $G^{-1}(x) = \log x$, with derivative $1/x$:
#
# $$ p_g(x) = \frac{1}{x\sqrt{2\pi}}\,e^{-(\log x)^2/2}, \qquad x > 0 \tag{3.13} $$
#
# which SciPy knows as the log-normal law. Where is it largest? Set the derivative of
# $\log p_g = -\log x - (\log x)^2/2 + \text{const}$ to zero: $-1/x - (\log x)/x = 0$, so
#
# $$ x^* = e^{-1} = 0.368, \qquad p_g(x^*) = 0.658, \quad p_g(1) = 0.399 \tag{3.14} $$
#
# The fakes are densest at 0.368, well to the *left* of $G(0) = 1$: there $e^z$ is flatter, so it piles up more. The
# most likely $z$ does not map to the most likely $x$. What *does* map is probability: half of the fakes lie left of
# $G(0) = 1$.


# %%
def exp_density(x):
    return normal_density(np.log(x)) / x


grid = np.linspace(0.05, 6, 4000)
check("3.13", "density of e^z = log-normal density", exp_density(grid),
      stats.lognorm(s=1.0).pdf(grid), atol=1e-14)  # fmt: skip
best = grid[np.argmax(exp_density(grid))]
print(f"densest at x = {best:.3f}: {exp_density(best):.3f};  at x = 1: {exp_density(1.0):.3f}")
check("3.14", "argmax p_g = e⁻¹, not G(0) = 1", best, math.exp(-1), atol=2e-3)
heights = [math.sqrt(math.e / (2 * math.pi)), 1 / math.sqrt(2 * math.pi)]
check("3.14b", "p_g(e⁻¹) = 0.658, p_g(1) = 0.399", exp_density(np.exp([-1.0, 0.0])), heights,
      atol=1e-15)  # fmt: skip
below = integrate(exp_density, 1e-9, 1.0, panels=2000)
check("3.14a", "P(x ≤ G(0)) = P(z ≤ 0) = 1/2", below, 0.5, atol=1e-12)

# %% [markdown]
# Both sides of (3.10) are now integrals that we can take: over $x$ with the log-normal density, over $z$ with the
# normal one.

# %%
over_x = integrate(lambda x: exp_density(x) * np.sin(x), 1e-9, 3000, panels=200_000)
over_z = integrate(lambda z: normal_density(z) * np.sin(np.exp(z)), -9, math.log(3000))
check("3.10a", "∫ p_g(x) sin x dx = ∫ p_z(z) sin G(z) dz for G = exp", over_x, over_z, atol=1e-10)

# %% [markdown]
# If $G$ is not monotone, several $z$ lead to the same $x$, and their contributions add, exactly as in (3.9):
#
# $$ p_g(x) = \sum_{z:\,G(z) = x} \frac{p_z(z)}{|G'(z)|} \tag{3.15} $$
#
# For $G(z) = z^2$ there are two, $\pm\sqrt{x}$, with $|G'| = 2\sqrt{x}$. The result is the chi-squared law with one
# degree of freedom. Near 0 its density is *infinite* ($G'(0) = 0$), and its area is still 1.

# %%
x = np.linspace(0.01, 9, 200)
two_branches = 2 * normal_density(np.sqrt(x)) / (2 * np.sqrt(x))
check("3.15", "density of z²: sum over both roots = chi-squared(1)", two_branches,
      stats.chi2(1).pdf(x), atol=1e-13)  # fmt: skip

# %% [markdown]
# ### A generator with two modes
#
# Here is a generator that makes two heaps from one: $G(z) = 0.3\,z + 2\tanh 3z$. It is steep in the middle
# ($G'(0) = 6.3$) and nearly flat outside ($G' \to 0.3$). We write it with minigan's operations, take $G'$ by autodiff,
# and get the *exact* density of the fakes at each $x = G(z)$ from (3.12). The engine's part is
# [grad](../minigan/autodiff.py#grad). Since $G(z)_i$ depends on $z_i$ only, the gradient of the sum of all outputs
# holds all derivatives $G'(z_i)$ at once.


# %%
def two_heaps(z):
    return 0.3 * z + 2.0 * ops.tanh(3.0 * z)


def slope(G, z):
    """G'(z_i) for each element of z, by autodiff."""
    z = mg.tensor(np.asarray(z, np.float64), requires_grad=True)
    return mg.grad(G(z).sum(), z).data


z = np.linspace(-5, 5, 20_001)
density = normal_density(z) / slope(two_heaps, z)
x = two_heaps(mg.tensor(z)).data
check("3.12a", "∫ p_g(x) dx = 1 with G' by autodiff (trapezoid in x)", np.trapezoid(density, x),
      1.0, atol=1e-6)  # fmt: skip
noise = mg.random.normal((sized(400_000, 100_000),), seed=3, stream="two heaps", dtype=np.float64)
fakes = two_heaps(noise).data
edges = np.linspace(-3.4, 3.4, 69)
share = np.histogram(fakes, edges)[0] / len(fakes)
exact_share = np.diff(np.interp(edges, x, special.ndtr(z)))  # (3.11): F_g(G(z)) = F_z(z)
check("3.11", "share of fakes from the first edge to each = F_g(b) − F_g(a)", np.cumsum(share),
      np.cumsum(exact_share), atol=5 * 0.5 / math.sqrt(len(fakes)))  # fmt: skip
check("3.11a", "and in no single bin the share is further off than 5 standard errors",
      abs(share - exact_share), 5 * math.sqrt(exact_share.max() / len(fakes)), atol=0,
      relation="<=")  # fmt: skip

# %%
fig, (left, right) = figure(1, 2, height=3.0)
left.plot(z, x, color=BLUE, linestyle="-")
left.set(
    xlabel="z",
    ylabel="x = G(z)",
    xlim=(-3, 3),
    ylim=(-3.4, 3.4),
    title="steep in the middle, flat outside",
)
right.bar(
    edges[:-1],
    share / np.diff(edges),
    np.diff(edges),
    align="edge",
    color="#BFD8EA",
    label="histogram of fakes",
)
right.plot(x, density, color=ORANGE, linestyle="-", label=r"$p_z(z)\,/\,|G'(z)|$")
right.plot(z, normal_density(z), color=BLACK, linestyle=":", label="$p_z$")
right.set(
    xlabel="x", ylabel="density", xlim=(-3.4, 3.4), ylim=(0, 1.15), title="one heap becomes two"
)
right.legend(loc="upper center", ncols=1)
show(fig, "two-heaps",
     alt="A map, steep in the middle, turns one normal heap into two; histogram and formula agree")  # fmt: skip

# %% [markdown]
# Between the heaps the density is low but not 0: 0.063 at $x = 0$. A continuous $G$ cannot jump, so *some* $z$ always
# land in between. We meet these bridges of bad samples again in every GAN on separated modes (lesson 9).
#
# ### Several dimensions: the Jacobian determinant
#
# In the plane, a small square of side $\epsilon$ at $z$ becomes (almost) a parallelogram, spanned by $\epsilon$ times
# the columns of the Jacobian matrix $J_{ij} = \partial G_i / \partial z_j$. The area of a parallelogram is the absolute
# value of the determinant, so the square's probability $p_z(z)\,\epsilon^2$ is now spread over the area
# $|\det J|\,\epsilon^2$:
#
# $$ p_g(G(z)) = \frac{p_z(z)}{|\det J(z)|} \qquad (G \text{ invertible}) \tag{3.16} $$
#
# Here $G$ has to be smooth and $\det J \ne 0$. The formula holds in every dimension, with volumes in place of areas.
# Our test is the "banana" $G(z) = (z_1,\; z_2/2 + z_1^2/2)$. We know its law without any Jacobian:
# $x_1 \sim N(0, 1)$, and given $x_1$, $x_2 \sim N(x_1^2/2, 1/4)$, so $p_g(x) = p(x_1)\,p(x_2 \mid x_1)$.


# %%
def banana(z):
    return ops.stack([z[:, 0], 0.5 * z[:, 1] + 0.5 * ops.square(z[:, 0])], axis=1)


def determinants(G, z):
    """det J(z_i) for each row of z (N, 2), by autodiff: row i of G(z) rests on row i of z only."""
    z = mg.tensor(np.asarray(z, np.float64), requires_grad=True)
    x = G(z)
    rows = [mg.grad(x[:, i].sum(), z).data for i in range(2)]
    return rows[0][:, 0] * rows[1][:, 1] - rows[0][:, 1] * rows[1][:, 0]


z = mg.random.normal((2000, 2), seed=3, stream="plane", dtype=np.float64)
x = banana(z).data
p_z = normal_density(z.data).prod(axis=1)
by_jacobian = p_z / np.abs(determinants(banana, z.data))
by_conditioning = normal_density(x[:, 0]) * normal_density(x[:, 1], 0.5 * x[:, 0] ** 2, 0.5)
check("3.16", "p_g(G(z)) = p_z(z) / |det J(z)|: the banana", by_jacobian, by_conditioning,
      atol=1e-14)  # fmt: skip
one_by_one = mg.jacobian(lambda z: banana(ops.reshape(z, (1, 2)))[0], z[7]).data
check("3.16a", "determinant of mg.jacobian = determinant from two gradients",
      np.linalg.det(one_by_one), determinants(banana, z.data)[7], atol=1e-13)  # fmt: skip

# %% [markdown]
# Integrate that density over a region, and it must give the share of samples there: (3.1) again, in the plane. The
# region is $x_2 > 1$. The inner integral over $x_2$ is a normal tail.

# %%
tail = integrate(lambda x1: normal_density(x1) * special.ndtr((0.5 * x1**2 - 1) / 0.5), -9, 9)
many = banana(
    mg.random.normal((sized(400_000, 100_000), 2), seed=4, stream="plane", dtype=np.float64)
).data
hits = np.mean(many[:, 1] > 1)
print(f"P(x2 > 1): integral {tail:.4f}, share of samples {hits:.4f}")
check("3.16b", "∫ p_g over {x₂ > 1} = share of samples", hits, tail,
      atol=5 * 0.5 / math.sqrt(len(many)))  # fmt: skip

# %% [markdown]
# Now a surprise. The "swirl" turns each point around the origin by an angle that grows with its distance:
# $G(z) = R(|z|^2)\,z$, with $R(\alpha)$ the rotation by $\alpha$. It twists every picture into spirals. Its determinant
# is 1 everywhere, and $|G(z)| = |z|$, so the standard normal density is the same before and after:
#
# $$ p_g(x) = p_z(x) \quad\text{although}\quad G(z) \ne z \tag{3.17} $$


# %%
def swirl(z):
    angle = ops.square(z).sum(axis=1)
    c, s = ops.cos(angle), ops.sin(angle)
    return ops.stack([c * z[:, 0] - s * z[:, 1], s * z[:, 0] + c * z[:, 1]], axis=1)


swirled = swirl(z).data
check("3.17", "swirl: |det J| = 1", np.abs(determinants(swirl, z.data)), 1.0, atol=1e-11)
check("3.17a", "swirl: p_g(G(z)) = p_z(G(z))", p_z / np.abs(determinants(swirl, z.data)),
      normal_density(swirled).prod(axis=1), atol=1e-12)  # fmt: skip
check("3.17b", "yet G(z) ≠ z: points move", swirled, z.data, atol=1.0, relation="!=")

# %%
lines = np.linspace(-2, 2, 9)
t = np.linspace(-2, 2, 300)
grid_lines = [np.stack([t, np.full_like(t, v)], 1) for v in lines] + [
    np.stack([np.full_like(t, v), t], 1) for v in lines
]
fig, axes = figure(1, 3, height=2.5)
for ax, (name, G) in zip(
    axes, (("z", lambda z: z), ("banana", banana), ("swirl", swirl)), strict=True
):
    ax.plot(*G(z[:700]).data.T, ".", color=ORANGE, markersize=2)
    for k, segment in enumerate(grid_lines):
        ax.plot(
            *G(mg.tensor(segment)).data.T,
            color=BLUE if k < 9 else GREY,
            linestyle="-",
            linewidth=0.7,
        )
    ax.set(title=name, xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal", xlabel="$x_1$")
    ax.grid(False)
axes[0].set(xlabel="$z_1$", ylabel="$z_2$")
axes[1].set_ylabel("$x_2$")
show(
    fig,
    "maps",
    alt="Normal points and a grid; bent into a banana; twisted, with the cloud of points as before",
)

# %% [markdown]
# ## 4. The perfect generator in one dimension
#
# (3.11) can be read backwards: choose $G$ so that $F_g$ becomes whatever we like. Feed uniform $u$ on $[0, 1]$ to the
# inverse of a distribution function $F$:
#
# $$ x = F^{-1}(u) \quad\Longrightarrow\quad P(x \le t) = P(u \le F(t)) = F(t) \tag{3.18} $$
#
# This is **inverse-CDF sampling**. For the exponential law $F(t) = 1 - e^{-t}$, so $x = -\log(1 - u)$. The largest gap
# between the samples' distribution function and $F$ is below $1.63/\sqrt{n}$ in 99 of 100 cases (Kolmogorov and
# Smirnov).

# %%
u = mg.random.uniform((sized(100_000, 20_000),), seed=3, stream="quantile", dtype=np.float64).data
exponential = np.sort(-np.log1p(-u))
steps = np.arange(1, len(u) + 1) / len(u)
gap = np.max(np.abs(steps - (1 - np.exp(-exponential))))
check("3.18", "F⁻¹(u) has the distribution function F (Kolmogorov-Smirnov gap)", gap,
      1.63 / math.sqrt(len(u)), atol=1 / len(u), relation="<=")  # fmt: skip

# %% [markdown]
# With normal noise, first make it uniform, $u = \Phi(z)$. Then
#
# $$ G(z) = F_{\text{data}}^{-1}(\Phi(z)) \quad\Longrightarrow\quad p_g = p_{\text{data}} \tag{3.19} $$
#
# is a *perfect* generator. We build it for the data set `gauss1d`, two normal heaps at $\pm 2$ with $\sigma = 0.5$. Its
# $F$ is known but not its inverse. So we tabulate $z = \Phi^{-1}(F(x))$, put a monotone spline through the points
# $(z, x)$ and check with the spline's own derivative that (3.12) returns the data's exact density.

# %%
data = mg.data.load("gauss1d", n=60_000)
knots = np.linspace(-4, 4, 4001)
F = 0.5 * special.ndtr((knots + 2) / 0.5) + 0.5 * special.ndtr((knots - 2) / 0.5)
perfect = interpolate.PchipInterpolator(special.ndtri(F), knots)
z = np.linspace(-3, 3, 601)
p_data = np.exp(data.log_density(perfect(z)[:, None]))
check("3.19", "p_z(z) / G'(z) = p_data(G(z)) for G = F⁻¹ ∘ Φ, a monotone spline",
      normal_density(z) / perfect(z, 1), p_data, atol=1e-5)  # fmt: skip
at_data = np.mean(data.x[:, 0] <= perfect(0.8))
check("3.19a", "share of the data below G(0.8) = Φ(0.8)", at_data, special.ndtr(0.8),
      atol=5 * 0.41 / math.sqrt(len(data)))  # fmt: skip

# %% [markdown]
# So a perfect generator exists here. How steep is it in the gap? By (3.12) its slope at 0 is
# $p_z(0)/p_{\text{data}}(0)$:
#
# $$ G'(0) = \frac{p_z(0)}{p_{\text{data}}(0)} = \frac{1/\sqrt{2\pi}}{e^{-(2/0.5)^2/2}/(0.5\sqrt{2\pi})}
# = \tfrac12\,e^8 = 1490 \tag{3.20} $$
#
# A network has to become that steep to leave the gap as empty as it is. This is why GANs draw bridges between modes.

# %%
around = special.ndtri(0.5 * special.ndtr((1e-4 + 2) / 0.5) + 0.5 * special.ndtr((1e-4 - 2) / 0.5))
steepness = 1e-4 / around  # a difference quotient: x over the z that leads to it
p_gap = float(np.exp(data.log_density(np.zeros((1, 1))))[0])
check("3.20", "G'(0) = p_z(0) / p_data(0) = 1490", steepness, normal_density(0.0) / p_gap, atol=0,
      rtol=1e-6)  # fmt: skip
check(
    "3.20a", "and that is e⁸ / 2", normal_density(0.0) / p_gap, math.exp(8) / 2, atol=0, rtol=1e-13
)
print(f"slope of the perfect generator in the gap: {steepness:.0f}")

# %% [markdown]
# ## 5. The derivative through a sample
#
# Training needs the gradient of an expectation in the parameters $\theta$ of the law itself. "Draw $x$" is not a
# differentiable step. But $G_\theta(z)$ is, with $z$ held fixed. Write the expectation over $z$ by (3.10) and
# differentiate inside:
#
# $$ \frac{d}{d\theta}\,\mathbb{E}_{x \sim p_\theta} f(x) = \frac{d}{d\theta}\,\mathbb{E}_z f(G_\theta(z))
# = \mathbb{E}_z\left[ f'(G_\theta(z))\,\frac{\partial G_\theta(z)}{\partial \theta} \right] \tag{3.21} $$
#
# This is **reparameterisation**. The law of $z$ does not depend on $\theta$, so the derivative may pass the
# expectation (for smooth $f$ and $G$ with derivatives that do not grow too fast for the mean to exist). A test with a
# known answer: $x = \mu + \sigma z$, $f = \sin$. Then $\mathbb{E} f = e^{-\sigma^2/2} \sin\mu$ and the gradient is
# $(e^{-\sigma^2/2}\cos\mu,\; -\sigma e^{-\sigma^2/2}\sin\mu)$. Gauss-Hermite quadrature takes the expectation over
# $z$ without noise; autodiff takes the derivative. ([Identity
# 59](../tests/test_identities_latents.py#test_identity_59_three_gradients_agree) holds it for other functions.)

# %%
nodes, weights = np.polynomial.hermite_e.hermegauss(40)
weights = weights / weights.sum()
theta = mg.tensor(np.array([0.6, 1.3]), requires_grad=True)
expectation = (weights * ops.sin(theta[0] + theta[1] * nodes)).sum()
shrink = math.exp(-(1.3**2) / 2)
check("3.21", "d/dθ E f(G_θ(z)) by autodiff = analytic gradient", mg.grad(expectation, theta),
      [shrink * math.cos(0.6), -1.3 * shrink * math.sin(0.6)], atol=1e-13, identity=59)  # fmt: skip

# %% [markdown]
# There is a second way that never differentiates $f$: $\mathbb{E}[f(x)\,\nabla_\theta \log p_\theta(x)]$, the
# score-function estimator. It follows from $\nabla p = p\,\nabla\log p$ under the integral. Both are unbiased, with
# different variances. GANs use the first: $D$ is differentiable, and its gradient at a fake says in which direction the
# fake should move.

# %%
x = 0.6 + 1.3 * nodes
score = np.stack([nodes / 1.3, (nodes**2 - 1) / 1.3])  # d log p / d mu and d log p / d sigma
check("3.21a", "E f(x) ∇ log p_θ(x) = the same gradient",
      (weights * np.sin(x) * score).sum(axis=1),
      [shrink * math.cos(0.6), -1.3 * shrink * math.sin(0.6)], atol=1e-12, identity=59)  # fmt: skip

# %% [markdown]
# ## 6. A generator whose law has no density
#
# Formula (3.16) needs an invertible $G$. What if $z$ has fewer coordinates than $x$, as in almost every image GAN? Let
# $t$ be uniform on $[-1, 1]$ and $G(t) = (2t, t)$, a segment in the plane. How much probability lies in the square of
# half side $h$ around 0? We need $|2t| \le h$, so
#
# $$ P\left(\max(|x_1|, |x_2|) \le h\right) = \frac{h}{2}, \qquad
# \frac{P}{\text{area}} = \frac{h/2}{4h^2} = \frac{1}{8h} \to \infty \tag{3.22} $$
#
# Had the law a continuous density, probability per area would tend to it. Here it grows without bound. And no other
# density will do: the segment has area 0, so every integral over it is 0, but all the probability is on it. **$p_g$
# exists as a law and has no density.** Article S0, section 2.1.1, knows no other description of a law than a PDF.

# %%
t = (np.arange(1_000_000) + 0.5) / 500_000 - 1
half_sides = np.array([0.2, 0.1, 0.05, 0.025])
inside = np.array([np.mean(np.maximum(np.abs(2 * t), np.abs(t)) <= h) for h in half_sides])
check("3.22", "P(square of half side h) = h / 2: proportional to h, not to h²", inside,
      half_sides / 2, atol=2e-6, errata="S0.4")  # fmt: skip
per_area = inside / (4 * half_sides**2)
print("probability per area:", per_area.round(2), "doubles whenever h is halved")
check("3.22a", "P / area doubles when h halves: no density", per_area[1:] / per_area[:-1], 2.0,
      atol=1e-4, errata="S0.4")  # fmt: skip

# %% [markdown]
# For a network the reason is linear algebra. $G: \mathbb{R}^k \to \mathbb{R}^d$ with $k < d$ has a Jacobian $J$ with
# $d$ rows and $k$ columns, of rank at most $k$. A small $k$-dimensional cube becomes a flat sheet, whose
# $d$-dimensional volume is 0:
#
# $$ \operatorname{rank} J(z) \le k < d, \qquad \det\left(J J^T\right) = 0 \tag{3.23} $$
#
# A DCGAN maps 100 numbers to 784 pixels. Its fakes lie on a set of dimension at most 100 in a space of 784.

# %%
G = (
    nn.Sequential(nn.Dense(2, 32, activation="tanh"), nn.Dense(32, 5))
    .initialize(3, "G")
    .astype(np.float64)
)
here = np.array([0.4, -1.1])
J = mg.jacobian(lambda z: G(ops.reshape(z, (1, 2)))[0], here).data
square = 1e-5 * (np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(9, 2))
sheet = G(here + square).data - G(here[None]).data
check("3.23", "a small square becomes the flat sheet J dz", sheet, square @ J.T, atol=1e-9)
singular = np.linalg.svd(J @ J.T, compute_uv=False)
print("J has shape", J.shape, "and J Jᵀ the singular values", singular.round(6))
check("3.23a", "rank J ≤ 2: J Jᵀ has 5 − 2 singular values 0", singular[2:], 0.0, atol=1e-14)

# %% [markdown]
# Real data may be thin as well. If the two laws sit on sets that do not meet (or meet only where neither has any
# probability, like two curves that cross), some $D$ tells them apart perfectly, by asking "is $x$ on the first set?".
# The Jensen-Shannon divergence, which a GAN's value measures (lessons 5 and 7), is then stuck at its maximum:
#
# $$ \mathrm{JSD}(p, q) = \log 2 \quad\text{for disjoint supports, however close} \tag{3.24} $$
#
# We take two vertical segments at distance $\theta$ and count probability in square cells of side $\theta/2$, so that
# the segments never share a cell. The divergence does not notice that they approach. The Wasserstein distance, the
# least average way on which one heap of points can be moved to the other, does: it is $\theta$ ([identity
# 36](../tests/test_identities_transport.py#test_identity_36_parallel_lines_transport)).


# %%
def column_law(x1, side):
    """The uniform law on the segment {x1} x [0, 1], as a table of 3 columns of square cells."""
    rows = round(1 / side)
    table = np.zeros((3, rows))
    table[int(x1 / side)] = 1 / rows
    return table.ravel()


for theta in (1.0, 0.1, 0.001):
    jsd = divergences.jsd(column_law(0.25 * theta, theta / 2), column_law(1.25 * theta, theta / 2))
    check("3.24", f"JSD of two segments at distance {theta} = log 2", jsd, math.log(2), atol=1e-12,
          identity=36)  # fmt: skip
    y = np.linspace(0, 1, 50)
    cost = np.hypot(theta, y[:, None] - y)  # from (0, y) on one segment to (theta, y') on the other
    pairs = optimize.linear_sum_assignment(cost)
    check("3.24a", "their Wasserstein distance is θ", cost[pairs].mean(), theta, atol=1e-12)

# %% [markdown]
# Noise gives a thin law its density back. The data set `line` is a segment of half length $L = \sqrt{5}$ blurred by
# $\sigma$. In its middle
#
# $$ p(0) = \frac{1}{\sigma\sqrt{2\pi}} \cdot \frac{1}{2L}, \tag{3.25} $$
#
# a bell across times a constant along. As $\sigma \to 0$ it grows without bound, which is (3.22) seen from the other
# side.

# %%
for blur in (0.1, 0.01, 0.001):
    middle = float(np.exp(mg.data.load("line", n=2, sigma=blur).log_density(np.zeros((1, 2))))[0])
    check("3.25", f"line with σ = {blur}: p(0) = {middle:.1f} = 1 / (σ √(2π) · 2L)", middle,
          1 / (blur * math.sqrt(2 * math.pi) * 2 * math.sqrt(5)), atol=0, rtol=1e-8)  # fmt: skip

# %%
fig, ax = figure(height=3.0)
h = np.geomspace(0.005, 0.5, 30)
ax.loglog(h, h / 2 / (4 * h**2), color=ORANGE, linestyle="-")
ax.loglog(half_sides, per_area, "o", color=ORANGE)
plane = (2 * special.ndtr(h) - 1) ** 2 / (4 * h**2)
ax.loglog(h, plane, color=BLUE, linestyle="--")
ax.annotate("segment: $1/(8h)$, no density", (0.011, 16), color=ORANGE)
ax.annotate(r"normal law in the plane: density $1/(2\pi) = 0.159$", (0.011, 0.2), color=BLUE)
ax.set(xlabel="half side h of the square", ylabel="probability / area", ylim=(0.08, 60))
show(fig, "thin",
     alt="Probability per area: it settles at .159 for a normal law, grows like 1/h for a segment")  # fmt: skip

# %% [markdown]
# ## 7. What a divergence compares
#
# A divergence takes two *laws*. Article S0, section 2.1, says that mutual information and divergences measure the
# contest "between generator and discriminator". But $G$ is a function from noise to points, and $D$ is a function from
# points to $[0, 1]$. Neither is a law. What is compared is $p_{\text{data}}$ with $p_g$. Two small experiments:
#
# First, $G_1(z) = z$ and $G_2(z) = -z$ differ at every $z \ne 0$ and have the same law. No divergence can see a
# difference. (The swirl of (3.17) was the same in the plane.) On a table: noise on six equal cells, $G_2$ reversing
# their order.
#
# $$ \mathrm{D}(p_{G_1}, p_{G_2}) = 0 \quad\text{although}\quad G_1 \ne G_2 \tag{3.26} $$

# %%
noise_law = stats.norm().cdf(np.linspace(-3, 3, 7)[1:]) - stats.norm().cdf(
    np.linspace(-3, 3, 7)[:-1]
)
noise_law /= noise_law.sum()
G1, G2 = np.arange(6), np.arange(5, -1, -1)
law1, law2 = np.bincount(G1, weights=noise_law), np.bincount(G2, weights=noise_law)
check("3.26", "JSD(law of G₁, law of G₂) = 0", divergences.jsd(law1, law2), 0.0, atol=1e-15,
      errata="S0.3")  # fmt: skip
check("3.26a", "yet G₁ ≠ G₂", G1, G2, atol=0, relation="!=", errata="S0.3")

# %% [markdown]
# Second, $D$ has no total mass 1. A typical discriminator, $D(x) = \sigma(x)$ with $\sigma(x) = 1/(1 + e^{-x})$, has
#
# $$ \int_{-L}^{L} D(x)\,dx = L \to \infty, \tag{3.27} $$
#
# because $\sigma(x) + \sigma(-x) = 1$. "KL between $p_g$ and $D$" is not even defined.

# %%
for length in (5.0, 50.0):
    mass = integrate(special.expit, -length, length)
    check("3.27", f"∫ D(x) dx over [−{length:.0f}, {length:.0f}] = {length:.0f}, not 1", mass,
          length, atol=1e-11, errata="S0.3")  # fmt: skip

# %% [markdown]
# ## 8. Fakes are drawn while training
#
# Article S2, in the worked example that follows its chapter 2, counts "1000 generated data" as part of the training
# set. But $p_g$ is the pushforward by the *present* $G$. Each update moves it. Stored fakes are samples of an old
# law, and, worse for the generator, they are constants: no derivative leads from them to its parameters. minigan says
# so with an error.
#
# $$ \frac{\partial}{\partial\theta}\,\frac1n \sum_i \ell\left(x_i^{\text{stored}}\right) = 0, \qquad
# \frac{\partial}{\partial\theta}\,\frac1n \sum_i \ell\left(G_\theta(z_i)\right) \ne 0 \tag{3.28} $$

# %%
theta = mg.tensor(np.array([0.0, 1.0]), requires_grad=True)
z = mg.random.normal((1000,), seed=3, stream="fakes", dtype=np.float64)
loss = lambda fakes: ops.softplus(-(fakes - 1.0)).mean()  # some discriminator's logit: x - 1
fresh = mg.grad(loss(theta[0] + theta[1] * z), theta).data
stored = mg.tensor((theta[0] + theta[1] * z).data)
try:
    mg.grad(loss(stored), theta)
    reaches = True
except mg.GraphError as error:
    reaches = False
    print(f"through stored fakes: {error}")
print("gradient through G:", fresh.round(4))
check("3.28", "a loss on stored fakes reaches the generator", reaches, False, atol=0,
      errata="S2.7")  # fmt: skip
check("3.28a", "on fresh fakes its gradient is not 0", fresh, 0.0, atol=0.1, relation="!=",
      errata="S2.7")  # fmt: skip

# %% [markdown]
# Later, in its last part on models and formulas, under "discriminative model", the article reads $D(G(z))$ as the
# probability that the input is *generated*. It is the opposite. Mix equally many
# real and generated points; then by Bayes' rule
#
# $$ P(\text{real} \mid x) = \frac{p_{\text{data}}(x)}{p_{\text{data}}(x) + p_g(x)} = D^*(x), \qquad
# P(\text{generated} \mid x) = 1 - D^*(x). \tag{3.29} $$
#
# We count. Data $N(0, 1)$, fakes $N(2, 1)$: in a thin slice at $x = 1.5$ the share of *real* points is
# $D^*(1.5) = 0.269$.

# %%
n = 3_000_000
draws = mg.random.normal((2, n), seed=3, stream="posterior", dtype=np.float64).data + np.array(
    [[0.0], [2.0]]
)
in_slice = np.sum(np.abs(draws - 1.5) < 0.05, axis=1)
d_star = normal_density(1.5) / (normal_density(1.5) + normal_density(1.5, 2.0))
within = 5 * math.sqrt(d_star * (1 - d_star) / in_slice.sum())
check("3.29", "share of real points near x = 1.5 is D*(x)", in_slice[0] / in_slice.sum(),
      d_star, atol=within, errata="S2.7")  # fmt: skip
check("3.29a", "and not 1 − D*(x), the probability of being generated",
      in_slice[0] / in_slice.sum(), 1 - d_star, atol=0.4, relation="!=", errata="S2.7")  # fmt: skip

# %% [markdown]
# ## 9. Do not drop the expectation
#
# Articles S3 (section 3.1) and S4 (section 4.1) print the losses without expectations, such as
# $L_D = -\log D(x) - \log(1 - D(G(z)))$. As it stands that is a function of one $x$ and one $z$: a random number, not a
# quantity to minimise. For the game of (3.29) with the best $D^*$ it scatters widely around its mean:
#
# $$ L_D = -\mathbb{E}_{x \sim p_{\text{data}}} \log D(x) - \mathbb{E}_{z \sim p_z} \log\left(1 - D(G(z))\right) \tag{3.30} $$


# %%
def logit(x):
    return 2.0 - 2.0 * x  # log p/q for N(0, 1) against N(2, 1)


single = np.logaddexp(0, -logit(draws[0])) + np.logaddexp(0, logit(draws[1]))
mean_loss = integrate(lambda x: normal_density(x) * np.logaddexp(0, -logit(x)), -12, 14)
mean_loss += integrate(lambda x: normal_density(x, 2.0) * np.logaddexp(0, logit(x)), -12, 14)
print(
    f"one pair (x, z): from {single.min():.4f} to {single.max():.2f}, "
    f"standard deviation {single.std():.3f}; mean {mean_loss:.4f}"
)
check("3.30", "E over both batches = the integral", single.mean(), mean_loss,
      atol=5 * single.std() / math.sqrt(n))  # fmt: skip
check("3.30a", "without E it is a random number, not L_D", single[:100], mean_loss, atol=0.5,
      relation="!=", errata="shared.5")  # fmt: skip

# %% [markdown]
# Step 5 of article S3, section 3.2, mixes fakes with *real* data and feeds them to the *generator*. The generator's
# input is noise. If noise and data have different numbers of coordinates, this cannot even be computed. If they happen
# to agree, it computes the pushforward of the wrong law: with $G(z) = z + 2$ and data $N(0, 0.5^2)$ the result has
# standard deviation 0.5; fakes, from normal noise, have 1.
#
# $$ x \sim p_{\text{data}} \;\Longrightarrow\; G(x) \sim \text{pushforward of } p_{\text{data}} \ne p_g \tag{3.31} $$

# %%
try:
    G(
        np.zeros((4, 5), np.float64)
    )  # this G maps 2 numbers to 5: points have 5 coordinates, noise has 2
    refused = False
except ValueError as error:
    refused = True
    print(error)
check("3.31", "G(x) for x with the data's shape is refused", refused, True, atol=0, errata="S3.1")
unit = mg.random.normal((2, 100_000), seed=3, stream="real", dtype=np.float64).data
real, noise = 0.5 * unit[0], unit[1]
spreads = [np.std(real + 2), np.std(noise + 2)]
check(
    "3.31a", "G(real) has deviation .5, fakes have 1", spreads, [0.5, 1], atol=0.01, errata="S3.1"
)

# %% [markdown]
# ## 10. Where the noise comes from
#
# Computers have no dice. minigan's random numbers are *pure functions* of (seed, stream, step): a mixing function
# (Philox, Salmon et al. 2011) turns a counter into bits. Nothing is remembered between calls, so a run that resumes at
# step 1,000 draws what it would have drawn. See [normal](../minigan/random.py#normal) and
# [Source](../minigan/random.py#Source).
#
# $$ z = \mathrm{normal}(\text{seed}, \text{stream}, \text{step}) \tag{3.32} $$

# %%
source = mg.random.Source(7)
for _ in range(1000):
    source.advance()
walked = source.normal((4,), stream="noise").data
direct = mg.random.normal((4,), seed=7, stream="noise", step=1000).data
check("3.32", "step 1000 after 999 others = step 1000 at once, bit for bit", walked, direct,
      atol=0)  # fmt: skip
other = mg.random.normal((100_000, 2), seed=7, stream="x", dtype=np.float64).data
third = mg.random.normal((100_000,), seed=7, stream="y", dtype=np.float64).data
correlation = np.corrcoef(np.column_stack([other, third]).T) - np.eye(3)
check("3.32a", "different streams and places are uncorrelated", correlation, 0.0,
      atol=5 / math.sqrt(100_000))  # fmt: skip

# %% [markdown]
# And the normal numbers are themselves a pushforward. Box and Muller's map takes two uniform numbers $u, v$ to two
# normal ones:
#
# $$ G(u, v) = \sqrt{-2\log(1 - u)}\,\left(\cos 2\pi v,\; \sin 2\pi v\right), \qquad
# |\det J| = \frac{2\pi}{1 - u} = \frac{1}{p_{N}(G(u, v))} \tag{3.33} $$
#
# where $p_N$ is the standard normal density in the plane: since $r^2 = -2\log(1-u)$,
# $p_N = e^{-r^2/2}/(2\pi) = (1 - u)/(2\pi)$. By (3.16), $p_g = 1/|\det J| = p_N$. The engine does precisely this, and
# we can repeat its float64 numbers from the random words of their stream (uniform draws have words of their own, so that
# the two laws are independent): 53 bits of two words make a uniform number.


# %%
def box_muller(w):
    radius = ops.sqrt(-2.0 * ops.log1p(-w[:, 0]))
    angle = 2.0 * math.pi * w[:, 1]
    return ops.stack([radius * ops.cos(angle), radius * ops.sin(angle)], axis=1)


words = np.empty(2000, np.uint32)
reference.philox(mg.random.key_of(3, "noise"), (0, 0, 0), words)
w = (((words[::2] >> 5) * 2.0**26 + (words[1::2] >> 6)) * 2.0**-53).reshape(2, 500).T
made = box_muller(mg.tensor(w)).data
drawn = mg.random.normal((2, 500), seed=3, stream="noise", dtype=np.float64).data.T
check("3.33", "the engine's normal numbers = Box-Muller of uniform ones", made, drawn,
      atol=1e-14)  # fmt: skip
check("3.33a", "1 / |det J| = normal density in the plane",
      1 / np.abs(determinants(box_muller, w)), normal_density(made).prod(axis=1), atol=1e-14)  # fmt: skip

# %% [markdown]
# ## Summary
#
# | Question | Answer |
# |---|---|
# | What is a density? | Probability per length, area or volume. It may exceed 1; it may not exist. |
# | What is $p_g$? | The pushforward of the noise by $G$: (3.9). |
# | Its density? | $p_z / \lvert\det J\rvert$ if $G$ is invertible, else a sum over preimages; none if $z$ is too short. |
# | Averages over fakes? | Average over $z$: (3.10). Error $\operatorname{std}/\sqrt n$. |
# | Gradients? | Through $G_\theta(z)$ with $z$ fixed: (3.21). |
# | What does a divergence compare? | Two laws, $p_{\text{data}}$ and $p_g$; never $G$ with $D$. |
#
# ## Exercises
#
# Replace `raise NotImplementedError` and run again. Give back NumPy numbers and arrays. `grade` tries to refute your
# answer on a hundred examples and shows the smallest that does. Exercises need `hypothesis`.

# %%
from hypothesis import strategies as st

from minigan.lessons.strategies import arrays, floats, tables


# %%
def push_table(p, g, size):
    """The pushforward of the table p by i -> g[i]: a table over range(size)."""
    # Hint: several outcomes may lead to the same one; their probabilities add. `q[g] = p` keeps
    # only the last.
    raise NotImplementedError


def push_property(answer, pg):
    p, g, size = pg
    q = np.asarray(answer(p, g, size))
    assert q.shape == (size,), f"expected shape {(size,)}, got {q.shape}"
    for j in range(size):
        assert abs(q[j] - sum(p[i] for i in range(len(p)) if g[i] == j)) < 1e-12, f"outcome {j}"


@st.composite
def table_and_map(draw):
    (p,) = draw(tables(1, max_size=8))
    size = draw(st.integers(1, 5))
    return (
        p,
        np.array(draw(st.lists(st.integers(0, size - 1), min_size=len(p), max_size=len(p)))),
        size,
    )


grade("3.E1", push_table, push_property, pg=table_and_map())


# %%
def affine_log_density(x, shift, factor):
    """log p_g(x) for G(z) = shift + factor z, z ~ N(0, 1), factor not 0 (it may be negative)."""
    # Hint: go back to z, and do not forget by how much G stretches lengths.
    raise NotImplementedError


def affine_property(answer, x, shift, factor):
    expected = stats.norm(shift, abs(factor)).logpdf(x)
    assert abs(answer(x, shift, factor) - expected) < 1e-9 * (1 + abs(expected)), (
        f"expected {expected}"
    )


nonzero = st.one_of(floats(0.1, 5), floats(-5, -0.1))
grade("3.E2", affine_log_density, affine_property, x=floats(-5, 5), shift=floats(-2, 2),
      factor=nonzero)  # fmt: skip


# %%
def sample_ramp(u):
    """Turn uniform numbers u in [0, 1] into samples of the law with density p(x) = 2x on [0, 1]."""
    # Hint: the distribution function F(x) is the area under 2x up to x. Which x has F(x) = u?
    raise NotImplementedError


def ramp_property(answer, t):
    u = (np.arange(2000) + 0.5) / 2000  # evenly spread numbers stand for uniform samples
    share = np.mean(np.asarray(answer(u)) <= t)
    assert abs(share - t**2) < 1e-3, (
        f"share of samples below {t}: {share}, expected the area {t**2}"
    )


grade("3.E3", sample_ramp, ramp_property, t=floats(0.05, 0.95))


# %%
def samples_needed(std, error):
    """The smallest n for which the standard error std / sqrt(n) is at most `error`."""
    # Hint: solve for n, and round in the direction that keeps the promise.
    raise NotImplementedError


def needed_property(answer, std, error):
    n = answer(std, error)  # std^2 <= n error^2 has no rounding of its own: error is a power of 2
    assert n >= 1 and std**2 <= n * error**2, f"{n} samples leave the error {std / math.sqrt(n)}"
    assert n == 1 or std**2 > (n - 1) * error**2, f"{n} samples are more than needed"


grade("3.E4", samples_needed, needed_property,
      std=floats(0.1, 10), error=st.sampled_from([1.0, 0.5, 0.25, 0.125, 0.0625]))  # fmt: skip


# %%
def gradient_of_fourth_moment(mu, sigma, z):
    """(d/d mu, d/d sigma) of the mean of x^4 over x = mu + sigma z, z an array of noise."""
    # Hint: hold the noise: x depends on mu and sigma through x = mu + sigma z. The chain rule
    # does the rest.
    raise NotImplementedError


def gradient_property(answer, mu, sigma, z):
    moment = lambda m, s: np.mean((m + s * z) ** 4)
    step = 1e-5
    expected = [
        (moment(mu + step, sigma) - moment(mu - step, sigma)) / (2 * step),
        (moment(mu, sigma + step) - moment(mu, sigma - step)) / (2 * step),
    ]
    assert np.allclose(answer(mu, sigma, z), expected, atol=1e-5, rtol=1e-5), f"expected {expected}"


grade("3.E5", gradient_of_fourth_moment, gradient_property, mu=floats(-2, 2), sigma=floats(0.1, 2),
      z=arrays(6, -3, 3))  # fmt: skip

# %% [markdown]
# ## What to read next
#
# - L. Devroye, *Non-Uniform Random Variate Generation* (1986), chapter 2: inverse-CDF sampling and its relatives.
# - G. Papamakarios, E. Nalisnick, D. Rezende, S. Mohamed, B. Lakshminarayanan, *Normalizing Flows for Probabilistic
#   Modeling and Inference* (2019, arXiv 1912.02762), section 2: the change of variables as a model.
# - S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, *Monte Carlo Gradient Estimation in Machine Learning* (2019, arXiv
#   1906.10652): (3.21) and its alternatives.
# - M. Arjovsky, L. Bottou, *Towards Principled Methods for Training Generative Adversarial Networks* (2017, arXiv
#   1701.04862), section 2: laws on thin sets.
# - At work: `minigan train flowgan`, a generator with an inverse, whose density is (3.16).
# - Next: lesson 4, entropy and likelihood: what one asks of a model whose density *is* known.
