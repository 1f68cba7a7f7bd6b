//! Tests that misbehave, one in each way. Most of them fail, as they should.

mod clocks;
mod endings;
mod faults;
mod panics;
mod processes;
mod surroundings;
mod tags;

clarity_chaos::main!();
