"""Plans by address: every number and truth is found where it was written."""

from typing import NamedTuple

import numpy as np
import pytest
from numba.core.errors import TypingError

from jitloss_kernels.jit import Kernel
from jitloss_kernels.records import handed, opener, record


class Inner(NamedTuple):
    number: int
    truth: bool


class Outer(NamedTuple):
    before: int
    inner: Inner
    lie: bool
    after: int


PLAN = Outer(1 << 62, Inner(-7, True), False, 3)
opened = opener(Outer)


@Kernel
def look(given, seen):
    plan = opened(given)
    inner = plan.inner
    seen[0], seen[1], seen[2] = plan.before, inner.number, plan.after
    seen[3] = 10 if inner.truth and not plan.lie else 20
    seen[4] = plan.inner.number + plan.after


def test_kernels_find_every_field():
    seen = np.zeros(5, np.int64)
    look.serial(handed(PLAN, record(PLAN)), seen)
    assert seen.tolist() == [1 << 62, -7, 3, 10, -4]


def test_a_record_is_written_once():
    """It stays where kernels know it to be, and nobody writes to it."""
    assert record(PLAN) is record(Outer(*PLAN))
    assert not record(PLAN).flags.writeable
    assert record(PLAN).tolist() == [1 << 62, -7, 1, 0, 3]


def test_what_is_no_field_does_not_compile():
    @Kernel
    def wrong(given, seen):
        seen[0] = opened(given).middle

    with pytest.raises((TypingError, AttributeError), match="middle"):
        wrong.serial(handed(PLAN, record(PLAN)), np.zeros(1, np.int64))
