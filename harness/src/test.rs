//! What runs in the process of a test, and the interface that a test sees.

pub(crate) mod audit;
pub(crate) mod blocking;
pub(crate) mod body;
pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod end_request;
pub mod explore;
pub mod fault;
pub(crate) mod home;
pub(crate) mod limits;
pub(crate) mod logs;
pub mod network;
pub(crate) mod oracle;
pub(crate) mod other_filesystem;
pub(crate) mod outcome;
pub(crate) mod panics;
pub mod process;
pub(crate) mod random;
pub(crate) mod skip;
pub(crate) mod test_process;
pub(crate) mod test_time;
pub(crate) mod timeline;
