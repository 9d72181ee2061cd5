# %% [markdown]
# # 10. Reading the losses
#
# A training log of a GAN prints two numbers again and again. Most people read them as they would read the loss of a
# classifier: down is good. For a GAN that is wrong, and this lesson says precisely what the two numbers can tell and
# what they cannot. We derive a law that every honest log obeys, and find that the logs printed in two popular articles
# break it. Then we train two small GANs whose losses look alike. One learns the data; the other does not.
#
# You need: the losses on logits (lesson 2), JSD and total variation (lesson 5), the optimal discriminator (lesson 7;
# its one formula is repeated here).
#
# **Predict first.** A log ends with `Generator Loss: 0.0023, Discriminator Loss: 0.0024`. Is this GAN excellent,
# mediocre, collapsed, or something else? Decide before you read on; the printed logs of section 2 answer.

# %%
import math

import numpy as np
from scipy import special
from scipy.spatial.distance import jensenshannon

import minigan as mg
from minigan import losses, nn, optim
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLACK, BLUE, GREEN, GREY, ORANGE
from minigan.theory import divergences, optimal, transport

LOG2, LOG4 = math.log(2), math.log(4)


def softplus(x):
    """log(1 + e^x), in plain NumPy."""
    return np.logaddexp(0.0, x)


def sigmoid(x):
    return np.exp(-softplus(-np.asarray(x, np.float64)))


# %% [markdown]
# ## 1. The losses as functions of the logits
#
# The discriminator gives each point a **logit** $\ell$, any real number, which stands for the probability
# $D = \sigma(\ell) = 1/(1 + e^{-\ell})$ that the point is real. With $\operatorname{softplus}(\ell) = \log(1 + e^\ell)$
# we have $-\log D = \operatorname{softplus}(-\ell)$ and $-\log(1 - D) = \operatorname{softplus}(\ell)$. So the
# discriminator minimises
#
# $$ L_D = \underbrace{\mathbb{E}_{\text{real}} \operatorname{softplus}(-\ell)}_{L_{D,\text{real}}}
# + \underbrace{\mathbb{E}_{\text{fake}} \operatorname{softplus}(\ell)}_{L_{D,\text{fake}}} \tag{10.1} $$
#
# and the generator, with the usual non-saturating loss,
#
# $$ L_G = \mathbb{E}_{\text{fake}}\left[-\log D(G(z))\right]
# = \mathbb{E}_{\text{fake}} \operatorname{softplus}(-\ell). \tag{10.2} $$
#
# In minigan they are [logistic](../minigan/losses.py#logistic) and
# [heuristic](../minigan/losses.py#heuristic). We compare with the definition, through probabilities.

# %%
draw = lambda shape, stream: mg.random.normal(shape, seed=10, stream=stream, dtype=np.float64)
real, fake = 1.0 + 2.0 * draw((500,), "real"), -0.5 + 2.0 * draw((500,), "fake")
d_real, d_fake = sigmoid(real.data), sigmoid(fake.data)
pair = losses.non_saturating
by_definition = -np.log(d_real).mean() - np.log1p(-d_fake).mean()
check("10.1", "L_D on logits = −mean log D(x) − mean log(1 − D(G(z)))",
      pair.discriminator(real, fake), by_definition, atol=1e-12)  # fmt: skip
check("10.2", "L_G on logits = −mean log D(G(z))", pair.generator(fake), -np.log(d_fake).mean(),
      atol=1e-12)  # fmt: skip

# %% [markdown]
# At the equilibrium of the game the fakes have the data's law, and the best discriminator says $D = 1/2$ to everything:
# all logits are 0, and
#
# $$ L_D = \log 2 + \log 2 = \log 4 = 1.386, \qquad L_G = \log 2 = 0.693. \tag{10.3} $$
#
# These are the numbers of *perfect* training; not 0 and 0. (Where a log prints the mean of the two halves of $L_D$ in
# place of their sum, both numbers are $\log 2$.) They are also the lowest that a *constant* verdict $D = c$ can reach:
#
# $$ -\log c - \log(1 - c) = -\log\left(c(1 - c)\right) \ge \log 4, \qquad\text{as } c(1 - c) \le \tfrac14.
# \tag{10.4} $$

# %%
zeros = mg.tensor(np.zeros(4))
check("10.3", "all logits 0: L_D = log 4", pair.discriminator(zeros, zeros), LOG4, atol=1e-15)
check("10.3a", "all logits 0: L_G = log 2", pair.generator(zeros), LOG2, atol=1e-15)
c = np.linspace(0.01, 0.99, 99)
logit = np.log(c) - np.log1p(-c)
check("10.4", "constant D = c: L_D ≥ log 4", softplus(-logit) + softplus(logit), LOG4,
      atol=1e-14, relation=">=")  # fmt: skip
check("10.4a", "with equality at c = 1/2", c[np.argmin(softplus(-logit) + softplus(logit))],
      0.5, atol=1e-12)  # fmt: skip

# %% [markdown]
# Note that $L_G$ and $L_{D,\text{fake}}$ are averages over the *same* fakes of two functions of the *same* logit. For
# one fake they are bound together tightly:
#
# $$ e^{-\operatorname{softplus}(-\ell)} + e^{-\operatorname{softplus}(\ell)} = D + (1 - D) = 1, \tag{10.5} $$
#
# and on average their difference is the mean logit, because
# $\operatorname{softplus}(\ell) - \operatorname{softplus}(-\ell) = \ell$:
#
# $$ L_{D,\text{fake}} - L_G = \operatorname{mean}(\ell_{\text{fake}}). \tag{10.6} $$
#
# So a log that prints $L_{D,\text{real}}$ and $L_{D,\text{fake}}$ separately tells more than one that prints their sum.

# %%
ell = fake.data
check("10.5", "exp(−softplus(−ℓ)) + exp(−softplus(ℓ)) = 1",
      np.exp(-softplus(-ell)) + np.exp(-softplus(ell)), 1.0, atol=1e-14)  # fmt: skip
L_G, L_D_fake = float(pair.generator(fake)), float(softplus(ell).mean())
check("10.6", "L_D,fake − L_G = mean logit of the fakes", L_D_fake - L_G, ell.mean(),
      atol=1e-13, identity=50)  # fmt: skip

# %% [markdown]
# ## 2. A law that every log obeys
#
# **Claim.** On one batch of fakes and for one discriminator, whatever they are,
#
# $$ e^{-L_G} + e^{-L_{D,\text{fake}}} \le 1, \tag{10.7} $$
#
# with equality if and only if $D$ is constant on the batch.
#
# **Proof.** Let $D_1, \dots, D_n$ be the verdicts on the $n$ fakes.
#
# 1. $e^{-L_G} = \exp\left(\frac1n\sum\log D_i\right) = (D_1 \cdots D_n)^{1/n}$, a geometric mean. It is at most the arithmetic
#    mean, $\frac1n \sum D_i$. (That is Jensen's inequality for the concave logarithm.)
# 2. In the same way $e^{-L_{D,\text{fake}}} \le \frac1n \sum (1 - D_i)$.
# 3. Add: the right-hand sides sum to exactly 1. Equality in steps 1 and 2 needs all $D_i$ equal. That is the claim.
#
# A thousand random batches, of all levels and spreads, and one constant batch ([identity
# 24](../tests/test_identities_gan_values.py#test_identity_24_both_losses_cannot_be_small) tries to break it on others):

