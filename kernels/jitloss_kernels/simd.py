"""The vocabulary of tiles and strips: vectors and masks as LLVM IR, and what the target CPU offers.

LLVM's own vectoriser keeps the sums of a matrix product in memory; written as vectors of a fixed length they stay in
registers. Everything is asked of the target numba really compiles for (``NUMBA_CPU_NAME`` included), not of the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import config

INDEX = ir.IntType(64)
_INT = ir.IntType(32)
BYTE = ir.IntType(8)


class Target(NamedTuple):
    """What the tiles need to know of a CPU."""

    vector_bytes: int  # length of a vector register
    registers: int  # how many of them
    fma: bool  # multiply and add in one instruction


@cache
def target() -> Target:
    """The target of numba's CPU compiler. AArch64 is chosen by the book and has not been run."""
    if config.DISABLE_JIT:
        return Target(16, 16, False)
    from numba.core.registry import cpu_target

    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    if triple.startswith(("aarch64", "arm64")):
        return Target(16, 32, True)
    assembly = _assembly(triple, cpu, features)
    fma = "vfmadd" in assembly
    if "zmm" in assembly:
        return Target(64, 32, fma)
    return Target(32 if "ymm" in assembly else 16, 16, fma)


def _assembly(triple: str, cpu: str, features: str) -> str:
    """What LLVM makes of a multiply-add of 64 bytes: names and flags of CPUs are many, registers few."""
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)
    vectors = "<8 x double> %a, <8 x double> %b, <8 x double> %c"
    return str(
        machine.emit_assembly(
            llvm.parse_assembly(
                f"define <8 x double> @probe({vectors}) {{\n"
                f"  %r = call <8 x double> @llvm.fmuladd.v8f64({vectors})\n"
                "  ret <8 x double> %r\n}\n"
                "declare <8 x double> @llvm.fmuladd.v8f64(<8 x double>, <8 x double>, <8 x double>)\n"
            )
        )
    )


def item_bytes(element: ir.Type) -> int:
    """The size of an item."""
    if isinstance(element, ir.IntType):
        return int(element.width) // 8
    return 8 if element == ir.DoubleType() else 4


