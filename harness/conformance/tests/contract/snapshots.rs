//! Snapshots that differ are reported as differences, and refusals of the sandbox get a hint.

use crate::suite;
use clarity_chaos::{EventKind, Record};
use clarity_chaos_conformance::limits::skip;
use std::path::Path;

fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/misbehaving"))
}

/// Returns the files that `insta` writes for a snapshot that differs.
fn pending() -> Vec<std::path::PathBuf> {
    [
        "snapshots/misbehaving__snapshots__differs.snap.new",
        ".snapshots.rs.pending-snap",
    ]
    .map(|file| sources().join(file))
    .into_iter()
    .filter(|file| file.exists())
    .collect()
}

#[test]
fn snapshot_that_differs_is_reported_as_the_difference() {
    let suite = suite();
    let mut command = suite.command();
    command
        .args(["snapshots::differs"])
        .env_remove("CI")
        .env_remove("INSTA_UPDATE");
    let ran = suite.run_command(&mut command);
    for test in ["snapshots::differs", "snapshots::differs_inline"] {
        let record = &ran.records[test];
        let text = format!("{}\n{}", record.verdict, record.output.text);
        assert!(text.contains("snapshot assertion"), "{text}");
        assert!(text.contains("-old") && text.contains("+new"), "{text}");
        for refusal in ["Read-only file system", "Permission denied"] {
            assert!(!text.contains(refusal), "{text}");
        }
    }
    assert_eq!(pending(), Vec::<std::path::PathBuf>::new());
}

fn note(record: &Record) -> &str {
    let mut events = record.timeline.iter();
    let note = events.find_map(|event| match &event.kind {
        EventKind::Note { text } => Some(text.as_str()),
        _ => None,
    });
    note.unwrap_or_else(|| panic!("no note: {:?}", record.timeline))
}

#[test]
fn sandbox_forbids_snapshot_updates_unless_the_user_set_them() {
    let test = "snapshots::tells_the_variable";
    let tells = |sandbox: &str, value: Option<&str>| {
        let suite = suite();
        let mut command = suite.command();
        command.args(["--exact", test, "--sandbox", sandbox]);
        match value {
            Some(value) => command.env("INSTA_UPDATE", value),
            None => command.env_remove("INSTA_UPDATE"),
        };
        let ran = suite.run_command(&mut command);
        note(&ran.records[test]).to_owned()
    };
    assert_eq!(tells("all", None), "INSTA_UPDATE=Ok(\"no\")");
    assert_eq!(tells("all", Some("")), "INSTA_UPDATE=Ok(\"no\")");
    assert_eq!(tells("all", Some("new")), "INSTA_UPDATE=Ok(\"new\")");
    assert_eq!(tells("none", None), "INSTA_UPDATE=Err(NotPresent)");
}

#[test]
fn refusal_of_the_sandbox_gets_a_hint() {
    let suite = suite();
    let hint = "the sandbox lets a test write only below `cx.dir()` and `TMPDIR`";
    let ran = suite.run(["--exact", "snapshots::writes_to_its_source"]);
    let record = &ran.records["snapshots::writes_to_its_source"];
    if !record.sandbox.files.enforced {
        return skip("files are not protected here");
    }
    assert!(record.verdict.is_failure());
    assert!(ran.stdout.contains(hint), "{}", ran.stdout);
    assert!(ran.stdout.contains("--sandbox none"), "{}", ran.stdout);
    // An update that the user asked for fails in the sandbox, and gets the same hint.
    let mut command = suite.command();
    command
        .args(["--exact", "snapshots::differs"])
        .env("INSTA_UPDATE", "always");
    let ran = suite.run_command(&mut command);
    assert!(ran.stdout.contains(hint), "{}", ran.stdout);
    assert!(ran.stdout.contains("INSTA_UPDATE"), "{}", ran.stdout);
    let ran = suite.run(["--exact", "snapshots::is_refused_in_its_own_directory"]);
    assert_eq!(ran.code, Some(101), "{}", ran.stdout);
    assert!(!ran.stdout.contains(hint), "{}", ran.stdout);
}
