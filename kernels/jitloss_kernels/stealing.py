"""Who has no lane left takes blocks of others' from the end: it leaves their dscores to the owner of the lane.

A lane is too much work to wait for when cores differ in speed, or one is needed elsewhere for a moment. The owner takes
its blocks from the front, thieves take them from the end, until they meet. What a thief hands over are the scores'
gradient and the losses of a block, a few KB; the owner adds Xᵀ dscores to dW, block after block, as it would have
anyhow. So who computed the scores of a block changes no bit.

In the count of a lane stand the blocks that its owner has taken, and those that were stolen, in units of `_STOLEN`.
"""

from __future__ import annotations

from .counts import add, look, wait_for
from .jit import helper, merged
from .memory import RESULTS

_STOLEN = 1 << 32


@merged
def count_of(plan, lane):
    """Where the count of a lane is; after it come those that say of each slot whether it is filled."""
    return plan.steals_at + lane * (1 + plan.n_slots)


@merged
def _stolen_of(plan, taken):
    """How many blocks are stolen, by a lane's count: more than there are slots for stay with the owner."""
    return min(taken // _STOLEN, plan.n_slots)


@helper
def take(counts, plan, lane, block, n_blocks):
    """Take the next block from the front, by the lane's owner; whether its scores are still to be computed."""
    if plan.n_slots == 0:
        return True
    return block < n_blocks - _stolen_of(plan, add(counts, count_of(plan, lane), 1))


@helper
def steal(counts, plan, lane, n_blocks):
    """Take the last block that nobody has, by a thief: its number, or -1.

    A lane that its owner has not begun is let be, and the last block but that at hand, too: the owner would have to
    wait for it.
    """
    at = count_of(plan, lane)
    seen = look(counts, at)
    front, back = seen % _STOLEN, seen // _STOLEN
    if front == 0 or front + back + 1 >= n_blocks:
        return -1
    seen = add(counts, at, _STOLEN)
    front, back = seen % _STOLEN, seen // _STOLEN
    return n_blocks - 1 - back if back < plan.n_slots and front + back < n_blocks else -1


@helper
def hand_over(counts, plan, lane, slot, scratch, s0, sums, found):
    """Leave what a thief has `found` of a block, the sum of its losses and so on, and the dscores at `s0`."""
    n, at = plan.n_classes * plan.block_rows, lane * plan.lane_items + plan.slots_at + slot * plan.slot_items
    _copy(scratch, s0, at, n)
    at = slot_sums(plan, lane, slot)
    sums[at], sums[at + 1] = found
    add(counts, count_of(plan, lane) + 1 + slot, 1)


@helper
def receive(counts, plan, lane, slot, scratch, sums):
    """Wait for a block's dscores, and bring them to where the owner would have computed them; its loss, and so on."""
    s0 = lane * plan.lane_items
    wait_for(counts, count_of(plan, lane) + 1 + slot, 1)
    n, at = plan.n_classes * plan.block_rows, s0 + plan.slots_at + slot * plan.slot_items
    _copy(scratch, at, s0, n)
    at = slot_sums(plan, lane, slot)
    return sums[at], sums[at + 1]


@merged
def _copy(scratch, source, target, n):
    for i in range(n):
        scratch[target + i] = scratch[source + i]


@merged
def slot_sums(plan, lane, slot):
    """Where the float64 sums of a stolen block are."""
    return RESULTS + (lane + 1) * plan.lane_sums - 1 - 2 * (slot + 1)
