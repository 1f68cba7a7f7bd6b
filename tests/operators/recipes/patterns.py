"""Chains of nodes that optimisers replace by one node, and chains that only look like them."""

import numpy as np

import schemas

PATTERNS = []


def pattern(function):
    PATTERNS.append(function)
    return function


def number(b, *values):
    """A constant: mostly the first value, which belongs to the pattern."""
    draw = b.draw
    value = values[0] if draw.chance(0.7) or len(values) < 2 else draw.pick(values[1:])
    shape = draw.pick([(), (), (1,), (1, 1, 1, 1)])
    draw.marks.add(f"factor rank={len(shape)}")
    return b.add(np.full(shape, value, np.float32), 0.92)


def either(b, operator, left, right):
    """A node of a commutative operator with its inputs in any order."""
    pair = [left, right] if b.draw.chance(0.5) else [right, left]
    return b.node(operator, pair)[0]


def finish(b, name, *others):
    """The outputs: the last result, and sometimes results inside the chain."""
    b.outputs.append(name)
    if b.draw.chance(0.2):
        b.outputs += [other for other in others if other not in b.outputs][:1]
        b.draw.marks.add("inner output")


def axes_reduction(b, operator, x, axes, keepdims=1):
    given = {} if keepdims == 1 and b.draw.chance(0.5) else {"keepdims": keepdims}
    if b.opset >= 18:
        return b.node(operator, [x, b.add(np.array(axes, np.int64), 0.9)], **given)[0]
    return b.node(operator, [x], axes=axes, **given)[0]


@pattern
def gelu(b):
    x = b.tensor(np.float32, b.draw.shape(1, 4))
    scaled = (
        b.node("Div", [x, number(b, 2**0.5, 1.4, 2.0)])[0]
        if b.draw.chance(0.5)
        else either(b, "Mul", x, number(b, 0.5**0.5, 0.7, 0.5))
    )
    erf = b.node("Erf", [scaled])[0]
    plus = either(b, "Add", erf, number(b, 1.0, 0.5, 2.0))
    finish(b, either(b, "Mul", either(b, "Mul", x, plus), number(b, 0.5, 1.0, 0.49)), erf, plus)


@pattern
def tanh_gelu(b):
    x = b.tensor(np.float32, b.draw.shape(1, 3))
    cube = b.node("Pow", [x, number(b, 3.0, 2.0, 4.0)])[0]
    inner = either(b, "Add", x, either(b, "Mul", cube, number(b, 0.044715, 0.05)))
    tanh = b.node("Tanh", [either(b, "Mul", inner, number(b, (2 / np.pi) ** 0.5, 0.8, 1.0))])[0]
    half = either(b, "Mul", x, number(b, 0.5, 0.4))
    finish(b, either(b, "Mul", half, either(b, "Add", tanh, number(b, 1.0, 2.0))), tanh)


@pattern
def swish(b):
    shape = b.draw.shape(1, 4)
    x = b.tensor(np.float32, shape)
    inner = either(b, "Mul", x, number(b, 1.702, 0.5, -1.0)) if b.draw.chance(0.5) else x
    other = x if b.draw.chance(0.8) else b.tensor(np.float32, shape)
    finish(b, either(b, "Mul", other, b.node("Sigmoid", [inner])[0]), inner)


@pattern
def layer_normalisation(b):
    draw = b.draw
    shape = draw.shape(1, 4, 0)
    x = b.tensor(np.float32, shape, draw.pick([None, "normal", "large_mean"]))
    axes = draw.pick([[-1], [-1], [len(shape) - 1], [0], [-1, 0] if len(shape) > 1 else [-1]])
    keepdims = 1 if draw.chance(0.93) or axes != [-1] else 0
    draw.marks |= {f"axes={axes}", f"keepdims={keepdims}"}
    mean = axes_reduction(b, "ReduceMean", x, axes, keepdims)
    centred = b.node("Sub", [x, mean] if draw.chance(0.95) else [mean, x])[0]
    square = (
        b.node("Pow", [centred, number(b, 2.0, 3.0)])[0]
        if draw.chance(0.8)
        else b.node("Mul", [centred, centred])[0]
    )
    variance = axes_reduction(b, "ReduceMean", square, axes if draw.chance(0.9) else [0])
    root = b.node("Sqrt", [either(b, "Add", variance, number(b, 1e-5, 1e-3, 0.1))])[0]
    normal = b.node("Div", [centred, root])[0]
    width = shape[-1:] if draw.chance(0.8) else draw.broadcast(shape)
    scaled = either(b, "Mul", normal, b.tensor(np.float32, width, "normal", 0.9))
    if draw.chance(0.7):
        scaled = either(
            b,
            "Add",
            scaled,
            b.tensor(
                np.float32, width if draw.chance(0.9) else draw.broadcast(shape), "normal", 0.9
            ),
        )
    finish(b, scaled, normal, centred)


