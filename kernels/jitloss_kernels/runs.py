"""The two products for few rows: what has a column a class is read and written as it lies, in one run.

A run of b is taken as vectors, whatever the number of columns: after as many vectors as there are columns they begin
with a whole row of b again. So each place of a vector belongs to one column of its own, and needs the items of `a`
that a fixed shuffle brings there. Nothing is packed and no lane is left empty, at the price of a shuffle for each
multiply-add: worth it where packing takes as long as the products.
"""

from .native import native
from .repeats import loop
from .shapes import vector_items
from .simd import INDEX, target

# Columns of the widest run: for two rows, each has a sum in a register.
MOST_COLUMNS = 12


def run_dot_tile(tile, height, a, a0, a_row, rows, b, b0, n, parts, p0, out, o0, o_row):
    """out[i, j] += Σ_k a[i, k] b[k, j] for i < rows, j < height ≤ MOST_COLUMNS, k < n.

    b is contiguous, `height` columns wide. `parts` has room for ``parts_items``.
    """
    for i in range(rows):
        for j in range(height):
            total = out.dtype.type(0)
            for k in range(n):
                total += a[a0 + i * a_row + k] * b[b0 + k * height + j]
            out[o0 + i * o_row + j] += total


def run_outer_tile(tile, height, a, a0, a_row, rows, b, b0, b_row, n, parts, p0, out, o0):
    """out[k, j] = Σ_i a[i, k] b[i, j] for i < rows, j < height ≤ MOST_COLUMNS, k < n; `out` is contiguous."""
    for k in range(n):
        for j in range(height):
            total = out.dtype.type(0)
            for i in range(rows):
                total += a[a0 + i * a_row + k] * b[b0 + i * b_row + j]
            out[o0 + k * height + j] = total


def parts_items(rows, columns, item_bytes):
    """How much room the tiles need: for each row as many vectors as there are columns, and one more."""
    return max(rows, _at_a_time(columns)) * (columns + 1) * vector_items(item_bytes)


def _at_a_time(columns):
    """How many rows, or vectors of features, meet a run: their sums, operands and shuffles fit into the registers."""
    many = target().registers >= 32
    return (3 if many else 2) if columns <= 4 else (2 if many else 1)


@native(run_dot_tile)
def run_dot(vectors, columns, a, a_row, rows, b, n, parts, out, o_row):
    builder, run = vectors.builder, _Run(vectors, columns, n)
    a_at, b_at, parts_at, out_at = (vectors.pointer(address) for address in (a, b, parts, out))

    def some_rows(top, n_rows):
        numbers = [builder.add(top, INDEX(i)) for i in range(n_rows)]
        places = [builder.gep(a_at, [builder.mul(i, a_row)]) for i in numbers]

        def step(k, sums, lanes):
            left = [vectors.load(builder.gep(place, [k]), run.inside(lanes)) for place in places]
            right = run.load(b_at, k, lanes)
            products = [(run.spread(left[i], m), right[m]) for i in range(n_rows) for m in range(columns)]
            return [vectors.multiply_add(*both, s) for both, s in zip(products, sums, strict=True)]

        sums = run.walk([vectors.zero] * (n_rows * columns), step)
        for i, row in enumerate(numbers):
            part = builder.gep(parts_at, [INDEX(i * (columns + 1) * vectors.length)])
            for m in range(columns):
                vectors.store(sums[i * columns + m], builder.gep(part, [INDEX(m * vectors.length)]))
            run.add_up(part, builder.gep(out_at, [builder.mul(row, o_row)]))
        return []

    at_a_time = _at_a_time(columns)
    whole = builder.sub(rows, builder.urem(rows, INDEX(at_a_time)))
    loop(builder, INDEX(0), whole, at_a_time, [], lambda top, _: some_rows(top, at_a_time))
    if at_a_time > 1:
        loop(builder, whole, rows, 1, [], lambda top, _: some_rows(top, 1))


