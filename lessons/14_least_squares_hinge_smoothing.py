# %% [markdown]
# # 14. Least squares, hinge, smoothing
#
# There are a dozen GAN losses, and each paper says that its own gives better gradients. Three questions decide. With the
# best critic, how hard is the generator pulled? Which divergence does it then go down? And does the game, near its end,
# come to rest? Each has an exact answer.
#
# You need: the optimal discriminator and its logit $\log(p/q)$ (lesson 7), eigenvalues (lessons 11 and 12).
#
# **Predict first.** Data $N(0, 1)$, fakes $N(\theta, 1)$, and for each loss its *best* critic. The fakes are far off,
# $\theta = 8$. Least squares was proposed against vanishing gradients (Mao et al. 2016). Is the pull on $\theta$ with
# least squares (a) stronger, (b) weaker than with the non-saturating loss, and by what factor?

# %%
import math

import numpy as np

import minigan as mg
from minigan import losses, ops
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLUE, GREY, ORANGE
from minigan.lessons.strategies import floats
from minigan.theory import divergences, dynamics, optimal
from minigan.theory.dirac import DiracGAN

nodes, weights = np.polynomial.hermite_e.hermegauss(120)
weights = weights / weights.sum()  # expectations over N(0, 1)


def sigma(t):
    """The logistic function, without overflow."""
    return np.exp(-np.logaddexp(0, -t))


def pulls(theta):
    """-dL_G/dtheta against the best critic, for each loss: the closed forms of (14.2) to (14.5)."""
    x = theta + nodes
    d = sigma(theta**2 / 2 - theta * x)  # the best probability: the logit is log p/q
    p, q = np.exp(-(x**2) / 2), np.exp(-((x - theta) ** 2) / 2)
    one, two = 0.9 * p, 0.9 * p + 0.1 * q  # the mass that is labelled real
    mean = lambda values: -theta * weights @ values
    return {
        "minimax": mean(d),
        "non-saturating": mean(1 - d),
        "least squares": mean(d * (1 - d) ** 2),
        "smoothed 0.9 / 0": mean((1 - one / (p + q)) * q / (p + q - one)),
        "smoothed 0.9 / 0.1": mean((1 - two / (p + q)) * 0.8 * p * q / (two * (p + q - two))),
    }


# %%
fig, ax = figure(width=6.4, height=3.3)
distances = np.linspace(0.05, 8, 160)
curves = {name: [-pulls(t)[name] for t in distances] for name in pulls(1.0)}
for name, values in curves.items():
    hidden = " (on the line above)" if name == "smoothed 0.9 / 0" else ""
    ax.plot(distances, values, label=name + hidden)
ax.plot(distances, np.ones_like(distances), color=GREY, linewidth=1, label="Wasserstein (slope 1)")
ax.set(yscale="log", ylim=(1e-6, 30), xlabel="distance $\\theta$ of the fakes",
       ylabel="pull towards the data")  # fmt: skip
ax.legend(loc="lower left")
show(fig, "pulls",
     alt="Pull against distance: non-saturating and one-sided smoothing grow, the other three vanish.")  # fmt: skip

# %% [markdown]
# At $\theta = 8$ the pull of least squares is some $10^{-5}$ of the non-saturating one: (b). With its best critic it
# vanishes as the minimax loss does.
#
# ## 1. The pull
#
# Let $g$ be the generator's loss of one score (the [pairs](../minigan/losses.py#Pair) of the engine), $s^*(x)$ the best
# score. A fake $x = \theta + z$ feels $-g'(s^*)\,s^{*\prime}(x)$: how much the loss *wants* a higher score, times how
# fast the score *rises*. On average
#
# $$ F(\theta) = -\,\mathbb{E}_{x \sim q}\left[g'(s^*(x))\, s^{*\prime}(x)\right] . \tag{14.1} $$
#
# For our Gaussians the logit is $\ell = \log\frac pq = \frac{\theta^2}2 - \theta x$, with slope $-\theta$ everywhere. With
# $D = \sigma(\ell)$, and $g' = -D$ or $g' = -(1 - D)$,
#
# $$ F_{\text{minimax}} = -\theta\,\mathbb{E}_q D, \qquad F_{\text{NS}} = -\theta\,\mathbb{E}_q(1 - D) . \tag{14.2} $$
#
# Least squares, $g = \frac12(s - 1)^2$, has the best score $D$ itself, not its logit. Its slope has the factor of the
# sigmoid, $D(1 - D)$, which is small wherever the critic is sure:
#
# $$ F_{\text{LS}} = -\theta\,\mathbb{E}_q\left[D\,(1 - D)^2\right] . \tag{14.3} $$
#
# The hinge's best score is $\operatorname{sign}(p - q)$: a step with slope 0 on both sides, hence
# $F_{\text{hinge}} = 0$. All that least squares and the hinge gain, they gain from critics that are *not* the best:
# networks that are smooth, young, or held back. On the score itself their wish does not saturate: $g' = s - 1$ and
# $g' = -1$, against $-\sigma(-s)$.


