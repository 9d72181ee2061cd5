# %% [markdown]
# # 8. What the generator minimises
#
# The discriminator's loss follows from its task. The generator's does not: "fool the discriminator" can be written in
# many ways that agree on the direction and differ in the strength of the push. This lesson compares the two losses of
# the original paper, logit by logit; finds which divergence each of them descends when the discriminator is the best
# one; and looks at what goes wrong: a loss that forgets the generator, a sum of losses that makes friends of the
# players, gradients that vanish, and a best reply that collapses.
#
# **You need** lesson 7: the best discriminator of laws $p$ (data) and $q$ (generator) is $D^* = p/(p+q)$, its logit is
# $\ell^* = \log p/q$, and its value is $2 \operatorname{JSD}(p, q) - \log 4$.
#
# **Predict first.** A discriminator is 99.9 % sure that a sample is fake: $D = 0.001$. The generator may minimise
# $\log(1 - D)$ or $-\log D$. Both fall as $D$ rises. How many times stronger is the second one's push on the logit:
# about 2, about 7, or about 1000 times? And: trained against the *best* discriminator, do both lower the same distance
# between $p$ and $q$? Write your answers down; formulas 8.3 and 8.12 decide.

# %%
import math

import numpy as np
from scipy.integrate import quad
from scipy.optimize import linprog, minimize

import minigan as mg
from minigan import losses, ops
from minigan.lessons import COLOURS, check, figure, grade, show, sized
from minigan.lessons.strategies import arrays, tables
from minigan.theory import divergences, optimal

BLUE, ORANGE, GREEN = COLOURS[:3]
p = np.array([0.02, 0.10, 0.23, 0.15, 0.05, 0.12, 0.23, 0.10])  # the world of lesson 7: the data,
q = np.array(
    [0.05, 0.08, 0.12, 0.25, 0.25, 0.12, 0.08, 0.05]
)  # and a generator with one hump in the wrong place


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slope(loss, x):
    """The gradient of a loss (tensor to number) at the array x, by autodiff."""
    t = mg.tensor(x, requires_grad=True)
    return mg.grad(loss(t), t).data


# %% [markdown]
# ## Two losses, one aim
#
# Let $\ell$ be the discriminator's logit on a fake and $D = 1/(1 + e^{-\ell})$ its probability of "real". In the
# zero-sum game the generator minimises what the discriminator maximises, and only one half of that contains fakes. The
# paper's practical advice is to maximise $\log D$ instead (Goodfellow et al. 2014, section 3):
#
# $$ L_G^{\text{sat}} = \mathbb{E}_z \log(1 - D(G(z))) = -\mathbb{E} \operatorname{softplus}(\ell), \qquad
#    L_G^{\text{ns}} = -\mathbb{E}_z \log D(G(z)) = \mathbb{E} \operatorname{softplus}(-\ell) \tag{8.1} $$
#
# They are [saturating](../minigan/losses.py#saturating) and [heuristic](../minigan/losses.py#heuristic) in the engine;
# the second is usually called **non-saturating**.

# %%
logits = np.array([-6.0, -2.0, -0.5, 0.0, 1.0, 4.0])
D = sigmoid(logits)
fake = mg.tensor(logits)
check("8.1", "E log(1-D) = -E softplus(l)", losses.minimax.generator(fake), np.log(1 - D).mean(),
      atol=1e-12)  # fmt: skip
check("8.1a", "-E log D = E softplus(-l)", losses.non_saturating.generator(fake), -np.log(D).mean(),
      atol=1e-12)  # fmt: skip

# %% [markdown]
# Both fall when $\ell$ rises: both want fakes to look real. How hard do they push? With $dD/d\ell = D(1 - D)$,
#
# $$ \frac{d}{d\ell} \log(1 - D) = -\frac{D(1 - D)}{1 - D} = -D, \qquad
#    \frac{d}{d\ell} (-\log D) = -\frac{D(1 - D)}{D} = -(1 - D) \tag{8.2} $$

# %%
n = logits.size  # the losses are means, so a sample's slope is 1/n of these
saturating, heuristic = (
    n * slope(loss, logits) for loss in (losses.minimax.generator, losses.non_saturating.generator)
)
check("8.2", "d log(1-D)/dl = -D", saturating, -D, atol=1e-12)
check("8.2a", "d(-log D)/dl = -(1-D)", heuristic, -(1 - D), atol=1e-12)

# %% [markdown]
# The first push is proportional to $D$: it is strong where the fake already passes, and dies where the fake is caught.
# The second is the other way round. Their ratio is the odds against the fake:
#
# $$ \frac{-(1 - D)}{-D} = \frac{1 - D}{D} = e^{-\ell} \tag{8.3} $$
#
# At $D = 0.001$ it is 999: the answer to the first question is "about 1000". At $D = 1/2$, a perfect generator, they
# push equally hard. The two slopes add up to $-1$, so whatever one gives up the other gains.

# %%
check("8.3", "ratio of the slopes = (1-D)/D = e^-l", heuristic / saturating, np.exp(-logits),
      atol=0.0, rtol=1e-12, identity=23)  # fmt: skip
caught = np.array([math.log(0.001 / 0.999)])
pushes = slope(losses.non_saturating.generator, caught) / slope(losses.minimax.generator, caught)
check("8.3a", "at D = 0.001 the ratio is 999", pushes, 999, atol=1e-9)
check("8.3b", "the two slopes add up to -1", saturating + heuristic, -1.0, atol=1e-12)

# %%
ell = np.linspace(-7, 7, 400)
fig, (left, right) = figure(1, 2, width=8.0, height=3.4)
left.plot(ell, -np.logaddexp(0, ell), color=BLUE, linestyle="-")
left.plot(ell, np.logaddexp(0, -ell), color=ORANGE, linestyle="--")
left.text(-6.6, -1.9, "log(1 - D)\nsaturating", color=BLUE)
left.text(-4.6, 5.3, "-log D\nnon-saturating", color=ORANGE)
left.set(xlabel="logit of a fake", ylabel="generator's loss (nats)", xlim=(-7, 7))
right.plot(ell, sigmoid(ell), color=BLUE, linestyle="-")
right.plot(ell, 1 - sigmoid(ell), color=ORANGE, linestyle="--")
right.text(3.0, 0.84, "saturating: D", color=BLUE)
right.text(-6.8, 0.78, "non-saturating:\n1 - D", color=ORANGE)
right.set(
    xlabel="logit of a fake", ylabel="push on the logit, -dL/dl", xlim=(-7, 7), ylim=(0, 1.05)
)
right.annotate(
    "fakes caught:\nno push",
    (-5, 0.01),
    (-6.5, 0.28),
    color=BLUE,
    arrowprops={"arrowstyle": "->", "color": BLUE},
)
show(
    fig,
    "slopes",
    alt="Left: both generator losses fall as the logit of a fake rises. Right: the push of the "
    "saturating loss is D, near zero for fakes that are caught; that of the non-saturating loss is "
    "1 - D, largest there.",
)

