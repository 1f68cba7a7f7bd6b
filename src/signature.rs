//! Signatures of models, in the format of OpenSSF Model Signing 1.0.
//!
//! A [`TrustedSigners`] verifies a bundle, and returns the [`SignedFiles`]. These compare the files
//! of a version with the signed digests.

mod bundle;
mod certificate;
mod error;
mod private_key;
mod public_key;
mod statement;
mod trusted_signers;

pub use self::error::SignatureError;
pub use self::private_key::PrivateKey;
pub use self::public_key::PublicKey;
use self::public_key::SignatureHash;
pub use self::statement::SignedFiles;
pub use self::trusted_signers::{Signer, TrustedSigners, VerifiedSignature};

/// The name of the bundle in the directory of a version, as the reference implementation names it.
pub(crate) const BUNDLE_FILE: &str = "model.sig";

#[cfg(test)]
mod tests;
