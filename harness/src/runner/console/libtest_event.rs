//! Formats libtest's JSON events (`--format json`), one event per line. The harness adds the field
//! `chaos` to some events.

use super::{RunSummary, StartedRun, TestOutcome};
use clarity_chaos_record::Verdict;
use clarity_chaos_report as report;
use clarity_chaos_report::workflow_commands::neutralize_json;
use serde_json::{Value, json};
use std::time::Duration;

/// An event of libtest's stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum LibtestEvent<'a> {
    SuiteStarted(StartedRun<'a>),
    TestStarted {
        name: &'a str,
    },
    /// A slow test. libtest calls this event `timeout`, but the test continues.
    TestSlow {
        name: &'a str,
    },
    TestFinished {
        name: &'a str,
        outcome: TestOutcome<'a>,
    },
    SuiteFinished(&'a RunSummary<'a>),
}

impl LibtestEvent<'_> {
    pub(super) fn line(&self) -> String {
        let json = self.value().to_string();
        format!("{}\n", neutralize_json(&json))
    }

    fn value(&self) -> Value {
        match self {
            Self::SuiteStarted(run) => suite_started(run),
            Self::TestStarted { name } => {
                json!({ "type": "test", "event": "started", "name": name })
            }
            Self::TestSlow { name } => json!({ "type": "test", "event": "timeout", "name": name }),
            Self::TestFinished { name, outcome } => test_finished(name, outcome),
            Self::SuiteFinished(summary) => json!({
                "type": "suite",
                "event": if summary.has_failed() { "failed" } else { "ok" },
                "passed": summary.passed(),
                "failed": summary.failed(),
                "ignored": summary.ignored(),
                "measured": 0,
                "filtered_out": summary.filtered_out,
                "exec_time": summary.took.as_secs_f64(),
                "chaos": {
                    "flaky": summary.flaky().count(),
                    "unmet_oracles": summary.unmet,
                    "failed_fixtures": summary.failed_fixtures,
                    "reports": summary.reports,
                    "replay_command": summary.rerun_command,
                },
            }),
        }
    }
}

fn suite_started(run: &StartedRun<'_>) -> Value {
    let StartedRun {
        origin,
        seed,
        shuffle_seed,
        tests,
        ..
    } = run;
    let mut value = json!({
        "type": "suite", "event": "started", "test_count": tests,
        "chaos": { "package": origin.package, "target": origin.target, "root_seed": seed },
    });
    if let Some(seed) = shuffle_seed {
        value["shuffle_seed"] = (*seed).into();
    }
    value
}

fn test_finished(name: &str, outcome: &TestOutcome<'_>) -> Value {
    let mut value = json!({ "type": "test", "name": name });
    let record = match outcome {
        TestOutcome::Ran(record) => record,
        TestOutcome::NotRun(reason) => {
            value["event"] = "ignored".into();
            value["message"] = (*reason).into();
            return value;
        }
    };
    match &record.verdict {
        Verdict::Passed => value["event"] = "ok".into(),
        Verdict::Skipped { reason } => {
            value["event"] = "ignored".into();
            value["message"] = reason.as_str().into();
        }
        _ => {
            value["event"] = "failed".into();
            value["stdout"] = report::render_failure(record).into();
        }
    }
    let took = Duration::from_micros(record.duration_us);
    value["exec_time"] = took.as_secs_f64().into();
    let verdict = serde_json::to_value(&record.verdict).unwrap_or_default();
    value["chaos"] = json!({
        "verdict": verdict["verdict"],
        "root_seed": record.root_seed,
        "seed": record.seed,
        "tags": record.tags,
        "file": record.file,
        "line": record.line,
        "started_at": record.started_at,
        "attempts": record.failed_attempts.len() + 1,
        "flaky": record.is_flaky(),
        "faults": record.faults.len(),
        "leaks": record.leaks.lines().collect::<Vec<_>>(),
        "replay_command": record.replay_command,
        "unrepeated": record.unrepeated,
        "kept_dir": record.kept_dir,
    });
    value
}
