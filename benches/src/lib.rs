//! Shared by all benchmarks: medians and spreads of rounds, acceptance lines, models of any size,
//! the memory and processor time of a process, the load of the machine.

pub mod acceptance;
pub mod machine;
pub mod memory;
pub mod onnx;
pub mod processor;
pub mod statistics;
