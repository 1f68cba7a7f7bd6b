//! State changes in the log: log events with the fields `from` and `to`.
//!
//! A subject is an object whose state changes. Each subject is identified by the log message of its
//! changes and by a name. The name is the value of the field `name`. Without this field, the name
//! consists of the values of all shared fields. A shared field occurs in every change with the same
//! message, in all records of the report.

use clarity_chaos_record::{Event, EventKind, Record};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A subject: an object of the code under test, with the changes of the object's state.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Subject<'a> {
    /// The message of the subject's changes, without a "changed" at the end.
    pub(crate) message: &'a str,
    /// The subject's name among the subjects with the same message. Empty if no field names the
    /// subject.
    pub(crate) name: String,
    /// The subject's changes, in order. There is at least one.
    pub(crate) changes: Vec<StateChange<'a>>,
}

/// A change of a subject's state.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct StateChange<'a> {
    /// The real time since the start of the test's process, in microseconds.
    pub(crate) at_us: u64,
    /// The virtual time since the start of the test, in microseconds. Absent under a real clock.
    pub(crate) virtual_us: Option<u64>,
    /// The state before the change.
    pub(crate) from: &'a str,
    /// The state after the change.
    pub(crate) to: &'a str,
    /// The fields that do not name the subject, such as `reason=circuit_open`.
    pub(crate) details: String,
}

type Fields = BTreeMap<String, String>;

/// For each message, the fields that all changes with this message have in common.
pub(crate) struct SharedFields<'a>(BTreeMap<&'a str, BTreeSet<&'a str>>);

impl<'a> SharedFields<'a> {
    /// Finds the shared fields of all state changes in these records.
    pub(crate) fn of(records: &'a [Record]) -> Self {
        let mut shared: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let timelines = records.iter().flat_map(|record| &record.timeline);
        for (_, message, fields) in timelines.filter_map(change) {
            let names = || fields.keys().map(String::as_str);
            shared
                .entry(message)
                .and_modify(|shared| shared.retain(|name| fields.contains_key(*name)))
                .or_insert_with(|| names().collect());
        }
        Self(shared)
    }

    fn contains(&self, message: &str, field: &str) -> bool {
        self.0
            .get(message)
            .is_some_and(|fields| fields.contains(field))
    }
}

/// Returns the subjects on a timeline, in the order of their first change.
pub(crate) fn subjects<'a>(timeline: &'a [Event], shared: &SharedFields<'_>) -> Vec<Subject<'a>> {
    let mut subjects: Vec<Subject<'_>> = Vec::new();
    for (event, message, fields) in timeline.iter().filter_map(change) {
        let names = |field: &str| match fields.contains_key("name") {
            true => field == "name",
            false => shared.contains(message, field),
        };
        let name: Vec<&str> = others(fields)
            .filter(|(field, _)| names(field))
            .map(|(_, value)| value)
            .collect();
        let name = name.join(" ");
        let details: Vec<String> = others(fields)
            .filter(|(field, _)| !names(field))
            .map(|(field, value)| format!("{field}={value}"))
            .collect();
        let change = StateChange {
            at_us: event.at_us,
            virtual_us: event.virtual_us,
            from: fields.get("from").map_or("", String::as_str),
            to: fields.get("to").map_or("", String::as_str),
            details: details.join(" "),
        };
        let message = short(message);
        let same = |subject: &&mut Subject<'_>| subject.message == message && subject.name == name;
        match subjects.iter_mut().find(same) {
            Some(subject) => subject.changes.push(change),
            None => subjects.push(Subject {
                message,
                name,
                changes: vec![change],
            }),
        }
    }
    subjects
}

/// Returns the event with its message and its fields, if the event is a state change.
fn change(event: &Event) -> Option<(&Event, &str, &Fields)> {
    match &event.kind {
        EventKind::Log {
            message, fields, ..
        } if fields.contains_key("from") && fields.contains_key("to") => {
            Some((event, message, fields))
        }
        _ => None,
    }
}

