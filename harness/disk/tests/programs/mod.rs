//! Random programs, in the terms of the reference and of the crate.

use crate::reference::process_call::ProcessCall;
use crate::reference::{Entry, Op, State, WriteSync};
use clarity_chaos_disk::{self as disk, Journal, NodeId, Snapshot, SnapshotBuilder, SyncKind};
use draw::draw_call;
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

mod draw;

/// The names of all programs, of which each has three.
const NAMES: [&str; 5] = ["a", "b", "c", "d/a", "d/b"];

/// The calls and files that programs have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variety {
    /// The number of kinds of calls.
    kinds: u8,
    /// The number of lengths of files before the first call.
    lengths: usize,
    /// The maximum number of processes.
    processes: usize,
}

pub(crate) const ALL: Variety = Variety {
    kinds: draw::KINDS,
    lengths: LENGTHS.len(),
    processes: 2,
};

/// Programs of one process without mappings.
pub(crate) const UNMAPPED: Variety = Variety {
    kinds: draw::UNMAPPED_KINDS,
    lengths: 3,
    processes: 1,
};

/// The lengths of files before the first call, in bytes.
const LENGTHS: [usize; 4] = [100, 700, 1100, 5000];

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) before: State,
    /// The calls of one process, or of two.
    pub(crate) calls: Vec<ProcessCall>,
}

impl Program {
    pub(crate) fn draw(variety: Variety, rng: &mut ChaCha8Rng) -> Self {
        let names: Vec<&str> = NAMES.sample(rng, 3).copied().collect();
        let mut before = State::from([("d".to_owned(), Entry::Directory { mode: 0o755 })]);
        for name in &names {
            if rng.random() {
                let length = LENGTHS[rng.random_range(0..variety.lengths)];
                let bytes = vec![name.as_bytes()[name.len() - 1]; length];
                before.insert((*name).to_owned(), Entry::File { mode: 0o644, bytes });
            }
        }
        let mut program = Self {
            before,
            calls: Vec::new(),
        };
        let mut handles = [0; 2];
        // A fixed number needs no random one, so a seed of the power cuts keeps its program.
        let processes = match variety.processes {
            1 => 1,
            most => rng.random_range(1..=most),
        };
        for number in 0..rng.random_range(3..=8) {
            let process = match processes {
                1 => 0,
                _ => rng.random_range(0..processes),
            };
            let ops = draw_call(variety.kinds, &names, number, &mut handles[process], rng);
            let calls = ops.into_iter().map(|op| ProcessCall { process, op });
            program.calls.extend(calls);
        }
        program
    }

    /// The journal of the program's calls.
    pub(crate) fn journal(&self) -> Journal {
        self.journal_with(&mut |_| {})
    }

    /// The journal of the program's calls. `between` is called between each write and its sync.
    pub(crate) fn journal_with(&self, between: &mut dyn FnMut(&mut Journal)) -> Journal {
        let mut journal = Journal::new(&to_snapshot(&self.before));
        // The journal knows no processes; each process has handles of its own.
        let mut handles: [Vec<Option<NodeId>>; 2] = Default::default();
        for ProcessCall { process, op } in &self.calls {
            apply(&mut journal, &mut handles[*process], op, between);
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
        Op::Store { handle, at, bytes } => {
            if let Some(file) = handles[*handle] {
                journal.store(file, usize::try_from(*at).unwrap(), bytes);
            }
        }
        Op::Msync { handle, at, length } => {
            let [start, length] = [*at, *length].map(|number| usize::try_from(number).unwrap());
            if let Some(file) = handles[*handle] {
                journal.sync_range(file, SyncKind::Data, start..start + length);
            }
        }
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
