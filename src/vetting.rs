//! Loads and runs each version in a child process before the version is served. The child has
//! resource limits.
//!
//! Verified bytes can still be harmful. A model of a hundred bytes can exhaust the memory, overflow
//! the stack or load forever. `catch_unwind` does not protect the server from these faults, but a
//! separate process does. So a short-lived child with its own limits loads and runs the version
//! once.

mod child;
mod frame;
mod limits;

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use self::limits::VettingLimits;
use crate::runtime::{RuntimeError, try_version};
use crate::sanitize::sanitize_for_log;
use crate::{ConfigError, Runtime, VerifiedVersion};

/// The stack size of the vetting thread, in bytes.
// This stack is smaller than the 2 MiB stacks of Tokio's and rten's threads. A model that does not
// overflow this stack cannot overflow the stacks of the server.
const STACK_BYTES: usize = 1 << 20;

/// Selects the process that loads and runs each version once before the version is served.
///
/// The default is [`in_process`](Self::in_process), because this library cannot know which program
/// can run as the child. `clarity serve` runs itself as the child.
#[derive(Clone, Debug)]
pub struct Vetting(Isolation);

#[derive(Clone, Debug)]
enum Isolation {
    InProcess,
    Child {
        program: PathBuf,
        args: Vec<String>,
        limits: VettingLimits,
    },
}

/// Why a version failed its vetting.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VettingError {
    /// The child reported that the runtime cannot serve the version.
    #[error("{0}")]
    Refused(String),
    /// The child ended without a verdict.
    #[error("the vetting process {outcome}{}", colon_prefixed(.stderr))]
    Died {
        /// How the child ended, and the limit that it exceeded, if known.
        outcome: String,
        /// The last line of the child's standard error, shortened; may be empty.
        stderr: String,
    },
    /// The child exceeded the time limit and was killed.
    ///
    /// The child had CPU time left, so the cause may be the machine rather than the model.
    #[error("the vetting process did not answer within {limit:?}")]
    TimedOut {
        /// The time limit.
        limit: Duration,
    },
    /// The child could not be started, or the exchange with the child failed.
    #[error("cannot run the vetting process {}: {source}", program.display())]
    Unavailable {
        /// The program of the child.
        program: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

fn colon_prefixed(stderr: &str) -> String {
    match stderr {
        "" => String::new(),
        stderr => format!(": {stderr}"),
    }
}

impl Vetting {
    /// Uses no vetting process: for trusted models, or for platforms without child processes.
    pub fn in_process() -> Self {
        Self(Isolation::InProcess)
    }

    /// Vets each version in a child: runs `program` with `args`, and sends the verified bytes to
    /// the child's standard input.
    ///
    /// The program must call [`answer`](Self::answer) with the same kind of runtime as the server
    /// uses.
    pub fn child(program: impl Into<PathBuf>, args: &[&str], limits: VettingLimits) -> Self {
        Self(Isolation::Child {
            program: program.into(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            limits,
        })
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match &self.0 {
            Isolation::InProcess => Ok(()),
            Isolation::Child { limits, .. } => limits.check(),
        }
    }

    /// Loads and runs a version in the child, if a child is configured. Blocks.
    ///
    /// # Errors
    ///
    /// When the server must not load the version: see [`VettingError`].
    pub fn vet(&self, version: &VerifiedVersion) -> Result<(), VettingError> {
        match &self.0 {
            Isolation::InProcess => Ok(()),
            Isolation::Child {
                program,
                args,
                limits,
            } => child::ask(program, args, limits, version),
        }
    }

    /// Runs in the child: vets one version from `input` and writes the verdict to `output`.
    ///
    /// Applies the received limits to this process permanently, so a process can answer only once.
    ///
    /// # Errors
    ///
    /// When the request in `input` is invalid, or its files do not match its manifest. Also when a
    /// system call fails.
    pub fn answer(
        runtime: &dyn Runtime,
        mut input: impl BufRead,
        mut output: impl Write,
    ) -> io::Result<()> {
        let request = frame::read_request(&mut input)?;
        die_with_parent()?;
        request.limits.apply_to_this_process(request.bytes)?;
        let version = VerifiedVersion::receive(request.manifest, &mut input)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let tried = std::thread::scope(|scope| {
            let vetting = std::thread::Builder::new().stack_size(STACK_BYTES);
            let vetting =
                vetting.spawn_scoped(scope, || try_version(runtime, version).map(drop))?;
            let panicked = |_| Err(RuntimeError::Panicked("the thread ended".to_owned()));
            io::Result::Ok(vetting.join().unwrap_or_else(panicked))
        })?;
        frame::write_verdict(&mut output, &tried.map_err(sanitize_for_log))
    }
}

/// Makes the kernel kill this process when the server dies, on Linux. On other systems, only the
/// limits end this process.
fn die_with_parent() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

impl Default for Vetting {
    fn default() -> Self {
        Self::in_process()
    }
}

impl VettingError {
    /// Whether the same bytes would fail again, regardless of machine and time.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Died { .. } => true,
            Self::TimedOut { .. } | Self::Unavailable { .. } => false,
        }
    }
}
