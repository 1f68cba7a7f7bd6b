//! Starting the child, handing it a version, and waiting for it no longer than is good.

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use super::frame::{read_verdict, write_request};
use super::{VettingError, VettingLimits};
use crate::VerifiedVersion;
use crate::sanitize::sanitize_for_log;

/// A verdict is a sentence, and of what a child says on standard error the last line is told.
const MAX_OUTPUT_BYTES: u64 = 64 << 10;

pub(super) fn ask(
    program: &Path,
    args: &[String],
    limits: &VettingLimits,
    version: &VerifiedVersion,
) -> Result<(), VettingError> {
    let unavailable = |source| VettingError::Unavailable {
        program: program.to_owned(),
        source,
    };
    let child = start(program, args).map_err(unavailable)?;
    let ended = converse(child, limits, version).map_err(unavailable)?;
    let Some(ended) = ended else {
        return Err(VettingError::TimedOut { limit: limits.time });
    };
    match read_verdict(&ended.output) {
        Some(verdict) if ended.status.success() => verdict.map_err(VettingError::Refused),
        _ => Err(VettingError::Died {
            how: describe(ended.status, limits, version),
            said: last_line(&ended.errors),
        }),
    }
}

fn start(program: &Path, args: &[String]) -> io::Result<Child> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if cfg!(unix) {
        // Secrets of the server are in its environment; and a model that is loaded sees what its process sees.
        command.env_clear();
    }
    // More threads would bring address space that counts and time that does not help.
    command
        .env("RTEN_NUM_THREADS", "1")
        .env("RAYON_NUM_THREADS", "1");
    command.spawn()
}

struct Ended {
    status: ExitStatus,
    output: Vec<u8>,
    errors: Vec<u8>,
}

/// Writes, reads and waits, each on a thread of its own so that none can hold up another; none when time ran out.
///
/// A child that ends closes its pipes, and so ends all three: when this returns there is neither child nor thread left.
fn converse(
    mut child: Child,
    limits: &VettingLimits,
    version: &VerifiedVersion,
) -> io::Result<Option<Ended>> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        scope.spawn(move || {
            let Some(stdin) = stdin else { return };
            let mut stdin = BufWriter::new(stdin);
            // A child that has seen enough has said why, or died of it.
            let _ = write_request(&mut stdin, limits, version).and_then(|()| stdin.flush());
        });
        let errors = scope.spawn(move || stderr.map_or(Vec::new(), read_some));
        scope.spawn(move || {
            // Nobody waits any more when time has run out.
            let _ = sender.send(stdout.map_or(Vec::new(), read_some));
        });
        let output = receiver.recv_timeout(limits.time);
        if output.is_err() {
            // Gone already if it just ended.
            let _ = child.kill();
        }
        let status = child.wait()?;
        let errors = errors.join().unwrap_or_default();
        match output {
            Ok(output) => Ok(Some(Ended {
                status,
                output,
                errors,
            })),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("its output was lost")),
        }
    })
}

/// Reads to the end and keeps the beginning: a child that writes without end meets its limit of time, not of a pipe.
fn read_some(mut from: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    // What cannot be read says no more than what was not written.
    let _ = from.by_ref().take(MAX_OUTPUT_BYTES).read_to_end(&mut kept);
    let _ = io::copy(&mut from, &mut io::sink());
    kept
}

fn last_line(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let told = |line: &&str| !line.is_empty() && !line.starts_with("note: ");
    text.lines()
        .map(str::trim)
        .rev()
        .find(told)
        .map(sanitize_for_log)
        .unwrap_or_default()
}

/// What became of a child that gave no verdict.
fn describe(status: ExitStatus, limits: &VettingLimits, version: &VerifiedVersion) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;

        use rustix::process::Signal;

        let sizes = version.manifest().files().values().map(|file| file.size);
        let space = limits.address_space_for(sizes.fold(0, u64::saturating_add));
        let is = |signal: Signal| status.signal() == Some(signal.as_raw());
        if is(Signal::XCPU) {
            return format!("used up {} s of CPU time", limits.cpu_seconds());
        } else if is(Signal::ABORT) {
            return format!("aborted, with {space} bytes of address space to use");
        } else if is(Signal::SEGV) || is(Signal::BUS) {
            return "accessed memory that is not its own, or overflowed its stack".to_owned();
        }
    }
    #[cfg(not(unix))]
    let _ = (limits, version);
    format!("ended without an answer ({status})")
}
