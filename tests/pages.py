"""Arrays against pages that cannot be touched: a load or store beyond their end kills the process."""

import ctypes
import mmap
import os
import sys

import numpy as np
import pytest


def beside_unmapped_pages(test):
    """A test of arrays that begin where such a page ends, and, `at_end`, of those that end where one begins."""
    test = pytest.mark.parametrize("at_end", [False, True])(test)
    return pytest.mark.skipif(sys.platform == "win32", reason="mprotect is POSIX")(test)


def page_bound(array, at_end):
    """A copy of `array` whose first or last byte lies against a page that cannot be touched."""
    page = mmap.PAGESIZE
    inside = -(-array.nbytes // page) * page
    memory = mmap.mmap(-1, inside + 2 * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    for start in (address, address + page + inside):
        assert libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(page), 0) == 0, os.strerror(ctypes.get_errno())
    offset = page + (inside - array.nbytes if at_end else 0)
    view = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    view[...] = array
    return view
