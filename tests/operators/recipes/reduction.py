"""Operators that reduce, sort or normalise along axes."""

import numpy as np

from . import recipe

REDUCTIONS = """ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
ReduceProd ReduceSum ReduceSumSquare""".split()


def axes_of(draw, rank, negative=True):
    """Some axes of a rank, in any order."""
    axes = draw.random.sample(range(rank), draw.between(1, rank)) if rank else []
    return [axis - rank if negative and draw.chance(0.35) else axis for axis in axes]


@recipe(*REDUCTIONS)
def reduction(b):
    draw = b.draw
    shape = draw.shape(empty=0.1 if draw.chance(0.1) else 0.015)
    x = b.tensor(b.type(), shape)
    axes = axes_of(draw, len(shape), b.version >= 11)
    attributes = {"keepdims": b.maybe([0, 1])}
    by_input = b.version >= 18 or (b.version >= 13 and b.key[1] == "ReduceSum")
    inputs = [x]
    if by_input:
        if draw.chance(0.7):
            chosen = [] if draw.chance(0.15) else axes
            if not chosen:
                draw.marks.add("axes=[]")
            inputs.append(b.add(np.array(chosen, np.int64), 0.7))
        attributes["noop_with_empty_axes"] = b.maybe([0, 1], 0.4)
    elif axes and draw.chance(0.75):
        attributes["axes"] = axes
    b.op(inputs, attributes)


@recipe("ArgMax", "ArgMin")
def arg(b):
    draw = b.draw
    shape = draw.shape(1)
    axis = draw.between(0 if b.version < 11 else -len(shape), len(shape) - 1)
    attributes = {"axis": axis if draw.chance(0.8) else None, "keepdims": b.maybe([0, 1])}
    if b.has("select_last_index"):
        attributes["select_last_index"] = b.maybe([0, 1])
    b.op([b.tensor(b.type(), shape)], attributes)


@recipe("Softmax", "LogSoftmax", "Hardmax", "LpNormalization")
def softmax(b):
    draw = b.draw
    shape = draw.shape(1)
    axis = draw.between(0 if b.version < 11 else -len(shape), len(shape) - 1)
    if len(shape) == 1 and b.version < 13 and b.key[1] != "LpNormalization":
        axis = 0
    attributes = {"axis": axis if draw.chance(0.8) or axis == 0 else None}
    if b.has("p"):
        attributes["p"] = b.maybe([1, 2])
    b.op([b.tensor(b.type(), shape)], attributes)


@recipe("TopK")
def top_k(b):
    draw = b.draw
    shape = draw.shape(1)
    axis = draw.between(0 if b.version < 11 else -len(shape), len(shape) - 1)
    given = axis if draw.chance(0.8) else None
    k = draw.between(0 if draw.chance(0.1) else 1, max(1, shape[-1 if given is None else axis]))
    x = b.tensor(b.type(), shape, "ties" if draw.chance(0.3) else None)
    attributes = {"axis": given}
    if b.version >= 11:
        attributes |= {"largest": b.maybe([0, 1]), "sorted": b.maybe([0, 1, 1], 0.4)}
    if b.version < 10:
        b.op([x], attributes | {"k": k}, 2)
    else:
        b.op([x, b.add(np.array([k], np.int64), 0.6)], attributes, 2)


@recipe("CumSum", "CumProd")
def cumulative(b):
    draw = b.draw
    shape = draw.shape(1)
    x = b.tensor(b.type(), shape)
    axis = np.array(draw.between(-len(shape), len(shape) - 1), draw.pick([np.int32, np.int64]))
    b.op([x, b.add(axis, 0.7)], {"exclusive": b.maybe([0, 1]), "reverse": b.maybe([0, 1])})


@recipe("MeanVarianceNormalization")
def mean_variance(b):
    draw = b.draw
    shape = draw.shape(4, 4)
    axes = axes_of(draw, 4) if draw.chance(0.5) else None
    b.op([b.tensor(b.type(), shape)], {"axes": axes})


@recipe("NonZero")
def non_zero(b):
    b.op([b.tensor(b.type(), b.draw.shape())])


@recipe("Unique")
def unique(b):
    draw = b.draw
    shape = draw.shape(1)
    axis = draw.between(-len(shape), len(shape) - 1) if draw.chance(0.5) else None
    x = b.tensor(b.type(), shape, "ties" if np.dtype(b.type()).kind in "iuf" else None)
    b.op([x], {"axis": axis, "sorted": b.maybe([0, 1])}, draw.between(1, 4))


@recipe("Compress")
def compress(b):
    draw = b.draw
    shape = draw.shape(1)
    axis = (
        draw.between(0 if b.version < 11 else -len(shape), len(shape) - 1)
        if draw.chance(0.6)
        else None
    )
    length = shape[axis] if axis is not None else int(np.prod(shape))
    condition = draw.tensor(np.bool_, (draw.between(1, max(1, length)),))
    b.op([b.tensor(b.type(), shape), b.add(condition, 0.4)], {"axis": axis})
