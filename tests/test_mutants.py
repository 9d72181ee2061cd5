"""bench/mutants.py: each wrong formula counts as one; only what moves the point at which a formula is tried is set apart."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parent.parent / "bench" / "mutants.py"
spec = importlib.util.spec_from_file_location("mutants", PATH)
assert spec is not None and spec.loader is not None
mutants = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mutants)


def kinds(expression: str, **parameters: list[str]) -> dict[str, str]:
    tree = ast.parse(expression, mode="eval").body
    return {label: kind for label, _, kind in mutants.mutants(tree, parameters)}


def test_each_factor_sign_exponent_and_term_is_a_formula():
    found = kinds("-2 * a**3 / (b - 0.5)")
    assert set(found.values()) == {""}
    assert {
        "-2 -> 2",
        "2 -> 2 + 1",
        "a ** 3 -> a ** (3 + 1)",
        "b - 0.5 -> b + 0.5",
        "b - 0.5 -> b",
        "0.5 -> 0.5 * 1.05",
        "-2 * a ** 3 / (b - 0.5) -> -2 * a ** 3 * (b - 0.5)",
    } <= set(found)


def test_a_step_to_the_other_side_is_set_apart_but_no_step_at_all_is_a_formula():
    found = kinds("p + eps * h")
    assert found["p + eps * h -> p - eps * h"] == "step"
    assert found["p + eps * h -> p"] == found["eps * h -> eps / h"] == found["eps * h -> h"] == ""
    assert kinds("q + h * eps0")["q + h * eps0 -> q - h * eps0"] == ""


@pytest.mark.parametrize(
    ("expression", "label", "kind"),
    [
        ("np.linspace(-3, 3, 601)", "601 -> 601 + 1", "size"),
        ("np.linspace(-3, 3, 601)", "-3 -> 3", "grid"),
        ("minimize_scalar(lambda t: 2 * t, bounds=(0.1, 1))", "0.1 -> 0.1 * 1.05", "search"),
        ("minimize_scalar(lambda t: 2 * t, bounds=(0.1, 1))", "2 -> 2 + 1", ""),
        ("rng.normal(1.5, 2.5, 50)", "50 -> 50 + 1", "size"),
        ("rng.normal(1.5, 2.5, 50)", "1.5 -> 1.5 * 1.05", ""),
        ("quad(f, 0.5, 2)", "2 -> 2 + 1", ""),
        ("over(0.01)", "0.01 -> 0.01 * 1.05", "step"),
        ("other(0.01)", "0.01 -> 0.01 * 1.05", ""),
    ],
)
def test_the_kind_of_an_argument(expression, label, kind):
    assert kinds(expression, over=["step"], other=["x"])[label] == kind


@pytest.mark.parametrize(
    ("expression", "data"),
    [
        ("1e-6 * rng.standard_normal((3, 4))", True),
        ("np.array([1.0, 2.0]) + offset", True),
        ("softmax(np.array([1.0, 2.0]))", False),
        ("p / (p + q)", False),
        ("lambda t: 2 * t", False),
    ],
)
def test_data_is_numbers_and_draws_only(expression, data):
    offset = {"offset": ast.parse("3.0", mode="eval").body}
    assert mutants.is_data(ast.parse(expression, mode="eval").body, offset.get) is data
