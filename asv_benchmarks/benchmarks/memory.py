"""How much memory a call needs: of the whole process, and beyond its inputs and its gradient."""

from __future__ import annotations

import tracemalloc

from . import calls, problems


class Peak:
    """Peak of the process; compiled in a process of its own, for LLVM's memory is none of a call's."""

    param_names = ["implementation"]
    params = [["numpy", "jit", "fused"]]

    def setup_cache(self):
        for implementation in self.params[0]:
            try:
                calls.loss("softmax", implementation, "tiny", "float64")
            except NotImplementedError:
                continue

    def peakmem_loss(self, implementation):
        calls.loss("softmax", implementation, "tall", "float64")


class Imported:
    """What the import alone takes."""

    def peakmem_import(self):
        import jitloss  # noqa: F401


class Extra:
    """Peak of what NumPy allocates during a call, less the gradient: scratch."""

    unit = "bytes"
    param_names = ["loss", "dtype"]
    params = [["softmax"], ["float64", "float32"]]

    def track_extra(self, loss, dtype):
        return extra_bytes(loss, dtype)


def extra_bytes(loss: str, dtype: str) -> int:
    """Of the first call of this size in this process, so that no scratch of an earlier one is at hand."""
    import jitloss

    calls.loss(loss, "auto", "tiny", dtype)  # compiled
    problem, function = problems.named("tall", dtype), getattr(jitloss, f"{loss}_loss")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        _, gradient = function(*problem, n_threads=calls.N_THREADS)
        return max(0, tracemalloc.get_traced_memory()[1] - before - gradient.nbytes)
    finally:
        tracemalloc.stop()
