"""Operators that compute each element by itself."""

import numpy as np

from . import recipe

UNARY = """Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Exp Floor HardSwish Identity IsNaN
Log Mish Neg Not Reciprocal Relu Round Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Tan Tanh
BitwiseNot Celu Elu HardSigmoid LeakyRelu Selu Shrink ThresholdedRelu Swish Gelu IsInf""".split()
FACTORS = (0.01, 0.2, 0.5, 1.0, 1.7, -0.3, 0.0, 3.0)
ATTRIBUTES = {
    "alpha": FACTORS,
    "beta": FACTORS,
    "gamma": FACTORS,
    "bias": FACTORS,
    "lambd": FACTORS,
    "approximate": ("none", "tanh"),
    "detect_negative": (0, 1),
    "detect_positive": (0, 1),
}


@recipe(*UNARY)
def unary(b):
    x = b.tensor(b.type_of(0), b.draw.shape())
    b.op([x], {name: b.maybe(values) for name, values in ATTRIBUTES.items() if b.has(name)})


def divisor(b, array):
    """Without the values by which a division has no result."""
    if array.dtype.kind in "iu":
        array = np.where(array == 0, 3, array)
        if array.dtype.kind == "i":
            array = np.where(array == -1, 2, array)
        array = array.astype(b.types_used)
    return array


@recipe(
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Mod",
    "And",
    "Or",
    "Xor",
    "Equal",
    "Greater",
    "Less",
    "GreaterOrEqual",
    "LessOrEqual",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "BitShift",
)
def binary(b):
    draw, name = b.draw, b.key[1]
    left, right, x = b.type_of(0), b.type_of(1), None
    shape = draw.shape()
    attributes, single = {}, False
    if b.has("broadcast"):
        second = draw.broadcast(shape)
        attributes = {"broadcast": 1}
        if draw.chance(0.5) and shape:
            axis = draw.between(0, len(shape) - 1)
            second = shape[axis : axis + draw.between(1, len(shape))]
            attributes["axis"] = axis
        first = shape
    else:
        first, second = draw.broadcast(shape), draw.broadcast(shape)
        if draw.chance(0.1):
            # A single number of more dimensions than the other operand.
            second = (1,) * draw.between(0, len(first) + 1)
            single = draw.chance(0.5)
    if name in ("Div", "Mod") and np.dtype(right).kind in "iu":
        b.types_used = right
        y = b.add(divisor(b, draw.tensor(right, second)), 0.25)
    elif name == "BitShift":
        y = b.add(draw.numpy.integers(0, 8, second).astype(right), 0.25)
    elif name == "Pow" and np.dtype(right).kind in "iu":
        y = b.add(draw.numpy.integers(0, 4, second).astype(right), 0.25)
    elif name == "Pow" and draw.chance(0.5):
        y = b.add(
            np.asarray(draw.numpy.choice([0, 1, 2, 3, 0.5, -1, -2, 1.5], second)).astype(right), 0.4
        )
    elif name == "Div" and right is np.float32 and draw.chance(0.08):
        # Divisors whose reciprocals are infinite, and a finite quotient.
        y = b.add(np.asarray(draw.numpy.choice([1e-40, -2e-39], second)).astype(right), 0.25)
        x = b.add(np.asarray(draw.numpy.choice([2e-39, 0.01], first)).astype(left), 0.12)
    else:
        y = b.tensor(right, second, constant=1.0 if single else 0.25)
    x = x or b.tensor(left, first)
    if name == "Mod":
        attributes["fmod"] = 1 if np.dtype(left).kind == "f" else b.maybe([0, 1])
    if name == "BitShift":
        attributes["direction"] = draw.pick(["LEFT", "RIGHT"])
    b.op([x, y], attributes)


@recipe("PRelu")
def prelu(b):
    shape = b.draw.shape(1)
    slope = b.draw.broadcast(shape)
    if b.version < 7:
        slope = (shape[1] if len(shape) > 1 else 1,)
    b.op([b.tensor(b.type(), shape), b.tensor(b.type(), slope, constant=0.5)])


@recipe("Max", "Min", "Mean", "Sum")
def variadic(b):
    shape = b.draw.shape()
    count = b.draw.between(1, 4)
    shapes = [b.draw.broadcast(shape) if b.version >= 8 else shape for _ in range(count)]
    b.op([b.tensor(b.type(), shape) for shape in shapes])


@recipe("Where")
def where(b):
    shape = b.draw.shape()
    condition = b.tensor(np.bool_, b.draw.broadcast(shape))
    b.op(
        [
            condition,
            b.tensor(b.type(), b.draw.broadcast(shape)),
            b.tensor(b.type(), b.draw.broadcast(shape)),
        ]
    )


@recipe("Clip")
def clip(b):
    draw, dtype = b.draw, b.type()
    low, high = sorted(
        [draw.tensor(dtype, (), "ties" if draw.chance(0.7) else None) for _ in range(2)],
        key=lambda v: float(np.nan_to_num(v.astype(np.float64))),
    )
    if draw.chance(0.1):
        low, high = high, low
        draw.marks.add("min>max")
    x = b.tensor(dtype, draw.shape())
    if b.version < 11:
        b.op([x], {"min": b.maybe([float(low)]), "max": b.maybe([float(high)])})
        return
    inputs = [x] + [b.add(v, 0.6) if draw.chance(0.7) else "" for v in (low, high)]
    b.op(inputs)


@recipe("Dropout")
def dropout(b):
    draw = b.draw
    x = b.tensor(b.type(), draw.shape())
    outputs = [1, int(draw.chance(0.4))][: draw.between(1, 2)]
    if b.version >= 12:
        ratio = (
            b.add(np.array(draw.pick([0.0, 0.3, 0.9]), np.float32), 0.6) if draw.chance(0.6) else ""
        )
        training = b.add(np.array(False), 0.7) if draw.chance(0.5) else ""
        b.op([x, ratio, training], {"seed": b.maybe([0, 1])}, outputs)
        return
    b.op([x], {"ratio": b.maybe([0.0, 0.3]), "is_test": 1 if b.has("is_test") else None}, outputs)
