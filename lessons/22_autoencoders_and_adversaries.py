# %% [markdown]
# # 22. Autoencoders and adversaries
#
# A GAN makes images from codes. What is the code of *this* image? An autoencoder knows, a GAN does not. The VAE learns both
# ways with a bound on the likelihood, and no adversary. VAE-GAN, adversarial autoencoder and BiGAN each replace one part
# of that bound by a game: the likelihood, the prior, or all of it. What is gained each time, what no longer counts?
#
# You need: KL and mutual information (lesson 5), $D^* = p/(p+q)$ (lesson 7), lesson 21.
#
# **Predict first.** Five independent numbers with variances 16, 6, 3, 1 and 0.5 are stretched and turned into the data.
# A VAE has five codes, as many as there are numbers, and its decoder allows for noise of variance 1.5. How much will it
# tell by the last two codes: less than by the others, or nothing at all?

# %%
import itertools
import math

import numpy as np
from hypothesis import strategies as st

import minigan as mg
from minigan import nn, ops, optim
from minigan.gans import aae, bigan
from minigan.gans.latents import Posterior
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLUE, COLOURS, GREY, ORANGE
from minigan.lessons.strategies import arrays, floats, tables
from minigan.theory import divergences, information, optimal


def trained_vae(x, noise, steps):
    """(KL of each code at every 20th step, the decoder's weight) of a linear VAE."""
    random, size = mg.random.Source(0), x.shape[1]
    encoder = nn.Dense(size, 2 * size, init="normal").initialize(random, "encoder")
    decoder = nn.Dense(size, size, init="normal").initialize(random, "decoder")

    def loss(x):  # -ELBO, less a constant
        q = Posterior.of(encoder(x))
        again = decoder(q.draw(random.normal(q.mean.shape, stream="posterior")))
        return ops.sum(ops.square(x - again)) / (2 * noise * len(x)) + q.kl()

    adam = optim.Adam({"encoder": encoder, "decoder": decoder}, lr=lambda t: 0.03 * (1 - t / steps))
    game = mg.Game([mg.Player("vae", loss, adam)], random=random, replay=True)
    batches, rows = mg.data.Loader(x, batch_size=256, seed=0), []
    for step in range(steps):
        game.step(batches.batch(step))
        if step % 20 == 19:
            with mg.no_grad():
                mean, log_var = (each.numpy() for each in Posterior.of(encoder(x)))
            rows.append(0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).mean(axis=0))
    return np.array(rows), decoder.weight.numpy()


random = np.random.default_rng(0)
variances, noise = np.array([16, 6, 3, 1, 0.5]), 1.5
turn = np.linalg.qr(random.standard_normal((5, 5)))[0]
white = random.standard_normal((4096, 5))
white = np.linalg.svd(white - white.mean(axis=0), full_matrices=False)[0] * 64  # covariance I
x = (white * np.sqrt(variances) @ turn).astype(np.float32)
told, weight = trained_vae(x, noise, sized(2000, 1500))
told = told[:, np.argsort(-told[-1])]
expected = np.maximum(0, np.log(variances / noise) / 2)

# %%
fig, ax = figure(width=6.4, height=3.0)
for j, dash in enumerate(("-", "--", "-.", ":", (0, (5, 1, 1, 1)))):
    ax.plot(20 * np.arange(1, len(told) + 1), told[:, j], linestyle=dash, color=COLOURS[j], label=f"code {j + 1}")  # fmt: skip
    ax.axhline(expected[j], color=GREY, linewidth=0.8)
ax.set(xlabel="step", ylabel="nats of a code, KL", ylim=(-0.05, 1.5))
ax.legend(fontsize=8, loc="upper right", ncols=5)
show(fig, "collapse",
     alt="Three codes rise to the heights that the formula foretells, two fall to zero.")  # fmt: skip

