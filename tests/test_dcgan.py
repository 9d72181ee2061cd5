"""The DCGAN: its networks by configuration, its initialisation, its training."""

from __future__ import annotations

import numpy as np
import pytest
from devices import each_device

from minigan.gans.dcgan import DCGAN, DCGANConfig
from minigan.kernels import kernel


def sizes(network: object) -> list[tuple[int, ...]]:
    return [t.shape for name, t in network.parameters().items() if name.endswith("weight")]


def test_s4_has_the_layers_of_the_article() -> None:
    model = DCGAN(DCGANConfig(net="s4", features=64), (28, 28, 1))
    assert sizes(model.generator) == [(100, 12544), (5, 5, 128, 256), (5, 5, 64, 128), (5, 5, 1, 64)]
    assert sizes(model.discriminator) == [(5, 5, 1, 64), (5, 5, 64, 128), (6272, 1)]
    counts = [sum(t.size for t in net.parameters().values()) for net in (model.generator, model.discriminator)]
    assert counts == [2_305_472, 212_865]  # no bias where a batch norm follows


def test_ig_has_the_layers_of_infogan() -> None:
    model = DCGAN(DCGANConfig(net="ig", features=64, latent=62), (28, 28, 1))
    assert sizes(model.generator) == [(62, 1024), (1024, 6272), (4, 4, 64, 128), (4, 4, 1, 64)]
    assert sizes(model.discriminator) == [(4, 4, 1, 64), (4, 4, 64, 128), (6272, 1024), (1024, 1)]


@pytest.mark.parametrize("net", ["s4", "ig"])
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (64, 64, 3), (128, 128, 1), (32, 64, 1)])
def test_images_of_every_size(net: str, shape: tuple[int, ...]) -> None:
    model = DCGAN(DCGANConfig(net=net, features=2), shape)
    images = model.sample(2)
    assert images.shape == (2, *shape) and images.dtype == np.float32 and np.abs(images).max() <= 1
    assert model.discriminator(images).shape == (2, 1)


def test_a_size_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got images of shape \(30, 30, 1\), .* multiples of 4; .*: --size 32"):
        DCGAN(DCGANConfig(), (30, 30, 1))


def test_weights_start_as_in_the_paper() -> None:
    model = DCGAN(DCGANConfig(seed=3), (28, 28, 1))
    for network in model.modules.values():
        for name, t in network.parameters().items():
            if name.endswith("weight") and t.size > 10_000:
                assert abs(t.data.mean()) < 1e-3 and abs(t.data.std() - 0.02) < 5e-4, name
            if name.endswith("gamma"):
                assert abs(t.data.mean() - 1) < 0.02, name
    adam = model.game.players[0].optimizer
    assert (adam.beta1, float(adam.lr)) == (0.5, 2e-4)


@each_device
@pytest.mark.parametrize("net", ["s4", "ig"])
def test_replayed_steps_equal_eager_ones(net: str, device: str) -> None:
    real = np.random.default_rng(0).uniform(-1, 1, (8, 12, 12, 1)).astype(np.float32)
    weights = []
    for replay in (True, False):
        model = DCGAN(DCGANConfig(net=net, features=8, seed=1), (12, 12, 1), replay=replay, device=device)
        for _ in range(4 if device == "cpu" else 3):
            model.game.step(real)
        weights.append(model.state())
    for name, value in weights[0].items():
        np.testing.assert_array_equal(value, weights[1][name], err_msg=name)


@each_device
def test_fast_kernels_train_as_the_reference_does(device: str) -> None:
    real = np.random.default_rng(0).uniform(-1, 1, (8, 12, 12, 1)).astype(np.float32)
    losses = []
    for kernels, place in (("fast", device), ("reference", "cpu")):
        with kernel.using(kernels):
            model = DCGAN(DCGANConfig(features=8, seed=1), (12, 12, 1), replay=False, device=place)
            losses.append([[v.item() for v in model.game.step(real).values()] for _ in range(3)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=2e-4)
