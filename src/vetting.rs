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

use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

#[cfg(feature = "cli")]
pub(crate) use self::child::CANNOT_VET;
use self::frame::Question;
pub(crate) use self::frame::Vetted;
pub use self::limits::VettingLimits;
use crate::runtime::{RuntimeError, TrialOptions, try_with};
use crate::sanitize::sanitize_for_log;
use crate::{
    ConfigError, Runtime, RuntimeRefusal, SecondOpinion, SecondOpinionPolicy, Trial,
    VerifiedVersion,
};

/// The stack size of the vetting thread, in bytes.
// This stack is smaller than the 2 MiB stacks of Tokio's and rten's threads. A model that does not
// overflow this stack cannot overflow the stacks of the server.
const STACK_BYTES: usize = 1 << 20;

/// Selects the process that loads and runs each version once before the version is served.
///
/// The default is [`in_process`](Self::in_process), because this library cannot know which program
/// can run as the child. `clarity serve` runs itself as the child.
#[derive(Clone, Debug)]
pub struct Vetting {
    isolation: Isolation,
    second_opinion: SecondOpinionPolicy,
    /// The number of runtimes that can load a version.
    runtimes: u64,
}

#[derive(Clone, Debug)]
enum Isolation {
    InProcess {
        /// The time after which no run on a generated input begins.
        warm_up: Duration,
    },
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
    #[error("{why}")]
    Refused {
        /// The reason as a sentence.
        why: String,
        /// The runtimes that do not load the version; empty if the version failed its trial.
        runtimes: Vec<RuntimeRefusal>,
        /// The second opinion, if the version was refused for it.
        second_opinion: Option<Box<SecondOpinion>>,
    },
    /// The child ended without a verdict.
    #[error("the vetting process {outcome}{}", colon_prefixed(.stderr))]
    Died {
        /// How the child ended, the limit that it exceeded, and the step of the trial, if known.
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
        Self::in_process_within(VettingLimits::default().warm_up)
    }

    /// Like [`in_process`](Self::in_process). No run on a generated input begins after `warm_up`.
    pub(crate) fn in_process_within(warm_up: Duration) -> Self {
        Self::new(Isolation::InProcess { warm_up })
    }

