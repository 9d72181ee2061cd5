# %% [markdown]
# # 1. Derivatives: from the chain rule to an engine
#
# A GAN is two functions that pull on each other through derivatives. The discriminator's weights move along one
# gradient, the generator's along another, and that second one passes *through* the discriminator. Penalties that make
# a GAN stable even differentiate a derivative. So before any GAN there is one question: where do the derivatives come
# from, and can we trust them?
#
# This lesson builds the answer on forty lines of NumPy and holds it against `minigan`. At the end you will know what
# a backward pass computes, what it costs, how to test it, how it is differentiated again, and two ways in which
# published GAN code asks for a gradient that is not there.
#
# You need the chain rule, matrix products and some NumPy. Each numbered formula has a check beside it: two
# computations that share no code, the error seen and the tolerance.
#
# **Predict first.** You want $f'(x)$ for $f = \exp$ at some $x$ between 1 and 2, and all you can do is evaluate $f$,
# in the usual 64-bit numbers, about 16 digits. You take the central difference $(f(x+h) - f(x-h))/2h$. Which step
# gives the smallest error: $h = 10^{-2}$, $10^{-5}$, $10^{-8}$ or $10^{-15}$? And how many of the 16 digits are right
# at the best one? Write your guess down. Section 5 has the number.

# %%
import numpy as np

import minigan as mg
from minigan import losses, ops
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLUE, GREY, ORANGE
from minigan.penalties import gradient_penalty

rng = np.random.default_rng(1)
sigmoid = lambda t: 1 / (1 + np.exp(-t))


def differences(f, x, h=1e-6):
    """The Jacobian of f at x by central differences, one column for each element of x."""
    columns = []
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = h
        step = step.reshape(x.shape)
        columns.append((np.asarray(f(x + step)) - np.asarray(f(x - step))).ravel() / (2 * h))
    return np.stack(columns, axis=1)


# %% [markdown]
# ## 1. The smallest GAN
#
# Take one noise value $z$. The generator is a straight line, $x = a z + c$. The discriminator is another one,
# $\ell = w x + b$; its **logit** $\ell$ says how real $x$ looks, and $D = \sigma(\ell) = 1/(1 + e^{-\ell})$ is the
# probability it assigns. The generator wants to be accepted, so it minimises $L = -\log D = \log(1 + e^{-\ell})$.
#
# How should $a$ change? Follow the chain from $a$ to $L$. Each link is a function of one number with a slope of its
# own:
#
# $$ \frac{\partial x}{\partial a} = z, \qquad \frac{\partial \ell}{\partial x} = w, \qquad
# \frac{\partial L}{\partial \ell} = \frac{-e^{-\ell}}{1 + e^{-\ell}} = -\sigma(-\ell). $$
#
# The chain rule multiplies them:
#
# $$ \frac{\partial L}{\partial a} = -\sigma(-\ell)\; w\; z. \tag{1.1} $$

# %%
z, a, c, w, b = 1.5, 0.8, -0.2, 2.0, 0.5
x = a * z + c
logit = w * x + b
by_hand = -sigmoid(-logit) * w * z

t = mg.tensor(np.array(a), requires_grad=True)
loss = ops.softplus(-(w * (t * z + c) + b))
by_engine = mg.grad(loss, t)
check("1.1", "dL/da = -sigma(-l) w z", by_engine, by_hand, atol=1e-15)

# %% [markdown]
# Look at the factor $w$: the generator's gradient runs *through the discriminator*. If the discriminator does not
# care about $x$ ($w = 0$), the generator learns nothing, however wrong it is. Everything in a GAN's training hangs on
# this product.
#
# There are two orders in which to multiply three numbers. From the right, $z$ first, we follow how a change of $a$
# travels forward. From the left, $-\sigma(-\ell)$ first, we ask at each place: *how much does the loss change per
# unit of this quantity?* That number is called the **cotangent** of the quantity (also its adjoint), and it is
# written with a bar: $\bar\ell = \partial L/\partial\ell$, $\bar x = \bar\ell\, w$, $\bar a = \bar x\, z$. The
# picture shows both walks.

# %%
fig, ax = figure(width=6.4, height=2.1)
steps = [
    ("$a$", a, "$a\\,z + c$"),
    ("$x$", x, "$w\\,x + b$"),
    ("$\\ell$", logit, "$\\log(1+e^{-\\ell})$"),
]
values = [*steps, ("$L$", loss.item(), "")]
bars = [by_hand, -sigmoid(-logit) * w, -sigmoid(-logit), 1.0]
for i, ((name, value, rule), bar) in enumerate(zip(values, bars, strict=True)):
    ax.text(2 * i, 0, name, ha="center", va="center", fontsize=13)
    ax.text(2 * i, 0.62, f"{value:.3f}", ha="center", color=BLUE)
    ax.text(2 * i, -0.74, f"{bar:.3f}".replace("-", "−"), ha="center", color=ORANGE)
    if i < 3:
        ax.annotate(
            "",
            (2 * i + 1.7, 0.1),
            (2 * i + 0.3, 0.1),
            arrowprops={"arrowstyle": "->", "color": BLUE},
        )
        ax.annotate(
            "",
            (2 * i + 0.3, -0.1),
            (2 * i + 1.7, -0.1),
            arrowprops={"arrowstyle": "->", "color": ORANGE},
        )
        ax.text(2 * i + 1, 0.24, rule, ha="center", fontsize=9, color=BLUE)
        ax.text(
            2 * i + 1, -0.4, ("× z", "× w", "× −σ(−ℓ)")[i], ha="center", fontsize=9, color=ORANGE
        )
ax.text(-1.9, 0.62, "value", color=BLUE)
ax.text(-1.9, -0.74, "cotangent", color=ORANGE)
ax.set(xlim=(-2.0, 6.6), ylim=(-1.0, 1.0))
ax.axis("off")
show(fig, "chain",
     alt="A chain a, x, l, L: values run right, cotangents left, times the slope of each link")  # fmt: skip

# %% [markdown]
# ## 2. Many numbers: Jacobians, and the order of multiplication
#
# For $f: \mathbb{R}^n \to \mathbb{R}^m$ the slope becomes the **Jacobian**, the $m \times n$ matrix
# $J_{ij} = \partial f_i / \partial x_j$: the best linear map for small changes, $f(x + dx) = f(x) + J\,dx + \ldots$
# Put one function after another, and the linear maps follow each other too, so the matrices multiply:
#
# $$ J_{g \circ f}(x) = J_g(f(x))\; J_f(x). \tag{1.2} $$
#
# For a layer $f(x) = \tanh(Ax)$ the Jacobian is $\operatorname{diag}(1 - \tanh^2(Ax))\,A$, since
# $\tanh' = 1 - \tanh^2$. Two such layers, multiplied by hand, against central differences of the whole:

