//! The cost of a call through a closed circuit breaker, ours and those of peers.

#[path = "../../../../src/backoff.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "what only the server needs"))]
mod backoff;
mod calls;
mod ours;
mod peers;
mod report;
mod rounds;

use clap::Parser;
use clarity_benches::{acceptance, machine};

/// A placeholder for the server's error of invalid configurations.
struct ConfigError;

impl ConfigError {
    fn new(_: &'static str, _: &'static str, _: impl std::fmt::Display) -> Self {
        Self
    }
}

/// Measures the cost of a call through a closed circuit breaker: ours, three others, and none
///
/// Runs all breakers in turn (A B C A B C …), on one thread and on two, without failures and with
/// 1 %, and compares them round by round. The cost of a call is the processor time of its thread,
/// so that other load matters little. Sleeping for a lock costs nothing in this measure.
#[derive(Debug, Parser)]
#[command(name = "breaker")]
struct Options {
    /// The number of rounds that count, after one that does not
    #[arg(long, default_value_t = 51, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// The time of each breaker in each round, in milliseconds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    milliseconds: u64,
}

fn main() {
    let options = Options::parse();
    machine::describe();
    let measured = rounds::measure(options.rounds, options.milliseconds);
    report::times(&measured);
    acceptance::report(&report::lines(&measured));
    machine::describe();
}
