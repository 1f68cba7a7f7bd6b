//! The directory for temporary files: missing, not writable, or full.

use super::mount_namespace;
use crate::suite;
use clarity_chaos::{EventKind, Verdict};
use clarity_chaos_conformance::{RunOutput, Suite};
use std::fs;

/// Mounts a small file system, and makes it the directory for temporary files.
const SMALL: &str = r#"
    mkdir "$TMPDIR/small"; mount -t tmpfs -o size=4m none "$TMPDIR/small"
    export TMPDIR="$TMPDIR/small"; "$@""#;

/// Checks that a run failed to start, and that its error has these words.
#[track_caller]
fn assert_refused(ran: &RunOutput, words: &[&str]) {
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    for words in words {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
}

#[test]
fn unusable_directory_is_named_with_its_variable() {
    let suite = suite();
    let file = suite.tmp().join("file");
    fs::write(&file, "").unwrap();
    for path in [file, suite.tmp().join("missing")] {
        let mut command = suite.command();
        let ran = suite.run_command(command.arg("endings::passes").env("TMPDIR", &path));
        assert_refused(&ran, &[&format!("TMPDIR={}", path.display())]);
    }
    let script = r#"
        mkdir "$TMPDIR/ro"; mount -t tmpfs -o ro none "$TMPDIR/ro"
        export TMPDIR="$TMPDIR/ro"; "$@""#;
    let path = suite.tmp().join("ro");
    if let Some(suite) = mount_namespace::within(suite, script) {
        let ran = suite.run(["endings::passes"]);
        let variable = format!("TMPDIR={}", path.display());
        assert_refused(&ran, &[&variable, "Read-only"]);
    }
}

#[test]
fn default_directory_is_named_without_a_variable() {
    // The script hides the directory of the suite, so it opens the binary first.
    let script = r#"
        exec 3<"$1"; shift; mount -t tmpfs -o ro none /tmp; unset TMPDIR
        /proc/self/fd/3 "$@""#;
    if let Some(suite) = mount_namespace::within(suite(), script) {
        let ran = suite.run(["endings::passes"]);
        assert_refused(&ran, &["/tmp (TMPDIR is not set)"]);
    }
}

/// Runs a test in a small directory for temporary files.
fn run_in_small(test: &str, sandbox: &str) -> Option<(Suite, RunOutput)> {
    let suite = mount_namespace::within(suite(), SMALL)?;
    let ran = suite.run([
        "--exact",
        test,
        "--sandbox",
        sandbox,
        "--keep-dirs",
        "never",
    ]);
    Some((suite, ran))
}

#[test]
fn directory_that_becomes_full_is_told_as_that() {
    for sandbox in ["none", "all"] {
        let test = "temporary_directory::fills_it";
        let Some((suite, ran)) = run_in_small(test, sandbox) else {
            return;
        };
        assert_eq!(ran.code, Some(101), "{}", ran.stderr);
        let Verdict::Lost { error } = &ran.records[test].verdict else {
            panic!("{:?}", ran.records[test]);
        };
        let variable = format!("TMPDIR={}", suite.tmp().join("small").display());
        for words in [&*variable, "full", "No space left"] {
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}

#[test]
fn directory_that_is_full_for_a_while_loses_no_event() {
    for sandbox in ["none", "all"] {
        let test = "temporary_directory::fills_it_for_a_while";
        let Some((_suite, ran)) = run_in_small(test, sandbox) else {
            return;
        };
        let record = &ran.records[test];
        assert_eq!(record.verdict, Verdict::Passed, "{record:?}");
        let notes = record
            .timeline
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Note { text } => Some(text.trim_end()),
                _ => None,
            });
        let expected = ["there was no space for this", "there is space again"];
        assert_eq!(notes.collect::<Vec<_>>(), expected);
        assert!(record.timeline.is_sorted_by_key(|event| event.at_us));
    }
}

#[test]
fn full_directory_does_not_hide_a_timeout() {
    let test = "temporary_directory::fills_it_and_hangs";
    if let Some((_suite, ran)) = run_in_small(test, "none") {
        let limit_ms = 1000;
        assert_eq!(ran.records[test].verdict, Verdict::TimedOut { limit_ms });
    }
}

#[test]
fn directory_that_is_full_from_the_start_is_told_as_that() {
    let fill = r#"dd if=/dev/zero of="$TMPDIR/filler" bs=4k 2>/dev/null || true; "$@""#;
    let script = SMALL.replace(r#""$@""#, fill);
    let suite = suite();
    let variable = format!("TMPDIR={}", suite.tmp().join("small").display());
    if let Some(suite) = mount_namespace::within(suite, &script) {
        let ran = suite.run(["endings::passes"]);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert_ne!(ran.code, Some(0), "{told}");
        for words in [&*variable, "full", "No space left"] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}
