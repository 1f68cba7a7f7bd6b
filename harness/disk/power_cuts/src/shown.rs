//! Programs and states, as text.

use crate::programs::Program;
use crate::reference::Op;
use clarity_chaos_disk::{Entry, Snapshot};
use std::collections::BTreeSet;
use std::path::Path;

/// Formats a state: a line for each path.
pub(crate) fn state(snapshot: &Snapshot) -> String {
    let lines = snapshot.entries().map(|(path, entry)| {
        let content = match entry {
            Entry::Directory(mode) => format!("directory, mode {mode:o}"),
            Entry::Symlink(target) => format!("symlink to {}", target.display()),
            Entry::File(number) => {
                let file = snapshot.file(*number);
                let (length, mode) = (file.bytes.len(), file.mode);
                format!(
                    "file {number}, {length} bytes: {}, mode {mode:o}",
                    runs(&file.bytes.to_vec())
                )
            }
        };
        format!("    {}: {content}\n", path.display())
    });
    lines.collect()
}

/// Formats bytes: `a*100 0*12` are 100 times the letter `a`, then 12 zeros.
fn runs(bytes: &[u8]) -> String {
    let mut runs: Vec<(u8, usize)> = Vec::new();
    for byte in bytes {
        match runs.last_mut() {
            Some((last, count)) if last == byte => *count += 1,
            _ => runs.push((*byte, 1)),
        }
    }
    let run = |(byte, count): (u8, usize)| match byte {
        0 => format!("zero*{count}"),
        byte => format!("'{}'*{count}", byte.escape_ascii()),
    };
    runs.into_iter().map(run).collect::<Vec<_>>().join(" ")
}

/// Formats the calls of a program, a line for each.
pub(crate) fn calls(program: &Program) -> String {
    let lines = program.calls.iter().enumerate().map(|(number, call)| {
        let call = match &call.op {
            Op::Write {
                handle,
                at,
                bytes,
                sync,
            } => format!(
                "Write {{ handle: {handle}, at: {at:?}, bytes: {}, sync: {sync:?} }}",
                runs(bytes)
            ),
            op => format!("{op:?}"),
        };
        format!("    {}: {call}\n", number + 1)
    });
    lines.collect()
}

/// Counts the differences of two states: 10 for each path that is in one of them alone, and up to
/// 10 for each file that differs.
pub(crate) fn difference(one: &Snapshot, other: &Snapshot) -> usize {
    let paths = |snapshot: &Snapshot| -> BTreeSet<_> {
        snapshot
            .entries()
            .map(|(path, _)| path.to_owned())
            .collect()
    };
    let all: BTreeSet<_> = paths(one).union(&paths(other)).cloned().collect();
    all.iter().map(|path| difference_at(path, one, other)).sum()
}

fn difference_at(path: &Path, one: &Snapshot, other: &Snapshot) -> usize {
    let (Some(a), Some(b)) = (one.entry(path), other.entry(path)) else {
        return 10;
    };
    let (Entry::File(a), Entry::File(b)) = (a, b) else {
        return usize::from(a != b);
    };
    let (a, b) = (one.file(*a), other.file(*b));
    let sectors =
        |bytes: &[u8]| -> Vec<Vec<u8>> { bytes.chunks(512).map(<[u8]>::to_vec).collect() };
    let (first, second) = (sectors(&a.bytes.to_vec()), sectors(&b.bytes.to_vec()));
    let changed = first.iter().zip(&second).filter(|(a, b)| a != b).count();
    let count = usize::from(a.mode != b.mode)
        + usize::from(a.bytes.len() != b.bytes.len())
        + changed
        + first.len().abs_diff(second.len());
    count.min(10)
}
