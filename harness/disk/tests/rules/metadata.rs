//! Metadata: subsets and prefixes of units, and the units that syncs bring.

use super::{MODELS, enumerate, exchange, has, numbers, overwrite};
use crate::facts::before;
use crate::facts::ops::*;
use crate::reference::{Model, Op, WriteSync, live, states};
use std::collections::BTreeSet;

#[test]
fn states_before_the_first_call_are_the_first_state() {
    for model in MODELS {
        let found = states(&before(), &[create("c"), unlink("a")], 0, model, 512, 1);
        assert_eq!(found, Some(BTreeSet::from([before()])));
    }
}

#[test]
fn states_above_the_limit_are_none() {
    for model in MODELS {
        let states = |limit| states(&before(), &[create("c")], 1, model, 512, limit);
        assert_eq!(states(1), None);
        assert_eq!(states(2).map(|found| found.len()), Some(2));
    }
    let large = [create("c"), write(0, 0, 1 << 20, b'N')];
    assert_eq!(states(&before(), &large, 2, Model::Posix, 512, 1_000), None);
}

#[test]
fn units_in_any_subset_only_under_posix() {
    assert_eq!(numbers(&[create("c")]), [2, 2, 2]);
    assert_eq!(numbers(&[create("c"), create("e")]), [4, 3, 3]);
    assert_eq!(numbers(&[rename("a", "b")]), [2, 2, 2]);
    assert_eq!(numbers(&[exchange("a", "x")]), [2, 2, 2]);
    assert_eq!(numbers(&[exchange("a", "d0")]), [2, 2, 2]);
    assert_eq!(numbers(&[chmod("a", 0o600), chmod("d0", 0o700)]), [4, 3, 3]);
    assert_eq!(numbers(&[chmod("a", 0o644)]), [1, 1, 1]);
}

#[test]
fn rename_between_directories_is_two_changes_under_posix() {
    let program = [rename("a", "d0/a")];
    assert_eq!(numbers(&program), [4, 2, 2]);
    assert!(has(&program, Model::Posix, "d0/, x=100:x n1"));
    assert!(has(
        &program,
        Model::Posix,
        "d0/, a=100:a n2, d0/a=100:a n2, x=100:x n1"
    ));
    assert_eq!(numbers(&[create("d0/q"), exchange("a", "d0/q")]), [6, 3, 3]);
}

#[test]
fn rename_between_directories_with_a_fsync_of_one() {
    assert_eq!(
        numbers(&[rename("a", "d0/a"), fsync_directory("d0")]),
        [2, 2, 1]
    );
    assert_eq!(
        numbers(&[rename("a", "d0/a"), fsync_directory("")]),
        [2, 1, 1]
    );
}

#[test]
fn fsync_of_a_directory_brings_all_of_an_earlier_rename_into_it() {
    let program = [
        rename("a", "d0/q"),
        rename("x", "d0/q"),
        fsync_directory("d0"),
    ];
    assert_eq!(numbers(&program), [4, 2, 1]);
    assert!(has(
        &program,
        Model::Journaled,
        "d0/, d0/q=100:x n2, x=100:x n2"
    ));
}

#[test]
fn fsync_of_an_unchanged_directory_brings_nothing() {
    assert_eq!(numbers(&[create("c"), fsync_directory("d0")]), [2, 2, 2]);
}

#[test]
fn directory_put_into_itself_is_not_shown_there() {
    let program = [
        mkdir("e"),
        rename("e", "d0/e"),
        rename("d0/e", "e"),
        rename("d0", "e/d0"),
    ];
    let found = enumerate(&program, Model::Posix);
    let has = |path: &str| found.iter().any(|state| state.contains_key(path));
    assert!(has("e/d0") && has("d0/e"));
    assert!(!has("e/d0/e") && !has("d0/e/d0"));
}

#[test]
fn fsync_of_a_directory_leaves_out_its_own_name() {
    let program = [mkdir("d"), create("d/f"), fsync_directory("d")];
    assert_eq!(numbers(&program), [2, 2, 1]);
    assert!(has(
        &program,
        Model::Journaled,
        "d0/, a=100:a n1, x=100:x n1"
    ));
}

#[test]
fn fsync_of_a_new_file_brings_its_directories() {
    let program = [mkdir("d"), create("d/f"), fsync(0)];
    assert_eq!(numbers(&program), [3, 1, 1]);
}

#[test]
fn fsync_of_a_new_file_brings_directories_above_its_own() {
    let program = [mkdir("d"), mkdir("d/e"), create("d/e/f"), fsync(0)];
    assert_eq!(numbers(&program), [4, 1, 1]);
}

#[test]
fn fsync_of_a_new_file_brings_other_names_only_under_ext4() {
    let program = [create("e"), create("c"), fsync(1)];
    assert_eq!(numbers(&program), [4, 2, 1]);
    assert!(has(
        &program,
        Model::Journaled,
        "c=0 n1, d0/, a=100:a n1, x=100:x n1"
    ));
}

