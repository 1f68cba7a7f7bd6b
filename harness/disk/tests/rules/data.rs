//! Data: lengths, sectors and truncations.

use super::{MODELS, has, numbers, overwrite};
use crate::facts::before;
use crate::facts::ops::*;
use crate::reference::{Entry, Model, Op, WriteSync, states};
use std::collections::BTreeSet;

#[test]
fn replacement_without_a_sync_of_the_file_can_be_zeros() {
    let program = [
        create("c"),
        write(0, 0, 5000, b'N'),
        rename("c", "a"),
        fsync_directory(""),
    ];
    // Lengths 0, 4096 and 5000, whose 0, 8 and 10 sectors are old or new.
    assert_eq!(numbers(&program), [1281, 1281, 1281]);
    for model in MODELS {
        assert!(has(&program, model, "d0/, a=5000:0 n1, x=100:x n1"));
        assert!(has(&program, model, "d0/, a=0 n1, x=100:x n1"));
        assert!(has(&program, model, "d0/, a=4096:0N n1, x=100:x n1"));
    }
}

#[test]
fn sectors_are_old_or_as_after_a_write() {
    assert_eq!(numbers(&[open("x"), overwrite(0)]), [2, 2, 2]);
    // The second write has the first in it: not the second alone.
    assert_eq!(
        numbers(&[open("x"), overwrite(0), write(0, 1, 1, b'M')]),
        [3, 3, 3]
    );
    // Length 100 has one state; length 600 has two sectors.
    assert_eq!(numbers(&[open("a"), append(0, 500, b'N')]), [5, 5, 5]);
    // The write leaves the first sector alone.
    assert_eq!(numbers(&[open("a"), write(0, 600, 10, b'N')]), [3, 3, 3]);
}

#[test]
fn lengths_are_whole_blocks_between_the_base_and_the_end() {
    let program = [open("a"), append(0, 9_900, b'N')];
    for model in MODELS {
        let found = states(&before(), &program, 2, model, 1 << 20, 10).expect("7 states");
        let lengths = found.iter().map(|state| match &state["a"] {
            Entry::File { bytes, .. } => bytes.len(),
            other => panic!("{other:?} is not a file"),
        });
        assert_eq!(
            lengths.collect::<BTreeSet<_>>(),
            [100, 4096, 8192, 10_000].into()
        );
        assert_eq!(found.len(), 7);
    }
}

#[test]
fn size_units_come_without_data() {
    assert_eq!(numbers(&[open("a"), truncate(0, 20_000)]), [2, 2, 2]);
    assert_eq!(
        numbers(&[
            open("a"),
            Op::Allocate {
                handle: 0,
                length: 20_000
            }
        ]),
        [2, 2, 2]
    );
    assert_eq!(
        numbers(&[
            open("a"),
            Op::Allocate {
                handle: 0,
                length: 50
            }
        ]),
        [1, 1, 1]
    );
    assert_eq!(
        numbers(&[open("a"), truncate(0, 50), fdatasync(0)]),
        [1, 1, 1]
    );
}

#[test]
fn truncation_writes_zeros_before_its_length() {
    let program = [open("a"), truncate(0, 50)];
    assert_eq!(numbers(&program), [3, 3, 3]);
    for model in MODELS {
        assert!(has(&program, model, "d0/, a=100:0a n1, x=100:x n1"));
    }
    // No page remains.
    assert_eq!(numbers(&[open("a"), truncate(0, 0)]), [2, 2, 2]);
    // The zeros fill the rest of the page: all of its sectors, or some.
    let program = [
        open("a"),
        append(0, 9_900, b'N'),
        fsync(0),
        truncate(0, 7_000),
    ];
    assert_eq!(numbers(&program), [9, 9, 9]);
}

#[test]
fn writes_to_kept_pages_overtake_a_truncation() {
    let program = [open("a"), truncate(0, 50), write(0, 50, 10, b'M')];
    assert_eq!(numbers(&program), [6, 6, 6]);
    for model in MODELS {
        assert!(has(&program, model, "d0/, a=100:0Ma n1, x=100:x n1"));
    }
}

#[test]
fn writes_to_lost_pages_follow_a_truncation_but_for_posix() {
    let program = [open("a"), truncate(0, 0), write(0, 50, 10, b'M')];
    assert!(has(&program, Model::Posix, "d0/, a=100:0M n1, x=100:x n1"));
    for model in [Model::Journaled, Model::Ext4Ordered] {
        assert!(!has(&program, model, "d0/, a=100:0M n1, x=100:x n1"));
    }
}

#[test]
fn growth_follows_a_truncation_but_for_posix() {
    let program = [open("a"), truncate(0, 50), append(0, 100, b'M')];
    assert!(has(&program, Model::Posix, "d0/, a=150:Ma n1, x=100:x n1"));
    let grown = "d0/, a=150:a n1, x=100:x n1";
    assert!(MODELS.iter().all(|model| !has(&program, *model, grown)));
    for model in [Model::Journaled, Model::Ext4Ordered] {
        assert!(has(&program, model, "d0/, a=100:Ma n1, x=100:x n1"));
    }
}

