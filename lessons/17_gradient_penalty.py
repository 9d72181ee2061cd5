# %% [markdown]
# # 17. The gradient penalty, and derivatives of derivatives
#
# Lesson 16 held a critic to slope 1 by clipping, and got a V with one arm. The gradient penalty (Gulrajani et al. 2017)
# *asks* for slope 1, where it matters, and pays with a loss that contains a gradient. To train on it one differentiates
# a derivative. This lesson finds out what the penalised critic reports, to the last term, and what a double backward
# really computes.
#
# You need: lessons 15 and 16, the chain rule.
#
# **Predict first.** Data at 0, fakes at distance $\theta = 4$, penalty $\lambda\,(|f'| - 1)^2$ with the usual
# $\lambda = 10$. The best penalised critic has slope (a) a little below 1, (b) exactly 1, (c) above 1? By how much?

# %%
import math

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import norm

import minigan as mg
from minigan import losses, nn, ops, optim, penalties
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLACK, BLUE, GREEN, GREY, ORANGE
from minigan.lessons.strategies import floats
from minigan.theory import dynamics, transport

x = np.linspace(-5, 5, 201)
bump = lambda m, s: norm.pdf(x, m, s) / norm.pdf(x, m, s).sum()
p, q = 0.5 * bump(-2.0, 0.4) + 0.5 * bump(2.5, 0.4), bump(0.2, 0.4)  # as in lesson 16


def trained(one_sided, steps):
    """(network, its values on the grid) after steps of Adam on the penalised Wasserstein loss."""
    hidden = {"activation": "tanh", "init": "xavier"}
    network = nn.Sequential(
        nn.Dense(1, 32, **hidden), nn.Dense(32, 32, **hidden), nn.Dense(32, 1)
    ).astype(np.float64)
    network.initialize(mg.random.Source(0), "critic")
    adam, draw = optim.Adam(network, lr=5e-3, beta1=0.5), np.random.default_rng(0)
    for _ in range(steps):
        real, fake = (draw.choice(x, (64, 1), p=law) for law in (p, q))
        penalty = penalties.gradient_penalty(
            network, real, fake, uniform=draw.uniform(size=64), one_sided=one_sided
        )
        loss = network(fake).mean() - network(real).mean() + 10.0 * penalty
        adam.step(mg.grad(loss, list(adam.parameters.values())))
    with mg.no_grad():
        return network, network(x[:, None]).numpy()[:, 0]


network, learned = trained(False, sized(600, 250))
_, one_side = trained(True, sized(600, 250))
draw = np.random.default_rng(0)
best = transport.kantorovich_critic(p, q, x)

# %%
fig, ax = figure(width=6.0, height=3.0)
ax.fill_between(x, 20 * p, color=GREY, alpha=0.35, linewidth=0, label="data")
ax.fill_between(x, 20 * q, color=BLACK, alpha=0.25, linewidth=0, label="fakes")
middle = np.argmax(q)
ax.plot(x, best - best[middle], color=BLUE, linestyle="-", label="best 1-Lipschitz")
ax.plot(x, learned - learned[middle], color=ORANGE, linestyle="--", label="penalty, two-sided")
ax.plot(x, one_side - one_side[middle], color=GREEN, linestyle="-.", label="one-sided")
ax.set(xlabel="$x$", ylabel="critic", ylim=(-4.5, 7.5))
ax.legend(fontsize=8, loc="upper center", ncols=2)
show(fig, "critic", alt="The two-sided penalty learned a line of slope one; the one-sided a V, like the best.")  # fmt: skip

# %% [markdown]
# The two-sided penalty has slope 1 everywhere, and *the wrong sign* on the left. The one-sided one, which forbids only
# slopes above 1, found the V. Section 2 says why.
#
# ## 1. Slope 1, where?
#
# Where mass goes from $x$ to $y$, the best critic falls by the full distance, (15.9). It is 1-Lipschitz, so on the way it
# can neither hurry nor rest: on the segment it is a straight line,
#
# $$ f\left(x + t(y - x)\right) = f(x) - t\,\lVert x - y\rVert, \qquad 0 \le t \le 1, \tag{17.1} $$
#
# with slope exactly 1. Hence the penalty, on points $ux + (1 - u)y$ between a random real and a random fake
# ([`gradient_penalty`](../minigan/penalties.py#gradient_penalty)):
#
# $$ P = \mathbb{E}\left(\lVert\nabla D(u x + (1 - u) y)\rVert - 1\right)^2 . \tag{17.2} $$
#
# (Random pairs are not the optimal plan's pairs. The penalty asks for slope 1 in more places than it has a reason to.)

