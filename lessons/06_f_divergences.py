# %% [markdown]
# # 6. f-divergences
#
# KL, reverse KL, chi-squared, Hellinger, total variation, Jensen-Shannon: six ways to say how far a generator is from
# the data, and at first sight six unrelated formulas. They are one formula with one free part, a convex function $f$.
# This lesson shows why that matters for GANs: every such divergence can be turned into a **game with a critic**, who
# sees samples only, never a density. The bridge is one inequality about convex functions. The original GAN, the
# f-GANs and the least-squares GAN are choices of $f$.
#
# **You need** derivatives, sums over tables of probabilities, and KL and JSD (lesson 5). Everything else is built here.
#
# **Predict first.** A loaded die shows its faces with probabilities 5, 10, 15, 15, 25 and 30 %; a fair die with 1/6
# each. You write a score on each face. A casino rolls both dice for ever and pays you your mean score on the loaded
# die, minus a price for your scores on the fair one. What is the most you can earn per roll, if
#
# 1. scores lie between 0 and 1, and the price is the mean score on the fair die?
# 2. the same price, but you may write any scores you like?
# 3. any scores $T$, but the price is now the mean of $e^{T - 1}$?
#
# Write down three numbers (one of them may be infinite) before you read on. Formulas 6.26, 6.27 and 6.17 decide.

# %%
import math

import numpy as np
from scipy import stats
from scipy.optimize import linprog, minimize_scalar
from scipy.spatial.distance import jensenshannon

import minigan as mg
from minigan import nn, ops, optim
from minigan.lessons import COLOURS, check, figure, grade, show, sized
from minigan.lessons.strategies import arrays, floats, tables
from minigan.theory import divergences, estimators, gaussians, optimal, transport
from minigan.theory.divergences import GENERATORS, f_divergence, variational_bound

p = np.array([0.05, 0.10, 0.15, 0.15, 0.25, 0.30])  # the loaded die: the data
q = np.full(6, 1 / 6)  # the fair die: a generator that has learnt nothing yet
u = p / q
print("p/q =", u.round(2))

# %% [markdown]
# ## One function, one divergence
#
# The two dice differ exactly where the **ratio** $u(x) = p(x)/q(x)$ differs from 1. So take a function $f$ that is 0 at
# 1, apply it to the ratio, and average over the fair die:
#
# $$ D_f(p \,\Vert\, q) = \sum_x q(x) \, f\left( \frac{p(x)}{q(x)} \right), \qquad f \text{ convex}, \; f(1) = 0 \tag{6.1} $$
#
# This is the **f-divergence** of Csiszar (1967). With $f(u) = (u - 1)^2$ it is Pearson's chi-squared. By hand, with
# $q = 1/6$: $\sum (p - 1/6)^2 \cdot 6 = 0.26$. The engine's
# [f_divergence](../minigan/theory/generators.py#f_divergence) takes the name of an $f$ from its table
# [GENERATORS](../minigan/theory/generators.py#GENERATORS).

# %%
check("6.1", "Σ q (u-1)² = D_f for f = (u-1)²", f_divergence(p, q, "pearson"), 0.26, atol=1e-15)

# %% [markdown]
# Now the zoo, each generator beside the formula that everybody knows it by:
#
# | name | $f(u)$ | $D_f(p \Vert q)$ |
# |---|---|---|
# | KL | $u \log u$ | $\sum p \log (p/q)$ |
# | reverse KL | $-\log u$ | $\sum q \log (q/p)$ |
# | Pearson chi-squared | $(u - 1)^2$ | $\sum p^2/q - 1$ |
# | squared Hellinger | $\frac12 (\sqrt u - 1)^2$ | $1 - \sum \sqrt{p q}$ |
# | total variation | $\frac12 \vert u - 1 \vert$ | $1 - \sum \min(p, q)$ |
# | JSD | $\frac12 (u \log u - (u+1) \log \frac{u+1}{2})$ | $\frac12 (\mathrm{KL}(p \Vert m) + \mathrm{KL}(q \Vert m))$ |
#
# with $m = (p + q)/2$. Each row is a line of algebra; as one statement,
#
# $$ \sum_x q \, f(p/q) = \text{the right column, for each row} \tag{6.2} $$

# %%
familiar = {
    "kl": stats.entropy(p, q),
    "reverse_kl": stats.entropy(q, p),
    "pearson": (p**2 / q).sum() - 1,
    "hellinger": 1 - np.sqrt(p * q).sum(),
    "total_variation": 1 - np.minimum(p, q).sum(),
    "jensen_shannon": jensenshannon(p, q) ** 2,
}
NAMES = list(familiar)
known = np.array(list(familiar.values()))


def each(p, q, names=NAMES):
    """D_f(p || q) for each generator."""
    return np.array([f_divergence(p, q, name) for name in names])


check("6.2", "D_f is the familiar formula, six times", each(p, q), known, atol=1e-14)
print("\n".join(f"{name:16} {value:.4f}" for name, value in familiar.items()))

# %% [markdown]
# **Why convex?** A function is convex when it lies below its chords:
#
# $$ f(\lambda u + (1 - \lambda) w) \le \lambda f(u) + (1 - \lambda) f(w), \qquad 0 \le \lambda \le 1 \tag{6.3} $$
#
# A mean of two numbers is a chord of two points; a mean over a die is a chord of six, and the inequality persists. That
# is Jensen's. The mean ratio is 1, because $\sum q \cdot p/q = \sum p = 1$, hence
#
# $$ D_f(p \,\Vert\, q) = \mathbb{E}_q f(u) \ge f(\mathbb{E}_q u) = f(1) = 0 \tag{6.4} $$
#
# with equality for $p = q$, and nowhere else if $f$ is strictly convex at 1. We try all the rows on 1,000 random pairs.

# %%
rng = np.random.default_rng(6)
a, b, mix = rng.exponential(2.0, 500), rng.exponential(2.0, 500), rng.random(500)
functions = [GENERATORS[name].f for name in NAMES]
below = [f(mix * a + (1 - mix) * b) for f in functions]
chords = [mix * f(a) + (1 - mix) * f(b) for f in functions]
check("6.3", "each f lies below its chords", below, chords, relation="<=", atol=1e-12)

P, Q = rng.dirichlet(np.ones(6), size=(2, 1000))
check("6.4", "each D_f >= 0", each(P, Q), 0.0, relation=">=", atol=1e-14)
check("6.4a", "E_q u = 1, where Jensen is applied", (Q * (P / Q)).sum(axis=1), 1.0, atol=1e-14)

# %% [markdown]
# **Zeros.** What if a face never shows? Where $q = 0$ the ratio is infinite, and $q f(p/q)$ has the limit
# $p \cdot f'(\infty)$, with $f'(\infty) = \lim f(u)/u$ the slope far out. Where $p = 0$ it is $q f(0)$. So two
# numbers say how a divergence judges **dropped** faces and **invented** ones; for laws that share no face nothing
# else is left:
#
# $$ D_f(p \,\Vert\, q) = f(0) + f'(\infty) \qquad \text{for disjoint } p, q \tag{6.5} $$
#
# | | $f(0)$: per unit of what the generator invents | $f'(\infty)$: per unit of what it drops | disjoint |
# |---|---|---|---|
# | KL | 0 | infinite | infinite |
# | reverse KL | infinite | 0 | infinite |
# | squared Hellinger | 1/2 | 1/2 | 1 |
# | total variation | 1/2 | 1/2 | 1 |
# | Jensen-Shannon | $\frac12 \log 2$ | $\frac12 \log 2$ | $\log 2$ |
#
# Here is the well-known character of the two KLs. To forget a mode costs KL an infinite amount, and to invent one costs
# it nothing by itself; for the reverse KL it is the other way round.

