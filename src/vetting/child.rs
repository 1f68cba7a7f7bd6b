//! Runs the vetting child: sends it a version and waits for the verdict.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use super::VettingError;
use super::frame::{Question, Refusal, Vetted, read_verdict, write_request};
use crate::onnxruntime_telemetry;
use crate::sanitize::sanitize_for_log;
use crate::{SecondOpinion, SecondOpinionPolicy, VerifiedVersion};

/// The exit code of a child that cannot vet any version, such as without its runtime.
pub(crate) const CANNOT_VET: i32 = 75;

/// The maximum number of bytes that are kept from each of the child's two output streams, if the
/// child records nothing.
const MAX_OUTPUT_BYTES: u64 = 64 << 10;

/// The maximum number of bytes of the output of a child that records an answer.
const MAX_RECORDED_BYTES: u64 = 256 << 20;

pub(super) fn ask(
    program: &Path,
    args: &[String],
    question: &Question<'_>,
    on_step: &(dyn Fn(&str) + Sync),
) -> Result<Vetted, VettingError> {
    let unavailable = |source| VettingError::Unavailable {
        program: program.to_owned(),
        source,
    };
    let child = start(program, args).map_err(unavailable)?;
    let ended = exchange(child, question, on_step).map_err(unavailable)?;
    let verdict = read_verdict(&ended.output.verdict);
    if let Some(verdict) = verdict.filter(|_| !ended.timed_out && ended.status.success()) {
        return verdict.map_err(refused);
    }
    // The child has seen no byte of the version.
    if ended.status.code() == Some(CANNOT_VET) && ended.output.step.is_empty() {
        return Err(unavailable(io::Error::other(last_line(&ended.errors))));
    }
    let (limit, step) = (question.limits.time, &ended.output.step);
    let error = match ended.timed_out {
        true => VettingError::TimedOut { limit },
        false => VettingError::Died {
            outcome: describe(ended.status, question) + &during(step, question.version),
            stderr: last_line(&ended.errors),
        },
    };
    match without_second(&ended.output.provisional, &error) {
        Some(vetted) if question.second_opinion != SecondOpinionPolicy::Require => Ok(vetted),
        _ => Err(error),
    }
}

/// The verdict of a child that ended while its second runtime was asked.
// Without this, a fault of the second runtime would take away a version that the first one serves.
fn without_second(provisional: &[u8], error: &VettingError) -> Option<Vetted> {
    let mut vetted = read_verdict(provisional)?.ok()?;
    if let Some(SecondOpinion::Uncompared { why, .. }) = &mut vetted.second_opinion {
        *why = sanitize_for_log(error);
    }
    Some(vetted)
}

fn refused(refusal: Refusal) -> VettingError {
    VettingError::Refused {
        why: refusal.why,
        runtimes: refusal.runtimes,
        second_opinion: refusal.second_opinion.map(Box::new),
    }
}

/// Describes the step in which a child died. Says how to avoid generated inputs, if one of them
/// killed the child.
// Such a death is a verdict: the run of a request is not limited, so an input like this one would
// kill the server, or occupy its threads forever. A probe shows that real inputs do not.
fn during(step: &str, version: &VerifiedVersion) -> String {
    match step {
        "" => String::new(),
        step if step.starts_with("generated") && version.manifest().probe().is_none() => format!(
            " during {step}; if real inputs do not do this, publish the version with a probe"
        ),
        step => format!(" during {step}"),
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
        // The environment contains the server's secrets, and a loaded model can read the
        // environment of its process.
        command.env_clear();
    }
    // More than one thread would use up the address space without any gain in speed.
    command
        .env("RTEN_NUM_THREADS", "1")
        .env("RAYON_NUM_THREADS", "1");
    // The variable must be there before the child begins.
    command.env(onnxruntime_telemetry::VARIABLE, onnxruntime_telemetry::OFF);
    command.spawn()
}

struct ChildOutput {
    status: ExitStatus,
    output: VettingOutput,
    errors: Vec<u8>,
    timed_out: bool,
}

/// The standard output of a child.
#[derive(Default)]
struct VettingOutput {
    /// The last step that the child began; may be empty.
    step: String,
    /// The last complete line of JSON: the verdict if the second runtime gives no opinion.
    provisional: Vec<u8>,
    /// The last line.
    verdict: Vec<u8>,
}