# %%
centres, spreads = 6 * draw((1000, 1), "centre").data, np.abs(3 * draw((1000, 1), "spread").data)
batches = centres + spreads * draw((1000, 32), "logits").data
left = np.exp(-softplus(-batches).mean(axis=1)) + np.exp(-softplus(batches).mean(axis=1))
check("10.7", "exp(−L_G) + exp(−L_D,fake) ≤ 1 on 1000 random batches", left, 1.0, atol=1e-12,
      relation="<=", identity=24)  # fmt: skip
same = np.full(32, 0.7)
check("10.7a", "equality where D is constant",
      np.exp(-softplus(-same).mean()) + np.exp(-softplus(same).mean()), 1.0, atol=1e-14)  # fmt: skip

# %% [markdown]
# How far below 1? Expand both terms to second order around the mean logit $m$, with $D = \sigma(m)$ and $V$ the
# variance of the logits. Since $(\log\sigma)'' = -\sigma(1 - \sigma)$, step 1 loses the factor $1 - \frac12 D(1 - D)V$,
# and so does step 2:
#
# $$ 1 - e^{-L_G} - e^{-L_{D,\text{fake}}} = \tfrac12 D(1 - D)\,V + O(V^{3/2}) \tag{10.8} $$
#
# The deficit measures how much $D$'s verdicts on the fakes *differ*. Where it is 0, $D$ treats all fakes alike.

# %%
for std in (0.1, 0.03):
    narrow = 0.4 + std * draw((2000,), "narrow").data
    deficit = 1 - np.exp(-softplus(-narrow).mean()) - np.exp(-softplus(narrow).mean())
    D = float(sigmoid(narrow.mean()))
    check(
        "10.8",
        f"deficit = D(1 − D) V / 2 for logits of spread {std}",
        deficit,
        D * (1 - D) * narrow.var() / 2,
        atol=0,
        rtol=0.5 * std**2,  # these logits lie evenly, so the next term is of order V²
    )

# %% [markdown]
# Solve (10.7) for the discriminator's loss on fakes. A small generator loss *forces* a large one:
#
# $$ L_{D,\text{fake}} \ge -\log\left(1 - e^{-L_G}\right) \tag{10.9} $$
#
# In words: $L_G$ is small only if $D$ takes fakes for real with confidence, and then $D$ itself pays dearly. The law is
# symmetric in the two. There is also a weaker form that one can check in one's head: for each fake,
# $\operatorname{softplus}(\ell) + \operatorname{softplus}(-\ell) \ge 2 \log 2$ (a convex even function, smallest at 0),
# so
#
# $$ L_G + L_{D,\text{fake}} \ge \log 4 = 1.386. \tag{10.10} $$


# %%
def least_partner(loss):
    """-log(1 - exp(-loss)): the least L_D,fake for a given L_G, and the other way round."""
    return -np.log(-np.expm1(-np.asarray(loss, np.float64)))


g_losses, d_losses = softplus(-batches).mean(axis=1), softplus(batches).mean(axis=1)
check("10.9", "L_D,fake ≥ −log(1 − exp(−L_G)) on the same batches", d_losses,
      least_partner(g_losses), atol=1e-12, relation=">=")  # fmt: skip
constant = np.linspace(-7, 7, 57)
check("10.9a", "attained by constant D", softplus(constant), least_partner(softplus(-constant)),
      atol=1e-12)  # fmt: skip
check("10.10", "L_G + L_D,fake ≥ log 4", g_losses + d_losses, LOG4, atol=1e-13, relation=">=",
      identity=24)  # fmt: skip

# %% [markdown]
# ### The printed logs
#
# Article S3, section 5.4, prints for epoch 100 a generator loss of 0.00232 and a discriminator loss of 0.00237, and
# calls the training converged. By (10.9) that generator loss forces $L_{D,\text{fake}} \ge 6.06$. The article's $L_D$
# (its section 3.1) is the sum of both halves, and $L_{D,\text{real}} \ge 0$, so $L_D \ge 6.06$ as well: 2,500 times
# what is printed.
#
# Article S4, section 5.4, prints `d_loss=0.0829, g_loss=0.0829` for epoch 20. Its code takes the *mean* of the two
# halves, so $d \ge L_{D,\text{fake}}/2 \ge 1.26$.
#
# The answer to the question at the start is therefore: *something else*. With these losses, measured on the same fakes,
# no GAN can produce such a log, good or bad.

# %%
S3 = {  # epoch: (generator loss, discriminator loss) as printed, rounded
    1: (0.692526, 0.695599), 2: (0.686375, 0.690598), 3: (0.679413, 0.684598),
    97: (0.002362, 0.002427), 98: (0.002335, 0.002405), 99: (0.002324, 0.002381),
    100: (0.002316, 0.002366),
}  # fmt: skip
S4 = {
    epoch: (v, v) for epoch, v in {1: 0.6250, 2: 0.5931, 3: 0.5563, 19: 0.0852, 20: 0.0829}.items()
}
print("          printed L_G   printed L_D   L_D is at least")
for name, log, share in (("S3 (sum)", S3, 1.0), ("S4 (mean)", S4, 0.5)):
    for epoch, (g, d) in log.items():
        least = share * least_partner(g)
        verdict = "possible" if d >= least else "impossible"
        print(f"{name:9} {epoch:4} {g:10.4f} {d:12.4f} {least:14.4f}   {verdict}")

# %%
forced3, forced4 = least_partner(S3[100][0]), least_partner(S4[20][0]) / 2
check("10.9b", "S3's L_G = .0023 forces L_D,fake ≥ 6.06", forced3, 6.06,
      atol=0, relation=">=", errata="shared.3")  # fmt: skip
late3, late4 = np.array([S3[e] for e in (97, 98, 99, 100)]), np.array([S4[e] for e in (19, 20)])
least3, least4 = least_partner(late3[:, 0]), least_partner(late4[:, 0]) / 2
check("10.9c", "S3, epochs 97 to 100: the least possible L_D exceeds the printed one by 6",
      least3, late3[:, 1] + 6, atol=0, relation=">=", errata="shared.3")  # fmt: skip
check("10.9d", "S4's L_G = .0829 forces a mean d_loss ≥ 1.26", forced4, 1.26,
      atol=0, relation=">=", errata="shared.3")  # fmt: skip
check("10.9e", "S4, epochs 19 and 20: the least possible d_loss exceeds the printed one by 1",
      least4, late4[:, 1] + 1, atol=0, relation=">=", errata="shared.3")  # fmt: skip