# %%
def pulled(score, loss, theta, h=1e-4):
    """(14.1) by definition: move the fakes a little, with the critic held fixed."""
    at = lambda t: weights @ loss(score(t + nodes))
    return -(at(theta + h) - at(theta - h)) / (2 * h)


theta = 1.7
logit = lambda x: theta**2 / 2 - theta * x
square = lambda s: (s - 1) ** 2 / 2
minimax = lambda s: -np.logaddexp(0, s)
heuristic = lambda s: np.logaddexp(0, -s)
found = pulls(theta)
s = mg.tensor(np.array([0.3]), requires_grad=True)
wishes = [mg.grad(pair.generator(s), s).item()
          for pair in (losses.minimax, losses.non_saturating, losses.least_squares(), losses.hinge)]  # fmt: skip
check("14.1", "g' of minimax, non-saturating, least squares, hinge", wishes,
      [-sigma(0.3), -sigma(-0.3), 0.3 - 1, -1], atol=1e-14)  # fmt: skip
check("14.2", "−θ E_q D and −θ E_q (1 − D)", [found["minimax"], found["non-saturating"]],
      [pulled(logit, minimax, theta), pulled(logit, heuristic, theta)], atol=1e-7)  # fmt: skip
check("14.3", "least squares: −θ E_q D (1 − D)²", found["least squares"],
      pulled(lambda x: sigma(logit(x)), square, theta), atol=1e-7)  # fmt: skip
far = pulls(8.0)
print(f"least squares / non-saturating at 8: {far['least squares'] / far['non-saturating']:.1e}")
check("14.3a", "at θ = 8 least squares pulls less by", far["least squares"] / far["non-saturating"],
      1e-4, atol=0, relation="<=")  # fmt: skip

# %% [markdown]
# > **Aside: why do gradients vanish?** Article S0, section 2.3.2, looks for the reason in depth and weights. There is no
# > network in (14.2). The same critic, the same fakes: the minimax pull is weaker by
# >
# > $$ \frac{F_{\text{minimax}}}{F_{\text{NS}}} = \frac{\mathbb{E}_q D}{1 - \mathbb{E}_q D} \tag{14.4} $$
# >
# > which at $\theta = 8$ is below $10^{-4}$. The loss does it.
#
# ## 2. Smoothing the labels: one side only
#
# Tell the critic that reals are real with probability $a$ and fakes with probability $b$. Its best logit is then
# $\log\frac{ap + bq}{(1-a)p + (1-b)q}$, a quotient of two mixtures (lesson 7). Differentiate, with
# $\nabla p = p\nabla\log p$:
#
# $$ \nabla\ell = \frac{(a - b)\,pq}{(ap + bq)\left((1 - a)p + (1 - b)q\right)}\;\nabla\log\frac pq . \tag{14.5} $$
#
# Far from the data $p \ll q$. For $b = 0$ the fraction tends to 1: the pull stays. For $b > 0$ it is about
# $\frac{a-b}{b(1-b)}\,\frac pq$: gone. A critic that must call 10 % of all fakes real is content with a *constant* there
# (Salimans et al. 2016 smooth the reals only; the figure shows why). What one-sided smoothing does buy is a bound,
#
# $$ \ell \le \log\frac{a}{1 - a} = 2.197 \quad\text{for } a = 0.9, \tag{14.6} $$
#
# so the critic can never be too sure of a real. And the goal is not moved: for any $b < a$ the best
# critic's loss is largest where $q = p$,
#
# $$ \max_q \min_D L_D = 2\,h\!\left(\tfrac{a + b}{2}\right), \qquad h(t) = -t\log t - (1 - t)\log(1 - t) . \tag{14.7} $$