# %% [markdown]
# **Vanishing, precisely.** Article S0, section 2.3.2, prescribes batch normalisation, initialisation and a good optimiser
# against small gradients. In a GAN the cause is in the loss: early in training fakes are easy to catch, $\ell$ is very
# negative, and
#
# $$ \frac{d}{d\ell} \log(1 - D) = -\frac{1}{1 + e^{-\ell}} \approx -e^{\ell} \to 0 \quad (\ell \to -\infty) \tag{8.4} $$
#
# No layer before the logit touches this factor. Adam divides a *common* factor out, but not one like
# $e^{-20} = 2 \cdot 10^{-9}$, below the $10^{-8}$ that it adds to its denominator; and no optimiser mends the weighting:
# of all fakes, the saturating loss listens least to those that are caught. The other loss does: the slope of $-\log D$
# at $\ell = -20$ is $-1$ to eight digits.

# %%
early = np.array([-20.0])
tiny = slope(losses.minimax.generator, early)
check("8.4", "at l = -20 the saturating slope is -e^-20", tiny, -np.exp(-20), atol=0.0, rtol=1e-8,
      errata="S0.12")  # fmt: skip
check("8.4a", "the non-saturating one is -1 + e^-20, up to e^-40",
      slope(losses.non_saturating.generator, early), -1 + np.exp(-20), atol=1e-15)  # fmt: skip

# %% [markdown]
# **From the logit to the sample.** A sample $x = G(z)$ feels the loss through the logit: the chain rule multiplies by
# $\nabla_x \ell$,
#
# $$ \nabla_x (-\log D(x)) = -\frac{\nabla_x D(x)}{D(x)} = -(1 - D(x)) \, \nabla_x \ell(x) \tag{8.5} $$
#
# > **Aside: a derivative that stops half-way.** Article S4, section 4.2.2, stops at $-1/D(G(z))$. That is the
# > derivative by the number $D$; the factor $\nabla_x D$, which says in *which direction* the sample should move, is
# > missing. With $\ell(x) = \langle w, x \rangle + b$, one has $\nabla_x \ell = w$.

# %%
w, b, x = np.array([2.0, -1.0]), 0.3, np.array([-0.4, 0.9])
d = sigmoid(w @ x + b)
moved = slope(lambda t: ops.softplus(-((t * w).sum() + b)), x)
check("8.5", "gradient in the sample = -(1-D) ∇l", moved, -(1 - d) * w, atol=1e-12)
check("8.5a", "-1/D has neither its direction nor its size", moved, -1 / d, atol=1.0, relation="!=",
      errata="S4.3")  # fmt: skip

# %% [markdown]
# ## A loss must contain the generator
#
# Article S1, section 3, prints the generator's loss as $-\mathbb{E}_{x \sim p_{\text{data}}} \log D(x)$. Look for the
# generator in it: there is none. Whatever the discriminator, with generator parameters $\theta$,
#
# $$ \nabla_\theta \left( -\sum_x p(x) \log D(x) \right) = 0, \qquad
#    \nabla_\theta \left( -\sum_x q_\theta(x) \log D(x) \right) \ne 0 \tag{8.6} $$
#
# A generator trained so stays at its random start for ever. Let $q_\theta = \operatorname{softmax}(\theta)$, a
# generator that can come as near as one likes to every law on eight outcomes. Autodiff finds no path from $\theta$ to the
# article's loss, and reports the gradient of a constant.

# %%
best = optimal.optimal_discriminator(p, q)  # some discriminator; this one knows where the data are
theta = np.log(q)  # softmax(theta) = q


def loss_over(examples):
    """-E log D, where `examples` gives the law of the examples as a function of theta."""
    return lambda t: -(examples(t) * np.log(best)).sum()


of_article_s1 = mg.jacobian(loss_over(lambda t: mg.tensor(p)), theta)  # over reals
of_the_paper = mg.jacobian(loss_over(ops.softmax), theta)  # over fakes
check("8.6", "S1's loss has gradient 0", of_article_s1, 0.0, atol=0.0, errata="S1.1")
check("8.6a", "-E_q log D has not", of_the_paper, 0.0, atol=0.05, relation="!=")
by_hand = q * (-np.log(best) + q @ np.log(best))  # the derivative of softmax
check("8.6b", "its gradient is q (u - E_q u), u = -log D", of_the_paper, by_hand, atol=1e-14)

# %% [markdown]
# Article S4 (sections 3.2.4 and 4.1.1) describes $L_G = -\log D(G(z))$ as a "gap" between what $D$ says of fakes and of
# reals. Again: reals do not occur in it. Two discriminators that treat fakes alike and reals differently give the same
# $L_G$, whatever the gap:
#
# $$ \frac{\partial L_G}{\partial D(x)} = 0 \text{ for a real } x, \qquad
#    L_G = -\mathbb{E}_q \log D \ne \mathbb{E}_p D - \mathbb{E}_q D \tag{8.7} $$

# %%
on_fakes = mg.tensor(np.array([-1.0, 0.5, -0.2]))
gaps, generator_losses = [], []
for shift in (0.0, 3.0):  # the second discriminator is surer of the reals
    on_reals = np.array([0.4, 1.1, -0.3]) + shift
    gaps.append(sigmoid(on_reals).mean() - sigmoid(on_fakes.data).mean())
    generator_losses.append(losses.non_saturating.generator(on_fakes, mg.tensor(on_reals)).item())
check("8.7", "the gap changes", gaps[0], gaps[1], atol=0.2, relation="!=")
check("8.7a", "L_G does not", generator_losses[0], generator_losses[1], atol=0.0, errata="S4.4")

# %% [markdown]
# ## Zero-sum or not
#
# In a zero-sum game one player's gain is the other's loss: $L_G = -L_D$ up to terms that the generator cannot touch.
# For the saturating pair this holds, the difference being the real half. For the non-saturating pair it does not:
#
# $$ \begin{aligned}
#    L_G^{\text{sat}} + L_D &= -\mathbb{E}_p \log D && \text{free of } \theta \\
#    L_G^{\text{ns}} + L_D &= -\mathbb{E}_p \log D - \mathbb{E}_q \log D (1 - D) && \text{not} \end{aligned} \tag{8.8} $$
#
# $-\log D(1 - D)$ is smallest at $D = \frac{1}{2}$. What one player gains on a fake by leaving it, the other loses and
# more, so here the players have something to agree on. Article S3 calls GAN training a zero-sum game (section 2.2) and
# prints this loss for it (section 4.1).

