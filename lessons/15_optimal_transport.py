# %% [markdown]
# # 15. Optimal transport and its family
#
# Every critic of this course compares two averages: $\mathbb{E}_p f$ over the data with $\mathbb{E}_q f$ over the fakes.
# What it can say depends only on *which* functions $f$ it may use. Bounded ones give the total variation, which does
# not see how far the fakes are. One-Lipschitz ones give the cost of carrying the one heap of mass to the other. Smooth
# ones give kernels. This lesson puts all of them on one page, and then asks what a *batch* makes of them.
#
# You need: sums and suprema, total variation (lesson 5), linear programs as a black box.
#
# **Predict first.** All data lie at 0, all fakes at $\theta$. Which of these tells the generator at $\theta = 5$ in which
# direction to go: total variation, Jensen-Shannon, Wasserstein, a Gaussian kernel of width 1, the energy distance?

# %%
import itertools
import math

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.special import gammaln

from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLACK, BLUE, GREEN, GREY, ORANGE
from minigan.lessons.strategies import arrays, floats
from minigan.theory import divergences, transport

shifts = np.linspace(-6, 6, 241)
kernel = transport.gaussian_kernel(1.0)
at_points = {
    "total variation": np.where(shifts == 0, 0.0, 1.0),
    "Jensen-Shannon": np.where(shifts == 0, 0.0, math.log(2)),
    "Wasserstein": [transport.wasserstein_1d([0.0], [t]) for t in shifts],
    "Gaussian kernel": [
        transport.mmd_squared([0.0], [t], kernel=kernel, unbiased=False) for t in shifts
    ],
    "energy": [transport.energy_distance([0.0], [t]) for t in shifts],
}
x = np.linspace(-5, 5, 201)  # laws on a grid: data in two bumps, fakes in one
bump = lambda m, s: np.exp(-((x - m) ** 2) / (2 * s * s))
p, q = bump(-2, 0.5) + bump(2, 0.5), bump(0.6, 0.7)
p, q = p / p.sum(), q / q.sum()
gauss = np.exp(-((x[:, None] - x) ** 2) / 2)
critics = {
    "$0 \\leq f \\leq 1$": (p > q).astype(float),
    "1-Lipschitz": transport.kantorovich_critic(p, q, x),
    "kernel": gauss @ (p - q) / math.sqrt((p - q) @ gauss @ (p - q)),
}

# %%
fig, axes = figure(1, 2, width=8.0, height=3.2)
for name, values in at_points.items():
    axes[0].plot(shifts, values, label=name)
axes[0].set(xlabel="place $\\theta$ of the fakes", ylabel="distance", ylim=(-0.1, 9.5))
axes[0].legend(fontsize=8, loc="upper center", ncols=2)
axes[1].fill_between(x, 30 * p, color=GREY, alpha=0.35, linewidth=0, label="data")
axes[1].fill_between(x, 30 * q, color=BLACK, alpha=0.25, linewidth=0, label="fakes")
for (name, f), colour, dash in zip(critics.items(), (BLUE, ORANGE, GREEN), ("-", "--", "-."), strict=True):  # fmt: skip
    axes[1].plot(x, f - f[np.argmax(q)], color=colour, linestyle=dash, label=name)
axes[1].set(xlabel="$x$", ylabel="best critic $f$", ylim=(-0.3, 6.3))
axes[1].legend(fontsize=8, loc="upper center", ncols=2)
show(fig, "family",
     alt="Left, five distances: two flat, one saturating, two growing. Right, best critics of three kinds.")  # fmt: skip

