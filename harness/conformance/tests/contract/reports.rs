//! JUnit reports, JSON output, and the output of tests: captured or shown.

use crate::suite;
use clarity_chaos_conformance::limits::wait;
use std::io::{BufRead as _, BufReader};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[test]
fn junit_report_has_the_fields_that_its_readers_use() {
    let suite = suite();
    let path = suite.tmp().join("deep/er/report.xml");
    let ran = suite.run([
        "endings::",
        "--skip",
        "waits_without_a_limit",
        "--seed",
        "42",
        "--junit",
        path.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, Some(101));
    let report =
        quick_junit::Report::deserialize_from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (14, 9, 0));
    let cases = &report.test_suites[0].test_cases;
    let mut names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert!(names.is_sorted());
    names.dedup();
    assert_eq!(names.len(), 14, "names are unique");
    for case in cases {
        assert_eq!(
            case.classname.as_ref().unwrap().as_str(),
            "misbehaving::endings"
        );
        assert!(case.time.is_some());
        assert!(case.extra["file"].ends_with("endings.rs"));
        assert!(case.extra["line"].parse::<u32>().unwrap() > 0);
    }
    let fails = cases
        .iter()
        .find(|case| case.name.as_str() == "endings::fails")
        .unwrap();
    let quick_junit::TestCaseStatus::NonSuccess {
        message,
        ty,
        description,
        ..
    } = &fails.status
    else {
        panic!("{:?}", fails.status);
    };
    assert!(message.as_ref().unwrap().contains("No such file"));
    assert_eq!(ty.as_ref().unwrap().as_str(), "failed");
    let description = description.as_ref().unwrap().as_str();
    assert!(description.contains("root seed 42"), "{description}");
    assert!(
        description.contains("--exact endings::fails --seed 42"),
        "{description}"
    );
}

/// The strict report omits attributes that the schema of Jenkins' xUnit plug-in does not have.
#[test]
fn strict_junit_report_has_the_same_results() {
    let suite = suite();
    let tests = [
        "endings::",
        "--skip",
        "waits_without_a_limit",
        "--seed",
        "42",
    ];
    let report = |strict: &[&str]| {
        let path = suite.tmp().join("report.xml");
        let junit = ["--junit", path.to_str().unwrap()];
        suite.run(tests.iter().chain(&junit).chain(strict));
        std::fs::read_to_string(&path).unwrap()
    };
    let (full, strict) = (report(&[]), report(&["--junit-strict"]));
    for unknown in [" file=", " line=", "<testsuites timestamp="] {
        assert!(!strict.contains(unknown), "{unknown}");
    }
    assert!(
        !strict
            .lines()
            .any(|line| line.contains("<testcase") && line.contains("timestamp="))
    );
    let cases = |report: &str| {
        let report = quick_junit::Report::deserialize_from_str(report).unwrap();
        let cases = report.test_suites[0].test_cases.iter();
        let printed = cases.map(|case| {
            let message = match &case.status {
                quick_junit::TestCaseStatus::NonSuccess { message, .. } => message.clone(),
                _ => None,
            };
            (case.name.to_string(), case.classname.clone(), message)
        });
        (printed.collect::<Vec<_>>(), report.tests, report.failures)
    };
    assert_eq!(cases(&full), cases(&strict));
}

#[test]
fn report_that_cannot_be_written_fails_the_run() {
    let suite = suite();
    let ran = suite.run([
        "--exact",
        "endings::passes",
        "--junit",
        "/dev/null/report.xml",
    ]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .contains("failed to write the JUnit report /dev/null/report.xml"),
        "{}",
        ran.stderr
    );
}

#[test]
fn output_is_captured_unless_an_option_shows_it() {
    let suite = suite();
    let test = "endings::passes_and_tells";
    let quiet = suite.run(["--exact", test]);
    assert!(!quiet.stdout.contains("printed"), "{}", quiet.stdout);
    let shown = suite.run(["--exact", test, "--nocapture"]);
    assert!(
        shown.stdout.contains("printed\nprinted as an error\n"),
        "{}",
        shown.stdout
    );
    let later = suite.run(["--exact", test, "--show-output"]);
    assert!(
        later
            .stdout
            .contains("---- endings::passes_and_tells printed ----\nprinted\n"),
        "{}",
        later.stdout
    );
    assert_eq!(
        shown.records[test].output.text,
        "printed\nprinted as an error\n"
    );
}

#[test]
fn json_output_holds_json_alone() {
    let ran = suite().run(["tags", "--format", "json"]);
    assert_eq!(ran.code, Some(0));
    // The run and each of its four tests have a start event and an end event.
    assert_eq!(ran.stdout.lines().count(), 10, "{}", ran.stdout);
    for line in ran.stdout.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["type"].is_string(), "{line}");
    }
    assert!(ran.stderr.contains("chaos: 4 of "), "{}", ran.stderr);
}

#[test]
fn header_lists_enforced_and_missing_parts_of_the_sandbox() {
    let suite = suite();
    let ran = suite.run(["tags::model"]);
    let isolation = format!("isolation {}\n", suite.isolation());
    assert!(ran.stdout.contains(&isolation), "{}", ran.stdout);
    assert!(ran.stdout.starts_with("chaos: 1 of "), "{}", ran.stdout);
    let parts = "files ✗ metadata ✗ network ✗ processes ✗ capabilities ✗ containment";
    assert!(
        ran.stdout.contains(&format!("no sandbox: {parts}")),
        "{}",
        ran.stdout
    );
}

#[test]
fn shown_output_does_not_mix_with_json() {
    let ran = suite().run([
        "--exact",
        "endings::passes_and_tells",
        "--format",
        "json",
        "--nocapture",
    ]);
    assert!(!ran.stdout.contains("printed"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("printed\nprinted as an error\n"),
        "{}",
        ran.stderr
    );
}

/// Once standard output is closed, the runner starts no more tests, and reports the finished tests.
#[test]
fn closed_standard_output_loses_no_junit_report() {
    let suite = suite();
    let (report, file) = (suite.tmp().join("report.xml"), suite.tmp().join("file"));
    let (reader, writer) = std::io::pipe().unwrap();
    let mut runner = suite
        .command()
        .args(["--exact", "endings::passes", "stories::waits_for_a_file"])
        .args(["tags::model", "--test-threads", "1"])
        .args(["--junit", report.to_str().unwrap()])
        .env("MISBEHAVING_FILE", &file)
        .stdout(writer)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
        let found = lines.any(|line| line.starts_with("test endings::passes ... ok"));
        drop(lines);
        sender.send(found)
    });
    assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(true));
    std::fs::write(&file, "").unwrap();
    assert_eq!(wait(&mut runner).code(), Some(1));
    let report = std::fs::read_to_string(report).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&report).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (2, 0, 0));
}

#[test]
fn output_of_passed_tests_is_in_junit_only_if_asked_for() {
    let suite = suite();
    let report = |options: &[&str]| {
        let path = suite.tmp().join("report.xml");
        let junit = ["--junit", path.to_str().unwrap()];
        let tests = ["endings::passes_and_tells", "endings::panics"];
        suite.run(tests.iter().chain(&junit).chain(options));
        std::fs::read_to_string(&path).unwrap()
    };
    let usual = report(&[]);
    assert!(!usual.contains("printed as an error"), "{usual}");
    assert!(usual.contains("panicked at"), "{usual}");
    assert!(usual.contains("<system-out>"), "{usual}");
    let asked = report(&["--junit-passed-output"]);
    assert!(asked.contains("printed as an error"), "{asked}");
}
