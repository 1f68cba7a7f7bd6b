//! The summary of a sweep: a line for each test, then the first failure of each failed test.

use super::{FAIL, PASS, WARN, run_summary};
use clarity_chaos_record::{Record, Results, TestTally};
use clarity_chaos_report as report;
use std::fmt::Write as _;
use std::time::Duration;

/// The largest number of failing seeds in the line of a test.
const SEEDS: usize = 10;

/// Formats a line for each test, the first failure of each failed test, and the totals. The terse
/// format has lines only for failed tests.
pub(crate) fn sweep_summary(
    results: &Results,
    unmet: &[String],
    failed_fixtures: &[String],
    reports: &[String],
    took: Duration,
    is_terse: bool,
) -> String {
    let failed = results.failed() > 0 || !unmet.is_empty() || !failed_fixtures.is_empty();
    let mut text = String::new();
    let tests = results.tests.iter();
    for (name, tally) in tests.filter(|(_, tally)| !is_terse || tally.failed > 0) {
        let _ = writeln!(text, "test {name} ... {}", line(tally));
    }
    let tallies = results.tests.values();
    let failures: Vec<&Record> = tallies
        .filter(|tally| tally.failed > 0)
        .filter_map(|tally| tally.records.first())
        .collect();
    for record in &failures {
        let failure = report::render_failure(record);
        let (name, seed) = (&record.name, record.root_seed);
        let _ = writeln!(text, "\n---- {name}, seed {seed} ----\n{failure}");
    }
    run_summary::render_failures(&mut text, &failures);
    run_summary::render_unmet(&mut text, unmet);
    run_summary::render_failed_fixtures(&mut text, failed_fixtures);
    run_summary::render_reports(&mut text, reports);
    let result = match failed {
        true => format!("{FAIL}FAILED{FAIL:#}"),
        false => format!("{PASS}ok{PASS:#}"),
    };
    let sum = |count: fn(&TestTally) -> u64| results.tests.values().map(count).sum::<u64>();
    let _ = write!(
        text,
        "\nsweep result: {result}. {} cases passed; {} failed; {} skipped; seeds {}; finished in {:.2}s",
        sum(TestTally::passed),
        sum(|tally| tally.failed),
        sum(|tally| tally.skipped),
        results.seeds,
        took.as_secs_f64()
    );
    if let Some(shard) = results.shard {
        let _ = write!(text, "; shard {shard}");
    }
    let whole = results.shard.is_none() && results.stop_reason.is_none();
    if let Some(reason) = &results.stop_reason {
        let _ = write!(text, "; stopped early: {reason}");
    }
    if !whole && !results.oracles.is_empty() {
        text.push_str("; oracles are checked in whole sweeps only");
    }
    text.push('\n');
    text
}

fn line(tally: &TestTally) -> String {
    let cases = tally.cases;
    if tally.failed == 0 {
        return match tally.skipped {
            0 => format!("{PASS}ok{PASS:#} ({cases} cases)"),
            skipped => {
                format!("{PASS}ok{PASS:#} ({cases} cases, {WARN}{skipped} of them skipped{WARN:#})")
            }
        };
    }
    let seeds: Vec<String> = tally
        .failing_seeds
        .iter()
        .take(SEEDS)
        .map(ToString::to_string)
        .collect();
    let more = if tally.failed > SEEDS as u64 {
        ", …"
    } else {
        ""
    };
    format!(
        "{FAIL}FAILED{FAIL:#} ({} of {cases} cases; seeds {}{more})",
        tally.failed,
        seeds.join(", ")
    )
}