# %%
A, B, point = rng.standard_normal((4, 3)), rng.standard_normal((2, 4)), rng.standard_normal(3)
inner = np.tanh(A @ point)
jacobian_f = (1 - inner**2)[:, None] * A
jacobian_g = (1 - np.tanh(B @ inner) ** 2)[:, None] * B
both = lambda v: np.tanh(B @ np.tanh(A @ v))
check("1.2", "the Jacobian of g after f is the product", jacobian_g @ jacobian_f,
      differences(both, point), atol=1e-8)  # fmt: skip

# %% [markdown]
# Now the decisive point. A network is $k$ layers of $n$ numbers and ends in one loss:
# $\nabla L^{\top} = r^{\top} J_k \cdots J_2 J_1$, with a row $r^{\top}$ and $k$ matrices. Matrix products may be
# bracketed as we like. From the right, matrix times matrix, each of the $k - 1$ products takes $n^3$ multiplications.
# From the left, we only ever hold a *row*, and each of the $k$ products takes $n^2$:
#
# $$ \text{left to right: } k\, n^2 \qquad \text{right to left: } (k - 1)\, n^3 + n^2. \tag{1.3} $$


# %%
class Counted:
    """A number that counts how often it is multiplied."""

    count = 0

    def __mul__(self, other):
        Counted.count += 1
        return self

    def __add__(self, other):
        return self


def multiplications(*matrices):
    """How many scalar multiplications this product takes, bracketed from the left: ((A B) C) ..."""
    Counted.count, product = 0, matrices[0]
    for matrix in matrices[1:]:
        product = product @ matrix
    return Counted.count


# %%
n, k = 5, 4
number = Counted()
row, square = np.full((1, n), number), np.full((n, n), number)
left_first = multiplications(row, *[square] * k)
right_first = multiplications(*[square] * k) + multiplications(row, square)
check("1.3", "k n^2 against (k-1) n^3 + n^2", [left_first, right_first],
      [k * n**2, (k - 1) * n**3 + n**2], atol=0)  # fmt: skip
n = 100
print(f"for n = {n} and {k} layers: {k * n**2:,} against {(k - 1) * n**3 + n**2:,} multiplications")

# %% [markdown]
# Left to right is **reverse mode**: start at the loss, walk backwards. It never forms a Jacobian. All it needs from
# each operation is one map, the *vector-Jacobian product*.
#
# ## 3. The vjp of an operation
#
# Let $y = f(x)$ and let $\bar y$ be the cotangent of $y$, an array of $y$'s shape with
# $\bar y_i = \partial L/\partial y_i$. A change $dx$ changes $y$ by $J\,dx$ and so the loss by
# $\langle \bar y, J\,dx\rangle = \langle J^{\top}\bar y, dx\rangle$, where $\langle \cdot,\cdot\rangle$ multiplies
# element by element and sums. Since this holds for every $dx$, the cotangent of $x$ is
#
# $$ \bar x = J^{\top}\, \bar y, \qquad
# \langle \bar y,\; f(x + dx) - f(x)\rangle = \langle \bar x, dx\rangle + O(|dx|^2). \tag{1.4} $$
#
# The right-hand form is how vjps are *derived*: change the input a little, collect what is linear in the change, and
# move everything off $dx$. Look at how `minigan` writes each operation beside its derivative, for instance
# [exp](../minigan/ops/elementwise.py#exp), [multiply](../minigan/ops/elementwise.py#multiply) or
# [tanh](../minigan/ops/elementwise.py#tanh).

# %%
x0, ybar = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
f = lambda v: np.exp(v) * np.sin(v)
_, xbar = mg.vjp(lambda v: ops.exp(v) * ops.sin(v), x0, ybar)
dx = 1e-6 * rng.standard_normal((3, 4))
check("1.4", "<ybar, f(x+dx) - f(x)> = <xbar, dx>", (ybar * (f(x0 + dx) - f(x0))).sum(),
      (xbar.data * dx).sum(), atol=1e-11)  # fmt: skip

# %% [markdown]
# **A matrix product.** $Y = AB$, and $G$ is the cotangent of $Y$. Change $A$ by $dA$: then $dY = dA\,B$, and
#
# $$ \langle G, dA\,B\rangle = \sum_{ij} G_{ij} \sum_k dA_{ik} B_{kj}
# = \sum_{ik} dA_{ik} \sum_j G_{ij} B_{kj} = \langle G B^{\top}, dA\rangle. $$
#
# The same for $dB$:
#
# $$ \bar A = G\, B^{\top}, \qquad \bar B = A^{\top} G. \tag{1.5} $$
#
# No rule to memorise: of the products of $G$ with the other factor, it is the one whose shape fits. In the engine
# these are the two lines of [_matmul](../minigan/ops/linear.py#_matmul).

# %%
A, B, G = rng.standard_normal((3, 4)), rng.standard_normal((4, 2)), rng.standard_normal((3, 2))
brute_a = (differences(lambda m: m @ B, A).T @ G.ravel()).reshape(A.shape)
brute_b = (differences(lambda m: A @ m, B).T @ G.ravel()).reshape(B.shape)
check("1.5", "Abar = G B^T", G @ B.T, brute_a, atol=1e-8)
check("1.5a", "Bbar = A^T G", A.T @ G, brute_b, atol=1e-8)

# %% [markdown]
# **Broadcasting.** A bias $b$ of length $m$ is added to each of $N$ rows. NumPy repeats it silently, and repeating is
# a linear map too: $b \mapsto \mathbf{1} b^{\top}$, from $m$ numbers to $N \times m$. What is its transpose?
# $\langle G, \mathbf 1 b^{\top}\rangle = \sum_{ij} G_{ij} b_j = \langle \sum_i G_{i\cdot},\, b\rangle$. So
#
# $$ \text{the adjoint of repeating is summing:} \qquad \bar b = \sum_{i=1}^{N} G_{i \cdot}. \tag{1.6} $$
#
# This is why the gradient of a bias is a sum over the batch. `minigan` does it once for all operations, in
# [_fit](../minigan/autodiff.py#_fit), which calls [sum_to](../minigan/ops/shape.py#sum_to).

# %%
rows, bias, G = rng.standard_normal((5, 3)), rng.standard_normal(3), rng.standard_normal((5, 3))
_, (_, biasbar) = mg.vjp(lambda r, v: r + v, (rows, bias), G)
repeat = np.kron(
    np.ones((5, 1)), np.eye(3)
)  # the matrix that repeats: flat (5 x 3) result from 3 numbers
check("1.6", "the adjoint of broadcasting is a sum", biasbar, repeat.T @ G.ravel(), atol=1e-14)

# %% [markdown]
# **Used twice.** If $x$ feeds two operations, a change of $x$ reaches the loss on both ways, and first-order changes
# add:
#
# $$ \bar x = J_1^{\top} \bar y_1 + J_2^{\top} \bar y_2. \tag{1.7} $$
#
# A GAN does this in every discriminator step: the same weights see a real batch and a fake one. Here $x$ is used in
# $x^2$ and in $\sin x$, whose product has the derivative $2 x \sin x + x^2 \cos x$ by the product rule:

