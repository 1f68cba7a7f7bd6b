mod malformed;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use super::*;
use crate::Digest;

const CURVES: [&str; 3] = ["p256", "p384", "p521"];

/// The vectors that `.ci/make_signatures.py` made with the reference implementation.
fn path(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/data/signatures").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// 1 January 2026: all certificates of the vectors are valid, unless their name says otherwise.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

fn files() -> BTreeMap<String, Vec<u8>> {
    let names = ["empty", "model.onnx", "sub/weights.bin"];
    let read = |name: &&str| fs::read(path("model").join(name)).unwrap();
    names
        .iter()
        .map(|name| ((*name).to_owned(), read(name)))
        .collect()
}

/// Trusts the key and the root of a curve.
fn trusted(curve: &str) -> TrustedSigners {
    let mut trusted = TrustedSigners::default();
    trusted.trust_key(PublicKey::from_pem(&text(&format!("{curve}.pub"))).unwrap());
    trusted
        .trust_roots(&text(&format!("{curve}.root.pem")))
        .unwrap();
    trusted
}

fn verify_files(
    trusted: &TrustedSigners,
    bundle: &str,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<Signer, SignatureError> {
    let verified = trusted.verify(bundle.as_bytes(), now())?;
    let sizes = files
        .iter()
        .map(|(file, bytes)| (file.clone(), bytes.len() as u64));
    let digest = |file: &str, range: std::ops::Range<u64>| {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        Some(Digest::of(files.get(file)?.get(range)?))
    };
    verified.files.check(&sizes.collect(), digest)?;
    Ok(verified.signer)
}

fn bundle_json(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn statement() -> Value {
    let bundle = bundle_json("p256.key.files.sig");
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    serde_json::from_slice(&Base64::decode_vec(payload).unwrap()).unwrap()
}

/// Signs a statement with the key of P-256.
fn signed(statement: &Value) -> String {
    let key = PrivateKey::from_pem(&text("p256.key")).unwrap();
    key.bundle(&statement.to_string(), None).unwrap()
}

#[test]
fn verify_accepts_bundles_of_the_reference() {
    for curve in CURVES {
        for method in ["key", "certificate"] {
            for serialization in ["files", "shards"] {
                let name = format!("{curve}.{method}.{serialization}.sig");
                let signer = verify_files(&trusted(curve), &text(&name), &files());
                assert!(signer.is_ok(), "{name}: {signer:?}");
            }
        }
    }
}

#[test]
fn verify_accepts_bundles_from_before_1_1() {
    let mut bundle = bundle_json("p256.key.files.sig");
    let raw = json!({ "rawBytes": "AAAA", "keyDetails": "PKIX_ECDSA_P256_SHA_256" });
    bundle["verificationMaterial"] = json!({ "publicKey": raw });
    bundle["dsseEnvelope"]["signatures"][0]["keyid"] = Value::Null;
    let signer = verify_files(&trusted("p256"), &bundle.to_string(), &files());
    assert!(matches!(signer, Ok(Signer::Key { .. })), "{signer:?}");
    let other = verify_files(&trusted("p384"), &bundle.to_string(), &files());
    assert_eq!(other, Err(SignatureError::WrongSignature));
}

#[test]
fn verify_refuses_other_signers() {
    let key = text("p256.key.files.sig");
    let nobody = TrustedSigners::default().verify(key.as_bytes(), now());
    assert_eq!(nobody, Err(SignatureError::UntrustedKey));
    let other = trusted("p384").verify(key.as_bytes(), now());
    assert_eq!(other, Err(SignatureError::UntrustedKey));
    let chain = text("p256.certificate.files.sig");
    for signers in [TrustedSigners::default(), trusted("p384")] {
        let refused = signers.verify(chain.as_bytes(), now());
        assert!(
            matches!(refused, Err(SignatureError::Certificate { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn verify_refuses_other_identities() {
    let bundle = text("p256.certificate.files.sig");
    let mut signers = trusted("p256");
    signers.trust_identity("other@example.com");
    let refused = signers.verify(bundle.as_bytes(), now());
    assert!(
        matches!(refused, Err(SignatureError::UntrustedIdentity { .. })),
        "{refused:?}"
    );
    signers.trust_identity("signer@example.com");
    assert!(signers.verify(bundle.as_bytes(), now()).is_ok());
}

#[test]
fn verify_refuses_revoked_keys() {
    for name in ["p256.key.files.sig", "p256.certificate.files.sig"] {
        let mut signers = trusted("p256");
        let key = PublicKey::from_pem(&text("p256.pub")).unwrap();
        signers.revoke_key(key.fingerprint());
        let refused = signers.verify(text(name).as_bytes(), now());
        assert!(
            matches!(refused, Err(SignatureError::RevokedKey { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn verify_refuses_bad_certificates() {
    let mut signers = TrustedSigners::default();
    signers.trust_roots(&text("odd.root.pem")).unwrap();
    let cases = [
        ("expired.sig", "expired"),
        ("future.sig", "valid from"),
        ("not_for_signing.sig", "key usage"),
        ("issuer_is_no_authority.sig", "not a certificate authority"),
    ];
    for (name, problem) in cases {
        let refused = signers.verify(text(name).as_bytes(), now()).unwrap_err();
        assert!(refused.to_string().contains(problem), "{name}: {refused}");
    }
    let early = UNIX_EPOCH + Duration::from_secs(1_735_700_000);
    let then = signers.verify(text("expired.sig").as_bytes(), early);
    assert!(then.is_ok(), "{then:?}");
}

#[test]
fn check_refuses_added_removed_and_changed_files() {
    for name in ["p256.key.files.sig", "p256.key.shards.sig"] {
        let refused = |files: &BTreeMap<String, Vec<u8>>| {
            verify_files(&trusted("p256"), &text(name), files).unwrap_err()
        };
        let mut added = files();
        added.insert("extra".to_owned(), vec![1]);
        assert!(matches!(
            refused(&added),
            SignatureError::FileNotSigned { .. }
        ));
        let mut removed = files();
        removed.remove("model.onnx");
        assert!(matches!(
            refused(&removed),
            SignatureError::FileMissing { .. }
        ));
        for length in [0, 499, 500, 1000, 1023, 1025, 1500, 5000] {
            let mut resized = files();
            resized.get_mut("model.onnx").unwrap().resize(length, 0);
            refused(&resized);
        }
    }
}

#[test]
fn statement_of_shards_must_cover_each_file() {
    let bundle = bundle_json("p256.key.shards.sig");
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let good: Value = serde_json::from_slice(&Base64::decode_vec(payload).unwrap()).unwrap();
    for removed in 0..3 {
        let mut gap = good.clone();
        gap["predicate"]["resources"]
            .as_array_mut()
            .unwrap()
            .remove(removed);
        let resources = gap["predicate"]["resources"].as_array().unwrap();
        let digests = resources
            .iter()
            .map(|each| each["digest"].as_str().unwrap());
        let all: Vec<u8> = digests
            .flat_map(|digest| hex::decode(digest).unwrap())
            .collect();
        gap["subject"][0]["digest"]["sha256"] = json!(Digest::of(&all));
        let refused = verify_files(&trusted("p256"), &signed(&gap), &files());
        assert!(
            matches!(
                refused,
                Err(SignatureError::FileChanged { .. } | SignatureError::FileNotSigned { .. })
            ),
            "{removed}: {refused:?}"
        );
    }
}

#[test]
fn thousand_random_changes_are_all_refused() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let places = [
        "/dsseEnvelope/payload",
        "/dsseEnvelope/signatures/0/sig",
        "/verificationMaterial/x509CertificateChain/certificates/0/rawBytes",
        "/verificationMaterial/x509CertificateChain/certificates/1/rawBytes",
    ];
    let names = ["p256.certificate.files.sig", "p256.certificate.shards.sig"];
    let signers = trusted("p256");
    for round in 0..1000 {
        let mut bundle = bundle_json(names[draw(2)]);
        let mut files = files();
        let place = match draw(places.len() + 1) {
            0 => {
                let file = files.values_mut().nth(1 + draw(2)).unwrap();
                let at = draw(file.len());
                file[at] ^= 1 << draw(8);
                "a file"
            }
            place => {
                let part = bundle.pointer_mut(places[place - 1]).unwrap();
                let mut bytes = Base64::decode_vec(part.as_str().unwrap()).unwrap();
                let at = draw(bytes.len());
                bytes[at] ^= 1 << draw(8);
                *part = json!(Base64::encode_string(&bytes));
                places[place - 1]
            }
        };
        let accepted = verify_files(&signers, &bundle.to_string(), &files);
        assert!(
            accepted.is_err(),
            "round {round}: a change of {place} was accepted"
        );
    }
}

#[test]
fn sign_makes_bundles_that_verify() {
    let digests: BTreeMap<String, Digest> = files()
        .into_iter()
        .map(|(file, bytes)| (file, Digest::of(&bytes)))
        .collect();
    for curve in CURVES {
        let key = PrivateKey::from_pem(&text(&format!("{curve}.key"))).unwrap();
        let chain = text(&format!("{curve}.leaf.pem")) + &text(&format!("{curve}.mid.pem"));
        for certificates in [None, Some(chain.as_str())] {
            let bundle = key
                .sign("model", &digests, &["manifest.json"], certificates)
                .unwrap();
            let signer = verify_files(&trusted(curve), &bundle, &files());
            assert!(signer.is_ok(), "{curve}: {signer:?}");
        }
        let foreign = key.sign("model", &digests, &[], Some(&text("odd.root.pem")));
        assert!(foreign.unwrap_err().to_string().contains("another key"));
    }
}
