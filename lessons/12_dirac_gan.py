# %% [markdown]
# # 12. The Dirac-GAN
#
# How can one tell whether a GAN loss converges, when every real GAN has a million parameters and a data set? Take the
# smallest GAN that is still a GAN. All data lie at one point, 0. The generator puts everything at one point, $\theta$.
# The discriminator is a line through 0, $D(x) = \psi x$, read as a logit. Two numbers, two losses, one solution:
# $\theta = 0$. On this game of Mescheder, Geiger and Nowozin (2018) every loss and every regulariser can be worked out
# with pen and paper. What it shows is local, for a line as discriminator: a method that circles here has no general
# proof of convergence, though it may do well on larger games. This lesson does it line by line:
# minimax, non-saturating, least squares, Wasserstein, hinge and relativistic losses; R1, R2, gradient penalty, instance
# noise, consensus, clipping; steps at once and in turn.
#
# You need: lesson 11 (fields, Jacobians, $\rho$), the logistic function, and eigenvalues of $2 \times 2$ matrices.
#
# **Predict first.** R1 adds $\frac\gamma2 \psi^2$ to the discriminator's loss and thereby damps the game. Three
# strengths: $\gamma = 0.1$, $1$ and $10$. With very small steps, which of them brings the generator to the data
# fastest? Order the three, and guess how much faster the best is than the others. Section 5 answers.

# %%
import math

import numpy as np

import minigan as mg
from minigan import losses, optim, penalties
from minigan.asynchrony import Stale
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLACK, BLUE, GREEN, GREY, ORANGE
from minigan.lessons.strategies import arrays, floats
from minigan.theory import dynamics
from minigan.theory.dirac import DiracGAN


def sigma(t):
    """The logistic function 1 / (1 + e^-t), the derivative of softplus."""
    return 1 / (1 + np.exp(-t))


random = np.random.default_rng(0)
points = random.uniform(-1.4, 1.4, (12, 2))  # where the formulas are tried: rows (theta, psi)
theta, psi = points.T
s = theta * psi


def fields(gan):
    """The field of a game at all points, by the engine's derivatives: rows (d theta/dt, d psi/dt)."""
    return np.array([gan.field(t, p) for t, p in points])


# %% [markdown]
# ## 1. The game and its losses
#
# A real example is $x = 0$, so its logit is $\psi \cdot 0 = 0$, whatever $D$ does. A fake is $x = \theta$, with logit
# $s = \psi\theta$. The probability of "real" is $\sigma(\text{logit})$, with the logistic function
# $\sigma(t) = 1/(1 + e^{-t})$. All expectations are over a single point. Goodfellow's discriminator loss is therefore
#
# $$ L_D = -\log \sigma(0) - \log(1 - \sigma(s)) = \log 2 + \log(1 + e^{s}), \qquad s = \psi\theta, \tag{12.1} $$
#
# and the generator has the choice between the minimax loss and the non-saturating one:
#
# $$ L_G^{\text{minimax}} = -\log(1 + e^{s}), \qquad L_G^{\text{NS}} = \log(1 + e^{-s}) . \tag{12.2} $$
#
# [`DiracGAN`](../minigan/theory/dirac.py#DiracGAN) does not know these formulas. It feeds the logits $0$ and $s$ to the
# same [loss pairs](../minigan/losses.py#Pair) that train networks.


# %%
def values(gan, player):
    """The loss of player 0 (generator) or 1 (discriminator) at all points."""
    return [
        gan.losses[player](mg.tensor(np.array(t)), mg.tensor(np.array(p))).item() for t, p in points
    ]


check("12.1", "L_D = log 2 + log(1 + e^s)", values(DiracGAN(loss="minimax"), 1),
      math.log(2) + np.log(1 + np.exp(s)), atol=1e-12)  # fmt: skip
check("12.2", "minimax: L_G = −log(1 + e^s)", values(DiracGAN(loss="minimax"), 0),
      -np.log(1 + np.exp(s)), atol=1e-12)  # fmt: skip
check("12.2a", "non-saturating: L_G = log(1 + e^−s)", values(DiracGAN(), 0), np.log(1 + np.exp(-s)),
      atol=1e-12)  # fmt: skip

# %% [markdown]
# The players $(\theta, \psi)$ descend. By the chain rule $\partial s/\partial\theta = \psi$ and
# $\partial s/\partial\psi = \theta$, so *every* loss gives a field of one form,
#
# $$ \dot\theta = a(s)\,\psi, \qquad \dot\psi = -b(s)\,\theta, \qquad
# a = -\frac{dL_G}{ds}, \quad b = \frac{dL_D}{ds} . \tag{12.3} $$
#
# The derivative of $\log(1 + e^t)$ is $\sigma(t)$, so
#
# | loss | $a(s)$: how hard $G$ pulls | $b(s)$: how hard $D$ pushes |
# |---|---|---|
# | minimax | $\sigma(s)$ | $\sigma(s)$ |
# | non-saturating | $\sigma(-s)$ | $\sigma(s)$ |
# | relativistic, paired | $\sigma(-s)$ | $\sigma(s)$ |
# | Wasserstein | $1$ | $1$ |
# | hinge | $1$ | $1$ for $s > -1$, else $0$ |
# | least squares $(a, b, c)$ | $c - s$ | $s - a$ |
#
# The relativistic row equals the non-saturating one only here, where the real logit is always 0. In the last row the
# labels $a$ (fakes), $b$ (data), $c$ (what $G$ wants) are those of lesson 6, the losses the paper's, with a factor
# $\frac12$: $L_G = \frac12 (s - c)^2$, $L_D = \frac12 (0 - b)^2 + \frac12 (s - a)^2$.

# %%
table = {
    "minimax": (sigma(s), sigma(s)),
    "non_saturating": (sigma(-s), sigma(s)),
    "relativistic": (sigma(-s), sigma(s)),
    "wasserstein": (np.ones_like(s), np.ones_like(s)),
    "hinge": (np.ones_like(s), np.where(s > -1, 1.0, 0.0)),
    "least_squares": (1 - s, s - 0),
    "least_squares_pearson": (0 - s, s + 1),
}
for letter, (name, (a, b)) in zip("abcdefg", table.items(), strict=True):
    check(f"12.3{letter}", f"{name}: v = (a ψ, −b θ)", fields(DiracGAN(loss=name)),
          np.stack([a * psi, -b * theta], axis=1), atol=1e-12)  # fmt: skip

# %% [markdown]
# ## 2. The Jacobian at the solution
#
# At $\theta = \psi = 0$ the field is 0. Differentiate (12.3) there. In
# $\partial(a(s)\psi)/\partial\theta = a'(s)\psi^2$ and its mirror image the leftover factors are 0, so
#
# $$ J = \begin{pmatrix} 0 & a(0) \\ -b(0) & 0 \end{pmatrix}, \qquad
# \lambda = \pm\sqrt{-a(0)\,b(0)} = \pm i\sqrt{a(0)\,b(0)} . \tag{12.4} $$
#
# Minimax, non-saturating and relativistic losses have $a(0) = b(0) = \sigma(0) = \frac12$, Wasserstein and hinge have
# 1:
#
# $$ \lambda = \pm\frac i2 \;\text{(logistic)}, \qquad \lambda = \pm i \;\text{(Wasserstein, hinge)} . \tag{12.5} $$
#
# Purely imaginary, all of them: near the solution nothing pulls inwards. By lesson 11, formula (11.13), simultaneous
# steps then *leave* it, by a factor $\sqrt{1 + h^2/4}$ a step for the logistic losses.

# %%
zero = np.array([1e-6, 0.0]), np.array([0.0, 1e-6])
by_differences = np.stack([np.array(DiracGAN().field(*z)) / 1e-6 for z in zero], axis=1)
check(
    "12.4", "J = [[0, a(0)], [−b(0), 0]]", DiracGAN().jacobian(), [[0, 0.5], [-0.5, 0]], atol=1e-15
)
check("12.4a", "the same by differences of the field", by_differences, [[0, 0.5], [-0.5, 0]],
      atol=1e-9)  # fmt: skip
