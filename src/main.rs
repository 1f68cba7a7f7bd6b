//! The binary `clarity`: its command line is in the library, where the fuzz targets reach it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    clarity::cli::run()
}
