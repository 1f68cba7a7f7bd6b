//! What verification adds to a load, how much beside each other brings, and how much memory it takes.

mod loads;
mod peak;
mod shards;

use clap::{Parser, Subcommand};
use clarity_benches::{acceptance, machine};
use std::error::Error;
use std::path::PathBuf;

/// Measures what verification adds to the load of a model
///
/// Files are read from the page cache, since that is where hashing shows most; what that costs is processor time, so that what else runs on the
/// machine counts as little as possible. How much faster shards are beside each other can only be told when both processors are free. All is measured in turn, each round beginning with another kind of load (A B C B C A …), and compared round by
/// round. Memory is touched before it is measured what takes it. Models are written into a folder of their own first, and take four times the largest size on disk.
#[derive(Debug, Parser)]
#[command(name = "verify")]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// The sizes of the models, in MiB
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 128, 1024], value_parser = clap::value_parser!(u64).range(1..=1800))]
    sizes: Vec<u64>,

    /// How many rounds count; one more goes before them
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify and load version 1 of `model` once, for the process that measures
    #[command(hide = true)]
    Load { models: PathBuf },
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(Command::Load { models }) = &options.command {
        return peak::load(models);
    }
    machine::describe();
    let mut lines = Vec::new();
    for &size in &options.sizes {
        let folder = tempfile::tempdir()?;
        let model = loads::publish(folder.path(), size << 20)?;
        lines.extend(loads::measure(&model, size, options.rounds)?);
        lines.extend(peak::measure(&model, size)?);
        drop(folder);
        let folder = tempfile::tempdir()?;
        let model = shards::publish(folder.path(), size << 20)?;
        lines.extend(shards::measure(&model, size, options.rounds)?);
    }
    acceptance::report(&lines);
    machine::describe();
    Ok(())
}
