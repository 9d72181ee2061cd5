# %% [markdown]
# # 25. Gradients through choices and time
#
# A word is chosen, an action is taken: there is no derivative of a choice, and what came of it shows only later. Two
# ways lead around. One asks how likely the choice was, is right on average, and noisy. The other puts something smooth
# in the choice's place, is quiet, and wrong. Here noise and error are numbers. They are behind
# [`seqgan`](../minigan/gans/seqgan.py), [`gumbelgan`](../minigan/gans/gumbelgan.py) and
# [`gail`](../minigan/gans/gail.py).
#
# You need: expectations and variances (lesson 3), entropy and KL (lesson 4), $D^* = p/(p+q)$ (lesson 7).
#
# **Predict first.** A generator of text is scored by the mean of $-\log p(x)$ of what it writes, $p$ being the true law
# of the texts, which is known. Who scores best: $p$ itself, or somebody who always writes the same sentence?

# %%
import itertools
import math

import numpy as np
from hypothesis import strategies as st

import minigan as mg
from minigan import ops, policy
from minigan.lessons import check, figure, grade, show
from minigan.lessons.figures import BLUE, GREEN, GREY, ORANGE
from minigan.lessons.strategies import arrays, floats, tables

law = np.random.default_rng(5).dirichlet(np.full(40, 0.4)) + 1e-3
law = law / law.sum()


def sharper(beta):
    """q_beta, -E log p under it, and -E_p log q_beta."""
    made = law**beta / (law**beta).sum()
    return made, -made @ np.log(law), -law @ np.log(made)


betas = np.linspace(0, 4, 60)
fig, axes = figure(1, 1, width=4.6, height=3.0)
axes.plot(
    betas, [sharper(b)[1] for b in betas], color=ORANGE, label=r"$-E_q \log p$: SeqGAN's number"
)
axes.plot(
    betas, [sharper(b)[2] for b in betas], color=BLUE, label=r"$-E_p \log q$: held-out likelihood"
)
axes.axvline(1, color=GREY, linewidth=0.8)
axes.set(xlabel=r"$\beta$; at 1 $q$ is the law itself", ylabel="nats", ylim=(0, 6))
axes.legend(frameon=False, fontsize=8)
show(
    fig,
    "number",
    alt="Over beta SeqGAN's number falls all the way, the held-out likelihood is least at beta = 1, the law itself.",
)

# %% [markdown]
# The orange number falls all the way: the law itself is beaten by whoever writes the same again and again. It is
# the number by which SeqGAN is compared with others. What it lacks is in section 5; first, where the gradients come from.
#
# ## 1. Two derivatives of one mean
#
# Let $x$ be drawn from $p_\theta$, and $f$ say how good it is. The mean of $f$ depends on $\theta$ through the law
# alone:
#
# $$ \frac{d}{d\theta}\,\mathbb{E}_{x\sim p_\theta} f(x) = \mathbb{E}\left[f(x)\,d\log p_\theta(x)/d\theta\right], \tag{25.1} $$
#
# for $dp = p\,d\log p$. This is the *score function*, or REINFORCE. Nothing is asked of $f$. If instead $x = \theta +
# \varepsilon$ with noise that knows nothing of $\theta$, the chain rule goes through $x$: *reparameterisation*,
#
# $$ \frac{d}{d\theta}\,\mathbb{E}\, f(\theta + \varepsilon) = \mathbb{E}\, f'(\theta + \varepsilon). \tag{25.2} $$
#
# For $\varepsilon \sim N(0, 1)$ the score is $x - \theta = \varepsilon$. Both by quadrature that is exact for
# polynomials:

# %%
nodes, weights = np.polynomial.hermite_e.hermegauss(20)
weights = weights / weights.sum()
theta = 0.7
x = theta + nodes
check(
    "25.1",
    "E[f(x) (x - theta)] = d/dtheta (theta^2 + 1) for f = x^2",
    weights @ (x**2 * nodes),
    2 * theta,
    atol=1e-12,
)
check("25.2", "E f'(theta + eps) is the same", weights @ (2 * x), 2 * theta, atol=1e-12)

