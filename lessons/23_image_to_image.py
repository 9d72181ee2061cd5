# %% [markdown]
# # 23. Image to image: what a cycle closes, and what it leaves open
#
# Horses to zebras, sketches to photographs: a map $G$ from images $a$ to images $b$. With pairs one can compare $G(a)$ with
# the true $b$ (pix2pix). Without, one asks that $G(a)$ look like some $b$, and that a second map $F$ lead back:
# $F(G(a)) = a$ (CycleGAN, DiscoGAN). Is that enough to find the true map?
#
# You need: lessons 5, 7 and 14; the median.
#
# **Predict first.** Points $a$ in the plane have covariance $\Sigma_a$, and $b = Ta$ for a secret matrix $T$. From points
# $a$ and, apart from them, points $b$, we look for matrices $W$ for $T$ and $V$ for its inverse, so that $Wa$ has the
# covariance of $b$, $Vb$ that of $a$, and $VWa = a$. All three can be had exactly. Of twelve searches from random starts, how
# many find $T$: (a) all, (b) half of them, (c) none?

# %%
import itertools
import math

import numpy as np
from hypothesis import strategies as st
from scipy.stats import norm

import minigan as mg
from minigan import ops, optim
from minigan.data import transforms
from minigan.gans.translators import PatchGAN, receptive_field
from minigan.lessons import check, figure, grade, show
from minigan.lessons.figures import BLUE, GREEN, GREY, ORANGE
from minigan.lessons.strategies import floats
from minigan.random import Source
from minigan.theory import divergences

random = np.random.default_rng(0)
turn = lambda t: np.array([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])
T, spread_a = (
    np.array([[1.5, 0.4], [0.0, 0.6]]),
    np.diag([1.2, 0.5]),
)  # spread_a: the root of a's covariance
S_a = spread_a @ spread_a
S_b = T @ S_a @ T.T


def losses_of(W, V):
    """For each pair of matrices the two games' discrepancies of covariances, and the cycle E|VWa - a|^2; W, V (n, 2, 2)."""
    flipped = lambda M: ops.transpose(M, (0, 2, 1))
    squares = lambda M: ops.sum(ops.square(M), axis=(1, 2))
    games = squares(W @ S_a @ flipped(W) - S_b) + squares(V @ S_b @ flipped(V) - S_a)
    return games + squares((V @ W - np.eye(2)) @ spread_a)


W, V = (mg.tensor(random.standard_normal((12, 2, 2)), requires_grad=True) for _ in range(2))
adam = optim.Adam({"W": W, "V": V}, lr=optim.linear(0.05, steps=1500))
for _ in range(1500):
    adam.step(mg.grad(ops.sum(losses_of(W, V)), list(adam.parameters.values())))
found, ends = W.numpy(), losses_of(W, V).numpy()
away = np.linalg.norm(found - T, axis=(1, 2))
print(
    f"losses at the end: at most {ends.max():.0e}; |W - T| from {away.min():.2f} to {away.max():.2f}"
)

# %%
fig, axes = figure(1, 3, width=7.6, height=2.8)
a = random.standard_normal((400, 2)) @ spread_a
hue = np.arctan2(a[:, 1] / 0.5, a[:, 0] / 1.2)
for ax, b, title in zip(
    axes, (a, a @ T.T, a @ found[0].T), ("$a$", "the true $Ta$", "one that was found"), strict=True
):
    for k, colour in enumerate((BLUE, ORANGE, GREEN, GREY)):
        chosen = np.floor((hue + np.pi) / (np.pi / 2)) % 4 == k
        ax.plot(*b[chosen].T, ".", color=colour, markersize=3)
    ax.set(aspect="equal", xlim=(-5, 5), ylim=(-3, 3), title=title)
show(fig, "maps",
     alt="Three clouds in four colours; the second and the third have one shape, with the colours elsewhere.")  # fmt: skip

