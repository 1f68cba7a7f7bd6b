//! Tests that misbehave, one in each way. Most of them fail, as they should.

mod calls;
mod chances;
mod clocks;
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
mod surroundings;
mod sweeps;
mod tags;

clarity_chaos::main!();
