//! Writes the reports that the command line requests, and the reports for GitHub.

use crate::os::atomic_file::write_atomically;
use crate::runner::cli::Options;
use crate::runner::provenance::provenance;
use crate::runner::standard_streams::print_commands;
use clarity_chaos_report::{
    JunitDialect, JunitOptions, Summary, github, render_html, render_junit,
};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// The paths of the written reports, and the errors of the other reports.
#[derive(Debug, Default)]
pub(crate) struct WrittenReports {
    /// The paths of the reports that were written.
    pub(crate) paths: Vec<String>,
    /// An error for each report that could not be written.
    pub(crate) errors: Vec<String>,
}

impl WrittenReports {
    /// Adds a report that `written` tells to be written or failed. `name` is the kind of report.
    pub(crate) fn add(&mut self, name: &str, path: &Path, written: io::Result<()>) {
        let path = path.display();
        match written {
            Ok(()) => self.paths.push(path.to_string()),
            Err(error) => self
                .errors
                .push(format!("failed to write the {name} {path}: {error}")),
        }
    }

    fn write(&mut self, format: &str, path: &Path, report: io::Result<String>) {
        let written = report.and_then(|text| write_atomically(path, text.as_bytes()));
        self.add(&format!("{format} report"), path, written);
    }
}

/// Writes all requested reports. Continues after an error.
pub(crate) fn write(run: &Summary<'_>, options: &Options) -> WrittenReports {
    let mut written = WrittenReports::default();
    if let Some(path) = &options.junit {
        let dialect = match options.junit_strict {
            true => JunitDialect::Strict,
            false => JunitDialect::Extended,
        };
        let junit = JunitOptions::new(dialect).with_passed_output(options.junit_passed_output);
        written.write("JUnit", path, render_junit(run, &junit));
    }
    if let Some(path) = &options.html {
        written.write("HTML", path, render_html(run, &provenance()));
    }
    written.errors.extend(report_to_github(run, options));
    written
}

/// Whether this process runs in a job of GitHub Actions.
pub(crate) fn is_github_job() -> bool {
    std::env::var("GITHUB_ACTIONS").as_deref() == Ok("true")
}

/// Prints annotations and writes the job summary, if this process runs in a GitHub Actions job.
/// Returns an error if the summary cannot be written.
fn report_to_github(run: &Summary<'_>, options: &Options) -> Option<String> {
    if !is_github_job() {
        return None;
    }
    print_commands(&github::annotations(run), options.is_json());
    let path = std::env::var_os("GITHUB_STEP_SUMMARY")?;
    let path = Path::new(&path);
    let opened = File::options().append(true).create(true).open(path);
    let summary = github::job_summary(run);
    let written = opened.and_then(|mut file| file.write_all(summary.as_bytes()));
    let error = written.err()?;
    Some(format!(
        "failed to write the job summary {}: {error}",
        path.display()
    ))
}