# %% [markdown]
# (c). The clouds agree, the colours do not: who began on the right may end at the top. Every search is perfect by its own
# measure.
#
# ## 1. All maps that close the cycle
#
# The game fixes $W$ up to a rotation or reflection $R$, and the cycle follows for nothing:
#
# $$ W\Sigma_aW^\top = \Sigma_b \iff W = \Sigma_b^{1/2}R\,\Sigma_a^{-1/2},\quad RR^\top = 1,
# \qquad V = W^{-1}\ \Rightarrow\ VWa = a . \tag{23.1} $$
#
# Nothing here is special to matrices. Let $S$ be *any* invertible map that leaves the law $p$ of $a$ as it is. Then
#
# $$ G' = G\circ S,\quad F' = S^{-1}\circ F: \qquad G'_\#p = G_\#p = q, \qquad F'\circ G' = S^{-1}\circ F\circ G\circ S
# = \mathrm{id} . \tag{23.2} $$
#
# Both games at their optimum, both cycles closed, and the map is wrong. How many are there? If $a$ takes finitely many values
# with weights, $S$ may exchange those of equal weight. With $m_w$ values of weight $w$ the games and the cycle leave
#
# $$ \prod_w m_w! \tag{23.3} $$
#
# maps, where there are as many values of $b$ with the same weights. Ten equally frequent digits: 3,628,800. The cycle only
# excludes what is not invertible, two values of $a$ on one of $b$: with unequal weights a game alone may allow that.

# %%
root = lambda S: (lambda w, U: U * np.sqrt(w) @ U.T)(*np.linalg.eigh(S))
between = np.linalg.inv(root(S_b)) @ found @ root(S_a)
check("23.1", "each search ends at an orthogonal R", between @ between.transpose(0, 2, 1),
      np.broadcast_to(np.eye(2), (12, 2, 2)), atol=1e-3)  # fmt: skip
check("23.1a", "and nowhere near T", away, 0.2, atol=0, relation=">=")
check("23.1b", "with a loss of nothing", ends, 1e-6, atol=0, relation="<=")
for angle in (0.3, 2.0):
    turned = root(S_b) @ turn(angle) @ np.linalg.inv(root(S_a))
    both = [mg.tensor(each[None]) for each in (turned, np.linalg.inv(turned))]
    check("23.1c", "any R does", losses_of(*both).item(), 0, atol=1e-20)
    far = [losses_of(2 * both[0], both[1]).item(), losses_of(both[0], 2 * both[1]).item()]
    cycle = np.sum(S_a)
    check("23.1d", "twice as long, it is charged for: 3 |S| in a game, and |spread| in the cycle", far,
          [9 * np.sum(S**2) + cycle for S in (S_b, S_a)], atol=1e-12)  # fmt: skip
cdf = lambda t: norm.cdf(t)
S = lambda t: norm.ppf(
    (cdf(t) + 0.3) % 1
)  # moves every point along by 30 % of the law: N(0, 1) stays N(0, 1)
back = lambda t: norm.ppf((cdf(t) - 0.3) % 1)
points = norm.ppf((np.arange(2000) + 0.5) / 2000)
check("23.2", "S leaves N(0, 1) as it is", np.sort(S(points)), points, atol=1e-9)
check("23.2a", "so G(S(a)) = exp(S(a)) is log-normal, too, and the cycle closes",
      back(np.log(np.exp(S(points)))), points, atol=1e-9)  # fmt: skip
check(
    "23.2b", "G' is another map than G", np.abs(S(points) - points).mean(), 1, atol=0, relation=">="
)


def maps_that_fit(weights):
    """How many maps between values of these weights push the law forward and can be inverted: tried one by one."""
    n = len(weights)
    fits = lambda image: np.allclose(np.bincount(image, weights, minlength=n), weights)
    return sum(fits(m) for m in itertools.permutations(range(n)))


for weights in ([0.25] * 4, [0.3, 0.3, 0.2, 0.2], [0.4, 0.2, 0.2, 0.2], [0.4, 0.3, 0.2, 0.1]):
    product = math.prod(math.factorial(weights.count(w)) for w in set(weights))
    check("23.3", f"maps for weights {weights}", maps_that_fit(weights), product, atol=0)
halves = np.array([0.5, 0.25, 0.25])
alone = sum(
    np.allclose(np.bincount(m, [0.25] * 4, minlength=3), halves)
    for m in itertools.product(range(3), repeat=4)
)
check(
    "23.3a", "without a cycle two values may meet: 4!/2! maps", alone, math.factorial(4) / 2, atol=0
)

