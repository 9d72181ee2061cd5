# %% [markdown]
# # 4. Entropy and likelihood
#
# Before we ask how to train a generator whose density nobody can write down, it pays to know what one does when the
# density *is* known: one maximises the likelihood. That is the same as minimising a divergence, the Kullback-Leibler
# divergence, and this lesson derives it from nothing but $\log u \le u - 1$. On the way it settles what "close" means
# for two distributions, why the order of the two arguments decides whether a model covers all modes or picks one, and
# where this road ends for GANs.
#
# You need: sums, logarithms, densities and expectations (lesson 3), gradients (lesson 1).
#
# **Predict first.** The data come in two clumps of equal size: bell curves of width 0.6 around $-2$ and $+2$. You fit
# *one* Gaussian to them by maximum likelihood. At which $x$ does your model say that data are most likely? And how does
# the true density there compare with its peak: is it about the same, a tenth, or a hundredth? Write down both answers.
# Section 6 has them.

# %%
import heapq
import itertools
import math

import numpy as np
from hypothesis import strategies as st
from scipy import optimize, stats

import minigan as mg
from minigan import ops
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLACK, BLUE, GREEN, ORANGE
from minigan.lessons.strategies import arrays, floats, tables
from minigan.theory import densities, divergences, gaussians

rng = np.random.Generator(np.random.Philox(4))


def random_tables(count, n):
    """`count` probability tables over n outcomes, rows that add up to 1."""
    return rng.dirichlet(np.ones(n), size=count)


# %% [markdown]
# ## 1. Surprise, and its average
#
# How surprising is an event of probability $p$? We ask two things of the answer. A sure event must not surprise at
# all. And two *independent* events, which happen together with probability $p\,q$, should surprise by the sum of both.
# The continuous functions that turn products into sums are the multiples of the logarithm; the minus sign makes it
# positive:
#
# $$ s(p) = -\log p, \qquad s(1) = 0, \qquad s(p\,q) = s(p) + s(q) \tag{4.1} $$
#
# We use natural logarithms everywhere; the unit is the **nat**. With $\log_2$ it would be the bit, and
# 1 bit $= \log 2 = 0.693$ nats. Ten fair coins are ten independent events of probability 1/2 each:

# %%
surprise = lambda p: -np.log(p)
one, other = rng.random((2, 100))
both = surprise(one * other)
check("4.1", "s(p q) = s(p) + s(q)", both, surprise(one) + surprise(other), atol=1e-14)
check("4.1a", "ten coins: 10 bits", surprise(2.0**-10) / math.log(2), 10, atol=1e-14)

# %% [markdown]
# Let $p = (p_1, \dots, p_n)$ be a **table**: $p_i$ is the probability of outcome $i$, and all of them add up to 1. The
# **entropy** is the surprise that one has to expect, the average of $s$ over outcomes drawn from the table itself:
#
# $$ H(p) = \mathbb{E}_{i \sim p}\left[-\log p_i\right] = -\sum_i p_i \log p_i \tag{4.2} $$
#
# An outcome with $p_i = 0$ never comes, and contributes nothing, since $u \log u \to 0$ as $u \to 0$: we set
# $0 \log 0 = 0$. Here is a bent coin that falls on heads nine times out of ten. Heads surprise by 0.105, tails by
# 2.303, and the average is $0.9 \cdot 0.105 + 0.1 \cdot 2.303 = 0.325$ nats.

# %%
coin = np.array([0.9, 0.1])
by_hand = 0.9 * math.log(10 / 9) + 0.1 * math.log(10)
check("4.2", "H(0.9, 0.1) = 0.9 log(10/9) + 0.1 log 10", divergences.entropy(coin), by_hand,
      atol=1e-15)  # fmt: skip
check("4.2a", "0 log 0 = 0: H(0.9, 0.1, 0) = H(0.9, 0.1)", divergences.entropy([0.9, 0.1, 0]),
      stats.entropy(coin), atol=1e-15)  # fmt: skip

# %% [markdown]
# The entropy measures how undecided a table is. The extremes are certainty and indifference:
#
# $$ 0 \le H(p) \le \log n, \qquad H = 0 \text{ for a sure outcome}, \qquad H = \log n \text{ for } p_i = \tfrac1n \tag{4.3} $$
#
# The left half is plain: no surprise is negative. The right half follows in one line from section 2 (compare $p$ with
# the uniform table); for now we look at numbers.

# %%
many = random_tables(1000, 6)
check("4.3", "H(p) ≤ log n, for 1000 tables of 6 outcomes", divergences.entropy(many), math.log(6),
      atol=0, relation="<=")  # fmt: skip
check("4.3b", "H(p) ≥ 0", divergences.entropy(many), 0, atol=0, relation=">=")
extremes = np.array([np.full(6, 1 / 6), np.eye(6)[2]])
check("4.3a", "H(uniform) = log n, H(sure) = 0", divergences.entropy(extremes), [math.log(6), 0],
      atol=1e-15)  # fmt: skip

# %% [markdown]
# Entropy is not only a figure of speech: it is the length of the shortest description. Give each outcome a word of
# zeros and ones, such that no word begins another. Shannon proved in 1948 that the best average length $L$ lies
# within one bit of the entropy:
#
# $$ \frac{H(p)}{\log 2} \le L < \frac{H(p)}{\log 2} + 1 \tag{4.4} $$
#
# The best code is Huffman's: take the two rarest outcomes, join them into one, and repeat. Every joining adds one bit
# to all words below it, so $L$ is the sum of the joined probabilities.


# %%
def huffman_length(p):
    """Average word length, in bits, of the best prefix code for the table p."""
    heap, total = list(p), 0.0
    heapq.heapify(heap)
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        total += joined
        heapq.heappush(heap, joined)
    return total


lengths = np.array([huffman_length(p) for p in many])
bits = divergences.entropy(many) / math.log(2)
check("4.4", "H / log 2 ≤ L", bits, lengths, atol=1e-12, relation="<=")
check("4.4a", "L < H / log 2 + 1", lengths, bits + 1, atol=0, relation="<=")
check("4.4b", "L = H / log 2 where all p are powers of 1/2",
      huffman_length([0.5, 0.25, 0.125, 0.125]), 1.75, atol=0)  # fmt: skip

# %% [markdown]
# ## 2. The price of a wrong model
#
# Suppose the world draws from $p$, but you believe in $q$. Outcome $i$ then surprises you by $-\log q_i$, and it comes
# with probability $p_i$. Your average surprise is the **cross entropy**:
#
# $$ H(p, q) = -\sum_i p_i \log q_i \tag{4.5} $$
#
# This is the loss of every classifier ("cross entropy loss") and the loss of a forecaster. Believe that the bent coin
# is fair and you pay $\log 2 = 0.693$ at every toss, whichever side it falls on.

# %%
check("4.5", "H((0.9, 0.1), (0.5, 0.5)) = log 2", divergences.cross_entropy(coin, [0.5, 0.5]),
      math.log(2), atol=1e-15)  # fmt: skip

# %% [markdown]
# Of these 0.693 nats, 0.325 could not be avoided: they are the entropy. The rest is the price of the wrong belief, the
# **Kullback-Leibler divergence** (1951):
#
# $$ \mathrm{KL}(p \,\Vert\, q) = H(p, q) - H(p) = \sum_i p_i \log\frac{p_i}{q_i} \tag{4.6} $$

# %%
p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.25, 0.5])
by_hand = 0.5 * math.log(2) + 0.25 * math.log(1) + 0.25 * math.log(1 / 2)
check("4.6", "KL(p‖q) = 0.5 log 2 + 0.25 log 1 − 0.25 log 2", divergences.kl(p, q), by_hand,
      atol=1e-15)  # fmt: skip
