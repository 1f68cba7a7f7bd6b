//! The report to look at: one file that needs nothing else, with the timeline of each test.
//!
//! The page is `html/page.html` with its style, its script and the records, which the script draws. A budget keeps the file small: failed tests come with
//! their whole record, passed ones as long as there is room, and of the others the row in the table.

use crate::failure::flaky;
use crate::hints::hints;
use crate::summary::{Provenance, Summary};
use clarity_chaos_record::{EventKind, OracleCounts, Record, Results, Seed, Tally, Verdict};
use serde::Serialize;
use serde_json::Value;
use std::io;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// How many bytes of records of tests that passed a file may hold; those of further ones are left out.
const BUDGET: usize = 4 << 20;

/// The same for tests that failed.
const BUDGET_OF_FAILURES: usize = 8 << 20;

/// How long a message in the table may be, in characters; the record has all of it.
const MESSAGE: usize = 400;

/// How many events of one timeline are kept, half of them from its beginning. Faults are among them in any case.
const EVENTS: usize = 4000;

/// The report of a run as one page of HTML that loads nothing else.
///
/// # Errors
///
/// When a record has no form in JSON.
pub fn html(run: &Summary<'_>, provenance: &Provenance) -> io::Result<String> {
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

/// The page with each of these put in the place of its name, in this order. EventKind is put in is not looked at again.
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

/// JSON as it can stand in a script element, which only this character can end.
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
    verdict: &'static str,
    message: String,
    hints: Vec<String>,
    duration_us: u64,
    tags: &'a [String],
    replay: &'a str,
    cases: Option<Cases>,
    record: Option<Value>,
}

/// EventKind a sweep found of a test.
#[derive(Serialize)]
struct Cases {
    total: u64,
    failed: u64,
    skipped: u64,
    first_seed: Seed,
    /// From the first one on; 0 where not all of them have run.
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
                .map(|(part, found)| (part, found.enforced, found.how.as_str()))
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
            sandbox,
            machine: &provenance.machine,
            harness: concat!("clarity-chaos ", env!("CARGO_PKG_VERSION")),
            unmet: run.unmet,
            oracles: oracles(run),
            tests: rows(run)?,
        })
    }
}

/// Those that any case has reached.
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
    let mut rows = Vec::new();
    for record in run.records {
        let budget = match record.verdict.is_failure() {
            true => &mut left_for_failures,
            false => &mut left,
        };
        let shown = shown(record, budget)?;
        let tally = run
            .sweep
            .and_then(|results| Some((results, results.tests.get(&record.name)?)));
        rows.push(Row {
            name: &record.name,
            verdict: match record.is_flaky() {
                true => "flaky",
                false => record.verdict.kind(),
            },
            message: match &record.verdict {
                _ if record.is_flaky() => flaky(record),
                Verdict::Passed => String::new(),
                verdict => verdict.to_string().chars().take(MESSAGE).collect(),
            },
            hints: hints(record),
            duration_us: record.duration_us,
            tags: &record.tags,
            replay: &record.replay,
            cases: tally.map(|(results, tally)| Cases::of(results, tally)),
            record: shown,
        });
    }
    Ok(rows)
}

impl Cases {
    fn of(results: &Results, tally: &Tally) -> Self {
        let is_whole = results.shard.is_none() && results.stopped.is_none();
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

/// The record as the page shows it, and takes its room from the budget; none if there is not enough, and then no more for any other.
fn shown(record: &Record, budget: &mut usize) -> io::Result<Option<Value>> {
    if *budget == 0 {
        return Ok(None);
    }
    let value = abridged(record)?;
    let left = budget.checked_sub(embedded(&value.to_string()).len());
    *budget = left.unwrap_or(0);
    Ok(left.map(|_| value))
}

/// The record as the page takes it: no more events than can be looked at. Seeds are text in it, since a script's numbers end at 2^53.
fn abridged(record: &Record) -> io::Result<Value> {
    let count = record.timeline.len();
    if count <= EVENTS {
        return Ok(serde_json::to_value(record)?);
    }
    let is_shown = |place: usize, what: &EventKind| {
        let is_outer = place < EVENTS / 2 || place >= count - EVENTS / 2;
        is_outer
            || matches!(
                what,
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
    use clarity_chaos_record::Event;
    use clarity_chaos_record::PlannedFault;
    use std::time::Duration;

    /// The test of this number, with so many notes, and a fault in the middle of very many.
    fn record(number: usize, verdict: Verdict, notes: u64) -> Record {
        let event = |at_us: u64, kind: EventKind| Event::new(at_us, "main", kind);
        let note = |at_us| {
            let text = "a note of some length, as tests write them </script>".to_owned();
            event(at_us, EventKind::Note { text })
        };
        let mut fault = PlannedFault::new(1, "bit_flip", "a", Value::Null);
        fault.sentence = "flipped".to_owned();
        let mut timeline: Vec<Event> = (0..notes).map(note).collect();
        if notes > EVENTS as u64 {
            let middle = notes / 2;
            timeline.insert(
                middle as usize,
                event(middle, EventKind::FaultInjected { fault }),
            );
        }
        let blank = serde_json::json!({
            "schema": 1, "name": format!("crowd::test_{number:05}"), "module": "crowd", "tags": [], "description": "", "file": "a.rs", "line": 1,
            "root_seed": u64::MAX.to_string(), "seed": "1", "verdict": "passed", "started_at": "2020-01-01T00:00:00Z", "duration_us": 1, "timeout_ms": 1,
            "clock": "real", "limits": {"memory": null, "open_files": null, "cpu": null}, "isolation": "fork",
            "sandbox": serde_json::to_value(clarity_chaos_record::Sandbox::open(Err("not here"))).unwrap(),
            "faults": [], "timeline": [], "oracles": [], "hung": [], "leaks": {"processes": [], "threads": [], "descriptors": [], "files": [], "excused": []},
            "resources": {"cpu_us": null, "peak_memory_bytes": null}, "output": {"text": "", "total_bytes": 0, "omitted_bytes": 0}, "replay": "again", "kept": null,
        });
        let mut record: Record = serde_json::from_value(blank).unwrap();
        (record.verdict, record.timeline) = (verdict, timeline);
        record
    }

    #[test]
    fn ten_thousand_tests_make_a_small_page_that_has_all_that_failed() {
        const FAILED: usize = 7;
        let records: Vec<Record> = (0..10_000)
            .map(|number| match number < FAILED {
                true => record(number, Verdict::Interrupted, 10_000),
                false => record(number, Verdict::Passed, 20),
            })
            .collect();
        let run = Summary {
            suite: "a<b",
            seed: Seed::new(u64::MAX),
            records: &records,
            sweep: None,
            unmet: &[],
            took: Duration::from_secs(1),
        };
        let provenance = Provenance::default();
        let page = html(&run, &provenance).unwrap();
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
    fn a_run_that_fails_all_over_makes_a_small_page_as_well() {
        let long = || Verdict::Failed {
            message: "<too long>".repeat(1000),
        };
        let records: Vec<Record> = (0..10_000)
            .map(|number| record(number, long(), 0))
            .collect();
        let run = Summary {
            suite: "all",
            seed: Seed::new(1),
            records: &records,
            sweep: None,
            unmet: &[],
            took: Duration::from_secs(1),
        };
        let page = html(&run, &Provenance::default()).unwrap();
        assert!(page.len() < 20_000_000, "{} bytes", page.len());
        assert!(
            page.len() > BUDGET_OF_FAILURES,
            "as many records as there is room for"
        );
    }
}