# %% [markdown]
# ## 2. What the identity term adds
#
# CycleGAN also asks $G(b) \approx b$. On images that belong to both sets that is a real constraint. But where no image is in
# both, as with digits and their negatives, $G$ may be one thing on $a$ and another on $b$:
#
# $$ \operatorname{supp} p\cap\operatorname{supp} q = \emptyset:\qquad
# G = \begin{cases} T\circ S & \text{on } a\\ \mathrm{id} & \text{on } b\end{cases}
# \quad\Rightarrow\quad L_\text{idt} = L_\text{cyc} = 0 . \tag{23.4} $$
#
# What is left is *the network*: a few small convolutions with one set of weights can hardly exchange a 4 and a 9, and easily
# exchange black and white. The right map is found because it is simple. That works until the true map is not the simplest.
#
# ## 3. A cycle that closes because something is hidden
#
# Let $b$ hold less than $a$: $a$ in colour, $b$ grey. No $F$ can know the colour. For $n$ equally likely $a$ on $m < n$ of
# $b$, at most $m$ come back:
#
# $$ P(F(G(a)) = a) \le m/n . \tag{23.5} $$
#
# But grey images have room. With the lowest of eight bits of each of $N$ pixels
#
# $$ \log_2 n \le N \quad\Rightarrow\quad F(G(a)) = a \quad\text{with}\quad |G(a) - b| \le \frac{2}{255} , \tag{23.6} $$
#
# a change that nobody sees. Trained CycleGANs do just this (Chu et al. 2017): the aerial photograph's details lie in the
# map, too faint for the eye, and noise of that size in $G(a)$ destroys $F(G(a))$. So a small cycle error is no proof that
# $G(a)$ *shows* $a$. And L1 for the cycle counts what was hidden as if it were shown.

# %%
glyphs = np.asarray(mg.data.load("glyphs", n=200).x)
negative = -glyphs
apart = min(np.abs(each - negative).mean(axis=(1, 2, 3)).min() for each in glyphs)
check("23.4", "no digit is near any negative", apart, 1, atol=0, relation=">=")
wrong = np.roll(
    np.arange(200), 1
)  # S: each digit becomes the next one; as a map of the 200 it keeps their law
G = lambda x: (
    negative[wrong[np.abs(glyphs - x).mean(axis=(1, 2, 3)).argmin()]] if x.mean() < 0 else x
)
F = lambda y: (
    glyphs[np.argsort(wrong)[np.abs(negative - y).mean(axis=(1, 2, 3)).argmin()]]
    if y.mean() > 0
    else y
)
cycle = max(np.abs(F(G(x)) - x).max() for x in glyphs)
identity = max(np.abs(G(y) - y).max() for y in negative)
check("23.4a", "cycle and identity of the wrong G", [cycle, identity], 0, atol=0)
check(
    "23.4b",
    "which is wrong",
    np.mean([np.abs(G(x) + x).mean() for x in glyphs]),
    0.2,
    atol=0,
    relation=">=",
)
n, m = 6, 2
returned = [
    len({image[k] for k in range(n)}) / n  # an F picks one of the values of a behind each b
    for image in itertools.product(range(m), repeat=n)
]
check("23.5", "of 6 values on 2 at most a third come back", max(returned), m / n, atol=1e-15)


def hidden(grey, number):
    """The image (N,) of bytes with a number's binary digits in its lowest bits."""
    bits = (number >> np.arange(len(grey))) & 1
    return (grey & 254) | bits.astype(np.uint8)


grey = ((glyphs[0].reshape(-1) + 1) * 127.5).astype(np.uint8)
kept = hidden(grey, 12_345_678)
read = int(((kept[:24] & 1).astype(np.int64) << np.arange(24)).sum())
check("23.6", "a colour of 24 bits comes back", read, 12_345_678, atol=0)
check("23.6a", "from a change of one step of 255", np.abs(kept / 127.5 - grey / 127.5), 2 / 255, atol=1e-12,
      relation="<=")  # fmt: skip
