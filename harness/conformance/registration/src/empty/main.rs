//! A program that never mentions this package's library, so the library's test is not linked.

#![forbid(unsafe_code)]

harness::main!();