price = divergences.cross_entropy(p, q) - stats.entropy(p)
check("4.6a", "KL(p‖q) = H(p, q) − H(p) = (log 2)/4", price, math.log(2) / 4, atol=1e-15)

# %% [markdown]
# Can a wrong belief be *cheaper* than the right one? No, and one picture proves it: the logarithm lies below its
# tangent at 1.
#
# $$ \log u \le u - 1, \qquad \text{with equality only at } u = 1 \tag{4.7} $$
#
# (The derivative of $u - 1 - \log u$ is $1 - 1/u$: negative left of 1, positive right of it. So 1 is the lowest point,
# and there the value is 0.)

# %%
u = np.concatenate([np.geomspace(1e-9, 1, 500), np.geomspace(1, 1e9, 500)])
check("4.7", "log u ≤ u − 1", np.log(u), u - 1, atol=0, relation="<=")

# %% [markdown]
# Now put $u = q_i / p_i$, multiply by $p_i$, and add up the outcomes with $p_i > 0$:
#
# $$ -\mathrm{KL}(p \,\Vert\, q) = \sum_{p_i > 0} p_i \log\frac{q_i}{p_i}
# \le \sum_{p_i > 0} p_i \left(\frac{q_i}{p_i} - 1\right) = \sum_{p_i > 0} q_i - 1 \le 0 \tag{4.8} $$
#
# This is **Gibbs' inequality**: $\mathrm{KL} \ge 0$. Equality in the first step asks for $q_i = p_i$ wherever
# $p_i > 0$; then the second is an equality as well. So $\mathrm{KL} = 0$ **only** for $p = q$. (It is also Jensen's
# inequality, $\mathbb{E} \log u \le \log \mathbb{E} u$, for the concave logarithm. The tangent is all there is to it.)
# And (4.3) drops out: $\mathrm{KL}(p \,\Vert\, \text{uniform}) = \log n - H(p) \ge 0$.

# %%
ps, qs = random_tables(1000, 6), random_tables(1000, 6)
left = -np.sum(ps * np.log(ps / qs), axis=1)
check("4.8", "−KL ≤ Σ p (q/p − 1) = 0", left, np.sum(ps * (qs / ps - 1), axis=1), atol=0,
      relation="<=", identity=1)  # fmt: skip
check("4.8a", "KL(p‖p) = 0", divergences.kl(ps, ps), 0.0, atol=0)
uniform = np.full(6, 1 / 6)
check("4.8b", "KL(p‖uniform) = log n − H(p)", divergences.kl(ps, uniform),
      math.log(6) - stats.entropy(ps, axis=1), atol=1e-14)  # fmt: skip

# %% [markdown]
# The same idea is how minigan sums it. [kl](../minigan/theory/divergences.py#kl) adds up
# $p_i \log(p_i/q_i) - p_i + q_i$, by (4.7) never negative *term by term*, in place of terms of both signs that cancel
# ([excess](../minigan/theory/terms.py#excess) says how). For tables the extra terms add up to 0. What it buys
# are digits: two tables that differ by one part in a hundred million have $\mathrm{KL} \approx 5 \cdot 10^{-17}$,
# and the textbook's sum returns rounding noise of that size.

# %%
base, tilt = np.array([0.25, 0.25, 0.5]), np.array([1.0, 1.0, -1.0])
close = base * (1 + 2.0**-27 * tilt)  # 2^-27 = 7.5e-9
exact = 2.0**-55  # half the mean of x^2, x = ±2^-27; the cubes cancel, the next term is 1e-17 of it
check("4.8c", "KL of near neighbours, relative error", divergences.kl(base, close) / exact, 1.0,
      atol=1e-12)  # fmt: skip
naive = np.sum(base * np.log(base / close))
check("4.8d", "the textbook's sum has lost its digits", abs(naive / exact - 1), 0.01, atol=0,
      relation=">=")  # fmt: skip

# %% [markdown]
# ## 3. What KL is not
#
# It is not symmetric, so it is no distance. In general
#
# $$ \mathrm{KL}(p \,\Vert\, q) \ne \mathrm{KL}(q \,\Vert\, p) \tag{4.9} $$
#
# Believing a fair coin to be bent (0.9, 0.1) costs 0.511 nats a toss; believing the bent coin to be fair costs 0.368.
# Section 6 shows that the order is no technicality: it decides what a model does with its errors.

# %%
fair = np.array([0.5, 0.5])
fair_believed_bent, bent_believed_fair = divergences.kl(fair, coin), divergences.kl(coin, fair)
check("4.9", "KL(fair‖bent) ≠ KL(bent‖fair)", fair_believed_bent, bent_believed_fair, atol=0.14,
      relation="!=")  # fmt: skip
check("4.9a", "0.511 and 0.368", [fair_believed_bent, bent_believed_fair],
      [-math.log(0.6), math.log(2) - stats.entropy(coin)], atol=1e-15)  # fmt: skip

# %% [markdown]
# And it need not be finite. If an outcome comes ($p_i > 0$) which the model excludes ($q_i = 0$), the surprise is
# infinite once, and so is the average:
#
# $$ \mathrm{KL}(p \,\Vert\, q) < \infty \iff p \ll q, \quad \text{that is } q_i = 0 \Rightarrow p_i = 0 \tag{4.10} $$
#
# for tables of finitely many outcomes. (With endlessly many, or with densities, $p \ll q$ is still necessary but no
# longer enough: a Cauchy law measured by a Gaussian has $\mathrm{KL} = \infty$, since $-\log q$ has no mean under its
# heavy tails.) One says that $p$ is **absolutely continuous** with respect to $q$. In the other direction nothing
# happens: a model may expect things that never come.

# %%
narrow, wide = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])
check(
    "4.10", "p ≪ q: KL(narrow‖wide) = log 2", divergences.kl(narrow, wide), math.log(2), atol=1e-15
)
check("4.10a", "not p ≪ q: KL(wide‖narrow) = ∞", divergences.kl(wide, narrow), math.inf, atol=0)

# %% [markdown]
# > **Aside: a divergence over pairs?** Article S0, section 2.1.2, writes the divergence as a sum over pairs $(x_g,
# > y_d)$ of a generated point and a label, and says below the formula that $P$ is the distribution of the data and $Q$
# > that of the generated points. Those are two different things. The sum that compares data with fakes runs over $x$
# > alone, as in (4.6); it also needs (4.10), of which the article says nothing. To see that the pairs matter, let the
# > fakes be *perfect*, $p_g = p_{\text{data}}$, and let the label depend on $x$ in two different ways. The article's
# > sum is positive; the divergence of data and fakes is 0.

# %%
p_data = p_fake = np.array([0.3, 0.7])
label_a, label_b = (
    np.array([[0.9, 0.1], [0.2, 0.8]]),
    np.array([[0.5, 0.5], [0.5, 0.5]]),
)  # rows: x; columns: P(label | x)
pairs_a, pairs_b = p_data[:, None] * label_a, p_fake[:, None] * label_b
over_pairs = divergences.kl(pairs_a.ravel(), pairs_b.ravel())
check("4.10b", "the sum over pairs is not KL(p_data‖p_g) = 0", over_pairs,
      divergences.kl(p_data, p_fake), atol=0.2, relation="!=", errata="S0.6")  # fmt: skip

