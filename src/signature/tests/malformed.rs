//! Bundles and statements that break the format.

use super::*;

#[test]
fn verify_refuses_each_malformed_bundle() {
    let cases: [(&str, Value, &str); 12] = [
        ("/mediaType", json!("text/plain"), "mediaType"),
        (
            "/dsseEnvelope/payloadType",
            json!("text/plain"),
            "payloadType",
        ),
        ("/dsseEnvelope/payload", json!("?"), "payload"),
        ("/dsseEnvelope/signatures", json!([]), "signatures"),
        (
            "/dsseEnvelope/signatures",
            json!([{ "sig": "" }, { "sig": "" }]),
            "signatures",
        ),
        ("/dsseEnvelope/signatures/0/sig", json!("?"), "sig"),
        (
            "/dsseEnvelope/signatures/0/sig",
            json!("AAAA"),
            "does not match",
        ),
        ("/dsseEnvelope", Value::Null, "bundle"),
        ("/verificationMaterial", json!({}), "neither"),
        (
            "/verificationMaterial",
            json!({ "certificate": {} }),
            "keyless",
        ),
        (
            "/verificationMaterial",
            json!({ "publicKey": {}, "x509CertificateChain": { "certificates": [] } }),
            "both",
        ),
        (
            "/verificationMaterial",
            json!({ "x509CertificateChain": { "certificates": [] } }),
            "certificates",
        ),
    ];
    for (place, value, part) in cases {
        let mut bundle = bundle_json("p256.key.files.sig");
        *bundle.pointer_mut(place).unwrap() = value;
        let refused = verify_files(&trusted("p256"), &bundle.to_string(), &files());
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(part), "{place}: {refused}");
    }
}

#[test]
fn verify_refuses_each_malformed_statement() {
    let good = statement();
    assert!(verify_files(&trusted("p256"), &signed(&good), &files()).is_ok());
    let resource = good["predicate"]["resources"][0].clone();
    let digest = good["subject"][0]["digest"]["sha256"].clone();
    let upper = digest.as_str().unwrap().to_uppercase();
    let cases: [(&str, Value, &str); 16] = [
        (
            "/_type",
            json!("https://in-toto.io/Statement/v0.1"),
            "_type",
        ),
        (
            "/predicateType",
            json!("https://model_signing/Digests/v0.1"),
            "predicateType",
        ),
        ("/subject", json!([]), "subject"),
        (
            "/subject",
            json!([good["subject"][0], good["subject"][0]]),
            "subject",
        ),
        ("/subject/0/digest", json!({ "sha512": digest }), "subject"),
        ("/subject/0/digest/sha256", json!(upper), "subject"),
        ("/subject/0/digest/sha256", json!("0".repeat(64)), "subject"),
        (
            "/predicate/serialization/method",
            json!("tensors"),
            "method",
        ),
        (
            "/predicate/serialization/method",
            json!("shards"),
            "shard_size",
        ),
        (
            "/predicate/serialization/hash_type",
            json!("blake2b"),
            "blake2b",
        ),
        (
            "/predicate/serialization/hash_type",
            json!("blake3"),
            "blake3",
        ),
        (
            "/predicate/serialization/allow_symlinks",
            json!(true),
            "allow_symlinks",
        ),
        (
            "/predicate/resources/0/algorithm",
            json!("blake3"),
            "blake3",
        ),
        (
            "/predicate/resources/0/name",
            json!("../empty"),
            "relative path",
        ),
        ("/predicate/resources/0/digest", json!("00"), "digest"),
        (
            "/predicate/resources",
            json!([resource, resource]),
            "names that differ",
        ),
    ];
    for (place, value, part) in cases {
        let mut statement = good.clone();
        *statement.pointer_mut(place).unwrap() = value;
        let refused = verify_files(&trusted("p256"), &signed(&statement), &files());
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(part), "{place}: {refused}");
    }
}
