"""Normalisations."""

import numpy as np

from . import recipe

EPSILONS = (1e-5, 1e-3, 1e-12, 0.1)


def statistics(b, dtype, channels):
    """Scale, bias, mean and variance of each channel."""
    return [
        b.tensor(dtype, (channels,), kind, 0.7)
        for kind in ("normal", "normal", "normal", "positive")
    ]


@recipe("BatchNormalization")
def batch(b):
    draw = b.draw
    shape = draw.shape(2, 5)
    if b.version in (14, 15) and shape[1:2] == (0,):
        shape = (2, 3)
    t1 = b.type("T1") if b.version >= 15 else None
    t2 = b.type("T2") if b.version >= 15 else (b.type("U") if b.version == 14 else None)
    dtype = t1 or b.type("T")
    x = b.tensor(dtype, shape)
    weights = statistics(b, dtype, shape[1])
    if b.version >= 14:
        of = t2 or dtype
        weights = [
            b.tensor(dtype, (shape[1],), None if draw.chance(0.2) else "normal", 0.7)
            for _ in range(2)
        ]
        weights += [
            b.tensor(of, (shape[1],), "normal", 0.7),
            b.tensor(of, (shape[1],), "positive", 0.7),
        ]
    given = {"epsilon": b.maybe(EPSILONS), "momentum": b.maybe([0.9, 0.5], 0.3)}
    if b.version < 7:
        given["is_test"] = 1
    if b.version == 1:
        given["consumed_inputs"] = [0, 0, 0, 1, 1]
    if b.version < 9:
        given["spatial"] = b.maybe([0, 1], 0.3)
    if b.version >= 14:
        given["training_mode"] = b.maybe([0, 0, 1], 0.4)
    outputs = 3 if given.get("training_mode") and draw.chance(0.7) else 1
    b.op([x, *weights], given, outputs)


@recipe("InstanceNormalization")
def instance(b):
    draw = b.draw
    shape = draw.shape(3, 5)
    x = b.tensor(b.type(), shape, draw.pick([None, None, "large_mean"]))
    b.op(
        [
            x,
            b.tensor(b.type(), (shape[1],), constant=0.7),
            b.tensor(b.type(), (shape[1],), constant=0.7),
        ],
        {"epsilon": b.maybe(EPSILONS)},
    )


@recipe("LayerNormalization", "RMSNormalization")
def layer(b):
    draw = b.draw
    shape = draw.shape(1)
    axis = draw.between(-len(shape), len(shape) - 1)
    given = axis if axis not in (-1, len(shape) - 1) or draw.chance(0.5) else None
    second = "U" if b.key[1] == "LayerNormalization" else "V"
    dtype = b.type("T")
    of = dtype if second == "U" else b.type(second)
    inside = shape[axis:] if axis < 0 else shape[axis:]
    x = b.tensor(dtype, shape, draw.pick([None, None, "large_mean"]))
    weights = [b.tensor(of, draw.broadcast(inside) if draw.chance(0.15) else inside, constant=0.7)]
    outputs = 1
    attributes = {"axis": given, "epsilon": b.maybe(EPSILONS), "stash_type": b.maybe([1, 1, 10], 0.3)}
    if second == "U":
        if draw.chance(0.6):
            weights.append(b.tensor(dtype, inside, constant=0.7))
        outputs = draw.pick([1, 1, 1, 3])
    b.op([x, *weights], attributes, outputs)


@recipe("GroupNormalization")
def group(b):
    draw = b.draw
    groups, inside = draw.between(1, 3), draw.between(1, 3)
    shape = (draw.size(0), groups * inside) + draw.shape(1, 2, 0)
    size = groups if b.version < 21 else groups * inside
    b.op(
        [
            b.tensor(b.type(), shape),
            b.tensor(b.type(), (size,), constant=0.7),
            b.tensor(b.type(), (size,), constant=0.7),
        ],
        {
            "num_groups": groups,
            "epsilon": b.maybe(EPSILONS),
            "stash_type": b.maybe([1], 0.2) if b.version >= 21 else None,
        },
    )


@recipe("LRN")
def lrn(b):
    draw = b.draw
    b.op(
        [b.tensor(b.type(), draw.shape(4, 4))],
        {
            "size": draw.pick([1, 3, 5]),
            "alpha": b.maybe([1e-4, 0.1]),
            "beta": b.maybe([0.75, 0.5]),
            "bias": b.maybe([1.0, 2.0]),
        },
    )


@recipe("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(b):
    draw = b.draw
    shape = draw.shape(2, 4, 0)
    target = draw.numpy.integers(0, shape[1], shape[:1] + shape[2:])
    kind = (
        b.type("Tind")
        if "Tind" in [c.type_param_str for c in b.schema.type_constraints]
        else np.int64
    )
    inputs = [b.tensor(b.type(), shape), b.add(target.astype(kind), 0.3)]
    if draw.chance(0.5):
        inputs.append(b.tensor(b.type(), (shape[1],), "positive"))
    b.op(
        inputs,
        {"reduction": b.maybe(["none", "mean", "sum"]), "ignore_index": b.maybe([0, -1], 0.3)},
    )