# %%
cloud, holes = draw.standard_normal((2, 6, 2))
both = np.vstack([cloud, holes])
way = np.linalg.norm(both[:, None] - both, axis=2)
data, fakes = np.repeat([1 / 6, 0], 6), np.repeat([0, 1 / 6], 6)
plan, _, (_, minus_f) = transport.discrete_transport(data, fakes, way)
extended = lambda at: (np.linalg.norm(at[:, None] - both, axis=2) - minus_f).min(axis=1)
routes, t = np.argwhere(plan > 1e-12), draw.uniform(size=(200, 1))
i, j = routes[draw.integers(len(routes), size=200)].T
between = both[i] + t * (both[j] - both[i])
check("17.1", "on a route the critic is a straight line", extended(between),
      extended(both[i]) - t[:, 0] * way[i, j], atol=1e-12)  # fmt: skip
w = np.array([[0.6], [1.1]])
by_engine = penalties.gradient_penalty(lambda z: z @ w, cloud, holes, uniform=t[:6, 0])
check("17.2", "a linear critic: (‖w‖ − 1)²", by_engine, (math.hypot(0.6, 1.1) - 1) ** 2, atol=1e-14)

# %% [markdown]
# ## 2. What the penalised critic reports
#
# A penalty is a price, not a law. Between one real and one fake at distance $\theta$ a critic of slope $k$ earns
# $k\theta - \lambda(k - 1)^2$. The derivative is 0 at
#
# $$ k = 1 + \frac{\theta}{2\lambda}, \qquad \text{and it reports}\quad \theta + \frac{\theta^2}{4\lambda} . \tag{17.3} $$
#
# **The answer:** (c), $k = 1.2$. But $(|k| - 1)^2$ has two wells. For $\theta < 2\lambda$ there is a second, wrong maximum,
#
# $$ k = -\left(1 - \frac{\theta}{2\lambda}\right),
# \qquad \text{which reports}\quad -\theta + \frac{\theta^2}{4\lambda} , \tag{17.4} $$
#
# and between them a barrier: turning an arm means passing slope 0. A critic starts nearly flat. There the penalty pulls
# with strength $2\lambda$ towards *either* side and the data only with $\theta$: the start decides, as in the picture
# (another start may come out right). The one-sided penalty charges nothing below 1, and has no such trap. On the line
# the same argument holds at each point. Let $r(x)$ be the density of the interpolated points. By parts the critic earns
# $\int f'(G - F) - \lambda r\,(|f'| - 1)^2\,dx$, and each $x$ chooses its own slope:
#
# $$ |f'| = 1 + \frac{|F - G|}{2\lambda r}, \qquad
# \max = W_1 + \int \frac{(F - G)^2}{4\lambda\,r}\,dx . \tag{17.5} $$
#
# The Wasserstein distance plus a weighted Cramér distance (lesson 15). As $\lambda$ grows the second part goes; so does
# the ease with which a critic moves.
#
# > **Aside: a penalty without the 1.** Article S2, section 2.2.2, adds $\lambda\lVert\nabla D\rVert^2$ and lets the
# > reader think of WGAN-GP. Then the critic earns $k\theta - \lambda k^2$, and
# >
# > $$ k = \frac{\theta}{2\lambda}, \qquad \text{which reports}\quad \frac{\theta^2}{4\lambda} : \tag{17.6} $$
# >
# > the square of the distance, 0.4 in place of 4 for $\theta = 4$. It is another method (near R1), with another aim.

# %%
for letter, lam in zip("ab", (10.0, 2.0), strict=True):
    earned = lambda k, lam=lam: k[0] * 4.0 - lam * (k[0] - 1) ** 2
    found = minimize(lambda k, earned=earned: -earned(k), [1.0], tol=1e-12)
    check(f"17.3{letter}", f"λ = {lam:g}: slope and report", [found.x[0], -found.fun],
          [1 + 4.0 / (2 * lam), 4.0 + 4.0**2 / (4 * lam)], atol=1e-6)  # fmt: skip
