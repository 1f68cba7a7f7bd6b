//! What all benchmarks share: medians and spreads of rounds, the verdict on an acceptance line, models of any
//! size, how much memory and processor time a process has had, how busy the machine is.

pub mod acceptance;
pub mod machine;
pub mod memory;
pub mod onnx;
pub mod processor;
pub mod statistics;
