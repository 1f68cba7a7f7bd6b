//! The cost of a call through a closed circuit breaker, ours and three others, over a bare call.

mod calls;
mod ours;
mod peers;
mod report;
mod rounds;

use clap::Parser;
use clarity_benches::{acceptance, machine};

/// Measures what a call costs through a closed circuit breaker: ours and three others, beside the bare call
///
/// Runs all breakers in turn (A B C A B C …), on one thread and on two at once, with no failures and with 1 %, and compares them round by round.
/// A call's cost is the processor time of its thread, so that what else runs on the machine counts as little as possible; a thread that sleeps for
/// a lock pays nothing for that.
#[derive(Debug, Parser)]
#[command(name = "breaker")]
struct Options {
    /// How many rounds count; one more goes before them
    #[arg(long, default_value_t = 51, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// How long each breaker is called in each round, in milliseconds
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