# %% [markdown]
# Nothing at all, and the other three exactly $\frac12\log(\lambda/s^2)$ (the grey lines). That is no accident of training.
#
# ## 1. The bound and its gap
#
# Codes have a prior $p(z)$, a decoder says $p(x|z)$. We want $\log p(x)$, a sum over all $z$ that nobody can do. But for
# *every* $z$, $\log p(x) = \log p(x, z) - \log p(z|x)$. Average over any law $q(z|x)$, add and subtract $\log q$:
#
# $$ \log p(x) = \underbrace{\mathbb{E}_q\log p(x|z) - \operatorname{KL}\left(q(z|x)\,\Vert\,p(z)\right)}_{\text{ELBO}}
# + \operatorname{KL}\left(q(z|x)\,\Vert\,p(z|x)\right) . \tag{22.1} $$
#
# The last part is the gap: how far the encoder is from the posterior. So one number trains both: the decoder gets more
# likely data, the encoder comes nearer to Bayes ([`elbo`](../minigan/theory/information.py#elbo)). For normal laws the first
# KL is
#
# $$ \operatorname{KL}\left(N(m, \operatorname{diag}\sigma^2)\,\Vert\,N(0, I)\right)
# = \tfrac12\sum_j\left(m_j^2 + \sigma_j^2 - 1 - \log\sigma_j^2\right) . \tag{22.2} $$
#
# The other term needs the gradient of a mean over a law that itself is trained. **Reparameterise**: draw
# $e \sim N(0, 1)$, set $z = m + \sigma e$, and the law no longer depends on anything:
#
# $$ \nabla_{(m, \sigma)}\,\mathbb{E}_q f(z) = \mathbb{E}_e\left[f'(m + \sigma e)\,(1, e)\right] . \tag{22.3} $$
#
# Without the trick there is the score, $\mathbb{E}_q f(z)\,\nabla\log q(z)$: also unbiased. For $f = z^2$ the derivative in $m$
# is $2m$ both times, but one draw scatters with variances
#
# $$ 4\sigma^2 \quad\text{(reparameterised)}, \qquad \frac{m^4}{\sigma^2} + 14m^2 + 15\sigma^2 \quad\text{(score)} . \tag{22.4} $$

# %%
prior = np.array([0.5, 0.3, 0.2])  # of three codes; seven outcomes x
likelihood, q = random.dirichlet(np.ones(7), 3), random.dirichlet(np.ones(3), 7)
joint = (prior[:, None] * likelihood).T
bound = np.sum(q * np.log(likelihood.T), axis=1) - divergences.kl(q, prior[None])
gap = divergences.kl(q, joint / joint.sum(axis=1, keepdims=True))
check(
    "22.1", "log p(x) = ELBO + gap", np.log(joint.sum(axis=1)), bound + gap, atol=1e-14, identity=57
)
check("22.1a", "the ELBO, by its other form", information.elbo(prior, likelihood, q),
      np.sum(q * (np.log(joint) - np.log(q)), axis=1), atol=1e-14)  # fmt: skip
m, s = random.standard_normal(4), np.exp(0.5 * random.standard_normal(4))
closed = np.sum(m**2 + s**2 - 1 - np.log(s**2)) / 2
e = np.random.default_rng(2).standard_normal((sized(400_000, 200_000), 4))
drawn = np.sum(((m + s * e) ** 2 - e**2) / 2 - np.log(s), axis=1)  # log q(z) − log p(z)
check("22.2", "the KL: closed form, and Monte Carlo within four standard errors", drawn.mean(), closed,
      atol=4 * drawn.std() / math.sqrt(len(drawn)))  # fmt: skip
mine = Posterior(mg.tensor(m[None]), mg.tensor(2 * np.log(s)[None])).kl().item()
check("22.2a", "the engine's", mine, closed, atol=1e-13)
f, slope = np.sin, np.cos
nodes, weights = np.polynomial.hermite_e.hermegauss(60)
weights = weights / weights.sum()
mean_of_f = lambda m, s: weights @ f(m + s * nodes)
h, at = 1e-5, (0.7, 0.6)
by_differences = [
    (mean_of_f(at[0] + h, at[1]) - mean_of_f(at[0] - h, at[1])) / (2 * h),
    (mean_of_f(at[0], at[1] + h) - mean_of_f(at[0], at[1] - h)) / (2 * h),
]
inside = slope(at[0] + at[1] * nodes)
check("22.3", "derivatives inside the mean, and differences of it", [weights @ inside, weights @ (inside * nodes)],
      by_differences, atol=1e-9, identity=59)  # fmt: skip
leaves = [mg.tensor(np.full(1, value), requires_grad=True) for value in (at[0], 2 * math.log(at[1]))]  # fmt: skip
codes = Posterior(*leaves).draw(mg.tensor(nodes))
slopes = [g.item() for g in mg.grad(ops.sum(ops.sin(codes) * weights), leaves)]
check("22.3a", "the engine's (for log σ² a factor σ/2)", slopes,
      [by_differences[0], by_differences[1] * at[1] / 2], atol=1e-9)  # fmt: skip
z = at[0] + at[1] * nodes
scatter = lambda g: weights @ g**2 - (weights @ g) ** 2
check("22.4", "variances of one draw", [scatter(2 * z), scatter(z**2 * nodes / at[1])],
      [4 * at[1] ** 2, at[0] ** 4 / at[1] ** 2 + 14 * at[0] ** 2 + 15 * at[1] ** 2], atol=1e-11)  # fmt: skip

