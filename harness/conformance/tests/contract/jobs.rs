//! Ctrl-Z stops a run with its tests and their time limits, and `fg` continues it.

use super::{until, until_or};
use crate::suite;
use clarity_chaos::{EventKind, Record, Verdict};
use clarity_chaos_conformance::Suite;
use clarity_chaos_conformance::limits::wait;
use nix::pty::openpty;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const CTRL_Z: &str = "\u{1a}";

/// A shell with job control, on a terminal of its own.
struct Shell {
    process: Child,
    terminal: File,
    printed: Arc<Mutex<Vec<u8>>>,
}

impl Shell {
    /// Starts a shell with the variables of the suite's command.
    fn start(suite: &Suite) -> Self {
        let pair = openpty(None, None).unwrap();
        // The shell leads a session, and the terminal controls it.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", "sh", "-i"]);
        for (name, value) in suite.command().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
            .env("MISBEHAVING_FILE", suite.tmp().join("outside"))
            .env_remove("ENV")
            .stdin(pair.slave.try_clone().unwrap())
            .stdout(pair.slave.try_clone().unwrap())
            .stderr(pair.slave);
        let process = command.spawn().unwrap();
        drop(command);
        let terminal = File::from(pair.master);
        let printed = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, sink) = (terminal.try_clone().unwrap(), Arc::clone(&printed));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            process,
            terminal,
            printed,
        }
    }

    fn types(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).unwrap();
    }

    /// Starts the suite as the shell's job.
    fn runs(&mut self, suite: &Suite, arguments: &str) {
        let command = suite.command();
        let program = command.get_program().display();
        self.types(&format!("{program} {arguments} --color never\n"));
    }

    fn printed(&self) -> String {
        String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn prints(&self, text: &str) {
        until_or(|| self.printed().contains(text), || self.printed());
    }

    /// Ends the shell, and waits until it has ended.
    fn ends(mut self) {
        self.types("exit\nexit\n");
        wait(&mut self.process);
    }
}

/// Returns the lines that the running test and its child have written, and the path of the file.
fn lines(suite: &Suite) -> Option<(String, PathBuf)> {
    let runs = fs::read_dir(suite.tmp()).ok()?.flatten();
    let workers = runs.flat_map(|run| fs::read_dir(run.path()).into_iter().flatten().flatten());
    workers
        .map(|worker| worker.path().join("work/c/dir/lines"))
        .find_map(|path| Some((fs::read_to_string(&path).ok()?, path)))
}

/// Waits until the test and its child have written lines after `text`.
#[track_caller]
fn grows(suite: &Suite, shell: &Shell, text: &str) {
    let grown = || {
        let (lines, _) = lines(suite)?;
        let new = lines.get(text.len()..)?;
        Some(new.contains("test\n") && new.contains("child\n"))
    };
    until_or(|| grown() == Some(true), || shell.printed());
}

fn suspensions(record: &Record) -> Vec<Duration> {
    let events = record.timeline.iter();
    let events = events.filter_map(|event| match event.kind {
        EventKind::Suspended { duration_us } => Some(Duration::from_micros(duration_us)),
        _ => None,
    });
    events.collect()
}

/// A stop that is longer than the time limits and deadlines of the tests.
const STOPPED: Duration = Duration::from_secs(16);

#[test]
fn stopped_run_stops_its_tests_and_their_limits() {
    for sandbox in ["none", "all"] {
        let suite = suite();
        let mut shell = Shell::start(&suite);
        let test = "jobs::writes_until_the_end";
        shell.runs(&suite, &format!("--exact {test} --sandbox {sandbox}"));
        grows(&suite, &shell, "");
        shell.types(CTRL_Z);
        shell.prints("Stopped");
        let (written, path) = lines(&suite).unwrap();
        thread::sleep(STOPPED);
        let (later, _) = lines(&suite).unwrap();
        let more = later.len() - written.len();
        assert_eq!(more, 0, "a process went on: {}", shell.printed());
        shell.types("fg\n");
        shell.prints("continued after");
        grows(&suite, &shell, &written);
        fs::write(path.with_file_name("end"), "").unwrap();
        shell.prints("test result: ");
        let record = suite.records().remove(test).unwrap();
        assert_eq!(record.verdict, Verdict::Passed, "{}", shell.printed());
        let [suspended] = suspensions(&record)[..] else {
            panic!("{:?}", record.timeline);
        };
        assert!(suspended >= STOPPED, "{suspended:?}");
        assert!(Duration::from_micros(record.duration_us) < STOPPED);
        shell.ends();
        assert_eq!(suite.processes(), []);
    }
}

