//! The version of a model.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version of a model: a positive integer, whose decimal form is the name of the version's
/// directory. A greater version is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(NonZeroU64);

/// The error for a text that is not a [`Version`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected a version, a positive integer without leading zeros, found {found:?}")]
pub struct InvalidVersion {
    found: String,
}

impl Version {
    /// The version of a model's first publication.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The version with this number; `None` for zero.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The version's number.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The next version; `None` after the greatest possible one.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    /// Refuses signs and leading zeros: otherwise `1` and `01` would be two directories of the same
    /// version.
    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = if digits && !text.starts_with('0') {
            text.parse().ok()
        } else {
            None
        };
        parsed.and_then(Self::new).ok_or_else(|| InvalidVersion {
            found: text.chars().take(40).collect(),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_accepts_one_spelling_of_a_version() {
        assert_eq!("1".parse(), Ok(Version::FIRST));
        assert_eq!(
            "18446744073709551615".parse::<Version>().unwrap().next(),
            None
        );
        for bad in [
            "",
            "0",
            "01",
            "+1",
            "-1",
            "1 ",
            "1.0",
            "v1",
            "18446744073709551616",
            "١",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?} was accepted");
        }
    }
}