# %%
finite = ["hellinger", "total_variation", "jensen_shannon", "le_cam"]
apart = each([1.0, 0.0], [0.0, 1.0], finite)
ends = [GENERATORS[name].f(1e-30) + GENERATORS[name].f(1e30) / 1e30 for name in finite]
check("6.5", "disjoint laws are f(0) + f'(∞) apart", apart, ends, atol=1e-12)
check("6.5a", "KL, reverse KL: infinitely", each([1.0, 0.0], [0.0, 1.0], ["kl", "reverse_kl"]),
      np.inf, atol=0.0)  # fmt: skip
growth = [GENERATORS["kl"].f(1e30) / 1e30, GENERATORS["reverse_kl"].f(1e-30)]
check("6.5b", "for f(u)/u and f(0) grow like |log u|", growth, 30 * math.log(10), atol=1e-12)

# %% [markdown]
# ## Two freedoms
#
# **A tilt changes nothing.** Add a straight line through $(1, 0)$ to $f$. As $\mathbb{E}_q (u - 1) = 0$,
#
# $$ D_{f + c (u - 1)} = D_f \qquad \text{for every } c \tag{6.6} $$
#
# So $f$ is not determined by its divergence, and we may tilt it until it is flat at 1. A convex function that is flat
# at its zero is nowhere negative, and then **each face** contributes an amount that is not negative, not only their
# sum. For KL the tilt is $c = -1$, and the summand $p \log(p/q)$ becomes $p \log(p/q) - p + q \ge 0$. The engine sums
# KL this way, in [excess](../minigan/theory/terms.py#excess): terms that do not cancel keep their digits.

# %%
tilted = [(q * (u * np.log(u) + c * (u - 1))).sum() for c in (-1.0, 0.5, 2.5)]
check("6.6", "D of u log u + c(u-1) is KL", tilted, known[0], atol=1e-15, identity=13)
check("6.6a", "terms of KL for c = -1", p * np.log(p / q) - p + q, 0.0, relation=">=", atol=0.0)
print("KL's plain terms have both signs:", (p * np.log(p / q)).round(3))

# %% [markdown]
# **Swapping the dice** is another $f$. From $D_f(q \Vert p) = \sum p f(q/p) = \sum q \cdot u f(1/u)$,
#
# $$ D_f(q \,\Vert\, p) = D_{\tilde f}(p \,\Vert\, q), \qquad \tilde f(u) = u f(1/u) \tag{6.7} $$
#
# So $u \log u$ becomes $-\log u$: reverse KL. A divergence is symmetric when $\tilde f$ equals $f$ up to a tilt, as for
# Jensen-Shannon.

# %%
swapped_f = [(q * u * f(1 / u)).sum() for f in functions]
check("6.7", "u f(1/u) swaps the arguments", swapped_f, each(q, p), atol=1e-14, identity=13)
js = GENERATORS["jensen_shannon"].f
check("6.7a", "Jensen-Shannon is its own swap", u * js(1 / u), js(u), atol=1e-14)

# %% [markdown]
# **Close up they are all the same.** Let $h$ sum to 0 and look at $q = p + \varepsilon h$ for a small $\varepsilon$. The
# ratio is $u = 1/(1 + \varepsilon h/p) \approx 1 - \varepsilon h / p$. In Taylor's series of $f$ at 1 the constant is
# 0, the linear term is a tilt and averages to 0 (6.6), and what remains is the square:
#
# $$ D_f(p \,\Vert\, p + \varepsilon h) = \frac{f''(1)}{2} \, \varepsilon^2 \sum_x \frac{h(x)^2}{p(x)}
#    + O(\varepsilon^3) \tag{6.8} $$
#
# Near the goal, the choice of $f$ is a choice of **unit**, $f''(1)$: 1 for both KLs, 2 for Pearson, 1/4 for
# Jensen-Shannon. All the difference between the divergences lies far from it. (Total variation has a kink at 1 and is
# the exception: it shrinks like $\varepsilon$.) We take $f''(1)$ from autodiff.

# %%
h, eps = np.array([1.0, -2.0, 0.5, 1.5, -1.0, 0.0]), 1e-5
smooth = ["kl", "reverse_kl", "pearson", "hellinger", "jensen_shannon", "le_cam"]
second = np.array([mg.hessian(GENERATORS[name].f, np.array(1.0)).data for name in smooth])
print(dict(zip(smooth, second.round(3).tolist(), strict=True)))
taylor = second / 2 * eps**2 * (h**2 / p).sum()
check("6.8", "f''(1)/2 ε² Σ h²/p", each(p, p + eps * h, smooth), taylor, rtol=1e-3, atol=0.0,
      identity=14)  # fmt: skip

# %% [markdown]
# The figure draws the generators so that they may be compared: tilted flat at 1 and divided by $f''(1)$. In the middle
# they agree. On the left they decide what an invented face costs, on the right what a dropped one does.

# %%
fig, ax = figure(height=3.8)
ratio = np.linspace(1e-4, 3.0, 400)
ends = {
    "kl": "KL",
    "reverse_kl": "reverse KL",
    "pearson": "Pearson",
    "jensen_shannon": "Jensen-Shannon",
}
for name, label in ends.items():
    g = GENERATORS[name]
    ax.plot(ratio, (g.f(ratio) - g.derivative(1.0) * (ratio - 1)) / g.curvature, label=label)
ax.axvline(1, color="#999999", linewidth=0.8)
ax.set(
    xlabel="ratio u = p/q", ylabel="cost (f(u) - f'(1)(u - 1)) / f''(1)", xlim=(0, 3), ylim=(0, 2)
)
ax.annotate("q invents it", (0.13, 1.5), color="#555555")
ax.annotate("q drops it", (2.6, 0.12), color="#555555")
ax.legend(loc="upper center", ncols=2)
show(
    fig,
    "generators",
    alt="Four generators, tilted flat at u = 1 and scaled to equal curvature there: they agree near u = 1. Towards u = 0 "
    "reverse KL grows without bound; for large u Pearson grows fastest and reverse KL slowest.",
)

# %% [markdown]
# **Looking less closely never helps.** Tell only whether the roll was low (1 to 3) or high (4 to 6): a matrix $K$ with
# columns that sum to 1 turns both laws into coarser ones. By Jensen again, applied to the faces that are merged, no
# divergence grows:
#
# $$ D_f(K p \,\Vert\, K q) \le D_f(p \,\Vert\, q) \tag{6.9} $$
#
# A critic that looks at images through a pooling layer can only lose. We merge the faces of our dice, and then try
# 1,000 random matrices $K$ (four outcomes from six, columns that sum to 1) on the 1,000 random pairs.

# %%
K = np.repeat(np.eye(2), 3, axis=1)
check("6.9", "D_f(Kp || Kq) <= D_f(p || q)", each(K @ p, K @ q), known, relation="<=", atol=1e-15,
      identity=11)  # fmt: skip
kernels = rng.dirichlet(np.ones(4), size=(1000, 6)).swapaxes(1, 2)
coarse = each((kernels @ P[..., None])[..., 0], (kernels @ Q[..., None])[..., 0])
check("6.9a", "for random K, p, q", coarse, each(P, Q), relation="<=", atol=1e-14, identity=11)

