"""Scratch: aligned, nobody else's, and not hoarded."""

import threading

import numpy as np
import pytest

from jitloss_kernels import memory
from problems import DTYPES


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    monkeypatch.setattr(memory, "_kept", {})


@pytest.mark.parametrize("dtype", DTYPES)
def test_scratch_starts_on_a_cache_line(dtype):
    for n in (1, 7, 5000):
        assert memory.aligned((n,), np.dtype(dtype)).ctypes.data % memory.CACHE_LINE == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_borrowed_scratch_belongs_to_one_call(dtype):
    """Two at a time are two; what was given back is lent again, to whoever needs no more than there is."""
    first, second = (memory.borrow(5000, np.dtype(dtype)) for _ in range(2))
    assert len(first) >= 5000
    assert first.dtype == dtype
    assert not np.shares_memory(first, second)
    memory.give_back(first)
    assert memory.borrow(8192, np.dtype(dtype)) is first
    assert memory.borrow(8193, np.dtype(dtype)) is not second


def test_what_is_kept_is_bounded():
    """Two of a size, none that is large: a server's memory does not grow."""
    double = np.dtype(np.float64)
    for scratch in [memory.borrow(5000, double) for _ in range(10)]:
        memory.give_back(scratch)
    assert memory.kept_bytes() == 2 * 8192 * 8
    memory.give_back(memory.borrow((4 << 20) // 8 + 1, double))
    assert memory.kept_bytes() == 2 * 8192 * 8
    for size in range(30):
        for scratch in [memory.borrow(1 << size, double) for _ in range(3) if size < 24]:
            memory.give_back(scratch)
    assert memory.kept_bytes() <= 2 * 2 * (4 << 20)
    memory.forget()
    assert memory.kept_bytes() == 0


def test_threads_never_get_the_same():
    seen, double = [], np.dtype(np.float64)
    start = threading.Barrier(8)

    def work():
        start.wait()
        for _ in range(300):
            scratch = memory.borrow(100, double)
            scratch[0] = token = threading.get_ident() % 1e6
            seen.append(scratch[0] == token)
            memory.give_back(scratch)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 2400
    assert all(seen)
