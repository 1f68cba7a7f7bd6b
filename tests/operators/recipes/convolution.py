"""Convolutions."""

import numpy as np

from . import recipe
from .conversion import quantised, scale, zero_point


class Window:
    """The window of a convolution or a pool, and the attributes that describe it."""

    def __init__(self, b, axes, dilated=True, kernels=(1, 2, 3, 3, 5)):
        draw = self.draw = b.draw
        self.axes = axes
        self.kernel = [draw.pick(kernels) for _ in range(axes)]
        self.strides = [draw.pick([1, 1, 2, 3]) for _ in range(axes)]
        self.dilations = [draw.pick([1, 1, 1, 2]) if dilated else 1 for _ in range(axes)]
        self.auto_pad = draw.pick(["NOTSET"] * 5 + ["SAME_UPPER", "SAME_LOWER", "VALID"])
        even = draw.chance(0.5)
        self.pads = [0] * (2 * axes)
        if self.auto_pad == "NOTSET" and draw.chance(0.6):
            begin = [draw.between(0, max(0, k - 1)) for k in self.kernel]
            end = begin if even else [draw.between(0, max(0, k - 1)) for k in self.kernel]
            self.pads = begin + end
            draw.marks.add("pads>0" if any(self.pads) else "pads=0")
            if begin != end:
                draw.marks.add("pads uneven")
        if self.auto_pad != "NOTSET" and draw.chance(0.5):
            self.strides = [1] * axes
        draw.marks.add("strides>1" if max(self.strides, default=1) > 1 else "strides=1")
        draw.marks.add("dilations>1" if max(self.dilations, default=1) > 1 else "dilations=1")
        draw.marks.add(f"axes={axes}")

    def space(self):
        """Sizes of the axes on which the window fits."""
        sizes = []
        for axis in range(self.axes):
            least = (self.kernel[axis] - 1) * self.dilations[axis] + 1
            least -= self.pads[axis] + self.pads[self.axes + axis]
            sizes.append(max(1, least) + self.draw.pick([0, 0, 1, 2, 3, 5]))
        return tuple(sizes)

    def attributes(
        self, names=("kernel_shape", "strides", "pads", "dilations", "auto_pad"), kernel=False
    ):
        """The attributes; some of those that have their default are left out."""
        draw, ones = self.draw, [1] * self.axes
        given = {}
        if "kernel_shape" in names and (kernel or draw.chance(0.6)):
            given["kernel_shape"] = self.kernel
        if "strides" in names and (self.strides != ones or draw.chance(0.5)):
            given["strides"] = self.strides
        if "dilations" in names and (self.dilations != ones or draw.chance(0.4)):
            given["dilations"] = self.dilations
        if "pads" in names and self.auto_pad == "NOTSET" and (any(self.pads) or draw.chance(0.4)):
            given["pads"] = self.pads
        if "pads" in names and self.auto_pad == "VALID" and draw.chance(0.3):
            given["pads"] = [draw.between(0, k - 1) for k in self.kernel * 2]
            draw.marks.add("pads of VALID")
        if self.auto_pad != "NOTSET" or draw.chance(0.15):
            given["auto_pad"] = self.auto_pad
        return given


def channels(draw):
    """A number of groups, and of input and output channels."""
    group = draw.pick([1, 1, 1, 2, 3, 4])
    inside = draw.between(1, 3)
    if draw.chance(0.25):
        group, inside = draw.between(2, 5), 1
        draw.marks.add("depthwise")
    draw.marks.add("group=1" if group == 1 else "group>1")
    return group, group * inside, group * draw.between(1, 3)