/// Writes to the child, reads from it and waits for it on separate threads, so that no operation
/// blocks another.
///
/// The pipes close when the child ends. Then the threads end too, and this function returns.
fn exchange(
    mut child: Child,
    question: &Question<'_>,
    on_step: &(dyn Fn(&str) + Sync),
) -> io::Result<ChildOutput> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        scope.spawn(move || {
            let Some(stdin) = stdin else { return };
            let mut stdin = BufWriter::new(stdin);
            // A failed write is ignored: the child may give its verdict or die before it has read
            // all bytes.
            let _ = write_request(&mut stdin, question).and_then(|()| stdin.flush());
        });
        let errors = scope.spawn(move || stderr.map_or(Vec::new(), read_capped));
        scope.spawn(move || {
            // A failed send is ignored: after a timeout, no thread receives the output.
            let most = if question.record {
                MAX_RECORDED_BYTES
            } else {
                MAX_OUTPUT_BYTES
            };
            let read = |stdout| read_steps(stdout, most, on_step);
            let _ = sender.send(stdout.map_or_else(VettingOutput::default, read));
        });
        let output = receiver.recv_timeout(question.limits.time);
        let timed_out = matches!(output, Err(RecvTimeoutError::Timeout));
        if output.is_err() {
            // An error is ignored: the child may have just ended.
            let _ = child.kill();
        }
        let status = child.wait()?;
        let errors = errors.join().unwrap_or_default();
        // After a timeout, the output ends with the child.
        let output = output.or_else(|_| receiver.recv());
        Ok(ChildOutput {
            status,
            output: output.map_err(|_| io::Error::other("its output is lost"))?,
            errors,
            timed_out,
        })
    })
}

/// Reads to the end. Keeps the first `MAX_OUTPUT_BYTES` bytes and discards the rest.
// If the reading stopped early, a child could block on a full pipe. The time limit ends a child
// that writes endlessly.
fn read_capped(mut from: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    // An unreadable pipe counts as an empty one.
    let _ = from.by_ref().take(MAX_OUTPUT_BYTES).read_to_end(&mut kept);
    let _ = io::copy(&mut from, &mut io::sink());
    kept
}

/// Reads to the end. Reports each step, and keeps the last line. Discards bytes after the first
/// `most` bytes.
fn read_steps(from: impl Read, most: u64, on_step: &dyn Fn(&str)) -> VettingOutput {
    let mut read = VettingOutput::default();
    let mut kept = BufReader::new(from).take(most);
    loop {
        read.verdict.clear();
        // An unreadable pipe counts as one that ended.
        match kept.read_until(b'\n', &mut read.verdict) {
            Ok(1..) if read.verdict.ends_with(b"\n") && read.verdict.starts_with(b"{") => {
                read.provisional = std::mem::take(&mut read.verdict);
            }
            Ok(1..) if read.verdict.ends_with(b"\n") => {
                read.step = sanitize_for_log(String::from_utf8_lossy(&read.verdict).trim_end());
                on_step(&read.step);
            }
            _ => break,
        }
    }
    let _ = io::copy(&mut kept.into_inner(), &mut io::sink());
    read
}

fn last_line(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let is_message = |line: &&str| !line.is_empty() && !line.starts_with("note: ");
    text.lines()
        .map(str::trim)
        .rev()
        .find(is_message)
        .map(sanitize_for_log)
        .unwrap_or_default()
}

/// Describes how a child ended without a verdict.
fn describe(status: ExitStatus, question: &Question<'_>) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;

        use rustix::process::Signal;

        let limits = question.limits;
        let sizes = question
            .version
            .manifest()
            .files()
            .values()
            .map(|file| file.size);
        let bytes = sizes.fold(0, u64::saturating_add);
        let space = limits.address_space_for(bytes, question.runtimes);
        let is = |signal: Signal| status.signal() == Some(signal.as_raw());
        if is(Signal::XCPU) {
            return format!("exceeded {} s of CPU time", limits.cpu_seconds());
        } else if is(Signal::ABORT) {
            return format!("aborted, under a limit of {space} bytes of address space");
        } else if is(Signal::SEGV) || is(Signal::BUS) {
            return "accessed invalid memory or overflowed its stack".to_owned();
        }
    }
    #[cfg(not(unix))]
    let _ = question;
    format!("ended without a verdict ({status})")
}