#[test]
fn synced_write_brings_its_pages_alone() {
    let synced_write = Op::Write {
        handle: 0,
        at: Some(0),
        bytes: b"M".to_vec(),
        sync: WriteSync::Full,
    };
    // The last 904 bytes are in another page than the synced write.
    let program = [create("c"), write(0, 100, 4_900, b'N'), synced_write];
    for model in MODELS {
        assert!(has(
            &program,
            model,
            "d0/, a=100:a n1, c=5000:0MN n1, x=100:x n1"
        ));
        assert!(has(
            &program,
            model,
            "d0/, a=100:a n1, c=4096:0MN n1, x=100:x n1"
        ));
        assert!(!has(
            &program,
            model,
            "d0/, a=100:a n1, c=4096:0M n1, x=100:x n1"
        ));
    }
    // With the length 5,000, two sectors are old or new.
    assert_eq!(numbers(&program), [6, 5, 5]);
    let program = [&program[..], &[fdatasync(0)]].concat();
    assert_eq!(numbers(&program), [2, 1, 1]);
}

/// The write at 4096 and its page are gone, so a sync of this page writes nothing.
#[test]
fn sync_of_a_page_that_a_truncation_removed_brings_no_length() {
    let cut = [open("a"), write(0, 4096, 1, b'N'), truncate(0, 50)];
    let msync = Op::Msync {
        handle: 0,
        at: 4096,
        length: 1,
    };
    let program = [&cut[..], &[write(0, 9000, 1, b'N'), msync]].concat();
    for model in MODELS {
        assert!(has(&program, model, "d0/, a=50:a n1, x=100:x n1"));
    }
}

/// The file `a` with 50 new bytes and 50 old ones, of which the old ones are cut off.
fn cut() -> Vec<Op> {
    vec![open("a"), write(0, 0, 50, b'N'), fsync(0), truncate(0, 50)]
}

const OLD_BYTES_BEHIND_A_CUT: &str = "d0/, a=9000:0Na n1, x=100:x n1";

#[test]
fn sync_of_a_later_page_brings_no_zeros_of_a_truncation() {
    let synced_write = Op::Write {
        handle: 0,
        at: Some(8999),
        bytes: b"N".to_vec(),
        sync: WriteSync::Full,
    };
    let mut program = [cut(), vec![synced_write]].concat();
    assert_eq!(numbers(&program), [2, 2, 1]);
    for (model, has_old_bytes) in MODELS.into_iter().zip([true, true, false]) {
        assert_eq!(has(&program, model, OLD_BYTES_BEHIND_A_CUT), has_old_bytes);
    }
    program.push(fdatasync(0));
    assert_eq!(numbers(&program), [1, 1, 1]);
}

#[test]
fn greater_length_can_come_before_zeros_of_a_truncation() {
    let grown = [cut(), vec![truncate(0, 9000)]].concat();
    let written = [cut(), vec![write(0, 8999, 1, b'N')]].concat();
    for (model, has_old_bytes) in MODELS.into_iter().zip([true, true, false]) {
        for program in [&grown, &written] {
            assert_eq!(has(program, model, OLD_BYTES_BEHIND_A_CUT), has_old_bytes);
        }
    }
    // The page is written before the length is set.
    let program = [
        cut(),
        vec![write(0, 0, 1, b'N'), fdatasync(0), truncate(0, 9000)],
    ]
    .concat();
    for model in MODELS {
        assert!(!has(&program, model, OLD_BYTES_BEHIND_A_CUT));
    }
}

/// Btrfs does not write the zeros until the file grows.
#[test]
fn greater_length_can_show_bytes_behind_a_synced_end() {
    let grown = [cut(), vec![fsync(0), truncate(0, 9000)]].concat();
    for (model, has_old_bytes) in MODELS.into_iter().zip([true, true, false]) {
        assert_eq!(has(&grown, model, OLD_BYTES_BEHIND_A_CUT), has_old_bytes);
    }
    let again = [cut(), vec![truncate(0, 30), fsync(0), truncate(0, 40)]].concat();
    assert_eq!(numbers(&again), [3, 3, 2]);
    let synced = [grown, vec![fsync(0)]].concat();
    let written = [cut(), vec![fsync(0), write(0, 8999, 1, b'N')]].concat();
    for model in MODELS {
        assert!(!has(&synced, model, OLD_BYTES_BEHIND_A_CUT));
        assert!(!has(&written, model, OLD_BYTES_BEHIND_A_CUT));
    }
}

/// The write that sets the length writes the zeros, too.
#[test]
fn growth_in_the_page_of_a_truncation_follows_the_zeros() {
    let program = [cut(), vec![write(0, 60, 10, b'N')]].concat();
    for model in MODELS {
        assert!(!has(&program, model, "d0/, a=70:Na n1, x=100:x n1"));
    }
}

#[test]
fn truncation_cuts_writes_before_it() {
    // The one sector is old or new, with the truncation. Without it, the sector can have its zeros.
    assert_eq!(
        numbers(&[open("a"), write(0, 0, 100, b'N'), truncate(0, 50)]),
        [5, 5, 5]
    );
}

#[test]
fn unlinked_file_keeps_its_writes_until_the_unlink_is_durable() {
    assert_eq!(numbers(&[open("a"), overwrite(0), unlink("a")]), [3, 3, 3]);
}

#[test]
fn names_of_one_file_have_equal_contents() {
    assert_eq!(
        numbers(&[open("a"), link("a", "b"), overwrite(0)]),
        [4, 4, 4]
    );
}
