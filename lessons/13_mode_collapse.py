# %% [markdown]
# # 13. Mode collapse
#
# A generator *collapses* when it makes a few kinds of samples and forgets the others. Often it then moves on, to other
# kinds, and forgets the first. This lesson takes a GAN whose motion can be solved: eight modes, a generator that can
# make any law on them, a critic with one number for each. There is no data shortage, no noise, no local minimum, and
# it collapses all the same. We find the law that says how deep, and the two cures that follow from it.
#
# You need: lesson 11 (fields, eigenvalues), the Kullback-Leibler divergence, softmax.
#
# **Predict first.** The generator starts *perfect*, all shares $\frac18$. Only the critic is a little wrong. Let both
# move in continuous time, for ever. Will the generator (a) stay near perfect, (b) return to it after a while, (c) lose
# modes and find them again without end? The picture below answers.

# %%
import functools
import itertools
import math

import numpy as np
from hypothesis import strategies as st

import minigan as mg
from minigan import losses, nn, ops, optim
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.strategies import arrays, floats
from minigan.theory import divergences, dynamics


def softmax(w):
    e = np.exp(w - w.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def motion(w, f, p, kappa, friction=0.0, time=40.0, step=0.05):
    """The path of generator logits w and critic values f, by classical Runge-Kutta steps: (w, f)."""
    n, path = len(w), [np.concatenate([w, f])]

    def field(s):
        return np.concatenate([s[n:], kappa * (p - softmax(s[:n])) - friction * s[n:]])

    for _ in range(round(time / step)):
        s = path[-1]
        a = field(s)
        b = field(s + step / 2 * a)
        c = field(s + step / 2 * b)
        path.append(s + step / 6 * (a + 2 * b + 2 * c + field(s + step * c)))
    return np.split(np.array(path), 2, axis=1)


even = np.full(8, 1 / 8)
wrong = 0.9 * np.random.default_rng(3).standard_normal(8)
wrong -= wrong.mean()
free_w, free_f = motion(np.zeros(8), wrong, even, kappa=2.0)
damped_w, damped_f = motion(np.zeros(8), wrong, even, kappa=2.0, friction=0.5)

# %%
fig, axes = figure(1, 2, width=7.6, height=2.7, sharey=True)
for ax, w, title in zip(axes, (free_w, damped_w), ("free", "critic with friction"), strict=True):
    image = ax.imshow(softmax(w).T, aspect="auto", origin="lower", cmap="cividis", vmin=0, vmax=0.8,
                      extent=(0, 40, 0.5, 8.5), interpolation="nearest")  # fmt: skip
    ax.set(title=title, xlabel="time", yticks=range(1, 9))
    ax.grid(False)
axes[0].set_ylabel("mode")
fig.colorbar(image, ax=axes, label="share $q_i$ of the fakes", extend="max")
show(fig, "shares",
     alt="Shares of eight modes against time: free, bright patches jump about; with friction all even out.")  # fmt: skip

# %% [markdown]
# The answer is (c), on the left. On the right, a critic that forgets a little.
#
# ## 1. A ball in a bowl
#
# The data have shares $p_i$, the fakes $q = \operatorname{softmax}(w)$. The critic gives each mode a score $f_i$. The
# generator raises $\mathbb{E}_q f$; the critic raises $\mathbb{E}_p f - \mathbb{E}_q f$, at a speed $\kappa$:
#
# $$ \dot w_i = f_i, \qquad \dot f_i = \kappa\,(p_i - q_i) . \tag{13.1} $$
#
# The first equation is the *natural* gradient: a step is measured by what it does to $q$, not to $w$. On the shares it
# reads
#
# $$ \dot q_i = q_i\,(f_i - \mathbb{E}_q f) : \tag{13.2} $$
#
# a mode grows if it scores above average, as a population does by its fitness. The ordinary gradient in $w$ is
# $q_i(f_i - \mathbb{E}_q f)$ too, as a velocity of $w_i$; it climbs the same way, more slowly for rare modes.

# %%
game = [lambda w, f: -ops.sum(w * f), lambda w, f: 2.0 * ops.sum(f * (ops.softmax(w) - even))]
random = np.random.default_rng(0)
w, f = random.standard_normal((2, 8))
q = softmax(w)
w_dot, f_dot = dynamics.vector_field(game, (w, f))
check("13.1", "w' = f, f' = κ (p − q)", np.stack([w_dot, f_dot]),
      np.stack([f, 2.0 * (even - q)]), atol=1e-14)  # fmt: skip
h = 1e-5
moved = (softmax(w + h * w_dot) - softmax(w - h * w_dot)) / (2 * h)
check("13.2", "q' = q (f − E_q f)", moved, q * (f - q @ f), atol=1e-9)
fisher = np.diag(q) - np.outer(q, q)  # the metric of the natural gradient
by_engine = mg.grad(ops.sum(ops.softmax(x := mg.tensor(w, requires_grad=True)) * f), x).data
check("13.2a", "the gradient of E_q f in w is the metric times f", fisher @ w_dot, by_engine,
      atol=1e-14)  # fmt: skip

# %% [markdown]
# Differentiate $\dot w = f$ once more. Then the critic is gone:
#
# $$ \ddot w = -\kappa\,\nabla\Phi(w), \qquad \Phi(w) = \log\sum_i e^{w_i} - \langle p, w\rangle,
# \qquad \nabla\Phi = q - p . \tag{13.3} $$
#
# This is Newton's law: a ball with position $w$ rolls in the landscape $\Phi$, and the critic's scores are its
# velocity. $\Phi$ is convex; the bottom is where $q = p$; and the height above the bottom is an old friend,
#
# $$ \Phi(w) - \min\Phi = \operatorname{KL}(p \,\Vert\, q) . \tag{13.4} $$
#
# (Insert $\log q_i = w_i - \log\sum_j e^{w_j}$.) Lesson 11 warned that a GAN is no ball that slides into a valley.
# Here it is a ball *without friction*. It reaches the bottom, at full speed.


# %%
def bowl(w, p):
    """The landscape of (13.3)."""
    return np.log(np.exp(w).sum(axis=-1)) - w @ p


p = softmax(random.standard_normal(8))
slope = np.array([(bowl(w + h * e, p) - bowl(w - h * e, p)) / (2 * h) for e in np.eye(8)])
check("13.3", "∇Φ = q − p", slope, q - p, atol=1e-9)
acceleration = (free_f[2:] - free_f[:-2]) / 0.1
push = -2.0 * (softmax(free_w[1:-1]) - even)
check("13.3a", "w'' = −κ ∇Φ along the path of the picture", acceleration, push, atol=2e-3)
check("13.4", "Φ(w) − min Φ = KL(p ‖ q)", bowl(w, p) - bowl(np.log(p), p), divergences.kl(p, q),
      atol=1e-14)  # fmt: skip

# %% [markdown]
# ## 2. How deep is a collapse?
#
# Without friction, height and kinetic energy add up to a constant. Multiply (13.3) by $\dot w = f$:
#
# $$ H = \operatorname{KL}(p \,\Vert\, q) + \frac{1}{2\kappa}\lVert f \rVert^2 \quad\text{never changes.} \tag{13.5} $$
#
# The *error of the critic is the fuel of the collapse*. From a perfect generator and a critic $f_0$,
#
# $$ \operatorname{KL}(p \,\Vert\, q(t)) \le H = \frac{\lVert f_0\rVert^2}{2\kappa} \quad\text{for all } t, \tag{13.6} $$
#
# so a critic that learns $\kappa$ times as fast allows $1/\kappa$ of the depth. With two even modes all of $H$ does
# become height. Then $\operatorname{KL} = -\frac12\log 4q(1 - q)$, and the rarer mode sinks to
#
# $$ q_{\min} = \tfrac12\left(1 - \sqrt{1 - e^{-2H}}\right) \approx \tfrac14 e^{-2H} . \tag{13.7} $$
#
# For $H = 2$ one sample in 217 is left of a mode that should be every other one. A batch of 64 will not show it.


# %%
def energy(w, f, p, kappa):
    """H of (13.5) along a path."""
    return divergences.kl(p, softmax(w)) + np.sum(f**2, axis=-1) / (2 * kappa)


check("13.5", "KL(p ‖ q) + ‖f‖²/2κ is conserved", energy(free_w, free_f, even, 2.0),
      np.sum(wrong**2) / 4, atol=1e-6)  # fmt: skip
fall = dynamics.rate_of_change(lambda w, f: divergences.kl(even, ops.softmax(w)), game, (w, f))
gain = dynamics.rate_of_change(lambda w, f: ops.sum(f * f) / (2 * 2.0), game, (w, f))
check("13.5a", "the height falls as fast as the other part grows", fall, -gain, atol=1e-13)
heights = divergences.kl(even, softmax(free_w))
print(f"H = {np.sum(wrong**2) / 4:.3f}, deepest collapse of the picture {heights.max():.3f}")
check("13.6", "KL(p ‖ q) ≤ ‖f₀‖²/2κ", heights, np.sum(wrong**2) / (2 * 2.0), atol=1e-9,
      relation="<=")  # fmt: skip

# %%
for letter, depth in zip("abc", (0.5, 1.0, 2.0), strict=True):
    push = math.sqrt(depth)  # κ = 1 and f = ±push: H = push²
    path, _ = motion(np.zeros(2), np.array([push, -push]), np.full(2, 0.5), 1.0, time=6, step=0.01)
    check(f"13.7{letter}", f"two modes, H = {depth}: the rarer one falls to", softmax(path).min(),
          (1 - math.sqrt(1 - math.exp(-2 * depth))) / 2, atol=0, rtol=1e-3)  # fmt: skip

# %% [markdown]
# And how fast? Near $q = p = \frac1n$ a small error of the shares turns with
#
# $$ \lambda = \pm i\sqrt{\kappa/n} \quad (n - 1 \text{ times}) : \tag{13.8} $$
#
# from (13.2), $\dot q_i \approx \frac1n f_i$, and $\ddot q_i \approx -\frac\kappa n (q_i - p_i)$. The more modes, the
# slower they come and go. (Adding a constant to $w$ or to $f$ changes nothing; it gives two eigenvalues 0.)
#
# > **Aside: is it a lack of capacity?** Article S4, section 9.3, hopes to cure collapse by a generator with more
# > capacity, or with other noise. Ours can make any law at all. Give it more to choose from: split each of two modes
# > into $m$ outcomes, with the same scores $\pm s$. Then $\lVert f_0\rVert^2 = 2ms^2$, and the depth is
# >
# > $$ \max_t \operatorname{KL}(p \,\Vert\, q(t)) = \frac{m s^2}{\kappa} . \tag{13.9} $$
# >
# > It grows with $m$: the critic has more to learn, and its error lives longer.

# %%
for letter, n in zip("ab", (3, 8), strict=True):
    of_n = [
        lambda w, f: -ops.sum(w * f),
        lambda w, f, n=n: 2.0 * ops.sum(f * (ops.softmax(w) - 1 / n)),
    ]
    turning = dynamics.eigenvalues(dynamics.game_jacobian(of_n, (np.zeros(n), np.zeros(n))))
    expected = np.repeat([1, 0, -1], (n - 1, 2, n - 1)) * math.sqrt(2.0 / n)
    check(f"13.8{letter}", f"{n} modes: λ = ±i√(κ/n)", np.sort(turning.imag)[::-1], expected,
          atol=1e-6)  # fmt: skip
for letter, m in zip("ab", (1, 4), strict=True):
    path, _ = motion(
        np.zeros(2 * m), np.repeat([0.6, -0.6], m), np.full(2 * m, 0.5 / m), 1.0, time=10, step=0.01
    )
    deepest = divergences.kl(np.full(2 * m, 0.5 / m), softmax(path)).max()
    check(f"13.9{letter}", f"{m} outcomes a mode: the depth is m s²/κ", deepest, m * 0.6**2 / 1.0,
          atol=0, rtol=1e-3, errata="S4.9")  # fmt: skip

# %% [markdown]
# ## 3. Steps: at once it gets worse, in turn it stays
#
# Take steps of size $h$. Let $q$ be the shares before. If both players move at once, the kinetic energy changes by
# $h\langle f, p - q\rangle + \frac12 h^2\kappa\lVert p - q\rVert^2$, and the height by at least
# $h\langle f, q - p\rangle$, as $\Phi$ is convex. So in every single step
#
# $$ H_{t+1} - H_t \ge \tfrac12\,h^2\kappa\,\lVert p - q\rVert^2 : \tag{13.10} $$
#
# the collapses deepen. If the critic moves first and the generator sees it, the same equations are the *symplectic*
# Euler method, with which astronomers follow planets. Its energy errs but does not drift:
#
# $$ |H_t - H_0| \le 0.05\,H_0 \quad\text{over 4,000 steps with } h = 0.1 . \tag{13.11} $$


# %%
def stepped(rule, steps, step, order=None):
    """(w, f) along a rule of lesson 11, from the picture's start."""
    options = {} if order is None else {"order": order}
    path = dynamics.iterate(rule, game, (np.zeros(8), wrong), steps=steps, step=step, **options)
    return np.split(path, 2, axis=1)


w_once, f_once = stepped(dynamics.simultaneous, sized(600, 200), 0.1)
gains = np.diff(energy(w_once, f_once, even, 2.0))
bound = 0.5 * 0.1**2 * 2.0 * np.sum((even - softmax(w_once[:-1])) ** 2, axis=1)
check("13.10", "at once, each step adds at least h²κ‖p−q‖²/2", gains, bound, atol=1e-12,
      relation=">=")  # fmt: skip
w_turn, f_turn = stepped(dynamics.alternating, 100, 0.1, order=(1, 0))
w, f = np.zeros(8), wrong  # the same by hand, to go far
found = []
for _ in range(4_000):
    f = f + 0.1 * 2.0 * (even - softmax(w))
    w = w + 0.1 * f
    found.append(np.concatenate([w, f]))
found = np.array(found)
check("13.11", "in turn by theory and by hand", np.hstack([w_turn, f_turn])[1:], found[:100],
      atol=1e-12)  # fmt: skip
drift = energy(found[:, :8], found[:, 8:], even, 2.0) / (np.sum(wrong**2) / (2 * 2.0)) - 1
check("13.11a", "in turn, H stays within 5 %", abs(drift), 0.05, atol=0, relation="<=")

# %% [markdown]
# ## 4. Two cures: friction, and a faster critic
#
# Let the critic forget: add $\frac\gamma2\lVert f\rVert^2$ to its loss, $\dot f = \kappa(p - q) - \gamma f$. (On a
# table it is what R1 is on points: it pulls the critic to be flat.) Now energy is lost,
#
# $$ \dot H = -\frac\gamma\kappa\,\lVert f\rVert^2 \le 0, \tag{13.12} $$
#
# and the ball comes to rest, where $f = 0$ and hence $q = p$. Near the bottom each pair of (13.8) becomes
#
# $$ \lambda = -\frac\gamma2 \pm \sqrt{\frac{\gamma^2}{4} - \frac\kappa n} , \tag{13.13} $$
#
# lesson 12's door closer, fastest at $\gamma = 2\sqrt{\kappa/n}$: many modes need *less* friction. And if the critic is
# much faster than the generator, $\gamma^2 \gg \kappa/n$, it is always at its best reply $f = \frac\kappa\gamma(p - q)$.
# Then nothing turns, and the generator slides down a divergence:
#
# $$ \dot w = \frac\kappa\gamma\,(p - q) = -\frac\kappa\gamma\,\nabla_w \operatorname{KL}(p \,\Vert\, q) . \tag{13.14} $$
#
# That is what *two time scales* are for (Heusel et al. 2017), and what "train $D$ to optimality" buys.

# %%
damped = [game[0], lambda w, f: game[1](w, f) + 0.5 / 2 * ops.sum(f * f)]
w, f = random.standard_normal((2, 8))
rate = dynamics.rate_of_change(
    lambda w, f: divergences.kl(even, ops.softmax(w)) + ops.sum(f * f) / (2 * 2.0), damped, (w, f)
)
check("13.12", "H' = −γ/κ ‖f‖²", rate, -0.5 / 2.0 * np.sum(f**2), atol=1e-13)
check("13.12a", "the right picture ends even", softmax(damped_w[-1]), even, atol=5e-3)
at_rest = dynamics.game_jacobian(damped, (np.zeros(8), np.zeros(8)))
root = np.sqrt(complex(0.5**2 / 4 - 2.0 / 8))
pairs = [v for v in dynamics.eigenvalues(at_rest) if abs(v.imag) > 1e-3]
expected = np.repeat([-0.5 / 2 + root, -0.5 / 2 - root], 7)
check("13.13", "λ = −γ/2 ± √(γ²/4 − κ/n), 7 pairs", pairs, expected, atol=1e-7)

# %%
kappa, gamma = 50.0, 100.0
fast_w, fast_f = motion(w, kappa / gamma * (even - softmax(w)), even, kappa, gamma, 3.0, 0.01)
rows = fast_w[::30]
slopes = [
    mg.grad(divergences.kl(even, ops.softmax(x := mg.tensor(row, requires_grad=True))), x).data
    for row in rows
]
check("13.14", "a fast critic: w' is −κ/γ times the slope of KL", fast_f[::30],
      -kappa / gamma * np.array(slopes), atol=2e-3)  # fmt: skip

# %% [markdown]
# ## 5. Does a network do this?
#
# Eight heaps on a circle, two small networks with the non-saturating loss and no penalty. We change one number, the
# critic's learning rate, and count the fakes near each heap ([`ring8`](../minigan/data/toys.py#ring8)). The reverse
# divergence from even shares is what PacGAN's authors report:
#
# $$ \operatorname{KL}(q \,\Vert\, \tfrac1n) = \log n - H(q) . \tag{13.15} $$
#
# Our law says: slow critic, deep collapse.

# %%
ring = mg.data.load("ring8", n=10_000, sigma=0.1)
fixed = mg.random.normal((500, 2), seed=9, stream="look")


def perceptron(outputs):
    hidden = {"activation": "leaky_relu", "init": "he"}
    return nn.Sequential(
        nn.Dense(2, 64, **hidden), nn.Dense(64, 64, **hidden), nn.Dense(64, outputs)
    )


def train(rate, steps, every=10, seed=0):
    """(shares of the eight heaps every few steps, the last fakes) with this learning rate of D."""
    source, pair = mg.random.Source(seed), losses.non_saturating
    G, D = perceptron(2).initialize(source, "G"), perceptron(1).initialize(source, "D")
    fakes = lambda x: G(source.normal((len(x), 2), stream="z"))
    adam = lambda network, lr: optim.Adam(network, lr=lr, beta1=0.5, beta2=0.99)
    players = [
        mg.Player("D", lambda x: pair.discriminator(D(x), D(fakes(x))), adam(D, rate)),
        mg.Player("G", lambda x: pair.generator(D(fakes(x))), adam(G, 1e-3)),
    ]
    engine, shares = mg.Game(players, random=source, replay=True), []
    loader = mg.data.Loader(ring, batch_size=128, seed=seed)
    for t in range(steps):
        engine.step(loader.batch(t))
        if t % every == 0:
            with mg.no_grad():
                x = G(fixed).numpy()
            nearest = np.linalg.norm(x[:, None] - ring.modes, axis=2).argmin(axis=1)
            shares.append(np.bincount(nearest, minlength=8) / len(x))
    return np.array(shares), x


runs = {rate: train(rate, sized(1500, 600)) for rate in (1e-4, 4e-3)}

# %%
late = {rate: shares[len(shares) // 2 :] for rate, (shares, _) in runs.items()}
reverse = {rate: divergences.kl(rows, even) for rate, rows in late.items()}
by_entropy = math.log(8) - divergences.entropy(late[1e-4])
check("13.15", "KL(q ‖ 1/n) = log n − H(q)", reverse[1e-4], by_entropy, atol=1e-13)
print("modes held, at least:", {rate: int((rows > 0.02).sum(axis=1).min()) for rate, rows in late.items()})  # fmt: skip
check("13.15a", "slow critic: on average far from even", reverse[1e-4].mean(), 0.3, atol=0,
      relation=">=")  # fmt: skip
check("13.15b", "fast critic: nearly even", reverse[4e-3].mean(), 0.1, atol=0, relation="<=")

# %%
fig, axes = figure(1, 2, width=7.6, height=2.7, sharey=True)
for ax, (rate, (shares, _)) in zip(axes, runs.items(), strict=True):
    image = ax.imshow(shares.T, aspect="auto", origin="lower", cmap="cividis", vmin=0, vmax=0.8,
                      extent=(0, 10 * len(shares), 0.5, 8.5), interpolation="nearest")  # fmt: skip
    ax.set(title=f"critic's learning rate {rate:g}", xlabel="step", yticks=range(1, 9))
    ax.grid(False)
axes[0].set_ylabel("heap")
fig.colorbar(image, ax=axes, label="share of the fakes", extend="max")
show(fig, "networks",
     alt="Shares of eight heaps against steps: a slow critic lets the mass wander, a fast one keeps it even.")  # fmt: skip

# %% [markdown]
# The same picture as on the first screen, and the same generator in both halves. (With seeds 1 and 2 it is the same.)
# A collapsed run is a reason to speed up or to damp the critic, before one touches the generator.
#
# ## 6. Make it visible: packing
#
# The critic judges one sample at a time, and a single good sample betrays nothing. Let it judge $m$ at once (PacGAN, Lin
# et al. 2018): then it compares $p^m$ with $q^m$. Compare two generators at the same total variation $\delta$ from even
# shares: one has *lost* a share $\delta$ of the modes, the other has half the modes at $\frac{1 + 2\delta}n$ and half
# at $\frac{1 - 2\delta}n$. For pairs
#
# $$ \mathrm{TV}(p^2, q^2) = 2\delta - \delta^2 \;\text{(lost)}, \qquad
# \mathrm{TV}(p^2, q^2) = \delta + \delta^2 \;\text{(uneven)} . \tag{13.16} $$
#
# Packing punishes loss much harder than unevenness, for small $\delta$ twice as hard. In general, of modes lost
#
# $$ \mathrm{TV}(p^m, q^m) = 1 - (1 - \delta)^m . \tag{13.17} $$
#
# (The best set is "no sample of the $m$ lies on a lost mode": $q^m$ gives it 1, $p^m$ gives it $(1-\delta)^m$.)


# %%
def packed(p, q, m):
    """TV of p^m and q^m, from the tables of all n^m outcomes."""
    of_pack = lambda law: functools.reduce(np.multiply.outer, [law] * m).ravel()
    return divergences.total_variation(of_pack(p), of_pack(q))


flat = np.full(10, 0.1)
lost = np.repeat([1 / 8, 0], (8, 2))  # delta = 1/5
uneven = np.repeat([1.4 / 10, 0.6 / 10], (5, 5))
d = 0.2
found = [[packed(flat, q, m) for m in (1, 2)] for q in (lost, uneven)]
check("13.16", "pairs: 2δ − δ² and δ + δ²", found, [[d, 2 * d - d * d], [d, d + d * d]], atol=1e-14)
check("13.17", "m samples: 1 − (1 − δ)^m", [packed(flat, lost, m) for m in (1, 2, 3, 4)],
      1 - (1 - d) ** np.arange(1, 5), atol=1e-13)  # fmt: skip

# %% [markdown]
# ## 7. What no finite critic can see
#
# Suppose the generator knows only $m$ training points and repeats them. Of a continuous law it has lost everything,
# $\mathrm{TV} = 1$. Can the critic tell? Let it choose among $M$ functions with values in $[0, 1]$. For one of them the
# mean over $m$ draws misses the true mean by more than $\varepsilon$ with probability at most $2e^{-2m\varepsilon^2}$
# (Hoeffding). For any of the $M$, add up:
#
# $$ \mathbb{P}\left(\max_{j \le M}|\mathbb{E}_p D_j - \mathbb{E}_{\hat p} D_j| > \varepsilon\right)
# \le 2M e^{-2m\varepsilon^2} . \tag{13.18} $$
#
# Where the right side is below 1, some $m$ points fool all of them. So with
# $m > \log(2M) / 2\varepsilon^2$ points a memoriser *wins* (Arora et al. 2017): the size of the support that a critic
# can enforce is about the logarithm of how many critics there are, its number of parameters. Training to the end is no
# proof of diversity. Count instead. Among $s$ samples, pairs that coincide are expected
#
# $$ \mathbb{E}\,\#\{i < j : x_i = x_j\} = \binom s2 \sum_k q_k^2 \ge \binom s2 \frac1n \tag{13.19} $$
#
# for a support of $n$: twins in a batch of $s$ betray a support of about $s^2/2$ (the birthday test of Arora, Risteski
# and Zhang 2018; for images "coincide" is "a person says they are the same").

# %%
M, m, eps, trials = 50, 100, 0.17, sized(4000, 1000)
draws = np.random.default_rng(1)
chances = draws.uniform(0.2, 0.8, M)  # E_p D_j of M random yes-no critics
means = draws.binomial(m, chances, (trials, M)) / m
missed = np.mean(np.abs(means - chances).max(axis=1) > eps)
check("13.18", "how often some critic sees a gap > ε", missed, 2 * M * math.exp(-2 * m * eps**2),
      atol=0, relation="<=")  # fmt: skip
check("13.18a", "so some m points fool all M", np.abs(means - chances).max(axis=1).min(), eps,
      atol=0, relation="<=")  # fmt: skip
law = np.array([0.5, 0.2, 0.2, 0.1])
every = np.array(list(itertools.product(range(4), repeat=3)))  # all outcomes of s = 3 draws
pairs = sum((every[:, i] == every[:, j]) for i, j in ((0, 1), (0, 2), (1, 2)))
check("13.19", "expected pairs, by listing all 4³ outcomes", law[every].prod(axis=1) @ pairs,
      math.comb(3, 2) * np.sum(law**2), atol=1e-14)  # fmt: skip
check("13.19a", "never fewer than for even shares", law[every].prod(axis=1) @ pairs,
      math.comb(3, 2) / 4, atol=0, relation=">=")  # fmt: skip

# %% [markdown]
# > **Aside: does the discriminator lose its ability?** Article S0, section 5.1, explains collapse by a discriminator
# > that can no longer judge. In our first picture it is the other way round: where the generator is at its worst, the
# > best discriminator is strongest. If only a share $\eta$ of the fakes lies outside of $k$ of the $n$ modes, its
# > accuracy is
# >
# > $$ \tfrac12\left(1 + \mathrm{TV}(p, q)\right) \ge \tfrac12\left(2 - \tfrac kn - \eta\right) . \tag{13.20} $$
# >
# > (Ask whether a sample lies outside.) With $k = 3$ of 8 and $\eta$ small that is 81 %. It judges well. It is late.

# %%
shares = softmax(free_w)
outside = np.sort(shares, axis=1)[:, :5].sum(axis=1)  # of the three largest
check("13.20", "accuracy of the best discriminator along the path",
      (1 + divergences.total_variation(shares, even)) / 2, (2 - 3 / 8 - outside) / 2, atol=1e-12,
      relation=">=", errata="S0.18")  # fmt: skip

# %% [markdown]
# **And a network?** (13.18) counts critics, and $p$ real parameters give a continuum. But critics with nearly the same
# parameters answer nearly alike. A grid of $M = (1/\eta)^p$ stands for all of them, $\log M = p\log\frac1\eta$, and some
# $p\log p/\varepsilon^2$ points fool the lot (Arora et al. 2017, theorem 3.1, up to constants and logarithms). For critics
# that are *linear* in $p$ features, $D = \langle w, \varphi(x)\rangle$ with $\lVert w\rVert \le 1$ and $|\varphi_i| \le 1$, no
# grid is needed: the best one sees the length of $\mathbb{E}_p\varphi - \mathbb{E}_{\hat p}\varphi$, and over $m$ random points
#
# $$ \mathbb{E}\max_w\left(\mathbb{E}_p D - \mathbb{E}_{\hat p} D\right)^2 = \frac1m\sum_{i=1}^p\operatorname{Var}\varphi_i
# \le \frac pm : \tag{13.21} $$
#
# $m = p/\varepsilon^2$ points, and the critic sees less than $\varepsilon$ of a loss that is total.

# %%
features = draws.uniform(-1, 1, (4, 32))  # φ of the four outcomes, p = 32
gaps = features[every].mean(axis=1) - law @ features  # for all 4³ ways to memorise m = 3 draws
variance = law @ features**2 - (law @ features) ** 2
seen = law[every].prod(axis=1) @ np.sum(gaps**2, axis=1)
check(
    "13.21",
    "what the best of the linear critics sees, squared",
    seen,
    variance.sum() / 3,
    atol=1e-13,
)
unit = draws.standard_normal((2000, 32))
unit /= np.linalg.norm(unit, axis=1, keepdims=True)
check("13.21a", "no other critic sees more", gaps @ unit.T, np.linalg.norm(gaps, axis=1)[:, None], atol=0,
      relation="<=")  # fmt: skip
check("13.21b", "at most p/m", seen, 32 / 3, atol=0, relation="<=")
waves, phases = draws.uniform(0.5, 3, 32), draws.uniform(0, 6, 32)  # a continuous law, N(0, 1)
expected = np.exp(-(waves**2) / 2) * np.cos(phases)
for m in (50, 200, 800):
    memorised = np.cos(waves * draws.standard_normal((100, m, 1)) + phases).mean(axis=1)
    print(
        f"{m} points, 32 waves: {np.linalg.norm(memorised - expected, axis=1).mean():.3f} on average"
    )

# %% [markdown]
# ## Exercises


# %%
def conserved(w, f, p, rho, kappa):
    """What the game w' = rho f, f' = kappa (p - softmax(w)) conserves.

    It must be 0 at the rest point (q = p, f = 0) and positive elsewhere.
    """
    # Hint: KL(p || q) changes at the rate -rho <f, p - q>. Which multiple of ||f||² changes at the
    # opposite rate?
    raise NotImplementedError


def conserved_property(answer, w, f, rho, kappa):
    p = softmax(np.array([0.3, -0.2, 0.5]))
    h, q = 1e-4, softmax(w)
    ahead, back = (answer(w + s * rho * f, f + s * kappa * (p - q), p, rho, kappa) for s in (h, -h))
    assert abs(ahead - back) / (2 * h) < 1e-4, f"it changes at the rate {(ahead - back) / (2 * h)}"
    assert abs(answer(np.log(p), 0 * f, p, rho, kappa)) < 1e-9, "it is not 0 at rest"
    assert answer(np.log(p), f, p, rho, kappa) > 1e-4, "it must be positive where f is not 0"
    assert answer(np.log(p) + f, 0 * f, p, rho, kappa) > 1e-4, "or where q is not p"


grade("13.E1", conserved, conserved_property, w=arrays(3, -1, 1),
      f=arrays(3, -1, 1).filter(lambda f: np.ptp(f) > 0.3), rho=floats(0.5, 2),
      kappa=floats(0.5, 2))  # fmt: skip


# %%
def best_friction(modes, kappa):
    """The gamma of the fastest return to even shares, for n modes and a critic of speed kappa."""
    # Hint: (13.13). The slower eigenvalue decides; it is best where the two meet.
    raise NotImplementedError


def friction_property(answer, modes, kappa):
    slowest = lambda g: np.linalg.eigvals([[0, 1 / modes], [-kappa, -g]]).real.max()
    g = answer(modes, kappa)
    assert g > 0, "a strength is positive"
    others = [slowest(g * factor) for factor in (0.5, 0.99, 1.01, 2.0)]
    assert slowest(g) < min(others), f"rate {slowest(g)}, but a strength nearby has {min(others)}"


grade("13.E2", best_friction, friction_property, modes=floats(2, 50), kappa=floats(0.1, 5))


# %%
def pack_size(share_lost, accuracy):
    """The smallest m for which a critic of m samples at once can be right with this probability.

    The generator has lost this share of even modes; reals and fakes come equally often.
    """
    # Hint: the best accuracy is (1 + TV)/2, with (13.17). Solve for m and round up.
    raise NotImplementedError


def pack_property(answer, share_lost, accuracy):
    reached = lambda m: (1 + 1 - (1 - share_lost) ** m) / 2
    m = answer(share_lost, accuracy)
    assert m == int(m) and m >= 1, f"m = {m} is no number of samples"
    assert reached(m) >= accuracy - 1e-12, f"m = {m} reaches {reached(m)} only"
    assert m == 1 or reached(m - 1) < accuracy, f"{m - 1} would do"


grade("13.E3", pack_size, pack_property, share_lost=floats(0.05, 0.5), accuracy=floats(0.6, 0.99))


# %%
def support(samples, pairs):
    """An estimate of the support's size: what n even outcomes must be to expect so many pairs."""
    # Hint: (13.19) with q_k = 1/n, solved for n.
    raise NotImplementedError


def support_property(answer, samples, n):
    expected = sum(1 / n for i in range(samples) for j in range(i))
    assert abs(answer(samples, expected) - n) < 1e-6 * n, f"{n} outcomes give {expected} pairs"


grade("13.E4", support, support_property, samples=st.integers(2, 60), n=st.integers(2, 5000))

# %% [markdown]
# ## What to read next
#
# - M. Heusel et al., *GANs Trained by a Two Time-Scale Update Rule* (2017, arXiv 1706.08500), section 2.
# - Z. Lin, A. Khetan, G. Fanti, S. Oh, *PacGAN* (2018, arXiv 1712.04086), section 3: regions of mode collapse.
# - S. Arora, R. Ge, Y. Liang, T. Ma, Y. Zhang, *Generalization and Equilibrium in GANs* (2017, arXiv 1703.00573); S.
#   Arora, A. Risteski, Y. Zhang, *Do GANs learn the distribution?* (2018; 2017 as arXiv 1706.08224): the birthday test.
# - J. Hofbauer, K. Sigmund, *Evolutionary Games and Population Dynamics* (1998): (13.2) and its conserved quantities.
# - L. Metz, B. Poole, D. Pfau, J. Sohl-Dickstein, *Unrolled GANs* (2016, arXiv 1611.02163): a generator that foresees
#   the critic's replies.
# - Next: lesson 14, what least squares, the hinge and smoothing change.
