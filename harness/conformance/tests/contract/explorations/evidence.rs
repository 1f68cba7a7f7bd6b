//! The errors of broken explorations show the way to the mistake.

use super::{failed, passed, record};
use crate::suite;
use clarity_chaos::Verdict;
use clarity_chaos_conformance::Suite;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

fn message(test: &str) -> &'static str {
    let Verdict::Failed { message } = &record(test).verdict else {
        panic!("{test}: {:?}", record(test).verdict);
    };
    message
}

/// Returns the lines that follow the line `title`, while they are indented further.
fn lines_below(message: &str, title: &str) -> Vec<String> {
    let lines = message.lines().skip_while(|line| line.trim() != title);
    let below = lines.skip(1).take_while(|line| line.starts_with("    "));
    below.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn calls_before_the_point_are_shown_with_their_places() {
    let message = message("without_sync");
    let calls = lines_below(message, "the calls before:");
    assert_eq!(calls.len(), 3, "{message}");
    assert!(
        calls[0].starts_with("call 1 of 4, openat of draft"),
        "{message}"
    );
    assert!(
        calls[2].starts_with("call 3 of 4, rename of draft to current ("),
        "{message}"
    );
    assert!(calls[2].contains("explorations::publish"), "{message}");
}

#[test]
fn place_is_shown_in_the_dependency_and_in_the_test() {
    failed(
        "evidence::call_in_a_dependency",
        &[
            "(tempfile-3",
            ", called from ",
            "explorations/evidence.rs:",
            "explorations::evidence::persist",
        ],
    );
}

/// Runs a test that leaves a broken state. Returns the path of the copy.
fn keep_state(suite: &Suite, user: Option<u32>, options: &[&str]) -> PathBuf {
    let test = "explorations::evidence::state_that_the_check_changes";
    let mut command = suite.command();
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let ran = suite.run_command(command.args(["--exact", test]).args(options));
    let Verdict::Failed { message } = &ran.records[test].verdict else {
        panic!("{:?}", ran.records[test].verdict);
    };
    let state = message
        .lines()
        .find_map(|line| line.strip_prefix("  state: "));
    PathBuf::from(state.expect("a state"))
}

fn check_state(state: &Path) {
    let secret = state.join("store/secret");
    let mode = fs::metadata(&secret).unwrap().mode();
    assert_eq!(mode & 0o777, 0o400, "{}", secret.display());
    assert_eq!(fs::read(&secret).unwrap(), b"first");
}

#[test]
fn broken_state_is_kept_as_it_was_before_the_check() {
    let suite = suite();
    let first = keep_state(&suite, None, &["--seed", "7", "--keep-dirs", "never"]);
    check_state(&first);
    // The next run of the test replaces the state.
    let second = keep_state(&suite, None, &["--seed", "8"]);
    check_state(&second);
    assert!(!first.exists(), "{}", first.display());
    failed(
        "evidence::large_state",
        &["state: not kept, since its 65 MiB"],
    );
}

/// A user without privileges.
const USER: u32 = 65534;

#[test]
fn broken_state_is_kept_for_an_ordinary_user() {
    if rustix::process::getuid().is_root() {
        let suite = suite().for_user(USER);
        check_state(&keep_state(&suite, Some(USER), &[]));
    }
}

#[test]
fn lost_calls_are_those_that_matter() {
    passed("minimized::lost_calls_that_matter_are_named");
}

#[test]
fn death_does_not_hide_the_loss_of_power() {
    failed(
        "evidence::death_and_loss_of_power",
        &[
            "the invariant broke when the process died in the place of call 2 of 6",
            "\nalso, the invariant broke when the power failed before call 3 of 6",
            "nothing had synced it: call 2 of 6, write of 8 bytes at 0 of a",
        ],
    );
    passed("evidence::every_broken_point_is_listed");
}
