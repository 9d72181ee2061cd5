# %% [markdown]
# # 2. Formulas that survive rounding
#
# The losses of a GAN are logarithms of probabilities that go to 0 and 1. On paper that is harmless. In a machine that
# keeps 7 digits (float32, what networks train in) or 16 (float64) it is the fastest way to a loss of `inf` and
# weights of `nan`. The articles that this course grew from take the logarithm of a sigmoid, unguarded. This lesson
# shows what that costs, digit by digit, and derives the forms that cost nothing: log-sum-exp, softplus, cross entropy
# on logits, and how to sum and subtract.
#
# You need exponentials and logarithms, and from lesson 1 what a derivative by `mg.grad` is. The oracle of this lesson
# is Python's `decimal` with 400 digits: slow, and right.
#
# **Predict first.** A discriminator gives a fake the logit $\ell$, so the probability
# $D = \sigma(\ell) = 1/(1 + e^{-\ell})$ of being real. Its loss on that fake is $-\log(1 - D)$, about $\ell$ when
# $\ell$ is large. Computed as written, in float32, this becomes infinite from some $\ell$ on. The exponential
# overflows at 88. Is it near $\ell = 88$? Near 30? Near 17? Commit to a number. And how many digits are left at
# $\ell = 10$? Section 5 answers.

# %%
import math
from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np

import minigan as mg
from minigan import ops, optim
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import BLUE, GREEN, GREY, ORANGE
from minigan.theory import divergences

getcontext().prec = 400
rng = np.random.default_rng(2)
quiet = lambda: np.errstate(
    all="ignore"
)  # overflow and log 0 are what we want to see, without warnings
DIGITS = {np.float32: 24, np.float64: 53}  # p: binary digits of a number


def exact(function, values):
    """function(x) in 400 digits at each (binary) number x, rounded once at the end."""
    return np.array([float(function(Decimal(float(x)))) for x in np.ravel(values)]).reshape(
        np.shape(values)
    )


def last(works, low, high, dtype=np.float64):
    """The last number, to its last digit, at which `works`: it holds at low and not at high."""
    low, high = dtype(low), dtype(high)
    while (middle := dtype((low + high) / 2)) not in (low, high):
        low, high = (middle, high) if works(middle) else (low, middle)
    return low


# %% [markdown]
# ## 1. Numbers on a grid
#
# A floating-point number is $\pm\, 1.b_1 b_2 \ldots b_{p-1} \cdot 2^{e}$ with $p$ binary digits: $p = 24$ in float32,
# $p = 53$ in float64. Between $2^e$ and $2^{e+1}$ there are $2^{p-1}$ of them, evenly spaced:
#
# $$ \text{spacing in } [2^e, 2^{e+1}) \;=\; 2^{\,e + 1 - p}. \tag{2.1} $$
#
# The grid is fine near 0 and coarse far out: relative to the number, it is everywhere about the same. Just above 1
# the spacing is $2^{1-p}$, the *machine epsilon*: $1.2 \cdot 10^{-7}$ and $2.2 \cdot 10^{-16}$. Just *below* 1 it is
# half of that. Remember this asymmetry: a probability near 0 has a grid down to $10^{-38}$ and beyond, a probability
# near 1 has one of $6 \cdot 10^{-8}$.

# %%
for dtype, p in DIGITS.items():
    e = np.arange(-20, 21)
    above = np.nextafter(np.ldexp(dtype(1), e), dtype(np.inf)).astype(float)
    spacing = above - 2.0**e
    check("2.1", f"spacing above 2^e is 2^(e+1-p), p = {p}", spacing, 2.0 ** (e + 1 - p), atol=0)

# %% [markdown]
# Whatever lies between two numbers goes to the nearer one, at most half a spacing away. Relative to $x \ge 2^e$ that
# is at most $u = 2^{-p}$, the **unit roundoff**: $6 \cdot 10^{-8}$, or $1.1 \cdot 10^{-16}$. Writing
# $\operatorname{fl}$ for rounding,
#
# $$ \operatorname{fl}(x) = x\,(1 + \delta), \qquad |\delta| \le u \tag{2.2} $$
#
# (unless it overflows or underflows).
#
# The hardware computes $+, -, \times, /$ and roots *as if exactly, then rounded*. So for each single operation
#
# $$ \operatorname{fl}(a \circ b) = (a \circ b)\,(1 + \delta), \qquad |\delta| \le u. \tag{2.3} $$
#
# Python's fractions have no rounding at all, so they can measure $\delta$:

# %%
u = 2.0**-53
thirds = [Fraction(int(a), int(b)) for a, b in rng.integers(1, 10**12, (200, 2))]
off = max(abs(Fraction(float(x)) - x) / x for x in thirds)
check("2.2", "|fl(x) - x| <= u |x|", float(off), u, atol=0, relation="<=")

pairs = [(Fraction(a), Fraction(b), a, b) for a, b in rng.standard_normal((200, 2)).tolist()]
off = max(
    abs(Fraction(got) - want) / abs(want)
    for A, B, a, b in pairs
    for got, want in ((a + b, A + B), (a - b, A - B), (a * b, A * B), (a / b, A / B))
)
check("2.3", "one operation is off by at most u, relatively", float(off), u, atol=0, relation="<=")

# %% [markdown]
# ## 2. Subtraction loses digits that were lost before
#
# If every operation is that good, where do all digits go? Subtraction itself is innocent: by (2.3) it is right to
# $u$. But it takes *inputs* that are already rounded, and where they nearly agree, their common digits cancel and the
# rounded ones are promoted. With inputs off by $u$ each,
#
# $$ \frac{|(\hat a - \hat b) - (a - b)|}{|a - b|} \;\le\; u\, \frac{|a| + |b|}{|a - b|}. \tag{2.4} $$
#
# The fraction on the right is the factor of amplification. It is no fault of the machine: it says how sensitive a
# difference is.

# %%
a, b = 1 + 1e-3 * rng.random((2, 1000))
in_32 = (a.astype(np.float32) - b.astype(np.float32)).astype(float)
relative = abs(in_32 - (a - b)) / abs(a - b)
bound = 2.0**-24 * (abs(a) + abs(b)) / abs(a - b)
check("2.4", "error of a difference <= u (|a| + |b|)/|a - b|", relative, bound, atol=1e-12,
      relation="<=")  # fmt: skip
digits = -np.log10(np.median(relative))
print(f"numbers of 7 digits that agree in 3: the median difference has {digits:.1f} digits")

