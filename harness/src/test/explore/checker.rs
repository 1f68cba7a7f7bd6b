//! Checks a test's invariant, each time in a process of its own.

use super::check_server::CheckServer;
use super::child::CheckThread;
use super::child_report::{ChildEnd, ChildReport, Remains};
use super::explorer::{Explorer, Invariant};
use std::cell::RefCell;
use std::io;

/// Checks an invariant on the states that an explorer writes.
pub(super) struct Checker<'a, T: Copy + Send> {
    explorer: &'a Explorer<'a>,
    pub(super) invariant: Invariant<'a, T>,
    server: RefCell<CheckServer<T>>,
}

impl<'a, T: Copy + Send> Checker<'a, T> {
    pub(super) fn new(explorer: &'a Explorer<'a>, invariant: Invariant<'a, T>) -> io::Result<Self> {
        let server = CheckServer::start(&explorer.directory, invariant, CheckThread::choose())?;
        explorer.orphans.tolerate(Some(server.pid()));
        Ok(Self {
            explorer,
            invariant,
            server: RefCell::new(server),
        })
    }

    /// Checks the invariant on the explorer's directory. `Err` contains the invariant's error or
    /// panic message.
    pub(super) fn check(&self, found: T) -> Result<(), String> {
        let ChildReport { end, remains } = match self.server.borrow_mut().check(found) {
            Ok(report) => report,
            Err(error) => return Err(format!("it could not be checked: {error}")),
        };
        self.explorer
            .note_descendants(remains == Remains::Descendants);
        match end {
            ChildEnd::Returned(result) => result,
            ChildEnd::Panicked(message) => Err(message),
            ChildEnd::Died(how) => Err(format!("its check did not end: {how}")),
            ChildEnd::Located(_) => Err("its check did not end".to_owned()),
        }
    }
}

impl<T: Copy + Send> Drop for Checker<'_, T> {
    fn drop(&mut self) {
        self.explorer.orphans.tolerate(None);
    }
}
