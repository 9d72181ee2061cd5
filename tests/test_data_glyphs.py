"""The embedded images: pure, prefix-stable, drawn as their factors say, and robust against a bad cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan.data.glyphs as module
from minigan.data import DataError, draw_glyphs, load


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def drawn(**changes: np.ndarray | float) -> np.ndarray:
    """Images in [0, 1] of every digit in the first typeface, upright and plain but for the changes."""
    factors = {name: np.zeros(10) for name in module.RANGES} | {
        "label": np.arange(10),
        "font": np.zeros(10, int),
    }
    factors["scale"] = np.ones(10)
    for name, value in changes.items():
        factors[name] = np.broadcast_to(value, 10).astype(float)
    return module._render("0123456789", factors)[..., 0] / 255.0


def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centroid (x, y upwards), and the 2x2 covariance of the ink, for each image."""
    axis = np.arange(28) - 13.5
    mass = images.sum(axis=(1, 2))
    x = (images * axis).sum(axis=(1, 2)) / mass
    y = -(images * axis[:, None]).sum(axis=(1, 2)) / mass
    dx, dy = axis[None, None, :] - x[:, None, None], -axis[None, :, None] - y[:, None, None]
    covariance = [[(images * a * b).sum(axis=(1, 2)) / mass for a in (dx, dy)] for b in (dx, dy)]
    return x, y, np.moveaxis(np.array(covariance), 2, 0)


def test_shape_range_and_balance() -> None:
    data = draw_glyphs(2000, 0)
    assert data.x.shape == (2000, 28, 28, 1) and data.x.dtype == np.float32 and data.kind == "images"
    assert data.x.min() == -1 and data.x.max() == 1
    assert data.y is not None and data.y.dtype == np.int64
    np.testing.assert_array_equal(data.y, data.factors["label"])
    assert np.bincount(data.y, minlength=10).min() > 140
    assert np.bincount(data.factors["font"], minlength=len(module.FONTS)).min() > 50
    ink = (data.x + 1).mean(axis=(1, 2, 3)) / 2
    assert ink.min() > 0.03 and ink.max() < 0.5  # none blank, none filled
    border = np.concatenate([data.x[:, :2].ravel(), data.x[:, -2:].ravel()])
    assert (border > 0).mean() < 0.005  # the margin is empty


@given(seed=st.integers(0, 2**64 - 1), small=st.integers(2, 40), more=st.integers(0, 70))
@settings(max_examples=20, deadline=None)
def test_image_i_does_not_depend_on_n(seed: int, small: int, more: int) -> None:
    a, b = draw_glyphs(small, seed, cache=False), draw_glyphs(small + more, seed, cache=False)
    np.testing.assert_array_equal(a.x, b.x[:small])
    for name, values in a.factors.items():
        np.testing.assert_array_equal(values, b.factors[name][:small])


def test_seed_matters_and_factors_are_independent() -> None:
    a, b = draw_glyphs(3000, 1), draw_glyphs(3000, 2)
    assert not np.array_equal(a.x, b.x)
    table = np.corrcoef(np.stack(list(a.factors.values())))
    assert np.abs(table - np.eye(len(table))).max() < 0.09  # 5 standard errors at n = 3000
    for name, (low, high) in module.RANGES.items():
        values = a.factors[name]
        unit = (values - low) / (high - low)
        assert 0 <= unit.min() < 0.01 and 0.99 < unit.max() < 1


@given(dx=st.floats(-1.2, 1.2), dy=st.floats(-1.2, 1.2))
@settings(max_examples=15, deadline=None)
def test_position_moves_the_ink(dx: float, dy: float) -> None:
    x0, y0, _ = moments(drawn())
    x1, y1, _ = moments(drawn(dx=dx, dy=dy))
    np.testing.assert_allclose(x1 - x0, dx, atol=0.06)
    np.testing.assert_allclose(y1 - y0, -dy, atol=0.06)


@given(angle=st.floats(-0.2, 0.2), shear=st.floats(-0.25, 0.25), scale=st.floats(0.8, 1.02))
@settings(max_examples=25, deadline=None)
def test_rotation_shear_and_scale_act_on_the_second_moments(angle: float, shear: float, scale: float) -> None:
    """Covariance of the ink: C -> A C A^T with A = scale R(rotation) [[1, shear], [0, 1]]."""
    _, _, before = moments(drawn())
    _, _, after = moments(drawn(rotation=angle, shear=shear, scale=scale))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    a = scale * rotation @ np.array([[1, shear], [0, 1]])
    expected = a @ before @ a.T
    size = np.trace(expected, axis1=1, axis2=2)
    assert np.abs((after - expected) / size[:, None, None]).max() < 0.015