for letter, lam in zip("ab", (10.0, 5.0), strict=True):
    loss = lambda k, lam=lam: lam * (abs(k) - 1) ** 2 - k * 4.0
    wrong = minimize_scalar(loss, bounds=(-3, 0), method="bounded", options={"xatol": 1e-9})
    check(f"17.4{letter}", f"λ = {lam:g}: the wrong well", [wrong.x, -wrong.fun],
          [-(1 - 4 / (2 * lam)), -4 + 4**2 / (4 * lam)], atol=1e-6)  # fmt: skip
left = (x > -1.8) & (x < -0.3)  # the way from the left heap to the fakes: the best slope is -1
arms = [np.mean(np.gradient(values, x)[left]) for values in (learned, one_side)]
print(f"slope on the left: two-sided {arms[0]:.2f}, one-sided {arms[1]:.2f}")
check("17.4c", "two-sided: caught in the wrong well", arms[0], 0.5, atol=0, relation=">=")
check("17.4d", "one-sided: not", arms[1], -0.5, atol=0, relation="<=")
bare = minimize(lambda k: 10.0 * k[0] ** 2 - k[0] * 4.0, [1.0], tol=1e-12)
check("17.6", "no target: θ/2λ, θ²/4λ", [bare.x[0], -bare.fun], [4 / 20, 4**2 / 40], atol=1e-6,
      errata="S2.3")  # fmt: skip
spots = np.array([0.0, 0.7, 1.5, 2.6, 3.0])  # a small world: laws on five points
real_law, fake_law = np.array([0.4, 0.1, 0.1, 0.1, 0.3]), np.array([0.1, 0.2, 0.4, 0.2, 0.1])
cells, lag = np.diff(spots), np.cumsum(fake_law - real_law)[:-1]  # G − F in each cell
density = np.zeros(
    4
)  # of u x + (1 − u) y, for pairs that differ: each spreads evenly over its segment
for a in range(5):
    for b in range(5):
        low, high = min(a, b), max(a, b)
        if low < high:
            density[low:high] += real_law[a] * fake_law[b] / (spots[high] - spots[low])


def value(slopes, lam):
    """What a critic with these slopes in the four cells earns."""
    return cells @ (slopes * lag - lam * density * (np.abs(slopes) - 1) ** 2)


for letter, lam in zip("ab", (10.0, 1.0), strict=True):
    found = minimize(lambda s, lam=lam: -value(s, lam), np.sign(lag), tol=1e-12)
    check(f"17.5{letter}", f"λ = {lam:g}: the slopes", np.abs(found.x),
          1 + np.abs(lag) / (2 * lam * density), atol=1e-5)  # fmt: skip
    check(f"17.5{'cd'[letter == 'b']}", "and W1 + ∫ (F − G)²/4λr", -found.fun,
          transport.wasserstein_tables(real_law, fake_law, spots)
          + cells @ (lag**2 / (4 * lam * density)), atol=1e-9)  # fmt: skip

# %% [markdown]
# **When the fakes are right**, $F = G$ and a critic has nothing to say; it should be flat. The two-sided penalty then
# *charges* it, and the one-sided one, $\max(0, \lVert\nabla D\rVert - 1)^2$ (Petzka et al. 2017), and R1 do not:
#
# $$ P(\text{flat}) = 1, \qquad P_{\text{one-sided}}(\text{flat}) = 0, \qquad R_1(\text{flat}) = 0 . \tag{17.7} $$
#
# That is the kink of (12.27), and why WGAN-GP circles at the end where R1 comes to rest.
#
# ## 3. A derivative of a derivative
#
# For a critic $D(x) = \sum_i v_i\tanh(u_i x)$ write $T_i = \tanh(u_i x)$. The slope and *its* derivatives are
#
# $$ D' = \sum_i v_i u_i (1 - T_i^2), \qquad \frac{\partial D'}{\partial v_i} = u_i(1 - T_i^2), \qquad
# \frac{\partial D'}{\partial u_i} = v_i(1 - T_i^2)(1 - 2u_i x T_i) . \tag{17.8} $$
#
# No one wants to do this for ten layers. An engine that records its own backward pass gets it from the chain rule. What does
# it compute? For any network, with $g = \nabla_x D(x)$ held still,
#
# $$ \nabla_w\,\tfrac12\lVert\nabla_x D(x)\rVert^2 =
# \left.\frac{d}{d\varepsilon}\,\nabla_w D(x + \varepsilon g)\right|_{\varepsilon = 0} ,
# \tag{17.9} $$
#
# since both are $\sum_k g_k\,\partial_w\partial_{x_k} D$: mixed second derivatives commute. So a double backward asks: *how
# would the weights' gradient change if the input moved uphill?* Two ordinary backward passes at $x \pm \varepsilon g$
# give the same, to the error of a difference.

