"""info() and warmup()."""

import platform

import numpy
import pytest

import jitloss
from problems import JIT_DISABLED, check_in_fresh_process, needs_jit


def test_info():
    """Versions are the installed ones, the width is that of a vector, and every value is printable."""
    found = jitloss.info()
    assert found["versions"]["numpy"] == numpy.__version__
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["jitloss"] == jitloss.__version__
    assert found["simd_bits"] in (128, 256, 512)
    assert found["threads"] >= 1
    assert (found["threading_layer"] == "none") == JIT_DISABLED


@needs_jit
@pytest.mark.parametrize(("cpu", "bits"), [("generic", 128), ("haswell", 256)])
def test_info_follows_the_cpu_that_numba_compiles_for(cpu, bits):
    """haswell has AVX2 but no AVX-512; generic x86-64 has SSE2 alone."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("these CPUs are x86-64")
    out = check_in_fresh_process(
        "import jitloss; print(jitloss.info()['cpu'], jitloss.info()['simd_bits'])",
        NUMBA_CPU_NAME=cpu,
        NUMBA_CPU_FEATURES="" if cpu == "generic" else "+avx,+avx2,+fma",
    )
    assert out.split() == [cpu, str(bits)]


@needs_jit
def test_warmup_leaves_nothing_to_compile(tmp_path):
    """After it, no call of any size compiles."""
    check_in_fresh_process("""
        import jitloss, numpy as np
        assert set(jitloss.warmup()) == {(l, d) for l in ("svm", "softmax") for d in ("float32", "float64")}
        from jitloss_kernels.jit import Kernel
        from jitloss_kernels.native import Native
        from jitloss_kernels import differences, exchanges, lanes, moves, narrow, narrow_block, products, wide
        def compiled():
            kernels = [lanes.run_lanes.serial, lanes.run_lanes.parallel, lanes.fold.serial]
            parts = [part for module in (differences, exchanges, moves, narrow, narrow_block, products, wide)
                     for part in vars(module).values()]
            kernels += [part.addressed for part in parts if isinstance(part, Kernel)]
            codes = [part.libraries() for part in parts if isinstance(part, Native)]
            return [len(kernel.signatures) for kernel in kernels], [len(libraries) for libraries in codes]
        before = compiled()
        assert before[1].count(0) == 1, before  # nothing is converted
        for dtype in ("float32", "float64"):
            for n, c in ((3, 10), (5000, 10), (5000, 7), (5000, 3), (5000, 20), (5000, 91), (3, 200)):
                W, X, y = np.zeros((50, c), dtype), np.zeros((n, 50), dtype), np.zeros(n, int)
                for function in (jitloss.svm_loss, jitloss.softmax_loss):
                    function(W, X, y, wrt=("W", "X"))
        assert compiled() == before
    """, NUMBA_CACHE_DIR=str(tmp_path))  # fmt: skip


def test_warmup_of_one():
    assert list(jitloss.warmup("svm", "float64")) == [("svm", "float64")]


@pytest.mark.parametrize("arguments", [("hinge",), ("svm", "float16"), (("svm", "no"), "float64")])
def test_warmup_of_something_unknown(arguments):
    with pytest.raises(ValueError, match="expected one of"):
        jitloss.warmup(*arguments)