# %% [markdown]
# **Condition and stability** are two things. The *condition number* of a function says how much it amplifies relative
# errors of its input, whoever computes it:
#
# $$ \kappa_f(x) = \left| \frac{x\, f'(x)}{f(x)} \right|. \tag{2.5} $$
#
# For $\log$ this is $1/|\log x|$: near $x = 1$, where $\log$ vanishes, it explodes. That is what the loss of a
# confident discriminator does: $-\log D$ with $D$ near 1. A *stable* algorithm is one whose error is not much more
# than $\kappa u$. An unstable one loses digits that the problem would have let it keep.

# %%
at = np.array([0.999, 0.99, 0.5, 3.0])
leaf = mg.tensor(at, requires_grad=True)
kappa = abs(at * mg.grad(ops.log(leaf).sum(), leaf).data / np.log(at))
nudge = 1e-6
amplified = abs(np.log(at * (1 + nudge)) - np.log(at * (1 - nudge))) / abs(2 * nudge * np.log(at))
check("2.5", "kappa = |x f'/f| is how much relative errors grow, f = log", amplified, kappa, atol=0,
      rtol=1e-6)  # fmt: skip
print("condition of log at", at, "is", kappa.round(1))

# %% [markdown]
# So what should we do near 1? Change the *question*. If $x = 1 + y$ and we know $y$ itself, then
# $y \mapsto \log(1 + y)$ has a condition number near 1: no digits need be lost. But forming $1 + y$ throws away the
# digits of $y$ below $u$, before any logarithm is taken. The library function `log1p` does not form the sum; for
# small $y$
#
# $$ \operatorname{log1p}(y) = \log(1 + y) = y - \frac{y^2}{2} + \frac{y^3}{3} - \ldots, \tag{2.6} $$
#
# and `expm1` does the same for $e^y - 1$.

# %%
small = 10.0 ** -np.arange(3, 20)
series = small - small**2 / 2 + small**3 / 3 - small**4 / 4 + small**5 / 5
check("2.6", "log1p(y) = y - y^2/2 + ...", ops.log1p(small), series, atol=0, rtol=1e-15)
check("2.6a", "log(1 + y) as written has lost everything by y = 1e-17", np.log(1 + small) / series,
      1.0, atol=0.5, relation="!=")  # fmt: skip
for y, got, want in zip(small[::4], np.log(1 + small)[::4], series[::4], strict=True):
    print(f"y = {y:.0e}   log(1 + y) = {got:.16e}   true {want:.16e}")

# %% [markdown]
# There is a beautiful way out even without `log1p`. Let $w = \operatorname{fl}(1 + y)$, with its rounding. Then
#
# $$ \log(1 + y) \approx y\; \frac{\log w}{w - 1} \tag{2.7} $$
#
# is right to a few $u$ (where $w = 1$ it is $0/0$; take $y$ there). Numerator and denominator see the *same* wrong
# $w$, $w - 1$ is exact, and the function $\log(w)/(w - 1)$ is so flat near 1 that taking it at $w$ in place of
# $1 + y$ changes nothing. Two large errors cancel (Kahan; Higham 2002, section 1.14, explains the effect).

# %%
w = 1 + small[:13]
check("2.7", "y log(w)/(w - 1), w = fl(1 + y), is log1p(y)", small[:13] * np.log(w) / (w - 1),
      np.log1p(small[:13]), atol=0, rtol=2e-15)  # fmt: skip

# %% [markdown]
# ## 3. Exponentials: the range is as short as the digits
#
# The largest number is just below $2^{128}$ in float32 and $2^{1024}$ in float64. Hence $e^x$ is infinite beyond
#
# $$ x_{\max} = 128 \log 2 = 88.72 \;\text{ (float32)}, \qquad 1024 \log 2 = 709.78 \;\text{ (float64)}. \tag{2.8} $$
#
# A logit of 89 is nothing unusual in a discriminator that has separated its data.

# %%
with quiet():
    tops = [last(lambda t: np.isfinite(np.exp(t)), 1, 1000, dtype) for dtype in DIGITS]
check("2.8", "exp is finite up to log(largest number)", tops,
      [128 * math.log(2), 1024 * math.log(2)], atol=2e-5)  # fmt: skip

# %% [markdown]
# **Log-sum-exp.** To normalise $n$ scores one needs $\operatorname{LSE}(x) = \log \sum_i e^{x_i}$. With
# $x = (1000, 1001)$ every term is infinite, though the answer is plainly about 1001. Take a common factor out of the
# sum:
#
# $$ \log \sum_i e^{x_i} = c + \log \sum_i e^{x_i - c} \quad \text{for every } c. \tag{2.9} $$
#
# With $c = \max x$ the largest term is $e^0 = 1$: nothing overflows, and what underflows is too small to count. Since
# the sum then lies between 1 and $n$,
#
# $$ \max x \;\le\; \operatorname{LSE}(x) \;\le\; \max x + \log n, \tag{2.10} $$
#
# a smooth maximum. See [logsumexp](../minigan/ops/reduction.py#logsumexp) and its
# [shift](../minigan/ops/reduction.py#_shift), which also takes care of rows that are all $-\infty$.

# %%
scores = np.array([[1000.0, 1001.0, 999.5], [-1000.0, -2000.0, -1000.5], [0.1, 0.2, 0.3]])
want = [float(sum(Decimal(v).exp() for v in row).ln()) for row in scores.tolist()]
for c, rtol in ((scores.max(axis=1), 1e-15), (scores.mean(axis=1), 1e-13)):
    with quiet():
        got = c + np.log(np.exp(scores - c[:, None]).sum(axis=1))
    check("2.9", "LSE(x) = c + LSE(x - c)", got, want, atol=0, rtol=rtol)
check("2.9a", "ops.logsumexp", ops.logsumexp(scores, -1), want, atol=0, rtol=1e-15)
gap = ops.logsumexp(scores, -1).data - scores.max(axis=1)
check("2.10", "max <= LSE", 0.0, gap, atol=0, relation="<=")
check("2.10a", "LSE <= max + log n", gap, math.log(3), atol=0, relation="<=")

# %% [markdown]
# The softmax $p_i = e^{x_i}/\sum_j e^{x_j}$ does not change when a constant is added to all scores,
#
# $$ p_i = \frac{e^{x_i - c}}{\sum_j e^{x_j - c}}, \qquad \log p_i = x_i - \operatorname{LSE}(x), \tag{2.11} $$
#
# and the logarithm of a softmax is *not* to be computed by taking the logarithm of the softmax: $p_i$ may underflow
# to 0, while $\log p_i$ is a perfectly ordinary $-1000$.

