//! The signers whose models are trusted, and the verification of a bundle.

use std::collections::BTreeSet;
use std::time::SystemTime;

use x509_cert::Certificate;

use super::bundle::{Bundle, Material, signed_bytes};
use super::certificate::{read_pem, verify_chain};
use super::{PublicKey, SignatureError, SignatureHash, SignedFiles};

/// The signers whose models are trusted. Trusts nobody at first.
#[derive(Clone, Debug, Default)]
pub struct TrustedSigners {
    keys: Vec<PublicKey>,
    roots: Vec<Certificate>,
    identities: BTreeSet<String>,
    revoked_keys: BTreeSet<String>,
}

/// A signature of a trusted signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSignature {
    /// The signer.
    pub signer: Signer,
    /// The signed digests, to be compared with the files.
    pub files: SignedFiles,
}

/// The signer of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signer {
    /// The owner of a trusted key.
    Key {
        /// See [`PublicKey::fingerprint`].
        fingerprint: String,
    },
    /// The subject of a certificate that a trusted root certifies.
    Certificate {
        /// The e-mail addresses, URIs and host names in the certificate.
        identities: Vec<String>,
        /// See [`PublicKey::fingerprint`].
        fingerprint: String,
        /// The end of the earliest validity on the path to the root.
        not_after: SystemTime,
    },
}

impl TrustedSigners {
    /// Trusts the owner of a key.
    pub fn trust_key(&mut self, key: PublicKey) {
        self.keys.push(key);
    }

    /// Trusts the root certificates in a text of PEM: every leaf that they certify may sign,
    /// unless [`trust_identity`](Self::trust_identity) names some.
    ///
    /// # Errors
    ///
    /// When the text is not PEM, or holds no certificate.
    pub fn trust_roots(&mut self, pem: &str) -> Result<(), SignatureError> {
        self.roots.extend(read_pem(pem)?);
        Ok(())
    }

    /// Trusts only certificates that name this e-mail address, URI or host name, or another one
    /// that is trusted as well.
    pub fn trust_identity(&mut self, identity: impl Into<String>) {
        self.identities.insert(identity.into());
    }

    /// Refuses a key, also the key of a certificate. See [`PublicKey::fingerprint`].
    pub fn revoke_key(&mut self, fingerprint: impl Into<String>) {
        self.revoked_keys.insert(fingerprint.into());
    }

    /// Verifies a bundle: its format, its signature, and that its signer is trusted at `now`.
    ///
    /// # Errors
    ///
    /// When any of these does not hold.
    pub fn verify(
        &self,
        bundle: &[u8],
        now: SystemTime,
    ) -> Result<VerifiedSignature, SignatureError> {
        let bundle = Bundle::parse(bundle)?;
        let signed = signed_bytes(&bundle.payload);
        let is_signer = |key: &PublicKey| {
            key.has_signed(&signed, SignatureHash::for_key(key), &bundle.signature)
        };
        let signer = match &bundle.material {
            Material::Key { hint } => {
                let may_be = |key: &&PublicKey| match hint {
                    Some(hint) => key.fingerprint() == *hint,
                    None => true,
                };
                let candidates: Vec<&PublicKey> = self.keys.iter().filter(may_be).collect();
                if candidates.is_empty() {
                    return Err(SignatureError::UntrustedKey);
                }
                let key = candidates.into_iter().find(|key| is_signer(key));
                let fingerprint = key.ok_or(SignatureError::WrongSignature)?.fingerprint();
                self.check_revoked(&fingerprint)?;
                Signer::Key { fingerprint }
            }
            Material::Certificates(chain) => {
                let leaf = verify_chain(chain, &self.roots, now)?;
                let fingerprint = leaf.key.fingerprint();
                self.check_revoked(&fingerprint)?;
                self.check_identity(&leaf.identities)?;
                if !is_signer(&leaf.key) {
                    return Err(SignatureError::WrongSignature);
                }
                Signer::Certificate {
                    identities: leaf.identities,
                    fingerprint,
                    not_after: leaf.not_after,
                }
            }
        };
        let files = SignedFiles::parse(&bundle.payload)?;
        Ok(VerifiedSignature { signer, files })
    }

    fn check_revoked(&self, fingerprint: &str) -> Result<(), SignatureError> {
        match self.revoked_keys.contains(fingerprint) {
            false => Ok(()),
            true => Err(SignatureError::RevokedKey {
                fingerprint: fingerprint.to_owned(),
            }),
        }
    }

    fn check_identity(&self, found: &[String]) -> Result<(), SignatureError> {
        let is_trusted = |identity: &String| self.identities.contains(identity);
        match self.identities.is_empty() || found.iter().any(is_trusted) {
            true => Ok(()),
            false => Err(SignatureError::UntrustedIdentity {
                expected: self.identities.iter().cloned().collect(),
                found: found.to_vec(),
            }),
        }
    }
}
