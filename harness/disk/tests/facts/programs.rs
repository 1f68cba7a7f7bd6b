//! The programs of `facts.txt`, with the exact calls that were measured.

use super::SCALED;
use super::ops::*;
use super::power_cuts::programs_of_power_cuts;
use crate::reference::{Op, WriteSync};
use std::collections::BTreeMap;

/// Creates and syncs the file `z`, whose handle has the given number.
fn create_z(handle: usize) -> [Op; 3] {
    [create("z"), write(handle, 0, 1, b'Z'), fsync(handle)]
}

/// Returns the calls of each program by its description in `facts.txt`.
pub(crate) fn programs() -> BTreeMap<&'static str, Vec<Op>> {
    let mut all = BTreeMap::new();
    let programs = programs_of_names().into_iter();
    for (program, calls) in programs
        .chain(programs_of_data())
        .chain(programs_without_names())
        .chain(programs_of_power_cuts())
    {
        assert!(
            all.insert(program, calls).is_none(),
            "{program} is there twice"
        );
    }
    all
}

/// Returns the programs that mostly change names.
fn programs_of_names() -> Vec<(&'static str, Vec<Op>)> {
    let root = || fsync_directory("");
    let write_n = |handle| write(handle, 0, 1, b'N');
    vec![
        (
            "mkdir d; create d/f; fsync(d/f)",
            vec![mkdir("d"), create("d/f"), write_n(0), fsync(0)],
        ),
        ("mkdir d; fsync(d)", vec![mkdir("d"), fsync_directory("d")]),
        (
            "rename a b; fsync(b)",
            vec![rename("a", "b"), open("b"), fsync(0)],
        ),
        (
            "rename a b; fdatasync(b)",
            vec![rename("a", "b"), open("b"), fdatasync(0)],
        ),
        (
            "rename a b; create c; fsync(c)",
            vec![rename("a", "b"), create("c"), write_n(0), fsync(0)],
        ),
        (
            "rename a b; create c; fsync(root)",
            vec![rename("a", "b"), create("c"), root()],
        ),
        (
            "rename a b; append x; fsync(x)",
            vec![rename("a", "b"), create("x"), write_n(0), fsync(0)],
        ),
        (
            "rename a b; pwrite b in place; fdatasync(b)",
            vec![rename("a", "b"), open("b"), write_n(0), fdatasync(0)],
        ),
        (
            "rename a b; rename x a; append a; fsync(a)",
            vec![
                rename("a", "b"),
                rename("x", "a"),
                create("a"),
                append(0, 1, b'N'),
                fsync(0),
            ],
        ),
        (
            "rename a b; rename x a; fsync(root)",
            vec![rename("a", "b"), rename("x", "a"), root()],
        ),
        (
            "rename a d0/a; fsync(d0)",
            vec![rename("a", "d0/a"), fsync_directory("d0")],
        ),
        (
            "rename a d0/a; fsync(d0) AGAIN",
            vec![rename("a", "d0/a"), fsync_directory("d0")],
        ),
        (
            "rename a d0/a; fsync(d0/a)",
            vec![rename("a", "d0/a"), open("d0/a"), fsync(0)],
        ),
        (
            "rename a d0/a; fsync(root)",
            vec![rename("a", "d0/a"), root()],
        ),
        (
            "rotate: a1->a2... rename x x2; rename a x; create a w; fsync(a)",
            vec![
                rename("x", "x2"),
                rename("a", "x"),
                create("a"),
                write(0, 0, 10, b'N'),
                fsync(0),
            ],
        ),
        (
            "unlink d0/q after rename; mkdir e; rename a e/a; fsync(e/a)",
            vec![mkdir("e"), rename("a", "e/a"), open("e/a"), fsync(0)],
        ),
        (
            "unlink a; create c; fsync(c)",
            vec![unlink("a"), create("c"), write_n(0), fsync(0)],
        ),
        (
            "unlink a; fsync(fd of a)",
            vec![open("a"), unlink("a"), fsync(0)],
        ),
        ("unlink a; fsync(root)", vec![unlink("a"), root()]),
        (
            "link a b; fsync(a)",
            vec![link("a", "b"), open("a"), fsync(0)],
        ),
        (
            "link a b; fdatasync(a)",
            vec![link("a", "b"), open("a"), fdatasync(0)],
        ),
        (
            "create c write; link c e; fsync(root)",
            vec![create("c"), write(0, 0, 5000, b'N'), link("c", "e"), root()],
        ),
        (
            "create c; create d0/c; fsync(d0)",
            vec![create("c"), create("d0/c"), fsync_directory("d0")],
        ),
        (
            "create d0/c; create c; fsync(root)",
            vec![create("d0/c"), create("c"), root()],
        ),
        (
            "create c; fsync(x) unchanged x",
            vec![create("c"), open("x"), fsync(1)],
        ),
        (
            "create c; overwrite x in place; fdatasync(x)",
            vec![create("c"), create("x"), write_n(1), fdatasync(1)],
        ),
        (
            "create c; pwrite x in place; fsync(x)",
            vec![create("c"), open("x"), write_n(1), fsync(1)],
        ),
        (
            "chmod a 600; fdatasync(a) (mode?)",
            vec![chmod("a", 0o600), open("a"), fdatasync(0)],
        ),
        (
            "chmod a; create c; fsync(c) -- n shows",
            vec![chmod("a", 0o600), create("c"), write_n(0), fsync(0)],
        ),
    ]
}

