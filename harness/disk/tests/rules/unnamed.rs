//! Files without a name: syncs before and after the first name.

use super::{MODELS, has, numbers};
use crate::facts::ops::*;
use crate::reference::Op;

fn root() -> Op {
    fsync_directory("")
}

/// A file without a name, with 100 bytes.
fn written() -> [Op; 2] {
    [Op::OpenUnnamed, write(0, 0, 100, b'N')]
}

fn after_writing(calls: &[Op]) -> Vec<Op> {
    [&written(), calls].concat()
}

#[test]
fn file_without_a_name_shows_in_no_state() {
    assert_eq!(numbers(&written()), [1, 1, 1]);
    assert_eq!(numbers(&after_writing(&[fsync(0)])), [1, 1, 1]);
}

#[test]
fn bytes_synced_before_the_name_are_whole() {
    // The name is there or not.
    assert_eq!(
        numbers(&after_writing(&[fsync(0), name(0, "t")])),
        [2, 2, 2]
    );
    let durable = after_writing(&[fsync(0), name(0, "t"), root()]);
    assert_eq!(numbers(&durable), [1, 1, 1]);
    assert_eq!(
        numbers(&after_writing(&[fdatasync(0), name(0, "t"), root()])),
        [1, 1, 1]
    );
}

#[test]
fn bytes_that_no_sync_covers_can_be_missing_behind_the_name() {
    let program = after_writing(&[name(0, "t"), root()]);
    assert_eq!(numbers(&program), [3, 3, 3]);
    for model in MODELS {
        assert!(has(&program, model, "d0/, a=100:a n1, t=0 n1, x=100:x n1"));
        assert!(has(
            &program,
            model,
            "d0/, a=100:a n1, t=100:0 n1, x=100:x n1"
        ));
    }
}

#[test]
fn fsync_after_the_name_brings_the_name_of_a_new_file() {
    assert_eq!(
        numbers(&after_writing(&[name(0, "t"), fsync(0)])),
        [2, 1, 1]
    );
}

/// ext4 can have committed the new file on its own. Then `fdatasync` has nothing to commit.
#[test]
fn fdatasync_after_the_name_can_lose_the_name_of_a_new_file() {
    assert_eq!(
        numbers(&after_writing(&[name(0, "t"), fdatasync(0)])),
        [2, 2, 2]
    );
}

/// ext4 commits nothing for the second `fdatasync`. XFS and Btrfs write the name.
#[test]
fn fdatasync_after_a_sync_and_the_name_brings_no_name() {
    for first in [fsync(0), fdatasync(0)] {
        let program = after_writing(&[first, name(0, "t"), fdatasync(0)]);
        assert_eq!(numbers(&program), [2, 2, 2]);
    }
    assert_eq!(
        numbers(&after_writing(&[fsync(0), name(0, "t"), fsync(0)])),
        [2, 1, 1]
    );
}

/// On ext4, the sync of a new file commits all earlier changes, also without a name.
#[test]
fn sync_before_the_name_brings_other_names_only_under_ext4() {
    let program = [&[create("c"), Op::OpenUnnamed], &[fsync(1)][..]].concat();
    assert_eq!(numbers(&program), [2, 2, 1]);
}

#[test]
fn file_that_lost_its_last_name_gets_no_other() {
    let program = after_writing(&[name(0, "t"), unlink("t"), name(0, "u"), root()]);
    assert_eq!(numbers(&program), [1, 1, 1]);
    assert_eq!(
        numbers(&[open("a"), unlink("a"), name(0, "u"), root()]),
        [1, 1, 1]
    );
}