speeds = {"minimax": 0.5, "non_saturating": 0.5, "relativistic": 0.5, "wasserstein": 1, "hinge": 1}
for letter, (name, speed) in zip("abcde", speeds.items(), strict=True):
    check(f"12.5{letter}", f"{name}: λ = ±{speed}i", DiracGAN(loss=name).eigenvalues(),
          [speed * 1j, -speed * 1j], atol=1e-12, identity=41)  # fmt: skip

radius = dynamics.spectral_radius(
    dynamics.linear_map(dynamics.simultaneous, DiracGAN().jacobian(), step=0.4)
)
check("12.5f", "simultaneous steps: ρ = √(1 + h²/4)", radius, math.sqrt(1 + 0.04), atol=1e-12)

# %% [markdown]
# Least squares has $a(0)\,b(0) = c \cdot (-a)$, with $a$ the label of fakes and $c$ the one that $G$ wants:
#
# $$ \lambda = \pm\sqrt{a\,c} . \tag{12.6} $$
#
# For $(a, b, c) = (-1, 1, 1)$ this is $\pm i$. For the two choices of the paper, $(0, 1, 1)$ and $(-1, 1, 0)$, both
# eigenvalues are 0 though $J \ne 0$: $J^2 = 0$, the matrix is *nilpotent*, and the linear picture says nothing. So look
# at the full fields, $(0,1,1)$: $\dot\theta = (1 - s)\psi$, $\dot\psi = -s\theta = -\theta^2\psi$, and $(-1,1,0)$:
# $\dot\theta = -s\psi = -\psi^2\theta$, $\dot\psi = -(1 + s)\theta$:
#
# $$ v = 0 \text{ on the line } \psi = 0 \text{ for } (0,1,1), \qquad
# v = 0 \text{ on the line } \theta = 0 \text{ for } (-1,1,0) . \tag{12.7} $$
#
# Twins by eigenvalues, opposites by fate. In the first game $\psi$ dies out and $\theta$ stops *anywhere*. In the
# second $\theta$ dies out: it arrives. (The first is partly unfair to least squares: our $D$ has no bias, so with
# $\psi = 0$ it answers 0 to everything, which for label $a = 0$ is right on all fakes. With a bias it would answer
# $\frac12$.)

# %%
rotating = losses.least_squares(a=-1, b=1, c=1)
check("12.6", "LSGAN (−1, 1, 1): λ = ±i", DiracGAN(loss=rotating).eigenvalues(), [1j, -1j],
      atol=1e-12, identity=41)  # fmt: skip
shears = {(0, 1, 1): [[0, 1], [0, 0]], (-1, 1, 0): [[0, 0], [-1, 0]]}
for letters, (labels, shear) in zip(("ab", "cd"), shears.items(), strict=True):
    gan = DiracGAN(loss=losses.least_squares(a=labels[0], b=labels[1], c=labels[2]))
    jacobian = gan.jacobian()
    check(f"12.6{letters[0]}", f"LSGAN {labels} is nilpotent: J is a shear, J² = 0",
          [jacobian, jacobian @ jacobian], [shear, np.zeros((2, 2))], atol=0, identity=41)  # fmt: skip
    check(f"12.6{letters[1]}", "but J ≠ 0", jacobian, 0.0, atol=0.5, relation="!=")

# %%
first, second = DiracGAN(loss="least_squares"), DiracGAN(loss="least_squares_pearson")
t, p = np.concatenate([points, points * [1, 0]]).T  # the last half on the line psi = 0
check("12.7", "(0, 1, 1): v = ((1 − s)ψ, −θ²ψ), which is 0 at ψ = 0",
      [first.field(*at) for at in zip(t, p, strict=True)],
      np.stack([(1 - t * p) * p, -(t**2) * p], axis=1), atol=1e-14)  # fmt: skip
t, p = np.concatenate([points, points * [0, 1]]).T  # and here theta = 0
check("12.7a", "(−1, 1, 0): v = (−ψ²θ, −(1 + s)θ), which is 0 at θ = 0",
      [second.field(*at) for at in zip(t, p, strict=True)],
      np.stack([-(p**2) * t, -(1 + t * p) * t], axis=1), atol=1e-14)  # fmt: skip
ends = [
    gan.path(dynamics.runge_kutta, 1.0, 0.5, steps=120, step=0.5)[-1, 0] for gan in (first, second)
]
print("theta at the end, (0,1,1) and (-1,1,0):", np.round(ends, 4))
check("12.7b", "(0, 1, 1) stops off the data", ends[0], 0.5, atol=0, relation=">=")
check("12.7c", "(−1, 1, 0) arrives", ends[1], 0.0, atol=1e-3)

# %% [markdown]
# ## 3. Away from the solution: what is conserved
#
# Eigenvalues speak of the neighbourhood of 0. The squared distance speaks of the whole plane. From (12.3)
#
# $$ \frac{d}{dt}\,\frac{\theta^2 + \psi^2}{2} = \theta\,a\psi - \psi\,b\theta = s\,\left(a(s) - b(s)\right) . \tag{12.8} $$
#
# For every zero-sum loss $a = b$ (the minimax and Wasserstein rows), and the distance is **conserved**:
#
# $$ \frac{d}{dt}\,(\theta^2 + \psi^2) = 0 . \tag{12.9} $$
#
# Both players pull equally hard, for ever. For the non-saturating loss
# $a - b = \sigma(-s) - \sigma(s) = -\tanh(s/2)$, because
# $\sigma(s) - \sigma(-s) = \frac{1 - e^{-s}}{1 + e^{-s}}$:
#
# $$ \frac{d}{dt}\,\frac{\theta^2 + \psi^2}{2} = -s\,\tanh\frac s2 \le 0 . \tag{12.10} $$
#
# It shrinks: $s$ and $\tanh(s/2)$ have the same sign. This is a merit of the non-saturating loss that is rarely told.

# %%
energy = lambda t, p: (t * t + p * p) / 2
rate = lambda gan: np.array([dynamics.rate_of_change(energy, gan.losses, tuple(p)) for p in points])
for letter, (name, (a, b)) in zip("abcdefg", table.items(), strict=True):
    check(f"12.8{letter}", f"{name}: d/dt (θ²+ψ²)/2 = s (a − b)", rate(DiracGAN(loss=name)),
          s * (a - b), atol=1e-12)  # fmt: skip

# %%
check("12.9", "minimax conserves θ² + ψ²", rate(DiracGAN(loss="minimax")), 0.0, atol=1e-15,
      identity=45)  # fmt: skip
check(
    "12.9a", "so does Wasserstein", rate(DiracGAN(loss="wasserstein")), 0.0, atol=1e-15, identity=45
)
check("12.10", "non-saturating: −s tanh(s/2)", rate(DiracGAN()), -s * np.tanh(s / 2), atol=1e-12,
      identity=45)  # fmt: skip

# %% [markdown]
# But how fast? Near 0, $s \tanh(s/2) \approx s^2/2$, while the point goes round with angle $\varphi$ at distance $r$:
# $\theta = r\cos\varphi$, $\psi = r\sin\varphi$, $s = \frac12 r^2 \sin 2\varphi$. Over a turn $\sin^2 2\varphi$
# averages $\frac12$, so $s^2$ averages $r^4/8$, and (12.10) becomes
#
# $$ \frac{d}{dt} r^2 \approx -\frac{r^4}{8} \quad\Longrightarrow\quad
# r(t)^2 \approx \frac{r_0^2}{1 + r_0^2\,t/8} \approx \frac 8t . \tag{12.11} $$
#
# Not $e^{-ct}$ but $\sqrt{8/t}$: to come ten times nearer takes a hundred times as long. That is what eigenvalues with
# real part 0 mean.

# %%
count = sized(200, 100)
path = DiracGAN().path(dynamics.runge_kutta, 0.5, 0.0, steps=count, step=0.6)
time = 0.6 * count
print(
    f"r^2 after time {time:.0f}: {np.sum(path[-1] ** 2):.5f}; estimate {0.25 / (1 + 0.25 * time / 8):.5f}"
)
check("12.11", "r² ≈ r₀² / (1 + r₀² t/8)", np.sum(path[-1] ** 2), 0.25 / (1 + 0.25 * time / 8),
      atol=0, rtol=0.02)  # fmt: skip

