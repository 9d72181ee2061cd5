# %% [markdown]
# # 24. Resolution and style: what an error sees, and what it does not
#
# Seven by seven pixels are to become twenty-eight by twenty-eight. Many sharp images have the same coarse one, and a method
# must answer with a single image. Which one it should be depends on what you measure, and no method can be best at
# everything: that is a theorem, and in a Gaussian case a parabola.
#
# You need: lessons 4 and 15, a little calculus.
#
# **Predict first.** Of a coarse digit you find the 40 digits of a large collection whose coarse versions are nearest. You
# may answer with (a) the mean of the 40, or (b) one of them, at random. Both are compared with the truth, pixel by
# pixel. Which has the smaller squared error, and how do both errors compare: nearly equal, a factor of 2, a factor of 40?

# %%
import math

import numpy as np

import minigan as mg
from minigan import nn, ops
from minigan.gans import pyramid
from minigan.gans.restoring import quality
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import COLOURS, GREY
from minigan.lessons.strategies import arrays, floats
from minigan.metrics import psnr, ssim
from minigan.metrics.frechet import frechet_distance

random = np.random.default_rng(0)
digits = mg.data.draw_glyphs(sized(6000, 3000)).x
coarse = ops.avg_pool(digits, window=4).numpy()
rows, k = np.arange(200), 40
flat = coarse.reshape(len(coarse), -1)
gaps = np.square(flat[rows, None] - flat[None, 200:]).sum(axis=-1)
near = digits[200 + np.argsort(gaps, axis=1)[:, :k]]  # the 40 nearest of each: (200, 40, 28, 28, 1)
truth, mean, one = digits[rows], near.mean(axis=1), near[rows, random.integers(k, size=200)]
bicubic = mg.data.resize(coarse[rows], 28, filter="bicubic")

fig, axes = figure(5, 8, width=6.4, height=4.2)
shown = {"coarse": coarse, "bicubic": bicubic, "(a) mean": mean, "(b) one": one, "truth": truth}
for line, (name, images) in zip(axes, shown.items(), strict=True):
    line[0].set_ylabel(name, fontsize=8)
    for ax, image in zip(line, images, strict=False):
        ax.imshow(image[..., 0], cmap="gray", vmin=-1, vmax=1)
        ax.set(xticks=[], yticks=[])
show(fig, "answers",
     alt="Coarse digits; bicubic ones blurred; the means sharper but grey at edges; single neighbours crisp, "
         "of other strokes.")  # fmt: skip
for name in ("bicubic", "(a) mean", "(b) one"):
    print(f"{name:9} PSNR {quality(shown[name], truth):.1f} dB")

# %% [markdown]
# The mean wins by some four decibels, a factor of 2.5 (2 would be left if the 40 had quite the same coarse
# version), and looks like
# no digit of the collection: it is grey where the 40 disagree. A single neighbour is a digit, and is wrong
# more often. Now exactly.
#
# ## 1. Why the mean, and what likeness costs
#
# Let $x$ have any law given $y$, and $m = \mathbb E[x \mid y]$. An answer $c$ that knows of $x$ only what $y$
# tells has the error
#
# $$ \mathbb E\,\lVert x - c\rVert^2 = \mathbb E\,\lVert x - m\rVert^2 + \lVert m - c\rVert^2 , \tag{24.1} $$
#
# since $\langle x - m, m - c\rangle$ has mean 0. So least squares make $m$, a blur. Answer instead with
# another draw $x'$ of the
# same law, as good a likeness as there is. Then $c = x'$, and (24.1) once more over $x'$ gives
#
# $$ \mathbb E\,\lVert x - x'\rVert^2 = 2\,\mathbb E\,\lVert x - m\rVert^2 , \tag{24.2} $$
#
# which is $10\log_{10}2 = 3.01$ dB. A conditional GAN at its equilibrium draws $x'$ (lesson 21): its error is
# twice the least one,
# and that is no fault.

