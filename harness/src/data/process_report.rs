//! The supervisor's report to the runner about the process of one test.

use crate::data::exit_status::ExitStatus;
use clarity_chaos_record::{HungThread, Isolation};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a test's process ended, and its leaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessReport {
    pub(crate) exit_status: ExitStatus,
    /// Why the supervisor stopped the process; `None` if it ended by itself.
    pub(crate) stop_reason: Option<StopReason>,
    /// Its threads at the time of the stop.
    pub(crate) hung_threads: Vec<HungThread>,
    /// The isolation in use: `exec` where the process could not be forked.
    pub(crate) isolation: Isolation,
    /// From start to end, in real time.
    pub(crate) duration: Duration,
    pub(crate) usage: ResourceUsage,
    /// The command lines of processes that outlived the test's own process. They have been killed.
    pub(crate) leaked_processes: Vec<String>,
    /// Files in the worker's private directories after the test. They have been removed.
    pub(crate) leaked_files: Vec<String>,
    /// The supervisor exits after this case: it could not kill all processes of the test.
    pub(crate) retires: bool,
}

impl ProcessReport {
    /// A report of a process that ended by itself, without usage and leaks.
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

/// Why the supervisor stopped a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StopReason {
    /// Its timeout expired.
    TimedOut,
    /// The run was interrupted.
    Interrupted,
}

/// The resources that a process used, counted by the system. Includes the children that it waited
/// for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResourceUsage {
    /// CPU time, in microseconds.
    pub(crate) cpu_us: Option<u64>,
    /// Peak resident memory, in bytes.
    pub(crate) peak_memory_bytes: Option<u64>,
}
