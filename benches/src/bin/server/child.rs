//! The measured server processes.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running server process. Dropping the value kills the process.
#[derive(Debug)]
pub(crate) struct Answering {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Answering {
    /// Starts `command`. Waits for the first line that the command prints:
    /// `listening on http://ADDRESS:PORT`.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Box<dyn Error>> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.as_mut() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match address(&line) {
            Some(address) => Ok(Self { child, address }),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("{command:?} printed {line:?}, expected its address").into())
            }
        }
    }

    /// Returns the process ID.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // Killing the process loses nothing, because the process has no data to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the server in the release profile, as a user would. Returns the path of the binary.
pub(crate) fn build() -> Result<PathBuf, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = root.join("target");
    let built = Command::new(cargo)
        .current_dir(&root)
        .args([
            "build",
            "--release",
            "--package",
            "clarity-server",
            "--bin",
            "clarity",
        ])
        .arg("--target-dir")
        .arg(&target)
        .status()?;
    match built.success() {
        true => Ok(target.join("release/clarity")),
        false => Err(format!("the server could not be built: {built}").into()),
    }
}

/// Parses the address in a line `listening on http://ADDRESS:PORT`.
fn address(line: &str) -> Option<SocketAddr> {
    let url = line.trim_end().strip_prefix("listening on http://")?;
    url.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_parsed_from_its_line() {
        let parsed = address("listening on http://127.0.0.1:4000\n");
        assert_eq!(parsed, "127.0.0.1:4000".parse().ok());
        assert_eq!(address("stopping\n"), None);
    }
}
