//! The content that a program leaves when its process dies.

use crate::durable_bytes::PAGE;
use crate::file_system::FileSystem;
use crate::journal::{Event, Journal, Logged};
use crate::snapshot::Snapshot;

/// Replays a journal call by call, as the program sees its files.
///
/// The death of a process loses nothing that the kernel has already taken. So a process that dies
/// before a call leaves exactly the effects of the earlier calls.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    log: &'a [Logged],
    disk: FileSystem,
    /// The index of the next call.
    call: usize,
}

impl Journal {
    /// Starts a replay before the first call.
    #[must_use]
    pub fn replay(&self) -> Replay<'_> {
        Replay {
            log: &self.log,
            disk: self.before.clone(),
            call: 0,
        }
    }
}

impl Replay<'_> {
    /// Applies the effects of all calls before the call with this index.
    pub fn advance_to(&mut self, call: usize) {
        let count = self.log.partition_point(|logged| logged.call < call);
        let (made, left) = self.log.split_at(count);
        for logged in made {
            self.disk.apply(&logged.event);
        }
        self.log = left;
        self.call = call;
    }

    /// Returns the content after the effects so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.disk.to_snapshot(|_, file| file.bytes.clone())
    }

    /// Lists the numbers of bytes, ascending, that a process can have written when it dies inside
    /// the next call. Empty unless the call is a write across the border of a page.
    ///
    /// A process that dies inside a write leaves the first bytes of the write, up to the border of
    /// a page.
    #[must_use]
    pub fn torn_lengths(&self) -> Vec<usize> {
        match self.next_write() {
            Some((offset, bytes)) => (offset / PAGE + 1..)
                .map(|page| page * PAGE - offset)
                .take_while(|length| *length < bytes.len())
                .collect(),
            None => Vec::new(),
        }
    }

    /// Returns the content if the process dies inside the next call, after this number of bytes is
    /// written.
    ///
    /// # Panics
    ///
    /// When the next call is not a write of at least this number of bytes.
    #[must_use]
    pub fn torn(&self, written: usize) -> Snapshot {
        let mut torn = self.clone();
        match self.log.first().map(|logged| &logged.event) {
            Some(Event::Write {
                file,
                offset,
                bytes,
                ..
            }) => torn.disk.write(*file, *offset, &bytes[..written]),
            _ => panic!("expected a write as the next call"),
        }
        torn.snapshot()
    }

    fn next_write(&self) -> Option<(usize, &[u8])> {
        let next = self.log.first().filter(|next| next.call == self.call)?;
        match &next.event {
            Event::Write {
                offset,
                bytes,
                is_store: false,
                ..
            } => Some((*offset, bytes)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SnapshotBuilder;
    use std::path::Path;

    fn length(snapshot: &Snapshot) -> usize {
        snapshot.file(0).bytes.len()
    }

    #[test]
    fn replay_has_the_effects_of_earlier_calls() {
        let mut journal = Journal::new(&SnapshotBuilder::default().build());
        let file = journal.create(Path::new("file"), 0o600).unwrap();
        journal.end_call();
        journal.write(file, 0, b"text");
        journal.end_call();
        let mut replay = journal.replay();
        assert_eq!(replay.snapshot().entries().count(), 0);
        replay.advance_to(1);
        assert_eq!(length(&replay.snapshot()), 0);
        assert_eq!(replay.torn_lengths(), [0; 0]);
        replay.advance_to(2);
        assert_eq!(replay.snapshot(), journal.live());
    }

    #[test]
    fn torn_write_ends_at_the_border_of_a_page() {
        let mut journal = Journal::new(&SnapshotBuilder::default().build());
        let file = journal.create(Path::new("file"), 0o600).unwrap();
        journal.write(file, 0, &[1; 100]);
        journal.end_call();
        journal.write(file, 100, &[2; 9000]);
        journal.end_call();
        let mut replay = journal.replay();
        replay.advance_to(1);
        assert_eq!(replay.torn_lengths(), [3996, 8092]);
        assert_eq!(length(&replay.torn(3996)), 4096);
        assert_eq!(length(&replay.snapshot()), 100);
    }
}