# %%
ell = np.random.default_rng(2).normal(size=8)  # a discriminator that is nothing special


def total(game):
    """L_G + L_D as a function of theta, the discriminator held."""
    both = lambda law: game.generator(ell, p, law) + game.discriminator(ell, p, law)
    return lambda t: both(ops.softmax(t))


check("8.8", "minimax: the gradients of L_G and -L_D in θ agree",
      slope(total(optimal.minimax), theta), 0.0, atol=1e-15)  # fmt: skip
friction = slope(total(optimal.non_saturating), theta)
check(
    "8.8a", "non-saturating: they do not", friction, 0.0, relation="!=", atol=0.1, errata="shared.4"
)

real_half = -(p * np.log(sigmoid(ell))).sum()
extra = -(q * np.log(sigmoid(ell) * sigmoid(-ell))).sum()
sums = [total(game)(mg.tensor(theta)).item() for game in (optimal.minimax, optimal.non_saturating)]
check("8.8b", "L_G + L_D = -E_p log D [ - E_q log D(1-D) ]", sums, [real_half, real_half + extra],
      atol=1e-14)  # fmt: skip

# %% [markdown]
# ## The sum as a loss
#
# Article S2 adds the two losses, $L_{\text{GAN}} = L_G + L_D$ (under the heading "total loss function"), and calls it
# training to minimise the sum. If both players minimise the same number, the game is gone. Look at the discriminator's
# part. A fake now pays $-\log(1 - D)$ from $L_D$ and $-\log D$ from $L_G$: it is labelled fake *and* real. The
# pointwise minimum, with real mass $p + q$ and fake mass $q$, is
#
# $$ D_{\text{sum}} = \frac{p + q}{p + 2q} \ge \frac{1}{2} \tag{8.9} $$
#
# This discriminator never calls anything fake, not even where data never occur: there it says $\frac{1}{2}$. And with
# the zero-sum $L_G = -L_D$ the sum is the constant 0, and nobody learns anything.


# %%
def minimise(loss, start):
    """BFGS with autodiff's gradient."""
    value = lambda t: loss(mg.tensor(t)).item()
    return minimize(
        value, start, jac=lambda t: slope(loss, t), method="BFGS", options={"gtol": 1e-10}
    ).x


summed = lambda t: (
    optimal.non_saturating.discriminator(t, p, q) + optimal.non_saturating.generator(t, p, q)
)
agreed = sigmoid(minimise(summed, np.zeros(8)))
check("8.9", "minimising L_G + L_D: D = (p+q)/(p+2q)", agreed, (p + q) / (p + 2 * q), atol=1e-7,
      errata="S2.6")  # fmt: skip
check("8.9a", "it never says fake: D >= 1/2", agreed, 0.5, relation=">=", atol=0.0, errata="S2.6")

# %% [markdown]
# The same article wants to "maximise the discriminator's loss" (section 2.2.1), though its $L_D$ carries the minus sign
# and is to be minimised. Take it at its word and climb $L_D$ from $\ell = 0$. The gradient is $(q - p)/2$, so the
# discriminator learns to say "real" exactly where fakes prevail. With a threshold at 1/2 its accuracy becomes the worst
# that is possible:
#
# $$ \text{accuracy after maximising } L_D = \frac{1 - \operatorname{TV}(p, q)}{2} \le \frac{1}{2} \tag{8.10} $$

# %%
wrong_way = 0.1 * slope(lambda t: optimal.minimax.discriminator(t, p, q), np.zeros(8))
says_real = np.where(wrong_way == 0, 0.5, wrong_way > 0)  # undecided at the tie
accuracy = (says_real @ p + (1 - says_real) @ q) / 2
worst = (1 - divergences.total_variation(p, q)) / 2
check("8.10", "climbing L_D: accuracy (1 - TV)/2", accuracy, worst, atol=1e-12, errata="S2.1")
print(f"accuracy {accuracy:.3f}; descending instead gives {1 - accuracy:.3f}")

# %% [markdown]
# ## Against the best discriminator: the saturating loss
#
# Now let the discriminator be the best one for the present generator. It is trained to $D^*$, then *held* while the
# generator takes its gradient, as in every GAN program. What does the generator descend?
#
# Write $V(D, \theta) = \mathbb{E}_p \log D + \mathbb{E}_{q_\theta} \log(1 - D)$ and
# $W(\theta) = \max_D V(D, \theta) = V(D^*_\theta, \theta)$. By lesson 7,
# $W = 2 \operatorname{JSD}(p, q_\theta) - \log 4$. Differentiate $W$ by the chain rule:
#
# $$ \nabla_\theta W = \frac{\partial V}{\partial D}(D^*) \cdot \frac{d D^*_\theta}{d \theta}
#    + \frac{\partial V}{\partial \theta}(D^*)
#    = 0 + \nabla_\theta \, \mathbb{E}_{q_\theta} \log(1 - D^*) \;\text{ with } D^* \text{ held} \tag{8.11} $$
#
# The first term vanishes because $D^*$ is a maximum: that the discriminator *would* react does not matter to first
# order (the envelope theorem). So **the saturating gradient, with $D^*$ held, is the gradient of
# $2 \operatorname{JSD}$**. The engine holds $D^*$ in
# [generator_gradient](../minigan/theory/optimal.py#generator_gradient); the right side is a central difference of the
# definition of JSD in plain NumPy, which knows no discriminator.


# %%
def kl(u, v):
    return (u * np.log(u / v)).sum()


def jsd(u, v):
    return (kl(u, (u + v) / 2) + kl(v, (u + v) / 2)) / 2


def differences(f, t, step=1e-4):
    """The gradient of a function of q = softmax(t), by central differences (error ~ step²)."""
    law = lambda t: np.exp(t) / np.exp(t).sum()
    return np.array([(f(law(t + e)) - f(law(t - e))) / (2 * step) for e in step * np.eye(t.size)])


held = optimal.generator_gradient(optimal.minimax, p, ops.softmax, theta)
check("8.11", "D* held: grad E_q log(1-D*) = grad 2 JSD", held,
      differences(lambda r: 2 * jsd(p, r), theta), atol=1e-9, identity=21)  # fmt: skip
slopes_in_D = [slope(lambda d: optimal.value(d, p, q), at) for at in (best, np.full(8, 0.5))]
check("8.11a", "because dV/dD = 0 at D* (and 2p − 2q at 1/2)", slopes_in_D, [0 * p, 2 * (p - q)],
      atol=1e-14)  # fmt: skip

