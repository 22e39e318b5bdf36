"""What numba compiles: arrays in, arrays out.

Nothing here validates, raises or prints; ``jitloss`` has checked every argument before it calls.

===============  =======================================================================
``loops``        the textbook: a loss as plain loops over the rows ``start..stop``
``lanes``        splits the rows into lanes, ``prange`` over them, folds them in order
``fused``        the fused engine, from ready arrays to the loss: one of the next three
``short``        few rows and few classes: W is read as it lies; ``runs``: its tiles
``narrow``       few classes: lanes with a gradient of their own, ``narrow_block`` by block
``pivots``       one class less to multiply; ``differences`` and ``exchanges``: its tiles
``wide``         many classes: what is written is split over classes and features
``two_layer``    a net, ``…_block`` by block; each of the ways has a ``…_plan``
``rows``         a loss, from scores to dscores in their place; ``exponential`` for it
``strips``       the same in registers, for few classes; ``class_strips``: for many
``samples``      strips as LLVM IR; ``strip_weights``: what their samples weigh
``blocks``       how a block of rows of X is read
``labels``       labels and weights, looked at and copied in one pass
``tiles``        the two products in registers; ``products`` is their LLVM IR
``moves``        tiles that transpose and copy
``sparse``       the way back through a ReLU: tiles that skip units that are off
``regulariser``  the sum of W² and its gradient, for all three ways
``simd``         vectors as LLVM IR, ``repeats``: loops; ``shapes``: how large they are
``workers``      a team of threads that share the tasks of a kernel
``pointers``     calling compiled code by its address
``memory``       scratch
``jit``          the only file that spells numba options; ``tags`` to choose a loss by
``linkage``      how numba compiles kernels and their parts; ``steps``: what it is spared
``collector``    no garbage is collected while numba compiles
``cache``        machine code on disk
``sources``      a digest of all of this, by which the cache knows its own
``threads``      the threading layer, forks, launching
===============  =======================================================================
"""

from . import sources as sources  # before any other file, so that the digest is of the code that is imported
