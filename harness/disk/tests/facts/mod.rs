//! Measured facts: the programs that ran, and a parser for the measured states.

use crate::reference::{Entry, State};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) mod ops;
mod power_cuts;
mod programs;

pub(crate) use programs::programs;

/// The measured length 500,000 is this length in its program, which then has fewer states.
const SCALED: u64 = 50_000;

/// A measured state of one file system after one program.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) system: String,
    pub(crate) program: String,
    pub(crate) shown: Shown,
}

/// A state as `facts.txt` notes it.
#[derive(Debug)]
pub(crate) struct Shown {
    directories: BTreeSet<String>,
    files: BTreeMap<String, ShownFile>,
}

#[derive(Debug)]
struct ShownFile {
    length: u64,
    letters: String,
    links: usize,
}

/// Returns the facts of `facts.txt`.
pub(crate) fn facts() -> Vec<Fact> {
    let lines = include_str!("../facts.txt").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .map(fact)
        .collect()
}

fn fact(line: &str) -> Fact {
    let (system, rest) = line
        .split_once(' ')
        .expect("a line starts with the file system");
    let (program, rest) = rest
        .split_once(" -> ")
        .expect("the program ends with an arrow");
    let (state, _requests) = rest
        .split_once(" [")
        .expect("the requests follow the state");
    Fact {
        system: system.into(),
        program: program.trim().into(),
        shown: shown(state),
    }
}

/// Parses a state such as `d0/, a=100:a n1, c=0 n1`.
pub(crate) fn shown(notation: &str) -> Shown {
    let mut shown = Shown {
        directories: BTreeSet::new(),
        files: BTreeMap::new(),
    };
    for entry in notation.trim().split(", ") {
        if let Some(directory) = entry.strip_suffix('/') {
            shown.directories.insert(directory.into());
            continue;
        }
        let (name, content) = entry.split_once('=').expect("a file has a length");
        let (content, links) = content
            .split_once(" n")
            .expect("a file has a number of links");
        let (length, letters) = content.split_once(':').unwrap_or((content, ""));
        let length: u64 = length.parse().expect("a length is a number");
        let file = ShownFile {
            length: if length == 500_000 { SCALED } else { length },
            letters: letters.into(),
            links: links.parse().expect("a number of links is a number"),
        };
        shown.files.insert(name.into(), file);
    }
    shown
}

impl Shown {
    /// Tells whether the state has these names, lengths, letters and links.
    ///
    /// A state has no identities of files: two names of one file must have equal contents.
    pub(crate) fn matches(&self, state: &State) -> bool {
        let names = self
            .directories
            .iter()
            .chain(self.files.keys())
            .collect::<BTreeSet<_>>();
        let copies = |entry| state.values().filter(|other| *other == entry).count();
        names == state.keys().collect()
            && state.iter().all(|(path, entry)| match entry {
                Entry::Directory { .. } => self.directories.contains(path),
                Entry::Symlink(_) => false,
                Entry::File { bytes, .. } => self.files.get(path).is_some_and(|file| {
                    file.length == bytes.len() as u64
                        && file.letters == letters(bytes)
                        && file.links <= copies(entry)
                }),
            })
    }
}

fn letters(bytes: &[u8]) -> String {
    let distinct: BTreeSet<u8> = bytes.iter().copied().collect();
    distinct
        .into_iter()
        .map(|byte| if byte == 0 { '0' } else { char::from(byte) })
        .collect()
}

/// Returns the state before each program: the directory `d0`, and the files `a` and `x`.
pub(crate) fn before() -> State {
    let file = |letter: u8| Entry::File {
        mode: 0o644,
        bytes: vec![letter; 100],
    };
    State::from([
        ("d0".into(), Entry::Directory { mode: 0o755 }),
        ("a".into(), file(b'a')),
        ("x".into(), file(b'x')),
    ])
}
