//! The set-up of a run gives services to the tests, once for each run, and is torn down after them.

mod kills;
mod service;

use super::until;
use crate::suite;
use clarity_chaos::Verdict;
use clarity_chaos_conformance::limits::wait_with_output;
use clarity_chaos_conformance::{RunOutput, Suite};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const ECHO: &str = env!("CARGO_BIN_EXE_echo");

/// A suite whose set-up and tear-down write a log.
pub(crate) struct Fixtures {
    pub(crate) suite: Suite,
}

impl Fixtures {
    fn new(isolation: &'static str) -> Self {
        let suite = Suite::new(env!("CARGO_BIN_EXE_fixtures"), isolation);
        Self { suite }
    }

    fn of_contract() -> Self {
        Self::new(suite().isolation())
    }

    fn log_file(&self) -> PathBuf {
        self.suite.tmp().with_file_name("log")
    }

    /// The calls of the set-up and of the tear-down so far, in order.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log_file()).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// The command that runs the suite, whose set-up misbehaves as `mode` says.
    fn command(&self, mode: &str) -> Command {
        let mut command = self.suite.command();
        command
            .env("FIXTURE", mode)
            .env("FIXTURE_LOG", self.log_file())
            .env("ECHO", ECHO);
        command
    }

    fn run(&self, mode: &str, arguments: &[&str]) -> RunOutput {
        self.suite.run_command(self.command(mode).args(arguments))
    }

    /// The processes of the suite, and the programs that its set-up has started.
    fn processes(&self) -> Vec<(u32, String)> {
        self.suite.processes()
    }
}

fn text(ran: &RunOutput) -> String {
    format!("{}\n{}", ran.stdout, ran.stderr)
}

const REACHING: [&str; 3] = [
    "tests::reaches_services",
    "tests::reaches_services_from_outside",
    "tests::cannot_change_set_up",
];

#[test]
fn services_are_reachable_under_each_isolation_and_sandbox() {
    for isolation in [suite().isolation(), "thread"] {
        for sandbox in ["none", "marked", "all"] {
            let fixtures = Fixtures::new(isolation);
            // Outside of the sandbox, a test can change the set-up's files.
            let is_boxed = isolation != "thread" && sandbox != "none";
            let tests = if is_boxed {
                &REACHING[..]
            } else {
                &REACHING[..2]
            };
            let arguments = [&["--exact", "--sandbox", sandbox], tests].concat();
            let ran = fixtures.run("", &arguments);
            assert_eq!(ran.code, Some(0), "{isolation} {sandbox}: {}", text(&ran));
            for test in tests {
                let verdict = &ran.records[*test].verdict;
                assert_eq!(*verdict, Verdict::Passed, "{isolation} {sandbox} {test}");
            }
            assert_eq!(fixtures.log(), ["set-up", "tear-down"]);
            assert_eq!(fixtures.processes(), []);
            let left = fs::read_dir(fixtures.suite.tmp()).unwrap().count();
            assert_eq!(left, 0, "{isolation} {sandbox}");
        }
    }
}

#[test]
fn services_are_reachable_where_namespaces_are_refused() {
    let filtered = env!("CARGO_BIN_EXE_filtered");
    let mut fixtures = Fixtures::of_contract();
    let wrapper = [filtered, "1", "unshare,mount,mount_setattr"];
    fixtures.suite = fixtures.suite.within(wrapper);
    let ran = fixtures.run("", &["--exact", REACHING[0]]);
    assert_eq!(ran.code, Some(0), "{}", text(&ran));
    let record = &ran.records[REACHING[0]];
    assert!(!record.sandbox.network.enforced);
    assert_eq!(record.verdict, Verdict::Passed);
}

#[test]
fn socket_outside_of_the_set_up_is_reachable_from_the_sandbox() {
    let fixtures = Fixtures::of_contract();
    let socket = fixtures.suite.tmp().with_file_name("socket");
    let mut command = fixtures.command("");
    command.env("FIXTURE_SOCKET", &socket);
    command.args(["--exact", "tests::reaches_socket_elsewhere"]);
    let ran = fixtures.suite.run_command(&mut command);
    assert_eq!(ran.code, Some(0), "{}", text(&ran));
}

