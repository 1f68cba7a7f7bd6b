"""Whether an answer is right."""

import numpy as np

import oracle
from exceptions import exception, order_decides

# Relative and absolute tolerance by datatype; other datatypes are compared exactly.
TOLERANCES = {"float16": (2e-3, 2e-3), "float32": (1e-3, 1e-4), "float64": (1e-7, 1e-10)}


def difference(found, expected):
    """The first difference of two lists of arrays as text, or None."""
    if len(found) != len(expected):
        return f"expected {len(expected)} outputs, found {len(found)}"
    for number, (left, right) in enumerate(zip(found, expected)):
        text = array_difference(np.asarray(left), np.asarray(right))
        if text:
            return f"output {number}: {text}"
    return None


def array_difference(found, expected):
    if found.dtype != expected.dtype:
        return f"expected the datatype {expected.dtype}, found {found.dtype}"
    if found.shape != expected.shape:
        return f"expected the shape {expected.shape}, found {found.shape}"
    apart = np.argwhere(np.atleast_1d(~close(found, expected)))
    if not len(apart):
        return None
    at = tuple(apart[0])
    values = np.atleast_1d(expected)[at], np.atleast_1d(found)[at]
    return (
        f"{len(apart)} of {found.size} differ, at {[int(i) for i in at]}: "
        f"expected {values[0]!r}, found {values[1]!r}"
    )


def close(found, expected):
    """For each element, whether it is within the tolerance."""
    if found.dtype.name not in TOLERANCES:
        return found == expected
    rtol, atol = TOLERANCES[found.dtype.name]
    return np.isclose(
        found.astype(np.float64), expected.astype(np.float64), rtol, atol, equal_nan=True
    )


def judge(case, model, feeds, expected, found, ask_reference=True):
    """The verdict and a reason: "right", "wrong" or "disputed"."""
    text = difference(found, expected)
    if text is None:
        return "right", ""
    if case.by_reference:
        return "wrong", text
    if len(found) != len(expected):
        return "wrong", text
    for compute in precise_ways(case, model, feeds):
        try:
            precise = compute()
        except oracle.Refused:
            continue
        if difference(found, precise) is None:
            return "right", "as computed in DOUBLE"
        if (
            same_form(expected, precise)
            and same_form(found, precise)
            and as_precise(found, expected, precise)
        ):
            return "right", "as precise as ONNX Runtime"
    reason = exception(case, expected, model)
    if reason:
        return "disputed", f"{reason}: {text}"
    if same_form(expected, found) and order_decides(case, expected, found):
        return "disputed", f"the order of multiplications decides: {text}"
    if ill_conditioned(case, expected, found):
        return "right", "ill-conditioned"
    # `onnx.reference` computes some old versions as it does the newest.
    if not case.newest or not ask_reference:
        return "wrong", text
    try:
        reference = oracle.reference_answer(model, feeds)
        if difference(found, reference) is None:
            return "disputed", f"onnx.reference agrees with the runtime: {text}"
    except oracle.Refused:
        pass
    return "wrong", text


def precise_ways(case, model, feeds):
    """Ways to compute answers of FP32 more precisely: in parts, and as a whole."""
    if any(node.op_type == "InstanceNormalization" for node in model.graph.node):
        parts = oracle.with_double_instance_normalization(model)
        yield lambda: oracle.onnxruntime_answer(parts, feeds)
    if any(a.dtype == np.float32 for a in [*feeds.values(), *case.constants.values()]):
        yield lambda: oracle.precise_answer(model, feeds)
        yield lambda: oracle.precise_reference_answer(model, feeds)


def as_precise(found, expected, precise):
    """Whether the answer's error is at most some times ONNX Runtime's."""
    for left, right, exact in zip(found, expected, precise):
        if exact.dtype.kind != "f":
            if not np.array_equal(left, exact):
                return False
            continue
        with np.errstate(all="ignore"):
            wide = exact.astype(np.float64)
            allowed = np.abs(right.astype(np.float64) - wide)
            allowed = np.max(allowed, initial=0, where=np.isfinite(allowed))
            near = close(left, exact) | (np.abs(left.astype(np.float64) - wide) <= 4 * allowed)
        if not near.all():
            return False
    return True


def same_form(left, right):
    return all(a.shape == b.shape and a.dtype == b.dtype for a, b in zip(left, right))


def ill_conditioned(case, expected, found):
    """Whether inputs that differ in the last place explain the difference.

    A jump is an explanation in graphs alone: in one operator, ties are drawn on purpose.
    """
    if not same_form(expected, found):
        return False
    moves = [np.zeros(e.shape) for e in expected]
    jumped = False
    for answers in oracle.perturbed_answers(case, expected, 0):
        for number, (moved, base) in enumerate(zip(answers, expected)):
            if moved.shape != base.shape:
                jumped = True
            elif base.dtype.kind == "f":
                move = np.abs(moved.astype(np.float64) - base.astype(np.float64))
                jumped = jumped or bool((~np.isfinite(move) & np.isfinite(base)).any())
                moves[number] = np.maximum(moves[number], np.nan_to_num(move))
                scale = np.abs(np.where(np.isfinite(base), base, 0)).max(initial=0)
                jumped = jumped or bool((moves[number] > 0.01 * scale + 1e-3).any())
            elif base.dtype.kind != "O" and (moved != base).any():
                jumped = True
    if jumped:
        return "graph" in case.marks
    for move, base, other in zip(moves, expected, found):
        near = close(other, base)
        if base.dtype.kind == "f":
            with np.errstate(all="ignore"):
                near |= np.abs(other.astype(np.float64) - base.astype(np.float64)) <= 6 * move
        if not np.all(near):
            return False
    return True
