"""Convolution on the GPU: the host's arithmetic on any machine, the kernels against `kernels/reference.py` where a GPU is.

Kernels write into poisoned arrays (NaN), so an element that one forgets is seen. Weights are scaled so that sums of any depth
are of order one, where activations are not flat.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import SPECIFICATION, Kernels, emulated
from hypothesis import assume, example, given
from hypothesis import strategies as st

from minigan.activation import FUSED, Activation
from minigan.backend import matmul_precision
from minigan.kernels.geometry import Geometry, of_conv
from minigan.kernels.gpu import compiler as gpu_compile
from minigan.kernels.gpu import conv as gpu_conv

MAPS = ("conv", "conv_transpose", "conv_weight")
CHANNELS = (1, 2, 3, 4, 8, 12, 31, 64, 65, 68, 130)
TOLERANCE = {"float32": 1e-5, "float64": 1e-12, "tf32": 2e-3}
SOURCE = gpu_compile.sources()["conv.cu"]


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Any relation, also those that no padding makes: kernels larger than the input, outputs that meet nothing."""
    ndim = draw(st.integers(1, 3))

    def axes(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    most = {1: 40, 2: 13, 3: 6}[ndim]
    return Geometry(axes(1, 6 if ndim < 3 else 3), axes(1, 3), axes(1, 2), axes(0, 4), axes(1, most), axes(1, most))


# -- the host's arithmetic -----------------------------------------------------------------------------------
def pairs_of(geometry: Geometry, axis: int) -> list[tuple[int, int, int]]:
    """(i, o, k) of one axis, by the definition."""
    found = (
        (geometry.position(axis, o, k), o, k) for k in range(geometry.kernel[axis]) for o in geometry.span(axis, k)
    )
    return sorted(found)


@example(Geometry((2,), (3,), (3,), (1,), (7,), (3,)))  # stride and dilation share a factor: phases without taps
@example(Geometry((1,), (3,), (1,), (0,), (2,), (1,)))  # fewer outputs than phases
@given(geometries())
def test_phases_hold_every_pair_once(geometry):
    for axis in range(geometry.ndim):
        found = []
        for phase in gpu_conv.phase_table(geometry, axis):
            for q, j in itertools.product(range(phase.outputs), range(phase.taps)):
                i, k = phase.first + q * geometry.stride[axis], phase.first_tap + j * phase.tap_stride
                o = q + phase.base - j * phase.step
                assert i < geometry.big[axis] and k < geometry.kernel[axis]
                if 0 <= o < geometry.small[axis]:
                    found.append((i, o, k))
        assert sorted(found) == pairs_of(geometry, axis)
        assert sum(phase.outputs for phase in gpu_conv.phase_table(geometry, axis)) == geometry.big[axis]


@given(geometries(), st.sampled_from(MAPS), st.integers(0, 600), st.booleans(), st.sampled_from(["float32", "float64"]))
def test_launch_covers_the_product(geometry, name, batch, tf32, dtype):
    for channels in itertools.product((1, 8, 9, 64, 65, 130), repeat=2):
        plan = gpu_conv.launch_plan(name, geometry, batch, channels, dtype, tf32)
        width = int(re.search(r"(\d+)>", plan.kernel)[1])
        columns = channels[0] if name == "conv_transpose" else channels[1]
        phases = math.prod(map(min, geometry.stride, geometry.big)) if name == "conv_transpose" else 1
        assert plan.grid == phases * plan.splits * plan.row_tiles * -(-columns // width)
        assert plan.block == (2 * width if "tf32" in plan.kernel else 128)
        assert ("tf32" in plan.kernel) == (tf32 and dtype == "float32" and columns > 8)
        assert (width == 8) == (columns <= 8)
        resident = gpu_conv.resident_blocks(name, width, dtype)
        tiles = plan.grid // plan.splits
        assert plan.grid - tiles < 2 * resident * gpu_conv.MULTIPROCESSORS
        rows = {"conv": batch * math.prod(geometry.small), "conv_weight": geometry.taps * channels[0]}.get(
            name, batch * math.prod(-(-b // s) for b, s in zip(geometry.big, geometry.stride, strict=True))
        )
        assert plan.row_tiles == max(1, -(-rows // gpu_conv.TILE_ROWS))


PLACES = {  # (map, columns, dtype) -> blocks a multiprocessor holds
    ("conv", 8, "float32"): 4,
    ("conv_weight", 8, "float64"): 4,
    ("conv", 64, "float32"): 3,
    ("conv_weight", 64, "float32"): 2,
    ("conv_transpose", 64, "float64"): 2,
    ("conv_transpose", 128, "float32"): 2,
}


def test_depth_is_divided_where_tiles_are_few():
    inner = of_conv((5, 5), 2, "same", 1, (8, 8))
    assert gpu_conv.launch_plan("conv", inner, 64, (256, 512), "float32").splits == 6  # 64 tiles: 384 of 396 places
    outer = of_conv((5, 5), 2, "same", 1, (64, 64))
    assert gpu_conv.launch_plan("conv", outer, 256, (3, 64), "float32").splits == 1
    assert gpu_conv.launch_plan("conv_weight", outer, 256, (3, 64), "float32").splits == gpu_conv.MAX_SPLITS


def test_the_busiest_multiprocessor_is_not_left_with_a_tile_more_than_the_others():
    """196 tiles on 132 multiprocessors of three places each: cut in two, 392 halves fill them."""
    layer = of_conv((5, 5), 2, "same", 1, (14, 14))
    plan = gpu_conv.launch_plan("conv", layer, 256, (64, 128), "float32")
    assert plan.grid // plan.splits == 196 and plan.splits == 2
    full = gpu_conv.launch_plan(
        "conv", layer, 4096, (64, 128), "float32"
    )  # enough tiles: a slab would cost and even out nothing
    assert full.splits == 1


def test_the_resident_blocks_are_those_of_the_launch_bounds():
    text = gpu_compile.sources()["conv.cu"]
    assert "__launch_bounds__(128, COLUMNS == 8 ? 4 : sizeof(T) == 4 && MAP != WEIGHT ? 3 : 2)" in text
    assert "__launch_bounds__(2 * COLUMNS, COLUMNS == 64 && MAP != WEIGHT ? 3 : 2)" in text
    assert {place: gpu_conv.resident_blocks(*place) for place in PLACES} == PLACES


def test_too_many_positions_are_refused():
    geometry = of_conv((3, 3), 1, "same", 1, (1024, 1024))
    with pytest.raises(ValueError, match=r"^conv: .* positions .* use smaller batches"):
        gpu_conv.launch_plan("conv", geometry, 2048, (1, 1), "float32")


def test_the_problem_is_laid_out_as_the_kernel_reads_it():
    struct = re.search(r"struct Problem \{(.*?)\};", SOURCE, re.DOTALL)[1]
    names = re.findall(r"(\w+)(?:\[(3)\])?[,;]", re.sub("//.*", "", struct))
    plan = gpu_conv.Plan("", 1, 1, 7, 9)
    geometry = Geometry((2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13))
    packed = gpu_conv.problem(geometry, 14, (15, 16), (True, False, True), plan, 3)
    assert packed.shape == (1,)  # what CuPy passes by value
    numbers = iter(packed["numbers"][0].tolist())
    found = {name: [next(numbers) for _ in range(int(count or 1))] for name, count in names}
    assert next(numbers, None) is None
    assert found == {
        "kernel": [1, 2, 3], "stride": [1, 4, 5], "dilation": [1, 6, 7], "low": [0, 8, 9],
        "big": [1, 10, 11], "small": [1, 12, 13], "batch": [14], "in": [15], "out": [16],
        "vector_a": [1], "vector_b": [0], "vector_c": [1], "splits": [7], "row_tiles": [9], "kind": [3],
    }  # fmt: skip


def test_the_tile_is_as_high_as_the_kernel_makes_it():
    assert int(re.search(r"const int BM = (\d+);", SOURCE)[1]) == gpu_conv.TILE_ROWS
    assert "BK = 64 / sizeof(T)" in SOURCE and gpu_conv.SLICE_BYTES == 64
    chosen = {*gpu_conv.KERNELS.values(), *gpu_conv.TF32_KERNELS.values(), "conv_sum<{T}>"}
    assert chosen == set(gpu_compile.KERNELS["conv.cu"])


def test_arrays_elsewhere_and_unknown_activations_are_refused():
    geometry = of_conv((3,), 1, "same", 1, (5,))
    x, w, out = np.ones((1, 5, 2)), np.ones((3, 2, 4)), np.ones((1, 5, 4))
    with pytest.raises(TypeError, match=r"^conv: x is a ndarray, expected a CuPy array"):
        gpu_conv.conv(x, w, None, geometry, Activation("relu"), out)
    with pytest.raises(ValueError, match=r"^kernels: got the activation gelu"):
        gpu_conv.conv_transpose(out, w, None, geometry, Activation("gelu"), x)


# -- the kernels ---------------------------------------------------------------------------------------------
def gpu(array: np.ndarray | None) -> Any:
    """The array on the GPU."""
    import cupy

    return None if array is None else cupy.asarray(array)


def wide(array: np.ndarray | None) -> np.ndarray | None:
    """The same values in float64, for the reference."""
    return None if array is None else array.astype(np.float64)


def square(array: np.ndarray) -> np.ndarray:
    """In float64: sums of products of squares are the variances of sums of products of random signs."""
    return array.astype(np.float64) ** 2


class Case:
    """Operands of all three maps for one geometry, and a map's call on them."""

    def __init__(self, geometry: Geometry, batch: int, channels: tuple[int, int], dtype: str, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.geometry = geometry
        inputs, outputs = channels
        shapes = {"x": (batch, *geometry.big, inputs), "g": (batch, *geometry.small, outputs)}
        shapes |= {"w": (*geometry.kernel, inputs, outputs), "conv_bias": (outputs,), "conv_transpose_bias": (inputs,)}
        self.arrays = {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
        self.arrays["w"] /= np.dtype(dtype).type(math.sqrt(geometry.taps * max(channels)))

    def shape(self, name: str) -> tuple[int, ...]:
        """Of the map's result."""
        return self.arrays[{"conv": "g", "conv_transpose": "x", "conv_weight": "w"}[name]].shape

    def call(
        self, kernels: Any, name: str, out: Any, to: Callable[..., Any], kind: str = "linear", bias: bool = False
    ) -> Any:
        """The map `name` of `kernels` on arrays moved by `to`, into `out`."""
        a = {key: to(value) for key, value in self.arrays.items()}
        if name == "conv_weight":
            kernels.conv_weight(a["x"], a["g"], self.geometry, out)
        else:
            b = a[f"{name}_bias"] if bias else None
            getattr(kernels, name)(a["x" if name == "conv" else "g"], a["w"], b, self.geometry, Activation(kind), out)
        return out

    def on_gpu(self, name: str, **options: Any) -> np.ndarray:
        """The result of the kernel under test, from the GPU."""
        out = gpu(np.full(self.shape(name), np.nan, self.arrays["x"].dtype))
        return self.call(gpu_conv, name, out, gpu, **options).get()

    def expected(self, name: str, **options: Any) -> np.ndarray:
        """The specification's result, in float64 on the CPU."""
        return self.call(SPECIFICATION, name, np.empty(self.shape(name)), wide, **options)


def check(case: Case, name: str, mode: str, **options: Any) -> None:
    """The kernel agrees with the specification, relative to the largest value, or to the largest one expected of sums of such
    products: a lone result may be small by luck, and its error is not."""
    with matmul_precision("high" if mode == "tf32" else "highest"):
        got = case.on_gpu(name, **options)
    expected = case.expected(name, **options)
    spread = math.sqrt(case.call(SPECIFICATION, name, np.empty(expected.shape), square).max(initial=0.0))
    largest = max(float(np.abs(expected).max(initial=0.0)), 2 * spread, 1e-30)
    assert got.dtype == case.arrays["x"].dtype
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE[mode] * largest)


MOST_WORK = 2e5 if emulated() else 2e7  # products of a random case


def on_gpu(test: Any) -> Any:
    """A test of kernels on a GPU; on the emulated one also of the order of their threads."""
    return pytest.mark.gpu(pytest.mark.usefixtures("race_free")(test))


@on_gpu
@pytest.mark.parametrize("mode", TOLERANCE)
@given(
    geometry=geometries(),
    batch=st.integers(1, 9),
    channels=st.tuples(st.sampled_from(CHANNELS), st.sampled_from(CHANNELS)),
    kind=st.sampled_from(FUSED),
    bias=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_agrees_with_the_reference(mode, geometry, batch, channels, kind, bias, seed):
    assume(geometry.pairs() * batch * math.prod(channels) < MOST_WORK)
    case = Case(geometry, batch, channels, "float64" if mode == "float64" else "float32", seed)
    for name in MAPS:
        check(case, name, mode, kind=kind, bias=bias)


LAYERS = [  # kernel, stride, big, batch, (in, out)
    ((5, 5), 2, (28, 28), 64, (1, 64)),
    ((5, 5), 2, (14, 14), 64, (64, 128)),
    ((4, 4), 2, (32, 32), 16, (64, 128)),
    ((4, 4), 2, (8, 8), 64, (256, 512)),
    ((3, 3), 1, (16, 16), 8, (130, 6)),
    ((3, 3, 3), 2, (8, 8, 8), 4, (16, 32)),
]
if emulated():  # the same tiles and divisions of the depth, with less to do
    LAYERS = [
        ((5, 5), 2, (28, 28), 2, (1, 64)),
        ((5, 5), 2, (14, 14), 1, (64, 128)),
        ((4, 4), 2, (8, 8), 3, (36, 132)),
        ((3, 3), 1, (16, 16), 1, (130, 6)),
        ((3, 3, 3), 2, (4, 4, 4), 2, (16, 32)),
    ]


@on_gpu
@pytest.mark.parametrize("mode", TOLERANCE)
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_layers_of_gans(layer, name, mode):
    kernel, stride, big, batch, channels = layer
    geometry = of_conv(kernel, stride, "same", 1, big)
    check(
        Case(geometry, batch, channels, "float64" if mode == "float64" else "float32"),
        name,
        mode,
        bias=True,
        kind="relu",
    )


@on_gpu
@pytest.mark.parametrize("mode", TOLERANCE)
@pytest.mark.parametrize("name", MAPS)
def test_repeats_bit_for_bit(name, mode):
    batch = 1 if emulated() else 64
    case = Case(
        of_conv((5, 5), 2, "same", 1, (14, 14)), batch, (64, 128), "float64" if mode == "float64" else "float32"
    )
    with matmul_precision("high" if mode == "tf32" else "highest"):
        first = case.on_gpu(name)
        for _ in range(1 if emulated() else 3):
            np.testing.assert_array_equal(case.on_gpu(name), first)


@on_gpu
@given(geometries(), st.integers(1, 5), st.tuples(st.integers(1, 20), st.integers(1, 20)), st.integers(0, 2**32 - 1))
def test_the_three_maps_are_adjoint(geometry, batch, channels, seed):
    """<conv(x, w), g> = <x, conv_transpose(g, w)> = <w, conv_weight(x, g)>."""
    case = Case(geometry, batch, channels, "float64", seed)
    sides = zip(MAPS, ("g", "x", "w"), strict=True)
    values = [float(np.vdot(case.on_gpu(name), case.arrays[other])) for name, other in sides]
    scale = max(1.0, *(float(np.abs(case.on_gpu(n)).sum()) for n in MAPS))
    assert max(values) - min(values) <= 1e-12 * scale


@on_gpu
@pytest.mark.parametrize("mode", TOLERANCE)
@pytest.mark.parametrize("name", MAPS)
def test_arrays_that_begin_anywhere_in_memory(name, mode):
    """Views one element into a buffer rule out 16-byte access."""
    import cupy

    case = Case(of_conv((3, 3), 2, "same", 1, (9, 9)), 3, (12, 68), "float64" if mode == "float64" else "float32")

    def shifted(array: np.ndarray) -> Any:
        buffer = cupy.full(array.size + 1, np.nan, array.dtype)
        buffer[1:] = gpu(array.reshape(-1))
        return buffer[1:].reshape(array.shape)

    out = shifted(np.full(case.shape(name), np.nan, case.arrays["x"].dtype))
    with matmul_precision("high" if mode == "tf32" else "highest"):
        got = case.call(gpu_conv, name, out, shifted).get()
        np.testing.assert_allclose(got, case.on_gpu(name), rtol=0, atol=1e-6)  # the order of sums is the same
    assert not np.isnan(got).any()


@on_gpu
def test_no_images():
    case = Case(of_conv((3, 3), 2, "same", 1, (9, 9)), 0, (3, 5), "float32")
    assert case.on_gpu("conv").shape == (0, 5, 5, 5)
    assert case.on_gpu("conv_transpose").shape == (0, 9, 9, 3)
    assert not case.on_gpu("conv_weight").any()


@on_gpu
def test_nan_and_infinity_pass_through():
    case = Case(of_conv((3,), 1, "same", 1, (300,)), 1, (4, 4), "float32")
    case.arrays["x"][0, 10, 0], case.arrays["x"][0, 200, 1] = np.nan, np.inf
    for kind in ("linear", "relu", "leaky_relu"):
        np.testing.assert_array_equal(
            np.isnan(case.on_gpu("conv", kind=kind)), np.isnan(case.expected("conv", kind=kind))
        )


@on_gpu
def test_products_honour_the_precision():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(512, 512)).astype(np.float32) for _ in range(2))
    exact = a.astype(np.float64) @ b.astype(np.float64)
    errors = {}
    for name in ("highest", "high", "highest"):
        with matmul_precision(name):
            out = gpu(np.empty_like(a))
            Kernels("gpu").matmul(gpu(a), gpu(b), out)
            errors[name] = np.abs(out.get() - exact).max() / np.abs(exact).max()
    assert errors["highest"] <= 1e-5
    assert errors["high"] <= 2e-3


BAD: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("dtype", {"w": np.ones((3, 2, 4))}, TypeError, "w is float64, expected float32"),
    ("rank", {"x": np.ones((5, 2), np.float32)}, ValueError, "expected 1 spatial axes"),
    ("channels", {"x": np.ones((1, 5, 3), np.float32)}, ValueError, r"x has shape \(1, 5, 3\), expected \(1, 5, 2\)"),
    ("out", {"out": np.ones((1, 4, 4), np.float32)}, ValueError, r"out has shape \(1, 4, 4\), expected \(1, 5, 4\)"),
    ("bias", {"bias": np.ones(3, np.float32)}, ValueError, r"bias has shape \(3,\), expected \(4,\)"),
]


@on_gpu
@pytest.mark.parametrize(("changes", "error", "part"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_arguments(changes, error, part):
    shapes = {"x": (1, 5, 2), "w": (3, 2, 4), "bias": (4,), "out": (1, 5, 4)}
    a = {name: gpu(changes.get(name, np.ones(shape, np.float32))) for name, shape in shapes.items()}
    with pytest.raises(error, match=rf"^conv: .*{part}"):
        gpu_conv.conv(a["x"], a["w"], a["bias"], of_conv((3,), 1, "same", 1, (5,)), Activation("relu"), a["out"])
