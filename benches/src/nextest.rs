//! Finds or installs nextest.

use crate::build::{cargo, root};
use crate::error::Error;
use std::env;
use std::path::PathBuf;
use std::process::Stdio;

const BINARY: &str = "cargo-nextest";

/// Finds the binary of nextest. Searches the directory to which [`install`] installs nextest, then
/// Cargo's installation directory, then `PATH`.
pub(crate) fn find() -> Option<PathBuf> {
    let name = format!("{BINARY}{}", env::consts::EXE_SUFFIX);
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    let path = env::var_os("PATH").unwrap_or_default();
    [Some(installed()), cargo_home]
        .into_iter()
        .flatten()
        .map(|directory| directory.join("bin"))
        .chain(env::split_paths(&path))
        .map(|directory| directory.join(&name))
        .find(|file| file.is_file())
}

/// Builds nextest, and installs it in this workspace's target directory. Cargo prints its progress.
pub(crate) fn install() -> Result<(), Error> {
    let mut command = cargo();
    command
        .args(["install", BINARY, "--locked", "--root"])
        .arg(installed())
        .stdin(Stdio::null());
    let line = format!("{command:?}");
    let status = command
        .status()
        .map_err(|error| Error::start(&line, error))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed {
        command: line,
        status,
        output: "its messages are above".to_owned(),
    })
}

fn installed() -> PathBuf {
    root().join("target").join("nextest")
}