# %% [markdown]
# What *is* the sum over pairs? Write $p(x, y) = p(x)\,p(y \mid x)$ in numerator and denominator; the logarithm of the
# product splits, and the first part does not depend on $y$. What remains is the **chain rule**:
#
# $$ \mathrm{KL}\left(p(x,y) \,\Vert\, q(x,y)\right) = \mathrm{KL}\left(p(x) \,\Vert\, q(x)\right)
# + \sum_x p(x)\,\mathrm{KL}\left(p(y \mid x) \,\Vert\, q(y \mid x)\right) \tag{4.11} $$
#
# The second part, averaged over $x \sim p$, is what the article had added without noticing.

# %%
px, qx, p_given, q_given = *random_tables(2, 3), random_tables(3, 4), random_tables(3, 4)
joint = divergences.kl((px[:, None] * p_given).ravel(), (qx[:, None] * q_given).ravel())
parts = stats.entropy(px, qx) + px @ stats.entropy(p_given, q_given, axis=1)
check("4.11", "KL over pairs = KL over x + average KL of the labels", joint, parts, atol=1e-14,
      identity=2)  # fmt: skip
labels = p_data @ stats.entropy(label_a, label_b, axis=1)
check("4.11a", "in the example above: 0 + average KL of the labels", over_pairs, labels, atol=1e-15)

# %% [markdown]
# Two consequences. If the draws are independent, the conditionals do not depend on what came before, and the price of a
# wrong model adds up over $n$ draws:
#
# $$ \mathrm{KL}(p^{n} \,\Vert\, q^{n}) = n\,\mathrm{KL}(p \,\Vert\, q) \tag{4.12} $$
#
# And *looking at less* cannot make two distributions easier to tell apart. Merge outcomes by a map $T$ and apply
# (4.11) to the pairs $(T(x), x)$. Since $T(x)$ follows from $x$, the left side is $\mathrm{KL}(p \,\Vert\, q)$. The
# first part on the right is the divergence of the merged tables, and the second is never negative. So
#
# $$ \mathrm{KL}\left(p_{T} \,\Vert\, q_{T}\right) \le \mathrm{KL}(p \,\Vert\, q) \tag{4.13} $$
#
# the **data processing inequality**. A discriminator with a poor view of its input never sees more of a divergence
# than there is.

# %%
triples = np.array(list(itertools.product(range(3), repeat=3)))  # all outcomes of three draws
p3, q3 = p[triples].prod(axis=1), q[triples].prod(axis=1)
check("4.12", "KL(p³‖q³) = 3 KL(p‖q), over all 27 outcomes", divergences.kl(p3, q3),
      3 * np.sum(p * np.log(p / q)), atol=1e-14)  # fmt: skip

merged_p, merged_q = (
    ps.reshape(-1, 3, 2).sum(axis=2),
    qs.reshape(-1, 3, 2).sum(axis=2),
)  # outcomes in pairs
check("4.13", "merging outcomes: KL(p_T‖q_T) ≤ KL(p‖q)", divergences.kl(merged_p, merged_q),
      divergences.kl(ps, qs), atol=1e-15, relation="<=", identity=11)  # fmt: skip

# %% [markdown]
# ## 4. Maximum likelihood is the smallest KL
#
# Data $x_1, \dots, x_N$ and a family of models $p_\theta$. The **likelihood** of $\theta$ is the probability that the
# model gives to the data. Its logarithm, divided by $N$, is an average over the data; group equal outcomes, with
# $\hat p_i$ the share of outcome $i$ (the **empirical** table), and it is a cross entropy:
#
# $$ \mathcal{L}(\theta) = \frac1N \log \prod_{n=1}^N p_\theta(x_n) = \frac1N \sum_{n=1}^N \log p_\theta(x_n)
# = \sum_i \hat p_i \log p_\theta(i) = -H(\hat p, p_\theta) \tag{4.14} $$

# %%
truth = np.array([0.1, 0.2, 0.3, 0.4])
data = rng.choice(4, size=200, p=truth)
empirical = np.bincount(data, minlength=4) / data.size
model = np.array([0.25, 0.25, 0.25, 0.25])
check("4.14", "mean log-likelihood = −H(p̂, p_θ)", np.mean(np.log(model[data])),
      -divergences.cross_entropy(empirical, model), atol=1e-13)  # fmt: skip

# %% [markdown]
# With (4.6) the cross entropy splits into a part that the model can do nothing about, and a divergence:
#
# $$ \mathcal{L}(\theta) = -H(\hat p) - \mathrm{KL}(\hat p \,\Vert\, p_\theta)
# \quad\Longrightarrow\quad \operatorname{argmax}_\theta \mathcal{L} = \operatorname{argmin}_\theta
# \mathrm{KL}(\hat p \,\Vert\, p_\theta) \tag{4.15} $$
#
# > **Aside: maximised or minimised?** Article S0, section 1.1.1, says that classical generative models *maximise* a KL
# > divergence. It is the opposite: they maximise the likelihood and so **minimise** $\mathrm{KL}(p_{\text{data}}
# > \,\Vert\, p_{\text{model}})$.
#
# We take a family with one parameter, $p_\theta \propto (1, e^\theta, e^{2\theta}, e^{3\theta})$, and walk along it.

# %%
thetas = np.linspace(-3, 3, 601)
family = np.exp(np.outer(thetas, np.arange(4)))
family /= family.sum(axis=1, keepdims=True)
likelihood = np.array([np.mean(np.log(row[data])) for row in family])
kl = divergences.kl(empirical, family)
check("4.15", "L(θ) = −H(p̂) − KL(p̂‖p_θ), at 601 θ", likelihood, -stats.entropy(empirical) - kl,
      atol=1e-13)  # fmt: skip
check("4.15a", "the θ of the largest L is the θ of the smallest KL", thetas[likelihood.argmax()],
      thetas[kl.argmin()], atol=0, errata="S0.1")  # fmt: skip
check("4.15b", "at the largest KL the likelihood is the worst", likelihood[kl.argmax()], likelihood,
      atol=0, relation="<=", errata="S0.1")  # fmt: skip

# %%
fig, ax = figure(height=3.0)
ax.plot(thetas, kl, color=BLUE)
ax.plot(thetas, likelihood, color=ORANGE, linestyle="--")
best = thetas[kl.argmin()]
ax.axvline(best, color=BLACK, linewidth=0.9, linestyle=":")
ax.annotate(
    r"$\mathrm{KL}(\hat p\,\Vert\,p_\theta)$",
    (-1.9, kl[np.searchsorted(thetas, -1.9)]),
    xytext=(6, 8),
    textcoords="offset points",
    color=BLUE,
)
ax.annotate(
    r"mean log-likelihood $\mathcal{L}(\theta)$",
    (-1.9, likelihood[np.searchsorted(thetas, -1.9)]),
    xytext=(6, -14),
    textcoords="offset points",
    color=ORANGE,
)
ax.annotate(f"best θ = {best:.2f}", (best, 3.2), xytext=(6, 0), textcoords="offset points")
ax.axhline(0, color=BLACK, linewidth=0.8)
ax.set(xlabel="θ", ylabel="nats", ylim=(-7.5, 5.5))
show(fig, "likelihood",
     alt="KL and mean log-likelihood along a family: mirror images, least KL at most likelihood")  # fmt: skip

# %% [markdown]
# The two curves are mirror images, at constant distance $H(\hat p)$ from being each other's negative.
#
# ### The gradient of a softmax model
#
# The most flexible model of a table has a free number $\theta_i$, a **logit**, for each outcome, and
# $p_\theta = \operatorname{softmax}(\theta) = e^{\theta_i} / \sum_j e^{\theta_j}$. Then
# $\log p_\theta(i) = \theta_i - \log \sum_j e^{\theta_j}$, and the derivative of the last logarithm by $\theta_j$ is
# $p_\theta(j)$. Averaged over the data:
#
# $$ \frac{\partial \mathcal{L}}{\partial \theta_j} = \hat p_j - p_\theta(j) \tag{4.16} $$
#
# Data minus model: the shortest gradient in machine learning. It vanishes only where the model equals the data. Our own
# autodiff, which knows nothing of this, agrees.

