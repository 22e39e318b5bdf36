"""The two products of ``tiles.py`` as LLVM IR: sums in registers, edges by masks, prefetches in between."""

from numba import types
from numba.extending import intrinsic

from .shapes import tallest
from .simd import INDEX, Vectors, loop

# LLVM's own unrolling of these loops, which are unrolled already, gains nothing and takes a fifth of a second.
_NOT_UNROLLED = "optsize"
# Where a prefetch puts a line. What is used much later must not push out of L1 what is used now.
L1, L2 = 3, 2


@intrinsic
def dot(typingctx, height, a, a_row, rows, b, n, parts, first, last, out, o_row, o_column, ahead, like):
    """``tiles.dot_tile`` on addresses."""

    def codegen(context, builder, signature, arguments):
        height, a_, a_row, rows, b_, n, parts_, first, last, out_, o_row, o_column, ahead, _ = arguments
        vectors = Vectors(builder, context.get_value_type(like))
        builder.function.attributes.add(_NOT_UNROLLED)
        length, panel = vectors.length, 2 * vectors.length
        a_at, b_at, parts_at, out_at = (vectors.pointer(address) for address in (a_, b_, parts_, out_))
        first, last = (builder.icmp_signed("!=", flag, INDEX(0)) for flag in (first, last))
        last_row, whole = builder.sub(rows, INDEX(1)), builder.and_(n, INDEX(-panel))
        masks = [vectors.first_lanes(builder.sub(builder.sub(n, whole), INDEX(v * length))) for v in range(2)]

        def tile(classes):
            n_rows = 4 if 2 * classes <= tallest() else 2
            n_sums = n_rows * classes

            def some_rows(top, _):
                # Beyond the last row the last row is read again, and not stored.
                wanted = [builder.add(top, INDEX(i)) for i in range(n_rows)]
                read = [builder.select(builder.icmp_signed("<", i, last_row), i, last_row) for i in wanted]
                a_rows = [builder.gep(a_at, [builder.mul(i, a_row)]) for i in read]
                far = builder.gep(a_at, [builder.add(ahead, builder.mul(builder.sdiv(top, INDEX(2)), a_row))])
                far_rows = [builder.gep(far, [builder.mul(INDEX(i), a_row)]) for i in range(n_rows // 2)]
                part = builder.gep(parts_at, [builder.mul(top, INDEX(classes * length))])
                part_places = [builder.gep(part, [INDEX(s * length)]) for s in range(n_sums)]

                def step(k, sums, masks=(None, None)):
                    sums = list(sums)
                    panel_at = builder.gep(b_at, [builder.mul(k, INDEX(classes))])
                    for v in range(2):
                        places = [builder.gep(row, [builder.add(k, INDEX(v * length))]) for row in a_rows]
                        left = [vectors.load(place, masks[v]) for place in places]
                        for row in far_rows:
                            vectors.prefetch(builder.gep(row, [builder.add(k, INDEX(v * length))]), L2)
                        for j in range(classes):
                            right = vectors.load(builder.gep(panel_at, [INDEX(j * panel + v * length)]))
                            for i in range(n_rows):
                                sums[i * classes + j] = vectors.multiply_add(left[i], right, sums[i * classes + j])
                    return sums

                begin = builder.block
                with builder.if_then(builder.not_(first)):
                    before = [vectors.load(place) for place in part_places]
                    loaded = builder.block
                zeros = [vectors.zero] * n_sums
                sums = [_either(builder, zeros, begin, before, loaded, s) for s in range(n_sums)]
                sums = loop(builder, INDEX(0), whole, panel, sums, step)
                begin = builder.block
                with builder.if_then(builder.icmp_signed("<", whole, n)):
                    ends = step(whole, sums, masks)
                    inside = builder.block
                sums = [_either(builder, sums, begin, ends, inside, s) for s in range(n_sums)]
                with builder.if_else(last) as (deliver, keep):
                    with deliver:
                        totals = vectors.sums(sums)
                        for i in range(n_rows):
                            with builder.if_then(builder.icmp_signed("<", wanted[i], rows)):
                                for j in range(classes):
                                    offset = builder.add(builder.mul(wanted[i], o_row), builder.mul(INDEX(j), o_column))
                                    place = builder.gep(out_at, [offset])
                                    builder.store(builder.fadd(builder.load(place), totals[i * classes + j]), place)
                    with keep:
                        for value, place in zip(sums, part_places, strict=True):
                            vectors.store(value, place)
                return []

            loop(builder, INDEX(0), rows, n_rows, [], some_rows)

        _for_each_height(builder, height, tile)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 13, like), codegen


@intrinsic
def outer(typingctx, height, a, a_row, a_k, b, b_k, b_panel, n, out, o_row, o_panel, columns, fresh, ahead, like):
    """``tiles.outer_tile`` on addresses."""

    def codegen(context, builder, signature, arguments):
        height, a_, a_row, a_k, b_, b_k, b_panel, n, out_, o_row, o_panel, columns, fresh_, ahead, _ = arguments
        vectors = Vectors(builder, context.get_value_type(like))
        builder.function.attributes.add(_NOT_UNROLLED)
        length, fresh = vectors.length, builder.icmp_signed("!=", fresh_, INDEX(0))
        a_at, b_at, out_at = (vectors.pointer(address) for address in (a_, b_, out_))
        panels = builder.sdiv(columns, INDEX(2 * length))
        left_over = builder.srem(columns, INDEX(2 * length))

        def tile(rows):
            a_rows = [builder.mul(INDEX(i), a_row) for i in range(rows)]

            def panel(p, wide, masks=(None, None), column=None):
                column = INDEX(0) if column is None else column
                b_top = builder.gep(b_at, [builder.add(builder.mul(p, b_panel), column)])
                far = builder.gep(b_at, [builder.add(builder.add(builder.mul(p, b_panel), column), ahead)])

                def step(k, sums):
                    row = builder.gep(b_top, [builder.mul(k, b_k)])
                    right = [vectors.load(builder.gep(row, [INDEX(v * length)]), masks[v]) for v in range(wide)]
                    odd = builder.and_(k, INDEX(1))
                    line = builder.add(builder.mul(builder.ashr(k, INDEX(1)), b_k), builder.mul(odd, INDEX(length)))
                    vectors.prefetch(builder.gep(far, [line]), L2)
                    top = builder.gep(a_at, [builder.mul(k, a_k)])
                    sums = list(sums)
                    for i in range(rows):
                        left = vectors.splat(builder.load(builder.gep(top, [a_rows[i]])))
                        for v in range(wide):
                            sums[i * wide + v] = vectors.multiply_add(left, right[v], sums[i * wide + v])
                    return sums

                out_top = builder.gep(out_at, [builder.add(builder.mul(p, o_panel), column)])
                places = [
                    builder.gep(out_top, [builder.add(builder.mul(INDEX(i), o_row), INDEX(v * length))])
                    for i in range(rows)
                    for v in range(wide)
                ]
                for spot in places:
                    vectors.prefetch(spot, L1)
                sums = loop(builder, INDEX(0), n, 1, [vectors.zero] * (rows * wide), step)
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

        _for_each_height(builder, height, tile)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 14, like), codegen


def _for_each_height(builder, height, emit):
    """A copy of the tile for each height, and a jump to the right one."""
    after = builder.append_basic_block("done")
    chosen = builder.switch(height, after)
    for literal in range(1, tallest() + 1):
        block = builder.append_basic_block(f"height_{literal}")
        chosen.add_case(INDEX(literal), block)
        builder.position_at_end(block)
        emit(literal)
        builder.branch(after)
    builder.position_at_end(after)


def _either(builder, first, first_block, second, second_block, index):
    """What arrives from one of two blocks."""
    value = builder.phi(first[index].type)
    value.add_incoming(first[index], first_block)
    value.add_incoming(second[index], second_block)
    return value