# %% [markdown]
# Now take real steps, both players at once. A step along the tangent adds $h^2\lVert v\rVert^2 \approx h^2 r^2/4$ to
# $r^2$; the decay takes $h\,r^4/8$ away. Near 0 the first wins, far out the second. They balance where
#
# $$ \frac{h^2 r^2}{4} = \frac{h\,r^4}{8} \quad\Longrightarrow\quad r = \sqrt{2h} . \tag{12.12} $$
#
# So plain non-saturating GAN training neither converges nor explodes: it settles on an **orbit whose radius is set by
# the learning rate**. Losses that wobble for ever at a certain level, and samples that improve when the learning rate
# is lowered, look just like this.

# %%
for letter, h in zip("ab", (0.2, 0.1), strict=True):
    orbit = DiracGAN().path(dynamics.simultaneous, 0.55, 0.0, steps=round(150 / h), step=h)
    radii = np.linalg.norm(orbit[-round(40 / h) :], axis=1)
    print(
        f"h = {h}: radius between {radii.min():.3f} and {radii.max():.3f}; sqrt(2h) = {math.sqrt(2 * h):.3f}"
    )
    check(f"12.12{letter}", f"orbit of radius √(2h), h = {h}", radii.mean(), math.sqrt(2 * h),
          atol=0, rtol=0.02)  # fmt: skip

# %% [markdown]
# ## 4. More steps for the discriminator do not help
#
# The usual advice is to train $D$ more often. Let it move $k$ times, then $G$ once, with step $h$ each. Near the
# solution a move of $D$ is $\psi \leftarrow \psi - \frac h2\theta$, and $\theta$ rests meanwhile, so $k$ moves subtract
# $\frac{kh}2\theta$. As matrices on $(\theta, \psi)$:
#
# $$ \begin{pmatrix} 1 & h/2 \\ 0 & 1 \end{pmatrix} \begin{pmatrix} 1 & 0 \\ -kh/2 & 1 \end{pmatrix}, \qquad \det = 1, \quad
# \operatorname{tr} = 2 - \frac{kh^2}{4}, \qquad \rho = 1 \iff h \le \frac{4}{\sqrt k} . \tag{12.13} $$
#
# The determinant is 1 for every $k$: the product of the two eigenvalues cannot shrink. Larger $k$ only makes the limit
# for $h$ smaller.

# %%
jacobian = DiracGAN().jacobian()
for letters, k in zip(("abc", "def", "ghi"), (1, 2, 5), strict=True):
    moves = (1,) * k + (0,)
    step_map = lambda h, moves=moves: dynamics.linear_map(
        dynamics.alternating, jacobian, step=h, order=moves
    )
    found = [np.linalg.det(step_map(0.7)), np.trace(step_map(0.7))]
    check(f"12.13{letters[0]}", f"k = {k}: det 1, trace 2 − k h²/4", found, [1, 2 - k * 0.49 / 4],
          atol=1e-12)  # fmt: skip
    longest = 4 / math.sqrt(k)
    check(f"12.13{letters[1]}", "ρ = 1 below h = 4/√k",
          dynamics.spectral_radius(step_map(0.99 * longest)), 1, atol=1e-12)  # fmt: skip
    beyond = dynamics.spectral_radius(step_map(1.01 * longest))
    check(f"12.13{letters[2]}", "and above 1 beyond it", beyond, 1.01, atol=0, relation=">=")

# %% [markdown]
# ## 5. R1: the smallest cure
#
# What is missing is friction: a term that pulls $\psi$ to 0. **R1** penalises the squared gradient of $D$ in its input,
# averaged over the **data**:
#
# $$ R_1 = \frac\gamma2\,\mathbb{E}_{x\sim p_{\text{data}}} \lVert \nabla_x D(x) \rVert^2
# = \frac\gamma2\,\psi^2 \quad\text{here.} \tag{12.14} $$
#
# The reasoning behind it: when the fakes have become the data, $D$ should be flat *there*; anything else would push
# the generator off again. [`r1`](../minigan/penalties.py#r1) computes it for any network, and its gradient in the
# weights is a second derivative, which our engine takes exactly.

# %%
slopes = mg.tensor(np.array([[0.7]]), requires_grad=True)
value = penalties.r1(lambda x: x @ slopes, np.zeros((4, 1)), gamma=0.8)
check("12.14", "R1 of D(x) = ψx is γ/2 ψ²", value.item(), 0.8 / 2 * 0.7**2, atol=1e-15)
check("12.14a", "its gradient in ψ is γψ", mg.grad(value, slopes).data, 0.8 * 0.7, atol=1e-15)

# %% [markdown]
# Article S2, section 2.2.2, adds $\lambda \lVert\nabla_x D(x)\rVert_2^2$ to $L_D$, with no expectation, and does not
# say over which $x$, nor whether $D$ is a logit or a probability. All three matter. Take a curved critic,
# $D(x) = x^2/2$, with $\nabla D = x$. Its mean squared gradient is $\mathbb{E}x^2 = \mu^2 + 1$ for
# $x \sim N(\mu, 1)$:
#
# $$ \mathbb{E}_{N(0,1)}\lVert\nabla D\rVert^2 = 1 \ne 5 = \mathbb{E}_{N(2,1)}\lVert\nabla D\rVert^2 . \tag{12.15} $$
#
# Averaged over the fakes instead (R2) it is another number and another method. And if $D = \sigma(l)$ is a probability,
# the chain rule gives $\nabla\sigma(l) = D(1 - D)\nabla l$, so near $D = \frac12$ the penalty is 16 times weaker:
#
# $$ \lVert \nabla_x \sigma(l) \rVert^2 = \left(D(1 - D)\right)^2\,\lVert \nabla_x l \rVert^2
# = \tfrac1{16}\lVert \nabla_x l\rVert^2 \text{ at } D = \tfrac12 . \tag{12.16} $$

# %%
nodes, weights = np.polynomial.hermite_e.hermegauss(
    8
)  # quadrature for N(0, 1): the samples below stand for the law
mean_square = lambda mu: np.sum(
    weights
    / weights.sum()
    * penalties.input_gradient(lambda x: x * x / 2, (mu + nodes)[:, None]).data[:, 0] ** 2
)
check("12.15", "E‖∇D‖² = μ² + 1 for D = x²/2", [mean_square(0), mean_square(2)], [1, 5], atol=1e-12)
check("12.15a", "over data and over fakes it differs", mean_square(0), mean_square(2), atol=1,
      relation="!=", errata="S2.3")  # fmt: skip

# %%
x, weight = np.zeros((1, 3)), mg.tensor(np.array([[0.4], [-1.0], [0.3]]))
of_logit = penalties.r1(lambda x: x @ weight, x, gamma=1.0).item()
of_probability = penalties.r1(lambda x: mg.ops.sigmoid(x @ weight), x, gamma=1.0).item()
check("12.16", "on probabilities it is 1/16 at D = 1/2", of_probability, of_logit / 16, atol=1e-15,
      errata="S2.3")  # fmt: skip

# %% [markdown]
# R1 adds $-\gamma\psi$ to $\dot\psi$, so the lower right corner of $J$ becomes $-\gamma$. Then
# $\lambda^2 + \gamma\lambda + \frac14 = 0$:
#
# $$ J = \begin{pmatrix} 0 & \frac12 \\ -\frac12 & -\gamma \end{pmatrix}, \qquad
# \lambda = -\frac\gamma2 \pm \sqrt{\frac{\gamma^2}{4} - \frac14} . \tag{12.17} $$
#
# Only $D$ is damped, yet the real parts of *both* eigenvalues are negative: the rotation carries $\theta$'s error
# over to $\psi$, where it is rubbed away.

# %%
gammas = np.array([0.1, 0.5, 0.999, 1.5, 3.0])
found = [DiracGAN(regularizer="r1", gamma=g).eigenvalues() for g in gammas]
root = np.sqrt((gammas**2 / 4 - 0.25).astype(complex))
check("12.17", "R1: λ = −γ/2 ± √(γ²/4 − 1/4)", found,
      np.stack([-gammas / 2 + root, -gammas / 2 - root], axis=1), atol=1e-12, identity=42)  # fmt: skip

