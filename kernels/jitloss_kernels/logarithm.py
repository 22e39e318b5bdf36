"""log(x) for x ≥ 1 as arithmetic alone, so that LLVM can run it on whole vectors: within 2 ulp.

With x = 2ⁿ (1 + f), where 1 + f lies between √½ and √2, ``log(x) = n log 2 + log(1 + f)``. With s = f / (2 + f) the
latter is 2 artanh(s) = 2s + 2 s³/3 + 2 s⁵/5 + …, and |s| < 0.172: what is left out is below a tenth of an ulp. 2s is
taken as f − s f, of which f is exact, as in Sun's fdlibm (1993). NaN stays NaN.
"""

from math import log

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .exponential import LOG2_PARTS
from .jit import EXACT, in_line, overload

_HALF_ROOT = int(np.array(0.5**0.5).view(np.int64))  # the bits of √½: exponents count from there on
_MANTISSA_BITS = 52
# 2 / 3, 2 / 5, … of the powers of s² in 2 artanh(s) / s − 2.
_A = tuple(2 / k for k in range(3, 23, 2))


def log_from_one(x):
    """log(x) for x ≥ 1, in float64."""
    return log(x)


@overload(log_from_one, EXACT)
def _log_from_one_compiled(x):
    high, low = LOG2_PARTS

    def logarithm(x):
        in_line()
        n = np.float64(_exponent(x))
        f = _mantissa(x) - 1.0
        s = f / (2.0 + f)
        z = s * s
        series = ((((_A[9] * z + _A[8]) * z + _A[7]) * z + _A[6]) * z + _A[5]) * z + _A[4]
        series = ((((series * z + _A[3]) * z + _A[2]) * z + _A[1]) * z + _A[0]) * z
        result = n * high - ((s * (f - series) - n * low) - f)
        return result if x < np.inf else x

    return logarithm


def logarithm(builder, x):
    """The same as LLVM IR, for each lane of a vector of float64."""
    lanes = x.type.count
    integers, halves = (ir.VectorType(ir.IntType(size), lanes) for size in (64, 32))

    def constant(number, kind=x.type):
        return ir.Constant(kind, [number] * lanes)

    bits, shift = builder.bitcast(x, integers), constant(_MANTISSA_BITS, integers)
    exponent = builder.lshr(builder.sub(bits, constant(_HALF_ROOT, integers)), shift)
    n = builder.sitofp(builder.trunc(exponent, halves), x.type)
    mantissa = builder.bitcast(builder.sub(bits, builder.shl(exponent, shift)), x.type)
    f = builder.fsub(mantissa, constant(1.0))
    s = builder.fdiv(f, builder.fadd(constant(2.0), f))
    z = builder.fmul(s, s)
    series = constant(_A[-1])
    for term in _A[-2::-1]:
        series = builder.fadd(builder.fmul(series, z), constant(term))
    series = builder.fmul(series, z)
    high, low = (builder.fmul(n, constant(part)) for part in LOG2_PARTS)
    lower = builder.fsub(builder.fsub(builder.fmul(s, builder.fsub(f, series)), low), f)
    return builder.select(builder.fcmp_ordered("<", x, constant(np.inf)), builder.fsub(high, lower), x)


@intrinsic
def _exponent(typingctx, x):
    """n: x is 2ⁿ times something between √½ and √2."""

    def codegen(context, builder, signature, arguments):
        return builder.trunc(_exponent_of(builder, _bits(builder, arguments[0])), ir.IntType(32))

    return types.int32(types.float64), codegen


@intrinsic
def _mantissa(typingctx, x):
    """What 2ⁿ is multiplied with."""

    def codegen(context, builder, signature, arguments):
        bits = _bits(builder, arguments[0])
        exponent = builder.shl(_exponent_of(builder, bits), ir.IntType(64)(_MANTISSA_BITS))
        return builder.bitcast(builder.sub(bits, exponent), ir.DoubleType())

    return types.float64(types.float64), codegen


def _bits(builder, x):
    return builder.bitcast(x, ir.IntType(64))


def _exponent_of(builder, bits):
    integer = ir.IntType(64)
    return builder.lshr(builder.sub(bits, integer(_HALF_ROOT)), integer(_MANTISSA_BITS))
