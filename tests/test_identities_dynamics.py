"""Identities 40 to 45: the bilinear game under every rule, and the Dirac-GAN under every loss and regulariser."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from identity import identity

from minigan import losses
from minigan.lessons.strategies import arrays, floats
from minigan.theory import dynamics
from minigan.theory.dirac import DiracGAN

BILINEAR = dynamics.bilinear_game()
JACOBIAN = dynamics.game_jacobian(BILINEAR, (0.0, 0.0))
points = arrays(2, -3, 3)


def radius(rule, step, **options):
    return dynamics.spectral_radius(dynamics.linear_map(rule, JACOBIAN, step=step, **options))


def growth(rule, point, step):
    """|x_1| / |x_0| of one step of the rule itself."""
    return np.hypot(*rule(BILINEAR, tuple(point), step=step)) / np.hypot(*point)


def conjugate_pair(real, square):
    """real +- sqrt(square), the square perhaps negative."""
    root = np.sqrt(complex(square))
    return np.array([real + root, real - root])


# -- 40 --------------------------------------------------------------------------------------------------------------
@given(step=floats(0, 3), point=points.filter(lambda p: np.hypot(*p) > 0.1))
@identity(
    40,
    "Bilinear game min over x, max over y of x y, step h: simultaneous sqrt(1+h^2); extragradient sqrt(1-h^2+h^4); "
    "implicit 1/sqrt(1+h^2)",
    atol=1e-12,
)
def test_identity_40_growth_a_step(see, step, point):
    """These three maps are rotations times a factor, so every single step grows by the spectral radius."""
    factors = {
        dynamics.simultaneous: np.sqrt(1 + step**2),
        dynamics.extragradient: np.sqrt(1 - step**2 + step**4),
        dynamics.implicit: 1 / np.sqrt(1 + step**2),
    }
    for rule, factor in factors.items():
        see.equal(radius(rule, step), factor)
        see.equal(growth(rule, point, step), factor)


@given(step=floats(0, 2), point=points)
@identity(40, "Bilinear game, alternating: spectral radius 1 for h <= 2", atol=1e-6)
def test_identity_40_alternating_has_radius_one(see, step, point):
    """1e-6 as the eigenvalues meet at h = 2, where rounding moves them by its square root; and the reason in full: the step
    keeps x^2 - h x y + y^2, an ellipse for h < 2."""
    see.equal(radius(dynamics.alternating, step), 1.0)
    x, y = dynamics.alternating(BILINEAR, tuple(point), step=step)
    see.equal(x * x - step * x * y + y * y, point[0] ** 2 - step * point[0] * point[1] + point[1] ** 2)


@given(step=floats(2.01, 4))
@identity(40, "Bilinear game, alternating: spectral radius above 1 for h > 2", atol=0.0)
def test_identity_40_alternating_leaves_beyond_two(see, step):
    see.below(1.0 + 1e-3, radius(dynamics.alternating, step))


# -- 41 --------------------------------------------------------------------------------------------------------------
ROTATIONS = {"minimax": 0.5, "non_saturating": 0.5, "relativistic": 0.5, "wasserstein": 1.0, "hinge": 1.0}


@pytest.mark.parametrize("loss", ROTATIONS)
@identity(41, "Dirac-GAN eigenvalues: GAN, NSGAN, RpGAN +-i/2; WGAN, hinge +-i", atol=1e-6)
def test_identity_41_rotating_losses(see, loss):
    speed = ROTATIONS[loss]
    see.equal(DiracGAN(loss=loss).eigenvalues(), [1j * speed, -1j * speed])


@identity(41, "LSGAN (-1,1,1): +-i", atol=1e-6)
def test_identity_41_least_squares_that_rotates(see):
    see.equal(DiracGAN(loss=losses.least_squares(a=-1, b=1, c=1)).eigenvalues(), [1j, -1j])


@pytest.mark.parametrize("labels", [(-1, 1, 0), (0, 1, 1)])
@identity(41, "LSGAN (-1,1,0), (0,1,1): nilpotent with a bias-free D", atol=1e-12)
def test_identity_41_nilpotent_least_squares(see, labels):
    j = DiracGAN(loss=losses.least_squares(**dict(zip("abc", labels, strict=True)))).jacobian()
    see.equal(j @ j, np.zeros((2, 2)))
    see.true(np.abs(j).max() == 1.0)  # nilpotent, not zero


@given(a=floats(-2, 2), b=floats(-2, 2), c=floats(-2, 2))
@identity(41, "LSGAN (a, b, c), bias-free D: the eigenvalues are +-sqrt(a c)", atol=1e-6)
def test_identity_41_least_squares_in_general(see, a, b, c):
    """The squares are compared: the root itself is not smooth at a c = 0."""
    if a == b:
        b = a + 1
    values = DiracGAN(loss=losses.least_squares(a=a, b=b, c=c)).eigenvalues()
    see.equal(values**2, [a * c, a * c])
    see.equal(values.sum(), 0.0)


# -- 42 to 44 --------------------------------------------------------------------------------------------------------
@given(gamma=floats(0, 4), name=st.sampled_from(["r1", "r2"]))
@identity(42, "Dirac-GAN with R1 (gamma/2) psi^2: -gamma/2 +- sqrt(gamma^2/4 - 1/4)", atol=1e-6)
def test_identity_42_r1(see, gamma, name):
    found = DiracGAN(regularizer=name, gamma=gamma).eigenvalues()
    see.equal(found, conjugate_pair(-gamma / 2, gamma**2 / 4 - 0.25))


@given(gamma=floats(0.01, 4), share=floats(0.01, 2).filter(lambda s: abs(s - 1) > 1e-3))
@identity(
    42, "R1: simultaneous descent is stable iff h < 4 gamma (gamma < 1), h < 2/|lambda|max (gamma >= 1)", atol=0.0
)
def test_identity_42_step_limit(see, gamma, share):
    limit = 4 * gamma if gamma < 1 else 2 / (gamma / 2 + np.sqrt(gamma**2 / 4 - 0.25))
    jacobian = DiracGAN(regularizer="r1", gamma=gamma).jacobian()
    found = dynamics.spectral_radius(dynamics.linear_map(dynamics.simultaneous, jacobian, step=share * limit))
    see.true((found < 1) == (share < 1))


@given(sigma=floats(0, 2.5))
@identity(43, "Instance noise sigma: -s^2/4 +- sqrt(s^4/16 - 1/4)", atol=1e-6)
def test_identity_43_instance_noise(see, sigma):
    for loss in ("minimax", "non_saturating"):
        found = DiracGAN(loss=loss, regularizer="instance_noise", sigma=sigma).eigenvalues()
        see.equal(found, conjugate_pair(-(sigma**2) / 4, sigma**4 / 16 - 0.25))


@given(gamma=floats(0, 4))
@identity(43, "Consensus gamma: -gamma/4 +- i/2", atol=1e-6)
def test_identity_43_consensus(see, gamma):
    for loss in ("minimax", "non_saturating", "relativistic"):
        found = DiracGAN(loss=loss, regularizer="consensus", gamma=gamma).eigenvalues()
        see.equal(found, [-gamma / 4 + 0.5j, -gamma / 4 - 0.5j])


@given(gamma=floats(0, 2))
@identity(44, "RpGAN + R1 + R2 (gamma/2 each): -gamma +- sqrt(gamma^2 - 1/4)", atol=1e-6)
def test_identity_44_r3gan(see, gamma):
    found = DiracGAN(loss="relativistic", regularizer="r1_r2", gamma=gamma).eigenvalues()
    see.equal(found, conjugate_pair(-gamma, gamma**2 - 0.25))


# -- 45 --------------------------------------------------------------------------------------------------------------
def energy(theta, psi):
    return (theta * theta + psi * psi) / 2


@given(point=points)
@identity(45, "Continuous GAN conserves theta^2 + psi^2", atol=1e-12)
def test_identity_45_gan_conserves(see, point):
    for loss in ("minimax", "wasserstein"):
        see.equal(dynamics.rate_of_change(energy, DiracGAN(loss=loss).losses, tuple(point)), 0.0)


@given(point=points)
@identity(45, "NSGAN: d/dt (theta^2+psi^2)/2 = -s tanh(s/2), s = psi theta", atol=1e-12)
def test_identity_45_non_saturating_decays(see, point):
    s = point[0] * point[1]
    found = dynamics.rate_of_change(energy, DiracGAN(loss="non_saturating").losses, tuple(point))
    see.equal(found, -s * np.tanh(s / 2))
    see.below(found, 0.0)