# %%
with quiet():
    p = ops.softmax(scores).data
    naive = np.log(p)
total = [sum(Decimal(v).exp() for v in row) for row in scores.tolist()]
want = np.array(
    [
        [float((Decimal(v).exp() / t).ln()) for v in row]
        for row, t in zip(scores.tolist(), total, strict=True)
    ]
)
check("2.11", "log softmax = x - LSE(x)", ops.log_softmax(scores), want, atol=0, rtol=1e-13)
check("2.11a", "softmax = e^(x-c)/sum", p, np.exp(want), atol=1e-15)
print("row 2, log of softmax:", naive[1], "  log_softmax:", ops.log_softmax(scores).data[1])

# %% [markdown]
# ## 4. Two classes: sigmoid, softplus, cross entropy
#
# A discriminator is a softmax over two classes with scores $\ell$ and 0. The probability of "real" is
# $\sigma(\ell) = e^{\ell}/(e^{\ell} + 1)$, that of "fake" is
#
# $$ 1 - \sigma(\ell) = \sigma(-\ell) = \frac{e^{-\ell}}{1 + e^{-\ell}} = \frac{1}{1 + e^{\ell}}. \tag{2.12} $$
#
# The two sides are the same number, but not the same computation. At $\ell = 40$ the left one subtracts from 1 a
# number that was rounded to 1, and the right one is right to the last digit:

# %%
logits = np.array([5.0, 20.0, 40.0, 300.0])
want = exact(lambda t: 1 / (1 + t.exp()), logits)
check("2.12", "sigma(-l), to all digits", ops.sigmoid(-logits), want, atol=0, rtol=2e-15)
check("2.12a", "1 - sigma(l) is not the same computation", (1 - ops.sigmoid(logits).data) / want,
      1.0, atol=0.9, relation="!=")  # fmt: skip
print("1 - sigma(l):", 1 - ops.sigmoid(logits).data, "\nsigma(-l):   ", ops.sigmoid(-logits).data)

# %% [markdown]
# The log-sum-exp of $(x, 0)$ is called **softplus**. Take out the maximum, as in (2.9): for $x \ge 0$ the sum is
# $e^{x}(1 + e^{-x})$, for $x < 0$ it is $1 + e^{x}$ already. Both are
#
# $$ \operatorname{softplus}(x) = \log(1 + e^{x}) = \max(x, 0) + \operatorname{log1p}(e^{-|x|}). \tag{2.13} $$
#
# One exponential that cannot overflow, one `log1p` that keeps the digits of small values. This line is
# [softplus](../minigan/ops/elementwise.py#softplus) in the engine.

# %%
xs = np.linspace(-700, 700, sized(281, 57))
true_softplus = exact(lambda t: (1 + t.exp()).ln(), xs)
check("2.13", "softplus = max(x, 0) + log1p(e^-|x|)", ops.softplus(xs), true_softplus, atol=0,
      rtol=1e-15)  # fmt: skip

# %% [markdown]
# And now the point for GANs. Put (2.12) into the logarithms of the loss:
#
# $$ -\log D = \operatorname{softplus}(-\ell), \qquad -\log(1 - D) = \operatorname{softplus}(\ell). \tag{2.14} $$
#
# No probability is ever formed. This is why a discriminator ends in a *logit*, not in a sigmoid, and why the
# logarithmic losses of `minigan.losses` are written with softplus (see
# [logistic](../minigan/losses.py#logistic)). The two are tied by
#
# $$ \operatorname{softplus}(x) - \operatorname{softplus}(-x) = x: \tag{2.15} $$
#
# the logit is the difference of the two losses, which is one more way to say that it is the log-odds.

# %%
logit = np.array([-650.0, -40.0, -3.0, 0.0, 3.0, 40.0, 650.0])
real, fake = (
    exact(lambda t: -(1 / (1 + (-t).exp())).ln(), logit),
    exact(lambda t: -(1 - 1 / (1 + (-t).exp())).ln(), logit),
)
check("2.14", "-log D = softplus(-l)", ops.softplus(-logit), real, atol=0, rtol=1e-15)
check("2.14a", "-log(1 - D) = softplus(l)", ops.softplus(logit), fake, atol=0, rtol=1e-15)
check("2.15", "softplus(x) - softplus(-x) = x", ops.softplus(xs) - ops.softplus(-xs), xs,
      atol=1e-12, identity=50)  # fmt: skip

# %% [markdown]
# With a label $y$ (1 real, 0 fake, or between), the binary cross entropy is $-y \log D - (1 - y) \log(1 - D)$. By
# (2.14) and (2.15) it is
# $y \operatorname{softplus}(-\ell) + (1 - y) \operatorname{softplus}(\ell) = \operatorname{softplus}(\ell) - y\,\ell$,
# hence
#
# $$ \operatorname{BCE}(\ell, y) = \max(\ell, 0) - \ell\, y + \operatorname{log1p}(e^{-|\ell|}), \qquad
# \frac{\partial}{\partial \ell} \operatorname{BCE} = \sigma(\ell) - y. \tag{2.16} $$
#
# Finite for logits up to $10^{300}$, with a derivative that is never larger than 1: see
# [bce_with_logits](../minigan/ops/elementwise.py#bce_with_logits) and
# [identity 49](../tests/test_identities_layers.py#test_identity_49_finite_to_1e300).

# %%
target = np.array([0.0, 1.0, 0.9, 0.3, 1.0, 0.0, 0.5])
real = [1 / (1 + (-Decimal(t)).exp()) for t in logit.tolist()]
labels = [Decimal(t) for t in target.tolist()]
want = [float(-y * d.ln() - (1 - y) * (1 - d).ln()) for d, y in zip(real, labels, strict=True)]
slope = [float(d - y) for d, y in zip(real, labels, strict=True)]
leaf = mg.tensor(logit, requires_grad=True)
value = ops.bce_with_logits(leaf, target)
check(
    "2.16", "BCE = max(l,0) - l y + log1p(e^-|l|)", value, want, atol=1e-15, rtol=1e-15, identity=49
)
check("2.16a", "its derivative is sigma(l) - y", mg.grad(value.sum(), leaf), slope, atol=1e-15,
      identity=49)  # fmt: skip
huge = ops.bce_with_logits(np.array([1e300, -1e300]), np.array([0.25, 1.0]))
check("2.16b", "right at 1e300", huge, [0.75e300, 1e300], atol=0, rtol=1e-15, identity=49)

