#!/usr/bin/env python3
"""Signs with `clarity sign` and verifies with PyPI's `model-signing`: keys and certificates on
three curves, and a changed file for each.

Usage: check_signatures.py CLARITY MODEL.onnx
Needs the packages `model-signing` and `pyOpenSSL`, and the vectors in tests/data/signatures.
"""

import pathlib
import subprocess
import sys
import tempfile

import model_signing

VECTORS = pathlib.Path(__file__).parent.parent / "tests/data/signatures"


def verifier(method, curve):
    config = model_signing.verifying.Config()
    if method == "key":
        return config.use_elliptic_key_verifier(public_key=VECTORS / f"{curve}.pub")
    return config.use_certificate_verifier(certificate_chain=[VECTORS / f"{curve}.root.pem"])


def check(clarity, model, directory, method, curve):
    models = directory / f"{curve}_{method}"
    run = lambda *words: subprocess.run([clarity, *words, "--models", models], check=True,
                                        stdout=subprocess.DEVNULL)
    run("add", "m", model, "--no-check")
    flags = ["--key", VECTORS / f"{curve}.key"]
    if method == "certificate":
        chain = models / "chain.pem"
        chain.write_text("".join((VECTORS / f"{curve}.{part}.pem").read_text()
                                 for part in ("leaf", "mid")))
        flags += ["--certificates", chain]
    run("sign", "m", *flags)
    version = models / "m/1"
    verifier(method, curve).verify(version, version / "model.sig")
    onnx = version / "model.onnx"
    onnx.chmod(0o644)
    damaged = bytearray(onnx.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    onnx.write_bytes(damaged)
    try:
        verifier(method, curve).verify(version, version / "model.sig")
    except ValueError:
        return
    sys.exit(f"{curve} {method}: model-signing accepts a changed file")


def main():
    clarity, model = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        for curve in ("p256", "p384", "p521"):
            for method in ("key", "certificate"):
                check(clarity, model, pathlib.Path(directory), method, curve)
    print("model-signing verifies 6 bundles of clarity, and refuses 6 changed models")


if __name__ == "__main__":
    main()
