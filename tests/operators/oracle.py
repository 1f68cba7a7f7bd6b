"""The expected answers: ONNX Runtime, and `onnx.reference` where answers differ."""

import os
import re

# Before the library is loaded: its telemetry is on by default.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
warnings.filterwarnings("ignore")
np.seterr(all="ignore")

# Operators that `onnx.reference` computes rightly in DOUBLE, for graphs of which ONNX Runtime lacks
# a kernel of DOUBLE.
PRECISE_BY_REFERENCE = {
    "Add",
    "Asinh",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "Cos",
    "Elu",
    "Equal",
    "Gather",
    "GlobalAveragePool",
    "GroupNormalization",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Mul",
    "PRelu",
    "RMSNormalization",
    "Relu",
    "Reshape",
    "Sin",
    "Softplus",
    "Sub",
    "Xor",
}
TO_DOUBLE = {TensorProto.FLOAT: TensorProto.DOUBLE}


class Refused(Exception):
    """The oracle does not compute the model."""


def onnxruntime_answer(model, feeds, optimised=False):
    """ONNX Runtime's outputs. Graph optimisations are off by default: the plain kernels count."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        results = session.run(None, feeds)
    except Exception as error:
        raise Refused(str(error)) from None
    if any(not isinstance(result, np.ndarray) for result in results):
        raise Refused("an output is not a tensor")
    return results


def all_results(model, feeds):
    """The results of all nodes of the main graph that are tensors of known type."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    named = {output.name for output in whole.graph.output}
    inferred = onnx.shape_inference.infer_shapes(whole).graph.value_info
    tensors = {info.name for info in inferred if info.type.HasField("tensor_type")}
    for node in whole.graph.node:
        for name in node.output:
            if name in tensors and name not in named:
                whole.graph.output.append(onnx.ValueInfoProto(name=name))
    return onnxruntime_answer(whole, feeds)


def reference_answer(model, feeds):
    """The outputs of `onnx.reference`."""
    try:
        results = ReferenceEvaluator(model).run(None, feeds)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise Refused(str(error)) from None
    return [np.asarray(result) for result in results]


def widened(model, narrow):
    """The model with each FLOAT as DOUBLE, other than around nodes of the `narrow` operators."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    types = tensor_types(model)
    widen_graph(wide.graph)
    nodes = []
    for node, original in zip(wide.graph.node, model.graph.node):
        nodes += in_float(original, types) if node.op_type in narrow else [node]
    nodes = [copied(node) for node in nodes]
    del wide.graph.node[:]
    wide.graph.node.extend(nodes)
    return wide


def copied(node):
    """A node that does not belong to a graph."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def tensor_types(model):
    """The known element types of tensors in the main graph, by name."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for info in [*graph.input, *graph.output, *graph.value_info]:
        types[info.name] = info.type.tensor_type.elem_type
    return types


def in_float(node, types):
    """The node with its FLOAT inputs and outputs converted from DOUBLE and to DOUBLE."""
    narrow, before, after = copied(node), [], []
    for place, name in enumerate(node.input):
        if types.get(name) == TensorProto.FLOAT:
            narrow.input[place] = f"{node.output[0]}.input.{place}"
            cast = onnx.helper.make_node("Cast", [name], [narrow.input[place]], to=TensorProto.FLOAT)
            before.append(cast)
    for place, name in enumerate(node.output):
        if types.get(name) == TensorProto.FLOAT:
            narrow.output[place] = f"{node.output[0]}.output.{place}"
            cast = onnx.helper.make_node(
                "Cast", [narrow.output[place]], [name], to=TensorProto.DOUBLE
            )
            after.append(cast)
    return [*before, narrow, *after]


def with_double_instance_normalization(model):
    """The model with each InstanceNormalization as operators that compute it in DOUBLE.

    ONNX Runtime loses digits around large means, and has no kernel of DOUBLE.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    version = max(opset.version for opset in model.opset_import if opset.domain == "")
    nodes = []
    for node in model.graph.node:
        if node.op_type == "InstanceNormalization":
            nodes += double_instance_normalization(node, changed.graph.initializer, version)
        else:
            nodes.append(node)
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    return changed