# %%
v = mg.tensor(x0, requires_grad=True)
check("1.7", "cotangents of several uses add", mg.grad((v * v * ops.sin(v)).sum(), v),
      2 * x0 * np.sin(x0) + x0**2 * np.cos(x0), atol=1e-14)  # fmt: skip

# %% [markdown]
# ## 4. An engine in forty lines
#
# That was all the mathematics. An engine writes down, while the forward pass runs, what was computed from what. A
# **node** keeps its value and, for each parent, the vjp that sends the node's cotangent to that parent. The list of
# all nodes is often called the *tape*.


# %%
class Node:
    """A value and where it came from: pairs (parent, vjp)."""

    made = 0

    def __init__(self, value, parents=()):
        self.value, self.parents = np.asarray(value, dtype=float), parents
        Node.made += 1
        self.number = Node.made  # parents are always older than their children


def unbroadcast(g, shape):
    """Formula (1.6): sum over the axes that broadcasting added or stretched."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


# %% [markdown]
# Each operation is its formula and its derivative, side by side:


# %%
def add(a, b):
    pull = lambda node: lambda g: unbroadcast(g, node.value.shape)
    return Node(a.value + b.value, [(a, pull(a)), (b, pull(b))])


def matmul(a, b):
    return Node(a.value @ b.value, [(a, lambda g: g @ b.value.T), (b, lambda g: a.value.T @ g)])


def tanh(a):
    y = np.tanh(a.value)
    return Node(y, [(a, lambda g: g * (1 - y * y))])


def mean_softplus(a, sign=1.0):
    slope = lambda g: g * sign * sigmoid(sign * a.value) / a.value.size
    return Node(np.logaddexp(0, sign * a.value).mean(), [(a, slope)])


# %% [markdown]
# And the backward pass. Give each node $v_i$ the sum over its uses, formula (1.7), and start with $\bar L = 1$:
#
# $$ \bar v_i = \sum_{j \text{ uses } i} \left(\frac{\partial v_j}{\partial v_i}\right)^{\top} \bar v_j. \tag{1.8} $$
#
# A node's cotangent is complete only when *all* its users have been dealt with. So the order matters: every child
# before its parents, a **topological order** of the graph. We get it for nothing: a parent is always made before its
# child, so sorting by the number of creation, newest first, is such an order. `minigan` uses the same trick, in
# [_reachable](../minigan/autodiff.py#_reachable) with the clock of [Node](../minigan/graph.py#Node).


# %%
def gradient(output, inputs):
    """d output / d input for each input, by one walk backwards."""
    nodes, stack = {}, [output]
    while stack:
        node = stack.pop()
        if node.number not in nodes:
            nodes[node.number] = node
            stack += [parent for parent, _ in node.parents]
    cotangents = {output.number: np.ones_like(output.value)}
    for number in sorted(nodes, reverse=True):
        for parent, vjp in nodes[number].parents:
            cotangents[parent.number] = cotangents.get(parent.number, 0.0) + vjp(cotangents[number])
    return [cotangents[node.number] for node in inputs]


# %% [markdown]
# A whole GAN on it: a generator with one hidden layer, a discriminator with another, the generator's loss
# $-E \log D(G(z))$, and the gradient with respect to all eight parameters of both networks. `minigan` computes the
# same with its own operations:

# %%
shapes = [(2, 8), (8,), (8, 2), (2,), (2, 16), (16,), (16, 1), (1,)]
params = [rng.standard_normal(s) for s in shapes]
noise = rng.standard_normal((32, 2))


def two_layers(x, w1, b1, w2, b2, add=ops.add, matmul=ops.matmul, tanh=ops.tanh):
    return add(matmul(tanh(add(matmul(x, w1), b1)), w2), b2)


ours = [Node(p) for p in params]
mine = {"add": add, "matmul": matmul, "tanh": tanh}
fake = two_layers(Node(noise), *ours[:4], **mine)
our_gradient = gradient(mean_softplus(two_layers(fake, *ours[4:], **mine), -1.0), ours)

theirs = [mg.tensor(p, requires_grad=True) for p in params]
value = losses.non_saturating.generator(
    two_layers(two_layers(mg.tensor(noise), *theirs[:4]), *theirs[4:])
)
flat = lambda arrays: np.concatenate([np.asarray(getattr(g, "data", g)).ravel() for g in arrays])
check("1.8", "forty lines of NumPy give the engine's gradient", flat(our_gradient),
      flat(mg.grad(value, theirs)), atol=1e-13)  # fmt: skip

# %% [markdown]
# Two engines that agree could share a mistake, if only through their author. So, once, against brute force:


# %%
def shaped(vector, like):
    """A long vector as arrays of the shapes of `like`, one after the other."""
    pieces = np.split(vector, np.cumsum([p.size for p in like])[:-1])
    return [piece.reshape(p.shape) for piece, p in zip(pieces, like, strict=True)]


def loss_of(vector):
    w1, b1, w2, b2, v1, c1, v2, c2 = shaped(vector, params)
    x = np.tanh(noise @ w1 + b1) @ w2 + b2
    return np.logaddexp(0, -(np.tanh(x @ v1 + c1) @ v2 + c2)).mean()


check("1.8a", "and so do central differences", flat(our_gradient),
      differences(loss_of, flat(params))[0], atol=1e-8)  # fmt: skip

# %% [markdown]
# **Why not just recurse?** A function that walks from the output to each parent, and from there on, follows every
# *path*. Let $y_1 = x + x$, $y_2 = y_1 + y_1$, and so on: each step doubles the paths. The walk in order visits each
# node once:
#
# $$ \text{paths from } y_m \text{ to } x: \; 2^m, \qquad \text{nodes to visit: } m + 1. \tag{1.9} $$


# %%
def paths(node):
    """How often a recursive walk would arrive at the leaves."""
    return sum(paths(parent) for parent, _ in node.parents) if node.parents else 1


m = 12
leaf = node = Node(3.0)
before = Node.made
for _ in range(m):
    node = add(node, node)
check("1.9", "2^m paths through m + 1 nodes", [paths(node), Node.made - before + 1], [2**m, m + 1],
      atol=0)  # fmt: skip
check("1.9a", "and the derivative of 2^m x is 2^m", gradient(node, [leaf])[0], 2.0**m, atol=0)

# %% [markdown]
# With $m = 100$ the recursive walk would outlive the sun; ours visits 101 nodes. Real networks are full of such
# diamonds: every residual connection is one.
#
# **What it costs.** Each operation's vjp is about as much work as the operation, a matrix product's two products at
# most twice as much. So for a function with *any* number of inputs,
#
# $$ \operatorname{cost}(f \text{ and } \nabla f) \;\le\; c \cdot \operatorname{cost}(f), \qquad
# c \approx 3 \text{ to } 4, \tag{1.10} $$
#
# while differences need at least one evaluation of $f$ for each input (Baur, Strassen 1983; Griewank, Walther 2008,
# chapter 4, call it the *cheap gradient principle*). Let us count: `mg.hook` reports every operation that runs,
# forward or backward. A product of $(n, k)$ and $(k, m)$ counts $2nkm$ operations, everything else one an element.


# %%
def operations(width):
    """(operations of the loss, of loss and gradient, number of parameters) of a discriminator."""
    count = 0

    def note(event):
        nonlocal count
        if event.kind == "apply" and not event.op.view:
            name, first = (
                event.op.name,
                event.inputs[0].shape,
            )  # matmul_nt is a b^T, matmul_tn is a^T b
            inner = (
                first[-2]
                if name == "matmul_tn"
                else first[-1]
                if name in ("matmul", "matmul_nt", "dense")
                else 0.5
            )
            count += int(2 * inner * event.output.size)

    shapes = (2, width), (width, width), (width, 1)
    weights = [mg.tensor(np.full(s, 0.1), requires_grad=True) for s in shapes]
    with mg.hook(note):
        h = noise
        for weight in weights:
            h = ops.tanh(ops.matmul(h, weight))
        value = ops.mean_softplus(h)
        forward = count
        mg.grad(value, weights)
    return forward, count, sum(weight.size for weight in weights)


table = np.array([operations(width) for width in (4, 16, 64, sized(256, 128))])
check("1.10", "a gradient costs at most 4 evaluations, whatever the size", table[:, 1],
      4 * table[:, 0], atol=0, relation="<=")  # fmt: skip

# %%
fig, ax = figure(width=6.0, height=3.0)
ax.loglog(table[:, 2], table[:, 2] + 1.0, "--o", color=ORANGE)
ax.loglog(table[:, 2], table[:, 1] / table[:, 0], "-s", color=BLUE)
ax.text(
    table[2, 2] * 0.7, table[2, 2] * 1.5, "differences: n + 1 evaluations", color=ORANGE, ha="right"
)
ax.text(table[-1, 2], 5.5, "reverse mode: about 3", color=BLUE, ha="right")
ax.set(
    xlabel="number of parameters n", ylabel="cost of a gradient / cost of the loss", ylim=(1, None)
)
show(fig, "cost",
     alt="Cost of a gradient: by differences it grows with n, in reverse mode it stays near 3")  # fmt: skip

# %% [markdown]
# This is what made deep learning possible, and it holds for *one* output. For many outputs and one input, forward
# mode (right to left) wins; section 6 gets it from reverse mode by a trick.
#
# ## 5. Differences: the referee, and how much to trust it
#
# The checks above trust central differences. How far? Expand $f$ around $x$: in $f(x+h) - f(x-h)$ all even terms
# cancel, so
#
# $$ D(h) = \frac{f(x+h) - f(x-h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \frac{h^4}{120} f^{(5)}(x) + \ldots \tag{1.11} $$

# %%
xs = 1.1 + 0.7 * np.random.default_rng(2).random(
    sized(400, 200)
)  # in [1, 2), where x + h is exact for h = 2^-k
steps = 2.0 ** -np.arange(4, 53)
central = lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h)
h = 2.0**-6
series = np.exp(xs) * (1 + h**2 / 6 + h**4 / 120)
check("1.11", "D(h) = f' + h^2 f'''/6 + h^4 f(5)/120 + ..., f = exp", central(np.exp, xs, h),
      series, atol=2e-13)  # fmt: skip

# %% [markdown]
# So a small $h$ is good. But a computed value of $f$ is off by up to $\varepsilon F$, with $F \ge |f|$ and
# $\varepsilon = 2^{-52} \approx 2.2 \cdot 10^{-16}$ for 64-bit numbers. Two such errors, divided by $2h$, make up to
# $\varepsilon F / h$: a small $h$ is *bad*. With $M \ge |f'''|$ between $x - h$ and $x + h$, both together:
#
# $$ |D(h) - f'(x)| \;\le\; E(h) = \frac{M h^2}{6} + \frac{\varepsilon F}{h}. \tag{1.12} $$

# %%
eps = np.finfo(np.float64).eps
grid = steps[:, None]
error = abs(central(np.exp, xs, grid) - np.exp(xs))
top = np.exp(xs + grid)  # bounds f and f''' on [x - h, x + h]
check("1.12", "|D(h) - f'| <= M h^2/6 + eps F/h", error, top * grid**2 / 6 + eps * top / grid,
      atol=1e-15, relation="<=")  # fmt: skip

# %% [markdown]
# The best step balances the two. $E'(h) = M h/3 - \varepsilon F/h^2 = 0$ gives
#
# $$ h^{\star} = \left(\frac{3\, \varepsilon F}{M}\right)^{1/3}, \tag{1.13} $$
#
# and putting $\varepsilon F = M h^{\star 3}/3$ back into $E$,
#
# $$ E(h^{\star}) = \frac{M h^{\star 2}}{2} = \frac{1}{2}\, M^{1/3}\, (3 \varepsilon F)^{2/3}. \tag{1.14} $$
#
# For $f = \exp$ we have $F = M$, so $h^{\star} = (3 \cdot 2.2 \cdot 10^{-16})^{1/3}$. The answer to the question at
# the top:

# %%
M = F = np.exp(1.5)
bound = lambda h: M * h**2 / 6 + eps * F / h
best = (3 * eps * F / M) ** (1 / 3)
fine = np.geomspace(1e-7, 1e-3, 200_001)
check("1.13", "h* = (3 eps F/M)^(1/3) minimises the bound", fine[bound(fine).argmin()], best,
      atol=0, rtol=1e-4)  # fmt: skip
least = 0.5 * M ** (1 / 3) * (3 * eps * F) ** (2 / 3)
check("1.14", "E(h*) = M^(1/3) (3 eps F)^(2/3) / 2", bound(fine).min(), least, atol=0, rtol=1e-7)

seen = steps[np.median(error, axis=1).argmin()]
check("1.13a", "and the best step seen is within a factor 4 of it", abs(np.log2(seen / best)), 2,
      atol=0, relation="<=")  # fmt: skip
relative = np.median(error / np.exp(xs), axis=1)
digits = -np.log10(relative.min())
print(f"h* = {best:.1e}; best step seen {seen:.1e}, where {digits:.1f} digits are right")

# %%
asked = np.array([1e-2, 1e-5, 1e-8, 1e-15])
median = np.median(abs(central(np.exp, xs, asked[:, None]) / np.exp(xs) - 1), axis=1)
for h, digits in zip(asked, -np.log10(median), strict=True):
    print(f"h = {h:.0e}: {digits:4.1f} digits")
check("1.13b", "of the four steps asked for, 1e-5 is best", asked[median.argmin()], 1e-5, atol=0)

# %% [markdown]
# So of the four, $10^{-5}$ is best. Between ten and eleven of the sixteen digits are right there, and eleven at the
# best step of all. At $10^{-2}$ not quite five are right, at $10^{-8}$ about eight, at $10^{-15}$ one. "The smaller
# the step, the better" costs nearly all of them. (At $10^{-15}$ even $x \pm h$ is rounded noticeably. The figure
# below avoids that with powers of two.)
#
# The one-sided difference $(f(x+h) - f(x))/h$ has an error of $h M_2/2$, $M_2 \ge |f''|$, and rounding up to
# $2\varepsilon F/h$. The same calculation:
#
# $$ h^{\star} = 2 \sqrt{\varepsilon F/M_2}, \qquad E(h^{\star}) = 2 \sqrt{\varepsilon F M_2}: \tag{1.15} $$
#
# $3 \cdot 10^{-8}$ and half of the digits.

# %%
one_sided = lambda h: M * h / 2 + 2 * eps * F / h
fine = np.geomspace(1e-9, 1e-6, 200_001)
check("1.15", "one-sided: h* = 2 sqrt(eps F/M2), E = 2 sqrt(eps F M2)",
      [fine[one_sided(fine).argmin()], one_sided(fine).min()],
      [2 * np.sqrt(eps * F / M), 2 * np.sqrt(eps * F * M)], atol=0, rtol=2e-4)  # fmt: skip

# %%
forward_error = np.median(
    abs((np.exp(xs + grid) - np.exp(xs)) / grid - np.exp(xs)) / np.exp(xs), axis=1
)
x32, coarse = xs.astype(np.float32), steps[: 22 - 4, None].astype(np.float32)
x32 = np.round(x32 * 2**20) / np.float32(2**20)
in_32 = np.median(abs(central(np.exp, x32, coarse) / np.exp(x32.astype(float)) - 1), axis=1)
leaves = mg.tensor(xs, requires_grad=True)
engine = abs(mg.grad(ops.exp(leaves).sum(), leaves).data / np.exp(xs) - 1).max()

fig, ax = figure(width=6.4, height=3.8)
ax.loglog(steps[: 22 - 4], in_32, ":", color=GREY)
ax.loglog(steps, forward_error, "--", color=ORANGE)
ax.loglog(steps, relative, "-", color=BLUE)
ax.axhline(max(engine, eps / 2), color="black", lw=1)
eps32 = float(np.finfo(np.float32).eps)
for place, height, colour in (
    (best, 0.5 * (3 * eps) ** (2 / 3), BLUE),
    (2 * np.sqrt(eps), 2 * np.sqrt(eps), ORANGE),
    ((3 * eps32) ** (1 / 3), 0.5 * (3 * eps32) ** (2 / 3), GREY),
):
    ax.plot([place], [height], marker="^", markersize=8, color=colour, ls="none")
ax.text(2e-15, 2e-7, "rounding,\ngrows as 1/h", fontsize=9)
ax.text(1.5e-4, 2e-11, "central, 64 bits", color=BLUE, fontsize=9)
ax.text(5e-7, 2e-5, "one-sided, 64 bits", color=ORANGE, fontsize=9, ha="right")
ax.text(1.5e-6, 1.5e-1, "central, 32 bits", color=GREY, fontsize=9)
ax.text(2e-15, 3e-16, "mg.grad", fontsize=9)
ax.text(3e-11, 3e-14, "▲ best step and its bound, (1.13) to (1.15)", fontsize=9)
ax.set(xlabel="step h", ylabel="relative error (median)", xlim=(1e-16, 0.1), ylim=(5e-17, 10))
show(fig, "v-shape",
     alt="Error of differences against the step: V-shaped; mg.grad has an error of rounding only")  # fmt: skip

# %% [markdown]
# The engine has no step, and no such valley: each vjp is exact but for rounding. Differences are the referee, not the
# player. [gradcheck](../minigan/gradcheck.py#gradcheck) is that referee with two refinements: it extrapolates $D(h)$,
# $D(h/2)$, $D(h/4)$ to $h = 0$, and it does not go through the inputs one by one. Why that is enough comes next.
#
# ## 6. The adjoint identity, and forward mode for nothing
#
# A Jacobian has two products: $Jv$, how the outputs change along a direction $v$ (the **jvp**), and $J^{\top}u$, the
# vjp. They are tied by the definition of the transpose:
#
# $$ \langle J v,\, u\rangle = \langle v,\, J^{\top} u\rangle \quad \text{for all } u, v. \tag{1.16} $$
#
# It is the strongest cheap test there is. The left side needs one difference quotient along $v$, the right one
# backward pass; $J$ itself never appears.

# %%
net = lambda x: two_layers(x, *[mg.tensor(p) for p in params[4:]])
net_numpy = lambda x: np.tanh(x @ params[4] + params[5]) @ params[6] + params[7]
v, u = rng.standard_normal((32, 2)), rng.standard_normal((32, 1))
jv = (net_numpy(noise + best * v) - net_numpy(noise - best * v)) / (2 * best)
_, jtu = mg.vjp(net, noise, u)
check("1.16", "<J v, u> = <v, J^T u>", (jv * u).sum(), (v * jtu.data).sum(), atol=1e-7)

# %% [markdown]
# For an operation that is linear already, no difference quotient is needed, and the identity says what its vjp
# *is*. A convolution's is the transposed convolution, the layer that generators upsample with:

# %%
image, kernel, seen_as = (
    rng.standard_normal((1, 6, 6, 2)),
    rng.standard_normal((3, 3, 2, 4)),
    rng.standard_normal((1, 3, 3, 4)),
)
left = (ops.conv(image, kernel, stride=2).data * seen_as).sum()
right = (image * ops.conv_transpose(seen_as, kernel, stride=2, output_size=6).data).sum()
check("1.16a", "<conv x, y> = <x, conv_transpose y>", left, right, atol=1e-12, identity=46)

# %% [markdown]
# Could a wrong vjp pass by luck? Let it compute $B^{\top} u$ with $B \ne J$. The test compares
# $\langle v, (B - J)^{\top} u\rangle$ with 0, a bilinear function of $u$ and $v$ that is not zero everywhere; its
# zeros have no volume. So for *random* $u$ and $v$, drawn from any density (normal, say),
#
# $$ B \ne J \;\Rightarrow\; \langle v, (B - J)^{\top} u\rangle \ne 0 \text{ with probability 1.} \tag{1.17} $$
#
# But they must be random. Take $y = \operatorname{reverse}(x)$ and forget that the cotangent has to be reversed too.
# With $u$ all ones, which is what summing the outputs amounts to, the mistake is invisible:

# %%
x5, v5, u5 = rng.standard_normal((3, 5))
slope = lambda u: (u * (x5 + v5)[::-1]).sum() - (u * x5[::-1]).sum()  # exact: reversing is linear
wrong_vjp = lambda u: u
check("1.17", "random cotangents see the forgotten reversal", slope(u5), (v5 * wrong_vjp(u5)).sum(),
      atol=0.1, relation="!=")  # fmt: skip
check("1.17a", "cotangents of ones do not", slope(np.ones(5)), (v5 * wrong_vjp(np.ones(5))).sum(),
      atol=1e-14)  # fmt: skip

# %% [markdown]
# **The jvp from two vjps.** Freeze $x$. The map $h: u \mapsto J^{\top}u$ is linear, so its own Jacobian is
# $J^{\top}$, at every $u$. Then the vjp *of $h$* with cotangent $v$ is $(J^{\top})^{\top} v$:
#
# $$ Jv = \text{vjp of } \left(u \mapsto J^{\top}u\right) \text{ with cotangent } v. \tag{1.18} $$
#
# So an engine whose backward pass can itself be differentiated has forward mode for nothing. That is the whole of
# [jvp](../minigan/derivatives.py#jvp). In three lines, against the difference quotient:

# %%
point = mg.tensor(noise, requires_grad=True)
dummy = mg.tensor(np.zeros((32, 1)), requires_grad=True)  # any u will do: h is linear
pulled = mg.grad(net(point), point, dummy, create_graph=True)  # h(u) = J^T u, in the graph of u
check("1.18", "the vjp of the vjp is J v", mg.grad(pulled, dummy, v), jv, atol=1e-7)
check("1.18a", "and that is mg.jvp", mg.jvp(net, noise, v)[1], jv, atol=1e-7)

# %% [markdown]
# ## 7. Second derivatives
#
# `create_graph=True` says: record the backward pass too. In `minigan` each vjp is written with the same
# differentiable operations as everything else, so the backward pass is one more graph, and can be walked again (see
# [_walk](../minigan/autodiff.py#_walk)).
#
# The **Hessian** $H_{ij} = \partial^2 f/\partial x_i \partial x_j$ of a function of $n$ numbers has $n^2$ entries.
# One rarely wants it: one wants its product with a vector, and that is the gradient of a single number,
#
# $$ H v = \nabla \langle \nabla f(x),\, v\rangle \quad (v \text{ fixed}), \tag{1.19} $$
#
# two backward passes for any $n$: that is [hvp](../minigan/derivatives.py#hvp). Test it on log-sum-exp,
# $f(x) = \log \sum_i e^{x_i}$. Its gradient is $p_i = e^{x_i}/\sum_j e^{x_j}$, the softmax, and one more derivative
# gives, with the right-hand side symmetric as mixed derivatives must be,
#
# $$ H = \operatorname{diag}(p) - p\, p^{\top} = H^{\top}. \tag{1.20} $$

# %%
x6, v6 = rng.standard_normal((2, 6))
p = np.exp(x6) / np.exp(x6).sum()
by_hand = np.diag(p) - np.outer(p, p)
leaf = mg.tensor(x6, requires_grad=True)
first = mg.grad(ops.logsumexp(leaf), leaf, create_graph=True)
check("1.19", "H v = grad <grad f, v>", mg.grad((first * v6).sum(), leaf), by_hand @ v6, atol=1e-14)
hessian = mg.hessian(ops.logsumexp, x6)
check("1.20", "the Hessian of log-sum-exp is diag(p) - p p^T", hessian, by_hand, atol=1e-14)
check("1.20a", "and symmetric", hessian, hessian.data.T, atol=1e-15)

# %% [markdown]
# In practice one line asks all of this, of your own function too: random $u$ and $v$, both modes, every order up to
# the given one. It raises, with code that repeats the failure, where a derivative is wrong.

# %%
print("right up to order 3:", mg.gradcheck(lambda t: ops.logsumexp(ops.tanh(t) * t), x6, order=3))

# %% [markdown]
# **The derivative of a gradient's length.** Wasserstein GANs want a critic $D$ with $|\nabla_x D| = 1$, and punish
# what is not: the *gradient penalty* $E\,(|\nabla_x D(x)| - 1)^2$ (Gulrajani et al. 2017). To train with it, this
# number is differentiated with respect to the critic's *weights*: a second derivative, first in $x$, then in the
# weights. On a linear critic, $D(x) = \langle w, x\rangle + b$, everything is plain: $\nabla_x D = w$ at every $x$,
# so
#
# $$ GP = (|w| - 1)^2, \qquad \nabla_w GP = 2\, (|w| - 1)\, \frac{w}{|w|}. \tag{1.21} $$
#
# A small gradient step lengthens a short $w$ and shortens a long one, and never turns it.
# ([Identity 54](../tests/test_identities_layers.py#test_identity_54_gradient_penalty_of_a_linear_critic) holds it on
# random critics.)

# %%
w5 = rng.standard_normal(5)
weight, length = mg.tensor(w5, requires_grad=True), np.sqrt((w5**2).sum())
real, fake = rng.standard_normal((2, 8, 5))
penalty = gradient_penalty(lambda x: x @ weight + 0.3, real, fake, uniform=rng.random(8))
check(
    "1.21", "linear critic: GP = (|w| - 1)^2", penalty, (length - 1) ** 2, atol=1e-14, identity=54
)
step = 2 * (length - 1) * w5 / length
check("1.21a", "its gradient is 2 (|w| - 1) w/|w|", mg.grad(penalty, weight), step, atol=1e-14,
      identity=54)  # fmt: skip

# %% [markdown]
# For a curved critic, write $s(x, \theta) = \nabla_x D_\theta(x)$. By the chain rule, for the squared length,
#
# $$ \nabla_\theta\, |s|^2 = 2 \left(\frac{\partial s}{\partial \theta}\right)^{\top} s
# = 2\, \left(\frac{\partial^2 D}{\partial x\, \partial \theta}\right)^{\top} \nabla_x D, \tag{1.22} $$
#
# a mixed second derivative times a vector: one more vjp. Take $D(x) = \langle c, \tanh(Wx)\rangle$, whose input
# gradient is $s = W^{\top}(c \odot (1 - \tanh^2(Wx)))$ ($\odot$ multiplies element by element), differentiate $|s|^2$
# in $W$ by brute force, and compare:

# %%
W, c4, x3 = rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal(3)
squared_length = lambda m: ((m.T @ (c4 * (1 - np.tanh(m @ x3) ** 2))) ** 2).sum()

weight, inputs = mg.tensor(W, requires_grad=True), mg.tensor(x3, requires_grad=True)
score = ops.sum(c4 * ops.tanh(weight @ inputs))
s = mg.grad(score, inputs, create_graph=True)
found = mg.grad((s * s).sum(), weight)
check("1.22", "grad_theta |grad_x D|^2 by two walks", found,
      differences(squared_length, W).reshape(4, 3), atol=1e-7)  # fmt: skip

# %% [markdown]
# Without `create_graph=True` the gradient is a bare array: it does not know where it came from, and the penalty would
# push nothing. An engine should say so rather than return zeros:

# %%
s = mg.grad(score, inputs)
try:
    mg.grad((s * s).sum(), weight)
except mg.GraphError as message:
    print(message)

# %% [markdown]
# ## 8. What is on the tape and what is not: two published mistakes
#
# **Detaching** takes a value out of the graph: it stays what it is, as a constant. Sometimes that is right, sometimes
# it silently removes the only gradient you needed.
#
# *Article S1, section 4* (`generated_images = generator(noise)` stands above the two tapes) and *article S3, section
# 5.2* (`generator.predict(noise)`, likewise outside) build the fakes before recording starts, and then ask for the
# generator's gradient. The discriminator's walk ends at the images. As far as the tape knows, they fell from the sky:
#
# $$ \frac{\partial}{\partial \theta}\, L\!\left(D(\text{const})\right) = 0, \qquad \text{though} \qquad
# \frac{\partial}{\partial \theta}\, L\!\left(D(G_\theta(z))\right) \ne 0. \tag{1.23} $$
#
# TensorFlow answers `None` and the articles' update then fails. `minigan` answers zero here, the true derivative of
# what was recorded: the loss does have a graph, that of the discriminator, and $\theta$ is not in it. (In section 7
# there was no graph at all, which is an error.) Either way the generator of these articles never learns.

# %%
theta, psi = theirs[:4], theirs[4:]
with mg.no_grad():  # outside the tape, as in the articles
    images = two_layers(mg.tensor(noise), *theta)
broken = losses.non_saturating.generator(two_layers(images, *psi))
true_gradient = differences(loss_of, flat(params))[0][: sum(p.size for p in params[:4])]
found = flat(mg.grad(broken, theta))
check("1.23", "fakes made outside the tape: no gradient for G", found, 0.0, atol=0,
      errata=("S1.6", "S3.3"))  # fmt: skip
check("1.23a", "though the true one is not 0", true_gradient, 0.0, atol=1e-2, relation="!=",
      errata=("S1.6", "S3.3"))  # fmt: skip
check("1.23b", "the loss itself looks the same", broken, loss_of(flat(params)), atol=1e-14)

# %% [markdown]
# The third line is why this mistake survives: the loss printed on the screen is right.
#
# In the *discriminator's* step the same cut is right. There the fakes are data, and the generator's weights are not
# asked for; the walk through the generator would be thrown away. Detached or not, with $\psi$ the discriminator's
# weights,
#
# $$ \nabla_\psi L_D(D_\psi(\text{detach}(G(z)))) = \nabla_\psi L_D(D_\psi(G(z))). \tag{1.24} $$
#
# The engine goes further: it walks only the paths that lead to the inputs asked for. So the cut saves the *recording*
# of the generator's forward pass.

# %%
fake = two_layers(mg.tensor(noise), *theta)
reals = rng.standard_normal((32, 2))
loss_d = lambda images: losses.non_saturating.discriminator(
    two_layers(mg.tensor(reals), *psi), two_layers(images, *psi)
)
whole, detached = mg.grad(loss_d(fake), psi), mg.grad(loss_d(fake.detach()), psi)


def loss_d_numpy(vector):
    w1, b1, w2, b2 = shaped(vector, params[4:])
    on = lambda x: np.tanh(x @ w1 + b1) @ w2 + b2
    return np.logaddexp(0, -on(reals)).mean() + np.logaddexp(0, on(fake.data)).mean()


check(
    "1.24", "detaching fakes leaves D's gradient as it is", flat(detached), flat(whole), atol=1e-15
)
check("1.24a", "which is the true one", flat(detached),
      differences(loss_d_numpy, flat(params[4:]))[0], atol=1e-8)  # fmt: skip

# %% [markdown]
# *Article S1, section 2.4* says two things. First, that the two players have different losses, one "cross entropy",
# the other "binary cross entropy". Both are the same function, the binary cross entropy of a logit and a label,
# $\operatorname{BCE}(\ell, y) = -y \log \sigma(\ell) - (1 - y) \log \sigma(-\ell)$. Only the labels differ:
#
# $$ L_G = E\operatorname{BCE}(\ell_{\text{fake}}, 1), \qquad
# L_D = E\operatorname{BCE}(\ell_{\text{real}}, 1) + E\operatorname{BCE}(\ell_{\text{fake}}, 0). \tag{1.25} $$

# %%
bce = lambda t, y: (-y * np.log(sigmoid(t)) - (1 - y) * np.log(sigmoid(-t))).mean()
on_real, on_fake = rng.normal(1, 2, 50), rng.normal(-1, 2, 50)
check("1.25", "both players: BCE with other labels",
      [losses.non_saturating.generator(mg.tensor(on_fake)).item(),
       losses.non_saturating.discriminator(mg.tensor(on_real), mg.tensor(on_fake)).item()],
      [bce(on_fake, 1), bce(on_real, 1) + bce(on_fake, 0)], atol=1e-13, errata="S1.2")  # fmt: skip

# %% [markdown]
# Labels matter. *Article S3, section 5.2*, gives the generator's loss the labels of the whole mixed batch, half of
# them 1 and half 0, though all its logits are of fakes. (The shapes do not even match, 256 labels against 128
# logits.) Suppose they did. Then by $\partial \operatorname{BCE}/\partial \ell = \sigma(\ell) - y$, derived in lesson
# 2, a fake is pulled on average by
#
# $$ \frac{\partial}{\partial \ell} \left[ \tfrac{1}{2} \operatorname{BCE}(\ell, 1)
# + \tfrac{1}{2} \operatorname{BCE}(\ell, 0) \right]
# = \sigma(\ell) - \tfrac{1}{2}. \tag{1.26} $$
#
# It vanishes at $D = 1/2$ and pushes fakes that fool the discriminator *down*. A generator's labels are all 1.

# %%
leaf = mg.tensor(on_fake, requires_grad=True)
mixed = 0.5 * (ops.bce_with_logits(leaf, np.ones(50)) + ops.bce_with_logits(leaf, np.zeros(50)))
pull = mg.grad(mixed.sum(), leaf).data
check("1.26", "mixed labels pull to D = 1/2: sigma(l) - 1/2", pull, sigmoid(on_fake) - 0.5,
      atol=1e-14, errata="S3.3")  # fmt: skip
wanted = mg.grad(ops.bce_with_logits(leaf, np.ones(50)).sum(), leaf).data
check("1.26a", "labels of 1 always pull up", wanted, 0.0, atol=0, relation="<=")

# %% [markdown]
# *Section 2.4 of article S1* says, second, that backpropagation *is* the training method: it takes gradients and
# updates the parameters by gradient descent. Those are two steps by two parties. Backpropagation updates nothing: it
# computes a gradient, and the parameters are the same before and after. What to do with the gradient is the optimizer's
# business. The plainest, $\theta_{\text{new}} = \theta - \eta g$, lowers the
# loss because $L(\theta - \eta g) - L(\theta) = -\eta\, \langle g, g\rangle$ to first order:
#
# $$ \text{grad: } \theta_{\text{after}} = \theta, \qquad
# \text{step: } L(\theta - \eta g) = L(\theta) - \eta\, |g|^2 + O(\eta^2). \tag{1.27} $$

# %%
start = flat(params[:4])
gradients = mg.grad(
    losses.non_saturating.generator(two_layers(two_layers(mg.tensor(noise), *theta), *psi)), theta
)
check(
    "1.27", "a backward pass leaves the parameters alone", flat(theta), start, atol=0, errata="S1.2"
)

rate = 1e-7
mg.optim.SGD(theta, lr=rate).step(gradients)
check("1.27a", "the optimizer's step moves them", flat(theta), start, atol=1e-9, relation="!=",
      errata="S1.2")  # fmt: skip
drop = loss_of(np.concatenate([start, flat(params[4:])])) - loss_of(
    np.concatenate([flat(theta), flat(params[4:])])
)
check("1.27b", "and lowers the loss by lr |g|^2", drop / rate, (flat(gradients) ** 2).sum(), atol=0,
      rtol=1e-5)  # fmt: skip

# %% [markdown]
# "Lowers the loss" holds for one player with the other one frozen. That both do it at once, and why the losses then
# need not fall at all, is the subject of lessons 10 and 11.
#
# ## Exercises
#
# Replace each `raise NotImplementedError` and run the cell. The grader tries your function on a hundred random inputs
# and shows the smallest one that it fails on. Give back NumPy arrays (of a tensor `t`, that is `t.data`).

# %%
from hypothesis import strategies as st

from minigan.lessons.strategies import arrays, floats


def product_vjp(a, b, g):
    """The cotangents (abar, bbar) of y = a @ b, a (n, k) and b (k, m), for the cotangent g of y."""
    # Hint: write the sum of g * y with indices, and look what stands beside a[i, k] and beside
    # b[k, j].
    raise NotImplementedError


def right_product(answer, a, b, g, da, db):
    abar, bbar = answer(a, b, g)
    assert np.shape(abar) == a.shape and np.shape(bbar) == b.shape
    np.testing.assert_allclose(
        (abar * da).sum() + (bbar * db).sum(), (g * (da @ b + a @ db)).sum(), atol=1e-9
    )


square = arrays((3, 3), -2, 2)
grade("1.E1", product_vjp, right_product, a=square, b=square, g=square, da=square, db=square)


# %%
def sum_back(g, shape):
    """The cotangent of an array of this shape that was broadcast to g's shape (formula 1.6)."""
    # Hint: an entry that was used several times collects the cotangents of all its uses. Two
    # things stretch an array: axes added in front, and axes of length 1.
    raise NotImplementedError