# %%
flat = lambda z: 0.0 * ops.sum(z, axis=1)
with_target = lambda one_sided: penalties.gradient_penalty(
    flat, cloud, holes, uniform=0.5, one_sided=one_sided
)
check("17.7", "a flat critic: two-sided, one-sided, R1",
      [with_target(False).item(), with_target(True).item(), penalties.r1(flat, cloud, gamma=2.0).item()],
      [1, 0, 0], atol=1e-15)  # fmt: skip
u, v = (mg.tensor(draw.standard_normal(5), requires_grad=True) for _ in range(2))
at = 0.7
slope = penalties.input_gradient(lambda z: ops.sum(v * ops.tanh(z * u), axis=1), np.array([[at]]))
T = np.tanh(u.data * at)
check("17.8", "the slope of a sum of tanh", slope, v.data @ (u.data * (1 - T**2)), atol=1e-14)
of_v, of_u = mg.grad(slope.sum(), [v, u])
check("17.8a", "its derivative in v", of_v, u.data * (1 - T**2), atol=1e-14)
check("17.8b", "its derivative in u", of_u, v.data * (1 - T**2) * (1 - 2 * u.data * at * T),
      atol=1e-14)  # fmt: skip

# %%
names = list(network.parameters().values())
spot = np.array([[0.4]])
g = penalties.input_gradient(network, spot).data
twice = mg.grad(penalties.r1(network, spot, gamma=1.0), names)
step = 1e-4
ahead, back = (mg.grad(network(spot + s * step * g).sum(), names) for s in (1, -1))
flatten = lambda parts: np.concatenate([np.ravel(part.data) for part in parts])
check("17.9", "double backward = how ∇_w D changes uphill", flatten(twice),
      (flatten(ahead) - flatten(back)) / (2 * step), atol=1e-6)  # fmt: skip

# %% [markdown]
# **ReLU networks** are straight lines in pieces, $D'' = 0$. Is there anything left to differentiate? In the input, no. In
# the weights, yes: $D' = \sum_i v_i u_i\,1[u_i x + b_i > 0]$ contains $u$ and $v$ as factors. But the biases only say
# *where* the pieces meet:
#
# $$ \frac{\partial D'}{\partial b_i} = 0 \quad\text{almost everywhere.} \tag{17.10} $$
#
# The penalty can turn a ReLU critic's pieces, and cannot move their kinks. One more trap: the penalty needs the gradient of
# *each* score in *its own* input. Batch normalisation mixes the inputs of a batch, and then the sum's gradient is
# another thing; critics with a penalty use layer normalisation or none.

# %%
b = mg.tensor(draw.standard_normal(5), requires_grad=True)
points = draw.standard_normal((9, 1))
steep = penalties.gradient_norm(lambda z: ops.sum(v * ops.relu(z * u + b), axis=1), points)
to_u, to_b = mg.grad(ops.sum(ops.square(steep - 1.0)), [u, b])
open_ = points * u.data + b.data > 0
slopes = open_ @ (u.data * v.data)
by_hand = (2 * (np.abs(slopes) - 1) * np.sign(slopes)) @ (open_ * v.data)
check("17.10", "a ReLU critic: the penalty moves its slopes, and no bias", [to_u, to_b],
      [by_hand, np.zeros(5)], atol=1e-12)  # fmt: skip

