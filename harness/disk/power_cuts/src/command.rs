//! Commands of the system.

use crate::error::{Error, Result};
use std::process::{Command, Stdio};

/// Runs a command, and returns its output without the last line break.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ended = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start {
            command: name.clone(),
            source,
        })?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).trim_end().to_owned());
    }
    Err(Error::Failed {
        command: name,
        status: ended.status,
        output: String::from_utf8_lossy(&ended.stderr).into_owned(),
    })
}
