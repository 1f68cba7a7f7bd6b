//! The command line of the model server: `clarity serve | add | verify | list | …`.

#![forbid(unsafe_code)]

pub(crate) mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
