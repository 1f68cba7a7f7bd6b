//! The code that runs in a test's process, and the interface that a test uses.

pub(crate) mod auto_advance;
pub(crate) mod blocking_detector;
pub(crate) mod body;
pub(crate) mod body_call;
pub(crate) mod clock;
pub(crate) mod context;
pub mod explore;
pub mod fault;
pub(crate) mod leak_audit;
pub(crate) mod limits;
pub(crate) mod logs;
mod missed_faults;
pub mod network;
pub(crate) mod oracle;
pub(crate) mod other_filesystem;
pub(crate) mod outcome;
pub(crate) mod panics;
pub mod process;
pub(crate) mod process_scope;
pub(crate) mod random;
pub(crate) mod run_fixture;
pub(crate) mod run_setup;
pub(crate) mod skip;
pub(crate) mod termination;
pub(crate) mod test_process;
pub(crate) mod test_time;
pub(crate) mod timeline;
