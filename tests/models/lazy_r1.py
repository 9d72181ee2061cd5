"""A GAN with R1 (Mescheder et al. 2018, arXiv 1801.04406), lazily (Karras et al. 2019, arXiv 1912.04958): every fourth step."""

from minigan import Lazy, Player, optim, penalties
from minigan.gans.toy import Toy


class LazyR1(Toy):
    summary = "toy GAN with lazy R1"

    def players(self):
        d, g = super().players()
        r1 = Lazy("r1", lambda x: penalties.r1(self.discriminator, x, gamma=0.5), every=4)
        return [Player(d.name, d.loss, optim.Adam(self.discriminator, lr=self.config.lr), lazy=[r1]), g]
