# %% [markdown]
# # 5. JSD and its friends
#
# KL is infinite as soon as $p$ allows what $q$ excludes, and for images that is always (lesson 4). The Jensen-Shannon
# divergence repairs this with one small idea: compare both with their *average*. It is the divergence that the
# original GAN minimises (lesson 7), so this lesson takes it apart: what it measures, how large it can be, how it is
# related to the other ways of telling two distributions apart, and why it stops being of help exactly when two
# distributions are far apart.
#
# You need: entropy and KL (lesson 4), densities (lesson 3), gradients (lesson 1).
#
# **Predict first.** Two bell curves of width 1, their centres $d$ apart. At $d = 1$ their JSD is 0.111 nats. What is
# it at $d = 4$, at $d = 8$, at $d = 16$? Article S0, section 2.1.3, praises the JSD because it "tends to infinity"
# when distributions are far apart. Write down your three numbers. Section 7 has ours.

# %%
import itertools
import math

import numpy as np
from scipy import integrate, stats
from scipy.special import rel_entr

import minigan as mg
from minigan import ops
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLACK, BLUE, GREY, ORANGE
from minigan.lessons.strategies import floats, tables
from minigan.theory import densities, divergences, estimators, gaussians

LOG2 = math.log(2)
rng = np.random.Generator(np.random.Philox(5))


def random_tables(count, n, concentration=1.0):
    """`count` probability tables over n outcomes; a small concentration makes them nearly certain."""
    return rng.dirichlet(np.full(n, concentration), size=count)


p, q = (
    np.array([0.5, 0.5, 0.0]),
    np.array([0.0, 0.5, 0.5]),
)  # a worked example: they share the middle outcome
ps, qs = random_tables(1000, 5, 0.5), random_tables(1000, 5, 0.5)

# %% [markdown]
# ## 1. Compare with the average
#
# Let $m = \frac12 (p + q)$ be the mixture of two tables: toss a fair coin, then draw from $p$ or from $q$. The
# **Jensen-Shannon divergence** (Lin 1991) is the mean KL to the mixture:
#
# $$ \mathrm{JSD}(p, q) = \tfrac12 \mathrm{KL}(p \,\Vert\, m) + \tfrac12 \mathrm{KL}(q \,\Vert\, m) \tag{5.1} $$
#
# In the worked example $m = (\frac14, \frac12, \frac14)$. On the first outcome $p/m = 2$, on the middle one
# $p/m = 1$. So $\mathrm{KL}(p \,\Vert\, m) = \frac12 \log 2 + \frac12 \log 1$, the other term is the same by
# symmetry, and the JSD is $\frac12 \log 2 = 0.347$, where both KL between $p$ and $q$ are infinite.

# %%
m = (p + q) / 2
by_hand = 0.5 * (0.5 * math.log(2) + 0.5 * math.log(1)) * 2
check("5.1", "JSD of the example = ½ log 2", divergences.jsd(p, q), by_hand, atol=1e-15)
left = [divergences.kl(p, q), divergences.kl(q, p)]
check("5.1a", "where KL(p‖q) = KL(q‖p) = ∞", left, math.inf, atol=0)
mixtures = (ps + qs) / 2
scipy_jsd = 0.5 * rel_entr(ps, mixtures).sum(axis=1) + 0.5 * rel_entr(qs, mixtures).sum(axis=1)
left = divergences.jsd(ps, qs)
check("5.1b", "JSD: minigan = SciPy's terms, 1000 pairs", left, scipy_jsd, atol=1e-15)

# %% [markdown]
# Why is it always finite? Because the average never excludes anything that $p$ allows. It is at least half of $p$, so
# the ratio under the logarithm is at most 2:
#
# $$ m \ge \tfrac12 p \quad\Longrightarrow\quad \log\frac{p}{m} \le \log 2
# \quad\Longrightarrow\quad 0 \le \mathrm{JSD}(p, q) \le \log 2 = 0.693 \tag{5.2} $$
#
# The lower bound is Gibbs' inequality (4.8), with equality only for $p = m = q$. The upper bound is reached when
# $p/m = 2$ wherever $p > 0$, that is, where $q = 0$: **iff the two are disjoint**.

# %%
check("5.2", "JSD ≤ log 2", divergences.jsd(ps, qs), LOG2, atol=1e-15, relation="<=", identity=3)
check("5.2a", "0 ≤ JSD", divergences.jsd(ps, qs), 0.0, atol=0, relation=">=", identity=3)
apart = np.concatenate([ps, 0 * ps], axis=1), np.concatenate([0 * qs, qs], axis=1)
left = divergences.jsd(*apart)
check("5.2b", "disjoint: JSD = log 2, whatever the shapes", left, LOG2, atol=1e-14, identity=3)
overlap = np.minimum(ps, qs).sum(axis=1)
left = LOG2 - divergences.jsd(ps, qs)
right = overlap * LOG2
check("5.2c", "any overlap keeps it below: log 2 − JSD ≥ overlap · log 2",
      left, right, atol=1e-15, relation=">=")  # fmt: skip

# %% [markdown]
# Split the logarithms in (5.1). The parts with $\log p$ and $\log q$ are entropies; the parts with $\log m$ add up to
# $-\sum \frac12(p + q) \log m = -\sum m \log m$, the entropy of the mixture:
#
# $$ \mathrm{JSD}(p, q) = H(m) - \tfrac12 H(p) - \tfrac12 H(q) \tag{5.3} $$
#
# Mixing two tables makes the outcome less certain, and the JSD is how much less. That is Jensen's inequality for the
# concave function $H$, which is where the first name comes from. [jsd](../minigan/theory/divergences.py#jsd) is
# tested on random tables by
# [identity 4](../tests/test_identities_divergences.py#test_identity_04_jsd_is_mutual_information).

# %%
by_entropies = (
    stats.entropy(mixtures, axis=1)
    - 0.5 * stats.entropy(ps, axis=1)
    - 0.5 * stats.entropy(qs, axis=1)
)
left = divergences.jsd(ps, qs)
check("5.3", "JSD = H(m) − H(p)/2 − H(q)/2", left, by_entropies, atol=1e-14, identity=4)

# %% [markdown]
# A warning to those who type (5.1) themselves. The smallest positive float is $t = 5 \cdot 10^{-324}$, and its half
# rounds to zero. Then $m = 0$ where $p = t > 0$, and an outcome that practically never comes makes the bounded
# divergence infinite. A softmax of 32-bit logits reaches its own smallest number easily. The cure is algebra: where
# $q = 0$, $\log(p/m)$ *is* $\log 2$.