# %% [markdown]
# ## 2. Posterior collapse
#
# One number $x$ of variance $\lambda$, one code, $p(x|z) = N(wz, s^2)$. Its model says $x \sim N(0, w^2 + s^2)$, the posterior
# is normal, so the gap can be 0 and training maximises the likelihood itself,
#
# $$ \ell(w) = -\tfrac12\left(\log 2\pi(w^2 + s^2) + \frac{\lambda}{w^2 + s^2}\right), \qquad
# \ell''(0) = \frac{\lambda - s^2}{s^4} . \tag{22.5} $$
#
# If $\lambda \le s^2$, the best $w$ is 0: what the noise explains, no code will. Otherwise $w^2 = \lambda - s^2$, and (22.2)
# averaged over the data is
#
# $$ \mathbb{E}_x\operatorname{KL} = \tfrac12\log\frac{\lambda}{s^2}, \qquad \text{or } 0
# \text{ if } \lambda \le s^2 . \tag{22.6} $$
#
# In several dimensions the codes find the principal axes, each for itself. So $s^2$, which often is forgotten in a
# "squared error", decides who collapses (Lucas et al. 2019). And $w = 0$ is always stationary: for $\lambda$ just above $s^2$
# it is left slowly, as the third curve shows.
#
# The second cause is a decoder that is *too good*. Averaged over data from $p_{\text{data}}$,
#
# $$ -\mathbb{E}_x\text{ELBO} = H(p_{\text{data}}) + \operatorname{KL}\left(p_{\text{data}}\,\Vert\,p\right)
# + \mathbb{E}_x\,\text{gap} \;\ge\; H(p_{\text{data}}) , \tag{22.7} $$
#
# and a decoder with $p(x|z) = p_{\text{data}}(x)$ for all $z$ reaches the minimum *without a code*. The bound asks for likely
# data; codes that mean something are not its business.

# %%
log_likelihood = lambda w, lam, s2: -(math.log(2 * math.pi * (w**2 + s2)) + lam / (w**2 + s2)) / 2


def linear_elbo(w, lam, s2):
    """The mean ELBO over x ~ N(0, λ), by quadrature over x and e, with the posterior by Bayes."""
    mean, var = w / (w**2 + s2), s2 / (w**2 + s2)
    x = math.sqrt(lam) * nodes[:, None]
    z = mean * x + math.sqrt(var) * nodes[None, :]
    density = -((x - w * z) ** 2) / (2 * s2) - math.log(2 * math.pi * s2) / 2
    kl = ((mean * x[:, 0]) ** 2 + var - 1 - math.log(var)) / 2
    return weights @ density @ weights - weights @ kl, weights @ kl


cases = [(0.5, 0.4), (0.5, 1.5), (3.0, 1.5), (7.0, 0.4), (7.0, 1.5)]
check("22.5", "the ELBO with the best encoder is the likelihood",
      [linear_elbo(0.8, *case)[0] for case in cases], [log_likelihood(0.8, *case) for case in cases],
      atol=1e-12)  # fmt: skip
h = 1e-3
curvature = [(log_likelihood(h, *c) - 2 * log_likelihood(0, *c) + log_likelihood(-h, *c)) / h**2 for c in cases]  # fmt: skip
check("22.5a", "ℓ''(0)", curvature, [(lam - s2) / s2**2 for lam, s2 in cases], atol=0, rtol=1e-4)
grid = np.linspace(0, 3, 3001)
highest = [grid[np.argmax([log_likelihood(w, *case) for w in grid])] for case in cases]
check("22.6", "KL at the maximum of ℓ", [linear_elbo(w, *c)[1] for w, c in zip(highest, cases, strict=True)],
      [max(0, math.log(lam / s2) / 2) for lam, s2 in cases], atol=1e-3)  # fmt: skip
check(
    "22.6a", "the trained VAE: nats of all codes", told[-1].sum(), expected.sum(), atol=0, rtol=0.03
)
check("22.6b", "two codes tell nothing", told[-1][3:], 0.02, atol=0, relation="<=")
lengths = np.sort(np.linalg.svd(weight, compute_uv=False) ** 2)[::-1]
check(
    "22.6c",
    "its weights: w² = λ − s²",
    lengths,
    np.maximum(0, variances - noise),
    atol=0.05,
    rtol=0.02,
)
data = random.dirichlet(np.ones(7))
model = joint.sum(axis=1)
check("22.7", "−ELBO in three parts", -data @ information.elbo(prior, likelihood, q),
      divergences.entropy(data) + divergences.kl(data, model) + data @ gap, atol=1e-14)  # fmt: skip
