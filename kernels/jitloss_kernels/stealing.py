"""Who has no lane left takes blocks of another lane, from its end: what owner and thief tell each other.

A lane is too much work to wait for where cores differ in speed, or one is needed elsewhere for a moment. The owner
takes its blocks from the front, thieves take theirs from the end, until they meet. Of each a thief leaves in a slot the
dscores, the loss and the sums for db, a few KB. When its own blocks are done, the owner shares out what is left of the
gradient: Xᵀ dscores of the stolen blocks, block after block, by ranges of features. All is added up in the order in
which the owner alone would have done it, so who did what changes no bit.

Of each lane there is counted, from `c0` on: the blocks that the owner has taken, and in units of 2³² those that were
stolen; of how many blocks the gradient is shared out, plus one; its ranges that are claimed; those that are finished;
and of each slot whether it is filled. A block's slot has the number of blocks that come after it.
"""

from __future__ import annotations

from .counts import add, look, wait_for
from .jit import merged
from .memory import RESULTS

_SHIFT = 32
_STOLEN = 1 << _SHIFT
_TAKEN = _STOLEN - 1
_SHARED, _CLAIMED, _FINISHED, COUNTS_OF_LANE = range(1, 5)
# Where the sums for db begin, of a lane and of each slot: after the loss, and how many rows are to be missed.
DB = 2


@merged
def counts_of(plan, lane):
    """Where the counts of a lane begin."""
    return plan.steals_at + lane * (COUNTS_OF_LANE + plan.n_slots)


@merged
def dscores_of(plan, lane):
    """Where the dscores in a lane's first slot are; those of the next one come ``slot_items`` later."""
    return lane * plan.lane_items + plan.slots_at


@merged
def sums_of(plan, lane):
    """Where a lane's float64 sums are; those of its first slot come ``slot_sums`` later."""
    return RESULTS + lane * plan.lane_sums + 4 * plan.panel


@merged
def is_taken(counts, plan, c0, back):
    """Take the next block from the front, by the owner; `back` others come after it. Whether it was stolen before."""
    # What found no slot left was not stolen.
    return plan.n_slots > 0 and back < min(add(counts, c0, 1) >> _SHIFT, plan.n_slots)


@merged
def steal(counts, plan, c0, n_blocks):
    """Take the last block that nobody has, by a thief: its slot, or -1. The first block is the owner's."""
    seen = look(counts, c0)
    slot, front = -1, seen & _TAKEN
    if front > 0 and front + (seen >> _SHIFT) < n_blocks:
        seen = add(counts, c0, _STOLEN)
        back = seen >> _SHIFT
        if back < plan.n_slots and back + (seen & _TAKEN) < n_blocks:
            slot = back
    return slot


@merged
def hand_over(counts, plan, c0, slot, scratch, source, target):
    """Leave the dscores of a block in a slot, and say that it is filled. Its sums are there."""
    for i in range(plan.slot_items):
        scratch[target + i] = scratch[source + i]
    add(counts, c0 + COUNTS_OF_LANE + slot, 1)


@merged
def receive(counts, plan, c0, n_stolen, sums, total):
    """Wait until so many slots are filled, and add their sums to the lane's `total`. How many rows are to be missed."""
    missed, at = 0.0, total + n_stolen * plan.slot_sums
    while at > total:
        n_stolen -= 1
        wait_for(counts, c0 + COUNTS_OF_LANE + n_stolen, 1)
        missed += sums[at + 1]
        for j in range(plan.slot_sums):
            sums[total + j] += sums[at + j]
        at -= plan.slot_sums
    return missed


@merged
def share_out(counts, c0, n_blocks):
    """Let thieves know that the gradient of so many stolen blocks may be added to the lane's."""
    add(counts, c0 + _SHARED, 1 + n_blocks)


@merged
def shared_out(counts, plan, c0):
    """Wait until the owner has said that; of how many blocks. If the call is interrupted, of none."""
    wait_for(counts, c0 + _SHARED, 1)
    n_blocks = look(counts, c0 + _SHARED) - 1
    return n_blocks if n_blocks <= plan.n_slots else 0


@merged
def claim_range(counts, c0):
    """The next range of features of what is shared out, whether or not there is such a range."""
    return add(counts, c0 + _CLAIMED, 1)


@merged
def finish_range(counts, c0):
    """Say that a range is done."""
    add(counts, c0 + _FINISHED, 1)


@merged
def wait_for_ranges(counts, plan, c0):
    """Return when all are."""
    wait_for(counts, c0 + _FINISHED, plan.n_ranges)
