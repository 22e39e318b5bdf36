"""exp(x) for x ≤ 0 as arithmetic alone, so that LLVM can run it on whole vectors: within 2 ulp.

With n the integer nearest to x / log 2 and r = x − n log 2, ``exp(x) = 2ⁿ exp(r)`` and |r| ≤ log(2) / 2 (Cody and
Waite, "Software Manual for the Elementary Functions", 1980). log 2 is split in two, so that n times its upper part is
exact; exp(r) is its Taylor series, long enough that what is left out is below a tenth of an ulp; 2ⁿ is made of its
bits. Below the smallest normal number the result is 0. NaN stays NaN.
"""

from math import exp, factorial

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import EXACT, in_line, overload

_LOG2_E = 1.4426950408889634
LOG2_PARTS = (6.93147180369123816490e-01, 1.90821492927058770002e-10)
# Lowest x with a normal result, upper and lower part of log 2.
_FLOAT64 = (-708.3964185322641, *LOG2_PARTS)
_FLOAT32 = (np.float32(-87.33654), np.float32(0.693145752), np.float32(1.42860677e-6))


def exp_nonpositive(x):
    """exp(x) for x ≤ 0, 0 where that is below the smallest normal number."""
    lowest = _FLOAT32[0] if isinstance(x, np.float32) else _FLOAT64[0]
    return type(x)(0.0 if x < lowest else exp(x))


def smallest_normal(x):
    """The smallest normal number of the type of `x`."""
    return np.finfo(type(x)).tiny


@overload(smallest_normal)
def _smallest_normal_compiled(x):
    tiny = np.finfo(np.float32 if x == types.float32 else np.float64).tiny
    return lambda x: tiny


def _coefficients(item, n_terms):
    """1 / k! for k = 0 … n_terms − 1."""
    return tuple(item(1 / factorial(k)) for k in range(n_terms))


_F = _coefficients(np.float32, 8)
_D = _coefficients(np.float64, 14)


@overload(exp_nonpositive, EXACT)
def _exp_nonpositive_compiled(x):
    item = np.float32 if x == types.float32 else np.float64
    lowest, high, low = _FLOAT32 if item is np.float32 else _FLOAT64
    log2_e, half, zero = item(_LOG2_E), item(0.5), item(0)

    def exponential_float32(x):
        in_line()
        inside = x if x >= lowest else lowest  # NaN too: it must not become an integer
        n = np.int32(inside * log2_e - half)
        r = (inside - item(n) * high) - item(n) * low
        series = (((_F[7] * r + _F[6]) * r + _F[5]) * r + _F[4]) * r + _F[3]
        result = (((series * r + _F[2]) * r + _F[1]) * r + _F[0]) * _power_of_two(n, x)
        if x >= lowest:
            return result
        return zero if x < lowest else x

    def exponential_float64(x):
        in_line()
        inside = x if x >= lowest else lowest
        n = np.int32(inside * log2_e - half)
        r = (inside - item(n) * high) - item(n) * low
        series = (((_D[13] * r + _D[12]) * r + _D[11]) * r + _D[10]) * r + _D[9]
        series = ((((series * r + _D[8]) * r + _D[7]) * r + _D[6]) * r + _D[5]) * r + _D[4]
        result = ((((series * r + _D[3]) * r + _D[2]) * r + _D[1]) * r + _D[0]) * _power_of_two(n, x)
        if x >= lowest:
            return result
        return zero if x < lowest else x

    return exponential_float32 if item is np.float32 else exponential_float64


def exponential(vectors, x):
    """The same as LLVM IR: exp of each lane of a vector, none of them above 0."""
    builder, single = vectors.builder, vectors.item_bytes == 4
    (lowest, *parts), terms = (_FLOAT32, _F) if single else (_FLOAT64, _D)
    lowest, high, low = (vectors.constant(number) for number in (lowest, -parts[0], -parts[1]))
    above = builder.fcmp_ordered(">=", x, lowest)
    inside = builder.select(above, x, lowest)  # NaN too: it must not become an integer
    scaled = vectors.multiply_add(inside, vectors.constant(_LOG2_E), vectors.constant(-0.5))
    n = builder.fptosi(scaled, ir.VectorType(ir.IntType(32), vectors.length))
    whole = builder.sitofp(n, vectors.type)
    r = vectors.multiply_add(whole, low, vectors.multiply_add(whole, high, inside))
    result = vectors.constant(terms[-1])
    for term in terms[-2::-1]:
        result = vectors.multiply_add(result, r, vectors.constant(term))
    bits, mantissa, bias = (32, 23, 127) if single else (64, 52, 1023)
    integers = ir.VectorType(ir.IntType(bits), vectors.length)
    exponent = n if single else builder.sext(n, integers)
    exponent = builder.add(exponent, ir.Constant(integers, [bias] * vectors.length))
    exponent = builder.shl(exponent, ir.Constant(integers, [mantissa] * vectors.length))
    result = builder.fmul(result, builder.bitcast(exponent, vectors.type))
    below = builder.select(builder.fcmp_ordered("<", x, lowest), vectors.zero, x)
    return builder.select(above, result, below)


@intrinsic
def _power_of_two(typingctx, n, like):
    """2ⁿ as a float of the type of `like`, for a normal result: the exponent's bits."""
    bits, mantissa, bias = (32, 23, 127) if like == types.float32 else (64, 52, 1023)

    def codegen(context, builder, signature, arguments):
        integer = ir.IntType(bits)
        exponent = arguments[0] if bits == 32 else builder.sext(arguments[0], integer)
        shifted = builder.shl(builder.add(exponent, integer(bias)), integer(mantissa))
        return builder.bitcast(shifted, context.get_value_type(like))

    return like(types.int32, like), codegen
