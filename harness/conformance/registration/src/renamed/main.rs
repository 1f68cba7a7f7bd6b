//! Chaos tests with unusual paths to the harness, included descriptions, or seeds from old names.

#![forbid(unsafe_code)]

mod descriptions;
mod paths;
mod seeds;

harness::main!();
