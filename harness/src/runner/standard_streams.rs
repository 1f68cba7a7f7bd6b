//! Writes lines to standard output and standard error.
//!
//! The lines contain text of others: errors, paths, and names. So every line passes through
//! [`neutralize`]. Only the harness's own annotations are workflow commands.

use clarity_chaos_report::workflow_commands::neutralize;
use std::fmt::Arguments;
use std::io::{self, Write as _};

/// Writes a line to standard error. Ignores errors of the stream.
pub(crate) fn print_error(line: Arguments<'_>) {
    let line = format!("{line}\n");
    let _ = io::stderr().write_all(neutralize(&line).as_bytes());
}

/// Writes a line to standard output. Ignores errors of the stream.
pub(crate) fn print(line: Arguments<'_>) {
    let line = format!("{line}\n");
    let _ = io::stdout().write_all(neutralize(&line).as_bytes());
}

/// Writes workflow commands of the harness, each as a line. Ignores errors of the stream.
pub(crate) fn print_commands(commands: &[String], to_stderr: bool) {
    if commands.is_empty() {
        return;
    }
    // The last output of a test may be an incomplete line.
    let lines = format!("\n{}\n", commands.join("\n"));
    let _ = match to_stderr {
        true => io::stderr().write_all(lines.as_bytes()),
        false => io::stdout().write_all(lines.as_bytes()),
    };
}
