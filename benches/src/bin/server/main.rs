//! What a request to the server costs, beside a bare handler that parses, runs and answers the same.

mod bare;
mod child;
mod client;
mod loading;
mod report;
mod rounds;
mod scene;

use clap::{Parser, Subcommand};
use clarity_benches::machine;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Measures what a request to the server costs, beside a bare handler of axum and rten
///
/// The server is its own release binary, the handler a process of this one; both answer on loopback. Clients keep their connections, and send the
/// next request when they have the last answer. All is measured in turn (A B A B …) and compared round by round, until the median of the ratios
/// is known to 5 % or the rounds are over.
#[derive(Debug, Parser)]
#[command(name = "server")]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// The most rounds that count; one more goes before them
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// How long each side is asked in each round, in milliseconds
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    milliseconds: u64,

    /// How many clients at a time
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    clients: Vec<usize>,

    /// How many times a model of 100 MB is loaded while another one answers; 0 leaves it out
    #[arg(long, default_value_t = 5)]
    loads: u16,

    /// A release binary of the server; built if none is given
    #[arg(long, value_name = "FILE")]
    clarity: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer on loopback with the model, or with the bytes of a file, for the process that measures
    #[command(hide = true)]
    Bare { model: PathBuf, rejection: PathBuf },
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(Command::Bare { model, rejection }) = &options.command {
        return bare::serve(model, rejection);
    }
    machine::describe();
    let program = match &options.clarity {
        Some(program) => program.clone(),
        None => child::build()?,
    };
    let scene = scene::Scene::set(&program)?;
    let mut lines = Vec::new();
    for &clients in &options.clients {
        let measured = rounds::measure(&scene, clients, options.rounds, options.milliseconds)?;
        report::rates(&measured);
        lines.extend(report::lines(&measured));
    }
    if options.loads > 0 {
        let measured = loading::measure(&program, options.loads)?;
        report::loading(&measured);
        lines.extend(report::loading_lines(&measured));
    }
    clarity_benches::acceptance::report(&lines);
    machine::describe();
    Ok(())
}

/// An address that a process has told: `listening on http://ADDRESS:PORT`.
fn address(line: &str) -> Option<SocketAddr> {
    let url = line.trim_end().strip_prefix("listening on http://")?;
    url.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_from_the_line_that_tells_it() {
        let told = address("listening on http://127.0.0.1:4000\n");
        assert_eq!(told, "127.0.0.1:4000".parse().ok());
        assert_eq!(address("stopping\n"), None);
    }
}
