//! Implements `--list`: prints the tests with their tags and scenarios.

use crate::registration::TestCase;
use crate::runner::cli::Options;
use clarity_chaos_report::workflow_commands::{neutralize, neutralize_json};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Lists `tests` in the format of `--format`.
pub(crate) fn list(out: &mut impl Write, tests: &[&TestCase], options: &Options) -> io::Result<()> {
    if options.is_json() {
        list_as_json(out, tests)
    } else {
        list_as_text(out, tests, options.is_terse())
    }
}

/// Lists `tests`. The terse format, for tools, has only the line `NAME: test` for each test.
fn list_as_text(out: &mut impl Write, tests: &[&TestCase], terse: bool) -> io::Result<()> {
    for test in tests {
        writeln!(out, "{}: test", test.name())?;
        if !terse {
            if !test.tags().is_empty() {
                writeln!(out, "    [{}]", test.tags().join(", "))?;
            }
            for line in test.description().lines() {
                writeln!(out, "    {}", neutralize(line))?;
            }
        }
    }
    if !terse {
        let plural = if tests.len() == 1 { "" } else { "s" };
        writeln!(out, "\n{} test{plural}, 0 benchmarks", tests.len())?;
    }
    Ok(())
}

/// Lists `tests` as libtest's events, one per line.
fn list_as_json(out: &mut impl Write, tests: &[&TestCase]) -> io::Result<()> {
    writeln!(out, "{}", json!({ "type": "suite", "event": "discovery" }))?;
    for test in tests {
        let json = discovered(test).to_string();
        writeln!(out, "{}", neutralize_json(&json))?;
    }
    let completed = json!({
        "type": "suite",
        "event": "completed",
        "tests": tests.len(),
        "benchmarks": 0,
        "total": tests.len(),
        "ignored": 0,
    });
    writeln!(out, "{completed}")
}

fn discovered(test: &TestCase) -> Value {
    let (file, line, column) = test.location();
    json!({
        "type": "test",
        "event": "discovered",
        "name": test.name(),
        "ignore": false,
        "ignore_message": "",
        "source_path": file,
        // The attribute's place. Its end is not known, so the range is empty.
        "start_line": line,
        "start_col": column,
        "end_line": line,
        "end_col": column,
        "chaos": { "tags": test.tags(), "description": test.description() },
    })
}
