//! Files outside of the test's directory survive the death of the runner, and of its supervisors.

mod damaging;

use super::until;
use crate::suite;
use clarity_chaos_conformance::Suite;
use clarity_chaos_conformance::limits::{wait, wait_with_output};
use damaging::{Damaging, kill, parent_of, users};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Stdio;

#[test]
fn supervisor_undoes_faults_when_a_signal_ends_the_runner() {
    let asked = "hangs_with_all_faults";
    let cases = ["KILL", "ABRT", "QUIT", "TERM", "INT", "HUP"].map(|signal| (signal, asked));
    let stubborn = ("KILL", "hangs_and_ignores_requests");
    for user in users() {
        for (signal, test) in cases.into_iter().chain([stubborn]) {
            let mut damaging = Damaging::start(user, test, &["--grace", "1s"]);
            damaging.signal(signal);
            wait(&mut damaging.runner);
            until(|| damaging.suite.processes().is_empty());
            damaging.assert_restored(&format!("{signal} of {test}, user {user:?}"));
        }
    }
}

#[test]
fn quit_signal_interrupts_the_run() {
    let damaging = Damaging::start(None, "hangs_with_all_faults", &[]);
    damaging.signal("QUIT");
    let output = wait_with_output(damaging.runner);
    assert_eq!(output.status.code(), Some(131));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("interrupted"), "{printed}");
}

#[test]
fn supervisor_undoes_faults_when_the_run_is_interrupted_twice() {
    for user in users() {
        let mut damaging =
            Damaging::start(user, "hangs_and_ignores_requests", &["--grace", "500ms"]);
        damaging.signal("INT");
        // The runner answers the first signal before it gets the second one.
        let mut stderr = damaging.runner.stderr.take().unwrap();
        let mut text = String::new();
        while !text.contains("interrupted") {
            let mut byte = [0];
            std::io::Read::read_exact(&mut stderr, &mut byte).unwrap();
            text.push(char::from(byte[0]));
        }
        damaging.signal("INT");
        wait(&mut damaging.runner);
        until(|| damaging.suite.processes().is_empty());
        damaging.assert_restored("interrupted twice");
    }
}

#[test]
fn test_gets_its_grace_period_when_the_runner_has_died() {
    let mut damaging = Damaging::start(None, "hangs_and_ignores_requests", &["--grace", "1h"]);
    damaging.signal("KILL");
    wait(&mut damaging.runner);
    // The supervisor waits for the test, which ignores the request. No directory is removed.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!damaging.suite.processes().is_empty());
    assert!(!damaging.victims.damaged().is_empty());
    // Kills the supervisor, and so its test.
    let processes = damaging.suite.processes();
    let is_parent = |pid: u32| {
        processes
            .iter()
            .any(|(child, _)| parent_of(*child) == Some(pid))
    };
    let supervisor = processes
        .iter()
        .map(|(pid, _)| *pid)
        .find(|pid| is_parent(*pid));
    kill("KILL", supervisor.unwrap());
    until(|| damaging.suite.processes().is_empty());
    damaging.next_run();
    damaging.assert_restored("supervisor killed in the grace period");
}

#[test]
fn next_run_undoes_faults_when_runner_and_supervisor_are_killed() {
    for user in users() {
        let mut damaging = Damaging::start(user, "hangs_with_all_faults", &[]);
        damaging.kill_all();
        assert!(!damaging.victims.damaged().is_empty(), "nobody was killed");
        let ran = damaging.next_run();
        damaging.assert_restored(&ran.stderr);
        for name in ["delete", "displace_empty", "torn", "twice"] {
            let path = damaging.victims.directory.join(name);
            let named = ran.stderr.lines().any(|line| {
                line.contains("is undone now") && line.contains(&path.display().to_string())
            });
            assert!(named, "{name}: {}", ran.stderr);
        }
        assert!(damaging.next_run().stderr.is_empty());
    }
}

#[test]
fn next_run_undoes_faults_of_a_thread_of_the_runner() {
    for user in users() {
        let arguments = ["--isolation", "thread"];
        let mut damaging = Damaging::start(user, "hangs_with_all_faults", &arguments);
        damaging.kill_all();
        let ran = damaging.next_run();
        damaging.assert_restored(&ran.stderr);
    }
}

#[test]
fn next_run_of_another_suite_undoes_faults() {
    let mut damaging = Damaging::start(None, "hangs_with_all_faults", &[]);
    damaging.kill_all();
    let other = Suite::new(env!("CARGO_BIN_EXE_first"), suite().isolation());
    let mut command = other.command();
    let ran = other.run_command(command.env("TMPDIR", damaging.suite.tmp()));
    damaging.assert_restored(&ran.stderr);
}

#[test]
fn runner_undoes_faults_after_the_death_of_a_supervisor() {
    for user in users() {
        let arguments = ["--keep-dirs", "never"];
        let mut damaging = Damaging::start(user, "hangs_with_all_faults", &arguments);
        let processes = damaging.suite.processes();
        let is_child = |pid: &u32| parent_of(*pid) == Some(damaging.runner.id());
        let supervisor = processes.iter().map(|(pid, _)| *pid).find(is_child);
        kill("KILL", supervisor.unwrap());
        wait(&mut damaging.runner);
        damaging.assert_restored("supervisor killed");
    }
}