# %%
tiny = np.array([5e-324, 1.0]), np.array([0.0, 1.0])
with np.errstate(divide="ignore"):
    typed = 0.5 * rel_entr(tiny[0], (tiny[0] + tiny[1]) / 2).sum()
check("5.3a", "(5.1) as typed: infinite", typed, math.inf, atol=0)
small = np.array([1e-300, 1.0]), tiny[1]
check("5.3b", "minigan: t log(2)/2, at t = 1e-300 and, rounded to 0, at 5e-324",
      [divergences.jsd(*small), divergences.jsd(*tiny)], [0.5e-300 * LOG2, 0.0],
      atol=0, rtol=1e-13)  # fmt: skip

# %% [markdown]
# ## 2. What it measures: a guessing game
#
# Somebody tosses a fair coin $Z$. At heads ($Z = 1$) they draw $x$ from $p$, at tails ($Z = 0$) from $q$. They show
# you $x$, and you have to say what the coin was. How much does $x$ tell you about $Z$? Information theory has a
# number for it: the **mutual information**, the KL between the joint law and what it would be if $x$ and $Z$ had
# nothing to do with each other:
#
# $$ I(X; Z) = \mathrm{KL}\left(P(x, z) \,\Vert\, P(x)\,P(z)\right)
# = \sum_{x, z} P(x, z) \log \frac{P(x, z)}{P(x)\,P(z)} \tag{5.4} $$
#
# Here $P(x, 1) = \frac12 p(x)$, $P(x, 0) = \frac12 q(x)$, $P(x) = m(x)$ and $P(z) = \frac12$. Put them in: the
# fractions are $p/m$ and $q/m$, and
#
# $$ I(X; Z) = \sum_x \tfrac12 p(x) \log\frac{p(x)}{m(x)} + \sum_x \tfrac12 q(x) \log\frac{q(x)}{m(x)}
# = \mathrm{JSD}(p, q) \tag{5.5} $$
#
# So the JSD is *how much a sample reveals of its origin*. Now the bound is no surprise: a fair coin holds one bit,
# and nothing can reveal more of it than $\log 2$.

# %%
joint = np.stack([p, q]) / 2  # rows: the coin; columns: x
independent = np.outer([0.5, 0.5], joint.sum(axis=0))
information = rel_entr(joint, independent).sum()
check("5.4", "I(X; Z) of the example, from its six joint probabilities",
      information, 0.5 * LOG2, atol=1e-15)  # fmt: skip
joints = np.stack([ps, qs], axis=1) / 2
products = np.full((2, 1), 0.5) * joints.sum(axis=1, keepdims=True)
left = rel_entr(joints, products).sum(axis=(1, 2))
check("5.5", "I(X; Z) = JSD, 1000 pairs", left, divergences.jsd(ps, qs), atol=1e-14, identity=4)

# %% [markdown]
# > **Aside: another mutual information.** Article S0, section 2.1.2, has a mutual information too, but another one:
# > between the *generated* data $X_g$ and the *label $Y_d$ that the discriminator gives them*. That is no measure of
# > how well a GAN does. Take a perfect discriminator and hopeless fakes: it says "fake" to every one of them. A
# > constant says nothing, so the article's quantity is 0, as it would be for perfect fakes and a discriminator that
# > has given up. The coin $Z$ must be in the game, and real data as well.

# %%
hopeless = np.concatenate([0 * q, q])  # fakes on outcomes of their own, real data on others
says_fake = np.stack(
    [hopeless, 0 * hopeless]
)  # joint law of the label (rows: fake, real) and x, over fakes only
article = rel_entr(says_fake, np.outer(says_fake.sum(axis=1), hopeless)).sum()
truth = divergences.jsd(np.concatenate([p, 0 * p]), hopeless)
check("5.5a", "S0's I(X_g; Y_d) = 0 where the fakes are hopeless: JSD = log 2",
      article, truth, atol=0.6, relation="!=", errata="S0.5")  # fmt: skip

# %% [markdown]
# What should you answer in the game? Bayes' rule gives the probability of heads once you have seen $x$:
#
# $$ D^*(x) = P(Z = 1 \mid x) = \frac{\frac12 p(x)}{\frac12 p(x) + \frac12 q(x)} = \frac{p(x)}{p(x) + q(x)} \tag{5.6} $$
#
# This is the best discriminator of a GAN, before there is any GAN. Information is the uncertainty that goes away: the
# coin's entropy before, $\log 2$, minus what is left after seeing $x$. With $h(t) = -t \log t - (1-t) \log(1-t)$, the
# entropy of a coin with probability $t$:
#
# $$ \mathrm{JSD}(p, q) = \log 2 - \mathbb{E}_{x \sim m}\left[h(D^*(x))\right] \tag{5.7} $$

# %%
posterior = 0.5 * ps / (0.5 * ps + 0.5 * qs)
counts = rng.multinomial(10**6, joints[0].ravel()).reshape(
    2, 5
)  # a million rounds of the first game
seen = counts[0] / counts.sum(axis=0)
deviation = np.sqrt(posterior[0] * (1 - posterior[0]) / counts.sum(axis=0))
left = np.abs(seen - posterior[0])
right = 5 * deviation
check("5.6", "the share of heads among equal x is D*(x), to 5 standard errors",
      left, right, atol=1e-12, relation="<=")  # fmt: skip
left_over = np.sum(mixtures * stats.bernoulli(posterior).entropy(), axis=1)
check("5.7", "JSD = log 2 − E h(D*)", divergences.jsd(ps, qs), LOG2 - left_over, atol=1e-13)

# %% [markdown]
# The left-over uncertainty is also a loss. A player who states probabilities $D(x)$ and pays the surprise
# $-\log D(x)$ at heads, $-\log(1 - D(x))$ at tails, pays a cross entropy on average; by Gibbs' inequality the best
# they can do is to state $D^*$, and they still pay
#
# $$ \min_D \; -\tfrac12 \mathbb{E}_p \log D(x) - \tfrac12 \mathbb{E}_q \log\left(1 - D(x)\right)
# = \log 2 - \mathrm{JSD}(p, q) \tag{5.8} $$
#
# This is how a GAN measures a JSD without knowing $p$ or $q$: by training a classifier. We train one, with a free
# logit for each outcome, by gradient descent on the exact averages (divided by $m$, so that rare outcomes learn as
# fast as frequent ones); lesson 7 has the proof.

