//! A failure, told to a person: what happened, what was injected, what the system did, how to see it again.

use crate::duration::milliseconds;
use crate::hints::hints;
use clarity_chaos_record::{Event, EventKind, Record, SeenOracle};
use std::fmt::Write as _;

/// How many of the last events are shown.
const EVENTS: usize = 20;
/// How much of the end of the output is shown, in bytes.
const OUTPUT: usize = 4096;

/// The whole story of a failed case.
pub fn failure(record: &Record) -> String {
    let mut text = record.verdict.to_string();
    section(&mut text, "scenario", record.description.lines());
    section(
        &mut text,
        "faults",
        record
            .faults
            .iter()
            .map(|fault| format!("{}. {fault}", fault.id)),
    );
    let minimized = record.minimized.iter().map(|least| &least.sentence);
    section(&mut text, "minimised", minimized);
    section(
        &mut text,
        "still in effect when the test's process ended (restore by hand what lies outside of its folder)",
        record.faults_in_effect().map(ToString::to_string),
    );
    section(
        &mut text,
        "what it was at when its end was asked for",
        record.hung.iter().map(ToString::to_string),
    );
    section(&mut text, "hint", hints(record));
    section(&mut text, "left behind", record.leaks.lines());
    section(&mut text, "left behind and excused", &record.leaks.excused);

    let oracle = |seen: &SeenOracle| {
        let how = if seen.held { "held" } else { "did not hold" };
        format!("{how}: {}", seen.oracle)
    };
    section(&mut text, "oracles", record.oracles.iter().map(oracle));

    let hidden = record.timeline.len().saturating_sub(EVENTS);
    let title = if hidden == 0 {
        "timeline".to_owned()
    } else {
        format!("timeline (after {hidden} earlier events, which are in the record)")
    };
    section(
        &mut text,
        &title,
        record.timeline[hidden..].iter().map(event),
    );

    let shown = record.output.tail(OUTPUT);
    let title = if shown.len() == record.output.text.len() {
        "output".to_owned()
    } else {
        format!(
            "output (the end of {} bytes; all of it is in the record)",
            record.output.total_bytes
        )
    };
    section(&mut text, &title, shown.lines());

    if let Some(kept) = &record.kept {
        section(&mut text, "kept", [kept.display().to_string()]);
    }
    section(&mut text, "again", [&record.replay]);
    text
}

/// A case that has failed and then passed, in a line or two.
pub fn flaky(record: &Record) -> String {
    let attempts = record.failed_before.len();
    let first = record.failed_before.first();
    let why = first.map_or(String::new(), |failed| failed.verdict.to_string());
    let kept = record
        .failed_before
        .iter()
        .filter_map(|failed| failed.kept.as_ref());
    let kept: String = kept
        .map(|path| format!("\n    kept: {}", path.display()))
        .collect();
    format!(
        "flaky: {} passed at attempt {}, with the same seed; at first: {why}{kept}",
        record.name,
        attempts + 1
    )
}

/// A titled list, left out when it is empty.
fn section(text: &mut String, title: &str, lines: impl IntoIterator<Item = impl AsRef<str>>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        return;
    }
    let _ = write!(text, "\n  {title}:");
    for line in lines {
        let _ = write!(text, "\n    {}", line.as_ref());
    }
}

/// An event in a line: `+12.345 ms  note  …`.
fn event(event: &Event) -> String {
    let mut line = format!("+{}", milliseconds(event.at_us));
    if let Some(virtual_us) = event.virtual_us {
        let _ = write!(line, " (virtual +{})", milliseconds(virtual_us));
    }
    line.push_str("  ");
    let _ = match &event.kind {
        EventKind::Started => write!(line, "started"),
        EventKind::Note { text } => write!(line, "note: {text}"),
        EventKind::Mark { lane, label } => write!(line, "{lane}: {label}"),
        EventKind::Measured { text } => write!(line, "measured: {text}"),
        EventKind::Log {
            level,
            target,
            message,
            fields,
        } => {
            let _ = write!(line, "{level} {target}: {message}");
            for (name, value) in fields {
                let _ = write!(line, " {name}={value}");
            }
            Ok(())
        }
        EventKind::FaultInjected { fault } => write!(line, "fault {} injected: {fault}", fault.id),
        EventKind::FaultLeftOut { fault } => write!(line, "fault {} left out: {fault}", fault.id),
        EventKind::FaultUndone { id, result } => write!(line, "fault {id} {result}"),
        EventKind::OracleReached { oracle, holds } => {
            let how = if *holds { "holds" } else { "does not hold" };
            write!(line, "{how}: {oracle}")
        }
        EventKind::Explored {
            calls,
            points,
            states,
            ..
        } => write!(
            line,
            "explored {calls} calls: {points} points, {states} states after a loss of power"
        ),
        EventKind::ClockAdvanced { by_us } => {
            write!(line, "clock advanced by {}", milliseconds(*by_us))
        }
        EventKind::Blocked { for_us } => write!(
            line,
            "the body kept all tasks waiting for {} of real time",
            milliseconds(*for_us)
        ),
        EventKind::Panicked {
            message,
            location,
            expected,
        } => write!(
            line,
            "{}panic on thread '{}' at {}: {message}",
            if *expected { "expected " } else { "" },
            event.thread,
            location.as_deref().unwrap_or("an unknown place")
        ),
        EventKind::Skipped { reason } => write!(line, "skipped: {reason}"),
        EventKind::LeakAllowed { what } => write!(line, "may leave behind: {what}"),
        EventKind::AskedToEnd => write!(line, "asked to end"),
        EventKind::LeftBehind {
            threads,
            descriptors,
        } => write!(
            line,
            "left {} threads and {} descriptors behind",
            threads.len(),
            descriptors.len()
        ),
        EventKind::Finished { .. } => write!(line, "finished"),
        _ => write!(line, "something that this version does not know"),
    };
    line
}