def right_sum(answer, shape, seed):
    full = (2, *(n if n > 1 else 3 for n in shape))  # an axis more, and axes of length 1 stretched
    x, g = (
        np.random.default_rng(seed).standard_normal(shape),
        np.random.default_rng(seed + 1).standard_normal(full),
    )
    back = np.asarray(answer(g, shape))
    assert back.shape == tuple(shape), f"got shape {back.shape}"
    np.testing.assert_allclose((back * x).sum(), (g * np.broadcast_to(x, full)).sum(), atol=1e-9)


lengths = st.lists(st.sampled_from([1, 2, 4]), min_size=1, max_size=3).map(tuple)
grade("1.E2", sum_back, right_sum, shape=lengths, seed=st.integers(0, 100))


# %%
def backward_order(parents, output):
    """The nodes that `output` depends on, itself first, each one after all of its users.

    parents[i] is the list of nodes that node i was computed from. The numbers mean nothing: a
    parent's may be larger.
    """
    # Hint: go depth first, and write a node down when all its parents are written. Then look at
    # the list from the other end.
    raise NotImplementedError


@st.composite
def graphs(draw):
    """A random graph without cycles, its nodes renamed at random."""
    n = draw(st.integers(1, 7))
    older = [draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else [] for i in range(n)]
    names = draw(st.permutations(range(n)))
    return {names[i]: [names[j] for j in older[i]] for i in range(n)}, names[n - 1]