# %% [markdown]
# How fast? The slower of the two parts decides:
#
# $$ \max \operatorname{Re}\lambda = -\frac\gamma2 \;\;(\gamma \le 1), \qquad
# \max \operatorname{Re}\lambda = -\frac{\gamma - \sqrt{\gamma^2 - 1}}{2}
# \approx -\frac{1}{4\gamma} \;\;(\gamma > 1) . \tag{12.18} $$
#
# **The answer to the question.** Rates $0.05$, $0.5$ and $0.025$: the middle one is fastest, ten times faster than
# $\gamma = 0.1$ and twenty times faster than $\gamma = 10$. With too little friction the point rings; with too much,
# $D$ is held so flat that $G$ learns nothing from it. It is a door closer: $\gamma = 1$ is *critical damping*. More
# regularisation is not more stability.

# %%
slowest = lambda g: DiracGAN(regularizer="r1", gamma=g).eigenvalues().real.max()
rates = [slowest(g) for g in (0.1, 1.0, 10.0)]
print("slowest rate for gamma = 0.1, 1, 10:", np.round(rates, 4))
check("12.18", "max Re λ for γ = 0.1, 1, 10", rates, [-0.05, -0.5, -(10 - math.sqrt(99)) / 2],
      atol=1e-7)  # fmt: skip
scan = np.linspace(0.05, 4, 80)
check("12.18a", "γ = 1 is best", scan[np.argmin([slowest(g) for g in scan])], 1.0, atol=1e-12)

# %%
size = {
    g: np.linalg.norm(
        DiracGAN(regularizer="r1", gamma=g).path(
            dynamics.runge_kutta, 1.0, 0.0, steps=60, step=0.25
        )[-1]
    )
    for g in (0.1, 1.0, 10.0)
}
check("12.18b", "after time 15 the path with γ = 1 is nearest", size[1.0],
      0.05 * min(size[0.1], size[10.0]), atol=0, relation="<=")  # fmt: skip

# %% [markdown]
# ## 6. Steps with R1: at once and in turn
#
# Simultaneous steps, $\gamma < 1$: the eigenvalues are complex, with $|\lambda|^2 = \det J = \frac14$. By (11.15) the
# limit is $-2\operatorname{Re}\lambda/|\lambda|^2$; for $\gamma \ge 1$ they are real and the larger one decides:
#
# $$ h < 4\gamma \;\;(\gamma < 1), \qquad
# h < \frac{2}{|\lambda|_{\max}} = \frac{4}{\gamma + \sqrt{\gamma^2 - 1}} \;\;(\gamma \ge 1) . \tag{12.19} $$
#
# Alternating steps, $D$ first: $\psi' = (1 - h\gamma)\psi - \frac h2\theta$, then $\theta' = \theta + \frac h2\psi'$.
# The matrix has determinant $1 - h\gamma$ and trace $2 - h\gamma - h^2/4$. Both roots of
# $\mu^2 - \operatorname{tr}\mu + \det$ lie inside the unit circle if and only if $|\det| < 1$ and
# $|\operatorname{tr}| < 1 + \det$. The second condition reads $h^2 + 8\gamma h - 16 < 0$ and implies the first:
#
# $$ h < 4\,\left(\sqrt{\gamma^2 + 1} - \gamma\right) . \tag{12.20} $$
#
# Compare at $\gamma = 0.1$: simultaneous $h < 0.4$, alternating $h < 3.62$. Lesson 11 said that alternation stands on
# the edge, so that any friction tips it inwards; here is the proof in numbers. It is no law, though. Setting the two
# limits equal, $4\gamma = 4(\sqrt{\gamma^2 + 1} - \gamma)$, gives $3\gamma^2 = 1$: beyond
#
# $$ \gamma = \frac{1}{\sqrt3} = 0.577 \tag{12.21} $$
#
# moving at once allows the longer steps.


# %%
def limit(gamma, rule):
    """The step size at which the spectral radius reaches 1, by bisection."""
    jacobian, low, high = DiracGAN(regularizer="r1", gamma=gamma).jacobian(), 1e-3, 4.5
    options = {"order": (1, 0)} if rule is dynamics.alternating else {}
    for _ in range(50):
        middle = (low + high) / 2
        inside = (
            dynamics.spectral_radius(dynamics.linear_map(rule, jacobian, step=middle, **options))
            < 1
        )
        low, high = (middle, high) if inside else (low, middle)
    return low


strengths = np.array([0.05, 0.1, 0.3, 0.7, 1.2, 2.0])
at_once = np.where(
    strengths < 1, 4 * strengths, 4 / (strengths + np.sqrt(np.maximum(strengths**2 - 1, 0)))
)
check("12.19", "simultaneous: h < 4γ, or 4/(γ + √(γ²−1))",
      [limit(g, dynamics.simultaneous) for g in strengths], at_once, atol=1e-9, identity=42)  # fmt: skip

# %%
in_turn = 4 * (np.sqrt(strengths**2 + 1) - strengths)
check("12.20", "alternating: h < 4 (√(γ²+1) − γ)",
      [limit(g, dynamics.alternating) for g in strengths], in_turn, atol=1e-9)  # fmt: skip

check("12.21", "the limits meet at γ = 1/√3", limit(3**-0.5, dynamics.simultaneous),
      limit(3**-0.5, dynamics.alternating), atol=1e-9)  # fmt: skip

# %%
fig, ax = figure(width=6.4, height=3.4)
fine = np.linspace(0.0, 2.5, 400)
curve_once = np.where(
    fine < 1, 4 * fine, 4 / (np.maximum(fine, 1) + np.sqrt(np.maximum(fine**2 - 1, 0)))
)
ax.plot(fine, curve_once, label="simultaneous")
ax.plot(fine, 4 * (np.sqrt(fine**2 + 1) - fine), label="alternating")
ax.fill_between(fine, 0, curve_once, color=BLUE, alpha=0.10, linewidth=0)
ax.annotate("simultaneous (12.19)", (1.07, 3.0), color=BLUE)
ax.annotate("alternating (12.20)", (0.2, 3.55), color=ORANGE)
ax.annotate("converges", (1.0, 0.35), color=BLACK)
ax.set(
    xlabel="strength $\\gamma$ of R1",
    ylabel="largest stable step size $h$",
    xlim=(0, 2.5),
    ylim=(0, 4.2),
)
show(
    fig,
    "step-limits",
    alt="Largest stable step against gamma: at once it rises as 4 gamma up to 4 and falls; in turn it falls from 4.",
)

# %% [markdown]
# R1 settles more than the neighbourhood. Add $-\gamma\psi$ to (12.10):
#
# $$ \frac{d}{dt}\,\frac{\theta^2 + \psi^2}{2} = -s\,\tanh\frac s2 - \gamma\psi^2 \le 0
# \quad\text{on the whole plane,} \tag{12.22} $$
#
# and where $\psi = 0$ but $\theta \ne 0$ the rotation leaves that line at once. So the distance cannot
# settle anywhere but at 0 (LaSalle's principle), and from every start the motion arrives.

# %%
damped = DiracGAN(regularizer="r1", gamma=0.6)
check("12.22", "with R1: −s tanh(s/2) − γψ²", rate(damped), -s * np.tanh(s / 2) - 0.6 * psi**2,
      atol=1e-12)  # fmt: skip
ends = [
    np.linalg.norm(damped.path(dynamics.runge_kutta, *start, steps=60, step=0.6)[-1])
    for start in ((3.0, 0.0), (-2.0, 2.5), (0.1, -3.0))
]
check("12.22a", "from three far starts it arrives", ends, 0.01, atol=0, relation="<=")

# %% [markdown]
# ## 7. The other cures, and two that are none
#
# **Instance noise** (Sønderby et al. 2016) blurs both laws with noise of standard deviation $\tau$: data $N(0, \tau^2)$, fakes
# $N(\theta, \tau^2)$. With $z \sim N(0, 1)$, $D$ sees logits $\psi\tau z$ on reals and $\psi(\theta + \tau z)$ on
# fakes, and
#
# $$ \dot\psi = \mathbb{E}\left[\sigma(-\psi\tau z)\,\tau z\right]
# - \mathbb{E}\left[\sigma(\psi(\theta + \tau z))\,(\theta + \tau z)\right] . \tag{12.23} $$
#
# Differentiate in $\psi$ at 0. The logistic function has slope $\frac14$ there, so each expectation gives
# $-\frac14\tau^2\,\mathbb{E}z^2$, together $-\tau^2/2$. Compare with (12.17): instance noise acts as R1 of strength
# $\gamma = \tau^2/2$,
#
# $$ \lambda = -\frac{\tau^2}{4} \pm \sqrt{\frac{\tau^4}{16} - \frac14} . \tag{12.24} $$