# %%
theta = mg.tensor(rng.standard_normal(4), requires_grad=True)
log_likelihood = -divergences.cross_entropy(empirical, ops.softmax(theta, axis=-1))
gradient = mg.grad(log_likelihood, theta)
softmax = np.exp(theta.data) / np.exp(theta.data).sum()
check("4.16", "∂L/∂θ = p̂ − p_θ", gradient, empirical - softmax, atol=1e-14)
by_kl = mg.grad(-divergences.kl(empirical, ops.softmax(theta, axis=-1)), theta)
check("4.16a", "∂L/∂θ = −∂KL(p̂‖p_θ)/∂θ", by_kl, gradient, atol=1e-14)

# %% [markdown]
# Is there more than one optimum to get stuck in? The second derivatives are those of $-\log \sum_j e^{\theta_j}$:
#
# $$ \frac{\partial^2 \mathcal{L}}{\partial \theta_j\,\partial \theta_k} = -\left(p_j\,[j = k] - p_j p_k\right),
# \qquad v^T \nabla^2 \mathcal{L}\; v = -\operatorname{Var}_{i \sim p_\theta}(v_i) \le 0 \tag{4.17} $$
#
# A negative variance in every direction: $\mathcal{L}$ is concave. There is one summit, and uphill leads there. (Its
# one flat direction, $v = (1, \dots, 1)$, adds the same number to all logits and leaves the softmax alone. If an
# outcome is missing in the data, the summit lies at infinity: its logit goes to $-\infty$.) Keep this picture: the
# *game* of a GAN, from lesson 11 on, has nothing of the kind.

# %%
hessian = mg.hessian(
    lambda t: -divergences.cross_entropy(empirical, ops.softmax(t, axis=-1)), theta
)
check("4.17", "∇²L = −(diag p − p pᵀ)", hessian, -(np.diag(softmax) - np.outer(softmax, softmax)),
      atol=1e-14)  # fmt: skip
v = rng.standard_normal(4)
variance = softmax @ (v - softmax @ v) ** 2
check("4.17a", "vᵀ ∇²L v = −Var(v)", v @ hessian.data @ v, -variance, atol=1e-13)

# %% [markdown]
# So gradient ascent, from anywhere, ends with the model equal to the data's shares. (The second derivatives lie between
# $-\tfrac12$ and 0, so any rate $\eta < 4$ is safe.)
#
# $$ \theta \leftarrow \theta + \eta\,(\hat p - p_\theta) \quad\longrightarrow\quad p_\theta = \hat p,
# \qquad \mathcal{L} = -H(\hat p) \tag{4.18} $$


# %%
def climb(theta, steps, rate=2.0):
    """Gradient ascent on the mean log-likelihood of a softmax model."""
    for _ in range(steps):
        t = mg.tensor(theta, requires_grad=True)
        theta = (
            theta
            + rate * mg.grad(-divergences.cross_entropy(empirical, ops.softmax(t, axis=-1)), t).data
        )
    return theta


learned = climb(np.array([3.0, 0.0, -2.0, 1.0]), steps=400)
fitted = np.exp(learned) / np.exp(learned).sum()
check("4.18", "gradient ascent ends at p_θ = p̂", fitted, empirical, atol=1e-10)

# %% [markdown]
# Mind what this says. The best model of 200 data *is* the table of these data, not the truth behind them. With few data
# the two are far apart, and no objective that only sees the data can know better. Take 20 outcomes, all equally likely,
# and 10 data. At least 10 outcomes are missing from the sample, so any model that equals the sample is off by a total
# variation (half the sum of $|p - q|$, lesson 5) of at least one half:
#
# $$ \tfrac12 \sum_i \left|p_i - \hat p_i\right| \ge 1 - \frac{N}{n},
# \qquad \mathrm{KL}(p \,\Vert\, \hat p) = \infty \tag{4.19} $$
#
# > **Aside: GANs for scarce data?** Article S0, section 1.1, recommends GANs for cases where data are scarce. A GAN's
# > objective (lesson 7) compares $p_g$ with the *sample* as well. Its best $p_g$ is $\hat p$, and the truth itself
# > scores worse: scarce data are a problem for a GAN as for anyone else.

# %%
few = np.bincount(rng.integers(0, 20, size=10), minlength=20) / 10
truth20 = np.full(20, 1 / 20)
check("4.19", "10 data of 20 outcomes: the optimum is off by at least 1/2",
      divergences.total_variation(truth20, few), 0.5, atol=1e-15, relation=">=", errata="S0.2")  # fmt: skip
check("4.19a", "and excludes outcomes that will come", divergences.kl(truth20, few), math.inf,
      atol=0, errata="S0.2")  # fmt: skip
check("4.19b", "a GAN's JSD(p̂, p_g) is 0 at p_g = p̂ and large at the truth",
      [divergences.jsd(few, few), -divergences.jsd(few, truth20)], [0.0, -0.2], atol=0,
      relation="<=", errata="S0.2")  # fmt: skip

# %% [markdown]
# ## 5. Densities
#
# For a density $p(x)$ the sums become integrals. The **differential entropy** is
#
# $$ h(p) = -\int p(x) \log p(x)\,dx, \qquad
# h\left(\mathcal{N}(\mu, \sigma^2)\right) = \tfrac12 \log\left(2\pi e\,\sigma^2\right) \tag{4.20} $$
#
# For the Gaussian $-\log p(x) = \frac12\log(2\pi\sigma^2) + \frac{(x-\mu)^2}{2\sigma^2}$, and the average of
# $(x-\mu)^2/\sigma^2$ is 1: that is the $e$ under the logarithm. Note what has been lost: densities may exceed 1, so
# $h$ may be **negative** (for $\sigma < 1/\sqrt{2\pi e} = 0.242$), and it depends on the unit of $x$.
# [entropy_1d](../minigan/theory/densities.py#entropy_1d) integrates;
# [entropy](../minigan/theory/gaussians.py#entropy) is the closed form.


# %%
def normal(mean, std):
    """The log-density of N(mean, std²), as a function."""
    return lambda x: gaussians.log_density(x, mean, std**2)


line = dict(low=-30.0, high=30.0)
check("4.20", "h(N(1, 2²)) by quadrature = ½ log(2πe·4)",
      densities.entropy_1d(normal(1.0, 2.0), **line), 0.5 * math.log(2 * math.pi * math.e * 4),
      atol=1e-12)  # fmt: skip
check("4.20a", "h(N(0, 0.1²)) < 0", stats.norm(0, 0.1).entropy(), 0.0, atol=0, relation="<=")

# %% [markdown]
# If $X$ is measured in other units, $Y = cX$, densities shrink by $c$ and the entropy moves. A *divergence* has the
# density in numerator and denominator, and the unit cancels:
#
# $$ h(cX) = h(X) + \log c \quad (c > 0), \qquad
# \mathrm{KL}(p_{cX} \,\Vert\, q_{cX}) = \mathrm{KL}(p_X \,\Vert\, q_X) \tag{4.21} $$
#
# That is why one compares models by divergences and never by entropies of different scales.