/// Returns all fields except `from` and `to`.
fn others(fields: &Fields) -> impl Iterator<Item = (&str, &str)> {
    fields
        .iter()
        .map(|(field, value)| (field.as_str(), value.as_str()))
        .filter(|(field, _)| !matches!(*field, "from" | "to"))
}

/// Removes "changed" or "has changed" from the end of a message: `circuit breaker changed` becomes
/// `circuit breaker`.
fn short(message: &str) -> &str {
    let short = message
        .strip_suffix(" has changed")
        .or_else(|| message.strip_suffix(" changed"));
    short.unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clarity_chaos_record::Seed;

    fn log(at_us: u64, message: &str, fields: &[(&str, &str)]) -> Event {
        let fields = fields.iter();
        let kind = EventKind::Log {
            level: "INFO".to_owned(),
            target: "shop".to_owned(),
            message: message.to_owned(),
            fields: fields
                .map(|(field, value)| ((*field).to_owned(), (*value).to_owned()))
                .collect(),
        };
        Event::new(at_us, "main", kind)
    }

    /// Creates the record of a case with these events.
    fn record(timeline: &[Event]) -> Record {
        let mut record = Record::new("a_test", Seed::new(1), Seed::new(2));
        record.timeline = timeline.to_vec();
        record
    }

    /// Returns the message, name and states of each subject in the first of these records.
    fn found(records: &[Record]) -> Vec<(String, String)> {
        let shared = SharedFields::of(records);
        let subjects = subjects(&records[0].timeline, &shared).into_iter();
        subjects
            .map(|subject| {
                let mut states = subject.changes[0].from.to_owned();
                for change in &subject.changes {
                    states.push_str(&format!(">{}", change.to));
                }
                (format!("{}/{}", subject.message, subject.name), states)
            })
            .collect()
    }

    fn row(subject: &str, states: &str) -> (String, String) {
        (subject.to_owned(), states.to_owned())
    }

    #[test]
    fn shared_fields_name_the_subject_and_others_do_not() {
        let timeline = [
            log(
                1,
                "breaker changed",
                &[
                    ("model", "a"),
                    ("from", "closed"),
                    ("to", "open"),
                    ("reason", "r"),
                ],
            ),
            log(
                2,
                "breaker changed",
                &[
                    ("model", "b"),
                    ("from", "closed"),
                    ("to", "open"),
                    ("reason", "r"),
                ],
            ),
            log(
                3,
                "breaker changed",
                &[("model", "a"), ("from", "open"), ("to", "closed")],
            ),
            log(4, "link has changed", &[("from", "up"), ("to", "down")]),
            log(5, "moved", &[("from", "x")]),
        ];
        let records = [record(&timeline)];
        assert_eq!(
            found(&records),
            [
                row("breaker/a", "closed>open>closed"),
                row("breaker/b", "closed>open"),
                row("link/", "up>down"),
            ]
        );
        let shared = SharedFields::of(&records);
        let details = &subjects(&timeline, &shared)[0].changes[0].details;
        assert_eq!(details, "reason=r");
    }

    #[test]
    fn field_name_alone_names_the_subject() {
        let timeline = [
            log(
                1,
                "job",
                &[
                    ("name", "j"),
                    ("from", "queued"),
                    ("to", "running"),
                    ("try", "1"),
                ],
            ),
            log(
                2,
                "job",
                &[
                    ("name", "j"),
                    ("from", "running"),
                    ("to", "done"),
                    ("try", "2"),
                ],
            ),
        ];
        assert_eq!(
            found(&[record(&timeline)]),
            [row("job/j", "queued>running>done")]
        );
    }

    #[test]
    fn changes_in_other_records_decide_which_fields_are_shared() {
        let open = |fields: &[(&str, &str)]| {
            let states = [("from", "closed"), ("to", "open"), ("job", "j")];
            record(&[log(1, "breaker", &[&states[..], fields].concat())])
        };
        let only = open(&[("reason", "r")]);
        assert_eq!(
            found(std::slice::from_ref(&only)),
            [row("breaker/j r", "closed>open")]
        );
        assert_eq!(found(&[only, open(&[])]), [row("breaker/j", "closed>open")]);
    }
}