# %% [markdown]
# Only Wasserstein and energy do; the kernel does within some widths; the other two are flat.
#
# ## 1. One definition
#
# Let $\mathcal{F}$ be a set of functions that contains $-f$ with each $f$. The **integral probability metric** (Müller
# 1997) is
#
# $$ d_{\mathcal F}(p, q) = \sup_{f \in \mathcal F}\; \mathbb{E}_p f - \mathbb{E}_q f . \tag{15.1} $$
#
# It is symmetric and never negative, and the triangle inequality is free, since a supremum of sums is at most the sum of
# suprema:
#
# $$ d_{\mathcal F}(p, r) \le d_{\mathcal F}(p, q) + d_{\mathcal F}(q, r) . \tag{15.2} $$
#
# | critics $\mathcal F$ | $d_{\mathcal F}$ |
# |---|---|
# | $\lvert f\rvert \le \frac12$ | total variation |
# | $\lvert f(x) - f(y)\rvert \le \lvert x - y\rvert$ | Wasserstein $W_1$ |
# | unit ball of a kernel $k$ | maximum mean discrepancy (MMD) |
# | $\int f'^2 \le 1$ | Cramér, the root of half the energy distance |
# | $\pm1_{(-\infty, t]}$ | Kolmogorov, $\max_t\lvert F(t) - G(t)\rvert$ |
# | $\langle w, x\rangle$, $\lVert w\rVert \le 1$ | distance of the means |
#
# On $n$ points of the line the first two are linear programs. The next two follow from Cauchy-Schwarz. In a kernel's
# space $\mathbb{E}_p f - \mathbb{E}_q f = \langle f, \mu_p - \mu_q\rangle$ with $\mu_p = \sum_i p_i k(x_i, \cdot)$, so
#
# $$ \mathrm{MMD}^2 = \lVert \mu_p - \mu_q\rVert^2 = (p - q)^T K\,(p - q), \qquad f^* \propto K(p - q) . \tag{15.3} $$
#
# And integrating by parts, $\mathbb{E}_p f - \mathbb{E}_q f = \int f'(G - F)\,dx$, so
#
# $$ \sup_{\int f'^2 \le 1} = \left(\int (F - G)^2\,dx\right)^{1/2} . \tag{15.4} $$
#
# A GAN's critic is a set $\mathcal F$ too: all settings of its weights. What training can see is $d_{\mathcal F}$ for
# that set, and no more.


# %%
def best_of(constraints, bounds, p, q):
    """(15.1) as a linear program: maximise (p − q)·f over A f <= b."""
    a, b = constraints
    return -linprog(q - p, A_ub=a, b_ub=b, bounds=bounds).fun


random = np.random.default_rng(0)
places = np.sort(random.uniform(-2, 2, 7))
p, q, r = random.dirichlet(np.ones(7), 3)
pairs = list(itertools.permutations(range(7), 2))
steep = np.array([np.eye(7)[i] - np.eye(7)[j] for i, j in pairs])
gaps = np.array([abs(places[i] - places[j]) for i, j in pairs])
check("15.1", "|f| ≤ 1/2: total variation", best_of((None, None), (-0.5, 0.5), p, q),
      divergences.total_variation(p, q), atol=1e-9)  # fmt: skip
lipschitz = lambda p, q: best_of((steep, gaps), (-10, 10), p, q)
check("15.1a", "1-Lipschitz: W1 = ∫ |F − G|", lipschitz(p, q),
      np.abs(np.cumsum(p - q)[:-1]) @ np.diff(places), atol=1e-9)  # fmt: skip
check("15.2", "triangle", lipschitz(p, r), lipschitz(p, q) + lipschitz(q, r), atol=1e-9,
      relation="<=")  # fmt: skip

# %%
K = np.exp(-((places[:, None] - places) ** 2) / 2)
d = p - q
drawn = random.standard_normal((4000, 7))  # f = K a has norm a'Ka
norms = np.sqrt(np.einsum("ni,ij,nj->n", drawn, K, drawn))
check("15.3", "no f of the unit ball does better", drawn @ K @ d / norms, math.sqrt(d @ K @ d),
      atol=1e-12, relation="<=")  # fmt: skip
