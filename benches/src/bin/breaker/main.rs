//! Measures the additional cost of a call through a closed circuit breaker, compared with a bare
//! call. The breakers are ours and those of three other libraries.

mod calls;
mod ours;
mod peers;
mod report;
mod rounds;

use clap::Parser;
use clarity_benches::{acceptance, machine};

/// Measures the cost of a call through a closed circuit breaker: ours, three others, and none
///
/// Each round runs all breakers in turn (A B C A B C …). It first uses one thread, then two
/// concurrent threads. For each thread count, no calls fail at first, and 1 % of the calls fail
/// later. Results are compared within a round. The cost of a call is the processor time of its
/// thread, so other programs matter little. Waiting for a lock is not counted.
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
