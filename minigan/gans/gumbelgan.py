"""A GAN of text by relaxed choices (Kusner, Hernandez-Lobato 2016, arXiv 1611.04051; Jang, Gu, Poole 2016, arXiv 1611.01144).

    x_0 --> LSTM --> logits l_1 --> one-hot of argmax(l_1 + Gumbel noise) = x_1 --> LSTM --> ... x_L --> D --> logit of "real"
                                     ^                                     |
                                     +-- derivative of softmax((l_1 + noise) / temperature) <--+

A choice from softmax(l) is argmax(l + g), g Gumbel noise (arXiv 1611.01144, eq. 1), so all its randomness comes from outside.
What is left, the argmax, gets the derivative of a softmax with a temperature (ibid., eq. 2): "straight through". So D sees tokens
as they are, as rows of the unit matrix, and its gradient reaches each choice at once: no rollouts, and little variance.

    G  minimises  likelihood (-E log G(x)) - E log D(G(z))
    D  minimises  -E log D(x) - E log(1 - D(G(z)))

First by likelihood alone. With the exact gradient the optimum is the data's law; the gradient here is biased, the more the higher
the temperature (that of the softmax in the place of the argmax), and varies the more the lower it is. It falls in the game from
`temperature` to half of it.

What goes wrong: the bias is not told by any loss. G may follow it to texts that D accepts and that repeat themselves, so the
likelihood stays in G's loss as a weight that holds it. `relaxed=true` shows D the softmax itself: then D tells fakes by their not
being one-hot, and G is taught to be sure instead of right.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan import losses, nn, ops, optim
from minigan.autodiff import Tensor
from minigan.game import Phase
from minigan.gans.options import option
from minigan.gans.text_checks import TextConfig, TextModel
from minigan.gans.texts import Reader, Writer
from minigan.player import Player
from minigan.scheduled import scheduled
from minigan.switches import no_grad


@dataclass(frozen=True, kw_only=True)
class GumbelGANConfig(TextConfig):
    """The options of a text GAN with relaxed choices."""

    steps: int = option(3200, "steps to train: of both phases together", low=0)
    likelihood_steps: int = option(
        3000, "of these the first: G by likelihood alone (Yu 2016, arXiv 1609.05473, algorithm 1)", low=1
    )
    temperature: float = option(
        1.0,
        "of the softmax whose derivative a choice gets (Jang 2016, arXiv 1611.01144, eq. 2); falls to half",
        low=1e-3,
    )
    relaxed: bool = option(
        False, "D sees the softmax itself, not the token that was chosen (Kusner 2016, arXiv 1611.04051)"
    )
    likelihood: float = option(
        1.0, "weight of -E log G(x) in the game (as teacher forcing in Yu 2016, arXiv 1609.05473)", low=0.0
    )
    game_lr: float = option(3e-4, "Adam's rate of G in the game, beta1 .5 (Kingma 2014, arXiv 1412.6980)", low=0.0)
    judge_lr: float = option(
        5e-4, "Adam's rate in D, beta1 .5 (ibid.); ten times as much, and D wins for good", low=0.0
    )


class GumbelGAN(TextModel):
    """Two phases, two players."""

    Config = GumbelGANConfig
    summary = "text by choices with the derivative of a softmax (Kusner, Hernandez-Lobato 2016)"

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        k, width = len(self.vocabulary), self.config.width
        return {"generator": Writer(k, width, width), "discriminator": Reader(k, width, *self.shape)}

    def players(self) -> list[Phase]:
        """Likelihood; then the game."""
        config = self.config
        g = optim.Adam(self.generator, lr=config.game_lr, beta1=0.5)
        d = optim.Adam(self.discriminator, lr=config.judge_lr, beta1=0.5)
        begin, long = config.likelihood_steps, max(1, config.steps - config.likelihood_steps)
        self.temperature = scheduled(lambda t: config.temperature * (1 - 0.5 * min(max(t - begin, 0) / long, 1)))
        return [
            Phase("likelihood", [self.by_likelihood("generator")], steps=begin),
            Phase("game", [Player("discriminator", self.discriminator_loss, d), Player("game", self.game_loss, g)]),
        ]

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n texts."""
        return ops.stack(self.generator.write(n, self.length, self.random, "texts"), axis=1)

    def relaxed(self, n: int) -> Tensor:
        """n texts as rows of weights of tokens (n, L, K), one-hot in value unless `relaxed`."""
        g, made = self.generator, list[Tensor]()
        temperature = ops.cast(self.temperature, dtype=g.out.weight.dtype)
        read, state = g.table(g.first(n)), g.cell.start(n)
        for _ in range(self.length):
            h, state = g.cell(read, state)
            made.append(
                ops.gumbel_softmax(
                    g.out(h),
                    temperature=temperature,
                    random=self.random,
                    stream="choices",
                    hard=not self.config.relaxed,
                )
            )
            read = ops.matmul(made[-1], g.table.weight[: g.start])
        return ops.stack(made, axis=1)

    def seen(self, x: Tensor) -> Tensor:
        """Tokens of the data as D sees them."""
        return ops.one_hot(x, len(self.vocabulary), dtype=self.generator.out.weight.dtype)

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z)))."""
        with no_grad():
            fakes = self.relaxed(len(x))
        return losses.non_saturating.discriminator(self.discriminator(self.seen(x)), self.discriminator(fakes))

    def game_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """likelihood (-E log G(x)) - E log D(G(z))."""
        adversarial = losses.non_saturating.generator(self.discriminator(self.relaxed(len(x))))
        likelihood = self.likelihood_loss(x)
        return self.config.likelihood * likelihood + adversarial, {"nll": likelihood, "adversarial": adversarial}