# %%
noise, chance = np.polynomial.hermite_e.hermegauss(40)
chance = chance / chance.sum()
width, t, p = 0.8, 0.5, -0.7
pushed = chance @ (sigma(-p * width * noise) * width * noise) - chance @ (
    sigma(p * (t + width * noise)) * (t + width * noise)
)
noisy = DiracGAN(regularizer="instance_noise", sigma=width, nodes=24)
check("12.23", "the field of ψ under instance noise", noisy.field(t, p)[1], pushed, atol=1e-9)
for letter, width in zip("ab", (0.8, 1.7), strict=True):
    found = DiracGAN(regularizer="instance_noise", sigma=width).eigenvalues()
    root = np.sqrt(complex(width**4 / 16 - 0.25))
    check(f"12.24{letter}", "noise: −τ²/4 ± √(τ⁴/16 − 1/4)", found,
          [-(width**2) / 4 + root, -(width**2) / 4 - root], atol=1e-10, identity=43)  # fmt: skip
    check(f"12.24{'cd'[letter == 'b']}", "as R1 with γ = τ²/2", found,
          DiracGAN(regularizer="r1", gamma=width**2 / 2).eigenvalues(), atol=1e-10)  # fmt: skip

# %% [markdown]
# **Consensus** (lesson 11) adds $-\gamma J^Tv$ to the field. At the solution $J^TJ = \frac14 I$:
#
# $$ J - \gamma J^T J = \begin{pmatrix} -\gamma/4 & \frac12 \\ -\frac12 & -\gamma/4 \end{pmatrix}, \qquad
# \lambda = -\frac\gamma4 \pm \frac i2 . \tag{12.25} $$
#
# **R3GAN** (Huang et al. 2025) takes the relativistic loss with R1 *and* R2. The relativistic loss alone rotates, by
# (12.5). The two penalties are the same here, $D$ being linear, and add up to $\gamma\psi^2$:
#
# $$ \lambda = -\gamma \pm \sqrt{\gamma^2 - \tfrac14} . \tag{12.26} $$

# %%
check("12.25", "consensus: −γ/4 ± i/2", DiracGAN(regularizer="consensus", gamma=1.2).eigenvalues(),
      [-0.3 + 0.5j, -0.3 - 0.5j], atol=1e-12, identity=43)  # fmt: skip
found = [DiracGAN(loss="relativistic", regularizer="r1_r2", gamma=g).eigenvalues() for g in gammas]
root = np.sqrt((gammas**2 - 0.25).astype(complex))
check("12.26", "RpGAN + R1 + R2: −γ ± √(γ² − 1/4)", found,
      np.stack([-gammas + root, -gammas - root], axis=1), atol=1e-12, identity=44)  # fmt: skip
check("12.26a", "RpGAN without them: ±i/2, real part 0",
      DiracGAN(loss="relativistic").eigenvalues(), [0.5j, -0.5j], atol=1e-15)  # fmt: skip

# %%
fig, ax = figure(width=5.2, height=4.0)
disc = np.linspace(0, 2 * math.pi, 300)
ax.fill(-1 + np.cos(disc), np.sin(disc), color=GREY, alpha=0.15, linewidth=0)
ax.annotate("converges with\n$h = 1$, at once", (-1.62, -0.55), color="#606060")
strengths = np.concatenate([np.linspace(0, 2, sized(81, 41)), [0.999, 1.001, 0.499, 0.501]])
curves = {
    "R1, or noise with $\\tau^2 = 2\\gamma$": (
        BLUE,
        "o",
        lambda g: DiracGAN(regularizer="r1", gamma=g),
        (-0.53, 0.28),
    ),
    "consensus": (GREEN, "s", lambda g: DiracGAN(regularizer="consensus", gamma=g), (-0.48, 0.56)),
}
for name, (colour, marker, gan, place) in curves.items():
    ordered = np.sort(strengths)
    for branch in np.array([gan(g).eigenvalues() for g in ordered]).T:
        ax.plot(branch.real, branch.imag, color=colour, linestyle="-")
    ax.annotate(name, place, color=colour, ha="right")
    for g in (0.0, 0.5, 1.0, 2.0):
        for value in gan(g).eigenvalues():
            ax.plot(value.real, value.imag, marker, color=colour, markersize=5)
for g in (0.5, 1.0, 2.0):
    value = DiracGAN(regularizer="r1", gamma=g).eigenvalues()[1 if g == 2.0 else 0]
    place = (-0.26, 0.29) if g < 1 else (value.real + 0.04, 0.06)
    ax.annotate(f"$\\gamma$ = {g:g}", place, color=BLUE, fontsize=8.5)
ax.axvline(0, color=BLACK, linewidth=0.8)
ax.axhline(0, color=BLACK, linewidth=0.8, zorder=0.5)
ax.set(
    xlabel="real part of $\\lambda$: growth",
    ylabel="imaginary part: rotation",
    xlim=(-2.1, 0.25),
    ylim=(-1.05, 1.05),
    aspect="equal",
)
show(
    fig,
    "eigenvalues",
    alt="Eigenvalues in the complex plane: R1 leads them round a circle to -1/2, then apart; consensus straight to the left.",
)

# %% [markdown]
# The figure shows $\gamma$ from 0 to 2. R1 moves the pair along the circle $|\lambda| = \frac12$ (its product is always
# $\det J = \frac14$) until both meet at $-\frac12$; then one of them turns back. Consensus moves it straight to the
# left.
#
# **WGAN-GP** asks for slope 1, $\gamma(|\psi| - 1)^2$, but at the solution the critic is flat. For $\psi > 0$ the field is
# $\dot\theta = \psi$, $\dot\psi = -\theta - 2\gamma(\psi - 1)$: a damped rotation about
#
# $$ (\theta, \psi) = (2\gamma,\, 0), \qquad\text{and for } \psi < 0 \text{ about } (-2\gamma,\, 0) . \tag{12.27} $$
#
# Not about 0. With $\gamma = 0.3$ the point circles between the two for ever; with $\gamma = 1$ it stops at
# $|\theta| = 2$, off the data by exactly $2\gamma$. (On data with width, where the best critic *has* slope 1 between
# data and fakes, the penalty does better; its kink at the end remains.)

# %%
for letter, g in zip("ab", (0.3, 1.0), strict=True):
    gan = DiracGAN(loss="wasserstein", regularizer="gradient_penalty", gamma=g)
    side = np.array([[t, abs(p)] for t, p in points])
    by_hand = np.stack([side[:, 1], -side[:, 0] - 2 * g * (side[:, 1] - 1)], axis=1)
    check(f"12.27{letter}", "field of WGAN-GP for ψ > 0", [gan.field(*row) for row in side],
          by_hand, atol=1e-12)  # fmt: skip
cycling = DiracGAN(loss="wasserstein", regularizer="gradient_penalty", gamma=0.3).path(
    dynamics.runge_kutta, 1.0, 0.0, steps=160, step=0.25
)
check("12.27c", "γ = 0.3: θ swings on", np.ptp(cycling[-60:, 0]), 0.5, atol=0, relation=">=")
stuck = DiracGAN(loss="wasserstein", regularizer="gradient_penalty", gamma=1.0).path(
    dynamics.runge_kutta, 1.0, 0.0, steps=100, step=0.25
)
check("12.27d", "γ = 1: θ ends at distance 2γ from the data", abs(stuck[-1, 0]), 2.0, atol=1e-4)

# %% [markdown]
# **Weight clipping**, the first WGAN's way to keep the critic Lipschitz, cuts $\psi$ to $[-c, c]$ after each step. Inside
# the interval nothing is damped. From $(1, 0)$ the slope falls to $-c$ and stays there; $\theta$ slides to the data at
# constant speed $c$ and *passes* it with $\psi = -c$; from there on the free rotation has radius
#
# $$ r = c . \tag{12.28} $$
#
# It never converges, but the orbit is as small as one likes, at the price of the speed $c$. With steps at once the
# orbit would grow by (11.13); clipping holds it.