# %% [markdown]
# ## 5. The same loss as the articles write it
#
# *Article S1, section 4* ends its discriminator in a sigmoid and takes `tf.math.log(1.0 - fake_output)`. Let us
# follow the digits. The computed $\hat\sigma$ is off by some $\delta$ of the size of $u$: that is the spacing just
# below 1. The subtraction $1 - \hat\sigma$ is exact, but its true value is only $\sigma(-\ell) \approx e^{-\ell}$, so
# relatively it is off by $r = |\delta|\,(1 + e^{\ell})$. The logarithm turns a relative error $r$ into an absolute
# one of at most $-\log(1 - r)$. The value is $\operatorname{softplus}(\ell)$. Together, with $|\delta| \le 3u$,
#
# $$ \text{relative error of } -\log(1 - \hat\sigma(\ell)) \;\le\;
# \frac{-\log(1 - 3u\,(1 + e^{\ell}))}{\operatorname{softplus}(\ell)}: \tag{2.17} $$
#
# (and the logarithm's own rounding on top, a few $u$ at most). It grows like $e^{\ell}$ over $\ell$. Each unit of the
# logit costs about $\log_{10} e = 0.43$ digits.


# %%
def naive_fake_loss(t):
    """-log(1 - sigmoid(t)), as written, in the precision of t."""
    one = t.dtype.type(1)
    with quiet():
        return -np.log(one - one / (one + np.exp(-t)))


grid = np.linspace(0.5, 37, sized(585, 147))
errors = {}
for dtype in DIGITS:
    points = grid.astype(dtype)
    truth = exact(lambda t: (1 + t.exp()).ln(), points)
    with quiet():
        values = naive_fake_loss(points), ops.softplus(points).data
        errors[dtype] = [abs(v.astype(float) - truth) / truth for v in values]
for dtype, p in DIGITS.items():
    naive = errors[dtype][0]
    r = 3 * 2.0**-p * (1 + np.exp(grid))
    meant = r < 1  # beyond, the bound is infinite
    bound = -np.log1p(-r[meant]) / np.log1p(np.exp(grid[meant]))
    statement = f"p = {p}: relative error <= -log(1 - 3u (1 + e^l))/softplus(l), and rounding"
    check("2.17", statement, naive[meant], bound, atol=4 * 2.0**-p, relation="<=")
check("2.17a", "softplus keeps all digits, float32", errors[np.float32][1], 0.0, atol=2.5e-7)
check("2.17b", "and float64", errors[np.float64][1], 0.0, atol=1e-15)
for dtype in DIGITS:
    off = abs(float(naive_fake_loss(np.array(10, dtype))) / math.log1p(math.exp(10)) - 1)
    print(f"{dtype.__name__}: {-math.log10(off):.1f} digits are left at l = 10")

# %% [markdown]
# When does it become infinite? When $1 + e^{-\ell}$ rounds to 1, that is when $e^{-\ell}$ is at most half the spacing
# above 1, $2^{-p}$:
#
# $$ \ell_{\infty} = p \log 2 = 16.64 \quad \text{(float32)}, \qquad 36.74 \quad \text{(float64)}. \tag{2.18} $$
#
# Not 88: **17**. At a logit of 17 the discriminator of article S1 has an infinite loss on that image (minus
# infinity, in fact: its loss lacks the minus sign as well).

# %%
ends = [last(lambda t: np.isfinite(naive_fake_loss(t)), 1, 88, dtype) for dtype in DIGITS]
check("2.18", "log(1 - sigmoid(l)) is -inf from p log 2 on", ends,
      [24 * math.log(2), 53 * math.log(2)], atol=1e-5, errata="S1.6")  # fmt: skip

# %%
fig, ax = figure(width=6.4, height=3.6)
styles = {np.float32: (ORANGE, "float32"), np.float64: (BLUE, "float64")}
for dtype, (colour, name) in styles.items():
    naive, stable = errors[dtype]
    around = np.lib.stride_tricks.sliding_window_view(
        np.where(np.isfinite(naive), naive, np.nan), 9
    )
    ax.semilogy(grid[4:-4], around.max(axis=1), "-", color=colour)
    ax.axhline(max(stable.max(), np.finfo(dtype).eps / 2), color=colour, lw=1.2, ls=":")
    end = DIGITS[dtype] * math.log(2)
    ax.axvline(end, color=colour, lw=0.8, ls="--")
    ax.text(
        end + 0.4, 3.0, f"{name}:\ninfinite from {end:.1f}", color=colour, fontsize=9, va="bottom"
    )
ax.text(8.5, 3e-3, "naive, float32", color=ORANGE, fontsize=9, ha="right")
ax.text(27, 1e-5, "naive, float64", color=BLUE, fontsize=9, ha="right")
ax.text(7.5, 5e-8, "softplus, float32", color=ORANGE, fontsize=9, va="top")
ax.text(22, 4e-16, "softplus, float64", color=BLUE, fontsize=9)
ax.set(
    xlabel="logit of the fake",
    ylabel="relative error of -log(1 - D)",
    ylim=(1e-17, 3e3),
    xlim=(0, 46.5),
)
show(fig, "lost-digits",
     alt="The naive loss loses digits and is infinite from 16.6 or 36.7 on; softplus keeps all")  # fmt: skip

# %% [markdown]
# The other loss, $-\log \hat\sigma(\ell)$, fails on the other side: for $\ell < -88.7$ in float32, $e^{-\ell}$ is
# infinite, $\hat\sigma = 0$, and the loss of the *generator* is infinite on a clearly rejected fake. One such image
# in a batch is enough. The mean is infinite, the gradient of the bad image is `nan` (infinity times 0), and a
# weight's gradient is the sum over images:
#
# $$ \infty \cdot 0 = \text{nan}, \qquad \text{nan} + \text{anything} = \text{nan}. \tag{2.19} $$
#
# Then one step of the optimizer sets every weight to `nan`, and training is over.

# %%
batch = np.append(rng.normal(-2, 1, 127), -100.0).astype(np.float32)
scale = mg.tensor(np.ones((), np.float32), requires_grad=True)  # stands for the last layer's weight
with quiet():
    naive = ops.mean(-ops.log(1.0 / (1.0 + ops.exp(-(scale * batch)))))
    check("2.19", "127 good images and one bad: the loss is infinite", np.isinf(naive.data), True,
          atol=0, errata="S1.6")  # fmt: skip
    check("2.19a", "and the gradient is not a number", np.isnan(mg.grad(naive, scale).data), True,
          atol=0, errata="S1.6")  # fmt: skip
