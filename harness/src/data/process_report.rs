//! The supervisor's report to the runner about the process of one test.

use crate::data::exit_status::ExitStatus;
use clarity_chaos_record::{HungThread, Isolation};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A report about the ended process of a test, with the leaks that the supervisor found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessReport {
    pub(crate) exit_status: ExitStatus,
    /// The reason for which the supervisor stopped the process; `None` if the process ended by
    /// itself.
    pub(crate) stop_reason: Option<StopReason>,
    /// The threads that the test's processes had when the supervisor stopped the test.
    pub(crate) hung_threads: Vec<HungThread>,
    /// The isolation of this test: `exec` instead of `fork` if the supervisor could not fork
    /// safely.
    pub(crate) isolation: Isolation,
    /// The real time from the start of the process to its end.
    pub(crate) duration: Duration,
    pub(crate) usage: ResourceUsage,
    /// The command lines of processes that outlived the test's own process. The supervisor killed
    /// or tried to kill these processes.
    pub(crate) leaked_processes: Vec<String>,
    /// Files that the test left in the worker's private directories. The supervisor has removed
    /// these files.
    pub(crate) leaked_files: Vec<String>,
    /// Whether the supervisor exits after this case, because it could not kill all processes of the
    /// test.
    pub(crate) retires: bool,
}

impl ProcessReport {
    /// Creates the report about a process that ended by itself. Resource usage and leaks are empty.
    pub(crate) fn new(exit_status: ExitStatus, isolation: Isolation, duration: Duration) -> Self {
        Self {
            exit_status,
            stop_reason: None,
            hung_threads: Vec::new(),
            isolation,
            duration,
            usage: ResourceUsage::default(),
            leaked_processes: Vec::new(),
            leaked_files: Vec::new(),
            retires: false,
        }
    }
}

/// The reason for which the supervisor stopped a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StopReason {
    /// The test's timeout expired.
    TimedOut,
    /// The run was interrupted.
    Interrupted,
}

/// The resources that a process used, as counted by the system. Includes the resources of children
/// for which the process waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResourceUsage {
    /// CPU time, in microseconds.
    pub(crate) cpu_us: Option<u64>,
    /// Peak resident memory, in bytes.
    pub(crate) peak_memory_bytes: Option<u64>,
}
