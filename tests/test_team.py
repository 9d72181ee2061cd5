"""When the team of threads calls its helpers: the ledger of a job, quiet times after a core was taken, windows."""

import numpy as np
import pytest

from minigan.kernels import cpu_team as t


def run(book, cost, runs, seen):
    """Run a job whose costs are `cost(helped)` ticks as the team would; notes in `seen` which way each run went."""
    for _ in range(runs):
        helped = bool(t._wants_help(book))
        t._note(book, helped, int(cost(helped)))
        seen.append(helped)


def test_a_job_runs_the_quicker_way_and_tries_the_other_more_and_more_rarely():
    for better in (True, False):
        book, seen = np.zeros(t.LEDGER, np.int64), []
        run(book, lambda helped, better=better: 1000 if helped == better else 1500, 20_000, seen)
        tries = sum(way != better for way in seen[2 * t.FIRST_RUNS :])
        assert 5 <= tries <= 40 and book[t.BETWEEN] == t.LONGEST


def test_a_job_never_costs_much_more_than_the_quicker_way():
    """The first runs apart: 5 % is what one thread may be quicker by."""
    book, seen, total = np.zeros(t.LEDGER, np.int64), [], 0

    def cost(helped):
        nonlocal total
        total += 3000 if helped else 1000
        return 3000 if helped else 1000

    run(book, cost, 5000, seen)
    assert total <= 1.05 * 5000 * 1000


def test_a_job_follows_a_change_of_the_machine():
    book, seen = np.zeros(t.LEDGER, np.int64), []
    run(book, lambda helped: 600 if helped else 1000, 300, seen)
    assert all(seen[-10:])
    run(book, lambda helped: 1400 if helped else 1000, 60, seen)  # every handover now costs as much as a job
    assert not any(seen[-5:])
    run(book, lambda helped: 600 if helped else 1000, 3000, seen)
    assert sum(seen[-100:]) >= 98


def test_one_interruption_does_not_change_a_jobs_mind():
    book, seen = np.zeros(t.LEDGER, np.int64), []
    run(book, lambda helped: 600 if helped else 1000, 200, seen)
    t._note(book, True, 10**9)
    run(book, lambda helped: 600 if helped else 1000, 60, seen)
    assert sum(seen[-20:]) >= 18


def test_help_that_saves_next_to_nothing_is_not_called():
    book, seen = np.zeros(t.LEDGER, np.int64), []
    run(book, lambda helped: 990 if helped else 1000, 500, seen)
    assert sum(seen[100:]) < 40


def test_a_taken_core_means_quiet_and_each_time_in_a_row_twice_as_long():
    second = 1_000_000
    own, now, taken, lengths = np.zeros(t.WORDS - t.OWN, np.int64), 10 * second, 0, []
    own[t.NEXT_WINDOW - t.OWN] = 10**15
    assert t._look_round(own, taken, now, second)
    for _ in range(12):
        taken += 1
        assert not t._look_round(own, taken, now, second)
        lengths.append(own[t.QUIET_TICKS - t.OWN] / second)
        assert not t._look_round(own, taken, now + own[t.QUIET_TICKS - t.OWN] - 1, second)
        now += own[t.QUIET_TICKS - t.OWN] + 1
        assert t._look_round(own, taken, now, second)
    assert lengths[0] == pytest.approx(t.QUIET) and lengths[1] == pytest.approx(2 * t.QUIET)
    assert max(lengths) == lengths[-1] == pytest.approx(t.QUIETEST)
    now += 10 * second  # a calm time: it begins anew
    t._look_round(own, taken + 1, now, second)
    assert own[t.QUIET_TICKS - t.OWN] / second == pytest.approx(t.QUIET)


def test_windows_in_which_all_jobs_call_helpers_take_a_small_part_of_the_time():
    second = 1_000_000
    own, inside = np.zeros(t.WORDS - t.OWN, np.int64), 0
    for now in range(0, 60 * second, 1000):
        t._look_round(own, 0, now, second)
        inside += now < own[t.WINDOW_END - t.OWN]
    assert 0 < inside / (60 * 1000) < 0.02


def test_the_clock_runs():
    assert t.ticks_a_second() > 1_000_000