stable = mg.losses.non_saturating.generator(scale * batch)
truth = float(np.mean(-batch.astype(float) / (1 + np.exp(batch.astype(float)))))
check("2.19b", "on logits: the right gradient", mg.grad(stable, scale), truth, atol=0, rtol=1e-5,
      errata="S1.6")  # fmt: skip

# %% [markdown]
# **The usual guard is no cure.** Libraries that take probabilities clip them, $D \leftarrow \max(D, 10^{-7})$ in
# Keras. Then the loss stays finite, but where the clip acts it is *constant*:
#
# $$ \frac{\partial}{\partial \ell} \left[-\log \max(\sigma(\ell), 10^{-7})\right] = 0 \quad
# \text{for } \ell < \log 10^{-7} \approx -16.1, \tag{2.20} $$
#
# though the derivative of $-\log \sigma(\ell)$ there is $-1$, as large as it ever gets. The generator learns nothing
# from exactly those fakes that are worst, and the printed loss looks reasonable (16.1 at most).

# %%
line = np.linspace(-40, 12, 209)
leaf = mg.tensor(line, requires_grad=True)
clipped = mg.grad((-ops.log(ops.maximum(ops.sigmoid(leaf), 1e-7))).sum(), leaf).data
on_logits = mg.grad(ops.softplus(-leaf).sum(), leaf).data
saturating = mg.grad((-ops.softplus(leaf)).sum(), leaf).data
dead = line < math.log(1e-7) - 0.01
check("2.20", "the clipped loss has no derivative below -16.1", clipped[dead], 0.0, atol=0)
check("2.20a", "where the true one is -1", on_logits[dead], -1.0, atol=1e-6)

# %% [markdown]
# ## 6. Two sentences of article S0
#
# *Section 2.3.2* explains vanishing gradients by gradients that are too small, and recommends batch normalisation,
# initialisation and Adam. The cause is in the loss. The generator of the zero-sum game minimises $\log(1 - D)$ on its
# fakes, and by (2.14), (2.16)
#
# $$ \frac{\partial}{\partial \ell} \log(1 - \sigma(\ell)) = -\sigma(\ell), \qquad
# \frac{\partial}{\partial \ell} \left[-\log \sigma(\ell)\right] = -\sigma(-\ell). \tag{2.21} $$
#
# As $\ell \to -\infty$, the first goes to 0: it vanishes exactly on fakes that are rejected with confidence. The
# second, of the non-saturating loss $-\log D$, goes to $-1$ (lesson 8).

# %%
check("2.21", "d/dl log(1 - sigma(l)) = -sigma(l)", saturating,
      exact(lambda t: -1 / (1 + (-t).exp()), line), atol=1e-15, errata="S0.12")  # fmt: skip
check("2.21a", "d/dl [-log sigma(l)] = -sigma(-l)", on_logits,
      exact(lambda t: -1 / (1 + t.exp()), line), atol=1e-15, errata="S0.12")  # fmt: skip

# %%
fig, ax = figure(width=6.4, height=3.0)
ax.plot(line, -on_logits, "-", color=BLUE)
ax.plot(line, -clipped, "--", color=ORANGE)
ax.plot(line, -saturating, "-.", color=GREEN)
ax.text(-39, 1.03, "-log D on logits", color=BLUE, fontsize=9, va="bottom")
ax.text(-39, 0.04, "-log max(D, 1e-7): dead below -16.1", color=ORANGE, fontsize=9, va="bottom")
ax.text(12, 1.03, "log(1 - D), saturating", color=GREEN, fontsize=9, ha="right", va="bottom")
ax.set(
    xlabel="logit of the fake",
    ylabel="pull on the logit, -dL/dl",
    ylim=(-0.05, 1.15),
    xlim=(-40, 12.5),
)
show(fig, "pull",
     alt="The pull of three losses on a fake's logit: two of them leave the worst fakes alone")  # fmt: skip

# %% [markdown]
# *Section 2.3.3* advises "to add a logarithm to the output layer" of both networks, to make the outputs smoother. A
# logarithm is not smooth: its slope $1/o$ grows without bound as its argument goes to 0, and on the outputs of a
# generator, pixels in $[-1, 1]$, half of it is not even defined. What *is* smooth is the logarithm of a sigmoid, as a
# function of the logit:
#
# $$ 0 \le \operatorname{softplus}' = \sigma \le 1, \qquad
# 0 \le \operatorname{softplus}'' = \sigma\,(1 - \sigma) \le \tfrac{1}{4}, \qquad
# \frac{d \log o}{d o} = \frac{1}{o}. \tag{2.22} $$
#
# So the log belongs to the loss, together with the sigmoid, on logits; and to no output layer.

# %%
first = mg.grad(ops.softplus(leaf).sum(), leaf, create_graph=True)
second = mg.grad(first.sum(), leaf).data
check(
    "2.22", "the slope of softplus is at most 1", first, 1.0, atol=0, relation="<=", errata="S0.13"
)
check("2.22a", "its curvature is s(l) s(-l)", second,
      np.exp(-abs(line)) / (1 + np.exp(-abs(line))) ** 2, atol=1e-15, errata="S0.13")  # fmt: skip
output = mg.tensor(np.array([1e-3, 1e-6, 1e-12]), requires_grad=True)
steep = mg.grad(ops.log(output).sum(), output).data
check("2.22b", "the slope of a log layer is 1/o, without bound", steep, [1e3, 1e6, 1e12], atol=0,
      rtol=1e-12, errata="S0.13")  # fmt: skip
check("2.22d", "and so at most 1/4", second, 0.25, atol=0, relation="<=", errata="S0.13")
with quiet():
    normal = mg.random.normal((100_000,), seed=2, stream="pixels", dtype=np.float64)
    pixels = ops.log(ops.tanh(normal)).data
check("2.22c", "and half of these pixels have no log", np.isnan(pixels).mean(), 0.5,
      atol=5 * 0.5 / math.sqrt(len(pixels)), errata="S0.13")  # fmt: skip

