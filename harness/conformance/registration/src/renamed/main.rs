//! Chaos tests that reach the harness by other paths, have included descriptions, or keep the seed
//! of an old name.

#![forbid(unsafe_code)]

mod descriptions;
mod paths;
mod seeds;

harness::main!();
