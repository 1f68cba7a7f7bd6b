//! Tests that misbehave, each in its own way. Most of them must fail.

mod calls;
mod chances;
mod clocks;
#[cfg(target_os = "linux")]
mod custom_faults;
mod endings;
#[cfg(target_os = "linux")]
mod escapes;
#[cfg(target_os = "linux")]
mod explorations;
mod faults;
#[cfg(target_os = "linux")]
mod hangs;
#[cfg(target_os = "linux")]
mod leaks;
#[cfg(target_os = "linux")]
mod limits;
mod links;
#[cfg(unix)]
mod neighbours;
mod oracles;
mod panics;
mod plans;
mod processes;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
mod resources;
mod stories;
mod sweeps;
mod tags;
mod test_environment;

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds, and returns an error after 20 seconds.
fn until(
    what: &str,
    mut condition: impl FnMut() -> clarity_chaos::Result<bool>,
) -> clarity_chaos::Result {
    let deadline = Instant::now() + PATIENCE;
    while !condition()? {
        if Instant::now() >= deadline {
            return Err(format!("{what}: not within {PATIENCE:?}").into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The limit of waits for events that must come, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

clarity_chaos::main!();
