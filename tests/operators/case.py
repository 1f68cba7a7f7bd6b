"""A drawn model with its inputs, and the builder that recipes fill it by."""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

import schemas


class Undrawable(Exception):
    """The recipe found no valid case for its draws."""


@dataclass
class Case:
    """A model of a few operators and the inputs of one run."""

    operator: str
    domain: str
    version: int
    opset: int
    nodes: list
    # Input arrays by name.
    feeds: dict
    # Constant arrays by name.
    constants: dict
    outputs: list
    marks: set
    # Names of constants that are `Constant` nodes rather than initialisers.
    as_nodes: set = field(default_factory=set)
    # The declared shape of inputs by name: sizes, names of dimensions or None.
    declared: dict = field(default_factory=dict)
    # How outputs are declared: "rank", "fixed" or "none".
    output_shapes: str = "rank"
    # Whether the operator's version is its newest one.
    newest: bool = True
    # Whether `onnx.reference` gives the expected answer, since ONNX Runtime has no kernel.
    by_reference: bool = False

    def size(self):
        arrays = [*self.feeds.values(), *self.constants.values()]
        attributes = sum(len(node.attribute) for node in self.nodes)
        return 50 * len(self.nodes) + 3 * attributes + sum(a.size + a.ndim for a in arrays)

    def model(self, results=None):
        """The model; the outputs are declared as their results are, if given."""
        inputs = [
            helper.make_tensor_value_info(
                name, schemas.element_type(array.dtype), self.declared.get(name, array.shape)
            )
            for name, array in self.feeds.items()
        ]
        outputs = []
        for number, name in enumerate(self.outputs):
            if results is None:
                outputs.append(onnx.ValueInfoProto(name=name))
                continue
            result = results[number]
            shape = {
                "rank": [f"{name}_{axis}" for axis in range(result.ndim)],
                "fixed": result.shape,
                "none": None,
            }[self.output_shapes]
            kind = schemas.element_type(result.dtype)
            outputs.append(helper.make_tensor_value_info(name, kind, shape))
        nodes, initialisers = [], []
        for name, array in self.constants.items():
            tensor = numpy_helper.from_array(np.asarray(array), name)
            if name in self.as_nodes:
                nodes.append(helper.make_node("Constant", [], [name], value=tensor))
            else:
                initialisers.append(tensor)
        graph = helper.make_graph(nodes + self.nodes, "drawn", inputs, outputs, initialisers)
        imports = [helper.make_opsetid("", self.opset if self.domain == "" else 17)]
        if self.domain:
            imports.append(helper.make_opsetid(self.domain, self.opset))
        return helper.make_model(
            graph, opset_imports=imports, ir_version=10 if self.opset < 25 else 11
        )


class Builder:
    """Fills a case by the draws of a recipe."""

    def __init__(self, draw, all_schemas, key, version, opset):
        self.draw, self.key = draw, key
        self.all_schemas = all_schemas
        self.schema = next(s for s in all_schemas[key] if s.since_version == version)
        self.version, self.opset = version, opset
        self.nodes, self.feeds, self.constants = [], {}, {}
        self.outputs, self.named = [], 0
        self.types = {}
        # Gives a name for an array from results of earlier nodes, or None.
        self.bridge = None

    def name(self, of="t"):
        self.named += 1
        return f"{of}{self.named}"

    def type(self, name="T", among=None):
        """Draws the datatype of a type of the schema, once."""
        if name not in self.types:
            allowed = schemas.dtypes(self.schema, name)
            if among is not None:
                allowed = [dtype for dtype in allowed if dtype in among]
            if not allowed:
                raise Undrawable(f"no datatype for {name}")
            common = [d for d in (np.float32, np.int64, np.int32) if d in allowed]
            pool = common if common and self.draw.chance(0.6) else allowed
            weights = [4 if dtype is np.float32 else 1 for dtype in pool]
            self.types[name] = self.draw.random.choices(pool, weights)[0]
            self.draw.marks.add(f"{name}={np.dtype(self.types[name]).name}")
        return self.types[name]

    def type_of(self, number):
        """Draws the datatype of an input of the schema."""
        return self.type(self.schema.inputs[number].type_str)

    def tensor(self, dtype, shape, kind=None, constant=0.12):
        """Adds a drawn tensor of data; gives its name."""
        if kind is None and self.bridge and np.dtype(dtype).kind == "f":
            name = self.bridge(dtype, shape)
            if name:
                return name
        return self.add(self.draw.tensor(dtype, shape, kind), constant)

    def add(self, array, constant=0.5, of="t"):
        """Adds an array as an input or, with a probability, as a constant; gives its name."""
        array = np.asarray(array)
        name = self.name(of)
        # A server takes no empty inputs.
        if array.size == 0 or self.draw.chance(constant):
            self.constants[name] = array
        else:
            self.feeds[name] = array
        return name

    def node(self, operator, inputs, outputs=1, domain="", **attributes):
        """Adds a node; gives the names of its outputs."""
        names = [
            self.name("r") if wanted else ""
            for wanted in ([1] * outputs if isinstance(outputs, int) else outputs)
        ]
        while inputs and inputs[-1] == "":
            inputs = inputs[:-1]
        self.nodes.append(helper.make_node(operator, inputs, names, domain=domain, **attributes))
        return names

    def op(self, inputs, attributes=None, outputs=1):
        """Adds the node of the operator under test, and its outputs to those of the model."""
        attributes = {k: v for k, v in (attributes or {}).items() if v is not None}
        for key, value in attributes.items():
            if not isinstance(value, onnx.GraphProto | onnx.TensorProto):
                self.draw.marks.add(f"{key}={value}")
            else:
                self.draw.marks.add(f"{key}")
        for number, name in enumerate(inputs):
            at = "absent" if name == "" else "constant" if name in self.constants else "input"
            formal = (
                self.schema.inputs[min(number, len(self.schema.inputs) - 1)].name
                if self.schema.inputs
                else ""
            )
            self.draw.marks.add(f"{formal}:{at}")
            array = self.constants.get(name, self.feeds.get(name))
            if array is not None and number == 0:
                self.draw.marks.add(f"rank={array.ndim}")
        self.draw.marks.add(f"outputs={outputs}")
        names = self.node(self.key[1], inputs, outputs, self.key[0], **attributes)
        self.outputs += [name for name in names if name]
        return names

    def maybe(self, values, present=0.6):
        """A drawn value of an attribute, or None for an absent attribute."""
        return self.draw.pick(values) if self.draw.chance(present) else None

    def has(self, attribute):
        return attribute in self.schema.attributes

    def case(self):
        """The finished case."""
        draw, declared = self.draw, {}
        for name, array in self.feeds.items():
            mode = draw.weighted((("fixed", 4), ("named", 4), ("mixed", 2)))
            declared[name] = [
                size
                if mode == "fixed" or (mode == "mixed" and draw.chance(0.5))
                else f"{name}_{axis}"
                for axis, size in enumerate(array.shape)
            ]
        as_nodes = {name for name in self.constants if draw.chance(0.3)}
        return Case(
            self.key[1],
            self.key[0],
            self.version,
            self.opset,
            self.nodes,
            self.feeds,
            self.constants,
            self.outputs,
            set(draw.marks),
            as_nodes,
            declared,
            draw.weighted((("rank", 6), ("fixed", 2))),
            self.version == self.all_schemas[self.key][-1].since_version,
        )
