//! Prints the machine's number of cores and load average.

use std::fs;
use std::thread::available_parallelism;

/// Prints a line with the number of cores and the load average of the last minute.
pub fn describe() {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().filter(|load| !load.is_empty());
    let cores = available_parallelism().map_or(0, usize::from);
    println!("machine: {cores} cores, load {}", load.unwrap_or("unknown"));
}
