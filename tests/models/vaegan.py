"""VAE-GAN (Larsen et al. 2015, arXiv 1512.09300): encoder, decoder and discriminator, all moving at once.

E: KL(q(z|x) || N(0, 1)) + feature error     G: gamma * feature error + adversarial     D: adversarial
"""

from dataclasses import dataclass

from minigan import Player, losses, nn, ops, optim
from minigan.gans import Config, Model, Picture, option


@dataclass(frozen=True, kw_only=True)
class VAEGANConfig(Config):
    data: str = option("glyphs", "images")
    latent: int = option(4, "length of z", low=1)
    gamma: float = option(0.1, "weight of the feature error in the decoder's loss", low=0.0)
    ema: float = option(0.9, "decay of the decoder's average", low=0.0, high=0.9999)


class VAEGAN(Model):
    Config = VAEGANConfig
    needs = "images"
    rule = "simultaneous"

    def networks(self):
        height, width, channels = self.shape
        pixels, latent = height * width * channels, self.config.latent
        return {
            "encoder": nn.Sequential(nn.Flatten(), nn.Dense(pixels, 8, activation="relu"), nn.Dense(8, 2 * latent)),
            "decoder": nn.Sequential(
                nn.Dense(latent, 8, bias=False), nn.BatchNorm(8, activation="relu"),
                nn.Dense(8, pixels, activation="tanh"), nn.Reshape(*self.shape),
            ),
            "features": nn.Sequential(nn.Flatten(), nn.Dense(pixels, 8, activation="leaky_relu"), nn.Dropout(0.2)),
            "head": nn.Dense(8, 1),
        }  # fmt: skip

    def average(self):
        return optim.EMA(self.decoder, decay=self.config.ema)

    def players(self):
        return [
            Player("encoder", self.encoder_loss, optim.Adam(self.encoder)),
            Player("decoder", self.decoder_loss, optim.Adam(self.decoder)),
            Player("discriminator", self.d_loss, optim.Adam({"features": self.features, "head": self.head})),
        ]

    def generate(self, n):
        return self.decoder(self.random.normal((n, self.config.latent), stream="z"))

    def pictures(self, real):
        with self.evaluating():
            code = self.encoder(real["x"][:8])[:, : self.config.latent]
            again = self.decoder(code).numpy()
        return {"samples": Picture(self.sample(16)), "reconstructions": Picture(again, columns=8)}

    def encoded(self, x):
        k = self.config.latent
        code = self.encoder(x)
        mean, log_var = code[:, :k], code[:, k:]
        z = mean + ops.exp(0.5 * log_var) * self.random.normal(mean.shape, stream="posterior")
        kl = 0.5 * ops.mean(ops.sum(ops.square(mean) + ops.exp(log_var) - log_var - 1.0, axis=1))
        return z, kl

    def feature_error(self, x, z):
        return ops.mean(ops.square(self.features(x) - self.features(self.decoder(z))))

    def encoder_loss(self, x):
        z, kl = self.encoded(x)
        error = self.feature_error(x, z)
        return kl + error, {"kl": kl, "feature_error": error}

    def decoder_loss(self, x):
        z, _ = self.encoded(x)
        fake = self.head(self.features(self.generate(len(x))))
        return self.config.gamma * self.feature_error(x, z) + losses.non_saturating.generator(fake)

    def d_loss(self, x):
        logits = [self.head(self.features(images)) for images in (x, self.generate(len(x)))]
        return losses.non_saturating.discriminator(*logits)
