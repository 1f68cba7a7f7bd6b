//! Building the empty tests, and finding what was built.

use crate::error::Error;
use serde_json::Value;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The test binaries with one number of tests.
#[derive(Debug)]
pub(crate) struct Binaries {
    /// How many tests each of them has.
    pub(crate) count: usize,
    pub(crate) chaos: PathBuf,
    pub(crate) libtest: PathBuf,
    pub(crate) mimic: PathBuf,
}

/// What nextest is told in place of building, so that Cargo's own time is not measured.
#[derive(Debug)]
pub(crate) struct NextestInput {
    pub(crate) cargo_metadata: PathBuf,
    pub(crate) binaries_metadata: PathBuf,
}

impl Binaries {
    /// Builds the package `empty-COUNT` in the release profile; Cargo tells of its progress on standard error.
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

    /// Whether the chaos harness that was built knows the flag.
    pub(crate) fn chaos_knows(&self, flag: &str) -> Result<bool, Error> {
        let mut command = Command::new(&self.chaos);
        command.arg("--help");
        Ok(offers(&output(command)?, flag))
    }

    /// Asks Cargo and nextest for what nextest needs to run the binary of `#[test]`s, and leaves it in `folder`.
    pub(crate) fn nextest_input(
        &self,
        nextest: &Path,
        folder: &Path,
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
            cargo_metadata: folder.join("cargo.json"),
            binaries_metadata: folder.join(format!("binaries-{}.json", self.count)),
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

/// The folder of this workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cargo, at work in this workspace: the one that runs us, or else that of the `PATH`.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

fn package(count: usize) -> String {
    format!("empty-{count}")
}

/// Runs a command that must succeed, and gives its standard output.
fn output(mut command: Command) -> Result<String, Error> {
    let told = format!("{command:?}");
    let ended = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::start(&told, error))?;
    if !ended.status.success() {
        return Err(Error::Failed {
            command: told,
            status: ended.status,
            said: String::from_utf8_lossy(&ended.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// The executable of a test target, from Cargo's messages.
fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["target"]["name"] == target)
        .filter(|message| message["target"]["kind"][0] == "test")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Whether a help text offers exactly this flag; other flags may begin with it.
fn offers(help: &str, flag: &str) -> bool {
    help.lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .flat_map(|line| line.split([' ', ',', '=', '[']))
        .any(|word| word == flag)
}

/// An empty file for what a run prints, in `folder`.
pub(crate) fn output_file(folder: &Path) -> Result<(PathBuf, File), Error> {
    let path = folder.join("output");
    let file = File::create(&path).map_err(|error| Error::file("create", &path, error))?;
    Ok((path, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_of_a_target_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"mimic"},"executable":"/t/mimic-0"}
not json
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"chaos"},"executable":"/t/chaos-1"}
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"mimic"},"executable":"/t/mimic-2"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "mimic"), Some("/t/mimic-2".into()));
        assert_eq!(executable(messages, "libtest"), None);
    }

    #[test]
    fn a_flag_is_known_when_the_help_offers_it_and_not_when_it_only_speaks_of_it() {
        let help = "      --require-sandbox\n          see --sandbox\n  -m, --tag-expr <EXPR>\n";
        assert!(!offers(help, "--sandbox"));
        assert!(offers(help, "--require-sandbox"));
        assert!(offers(help, "--tag-expr"));
        assert!(offers("      --sandbox <WHICH>\n", "--sandbox"));
    }
}