    /// Vets each version in a child: runs `program` with `args`, and sends the verified bytes to
    /// the child's standard input.
    ///
    /// The program must call [`answer`](Self::answer) with the same kind of runtime as the server
    /// uses.
    pub fn child(program: impl Into<PathBuf>, args: &[&str], limits: VettingLimits) -> Self {
        Self::new(Isolation::Child {
            program: program.into(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            limits,
        })
    }

    fn new(isolation: Isolation) -> Self {
        Self {
            isolation,
            second_opinion: SecondOpinionPolicy::default(),
            runtimes: 1,
        }
    }

    /// Sets the policy of second opinions. The runtime must have
    /// [candidates](crate::Runtime::candidates): otherwise there is no second opinion, and a server
    /// does not start with [`SecondOpinionPolicy::Require`].
    #[must_use]
    pub fn second_opinion(self, policy: SecondOpinionPolicy) -> Self {
        Self {
            second_opinion: policy,
            ..self
        }
    }

    /// The policy of second opinions.
    pub(crate) fn policy(&self) -> SecondOpinionPolicy {
        self.second_opinion
    }

    /// Checks the settings, for versions that `runtime` loads.
    pub(crate) fn for_runtime(mut self, runtime: &dyn Runtime) -> Result<Self, ConfigError> {
        if let Isolation::Child { limits, .. } = &self.isolation {
            limits.check()?;
        }
        let runtimes = runtime.candidates().len().max(1);
        self.runtimes = runtimes as u64;
        self.check_second(runtime.id())?;
        Ok(self)
    }

    /// Checks the policy of second opinions, for this number of runtimes. `first` names the only
    /// one.
    pub(crate) fn for_runtimes(mut self, runtimes: u64, first: &str) -> Result<Self, ConfigError> {
        self.runtimes = runtimes;
        self.check_second(first)?;
        Ok(self)
    }

    fn check_second(&self, first: impl Display) -> Result<(), ConfigError> {
        if self.second_opinion != SecondOpinionPolicy::Require || self.runtimes > 1 {
            return Ok(());
        }
        let expected = "a second runtime for `require` (`clarity runtime` tells how to get one)";
        Err(ConfigError::new(
            "second-opinion",
            expected,
            format!("only {first}"),
        ))
    }

    /// Loads and runs a version in the child, if a child is configured. Blocks. Returns the result
    /// of the trial, or `None` if no child is configured.
    ///
    /// # Errors
    ///
    /// When the server must not load the version: see [`VettingError`].
    pub fn vet(&self, version: &VerifiedVersion) -> Result<Option<Trial>, VettingError> {
        let vetted = self.vet_with(version, false, &|_| {})?;
        Ok(vetted.map(|vetted| vetted.trial))
    }

    /// Like [`vet`](Self::vet), but can also record the answer to the version's probe. `on_step`
    /// gets the name of each step of the trial when the step begins.
    pub(crate) fn vet_with(
        &self,
        version: &VerifiedVersion,
        record: bool,
        on_step: &(dyn Fn(&str) + Sync),
    ) -> Result<Option<Vetted>, VettingError> {
        match &self.isolation {
            Isolation::InProcess { .. } => Ok(None),
            Isolation::Child {
                program,
                args,
                limits,
            } => {
                let question = Question {
                    version,
                    limits,
                    record,
                    second_opinion: self.second_opinion,
                    runtimes: self.runtimes,
                };
                let mut vetted = child::ask(program, args, &question, on_step)?;
                // Takes only the answer from the child: a hostile model could replace the request.
                let recorded = vetted.recorded.take().zip(version.probe().ok().flatten());
                vetted.recorded = recorded.map(|(recorded, probe)| probe.with_answer_of(recorded));
                Ok(Some(vetted))
            }
        }
    }

    /// The time after which no run on a generated input begins in this process.
    pub(crate) fn warm_up(&self) -> Duration {
        match &self.isolation {
            Isolation::InProcess { warm_up } => *warm_up,
            Isolation::Child { limits, .. } => limits.warm_up,
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
        mut output: impl Write + Send,
    ) -> io::Result<()> {
        let request = frame::read_request(&mut input)?;
        die_with_parent()?;
        let limits = &request.limits;
        limits.apply_to_this_process(request.bytes, request.runtimes)?;
        let version = VerifiedVersion::receive(request.manifest, &mut input)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let steps = Mutex::new(&mut output);
        let on_step = |step: &str| {
            let mut output = lock(&steps);
            // An error is ignored: the verdict reports that the output is closed.
            let _ = writeln!(output, "{step}").and_then(|()| output.flush());
        };
        let vet = || {
            let options = TrialOptions {
                warm_up: request.limits.warm_up,
                record: request.record,
                second_opinion: request.second_opinion,
                on_step: &on_step,
                ..TrialOptions::default()
            };
            let tried = try_with(runtime, version, &options)?;
            if let Some(provisional) = Vetted::without_second(&tried, request.record) {
                let mut output = lock(&steps);
                // An error is ignored, as above.
                let _ = frame::write_provisional(&mut *output, provisional);
            }
            let tried = tried.with_second_opinion(&options)?;
            Ok(Vetted::new(tried, request.record))
        };
        let vetted = std::thread::scope(|scope| {
            let vetting = std::thread::Builder::new().stack_size(STACK_BYTES);
            let vetting = vetting.spawn_scoped(scope, vet)?;
            let panicked = |_| Err(RuntimeError::Panicked("the thread ended".to_owned()));
            io::Result::Ok(vetting.join().unwrap_or_else(panicked))
        })?;
        let refusal = |error| frame::Refusal {
            second_opinion: match &error {
                RuntimeError::SecondOpinion(opinion) => Some(opinion.clone()),
                _ => None,
            },
            runtimes: RuntimeRefusal::all_of(runtime, &error),
            why: sanitize_for_log(error),
        };
        frame::write_verdict(&mut output, vetted.map_err(refusal))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            Self::Refused { .. } | Self::Died { .. } => true,
            Self::TimedOut { .. } | Self::Unavailable { .. } => false,
        }
    }
}
