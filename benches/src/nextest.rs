//! Finding nextest, or installing it where that is asked for.

use crate::build::{cargo, root};
use crate::error::Error;
use std::env;
use std::path::PathBuf;
use std::process::Stdio;

const BINARY: &str = "cargo-nextest";

/// nextest, if it is on this machine: as this program installed it, as Cargo did, or as the `PATH` has it.
pub(crate) fn find() -> Option<PathBuf> {
    let name = format!("{BINARY}{}", env::consts::EXE_SUFFIX);
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    let path = env::var_os("PATH").unwrap_or_default();
    [Some(installed()), cargo_home]
        .into_iter()
        .flatten()
        .map(|folder| folder.join("bin"))
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(&name))
        .find(|file| file.is_file())
}

/// Builds and installs nextest into this workspace's target folder; Cargo tells of its progress.
pub(crate) fn install() -> Result<(), Error> {
    let mut command = cargo();
    command
        .args(["install", BINARY, "--locked", "--root"])
        .arg(installed())
        .stdin(Stdio::null());
    let told = format!("{command:?}");
    let status = command
        .status()
        .map_err(|error| Error::start(&told, error))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed {
        command: told,
        status,
        said: "its messages stand above".to_owned(),
    })
}

fn installed() -> PathBuf {
    root().join("target").join("nextest")
}