# %% [markdown]
# ## The conjugate
#
# All of this needs the ratio $p/q$, and a GAN has no densities, only samples. Here convexity pays a second time. The
# **conjugate** of $f$ asks, for each slope $t$, by how much the line $u t$ rises above $f$ at most:
#
# $$ f^*(t) = \sup_{u \ge 0} \; \left( u t - f(u) \right) \tag{6.10} $$
#
# At a maximum inside, the derivative vanishes: $t = f'(u)$, the slope of the line is the slope of $f$. That equation,
# solved for $u$ and put back, gives $f^*$. To have an opinion independent of calculus, we also search for the supremum.


# %%
def supremum(f, t):
    """(sup of u t - f(u) over u > 0, the u that attains it), by a bounded search in log u."""
    lost = lambda s: f(math.exp(s)) - t * math.exp(s)
    found = minimize_scalar(lost, bounds=(-12, 8), method="bounded", options={"xatol": 1e-10})
    return -found.fun, math.exp(found.x)


slopes = {"kl": [-1.0, 0.0, 1.5], "jensen_shannon": [-2.0, -0.3, 0.3], "gan": [-3.0, -0.7, -0.05]}
places = {
    name: np.array([supremum(GENERATORS[name].f, t)[1] for t in ts]) for name, ts in slopes.items()
}
there = [GENERATORS[name].derivative(places[name]) for name in slopes]
check("6.10", "at the supremum f'(u) = t", there, list(slopes.values()), atol=1e-6)

# %% [markdown]
# **KL.** $f(u) = u \log u$, so $f'(u) = \log u + 1 = t$ and $u = e^{t - 1}$. Put back: $u t - u (t - 1) = u$, hence
#
# $$ f(u) = u \log u: \qquad f^*(t) = e^{t - 1} \tag{6.11} $$
#
# **Jensen-Shannon.** $f'(u) = \frac12 \left( \log u - \log \frac{u + 1}{2} \right) = \frac12 \log \frac{2u}{u + 1} = t$,
# so $\frac{u}{u + 1} = \frac12 e^{2t}$. The left side is below 1, so there is a solution only for
# $t < \frac12 \log 2$. In $u t - f(u)$ the multiples of $u$ cancel, $\frac12 \log \frac{u + 1}{2}$ is left, and
# $\frac{1}{u + 1} = 1 - \frac12 e^{2t}$ gives
#
# $$ f^*(t) = -\tfrac12 \log \left( 2 - e^{2t} \right), \qquad t < \tfrac12 \log 2 \tag{6.12} $$
#
# **The GAN's.** Take $f(u) = u \log u - (u + 1) \log (u + 1)$; where it comes from is told below. Then
# $f'(u) = \log \frac{u}{u + 1} = t$, which is negative for every $u$; $u t - f(u) = \log(u + 1)$ and
# $\frac{1}{u + 1} = 1 - e^t$, so
#
# $$ f^*(t) = -\log \left( 1 - e^t \right), \qquad t < 0 \tag{6.13} $$

# %%
closed = {
    "kl": ("6.11", lambda t: np.exp(t - 1)),
    "jensen_shannon": ("6.12", lambda t: -0.5 * np.log(2 - np.exp(2 * t))),
    "gan": ("6.13", lambda t: -np.log(1 - np.exp(t))),
}
for name, (number, conjugate) in closed.items():
    ts = np.array(slopes[name])
    searched = [supremum(GENERATORS[name].f, t)[0] for t in ts]
    check(number, f"{name}: f* is the supremum found", conjugate(ts), searched, atol=1e-9)
    check(number + "a", f"{name}: the engine's f*", conjugate(ts), GENERATORS[name].conjugate(ts),
          atol=1e-14)  # fmt: skip

# %% [markdown]
# From (6.10) it follows at once, because a supremum is at least each of its members, that
#
# $$ f(u) + f^*(t) \ge u t \quad \text{for all } u, t, \qquad \text{with equality where } t = f'(u) \tag{6.14} $$
#
# This is the inequality of **Fenchel and Young**, and the whole lesson hangs on it. Geometrically: the line
# $u t - f^*(t)$ of slope $t$ lies below $f$ and touches it. $f^*(t)$ is what must be subtracted from $u t$ so that it
# does.

# %%
a, t = np.meshgrid(np.linspace(0.05, 4, 60), np.linspace(-3, -0.05, 60))
pairs = [GENERATORS[name] for name in closed]
check("6.14", "f(u) + f*(t) >= u t", [g.f(a) + g.conjugate(t) for g in pairs], a * t, relation=">=",
      atol=1e-12)  # fmt: skip

v = mg.tensor(a[0], requires_grad=True)
slope = [mg.grad(ops.sum(g.f(v)), v).data for g in pairs]  # f' by autodiff
sums = [g.f(a[0]) + g.conjugate(t) for g, t in zip(pairs, slope, strict=True)]
check("6.14a", "with equality at t = f'(u)", sums, a[0] * np.array(slope), atol=1e-12)

# %%
fig, ax = figure(height=3.6)
ratio = np.linspace(1e-6, 3.2, 300)
ax.plot(ratio, ratio * np.log(ratio), label="f(u) = u log u")
for slope, place in ((0.2, (1.95, -0.36)), (1.0, (1.62, 0.42)), (1.7, (1.9, 1.72))):
    touch, colour = math.exp(slope - 1), COLOURS[1]
    ax.plot(ratio, slope * ratio - math.exp(slope - 1), color=colour, linestyle="--", linewidth=1.1)
    ax.plot(touch, touch * math.log(touch), "o", color=colour, markersize=4)
    ax.annotate(
        f"t = {slope}: u t - {math.exp(slope - 1):.2f}",
        place,
        color=colour,
        ha="right" if slope > 1.5 else "left",
    )
ax.set(xlabel="ratio u", ylabel="f(u) and lines below it", xlim=(0, 3.2), ylim=(-1.2, 3.4))
ax.legend(loc="upper left")
show(
    fig,
    "tangents",
    alt="The curve u log u with three dashed tangents of slopes 0.2, 1 and 1.7. Each tangent is u t minus the conjugate of t, "
    "lies below the curve and touches it at u = e^(t-1).",
)

# %% [markdown]
# Read the figure the other way round and the tangents **rebuild** the curve: at each $u$, the highest tangent is
# $f(u)$. A convex function is the conjugate of its conjugate (if it has no jump at the end of its domain; none of
# ours has):
#
# $$ f(u) = \sup_t \; \left( u t - f^*(t) \right) \tag{6.15} $$
#
# On the left is a nonlinear function of the ratio; on the right, for each fixed $t$, a **linear** one. And linear is
# what we need: $\sum q \cdot u \cdot t = \sum p \, t$, the ratio disappears into an expectation over $p$.

# %%
ts = -np.exp(np.linspace(-9, 4, 200_001))  # slopes of the GAN's f: all negative numbers
gan = GENERATORS["gan"]
rebuilt = [(w * ts - gan.conjugate(ts)).max() for w in u]
check(
    "6.15", "f** = f for the GAN's f", rebuilt, u * np.log(u) - (u + 1) * np.log(u + 1), atol=1e-8
)
ts = np.linspace(-4, 4, 200_001)  # slopes of KL's f: all numbers
rebuilt = [(w * ts - np.exp(ts - 1)).max() for w in u]
check("6.15a", "f** = f for KL's", rebuilt, u * np.log(u), atol=1e-8)