copies = [np.repeat(places, (np.round(1000 * t)).astype(int)) for t in (p, q)]  # as two samples
rounded = [np.array([np.mean(sample == place) for place in places]) for sample in copies]
e = rounded[0] - rounded[1]
check("15.3a", "MMD² of two samples = (p − q)ᵀ K (p − q)",
      transport.mmd_squared(*copies, kernel=kernel, unbiased=False), e @ K @ e, atol=1e-12)  # fmt: skip
areas = np.cumsum(e)[:-1]
f = np.concatenate([[0], np.cumsum(-areas * np.diff(places))])  # f' = G − F between the points
f = f / math.sqrt(areas**2 @ np.diff(places))  # so that the integral of f'² is 1
check("15.4", "f' ∝ G − F reaches (∫ (F − G)²)^½", e @ f, math.sqrt(areas**2 @ np.diff(places)),
      atol=1e-12)  # fmt: skip
check("15.4a", "energy distance = 2 ∫ (F − G)²", transport.energy_distance(*copies),
      2 * areas**2 @ np.diff(places), atol=1e-12)  # fmt: skip

# %% [markdown]
# > **Aside: a critic without a bound.** Article S0, section 2.2.1, lets the discriminator maximise
# > $\mathbb{E}_p D - \mathbb{E}_q D$ and names no condition. Then $\mathcal F$ is everything, and if one $f$ gives
# > $\varepsilon > 0$, the function $tf$ gives
# >
# > $$ \mathbb{E}_p\,tf - \mathbb{E}_q\,tf = t\,\varepsilon \to \infty . \tag{15.5} $$
# >
# > The program has no solution unless $p = q$. The set of critics *is* the distance.
#
# ## 2. Two points
#
# For $p$ at 0 and $q$ at $\theta \ne 0$ everything is elementary:
#
# $$ \mathrm{TV} = 1, \quad W_1 = |\theta|, \quad \mathrm{MMD}^2 = 2 - 2e^{-\theta^2/2}, \quad
# \text{energy} = 2|\theta|, \quad \mathrm{JSD} = \log 2 . \tag{15.6} $$
#
# Arjovsky et al. (2017) begin with this example: the first and the last have slope 0 in $\theta$.

# %%
free = linprog(q - p, bounds=(None, None))
check("15.5", "without a bound the program is unbounded (status 3)", free.status, 3, atol=0,
      errata="S0.9")  # fmt: skip
gains = [best_of((None, None), (-t, t), p, q) for t in (0.5, 5.0, 50.0)]
check("15.5a", "t times the bound, t times the value", gains,
      gains[0] * np.array([1, 10, 100]), atol=1e-8, errata="S0.9")  # fmt: skip
t = 1.7
two = np.eye(2)
found = [
    best_of((None, None), (-0.5, 0.5), *two),
    transport.discrete_transport(*two, [[0, t], [t, 0]]).cost,
    transport.mmd_squared([0.0], [t], kernel=kernel, unbiased=False),
    transport.energy_distance([0.0], [t]),
    divergences.jsd(*two),
]
check("15.6", "two points: TV, W1, MMD², energy, JSD", found,
      [1, t, 2 - 2 * math.exp(-t * t / 2), 2 * t, math.log(2)], atol=1e-9)  # fmt: skip

