"""The two products of ``tiles.py`` as LLVM IR: sums in registers, edges by masks, prefetches in between."""

from .memory import CACHE_LINE
from .native import native
from .repeats import loop
from .shapes import even_height, sums_in_flight
from .simd import INDEX, item_bytes
from .tiles import DOT_ROWS, converting_dot_tile, dot_tile, outer_tile

# LLVM's own unrolling of these loops, which are unrolled already, gains nothing and takes time.
_NOT_UNROLLED = "optsize"
# Where a prefetch puts a line. What is used much later must not push out of L1 what is used now.
L1, L2 = 3, 2


@native(dot_tile)
def dot(vectors, height, a, a_row, rows, *others):
    *others, ahead = others
    _emit_dot(vectors, _Rows(vectors, a, a_row, rows, ahead), height, rows, *others)


@native(converting_dot_tile)
def converting_dot(vectors, element, height, a, a_row, copy, c_row, rows, *others):
    *others, ahead = others
    left = _ConvertedRows(vectors, a, a_row, rows, ahead, element, copy, c_row)
    _emit_dot(vectors, left, height, rows, *others)


class _Rows:
    """The rows that a dot tile reads, some at a time; half of what it will read later it fetches."""

    def __init__(self, vectors, a, a_row, rows, ahead, element=None):
        self.vectors, self.builder, self.element = vectors, vectors.builder, element or vectors.element
        self.a, self.a_row, self.ahead = self.builder.inttoptr(a, self.element.as_pointer()), a_row, ahead
        self.last_row = self.builder.sub(rows, INDEX(1))

    def choose(self, top, n_rows):
        """Go to the rows from `top` on. Beyond the last row the last row is read again."""
        builder = self.builder
        wanted = [builder.add(top, INDEX(i)) for i in range(n_rows)]
        self.chosen = [builder.select(builder.icmp_signed("<", i, self.last_row), i, self.last_row) for i in wanted]
        self.at = [builder.gep(self.a, [builder.mul(i, self.a_row)]) for i in self.chosen]
        self.far = self._far(top)
        return wanted

    def _far(self, top):
        """Half of the rows that come as many items later as `ahead` says."""
        half = self.builder.mul(self.builder.sdiv(top, INDEX(2)), self.a_row)
        first = self.builder.gep(self.a, [self.builder.add(self.ahead, half)])
        n_rows = max(len(self.at) // 2, 1)
        return [self.builder.gep(first, [self.builder.mul(INDEX(i), self.a_row)]) for i in range(n_rows)]

    def load(self, k, v, mask):
        """Vector v from column k on, of each row."""
        column = self.builder.add(k, INDEX(v * self.vectors.length))
        loaded = [self.vectors.load(self.builder.gep(row, [column]), mask) for row in self.at]
        self._fetch(column, v)
        return loaded

    def _fetch(self, column, v):
        """Fetch the lines that begin in vector v of a panel, which begins at that column, of what comes later."""
        size = item_bytes(self.element)
        n_bytes = self.vectors.length * size
        for line in range(-v * n_bytes % CACHE_LINE, n_bytes, CACHE_LINE):
            place = self.builder.add(column, INDEX(line // size))
            for row in self.far:
                self.vectors.prefetch(self.builder.gep(row, [place]), L2)


class _ConvertedRows(_Rows):
    """The same rows in another type: what is read is converted, and a copy kept; all that comes later is fetched."""

    def __init__(self, vectors, a, a_row, rows, ahead, element, copy, c_row):
        super().__init__(vectors, a, a_row, rows, ahead, element)
        self.copy, self.c_row = vectors.pointer(copy), c_row

    def choose(self, top, n_rows):
        wanted = super().choose(top, n_rows)
        self.copies = [self.builder.gep(self.copy, [self.builder.mul(i, self.c_row)]) for i in self.chosen]
        return wanted

    def _far(self, top):
        return [self.builder.gep(row, [self.ahead]) for row in self.at]

    def load(self, k, v, mask):
        builder, column = self.builder, self.builder.add(k, INDEX(v * self.vectors.length))
        loaded = [self.vectors.load_converted(builder.gep(row, [column]), self.element, mask) for row in self.at]
        for value, row in zip(loaded, self.copies, strict=True):
            self.vectors.store(value, builder.gep(row, [column]), mask)
        self._fetch(column, v)
        return loaded


def _emit_dot(vectors, left, classes, rows, b, n, parts, first, last, out, o_row, o_column):
    """The dot tile for so many classes; `left`: where its rows come from."""
    builder = vectors.builder
    builder.function.attributes.add(_NOT_UNROLLED)
    length, panel = vectors.length, 2 * vectors.length
    b_at, parts_at, out_at = (vectors.pointer(address) for address in (b, parts, out))
    first, last = (builder.icmp_signed("!=", flag, INDEX(0)) for flag in (first, last))
    whole = builder.and_(n, INDEX(-panel))
    masks = [vectors.first_lanes(builder.sub(builder.sub(n, whole), INDEX(v * length))) for v in range(2)]

    n_rows = next(n for n in (DOT_ROWS, DOT_ROWS // 2, 1) if n * classes <= sums_in_flight())
    n_sums = n_rows * classes

    def some_rows(top, _):
        wanted = left.choose(top, n_rows)
        part = builder.gep(parts_at, [builder.mul(top, INDEX(classes * length))])
        part_places = [builder.gep(part, [INDEX(s * length)]) for s in range(n_sums)]

        # After what is read of b comes what will be read next: a line of it for each panel of these rows.
        steps = builder.sdiv(builder.mul(top, whole), INDEX(2 * n_rows))
        coming = builder.gep(b_at, [builder.add(builder.mul(n, INDEX(classes)), steps)])

        def step(k, sums):
            vectors.prefetch(builder.gep(coming, [builder.sdiv(k, INDEX(2))]), L2)
            for v in range(2):
                sums = multiply(k, v, sums, None)
            return sums

        def multiply(k, v, sums, mask):
            sums = list(sums)
            panel_at = builder.gep(b_at, [builder.mul(k, INDEX(classes))])
            row_vectors = left.load(k, v, mask)
            for j in range(classes):
                right = vectors.load(builder.gep(panel_at, [INDEX(j * panel + v * length)]))
                for i in range(n_rows):
                    s = i * classes + j
                    sums[s] = vectors.multiply_add(row_vectors[i], right, sums[s])
            return sums

        def deliver(sums):
            totals = vectors.sums(sums)
            for i in range(n_rows):
                with builder.if_then(builder.icmp_signed("<", wanted[i], rows)):
                    for j in range(classes):
                        offset = builder.add(builder.mul(wanted[i], o_row), builder.mul(INDEX(j), o_column))
                        place = builder.gep(out_at, [offset])
                        builder.store(builder.fadd(builder.load(place), totals[i * classes + j]), place)

        begin = builder.block
        with builder.if_then(builder.not_(first)):
            before = [vectors.load(place) for place in part_places]
            loaded = builder.block
        zeros = [vectors.zero] * n_sums
        sums = [_either(builder, zeros, begin, before, loaded, s) for s in range(n_sums)]
        sums = loop(builder, INDEX(0), whole, panel, sums, step)
        for v in range(2):
            begin = builder.block
            with builder.if_then(builder.icmp_signed("<", builder.add(whole, INDEX(v * length)), n)):
                ends = multiply(whole, v, sums, masks[v])
                inside = builder.block
            sums = [_either(builder, sums, begin, ends, inside, s) for s in range(n_sums)]
        with builder.if_else(last) as (at_end, between):
            with at_end:
                deliver(sums)
            with between:
                for value, place in zip(sums, part_places, strict=True):
                    vectors.store(value, place)
        return []

    loop(builder, INDEX(0), rows, n_rows, [], some_rows)


@native(outer_tile)
def outer(vectors, rows, a, a_row, a_k, b, b_k, b_panel, n, out, o_row, o_panel, columns, fresh, ahead):
    builder = vectors.builder
    builder.function.attributes.add(_NOT_UNROLLED)
    length, fresh = vectors.length, builder.icmp_signed("!=", fresh, INDEX(0))
    a_at, b_at, out_at = (vectors.pointer(address) for address in (a, b, out))
    panels = builder.sdiv(columns, INDEX(2 * length))
    left_over = builder.srem(columns, INDEX(2 * length))
    a_rows = [builder.mul(INDEX(i), a_row) for i in range(rows)]
    height = even_height(rows, sums_in_flight() // 2)  # so many at a time; what is read again of b is in L1 then

    def panel(p, wide, masks=(None, None), column=None):
        column = INDEX(0) if column is None else column
        b_top = builder.gep(b_at, [builder.add(builder.mul(p, b_panel), column)])
        out_top = builder.gep(out_at, [builder.add(builder.mul(p, o_panel), column)])
        far = builder.gep(b_at, [builder.add(builder.add(builder.mul(p, b_panel), column), ahead)])
        for first in range(0, rows, height):
            some_rows(range(first, min(first + height, rows)), b_top, far, out_top, wide, masks)

    def some_rows(chosen, b_top, far, out_top, wide, masks):
        def step(k, sums):
            row = builder.gep(b_top, [builder.mul(k, b_k)])
            right = [vectors.load(builder.gep(row, [INDEX(v * length)]), masks[v]) for v in range(wide)]
            if chosen[0] == 0:
                odd = builder.and_(k, INDEX(1))
                line = builder.add(builder.mul(builder.ashr(k, INDEX(1)), b_k), builder.mul(odd, INDEX(length)))
                vectors.prefetch(builder.gep(far, [line]), L2)
            top = builder.gep(a_at, [builder.mul(k, a_k)])
            sums = list(sums)
            for s, i in enumerate(chosen):
                left = vectors.splat(builder.load(builder.gep(top, [a_rows[i]])))
                for v in range(wide):
                    sums[s * wide + v] = vectors.multiply_add(left, right[v], sums[s * wide + v])
            return sums

        places = [
            builder.gep(out_top, [builder.add(builder.mul(INDEX(i), o_row), INDEX(v * length))])
            for i in chosen
            for v in range(wide)
        ]
        for spot in places:
            vectors.prefetch(spot, L1)
        sums = loop(builder, INDEX(0), n, 1, [vectors.zero] * len(places), step)
        with builder.if_else(fresh) as (write, add):
            with write:
                for s, place in enumerate(places):
                    vectors.store(sums[s], place, masks[s % wide])
            with add:
                for s, place in enumerate(places):
                    before = vectors.load(place, masks[s % wide])
                    vectors.store(builder.fadd(before, sums[s]), place, masks[s % wide])

    def whole_panel(p, _):
        panel(p, 2)
        return []

    loop(builder, INDEX(0), panels, 1, [], whole_panel)

    def single_vector(column, _):
        mask = vectors.first_lanes(builder.sub(left_over, column))
        panel(panels, 1, [mask], column)
        return []

    loop(builder, INDEX(0), left_over, length, [], single_vector)


def _either(builder, first, first_block, second, second_block, index):
    """What arrives from one of two blocks."""
    value = builder.phi(first[index].type)
    value.add_incoming(first[index], first_block)
    value.add_incoming(second[index], second_block)
    return value
