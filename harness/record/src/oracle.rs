//! Oracles by name, and what cases saw of them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What an oracle demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OracleKind {
    /// Its condition holds whenever it is evaluated, and is evaluated at least once: `always!`.
    Always,
    /// Its condition holds at least once: `sometimes!`.
    Sometimes,
    /// It is reached at least once: `reachable!`.
    Reachable,
}

impl fmt::Display for OracleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always!",
            Self::Sometimes => "sometimes!",
            Self::Reachable => "reachable!",
        })
    }
}

/// Which oracle: what it demands and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OracleId {
    /// What it demands.
    pub kind: OracleKind,
    /// Its words.
    pub message: String,
    /// The path of the function that it stands in, with the crate.
    pub function: String,
    /// The source file, as the compiler was given it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

impl OracleId {
    /// The oracle that stands here.
    #[must_use]
    pub fn new(
        kind: OracleKind,
        message: impl Into<String>,
        function: impl Into<String>,
        file: impl Into<String>,
        line: u32,
    ) -> Self {
        Self {
            kind,
            message: message.into(),
            function: function.into(),
            file: file.into(),
            line,
        }
    }
}

impl fmt::Display for OracleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            message,
            file,
            line,
            ..
        } = self;
        write!(f, "{kind} \"{message}\" ({file}:{line})")
    }
}

/// An oracle that a case has reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SeenOracle {
    /// Which.
    #[serde(flatten)]
    pub oracle: OracleId,
    /// Whether what it demands was so: of [`OracleKind::Always`] each time, else at least once.
    pub held: bool,
}