# %%
among = near[:20].reshape(20, k, -1).astype(np.float64)  # the 40 as the law of x given y
m = among.mean(axis=1, keepdims=True)
c = bicubic[:20].reshape(20, 1, -1)
spread = np.square(among - m).sum(axis=-1).mean(axis=1)
check("24.1", "error = spread + distance from the mean", np.square(among - c).sum(axis=-1).mean(axis=1),
      spread + np.square(m - c).sum(axis=-1)[:, 0], atol=0, rtol=1e-12)  # fmt: skip
pairs = [np.square(law[:, None] - law[None]).sum(axis=-1).mean() for law in among]
check("24.2", "another draw: twice the error", pairs, 2 * spread, atol=0, rtol=1e-12)
check("24.2a", "3.01 dB", 10 * math.log10(np.sum(pairs) / np.sum(spread)), 3.0103, atol=1e-4)

# %% [markdown]
# ## 2. The trade-off, exactly
#
# Is a factor of 2 the price of likeness, or can one do better? Let $x \sim N(0, 1)$ and $y = x + \sigma n$.
# Then $m = v\,y$ with
# $v = 1/(1 + \sigma^2)$, $m$ has the variance $v$, and the least error is $D_0 = 1 - v$. As likeness take the
# Wasserstein distance
# $P = W_2$ between the laws of $x$ and of the answer (lesson 15): of $m$ it is $P_0 = 1 - \sqrt v$. Stretch $m$:
#
# $$ \hat x = s\,m: \qquad D = D_0 + v\,(s - 1)^2, \qquad P = \lvert 1 - s\sqrt v\rvert . \tag{24.3} $$
#
# Eliminate $s$, and a parabola comes out, below which no answer lies (Freirich, Michaeli, Meir 2021, theorem 1: for any law):
#
# $$ D(P) = D_0 + (P_0 - P)^2 \quad (P \le P_0), \qquad D(0) = 2 - 2\sqrt v \;\le\; 2 D_0 . \tag{24.4} $$
#
# The proof in one line, for an answer of variance $t^2$: $\mathbb E(x - \hat x)^2 = D_0 + \mathbb E(m - \hat
# x)^2$ by (24.1), and a
# mean square difference is at least that of the deviations, $(\sqrt v - t)^2$, while $P = \lvert 1 - t\rvert$.
# The end $D(0)$ is
# better than a fresh draw: stretching adds no noise.

# %%
sigma = 0.8
v = 1 / (1 + sigma**2)
x, n, extra = random.standard_normal((3, sized(400_000, 200_000)))
x = (x - x.mean()) / x.std()
m = v * (x + sigma * n)
D0, P0 = 1 - v, 1 - math.sqrt(v)
s = np.linspace(1, 1 / math.sqrt(v), 5)
check("24.3", "the error of a stretched mean", [np.mean((x - a * m) ** 2) for a in s],
      D0 + v * (s - 1) ** 2, atol=0.01)  # fmt: skip
W2 = lambda a, b: math.sqrt(
    np.mean((np.sort(a) - np.sort(b)) ** 2)
)  # on the line, by sorting: lesson 15
check("24.3a", "and its likeness", [W2(x, a * m) for a in s], abs(1 - s * math.sqrt(v)), atol=0.01)
curve = lambda P: D0 + np.maximum(0, P0 - P) ** 2
check("24.4", "the parabola", D0 + v * (s - 1) ** 2, curve(1 - s * math.sqrt(v)), atol=1e-14)
check("24.4a", "its end", curve(0.0), 2 - 2 * math.sqrt(v), atol=1e-14)
check("24.4b", "which is at most twice the least error", curve(0.0), 2 * D0, atol=0, relation="<=")
a, t = random.uniform(0, 1.5, 500), random.uniform(-0.6, 0.6, 500)  # answers a m + t noise
D, P = D0 + v * (a - 1) ** 2 + t**2, abs(1 - np.sqrt(a**2 * v + t**2))
check("24.4c", "no answer lies below", D, curve(P), atol=1e-12, relation=">=")
draw = m + math.sqrt(D0) * extra
check("24.4d", "a fresh draw: alike, and twice the error", [np.mean((x - draw) ** 2), W2(x, draw)],
      [2 * D0, 0], atol=0.012)  # fmt: skip

