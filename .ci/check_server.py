"""check_server.py BINARY ANSWERS NAME=FILE...: what a user of the server sees, through curl's and Triton's eyes.

Publishes each model with `clarity add`, serves it, compares its answers over plain HTTP and over tritonclient with those of ONNX Runtime
in ANSWERS, flips one random bit of its file, restarts the server, expects an honest 503, repairs the file, and expects 200 again without a restart.
"""

import http.client
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tritonclient.http as triton

binary, answers_file, *models = sys.argv[1:]
answers = json.loads(Path(answers_file).read_text())
week = answers["activity"]
seed = random.SystemRandom().randrange(2**32)
print(f"seed {seed}")
random.seed(seed)


class Server:
    def __init__(self, folder):
        self.process = subprocess.Popen(
            [binary, "serve", "--models", folder, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://"), line
        self.address = line.strip().removeprefix("listening on http://")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0, "the server did not end well"

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request(method, path, body and json.dumps(body), {"content-type": "application/json"} if body else {})
        response = connection.getresponse()
        return response, response.read()

    def wait_for(self, method, path, status, body=None):
        """Asks until the answer has this status; loading happens beside the answering."""
        for _ in range(600):
            response, text = self.request(method, path, body)
            if response.status == status:
                return response, text
            time.sleep(0.1)
        raise AssertionError(f"{method} {path}: expected {status}, found {response.status} {text[:500]}")


def check(name, outputs):
    for output, expected in answers[name].items():
        found = np.asarray(outputs[output])
        assert list(found.shape) == expected["shape"], (output, found.shape)
        flat = np.ravel(found)
        if isinstance(expected["first"][0], bool):
            assert flat[:32].astype(bool).tolist() == expected["first"], output
        else:
            assert np.allclose(flat[:32], expected["first"], rtol=1e-4, atol=1e-4), output
        total = np.abs(flat.astype(np.float64)).sum()
        assert np.isclose(total, expected["abs_sum"], rtol=1e-4), (output, total, expected["abs_sum"])


def infer_plainly(server, name, request):
    response, text = server.wait_for("POST", f"/v2/models/{name}/infer", 200, request)
    outputs = {o["name"]: np.reshape(o["data"], o["shape"]) for o in json.loads(text)["outputs"]}
    check(name, outputs)


def infer_through_triton(server, name):
    client = triton.InferenceServerClient(server.address)
    assert client.is_server_live() and client.is_model_ready(name)
    metadata = client.get_model_metadata(name)
    tensor = triton.InferInput("activity", [1, len(week)], "FP32")
    tensor.set_data_from_numpy(np.array([week], np.float32), binary_data=False)
    wanted = [triton.InferRequestedOutput(o["name"], binary_data=False) for o in metadata["outputs"]]
    result = client.infer(name, [tensor], outputs=wanted)
    check(name, {o["name"]: result.as_numpy(o["name"]) for o in metadata["outputs"]})


for model in models:
    name, _, file = model.partition("=")
    request = {"inputs": [{"name": "activity", "shape": [1, len(week)], "datatype": "FP32", "data": week}]}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([binary, "add", name, file, "--models", folder], check=True)
        with Server(folder) as server:
            server.wait_for("GET", "/v2/health/ready", 200)
            response, text = server.request("GET", f"/v2/models/{name}")
            assert response.status == 200 and json.loads(text)["inputs"][0]["name"] == "activity", text
            infer_plainly(server, name, request)
            infer_through_triton(server, name)

        weights = Path(folder, name, "1", "model.onnx")
        good = weights.read_bytes()
        bad = bytearray(good)
        bit = random.randrange(8 * len(good))
        bad[bit // 8] ^= 1 << bit % 8
        weights.write_bytes(bad)
        with Server(folder) as server:
            response, text = server.wait_for("POST", f"/v2/models/{name}/infer", 503, request)
            while json.loads(text)["reason"] == "model_loading":
                time.sleep(0.1)
                response, text = server.wait_for("POST", f"/v2/models/{name}/infer", 503, request)
            problem = json.loads(text)
            assert problem["reason"] == "model_corrupt", problem
            assert int(response.headers["retry-after"]) >= 1, response.headers
            assert server.request("GET", "/v2/health/live")[0].status == 200
            assert server.request("GET", f"/v2/models/{name}/ready")[0].status == 503
            weights.write_bytes(good)
            infer_plainly(server, name, request)
    print(f"{name}: answers as ONNX Runtime over HTTP and tritonclient; bit {bit} flipped: {problem['detail']!r}; repaired: 200")
