"""Failing cases as text and as files."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import helper


def values(array, limit=24):
    """An array as text, cut after some elements."""
    flat = np.asarray(array).reshape(-1)
    if flat.dtype.kind == "f":
        text = ", ".join(f"{float(v):.9g}" for v in flat[:limit])
    else:
        text = ", ".join(str(v) for v in flat[:limit])
    more = f", … {flat.size}" if flat.size > limit else ""
    return f"{np.asarray(array).dtype.name}{list(np.shape(array))}[{text}{more}]"


def attributes(node):
    parts = []
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, onnx.GraphProto):
            value = "{" + "; ".join(line(inner) for inner in value.node) + "}"
        elif isinstance(value, onnx.TensorProto):
            value = values(onnx.numpy_helper.to_array(value))
        elif isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, float):
            value = f"{value:.6g}"
        parts.append(f"{attribute.name}={value}")
    return " ".join(parts)


def line(node):
    return (
        f"{','.join(node.output)}={node.op_type}({','.join(node.input)}) {attributes(node)}".strip()
    )


def case_text(case):
    """A case in one line: nodes, then inputs and constants."""
    nodes = "; ".join(line(node) for node in case.nodes)
    inputs = [
        f"{name}: input {values(a)} declared {case.declared.get(name)}"
        for name, a in case.feeds.items()
    ]
    inputs += [f"{name}: constant {values(a)}" for name, a in case.constants.items()]
    return f"opset {case.opset}: {nodes} | {'; '.join(inputs)}"


def save(folder, job, case, model, expected, answer, verdict, why):
    """Writes a model, its inputs and both answers into a folder of their own; gives its name."""
    seed, number = str(job[0]).replace("/", "_"), job[1]
    place = Path(folder) / f"{verdict}-{case.operator[:60]}-{seed}-{number}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "model.onnx").write_bytes(model.SerializeToString())
    arrays = {f"input {name}": a for name, a in case.feeds.items()}
    arrays |= {f"expected {name}": a for name, a in zip(case.outputs, expected)}
    if answer.result == "answered":
        arrays |= {f"found {name}": a for name, a in answer.outputs.items()}
    np.savez(place / "tensors.npz", **arrays)
    text = {
        "job": job,
        "verdict": verdict,
        "why": why,
        "case": case_text(case),
        "expected": [values(a) for a in expected],
        "found": [values(a) for a in answer.outputs.values()]
        if answer.result == "answered"
        else answer.why,
    }
    (place / "case.json").write_text(json.dumps(text, indent=1, ensure_ascii=False))
    return str(place)
