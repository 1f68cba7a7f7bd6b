//! Tests that try to get out of the sandbox. Each fails, and says so, if it could.
//!
//! The victim is a folder outside, made by whoever runs these tests and named in `MISBEHAVING_VICTIM`. Those tagged `harmful` could do harm to others
//! outside of the sandbox, and are never tried there.

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

/// The folder outside: `file`, `other`, `folder/`, `locked` (mode 000), `socket`.
fn victim() -> Result<PathBuf> {
    let folder = env::var_os("MISBEHAVING_VICTIM").ok_or("MISBEHAVING_VICTIM names a folder")?;
    Ok(folder.into())
}

/// The ways for a system to say no.
const REFUSALS: [(i32, &str); 7] = [
    (1, "EPERM"),
    (2, "ENOENT"),
    (13, "EACCES"),
    (30, "EROFS"),
    (101, "ENETUNREACH"),
    (111, "ECONNREFUSED"),
    // What the kernel says when the number of user namespaces is limited to none.
    (28, "ENOSPC"),
];

/// Skips an attempt that could do harm to others, where the powers to do so are there.
fn only_inside(cx: &Context) -> Result {
    if !capabilities(None)?.permitted.is_empty() {
        cx.skip("only ever tried in the sandbox")?;
    }
    Ok(())
}

/// Notes how an attempt was refused, and fails if it was not.
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
