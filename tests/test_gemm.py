"""Our matrix product and the team of threads it runs on."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan import ops
from minigan.activation import Activation
from minigan.kernels import reference as kernels
from minigan.kernels.cpu import gemm, threads
from minigan.kernels.cpu import team as cpu_team
from minigan.kernels.cpu.compiler import address_of, task, words_at
from minigan.kernels.cpu.gemm_microkernel import AVAILABLE


def layouts(kind, shape, r):
    """A float32 matrix of a shape: by rows, by columns, or a window of a larger one."""
    if kind == "rows":
        return r.standard_normal(shape).astype(np.float32)
    if kind == "columns":
        return r.standard_normal(shape[::-1]).astype(np.float32).T
    return r.standard_normal((shape[0], shape[1] + 5)).astype(np.float32)[:, 2 : 2 + shape[1]]


@given(
    st.integers(8, 150),
    st.integers(16, 140),
    st.integers(32, 200),
    st.sampled_from(["rows", "columns", "window"]),
    st.sampled_from(["rows", "columns", "window"]),
    st.sampled_from([None, 1.0, 0.0, 0.2]),
    st.integers(0, 2**32 - 1),
)
def test_products_of_any_layout_with_and_without_epilogue(m, k, n, left, right, slope, seed):
    r = np.random.default_rng(seed)
    a, b, out = layouts(left, (m, k), r), layouts(right, (k, n), r), np.full((m, n), np.nan, np.float32)
    bias = None if slope is None else r.standard_normal(n).astype(np.float32)
    gemm.plan(a, b, out, bias, 1.0 if slope is None else slope)()
    want = a.astype(np.float64) @ b.astype(np.float64)
    if bias is not None:
        want = want + bias
        want = np.where(want > 0, want, slope * want)
    scale = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    assert (np.abs(out - want) <= 1e-6 * (scale + 1)).all()


@given(
    st.integers(8, 150), st.integers(16, 140), st.integers(32, 200), st.sampled_from(["rows", "columns"]),
    st.integers(0, 5), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_matrix_added_on_the_way_out_is_added_as_afterwards(m, k, n, left, wider, seed):
    """Also to the tiles that overlap, and where the rows of the matrix lie apart; bit for bit."""
    r = np.random.default_rng(seed)
    a, b, out = layouts(left, (m, k), r), layouts("rows", (k, n), r), np.full((m, n), np.nan, np.float32)
    c = r.standard_normal((m, n + wider)).astype(np.float32)[:, :n]
    plain = np.full((m, n), np.nan, np.float32)
    gemm.plan(a, b, plain)()
    gemm.plan(a, b, out, c)()
    assert (out == plain + c).all()
    for slope in (0.0, 0.25):
        gemm.plan(a, b, out, c, slope, masks=True)()
        assert (out == np.where(c > 0, plain, np.float32(slope) * plain)).all()


@pytest.mark.parametrize("shape", [(64, 1024, 784), (1024, 64, 784), (512, 128, 128), (8, 2048, 32), (130, 300, 33)])
def test_the_shapes_of_the_networks_and_any_number_of_threads_agree_bit_for_bit(shape, monkeypatch):
    m, k, n = shape
    r = np.random.default_rng(0)
    a, b = layouts("rows", (m, k), r), layouts("rows", (k, n), r)
    results = []
    for count in (1, 2, 3):
        monkeypatch.setattr(threads, "THREADS", count)
        out = np.full((m, n), np.nan, np.float32)
        assert gemm.suits(a, b, out) == AVAILABLE  # without a fused multiply-add the BLAS is faster
        gemm.plan(a, b, out)()
        results.append(out)
    np.testing.assert_allclose(results[0], a.astype(np.float64) @ b, rtol=1e-4, atol=1e-4)
    assert all((out == results[0]).all() for out in results)


@pytest.mark.skipif(not AVAILABLE, reason="without a fused multiply-add products go to the BLAS")
@pytest.mark.parametrize("depth", [2049, 3136, 4100])
@pytest.mark.parametrize("kind", ["linear", "leaky_relu", "tanh"])
def test_deep_products_are_cut_into_stretches(depth, kind):
    r, f = np.random.default_rng(depth), Activation(kind)
    x, w, bias = layouts("rows", (17, depth), r), layouts("columns", (depth, 70), r), layouts("rows", (1, 70), r)[0]
    out = np.full((17, 70), np.nan, np.float32)
    planned = kernels.dense.plan(x, w, bias, f, out)
    for _ in range(2):  # again, from what the first run has left
        planned()
        want = ops.activation(x.astype(np.float64) @ w + bias, kind).data
        np.testing.assert_allclose(out, want, rtol=1e-4, atol=1e-4)
    product = np.full(out.shape, np.nan, np.float32)
    kernels.matmul.plan(x, w, product)()
    np.testing.assert_allclose(product, x.astype(np.float64) @ w, rtol=1e-4, atol=1e-4)


def test_what_does_not_suit_goes_to_numpy():
    f = np.float32
    big = np.ones((100, 100), f)
    refused = [
        (np.ones((4, 100), f), big, np.ones((4, 100), f)),
        (big.astype(np.float64), big.astype(np.float64), big.astype(np.float64)),
        (big[::-1], big, np.empty_like(big)),
        (big, np.ones((200, 200), f)[::2, ::2], np.empty_like(big)),
        (np.ones((100, 5000), f), np.ones((5000, 100), f), big.copy()),
        (np.ones((9, 16), f), np.ones((16, 32), f), np.ones((9, 32), f)),
    ]
    for a, b, out in refused:
        assert not gemm.suits(a, b, out)
        got = np.full_like(out, np.nan)
        kernels.matmul(a, b, got)
        np.testing.assert_allclose(got, a @ b, rtol=1e-5)


def test_nan_and_inf_pass_through():
    a, b = np.ones((64, 64), np.float32), np.ones((64, 64), np.float32)
    a[3, 5], b[7, 9] = np.nan, np.inf
    got = np.empty((64, 64), np.float32)
    kernels.matmul(a, b, got)
    assert np.isnan(got[3]).all() and np.isinf(got[4, 9]) and np.isfinite(got[4, 8])


@task
def mark(parameters, index, thread):
    """Count visits of each index in the words at the address that is the parameter."""
    words_at(words_at(parameters, 1)[0], 1001)[index] += 1


def visits(team, tasks):
    """How often each task of one job ran."""
    words = np.zeros(1001, np.int64)
    team.run(mark, np.array([address_of(words)]), tasks)
    return words


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_every_task_runs_once(size):
    team = cpu_team.Team(size)
    for tasks in (1, 2, 3, 1000):
        words = visits(team, tasks)
        assert (words[:tasks] == 1).all() and words.sum() == tasks
    team.rest()
    assert visits(team, 10).sum() == 10


def test_programs_with_threads_of_their_own_share_the_team():
    team, failures = cpu_team.Team(2), []

    def work():
        for _ in range(200):
            words = visits(team, 7)
            if not (words[:7] == 1).all():
                failures.append(words)

    users = [threading.Thread(target=work) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert not failures


def test_a_narrow_last_panel_leaves_its_neighbour_alone():
    """Its tile reaches into columns of another thread's task: they must not get the bias twice, or lose it."""
    r = np.random.default_rng(0)
    a, b = r.standard_normal((8, 600)).astype(np.float32), r.standard_normal((600, 36)).astype(np.float32)
    bias, out = r.standard_normal(36).astype(np.float32), np.empty((8, 36), np.float32)
    want = None
    for _ in range(2000):
        gemm.plan(a, b, out, bias, 0.2)()
        want = out.copy() if want is None else want
        assert (out == want).all()
