# %% [markdown]
# # 7. The optimal discriminator
#
# A discriminator looks at one example at a time and says how real it seems. How well can it possibly do? This lesson
# answers in a world of eight outcomes, where nothing has to be estimated: every expectation is a sum of eight numbers,
# and the best discriminator can be written down. It turns out to be a formula in the two probabilities, and what it
# scores turns out to measure how far apart they are. That is the sentence on which the whole theory of GANs rests, so we
# prove it step by step, then change the loss and watch the distance change with it.
#
# **You need** derivatives of logarithms, and what KL and JSD are (lesson 5). Logits and softplus come from lesson 2.
#
# **Predict first.** A certain outcome makes up 23 % of the real data and 8 % of what the generator draws. A
# discriminator with unlimited capacity is trained for ever with the loss of the original paper. What does it answer on
# that outcome? (a) 1, because reals outnumber fakes there; (b) 0.74; (c) 0.23; (d) 0.5, because it is confused. And
# does your answer change when the loss is the hinge loss? Write both answers down. Formulas 7.4 and 7.21 decide.

# %%
import itertools
import math

import numpy as np
from scipy.optimize import linprog, minimize, minimize_scalar

import minigan as mg
from minigan import losses, ops
from minigan.lessons import COLOURS, check, figure, grade, show, sized
from minigan.lessons.strategies import floats, tables
from minigan.theory import divergences, optimal

# %% [markdown]
# ## The world
#
# Eight outcomes. The data follow the law $p$, the generator's samples the law $q$. The data have two humps; the
# generator has learnt one hump in the middle. Outcome 5 happens equally often under both.

# %%
p = np.array([0.02, 0.10, 0.23, 0.15, 0.05, 0.12, 0.23, 0.10])
q = np.array([0.05, 0.08, 0.12, 0.25, 0.25, 0.12, 0.08, 0.05])
print("p sums to", p.sum(), "and q to", q.sum())

# %% [markdown]
# A discriminator gives each outcome $x$ a number $D(x)$ between 0 and 1, its probability of "real". It is scored by the
# expected log-likelihood of its answers, reals and fakes weighing the same (Goodfellow et al. 2014, equation 1):
#
# $$ V(D) = \mathbb{E}_{x \sim p} \log D(x) + \mathbb{E}_{x \sim q} \log(1 - D(x))
#         = \sum_x p(x) \log D(x) + \sum_x q(x) \log(1 - D(x)) \tag{7.1} $$
#
# The discriminator wants $V$ large. An optimiser wants a loss to be small, so what is trained is $L_D = -V$; in this
# engine that is [logistic](../minigan/losses.py#logistic), a function of two batches of logits. It must agree
# with the sum: we build batches of 100 reals and 100 fakes in which each outcome appears exactly as often as its
# probability says.

# %%
logits = np.array([-1.0, 0.3, 0.8, -0.2, -2.0, 0.1, 1.5, 0.4])  # some discriminator, not a good one
D = 1 / (1 + np.exp(-logits))
V = (p * np.log(D)).sum() + (q * np.log(1 - D)).sum()

real, fake = (mg.tensor(np.repeat(logits, np.round(100 * law).astype(int))) for law in (p, q))
check("7.1", "V(D) = Σ p log D + Σ q log(1-D) = -L_D of a batch", V,
      -losses.logistic(real, fake), atol=1e-12)  # fmt: skip

# %% [markdown]
# The batch held logits, not probabilities. With $D = 1/(1 + e^{-\ell})$ both logarithms are softplus functions,
# $\operatorname{softplus}(a) = \log(1 + e^a)$, and no probability is ever formed (lesson 2 shows why that matters):
#
# $$ \log D = -\operatorname{softplus}(-\ell), \qquad \log(1 - D) = -\operatorname{softplus}(\ell) \tag{7.2} $$

# %%
check("7.2", "V from logits: -Σ p softplus(-l) - Σ q softplus(l)",
      optimal.value_of_logits(logits, p, q), V, atol=1e-12)  # fmt: skip

# %% [markdown]
# ## One outcome at a time
#
# **Step 1: the problem falls apart.** $V$ is a sum over outcomes, and the term of outcome $x$ contains $D(x)$ and no
# other value of $D$. A table can choose its entries independently, so the maximum of the sum is the sum of the maxima.
# In symbols, the derivative of $V$ by $D(x)$ is
#
# $$ \frac{\partial V}{\partial D(x)} = \frac{p(x)}{D(x)} - \frac{q(x)}{1 - D(x)} \tag{7.3} $$
#
# and it depends on $D(x)$ alone: all mixed second derivatives are 0. Autodiff finds both.

# %%
slopes = mg.grad(optimal.value(d := mg.tensor(D, requires_grad=True), p, q), d)
check("7.3", "dV/dD = p/D - q/(1-D)", slopes, p / D - q / (1 - D), atol=1e-12)

hessian = mg.hessian(lambda d: optimal.value(d, p, q), D).data
check("7.3a", "no mixed second derivatives", hessian - np.diag(np.diag(hessian)), 0.0, atol=0.0)

# %% [markdown]
# **Step 2: set the slope to zero.** $p(1 - D) = q D$, hence $p = (p + q) D$, and
#
# $$ D^*(x) = \frac{p(x)}{p(x) + q(x)} \tag{7.4} $$
#
# For the check we do not trust the algebra: a bounded search maximises $p \log D + q \log(1-D)$ at each outcome by
# itself.


# %%
def search(loss, low, high):
    """The minimiser of a function of one number, inside bounds."""
    return minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-10}).x


best = optimal.optimal_discriminator(p, q)
found = [
    search(lambda d, a=a, b=b: -a * math.log(d) - b * math.log(1 - d), 1e-9, 1 - 1e-9)
    for a, b in zip(p, q, strict=True)
]
check("7.4", "D* = p/(p+q)", best, found, atol=1e-7, identity=17)
print("D* =", best.round(3))

# %% [markdown]
# There is your answer for outcome 6: $0.23 / 0.31 = 0.742$, answer (b). The best discriminator is not a judge who says
# "real" or "fake". It reports the odds, and it must: saying 1 there would cost $\log 0$, an infinite amount, on every
# one of the 8 % of fakes. At outcome 5, where $p = q$, it says exactly 1/2.
#
# **Step 3: it is a maximum.** The second derivative is negative wherever $p + q > 0$; at $D^*$ it has a neat form:
#
# $$ \frac{\partial^2 V}{\partial D^2} = -\frac{p}{D^2} - \frac{q}{(1 - D)^2} < 0,
#    \qquad \text{at } D^*: \; -\frac{(p + q)^3}{p \, q} \tag{7.5} $$

# %%
check("7.5", "d²V/dD² = -p/D² - q/(1-D)²", np.diag(hessian), -p / D**2 - q / (1 - D) ** 2,
      rtol=1e-12, atol=0.0)  # fmt: skip