# %% [markdown]
# ## 7. Sums
#
# A loss is a mean over a batch, a gradient a sum over positions. Adding $n$ numbers one after the other makes $n - 1$
# roundings, each relative to the partial sum of that moment. To first order in $u$,
#
# $$ |\hat s - s| \;\le\; (n - 1)\, u \sum_i |x_i|. \tag{2.23} $$
#
# On ordinary numbers the roundings have both signs and cancel in part; but $1 + u + u + \ldots$, where every single
# term is rounded away, comes up to the bound.
#
# Add in *pairs*, then pairs of pairs, and each number takes part in only $\log_2 n$ additions:
#
# $$ |\hat s - s| \;\le\; \lceil \log_2 n \rceil\, u \sum_i |x_i|. \tag{2.24} $$
#
# NumPy's `sum` does nearly that along the last axis: in pairs of blocks. And a loop can carry along what each
# addition has rounded away, and add it to the next term. That is Kahan's summation; its error does not grow with $n$
# at all, as long as $nu$ is small:
#
# $$ |\hat s - s| \;\le\; (2u + O(n u^2)) \sum_i |x_i|. \tag{2.25} $$


# %%
def one_by_one(x):
    return np.add.accumulate(x, axis=0)[-1]


def in_pairs(x):
    while len(x) > 1:
        x = x[0::2] + x[1::2]
    return x[0]


def kahan(x):
    total = lost = np.zeros_like(x[0])
    for term in x:
        term = term - lost
        new = total + term
        lost = (new - total) - term  # what the addition has rounded away
        total = new
    return total


# %%
sizes = [2**k for k in range(2, sized(16, 13), 2)]
table = {f: [] for f in (one_by_one, in_pairs, kahan)}
for n in sizes:
    x = rng.random((n, 20), dtype=np.float32)
    truth = np.array([math.fsum(column.tolist()) for column in x.T])
    for f, found in table.items():
        found.append((abs(f(x).astype(float) - truth) / abs(x.astype(float)).sum(axis=0)).max())
n, u32 = np.array(sizes), 2.0**-24
check("2.23", "one by one: error <= (n-1) u sum |x|", table[one_by_one], (n - 1) * u32, atol=0,
      rtol=1e-2, relation="<=")  # fmt: skip

# %%
ones = [np.array([1] + [u32] * (m - 1), dtype=np.float32) for m in sizes]  # each u is rounded away
lost = [math.fsum(x.tolist()) - float(one_by_one(x)) for x in ones]
check("2.23a", "1 + u + u + ... attains it", lost, (n - 1) * u32, atol=0, rtol=1e-12)
check("2.24", "in pairs: error <= log2(n) u sum |x|", table[in_pairs], np.log2(n) * u32, atol=0,
      rtol=1e-2, relation="<=")  # fmt: skip
check(
    "2.25", "Kahan: error <= 2u sum |x|", table[kahan], 2 * u32 + n * u32**2, atol=0, relation="<="
)

# %%
fig, ax = figure(width=6.2, height=3.2)
for found, mark in zip(table.values(), ("-o", "--s", "-.^"), strict=True):
    ax.loglog(sizes, np.maximum(found, 1e-9), mark, base=10)
ax.loglog(sizes, (n - 1) * u32, color=GREY, lw=0.8, ls=":")
ax.text(sizes[-1] * 1.25, sizes[-1] * u32, "bound (2.23)", color=GREY, fontsize=9, va="center")
ax.text(sizes[-1] * 1.25, table[one_by_one][-1], "one by one", color=BLUE, fontsize=9, va="center")
ax.text(
    sizes[-1] * 1.25, table[in_pairs][-1] * 1.3, "in pairs", color=ORANGE, fontsize=9, va="center"
)
ax.text(sizes[-1] * 1.25, table[kahan][-1] / 1.3, "Kahan", color=GREEN, fontsize=9, va="center")
ax.set(
    xlabel="numbers summed, float32", ylabel="largest error / sum of |x|", xlim=(3, sizes[-1] * 9)
)
show(fig, "sums",
     alt="Error of float32 sums against length: growing one by one, flat in pairs and by Kahan")  # fmt: skip

# %% [markdown]
# A famous end of the road: counting in float32. From $2^{24}$ on the spacing is 2, so adding 1 is halfway, and rounds
# back (to the even neighbour):
#
# $$ \operatorname{fl}(2^{24} + 1) = 2^{24} = 16\,777\,216. \tag{2.26} $$
#
# A mean over more than 17 million pixels, one by one in float32, is not a mean. And since
# $(a + b) + c \ne a + (b + c)$, a sum changes with its *order*. That is why parallel programs may give other digits
# each run; `minigan` keeps the order of its sums fixed, so that runs repeat bit for bit.

# %%
check(
    "2.26", "2^24 + 1 = 2^24 in float32", float(np.float32(2**24) + np.float32(1)), 2.0**24, atol=0
)
x = np.array([1e8, 1.0, -1e8], dtype=np.float32)
check("2.26a", "(a + b) + c is not a + (b + c)", (x[0] + x[1]) + x[2], x[1] + (x[0] + x[2]),
      atol=0.5, relation="!=")  # fmt: skip

# %% [markdown]
# ## 8. Variance, twice through the data
#
# Batch normalisation divides by the standard deviation. Two formulas are equal on paper, with $m$ the mean:
#
# $$ \operatorname{var} = \frac{1}{n} \sum_i (x_i - m)^2 = \frac{1}{n} \sum_i x_i^2 - m^2. \tag{2.27} $$
#
# The right one needs a single pass and is a cancellation as in (2.4): both terms are about $m^2$, their difference is
# $\operatorname{var}$, so it is off by up to about $u\,m^2/\operatorname{var}$, relatively. With mean 1000 and
# standard deviation 0.1 that is $6 \cdot 10^{-8} \cdot 10^{8}$: all digits. (Near a million the float32 grid has
# steps of $1/16$, so the difference is a multiple of $1/16$, and 0.01 is none.) The left one subtracts first.
# [var](../minigan/ops/reduction.py#var) goes through the data twice.

# %%
x = (1000 + 0.1 * rng.standard_normal(4096)).astype(np.float32)
values = [Fraction(v) for v in x.tolist()]
mean = sum(values) / len(values)
truth = float(sum((v - mean) ** 2 for v in values) / len(values))
one_pass = float((x * x).mean() - x.mean() ** 2)
check("2.27", "two passes: right", ops.var(x), truth, atol=0, rtol=1e-5)
check("2.27a", "one pass: no digit is right", one_pass, truth, atol=0, rtol=0.5, relation="!=")
exactly = np.array([1.0, 2.0, 4.0, 9.0])
check("2.27b", "on small integers both are the same", (exactly**2).mean() - exactly.mean() ** 2,
      ops.var(exactly), atol=1e-14)  # fmt: skip
