#!/usr/bin/env python3
"""Measures requests that wait for a slow model: over real sockets, with a model that really runs.

    cargo build --release -p clarity-server
    benches/slow_model.py target/release/clarity

Starts a server with all defaults and a model whose run takes about `--seconds`, alone on the
machine. Then measures three things:

  idle      requests one after the other: the median, and the 99th percentile
  hanging   `--gone` clients hang up: the time of the next request, `--hangs` times with nothing else
            under way, and as often behind the run of a client that waits
  waiting   `--clients` clients ask at once: the answers by status and reason, and the breaker

Needs Python alone. Says what it measured, and judges nothing: run it on a machine with nothing else
to do.
"""

import argparse
import collections
import http.client
import json
import os
import socket
import struct
import subprocess
import tempfile
import threading
import time

MODEL = "slow"
SIZE = 512


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def model(products):
    """An ONNX model that multiplies a matrix of the input's number by itself, `products` times."""

    def node(kind, inputs, output):
        named = b"".join(text(1, name) for name in inputs)
        return text(1, named + text(2, output) + text(3, output) + text(4, kind))

    def value(field, name):
        dimensions = b"".join(text(1, number(1, size)) for size in (1, 1))
        tensor = number(1, 1) + text(2, dimensions)
        return text(field, text(1, name) + text(2, text(1, tensor)))

    def constant(name, dimensions, kind, raw):
        sizes = b"".join(number(1, size) for size in dimensions)
        return text(5, sizes + number(2, kind) + text(8, name) + text(9, raw))

    nodes = node("Expand", ["x", "shape"], "m0")
    for step in range(products):
        nodes += node("MatMul", [f"m{step}", "m0"], f"p{step}")
        # The mean of the products is again the number of the input.
        nodes += node("Mul", [f"p{step}", "share"], f"m{step + 1}")
    nodes += node("ReduceMax", [f"m{products}"], "y")
    weights = constant("shape", [2], 7, struct.pack("<2q", SIZE, SIZE))
    weights += constant("share", [1], 1, struct.pack("<f", 1 / SIZE))
    graph = nodes + text(2, "slow") + weights + value(11, "x") + value(12, "y")
    return number(1, 8) + text(8, number(2, 17)) + text(7, graph)


def body():
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}
    return json.dumps({"inputs": [tensor]})


class Server:
    def __init__(self, binary, products):
        self.models = tempfile.TemporaryDirectory()
        file = os.path.join(self.models.name, "model.onnx")
        with open(file, "wb") as out:
            out.write(model(products))
        store = os.path.join(self.models.name, "models")
        os.mkdir(store)
        subprocess.run([binary, "add", "--models", store, MODEL, file], check=True, stdout=subprocess.DEVNULL)
        self.process = subprocess.Popen(
            [binary, "serve", "--models", store, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self.process.stdout.readline()
        self.port = int(line.rsplit(":", 1)[1])
        while self.get("/v2/health/ready")[0] != 200:
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.models.cleanup()

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def infer(self):
        """The status, the reason and the duration of one request."""
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("POST", f"/v2/models/{MODEL}/infer", body())
        answer = connection.getresponse()
        reason = json.loads(answer.read()).get("reason", "")
        connection.close()
        return answer.status, reason, time.monotonic() - began

    def send(self):
        """A connection on which a request was sent, and no answer was read."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        head = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body())}\r\n\r\n"
        connection.sendall((head + body()).encode())
        return connection

    def series(self, *names):
        lines = self.get("/metrics")[1].splitlines()
        return [line for line in lines if line.startswith(names) and not line.endswith(" 0")]


    def until_at_rest(self):
        """Waits until the server uses no processor: runs of clients that have gone have ended."""
        used = self.processor_seconds()
        while True:
            time.sleep(0.2)
            used, before = self.processor_seconds(), used
            if used - before < 0.02:
                return

    def processor_seconds(self):
        [line] = self.series("process_cpu_seconds_total ")
        return float(line.split()[1])


def idle(server, times):
    """The durations of requests one after the other, sorted."""
    return sorted(server.infer()[2] for _ in range(times))


def percentile(took, share):
    return took[min(len(took) - 1, int(len(took) * share))]


def calibrated(binary, seconds):
    """The number of products of a run of about `seconds`."""
    with Server(binary, 16) as server:
        return max(1, round(16 * seconds / percentile(idle(server, 5), 0.5)))


def waiting(server, clients, rounds):
    """`clients` ask at once; each asks again after its answer, `rounds` times in all."""
    answers = collections.Counter()

    def ask():
        for _ in range(rounds):
            status, reason, _took = server.infer()
            answers[f"{status} {reason}".strip()] += 1

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"waiting: {clients} clients, {rounds} requests each: {dict(answers)}")
    for line in server.series("circuit_breaker_state", "prediction_left_queue_total"):
        print(f"  {line}")
    print(f"  the next request: {server.infer()}")


def hanging_up(server, gone, hangs, pause):
    took = idle(server, 10)
    most = percentile(took, 0.99)
    print(f"idle: p50 {percentile(took, 0.5):.2f} s, p99 {most:.2f} s of {len(took)} requests")
    for behind_a_run in (False, True):
        place = "behind the run of a client that waits" if behind_a_run else "with nothing else under way"
        print(f"hanging: the next request after {gone} clients that have gone, {place}")
        for _ in range(hangs):
            server.until_at_rest()
            if behind_a_run:
                waits = server.send()
                time.sleep(0.1)
            for connection in [server.send() for _ in range(gone)]:
                connection.close()
            time.sleep(pause)
            status, reason, took = server.infer()
            print(f"  {took:.2f} s, {took / most:.2f} times the idle p99: {status} {reason}".rstrip())
            if behind_a_run:
                waits.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="the program clarity")
    parser.add_argument("--seconds", type=float, default=0.6, help="of a run, alone (default 0.6)")
    parser.add_argument("--clients", type=int, default=64, help="default 64")
    parser.add_argument("--rounds", type=int, default=1, help="requests of each client (default 1)")
    parser.add_argument("--gone", type=int, default=100, help="default 100")
    parser.add_argument("--hangs", type=int, default=5, help="rounds of clients that hang up (default 5)")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds before the next request (default 0.1)")
    options = parser.parse_args()
    products = calibrated(options.binary, options.seconds)
    with Server(options.binary, products) as server:
        hanging_up(server, options.gone, options.hangs, options.pause)
    with Server(options.binary, products) as server:
        waiting(server, options.clients, options.rounds)


if __name__ == "__main__":
    main()
