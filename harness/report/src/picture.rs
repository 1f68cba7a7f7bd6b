//! Draws the timeline of a case with characters, for places that show only text.

use crate::duration::{format_milliseconds, format_seconds};
use crate::state_changes::{SharedFields, StateChange, subjects};
use clarity_chaos_record::{Event, EventKind, Record};
use std::time::Duration;

/// The number of columns of the timeline, without the lanes' names.
const WIDTH: usize = 60;
/// The maximum number of lanes of each kind: faults, subjects and marks.
const MANY: usize = 8;
/// The maximum length of a lane's name, in characters. Longer names are cut.
const NAME: usize = 12;

/// Draws the timeline as lines of characters. Returns an empty text if there is nothing to draw.
///
/// - A fault is a bar from injection to undoing, followed by the fault's description.
/// - A subject of state changes is a row with the names of its states.
/// - A mark is `x` if its label begins with an HTTP status 5xx, or `!` if the label begins with
///   4xx. All other marks are `o`.
/// - A log event is `E` at the level error, `W` at the level warning, and `i` at other levels. A
///   note is `n`. A panic is `p`.
///
/// The axis shows virtual time if virtual time has passed, else real time.
pub(crate) fn render_picture(record: &Record, shared: &SharedFields<'_>) -> String {
    let scale = Scale::of(&record.timeline);
    let mut lanes = faults(record, &scale);
    lanes.extend(states(&record.timeline, shared, &scale));
    lanes.extend(marks(&record.timeline, &scale));
    for (name, mark) in [
        ("logs", log_mark as fn(&EventKind) -> Option<char>),
        ("notes", note_mark),
        ("panics", panic_mark),
    ] {
        lanes.extend(sparse_lane(name, &record.timeline, &scale, mark));
    }
    if lanes.is_empty() {
        return String::new();
    }
    lanes.insert(0, scale.axis());
    lanes.join("\n")
}

/// Maps the time of an event to a column.
struct Scale {
    is_virtual: bool,
    end_us: u64,
}

impl Scale {
    fn of(timeline: &[Event]) -> Self {
        let is_virtual = timeline.iter().any(|event| event.virtual_us > Some(0));
        let mut scale = Self {
            is_virtual,
            end_us: 1,
        };
        let last = timeline.iter().map(|event| scale.time(event)).max();
        scale.end_us = last.unwrap_or(0).max(1);
        scale
    }

    fn time(&self, event: &Event) -> u64 {
        self.choose(event.at_us, event.virtual_us)
    }

    fn choose(&self, at_us: u64, virtual_us: Option<u64>) -> u64 {
        match self.is_virtual {
            true => virtual_us.unwrap_or(0),
            false => at_us,
        }
    }

    fn column(&self, event: &Event) -> usize {
        self.column_of(self.time(event))
    }

    fn column_of_change(&self, change: &StateChange<'_>) -> usize {
        self.column_of(self.choose(change.at_us, change.virtual_us))
    }

    fn column_of(&self, time: u64) -> usize {
        let share = time as f64 / self.end_us as f64;
        (share * (WIDTH - 1) as f64) as usize
    }

    fn axis(&self) -> String {
        let end = match self.end_us {
            0..1_000_000 => format_milliseconds(self.end_us),
            _ => format_seconds(Duration::from_micros(self.end_us)),
        };
        let fill = WIDTH.saturating_sub(3 + end.chars().count());
        let kind = if self.is_virtual { " (virtual)" } else { "" };
        format!("{:NAME$} 0 {:─<fill$} {end}{kind}", "", "")
    }
}

fn lane(name: &str, drawn: &str) -> String {
    let name: String = name.chars().take(NAME).collect();
    format!("{name:NAME$} {drawn}")
}

