"""Activations and the logistic loss in single precision: our polynomials against double precision, at every edge."""

import numpy as np
import pytest
from devices import CPU

from minigan.activation import Activation
from minigan.kernels import reference

LOGITS = np.concatenate([np.linspace(-86, 86, 20_001), *[s * np.geomspace(1e-30, 1, 500) for s in (-1, 1)]])
EDGES = np.array([0, -0.0, np.inf, -np.inf, 1e30, -1e30, -87, -88, -104, 88])


def _activated(kind: str, values: np.ndarray, *, in_place: bool = False) -> np.ndarray:
    z = values.astype(np.float32).reshape(1, -1)
    out = z.copy() if in_place else np.full_like(z, np.nan)
    CPU.bias_activation(out if in_place else z, None, Activation(kind, 0.2 if kind == "leaky_relu" else 0.0), out)
    return out.reshape(-1)


@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "leaky_relu"])
def test_in_place_is_the_same(kind: str) -> None:
    np.testing.assert_array_equal(_activated(kind, LOGITS, in_place=True), _activated(kind, LOGITS))


def test_sigmoid_has_all_its_digits() -> None:
    values = LOGITS.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(_activated("sigmoid", LOGITS), 1 / (1 + np.exp(-values)), rtol=3e-7)


def test_sigmoid_at_the_edges() -> None:
    expected = reference.sigmoid(EDGES)
    np.testing.assert_allclose(_activated("sigmoid", EDGES), expected, rtol=3e-7, atol=2e-38)  # 0 below e^-87
    assert np.isnan(_activated("sigmoid", np.full(9, np.nan))).all()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_softplus_has_all_its_digits(sign: float) -> None:
    out = np.empty((), np.float32)
    for value in np.append(LOGITS[::97], EDGES[np.isfinite(EDGES)]).astype(np.float32):
        CPU.mean_softplus(np.array([[value]]), sign, out)
        np.testing.assert_allclose(out, np.logaddexp(0, sign * float(value)), rtol=3e-7, atol=2e-38)


def test_softplus_of_infinity_and_nan() -> None:
    out, slope = np.empty((), np.float32), np.empty((9, 1), np.float32)
    for value, expected in ((np.inf, (np.inf, 1)), (-np.inf, (0, 0)), (np.nan, (np.nan, np.nan))):
        x = np.full((9, 1), value, np.float32)
        CPU.mean_softplus(x, 1.0, out)
        CPU.mean_softplus_backward(np.float32(9), x, 1.0, slope)
        np.testing.assert_array_equal((out.item(), *slope[:, 0]), (expected[0], *[expected[1]] * 9))