check("22.7a", "reached without a code", -data @ information.elbo(prior, np.tile(data, (3, 1)), np.tile(prior, (7, 1))),
      divergences.entropy(data), atol=1e-14)  # fmt: skip

# %% [markdown]
# ## 3. Surgery: what the prior's term does, and the AAE's game
#
# To draw samples from the prior, codes must have its law *together*: the **aggregated posterior**
# $q(z) = \mathbb{E}_x q(z|x)$ must be $p(z)$. The ELBO asks for more. Insert $\log q(z)$ (Hoffman, Johnson 2016):
#
# $$ \mathbb{E}_x\operatorname{KL}\left(q(z|x)\,\Vert\,p(z)\right) = I_q(x; z) + \operatorname{KL}\left(q(z)\,\Vert\,p(z)\right) .
# \tag{22.8} $$
#
# It taxes the information itself, the very thing that an autoencoder is for. The adversarial autoencoder
# ([`AAE`](../minigan/gans/aae.py#AAE)) keeps the second part only, and by a game. A discriminator sees codes, from the
# prior or from the encoder:
#
# $$ \max_D\; \mathbb{E}_{p(z)}\log D + \mathbb{E}_{q(z)}\log(1 - D) = 2\operatorname{JSD}\left(p(z), q(z)\right) - \log 4 .
# \tag{22.9} $$
#
# No density of $q(z|x)$ is needed, nor one of the prior, and $I_q$ is free: an encoder that gives $n$ images $n$ codes of
# their own in equal shares,
#
# $$ \operatorname{JSD} = 0, \qquad I_q(x; z) = \log n, \tag{22.10} $$
#
# is perfect here, and pays $\log n$ to the ELBO. (With a weight on both terms one buys as much information as one likes; that is
# a $\beta$-VAE.) Below, an AAE on an arc with two heaps and one code, with its adversary and without.

# %%
aggregated = data @ q
split = information.mutual_information(data[:, None] * q)
check("22.8", "mean KL = information + KL of the aggregate", data @ divergences.kl(q, prior[None]),
      split + divergences.kl(aggregated, prior), atol=1e-14)  # fmt: skip
logit = np.zeros(3)
for _ in range(4000):  # D of codes, by gradient ascent
    d = 1 / (1 + np.exp(-logit))
    logit += 2.0 * (prior * (1 - d) - aggregated * d)
check("22.9", "the trained D's value", prior @ np.log(d) + aggregated @ np.log(1 - d),
      2 * divergences.jsd(prior, aggregated) - math.log(4), atol=1e-9)  # fmt: skip
n = 4
own, same = np.eye(n), np.full((n, n), 1 / n)  # a code for each image; codes drawn regardless of it
seen = [divergences.jsd(np.full(n, 1 / n), each.mean(axis=0)) for each in (own, same)]
taxed = [divergences.kl(each, np.full((n, n), 1 / n)).mean() for each in (own, same)]
check("22.10", "D sees no difference, the ELBO's tax is log n, or nothing", [*seen, *taxed],
      [0, 0, math.log(n), 0], atol=1e-14)  # fmt: skip


def dense(inputs, outputs):
    hidden = {"activation": "leaky_relu", "init": "he"}
    return nn.Sequential(
        nn.Dense(inputs, 64, **hidden), nn.Dense(64, 64, **hidden), nn.Dense(64, outputs)
    )


class AAE(aae.AAE):  # the models of minigan.gans, their losses and players, on points
    needs = "points"

    def networks(self):
        return {"encoder": dense(2, 1), "decoder": dense(1, 2), "discriminator": dense(1, 1)}


def learned(kind, x, steps, **options):
    model = kind(kind.Config(seed=0, latent=1, lr=1e-3, **options), x.shape[1:])
    batches = mg.data.Loader(x, batch_size=128, seed=0)
    for step in range(steps):
        model.game.step(batches.batch(step))
    return model


