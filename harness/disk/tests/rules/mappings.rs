//! Stores through shared mappings, `msync`, and two processes.

use super::{MODELS, has, numbers};
use crate::facts::before;
use crate::facts::ops::*;
use crate::reference::process_call::ProcessCall;
use crate::reference::{Model, Op, live, states};

fn store(at: u64, length: usize) -> Op {
    let bytes = vec![b'S'; length];
    Op::Store {
        handle: 0,
        at,
        bytes,
    }
}

fn msync(at: u64, length: u64) -> Op {
    Op::Msync {
        handle: 0,
        at,
        length,
    }
}

#[test]
fn store_keeps_the_length_and_loses_the_rest() {
    let program = [open("a"), store(90, 20), store(100, 1), store(5000, 1)];
    assert_eq!(numbers(&program), [2, 2, 2]);
    for model in MODELS {
        assert!(has(&program, model, "d0/, a=100:Sa n1, x=100:x n1"));
    }
}

#[test]
fn store_to_growth_brings_no_length() {
    let program = [open("a"), write(0, 4096, 600, b'N'), store(4096, 1)];
    // Length 4696 has two sectors, the first with three contents. No other length has them.
    assert_eq!(numbers(&program), [8, 8, 8]);
}

#[test]
fn msync_brings_the_stored_pages_of_its_range_alone() {
    let program = [open("a"), truncate(0, 8192), fsync(0), store(0, 1)];
    let program = [&program[..], &[store(4096, 1)]].concat();
    assert_eq!(numbers(&program), [4, 4, 4]);
    let synced = |range| [&program[..], &[range]].concat();
    assert_eq!(numbers(&synced(msync(0, 1))), [2, 2, 2]);
    assert_eq!(numbers(&synced(msync(4096, 1))), [2, 2, 2]);
    assert_eq!(numbers(&synced(msync(0, 4097))), [1, 1, 1]);
    assert_eq!(numbers(&synced(msync(0, 0))), [4, 4, 4]);
    assert_eq!(numbers(&synced(fdatasync(0))), [1, 1, 1]);
}

/// ext4 allocates nothing for a page that has a block, and so sets no length.
#[test]
fn msync_of_the_last_old_page_brings_no_growth_of_other_pages() {
    let program = [open("a"), write(0, 9000, 100, b'N'), msync(0, 4096)];
    let stored = |at| [&program[..2], &[store(at, 10)], &program[2..]].concat();
    for model in MODELS {
        let short = "d0/, a=100:Sa n1, x=100:x n1";
        assert!(has(&stored(50), model, short), "{model:?}");
        let lost = "d0/, a=100:a n1, x=100:x n1";
        assert!(has(&stored(200), model, lost), "{model:?}");
        assert!(!has(&stored(50), model, lost), "{model:?}");
    }
}

#[test]
fn msync_of_growth_in_the_last_old_page_brings_it() {
    let program = [open("a"), append(0, 50, b'N'), write(0, 9000, 1, b'N')];
    let program = [&program[..], &[msync(0, 4096)]].concat();
    for model in MODELS {
        assert!(has(&program, model, "d0/, a=150:Na n1, x=100:x n1"));
        assert!(!has(&program, model, "d0/, a=100:a n1, x=100:x n1"));
    }
}

#[test]
fn msync_of_a_new_page_brings_its_length() {
    let program = [
        open("a"),
        write(0, 9000, 1, b'N'),
        store(5000, 1),
        msync(4096, 1),
    ];
    for model in MODELS {
        assert!(has(&program, model, "d0/, a=8192:0Sa n1, x=100:x n1"));
        assert!(!has(&program, model, "d0/, a=4096:0a n1, x=100:x n1"));
    }
}

/// ext4 commits a greater length when it writes the pages of the growth.
#[test]
fn msync_commits_the_growth_of_its_pages_alone() {
    let program = [open("a"), create("c"), write(0, 4096, 1, b'N'), store(0, 1)];
    let synced = |at| [&program[..], &[msync(at, 1)]].concat();
    let missing = "d0/, a=4097:0NSa n1, x=100:x n1";
    for model in MODELS {
        assert!(has(&synced(0), model, missing), "{model:?}");
    }
    // The growth is durable, and so is the file `c` before it.
    assert!(has(&synced(4096), Model::Journaled, missing));
    assert!(!has(&synced(4096), Model::Ext4Ordered, missing));
}

#[test]
fn processes_have_handles_of_their_own() {
    let call = |process, op| ProcessCall { process, op };
    let program = [
        call(0, open("a")),
        call(1, open("x")),
        call(0, write(0, 0, 100, b'N')),
        call(1, write(0, 0, 100, b'M')),
        call(1, fsync(0)),
    ];
    let alone = [
        open("a"),
        open("x"),
        write(0, 0, 100, b'N'),
        write(1, 0, 100, b'M'),
        fsync(1),
    ];
    assert_eq!(live(&before(), &program), live(&before(), &alone));
    for model in MODELS {
        let of_processes = states(&before(), &program, 5, model, 512, 100);
        assert_eq!(of_processes, states(&before(), &alone, 5, model, 512, 100));
    }
}
