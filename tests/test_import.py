"""`import jitloss` does next to nothing; numba comes with the first call that needs it."""

import jitloss
from problems import check_in_fresh_process


def test_importing_imports_nothing_heavy_and_writes_nothing(tmp_path):
    """No NumPy, no numba, no threads, no files, no setting changed."""
    check_in_fresh_process("""
        import os, sys, threading
        before = dict(os.environ), set(sys.modules), threading.active_count()
        import jitloss
        new = {name.split(".")[0] for name in set(sys.modules) - before[1]}
        assert not new & {"numpy", "numba", "llvmlite", "jitloss_kernels", "rich", "matplotlib"}, new
        assert (dict(os.environ), threading.active_count()) == (before[0], before[2])
        assert os.listdir(os.environ["HOME"]) == []
    """, HOME=str(tmp_path), NUMBA_CACHE_DIR=str(tmp_path / "cache"))  # fmt: skip


def test_the_numpy_implementation_never_imports_numba():
    check_in_fresh_process("""
        import sys
        import jitloss
        jitloss.svm_loss([[0.0, 0.0]], [[1.0]], [1], wrt=("W", "X"), implementation="numpy")
        assert not {"numba", "llvmlite", "jitloss_kernels"} & set(sys.modules)
    """)


def test_public_names():
    """Every name is there, documented, and listed; others are not."""
    for name in jitloss.__all__:
        assert name in dir(jitloss)
        assert getattr(jitloss, name).__doc__
    assert not hasattr(jitloss, "no_such_name")
