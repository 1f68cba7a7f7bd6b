"""Draws case K of seed S: one operator, or a small graph."""

import numpy as np
from onnx import helper

import oracle
import schemas
from case import Builder, Undrawable
from draw import Draw
from recipes import load
from recipes.patterns import PATTERNS

RECIPES = load()
SCHEMAS = schemas.by_operator()
# Datatypes that many runtimes have no inputs and outputs of: often converted inside the model.
WRAPPED = ("float16", "float64", "int16", "uint16", "uint32", "uint64")
ATTEMPTS = 60


class Refusals:
    """Counts redrawn cases by operator, version and reason."""

    def __init__(self):
        self.counts = {}

    def add(self, operator, version, why):
        key = (operator, version, why.split("\n")[0][:160])
        self.counts[key] = self.counts.get(key, 0) + 1


def targets(names=None, domains=("",)):
    """The operators and versions to draw from: [(key, schema)]."""
    found = []
    for key, versions in sorted(SCHEMAS.items()):
        if key not in RECIPES or key[0] not in domains or (names and key[1] not in names):
            continue
        found.append((key, versions))
    return found


def pick_version(draw, key, versions, opset=None, version=None):
    """An operator's version and an opset in which it holds."""
    if opset is not None:
        fitting = [s for s in versions if s.since_version <= opset]
        if not fitting:
            raise Undrawable("not in this opset")
        return fitting[-1].since_version, opset
    schema = draw.pick([s for s in versions if version is None or s.since_version == version])
    low, high = schemas.opsets(versions, schema)
    # Older opsets than 5 are rarely refused by checks, and rarely computed.
    return schema.since_version, draw.pick([low, high, draw.between(low, high)])


def single(draw, key, versions, version=None):
    """A case of one operator."""
    version, opset = pick_version(draw, key, versions, version=version)
    builder = Builder(draw, SCHEMAS, key, version, opset)
    RECIPES[key](builder)
    if not builder.outputs:
        raise Undrawable("no outputs")
    return builder.case()


def graph(draw, candidates):
    """A case of 2 to 6 operators, each of which takes results of earlier ones."""
    draw.tame = draw.chance(0.8)
    draw.marks.add("graph")
    opset = draw.between(7, schemas.NEWEST)
    state, results, builder = None, {}, None
    wanted = draw.between(2, 6)
    for _ in range(wanted * 3):
        key, versions = draw.pick(candidates)
        if key[0]:
            continue
        try:
            version, _ = pick_version(draw, key, versions, opset)
            step = Builder(draw, SCHEMAS, key, version, opset)
            if builder is not None:
                step.nodes, step.feeds = list(builder.nodes), dict(builder.feeds)
                step.constants, step.named = dict(builder.constants), builder.named
                step.outputs = list(builder.outputs)
                step.bridge = lambda dtype, shape, step=step: bridge(step, results, dtype, shape)
            RECIPES[key](step)
            model = step.case().model()
            answers = oracle.onnxruntime_answer(model, step.feeds)
        except (Undrawable, oracle.Refused, ValueError, IndexError, OverflowError):
            continue
        results = dict(zip(step.outputs, answers))
        builder = step
        state = (state or []) + [key[1]]
        if len(state) == wanted:
            break
    if builder is None or len(state) < 2:
        raise Undrawable("no graph")
    used = {name for node in builder.nodes for name in node.input}
    leaves = [name for name in builder.outputs if name not in used]
    if draw.chance(0.8) and leaves:
        builder.outputs = leaves
    case = builder.case()
    case.operator, case.domain, case.newest = "+".join(state), "", opset >= 24
    return case


def chain(draw):
    """A case of a pattern that optimisers look for."""
    draw.tame = draw.chance(0.6)
    opset = draw.between(13, schemas.NEWEST)
    function = draw.pick(PATTERNS)
    version, _ = pick_version(draw, ("", "Identity"), SCHEMAS["", "Identity"], opset)
    builder = Builder(draw, SCHEMAS, ("", "Identity"), version, opset)
    function(builder)
    draw.marks |= {"graph", "pattern"}
    case = builder.case()
    case.operator, case.newest = function.__name__, opset >= 24
    return case


