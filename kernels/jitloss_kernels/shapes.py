"""How large vectors and tiles are on the target, for Python and for kernels alike."""

from .jit import overload
from .simd import target


def tallest() -> int:
    """The height of the highest tile: two vectors a row, and room for the operands."""
    return 10 if target().registers >= 32 else 6


def item_name(item_bytes: int) -> str:
    """The name of the dtype that is computed with."""
    return "float32" if item_bytes == 4 else "float64"


def even_height(n: int) -> int:
    """How high the tiles of n rows or classes are if they are as few as can be, and about the same."""
    return -(-n // -(-n // tallest()))


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
