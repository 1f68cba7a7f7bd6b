//! `clarity sign`: its bundles, and the keys and versions that it refuses.

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clarity::{Digest, PublicKey, SignatureError, TrustedSigners, VerifiedSignature};
use clarity_testbed::*;

use crate::CLARITY;

fn vector(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/data/signatures").join(name)
}

/// 1 January 2026, when the certificates of the vectors are valid.
fn new_year() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

fn sign(models: &Repository, flags: &[&str]) -> Output {
    let mut command = command(CLARITY);
    command.args(["sign", "cole_kripke", "--models"]);
    command.arg(models.root()).args(flags).output().unwrap()
}

/// The bundle in version 1, verified with the key or the root of P-256.
fn verified(models: &Repository) -> Result<VerifiedSignature, SignatureError> {
    let bundle = fs::read(models.root().join("cole_kripke/1/model.sig")).unwrap();
    let read = |name| fs::read_to_string(vector(name)).unwrap();
    let mut signers = TrustedSigners::default();
    signers.trust_key(PublicKey::from_pem(&read("p256.pub"))?);
    signers.trust_roots(&read("p256.root.pem"))?;
    signers.verify(&bundle, new_year())
}

#[test]
fn sign_writes_a_bundle_that_covers_the_version() {
    let models = Repository::temporary_with_model();
    let key = vector("p256.key");
    let chain = models.root().join("chain.pem");
    let read = |name| fs::read_to_string(vector(name)).unwrap();
    fs::write(&chain, read("p256.leaf.pem") + &read("p256.mid.pem")).unwrap();
    let of_key = ["--key", key.to_str().unwrap()];
    let of_chain = [&of_key[..], &["--certificates", chain.to_str().unwrap()]].concat();
    for flags in [&of_key[..], &of_chain] {
        let output = sign(&models, flags);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let signature = verified(&models).unwrap();
        let onnx = fs::read(models.root().join("cole_kripke/1/model.onnx")).unwrap();
        let files = [("model.onnx".to_owned(), onnx.len() as u64)].into();
        let digest = Digest::of(&onnx);
        assert_eq!(signature.files.check(&files, |_, _| Some(digest)), Ok(()));
        let other = |_: &str, _| Some(Digest::of(b"other"));
        assert!(signature.files.check(&files, other).is_err());
    }
    let mut verify = command(CLARITY);
    verify.args(["verify", "--models"]).arg(models.root());
    let output = verify.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(!stdout.contains("model.sig"), "{stdout}");
}

#[test]
fn sign_refuses_bad_keys_and_damaged_versions() {
    let models = Repository::temporary_with_model();
    let refused = |flags: &[&str], says: &str| {
        let output = sign(&models, flags);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(says), "{stderr}");
        assert!(!models.root().join("cole_kripke/1/model.sig").exists());
    };
    let (key, public) = (vector("p256.key"), vector("p256.pub"));
    let foreign = vector("odd.root.pem");
    let (key, public) = (key.to_str().unwrap(), public.to_str().unwrap());
    refused(&["--key", public], "PKCS#8");
    refused(&["--key", key, "--version", "7"], "does not exist");
    let certificates = ["--key", key, "--certificates", foreign.to_str().unwrap()];
    refused(&certificates, "another key");
    let onnx = models.root().join("cole_kripke/1/model.onnx");
    let mut bytes = fs::read(&onnx).unwrap();
    bytes[100] ^= 1;
    fs::remove_file(&onnx).unwrap();
    fs::write(&onnx, bytes).unwrap();
    refused(&["--key", key], "SHA-256");
}