# %% [markdown]
# ## The bound that a critic climbs
#
# Let each face choose its own slope $T(x)$. Write Fenchel-Young for $u = p/q$ and $t = T(x)$, multiply by $q(x)$, add
# up:
#
# $$ D_f(p \,\Vert\, q) \ge \sum_x q \left( \frac{p}{q} T - f^*(T) \right)
#    = \mathbb{E}_{x \sim p} \, T(x) - \mathbb{E}_{x \sim q} \, f^*(T(x)) \tag{6.16} $$
#
# That is the **variational bound** of Nguyen, Wainwright and Jordan (2010). Its right side holds no density. It is two
# means, and means can be estimated from samples. The function $T$ is the **critic**. It is paid its mean score on the
# data, and charged the mean of $f^*$ of its scores on the generated ones, exactly the casino's rules; a bad critic
# only underestimates. In the engine: [variational_bound](../minigan/theory/generators.py#variational_bound).

# %%
critics = ["kl", "reverse_kl", "pearson", "hellinger", "jensen_shannon", "gan", "le_cam"]
away = np.logspace(-8, 0, 500)[:, None]  # from next to the best critic to anywhere
bounds = []
for name in critics:
    T = GENERATORS[name].activation(
        rng.normal(size=(500, 6))
    )  # 500 random critics, where f* is finite
    T = (1 - away) * GENERATORS[name].derivative(u) + away * T
    bounds.append((p * T).sum(axis=1) - (q * GENERATORS[name].conjugate(T)).sum(axis=1))
limits = each(p, q, critics)[:, None]
check("6.16", "E_p T - E_q f*(T) <= D_f", bounds, limits, relation="<=", atol=1e-12, identity=15)
check("6.16a", "and no smaller bound holds: some critic comes close", np.max(bounds, axis=1),
      limits[:, 0], atol=1e-12)  # fmt: skip

# %% [markdown]
# Fenchel-Young is an equality where the slope is right, so the bound is **tight** for the critic
#
# $$ T^*(x) = f'\left( \frac{p(x)}{q(x)} \right), \qquad
#    \mathbb{E}_p T^* - \mathbb{E}_q f^*(T^*) = D_f(p \,\Vert\, q) \tag{6.17} $$

# %%
reached = [variational_bound(divergences.optimal_t(p, q, name), p, q, name) for name in critics]
direct = [(q * GENERATORS[name].f(u)).sum() for name in critics]
check("6.17", "tight at T* = f'(p/q)", reached, direct, atol=1e-13, identity=15)

best = 1 + np.log(u)
earned = (p * best).sum() - (q * np.exp(best - 1)).sum()
print(f"casino 3: write {best.round(2)} on the faces and earn {earned:.4f}")

# %% [markdown]
# **Question 3 of the beginning is answered.** The price $e^{T - 1}$ is the conjugate of KL's generator, so no scores earn
# more than $\mathrm{KL}(p \Vert q) = 0.1348$ per roll, and $T^* = 1 + \log(p/q)$ earns it. Choose the price, and you
# have chosen the divergence.
#
# How much does a wrong critic lose? For Pearson's $f = (u - 1)^2$ the conjugate is $t + t^2/4$ (solve $2(u - 1) = t$;
# $u \ge 0$ asks for $t \ge -2$, and we keep to such scores), and completing the square gives the gap exactly:
#
# $$ \chi^2(p \,\Vert\, q) - \left( \mathbb{E}_p T - \mathbb{E}_q f^*(T) \right)
#    = \tfrac14 \, \mathbb{E}_q (T - T^*)^2 \tag{6.18} $$
#
# The loss is **second order** in the critic's error. A mediocre critic gives a decent estimate; its gradient for the
# generator, which is of first order, is another matter (lesson 8).

# %%
best = 2 * (u - 1)
T = best + rng.uniform(-0.4, 0.4, size=(500, 6))  # >= -2, where the formula t + t²/4 holds
gaps = familiar["pearson"] - variational_bound(T, p, q, "pearson")
check("6.18", "chi²: the gap is a quarter of the mean squared error", gaps,
      0.25 * (q * (T - best) ** 2).sum(axis=1), atol=1e-14)  # fmt: skip

# %% [markdown]
# ## Training the critic
#
# We pretend that we don't know $T^*$ and climb. The slope of the bound in one score is
#
# $$ \frac{\partial}{\partial T(x)} \left( \mathbb{E}_p T - \mathbb{E}_q f^*(T) \right)
#    = p(x) - q(x) \, (f^*)'(T(x)) \tag{6.19} $$
#
# and vanishes where $(f^*)'(T) = p/q$. (That is the same statement as $T = f'(p/q)$: the slopes of $f$ and of $f^*$
# are inverse functions.)

# %%
T = mg.tensor(np.array([-1.0, 0.2, 0.0, 0.5, 1.0, 1.2]), requires_grad=True)
bound = variational_bound(T, p, q, "kl")
check("6.19", "slope of KL's bound: p - q e^(T-1)", mg.grad(bound, T), p - q * np.exp(T.data - 1),
      atol=1e-15)  # fmt: skip

# %% [markdown]
# One obstacle is left. $f^*$ may be infinite: the GAN's asks for $T < 0$, Jensen-Shannon's for $T < \frac12 \log 2$. A
# network puts out any real number $v$. So its last layer is an **activation** $g_f$ that maps all numbers into the
# domain, increasing, so that a higher $v$ still says "more like the data" (Nowozin et al. 2016, table 2):
#
# $$ T = g_f(v): \qquad g_{\mathrm{KL}}(v) = v, \quad g_{\mathrm{GAN}}(v) = -\log(1 + e^{-v}), \quad
#    g_{\mathrm{JS}}(v) = \tfrac12 \log 2 + \tfrac12 g_{\mathrm{GAN}}(v) \tag{6.20} $$

# %%
v = np.linspace(-30, 30, 601)
logistic = -np.log1p(np.exp(-v))
outputs = [GENERATORS[name].activation(v) for name in ("kl", "gan", "jensen_shannon")]
check("6.20", "the activations", outputs, [v, logistic, (math.log(2) + logistic) / 2], atol=1e-13)
tops = [[g.domain[1]] for g in GENERATORS.values()]
inside = [g.activation(v) for g in GENERATORS.values()]
check("6.20a", "all of the engine's stay in the domain", inside, tops, relation="<=", atol=0.0)
check("6.20b", "these three rise", np.diff(outputs), 0.0, relation=">=", atol=0.0)

# %% [markdown]
# Now a critic with one free number for each face, climbing the bound by plain gradient ascent. Autodiff supplies the
# slopes through $g_f$ and $f^*$; nothing is coded by hand.


# %%
def climb(name, steps=250, rate=4.0):
    """(raw outputs v of a table critic after gradient ascent, the bounds on the way)."""
    v, path = np.zeros(6), []
    for _ in range(steps):
        raw = mg.tensor(v, requires_grad=True)
        bound = variational_bound(GENERATORS[name].activation(raw), p, q, name)
        v = v + rate * mg.grad(bound, raw).data
        path.append(bound.item())
    return v, path


climbers = ["kl", "reverse_kl", "pearson", "jensen_shannon", "gan"]
raw, paths = {}, {}
for name in climbers:
    raw[name], paths[name] = climb(name)

# %% [markdown]
# Each should end where theory says,
#
# $$ \max_v \; \mathbb{E}_p \, g_f(v) - \mathbb{E}_q \, f^*(g_f(v)) = D_f(p \,\Vert\, q) \tag{6.21} $$
#
# and never overshoot on the way, for the bound is a bound.

