"""Operators on images and boxes."""

import numpy as np

from . import recipe


@recipe("Resize", "Upsample")
def resize(b):
    draw, version, upsample = b.draw, b.version, b.key[1] == "Upsample"
    shape = draw.shape(2, 5, 0) if draw.chance(0.3) else draw.shape(4, 4, 0)
    shape = tuple(min(n, 8) for n in shape)
    rank = len(shape)
    modes = ["nearest", "linear"] + (["cubic"] if version >= 11 and not upsample else [])
    given = {"mode": b.maybe(modes, 0.8)}
    factors = (1.0, 2.0, 3.0, 1.5, 1.25) + (() if upsample else (0.5, 0.7, 0.25, 1 / 3))
    scales = [draw.pick(factors) for _ in shape]
    if draw.chance(0.75):
        scales = [1.0] * (rank - 2) + scales[-2:]
    kind = b.type("T1") if version >= 11 and not upsample else b.type("T")
    x = b.tensor(
        kind, shape, None if draw.chance(0.3) else "ties" if np.dtype(kind).kind != "b" else None
    )
    if upsample or version == 10:
        if version == 1:
            b.op([x], given | {"height_scale": scales[-2], "width_scale": scales[-1]})
        elif version == 7:
            b.op([x], given | {"scales": scales})
        else:
            b.op([x, b.add(np.array(scales, np.float32), 0.7)], given)
        return
    transforms = [
        "half_pixel",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_crop_and_resize",
    ]
    if version == 11:
        transforms.append("tf_half_pixel_for_nn")
    if version >= 19:
        transforms.append("half_pixel_symmetric")
    given["coordinate_transformation_mode"] = b.maybe(transforms, 0.75)
    if given["mode"] in (None, "nearest"):
        given["nearest_mode"] = b.maybe(
            ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
        )
    if given["mode"] == "cubic":
        given["cubic_coeff_a"] = b.maybe([-0.5, -0.75], 0.5)
        given["exclude_outside"] = b.maybe([0, 1], 0.4)
    if version >= 18 and given["mode"] in ("linear", "cubic"):
        given["antialias"] = b.maybe([0, 1], 0.25)
    roi = ""
    if given["coordinate_transformation_mode"] == "tf_crop_and_resize":
        roi = b.add(
            np.array([0.0] * (rank - 2) + [0.1, 0.2] + [1.0] * (rank - 2) + [0.9, 0.7], np.float32)[
                : 2 * rank
            ],
            0.7,
        )
        given["extrapolation_value"] = b.maybe([0.0, 5.0], 0.4)
    elif version == 11:
        roi = b.add(np.array([], np.float32)) if draw.chance(0.6) else ""
    axes = None
    if version >= 18 and draw.chance(0.3) and not roi:
        axes = draw.random.sample(range(rank), draw.between(1, rank))
        scales = [scales[axis] for axis in axes]
        given["axes"] = axes
    if draw.chance(0.6):
        b.op([x, roi, b.add(np.array(scales, np.float32), 0.7)], given)
        return
    kept = [shape[axis] for axis in axes] if axes else shape
    sizes = [max(1, int(n * s)) for n, s in zip(kept, scales)]
    empty = b.add(np.array([], np.float32)) if version == 11 else ""
    if version == 11 and not roi:
        roi = b.add(np.array([], np.float32))
    if version >= 18:
        given["keep_aspect_ratio_policy"] = b.maybe(["stretch", "not_larger", "not_smaller"], 0.3)
    b.op([x, roi, empty, b.add(np.array(sizes, np.int64), 0.7)], given)