def right_order(answer, graph):
    parents, output = graph
    order = list(answer({i: list(p) for i, p in parents.items()}, output))
    reached, stack = set(), [output]
    while stack:
        if (i := stack.pop()) not in reached:
            reached.add(i)
            stack += parents[i]
    assert sorted(order) == sorted(reached), (
        f"got the nodes {order}, expected each of {sorted(reached)} once"
    )
    for child in reached:
        assert all(order.index(child) < order.index(p) for p in parents[child]), (
            f"{child} comes after a parent in {order}"
        )


grade("1.E3", backward_order, right_order, graph=graphs())


# %%
def forward_product(pull, v, outputs):
    """J v, given only pull(u) = J^T u, u of length `outputs`: (1.18) by hand, one pull an output.

    (J v)_i = <e_i, J v> = <J^T e_i, v>, e_i the i-th unit vector.
    """
    # Hint: which vectors u make pull(u) a row of J?
    raise NotImplementedError


def right_forward(answer, jacobian, v):
    np.testing.assert_allclose(
        answer(lambda u: jacobian.T @ u, v, len(jacobian)), jacobian @ v, atol=1e-9
    )


matrices = arrays((3, 3), -2, 2) | arrays((2, 3), -2, 2)
grade("1.E4", forward_product, right_forward, jacobian=matrices, v=arrays(3, -2, 2))


