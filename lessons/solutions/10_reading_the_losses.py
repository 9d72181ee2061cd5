"""Solutions of lesson 10, and the misconceptions that its graders refute."""

import numpy as np

import minigan as mg


def least_fake_loss(generator_loss):
    return -np.log(-np.expm1(-generator_loss))


def wrong_least_fake_loss(generator_loss):
    return max(
        0.0, np.log(4) - generator_loss
    )  # L_G + L_D,fake >= log 4 is true, but not the sharpest bound


def possible(generator_loss, discriminator_loss, averaged):
    total = 2 * discriminator_loss if averaged else discriminator_loss
    return bool(np.exp(-generator_loss) + np.exp(-total) <= 1 + 1e-9)


def wrong_possible(generator_loss, discriminator_loss, averaged):
    return generator_loss >= 0 and discriminator_loss >= 0  # "a loss may be any positive number"


def jsd_at_least(real_logits, fake_logits):
    loss = np.logaddexp(0, -real_logits).mean() + np.logaddexp(0, fake_logits).mean()
    return max(0.0, (np.log(4) - loss) / 2)


def wrong_jsd_at_least(real_logits, fake_logits):
    loss = np.logaddexp(0, -real_logits).mean() + np.logaddexp(0, fake_logits).mean()
    return max(0.0, np.log(4) - loss)  # forgets that V(D*) holds the divergence twice


def accuracy_from_rates(reals_accepted, fakes_accepted):
    return (reals_accepted + 1 - fakes_accepted) / 2


def wrong_accuracy_from_rates(reals_accepted, fakes_accepted):
    return (reals_accepted + fakes_accepted) / 2  # takes the fool rate for an accuracy


def other_jsd_at_least(real_logits, fake_logits):
    probability = lambda logits: 1 / (1 + np.exp(-logits))
    gain = (
        np.log(2 * probability(real_logits)).mean() + np.log(2 * probability(-fake_logits)).mean()
    )
    return mg.tensor(np.array(max(gain / 2, 0.0)))


def other_wrong_jsd_at_least(real_logits, fake_logits):
    loss = np.logaddexp(0, -real_logits).mean() + np.logaddexp(0, fake_logits).mean()
    return (np.log(4) - loss) / 2  # a bad discriminator makes it negative