def double_instance_normalization(node, initializers, version):
    (x, scale, bias), name = node.input, node.output[0]
    epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
    numbers = {
        "lanes": np.array([0, 0, -1]),
        "column": np.array([-1, 1]),
        "epsilon": np.array(epsilon, np.float64),
        "last": np.array([2]),
    }
    for key, number in numbers.items():
        initializers.append(numpy_helper.from_array(number, f"{name}.{key}"))
    to_double, to_float = {"to": TensorProto.DOUBLE}, {"to": TensorProto.FLOAT}
    axes = ["last"] if version >= 18 else []
    last = {} if version >= 18 else {"axes": [2]}
    steps = [
        ("Shape", [x], "shape", {}),
        ("Reshape", [x, "lanes"], "narrow", {}),
        ("Cast", ["narrow"], "wide", to_double),
        ("ReduceMean", ["wide", *axes], "mean", last),
        ("Sub", ["wide", "mean"], "centred", {}),
        ("Mul", ["centred", "centred"], "squares", {}),
        ("ReduceMean", ["squares", *axes], "variance", last),
        ("Add", ["variance", "epsilon"], "positive", {}),
        ("Sqrt", ["positive"], "deviation", {}),
        ("Div", ["centred", "deviation"], "normal", {}),
        ("Reshape", [scale, "column"], "scales", {}),
        ("Cast", ["scales"], "wide_scales", to_double),
        ("Reshape", [bias, "column"], "biases", {}),
        ("Cast", ["biases"], "wide_biases", to_double),
        ("Mul", ["normal", "wide_scales"], "scaled", {}),
        ("Add", ["scaled", "wide_biases"], "moved", {}),
        ("Cast", ["moved"], "rounded", to_float),
        ("Reshape", ["rounded", "shape"], "", {}),
    ]
    own = {output for _, _, output, _ in steps} | numbers.keys()

    def full(short):
        return f"{name}.{short}" if short in own and short else short or name

    return [
        onnx.helper.make_node(operator, [full(i) for i in inputs], [full(output)], **attributes)
        for operator, inputs, output, attributes in steps
    ]


def widen_graph(graph):
    for tensor in graph.initializer:
        widen_tensor(tensor)
    for info in [*graph.input, *graph.output, *graph.value_info]:
        if info.type.tensor_type.elem_type == TensorProto.FLOAT:
            info.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype", "output_datatype", "stash_type"):
                attribute.i = TO_DOUBLE.get(attribute.i, attribute.i)
            if attribute.type == onnx.AttributeProto.TENSOR:
                widen_tensor(attribute.t)
            if attribute.type == onnx.AttributeProto.GRAPH:
                widen_graph(attribute.g)


def widen_tensor(tensor):
    if tensor.data_type == TensorProto.FLOAT:
        array = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def precise_answer(model, feeds):
    """The outputs computed in DOUBLE, rounded to FLOAT.

    Operators of which ONNX Runtime has no kernel of DOUBLE are computed in FLOAT.
    """
    narrow = set()
    while True:
        try:
            results = onnxruntime_answer(widened(model, narrow), wide_feeds(feeds))
            return rounded(results)
        except Refused as error:
            operator = operator_without_kernel(str(error))
            if operator is None or operator in narrow:
                raise
            narrow.add(operator)


def precise_reference_answer(model, feeds):
    """The outputs that `onnx.reference` computes in DOUBLE, rounded to FLOAT."""
    if not {node.op_type for node in model.graph.node} <= PRECISE_BY_REFERENCE:
        raise Refused("an operator that the reference may compute otherwise")
    wide = widened(model, ())
    # The operators compute the same in old versions, of which the reference lacks some.
    for opset in wide.opset_import:
        opset.version = max(opset.version, 22) if opset.domain == "" else opset.version
    return rounded(reference_answer(wide, wide_feeds(feeds)))


def wide_feeds(feeds):
    return {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in feeds.items()}


def rounded(results):
    return [r.astype(np.float32) if r.dtype == np.float64 else r for r in results]


def operator_without_kernel(error):
    """The operator that ONNX Runtime's error names, if it does not compute DOUBLE."""
    found = re.search(r"Could not find an implementation for (?:\w+\.)*(\w+)\(", error) or re.search(
        r"Type 'tensor\(double\)' of .* of operator \((\w+)\)", error
    )
    return found and found[1]


def perturbed_answers(case, results, seed, count=8):
    """The answers to inputs that differ by about one unit in the last place."""
    draws = np.random.default_rng(seed)

    def moved(array):
        if array.dtype.kind != "f":
            return array
        epsilon = np.finfo(array.dtype).eps
        # A product of scalars is no array.
        return np.asarray(array * (1 + epsilon * draws.choice([-1, 1], array.shape)), array.dtype)

    constants = case.constants
    try:
        for _ in range(count):
            case.constants = {name: moved(array) for name, array in constants.items()}
            feeds = {name: moved(array) for name, array in case.feeds.items()}
            yield onnxruntime_answer(case.model(results), feeds)
    except Refused:
        return
    finally:
        case.constants = constants