# %% [markdown]
# ## 3. Why it is called transport
#
# Think of $p$ as heaps of earth and of $q$ as holes. A **plan** $P_{ij} \ge 0$ says how much goes from $x_i$ to $y_j$: rows
# sum to $p$, columns to $q$. A unit costs $C_{ij} = |x_i - y_j|$. Kantorovich (1942): the cheapest plan costs as much as
# the best prices earn (and [`discrete_transport`](../minigan/theory/transport_discrete.py#discrete_transport) finds
# both),
#
# $$ \min_P \sum_{ij} P_{ij} C_{ij} = \max_{u_i + v_j \le C_{ij}} \sum_i p_i u_i + \sum_j q_j v_j . \tag{15.7} $$
#
# One half is a line. A carrier who buys at $-u_i$ and sells at $v_j$, never for more than the way costs, earns
#
# $$ \sum_i p_i u_i + \sum_j q_j v_j = \sum_{ij} P_{ij}(u_i + v_j) \le \sum_{ij} P_{ij} C_{ij} . \tag{15.8} $$
#
# The other half is the duality of linear programs. Equality means $u_i + v_j = C_{ij}$ wherever $P_{ij} > 0$. And for a
# distance $C$, one function serves both sides, $u = f$, $v = -f$: then the condition says that $f$ is
# 1-Lipschitz, (15.7) is (15.1), and along each route the critic falls with slope exactly 1,
#
# $$ P_{ij} > 0 \quad\Longrightarrow\quad f(x_i) - f(y_j) = |x_i - y_j| . \tag{15.9} $$
#
# That is the gradient a Wasserstein generator gets: each fake is drawn towards *its* data at full speed. Lesson 17
# builds a penalty on it.

# %%
cloud, holes = random.standard_normal((2, 6, 2))
a, b = random.dirichlet(np.ones(6), 2)
cost = np.linalg.norm(cloud[:, None] - holes, axis=2)
plan, least, (u, v) = transport.discrete_transport(a, b, cost)
sums = np.vstack([np.kron(np.eye(6), np.ones(6)), np.kron(np.ones(6), np.eye(6))])
by_program = linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([a, b])).fun
check("15.7", "the cheapest plan, by another solver", least, by_program, atol=1e-9)
check("15.7a", "= what the best prices earn", a @ u + b @ v, by_program, atol=1e-9)
check("15.7b", "no price above the cost", u[:, None] + v, cost, atol=1e-12, relation="<=")
lower = np.minimum(0.9 * u, u)  # some other prices: v is as high as they allow
check("15.8", "other prices earn no more", a @ lower + b @ (cost - lower[:, None]).min(axis=0),
      by_program, atol=1e-9, relation="<=")  # fmt: skip
both = np.vstack([cloud, holes])  # the law of the data and that of the fakes on the same 12 points
way = np.linalg.norm(both[:, None] - both, axis=2)
data, fakes = np.r_[a, np.zeros(6)], np.r_[np.zeros(6), b]
plan, _, (f, minus_f) = transport.discrete_transport(data, fakes, way)
f = (way - minus_f).min(axis=1)  # the largest 1-Lipschitz function that these prices allow
rows, columns = np.nonzero(plan > 1e-12)
check("15.9", "f falls with slope 1 along each route", f[rows] - f[columns], way[rows, columns],
      atol=1e-12)  # fmt: skip
check("15.9a", "and nowhere faster", np.abs(f[:, None] - f), way, atol=1e-12, relation="<=")

# %% [markdown]
# On a line the cheapest plan needs no solver: sort both. If $x_1 < x_2$ and $y_1 < y_2$, crossing routes are never
# shorter (draw it). For samples of one size, and for any laws,
#
# $$ W_1 = \frac1n\sum_i |x_{(i)} - y_{(i)}| = \int |F - G|\,dt . \tag{15.10} $$
#
# On $n$ points whose distances lie between $\delta$ and $\Delta$ it is comparable with the total variation,
#
# $$ \delta\,\mathrm{TV} \le W_1 \le \Delta\,\mathrm{TV}, \tag{15.11} $$
#
# as a share TV of the mass has to move, each piece at least $\delta$ and at most $\Delta$. For images $\delta$ is
# nearly 0: then only $W_1$ can tell fakes that are almost right from fakes that are wrong.

# %%
xs, ys = random.standard_normal((2, 6))
every = [np.abs(xs - ys[list(order)]).mean() for order in itertools.permutations(range(6))]
check("15.10", "sorted: the best of all 720 pairings", np.abs(np.sort(xs) - np.sort(ys)).mean(),
      min(every), atol=1e-14)  # fmt: skip
