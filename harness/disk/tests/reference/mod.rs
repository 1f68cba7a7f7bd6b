//! Naive reference: enumerates each state that a disk can have after a loss of power.
//!
//! It shares nothing with the crate. It repeats all work for each choice: use small programs.

use process_call::ProcessCall;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

mod calls;
mod choices;
mod contents;
mod mappings;
pub(crate) mod process_call;
mod syncs;

const ROOT: usize = 0;

/// Lengths between the base and the grown length are multiples of this number, in bytes.
const BLOCK: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Model {
    Posix,
    Journaled,
    Ext4Ordered,
}

/// The sync that is a part of a write: none, `O_DSYNC`, `O_SYNC`. It syncs the blocks of the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WriteSync {
    None,
    Data,
    Full,
}

/// One call. A handle is the number of an `Open` call of the same process, counted from 0.
///
/// A call that Linux refuses changes nothing. The handle of a failed `Open` is dead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Open {
        path: String,
        create: bool,
        truncate: bool,
    },
    /// Creates a file without a name (`O_TMPFILE`). Counts as an `Open` call.
    OpenUnnamed,
    /// Names the file of a handle.
    LinkHandle {
        handle: usize,
        to: String,
    },
    /// Appends if `at` is `None`.
    Write {
        handle: usize,
        at: Option<u64>,
        bytes: Vec<u8>,
        sync: WriteSync,
    },
    Truncate {
        handle: usize,
        length: u64,
    },
    /// Calls `posix_fallocate(0, length)`.
    Allocate {
        handle: usize,
        length: u64,
    },
    Chmod {
        path: String,
        mode: u32,
    },
    Rename {
        from: String,
        to: String,
    },
    Exchange {
        a: String,
        b: String,
    },
    Link {
        from: String,
        to: String,
    },
    /// Removes a name of a file or of a symlink.
    Unlink {
        path: String,
    },
    Mkdir {
        path: String,
    },
    Rmdir {
        path: String,
    },
    Symlink {
        target: String,
        path: String,
    },
    /// Stores bytes through a shared mapping of the file. Bytes behind the end are lost.
    Store {
        handle: usize,
        at: u64,
        bytes: Vec<u8>,
    },
    /// Calls `msync` with `MS_SYNC` on these mapped bytes.
    Msync {
        handle: usize,
        at: u64,
        length: u64,
    },
    Fsync {
        handle: usize,
    },
    Fdatasync {
        handle: usize,
    },
    /// Syncs a directory; the root is "".
    FsyncDir {
        path: String,
    },
    SyncAll,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Entry {
    Directory { mode: u32 },
    Symlink(String),
    File { mode: u32, bytes: Vec<u8> },
}

/// Each path below the root.
pub(crate) type State = BTreeMap<String, Entry>;

/// Returns all states after the first `calls` calls, or `None` if there are more than `limit`.
///
/// Also returns `None` under `Posix` if more than 16 changes are not covered by a sync.
pub(crate) fn states(
    before: &State,
    program: &[impl Into<ProcessCall> + Clone],
    calls: usize,
    model: Model,
    sector: usize,
    limit: usize,
) -> Option<BTreeSet<State>> {
    let mut disk = Disk::new(before, model);
    for call in program.iter().take(calls) {
        disk.call_of_process(&call.clone().into());
    }
    let mut all = BTreeSet::new();
    for (chosen, removed) in disk.metadata_choices()? {
        all.extend(disk.states_with(&chosen, &removed, sector, limit)?);
        if all.len() > limit {
            return None;
        }
    }
    Some(all)
}

/// Returns the live state after all calls, as the page cache has it.
pub(crate) fn live(before: &State, program: &[impl Into<ProcessCall> + Clone]) -> State {
    let mut disk = Disk::new(before, Model::Posix);
    for call in program {
        disk.call_of_process(&call.clone().into());
    }
    let modes = disk.nodes.iter().map(|node| node.mode).collect::<Vec<_>>();
    let bytes = disk
        .nodes
        .iter()
        .map(|node| node.bytes.clone())
        .enumerate()
        .collect();
    disk.state(&disk.reachable(&disk.entries), &modes, &bytes)
}

/// A name in a directory, given by its node.
type Place = (usize, String);

/// The node of each entry.
type Entries = BTreeMap<Place, usize>;

/// Parts of units: the number of the unit, the number of the part in it.
type Parts = BTreeSet<(usize, usize)>;

#[derive(Clone, PartialEq)]
enum Kind {
    Directory,
    Symlink(String),
    File,
}

enum Part {
    Entry {
        place: Place,
        old: Option<usize>,
        new: Option<usize>,
    },
    Size {
        file: usize,
        length: usize,
    },
    Mode {
        node: usize,
        mode: u32,
    },
    /// The creation of a file without a name.
    Unnamed {
        node: usize,
    },
}

impl Part {
    /// Tells whether the part sets or removes a name of the node, or creates it without one.
    fn names(&self, wanted: usize) -> bool {
        match self {
            Part::Entry { old, new, .. } => [*old, *new].contains(&Some(wanted)),
            Part::Unnamed { node } => *node == wanted,
            Part::Size { .. } | Part::Mode { .. } => false,
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Part::Entry { place, .. } => Some(place),
            Part::Size { .. } | Part::Mode { .. } | Part::Unnamed { .. } => None,
        }
    }
}

