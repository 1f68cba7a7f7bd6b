"""Attention, and rotary embeddings."""

import numpy as np

from . import recipe


@recipe("Attention")
def attention(b):
    draw = b.draw
    batch, groups, heads = draw.between(1, 2), draw.between(1, 2), draw.between(1, 2)
    queries, keys, size, values = (
        draw.between(1, 4),
        draw.between(1, 4),
        draw.between(1, 5),
        draw.between(1, 5),
    )
    flat = draw.chance(0.4)
    t1 = b.type("T1")
    t2 = b.type("T2")
    kinds = [(groups * heads, queries, size), (heads, keys, size), (heads, keys, values)]
    inputs = []
    for (count, length, depth), of in zip(kinds, (t1, t1, t2)):
        shape = (batch, length, count * depth) if flat else (batch, count, length, depth)
        inputs.append(b.tensor(of, shape, "normal" if draw.chance(0.8) else None))
    past = draw.between(1, 3) if draw.chance(0.25) else 0
    if draw.chance(0.4):
        shape = draw.broadcast((batch, groups * heads, queries, keys + past))
        shape = shape if len(shape) > 1 else (queries, keys + past)
        shape = shape[:-1] + (keys + past,)
        u = b.type("U", among=(np.bool_, t1))
        inputs.append(b.tensor(u, shape, None if u is np.bool_ else "normal"))
    else:
        inputs.append("")
    if past:
        inputs += [
            b.tensor(t1, (batch, heads, past, size), "normal"),
            b.tensor(t2, (batch, heads, past, values), "normal"),
        ]
    given = {
        "is_causal": b.maybe([0, 1]),
        "scale": b.maybe([0.5, 1.0], 0.3),
        "softcap": b.maybe([0.0, 2.0], 0.25),
    }
    if flat:
        given |= {"q_num_heads": groups * heads, "kv_num_heads": heads}
    outputs = [1, 1, 1] if past else [1]
    if draw.chance(0.2):
        outputs = (outputs + [0, 0])[:3] + [1]
        given["qk_matmul_output_mode"] = b.maybe([0, 1, 2, 3])
    b.op(inputs, given, outputs)


@recipe("RotaryEmbedding")
def rotary(b):
    draw, dtype = b.draw, b.type()
    batch, heads, length, half = (
        draw.between(1, 2),
        draw.between(1, 3),
        draw.between(1, 4),
        draw.between(1, 4),
    )
    flat, partial = draw.chance(0.4), draw.chance(0.3)
    size = 2 * half
    dim = 2 * draw.between(1, half) if partial else 0
    shape = (batch, length, heads * size) if flat else (batch, heads, length, size)
    x = b.tensor(dtype, shape, "normal")
    width = (dim or size) // 2
    given = {"interleaved": b.maybe([0, 1]), "rotary_embedding_dim": dim or None}
    if flat or draw.chance(0.2):
        given["num_heads"] = heads
    if draw.chance(0.5):
        rows = draw.between(length, 8)
        caches = [b.tensor(dtype, (rows, width), "unit", 0.6) for _ in range(2)]
        b.op(
            [
                x,
                *caches,
                b.add(draw.numpy.integers(0, rows, (batch, length)).astype(np.int64), 0.3),
            ],
            given,
        )
    else:
        b.op([x] + [b.tensor(dtype, (batch, length, width), "unit", 0.4) for _ in range(2)], given)