check("15.10a", "the area between the distribution functions",
      transport.wasserstein_1d_cdf(xs, ys), min(every), atol=1e-14)  # fmt: skip
tables = random.dirichlet(np.full(7, 0.5), (200, 2))
ones = [transport.wasserstein_tables(p, q, places) for p, q in tables]
tv = divergences.total_variation(tables[:, 0], tables[:, 1])
check("15.11", "W1 ≥ δ TV", ones, np.diff(places).min() * tv, atol=1e-12, relation=">=")
check("15.11a", "W1 ≤ Δ TV", ones, np.ptp(places) * tv, atol=1e-12, relation="<=")

# %% [markdown]
# ## 4. What a batch makes of it
#
# Training never sees $p$, only a batch. Take coins: data are 1 with probability $p$, the generator with probability
# $\theta$. Then $W_1 = |p - \theta|$: best at $\theta = p$, as it should be. But the batch of $m$ tosses has a share
# $\hat p$ of ones, and on average
#
# $$ \mathbb{E}\,W_1(\hat p, \theta) = \mathbb{E}|\hat p - \theta|, \qquad
# \frac{d}{d\theta} = \mathbb{P}(\hat p < \theta) - \mathbb{P}(\hat p > \theta) . \tag{15.12} $$
#
# This is 0 at a *median* of $\hat p$. For one toss the loss is $p(1 - \theta) + (1 - p)\theta$, a straight line, least
# at $\theta = 1$ if $p > \frac12$: the generator **drops the rarer side** (Bellemare et al. 2017). The Cramér distance
# is a square, and
#
# $$ \mathbb{E}\,(\hat p - \theta)^2 = (p - \theta)^2 + \frac{p(1 - p)}{m} : \tag{15.13} $$
#
# the batch adds a constant, which has no gradient. The same holds for every MMD, and for the energy distance: their
# gradients are unbiased. (A WGAN's critic sees many batches before it answers; how far that mends it depends on how
# much it remembers.)

# %%
share, theta, m = 0.7, 0.45, 5
counts = np.arange(m + 1)
binomial = np.array([math.comb(m, k) * share**k * (1 - share) ** (m - k) for k in counts])
tosses = np.array(list(itertools.product((0, 1), repeat=m)))  # all 32 batches
chance = np.prod(np.where(tosses == 1, share, 1 - share), axis=1)
in_batch = lambda t: (
    chance
    @ [transport.wasserstein_tables([1 - k, k], [1 - t, t], [0, 1]) for k in tosses.mean(axis=1)]
)
check("15.12", "E W1 over all batches of 5", in_batch(theta), binomial @ abs(counts / m - theta),
      atol=1e-14)  # fmt: skip
check("15.12a", "its slope", (in_batch(theta + 1e-4) - in_batch(theta - 1e-4)) / 2e-4,
      binomial[counts / m < theta].sum() - binomial[counts / m > theta].sum(), atol=1e-9)  # fmt: skip
grid = np.linspace(0, 1, 201)
one = share * abs(1 - grid) + (1 - share) * abs(0 - grid)
check("15.12b", "one toss: best at 1, not at 0.7", grid[np.argmin(one)], 1.0, atol=0)
check("15.13", "E (p̂ − θ)² = (p − θ)² + p(1 − p)/m", chance @ (tosses.mean(axis=1) - theta) ** 2,
      (share - theta) ** 2 + share * (1 - share) / m, atol=1e-14)  # fmt: skip

# %%
fig, ax = figure(width=6.0, height=3.1)
for m_shown, dash in ((1, "-"), (5, "--"), (50, ":")):
    some = np.arange(m_shown + 1)
    law = [math.comb(m_shown, k) * share**k * (1 - share) ** (m_shown - k) for k in some]
    values = law @ abs(some[:, None] / m_shown - grid)
    ax.plot(grid, values, color=ORANGE, linestyle=dash, label=f"$W_1$, batches of {m_shown}")
    ax.plot(grid[np.argmin(values)], values.min(), "o", color=ORANGE, markersize=5)
