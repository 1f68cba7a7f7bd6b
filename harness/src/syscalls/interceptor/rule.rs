//! What is done to which calls.

use crate::os::listener::Waiting;
use crate::os::tracee::Tracee;
use crate::syscalls::decoder::Decoder;
use crate::syscalls::effect::{Call, Effect};
use crate::syscalls::kind::CallKind;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
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
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// It is not done, and gives this error.
    Fail(i32),
    /// It is done so much later.
    Delay(Duration),
    /// It is told of no more than so many bytes, if it reads or writes more.
    Shorten {
        most: u64,
        /// With which error it fails where it cannot be shortened; it is done whole if none.
        otherwise: Option<i32>,
    },
    /// It is done as long as so many bytes are left for all of them; after that there is no room.
    Room(u64),
    /// It is done after this.
    After(Deed),
}

/// Something that is done before a call.
#[derive(Clone)]
pub(crate) struct Deed(Arc<dyn Fn() + Send + Sync>);

impl Deed {
    pub(crate) fn new(deed: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(deed))
    }

    pub(super) fn run(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deed").finish_non_exhaustive()
    }
}

/// Which calls something is done to.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) kind: CallKind,
    /// The folder that their files are in, or the file, without links on the way.
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
        let decoder = Decoder::new(&self.below, matches!(self.action, Action::Room(_)));
        let call = decoder.decode(waiting, tracee).ok().flatten()?;
        if !is_of(self.kind, &call) {
            return None;
        }
        self.seen += 1;
        let is_meant = self.which.is_none_or(|which| which == self.seen);
        match &mut self.action {
            _ if !is_meant => None,
            Action::Room(left) => take_room(left, &call.effect),
            action => Some(action.clone()),
        }
    }
}

/// Takes the room that a call needs of what is left, and gives what is to be done where that is too little.
fn take_room(left: &mut u64, effect: &Effect) -> Option<Action> {
    let needed = match effect {
        Effect::Write { bytes, .. } => bytes.len() as u64,
        // How much of it is there already is not known.
        _ => u64::from(*left == 0),
    };
    let had = *left;
    *left = had.saturating_sub(needed);
    match had {
        _ if needed <= had => None,
        0 => Some(Action::Fail(libc::ENOSPC)),
        most => Some(Action::Shorten {
            most,
            otherwise: Some(libc::ENOSPC),
        }),
    }
}
