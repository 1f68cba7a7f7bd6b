//! The history of a suite: unreadable records, and a directory that cannot be written.

use super::mount_namespace;
use crate::suite;
use clarity_chaos::{Record, Verdict};
use clarity_chaos_conformance::Suite;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

const PASSING: [&str; 2] = ["endings::passes", "endings::passes_and_tells"];

/// Replaces the file of a record.
type Damage = fn(&Path, &[u8]);

/// Ways in which a record can be damaged.
const DAMAGES: [(&str, Damage); 8] = [
    ("cut", |path, text| {
        fs::write(path, &text[..text.len() / 2]).unwrap();
    }),
    ("cut by a byte", |path, text| {
        fs::write(path, &text[..text.len() - 1]).unwrap();
    }),
    ("empty", |path, _| fs::write(path, "").unwrap()),
    ("zeros", |path, text| {
        fs::write(path, vec![0; text.len()]).unwrap();
    }),
    ("garbage", |path, _| fs::write(path, b"\xff[{").unwrap()),
    ("another test's", |path, text| {
        let text = String::from_utf8(text.to_vec()).unwrap();
        fs::write(path, text.replace("endings::passes", "endings::other")).unwrap();
    }),
    ("a directory", |path, _| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("a dangling link", |path, _| {
        fs::remove_file(path).unwrap();
        symlink("gone", path).unwrap();
    }),
];

#[test]
fn unreadable_record_counts_as_failed_with_a_warning() {
    for (name, damage) in DAMAGES {
        let suite = suite();
        let [damaged, passing] = PASSING;
        let filters = [damaged, passing, "--exact"];
        let ran = suite.run(filters);
        assert_eq!(ran.code, Some(0), "{}", ran.stdout);
        let path = suite.history().join("records/endings.passes.json");
        damage(&path, &fs::read(&path).unwrap());

        let mut command = suite.command();
        let again = command.args(filters).arg("--last-failed");
        let again = clarity_chaos_conformance::limits::output_of(again);
        let (printed, errors) = (
            String::from_utf8_lossy(&again.stdout),
            String::from_utf8_lossy(&again.stderr),
        );
        assert_eq!(again.status.code(), Some(0), "{name}: {errors}");
        assert!(
            printed.contains(&format!("test {damaged} ... ok")),
            "{name}: {printed}"
        );
        assert!(
            !printed.contains(&format!("test {passing} ")),
            "{name}: {printed}"
        );
        assert!(
            errors.contains("warning: cannot read the last record of `endings::passes`"),
            "{name}: {errors}"
        );
        assert!(errors.contains(path.to_str().unwrap()), "{name}: {errors}");
    }
}

/// Runs two passing tests and a failing one with a history that cannot be written.
fn assert_only_warned(suite: &Suite, history: &str) {
    for (tests, code) in [
        (&PASSING[..], 0),
        (&["endings::passes", "endings::fails"], 101),
        (&["endings::passes", "--seeds", "3"], 0),
    ] {
        let arguments = ["--history", history, "--exact"];
        let ran = suite.run(arguments.iter().chain(tests));
        assert_eq!(ran.code, Some(code), "{tests:?}: {}", ran.stderr);
        let warnings = ran.stderr.matches("warning: ").count();
        assert!(warnings <= 2, "{}", ran.stderr);
        for words in [history, "--history"] {
            assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("error: "), "{}", ran.stderr);
    }
}

#[test]
fn unwritable_history_is_a_warning_with_path_and_option() {
    assert_only_warned(&suite(), "/dev/null/history");
    let script = r#"mkdir -p "$TMPDIR/ro"; mount -t tmpfs -o ro none "$TMPDIR/ro"; "$@""#;
    let suite = suite();
    let history = suite.tmp().join("ro/history");
    if let Some(suite) = mount_namespace::within(suite, script) {
        assert_only_warned(&suite, history.to_str().unwrap());
    }
}

/// The broken states of an exploration go to the history, too.
#[test]
fn unwritable_history_loses_no_state_of_an_exploration() {
    let (suite, test) = (suite(), "explorations::in_place");
    let arguments = ["--keep-dirs", "never", "--history", "/dev/null/history"];
    let ran = suite.run(["--exact", test].iter().chain(&arguments));
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    assert!(!ran.stderr.contains("error: "), "{}", ran.stderr);
    let warning = ran.stderr.split("the broken states stay in ").nth(1);
    let (states, reason) = warning.and_then(|text| text.split_once(": ")).unwrap();
    assert!(fs::read_dir(states).unwrap().count() > 0, "{states}");
    assert!(reason.starts_with("/dev/null/history/states/"), "{reason}");
}

#[test]
fn full_disk_leaves_the_old_record() {
    // The runs write to a small file system. Its files are copied to `kept` after each run.
    let script = r#"
        history=$CHAOS_HISTORY; kept=$TMPDIR/../kept
        mkdir -p "$history" "$kept"
        mount -t tmpfs -o size=256k none "$history"
        "$@" --seed 1
        cp -r "$history" "$kept/first"
        dd if=/dev/zero of="$history/filler" bs=4k 2>/dev/null || true
        code=0; "$@" --seed 2 || code=$?
        rm "$history/filler"
        cp -r "$history" "$kept/second"
        exit "$code""#;
    let suite = suite();
    let kept = suite.tmp().with_file_name("kept");
    let history = suite.history();
    let Some(suite) = mount_namespace::within(suite, script) else {
        return;
    };
    let ran = suite.run(PASSING.iter().chain(&["--exact"]));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    for words in [history.to_str().unwrap(), "--history", "No space left"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    let read = |run: &str| {
        let entries = fs::read_dir(kept.join(run).join("records")).unwrap();
        let mut records: Vec<Vec<u8>> = entries
            .map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect();
        records.sort();
        records
    };
    let old = read("first");
    assert_eq!(old.len(), PASSING.len());
    assert_eq!(read("second"), old);
    for record in old {
        let record = Record::from_json(&record).unwrap();
        assert_eq!(record.root_seed.get(), 1);
        assert_eq!(record.verdict, Verdict::Passed);
    }
}

/// The default file is in the package's directory, which can belong to another user or machine.
#[test]
fn regressions_in_a_closed_directory_are_a_warning() {
    const NOBODY: u32 = 65534;
    let is_root = rustix::process::getuid().is_root();
    let suite = if is_root {
        suite().for_user(NOBODY)
    } else {
        suite()
    };
    let package = suite.tmp().join("package");
    let regressions = package.join("chaos_regressions");
    fs::create_dir_all(&regressions).unwrap();
    fs::set_permissions(&package, Permissions::from_mode(0o000)).unwrap();
    let mut command = suite.command();
    command
        .args(["--exact", "endings::passes"])
        .env("CARGO_MANIFEST_DIR", &package)
        .env_remove("CHAOS_REGRESSIONS");
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let ran = suite.run_command(&mut command);
    fs::set_permissions(&package, Permissions::from_mode(0o700)).unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for words in [regressions.to_str().unwrap(), "--regressions FILE"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
}
