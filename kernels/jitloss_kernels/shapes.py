"""How large vectors and tiles are on the target, for Python and for kernels alike."""

from .jit import overload
from .simd import target

# The height of the highest tile, on any target: for ten classes X comes once.
TALLEST = 10


def sums_in_flight() -> int:
    """How many sums a tile holds in registers, beside the operands: enough to hide the latency of the multiply-add."""
    return 20 if target().registers >= 32 else 12


def item_name(item_bytes: int) -> str:
    """The name of the dtype that is computed with."""
    return "float32" if item_bytes == 4 else "float64"


def even_height(n: int, most: int = TALLEST) -> int:
    """How high the tiles of n rows or classes are if they are as few as can be, and about the same."""
    return -(-n // -(-n // most))


def heights(n: int, height: int) -> list[int]:
    """How high the tiles are that cover n rows or classes, the first ones of a given height."""
    return [min(height, n - begin) for begin in range(0, n, height)]


def vector_items(item_bytes: int) -> int:
    """How many items a vector register holds."""
    return target().vector_bytes // item_bytes


def panel_items(item_bytes: int) -> int:
    """How many columns an outer_tile is wide: two vectors."""
    return 2 * vector_items(item_bytes)


@overload(panel_items)
def _panel_items_compiled(item_bytes):
    panel_bytes = panel_items(1)
    return lambda item_bytes: panel_bytes // item_bytes


@overload(vector_items)
def _vector_items_compiled(item_bytes):
    vector_bytes = vector_items(1)
    return lambda item_bytes: vector_bytes // item_bytes
