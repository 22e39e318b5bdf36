"""Tiles that move numbers: what the products read, and what they wrote, into place and back."""

from .native import native
from .repeats import loop
from .shapes import panel_items
from .simd import INDEX


def transpose_tile(tile, a, a0, a_row, rows, columns, out, o0, o_row, filled):
    """out[j, i] = a[i, j] for i < rows, j < columns; `filled`: zeros after that, up to a whole panel."""
    for j in range(columns):
        for i in range(panel_items(out.itemsize) if filled else rows):
            out[o0 + j * o_row + i] = a[a0 + i * a_row + j] if i < rows else out.dtype.type(0)


def copy_tile(tile, a, a0, a_row, rows, columns, out, o0, o_row):
    """out[i, j] = a[i, j] for i < rows, j < columns."""
    for i in range(rows):
        for j in range(columns):
            out[o0 + i * o_row + j] = a[a0 + i * a_row + j]


@native(transpose_tile)
def transposing(vectors, a, a_row, rows, columns, out, o_row, filled):
    builder, a_at, out_at = vectors.builder, vectors.pointer(a), vectors.pointer(out)
    filled = builder.icmp_signed("!=", filled, INDEX(0))
    width = builder.select(filled, INDEX(2 * vectors.length), rows)

    def read(row, column, mask):
        return vectors.load(builder.gep(a_at, [builder.add(builder.mul(row, a_row), column)]), mask)

    def place(column):
        return builder.gep(out_at, [builder.mul(column, o_row)]), builder.icmp_signed("<", column, columns)

    transpose(vectors, rows, columns, width, read, place)


def transpose(vectors, rows, columns, width, read, place):
    """Transpose square by square, and fill rows up to `width` with zeros.

    ``read(row, column, mask)`` is a vector of a row; ``place(column)`` is where the column goes, and whether it does.
    """
    builder, length, nothing = vectors.builder, vectors.length, INDEX(0)

    def some_columns(j, _):
        n_columns = builder.sub(columns, j)
        wanted = vectors.first_lanes(n_columns)

        def square(i, _):
            # Beyond the last row the last row is read again; its lanes are cleared.
            last = builder.sub(builder.sub(rows, i), INDEX(1))
            last = builder.select(builder.icmp_signed("<", last, nothing), nothing, last)
            top = builder.select(builder.icmp_signed("<", i, rows), i, nothing)
            squared = []
            for q in range(length):
                row = builder.add(top, builder.select(builder.icmp_signed("<", INDEX(q), last), INDEX(q), last))
                squared.append(read(row, j, wanted))
            inside = vectors.first_lanes(builder.sub(rows, i))
            kept = vectors.first_lanes(builder.sub(width, i))

            def write(most):
                for q, value in enumerate(vectors.transposed(squared)[:most]):
                    pointer, goes = place(builder.add(j, INDEX(q)))
                    with builder.if_then(goes):
                        vectors.store(builder.select(inside, value, vectors.zero), builder.gep(pointer, [i]), kept)

            few = builder.icmp_signed("<=", n_columns, INDEX(length // 2))
            with builder.if_else(few) as (half, whole):  # half of the columns are less than half of the work
                with half:
                    write(length // 2)
                with whole:
                    write(length)
            return []

        loop(builder, nothing, width, length, [], square)
        return []

    loop(builder, nothing, columns, length, [], some_columns)


@native(copy_tile)
def copying(vectors, a, a_row, rows, columns, out, o_row):
    builder, a_at, out_at = vectors.builder, vectors.pointer(a), vectors.pointer(out)

    def some_columns(j, _):
        inside = vectors.first_lanes(builder.sub(columns, j))

        def row(i, _):
            source, place = (builder.add(builder.mul(i, step), j) for step in (a_row, o_row))
            vectors.store(vectors.load(builder.gep(a_at, [source]), inside), builder.gep(out_at, [place]), inside)
            return []

        loop(builder, INDEX(0), rows, 1, [], row)
        return []

    loop(builder, INDEX(0), columns, vectors.length, [], some_columns)
