//! The certificates of signers: the path from a leaf to a trusted root.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};

use super::error::malformed;
use super::{PublicKey, SignatureError, SignatureHash};

const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

/// The extensions that a path may depend on. Another critical extension is refused.
const KNOWN_EXTENSIONS: [ObjectIdentifier; 4] = [
    BasicConstraints::OID,
    ExtendedKeyUsage::OID,
    KeyUsage::OID,
    SubjectAltName::OID,
];

/// A leaf whose path to a trusted root was verified.
#[derive(Debug)]
pub(super) struct TrustedLeaf {
    pub(super) key: PublicKey,
    pub(super) identities: Vec<String>,
    /// The end of the earliest validity on the path.
    pub(super) not_after: SystemTime,
}

/// Reads certificates in PEM, one after the other.
pub(super) fn read_pem(pem: &str) -> Result<Vec<Certificate>, SignatureError> {
    let read = Certificate::load_pem_chain(pem.as_bytes());
    let certificates =
        read.map_err(|error| malformed("certificates", "certificates in PEM", error))?;
    match certificates.is_empty() {
        true => Err(malformed("certificates", "certificates in PEM", "none")),
        false => Ok(certificates),
    }
}

/// Finds a path from the first certificate in `chain` to one of `roots`, valid at `now`.
pub(super) fn verify_chain(
    chain: &[Vec<u8>],
    roots: &[Certificate],
    now: SystemTime,
) -> Result<TrustedLeaf, SignatureError> {
    let parse = |der: &Vec<u8>| Certificate::from_der(der);
    let parsed: Result<Vec<Certificate>, _> = chain.iter().map(parse).collect();
    let parsed = parsed.map_err(|error| malformed("rawBytes", "a certificate in DER", error))?;
    let Some((leaf, others)) = parsed.split_first() else {
        return Err(malformed("certificates", "at least 1", 0));
    };
    check_one(leaf, now)?;
    if !may_sign(leaf)? {
        let problem = "neither its key usage nor its extended key usage allows signatures";
        return Err(refused(leaf, problem));
    }
    let not_after = path_to_root(leaf, others, roots, now)?;
    Ok(TrustedLeaf {
        key: key_of(leaf)?,
        identities: identities(leaf)?,
        not_after,
    })
}

/// Follows the issuers up to a root. Returns the end of the earliest validity on the path.
// Candidates are tried in order and without going back: a chain with two certificates of one
// subject and one key is accepted if the first of them is good.
fn path_to_root(
    leaf: &Certificate,
    others: &[Certificate],
    roots: &[Certificate],
    now: SystemTime,
) -> Result<SystemTime, SignatureError> {
    let mut current = leaf;
    let mut not_after = end_of(leaf)?;
    for below in 0..=others.len() {
        if let Some(root) = issuer_of(current, roots) {
            check_one(root, now)?;
            check_authority(root, below)?;
            return Ok(not_after.min(end_of(root)?));
        }
        let Some(next) = issuer_of(current, others) else {
            return Err(refused(current, "no trusted certificate issued it"));
        };
        check_one(next, now)?;
        check_authority(next, below)?;
        not_after = not_after.min(end_of(next)?);
        current = next;
    }
    Err(refused(leaf, "its issuers form a circle"))
}

/// The first of `candidates` whose subject and key match the issuer of `certificate`.
fn issuer_of<'c>(
    certificate: &Certificate,
    candidates: &'c [Certificate],
) -> Option<&'c Certificate> {
    let hash = match certificate.signature_algorithm().oid {
        ECDSA_WITH_SHA256 => SignatureHash::Sha256,
        ECDSA_WITH_SHA384 => SignatureHash::Sha384,
        ECDSA_WITH_SHA512 => SignatureHash::Sha512,
        _ => return None,
    };
    if certificate.signature_algorithm() != certificate.tbs_certificate().signature() {
        return None;
    }
    let signed = certificate.tbs_certificate().to_der().ok()?;
    let signature = certificate.signature().as_bytes()?;
    candidates.iter().find(|candidate| {
        candidate.tbs_certificate().subject() == certificate.tbs_certificate().issuer()
            && key_of(candidate).is_ok_and(|key| key.has_signed(&signed, hash, signature))
    })
}

