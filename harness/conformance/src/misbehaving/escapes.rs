//! Tests that try to escape from the sandbox. Each fails when an attempt succeeds.
//!
//! The victim is a directory outside of the sandbox, which the caller creates and names in
//! `MISBEHAVING_VICTIM`. Attempts tagged `harmful` could harm other processes, and are skipped
//! outside of the sandbox.

mod deputies;
mod files;
mod metadata;
mod network;
mod privileges;
mod processes;

use clarity_chaos::{Context, Result};
use rustix::thread::capabilities;
use std::env;
use std::io;
use std::path::PathBuf;

/// The victim: `file`, `other`, `folder/`, `locked` (mode 000), `socket`.
fn victim() -> Result<PathBuf> {
    let directory =
        env::var_os("MISBEHAVING_VICTIM").ok_or("MISBEHAVING_VICTIM is not set to a directory")?;
    Ok(directory.into())
}

/// The errors that count as a refusal.
const REFUSALS: [(i32, &str); 7] = [
    (1, "EPERM"),
    (2, "ENOENT"),
    (13, "EACCES"),
    (30, "EROFS"),
    (101, "ENETUNREACH"),
    (111, "ECONNREFUSED"),
    // The limit of user namespaces is 0.
    (28, "ENOSPC"),
];

/// Skips an attempt that could harm other processes where the test has capabilities.
fn only_inside(cx: &Context) -> Result {
    if !capabilities(None)?.permitted.is_empty() {
        cx.skip("only ever tried in the sandbox")?;
    }
    Ok(())
}

/// Notes the error of a refused attempt, and fails when the attempt succeeded.
fn refused<T, E: Into<io::Error>>(cx: &Context, what: &str, attempt: Result<T, E>) -> Result {
    match attempt {
        Ok(_) => Err(format!("escaped: {what}").into()),
        Err(error) => {
            let error = error.into();
            let name = REFUSALS
                .iter()
                .find(|(number, _)| Some(*number) == error.raw_os_error())
                .map(|(_, name)| *name)
                .ok_or_else(|| format!("{what}: refused in an unknown way: {error}"))?;
            cx.note(format!("{what}: {name}"));
            Ok(())
        }
    }
}