@pattern
def rms_normalisation(b):
    draw = b.draw
    shape = draw.shape(1, 4, 0)
    x = b.tensor(np.float32, shape, draw.pick([None, "normal", "large_mean"]))
    square = b.node("Pow", [x, number(b, 2.0, 3.0)])[0]
    mean = axes_reduction(b, "ReduceMean", square, draw.pick([[-1], [-1], [0], [len(shape) - 1]]))
    root = b.node("Sqrt", [either(b, "Add", mean, number(b, 1e-6, 1e-3, 0.5))])[0]
    inverse = (
        b.node("Reciprocal", [root])[0]
        if draw.chance(0.5)
        else b.node("Div", [number(b, 1.0, 2.0), root])[0]
    )
    normal = either(b, "Mul", x, inverse)
    width = shape[-1:] if draw.chance(0.8) else draw.broadcast(shape)
    finish(b, either(b, "Mul", normal, b.tensor(np.float32, width, "normal", 0.9)), normal)


@pattern
def matmul_chain(b):
    from .matrices import matrix_shapes

    draw = b.draw
    left, right = matrix_shapes(draw)
    x, y = b.tensor(np.float32, left), b.tensor(np.float32, right, constant=0.4)
    if draw.chance(0.4):
        x = (
            either(b, "Mul", x, number(b, 0.5, 2.0))
            if draw.chance(0.5)
            else b.node("Div", [x, number(b, 8.0, 0.5)])[0]
        )
    for swapped in range(2):
        if draw.chance(0.35) and min(len(left), len(right)) > 1:
            shape = (left, right)[swapped]
            perm = list(range(len(shape)))
            perm[-2:] = perm[:-3:-1]
            if draw.chance(0.3):
                perm = draw.random.sample(perm, len(perm))
            inverse = np.argsort(perm)
            data = b.tensor(np.float32, [shape[axis] for axis in inverse])
            turned = b.node("Transpose", [data], perm=perm)[0]
            x, y = (turned, y) if swapped == 0 else (x, turned)
    product = b.node("MatMul", [x, y])[0]
    if draw.chance(0.4):
        product = (
            either(b, "Mul", product, number(b, 0.125, 2.0))
            if draw.chance(0.5)
            else b.node("Div", [product, number(b, 8.0)])[0]
        )
    if draw.chance(0.6) and len(right) > 1:
        width = draw.pick([right[-1:], right[-1:], (1,), (), (1, right[-1])])
        product = either(b, "Add", product, b.tensor(np.float32, width, constant=0.85))
    finish(b, product)


@pattern
def quantised_matmul(b):
    draw = b.draw
    rows, inner, columns = draw.size(0), draw.size(0), draw.size(0)
    x = b.tensor(np.float32, draw.pick([(), (2,)]) + (rows, inner))
    quantised, scale, zero = b.node("DynamicQuantizeLinear", [x], 3)
    kind = draw.pick([np.int8, np.uint8])
    weights = b.add(draw.tensor(kind, (inner, columns), "full"), 0.85)
    width = draw.pick([(), (columns,)])
    inputs = [quantised, weights, zero]
    if draw.chance(0.8):
        inputs.append(b.add(np.full(width, 0 if draw.chance(0.6) else 5, kind), 0.9))
    whole = b.node("MatMulInteger", inputs)[0]
    wide = b.node("Cast", [whole], to=1)[0]
    of_weights = b.tensor(np.float32, draw.pick([(), (columns,), (1,), (rows, 1)]), "positive", 0.9)
    factor = either(b, "Mul", scale, of_weights)
    result = either(b, "Mul", wide, factor)
    if draw.chance(0.6):
        result = either(b, "Add", result, b.tensor(np.float32, (columns,), constant=0.9))
    finish(b, result, whole)


