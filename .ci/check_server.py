"""check_server.py BINARY ANSWERS NAME=FILE...: what a user of the server sees, through curl's and Triton's eyes.

Publishes each model with `clarity add`, serves it, compares its answers over plain HTTP and over tritonclient, in JSON and in binary, with those of
ONNX Runtime in ANSWERS, makes good and bad predictions through tritonclient, flips one random bit of its file, restarts the server, expects an honest 503, repairs the file, and expects 200 again without a restart.
"""

import functools
import http.client
import json
import random
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

import served

binary, answers_file, *models = sys.argv[1:]
answers = json.loads(Path(answers_file).read_text())
week = answers["activity"]
seed = random.SystemRandom().randrange(2**32)
print(f"seed {seed}")
random.seed(seed)
Server = functools.partial(served.Server, binary)


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


def activity(values=week, datatype="FP32", dtype=np.float32, name="activity", **binary):
    """An input of tritonclient: in binary, its default, or in JSON."""
    tensor = triton.InferInput(name, [1, len(values)], datatype)
    tensor.set_data_from_numpy(np.array([values], dtype), **binary)
    return tensor


def raw_infer(server, name, body, header_length=None):
    """A request for a prediction byte for byte, and its answer with the length of the JSON in it, if it says."""
    connection = http.client.HTTPConnection(server.address, timeout=60)
    headers = {} if header_length is None else {"Inference-Header-Content-Length": str(header_length)}
    connection.request("POST", f"/v2/models/{name}/infer", body, headers)
    response = connection.getresponse()
    length = response.headers["inference-header-content-length"]
    return response, response.read(), length and int(length)


def answer_as_the_readme_says(server):
    """The request of README.md gets the answer of README.md."""
    lines = Path(__file__).parent.parent.joinpath("README.md").read_text().splitlines()
    [(path, body)] = re.findall(r"^curl -s http://127.0.0.1:8080(\S+) -d '(.*)'$", "\n".join(lines), re.MULTILINE)
    [answer] = [json.loads(line) for line in lines if line.startswith('{"model_name"')]
    response, text = server.request("POST", path, json.loads(body))
    found = json.loads(text)
    assert response.status == 200, text
    for output, expected in zip(found["outputs"], answer["outputs"], strict=True):
        assert np.allclose(output.pop("data"), expected.pop("data"), rtol=1e-4), text
    assert found == answer, text


def infer_through_triton(server, name):
    """The calls of tritonclient for predictions, compared with ONNX Runtime's answers. `check_tritonclient.py` has each other parameter."""
    client = triton.InferenceServerClient(server.address, concurrency=4)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(name) and client.is_model_ready(name, "1")
    assert not client.is_model_ready("nope") and not client.is_model_ready(name, "9")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata(name)
    assert client.get_model_metadata(name, "1") == metadata
    names = [o["name"] for o in metadata["outputs"]]
    wanted = {binary: [triton.InferRequestedOutput(n, binary_data=binary) for n in names] for binary in (True, False)}
    for tensor in [activity(), activity(binary_data=True), activity(binary_data=False)]:
        for outputs in [None, wanted[True], wanted[False], [wanted[True][0], *wanted[False][1:]]]:
            result = client.infer(name, [tensor], outputs=outputs, request_id="seven", model_version="1", timeout=5)
            check(name, {n: result.as_numpy(n) for n in names})
            response = result.get_response()
            assert response["id"] == "seven" and response["model_version"] == "1", response
    if len(names) > 1:
        some = client.infer(name, [activity()], outputs=wanted[True][1:])
        assert [o["name"] for o in some.get_response()["outputs"]] == names[1:]
        assert some.as_numpy(names[0]) is None
    for binary in [True, False]:
        body, length = client.generate_request_body([activity(binary_data=binary)], outputs=wanted[binary], request_id="eight")
        response, text, length = raw_infer(server, name, body, length)
        assert response.status == 200, text
        result = client.parse_response_body(text, header_length=length)
        check(name, {n: result.as_numpy(n) for n in names})
        assert result.get_response()["id"] == "eight" and result.get_output(names[0])["name"] == names[0]
    answers = [client.async_infer(name, [activity()]) for _ in range(16)]
    for answer in answers:
        result = answer.get_result()
        check(name, {n: result.as_numpy(n) for n in names})