turned = random.choice([-1.2, 1.2], size=8000) + 0.35 * random.standard_normal(8000)
arc = 2 * np.stack([np.cos(turned), np.sin(turned)], axis=1) + 0.05 * random.standard_normal(
    (8000, 2)
)
arc = arc.astype(np.float32)
angle = lambda points: np.sort(np.arctan2(points[:, 1], points[:, 0]))
fig, axes = figure(2, 2, width=6.6, height=4.4)
off, wrong = {}, {}
for w, colour, row in ((0.0, ORANGE, axes[0]), (0.4, BLUE, axes[1])):
    model = learned(AAE, arc, sized(600, 500), weight=w)
    with model.evaluating():
        code = model.encoder(model.tensor(arc[:2000])).numpy()[:, 0]
    samples = model.sample(2000)
    reference = np.sort(np.random.default_rng(3).standard_normal(2000))
    off[w] = np.abs(np.sort(code) - reference).mean()  # the distance W1 of codes and prior
    wrong[w] = np.abs(angle(samples) - angle(arc[:2000])).mean()
    row[0].hist(code, 60, range=(-4, 4), density=True, color=colour)
    row[0].plot(grid := np.linspace(-4, 4, 99), np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi), color=GREY)  # fmt: skip
    row[0].set(title=f"codes, $w$ = {w}", yticks=[])
    row[1].plot(*arc[:2000].T, ".", color=GREY, markersize=2, label="data")
    row[1].plot(*samples.T, ".", color=colour, markersize=2, label="samples")
    row[1].set(title="decoded from the prior", aspect="equal", xticks=[], yticks=[])
show(fig, "prior",
     alt="Without the adversary codes lie off the prior and samples off the heaps; with it both nearly fit.")  # fmt: skip

# %%
print({w: (round(float(off[w]), 2), round(float(wrong[w]), 2)) for w in off})
check("22.9a", "W1 of the codes to the prior, with the adversary", off[0.4], off[0.0] / 2, atol=0, relation="<=")  # fmt: skip
check("22.9b", "W1 of the samples to the data, in angle", wrong[0.4], wrong[0.0] / 2, atol=0, relation="<=")  # fmt: skip

# %% [markdown]
# ## 4. VAE-GAN: another likelihood
#
# Where does the VAE's blur come from? A code leaves things open: let $x$ still vary, given $z$. With a squared error the best
# reconstruction is the mean, and a *sharp* one, drawn as the data are, costs exactly twice as much:
#
# $$ \min_c\mathbb{E}\lVert x - c\rVert^2 = \mathbb{E}\lVert x - \mathbb{E}x\rVert^2, \qquad
# \mathbb{E}\lVert x - x'\rVert^2 = 2\,\mathbb{E}\lVert x - \mathbb{E}x\rVert^2 . \tag{22.11} $$
#
# The mean has fewer edges. For any differences $\nabla$ between pixels,
#
# $$ \lVert\nabla\,\mathbb{E}x\rVert^2 = \mathbb{E}\lVert\nabla x\rVert^2
# - \mathbb{E}\lVert\nabla(x - \mathbb{E}x)\rVert^2 . \tag{22.12} $$
#
# The VAE-GAN ([`VAEGAN`](../minigan/gans/vaegan.py#VAEGAN), Larsen et al. 2015) compares features $f$ of a discriminator
# instead. Features that do not see a shift leave a bump at any place with no error at all, and the mean of two bumps with
# much. Sharper, then, and less faithful. But $f$ is trained, too, and $e^{-\frac12\lVert f(x) - f(c)\rVert^2}$ is no density of
# $x$. That would be
#
# $$ p(x) = N\left(f(x);\,f(c),\,I\right)\left|\det f'(x)\right| , \tag{22.13} $$
#
# with a determinant that nobody can compute, so the sum is *no bound* on $\log p(x)$ any more: a discriminator that shrinks its
# features lowers the error and explains nothing.

# %%
place = np.arange(32)
centres = np.array([[10.0], [18.0]])
bump = np.exp(-((place - centres) ** 2) / 4)  # two images for one code
mean = bump.mean(axis=0)
c = np.zeros(32)
for _ in range(200):
    c += 0.2 * np.mean(bump - c, axis=0)  # descent on the squared error
spread = np.square(bump - mean).sum(axis=1).mean()
check("22.11", "the best reconstruction is the mean", c, mean, atol=1e-12)
check("22.11a", "a sharp one costs twice as much",
      np.square(bump[:, None] - bump[None]).sum(axis=2).mean(), 2 * spread, atol=1e-12)  # fmt: skip
edges = lambda image: np.square(np.diff(image)).sum(axis=-1)
check("22.12", "edges of the mean", edges(mean), edges(bump).mean() - edges(bump - mean).mean(), atol=1e-14)  # fmt: skip
check("22.12a", "are fewer", edges(mean), 0.6 * edges(bump).mean(), atol=0, relation="<=")
unmoved = lambda image: np.abs(np.fft.fft(image))  # features that do not see a shift
error = lambda image: np.square(unmoved(bump) - unmoved(image)).sum(axis=1).mean()
check("22.11b", "in such features a moved bump has no error", error(bump[0]), 0, atol=1e-12)
check("22.11c", "and the mean has", error(mean), 0.2 * np.square(unmoved(bump)).sum(axis=1).mean(), atol=0,
      relation=">=")  # fmt: skip
