"""Solutions of lesson 11, and the misconceptions that its graders refute."""

import numpy as np


def largest_step(eigenvalue):
    return -2 * eigenvalue.real / abs(eigenvalue) ** 2


def wrong_largest_step(eigenvalue):
    return 2 / abs(
        eigenvalue
    )  # right for one loss, where eigenvalues are real; rotation needs smaller steps


def alternating_matrix(h, moves):
    first = np.array([[1.0, -h], [0.0, 1.0]])
    second = np.array([[1.0, 0.0], [h, 1.0]])
    return np.linalg.matrix_power(second, moves) @ first


def wrong_alternating_matrix(h, moves):
    return np.array(
        [[1.0, -h], [h * moves, 1.0]]
    )  # player two reads the old x: that is a simultaneous step


def implicit_step(a, x, y, h):
    n, m = a.shape
    matrix = np.block([[np.eye(n), h * a], [-h * a.T, np.eye(m)]])
    both = np.linalg.solve(matrix, np.concatenate([x, y]))
    return both[:n], both[n:]


def wrong_implicit_step(a, x, y, h):
    return (
        x - h * a @ y,
        y + h * a.T @ x,
    )  # the gradients of where one stands, not of where one arrives


def conserved(x, y, h):
    return x * x - h * x * y + y * y


def wrong_conserved(x, y, h):
    return x * x + y * y  # conserved in continuous time only