# %% [markdown]
# Three objections. *The two losses are measured one update apart, on other noise.* True, and from one step to the next
# they move by a few per cent, as our own logs in section 5 show; not by a factor of 2,500. *S3 means the average.*
# Halving 6.06 does not help. *The fakes are not the same.* That one is serious: the law needs one generator. S4's program
# (section 5.2) shows $D$ fakes that are made with the stored batch-norm statistics, $G$ is judged by fakes made with
# those of the batch, and $D$ is not frozen in $G$'s step, so $D$ may learn to reject the first kind and to accept the
# second. Two small losses of that program would then speak of two different generators, and not of good ones. (S3's
# program, section 5.2, cannot run: it compares $2n$ labels with $n$ verdicts.)
#
# But S4's two losses agree in all printed digits in *every* printed epoch. Suppose both are equal to $v$. From (10.7),
# with $L_{D,\text{fake}} \le v$ if $d$ is the sum, or $L_{D,\text{fake}} \le 2v$ if it is the mean:
#
# $$ \begin{aligned}
# \text{sum:} && 2e^{-v} &\le 1 &&\Rightarrow& v &\ge \log 2 = 0.693, \\
# \text{mean:} && e^{-v} + e^{-2v} &\le 1 &&\Rightarrow& v &\ge \log\frac{1 + \sqrt5}{2} = 0.481.
# \end{aligned} \tag{10.11} $$
#
# In the second case $u = e^{-v}$ satisfies $u + u^2 \le 1$, so $u$ is at most the golden ratio's inverse. Two equal
# losses below 0.481 cannot come from one generator and one discriminator, be $d$ the sum or the mean.

# %%
v = np.linspace(0.3, 0.9, 600_001)
as_sum, as_mean = v[v >= least_partner(v)][0], v[2 * v >= least_partner(v)][0]
check("10.11", "both losses v, d the sum: the least v is log 2", as_sum, LOG2, atol=2e-6)
check("10.11a", "both losses v, d the mean: the least v is the log of the golden ratio",
      as_mean, math.log((1 + math.sqrt(5)) / 2), atol=2e-6)  # fmt: skip
check("10.11b", "S4 prints .0852 and .0829 for both", late4, as_mean, atol=0, relation="<=",
      errata="shared.3")  # fmt: skip

# %% [markdown]
# Now we draw the law. The horizontal axis is $L_G$, the vertical one $L_{D,\text{fake}}$. Points below the curve do not
# exist. The articles do not print $L_{D,\text{fake}}$, so we give them the benefit of the doubt and plot the *largest*
# value that their $L_D$ leaves room for: all of it for S3, twice the mean for S4.

# %%
fig, ax = figure(height=4.2)
edge = np.geomspace(1e-3, 12, 400)
ax.loglog(edge, least_partner(edge), color=BLACK, linestyle="-")
ax.fill_between(edge, least_partner(edge), 1e-4, color="#EFEFEF", zorder=0)
ax.scatter(g_losses, d_losses, s=3, color=BLUE, alpha=0.35, label="1000 random batches")
ax.plot(LOG2, LOG2, "o", color=BLACK, markersize=7)
ax.annotate(
    "equilibrium\n$(\\log 2, \\log 2)$",
    (LOG2, LOG2),
    (1.3, 2.2),
    arrowprops={"arrowstyle": "-", "color": GREY},
    fontsize=9,
)
for log, factor, marker, colour, name in (
    (S3, 1, "s", ORANGE, "S3"),
    (S4, 2, "^", GREEN, "S4"),
):
    points = np.array(list(log.values()))
    ax.plot(
        points[:, 0],
        factor * points[:, 1],
        marker,
        color=colour,
        markersize=6,
        label=f"{name}, at best",
    )
ax.annotate(
    "impossible: $e^{-L_G} + e^{-L_{D,fake}} > 1$", (0.004, 0.03), fontsize=10, color="#444444"
)
ax.set(
    xlabel="generator loss $L_G$ (nats)",
    ylabel="$L_{D,fake}$ (nats)",
    xlim=(1e-3, 12),
    ylim=(1e-3, 12),
)
ax.annotate("S3, epochs 97 to 100", (0.0023, 0.0024), (0.0045, 0.0021), color=ORANGE, fontsize=9)
ax.annotate("S4, epochs 19, 20", (0.083, 0.166), (0.015, 0.22), color=GREEN, fontsize=9)
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=9)
show(
    fig,
    "feasible",
    alt="The curve exp(-L_G) + exp(-L_D,fake) = 1; random batches lie above it, the articles' late "
    "epochs far below",
)

# %% [markdown]
# ### "Generator accuracy 86.76 %"
#
# S3's log ends with a "Test Accuracy" of 86.76 % for the generator and 90.32 % for real images; its section 5.4 reads
# them as the accuracies of generator and discriminator. The code computes the share of *fakes* with $D > 1/2$. That is
# a **fool rate**: the share of fakes on which $D$ is *wrong*. Here $D$ accepts 90.32 % of the reals and 86.76 % of the
# fakes. It accepts nearly everything, and its accuracy on an equal mixture is
#
# $$ \frac{0.9032 + (1 - 0.8676)}{2} = 0.518, \tag{10.12} $$
#
# barely above a coin.
#
# The rates also contradict the losses next to them. A fake that $D$ rejects has $\ell \le 0$ and pays at least $\log 2$
# in $L_G$; a fake that $D$ accepts pays at least $\log 2$ in $L_{D,\text{fake}}$; a rejected real pays at least $\log 2$
# in $L_{D,\text{real}}$. With fool rate $r$ and acceptance rate $a$ of reals:
#
# $$ L_G \ge (1 - r)\log 2, \qquad L_{D,\text{fake}} \ge r \log 2, \qquad L_{D,\text{real}} \ge (1 - a)\log 2
# \tag{10.13} $$
#
# For the article's rates: $L_G \ge 0.091$ (printed 0.0023), and $L_D \ge 0.601 + 0.067$ (printed 0.0024). (The rates are
# from test images, the losses from training. A generator draws its fakes fresh in both, so $L_G$ has no such excuse.)

# %%
labels = np.concatenate([np.ones(10_000), np.zeros(10_000)])  # 10,000 reals, 10,000 fakes
said = np.concatenate([np.arange(10_000) < 9032, np.arange(10_000) < 8676])
check("10.12", "accuracy of S3's discriminator, counted = 51.8 %", np.mean(said == labels),
      (0.9032 + 1 - 0.8676) / 2, atol=1e-12, errata="S3.4")  # fmt: skip
check("10.12a", "a fool rate of 86.76 % is 13.24 % accuracy on fakes",
      np.mean(said[10_000:] == 0), 1 - 0.8676, atol=1e-12, errata="S3.4")  # fmt: skip

# %%
fooled = np.mean(batches > 0, axis=1)
check("10.13", "L_G ≥ (1 − r) log 2 on random batches", g_losses, (1 - fooled) * LOG2,
      atol=1e-13, relation=">=")  # fmt: skip
check("10.13a", "L_D,fake ≥ r log 2 on random batches", d_losses, fooled * LOG2,
      atol=1e-13, relation=">=")  # fmt: skip
reals = -centres + spreads * draw((1000, 32), "logits of reals").data
real_losses, accepted = softplus(-reals).mean(axis=1), np.mean(reals > 0, axis=1)
rejected_pay = (1 - accepted) * LOG2
check("10.13c", "L_D,real ≥ (1 − a) log 2", real_losses, rejected_pay, atol=1e-13, relation=">=")
check("10.13b", "13.24 % of rejected fakes cost more than the printed L_G", 0.1324 * LOG2,
      30 * S3[100][0], atol=0, relation=">=", errata=("S3.4", "shared.3"))  # fmt: skip