# %% [markdown]
# ## 4. When does a game need a penalty at all?
#
# Nagarajan and Kolter (2017) answer near the solution. Let $D_w$ be 0 there, with gradient $\varphi(x)$ in $w$. For the
# logistic losses the players move, to first order, by
#
# $$ J = \begin{pmatrix} 0 & K \\ -K^\top & -Q \end{pmatrix}, \qquad
# K = \tfrac12\,\mathbb{E}\,\partial_\theta\varphi(G_\theta(z)), \qquad Q = \tfrac12\,\mathbb{E}\,\varphi\varphi^\top .
# \tag{17.11} $$
#
# $K$ turns, $Q$ brakes: for an eigenvector $(a, b)$ of length 1 the real part of $\lambda$ is $-\bar b^\top Q b \le 0$. It
# is 0 only for $b = 0$, and then the second row says $K^\top a = 0$. So if $Q$ is positive definite and $K$ has full row
# rank, the game is *stable with no penalty*. $Q$ is the spread of the data as $D$ sees them. In the Dirac-GAN all data lie
# at 0 and $Q = 0$; that is why it circles. For data uniform on $[-1, 1]$, $G(z) = \theta z$ and $D(x) = wx^2$, at $\theta = 1$,
#
# $$ K = \tfrac13,\; Q = \tfrac1{10}: \quad \lambda = -\tfrac1{20} \pm \sqrt{\tfrac1{400} - \tfrac19}, \qquad
# \text{Wasserstein: } \lambda = \pm\tfrac23 i, \quad\text{with R1: } -\tfrac{2\gamma}3 \pm \tfrac23\sqrt{\gamma^2 - 1} .
# \tag{17.12} $$
#
# A linear loss has no curvature, $Q = 0$ whatever the data. A Wasserstein critic *needs* its penalty. **Two time scales**
# (Heusel et al. 2017): let $D$ learn $\kappa$ times as fast. Then
#
# $$ \lambda = -\tfrac{\kappa Q}2 \pm \sqrt{\tfrac{\kappa^2Q^2}4 - \kappa K^2} \;\to\; -\frac{K^2}Q
# \quad\text{(the slower one)}, \tag{17.13} $$
#
# fastest at $\kappa = 4K^2/Q^2 = 44$: a fast critic brakes. But where $Q = 0$ it gives $\pm i\sqrt\kappa K$, faster circles.
# Speed helps a critic that has an answer to settle on.

# %%
z = (np.arange(4000) + 0.5) / 2000 - 1  # even on [-1, 1]


def small_game(pair, kappa=1.0, gamma=0.0):
    """The losses of theta and w of (17.12)."""
    scores = lambda theta, w: w * ops.square(theta * z)

    def loss_d(theta, w):
        of_penalty = gamma / 2 * ops.mean(ops.square(2 * w * z))
        return kappa * (pair.discriminator(scores(1.0, w), scores(theta, w)) + of_penalty)

    return [lambda theta, w: pair.generator(scores(theta, w)), loss_d]


at_rest = lambda *args, **options: dynamics.game_jacobian(small_game(*args, **options), (1.0, 0.0))
K, Q = np.mean(2 * z * z) / 2, np.mean(z**4) / 2
check("17.11", "J from K and Q", at_rest(losses.non_saturating), [[0, K], [-K, -Q]], atol=1e-12)
B, C = draw.standard_normal((3, 5)), draw.standard_normal((5, 9))
blocks = np.block([[np.zeros((3, 3)), B], [-B.T, -C @ C.T / 9]])
check(
    "17.11a", "a random game: stable", dynamics.eigenvalues(blocks).real, 0, atol=0, relation="<="
)
vectors = np.linalg.eig(blocks)
parts = np.linalg.norm(C.T @ vectors[1][3:], axis=0) ** 2 / 9
check("17.11b", "Re λ = −b*Qb", vectors[0].real, -parts, atol=1e-12)
gamma = 0.3
found = [np.sort_complex(dynamics.eigenvalues(J)) for J in (
    at_rest(losses.non_saturating), at_rest(losses.wasserstein), at_rest(losses.wasserstein, gamma=gamma))]  # fmt: skip
roots = [(-1 / 20, 1 / 400 - 1 / 9), (0, -4 / 9), (-2 * gamma / 3, 4 / 9 * (gamma**2 - 1))]
check("17.12", "logistic, Wasserstein, Wasserstein with R1", found,
      [[a - 1j * math.sqrt(-b), a + 1j * math.sqrt(-b)] for a, b in roots], atol=1e-6)  # fmt: skip
