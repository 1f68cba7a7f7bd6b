#!/usr/bin/env python3
"""Measures whose fault a failure is, over real sockets: bad clients, and a model that is broken.

    cargo build --release -p clarity-server
    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install onnx
    /tmp/venv/bin/python .ci/bad_clients.py target/release/clarity

Serves a model that looks a token up in a table, alone on the machine. Then checks:

  malformed   five malformed requests: 400 or 404, the breaker stays closed
  poisonous   five requests whose token is not in the table: the breaker stays closed
  flood       `--rate` such requests a second for `--seconds`: at most one judging run a second
  broken      the model without a probe and without a good input: the fifth failure opens

The first three run `--rounds` times. After each round, a good request follows at once. The median of
these requests must be at most twice the 99th percentile of an idle server: a single one can meet
work of another process. Exits with 1 if a check fails. Run it by hand: it measures time.
"""

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from served import Server, post

TOKENS = 100
# For this time, in seconds, a verdict of the probe is reused.
VERDICT_LASTS = 1
PATH = "/v2/models/lookup/infer"


def request(token):
    return json.dumps({"inputs": [{"name": "token", "datatype": "INT64", "shape": [1], "data": [token]}]})


MALFORMED = [
    (PATH, "{"),
    (PATH, '{"inputs": []}'),
    (PATH, request(1).replace("INT64", "FP32")),
    (PATH, request(1).replace("[1], ", "[2], ")),
    ("/v2/models/lookup/versions/9/infer", request(1)),
]


def write_model(path):
    """A table of FP32 values, and the row of a token."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [TOKENS, 8], [float(n) for n in range(TOKENS * 8)])
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "token"], ["row"])],
        "lookup",
        [helper.make_tensor_value_info("token", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, [1, 8])],
        [table],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


class Asked:
    """The model on a server, asked on one connection that is kept."""

    def __init__(self, server):
        self.server = server
        self.connection = http.client.HTTPConnection(server.address, timeout=60)

    def __call__(self, token):
        """The status and reason of an answer, and its time in seconds."""
        began = time.perf_counter()
        self.connection.request("POST", PATH, request(token))
        response = self.connection.getresponse()
        answer = json.loads(response.read())
        return response.status, answer.get("reason"), time.perf_counter() - began

    def metric(self, name):
        text = self.server.request("GET", "/metrics")[1].decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(name, line))

    def is_closed(self):
        return self.metric(r'circuit_breaker_state\{model="lookup",state="closed"\}') == 1


class Report:
    failed = False

    def line(self, name, text, holds):
        print(f"{name}: {text}: {'holds' if holds else 'FAILED'}")
        self.failed |= not holds


def flood(server, rate, seconds):
    """Sends poisonous requests on eight connections. Returns the number of answers by status."""
    answers, lock, began = {}, threading.Lock(), time.monotonic()

    def ask(number):
        asked, sent = Asked(server), 0
        while time.monotonic() - began < seconds:
            status = asked(TOKENS + number)[0]
            with lock:
                answers[status] = answers.get(status, 0) + 1
            sent += 1
            time.sleep(max(0, began + sent * 8 / rate - time.monotonic()))

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def bad_clients(server, options, report):
    asked = Asked(server)
    took = sorted(asked(number % TOKENS)[2] for number in range(1000))
    bound = 2 * took[990]
    print(f"idle: p50 {took[500] * 1e3:.2f} ms, p99 {took[990] * 1e3:.2f} ms")

    def check(name, send):
        """Runs the rounds of a check. `send` returns a text, and whether the answers are right."""
        took, statuses = [], set()
        for _ in range(options.rounds):
            text, holds = send()
            report.line(name, f"{text}, breaker closed", holds and asked.is_closed())
            status, _, seconds = asked(7)
            statuses.add(status)
            took.append(seconds)
            # The next round needs a verdict of its own.
            time.sleep(1.1 * VERDICT_LASTS)
        median = statistics.median(took)
        text = f"the next good requests: {statuses}, median {median * 1e3:.2f} ms, longest {max(took) * 1e3:.2f} ms"
        report.line(name, f"{text}, bound {bound * 1e3:.2f} ms", statuses == {200} and median <= bound)

    def malformed():
        statuses = [post(server.address, path, body)[0].status for path, body in MALFORMED]
        return f"{statuses}", set(statuses) <= {400, 404}

    def poisonous():
        found = [asked(TOKENS + number)[:2] for number in range(5)]
        return f"{found}", found == [(503, "inference_failed")] * 4 + [(422, "input_rejected")]

    def poisonous_flood():
        name = r"circuit_breaker_judging_runs_total\{"
        before = asked.metric(name)
        answers = flood(server, options.rate, options.seconds)
        judged = asked.metric(name) - before
        text = f"{answers} in {options.seconds} s, {judged:.0f} judging runs"
        return text, 0 < judged <= options.seconds + 1

    check("malformed", malformed)
    check("poisonous", poisonous)
    check("flood", poisonous_flood)


def broken_model(server, report):
    asked = Asked(server)
    found = [asked(TOKENS)[:2] for _ in range(6)]
    expected = [(503, "inference_failed")] * 5 + [(503, "circuit_open")]
    report.line("broken", f"{found}", found == expected and not asked.is_closed())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="the program clarity")
    parser.add_argument("--rate", type=float, default=1000, help="poisonous requests a second (default 1000)")
    parser.add_argument("--seconds", type=int, default=5, help="of these requests (default 5)")
    parser.add_argument("--rounds", type=int, default=5, help="of the checks of bad clients (default 5)")
    options = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        model, probe = Path(folder, "model.onnx"), Path(folder, "probe.json")
        write_model(model)
        probe.write_text(request(1))
        for store, flags in [("probed", ["--probe", probe]), ("unprobed", [])]:
            Path(folder, store).mkdir()
            command = [options.binary, "add", "lookup", model, "--models", Path(folder, store), *flags]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with Server(options.binary, Path(folder, "probed")) as server:
            server.wait_for("GET", "/v2/models/lookup/ready", 200)
            bad_clients(server, options, report)
        with Server(options.binary, Path(folder, "unprobed")) as server:
            server.wait_for("GET", "/v2/models/lookup/ready", 200)
            broken_model(server, report)
    sys.exit(report.failed)


if __name__ == "__main__":
    main()
