#!/usr/bin/env python3
"""Makes the vectors in tests/data/signatures with PyPI's `model-signing` 1.1.1: `make_signatures.py DIR`."""

import datetime
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
import model_signing

out = pathlib.Path(sys.argv[1])
model = out / "model"
model.mkdir(parents=True, exist_ok=True)
(model / "model.onnx").write_bytes(bytes(range(256)) * 4)
(model / "sub").mkdir(exist_ok=True)
(model / "sub" / "weights.bin").write_bytes(b"weights" * 30)
(model / "empty").write_bytes(b"")


def pem(k):
    return k.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
hashing = lambda shards: (
    model_signing.hashing.Config().use_shard_serialization(shard_size=500)
    if shards
    else model_signing.hashing.Config().use_file_serialization()
).set_ignored_paths(paths=["manifest.json", "model.sig"], ignore_git_paths=False)
start = datetime.datetime(2025, 1, 1)
end = datetime.datetime(2125, 1, 1)


def cert(subject, key, issuer, issuer_key, ca, usage=True, end=end, start=start, san="signer@example.com"):
    n = lambda c: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, c)])
    b = (
        x509.CertificateBuilder()
        .subject_name(n(subject))
        .issuer_name(n(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    b = b.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    ku = dict(
        digital_signature=not ca and usage,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
    b = b.add_extension(x509.KeyUsage(**ku), critical=True)
    if not ca and san:
        b = b.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(san)]), critical=False)
    return b.sign(
        issuer_key,
        {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[issuer_key.curve.key_size],
    )


P = serialization.Encoding.PEM
for name, curve in curves.items():
    key = ec.generate_private_key(curve)
    (out / f"{name}.key").write_bytes(pem(key))
    (out / f"{name}.pub").write_bytes(
        key.public_key().public_bytes(P, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    root, mid = ec.generate_private_key(curve), ec.generate_private_key(curve)
    rc = cert("root " + name, root, "root " + name, root, True)
    mc = cert("mid " + name, mid, "root " + name, root, True)
    lc = cert("leaf " + name, key, "mid " + name, mid, False)
    (out / f"{name}.root.pem").write_bytes(rc.public_bytes(P))
    (out / f"{name}.mid.pem").write_bytes(mc.public_bytes(P))
    (out / f"{name}.leaf.pem").write_bytes(lc.public_bytes(P))
    for shards in (False, True):
        kind = "shards" if shards else "files"
        c = (
            model_signing.signing.Config()
            .use_elliptic_key_signer(private_key=out / f"{name}.key")
            .set_hashing_config(hashing(shards))
        )
        c.sign(model, out / f"{name}.key.{kind}.sig")
        c = (
            model_signing.signing.Config()
            .use_certificate_signer(
                private_key=out / f"{name}.key",
                signing_certificate=out / f"{name}.leaf.pem",
                certificate_chain=[out / f"{name}.mid.pem"],
            )
            .set_hashing_config(hashing(shards))
        )
        c.sign(model, out / f"{name}.certificate.{kind}.sig")
old = datetime.datetime(2025, 1, 2)
key = serialization.load_pem_private_key((out / "p256.key").read_bytes(), None)
root = ec.generate_private_key(curves["p256"])
rc = cert("root odd", root, "root odd", root, True)
(out / "odd.root.pem").write_bytes(rc.public_bytes(P))
for name, lc in {
    "expired": cert("leaf", key, "root odd", root, False, end=old),
    "future": cert("leaf", key, "root odd", root, False, start=datetime.datetime(2120, 1, 1)),
    "not_for_signing": cert("leaf", key, "root odd", root, False, usage=False),
}.items():
    (out / f"{name}.leaf.pem").write_bytes(lc.public_bytes(P))
    model_signing.signing.Config().use_certificate_signer(
        private_key=out / "p256.key",
        signing_certificate=out / f"{name}.leaf.pem",
        certificate_chain=[out / "odd.root.pem"],
    ).set_hashing_config(hashing(False)).sign(model, out / f"{name}.sig")
notca = ec.generate_private_key(curves["p256"])
nc = cert("not a ca", notca, "root odd", root, False)
lc = cert("leaf", key, "not a ca", notca, False)
(out / "l.pem").write_bytes(lc.public_bytes(P))
(out / "n.pem").write_bytes(nc.public_bytes(P))
model_signing.signing.Config().use_certificate_signer(
    private_key=out / "p256.key", signing_certificate=out / "l.pem", certificate_chain=[out / "n.pem"]
).set_hashing_config(hashing(False)).sign(model, out / "issuer_is_no_authority.sig")
(out / "l.pem").unlink()
(out / "n.pem").unlink()