@recipe("Conv")
def conv(b):
    draw = b.draw
    window = Window(b, draw.pick([1, 2, 2, 2, 3]))
    group, inputs, outputs = channels(draw)
    x = b.tensor(b.type(), (draw.size(), inputs) + window.space())
    w = b.tensor(b.type(), [outputs, inputs // group, *window.kernel], constant=0.7)
    operands = [x, w]
    if draw.chance(0.5):
        operands.append(b.tensor(b.type(), (outputs,), constant=0.7))
    b.op(
        operands, window.attributes() | ({"group": group} if group > 1 or draw.chance(0.3) else {})
    )


@recipe("ConvInteger")
def conv_integer(b):
    draw = b.draw
    window = Window(b, draw.pick([1, 2, 2, 2, 3]))
    group, inputs, outputs = channels(draw)
    t1, t2 = b.type("T1"), b.type("T2")
    operands = [
        quantised(b, t1, (draw.size(0), inputs) + window.space()),
        quantised(b, t2, [outputs, inputs // group, *window.kernel], 0.7),
    ]
    if draw.chance(0.7):
        operands.append(zero_point(b, t1, ()))
        if draw.chance(0.7):
            operands.append(zero_point(b, t2, (outputs,) if draw.chance(0.3) else ()))
    b.op(operands, window.attributes() | ({"group": group} if group > 1 else {}))


@recipe("QLinearConv")
def qlinear_conv(b):
    draw = b.draw
    window = Window(b, draw.pick([1, 2, 2]))
    group, inputs, outputs = channels(draw)
    t1, t2, t3 = b.type("T1"), b.type("T2"), b.type("T3")
    per = (outputs,) if draw.chance(0.3) else ()
    operands = [
        quantised(b, t1, (draw.size(0), inputs) + window.space()),
        scale(b, ()),
        zero_point(b, t1, ()),
        quantised(b, t2, [outputs, inputs // group, *window.kernel], 0.7),
        scale(b, per),
        zero_point(b, t2, per),
        scale(b, ()),
        zero_point(b, t3, ()),
    ]
    if draw.chance(0.4):
        operands.append(b.add(draw.numpy.integers(-99, 99, outputs).astype(np.int32), 0.7))
    b.op(operands, window.attributes() | ({"group": group} if group > 1 else {}))


@recipe("ConvTranspose")
def conv_transpose(b):
    draw = b.draw
    window = Window(b, draw.pick([1, 2, 2, 2, 3]))
    group, inputs, outputs = channels(draw)
    space = [draw.between(1, 5) for _ in range(window.axes)]
    x = b.tensor(b.type(), [draw.size(0), inputs, *space])
    w = b.tensor(b.type(), [inputs, outputs // group, *window.kernel], constant=0.7)
    operands = [x, w]
    if draw.chance(0.5):
        operands.append(b.tensor(b.type(), (outputs,), constant=0.7))
    given = window.attributes() | ({"group": group} if group > 1 or draw.chance(0.3) else {})
    if draw.chance(0.3):
        given["output_padding"] = [
            draw.between(0, max(s, d) - 1) for s, d in zip(window.strides, window.dilations)
        ]
    if draw.chance(0.2) and window.auto_pad != "VALID":
        given["output_shape"] = [s * n + draw.between(0, s) for s, n in zip(window.strides, space)]
        given.pop("pads", None)
    b.op(operands, given)


@recipe("DeformConv")
def deform_conv(b):
    draw = b.draw
    window = Window(b, 2)
    window.auto_pad = "NOTSET"
    group, inputs, outputs = channels(draw)
    space, batch = window.space(), draw.between(1, 2)
    out = [
        (n + window.pads[i] + window.pads[2 + i] - (window.kernel[i] - 1) * window.dilations[i] - 1)
        // window.strides[i]
        + 1
        for i, n in enumerate(space)
    ]
    taps = int(np.prod(window.kernel))
    operands = [
        b.tensor(b.type(), (batch, inputs) + space),
        b.tensor(b.type(), [outputs, inputs // group, *window.kernel], constant=0.6),
        b.tensor(b.type(), (batch, 2 * taps, *out), "unit"),
    ]
    operands.append(b.tensor(b.type(), (outputs,)) if draw.chance(0.5) else "")
    operands.append(b.tensor(b.type(), (batch, taps, *out), "unit") if draw.chance(0.5) else "")
    names = ("kernel_shape", "strides", "pads", "dilations")
    given = window.attributes(names)
    given.pop("auto_pad", None)
    b.op(operands, given | {"group": group})
