# %% [markdown]
# # 19. Convolution and its transpose
#
# A convolutional generator begins with a map of 4 x 4 positions and ends with an image. On its way up it takes
# *transposed* convolutions, and many a GAN's pictures bear their mark: a chessboard that nobody asked for. This lesson
# writes a convolution as a matrix, transposes it, and reads the rest off that matrix: the sizes, the derivatives of
# every order, where the chessboard comes from, and two ways round it.
#
# You need: matrices and inner products, gradients (lesson 1).
#
# **Predict first.** On a small map all positions hold the *same* numbers. Three layers with random weights double its
# sides, three times: (a) transposed convolutions with 5 x 5 kernels, (b) with 4 x 4 kernels, (c) nearest-neighbour
# enlargement, each followed by an ordinary 3 x 3 convolution. Away from the edges, which of the three pictures are
# constant?

# %%
import math

import numpy as np
from hypothesis import strategies as st

import minigan as mg
from minigan import ops
from minigan.gans import dcgan
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLUE, GREY, ORANGE
from minigan.lessons.strategies import arrays


def grown(kernel, resize, channels=16, seed=4):
    """The middle of what three random layers make of a constant map."""
    random = np.random.default_rng(seed)
    h = mg.tensor(np.ones((1, 12, 12, 1)) * random.standard_normal(channels))
    for outputs in (channels, channels, 1):
        w = (
            random.standard_normal((kernel, kernel, channels, outputs))
            / kernel
            / math.sqrt(channels)
        )
        transposed = w.swapaxes(-1, -2)
        h = (
            ops.conv(ops.upsample(h, scale=2), w)
            if resize
            else ops.conv_transpose(h, transposed, stride=2)
        )
        h = ops.leaky_relu(h) if outputs > 1 else h
    return h.numpy()[0, 36:60, 36:60, 0]


made = {
    "(a) transposed, 5 x 5": grown(5, resize=False),
    "(b) transposed, 4 x 4": grown(4, resize=False),
    "(c) resize, 3 x 3": grown(3, resize=True),
}

# %%
fig, axes = figure(1, 3, width=7.2, height=2.7)
for ax, (title, picture) in zip(axes, made.items(), strict=True):
    reach = max(np.abs(picture - picture.mean()).max(), 1e-6)
    ax.imshow(picture - picture.mean(), cmap="cividis", vmin=-reach, vmax=reach)
    ax.set(title=title, xticks=[], yticks=[])
    ax.grid(False)
show(fig, "grown",
     alt="Three pictures grown from a constant map: two with a fine regular texture, the third one flat.")  # fmt: skip

# %% [markdown]
# Only (c). That (b) has a texture as well surprises many, and section 4 says why.
#
# ## 1. One relation, one matrix
#
# Take one axis and one channel. A convolution with kernel $w_0, \dots, w_{k-1}$, stride $s$, dilation $d$ and $p$ zeros
# put before the input lets an output $o$ and an input $i$ meet under the tap $j$ when $i = os + jd - p$:
#
# $$ y_o = \sum_j w_j\,x_{os + jd - p}, \qquad y = Ax, \qquad A_{oi} = w_j \;\text{ if } i = os + jd - p, \text{ else } 0 .
# \tag{19.1} $$
#
# (Deep learning does not turn the kernel round, and calls a correlation a convolution.) With $p'$ zeros behind, the last
# tap of the last output must not lie beyond the last of them, $(m - 1)s + (k - 1)d \le n - 1 + p + p'$. So $n$ inputs
# have
#
# $$ m = \left\lfloor\frac{n + p + p' - (k - 1)d - 1}{s}\right\rfloor + 1 \tag{19.2} $$
#
# outputs. Each row of $A$ is the row above, moved by $s$. That is the whole idea: $k$ numbers in place of $mn$, and what
# is seen here is seen there, too. With $S_a$ for "move by $a$ positions", and away from the ends,
#
# $$ A\,S_s\,x = S_1\,A\,x . \tag{19.3} $$
#
# In two dimensions $i, o, j$ are pairs, and with channels $w_j$ is a small matrix. Nothing else changes.


# %%
def matrix(w, n, s, p, d=1, behind=None):
    """A of (19.1), for n inputs."""
    behind = p if behind is None else behind
    outputs = (n + p + behind - (len(w) - 1) * d - 1) // s + 1
    a = np.zeros((outputs, n))
    for o in range(outputs):
        for j, value in enumerate(w):
            if 0 <= o * s + j * d - p < n:
                a[o, o * s + j * d - p] = value
    return a


