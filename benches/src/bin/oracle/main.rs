//! Measures the cost of a dormant oracle. Compares a loop that contains the oracle with the same
//! loop without an oracle.

mod loops;
mod report;
mod rounds;

use clap::Parser;
use clarity_benches::{acceptance, machine};

/// Measures the cost of a dormant `always!` in an otherwise empty loop
///
/// Each round runs three loops in turn (A B C A B C …). The first loop is empty. The second has a
/// dormant oracle, and the third has an oracle with a listening sink. Results are compared within a
/// round. The cost of an iteration is the processor time of the thread, so other programs matter
/// little. The run fails when a dormant oracle evaluates its condition. It also fails when an
/// oracle with a sink skips an evaluation, or does not call the sink exactly once.
#[derive(Debug, Parser)]
#[command(name = "oracle")]
struct Options {
    /// Number of measured rounds; one more warms up
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