# %%
tops = np.array([(q * GENERATORS[name].f(u)).sum() for name in climbers])
check(
    "6.21", "a trained critic reaches D_f", [paths[name][-1] for name in climbers], tops, atol=1e-12
)
check("6.21a", "from below", list(paths.values()), tops[:, None], relation="<=", atol=1e-14)

# %% [markdown]
# ### What has the critic learnt?
#
# From (6.19), $(f^*)'(T^*) = p/q$: whatever $f$, the trained critic knows the **density ratio**, and nothing else. For
# the GAN, $T = \log D$ and $(f^*)'(t) = e^t / (1 - e^t)$, so
#
# $$ \frac{p(x)}{q(x)} = (f^*)'(T^*(x)), \qquad
#    \text{for the GAN } \frac{p(x)}{q(x)} = \frac{D^*(x)}{1 - D^*(x)} = e^{v(x)} \tag{6.22} $$
#
# > **Aside: does a GAN classify?** Article S1 (sections 1 and 2.3) says that adversarial training achieves generation
# > "and classification at the same time". It does not classify the data. Faces 3 and 4 of our die are different
# > classes with the same ratio, 0.9, and the trained critic gives them the same answer: it could not tell you which of
# > the two it saw.

# %%
D = 1 / (1 + np.exp(-raw["gan"]))
check("6.22", "the trained D/(1-D) is p/q", D / (1 - D), u, atol=1e-12, errata="S1.3")
check("6.22a", "KL's critic: e^(T-1) = p/q", np.exp(raw["kl"] - 1), u, atol=1e-12, errata="S1.3")
check("6.22b", "one answer for faces 3 and 4: 0.9/(1 + 0.9)", D[2:4], 9 / 19, atol=1e-12,
      errata="S1.3")  # fmt: skip

# %% [markdown]
# ### A network on a line
#
# The same on the real line: $p = \mathcal{N}(0, 1)$, $q = \mathcal{N}(1, 1.5^2)$. The line is reduced to 201 points,
# so that both means are exact and only the critic is in question; it is a network with 32 hidden units. For Gaussians
# the divergences are known in closed form ([kl](../minigan/theory/gaussians.py#kl)), derived without any critic:
#
# $$ \mathrm{KL} = \log \frac{\sigma_q}{\sigma_p}
#    + \frac{\sigma_p^2 + (\mu_p - \mu_q)^2}{2 \sigma_q^2} - \frac12 = 0.350 \tag{6.23} $$

# %%
x = np.linspace(-6.0, 7.0, 201)
law_p, law_q = stats.norm.pdf(x, 0, 1), stats.norm.pdf(x, 1, 1.5)
law_p, law_q = law_p / law_p.sum(), law_q / law_q.sum()
closed_kl = math.log(1.5) + (1 + 1) / (2 * 1.5**2) - 0.5
check(
    "6.23", "KL of two Gaussians, on the points", closed_kl, stats.entropy(law_p, law_q), atol=1e-4
)
check("6.23a", "as the engine has it", closed_kl, gaussians.kl([0.0], [[1.0]], [1.0], [[2.25]]),
      atol=1e-14)  # fmt: skip


# %%
def train(name, steps):
    """(T on the grid, the bounds on the way) of a small network that climbs the bound with Adam."""
    critic = nn.Sequential(nn.Dense(1, 32, activation="silu"), nn.Dense(32, 1))
    critic.initialize(mg.random.Source(seed=6), name)
    masses = [mg.tensor(law.astype(np.float32)) for law in (law_p, law_q)]
    adam, path = optim.Adam(critic, lr=optim.cosine(5e-2, steps=steps)), []
    for _ in range(steps):
        T = GENERATORS[name].activation(critic(x[:, None].astype(np.float32))[:, 0])
        bound = variational_bound(T, *masses, name)
        adam.step(mg.grad(-bound, list(adam.parameters.values())))
        path.append(bound.item())
    return T.data, path


# %%
three, steps = ["kl", "pearson", "jensen_shannon"], sized(600, 350)
exact = each(law_p, law_q, three)
trained = {name: train(name, steps) for name in three}
bounds = np.array([path for _, path in trained.values()])
check("6.23b", "a network's bound reaches D_f", bounds[:, -1], exact, atol=0.0, rtol=5e-3)
check("6.23c", "and never exceeds it", bounds, exact[:, None], relation="<=", atol=1e-5)

# %%
fig, (left, right) = figure(1, 2, width=6.8, height=3.4)
for label, path, top, colour in zip(
    ("KL", "Pearson", "Jensen-Shannon"), bounds, exact, COLOURS, strict=False
):
    left.plot(np.arange(1, steps + 1), path, color=colour, linestyle="-")
    left.axhline(top, color=colour, linestyle="--", linewidth=1)
    left.annotate(
        label, (steps, top), (-3, 4), textcoords="offset points", color=colour, ha="right"
    )
left.set(xlabel="step", ylabel="bound (nats; Pearson: pure number)", xscale="log", ylim=(-0.1, 0.7))
seen = (x > -4) & (x < 5)
right.plot(x[seen], trained["kl"][0][seen], label="the network's T")
right.plot(x[seen], 1 + np.log(law_p / law_q)[seen], label="1 + log p/q")
right.set(xlabel="x", ylabel="critic for KL, T(x)")
right.legend(loc="lower center")
show(
    fig,
    "training",
    alt="Left: the bounds of three network critics rise over the steps, from below, to three dashed lines, the exact "
    "divergences. Right: the trained critic for KL lies on the curve 1 + log p/q where samples are likely.",
)

# %% [markdown]
# Right, the critic follows $1 + \log(p/q)$ where the laws have mass, and departs from it in the far tails, where errors
# cost nothing. That is the rule: a critic is trained where samples fall, and nowhere else.
#
# ## The GAN is an f-divergence
#
# Put $T = \log D$ into the bound with the conjugate (6.13), $f^*(\log D) = -\log(1 - D)$:
#
# $$ \mathbb{E}_p T - \mathbb{E}_q f^*(T) = \mathbb{E}_p \log D + \mathbb{E}_q \log (1 - D) = V(D) \tag{6.24} $$
#
# The variational bound **is** the value function of the original paper (lesson 7), the critic is the logarithm of the
# discriminator, and the activation (6.20) says that $v$ is its logit.

# %%
D = np.array([0.1, 0.3, 0.5, 0.6, 0.7, 0.9])
bound = variational_bound(np.log(D), p, q, "gan")
check("6.24", "the bound with T = log D is V(D)", bound,
      (p * np.log(D)).sum() + (q * np.log(1 - D)).sum(), atol=1e-14)  # fmt: skip
check("6.24a", "as the engine has V", bound, optimal.value(D, p, q), atol=1e-14)

# %% [markdown]
# And which divergence? Compare the generators: $f_{\mathrm{GAN}} = 2 f_{\mathrm{JS}} - (u + 1) \log 2$. The last term
# averages to $-2 \log 2$, hence
#
# $$ \max_D V(D) = D_{f_{\mathrm{GAN}}}(p \,\Vert\, q) = 2 \, \mathrm{JSD}(p, q) - \log 4 \tag{6.25} $$
#
# The $\log 4$ is no accident of the proof. It is $-f_{\mathrm{GAN}}(1)$: this $f$ was not shifted to be 0 at 1, and
# so a perfect generator is greeted with $V = -1.386$, not with 0.

