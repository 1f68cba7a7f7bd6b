//! The messages between the runner and a supervisor: one line of JSON each, through pipes.

use crate::data::case::Case;
use crate::data::process_report::ProcessReport;
use clarity_chaos_record::Sandbox;
use serde::{Deserialize, Serialize};

/// A message from the runner to a supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RunnerMessage {
    /// Run this case.
    Run(Box<Case>),
    /// End the running case as at its timeout. Without effect when no case runs.
    Interrupt,
    /// The run is over. A supervisor without this message has lost its runner, and removes its
    /// files.
    Shutdown,
}

/// A message from a supervisor to the runner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SupervisorMessage {
    /// The first message: the supervisor waits for cases, inside this sandbox.
    Ready(Sandbox),
    /// The first message of a supervisor that could not set up its confinement. It exits.
    Refused(String),
    /// The report about a case, after its end.
    CaseEnded(ProcessReport),
}

/// The prefix of each message from a supervisor.
///
/// A library of the tests can print to standard output before any code of ours runs.
pub(crate) const MESSAGE_PREFIX: &str = "\u{1e}clarity-chaos ";