# %% [markdown]
# Holding $D^*$ is essential. Only the *whole* of $V$ is flat at $D^*$, not its second half. If the gradient also runs
# through the discriminator's reaction, the generator descends
# $\mathbb{E}_q \log(1 - D^*_\theta) = \operatorname{KL}(q \Vert m) - \log 2$ with $m = (p + q)/2$ instead: another
# function, with another gradient.

# %%
reacting = optimal.generator_gradient(optimal.minimax, p, ops.softmax, theta, frozen=False)
check("8.11b", "D* reacting: grad KL(q||m)", reacting,
      differences(lambda r: kl(r, (p + r) / 2), theta), atol=1e-9)  # fmt: skip
check("8.11c", "which is not the same", reacting, held, atol=0.01, relation="!=")

# %% [markdown]
# ## Against the best discriminator: the non-saturating loss
#
# Three short steps. Let $q_0 = q_{\theta_0}$ be the present generator, whose $D^*$ is held.
#
# **Step 1.** For any $D$, $-\log D = -\log(1 - D) + \log\frac{1 - D}{D}$, and at $D^*$ the odds are
# $\frac{1 - D^*}{D^*} = q_0/p$. Hence
# $\mathbb{E}_{q_\theta}[-\log D^*] = -\mathbb{E}_{q_\theta} \log(1 - D^*) + \mathbb{E}_{q_\theta} \log(q_0/p)$.
#
# **Step 2.** By (8.11) the first term has the gradient $-\nabla \, 2\operatorname{JSD}$.
#
# **Step 3.** The second is $\operatorname{KL}(q_\theta \Vert p) - \operatorname{KL}(q_\theta \Vert q_0)$. The
# subtracted KL is 0 at $\theta_0$ and never negative: it has a minimum there, its gradient is 0. Together (Arjovsky and
# Bottou 2017, theorem 2.5):
#
# $$ \nabla_\theta \, \mathbb{E}_{q_\theta}[-\log D^*] \;\text{ with } D^* \text{ held}
#    = \nabla_\theta \left[ \operatorname{KL}(q_\theta \Vert p) - 2 \operatorname{JSD}(p, q_\theta) \right] \tag{8.12} $$
#
# The answer to the second question is no: the two losses descend different distances.

# %%
check("8.12", "step 1: -log D* = -log(1-D*) + log q0/p", -np.log(best),
      -np.log(1 - best) + np.log(q / p), atol=1e-12)  # fmt: skip
to_q0 = lambda t: divergences.kl(ops.softmax(t), q)
away = theta + np.linspace(-1, 1, 8)
there = np.exp(away) / np.exp(away).sum()
excess = np.log(there / q) - there @ np.log(there / q)
check("8.12a", "step 3: grad KL(q_θ||q0) = q_θ (u − E u), u = log q_θ/q0, which is 0 at θ0",
      [slope(to_q0, theta), slope(to_q0, away)], [0 * q, there * excess], atol=1e-15)  # fmt: skip
held_ns = optimal.generator_gradient(optimal.non_saturating, p, ops.softmax, theta)
claimed = differences(lambda r: kl(r, p) - 2 * jsd(p, r), theta)
check("8.12b", "D* held: grad E_q[-log D*] = grad [KL(q||p) - 2 JSD]", held_ns, claimed, atol=2e-9,
      identity=22)  # fmt: skip
check("8.12c", "not the saturating gradient", held_ns, held, atol=0.01, relation="!=")

# %% [markdown]
# ## What is KL - 2 JSD?
#
# The minus sign looks alarming: a generator that *increases* the JSD? Write out the terms with $m = (p + q)/2$. The JSD
# is $\frac{1}{2} \sum p \log \frac{p}{m} + \frac{1}{2} \sum q \log \frac{q}{m}$, so
#
# $$ \begin{aligned} \operatorname{KL}(q \Vert p) - 2 \operatorname{JSD}(p, q)
#    &= \sum q \log \frac{q}{p} - \sum q \log \frac{q}{m} - \sum p \log \frac{p}{m} \\
#    &= \sum q \log \frac{m}{p} + \sum p \log \frac{m}{p} = 2 \operatorname{KL}(m \Vert p) \end{aligned} \tag{8.13} $$
#
# There is no alarm. The difference is twice a Kullback-Leibler divergence: never negative, and 0 only at $q = p$.
# Non-saturating training with the best discriminator descends a **softened reverse KL**, from the mixture of both laws
# to the data (Shannon et al. 2020).

# %%
check("8.13", "KL(q||p) - 2 JSD = 2 KL(m||p)", kl(q, p) - 2 * jsd(p, q),
      2 * divergences.kl((p + q) / 2, p), atol=1e-14)  # fmt: skip
others = np.random.default_rng(3).dirichlet(np.ones(8), size=1000)
difference = divergences.kl(others, p) - 2 * divergences.jsd(p, others)
check("8.13a", "never negative, for 1000 generators", difference, 0.0, relation=">=", atol=0.0)

# %% [markdown]
# Close to the goal both losses agree, which (8.3) announced: at $D = 1/2$ they push equally hard. For
# $q = p + \varepsilon h$ with $\sum h = 0$, all of these divergences are, to leading order, multiples of one quadratic
# form. Let $u = q/p = 1 + \delta$ with $\delta = \varepsilon h/p$, so that
# $\operatorname{KL}(q \Vert p) = \sum p \, u \log u$. The function $u \log u$ is 0 at 1, its slope $\log u + 1$ is 1
# there and its curvature $1/u$ is 1, hence $u \log u = \delta + \frac12 \delta^2 + O(\delta^3)$. The linear term sums
# to $\sum p \, \delta = \varepsilon \sum h = 0$, and
#
# $$ \operatorname{KL}(q \Vert p) \approx \tfrac12 \sum p \, \delta^2 = \frac{\varepsilon^2}{2} \sum \frac{h^2}{p} $$
#
# The mixture is $m = p + \frac{\varepsilon}{2} h$, half as far away: a quarter of this for
# $\operatorname{KL}(m \Vert p)$, a half for twice that. By (8.13) the rest,
# $\operatorname{KL}(q \Vert p) - 2 \operatorname{KL}(m \Vert p)$, is $2 \operatorname{JSD}$. Together:
#
# $$ 2 \operatorname{JSD} \approx \frac{\varepsilon^2}{4} \sum \frac{h^2}{p}, \qquad
#    2 \operatorname{KL}(m \Vert p) \approx \frac{\varepsilon^2}{4} \sum \frac{h^2}{p}, \qquad
#    \operatorname{KL}(q \Vert p) \approx \frac{\varepsilon^2}{2} \sum \frac{h^2}{p} \tag{8.14} $$
#
# The choice of the loss matters far from equilibrium, not near it.

