"""Runs jobs in several worker processes, and starts a process anew after it died or hung."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

# Seconds without a line, after which a worker is ended.
PATIENCE = 90


class Worker:
    """A process that works through jobs; `left` are the jobs without a result."""

    def __init__(self, jobs, settings, lines):
        self.settings, self.lines = settings, lines
        self.left = dict(jobs)
        self.begun = None
        self.start()

    def start(self):
        environment = dict(
            os.environ, ORT_DISABLE_TELEMETRY="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"
        )
        program = [sys.executable, "-B", str(Path(__file__).with_name("worker.py"))]
        self.process = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if not self.settings.get("loud") else None,
            text=True,
            env=environment,
        )
        self.errors = []
        request = {"jobs": list(self.left.items()), "settings": self.settings}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.close()
        self.last = time.monotonic()
        threading.Thread(target=self.read, args=(self.process,), daemon=True).start()
        threading.Thread(target=self.drain, args=(self.process,), daemon=True).start()

    def read(self, process):
        for line in process.stdout:
            self.lines.put((self, process, json.loads(line)))
        self.lines.put((self, process, None))

    def drain(self, process):
        if process.stderr:
            for line in process.stderr:
                self.errors = self.errors[-20:] + [line]


def run(jobs, settings, processes=2, together=None):
    """Yields the rows of all jobs, in any order, and the counts of redrawn cases.

    `together` gives a key for each job: jobs of the same key run in the same process.
    """
    lines = queue.Queue()
    numbered = list(enumerate(jobs))
    keys = {}
    for place, job in numbered:
        keys.setdefault(together(job) if together else place, len(keys))
    shares = [[] for _ in range(processes)]
    for place, job in numbered:
        shares[keys[together(job) if together else place] % processes].append((place, job))
    working = {Worker(share, settings, lines) for share in shares if share}
    while working:
        try:
            worker, process, row = lines.get(timeout=5)
        except queue.Empty:
            for worker in working:
                if time.monotonic() - worker.last > PATIENCE:
                    worker.process.kill()
            continue
        if process is not worker.process:
            continue
        worker.last = time.monotonic()
        if row is None:
            code = process.wait()
            if worker.left and worker.begun is not None:
                job = worker.left.pop(worker.begun, None)
                if job is not None:
                    yield {
                        "job": job,
                        "operator": job[2],
                        "version": job[3],
                        "verdict": "oracle crashed",
                        "why": f"exit {code}: {''.join(worker.errors[-3:])[-300:]}",
                    }
                worker.begun = None
                if worker.left:
                    worker.start()
                    continue
            elif worker.left:
                raise RuntimeError(f"a worker does not start: {''.join(worker.errors)}")
            working.discard(worker)
        elif "begin" in row:
            worker.begun = row["begin"]
        elif "redrawn" in row:
            yield row
        elif "end" in row:
            worker.left.pop(row["end"], None)
        else:
            yield row