# %%
called_real = lambda theta: weights @ sigma(theta**2 / 2 - theta * (theta + nodes))
print(f"at 8 the best critic calls a fake real with probability {called_real(8.0):.1e}")
theta = 3.0
verdict = called_real(theta)
check("14.4", "minimax / non-saturating = E_q D / (1 − E_q D)",
      pulled(logit, minimax, theta) / pulled(logit, heuristic, theta), verdict / (1 - verdict),
      atol=0, rtol=1e-6, errata="S0.12")  # fmt: skip
theta = 1.7
x = theta + nodes
for letter, (a, b) in zip("ab", ((0.9, 0.0), (0.9, 0.1)), strict=True):

    def smooth(x, a=a, b=b):
        p, q = np.exp(-(x**2) / 2), np.exp(-((x - theta) ** 2) / 2)
        return np.log(a * p + b * q) - np.log((1 - a) * p + (1 - b) * q)

    p, q = np.exp(-(x**2) / 2), np.exp(-((x - theta) ** 2) / 2)
    slope = (a - b) * p * q / ((a * p + b * q) * ((1 - a) * p + (1 - b) * q)) * -theta
    near = abs(nodes) < 6
    check(f"14.5{letter}", f"labels {a} / {b}: the slope of the logit", slope[near],
          (smooth(x[near] + 1e-5) - smooth(x[near] - 1e-5)) / 2e-5, atol=1e-7)  # fmt: skip
    check(f"14.5{'cd'[b > 0]}", "and the pull of the figure",
          found[f"smoothed {a:g} / {b:g}"], pulled(smooth, heuristic, theta), atol=1e-7)  # fmt: skip

# %%
random = np.random.default_rng(0)
tables = random.dirichlet(np.full(6, 0.3), (400, 2))
p, q = tables[:, 0], tables[:, 1]
check("14.6", "one-sided: the logit stays below log a/(1 − a)",
      optimal.optimal_logit(p, q, real_label=0.9), math.log(0.9 / 0.1), atol=1e-9, relation="<=")  # fmt: skip
for letter, (a, b) in zip("ab", ((0.9, 0.0), (0.9, 0.1)), strict=True):
    best = optimal.smoothed(real_label=a, fake_label=b)
    s = (a + b) / 2
    top = -2 * (s * math.log(s) + (1 - s) * math.log(1 - s))
    check(f"14.7{letter}", "at q = p: 2 h((a + b)/2)",
          best.discriminator(best.optimum(p, p), p, p), top, atol=1e-12)  # fmt: skip
    check(f"14.7{'cd'[b > 0]}", "elsewhere less", best.value(p, q), top, atol=1e-12, relation="<=")

# %% [markdown]
# ## 3. Which divergence does the generator go down?
#
# On a table ([`least_squares`](../minigan/theory/optimal.py#least_squares)), the generator's loss is
# $\sum_i q_i\,g(s^*_i)$, and $s^*_i$ depends on $u_i = p_i/q_i$ only: write
# $h(u) = g(s^*(u))$. A step holds the critic fixed, so it sees the slope $h(u_i)$ in the share $q_i$. Now ask which
# $\sum_i q_i F(p_i/q_i)$ has *that* slope. Differentiate in $q_i$:
#
# $$ F(u) - u F'(u) = h(u) \quad\Longrightarrow\quad F''(u) = -\frac{h'(u)}{u} . \tag{14.8} $$
#
# **The rule.** $F$ is convex, and so an $f$-divergence, exactly where $h$ falls: where the loss of a fake is *lower* the
# more it is missing. Least squares with labels $(a, b, c) = (0, 1, 1)$ has $h = \frac12(1 + u)^{-2}$, which falls, and
#
# $$ F(u) = \frac12 + \frac{u}{2(1 + u)} - u\log\frac{1 + u}{u}, \qquad F''(u) = \frac{1}{u(1 + u)^3} > 0 . \tag{14.9} $$
#
# The paper's other choice, $(-1, 1, 0)$, has $s^* = \frac{u-1}{u+1}$ and
#
# $$ h(u) = \tfrac12\left(\frac{u - 1}{u + 1}\right)^2, \qquad h'(u) = \frac{2\,(u - 1)}{(u + 1)^3} : \tag{14.10} $$
#
# it *rises* for $u > 1$. A mode that the generator neglects is punished for being neglected. The theorem that this choice
# minimises a Pearson divergence (lesson 6) is right about the loss *with the critic's reply*. The step, which holds the
# critic, does something else. Two even modes, one at 10 %:

