//! Tests that try to escape from the sandbox. A test fails if an attempt succeeds.
//!
//! The attempts target a directory outside the sandbox. The caller creates this directory and names
//! it in `MISBEHAVING_VICTIM`. Tests tagged `harmful` could harm other processes, so these tests
//! are skipped outside the sandbox.

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

/// Returns the directory in `MISBEHAVING_VICTIM`.
///
/// The directory contains `file`, `other`, `folder/`, `locked` (mode 000), `shut/` and `socket`.
fn victim() -> Result<PathBuf> {
    let directory =
        env::var_os("MISBEHAVING_VICTIM").ok_or("MISBEHAVING_VICTIM is not set to a directory")?;
    Ok(directory.into())
}

/// The error numbers and names that count as a refusal.
const REFUSALS: [(i32, &str); 7] = [
    (1, "EPERM"),
    (2, "ENOENT"),
    (13, "EACCES"),
    (30, "EROFS"),
    (101, "ENETUNREACH"),
    (111, "ECONNREFUSED"),
    // The sandbox allows no user namespaces, so creating one fails with ENOSPC.
    (28, "ENOSPC"),
];

/// Skips the test if its process has capabilities. The test's attempts could then harm other
/// processes.
fn only_inside(cx: &Context) -> Result {
    if !capabilities(None)?.permitted.is_empty() {
        cx.skip("only ever tried in the sandbox")?;
    }
    Ok(())
}

/// Notes the name of the attempt's error. Fails if the attempt succeeded, or if the error is not in
/// `REFUSALS`.
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
