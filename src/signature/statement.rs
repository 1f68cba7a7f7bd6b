//! The signed statement: the files of a model, and their digests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::SignatureError;
use super::error::malformed;
use crate::Digest;

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";

/// The most digests in a statement.
const MAX_RESOURCES: usize = 1_000_000;

/// The signed digests of a model's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedFiles {
    model: String,
    digest: Digest,
    shard_size: Option<u64>,
    /// The digests by path and start of the shard. A whole file starts at 0.
    digests: BTreeMap<String, BTreeMap<u64, (u64, Digest)>>,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Deserialize)]
struct Subject {
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    allow_symlinks: bool,
    // The reference implementation writes a floating-point number.
    shard_size: Option<f64>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    digest: String,
}

impl SignedFiles {
    /// Parses a statement whose signature has been verified.
    pub(super) fn parse(json: &[u8]) -> Result<Self, SignatureError> {
        let statement: Statement = serde_json::from_slice(json)
            .map_err(|error| malformed("statement", "an in-toto statement", error))?;
        let is = |part, expected: &str, found: &str| match expected == found {
            true => Ok(()),
            false => Err(malformed(part, expected, found)),
        };
        is("_type", STATEMENT_TYPE, &statement.kind)?;
        is("predicateType", PREDICATE_TYPE, &statement.predicate_type)?;
        let [subject] = &statement.subject[..] else {
            return Err(malformed("subject", "exactly one", statement.subject.len()));
        };
        let Predicate {
            serialization,
            resources,
        } = statement.predicate;
        is("hash_type", "sha256", &serialization.hash_type)?;
        if serialization.allow_symlinks {
            return Err(malformed("allow_symlinks", "false", "true"));
        }
        let shard_size = serialization.shard_size()?;
        let algorithm = match shard_size {
            None => "sha256".to_owned(),
            Some(size) => format!("sha256-sharded-{size}"),
        };
        if resources.is_empty() || resources.len() > MAX_RESOURCES {
            let expected = format!("1 to {MAX_RESOURCES}");
            return Err(malformed("resources", expected, resources.len()));
        }
        let mut digests: BTreeMap<String, BTreeMap<u64, (u64, Digest)>> = BTreeMap::new();
        let mut all = Sha256::new();
        for resource in resources {
            is("algorithm", &algorithm, &resource.algorithm)?;
            let digest = parse_digest("digest", &resource.digest)?;
            all.update(digest.as_bytes());
            let (path, range) = match shard_size {
                None => (resource.name.as_str(), 0..u64::MAX),
                Some(size) => parse_shard(&resource.name, size)?,
            };
            let shards = digests.entry(parse_path(path)?).or_default();
            if shards.insert(range.start, (range.end, digest)).is_some() {
                return Err(malformed("resources", "names that differ", &resource.name));
            }
        }
        let signed = subject.digest.get("sha256").map_or("", String::as_str);
        let root = parse_digest("subject", signed)?;
        let found = hex::encode(all.finalize());
        is("subject", &root.to_string(), &found)?;
        Ok(Self {
            model: subject.name.clone(),
            digest: root,
            shard_size,
            digests,
        })
    }

    /// The name in the statement. It informs only: a renamed model keeps its signature.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The digest over all digests, which names the signed model.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The size of a shard in bytes; `None` if each digest is of a whole file.
    pub fn shard_size(&self) -> Option<u64> {
        self.shard_size
    }

