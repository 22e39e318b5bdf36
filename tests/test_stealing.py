"""Blocks that are stolen: each is computed once, and nothing tells by whom."""

import threading
import time

import numpy as np
import pytest

from jitloss.losses import LOSSES as TABLE
from jitloss_kernels import counts, fused, narrow, narrow_plan, pointers, stealing, workers
from jitloss_kernels.jit import Kernel, helper
from jitloss_kernels.narrow_lane import lane
from jitloss_kernels.narrow_plan import opened
from jitloss_kernels.panels import pack
from jitloss_kernels.pivots import choose
from jitloss_kernels.records import handed, record
from problems import DTYPES, JIT_DISABLED, LOSSES, assert_same_bits, compiled, make, needs_jit

PATIENCE = 60  # seconds until a helper has found a core that is free
# Of one tile and, in float64, with a pivot; of several groups and segments; of small blocks; what Python can do.
SHAPES = {"narrow": (400, 3073, 10), "segments": (260, 6400, 23), "few": (1100, 300, 3), "python": (192, 1024, 2)}
CASES = [(name, dtype) for name in SHAPES if name != "python" for dtype in DTYPES]
if JIT_DISABLED:
    CASES = [("python", "float64")]


def plan_of(shape, item_bytes=8, **changes):
    plan = narrow_plan.plan(*shape, item_bytes, "direct", ("W",))._replace(**changes)
    return plan, handed(plan, record(plan)), np.zeros(narrow_plan.n_counts(plan), np.int64)


@compiled
def take(shared, given, lane, back):
    """By the owner; whether the block is still to be computed."""
    plan = opened(given)
    return not stealing.is_taken(shared, plan, stealing.counts_of(plan, lane), back)


@compiled
def steal(shared, given, lane, n_blocks):
    plan = opened(given)
    return stealing.steal(shared, plan, stealing.counts_of(plan, lane), n_blocks)


@compiled
def hand_over(shared, given, lane, slot, scratch, source, target):
    plan = opened(given)
    stealing.hand_over(shared, plan, stealing.counts_of(plan, lane), slot, scratch, source, target)


@compiled
def receive(shared, given, lane, n_stolen, sums, total):
    plan = opened(given)
    return stealing.receive(shared, plan, stealing.counts_of(plan, lane), n_stolen, sums, total)


@compiled
def shared_out(shared, given, lane):
    plan = opened(given)
    return stealing.shared_out(shared, plan, stealing.counts_of(plan, lane))


@compiled
def share_out(shared, given, lane, n_stolen):
    stealing.share_out(shared, stealing.counts_of(opened(given), lane), n_stolen)


@compiled
def claim_range(shared, given, lane):
    return stealing.claim_range(shared, stealing.counts_of(opened(given), lane))


@compiled
def own_all(shared, given, lane, own):
    """An owner's way through a lane: which blocks are still to be computed."""
    plan = opened(given)
    for block in range(len(own)):
        own[block] = not stealing.is_taken(shared, plan, stealing.counts_of(plan, lane), len(own) - 1 - block)


@compiled
def steal_all(shared, given, lane, stolen):
    """A thief's, until the owner is through."""
    plan = opened(given)
    c0 = stealing.counts_of(plan, lane)
    while counts.look(shared, c0) % (1 << 32) < len(stolen):
        slot = stealing.steal(shared, plan, c0, len(stolen))
        if slot >= 0:
            stolen[len(stolen) - 1 - slot] += 1


run = helper(narrow.run.python)


@Kernel
def robbed(counts_, member, loss, given, W, X, y, bias, options, twice_decay, scratch, sums, dW, db, dX):
    """``narrow.run``, after a thief has taken from every lane what it can."""
    plan = opened(given)
    choose(plan, W, scratch)
    for task in range(plan.n_ranges):
        pack(task, plan, W, scratch, plan.weights_at)
    for victim in range(plan.n_lanes):
        c0 = stealing.counts_of(plan, victim)
        counts.add(counts_, c0, 1)  # as if the owner had begun,
        counts.add(counts_, c0 + 1, 1)  # and had nothing to share
        own, w0 = (victim + 1) % plan.n_lanes, plan.weights_at
        lane(victim, own, counts_, loss, given, X, y, bias, options, scratch, w0, sums, dX)
        counts.add(counts_, c0, -1)
        counts.add(counts_, c0 + 1, -1)
    run(counts_, member, loss, given, W, X, y, bias, options, twice_decay, scratch, sums, dW, db, dX)


def test_owner_and_thief_meet():
    """Ten blocks, of which the first is begun before any is stolen."""
    _, given, shared = plan_of((300, 3073, 10), n_slots=8)
    assert steal(shared, given, 1, 10) == -1
    assert take(shared, given, 1, 9)
    assert [steal(shared, given, 1, 10) for _ in range(3)] == [0, 1, 2]
    assert all(take(shared, given, 1, back) for back in range(8, 4, -1))
    assert [steal(shared, given, 1, 10) for _ in range(4)] == [3, 4, -1, -1]
    assert not take(shared, given, 1, 4)
    assert steal(shared, given, 0, 10) == -1


def test_no_more_is_stolen_than_there_are_slots():
    _, given, shared = plan_of((300, 3073, 10), n_slots=2)
    assert take(shared, given, 0, 8)
    assert [steal(shared, given, 0, 9) for _ in range(4)] == [0, 1, -1, -1]
    assert [take(shared, given, 0, back) for back in range(7, 0, -1)] == [True] * 6 + [False]