/// A change of the data of a file that is not durable.
enum Event {
    Write {
        start: usize,
        end: usize,
        after: Vec<u8>,
    },
    /// A store through a mapping, which never makes the file longer.
    Store {
        start: usize,
        end: usize,
        after: Vec<u8>,
    },
    Size {
        unit: usize,
        length: usize,
        before: usize,
        after: Vec<u8>,
    },
    /// A sync of a block.
    Sync {
        start: usize,
        end: usize,
        after: Vec<u8>,
    },
}

impl Event {
    /// Returns the live bytes after the event.
    fn after(&self) -> &[u8] {
        match self {
            Event::Write { after, .. } | Event::Store { after, .. } => after,
            Event::Size { after, .. } | Event::Sync { after, .. } => after,
        }
    }
}

/// A file, directory or symlink.
struct Node {
    kind: Kind,
    /// The live mode, and the mode at the creation.
    mode: u32,
    first_mode: u32,
    /// The live bytes.
    bytes: Vec<u8>,
    /// The unit that created the node; none if the program did not create it.
    created: Option<usize>,
    /// The unit that gave the first name to such a node.
    first_named: Option<usize>,
    /// Whether the file has had a name.
    was_named: bool,
    /// Whether the program created the file, or changed its bytes or length.
    was_modified: bool,
    data_dirty: bool,
    meta_dirty: bool,
    /// The step of the last change that an fsync must commit, and that an fdatasync must.
    sync_step: usize,
    datasync_step: usize,
    /// The steps of writes that made the file longer, and the bytes behind the length before.
    growths: Vec<(usize, Range<usize>)>,
    /// The bytes at the last sync, and all events since.
    durable: Vec<u8>,
    /// At the last sync, the bytes from the end to the end of the block; none for zeros.
    behind: Vec<u8>,
    events: Vec<Event>,
    /// The blocks with written bytes that no sync brought.
    dirty_blocks: BTreeSet<usize>,
}

struct Disk {
    model: Model,
    nodes: Vec<Node>,
    first_entries: Entries,
    entries: Entries,
    /// The handles of each process.
    handles: BTreeMap<usize, Vec<Option<usize>>>,
    /// The process that makes the present call.
    process: usize,
    units: Vec<Vec<Part>>,
    /// The parts that syncs covered: `Posix` and `Journaled`.
    synced: Parts,
    /// The files that Btrfs has logged since its last commit.
    logged: BTreeSet<usize>,
    /// In the order of time: parts that Btrfs can bring without earlier ones, and parts of which it
    /// can bring the removal of the old name alone. The second list is that of a log without the
    /// files that replace other files.
    extras: [Vec<(Parts, Parts)>; 2],
    /// The number of units that were surely committed: `Ext4Ordered`.
    committed: usize,
    /// The step of each unit.
    unit_steps: Vec<usize>,
    /// Counts the changes: units and writes.
    step: usize,
}

impl Disk {
    fn new(before: &State, model: Model) -> Disk {
        let mut disk = Disk {
            model,
            nodes: Vec::new(),
            first_entries: Entries::new(),
            entries: Entries::new(),
            handles: BTreeMap::new(),
            process: 0,
            units: Vec::new(),
            synced: Parts::new(),
            logged: BTreeSet::new(),
            extras: [Vec::new(), Vec::new()],
            committed: 0,
            unit_steps: Vec::new(),
            step: 0,
        };
        disk.add(Kind::Directory, 0o755, Vec::new());
        for (path, entry) in before {
            let place = disk
                .place(path)
                .expect("the directory of each path is in the state");
            let node = match entry {
                Entry::Directory { mode } => disk.add(Kind::Directory, *mode, Vec::new()),
                Entry::Symlink(target) => disk.add(Kind::Symlink(target.clone()), 0, Vec::new()),
                Entry::File { mode, bytes } => disk.add(Kind::File, *mode, bytes.clone()),
            };
            disk.entries.insert(place, node);
        }
        disk.first_entries = disk.entries.clone();
        disk
    }

    fn add(&mut self, kind: Kind, mode: u32, bytes: Vec<u8>) -> usize {
        self.nodes.push(Node {
            kind,
            mode,
            first_mode: mode,
            durable: bytes.clone(),
            behind: Vec::new(),
            bytes,
            created: None,
            first_named: None,
            was_named: true,
            was_modified: false,
            data_dirty: false,
            meta_dirty: false,
            sync_step: 0,
            datasync_step: 0,
            growths: Vec::new(),
            events: Vec::new(),
            dirty_blocks: BTreeSet::new(),
        });
        self.nodes.len() - 1
    }

    fn is_directory(&self, node: usize) -> bool {
        self.nodes[node].kind == Kind::Directory
    }

    /// Returns the directory and the name of a path, or `None` if the directory is missing.
    fn place(&self, path: &str) -> Option<Place> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = self.find(directory)?;
        let valid = self.is_directory(directory) && !name.is_empty();
        valid.then(|| (directory, name.to_string()))
    }

    fn find(&self, path: &str) -> Option<usize> {
        if path.is_empty() {
            Some(ROOT)
        } else {
            self.entries.get(&self.place(path)?).copied()
        }
    }
}
