//! What every way of isolation must do.

mod calls;
mod chances;
mod clocks;
mod console;
#[cfg(target_os = "linux")]
mod containment;
#[cfg(target_os = "linux")]
mod escapes;
#[cfg(target_os = "linux")]
mod explorations;
mod faults;
#[cfg(target_os = "linux")]
mod hangs;
#[cfg(target_os = "linux")]
mod hints;
#[cfg(unix)]
mod interruption;
#[cfg(target_os = "linux")]
mod leaks;
#[cfg(target_os = "linux")]
mod limits;
mod links;
mod oracles;
mod pages;
mod plans;
#[cfg(target_os = "linux")]
mod programs;
mod reports;
#[cfg(target_os = "linux")]
mod resources;
mod seeds;
mod selection;
#[cfg(target_os = "linux")]
mod surroundings;
mod sweeps;
mod verdicts;

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds; what never comes fails after a minute.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    until_or(condition, String::new);
}

/// The same, with something to tell when it fails.
#[track_caller]
pub(crate) fn until_or(condition: impl Fn() -> bool, tell: impl Fn() -> String) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "it has not come true within a minute: {}",
            tell()
        );
        thread::sleep(Duration::from_millis(5));
    }
}