blend = np.linspace(0, 1, 9)
mixed = [mean + b * (one - mean) for b in blend]
axis = np.linalg.svd(truth.reshape(200, -1) - truth.mean(axis=0).ravel(), full_matrices=False)[2][
    :20
].T
seen = lambda images: images.reshape(len(images), -1) @ axis
apart = [frechet_distance(seen(truth), seen(images)) for images in mixed]
db = [quality(images, truth) for images in mixed]
fig, axes = figure(1, 2, width=7.2, height=3.0)
axes[0].plot(P, D, ".", color=GREY, markersize=3, label="answers a m + t noise")
axes[0].plot(np.linspace(0, P0, 50), curve(np.linspace(0, P0, 50)), color=COLOURS[0], label="D(P)")
axes[0].plot([P0, 0, 0], [D0, curve(0.0), 2 * D0], "o", color=COLOURS[1])
for place, name in (((P0, D0), "mean"), ((0, curve(0.0)), "stretched"), ((0, 2 * D0), "a draw")):
    axes[0].annotate(name, place, xytext=(5, 4), textcoords="offset points", fontsize=8)
axes[0].set(
    xlim=(-0.02, 0.6), ylim=(0.3, 1.1), xlabel="P: distance of the laws", ylabel="D: squared error"
)
axes[0].legend(fontsize=8)
axes[1].plot(apart, db, "o-", color=COLOURS[0])
axes[1].annotate(
    "mean", (apart[0], db[0]), xytext=(-28, -10), textcoords="offset points", fontsize=8
)
axes[1].annotate("one", (apart[-1], db[-1]), xytext=(5, 4), textcoords="offset points", fontsize=8)
axes[1].set(xlabel="Frechet distance of 20 directions", ylabel="PSNR, dB")
show(fig, "tradeoff",
     alt="Left: a parabola from the mean to the stretched one, with all other answers above. Right: digits "
         "between mean and neighbour lose PSNR as the distance of the laws falls.")  # fmt: skip

# %% [markdown]
# [`SRGAN`](../minigan/gans/srgan.py#SRGAN) trains both ends of the curve at once. After 700 steps on typeset
# digits the network of least error
# was 7.2 dB above bicubic interpolation; the adversarial one lost 1.0 dB of that, and had a tenth of its distance in a
# classifier's features. [`Denoise`](../minigan/gans/denoise.py#Denoise) and
# [`Inpaint`](../minigan/gans/inpaint.py#Inpaint) have the same two losses.
#
# ## 3. What PSNR and SSIM measure
#
# With pixels in an interval of length $R$,
#
# $$ \operatorname{PSNR} = 10\log_{10}\frac{R^2}{\operatorname{MSE}}, \qquad y = x + R\sigma n: \quad
# \operatorname{PSNR} \approx -20\log_{10}\sigma , \tag{24.5} $$
#
# whatever the image. It is one number of the error's length: a blur, a shift and a darker picture of equal length score
# alike. A wrong $R$ adds a constant, and a mean of PSNRs is not the PSNR of the mean error:
#
# $$ \operatorname{PSNR}_{R'} = \operatorname{PSNR}_R + 20\log_{10}\frac{R'}R, \qquad
# \overline{\operatorname{PSNR}} \ge 10\log_{10}\frac{R^2}{\overline{\operatorname{MSE}}} . \tag{24.6} $$
#
# SSIM (Wang et al. 2004) compares windows of 7 x 7 or so, by means $\mu$, variances and the covariance:
#
# $$ \operatorname{SSIM} = \frac{2\mu_x\mu_y + C_1}{\mu_x^2 + \mu_y^2 + C_1}\cdot\frac{2\sigma_{xy} +
# C_2}{\sigma_x^2 + \sigma_y^2 + C_2} .
# \tag{24.7} $$
#
# The second factor is a squared error in disguise, one that is relative to the contrast of the window:
#
# $$ 1 - \frac{2\sigma_{xy}}{\sigma_x^2 + \sigma_y^2} = \frac{\operatorname{Var}(x - y)}{\operatorname{Var} x +
# \operatorname{Var} y} . \tag{24.8} $$
#
# So an error that PSNR cannot tell from another counts where the picture is flat, and hardly where it is rough; brightness
# alone touches only the first factor. It still asks for the truth, pixel by pixel: (24.1) holds for it in spirit.

