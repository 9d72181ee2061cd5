"""Random numbers: known answers, laws, purity."""

import numpy as np
import pytest
from devices import CPU, SPECIFICATION
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from minigan import random

# Known answers of philox4x32-10 from the Random123 distribution (file kat_vectors): counter, key -> words.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def philox_block(counter, key):
    """One block with any first counter word, by the round formula in Python integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return tuple(c)


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_the_round_formula_gives_the_published_words(counter, key, words):
    assert philox_block(counter, key) == words


@given(
    st.tuples(*[st.integers(0, 2**32 - 1)] * 2),
    st.tuples(*[st.integers(0, 2**32 - 1)] * 3),
    st.integers(1, 67),
)
def test_both_kernels_are_philox(key, counter, size):
    want = [w for i in range(-(-size // 4)) for w in philox_block((i, *counter), key)][:size]
    for kernels in (SPECIFICATION, CPU):
        out = np.full(size, 7, np.uint32)
        kernels.philox(key, counter, out)
        assert out.tolist() == want


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_laws(dtype):
    u = random.uniform((20_000,), seed=1, stream="u", dtype=dtype).data
    z = random.normal((20_001,), seed=1, stream="z", dtype=dtype).data
    assert u.dtype == z.dtype == dtype and u.min() >= 0 and u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(z[:10_000], z[10_000:20_000])[0, 1]) < 0.05  # the two halves of Box-Muller


def test_a_draw_is_a_pure_function_of_seed_stream_and_step():
    def draw(seed, stream, step):
        return random.normal((5,), seed=seed, stream=stream, step=step).data.tobytes()

    assert draw(1, "a", 2) == draw(1, "a", 2)
    assert len({draw(1, "a", 2), draw(2, "a", 2), draw(1, "b", 2), draw(1, "a", 3), draw(1, "a", 2 + 2**32)}) == 5


def test_source_counts_calls_in_a_step_and_can_go_back():
    source = random.Source(3)
    first, second = source.normal((4,), stream="x").data, source.normal((4,), stream="x").data
    other = source.normal((4,), stream="y").data
    source.advance()
    later = source.normal((4,), stream="x").data
    assert len({a.tobytes() for a in (first, second, other, later)}) == 4
    source.advance(0)
    assert source.normal((4,), stream="x").data.tobytes() == first.tobytes()


def test_mask_and_permutation():
    mask = random.Source(0).mask((10_000,), keep=0.7, stream="m").data
    assert set(np.unique(mask)) == {np.float32(0), np.float32(65536 / round(0.7 * 65536))}
    assert abs((mask > 0).mean() - 0.7) < 0.02
    order = random.permutation(100, seed=1, stream="p")
    assert sorted(order) == list(range(100)) and order.tolist() != list(range(100))
    assert (order == random.permutation(100, seed=1, stream="p")).all()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1,), (5, 3), (1000, 17)])
def test_the_gpu_draws_what_the_cpu_draws(shape, dtype):
    """The same words of Philox on both: masks and uniform numbers to the bit, normal ones to the rounding of log, sin, cos."""
    draws = []
    for device in ("cpu", "gpu"):
        source = random.Source(3, device=device, dtype=dtype)
        source.advance(2**32 + 5)
        mask = source.mask(shape, keep=0.7, stream="m", dtype=dtype)
        draws.append([t.numpy() for t in (source.uniform(shape, stream="u"), mask, source.normal(shape, stream="z"))])
    for mine, gpu in zip(draws[0][:2], draws[1][:2], strict=True):
        np.testing.assert_array_equal(gpu, mine)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(draws[1][2], draws[0][2], rtol=16 * eps, atol=16 * eps)


def test_numbers_drawn_apart_leave_no_trace():
    source, other = random.Source(3), random.Source(3)
    draw = lambda s: s.normal((4,), stream="z").numpy().copy()  # noqa: E731
    for s in (source, other):
        s.advance(5)
    first = draw(source)
    with source.apart(7, "samples"):
        apart = draw(source)
        source.advance()
        assert not np.array_equal(draw(source), apart)
    assert np.array_equal(first, draw(other)) and np.array_equal(draw(source), draw(other)) and source.step == 5
    with other.apart(7, "samples"):
        assert np.array_equal(draw(other), apart)
    with other.apart(3, "samples"):
        other.advance(5)
        assert not np.array_equal(draw(other), first)  # the run's own seed and step, and yet other numbers
    with pytest.raises(ZeroDivisionError), other.apart(7, "samples"):
        raise ZeroDivisionError
    assert (other.seed, other.step) == (3, 5)