class Vectors:
    """IR for vectors of one element type, as long as the target's registers."""

    def __init__(self, builder: ir.IRBuilder, element: ir.Type) -> None:
        self.builder, self.element = builder, element
        self.item_bytes = item_bytes(element)
        self.length = target().vector_bytes // self.item_bytes
        self.type = ir.VectorType(element, self.length)
        self.zero = ir.Constant(self.type, None)
        self._name = f"v{self.length}f{8 * self.item_bytes}"

    def pointer(self, address: ir.Value) -> ir.Value:
        """An address as a pointer to items."""
        return self.builder.inttoptr(address, self.element.as_pointer())

    def load(self, pointer: ir.Value, mask: ir.Value | None = None) -> ir.Value:
        """Load a vector; lanes outside the mask are 0 and their memory is not touched."""
        return self.load_items(pointer, self.element, mask)

    def load_converted(self, pointer: ir.Value, element: ir.Type, mask: ir.Value | None = None) -> ir.Value:
        """Load as many items of another type, unsigned integers or floats, as a vector has, and convert them."""
        value = self.load_items(pointer, element, mask)
        if isinstance(element, ir.IntType):
            return self.builder.uitofp(value, self.type)
        wider = item_bytes(element) > self.item_bytes
        return (self.builder.fptrunc if wider else self.builder.fpext)(value, self.type)

    def load_indices(self, pointer: ir.Value, mask: ir.Value) -> ir.Value:
        """Load as many 64-bit integers as a vector has items, and shorten them to those."""
        value, shorter = self.load_items(pointer, INDEX, mask), ir.IntType(8 * self.item_bytes)
        return value if shorter == INDEX else self.builder.trunc(value, ir.VectorType(shorter, self.length))

    def load_items(self, pointer: ir.Value, element: ir.Type, mask: ir.Value | None) -> ir.Value:
        """Load as many items of another type as a vector has."""
        of, size = ir.VectorType(element, self.length), item_bytes(element)
        place = self.builder.bitcast(pointer, of.as_pointer())
        if mask is None:
            value = self.builder.load(place)
            value.align = size
            return value
        name = f"v{self.length}{'i' if isinstance(element, ir.IntType) else 'f'}{8 * size}"
        function = self.declare(f"llvm.masked.load.{name}.p0", of, place.type, _INT, mask.type, of)
        return self.builder.call(function, [place, _INT(size), mask, ir.Constant(of, None)])

    def store(self, value: ir.Value, pointer: ir.Value, mask: ir.Value | None = None) -> None:
        """Store a vector, or those of its lanes that are inside the mask."""
        place = self.builder.bitcast(pointer, self.type.as_pointer())
        if mask is None:
            self.builder.store(value, place).align = self.item_bytes
            return
        nothing = ir.VoidType()
        function = self.declare(f"llvm.masked.store.{self._name}.p0", nothing, self.type, place.type, _INT, mask.type)
        self.builder.call(function, [value, place, _INT(self.item_bytes), mask])

    def splat(self, scalar: ir.Value, of: ir.VectorType | None = None) -> ir.Value:
        """A vector with `scalar` in every lane."""
        unset = ir.Constant(of or self.type, ir.Undefined)
        first = self.builder.insert_element(unset, scalar, _INT(0))
        return self.builder.shuffle_vector(first, unset, self._lanes([0] * self.length))

    def shuffled(self, value: ir.Value, lanes: Sequence[int]) -> ir.Value:
        """A vector of the given lanes of `value`."""
        return self.builder.shuffle_vector(value, value, self._lanes(list(lanes)))

    def constant(self, number: float) -> ir.Value:
        """A vector with `number` in every lane."""
        return self.splat(self.element(float(number)))

    def first_lanes(self, count: ir.Value) -> ir.Value:
        """The mask of the lanes below `count`, which may be negative or beyond the vector."""
        indices = ir.VectorType(INDEX, self.length)
        return self.builder.icmp_signed("<", ir.Constant(indices, list(range(self.length))), self.splat(count, indices))

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a · b + c: rounded once where the CPU can, and no library call where it cannot."""
        name = "llvm.fma" if target().fma else "llvm.fmuladd"
        return self.builder.call(self.declare(f"{name}.{self._name}", self.type, *[self.type] * 3), [a, b, c])

    def absolute(self, value: ir.Value) -> ir.Value:
        """The absolute value of each lane."""
        return self.builder.call(self.declare(f"llvm.fabs.{self._name}", self.type, self.type), [value])

    def sums(self, values: Sequence[ir.Value]) -> list[ir.Value]:
        """The sum of the lanes of each of `values`: halves added to halves, two vectors at a time in one."""
        count, parts, length = len(values), list(values), self.length
        while length > 1:
            length //= 2
            if len(parts) % 2:
                parts.append(self.zero)
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [self._add_halves(first, second, length) for first, second in pairs]
        return [self.builder.extract_element(parts[i // self.length], _INT(i % self.length)) for i in range(count)]

    def folded(self, value: ir.Value, combine: Callable[[ir.Value, ir.Value], ir.Value]) -> ir.Value:
        """All lanes of a vector in one scalar: halves combined with halves."""
        count = self.length
        while count > 1:
            count //= 2
            halves = (range(begin, begin + count) for begin in (0, count))
            value = combine(*(self.shuffled(value, half) for half in halves))
        return self.builder.extract_element(value, _INT(0))

    def _add_halves(self, first: ir.Value, second: ir.Value, length: int) -> ir.Value:
        """Every run of `2 * length` lanes, its halves added: all runs of `first`, then all of `second`."""
        starts = range(0, self.length, 2 * length)
        both = [[start + shift + lane for start in starts for lane in range(length)] for shift in (0, length)]
        low, high = (
            self.builder.shuffle_vector(first, second, self._lanes(half + [self.length + lane for lane in half]))
            for half in both
        )
        return self.builder.fadd(low, high)

    def transposed(self, rows: Sequence[ir.Value]) -> list[ir.Value]:
        """The columns of a square, as many vectors as one has lanes: corners swapped, then corners of corners."""
        values, size = list(rows), self.length
        while size > 1:
            size //= 2
            both = [[lane for lane in range(self.length) if bool(lane & size) == high] for high in (False, True)]
            for i in range(self.length):
                if not i & size:
                    values[i], values[i + size] = (
                        self._corners(values[i], values[i + size], lanes, size) for lanes in both
                    )
        return values

    def _corners(self, first: ir.Value, second: ir.Value, lanes: Sequence[int], size: int) -> ir.Value:
        """The given lanes of `first` where bit `size` of the lane is 0, those of `second` where it is 1."""
        order = [0] * self.length
        for lane in lanes:
            order[lane & ~size] = lane
            order[lane | size] = self.length + lane
        return self.builder.shuffle_vector(first, second, self._lanes(order))

    def prefetch(self, pointer: ir.Value, locality: int) -> None:
        """Ask for the cache line at `pointer`, which may lie outside every array, into L1 (3) or L2 (2)."""
        place = self.builder.bitcast(pointer, BYTE.as_pointer())
        function = self.declare("llvm.prefetch.p0", ir.VoidType(), place.type, _INT, _INT, _INT)
        self.builder.call(function, [place, _INT(0), _INT(locality), _INT(1)])

    def _lanes(self, indices: Sequence[int] | range) -> ir.Constant:
        return ir.Constant(ir.VectorType(_INT, len(indices)), list(indices))

    def declare(self, name: str, returns: ir.Type, *arguments: ir.Type) -> ir.Function:
        """A function of LLVM or of the C library."""
        module = self.builder.module
        return module.globals.get(name) or ir.Function(module, ir.FunctionType(returns, arguments), name)