cramer = (share - grid) ** 2 + share * (1 - share) / 5
ax.plot(grid, cramer, color=BLUE, linestyle="-", label="Cramér, batches of 5")
ax.plot(grid[np.argmin(cramer)], cramer.min(), "o", color=BLUE, markersize=5)
ax.axvline(share, color=GREY, linewidth=0.8)
ax.set(xlabel="$\\theta$ (data: 0.7)", ylabel="expected loss", ylim=(0, 0.75))
ax.legend(fontsize=8)
show(fig, "coins",
     alt="Expected loss against theta: W1 with one toss is a line falling to theta 1; Cramér is least at 0.7.")  # fmt: skip

# %% [markdown]
# ## 5. The same in the score that papers report
#
# The **Fréchet distance** of Gaussians is $\lVert\mu_1 - \mu_2\rVert^2 + \operatorname{tr}\left(\Sigma_1 + \Sigma_2 -
# 2(\Sigma_1\Sigma_2)^{1/2}\right)$, the squared $W_2$. Estimate it with $n$ samples of the *right* law $N(0, I_d)$. The
# mean misses by $\mathbb{E}\lVert\hat\mu\rVert^2 = \frac dn$. Write $\hat\Sigma = I + E$; then
# $\operatorname{tr}(2I + E - 2(I + E)^{1/2}) \approx \frac14\lVert E\rVert^2$, with
# $\mathbb{E}\lVert E\rVert^2 \approx \frac{d^2 + d}n$. Together
#
# $$ \mathbb{E}\,\widehat{\mathrm{FD}} \approx \frac dn + \frac{d(d + 1)}{4n} \qquad (d \ll n), \tag{15.14} $$
#
# for a *perfect* generator. Usually the data are a sample as well, of $m$. Both errors add up, in (15.14) and in the
# difference of the covariances alike, so
#
# $$ \mathbb{E}\,\widehat{\mathrm{FD}} \approx \left(\frac1n + \frac1m\right)\left(d + \frac{d(d + 1)}4\right),
# \qquad\text{about } \frac{d^2}{2n} \text{ for } n = m \tag{15.15} $$
#
# ([`equal_laws`](../minigan/metrics/frechet.py#equal_laws) has it for any covariance). It grows with the square of the
# dimension. A perfect generator with few samples gets a worse score than a wrong one with many, and numbers for different
# $n$ do not compare. But the bias is a series in $\frac1n$, so its first term can be *extrapolated* away: take the score
# of all samples twice, and subtract that of halves (Chong and Forsyth 2019). On the line, where both standard deviations
# are drawn from known laws, the rest is known too. For equal laws of variance 1 and $n = m$
#
# $$ \mathbb{E}\,\widehat{\mathrm{FD}}_n = \frac3n + \frac3{4n^2} + \dots, \qquad
# 2\,\mathbb{E}\,\widehat{\mathrm{FD}}_n - \mathbb{E}\,\widehat{\mathrm{FD}}_{n/2} = -\frac{3}{2n^2} + \dots \tag{15.16} $$

# %%
dimension, n, repeats = 4, 2000, sized(500, 300)
draws = np.random.default_rng(2).standard_normal((repeats, n, dimension))
distances = [
    transport.frechet_distance(np.zeros(dimension), np.eye(dimension), x.mean(axis=0), np.cov(x.T))
    for x in draws
]
expected = dimension / n + dimension * (dimension + 1) / (4 * n)
print(
    f"perfect samples, n = {n}: Fréchet distance {np.mean(distances):.4f}, predicted {expected:.4f}"
)
check("15.14", "E FD ≈ d/n + d(d + 1)/4n", np.mean(distances), expected, atol=0, rtol=0.04)