# %% [markdown]
# They have one mean and different variances. Take $f(x) = |x|^2$ in $d$ dimensions at $\theta = 0$, and the derivative
# in one coordinate. By the chain rule it is $2\varepsilon_1$, with variance 4 whatever $d$. By the score it is
# $|\varepsilon|^2 \varepsilon_1$: the noise of *all* coordinates multiplies the score of one,
#
# $$ \operatorname{Var}\left[|\varepsilon|^2\varepsilon_1\right] = (d+2)(d+4). \tag{25.3} $$


# %%
def gaussian_mean(g, d):
    """E g(eps) for eps of d coordinates, by quadrature."""
    points = np.array(list(itertools.product(nodes, repeat=d)))
    w = np.array(list(itertools.product(weights, repeat=d))).prod(axis=1)
    return w @ g(points)


found = [gaussian_mean(lambda e: ((e**2).sum(1) * e[:, 0]) ** 2, d) for d in (1, 2, 3)]
check("25.3", "variance of |eps|^2 eps_1", found, [(d + 2) * (d + 4) for d in (1, 2, 3)], atol=1e-8)

# %% [markdown]
# ## 2. A baseline costs nothing
#
# The mean of a score is $\int dp = d\,1 = 0$. So any number $b$ that does not depend on the choice may be subtracted:
#
# $$ \mathbb{E}\left[(f - b)\,s\right] = \mathbb{E}\left[f\,s\right], \qquad s = d\log p . \tag{25.4} $$
#
# The variance is a parabola in $b$, and lowest at
#
# $$ b^* = \frac{\mathbb{E}[f s^2]}{\mathbb{E}[s^2]} . \tag{25.5} $$
#
# In the example $b^* = d + 2$, and what is left of (25.3) is $2(d + 2)$: the square has become a line. The mean of $f$,
# which is $d$ here, is nearly as good, and known without asking for $s$:
# [`policy.leave_one_out`](../minigan/policy.py#leave_one_out) takes that of the *other* rows of a batch, since with
# one's own in it (25.4) would not hold.

# %%
logits = np.array([0.5, -1.0, 0.2, 1.5])
f = np.array([3.0, 5.0, 4.0, 4.5])
p = np.exp(logits) / np.exp(logits).sum()
score = np.eye(4) - p  # of each choice, in all logits
exact = p * (f - p @ f)
means = [p @ ((f - b)[:, None] * score) for b in (0.0, 4.0, 99.0)]
check(
    "25.4", "sum over k of p_k (f_k - b) s_k is the same for each b", means, [exact] * 3, atol=1e-12
)
spread = lambda b: p @ ((f - b)[:, None] ** 2 * score**2).sum(axis=1) - exact @ exact
best = p @ (f[:, None] * score**2).sum(axis=1) / (p @ (score**2).sum(axis=1))
grid = np.linspace(best - 2, best + 2, 4001)
check("25.5", "the lowest of many b", grid[np.argmin([spread(b) for b in grid])], best, atol=1e-3)

dims = np.arange(1, 13)
drawn = np.random.default_rng(0).normal(size=(20000, 12))
measured = {
    "score": [np.var((drawn[:, :d] ** 2).sum(1) * drawn[:, 0]) for d in dims],
    "with its mean as baseline": [
        np.var(((drawn[:, :d] ** 2).sum(1) - d) * drawn[:, 0]) for d in dims
    ],
    "reparameterised": [np.var(2 * drawn[:, 0]) for d in dims],
}
fig, axes = figure(1, 1, width=4.6, height=3.0)
for (name, variance), colour in zip(measured.items(), (ORANGE, BLUE, GREEN), strict=True):
    axes.plot(dims, variance, "o-", color=colour, label=name, markersize=3)
axes.plot(dims, (dims + 2) * (dims + 4), color=GREY, linewidth=0.8, zorder=0)
axes.set(xlabel="coordinates of x", ylabel="variance", yscale="log")
axes.legend(frameon=False, fontsize=8)
show(fig, "variance", alt="Variance of three estimates over the dimension: the score's grows as its square, with a baseline "
     "as a line, reparameterised it stays at 4.")  # fmt: skip

