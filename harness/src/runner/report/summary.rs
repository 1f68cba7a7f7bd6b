//! A whole run, as the reports tell it.

use super::{github, html, junit};
use crate::runner::cli::Options;
use clarity_chaos_record::{Record, Results, Seed};
use std::io;
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

/// What became of the reports that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The files that hold them.
    pub(crate) reports: Vec<String>,
    /// What could not be written.
    pub(crate) trouble: Vec<String>,
}

impl Written {
    fn note(&mut self, what: &str, path: &Path, written: io::Result<()>) {
        let path = path.display();
        match written {
            Ok(()) => self.reports.push(path.to_string()),
            Err(error) => self
                .trouble
                .push(format!("failed to write the {what} report {path}: {error}")),
        }
    }
}

impl Summary<'_> {
    /// Writes the reports that were asked for, each of them whatever becomes of the others.
    pub(crate) fn write(&self, options: &Options) -> Written {
        let mut written = Written::default();
        if let Some(path) = &options.junit {
            written.note(
                "JUnit",
                path,
                junit::write(path, self, options.junit_strict),
            );
        }
        if let Some(path) = &options.html {
            written.note("HTML", path, html::write(path, self));
        }
        written.trouble.extend(github::tell(self, options));
        written
    }
}