# %%
logits = np.zeros(5)
a, b = ps[0], qs[0]
for _ in range(2000):
    t = mg.tensor(logits, requires_grad=True)
    loss = ops.sum(
        0.5 * a * ops.softplus(-t) + 0.5 * b * ops.softplus(t)
    )  # -log D and -log(1 - D) of D = sigmoid(t)
    logits = logits - 3.0 * mg.grad(loss, t).data / mixtures[0]
check(
    "5.8", "the trained classifier pays log 2 − JSD", loss, LOG2 - divergences.jsd(a, b), atol=1e-13
)

# %% [markdown]
# ## 3. How often are you right? Total variation
#
# Now you may only say "heads" or "tails", and what counts is how often you are right. An answer rule is a set $A$ of
# outcomes where you say heads. You win with probability
# $\frac12 p(A) + \frac12 \left(1 - q(A)\right) = \frac12 + \frac12\left(p(A) - q(A)\right)$. The best rule has the
# largest difference, and that difference is the **total variation**:
#
# $$ \mathrm{TV}(p, q) = \max_A \left(p(A) - q(A)\right), \qquad P(\text{right}) = \tfrac12 + \tfrac12 \mathrm{TV} \tag{5.9} $$
#
# Which set is best? Take every outcome with $p > q$ and no other. Since $p$ and $q$ have the same total, what $p$ has
# more on this set it has less elsewhere, so the sum of $|p - q|$ counts the difference twice:
#
# $$ \mathrm{TV}(p, q) = \sum_{p > q} (p - q) = \tfrac12 \sum_x |p(x) - q(x)| = 1 - \sum_x \min(p(x), q(x)) \tag{5.10} $$
#
# With five outcomes there are $2^5 = 32$ rules. We try them all.

# %%
rules = np.array(list(itertools.product([0, 1], repeat=5)))  # each row: say heads there?
wins = 0.5 * ps @ rules.T + 0.5 * qs @ (1 - rules).T
left = wins.max(axis=1)
right = 0.5 + 0.5 * divergences.total_variation(ps, qs)
check("5.9", "best of all 32 rules wins with ½ + ½ TV", left, right, atol=1e-14)
left = divergences.total_variation(ps, qs)
right = np.maximum(ps - qs, 0).sum(axis=1)
check("5.10", "TV = Σ(p − q) over p > q", left, right, atol=1e-14, identity=6)
left = divergences.total_variation(ps, qs)
check("5.10a", "TV = 1 − Σ min(p, q)", left, 1 - np.minimum(ps, qs).sum(axis=1), atol=1e-14,
      identity=6)  # fmt: skip

# %% [markdown]
# For densities sums become integrals. Two bells of width 1 at distance $d$ cross half-way, so the best rule is "left
# or right of the middle", and with $\Phi$, the area under the bell up to a point,
#
# $$ \mathrm{TV}\left(\mathcal{N}(0, 1), \mathcal{N}(d, 1)\right) = \Phi(d/2) - \Phi(-d/2) = 2\,\Phi(d/2) - 1 \tag{5.11} $$


# %%
def normal(mean):
    """The log-density of N(mean, 1), as a function; the mean may be a tensor."""
    return lambda x: gaussians.log_density(x, mean, 1.0)


line = dict(low=-40.0, high=60.0)
distances = np.array([0.5, 1, 2, 4, 8])
tv = np.array([densities.total_variation_1d(normal(0.0), normal(d), **line) for d in distances])
right = 2 * stats.norm.cdf(distances / 2) - 1
check("5.11", "TV = 2Φ(d/2) − 1, at d = 0.5, 1, 2, 4, 8", tv, right, atol=1e-13)

# %% [markdown]
# ## 4. Two more friends
#
# The **Hellinger distance** looks at how well the square roots line up. $\sum \sqrt{p\,q}$ is the inner product of
# two vectors of length 1 (since $\sum \sqrt{p}^2 = 1$), so it is at most 1, and
#
# $$ H^2(p, q) = 1 - \sum_x \sqrt{p(x)\,q(x)} = \tfrac12 \sum_x \left(\sqrt{p(x)} - \sqrt{q(x)}\right)^2 \in [0, 1] \tag{5.12} $$
#
# Its charm shows when you may look at $n$ samples: over products, $\sum \sqrt{p\,q}$ factors.
#
# $$ 1 - H^2(p^n, q^n) = \left(1 - H^2(p, q)\right)^n \tag{5.13} $$
#
# If one sample leaves 99 % of overlap, 500 samples leave $0.99^{500} = 0.7\,\%$: even hard-to-tell laws are told
# apart by looking often, and (5.13) says how often.

# %%
h2 = divergences.hellinger_squared(ps, qs)
left = 1 - np.sqrt(ps * qs).sum(axis=1)
right = 0.5 * np.sum((np.sqrt(ps) - np.sqrt(qs)) ** 2, axis=1)
check("5.12", "1 − Σ√(pq) = ½ Σ(√p − √q)²", left, right, atol=1e-14)
check("5.12a", "… = minigan", h2, 1 - np.sqrt(ps * qs).sum(axis=1), atol=1e-14, identity=8)
triples = np.array(list(itertools.product(range(5), repeat=3)))
p3, q3 = ps[:50][:, triples].prod(axis=-1), qs[:50][:, triples].prod(axis=-1)
left = 1 - divergences.hellinger_squared(p3, q3)
check("5.13", "three samples: 1 − H²(p³, q³) = (1 − H²)³", left, (1 - h2[:50]) ** 3, atol=1e-13)

# %% [markdown]
# **Pearson's** $\chi^2$ is the variance of the density ratio $r = p/q$ under $q$. (Its mean is
# $\sum q \cdot p/q = 1$.)
#
# $$ \chi^2(p \,\Vert\, q) = \sum_x \frac{(p(x) - q(x))^2}{q(x)}
# = \operatorname{Var}_{q}\left(\frac{p}{q}\right) = \sum_x \frac{p(x)^2}{q(x)} - 1 \tag{5.14} $$
#
# It has no upper bound, and it is the strictest of the family: it weighs an excess of $p$ over $q$ by its square.

# %%
p4, q4 = random_tables(1000, 4, 2.0), random_tables(1000, 4, 2.0)
ratio = p4 / q4
variance = np.sum(q4 * (ratio - np.sum(q4 * ratio, axis=1, keepdims=True)) ** 2, axis=1)
left = divergences.pearson_chi_squared(p4, q4)
check("5.14", "χ² = Var_q(p/q)", left, variance, atol=1e-10, rtol=1e-12)

