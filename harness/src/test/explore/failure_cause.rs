//! The causes of failed calls, and the time that they last.

use crate::syscalls::errno::Errno;
use crate::syscalls::file_call::Effect;
use std::fs;
use std::path::Path;

/// Whether a call with this effect can fail with this error. Only calls that need space return
/// `ENOSPC`. Only calls that open a file return `EMFILE`. Only calls that change files return
/// `EROFS`.
pub(super) fn can_fail(effect: &Effect, errno: Errno) -> bool {
    match errno {
        _ if *effect == Effect::Acknowledge || matches!(effect, Effect::Store { .. }) => false,
        Errno::ENOSPC => effect.allocates(),
        Errno::EROFS => effect.changes() && !effect.is_sync(),
        Errno::EMFILE => matches!(effect, Effect::Open { .. } | Effect::OpenUnnamed { .. }),
        _ => true,
    }
}

/// Whether the cause of this error can last: a full disk, a broken disk, or too many open files.
pub(super) fn can_last(errno: Errno) -> bool {
    [Errno::ENOSPC, Errno::EIO, Errno::EMFILE].contains(&errno)
}

/// Gives the error of later calls, if this error of a call that the directory `root` contains has
/// such a consequence. After a failed sync of a directory, the file system is read-only.
pub(super) fn consequence(errno: Errno, effect: &Effect, root: &Path) -> Option<Errno> {
    let fails_journal = match effect {
        Effect::Sync { path, .. } => root.join(path).is_dir(),
        Effect::SyncAll => true,
        _ => false,
    };
    (errno == Errno::EIO && fails_journal).then_some(Errno::EROFS)
}

/// Whether this call ends the cause of the error, if the call succeeds. A full disk has space again
/// after the operation removes or shortens a file that has bytes.
pub(super) fn is_ended_by(errno: Errno, effect: &Effect, directory: &Path) -> bool {
    let length =
        |path: &Path| fs::symlink_metadata(directory.join(path)).map_or(0, |found| found.len());
    errno == Errno::ENOSPC
        && match effect {
            Effect::Unlink { path }
            | Effect::Open {
                path,
                truncates: true,
                ..
            } => length(path) > 0,
            Effect::Truncate { path, length: new } => length(path) > *new,
            _ => false,
        }
}

/// Whether a closed descriptor ends the cause of the error.
pub(super) fn ends_with_close(errno: Errno) -> bool {
    errno == Errno::EMFILE
}