# %%
w = mg.tensor(random.standard_normal(6), requires_grad=True)
p = random.dirichlet(np.ones(6))
shares = ops.softmax(w)
u = p / shares.data
game = optimal.least_squares(a=0, b=1, c=1)
held = game.optimum(p, shares.data)
seen = mg.grad(game.generator(held, p, shares), w).data
ratio = p / shares
sum_of = ops.sum(shares * (0.5 + ratio / (2 * (1 + ratio)) - ratio * ops.log((1 + ratio) / ratio)))
check("14.8", "the step's gradient is that of Σ q F(p/q)", seen, mg.grad(sum_of, w).data,
      atol=1e-13)  # fmt: skip
F = lambda u: 0.5 + u / (2 * (1 + u)) - u * np.log((1 + u) / u)
grid, k = np.linspace(0.2, 5, 40), 1e-3
check("14.9", "F − u F' = h = (1 + u)⁻²/2",
      F(grid) - grid * (F(grid + k) - F(grid - k)) / (2 * k), (1 + grid) ** -2 / 2, atol=2e-5)  # fmt: skip
check("14.9a", "F'' = 1/(u (1 + u)³)", (F(grid + k) - 2 * F(grid) + F(grid - k)) / k**2,
      1 / (grid * (1 + grid) ** 3), atol=0, rtol=1e-4)  # fmt: skip

# %%
pearson = optimal.least_squares(a=-1, b=1, c=0)


def frozen(game, u):
    """h(u): the generator's loss of one fake where p/q = u, from the game's own optimum."""
    p, q = u / (1 + u), 1 / (1 + u)  # any pair of this ratio
    return game.generator(game.optimum([p, 1 - p], [q, 1 - q])[:1], [1.0], [1.0])


h_of = lambda game: np.array([frozen(game, u) for u in grid])
check("14.10", "(−1, 1, 0): h = ((u − 1)/(u + 1))²/2", h_of(pearson),
      ((grid - 1) / (grid + 1)) ** 2 / 2, atol=1e-14)  # fmt: skip
rise = [(frozen(pearson, u + 1e-5) - frozen(pearson, u - 1e-5)) / 2e-5 for u in grid]
check("14.10a", "h' = 2 (u − 1)/(u + 1)³", rise, 2 * (grid - 1) / (grid + 1) ** 3, atol=1e-8)


def neglected(game, start=0.1, time=40.0, step=0.05):
    """The share of the rarer of two even modes; the critic is always at its best."""
    p, path = np.array([0.5, 0.5]), [np.array([1 - start, start])]
    for _ in range(round(time / step)):
        q = path[-1]
        h = np.array([frozen(game, u) for u in p / q])
        path.append(q - step * q * (h - q @ h))  # the natural gradient of lesson 13
    return np.array(path)[:, 1]


fates = {(0, 1, 1): neglected(game, time=sized(40, 20)), (-1, 1, 0): neglected(pearson, time=sized(40, 20))}  # fmt: skip
print("share of the rare mode at the end:", {k: round(float(v[-1]), 4) for k, v in fates.items()})
check("14.10b", "(0, 1, 1): the neglected mode comes back", fates[0, 1, 1][-1], 0.3, atol=0,
      relation=">=")  # fmt: skip
check("14.10c", "(−1, 1, 0): it is lost", fates[-1, 1, 0][-1], 0.05, atol=0, relation="<=")

# %%
fig, axes = figure(1, 2, width=7.6, height=3.0)
curves = {"(0, 1, 1)": (1 + grid) ** -2 / 2, "(−1, 1, 0)": ((grid - 1) / (grid + 1)) ** 2 / 2}
for (name, values), colour, dash in zip(curves.items(), (BLUE, ORANGE), ("-", "--"), strict=True):
    axes[0].plot(grid, values, color=colour, linestyle=dash, label=name)
axes[0].axvline(1, color=GREY, linewidth=0.8)
axes[0].set(xlabel="$u = p/q$ (right: neglected modes)", ylabel="loss $h(u)$ of a fake there")
axes[0].legend(title="labels $(a, b, c)$")
for values, colour, dash in zip(fates.values(), (BLUE, ORANGE), ("-", "--"), strict=True):
    axes[1].plot(0.05 * np.arange(len(values)), values, color=colour, linestyle=dash)
