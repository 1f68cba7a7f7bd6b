"""check_kserve.py BINARY ANSWERS NAME=FILE: KServe's `InferenceRESTClient` over the protocol's second version, good calls and bad ones.

Compares the answers to requests in JSON and in binary with those of ONNX Runtime in ANSWERS.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput

import served

binary, answers_file, model = sys.argv[1:]
name, _, file = model.partition("=")
answers = json.loads(Path(answers_file).read_text())
week = answers["activity"]
few = week[:7]


def activity(values=week, datatype="FP32", dtype=np.float32, name="activity", binary_data=False):
    tensor = InferInput(name, [1, len(values)], datatype)
    tensor.set_data_from_numpy(np.array([values], dtype), binary_data=binary_data)
    return tensor


def request(*inputs, **more):
    return InferRequest(name, list(inputs), **more)


def check(response, outputs):
    # The client drops the version of the model.
    names = [output.name for output in response.outputs]
    assert (response.model_name, names) == (name, outputs), (response.model_name, names)
    for output in response.outputs:
        expected, found = answers[name][output.name], output.as_numpy()
        assert list(found.shape) == expected["shape"], (output.name, found.shape)
        assert np.allclose(np.ravel(found)[:32].astype(float), np.array(expected["first"], float), rtol=1e-4, atol=1e-4), output.name
        total = np.abs(found.astype(np.float64)).sum()
        assert np.isclose(total, expected["abs_sum"], rtol=1e-4), (output.name, total, expected["abs_sum"])


async def predict(client, base):
    outputs = list(answers[name])
    for binary_data in [True, False]:
        check(await client.infer(base, request(activity(binary_data=binary_data)), model_name=name), outputs)
        for binary_output in [True, False]:
            everything = request(activity(binary_data=binary_data), request_id="seven", parameters={"binary_data_output": binary_output})
            response = await client.infer(base, everything, model_name=name)
            check(response, outputs)
            assert response.id == "seven", response.id
            wanted = [RequestedOutput(outputs[-1], {"binary_data": binary_output})]
            headers = {}
            response = await client.infer(
                base, request(activity(binary_data=binary_data), request_outputs=wanted), model_name=name, response_headers=headers
            )
            check(response, outputs[-1:])
            assert ("inference-header-content-length" in headers) == binary_output, headers
    document = {"inputs": [{"name": "activity", "shape": [1, len(week)], "datatype": "FP32", "data": week}]}
    check(await client.infer(base, document, model_name=name, headers={"x-request-id": "1"}), outputs)
    check(await client.infer(base, document, model_name=f"{name}/versions/1"), outputs)
    many = [client.infer(base, request(activity(binary_data=True)), model_name=name) for _ in range(16)]
    for response in await asyncio.gather(*many):
        check(response, outputs)


async def refused(status, says, call):
    """The exception has the status; the text is in the body alone, since the client reads it from `application/json` only."""
    try:
        answer = await call
    except httpx.HTTPStatusError as error:
        problem = error.response.json()
        assert error.response.status_code == status and says in problem["error"], (status, says, problem)
        assert str(status) in str(error), error
    else:
        raise AssertionError(f"expected {status} {says!r}, found an answer: {str(answer)[:500]}")


async def be_refused(client, base):
    infer = client.infer
    for binary_data in [True, False]:
        good = activity(few, binary_data=binary_data)
        await refused(404, "nope", infer(base, InferRequest("nope", [good]), model_name="nope"))
        await refused(404, "9", infer(base, request(good), model_name=f"{name}/versions/9"))
        misshapen = activity(few, binary_data=binary_data)
        misshapen.shape = [len(few)]
        await refused(400, "shape", infer(base, request(misshapen), model_name=name))
        numbers = activity(few, "INT32", np.int32, binary_data=binary_data)
        await refused(400, 'found "INT32"', infer(base, request(numbers), model_name=name))
        texts = activity(["a", "b"], "BYTES", np.object_, binary_data=binary_data)
        await refused(400, 'found "BYTES"', infer(base, request(texts), model_name=name))
        unknown = activity(few, name="x", binary_data=binary_data)
        await refused(400, "unknown input x", infer(base, request(unknown), model_name=name))
        await refused(400, "listed twice", infer(base, request(good, good), model_name=name))
        wanted = [RequestedOutput("x", {"binary_data": binary_data})]
        await refused(400, "output x: unknown output", infer(base, request(good, request_outputs=wanted), model_name=name))
    for body in [b'{"inputs": [', b"[]", b"{}", b"\xff"]:
        await refused(400, "invalid request", infer(base, body, model_name=name))
    oversized = request(activity(np.zeros(5 << 20), binary_data=True))
    await refused(413, "at most", infer(base, oversized, model_name=name))


async def main():
    # Its own transport, since the default one asks the environment for a proxy.
    config = RESTConfig(protocol="v2", transport=httpx.AsyncHTTPTransport(), timeout=60)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([binary, "add", name, file, "--models", folder], check=True, timeout=60)
        async with InferenceRESTClient(config) as client:
            with served.Server(binary, folder) as server:
                server.wait_for("GET", "/v2/health/ready", 200)
                base = f"http://{server.address}"
                assert await client.is_server_live(base) is True and await client.is_server_ready(base) is True
                assert await client.is_model_ready(base, name) is True
                assert await client.is_model_ready(base, "nope") is False
                await predict(client, base)
                await be_refused(client, base)
                await predict(client, base)
        weights = Path(folder, name, "1", "model.onnx")
        weights.write_bytes(weights.read_bytes()[:-1])
        async with InferenceRESTClient(RESTConfig(protocol="v2", transport=httpx.AsyncHTTPTransport(), timeout=60)) as client:
            with served.Server(binary, folder) as server:
                server.wait_for("GET", f"/v2/models/{name}", 503, reason="model_corrupt")
                base = f"http://{server.address}"
                assert await client.is_server_live(base) is True
                assert await client.is_model_ready(base, name) is False
                await refused(503, "model.onnx", client.is_server_ready(base))
                await refused(503, "model.onnx", client.infer(base, request(activity(few)), model_name=name))
    print("kserve: live, ready, predictions in JSON and binary as ONNX Runtime's, and every refusal with its reason")


asyncio.run(asyncio.wait_for(main(), 120))
