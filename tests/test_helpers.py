"""Helpers: they come whether they are awake or asleep, go to sleep again, and leave nothing behind."""

import os
import sys
import threading

import pytest

import jitloss
from jitloss_kernels import atomics, helpers, workers
from jitloss_kernels.counts import claim, look
from jitloss_kernels.jit import Kernel
from problems import assert_same_bits, check_in_fresh_process, make, needs_jit

pytestmark = needs_jit

MEETINGS = """
    import time
    import numpy as np
    from test_helpers import *
    from jitloss_kernels import posts
    team = helpers.team()
    def states(after=0):
        time.sleep(after)
        return team.places[: team.n_helpers, 0].tolist()
    def gather(n):
        met = np.zeros(8, np.int64)
        workers.run(meet, "meet", n, (met, 0, n))
        assert met[4 : 4 + met[0]].tolist() == [1] * met[0]  # each of them knows who it is
        return met[0]
"""


@Kernel
def meet(met, member, n):
    """Wait until `n` threads are here; for ten seconds at most."""
    met[4 + member] += 1
    claim(met, 0)
    looks = 0
    while look(met, 0) < n and looks < 100_000:
        looks += 1
        atomics.pause(looks)


@pytest.mark.parametrize("n", [2, 4])
def test_all_of_them_come_awake_or_asleep(n):
    """At once after another call, and when all of them sleep."""
    check_in_fresh_process(
        MEETINGS
        + f"""
    for pause in (0, 0, 0.05, 0, 0.05, 0.05, 0):
        time.sleep(pause)
        assert gather({n}) == {n}
    assert team.n_helpers == {n} - 1
    """,
        NUMBA_NUM_THREADS="4",
    )


def test_they_sleep_when_there_is_nothing_to_do():
    """None of them spins for longer than a moment: the process uses no time."""
    check_in_fresh_process(
        MEETINGS
        + """
    gather(4)
    assert states(after=1.0) == [posts.ASLEEP] * 3
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1
    """,
        NUMBA_NUM_THREADS="4",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="naps are a matter of Linux")
def test_their_naps_end_when_they_should():
    """A helper that naps is not late for the next call; the thread that calls keeps its own habits."""
    check_in_fresh_process(
        MEETINGS
        + """
    import threading
    def slack(thread):
        return int(open(f"/proc/{thread.native_id}/timerslack_ns").read())
    before = slack(threading.main_thread())
    gather(3)
    assert [slack(team._threads[number]) for number in range(2)] == [1, 1]
    assert slack(threading.main_thread()) == before > 1
    """,
        NUMBA_NUM_THREADS="4",
    )


def test_calls_too_short_to_help_with_leave_nothing_behind():
    """What nobody has taken up is taken back, and nobody is woken up twice: a server calls for weeks."""
    check_in_fresh_process(
        MEETINGS
        + """
    gather(3)
    for number in range(5000):
        workers.run(meet, "meet", 3, (np.zeros(8, np.int64), 0, 0))
        time.sleep(0.001 * (number % 500 == 0))
        assert all(state in (posts.ASLEEP, posts.AWAKE, posts.BUSY) for state in states())
        assert all(bell.qsize() <= 1 for bell in team._bells)
    """,
        NUMBA_NUM_THREADS="3",
    )


def test_several_threads_share_the_helpers():
    """Each gets those that are idle just then, and waits for nobody else's."""
    check_in_fresh_process(
        MEETINGS
        + """
    wrong = []
    def call():
        for _ in range(300):
            met = np.zeros(8, np.int64)
            workers.run(meet, "meet", 3, (met, 0, 0))
            if not 1 <= met[0] <= 3:
                wrong.append(met[0])
    callers = [threading.Thread(target=call) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive()
    assert not wrong
    """,
        NUMBA_NUM_THREADS="3",
    )


def test_long_calls_beside_short_ones_that_never_let_helpers_sleep(tmp_path):
    """A helper that is always awake comes back for what is on its bell, and keeps nothing."""
    check_in_fresh_process(
        MEETINGS
        + """
    import signal
    posts._LOOKS = 1 << 40  # awake however slow this machine is just now
    if hasattr(signal, "alarm"):
        signal.alarm(60)
    over = threading.Event()
    def call():
        while not over.is_set():
            workers.run(meet, "meet", 3, (np.zeros(8, np.int64), 0, 0))
    callers = [threading.Thread(target=call) for _ in range(2)]
    problem = make((3000, 300, 10))
    expected = jitloss.softmax_loss(*problem)
    for caller in callers:
        caller.start()
    workers.LONG_FLOPS = 1
    for number in range(24):
        assert_same_bits(jitloss.softmax_loss(*problem, n_threads=1 + number % 2), expected)
        assert all(bell.qsize() <= 10 for bell in team._bells), [bell.qsize() for bell in team._bells]
    over.set()
    """,
        NUMBA_NUM_THREADS="3",
        NUMBA_CACHE_DIR=str(tmp_path),  # what is compiled here is for no other test
    )


several_cores = pytest.mark.skipif(len(helpers.cpus()) < 2, reason="there is no other core, or nobody says")


@several_cores
def test_a_helper_on_the_core_of_the_caller_is_sent_to_another():
    """Where a scheduler has put both on one core, beside an idle one, and leaves them there."""
    check_in_fresh_process(
        MEETINGS
        + """
    import os
    cores = helpers.cpus()
    gather(2)
    helper, here = team._threads[0].native_id, min(cores)
    os.sched_setaffinity(0, {here}), os.sched_setaffinity(helper, {here})
    helpers.cpus = lambda: cores
    for _ in range(100):
        gather(2)
    assert os.sched_getaffinity(helper) == cores - {here}
    assert team.places[0, 2] <= 1  # at its side from then on
    """,
        NUMBA_NUM_THREADS="2",
    )


@several_cores
def test_a_helper_that_is_where_it_should_be_is_left_alone(monkeypatch):
    """It is busy with something else: nobody looks again soon."""
    team, where = helpers.Team(), iter([0, 1] * 30)
    team.hire(1)
    monkeypatch.setattr(helpers, "cpu_of", lambda thread: next(where))
    before, patience = os.sched_getaffinity(team._threads[0].native_id), []
    for _ in range(12):
        team._part(0)
        patience.append(team._patience[0])
    assert patience[:3] == [6, 12, 24]
    assert patience[-1] == 1024
    assert os.sched_getaffinity(team._threads[0].native_id) == before


def test_never_more_than_there_are_places():
    """numba's pool may have grown since the places were made."""
    team = helpers.Team()
    team.hire(len(team.places) + 3)
    assert team.n_helpers == len(team.places)


@pytest.mark.parametrize("is_long", [False, True])
def test_no_thread_to_be_had(is_long, monkeypatch):
    """A process at its limit computes alone."""
    problem = make((2000, 200, 10))
    expected = jitloss.softmax_loss(*problem, n_threads=1)

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(helpers, "_team", helpers.Team())
    monkeypatch.setattr(workers, "size", lambda n_threads, most: 2)
    if is_long:
        monkeypatch.setattr(workers, "LONG_FLOPS", 1)
    assert_same_bits(jitloss.softmax_loss(*problem), expected)