fn faults(record: &Record, scale: &Scale) -> Vec<String> {
    let timeline = &record.timeline;
    let mut lanes = Vec::new();
    for fault in record.faults.iter().take(MANY) {
        let injected = |event: &&Event| matches!(&event.kind, EventKind::FaultInjected { fault: other } if other.id == fault.id);
        let undone = |event: &&Event| matches!(&event.kind, EventKind::FaultUndone { fault_id, .. } if *fault_id == fault.id);
        let column = |event| scale.column(event);
        let from = timeline.iter().find(injected).map_or(0, column);
        let to = timeline.iter().rfind(undone);
        let to = to.map_or(WIDTH - 1, column).max(from);
        let bar = (0..WIDTH).map(|place| match (from..=to).contains(&place) {
            true => '█',
            false => '·',
        });
        let drawn = format!("{} {}", String::from_iter(bar), fault.description);
        lanes.push(lane(&format!("fault {}", fault.id), &drawn));
    }
    if record.faults.len() > MANY {
        lanes.push(format!("{} more faults", record.faults.len() - MANY));
    }
    lanes
}

/// Draws a row of states for each subject: `│closed───│open─────│half_open─│closed`.
fn states(timeline: &[Event], shared: &SharedFields<'_>, scale: &Scale) -> Vec<String> {
    let drawn = subjects(timeline, shared)
        .into_iter()
        .take(MANY)
        .map(|subject| {
            let changes = subject.changes.iter();
            let mut states = vec![(0, subject.changes[0].from)];
            states.extend(changes.map(|change| (scale.column_of_change(change), change.to)));
            let mut line = vec!['─'; WIDTH];
            for (place, (from, state)) in states.iter().enumerate() {
                let next = states.get(place + 1).map_or(WIDTH, |(column, _)| *column);
                let room = line.get_mut(*from..next).into_iter().flatten();
                let name = std::iter::once('│').chain(state.chars());
                room.zip(name.chain(std::iter::repeat('─')))
                    .for_each(|(place, character)| *place = character);
            }
            let name = match subject.name.as_str() {
                "" => subject.message,
                name => name,
            };
            lane(name, &String::from_iter(line))
        });
    drawn.collect()
}

/// Draws a lane for each lane name of the test's marks (`Context::mark`). The character of a mark
/// depends on the HTTP status at the beginning of the mark's label.
fn marks(timeline: &[Event], scale: &Scale) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for event in timeline {
        if let EventKind::Mark { lane, .. } = &event.kind
            && !names.contains(&lane.as_str())
        {
            names.push(lane);
        }
    }
    let drawn = names.into_iter().take(MANY).filter_map(|name| {
        sparse_lane(name, timeline, scale, |kind| match kind {
            EventKind::Mark { lane, label } if lane == name => Some(match label.as_bytes() {
                [b'5', b'0'..=b'9', b'0'..=b'9', ..] => 'x',
                [b'4', b'0'..=b'9', b'0'..=b'9', ..] => '!',
                _ => 'o',
            }),
            _ => None,
        })
    });
    drawn.collect()
}

/// Draws a lane with the characters that `mark` returns for the events. Returns `None` if `mark`
/// returns no character for any event.
fn sparse_lane(
    name: &str,
    timeline: &[Event],
    scale: &Scale,
    mark: impl Fn(&EventKind) -> Option<char>,
) -> Option<String> {
    let mut drawn = vec!['·'; WIDTH];
    let mut is_empty = true;
    for event in timeline {
        if let Some(mark) = mark(&event.kind) {
            is_empty = false;
            let place = &mut drawn[scale.column(event)];
            // Of two marks in one column, the worse one is shown.
            *place = worse(*place, mark);
        }
    }
    (!is_empty).then(|| lane(name, &String::from_iter(drawn)))
}

fn log_mark(kind: &EventKind) -> Option<char> {
    match kind {
        EventKind::Log { level, .. } => Some(match level.as_str() {
            "ERROR" => 'E',
            "WARN" => 'W',
            _ => 'i',
        }),
        _ => None,
    }
}

fn note_mark(kind: &EventKind) -> Option<char> {
    matches!(kind, EventKind::Note { .. } | EventKind::Measured { .. }).then_some('n')
}

fn panic_mark(kind: &EventKind) -> Option<char> {
    matches!(kind, EventKind::Panicked { .. }).then_some('p')
}

fn worse(one: char, other: char) -> char {
    let rank = |mark| "·noi!WxEp".chars().position(|known| known == mark);
    if rank(other) >= rank(one) { other } else { one }
}
