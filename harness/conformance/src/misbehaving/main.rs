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
mod hidden_processes;
#[cfg(target_os = "linux")]
mod homes;
#[cfg(target_os = "linux")]
mod jobs;
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
#[cfg(target_os = "linux")]
mod socket_paths;
mod stories;
mod sweeps;
mod tags;
mod test_environment;
mod waiting;

clarity_chaos::main!();