# %%
noise = 0.1 * 2 * random.standard_normal(truth.shape)
check("24.5", "PSNR of noise", quality(truth + noise, truth), -20 * math.log10(0.1), atol=0.06)
level = np.linalg.norm(noise[0])
errors = [noise[0], np.full_like(noise[0], 1.0), truth[1] - truth[0]]
same = [
    psnr.psnr((truth[0] + level * e / np.linalg.norm(e))[None], truth[:1], data_range=2.0)[0]
    for e in errors
]
check(
    "24.5a",
    "one length, one PSNR, whatever the error",
    same,
    10 * math.log10(4 * noise[0].size / level**2),
    atol=1e-5,
)
each, wrong = (psnr.psnr(mean, truth, data_range=R) for R in (2.0, 255.0))
check("24.6", "a wrong range adds a constant", wrong - each, 20 * math.log10(255 / 2), atol=1e-9)
check(
    "24.6a",
    "mean of PSNRs, PSNR of the mean",
    each.mean(),
    quality(mean, truth),
    atol=0,
    relation=">=",
)
window = {"data_range": 2.0, "window": "uniform"}
p, q = truth[:1, 8:15, 8:15].astype(np.float64), mean[:1, 8:15, 8:15].astype(np.float64)
C1, C2, n = (0.01 * 2) ** 2, (0.03 * 2) ** 2, 49
mu, nu, cov = p.mean(), q.mean(), np.cov(p.ravel(), q.ravel())
formula = (
    (2 * mu * nu + C1) / (mu**2 + nu**2 + C1) * (2 * cov[0, 1] + C2) / (cov[0, 0] + cov[1, 1] + C2)
)
check("24.7", "SSIM of one window", ssim.ssim(p, q, **window)[0], formula, atol=1e-12)
check("24.8", "the second factor is a relative error", 1 - 2 * cov[0, 1] / (cov[0, 0] + cov[1, 1]),
      np.var(p - q) / (np.var(p) + np.var(q)), atol=1e-12)  # fmt: skip
low, high = (np.clip(0.1 * truth, -1, 1) - 0.5, truth)
by_contrast = [ssim.ssim(images + noise, images, **window).mean() for images in (low, high)]
check(
    "24.8a",
    "the same noise counts more on a faint image",
    by_contrast[0],
    by_contrast[1] - 0.1,
    atol=0,
    relation="<=",
)

# %% [markdown]
# > **Aside: three mistakes in two lines.** Article S0, section 4.1.3, calls `psnr(image1, image2)` and
# > `ssim(..., multichannel=True)` of a photograph and of `generator(z)`. The range $R$ is not said. The argument `multichannel`
# > is gone; without `channel_axis` the colours count as a third axis of space. And the two images are no pair. For independent
# > $x, x'$ of one law (24.2) says what a *perfect* generator gets, beside one that always paints the mean image:
# >
# > $$ \mathbb E\,\lVert x - x'\rVert^2 = 2\,\mathbb E\,\lVert x - \bar x\rVert^2: \qquad \text{the perfect one
# > is 3 dB worse.} \tag{24.9} $$
#
# ## 4. Octave by octave
#
# With $d$ a coarser image and $u$ its enlargement, keep what $u$ misses:
#
# $$ h = x - u(d(x)), \qquad x = u(d(x)) + h \quad\text{for any } u, d . \tag{24.10} $$
#
# So a law of images is a law of coarse ones and one of details, $p(x) = p(d(x))\,p(h \mid d(x))$, and each may
# have a GAN of its
# own: [`LAPGAN`](../minigan/gans/lapgan.py#LAPGAN). [`StackGAN`](../minigan/gans/stackgan.py#StackGAN) lets
# the second stage paint anew.
#
# ## 5. Style
#
# What of an image survives when positions are forgotten? Let $F$ (positions × channels) be features. Adaptive instance norm
# gives a content's channels the mean and deviation of a style's,
#
# $$ \operatorname{AdaIN}(F, S) = \sigma_S\,\frac{F - \mu_F}{\sigma_F} + \mu_S , \tag{24.11} $$
#
# and [`StyleGAN`](../minigan/gans/stylegan.py#StyleGAN) does so at each layer with statistics made from $w$.
# Gatys et al. (2016) ask for more,
# equal products of channels, the **Gram matrix** $G_F = \frac1M F^\top F$. It is the same for positions in any order, and its
# distance is a squared MMD (lesson 15) with the kernel $(f^\top s)^2$ (Li et al. 2017):
#
# $$ \lVert G_F - G_S\rVert^2 = \overline{(f_i^\top f_j)^2} + \overline{(s_i^\top s_j)^2} -
# 2\,\overline{(f_i^\top s_j)^2} . \tag{24.12} $$
#
# So style transfer, too, is a distance of two laws, those of features at all positions: a game without a second player.