/// Checks the validity and the critical extensions of a certificate.
fn check_one(certificate: &Certificate, now: SystemTime) -> Result<(), SignatureError> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let validity = certificate.tbs_certificate().validity();
    if now < validity.not_before.to_unix_duration() {
        let problem = format!("it is valid from {} on", validity.not_before);
        return Err(refused(certificate, problem));
    }
    if now > validity.not_after.to_unix_duration() {
        let problem = format!("it expired at {}", validity.not_after);
        return Err(refused(certificate, problem));
    }
    let extensions = certificate.tbs_certificate().extensions();
    let unknown = extensions
        .into_iter()
        .flatten()
        .find(|extension| extension.critical && !KNOWN_EXTENSIONS.contains(&extension.extn_id));
    match unknown {
        None => Ok(()),
        Some(extension) => {
            let problem = format!("its critical extension {} is unknown", extension.extn_id);
            Err(refused(certificate, problem))
        }
    }
}

/// Checks that a certificate may issue others, with `below` authorities between it and the leaf.
fn check_authority(certificate: &Certificate, below: usize) -> Result<(), SignatureError> {
    let constraints = extension::<BasicConstraints>(certificate)?;
    let Some(constraints) = constraints.filter(|constraints| constraints.ca) else {
        return Err(refused(certificate, "it is not a certificate authority"));
    };
    if constraints
        .path_len_constraint
        .is_some_and(|most| below > usize::from(most))
    {
        return Err(refused(certificate, "its path length is exceeded"));
    }
    match extension::<KeyUsage>(certificate)? {
        Some(usage) if !usage.key_cert_sign() => Err(refused(
            certificate,
            "its key usage does not allow to issue certificates",
        )),
        _ => Ok(()),
    }
}

/// Whether the usages of a leaf allow signatures of models.
fn may_sign(leaf: &Certificate) -> Result<bool, SignatureError> {
    let usage = extension::<KeyUsage>(leaf)?.is_some_and(|usage| usage.digital_signature());
    let extended = extension::<ExtendedKeyUsage>(leaf)?;
    Ok(usage || extended.is_some_and(|usages| usages.0.contains(&CODE_SIGNING)))
}

/// The e-mail addresses, URIs and host names in a certificate.
fn identities(leaf: &Certificate) -> Result<Vec<String>, SignatureError> {
    let names = extension::<SubjectAltName>(leaf)?;
    let names = names.into_iter().flat_map(|names| names.0);
    let identity = |name| match name {
        GeneralName::Rfc822Name(name) | GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        _ => None,
    };
    Ok(names.filter_map(identity).collect())
}

fn extension<'c, T: Decode<'c> + AssociatedOid>(
    certificate: &'c Certificate,
) -> Result<Option<T>, SignatureError> {
    match certificate.tbs_certificate().get_extension::<T>() {
        Ok(found) => Ok(found.map(|(_, extension)| extension)),
        Err(_) => Err(refused(
            certificate,
            format!("its extension {} is invalid", T::OID),
        )),
    }
}

pub(super) fn key_of(certificate: &Certificate) -> Result<PublicKey, SignatureError> {
    let der = certificate
        .tbs_certificate()
        .subject_public_key_info()
        .to_der();
    PublicKey::from_der(&der.map_err(|error| malformed("public key", "DER", error))?)
}

fn end_of(certificate: &Certificate) -> Result<SystemTime, SignatureError> {
    let end = certificate.tbs_certificate().validity().not_after;
    UNIX_EPOCH
        .checked_add(end.to_unix_duration())
        .ok_or_else(|| refused(certificate, "the end of its validity is out of range"))
}

fn refused(certificate: &Certificate, problem: impl Into<String>) -> SignatureError {
    let subject = certificate.tbs_certificate().subject().to_string();
    SignatureError::Certificate {
        subject: subject
            .chars()
            .take(120)
            .flat_map(char::escape_debug)
            .collect(),
        problem: problem.into(),
    }
}
