//! Starts the process of a worker, and describes its death.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::channel::Channel;
use super::lockdown::Lockdown;
use super::message::{DeclaredTensor, LoadAnswer};
use super::shared_memory::{self, FromStart};
use super::{MAX_ORDER_BYTES, MAX_SLOTS};
use crate::runtime::RuntimeError;
use crate::sanitize::sanitize_for_log;
use crate::{TensorSpec, onnxruntime_telemetry};

/// The size of the memory for a worker's standard error.
const ERRORS_BYTES: u64 = 16 << 10;

/// The time limit from the start of a worker until it has loaded its version.
const LOAD_TIME: Duration = Duration::from_secs(120);

/// How to start workers.
#[derive(Clone, Debug)]
pub(super) struct WorkerProgram {
    pub(super) path: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) threads: NonZeroUsize,
}

impl WorkerProgram {
    /// The number of runs that a worker does at the same time.
    pub(super) fn slots(&self) -> NonZeroUsize {
        let most = NonZeroUsize::new(MAX_SLOTS).unwrap_or(NonZeroUsize::MIN);
        self.threads.min(most)
    }
}

/// A worker that has loaded its version.
#[derive(Debug)]
pub(super) struct LoadedWorker {
    pub(super) process: WorkerProcess,
    pub(super) slots: Vec<Channel>,
    pub(super) inputs: Vec<TensorSpec>,
    pub(super) outputs: Vec<TensorSpec>,
    pub(super) lockdown: Lockdown,
}

#[derive(Debug)]
pub(super) struct WorkerProcess {
    child: Child,
    handle: Arc<OwnedFd>,
    /// Its standard error.
    errors: File,
    /// Closed at the latest when the server ends, which ends the worker.
    _control: UnixStream,
}

/// How a worker died.
#[derive(Clone, Debug)]
pub(super) struct WorkerDeath {
    pub(super) cause: DeathCause,
    /// How the process ended, and the last line of its standard error.
    pub(super) outcome: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeathCause {
    /// A signal that a process does not send to itself.
    Outside,
    OutOfMemory,
    /// A fault of the worker, as far as is known.
    Own,
}

/// Starts a worker, and waits until it has loaded its version. `order` is a
/// [`LoadOrder`](super::message::LoadOrder) in JSON.
///
/// # Errors
///
/// [`RuntimeError::Worker`] when the worker is not usable. [`RuntimeError::RefusedByWorker`] when
/// the runtime in the worker refuses the version.
pub(super) fn start(
    program: &WorkerProgram,
    order: &[u8],
    version: &File,
) -> Result<LoadedWorker, RuntimeError> {
    let path = program.path.display();
    let failed = |error: io::Error| RuntimeError::Worker(format!("cannot start {path}: {error}"));
    let mut slots = Vec::new();
    let mut far: Vec<OwnedFd> = Vec::new();
    for _ in 0..program.slots().get() {
        let (slot, socket, memory) = Channel::pair().map_err(failed)?;
        slots.push(slot);
        far.extend([OwnedFd::from(socket), memory.into()]);
    }
    let (mut process, mut control) = WorkerProcess::start(program).map_err(failed)?;
    let files = [version.as_fd()]
        .into_iter()
        .chain(far.iter().map(OwnedFd::as_fd));
    let files: Vec<BorrowedFd<'_>> = files.collect();
    let exchange = send_order(&control, order, &files).and_then(|()| {
        drop(far);
        receive_answer(&mut control)
    });
    let answer = match exchange {
        Ok(answer) => answer,
        Err(error) => {
            process.kill();
            let death = process.wait();
            let outcome = death.map_or_else(|error| error.to_string(), |death| death.outcome);
            return Err(RuntimeError::Worker(format!(
                "the worker {outcome} while it loaded the version ({error})"
            )));
        }
    };
    let declared = |tensors: Vec<DeclaredTensor>| {
        let specs = tensors.into_iter().map(DeclaredTensor::into_spec);
        specs.collect::<Option<Vec<_>>>()
    };
    let error = match answer {
        LoadAnswer::Loaded {
            inputs,
            outputs,
            lockdown,
        } => match (declared(inputs), declared(outputs)) {
            (Some(inputs), Some(outputs)) => {
                return Ok(LoadedWorker {
                    process,
                    slots,
                    inputs,
                    outputs,
                    lockdown,
                });
            }
            _ => RuntimeError::Worker("the worker declares an unknown datatype".to_owned()),
        },
        LoadAnswer::Refused { kind, why } => RuntimeError::RefusedByWorker {
            kind,
            why: sanitize_for_log(why),
        },
        LoadAnswer::Unusable { why } => RuntimeError::Worker(sanitize_for_log(why)),
    };
    process.kill();
    // The error above says more than a failed wait.
    let _ = process.wait();
    Err(error)
}

impl WorkerProcess {
    fn start(program: &WorkerProgram) -> io::Result<(Self, UnixStream)> {
        let (near, far) = UnixStream::pair()?;
        let errors = shared_memory::of_size("clarity-errors", ERRORS_BYTES)?;
        let mut command = Command::new(&program.path);
        command
            .args(&program.args)
            .stdin(OwnedFd::from(far))
            .stdout(Stdio::null())
            .stderr(errors.try_clone()?)
            // The environment contains the server's secrets.
            .env_clear()
            // The variable must be there before the process begins.
            .env(onnxruntime_telemetry::VARIABLE, onnxruntime_telemetry::OFF)
            // Ctrl-C in a terminal is for the server, which lets running requests end.
            .process_group(0);
        let mut child = command.spawn()?;
        let opened = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let opened = opened.ok_or_else(|| io::Error::other("its process ID is invalid"));
        let opened = opened.and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
        let handle = match opened {
            Ok(handle) => handle,
            Err(error) => {
                // The first error says more.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(error);
            }
        };
        let process = Self {
            child,
            handle: Arc::new(handle),
            errors,
            _control: near.try_clone()?,
        };
        Ok((process, near))
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A handle for [`kill`].
    pub(super) fn handle(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.handle)
    }

