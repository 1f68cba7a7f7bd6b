//! Converts the calls of an operation into the journal of their changes.

use crate::syscalls::errno::Errno;
use crate::syscalls::file_call::{Effect, FileCall, RenameKind, Sync};
use crate::syscalls::file_status::{FileStatus, Identity};
use clarity_chaos_disk::{Journal, NodeId, Snapshot, SyncKind};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The calls of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunCalls<'a> {
    /// The paths of the files before the first call.
    pub(super) files: &'a BTreeMap<Identity, PathBuf>,
    pub(super) calls: &'a [FileCall],
}

/// Makes the journal of the calls of one or more runs. The first run starts from the content
/// `before`, each other from the content that the one before left. The calls with the indices
/// `failed` have failed.
///
/// # Errors
///
/// The index of the first unsupported call, and the reason why the call is unsupported.
pub(super) fn journal<'a>(
    before: &Snapshot,
    runs: impl IntoIterator<Item = RunCalls<'a>>,
    failed: &BTreeMap<usize, Errno>,
) -> Result<Journal, (usize, &'static str)> {
    let mut writer = JournalWriter {
        nodes: HashMap::new(),
        journal: Journal::new(before),
    };
    for run in runs {
        writer.begin(run.files);
        for call in run.calls {
            let index = writer.journal.calls();
            let errno = failed.get(&index);
            if let (Some(reason), None) = (call.unsupported(), errno) {
                return Err((index, reason));
            }
            if reaches(call) > MAX_LENGTH {
                return Err((index, "a file longer than 1 GiB"));
            }
            match errno {
                None => writer.add(call),
                Some(errno) => writer.fail(call, *errno),
            }
            writer.journal.end_call();
        }
    }
    Ok(writer.journal)
}

/// The maximum length of a file, in bytes. Contents are in memory.
const MAX_LENGTH: u64 = 1 << 30;

/// Gives the length, in bytes, that the file of this call has at least afterwards. Gives 0 for
/// lengths that the kernel refuses.
fn reaches(call: &FileCall) -> u64 {
    let length = |file: Option<FileStatus>| file.map_or(0, |file| file.length);
    let end = match &call.effect {
        Effect::Write { offset, bytes, .. } => {
            let start = offset.unwrap_or(length(call.before.file));
            start.saturating_add(bytes.len() as u64)
        }
        Effect::Truncate { length, .. } | Effect::Extend { length, .. } => *length,
        _ => 0,
    };
    let end = match &call.after {
        Some(after) => end.min(length(after.file)),
        None => end,
    };
    if i64::try_from(end).is_ok() { end } else { 0 }
}

/// Writes the journal of calls.
///
/// A call succeeded if the files after it show its effect. Where they are not known, the tree of
/// the journal decides as the kernel does.
struct JournalWriter {
    journal: Journal,
    /// The nodes of the files that were seen.
    nodes: HashMap<Identity, NodeId>,
}

impl JournalWriter {
    /// Begins a run, in which the files have these paths.
    fn begin(&mut self, files: &BTreeMap<Identity, PathBuf>) {
        let journal = &self.journal;
        let found =
            |(identity, path): (&Identity, &PathBuf)| Some((*identity, journal.find(path)?));
        self.nodes = files.iter().filter_map(found).collect();
    }

    /// Finds the node of the call's file. A descriptor leads to its file also without a name.
    fn node(&mut self, call: &FileCall) -> Option<NodeId> {
        let path = call.effect.path();
        let Some(status) = call.before.file else {
            return self.journal.find(path);
        };
        if let Some(node) = self.nodes.get(&status.identity) {
            return Some(*node);
        }
        let node = match self.journal.find(path) {
            Some(node) => node,
            // No call shows the descriptor of a new file without a name, until it is used.
            None if call.descriptor.is_some() && status.links == 0 => {
                self.journal.create_unnamed(status.mode)
            }
            None => return None,
        };
        self.nodes.insert(status.identity, node);
        Some(node)
    }

