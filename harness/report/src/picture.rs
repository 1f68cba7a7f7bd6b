//! The timeline of a case as a small picture of characters, for places that show nothing else.

use crate::duration::{milliseconds, seconds};
use clarity_chaos_record::{Event, EventKind, Record};
use std::time::Duration;

/// How many characters are the whole time.
const WIDTH: usize = 60;
/// How many lanes of each kind are drawn.
const MANY: usize = 8;
/// The longest name of a lane.
const NAME: usize = 12;

/// Faults as bars from injection to undoing; what changes its state with the states' names; marks, `o` for what went well, `x` for what did not, `!` for what
/// was refused; and what was logged and said: `E`, `W` and `i` by level, `p` a panic, `n` a note. By virtual time where that has passed, else by real time. Empty when
/// there is nothing of all that.
pub(crate) fn picture(record: &Record) -> String {
    let scale = Scale::of(&record.timeline);
    let mut lanes = faults(record, &scale);
    lanes.extend(states(&record.timeline, &scale));
    lanes.extend(marks(&record.timeline, &scale));
    for (name, mark) in [
        ("logs", log_mark as fn(&EventKind) -> Option<char>),
        ("notes", note_mark),
        ("panics", panic_mark),
    ] {
        lanes.extend(sown(name, &record.timeline, &scale, mark));
    }
    if lanes.is_empty() {
        return String::new();
    }
    lanes.insert(0, scale.axis());
    lanes.join("\n")
}

/// Which character a moment is at.
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
        let last = timeline.iter().map(|event| scale.at(event)).max();
        scale.end_us = last.unwrap_or(0).max(1);
        scale
    }

    fn at(&self, event: &Event) -> u64 {
        match self.is_virtual {
            true => event.virtual_us.unwrap_or(0),
            false => event.at_us,
        }
    }

    fn column(&self, event: &Event) -> usize {
        let share = self.at(event) as f64 / self.end_us as f64;
        (share * (WIDTH - 1) as f64) as usize
    }

    fn axis(&self) -> String {
        let end = match self.end_us {
            0..1_000_000 => milliseconds(self.end_us),
            _ => seconds(Duration::from_micros(self.end_us)),
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
        let undone = |event: &&Event| matches!(&event.kind, EventKind::FaultUndone { id, .. } if *id == fault.id);
        let column = |event| scale.column(event);
        let from = timeline.iter().find(injected).map_or(0, column);
        let to = timeline.iter().rfind(undone);
        let to = to.map_or(WIDTH - 1, column).max(from);
        let bar = (0..WIDTH).map(|place| match (from..=to).contains(&place) {
            true => '█',
            false => '·',
        });
        let drawn = format!("{} {}", String::from_iter(bar), fault.sentence);
        lanes.push(lane(&format!("fault {}", fault.id), &drawn));
    }
    if record.faults.len() > MANY {
        lanes.push(format!("{} more faults", record.faults.len() - MANY));
    }
    lanes
}

/// EventKind logs tell of changes of state, with the fields `from` and `to`: `│closed───│open─────│half_open─│closed`.
fn states(timeline: &[Event], scale: &Scale) -> Vec<String> {
    let mut lanes: Vec<(&str, Vec<(usize, &str)>)> = Vec::new();
    for event in timeline {
        let EventKind::Log {
            message, fields, ..
        } = &event.kind
        else {
            continue;
        };
        let (Some(from), Some(to)) = (fields.get("from"), fields.get("to")) else {
            continue;
        };
        let name = fields.get("model").or(fields.get("name"));
        let name = name.unwrap_or(message).as_str();
        let place = match lanes.iter().position(|(known, _)| *known == name) {
            Some(place) => place,
            None => {
                lanes.push((name, vec![(0, from)]));
                lanes.len() - 1
            }
        };
        lanes[place].1.push((scale.column(event), to));
    }
    let drawn = lanes.into_iter().take(MANY).map(|(name, states)| {
        let mut line = vec!['─'; WIDTH];
        for (place, (from, state)) in states.iter().enumerate() {
            let next = states.get(place + 1).map_or(WIDTH, |(column, _)| *column);
            let room = line.get_mut(*from..next).into_iter().flatten();
            let name = std::iter::once('│').chain(state.chars());
            room.zip(name.chain(std::iter::repeat('─')))
                .for_each(|(place, character)| *place = character);
        }
        lane(name, &String::from_iter(line))
    });
    drawn.collect()
}

/// EventKind `Context::mark` has put into lanes, by the class of its status.
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
        sown(name, timeline, scale, |what| match what {
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

/// A lane with a character for each event that has one; none if no event has.
fn sown(
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
            // The worse one hides the other.
            *place = worse(*place, mark);
        }
    }
    (!is_empty).then(|| lane(name, &String::from_iter(drawn)))
}

fn log_mark(what: &EventKind) -> Option<char> {
    match what {
        EventKind::Log { level, .. } => Some(match level.as_str() {
            "ERROR" => 'E',
            "WARN" => 'W',
            _ => 'i',
        }),
        _ => None,
    }
}

fn note_mark(what: &EventKind) -> Option<char> {
    matches!(what, EventKind::Note { .. } | EventKind::Measured { .. }).then_some('n')
}

fn panic_mark(what: &EventKind) -> Option<char> {
    matches!(what, EventKind::Panicked { .. }).then_some('p')
}

fn worse(one: char, other: char) -> char {
    let rank = |mark| "·noi!WxEp".chars().position(|known| known == mark);
    if rank(other) >= rank(one) { other } else { one }
}
