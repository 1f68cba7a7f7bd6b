//! The HTML report: one self-contained file with the timelines of the tests.
//!
//! The page is `html/page.html`, filled with the style, the script and the records. The script
//! draws the records. Two budgets keep the file small: one for the records of failed tests, one for
//! all other records. A test whose record does not fit has only a row in the table.

use crate::failure::render_flaky;
use crate::hints::hints;
use crate::state_changes::{SharedFields, Subject, subjects};
use crate::summary::{Provenance, Summary};
use clarity_chaos_record::{EventKind, OracleCounts, Record, Results, Seed, TestTally, Verdict};
use serde::Serialize;
use serde_json::Value;
use std::io;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The budget for the records of tests that did not fail, in bytes. Further records are left out.
const BUDGET: usize = 4 << 20;

/// The budget for the records of failed tests, in bytes. Further records are left out.
const BUDGET_OF_FAILURES: usize = 8 << 20;

/// The maximum length of a message in the table, in characters. The record has the whole message.
const MESSAGE: usize = 400;

/// The number of events that a long timeline keeps: half from the beginning, half from the end. All
/// `FaultInjected` and `FaultUndone` events are kept in addition.
const EVENTS: usize = 4000;

/// Renders the report of a run as one self-contained HTML page.
///
/// # Errors
///
/// When a record cannot be written as JSON.
pub fn render_html(run: &Summary<'_>, provenance: &Provenance) -> io::Result<String> {
    let data = serde_json::to_string(&Data::of(run, provenance)?)?;
    let data = embedded(&data);
    let title = format!("{}: chaos tests", escaped(run.suite));
    Ok(filled(&[
        ("{{title}}", &title),
        ("{{style}}", STYLE),
        ("{{data}}", &data),
        ("{{script}}", SCRIPT),
    ]))
}

/// Replaces each placeholder in the page by its text. `parts` lists the placeholders with their
/// texts, in the order in which the page contains them. A placeholder inside an inserted text is
/// not replaced.
fn filled(parts: &[(&str, &str)]) -> String {
    let mut page = String::new();
    let mut rest = PAGE;
    for (name, part) in parts {
        let (before, after) = rest.split_once(name).unwrap_or((rest, ""));
        page.push_str(before);
        page.push_str(part);
        rest = after;
    }
    page + rest
}

/// Escapes JSON for use inside a script element. Only `<` is escaped: each end tag begins with it.
fn embedded(json: &str) -> String {
    json.replace('<', "\\u003c")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[derive(Serialize)]
struct Data<'a> {
    suite: &'a str,
    seed: Seed,
    sweep: Option<String>,
    commit: Option<&'a str>,
    started_at: Option<&'a str>,
    took_us: u64,
    isolation: Option<&'static str>,
    profile: Option<&'a str>,
    sandbox: Vec<(&'static str, bool, &'a str)>,
    machine: &'a str,
    harness: &'static str,
    unmet: &'a [String],
    oracles: OracleCounts,
    tests: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    /// Whether this is the set-up or the tear-down of the run, which are not counted as tests.
    is_fixture: bool,
    verdict: &'static str,
    message: String,
    hints: Vec<String>,
    duration_us: u64,
    tags: &'a [String],
    replay_command: &'a str,
    cases: Option<Cases>,
    record: Option<Value>,
    /// The subjects of state changes, drawn as rows. Empty if `record` is absent.
    subjects: Vec<Subject<'a>>,
}

/// The results of a test in a sweep.
#[derive(Serialize)]
struct Cases {
    total: u64,
    failed: u64,
    skipped: u64,
    first_seed: Seed,
    /// The number of seeds in the sweep. 0 if the results cover only a shard, or the sweep was
    /// stopped.
    seeds: u64,
    failing_seeds: Vec<Seed>,
}

