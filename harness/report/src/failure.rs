//! Renders a failed case as text: verdict, faults, events, output, and the replay command.

use crate::auto_advance::render_auto_advance;
use crate::duration::format_milliseconds;
use crate::excerpt::quoted;
use crate::exploration::render_exploration;
use crate::hints::hints;
use crate::workflow_commands::PREFIX;
use clarity_chaos_record::{Event, EventKind, Record, SeenOracle};
use std::fmt::Write as _;

/// The maximum number of events in the text, counted from the end of the timeline.
const EVENTS: usize = 20;
/// The maximum number of output bytes in the text, counted from the end of the output.
const OUTPUT: usize = 4096;
/// The maximum number of lines in each other section.
const LINES: usize = 50;
/// The indentation of a section's lines.
const INDENTATION: &str = "    ";

/// Renders a failed case: the verdict, then a titled section for each non-empty part of the
/// record. The sections show at most the last 20 events and the last 4096 bytes of the output.
///
/// A text over 8 KiB is cut in its middle. Each line of the output begins with `| `, and so does
/// each further line of other texts that the harness did not write.
#[must_use]
pub fn render_failure(record: &Record) -> String {
    let mut text = quoted(&record.verdict.to_string(), INDENTATION);
    section(&mut text, "scenario", record.description.lines());
    section(
        &mut text,
        "faults",
        record
            .faults
            .iter()
            .map(|fault| format!("{}. {fault}", fault.id)),
    );
    let minimized = record.minimized.iter().map(|least| &least.description);
    section(&mut text, "minimised", minimized);
    section(
        &mut text,
        "still in effect when the test's process ended (restore targets outside of its directory by hand)",
        record.faults_in_effect().map(ToString::to_string),
    );
    section(
        &mut text,
        "threads when the test was asked to end",
        record.hung_threads.iter().map(ToString::to_string),
    );
    section(&mut text, "hint", hints(record));
    section(&mut text, "left behind", record.leaks.lines());
    section(&mut text, "left behind and allowed", &record.leaks.allowed);

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
        record.timeline[hidden..].iter().map(render_event),
    );

    let shown = record.output.tail(OUTPUT);
    let total = record.output.total_bytes;
    let title = match record.output.omitted_bytes {
        0 if shown.len() == record.output.text.len() => "output".to_owned(),
        0 => format!("output (the end of {total} bytes; all of it is in the record)"),
        omitted => format!(
            "output (the end of {total} bytes; the record has all but {omitted} bytes from the middle)"
        ),
    };
    let output = shown.lines().map(|line| format!("{PREFIX}{line}"));
    add_section(&mut text, &title, output, usize::MAX);

    if let Some(kept) = &record.kept_dir {
        section(&mut text, "kept", [kept.display().to_string()]);
    }
    let again = match record.unrepeated {
        Some(_) => "again (a second run with this seed did not fail in the same way)",
        None => "again",
    };
    section(&mut text, again, [&record.replay_command]);
    text
}

/// Renders a flaky case in one line. Adds a line for each kept directory of a failed attempt.
#[must_use]
pub fn render_flaky(record: &Record) -> String {
    let attempts = record.failed_attempts.len();
    let first = record.failed_attempts.first();
    let why = first.map_or(String::new(), |failed| {
        quoted(&failed.verdict.to_string(), INDENTATION)
    });
    let kept = record
        .failed_attempts
        .iter()
        .filter_map(|failed| failed.kept_dir.as_ref());
    let kept: String = kept
        .map(|path| format!("\n    kept: {}", path.display()))
        .collect();
    format!(
        "flaky: {} passed at attempt {}, with the same seed; at first: {why}{kept}",
        record.name,
        attempts + 1
    )
}

/// Adds `title` and the indented `lines` to `text`, but at most [`LINES`] of them. Adds nothing if
/// there are no lines.
fn section(text: &mut String, title: &str, lines: impl IntoIterator<Item = impl AsRef<str>>) {
    add_section(text, title, lines, LINES);
}

fn add_section(
    text: &mut String,
    title: &str,
    lines: impl IntoIterator<Item = impl AsRef<str>>,
    limit: usize,
) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        return;
    }
    let _ = write!(text, "\n  {title}:");
    for line in lines.by_ref().take(limit) {
        let line = quoted(line.as_ref(), INDENTATION);
        let _ = write!(text, "\n{INDENTATION}{line}");
    }
    match lines.count() {
        0 => {}
        more => {
            let _ = write!(
                text,
                "\n{INDENTATION}… and {more} more, which are in the record"
            );
        }
    }
}

/// Renders an event as a line, such as `+12.345 ms  note: …`.
fn render_event(event: &Event) -> String {
    let mut line = format!("+{}", format_milliseconds(event.at_us));
    if let Some(virtual_us) = event.virtual_us {
        let _ = write!(line, " (virtual +{})", format_milliseconds(virtual_us));
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
        EventKind::FaultOmitted { fault } => write!(line, "fault {} left out: {fault}", fault.id),
        EventKind::FaultUndone { fault_id, outcome } => {
            write!(line, "fault {fault_id} {outcome}")
        }
        EventKind::OracleReached { oracle, holds } => {
            let how = if *holds { "holds" } else { "does not hold" };
            write!(line, "{how}: {oracle}")
        }
        kind @ EventKind::Explored { .. } => {
            let extent = render_exploration(kind).unwrap_or_default();
            write!(line, "explored {}", extent.replace('\n', "; "))
        }
        EventKind::Exploring { progress } => write!(line, "was exploring, {progress}"),
        EventKind::ClockAdvanced { by_us } => {
            write!(line, "clock advanced by {}", format_milliseconds(*by_us))
        }
        EventKind::WallClockFollows { start } => {
            write!(line, "the wall clock follows the clock from {start} on")
        }
        EventKind::AutoAdvanced { .. } => write!(
            line,
            "{}",
            render_auto_advance(&event.kind).unwrap_or_default()
        ),
        EventKind::Blocked { duration_us } => write!(
            line,
            "the body blocked all tasks for {} of real time",
            format_milliseconds(*duration_us)
        ),
        EventKind::Suspended { duration_us } => write!(
            line,
            "stopped with the run (Ctrl-Z) for {} of real time",
            format_milliseconds(*duration_us)
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
        EventKind::LeakAllowed { pattern } => write!(line, "leaks allowed: {pattern}"),
        EventKind::TerminationRequested => write!(line, "asked to end"),
        EventKind::Leaked {
            threads,
            descriptors,
        } => write!(
            line,
            "left {} threads and {} descriptors behind",
            threads.len(),
            descriptors.len()
        ),
        EventKind::Finished { .. } => write!(line, "finished"),
        _ => write!(line, "an event that this version does not know"),
    };
    line
}
