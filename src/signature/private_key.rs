//! The private keys of signers, and the bundles that they make.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::pkcs8::DecodePrivateKey;
use serde_json::json;
use x509_cert::der::Encode;

use super::bundle::{MEDIA_TYPE, PAYLOAD_TYPE, signed_bytes};
use super::certificate::{key_of, read_pem};
use super::error::malformed;
use super::public_key::{PublicKey, PublicPoint};
use super::statement::write_statement;
use super::{SignatureError, SignatureHash};
use crate::Digest;

/// The private key of a signer.
pub struct PrivateKey(PrivateScalar);

enum PrivateScalar {
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
}

/// Prints the public key's fingerprint, and nothing secret.
impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fingerprint = self.public_key().fingerprint();
        f.debug_tuple("PrivateKey").field(&fingerprint).finish()
    }
}

impl PrivateKey {
    /// Reads a private key in PKCS#8 PEM, without a password.
    ///
    /// # Errors
    ///
    /// When the text is no such key, or the key is on another curve than P-256, P-384 and P-521.
    pub fn from_pem(pem: &str) -> Result<Self, SignatureError> {
        let p256 = || p256::SecretKey::from_pkcs8_pem(pem).map(PrivateScalar::P256);
        let p384 = || p384::SecretKey::from_pkcs8_pem(pem).map(PrivateScalar::P384);
        let p521 = || p521::SecretKey::from_pkcs8_pem(pem).map(PrivateScalar::P521);
        let key = p256().or_else(|_| p384()).or_else(|_| p521());
        let expected = "a key on P-256, P-384 or P-521 in PKCS#8 PEM, as openssl pkcs8 -topk8 \
                        -nocrypt writes it";
        key.map(Self)
            .map_err(|error| malformed("private key", expected, error))
    }

    /// The public key of this key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(match &self.0 {
            PrivateScalar::P256(key) => PublicPoint::P256(key.public_key()),
            PrivateScalar::P384(key) => PublicPoint::P384(key.public_key()),
            PrivateScalar::P521(key) => PublicPoint::P521(key.public_key()),
        })
    }

    /// Signs the digests of a model's files, each by its path. Returns the bundle as JSON.
    ///
    /// `ignored` names the paths that verifiers ignore. `certificates` holds the certificate of
    /// this key in PEM, followed by the certificates of its issuers. Without certificates, the
    /// bundle names the key by its fingerprint.
    ///
    /// # Errors
    ///
    /// When the first certificate is of another key, or `certificates` is not PEM.
    pub fn sign(
        &self,
        model: &str,
        files: &BTreeMap<String, Digest>,
        ignored: &[&str],
        certificates: Option<&str>,
    ) -> Result<String, SignatureError> {
        self.bundle(&write_statement(model, files, ignored), certificates)
    }

    pub(super) fn bundle(
        &self,
        payload: &str,
        certificates: Option<&str>,
    ) -> Result<String, SignatureError> {
        let material = match certificates {
            None => json!({ "publicKey": { "hint": self.public_key().fingerprint() } }),
            Some(pem) => {
                let certificates = read_pem(pem)?;
                if key_of(&certificates[0])? != self.public_key() {
                    let (expected, found) = ("that of the private key", "another key");
                    return Err(malformed("key of the first certificate", expected, found));
                }
                let mut chain = Vec::new();
                for certificate in certificates {
                    let der = certificate.to_der();
                    let der = der.map_err(|error| malformed("certificates", "DER", error))?;
                    chain.push(json!({ "rawBytes": Base64::encode_string(&der) }));
                }
                json!({ "x509CertificateChain": { "certificates": chain } })
            }
        };
        let mut bundle = json!({
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": material,
            "dsseEnvelope": {
                "payload": Base64::encode_string(payload.as_bytes()),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{
                    "sig": Base64::encode_string(&self.signature(payload)?),
                    "keyid": "",
                }],
            },
        });
        bundle["verificationMaterial"]["tlogEntries"] = json!([]);
        Ok(bundle.to_string())
    }

    /// The deterministic signature of a payload, in DER.
    fn signature(&self, payload: &str) -> Result<Vec<u8>, SignatureError> {
        let message = signed_bytes(payload.as_bytes());
        let prehash = SignatureHash::for_key(&self.public_key()).of(&message);
        let failed = |error| malformed("private key", "a key that signs", error);
        Ok(match &self.0 {
            PrivateScalar::P256(key) => {
                let key = p256::ecdsa::SigningKey::from(key);
                let made: p256::ecdsa::Signature = key.sign_prehash(&prehash).map_err(failed)?;
                made.to_der().as_bytes().to_vec()
            }
            PrivateScalar::P384(key) => {
                let key = p384::ecdsa::SigningKey::from(key);
                let made: p384::ecdsa::Signature = key.sign_prehash(&prehash).map_err(failed)?;
                made.to_der().as_bytes().to_vec()
            }
            PrivateScalar::P521(key) => {
                let key = p521::ecdsa::SigningKey::from(key);
                let made: p521::ecdsa::Signature = key.sign_prehash(&prehash).map_err(failed)?;
                made.to_der().as_bytes().to_vec()
            }
        })
    }
}
