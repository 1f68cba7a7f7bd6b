"""Operators that change the shape, or move elements unchanged."""

import numpy as np

from . import recipe


def integers(values):
    return np.array(values, np.int64)


@recipe("Reshape")
def reshape(b):
    draw = b.draw
    shape = draw.shape()
    count = int(np.prod(shape))
    target, rest = [], count
    while rest > 1 and len(target) < 4:
        factors = [n for n in range(1, rest + 1) if rest % n == 0]
        target.append(draw.pick(factors))
        rest //= target[-1]
    target = target + [rest] if rest != 1 or draw.chance(0.3) else target
    allowzero = b.maybe([0, 1], 0.4) if b.has("allowzero") else None
    if count == 0:
        target = list(shape)
        draw.random.shuffle(target)
    elif target and draw.chance(0.4):
        target[draw.between(0, len(target) - 1)] = -1
    elif shape and target and shape[0] == target[0] and draw.chance(0.7) and not allowzero:
        target[0] = 0
    x = b.tensor(b.type(), shape)
    if b.version < 5:
        b.op([x], {"shape": target})
    else:
        b.op([x, b.add(integers(target), 0.7)], {"allowzero": allowzero})


def axes_input(draw, axes):
    """The axes as an input: a single one is a scalar in some cases."""
    return axes[0] if len(axes) == 1 and draw.chance(0.2) else axes


@recipe("Squeeze")
def squeeze(b):
    draw = b.draw
    shape = list(draw.shape())
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    chosen = draw.random.sample(ones, draw.between(1, len(ones))) if ones else []
    axes = [a - len(shape) if b.version >= 11 and draw.chance(0.35) else a for a in chosen]
    x = b.tensor(b.type(), shape)
    given = axes and draw.chance(0.75)
    if b.version >= 13:
        axes = axes_input(draw, axes)
        b.op([x, b.add(integers(axes), 0.7)] if given else [x])
    else:
        b.op([x], {"axes": axes if given else None})


@recipe("Unsqueeze")
def unsqueeze(b):
    draw = b.draw
    shape = draw.shape(0, 3)
    rank = len(shape) + draw.between(1, 2)
    axes = draw.random.sample(range(rank), rank - len(shape))
    axes = [a - rank if b.version >= 11 and draw.chance(0.35) else a for a in axes]
    x = b.tensor(b.type(), shape)
    if b.version >= 13:
        b.op([x, b.add(integers(axes_input(draw, axes)), 0.7)])
    else:
        b.op([x], {"axes": axes})


@recipe("Flatten")
def flatten(b):
    draw = b.draw
    shape = draw.shape(0 if b.version >= 11 else 1)
    axis = draw.between(-len(shape) if b.version >= 11 else 0, len(shape))
    b.op(
        [b.tensor(b.type(), shape)], {"axis": axis if draw.chance(0.8) or len(shape) < 1 else None}
    )


@recipe("Transpose")
def transpose(b):
    draw = b.draw
    shape = draw.shape()
    perm = draw.random.sample(range(len(shape)), len(shape))
    b.op([b.tensor(b.type(), shape)], {"perm": perm if draw.chance(0.8) and shape else None})


@recipe("Concat")
def concat(b):
    draw = b.draw
    shape = list(draw.shape(1))
    axis = draw.between(0 if b.version < 11 else -len(shape), len(shape) - 1)
    inputs = []
    for _ in range(draw.between(1, 4)):
        shape[axis] = draw.size(0.08)
        inputs.append(b.tensor(b.type(), shape))
    b.op(inputs, {"axis": axis if b.version >= 4 or draw.chance(0.7) or len(shape) < 2 else None})


@recipe("Split")
def split(b):
    draw = b.draw
    shape = list(draw.shape(1))
    axis = draw.between(0 if b.version < 11 else -len(shape), len(shape) - 1)
    count = draw.between(1, 4)
    sizes = [draw.size(0.08) for _ in range(count)]
    by_sizes = draw.chance(0.6)
    uneven = b.version >= 18 and draw.chance(0.4)
    if not by_sizes:
        sizes = [max(1, sizes[0])] * count
        if uneven and count > 1 and sizes[0] > 1:
            sizes[-1] = draw.between(1, sizes[0])
    shape[axis] = sum(sizes)
    x = b.tensor(b.type(), shape)
    attributes = {"axis": axis if draw.chance(0.8) or axis not in (0, -len(shape)) else None}
    inputs = [x]
    if by_sizes and b.version in (2, 11):
        attributes["split"] = sizes
    elif by_sizes:
        inputs.append(b.add(integers(sizes), 0.7))
    elif b.version >= 18:
        attributes["num_outputs"] = count
    b.op(inputs, attributes, count)


