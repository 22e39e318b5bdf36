"""What threads count together: every task is claimed once, by whoever is nearest to it."""

import numpy as np

from jitloss_kernels import counts
from problems import compiled


@compiled
def beginning(member, n):
    return counts.beginning(member, n)


@compiled
def claim_near(shared, at, n, near):
    return counts.claim_near(shared, at, n, near)


@compiled
def is_over(shared):
    return counts.claim(shared, 0) >= counts.ALL_DONE and counts.is_stopped(shared)


def test_members_begin_far_from_each_other():
    assert [beginning(member, 8) for member in range(9)] == [0, 4, 2, 6, 1, 5, 3, 7, 0]
    assert [beginning(member, 1) for member in range(3)] == [0, 0, 0]


def test_a_member_takes_one_task_after_the_other_and_then_those_of_others():
    """Two in turn, one half each; then one alone takes what is left."""
    shared = np.zeros(2 + 8, np.int64)
    places, taken = [beginning(member, 8) for member in range(2)], [[], []]
    for member in (0, 1, 0, 1, 0, 0, 0, 0):
        taken[member].append(claim_near(shared, 2, 8, places[member]))
        places[member] = taken[member][-1] + 1
    assert taken == [[0, 1, 2, 3, 6, 7], [4, 5]]
    assert [claim_near(shared, 2, 8, place) for place in range(9)] == [8] * 9


def test_nothing_is_left_to_claim_after_an_interrupt():
    shared = np.full(2 + 4, counts.ALL_DONE, np.int64)
    assert claim_near(shared, 2, 4, 1) == 4
    assert is_over(shared)
