//! Tests that misbehave, each in its own way. Most of them must fail.

mod calls;
mod chances;
mod clocks;
mod commands;
#[cfg(target_os = "linux")]
mod connecting;
#[cfg(target_os = "linux")]
mod custom_faults;
mod datagrams;
#[cfg(target_os = "linux")]
mod descriptors;
mod endings;
#[cfg(target_os = "linux")]
mod escapes;
#[cfg(target_os = "linux")]
mod explorations;
mod faults;
#[cfg(target_os = "linux")]
mod floods;
#[cfg(target_os = "linux")]
mod hangs;
#[cfg(target_os = "linux")]
mod hidden_processes;
#[cfg(target_os = "linux")]
mod homes;
mod http;
#[cfg(target_os = "linux")]
mod jobs;
#[cfg(target_os = "linux")]
mod leaks;
#[cfg(target_os = "linux")]
mod limits;
mod links;
#[cfg(target_os = "linux")]
mod lost_files;
#[cfg(target_os = "linux")]
mod names;
#[cfg(unix)]
mod neighbours;
mod oracles;
mod pacing;
mod panics;
#[cfg(target_os = "linux")]
mod paused_sockets;
mod plans;
mod processes;
mod profiles;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
mod recordings;
#[cfg(target_os = "linux")]
mod resources;
#[cfg(target_os = "linux")]
mod snapshots;
#[cfg(target_os = "linux")]
mod socket_paths;
mod stories;
#[cfg(target_os = "linux")]
mod surroundings;
mod sweeps;
mod tags;
#[cfg(target_os = "linux")]
mod temporary_directory;
mod test_environment;
mod waiting;
#[cfg(target_os = "linux")]
mod wall_clocks;

clarity_chaos::main!();
