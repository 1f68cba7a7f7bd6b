//! The path of a file inside the directory of its version.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::Manifest;

/// The maximum length of a path in bytes.
const MAX_LENGTH: usize = 512;
/// The maximum number of directories in a path.
pub(crate) const MAX_DEPTH: usize = 8;

/// The path of a file inside the directory of its version.
///
/// Consists of names joined by `/`. No name is empty, `.` or `..`. No name contains a backslash, a
/// colon or a control character. So the path stays inside the version's directory on every
/// platform.
///
/// Has at most 512 bytes and 8 directories, and is not `manifest.json`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilePath(String);

/// The error for a text that is not a [`FilePath`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("invalid path {path:?}: {why}")]
pub struct InvalidFilePath {
    path: String,
    why: &'static str,
}

impl FilePath {
    /// The path as text, with `/` as separator.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FilePath {
    type Err = InvalidFilePath;

    fn from_str(text: &str) -> Result<Self, InvalidFilePath> {
        let components = || text.split('/');
        let why = if text.is_empty() {
            "it is empty"
        } else if text.len() > MAX_LENGTH {
            "it is longer than 512 bytes"
        } else if text.starts_with('/') {
            "it is absolute"
        } else if text.contains(['\\', ':']) {
            "it has a backslash or a colon"
        } else if text.chars().any(char::is_control) {
            "it has a control character"
        } else if components().any(|component| component == "." || component == "..") {
            "it contains . or .."
        } else if components().any(str::is_empty) {
            "it has an empty component"
        } else if components().count() > MAX_DEPTH + 1 {
            "it is nested too deeply"
        } else if text == Manifest::FILE_NAME {
            "it is the manifest itself"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(InvalidFilePath {
            path: text.chars().take(MAX_LENGTH).collect(),
            why,
        })
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FilePath({self})")
    }
}

impl Serialize for FilePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