impl<'a> Data<'a> {
    fn of(run: &Summary<'a>, provenance: &'a Provenance) -> io::Result<Self> {
        let first = run.records.first();
        let boxed = run
            .records
            .iter()
            .find(|record| record.sandbox.files.enforced);
        let sandbox = boxed.or(first).map_or(Vec::new(), |record| {
            let parts = record.sandbox.parts().into_iter();
            parts
                .map(|(part, found)| (part, found.enforced, found.detail.as_str()))
                .collect()
        });
        Ok(Self {
            suite: run.suite,
            seed: run.seed,
            sweep: run.sweep.map(|results| {
                let cases: u64 = results.tests.values().map(|tally| tally.cases).sum();
                format!("{cases} cases, seeds {}", results.seeds)
            }),
            commit: provenance.commit.as_deref(),
            started_at: run.records.iter().map(|one| one.started_at.as_str()).min(),
            took_us: u64::try_from(run.took.as_micros()).unwrap_or(u64::MAX),
            isolation: first.map(|record| record.isolation.name()),
            profile: run.profile,
            sandbox,
            machine: &provenance.machine,
            harness: concat!("clarity-chaos ", env!("CARGO_PKG_VERSION")),
            unmet: run.unmet,
            oracles: oracles(run),
            tests: rows(run)?,
        })
    }
}

/// Counts, for each oracle, the cases that reached the oracle and the cases in which it held.
fn oracles(run: &Summary<'_>) -> OracleCounts {
    if let Some(results) = run.sweep {
        return results.oracles.clone();
    }
    let mut counts = OracleCounts::default();
    run.records.iter().for_each(|record| counts.add(record));
    counts
}

fn rows<'a>(run: &Summary<'a>) -> io::Result<Vec<Row<'a>>> {
    let (mut left, mut left_for_failures) = (BUDGET, BUDGET_OF_FAILURES);
    let shared = SharedFields::of(run.records);
    let mut rows = Vec::new();
    let tests = run.records.iter().map(|record| (record, false));
    let fixtures = run.fixtures.iter().map(|record| (record, true));
    for (record, is_fixture) in tests.chain(fixtures) {
        let budget = match record.verdict.is_failure() {
            true => &mut left_for_failures,
            false => &mut left,
        };
        let shown = shown(record, budget)?;
        let subjects = match shown {
            Some(_) => subjects(&record.timeline, &shared),
            None => Vec::new(),
        };
        let tally = run
            .sweep
            .and_then(|results| Some((results, results.tests.get(&record.name)?)));
        rows.push(Row {
            name: &record.name,
            is_fixture,
            verdict: match record.is_flaky() {
                true => "flaky",
                false => record.verdict.kind(),
            },
            message: match &record.verdict {
                _ if record.is_flaky() => render_flaky(record),
                Verdict::Passed => String::new(),
                verdict => verdict.to_string().chars().take(MESSAGE).collect(),
            },
            hints: hints(record),
            duration_us: record.duration_us,
            tags: &record.tags,
            replay_command: &record.replay_command,
            cases: tally.map(|(results, tally)| Cases::of(results, tally)),
            record: shown,
            subjects,
        });
    }
    Ok(rows)
}

impl Cases {
    fn of(results: &Results, tally: &TestTally) -> Self {
        let is_whole = results.shard.is_none() && results.stop_reason.is_none();
        Self {
            total: tally.cases,
            failed: tally.failed,
            skipped: tally.skipped,
            first_seed: results.seeds.first(),
            seeds: if is_whole { results.seeds.count() } else { 0 },
            failing_seeds: tally.failing_seeds.clone(),
        }
    }
}

/// Returns the record for the page, or `None` if the record exceeds the budget.
///
/// Subtracts the record's size from the budget. The first record that does not fit sets the budget
/// to 0, so all later records are left out, too.
fn shown(record: &Record, budget: &mut usize) -> io::Result<Option<Value>> {
    if *budget == 0 {
        return Ok(None);
    }
    let value = abridged(record)?;
    let left = budget.checked_sub(embedded(&value.to_string()).len());
    *budget = left.unwrap_or(0);
    Ok(left.map(|_| value))
}