    pub(super) fn kill(&self) {
        kill(&self.handle);
    }

    /// Waits for the death of the process.
    pub(super) fn wait(&mut self) -> io::Result<WorkerDeath> {
        let status = self.child.wait()?;
        let mut errors = Vec::new();
        // Without its text, the death has a status all the same.
        let _ = self
            .errors
            .try_clone()
            .and_then(|errors_file| FromStart::new(errors_file).read_to_end(&mut errors));
        let text = String::from_utf8_lossy(&errors);
        Ok(WorkerDeath::new(status, text.trim_end_matches('\0')))
    }
}

/// Kills a worker. Does nothing if it is dead.
pub(super) fn kill(handle: &OwnedFd) {
    // An error means that the process has ended.
    let _ = pidfd_send_signal(handle, Signal::KILL);
}

impl WorkerDeath {
    fn new(status: ExitStatus, errors: &str) -> Self {
        let signal = status.signal();
        let is = |signals: &[Signal]| {
            signals
                .iter()
                .any(|candidate| signal == Some(candidate.as_raw()))
        };
        let is_memory = errors.contains("memory allocation of") || errors.contains("bad_alloc");
        let outside = [
            Signal::KILL,
            Signal::TERM,
            Signal::INT,
            Signal::HUP,
            Signal::QUIT,
        ];
        let cause = match () {
            () if is(&[Signal::ABORT]) && is_memory => DeathCause::OutOfMemory,
            () if is(&outside) => DeathCause::Outside,
            () => DeathCause::Own,
        };
        let is_message = |line: &&str| !line.is_empty() && !line.starts_with("note: ");
        let line = errors.lines().map(str::trim).rfind(is_message);
        let line = line.map_or_else(String::new, |line| format!(": {}", sanitize_for_log(line)));
        Self {
            cause,
            outcome: format!("died ({status}){line}"),
        }
    }
}

/// Sends the length of the order with the files, and then the order.
fn send_order(mut control: &UnixStream, order: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1 + 2 * MAX_SLOTS))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if !rights.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::other("too many slots"));
    }
    let length = (order.len() as u64).to_le_bytes();
    sendmsg(
        control,
        &[IoSlice::new(&length)],
        &mut rights,
        SendFlags::NOSIGNAL,
    )?;
    control.write_all(order)
}

fn receive_answer(control: &mut UnixStream) -> io::Result<LoadAnswer> {
    control.set_read_timeout(Some(LOAD_TIME))?;
    let mut length = [0; 8];
    control.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length).min(MAX_ORDER_BYTES);
    let mut answer = Vec::new();
    control.take(length).read_to_end(&mut answer)?;
    Ok(serde_json::from_slice(&answer)?)
}
