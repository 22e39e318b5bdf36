"""What numba compiles: arrays in, arrays out.

Nothing here validates, raises or prints; ``jitloss`` has checked every argument before it calls.

==============  =======================================================================
``loops``       the textbook: a loss as plain loops over the rows ``start..stop``
``lanes``       splits the rows into lanes, ``prange`` over them, folds them in order
``jit``         the only file that spells numba options
``cache``       machine code on disk
``sources``     a digest of all of this, by which the cache knows its own
``threads``     the threading layer, forks, launching
==============  =======================================================================
"""

from . import sources as sources  # before any other file, so that the digest is of the code that is imported