# %%
inches, centimetres = (
    densities.entropy_1d(normal(0.0, 1.0), **line),
    densities.entropy_1d(normal(0.0, 2.54), **line),
)
check("4.21", "h(2.54 X) = h(X) + log 2.54", centimetres, inches + math.log(2.54), atol=1e-12)
in_inches = densities.kl_1d(normal(0.0, 1.0), normal(1.0, 1.5), **line)
in_centimetres = densities.kl_1d(normal(0.0, 2.54), normal(2.54, 3.81), low=-80, high=80)
check("4.21a", "KL is the same in inches and in centimetres", in_centimetres, in_inches, atol=1e-12)

# %% [markdown]
# For two Gaussians everything can be integrated, again with the average of $(x - \mu_q)^2$, which under $p$ is
# $\sigma_p^2 + (\mu_p - \mu_q)^2$:
#
# $$ \mathrm{KL}\left(\mathcal{N}(\mu_p, \sigma_p^2) \,\Vert\, \mathcal{N}(\mu_q, \sigma_q^2)\right)
# = \log\frac{\sigma_q}{\sigma_p} + \frac{\sigma_p^2 + (\mu_p - \mu_q)^2}{2\sigma_q^2} - \frac12 \tag{4.22} $$

# %%
closed = math.log(1.5 / 1.0) + (1.0**2 + (0.0 - 1.0) ** 2) / (2 * 1.5**2) - 0.5
check("4.22", "KL(N(0,1)‖N(1,1.5²)): formula = quadrature", closed, in_inches, atol=1e-13)
check("4.22a", "KL(N(0,1)‖N(1,1.5²)): formula = minigan", closed,
      gaussians.kl(0.0, 1.0, 1.0, 1.5**2), atol=1e-14)  # fmt: skip

# %% [markdown]
# ### The likelihood of a Gaussian
#
# For the model $\mathcal{N}(\mu, \sigma^2)$, (4.14) reads
# $\mathcal{L} = -\frac12\log(2\pi\sigma^2) - \frac{1}{2\sigma^2}\frac1N\sum_n (x_n - \mu)^2$. Set both derivatives to
# 0: the first gives $\sum_n (x_n - \mu) = 0$, the second
# $-\frac{1}{2\sigma^2} + \frac{1}{2\sigma^4}\frac1N\sum_n (x_n-\mu)^2 = 0$:
#
# $$ \hat\mu = \frac1N \sum_n x_n, \qquad \hat\sigma^2 = \frac1N \sum_n (x_n - \hat\mu)^2, \qquad
# \mathcal{L}(\hat\mu, \hat\sigma^2) = -\tfrac12 \log\left(2\pi e\,\hat\sigma^2\right) \tag{4.23} $$
#
# It is the maximum, since it is the only such point, and $\mathcal{L} \to -\infty$ for $|\mu| \to \infty$,
# $\sigma \to 0$ and $\sigma \to \infty$ (if the data are not all equal). There the mean log-likelihood is minus the
# *model's own* entropy.

# %%
x = rng.gamma(2.0, size=500)  # any data at all: the formula does not ask
moments = [
    mg.tensor(np.array(m), requires_grad=True) for m in (x.mean(), np.mean((x - x.mean()) ** 2))
]
value = ops.mean(gaussians.log_density(x, *moments))
slopes = [slope.item() for slope in mg.grad(value, moments)]
check("4.23a", "∂L/∂μ = ∂L/∂σ² = 0 at the mean and the mean square", slopes, 0.0, atol=1e-14)
check("4.23", "L = −½ log(2πe σ̂²)", value, -gaussians.entropy(moments[1].data), atol=1e-13)

# %% [markdown]
# The maximum-likelihood variance divides by $N$, not by $N - 1$. It is too small on average, because $\hat\mu$ is
# fitted to the very data it is compared with. Let $\mu$ and $\sigma^2$ be the true mean and variance. Write
# $x_n - \hat\mu = (x_n - \mu) - (\hat\mu - \mu)$, square, and sum; as $\sum_n (x_n - \mu) = N (\hat\mu - \mu)$, the
# mixed term is $-2 N (\hat\mu - \mu)^2$, and
#
# $$ \sum_n (x_n - \hat\mu)^2 = \sum_n (x_n - \mu)^2 - N (\hat\mu - \mu)^2 $$
#
# On average the first sum is $N \sigma^2$. For independent draws the variance of a sum is the sum of the variances, so
# $\mathbb{E}(\hat\mu - \mu)^2 = \frac{1}{N^2} N \sigma^2 = \sigma^2/N$, and the last term is $\sigma^2$ on average.
# What is left is $(N - 1)\,\sigma^2$; divide by $N$:
#
# $$ \mathbb{E}\,\hat\sigma^2 = \frac{N-1}{N}\,\sigma^2 \tag{4.24} $$
#
# We need no simulation for that: with three draws of a four-sided die there are 64 samples, and we average over all.

# %%
faces = np.array([1.0, 2.0, 3.0, 4.0])
draws = np.array(list(itertools.product(faces, repeat=3)))
check("4.24", "E σ̂² = (2/3) σ², over all 64 samples", draws.var(axis=1).mean(),
      2 / 3 * np.mean((faces - 2.5) ** 2), atol=1e-14)  # fmt: skip

# %% [markdown]
# How sharply do data tell $\theta$ from its neighbours? Expand the KL to $p_{\theta+\varepsilon}$, which is
# $\mathbb{E}_{p_\theta}\left[\log p_\theta - \log p_{\theta+\varepsilon}\right]$, in $\varepsilon$. At 0 it is 0. With
# $\partial = \partial_\theta$, the slope there is minus the mean of the **score**
# $\partial \log p_\theta = \partial p_\theta / p_\theta$, and that is 0, because probabilities keep their sum:
#
# $$ \mathbb{E}_{p_\theta}\left[\partial \log p_\theta\right] = \sum_x p_\theta \frac{\partial p_\theta}{p_\theta}
# = \partial \sum_x p_\theta = \partial 1 = 0 $$
#
# The curvature is $-\mathbb{E}_{p_\theta}[\partial^2 \log p_\theta]$. Differentiate the quotient
# $\partial p_\theta/p_\theta$ once more, and average; $\sum_x \partial^2 p_\theta$ is 0 again:
#
# $$ \partial^2 \log p_\theta = \frac{\partial^2 p_\theta}{p_\theta} - \left(\partial \log p_\theta\right)^2, \qquad
# -\mathbb{E}_{p_\theta}\left[\partial^2 \log p_\theta\right]
# = 0 + \mathbb{E}_{p_\theta}\left[\left(\partial \log p_\theta\right)^2\right] $$
#
# The mean square of the score is the **Fisher information** $I$. Half of the curvature goes with $\varepsilon^2$:
#
# $$ \mathrm{KL}(p_\theta \,\Vert\, p_{\theta+\varepsilon}) = \tfrac12 I(\theta)\,\varepsilon^2 + O(\varepsilon^3), \qquad
# I(\theta) = \mathbb{E}_{p_\theta}\left[\left(\partial_\theta \log p_\theta\right)^2\right] \tag{4.25} $$
#
# Our one-parameter family has $\log p_\theta(i) = \theta\,i - \log \sum_j e^{\theta j}$. The derivative of the second
# term is $-\sum_j j e^{\theta j} / \sum_j e^{\theta j} = -\mathbb{E}\,i$, so the score of outcome $i$ is
# $i - \mathbb{E}\,i$, and $I$ is the variance of $i$. Autodiff differentiates KL twice.

# %%
index = np.arange(4.0)
one_family = lambda t: ops.softmax(t * index, axis=-1)
at = np.array(0.4)
weights = one_family(mg.tensor(at)).data
curvature = mg.hessian(lambda t: divergences.kl(weights, one_family(t)), at)
check("4.25", "KL″ at ε = 0 is I(θ) = Var(i)", curvature, weights @ (index - weights @ index) ** 2,
      atol=1e-13, identity=14)  # fmt: skip
