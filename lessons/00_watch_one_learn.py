# %% [markdown]
# # 0. Watch one learn, and break it
#
# Two small networks play a game. One makes points, the other guesses which points are real. Ten seconds later the
# first makes points like the real ones, which it has never seen. Then we break the game in three ways, and look at
# what breaks.
#
# You need: nothing. If a word is new, the second picture has it.
#
# **Predict first.** The real points lie in eight small heaps on a ring. The maker begins with a blot in the middle. Will
# it find the heaps (a) one after the other, (b) as a ring first, that then breaks into heaps, (c) never?

# %%
import math

import numpy as np
from hypothesis import strategies as st

import minigan as mg
from minigan import data, gans, losses, ops, optim
from minigan.lessons import check, figure, grade, show, sized
from minigan.lessons.figures import COLOURS, GREY
from minigan.lessons.strategies import arrays, floats

real = data.load("ring8", seed=0)
Toy = gans.get("toy")


def play(looks, steps, **settings):
    """Let a new pair of networks play so many steps; 500 of its points at each look, and the last losses."""
    config = Toy.Config(steps=steps, **settings)
    model, seen, values = Toy(config, (2,)), [], {}
    batches = data.Loader(real, batch_size=config.batch_size, seed=0)
    updates = model.game.updates()
    for step in range(steps + 1):
        if step in looks:
            seen.append(model.sample(500, seed=1))
        if step < steps:
            values = model.game.step(
                batches=[batches.batch(step * updates + k) for k in range(updates)]
            )
    return seen, {name: value.item() for name, value in values.items()}


def draw(ax, points, title):
    """Real points in grey, made ones in colour; none beyond three units is seen."""
    ax.scatter(*real.x[:1500].T, s=3, color=GREY, alpha=0.3, rasterized=True)
    ax.scatter(*points.T, s=3, color=COLOURS[0], rasterized=True)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[], aspect="equal", title=title)


last = sized(2000, 1000)
looks = [0, 50, 150, 400, last]
seen, end = play(looks, last)
fig, axes = figure(1, 5, width=7.6, height=1.9)
for ax, points, step in zip(axes, seen, looks, strict=True):
    draw(ax, points, f"step {step}")
show(fig, "learning",
     alt="Points of a generator at five steps: a blot, a wider blot, a ring, a ring with knots, eight heaps.")  # fmt: skip

# %% [markdown]
# (b), as a rule. You have watched a **generative adversarial network** (GAN) learn: Goodfellow and others, 2014.
#
# ## The words

# %%
fig, ax = figure(width=7.4, height=2.6)
ax.set(xlim=(0, 10), ylim=(-0.6, 3.3))
ax.axis("off")
boxes = {
    "noise z": (0.9, 1.0), "generator\nG": (3.0, 1.0), "fakes\nG(z)": (5.1, 1.0), "reals\nx": (5.1, 2.7),
    "discriminator\nD": (7.2, 1.85), "guess:\nreal?": (9.2, 1.85),
}  # fmt: skip
learns = ("generator\nG", "discriminator\nD")
for name, (x, y) in boxes.items():
    face = COLOURS[0] if name in learns else "white"
    ink = "white" if name in learns else "black"
    ax.text(x, y, name, ha="center", va="center", color=ink,
            bbox={"boxstyle": "round,pad=0.5", "facecolor": face, "edgecolor": "black"})  # fmt: skip
arrow = {"arrowstyle": "-|>", "color": "black", "shrinkA": 40, "shrinkB": 40}
pairs = [("noise z", "generator\nG"), ("generator\nG", "fakes\nG(z)"),
         ("fakes\nG(z)", "discriminator\nD"), ("reals\nx", "discriminator\nD"),
         ("discriminator\nD", "guess:\nreal?")]  # fmt: skip
for begin, finish in pairs:
    ax.annotate("", boxes[finish], boxes[begin], arrowprops=arrow)
back = {
    "arrowstyle": "-|>",
    "color": COLOURS[1],
    "linestyle": "--",
    "connectionstyle": "arc3,rad=-0.35",
}
ax.annotate("", (3.0, 0.45), (7.2, 1.2), arrowprops=back)
ax.text(5.0, -0.5, "which way to move, to look more real", ha="center", color=COLOURS[1])
show(fig, "schematic",
     alt="Noise goes into the generator, which makes fakes. Fakes and reals go into the discriminator, which "
         "guesses. A dashed arrow leads back: which way the fakes should move to look more real.")  # fmt: skip

