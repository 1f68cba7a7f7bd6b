//! Measures the cost of a request to the server, compared with a bare handler of the same model.

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
use std::path::PathBuf;

/// Measures the cost of a request to the server, compared with a bare handler of axum and rten
///
/// The server runs from its own release binary, and the handler runs from this binary. Both answer
/// on loopback. Clients keep their connections, and send the next request after each answer. Each
/// round measures the servers in turn (A B A B …). The results of a round are compared as ratios.
/// The rounds end when the median ratios are known to within 5 %, at the latest after `--rounds`
/// rounds.
#[derive(Debug, Parser)]
#[command(name = "server")]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// The maximum number of measured rounds; one more warms up
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// The duration of each measurement in each round, in milliseconds
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    milliseconds: u64,

    /// The numbers of concurrent clients
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    clients: Vec<usize>,

    /// The number of times that a model of 100 MB loads while another model answers
    #[arg(long, default_value_t = 5)]
    loads: u16,

    /// A release binary of the server; built if this option is absent
    #[arg(long, value_name = "FILE")]
    clarity: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer the measuring process on loopback, with the model MODEL or the bytes of REJECTION
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