# %% [markdown]
# ## 3. A choice as the largest of noisy numbers
#
# A choice can be reparameterised, too, up to its last step. With independent noise $g_k = -\log(-\log u_k)$, named
# after Gumbel,
#
# $$ P\left(\arg\max_j\,(l_j + g_j) = k\right) = \operatorname{softmax}(l)_k . \tag{25.6} $$
#
# Now all randomness comes from outside, and what is left is an argmax, whose derivative is zero. The *straight-through*
# estimate keeps the argmax and lies about its derivative: it takes that of $\operatorname{softmax}((l+g)/\tau)$.
#
# Of two outcomes $y \in \{0, 1\}$, with $l$ the difference of the logits, $y = [l + \lambda > 0]$, $\lambda$ logistic,
# $P(y = 1) = \sigma(l)$. The truth is
#
# $$ \frac{d}{dl}\,\mathbb{E} f(y) = \sigma(l)\,\sigma(-l)\,\left(f(1) - f(0)\right), \tag{25.7} $$
#
# and of $f$ between 0 and 1 it knows nothing. But $f'$, which the estimate asks for, is a property of just that. As
# $\tau \to 0$ its mean becomes
#
# $$ \sigma(l)\,\sigma(-l)\;\frac{f'(0) + f'(1)}{2} : \tag{25.8} $$
#
# the difference of $f$ by the *trapezoid rule* of its slope. It is right for parabolas. For $f = y^3$ it is half too
# large, and it may have the wrong sign: $f = y - \frac12\sin(2\pi y)$ grows by 1, with slope $1 - \pi$ at both ends.


# %%
def sigma(t):
    return 1 / (1 + np.exp(-t))


t = np.linspace(-12, 12, 48001)  # values of -log(-log u), or of lambda
gumbel = np.exp(-t - np.exp(-t))
below = lambda v: np.exp(-np.exp(-v))
chances = [
    np.trapezoid(
        gumbel * np.prod([below(t + logits[k] - logits[j]) for j in range(4) if j != k], axis=0), t
    )
    for k in range(4)
]
check("25.6", "the largest of l + g is k", chances, p, atol=2e-5)

logit_of_one = 0.4
u = np.linspace(-40, 40, 80001)


def straight(slope, tau):
    """(mean, variance) of the straight-through estimate: v = l + lambda is tau u."""
    density = sigma(tau * u - logit_of_one) * sigma(logit_of_one - tau * u)
    told = slope((u > 0).astype(float)) * sigma(u) * sigma(-u) / tau
    mean = np.trapezoid(told * density, tau * u)
    return mean, np.trapezoid(told**2 * density, tau * u) - mean**2


def relaxed(slope, tau):
    """The same with the softmax itself in the choice's place."""
    density = sigma(tau * u - logit_of_one) * sigma(logit_of_one - tau * u)
    told = slope(sigma(u)) * sigma(u) * sigma(-u) / tau
    mean = np.trapezoid(told * density, tau * u)
    return mean, np.trapezoid(told**2 * density, tau * u) - mean**2


functions = {  # of y in [0, 1]: f, and its slope
    "y^2": (lambda y: y**2, lambda y: 2 * y),
    "y^3": (lambda y: y**3, lambda y: 3 * y**2),
    "y - sin(2 pi y) / 2": (
        lambda y: y - np.sin(2 * np.pi * y) / 2,
        lambda y: 1 - np.pi * np.cos(2 * np.pi * y),
    ),
}
step = 1e-5
truth = sigma(logit_of_one) * sigma(-logit_of_one)
for part, (name, (g, slope)) in zip("abc", functions.items(), strict=True):
    up, down = (
        sigma(logit_of_one + h) * g(1.0) + sigma(-logit_of_one - h) * g(0.0) for h in (step, -step)
    )
    check(
        f"25.7{part}",
        f"d/dl E f, f = {name}",
        (up - down) / (2 * step),
        truth * (g(1.0) - g(0.0)),
        atol=1e-9,
    )
    limit = truth * (slope(0.0) + slope(1.0)) / 2
    check(
        f"25.8{part}",
        f"straight through at tau = .01, f = {name}",
        straight(slope, 0.01)[0],
        limit,
        atol=5e-3,
    )

