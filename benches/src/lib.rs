//! The code that all benchmarks share. The modules compute medians and spreads, check acceptance
//! lines and write models of any size. They also measure the memory and processor time of a
//! process, and print the machine's load average.

pub mod acceptance;
pub mod machine;
pub mod memory;
pub mod onnx;
pub mod processor;
pub mod statistics;
