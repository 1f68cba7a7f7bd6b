//! Cuts the power of real file systems, and compares the disks with the models.

#![expect(
    clippy::mutable_key_type,
    reason = "a snapshot changes only the hashes that it keeps, not its value"
)]
#![forbid(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("only Linux has the file systems whose power is cut");

mod admissible;
mod background;
mod calls;
mod campaign;
mod command;
mod device;
mod error;
mod file_system;
mod fuse;
mod image;
mod moments;
mod options;
mod recorder;
mod shown;
mod tree;
mod trial;

#[path = "../../tests/programs/mod.rs"]
#[expect(dead_code, reason = "the tests of the models use the rest")]
mod programs;
#[path = "../../tests/reference/mod.rs"]
#[expect(dead_code, reason = "the tests of the models use the rest")]
mod reference;

use campaign::Campaign;
use clap::Parser as _;
use error::{Error, Result};
use file_system::FileSystem;
use options::Options;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Set in the process that has a mount namespace of its own.
const NAMESPACE: &str = "POWER_CUTS_NAMESPACE";

fn main() -> ExitCode {
    let options = Options::parse();
    match try_all(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Tries all file systems. Returns whether each state was one of the models.
fn try_all(options: &Options) -> Result<bool> {
    let chosen = if options.file_systems.is_empty() {
        FileSystem::ALL.to_vec()
    } else {
        options.file_systems.clone()
    };
    let mut available = Vec::new();
    let mut is_good = true;
    for file_system in chosen {
        match missing(file_system) {
            None => available.push(file_system),
            Some(reason) => {
                println!("{}: skipped: {reason}", file_system.name());
                is_good &= !options.require;
            }
        }
    }
    if available.is_empty() {
        return Ok(is_good);
    }
    enter_namespace()?;
    rustix::process::umask(rustix::fs::Mode::empty());
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).map_err(|source| {
            Error::Start {
                command: "a handler of signals".to_owned(),
                source,
            }
        })?;
    }
    for file_system in available {
        is_good &= Campaign::new(file_system, options).run(&interrupted)?;
    }
    Ok(is_good)
}

/// Returns the reason why this file system cannot be tried.
fn missing(file_system: FileSystem) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can mount file systems".to_owned());
    }
    let missing = |path: &&str| !std::path::Path::new(path).exists();
    let devices = ["/dev/fuse", "/dev/loop-control"];
    match devices.into_iter().find(missing) {
        Some(path) => Some(format!("there is no {path}")),
        None => file_system.missing(),
    }
}

/// Starts this program again in a mount namespace of its own.
///
/// No other process can keep a file system of ours mounted. The kernel unmounts all of them when
/// the process ends.
fn enter_namespace() -> Result<()> {
    if std::env::var_os(NAMESPACE).is_some() {
        return Ok(());
    }
    let failed = |source| Error::Start {
        command: "unshare".to_owned(),
        source,
    };
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]);
    command.arg(program).args(std::env::args_os().skip(1));
    Err(failed(command.env(NAMESPACE, "1").exec()))
}