eps = 1e-3
quotient = divergences.kl(weights, one_family(mg.tensor(np.array(at + eps))).data) / (0.5 * eps**2)
check("4.25a", "KL(θ, θ+ε) / (ε²/2) = I + O(ε)", quotient, curvature, atol=2 * eps)

# %% [markdown]
# ## 6. Two ways to be wrong: cover or choose
#
# Now the question from the beginning. The data density is
# $p = \frac12 \mathcal{N}(-2, 0.6^2) + \frac12\mathcal{N}(2, 0.6^2)$, and the model $q$ is one Gaussian. It cannot be
# right. What it does instead depends on the order of the arguments.


# %%
clumps = stats.norm(-2, 0.6), stats.norm(2, 0.6)


def log_p(x):
    """The log-density of the two clumps."""
    return np.logaddexp(*(clump.logpdf(x) for clump in clumps)) - math.log(2)


grid_x, grid_w = densities.quadrature(-25, 25)
log_p_there = log_p(grid_x)


def kl_of_fit(mean, log_std, *, forward):
    """KL(p‖q) or KL(q‖p) for q = N(mean, e^(2 log_std)), as a sum over points and weights that stay where they are."""
    log_q = gaussians.log_density(grid_x, mean, ops.exp(2 * log_std))
    log_of, log_other = (log_p_there, log_q) if forward else (log_q, log_p_there)
    return ops.sum(grid_w * ops.exp(log_of) * (log_of - log_other))


# %% [markdown]
# **Forward**, $\mathrm{KL}(p \,\Vert\, q)$, is maximum likelihood with endless data. By the argument of (4.23), with
# averages over $p$ in place of averages over samples, the best Gaussian has the mean and the variance of $p$. The
# variance of a mixture is that within the clumps plus that of their centres:
#
# $$ \mu^* = \mathbb{E}_p[x] = 0, \qquad \sigma^{*2} = \operatorname{Var}_p(x) = 0.6^2 + 2^2 = 4.36 \tag{4.26} $$

# %%
forward_std = math.sqrt(4.36)
start = [mg.tensor(np.array(v), requires_grad=True) for v in (0.0, math.log(forward_std))]
slopes = mg.grad(kl_of_fit(*start, forward=True), start)
check("4.26", "the gradient of KL(p‖q) vanishes at the moments of p", [s.item() for s in slopes],
      0.0, atol=1e-12)  # fmt: skip
second = np.sum(grid_w * np.exp(log_p(grid_x)) * grid_x**2)
check("4.26a", "Var_p = 0.36 + 4", second, 4.36, atol=1e-12)

# %% [markdown]
# That answers the prediction. The model says that data are most likely at $x = 0$, in the gap, where
#
# $$ \frac{p(0)}{\max p} \approx 2\,e^{-(2/0.6)^2/2} = 0.0077 = \frac{1}{129} \tag{4.27} $$
#
# A hundredth, not a tenth. And more than a third of what the model generates, 38 %, falls where $p$ is below a tenth of
# its peak. For images this is blur: the average of two sharp pictures is likely under the model and is no picture.

# %%
ratio = math.exp(log_p(0.0) - log_p(2.0))
check("4.27", "p(0) / max p = 1/129", ratio, 2 * math.exp(-((2 / 0.6) ** 2) / 2), atol=1e-6)
low_p = log_p(grid_x) < log_p(2.0) - math.log(10)
share = np.sum(grid_w[low_p] * stats.norm(0, forward_std).pdf(grid_x[low_p]))
edge = (
    optimize.brentq(lambda t: log_p(t) - log_p(2.0) + math.log(10), 0.1, 2),
    optimize.brentq(lambda t: log_p(t) - log_p(2.0) + math.log(10), 2, 6),
)
by_cdf = 1 - 2 * (stats.norm.cdf(edge[1] / forward_std) - stats.norm.cdf(edge[0] / forward_std))
check("4.27a", "the model's share where p is below a tenth of its peak", share, by_cdf, atol=5e-3)
print(
    f"p(0) / max p = 1/{1 / ratio:.0f}; share of the model below a tenth of the peak: {by_cdf:.3f}"
)

# %% [markdown]
# **Reverse**, $\mathrm{KL}(q \,\Vert\, p)$, averages over the *model's* points. A point that the model generates in the
# gap costs $\log(q/p)$, which is large; a clump that the model never visits costs nothing. So let $q$ retreat into one
# clump. There $p \approx \frac12\,\mathcal{N}(2, 0.6^2)$, and if $q$ is that clump, the ratio $q/p$ is 2 everywhere:
#
# $$ \mathrm{KL}(q \,\Vert\, p) \approx \mathbb{E}_q \log\frac{q}{q/2} = \log 2 \tag{4.28} $$
#
# We minimise by gradient descent, with derivatives that pass through the quadrature, from mean 1 and width 1, and
# compare with SciPy's minimiser, which uses no gradient of ours.


# %%
def descend(mean, log_std, steps, rate=0.1):
    """Gradient descent on KL(q‖p) over the mean and the log of the deviation."""
    at = [mean, log_std]
    for _ in range(steps):
        tensors = [mg.tensor(np.array(v), requires_grad=True) for v in at]
        slopes = mg.grad(kl_of_fit(*tensors, forward=False), tensors)
        at = [v - rate * s.data for v, s in zip(at, slopes, strict=True)]
    return float(at[0]), math.exp(at[1])


reverse_mean, reverse_std = descend(1.0, 0.0, steps=200)
reverse = lambda v: kl_of_fit(
    mg.tensor(np.array(v[0])), mg.tensor(np.array(v[1])), forward=False
).item()
found = optimize.minimize(
    reverse, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}
)
check("4.28", "KL(q‖p) at its minimum = log 2", found.fun, math.log(2), atol=2e-3)
check("4.28a", "gradient descent finds SciPy's minimum", [reverse_mean, math.log(reverse_std)],
      found.x, atol=1e-5)  # fmt: skip
print(f"mean {reverse_mean:.3f}, width {reverse_std:.3f}, KL(q‖p) = {found.fun:.4f}")

# %% [markdown]
# It has chosen the right-hand clump, mean 1.997 and width 0.605; started at $-1$, it would have chosen the other. By
# the forward KL that choice is a disaster, since half of the data are nearly impossible:
#
# $$ \mathrm{KL}(p \,\Vert\, q_{\text{one clump}}) \approx -\log 2 + \frac12 \cdot \frac{4^2}{2 \cdot 0.6^2} = 10.4,
# \qquad \mathrm{KL}(p \,\Vert\, q_{\text{wide}}) = 0.56 \tag{4.29} $$
#
# (Half of the points sit 4 away from the model's centre, and pay $4^2/(2 \cdot 0.6^2) = 22.2$; (4.22) shows that term.
# The $-\log 2$ comes from the factor $\frac12$ that $p$ has on both clumps.)

# %%
one_clump = densities.kl_1d(log_p, normal(2.0, 0.6), low=-25, high=25)
covering = densities.kl_1d(log_p, normal(0.0, forward_std), low=-25, high=25)
check("4.29", "KL(p‖one clump) = 16 / (4·0.36) − log 2", one_clump, 16 / (4 * 0.36) - math.log(2),
      atol=2e-3)  # fmt: skip
check("4.29a", "KL(p‖wide) = h(wide) − h(p)", covering,
      gaussians.entropy(4.36) - densities.entropy_1d(log_p, low=-25, high=25), atol=1e-12)  # fmt: skip

