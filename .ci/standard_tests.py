#!/usr/bin/env python3
"""Runs the tests of the ONNX standard through the server's runtimes, and compares every output.

The tests are those of the package `onnx`. Fails if a test outside of the exceptions below has a wrong
answer, if a test crashes a runtime, or if fewer tests are right than expected.

    python3 -m venv /tmp/onnx && /tmp/onnx/bin/pip install numpy onnx==1.23.2 onnxruntime==1.32.0
    cargo build -p clarity-testbed --bin run_models
    /tmp/onnx/bin/python .ci/standard_tests.py target/debug/run_models
"""

import argparse
import collections
import glob
import json
import os
import re
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import DATA_DIR, load_model_tests
from onnx.backend.test.runner import Runner

from compared_outputs import difference
from model_runner import DATATYPES, ModelRunner
from python_runner import PythonRunner, library

KINDS = ["node", "simple", "pytorch-operator", "pytorch-converted", "real"]
MASKED = "ONNX Runtime masks with the lowest finite number, and the standard with an infinity"
LENGTH = "ONNX Runtime aligns with the whole length of the output, and the standard with the product of scale and length"
# Each of these draws its answer.
RANDOM = [
    f"test_{name}"
    for name in ["bernoulli", "bernoulli_double", "bernoulli_seed"]
    + [f"training_dropout{each}" for each in ["", "_default", "_default_mask", "_mask"]]
]
# They add numbers up to about 1000, one unit in the last place of which is 6e-5, and expect zeros.
DIGITS = "ONNX Runtime differs by 1.2e-4, the standard's tolerance is 1e-4"
DFT = [f"test_dft{kind}{version}" for kind in ["", "_axis", "_rfft"] for version in ["", "_opset19"]]
# The tests that may be wrong, with the reasons. A runtime may also refuse them.
EXCEPTIONS = {
    **dict.fromkeys(RANDOM, "random"),
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal": MASKED,
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal": MASKED,
    "test_maxunpool_export_with_output_shape": "ONNX Runtime counts the positions in the given shape",
    "test_resize_downsample_scales_linear_align_corners": LENGTH,
    "test_resize_downsample_scales_cubic_align_corners": LENGTH,
    **dict.fromkeys(DFT, DIGITS),
}
# The share of the tests that ONNX Runtime's own Python passes.
LEAST_SHARE = 0.99
VERDICTS = ["right", "wrong", "refused", "failed", "crashed"]


class Case:
    """One test: a model, and inputs with the right outputs."""

    def __init__(self, name, kind, model, sets, rtol, atol):
        self.name, self.kind, self.model, self.sets = name, kind, model, sets
        self.rtol, self.atol = rtol, atol

    def is_carried(self):
        """Whether the protocol has the datatypes of all inputs and outputs."""
        tensors = [*self.model.graph.input, *self.model.graph.output]
        return all(is_carried(tensor.type) for tensor in tensors)

    def operators(self):
        return sorted(operators(self.model.graph.node) | {
            name for function in self.model.functions for name in operators(function.node)
        })

    def verdict(self, runner):
        """Returns the verdict on all sets of inputs, and the reason, or the runtime."""
        names = [output.name for output in self.model.graph.output]
        model = self.model.SerializeToString()
        runtime = ""
        for inputs, expected in self.sets:
            answer = runner.run(model, inputs)
            if answer.result == "panicked":
                return "failed", f"{answer.stage}: panicked: {answer.why}"
            if answer.result != "answered":
                return answer.result, f"{answer.stage}: {answer.why}"
            found = [answer.outputs.get(name) for name in names]
            why = difference(names, expected, found, self.rtol, self.atol)
            if why:
                return "wrong", why
            runtime = answer.runtime
        return "right", runtime


def is_carried(declared):
    if not declared.HasField("tensor_type"):
        return False
    try:
        datatype = onnx.helper.tensor_dtype_to_np_dtype(declared.tensor_type.elem_type)
    except KeyError:
        return False
    return str(datatype) in DATATYPES


def operators(nodes):
    found = set()
    for node in nodes:
        found.add(node.op_type)
        for attribute in node.attribute:
            for graph in [attribute.g, *attribute.graphs]:
                found |= operators(graph.node)
    return found


def cases(pattern):
    """Makes all tests of the package."""
    for kind in KINDS:
        for test in load_model_tests(kind=kind):
            if not re.search(pattern, test.name):
                continue
            model, sets = loaded(test)
            yield Case(test.name, kind, model, sets, test.rtol, test.atol)


def loaded(test):
    if test.model is not None:
        names = [tensor.name for tensor in test.model.graph.input]
        return test.model, [
            (dict(zip(names, map(array, inputs))), [array(each) for each in outputs])
            for inputs, outputs in test.data_sets
        ]
    if test.model_dir:
        model = onnx.load(os.path.join(test.model_dir, "model.onnx"))
        folders = sorted(glob.glob(os.path.join(test.model_dir, "test_data_set*")))
        return model, [read_set(model, folder) for folder in folders]
    # The large networks: their weights are constant, and their input is not in the package.
    path = os.path.join(DATA_DIR, "light", os.path.basename(test.url))
    model = onnx.load(path)
    weights = {weight.name for weight in model.graph.initializer}
    inputs = {
        tensor.name: Runner.generate_dummy_data(tensor)
        for tensor in model.graph.input
        if tensor.name not in weights
    }
    outputs = [read(each) for each in sorted(glob.glob(path.removesuffix(".onnx") + "_output_*.pb"))]
    return model, [(inputs, outputs)]


