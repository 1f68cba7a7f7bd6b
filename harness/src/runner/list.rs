//! Implements `--list`: prints the tests with their tags and scenarios.

use crate::registration::TestCase;
use clarity_chaos_report::workflow_commands::neutralize;
use std::io::{self, Write};

/// Lists `tests`. The terse format, for tools, has only the line `NAME: test` for each test.
pub(crate) fn list(out: &mut impl Write, tests: &[&TestCase], terse: bool) -> io::Result<()> {
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