# %%
fig, axes = figure(1, 2, width=7.2, height=3.2, sharey=True)
xs = np.linspace(-6, 6, 601)
for ax, title in zip(
    axes, ("min KL(p ‖ q): covers both", "min KL(q ‖ p): chooses one"), strict=True
):
    ax.fill_between(xs, np.exp(log_p(xs)), color="#D9D9D9")
    ax.set(xlabel="x", title=title, ylim=(0, 0.72))
axes[0].plot(xs, stats.norm(0, forward_std).pdf(xs), color=BLUE)
axes[0].annotate(
    "model q",
    (0, 0.191),
    xytext=(0, 40),
    textcoords="offset points",
    color=BLUE,
    ha="center",
    arrowprops={"arrowstyle": "-", "color": BLUE},
)
axes[0].annotate(
    "data p",
    (-2.0, 0.335),
    xytext=(-8, 4),
    textcoords="offset points",
    color="#555555",
    ha="center",
)
axes[1].plot(xs, stats.norm(reverse_mean, reverse_std).pdf(xs), color=ORANGE)
axes[1].plot(xs, stats.norm(-reverse_mean, reverse_std).pdf(xs), color=GREEN, linestyle="--")
axes[1].annotate("started\nright", (3.2, 0.5), color=ORANGE)
axes[1].annotate("started\nleft", (-3.2, 0.5), color=GREEN, ha="right")
axes[0].set_ylabel("density")
show(fig, "cover-or-choose",
     alt="One Gaussian fitted to two clumps: forward KL spans both and the gap, reverse takes one")  # fmt: skip

# %% [markdown]
# Does the reverse KL always choose? Start nearer to the middle, at mean 0.5, and the descent ends at mean 0 and width
# 1.79: a wide model again, though its reverse KL is worse than that of one clump,
#
# $$ \mathrm{KL}(q_{\text{middle}} \,\Vert\, p) = 1.138 > 0.692 = \mathrm{KL}(q_{\text{one clump}} \,\Vert\, p) \tag{4.30} $$
#
# The gradient vanishes there and the second derivatives are positive in all directions: it is a true local minimum. A
# narrower model in the middle would sit in the gap; a small step to the side gains too little. So the proverb that
# reverse KL seeks modes speaks of its *best* solution. Which one a descent finds depends on where it starts.

# %%
middle = descend(0.5, 0.0, steps=300)
at_middle = np.array([0.0, math.log(middle[1])])
reverse_kl = lambda v: kl_of_fit(v[0], v[1], forward=False)
widest = optimize.minimize_scalar(lambda s: reverse([0.0, s]), bounds=(0.0, 1.0), method="bounded")
print(f"mean {middle[0]:.4f}, width {middle[1]:.2f}, KL(q‖p) = {reverse(at_middle):.4f}")
check("4.30", "from mean 0.5 the descent ends at mean 0, at the best width there",
      [*middle, reverse(at_middle)], [0, math.exp(widest.x), widest.fun], atol=5e-4)  # fmt: skip
check(
    "4.30c", "where KL(q‖p) is larger", reverse(at_middle), found.fun + 0.4, atol=0, relation=">="
)
curvatures = np.linalg.eigvalsh(mg.hessian(reverse_kl, at_middle).data)
check(
    "4.30a", "a local minimum: both curvatures are positive", curvatures, 0.3, atol=0, relation=">="
)

# %% [markdown]
# The whole landscape shows it better than single solutions. Forward KL, as a function of the model's mean and width,
# has one basin. Reverse KL has three, with ridges between them: here *are* local optima one can get stuck in.

# %%
means, stds = np.linspace(-3.5, 3.5, sized(71, 29)), np.linspace(0.3, 3.0, sized(55, 19))
nodes, w = densities.quadrature(-16, 16, panels=64, nodes=8)
log_q = (
    -0.5 * ((nodes - means[None, :, None]) / stds[:, None, None]) ** 2
    - np.log(stds[:, None, None])
    - 0.5 * math.log(2 * math.pi)
)
p_nodes = log_p(nodes)
forward_map = np.sum(w * np.exp(p_nodes) * (p_nodes - log_q), axis=-1)
reverse_map = np.sum(w * np.exp(log_q) * (log_q - p_nodes), axis=-1)
by_formula = -densities.entropy_1d(log_p, low=-25, high=25) + 0.5 * np.log(
    2 * np.pi * stds[:, None] ** 2
)
by_formula = by_formula + (4.36 + means**2) / (2 * stds[:, None] ** 2)
check("4.30b", "forward KL at every point of the map: quadrature = closed form", forward_map,
      by_formula, atol=1e-9)  # fmt: skip

# %%
fig, axes = figure(1, 2, width=7.2, height=3.1, sharey=True)
for ax, values, title in zip(
    axes, (forward_map, reverse_map), ("KL(p ‖ q)", "KL(q ‖ p)"), strict=True
):
    levels = [0.55, 0.7, 0.85, 1, 1.2, 1.5, 2, 3, 5, 8, 12, 100]
    ax.contourf(means, stds, np.log(values), levels=np.log(levels), cmap="Blues", alpha=0.8)
    drawn = ax.contour(
        means, stds, values, levels=levels[1:-1], colors="#333333", linewidths=0.8, linestyles="-"
    )
    ax.clabel(drawn, fontsize=7, fmt="%g")
    ax.set(xlabel="mean of q", title=title)
axes[0].plot(0, forward_std, "o", color=BLACK, markersize=5)
axes[1].plot([-reverse_mean, reverse_mean], [reverse_std] * 2, "o", color=BLACK, markersize=5)
axes[1].plot(0, middle[1], "o", color=BLACK, markersize=5, markerfacecolor="white")
axes[0].set_ylabel("deviation of q")
show(
    fig,
    "landscape",
    alt="Contours of forward KL, one minimum; of reverse KL, one a clump and a shallow one between",
)

# %% [markdown]
# | | forward $\mathrm{KL}(p \,\Vert\, q)$ | reverse $\mathrm{KL}(q \,\Vert\, p)$ |
# |---|---|---|
# | averages over | the data | the model's samples |
# | infinite where | data come that $q$ excludes | the model generates what $p$ excludes |
# | a model too small | covers all modes, and the gaps | may choose modes, and drop others |
# | looks like | blur | few modes, sharp |
# | needs | $\log q$ at the data: a density | $\log p$ at fakes: the data's density, unknown |
#
# The GAN losses of lesson 8 will turn out to stand on both sides of this table. A model that can be $p$ is $p$ at either
# minimum. And that GANs drop modes does not follow from this column: GANs that minimise the forward KL make few modes as
# well (Goodfellow 2016, arXiv 1701.00160, section 3.2.5).
#
# ## 7. Where the road ends
#
# To maximise a likelihood one must compute $\log p_\theta(x)$ at the data. A GAN's generator produces points and no
# density; if $z$ has fewer dimensions than $x$, there *is* no density (lesson 3). So one needs a way of comparing $p$
# and $p_g$ through samples alone. The discriminator will be that way, from lesson 7 on.
#
# Nor would the likelihood say what one wants to know. Mix a good model $p_\theta$ with pure noise $r$, one part in a
# hundred, ninety-nine in a hundred (Theis, van den Oord, Bethge 2015). The mixture draws garbage 99 times out of 100.
# Its log-likelihood? A sum is at least its first term, so at *every* data point
#
# $$ \log\left(0.01\,p_\theta(x) + 0.99\,r(x)\right) \ge \log p_\theta(x) - \log 100 \tag{4.31} $$
#
# The loss is at most $\log 100 = 4.61$ nats **an image**, and good models of small images differ by hundreds of nats.
# In numbers: points of 784 coordinates, the good model a Gaussian of width 0.5 (right), a rival of width 0.6 (wrong,
# but always sensible), and the mixture with noise. The mixture of garbage wins, by about 19 nats.