# %% [markdown]
# ## 5. The ladder
#
# So many ways to say "different". Do they agree? They stand on a ladder: $\chi^2$ bounds KL, KL bounds TV, and TV,
# $H^2$ and JSD bound each other. If one goes to 0, so do all *below* it; the way up is not guaranteed (KL may be
# infinite at any small TV). Four short proofs.
#
# **Hellinger and TV.** For any two numbers
# $(\sqrt p - \sqrt q)^2 \le |\sqrt p - \sqrt q|\,(\sqrt p + \sqrt q) = |p - q|$; summed and halved,
# $H^2 \le \mathrm{TV}$. The other way, the inequality of Cauchy and Schwarz for the same product gives
# $\left(\sum |p - q|\right)^2 \le \sum (\sqrt p - \sqrt q)^2 \sum (\sqrt p + \sqrt q)^2 = 2H^2 \cdot (4 - 2H^2)$:
#
# $$ H^2 \le \mathrm{TV} \le \sqrt{H^2\,(2 - H^2)} \tag{5.15} $$

# %%
tv, kl, jsd = divergences.total_variation(ps, qs), divergences.kl(ps, qs), divergences.jsd(ps, qs)
check("5.15", "H² ≤ TV", h2, tv, atol=1e-14, relation="<=", identity=8)
check(
    "5.15a", "TV ≤ √(H²(2 − H²))", tv, np.sqrt(h2 * (2 - h2)), atol=1e-14, relation="<=", identity=8
)

# %% [markdown]
# **KL between two others.** Jensen's inequality, used twice. First $-\log$ is convex:
# $\mathrm{KL} = -2\,\mathbb{E}_p \log\sqrt{q/p} \ge -2 \log \mathbb{E}_p \sqrt{q/p}$. Then $\log$ is concave:
# $\mathrm{KL} = \mathbb{E}_p \log\frac{p}{q} \le \log \mathbb{E}_p \frac{p}{q}$. The two averages are old friends:
#
# $$ -2 \log\left(1 - H^2\right) \le \mathrm{KL}(p \,\Vert\, q) \le \log\left(1 + \chi^2(p \,\Vert\, q)\right) \tag{5.16} $$
#
# Jensen's inequality is an equality where the averaged variable is constant: if $p$ is $q$ confined to a set $A$, then
# $p/q = 1/q(A)$ wherever $p > 0$, and all three are $-\log q(A)$. Neither bound can be improved.


# %%
def bounds_on_kl(p, q):
    return -2 * np.log(1 - divergences.hellinger_squared(p, q)), np.log(
        1 + divergences.pearson_chi_squared(p, q)
    )


below, above = bounds_on_kl(ps, qs)
check("5.16", "−2 log(1 − H²) ≤ KL", below, kl, atol=1e-13, relation="<=", identity=9)
check("5.16a", "KL ≤ log(1 + χ²)", kl, above, atol=1e-13, relation="<=", identity=9)
confined = qs * [1, 1, 1, 0, 0]
mass = confined.sum(axis=1)
left = bounds_on_kl(confined / mass[:, None], qs)
check(
    "5.16b", "both reached where p is q confined to a set", left, -np.log([mass, mass]), atol=1e-13
)
left = divergences.kl(confined / mass[:, None], qs)
check("5.16c", "… and KL is the same −log q(A)", left, -np.log(mass), atol=1e-13)

# %% [markdown]
# **TV from KL.** The left half says $1 - H^2 \ge e^{-\mathrm{KL}/2}$. The right half of (5.15) is
# $\mathrm{TV}^2 \le 1 - (1 - H^2)^2$. Together they are the inequality of **Bretagnolle and Huber** (1979), which
# says something at every KL. (At a large one it says $1 - \mathrm{TV} \ge \frac12 e^{-\mathrm{KL}}$, nearly. And
# $p = (1, 0)$ against $q = (\varepsilon, 1 - \varepsilon)$ has $1 - \mathrm{TV} = \varepsilon = e^{-\mathrm{KL}}$, so
# the exponent cannot be better.) For small KL, **Pinsker's** is sharper. It needs only tables with two outcomes, because
# merging everything into $A = \{p > q\}$ and the rest keeps the TV and lowers the KL (4.13). For $(a, 1-a)$ against
# $(b, 1-b)$, fix $a$ and let $g(b) = \mathrm{KL} - 2(a - b)^2$. Its derivative is
# $(b - a)\left(\frac{1}{b(1-b)} - 4\right)$, and $b(1-b) \le \frac14$: so $g$ falls up to $b = a$, where it is 0, and
# rises after.
#
# $$ \mathrm{TV} \le \sqrt{\tfrac12 \mathrm{KL}}, \qquad \mathrm{TV} \le \sqrt{1 - e^{-\mathrm{KL}}} \tag{5.17} $$

# %%
check("5.17", "Pinsker: TV ≤ √(KL/2)", tv, np.sqrt(kl / 2), atol=1e-14, relation="<=", identity=7)
right = np.sqrt(1 - np.exp(-kl))
check("5.17a", "Bretagnolle-Huber: TV ≤ √(1 − e^−KL)", tv, right, atol=1e-14, relation="<=",
      identity=7)  # fmt: skip
near = divergences.total_variation([0.5, 0.5], [0.501, 0.499]) / math.sqrt(
    divergences.kl([0.5, 0.5], [0.501, 0.499]) / 2
)
check("5.17b", "Pinsker is sharp near p = q: the quotient tends to 1", near, 1.0, atol=1e-5)
sure, rare = [1.0, 0.0], [1e-6, 1 - 1e-6]
left = 1 - divergences.total_variation(sure, rare)
right = math.exp(-divergences.kl(sure, rare))
check("5.17c", "far apart: 1 − TV = e^−KL for (1, 0) and (ε, 1 − ε)", left, right, atol=1e-15)

# %% [markdown]
# **JSD and TV.** In (5.7) write $t = D^*(x)$ and $c = |2t - 1|$, how far from undecided one is; then
# $\log 2 - h(t) = \psi(c)$ with $\psi(c) = \log 2 - h\left(\frac{1-c}{2}\right)$. The function $\psi$ is convex
# ($\psi'' = 1/(1 - c^2) > 0$), 0 at 0 and $\log 2$ at 1. So its average is at least its value at the average of $c$
# (Jensen), and at most the average of the chord $c \log 2$. And the average of $c$ over $x \sim m$ is
# $\sum m \left|\frac{p - q}{p + q}\right| = \mathrm{TV}$:
#
# $$ \log 2 - h\left(\frac{1 - \mathrm{TV}}{2}\right) \le \mathrm{JSD}(p, q) \le \mathrm{TV} \cdot \log 2 \tag{5.18} $$
#
# Both ends are reached. The lower one where one is equally unsure everywhere: $(t, 1-t)$ against $(1-t, t)$. The
# upper one where one is sure or clueless: the worked example.

