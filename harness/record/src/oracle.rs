//! The identity of an oracle in a record.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The property that an oracle states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OracleKind {
    /// The condition holds at every evaluation, and is evaluated at least once: `always!`.
    Always,
    /// The condition holds at least once: `sometimes!`.
    Sometimes,
    /// The line runs at least once: `reachable!`.
    Reachable,
}

impl fmt::Display for OracleKind {
    /// Writes the macro's name, such as `always!`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always!",
            Self::Sometimes => "sometimes!",
            Self::Reachable => "reachable!",
        })
    }
}

/// An oracle's kind, message and place in the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OracleId {
    /// The property that the oracle states.
    pub kind: OracleKind,
    /// The message in the macro call.
    pub message: String,
    /// The path of the function that contains the oracle, with the crate's name.
    pub function: String,
    /// The path of the source file, as it was passed to the compiler.
    pub file: String,
    /// The line of the macro call, from 1.
    pub line: u32,
}

impl OracleId {
    /// Creates the identity of the oracle at `line` of `file`.
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
    /// Writes the kind, the message and the place:
    /// `always! "the stored value is the sent one" (src/store.rs:12)`.
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
