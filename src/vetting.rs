//! Trying a version where it can do no harm, before it is swapped in.
//!
//! Verified does not mean harmless: a model of a hundred bytes can ask for more memory than there is, overflow the stack
//! or never finish loading. No `catch_unwind` helps against that, but a process does: the version is loaded and run once
//! in a short-lived child with limits of its own. What ends there has ended nothing else.

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

/// Threads of a child parse and run models on a smaller stack than those of a server (Tokio's and rten's have 2 MiB), so
/// that nesting which passes here cannot overflow there.
const STACK_BYTES: usize = 1 << 20;

/// Where a version is tried before it is swapped in.
///
/// A program that embeds the server gets [`in_process`](Self::in_process) unless it says otherwise, since only it knows
/// which program can be started as a child; `clarity serve` starts itself.
#[derive(Clone, Debug)]
pub struct Vetting(Place);

#[derive(Clone, Debug)]
enum Place {
    InProcess,
    Child {
        program: PathBuf,
        args: Vec<String>,
        limits: VettingLimits,
    },
}

/// Why a version did not pass its vetting.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VettingError {
    /// The child answered: the runtime cannot serve the version.
    #[error("{0}")]
    Refused(String),
    /// The child did not live to answer.
    #[error("loaded and run once in a process of its own, it {how}{}", after_colon(.said))]
    Died {
        /// What became of the child, and the limit that it met where that can be told.
        how: String,
        /// The last that it wrote to its standard error, shortened; may be empty.
        said: String,
    },
    /// The child did not answer in time, and was killed. It had not used up its CPU time, so this may be the machine's
    /// fault rather than the model's.
    #[error("loaded and run once in a process of its own, it did not answer within {limit:?}")]
    TimedOut {
        /// The bound.
        limit: Duration,
    },
    /// There was no child to ask.
    #[error("it could not be vetted: the process {} could not be used: {source}", program.display())]
    Unavailable {
        /// The program that should have been started.
        program: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

fn after_colon(said: &str) -> String {
    match said {
        "" => String::new(),
        said => format!(": {said}"),
    }
}

impl Vetting {
    /// Loads and runs versions in this process only: for models that are trusted, or where no child can be had.
    pub fn in_process() -> Self {
        Self(Place::InProcess)
    }

    /// Starts `program` with `args` for each version and hands it the verified bytes on its standard input. It must call
    /// [`answer`](Self::answer), with the same kind of runtime.
    pub fn child(program: impl Into<PathBuf>, args: &[&str], limits: VettingLimits) -> Self {
        Self(Place::Child {
            program: program.into(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            limits,
        })
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match &self.0 {
            Place::InProcess => Ok(()),
            Place::Child { limits, .. } => limits.check(),
        }
    }

    /// Tries a version in the child, if there is one. Blocks.
    ///
    /// # Errors
    ///
    /// Why the version must not be loaded in this process: see [`VettingError`].
    pub fn vet(&self, version: &VerifiedVersion) -> Result<(), VettingError> {
        match &self.0 {
            Place::InProcess => Ok(()),
            Place::Child {
                program,
                args,
                limits,
            } => child::ask(program, args, limits, version),
        }
    }

    /// The child's side: reads one version from `input`, puts the limits that came with it on this process, loads and
    /// runs the version, and writes what came of it to `output`.
    ///
    /// The limits stay: a process can answer once, and should end then.
    ///
    /// # Errors
    ///
    /// When `input` holds no version, its bytes are not the promised ones, the limits cannot be set, or `output` cannot
    /// be written.
    pub fn answer(
        runtime: &dyn Runtime,
        mut input: impl BufRead,
        mut output: impl Write,
    ) -> io::Result<()> {
        let request = frame::read_request(&mut input)?;
        die_with_parent()?;
        request.limits.put_on_this_process(request.bytes)?;
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

/// A server that is killed takes its child along. Elsewhere than on Linux the child ends by its limits.
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
    /// Whether the same bytes would fail again, wherever and whenever they are tried.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Died { .. } => true,
            Self::TimedOut { .. } | Self::Unavailable { .. } => false,
        }
    }
}
