//! Converts the calls of an operation into the journal of their changes.

use crate::syscalls::file_call::{Effect, FileCall, Sync};
use clarity_chaos_disk::{Journal, NodeId, Snapshot, SyncKind};
use std::collections::BTreeSet;

/// Makes the journal of these calls, which start from the content `before`. The calls with the
/// indices `failed` have failed.
///
/// # Errors
///
/// The index of the first unsupported call, and the reason why the call is unsupported.
pub(super) fn journal<'a>(
    before: &Snapshot,
    calls: impl IntoIterator<Item = &'a FileCall>,
    failed: &BTreeSet<usize>,
) -> Result<Journal, (usize, &'static str)> {
    let mut journal = Journal::new(before);
    for call in calls {
        if let Effect::Unsupported { reason, .. } = call.effect {
            return Err((journal.calls(), reason));
        }
        match &call.effect {
            Effect::Sync { path, .. } if failed.contains(&journal.calls()) => {
                if let Some(node) = journal.find(path) {
                    journal.fail_sync(node);
                }
            }
            _ if failed.contains(&journal.calls()) => {}
            effect => add(&mut journal, effect),
        }
        journal.end_call();
    }
    Ok(journal)
}

fn add(journal: &mut Journal, effect: &Effect) {
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
                return;
            };
            let offset = offset.and_then(|offset| usize::try_from(offset).ok());
            journal.write(file, offset.unwrap_or(end), bytes);
            if let Some(sync) = sync {
                journal.sync(file, kind(*sync));
            }
        }
        Effect::Truncate { path, length } => {
            if let (Some(file), Ok(length)) = (journal.follow(path), usize::try_from(*length)) {
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
