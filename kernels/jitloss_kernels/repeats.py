"""Loops as LLVM IR: what they carry on stays in registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from .simd import INDEX


def loop(
    builder: ir.IRBuilder,
    start: ir.Value,
    stop: ir.Value,
    step: int,
    carried: Sequence[ir.Value],
    body: Callable[[ir.Value, list[ir.Value]], Sequence[ir.Value]],
) -> list[ir.Value]:
    """``for k in range(start, stop, step): carried = body(k, carried)``; returns what was carried out."""

    def goes_on(k: ir.Value) -> ir.Value:
        return builder.icmp_signed("<", k, stop)

    return repeat(builder, start, goes_on, lambda k: builder.add(k, INDEX(step)), carried, body)


def each_bit(
    builder: ir.IRBuilder,
    bits: ir.Value,
    carried: Sequence[ir.Value],
    body: Callable[[ir.Value, list[ir.Value]], Sequence[ir.Value]],
) -> list[ir.Value]:
    """The same for the number k of each bit that is set, from the lowest on."""
    flag = ir.IntType(1)
    name, kind = "llvm.cttz.i64", ir.FunctionType(INDEX, [INDEX, flag])
    lowest = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)

    def goes_on(left: ir.Value) -> ir.Value:
        return builder.icmp_unsigned("!=", left, INDEX(0))

    def without_lowest(left: ir.Value) -> ir.Value:
        return builder.and_(left, builder.sub(left, INDEX(1)))

    def one(left: ir.Value, values: list[ir.Value]) -> Sequence[ir.Value]:
        return body(builder.call(lowest, [left, flag(1)]), values)

    return repeat(builder, bits, goes_on, without_lowest, carried, one)


def repeat(
    builder: ir.IRBuilder,
    start: ir.Value,
    goes_on: Callable[[ir.Value], ir.Value],
    advance: Callable[[ir.Value], ir.Value],
    carried: Sequence[ir.Value],
    body: Callable[[ir.Value, list[ir.Value]], Sequence[ir.Value]],
) -> list[ir.Value]:
    """``k = start; while goes_on(k): carried, k = body(k, carried), advance(k)``; returns what was carried out."""
    before = builder.block
    head, inside, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    k = builder.phi(INDEX)
    k.add_incoming(start, before)
    values: list[Any] = []
    for value in carried:
        values.append(builder.phi(value.type))
        values[-1].add_incoming(value, before)
    builder.cbranch(goes_on(k), inside, after)
    builder.position_at_end(inside)
    results = body(k, values)
    k.add_incoming(advance(k), builder.block)
    for value, result in zip(values, results, strict=True):
        value.add_incoming(result, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return values