#[test]
fn next_run_keeps_a_changed_file_and_its_original() {
    let mut damaging = Damaging::start(None, "hangs_with_all_faults", &[]);
    damaging.kill_all();
    let at = |name: &str| damaging.victims.directory.join(name);
    fs::write(at("delete"), "a new file").unwrap();
    fs::write(at("truncate"), "other content").unwrap();
    fs::rename(at("source"), at("zeros")).unwrap();
    let names = ["delete", "truncate", "zeros"];
    for _ in 0..2 {
        let ran = damaging.next_run();
        let mut damaged = damaging.victims.damaged();
        damaged.retain(|path| *path != at("source"));
        assert_eq!(damaged, names.map(at));
        assert_eq!(fs::read(at("delete")).unwrap(), b"a new file");
        assert_eq!(fs::read(at("truncate")).unwrap(), b"other content");
        for name in names {
            let path = at(name).display().to_string();
            let is_named = |line: &str| {
                line.contains(&path)
                    && line.contains("is not undone: found")
                    && line.contains("kept in")
            };
            assert!(ran.stderr.lines().any(is_named), "{name}: {}", ran.stderr);
        }
    }
    // The original comes back when nothing is in its place any more.
    fs::remove_file(at("delete")).unwrap();
    damaging.next_run();
    assert!(!damaging.victims.damaged().contains(&at("delete")));
}

#[test]
fn next_run_trusts_only_directories_of_its_user() {
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let mut damaging = Damaging::start(None, "hangs_with_all_faults", &[]);
    damaging.kill_all();
    let (run, damaged) = (damaging.run_dir(), damaging.victims.damaged());
    mode(&run, 0o777);
    let ran = damaging.next_run();
    assert!(ran.stderr.contains("not trusted"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("is writable by other users"),
        "{}",
        ran.stderr
    );
    assert_eq!(damaging.victims.damaged(), damaged);
    mode(&run, 0o700);

    // A directory with another name is a copy, or was moved.
    let moved = run.with_file_name("clarity-chaos-1-moved");
    fs::rename(&run, &moved).unwrap();
    let ran = damaging.next_run();
    assert!(
        ran.stderr.contains("is a copy or was moved"),
        "{}",
        ran.stderr
    );
    assert_eq!(damaging.victims.damaged(), damaged);
    fs::rename(&moved, &run).unwrap();

    if rustix::process::getuid().is_root() {
        // Another user's directory is neither used nor removed.
        chown(&run, Some(65534), None).unwrap();
        let ran = damaging.next_run();
        assert_eq!(ran.stderr, "");
        assert_eq!(damaging.victims.damaged(), damaged);
        chown(&run, Some(0), None).unwrap();
    }
    damaging.next_run();
    damaging.assert_restored("trusted again");
}

#[test]
fn next_run_ignores_journals_of_sandboxed_workers() {
    let mut damaging = Damaging::start(None, "hangs_with_all_faults", &[]);
    damaging.kill_all();
    let (run, damaged) = (damaging.run_dir(), damaging.victims.damaged());
    let open = fs::read_dir(&run).unwrap().map(Result::unwrap);
    let open = open
        .map(|entry| entry.path())
        .find(|path| path.is_dir())
        .unwrap();
    let name = open.file_name().unwrap().to_str().unwrap();
    // A sandboxed test can write such journals, but cannot rename its worker's directory.
    let sandboxed = open.with_file_name(name.trim_end_matches('o'));
    fs::rename(&open, &sandboxed).unwrap();
    let ran = damaging.next_run();
    assert_eq!(ran.stderr, "");
    assert_eq!(damaging.victims.damaged(), damaged);
}

#[test]
fn undo_handler_of_another_suite_is_named_by_the_next_run() {
    let suite = suite();
    let file = suite.tmp().with_file_name("outside");
    fs::write(&file, "outside").unwrap();
    let mut command = suite.command();
    command
        .args([
            "--exact",
            "custom_faults::hangs_with_a_mark",
            "--sandbox",
            "none",
        ])
        .env("MISBEHAVING_FILE", &file)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut runner = command.args(["--isolation", "thread"]).spawn().unwrap();
    until(|| suite.timeline_contains("marked"));
    runner.kill().unwrap();
    wait(&mut runner);
    let mark = file.with_extension("mark");
    assert!(mark.exists());
    let other = Suite::new(env!("CARGO_BIN_EXE_first"), suite.isolation());
    let mut command = other.command();
    let ran = other.run_command(command.env("TMPDIR", suite.tmp()));
    assert!(
        ran.stderr.contains("no undo handler `conformance.unmark`"),
        "{}",
        ran.stderr
    );
    assert!(mark.exists());
    let ran = suite.run(["--exact", "tags::model"]);
    assert!(
        ran.stderr.contains("is undone now: mark "),
        "{}",
        ran.stderr
    );
    assert!(!mark.exists());
}

#[test]
fn next_run_waits_for_the_grace_period_of_a_killed_run() {
    let arguments = ["--grace", "3s"];
    let mut damaging = Damaging::start(None, "hangs_and_ignores_requests", &arguments);
    damaging.signal("KILL");
    wait(&mut damaging.runner);
    // The supervisor still waits for its test. The next run must not begin on damaged files.
    let ran = damaging.next_run();
    assert!(damaging.victims.damaged().is_empty(), "{}", ran.stderr);
    damaging.assert_restored(&ran.stderr);
}