@native(run_outer_tile)
def run_outer(vectors, columns, a, a_row, rows, b, b_row, n, parts, out):
    builder, run = vectors.builder, _Run(vectors, columns, n)
    a_at, b_at, parts_at, out_at = (vectors.pointer(address) for address in (a, b, parts, out))
    part_items = INDEX((columns + 1) * vectors.length)

    def repeat(i, _):
        run.repeat(builder.gep(b_at, [builder.mul(i, b_row)]), builder.gep(parts_at, [builder.mul(i, part_items)]))
        return []

    loop(builder, INDEX(0), rows, 1, [], repeat)

    def some_features(k, n_vectors, lanes):
        columns_at = [builder.add(k, INDEX(u * vectors.length)) for u in range(n_vectors)]

        def row(i, sums):
            row_at = builder.gep(a_at, [builder.mul(i, a_row)])
            part = builder.gep(parts_at, [builder.mul(i, part_items)])
            right = [vectors.load(builder.gep(part, [INDEX(m * vectors.length)])) for m in range(columns)]
            left = [vectors.load(builder.gep(row_at, [at]), run.inside(lanes)) for at in columns_at]
            products = [(run.spread(value, m), right[m]) for value in left for m in range(columns)]
            return [vectors.multiply_add(*both, s) for both, s in zip(products, sums, strict=True)]

        sums = loop(builder, INDEX(0), rows, 1, [vectors.zero] * (n_vectors * columns), row)
        for u, at in enumerate(columns_at):
            run.store(sums[u * columns : (u + 1) * columns], out_at, at, lanes)
        return []

    at_a_time = _at_a_time(columns)
    step = at_a_time * vectors.length
    whole = builder.sub(n, builder.urem(n, INDEX(step)))
    loop(builder, INDEX(0), whole, step, [], lambda k, _: some_features(k, at_a_time, None))
    loop(builder, whole, n, vectors.length, [], lambda k, _: some_features(k, 1, builder.sub(n, k)))


class _Run:
    """Contiguous rows of so many columns, `n` of them: as many vectors as columns hold as many rows as a vector."""

    def __init__(self, vectors, columns, n):
        self.vectors, self.builder, self.columns, self.n = vectors, vectors.builder, columns, n

    def walk(self, carried, step):
        """Call ``step(k, carried, lanes)`` for each vector of rows; `lanes`: None, or how many rows are left of it."""
        length = self.vectors.length
        whole = self.builder.and_(self.n, INDEX(-length))
        carried = loop(self.builder, INDEX(0), whole, length, carried, lambda k, values: step(k, values, None))
        left = self.builder.sub(self.n, whole)
        return loop(self.builder, whole, self.n, length, carried, lambda k, values: step(k, values, left))

    def inside(self, lanes):
        """The mask of so many lanes; None: all."""
        return None if lanes is None else self.vectors.first_lanes(lanes)

    def spread(self, value, m):
        """The items of a vector of rows in the places of vector m of the run."""
        length = self.vectors.length
        return self.vectors.shuffled(value, [(m * length + lane) // self.columns for lane in range(length)])

    def load(self, start, k, lanes):
        """The run's vectors from row k on."""
        return [self.vectors.load(place, mask) for place, mask in self._places(start, k, lanes)]

    def store(self, values, start, k, lanes):
        """Write them."""
        for value, (place, mask) in zip(values, self._places(start, k, lanes), strict=True):
            self.vectors.store(value, place, mask)

    def _places(self, start, k, lanes):
        builder, length, places = self.builder, self.vectors.length, []
        first = builder.gep(start, [builder.mul(k, INDEX(self.columns))])
        for m in range(self.columns):
            mask = None
            if lanes is not None:
                left = builder.sub(builder.mul(lanes, INDEX(self.columns)), INDEX(m * length))
                mask = self.vectors.first_lanes(left)
            places.append((builder.gep(first, [INDEX(m * length)]), mask))
        return places

    def _row(self):
        """Where the vectors of one row begin, and which of their lanes are its own."""
        for at in range(0, self.columns, self.vectors.length):
            left = self.columns - at
            yield INDEX(at), None if left >= self.vectors.length else self.vectors.first_lanes(INDEX(left))

    def add_up(self, part, out):
        """Add the rows of a run, as many as a vector has lanes, to the row `out`."""
        for at, mask in self._row():
            total = None
            for t in range(self.vectors.length):
                place = self.builder.gep(part, [self.builder.add(INDEX(t * self.columns), at)])
                value = self.vectors.load(place, mask)
                total = value if total is None else self.builder.fadd(total, value)
            place = self.builder.gep(out, [at])
            self.vectors.store(self.builder.fadd(self.vectors.load(place, mask), total), place, mask)

    def repeat(self, row, part):
        """Write a row as often as a vector has lanes: what is too much of one is overwritten by the next."""
        values = [(at, self.vectors.load(self.builder.gep(row, [at]), mask)) for at, mask in self._row()]
        for t in range(self.vectors.length):
            for at, value in values:
                place = self.builder.gep(part, [self.builder.add(INDEX(t * self.columns), at)])
                self.vectors.store(value, place)