# %% [markdown]
# What if the *soft* value is shown to $f$ as well? Then there is no lie left, but another $f$ is trained, that of
# $\sigma((l+\lambda)/\tau)$. As $\tau \to 0$ its derivative goes to the true one, for $\int_0^1 f' = f(1) - f(0)$, and
# its variance explodes:
#
# $$ \operatorname{Var} \approx \frac{\sigma(l)\,\sigma(-l)}{\tau}\int_0^1 f'(y)^2\,y(1-y)\,dy . \tag{25.9} $$
#
# So a temperature trades bias for variance, and only where $f$ takes values between words at all. A discriminator that
# sees soft words has an easy task: real ones are never soft.

# %%
tau = 0.01
y = (np.arange(20000) + 0.5) / 20000
for part, (name, (_, slope)) in zip("abc", functions.items(), strict=True):
    wanted = truth / tau * np.mean(slope(y) ** 2 * y * (1 - y))
    check(
        f"25.9{part}",
        f"relative variance, tau = .01, f = {name}",
        relaxed(slope, tau)[1] / wanted,
        1,
        atol=0.03,
    )

taus = np.geomspace(0.02, 3, 25)
fig, axes = figure(1, 2, width=7.8, height=2.9)
slope = functions["y^3"][1]
for name, estimate, colour in (("straight through", straight, ORANGE), ("relaxed", relaxed, BLUE)):
    values = np.array([estimate(slope, tau) for tau in taus])
    axes[0].plot(taus, values[:, 0] / truth, color=colour, label=name)
    axes[1].plot(taus, np.sqrt(values[:, 1]) / truth, color=colour)
axes[0].axhline(1, color=GREY, linewidth=0.8)
axes[1].axhline(
    math.sqrt(sigma(-logit_of_one) / sigma(logit_of_one)),
    color=GREEN,
    linewidth=0.8,
    label="score function",
)
axes[0].set(title="mean, of the true derivative", xlabel=r"temperature $\tau$", xscale="log")
axes[1].set(
    title="deviation, of the true derivative",
    xlabel=r"temperature $\tau$",
    xscale="log",
    yscale="log",
)
for ax in axes:
    ax.legend(frameon=False, fontsize=8)
show(fig, "temperature", alt="For f = y^3: straight through is half too large at low temperatures, the relaxed estimate right; "
     "the deviation of both grows as the temperature falls.")  # fmt: skip

# %% [markdown]
# ## 4. Time: what was a word worth?
#
# A text is $L$ choices, and one reward $R$ comes at its end. By (25.1) each choice's score is multiplied by all of it.
# But what was written before does not depend on the choice, so it is a baseline, and so is what could be *expected*
# then. With $V_t = \mathbb{E}[R \mid x_1, \dots, x_t]$,
#
# $$ dJ = \mathbb{E}\sum_t R\, s_t = \mathbb{E}\sum_t V_t\, s_t = \mathbb{E}\sum_t (V_t - V_{t-1})\, s_t , \tag{25.10} $$
#
# and the worth of all words adds up to the luck of the whole:
#
# $$ \sum_{t=1}^{L} (V_t - V_{t-1}) = R - J . \tag{25.11} $$
#
# SeqGAN has no $V$ and asks rollouts: $Q$, the mean reward of 16 ways to go on, estimates $V_t$, and other rollouts,
# made before the word, $V_{t-1}$. Four letters of two kinds can be counted out.

# %%
random = np.random.default_rng(3)
length = 4
texts = list(itertools.product((0, 1), repeat=length))
beginnings = [x for t in range(length) for x in itertools.product((0, 1), repeat=t)]
place = {x: i for i, x in enumerate(beginnings)}  # a logit for each
logit = mg.tensor(random.normal(size=len(place)), requires_grad=True)
reward = {text: random.uniform() + sum(text) for text in texts}


def log_p(text):
    """log of the probability of a text, differentiable."""
    chosen = [logit[place[text[:t]]] * (2 * text[t] - 1) for t in range(length)]
    return -sum(ops.softplus(-c) for c in chosen)


