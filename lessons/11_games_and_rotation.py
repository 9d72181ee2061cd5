# %% [markdown]
# # 11. Games and rotation
#
# Minimising one function is a walk downhill: every step gains, and where nothing can be gained one has arrived. A GAN
# minimises two functions at once, and each player moves the ground under the other. What happens then is not "downhill
# with bad luck". It is another kind of motion: **rotation**. This lesson takes it apart on the smallest game there is,
# $\min_x \max_y\, xy$, and shows what each way of stepping (at once, in turn, with a look ahead, ...) does to it.
#
# You need: partial derivatives, $2 \times 2$ matrices and complex numbers. Eigenvalues are worked out where they are
# used.
#
# **Predict first.** Player one chooses $x$ and wants $xy$ small. Player two chooses $y$ and wants $xy$ large. The only
# point where neither wants to move is $(0, 0)$. They start at $(1, 0)$, and both take gradient steps of size $0.1$ at
# the same time, 100 times. How far from $(0, 0)$ are they then: nearer than 1, still at 1, or farther? Write down a
# number. Section 4 answers.

# %%
import math

import numpy as np
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp
from scipy.linalg import expm
from scipy.optimize import linprog, minimize_scalar

import minigan as mg
from minigan import ops, optim
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLACK, BLUE, GREY, ORANGE
from minigan.lessons.strategies import arrays, floats
from minigan.theory import dynamics


def differences(function, point, h=1e-5):
    """The Jacobian of a function R^n -> R^m by central differences; column j is for coordinate j."""
    point = np.asarray(point, dtype=float)
    columns = [
        (np.asarray(function(point + h * e)) - np.asarray(function(point - h * e))) / (2 * h)
        for e in np.eye(len(point))
    ]
    return np.stack(columns, axis=-1)


# %% [markdown]
# ## 1. One player: downhill, and nothing else
#
# Let $L(x)$ be a loss of several coordinates. Gradient descent with very small steps is the motion
# $\dot x = -\nabla L(x)$, where the dot is the derivative in time. We call the right-hand side the **field**,
# $v(x) = -\nabla L(x)$: an arrow at each point, saying where to go. By the chain rule the loss changes along the
# motion at the rate
#
# $$ \frac{d}{dt} L(x(t)) = \langle \nabla L, \dot x\rangle = -\lVert \nabla L(x) \rVert^2 \le 0 . \tag{11.1} $$
#
# So the loss falls until the gradient is zero. A motion that falls cannot come back to where it was: **one player never
# goes round in circles.** [`rate_of_change`](../minigan/theory/dynamics.py#rate_of_change) computes the left side with
# the engine's derivatives; the right side we take by finite differences.


# %%
def bowl(x):
    """A curved valley: x0^2 + x0 x1 + x1^2 + sin(x0)."""
    return (
        x[0] ** 2
        + x[0] * x[1]
        + x[1] ** 2
        + (ops.sin(x[0]) if isinstance(x, mg.Tensor) else np.sin(x[0]))
    )


point = np.array([0.8, -1.3])
slope = differences(bowl, point)
rate = dynamics.rate_of_change(bowl, [bowl], (point,))
check("11.1", "d/dt L = −‖∇L‖² along x' = −∇L", rate, -np.sum(slope**2), atol=1e-8)

# %% [markdown]
# Near a rest point $x^*$, where $v(x^*) = 0$, the field is to first order linear, $v(x) \approx J\,(x - x^*)$, with the
# **Jacobian** $J_{ij} = \partial v_i / \partial x_j$. For one player $v_i = -\partial L/\partial x_i$, hence
#
# $$ J_{ij} = -\frac{\partial^2 L}{\partial x_i\,\partial x_j} = J_{ji} . \tag{11.2} $$
#
# It is minus the Hessian, and symmetric, because second derivatives may be taken in either order. The engine writes $J$
# down by differentiating its own gradient ([`game_jacobian`](../minigan/theory/dynamics.py#game_jacobian)).

# %%
jacobian = dynamics.game_jacobian([bowl], (point,))
hessian = differences(lambda x: differences(bowl, x), point)
check("11.2", "J = −Hessian of L", jacobian, -hessian, atol=2e-5)
check("11.2a", "J is symmetric", jacobian, jacobian.T, atol=1e-15)

# %% [markdown]
# What does symmetry buy? The eigenvalues $\lambda$ of a $2 \times 2$ matrix with rows $(a, b)$ and $(c, d)$ solve
# $\lambda^2 - (a + d)\lambda + (ad - bc) = 0$, so
#
# $$ \lambda_\pm = \frac{a + d}{2} \pm \sqrt{\left(\frac{a - d}{2}\right)^2 + bc} . \tag{11.3} $$
#
# If $b = c$ nothing under the root is negative, and both are real: along two fixed directions the motion is a pure
# $e^{\lambda t}$, in or out. If $bc$ is negative enough, the root is imaginary, and imaginary exponents turn. Symmetric
# matrices cannot turn.


# %%
def two_eigenvalues(m):
    """Formula (11.3)."""
    (a, b), (c, d) = m
    root = np.sqrt(complex(((a - d) / 2) ** 2 + b * c))
    return np.array([(a + d) / 2 + root, (a + d) / 2 - root])


matrices = np.random.default_rng(6).standard_normal((20, 2, 2))
by_formula = np.array([np.sort_complex(two_eigenvalues(m)) for m in matrices])
by_numpy = np.array([np.sort_complex(np.linalg.eigvals(m)) for m in matrices])
print(f"{np.sum(by_numpy[:, 0].imag != 0)} of 20 random matrices have complex eigenvalues")
check("11.3", "λ = (a+d)/2 ± √(((a−d)/2)² + bc)", by_formula, by_numpy, atol=1e-12)
check("11.3a", "a symmetric J has real eigenvalues", np.sort_complex(dynamics.eigenvalues(jacobian)),
      np.linalg.eigvalsh(jacobian), atol=1e-12)  # fmt: skip

# %% [markdown]
# ## 2. Two players: the field that no hill can make
#
# Now $f(x, y) = xy$. Player one descends on $f$ over $x$ only; player two ascends over $y$ only, that is, descends on
# $-f$. Each holds the other fixed when it differentiates. The field of the game is
#
# $$ v(x, y) = \left(-\frac{\partial f}{\partial x},\; \frac{\partial f}{\partial y}\right) = (-y,\; x) . \tag{11.4} $$
#
# In minigan a game is a list of losses, one a player, and every function of [`dynamics`](../minigan/theory/dynamics.py)
# takes it. Nothing is special about two players or about one number each.

# %%
game = [lambda x, y: x * y, lambda x, y: -x * y]  # the same as dynamics.bilinear_game()
print("field at (1, 0.5):", dynamics.vector_field(game, (1.0, 0.5)))
grid = np.random.default_rng(0).uniform(-2, 2, (20, 2))
found = np.array([dynamics.vector_field(game, tuple(p)) for p in grid])
check("11.4", "v(x, y) = (−y, x)", found, np.stack([-grid[:, 1], grid[:, 0]], axis=1), atol=1e-15)