# %%
other = random.permutation(digits)[: len(digits)]
unpaired = np.square(digits - other).sum(axis=(1, 2, 3)).mean()
painted = np.square(digits - digits.mean(axis=0)).sum(axis=(1, 2, 3)).mean()
check("24.9", "no pair: a perfect generator, twice the error of the mean image", unpaired, 2 * painted, atol=0, rtol=0.03,
      errata=("S0.16", "S2.14"))  # fmt: skip
steps = [pyramid.taken_apart(mg.tensor(truth[:8]), octaves) for octaves in (1, 2)]
check(
    "24.10",
    "there and back",
    [pyramid.put_together(*parts).numpy() for parts in steps],
    [truth[:8]] * 2,
    atol=1e-6,
)
F, S = random.standard_normal((2, 1, 6, 6, 5)) * np.arange(1, 6) + 1
S = S[:, ::2] - 2  # another number of positions
rest = lambda t: (t.mean(axis=(1, 2), keepdims=True), t.std(axis=(1, 2), keepdims=True))
(mf, sf), (ms, ss) = rest(F), rest(S)
styled = nn.modulate(
    nn.instance_standardize(F, eps=0.0), mg.tensor(ss[:, 0, 0]), mg.tensor(ms[:, 0, 0])
).data
check("24.11", "AdaIN", styled, ss * (F - mf) / sf + ms, atol=1e-12)
check("24.11a", "gives the style's mean and deviation", rest(styled), (ms, ss), atol=1e-12)
f, s = F.reshape(-1, 5), S.reshape(-1, 5)
gram = lambda t: t.T @ t / len(t)
kernel = lambda a, b: np.mean((a @ b.T) ** 2)
check("24.12", "Gram's distance is a squared MMD", np.sum((gram(f) - gram(s)) ** 2),
      kernel(f, f) + kernel(s, s) - 2 * kernel(f, s), atol=1e-9)  # fmt: skip
check("24.12a", "positions are forgotten", gram(random.permutation(f)), gram(f), atol=1e-12)

# %% [markdown]
# ## Exercises


# %%
def psnr_of(x, y, low, high):
    """The PSNR in decibels of arrays whose values may lie between low and high."""
    # Hint: (24.5); R is a length.
    raise NotImplementedError


def psnr_property(answer, x, low, width):
    y = x + 0.1 * width
    got = answer(x, y, low, low + width)
    assert abs(got - 20) < 1e-6, (
        f"{got} dB, expected 20 for an error of a tenth of the range at each pixel"
    )
    assert abs(answer(x, x + width, low, low + width)) < 1e-6, "an error of the whole range is 0 dB"


grade(
    "24.E1",
    psnr_of,
    psnr_property,
    x=arrays((3, 4), 0, 1),
    low=floats(-2, 0.5),
    width=floats(0.5, 4),
)


# %%
def ssim_of(x, y, c1, c2):
    """(24.7) for one window: x and y of one shape, variances divided by n − 1."""
    # Hint: np.cov of both, flat, has all three.
    raise NotImplementedError


