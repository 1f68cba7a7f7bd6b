//! Formats the line of a run's set-up or tear-down, followed by a report if it failed.

use super::{DIM, FAIL, PASS};
use clarity_chaos_record::Record;
use clarity_chaos_report as report;
use clarity_chaos_report::format_seconds;
use std::time::Duration;

pub(crate) fn fixture_text(record: &Record) -> String {
    let took = format_seconds(Duration::from_micros(record.duration_us));
    let (name, scenario) = (&record.name, record.description.trim_end_matches('.'));
    let failed = record.verdict.is_failure();
    let result = match failed {
        true => format!("{FAIL}FAILED{FAIL:#}"),
        false => format!("{PASS}ok{PASS:#}"),
    };
    let mut text = format!("{scenario} ... {result} {DIM}<{took}>{DIM:#}\n");
    if failed {
        let failure = report::render_failure(record);
        text.push_str(&format!("\n---- {name} ----\n{failure}\n\n"));
    }
    text
}