def read_set(model, folder):
    """Reads inputs and outputs. Without a tensor for each, the test is not carried."""
    of = lambda name, tensors: [
        read(os.path.join(folder, f"{name}_{number}.pb"))
        for number, tensor in enumerate(tensors)
        if tensor.type.HasField("tensor_type") and os.path.exists(os.path.join(folder, f"{name}_{number}.pb"))
    ]
    inputs = of("input", model.graph.input)
    return dict(zip([tensor.name for tensor in model.graph.input], inputs)), of("output", model.graph.output)


def read(path):
    tensor = onnx.TensorProto()
    with open(path, "rb") as file:
        tensor.ParseFromString(file.read())
    return numpy_helper.to_array(tensor)


def array(value):
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    # A sequence is a list, which the protocol does not carry.
    return value if isinstance(value, list) else numpy.asarray(value)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run_models")
    parser.add_argument("--library", default=library(), help="the shared library of ONNX Runtime")
    parser.add_argument("--runtimes", default="rten", help="of rten, auto, onnxruntime and python, with commas")
    parser.add_argument("--at-least", type=int, default=0, help="the tests that rten alone must answer rightly")
    parser.add_argument("--without-claims", action="store_true", help="run nodes that no claim covers")
    parser.add_argument("--only", default="", help="run the tests whose name matches this expression")
    parser.add_argument("--json", help="write a line for each test to this file")
    return parser.parse_args()


def main():
    options = parse()
    began = time.monotonic()
    found, uncarried = lines(options)
    if options.json:
        with open(options.json, "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in found)
    print(f"{len(found)} tests, and {uncarried} whose inputs or outputs the protocol does not carry")
    print(f"onnx {onnx.__version__}, {time.monotonic() - began:.0f} s")
    runtimes = options.runtimes.split(",")
    failures = report({line["name"]: line for line in found}, runtimes, options.at_least) if not options.only else []
    for failure in failures:
        print("FAILED:", failure)
    sys.exit(bool(failures))


def lines(options):
    """Runs the tests: returns a line for each test, and the number of uncarried tests."""
    warnings.simplefilter("ignore")
    runners = {
        runtime: PythonRunner()
        if runtime == "python"
        else ModelRunner(
            options.run_models, runtime, library=None if runtime == "rten" else options.library, claims=not options.without_claims
        )
        for runtime in options.runtimes.split(",")
    }
    found, uncarried = [], 0
    threads = ThreadPoolExecutor(len(runners))
    for case in cases(options.only):
        if not case.is_carried():
            uncarried += 1
            continue
        verdicts = dict(zip(runners, threads.map(case.verdict, runners.values())))
        found.append({"name": case.name, "kind": case.kind, "operators": case.operators(), **verdicts})
    for runner in runners.values():
        runner.stop()
    return found, uncarried


def report(verdicts, runtimes, at_least):
    """Prints a table, and returns the expectations that do not hold."""
    counts = {
        runtime: collections.Counter(of_case[runtime][0] for of_case in verdicts.values()) for runtime in runtimes
    }
    print(f"{'':<12}" + "".join(f"{verdict:>9}" for verdict in VERDICTS))
    for runtime in runtimes:
        print(f"{runtime:<12}" + "".join(f"{counts[runtime][verdict]:>9}" for verdict in VERDICTS))
    failures = []
    for runtime in runtimes:
        for name, of_case in verdicts.items():
            verdict, why = of_case[runtime]
            if verdict in ("wrong", "crashed"):
                reason = EXCEPTIONS.get(name) if verdict == "wrong" else None
                print(f"{verdict}{f' ({reason})' if reason else ''}: {runtime} {name}: {why}")
                if not reason and runtime != "python":
                    failures.append(f"{runtime} {name} is {verdict}")
            elif verdict == "failed" and runtime == "rten":
                # A model that rten cannot run must be refused, so that another runtime gets it.
                failures.append(f"{runtime} {name} is claimed, and failed: {why}")
    if "rten" in runtimes and counts["rten"]["right"] < at_least:
        failures.append(f"rten: expected {at_least} right, found {counts['rten']['right']}")
    for runtime in set(runtimes) & {"auto", "onnxruntime"} if "python" in runtimes else ():
        passed = [of_case[runtime] for of_case in verdicts.values() if of_case["python"][0] == "right"]
        right = sum(verdict == "right" for verdict, _ in passed)
        share = right / len(passed)
        print(f"{runtime}: right in {right} ({share:.2%}) of the {len(passed)} tests that ONNX Runtime's own Python passes")
        if share < LEAST_SHARE:
            failures.append(f"{runtime}: expected {LEAST_SHARE:.0%}, found {share:.2%}")
    return failures


main()