@pattern
def quantised_conv(b):
    draw = b.draw
    channels, outputs, size = draw.between(1, 3), draw.between(1, 4), draw.between(3, 6)
    x = b.tensor(np.float32, (draw.between(1, 2), channels, size, size))
    quantised, scale, zero = b.node("DynamicQuantizeLinear", [x], 3)
    kind = draw.pick([np.int8, np.uint8])
    weights = b.add(draw.tensor(kind, (outputs, channels, 3, 3), "full"), 0.9)
    inputs = [quantised, weights, zero] + (
        [b.add(np.zeros((), kind), 0.9)] if draw.chance(0.7) else []
    )
    pads = [1] * 4 if draw.chance(0.5) else [0] * 4
    draw.marks.add(f"pads={pads}")
    whole = b.node("ConvInteger", inputs, pads=pads)[0]
    wide = b.node("Cast", [whole], to=1)[0]
    factor = either(
        b,
        "Mul",
        scale,
        b.tensor(np.float32, draw.pick([(), (1,), (1, outputs, 1, 1)]), "positive", 0.9),
    )
    result = either(b, "Mul", wide, factor)
    if draw.chance(0.6):
        result = either(b, "Add", result, b.tensor(np.float32, (1, outputs, 1, 1), constant=0.9))
    finish(b, result, whole)


@pattern
def convolution_chain(b):
    draw = b.draw
    channels, outputs, size, axes = (
        draw.between(1, 3),
        draw.between(1, 4),
        draw.between(3, 6),
        draw.pick([1, 2, 2]),
    )
    x = b.tensor(np.float32, (draw.between(1, 2), channels, *[size] * axes))
    inputs = [x, b.tensor(np.float32, (outputs, channels, *[3] * axes), constant=0.9)]
    if draw.chance(0.4):
        inputs.append(b.tensor(np.float32, (outputs,), constant=0.9))
    result = b.node("Conv", inputs, pads=[1] * 2 * axes)[0]
    for _ in range(draw.between(1, 3)):
        step = draw.pick(["Add", "Mul", "BatchNormalization", "Relu", "Clip"])
        if step in ("Add", "Mul"):
            width = draw.pick(
                [
                    (outputs, *[1] * axes),
                    (1, outputs, *[1] * axes),
                    (1,),
                    (),
                    (size,),
                    (outputs, size) if axes == 1 else (size, size),
                ]
            )
            result = either(b, step, result, b.tensor(np.float32, width, "normal", 0.9))
        elif step == "BatchNormalization":
            of = [
                b.tensor(np.float32, (outputs,), kind, 0.9)
                for kind in ("normal", "normal", "normal", "positive")
            ]
            result = b.node(step, [result, *of], epsilon=draw.pick([1e-5, 1e-3]))[0]
        elif step == "Clip" and b.opset >= 11:
            result = (
                b.node(step, [result, number(b, 0.0, -1.0), ""])[0]
                if False
                else b.node(
                    step,
                    [
                        result,
                        b.add(np.array(-0.5, np.float32), 0.9),
                        b.add(np.array(1.0, np.float32), 0.9),
                    ],
                )[0]
            )
        else:
            result = b.node("Relu", [result])[0]
    finish(b, result)


@pattern
def masked_softmax(b):
    draw = b.draw
    shape = draw.shape(2, 4, 0)
    scores, mask = (
        b.tensor(np.float32, shape),
        b.tensor(
            np.float32, draw.broadcast(shape), draw.pick(["zeros", "not_finite", "normal", "ties"])
        ),
    )
    result = either(b, "Add", scores, mask)
    axis = draw.pick([-1, -1, len(shape) - 1, 0])
    draw.marks.add(f"axis={axis}")
    result = b.node(
        "Softmax",
        [result],
        **({"axis": axis} if b.opset >= 13 or axis != -1 else {"axis": len(shape) - 1}),
    )[0]
    if draw.chance(0.5):
        result = b.node("Where", [b.node("IsNaN", [result])[0], number(b, 0.0, 1.0), result])[0]
    finish(b, result)


@pattern
def repeated(b):
    draw = b.draw
    batch, heads, times, length, size = (
        1,
        draw.between(1, 3),
        draw.between(1, 3),
        draw.between(1, 3),
        draw.between(1, 4),
    )
    x = b.tensor(np.float32, (batch, heads, length, size))
    axis = 2 if draw.chance(0.8) else 1
    wide = [batch, heads, length, size]
    wide.insert(axis, times)
    inner = b.node("Unsqueeze", [x, b.add(np.array([axis], np.int64), 0.9)])[0]
    inner = b.node("Expand", [inner, b.add(np.array(wide), 0.8)])[0]
    shape = [batch, heads * times, length, size]
    result = b.node("Reshape", [inner, b.add(np.array(shape), 0.8)])[0]
    draw.marks.add(f"unsqueezed={axis}")
    if draw.chance(0.6):
        turned = b.node("Transpose", [result], perm=[0, 1, 3, 2])[0] if draw.chance(0.5) else result
        rows = size if turned != result else length
        result = b.node("MatMul", [b.tensor(np.float32, (batch, heads * times, 2, rows)), turned])[
            0
        ]
    finish(b, result)