kappas = np.array([1.0, 10.0, 40.0, 44.0, 50.0, 400.0])
slowest = np.array(
    [dynamics.eigenvalues(at_rest(losses.non_saturating, kappa=k)).real.max() for k in kappas]
)
print("the slower rate for κ = 1, 10, 40, 44, 50, 400:", np.round(slowest, 3))
root = np.sqrt((kappas**2 * Q**2 / 4 - kappas * K**2).astype(complex))
check("17.13", "D faster by κ", slowest, (-kappas * Q / 2 + root).real, atol=1e-6)
limit = dynamics.eigenvalues(at_rest(losses.non_saturating, kappa=1e5)).real.max()
check("17.13a", "in the limit", limit, -(K**2) / Q, atol=0, rtol=1e-3)
circling = dynamics.eigenvalues(at_rest(losses.wasserstein, kappa=9.0))
check("17.13b", "Wasserstein: faster circles", np.sort_complex(circling), [-2j, 2j], atol=1e-6)

# %% [markdown]
# ## Exercises


# %%
def best_slope(theta, strength, target):
    """The slope k that earns most: k theta − strength (k − target)²."""
    # Hint: differentiate in k.
    raise NotImplementedError


def slope_property(answer, theta, strength, target):
    earned = lambda k: k * theta - strength * (k - target) ** 2
    k = answer(theta, strength, target)
    better = [d for d in (-0.1, -1e-3, 1e-3, 0.1) if earned(k + d) > earned(k) + 1e-12]
    assert not better, f"{k} earns {earned(k)}, but at a distance of {better} there is more"


grade("17.E1", best_slope, slope_property, theta=floats(0.1, 5), strength=floats(0.5, 20),
      target=floats(0, 2))  # fmt: skip


# %%
def linear_penalty_gradient(w):
    """The gradient in w of (‖w‖ − 1)², the penalty of the linear critic ⟨w, x⟩."""
    # Hint: the gradient of ‖w‖ is the unit vector along w.
    raise NotImplementedError


def linear_property(answer, a, b):
    w, h = np.array([a, b]), 1e-5
    penalty = lambda w: (np.linalg.norm(w) - 1) ** 2
    want = [(penalty(w + h * e) - penalty(w - h * e)) / (2 * h) for e in np.eye(2)]
    assert np.allclose(answer(w), want, atol=1e-7), f"expected {want}"


grade("17.E2", linear_penalty_gradient, linear_property, a=floats(0.2, 3), b=floats(-3, 3))


# %%
def square_critic_r1_gradient(w, x):
    """The gradient in the number w of ½ mean (D'(x))² for the critic D(x) = w² x³, x of shape (N,)."""
    # Hint: D' first, then its square, then the derivative in w.
    raise NotImplementedError


def square_property(answer, w, x):
    weight, points = mg.tensor(np.array(w), requires_grad=True), np.array([[x], [0.5 * x], [1.0]])
    penalty = penalties.r1(lambda z: ops.square(weight) * z * z * z, points, gamma=1.0)
    want = mg.grad(penalty, weight).item()
    got = answer(w, points[:, 0])
    assert abs(got - want) < 1e-8 * (1 + abs(want)), f"expected {want}"


grade("17.E3", square_critic_r1_gradient, square_property, w=floats(0.2, 2), x=floats(-2, 2))

# %% [markdown]
# ## What to read next
#
# - I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville, *Improved Training of Wasserstein GANs* (2017, arXiv
#   1704.00028).
# - H. Petzka, A. Fischer, D. Lukovnikov, *On the regularization of Wasserstein GANs* (2017, arXiv 1709.08894): one side,
#   and what random pairs do.
# - N. Kodali, J. Abernethy, J. Hays, Z. Kira, *On Convergence and Stability of GANs* (2017, arXiv 1705.07215): DRAGAN.
# - V. Nagarajan, J. Z. Kolter, *Gradient descent GAN optimization is locally stable* (2017, arXiv 1706.04156); M. Heusel et
#   al., *GANs Trained by a Two Time-Scale Update Rule* (2017, arXiv 1706.08500): section 4.
# - B. Pearlmutter, *Fast Exact Multiplication by the Hessian* (1994): (17.9) before GANs.
# - At work: `minigan train wgan_gp --data ring8`, and `minigan train dragan`.