# %%
h, eps = q - p, 1e-4
near = p + eps * h
form = eps**2 * (h**2 / p).sum()
check("8.14", "2 JSD = ε²/4 Σ h²/p", 2 * divergences.jsd(p, near) / form, 1 / 4, atol=2e-4)
check("8.14a", "2 KL(m||p) = ε²/4 Σ h²/p", 2 * divergences.kl((p + near) / 2, p) / form, 1 / 4,
      atol=2e-4)  # fmt: skip
check("8.14b", "KL(q||p) = ε²/2 Σ h²/p", divergences.kl(near, p) / form, 1 / 2, atol=2e-4)

# %% [markdown]
# ## A price list for outcomes
#
# With $D^*$ held, the generator's loss is linear in $q_\theta$: each outcome has a **price**, and the generator moves
# mass to the cheap ones. With $r = \log p/q$ the two price lists are
#
# $$ \begin{aligned} u_{\text{sat}}(x) &= \log(1 - D^*) = -\operatorname{softplus}(r) \\
#    u_{\text{ns}}(x) &= -\log D^* = \operatorname{softplus}(-r) \\
#    u_{\text{sat}} + u_{\text{ns}} &= -r \end{aligned} \tag{8.15} $$
#
# | the outcome | $r$ | saturating price | non-saturating price |
# |---|---|---|---|
# | real data, missed by the generator | $\to +\infty$ | $\to -r$: a large reward | $\to 0$: hardly a reward |
# | fakes where no data are | $\to -\infty$ | $\to 0$: hardly a penalty | $\to -r$: a large penalty |
#
# So the non-saturating generator flees from bad samples and is little attracted by modes that it misses. That is the
# character of the reverse KL: good samples, and no reward for missing modes. Whether that is *why* GANs drop modes is
# another question. Goodfellow's tutorial (2016, arXiv 1701.00160, section 3.2.5) argues that it is not: GANs that minimise
# the forward KL make few modes as well, and GANs often make fewer than their model could hold, which no reverse KL asks
# for. It looks for the cause in the training and not in the divergence.

# %%
r = np.log(p / q)
check("8.15", "saturating price = -softplus(r)", np.log(1 - best), -np.logaddexp(0, r), atol=1e-12)
check(
    "8.15a", "non-saturating price = softplus(-r)", -np.log(best), np.logaddexp(0, -r), atol=1e-12
)
check("8.15b", "their sum is -r", np.log(1 - best) - np.log(best), -r, atol=1e-12)

# %% [markdown]
# The sum is worth a formula. A generator that minimises *both* losses,
# $\mathbb{E}_q \log\frac{1 - D}{D} = -\mathbb{E}_q \ell$, follows the sum of (8.11) and (8.12). The JSD cancels, and
# what remains is exactly the reverse KL:
#
# $$ \nabla_\theta \, \mathbb{E}_{q_\theta}[-\ell^*] \;\text{ with } \ell^* \text{ held}
#    = \nabla_\theta \operatorname{KL}(q_\theta \Vert p) \tag{8.16} $$
#
# Raising the mean logit, no logarithm at all, is the steepest descent of the reverse KL (Sønderby et al. 2016).

# %%
mean_logit = slope(lambda t: -(ops.softmax(t) * r).sum(), theta)
check("8.16", "D* held: grad E_q[-logit] = grad KL(q||p)", mean_logit,
      differences(lambda v: kl(v, p), theta), atol=2e-9)  # fmt: skip
check("8.16a", "and it is the sum of the two gradients", mean_logit, held + held_ns, atol=1e-14)

# %% [markdown]
# Two worlds of two outcomes show the asymmetry in numbers. In the first the generator **drops a mode**: the data are
# half and half, it shows the first half only. In the second it **invents**: the data are all on the first outcome, half
# of its samples elsewhere.
#
# $$ \begin{aligned}
#    \text{drops: } & p = \left(\tfrac{1}{2}, \tfrac{1}{2}\right), \; q = (1, 0): &
#      2\operatorname{KL}(m \Vert p) &= \tfrac{3}{2} \log \tfrac{3}{2} + \tfrac{1}{2} \log \tfrac{1}{2} = 0.26 \\
#    \text{invents: } & p = (1, 0), \; q = \left(\tfrac{1}{2}, \tfrac{1}{2}\right): &
#      2\operatorname{KL}(m \Vert p) &= \infty \end{aligned} \tag{8.17} $$
#
# The JSD, symmetric, charges the same $\frac{3}{4} \log \frac{4}{3} = 0.22$ for both sins.

# %%
whole, part = np.array([0.5, 0.5]), np.array([1.0, 0.0])
softened = lambda data, made: 2 * divergences.kl((data + made) / 2, data)
check("8.17", "a dropped mode costs 0.26", softened(whole, part),
      1.5 * math.log(1.5) + 0.5 * math.log(0.5), atol=1e-12)  # fmt: skip
check("8.17a", "an invented one costs ∞", softened(part, whole), np.inf, atol=0.0)
sins = divergences.jsd(whole, part), divergences.jsd(part, whole)
check("8.17b", "the JSD charges 3/4 log 4/3 for either", sins, 0.75 * math.log(4 / 3), atol=1e-15)

# %% [markdown]
# Finally a picture. The data have two humps, 60 % and 40 %. The generator has only one, of any place and width, so it
# must choose. For each loss we let it take the best hump: the divergences are exact sums over a grid of 241 places.

# %%
places = np.linspace(-6, 6, 241)


def hump(mean, log_width):
    """The law on the grid with log-density -(x - mean)²/(2 width²), as a tensor."""
    return ops.softmax(-0.5 * ops.square((places - mean) / ops.exp(log_width)))


width = mg.tensor(np.array(math.log(0.7)))
data = 0.6 * hump(-2.0, width).data + 0.4 * hump(2.0, width).data
aims = {
    "KL(p||q), maximum likelihood": lambda v: divergences.kl(data, v),
    "2 JSD, saturating": lambda v: 2 * divergences.jsd(data, v),
    "2 KL(m||p), non-saturating": lambda v: 2 * divergences.kl(0.5 * (data + v), data),
}
fits = {}
for name, aim in aims.items():
    loss = lambda t, aim=aim: aim(hump(t[0], t[1]))
    tried = [minimise(loss, np.array([start, 0.0])) for start in (-2.0, 0.0, 2.0)]
    fits[name] = min(tried, key=lambda t: loss(mg.tensor(t)).item())
    for t in tried:
        reached = (
            f"mean {t[0]:6.3f}  width {math.exp(t[1]):.3f}  loss {loss(mg.tensor(t)).item():.3f}"
        )
        print(f"{name:30}", reached, "  <- least" if t is fits[name] else "")

