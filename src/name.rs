//! The name of a model.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// The maximum length of a model's name in bytes, well below the 255 bytes that file systems allow.
const MAX_LENGTH: usize = 128;

/// The name of a model. It is also the name of the model's directory, a part of the model's URLs,
/// and a metric label.
///
/// Has 1 to 128 characters of `A-Z a-z 0-9 _ . -`, and does not start with a dot.
// If such a name is used as a path, the path cannot leave the store's directory, and is not hidden.
// In URLs and labels, the name needs no escaping.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName(Arc<str>);

/// The error for a text that is not a [`ModelName`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "expected a model's name of 1 to {MAX_LENGTH} characters A-Z a-z 0-9 _ . - not starting with a dot, found {found:?}"
)]
pub struct InvalidModelName {
    found: String,
}

impl ModelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = InvalidModelName;

    fn from_str(text: &str) -> Result<Self, InvalidModelName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let fits = (1..=MAX_LENGTH).contains(&text.len());
        if fits && !text.starts_with('.') && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidModelName {
                found: text.chars().take(MAX_LENGTH).collect(),
            })
        }
    }
}

/// Allows a map with keys of the type `ModelName` to find a model by a plain string.
impl std::borrow::Borrow<str> for ModelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelName({self})")
    }
}

impl Serialize for ModelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ModelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_refuses_names_that_leave_their_directory() {
        for good in [
            "cole_kripke",
            "a",
            "resnet-50",
            "v1.2",
            "A9_",
            &"x".repeat(128),
        ] {
            assert!(good.parse::<ModelName>().is_ok(), "{good:?} was refused");
        }
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "a\\b",
            "a b",
            "a\0",
            "é",
            "a%2fb",
            &"x".repeat(129),
        ] {
            assert!(bad.parse::<ModelName>().is_err(), "{bad:?} was accepted");
        }
    }
}
