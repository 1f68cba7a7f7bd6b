//! Turns off the telemetry of ONNX Runtime before the library is loaded.

use crate::onnxruntime_telemetry::{OFF, VARIABLE, is_off};

/// Executes this program once more, with the environment variable that turns the telemetry off.
/// Returns if the variable is already there.
///
/// # Errors
///
/// When the program cannot be executed again.
// A library reads the environment without synchronisation. So the variable must be there before
// this process begins: with other threads, setting it is not safe.
pub(super) fn turn_off() -> Result<(), String> {
    if is_off() {
        return Ok(());
    }
    execute_again().map_err(|why| {
        format!("ONNX Runtime needs {VARIABLE}={OFF} in the environment of this program: {why}")
    })
}

#[cfg(unix)]
fn execute_again() -> Result<(), String> {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// The variable that marks the second execution.
    const GUARD: &str = "CLARITY_TELEMETRY_OFF";

    if std::env::var_os(GUARD).is_some() {
        return Err(format!("it is missing in spite of {GUARD}"));
    }
    let program = super::vetting::this_program().map_err(|error| error.to_string())?;
    let mut command = Command::new(&program);
    let mut args = std::env::args_os();
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    command.args(args).env(VARIABLE, OFF).env(GUARD, OFF);
    let error = command.exec();
    Err(format!(
        "cannot execute {} again: {error}",
        program.display()
    ))
}

#[cfg(not(unix))]
fn execute_again() -> Result<(), String> {
    Err("this system cannot replace the program of a process, so set the variable".to_owned())
}