# %% [markdown]
# Three starts for each loss, and some end in different local minima. Maximum likelihood must not miss any data, so it
# spreads its hump over both and the desert between them. The non-saturating loss takes the larger hump, drops the other,
# and looks sharp. The saturating loss charges little for either sin: it has a local minimum of each kind, and here the
# wide one is the lower (0.232 against 0.323). In one number, the mass that the best fit of each puts on the smaller
# hump's side:
#
# $$ q(x > 0): \quad \operatorname{KL}(p \Vert q) \text{ and } 2\operatorname{JSD} \text{ give } > 0.3, \qquad
#    2\operatorname{KL}(m \Vert p) \text{ gives } < 0.01 \tag{8.18} $$

# %%
laws = {name: hump(*(mg.tensor(np.array(v)) for v in fit)).data for name, fit in fits.items()}
right_mass = {name: law[places > 0].sum() for name, law in laws.items()}
covering, undecided, dropping = right_mass.values()
check("8.18", "KL(p||q) and 2 JSD cover both humps", [covering, undecided], 0.3, relation=">=",
      atol=0.0)  # fmt: skip
check("8.18a", "the non-saturating loss drops one", dropping, 0.01, relation="<=", atol=0.0)

# %%
fig, (left, right) = figure(1, 2, width=8.0, height=3.4)
r = np.linspace(-5, 5, 200)
left.plot(r, -np.logaddexp(0, r), color=BLUE, linestyle="-")
left.plot(r, np.logaddexp(0, -r), color=ORANGE, linestyle="--")
left.text(1.6, -3.2, "saturating", color=BLUE, ha="right")
left.text(-2.2, 3.2, "non-saturating", color=ORANGE)
left.text(-4.8, -4.9, "fakes,\nno data", fontsize=9, color="#444444")
left.text(4.9, 4.1, "data,\nno fakes", fontsize=9, color="#444444", ha="right")
left.set(xlabel="r = log p(x)/q(x)  (nats)", ylabel="price of the outcome (nats)", xlim=(-5, 5))
right.fill_between(places, data / 0.05, color="#D5D5D5")
for law, colour, dash in zip(laws.values(), (GREEN, BLUE, ORANGE), ("-.", "-", "--"), strict=True):
    right.plot(places, law / 0.05, color=colour, linestyle=dash)
right.text(2.7, 0.19, "data", color="#666666")
right.text(-0.4, 0.25, "KL(p||q) and 2 JSD,\nalmost the same", color=BLUE)
right.text(-1.2, 0.5, "2 KL(m||p),\nnon-saturating", color=ORANGE)
right.set(xlabel="place", ylabel="density", ylim=(0, 0.62))
show(
    fig,
    "prices",
    alt="Left: the price of an outcome against log p/q; the saturating loss rewards missed data "
    "without bound, the non-saturating one charges for invented samples without bound. Right: one "
    "hump fitted to two; maximum likelihood and the JSD lie across both, the "
    "non-saturating loss sits on the larger one.",
)

# %% [markdown]
# ## When the discriminator is too good
#
# Let the data be a normal law around 0 and the generator's a normal law around $d$, both of width 1 (on a grid, so that
# everything is a finite sum). The best discriminator is at hand. What does the generator's position $d$ feel?
# $\operatorname{KL}(q \Vert p)$ is $d^2/2$, with slope $d$; the JSD levels off at $\log 2$, with slope 0; and
# $W_1 = d$. So
#
# $$ \nabla_d L_G^{\text{sat}} = \nabla_d \, 2\operatorname{JSD} \to 0, \qquad
#    \nabla_d L_G^{\text{ns}} = d - \nabla_d \, 2\operatorname{JSD} \to d, \qquad
#    \nabla_d W_1 = 1 \qquad (d \to \infty) \tag{8.19} $$

# %%
line = np.linspace(-9, 21, 601)
normal = lambda d: ops.softmax(-0.5 * ops.square(line - d))
centred = normal(np.zeros(1)).data
apart = np.linspace(0.25, 10, 40)
field = {
    game.name: np.array(
        [optimal.generator_gradient(game, centred, normal, np.array([d]))[0] for d in apart]
    )
    for game in (optimal.minimax, optimal.non_saturating, optimal.wasserstein(line))
}
check("8.19", "saturating + non-saturating = slope of d²/2",
      field["minimax"] + field["non_saturating"], apart, atol=1e-12)  # fmt: skip
check("8.19a", "at d = 10 the saturating slope is below 1e-5", abs(field["minimax"][-1]), 1e-5,
      relation="<=", atol=0)  # fmt: skip
check("8.19b", "the Wasserstein slope is 1 at every d", field["wasserstein"], 1.0, atol=1e-12)
of_jsd = lambda d: 2 * divergences.jsd(centred, normal(mg.tensor(np.array([d]))).data)
slopes = [(of_jsd(d + 1e-4) - of_jsd(d - 1e-4)) / 2e-4 for d in apart]
check("8.19c", "the saturating slope is that of 2 JSD", field["minimax"], slopes, atol=1e-7)

# %% [markdown]
# The better the discriminator, the less the saturating generator learns: that is not an accident of normal laws.
# Arjovsky and Bottou (2017, theorem 2.4) bound it. Suppose reals and fakes do not overlap, so that a perfect $D$ is 0
# with slope 0 on all fakes, and suppose ours errs by at most $\varepsilon$ there, slope included. For a generator that
# shifts its samples, $x = z + \theta$,
#
# $$ \left| \nabla_\theta \, \mathbb{E} \log(1 - D(z + \theta)) \right| = \left| \mathbb{E} \frac{D'(x)}{1 - D(x)} \right|
#    \le \frac{\varepsilon}{1 - \varepsilon}, \qquad \varepsilon = \max_{x \text{ fake}} D(x) + |D'(x)| \tag{8.20} $$
#
# We train a discriminator $\ell(x) = a x + c$ on reals around 1 and fakes around $-1$ and read the generator's gradient
# as it learns.

# %%
spread = np.linspace(-0.2, 0.2, 9)
reals, fakes = 1 + spread, -1 + spread


def discriminator_loss(t):
    return losses.logistic(t[0] * reals + t[1], t[0] * fakes + t[1])


rows, t = [], np.zeros(2)
steps = sized(2000, 1000)
for step in range(steps + 1):
    D_fake = sigmoid(t[0] * fakes + t[1])
    shifted = lambda loss, t=t: slope(lambda s: loss(t[0] * (fakes + s) + t[1]), np.zeros(1))[0]
    error = (D_fake + np.abs(t[0]) * D_fake * (1 - D_fake)).max()  # D' = D (1 - D) a
    if step % 20 == 0 or step < 20:
        pushes = [shifted(game.generator) for game in (losses.minimax, losses.non_saturating)]
        rows.append((step, *pushes, error))
    t = t - 0.5 * slope(discriminator_loss, t)