axes[1].axhline(0.5, color=GREY, linewidth=0.8)
axes[1].set(xlabel="time", ylabel="share of the rare mode", ylim=(0, 0.55))
show(fig, "labels",
     alt="Left, the loss of a fake against p/q, falling or rising beyond 1. Right, the rare mode returns or dies.")  # fmt: skip

# %% [markdown]
# (The lesson is about shares on a table with the best critic. On points, and with a critic that is only on its way, the
# second choice can do well: in the Dirac-GAN, (12.7), it is the one that arrives.)
#
# ## 4. The hinge: a majority vote
#
# Pointwise the hinge critic minimises $p\max(0, 1 - s) + q\max(0, 1 + s)$, a broken line in $s$ with kinks at $\pm1$.
# A minimum lies at a kink, so it is $2\min(p, q)$, and
#
# $$ \min_D L_D = 2\sum_i \min(p_i, q_i) = 2 - 2\,\mathrm{TV}(p, q) . \tag{14.11} $$
#
# The critic says $\pm1$ and never by how much. Scores beyond the margins cost nothing, and give no gradient: like a support
# vector machine, the critic learns from the undecided only.

# %%
p, q = tables[:, 0], tables[:, 1]
scores = np.linspace(-3, 3, 241)
lines = p[..., None] * np.maximum(0, 1 - scores) + q[..., None] * np.maximum(0, 1 + scores)
least = lines.min(axis=-1).sum(axis=-1)
check("14.11", "min L_D = 2 Σ min(p, q)", least, 2 * np.minimum(p, q).sum(axis=-1), atol=1e-12)
check("14.11a", "= 2 − 2 TV(p, q)", least, 2 - 2 * divergences.total_variation(p, q), atol=1e-12)

# %% [markdown]
# ## 5. Does the game come to rest? (Nagarajan and Kolter 2017)
#
# In lesson 12 every loss circled. There the data were one *point*. Give them width: data $N(0, \sigma^2)$, fakes
# $N(\theta, \sigma^2)$, critic $D(x) = \psi x$. Let the critic's loss be $\mathbb{E}_p\alpha(D) + \mathbb{E}_q\beta(D)$.
# Its curvature in $\psi$, at $\psi = 0$, is $\left(\alpha''(0) + \beta''(0)\right)\mathbb{E}x^2 = c\,\sigma^2$, and that is
# friction:
#
# $$ J = \begin{pmatrix} 0 & \kappa_G \\ -\kappa_D & -c\,\sigma^2 \end{pmatrix}, \qquad
# \lambda = -\frac{c\sigma^2}{2} \pm \sqrt{\frac{c^2\sigma^4}{4} - \kappa_G\kappa_D} , \tag{14.12} $$
#
# with the pulls $\kappa_G = -g'(0)$ and $\kappa_D = \beta'(0)$ of lesson 12. So wide data do what R1 does, with
# $\gamma = c\sigma^2$, *if the loss is curved*:
#
# | loss | $c$ | $\kappa_G\kappa_D$ | comes to rest on wide data |
# |---|---|---|---|
# | logistic | $\frac14 + \frac14$ | $\frac14$ | yes |
# | least squares $(-1, 1, 1)$ | $1 + 1$ | 1 | yes, faster |
# | hinge | 0 (straight inside the margins) | 1 | no: $\lambda = \pm i$ |
# | Wasserstein | 0 | 1 | no: $\lambda = \pm i$ |
#
# Straight losses need a regulariser always; curved ones only where the data are thin, in directions without width. (Images
# are believed to be thin in most.)

# %%
kinds = {
    "logistic": ("non_saturating", 0.5, 0.25),
    "least squares": (losses.least_squares(a=-1, b=1, c=1), 2.0, 1.0),
    "hinge": ("hinge", 0.0, 1.0),
    "Wasserstein": ("wasserstein", 0.0, 1.0),
}
width = 0.9
for letter, (name, (pair, c, pull)) in zip("abcd", kinds.items(), strict=True):
    wide = DiracGAN(loss=pair, regularizer="instance_noise", sigma=width)  # both laws with width
    root = np.sqrt(complex(c**2 * width**4 / 4 - pull))
    check(f"14.12{letter}", f"{name}: λ = −cσ²/2 ± √(c²σ⁴/4 − κκ)", wide.eigenvalues(),
          [-c * width**2 / 2 + root, -c * width**2 / 2 - root], atol=1e-9)  # fmt: skip