noisy = np.clip(kept.astype(int) + random.integers(-1, 2, kept.shape), 0, 255)
lost = np.mean((noisy[:24] & 1) != (kept[:24] & 1))
print(f"with noise of one step {lost:.0%} of the bits are wrong")

# %% [markdown]
# ## 4. With pairs: L1 is the median
#
# Now let pairs be given, and several $b$ fit one $a$. Then L1 alone is least, pixel by pixel, where
#
# $$ \frac{d}{dc}\,E|b - c| = P(b < c) - P(b > c) = 0 : \tag{23.7} $$
#
# at the median of $p(b\mid a)$; the square at the mean. Take a digit in a random saturated hue. Each channel is $-1$ or $1$ with
# probability $1/3$ and uniform between for the rest, so
#
# $$ E|b - c| = \frac23 + \frac{1 + c^2}{6}, \qquad c^* = 0,\quad E|b - c^*| = \frac56,\quad
# E|b - b'| = \frac{26}{27} \text{ for another true one.} \tag{23.8} $$
#
# L1 paints *grey*, and every coloured answer costs more. The game pays for colours: grey is in no $p(b\mid a)$.
#
# Is it blur? A thin line whose place is uncertain, of width $w$ anywhere in a length $L$, has each pixel white with
# probability $w/L$:
#
# $$ c^*_{L1} = \begin{cases}\text{black} & w < L/2\\ \text{white} & w > L/2\end{cases}, \qquad
# c^*_{L2} = \text{grey, } w/L . \tag{23.9} $$
#
# L2 blurs, L1 *deletes*: it takes what is likelier pixel by pixel. An edge of uncertain place stays sharp under L1, at
# the median place. Textures vanish. In pix2pix L1 keeps the image in place and the game puts back what a median has not.

# %%
hue = (np.arange(90_000) + 0.5) / 90_000
channel = transforms.hues(hue)[:, 0]
for c in (-0.5, 0.2):
    slope = (np.abs(channel - c - 1e-3).mean() - np.abs(channel - c + 1e-3).mean()) / 2e-3
    check(
        "23.7",
        "the slope of E|b - c|",
        slope,
        np.mean(channel < c) - np.mean(channel > c),
        atol=1e-3,
    )
    check(
        "23.8",
        "E|b - c| of a hue's channel",
        np.abs(channel - c).mean(),
        2 / 3 + (1 + c**2) / 6,
        atol=1e-6,
    )
check("23.8a", "least at grey", [np.median(channel), np.abs(channel).mean()], [0, 5 / 6], atol=1e-4)
check(
    "23.8b",
    "another hue costs 26/27",
    np.abs(channel[::300, None] - channel[None, ::300]).mean(),
    26 / 27,
    atol=1e-3,
)
length, grid = 100, np.linspace(-1, 1, 201)
for w in (10, 70):
    line = np.where(
        (np.arange(length)[:, None] - np.arange(length)) % length < w, 1.0, -1.0
    )  # all places
    l1, l2 = (
        np.array([[cost(line[:, i] - c).mean() for c in grid] for i in (0, 50)])
        for cost in (np.abs, np.square)
    )
    check(
        "23.9",
        f"L1 of a line of width {w}",
        grid[l1.argmin(axis=1)],
        1 if w > 50 else -1,
        atol=1e-9,
    )
    check(
        "23.9a",
        f"L2 of a line of width {w}",
        grid[l2.argmin(axis=1)],
        2 * w / length - 1,
        atol=1e-9,
    )
place = random.normal(0, 1, 4001)
place = np.sort(np.concatenate([place, -place]))
x = np.linspace(-3, 3, 31)
edge = np.where(x > place[:, None], 1.0, -1.0)
check(
    "23.9b",
    "an edge stays sharp under L1",
    np.abs(np.median(edge, axis=0)[np.abs(x) > 0.05]),
    1,
    atol=0,
)