# %% [markdown]
# Look at the arrows: at $(1, 0)$ up, at $(0, 1)$ left, at $(-1, 0)$ down. They run round the origin. Could they still be
# the downhill arrows of *some* landscape $P$ that both players secretly descend? No. Walk once round the circle of
# radius $r$ and add up the arrows' share along the way. For $v = -\nabla P$ the sum is the height lost on a round trip,
# which is zero. For our game $v$ points along the walk at every moment:
#
# $$ \oint -\nabla P \cdot ds = 0, \qquad \oint (-y, x) \cdot ds = \int_0^{2\pi} r^2\,d\varphi = 2\pi r^2 . \tag{11.5} $$
#
# There is no landscape. Whoever pictures GAN training as a ball rolling into a valley pictures another problem.


# %%
def around(field, r):
    """The integral of the field along the circle of radius r, counter-clockwise."""
    tangent = lambda t: np.array([-r * math.sin(t), r * math.cos(t)])
    return quad(
        lambda t: np.dot(field((r * math.cos(t), r * math.sin(t))), tangent(t)), 0, 2 * math.pi
    )[0]


valley = lambda p: dynamics.vector_field([bowl], (np.array(p),))[0]
rotation = lambda p: dynamics.vector_field(game, p)
check("11.5", "round trip in −∇P: 0", around(valley, 1.5), 0.0, atol=1e-9)
check(
    "11.5a", "round trip in (−y, x): 2πr²", around(rotation, 1.5), 2 * math.pi * 1.5**2, atol=1e-9
)

# %% [markdown]
# The test for a landscape is (11.2): symmetry of $J$. Any matrix splits into a symmetric and an antisymmetric part,
#
# $$ J = S + A, \qquad S = \tfrac12 (J + J^T), \quad A = \tfrac12 (J - J^T), \tag{11.6} $$
#
# and the parts do different work. Near a rest point at 0 the squared distance changes at the rate
#
# $$ \frac{d}{dt}\,\tfrac12 \lVert x \rVert^2 = \langle x, Jx \rangle = \langle x, Sx \rangle, \qquad
# \langle x, Ax \rangle = 0 \qquad (\dot x = Jx) : \tag{11.7} $$
#
# $S$ pulls in or pushes out; $A$ only turns. ($\langle x, Ax\rangle = \langle A^T x, x\rangle = -\langle Ax, x\rangle$,
# so it is its own negative.) The game $xy$ is the pure case: $S = 0$. Balduzzi et al. (2018) call games with $A = 0$
# *potential* and games with $S = 0$ *Hamiltonian*.

# %%
jacobian = dynamics.game_jacobian(game, (0.0, 0.0))
symmetric, antisymmetric = dynamics.decompose(jacobian)
check("11.6", "for xy: S = 0 and A = J", np.stack([symmetric, antisymmetric]),
      [np.zeros((2, 2)), [[0, -1], [1, 0]]], atol=0)  # fmt: skip

mixed = np.random.default_rng(1).standard_normal((5, 5))
x = np.random.default_rng(2).standard_normal(5)
s, a = dynamics.decompose(mixed)
check("11.7", "⟨x, Jx⟩ = ⟨x, Sx⟩", x @ mixed @ x, x @ s @ x, atol=1e-12)
check("11.7a", "⟨x, Ax⟩ = 0, as xᵀA = −Ax", [x @ a @ x, *(x @ a)], [0.0, *(-a @ x)], atol=1e-12)
half_square = lambda t: 0.5 * np.sum((expm(t[0] * mixed) @ x) ** 2)  # x(t) = e^(tJ) x
check("11.7b", "d/dt ½‖x‖² = ⟨x, Sx⟩", differences(half_square, [0.0]), x @ s @ x, atol=1e-7)

# %%
fig, axes = figure(1, 3, width=8.4, height=2.9, sharex=True, sharey=True)
ticks = np.linspace(-1.5, 1.5, 9)
X, Y = np.meshgrid(ticks, ticks)
kinds = {
    "one loss: $J$ symmetric": (-X, -Y),
    "game $xy$: $J$ antisymmetric": (-Y, X),
    "both: spiral": (-Y - 0.4 * X, X - 0.4 * Y),
}
for ax, (title, (u, w)) in zip(axes, kinds.items(), strict=True):
    ax.quiver(X, Y, u, w, color=BLUE, angles="xy", width=0.006, scale=24)
    ax.plot(0, 0, "o", color=BLACK, markersize=4)
    ax.set(
        title=title, xlabel="$x$ (player one)", xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), aspect="equal"
    )
axes[0].set_ylabel("$y$ (player two)")
show(fig, "fields",
     alt="Three fields of arrows: all pointing to the centre, all running round it, and a spiral.")  # fmt: skip

# %% [markdown]
# ## 3. In continuous time: a circle, for ever
#
# By (11.3) with $a = d = 0$, $b = -1$, $c = 1$, the game's eigenvalues are
#
# $$ \lambda_\pm = \pm\sqrt{-1} = \pm i . \tag{11.8} $$
#
# An eigenvalue $\lambda = \alpha + i\beta$ means motion like $e^{\alpha t}$ in distance and $\beta t$ in angle. Here
# $\alpha = 0$: no approach, one radian per unit of time. Indeed $\dot x = -y$, $\dot y = x$ is solved by
#
# $$ \begin{pmatrix} x(t) \\ y(t) \end{pmatrix} = \begin{pmatrix} \cos t & -\sin t \\ \sin t & \cos t \end{pmatrix}
# \begin{pmatrix} x(0) \\ y(0) \end{pmatrix}, \tag{11.9} $$
#
# (differentiate: the first row gives $-y$, the second $x$), and the distance never changes:
#
# $$ \frac{d}{dt}\,(x^2 + y^2) = 2x(-y) + 2yx = 0 . \tag{11.10} $$

# %%
check("11.8", "eigenvalues of the game xy: ±i", dynamics.eigenvalues(jacobian), [1j, -1j],
      atol=1e-15, identity=40)  # fmt: skip

start, time = np.array([1.2, -0.4]), 5.0
turn = np.array([[math.cos(time), -math.sin(time)], [math.sin(time), math.cos(time)]])
solved = solve_ivp(
    lambda t, p: dynamics.vector_field(game, tuple(p)), (0, time), start, rtol=1e-10, atol=1e-12
)
check("11.9", "the motion is a rotation by the angle t", solved.y[:, -1], turn @ start, atol=1e-9)

rates = [dynamics.rate_of_change(lambda x, y: x * x + y * y, game, tuple(p)) for p in grid]
check("11.10", "x² + y² is conserved", rates, 0.0, atol=1e-13)