# %%
clipped = DiracGAN(loss="wasserstein", clip=0.3).path(
    dynamics.runge_kutta, 1.0, 0.0, steps=sized(300, 200), step=0.1
)
check("12.28", "WGAN with clipping ends on a circle of radius c",
      np.linalg.norm(clipped[-66:], axis=1), 0.3, atol=1e-3)  # fmt: skip
check("12.28a", "it cycles: θ reaches ±c again and again",
      [clipped[-66:, 0].min(), clipped[-66:, 0].max()], [-0.3, 0.3], atol=2e-3)  # fmt: skip

# %% [markdown]
# **Gradient clipping** is another thing: it shortens a gradient that is longer than a limit $m$,
# $g \leftarrow g \min(1, m/\lVert g\rVert)$. Article S0 recommends it against gradients that are too large (section
# 2.3.1), which it does cure, but also against vanishing ones (section 5.1). Now a vanishing gradient is short:
#
# $$ \lVert g \rVert \le m \quad\Longrightarrow\quad g \min(1, m/\lVert g \rVert) = g . \tag{12.29} $$
#
# It comes out as it went in. Nor does clipping stop the rotation: near the solution every gradient is short, so the
# map near it, and its spectral radius above 1, are those without clipping.

# %%
logit = mg.tensor(np.array([[-10.0]]), requires_grad=True)
vanishing = mg.grad(losses.minimax.generator(logit), logit)
check("12.29", "clipping returns a vanishing gradient unchanged",
      optim.clip_by_norm([vanishing], 1.0)[0].data, vanishing.data, atol=0, errata="S0.11")  # fmt: skip
print("gradient of the minimax loss at logit -10:", vanishing.item())


# %% [markdown]
# ## 8. The same game in the engine
#
# Everything so far was theory's own iteration. Now [`Game`](../minigan/game.py#Game), two
# [`Player`](../minigan/player.py#Player)s and plain [`SGD`](../minigan/optim.py#SGD) play it, with the code one would
# write for networks. The engine freezes the other player, takes R1's second derivatives through the graph and replays
# recorded steps. The claim: number by number the same path,
#
# $$ (\theta_t, \psi_t)^{\text{engine}} = (\theta_t, \psi_t)^{\text{theory}} . \tag{12.30} $$


# %%
def play(pair, rule, steps, h, gamma_data=0.0, gamma_fakes=0.0, clip_norm=None):
    """The Dirac-GAN under minigan's engine, from (1, 0.5)."""
    theta, psi = (mg.tensor(np.array([[v]]), requires_grad=True) for v in (1.0, 0.5))
    critic = lambda x: x @ psi

    def loss_d(x):
        value = pair.discriminator(critic(x), critic(theta))
        value = value + penalties.r1(critic, x, gamma=gamma_data) if gamma_data else value
        return value + penalties.r2(critic, theta, gamma=gamma_fakes) if gamma_fakes else value

    players = [
        mg.Player("D", loss_d, optim.SGD([psi], lr=h, clip_norm=clip_norm)),
        mg.Player(
            "G",
            lambda x: pair.generator(critic(theta), critic(x)),
            optim.SGD([theta], lr=h, clip_norm=clip_norm),
        ),
    ]
    game, path = mg.Game(players, rule=rule, replay=True), [(1.0, 0.5)]
    for _ in range(steps):
        game.step(np.zeros((1, 1)))
        path.append((theta.item(), psi.item()))
    return np.array(path)


# %%
plain = DiracGAN().path(dynamics.simultaneous, 1.0, 0.5, steps=60, step=0.2)
check("12.30a", "non-saturating, at once", play(losses.non_saturating, "simultaneous", 60, 0.2),
      plain, atol=1e-12)  # fmt: skip
with_r1 = DiracGAN(regularizer="r1", gamma=0.5).path(
    dynamics.alternating, 1.0, 0.5, steps=60, step=0.2, order=(1, 0)
)
check("12.30b", "with R1, D first",
      play(losses.non_saturating, "alternating", 60, 0.2, gamma_data=0.5), with_r1, atol=1e-12)  # fmt: skip

# %%
r3gan = DiracGAN(loss="relativistic", regularizer="r1_r2", gamma=0.25).path(
    dynamics.alternating, 1.0, 0.5, steps=60, step=0.2, order=(1, 0)
)
check("12.30c", "RpGAN + R1 + R2, D first",
      play(losses.relativistic, "alternating", 60, 0.2, 0.25, 0.25), r3gan, atol=1e-12)  # fmt: skip
print(
    "distance from the solution after 60 steps:",
    [f"{np.linalg.norm(p[-1]):.3f}" for p in (plain, with_r1, r3gan)],
)

# %% [markdown]
# And clipping by norm in the engine: from (1, 0.5), where $D$'s gradient is longer than the limit, it ends on the orbit
# of (12.12) all the same.
#
# $$ r_{\text{clipped}} \approx \sqrt{2h} . \tag{12.31} $$

# %%
clipped_engine = play(losses.non_saturating, "simultaneous", sized(1500, 800), 0.2, clip_norm=0.5)
radii = np.linalg.norm(clipped_engine[-300:], axis=1)
check("12.31", "with gradient clipping, the same orbit: r ≈ √(2h)", radii.mean(), math.sqrt(0.4),
      atol=0, rtol=0.02, errata="S0.11")  # fmt: skip

# %%
fig, axes = figure(2, 3, width=7.6, height=5.3, sharex=True, sharey=True)
count = sized(120, 60)
panels = {  # the game, how long it runs, the colour
    "minimax": (DiracGAN(loss="minimax"), 13, BLACK),
    "non-saturating": (DiracGAN(), 30, ORANGE),
    "WGAN, clipped at 0.3": (DiracGAN(loss="wasserstein", clip=0.3), 10, ORANGE),
    "WGAN-GP, $\\gamma$ = 0.3": (
        DiracGAN(loss="wasserstein", regularizer="gradient_penalty", gamma=0.3),
        15,
        ORANGE,
    ),
    "non-saturating + R1, $\\gamma$ = 0.2": (DiracGAN(regularizer="r1", gamma=0.2), 30, BLUE),
    "non-saturating + R1, $\\gamma$ = 4": (DiracGAN(regularizer="r1", gamma=4.0), 30, BLUE),
}
ticks = np.linspace(-1.25, 1.25, 8)
for ax, (title, (gan, duration, colour)) in zip(axes.flat, panels.items(), strict=True):
    arrows = np.array([[gan.field(t, p) for t in ticks] for p in ticks])
    arrows /= np.linalg.norm(arrows, axis=-1, keepdims=True)
    ax.quiver(
        ticks,
        ticks,
        arrows[..., 0],
        arrows[..., 1],
        color="#BBBBBB",
        angles="xy",
        scale=22,
        width=0.006,
    )
    path = gan.path(dynamics.runge_kutta, 1.0, 0.0, steps=count, step=duration / count)
    ax.plot(*path.T, color=colour, linestyle="-", linewidth=1.2)
    ax.plot(1, 0, "o", color=BLACK, markersize=5)
    ax.plot(0, 0, "+", color=BLACK, markersize=9)
    ax.set_title(title, fontsize=9.5)
    ax.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal")
for ax in axes[1]:
    ax.set_xlabel("$\\theta$ (generator)")
for ax in axes[:, 0]:
    ax.set_ylabel("$\\psi$ (discriminator)")
show(
    fig,
    "portraits",
    alt="Six phase portraits: a circle for minimax, a slow spiral, two cycles for WGAN, and R1 arriving, ringing or creeping.",
)