# %% [markdown]
# ## 3. What the losses can tell
#
# ### A lower bound on the divergence
#
# Let $p$ be the data's law and $q$ the fakes'. For given laws the least $L_D$ is reached at $D^* = p/(p + q)$, with
# logit $\log p/q$, where (lesson 7) $L_D = \log 4 - 2\,\mathrm{JSD}(p, q)$. Every other $D$ does worse, so, for *any*
# discriminator,
#
# $$ \mathrm{JSD}(p, q) \ge \frac{\log 4 - L_D}{2} \tag{10.14} $$
#
# and the slack is known exactly, point by point a divergence between two coins:
#
# $$ L_D - \left(\log 4 - 2\,\mathrm{JSD}\right)
# = \sum_x (p + q)(x)\;\mathrm{KL}\left(\mathrm{Bern}\,D^*(x) \,\Vert\, \mathrm{Bern}\,D(x)\right). \tag{10.15} $$
#
# To see (10.15), write both losses as sums over $x$ and divide the term of $x$ by $(p + q)(x)$: what remains is the cross
# entropy of the coins $D^*(x)$ and $D(x)$, minus the entropy of the coin $D^*(x)$. That is their KL.
#
# Read (10.14) with care. $L_D$ well *below* $\log 4$ proves that the fakes are *bad*. $L_D$ near $\log 4$ proves
# nothing: the fakes may be good, or $D$ may be weak. As a bound it can only accuse.

# %%
weights = np.exp(draw((2, 12), "tables").data)
p, q = weights / weights.sum(axis=1, keepdims=True)
off = np.linspace(0, 1, 300)[:, None]  # from D* itself to something else
logits = np.log(p / q) + off * draw((300, 12), "other discriminators").data
L_D = np.sum(p * softplus(-logits) + q * softplus(logits), axis=1)
check("10.14", "JSD ≥ (log 4 − L_D) / 2 for 300 discriminators", divergences.jsd(p, q),
      (LOG4 - L_D) / 2, atol=1e-13, relation=">=", identity=18)  # fmt: skip
best, D = p / (p + q), sigmoid(logits)
best_logit_loss = -np.sum(p * np.log(best) + q * np.log1p(-best))
coins = best * np.log(best / D) + (1 - best) * np.log((1 - best) / (1 - D))
check("10.15", "L_D − (log 4 − 2 JSD) = Σ (p + q) KL(Bern D* ‖ Bern D)",
      L_D - (LOG4 - 2 * divergences.jsd(p, q)), np.sum((p + q) * coins, axis=1), atol=1e-12,
      identity=19)  # fmt: skip
check("10.15a", "theory.optimal has both: value and regret",
      -optimal.value_of_logits(logits, p, q), L_D, atol=1e-12)  # fmt: skip
check("10.15b", "regret = L_D − min L_D", optimal.regret_of_logits(logits, p, q),
      L_D - best_logit_loss, atol=1e-12)  # fmt: skip

# %% [markdown]
# ### On few samples the bound is too optimistic
#
# (10.14) is about expectations. A log averages over a batch or a training set, on which $D$ was *fitted*. Then the
# bound can fail: $D$ finds differences that are mere chance. The cleanest case: $p = q$ uniform on $k$ cells, $n$
# samples of each, and $D$ free to take any value in each cell. It will choose $D = \hat p/(\hat p + \hat q)$ with the
# observed frequencies, and "measure" $\mathrm{JSD}(\hat p, \hat q) > 0$ where the truth is 0. By how much? For nearby
# tables $\mathrm{JSD} \approx \frac18 \sum (\hat p - \hat q)^2 / p$. Each $\hat p_i - \hat q_i$ has variance
# $2 p_i(1 - p_i)/n$, so
#
# $$ \mathbb{E}\,\mathrm{JSD}(\hat p, \hat q) \approx \frac18 \sum_i \frac{2(1 - p_i)}{n} = \frac{k - 1}{4n}.
# \tag{10.16} $$
#
# On *fresh* samples the same $D$ is just some discriminator, and (10.14) holds in expectation: the estimate averages
# below the truth. By (10.15), to the same order, it is too low by exactly as much as it was too high.

# %%
k, n, repeats = 10, 4000, 8000
counts = np.random.default_rng(10).multinomial(n, np.full(k, 1 / k), size=(4, repeats))
tables = counts / n  # (4, repeats, k): p and q, then fresh p and q
fitted = np.mean(divergences.jsd(tables[0], tables[1]))
logits = np.log(tables[0] / tables[1])
held_out = (
    LOG4 - np.sum(tables[2] * softplus(-logits) + tables[3] * softplus(logits), axis=-1)
) / 2
print(
    f"true JSD 0;  on the samples D was fitted to: {fitted:+.5f}; ",
    f"on fresh samples: {held_out.mean():+.5f}",
)
check("10.16", "optimism at p = q is (k − 1) / (4 n)", fitted, (k - 1) / (4 * n), atol=0, rtol=0.03)
check("10.16a", "on fresh samples the estimate averages below the truth, 0", held_out.mean(), 0.0,
      atol=0, relation="<=")  # fmt: skip
over_all_fresh = (LOG4 - np.mean(softplus(-logits) + softplus(logits), axis=-1)) / 2
check("10.16b", "by as much, over all fresh samples: −(k − 1) / (4 n)", over_all_fresh.mean(),
      -(k - 1) / (4 * n), atol=0, rtol=0.03)  # fmt: skip

# %% [markdown]
# ### Accuracy and total variation
#
# Calling a point real when $D > 1/2$ is a decision rule. On an equal mixture of reals and fakes, with $A$ the set that
# $D$ calls real, its accuracy is $\frac12 p(A) + \frac12(1 - q(A)) = \frac12 + \frac12\left(p(A) - q(A)\right)$. The
# largest value of $p(A) - q(A)$ over all sets is the total variation (lesson 5), so
#
# $$ \operatorname{accuracy} \le \frac{1 + \mathrm{TV}(p, q)}{2}, \qquad\text{with equality for } D^*. \tag{10.17} $$
#
# Measured on fresh samples, accuracy too is a lower bound in disguise:
# $\mathrm{TV} \ge 2 \cdot \operatorname{accuracy} - 1$. At the equilibrium it is 1/2: *the discriminator ends as a
# coin.*

# %%
called_real = draw((300, 12), "rules").data > 0  # 300 random sets A
accuracy = 0.5 * (called_real @ p + (1 - called_real @ q))
limit = (1 + divergences.total_variation(p, q)) / 2
check("10.17", "accuracy ≤ (1 + TV) / 2 for 300 random rules", accuracy, limit, atol=1e-13,
      relation="<=", identity=6)  # fmt: skip
check("10.17a", "equality for D* > 1/2", 0.5 * (p[p > q].sum() + q[p <= q].sum()), limit,
      atol=1e-14)  # fmt: skip

