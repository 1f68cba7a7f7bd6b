//! The timeline of a case as a small picture of characters, for places that show nothing else.

use super::milliseconds;
use crate::record::Record;
use crate::timeline::{Event, What};

/// How many characters are the whole time.
const WIDTH: usize = 60;
/// How many faults are drawn.
const FAULTS: usize = 8;
/// The longest name of a lane.
const NAME: usize = 10;

/// Faults as bars from injection to undoing, and below them what was logged and said: `E`, `W` and `i` by level, `p` a panic, `n` a note. By virtual time where
/// that has passed, else by real time.
pub(crate) fn picture(record: &Record) -> String {
    let is_virtual = record
        .timeline
        .iter()
        .any(|event| event.virtual_us > Some(0));
    let at = |event: &Event| match is_virtual {
        true => event.virtual_us.unwrap_or(0),
        false => event.at_us,
    };
    let end = record.timeline.iter().map(at).max().unwrap_or(0).max(1);
    let column = |event: &Event| {
        let share = at(event) as f64 / end as f64;
        (share * (WIDTH - 1) as f64) as usize
    };
    let kind = if is_virtual { " (virtual)" } else { "" };
    let end = milliseconds(end);
    let mut lines = vec![format!(
        "{:NAME$} 0 {:─<fill$} {end}{kind}",
        "",
        "",
        fill = WIDTH.saturating_sub(3 + end.len()),
    )];
    for fault in record.faults.iter().take(FAULTS) {
        let injected = |event: &&Event| matches!(&event.what, What::FaultInjected { fault: other } if other.id == fault.id);
        let undone =
            |event: &&Event| matches!(&event.what, What::FaultUndone { id, .. } if *id == fault.id);
        let from = record.timeline.iter().find(injected).map_or(0, column);
        let to = record.timeline.iter().rfind(undone);
        let to = to.map_or(WIDTH - 1, column).max(from);
        let bar: String = (0..WIDTH)
            .map(|place| {
                if (from..=to).contains(&place) {
                    '█'
                } else {
                    '·'
                }
            })
            .collect();
        let (name, sentence) = (format!("fault {}", fault.id), &fault.sentence);
        lines.push(format!("{name:NAME$} {bar} {sentence}"));
    }
    if record.faults.len() > FAULTS {
        lines.push(format!("{} more faults", record.faults.len() - FAULTS));
    }
    for (name, mark) in [
        ("logs", log_mark as fn(&What) -> Option<char>),
        ("notes", note_mark),
        ("panics", panic_mark),
    ] {
        let mut lane = vec!['·'; WIDTH];
        let mut is_empty = true;
        for event in &record.timeline {
            if let Some(mark) = mark(&event.what) {
                is_empty = false;
                let place = &mut lane[column(event)];
                // The worse one hides the other.
                *place = worse(*place, mark);
            }
        }
        if !is_empty {
            lines.push(format!("{name:NAME$} {}", String::from_iter(lane)));
        }
    }
    lines.join("\n")
}

fn log_mark(what: &What) -> Option<char> {
    match what {
        What::Log { level, .. } => Some(match level.as_str() {
            "ERROR" => 'E',
            "WARN" => 'W',
            _ => 'i',
        }),
        _ => None,
    }
}

fn note_mark(what: &What) -> Option<char> {
    matches!(what, What::Note { .. } | What::Measured { .. }).then_some('n')
}

fn panic_mark(what: &What) -> Option<char> {
    matches!(what, What::Panicked { .. }).then_some('p')
}

fn worse(one: char, other: char) -> char {
    let rank = |mark| "·niWEp".chars().position(|known| known == mark);
    if rank(other) >= rank(one) { other } else { one }
}
