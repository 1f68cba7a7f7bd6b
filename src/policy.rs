//! Version policies.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{InvalidVersion, Version};

/// Selects the versions that answer the requests to a model. The newest of these versions answers
/// the requests that name no version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionPolicy {
    /// Only the newest good version answers.
    #[default]
    Latest,
    /// All good versions answer.
    All,
    /// The good versions in this set answer. Other versions are not loaded.
    Only(BTreeSet<Version>),
}

/// The error for a text that is not a [`VersionPolicy`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected latest, all, or versions separated by commas, found {found:?}: {source}")]
pub struct InvalidVersionPolicy {
    found: String,
    source: InvalidVersion,
}

impl VersionPolicy {
    /// Whether this policy allows a version to answer.
    pub fn admits(&self, version: Version) -> bool {
        match self {
            Self::Latest | Self::All => true,
            Self::Only(versions) => versions.contains(&version),
        }
    }

    /// Whether this policy allows more than one version to answer.
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
    fn parse_reads_back_display_and_refuses_bad_texts() {
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