def ssim_property(answer, x, y, c):
    got = answer(x, y, c, c)
    n = x.size
    top = (2 * x.mean() * y.mean() + c) * (
        2 * np.sum((x - x.mean()) * (y - y.mean())) / (n - 1) + c
    )
    below = (x.mean() ** 2 + y.mean() ** 2 + c) * (
        x.var() * n / (n - 1) + y.var() * n / (n - 1) + c
    )
    assert abs(got - top / below) < 1e-9, f"{got}, expected {top / below}"
    assert abs(answer(x, x, c, c) - 1) < 1e-9, "an image is as similar as can be to itself"


grade(
    "24.E2",
    ssim_of,
    ssim_property,
    x=arrays((3, 3), -1, 1),
    y=arrays((3, 3), -1, 1),
    c=floats(0.01, 0.2),
)


# %%
def stretch_for(v, P):
    """By which s to stretch the posterior mean, whose variance is v, for a distance P of the laws, P ≤ 1 − √v."""
    # Hint: (24.3) with s ≥ 1, where 1 − s√v ≥ 0.
    raise NotImplementedError


def stretch_property(answer, v, share):
    P = share * (1 - math.sqrt(v))
    s = answer(v, P)
    assert s >= 1 - 1e-9, f"s = {s} shrinks the mean, which is too narrow already"
    assert abs(abs(1 - s * math.sqrt(v)) - P) < 1e-9, (
        f"s = {s} gives P = {abs(1 - s * math.sqrt(v))}, not {P}"
    )
    D = 1 - v + v * (s - 1) ** 2
    assert abs(D - (1 - v) - (1 - math.sqrt(v) - P) ** 2) < 1e-9, (
        f"an error of {D} is not on the curve"
    )


grade("24.E3", stretch_for, stretch_property, v=floats(0.05, 0.95), share=floats(0, 1))


# %%
def restyled(content, style):
    """(24.11) for features (positions, channels), each with its own number of positions."""
    # Hint: mean and std over axis 0.
    raise NotImplementedError


def restyled_property(answer, content, style):
    if content.std(axis=0).min() < 0.1:
        return
    got = np.asarray(answer(content, style))
    assert got.shape == content.shape, f"shape {got.shape}, expected the content's, {content.shape}"
    assert np.abs(got.mean(axis=0) - style.mean(axis=0)).max() < 1e-9, (
        "the means are not the style's"
    )
    assert np.abs(got.std(axis=0) - style.std(axis=0)).max() < 1e-9, (
        "the deviations are not the style's"
    )
    order = np.argsort(content[:, 0])
    assert (np.diff(got[order, 0]) >= -1e-9).all(), "bright places are no more bright"


grade(
    "24.E4", restyled, restyled_property, content=arrays((5, 2), -2, 2), style=arrays((4, 2), -2, 2)
)

# %% [markdown]
# ## What to read next
#
# - Y. Blau, T. Michaeli, *The Perception-Distortion Tradeoff* (2017, arXiv 1711.06077), sections 2 and 3;
#   D. Freirich, T. Michaeli, R. Meir, *A Theory of the Distortion-Perception Tradeoff in Wasserstein Space*
#   (2021, arXiv 2107.02555), theorem 1.
# - C. Ledig et al., *Photo-Realistic Single Image Super-Resolution Using a GAN* (2016, arXiv 1609.04802), section 3, table 2.
# - Z. Wang et al., *Image Quality Assessment: From Error Visibility to Structural Similarity* (2004, IEEE TIP 13).
# - E. Denton et al., *Deep Generative Image Models using a Laplacian Pyramid* (2015, arXiv 1506.05751); T. Karras et al., *A
#   Style-Based Generator Architecture* (2018, arXiv 1812.04948), sections 2 and 3.
# - L. Gatys et al., *A Neural Algorithm of Artistic Style* (2015, arXiv 1508.06576); X. Huang, S. Belongie, *Arbitrary Style
#   Transfer with AdaIN* (2017, arXiv 1703.06868); Y. Li et al., *Demystifying Neural Style Transfer* (2017, arXiv 1701.01036).