@recipe("Slice")
def slicing(b):
    draw = b.draw
    shape = draw.shape(1)
    axes = draw.random.sample(range(len(shape)), draw.between(1, len(shape)))
    starts, ends, steps = [], [], []
    for axis in axes:
        size = shape[axis]
        step = draw.pick([1, 1, 2, 3, -1, -2]) if b.version >= 10 else 1
        far = draw.pick([2**31 - 1, 2**63 - 1, 2**40, 1000])
        edges = [0, 1, -1, size, size - 1, -size, -size - 1, far, -far]
        starts.append(draw.pick(edges + [draw.between(-size, size)] * 3))
        ends.append(draw.pick(edges + [draw.between(-size, size)] * 3))
        steps.append(step)
    x = b.tensor(b.type(), shape)
    if all(axis == place for place, axis in enumerate(axes)) and draw.chance(0.5):
        given = None
    else:
        given = [a - len(shape) if b.version >= 10 and draw.chance(0.35) else a for a in axes]
    if b.version < 10:
        b.op([x], {"starts": starts, "ends": ends, "axes": given})
        return
    kind = np.int64 if max(map(abs, starts + ends)) >= 2**31 or draw.chance(0.6) else np.int32
    constant = draw.pick([0.0, 0.6, 1.0])
    inputs = [x, b.add(np.array(starts, kind), constant), b.add(np.array(ends, kind), constant)]
    with_steps = any(step != 1 for step in steps) or draw.chance(0.4)
    inputs.append(b.add(np.array(given, kind), constant) if given is not None else "")
    inputs.append(b.add(np.array(steps, kind), constant) if with_steps else "")
    b.draw.marks.add("steps<0" if min(steps) < 0 else "steps>1" if max(steps) > 1 else "steps=1")
    b.op(inputs)


@recipe("Pad")
def pad(b):
    draw = b.draw
    shape = draw.shape(1)
    mode = b.maybe(["constant", "reflect", "edge"] + (["wrap"] if b.version >= 19 else []))
    axes = None
    if b.version >= 18 and draw.chance(0.4):
        axes = draw.random.sample(range(len(shape)), draw.between(1, len(shape)))
    padded = axes if axes is not None else range(len(shape))
    pads = []
    for _ in range(2):
        for axis in padded:
            most = max(shape[axis] - 1, 0) if mode == "reflect" else 3
            low = -1 if draw.chance(0.1) and shape[axis] > 2 else 0
            pads.append(draw.between(low, min(most, 3)))
    if any(p < 0 for p in pads):
        draw.marks.add("pads<0")
    x = b.tensor(b.type(), shape)
    if b.version < 11:
        name = "paddings" if b.version == 1 else "pads"
        b.op([x], {name: pads, "mode": mode, "value": b.maybe([1.5, -2.0], 0.4)})
        return
    inputs = [x, b.add(integers(pads), 0.7)]
    inputs.append(b.tensor(b.type(), (), constant=0.7) if draw.chance(0.5) else "")
    if axes is not None:
        signed = [a - len(shape) if draw.chance(0.35) else a for a in axes]
        inputs.append(b.add(np.array(signed, draw.pick([np.int32, np.int64])), 0.7))
    b.op(inputs, {"mode": mode})


@recipe("Expand")
def expand(b):
    draw = b.draw
    shape = draw.shape()
    small = draw.broadcast(shape)
    target = draw.broadcast(shape) if draw.chance(0.3) else shape
    b.op([b.tensor(b.type(), small), b.add(integers(target), 0.6)])


@recipe("Tile")
def tile(b):
    draw = b.draw
    shape = draw.shape(1, 4)
    x = b.tensor(b.type(), shape)
    if b.version == 1:
        times = b.add(integers(draw.between(1, 3)), 0.6)
        b.op([x, times, b.add(integers(draw.between(0, len(shape) - 1)), 0.6)])
        return
    b.op([x, b.add(integers([draw.between(0 if draw.chance(0.1) else 1, 3) for _ in shape]), 0.6)])


@recipe("DepthToSpace", "SpaceToDepth")
def depth(b):
    draw = b.draw
    block, channels = draw.between(1, 3), draw.size(0)
    height, width = draw.between(1, 4), draw.between(1, 4)
    deep = b.key[1] == "DepthToSpace"
    shape = (
        (draw.size(0), channels * block * block, height, width)
        if deep
        else (draw.size(0), channels, height * block, width * block)
    )
    attributes = {"blocksize": block}
    if b.has("mode"):
        attributes["mode"] = b.maybe(["DCR", "CRD"])
    b.op([b.tensor(b.type(), shape)], attributes)


@recipe("Shape")
def shape_of(b):
    draw = b.draw
    x = b.tensor(b.type(), draw.shape())
    edges = [0, 1, 2, -1, -2, 3, -7, 9]
    given = {name: b.maybe(edges, 0.5) for name in ("start", "end") if b.has(name)}
    b.op([x], given)


@recipe("Size")
def size_of(b):
    b.op([b.tensor(b.type(), b.draw.shape())])


@recipe("CenterCropPad")
def center_crop_pad(b):
    draw = b.draw
    shape = draw.shape(1, 4)
    axes = draw.random.sample(range(len(shape)), draw.between(1, len(shape)))
    given = axes if draw.chance(0.6) else None
    target = [draw.between(1, 7) for _ in (given or shape)]
    b.op([b.tensor(b.type(), shape), b.add(integers(target), 0.7)], {"axes": given})


@recipe("ReverseSequence")
def reverse_sequence(b):
    draw = b.draw
    shape = draw.shape(2, 4, 0)
    batch_axis = draw.between(0, 1)
    lens = draw.numpy.integers(1, shape[1 - batch_axis] + 1, shape[batch_axis])
    default = batch_axis == 1 and draw.chance(0.3)
    given = {} if default else {"batch_axis": batch_axis, "time_axis": 1 - batch_axis}
    b.op([b.tensor(b.type(), shape), b.add(lens.astype(np.int64), 0.3)], given)


@recipe("Trilu")
def trilu(b):
    draw = b.draw
    x = b.tensor(b.type(), draw.shape(2))
    k = b.add(integers(draw.between(-4, 4)), 0.6) if draw.chance(0.6) else ""
    b.op([x, k], {"upper": b.maybe([0, 1])})
