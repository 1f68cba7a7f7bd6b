//! Programs with many or large files need little memory and time.

#![cfg(target_os = "linux")]
#![expect(
    clippy::mutable_key_type,
    reason = "a snapshot changes only the hashes that it keeps, not its value"
)]

use clarity_chaos_disk::{Journal, PowerLoss, SECTOR_SIZE, SnapshotBuilder};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// The maximum of memory that one of the tests may need, in KiB.
const MAX_MEMORY: usize = 200 << 10;

/// Returns the peak of this process's memory, in KiB.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let size = line.unwrap().split_whitespace().nth(1);
    size.unwrap().parse().unwrap()
}

fn require_little_memory() {
    let peak = peak();
    println!("peak: {peak} KiB");
    assert!(peak < MAX_MEMORY, "{peak} KiB");
}

#[test]
fn many_unsynced_files_need_little_memory() {
    const FILES: usize = 500;
    let mut journal = Journal::new(&SnapshotBuilder::default().build());
    for number in 0..FILES {
        let name = number.to_string();
        let file = journal.create(Path::new(&name), 0o644).unwrap();
        journal.end_call();
        journal.write(file, 0, &[7; 10_000]);
        journal.end_call();
    }
    let calls = journal.calls();
    journal.with_states(calls, PowerLoss::Journaled, SECTOR_SIZE, |states| {
        let mut found = HashSet::new();
        for choice in states.representatives().iter().step_by(100) {
            found.insert(states.state(&choice).snapshot);
        }
        assert!(found.len() > 25, "{}", found.len());
    });
    require_little_memory();
}

#[test]
fn sparse_journal_needs_little_memory() {
    const LENGTH: usize = 64 << 20;
    let mut journal = Journal::new(&SnapshotBuilder::default().build());
    let file = journal.create(Path::new("journal"), 0o644).unwrap();
    journal.end_call();
    journal.resize(file, LENGTH);
    journal.end_call();
    for number in 0..10 {
        journal.write(file, number * (LENGTH / 10), &[7; 100]);
        journal.end_call();
    }
    for calls in 0..=journal.calls() {
        journal.with_states(calls, PowerLoss::Journaled, SECTOR_SIZE, |states| {
            let mut found = HashSet::new();
            for choice in states.representatives().iter() {
                found.insert(states.state(&choice).snapshot);
            }
            assert!(found.len() > calls, "{}", found.len());
        });
    }
    require_little_memory();
}
