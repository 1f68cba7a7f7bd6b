//! Runs the binary `clarity` as a process.

use crate::cole_kripke::{INFER, short_request};
use crate::{Client, LIMIT, Response, until_some};
use clarity_chaos::Result;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

/// A command that runs the binary, with no input and without the binary's environment variables.
///
/// `program` is the path of the binary: tests pass the value of `CARGO_BIN_EXE_clarity`.
#[must_use]
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .env_remove("CLARITY_ADMIN_LISTEN")
        .env_remove("CLARITY_ADMIN_TOKEN_FILE")
        .env_remove("CLARITY_CONFIG")
        .env_remove("CLARITY_LISTEN")
        .env_remove("CLARITY_LOG")
        .env_remove("CLARITY_MODELS")
        // The developer's own record must not matter.
        .env(
            "CLARITY_ONNXRUNTIME_RECORD",
            "/no/record/of/onnxruntime.json",
        );
    command
}

/// The address in `line`, the line that `clarity serve` prints when it starts to listen.
///
/// # Errors
///
/// When `line` is not such a line.
pub fn listening_address(line: &str) -> Result<SocketAddr> {
    let address = line.trim_end().strip_prefix("listening on http://");
    Ok(address
        .ok_or_else(|| format!("no address in {line:?}"))?
        .parse()?)
}

/// A `clarity serve` process on loopback, killed when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    /// The server's process.
    pub child: Child,
    /// A client of the server.
    pub client: Client,
}

impl ServerProcess {
    /// Starts the binary at `program`, with a poll every 10 ms, no delay before it drains, and
    /// standard error in a pipe. Damaged versions are bad at once, unless `flags` set a settle time.
    ///
    /// # Panics
    ///
    /// When the server does not listen within [`LIMIT`].
    #[must_use]
    pub fn start(program: &str, models: &Path, flags: &[&str]) -> Self {
        let mut serve = command(program);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--poll", "10ms"]);
        let has_delay = flags.contains(&"--drain-delay");
        serve.args((!has_delay).then_some("--drain-delay=0s"));
        let has_settle_time = flags.contains(&"--settle-time");
        serve.args((!has_settle_time).then_some("--settle-time=0s"));
        serve.arg("--models").arg(models).args(flags);
        Self::spawn(serve.stderr(Stdio::piped()))
    }

    /// Starts the given `clarity serve` command, and waits until the server listens.
    ///
    /// # Panics
    ///
    /// When the server does not listen within [`LIMIT`].
    #[must_use]
    pub fn spawn(serve: &mut Command) -> Self {
        let spawned = serve.stdout(Stdio::piped()).spawn();
        let mut child = spawned.expect("the binary can be run");
        let mut stdout = child.stdout.take().expect("it was piped");
        let (sender, receiver) = channel();
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            // Reads byte by byte, so that the next lines stay in the pipe.
            let read = BufReader::with_capacity(1, &mut stdout).read_line(&mut line);
            // An error means that the limit has passed.
            let _ = sender.send(read.map(|_| line));
            stdout
        });
        let Ok(line) = receiver.recv_timeout(LIMIT) else {
            let _ = child.kill();
            panic!("the server does not listen within {LIMIT:?}");
        };
        // The pipe stays open, since the server may print more.
        child.stdout = Some(reader.join().expect("reading a line does not panic"));
        let line = line.expect("the pipe can be read");
        let address = listening_address(&line).unwrap_or_else(|error| panic!("{error}"));
        Self {
            child,
            client: Client::new(address),
        }
    }

    /// Repeats [`short_request`] until the answer has the status `status`, and returns the body.
    ///
    /// # Panics
    ///
    /// When no answer has that status within [`LIMIT`].
    pub async fn until_status(&self, status: u16) -> String {
        let description = format!("an answer of status {status}");
        let response = self.until(&description, |response| response.status == status);
        response.await.body
    }

    /// Repeats [`short_request`] until an answer satisfies `condition`, and returns that answer.
    ///
    /// # Panics
    ///
    /// When no answer satisfies `condition` within [`LIMIT`]. The message contains `description`.
    pub async fn until(
        &self,
        description: &str,
        condition: impl Fn(&Response) -> bool,
    ) -> Response {
        until_some(description, async || {
            let response = self.client.post(INFER, &short_request()).await;
            let response = response.expect("the server answers");
            condition(&response).then_some(response)
        })
        .await
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // An error means that the test has already ended the process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
