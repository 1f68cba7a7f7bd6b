"""Compares the outputs of a model with the right ones."""

import numpy


def tolerance(datatype, rtol, atol):
    """The tolerance for a floating-point datatype, from that of the test."""
    match str(datatype):
        case "float64":
            return min(rtol, 1e-7), min(atol, 1e-7)
        case "float16":
            return max(rtol, 2e-3), max(atol, 2e-3)
        case _:
            return max(rtol, 1e-3), max(atol, 1e-4)


def difference(names, expected, found, rtol=1e-3, atol=1e-7):
    """Returns the first difference as text; empty if there is none.

    Integers, booleans and texts must be equal; NaN equals NaN.
    """
    for name, right, value in zip(names, expected, found, strict=True):
        right = numpy.asarray(right)
        if value is None:
            return f"{name}: missing"
        value = numpy.asarray(value)
        if right.dtype.kind in "OSU":
            right, value = texts(right), texts(value)
        if value.dtype != right.dtype:
            return f"{name}: expected {right.dtype}, found {value.dtype}"
        if value.shape != right.shape:
            return f"{name}: expected the shape {list(right.shape)}, found {list(value.shape)}"
        if right.dtype.kind == "f":
            relative, absolute = tolerance(right.dtype, rtol, atol)
            with numpy.errstate(all="ignore"):
                equal = numpy.isclose(value, right, rtol=relative, atol=absolute, equal_nan=True)
        else:
            equal = value == right
        if not numpy.all(equal):
            at = numpy.unravel_index(numpy.argmin(equal), right.shape)
            place = [int(index) for index in at]
            return f"{name}{place}: expected {right[at]!r}, found {value[at]!r}; {numpy.sum(~equal)} of {right.size} differ"
    return ""


def texts(array):
    """Returns an array of `bytes`."""
    flat = [text if isinstance(text, bytes) else str(text).encode() for text in array.flatten()]
    result = numpy.empty(len(flat), object)
    result[:] = flat
    return result.reshape(array.shape)