    /// Whether the call made a new entry at a path, of which the status is known before and after.
    /// Gives none if it did not. Notes the identity of the new file.
    fn add_node(
        &mut self,
        found: Option<Option<FileStatus>>,
        mode: u32,
        add: impl FnOnce(&mut Journal, u32) -> Option<NodeId>,
    ) {
        let status = match found {
            // The call has failed.
            Some(None) => return,
            Some(status) => status,
            None => None,
        };
        let node = add(&mut self.journal, status.map_or(mode, |status| status.mode));
        if let (Some(node), Some(status)) = (node, status) {
            self.nodes.insert(status.identity, node);
        }
    }

    fn add(&mut self, call: &FileCall) {
        let (before, after) = (call.before, call.after);
        // The file at the call's first path after the call, if that is known.
        let found = after.map(|after| after.file);
        match &call.effect {
            Effect::Open {
                path,
                creates,
                truncates,
                mode,
            } => match self.node(call) {
                None if *creates => {
                    self.add_node(found, *mode, |journal, mode| journal.create(path, mode));
                }
                Some(file) if *truncates && self.journal.length(file) > Some(0) => {
                    self.resize(file, 0, found);
                }
                // The kernel sets the time also if the file is empty.
                Some(file) if *truncates && self.journal.modified(file).is_some() => {
                    self.set_times(file, found);
                }
                _ => {}
            },
            Effect::MakeDirectory { path, mode } if before.file.is_none() => {
                self.add_node(found, *mode, |journal, mode| {
                    journal.make_directory(path, mode)
                });
            }
            Effect::Symlink { to, path } if before.file.is_none() => {
                self.add_node(found, 0, |journal, _| journal.symlink(to.clone(), path));
            }
            Effect::Link { to, .. } if before.target.is_none() => {
                let is_done = after.is_none_or(|after| after.target.is_some());
                if let Some(node) = self.node(call).filter(|_| is_done) {
                    self.journal.link_node(node, to);
                }
            }
            Effect::Write {
                offset,
                bytes,
                sync,
                ..
            } => self.write(call, *offset, bytes, *sync),
            Effect::Store { offset, bytes, .. } => {
                if let (Some(file), Ok(offset)) = (self.node(call), usize::try_from(*offset)) {
                    self.journal.store(file, offset, bytes);
                }
            }
            Effect::Truncate { length, .. } => {
                if let Some(file) = self.node(call) {
                    self.resize(file, *length, found);
                }
            }
            Effect::Extend { length, .. } => {
                let Some(file) = self.node(call) else { return };
                if self.length(file) < *length {
                    self.resize(file, *length, found);
                } else if self.journal.modified(file).is_some() {
                    self.set_times(file, found);
                }
            }
            Effect::Rename { from, to, kind } => self.rename(call, from, to, *kind),
            Effect::MoveOut { from: path } if is_gone(call) => self.journal.remove(path),
            Effect::Unlink { path } if is_gone(call) => self.journal.unlink(path),
            Effect::RemoveDirectory { path } if is_gone(call) => {
                self.journal.remove_directory(path);
            }
            Effect::Sync { sync, .. } => {
                if let Some(node) = self.node(call) {
                    self.journal.sync(node, kind(*sync));
                }
            }
            Effect::SyncRange { .. } => {
                if let (Some(file), Some(range)) = (self.node(call), synced_range(&call.effect)) {
                    self.journal.sync_range(file, SyncKind::Data, range);
                }
            }
            Effect::SyncAll => self.journal.sync_all(),
            Effect::ChangeMode { mode, .. } => {
                let node = self.node(call);
                let old = node.and_then(|node| self.journal.mode(node));
                let new = found.map_or(Some(*mode), |found| Some(found?.mode));
                if let (Some(node), Some(old), Some(new)) = (node, old, new)
                    && (new == *mode || new != old)
                {
                    self.journal.set_mode(node, new);
                }
            }
            Effect::ChangeAttributes { .. } => {
                if let Some(node) = self.node(call) {
                    self.set_times(node, found);
                    self.note_mode(node, found);
                }
            }
            _ => {}
        }
    }

    fn length(&self, file: NodeId) -> u64 {
        self.journal.length(file).map_or(0, |length| length as u64)
    }

