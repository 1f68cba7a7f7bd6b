"""check_tritonclient.py BINARY NAME=FILE: every method of tritonclient's HTTP clients, good calls and bad ones.

The synchronous client and the one for asyncio make the same calls. A method of either one that this script does not call fails it.
`check_server.py` compares the answers of predictions with those of ONNX Runtime.
"""

import asyncio
import inspect
import secrets
import subprocess
import sys
import tempfile

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

import served

EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
MINUTES = [0, 0, 12, 310, 280, 5, 0]

binary, model = sys.argv[1:]
name, _, file = model.partition("=")
token = secrets.token_hex(16)


class Caller:
    """Calls methods of one of the clients by their names, waits for the answers, and remembers the names."""

    def __init__(self, module, address):
        self.module = module
        self.loop = asyncio.new_event_loop()
        self.called = set()
        self.client = self.wait(module.InferenceServerClient, address)

    def wait(self, call, *arguments, **named):
        async def answer():
            answer = call(*arguments, **named)
            return await answer if inspect.isawaitable(answer) else answer

        return self.loop.run_until_complete(asyncio.wait_for(answer(), 60))

    def __call__(self, method, *arguments, **named):
        self.called.add(method)
        return self.wait(getattr(self.client, method), *arguments, **named)

    def refused(self, status, says, method, *arguments, **named):
        try:
            answer = self(method, *arguments, **named)
        except InferenceServerException as error:
            assert error.status() == str(status) and says in error.message(), (method, arguments, status, says, error.status(), error.message())
        else:
            raise AssertionError(f"{method}{arguments}: expected {status} {says!r}, found {answer}")

    def assert_all_called(self):
        public = {name for name, _ in inspect.getmembers(self.module.InferenceServerClient, callable) if not name.startswith("_")}
        assert self.called == public, f"{self.module.__name__}: not called {public - self.called}, unknown {self.called - public}"


class AdminToken(triton.InferenceServerClientPlugin):
    """A plugin of both clients: sends the token to load and unload models with every request."""

    def __call__(self, request):
        request.headers["authorization"] = f"Bearer {token}"


def activity(values=MINUTES, datatype="FP32", dtype=np.float32, name="activity", **binary):
    tensor = triton.InferInput(name, [1, len(values)], datatype)
    tensor.set_data_from_numpy(np.array([values], dtype), **binary)
    return tensor


def describe(call):
    """The state of the server and its models."""
    assert call("is_server_live") is True and call("is_server_ready") is True
    for arguments, ready in [((name,), True), ((name, "1"), True), ((name, "9"), False), (("nope",), False)]:
        assert call("is_model_ready", *arguments) is ready, arguments
    metadata = call("get_server_metadata")
    assert metadata["name"] == "clarity" and metadata["extensions"] == EXTENSIONS, metadata
    metadata = call("get_model_metadata", name)
    assert metadata == call("get_model_metadata", name, "1") and metadata["versions"] == ["1"], metadata
    config = call("get_model_config", name)
    assert config == call("get_model_config", name, "1"), config
    assert config["name"] == name and config["platform"] == metadata["platform"] and config["max_batch_size"] == 0, config
    assert config["version_policy"] == {"latest": {"num_versions": 1}}, config
    for tensors, described in [(config["input"], metadata["inputs"]), (config["output"], metadata["outputs"])]:
        described = [{"name": t["name"], "data_type": f"TYPE_{t['datatype']}", "dims": t["shape"]} for t in described]
        assert tensors == described, config
    assert call("get_model_repository_index") == [{"name": name, "version": "1", "state": "READY", "reason": ""}]
    for method in ["get_model_metadata", "get_model_config", "get_inference_statistics"]:
        call.refused(404, "nope", method, "nope")
        call.refused(404, "9", method, name, "9")


