//! A whole run, as the reports tell it.

use super::{github, html, junit};
use crate::cli::Options;
use crate::record::Record;
use crate::results::Results;
use crate::seed::Seed;
use std::path::Path;
use std::time::Duration;

/// What reports of a run are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary<'a> {
    /// The package and target of the tests.
    pub(crate) suite: &'a str,
    /// The root seed, or the first one of a sweep.
    pub(crate) seed: Seed,
    /// One for each test that has run, by name.
    pub(crate) records: &'a [Record],
    /// What a sweep came to.
    pub(crate) sweep: Option<&'a Results>,
    /// The oracles that should have been met.
    pub(crate) unmet: &'a [String],
    pub(crate) took: Duration,
}

impl Summary<'_> {
    /// Writes the reports that were asked for, each of them whatever becomes of the others; gives what could not be written.
    pub(crate) fn write(&self, options: &Options) -> Vec<String> {
        let told = |what: &str, path: &Path, written: std::io::Result<()>| {
            let error = written.err()?;
            Some(format!(
                "failed to write the {what} report {}: {error}",
                path.display()
            ))
        };
        let junit = options.junit.as_deref().and_then(|path| {
            told(
                "JUnit",
                path,
                junit::write(path, self, options.junit_strict),
            )
        });
        let html = options
            .html
            .as_deref()
            .and_then(|path| told("HTML", path, html::write(path, self)));
        let github = github::tell(self, options);
        [junit, html, github].into_iter().flatten().collect()
    }
}
