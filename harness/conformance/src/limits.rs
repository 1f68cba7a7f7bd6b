//! Time limits for the contract tests. Also skips tests that this machine cannot run.

use std::io::{Read, Write as _};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// The time limit for one run of a suite.
pub const RUN_LIMIT: Duration = Duration::from_secs(300);

/// Names the environment variable that permits [`skip`]. Without the variable, a skip fails the
/// test.
pub const ALLOW_SKIPS: &str = "CONFORMANCE_ALLOW_SKIPS";

/// Runs a command, for at most [`RUN_LIMIT`], and returns its output as [`Command::output`] does.
///
/// # Panics
///
/// When the command cannot be started. When the command is still running at the limit; the command
/// is killed before the panic. When another process keeps the output open until the limit.
#[track_caller]
pub fn output_of(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    wait_with_output(command.spawn().expect("the program can be started"))
}

/// Waits for a process and reads its piped output, for at most [`RUN_LIMIT`].
///
/// # Panics
///
/// When the process is still running at the limit; the process is killed before the panic. When
/// another process keeps the output open until the limit.
#[track_caller]
#[must_use]
pub fn wait_with_output(mut child: Child) -> Output {
    let deadline = Instant::now() + RUN_LIMIT;
    let stdout = child.stdout.take().map(read_in_thread);
    let stderr = child.stderr.take().map(read_in_thread);
    let status = wait_until(&mut child, deadline);
    let contents = |reader: Option<Receiver<Vec<u8>>>| {
        let left = deadline.saturating_duration_since(Instant::now());
        reader.map_or_else(Vec::new, |reader| {
            let read = reader.recv_timeout(left);
            read.expect("no other process keeps the output open")
        })
    };
    Output {
        status,
        stdout: contents(stdout),
        stderr: contents(stderr),
    }
}

/// Waits for a process, for at most [`RUN_LIMIT`].
///
/// # Panics
///
/// When the process is still running at the limit; the process is killed before the panic.
#[track_caller]
pub fn wait(child: &mut Child) -> ExitStatus {
    wait_until(child, Instant::now() + RUN_LIMIT)
}

#[track_caller]
fn wait_until(child: &mut Child, deadline: Instant) -> ExitStatus {
    loop {
        if let Some(status) = child.try_wait().expect("it is a child that was not reaped") {
            return status;
        }
        if Instant::now() >= deadline {
            // The panic below reports the timeout, so an error of `kill` or `wait` is ignored.
            let _ = child.kill();
            let _ = child.wait();
            panic!("process {} has not ended within {RUN_LIMIT:?}", child.id());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn read_in_thread(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut contents = Vec::new();
        if pipe.read_to_end(&mut contents).is_ok() {
            // Sending fails after the limit, when the receiver is gone. The failure is ignored.
            let _ = sender.send(contents);
        }
    });
    receiver
}

/// Reports that the calling test cannot run on this machine. The caller must then return.
///
/// The message bypasses libtest's capture, so runs that pass show the message, too.
///
/// # Panics
///
/// When [`ALLOW_SKIPS`] is not set. By default, a test that cannot run is a failure.
#[track_caller]
pub fn skip(reason: &str) {
    assert!(
        std::env::var_os(ALLOW_SKIPS).is_some(),
        "cannot test this here: {reason}; set {ALLOW_SKIPS}=1 to pass without this test"
    );
    leave_out(reason);
}

/// Reports that the calling test needs a program or a user that no machine must have. The caller
/// must then return. The message bypasses libtest's capture.
pub fn leave_out(reason: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test").to_owned();
    // A failed write is ignored, because a closed standard error has no reader.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn output_of_command_is_read_whole() {
        let output = output_of(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            (&output.stdout[..], &output.stderr[..]),
            (&b"out\n"[..], &b"err\n"[..])
        );
    }

    #[test]
    #[should_panic(expected = "has not ended within")]
    fn process_beyond_deadline_is_killed() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        wait_until(&mut child, Instant::now());
    }

    #[test]
    fn killed_process_is_reaped_within_limit() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        child.kill().unwrap();
        assert_eq!(wait(&mut child).signal(), Some(9));
    }
}