# %%
fig, axes = figure(1, 2, width=7.2, height=2.6)
axes[0].plot(x, edge.mean(axis=0), color=ORANGE, linestyle="--", label="L2: the mean")
axes[0].plot(x, np.median(edge, axis=0), color=BLUE, label="L1: the median")
axes[0].set(xlabel="place", ylabel="grey", title="an uncertain edge")
axes[0].legend(fontsize=8)
bars = np.array([5 / 6, 26 / 27, 1.0])
axes[1].bar(["grey", "a random hue", "pure red"], bars, color=[GREY, GREEN, ORANGE])
axes[1].set(ylabel="$E|b - c|$ a channel", ylim=(0.7, 1.05), title="what a colour costs in L1")
show(fig, "medians",
     alt="Left, the mean of an uncertain edge is a slope, the median a step. Right, grey costs least.")  # fmt: skip

# %% [markdown]
# ## 5. A discriminator of patches
#
# If L1 takes care of where things are, $D$ need only judge what they are made of: patches. A PatchGAN is a stack of
# convolutions without a dense layer; one logit sees a square of side
#
# $$ r = 1 + \sum_l (k_l - 1)\prod_{i<l}s_i , \tag{23.10} $$
#
# for kernels $k_l$ and strides $s_l$ ([`receptive_field`](../minigan/gans/translators.py#receptive_field)): 70 pixels in the
# paper, 22 in ours, at 28. With a logit a patch, the mean of the losses is
# a game for each place, and at its optimum
#
# $$ V = \operatorname{mean}_i\left[2\,\mathrm{JSD}(p_i, q_i)\right] - \log 4
# \;\le\; 2\,\mathrm{JSD}(p, q) - \log 4 , \tag{23.11} $$
#
# $p_i$ the law of the patch at $i$ (a patch is a function of the image, and no function makes two laws easier to tell apart).
# Equality of all patches is not equality of images: halves A|A, B|B against A|B, B|A look alike through half an image,
#
# $$ \mathrm{JSD}(p_i, q_i) = 0 \quad\text{and}\quad \mathrm{JSD}(p, q) = \log 2 . \tag{23.12} $$
#
# That is what is meant by texture.

# %%
ours, paper = PatchGAN.convolutions, [(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)]
check(
    "23.10", "sides of a patch", [receptive_field(ours), receptive_field(paper)], [22, 70], atol=0
)
D = PatchGAN(1, 4, norm=None).astype(np.float64).initialize(Source(0), "D")
image = mg.tensor(random.uniform(-1, 1, (1, 64, 64, 1)), requires_grad=True)
felt = np.abs(mg.grad(D(image)[0, 8, 8, 0], image).data[0, :, :, 0]) > 0
check(
    "23.10a",
    "where one logit has a gradient",
    [felt.any(axis=0).sum(), felt.any(axis=1).sum()],
    22,
    atol=0,
)
joint_p, joint_q = random.dirichlet(np.ones(16), 2).reshape(
    2, 4, 4
)  # of two patches with four values each
sides = [(joint_p.sum(axis), joint_q.sum(axis)) for axis in (0, 1)]
patches = np.mean([2 * divergences.jsd(p, q) for p, q in sides]) - math.log(4)
whole = 2 * divergences.jsd(joint_p.ravel(), joint_q.ravel()) - math.log(4)
check(
    "23.11", "patches are told apart no better than images", patches, whole, atol=0, relation="<="
)
best = [p / (p + q) for p, q in sides]
value = np.mean([p @ np.log(d) + q @ np.log(1 - d) for (p, q), d in zip(sides, best, strict=True)])
check("23.11a", "the value at the best D of every place", value, patches, atol=1e-14)
alike, crossed = np.array([[0.5, 0.0], [0.0, 0.5]]), np.array([[0.0, 0.5], [0.5, 0.0]])
parts = [divergences.jsd(alike.sum(axis), crossed.sum(axis)) for axis in (0, 1)]
check("23.12", "equal halves, different images", [*parts, divergences.jsd(alike.ravel(), crossed.ravel())],
      [0, 0, math.log(2)], atol=1e-14)  # fmt: skip