# %% [markdown]
# **What the articles say here.** Article S0 (sections 1.2.3 and 5.1) and article S4 (sections 3.3, 8.3, 9.1) explain
# unstable GAN training by "local optima" in which it gets caught. A local optimum is a point where one *stops* too
# early. Now look at this game. With $y$ fixed, player one's loss is a straight line in $x$: it has no minimum at all,
# local or other, unless $y = 0$. The field vanishes at one single point, and that point is the solution. There is
# nothing to get caught in; and yet the motion does not arrive. Its distance to the solution after any time is what it
# was at the start.
#
# $$ v(x, y) = 0 \iff (x, y) = (0, 0), \qquad
# \lVert (x, y)(t) \rVert = \lVert (x, y)(0) \rVert \text{ for all } t . \tag{11.11} $$
#
# S0 (section 2.3.1) also offers random initialisation against it. Start where you like: each start has a circle of its
# own, and none leads to the middle.

# %%
speeds = np.linalg.norm([dynamics.vector_field(game, tuple(p)) for p in grid], axis=1)
check("11.11", "‖v‖ = distance to the solution: no other rest point", speeds,
      np.linalg.norm(grid, axis=1), atol=1e-14, errata=("shared.1", "S0.11"))  # fmt: skip
paths = [
    dynamics.iterate(dynamics.runge_kutta, game, tuple(p), steps=sized(400, 100), step=0.05)
    for p in grid[:5]
]
spread = [np.ptp(np.linalg.norm(path, axis=1)) for path in paths]
check("11.11a", "from no start does the motion come nearer", spread, 0.0, atol=1e-5,
      errata=("shared.1", "S0.11"))  # fmt: skip

# %% [markdown]
# ## 4. Steps instead of time: simultaneous descent spirals out
#
# A computer takes steps. If both players step at once along the field, with step size $h$, then
#
# $$ \begin{pmatrix} x_{t+1} \\ y_{t+1} \end{pmatrix} = (I + hJ) \begin{pmatrix} x_t \\ y_t \end{pmatrix}, \qquad
# I + hJ = \begin{pmatrix} 1 & -h \\ h & 1 \end{pmatrix} . \tag{11.12} $$
#
# The eigenvalues of $I + hJ$ are $1 + h\lambda$. What counts for a repeated map is the largest modulus of its
# eigenvalues, the **spectral radius** $\rho$: the distance is multiplied by $\rho$ a step in the long run, so the map
# converges if $\rho < 1$. Here
#
# $$ \rho = |1 \pm ih| = \sqrt{1 + h^2} > 1 . \tag{11.13} $$
#
# The step leaves the circle along its tangent, so it always lands outside, however small $h$ is.

# %%
h = 0.1
by_rule = np.stack([dynamics.simultaneous(game, tuple(e), step=h) for e in np.eye(2)], axis=1)
check("11.12", "simultaneous step: the matrix I + hJ", by_rule, np.array([[1, -h], [h, 1]]),
      atol=1e-15)  # fmt: skip

steps = np.linspace(0.05, 2.4, 48)
radius = [
    dynamics.spectral_radius(dynamics.linear_map(dynamics.simultaneous, jacobian, step=h))
    for h in steps
]
check(
    "11.13", "simultaneous: ρ = √(1 + h²)", radius, np.sqrt(1 + steps**2), atol=1e-12, identity=40
)

# %% [markdown]
# **The answer to the question.** Each step multiplies the distance by $\sqrt{1.01}$, so after 100 steps it is
#
# $$ \lVert (x_{100}, y_{100}) \rVert = 1.01^{50} = 1.6446 . \tag{11.14} $$
#
# Farther. Smaller steps help less than one hopes: over a fixed time $T = hn$ the growth is $(1 + h^2)^{n/2} \approx
# e^{hT/2}$, so halving $h$ halves the exponent and doubles the work, and the sign never changes.

# %%
path = dynamics.iterate(dynamics.simultaneous, game, (1.0, 0.0), steps=100, step=0.1)
distance = np.hypot(*path[-1])
print(f"distance after 100 steps: {distance:.4f}")
check("11.14", "distance after 100 steps of 0.1: 1.01⁵⁰", distance, 1.01**50, atol=1e-12)

# %% [markdown]
# For a general rest point the same computation gives the rule for step sizes in games. With $\lambda = \alpha + i\beta$,
#
# $$ |1 + h\lambda|^2 = 1 + 2h\alpha + h^2 (\alpha^2 + \beta^2) < 1 \iff h < \frac{-2\alpha}{\alpha^2 + \beta^2} . \tag{11.15} $$
#
# Without rotation ($\beta = 0$) this is the familiar $h < 2/|\alpha|$. With rotation the limit shrinks with $\beta^2$,
# and at $\alpha = 0$ no positive step is left. Strong rotation with weak damping demands tiny steps: that is what an
# unstable GAN feels like. Lesson 12 supplies the damping.

# %%
random = np.random.default_rng(3)
alpha, beta = -random.uniform(0.1, 2, 50), random.uniform(-3, 3, 50)
limit = -2 * alpha / (alpha**2 + beta**2)
modulus = lambda h: np.abs(1 + h * (alpha + 1j * beta))
check("11.15", "at h = −2α/(α²+β²) |1 + hλ|² = 1, at twice that 1 + 8α²/(α²+β²)",
      [modulus(limit) ** 2, modulus(2 * limit) ** 2],
      [np.ones(50), 1 + 8 * alpha**2 / (alpha**2 + beta**2)], atol=1e-12)  # fmt: skip
check("11.15a", "below it the map contracts, above it expands",
      (modulus(0.99 * limit) < 1) & (modulus(1.01 * limit) > 1), True, atol=0)  # fmt: skip

# %% [markdown]
# ## 5. In turn instead of at once
#
# Most GAN code lets one player move first and shows the other the result. Player one: $x' = x - hy$. Then player two
# with the *new* $x'$: $y' = y + hx' = hx + (1 - h^2)\,y$. As a matrix,
#
# $$ \begin{pmatrix} 1 & -h \\ h & 1 - h^2 \end{pmatrix}, \qquad \det = 1, \quad \operatorname{tr} = 2 - h^2 . \tag{11.16} $$
#
# The eigenvalues solve $\mu^2 - (2 - h^2)\mu + 1 = 0$. Their product is 1. For $h < 2$ the discriminant
# $(2 - h^2)^2 - 4$ is negative, so they are complex conjugates, $\mu\bar\mu = |\mu|^2 = 1$:
#
# $$ \rho = 1 \text{ for } h \le 2, \qquad \rho > 1 \text{ for } h > 2 . \tag{11.17} $$
#
# Neither out nor in. (At $h = 2$ itself the two eigenvalues meet at $-1$ and the distance grows linearly.)