at_best = np.diag(mg.hessian(lambda d: optimal.value(d, p, q), best).data)
check("7.5a", "at D* it is -(p+q)³/(pq)", at_best, -((p + q) ** 3) / (p * q), rtol=1e-12, atol=0.0)
check("7.5b", "which is negative: at most -0.3", at_best, -0.3, relation="<=", atol=0.0)

# %% [markdown]
# ## The same in logits
#
# Networks put out logits. The odds $D^*/(1 - D^*)$ are $p/q$, so the best logit is the **log density ratio**:
#
# $$ \ell^*(x) = \log \frac{D^*(x)}{1 - D^*(x)} = \log p(x) - \log q(x) \tag{7.6} $$
#
# This is the line of [optimal_logit](../minigan/theory/optimal.py#optimal_logit). It is $+\infty$ on outcomes that only
# the data show and $-\infty$ on those that only the generator shows; where neither has mass, no loss looks, and any
# answer is optimal.

# %%
check("7.6", "logit D* = log p - log q", np.log(best / (1 - best)), optimal.optimal_logit(p, q),
      atol=1e-12, identity=17)  # fmt: skip
check("7.6a", "q = 0 gives ∞, p = 0 gives -∞", optimal.optimal_logit([1, 0], [0, 1]),
      [np.inf, -np.inf], atol=0.0)  # fmt: skip

# %% [markdown]
# How does the score feel a logit? By the chain rule, with $dD/d\ell = D(1 - D)$, the fractions disappear:
#
# $$ \frac{\partial V}{\partial \ell} = p \, (1 - D) - q \, D,
#    \qquad \frac{\partial^2 V}{\partial \ell^2} = -(p + q) \, D \, (1 - D) \tag{7.7} $$
#
# Still concave, and now tame: the slope lies between $-q$ and $p$ whatever the logit.

# %%
slopes = mg.grad(optimal.value_of_logits(t := mg.tensor(logits, requires_grad=True), p, q), t)
check("7.7", "dV/dl = p (1-D) - q D", slopes, p * (1 - D) - q * D, atol=1e-12)
curvature = np.diag(mg.hessian(lambda t: optimal.value_of_logits(t, p, q), logits).data)
check("7.7a", "d²V/dl² = -(p+q) D (1-D)", curvature, -(p + q) * D * (1 - D), atol=1e-12)

# %% [markdown]
# ## What two articles make of this
#
# Article S4, section 4.2.1, differentiates $L_D = -[\log D(x) + \log(1 - D(G(z)))]$ "by $D$" and gets
# $1/D(x) - 1/(1 - D(G(z)))$. But $D(x)$ and $D(G(z))$ are two different numbers: there are two derivatives, and both
# have the other sign.
#
# $$ \frac{\partial L_D}{\partial D(x)} = -\frac{1}{D(x)}, \qquad
#    \frac{\partial L_D}{\partial D(G(z))} = \frac{1}{1 - D(G(z))} \tag{7.8} $$
#
# The article's expression does vanish at $D(x) = 1$, $D(G(z)) = 0$, and there it puts the minimum. That is a
# coincidence: the true slopes at that point are $-1$ and $1$. (For two *free* numbers the minimum is there all the same,
# because it is a corner of the square $[0, 1]^2$, and in a corner no slope need vanish.) What is missing is the pointwise
# step, which asks what happens when the *same* example may be real or fake.


# %%
def slopes_at(on_real, on_fake):
    """The derivatives of -log D(x) - log(1 - D(G(z))) in its two variables."""
    pair = [mg.tensor(np.array(value), requires_grad=True) for value in (on_real, on_fake)]
    return [g.item() for g in mg.grad(-ops.log(pair[0]) - ops.log(1.0 - pair[1]), pair)]


check("7.8", "two slopes: -1/D(x) and 1/(1-D(G(z)))", slopes_at(0.7, 0.4), [-1 / 0.7, 1 / 0.6],
      atol=1e-12)  # fmt: skip
off = np.abs(np.subtract(slopes_at(0.7, 0.4), 1 / 0.7 - 1 / 0.6))
check("7.8a", "neither is 1/D(x) - 1/(1-D(G(z)))", off, 1, relation=">=", atol=0, errata="S4.2")
check("7.8b", "at (1, 0) they are -1 and 1, not 0", slopes_at(1.0, 0.0), [-1, 1], atol=1e-15,
      errata="S4.2")  # fmt: skip

# %% [markdown]
# "1 on reals, 0 on fakes" is no function at all where both kinds occur: outcome 6 would need two answers. It is the
# optimum exactly when the supports are disjoint, and then the score is the largest possible one, 0:
#
# $$ D^* \in \{0, 1\} \text{ on every outcome that occurs} \iff p(x) \, q(x) = 0 \text{ for all } x \iff V(D^*) = 0 \tag{7.9} $$

# %%
apart = np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.25, 0.75])
check("7.9", "disjoint supports: D* is 1 or 0", optimal.optimal_discriminator(*apart), [1, 1, 0, 0],
      atol=0.0)  # fmt: skip
check("7.9a", "and V(D*) = 0", optimal.value_of_logits(optimal.optimal_logit(*apart), *apart), 0.0,
      atol=0.0)  # fmt: skip
check("7.9b", "here they overlap: V(D*) < -1", optimal.value(best, p, q), -1.0, relation="<=",
      atol=0.0, errata="S4.2")  # fmt: skip

# %% [markdown]
# Section 4.1.3 of the same article writes the game as `min_G max_D L_D` with $L_D = -V$. Then $D$ would *maximise* its
# loss: it would learn to be wrong, and nothing would stop it. Let it answer the logit $-c$ to everything:
#
# $$ L_D(\ell = -c) = \operatorname{softplus}(c) + \operatorname{softplus}(-c) \ge c \;\to\; \infty,
#    \qquad \text{while } \min_D L_D \text{ is finite} \tag{7.10} $$
#
# The right statement is $\min_G \max_D V$, or $\min_D L_D$ for the discriminator.

