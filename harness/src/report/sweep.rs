//! What a sweep came to, told to a person.

use crate::results::{Results, Tally};
use std::fmt::Write as _;
use std::time::Duration;

/// How many failing seeds stand in a test's line.
const SEEDS: usize = 10;

/// A line for each test, the story of the first failure of each that failed, and the sum.
pub(crate) fn tell(results: &Results, unmet: &[String], took: Duration) -> String {
    let failed = results.failed() > 0 || !unmet.is_empty();
    let mut text = String::new();
    for (name, tally) in &results.tests {
        let _ = writeln!(text, "test {name} ... {}", line(tally));
    }
    let mut stories = results
        .tests
        .values()
        .filter(|tally| tally.failed > 0)
        .filter_map(|tally| tally.records.first())
        .peekable();
    if stories.peek().is_some() {
        text.push_str("\nfailures:\n");
    }
    for record in stories {
        let story = super::failure(record);
        let (name, seed) = (&record.name, record.root_seed);
        let _ = writeln!(text, "\n---- {name}, seed {seed} ----\n{story}");
    }
    if !unmet.is_empty() {
        let _ = write!(text, "\n{}", oracles(unmet));
    }
    let sum = |count: fn(&Tally) -> u64| results.tests.values().map(count).sum::<u64>();
    let _ = write!(
        text,
        "\nsweep result: {}. {} cases passed; {} failed; {} skipped; seeds {}; finished in {:.2}s",
        if failed { "FAILED" } else { "ok" },
        sum(Tally::passed),
        sum(|tally| tally.failed),
        sum(|tally| tally.skipped),
        results.seeds,
        took.as_secs_f64()
    );
    if let Some(shard) = results.shard {
        let _ = write!(text, "; shard {shard}");
    }
    let whole = results.shard.is_none() && results.stopped.is_none();
    if let Some(why) = &results.stopped {
        let _ = write!(text, "; stopped early: {why}");
    }
    if !whole && !results.oracles.is_empty() {
        text.push_str("; oracles are judged over whole sweeps alone");
    }
    text.push('\n');
    text
}

/// The oracles that no case has met.
pub(crate) fn oracles(unmet: &[String]) -> String {
    let mut text = "oracles that no case has met:\n".to_owned();
    for oracle in unmet {
        let _ = writeln!(text, "    {oracle}");
    }
    text
}

fn line(tally: &Tally) -> String {
    let cases = tally.cases;
    if tally.failed == 0 {
        return match tally.skipped {
            0 => format!("ok ({cases} cases)"),
            skipped => format!("ok ({cases} cases, {skipped} of them skipped)"),
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
        "FAILED ({} of {cases} cases; seeds {}{more})",
        tally.failed,
        told.join(", ")
    )
}
