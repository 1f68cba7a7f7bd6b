//! The programs of `facts.txt` that contradicted earlier rules of the models.

use super::ops::*;
use crate::reference::{Op, WriteSync};

/// Returns the programs. In each one, the kernel may also write or commit of its own accord.
pub(super) fn programs_of_power_cuts() -> Vec<(&'static str, Vec<Op>)> {
    let programs = programs_of_truncations().into_iter();
    let programs = programs.chain(programs_of_synced_writes());
    programs.chain(programs_of_replaced_names()).collect()
}

/// Writes one letter with `O_SYNC`.
fn synced_write(handle: usize, at: u64) -> Op {
    Op::Write {
        handle,
        at: Some(at),
        bytes: b"S".to_vec(),
        sync: WriteSync::Full,
    }
}

fn programs_of_truncations() -> Vec<(&'static str, Vec<Op>)> {
    // The first half of `a` is new, so an old byte is one of the second half.
    let half = || vec![open("a"), write(0, 0, 50, b'N'), fsync(0), truncate(0, 50)];
    let and = |calls: &[Op]| [&half(), calls].concat();
    vec![
        ("pwrite a 50; fsync(a); truncate a 50", half()),
        (
            "truncate a 50; pwrite a 10@50",
            vec![open("a"), truncate(0, 50), write(0, 50, 10, b'N')],
        ),
        (
            "pwrite a 50; fsync(a); truncate a 50; pwrite a 1@8999 O_SYNC",
            and(&[synced_write(0, 8999)]),
        ),
        (
            "pwrite a 5000; sync; truncate a 4500; truncate a 9000; rename a d0/a; fsync(root)",
            vec![
                open("a"),
                write(0, 0, 4500, b'N'),
                write(0, 4500, 500, b'M'),
                Op::SyncAll,
                truncate(0, 4500),
                truncate(0, 9000),
                rename("a", "d0/a"),
                fsync_directory(""),
            ],
        ),
    ]
}

fn programs_of_synced_writes() -> Vec<(&'static str, Vec<Op>)> {
    let write_n = |handle| write(handle, 0, 1, b'N');
    vec![
        (
            "create c; pwrite c 4900@100; pwrite c 1 O_SYNC",
            vec![create("c"), write(0, 100, 4900, b'N'), synced_write(0, 0)],
        ),
        (
            "pwrite a 100@9000; pwrite a 1@50 O_SYNC",
            vec![open("a"), write(0, 9000, 100, b'N'), synced_write(0, 50)],
        ),
        (
            "append a 9; create z; fsync(z); create c; fdatasync(a)",
            vec![
                open("a"),
                append(0, 9, b'N'),
                create("z"),
                fsync(1),
                create("c"),
                fdatasync(0),
            ],
        ),
        (
            "pwrite x; fsync(x); create c; pwrite x; fsync(x)",
            vec![
                open("x"),
                write_n(0),
                fsync(0),
                create("c"),
                write_n(0),
                fsync(0),
            ],
        ),
    ]
}

fn programs_of_replaced_names() -> Vec<(&'static str, Vec<Op>)> {
    let synced_c = || vec![create("c"), write(0, 0, 1, b'N'), fsync(0)];
    let and = |calls: &[Op]| [&synced_c(), calls].concat();
    vec![
        (
            "create c w; fsync(c); rename x y; rename c e; create z; fsync(z)",
            and(&[rename("x", "y"), rename("c", "e"), create("z"), fsync(1)]),
        ),
        (
            "create c w; fsync(c); rename a c; create z; fsync(z)",
            and(&[rename("a", "c"), create("z"), fsync(1)]),
        ),
        (
            "open a; rename x a; fsync(old a)",
            vec![open("a"), rename("x", "a"), fsync(0)],
        ),
        (
            "create c; rename c d0/c; create c w; fsync(c)",
            vec![
                create("c"),
                rename("c", "d0/c"),
                create("c"),
                write(1, 0, 1, b'N'),
                fsync(1),
            ],
        ),
    ]
}
