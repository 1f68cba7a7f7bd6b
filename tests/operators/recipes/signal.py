"""Transforms of signals."""

import numpy as np

from . import recipe


@recipe("DFT")
def dft(b):
    draw = b.draw
    parts = draw.pick([1, 2])
    shape = (
        (draw.between(1, 2), draw.between(1, 8))
        + ((draw.between(1, 4),) if draw.chance(0.3) else ())
        + (parts,)
    )
    axis = draw.between(1, len(shape) - 2)
    x = b.tensor(b.type("T1"), shape, "normal")
    length = b.add(np.array(draw.between(1, 9), np.int64), 0.7) if draw.chance(0.4) else ""
    given = {
        "inverse": b.maybe([0, 1]) if parts == 2 else None,
        "onesided": b.maybe([0, 1], 0.4) if parts == 1 else None,
    }
    if b.version < 20:
        b.op([x, length], given | {"axis": axis})
    else:
        b.op([x, length, b.add(np.array(axis, np.int64), 0.7)], given)


@recipe("STFT")
def stft(b):
    draw = b.draw
    frame = draw.pick([4, 8, 5])
    x = b.tensor(b.type("T1"), (draw.between(1, 2), frame + draw.between(0, 12), 1), "normal")
    window = b.tensor(b.type("T1"), (frame,), "positive", 0.6) if draw.chance(0.5) else ""
    size = b.add(np.array(frame, np.int64), 0.7) if not window or draw.chance(0.5) else ""
    b.op(
        [x, b.add(np.array(draw.between(1, 4), np.int64), 0.7), window, size],
        {"onesided": b.maybe([0, 1])},
    )
