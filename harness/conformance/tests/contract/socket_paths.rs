//! Paths of Unix sockets in a test's directories are short, also if the test has a long name.

use crate::suite;
use clarity_chaos::Verdict;
use clarity_chaos_conformance::limits::output_of;
use clarity_chaos_conformance::{RunOutput, Suite};
use std::fs;
use std::path::PathBuf;

/// The longest path of a Unix socket, in bytes.
const SOCKET_PATH: usize = 107;
/// The largest number of bytes that the harness adds to `TMPDIR`.
const ADDED: usize = 40;

/// Creates a directory whose canonical path has `length` bytes.
fn directory_of_length(suite: &Suite, length: usize) -> PathBuf {
    let parent = suite.tmp().canonicalize().unwrap();
    let missing = length - parent.as_os_str().len() - 1;
    let directory = parent.join("d".repeat(missing));
    fs::create_dir(&directory).unwrap();
    directory
}

fn run_in(suite: &Suite, tmp: &PathBuf, arguments: &[&str]) -> RunOutput {
    let mut command = suite.command();
    command
        .args(arguments)
        .env("TMPDIR", tmp)
        .env("MISBEHAVING_TMPDIR", tmp);
    let output = output_of(&mut command);
    RunOutput {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        records: suite.records(),
    }
}

#[test]
fn long_name_of_a_test_leaves_room_for_a_socket() {
    let suite = suite();
    // Room for `/s` after the bytes that the harness adds.
    let tmp = directory_of_length(&suite, SOCKET_PATH - ADDED - 2);
    for more in [&[][..], &["--check-determinism"]] {
        let name = "of_a_test_with_a_long_name";
        let ran = run_in(&suite, &tmp, &[&[name], more].concat());
        let (name, record) = ran.records.iter().next().unwrap();
        assert_eq!(record.verdict, Verdict::Passed, "{}", ran.stdout);
        assert!(name.len() > SOCKET_PATH, "{name}");
        assert_eq!(record.name, *name);
    }
}

/// Returns the hint of a failed test in its report.
fn hint(ran: &RunOutput) -> Option<&str> {
    let (_, rest) = ran.stdout.split_once("\n  hint:\n")?;
    rest.lines().next()
}

#[test]
fn path_that_is_too_long_gets_a_hint_with_the_variable() {
    let suite = suite();
    let test = "socket_paths::of_a_plain_test";
    let tmp = directory_of_length(&suite, SOCKET_PATH - 20);
    let ran = run_in(&suite, &tmp, &["--exact", test]);
    assert!(matches!(ran.records[test].verdict, Verdict::Failed { .. }));
    let found = hint(&ran).unwrap_or_else(|| panic!("{}", ran.stdout));
    assert!(found.contains("set `TMPDIR` to a shorter"), "{found}");

    let ran = suite.run(["--exact", "socket_paths::of_a_program"]);
    let found = hint(&ran).unwrap_or_else(|| panic!("{}", ran.stdout));
    assert!(found.contains("set `TMPDIR` to a shorter"), "{found}");
}
