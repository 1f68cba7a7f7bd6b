"""Pools."""

import numpy as np

from . import recipe
from .convolution import Window


@recipe("MaxPool", "AveragePool", "LpPool")
def pool(b):
    draw = b.draw
    window = Window(b, draw.pick([1, 2, 2, 2, 3]), b.has("dilations"), (1, 2, 2, 3, 3))
    x = b.tensor(b.type(), (draw.size(), draw.size()) + window.space())
    names = ("kernel_shape", "strides", "pads") + (("dilations",) if b.has("dilations") else ())
    given = window.attributes(names, True)
    for name in ("ceil_mode", "count_include_pad"):
        if b.has(name):
            given[name] = b.maybe([0, 1])
    if b.has("p"):
        given["p"] = b.maybe([1, 2, 3])
    outputs = 1
    if b.key[1] == "MaxPool" and b.version >= 8 and draw.chance(0.25):
        outputs = 2
        given["storage_order"] = b.maybe([0, 1])
    b.op([x], given, outputs)


@recipe("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(b):
    given = {"p": b.maybe([1, 2, 3])} if b.has("p") else {}
    b.op([b.tensor(b.type(), b.draw.shape(3, 5))], given)


@recipe("MaxUnpool")
def max_unpool(b):
    draw = b.draw
    kernel = [2, 2]
    shape = (draw.between(1, 2), draw.between(1, 2), draw.between(1, 3), draw.between(1, 3))
    cells = shape[2] * shape[3] * 4
    flat = np.stack(
        [
            draw.numpy.permutation(cells)[: shape[2] * shape[3]] + cells * i
            for i in range(shape[0] * shape[1])
        ]
    ).reshape(shape)
    b.op(
        [b.tensor(b.type("T1"), shape), b.add(flat.astype(np.int64), 0.3)],
        {"kernel_shape": kernel, "strides": kernel},
    )


@recipe("MaxRoiPool")
def max_roi_pool(b):
    draw = b.draw
    shape = (draw.between(1, 2), draw.between(1, 3), draw.between(4, 8), draw.between(4, 8))
    rois = [
        [
            draw.between(0, shape[0] - 1),
            *sorted(draw.between(0, 3) for _ in range(2)),
            *[draw.between(3, 7) for _ in range(2)],
        ]
        for _ in range(draw.between(1, 3))
    ]
    b.op(
        [b.tensor(b.type(), shape), b.add(np.array(rois, b.type()), 0.3)],
        {
            "pooled_shape": [draw.between(1, 3), draw.between(1, 3)],
            "spatial_scale": b.maybe([1.0, 0.5]),
        },
    )


@recipe("Col2Im")
def col2im(b):
    draw = b.draw
    image = [draw.between(3, 6), draw.between(3, 6)]
    block = [draw.between(1, 3), draw.between(1, 3)]
    blocks = int(np.prod([n - k + 1 for n, k in zip(image, block)]))
    x = b.tensor(b.type(), (draw.between(1, 2), draw.between(1, 2) * int(np.prod(block)), blocks))
    b.op([x, b.add(np.array(image), 0.7), b.add(np.array(block), 0.7)])
