//! What the runner and a supervisor say to each other: a line of JSON each, through pipes.

use crate::data::case::Case;
use crate::data::ending::Ending;
use clarity_chaos_record::Sandbox;
use serde::{Deserialize, Serialize};

/// What a supervisor is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Run this case.
    Run(Box<Case>),
    /// End the case that is running, as if its time were up; if none is, there is nothing to do.
    Interrupt,
    /// The run is over. A supervisor whose orders end without this has lost its runner, and cleans up after it.
    Farewell,
}

/// What a supervisor says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// First: it waits for orders, and this stands around it.
    Ready(Sandbox),
    /// Or: it could not put up the walls that it was told to, and ends.
    Refused(String),
    /// After each case: how it ended.
    Ended(Ending),
}

/// What an answer's line begins with: a library of the tests can print to standard output before anything of ours runs.
pub(crate) const MARK: &str = "\u{1e}clarity-chaos ";
