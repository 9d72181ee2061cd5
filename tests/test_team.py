"""When the team of threads calls its helpers: the ledger of a job, quiet times after a core was taken, windows."""

import gc
import time
import weakref

import numpy as np
import pytest

from minigan.kernels.cpu import team as t


def run(book, cost, runs, seen):
    """Run a job whose costs are `cost(helped)` ticks as the team would; notes in `seen` which way each run went."""
    for _ in range(runs):
        helped = bool(t._wants_help.py_func(book))
        t._note.py_func(book, helped, int(cost(helped)))
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
    t._note.py_func(book, True, 10**9)
    run(book, lambda helped: 600 if helped else 1000, 60, seen)
    assert sum(seen[-20:]) >= 18


def test_help_that_saves_next_to_nothing_is_not_called():
    book, seen = np.zeros(t.LEDGER, np.int64), []
    run(book, lambda helped: 990 if helped else 1000, 500, seen)
    assert sum(seen[100:]) < 40


class Core:
    """The team's times on a core of which others take `part`, in slices of `length` seconds; a job takes 100 us."""

    SECOND = 1_000_000

    def __init__(self, part: float, length: float) -> None:
        self.own, self.now, self.lost, self.part, self.length = (
            np.zeros(t.WORDS - t.OWN, np.int64),
            10**7,
            0,
            part,
            length,
        )
        self.own[t.NEXT_WINDOW - t.OWN] = 10**15
        t._look_round.py_func(self.own, 0, self.now, self.SECOND)

    def seconds_with_help(self, seconds: float) -> float:
        """Of so many seconds, those in which helpers were called."""
        end, slices, helped, may = self.now + seconds * self.SECOND, int(self.length * self.SECOND), 0, True
        while self.now < end:
            taken = may and self.part > 0 and self.now % int(slices / self.part) < slices
            step = slices if taken else 100
            self.now += step
            self.lost += slices if taken else 0
            helped += step * may
            may = t._look_round.py_func(self.own, self.lost, self.now, self.SECOND)
        return helped / self.SECOND


def test_a_core_that_others_take_half_the_time_means_quiet():
    core = Core(0.5, 4e-3)
    core.seconds_with_help(3)
    assert core.own[t.QUIET_TICKS - t.OWN] == t.QUIETEST * core.SECOND
    assert core.seconds_with_help(5) < 0.25


@pytest.mark.parametrize("part, length", [(0.0, 1e-3), (0.01, 300e-6), (0.05, 4e-3), (0.15, 4e-3)])
def test_interruptions_now_and_then_do_not(part, length):
    assert Core(part, length).seconds_with_help(5) > 4.75


def test_one_long_interruption_costs_one_short_quiet_time():
    core = Core(0.0, 1e-3)
    core.lost, core.now = core.lost + 10**5, core.now + 10**5
    assert core.seconds_with_help(1) > 1 - 2 * t.QUIET
    core.part = 0.5  # and when the core is taken for good, soon none are called, then again when it is free
    core.seconds_with_help(4)
    core.part = 0.0
    assert core.seconds_with_help(3) > 3 - 2 * t.QUIETEST
    core.lost, core.now = core.lost + 10**5, core.now + 10**5
    t._look_round.py_func(core.own, core.lost, core.now, core.SECOND)
    assert core.own[t.QUIET_TICKS - t.OWN] == t.QUIET * core.SECOND


def test_windows_in_which_all_jobs_call_helpers_take_a_small_part_of_the_time():
    second = 1_000_000
    own, inside = np.zeros(t.WORDS - t.OWN, np.int64), 0
    for now in range(0, 60 * second, 1000):
        t._look_round.py_func(own, 0, now, second)
        inside += now < own[t.WINDOW_END - t.OWN]
    assert 0 < inside / (60 * 1000) < 0.02


def test_the_clock_runs():
    assert t.ticks_a_second() > 1_000_000


def test_the_memory_that_helpers_look_at_lives_until_the_last_of_them_has_left(monkeypatch):
    """A team is replaced when the number of threads changes, while its helpers still spin."""
    monkeypatch.setattr(t, "PATIENCE", 1 << 60)
    team = t.Team(2)
    team._slow = 1 << 60  # nor does an interruption send them away
    team._call()
    while team._awake[0] == 0:
        time.sleep(1e-3)
    kept = weakref.ref(team)
    del team
    gc.collect()
    assert kept() is not None
    kept().rest()
    for _ in range(1000):
        gc.collect()
        if kept() is None:
            return
        time.sleep(1e-3)
    raise AssertionError("a team whose helpers have left is never freed")