line, centre = np.linspace(-6, 6, 20001), 0.8
f, jacobian = np.sinh(line), np.cosh(line)
bell = np.exp(-((f - np.sinh(centre)) ** 2) / 2) / math.sqrt(2 * math.pi)
area = lambda values: np.trapezoid(values, line)
check("22.13", "with the determinant it is a density", area(bell * jacobian), 1, atol=1e-9)
check("22.13a", "without it, none", area(bell), 1, atol=0.1, relation="!=")

# %% [markdown]
# ## 5. BiGAN: all in one game
#
# Here nothing is compared but *pairs*: $(x, E(x))$ with $x$ from the data, $(G(z), z)$ with $z$ from the prior
# ([`BiGAN`](../minigan/gans/bigan.py#BiGAN), [`logits`](../minigan/gans/bigan.py#BiGAN.logits)). One more time,
#
# $$ \max_D V = 2\operatorname{JSD}\left(p_E(x, z),\,p_G(x, z)\right) - \log 4 , \tag{22.14} $$
#
# so at the optimum both joint laws are one. If $E$ and $G$ are functions, $p_E$ lives on $z = E(x)$ and $p_G$ on $x = G(z)$;
# the same law on both means *$E$ inverts $G$*, almost everywhere, although no loss says $x \approx G(E(x))$ (Donahue et al.
# 2016). Count it for $n$ images and $n$ codes: of all pairs of functions,
#
# $$ n^n \cdot n^n \quad\text{games, of which}\quad n! \quad\text{have JSD} = 0: \qquad
# G \text{ one to one},\; E = G^{-1} . \tag{22.15} $$
#
# **Where it fails.** First, *with noise* (as in ALI, Dumoulin et al. 2016). Equal joint laws make $q(z|x)$ the posterior of
# $p(x|z)$, no more. Let $G$ show the image of $z$ with probability $1 - t$, else any; the posterior does the same, and
#
# $$ \operatorname{JSD} = 0 \;\text{ for all } t, \qquad P\left(G(E(x)) = x\right) = \left(1 - t + \tfrac tn\right)^2
# + (n - 1)\left(\tfrac tn\right)^2 , \tag{22.16} $$
#
# which falls from 1 to $1/n$, pure chance, at an optimum (Li et al. 2017). Second, *with room to spare*: $2n$ codes for $n$
# images. Two codes share an image, $E$ can name one of them, and
#
# $$ G(E(x)) = x \;\text{ always}, \qquad\text{yet}\quad \operatorname{JSD} \ge \tfrac34\log\tfrac43 . \tag{22.17} $$
#
# $E$ would have to be random. Third, *with a weak $D$*: if it is a sum $a(x) + b(z)$, it sees two marginal laws,
#
# $$ \max_{D = a + b} V = -\log 4 \quad\text{for every one-to-one } G, E, \tag{22.18} $$
#
# be they inverse or never right. So the theorem is about the optimum, and reconstructions must be *measured*. (Detectors of
# anomalies, [`GANomaly`](../minigan/gans/ganomaly.py#GANomaly) and [`FAnoGAN`](../minigan/gans/fanogan.py#FAnoGAN), do: an
# image that does not come back is a stranger.)

# %%
n = 3
maps = np.array(list(itertools.product(range(n), repeat=n)))
table_G = np.eye(n)[maps].swapaxes(1, 2) / n  # (functions, x, z): p_G for each G
table_E = np.eye(n)[maps] / n  # p_E for each E
apart = divergences.jsd(table_E.reshape(-1, 1, n * n), table_G.reshape(1, -1, n * n))
inverse = np.array([[np.array_equal(G[E], range(n)) for G in maps] for E in maps])
check("22.15", "games, and those that are won by both", [apart.size, np.sum(apart < 1e-12)],
      [n ** (2 * n), math.factorial(n)], atol=0)  # fmt: skip
check("22.15a", "won exactly where E inverts G", apart < 1e-12, inverse, atol=0)
first, second = table_E[5].ravel(), table_G[14].ravel()
logit = np.zeros(n * n)
for _ in range(3000):
    d = 1 / (1 + np.exp(-logit))
    logit += 8.0 * (first * (1 - d) - second * d)
check("22.14", "the trained D of pairs", optimal.value(d, first, second),
      2 * divergences.jsd(first, second) - math.log(4), atol=1e-3)  # fmt: skip