# %%
dims = 784
images = 0.5 * rng.standard_normal((sized(400, 100), dims))
score = lambda std: np.sum(stats.norm(0, std).logpdf(images), axis=1)
good, rival, noise = score(0.5), score(0.6), score(5.0)
mixture = np.logaddexp(math.log(0.01) + good, math.log(0.99) + noise)
check("4.31", "log(0.01 p + 0.99 r) ≥ log p − log 100", mixture, good - math.log(100), atol=1e-9,
      relation=">=")  # fmt: skip
check("4.31a", "99 % garbage beats the sensible rival, in mean log-likelihood", mixture.mean(),
      rival.mean(), atol=0, relation=">=")  # fmt: skip
print(
    f"good {good.mean():.1f}, 99 % garbage {mixture.mean():.1f}, "
    f"sensible rival {rival.mean():.1f} nats an image"
)

# %% [markdown]
# **What to remember.** Entropy is the average surprise; cross entropy is what a wrong belief pays; KL is the
# difference, never negative, by $\log u \le u - 1$. Maximum likelihood minimises
# $\mathrm{KL}(\hat p \,\Vert\, p_\theta)$. Forward KL covers, reverse KL chooses. Forward KL is infinite as soon as
# data come that the model excludes, reverse KL as soon as the model makes what the data exclude; for images both are
# the normal case. The next lesson has a divergence that never is infinite.
#
# ## Exercises
#
# Write each function; the property below it decides. Give back NumPy numbers and arrays. Run the file again
# (`python lessons/04_entropy_and_likelihood.py`) and read the verdict, with the smallest counterexample if it is wrong.


# %%
def cross_entropy_of_logits(p, logits):
    """H(p, softmax(logits)) in nats, for logits as large as ±1000, without overflow."""
    # Hint: write log q as logit minus log-sum-exp first; never form q. Lesson 2 has the stable
    # sum.
    raise NotImplementedError


def logits_property(answer, pair, logits, size):
    p = pair[0]
    logits = size * np.resize(logits, p.size)
    surprise = np.array([np.asarray(answer(sure, logits)).item() for sure in np.eye(p.size)])
    close = {"rtol": 1e-9, "atol": 1e-9}
    assert np.isclose(np.exp(-surprise).sum(), 1, **close), (
        "the model's probabilities don't sum to 1"
    )
    assert np.allclose(surprise[0] - surprise, logits - logits[0], **close), (
        f"for p sure of one outcome after the other got {surprise}, which don't differ like the logits"
    )
    got = np.asarray(answer(p, logits)).item()
    assert np.isclose(got, p @ surprise, **close), f"got {got}, no mean of the surprises {surprise}"


grade("4.E1", cross_entropy_of_logits, logits_property, pair=tables(1, max_size=6),
      logits=arrays(6, -1, 1), size=floats(1, 1000))  # fmt: skip


# %%
def best_forecast(outcomes, n):
    """The table q over n outcomes with the least average surprise -log q[x] over `outcomes`."""
    # Hint: the average surprise is a cross entropy. Of which table with q? Then Gibbs'
    # inequality.
    raise NotImplementedError


def forecast_property(answer, counts):
    outcomes = np.repeat(np.arange(counts.size), counts)
    q = np.asarray(answer(list(outcomes), counts.size), dtype=float)
    assert q.shape == counts.shape and abs(q.sum() - 1) < 1e-9, "not a probability table"
    with np.errstate(divide="ignore"):
        yours = -np.mean(np.log(q[outcomes]))
    best = stats.entropy(counts)  # H(p̂), by (4.15)
    assert yours <= best + 1e-12, f"the best average surprise is {best}, yours is {yours}"


some = st.lists(st.integers(1, 20), min_size=2, max_size=5).map(np.array)
grade("4.E2", best_forecast, forecast_property, counts=some)


# %%
def fit_gaussian(x):
    """(mean, variance) of the Gaussian with the largest likelihood for the samples x."""
    # Hint: both derivatives of the mean log-likelihood vanish at (4.23).
    raise NotImplementedError


def gaussian_property(answer, x, step):
    mean, variance = answer(x)
    score = lambda m, v: np.mean(stats.norm(m, math.sqrt(v)).logpdf(x))
    for m, v in (
        (mean + step, variance),
        (mean - step, variance),
        (mean, variance * (1 + step)),
        (mean, variance / (1 + step)),
    ):
        assert score(mean, variance) >= score(m, v) - 1e-12, (
            f"mean {m}, variance {v} is more likely"
        )


spread_out = arrays(5, -10, 10).filter(lambda x: np.std(x) > 0.1)
grade("4.E3", fit_gaussian, gaussian_property, x=spread_out, step=floats(0.01, 0.5))


# %%
def forward_fit(weights, means, stds):
    """(mean, standard deviation) of the Gaussian q with the least KL(p‖q).

    p is the mixture of N(means, stds²) by weights.
    """
    # Hint: forward KL asks for the same mean and mean square as p has; a mixture's variance has
    # two parts.
    raise NotImplementedError


def forward_property(answer, weights, means, stds):
    weights = weights[0]
    means, stds = np.resize(means, weights.size), np.resize(stds, weights.size)
    mean, std = answer(weights, means, stds)
    cross = lambda m, s: math.log(s) + weights @ (stds**2 + (means - m) ** 2) / (2 * s**2)
    best = optimize.minimize(lambda v: cross(v[0], math.exp(v[1])), [0.0, 1.0], method="BFGS")
    assert cross(mean, std) <= best.fun + 1e-6, (
        f"mean {best.x[0]:.4f}, deviation {math.exp(best.x[1]):.4f} is better"
    )


grade("4.E4", forward_fit, forward_property, weights=tables(1, min_size=2, max_size=4, bound=2.0),
      means=arrays(4, -5, 5), stds=arrays(4, 0.2, 2))  # fmt: skip


# %%
def kl_from_parts(px, qx, p_given, q_given):
    """KL of two joint tables, from the laws px, qx of x and those of y given x, a row for each x."""
    # Hint: the chain rule: KL of the parts you see first, plus a mean KL of what is left. A mean
    # over which law?
    raise NotImplementedError


def parts_property(answer, marginals, rows):
    px, qx = marginals
    p_given, q_given = (
        np.stack([r] + [rows[1]] * (px.size - 1)) for r in rows
    )  # the labels differ at the first x only
    joint = divergences.kl((px[:, None] * p_given).ravel(), (qx[:, None] * q_given).ravel())
    assert np.isclose(answer(px, qx, p_given, q_given), joint, rtol=1e-9, atol=1e-12), (
        f"expected {joint}"
    )


grade("4.E5", kl_from_parts, parts_property, marginals=tables(2, max_size=4),
      rows=tables(2, max_size=4))  # fmt: skip

# %% [markdown]
# ## What to read next
#
# - C. Shannon, *A Mathematical Theory of Communication* (1948), part I: entropy, and (4.4).
# - T. Cover, J. Thomas, *Elements of Information Theory*, chapter 2: chain rules and data processing.
# - S. Kullback, R. Leibler, *On Information and Sufficiency* (1951): the divergence.
# - T. Minka, *Divergence measures and message passing* (2005, Microsoft Research TR-2005-173): forward against reverse.
# - L. Theis, A. van den Oord, M. Bethge, *A note on the evaluation of generative models* (2015, arXiv 1511.01844),
#   section 3: (4.31) and its relatives.
# - Next: [lesson 5](05_jsd_and_friends.py), the divergence that GANs are said to minimise, and its family.
