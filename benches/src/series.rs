//! Measures all forms in rounds. Each round runs every form once.

use crate::build::{Binaries, NextestInput};
use crate::error::Error;
use crate::forms::Form;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The times of all forms for one number of tests.
#[derive(Debug)]
pub(crate) struct Series {
    /// The number of tests in each run.
    pub(crate) count: usize,
    /// Each form with its times. A form has one time for each round, in the order of the rounds.
    pub(crate) forms: Vec<(Form, Vec<Duration>)>,
}

/// Measures all forms. Each round runs every form once for each number of tests.
///
/// An extra round at the start fills the caches and does not count.
pub(crate) fn measure(
    built: &[Binaries],
    forms: &[Form],
    nextest: Option<&Path>,
    rounds: u16,
) -> Result<Vec<Series>, Error> {
    let directory = directory()?;
    let mut series = Vec::new();
    let mut inputs = Vec::new();
    for binaries in built {
        series.push(Series {
            count: binaries.count,
            forms: forms
                .iter()
                .map(|form| (form.clone(), Vec::new()))
                .collect(),
        });
        inputs.push(match nextest {
            Some(program) => binaries.nextest_input(program, directory.path())?,
            None => NextestInput {
                cargo_metadata: PathBuf::new(),
                binaries_metadata: PathBuf::new(),
            },
        });
    }
    for round in 0..=rounds {
        eprintln!("round {round} of {rounds}");
        for ((binaries, input), series) in built.iter().zip(&inputs).zip(&mut series) {
            for (form, times) in &mut series.forms {
                let duration = form.run(binaries, input, directory.path())?;
                if round > 0 {
                    times.push(duration);
                }
            }
        }
    }
    Ok(series)
}

/// Creates a temporary directory.
pub(crate) fn directory() -> Result<TempDir, Error> {
    tempfile::tempdir()
        .map_err(|error| Error::file("create a directory in", &env::temp_dir(), error))
}