# %% [markdown]
# ## 9. Collapse is not a weak discriminator
#
# Article S0, section 5.1, explains mode collapse so: when the generator gets good, $D$ loses its ability to tell, and
# $G$ falls back on a single mode. Count instead. Let the data be uniform on $m$ modes and all fakes lie on one of them.
# The best $D$ faces laws with total variation $1 - \frac1m$, so its best accuracy is, for $m \ge 2$,
#
# $$ \frac{1 + \mathrm{TV}(p, q)}{2} = 1 - \frac{1}{2m} \ge \frac34 , \tag{12.32} $$
#
# nearly 1 for many modes, against $\frac12$ when $q = p$. $D$ is *strongest* against a collapsed generator. Collapse is
# about the order of moves. (In this section $D$ is a probability.) Freeze $D$ at its equilibrium $\frac12$, and every
# law of fakes is an equally good reply, the collapsed one included; but let $D$ answer, and the collapsed law pays
# $2\,\mathrm{JSD}(p, q)$ more:
#
# $$ V\left(\tfrac12, q\right) = -\log 4 \;\text{ for all } q, \qquad
# \max_D V(D, q) = 2\,\mathrm{JSD}(p, q) - \log 4 . \tag{12.33} $$
#
# $\max_D\min_G$ lets $G$ collapse, $\min_G\max_D$ does not. Training by turns is neither, but a $G$ that moves much
# against a $D$ that hardly moves is nearer to the first. In our game: with $\psi$ frozen at any value but 0, the
# generator runs off to infinity, on the side that $D$ likes.

# %%
modes = 8
real, collapsed = np.full(modes, 1 / modes), np.eye(modes)[3]
verdicts = (
    np.arange(2**modes)[:, None] >> np.arange(modes)
) & 1  # every D that answers yes or no on each mode
accuracy = (verdicts @ real + (1 - verdicts) @ collapsed) / 2
check("12.32", "best accuracy against one of 8 modes: 15/16", accuracy.max(), 1 - 1 / (2 * modes),
      atol=1e-12, errata="S0.18")  # fmt: skip
fair = (verdicts @ real + (1 - verdicts) @ real) / 2
check("12.32a", "against p_g = p_data: 1/2", fair.max(), 0.5, atol=1e-12, errata="S0.18")

# %%
half = mg.tensor(np.zeros((modes, 1)))
value_at_half = [
    real @ np.log(np.full(modes, 0.5)) + q @ np.log(np.full(modes, 0.5)) for q in (real, collapsed)
]
check("12.33", "V(1/2, q) = −log 4 for the matched and the collapsed law", value_at_half,
      -losses.logistic(half, half).item(), atol=1e-12, errata="S0.18")  # fmt: skip

# %%
m = (real + collapsed) / 2
with np.errstate(divide="ignore", invalid="ignore"):
    jsd = sum(
        0.5 * np.nansum(np.where(law > 0, law * np.log(law / m), 0)) for law in (real, collapsed)
    )
best_d = np.clip(real / (real + collapsed), 1e-300, 1 - 1e-16)
reply = real @ np.log(best_d) + collapsed @ np.where(collapsed > 0, np.log1p(-best_d), 0)
check("12.33a", "max_D V = 2 JSD − log 4 for the collapsed law", reply, 2 * jsd - math.log(4),
      atol=1e-12)  # fmt: skip
check("12.33b", "once D answers, collapse costs", reply, -math.log(4) + 0.5, atol=0, relation=">=",
      errata="S0.18")  # fmt: skip

# %% [markdown]
# | loss | regulariser | $\lambda$ | small steps | steps at once |
# |---|---|---|---|---|
# | minimax | | $\pm\frac i2$ | circle | leaves |
# | non-saturating | | $\pm\frac i2$ | $\sqrt{8/t}$ | orbit $\sqrt{2h}$ |
# | Wasserstein, hinge | | $\pm i$ | circle (hinge: for $s > -1$) | leaves |
# | Wasserstein | clipping at $c$ | $\pm i$ | circle of radius $c$ | cycle |
# | Wasserstein | gradient penalty | none: a kink | cycle, or $\pm2\gamma$ | cycle |
# | logistic | R1 or R2 | $-\frac\gamma2 \pm \sqrt{\frac{\gamma^2}4 - \frac14}$ | arrives | $h < 4\gamma$ for $\gamma < 1$ |
# | logistic | instance noise | the same, $\gamma = \tau^2/2$ | arrives | $h < 2\tau^2$ for $\tau^2 < 2$ |
# | logistic | consensus | $-\frac\gamma4 \pm \frac i2$ | arrives | $h < \frac{8\gamma}{4 + \gamma^2}$ |
# | relativistic | R1 + R2 | $-\gamma \pm \sqrt{\gamma^2 - \frac14}$ | arrives | $h < 8\gamma$ for $\gamma < \frac12$ |
#
# The last column follows from (11.15). A check of the three that were not derived above:
#
# $$ h_{\max} = \frac{-2\operatorname{Re}\lambda}{|\lambda|^2} . \tag{12.34} $$

# %%
rows = {
    "instance noise": (DiracGAN(regularizer="instance_noise", sigma=0.9), 2 * 0.81),
    "consensus": (DiracGAN(regularizer="consensus", gamma=0.9), 8 * 0.9 / (4 + 0.81)),
    "RpGAN + R1 + R2": (DiracGAN(loss="relativistic", regularizer="r1_r2", gamma=0.3), 8 * 0.3),
}
for letter, (name, (gan, longest)) in zip("abc", rows.items(), strict=True):
    radius = dynamics.spectral_radius(
        dynamics.linear_map(dynamics.simultaneous, gan.jacobian(), step=longest)
    )
    check(f"12.34{letter}", f"{name}: ρ = 1 at the limit of the table", radius, 1.0, atol=1e-9)

# %% [markdown]
# ## 10. Players that see each other late
#
# Ranks that do not wait for each other see parameters that are old. Let both players move at once, each at its own newest
# parameter, but against the other's of $\tau$ steps ago. Near the solution of the non-saturating game with R1,
#
# $$ \theta_{t+1} = \theta_t + \tfrac h2 \psi_{t-\tau}, \qquad
#    \psi_{t+1} = (1 - h\gamma)\, \psi_t - \tfrac h2 \theta_{t-\tau} . $$
#
# Put $\mu^t$ times a fixed vector for both. The first equation says $(\mu - 1)\, \theta = \frac h2 \mu^{-\tau} \psi$, the second
# $(\mu - 1 + h\gamma)\, \psi = -\frac h2 \mu^{-\tau} \theta$. Their product, cleared of $\theta\psi$ and $\mu^{-2\tau}$, is
#
# $$ (\mu - 1)(\mu - 1 + h\gamma)\, \mu^{2\tau} + \tfrac{h^2}4 = 0 . \tag{12.35} $$
#
# Its roots are the eigenvalues of the map of $(x_t, \dots, x_{t-\tau})$, which
# [`stale_map`](../minigan/theory/dynamics.py#stale_map) builds.

# %%
late_gamma, late_step, delay = 0.3, 0.2, 3
late_map = dynamics.stale_map(
    DiracGAN(regularizer="r1", gamma=late_gamma).jacobian(), step=late_step, delay=delay
)
mu = dynamics.eigenvalues(late_map)
left = (mu - 1) * (mu - 1 + late_step * late_gamma) * mu ** (2 * delay) + late_step**2 / 4
check("12.35", "(μ − 1)(μ − 1 + hγ) μ^2τ + h²/4 = 0", left, 0.0, atol=1e-12)

# %% [markdown]
# What does the delay cost? Without R1 a root is taken of both sides, $(\mu - 1)\, \mu^\tau = \pm\frac{ih}2$. Put
# $\mu = e^{hs}$, so that $s$ is the eigenvalue of the flow that the steps follow, and keep what is of order $h^2$:
# $hs + h^2 s^2 (\frac12 + \tau) = \pm\frac{ih}2$. To lowest order $s = \pm\frac i2$, hence $s^2 = -\frac14$, and
#
# $$ s = \pm\frac i2 + \frac h4 \left(\tau + \frac12\right) + O(h^2) . \tag{12.36} $$
#
# The half is what steps at once do anyway, (12.5). A delay of $\tau$ adds $2\tau$ times as much again: *to look $\tau$ steps back
# is to rotate $2\tau + 1$ times as badly*. R1 pulls by $\frac\gamma2$, (12.17), and wins while
# $\frac\gamma2 > \frac h4 (\tau + \frac12)$. The longest step is, for small $\gamma$,
#
# $$ h_{\max} = \frac{4\gamma}{2\tau + 1} , \tag{12.37} $$
#
# which for $\tau = 0$ is (12.19). So an asynchronous GAN needs smaller steps or a stronger penalty, in proportion to its
# delay: what it saves in waiting it may pay in steps.