# %% [markdown]
# The general theorem has the same proof. Let the critic be $\langle\psi, \varphi(x)\rangle$ with any features, and
# $K = \partial_\theta\,\mathbb{E}_q\varphi$. At the solution, with both pulls scaled to $\kappa$,
#
# $$ J = \begin{pmatrix} 0 & \kappa K \\ -\kappa K^T & -c\,\mathbb{E}\varphi\varphi^T \end{pmatrix}, \qquad
# \operatorname{Re}\lambda = -\,c\,\frac{\mathbb{E}|\langle w, \varphi\rangle|^2}{\lVert v\rVert^2 + \lVert w\rVert^2}
# \tag{14.13} $$
#
# for an eigenvector $(v, w)$: multiply $J(v, w) = \lambda(v, w)$ by its conjugate; the $K$ terms are purely imaginary.
# The real part is negative unless $\langle w, \varphi\rangle = 0$ on the data. For features that are independent there
# that means $w = 0$, hence $K^Tv = 0$: a change of the generator that no feature notices. We try it on
# $x = m + sz$ with features $(x, x^2)$, four players'
# numbers. Last, *two time scales*: a critic $k$ times as fast has $\lambda^2 + kc\sigma^2\lambda + k\kappa^2 = 0$. For
# large $k$ the slow root no longer depends on it,
#
# $$ \lambda \to -\frac{\kappa^2}{c\,\sigma^2}, \tag{14.14} $$
#
# and is real: a fast critic takes the rotation out, and the generator goes straight down.


# %%
def gaussian_game(pair):
    """m + s z against the critic psi_1 x + psi_2 x², data N(0, 1): [L_G, L_D] by quadrature."""

    def scores(x, psi):
        return psi[0] * x + psi[1] * x * x

    def expected(loss, theta, psi):
        real, fake = scores(mg.tensor(nodes), psi), scores(theta[0] + theta[1] * nodes, psi)
        some = np.flatnonzero(weights > 1e-12)
        return sum(weights[i] * loss(real[i : i + 1], fake[i : i + 1]) for i in some)

    return [
        lambda theta, psi: expected(lambda real, fake: pair.generator(fake, real), theta, psi),
        lambda theta, psi: expected(pair.discriminator, theta, psi),
    ]


end = np.array([0.0, 1.0]), np.zeros(2)
moments = np.array([[1.0, 0.0], [0.0, 3.0]])  # E x², E x³, E x⁴
K = np.array([[1.0, 0.0], [0.0, 2.0]])  # of the means of x and x² in m and s
for letter, (name, (c, kappa)) in zip(
    "ab", {"non_saturating": (0.5, 0.5), "wasserstein": (0.0, 1.0)}.items(), strict=True
):
    found = dynamics.game_jacobian(gaussian_game(getattr(losses, name)), end)
    by_hand = np.block([[np.zeros((2, 2)), kappa * K], [-kappa * K.T, -c * moments]])
    check(f"14.13{letter}", f"{name}: J in blocks", found, by_hand, atol=1e-9)
    values, vectors = np.linalg.eig(found)
    v, w = vectors[:2], vectors[2:]
    noticed = np.einsum("ik,ij,jk->k", w.conj(), moments, w).real
    check(f"14.13{'cd'[letter == 'b']}", "Re λ = −c E|⟨w, φ⟩|²/(‖v‖² + ‖w‖²)", values.real,
          -c * noticed / (abs(v) ** 2 + abs(w) ** 2).sum(axis=0), atol=1e-9)  # fmt: skip
J = DiracGAN(regularizer="instance_noise", sigma=width).jacobian()
fast = np.diag([1.0, 1e5]) @ J  # the critic 100,000 times as fast
check("14.14", "a fast critic: λ → −κ²/(cσ²)", np.linalg.eigvals(fast).real.max(),
      -0.25 / (0.5 * width**2), atol=0, rtol=1e-3)  # fmt: skip

# %% [markdown]
# ## Exercises


