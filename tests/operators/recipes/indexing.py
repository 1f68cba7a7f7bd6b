"""Operators that read or write at indices."""

import numpy as np

from . import recipe


def indices(b, low, high, shape, dtype=None, negative=True):
    """Indices from `low` to `high - 1`, some of them negative."""
    draw = b.draw
    values = draw.numpy.integers(0, max(high, 1), shape)
    if negative and draw.chance(0.4):
        values = np.where(draw.numpy.random(shape) < 0.4, values - high, values)
        draw.marks.add("negative indices")
    dtype = dtype or b.type("Tind")
    return b.add(np.asarray(values).astype(dtype), 0.35)


@recipe("Gather")
def gather(b):
    draw = b.draw
    shape = draw.shape(1)
    axis = draw.between(0 if b.version < 11 else -len(shape), len(shape) - 1)
    if shape[axis] == 0:
        shape = tuple(size or 2 for size in shape)
    x = b.tensor(b.type(), shape)
    at = indices(b, 0, shape[axis], draw.shape(0, 3), negative=b.version >= 11)
    b.op([x, at], {"axis": axis if draw.chance(0.8) or axis not in (0, -len(shape)) else None})


@recipe("GatherElements")
def gather_elements(b):
    draw = b.draw
    shape = draw.shape(1, 4, 0)
    axis = draw.between(-len(shape), len(shape) - 1)
    x = b.tensor(b.type(), shape)
    at = [draw.between(1, size) for size in shape]
    at[axis] = draw.size()
    b.op(
        [x, indices(b, 0, shape[axis], at)],
        {"axis": axis if draw.chance(0.8) or axis not in (0, -len(shape)) else None},
    )


@recipe("GatherND")
def gather_nd(b):
    draw = b.draw
    shape = draw.shape(1, 4, 0)
    batch = draw.between(0, len(shape) - 1) if b.version >= 12 and draw.chance(0.5) else 0
    depth = draw.between(1, len(shape) - batch)
    outer = shape[:batch] + draw.shape(0 if batch else 1, 2, 0)
    columns = [draw.numpy.integers(0, shape[batch + i], outer) for i in range(depth)]
    if draw.chance(0.3):
        columns = [
            np.where(draw.numpy.random(outer) < 0.4, c - shape[batch + i], c)
            for i, c in enumerate(columns)
        ]
        draw.marks.add("negative indices")
    at = np.stack(columns, -1).astype(np.int64)
    given = {"batch_dims": batch} if b.version >= 12 and (batch or draw.chance(0.4)) else {}
    b.op([b.tensor(b.type(), shape), b.add(at, 0.35)], given)


def reduction_of(b):
    if b.version >= 18:
        return b.maybe(["none", "add", "mul", "max", "min"])
    return b.maybe(["none", "add", "mul"]) if b.version >= 16 else None


@recipe("Scatter", "ScatterElements")
def scatter_elements(b):
    draw = b.draw
    shape = draw.shape(1, 4, 0)
    axis = draw.between(
        0 if b.key[1] == "Scatter" and b.version < 11 else -len(shape), len(shape) - 1
    )
    reduction = reduction_of(b)
    at_shape = list(shape) if draw.chance(0.4) else [draw.between(1, size) for size in shape]
    # Without a reduction, duplicate indices have no defined result.
    order = draw.numpy.random(
        at_shape[: axis % len(shape)] + at_shape[axis % len(shape) + 1 :] + [shape[axis]]
    )
    unique = np.moveaxis(np.argsort(order, -1)[..., : at_shape[axis]], -1, axis)
    if reduction in (None, "none"):
        at = b.add(
            (unique - (shape[axis] if draw.chance(0.2) and b.version >= 11 else 0)).astype(
                b.type("Tind")
            ),
            0.35,
        )
    else:
        at = indices(b, 0, shape[axis], at_shape)
    x = b.tensor(b.type(), shape)
    updates = b.tensor(b.type(), at_shape)
    off_axis = [n for place, n in enumerate(shape) if place != axis % len(shape)]
    at_off_axis = [n for place, n in enumerate(at_shape) if place != axis % len(shape)]
    draw.marks.add("indices of full size" if off_axis == at_off_axis else "indices smaller")
    b.op(
        [x, at, updates],
        {
            "axis": axis if draw.chance(0.8) or axis not in (0, -len(shape)) else None,
            "reduction": reduction,
        },
    )


@recipe("ScatterND")
def scatter_nd(b):
    draw = b.draw
    shape = draw.shape(1, 4, 0)
    depth = draw.between(1, len(shape))
    cells = int(np.prod(shape[:depth]))
    outer = draw.shape(1, 2, 0)
    reduction = reduction_of(b)
    count = int(np.prod(outer))
    if reduction in (None, "none"):
        if count > cells:
            outer, count = (min(cells, 3),), min(cells, 3)
        flat = draw.numpy.permutation(cells)[:count]
    else:
        flat = draw.numpy.integers(0, cells, count)
    at = np.stack(np.unravel_index(flat, shape[:depth]), -1).reshape(*outer, depth)
    if draw.chance(0.2):
        at = at - np.array(shape[:depth])
        draw.marks.add("negative indices")
    x = b.tensor(b.type(), shape)
    updates = b.tensor(b.type(), tuple(outer) + shape[depth:])
    b.op([x, b.add(at.astype(np.int64), 0.35), updates], {"reduction": reduction})


@recipe("OneHot")
def one_hot(b):
    draw = b.draw
    rank = draw.between(0, 3)
    shape = draw.shape(rank, rank)
    depth = draw.between(1, 6)
    t1, t2 = b.type("T1", among=(np.float32, np.int64, np.int32)), b.type("T2")
    low = -depth if b.version >= 11 and np.dtype(t1).kind != "u" else 0
    if draw.chance(0.25):
        low, depth_over = low - 2, 2
        draw.marks.add("indices out of range")
    else:
        depth_over = 0
    at = draw.numpy.integers(low, depth + depth_over, shape)
    axis = draw.between(-rank - 1, rank) if b.version >= 11 else draw.between(-1, rank)
    depth_shape = () if draw.chance(0.6) else (1,)
    b.op(
        [
            b.add(np.asarray(at).astype(t1), 0.2),
            b.add(np.full(depth_shape, depth, t2), 0.7),
            b.tensor(b.type("T3"), (2,), constant=0.6),
        ],
        {"axis": axis if draw.chance(0.7) else None},
    )


@recipe("TensorScatter")
def tensor_scatter(b):
    draw = b.draw
    shape = draw.shape(3, 4, 0)
    axis = draw.between(1, len(shape) - 1)
    update = list(shape)
    update[axis] = draw.between(1, shape[axis])
    mode = b.maybe(["linear", "circular"])
    most = shape[axis] if mode == "circular" else shape[axis] - update[axis] + 1
    at = draw.numpy.integers(0, most, shape[0]).astype(np.int64)
    inputs = [b.tensor(b.type(), shape), b.tensor(b.type(), update)]
    b.op(inputs + [b.add(at, 0.4)] if draw.chance(0.7) else inputs, {"axis": axis, "mode": mode})
