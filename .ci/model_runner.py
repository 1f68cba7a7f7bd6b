"""Runs models in the program `run_models` of the testbed, and starts it anew after a crash."""

import json
import os
import selectors
import struct
import subprocess
import time

import numpy

# The limit of one run, in seconds.
LIMIT = 60

DATATYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "float16": "FP16",
    "float32": "FP32", "float64": "FP64", "object": "BYTES",
}
NUMPY = {datatype: numpy.dtype(name) for name, datatype in DATATYPES.items()}


class Answer:
    """The answer to one run: a result of the protocol, or `crashed`, and the outputs by name."""

    def __init__(self, result, stage, why, claims=(), outputs=None, runtime="", durations=()):
        self.result, self.stage, self.why = result, stage, why
        self.claims, self.outputs, self.runtime, self.durations = claims, outputs or {}, runtime, durations


class ModelRunner:
    """`library` is the shared library of ONNX Runtime, if `runtime` needs it."""

    def __init__(self, binary, runtime="rten", limit=LIMIT, library=None, **options):
        self.command, self.limit = [binary, *(["--onnxruntime", library] if library else [])], limit
        self.options = {"claims": False, "rewrite": True, "dropped": None, **options, "runtime": runtime}
        self.process, self.number = None, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self.readable = selectors.DefaultSelector()
        self.readable.register(self.process.stdout, selectors.EVENT_READ)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.readable.close()
            self.process = None

    def run(self, model, inputs, repeats=0):
        """Runs a model, which is given as bytes, on arrays by name; measures `repeats` more runs."""
        if not self.process:
            self.start()
        self.number += 1
        tensors = [encode(name, array) for name, array in inputs.items()]
        header = {"id": self.number, **self.options, "repeats": repeats, "model": len(model)}
        header["inputs"] = [each for each, _ in tensors]
        try:
            self.send(header, [model, *(data for _, data in tensors)])
            return self.receive()
        except (BrokenPipeError, EOFError):
            code = self.process.wait()
            self.stop()
            return Answer("crashed", "run", f"the process ended with {code}")
        except TimeoutError:
            self.stop()
            return Answer("crashed", "run", f"no answer within {self.limit} s")

    def send(self, header, parts):
        header = json.dumps(header).encode()
        # The process reads a whole request before it writes, so these writes do not block for long.
        for part in (struct.pack("<I", len(header)), header, *parts):
            self.process.stdin.write(part)
        self.process.stdin.flush()

    def receive(self):
        deadline = time.monotonic() + self.limit
        (length,) = struct.unpack("<I", self.read(4, deadline))
        header = json.loads(self.read(length, deadline))
        assert header["id"] == self.number, header
        outputs = {each["name"]: decode(each, self.read(each["bytes"], deadline)) for each in header["outputs"]}
        return Answer(
            header["result"], header["stage"], header["why"], header["claims"], outputs, header["runtime"], header["durations"]
        )

    def read(self, length, deadline):
        data = bytearray()
        while len(data) < length:
            if not self.readable.select(max(0, deadline - time.monotonic())):
                raise TimeoutError
            part = os.read(self.process.stdout.fileno(), length - len(data))
            if part == b"":
                raise EOFError
            data += part
        return bytes(data)


def encode(name, array):
    """Returns the header of a tensor, and the bytes of its elements."""
    array = numpy.asarray(array)
    if array.dtype.kind in "OSU":
        texts = [text if isinstance(text, bytes) else str(text).encode() for text in array.flatten()]
        data, datatype = b"".join(struct.pack("<I", len(text)) + text for text in texts), "BYTES"
    else:
        data, datatype = numpy.ascontiguousarray(array).tobytes(), DATATYPES[str(array.dtype)]
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "bytes": len(data)}, data


def decode(header, data):
    """Returns the array of an output; elements of BYTES are `bytes`."""
    if header["datatype"] != "BYTES":
        return numpy.frombuffer(data, NUMPY[header["datatype"]]).reshape(header["shape"])
    texts, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        texts.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return numpy.array(texts, object).reshape(header["shape"])
