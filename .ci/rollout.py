#!/usr/bin/env python3
"""Restarts servers under load, and fails if a request is refused, reset or lost.

Three servers behind HAProxy are restarted one after the other, as in a rolling update. Then one server without a proxy is stopped again and again: its
clients stop when its readiness says 503. Meanwhile, clients open new connections at a fixed rate, and others keep theirs. HAProxy retries nothing, so that
it hides nothing. By hand: `--rounds 50`.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import signal
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL = "cole_kripke"
REQUEST = json.dumps({"inputs": [{"name": "activity", "shape": [1, 3], "datatype": "FP32", "data": [0, 12, 310]}]})
KEEPING = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nhost: x\r\ncontent-length: {len(REQUEST)}\r\n\r\n{REQUEST}"
CLOSING = KEEPING.replace("host: x", "host: x\r\nconnection: close")
READINESS = "GET /v2/health/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
LIMIT = 60

HAPROXY = """
defaults
    mode http
    retries 0
    timeout connect 30s
    timeout client 60s
    timeout server 60s
    timeout check 10s
frontend main
    bind 127.0.0.1:{port}
    default_backend servers
backend servers
    option httpchk GET /v2/health/ready
    default-server check inter 100ms fall 1 rise 1
{servers}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def exchange(reader, writer, request):
    """Sends a request. Returns the status with the reason, and whether the connection stays open."""
    writer.write(request.encode())
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next(line for line in head.splitlines() if line.startswith("content-length:"))
    body = await reader.readexactly(int(length.split(":")[1]))
    status = head.split()[1]
    if status != "200":
        with contextlib.suppress(ValueError, KeyError):
            status += " " + json.loads(body)["reason"]
    return status, "connection: close" not in head


class Server:
    def __init__(self, binary, models, port, delay):
        # Room for a burst on a slow machine: an overload is no fault of the shutdown.
        self.arguments = [binary, "serve", "--models", models, "--concurrency", "1000", "--drain-delay", delay]
        self.arguments += ["--listen", f"127.0.0.1:{port}"]
        self.port = port
        self.process = None

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            *self.arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        line = await self.process.stdout.readline()
        assert line.startswith(b"listening on"), line
        while await readiness(self.port) != "200":
            await asyncio.sleep(0.05)

    async def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self.process.wait(), LIMIT)
        assert code == 0, f"the server ended with {code}"


async def readiness(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return (await exchange(reader, writer, READINESS))[0]
    finally:
        writer.close()


class Load:
    """Clients of one port, until they are stopped. Counts each outcome."""

    def __init__(self, port, rate, kept):
        self.port = port
        self.outcomes = collections.Counter()
        self.stopping = asyncio.Event()
        self.tasks = {asyncio.create_task(self.open_anew(rate))} | {asyncio.create_task(self.keep()) for _ in range(kept)}

    async def stop(self):
        self.stopping.set()
        await asyncio.gather(*self.tasks)

    async def attempt(self, name, work):
        """Runs one exchange. Returns its result, or None after a failure."""
        try:
            status, stays = await asyncio.wait_for(work, LIMIT)
        except Exception as error:
            self.outcomes[f"{name}: {type(error).__name__} {error}"[:120]] += 1
            return None
        self.outcomes[f"{name}: {status}"] += 1
        return stays

    async def open_anew(self, rate):
        """Opens `rate` connections a second, each for one request."""
        running = set()
        due = time.monotonic()
        while not self.stopping.is_set():
            task = asyncio.create_task(self.attempt("new", self.once()))
            running.add(task)
            task.add_done_callback(running.discard)
            due += 1 / rate
            await asyncio.sleep(max(0, due - time.monotonic()))
        await asyncio.gather(*running)

    async def once(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            return await exchange(reader, writer, CLOSING)
        finally:
            writer.close()

    async def keep(self):
        """Keeps a connection for as long as the server does."""
        connection = None
        while not self.stopping.is_set():
            if connection is None:
                try:
                    connection = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError as error:
                    self.outcomes[f"kept: {error}"[:120]] += 1
                    continue
            stays = await self.attempt("kept", exchange(*connection, KEEPING))
            if not stays:
                connection[1].close()
                connection = None
            await asyncio.sleep(0.05)
        if connection:
            connection[1].close()


def judge(title, outcomes):
    good = sum(count for outcome, count in outcomes.items() if outcome in ("new: 200", "kept: 200"))
    bad = {outcome: count for outcome, count in outcomes.items() if outcome not in ("new: 200", "kept: 200")}
    print(f"{title}: {good} answers, {sum(bad.values())} failures {bad or ''}", flush=True)
    return bool(good) and not bad


async def behind_a_proxy(options, work):
    servers = [Server(options.binary, work / "models", free_port(), options.delay) for _ in range(3)]
    await asyncio.gather(*(server.start() for server in servers))
    port = free_port()
    lines = "\n".join(f"    server s{number} 127.0.0.1:{server.port}" for number, server in enumerate(servers))
    config = work / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, servers=lines))
    proxy = await asyncio.create_subprocess_exec(
        options.haproxy, "-db", "-f", config, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                if await readiness(port) == "200":
                    break
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        load = Load(port, options.rate, options.kept)
        for _ in range(options.rounds):
            for server in servers:
                await server.stop()
                await server.start()
                # HAProxy sees the new server before the next one goes.
                await asyncio.sleep(1)
        await load.stop()
        return judge(f"{options.rounds} rolling restarts of three servers", load.outcomes)
    finally:
        proxy.kill()
        await proxy.wait()
        for server in servers:
            await server.stop()


async def alone(options, work):
    outcomes = collections.Counter()
    server = Server(options.binary, work / "models", free_port(), options.delay)
    for _ in range(options.rounds):
        await server.start()
        load = Load(server.port, options.rate, options.kept)
        await asyncio.sleep(1)
        stopping = asyncio.create_task(server.stop())
        while await readiness(server.port) == "200":
            await asyncio.sleep(0.02)
        await load.stop()
        await stopping
        outcomes += load.outcomes
    return judge(f"{options.rounds} stops of a server alone", outcomes)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rate", type=int, default=200, help="new connections a second")
    parser.add_argument("--kept", type=int, default=20, help="kept connections")
    parser.add_argument("--delay", default="1s", help="--drain-delay of each server")
    options = parser.parse_args()
    options.haproxy = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/sbin")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        subprocess.run([options.binary, "add", MODEL, options.model, "--models", work / "models"], check=True)
        good = await alone(options, work)
        if options.haproxy:
            good = await behind_a_proxy(options, work) and good
        else:
            print("NOT CHECKED: there is no haproxy")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
