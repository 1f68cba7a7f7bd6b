//! What is done to which calls.

use crate::explore::{Call, Decoder, Effect, Tracee, Waiting};
use crate::fault::CallKind;
use std::path::PathBuf;
use std::time::Duration;

/// The call that lists a folder.
const LISTING: &str = "getdents64";

/// Whether a call is of this kind.
fn is_of(kind: CallKind, call: &Call) -> bool {
    match kind {
        CallKind::Open => matches!(call.effect, Effect::Open { .. }),
        CallKind::Read => matches!(call.effect, Effect::Read { .. }) && call.name != LISTING,
        CallKind::List => call.name == LISTING,
        CallKind::Write => matches!(call.effect, Effect::Write { .. } | Effect::Extend { .. }),
        CallKind::Sync => matches!(call.effect, Effect::Sync { .. } | Effect::SyncAll),
        CallKind::Rename => matches!(call.effect, Effect::Rename { .. } | Effect::MoveOut { .. }),
        CallKind::Remove => matches!(
            call.effect,
            Effect::Unlink { .. } | Effect::RemoveFolder { .. }
        ),
    }
}

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is not done, and gives this error.
    Fail(i32),
    /// It is done so much later.
    Delay(Duration),
    /// It is told of no more than so many bytes, if it reads or writes more.
    Shorten(u64),
}

/// Which calls something is done to.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) kind: CallKind,
    /// The folder that their files are in, without links on the way.
    pub(crate) below: PathBuf,
    /// Which of them, from 1; all if none.
    pub(crate) which: Option<u64>,
    pub(crate) action: Action,
    /// How many there were.
    pub(crate) seen: u64,
}

impl Rule {
    /// What is to be done to this call, if anything. Counts it.
    pub(super) fn meet(&mut self, waiting: &Waiting, tracee: &Tracee) -> Option<Action> {
        // What cannot be read, such as an address that is none, fails by itself.
        let decoder = Decoder::new(&self.below, false);
        let call = decoder.decode(waiting, tracee).ok().flatten()?;
        if !is_of(self.kind, &call) {
            return None;
        }
        self.seen += 1;
        let is_meant = self.which.is_none_or(|which| which == self.seen);
        is_meant.then_some(self.action)
    }
}
