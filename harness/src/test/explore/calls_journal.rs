//! Converts the calls of an operation into the journal of their changes.

use crate::syscalls::errno::Errno;
use crate::syscalls::file_call::{Effect, FileCall, Sync};
use clarity_chaos_disk::{Journal, NodeId, Snapshot, SyncKind};
use std::collections::BTreeMap;
use std::ops::Range;

/// Makes the journal of these calls, which start from the content `before`. The calls with the
/// indices `failed` have failed.
///
/// # Errors
///
/// The index of the first unsupported call, and the reason why the call is unsupported.
pub(super) fn journal<'a>(
    before: &Snapshot,
    calls: impl IntoIterator<Item = &'a FileCall>,
    failed: &BTreeMap<usize, Errno>,
) -> Result<Journal, (usize, &'static str)> {
    let mut journal = Journal::new(before);
    for call in calls {
        if let Effect::Unsupported { reason, .. } = call.effect {
            return Err((journal.calls(), reason));
        }
        if reaches(&call.effect) > MAX_LENGTH {
            return Err((journal.calls(), "a file longer than 1 GiB"));
        }
        match failed.get(&journal.calls()) {
            None => add(&mut journal, &call.effect).map_err(|reason| (journal.calls(), reason))?,
            Some(errno) => fail(&mut journal, &call.effect, *errno),
        }
        journal.end_call();
    }
    Ok(journal)
}

/// The maximum length of a file, in bytes. Contents are in memory.
const MAX_LENGTH: u64 = 1 << 30;

/// Gives the length, in bytes, that the file of this call has at least afterwards. Gives 0 for
/// lengths that the kernel refuses.
fn reaches(effect: &Effect) -> u64 {
    let end = match effect {
        Effect::Write { offset, bytes, .. } => {
            offset.unwrap_or(0).saturating_add(bytes.len() as u64)
        }
        Effect::Truncate { length, .. } | Effect::Extend { length, .. } => *length,
        _ => 0,
    };
    if i64::try_from(end).is_ok() { end } else { 0 }
}

/// Adds a call that failed. A failed sync loses the bytes that it could not write. An interrupted
/// sync loses nothing.
fn fail(journal: &mut Journal, effect: &Effect, errno: Errno) {
    match effect {
        Effect::Sync { path, .. } => {
            let node = journal.find(path);
            let is_lost = |node: &NodeId| {
                errno == Errno::EIO || errno == Errno::ENOSPC && !journal.is_directory(*node)
            };
            if let Some(node) = node.filter(is_lost) {
                journal.fail_sync(node);
            }
        }
        Effect::SyncRange { .. } if [Errno::EIO, Errno::ENOSPC].contains(&errno) => {
            if let Some((file, range)) = synced_range(journal, effect) {
                journal.fail_sync_range(file, &range);
            }
        }
        Effect::SyncAll if errno == Errno::EIO => journal.fail_sync_all(),
        _ => {}
    }
}

/// Adds a call. Returns an error with the reason if no model has the call's states.
fn add(journal: &mut Journal, effect: &Effect) -> Result<(), &'static str> {
    match effect {
        Effect::Open {
            path,
            creates,
            truncates,
            mode,
        } => match journal.follow(path) {
            None if *creates => drop(journal.create(path, *mode)),
            Some(file) if *truncates && journal.length(file) > Some(0) => journal.resize(file, 0),
            _ => {}
        },
        Effect::Write {
            path,
            offset,
            bytes,
            sync,
        } => {
            let Some((file, end)) = length_of(journal, journal.find(path)) else {
                return Ok(());
            };
            let offset = offset.map_or(Ok(end), usize::try_from);
            // The kernel refuses greater offsets.
            let Some(offset) = offset.ok().filter(|offset| i64::try_from(*offset).is_ok()) else {
                return Ok(());
            };
            journal.write(file, offset, bytes);
            if let Some(sync) = sync {
                journal.sync(file, kind(*sync));
            }
        }
        Effect::Store {
            path,
            offset,
            bytes,
        } => {
            if let (Some(file), Ok(offset)) = (journal.find(path), usize::try_from(*offset)) {
                journal.store(file, offset, bytes);
            }
        }
        Effect::Truncate { path, length } => {
            if let (Some(file), Ok(length)) = (journal.follow(path), usize::try_from(*length))
                && i64::try_from(length).is_ok()
            {
                journal.resize(file, length);
            }
        }
        Effect::Extend { path, length } => {
            if let (Some((file, end)), Ok(length)) = (
                length_of(journal, journal.find(path)),
                usize::try_from(*length),
            ) && end < length
            {
                journal.resize(file, length);
            }
        }
        Effect::Rename { from, to, exchange } => journal.rename(from, to, *exchange),
        Effect::MoveOut { from: path }
        | Effect::Unlink { path }
        | Effect::RemoveDirectory { path } => journal.remove(path),
        Effect::MakeDirectory { path, mode } => drop(journal.make_directory(path, *mode)),
        Effect::Symlink { to, path } => drop(journal.symlink(to.clone(), path)),
        Effect::Link { from, to } => journal.link(from, to),
        Effect::Sync { path, sync } => {
            if let Some(node) = journal.find(path) {
                journal.sync(node, kind(*sync));
            }
        }
        Effect::SyncRange { .. } => {
            if let Some((file, range)) = synced_range(journal, effect)
                && journal.sync_range(file, range).is_err()
            {
                return Err("a sync of some pages of a file that unsynced writes made longer");
            }
        }
        Effect::SyncAll => journal.sync_all(),
        Effect::ChangeMode { path, mode } => {
            if let Some(node) = journal.follow(path) {
                journal.set_mode(node, *mode);
            }
        }
        Effect::ChangeAttributes { path } => {
            if let Some(node) = journal.follow(path) {
                journal.set_times(node);
            }
        }
        Effect::Acknowledge
        | Effect::Read { .. }
        | Effect::Reflink { .. }
        | Effect::NoChange { .. }
        | Effect::Unsupported { .. } => {}
    }
    Ok(())
}

/// Gives the file and the bytes that a sync of some bytes concerns.
fn synced_range(journal: &Journal, effect: &Effect) -> Option<(NodeId, Range<usize>)> {
    let Effect::SyncRange {
        path,
        offset,
        length,
    } = effect
    else {
        return None;
    };
    let end = usize::try_from(offset.saturating_add(*length)).ok()?;
    Some((journal.find(path)?, usize::try_from(*offset).ok()?..end))
}

fn length_of(journal: &Journal, node: Option<NodeId>) -> Option<(NodeId, usize)> {
    let node = node?;
    Some((node, journal.length(node)?))
}

fn kind(sync: Sync) -> SyncKind {
    match sync {
        Sync::Data => SyncKind::Data,
        Sync::Full => SyncKind::Full,
    }
}