J = sum(ops.exp(log_p(text)) * reward[text] for text in texts)
slope_of_J = mg.grad(J, logit).data
chance = {text: math.exp(log_p(text).item()) for text in texts}


def V(prefix):
    """The mean reward of texts that begin so."""
    such = [text for text in texts if text[: len(prefix)] == prefix]
    return sum(chance[text] * reward[text] for text in such) / sum(chance[text] for text in such)


def estimate(text, worth):
    """sum over t of worth_t s_t, a number for each logit."""
    total = np.zeros(len(place))
    for t in range(length):
        i = place[text[:t]]
        total[i] += worth(text, t) * (text[t] - sigma(logit.data[i]))
    return total


worths = {
    "by the whole reward": lambda text, t: reward[text],
    "by what is expected behind the word": lambda text, t: V(text[: t + 1]),
    "by how much the word changed that": lambda text, t: V(text[: t + 1]) - V(text[:t]),
}
variances = {}
for part, (name, worth) in zip("abc", worths.items(), strict=True):
    every = {text: estimate(text, worth) for text in texts}
    mean = sum(chance[text] * every[text] for text in texts)
    check(f"25.10{part}", f"the derivative of J, {name}", mean, slope_of_J, atol=1e-12)
    variances[name] = sum(chance[text] * (every[text] ** 2).sum() for text in texts) - mean @ mean
    print(f"variance, {name}: {variances[name]:.3f}")
check("25.11", "the words' worth adds up", [sum(V(x[: t + 1]) - V(x[:t]) for t in range(length)) for x in texts],
      [reward[x] - J.item() for x in texts], atol=1e-12)  # fmt: skip

# %% [markdown]
# One mean, and in this example a twenty-fifth of the variance. In the engine this is one line,
# `policy.reinforce(log_probs, rewards, baseline=...)`, inside a recorded step, which draws anew in each replay:

# %%
rows = np.array(texts)
log_probs = ops.stack([log_p(text) for text in texts])
weighted = policy.reinforce(
    log_probs, np.array([len(texts) * chance[x] * reward[x] for x in texts])
)
assert np.allclose(-mg.grad(weighted, logit).data, slope_of_J)

# %% [markdown]
# ## 5. What SeqGAN's number can see
#
# Its generators are compared by the mean of $-\log p(x)$ over their own texts. Now the prediction:
#
# $$ -\mathbb{E}_q \log p = \operatorname{KL}(q\,\|\,p) + H(q) . \tag{25.12} $$
#
# The first term asks for $q = p$, and the second for *no entropy*. The sum is least where $q$ writes the likeliest text
# and no other. Even on the way there it falls: for $q_\beta \propto p^\beta$, which is $p$ at $\beta = 1$ and sharper
# beyond,
#
# $$ \frac{d}{d\beta}\left(-\mathbb{E}_{q_\beta}\log p\right) = -\operatorname{Var}_{q_\beta}(\log p) \le 0 . \tag{25.13} $$
#
# So a number below that of the data's own law is no success, and one below that of maximum likelihood may be one of two
# things: better texts, or fewer. Our [`seqgan`](../minigan/gans/seqgan.py) is therefore told with the likelihood of
# held-out texts, $-\mathbb{E}_p\log q$, which a missing text makes infinite, and with self-BLEU. The reward has the
# same blind eye: for a fixed $D$ the best policy is the one text that $D$ likes most (lesson 13).

# %%
q = np.random.default_rng(6).dirichlet(np.ones(40))
check(
    "25.12",
    "-E_q log p = KL + H",
    -q @ np.log(law),
    q @ np.log(q / law) - q @ np.log(q),
    atol=1e-12,
)

for part, beta in zip("abc", (0.5, 1.0, 2.0), strict=True):
    made = sharper(beta)[0]
    difference = (sharper(beta + 1e-5)[1] - sharper(beta - 1e-5)[1]) / 2e-5
    check(
        f"25.13{part}",
        f"slope at beta = {beta}",
        difference,
        -(made @ np.log(law) ** 2 - (made @ np.log(law)) ** 2),
        atol=1e-7,
    )

# %% [markdown]
# ## Exercises
#
# Write the functions. Each is graded by a property; a wrong answer is shown its smallest counterexample.