# %%
h = 0.5
by_rule = np.stack([dynamics.alternating(game, tuple(e), step=h) for e in np.eye(2)], axis=1)
check("11.16", "alternating step: rows (1, −h), (h, 1−h²)", by_rule,
      np.array([[1, -h], [h, 1 - h * h]]), atol=1e-15)  # fmt: skip
by_formula = [np.abs(np.roots([1, h * h - 2, 1])).max() for h in steps]
radius = [
    dynamics.spectral_radius(dynamics.linear_map(dynamics.alternating, jacobian, step=h))
    for h in steps
]
check("11.17", "alternating: the roots of μ² − (2−h²)μ + 1", radius, by_formula, atol=1e-7)
radius = np.array(radius)
check("11.17a", "ρ = 1 for h < 2", radius[steps < 1.99], 1.0, atol=1e-12, identity=40)
check("11.17b", "ρ > 1 for h > 2", radius[steps > 2.01], 1.2, atol=0, relation=">=")

# %% [markdown]
# There is more: the circle survives as an ellipse. Insert $x' = x - hy$, $y' = y + hx'$ into
#
# $$ x'^2 - h\,x'y' + y'^2 = x^2 - h\,xy + y^2 . \tag{11.18} $$
#
# Indeed $y'(y' - hx') = y'y = y^2 + hx'y$, and $x'(x' + hy) = x'x = x^2 - hxy$. For $h < 2$ the form is positive for
# every $(x, y) \ne 0$, so points stay on one ellipse for ever. Alternation is not a cure. But it is free, and it turns
# the certain explosion of (11.13) into a standstill that any little damping can tip over into convergence.

# %%
path = dynamics.iterate(dynamics.alternating, game, (1.0, 0.3), steps=sized(2000, 300), step=h)
form = path[:, 0] ** 2 - h * path[:, 0] * path[:, 1] + path[:, 1] ** 2
check("11.18", "alternating conserves x² − hxy + y²", form, 1.0 - h * 0.3 + 0.09, atol=1e-11)

# %% [markdown]
# ## 6. Where should the gradient be taken? Implicit, extragradient, optimistic
#
# The tangent at the *start* of a step leads outwards. The tangent at its *end* leads inwards: the **implicit** step asks
# for the point $w$ that satisfies
#
# $$ w_{t+1} = w_t + h\,v(w_{t+1}) \quad\Longrightarrow\quad w_{t+1} = (I - hJ)^{-1} w_t, \qquad
# \rho = \frac{1}{|1 \mp ih|} = \frac{1}{\sqrt{1 + h^2}} < 1 \tag{11.19} $$
#
# for a linear field. It contracts at *every* $h$. The price is an equation to solve at each step; our
# [`implicit`](../minigan/theory/dynamics.py#implicit) does it by Newton's method with the game's own Jacobian.

# %%
w = np.array(dynamics.implicit(game, (1.0, 0.0), step=0.7))
check("11.19", "the implicit step arrives where w = w₀ + h v(w)", w,
      np.array([1.0, 0.0]) + 0.7 * np.array([-w[1], w[0]]), atol=1e-14)  # fmt: skip
lengths = [np.hypot(*dynamics.implicit(game, (1.0, 0.0), step=h)) for h in steps]
check("11.19a", "implicit: ρ = 1/√(1 + h²)", lengths, 1 / np.sqrt(1 + steps**2), atol=1e-12,
      identity=40)  # fmt: skip

# %% [markdown]
# Nobody inverts the Jacobian of a network. But $(I - hJ)^{-1} = I + hJ + h^2J^2 + \dots$ (the geometric series), and the
# first terms are cheap. **Extragradient** (Korpelevich 1976) looks ahead with a trial step and then uses the field found
# there:
#
# $$ \tilde w = w_t + h\,v(w_t), \qquad w_{t+1} = w_t + h\,v(\tilde w) \quad\Longrightarrow\quad
# w_{t+1} = (I + hJ + h^2J^2)\,w_t . \tag{11.20} $$
#
# With $J^2 = -I$ the eigenvalues are $1 - h^2 \pm ih$, so
#
# $$ \rho = \sqrt{(1 - h^2)^2 + h^2} = \sqrt{1 - h^2 + h^4} < 1 \text{ for } h < 1 , \tag{11.21} $$
#
# and the best step follows from $\frac{d}{dh}(h^4 - h^2) = 0$:
#
# $$ h^* = \frac{1}{\sqrt2}, \qquad \rho^* = \sqrt{\tfrac34} = 0.866 . \tag{11.22} $$

# %%
h = 0.3
by_rule = np.stack([dynamics.extragradient(game, tuple(e), step=h) for e in np.eye(2)], axis=1)
series = np.eye(2) + h * jacobian + h**2 * jacobian @ jacobian
check("11.20", "extragradient: I + hJ + h²J²", by_rule, series, atol=1e-15)
gap = np.abs(np.linalg.inv(np.eye(2) - h * jacobian) - series).max()
check("11.20a", "it misses the implicit map by h³/(1 + h²)", gap, h**3 / (1 + h**2), atol=1e-15)

radius_of = lambda h: dynamics.spectral_radius(
    dynamics.linear_map(dynamics.extragradient, jacobian, step=h)
)
check("11.21", "extragradient: ρ = √(1 − h² + h⁴)", [radius_of(h) for h in steps],
      np.sqrt(1 - steps**2 + steps**4), atol=1e-12, identity=40)  # fmt: skip
best = minimize_scalar(radius_of, bounds=(0.1, 1), method="bounded", options={"xatol": 1e-9})
check("11.22", "extragradient: best at h = 1/√2, ρ = √(3/4)", [best.x, best.fun],
      [math.sqrt(0.5), math.sqrt(0.75)], atol=1e-7)  # fmt: skip

# %% [markdown]
# Extragradient pays two gradients a step. **Optimistic** descent (Daskalakis et al. 2017) pays one: it reuses the last
# gradient, and guesses that the field will change once more as it just did, $v(w_{t+1}) \approx 2v(w_t) - v(w_{t-1})$:
#
# $$ w_{t+1} = w_t + 2h\,v(w_t) - h\,v(w_{t-1}) . \tag{11.23} $$
#
# The new point depends on the last two, so one step is a matrix on the pair $(w_t, w_{t-1})$. Insert
# $w_t = \mu^t w$ with $Jw = iw$ and divide by $\mu^{t-1}$:
#
# $$ \mu^2 - (1 + 2ih)\,\mu + ih = 0, \qquad \mu = \tfrac12\left(1 + 2ih \pm \sqrt{1 - 4h^2}\right) . \tag{11.24} $$
#
# For $h \le \frac12$ the root is real. Write $s = \sqrt{1 - 4h^2}$; the larger solution has
# $|\mu|^2 = \frac14\left((1 + s)^2 + 4h^2\right) = \frac14(1 + 2s + s^2 + 1 - s^2) = \frac12(1 + s)$:
#
# $$ \rho = \sqrt{\frac{1 + \sqrt{1 - 4h^2}}{2}} \text{ for } h \le \frac12, \qquad
# \rho < 1 \iff h < \frac{1}{\sqrt3} . \tag{11.25} $$
#
# For $h > \frac12$ the root is $i\sqrt{4h^2 - 1}$, the larger solution has
# $|\mu|^2 = \frac14\big(1 + (2h + \sqrt{4h^2 - 1})^2\big)$, which grows with $h$, and it is 1 where
# $\sqrt{4h^2 - 1} = \sqrt3 - 2h$. Square both sides: $-1 = 3 - 4\sqrt3\,h$, so $h = 1/\sqrt3$.
#
# At $h = \frac12$ it reaches $\sqrt{1/2} = 0.707$, better than extragradient's best, with half the gradients.