# %%
def smoothed_logit(p, q, real_label, fake_label):
    """The logit that minimises p BCE(D, real_label) + q BCE(D, fake_label) at one point."""
    # Hint: the derivative in the logit is D times the mass, minus the mass labelled real.
    raise NotImplementedError


def logit_property(answer, p, q, a, b):
    loss = lambda t: (
        (a * p + b * q) * np.logaddexp(0, -t) + ((1 - a) * p + (1 - b) * q) * np.logaddexp(0, t)
    )
    t = answer(p, q, a, b)
    lower = [step for step in (-0.1, -1e-3, 1e-3, 0.1) if loss(t + step) < loss(t) - 1e-12]
    assert not lower, f"{loss(t)} at {t}, but less at a distance of {lower}"


grade("14.E1", smoothed_logit, logit_property, p=floats(0.05, 1), q=floats(0.05, 1),
      a=floats(0.7, 0.95), b=floats(0.05, 0.3))  # fmt: skip


# %%
def best_score(p, q, a, b):
    """The score that minimises p (s - b)² + q (s - a)² at one point."""
    # Hint: it is a weighted mean of the two labels.
    raise NotImplementedError


def score_property(answer, p, q, a, b):
    loss = lambda s: p * (s - b) ** 2 + q * (s - a) ** 2
    s = answer(p, q, a, b)
    lower = [step for step in (-0.1, -1e-3, 1e-3, 0.1) if loss(s + step) < loss(s) - 1e-12]
    assert not lower, f"{loss(s)} at {s}, but less at a distance of {lower}"


grade("14.E2", best_score, score_property, p=floats(0.05, 1), q=floats(0.05, 1), a=floats(-1, 0),
      b=floats(0.5, 1))  # fmt: skip


# %%
def curvature(u):
    """F''(u) of the divergence that the non-saturating generator goes down, against the best D."""
    # Hint: the loss of a fake is -log D with D = u/(1 + u). Apply (14.8).
    raise NotImplementedError


def curvature_property(answer, u):
    q = np.array([1 / (1 + u), u / (1 + u)])  # a table, p/q = u at its first outcome
    p, h = q[::-1], 1e-4
    frozen_loss = lambda q0: optimal.non_saturating.generator(
        optimal.non_saturating.optimum([p[0], 1 - p[0]], [q0, 1 - q0])[:1], [1.0], [1.0]
    )
    by_ratio = (frozen_loss(p[0] / (u + h)) - frozen_loss(p[0] / (u - h))) / (2 * h)
    assert abs(answer(u) * u + by_ratio) < 1e-4 * (1 + abs(by_ratio)), f"expected {-by_ratio / u}"


grade("14.E3", curvature, curvature_property, u=floats(0.3, 3))


# %%
def missing_friction(sigma):
    """The R1 strength that makes the logistic game of (14.12) return fastest, for sigma² < 2."""
    # Hint: R1 adds its gamma to the friction that the data bring. Lesson 12: critical damping.
    raise NotImplementedError


def friction_property(answer, sigma):
    slowest = lambda g: np.linalg.eigvals([[0, 0.5], [-0.5, -0.5 * sigma**2 - g]]).real.max()
    g = answer(sigma)
    others = [slowest(g + step) for step in (-0.05, -1e-3, 1e-3, 0.05)]
    assert slowest(g) < min(others), f"rate {slowest(g)}, but nearby {min(others)}"


grade("14.E4", missing_friction, friction_property, sigma=floats(0.1, 1.3))

# %% [markdown]
# ## What to read next
#
# - X. Mao et al., *Least Squares Generative Adversarial Networks* (2016, arXiv 1611.04076), section 3.
# - J. H. Lim, J. C. Ye, *Geometric GAN* (2017, arXiv 1705.02894): the hinge as a support vector machine.
# - T. Salimans et al., *Improved Techniques for Training GANs* (2016, arXiv 1606.03498), section 3.4: one-sided
#   smoothing.
# - V. Nagarajan, J. Z. Kolter, *Gradient descent GAN optimization is locally stable* (2017, arXiv 1706.04156): (14.13)
#   for networks.
# - M. Heusel et al., *GANs Trained by a Two Time-Scale Update Rule* (2017, arXiv 1706.08500).
# - At work: `minigan train lsgan`, and `minigan train toy --set loss=hinge`.
# - Next: lesson 15, distances that do not saturate at all.
