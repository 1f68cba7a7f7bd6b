//! The binary `clarity`. The code of the command line is in the library, so that fuzz targets can
//! call this code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    clarity::cli::run()
}