def test_nothing_is_stolen_of_a_call_that_is_interrupted():
    _, given, shared = plan_of((300, 3073, 10))
    shared[:] = counts.ALL_DONE
    assert steal(shared, given, 0, 1000) == -1
    assert shared_out(shared, given, 0) == 0
    assert claim_range(shared, given, 0) >= counts.ALL_DONE


def test_the_owner_waits_for_the_thief():
    """Who comes first finds one slot filled, and waits for the other."""
    plan, given, shared = plan_of(SHAPES["python"])
    scratch, sums, found = np.zeros(narrow_plan.sizes(plan).n_items), np.zeros(narrow_plan.sizes(plan).n_sums), []
    source, target = 0, 3 * plan.slot_items
    hand_over(shared, given, 0, 0, scratch, source, target)
    receive(shared, given, 0, 1, sums, 0)  # now all is compiled
    owner = threading.Thread(target=lambda: found.append(receive(shared, given, 1, 2, sums, 0)))
    n, scratch[: plan.slot_items] = plan.slot_sums, np.arange(plan.slot_items) + 1.0
    sums[:n], sums[2 * n : 3 * n] = 1, np.arange(n)
    hand_over(shared, given, 1, 1, scratch, source, target)
    owner.start()
    time.sleep(0.1)
    assert not found
    sums[n : 2 * n] = 10 + np.arange(n)
    hand_over(shared, given, 1, 0, scratch, source, target)
    owner.join()
    np.testing.assert_array_equal(scratch[target : target + plan.slot_items], np.arange(plan.slot_items) + 1.0)
    np.testing.assert_array_equal(sums[:n], 11 + 2 * np.arange(n))
    assert found == [1.0 + 11.0]


def test_the_thief_waits_until_the_gradient_is_shared_out():
    plan, given, shared = plan_of(SHAPES["python"])
    share_out(shared, given, 0, 2)
    assert shared_out(shared, given, 0) == 2
    found = []
    thief = threading.Thread(target=lambda: found.append(shared_out(shared, given, 1)))
    thief.start()
    time.sleep(0.1)
    assert not found
    share_out(shared, given, 1, plan.n_slots)
    thief.join()
    assert found == [plan.n_slots]


@needs_jit
@pytest.mark.parametrize("n_slots", [7, 100_000])
def test_every_block_is_computed_once(n_slots):
    """One owner, three thieves, all at once; thirty lanes of many blocks."""
    for n_blocks in (1, 2, 3, 50, *[20_000] * 26):
        _, given, shared = plan_of((300, 3073, 10), n_slots=n_slots)
        own, stolen = np.zeros(n_blocks, bool), [np.zeros(n_blocks, int) for _ in range(3)]
        threads = [threading.Thread(target=steal_all, args=(shared, given, 1, blocks)) for blocks in stolen]
        for thread in threads:
            thread.start()
        own_all(shared, given, 1, own)
        for thread in threads:
            thread.join()
        np.testing.assert_array_equal(own + sum(stolen), 1)
        assert sum(stolen).sum() <= n_slots


@pytest.mark.parametrize("options", ["bias", "weights", "nothing first"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_what_is_stolen_has_the_same_bits(name, dtype, loss, options, monkeypatch):
    """Also where rows of no weight, which hold NaN, are passed over one by one, or are all that the owner has."""
    shape = SHAPES[name]
    W, X, y = make(shape, dtype)
    plan, *_ = plan_of(shape, W.itemsize)
    assert plan.n_slots > 0
    assert shape[0] // plan.n_lanes // plan.block_rows >= 3
    call, given = TABLE[loss].function, {"bias": np.linspace(-1, 1, shape[2]).astype(dtype)}
    if options == "weights":
        given["sample_weight"] = np.where(np.arange(shape[0]) % 7 == 3, 0.0, 0.5 + y)
        X[3::35] = np.nan
    if options == "nothing first":
        missed = np.arange(shape[0]) % (shape[0] // plan.n_lanes) < plan.block_rows
        X[missed], given["sample_weight"] = np.nan, np.where(missed, 0.0, 1.0)
    solve, seen = fused.solve, []

    def solve_robbed(task, *others):
        seen.append(task.kernel is narrow.run)
        return solve(task._replace(kernel=robbed), *others)

    for wrt in (("W", "b", "X"), ("W",), ("b",)):
        expected = call(W, X, y, 0.5, wrt=wrt, n_threads=1, implementation="fused", **given)
        with monkeypatch.context() as patch:
            patch.setattr(fused, "solve", solve_robbed)
            found = call(W, X, y, 0.5, wrt=wrt, n_threads=1, implementation="fused", **given)
        assert_same_bits(found, expected)
    assert all(seen)
    assert len(seen) == 3


@needs_jit
def test_who_is_first_to_finish_steals(monkeypatch):
    """The rows of the first lane are looked at one by one, which takes long: those of no weight hold NaN."""
    if not pointers.by_address() or workers.size(2, 2) < 2:
        pytest.skip("one thread does everything")
    W, X, y = make(SHAPES["narrow"])
    weights = np.ones(len(X))
    weights[:100:8], X[:100:8] = 0, np.nan
    plan, kept = plan_of(SHAPES["narrow"])[0], []

    launch = workers.run

    def noted(kernel, key, n_members, arguments, *others):
        kept.append(arguments[0])
        launch(kernel, key, n_members, arguments, *others)

    monkeypatch.setattr(workers, "run", noted)
    call = TABLE["svm"].function
    expected, end = call(W, X, y, sample_weight=weights, n_threads=1), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert_same_bits(call(W, X, y, sample_weight=weights, n_threads=2), expected)
        if kept.pop()[plan.steals_at] >> 32:
            return
    pytest.fail("nothing was stolen")