# %%
step, saturating, heuristic, error = np.array(rows).T
small = error < 1
check("8.20", "|saturating gradient| <= ε/(1-ε)", np.abs(saturating[small]),
      error[small] / (1 - error[small]), relation="<=", atol=0.0)  # fmt: skip
peak = np.abs(saturating).max()
check("8.20a", "after training D it is 1/30 of its peak", np.abs(saturating[-1]), peak / 30,
      relation="<=", atol=0.0)  # fmt: skip
check("8.20b", "the non-saturating one only grew", np.diff(np.abs(heuristic)), 0.0, relation=">=",
      atol=0.0)  # fmt: skip

# %%
fig, (left, right) = figure(1, 2, width=8.0, height=3.4)
left.plot(apart, field["minimax"], color=BLUE, linestyle="-")
left.plot(apart, field["non_saturating"], color=ORANGE, linestyle="--")
left.plot(apart, field["wasserstein"], color=GREEN, linestyle="-.")
left.text(4.2, 4.8, "non-saturating", color=ORANGE, ha="right")
left.text(9.9, 1.3, "Wasserstein", color=GREEN, ha="right")
left.text(3.9, 0.3, "saturating", color=BLUE)
left.set(
    xlabel="distance d of the two normal laws",
    ylabel="slope of the loss in d",
    xlim=(0, 10),
    ylim=(0, 8),
)
right.plot(step, -saturating, color=BLUE, linestyle="-")
right.plot(step, -heuristic, color=ORANGE, linestyle="--")
right.text(250, 3.1, "non-saturating", color=ORANGE)
right.text(250, 0.04, "saturating", color=BLUE)
right.set(
    xlabel="training steps of the discriminator",
    ylabel="push on the generator",
    yscale="log",
    xlim=(0, 1000),
)
show(
    fig,
    "vanishing",
    alt="Left: against the best discriminator the saturating slope rises to about 0.5 and falls to "
    "zero with the distance, the non-saturating one grows like d, the Wasserstein one is 1. Right: "
    "while a discriminator learns to separate two clusters, the saturating push falls by a "
    "factor 30, the non-saturating one grows.",
)

# %% [markdown]
# ## The best reply collapses
#
# So far the generator took small steps. What if it is optimised to the end while the discriminator waits? Its loss is
# linear in $q$, a mean of prices, and a mean is never below the smallest of its terms:
#
# $$ \min_q \sum_x q(x) \log(1 - D(x)) = \min_x \log(1 - D(x)), \quad
#    \text{attained by all mass on } \arg\max_x D(x) \tag{8.21} $$
#
# For a *fixed* discriminator the optimal generator produces one single outcome. Article S0, section 5.1, explains
# collapse by a discriminator that "loses its ability"; here $D$ is the best possible one for the last generator, and
# collapse is the optimum.

# %%
price = np.log(1 - best)
reply = linprog(price, A_eq=np.ones((1, 8)), b_eq=[1.0])  # the best law, by linear programming
check("8.21", "best reply to D*: all mass on argmax D*", reply.x, np.eye(8)[best.argmax()],
      atol=1e-9, errata="S0.18")  # fmt: skip
check("8.21a", "its loss is the lowest price", reply.fun, price.min(), atol=1e-12)
check("8.21b", "the data's own law does worse by 0.4", p @ price, price.min() + 0.4, relation=">=",
      atol=0.0)  # fmt: skip

# %% [markdown]
# Let both players reply to the end, in turns. The discriminator finds the one outcome that the generator makes and
# rejects it; the generator jumps to another (the first, where several are equally good); and so on. Nothing converges:
# the generator **hops between modes**.

# %%
made, visited = q, []
for _ in range(12):
    reply_to = optimal.optimal_discriminator(p, made)
    made = np.eye(8)[reply_to.argmax()]
    visited.append(int(reply_to.argmax()))
print("the generator's only outcome, round by round:", visited)
check(
    "8.21c", "it never stays", np.abs(np.diff(visited)), 1, atol=0.0, relation=">=", errata="S0.18"
)
check("8.21d", "and each law is a single outcome: 2 JSD > 0.5", 2 * divergences.jsd(p, made), 0.5,
      relation=">=", atol=0.0)  # fmt: skip

# %% [markdown]
# The order of the two optimisations decides. $\min_G \max_D V$ has the inner discriminator react to each $q$; it is
# $\min_q 2 \operatorname{JSD} - \log 4 = -\log 4$, and only $q = p$ attains it. In $\max_D \min_G V$ the generator
# reacts to each $D$, by (8.21):
#
# $$ \max_D \left[ \sum_x p(x) \log D(x) + \log\left(1 - \max_x D(x)\right) \right] = -\log 4, \quad
#    \text{at } D = \tfrac{1}{2} \tag{8.22} $$
#
# because $\sum p \log D \le \log \max D$ and $M(1 - M) \le \frac{1}{4}$. The two values are *equal*: when the generator
# may be any law, $V$ is linear in $q$ and concave in $D$, and the minimax theorem applies. The *solutions* are not
# equal. Against $D = 1/2$ every generator is a best reply, the collapsed ones too. Solving the problem in the wrong
# order gives the right number and no data.

# %%
noise = np.random.default_rng(4).normal(size=(5000, 8)) * np.geomspace(1e-3, 2, 5000)[:, None]
some = sigmoid(noise)  # from nearly 1/2 everywhere to anything
replied = np.log(some) @ p + np.log(1 - some.max(axis=1))
check("8.22", "max_D min_G V <= -log 4", replied, -math.log(4), relation="<=", atol=0.0)
check("8.22b", "and D near 1/2 comes near it", replied.max(), -math.log(4), atol=0.002)
anything = [optimal.value(np.full(8, 0.5), p, law) for law in (p, q, made)]
check("8.22a", "at D = 1/2 every generator attains -log 4", anything, -math.log(4), atol=1e-15,
      errata="S0.18")  # fmt: skip

# %% [markdown]
# Real generators are not "any law". Take away the mixtures: let a generator only be able to produce a single outcome.
# Then even the values part, because there is no $q = p$ any more:
#
# $$ \min_x \max_D V(D, \delta_x) = \min_x 2 \operatorname{JSD}(p, \delta_x) - \log 4
#    \;>\; -\log 4 = \max_D \min_x V(D, \delta_x) \tag{8.23} $$
#
# Whoever moves second has the advantage. Gradient steps in turns are neither order; lessons 11 and 12 study what they
# do.

