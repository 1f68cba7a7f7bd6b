//! The cost of a call through a closed circuit breaker, ours and three others, over a bare call.

mod calls;
mod ours;
mod peers;
mod report;
mod rounds;

use clap::Parser;
use clarity_benches::{acceptance, machine};

/// Measures the cost of a call through a closed circuit breaker: ours, three others, and none
///
/// Runs all breakers in turn (A B C A B C …), on one thread and on two at once, with no failures
/// and with 1 %, and compares them round by round. The cost of a call is the processor time of its
/// thread, so that other programs count as little as possible; waiting for a lock is not counted.
#[derive(Debug, Parser)]
#[command(name = "breaker")]
struct Options {
    /// Number of rounds; one more warms up
    #[arg(long, default_value_t = 51, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// Duration of each breaker's calls in each round, in milliseconds
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
