//! What every way of isolation must do.

mod clocks;
#[cfg(target_os = "linux")]
mod containment;
#[cfg(target_os = "linux")]
mod escapes;
mod faults;
#[cfg(target_os = "linux")]
mod hangs;
#[cfg(unix)]
mod interruption;
#[cfg(target_os = "linux")]
mod leaks;
#[cfg(target_os = "linux")]
mod limits;
mod reports;
mod seeds;
mod selection;
mod verdicts;