# %%
singles = np.eye(8)  # the law of generator x is row x
minimax_value = min(optimal.value_of_logits(optimal.optimal_logit(p, e), p, e) for e in singles)
closed = (2 * divergences.jsd(p, singles) - math.log(4)).min()
check(
    "8.23", "single outcomes: min max = min 2 JSD(p, δ) - log 4", minimax_value, closed, atol=1e-12
)
check("8.23a", "max min is lower by more than 0.5", minimax_value, 0.5 - math.log(4), relation=">=",
      atol=0.0, errata="S0.18")  # fmt: skip

# %% [markdown]
# ## In short
#
# | loss of the generator | push on a logit | descends, against $D^*$ held | character |
# |---|---|---|---|
# | $\log(1 - D)$, saturating | $D$ | $2 \operatorname{JSD}(p, q)$ | zero-sum; silent when fakes are caught |
# | $-\log D$, non-saturating | $1 - D$ | $2 \operatorname{KL}(m \Vert p)$, see (8.13) | strong early; misses modes unpunished |
# | $-\ell$, mean logit | 1 | $\operatorname{KL}(q \Vert p)$ | strong always; misses modes unpunished |
#
# All three divergences are 0 only at $q = p$, and near it the first two are equal to leading order.
#
# ## Exercises


# %%
def pushes(logits):
    """(saturating, non_saturating): -dL/dl of log(1 - D) and of -log D at logits l.

    For l from -1000 to 1000, without overflow, and to nine digits.
    """
    # Hint: differentiate softplus(l) and softplus(-l). Compute 1 - D as a sigmoid of its own, not
    # by a subtraction.
    raise NotImplementedError


def pushes_hold(answer, logits):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        first, second = answer(logits)
    size = logits.size
    np.testing.assert_allclose(
        first, -size * slope(losses.minimax.generator, logits), rtol=1e-9, atol=1e-300
    )
    np.testing.assert_allclose(
        second, -size * slope(losses.non_saturating.generator, logits), rtol=1e-9, atol=1e-300
    )


grade("8.E1", pushes, pushes_hold, logits=arrays(6, -1000.0, 1000.0))


# %%
def frozen_gradient(theta, p):
    """The gradient in theta of E_q[-log D*], D* held, for q = softmax(theta).

    Plain NumPy, no autodiff.
    """
    # Hint: with D* held the loss is a mean of prices under q. Through a softmax, each outcome
    # feels its price minus the mean price.
    raise NotImplementedError


def is_the_gradient(answer, law, theta):
    (p,) = law
    want = optimal.generator_gradient(optimal.non_saturating, p, ops.softmax, theta)
    np.testing.assert_allclose(answer(theta, p), want, atol=1e-9)


grade("8.E2", frozen_gradient, is_the_gradient, law=tables(1, min_size=5, max_size=5),
      theta=arrays(5, -4.0, 4.0))  # fmt: skip


# %%
def best_reply(d):
    """The generator's law q that minimises E_q log(1 - D), for a fixed table d of probabilities."""
    # Hint: the loss is linear in q: a mean. Where is a mean smallest?
    raise NotImplementedError


def nothing_is_better(answer, d):
    law = np.asarray(answer(d), dtype=float)
    assert law.shape == d.shape and (law >= 0).all() and abs(law.sum() - 1) < 1e-12
    assert law @ np.log(1 - d) <= np.log(1 - d).min() + 1e-12


grade("8.E3", best_reply, nothing_is_better, d=arrays(6, 0.01, 0.99))


# %%
def price_of_forward_kl(logit):
    """A price u(l*) for an outcome with best logit l* = log p/q.

    The gradient of E_q u, D* held, is to be that of KL(p || q), the divergence of
    maximum likelihood (Goodfellow 2014, arXiv 1412.6515).
    """
    # Hint: the derivative of KL(p || q) in q(x) is -p/q. Write that with l*.
    raise NotImplementedError


def descends_forward_kl(answer, pq):
    p, q = pq
    price = np.asarray(answer(np.log(p) - np.log(q)))
    tangents = np.eye(p.size)[1:] - np.eye(p.size)[0]  # directions that keep the sum of q
    np.testing.assert_allclose(
        tangents @ price, tangents @ (-p / q), rtol=1e-7, atol=1e-7
    )  # d KL(p||q)/dq = -p/q


grade("8.E4", price_of_forward_kl, descends_forward_kl, pq=tables(2, bound=2.0))


# %%
def softened_reverse_kl(p, q):
    """KL(q||p) - 2 JSD(p, q), for tables that may contain zeros.

    No NaN, and inf only where it is infinite.
    """
    # Hint: (8.13) turns the difference of two infinities into one sum. Which zeros
    # of p cost nothing?
    raise NotImplementedError


def agrees(answer, pq):
    p, q = pq
    got = np.asarray(answer(p, q)).item()
    if ((p == 0) & (q > 0)).any():
        assert got == np.inf, f"got {got} where q makes what p excludes"
        return
    assert abs(np.asarray(answer(p, p)).item()) <= 1e-12, "not 0 at a perfect generator"
    some = p > 0
    p, h = p[some], (q - p)[some]
    # On the way from p to q the slope is the mean of the frozen price; what it adds up to is the value.
    area = sum(
        quad(lambda t, p=a, h=b: h * np.log1p((p + t * h) / p), 0, 1)[0]
        for a, b in zip(p, h, strict=True)
    )
    assert abs(got - area) <= 1e-7, f"got {got}, but the slope from q = p on adds up to {area}"


grade("8.E5", softened_reverse_kl, agrees, pq=tables(2, zeros=True))

# %% [markdown]
# ## What to read next
#
# - Goodfellow et al. 2014, [arXiv 1406.2661](https://arxiv.org/abs/1406.2661), section 3, for both losses.
# - Arjovsky and Bottou 2017, [arXiv 1701.04862](https://arxiv.org/abs/1701.04862), section 2: theorems 2.4 and 2.5 are
#   (8.20) and (8.12); theorem 2.6 adds that non-saturating gradients become noisy.
# - Shannon et al. 2020, [arXiv 2010.08029](https://arxiv.org/abs/2010.08029), on (8.13); Sønderby et al. 2016,
#   [arXiv 1610.04490](https://arxiv.org/abs/1610.04490), on (8.16).
# - Goodfellow 2016, [arXiv 1701.00160](https://arxiv.org/abs/1701.00160), section 5.1.1, on the order of min and max.
# - In this code: [generator_gradient](../minigan/theory/optimal.py#generator_gradient), and the property tests
#   [identity 21](../tests/test_identities_gan_values.py#test_identity_21_the_saturating_gradient_is_that_of_the_jsd)
#   and
#   [identity 22](../tests/test_identities_gan_values.py#test_identity_22_the_heuristic_gradient_is_reverse_kl_minus_twice_jsd).
#
# Lesson 9 puts networks in the place of tables and trains a GAN.