#[test]
fn report_says_that_deadlines_inside_of_a_test_went_on() {
    let suite = suite();
    let mut shell = Shell::start(&suite);
    shell.runs(&suite, "--exact jobs::has_a_deadline");
    until_or(
        || suite.timeline_contains("waiting for the deadline"),
        || shell.printed(),
    );
    shell.types(CTRL_Z);
    shell.prints("Stopped");
    thread::sleep(STOPPED);
    shell.types("fg\n");
    shell.prints("test result: ");
    let record = &suite.records()["jobs::has_a_deadline"];
    assert!(matches!(record.verdict, Verdict::Failed { .. }));
    let printed = shell.printed();
    assert!(
        printed.contains("real deadlines inside of it went on"),
        "{printed}"
    );
    shell.ends();
}

#[test]
fn stopped_run_that_is_ended_undoes_its_faults() {
    for (signal, reported) in [("TERM", true), ("KILL", false)] {
        let suite = suite();
        let outside = suite.tmp().join("outside");
        fs::write(&outside, "outside of the test's directory").unwrap();
        let mut shell = Shell::start(&suite);
        shell.runs(&suite, "--exact faults::hangs_with_damage");
        until_or(
            || suite.timeline_contains("hanging with damage"),
            || shell.printed(),
        );
        shell.types(CTRL_Z);
        shell.prints("Stopped");
        shell.types(&format!("kill -{signal} %1; kill -CONT %1\n"));
        until(|| {
            suite
                .processes()
                .iter()
                .all(|(_, command)| command.contains("sh -i"))
        });
        let text = fs::read_to_string(&outside).unwrap();
        assert_eq!(text, "outside of the test's directory", "{signal}");
        if reported {
            let record = &suite.records()["faults::hangs_with_damage"];
            assert_eq!(record.verdict, Verdict::Interrupted);
        }
        shell.ends();
        assert_eq!(suite.processes(), []);
    }
}

/// With `--isolation thread`, tests run in the runner's process.
fn thread_suite() -> Suite {
    Suite::new(env!("CARGO_BIN_EXE_misbehaving"), "thread")
}

#[test]
fn test_on_a_thread_stops_and_continues_with_the_run() {
    let suite = thread_suite();
    let mut shell = Shell::start(&suite);
    let test = "jobs::writes_beside_a_child";
    shell.runs(&suite, &format!("--exact {test}"));
    grows(&suite, &shell, "");
    shell.types(CTRL_Z);
    shell.prints("Stopped");
    let (written, path) = lines(&suite).unwrap();
    thread::sleep(Duration::from_secs(1));
    assert_eq!(lines(&suite).unwrap().0.len(), written.len());
    shell.types("fg\n");
    grows(&suite, &shell, &written);
    fs::write(path.with_file_name("end"), "").unwrap();
    shell.prints("1 passed; 0 failed");
    assert_eq!(suspensions(&suite.records()[test]).len(), 1);
    shell.ends();
}

#[test]
fn test_on_a_thread_ends_at_ctrl_c() {
    let suite = thread_suite();
    let outside = suite.tmp().join("outside");
    fs::write(&outside, "outside of the test's directory").unwrap();
    let mut shell = Shell::start(&suite);
    let tests = "endings::passes faults::hangs_with_damage tags::model";
    shell.runs(&suite, &format!("--exact {tests}"));
    until_or(
        || suite.timeline_contains("hanging with damage"),
        || shell.printed(),
    );
    shell.types("\u{3}");
    shell.prints("1 passed; 1 failed; 1 ignored");
    shell.types("echo \"code $?\"\n");
    shell.prints("code 130");
    let text = fs::read_to_string(&outside).unwrap();
    assert_eq!(text, "outside of the test's directory");
    let records = suite.records();
    assert_eq!(records["endings::passes"].verdict, Verdict::Passed);
    let interrupted = &records["faults::hangs_with_damage"];
    assert_eq!(interrupted.verdict, Verdict::Interrupted);
    assert_eq!(interrupted.faults_in_effect().count(), 0);
    assert!(!records.contains_key("tags::model"), "it has run");
    shell.ends();
    assert_eq!(suite.processes(), []);
}