# %%
def one_draw(p, f, k, b):
    """The score function's estimate of d/dlogits E f(k), (K,), from the one choice k, with baseline b."""
    # Hint: the score of choice k is e_k - p.
    raise NotImplementedError


def one_draw_property(answer, pq, b):
    p, f = pq[0], np.log(pq[1])
    mean = sum(p[k] * np.asarray(answer(p, f, k, b)) for k in range(len(p)))
    assert np.abs(mean - p * (f - p @ f)).max() < 1e-7, (
        f"its mean is {mean}, the derivative {p * (f - p @ f)}"
    )
    if abs(b) > 0.1:
        assert np.abs(np.asarray(answer(p, f, 0, b)) - answer(p, f, 0, 0.0)).max() > 1e-12, (
            "b makes no difference"
        )


grade("25.E1", one_draw, one_draw_property, pq=tables(2, max_size=5, bound=3), b=floats(-3, 3))


# %%
def best_baseline(p, f):
    """b of (25.5) for a choice from p, the variance summed over all logits."""
    # Hint: |s_k|^2 is the squared length of e_k - p.
    raise NotImplementedError


def best_baseline_property(answer, pq):
    p, f = pq[0], np.log(pq[1])
    square = ((np.eye(len(p)) - p) ** 2).sum(axis=1)
    second = lambda b: p @ ((f - b) ** 2 * square)
    b = float(answer(p, f))
    for other in (b - 0.1, b + 0.1):
        assert second(b) <= second(other) + 1e-9, f"{other} has less variance than {b}"


grade("25.E2", best_baseline, best_baseline_property, pq=tables(2, max_size=5, bound=3))


# %%
def straight_through_limit(logit, low, high):
    """The mean of the straight-through estimate for two outcomes at a vanishing temperature; low, high: f' at 0 and at 1."""
    # Hint: (25.8).
    raise NotImplementedError


def straight_through_limit_property(answer, logit, low, high):
    v = np.linspace(-40, 40, 4001)
    density = sigma(1e-4 * v - logit) * sigma(logit - 1e-4 * v)
    wanted = np.trapezoid(np.where(v > 0, high, low) * sigma(v) * sigma(-v) * density, v)
    assert abs(answer(logit, low, high) - wanted) < 1e-2, (
        f"got {answer(logit, low, high)}, the integral is {wanted}"
    )


grade(
    "25.E3",
    straight_through_limit,
    straight_through_limit_property,
    logit=floats(-3, 3),
    low=floats(-4, 4),
    high=floats(-4, 4),
)


# %%
def words_worth(values):
    """values: V_0 = J, V_1, ..., V_L = R of one text. The worth of each word, (L,), that adds up to R - J."""
    # Hint: by how much did each change what was expected?
    raise NotImplementedError


def words_worth_property(answer, values):
    got = np.asarray(answer(values))
    assert got.shape == (len(values) - 1,), f"shape {got.shape}, expected one number a word"
    for t in range(1, len(values)):
        assert abs(got[:t].sum() - (values[t] - values[0])) < 1e-9, (
            f"the first {t} words are worth {got[:t].sum()}"
        )


grade("25.E4", words_worth, words_worth_property, values=arrays(st.integers(2, 6), -3, 3))

# %% [markdown]
# ## What to read next
#
# - R. Williams, *Simple statistical gradient-following algorithms for connectionist reinforcement learning* (1992, Machine
#   Learning 8), sections 3 to 5.
# - E. Jang, S. Gu, B. Poole, *Categorical Reparameterization with Gumbel-Softmax* (2016, arXiv 1611.01144); Y. Bengio, N.
#   Leonard, A. Courville, *Estimating or Propagating Gradients Through Stochastic Neurons* (2013, arXiv 1308.3432).
# - L. Yu et al., *SeqGAN* (2016, arXiv 1609.05473), section 3; M. Caccia et al., *Language GANs Falling Short* (2018, arXiv
#   1811.02549), on temperature.
# - J. Ho, S. Ermon, *Generative Adversarial Imitation Learning* (2016, arXiv 1606.03476), sections 4 and 5.
