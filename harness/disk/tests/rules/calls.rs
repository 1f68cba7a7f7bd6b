//! Calls: their live state, and the calls that Linux refuses.

use super::{MODELS, exchange, overwrite};
use crate::facts::before;
use crate::facts::ops::*;
use crate::reference::{Entry, Op, State, live, states};
use std::collections::BTreeSet;

#[test]
fn refused_calls_change_nothing() {
    let rmdir = |path: &str| Op::Rmdir { path: path.into() };
    let symlink = |path: &str| Op::Symlink {
        target: "a".into(),
        path: path.into(),
    };
    let mut first = before();
    first.insert("d0/q".into(), Entry::Symlink("../a".into()));
    first.insert("e".into(), Entry::Directory { mode: 0o755 });
    let program = [
        vec![
            open("none"),
            overwrite(0),
            truncate(0, 0),
            fsync(0),
            fsync(9),
        ],
        vec![
            open("d0/q"),
            overwrite(1),
            open("d0"),
            create("none/c"),
            create("a/c"),
        ],
        vec![
            rename("none", "b"),
            rename("a", "d0"),
            rename("d0", "a"),
            rename("e", "d0"),
        ],
        vec![
            rename("d0", "d0/d"),
            rename("a", "a"),
            rename("a", "none/a"),
            rename("a", ""),
        ],
        vec![
            exchange("a", "none"),
            exchange("d0", "d0/q"),
            exchange("a", "a"),
        ],
        vec![
            link("none", "b"),
            link("a", "x"),
            link("d0", "b"),
            unlink("none"),
            unlink("d0"),
        ],
        vec![
            mkdir("a"),
            mkdir("none/d"),
            mkdir(""),
            rmdir("d0"),
            rmdir("a"),
            rmdir("none"),
        ],
        vec![
            symlink("x"),
            chmod("none", 0),
            chmod("d0/q", 0),
            fsync_directory("a"),
        ],
    ]
    .concat();
    assert_eq!(live(&first, &program), first);
    for model in MODELS {
        let found = states(&first, &program, program.len(), model, 512, 10);
        assert_eq!(found, Some(BTreeSet::from([first.clone()])));
    }
}

#[test]
fn live_state_has_all_calls() {
    let program = [
        mkdir("d0/d"),
        create("d0/d/f"),
        append(0, 3, b'N'),
        write(0, 5, 1, b'M'),
        link("d0/d/f", "g"),
        rename("d0/d", "d"),
        exchange("a", "x"),
        chmod("a", 0o600),
        Op::Symlink {
            target: "a".into(),
            path: "s".into(),
        },
        Op::Rmdir { path: "d0".into() },
    ];
    let file = |mode, bytes: &[u8]| Entry::File {
        mode,
        bytes: bytes.to_vec(),
    };
    let expected = State::from([
        ("d".into(), Entry::Directory { mode: 0o755 }),
        ("d/f".into(), file(0o644, b"NNN\0\0M")),
        ("g".into(), file(0o644, b"NNN\0\0M")),
        ("a".into(), file(0o600, &[b'x'; 100])),
        ("x".into(), file(0o644, &[b'a'; 100])),
        ("s".into(), Entry::Symlink("a".into())),
    ]);
    assert_eq!(live(&before(), &program), expected);
}