# %%
path = dynamics.iterate(dynamics.optimistic, game, (1.0, 0.0), steps=20, step=0.2)
by_hand = path[1:-1] + 0.2 * (2 * path[1:-1] - path[:-2]) @ jacobian.T
check("11.23", "optimistic: w + 2h v(w) − h v(w before)", path[2:], by_hand, atol=1e-14)

h = 0.35
matrix = dynamics.linear_map(dynamics.optimistic, jacobian, step=h)
roots = np.concatenate([np.roots([1, -(1 + 2 * sign * h), sign * h]) for sign in (1j, -1j)])
check("11.24", "optimistic: the roots of μ² − (1+2ih)μ + ih",
      np.sort_complex(np.linalg.eigvals(matrix)), np.sort_complex(roots), atol=1e-12)  # fmt: skip

small = np.linspace(0.02, 0.5, 25)
radius_of = lambda h: dynamics.spectral_radius(
    dynamics.linear_map(dynamics.optimistic, jacobian, step=h)
)
check("11.25", "optimistic: ρ = √((1 + √(1−4h²))/2), h ≤ 1/2", [radius_of(h) for h in small],
      np.sqrt((1 + np.sqrt(1 - 4 * small**2)) / 2), atol=1e-7)  # fmt: skip
check("11.25a", "optimistic: ρ = 1 at h = 1/√3", radius_of(1 / math.sqrt(3)), 1.0, atol=1e-12)
around_it = [radius_of(h) < 1 for h in np.linspace(0.01, 1.5, 150)]
below = np.linspace(0.01, 1.5, 150) < 1 / math.sqrt(3)
check("11.25b", "optimistic: ρ < 1 below 1/√3 and nowhere else", around_it, below, atol=0)

# %% [markdown]
# ## 7. Consensus: also minimise how fast everything moves
#
# Another idea changes the losses. Every rest point has $v = 0$, so let both players also shrink $R = \frac12\lVert
# v\rVert^2$ (Mescheder et al. 2017). By the chain rule
#
# $$ \nabla R = J^T v, \qquad \dot w = v - \gamma\, J^T v . \tag{11.26} $$
#
# For $xy$: $R = \frac12(x^2 + y^2)$, so $J^Tv = w$, a straight pull to the middle. The step has eigenvalues
# $1 - h\gamma \pm ih$ and
#
# $$ \rho^2 = (1 - h\gamma)^2 + h^2 < 1 \iff h < \frac{2\gamma}{1 + \gamma^2} . \tag{11.27} $$

# %%
curved = [lambda x, y: x * y + ops.sin(x), lambda x, y: -x * y + ops.exp(0.3 * y)]
speed = lambda p: 0.5 * np.sum(np.square(dynamics.vector_field(curved, tuple(p))))
at = (0.4, -0.9)
field, matrix = np.array(dynamics.vector_field(curved, at)), dynamics.game_jacobian(curved, at)
check("11.26", "∇ ½‖v‖² = Jᵀv", differences(speed, at), matrix.T @ field, atol=1e-8)
moved = np.array(dynamics.consensus(curved, at, step=0.1, gamma=0.7))
check("11.26a", "a consensus step is w + h (v − γ Jᵀv)", moved,
      at + 0.1 * (field - 0.7 * matrix.T @ field), atol=1e-13)  # fmt: skip

gammas = np.linspace(0.1, 3, 20)
at_limit = [
    dynamics.spectral_radius(
        dynamics.linear_map(dynamics.consensus, jacobian, step=2 * g / (1 + g * g), gamma=g)
    )
    for g in gammas
]
check("11.27", "consensus: ρ = 1 at h = 2γ/(1+γ²)", at_limit, 1.0, atol=1e-12)
one_step = [np.hypot(*dynamics.consensus(game, (1.0, 0.0), step=0.3, gamma=g)) for g in gammas]
squares = (1 - 0.3 * gammas) ** 2 + 0.3**2
check("11.27a", "consensus: ρ² = (1−hγ)² + h²", np.square(one_step), squares, atol=1e-14)

# %% [markdown]
# A warning comes with it. $R$ is small at *every* rest point, also at the wrong ones. Take one player with
# $L(x) = -\frac12 x^2$, a hilltop at 0. Honest descent leaves it, $v = x$. With $J = 1$ consensus walks
# $\dot x = x - \gamma x$, and for $\gamma > 1$ it climbs to the *worst* point and stays:
#
# $$ L = -\tfrac12 x^2: \qquad \lambda = 1 - \gamma < 0 \text{ for } \gamma > 1 . \tag{11.28} $$

# %%
hill = [lambda x: -0.5 * x * x]
regularised = dynamics.consensus_losses(hill, gamma=3.0)
check("11.28", "consensus on a hilltop: λ = 1 − γ", dynamics.game_jacobian(regularised, (0.0,)),
      1 - 3.0, atol=1e-12)  # fmt: skip
path = dynamics.iterate(dynamics.consensus, hill, (1.0,), steps=60, step=0.1, gamma=3.0)
check("11.28a", "with γ = 3 it converges to the maximum of its loss", path[-1], 0.0, atol=1e-4)

# %% [markdown]
# All rules on one page (consensus with $\gamma = 0.5$). The start is the black dot, the solution the cross.

# %%
rules = {
    "simultaneous": (dynamics.simultaneous, {}),
    "alternating": (dynamics.alternating, {}),
    "extragradient": (dynamics.extragradient, {}),
    "optimistic": (dynamics.optimistic, {}),
    "implicit": (dynamics.implicit, {}),
    "consensus": (dynamics.consensus, {"gamma": 0.5}),
}
fig, axes = figure(2, 3, width=7.6, height=5.3, sharex=True, sharey=True)
circle = np.linspace(0, 2 * math.pi, 200)
for ax, (title, (rule, options)) in zip(axes.flat, rules.items(), strict=True):
    path = dynamics.iterate(rule, game, (1.0, 0.0), steps=40, step=0.25, **options)
    factor = dynamics.spectral_radius(dynamics.linear_map(rule, jacobian, step=0.25, **options))
    ax.plot(np.cos(circle), np.sin(circle), color=GREY, linewidth=0.9, linestyle=":")
    colour = ORANGE if factor > 1.001 else GREY if factor > 0.999 else BLUE
    ax.plot(*path.T, "-o", color=BLACK if colour == GREY else colour, markersize=2.2, linewidth=0.9)
    ax.plot(1, 0, "o", color=BLACK, markersize=5)
    ax.plot(0, 0, "+", color=BLACK, markersize=9)
    ax.set(
        title=f"{title}: $\\rho$ = {factor:.3f}", xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal"
    )