# %%
c = np.array([10.0, 100.0, 1000.0])
lying = [-optimal.value_of_logits(np.full(8, -k), p, q) for k in c]
closed = c + 2 * np.log1p(np.exp(-c))  # softplus(c) = c + softplus(-c)
check("7.10", "logit -c: L_D = softplus(c) + softplus(-c)", lying, closed, atol=0.0, rtol=1e-14)
check(
    "7.10a", "so L_D >= c: max_D L_D is infinite", lying, c, relation=">=", atol=0.0, errata="S4.1"
)
loss_at = lambda d, p, q: -(p * np.log(d) + q * np.log(1 - d))  # of one outcome, answered with d
searched = [minimize_scalar(loss_at, args=laws, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
            for laws in zip(p, q, strict=True)]  # fmt: skip
least = sum(found.fun for found in searched)
check("7.10b", "min_D L_D is not: a search outcome by outcome ends at D*", [found.x for found in searched], best,
      atol=1e-7)  # fmt: skip
check("7.10c", "and at the loss L_D(D*)", least, -optimal.value(best, p, q), atol=1e-12)
check("7.10d", "which is 1.2292", least, 1.2292, atol=5e-5)

# %% [markdown]
# ## What the best discriminator scores
#
# Put (7.4) into (7.1), and let $m = (p + q)/2$ be the law of an example whose label was decided by a fair coin:
#
# $$ \begin{aligned}
#    V(D^*) &= \sum p \log \frac{p}{p + q} + \sum q \log \frac{q}{p + q}
#            = \sum p \log \frac{p}{2m} + \sum q \log \frac{q}{2m} \\
#           &= \operatorname{KL}(p \Vert m) + \operatorname{KL}(q \Vert m) - 2 \log 2
#            = 2 \operatorname{JSD}(p, q) - \log 4 \tag{7.11} \end{aligned} $$
#
# The 2 in front of $m$ leaves $\log 2$ twice because $p$ and $q$ each sum to 1. **The best score is a divergence.**
# Training $D$ measures how far the generator is from the data. The left side below is the score of the discriminator
# that the search found, the right side knows nothing of discriminators.

# %%
ceiling = 2 * divergences.jsd(p, q) - math.log(4)
V_found = (p * np.log(found)).sum() + (q * np.log1p(-np.array(found))).sum()
check("7.11", "V(D*) = 2 JSD(p, q) - log 4", V_found, ceiling, atol=1e-14, identity=18)
print(f"JSD(p, q) = {divergences.jsd(p, q):.4f} nats, V(D*) = {ceiling:.4f}")

# %% [markdown]
# JSD lies between 0 (equal laws) and $\log 2$ (disjoint ones), so $V(D^*)$ lies between $-\log 4$ and 0. At a **perfect
# generator**, $p = q$, the best discriminator says 1/2 everywhere, and the losses are
#
# $$ L_D = \log 4 \approx 1.386, \qquad L_D / 2 = \log 2 \approx 0.693, \qquad L_G = -\mathbb{E}_q \log D = \log 2 \tag{7.12} $$
#
# Many programs average the two halves of $L_D$, so know which one a log shows. None of these is 0. A discriminator loss
# near 0 means that the generator is caught every time. Nor is $D(G(z)) = 1$ the sign of fakes that cannot be told apart,
# as article S4 writes in section 4.2.2: a discriminator that says 1 to fakes is *wrong*, not undecided.

# %%
perfect = [search(lambda d, a=a: -a * math.log(d) - a * math.log(1 - d), 1e-9, 1 - 1e-9) for a in p]
half = mg.tensor(np.zeros(5))  # a batch of logits at D = 1/2
check("7.12", "p = q: D* = 1/2, not 1", perfect, 0.5, atol=1e-7, errata="S4.3")
check("7.12a", "and L_D = log 4", losses.logistic(half, half), math.log(4), atol=1e-15)
check("7.12b", "while L_G = log 2", losses.non_saturating.generator(half), math.log(2), atol=1e-15)

# %% [markdown]
# ## What a worse discriminator loses
#
# Real discriminators are not optimal. How much score is lost? Subtract (7.1) for $D$ from (7.1) for $D^*$, and write
# $p = (p + q) D^*$, $q = (p + q)(1 - D^*)$:
#
# $$ \begin{aligned}
#    V(D^*) - V(D) &= \sum_x (p + q) \left[ D^* \log \frac{D^*}{D} + (1 - D^*) \log \frac{1 - D^*}{1 - D} \right] \\
#                  &= \sum_x (p + q) \operatorname{KL}(\operatorname{Bern} D^* \Vert \operatorname{Bern} D)
#    \tag{7.13} \end{aligned} $$
#
# The loss of score, the **regret**, is itself a divergence, between two coins at each outcome. It is never negative,
# which proves once more that $D^*$ is the maximum, this time without a derivative.

# %%
coins = divergences.kl(np.stack([best, 1 - best], -1), np.stack([D, 1 - D], -1))
check("7.13", "V(D*) - V(D) = Σ (p+q) KL(Bern D* || Bern D)", ceiling - V, ((p + q) * coins).sum(),
      atol=1e-12, identity=19)  # fmt: skip
check(
    "7.13a", "theory.optimal knows it as regret", optimal.regret(D, p, q), ceiling - V, atol=1e-12
)

# %% [markdown]
# Read it the other way round. *Any* discriminator gives a lower bound on the divergence, and the better it is trained,
# the tighter:
#
# $$ \operatorname{JSD}(p, q) \ge \frac{V(D) + \log 4}{2} \quad \text{for every } D \tag{7.14} $$
#
# So an observed $L_D = \log 4$ does *not* say that $p = q$. It says that this discriminator sees no difference, and one
# that never learnt anything says the same. We draw a thousand discriminators, from very close to $D^*$ to far away, and
# look for an exception.

# %%
noise = np.random.default_rng(7).normal(size=(1000, 8)) * np.geomspace(1e-3, 3, 1000)[:, None]
many = optimal.optimal_logit(p, q) + noise
bounds = (optimal.value_of_logits(many, p, q) + math.log(4)) / 2
check("7.14", "JSD >= (V(D) + log 4)/2 for every D", divergences.jsd(p, q), bounds, relation=">=",
      atol=0.0)  # fmt: skip
check("7.14a", "and the best of them comes near", bounds.max(), divergences.jsd(p, q), atol=1e-7)

# %% [markdown]
# Near the optimum the regret is quadratic in the error of the logit, with the curvature of (7.7):
#
# $$ V(D^*) - V(D) = \frac{1}{2} \sum_x (p + q) \, D^* (1 - D^*) \, (\ell - \ell^*)^2
#    + O\left(|\ell - \ell^*|^3\right) \tag{7.15} $$
#
# The weight $(p+q) D^*(1-D^*)$ is small where examples are rare, or where $D^*$ is nearly sure. There the discriminator
# hardly cares about its logit, and learns it last.

# %%
direction = np.random.default_rng(8).normal(size=8)


def over_the_quadratic(step):
    """The regret at logits l* + step * direction, over what (7.15) predicts."""
    regret = optimal.regret_of_logits(optimal.optimal_logit(p, q) + step * direction, p, q)
    return regret / (0.5 * ((p + q) * best * (1 - best) * (step * direction) ** 2).sum())


check("7.15", "the regret is quadratic: step 0.01", over_the_quadratic(1e-2), 1.0, atol=1e-2)
check("7.15a", "step 0.001, error ten times smaller", over_the_quadratic(1e-3), 1.0, atol=1e-3)

# %% [markdown]
# ## Train one
#
# Enough of formulas: does gradient descent find it? The discriminator is a table of eight logits, starting at 0 ("I
# have no idea"). One learner descends on the exact $L_D$, the other sees batches of 64 reals and 64 fakes, as a GAN
# does. The gradients are autodiff's.


# %%
def train(draw, steps, rate):
    """Gradient descent on L_D from logits 0; `draw()` gives a step's frequencies (reals, fakes)."""
    table, values, kept = np.zeros(8), [], {}
    for step in range(steps + 1):
        values.append(optimal.value_of_logits(table, p, q))
        kept[step] = 1 / (1 + np.exp(-table))
        t = mg.tensor(table, requires_grad=True)
        table = table - rate * mg.grad(-optimal.value_of_logits(t, *draw()), t).data
    return np.array(values), kept


dice = np.random.default_rng(9)
steps = sized(1000, 400)
exact, tables_seen = train(lambda: (p, q), steps, rate=8.0)
noisy, _ = train(
    lambda: (dice.multinomial(64, p) / 64, dice.multinomial(64, q) / 64), steps, rate=1.0
)

# %% [markdown]
# Both climb towards the ceiling $2 \operatorname{JSD} - \log 4$, and by (7.14) neither can pass it:
#
# $$ V(D_k) \le 2 \operatorname{JSD}(p, q) - \log 4 \;\text{ at every step } k, \qquad
#    V(D_k) \to 2 \operatorname{JSD}(p, q) - \log 4 \;\text{ with exact gradients} \tag{7.16} $$
#
# The noisy learner keeps a small regret for ever: its steps do not shrink, so it dances around the optimum.

# %%
check("7.16", "V(D) of both learners <= 2 JSD - log 4", np.stack([exact, noisy]), ceiling,
      relation="<=", atol=1e-14)  # fmt: skip
check("7.16a", "exact gradients reach it", exact[-1], ceiling, atol=1e-14)
check("7.16b", "and the table is D*", tables_seen[steps], best, atol=1e-12)
check("7.16c", "noisy ones stay below by more than 1e-5", noisy[-100:], ceiling - 1e-5,
      relation="<=", atol=0.0)  # fmt: skip

# %%
BLUE, ORANGE, GREEN = COLOURS[:3]
fig, (left, right) = figure(1, 2, width=8.0, height=3.8, gridspec_kw={"width_ratios": [1.3, 1]})
x = np.arange(8)
left.bar(x - 0.2, p, 0.36, color="#A9C8E4", label="p, data")
left.bar(x + 0.2, q, 0.36, color="#EBB58A", label="q, generator")
left.plot(x, best, "o", color="black", label="D* = p/(p+q)", markersize=8, markerfacecolor="none")
for step, marker in ((2, "x"), (10, "+"), (steps, ".")):
    left.plot(x, tables_seen[step], marker, label=f"D, step {step}", color="black", markersize=6)
left.set(xlabel="outcome", ylabel="probability", ylim=(0, 0.85), xticks=x)
left.legend(
    ncols=3,
    loc="lower center",
    bbox_to_anchor=(0.5, 1.0),
    frameon=False,
    handletextpad=0.5,
    columnspacing=1.2,
)
right.plot(ceiling - noisy, label="batches of 64", color=ORANGE, linewidth=0.9, linestyle="-")
right.plot(np.maximum(ceiling - exact, 1e-15), label="exact gradient", color=BLUE, linestyle="-")
right.set(
    xlabel="step",
    ylabel="regret  V(D*) - V(D)  (nats)",
    yscale="log",
    ylim=(1e-12, 1),
    xlim=(0, 400),
)
right.legend(loc="upper right", frameon=False)
show(
    fig,
    "training",
    alt="Left: the probabilities of data and generator as bars; a discriminator trained by "
    "gradient descent moves from 1/2 to the circles p/(p+q). Right: its regret falls exponentially "
    "with exact gradients and levels off near 0.001 with batches of 64.",
)

# %% [markdown]
# ## What the generator is told
#
# Article S0, section 2.2.1, gives the generator the aim `min_G D(G(z))`. With $D$ the probability of "real" this has
# the wrong sign: the generator would look for outcomes that are *easily recognised as fake*. Let the generator have
# logits $\theta$, $q = \operatorname{softmax}(\theta)$, and take one small step of size $\eta$ in either direction,
# $D^*$ held fixed. In our world
#
# $$ \theta_\pm = \theta \pm \eta \, \nabla_\theta \mathbb{E}_{q_\theta} D^*: \qquad
#    \operatorname{JSD}(p, q_{\theta_+}) < \operatorname{JSD}(p, q_\theta) < \operatorname{JSD}(p, q_{\theta_-}) \tag{7.17} $$

# %%
theta = mg.tensor(np.log(q), requires_grad=True)
uphill = mg.grad((ops.softmax(theta) * best).sum(), theta).data


def distance(step):
    moved = np.exp(np.log(q) + step * uphill)
    return divergences.jsd(p, moved / moved.sum())


check("7.17", "raising E_q D* brings q closer to p", distance(0.5), distance(0) - 1e-3,
      relation="<=", atol=0.0)  # fmt: skip
check("7.17a", "lowering it, as S0 wants, drives q away", distance(-0.5), distance(0) + 1e-3,
      relation=">=", atol=0.0, errata="S0.8")  # fmt: skip

# %% [markdown]
# ## Accuracy is total variation, and a "generator accuracy" is not one
#
# Let $D$ only say "real" on a set $A$ of outcomes, and "fake" elsewhere. With as many reals as fakes its accuracy is
# $\frac{1}{2} p(A) + \frac{1}{2} (1 - q(A))$. There are $2^8$ sets; the best of them is $\{p > q\}$, and
#
# $$ \max_A \frac{p(A) + 1 - q(A)}{2} = \frac{1 + \operatorname{TV}(p, q)}{2}, \qquad
#    \operatorname{TV}(p, q) = \frac{1}{2} \sum_x |p - q| \tag{7.18} $$

# %%
sets = np.array(list(itertools.product([0.0, 1.0], repeat=8)))
accuracy = (sets @ p + 1 - sets @ q) / 2
check("7.18", "best accuracy = (1 + TV)/2", accuracy.max(),
      (1 + divergences.total_variation(p, q)) / 2, atol=1e-12)  # fmt: skip
print(f"best accuracy {accuracy.max():.3f}; the set is", np.flatnonzero(sets[accuracy.argmax()]))

# %% [markdown]
# Article S3, section 5.4, reports a "generator accuracy" of 86.76 % beside 90.32 % on real data, and praises both. The
# first number is $q(A)$, the share of fakes that pass as real: a **fool rate**. Fooling is easy with a bad judge: $A$ =
# everything gives a fool rate of 100 % for *every* generator. Together, the two numbers say that the judge's accuracy
# is
#
# $$ \frac{p(A) + 1 - q(A)}{2} = \frac{0.9032 + 1 - 0.8676}{2} = 0.5178 \tag{7.19} $$
#
# hardly better than a coin, so they measure the discriminator's failure as much as the generator's success. The check
# counts, in 10,000 reals and 10,000 fakes.

# %%
is_real = np.repeat([True, False], 10_000)
called_real = np.concatenate([np.arange(10_000) < 9032, np.arange(10_000) < 8676])
right = np.mean(called_real == is_real)
check("7.19", "accuracy of that judge, counted", right, (0.9032 + 1 - 0.8676) / 2, atol=1e-12,
      errata="S3.4")  # fmt: skip
lenient = np.ones(8)  # lets every outcome pass
collapsed = np.eye(8)[0]  # a generator of nothing but outcome 0, which is 2 % of the data
rates = [collapsed @ lenient, q @ lenient, q @ sets[accuracy.argmax()]]
check("7.19a", "fool rates: 1, 1, and 0.33 with the best judge", rates, [1, 1, 0.33], atol=1e-12,
      errata="S3.4")  # fmt: skip

# %% [markdown]
# ## Other labels, other shares
#
# The recipe (write the loss as a sum over outcomes, minimise each term) works for every variant. First, let a share
# $\pi$ of what the discriminator sees be real, instead of one half. Replace $p$ by $\pi p$ and $q$ by $(1 - \pi) q$ in
# (7.4):
#
# $$ D^*_\pi = \frac{\pi p}{\pi p + (1 - \pi) q}, \qquad \ell^*_\pi = \log \frac{p}{q} + \log \frac{\pi}{1 - \pi} \tag{7.20} $$
#
# The logit is only shifted, by the log odds of the shares. Three reals a fake add $\log 3$ to every logit, which
# teaches a generator nothing new but makes $D$ say "real" more often. The best loss
# $\pi \mathbb{E}_p[-\log D] + (1 - \pi) \mathbb{E}_q[-\log(1 - D)]$ becomes $h(\pi) - \operatorname{JSD}_\pi(p, q)$: the
# entropy $h(\pi) = -\pi \log \pi - (1 - \pi) \log(1 - \pi)$ of the label, less what the example tells about it,
# $\operatorname{JSD}_\pi = \pi \operatorname{KL}(p \Vert m_\pi) + (1 - \pi) \operatorname{KL}(q \Vert m_\pi)$ with
# $m_\pi = \pi p + (1 - \pi) q$. (At $\pi = \frac{1}{2}$ this loss is half of $L_D$.)


# %%
def minimise(loss, start):
    """One output for each outcome, at the minimum of a smooth loss: BFGS and autodiff."""

    def slope(t):
        t = mg.tensor(t, requires_grad=True)
        return mg.grad(loss(t), t).data

    return minimize(
        lambda t: float(loss(mg.tensor(t)).item()),
        start,
        jac=slope,
        method="BFGS",
        options={"gtol": 1e-10},
    ).x


weighted = optimal.weighted(prior=0.75)
reached = minimise(lambda t: weighted.discriminator(t, p, q), np.zeros(8))
check("7.20", "prior 3/4: logit = log p/q + log 3", reached, np.log(p / q) + math.log(3), atol=1e-8,
      identity=20)  # fmt: skip
entropy_left = divergences.binary_entropy(0.75) - divergences.jsd(p, q, prior=0.75)
d = 1 / (1 + np.exp(-reached))
least = -(0.75 * p * np.log(d) + 0.25 * q * np.log(1 - d)).sum()
check("7.20a", "min L_D = h(π) - JSD_π(p, q)", least, entropy_left, atol=1e-14)

# %% [markdown]
# **The hinge loss** $\mathbb{E}_p \max(0, 1 - t) + \mathbb{E}_q \max(0, 1 + t)$ takes a raw output $t$. At one outcome
# it is made of straight lines with kinks at $\pm 1$. Left of $-1$ it falls (slope $-p$), right of 1 it rises (slope $q$),
# and between them it is $p(1 - t) + q(1 + t)$ with slope $q - p$. A line is least at an end:
#
# $$ t^* = \operatorname{sign}(p - q), \qquad
#    \min L_D = \sum 2 \min(p, q) = 2 - 2 \operatorname{TV}(p, q) \tag{7.21} $$
#
# The second half of the prediction: yes, it changes. On outcome 6 the hinge discriminator answers 1, and it would also
# answer 1 for 51 % against 49 %. It only votes. At outcome 5, a tie, every answer in $[-1, 1]$ is as good.

# %%
untied = p != q
grid = np.linspace(-2, 2, 401)
pointwise = p[:, None] * np.maximum(0, 1 - grid) + q[:, None] * np.maximum(0, 1 + grid)
voted = grid[pointwise.argmin(axis=1)]
check("7.21", "hinge: t* = sign(p - q)", voted[untied], optimal.hinge.optimum(p, q)[untied],
      atol=1e-12, identity=27)  # fmt: skip
check("7.21a", "min L_D = 2 - 2 TV", pointwise.min(axis=1).sum(), optimal.hinge.value(p, q),
      atol=1e-12, identity=27)  # fmt: skip

# %% [markdown]
# **Smoothed labels.** Call reals "$\alpha$" (say 0.9) and fakes "$\beta$" (usually 0). The cross entropy with label
# $\alpha$ is a mixture of "real" with weight $\alpha$ and "fake" with weight $1 - \alpha$, so the mass labelled real is
# $\alpha p + \beta q$ and
#
# $$ D^* = \frac{\alpha \, p + \beta \, q}{p + q} \tag{7.22} $$
#
# One-sided smoothing ($\beta = 0$) caps $D^*$ at $\alpha$: the logit can no longer run to infinity on outcomes that
# only the data show. It does not bound it below. With $\beta > 0$ it does, but $q$ enters the numerator: where fakes
# are plenty and data absent, $D^*$ stays at $\beta$ whatever the generator does (Salimans et al. 2016, section 3.4).


# %%
def smooth_loss(t, alpha, beta):
    bce = lambda label: ops.softplus(t) - label * t  # = -label log D - (1 - label) log(1 - D)
    return (p * bce(alpha)).sum() + (q * bce(beta)).sum()


def reached_with(alpha, beta):
    return 1 / (1 + np.exp(-minimise(lambda t: smooth_loss(t, alpha, beta), np.zeros(8))))


check("7.22", "labels 0.9 and 0: D* = αp/(p+q)", reached_with(0.9, 0.0), 0.9 * p / (p + q),
      atol=1e-8, identity=25)  # fmt: skip
check("7.22a", "labels 0.9 and 0.2", reached_with(0.9, 0.2), (0.9 * p + 0.2 * q) / (p + q),
      atol=1e-7, identity=25)  # fmt: skip
capped = optimal.optimal_logit([1, 0], [0, 1], real_label=0.9)
check("7.22b", "one-sided: logits in (-∞, log 9]", capped, [math.log(9), -math.inf], atol=1e-12)

# %% [markdown]
# ## Least squares
#
# LSGAN replaces the logarithms by squares:
# $L_D = \frac{1}{2} \mathbb{E}_p (D - b)^2 + \frac{1}{2} \mathbb{E}_q (D - a)^2$ with $a$ the label of fakes and $b$
# that of reals. The pointwise slope $p(D - b) + q(D - a)$ vanishes at the weighted mean of the labels:
#
# $$ D^* = \frac{b \, p + a \, q}{p + q}, \qquad \min L_D = \frac{(b - a)^2}{2} \sum \frac{p \, q}{p + q} \tag{7.23} $$
#
# The check solves the weighted least-squares problem with NumPy's solver instead.

# %%
design = np.vstack([np.diag(np.sqrt(p)), np.diag(np.sqrt(q))])


def fitted(a, b):
    """The D that minimises Σ p (D - b)² + q (D - a)², by linear least squares."""
    return np.linalg.lstsq(design, np.concatenate([b * np.sqrt(p), a * np.sqrt(q)]), rcond=None)[0]


a, b = -1.0, 1.0
solved = fitted(a, b)
squares = optimal.least_squares(a=a, b=b, c=0.0)
check("7.23", "LSGAN: D* = (bp + aq)/(p+q)", squares.optimum(p, q), solved, atol=1e-14, identity=26)
least = 0.5 * (p * (solved - b) ** 2 + q * (solved - a) ** 2).sum()
check("7.23a", "min L_D = (b-a)²/2 Σ pq/(p+q)", least, (b - a) ** 2 / 2 * (p * q / (p + q)).sum(),
      atol=1e-14)  # fmt: skip

# %% [markdown]
# The generator wants its fakes to be called $c$ and minimises $\frac{1}{2} \mathbb{E}_q (D - c)^2$. To this the paper
# adds $\frac{1}{2} \mathbb{E}_p (D - c)^2$, which the generator cannot change while $D$ is held. Take $b - c = 1$ and
# $b - a = 2$, and insert $D^* - c = (b - c)\frac{p}{p+q} + (a - c)\frac{q}{p+q} = \frac{p - q}{p + q}$. Twice the sum
# is a chi-squared divergence:
#
# $$ \mathbb{E}_p (D^* - c)^2 + \mathbb{E}_q (D^* - c)^2 = \sum \frac{(p - q)^2}{p + q}
#    = 2 \chi^2(q \Vert m), \qquad \chi^2(u \Vert v) = \sum \frac{(u - v)^2}{v}, \quad m = \frac{p + q}{2} \tag{7.24} $$
#
# The paper writes it with the arguments in the other order, as the Pearson $\chi^2$ of $p + q$ and $2q$. It compares $q$
# with the mixture and is bounded by 2; it is not the $\chi^2(p \Vert q)$ that one might read into the name.

# %%
c = 0.0
both = (p * (solved - c) ** 2).sum() + (q * (solved - c) ** 2).sum()
check("7.24", "= Σ (p-q)²/(p+q)", both, ((p - q) ** 2 / (p + q)).sum(), atol=1e-14, identity=26)
check(
    "7.24a", "= 2 χ²(q||m)", both, 2 * divergences.pearson_chi_squared(q, (p + q) / 2), atol=1e-14
)
check("7.24b", "it is not χ²(p||q)", both, divergences.pearson_chi_squared(p, q), atol=0.1,
      relation="!=")  # fmt: skip

# %% [markdown]
# Mind the fine print: (7.24) is a *value*. It is no statement about the generator's *steps*, which hold $D^*$ and do
# not feel the added term. For a step, outcome $x$ has the slope $(D^* - c)^2 = (\frac{p - q}{p + q})^2$, while the
# divergence, in which $D^*$ follows $q$, has the slope $-2 \frac{p - q}{p + q} - (\frac{p - q}{p + q})^2$. For the
# logistic loss the two will turn out to agree (lesson 8); here they do not.

# %%
share = (p - q) / (p + q)
t = mg.tensor(q, requires_grad=True)
followed = mg.grad((ops.square(p - t) / (p + t)).sum(), t)
check("7.24c", "slope of Σ (p-q)²/(p+q) in q", followed, -2 * share - share**2, atol=1e-14)
check(
    "7.24d", "is not the slope with D* held", followed, (solved - c) ** 2, atol=0.5, relation="!="
)

# %% [markdown]
# Article S2 has two examples with squares. The second trains $D$ towards 1 and 0 and $G$ towards 1/2, that is
# $(a, b, c) = (0, 1, \frac{1}{2})$. Then $b - a = 2(b - c)$ still holds, but every label distance is halved, and so is
# $D^* - c$:
#
# $$ (a, b, c) = \left(0, 1, \tfrac{1}{2}\right): \qquad
#    \mathbb{E}_p (D^* - c)^2 + \mathbb{E}_q (D^* - c)^2 = \frac{1}{4} \sum \frac{(p - q)^2}{p + q} \tag{7.25} $$
#
# the same divergence with a quarter of the constant. The game is sound; what the generator feels is four times smaller.

# %%
closed = ((p - q) ** 2 / (p + q)).sum() / 4
half_way = ((p + q) * (fitted(0.0, 1.0) - 0.5) ** 2).sum()
check("7.25", "(0, 1, 1/2): a quarter of (7.24)", half_way, closed, atol=1e-14, errata="S2.5")

# %% [markdown]
# The first example lets *both* players use $(D(G(z)) - 0.5)^2$: $a = c = \frac{1}{2}$, $b = 1$. Both want the same of
# the fakes, so there is no adversary. The best answer is
#
# $$ D^* = \frac{p + q/2}{p + q}, \qquad \text{which is } \frac{3}{4} \text{ at } p = q \tag{7.26} $$
#
# and the two gradients with respect to the fakes' scores are not opposed but identical. (Its $L_G$ also contains
# $(D(x) - 1)^2$, a number that the generator cannot change.)

# %%
friendly = optimal.least_squares(a=0.5, b=1.0, c=0.5)
check("7.26", "a = 1/2, b = 1: D* = (p + q/2)/(p+q)", fitted(0.5, 1.0), (p + q / 2) / (p + q),
      atol=1e-14)  # fmt: skip
check("7.26a", "which is 3/4 at p = q", friendly.optimum(p, p), 0.75, atol=1e-15, errata="S2.4")

scores = mg.tensor(np.array([0.1, 0.6, 0.9]), requires_grad=True)
pair = losses.least_squares(a=0.5, b=1.0, c=0.5)
d_slope = mg.grad(pair.discriminator(mg.tensor(np.ones(3)), scores), scores)
g_slope = mg.grad(pair.generator(scores), scores)
check("7.26b", "both players push the fakes' scores the same way", d_slope, g_slope, atol=1e-15,
      errata="S2.4")  # fmt: skip

# %% [markdown]
# ## Critics
#
# A Wasserstein critic $f$ maximises $\mathbb{E}_p f - \mathbb{E}_q f$, which is linear: without a constraint the
# supremum is infinite. The constraint decides which distance comes out. Bounded scores see total variation; scores that
# may rise by at most 1 per unit of length see the Wasserstein distance, the least cost of carrying the mass of one law
# to the places of the other:
#
# $$ \sup_{|f| \le 1} \mathbb{E}_p f - \mathbb{E}_q f = 2 \operatorname{TV}(p, q), \qquad
#    \sup_{|f(x) - f(y)| \le |x - y|} \mathbb{E}_p f - \mathbb{E}_q f = W_1(p, q) = \int |F - G| \, dx \tag{7.27} $$
#
# $F$ and $G$ are the distribution functions of $p$ and $q$. **The first**: no term of $\sum (p - q) f$ exceeds
# $|p - q|$, and $f = \operatorname{sign}(p - q)$ makes each equal to it, so the supremum is
# $\sum |p - q| = 2 \operatorname{TV}$.
#
# **The second**, for outcomes at $x = 0, 1, \dots, 7$ on a line. Put $p(x) - q(x) = \Delta(x) - \Delta(x - 1)$ with
# $\Delta = F - G$, $\Delta(-1) = 0$, and collect the factors of each $\Delta(x)$ (summation by parts). As both laws
# sum to 1, $\Delta(7) = 0$, and
#
# $$ \sum_{x=0}^{7} f(x) \left( p(x) - q(x) \right) = \sum_{x=0}^{6} \Delta(x) \left( f(x) - f(x + 1) \right)
#    \le \sum_{x=0}^{6} |\Delta(x)| = \int |F - G| \, dx $$
#
# because neighbours differ by at most 1; and steps $f(x + 1) - f(x) = \operatorname{sign}(G(x) - F(x))$ reach it. A
# chain of such steps never rises by more than the distance, so the limit between neighbours is enough.
#
# **It is the least cost.** Left of the gap between $x$ and $x + 1$ there is the mass $F(x)$, and there should be
# $G(x)$. So at least $|F(x) - G(x)|$ has to cross that gap, which costs this mass times 1, whatever the plan:
# $W_1 \ge \sum_x |\Delta(x)|$. Carrying mass in its order (the leftmost to the leftmost place) crosses each gap in one
# direction only, and with no more than that: $W_1 = \int |F - G| \, dx$.
#
# Both suprema are linear programs, so a solver can judge.

# %%
bounded = linprog(q - p, bounds=[(-1, 1)] * 8)
check("7.27", "sup over |f| <= 1 is 2 TV", -bounded.fun, -optimal.bounded_critic().value(p, q),
      atol=1e-9, identity=28)  # fmt: skip

rise = np.eye(8)[1:] - np.eye(8)[:-1]  # f(x+1) - f(x)
lipschitz = linprog(q - p, A_ub=np.vstack([rise, -rise]), b_ub=np.ones(14), bounds=[(-8, 8)] * 8)
critic = optimal.wasserstein(np.arange(8.0))
check("7.27a", "sup over slopes <= 1 is ∫|F - G|", -lipschitz.fun, -critic.value(p, q), atol=1e-9)
check("7.27b", "attained where f' = sign(G - F)",
      p @ critic.optimum(p, q) - q @ critic.optimum(p, q), -lipschitz.fun, atol=1e-9)  # fmt: skip

# %% [markdown]
# ## Pairs
#
# A **relativistic** discriminator compares: given one real $x$ and one fake $y$ it should tell which is which, with the
# logit $C(x) - C(y)$, and pays $\operatorname{softplus}(-(C(x) - C(y)))$. Think of the pair as one example. In the
# right order its law is $p \times q$ (that is, $p(x) q(y)$), in the swapped order $q \times p$. So this is the game we
# know, on pairs. (A swapped pair has the opposite logit and pays the same, so one order is enough: the loss is half of
# $L_D$ on pairs.) The best logit is
#
# $$ C^*(x) - C^*(y) = \log \frac{p(x) \, q(y)}{q(x) \, p(y)}, \; \text{ so } C^* = \log \frac{p}{q},
#    \qquad \min L_D = \log 2 - \operatorname{JSD}(p \times q, q \times p) \tag{7.28} $$
#
# A difference of one-example scores is enough: nothing would be gained by a network that looks at both examples at
# once. And pairs are at least as easy to tell apart as single examples, since one may look at the first of the pair
# only: the divergence is at least $\operatorname{JSD}(p, q)$.

# %%
right_order, swapped = np.outer(p, q).reshape(-1), np.outer(q, p).reshape(-1)
paired = divergences.jsd(right_order, swapped)
ahead = minimise(lambda c: optimal.relativistic.discriminator(c, p, q), np.zeros(8))
check("7.28", "C* = log p/q up to a constant", ahead - ahead[0], np.log(p / q) - np.log(p / q)[0],
      atol=1e-6, identity=29)  # fmt: skip
check("7.28a", "min L_D = log 2 - JSD(p×q, q×p)", optimal.relativistic.discriminator(ahead, p, q),
      math.log(2) - paired, atol=1e-10)  # fmt: skip
check("7.28b", "JSD of the pairs >= JSD", paired, divergences.jsd(p, q), relation=">=", atol=0.0,
      identity=29)  # fmt: skip

# %% [markdown]
# ## Any f-divergence
#
# The f-GAN turns the method round: choose the divergence first. For convex $f$ with conjugate
# $f^*(t) = \sup_u (u t - f(u))$, lesson 6 shows
#
# $$ D_f(p \Vert q) = \max_T \; \mathbb{E}_p T - \mathbb{E}_q f^*(T), \qquad T^* = f'\left(\frac{p}{q}\right) \tag{7.29} $$
#
# (where $f$ has a derivative and $q > 0$). Whatever the $f$, the best output is a function of $p/q$ alone: the density
# ratio is all that such a discriminator can learn.

# %%
reached = minimise(
    lambda t: -((p * t).sum() - (q * ops.exp(t - 1.0)).sum()), np.zeros(8)
)  # f = u log u, f* = e^(t-1)
kl_game = optimal.f_gan("kl")
check("7.29", "KL: T* = 1 + log p/q", reached, kl_game.optimum(p, q), atol=1e-6)
check("7.29a", "max = KL(p||q)", -kl_game.discriminator(reached, p, q), (p * np.log(p / q)).sum(),
      atol=1e-10)  # fmt: skip

# %% [markdown]
# ## The table of games
#
# Seven games, one world. The loss changes what the best discriminator says, and which distance its score measures:
#
# | game | $D^*$ or $t^*$ | at its best, the discriminator's loss is |
# |---|---|---|
# | logistic (GAN) | $\ell^* = \log p/q$ | $\log 4 - 2 \operatorname{JSD}$ |
# | least squares | $(bp + aq)/(p + q)$ | $\frac{(b-a)^2}{2} \sum pq/(p+q)$ |
# | hinge | $\operatorname{sign}(p - q)$ | $2 - 2 \operatorname{TV}$ |
# | bounded critic | $\operatorname{sign}(p - q)$ | $-2 \operatorname{TV}$ |
# | Lipschitz critic | $f' = \operatorname{sign}(G - F)$ | $-W_1$ |
# | relativistic pairs | $\log p/q + \text{const}$ | $\log 2 - \operatorname{JSD}(p \times q, q \times p)$ |
# | f-GAN | $f'(p/q)$ | $-D_f(p \Vert q)$ |
#
# The one that stands out is the Lipschitz critic: all others look only at the ratio $p/q$ at one place, it alone knows
# how far apart the places are. A [Game](../minigan/theory/optimal.py#Game) of the engine holds both columns of a row as
# functions; on our world, for every game,
#
# $$ L_D(t^*) = \text{the closed form in the last column} \tag{7.30} $$

# %%
shown = [
    optimal.minimax,
    squares,
    optimal.hinge,
    optimal.bounded_critic(),
    critic,
    optimal.relativistic,
    kl_game,
]
for game in shown:
    outputs = game.optimum(p, q)
    print(
        f"{game.name:16} {game.formula:40} = {game.value(p, q):8.4f}   outputs {outputs.round(2)}"
    )
gaps = [game.discriminator(game.optimum(p, q), p, q) - game.value(p, q) for game in shown]
check("7.30", "every game: loss at its optimum = its closed form", gaps, 0.0, atol=1e-12)

# %%
ratio = np.linspace(-5, 5, 401)
share = 1 / (1 + np.exp(-ratio))  # p/(p+q)
fig, ax = figure(width=6.4, height=3.6)
for line, colour, dash, label, place in (
    (ratio, "#666666", ":", "logit log p/q", (1.65, 1.45)),
    (share, BLUE, "-", "D* = p/(p+q)", (-4.9, 0.07)),
    (0.9 * share, BLUE, "--", "smoothed, α = 0.9", (2.85, 0.72)),
    (2 * share - 1, GREEN, "-.", "least squares, a = -1, b = 1", (-4.9, -0.66)),
    (np.sign(ratio), ORANGE, "-", "hinge, bounded critic", (-4.9, -1.17)),
):
    ax.plot(ratio, line, color=colour, linestyle=dash)
    ax.text(*place, label, color=colour, fontsize=9)
ax.set(
    xlabel="log p(x)/q(x) of an outcome (nats)",
    ylabel="best output",
    ylim=(-1.6, 1.6),
    xlim=(-5, 5),
)
show(
    fig,
    "outputs",
    alt="The best output of each discriminator against the log density ratio: a straight line for "
    "the logit, a logistic curve for D*, the same times 0.9 for smoothed labels, a tanh for least "
    "squares, a step for the hinge loss.",
)

# %% [markdown]
# ## Exercises
#
# Replace the `raise` by your answer and run the cell. Every answer is tried on a hundred random worlds.


# %%
def best_discriminator(p, q, prior):
    """The D that maximises prior E_p log D + (1 - prior) E_q log(1 - D), for tables p, q > 0."""
    # Hint: one outcome at a time: maximise a log D + b log(1 - D). What are a and b here?
    raise NotImplementedError


def is_best(answer, pq, prior):
    p, q = pq
    d = np.asarray(answer(p, q, prior))
    assert d.shape == p.shape and (d > 0).all() and (d < 1).all()
    slope = prior * p * (1 - d) - (1 - prior) * q * d  # of the objective in the logit
    np.testing.assert_allclose(slope / (p + q), 0, atol=1e-9)


grade("7.E1", best_discriminator, is_best, pq=tables(2), prior=floats(0.05, 0.95))


# %%
def best_score(p, q):
    """max_D V(D), for tables that may contain zeros.

    No discriminator needed: plain NumPy, and no warnings.
    """
    # Hint: put D* into V. A term whose probability is 0 contributes 0; leave it out before the
    # logarithm.
    raise NotImplementedError


def is_the_score(answer, pq):
    with np.errstate(all="raise"):
        score = answer(*pq)
    want = optimal.value_of_logits(optimal.optimal_logit(*pq), *pq)
    assert abs(score - want) <= 1e-9, f"got {score}, the best discriminator scores {want}"


grade("7.E2", best_score, is_the_score, pq=tables(2, zeros=True))


# %%
def density_ratio(d, prior, real_label):
    """p/q, read off a perfect discriminator.

    It was trained with a share `prior` of reals, with the label `real_label` for
    reals and 0 for fakes. d: its probabilities, each below real_label.
    """
    # Hint: divide by real_label first, to have a plain posterior. Its odds are p/q times the odds
    # of the prior.
    raise NotImplementedError


def gives_the_ratio(answer, pq, prior, real_label):
    p, q = pq
    d = optimal.optimal_discriminator(p, q, prior=prior, real_label=real_label)
    np.testing.assert_allclose(answer(d, prior, real_label), p / q, rtol=1e-6)


grade("7.E3", density_ratio, gives_the_ratio, pq=tables(2, bound=3.0), prior=floats(0.2, 0.8),
      real_label=floats(0.6, 1.0))  # fmt: skip


# %%
def least_squares_scores(p, q, fake_label, real_label):
    """The best scores of an LSGAN discriminator, where p + q > 0.

    The middle of the labels where p = q = 0.
    """
    # Hint: at one outcome the loss is a parabola in the score; its vertex is a weighted mean of
    # the labels.
    raise NotImplementedError


def fits_best(answer, pq, fake_label, real_label):
    p, q = pq
    t = np.asarray(answer(p, q, fake_label, real_label))
    slope = p * (t - real_label) + q * (t - fake_label)
    seen = p + q > 0
    np.testing.assert_allclose(slope[seen] / (p + q)[seen], 0, atol=1e-12)
    np.testing.assert_allclose(t[p + q == 0], (real_label + fake_label) / 2, atol=1e-12)


grade("7.E4", least_squares_scores, fits_best, pq=tables(2, zeros=True), fake_label=floats(-1, 0),
      real_label=floats(0.5, 1))  # fmt: skip


# %%
def best_accuracy(p, q, prior):
    """The highest share of right answers ("real" or "fake"), a share `prior` being real."""
    # Hint: at each outcome the better answer is right with the larger of two joint probabilities.
    raise NotImplementedError


def is_the_highest(answer, pq, prior):
    p, q = pq
    sets = np.array(list(itertools.product([0.0, 1.0], repeat=p.size)))
    right = prior * (sets @ p) + (1 - prior) * (1 - sets @ q)
    assert abs(answer(p, q, prior) - right.max()) <= 1e-12


grade("7.E5", best_accuracy, is_the_highest, pq=tables(2, max_size=6), prior=floats(0.0, 1.0))

# %% [markdown]
# ## What to read next
#
# - Goodfellow et al. 2014, [arXiv 1406.2661](https://arxiv.org/abs/1406.2661), section 4: proposition 1 is (7.4), and
#   equation 6, in the proof of theorem 1, is (7.11).
# - Goodfellow 2016, [arXiv 1701.00160](https://arxiv.org/abs/1701.00160), sections 3.2 and 4.2: costs, and one-sided
#   smoothing.
# - Mao et al. 2016, [arXiv 1611.04076](https://arxiv.org/abs/1611.04076), section 3.2; Lim and Ye 2017,
#   [arXiv 1705.02894](https://arxiv.org/abs/1705.02894); Jolicoeur-Martineau 2018,
#   [arXiv 1807.00734](https://arxiv.org/abs/1807.00734).
# - In this code: [optimal_discriminator](../minigan/theory/optimal.py#optimal_discriminator), and the property tests
#   [identity 18](../tests/test_identities_gan_values.py#test_identity_18_the_value_is_the_jsd) and
#   [identity 19](../tests/test_identities_gan_values.py#test_identity_19_the_regret_is_a_mean_divergence), which hold
#   the two central formulas on random worlds.
# - At work: `minigan train density` holds a trained logit against $\log p/q$ of two laws whose densities are known.
#
# Lesson 8 takes the other side of the table: what the generator should minimise, now that we know what it is up
# against.