n = 4
for letter, t in zip("abc", (0.0, 0.5, 1.0), strict=True):
    noisy = ((1 - t) * np.eye(n) + t / n) / n  # p_G(x, z)
    encoder = noisy / noisy.sum(axis=1, keepdims=True)  # q(z|x), its posterior
    decoder = noisy / noisy.sum(axis=0)  # p(x|z)
    agree = divergences.jsd((encoder / n).ravel(), noisy.ravel())
    right = np.sum(encoder * decoder, axis=1).mean()
    check(f"22.16{letter}", f"t = {t}: JSD, and reconstructions that are right", [agree, right],
          [0, (1 - t + t / n) ** 2 + (n - 1) * (t / n) ** 2], atol=1e-14)  # fmt: skip
shared = np.tile(np.eye(n), 2) / (2 * n)  # p_G(x, z): codes k and n + k make image k
choices = np.eye(2 * n)[list(itertools.product(range(2 * n), repeat=n))] / n  # p_E of each E
apart = divergences.jsd(choices.reshape(-1, 2 * n * n), shared.ravel())
check(
    "22.17",
    "2n codes: the best of all functions E",
    apart.min(),
    0.75 * math.log(4 / 3),
    atol=1e-14,
)
back = (choices[apart < apart.min() + 1e-12] * n) @ (shared.T * 2 * n)  # G(E(x)) of the best ones
check("22.17a", "which reconstruct every image", back, np.eye(n), atol=1e-14)
pairs = [np.eye(n) / n, np.eye(n)[[1, 2, 3, 0]] / n]  # E inverse to G; and never right


def additive(encoded, generated, steps=300):
    """The best value of D with logit a(x) + b(z)."""
    a, b = random.standard_normal((2, n))
    for _ in range(steps):
        d = 1 / (1 + np.exp(-(a[:, None] + b)))
        pull = encoded * (1 - d) - generated * d
        a, b = a + 4 * pull.sum(axis=1), b + 4 * pull.sum(axis=0)
    return optimal.value(d.ravel(), encoded.ravel(), generated.ravel())


check("22.18", "a sum of two critics sees nothing", [additive(E, pairs[0]) for E in pairs], -math.log(4),
      atol=1e-6)  # fmt: skip
check("22.18a", "a critic of pairs does", divergences.jsd(pairs[1].ravel(), pairs[0].ravel()), math.log(2),
      atol=1e-14)  # fmt: skip


# %%
class BiGAN(bigan.BiGAN):
    needs = "points"

    def networks(self):
        return {"generator": dense(1, 1), "encoder": dense(1, 1), "discriminator": dense(2, 1)}


heaps = random.choice([-1.2, 1.2], size=(8000, 1)) + 0.5 * random.standard_normal((8000, 1))
heaps = heaps.astype(np.float32)
model = learned(BiGAN, heaps, sized(800, 700), ema=0.99)
code, again = model.code_and_back(heaps[:1500])
untrained = BiGAN(model.config, (1,)).code_and_back(heaps[:1500])[1]
with model.evaluating():
    drawn = model.prior(1500)
    made, drawn = model.generator(drawn).numpy(), drawn.numpy()
fig, ax = figure(width=6.0, height=3.0)
ax.plot(drawn, made, ".", color=ORANGE, markersize=5, label="$(z, G(z))$")
ax.plot(code, heaps[:1500], ".", color=BLUE, markersize=2, label="$(E(x), x)$")
ax.set(xlabel="code", ylabel="example")
ax.legend(fontsize=8)
show(fig, "pairs",
     alt="Pairs of both kinds lie nearly on one monotone curve: encoder and generator invert each other.")  # fmt: skip

# %%
shown, other = heaps[:1500], heaps[1499::-1]
gaps = [np.abs(each - shown).mean() / np.abs(shown - other).mean() for each in (again, untrained)]
print("|x − G(E(x))|, of the distance to another x: trained {:.2f}, untrained {:.2f}".format(*gaps))
check("22.15b", "the networks: E nearly inverts G", gaps[0], 0.25, atol=0, relation="<=")
check("22.15c", "which they did not at the start", gaps[1], 0.5, atol=0, relation=">=")

# %% [markdown]
# ## Exercises


# %%
def divergence(m, s, n, t):
    """KL(N(m, s²) ‖ N(n, t²)) of two normal laws on a line; s and t are standard deviations."""
    # Hint: shift and stretch both, so that the second is N(0, 1). Then (22.2).
    raise NotImplementedError


def divergence_property(answer, m, s, n, t):
    x = np.linspace(m - 10 * s, m + 10 * s, 2001)
    first, second = (-(((x - at) / sd) ** 2) / 2 - math.log(sd) for at, sd in ((m, s), (n, t)))
    want = np.trapezoid(np.exp(first) / math.sqrt(2 * math.pi) * (first - second), x)
    got = answer(m, s, n, t)
    assert abs(got - want) < 1e-6 * (1 + want), f"got {got}, the integral is {want}"