print(f"true variance {truth:.6f}, two passes {ops.var(x).item():.6f}, one pass {one_pass:.6f}")

# %% [markdown]
# ## 9. A divergence that underflows
#
# The Jensen-Shannon divergence (lesson 5) contains $p \log(p/m)$ with $m = (p + q)/2$. Let $q = 0$ and let $p$ be the
# smallest number there is, $5 \cdot 10^{-324}$. Half of it rounds to 0, so $p/m = \infty$, and a term that should be
# nothing makes the divergence infinite. Take the half out of the logarithm instead, where it is a harmless constant:
#
# $$ p \log \frac{p}{m} = p \left(\log 2 + \log \frac{p}{p + q}\right). \tag{2.28} $$

# %%
p, q = np.array([5e-324, 1.0]), np.array([0.0, 1.0])
with quiet():
    naive = (p * np.log(p / ((p + q) / 2))).sum() / 2
stable = p * (math.log(2) + np.log(p / (p + q)))
check("2.28", "p log(p/m) = p (log 2 + log(p/(p+q)))", stable,
      exact(lambda t: t * Decimal(2).ln(), p) * (q == 0), atol=0)  # fmt: skip
check("2.28a", "as written it is infinite", np.isinf(naive), True, atol=0)
small = np.array([1e-300, 1.0])  # here half of the term is still a number, to all digits
check("2.28b", "minigan's is not: (1e-300 log 2)/2, and 0 below the smallest number",
      [divergences.jsd(small, q), divergences.jsd(p, q)], [0.5e-300 * math.log(2), 0.0],
      atol=0, rtol=1e-13)  # fmt: skip
p, q = rng.random((2, 50))
naive, stable = p * np.log(p / ((p + q) / 2)), p * (math.log(2) + np.log(p / (p + q)))
check("2.28c", "on ordinary numbers both are the same", stable, naive, atol=1e-15)

# %% [markdown]
# Zeros need the same care: $0 \log 0$ is 0 by its limit, but `0 * log(0)` is `nan`. The table functions of
# `minigan.theory` go through [xlogy](../minigan/theory/arrays.py#xlogy), which takes the limit, and has a finite
# derivative there.
#
# ## 10. A stable value is not yet a stable derivative
#
# Automatic differentiation differentiates the *computation*, not the function. So look at the derivative's
# computation as well:
#
# $$ \frac{d}{dx} \log(1 + e^x) = \frac{e^x}{1 + e^x} = \frac{\infty}{\infty} = \text{nan at } x = 1000, \qquad
# \text{but} \quad \sigma(1000) = 1. \tag{2.29} $$
#
# The composite (2.13), differentiated piece by piece, is right everywhere, even at its two kinks: at $x = 0$ the kink
# of $\max(x, 0)$ and that of $|x|$ cancel, because the engine takes the middle of the one-sided slopes for each.

# %%
points = np.array([-1000.0, -1.0, 0.0, 1.0, 1000.0])
leaf = mg.tensor(points, requires_grad=True)
pieces = ops.maximum(leaf, 0.0) + ops.log1p(ops.exp(-ops.abs(leaf)))
want = exact(lambda t: 1 / (1 + (-t).exp()), points)
check(
    "2.29", "derivative of softplus, piece by piece", mg.grad(pieces.sum(), leaf), want, atol=1e-15
)
with quiet():
    naive = mg.grad(ops.log(1.0 + ops.exp(leaf)).sum(), leaf).data
check("2.29a", "of log(1 + e^x) as written", np.isnan(naive[-1]), True, atol=0)

# %% [markdown]
# The gradient penalty of lesson 1 has the same trap. The length $|v| = \sqrt{\sum v_i^2}$ is fine at $v = 0$, but its
# derivative by the chain rule is $v_i/|v| = 0/0$. There is a kink, every choice in the unit ball is a subgradient,
# and the only wrong choice is `nan`:
#
# $$ \frac{\partial |v|}{\partial v} = \frac{v}{|v|}, \qquad \text{taken as } 0 \text{ at } v = 0. \tag{2.30} $$
#
# That is [norm](../minigan/ops/reduction.py#norm). A critic of ReLUs that is flat somewhere has $\nabla_x D = 0$
# exactly, and one such point would poison the whole batch, as in (2.19).

# %%
zero = mg.tensor(np.zeros(3), requires_grad=True)
with quiet():
    naive = mg.grad(ops.sqrt(ops.sum(zero * zero)), zero).data
check("2.30", "norm: derivative 0 at 0", mg.grad(ops.norm(zero), zero), 0.0, atol=0)
batch = mg.tensor(np.array([[0.0, 0.0], [3.0, -4.0]]), requires_grad=True)
check("2.30c", "and one such row does no harm to the others",
      mg.grad(ops.norm(batch, axis=1).sum(), batch), [[0.0, 0.0], [0.6, -0.8]], atol=1e-15)  # fmt: skip
check("2.30a", "the root of a sum of squares: nan", np.isnan(naive), True, atol=0)
v = mg.tensor(rng.standard_normal(3), requires_grad=True)
check("2.30b", "elsewhere v/|v|", mg.grad(ops.norm(v), v), v.data / np.sqrt((v.data**2).sum()),
      atol=1e-15)  # fmt: skip

# %% [markdown]
# ## 11. Adam's small number
#
# Adam divides the gradient's running mean by the root of its running square. At the first step both corrected means
# are the gradient itself, so
#
# $$ \theta_1 - \theta_0 = -\eta\, \frac{g}{\sqrt{g^2} + \epsilon} = -\eta\, \frac{g}{|g| + \epsilon}, \qquad
# \epsilon = 10^{-8}. \tag{2.31} $$
#
# For $|g| \gg \epsilon$ this is a step of $\eta$ whatever the size of $g$, which sounds like the cure for small
# gradients that article S0 (2.3.2) recommends. But $\epsilon$ is a floor. A saturating generator whose fakes have the
# logit $-20$ has $g = -\sigma(-20) = -2 \cdot 10^{-9}$, below the floor: the step is a sixth of $\eta$, and at $-25$
# a seven-hundredth. Adam hides vanishing gradients for a while, up to $|g| \approx \epsilon$ and not further. (It
# also divides noise by noise: below the floor, rounding is what is left.)


# %%
def first_step(logit, lr=1e-3):
    """Adam's first step on one logit, by the saturating loss log(1 - sigmoid(l))."""
    t = mg.tensor(np.array([logit]), requires_grad=True)
    optim.Adam([t], lr=lr).step([mg.grad((-ops.softplus(t)).sum(), t)])
    return (t.item() - logit) / lr