def on_the_line(n, m):
    """E FD of n and m draws of N(0, 1), exactly: (difference of means)² + (difference of deviations)²."""
    mean_deviation = lambda k: math.sqrt(2 / (k - 1)) * math.exp(gammaln(k / 2) - gammaln((k - 1) / 2))  # fmt: skip
    return 1 / n + 1 / m + 2 - 2 * mean_deviation(n) * mean_deviation(m)


fakes, data = 4000, 1000  # how many of each
check("15.15", "one dimension, samples of different sizes", on_the_line(fakes, data),
      (1 / fakes + 1 / data) * (1 + 1 * (1 + 1) / 4), atol=0, rtol=1e-3)  # fmt: skip
large = 2000.0
whole, halves = on_the_line(large, large), on_the_line(large / 2, large / 2)
check("15.16", "large n: n (n E FD − 3), and n² times what extrapolation leaves",
      [large * (large * whole - 3), large**2 * (2 * whole - halves)], [3 / 4, -3 / 2], atol=0.01)  # fmt: skip


# %%
def score(x, y):
    """The Fréchet distance of two samples."""
    return transport.frechet_distance(x.mean(axis=0), np.cov(x.T), y.mean(axis=0), np.cov(y.T))


def scores(scale, n, d=8):
    """(mean score, mean extrapolated score) of n data and n fakes that are `scale` times as wide."""
    random, found = np.random.default_rng(n), []
    for _ in range(sized(60, 30)):
        x, y = random.standard_normal((n, d)), scale * random.standard_normal((n, d))
        halves = (score(x[: n // 2], y[: n // 2]) + score(x[n // 2 :], y[n // 2 :])) / 2
        found.append((whole := score(x, y), 2 * whole - halves))
    return np.mean(found, axis=0)


sizes = np.array([100, 200, 400, 800])
measured = {scale: np.array([scores(scale, n) for n in sizes]) for scale in (1.0, 1.15)}
truth = {scale: 8 * (scale - 1) ** 2 for scale in measured}
fig, ax = figure(width=6.0, height=2.9)
looks = (("perfect", BLUE, "-"), ("15 % too wide", ORANGE, "--"))
for (scale, rows), (name, colour, dash) in zip(measured.items(), looks, strict=True):
    ax.plot(1 / sizes, rows[:, 0], "o", color=colour, linestyle=dash, label=name)
    ax.plot(
        1 / sizes, rows[:, 1], "x", color=colour, linestyle="none", label=f"{name}, extrapolated"
    )
    ax.axhline(truth[scale], color=colour, linewidth=0.8, linestyle=":")
ax.set(xlabel="$1/n$", ylabel="Fréchet distance, $d$ = 8", xlim=(0, None))
ax.legend(fontsize=8)
show(fig, "frechet",
     alt="Scores rise with 1/n, perfect ones at n = 100 above wrong ones at 800; extrapolated ones are level.")  # fmt: skip
check("15.15a", "perfect, d = 8, measured", measured[1.0][1:, 0], 2 / sizes[1:] * (8 + 8 * 9 / 4),
      atol=0, rtol=0.06)  # fmt: skip
check("15.15b", "perfect with 100 samples: worse than wrong with 800", measured[1.0][0, 0],
      measured[1.15][-1, 0], atol=0, relation=">=")  # fmt: skip
for letter, scale in zip("ab", measured, strict=True):
    bias = np.abs(measured[scale][1:] - truth[scale])
    check(f"15.16{letter}", f"{scale}: extrapolation leaves at most a fifth of the bias", bias[:, 1],
          bias[:, 0] / 5, atol=0, relation="<=")  # fmt: skip

# %% [markdown]
# ## Exercises


# %%
def bounded_critic(p, q):
    """The best critic with values between 0 and 1, as an array."""
    # Hint: each outcome counts with (p − q) f; choose f at each outcome alone.
    raise NotImplementedError


def bounded_property(answer, p, q):
    p, q = p / p.sum(), q / q.sum()
    f = np.asarray(answer(p, q), dtype=float)
    assert f.shape == p.shape and f.min() >= 0 and f.max() <= 1, "values must lie in [0, 1]"
    best = best_of((None, None), (0, 1), p, q)
    assert abs((p - q) @ f - best) < 1e-7, f"it earns {(p - q) @ f}, the best earns {best}"


grade("15.E1", bounded_critic, bounded_property, p=arrays(5, 0.1, 1), q=arrays(5, 0.1, 1))


# %%
def extended(x, values, t):
    """A 1-Lipschitz function with these values at the points x (where they allow one), at t."""
    # Hint: each point x_i allows f(t) at most values_i + |t − x_i|. Take as much as all allow.
    raise NotImplementedError


def extended_property(answer, x, slopes):
    x = np.unique(x)
    values = np.concatenate([[0.0], np.cumsum(slopes[: len(x) - 1] * np.diff(x))])
    at = lambda point: float(answer(x, values, point))
    assert all(abs(at(x[i]) - values[i]) < 1e-9 for i in range(len(x))), "a value has changed"
    places = np.linspace(-4, 4, 161)
    steps = np.abs(np.diff([at(t) for t in places]))
    worst = np.argmax(steps)
    assert steps[worst] <= 0.05 + 1e-9, f"behind {places[worst]:.3g} it is too steep"


grade("15.E2", extended, extended_property, x=arrays(4, -3, 3), slopes=arrays(3, -1, 1))


# %%
def cheapest_order(x, y):
    """For each x_i the number j of the y_j that it goes to, so that mean |x_i − y_j| is least."""
    # Hint: the i-th smallest x goes to the i-th smallest y. np.argsort of an argsort gives ranks.
    raise NotImplementedError


def order_property(answer, x, y):
    order = [int(j) for j in answer(x, y)]
    assert sorted(order) == list(range(len(y))), "each y must be taken once"
    best = min(np.abs(x - y[list(o)]).mean() for o in itertools.permutations(range(len(y))))
    got = np.abs(x - y[order]).mean()
    assert got <= best + 1e-9, f"mean distance {got}, but {best} is possible"


grade("15.E3", cheapest_order, order_property, x=arrays(5, -3, 3), y=arrays(5, -3, 3))


# %%
def coin_gradient(batch, theta):
    """A gradient in theta from a batch of tosses, right on average: E = d/dtheta (p − theta)²."""
    # Hint: differentiate (15.13)'s left side for one batch.
    raise NotImplementedError


def coin_property(answer, m, share, theta):
    batches = np.array(list(itertools.product((0.0, 1.0), repeat=m)))
    chance = np.prod(np.where(batches == 1, share, 1 - share), axis=1)
    mean = chance @ [answer(batch, theta) for batch in batches]
    assert abs(mean + 2 * (share - theta)) < 1e-9, f"on average {mean}, not {2 * (theta - share)}"


grade("15.E4", coin_gradient, coin_property, m=st.integers(1, 5), share=floats(0.05, 0.95),
      theta=floats(0.05, 0.95))  # fmt: skip

# %% [markdown]
# ## What to read next
#
# - M. Arjovsky, S. Chintala, L. Bottou, *Wasserstein GAN* (2017, arXiv 1701.07875), section 2.
# - G. Peyré, M. Cuturi, *Computational Optimal Transport* (2019, arXiv 1803.00567), chapters 2 and 3.
# - A. Müller, *Integral probability metrics and their generating classes of functions* (1997).
# - M. Bellemare et al., *The Cramer Distance as a Solution to Biased Wasserstein Gradients* (2017, arXiv 1705.10743).
# - A. Gretton et al., *A Kernel Two-Sample Test* (2012, Journal of Machine Learning Research 13).
# - M. J. Chong, D. Forsyth, *Effectively Unbiased FID and Inception Score* (2019, arXiv 1911.07023): the bias (15.14) in
#   practice, and (15.16).
# - Next: lesson 16, a network as the 1-Lipschitz critic, and what clipping its weights does to it.
