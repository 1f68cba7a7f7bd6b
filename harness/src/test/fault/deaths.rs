//! Tests that kill a process at each system call of a fault, of its undo, and of a recovery.
//!
//! After each of these deaths, the next process must restore the file. Each test starts its own
//! program again to get the process that it kills: see [`plays_part`].

use super::{BitFlip, Delete, Displace, Fault, FaultLog, Replace, Truncate};
use crate::journal::{UndoneBy, recover};
use crate::os::traced_process::{TracedEnd, kill_at_call};
use crate::test::termination::TerminationHandler;
use crate::test::test_time::TestTime;
use crate::test::timeline::Timeline;
use clarity_chaos_record::{ClockKind, Seed};
use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// The variable with the directory of the files.
const HOME: &str = "CLARITY_CHAOS_DEATHS_HOME";
/// The variable with the part that the process plays: `damage`, `undo` or `recover`.
const PART: &str = "CLARITY_CHAOS_DEATHS_PART";
/// The variable with the name of the fault.
const FAULT: &str = "CLARITY_CHAOS_DEATHS_FAULT";

const FAULTS: [&str; 6] = [
    "bit_flip",
    "delete_directory",
    "displace_empty_directory",
    "displace_by_symlink",
    "replace",
    "truncate",
];

/// Injects the fault. Undoes the fault only if `undoes` is set.
fn inject<F: Fault>(home: &Path, fault: &F, undoes: bool) {
    let timeline = Timeline::open(&home.join("timeline.jsonl")).unwrap();
    let log = FaultLog::new(
        Seed::new(1),
        None,
        home.join("case/dir"),
        undo_of(home),
        Timeline::new(timeline, TestTime::new(ClockKind::Real)),
        TerminationHandler::new(false),
    );
    thread::yield_now();
    let guard = log.inject(fault).unwrap();
    match undoes {
        true => drop(guard),
        false => std::mem::forget(guard),
    }
    thread::yield_now();
}

/// Plays the part that the environment asks for. Returns whether it asks for one.
///
/// Each test calls this first. The calls between two yields count.
fn plays_part() -> bool {
    let Some(home) = env::var_os(HOME).map(PathBuf::from) else {
        return false;
    };
    let (part, fault) = (env::var(PART).unwrap(), env::var(FAULT).unwrap());
    if part == "recover" {
        thread::yield_now();
        let _ = recover(&undo_of(&home), UndoneBy::LaterRun);
        thread::yield_now();
        return true;
    }
    let (home, undoes) = (&home, part == "undo");
    let (file, directory) = (home.join("victims/file"), home.join("victims/directory"));
    let (empty, source) = (home.join("victims/empty"), home.join("source"));
    match &*fault {
        "bit_flip" => inject(home, &BitFlip::new(file), undoes),
        "delete_directory" => inject(home, &Delete::new(directory), undoes),
        "displace_empty_directory" => inject(home, &Displace::new(empty), undoes),
        "displace_by_symlink" => inject(home, &Displace::new(file).by_symlink("file"), undoes),
        "replace" => inject(home, &Replace::new(file, source), undoes),
        "truncate" => inject(home, &Truncate::new(file), undoes),
        other => panic!("no fault is called {other}"),
    }
    true
}

fn undo_of(home: &Path) -> PathBuf {
    home.join("case/undo")
}

/// Starts the test with this name again, to play a part.
fn command(test: &str, home: &Path, part: &str, fault: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    // With one thread for tests, libtest runs a test on the main thread, which is traced.
    command
        .args(["--exact", &format!("{}::{test}", module_path())])
        .args(["--test-threads", "1"])
        .envs([(PART, part), (FAULT, fault)])
        .env(HOME, home)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Returns the path of this module as libtest has it, without the name of the crate.
fn module_path() -> &'static str {
    module_path!().split_once("::").unwrap().1
}

/// Creates the files that the faults damage.
fn create(home: &Path) -> Vec<String> {
    let victims = home.join("victims");
    fs::create_dir_all(home.join("case/dir")).unwrap();
    fs::create_dir_all(victims.join("directory")).unwrap();
    fs::create_dir(victims.join("empty")).unwrap();
    fs::set_permissions(victims.join("empty"), fs::Permissions::from_mode(0o710)).unwrap();
    fs::write(victims.join("directory/below"), "below").unwrap();
    fs::write(victims.join("file"), "the content of the file").unwrap();
    fs::write(
        home.join("source"),
        "other content, which is longer than the file",
    )
    .unwrap();
    states(&victims)
}

/// Describes each path below a directory: kind, mode, inode, modification time and content.
fn states(directory: &Path) -> Vec<String> {
    let mut states = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, found) = (entry.path(), entry.metadata().unwrap());
        let (mode, inode, content) = (found.mode(), found.ino(), fs::read(&path).ok());
        let modified = found.modified().unwrap();
        if found.is_dir() {
            states.extend(self::states(&path));
        }
        let path = path.display();
        states.push(format!("{path} {mode:o} {inode} {modified:?} {content:?}"));
    }
    states.sort();
    states
}

/// Undoes what is left, as the next run does. Checks that everything is as before.
fn assert_recovered(home: &Path, before: &[String], context: &str) {
    let recovery = recover(&undo_of(home), UndoneBy::LaterRun);
    assert_eq!(recovery.kept, [] as [String; 0], "{context}");
    assert_eq!(states(&home.join("victims")), before, "{context}");
}

#[test]
fn fault_killed_at_any_call_is_undone_by_the_next_run() {
    const TEST: &str = "fault_killed_at_any_call_is_undone_by_the_next_run";
    if plays_part() {
        return;
    }
    for fault in FAULTS {
        let mut number = 1;
        loop {
            let home = tempfile::tempdir().unwrap();
            let before = create(home.path());
            let end = kill_at_call(&mut command(TEST, home.path(), "undo", fault), number).unwrap();
            let context = format!("{fault}, killed at call {number}: {end:?}");
            assert_recovered(home.path(), &before, &context);
            if end != TracedEnd::Killed {
                assert_eq!(end, TracedEnd::Ended(0), "{context}");
                break;
            }
            number += 1;
        }
        assert!(number > 10, "{fault} makes only {number} calls");
    }
}

#[test]
fn recovery_killed_at_any_call_is_completed_by_the_next_run() {
    const TEST: &str = "recovery_killed_at_any_call_is_completed_by_the_next_run";
    if plays_part() {
        return;
    }
    for fault in FAULTS {
        let mut number = 1;
        loop {
            let home = tempfile::tempdir().unwrap();
            let before = create(home.path());
            let damaged = command(TEST, home.path(), "damage", fault)
                .status()
                .unwrap();
            assert!(damaged.success());
            assert_ne!(states(&home.path().join("victims")), before, "{fault}");
            let end =
                kill_at_call(&mut command(TEST, home.path(), "recover", fault), number).unwrap();
            let context = format!("{fault}, recovery killed at call {number}: {end:?}");
            assert_recovered(home.path(), &before, &context);
            if end != TracedEnd::Killed {
                assert_eq!(end, TracedEnd::Ended(0), "{context}");
                break;
            }
            number += 1;
        }
        assert!(number > 5, "{fault} is undone in only {number} calls");
    }
}
