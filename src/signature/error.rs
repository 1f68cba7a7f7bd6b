//! Why a signature is refused.

use thiserror::Error;

/// Why a signature, or a file that it covers, is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureError {
    /// A part of the bundle is malformed, or is not supported.
    #[error("{part}: expected {expected}, found {found}")]
    Malformed {
        /// The part of the bundle.
        part: &'static str,
        /// The expected value, in words.
        expected: String,
        /// The value found, shortened.
        found: String,
    },
    /// No trusted key made the signature.
    #[error("the signature is of no trusted key: add the signer's public key to the trusted keys")]
    UntrustedKey,
    /// The key is in the list of revoked keys.
    #[error("the key {fingerprint} is revoked: sign the version again with another key")]
    RevokedKey {
        /// The SHA-256 digest of the key in PEM, in hexadecimal digits.
        fingerprint: String,
    },
    /// The signature does not match the signed statement.
    #[error("the signature does not match the signed statement")]
    WrongSignature,
    /// The signer's certificate is refused.
    #[error("the certificate {subject}: {problem}")]
    Certificate {
        /// The subject of the certificate.
        subject: String,
        /// The problem, in words.
        problem: String,
    },
    /// The certificate names none of the trusted identities.
    #[error("the certificate names {found:?}, expected one of {expected:?}")]
    UntrustedIdentity {
        /// The trusted identities.
        expected: Vec<String>,
        /// The identities in the certificate.
        found: Vec<String>,
    },
    /// A file is not covered by the signature.
    #[error("{file}: the signature does not cover the file")]
    FileNotSigned {
        /// The path of the file.
        file: String,
    },
    /// A signed file does not exist.
    #[error("{file}: the signature covers this file, but the version does not list it")]
    FileMissing {
        /// The path of the file.
        file: String,
    },
    /// The bytes of a file are not the signed ones.
    #[error("{resource}: expected the signed SHA-256 {expected}, found {found}")]
    FileChanged {
        /// The path of the file, or the path and the range of a shard.
        resource: String,
        /// The signed digest.
        expected: String,
        /// The digest of the bytes, in words if there are none.
        found: String,
    },
}

/// The error for a part with another value than the expected one. Shortens the value.
pub(super) fn malformed(
    part: &'static str,
    expected: impl Into<String>,
    found: impl std::fmt::Display,
) -> SignatureError {
    let found: String = found.to_string().chars().take(120).collect();
    SignatureError::Malformed {
        part,
        expected: expected.into(),
        found: found.escape_debug().to_string(),
    }
}