# %%
check("5.18", "JSD ≤ TV log 2", jsd, tv * LOG2, atol=1e-14, relation="<=", identity=10)
lower = LOG2 - stats.bernoulli((1 - tv) / 2).entropy()
check("5.18a", "log 2 − h((1 − TV)/2) ≤ JSD", lower, jsd, atol=1e-14, relation="<=", identity=10)
unsure = LOG2 - divergences.binary_entropy(0.3)
left = divergences.jsd([0.7, 0.3], [0.3, 0.7])
check("5.18b", "reached by (0.7, 0.3) and (0.3, 0.7)", left, unsure, atol=1e-15)
left = divergences.jsd(p, q)
right = divergences.total_variation(p, q) * LOG2
check("5.18c", "reached by the worked example, TV = 1/2", left, right, atol=1e-15)

# %% [markdown]
# The picture shows how little room there is. The lens is widest where the derivatives of its two edges agree, at
# $\mathrm{TV} = \tanh(\log 2) = 0.6$, and there it is 0.223 nats high. Knowing how often a discriminator is right,
# one knows the JSD to within 0.11 nats.

# %%
share = np.linspace(0, 1, 401)
bottom, top = LOG2 - divergences.binary_entropy((1 - share) / 2), share * LOG2
left = [(top - bottom).max(), share[(top - bottom).argmax()]]
right = [
    stats.bernoulli(0.2).entropy() - 0.4 * LOG2,
    math.tanh(LOG2),
]  # (5.18) at TV = 0.6, in nats and place
check("5.18d", "the lens is at most 0.223 nats high, at TV = 0.6", left, right, atol=1e-14)

# %%
fig, ax = figure(height=3.6)
ax.fill_between(share, bottom, top, color="#DCE9F5")
for size, concentration, marker in ((2, 1.0, "o"), (3, 0.4, "s"), (8, 0.2, "^")):
    first, second = random_tables(150, size, concentration), random_tables(150, size, concentration)
    ax.plot(divergences.total_variation(first, second), divergences.jsd(first, second), marker, markersize=3,
            linestyle="none", color={2: ORANGE, 3: BLUE, 8: BLACK}[size], label=f"{size} outcomes")  # fmt: skip
ax.plot(share, top, color=GREY, linestyle="-", linewidth=1)
ax.plot(share, bottom, color=GREY, linestyle="-", linewidth=1)
ax.annotate(
    "TV log 2: sure or clueless",
    (0.42, 0.42 * LOG2),
    xytext=(-8, 8),
    textcoords="offset points",
    ha="right",
    color="#444444",
)
ax.annotate(
    "log 2 − h((1−TV)/2):\nequally unsure everywhere",
    (0.6, 0.19),
    xytext=(12, -22),
    textcoords="offset points",
    color="#444444",
)
ax.axhline(LOG2, color=BLACK, linewidth=0.8, linestyle=":")
ax.annotate("log 2", (0.0, LOG2), xytext=(2, 3), textcoords="offset points")
ax.set(
    xlabel="total variation (best accuracy = ½ + ½ TV)",
    ylabel="JSD, nats",
    xlim=(0, 1.0),
    ylim=(0, 0.76),
)
ax.legend(loc="upper left", bbox_to_anchor=(0.0, 0.9), title="random pairs", frameon=False)
show(
    fig,
    "region",
    alt="JSD against total variation: random pairs of tables fill the thin lens between the two bounds",
)

# %% [markdown]
# ## 6. A distance, after taking the root
#
# A distance should obey the triangle inequality: a detour is never shorter. The JSD itself does not. Between the two
# sides of a coin, $p = (1, 0)$ and $r = (0, 1)$, lies the fair coin $q = (\frac12, \frac12)$, and the detour is
# shorter:
#
# $$ \mathrm{JSD}(p, r) = \log 2 = 0.693 > 0.432 = \mathrm{JSD}(p, q) + \mathrm{JSD}(q, r) \tag{5.19} $$
#
# Its square root does obey (Endres and Schindelin 2003; the proof takes two pages, the test a moment):
#
# $$ \sqrt{\mathrm{JSD}(p, r)} \le \sqrt{\mathrm{JSD}(p, q)} + \sqrt{\mathrm{JSD}(q, r)} \tag{5.20} $$

# %%
heads, fair, tails = [1.0, 0.0], [0.5, 0.5], [0.0, 1.0]
detour = divergences.jsd(heads, fair) + divergences.jsd(fair, tails)
right = 2 * (0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3) + 0.25 * math.log(2))
check("5.19", "the detour is 0.432", detour, right, atol=1e-15)
right = divergences.jsd(heads, tails) - 0.2
check("5.19a", "and shorter than the direct way", detour, right, atol=0, relation="<=")
rs = random_tables(1000, 5, 0.5)
root = lambda a, b: np.sqrt(divergences.jsd(a, b))
right = root(ps, qs) + root(qs, rs)
check("5.20", "√JSD obeys the triangle inequality, 1000 triples",
      root(ps, rs), right, atol=1e-14, relation="<=", identity=5)  # fmt: skip
start, end = 0.99 * 0.2 + 0.01 * ps, 0.99 * 0.2 + 0.01 * rs  # close together
between = 0.7 * start + 0.3 * end
left = root(start, end) / (root(start, between) + root(between, end))
check("5.20a", "nearly reached on short straight ways", left, 1.0, atol=1e-4)
check("5.20b", "and never exceeded there", left, 1.0, atol=0, relation="<=")

# %% [markdown]
# ## 7. Saturation: the merit that is a fault
#
# Now the prediction. For two bells of width 1 at distance $d$ we integrate (5.1) with
# [jsd_1d](../minigan/theory/densities.py#jsd_1d), and once more with SciPy's adaptive quadrature:
#
# | $d$ | 1 | 2 | 4 | 8 | 16 |
# |---|---|---|---|---|---|
# | JSD | 0.111 | 0.337 | 0.633 | 0.69305 | 0.69315 |
# | KL | 0.5 | 2 | 8 | 32 | 128 |
#
# $$ \mathrm{JSD}\left(\mathcal{N}(0,1), \mathcal{N}(d,1)\right) \to \log 2, \qquad
# \mathrm{KL}\left(\mathcal{N}(0,1) \,\Vert\, \mathcal{N}(d,1)\right) = \tfrac12 d^2 \to \infty \tag{5.21} $$
#
# > **Aside: does the JSD grow without end?** Article S0, section 2.1.3, claims that the JSD grows to infinity with the
# > difference and counts it as its merit. It is the KL that does; the JSD is bounded by (5.2). (And the man is called
# > Jensen, not "Jenson".)


