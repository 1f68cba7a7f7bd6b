//! The disturbances of runs of an operation.

use super::call_identity::{CallIdentifier, CallIdentity, FixedNames, Precision};
use crate::syscalls::errno::Errno;
use std::rc::Rc;

/// Identifies one of the calls that an operation makes in the operation's directory.
#[derive(Clone, Debug)]
pub(super) struct CallPoint {
    pub(super) identity: CallIdentity,
    pub(super) precision: Precision,
    pub(super) fixed: Rc<FixedNames>,
}

/// The disturbance of one run of an operation.
#[derive(Clone, Debug)]
pub(super) enum Intervention {
    /// The run is not disturbed. Only the recorded calls of such a run contain the written bytes.
    None,
    /// All processes die instead of executing this call.
    Kill(CallPoint),
    /// Only the process that makes this call dies instead. The others go on until the operation
    /// ends. If its own process dies, they go on until they end.
    KillProcess(CallPoint),
    /// This call fails with this error. If `lasts`, later calls fail too, as long as the cause of
    /// the error lasts.
    Fail {
        point: CallPoint,
        errno: Errno,
        lasts: bool,
    },
    /// This call transfers half of its bytes.
    Shorten(CallPoint),
    /// The thread that makes this call sends its backtrace, and the process exits.
    Locate(CallPoint),
}

impl Intervention {
    pub(super) fn point(&self) -> Option<&CallPoint> {
        match self {
            Self::None => None,
            Self::Kill(point)
            | Self::KillProcess(point)
            | Self::Fail { point, .. }
            | Self::Shorten(point)
            | Self::Locate(point) => Some(point),
        }
    }
}

impl CallPoint {
    pub(super) fn identifier(&self) -> CallIdentifier {
        CallIdentifier::new(self.precision, Rc::clone(&self.fixed))
    }
}