# %% [markdown]
# ## 4. What the losses cannot tell
#
# **Which way the fakes are bad.** JSD is symmetric, so $L_D$ at its optimum cannot tell a generator that *misses* half
# of the data from one that covers all of it but makes half *garbage*. Data: two equally likely outcomes. Third outcome:
# garbage.
#
# $$ \begin{aligned}
# p &= \left(\tfrac12, \tfrac12, 0\right), \quad q_{\text{collapsed}} = (1, 0, 0), \quad
# q_{\text{dirty}} = \left(\tfrac14, \tfrac14, \tfrac12\right): \\
# L_D &= \log 3 - \tfrac12\log\tfrac43 = 0.955 \text{ for both.}
# \end{aligned} \tag{10.18} $$

# %%
p = np.array([0.5, 0.5, 0.0])
collapsed, dirty = np.array([1.0, 0.0, 0.0]), np.array([0.25, 0.25, 0.5])


def best_discriminator_loss(p, q):
    """min over D of -sum p log D - sum q log(1 - D), term by term, with 0 log 0 = 0."""
    D = np.divide(p, p + q, out=np.full_like(p, 0.5), where=p + q > 0)
    return -np.sum(p[p > 0] * np.log(D[p > 0])) - np.sum(q[q > 0] * np.log1p(-D[q > 0]))


both = np.array([best_discriminator_loss(p, q) for q in (collapsed, dirty)])
check("10.18", "collapsed and dirty: the same L_D", both[0], both[1], atol=1e-14)
check("10.18a", "L_D = log 4 − 2 JSD = .955", both,
      [LOG4 - 2 * divergences.jsd(p, q) for q in (collapsed, dirty)], atol=1e-14)  # fmt: skip
check("10.18b", "= log 3 − log(4/3) / 2", both, math.log(3) - math.log(4 / 3) / 2, atol=1e-14)

# %% [markdown]
# **Whether equilibrium is reached.** A discriminator that cannot see, $D = 1/2$ everywhere, gives
#
# $$ L_D = \log 4, \quad L_G = \log 2 \quad\text{for every generator, the worst included.} \tag{10.19} $$
#
# **Whether a falling $L_G$ is progress.** $L_G$ is measured by a $D$ that changes. It falls when fakes improve, and
# equally when $D$ gets worse. Between two runs with different discriminators the numbers are not comparable at all.
#
# **A rule about directions.** By (10.10) the two losses on fakes cannot both become small. "Both losses fall towards
# 0", as in articles S2 (worked example), S3 (4.2, 5.4), S4 (5.4) and S0 (3.1.3: convergence is judged by watching the
# losses), is not the sign of good training. It is not possible.

# %%
blind = mg.tensor(np.zeros(1000))
far_apart = divergences.jsd([1.0, 0.0], [0.0, 1.0])
check("10.19", "blind D: L_D = log 4", pair.discriminator(blind, blind), LOG4, atol=1e-12)
check("10.19a", "... although JSD may be log 2", far_apart, LOG2, atol=1e-15)
check("10.10a", "both fake losses below .69 at once: no batch of the thousand",
      np.maximum(g_losses, d_losses).min(), LOG2, atol=1e-13, relation=">=", errata="shared.2")  # fmt: skip

# %% [markdown]
# ## 5. Three trainings
#
# Enough theory: train. The data are `gauss1d`, two heaps on the line at $\pm 2$. The generator is a small network. In
# the first run the discriminator is a small network too. In the second it is *linear*, $\ell = wx + b$: it can only see
# whether reals lie right or left of fakes. The third is the first with another seed.
#
# As the judge we take a distance that needs no discriminator. In one dimension the Wasserstein-1 distance is the mean
# gap between sorted samples and the data's quantiles:
#
# $$ W_1 \approx \frac1n \sum_i \left|x_{(i)} - F^{-1}\left(\tfrac{i - 1/2}{n}\right)\right| \tag{10.20} $$
#
# First, the judge is judged: two laws that differ by a shift $c$ have $W_1 = |c|$, and fresh data score nearly 0.

# %%
data = mg.data.load("gauss1d", n=20_000, seed=1)
line = np.linspace(-5, 5, 20_001)
cdf = 0.5 * special.ndtr((line + 2) / 0.5) + 0.5 * special.ndtr((line - 2) / 0.5)
quantiles = np.interp((np.arange(4000) + 0.5) / 4000, cdf, line)


def w1(x):
    """The Wasserstein-1 distance between 4000 samples and the law of the data."""
    return transport.wasserstein_1d(np.float64(x).ravel(), quantiles)


check(
    "10.20", "W1 of the law shifted by .7 = .7", w1(quantiles + 0.7), 0.7, atol=1e-12, identity=35
)
some = np.sort(mg.data.load("gauss1d", n=4000, seed=2).x.ravel())
floor = w1(some)
print(f"W1 of 4000 fresh data: {floor:.3f}, the best that a generator can hope for")
check("10.20a", "fresh data are near", floor, 0.1, atol=0, relation="<=")
empirical = np.searchsorted(some, line, side="right") / some.size
area = np.trapezoid(np.abs(empirical - cdf), line)
check("10.20b", "the judge is ∫|F_n − F|, another formula of W1", floor, area, atol=1e-3)

# %% [markdown]
# The training code is what a reader would write: two networks, two players, a game. (Lesson 9 explains each line.) We
# train in float64: a GAN amplifies rounding errors, and the numbers printed here should be yours as well. Every 50
# steps we evaluate both losses on 4000 reals and 4000 fakes that neither player has trained on.


# %%
def mlp(inputs, outputs, width=32):
    hidden = {"activation": "leaky_relu", "init": "he"}
    layers = (
        nn.Dense(inputs, width, **hidden),
        nn.Dense(width, width, **hidden),
        nn.Dense(width, outputs),
    )
    return nn.Sequential(*layers).astype(np.float64)


def linear():
    return nn.Dense(1, 1, init=nn.init.normal(0.02)).astype(np.float64)


def make(discriminator, steps, seed):
    """(generator, game) on one-dimensional data; both learning rates fall linearly to 0."""
    source = mg.random.Source(seed, dtype=np.float64)
    generator = mlp(1, 1).initialize(source, "G")
    discriminator.initialize(source, "D")
    fake = lambda like, stream: generator(source.normal((len(like), 1), stream=stream))
    d_loss = lambda x: pair.discriminator(discriminator(x), discriminator(fake(x, "noise for D")))
    g_loss = lambda x: pair.generator(discriminator(fake(x, "noise for G")))
    adam = lambda network, lr: optim.Adam(network, lr=optim.linear(lr, steps=steps), beta1=0.5)
    players = [
        mg.Player("D", d_loss, adam(discriminator, 2e-3)),
        mg.Player("G", g_loss, adam(generator, 1e-3)),
    ]
    return generator, mg.Game(players, random=source, replay=True)


# %%
fresh = mg.data.load("gauss1d", n=4000, seed=3).x.astype(np.float64)
noise = mg.random.normal((4000, 1), seed=11, stream="evaluation", dtype=np.float64)


def evaluate(generator, discriminator):
    """L_D,real, L_D,fake, L_G, accuracy of D and W1 of the fakes, on fresh samples."""
    with mg.no_grad():
        x = generator(noise)
        l_real, l_fake = discriminator(fresh).data, discriminator(x).data
    accuracy = 0.5 * (np.mean(l_real > 0) + np.mean(l_fake <= 0))
    return (
        softplus(-l_real).mean(),
        softplus(l_fake).mean(),
        softplus(-l_fake).mean(),
        accuracy,
        w1(x.data),
    )