# %%
jsd = jensenshannon(p, q) ** 2
check("6.25", "D_f = 2 JSD - log 4", f_divergence(p, q, "gan"), 2 * jsd - math.log(4), atol=1e-14,
      identity=18)  # fmt: skip
check("6.25a", "f(1) = -log 4", gan.f(1.0), -math.log(4), atol=1e-15)
check("6.25b", "where the climb above ended", paths["gan"][-1], 2 * jsd - math.log(4), atol=1e-12)

# %% [markdown]
# ## Total variation, and an objective without a leash
#
# Article S0, section 2.2.1, gives the discriminator the objective $\max_D \mathbb{E}_p D - \mathbb{E}_q D$, says
# nothing of what values $D$ may take, and calls it the GAN's. It isn't (6.24). What is it?
#
# Take $f(u) = \frac12 \vert u - 1 \vert$. Its slopes are $\pm\frac12$, and a line with a slope between them touches $f$
# only at the kink, so $f^*(t) = t$ for $\vert t \vert \le \frac12$, and infinite above. (Below, the line touches at
# $u = 0$ and $f^* = -\frac12$: scores below $-\frac12$ save nothing on $q$ and lose on $p$.) The bound reads
# $\mathbb{E}_p T - \mathbb{E}_q T$. Adding 1/2 to all scores changes nothing in it, so with $D = T + \frac12$
#
# $$ \max_{0 \le D \le 1} \left( \mathbb{E}_p D - \mathbb{E}_q D \right) = \mathrm{TV}(p, q)
#    = \tfrac12 \sum_x \vert p - q \vert, \qquad D^* = [\, p > q \,] \tag{6.26} $$
#
# This is **question 1**: score 1 on the faces 5 and 6, 0 elsewhere, and earn $0.55 - 0.333 = 0.2167$. A linear program
# that has never heard of $f$ agrees. Of the strength of the evidence such a $D^*$ knows nothing: it says 1 at a ratio
# of 1.5 and at 1.8.

# %%
program = linprog(q - p, bounds=(0, 1))
tv = np.abs(p - q).sum() / 2
check("6.26", "best D in [0,1] earns TV", -program.fun, tv, atol=1e-12, errata="S0.9", identity=28)
check("6.26a", "it is 1 where p > q, else 0", program.x, (p > q) * 1.0, atol=1e-12)
check("6.26b", "which is not JSD", -program.fun, jsd, relation="!=", atol=0.1, errata="S0.9")

# %% [markdown]
# **Question 2**: without limits, write $c \, D^*$ on the faces and earn $c$ times as much,
#
# $$ \mathbb{E}_p [c D] - \mathbb{E}_q [c D] = c \left( \mathbb{E}_p D - \mathbb{E}_q D \right), \qquad
#    \sup_D = \infty \; \text{ wherever } p \ne q \tag{6.27} $$
#
# so the objective as the article prints it has no maximum at all, and gradient ascent on it would simply diverge. Lower
# $f^*$ to nothing but a straight line, and nothing holds the critic back.

# %%
score = np.array([[1.0], [1e3], [1e6]]) * (p > q)
payment = score @ (p - q)
check("6.27", "the payment grows with c", payment, [tv, 1e3 * tv, 1e6 * tv], atol=0.0, rtol=1e-12,
      errata="S0.9")  # fmt: skip
free = linprog(q - p, bounds=(None, None))
check("6.27a", "linear program: unbounded (status 3)", free.status, 3, atol=0.0, errata="S0.9")

# %% [markdown]
# The same payment becomes useful with another leash: not on the values of $D$ but on its **slope**. Let the scores of
# neighbouring faces differ by at most 1. The best payment is then the Wasserstein distance,
#
# $$ \max_{\vert D(x) - D(y) \vert \le \vert x - y \vert} \left( \mathbb{E}_p D - \mathbb{E}_q D \right) = W_1(p, q) \tag{6.28} $$
#
# This is WGAN's objective, and no f-divergence: it knows that 5 is nearer to 6 than to 1. To f-divergences the faces
# are mere names. We relabel the faces of both dice at random and watch.

# %%
faces = np.arange(1.0, 7.0)
climb_by = np.diff(np.eye(6), axis=0)  # rows D(x+1) - D(x)
leash = {"A_ub": np.vstack([climb_by, -climb_by]), "b_ub": np.ones(10)}
leashed = -linprog(q - p, **leash, bounds=[(0, 0)] + [(None, None)] * 5).fun
check("6.28", "a leash on slopes: W1", leashed, transport.wasserstein_tables(p, q, faces),
      atol=1e-12, identity=33)  # fmt: skip

p_new, q_new = p[[3, 5, 0, 4, 1, 2]], q[[3, 5, 0, 4, 1, 2]]
moved = transport.wasserstein_tables(p_new, q_new, faces)
check("6.28a", "relabelled faces: W1 changes", moved, leashed, relation="!=", atol=0.1)
check("6.28b", "no D_f does", each(p_new, q_new), known, atol=1e-14)

# %% [markdown]
# ## Two bounds on KL
#
# For KL, (6.16) reads $\mathbb{E}_p T - \mathbb{E}_q e^{T - 1}$ (called NWJ after its authors). There is a better one
# at the same price, by Donsker and Varadhan (1975):
#
# $$ \mathbb{E}_p T - \mathbb{E}_q e^{T - 1} \;\le\; \mathbb{E}_p T - \log \mathbb{E}_q e^T
#    \;\le\; \mathrm{KL}(p \,\Vert\, q) \tag{6.29} $$
#
# The left inequality is one about numbers: the tangent of the logarithm at $e$ is $z/e$, so $\log z \le z/e$; take
# $z = \mathbb{E}_q e^T$. For the right one, tilt $q$ by the critic, $r = q \, e^T / \mathbb{E}_q e^T$. It is a law, and
#
# $$ \mathrm{KL}(p \,\Vert\, q) - \left( \mathbb{E}_p T - \log \mathbb{E}_q e^T \right)
#    = \sum_x p \log \frac{p}{q} - p \log \frac{r}{q} = \mathrm{KL}(p \,\Vert\, r) \ge 0 \tag{6.30} $$
#
# The critic is good when the fair die, **tilted by its scores**, looks like the loaded one.

# %%
T = rng.normal(size=(1000, 6)) * rng.choice([0.1, 1.0, 5.0], size=(1000, 1))
lower = np.array([estimators.nwj(t, t, weights_p=p, weights_q=q) for t in T])
higher = np.array([estimators.donsker_varadhan(t, t, weights_p=p, weights_q=q) for t in T])
check("6.29", "NWJ <= Donsker-Varadhan", lower, higher, relation="<=", atol=1e-12, identity=16)
check("6.29a", "Donsker-Varadhan <= KL", higher, known[0], relation="<=", atol=1e-12, identity=16)

r = q * np.exp(T) / (q * np.exp(T)).sum(axis=1, keepdims=True)
check("6.30", "KL - DV = KL(p || r)", known[0] - higher, stats.entropy(p, r, axis=1), atol=1e-12)

