//! The contract of the harness. These tests must pass with every kind of isolation.

mod calls;
mod chances;
mod clocks;
mod console;
#[cfg(target_os = "linux")]
mod containment;
#[cfg(target_os = "linux")]
mod custom_faults;
mod datagrams;
#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(target_os = "linux")]
mod escapes;
#[cfg(target_os = "linux")]
mod explorations;
mod faults;
#[cfg(target_os = "linux")]
mod fixtures;
#[cfg(target_os = "linux")]
mod floods;
#[cfg(target_os = "linux")]
mod hangs;
#[cfg(target_os = "linux")]
mod hidden_processes;
#[cfg(target_os = "linux")]
mod hints;
#[cfg(target_os = "linux")]
mod history;
#[cfg(target_os = "linux")]
mod homes;
#[cfg(target_os = "linux")]
mod host_environment;
mod http;
#[cfg(unix)]
mod interruption;
#[cfg(target_os = "linux")]
mod jobs;
#[cfg(target_os = "linux")]
mod leaks;
mod libtest_flags;
#[cfg(target_os = "linux")]
mod limits;
mod links;
#[cfg(target_os = "linux")]
mod lost_files;
#[cfg(target_os = "linux")]
mod mount_namespace;
#[cfg(target_os = "linux")]
mod names;
mod oracles;
mod pages;
#[cfg(target_os = "linux")]
mod paused_sockets;
mod plans;
mod profiles;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
mod recordings;
#[cfg(target_os = "linux")]
mod refusals;
mod reports;
#[cfg(target_os = "linux")]
mod resources;
mod seeds;
mod selection;
#[cfg(target_os = "linux")]
mod snapshots;
#[cfg(target_os = "linux")]
mod socket_paths;
mod stress;
#[cfg(target_os = "linux")]
mod surroundings;
mod sweeps;
#[cfg(target_os = "linux")]
mod temporary_directory;
mod traces;
mod verdicts;
#[cfg(target_os = "linux")]
mod wall_clocks;
mod workflow_commands;

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds. Panics after a minute.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    until_or(condition, String::new);
}

/// Waits as [`until`] does. The panic message contains the result of `describe`.
#[track_caller]
pub(crate) fn until_or(condition: impl Fn() -> bool, describe: impl Fn() -> String) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "the condition did not hold within a minute: {}",
            describe()
        );
        thread::sleep(Duration::from_millis(5));
    }
}