def predict(call):
    """Predictions in every form that the client can ask for them."""
    expected = call("infer", name, [activity()])
    outputs = [o["name"] for o in expected.get_response()["outputs"]]

    def check(result, names=outputs):
        assert [o["name"] for o in result.get_response()["outputs"]] == names, result.get_response()
        for output in names:
            assert np.array_equal(result.as_numpy(output), expected.as_numpy(output)), output

    for more in [
        {"model_version": "1", "request_id": "seven"},
        {"priority": 1, "timeout": 1_000_000},
        {"sequence_id": 7, "sequence_start": True, "sequence_end": True},
        {"parameters": {"note": "mine", "number": 1, "flag": True}},
        {"query_params": {"a": "b"}, "headers": {"x-request-id": "1"}},
        {"response_compression_algorithm": "gzip"},
        {"response_compression_algorithm": "deflate"},
    ]:
        check(call("infer", name, [activity()], **more))
    for binary in [True, False]:
        wanted = [triton.InferRequestedOutput(output, binary_data=binary) for output in outputs]
        check(call("infer", name, [activity(binary_data=binary)], outputs=wanted))
        check(call("infer", name, [activity(binary_data=binary)], outputs=wanted[1:]), outputs[1:])
        body, length = call("generate_request_body", [activity(binary_data=binary)], outputs=wanted, request_id="eight")
        response, text = served.post(server.address, f"/v2/models/{name}/infer", body, length)
        length = response.headers["inference-header-content-length"]
        result = call("parse_response_body", text, header_length=length and int(length))
        check(result)
        assert result.get_response()["id"] == "eight", result.get_response()
    for algorithm in ["gzip", "deflate"]:
        check(call("infer", name, [activity()], request_compression_algorithm=algorithm))


def refuse_predictions(call):
    refused = [
        (404, "nope", "nope", [activity()], {}),
        (404, "9", name, [activity()], {"model_version": "9"}),
        (400, "listed twice", name, [activity()] * 2, {}),
        (400, "classification", name, [activity()], {"outputs": [triton.InferRequestedOutput("sleep_index", class_count=2)]}),
        (400, "output x: unknown output", name, [activity()], {"outputs": [triton.InferRequestedOutput("x")]}),
        (413, "at most", name, [activity(np.zeros(5 << 20))], {}),
    ]
    shared = activity()
    shared.set_shared_memory("region", 28)
    shared_output = triton.InferRequestedOutput("sleep_index")
    shared_output.set_shared_memory("region", 28)
    refused += [
        (400, "shared_memory_region", name, [shared], {}),
        (400, "shared_memory_region", name, [activity()], {"outputs": [shared_output]}),
    ]
    for binary in [True, False]:
        misshapen = activity(binary_data=binary)
        misshapen.set_shape([len(MINUTES)])
        texts = triton.InferInput("activity", [1, 2], "BYTES")
        texts.set_data_from_numpy(np.array([["a", "b"]], np.object_), binary_data=binary)
        refused += [
            (400, "shape", name, [misshapen], {}),
            (400, 'found "INT32"', name, [activity(MINUTES, "INT32", np.int32, binary_data=binary)], {}),
            (400, 'found "BYTES"', name, [texts], {}),
            (400, "unknown input x", name, [activity(name="x", binary_data=binary)], {}),
        ]
    for status, says, of, inputs, more in refused:
        call.refused(status, says, "infer", of, inputs, **more)


def count(call):
    """The statistics count good predictions, and bad ones only if the model was to run."""

    def counts(*arguments):
        statistics = call("get_inference_statistics", *arguments)["model_stats"]
        [statistic] = [s for s in statistics if (s["name"], s["version"]) == (name, "1")]
        assert set(statistic["inference_stats"]) == {"success", "fail", "queue", "compute_input", "compute_infer", "compute_output"}, statistic
        for part in statistic["inference_stats"].values():
            assert set(part) == {"count", "ns"} and (part["count"] > 0) == (part["ns"] > 0), statistic
        return statistic["inference_count"], statistic["inference_stats"]["fail"]["count"]

    answered, failed = counts()
    for _ in range(3):
        call("infer", name, [activity()])
    call.refused(400, "unknown input", "infer", name, [activity(name="x")])
    for arguments in [(), (name,), (name, "1")]:
        assert counts(*arguments) == (answered + 3, failed), (arguments, counts(*arguments))


