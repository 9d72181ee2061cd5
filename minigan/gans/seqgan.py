"""SeqGAN (Yu, Zhang, Wang, Yu 2016, arXiv 1609.05473): a generator of text as a policy, D's verdict as its reward.

    x_1 --> LSTM --> x_2 --> LSTM --> ... x_L: choices --> D: convolutions --> probability of "real"
             |
             +--> for each t: 16 rollouts of the rest by G_beta --> D --> Q(x_1..x_{t-1}, x_t), their mean

A choice has no derivative, so D's gradient stops at the tokens. G is trained as a policy, whose action is the next token. The
reward comes when a text is whole; what a token is worth in the middle of it is told by rollouts (ibid., eq. 4, 6, 7, 8)

    J = E[R_L],    Q(x_1..x_{t-1}, x_t) = mean of D over 16 completions of x_1..x_t,  D(x) for t = L
    dJ = E sum over t of (Q_t - b_t) d log G(x_t | x_1..x_{t-1}),     b_t = Q_{t-1}, the beginning's own worth
    D  minimises  -E log D(x) - E log(1 - D(G))                                                       (ibid., eq. 5)

The baseline b is not the paper's: it leaves the mean, since other rollouts made it, and lowers the variance (`minigan.policy`);
b_1 is the mean over the other texts. G_beta follows G, .8 of it stays in each step. First G learns by likelihood alone, then D,
then both play. At the optimum D = 1/2 and all rewards are equal.

What goes wrong: from nothing it learns nothing, all texts being equally bad, hence the first phase. -E_G log p(x), the number of
the paper, is a divergence without its entropy: it also falls where G writes few, likely texts. So the likelihood of held-out data
and self-BLEU stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from minigan import losses, nn, ops, optim, policy
from minigan.autodiff import Tensor
from minigan.game import Phase
from minigan.gans.options import option
from minigan.gans.text_checks import TextConfig, TextModel
from minigan.gans.texts import Reader, Writer
from minigan.player import Player
from minigan.switches import no_grad


@dataclass(frozen=True, kw_only=True)
class SeqGANConfig(TextConfig):
    """SeqGAN's options."""

    steps: int = option(5300, "steps to train: of all three phases together", low=0)
    likelihood_steps: int = option(
        3000, "of these the first: G by likelihood alone (Yu 2016, arXiv 1609.05473, algorithm 1)", low=1
    )
    judge_steps: int = option(2000, "of these the next: D alone (ibid.)", low=1)
    rollouts: int = option(16, "N: completions of each beginning (Yu 2016, arXiv 1609.05473, section 3.2)", low=1)
    batch_size: int = option(32, "texts a step; of the policy's each with its rollouts", low=2)
    follow: float = option(
        0.8, "share of G_beta that stays in a step (ibid.; update rate in its program)", low=0.0, high=0.999
    )
    judge_updates: int = option(3, "D's updates a step of the game (ibid., algorithm 1: d-steps)", low=1)
    policy_lr: float = option(1e-3, "Adam's rate of the policy gradient (ibid., eq. 8)", low=0.0)


class SeqGAN(TextModel):
    """Three phases; the policy and the likelihood have optimizers of their own."""

    Config = SeqGANConfig
    summary = "text by a policy whose reward is D's verdict on rollouts (Yu et al. 2016)"
    rollout: optim.EMA

    def networks(self) -> dict[str, nn.Module]:
        """See the file's docstring."""
        config, k = self.config, len(self.vocabulary)
        return {
            "generator": Writer(k, config.width, config.width),
            "discriminator": Reader(k, config.width, *self.shape),
        }

    def extra_state(self) -> dict[str, Any]:
        """G_beta, and what the likelihood alone had reached."""
        follower = optim.EMA(self.generator, decay=self.config.follow, warm_up=False)
        return {"rollout": follower, **super().extra_state()}

    def after_step(self) -> Sequence[Callable[[], Any]]:
        """G_beta follows."""
        return [self.rollout.update]

    def players(self) -> list[Phase]:
        """Likelihood; D; both."""
        config = self.config
        rate = optim.linear(config.judge_lr, final=0.1 * config.judge_lr, steps=config.judge_steps)
        d = partial(Player, "discriminator", self.discriminator_loss, optim.Adam(self.discriminator, lr=rate))
        reinforced = optim.Adam(self.generator, lr=config.policy_lr, beta1=0.5)
        return [
            Phase("likelihood", [self.by_likelihood("generator")], steps=config.likelihood_steps),
            Phase("judge", [d()], steps=config.judge_steps),
            Phase("game", [d(updates=config.judge_updates), Player("policy", self.policy_loss, reinforced)]),
        ]

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """n texts."""
        return ops.stack(self.generator.write(n, self.length, self.random, "texts"), axis=1)

    def discriminator_loss(self, x: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(G))."""
        with no_grad():
            fakes = self.generate(len(x))
        return losses.non_saturating.discriminator(self.discriminator(x), self.discriminator(fakes))

    def verdict(self, texts: Tensor) -> Tensor:
        """D(x), a probability, (N,)."""
        return ops.sigmoid(self.discriminator(texts, sure=True))[:, 0]

    def values(self, tokens: list[Tensor]) -> Tensor:
        """Q of each token of texts, given as a list of their tokens (N,) for each place: (N, L)."""
        n, count, length = len(tokens[0]), self.config.rollouts, len(tokens)
        with self.rollout.applied():
            texts = self.completed(tokens, n * count)
        q = ops.mean(ops.reshape(self.verdict(texts), (length - 1, count, n)), axis=1) if length > 1 else None
        whole = ops.expand_dims(self.verdict(ops.stack(tokens, axis=1)), 0)
        return ops.transpose(whole if q is None else ops.concatenate([q, whole]))

    def completed(self, tokens: list[Tensor], many: int) -> Tensor:
        """For each t < L in turn, x_1..x_t with `many` completions, x being the texts over and over: ((L - 1) many, L). All
        beginnings are written on at once: those of length t join in when token t + 1 is to be chosen."""
        often = lambda x: ops.concatenate([x] * (many // len(x)))  # noqa: E731
        given, chosen = [often(token) for token in tokens], list[Tensor]()
        states, state = self.generator.states(tokens), None
        for t in range(1, len(tokens)):  # token and state of the beginnings so far: 1, ..., t
            joining = [often(part) for part in states[t - 1]]
            token = given[t - 1] if state is None else ops.concatenate([chosen[-1], given[t - 1]])
            state = joining if state is None else [ops.concatenate(p) for p in zip(state, joining, strict=True)]
            logits, state = self.generator.step(token, state)
            chosen.append(self.random.categorical(logits, stream="rollouts"))
        begun = lambda t: slice((t - 1) * many, t * many)  # noqa: E731
        rows = [[*given[:t], *(late[begun(t)] for late in chosen[t - 1 :])] for t in range(1, len(tokens))]
        return ops.concatenate([ops.stack(row, axis=1) for row in rows]) if rows else ops.stack(given, axis=1)[:0]

    def policy_loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """-(1/N) sum of (Q - b) log G: its gradient is the policy's; the reward of whole texts is reported.

        x says how many texts G writes.
        """
        with no_grad():
            tokens = self.generator.write(len(x), self.length, self.random, "policy")
            q = self.values(tokens)
            b = ops.concatenate([policy.leave_one_out(q[:, :1]), q[:, :-1]], axis=1)
        log_p = ops.log_prob(self.generator(texts := ops.stack(tokens, axis=1)), texts)
        return policy.reinforce(log_p, q, baseline=b), {"reward": ops.mean(q[:, -1])}