    /// Sets the length of a file, unless the call has failed.
    fn resize(&mut self, file: NodeId, length: u64, found: Option<Option<FileStatus>>) {
        let is_done = found.is_none_or(|found| found.is_some_and(|found| found.length == length));
        let length = usize::try_from(length).ok();
        let length = length.filter(|length| is_done && i64::try_from(*length).is_ok());
        if let Some(length) = length {
            self.journal.resize(file, length);
            self.note_mode(file, found);
        }
    }

    fn set_times(&mut self, node: NodeId, found: Option<Option<FileStatus>>) {
        let modified = found.and_then(|found| found?.modified);
        self.journal.set_times(node, modified);
    }

    /// Notes the mode of a file that the kernel has changed on its own. A write or a new owner
    /// clears set-user-ID.
    fn note_mode(&mut self, node: NodeId, found: Option<Option<FileStatus>>) {
        let old = self.journal.mode(node);
        if let (Some(Some(found)), Some(old)) = (found, old)
            && found.mode != old
        {
            self.journal.set_mode(node, found.mode);
        }
    }

    fn write(&mut self, call: &FileCall, offset: Option<u64>, bytes: &[u8], sync: Option<Sync>) {
        let Some(file) = self.node(call) else { return };
        let Some(end) = self.journal.length(file) else {
            return;
        };
        let offset = offset.map_or(Ok(end), usize::try_from);
        // The kernel refuses greater offsets.
        let Some(offset) = offset.ok().filter(|offset| i64::try_from(*offset).is_ok()) else {
            return;
        };
        let found = call.after.map(|after| after.file);
        let mut written = bytes.len();
        // A write that would make the file longer can stop at a limit or on a full disk.
        if let Some(Some(found)) = found
            && offset.saturating_add(written) > end
        {
            let reached = usize::try_from(found.length).unwrap_or(usize::MAX);
            written = written.min(reached.saturating_sub(offset));
        }
        self.journal.write(file, offset, &bytes[..written]);
        if let Some(sync) = sync {
            self.journal
                .sync_range(file, kind(sync), offset..offset + written);
        }
        self.note_mode(file, found);
    }

    fn rename(&mut self, call: &FileCall, from: &Path, to: &Path, kind: RenameKind) {
        let identity = |file: Option<FileStatus>| file.map(|file| file.identity);
        let is_exchange = kind == RenameKind::Exchange;
        let is_done = match call.after {
            Some(after) => {
                identity(after.target) == identity(call.before.file)
                    && identity(after.file) != identity(call.before.file)
            }
            None => kind != RenameKind::Keep || self.journal.find(to).is_none(),
        };
        if is_done {
            self.journal.rename(from, to, is_exchange);
        }
    }

    /// Adds a call that failed. A failed sync loses the bytes that it could not write. An
    /// interrupted sync loses nothing.
    fn fail(&mut self, call: &FileCall, errno: Errno) {
        match &call.effect {
            Effect::Sync { .. } => {
                let Some(node) = self.node(call) else { return };
                let is_file = !self.journal.is_directory(node);
                if errno == Errno::EIO || errno == Errno::ENOSPC && is_file {
                    self.journal.fail_sync(node);
                }
            }
            Effect::SyncRange { .. } if [Errno::EIO, Errno::ENOSPC].contains(&errno) => {
                if let (Some(file), Some(range)) = (self.node(call), synced_range(&call.effect)) {
                    self.journal.fail_sync_range(file, range);
                }
            }
            Effect::SyncAll if errno == Errno::EIO => self.journal.fail_sync_all(),
            _ => {}
        }
    }
}

/// Gives the bytes that a sync of some bytes concerns.
fn synced_range(effect: &Effect) -> Option<Range<usize>> {
    let Effect::SyncRange { offset, length, .. } = effect else {
        return None;
    };
    let end = usize::try_from(offset.saturating_add(*length)).ok()?;
    Some(usize::try_from(*offset).ok()?..end)
}

/// Whether the call has removed the entry, as far as that is known.
fn is_gone(call: &FileCall) -> bool {
    let identity = |file: Option<FileStatus>| file.map(|file| file.identity);
    call.after
        .is_none_or(|after| identity(after.file) != identity(call.before.file))
}

fn kind(sync: Sync) -> SyncKind {
    match sync {
        Sync::Data => SyncKind::Data,
        Sync::Full => SyncKind::Full,
    }
}