for ax in axes[1]:
    ax.set_xlabel("$x$")
for ax in axes[:, 0]:
    ax.set_ylabel("$y$")
show(
    fig,
    "rules",
    alt="Six paths of the game xy at step 0.25: simultaneous spirals out, alternating keeps to an "
    "ellipse, four spiral in.",
)

# %%
fig, ax = figure(width=6.4, height=3.7)
grid_h = np.linspace(0.005, 1.5, 300)
lines = {  # label, and where to write it
    "simultaneous": (dynamics.simultaneous, {}, (0.19, 1.13)),
    "alternating": (dynamics.alternating, {}, (1.18, 1.015)),
    "extragradient": (dynamics.extragradient, {}, (0.9, 0.855)),
    "optimistic": (dynamics.optimistic, {}, (0.22, 0.8)),
    "implicit": (dynamics.implicit, {}, (1.2, 0.69)),
}
for name, (rule, options, place) in lines.items():
    values = [
        dynamics.spectral_radius(dynamics.linear_map(rule, jacobian, step=h, **options))
        for h in grid_h
    ]
    (line,) = ax.plot(grid_h, values)
    ax.annotate(name, place, color=line.get_color())
ax.axhline(1, color=BLACK, linewidth=0.8, zorder=1)
ax.set(
    xlabel="step size $h$",
    ylabel="spectral radius $\\rho$ (factor a step)",
    ylim=(0.6, 1.4),
    xlim=(0, 1.5),
)
show(
    fig,
    "spectral-radius",
    alt="Spectral radius against step size: below one are implicit always, extragradient to 1, "
    "optimistic to 0.577.",
)

# %% [markdown]
# | rule | gradients a step | $\rho$ on $xy$ | converges for |
# |---|---|---|---|
# | simultaneous | 1 | $\sqrt{1+h^2}$ | no $h$ |
# | alternating | 1 | 1 | no $h$, but stays for $h < 2$ |
# | extragradient | 2 | $\sqrt{1-h^2+h^4}$ | $h < 1$ |
# | optimistic | 1 | $\sqrt{(1+\sqrt{1-4h^2})/2}$ | $h < 1/\sqrt3$ |
# | implicit | an equation | $1/\sqrt{1+h^2}$ | every $h$ |
# | consensus | 2nd derivatives | $\sqrt{(1-h\gamma)^2+h^2}$ | $h < 2\gamma/(1+\gamma^2)$ |
#
# ## 8. From the smallest game to any game
#
# A network's game is not bilinear. But near a rest point it is almost linear, and the same matrices rule. Here is one
# with curvature everywhere; its rest point is 0. The distance must shrink by $\rho$ a step in the long run,
#
# $$ \lim_{t\to\infty} \left(\frac{\lVert w_{2t}\rVert}{\lVert w_t\rVert}\right)^{1/t}
# = \rho(\text{derivative of the map at } w^*) . \tag{11.29} $$

# %%
curvy = [
    lambda x, y: ops.sin(x) * y + 0.1 * x**2,
    lambda x, y: -ops.sin(x) * y + 0.05 * (ops.exp(y) - y),
]
at_rest = dynamics.game_jacobian(curvy, (0.0, 0.0))
for letter, rule in zip(
    "abc", (dynamics.simultaneous, dynamics.alternating, dynamics.extragradient), strict=True
):
    path = dynamics.iterate(rule, curvy, (0.5, 0.5), steps=1000, step=0.1)
    seen = (np.linalg.norm(path[1000]) / np.linalg.norm(path[500])) ** (1 / 500)
    expected = dynamics.spectral_radius(dynamics.linear_map(rule, at_rest, step=0.1))
    check(f"11.29{letter}", f"{rule.__name__}: shrinks by ρ = {expected:.4f} a step", seen,
          expected, atol=3e-4)  # fmt: skip

# %% [markdown]
# More parameters? In the game $x^TAy$ the players are vectors, and $A$ a matrix. Its Jacobian has the blocks $0, -A,
# A^T, 0$; squaring it gives $-AA^T$ and $-A^TA$ on the diagonal, so its eigenvalues are
#
# $$ \lambda = \pm i\,\sigma_k(A), \qquad \sigma_k \text{ the singular values of } A . \tag{11.30} $$
#
# (and 0, where $A$ is not square). All imaginary, in every dimension. What grows with the size is the largest $\sigma$,
# and with it the speed of the fastest rotation: put $h\sigma$ for $h$ in (11.21), and extragradient needs
# $h < 1/\sigma_{\max}$. And noise? Let each gradient carry independent noise of
# variance $s^2$ a coordinate, as minibatches do. Then simultaneous steps obey
#
# $$ \mathbb{E}\lVert w_{t+1}\rVert^2 = (1 + h^2)\,\mathbb{E}\lVert w_t\rVert^2 + 2h^2 s^2
# \quad (\text{game } xy) . \tag{11.31} $$
#
# It adds to the distance; it never takes away. (The cross term has mean zero.)

# %%
a = np.random.default_rng(4).standard_normal((6, 6))
big = dynamics.game_jacobian(dynamics.bilinear_game(a), (np.zeros(6), np.zeros(6)))
sigma = np.linalg.svd(a, compute_uv=False)
check("11.30", "x'Ay: eigenvalues ±iσ(A)", dynamics.eigenvalues(big),
      np.concatenate([1j * sigma, -1j * sigma[::-1]]), atol=1e-12)  # fmt: skip

h, s = 0.2, 0.5
noise = np.array(
    [[u, v] for u in (-s, s) for v in (-s, s)]
)  # mean 0 and variance s^2: the mean of these four is exact
after = np.array([1.0, 0.3]) @ (np.eye(2) + h * jacobian).T + h * noise
check("11.31", "E‖w'‖² = (1+h²)‖w‖² + 2h²s²", np.mean(np.sum(after**2, axis=1)),
      (1 + h * h) * 1.09 + 2 * h * h * s * s, atol=1e-14)  # fmt: skip

# %% [markdown]
# Rotation is also what **mode collapse** looks like from inside. Freeze $D$ and ask for the generator's best reply. Its
# loss $-\mathbb{E}_{x\sim q}D(x) = -\sum_i q_i D_i$ is linear in $q$, so
#
# $$ \max_{q} \sum_i q_i D_i = \max_i D_i : \tag{11.32} $$
#
# put all mass on the one point that $D$ likes best. Then $D$ learns to dislike it, the best point is elsewhere, and the
# mass moves on: a rotation among the modes. Article S4 (section 9.3) hopes to avoid collapse by a generator with more
# capacity or by other noise. But $q$ in (11.32) is already *any* distribution: a generator of unlimited capacity, with
# whatever noise. Its best reply is still one point, and with more outcomes to choose from it only scores higher.

