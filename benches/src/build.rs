//! Builds the packages of empty tests, and finds the built executables.

use crate::error::Error;
use serde_json::Value;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The test binaries of one package of empty tests.
#[derive(Debug)]
pub(crate) struct Binaries {
    /// The number of tests in each binary.
    pub(crate) count: usize,
    pub(crate) chaos: PathBuf,
    pub(crate) libtest: PathBuf,
    pub(crate) mimic: PathBuf,
}

/// The paths of the metadata that nextest reads instead of running Cargo. So Cargo's time is not
/// measured.
#[derive(Debug)]
pub(crate) struct NextestInput {
    pub(crate) cargo_metadata: PathBuf,
    pub(crate) binaries_metadata: PathBuf,
}

impl Binaries {
    /// Builds the package `empty-COUNT` in the release profile. Cargo prints its progress.
    pub(crate) fn build(count: usize) -> Result<Self, Error> {
        let mut command = cargo();
        command
            .args(["test", "--release", "--no-run", "--package"])
            .arg(package(count))
            .arg("--message-format=json-render-diagnostics")
            .stderr(Stdio::inherit());
        let messages = output(command)?;
        let find = |target: &'static str| {
            executable(&messages, target).ok_or(Error::NotBuilt { target, count })
        };
        Ok(Self {
            count,
            chaos: find("chaos")?,
            libtest: find("libtest")?,
            mimic: find("mimic")?,
        })
    }

    /// Whether the built chaos harness lists the flag in its help text.
    pub(crate) fn chaos_has_flag(&self, flag: &str) -> Result<bool, Error> {
        let mut command = Command::new(&self.chaos);
        command.arg("--help");
        Ok(lists_flag(&output(command)?, flag))
    }

    /// Writes metadata to `directory`. With this metadata, nextest runs the binary
    /// [`Self::libtest`].
    pub(crate) fn nextest_input(
        &self,
        nextest: &Path,
        directory: &Path,
    ) -> Result<NextestInput, Error> {
        let mut metadata = cargo();
        metadata.args(["metadata", "--format-version", "1"]);
        let mut list = Command::new(nextest);
        list.args(["nextest", "list", "--list-type", "binaries-only"])
            .args(["--message-format", "json", "--release", "--test", "libtest"])
            .arg("--package")
            .arg(package(self.count))
            .current_dir(root());
        let input = NextestInput {
            cargo_metadata: directory.join("cargo.json"),
            binaries_metadata: directory.join(format!("binaries-{}.json", self.count)),
        };
        for (path, command) in [
            (&input.cargo_metadata, metadata),
            (&input.binaries_metadata, list),
        ] {
            let text = output(command)?;
            fs::write(path, text).map_err(|error| Error::file("write", path, error))?;
        }
        Ok(input)
    }
}

/// Returns the root directory of the benches workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns a command that runs Cargo in this workspace. Uses the Cargo that runs this program. Uses
/// the Cargo in `PATH` if no Cargo runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

fn package(count: usize) -> String {
    format!("empty-{count}")
}

/// Runs a command that must succeed, and returns its standard output.
fn output(mut command: Command) -> Result<String, Error> {
    let line = format!("{command:?}");
    let ended = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::start(&line, error))?;
    if !ended.status.success() {
        return Err(Error::Failed {
            command: line,
            status: ended.status,
            output: String::from_utf8_lossy(&ended.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// Finds the executable of a test target in Cargo's messages.
fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["target"]["name"] == target)
        .filter(|message| message["target"]["kind"][0] == "test")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Whether a help text lists exactly the flag `flag`. A longer flag with the same beginning does
/// not count.
fn lists_flag(help: &str, flag: &str) -> bool {
    help.lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .flat_map(|line| line.split([' ', ',', '=', '[']))
        .any(|word| word == flag)
}

/// Creates an empty file in `directory` for the output of a run.
pub(crate) fn output_file(directory: &Path) -> Result<(PathBuf, File), Error> {
    let path = directory.join("output");
    let file = File::create(&path).map_err(|error| Error::file("create", &path, error))?;
    Ok((path, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_of_a_target_is_found_in_cargo_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"mimic"},"executable":"/t/mimic-0"}
not json
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"chaos"},"executable":"/t/chaos-1"}
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"mimic"},"executable":"/t/mimic-2"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "mimic"), Some("/t/mimic-2".into()));
        assert_eq!(executable(messages, "libtest"), None);
    }

    #[test]
    fn flag_is_found_in_the_list_and_not_in_prose_of_the_help() {
        let help = "      --require-sandbox\n          see --sandbox\n  -m, --tag-expr <EXPR>\n";
        assert!(!lists_flag(help, "--sandbox"));
        assert!(lists_flag(help, "--require-sandbox"));
        assert!(lists_flag(help, "--tag-expr"));
        assert!(lists_flag("      --sandbox <WHICH>\n", "--sandbox"));
    }
}
