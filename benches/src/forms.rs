//! The forms: the ways to run the same empty tests.

use crate::build::{Binaries, NextestInput, output_file};
use crate::error::Error;
use crate::summary::{libtest_says_all_passed, nextest_says_all_passed};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The maximum length of a run's output in an error message, in bytes. The message contains only
/// the end of a longer output.
const OUTPUT_TAIL: usize = 4096;

/// One way to run the empty tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Tests with `#[chaos(non_destructive)]`, run with these arguments.
    Chaos(Vec<&'static str>),
    /// Tests of libtest-mimic without the chaos harness, run with these arguments.
    Mimic(Vec<&'static str>),
    /// Tests with `#[test]`, run by libtest.
    Libtest,
    /// Tests with `#[test]`, each run in its own process by the nextest binary at this path.
    Nextest(PathBuf),
}

impl Form {
    /// Lists all forms. If `sandbox` is false, no form has a `--sandbox` argument. If `nextest` is
    /// `None`, the list does not contain nextest.
    pub(crate) fn all(sandbox: bool, nextest: Option<PathBuf>) -> Vec<Self> {
        let mut forms = if sandbox {
            vec![
                Self::Chaos(vec!["--isolation=fork", "--sandbox=none"]),
                Self::Chaos(vec!["--isolation=fork", "--sandbox=marked"]),
                Self::Chaos(vec!["--isolation=fork", "--sandbox=all"]),
                Self::Chaos(vec!["--isolation=exec", "--sandbox=none"]),
            ]
        } else {
            vec![
                Self::Chaos(vec!["--isolation=fork"]),
                Self::Chaos(vec!["--isolation=exec"]),
            ]
        };
        forms.extend([Self::Mimic(Vec::new()), Self::Libtest]);
        forms.extend(nextest.map(Self::Nextest));
        forms
    }

    /// Returns the form's name in the tables.
    pub(crate) fn name(&self) -> String {
        let (form, arguments) = match self {
            Self::Chaos(arguments) => ("chaos", arguments.as_slice()),
            Self::Mimic(arguments) => ("libtest-mimic", arguments.as_slice()),
            Self::Libtest => ("libtest", [].as_slice()),
            Self::Nextest(_) => ("nextest", [].as_slice()),
        };
        let words = arguments
            .iter()
            .map(|argument| argument.trim_start_matches("--").replace('=', " "));
        [form.to_owned()]
            .into_iter()
            .chain(words)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Runs the form once. Returns the time from the start to the end of the form's process.
    ///
    /// # Errors
    ///
    /// When the process cannot be started or does not exit with success. Also when the printed
    /// summary does not say that all tests passed.
    pub(crate) fn run(
        &self,
        binaries: &Binaries,
        nextest: &NextestInput,
        directory: &Path,
    ) -> Result<Duration, Error> {
        let (path, file) = output_file(directory)?;
        let both = file
            .try_clone()
            .map_err(|error| Error::file("open", &path, error))?;
        let mut command = self.command(binaries, nextest);
        // The output goes to a file: reading a pipe during the run would slow the run.
        command.stdin(Stdio::null()).stdout(file).stderr(both);
        for (name, _) in
            env::vars_os().filter(|(name, _)| is_read_by_a_form(&name.to_string_lossy()))
        {
            command.env_remove(name);
        }
        let began = Instant::now();
        let status = command
            .status()
            .map_err(|error| Error::start(&self.name(), error))?;
        let duration = began.elapsed();

        let output = fs::read(&path).map_err(|error| Error::file("read", &path, error))?;
        let output = String::from_utf8_lossy(&output);
        let passed = match self {
            Self::Nextest(_) => nextest_says_all_passed(&output, binaries.count),
            _ => libtest_says_all_passed(&output, binaries.count),
        };
        if status.success() && passed {
            return Ok(duration);
        }
        let from = output.ceil_char_boundary(output.len().saturating_sub(OUTPUT_TAIL));
        Err(Error::NotAllPassed {
            form: self.name(),
            count: binaries.count,
            status,
            output: output[from..].to_owned(),
        })
    }

    fn command(&self, binaries: &Binaries, nextest: &NextestInput) -> Command {
        match self {
            Self::Chaos(arguments) => {
                let mut command = Command::new(&binaries.chaos);
                command.args(["--seed", "42"]).args(arguments);
                command
            }
            Self::Mimic(arguments) => {
                let mut command = Command::new(&binaries.mimic);
                command.args(arguments);
                command
            }
            Self::Libtest => Command::new(&binaries.libtest),
            Self::Nextest(program) => {
                let mut command = Command::new(program);
                command
                    .args(["nextest", "run", "--color", "never"])
                    .arg("--cargo-metadata")
                    .arg(&nextest.cargo_metadata)
                    .arg("--binaries-metadata")
                    .arg(&nextest.binaries_metadata);
                command
            }
        }
    }
}

/// Whether one of the forms reads the environment variable.
fn is_read_by_a_form(variable: &str) -> bool {
    ["CHAOS_", "NEXTEST", "RUST_TEST_"]
        .iter()
        .any(|prefix| variable.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_without_their_flag_or_program_are_left_out() {
        let names = |forms: Vec<Form>| forms.iter().map(Form::name).collect::<Vec<_>>();
        assert_eq!(
            names(Form::all(false, None)),
            [
                "chaos, isolation fork",
                "chaos, isolation exec",
                "libtest-mimic",
                "libtest"
            ]
        );
        let all = names(Form::all(true, Some("n".into())));
        assert_eq!(all.len(), 7);
        assert_eq!(all[1], "chaos, isolation fork, sandbox marked");
        assert_eq!(all[6], "nextest");
    }

    #[test]
    fn variables_that_forms_read_are_recognised() {
        assert!(
            is_read_by_a_form("CHAOS_TIMEOUT")
                && is_read_by_a_form("RUST_TEST_THREADS")
                && is_read_by_a_form("NEXTEST_RETRIES")
        );
        assert!(!is_read_by_a_form("PATH") && !is_read_by_a_form("CARGO_HOME"));
    }
}