def train(discriminator, steps, seed=0):
    """A table of evaluations, the log of the game (L_D, L_G at each step), and the generator."""
    generator, game = make(discriminator, steps, seed)
    loader, rows, log = mg.data.Loader(data.x.astype(np.float64), batch_size=128, seed=0), [], []
    for t in range(steps + 1):
        if t % 50 == 0:
            rows.append((t, *evaluate(generator, discriminator)))
        now = game.step(loader.batch(t))
        log.append([float(now[name].data) for name in ("D", "G")])
    return np.array(rows), np.array(log), generator


# %%
steps = sized(3000, 1200)
seeing, seeing_log, G = train(mlp(1, 1), steps, seed=5)
weak, weak_log, G_weak = train(linear(), steps)
lost, lost_log, G_lost = train(mlp(1, 1), 1200, seed=3)
runs = {"network D": seeing, "linear D": weak, "other seed": lost}
for name, run in runs.items():
    for t, real_half, fake_half, g_loss, accuracy, distance in run[[0, 5, len(run) // 2, -1]]:
        print(
            f"{name:10} step {t:4.0f}: L_D {real_half + fake_half:.3f}  L_G {g_loss:.3f}",
            f" accuracy {accuracy:.3f}  W1 {distance:.3f}",
        )

# %% [markdown]
# Look at the first two runs. From step 250 on, both have $L_D$ within 0.12 of $\log 4$ and $L_G$ within 0.12
# of $\log 2$. In the first run the fakes come much closer to the data meanwhile. In the second they do not. A linear $D$
# can only ask for another mean, and the mean keeps swinging around the right one (lesson 11 says why).
#
# $$ L_D \approx \log 4,\; L_G \approx \log 2 \text{ throughout; } W_1
# \text{ falls (network) or stays (linear).} \tag{10.21} $$

# %%
settled = slice(5, None)
both = np.concatenate([seeing[settled], weak[settled]])
check("10.21", "from step 250 on, L_D of both runs stays within .12 of log 4",
      abs(both[:, 1] + both[:, 2] - LOG4), 0.12, atol=0, relation="<=", errata="shared.2")  # fmt: skip
check("10.21a", "and L_G within .12 of log 2", abs(both[:, 3] - LOG2), 0.12, atol=0, relation="<=",
      errata="shared.2")  # fmt: skip

# %%
early, late = seeing[4:7, 5].mean(), seeing[-6:, 5].mean()
print(
    f"network D: W1 {early:.3f} around step 250, {late:.3f} at the end; ",
    f"linear D at the end: {weak[-6:, 5].mean():.3f}",
)
check("10.21b", "network D: W1 falls by half or more", late, early / 2, atol=0, relation="<=",
      errata="shared.2")  # fmt: skip
fall = seeing[4:7, 1:3].sum(axis=1).mean() - seeing[-6:, 1:3].sum(axis=1).mean()
check("10.21c", "... while L_D does not fall (it rises)", fall, 0.0, atol=0.01, relation="<=",
      errata="shared.2")  # fmt: skip
check("10.21d", "linear D: W1 stays above 1 with the losses of an equilibrium",
      weak[settled, 5], 1.0, atol=0, relation=">=", errata="shared.2")  # fmt: skip

# %% [markdown]
# The third run is a gift. Its losses stay at other values: $L_D = 0.96$, $L_G$ about 1.1 on average, and $D$ is right in
# three of four cases. Compare (10.18): these are the numbers of a generator that has *collapsed* onto one of two modes.
# There $D^* = 1/3$ at the fakes, so $L_G = -\log\frac13$, and by (10.17) with $\mathrm{TV} = 1/2$ the accuracy is
# $3/4$:
#
# $$ L_D = \log 3 - \tfrac12\log\tfrac43 = 0.955, \qquad L_G = \log 3 = 1.099, \qquad \operatorname{accuracy}
# = \tfrac34. \tag{10.22} $$
#
# Here the losses *do* say that something is wrong, since $L_D$ is below $\log 4$. That it is a missing mode, and not
# dirt, they do not say. (With 3000 steps this run stayed where it was. Seed 4
# collapses as well, the seeds 0, 1, 2, 5, 6 and 7 do not. Never judge a GAN by one seed.)

# %%
held = lost[settled]
check("10.22", "collapsed run: L_D = log 3 − log(4/3)/2", held[:, 1] + held[:, 2],
      math.log(3) - 0.5 * math.log(4 / 3), atol=0.04)  # fmt: skip
check("10.22a", "its mean L_G = log 3", held[:, 3].mean(), math.log(3), atol=0.05)
check("10.22b", "accuracy of D = 3/4", held[:, 4], 0.75, atol=0.02)
with mg.no_grad():
    lost_fakes = G_lost(noise).data
check("10.22c", "because all fakes are in one heap",
      max(np.mean(lost_fakes > 0), np.mean(lost_fakes < 0)), 0.98, atol=0, relation=">=")  # fmt: skip

# %% [markdown]
# The log that the game itself prints obeys our law as well, although its two losses come from different noise and are
# one update apart: with $L_{D,\text{fake}} \le L_D$, (10.7) would demand $e^{-L_G} + e^{-L_D} \le 1$ at each of the
# steps. And from one step to the next, with another batch, the losses of the first run change by less than 5 % on
# average.

# %%
logged = np.concatenate([seeing_log, weak_log, lost_log])
check("10.7b", "exp(−L_G) + exp(−L_D) ≤ 1 at every logged step of three runs",
      np.exp(-logged).sum(axis=1), 1.0, atol=0, relation="<=")  # fmt: skip
jumps = np.abs(np.diff(seeing_log, axis=0) / seeing_log[1:]).mean(axis=0)
print(f"mean change from step to step: L_D {jumps[0]:.1%}, L_G {jumps[1]:.1%}")
check("10.7d", "from step to step the losses change by less than 5 % on average", jumps, 0.05,
      atol=0, relation="<=")  # fmt: skip
exact = np.concatenate(list(runs.values()))
check("10.7c", "exp(−L_G) + exp(−L_D,fake) ≤ 1 at every evaluation",
      np.exp(-exact[:, 2]) + np.exp(-exact[:, 3]), 1.0, atol=1e-12, relation="<=", identity=24)  # fmt: skip

# %%
fig, axes = figure(2, 3, height=4.4, sharey="row")
for column, (title, run) in enumerate(runs.items()):
    top, bottom = axes[:, column]
    top.plot(run[:, 0], run[:, 1] + run[:, 2], color=BLUE, linestyle="-")
    top.plot(run[:, 0], run[:, 3], color=ORANGE, linestyle="--")
    bottom.plot(run[:, 0], run[:, 5], color=GREEN, linestyle="-")
    for ax, levels in ((top, (LOG4, LOG2)), (bottom, (floor,))):
        for level in levels:
            ax.axhline(level, color=BLACK, linewidth=0.9, linestyle=":")
    top.set(ylim=(0, 2), title=title)
    bottom.set(ylim=(0, 2.4), xlabel="step")
axes[0, 0].set_ylabel("loss (nats)")
axes[1, 0].set_ylabel("$W_1$ (fakes, data)")
axes[0, 1].annotate("$L_D$ (dotted: log 4)", (0.32 * steps, 1.52), color=BLUE, fontsize=9)
axes[0, 1].annotate("$L_G$ (dotted: log 2)", (0.32 * steps, 0.42), color=ORANGE, fontsize=9)
axes[1, 1].annotate("dotted: fresh data", (0.3 * steps, 0.13), fontsize=9)
show(
    fig,
    "runs",
    alt="Two runs hover at log 4 and log 2, one with falling W1 and one without; the collapsed run "
    "stays at .96 and about 1.1",
)

# %%
fig, ax = figure(height=2.7)
density = np.exp(data.log_density(line[:, None]))
with mg.no_grad():
    samples = [g(noise).data[:, 0] for g in (G, G_weak)]
ax.hist(samples[1], np.linspace(-5, 5, 81), density=True, color="#F3CDB4", label="fakes, linear D")
ax.hist(
    samples[0],
    np.linspace(-5, 5, 81),
    density=True,
    histtype="step",
    color=BLUE,
    linewidth=1.4,
    label="fakes, network D",
)
ax.plot(line, density, color=BLACK, linestyle="-", linewidth=1.2, label="density of the data")
ax.set(xlabel="x", ylabel="density", xlim=(-4.5, 4.5))
ax.legend(loc="upper left", fontsize=8)
show(
    fig,
    "samples",
    alt="Fakes of the first run follow the two heaps; fakes of the second run sit in one heap "
    "between them, with a tail to the right",
)

# %% [markdown]
# ### "The discriminator separates perfectly in the end"
#
# So says article S4 in section 4.3.8 (its section 1 says the opposite: in the end $D$ cannot tell). Equation (10.17)
# decides: as $q$ approaches $p$, the *best possible* accuracy falls to 1/2. In our first run:

# %%
final_accuracy = seeing[-6:, 4].mean()
print(f"accuracy of D on fresh samples, end of the first run: {final_accuracy:.3f}")
check("10.17b", "in the end D is a coin: accuracy within .05 of 1/2", abs(final_accuracy - 0.5),
      0.05, atol=0, relation="<=", errata="S4.5")  # fmt: skip
check("10.17c", "it is far from separating", final_accuracy, 1.0, atol=0.3, relation="!=",
      errata="S4.5")  # fmt: skip

# %% [markdown]
# When *does* $D$ separate perfectly? When the generator has failed. Put all fakes at $N(-6, 0.5^2)$, outside of the
# data, keep them there, and let a network $D$ train alone:
#
# $$ \text{disjoint laws, } D \text{ trained:}\qquad L_D \to 0, \quad L_G \to \infty,
# \quad \operatorname{accuracy} \to 1 \tag{10.23} $$
#
# So $L_D \to 0$ is the alarm, not the goal. A $D$ loss near 0 with a $G$ loss of 5 or 10 means that the generator is
# lost.


# %%
def fit(D, generate, steps, lr=2e-3):
    """Train a discriminator alone, on the data and on fakes generate(z) that do not change."""
    adam, source = optim.Adam(D, lr=lr), mg.random.Source(6, dtype=np.float64)
    loader = mg.data.Loader(data.x.astype(np.float64), batch_size=128, seed=6)
    for t in range(steps):
        source.advance()
        with mg.no_grad():
            x = generate(source.normal((128, 1), stream="noise"))
        adam.step(
            mg.grad(pair.discriminator(D(loader.batch(t)), D(x)), list(adam.parameters.values()))
        )
    return D


# %%
stuck = lambda z: 0.5 * z - 6.0
real_half, fake_half, g_loss, accuracy, distance = evaluate(
    stuck, fit(mlp(1, 1).initialize(5, "D"), stuck, 900)
)
print(
    f"L_D = {real_half + fake_half:.4f},  L_G = {g_loss:.2f}, ",
    f"accuracy {accuracy:.4f},  W1 {distance:.2f}",
)
check("10.23", "D alone on disjoint laws: L_D below .1", real_half + fake_half, 0.1, atol=0,
      relation="<=", errata="S4.5")  # fmt: skip
check("10.23a", "L_G above 4", g_loss, 4.0, atol=0, relation=">=")
check("10.23b", "accuracy above .99: separation is failure", accuracy, 0.99, atol=0,
      relation=">=", errata="S4.5")  # fmt: skip

# %% [markdown]
# ## 6. What to watch instead
#
# | Watch | It tells | It does not tell |
# |---|---|---|
# | $L_{D,\text{real}}$ and $L_{D,\text{fake}}$ apart, on held-out reals | if $D$ memorises | quality |
# | $\log 4 - L_D$ on fresh samples | a *lower* bound on 2 JSD: how bad, at least | how good |
# | accuracy of $D$ on fresh samples | $\mathrm{TV} \ge 2\,\text{acc} - 1$ | the same |
# | $L_D \to 0$, $L_G$ large | the generator is lost | |
# | a distance without $D$: $W_1$, energy, Fréchet | quality, on one scale for all runs | which modes are missing |
# | mode counts, recall | coverage | sharpness |
# | samples from *fixed* noise | what changes, by eye | rare failures |
#
# And one can always train a *fresh* discriminator on the finished generator and read (10.14) on held-out samples. It
# has no history with this generator. It convicts the second run at once: same fakes, a better $D$.


# %%
def fresh_bound(generator):
    """(log 4 - L_D) / 2 on held-out samples, for a new network D trained on a fixed generator."""
    real_half, fake_half, *_ = evaluate(
        generator, fit(mlp(1, 1).initialize(6, "D"), generator, 400)
    )
    return (LOG4 - real_half - fake_half) / 2


# %%
bounds = [fresh_bound(g) for g in (G, G_weak, G_lost)]
# the bound is an average over 4000 + 4000 samples: it errs by about .01
print(
    "JSD is at least "
    + ", ".join(f"{b:.3f} ({name})" for b, name in zip(bounds, runs, strict=True))
)
own = (LOG4 - weak[-1, 1] - weak[-1, 2]) / 2
check("10.14a", "a fresh D proves the linear run's fakes bad: JSD ≥ .1", bounds[1], 0.1, atol=0,
      relation=">=")  # fmt: skip
check("10.14b", "its own D could prove next to nothing", own, 0.02, atol=0, relation="<=")
check("10.14c", "the network run's fakes stand the test better", bounds[0], bounds[1] / 2,
      atol=0, relation="<=")  # fmt: skip

# %% [markdown]
# ### Two yardsticks of the articles
#
# Article S2, section 5.2.2, first says that a smaller Fréchet distance is better, and then praises its GAN for a *high*
# one. The distance compares two laws as if they were normal, with means $\mu_1, \mu_2$ and deviations
# $\sigma_1, \sigma_2$; on the line it is
#
# $$ d_F^2 = (\mu_1 - \mu_2)^2 + (\sigma_1 - \sigma_2)^2, \tag{10.24} $$
#
# which is 0 for equal laws and grows with every difference: low is good. (For images it is taken between features of
# a classifier, and called FID. [frechet_distance](../minigan/theory/transport_gaussian.py#frechet_distance) has it in
# any dimension.) The fakes of the network run are better than those that never came near the data, and score lower.


# %%
def frechet(generator):
    """(10.24) between 4000 fakes of a generator and 4000 data."""
    with mg.no_grad():
        x = np.ravel(generator(noise).data)
    return transport.frechet_distance(x.mean(), x.var(), some.mean(), some.var())


ours = transport.frechet_distance(1.5, 4.0, -0.5, 0.25)
check("10.24", "Fréchet distance of N(1.5, 2²) and N(−.5, .5²)", ours, 2.0**2 + 1.5**2, atol=1e-13)
near, far = frechet(G), frechet(stuck)
print(f"Fréchet distance: {near:.4f} (network run), {far:.2f} (fakes far from the data)")
check("10.24a", "better fakes, lower distance", near, far / 100, atol=0, relation="<=",
      errata="S2.14")  # fmt: skip

# %% [markdown]
# Article S0, section 4.1.3, judges generated images by the peak signal-to-noise ratio,
# $10 \log_{10}(R^2 / \mathrm{MSE})$ with $R$ the range of the values and MSE the mean squared difference between an
# image and *the image it should have been*. A sample has no such partner. What if one takes any real image? For
# independent $x$ and $y$
#
# $$ \mathbb{E}(x - y)^2 = \operatorname{Var} x + \operatorname{Var} y + (\mathbb{E}x - \mathbb{E}y)^2 \tag{10.25} $$
#
# (expand the square; the covariance is 0). A perfect generator, $y$ with the data's law, has
# $\mathrm{MSE} = 2 \operatorname{Var} x$. One that prints the mean of the data every time has
# $\mathrm{MSE} = \operatorname{Var} x$, and wins by $10 \log_{10} 2 = 3.01$ decibels. The structural similarity
# (SSIM) compares pairs as well.

# %%
moved = 1 + some  # so that no mean is 0
real_part, fake_part = moved[::2], moved[1::2]  # two samples of one law: perfect fakes
pairs = (real_part[:, None] - fake_part) ** 2
expanded = real_part.var() + fake_part.var() + (real_part.mean() - fake_part.mean()) ** 2
check("10.25", "mean of (x − y)² over all pairs", pairs.mean(), expanded, atol=1e-10)
decibels = lambda error: 10 * np.log10((moved.max() - moved.min()) ** 2 / error)
one_point = np.mean((real_part - moved.mean()) ** 2)
check("10.25a", "PSNR puts one point above perfect fakes, by 3.01 dB", decibels(one_point),
      decibels(pairs.mean()) + 10 * np.log10(2), atol=0.02, errata="S0.16")  # fmt: skip

# %% [markdown]
# ## Exercises

# %%
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigan.lessons.strategies import arrays, floats


# %%
def least_fake_loss(generator_loss):
    """The least L_D,fake that is compatible with this generator loss (> 0), on the same batch."""
    # Hint: on one logit e^-L_G = D and e^-L_fake = 1 - D. The mean over a batch cannot do better
    # (Jensen).
    raise NotImplementedError


def least_property(answer, logit):
    g, d = softplus(-logit), softplus(logit)  # a constant D attains the bound
    assert abs(answer(g) - d) < 1e-6 * d, (
        f"L_G = {g}: a constant D has L_D,fake = {d}, you said {answer(g)}"
    )


grade("10.E1", least_fake_loss, least_property, logit=floats(-10, 10))


# %%
def possible(generator_loss, discriminator_loss, averaged):
    """Whether a log may print these losses.

    averaged: the second is the mean of both halves of L_D, not their sum.
    """
    # Hint: undo the mean of the halves first. The sum of both halves is at least its fake half,
    # for which the first exercise has a bound.
    raise NotImplementedError


def possible_property(answer, real, fake, averaged):
    g = softplus(-fake).mean()
    d = (softplus(-real).mean() + softplus(fake).mean()) / (2 if averaged else 1)
    assert answer(g, d, averaged), (
        f"L_G = {g}, L_D = {d} (averaged: {averaged}) came from real logits"
    )
    too_low = least_partner(g) * (0.49 if averaged else 0.98)
    assert not answer(g, too_low, averaged), (
        f"L_G = {g}, L_D = {too_low} (averaged: {averaged}) is impossible"
    )


grade("10.E2", possible, possible_property, real=arrays(5, -6, 6), fake=arrays(5, -6, 6),
      averaged=st.booleans())  # fmt: skip


# %%
def jsd_at_least(real_logits, fake_logits):
    """The lower bound on JSD(p_data, p_g) that these held-out logits give; never below 0."""
    # Hint: V of any D is at most V(D*) = 2 JSD - log 4. Solve for JSD.
    raise NotImplementedError


def bound_property(answer, reals, fakes, trust, noise):
    p, q = reals / reals.sum(), fakes / fakes.sum()  # the laws, if each outcome came so often
    logits = trust * np.log(p / q) + noise
    got = np.asarray(answer(np.repeat(logits, reals), np.repeat(logits, fakes))).item()
    told, right = ([d, 1 - d] for d in (sigmoid(logits), p / (p + q)))
    lost = (
        (p + q) / 2 @ special.rel_entr(right, told).sum(axis=0)
    )  # by a D that is not the best one
    gap = jensenshannon(p, q) ** 2 - lost
    assert abs(got - np.clip(gap, 0, None)) < 1e-9, f"got {got}, off by {got - max(gap, 0)}"


counts = hnp.arrays(np.int64, 6, elements=st.integers(1, 4))
grade("10.E3", jsd_at_least, bound_property, reals=counts, fakes=counts,
      trust=floats(0, 1.5), noise=arrays(6, -0.1, 0.1) | arrays(6, -6, 6))  # fmt: skip


# %%
def accuracy_from_rates(reals_accepted, fakes_accepted):
    """The accuracy of D on an equal mixture, from the shares of each that it calls real."""
    # Hint: half of the mixture are fakes, and a fake that is accepted is a wrong answer.
    raise NotImplementedError


def accuracy_property(answer, reals, fakes):
    a, r = reals / 100, fakes / 100
    verdicts = np.concatenate([np.arange(100) < reals, np.arange(100) < fakes])
    truth = np.arange(200) < 100
    assert abs(answer(a, r) - np.mean(verdicts == truth)) < 1e-12, f"reals {a}, fakes {r}"


grade("10.E4", accuracy_from_rates, accuracy_property, reals=st.integers(0, 100),
      fakes=st.integers(0, 100))  # fmt: skip

# %% [markdown]
# ## What to read next
#
# - I. Goodfellow et al., *Generative Adversarial Nets* (2014, arXiv 1406.2661), section 4: $D^*$, $\log 4$ and JSD.
# - M. Arjovsky, L. Bottou (2017, arXiv 1701.04862), section 2.1: what happens to both losses when $D$ is trained to its
#   optimum.
# - M. Arjovsky, S. Chintala, L. Bottou, *Wasserstein GAN* (2017, arXiv 1701.07875), section 4: a critic's loss that
#   *does* correlate with quality, and why.
# - M. Lucic et al., *Are GANs Created Equal?* (2017, arXiv 1711.10337): judging by distances, over many runs.
# - Next: lesson 11, why the two losses go round in circles: games and rotation.
