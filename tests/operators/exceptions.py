"""Cases in which ONNX Runtime's answer is not the standard's, or the standard has none."""

import numpy as np

import oracle

SUMS = "the order of additions decides between NaN and infinities"
CLAMPED = "clamps the inputs of activations"
# Operators that ONNX Runtime 1.32 computes in its own way for NaN or infinities: maxima ignore
# NaN in some shapes, begin at the lowest finite number, and numbers of no integer are cast.
NOT_FINITE = {
    "Conv": SUMS,
    "ConvTranspose": SUMS,
    "MatMul": SUMS,
    "Gemm": SUMS,
    "Einsum": SUMS,
    "CumSum": SUMS,
    "ReduceSum": SUMS,
    "ReduceMean": SUMS,
    "ReduceSumSquare": SUMS,
    "ReduceL1": SUMS,
    "ReduceL2": SUMS,
    "AveragePool": SUMS,
    "GlobalAveragePool": SUMS,
    "InstanceNormalization": SUMS,
    "LayerNormalization": SUMS,
    "RMSNormalization": SUMS,
    "Attention": SUMS,
    "LSTM": CLAMPED,
    "GRU": CLAMPED,
    "RNN": CLAMPED,
    "MaxPool": "ignores NaN, and gives the lowest number for negative infinities",
    "GlobalMaxPool": "ignores NaN in some shapes",
    "ReduceMax": "ignores NaN in some shapes",
    "ReduceMin": "ignores NaN in some shapes",
    "ReduceLogSumExp": "ignores NaN in some shapes",
    "QuantizeLinear": "the standard has no integer for NaN",
    "DynamicQuantizeLinear": "the standard has no integer for NaN",
    "ArgMax": "the standard has no order for NaN",
    "ArgMin": "the standard has no order for NaN",
    "TopK": "the standard has no order for NaN",
    "Resize": "infinities are multiplied by weights of 0",
    "Upsample": "infinities are multiplied by weights of 0",
}
INTEGER_PRODUCTS = {"ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"}
REDUCTIONS = ("ReduceSum", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceMean")


def exception(case, expected, model):
    """The reason why a difference from ONNX Runtime proves nothing, or None."""
    operators = {node.op_type for node in case.nodes}
    is_empty = any(a.size == 0 for a in [*case.feeds.values(), *case.constants.values()])
    for operator in sorted(operators & INTEGER_PRODUCTS):
        if is_empty:
            return f"{operator}: a sum of no products is not written"
    arrays = all_arrays(case, model)
    if arrays is None or any(np.isnan(array).any() for array in arrays):
        return "NaN: the claims say nothing about it"
    if not all(np.isfinite(array).all() for array in arrays):
        for operator in sorted(operators & NOT_FINITE.keys()):
            return f"{operator}: {NOT_FINITE[operator]}"
    largest = max((np.abs(array).max(initial=0) for array in arrays), default=0)
    for operator in sorted(operators & {"GRU", "LSTM", "RNN"}):
        # A clamped gate is off by 1e-7, which counts times 1e3.
        if largest > 1e3:
            return f"{operator}: {CLAMPED}"
    if "Gather" in operators and any(result.dtype.kind == "O" for result in expected):
        return "Gather: copies the first string of each block alone"
    if "Slice" in operators and "steps<0" in case.marks and has_largest(case):
        return "Slice: with a negative step, the largest integer as the end means the start"
    if "Shrink" in operators and any(result.dtype.kind in "iu" for result in expected):
        return "Shrink: computes integers in FP32"
    if operators & set(REDUCTIONS) and any(beyond_double(result) for result in expected):
        return "reductions: beyond 2^53, INT64 is rounded; INT32 is saturated"
    if "ReduceMean" in operators and any(array.size == 0 for array in arrays):
        return "ReduceMean: undefined for no elements, by the standard"
    if case.operator in ("MaxPool", "AveragePool", "LpPool") and "dilations>1" in case.marks:
        if any(mark.startswith("auto_pad=SAME") for mark in case.marks):
            return "pools: SAME ignores the dilations"
    return None


def order_decides(case, expected, found):
    """Whether an infinite answer is a partial product that overflows, in an order of the factors.

    The standard has no order of the factors.
    """
    if case.operator != "ReduceProd":
        return False
    (factors,) = [a for a in [*case.feeds.values(), *case.constants.values()] if a.dtype.kind == "f"]
    with np.errstate(divide="ignore"):
        digits = np.log2(np.abs(factors.astype(np.float64)))
    if digits[digits > 0].sum() <= np.finfo(factors.dtype).maxexp:
        return False
    (expected,), (found,) = expected, found
    return bool((np.isinf(found) | np.isclose(found, expected, 1e-3, 1e-4)).all())


def has_largest(case):
    """Whether an input or a constant has the largest INT32 or INT64."""
    arrays = [*case.feeds.values(), *case.constants.values()]
    return any(
        a.dtype in (np.int32, np.int64) and bool(np.isin(a, [2**31 - 1, 2**63 - 1]).any())
        for a in arrays
    )


def beyond_double(array):
    """Whether an array has INT64 numbers that FP64 does not represent, or INT32 at its end."""
    if array.dtype == np.int32:
        return bool(np.isin(array, [2**31 - 1, -(2**31)]).any())
    return array.dtype == np.int64 and bool((np.abs(array.astype(np.float64)) >= 2**53).any())


def all_arrays(case, model):
    """The floating-point inputs, constants and results of all nodes, or None if unknown."""
    arrays = [*case.feeds.values(), *case.constants.values()]
    try:
        arrays += oracle.all_results(model, case.feeds)
    except oracle.Refused:
        return None
    return [array for array in arrays if array.dtype.kind == "f"]
