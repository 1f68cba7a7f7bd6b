//! libtest's stream of events (`--format json`), a line of JSON each, with our fields beside in `chaos`.

use super::{Closing, Outcome};
use crate::registration::origin::Origin;
use clarity_chaos_record::{Seed, Verdict};
use clarity_chaos_report as report;
use serde_json::{Value, json};
use std::time::Duration;

/// What is told of a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    Begun {
        tests: usize,
        origin: &'a Origin,
        seed: Seed,
    },
    Started {
        name: &'a str,
    },
    /// It takes long: libtest's `timeout`, which is none.
    Slow {
        name: &'a str,
    },
    Ended {
        name: &'a str,
        outcome: Outcome<'a>,
    },
    Over(&'a Closing<'a>),
}

impl Event<'_> {
    pub(super) fn line(&self) -> String {
        format!("{}\n", self.value())
    }

    fn value(&self) -> Value {
        match self {
            Self::Begun {
                tests,
                origin,
                seed,
            } => json!({
                "type": "suite", "event": "started", "test_count": tests,
                "chaos": { "package": origin.package, "target": origin.target, "root_seed": seed },
            }),
            Self::Started { name } => json!({ "type": "test", "event": "started", "name": name }),
            Self::Slow { name } => json!({ "type": "test", "event": "timeout", "name": name }),
            Self::Ended { name, outcome } => ended(name, outcome),
            Self::Over(closing) => json!({
                "type": "suite",
                "event": if closing.has_failed() { "failed" } else { "ok" },
                "passed": closing.passed(),
                "failed": closing.failed(),
                "ignored": closing.ignored(),
                "measured": 0,
                "filtered_out": closing.filtered_out,
                "exec_time": closing.took.as_secs_f64(),
                "chaos": {
                    "flaky": closing.flaky().count(),
                    "unmet_oracles": closing.unmet,
                    "reports": closing.reports,
                    "replay_command": closing.again,
                },
            }),
        }
    }
}

fn ended(name: &str, outcome: &Outcome<'_>) -> Value {
    let mut value = json!({ "type": "test", "name": name });
    let record = match outcome {
        Outcome::Ran(record) => record,
        Outcome::NotRun(why) => {
            value["event"] = "ignored".into();
            value["message"] = (*why).into();
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
        "kept_dir": record.kept_dir,
    });
    value
}
