"""Finds a small counterexample of an operator's version."""

import copy

import numpy as np

import drawing
import oracle
from worker import run

BAD = ("wrong", "panicked", "crashed", "hung")


def fails(case, runner):
    """The expected answer, the reason and the answer if the case still fails, else None."""
    try:
        results = oracle.onnxruntime_answer(case.model(), case.feeds)
        model = case.model(results)
        verdict, why, answer = run(case, model, results, runner)
    except Exception:
        return None
    return (results, f"{verdict}: {why}", answer) if verdict in BAD else None


def smallest(operator, version, wanted, runner, seed="small", draws=250, domain=""):
    """The smallest failing case of small draws that satisfies `wanted`."""
    choice, best = drawing.targets([operator], (domain,)), None
    for number in range(draws):
        drawn = drawing.draw_case(seed, number, choice, 0, version, small=True)
        if drawn is None:
            break
        case, model, expected = drawn
        if not wanted(case) or (best and case.size() >= best.size()):
            continue
        if run(case, model, expected, runner)[0] in BAD:
            best = case
    return best


def reduced(case, runner):
    """A failing case without the attributes, nodes and values that it fails without."""
    case = copy.deepcopy(case)
    case.declared = {name: list(array.shape) for name, array in case.feeds.items()}
    for candidate in candidates(case):
        changed = copy.deepcopy(case)
        candidate(changed)
        if fails(changed, runner):
            case = changed
    return case


def candidates(case):
    """Changes that make a case simpler, one after the other."""
    yield lambda c: c.as_nodes.clear()
    for number, node in enumerate(case.nodes):
        for attribute in [a.name for a in node.attribute]:
            yield lambda c, n=number, a=attribute: remove_attribute(c.nodes[n], a)
    for place in range(len(case.outputs) - 1, -1, -1):
        yield lambda c, p=place: drop_output(c, p)
    for name in case.constants:
        yield lambda c, n=name: make_input(c, n)
    # Other indices can be invalid.
    indices = {name for node in case.nodes if "Scatter" in node.op_type for name in node.input[1:2]}
    for name in [name for name in [*case.feeds, *case.constants] if name not in indices]:
        for simple in (np.zeros_like, np.ones_like, small_integers, rounded):
            yield lambda c, n=name, s=simple: simplify(c, n, s)


def remove_attribute(node, name):
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def drop_output(case, place):
    if len(case.outputs) > 1:
        del case.outputs[place]


def make_input(case, name):
    array = case.constants[name]
    if array.size == 0:
        return
    del case.constants[name]
    case.feeds[name] = array
    case.declared[name] = list(array.shape)


def small_integers(array):
    if array.dtype.kind not in "fiu":
        return array
    return (np.arange(array.size).reshape(array.shape) % 5).astype(array.dtype)


def rounded(array):
    return np.round(array, 1).astype(array.dtype) if array.dtype.kind == "f" else array


def simplify(case, name, function):
    for arrays in (case.feeds, case.constants):
        if name in arrays:
            arrays[name] = np.asarray(function(arrays[name]))
