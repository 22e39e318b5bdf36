"""What threads count together: every task is claimed once, by whoever is nearest to it."""

import numpy as np
import pytest

from jitloss_kernels import counts
from problems import compiled


@compiled
def beginning(member, n):
    return counts.beginning(member, n)


@compiled
def claim_near(shared, at, n, near):
    return counts.claim_near(shared, at, n, near)


@compiled
def claim_share(shared, at, n, share):
    return counts.claim_share(shared, at, n, share)


@compiled
def is_over(shared):
    return counts.claim(shared, 0) >= counts.ALL_DONE and counts.is_stopped(shared)


def test_members_begin_far_from_each_other():
    assert [beginning(member, 8) for member in range(9)] == [0, 4, 2, 6, 1, 5, 3, 7, 0]
    assert [beginning(member, 1) for member in range(3)] == [0, 0, 0]
    assert [beginning(member, 13) for member in range(5)] == [0, 6, 3, 9, 1]


def test_a_member_takes_one_task_after_the_other_and_then_those_of_others():
    """Two in turn, one half each; then one alone takes what is left."""
    shared = np.zeros(2 + 8, np.int64)
    places, taken = [beginning(member, 8) for member in range(2)], [[], []]
    for member in (0, 1, 0, 1, 0, 0, 0, 0):
        taken[member].append(claim_near(shared, 2, 8, places[member]))
        places[member] = taken[member][-1] + 1
    assert taken == [[0, 1, 2, 3, 6, 7], [4, 5]]
    assert [claim_near(shared, 2, 8, place) for place in range(9)] == [8] * 9


@pytest.mark.parametrize("n", [0, 1, 3, 8, 21])
def test_every_task_of_a_share_is_claimed_once(n):
    """By two in turn, each its own half first; then there is none for anybody."""
    shared, taken = np.zeros(3 + counts.SHARES, np.int64), [[], []]
    shares = [beginning(member, counts.SHARES) for member in range(2)]
    for number in range(n):
        taken[number % 2].append(claim_share(shared, 3, n, shares[number % 2]))
    assert sorted(taken[0] + taken[1]) == list(range(n))
    own = n // 2
    assert taken[0][:own] == list(range(own))
    assert taken[1][:own] == list(range(own, 2 * own)) or n < counts.SHARES
    assert [claim_share(shared, 3, n, share) for share in range(counts.SHARES)] == [n] * counts.SHARES


def test_nothing_is_left_to_claim_after_an_interrupt():
    shared = np.full(2 + counts.SHARES, counts.ALL_DONE, np.int64)
    assert claim_near(shared, 2, 4, 1) == 4
    assert claim_share(shared, 2, 4, 1) == 4
    assert is_over(shared)
