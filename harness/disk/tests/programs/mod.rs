//! Random programs, in the terms of the reference and of the crate.

use crate::reference::{Entry, Op, State, WriteSync};
use clarity_chaos_disk::{self as disk, Journal, NodeId, Snapshot, SnapshotBuilder, SyncKind};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// The names of all programs, of which each has three.
const NAMES: [&str; 5] = ["a", "b", "c", "d/a", "d/b"];

/// Offsets and lengths, in bytes, at the borders of sectors and blocks.
const OFFSETS: [u64; 7] = [0, 100, 500, 512, 700, 1000, 4090];
const LENGTHS: [u64; 6] = [0, 50, 512, 800, 4096, 5000];

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) before: State,
    pub(crate) ops: Vec<Op>,
}

impl Program {
    pub(crate) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let names: Vec<&str> = NAMES.sample(rng, 3).copied().collect();
        let mut before = State::from([("d".to_owned(), Entry::Directory { mode: 0o755 })]);
        for name in &names {
            if rng.random() {
                let length = [100, 700, 1100][rng.random_range(0..3)];
                let bytes = vec![name.as_bytes()[name.len() - 1]; length];
                before.insert((*name).to_owned(), Entry::File { mode: 0o644, bytes });
            }
        }
        let mut program = Self {
            before,
            ops: Vec::new(),
        };
        let mut handles = 0;
        for number in 0..rng.random_range(3..=8) {
            program.add(&names, number, &mut handles, rng);
        }
        program
    }

    fn add(&mut self, names: &[&str], number: u8, handles: &mut usize, rng: &mut ChaCha8Rng) {
        let name = |rng: &mut ChaCha8Rng| (*names.choose(rng).unwrap()).to_owned();
        let path = name(rng);
        let kind = rng.random_range(0..24);
        let other = name(rng);
        let op = match kind {
            11 | 12 => Op::Rename {
                from: path,
                to: other,
            },
            13 => Op::Link {
                from: path,
                to: other,
            },
            14 => Op::Unlink { path },
            15 | 16 => Op::FsyncDir {
                path: ["", "d"][rng.random_range(0..2)].to_owned(),
            },
            17 => Op::Chmod {
                path,
                mode: [0o600, 0o640][rng.random_range(0..2)],
            },
            18 => Op::Exchange { a: path, b: other },
            19 if rng.random_range(0..4) == 0 => Op::SyncAll,
            22 => {
                *handles += 1;
                Op::OpenUnnamed
            }
            23 if *handles > 0 => Op::LinkHandle {
                handle: rng.random_range(0..*handles),
                to: other,
            },
            _ => {
                // Other calls use a new handle, or a handle of before, whose file can have another
                // name by now.
                let is_old = *handles > 0 && rng.random_range(0..3) == 0;
                let handle = if is_old {
                    rng.random_range(0..*handles)
                } else {
                    let truncate = rng.random_range(0..6) == 0;
                    self.ops.push(Op::Open {
                        path,
                        create: true,
                        truncate,
                    });
                    *handles += 1;
                    *handles - 1
                };
                Self::on_handle(handle, kind, number, rng)
            }
        };
        self.ops.push(op);
    }

    fn on_handle(handle: usize, kind: u8, number: u8, rng: &mut ChaCha8Rng) -> Op {
        match kind {
            0..=4 => {
                let at = *OFFSETS.choose(rng).unwrap();
                // At most two sectors.
                let length = rng.random_range(1..=1024 - usize::try_from(at).unwrap() % 512);
                let sync = match rng.random_range(0..8) {
                    0 => WriteSync::Data,
                    1 => WriteSync::Full,
                    _ => WriteSync::None,
                };
                Op::Write {
                    handle,
                    at: (kind < 4).then_some(at),
                    bytes: vec![b'0' + number; if kind < 4 { length } else { length.min(300) }],
                    sync,
                }
            }
            5 | 6 => Op::Truncate {
                handle,
                length: *LENGTHS.choose(rng).unwrap(),
            },
            7 => Op::Allocate {
                handle,
                length: *LENGTHS[1..].choose(rng).unwrap(),
            },
            8 | 9 => Op::Fdatasync { handle },
            _ => Op::Fsync { handle },
        }
    }

    /// The journal of the program's calls.
    pub(crate) fn journal(&self) -> Journal {
        self.journal_with(&mut |_| {})
    }

    /// The journal of the program's calls. `between` is called between each write and its sync.
    pub(crate) fn journal_with(&self, between: &mut dyn FnMut(&mut Journal)) -> Journal {
        let mut journal = Journal::new(&to_snapshot(&self.before));
        let mut handles: Vec<Option<NodeId>> = Vec::new();
        for op in &self.ops {
            apply(&mut journal, &mut handles, op, between);
            journal.end_call();
        }
        journal
    }
}

