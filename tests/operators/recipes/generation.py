"""Operators that make tensors of a given size."""

import numpy as np
from onnx import numpy_helper

import schemas

from . import recipe


@recipe("Constant")
def constant(b):
    draw = b.draw
    values = draw.shape(0, 1)
    choices = {
        "value": lambda: numpy_helper.from_array(draw.tensor(b.type(), draw.shape()), "value"),
        "value_int": lambda: draw.between(-(2**33), 2**33) if draw.chance(0.2) else 7,
        "value_ints": lambda: [draw.between(-9, 9) for _ in range(max(values, default=1))],
        "value_float": lambda: draw.numpy.normal(),
        "value_floats": lambda: list(draw.numpy.normal(0, 2, max(values, default=1))),
        "value_string": lambda: "a",
    }
    name = draw.pick([name for name in choices if b.has(name)])
    # A server takes no model without inputs.
    b.op([], {name: choices[name]()})
    b.outputs += b.node("Neg", [b.tensor(np.float32, (2,))])


@recipe("ConstantOfShape")
def constant_of_shape(b):
    draw = b.draw
    value = None
    if draw.chance(0.7):
        value = numpy_helper.from_array(draw.tensor(b.type("T2"), (1,)), "value")
    b.op([b.add(np.array(draw.shape(0, 4), np.int64), 0.5)], {"value": value})


@recipe("EyeLike")
def eye_like(b):
    draw = b.draw
    x = b.tensor(b.type("T1"), draw.shape(2, 2))
    dtype = None
    if draw.chance(0.6):
        dtype = schemas.element_type(b.type("T2"))
    b.op([x], {"dtype": dtype, "k": b.maybe([-2, -1, 0, 1, 2])})


@recipe("Range")
def ranges(b):
    draw, dtype = b.draw, b.type("T", among=(np.float32, np.float64, np.int16, np.int32, np.int64))
    step = draw.pick([1, 2, 3, -1, -2] + ([0.5, 0.1, -0.3] if np.dtype(dtype).kind == "f" else []))
    start = draw.pick([0, 1, -3, 5] + ([2**31 + 1, -(2**32)] if dtype is np.int64 else []))
    limit = start + draw.between(-2, 10) * (1 if step > 0 else -1)
    b.op([b.add(np.array(v, dtype), 0.5) for v in (start, limit, step)])


@recipe("HannWindow", "HammingWindow", "BlackmanWindow")
def window(b):
    draw = b.draw
    size = np.array(draw.between(1, 20), b.type("T1"))
    dtype = schemas.element_type(b.type("T2")) if draw.chance(0.5) else None
    b.op([b.add(size, 0.6)], {"periodic": b.maybe([0, 1]), "output_datatype": dtype})


@recipe("MelWeightMatrix")
def mel(b):
    draw = b.draw
    values = [
        (draw.between(2, 8), np.int64),
        (draw.pick([8, 16]), np.int64),
        (8192, np.int64),
        (0.0, np.float32),
        (4096.0, np.float32),
    ]
    b.op([b.add(np.array(v, t), 0.7) for v, t in values])
