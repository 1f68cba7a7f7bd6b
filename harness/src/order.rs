//! What the runner tells a supervisor, and how it recognizes the answer.

use crate::case::CaseDir;
use serde::{Deserialize, Serialize};

/// What a supervisor is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Run the case in this folder.
    Run(CaseDir),
    /// The run is over. A supervisor whose orders end without this has lost its runner, and cleans up after it.
    Farewell,
}

/// What an answer begins with: a library of the tests can print to standard output before anything of ours runs.
pub(crate) const ANSWER: &str = "\u{1e}clarity-chaos ";