# %%
def best_step(value, third, eps):
    """The step h for the smallest bound (1.12): `value` bounds |f|, `third` bounds |f'''|."""
    # Hint: the bound is a falling term plus a rising one. Set its derivative in h to 0.
    raise NotImplementedError


def right_step(answer, value, third, eps, factor):
    error = lambda h: third * h**2 / 6 + eps * value / h
    h = answer(value, third, eps)
    assert h > 0 and error(h) <= error(factor * h) * (1 + 1e-9), (
        f"h = {h:.3g} is worse than {factor * h:.3g}"
    )


grade("1.E5", best_step, right_step, value=floats(0.1, 100), third=floats(0.1, 100),
      eps=st.sampled_from([2.0**-52, 2.0**-23]), factor=floats(0.5, 2.0))  # fmt: skip

# %% [markdown]
# ## What to read next
#
# * A. Griewank, A. Walther, *Evaluating Derivatives* (2nd edition 2008), chapters 3 and 4: the theory of both modes,
#   and the cheap gradient principle with its constant.
# * A. G. Baydin, B. A. Pearlmutter, A. A. Radul, J. M. Siskind, *Automatic differentiation in machine learning: a
#   survey* (2018, arXiv 1502.05767), sections 2 and 3.
# * B. A. Pearlmutter, *Fast exact multiplication by the Hessian* (1994): formula (1.19).
# * I. Gulrajani and others, *Improved Training of Wasserstein GANs* (2017, arXiv 1704.00028), section 4: the gradient
#   penalty.
# * In this repository: [grad](../minigan/autodiff.py#grad), a file for one sitting, then
#   [derivatives](../minigan/derivatives.py#jvp) and [gradcheck](../minigan/gradcheck.py#gradcheck).
#
# Lesson 2 asks what happens to these formulas when numbers have only 16 digits, or 7: why the loss of a GAN must be
# written on logits, and how a correct formula can lose every digit.