def refuse_extensions(call):
    """Each call of an extension that the server does not announce is refused with the name of the extension."""
    for extension, method, *arguments in [
        ("trace", "get_trace_settings"),
        ("trace", "get_trace_settings", name),
        ("trace", "update_trace_settings", name, {"trace_rate": "1"}),
        ("trace", "update_trace_settings", None, {}),
        ("logging", "get_log_settings"),
        ("logging", "update_log_settings", {"log_info": True}),
        ("system_shared_memory", "get_system_shared_memory_status"),
        ("system_shared_memory", "get_system_shared_memory_status", "region"),
        ("system_shared_memory", "register_system_shared_memory", "region", "/region", 8),
        ("system_shared_memory", "unregister_system_shared_memory", "region"),
        ("system_shared_memory", "unregister_system_shared_memory"),
        ("cuda_shared_memory", "get_cuda_shared_memory_status"),
        ("cuda_shared_memory", "get_cuda_shared_memory_status", "region"),
        ("cuda_shared_memory", "register_cuda_shared_memory", "region", b"aGFuZGxl", 0, 8),
        ("cuda_shared_memory", "unregister_cuda_shared_memory", "region"),
        ("cuda_shared_memory", "unregister_cuda_shared_memory"),
    ]:
        assert extension not in EXTENSIONS
        call.refused(404, f"does not support the extension {extension};", method, *arguments)


def load_and_unload(call):
    for method in ["load_model", "unload_model"]:
        call.refused(401, "bearer token", method, name)
        call.refused(401, "bearer token", method, name, headers={"authorization": f"Bearer {token}x"})
    call("register_plugin", AdminToken())
    assert isinstance(call("plugin"), AdminToken)
    for method in ["load_model", "unload_model"]:
        call.refused(404, "nope", method, "nope")
    call.refused(400, "unsupported parameter config", "load_model", name, config='{"backend": "onnxruntime"}')
    # The client encodes files as bytes, which its JSON does not take: it sends no such request.
    try:
        call("load_model", name, config="{}", files={"file:1/model.onnx": b"model"})
    except TypeError:
        response, text = served.post(
            server.address,
            f"/v2/repository/models/{name}/load",
            '{"parameters": {"file:1/model.onnx": "bW9kZWw="}}',
            headers={"authorization": f"Bearer {token}"},
        )
        assert response.status == 400 and b"unsupported parameter file:1/model.onnx" in text, text
    except InferenceServerException as error:
        assert error.status() == "400" and "unsupported parameter" in error.message(), error
    for arguments in [{}, {"unload_dependents": True}]:
        call("unload_model", name, **arguments)
        assert call("is_model_ready", name) is False and call("is_server_ready") is True
        call.refused(503, "unloaded", "infer", name, [activity()])
        call.refused(503, "unloaded", "get_inference_statistics", name)
        assert call("get_inference_statistics") == {"model_stats": []}
        call("load_model", name)
        assert call("is_model_ready", name) is True
    call("unregister_plugin")
    call.refused(401, "bearer token", "load_model", name)


def predict_asynchronously(call):
    """Only the synchronous client has this method, on greenlets."""
    answers = [call("async_infer", name, [activity()]) for _ in range(16)]
    for answer in answers:
        assert answer.get_result(timeout=60).as_numpy("sleep_index").shape == (1, len(MINUTES))
    for status, says, arguments in [(404, "nope", ("nope", [activity()])), (400, "unknown input", (name, [activity(name="x")]))]:
        try:
            call("async_infer", *arguments).get_result(timeout=60)
        except InferenceServerException as error:
            assert error.status() == str(status) and says in error.message(), error
        else:
            raise AssertionError(f"async_infer{arguments}: found an answer")


with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w") as secret:
    subprocess.run([binary, "add", name, file, "--models", folder], check=True, timeout=60)
    secret.write(token + "\n")
    secret.flush()
    with served.Server(binary, folder, "--admin-token-file", secret.name) as server:
        server.wait_for("GET", "/v2/health/ready", 200)
        for module in [triton, triton_aio]:
            call = Caller(module, server.address)
            describe(call)
            predict(call)
            count(call)
            refuse_predictions(call)
            refuse_extensions(call)
            load_and_unload(call)
            if module is triton:
                predict_asynchronously(call)
            call("close")
            call.assert_all_called()
            print(f"{module.__name__}: {len(call.called)} methods, good calls and bad ones")
