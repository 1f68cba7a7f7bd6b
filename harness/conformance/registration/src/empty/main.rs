//! A program that never mentions the library of its package, and so has none of its tests.

#![forbid(unsafe_code)]

harness::main!();