#[test]
fn fsync_of_a_new_file_brings_the_rename_that_freed_its_name() {
    assert_eq!(
        numbers(&[rename("a", "b"), create("a"), fsync(0)]),
        [4, 1, 1]
    );
    let rotate = [rename("x", "y"), rename("a", "x"), create("a"), fsync(0)];
    assert_eq!(numbers(&rotate), [8, 1, 1]);
}

#[test]
fn fsync_of_a_replaced_file_brings_the_rename_under_ext4() {
    let program = [open("a"), rename("x", "a"), fsync(0)];
    assert_eq!(numbers(&program), [2, 2, 1]);
}

#[test]
fn fdatasync_after_a_write_in_place_brings_no_names() {
    let program = [create("c"), open("x"), overwrite(1), fdatasync(1)];
    assert_eq!(numbers(&program), [2, 2, 2]);
    for model in MODELS {
        assert!(has(&program, model, "d0/, a=100:a n1, x=100:Nx n1"));
    }
}

#[test]
fn fsync_after_a_write_in_place_brings_names_under_ext4() {
    assert_eq!(
        numbers(&[create("c"), open("x"), overwrite(1), fsync(1)]),
        [2, 2, 1]
    );
}

#[test]
fn fdatasync_after_growth_brings_names_under_ext4() {
    assert_eq!(
        numbers(&[create("c"), open("x"), append(1, 9, b'N'), fdatasync(1)]),
        [2, 2, 1]
    );
}

#[test]
fn fdatasync_after_growth_that_was_committed_commits_nothing() {
    let program = [
        open("a"),
        append(0, 9, b'N'),
        create("z"),
        fsync(1),
        create("c"),
        fdatasync(0),
    ];
    assert_eq!(numbers(&program), [4, 2, 2]);
    assert!(has(
        &program,
        Model::Ext4Ordered,
        "d0/, a=109:Na n1, x=100:x n1, z=0 n1"
    ));
}

#[test]
fn fsync_of_a_clean_file_does_nothing() {
    assert_eq!(numbers(&[create("c"), open("x"), fsync(1)]), [2, 2, 2]);
    let synced = |sync: Op| [open("x"), overwrite(0), sync, create("c"), fsync(0)];
    assert_eq!(numbers(&synced(fsync(0))), [2, 2, 2]);
    // After fdatasync the times are still dirty. If ext4 commits them of its own accord before the
    // file is created, the fsync commits nothing.
    assert_eq!(numbers(&synced(fdatasync(0))), [2, 2, 2]);
}

#[test]
fn fsync_of_a_clean_file_leaves_out_a_rename_of_its_directory() {
    let program = [create("d0/q"), fsync(0), rename("d0", "d1"), fsync(0)];
    assert_eq!(numbers(&program), [4, 2, 2]);
}

#[test]
fn fdatasync_after_rename_or_link_does_nothing() {
    let renamed = [rename("a", "b"), open("b"), fdatasync(0)];
    let linked = [link("a", "b"), open("a"), fdatasync(0)];
    for program in [renamed, linked] {
        assert_eq!(numbers(&program), [2, 2, 2]);
        for model in MODELS {
            assert!(has(&program, model, "d0/, a=100:a n1, x=100:x n1"));
        }
    }
}

#[test]
fn fsync_after_rename_or_link_brings_the_names() {
    assert_eq!(numbers(&[rename("a", "b"), open("b"), fsync(0)]), [2, 1, 1]);
    assert_eq!(numbers(&[link("a", "b"), open("a"), fsync(0)]), [2, 1, 1]);
}

#[test]
fn modes_after_syncs_of_the_file() {
    let program = |call: Op, sync: Op| [chmod("a", 0o600), open("a"), call, sync];
    assert_eq!(numbers(&program(open("x"), fdatasync(0))), [2, 2, 2]);
    assert_eq!(numbers(&program(open("x"), fsync(0))), [1, 1, 1]);
    assert_eq!(numbers(&program(overwrite(0), fdatasync(0))), [2, 2, 2]);
    assert_eq!(
        numbers(&program(append(0, 1, b'N'), fdatasync(0))),
        [2, 2, 1]
    );
    assert_eq!(
        numbers(&[create("c"), chmod("c", 0o600), fdatasync(0)]),
        [3, 2, 2]
    );
    assert_eq!(
        numbers(&[chmod("d0", 0o700), fsync_directory("d0")]),
        [1, 1, 1]
    );
}

#[test]
fn file_is_new_until_a_sync_brings_its_name() {
    let program = [
        create("c"),
        fsync(0),
        chmod("c", 0o600),
        fdatasync(0),
        fsync(0),
    ];
    assert_eq!(numbers(&program[..4]), [3, 2, 2]);
    assert_eq!(numbers(&program), [2, 1, 1]);
    let program = [
        create("c"),
        fsync_directory(""),
        chmod("c", 0o600),
        fdatasync(0),
    ];
    assert_eq!(numbers(&program), [2, 2, 2]);
}

