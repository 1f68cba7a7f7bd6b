//! Runs the set-up of an exploration in a process of its own.

use super::child::{Child, Purpose};
use super::child_report::ChildEnd;
use super::error::ExploreError;
use super::orphans::Orphans;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

/// Runs `work` in a child process. Then ends all processes that it has started.
pub(super) fn run(work: impl FnOnce() -> Result<(), String> + Send) -> Result<(), ExploreError> {
    let orphans = Orphans::adopt()?;
    let child = Child::spawn(Purpose::SetUp, work)?;
    retry_on_intr(|| poll(&mut [PollFd::new(&child.ended, PollFlags::IN)], None))
        .map_err(std::io::Error::from)?;
    // Its group still exists, until the child is reaped.
    child.kill();
    let end = child.reap()?;
    orphans.end_all()?;
    let failure = match end {
        ChildEnd::Returned(Ok(())) => return Ok(()),
        ChildEnd::Returned(Err(error)) => error,
        ChildEnd::Panicked(message) => format!("it panicked: {message}"),
        ChildEnd::Died(how) | ChildEnd::Located(how) => how,
    };
    Err(ExploreError::SetUp(failure))
}