def test_stroke_adds_ink_like_an_offset_curve() -> None:
    """The area within t of a shape grows by perimeter * t for small t: equal steps add about equal ink."""
    areas = np.array([drawn(stroke=t).sum(axis=(1, 2)) for t in (0.0, 0.25, 0.5)])
    first, second = np.diff(areas, axis=0)
    assert (first > 8).all()
    np.testing.assert_allclose(first, second, rtol=0.25)


def test_the_sheet_of_all_typefaces_has_distinct_characters() -> None:
    """Every face really holds the ten digits: no two alike, so none is the box of a missing character."""
    fields = module._atlas("0123456789").reshape(len(module.FONTS), 10, -1) > 0
    for font, shapes in zip(module.FONTS, fields, strict=True):
        for i in range(10):
            for j in range(i):
                union, common = (shapes[i] | shapes[j]).sum(), (shapes[i] & shapes[j]).sum()
                assert common < 0.9 * union, (font, i, j)


def test_counters_are_holes() -> None:
    """The winding rule leaves the inside of a 0 black (DejaVu Sans, whose 0 has no slash)."""
    zero = drawn()[0]
    assert zero[13:15, 13:15].max() == 0 and zero[13].max() > 0.9


def test_distance_of_a_square() -> None:
    corners = np.array([[-5.0, -5], [5, -5], [5, 5], [-5, 5]])
    square = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)
    field = module._signed_distance(square)
    axis = np.linspace(-14, 14, 57)
    x, y = np.meshgrid(axis, axis[::-1])
    outside = np.hypot(np.maximum(np.abs(x) - 5, 0), np.maximum(np.abs(y) - 5, 0))
    inside = np.minimum(5 - np.abs(x), 5 - np.abs(y))
    np.testing.assert_allclose(field, np.where(inside > 0, inside, -outside), atol=1e-5)


def test_letters_and_own_alphabets() -> None:
    upper, lower = load("letters", n=300), load("letters", n=300, alphabet="lower")
    assert upper.y is not None and upper.y.max() == 25 and not np.array_equal(upper.x, lower.x)
    pair = draw_glyphs(50, 0, alphabet="x7")
    assert pair.y is not None and set(pair.y) == {0, 1}
    for bad in ("", "aa", "é", "a b", "Digits!", 3):
        with pytest.raises(DataError, match="alphabet"):
            draw_glyphs(10, 0, alphabet=bad)  # type: ignore[arg-type]


def test_cache_gives_the_same_images(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = draw_glyphs(60, 5)
    assert len(list(own_cache.iterdir())) == 1

    def never(*_: object) -> np.ndarray:
        raise AssertionError("drawn again in spite of the cache")

    monkeypatch.setattr(module, "_render", never)
    np.testing.assert_array_equal(fresh.x, draw_glyphs(60, 5).x)
    np.testing.assert_array_equal(fresh.x[:20], draw_glyphs(20, 5).x)
    with pytest.raises(AssertionError):
        draw_glyphs(61, 5)
    with pytest.raises(AssertionError):
        draw_glyphs(60, 6)


@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty", "other", "pickle", "flip"])
def test_broken_cache_is_remade(own_cache: Path, damage: str) -> None:
    fresh = draw_glyphs(60, 5)
    (file,) = own_cache.iterdir()
    good = file.read_bytes()
    middle = len(good) // 2
    if damage == "other":
        np.savez(file, pixels=np.zeros((60, 3)))
    elif damage == "pickle":
        np.savez(file, pixels=np.array([{}], dtype=object))
    else:
        flipped = good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1 :]
        bad = {"truncate": good[:middle], "garbage": b"\0" * 99, "empty": b"", "flip": flipped}
        file.write_bytes(bad[damage])
    np.testing.assert_array_equal(fresh.x, draw_glyphs(60, 5).x)
    assert file.read_bytes() == good
    assert [path.name for path in own_cache.iterdir()] == [file.name]  # no temporary file is left


def test_unusable_cache_folder_is_not_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "file" / "below"))
    np.testing.assert_array_equal(draw_glyphs(20, 5).x, draw_glyphs(20, 5, cache=False).x)
