"""The convolution family: the trilinear identity, the dense matrix, every order, every algorithm, the cost model, errors."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from devices import CPU, SPECIFICATION
from formulas import trilinear
from hypothesis import assume, given
from hypothesis import strategies as st

import minigan as mg
from minigan import nn, ops
from minigan.activation import Activation
from minigan.gradcheck import gradcheck
from minigan.kernels import geometry as geo
from minigan.kernels.cpu import conv as cpu_conv
from minigan.kernels.cpu import conv_cost, conv_patches, winograd
from minigan.kernels.cpu.gemm_microkernel import AVAILABLE
from minigan.replay import Recording

PADDINGS: tuple[Any, ...] = ("same", "valid", 1, 2)


@st.composite
def cases(draw: Any, largest: int = 7, channels: int = 4) -> tuple[geo.Geometry, Any, dict[str, Any]]:
    """A geometry with its public options, asymmetric padding and kernels beyond the input among them."""
    n = draw(st.integers(1, 3))
    top = {1: largest, 2: largest, 3: 4}[n]

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(n))

    kernel, big, stride, dilation = each(1, 5), each(1, top), each(1, 3), each(1, 2)
    padding = draw(
        st.sampled_from(PADDINGS) | st.just(tuple((a, b) for a, b in zip(each(0, 2), each(0, 2), strict=True)))
    )
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    try:
        geometry = geo.of_conv(kernel, stride, padding, dilation, big)
    except ValueError:
        assume(False)
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, channels)), draw(st.integers(1, channels)))
    return geometry, shape, options


def arrays(geometry: geo.Geometry, shape: tuple[int, int, int], seed: int, dtype: Any = np.float64) -> Any:
    n, a, b = shape
    rng = np.random.default_rng(seed)
    shapes = ((n, *geometry.big, a), (*geometry.kernel, a, b), (n, *geometry.small, b))
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


# -- what the maps are -----------------------------------------------------------------------------------------------
@given(cases(), st.integers(0, 99))
def test_three_inner_products_are_equal(case: Any, seed: int) -> None:
    geometry, shape, options = case
    x, w, g = arrays(geometry, shape, seed)
    y = ops.conv(x, w, **options)
    xt = ops.conv_transpose(g, w, output_size=geometry.big, **options)
    wt = ops.conv_weight(x, g, kernel_size=geometry.kernel, **options)
    form = [(y.data * g).sum(), (xt.data * x).sum(), (wt.data * w).sum()]
    scale = (trilinear(geometry, "g", x=np.abs(x), w=np.abs(w)) * np.abs(g)).sum() + 1e-300
    assert max(form) - min(form) <= 1e-13 * scale


@given(cases(), st.integers(0, 99))
def test_values_are_those_of_the_definition(case: Any, seed: int) -> None:
    geometry, shape, options = case
    x, w, g = arrays(geometry, shape, seed)
    close = dict(rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ops.conv(x, w, **options).data, trilinear(geometry, "g", x=x, w=w), **close)
    transposed = ops.conv_transpose(g, w, output_size=geometry.big, **options).data
    np.testing.assert_allclose(transposed, trilinear(geometry, "x", g=g, w=w), **close)
    weight = ops.conv_weight(x, g, kernel_size=geometry.kernel, **options).data
    np.testing.assert_allclose(weight, trilinear(geometry, "w", x=x, g=g), **close)


def test_the_matrix_of_the_docstring() -> None:
    w = np.array([10.0, 11.0, 12.0]).reshape(3, 1, 1)
    columns = [ops.conv(np.eye(5)[i].reshape(1, 5, 1), w, stride=2, padding=1).data.ravel() for i in range(5)]
    a = np.array([[11, 12, 0, 0, 0], [0, 10, 11, 12, 0], [0, 0, 0, 10, 11]])
    np.testing.assert_array_equal(np.array(columns).T, a)
    rows = [ops.conv_transpose(np.eye(3)[o].reshape(1, 3, 1), w, stride=2, padding=1).data.ravel() for o in range(3)]
    np.testing.assert_array_equal(np.array(rows), a)


@pytest.mark.parametrize("which", ["conv", "conv_transpose", "conv_weight"])
def test_derivatives_of_orders_0_to_3(which: str) -> None:
    geometry = geo.of_conv((3, 2), (2, 1), "same", 1, (4, 3))
    x, w, g = arrays(geometry, (2, 2, 2), 0)
    options = {"stride": (2, 1)}

    def run(a: Any, b: Any) -> Any:
        if which == "conv":
            return ops.conv(a, b, activation="tanh", **options)
        if which == "conv_transpose":
            return ops.conv_transpose(a, b, output_size=(4, 3), activation="sigmoid", **options)
        return ops.tanh(ops.conv_weight(a, b, kernel_size=(3, 2), **options))

    pair = {"conv": (x, w), "conv_transpose": (g, w), "conv_weight": (x, g)}[which]
    gradcheck(run, tuple(0.3 * a for a in pair), order=3)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.sampled_from(PADDINGS))
def test_a_transposed_convolution_reaches_every_size_that_maps_back(
    small: int, kernel: int, stride: int, dilation: int, padding: Any
) -> None:
    sizes = [size for size in range(1, 60) if _small(kernel, stride, padding, dilation, size) == small]
    for size in sizes:
        g = np.ones((1, small, 1))
        y = ops.conv_transpose(
            g, np.ones((kernel, 1, 1)), stride=stride, dilation=dilation, padding=padding, output_size=size
        )
        assert y.shape == (1, size, 1)


def _small(kernel: int, stride: int, padding: Any, dilation: int, size: int) -> int:
    try:
        return geo.of_conv((kernel,), stride, padding, dilation, (size,)).small[0]
    except ValueError:
        return 0


def test_sizes_are_those_of_the_frameworks() -> None:
    assert ops.conv(np.ones((1, 28, 28, 1)), np.ones((5, 5, 1, 2)), stride=2).shape == (1, 14, 14, 2)
    assert ops.conv_transpose(np.ones((1, 7, 7, 2)), np.ones((5, 5, 3, 2)), stride=2).shape == (1, 14, 14, 3)
    assert ops.conv_transpose(np.ones((1, 4, 4, 2)), np.ones((4, 4, 3, 2)), stride=2, padding=1).shape == (1, 8, 8, 3)
    assert ops.conv_transpose(np.ones((1, 7, 2)), np.ones((5, 3, 2)), stride=2, padding="valid").shape == (1, 17, 3)
    assert geo.of_conv((5,), 2, "same", 1, (14,)).low == (1,)  # three zeros in all, the odd one after


def test_a_batch_of_none_and_the_bias_alone() -> None:
    assert ops.conv(np.ones((0, 4, 4, 1)), np.ones((3, 3, 1, 2))).shape == (0, 4, 4, 2)
    w = np.ones((1, 1, 2, 3))  # stride 3: two thirds of the outputs meet no tap
    y = ops.conv_transpose(np.ones((1, 2, 2, 3)), w, np.array([5.0, -5.0]), stride=3, activation="relu").data
    assert y[0, 1, 1].tolist() == [5.0, 0.0]
    assert y[0, 0, 0].tolist() == [8.0, 0.0]


# -- every algorithm -------------------------------------------------------------------------------------------------
def exact(which: str, x: Any, w: Any, g: Any, geometry: geo.Geometry) -> Any:
    """A map in float64 by the reference, which the test of the definition has compared with an einsum."""
    shape = {"conv": g, "conv_transpose": x, "conv_weight": w}[which].shape
    out = np.empty(shape)
    if which == "conv_weight":
        SPECIFICATION.conv_weight(x, g, geometry, out)
    else:
        getattr(SPECIFICATION, which)(x if which == "conv" else g, w, None, geometry, Activation(), out)
    return out


def relative_errors(algorithm: str, geometry: geo.Geometry, shape: Any, seed: int, kind: str) -> dict[str, float]:
    """Of each map that `algorithm` can do: the largest error against float64, relative to the largest value (or to the spread of
    the sums, should they all cancel)."""
    single = arrays(geometry, shape, seed, np.float32)
    double = [a.astype(np.float64) for a in single]
    b, c = (np.random.default_rng(seed + 1 + i).standard_normal(n).astype(np.float32) for i, n in enumerate(shape[1:]))
    x, w, g = single
    errors = {}
    for which in conv_cost.MAPS:
        expected = exact(which, *double, geometry)
        spread = np.sqrt(exact(which, *(a * a for a in double), geometry).max(initial=0)) + 1.0
        scale = max(spread, np.abs(expected).max(initial=0))
        out = np.full(expected.shape, np.nan, np.float32)
        with ops.conv_algorithm(algorithm):
            if cpu_conv.choice(which, *shape, geometry, np.dtype(np.float32)).algorithm != algorithm:
                continue
            if which == "conv_weight":
                CPU.conv_weight(x, g, geometry, out)
            else:
                source, bias = (x, c) if which == "conv" else (g, b)
                getattr(CPU, which)(source, w, bias, geometry, Activation(kind), out)
                expected = ops.activation(expected + bias, kind=kind, slope=0.2).data
        errors[which] = float(np.abs(out - expected).max(initial=0) / scale)
    return errors


@pytest.mark.parametrize("algorithm", conv_cost.ALGORITHMS)
@given(
    cases(channels=40),
    st.sampled_from([1, 8, 9]),
    st.integers(0, 99),
    st.sampled_from(["linear", "leaky_relu", "tanh"]),
)
def test_every_algorithm_is_exact_to_rounding(algorithm: str, case: Any, images: int, seed: int, kind: str) -> None:
    geometry, (_, a, b), _ = case
    for which, error in relative_errors(algorithm, geometry, (images, a, b), seed, kind).items():
        assert error <= 2e-5, (algorithm, which, error)


EVERYWHERE = {  # what an algorithm can do whatever the layer
    "tiles": {"conv", "conv_transpose", "conv_weight"},
    "patches": {"conv"},
    "columns": {"conv", "conv_transpose"},
}
LAYERS = [  # kernel, stride, big, in, out: DCGAN-28 and DCGAN-64; CycleGAN's first, last and second last
    (5, 1, 7, 128, 256), (5, 2, 14, 64, 128), (5, 2, 28, 1, 64), (4, 2, 8, 256, 512), (4, 2, 64, 3, 64), (3, 1, 13, 40, 33),
    (5, 1, 28, 1, 8), (5, 1, 28, 8, 1), (3, 2, 28, 8, 16),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("algorithm", conv_cost.ALGORITHMS[1:])
def test_every_algorithm_on_the_layers_of_a_dcgan(algorithm: str, layer: Any) -> None:
    kernel, stride, big, a, b = layer
    geometry = geo.of_conv((kernel, kernel), stride, "same", 1, (big, big))
    errors = relative_errors(algorithm, geometry, (16, a, b), 0, "leaky_relu")
    assert all(error <= 2e-5 for error in errors.values()), errors
    expected = set() if not AVAILABLE else EVERYWHERE.get(algorithm, set())  # without a fused multiply-add: direct only
    assert expected <= set(errors)


def test_columns_are_summed_a_few_images_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = geo.of_conv((4, 4), 2, "same", 1, (14, 14))
    found = []
    for kept in (1, 5_000, 1 << 40):
        monkeypatch.setattr(conv_patches, "KEPT", kept)
        found.append(relative_errors("columns", geometry, (16, 3, 5), 0, "leaky_relu"))
    assert found[0] == found[1] == found[2]
    assert all(error <= 2e-5 for error in found[0].values()) and (len(found[0]) == 2 or not AVAILABLE)


def test_double_precision_is_always_direct() -> None:
    for layer in LAYERS:
        kernel, stride, big, a, b = layer
        plan = ops.conv_plan((64, big, big, a), (kernel, kernel, a, b), stride=stride, dtype=np.float64)
        assert [c.algorithm for c in plan.choices] == ["direct"]


def test_a_recorded_convolution_follows_its_inputs() -> None:
    rng = np.random.default_rng(0)
    x, w = (mg.tensor(rng.standard_normal(s).astype(np.float32)) for s in ((9, 6, 6, 5), (3, 3, 5, 33)))
    b = mg.tensor(np.zeros(33, np.float32))

    def both() -> Any:
        y = ops.conv(x, w, b, stride=2, activation="leaky_relu")
        return y, ops.conv_transpose(y, w, stride=2, output_size=6), ops.conv_weight(x, y, kernel_size=3, stride=2)

    recording = Recording(both)
    for t in (x, w, b):
        t.assign(rng.standard_normal(t.shape).astype(np.float32))
    replayed = [t.numpy().copy() for t in recording.replay()]
    for got, expected in zip(replayed, both(), strict=True):
        np.testing.assert_array_equal(got, expected.numpy())


# -- Winograd's matrices ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("outputs", "taps"), [(m, r) for m, r in itertools.product(range(1, 8), repeat=2) if m + r <= 9]
)
def test_winograd_is_a_filter(outputs: int, taps: int) -> None:
    a, g, b = winograd.matrices(outputs, taps)
    rng = np.random.default_rng(outputs)
    w, d = rng.standard_normal(taps), rng.standard_normal(outputs + taps - 1)
    np.testing.assert_allclose(a @ ((g @ w) * (b @ d)), np.correlate(d, w, "valid"), rtol=1e-10, atol=1e-11)


def test_winograd_inverts_exactly() -> None:
    matrix = winograd._powers(8, 8)
    inverse = winograd._inverse(matrix)
    product = [
        [sum(p * q for p, q in zip(row, column, strict=True)) for column in zip(*inverse, strict=True)]
        for row in matrix
    ]
    assert product == [[Fraction(int(i == j)) for j in range(8)] for i in range(8)]
    with pytest.raises(ValueError, match="outputs \\+ taps - 1 <= 8"):
        winograd.matrices(5, 5)


# -- the cost model --------------------------------------------------------------------------------------------------
def test_the_plan_tells_what_runs_and_why() -> None:
    plan = ops.conv_plan((64, 7, 7, 256), (5, 5, 128, 256), which="conv_transpose")
    if not AVAILABLE:  # without a fused multiply-add there is one algorithm
        assert [choice.algorithm for choice in plan.choices] == ["direct"]
        return
    assert plan.algorithm == plan.choices[0].algorithm == "winograd"
    times = [choice.milliseconds for choice in plan.choices]
    assert times == sorted(times)
    assert {"direct", "tiles", "columns", "winograd"} == {choice.algorithm for choice in plan.choices}
    tiles = next(c for c in plan.choices if c.algorithm == "tiles")
    rows = plan.problem.tile.rows
    images = -(-64 // rows) * rows  # whole tiles
    assert (
        tiles.operations == 2 * images * 29 * 29 * 256 * 128
    )  # 29 of 35 pairs of position and tap an axis: no padding
    assert f"tiles of {plan.problem.tile}" in str(plan) and "GB/s" in str(plan)
    assert "GFLOP" in str(plan) and str(plan).count("\n") == 1 + len(plan.choices)
    assert ops.conv_plan((64, 14, 14, 64), (5, 5, 1, 64), which="conv_transpose", stride=2).algorithm == "columns"
    for which in ("conv", "conv_weight"):  # few input channels
        assert ops.conv_plan((64, 64, 64, 3), (4, 4, 3, 64), which=which, stride=2, padding=1).algorithm == "strips"
    assert ops.conv_plan((2, 7, 7, 128), (5, 5, 128, 256)).algorithm == "patches"  # not columns, which turn the weights
    assert ops.conv_plan((1, 14, 14, 64), (5, 5, 64, 128), stride=2).algorithm == "patches"
    assert ops.conv_plan((64, 14, 14, 64), (5, 5, 64, 128), stride=2).algorithm == "tiles"
    last = ops.conv_plan((16, 28, 28, 8), (5, 5, 8, 1))
    columns = last.problem.tile.width
    positions = max(m for m in (1, 2, 4, 7, 14, 28) if m <= columns)  # as many as fit a tile and share out 28
    assert last.algorithm == "wide" and f"{positions} positions as one, by tiles" in str(last)


@pytest.mark.skipif(not AVAILABLE, reason="without a fused multiply-add there is one algorithm")
@given(cases(channels=3), st.sampled_from(["conv", "conv_transpose", "conv_weight"]))
def test_positions_are_taken_as_one_wherever_that_is_possible(case: Any, which: str) -> None:
    geometry, (n, a, b), _ = case
    length, stride = (geometry.big if which == "conv_transpose" else geometry.small)[-1], max(geometry.stride)
    if which == "conv_transpose" and stride > 1:
        possible = length % geometry.stride[-1] == 0 and geometry.stride[-1] > 1
    else:
        turned = all(p <= (k - 1) * d for p, k, d in zip(geometry.low, geometry.kernel, geometry.dilation, strict=True))
        possible = length > 1 and (which != "conv_transpose" or turned)
    problem = cpu_conv.problem(which, n, a, b, geometry, np.dtype(np.float32))
    assert (conv_cost.wide(problem) is not None) >= possible


def test_an_algorithm_can_be_asked_for() -> None:
    with ops.conv_algorithm("direct"):
        assert ops.conv_plan((64, 7, 7, 256), (5, 5, 256, 128)).algorithm == "direct"
        assert conv_cost.forced() == "direct"
    assert conv_cost.forced() == "auto"
    with pytest.raises(ValueError, match=r"fft.*expected 'auto' or one of"), ops.conv_algorithm("fft"):
        pass


# -- layers ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_layers_of_every_rank(axes: int) -> None:
    x = np.random.default_rng(0).standard_normal((2, *(6,) * axes, 3)).astype(np.float32)
    down = nn.Conv(3, 4, 3, stride=2, activation="relu", axes=axes)
    up = nn.ConvTranspose(4, 3, 3, stride=2, axes=axes)
    y = down(x)
    assert y.shape == (2, *(3,) * axes, 4) and y.data.min() == 0
    assert up(y).shape == x.shape
    assert down.weight.shape == (*(3,) * axes, 3, 4) and up.weight.shape == (*(3,) * axes, 3, 4)
    mg.ops.sum(up(y)).backward()
    assert down.weight.grad is not None and up.bias is not None and up.bias.grad is not None


def test_weights_of_both_layers_are_drawn_for_their_own_fans() -> None:
    down = nn.Conv(1, 400, 3, init="he").initialize(0).weight.data
    up = nn.ConvTranspose(1, 400, 3, init="he").initialize(0).weight.data
    assert up.shape == (3, 3, 400, 1)
    np.testing.assert_allclose([down.std(), up.std()], np.sqrt(2 / 9), rtol=0.05)


# -- errors ----------------------------------------------------------------------------------------------------------
X, W = np.ones((2, 6, 6, 3)), np.ones((3, 3, 3, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.conv(X, np.ones((3, 3, 2, 4))), r"x \(2, 6, 6, 3\), w \(3, 3, 2, 4\).*expected x \(N, \*sizes, in\)"),
        (lambda: ops.conv(X[0], W), "expected x"),
        (lambda: ops.conv(X, W, np.ones(3)), r"b \(3,\)"),
        (lambda: ops.conv(X, W, stride=0), "stride: got 0, expected an integer >= 1 or 2 of them"),
        (lambda: ops.conv(X, W, padding="full"), "padding: got 'full', expected 'same', 'valid'"),
        (lambda: ops.conv(X, W, padding=-1), "padding: got -1"),
        (lambda: ops.conv(X, W, padding=(1, 2, 3)), "padding: got"),
        (lambda: ops.conv(X, W, padding="valid", dilation=4), "does not fit into an input of .6, 6.*use padding='same'"),
        (lambda: ops.conv(X, W, activation="swish"), "got activation 'swish', expected one of"),
        (lambda: ops.conv(np.ones((2, 0, 6, 3)), W), "expected 1 to 3 axes of at least 1"),
        (lambda: ops.conv_transpose(X, W), "conv_transpose: got x"),
        (lambda: ops.conv_transpose(X, np.ones((3, 3, 4, 3)), stride=2, output_size=9), "maps it to .5, 5., not to .6, 6."),
        (lambda: ops.conv_transpose(X, np.ones((1, 1, 4, 3)), padding=9), "leaves an output of"),
        (lambda: ops.conv_weight(X, np.ones((2, 5, 5, 4)), kernel_size=3), r"got g with sizes \(5, 5\), expected \(6, 6\)"),
        (lambda: ops.conv_weight(X, np.ones((3, 6, 6, 4)), kernel_size=3), "conv_weight: got x"),
        (lambda: ops.conv_plan((2, 6, 6, 3), (3, 3, 3, 4), which="forward"), "got which='forward', expected one of"),
        (lambda: nn.Conv(0, 3, 3), "Conv: got inputs 0"),
        (lambda: nn.ConvTranspose(3, 3, (3, 3, 3, 3)), "1 to 3 axes"),
    ],
)  # fmt: skip
def test_errors_tell_what_was_received_and_expected(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