# %%
def late_radius(h, gamma, delay):
    """The factor a step, with R1 and a delay."""
    jacobian = DiracGAN(regularizer="r1", gamma=gamma).jacobian()
    return dynamics.spectral_radius(dynamics.stale_map(jacobian, step=h, delay=delay))


def late_limit(gamma, delay):
    """The longest step, by halving."""
    low, high = 0.0, 4.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if late_radius(middle, gamma, delay) < 1 else (low, middle)
    return low


delays = np.arange(6)
growth = [math.log(late_radius(0.001, 0.0, d)) / 0.001 for d in delays]
check(
    "12.36",
    "Re s = (h/4)(τ + 1/2) for τ = 0 to 5",
    growth,
    0.001 / 4 * (delays + 0.5),
    atol=0,
    rtol=1e-3,
)
limits = [late_limit(0.01, d) for d in delays]
check("12.37", "R1: h < 4γ / (2τ + 1)", limits, 4 * 0.01 / (2 * delays + 1), atol=0, rtol=0.01)

# %% [markdown]
# And in the engine, where the rule [`Stale`](../minigan/asynchrony.py#Stale) plays it with any networks: the first
# steps are the recurrence with the game's own field, to the last digit; and near the solution the distance grows by the
# spectral radius $\rho$ a step.
#
# $$ (\theta_t, \psi_t)^{\text{engine}} = (\theta_t, \psi_t)^{\text{recurrence}} , \qquad
#    |x_{t+1}| \approx \rho\, |x_t| . \tag{12.38} $$


# %%
def play_late(delay, steps, h, start):
    """The non-saturating game under the engine, each player late for the other."""
    t, p = (mg.tensor(np.array([[v]]), requires_grad=True) for v in start)
    pair = losses.non_saturating
    players = [
        mg.Player("D", lambda x: pair.discriminator(x @ p, t @ p), optim.SGD([p], lr=h)),
        mg.Player("G", lambda x: pair.generator(t @ p, x @ p), optim.SGD([t], lr=h)),
    ]
    game, path = mg.Game(players, rule=Stale(players, delay=delay), replay=True), [start]
    for _ in range(steps):
        game.step(np.zeros((1, 1)))
        path.append((t.item(), p.item()))
    return np.array(path)


recurrence, gan = [(1.0, 0.5)], DiracGAN()
for step in range(40):
    (t, p), (late_t, late_p) = recurrence[-1], recurrence[max(0, step - 3)]
    recurrence.append((t + 0.2 * gan.field(t, late_p)[0], p + 0.2 * gan.field(late_t, p)[1]))
check("12.38", "three steps late, the same path", play_late(3, 40, 0.2, (1.0, 0.5)), recurrence,
      atol=1e-12)  # fmt: skip

paths = {d: play_late(d, sized(400, 260), 0.2, (1e-4, 0.0)) for d in (0, 2, 5)}
turn = round(2 * math.pi / 0.1)  # steps of one turn, over which the distance is averaged
measured = []
for path in paths.values():
    size = np.convolve(np.linalg.norm(path, axis=1), np.ones(turn) / turn, mode="valid")
    measured.append((size[-1] / size[turn]) ** (1 / (len(size) - 1 - turn)))
check("12.38a", "0, 2 and 5 steps late: the growth a step is ρ", measured,
      [late_radius(0.2, 0.0, d) for d in paths], atol=1e-3)  # fmt: skip
print("growth a step:", {d: f"{m:.4f}" for d, m in zip(paths, measured, strict=True)})

# %% [markdown]
# ## Exercises


# %%
def regularised_field(theta, psi, gamma):
    """(d theta/dt, d psi/dt) of the non-saturating Dirac-GAN with R1, by hand, in NumPy."""
    # Hint: D(x) = psi x and the data are at 0, so R1 is gamma/2 psi². Each player goes down its
    # own loss.
    raise NotImplementedError


def field_property(answer, theta, psi, gamma):
    want = DiracGAN(regularizer="r1", gamma=gamma).field(theta, psi)
    assert np.allclose(answer(theta, psi, gamma), want, rtol=0, atol=1e-9), f"expected {want}"


grade("12.E1", regularised_field, field_property, theta=floats(0.2, 2), psi=floats(0.2, 2),
      gamma=floats(0.1, 2))  # fmt: skip


# %%
def best_gamma(slope):
    """The R1 strength of the fastest continuous convergence for a loss with a(0) = b(0) = slope (logistic: 1/2)."""
    # Hint: the eigenvalues of the linearised field solve a quadratic equation. Convergence is
    # fastest where they meet.
    raise NotImplementedError


def gamma_property(answer, slope):
    rate = lambda g: np.linalg.eigvals(np.array([[0, slope], [-slope, -g]])).real.max()
    g = answer(slope)
    assert g > 0, "a strength is positive"
    others = [rate(g * factor) for factor in (0.5, 0.999, 1.001, 2.0)]
    assert rate(g) < min(others), f"rate {rate(g)}, but nearby strengths reach {min(others)}"


grade("12.E2", best_gamma, gamma_property, slope=floats(0.1, 2))


# %%
def r1_by_hand(weight, slope, x, gamma):
    """R1 of the critic D(x) = weight tanh(slope x) on data x of shape (N,), a number."""
    # Hint: half of gamma times the mean of the squared slope; the slope of tanh is 1 - tanh².
    raise NotImplementedError


def r1_property(answer, weight, slope, x, gamma):
    critic = lambda t: weight * mg.ops.tanh(slope * t)
    want = penalties.r1(critic, x[:, None], gamma=gamma).item()
    assert abs(answer(weight, slope, x, gamma) - want) < 1e-9, f"expected {want}"


grade("12.E3", r1_by_hand, r1_property, weight=floats(0.5, 2), slope=floats(0.5, 2),
      x=arrays(5, -2, 2), gamma=floats(0.5, 2))  # fmt: skip


# %%
def alternating_limit(slope, gamma):
    """The largest stable step of alternating descent, D first, with R1, for a loss with a(0) = b(0) = slope."""
    # Hint: write the matrix of one step with the new psi; both eigenvalues are inside the circle
    # while |trace| < 1 + det < 2.
    raise NotImplementedError


def limit_property(answer, slope, gamma):
    jacobian = np.array([[0, slope], [-slope, -gamma]])
    radius = lambda h: dynamics.spectral_radius(
        dynamics.linear_map(dynamics.alternating, jacobian, step=h, order=(1, 0))
    )
    h = answer(slope, gamma)
    assert radius(0.999 * h) < 1 < radius(1.001 * h), (
        f"rho around h = {h}: {radius(0.999 * h)}, {radius(1.001 * h)}"
    )


grade("12.E4", alternating_limit, limit_property, slope=floats(0.2, 2), gamma=floats(0.05, 2))

# %% [markdown]
# ## What to read next
#
# - L. Mescheder, A. Geiger, S. Nowozin, *Which Training Methods for GANs do actually Converge?* (2018, arXiv
#   1801.04406): sections 2 and 3 are this lesson, section 4 the general proof for R1 and R2.
# - L. Mescheder, S. Nowozin, A. Geiger, *The Numerics of GANs* (2017, arXiv 1705.10461).
# - K. Roth, A. Lucchi, S. Nowozin, T. Hofmann, *Stabilizing Training of GANs through Regularization* (2017, arXiv
#   1705.09367): noise as a gradient penalty, formula (12.24) in general.
# - N. Huang, A. Gokaslan, V. Kuleshov, J. Tompkin, *The GAN is dead; long live the GAN!* (2025, arXiv 2501.05441):
#   R3GAN, and the theory of (12.26).
# - A. Jolicoeur-Martineau, *The relativistic discriminator* (2018, arXiv 1807.00734).
# - M. Arjovsky, S. Chintala, L. Bottou, *Wasserstein GAN* (2017, arXiv 1701.07875); I. Gulrajani et al., *Improved Training
#   of Wasserstein GANs* (2017, arXiv 1704.00028).
# - To see it at work: `minigan train toy --set ema=0` draws samples from the last weights instead of their average. Run it
#   with two learning rates (`--set lr=...`) and compare how far the samples wander from picture to picture.