# %%
scores = np.random.default_rng(5).standard_normal(50)  # D on fifty possible outputs
for number, n in enumerate((2, 10, 50)):
    best = linprog(-scores[:n], A_eq=np.ones((1, n)), b_eq=[1.0])
    check(f"11.32{'abc'[number]}", f"best reply among all laws on {n} outputs scores max D",
          -best.fun, scores[:n].max(), atol=1e-9, errata="S4.9")  # fmt: skip
    check(f"11.32{'def'[number]}", "and lies on a single output", best.x.max(), 1.0, atol=1e-9,
          errata="S4.9")  # fmt: skip

# %% [markdown]
# ## 9. One loss for both? Then it is no game
#
# Article S2 adds the two losses, $L_{GAN} = L_G + L_D$, and calls training the minimisation of the sum. Put both players
# on one loss and the Jacobian becomes a Hessian again, symmetric by (11.2): the rotation is gone. So is the game. With
# the zero-sum losses, $L_G = -L_D$ up to a term free of $G$, and on the fakes
#
# $$ L_G + L_{D,\text{fake}} = \mathbb{E}\log(1 - D) - \mathbb{E}\log(1 - D) = 0 : \tag{11.33} $$
#
# nothing is left to learn from. With the non-saturating loss, what $D$ sees on a fake with logit $l$ is
# $-\log D - \log(1 - D)$, whose slope is
#
# $$ \frac{d}{dl}\left[-\log D - \log(1 - D)\right] = (D - 1) + D = 2D - 1, \qquad
# D = \frac{1}{1 + e^{-l}} . \tag{11.34} $$
#
# A discriminator of its own has slope $D > 0$: it always pushes fakes down. The joint one has slope $2D - 1 < 0$ where
# $D < \frac12$: it *raises* the score of a fake that it had recognised, because that pleases the generator it has been
# merged with. It is content at $D = \frac12$, whatever the fakes look like.

# %%
logits = np.linspace(-4, 4, 9)
minimax, non_saturating = mg.losses.minimax, mg.losses.non_saturating
on_fakes = lambda pair, logit: pair.generator(logit) + mg.losses.bce_with_logits(logit, 0)
values = [on_fakes(minimax, mg.tensor(np.array([logit]))).item() for logit in logits]
check("11.33", "zero-sum: L_G + L_D,fake = 0", values, 0.0, atol=1e-15, errata="S2.6")

fakes = mg.tensor(logits, requires_grad=True)
d = 1 / (1 + np.exp(-logits))
joint = mg.grad(on_fakes(non_saturating, fakes), fakes).data * len(logits)
own = mg.grad(mg.losses.bce_with_logits(fakes, 0), fakes).data * len(logits)
check("11.34", "joint slope: 2D − 1", joint, 2 * d - 1, atol=1e-12, errata="S2.6")
check("11.34a", "D's own slope: D, another function", own, joint, atol=1e-3, relation="!=",
      errata="S2.6")  # fmt: skip
check("11.34b", "on recognised fakes the joint D pushes the score up", joint[logits < 0], -0.4,
      atol=0, relation="<=", errata="S2.6")  # fmt: skip

# %% [markdown]
# ## 10. The same game in the engine
#
# So far the rules were mathematics. [`Game`](../minigan/game.py#Game) and [`Player`](../minigan/player.py#Player) are what
# trains networks: parameters, optimizers, recorded steps. Two parameters of one number each make them play $xy$. Its
# rules [`simultaneous`](../minigan/rules.py#simultaneous), [`alternating`](../minigan/rules.py#alternating) and
# [`extragradient`](../minigan/rules.py#extragradient) must give our paths, step by step:
#
# $$ w_t^{\text{engine}} = w_t^{\text{theory}} \quad \text{for } t = 1, \dots, 50 . \tag{11.35} $$


# %%
def play(rule, optimizer, steps, **options):
    """The path of the game xy under minigan's engine, from (1, 0)."""
    x, y = (mg.tensor(np.array([v]), requires_grad=True) for v in (1.0, 0.0))
    players = [
        mg.Player("x", lambda batch: (x * y).sum(), optimizer([x], **options)),
        mg.Player("y", lambda batch: -(x * y).sum(), optimizer([y], **options)),
    ]
    engine, path = mg.Game(players, rule=rule, replay=True), [(1.0, 0.0)]
    for _ in range(steps):
        engine.step(np.zeros(1))
        path.append((x.item(), y.item()))
    return np.array(path)


for number, name in enumerate(("simultaneous", "alternating", "extragradient")):
    expected = dynamics.iterate(getattr(dynamics, name), game, (1.0, 0.0), steps=50, step=0.2)
    check(f"11.35{'abc'[number]}", f"engine = theory, {name}", play(name, optim.SGD, 50, lr=0.2),
          expected, atol=1e-13)  # fmt: skip

# %% [markdown]
# Does Adam save us? With its usual memory, $\beta_1 = 0.9$, no: it rescales each coordinate by the recent size of its
# gradient, and does not look at the other player. Alternating Adam with $\beta_1 = 0.9$, $\beta_2 = 0.999$ and learning
# rate 0.05, from distance 1:
#
# $$ \lVert w_t \rVert \ge 3\,\lVert w_0 \rVert \quad \text{over the last 100 steps} . \tag{11.36} $$
#
# The memory matters. With $\beta_1 = 0.5$, which many GANs take, the same run ends beyond twice the distance that it
# began at; without memory, $\beta_1 = 0$, it ends within half of it. So nothing here holds for every $\beta_1$. Nor for
# every rate: Adam's steps do not depend on the size of the gradients, so a rate ten times smaller is the same game begun
# ten times as far away, and from there $\beta_1 = 0.5$ comes nearer as well. (These are single runs, and prove no more.)

# %%
path = play("alternating", optim.Adam, sized(2000, 600), lr=0.05)
radii = np.linalg.norm(path, axis=1)
print("distance after 0, 200, 400, 600 steps:", radii[:601:200].round(2))
check("11.36", "Adam (beta1 = 0.9) on xy ends farther away than it began", radii[-100:].min(), 3.0, atol=0,
      relation=">=")  # fmt: skip
last = {
    (beta1, lr): np.linalg.norm(
        play("alternating", optim.Adam, sized(2000, 600), lr=lr, beta1=beta1), axis=1
    )[-100:]
    for beta1, lr in ((0.5, 0.05), (0.0, 0.05), (0.5, 0.005))
}
for (beta1, lr), ends in last.items():
    print(
        f"beta1 = {beta1}, lr = {lr}: the last 100 distances {ends.min():.2f} to {ends.max():.2f}"
    )