# %% [markdown]
# - **Noise** $z$: random numbers, here two, new ones each time. Without them $G$ could make one point only.
# - **Generator** $G$: a network that turns noise into a **sample**, here a point, elsewhere an image. A sample of $G$ is a
#   **fake**; an example of the data is **real**.
# - **Discriminator** $D$: a network that says how sure it is that what it sees is real, between 0 and 1.
# - **Loss**: a number that a player wants to be small. $D$'s is small when it guesses right, $G$'s when $D$ is wrong.
# - **Step**: both take a **batch** (256 points) and move their **weights** a little, downhill in their own loss. "Which way
#   is downhill" is the **gradient**. $G$ sees no real point. It only learns from $D$ which way to move.
#
# Nobody wins. Suppose that at some place there are as many fakes as reals: then the best that $D$ can say there is
# one half. In general,
#
# $$ D(\text{place}) = \frac{\text{reals there}}{\text{reals there} + \text{fakes there}} . \tag{0.1} $$
#
# Let a $D$ learn on counts, with one free number a place, and see whether that is where it comes to rest. It
# pays $-\log D$ for each real and $-\log(1 - D)$ for each fake: little where it was right, much where it was sure and
# wrong.

# %%
reals, fakes = np.array([40.0, 25.0, 10.0, 5.0]), np.array([10.0, 25.0, 30.0, 15.0])
score = mg.tensor(np.zeros(4), requires_grad=True)  # D is its sigmoid, between 0 and 1
player = optim.Adam([score], lr=0.1)
for _ in range(sized(1000, 500)):
    cost = ops.sum(reals * ops.softplus(-score) + fakes * ops.softplus(score))
    player.step(mg.grad(cost, [score]))
learnt = ops.sigmoid(score).numpy()
print("D says", np.round(learnt, 3))
check(
    "0.1",
    "the best D is reals / (reals + fakes), place by place",
    learnt,
    reals / (reals + fakes),
    atol=1e-4,
)

# %% [markdown]
# So when the fakes are right everywhere, $D$ can do no better than $\frac12$ everywhere, and pays
#
# $$ -\log\tfrac12 - \log\tfrac12 = \log 4 \approx 1.386 \tag{0.2} $$
#
# for a real and a fake. That is the number to look for in the progress of `minigan train`: *a discriminator at 1.386
# is a discriminator that cannot tell*.

# %%
cannot_tell = losses.logistic(mg.tensor(np.zeros(256)), mg.tensor(np.zeros(256)))
check(
    "0.2", "D's loss when it says one half everywhere", cannot_tell.item(), math.log(4), atol=1e-12
)
print(f"our run ended with D's loss {end['discriminator']:.3f}, G's {end['generator']:.3f}")

# %% [markdown]
# ## Break it
#
# A loss does not say whether the samples are good. What does, here, is a count: how many heaps have a sample, where a
# heap's points lie within three times its width $\sigma$ of its middle $m_k$:
#
# $$ \text{modes} = \#\{\,k : \text{some sample } x \text{ has } \lVert x - m_k\rVert \le 3\sigma\,\} . \tag{0.3} $$
#
# Now three faults, the same networks and the same data:
#
# 1. **a generator in a hurry**: it learns ten times as fast as $D$;
# 2. **a discriminator that sleeps**: it never learns;
# 3. **a discriminator that knows it all**: ten steps to each of $G$'s, and a $G$ whose loss looks at what is caught.

# %%
hurry, hurried = play([last], last, r1=0.0, lr=1e-2, beta1=0.9, d_lr=1e-3, ema=0.0)
short = sized(600, 300)
sleep, asleep = play([short], short, r1=0.0, d_lr=1e-12)
clever, knows = play([short], short, loss="minimax", r1=0.0, d_steps=10, d_lr=1e-2, lr=1e-4)

broken = {"nothing broken": (seen[-1], end), "G in a hurry": (hurry[0], hurried),
          "D sleeps": (sleep[0], asleep), "D knows it all": (clever[0], knows)}  # fmt: skip
fig, axes = figure(1, 4, width=7.6, height=2.3)
for ax, (name, (points, _)) in zip(axes, broken.items(), strict=True):
    draw(ax, points, name)
    if not np.isfinite(far := np.hypot(*points.T).mean()) or far > 4:
        ax.text(0, 0, f"they are {far:.0f} units\naway", ha="center", va="center")
show(fig, "broken",
     alt="Four runs: eight heaps; one clump; no points in sight, as they are far away; a blot that "
         "has hardly moved.")  # fmt: skip


