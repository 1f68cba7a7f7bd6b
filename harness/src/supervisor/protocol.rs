//! The messages between the runner and a supervisor. Each message is one line of JSON in a pipe.

use crate::data::case::Case;
use crate::data::process_report::ProcessReport;
use crate::data::service::VisibleServices;
use clarity_chaos_record::Sandbox;
use serde::{Deserialize, Serialize};

/// A message from the runner to a supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RunnerMessage {
    /// Asks the supervisor to run this case.
    Run(Box<Case>),
    /// Asks the supervisor to end the running case in the same way as at its timeout. Has no effect
    /// when no case runs.
    Interrupt,
    /// Asks the supervisor to stop the processes of the running case, as `SIGSTOP` does. The time
    /// limits of the case stand still. Has no effect when no case runs.
    Suspend,
    /// Asks the supervisor to continue the processes that it has stopped.
    Resume,
    /// Announces that the run is over. When the pipe closes without this message, the runner has
    /// died. The supervisor then removes the run's files.
    Shutdown,
}

/// A message from a supervisor to the runner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SupervisorMessage {
    /// The first message of a supervisor that is ready for cases. Describes the sandbox of its
    /// tests, and the services of the run as these tests see them.
    Ready(Sandbox, VisibleServices),
    /// The only message of a supervisor that could not set up its confinement. Contains the reason.
    /// The supervisor then exits.
    Refused(String),
    /// Answers [`RunnerMessage::Suspend`]: the processes of the running case are stopped.
    Suspended,
    /// Reports a case that has ended.
    CaseEnded(ProcessReport),
}

/// The prefix of each message from a supervisor.
///
/// The runner ignores lines without this prefix. A library that the tests use can print such lines
/// to standard output before any code of the harness runs.
pub(crate) const MESSAGE_PREFIX: &str = "\u{1e}clarity-chaos ";