# %%
def jsd_by_scipy(d):
    first, second = stats.norm(0, 1).pdf, stats.norm(d, 1).pdf
    term = lambda x: (
        0.5
        * (
            rel_entr(first(x), (first(x) + second(x)) / 2)
            + rel_entr(second(x), (first(x) + second(x)) / 2)
        )
    )
    return integrate.quad(term, -10, d + 10, points=[0, d / 2, d], epsabs=1e-13, limit=200)[0]


distances = np.array([1.0, 2, 4, 8, 16])
jsd = np.array([densities.jsd_1d(normal(0.0), normal(d), **line) for d in distances])
right = [0.11142, 0.33683, 0.63272, 0.69305, 0.69315]
check("5.21", "JSD at d = 1, 2, 4, 8, 16", jsd, right, atol=5e-6, errata="S0.7")
check("5.21a", "… by SciPy", jsd, [jsd_by_scipy(d) for d in distances], atol=1e-10, errata="S0.7")
check("5.21b", "bounded, however far apart", jsd, LOG2, atol=1e-13, relation="<=", errata="S0.7")
left = [densities.kl_1d(normal(0.0), normal(d), **line) for d in distances]
check("5.21c", "KL = d²/2 is what grows", left, distances**2 / 2, atol=1e-10)

# %% [markdown]
# How fast does it saturate? By the left half of (5.18) and (5.11), with $(1 - \mathrm{TV})/2 = \Phi(-d/2)$:
#
# $$ 0 \le \log 2 - \mathrm{JSD} \le h\left(\Phi(-d/2)\right) \tag{5.22} $$
#
# The tail of the bell, about $e^{-d^2/8}$. At $d = 16$ the difference from $\log 2$ is $2 \cdot 10^{-15}$.

# %%
gap = LOG2 - jsd
right = divergences.binary_entropy(stats.norm.cdf(-distances / 2))
check("5.22", "log 2 − JSD ≤ h(Φ(−d/2))", gap, right, atol=1e-14, relation="<=")

# %% [markdown]
# For training, the value is not the point. The *slope* is: a generator that sits at $d$ should learn in which
# direction to move. Let $q_\theta = \mathcal{N}(\theta, 1)$ and differentiate (5.1) by $\theta$. The terms in which
# the logarithm is differentiated cancel ($p$ and $q$ over $m$ add up to 2, and $\int \partial_\theta q_\theta = 0$),
# and what remains is
#
# $$ \frac{d\,\mathrm{JSD}}{d\theta} = \frac12 \int \partial_\theta q_\theta(x)\,\log\frac{q_\theta(x)}{m(x)}\,dx \tag{5.23} $$
#
# Read it in the saturated regime. Wherever $q_\theta$ lives, $p$ is practically 0, so $q_\theta/m = 2$, and the
# logarithm is the *constant* $\log 2$. A constant times $\int \partial_\theta q_\theta\,dx = 0$ is nothing. The
# divergence knows *that* the two differ, and has no idea in which direction to look.
#
# For the two bells one more step tells how little is left. Here $\partial_\theta q = -\partial_x q$, so integrate by
# parts; $\log\frac{q}{m} = \log 2 - \log\left(1 + \frac{p}{q}\right)$ has the $x$-derivative
# $-\frac{p}{p + q}\,\partial_x \log\frac{p}{q} = \frac{p}{p + q}\,d$, and a product over a sum is at most the
# smaller of the two, whose integral is $1 - \mathrm{TV} = 2\,\Phi(-d/2)$:
#
# $$ \frac{d\,\mathrm{JSD}}{dd} = \frac d2 \int \frac{p\,q}{p + q}\,dx \le d\;\Phi(-d/2) $$


# %%
def slope_of(divergence, d):
    """d/dd of a divergence of N(0, 1) and N(d, 1), by autodiff through the quadrature."""
    theta = mg.tensor(np.array(float(d)), requires_grad=True)
    return mg.grad(divergence(normal(0.0), normal(theta), **line), theta).item()


nodes, w = densities.quadrature(**line)
by_formula = []
for d in distances:
    first, second = stats.norm(0, 1).pdf(nodes), stats.norm(d, 1).pdf(nodes)
    log_ratio = LOG2 - np.logaddexp(
        0, stats.norm(0, 1).logpdf(nodes) - stats.norm(d, 1).logpdf(nodes)
    )  # log q/m
    by_formula.append(0.5 * np.sum(w * (nodes - d) * second * log_ratio))
slopes = [slope_of(densities.jsd_1d, d) for d in distances]
check("5.23", "dJSD/dθ by autodiff = ½ ∫ ∂q log(q/m)", slopes, by_formula, atol=1e-12)
finite = (jsd_by_scipy(1 + 1e-4) - jsd_by_scipy(1 - 1e-4)) / 2e-4
check("5.23a", "… = a difference quotient of SciPy's JSD, at d = 1", slopes[0], finite, atol=1e-8)
harmonic = lambda x, d: stats.norm.pdf(x, d) / (1 + np.exp(d * (x - d / 2)))  # pq/(p + q)
areas = [integrate.quad(harmonic, d / 2 - 9, d / 2 + 9, args=(d,))[0] for d in distances]
check("5.23b", "dJSD/dd = d/2 ∫ pq/(p + q)", slopes, distances / 2 * areas, atol=1e-12)
bound = distances * stats.norm.cdf(-distances / 2)
check("5.23c", "… ≤ d Φ(−d/2)", slopes, bound, atol=1e-17, relation="<=")

# %% [markdown]
# The slopes side by side, by autodiff:
#
# $$ \frac{d\,\mathrm{KL}}{dd} = d, \qquad \frac{d\,\mathrm{TV}}{dd} = \frac{1}{\sqrt{2\pi}}\,e^{-d^2/8}, \qquad
# \frac{d\,\mathrm{JSD}}{dd} = O\left(e^{-d^2/8}\right) \tag{5.24} $$
#
# The last is the bound just found, with $\Phi(-t) \le \frac{1}{t \sqrt{2\pi}}\,e^{-t^2/2}$ on the bell's
# tail, $t = d/2$: the slope is at most $\sqrt{2/\pi}\,e^{-d^2/8}$. At $d = 8$ the JSD's slope is $2.0 \cdot 10^{-4}$,
# a thousandth of what it is at its steepest; at $d = 16$ it is $8 \cdot 10^{-15}$. No optimizer can mend that: there
# is nothing to follow.

