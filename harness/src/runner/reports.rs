//! The reports that were asked for, written to where they belong.

use crate::os::atomic_file::write_atomically;
use crate::runner::cli::Options;
use crate::runner::provenance::provenance;
use clarity_chaos_report::{JunitDialect, Summary, github, render_html, render_junit};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// What became of the reports that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The files that hold them.
    pub(crate) reports: Vec<String>,
    /// What could not be written.
    pub(crate) trouble: Vec<String>,
}

impl Written {
    fn write(&mut self, what: &str, path: &Path, report: io::Result<String>) {
        let written = report.and_then(|text| write_atomically(path, text.as_bytes()));
        let path = path.display();
        match written {
            Ok(()) => self.reports.push(path.to_string()),
            Err(error) => self
                .trouble
                .push(format!("failed to write the {what} report {path}: {error}")),
        }
    }
}

/// Writes the reports that were asked for. One that fails does not keep the others from being written.
pub(crate) fn write(run: &Summary<'_>, options: &Options) -> Written {
    let mut written = Written::default();
    if let Some(path) = &options.junit {
        let dialect = match options.junit_strict {
            true => JunitDialect::Strict,
            false => JunitDialect::Extended,
        };
        written.write("JUnit", path, render_junit(run, dialect));
    }
    if let Some(path) = &options.html {
        written.write("HTML", path, render_html(run, &provenance()));
    }
    written.trouble.extend(tell_github(run, options));
    written
}

/// Tells the run if this is a job of GitHub; gives what could not be written.
fn tell_github(run: &Summary<'_>, options: &Options) -> Option<String> {
    if std::env::var("GITHUB_ACTIONS").as_deref() != Ok("true") {
        return None;
    }
    for annotation in github::annotations(run) {
        match options.is_json() {
            true => eprintln!("{annotation}"),
            false => println!("{annotation}"),
        }
    }
    let path = std::env::var_os("GITHUB_STEP_SUMMARY")?;
    let path = Path::new(&path);
    let opened = File::options().append(true).create(true).open(path);
    let summary = github::job_summary(run);
    let written = opened.and_then(|mut file| file.write_all(summary.as_bytes()));
    let error = written.err()?;
    Some(format!(
        "failed to write the summary {}: {error}",
        path.display()
    ))
}
