//! The end of a sweep: what came of each test, and the story of one failure of each that failed.

use super::{BAD, DOUBTFUL, GOOD, closing};
use clarity_chaos_record::{Record, Results, TestTally};
use clarity_chaos_report as report;
use std::fmt::Write as _;
use std::time::Duration;

/// How many failing seeds stand in a test's line.
const SEEDS: usize = 10;

/// A line for each test, or in the terse form for each that failed, the story of the first failure of each that failed, and the sum.
pub(crate) fn sweep(
    results: &Results,
    unmet: &[String],
    reports: &[String],
    took: Duration,
    is_terse: bool,
) -> String {
    let failed = results.failed() > 0 || !unmet.is_empty();
    let mut text = String::new();
    let told = results.tests.iter();
    for (name, tally) in told.filter(|(_, tally)| !is_terse || tally.failed > 0) {
        let _ = writeln!(text, "test {name} ... {}", line(tally));
    }
    let tallies = results.tests.values();
    let failures: Vec<&Record> = tallies
        .filter(|tally| tally.failed > 0)
        .filter_map(|tally| tally.records.first())
        .collect();
    for record in &failures {
        let story = report::render_failure(record);
        let (name, seed) = (&record.name, record.root_seed);
        let _ = writeln!(text, "\n---- {name}, seed {seed} ----\n{story}");
    }
    closing::tell_failures(&mut text, &failures);
    closing::tell_unmet(&mut text, unmet);
    closing::tell_reports(&mut text, reports);
    let result = match failed {
        true => format!("{BAD}FAILED{BAD:#}"),
        false => format!("{GOOD}ok{GOOD:#}"),
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
    if let Some(why) = &results.stop_reason {
        let _ = write!(text, "; stopped early: {why}");
    }
    if !whole && !results.oracles.is_empty() {
        text.push_str("; oracles are judged over whole sweeps alone");
    }
    text.push('\n');
    text
}

fn line(tally: &TestTally) -> String {
    let cases = tally.cases;
    if tally.failed == 0 {
        return match tally.skipped {
            0 => format!("{GOOD}ok{GOOD:#} ({cases} cases)"),
            skipped => format!(
                "{GOOD}ok{GOOD:#} ({cases} cases, {DOUBTFUL}{skipped} of them skipped{DOUBTFUL:#})"
            ),
        };
    }
    let told: Vec<String> = tally
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
        "{BAD}FAILED{BAD:#} ({} of {cases} cases; seeds {}{more})",
        tally.failed,
        told.join(", ")
    )
}
