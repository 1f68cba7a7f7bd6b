#!/usr/bin/env python3
"""Measures a server of very many tiny models, over real sockets.

    cargo build --release -p clarity-server
    benches/very_many_models.py target/release/clarity

Publishes `--models` copies of `chaos_tests/models/cole_kripke` (473 bytes) into a store, starts a
server with all defaults, and measures, in this order:

  ready     the time until `/v2/health/ready` answers 200 with `--ready-when all`: every model is
            read, hashed, vetted and loaded
  idle      `--idle` seconds without a request: the processor time, as a share of one core
  memory    the resident set size of the server and of its children; the peak of
            the sum during the start
  scrape    the size and the time of one scrape of the metrics, before any prediction
  first     the time of the first request to each of `--asked` models that were never asked
  after     threads, descriptors and the scrape after these requests

Needs Python and Linux. Says what it measured, and judges nothing.
"""

import argparse
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "chaos_tests/models/cole_kripke/1"
TICKS = os.sysconf("SC_CLK_TCK")
BODY = json.dumps({"inputs": [{"name": "activity", "shape": [1, 7], "datatype": "FP32", "data": [0, 0, 12, 310, 280, 5, 0]}]})


def publish(store, models):
    manifest = json.loads((SOURCE / "manifest.json").read_text())
    model = (SOURCE / "model.onnx").read_bytes()
    names = [f"cole_kripke_{number:04}" for number in range(models)]
    for name in names:
        version = store / name / "1"
        version.mkdir(parents=True)
        (version / "model.onnx").write_bytes(model)
        (version / "manifest.json").write_text(json.dumps({**manifest, "model": name}))
    return names


def status(pid, *keys):
    """The numbers of `/proc/PID/status`."""
    try:
        lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    except (FileNotFoundError, ProcessLookupError):
        return [0 for _ in keys]
    return [int(lines.get(key, "0").split()[0]) for key in keys]


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid):
    [own] = status(pid, "VmRSS")
    of_children = sum(status(child, "VmRSS")[0] for child in children(pid))
    return own / 1024, of_children / 1024


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def infer(port, name):
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", f"/v2/models/{name}/infer", BODY)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, (answer.status, text)
    connection.close()
    return time.monotonic() - began


def describe(pid, label):
    own, of_children = memory(pid)
    threads, swapped = status(pid, "Threads", "VmSwap")
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    print(f"{label}: RSS {own:.0f} MiB, children {of_children:.0f} MiB, {threads} threads, {descriptors} descriptors")


def scrape(port, label):
    began = time.monotonic()
    answer, text = get(port, "/metrics")
    took = time.monotonic() - began
    assert answer == 200
    print(f"{label}: scrape of {len(text) / 1e6:.2f} MB ({text.count(10)} lines) in {took * 1000:.0f} ms")


def percentile(took, share):
    return took[min(len(took) - 1, int(len(took) * share))]


def measure(binary, options, store, names):
    began = time.monotonic()
    arguments = [binary, "serve", "--models", store, "--listen", "127.0.0.1:0", "--ready-when", "all", "--drain-delay", "0s", *options.server]
    server = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        peak = 0
        while get(port, "/v2/health/ready")[0] != 200:
            peak = max(peak, sum(memory(server.pid)))
            assert time.monotonic() - began < options.limit, "the server does not become ready"
            time.sleep(0.1)
        print(f"ready: {time.monotonic() - began:.1f} s for {len(names)} models, {processor_seconds(server.pid):.1f} s of CPU without children; peak RSS with children {peak:.0f} MiB")
        describe(server.pid, "ready")
        time.sleep(2)
        used = processor_seconds(server.pid)
        time.sleep(options.idle)
        used = processor_seconds(server.pid) - used
        print(f"idle: {100 * used / options.idle:.2f} % of a core over {options.idle:.0f} s")
        scrape(port, "idle")
        asked = names[:: max(1, len(names) // options.asked)][: options.asked]
        took = sorted(infer(port, name) for name in asked)
        print(f"first request: median {percentile(took, 0.5) * 1000:.1f} ms, p99 {percentile(took, 0.99) * 1000:.1f} ms, most {took[-1] * 1000:.1f} ms of {len(took)} models")
        describe(server.pid, "after")
        scrape(port, "after")
        if options.rest:
            time.sleep(options.rest)
            describe(server.pid, f"{options.rest:.0f} s later")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--models", type=int, default=2000)
    parser.add_argument("--idle", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--asked", type=int, default=200, metavar="MODELS")
    parser.add_argument("--rest", type=float, default=0.0, metavar="SECONDS", help="measure once more after this time without a request")
    parser.add_argument("--limit", type=float, default=600.0, metavar="SECONDS", help="the longest wait for readiness")
    parser.add_argument("--server", nargs="*", default=[], metavar="OPTION", help="further options of `clarity serve`")
    options = parser.parse_args()
    load = os.getloadavg()
    print(f"{os.cpu_count()} processors, load {load[0]:.1f}, Linux {os.uname().release}, {sys.argv[1]}")
    with tempfile.TemporaryDirectory() as folder:
        store = pathlib.Path(folder, "models")
        names = publish(store, options.models)
        measure(options.binary, options, store, names)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