logits = [0.0, -10.0, -15.0, -18.0, -20.0]
size = exact(lambda t: 1 / (1 + (-t).exp()), np.array(logits))
check("2.31", "Adam's first step is -lr g/(|g| + eps)", [first_step(t) for t in logits],
      size / (size + 1e-8), atol=1e-10, identity=55)  # fmt: skip
check("2.31a", "so it does not cure vanishing: at logit -20", first_step(-20.0), 0.2, atol=0,
      relation="<=", errata="S0.12")  # fmt: skip
for t, s in zip(logits, size, strict=True):
    print(f"logit {t:4.0f}: gradient {-s:9.1e}, first step of Adam {first_step(t):.3f} lr")

# %% [markdown]
# In float32 there is a second floor: $g^2$ underflows. Numbers below half the smallest one, $2^{-150}$, become 0, so
#
# $$ g^2 = 0 \text{ in float32 for } |g| \le 2^{-75} \approx 2.6 \cdot 10^{-23}, \tag{2.32} $$
#
# and without $\epsilon$ the step would be $g/0$. That is one reason why $\epsilon$ is there.

# %%
edge = 2.0**-75 * np.array([0.999, 1.001], dtype=np.float32)
check("2.32", "squares below 2^-150 are 0 in float32", (edge**2 > 0), [False, True], atol=0)

# %% [markdown]
# ## Exercises
#
# The graders know no formula for the answers: they try what a right one must fulfil, to the last few digits. All
# inputs are float64 arrays; answers may be arrays or tensors.

# %%
from decimal import localcontext

from hypothesis import strategies as st

from minigan.lessons.strategies import arrays, floats


def log_sigmoid(x):
    """log(1/(1 + e^-x)) for an array x with |x| up to 1e4."""
    # Hint: e^-x overflows on one side only. Multiply numerator and denominator by e^x for the
    # other side.
    raise NotImplementedError


def are_logs_of_a_coin(heads, tails, log_odds):
    """log P and log(1 - P), which have the given difference: P + (1 - P) = 1, without losing a small P."""
    heads, tails = np.asarray(heads), np.asarray(tails)
    assert heads.shape == tails.shape == log_odds.shape, f"shapes {heads.shape}, {tails.shape}"
    for one, other in ((heads, tails), (tails, heads)):
        np.testing.assert_allclose(-np.expm1(one), np.exp(other), rtol=2e-12, atol=1e-300)
    np.testing.assert_allclose(heads - tails, log_odds, rtol=1e-12, atol=1e-12)


def right_log_sigmoid(answer, x):
    with quiet():
        are_logs_of_a_coin(answer(x), answer(-x), x)


grade("2.E1", log_sigmoid, right_log_sigmoid, x=arrays(4, -1e4, 1e4) | arrays(4, -40, 40))


# %%
def log_mean_exp(x):
    """log of the mean of e^x over a 1-D array, |x| up to 1e4, as importance weights need it."""
    # Hint: take out a factor, so that the largest exponential that is left is 1.
    raise NotImplementedError


def right_log_mean(answer, x):
    with quiet():
        got = np.asarray(answer(x)).item()
    with localcontext(prec=40):  # the definition, in numbers of 40 digits that never overflow
        mean = sum(Decimal(float(each)).exp() for each in x) / len(x)
        truth = mean.ln()
        error = abs(float(Decimal(got) - truth))
    assert error <= 1e-10 + 1e-12 * abs(float(truth)), f"got {got}, which is off by {error:.1e}"


grade("2.E2", log_mean_exp, right_log_mean, x=arrays(st.integers(1, 6), -1e4, 1e4))


# %%
def log_one_plus(y):
    """log(1 + y) for one number 1e-20 <= y <= 1, to 14 digits, with np.log only: formula (2.7).

    Mind the case that 1 + y rounds to 1: there log(1 + y) is y, to all digits.
    """
    # Hint: let w be 1 + y as it is rounded. log w is precise for that w, so correct it by y / (w
    # - 1).
    raise NotImplementedError


def right_log_one_plus(answer, exponent):
    y = 10.0**exponent
    with quiet():
        np.testing.assert_allclose(answer(y), np.log1p(y), rtol=1e-14)


grade("2.E3", log_one_plus, right_log_one_plus, exponent=floats(-20, 0))


# %%
def variance(x):
    """The mean of (x - mean)^2 over a 1-D array whose mean may be far larger than its spread."""
    # Hint: which subtraction loses the digits, and can it be done before squaring?
    raise NotImplementedError


def right_variance(answer, offset, spread):
    x = offset + np.array(spread)
    truth = np.var(x.astype(np.longdouble))
    np.testing.assert_allclose(answer(x), float(truth), rtol=1e-6, atol=1e-12)


grade("2.E4", variance, right_variance, offset=floats(-1e6, 1e6),
      spread=st.permutations([0.0, 0.25, 0.5, 1.0, 3.0]))  # fmt: skip


# %%
def log_optimal_discriminator(log_p, log_q):
    """log D* = log(p/(p + q)), given log p and log q, to 12 digits, also where D* is almost 1.

    log p and log q may be as low as -1e5: then p and q themselves are 0. (Lesson 7
    derives D*.)
    """
    # Hint: what is the logit of D*?
    raise NotImplementedError


def right_log_d(answer, log_p, log_q):
    with quiet():
        are_logs_of_a_coin(answer(log_p, log_q), answer(log_q, log_p), log_p - log_q)


grade("2.E5", log_optimal_discriminator, right_log_d, log_p=arrays(3, -1e5, 10),
      log_q=arrays(3, -1e5, 10))  # fmt: skip

# %% [markdown]
# ## What to read next
#
# * N. J. Higham, *Accuracy and Stability of Numerical Algorithms* (2nd edition 2002): chapter 1 is the best thirty
#   pages on rounding, chapter 4 is on sums. Its section 1.14 explains (2.7).
# * D. Goldberg, *What every computer scientist should know about floating-point arithmetic* (1991).
# * P. Blanchard, D. J. Higham, N. J. Higham, *Accurately computing the log-sum-exp and softmax functions* (2021).
# * I. Goodfellow and others, *Generative Adversarial Networks* (2014, arXiv 1406.2661), section 3: the saturating and
#   the non-saturating loss.
# * D. P. Kingma, J. Ba, *Adam* (2014, arXiv 1412.6980), section 2.
#
# Lesson 3 begins with the objects themselves: what a density is, and what a generator does to one.