# %%
kl_slopes = [slope_of(densities.kl_1d, d) for d in distances]
tv_slopes = [slope_of(densities.total_variation_1d, d) for d in distances]
check("5.24", "dKL/dd = d", kl_slopes, distances, atol=1e-12)
check("5.24a", "dTV/dd = φ(d/2)", tv_slopes, stats.norm.pdf(distances / 2), atol=1e-12)
envelope = math.sqrt(2 / math.pi) * np.exp(-(distances**2) / 8)
check("5.24b", "dJSD/dd ≤ √(2/π) e^(−d²/8)", slopes, envelope, atol=1e-17, relation="<=")
print("slope of JSD at d = 1, 2, 4, 8, 16:", [f"{s:.1e}" for s in slopes])

# %%
fig, axes = figure(1, 2, width=7.2, height=3.4, sharex=True)
ds = np.linspace(0.02, 8, sized(120, 40))
curves = {
    "KL": (densities.kl_1d, BLACK, "-"),
    "TV": (densities.total_variation_1d, ORANGE, "--"),
    "H²": (densities.hellinger_squared_1d, BLUE, "-."),
    "JSD": (densities.jsd_1d, "#009E73", ":"),
}
coarse = dict(low=-12.0, high=20.0, panels=64, nodes=8)
for name, (function, colour, dash) in curves.items():
    values, slopes_there = [], []
    for d in ds:
        theta = mg.tensor(np.array(d), requires_grad=True)
        value = function(normal(0.0), normal(theta), **coarse)
        values.append(value.item())
        slopes_there.append(mg.grad(value, theta).item())
    for ax, ys in zip(axes, (values, slopes_there), strict=True):
        ax.plot(
            ds,
            ys,
            color=colour,
            linestyle=dash,
            linewidth=2.4 if name == "JSD" else 1.6,
            label=name,
        )
axes[0].axhline(LOG2, color=GREY, linewidth=0.8)
axes[0].annotate(
    "log 2", (8, LOG2), xytext=(-2, -11), textcoords="offset points", ha="right", color="#666666"
)
axes[0].set(
    xlabel="distance d",
    ylabel="divergence, nats (TV, H²: no unit)",
    ylim=(0, 1.6),
    title="the value saturates",
)
axes[1].set(
    xlabel="distance d",
    ylabel="slope, per unit of d",
    yscale="log",
    ylim=(1e-4, 20),
    title="and the slope dies",
)
axes[1].legend(loc="lower left", frameon=False)
show(
    fig,
    "saturation",
    alt="KL, TV, squared Hellinger and JSD of two unit Gaussians against their distance, and their slopes: all but KL flatten",
)

# %% [markdown]
# With disjoint supports it is worse than small: it is nothing. Two uniform boxes of width 1, one shifted by
# $s \ge 1$, share no point, so
#
# $$ \mathrm{JSD} = \log 2, \quad \mathrm{TV} = 1, \quad \mathrm{KL} = \infty \quad\text{for every } s \ge 1,
# \qquad\text{but } W_1 = s \tag{5.25} $$
#
# None of the first three can say whether $s = 1$ or $s = 100$. A divergence compares *heights at the same place*; how
# far apart the places are does not enter. The quantity that knows, the cost $W_1$ of carrying one pile of sand onto
# the other (mass times way), is another family, and the reason for Wasserstein GANs.

# %%
shifts = (1.0, 2.5, 100.0)
samples = rng.random(1001)
rows = []
for s in shifts:
    pair = stats.uniform(0, 1).logpdf, stats.uniform(s, 1).logpdf
    box = dict(low=-1.0, high=102.0, breaks=(0, 1, s, s + 1))
    rows.append(
        [f(*pair, **box) for f in (densities.jsd_1d, densities.total_variation_1d, densities.kl_1d)]
    )
right = [LOG2, 1, math.inf]
check("5.25a", "boxes shifted by 1, 2.5, 100: JSD, TV, KL are log 2, 1, ∞", rows, right, atol=1e-12)
carried = [stats.wasserstein_distance(samples, samples + s) for s in shifts]
check("5.25", "W₁ = s", carried, shifts, atol=1e-12)

# %% [markdown]
# ## 8. Close together, they are all the same
#
# At the other end, near $p = q$, the smooth members of the family agree. (TV has a kink there: it shrinks like
# $\varepsilon$, not $\varepsilon^2$.) Put $q = p + \varepsilon h$ with $\sum h = 0$ and expand
# each to second order; the first order vanishes, since 0 is a minimum. Each becomes a multiple of the same sum:
#
# $$ \mathrm{KL} \approx \tfrac12 S, \quad \chi^2 \approx S, \quad H^2 \approx \tfrac18 S, \quad \mathrm{JSD} \approx \tfrac18 S,
# \qquad S = \varepsilon^2 \sum_x \frac{h(x)^2}{p(x)} \tag{5.26} $$
#
# ($S$ is Fisher's information again, (4.25).) So a choice among these divergences decides nothing when a model is
# nearly right. It decides everything when it is far off, and that is where training starts.

# %%
base = ps[0] * 0.5 + 0.1
h = base * (np.array([1.0, -1, 1, -1, 0]) - (base * np.array([1.0, -1, 1, -1, 0])).sum())
eps = 1e-4
s = eps**2 * np.sum(h**2 / base)
family = (
    divergences.kl,
    divergences.pearson_chi_squared,
    divergences.hellinger_squared,
    divergences.jsd,
)
quotients = [f(base, base + eps * h) / s for f in family]
right = [1 / 2, 1, 1 / 8, 1 / 8]
check("5.26", "KL, χ², H², JSD over S: ½, 1, ⅛, ⅛", quotients, right, atol=5 * eps, identity=14)

# %% [markdown]
# ## 9. From samples
#
# A GAN has samples, not tables. The plain way is to count: put both sample sets into the same $K$ bins and take the
# JSD of the shares. Is that fair? At $p = q$ the truth is 0, and no estimate is below 0, so it must be **too high**
# on average. Expand (5.3) around the true shares. Entropies of counted shares are too low, by $(K-1)/(2N)$ for $N$
# samples (each of $H(p)$ and $H(q)$) and by $(K-1)/(4N)$ for the $2N$ samples of the mixture. With $\hat p, \hat q$
# the shares:
#
# $$ \mathbb{E}\,\mathrm{JSD}(\hat p, \hat q) \approx -\frac{K-1}{4N} + \frac{K-1}{2N}
# = \frac{K-1}{4N} \qquad\text{at } p = q \tag{5.27} $$
#
# The more bins, the worse; with more bins than samples, two samples of the *same* law rarely share a bin, and the
# estimate says "disjoint", $\log 2$. In a thousand dimensions every histogram is like that. (A discriminator that
# memorises its training images makes the same mistake.)
# [histogram_jsd](../minigan/theory/estimators.py#histogram_jsd) states its bias for $p \ne q$ as well.

