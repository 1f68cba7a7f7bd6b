//! The cost of a dormant oracle in a loop, over the same loop without one.

mod loops;
mod report;
mod rounds;

use clap::Parser;
use clarity_benches::{acceptance, machine};

/// Measures the cost of an `always!` that nobody listens to, over an empty loop
///
/// Runs three loops in turn (A B C A B C …) and compares them round by round: an empty one, one with
/// a dormant oracle, and the same one with a sink that listens. The cost of an iteration is the
/// processor time of the thread, so that other work on the machine counts as little as possible. The
/// run fails when a dormant oracle evaluates its condition, or a listening sink does not get it.
#[derive(Debug, Parser)]
#[command(name = "oracle")]
struct Options {
    /// How many rounds count; one more precedes them
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// How many iterations a loop makes in a round
    #[arg(long, default_value_t = 20_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    iterations: u32,
}

fn main() {
    let options = Options::parse();
    machine::describe();
    let measured = rounds::measure(options.rounds, options.iterations);
    report::times(&measured);
    acceptance::report(&report::lines(&measured));
    machine::describe();
}