/// Returns the programs that mostly change data.
fn programs_of_data() -> Vec<(&'static str, Vec<Op>)> {
    let root = || fsync_directory("");
    let write_n = |handle| write(handle, 0, 1, b'N');
    let created = |path| [create(path), write(0, 0, 5000, b'N')];
    let replace = || [create("c"), write(0, 0, 5000, b'N'), rename("c", "a")];
    let truncated = || [create_truncated("a"), write(0, 0, 5000, b'N')];
    let synced_write = Op::Write {
        handle: 0,
        at: Some(0),
        bytes: vec![b'N'; 5000],
        sync: WriteSync::Data,
    };
    let list = |parts: &[&[Op]]| parts.concat();
    vec![
        (
            "create+write c; fsync(c)",
            list(&[&created("c"), &[fsync(0)]]),
        ),
        (
            "create+write c; fdatasync(c)",
            list(&[&created("c"), &[fdatasync(0)]]),
        ),
        ("create c O_DSYNC, write", vec![create("c"), synced_write]),
        ("create c w; fsync(root)", list(&[&created("c"), &[root()]])),
        (
            "create c write 5000; rename c a (replace); fsync(root)",
            list(&[&replace(), &[root()]]),
        ),
        (
            "c write 5000; rename c a (replace); fsync(root) AGAIN",
            list(&[&replace(), &[root()]]),
        ),
        (
            "create c write 5000; rename c e (new name); fsync(root)",
            list(&[&created("c"), &[rename("c", "e"), root()]]),
        ),
        (
            "c write 5000; rename c a (replace); create z fsync(z)",
            list(&[&replace(), &create_z(1)]),
        ),
        (
            "c write 500000; rename c a (replace); create z fsync(z)",
            list(&[
                &[create("c"), write(0, 0, SCALED, b'N'), rename("c", "a")],
                &create_z(1),
            ]),
        ),
        (
            "c write 5000 fdatasync; rename c a (replace); create z fsync(z)",
            list(&[
                &created("c"),
                &[fdatasync(0), rename("c", "a")],
                &create_z(1),
            ]),
        ),
        (
            "c write 5000 fsync; rename c a; (nothing)",
            list(&[&created("c"), &[fsync(0), rename("c", "a")]]),
        ),
        (
            "c write 5000; rename c a (replace); (6 s pass)",
            replace().to_vec(),
        ),
        (
            "O_TRUNC a, write 5000, close; fsync(root)",
            list(&[&truncated(), &[root()]]),
        ),
        (
            "O_TRUNC a, write 5000, close; create c; fsync(c)",
            list(&[&truncated(), &[create("c"), write_n(1), fsync(1)]]),
        ),
        (
            "O_TRUNC a write 5000 no close; create z fsync(z)",
            list(&[&truncated(), &create_z(1)]),
        ),
        (
            "append a 5000; create c; fsync(c)",
            vec![
                create("a"),
                append(0, 5000, b'N'),
                create("c"),
                write_n(1),
                fsync(1),
            ],
        ),
        (
            "append a 5000; fdatasync(a)",
            vec![create("a"), append(0, 5000, b'N'), fdatasync(0)],
        ),
        (
            "append a 10000 in 3; create z fsync(z)",
            list(&[
                &[create("a")],
                &[
                    append(0, 3333, b'N'),
                    append(0, 3333, b'N'),
                    append(0, 3333, b'N'),
                ],
                &create_z(1),
            ]),
        ),
        (
            "truncate a to 20000; create c; fsync(c)",
            vec![
                open("a"),
                truncate(0, 20000),
                create("c"),
                write_n(1),
                fsync(1),
            ],
        ),
        ("truncate a 0 ; (6 s pass)", vec![open("a"), truncate(0, 0)]),
        (
            "truncate a 50; fdatasync(a)",
            vec![open("a"), truncate(0, 50), open("a"), fdatasync(1)],
        ),
        (
            "ftruncate c 20000 + pwrite 8192@4096; fsync(root)",
            vec![
                create("c"),
                truncate(0, 20000),
                write(0, 4096, 8192, b'N'),
                root(),
            ],
        ),
        (
            "posix_fallocate a 20000; create z fsync(z)",
            list(&[
                &[
                    open("a"),
                    Op::Allocate {
                        handle: 0,
                        length: 20000,
                    },
                ],
                &create_z(1),
            ]),
        ),
    ]
}

/// Returns the programs that give a name to a file which had none.
fn programs_without_names() -> Vec<(&'static str, Vec<Op>)> {
    let after_writing =
        |calls: &[Op]| [&[Op::OpenUnnamed, write(0, 0, 5000, b'N')], calls].concat();
    let (name, root) = (|| name(0, "t"), || fsync_directory(""));
    vec![
        (
            "tmpfile t; fsync(t); name t; fsync(root)",
            after_writing(&[fsync(0), name(), root()]),
        ),
        (
            "tmpfile t; name t; fsync(root)",
            after_writing(&[name(), root()]),
        ),
        (
            "tmpfile t; fsync(t); name t; fsync(t)",
            after_writing(&[fsync(0), name(), fsync(0)]),
        ),
        (
            "tmpfile t; fsync(t); name t; fdatasync(t)",
            after_writing(&[fsync(0), name(), fdatasync(0)]),
        ),
        (
            "create n; tmpfile t; fsync(t)",
            vec![
                create("n"),
                Op::OpenUnnamed,
                write(1, 0, 5000, b'N'),
                fsync(1),
            ],
        ),
        (
            "tmpfile t; name t; fdatasync(t)",
            after_writing(&[name(), fdatasync(0)]),
        ),
        (
            "tmpfile t; fdatasync(t); name t; fdatasync(t)",
            after_writing(&[fdatasync(0), name(), fdatasync(0)]),
        ),
    ]
}