fn apply(
    journal: &mut Journal,
    handles: &mut Vec<Option<NodeId>>,
    op: &Op,
    between: &mut dyn FnMut(&mut Journal),
) {
    match op {
        Op::Open {
            path,
            create,
            truncate,
        } => {
            let path = Path::new(path);
            let found = journal.find(path);
            if let (Some(file), true) = (found, truncate)
                && journal.length(file) > Some(0)
            {
                journal.resize(file, 0);
            }
            let file = found.or_else(|| journal.create(path, 0o644).filter(|_| *create));
            handles.push(file);
        }
        Op::OpenUnnamed => handles.push(Some(journal.create_unnamed(0o644))),
        Op::LinkHandle { handle, to } => {
            if let Some(file) = handles[*handle] {
                journal.link_node(file, Path::new(to));
            }
        }
        Op::Write {
            handle,
            at,
            bytes,
            sync,
        } => {
            let Some(file) = handles[*handle] else { return };
            let end = journal.length(file).unwrap();
            let offset = at.map_or(end, |at| usize::try_from(at).unwrap());
            journal.write(file, offset, bytes);
            let kind = match sync {
                WriteSync::None => return,
                WriteSync::Data => SyncKind::Data,
                WriteSync::Full => SyncKind::Full,
            };
            between(journal);
            journal.sync_range(file, kind, offset..offset + bytes.len());
        }
        Op::Truncate { handle, length } => {
            if let Some(file) = handles[*handle] {
                journal.resize(file, usize::try_from(*length).unwrap());
            }
        }
        Op::Allocate { handle, length } => {
            let length = usize::try_from(*length).unwrap();
            if let Some(file) = handles[*handle]
                && journal.length(file) < Some(length)
            {
                journal.resize(file, length);
            }
        }
        Op::Chmod { path, mode } => {
            if let Some(node) = journal.find(Path::new(path)) {
                journal.set_mode(node, *mode);
            }
        }
        Op::Rename { from, to } => journal.rename(Path::new(from), Path::new(to), false),
        Op::Exchange { a, b } => journal.rename(Path::new(a), Path::new(b), true),
        Op::Link { from, to } => journal.link(Path::new(from), Path::new(to)),
        Op::Unlink { path } => journal.unlink(Path::new(path)),
        Op::Rmdir { path } => journal.remove_directory(Path::new(path)),
        Op::Mkdir { path } => drop(journal.make_directory(Path::new(path), 0o755)),
        Op::Symlink { target, path } => drop(journal.symlink(target.into(), Path::new(path))),
        Op::Fsync { handle } => sync(journal, handles[*handle], SyncKind::Full),
        Op::Fdatasync { handle } => sync(journal, handles[*handle], SyncKind::Data),
        Op::FsyncDir { path } => sync(journal, journal.find(Path::new(path)), SyncKind::Full),
        Op::SyncAll => journal.sync_all(),
    }
}

fn sync(journal: &mut Journal, node: Option<NodeId>, kind: SyncKind) {
    if let Some(node) = node {
        journal.sync(node, kind);
    }
}

fn to_snapshot(state: &State) -> Snapshot {
    let mut builder = SnapshotBuilder::default();
    for (path, entry) in state {
        match entry.clone() {
            Entry::Directory { mode } => builder.directory(path.into(), mode),
            Entry::Symlink(target) => builder.symlink(path.into(), target.into()),
            Entry::File { mode, bytes } => {
                let bytes = bytes.as_slice().into();
                builder.file(path.into(), disk::File { bytes, mode });
            }
        }
    }
    builder.build()
}

pub(crate) fn in_terms_of_reference(snapshot: &Snapshot) -> State {
    let entry = |entry: &disk::Entry| match entry {
        disk::Entry::File(number) => {
            let file = snapshot.file(*number);
            Entry::File {
                mode: file.mode,
                bytes: file.bytes.to_vec(),
            }
        }
        disk::Entry::Directory(mode) => Entry::Directory { mode: *mode },
        disk::Entry::Symlink(target) => Entry::Symlink(target.to_str().unwrap().to_owned()),
    };
    snapshot
        .entries()
        .map(|(path, found)| (path.to_str().unwrap().to_owned(), entry(found)))
        .collect()
}
