//! The public keys of signers, on the curves P-256, P-384 and P-521.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::pkcs8::{DecodePublicKey, EncodePublicKey, LineEnding};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::SignatureError;
use super::error::malformed;

/// The public key of a signer.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicKey(pub(super) PublicPoint);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum PublicPoint {
    P256(p256::PublicKey),
    P384(p384::PublicKey),
    P521(p521::PublicKey),
}

/// The hash function of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureHash {
    Sha256,
    Sha384,
    Sha512,
}

impl SignatureHash {
    /// The hash function that the size of the key's curve demands.
    pub(super) fn for_key(key: &PublicKey) -> Self {
        match key.0 {
            PublicPoint::P256(_) => Self::Sha256,
            PublicPoint::P384(_) => Self::Sha384,
            PublicPoint::P521(_) => Self::Sha512,
        }
    }

    pub(super) fn of(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }
}

impl PublicKey {
    /// Reads a public key in PEM, such as `openssl ec -pubout` writes.
    ///
    /// # Errors
    ///
    /// When the text is no such key, or the key is on another curve.
    pub fn from_pem(pem: &str) -> Result<Self, SignatureError> {
        let p256 = || p256::PublicKey::from_public_key_pem(pem).map(PublicPoint::P256);
        let p384 = || p384::PublicKey::from_public_key_pem(pem).map(PublicPoint::P384);
        let p521 = || p521::PublicKey::from_public_key_pem(pem).map(PublicPoint::P521);
        let key = p256().or_else(|_| p384()).or_else(|_| p521());
        key.map(Self).map_err(|error| unsupported(&error))
    }

    /// Reads the public key in a certificate, in DER.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, SignatureError> {
        let p256 = || p256::PublicKey::from_public_key_der(der).map(PublicPoint::P256);
        let p384 = || p384::PublicKey::from_public_key_der(der).map(PublicPoint::P384);
        let p521 = || p521::PublicKey::from_public_key_der(der).map(PublicPoint::P521);
        let key = p256().or_else(|_| p384()).or_else(|_| p521());
        key.map(Self).map_err(|error| unsupported(&error))
    }

    /// The SHA-256 digest of the key in PEM, in hexadecimal digits. Bundles name keys by it.
    pub fn fingerprint(&self) -> String {
        let pem = match &self.0 {
            PublicPoint::P256(key) => key.to_public_key_pem(LineEnding::LF),
            PublicPoint::P384(key) => key.to_public_key_pem(LineEnding::LF),
            PublicPoint::P521(key) => key.to_public_key_pem(LineEnding::LF),
        };
        // A key that was read can be written.
        hex::encode(Sha256::digest(pem.unwrap_or_default()))
    }

    /// Whether `signature`, in DER, is this key's signature of `message`.
    pub(super) fn has_signed(&self, message: &[u8], hash: SignatureHash, signature: &[u8]) -> bool {
        let prehash = hash.of(message);
        match &self.0 {
            PublicPoint::P256(key) => {
                p256::ecdsa::Signature::from_der(signature).is_ok_and(|signature| {
                    let key = p256::ecdsa::VerifyingKey::from(key);
                    key.verify_prehash(&prehash, &signature).is_ok()
                })
            }
            PublicPoint::P384(key) => {
                p384::ecdsa::Signature::from_der(signature).is_ok_and(|signature| {
                    let key = p384::ecdsa::VerifyingKey::from(key);
                    key.verify_prehash(&prehash, &signature).is_ok()
                })
            }
            PublicPoint::P521(key) => {
                p521::ecdsa::Signature::from_der(signature).is_ok_and(|signature| {
                    let key = p521::ecdsa::VerifyingKey::from(key);
                    key.verify_prehash(&prehash, &signature).is_ok()
                })
            }
        }
    }
}

fn unsupported(error: &p256::pkcs8::spki::Error) -> SignatureError {
    malformed("public key", "a key on P-256, P-384 or P-521", error)
}
