//! The circuit breaker's own files, compiled once more over other primitives than those of `src/breaker/primitives.rs`:
//! loom's, which try every interleaving of a few threads, and ones that count how often each is used.

#![expect(clippy::duplicate_mod, reason = "the primitives differ")]

mod cost;
mod interleavings;

#[path = "../../src/backoff.rs"]
mod backoff;

/// Stands in for the server's, with which configurations are refused.
struct ConfigError;

impl ConfigError {
    fn new(_: &'static str, _: &'static str, _: impl std::fmt::Display) -> Self {
        Self
    }
}
