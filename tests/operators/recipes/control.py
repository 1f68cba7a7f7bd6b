"""Control flow: graphs inside graphs."""

import numpy as np
from onnx import helper

import schemas

from . import recipe

STEPS = ("Relu", "Neg", "Tanh", "Abs", "Sigmoid", "Identity", "Softmax", "Exp")


def body(b, name, outer, outputs, depth):
    """Nodes that compute a tensor of the same shape from a tensor of FLOAT."""
    draw, nodes = b.draw, []
    for _ in range(depth):
        operator = draw.pick(STEPS + ("Add", "Mul"))
        result = b.name("s")
        inputs = [name] if operator in STEPS else [name, outer]
        given = {"axis": -1 if b.opset >= 11 else 0} if operator == "Softmax" else {}
        nodes.append(helper.make_node(operator, inputs, [result], **given))
        name = result
    nodes.append(helper.make_node("Identity", [name], [outputs]))
    return nodes


def float_info(name):
    return helper.make_tensor_value_info(name, schemas.element_type(np.float32), None)


@recipe("If")
def if_(b):
    draw = b.draw
    shape = draw.shape(1, 3)
    x, y = b.tensor(np.float32, shape), b.tensor(np.float32, draw.broadcast(shape))
    branches = {}
    for branch in ("then_branch", "else_branch"):
        result = b.name("o")
        nodes = body(b, x, y, result, draw.between(0, 3))
        branches[branch] = helper.make_graph(nodes, branch, [], [float_info(result)])
    condition = np.array(draw.chance(0.5))
    b.op([b.add(condition if draw.chance(0.5) else condition.reshape(1), 0.3)], branches)


@recipe("Loop")
def loop(b):
    draw = b.draw
    shape = draw.shape(1, 3, 0)
    x, y = b.tensor(np.float32, shape, "unit"), b.tensor(np.float32, draw.broadcast(shape), "unit")
    step, condition, value = b.name("i"), b.name("c"), b.name("v")
    result, scanned, again = b.name("o"), b.name("n"), b.name("g")
    nodes = body(b, value, y, result, draw.between(1, 3))
    nodes.append(helper.make_node("Identity", [result], [scanned]))
    infos = [
        helper.make_tensor_value_info(step, 7, []),
        helper.make_tensor_value_info(condition, 9, []),
        float_info(value),
    ]
    # Stops before the last step in some cases.
    stop = draw.between(0, 3)
    limit = helper.make_tensor(b.name("l"), 7, [], [stop])
    early = draw.chance(0.5)
    if early:
        nodes += [
            helper.make_node("Constant", [], [limit.name], value=limit),
            helper.make_node("Less", [step, limit.name], [again]),
        ]
        draw.marks.add("condition changes")
    else:
        nodes.append(helper.make_node("Identity", [condition], [again]))
    outputs = [helper.make_tensor_value_info(again, 9, []), float_info(result)]
    scan = draw.chance(0.6)
    if scan:
        outputs.append(float_info(scanned))
    graph = helper.make_graph(nodes, "body", infos, outputs)
    trips = (
        b.add(np.array(draw.between(0 if not scan else 1, 4), np.int64), 0.5)
        if not early or draw.chance(0.5)
        else ""
    )
    start = (
        b.add(np.array(not draw.chance(0.08) or scan), 0.6) if draw.chance(0.7) or not trips else ""
    )
    b.op([trips, start, x], {"body": graph}, 2 if scan else 1)


@recipe("Scan")
def scan(b):
    draw = b.draw
    if b.version < 9:
        raise_undrawable()
    shape = draw.shape(1, 2, 0)
    state, items = (
        b.tensor(np.float32, shape, "unit"),
        b.tensor(np.float32, (draw.between(1, 4), *shape), "unit"),
    )
    value, item, result, scanned = b.name("v"), b.name("x"), b.name("o"), b.name("n")
    nodes = body(b, value, item, result, draw.between(1, 3))
    nodes.append(helper.make_node("Add", [result, item], [scanned]))
    graph = helper.make_graph(
        nodes,
        "body",
        [float_info(value), float_info(item)],
        [float_info(result), float_info(scanned)],
    )
    b.op(
        [state, items],
        {
            "body": graph,
            "num_scan_inputs": 1,
            "scan_input_directions": b.maybe([[0], [1]]),
            "scan_output_directions": b.maybe([[0], [1]], 0.3),
        },
        2,
    )


def raise_undrawable():
    from case import Undrawable

    raise Undrawable("the first version of Scan has batches")