def bridge(builder, results, dtype, shape):
    """The name of a result of an earlier node, brought to a datatype and a shape; or None."""
    draw = builder.draw
    fitting = [n for n, r in results.items() if r.dtype.kind == "f" and r.size]
    if not fitting or not draw.chance(0.75) or builder.opset < 13:
        fitting = [n for n in fitting if results[n].shape == tuple(shape)]
        if not fitting:
            return None
    name = draw.pick(fitting)
    array = results[name]
    if array.dtype != dtype:
        name = builder.node("Cast", [name], to=schemas.element_type(dtype))[0]
    count = int(np.prod(shape, dtype=np.int64))
    if array.shape == tuple(shape):
        return name
    if array.size != count:
        name = builder.node("Reshape", [name, constant(builder, [-1])])[0]
        name = builder.node("Gather", [name, constant(builder, np.arange(count) % array.size)])[0]
    return builder.node("Reshape", [name, constant(builder, shape)])[0]


def constant(builder, values):
    return builder.add(np.array(values, np.int64), 1.0)


def wrap(case, draw):
    """Takes inputs of rare datatypes as FLOAT or INT64, and converts them inside the model."""
    if draw.chance(0.4) or case.opset < 9:
        return
    before = []
    for name, array in list(case.feeds.items()):
        if array.dtype.name not in WRAPPED:
            continue
        dtype = np.float32 if array.dtype.kind == "f" else np.int64
        if array.dtype == np.uint64:
            array = np.minimum(array, 2**62)
        outside = f"{name}_in"
        case.feeds[outside] = array.astype(dtype)
        case.declared[outside] = case.declared.pop(name)
        del case.feeds[name]
        before.append(
            helper.make_node("Cast", [outside], [name], to=schemas.element_type(array.dtype))
        )
        case.marks.add("cast inputs")
    case.nodes = before + case.nodes


def wrap_outputs(case, results):
    """Converts outputs of rare datatypes inside the model; tells whether there are any."""
    changed = False
    for number, (name, result) in enumerate(zip(list(case.outputs), results)):
        if "cast inputs" in case.marks and result.dtype.name in WRAPPED:
            to = np.float32 if result.dtype.kind == "f" else np.int64
            case.nodes.append(
                helper.make_node("Cast", [name], [f"{name}_out"], to=schemas.element_type(to))
            )
            case.outputs[number] = f"{name}_out"
            changed = True
    return changed


def finish(case, draw, with_reference=False):
    """Computes the expected answer: (case, model, results). Raises `Refused`.

    `with_reference` asks `onnx.reference` for datatypes for which ONNX Runtime has no kernel.
    """
    wrap(case, draw)
    try:
        results = oracle.onnxruntime_answer(case.model(), case.feeds)
        if wrap_outputs(case, results):
            results = oracle.onnxruntime_answer(case.model(), case.feeds)
    except oracle.Refused as error:
        if not (with_reference and case.newest and "NOT_IMPLEMENTED" in str(error)):
            raise
        results = oracle.reference_answer(case.model(), case.feeds)
        case.by_reference = True
    return case, case.model(results), results


def draw_case(
    seed,
    number,
    choice,
    graphs=0.25,
    version=None,
    small=False,
    refusals=None,
    marker=None,
    with_reference=False,
):
    """Case K of a seed: (case, model, results), or None after too many attempts."""
    first = Draw(f"{seed}/{number}")
    key, versions = first.pick(choice)
    of_graph, of_chain = first.chance(graphs), first.chance(0.5)
    for attempt in range(ATTEMPTS):
        draw = Draw(f"{seed}/{number}/{attempt}")
        draw.small = small
        if marker:
            marker(attempt)
        try:
            if of_graph:
                case = chain(draw) if of_chain else graph(draw, choice)
            else:
                case = single(draw, key, versions, version)
            return finish(case, draw, with_reference)
        except (Undrawable, oracle.Refused, ValueError, IndexError, OverflowError) as error:
            if refusals is not None:
                refusals.add(
                    key[1] if not of_graph else "graph",
                    version or 0,
                    f"{type(error).__name__}: {error}",
                )
    return None
