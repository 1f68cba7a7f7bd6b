//! On SIGINT (Ctrl-C) or SIGTERM, running tests are ended, and finished tests are reported.

use super::until;
use crate::suite;
use clarity_chaos::{EventKind, Verdict};
use clarity_chaos_conformance::limits::wait_with_output;
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn interrupted_run_ends_its_tests_and_reports_finished_ones() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let suite = suite();
        let report = suite.tmp().join("report.xml");
        let file = suite.tmp().join("outside");
        fs::write(&file, "outside of the test's directory").unwrap();
        // The first test passes, the second hangs with a fault in effect, and the third never runs.
        let runner = suite
            .command()
            .args(["--exact", "endings::passes", "faults::hangs_with_damage"])
            .args(["tags::model", "--test-threads", "1"])
            .args(["--junit", report.to_str().unwrap()])
            .env("MISBEHAVING_FILE", &file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until(|| suite.timeline_contains("hanging with damage"));
        let pid = runner.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let output = wait_with_output(runner);
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(suite.processes(), []);

        let records = suite.records();
        assert_eq!(records["endings::passes"].verdict, Verdict::Passed);
        let interrupted = &records["faults::hangs_with_damage"];
        assert_eq!(interrupted.verdict, Verdict::Interrupted);
        assert!(
            interrupted
                .timeline
                .iter()
                .any(|event| event.kind == EventKind::TerminationRequested)
        );
        assert_eq!(interrupted.faults_in_effect().count(), 0);
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            "outside of the test's directory"
        );
        assert!(!records.contains_key("tags::model"), "it has run");
        let report = fs::read_to_string(report).unwrap();
        assert!(report.contains(r#"tests="2""#), "{report}");
        assert!(report.contains("interrupted"), "{report}");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            printed.contains("1 passed; 1 failed; 1 ignored"),
            "{printed}"
        );
    }
}