/// Shortens the record's timeline to [`EVENTS`] events. Also keeps all `FaultInjected` and
/// `FaultUndone` events.
fn abridged(record: &Record) -> io::Result<Value> {
    let count = record.timeline.len();
    if count <= EVENTS {
        return Ok(serde_json::to_value(record)?);
    }
    let is_shown = |place: usize, kind: &EventKind| {
        let is_outer = place < EVENTS / 2 || place >= count - EVENTS / 2;
        is_outer
            || matches!(
                kind,
                EventKind::FaultInjected { .. } | EventKind::FaultUndone { .. }
            )
    };
    let events = record.timeline.iter().enumerate();
    let shown = events.filter(|(place, event)| is_shown(*place, &event.kind));
    let shown = shown.map(|(_, event)| event.clone()).collect();
    let mut record = record.clone();
    record.timeline = shown;
    Ok(serde_json::to_value(record)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clarity_chaos_record::{Event, PlannedFault};

    /// Creates the record of test `number`, with `notes` notes in the timeline. If `notes` is
    /// greater than [`EVENTS`], the timeline also has a fault in the middle.
    fn record(number: usize, verdict: Verdict, notes: u64) -> Record {
        let event = |at_us: u64, kind: EventKind| Event::new(at_us, "main", kind);
        let note = |at_us| {
            let text = "a note of some length, as tests write them </script>".to_owned();
            event(at_us, EventKind::Note { text })
        };
        let mut fault = PlannedFault::new(1, "bit_flip", "a", Value::Null);
        fault.description = "flipped".to_owned();
        let mut timeline: Vec<Event> = (0..notes).map(note).collect();
        if notes > EVENTS as u64 {
            let middle = notes / 2;
            timeline.insert(
                middle as usize,
                event(middle, EventKind::FaultInjected { fault }),
            );
        }
        let name = format!("crowd::test_{number:05}");
        let mut record = Record::new(name, Seed::new(u64::MAX), Seed::new(1));
        (record.verdict, record.timeline) = (verdict, timeline);
        record
    }

    #[test]
    fn page_of_10_000_tests_is_small_and_has_all_failures() {
        const FAILED: usize = 7;
        let records: Vec<Record> = (0..10_000)
            .map(|number| match number < FAILED {
                true => record(number, Verdict::Interrupted, 10_000),
                false => record(number, Verdict::Passed, 20),
            })
            .collect();
        let run = Summary::new("a<b", Seed::new(u64::MAX), &records);
        let provenance = Provenance::default();
        let page = render_html(&run, &provenance).unwrap();
        assert!(page.len() < 20_000_000, "{} bytes", page.len());
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("<title>a&lt;b: chaos tests</title>"));
        let data = Data::of(&run, &provenance).unwrap();
        assert_eq!(data.tests.len(), records.len());
        assert!(data.tests[..FAILED].iter().all(|row| row.record.is_some()));
        assert!(data.tests.last().unwrap().record.is_none());
        let events = data.tests[0].record.as_ref().unwrap()["timeline"]
            .as_array()
            .unwrap();
        assert_eq!(events.len(), EVENTS + 1, "the fault in the middle is kept");
    }

    #[test]
    fn page_of_10_000_failures_is_small() {
        let long = || Verdict::Failed {
            message: "<too long>".repeat(1000),
        };
        let records: Vec<Record> = (0..10_000)
            .map(|number| record(number, long(), 0))
            .collect();
        let run = Summary::new("all", Seed::new(1), &records);
        let page = render_html(&run, &Provenance::default()).unwrap();
        assert!(page.len() < 20_000_000, "{} bytes", page.len());
        assert!(
            page.len() > BUDGET_OF_FAILURES,
            "as many records as there is room for"
        );
    }
}