@recipe("GridSample")
def grid_sample(b):
    draw = b.draw
    axes = draw.pick([2, 2, 3]) if b.version >= 20 else 2
    shape = (draw.between(1, 2), draw.between(1, 3)) + tuple(
        draw.between(1, 6) for _ in range(axes)
    )
    out = tuple(draw.between(1, 5) for _ in range(axes))
    t1, t2 = b.type("T1"), b.type("T2")
    grid = (
        draw.numpy.uniform(-1.3, 1.3, (shape[0], *out, axes))
        if draw.chance(0.7)
        else draw.numpy.choice([-1, -0.5, 0, 0.5, 1.0], (shape[0], *out, axes))
    )
    modes = (
        ["linear", "nearest", "cubic"] if b.version >= 20 else ["bilinear", "nearest", "bicubic"]
    )
    b.op(
        [
            b.tensor(
                t1,
                shape,
                None if draw.chance(0.3) else "normal" if np.dtype(t1).kind == "f" else None,
            ),
            b.add(grid.astype(t2), 0.2),
        ],
        {
            "mode": b.maybe(modes),
            "padding_mode": b.maybe(["zeros", "border", "reflection"]),
            "align_corners": b.maybe([0, 1]),
        },
    )


@recipe("AffineGrid")
def affine_grid(b):
    draw = b.draw
    axes = draw.pick([2, 3])
    size = [draw.between(1, 2), draw.between(1, 3)] + [draw.between(1, 5) for _ in range(axes)]
    b.op(
        [b.tensor(b.type("T1"), (size[0], axes, axes + 1)), b.add(np.array(size), 0.6)],
        {"align_corners": b.maybe([0, 1])},
    )


@recipe("RoiAlign")
def roi_align(b):
    draw, dtype = b.draw, b.type("T1")
    shape = (draw.between(1, 2), draw.between(1, 3), draw.between(3, 8), draw.between(3, 8))
    count = draw.between(1, 3)
    rois = np.concatenate(
        [draw.numpy.uniform(0, 3, (count, 2)), draw.numpy.uniform(3, 8, (count, 2))], 1
    )
    given = {
        "output_height": b.maybe([1, 2, 3]),
        "output_width": b.maybe([1, 2, 3]),
        "mode": b.maybe(["avg", "max"]),
        "sampling_ratio": b.maybe([0, 1, 2]),
        "spatial_scale": b.maybe([1.0, 0.5]),
    }
    if b.version >= 16:
        given["coordinate_transformation_mode"] = b.maybe(["half_pixel", "output_half_pixel"])
    b.op(
        [
            b.tensor(dtype, shape),
            b.add(rois.astype(dtype), 0.2),
            b.add(draw.numpy.integers(0, shape[0], count).astype(np.int64), 0.3),
        ],
        given,
    )


@recipe("NonMaxSuppression")
def non_max_suppression(b):
    draw = b.draw
    batches, classes, boxes = draw.pick([1, 1, 2]), draw.pick([1, 1, 2, 3]), draw.between(1, 8)
    draw.marks.add(f"batches={batches}")
    draw.marks.add("classes=1" if classes == 1 else "classes>1")
    center = draw.chance(0.3)
    corner = draw.numpy.choice([0.0, 0.1, 0.5, 1.0, 2.0], (batches, boxes, 2))
    size = draw.numpy.choice([0.5, 1.0, 1.1, 2.0], (batches, boxes, 2))
    array = np.concatenate([corner, size if center else corner + size], 2)
    if not center and draw.chance(0.3):
        array = array[..., [2, 3, 0, 1]]
        draw.marks.add("corners swapped")
    scores = draw.numpy.uniform(0, 1, (batches, classes, boxes))
    if draw.chance(0.3):
        scores = draw.numpy.choice([0.0, 0.3, 0.6, 0.9], scores.shape)
        draw.marks.add("scores=ties")
    inputs = [b.add(array.astype(np.float32), 0.1), b.add(scores.astype(np.float32), 0.1)]
    optional = [
        (np.int64, [0, 1, 2, 5, 2**31 - 1, 2**40, -1]),
        (np.float32, [0.0, 0.3, 0.5, 0.9]),
        (np.float32, [0.0, 0.3, 0.5, -1.0]),
    ]
    for dtype, values in optional:
        shape = () if draw.chance(0.4) else (1,)
        if dtype is np.int64:
            value = draw.pick(values) if draw.chance(0.4) else 3
            draw.marks.add(f"max_output_boxes_per_class={value}")
        else:
            value = draw.pick(values)
        inputs.append(b.add(np.full(shape, value, dtype), 0.7) if draw.chance(0.85) else "")
    b.op(inputs, {"center_point_box": 1 if center else b.maybe([0])})
