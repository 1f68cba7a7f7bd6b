//! The binary `clarity`. Its command line is in the library, so fuzz targets can call it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    clarity::cli::run()
}
