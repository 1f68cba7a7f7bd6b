//! The condition under which a server is ready.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The condition under which a server is ready.
///
/// Unloaded models do not count, and neither do directories that never contained a version. Without
/// any other model, a server is not ready, unless requests have unloaded all its models. A model
/// that answers with an older version answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadyWhen {
    /// At least one model answers. So a new model that loads, or that is bad, does not end the
    /// readiness.
    #[default]
    Any,
    /// Each model answers.
    All,
    /// At least one model answers, and the first load of each model has ended, with any result.
    /// Only the models that were there at the start count for the second condition.
    Loaded,
}

/// The error for a text that is not a [`ReadyWhen`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected any, all or loaded, found {found:?}")]
pub struct InvalidReadyWhen {
    found: String,
}

impl FromStr for ReadyWhen {
    type Err = InvalidReadyWhen;

    fn from_str(text: &str) -> Result<Self, InvalidReadyWhen> {
        let all = [Self::Any, Self::All, Self::Loaded];
        let found = all.into_iter().find(|when| when.as_str() == text);
        found.ok_or_else(|| InvalidReadyWhen {
            found: text.chars().take(80).collect(),
        })
    }
}

impl ReadyWhen {
    /// The name of the condition in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
            Self::Loaded => "loaded",
        }
    }
}

impl fmt::Display for ReadyWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
