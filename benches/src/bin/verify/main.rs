//! Measures the cost of verifying a model when it is loaded. Also measures the gain of verifying
//! shards concurrently, and the memory that loading a model needs.

mod loads;
mod peak;
mod shards;

use clap::{Parser, Subcommand};
use clarity_benches::{acceptance, machine};
use std::error::Error;
use std::path::PathBuf;

/// Measures the cost of verification when a model is loaded
///
/// Files are read from the page cache: reading then costs the least, and hashing has the largest
/// share. The cost is processor time, so other programs matter little. The measurement of
/// concurrent shards needs two idle processors. Each round measures a verified load, an unverified
/// load and hashing alone; the order rotates. Results are compared within a round. Memory is paged
/// in before each measurement. The disk needs room for four times the largest size.
#[derive(Debug, Parser)]
#[command(name = "verify")]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// The sizes of the models, in MiB
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 128, 1024], value_parser = clap::value_parser!(u64).range(1..=1800))]
    sizes: Vec<u64>,

    /// The number of measured rounds; one more warms up
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load version 1 of the model `model` in MODELS, and print the growth of the peak memory
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
        let directory = tempfile::tempdir()?;
        let model = loads::publish(directory.path(), size << 20)?;
        lines.extend(loads::measure(&model, size, options.rounds)?);
        lines.extend(peak::measure(&model, size)?);
        drop(directory);
        let directory = tempfile::tempdir()?;
        let model = shards::publish(directory.path(), size << 20)?;
        lines.extend(shards::measure(&model, size, options.rounds)?);
    }
    acceptance::report(&lines);
    machine::describe();
    Ok(())
}
