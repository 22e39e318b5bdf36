"""Who has no lane left takes blocks of another lane, from its end: what owner and thief tell each other.

A lane is too much work to wait for where cores differ in speed, or one is needed elsewhere for a moment. The owner
takes its blocks from the front, thieves take theirs from the end, until they meet. Of each a thief leaves in a slot the
dscores, the loss and the sums for db, a few KB. When its own blocks are done, the owner shares out what is left of the
gradient: Xᵀ dscores of the stolen blocks, block after block, by ranges of features. All is added up in the order in
which the owner alone would have done it, so who did what changes no bit.

Of each lane there is counted: the blocks that the owner has taken, and in units of `_STOLEN` those that were stolen; of
how many blocks the gradient is shared out, plus one; its ranges that are claimed; those that are finished; and of each
slot whether it is filled.
"""

from __future__ import annotations

from .counts import add, look, wait_for
from .jit import helper, merged
from .memory import RESULTS

_STOLEN = 1 << 32
COUNTS_OF_LANE = 4
_SHARED, _CLAIMED, _FINISHED = 1, 2, 3
SUMS_OF_SLOT = 2  # the loss, and how many rows are to be missed; then those for db


@merged
def count_of(plan, lane):
    """Where the counts of a lane begin."""
    return plan.steals_at + lane * (COUNTS_OF_LANE + plan.n_slots)


@merged
def slot_of(plan, lane, slot):
    """Where the dscores in a slot are."""
    return lane * plan.lane_items + plan.slots_at + slot * plan.slot_items


@merged
def sums_of(plan, lane, slot):
    """Where the float64 sums of a slot are."""
    return RESULTS + (lane + 1) * plan.lane_sums - 1 - (slot + 1) * (SUMS_OF_SLOT + plan.n_classes)


@helper
def take(counts, plan, lane, block, n_blocks):
    """Take the next block from the front, by the owner; whether nobody has stolen it."""
    if plan.n_slots == 0:
        return True
    stolen = add(counts, count_of(plan, lane), 1) // _STOLEN  # what found no slot left was not stolen
    return block < n_blocks - min(stolen, plan.n_slots)


@helper
def steal(counts, plan, lane, n_blocks):
    """Take the last block that nobody has, by a thief: the number of its slot, or -1. The first is the owner's."""
    at = count_of(plan, lane)
    seen = look(counts, at)
    front, back = seen % _STOLEN, seen // _STOLEN
    if front == 0 or front + back >= n_blocks:
        return -1
    seen = add(counts, at, _STOLEN)
    front, back = seen % _STOLEN, seen // _STOLEN
    return back if back < plan.n_slots and front + back < n_blocks else -1


@helper
def hand_over(counts, plan, lane, slot, scratch, s0, sums, found):
    """Leave in a slot what a thief has `found` of a block, its loss and so on, and the dscores at `s0`."""
    at = slot_of(plan, lane, slot)
    for i in range(plan.n_classes * plan.block_rows):
        scratch[at + i] = scratch[s0 + i]
    at = sums_of(plan, lane, slot)
    sums[at], sums[at + 1] = found
    add(counts, count_of(plan, lane) + COUNTS_OF_LANE + slot, 1)


@helper
def receive(counts, plan, lane, slot, sums, db0):
    """Wait until a slot is filled; add its db to that of the lane, and return its loss."""
    wait_for(counts, count_of(plan, lane) + COUNTS_OF_LANE + slot, 1)
    at = sums_of(plan, lane, slot)
    if plan.want_b:
        for j in range(plan.n_classes):
            sums[db0 + j] += sums[at + SUMS_OF_SLOT + j]
    return sums[at]


@merged
def share_out(counts, plan, lane, n_stolen):
    """Let thieves know that the gradient of so many stolen blocks may be added to the lane's."""
    add(counts, count_of(plan, lane) + _SHARED, 1 + n_stolen)


@helper
def shared_out(counts, plan, lane):
    """Wait until the owner has said that; of how many blocks."""
    at = count_of(plan, lane) + _SHARED
    wait_for(counts, at, 1)
    n_stolen = look(counts, at) - 1
    return n_stolen if n_stolen <= plan.n_slots else 0  # interrupted: there are more


@merged
def claim_range(counts, plan, lane):
    """The next range of features of what is shared out, whether or not there is such a range."""
    return add(counts, count_of(plan, lane) + _CLAIMED, 1)


@merged
def finish_range(counts, plan, lane):
    """Say that a range is done."""
    add(counts, count_of(plan, lane) + _FINISHED, 1)


@merged
def wait_for_ranges(counts, plan, lane):
    """Return when all are."""
    wait_for(counts, count_of(plan, lane) + _FINISHED, plan.n_ranges)
