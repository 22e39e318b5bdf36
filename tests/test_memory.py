"""Scratch: aligned, nobody else's, and not hoarded."""

import threading

import numpy as np
import pytest

from jitloss_kernels import memory
from problems import DTYPES


@pytest.fixture
def pool():
    return memory.Pool()


@pytest.mark.parametrize("dtype", DTYPES)
def test_scratch_starts_on_a_cache_line(dtype):
    for n in (1, 7, 5000):
        assert memory.aligned((n,), np.dtype(dtype)).ctypes.data % memory.CACHE_LINE == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_borrowed_scratch_belongs_to_one_call(pool, dtype):
    """Two at a time are two; what was given back is lent again, to whoever needs no more than there is."""
    first, second = (pool.borrow(5000, 100, np.dtype(dtype)) for _ in range(2))
    assert len(first.items) >= 5000
    assert first.items.dtype == dtype
    assert not np.shares_memory(first.items, second.items)
    pool.give_back(first)
    assert pool.borrow(7680, 200, np.dtype(dtype)) is first
    assert pool.borrow(8192, 200, np.dtype(dtype)) is not second


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_lie_behind_the_items(pool, dtype):
    """Room for both whatever was asked for before, each from a cache line of its own on."""
    for n_items, n_sums in ((1, 1), (5000, 77), (77, 3000), (77, 0), (3000, 1500), (1, 0)):
        scratch = pool.borrow(n_items, n_sums, np.dtype(dtype))
        behind = scratch.sums.ctypes.data - scratch.items.ctypes.data
        assert n_items * scratch.items.itemsize <= behind < n_items * scratch.items.itemsize + memory.CACHE_LINE
        assert behind % memory.CACHE_LINE == 0
        assert scratch.sums.dtype == np.float64
        assert len(scratch.sums) >= n_sums
        scratch.sums[:n_sums] = 1  # inside
        pool.give_back(scratch)


def test_what_is_kept_is_bounded(pool):
    """Two of a size, none that is large: a server's memory does not grow."""
    double = np.dtype(np.float64)
    for scratch in [pool.borrow(5000, 0, double) for _ in range(10)]:
        pool.give_back(scratch)
    assert pool.kept_bytes() == 2 * 8192 * 8
    pool.give_back(pool.borrow((4 << 20) // 8 + 1, 0, double))
    assert pool.kept_bytes() == 2 * 8192 * 8
    for size in range(30):
        for scratch in [pool.borrow(1 << size, 0, double) for _ in range(3) if size < 24]:
            pool.give_back(scratch)
    assert pool.kept_bytes() <= 2 * 2 * (4 << 20)
    pool.forget()
    assert pool.kept_bytes() == 0


def test_threads_never_get_the_same(pool):
    seen, double = [], np.dtype(np.float64)
    start = threading.Barrier(8)

    def work():
        start.wait()
        for _ in range(300):
            scratch = pool.borrow(100, 0, double)
            scratch.items[0] = token = threading.get_ident() % 1e6
            seen.append(scratch.items[0] == token)
            pool.give_back(scratch)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 2400
    assert all(seen)


def test_a_pool_of_large_arrays_keeps_them():
    """For calls that all need the same; never longer than asked for."""
    pool, double = memory.Pool(keeps_large=True), np.dtype(np.float64)
    scratch = pool.borrow(1_000_000, 8, double)
    assert len(scratch.items) == 1_000_008
    pool.give_back(scratch)
    assert pool.borrow(900_000, 50_000, double) is scratch
    pool.give_back(scratch)
    larger = pool.borrow(1_000_008, 8, double)
    assert len(larger.items) == 1_000_016
    for length in range(1_000_000, 1_000_050):
        pool.give_back(pool.borrow(length, 8, double))
    assert pool.kept_bytes() <= 2 * (1_000_056 + 8) * 8