#[test]
fn sync_all_makes_everything_durable() {
    let program = [
        create("c"),
        write(0, 0, 5000, b'N'),
        rename("a", "d0/a"),
        Op::SyncAll,
    ];
    assert_eq!(numbers(&program), [1, 1, 1]);
    assert_eq!(
        enumerate(&program, Model::Posix),
        BTreeSet::from([live(&before(), &program)])
    );
}

#[test]
fn synced_writes_are_durable() {
    let write = |sync| Op::Write {
        handle: 0,
        at: None,
        bytes: vec![b'N'; 900],
        sync,
    };
    assert_eq!(numbers(&[create("c"), write(WriteSync::Data)]), [2, 1, 1]);
    assert_eq!(
        numbers(&[chmod("a", 0o600), open("a"), write(WriteSync::Data)]),
        [2, 2, 1]
    );
    assert_eq!(
        numbers(&[chmod("a", 0o600), open("a"), write(WriteSync::Full)]),
        [1, 1, 1]
    );
    let empty = Op::Write {
        handle: 0,
        at: None,
        bytes: Vec::new(),
        sync: WriteSync::Full,
    };
    assert_eq!(numbers(&[chmod("a", 0o600), open("a"), empty]), [2, 2, 2]);
}

#[test]
fn fdatasync_can_bring_names_without_earlier_changes() {
    let program = [rename("x", "y"), link("a", "b"), open("a"), fdatasync(0)];
    let state = "d0/, a=100:a n2, b=100:a n2, x=100:x n1";
    assert!(has(&program, Model::Journaled, state));
    assert!(!has(&program, Model::Ext4Ordered, state));
}

#[test]
fn names_of_a_synced_file_can_overtake_earlier_changes() {
    let sync_c = [create("c"), write(0, 0, 1, b'N'), fsync(0)];
    let program = [&sync_c[..], &[rename("x", "y"), rename("c", "e")]].concat();
    let state = "d0/, a=100:a n1, e=1:N n1, x=100:x n1";
    assert!(has(&program, Model::Journaled, state));
    assert!(!has(&program, Model::Ext4Ordered, state));
    // A file that is not synced has no such names.
    let program = [&sync_c[..], &[rename("x", "y"), rename("a", "e")]].concat();
    let state = "d0/, c=1:N n1, e=100:a n1, x=100:x n1";
    assert!(!has(&program, Model::Journaled, state));
}

#[test]
fn name_of_a_replaced_synced_file_can_be_missing() {
    let program = [
        create("c"),
        write(0, 0, 1, b'N'),
        fsync(0),
        rename("a", "c"),
    ];
    let state = "d0/, a=100:a n1, x=100:x n1";
    assert!(has(&program, Model::Posix, state));
    assert!(has(&program, Model::Journaled, state));
    assert!(!has(&program, Model::Ext4Ordered, state));
    // A sync of the new file brings the name.
    let program = [&program[..], &[open("c"), fsync(1)]].concat();
    assert!(!has(&program, Model::Journaled, state));
}

#[test]
fn new_file_that_had_a_synced_name_before_can_be_missing() {
    let program = [
        create("c"),
        rename("c", "d0/c"),
        create("c"),
        write(1, 0, 1, b'N'),
        fsync(1),
    ];
    let state = "d0/, a=100:a n1, c=1:N n1, x=100:x n1";
    assert!(has(&program, Model::Journaled, state));
    assert!(!has(&program, Model::Ext4Ordered, state));
    // An old file is moved.
    let program = [
        rename("a", "d0/a"),
        create("a"),
        write(0, 0, 1, b'N'),
        fsync(0),
    ];
    let state = "d0/, a=1:N n1, x=100:x n1";
    assert!(!has(&program, Model::Journaled, state));
}

/// `fdatasync` of a new file need not bring a change of the mode, so `fsync` has to.
#[test]
fn fsync_after_fdatasync_of_a_new_file_brings_the_mode() {
    let program = [create("c"), chmod("c", 0o600), fdatasync(0)];
    assert_eq!(numbers(&program), [3, 2, 2]);
    let program = [&program[..], &[fsync(0)]].concat();
    assert_eq!(numbers(&program), [2, 1, 1]);
}

/// The second write can have the same time of modification as the first one.
#[test]
fn fsync_of_a_second_overwrite_need_not_commit() {
    let program = [open("x"), overwrite(0), fsync(0), chmod("a", 0o600)];
    let again = [overwrite(0), fsync(0)];
    assert_eq!(numbers(&[&program[..], &again].concat()), [2, 2, 2]);
    let grown = [append(0, 1, b'N'), fsync(0)];
    assert_eq!(numbers(&[&program[..], &grown].concat()), [2, 2, 1]);
}