#[test]
fn set_up_runs_once_for_a_run_with_retries_or_many_seeds() {
    let fixtures = Fixtures::of_contract();
    let ran = fixtures.run("", &["--exact", "tests::fails", "--retries", "2"]);
    assert_eq!(ran.code, Some(101), "{}", text(&ran));
    assert_eq!(ran.records["tests::fails"].failed_attempts.len(), 2);
    assert_eq!(fixtures.log(), ["set-up", "tear-down"]);
    let fixtures = Fixtures::of_contract();
    let arguments = [
        "--exact",
        REACHING[0],
        "--seeds",
        "0..4",
        "--test-threads=2",
    ];
    let ran = fixtures.run("", &arguments);
    assert_eq!(ran.code, Some(0), "{}", text(&ran));
    assert_eq!(fixtures.log(), ["set-up", "tear-down"]);
}

#[test]
fn set_up_does_not_run_without_a_test() {
    let fixtures = Fixtures::of_contract();
    for arguments in [
        &["--list"][..],
        &["nothing_has_this_name"],
        &["--bench"],
        &["--help"],
    ] {
        fixtures.run("", arguments);
        assert!(fixtures.log().is_empty(), "{arguments:?}");
    }
}

#[test]
fn unknown_service_fails_the_test_and_names_the_known_ones() {
    let ran = Fixtures::of_contract().run("", &["--exact", "tests::asks_for_unknown_service"]);
    let verdict = ran.records["tests::asks_for_unknown_service"]
        .verdict
        .to_string();
    assert!(
        verdict.contains("serves no service called `unknown`"),
        "{verdict}"
    );
    assert!(verdict.contains("`echo`, `socket`, `thread`"), "{verdict}");
}

