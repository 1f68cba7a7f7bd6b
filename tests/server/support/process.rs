//! The binary, in processes of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Client, INFER, short_request};

/// The binary as a command, with nothing set by the environment.
pub(crate) fn clarity() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clarity"));
    command
        .env_remove("CLARITY_MODELS")
        .env_remove("CLARITY_LOG")
        .env_remove("CLARITY_LISTEN")
        .env_remove("CLARITY_ADMIN_TOKEN_FILE");
    command
}

/// A server in a process of its own; killed when dropped.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) client: Client,
}

impl Serving {
    pub(crate) fn start(models: &Path, args: &[&str]) -> Self {
        let mut command = clarity();
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--poll",
                "10ms",
                "--models",
            ])
            .arg(models)
            .args(args);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim_end()
            .strip_prefix("listening on http://")
            .unwrap_or_else(|| panic!("{line:?}"));
        let client = Client::new(address.parse().unwrap());
        Self { child, client }
    }

    /// Asks until the answer has this status: the server looks at its disk in its own time.
    pub(crate) async fn until(&self, status: u16) -> String {
        loop {
            let response = self.client.post(INFER, &short_request()).await;
            if response.status == status {
                return response.body;
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Gone already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
