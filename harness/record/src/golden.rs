//! Checks that the JSON of records and results never changes. The file `tests/schema_2.json`
//! contains every field and every enum variant of the format.
//!
//! The module `values` builds each struct without `..`. A new field is therefore a compile error
//! until `values` sets the field. A new variant is a compile error until `values` lists the
//! variant.

mod values;

use self::values::golden;
use crate::{ClockKind, Isolation, Record, Results, TestTally, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

const FILE: &str = include_str!("../tests/schema_2.json");
const README: &str = include_str!("../README.md");

/// The content of `tests/schema_2.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Golden {
    record: Record,
    record_that_has_not_run: Record,
    verdicts: Vec<Verdict>,
    clocks: Vec<ClockKind>,
    isolations: Vec<Isolation>,
    results: Results,
}

#[test]
fn json_of_schema_2_never_changes() {
    let text = serde_json::to_string_pretty(&golden()).unwrap() + "\n";
    let lines = text.lines().zip(FILE.lines()).enumerate();
    for (number, (written, expected)) in lines {
        assert_eq!(written, expected, "line {} of schema_2.json", number + 1);
    }
    assert_eq!(text, FILE);
}

#[test]
fn golden_file_reads_back_to_the_same_values() {
    assert_eq!(serde_json::from_str::<Golden>(FILE).unwrap(), golden());
}

/// Adds the names of all fields in `value` to `names`. Also adds the variant names that the fields
/// `verdict`, `event`, `outcome` and `end` contain.
fn names_in<'a>(value: &'a Value, names: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                names.insert(name);
                match (name.as_str(), value) {
                    // The names inside these objects come from the user, and are not part of the
                    // format.
                    ("plan" | "fields" | "tests", _) => {}
                    ("verdict" | "event" | "outcome" | "end", Value::String(variant)) => {
                        names.insert(variant);
                    }
                    _ => names_in(value, names),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| names_in(value, names)),
        _ => {}
    }
}

#[test]
fn readme_documents_every_name_of_the_format() {
    let golden: Value = serde_json::from_str(FILE).unwrap();
    let mut names = BTreeSet::new();
    for document in ["record", "results", "verdicts"] {
        names_in(&golden[document], &mut names);
    }
    let tally = serde_json::to_value(TestTally::default()).unwrap();
    names_in(&tally, &mut names);
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !README.contains(&format!("`{name}`")))
        .collect();
    assert_eq!(missing, Vec::<&&str>::new());
    assert!(names.len() > 80, "{names:?}");
}
