"""Recurrent layers."""

import numpy as np

from . import recipe

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
ACTIVATIONS = ("Relu", "Tanh", "Sigmoid", "Softsign", "HardSigmoid", "Elu")


@recipe("RNN", "GRU", "LSTM")
def recurrent(b):
    draw, name = b.draw, b.key[1]
    gates = GATES[name]
    steps, batch, features, hidden = (
        draw.between(1, 4),
        draw.between(1, 3),
        draw.between(1, 4),
        draw.between(1, 4),
    )
    direction = b.maybe(["forward", "reverse", "bidirectional"])
    directions = 2 if direction == "bidirectional" else 1
    layout = b.maybe([0, 1], 0.3) if b.has("layout") else None

    def weights(*shape):
        kind = "unit" if draw.chance(0.8) else None
        return b.tensor(b.type(), shape, kind, 0.85)

    def state():
        shape = (batch, directions, hidden) if layout else (directions, batch, hidden)
        return b.tensor(b.type(), shape, "unit", 0.2)

    x = b.tensor(
        b.type(),
        (batch, steps, features) if layout else (steps, batch, features),
        None if draw.chance(0.2) else "normal",
    )
    inputs = [
        x,
        weights(directions, gates * hidden, features),
        weights(directions, gates * hidden, hidden),
    ]
    inputs.append(
        weights(
            directions,
            (1 if name == "RNN" else 2) * gates * hidden // (1 if name != "RNN" else 1)
            if name != "RNN"
            else 2 * hidden,
        )
        if draw.chance(0.7)
        else ""
    )
    if draw.chance(0.25):
        full = draw.chance(0.3)
        lens = np.full(batch, steps) if full else draw.numpy.integers(1, steps + 1, batch)
        draw.marks.add("sequence_lens=steps" if (lens == steps).all() else "sequence_lens<steps")
        inputs.append(b.add(lens.astype(np.int32), 0.4))
    else:
        inputs.append("")
    inputs.append(state() if draw.chance(0.5) else "")
    if name == "LSTM":
        inputs.append(state() if draw.chance(0.5) else "")
        inputs.append(weights(directions, 3 * hidden) if draw.chance(0.2) else "")
    given = {
        "hidden_size": hidden if draw.chance(0.8) else None,
        "direction": direction,
        "layout": layout,
    }
    given["clip"] = b.maybe([0.5, 2.0], 0.15)
    if name == "GRU":
        given["linear_before_reset"] = b.maybe([0, 1])
    if name == "LSTM":
        given["input_forget"] = b.maybe([0, 1], 0.2)
    if b.version == 1 and "output_sequence" in b.schema.attributes:
        given["output_sequence"] = 1
    if draw.chance(0.2):
        count = {"RNN": 1, "GRU": 2, "LSTM": 3}[name] * directions
        given["activations"] = [draw.pick(ACTIVATIONS) for _ in range(count)]
    elif draw.chance(0.2):
        given["activations"] = {
            "RNN": ["Tanh"],
            "GRU": ["Sigmoid", "Tanh"],
            "LSTM": ["Sigmoid", "Tanh", "Tanh"],
        }[name] * directions
    wanted = (
        [1, draw.between(0, 1), draw.between(0, 1)]
        if draw.chance(0.7)
        else [0, 1, draw.between(0, 1)]
    )
    b.op(inputs, given, wanted[: 3 if name == "LSTM" else 2])
