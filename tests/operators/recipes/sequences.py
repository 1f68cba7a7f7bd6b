"""Operators on sequences of tensors, inside graphs that take and give tensors."""

import numpy as np

from . import recipe


def sequence(b, same=False):
    """A sequence of drawn tensors; gives its name, its length and the shapes."""
    draw = b.draw
    count = draw.between(1, 4)
    shape = draw.shape(1, 3, 0)
    shapes = [shape if same else (draw.size(0), *shape[1:]) for _ in range(count)]
    return b.node("SequenceConstruct", [b.tensor(b.type(), s) for s in shapes])[0], count, shapes


def position(b, low, high):
    values = [low, high, b.draw.between(low, high), b.draw.between(low, high)]
    return b.add(np.array(b.draw.pick(values), b.draw.pick([np.int32, np.int64])), 0.5)


def finish(b, name, count):
    """Reads an element of a sequence, and its length."""
    at = b.node("SequenceAt", [name, position(b, -count, count - 1)])[0]
    b.outputs += [at, b.node("SequenceLength", [name])[0]]


@recipe("SequenceAt")
def sequence_at(b):
    name, count, _ = sequence_of(b)
    b.op([name, position(b, -count, count - 1)])


def sequence_of(b):
    b.types["T"] = b.draw.pick([np.float32, np.float32, np.int64, np.int32])
    return sequence(b)


@recipe("SequenceConstruct", "SequenceLength")
def sequence_construct(b):
    name, count, _ = sequence_of(b)
    finish(b, name, count)


@recipe("SequenceEmpty")
def sequence_empty(b):
    draw, dtype = b.draw, b.draw.pick([np.float32, np.int64])
    name = b.node("SequenceEmpty", [], dtype=1 if dtype is np.float32 else 7)[0]
    name = b.node("SequenceInsert", [name, b.tensor(dtype, draw.shape(1))])[0]
    finish(b, name, 1)


@recipe("SequenceInsert")
def sequence_insert(b):
    name, count, shapes = sequence_of(b)
    inputs = [name, b.tensor(b.type(), shapes[0])]
    if b.draw.chance(0.8):
        inputs.append(position(b, -count, count))
    finish(b, b.node("SequenceInsert", inputs)[0], count + 1)


@recipe("SequenceErase")
def sequence_erase(b):
    name, count, shapes = sequence_of(b)
    inputs = [name] + ([position(b, -count, count - 1)] if b.draw.chance(0.8) else [])
    if count == 1:
        b.outputs += b.node("SequenceLength", b.node("SequenceErase", inputs))
    else:
        finish(b, b.node("SequenceErase", inputs)[0], count - 1)


@recipe("ConcatFromSequence")
def concat_from_sequence(b):
    b.types["T"] = np.float32
    name, _, shapes = sequence(b)
    new = b.draw.chance(0.3) and len(set(shapes)) == 1
    rank = len(shapes[0])
    b.op(
        [name],
        {
            "axis": b.draw.pick([0, -rank - 1 if new else -rank]),
            "new_axis": 1 if new else b.maybe([0]),
        },
    )


@recipe("SplitToSequence")
def split_to_sequence(b):
    draw = b.draw
    shape = draw.shape(1, 3, 0)
    axis = draw.between(-len(shape), len(shape) - 1)
    size = shape[axis]
    b.types["T"] = draw.pick([np.float32, np.int64])
    inputs, count = [b.tensor(b.type(), shape)], size
    mode = draw.pick(["none", "scalar", "list"])
    if mode == "scalar":
        each = draw.between(1, size)
        inputs.append(b.add(np.array(each, np.int64), 0.7))
        count = -(-size // each)
    elif mode == "list":
        first = draw.between(0, size)
        inputs.append(b.add(np.array([first, size - first], np.int64), 0.7))
        count = 2
    given = {"axis": axis}
    if draw.chance(0.4):
        given["keepdims"] = draw.between(0, 1)
    b.draw.marks |= {f"split={mode}", f"keepdims={given.get('keepdims')}"}
    finish(b, b.node("SplitToSequence", inputs, **given)[0], count)
