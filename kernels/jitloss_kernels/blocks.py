"""How a block of rows of X is read. The only file that a new kind of input touches.

X comes in one of two shapes: flat, when it is used where it lies; or as a matrix of any float or integer dtype and any
strides, whose blocks are copied into scratch. Either way the numbers are the same, so the results are.
"""

from numba.extending import overload


def read(x, first, n, n_features, copy, c0, width):
    """See to it that rows first..first + n of X can be used: copy them to `copy`, from `c0` on, unless X is flat."""
    if x.ndim == 2:
        _copy_rows(x, first, n, n_features, copy, c0, width)


def where(x, first, n_features, copy, c0, width):
    """The rows that were read from `first` on: a flat array, the offset of their first item, the step between rows."""
    return (x, first * n_features, n_features) if x.ndim == 1 else (copy, c0, width)


def _copy_rows(x, first, n, n_features, copy, c0, width):
    """Copy and convert, along whichever axis of X is the shorter way through memory."""
    if abs(x.strides[1]) <= abs(x.strides[0]):
        for i in range(n):
            row = copy[c0 + i * width : c0 + i * width + n_features]
            for k in range(n_features):
                row[k] = x[first + i, k]
    else:
        for k in range(n_features):
            for i in range(n):
                copy[c0 + i * width + k] = x[first + i, k]


@overload(read)
def _read_compiled(x, first, n, n_features, copy, c0, width):
    if x.ndim == 1:
        return lambda x, first, n, n_features, copy, c0, width: None
    return _copy_rows


@overload(where)
def _where_compiled(x, first, n_features, copy, c0, width):
    if x.ndim == 1:
        return lambda x, first, n_features, copy, c0, width: (x, first * n_features, n_features)
    return lambda x, first, n_features, copy, c0, width: (copy, c0, width)