line = lambda values: np.asarray(values, dtype=float)[None, :, None]  # (1, positions, 1 channel)
taps = lambda values: np.asarray(values, dtype=float)[:, None, None]
random = np.random.default_rng(0)
w, x = random.standard_normal(5), random.standard_normal(16)
for letter, s, p, d in (("a", 1, 2, 1), ("b", 2, 2, 1), ("c", 3, 1, 2)):
    by_engine = ops.conv(line(x), taps(w), stride=s, padding=p, dilation=d).numpy()[0, :, 0]
    check(f"19.1{letter}", f"stride {s}, dilation {d}: y = Ax", by_engine, matrix(w, 16, s, p, d) @ x,
          atol=1e-13)  # fmt: skip
tried = [(n, k, s, p, d) for n in (9, 12) for k in (1, 3, 4) for s in (1, 2, 3) for p in (0, 2) for d in (1, 2)]  # fmt: skip
lengths = [
    ops.conv(line(np.ones(n)), taps(np.ones(k)), stride=s, padding=p, dilation=d).shape[1]
    for n, k, s, p, d in tried
]
check("19.2", "how many outputs, 72 geometries", lengths,
      [(n + 2 * p - (k - 1) * d - 1) // s + 1 for n, k, s, p, d in tried], atol=0)  # fmt: skip
stride = 3
long = matrix(w, 40, stride, 2)
bump = np.zeros(40)
bump[15:22] = random.standard_normal(7)
check("19.3", "the input moved by s: the output moved by 1", long @ np.roll(bump, stride),
      np.roll(long @ bump, 1), atol=1e-14)  # fmt: skip

# %% [markdown]
# ## 2. The transpose
#
# A generator needs a linear map from few positions to many with the same virtues. There is one for free:
#
# $$ \langle Ax, g\rangle = \langle x, A^T g\rangle \quad\text{for all } x, g . \tag{19.4} $$
#
# The equation is a definition that needs no matrix: whatever satisfies it *is* the transpose. It also is the best test
# of an implementation: two random arrays, both sides, and every index, padding and edge is checked at once. Written out,
#
# $$ (A^T g)_i = \sum_{o, j:\; os + jd - p = i} w_j\,g_o , \tag{19.5} $$
#
# each input is stamped, times the kernel, on the output, at a distance of $s$, and overlapping stamps add up
# ([`conv_transpose`](../minigan/ops/conv.py#conv_transpose)). It is not the inverse, whatever the name "deconvolution"
# promises. Take $w = (1, 1)$ and $s = 2$: then $A$ adds up pairs, $A^T$ gives the sum to both, and
#
# $$ A^T A \begin{pmatrix}a\\b\end{pmatrix} = \begin{pmatrix}a + b\\a + b\end{pmatrix} . \tag{19.6} $$
#
# **Sizes.** The floor in (19.2) forgets a remainder. So $s$ lengths $n$ lead to the same $m$, and the way back has
# to be told which. With $r = 0, \dots, s - 1$, which some libraries call *output padding*,
#
# $$ n = (m - 1)s + (k - 1)d + 1 - p - p' + r . \tag{19.7} $$
#
# Here you say `output_size`. To double ($s = 2$, $d = 1$), choose $k + r = p + p' + 2$: kernel 4 with 1 zero on
# each side, kernel 5 with 1 and 2. A DCGAN doubles four times from 4 x 4 (Radford et al. 2015, figure 1), ours
# ([`convolutional`](../minigan/gans/dcgan.py#convolutional)) three times from 8 x 8, and for digits twice from 7 x 7:
#
# $$ 4 \to 8 \to 16 \to 32 \to 64, \qquad n = 4 \cdot 2^L . \tag{19.8} $$

# %%
x, g = random.standard_normal((2, 11, 9, 3)), random.standard_normal((2, 6, 3, 4))
w2 = random.standard_normal((5, 4, 3, 4))
options = {"stride": (2, 3), "padding": (2, 1)}
forth = ops.conv(x, w2, **options)
back = ops.conv_transpose(g, w2, output_size=(11, 9), **options)
check("19.4", "⟨Ax, g⟩ = ⟨x, Aᵀg⟩, two axes, channels", np.sum(forth.data * g), np.sum(x * back.data),
      atol=1e-11)  # fmt: skip
g = random.standard_normal(8)
stamped = np.zeros(16 + 4)
for o in range(8):
    stamped[2 * o : 2 * o + 5] += g[o] * w
stamped = stamped[2:18]
upward = ops.conv_transpose(line(g), taps(w), stride=2, padding=2, output_size=16)
check(
    "19.5", "the transpose stamps the kernel, s apart", upward.numpy()[0, :, 0], stamped, atol=1e-14
)
check("19.5a", "and is the matrix Aᵀ", matrix(w, 16, 2, 2).T @ g, stamped, atol=1e-14)
a, b = 0.7, -1.9
pairs = matrix([1, 1], 2, 2, 0)
check("19.6", "AᵀA is not the identity", pairs.T @ pairs @ [a, b], [a + b, a + b], atol=1e-15)

# %%
m, k, s, p = 7, 4, 3, 1
fitting = [n for n in range(1, 60) if n + 2 * p >= k and matrix(np.ones(k), n, s, p).shape[0] == m]
check("19.7", "s lengths have the same m", fitting, (m - 1) * s + k - 2 * p + np.arange(s), atol=0)
sides = [4]
for kernel, padding in ((5, (1, 2)), (4, (1, 1)), (5, (1, 2)), (4, (1, 1))):
    small = line(np.ones(sides[-1]))
    sides.append(ops.conv_transpose(small, taps(np.ones(kernel)), stride=2, padding=[padding]).shape[1])  # fmt: skip
check("19.8", "kernels 5 and 4 both double", sides, 4 * 2 ** np.arange(5), atol=0)
for letter, side, start in (("a", 64, 8), ("b", 28, 7)):
    small_net = {"latent": 3, "features": 2, "norm": "none", "dropout": 0.0, "pack": 1}
    generator = dcgan.convolutional((side, side, 1), net="s4", **small_net)["generator"]
    h, walked = np.zeros((1, 3), np.float32), []
    for layer in generator.layers:
        h = layer(h)
        walked += [h.shape[1]] if h.ndim == 4 else []
    doubled = sorted(set(walked))
    check(f"19.8{letter}", f"our DCGAN for {side} x {side}", doubled, start * 2 ** np.arange(len(doubled)),
          atol=0)  # fmt: skip

# %% [markdown]
# > **Aside: a generator made of perceptrons?** Article S2, appendix B, has StyleGAN consist of them. Count. The paper
# > (Karras et al. 2019, section 2) says that its generator has 26.2 million weights. With $c_r$ channels at the sides
# > $2^r$, $c = 512, 512, 512, 512, 256, 128, 64, 32, 16$ for $r = 2, \dots, 10$, two layers a side and a style of 512
# > numbers, it has
# >
# > $$ \underbrace{8 \cdot (512 + 1)\,512}_{\text{mapping, a perceptron}} + \underbrace{9\,\Big(c_2^2 + \sum_{r > 2}
# > c_{r-1} c_r + c_r^2\Big)}_{\text{3 x 3 convolutions}} + \underbrace{2 \sum_r (512 + 1)\,2c_r}_{\text{styles}} +
# > \dots = 26.2 \cdot 10^6 \tag{19.9} $$
# >
# > with small change for noise, biases, the constant input and colours. The mapping network, its only perceptron, is 8 %
# > of it, and convolutions 72 %. A perceptron could not do it: its *last layer alone*, from 512 numbers to the pixels,
# > has
# >
# > $$ 512 \cdot 3 \cdot 1024^2 = 1.6 \cdot 10^9 \tag{19.10} $$
# >
# > weights, 61 times as many as the whole.

# %%
c = np.array([512, 512, 512, 512, 256, 128, 64, 32, 16])
mapping = 8 * (512 + 1) * 512
convolutions = 9 * (c[0] ** 2 + np.sum(c[:-1] * c[1:] + c[1:] ** 2))
styles = 2 * np.sum((512 + 1) * 2 * c)
dots = 2 * np.sum(2 * c) + 4 * 4 * 512 + np.sum(3 * c + 3)  # noise and bias, constant, to colours
shapes = [(512, 512), (512,)] * 8 + [(4, 4, 512)]  # the same, layer by layer
for before, after in zip([0, *c[:-1]], c, strict=True):
    for inputs in (before, after):
        shapes += [(3, 3, inputs, after), (after,), (after,), (512, 2 * after), (2 * after,)]
    shapes += [(after, 3), (3,)]
whole = sum(math.prod(shape) for shape in shapes)
check("19.9", "StyleGAN's weights: the formula, and layer by layer",
      mapping + convolutions + styles + dots, whole, atol=0, errata="S2.11")  # fmt: skip
check("19.9a", "in millions, as its paper says", whole / 1e6, 26.2, atol=0.05, errata="S2.11")
check("19.9b", "a perceptron is at most 9 % of it", mapping / whole, 0.09, atol=0, relation="<=",
      errata="S2.11")  # fmt: skip
check("19.9c", "convolutions are at least 70 %", convolutions / whole, 0.7, atol=0, relation=">=",
      errata="S2.11")  # fmt: skip
# so many weights a pixel, measured on a small picture
wide = mg.nn.Dense(512, 3 * 16**2, bias=False).parameters()["weight"].size * (1024 / 16) ** 2
check("19.10", "the last layer of a perceptron", wide, 512 * 3 * 1024**2, atol=0, errata="S2.11")
check("19.10a", "is more than 60 StyleGANs", wide / whole, 60, atol=0, relation=">=",
      errata="S2.11")  # fmt: skip

# %% [markdown]
# ## 3. The derivatives are convolutions
#
# The number $T(x, w, g) = \langle \operatorname{conv}(x, w), g\rangle$ is linear in each of three arguments. Its gradient
# in one of them is what multiplies it:
#
# $$ \nabla_x T = A_w^T g, \qquad (\nabla_w T)_j = \sum_o x_{os + jd - p}\,g_o . \tag{19.11} $$
#
# The first is the transposed convolution: backpropagation through a layer of $D$ is a layer like those of $G$, and the
# other way round. The second is a convolution again: look at the index $os + jd - p$, and $o$ and $j$ have changed
# places. So $g$ is the *kernel*, the stride its dilation, and the dilation the stride:
#
# $$ \nabla_w T = \operatorname{conv}(x, g) \quad\text{with stride } d \text{ and dilation } s . \tag{19.12} $$
#
# And a second derivative? A gradient penalty (lesson 17) differentiates $\langle \nabla_x T, u\rangle = T(u, w, g)$ in
# $w$. That is the same form with $u$ in the place of $x$:
#
# $$ \nabla_w \langle \nabla_x T, u\rangle = \nabla_w T(u, w, g), \qquad
# \nabla_w \langle \nabla_x T, u\rangle \cdot v = T(u, v, g) . \tag{19.13} $$
#
# Three kernels, closed under differentiation, give every order. An engine that has its convolution's gradient
# from a formula and not from an operation stops after the first.

# %%
x = mg.tensor(random.standard_normal((1, 13, 1)), requires_grad=True)
w3 = mg.tensor(random.standard_normal((4, 1, 1)), requires_grad=True)
s, d, p = 2, 3, 4
y = ops.conv(x, w3, stride=s, dilation=d, padding=p)
g = mg.tensor(random.standard_normal(y.shape), requires_grad=True)
by_x, by_w = mg.grad(ops.sum(y * g), [x, w3], create_graph=True)
rows = matrix(w3.data[:, 0, 0], 13, s, p, d)
check("19.11", "the gradient in x is Aᵀg", by_x.data[0, :, 0], rows.T @ g.data[0, :, 0], atol=1e-14)
h = 1e-6
moved = [
    (np.sum((matrix(w3.data[:, 0, 0] + h * e, 13, s, p, d) - rows) @ x.data[0, :, 0] * g.data[0, :, 0]) / h)
    for e in np.eye(4)
]  # fmt: skip
check("19.11a", "and that in w, by differences", by_w.data[:, 0, 0], moved, atol=1e-8)
crossed = ops.conv(x.data, g.data.swapaxes(0, 1), stride=d, dilation=s, padding=p)
check("19.12", "is a convolution with kernel g, stride and dilation exchanged", by_w.data[:, 0, 0],
      crossed.numpy()[0, :, 0], atol=1e-14)  # fmt: skip
u, v = random.standard_normal(x.shape), random.standard_normal(w3.shape)
second = mg.grad(ops.sum(by_x * u), w3)
check("19.13", "second order: the weight map of u", second,
      ops.conv_weight(u, g.data, kernel_size=4, stride=s, dilation=d, padding=p), atol=1e-13)  # fmt: skip
check("19.13a", "and so T(u, v, g)", np.sum(second.data * v),
      g.data[0, :, 0] @ matrix(v[:, 0, 0], 13, s, p, d) @ u[0, :, 0], atol=1e-13)  # fmt: skip

# %% [markdown]
# ## 4. Chessboards
#
# How many taps does the position $i$ of $A^T g$ hear? Those with $j \equiv i + p$ modulo $s$ (for $d = 1$), hence
#
# $$ c_i = \#\{\,j < k : j \equiv i + p \bmod s\,\} \in \{\lfloor k/s\rfloor, \lceil k/s\rceil\} . \tag{19.14} $$
#
# All are equal exactly if $s$ divides $k$. Kernel 5 with stride 2 gives 3, 2, 3, 2, ...; in two dimensions the product,
# 9, 6, 4: the chessboard of Odena, Dumoulin and Olah (2016). With random weights of variance $\sigma^2$ and $C$ input
# channels of value 1 the sum of $c_iC$ weights has a standard deviation of
#
# $$ \operatorname{sd}(y_i) = \sigma\sqrt{c_i\,C}, \qquad\text{3 : 2 between two corners of the board.} \tag{19.15} $$
#
# So the texture is there before the first step of training. A 4 x 4 kernel makes the *spread* equal, not the value: the
# positions hear as many taps, but other ones. That is picture (b), and such a layer has to learn to be smooth. And by
# (19.11) the gradient of a *strided convolution* is such a layer: a discriminator with 5 x 5 kernels and stride 2
# sends its generator a chessboard, however smooth its opinion.


# %%
def overlaps(k, s):
    """c over one period of two axes, measured: what ones make of ones."""
    ones = ops.conv_transpose(
        np.ones((1, 9, 9, 1)), np.ones((k, k, 1, 1)), stride=s, padding="valid"
    )
    far = s * math.ceil(k / s)
    return ones.numpy()[0, far : far + s, far : far + s, 0]


pairs = [(k, s) for s in (2, 3, 4) for k in range(s, 8)]
uneven = {(k, s): overlaps(k, s).std() / overlaps(k, s).mean() for k, s in pairs}
fig, axes = figure(1, 2, width=7.6, height=2.8, width_ratios=(1.5, 1))
for s, colour, mark in zip((2, 3, 4), (BLUE, ORANGE, GREY), "os^", strict=True):
    kernels = [k for k in range(s, 8)]
    axes[0].plot(kernels, [uneven[k, s] for k in kernels], mark, linestyle="-", color=colour, label=f"stride {s}")  # fmt: skip
axes[0].set(xlabel="kernel $k$", ylabel="unevenness of $c$", ylim=(-0.02, 0.65))
axes[0].legend(fontsize=8)
board = np.tile(overlaps(5, 2), (4, 4))
axes[1].imshow(board, cmap="cividis", vmin=0)
for (row, column), count in np.ndenumerate(board):
    ink = "white" if count < 7 else "black"
    axes[1].text(column, row, f"{count:.0f}", ha="center", va="center", color=ink, fontsize=8)
axes[1].set(title="kernel 5, stride 2", xticks=[], yticks=[])
axes[1].grid(False)
show(fig, "overlaps",
     alt="Left, unevenness is zero exactly where the stride divides the kernel. Right, a board of 9, 6 and 4.")  # fmt: skip

# %%
counted = [[sum(1 for j in range(k) if j % s == r) for r in range(s)] for k, s in pairs]
check("19.14", "taps of each phase, rows of the board",
      np.concatenate([np.sqrt(np.diag(overlaps(k, s))) for k, s in pairs]), np.concatenate(counted),
      atol=1e-12)  # fmt: skip
even = [overlaps(k, s).std() < 1e-12 for k, s in pairs]
check("19.14a", "even exactly where s divides k", even, [k % s == 0 for k, s in pairs], atol=0)
flat = mg.tensor(np.zeros((1, 23, 23, 1)), requires_grad=True)
smooth = ops.sum(ops.conv(flat, np.ones((5, 5, 1, 1)), stride=2, padding="valid"))
check("19.14b", "the gradient of a strided convolution is a chessboard",
      mg.grad(smooth, flat).data[0, 10:12, 10:12, 0], np.outer([3, 2], [3, 2]), atol=1e-13)  # fmt: skip
many, sigma, channels = sized(20_000, 8000), 0.3, 6
weights = sigma * random.standard_normal((5, 5, many, channels))  # as many kernels at once
board = ops.conv_transpose(np.ones((1, 6, 6, channels)), weights, stride=2, padding="valid")
spread = board.numpy()[0, 6:8, 6:8].std(axis=-1)
check("19.15", "random weights: σ √(c C)", spread,
      sigma * np.sqrt(channels * np.outer([3, 2], [3, 2])), atol=0, rtol=0.03)  # fmt: skip

# %% [markdown]
# ## 5. Phases, and two ways round
#
# By (19.14) a position hears only the taps of its own phase. So a transposed convolution of stride $s$ *is* $s$
# convolutions of stride 1 (in two dimensions $s^2$), each with every $s$-th tap, and their results interleaved. With
# $i = sq + r$ and $p = 0$
#
# $$ (A^T g)_{sq + r} = \sum_t w_{r + st}\,g_{q - t} . \tag{19.16} $$
#
# Computers do it so, as no zeros are multiplied. Its other name is the *sub-pixel* convolution: one convolution with
# $s^2$ times the channels, then [`pixel_shuffle`](../minigan/ops/resample.py#pixel_shuffle) (Shi et al. 2016). The same
# set of maps, hence no cure as such; if $s$ divides $k$ the count is even, and one may start all phases with equal
# weights. The other way: enlarge first, by repeating each position $s$ times, then convolve with stride 1.
# That is a transposed convolution as well, with the kernel
#
# $$ v_t = \sum_{a=0}^{s-1} \bar w_{t - a}, \quad t < k + s - 1 \qquad (\bar w_j = w_{k-1-j}\text{, 0 outside}) , \tag{19.17} $$
#
# but a special one. Among the $v_t$ of one phase each $w_j$ occurs exactly once, so all phases have the same sum,
#
# $$ \sum_t v_{r + st} = \sum_j w_j \quad\text{for every } r: \tag{19.18} $$
#
# constants stay constants, whatever the weights: picture (c). The price: $s^2k^2$ multiplications for each small
# position, where a transposed convolution has $k^2$.

# %%
k, s = 5, 2
w = random.standard_normal(k)
g = random.standard_normal(8)
upward = ops.conv_transpose(line(g), taps(w), stride=s, padding="valid").numpy()[0, :, 0]
phases = [np.convolve(g, w[r::s]) for r in range(s)]
interleaved = np.zeros(len(upward))
for r in range(s):
    interleaved[r::s] = phases[r][: len(interleaved[r::s])]
check("19.16", "s convolutions of stride 1, interleaved", upward, interleaved, atol=1e-14)
kernel = random.standard_normal((4, 4, 2, 3))  # outputs 2, inputs 3
h = random.standard_normal((1, 6, 6, 3))
small = np.concatenate(
    [kernel[a::2, b::2][::-1, ::-1].swapaxes(-1, -2) for a in (0, 1) for b in (0, 1)], axis=-1
)
shuffled = ops.pixel_shuffle(ops.conv(h, small, padding=1), 2)
check("19.16a", "one convolution of 4 x the channels, shuffled", shuffled,
      ops.conv_transpose(h, kernel, stride=2, padding="valid"), atol=1e-13)  # fmt: skip
box = np.convolve(w[::-1], np.ones(s))
enlarged = ops.conv(ops.upsample(line(g), scale=s), taps(w), padding=k - 1)
check("19.17", "resize and convolve = transposed, with kernel v", enlarged.numpy()[0, :, 0],
      ops.conv_transpose(line(g), taps(box), stride=s, padding="valid").numpy()[0, :, 0], atol=1e-13)  # fmt: skip
check(
    "19.18", "all its phases have one sum", [box[r::s].sum() for r in range(s)], w.sum(), atol=1e-14
)
check("19.18a", "picture (c) is constant", made["(c) resize, 3 x 3"], made["(c) resize, 3 x 3"].mean(),
      atol=1e-12)  # fmt: skip
uneven_b = made["(b) transposed, 4 x 4"]
check("19.18b", "picture (b) is not", uneven_b.std() / abs(uneven_b.mean()), 0.3, atol=0,
      relation=">=")  # fmt: skip

# %% [markdown]
# ## Exercises


# %%
def outputs(n, k, s, p):
    """How many outputs a convolution has: n inputs, kernel k, stride s, p zeros on each side."""
    # Hint: how often can a window of k move on by s, until it touches the end of n + 2p positions?
    raise NotImplementedError


def outputs_property(answer, n, k, s, p):
    want = ops.conv(line(np.ones(n)), taps(np.ones(k)), stride=s, padding=p).shape[1]
    assert answer(n, k, s, p) == want, f"expected {want}"


grade("19.E1", outputs, outputs_property, n=st.integers(5, 30), k=st.integers(1, 5),
      s=st.integers(1, 4), p=st.integers(0, 3))  # fmt: skip


# %%
def difference_transposed(g):
    """Aᵀg for the map (Ax)_o = x_{o+1} − x_o, from n + 1 numbers to n."""
    # Hint: write out ⟨Ax, g⟩ for n = 3, and collect what multiplies each x_i. It has n + 1 entries.
    raise NotImplementedError


def difference_property(answer, x):
    g = np.cos(3 * np.arange(len(x) - 1))
    got = np.asarray(answer(g), dtype=float)
    assert got.shape == x.shape, f"{len(g)} numbers must become {len(x)}"
    left, right = np.diff(x) @ g, x @ got
    assert abs(left - right) < 1e-9, f"⟨Ax, g⟩ = {left}, but ⟨x, answer⟩ = {right}"


grade("19.E2", difference_transposed, difference_property,
      x=arrays(st.integers(2, 6), -3, 3))  # fmt: skip


# %%
def smallest_even_kernel(least, s):
    """The smallest kernel size, at least `least`, whose transposed convolution with stride s overlaps evenly."""
    # Hint: (19.14).
    raise NotImplementedError


def even_property(answer, least, s):
    k = answer(least, s)
    is_even = lambda k: np.ptp(overlaps(k, s)) == 0
    assert k >= least and is_even(k), f"{k} is too small or uneven"
    better = [j for j in range(max(least, s), k) if is_even(j)]
    assert not better, f"{better[0]} is smaller and even"


grade("19.E3", smallest_even_kernel, even_property, least=st.integers(1, 9), s=st.integers(1, 4))


# %%
def flattened(w, s):
    """The kernel nearest to w (least sum of squares) that keeps constants: all s phases have one sum."""
    # Hint: within a phase only the sum counts, so move all its taps by the same amount. Paper first:
    # which common sum is best? For s dividing the length of w it is the mean of the phases' sums.
    raise NotImplementedError


def flattened_property(answer, values, s):
    w = np.resize(values, 2 * s)
    got = np.asarray(answer(w.copy(), s), dtype=float)
    assert got.shape == w.shape, "the kernel must keep its length"
    sums = [got[r::s].sum() for r in range(s)]
    assert np.ptp(sums) < 1e-9, f"the phases' sums are {sums}"
    cost = np.sum((got - w) ** 2)
    rows = np.array(
        [np.isin(np.arange(2 * s), np.arange(r, 2 * s, s)) for r in range(s)], dtype=float
    )
    a = rows[1:] - rows[:1]  # a got = 0; the nearest is w minus its part in the rows of a
    least = np.sum((np.linalg.pinv(a) @ a @ w) ** 2)
    assert cost <= least + 1e-9, f"its distance² is {cost}, but {least} is possible"


grade("19.E4", flattened, flattened_property, values=arrays(6, -2, 2), s=st.integers(2, 4))

# %% [markdown]
# ## What to read next
#
# - V. Dumoulin, F. Visin, *A guide to convolution arithmetic for deep learning* (2016, arXiv 1603.07285): all sizes,
#   drawn.
# - A. Odena, V. Dumoulin, C. Olah, *Deconvolution and Checkerboard Artifacts* (2016, Distill).
# - A. Radford, L. Metz, S. Chintala, *Unsupervised Representation Learning with Deep Convolutional GANs* (2015, arXiv
#   1511.06434).
# - W. Shi et al., *Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
#   Network* (2016, arXiv 1609.05158).
# - T. Karras, S. Laine, T. Aila, *A Style-Based Generator Architecture for GANs* (2019, arXiv 1812.04948).
# - Next: lesson 20, normalisation.
