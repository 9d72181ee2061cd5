"""First the content, then the game: SRGAN's order of things (Ledig et al. 2016, arXiv 1609.04802), to denoise points.

G learns to undo noise by its squared error alone; later D joins in, and G's optimizer goes on with its state.
"""

from dataclasses import dataclass

from minigan import Phase, Player, losses, nn, ops, optim
from minigan.gans import Config, Examples, Model, option


@dataclass(frozen=True, kw_only=True)
class PhasesConfig(Config):
    data: str = option("ring8", "a set of points")
    content_steps: int = option(5, "steps of the first phase", low=1)


class Denoiser(Model):
    Config = PhasesConfig
    needs = "points"
    conditions = {"noisy": Examples("x")}  # noqa: RUF012

    def networks(self):
        return {
            "G": nn.Sequential(nn.Dense(2, 16, activation="relu"), nn.Dense(16, 2)),
            "D": nn.Sequential(nn.Dense(2, 16, activation="relu"), nn.Dense(16, 1)),
        }

    def players(self):
        adam = optim.Adam(self.G)
        adversarial = [Player("D", self.d_loss, optim.Adam(self.D)), Player("G", self.g_loss, adam)]
        content = [Player("G", self.content, adam)]
        return [Phase("content", content, steps=self.config.content_steps), Phase("adversarial", adversarial)]

    def generate(self, n, noisy):
        return self.G(noisy)

    def denoised(self, x):
        return self.G(x + 0.3 * self.random.normal(x.shape, stream="noise"))

    def content(self, x):
        return ops.mean(ops.square(self.denoised(x) - x))

    def d_loss(self, x):
        return losses.non_saturating.discriminator(self.D(x), self.D(self.denoised(x)))

    def g_loss(self, x):
        return self.content(x) + 0.1 * losses.non_saturating.generator(self.D(self.denoised(x)))