check("11.36a", "beta1 = 0.5 ends farther away, too", last[0.5, 0.05].min(), 2.0, atol=0,
      relation=">=")  # fmt: skip
check("11.36b", "beta1 = 0 ends nearer, and so does 0.5 at a tenth of the rate",
      [last[0.0, 0.05].max(), last[0.5, 0.005].max()], 0.5, atol=0, relation="<=")  # fmt: skip

# %% [markdown]
# What does help without touching the rule is to stop looking at the last point. The *mean* of a path that goes round is
# the middle. For the continuous motion from radius $r$, integrate (11.9):
#
# $$ \left\lVert \frac1T \int_0^T w(t)\,dt \right\rVert = \frac{r}{T}\,\lVert (\sin T,\; 1 - \cos T) \rVert
# = \frac{2r}{T}\,\left|\sin \frac T2\right| \le \frac{2r}{T} . \tag{11.37} $$
#
# That is one reason to draw samples from an exponential moving average of the generator's weights
# ([`EMA`](../minigan/average.py#EMA)): where they circle, it lies near the centre, and is no luckier point on the circle.

# %%
T = 50.0
mean = [quad(lambda t, k=k: (math.cos(t), math.sin(t))[k], 0, T, limit=200)[0] / T for k in (0, 1)]
check("11.37", "the mean over time lies 2r|sin(T/2)|/T from the solution", np.hypot(*mean),
      2 * abs(math.sin(T / 2)) / T, atol=1e-10)  # fmt: skip
path = dynamics.iterate(dynamics.alternating, game, (1.0, 0.0), steps=sized(4000, 1000), step=0.1)
averages = np.linalg.norm(np.cumsum(path, axis=0) / np.arange(1, len(path) + 1)[:, None], axis=1)
print(
    f"alternating: distance of the last point {np.hypot(*path[-1]):.3f},",
    f"of the mean {averages[-1]:.4f}",
)
check("11.37a", "alternating: the mean comes near", averages[-1], 0.03, atol=0, relation="<=")
check("11.37b", "the point does not", np.hypot(*path.T).min(), 0.9, atol=0, relation=">=")

# %% [markdown]
# ## Exercises
#
# Replace `raise NotImplementedError`; the grader then looks for a counterexample.


# %%
def largest_step(eigenvalue):
    """The h > 0 at which |1 + h eigenvalue| = 1, for a complex eigenvalue with real part < 0."""
    # Hint: square |1 + h eigenvalue| and keep real and imaginary part apart; one root is h = 0.
    raise NotImplementedError


def step_property(answer, alpha, beta):
    h = answer(complex(alpha, beta))
    assert h > 0 and abs(abs(1 + h * complex(alpha, beta)) - 1) < 1e-9, (
        f"|1 + hλ| = {abs(1 + h * complex(alpha, beta))}"
    )


grade("11.E1", largest_step, step_property, alpha=floats(-3, -0.1), beta=floats(-3, 3))


# %%
def alternating_matrix(h, moves):
    """The matrix, on (x, y), of one step of the game xy.

    Player one moves once, then player two moves `moves` times, each with step size h.
    """
    # Hint: a matrix for each single move; the second player's moves see the new x. The first move
    # stands on the right of the product.
    raise NotImplementedError


def matrix_property(answer, h, moves, start):
    want = dynamics.alternating(
        dynamics.bilinear_game(), tuple(start), step=h, order=[0] + [1] * moves
    )
    assert np.allclose(np.asarray(answer(h, moves)) @ start, want, atol=1e-9), (
        f"expected to arrive at {want}"
    )


grade("11.E2", alternating_matrix, matrix_property, h=floats(0.1, 1.5), moves=st.integers(1, 4),
      start=arrays(2, 0.5, 2))  # fmt: skip


# %%
def implicit_step(a, x, y, h):
    """The implicit step of min over x, max over y of x^T a y.

    Gives (x', y') with x' = x - h a y' and y' = y + h a^T x'.
    """
    # Hint: both equations are linear in (x', y'): bring these to one side and solve one system of
    # n + m unknowns.
    raise NotImplementedError


def implicit_property(answer, a, x, y, h):
    x1, y1 = answer(a, x, y, h)
    assert np.allclose(x1, x - h * a @ y1, atol=1e-8) and np.allclose(
        y1, y + h * a.T @ x1, atol=1e-8
    ), "not where it should be"


grade("11.E3", implicit_step, implicit_property, a=arrays((3, 2), -2, 2), x=arrays(3, 0.5, 2),
      y=arrays(2, 0.5, 2), h=floats(0.1, 1))  # fmt: skip


# %%
def conserved(x, y, h):
    """A quadratic form in x and y that is 0 at the origin only.

    Alternating steps of size h on the game xy (x first) leave it as it is.
    """
    # Hint: x² + y² is almost kept, up to a multiple of h x y. Which multiple makes one step leave
    # the sum alone?
    raise NotImplementedError


def conserved_property(answer, x, y, h):
    after = dynamics.alternating(dynamics.bilinear_game(), (x, y), step=h)
    assert abs(answer(*after, h) - answer(x, y, h)) < 1e-9, (
        f"{answer(x, y, h)} became {answer(*after, h)}"
    )
    assert abs(answer(x, y, h)) > 1e-6 and answer(0.0, 0.0, h) == 0, (
        "it must be 0 at the origin only"
    )
    assert abs(answer(2 * x, 2 * y, h) - 4 * answer(x, y, h)) < 1e-9, "it must be a quadratic form"


grade(
    "11.E4", conserved, conserved_property, x=floats(0.2, 2), y=floats(-2, -0.2), h=floats(0.1, 1.8)
)

# %% [markdown]
# ## What to read next
#
# - L. Mescheder, S. Nowozin, A. Geiger, *The Numerics of GANs* (2017, arXiv 1705.10461), sections 3 and 4: Jacobians,
#   imaginary eigenvalues, consensus.
# - C. Daskalakis, A. Ilyas, V. Syrgkanis, H. Zeng, *Training GANs with Optimism* (2017, arXiv 1711.00141), sections 2, 3.
# - D. Balduzzi, S. Racanière, J. Martens, J. Foerster, K. Tuyls, T. Graepel, *The Mechanics of n-Player Differentiable
#   Games* (2018, arXiv 1802.05642), section 2: the split $J = S + A$.
# - G. Gidel, H. Berard, G. Vignoud, P. Vincent, S. Lacoste-Julien, *A Variational Inequality Perspective on
#   Generative Adversarial Networks* (2018, arXiv 1802.10551): extragradient and averaging.
# - G. M. Korpelevich, *The extragradient method for finding saddle points and other problems* (1976).
# - Next: lesson 12, the Dirac-GAN, where the same analysis judges every GAN loss and regulariser.
