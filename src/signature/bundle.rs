//! The bundle: a JSON file with the signed statement, the signature, and the signer's key or
//! certificates.

use base64ct::{Base64, Encoding};
use serde::Deserialize;

use super::SignatureError;
use super::error::malformed;

pub(super) const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The most certificates in a bundle.
const MAX_CERTIFICATES: usize = 10;

/// A bundle whose signature has not been verified.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) material: Material,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// The part of the bundle that names the signer.
#[derive(Debug)]
pub(super) enum Material {
    /// The fingerprint of a key. Bundles before version 1.1 of the reference implementation have
    /// the key itself, which proves nothing.
    Key { hint: Option<String> },
    /// Certificates in DER, the signer's first.
    Certificates(Vec<Vec<u8>>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BundleJson {
    media_type: String,
    verification_material: MaterialJson,
    dsse_envelope: EnvelopeJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MaterialJson {
    public_key: Option<PublicKeyJson>,
    x509_certificate_chain: Option<ChainJson>,
    certificate: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct PublicKeyJson {
    hint: Option<String>,
}

#[derive(Deserialize)]
struct ChainJson {
    certificates: Vec<CertificateJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertificateJson {
    raw_bytes: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeJson {
    payload: String,
    payload_type: String,
    signatures: Vec<SignatureJson>,
}

#[derive(Deserialize)]
struct SignatureJson {
    sig: String,
}

impl Bundle {
    pub(super) fn parse(json: &[u8]) -> Result<Self, SignatureError> {
        let bundle: BundleJson = serde_json::from_slice(json)
            .map_err(|error| malformed("bundle", "a Sigstore bundle as JSON", error))?;
        if bundle.media_type != MEDIA_TYPE {
            return Err(malformed("mediaType", MEDIA_TYPE, bundle.media_type));
        }
        let envelope = bundle.dsse_envelope;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(malformed(
                "payloadType",
                PAYLOAD_TYPE,
                envelope.payload_type,
            ));
        }
        let [signature] = &envelope.signatures[..] else {
            let found = envelope.signatures.len();
            return Err(malformed("signatures", "exactly one", found));
        };
        let material = bundle.verification_material;
        if material.certificate.is_some() {
            let expected = "a public key or a chain of certificates";
            return Err(malformed(
                "verificationMaterial",
                expected,
                "a keyless signature",
            ));
        }
        let material = match (material.public_key, material.x509_certificate_chain) {
            (Some(key), None) => Material::Key {
                hint: key.hint.filter(|hint| !hint.is_empty()),
            },
            (None, Some(chain)) => {
                let count = chain.certificates.len();
                if count == 0 || count > MAX_CERTIFICATES {
                    let expected = format!("1 to {MAX_CERTIFICATES}");
                    return Err(malformed("certificates", expected, count));
                }
                let raw = chain.certificates.iter();
                let der = raw.map(|each| decode("rawBytes", &each.raw_bytes));
                Material::Certificates(der.collect::<Result<_, _>>()?)
            }
            (Some(_), Some(_)) => {
                let expected = "either a public key or a chain of certificates";
                return Err(malformed("verificationMaterial", expected, "both"));
            }
            (None, None) => {
                let expected = "a public key or a chain of certificates";
                return Err(malformed("verificationMaterial", expected, "neither"));
            }
        };
        Ok(Self {
            material,
            payload: decode("payload", &envelope.payload)?,
            signature: decode("sig", &signature.sig)?,
        })
    }
}

/// The bytes that the signature covers: DSSE's pre-authentication encoding of the payload.
pub(super) fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    let (kind, length) = (PAYLOAD_TYPE, payload.len());
    let mut bytes = format!("DSSEv1 {} {kind} {length} ", kind.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, SignatureError> {
    Base64::decode_vec(text).map_err(|_| malformed(part, "Base64", text))
}