# %%
law, n = np.full(10, 0.1), 500
repeats = 20_000
shares = rng.multinomial(n, law, size=(repeats, 2)) / n
estimates = divergences.jsd(shares[:, 0], shares[:, 1])
standard_error = estimates.std() / math.sqrt(repeats)
left = estimates.mean()
check("5.27", "mean estimate at p = q is (K−1)/(4N), to 5 standard errors",
      left, 9 / (4 * n), atol=5 * standard_error)  # fmt: skip
same_law = rng.standard_normal((2, 200))
left = estimators.histogram_jsd(*same_law, bins=10**6)
check("5.27a", "10⁶ bins: equal laws look disjoint", left, 0.98 * LOG2, atol=0, relation=">=")

# %% [markdown]
# **What to remember.** The JSD is the KL to the mixture, and the information that a sample holds about its origin. It
# is finite, symmetric, at most $\log 2$; its root is a distance. TV is the best guesser's advantage, and pins the JSD
# to a thin lens. All but TV are alike near $p = q$, and most of them are flat far away, where a generator would
# need a slope.
#
# ## Exercises


# %%
def safe_jsd(p, q):
    """JSD(p, q) of two tables which may hold zeros, in nats, never NaN."""
    # Hint: a term with p = 0 is 0; where p > 0, p/m is 2p/(p + q), at most 2. Keep zeros out of
    # the logarithms.
    raise NotImplementedError


def safe_property(answer, pair):
    p, q = pair
    value = float(answer(p, q))
    assert np.isclose(value, divergences.jsd(p, q), rtol=1e-10, atol=1e-12), (
        f"got {value}, expected {divergences.jsd(p, q)}"
    )


grade("5.E1", safe_jsd, safe_property, pair=tables(2, zeros=True, max_size=6))


# %%
def best_accuracy(p, q, prior):
    """How often the best guesser is right, when heads (x from p) has probability `prior`."""
    # Hint: decide outcome by outcome: which of the two joint probabilities is larger?
    raise NotImplementedError


def accuracy_property(answer, pair, prior):
    p, q = pair
    rules = np.array(list(itertools.product([0, 1], repeat=p.size)))
    best = np.max(prior * rules @ p + (1 - prior) * (1 - rules) @ q)
    assert np.isclose(answer(p, q, prior), best, rtol=0, atol=1e-9), (
        f"got {answer(p, q, prior)}, the best rule wins with {best}"
    )


grade(
    "5.E2", best_accuracy, accuracy_property, pair=tables(2, max_size=5), prior=floats(0.05, 0.95)
)


# %%
def samples_to_tell(p, q, overlap):
    """The smallest n for which n independent samples leave sum sqrt(p^n q^n) <= overlap."""
    # Hint: (5.13) gives what n samples leave. Take logarithms, and mind the sign when you divide.
    raise NotImplementedError


def samples_property(answer, pair, overlap):
    p, q = pair
    left = 1 - divergences.hellinger_squared(p, q)
    if not 0.05 < left < 0.99:
        return
    n = answer(p, q, overlap)
    assert n == int(n), f"{n} is no number of samples"
    assert left**n <= overlap * (1 + 1e-9), f"n = {n} leaves {left**n:.4f}"
    assert n <= 1 or left ** (n - 1) > overlap * (1 - 1e-9), f"n = {n} is more than needed"


grade("5.E3", samples_to_tell, samples_property, pair=tables(2, max_size=4, bound=2.0),
      overlap=floats(0.01, 0.5))  # fmt: skip


# %%
def jsd_of_many(laws, weights):
    """What a sample reveals of its origin, when it comes from the table laws[i] with probability weights[i]."""
    # Hint: (5.5) with more than two laws: a weighted mean of KLs, each to the mixture.
    raise NotImplementedError


def many_property(answer, laws, weights):
    laws = np.stack(laws)
    weights = np.resize(weights[0], len(laws))
    weights = weights / weights.sum()
    joint = weights[:, None] * laws
    information = rel_entr(joint, np.outer(weights, joint.sum(axis=0))).sum()
    assert np.isclose(answer(laws, weights), information, rtol=0, atol=1e-10), (
        f"expected {information}"
    )


grade("5.E4", jsd_of_many, many_property, laws=tables(3, max_size=5),
      weights=tables(1, min_size=3, max_size=3, bound=2.0))  # fmt: skip


# %%
def jsd_slope(p, logits):
    """The gradient of JSD(p, softmax(logits)) in the logits, by a formula (no autodiff, no differences)."""
    # Hint: the slope in q is half of log q/m; a softmax keeps the sum, so its mean under q is
    # taken away before you multiply by q.
    raise NotImplementedError


def slope_property(answer, pair, shift):
    p, q = pair
    logits = (
        np.log(q) + shift
    )  # logits are free up to a constant, and need not be logarithms of a table
    t = mg.tensor(logits, requires_grad=True)
    expected = mg.grad(divergences.jsd(p, ops.softmax(t, axis=-1)), t).data
    got = np.asarray(answer(p, logits))
    assert got.shape == logits.shape, f"got shape {got.shape}"
    assert np.allclose(got, expected, rtol=0, atol=1e-9), f"got {got}"


grade(
    "5.E5",
    jsd_slope,
    slope_property,
    pair=tables(2, max_size=5, bound=3.0),
    shift=floats(-900, 900),
)

# %% [markdown]
# ## What to read next
#
# - J. Lin, *Divergence measures based on the Shannon entropy* (1991): the JSD, and its bounds.
# - D. Endres, J. Schindelin, *A new metric for probability distributions* (2003): (5.20).
# - A. Tsybakov, *Introduction to Nonparametric Estimation* (2009), section 2.4: the ladder, with proofs.
# - M. Arjovsky, L. Bottou, *Towards Principled Methods for Training Generative Adversarial Networks* (2017, arXiv
#   1701.04862), sections 2 and 3: saturation for laws on thin sets.
# - Next: [lesson 6](06_f_divergences.py), where all of these turn out to be one formula with different functions $f$.