@pattern
def shape_arithmetic(b):
    draw = b.draw
    shape = draw.shape(2, 4, 0)
    x = b.tensor(np.float32, shape)
    sizes = b.node("Shape", [x])[0]
    at = draw.between(-len(shape), len(shape) - 1)
    if draw.chance(0.5):
        end = at + 1 if at != -1 else 2**63 - 1
        picked = b.node("Slice", [sizes, b.add(np.array([at]), 0.9), b.add(np.array([end]), 0.9)])[
            0
        ]
    else:
        picked = b.node("Gather", [sizes, b.add(np.array([at]), 0.9)])[0]
    rest = b.add(np.array([-1]), 0.9)
    operator = draw.pick(["Mul", "Div", "Add", None])
    if operator == "Mul" or operator == "Add":
        extra = b.node(operator, [picked, b.add(np.array([2]), 0.9)])[0]
        b.outputs.append(extra)
    elif operator == "Div":
        b.outputs.append(b.node("Div", [picked, b.add(np.array([2]), 0.9)])[0])
    target = b.node("Concat", [picked, rest] if draw.chance(0.5) else [rest, picked], axis=0)[0]
    b.outputs.append(b.node("Reshape", [x, target])[0])


@pattern
def transposed_operand(b):
    draw = b.draw
    shape = draw.shape(2, 4, 0)
    perm = draw.random.sample(range(len(shape)), len(shape))
    x = b.node("Transpose", [b.tensor(np.float32, shape)], perm=perm)[0]
    turned = [shape[axis] for axis in perm]
    step = draw.pick(
        ["Concat", "Slice", "Softmax", "Reshape", "Expand", "Transpose", "Split", "Add"]
    )
    draw.marks.add(f"step={step}")
    if step == "Concat":
        result = b.node(
            step, [x, b.tensor(np.float32, turned)], axis=draw.between(0, len(shape) - 1)
        )[0]
    elif step == "Slice":
        result = b.node(step, [x, b.add(np.array([0, 1]), 0.9), b.add(np.array([9, 9]), 0.9)])[0]
    elif step == "Softmax":
        result = b.node(step, [x], axis=draw.between(0, len(shape) - 1))[0]
    elif step == "Reshape":
        result = b.node(step, [x, b.add(np.array([-1]), 0.9)])[0]
    elif step == "Expand":
        result = b.node(step, [x, b.add(np.array([2, *turned]), 0.9)])[0]
    elif step == "Transpose":
        result = b.node(step, [x], perm=draw.random.sample(range(len(shape)), len(shape)))[0]
    elif step == "Split":
        axis = draw.between(0, len(shape) - 1)
        result = b.node(step, [x, b.add(np.array([1, turned[axis] - 1]), 0.9)], 2, axis=axis)[0]
    else:
        result = b.node(step, [x, b.tensor(np.float32, turned)])[0]
    finish(b, result)


@pattern
def neutral(b):
    """Operations that change nothing, unless shapes or types differ."""
    draw = b.draw
    shape = draw.shape(0, 3)
    x = b.tensor(np.float32, shape)
    for _ in range(draw.between(1, 3)):
        step = draw.pick(["Add", "Sub", "Mul", "Div", "Identity", "Cast", "Reciprocal"])
        if step == "Identity":
            x = b.node(step, [x])[0]
        elif step == "Cast":
            x = b.node(
                step,
                [x],
                to=schemas.element_type(
                    draw.pick([np.float32, np.int32, np.int64, np.float64, np.bool_])
                ),
            )[0]
            x = b.node(step, [x], to=1)[0]
        elif step == "Reciprocal":
            x = b.node("Div", [number(b, 1.0, 2.0), x])[0]
        else:
            value = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}[step]
            pair = [x, number(b, value, 1.0, 0.0)]
            x = b.node(step, pair if draw.chance(0.8) else pair[::-1])[0]
    finish(b, b.node("Relu", [x])[0])