    /// Compares all files of a version with the signed digests.
    ///
    /// `files` holds the size of each file, by path. `digest_of` returns the digest of a range of
    /// a file's bytes; `None` if it has no digest of this range.
    ///
    /// # Errors
    ///
    /// When a file is not signed, when a signed file is missing, and when a digest differs. An
    /// empty file of a model that is signed by shards needs no signature, since it has no shard.
    pub fn check(
        &self,
        files: &BTreeMap<String, u64>,
        mut digest_of: impl FnMut(&str, Range<u64>) -> Option<Digest>,
    ) -> Result<(), SignatureError> {
        let listed: BTreeSet<&String> = files.keys().collect();
        if let Some(file) = self.digests.keys().find(|file| !listed.contains(file)) {
            return Err(SignatureError::FileMissing { file: file.clone() });
        }
        for (file, &size) in files {
            let Some(signed) = self.digests.get(file) else {
                if self.shard_size.is_some() && size == 0 {
                    continue;
                }
                return Err(SignatureError::FileNotSigned { file: file.clone() });
            };
            let mut end = 0;
            for (&start, &(signed_end, expected)) in signed {
                let stop = match self.shard_size {
                    None => size,
                    Some(shard) => start.saturating_add(shard).min(size),
                };
                let resource = match self.shard_size {
                    None => file.clone(),
                    Some(_) => format!("{file}:{start}:{signed_end}"),
                };
                let changed = |found: String| SignatureError::FileChanged {
                    resource,
                    expected: expected.to_string(),
                    found,
                };
                let is_whole = self.shard_size.is_none();
                if start != end || !(is_whole || (signed_end == stop && start < stop)) {
                    return Err(changed(format!("a file of {size} bytes")));
                }
                match digest_of(file, start..stop) {
                    Some(found) if found == expected => end = stop,
                    Some(found) => return Err(changed(found.to_string())),
                    None => return Err(changed("no digest".to_owned())),
                }
            }
            if end != size {
                return Err(SignatureError::FileNotSigned {
                    file: format!("{file}:{end}:{size}"),
                });
            }
        }
        Ok(())
    }
}

impl Serialization {
    fn shard_size(&self) -> Result<Option<u64>, SignatureError> {
        const MOST: f64 = (1_u64 << 53) as f64;
        match (self.method.as_str(), self.shard_size) {
            ("files", _) => Ok(None),
            ("shards", Some(size)) if (1.0..=MOST).contains(&size) && size.fract() == 0.0 => {
                Ok(Some(size as u64))
            }
            ("shards", size) => {
                let found = size.map_or_else(|| "none".to_owned(), |size| size.to_string());
                Err(malformed("shard_size", "a positive number of bytes", found))
            }
            (other, _) => Err(malformed("method", "files or shards", other)),
        }
    }
}

/// Writes the statement about files whose digests are of whole files.
pub(super) fn write_statement(
    model: &str,
    files: &BTreeMap<String, Digest>,
    ignored: &[&str],
) -> String {
    let mut sorted: Vec<_> = files.iter().collect();
    // The reference implementation compares paths part by part.
    sorted.sort_by_key(|(path, _)| path.split('/').collect::<Vec<_>>());
    let mut all = Sha256::new();
    let mut resources = Vec::new();
    for (name, digest) in sorted {
        all.update(digest.as_bytes());
        resources.push(json!({ "name": name, "algorithm": "sha256", "digest": digest }));
    }
    let statement = json!({
        "_type": STATEMENT_TYPE,
        "subject": [{ "name": model, "digest": { "sha256": hex::encode(all.finalize()) } }],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": false,
                "ignore_paths": ignored,
            },
            "resources": resources,
        },
    });
    statement.to_string()
}

fn parse_digest(part: &'static str, text: &str) -> Result<Digest, SignatureError> {
    text.parse()
        .map_err(|_| malformed(part, "a SHA-256 digest of 64 hexadecimal digits", text))
}

/// Checks a path: relative, with `/`, without `.`, `..` and empty parts.
fn parse_path(path: &str) -> Result<String, SignatureError> {
    let is_good = |part: &str| !matches!(part, "" | "." | "..");
    match path.split('/').all(is_good) && !path.contains(['\\', '\0']) {
        true => Ok(path.to_owned()),
        false => Err(malformed("resources", "a relative path without ..", path)),
    }
}

/// Splits `PATH:START:END`.
fn parse_shard(name: &str, size: u64) -> Result<(&str, Range<u64>), SignatureError> {
    let expected = || format!("PATH:START:END with shards of {size} bytes");
    let invalid = || malformed("resources", expected(), name);
    let parts: Vec<&str> = name.split(':').collect();
    let [path, start, end] = parts[..] else {
        return Err(invalid());
    };
    let number = |text: &str| match text.parse::<u64>() {
        // Each number has only one spelling.
        Ok(number) if number.to_string() == text => Ok(number),
        _ => Err(invalid()),
    };
    let (start, end) = (number(start)?, number(end)?);
    if start % size != 0 || end <= start || end - start > size {
        return Err(invalid());
    }
    Ok((path, start..end))
}
