"""Runs models with ONNX Runtime's own Python, in a process of its own."""

import glob
import importlib.util
import multiprocessing
import os

from model_runner import LIMIT, Answer


def library():
    """Returns the library of the package `onnxruntime`, if it is installed."""
    package = importlib.util.find_spec("onnxruntime")
    folder = os.path.join(os.path.dirname(package.origin), "capi") if package else "."
    return next(iter(glob.glob(os.path.join(folder, "libonnxruntime.so.*"))), None)


class PythonRunner:
    """Has the interface of `ModelRunner`."""

    def __init__(self, limit=LIMIT):
        self.limit, self.process = limit, None

    def start(self):
        context = multiprocessing.get_context("fork")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other,), daemon=True)
        self.process.start()
        other.close()

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None

    def run(self, model, inputs):
        if not self.process:
            self.start()
        try:
            self.pipe.send((model, inputs))
            if not self.pipe.poll(self.limit):
                raise EOFError
            return Answer(*self.pipe.recv())
        except (EOFError, OSError):
            self.stop()
            return Answer("crashed", "run", f"no answer, in at most {self.limit} s")


def serve(pipe):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    while True:
        pipe.send(answer(onnxruntime, *pipe.recv()))


def answer(onnxruntime, model, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        return "refused", "load", str(error)[:300]
    names = [output.name for output in session.get_outputs()]
    try:
        outputs = session.run(names, inputs)
    except Exception as error:
        return "failed", "run", str(error)[:300]
    return "answered", "run", "", (), dict(zip(names, outputs))
