"""The project's runtimes, by the program `run_models` and its pipe."""

import importlib.util
import json
import os
import select
import struct
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

NAMES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "object": "BYTES",
}
DTYPES = {name: dtype for dtype, name in NAMES.items()}
TIMEOUT = 30


@dataclass
class Answer:
    """The result of a run: "answered", "refused", "failed", "panicked", "crashed" or "hung"."""

    result: str
    stage: str = ""
    why: str = ""
    claims: list = field(default_factory=list)
    outputs: list = field(default_factory=list)


class Crashed(Exception):
    """The program ended, or does not answer."""


class Runner:
    """A running `run_models`; it is started anew after it crashed."""

    def __init__(self, program, runtime="rten", claims=True, rewrite=True):
        self.command = [program]
        if runtime != "rten":
            self.command += ["--onnxruntime", library()]
        self.runtime, self.claims, self.rewrite = runtime, claims, rewrite
        self.process, self.number = None, 0

    def start(self):
        environment = dict(os.environ, ORT_DISABLE_TELEMETRY="1", RUST_BACKTRACE="0")
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
        )

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def run(self, model, feeds, dropped=None, claims=None, rewrite=None):
        """Runs a model; `dropped` is the number of a condition that is left out."""
        if self.process is None:
            self.start()
        self.number += 1
        payloads = [encode(array) for array in feeds.values()]
        inputs = [
            {
                "name": name,
                "datatype": NAMES[array.dtype.name],
                "shape": list(array.shape),
                "bytes": len(payload),
            }
            for (name, array), payload in zip(feeds.items(), payloads)
        ]
        header = {
            "id": self.number,
            "runtime": self.runtime,
            "claims": self.claims if claims is None else claims,
            "rewrite": self.rewrite if rewrite is None else rewrite,
            "dropped": dropped,
            "model": len(model),
            "inputs": inputs,
        }
        try:
            text = json.dumps(header).encode()
            frame = struct.pack("<I", len(text)) + text + model + b"".join(payloads)
            while frame:
                frame = frame[self.process.stdin.write(frame) :]
            self.deadline = time.monotonic() + TIMEOUT
            answer = json.loads(self.read(struct.unpack("<I", self.read(4))[0]))
            outputs = {
                o["name"]: decode(o, self.read(o["bytes"])) for o in answer.get("outputs") or []
            }
        except (OSError, Crashed) as error:
            result = "hung" if "time" in str(error) else "crashed"
            self.process.kill()
            why = (
                f"the program ended with {self.process.wait()}"
                if result == "crashed"
                else str(error)
            )
            self.process = None
            return Answer(result, why=why)
        return Answer(
            answer["result"],
            answer.get("stage") or "",
            answer.get("why") or "",
            answer.get("claims") or [],
            outputs,
        )

    def read(self, length):
        parts = []
        descriptor = self.process.stdout.fileno()
        while length:
            left = self.deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise Crashed("no answer in time")
            part = os.read(descriptor, min(length, 1 << 20))
            if not part:
                raise Crashed("the program ended")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


def encode(array):
    if array.dtype.name != "object":
        return np.ascontiguousarray(array).tobytes()
    texts = [text.encode() if isinstance(text, str) else bytes(text) for text in array.reshape(-1)]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def decode(output, payload):
    dtype = DTYPES[output["datatype"]]
    if dtype != "object":
        return np.frombuffer(payload, np.dtype(dtype)).reshape(output["shape"])
    texts, at = [], 0
    while at < len(payload):
        length = struct.unpack_from("<I", payload, at)[0]
        texts.append(payload[at + 4 : at + 4 + length].decode())
        at += 4 + length
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array.reshape(output["shape"])


def library():
    """ONNX Runtime's shared library in its Python package."""
    place = importlib.util.find_spec("onnxruntime").origin
    found = sorted(Path(place).parent.glob("capi/libonnxruntime.so*"))
    if not found:
        raise FileNotFoundError(f"expected capi/libonnxruntime.so* beside {place}")
    return str(found[0])


def claims_of(program):
    """The list of claims that the program knows."""
    text = subprocess.run(
        [program, "--list-claims"], check=True, capture_output=True, text=True
    ).stdout
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def default_program():
    """The newest build of `run_models`."""
    root = Path(
        os.environ.get("CARGO_TARGET_DIR") or Path(__file__).resolve().parents[2] / "target"
    )
    built = [root / profile / "run_models" for profile in ("debug", "release")]
    built = [path for path in built if path.exists()]
    return str(max(built, key=lambda path: path.stat().st_mtime)) if built else None
