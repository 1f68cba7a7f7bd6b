"""Operators that convert between datatypes, and quantise."""

import numpy as np

import schemas

from . import recipe


@recipe("Cast", "CastLike", "BitCast")
def cast(b):
    draw, name = b.draw, b.key[1]
    second = "T2"
    source, target = b.type("T1"), b.type(second)
    shape = draw.shape()
    if name == "BitCast":
        source, target = draw.pick(
            [
                (np.float32, np.int32),
                (np.int32, np.float32),
                (np.int8, np.uint8),
                (np.uint8, np.int8),
                (np.int64, np.float64),
            ]
        )
        b.op([b.tensor(source, shape)], {"to": schemas.element_type(target)})
        return
    if source is object:
        x = b.add(
            np.asarray(draw.numpy.choice(np.array(["1", "-2", "0.5", "3"], object), shape)), 0.2
        )
    elif np.dtype(source).kind == "f" and np.dtype(target).kind in "iu":
        # Values beyond the range of the target have no defined result.
        high = min(np.iinfo(target).max, 1000)
        low = max(np.iinfo(target).min, -1000)
        x = b.add(draw.numpy.uniform(low, high, shape).astype(source), 0.12)
    else:
        x = b.tensor(source, shape)
    if name == "CastLike":
        as_number(b, b.op([x, b.tensor(target, draw.shape(0, 2))]), target)
        return
    to = schemas.element_type(target)
    if b.version == 1:
        to = {1: "FLOAT", 6: "INT32", 7: "INT64", 9: "BOOL", 11: "DOUBLE"}.get(to, "FLOAT")
    as_number(b, b.op([x], {"to": to}), target)


def as_number(b, names, target):
    """Reads a result of BOOL as a number, too: true is 1."""
    if target is np.bool_ and b.version >= 9 and b.draw.chance(0.5):
        b.outputs += b.node("Cast", names, to=schemas.element_type(np.int32))


def quantised(b, dtype, shape, constant=0.12):
    return b.add(b.draw.tensor(dtype, shape, "full"), constant)


def zero_point(b, dtype, shape, constant=0.7):
    draw = b.draw
    limits = np.iinfo(dtype)
    if draw.chance(0.3) or limits.bits == 32:
        return b.add(np.zeros(shape, dtype), constant)
    values = draw.numpy.integers(limits.min, limits.max, shape, endpoint=True)
    return b.add(np.asarray(values).astype(dtype), constant)


def scale(b, shape, dtype=np.float32, constant=0.7):
    draw = b.draw
    if draw.chance(0.5):
        draw.marks.add("scale=power of two")
        values = draw.numpy.choice([0.5, 1.0, 2.0, 0.25, 0.125], shape)
    else:
        values = draw.numpy.uniform(0.01, 1, shape)
    return b.add(np.asarray(values).astype(dtype), constant)


@recipe("QuantizeLinear", "DequantizeLinear")
def linear(b):
    draw, version = b.draw, b.version
    quantise = b.key[1] == "QuantizeLinear"
    types = (np.int8, np.uint8) + ((np.int16, np.uint16) if version >= 21 else ())
    types = types if quantise else types + (np.int32,)
    dtype = draw.pick(types)
    draw.marks.add(f"quantised={np.dtype(dtype).name}")
    shape = draw.shape()
    axis, scales, block, given = None, (), None, None
    if version >= 13 and shape and draw.chance(0.6):
        axis = draw.between(-len(shape), len(shape) - 1)
        given = axis if axis != 1 or draw.chance(0.5) else None
        scales = (shape[axis],)
        draw.marks.add("per axis")
        if version >= 21 and draw.chance(0.3) and shape[axis] > 0:
            block = draw.pick([n for n in range(1, shape[axis] + 1) if shape[axis] % n == 0])
            scales = list(shape)
            scales[axis] //= block
            draw.marks.add("blocks")
    elif version >= 13:
        given = b.maybe([0, 1, -1], 0.3) if len(shape) > 1 else None
        draw.marks.add("per tensor")
    of = np.float16 if version >= 19 and draw.chance(0.15) else np.float32
    if quantise:
        kind = draw.pick(["normal", "halves", "ties", "large_mean", "not_finite", None])
        x = b.tensor(of, shape, kind)
    else:
        x = quantised(b, dtype, shape)
    inputs = [x, scale(b, scales, of)]
    if quantise and of is np.float32 and not scales and x in b.feeds and draw.chance(0.3):
        # Quotients that are a half: 2.5 times 0.1 by 0.1.
        by = {**b.constants, **b.feeds}[inputs[1]]
        b.feeds[x] = ((draw.numpy.integers(-6, 6, shape) + 0.5) * np.float64(by)).astype(of)
        draw.marks.add("quotients=halves")
    with_zero = draw.chance(0.7) or (quantise and dtype is not np.uint8)
    if with_zero:
        inputs.append(zero_point(b, dtype, scales))
    attributes = {"axis": given, "block_size": block}
    if quantise and version >= 19:
        attributes["saturate"] = b.maybe([0, 1], 0.25)
    if b.has("precision"):
        attributes["precision"] = b.maybe([0, 1], 0.3)
    if not quantise and b.has("output_dtype"):
        attributes["output_dtype"] = b.maybe([0, schemas.element_type(of)], 0.4)
    if quantise and version >= 21 and not with_zero and draw.chance(0.4):
        attributes["output_dtype"] = schemas.element_type(dtype)
    b.op(inputs, attributes)


@recipe("DynamicQuantizeLinear")
def dynamic(b):
    b.op([b.tensor(np.float32, b.draw.shape())], {}, 3)