#[test]
fn failed_set_up_runs_no_test_and_says_why() {
    for (mode, reason) in [
        ("fails", "the set-up fails on purpose"),
        ("panics", "panicked: the set-up panics on purpose"),
        ("exits", "its process ended too early (exit status: 7)"),
        ("aborts", "its process ended too early (signal: 6"),
        ("hangs", "it did not end within 3s"),
    ] {
        for more in [&[][..], &["--seeds", "2"]] {
            let fixtures = Fixtures::of_contract();
            let report = fixtures.suite.tmp().with_file_name("report.xml");
            let arguments = ["--exact", REACHING[0], REACHING[1], "--setup-timeout", "3s"];
            let report_option = ["--junit", report.to_str().unwrap()];
            let ran = fixtures.run(mode, &[&arguments[..], &report_option, more].concat());
            assert_eq!(ran.code, Some(101), "{mode}: {}", text(&ran));
            assert!(ran.stdout.contains(reason), "{mode}: {}", text(&ran));
            assert!(ran.stdout.contains("the set-up prints"), "{}", text(&ran));
            assert!(ran.stdout.contains("result: FAILED. 0 "), "{}", text(&ran));
            assert!(ran.records.is_empty(), "a test has run: {mode}");
            assert_eq!(fixtures.log(), ["set-up"], "{mode}");
            assert_eq!(fixtures.processes(), [], "{mode}");
            let report = fs::read_to_string(report).unwrap();
            assert!(report.contains(r#"tests="4""#), "{report}");
            assert!(report.contains(r#"failures="1""#), "{report}");
            let skips = report
                .matches("not run: the set-up of the run failed")
                .count();
            assert_eq!(skips, 2, "{report}");
        }
    }
}

#[test]
fn failed_tear_down_fails_the_run_and_not_its_tests() {
    for (mode, reason) in [
        ("tear_down_fails", "the tear-down fails on purpose"),
        (
            "tear_down_panics",
            "panicked: the tear-down panics on purpose",
        ),
        ("tear_down_hangs", "the tear-down did not end within 3s"),
        ("leaves_process", "a process is left, and was killed: "),
        ("leaves_daemon", "a process is left, and was killed: "),
        (
            "program_dies",
            "the program `mortal` has ended (exit status: 0) before the tear-down",
        ),
        ("program_is_stubborn", "the program `stubborn` was killed"),
    ] {
        for more in [&[][..], &["--seeds", "2"]] {
            let fixtures = Fixtures::of_contract();
            let arguments = ["--exact", REACHING[0], "--setup-timeout", "3s"];
            let limit = if mode == "program_is_stubborn" {
                "60s"
            } else {
                "3s"
            };
            let arguments = [&arguments[..3], &[limit], more].concat();
            let ran = fixtures.run(mode, &arguments);
            assert_eq!(ran.code, Some(101), "{mode}: {}", text(&ran));
            assert!(ran.stdout.contains(reason), "{mode}: {}", text(&ran));
            assert!(ran.stdout.contains("result: FAILED. "), "{}", text(&ran));
            let verdict = &ran.records[REACHING[0]].verdict;
            assert_eq!(*verdict, Verdict::Passed, "{mode}");
            assert_eq!(fixtures.processes(), [], "{mode}");
        }
    }
}

#[test]
fn reports_have_entries_for_set_up_and_tear_down() {
    let fixtures = Fixtures::of_contract();
    let at = |name: &str| fixtures.suite.tmp().with_file_name(name);
    let (junit, html) = (at("report.xml"), at("report.html"));
    let arguments = ["--exact", REACHING[0], "--junit-passed-output"];
    let (junit_path, html_path) = (junit.to_str().unwrap(), html.to_str().unwrap());
    let reports = ["--junit", junit_path, "--html", html_path];
    let ran = fixtures.run("", &[&arguments[..], &reports].concat());
    assert_eq!(ran.code, Some(0), "{}", text(&ran));
    let line = "The set-up of the run: `set_up` ... ok";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    let line = "The tear-down of the run: `tear_down` ... ok";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    assert!(ran.stdout.contains("1 passed; 0 failed"), "{}", ran.stdout);
    let junit = fs::read_to_string(junit).unwrap();
    let html = fs::read_to_string(html).unwrap();
    for report in [&junit, &html] {
        for part in [
            "set-up",
            "tear-down",
            "the set-up prints",
            "the tear-down prints",
        ] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }
    let entry = r#"<testcase name="set-up" classname="fixtures" "#;
    assert!(junit.contains(entry), "{junit}");
    assert!(html.contains("serves `echo` at 127.0.0.1:"), "{html}");
}

#[test]
fn json_has_only_events_of_libtest_and_names_failed_fixtures() {
    let ran = Fixtures::of_contract().run("fails", &["--format", "json", "--exact", REACHING[0]]);
    let events: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = events.last().unwrap();
    assert_eq!(last["event"], "failed", "{last}");
    let failure = last["chaos"]["failed_fixtures"][0].as_str().unwrap();
    assert!(failure.contains("the set-up fails on purpose"), "{failure}");
    assert!(
        ran.stderr.contains("the set-up fails on purpose"),
        "{}",
        ran.stderr
    );
}

#[test]
fn interrupted_run_is_torn_down() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let fixtures = Fixtures::of_contract();
        let mut command = fixtures.command("");
        command.args(["--exact", "tests::hangs"]);
        let runner = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let runner = runner.spawn().unwrap();
        until(|| fixtures.suite.timeline_contains("hanging with services"));
        send(signal, runner.id());
        let output = wait_with_output(runner);
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(fixtures.log(), ["set-up", "tear-down"]);
        assert_eq!(fixtures.processes(), []);
    }
}

#[test]
fn interrupted_set_up_ends_at_once_and_runs_no_test() {
    let fixtures = Fixtures::of_contract();
    let mut command = fixtures.command("hangs");
    command.args(["--exact", REACHING[0], "--setup-timeout", "1h"]);
    let runner = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let runner = runner.spawn().unwrap();
    until(|| fixtures.log() == ["set-up"]);
    send("-INT", runner.id());
    let output = wait_with_output(runner);
    assert_eq!(output.status.code(), Some(130));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("the run was interrupted"), "{stdout}");
    assert!(fixtures.suite.records().is_empty());
    assert_eq!(fixtures.processes(), []);
}

fn send(signal: &str, pid: u32) {
    let sent = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}
