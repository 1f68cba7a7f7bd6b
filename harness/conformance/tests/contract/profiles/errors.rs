//! The errors of the file of profiles name the place, the expectation and the finding.

use super::{UNLIMITED, Workspace};
use std::fs;

#[test]
fn error_names_file_line_column_expected_and_found() {
    // Each text is one line of the table, `|` ends a line of the file.
    for (text, place, words) in [
        (
            "[profile.default]|timeot = '1s'",
            "2:1",
            "found `timeot` (did you mean `timeout`?)",
        ),
        (
            "[profile.default]|x = '1s'",
            "2:1",
            "expected a setting, found `x`; the settings are: ",
        ),
        (
            "[profile.default]|  retries = '2'",
            "2:13",
            "retries: expected an integer from 0 on, found the string `2`",
        ),
        (
            "[profile.default]|retries = -1",
            "2:11",
            "retries: expected an integer from 0 on, found the integer `-1`",
        ),
        (
            "[profile.default]|timeout = 30",
            "2:11",
            "timeout: expected a string, found the integer `30`",
        ),
        (
            "[profile.default]|timeout = 'fast'",
            "2:11",
            "timeout: expected a duration such as 500ms, 30s or 2m",
        ),
        (
            "[profile.default]|timeout = 'fast'",
            "2:11",
            ", found `fast`",
        ),
        (
            "[profile.default]|sandbox = 'some'",
            "2:11",
            "sandbox: expected one of none, marked, all, found `some`",
        ),
        (
            "[profile.default]|verbose = 1",
            "2:11",
            "verbose: expected a boolean, found the integer `1`",
        ),
        (
            "[profile.default]|junit = '{pkg}.xml'",
            "2:9",
            "expected {package} or {target}, found `{pkg}`",
        ),
        (
            "[profile.default]|seed = 1",
            "2:1",
            "`seed` belongs on the command line",
        ),
        (
            "[profiles.ci]",
            "1:2",
            "expected `profile`, found `profiles`",
        ),
        (
            "profile = 1",
            "1:11",
            "profile: expected a table, found the integer `1`",
        ),
        (
            "[profile.x]|inherits = 'nigthly'|[profile.nightly]",
            "2:12",
            "found `nigthly` (did you mean `nightly`?)",
        ),
        (
            "[profile.a]|inherits = 'b'|[profile.b]|inherits = 'a'",
            "2:12",
            "expected no circle",
        ),
        (
            "[profile.default]|inherits = 'a'|[profile.a]",
            "2:1",
            "every profile inherits `default`",
        ),
        (
            "[[profile.ci.overrides]]|timeout = '1s'",
            "1:1",
            "expected a `filter`",
        ),
        (
            "[[profile.ci.overrides]]|filter = 'slow and'",
            "2:10",
            "found the end at column 9",
        ),
        (
            "[[profile.ci.overrides]]|filter = 'slow'|junit = 'x'",
            "3:1",
            "`junit` holds for the whole run",
        ),
        (
            "[[profile.ci.overrides]]|filter = 1",
            "2:10",
            "filter: expected a string, found the integer `1`",
        ),
        (
            "[[profile.ci.overrides]]|filter = 'a'|timeout = 'x'",
            "3:11",
            "expected a duration",
        ),
        (
            "[profile.ci]|overrides = 1",
            "2:13",
            "expected an array of tables, found the integer `1`",
        ),
        (
            "[profile.ci]|timeout = '1s",
            "2:14",
            "expected `'`, found the end of the file",
        ),
        (
            "[profile.ci]|timeout = '1s'|timeout = '1s'",
            "3:1",
            "duplicate key, found `timeout`",
        ),
    ] {
        let workspace = Workspace::new(&text.replace('|', "\n"));
        let ran = workspace.run(&["--exact", UNLIMITED], &[]);
        let start = format!("error: {}:{place}: ", workspace.file().display());
        assert_eq!(ran.code, Some(2), "{text}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.starts_with(&start), "{start}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        assert!(!ran.stderr.contains("Usage"), "{}", ran.stderr);
    }
}

#[test]
fn unknown_profile_or_file_is_an_error() {
    let workspace = Workspace::new("[profile.nightly]\n");
    let test = ["--exact", UNLIMITED];
    for (more, words) in [
        (["--profile", "nigtly"], "did you mean `nightly`?"),
        (["--config", "/dev/null/chaos.toml"], "/dev/null/chaos.toml"),
    ] {
        let ran = workspace.run(&[&test[..], &more].concat(), &[]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    fs::remove_file(workspace.file()).unwrap();
    let ran = workspace.run(&[&test[..], &["--profile", "nightly"]].concat(), &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let path = workspace.file().display().to_string();
    assert!(ran.stderr.contains(&path), "{}", ran.stderr);
    let ran = workspace.run(&[&test[..], &["--profile", "default"]].concat(), &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}