# %% [markdown]
# Donsker-Varadhan doesn't mind a constant added to $T$; NWJ does, and there is one best constant. Its slope in $c$
# is $1 - e^{c - 1} \mathbb{E}_q e^T$, which vanishes at $c = 1 - \log \mathbb{E}_q e^T$, and there
#
# $$ \max_c \left( \mathbb{E}_p (T + c) - \mathbb{E}_q e^{T + c - 1} \right)
#    = \mathbb{E}_p T - \log \mathbb{E}_q e^T \tag{6.31} $$
#
# So the two differ by one number that the critic has to get right, the level of the log-ratio. Why is NWJ used at all?
# Because it is a plain mean over samples. Donsker-Varadhan has a logarithm **around** its mean, so on a small batch
# it is biased, and upwards: it may promise more than KL (the docstring of
# [donsker_varadhan](../minigan/theory/estimators.py#donsker_varadhan) says by how much).

# %%
c = 1 - np.log((q * np.exp(T)).sum(axis=1))
moved = (p * (T + c[:, None])).sum(axis=1) - (q * np.exp(T + c[:, None] - 1)).sum(axis=1)
check("6.31", "NWJ at its best constant is Donsker-Varadhan", moved, higher, atol=1e-12)

# %% [markdown]
# ## Least squares
#
# LSGAN (Mao et al. 2016) trains $D$ by regression: label $b$ for the data, label $a$ for the generated. The generator
# wants to be taken for $c$. At one outcome the discriminator minimises $p (D - b)^2 + q (D - a)^2$, a parabola:
#
# $$ D^*(x) = \frac{b \, p(x) + a \, q(x)}{p(x) + q(x)} \tag{6.32} $$
#
# > **Aside: a discriminator that says 3/4.** Article S2 works through an example with mean squared errors (real labels
# > 1, fake labels 0.5, in its part 1). With $b = 1$, $a = \frac12$ this optimum is $(p + q/2)/(p + q)$, and **at a
# > perfect generator it is 3/4**: such a discriminator answers "probably real" to everything, and no score of 1/2 is
# > left for the generator to reach.

# %%
pairs = zip(p, q, strict=True)
vertex = [
    minimize_scalar(lambda d, p=a, q=b: p * (d - 1) ** 2 + q * (d - 0.5) ** 2).x for a, b in pairs
]
best = (p + q / 2) / (p + q)
article = optimal.least_squares(a=0.5, b=1.0)
check("6.32", "the parabola's lowest point", best, vertex, atol=1e-7, errata="S2.4", identity=26)
check("6.32a", "as the engine has it", best, article.optimum(p, q), atol=1e-14)
check("6.32b", "at p = q: 3/4", article.optimum(p, p), 0.75, atol=1e-15, errata="S2.4")

# %% [markdown]
# That example has a worse flaw: it is not adversarial. Both of its losses are the same expression,
# $\mathbb{E}_p (D(x) - 1)^2 + \mathbb{E} (D(G(z)) - \frac12)^2$. The generator is paid for moving its samples to where
# $D = \frac12$, which is exactly what the discriminator wants them to be; the players help each other. And the first
# term does not contain $G$ at all. Say that the generator is a die with logits $\theta$:
#
# $$ \nabla_\theta L_G = \nabla_\theta L_D, \qquad \nabla_\theta \, \mathbb{E}_p (D - 1)^2 = 0 \tag{6.33} $$
#
# In a zero-sum game the first equation would have a minus sign.


# %%
def article_loss(theta):
    """The article's L_G, which is its L_D: the squared errors on real data and on the generator's."""
    data, made, D = mg.tensor(p), ops.softmax(theta), mg.tensor(best)
    return ops.sum(data * ops.square(D - 1.0)) + ops.sum(made * ops.square(D - 0.5))


theta = np.array([0.2, -0.1, 0.0, 0.3, -0.4, 0.1])
slope_g = mg.jacobian(article_loss, theta)

law, cost = np.exp(theta) / np.exp(theta).sum(), (best - 0.5) ** 2
slope_d = law * (
    cost - law @ cost
)  # of E (D(G) - 1/2)², which the discriminator minimises, by hand
check("6.33", "both players want the same", slope_g, slope_d, atol=1e-15, errata="S2.4")
generators = rng.normal(size=(100, 6))
made = np.exp(generators) / np.exp(generators).sum(axis=1, keepdims=True)
rest = [article_loss(mg.tensor(one)).item() for one in generators] - made @ cost
check("6.33a", "without E (D(G) - 1/2)² it is E_p (D - 1)² for each of 100 generators", rest,
      sum(law * (d - 1) ** 2 for law, d in zip(p, best, strict=True)), atol=1e-14, errata="S2.4")  # fmt: skip

# %% [markdown]
# What does a proper LSGAN minimise? Insert (6.32) into $\mathbb{E}_p (D^* - c)^2 + \mathbb{E}_q (D^* - c)^2$. The
# numerator of $D^* - c$ is $(b - c) p - (c - a) q$. If $c$ lies **halfway between the labels**, $b - c = c - a = s$,
# then $D^* - c = s (p - q)/(p + q)$, and
#
# $$ \mathbb{E}_p (D^* - c)^2 + \mathbb{E}_q (D^* - c)^2 = s^2 \sum_x \frac{(p - q)^2}{p + q},
#    \qquad s = b - c, \; b - a = 2 s \tag{6.34} $$
#
# For $s = 1$ that is the theorem of the LSGAN paper. The sum is a Pearson divergence, but **not** the one of $p$
# against $q$. Mind the paper's convention: it divides by the *first* argument,
# $\chi^2(g \Vert h) = \sum (h - g)^2 / g$, our table by the second. In the paper's, and up to the end of this
# section, it is $\chi^2(p + q \,\Vert\, 2 q)$; in our table it is twice
# [le_cam](../minigan/theory/divergences.py#le_cam), symmetric, and at most 2:
#
# $$ \sum_x \frac{(p - q)^2}{p + q} = \chi^2(p + q \,\Vert\, 2q) = 2 \, D_f, \qquad
#    f(u) = \frac{(u - 1)^2}{2 (u + 1)} \tag{6.35} $$


# %%
def lsgan_cost(a, b, c):
    """E_p (D* - c)² + E_q (D* - c)² at the best discriminator, by regression alone."""
    best = np.array([np.average([b, a], weights=pair) for pair in zip(p, q, strict=True)])
    return (p * (best - c) ** 2).sum() + (q * (best - c) ** 2).sum()


labels = [(-1, 1, 0), (0, 2, 1), (0, 1, 0.5), (3, -1, 1)]
triangular = ((p - q) ** 2 / (p + q)).sum()
predicted = [(b - c) ** 2 * triangular for _, b, c in labels]
check("6.34", "s² Σ (p-q)²/(p+q)", [lsgan_cost(*abc) for abc in labels], predicted, atol=1e-14,
      identity=26)  # fmt: skip
g, k = p + q, 2 * q
check("6.35", "χ²(p+q || 2q)", triangular, ((k - g) ** 2 / g).sum(), atol=1e-15, identity=26)
check("6.35a", "twice Le Cam's", triangular, 2 * f_divergence(p, q, "le_cam"), atol=1e-15)
check(
    "6.35b", "not χ²(p || q)", triangular, familiar["pearson"], relation="!=", atol=0.1, identity=26
)

# %% [markdown]
# Article S2's second example uses the labels $a = 0$, $b = 1$ and the target $c = \frac12$. So $s = \frac12$, and
#
# $$ (a, b, c) = (0, 1, \tfrac12): \qquad \mathbb{E}_p (D^* - c)^2 + \mathbb{E}_q (D^* - c)^2
#    = \tfrac14 \, \chi^2(p + q \,\Vert\, 2 q) \tag{6.36} $$
#
# The same divergence with **a quarter** of the constant: the labels satisfy $b - a = 2 (b - c)$, but not the paper's
# $b - c = 1$. The minimum is where it was; the generator's gradient is a quarter as long.