def refused(status, says, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except InferenceServerException as error:
        assert error.status() == str(status) and says in error.message(), (status, says, error.status(), error.message())
    else:
        raise AssertionError(f"expected {status} {says!r}, found an answer")


def be_refused_through_triton(server, name):
    """What is wrong is told through the client's own exceptions, and costs the model nothing."""
    client = triton.InferenceServerClient(server.address)
    few = week[:5]
    for binary in [True, False]:
        kind = {"binary_data": binary}
        refused(400, "expected the datatype FP32, found \"INT32\"", client.infer, name, [activity(few, "INT32", np.int32, **kind)])
        refused(400, "unknown input x: the model has activity", client.infer, name, [activity(few, name="x", **kind)])
        refused(400, "listed twice", client.infer, name, [activity(few, **kind)] * 2)
        texts = triton.InferInput("activity", [1, 2], "BYTES")
        texts.set_data_from_numpy(np.array([["a", "b"]], np.object_), **kind)
        refused(400, "found \"BYTES\"", client.infer, name, [texts])
        outputs = [triton.InferRequestedOutput("x", binary_data=binary)]
        refused(400, "output x: unknown output", client.infer, name, [activity(few)], outputs=outputs)
    for value in [np.nan, np.inf, -np.inf]:
        refused(400, "input activity: the value at 1 is", client.infer, name, [activity([1, value])])
    misshapen = activity(few)
    misshapen.set_shape([5])
    refused(400, "expected the shape [-1, -1], found [5]", client.infer, name, [misshapen])
    classes = [triton.InferRequestedOutput("sleep_index", class_count=2)]
    refused(400, "classification", client.infer, name, [activity(few)], outputs=classes)
    shared = triton.InferInput("activity", [1, 5], "FP32")
    shared.set_shared_memory("region", 20)
    refused(400, "shared_memory_region", client.infer, name, [shared])
    refused(400, "expected the datatype", client.async_infer(name, [activity(few, "INT64", np.int64)]).get_result)
    refused(404, "nope", client.async_infer("nope", [activity(few)]).get_result)
    refused(404, "nope", client.infer, "nope", [activity(few)])
    refused(404, "9", client.infer, name, [activity(few)], model_version="9")
    refused(413, "at most", client.infer, name, [activity([0] * (5 << 20))])
    refused(403, "disabled", client.load_model, name)
    refused(403, "disabled", client.unload_model, name)


def be_refused_plainly(server, name):
    """What no client would send, byte for byte."""
    header = {"inputs": [{"name": "activity", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}]}
    header = json.dumps(header).encode()
    data = np.array([1, 2], "<f4").tobytes()
    for length, body, status in [
        (len(header), header + data, 200),
        (len(header), header + data[:-1], 400),
        (len(header), header + data + b"x", 400),
        (len(header) + 1, header + data, 400),
        (len(header) + 9, header + data, 400),
        (0, header + data, 400),
        ("x", header + data, 400),
        (-1, header + data, 400),
        (2**64, header + data, 400),
        (None, header + data, 400),
        (None, header, 400),
        (None, b"[1]", 400),
        (None, b"", 400),
    ]:
        response, text, _ = raw_infer(server, name, body, length)
        assert response.status == status, (length, body, response.status, text)
        if status != 200:
            problem = json.loads(text)
            assert response.headers["content-type"] == "application/problem+json", response.headers
            assert problem["error"] == problem["detail"] and problem["status"] == status, problem


def load_and_unload_through_triton(folder, name):
    token = secrets.token_hex(16)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(token + "\n")
        file.flush()
        with Server(folder, "--admin-token-file", file.name) as server:
            server.wait_for("GET", "/v2/health/ready", 200)
            client = triton.InferenceServerClient(server.address)
            admin = {"authorization": f"Bearer {token}"}
            ready = [{"name": name, "version": "1", "state": "READY", "reason": ""}]
            assert client.get_model_repository_index() == ready
            for headers in [None, {"authorization": f"Bearer {token}x"}]:
                refused(401, "bearer token", client.unload_model, name, headers=headers)
            client.unload_model(name, headers=admin)
            assert not client.is_model_ready(name) and client.is_server_ready()
            assert client.get_model_repository_index()[0]["state"] == "UNAVAILABLE"
            refused(503, "unloaded", client.infer, name, [activity(week[:5])])
            refused(400, "config", client.load_model, name, headers=admin, config="{}")
            refused(404, "nope", client.load_model, "nope", headers=admin)
            client.load_model(name, headers=admin)
            assert client.get_model_repository_index() == ready
            infer_through_triton(server, name)


def stop_beside_a_slow_client(folder):
    """A head that is never finished does not hold the server up when it is to stop."""
    with Server(folder) as server:
        server.wait_for("GET", "/v2/health/live", 200)
        host, port = server.address.split(":")
        slow = socket.create_connection((host, int(port)))
        slow.sendall(b"GET /v2 HTTP/1.1\r\nhost:")
        server.wait_for("GET", "/v2/health/live", 200)
        began = time.monotonic()
    took = time.monotonic() - began
    slow.close()
    assert took < 20, f"{took} s to stop"


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
            if name == "cole_kripke":
                answer_as_the_readme_says(server)
            infer_through_triton(server, name)
            be_refused_through_triton(server, name)
            be_refused_plainly(server, name)
            infer_through_triton(server, name)
        load_and_unload_through_triton(folder, name)
        stop_beside_a_slow_client(folder)

        weights = Path(folder, name, "1", "model.onnx")
        good = weights.read_bytes()
        bad = bytearray(good)
        bit = random.randrange(8 * len(good))
        bad[bit // 8] ^= 1 << bit % 8
        weights.write_bytes(bad)
        # Without a settle time, a file that has just changed may count as one that is still arriving.
        with Server(folder, "--settle-time", "0s") as server:
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
    print(f"{name}: answers as ONNX Runtime over HTTP and tritonclient, in JSON and binary; bit {bit} flipped: {problem['detail']!r}; repaired: 200")