grade("22.E1", divergence, divergence_property, m=floats(-1, 1), s=floats(0.3, 2), n=floats(-1, 1),
      t=floats(0.5, 2))  # fmt: skip


# %%
def noise_for(variances, nats):
    """The decoder's noise s² for which the codes of a linear VAE tell just so many nats together."""
    # Hint: if the k largest λ are used, (22.6) gives log s² as a mean less a constant. Which k agrees with itself?
    raise NotImplementedError


def noise_property(answer, variances, nats):
    s2 = answer(variances.copy(), nats)
    assert s2 > 0, f"{s2} is no variance"
    used = variances[variances > s2]
    total = sum(divergences.entropy([0.5, 0.5]) * math.log2(lam / s2) / 2 for lam in used)
    assert abs(total - nats) < 1e-6 * (1 + nats), f"noise {s2} lets {total} nats through"


grade("22.E2", noise_for, noise_property, variances=arrays(st.integers(1, 5), 0.1, 10), nats=floats(0.05, 6))  # fmt: skip


# %%
def telling(share):
    """Rows q(z|x) for two equally frequent images and two codes with prior (share, 1 − share).

    The aggregated posterior must be the prior, and the information I(x; z) as large as that allows.
    """
    # Hint: one number is free. I is convex in it, so look at the ends.
    raise NotImplementedError


def telling_property(answer, share):
    q = np.asarray(answer(share), dtype=float)
    assert q.shape == (2, 2), f"got shape {q.shape}"
    assert q.min() >= 0 and np.allclose(q.sum(axis=1), 1), "each row must be a law"
    assert abs(q[:, 0].mean() - share) < 1e-9, f"together the codes have {q.mean(axis=0)}"
    told = lambda first: information.mutual_information(
        np.array([[first, 1 - first], [2 * share - first, 1 - 2 * share + first]]) / 2
    )
    possible = np.linspace(max(0, 2 * share - 1), min(1, 2 * share), 101)
    best = max(told(first) for first in possible)
    reached = information.mutual_information(q / 2)
    assert reached > best - 1e-9, f"{reached} nats, others tell {best}"


grade("22.E3", telling, telling_property, share=floats(0.05, 0.95))


# %%
def encoder_for(G):
    """The encoder q(z|x) that no discriminator of pairs can tell from a generator.

    G[z, x] = p(x|z) > 0, a law in each row; codes are equally likely; the images x have the generator's law. One row for each x.
    """
    # Hint: the joint laws must be one. Divide it by the law of x.
    raise NotImplementedError


def encoder_property(answer, laws):
    G = np.stack(laws)
    generated = G.T / len(G)
    images = generated.sum(axis=1)
    E = np.asarray(answer(G.copy()), dtype=float)
    assert E.shape == generated.shape, f"expected a table {generated.shape}"
    assert np.allclose(E.sum(axis=1), 1), "each row must be a law of z"
    apart = divergences.jsd((images[:, None] * E).ravel(), generated.ravel())
    assert apart < 1e-12, f"JSD of the pairs: {apart}"


grade("22.E4", encoder_for, encoder_property,
      laws=st.integers(2, 4).flatmap(lambda k: tables(k, max_size=5, bound=3.0)))  # fmt: skip

# %% [markdown]
# ## What to read next
#
# - D. Kingma, M. Welling, *Auto-Encoding Variational Bayes* (2013, arXiv 1312.6114): the VAE, which article S2, appendix A,
#   takes for a GAN. The VAE-GAN: A. Larsen, S. Sonderby, H. Larochelle, O. Winther (2015, arXiv 1512.09300).
# - J. Lucas, G. Tucker, R. Grosse, M. Norouzi, *Don't Blame the ELBO!* (2019, arXiv 1911.02469): linear VAEs.
# - M. Hoffman, M. Johnson, *ELBO surgery* (2016, NIPS workshop); A. Makhzani et al., *Adversarial Autoencoders* (2015, arXiv
#   1511.05644).
# - J. Donahue, P. Krahenbuhl, T. Darrell, *Adversarial Feature Learning* (2016, arXiv 1605.09782); V. Dumoulin et al.,
#   *Adversarially Learned Inference* (2016, arXiv 1606.00704); C. Li et al., *ALICE* (2017, arXiv 1709.01215): where it fails.
# - At work: `minigan train vae`, `vaegan`, `aae`, its semi-supervised form `ssaae`, or `bigan`.
