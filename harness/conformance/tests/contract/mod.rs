//! What every way of isolation must do.

mod clocks;
#[cfg(target_os = "linux")]
mod containment;
mod faults;
mod reports;
mod seeds;
mod selection;
mod verdicts;