# %% [markdown]
# ## 6. At work
#
# `minigan train cyclegan` ([`generator_loss`](../minigan/gans/cyclegan.py#CycleGAN.generator_loss)) turns digits into
# their negatives and back; watch the first steps: in the run we looked at it first drew blots around the strokes, from
# which $F$ read the digit back. `minigan train discogan` finds ink on yellow paper, and its narrow middle may exchange
# digits. `minigan train pix2pix` shows L1 alone beside the game, `minigan train bicyclegan` several translations of one
# image. `minigan train cogan` makes pairs that nobody showed it, and `minigan train pixelda` carries labels along. Each is
# told by `minigan evaluate` how far it is from the true map, which no loss ever hears of.
#
# ## Exercises


# %%
def maps_left(weights):
    """How many maps the games and the cycle leave, if a and b each take len(weights) values with these whole-number weights."""
    # Hint: (23.3).
    raise NotImplementedError


def maps_property(answer, weights):
    law = [w / sum(weights) for w in weights]
    want = maps_that_fit(law)
    assert answer(weights) == want, f"for {weights}: {want}"


grade(
    "23.E1", maps_left, maps_property, weights=st.lists(st.integers(1, 3), min_size=2, max_size=5)
)


# %%
def best_under_l1(values, weights):
    """A c that makes Σ_i weights_i |values_i − c| least."""
    # Hint: (23.7) with weights. Sort the values.
    raise NotImplementedError


def l1_property(answer, values, weights):
    v, w = np.array(values), np.array(weights[: len(values)])
    cost = lambda c: float(np.sum(w * np.abs(v - c)))
    want = min(cost(c) for c in v)  # a kink is at each value, and the least is at one
    assert cost(answer(v, w)) <= want + 1e-9, f"costs {cost(answer(v, w))}, not {want}"


grade("23.E2", best_under_l1, l1_property, values=st.lists(floats(-1, 1), min_size=1, max_size=7),
      weights=st.lists(floats(0.1, 3), min_size=7, max_size=7))  # fmt: skip


# %%
def patch_at(layers, place):
    """(first, last): the input places that output `place` sees, of convolutions (kernel, stride) without padding, in 1-D."""
    # Hint: of one layer, output i sees i s, ..., i s + k − 1. Go from the last layer to the first.
    raise NotImplementedError


def patch_property(answer, layers, place):
    first, last = place, place
    for kernel, stride in reversed(layers):
        first, last = first * stride, last * stride + kernel - 1
    got = tuple(answer(layers, place))
    assert got == (first, last), f"got {got}, expected {(first, last)}"
    assert last - first + 1 == receptive_field(layers)


grade("23.E3", patch_at, patch_property, layers=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1,
      max_size=4), place=st.integers(0, 5))  # fmt: skip


# %%
def hide(image, number):
    """An image of bytes, none more than 1 away, whose lowest bits are the digits of number < 2^len(image), the last one first."""
    # Hint: odd and even.
    raise NotImplementedError


def hide_property(answer, image, number):
    grey = np.array(image, np.uint8)
    number %= 2 ** len(image)
    made = np.asarray(answer(grey, number))
    assert np.abs(made.astype(int) - grey.astype(int)).max() <= 1, "a byte has moved by more than 1"
    digits = [int(b) & 1 for b in made]
    assert sum(d << i for i, d in enumerate(digits)) == number, (
        "the lowest bits are not the number's"
    )


grade("23.E4", hide, hide_property, image=st.lists(st.integers(0, 255), min_size=1, max_size=12),
      number=st.integers(0, 4095))  # fmt: skip

# %% [markdown]
# ## What to read next
#
# - P. Isola, J. Zhu, T. Zhou, A. Efros, *Image-to-Image Translation with Conditional Adversarial Networks* (2016, arXiv
#   1611.07004): section 4.1 on colour, 4.2 on patches.
# - J. Zhu, T. Park, P. Isola, A. Efros, *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks*
#   (2017, arXiv 1703.10593): sections 3 and 5.1.4, on what each term does, and 5.3, on failures.
# - C. Chu, A. Zhmoginov, M. Sandler, *CycleGAN, a Master of Steganography* (2017, arXiv 1712.02950).
# - T. Galanti, L. Wolf, S. Benaim, *The Role of Minimal Complexity Functions in Unsupervised Learning of Semantic
#   Mappings* (2017, arXiv 1709.00074): why the simplest map.
# - Next: lesson 24, style, resolution, and what PSNR does not measure.
