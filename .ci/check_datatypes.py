"""check_datatypes.py SERVE_ECHO: tritonclient sends and reads tensors of every datatype, in JSON and in binary.

SERVE_ECHO is the program `serve_echo` of the tests: its models answer with their inputs. So each answer must be what NumPy made of the values before
they were sent. The values are edges and random bits, from a printed seed.
"""

import random
import subprocess
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

NUMBERS = [np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64]
FLOATS = [np.float16, np.float32, np.float64]
TEXTS = ["", "one", "NaN", "0", "ä€😀", "a\0b", 'quo"te\\', "\n\t\x01", "long" * 1000]
BYTES = [b"\xff", b"\x00\xff\xfe", bytes(range(256))]

seed = random.SystemRandom().randrange(2**32)
print(f"seed {seed}")
random_bits = np.random.default_rng(seed)


def arrays():
    """An array of each datatype, with the limits of the datatype and random values."""
    yield "BOOL", np.array([True, False, True])
    for dtype in NUMBERS:
        limits = np.iinfo(dtype)
        drawn = random_bits.integers(limits.min, limits.max, 100, dtype, endpoint=True)
        yield np_to_triton_dtype(dtype), np.concatenate([np.array([0, 1, limits.min, limits.max, limits.max - 1], dtype), drawn])
    for dtype in FLOATS:
        limits = np.finfo(dtype)
        edges = [0.0, -0.0, 1.5, 0.1, limits.max, limits.min, limits.tiny, limits.smallest_subnormal, 1 + limits.eps]
        drawn = random_bits.integers(0, 256, 100 * dtype().nbytes, np.uint8).view(dtype)
        yield np_to_triton_dtype(dtype), np.concatenate([np.array(edges, dtype), drawn[np.isfinite(drawn)]])
    yield "BYTES", np.array([text.encode() for text in TEXTS], np.object_)


def infer(client, model, array, datatype, binary_input, binary_output, names=("x", "y")):
    tensor = triton.InferInput(names[0], [1, array.size], datatype)
    tensor.set_data_from_numpy(array.reshape(1, -1), binary_data=binary_input)
    wanted = [triton.InferRequestedOutput(names[1], binary_data=binary_output)]
    return client.infer(model, [tensor], outputs=wanted).as_numpy(names[1])


def check(found, sent, what):
    assert found.shape == (1, sent.size), (what, found.shape)
    if sent.dtype == np.object_:
        # In JSON the client reads text, and in binary it reads bytes.
        found = [value.encode() if isinstance(value, str) else value for value in found[0]]
        assert found == sent.tolist(), what
    else:
        assert found.dtype == sent.dtype and found.tobytes() == sent.tobytes(), (what, found, sent)


def refused(says, call, *arguments):
    try:
        call(*arguments)
    except InferenceServerException as error:
        assert error.status() == "400" and says in error.message(), (says, error.status(), error.message())
    else:
        raise AssertionError(f"expected 400 {says!r}, found an answer")


def check_forms(client):
    datatypes = []
    for datatype, array in arrays():
        model = datatype.lower()
        datatypes.append(datatype)
        metadata, config = client.get_model_metadata(model), client.get_model_config(model)
        assert metadata["inputs"][0]["datatype"] == datatype, metadata
        assert config["output"][0]["data_type"] == {"BYTES": "TYPE_STRING"}.get(datatype, f"TYPE_{datatype}"), config
        for binary_input in [True, False]:
            for binary_output in [True, False]:
                arguments = (client, model, array, datatype, binary_input, binary_output)
                if datatype == "FP16" and not (binary_input and binary_output):
                    refused("FP16 has no JSON form in the protocol", infer, *arguments)
                else:
                    check(infer(*arguments), array, arguments[1:])
    return datatypes


def check_all_at_once(client):
    """All datatypes in one request, whose binary data is in the order of the inputs."""
    inputs, sent = [], {}
    for datatype, array in reversed(list(arrays())):
        tensor = triton.InferInput(f"in_{datatype}", [array.size, 1], datatype)
        tensor.set_data_from_numpy(array.reshape(-1, 1), binary_data=datatype == "FP16" or bool(random_bits.integers(2)))
        inputs.append(tensor)
        sent[datatype] = array
    result = client.infer("all", inputs)
    for datatype, array in sent.items():
        check(result.as_numpy(f"out_{datatype}").reshape(1, -1), array, datatype)


def check_bytes(client):
    """Bytes that are not UTF-8 go and come in binary alone."""
    array = np.array([*(text.encode() for text in TEXTS), *BYTES], np.object_)
    check(infer(client, "bytes", array, "BYTES", True, True), array, "bytes")
    refused("the element at 9 is not UTF-8", infer, client, "bytes", array, "BYTES", True, False)
    # A fixed width in NumPy: the client sends each text without its padding.
    fixed = np.array([b"ab", b"c"])
    found = infer(client, "bytes", fixed, "BYTES", True, True)
    assert found.tolist() == [[b"ab", b"c"]], found


def check_nonfinite(client):
    """These outputs must be finite, so the request is at fault."""
    for dtype in FLOATS:
        datatype = np_to_triton_dtype(dtype)
        for value in [np.nan, np.inf, -np.inf]:
            refused("input x: the value at 1 is", infer, client, datatype.lower(), np.array([1, value], dtype), datatype, True, True)


with subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
    line = server.stdout.readline()
    assert line.startswith("listening on http://"), line
    client = triton.InferenceServerClient(line.strip().removeprefix("listening on http://"), network_timeout=60)
    datatypes = check_forms(client)
    check_all_at_once(client)
    check_bytes(client)
    check_nonfinite(client)
    client.close()
    server.stdin.close()
    assert server.wait(timeout=30) == 0, "the server did not end well"
assert len(datatypes) == 13, datatypes
print(f"tritonclient: {', '.join(datatypes)} in JSON and in binary, bit by bit")
