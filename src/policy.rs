//! Which versions of a model answer.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{InvalidVersion, Version};

/// Which versions of a model answer. Requests that name no version get the newest that does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VersionPolicy {
    /// The newest good version, alone.
    #[default]
    Latest,
    /// Every good version, each by its number.
    All,
    /// Of these versions every good one, each by its number. The others are not looked into.
    Only(BTreeSet<Version>),
}

/// Why a text is not a [`VersionPolicy`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected latest, all, or versions with commas between them, found {found:?}: {source}")]
pub struct InvalidVersionPolicy {
    found: String,
    source: InvalidVersion,
}

impl VersionPolicy {
    /// Whether a version may answer at all.
    pub fn admits(&self, version: Version) -> bool {
        match self {
            Self::Latest | Self::All => true,
            Self::Only(versions) => versions.contains(&version),
        }
    }

    /// Whether versions answer beside the newest.
    pub(crate) fn serves_several(&self) -> bool {
        !matches!(self, Self::Latest)
    }
}

impl FromStr for VersionPolicy {
    type Err = InvalidVersionPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidVersionPolicy> {
        let invalid = |source| InvalidVersionPolicy {
            found: text.chars().take(80).collect(),
            source,
        };
        match text {
            "latest" => Ok(Self::Latest),
            "all" => Ok(Self::All),
            numbers => {
                let versions = numbers.split(',').map(|number| number.trim().parse());
                Ok(Self::Only(
                    versions.collect::<Result<_, _>>().map_err(invalid)?,
                ))
            }
        }
    }
}

impl fmt::Display for VersionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::All => f.write_str("all"),
            Self::Only(versions) => {
                let versions: Vec<String> = versions.iter().map(Version::to_string).collect();
                f.write_str(&versions.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_nonsense_is_refused() {
        for text in ["latest", "all", "1", "1,3"] {
            let policy: VersionPolicy = text.parse().unwrap();
            assert_eq!(policy.to_string(), text);
        }
        for bad in ["", "newest", "0", "1,", "1;2"] {
            assert!(
                bad.parse::<VersionPolicy>().is_err(),
                "{bad:?} was accepted"
            );
        }
        let only: VersionPolicy = "3, 1".parse().unwrap();
        assert!(only.admits(Version::FIRST) && !only.admits(Version::new(2).unwrap()));
    }
}