def modes(points):
    """(0.3), word by word."""
    return sum(bool((np.hypot(*(points - m).T) <= 3 * real.sigma).any()) for m in real.modes)


for name, (points, of) in broken.items():
    far = np.hypot(*points.T).mean()
    print(f"{name:15} modes {modes(points)}  mean distance from the middle {far:8.1f}  "
          f"D's loss {of['discriminator']:6.3f}  G's loss {of['generator']:6.3f}")  # fmt: skip
counted = [
    data.mode_statistics(points, real.modes, real.sigma)["modes"] for points, _ in broken.values()
]
check(
    "0.3",
    "the count by words is the library's",
    [modes(p) for p, _ in broken.values()],
    counted,
    atol=0,
)
check(
    "0.3a",
    "nothing broken: at least seven heaps of eight",
    modes(seen[-1]),
    7,
    atol=0,
    relation=">=",
)
check("0.3b", "each fault loses at least two", max(counted[1:]), 6, atol=0, relation="<=")

# %% [markdown]
# What you have seen, and where the mathematics of it is:
#
# 1. **Mode collapse.** $G$ piles up where $D$ believes it just now, and moves on when $D$ has noticed. Some heaps are never
#    visited (lesson 13). *Cure: a slower $G$, and a $D$ that is kept smooth* (lesson 12).
# 2. **A low loss that means nothing.** $G$'s loss falls towards 0: it has found where the sleeping $D$ says "real", far from
#    any real point. Compare runs by their samples, never by their losses (lesson 10).
# 3. **No gradient.** $D$ is sure, so nothing that $G$ could change a little would change $D$'s mind. $G$ stands still
#    (lesson 8, and the cure that everybody uses).
#
# > **Try it.** At a prompt: `minigan train toy --set r1=0 lr=1e-2 beta1=0.9 d_lr=1e-3 ema=0 --steps 1000 --out runs/hurry`, then
# > `minigan diagnose runs/hurry`. It finds the fault by numbers and says what to try.
#
# The networks are in [`Toy`](../minigan/gans/toy.py#Toy), the step that both take in [`Game`](../minigan/game.py#Game).
#
# ## Exercises


# %%
def best_guess(reals, fakes):
    """What D should say at a place with so many reals and fakes, at least one of each."""
    # Hint: (0.1), in one line.
    raise NotImplementedError


def guess_property(answer, reals, fakes):
    pays = lambda d: -reals * math.log(d) - fakes * math.log(1 - d)
    d = answer(reals, fakes)
    assert 0 < d < 1, f"it said {d}, which is no share"
    for other in (d * 0.99, 1 - (1 - d) * 0.99):
        assert pays(d) <= pays(other), f"{d} costs {pays(d)}, but {other} only {pays(other)}"


grade("0.E1", best_guess, guess_property, reals=st.integers(1, 50), fakes=st.integers(1, 50))


# %%
def what_d_pays(sure):
    """D's loss for one real and one fake when it says `sure` to the real and 1 - `sure` to the fake."""
    # Hint: it pays -log of what it gave to the truth, twice.
    raise NotImplementedError


def pays_property(answer, sure):
    one = lambda p: -math.log(p)
    assert abs(answer(0.5) - math.log(4)) < 1e-9, "at one half it is log 4"
    assert abs(answer(sure) - 2 * one(sure)) < 1e-9, f"{sure} was given to the truth, twice"


grade("0.E2", what_d_pays, pays_property, sure=floats(0.01, 0.99))


# %%
def count_modes(points, middles, reach):
    """How many of the middles (K, 2) have one of the points (N, 2) at most `reach` away."""
    # Hint: a middle counts once, however many points are near it; a point may be near none.
    raise NotImplementedError


def count_property(answer, points, reach):
    middles = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    near = [min(math.dist(p, m) for p in points) <= reach for m in middles]
    assert answer(points, middles, reach) == near.count(True), f"near a point: {near}"


grade("0.E3", count_modes, count_property, points=arrays((5, 2), -1, 5), reach=floats(0.5, 2))

# %% [markdown]
# ## What to read next
#
# - Now try it live: `minigan lab` opens a page on which this game runs while you change and break it, and which says how far
#   apart reals and fakes truly are. Without an installation: `play.html` of this site.
# - I. Goodfellow et al., *Generative Adversarial Nets* (2014, arXiv 1406.2661): figure 1 is what you have watched.
# - Next: lesson 7 for the game's mathematics, if you know derivatives of many variables; lesson 1 if not. The short way
#   through the course: 0, 7, 8, 10, 12, 13.