# %%
small = lsgan_cost(0, 1, 0.5)
check("6.36", "labels 0, 1, 1/2: a quarter", small, lsgan_cost(-1, 1, 0) / 4, atol=1e-15,
      errata="S2.5", identity=26)  # fmt: skip
check("6.36a", "not the theorem's χ²", small, triangular, relation="!=", atol=0.05, errata="S2.5")

# %% [markdown]
# ## The dictionary
#
# | game | $f(u)$ | critic's domain | trained critic | divergence |
# |---|---|---|---|---|
# | f-GAN, KL | $u \log u$ | all numbers | $1 + \log(p/q)$ | $\mathrm{KL}(p \Vert q)$ |
# | f-GAN, reverse KL | $-\log u$ | $T < 0$ | $-q/p$ | $\mathrm{KL}(q \Vert p)$ |
# | f-GAN, Pearson | $(u - 1)^2$ | all numbers | $2 (p/q - 1)$ | $\chi^2(p \Vert q)$ |
# | GAN | $u \log u - (u + 1) \log(u + 1)$ | $T < 0$ | $\log \frac{p}{p + q}$ | $2 \mathrm{JSD} - \log 4$ |
# | bounded critic | $\frac12 \vert u - 1 \vert$ | $-\frac12 \le T \le \frac12$ | $\frac12 \operatorname{sign}(p - q)$ | TV |
# | LSGAN, $s = 1$ | $(u - 1)^2/(u + 1)$ | by regression | $c + \frac{p - q}{p + q}$ | $\chi^2(p + q \Vert 2q)$, as in (6.35) |
#
# All critics in the fourth column are non-decreasing functions of one thing, the ratio $p/q$. The choice of $f$
# decides the scale on which the ratio is read, and so what the generator is told; which is the subject of lesson 8.
#
# ## Exercises
#
# Replace the `raise` by your answer and run the cell. Every answer is tried on a hundred random cases.


# %%
def conjugate_of_hellinger(t):
    """f*(t) for f(u) = (sqrt(u) - 1)², for an array of slopes t < 1. (Solve f'(u) = t, put back.)"""
    # Hint: f'(u) = 1 - 1/sqrt(u). Solve for sqrt(u) before you put it back.
    raise NotImplementedError


def is_the_supremum(answer, t, u):
    got = np.asarray(answer(t))
    assert got.shape == t.shape, f"got shape {got.shape} for {t.shape} slopes"
    price = lambda u: (np.sqrt(u) - 1) ** 2
    assert (np.outer(t, u) - price(u) <= got[:, None] + 1e-9 * (1 + u)).all(), "not an upper bound"
    for slope, value in zip(t, got, strict=True):  # the least one: some u reaches it
        gap = lambda s, slope=slope, value=value: value - slope * s * s + price(s * s)  # u = s²
        best = minimize_scalar(gap, bounds=(0, 1e4), method="bounded", options={"xatol": 1e-9})
        assert abs(best.fun) <= 1e-9 * (1 + abs(value)) + 1e-9, (
            f"too high by {best.fun} at t = {slope}"
        )


grade(
    "6.E1", conjugate_of_hellinger, is_the_supremum, t=arrays(3, -3.0, 0.98), u=arrays(20, 0, 1e4)
)


# %%
def swapped(f):
    """The generator g, a function of an array of ratios, with D_g(p || q) = D_f(q || p)."""
    # Hint: (6.7).
    raise NotImplementedError


def swaps_the_arguments(answer, pq, name):
    p, q = pq
    f = GENERATORS[name].f
    want = f_divergence(q, p, name)
    np.testing.assert_allclose((q * answer(f)(p / q)).sum(), want, rtol=1e-9, atol=1e-12)


some = floats(0, 2.999).map(lambda k: ["kl", "pearson", "jensen_shannon"][int(k)])
grade("6.E2", swapped, swaps_the_arguments, pq=tables(2, bound=3.0), name=some)


# %%
def reverse_kl_critic(p, q):
    """The scores T that earn the most where the price of T is f*(T) = -1 - log(-T)."""
    # Hint: the generator is f(u) = -log u; the best critic is its slope at the ratio (6.17).
    raise NotImplementedError


def earns_the_reverse_kl(answer, pq):
    p, q = pq
    T = np.asarray(answer(p, q))
    assert (T < 0).all(), "the price of a score >= 0 is infinite"
    earned = (p * T).sum() - (q * (-1 - np.log(-T))).sum()
    assert abs(earned - stats.entropy(q, p)) <= 1e-9, (
        f"earned {earned}, could be {stats.entropy(q, p)}"
    )


grade("6.E3", reverse_kl_critic, earns_the_reverse_kl, pq=tables(2, bound=4.0))


# %%
def limited_critic(p, q, low, high):
    """The most that E_p D - E_q D can be for scores D between low and high: a number."""
    # Hint: each outcome has its own score. Which limit does it want where p > q, which elsewhere?
    raise NotImplementedError


def is_the_most(answer, pq, low, width):
    p, q = pq
    best = np.where(p > q, low + width, low)  # each outcome has its own score, free of the others
    want = best @ (p - q)
    got = np.asarray(answer(p, q, low, low + width)).item()
    assert abs(got - want) <= 1e-12 * max(1.0, abs(low) + width) * p.size, f"got {got}"


grade("6.E4", limited_critic, is_the_most, pq=tables(2, max_size=8), low=floats(-2, 2),
      width=floats(0.1, 3.0))  # fmt: skip


# %%
def best_level(scores, q):
    """The number c that makes E_p (T + c) - E_q exp(T + c - 1) largest, T the scores."""
    # Hint: set the derivative in c to 0, or read the text above (6.31).
    raise NotImplementedError


def makes_both_bounds_equal(answer, pq, spread):
    p, q = pq
    T = np.linspace(-spread, spread, p.size)
    c = answer(T, q)
    better = estimators.donsker_varadhan(T, T, weights_p=p, weights_q=q)
    assert abs(estimators.nwj(T + c, T + c, weights_p=p, weights_q=q) - better) <= 1e-9


grade("6.E5", best_level, makes_both_bounds_equal, pq=tables(2), spread=floats(0.0, 5.0))

# %% [markdown]
# ## What to read next
#
# - Nowozin, Cseke and Tomioka 2016, *f-GAN*, [arXiv 1606.00709](https://arxiv.org/abs/1606.00709), section 2, tables 1
#   and 2: (6.16), (6.17) and (6.20). Its generators for Hellinger and Jensen-Shannon are twice ours.
# - Nguyen, Wainwright and Jordan 2010, [arXiv 0809.0853](https://arxiv.org/abs/0809.0853), section 3: the variational
#   bound, and how fast it can be estimated.
# - Mao et al. 2016, *LSGAN*, [arXiv 1611.04076](https://arxiv.org/abs/1611.04076), section 3.2.
# - Poole et al. 2019, [arXiv 1905.06922](https://arxiv.org/abs/1905.06922), section 2: NWJ, Donsker-Varadhan and their
#   variance.
# - In this code: [identity 15](../tests/test_identities_divergences.py#test_identity_15_variational_bound) and
#   [identity 16](../tests/test_identities_divergences.py#test_identity_16_order_of_the_bounds) hold the two central
#   inequalities on random tables.
#
# Lesson 7 stays with the GAN's own $f$ and asks everything about its best critic.
