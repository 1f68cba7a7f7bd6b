//! The runner's side of the fixture: the run's set-up and tear-down.

mod control;
mod output;
mod record;

pub(crate) use self::control::FixtureControl;

use self::output::FixtureOutput;
use self::record::FixtureRecords;
use crate::data::case::WorkerDir;
use crate::data::service::RunServices;
use crate::journal::{self, UndoneBy};
use crate::os::directory::remove_directory;
use crate::os::directory_lock::lock_exclusive;
use crate::os::temporary_directory::with_temporary_directory;
use crate::registration::origin::Origin;
use crate::runner::cli::Options;
use crate::runner::worker::is_readable;
use crate::supervisor::fixture::protocol::FixtureMessage;
use crate::supervisor::fixture::remains;
use crate::supervisor::protocol::{MESSAGE_PREFIX, RunnerMessage};
use crate::supervisor::role::{FixtureConfig, Role};
use clarity_chaos_record::{Record, Seed};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time that the runner waits for the supervisor, in addition to the time limit.
const SLACK: Duration = Duration::from_secs(30);

/// The interval at which a wait looks at the time.
const INTERVAL: Duration = Duration::from_millis(100);

/// A fixture whose set-up has begun. Dropping the value runs the tear-down.
#[derive(Debug)]
pub(crate) struct RunningFixture {
    process: Child,
    control: Arc<FixtureControl>,
    answers: BufReader<ChildStdout>,
    /// The directory of the set-up.
    dir: WorkerDir,
    /// The directory of the run.
    run: PathBuf,
    output: FixtureOutput,
    records: FixtureRecords,
    limit: Duration,
    is_over: bool,
}

impl RunningFixture {
    /// Starts the supervisor of the set-up, in the run's directory `run`.
    ///
    /// # Errors
    ///
    /// When the supervisor cannot be started.
    pub(crate) fn start(
        origin: &Origin,
        options: &Options,
        seed: Seed,
        run: &Path,
        control: Arc<FixtureControl>,
    ) -> io::Result<Self> {
        let dir = WorkerDir::create_for_setup(run).map_err(with_temporary_directory)?;
        let output = FixtureOutput::open(&dir)?;
        let limit = options.setup_timeout;
        let role = Role::Fixture(FixtureConfig {
            dir: dir.clone(),
            run: run.to_owned(),
            limit,
            is_supervised: false,
        });
        let mut command = role.command(Err(String::new()))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            // Ctrl-C must not reach the supervisor, which must survive for the tear-down.
            command.process_group(0);
        }
        let mut process = command.spawn()?;
        let answers = process.stdout.take();
        let answers =
            answers.ok_or_else(|| io::Error::other("a pipe of the supervisor is missing"))?;
        control.open(process.stdin.take());
        Ok(Self {
            process,
            control,
            answers: BufReader::new(answers),
            dir,
            run: run.to_owned(),
            output,
            records: FixtureRecords::new(origin, options, seed),
            limit,
            is_over: false,
        })
    }

    /// Waits for the end of the set-up. Returns its record, and its services or the reason of its
    /// failure.
    pub(crate) fn set_up(&mut self) -> (Record, Result<RunServices, String>) {
        let began = Instant::now();
        let answer = self.answer();
        self.control.end_set_up();
        let (result, took) = match answer {
            Ok(FixtureMessage::SetUp { result, took }) => (result, took),
            Ok(other) => (
                Err(format!("unexpected answer: {other:?}")),
                began.elapsed(),
            ),
            Err(error) => (Err(error.to_string()), began.elapsed()),
        };
        let output = self.output.read_part();
        (self.records.set_up(&result, took, output), result)
    }

    /// Runs the tear-down, and waits for its end. Returns its record.
    pub(crate) fn tear_down(mut self) -> Record {
        let began = Instant::now();
        let (failures, took) = match self.end() {
            Ok((failures, took)) => (failures, took),
            Err(error) => (vec![error.to_string()], began.elapsed()),
        };
        let output = self.output.read_part();
        if !journal::has_journal(&self.dir.undo()) {
            // An error is ignored: the end of the run removes the directory, or reports the error.
            let _ = remove_directory(self.dir.root());
        }
        self.records.tear_down(failures, took, output)
    }

    /// Asks for the tear-down, and waits for its end.
    fn end(&mut self) -> io::Result<(Vec<String>, Duration)> {
        self.is_over = true;
        // Sending fails only if the supervisor is dead.
        let _ = self.control.send(&RunnerMessage::Shutdown);
        let ended = self.answer();
        self.control.close();
        self.process.wait()?;
        let error = match ended {
            Ok(FixtureMessage::TornDown { failures, took }) => return Ok((failures, took)),
            // The set-up has reported nothing to a runner that gave up.
            Ok(FixtureMessage::SetUp { .. }) => "the set-up ended late".to_owned(),
            Err(error) => error.to_string(),
        };
        let began = Instant::now();
        let failures = [error].into_iter().chain(self.clean_up()).collect();
        Ok((failures, began.elapsed()))
    }

    /// Ends what the set-up has left, after the death of its supervisor. Returns a line for each
    /// event that a user must know.
    fn clean_up(&self) -> Vec<String> {
        // The process of the set-up runs the tear-down when its supervisor dies. It has a lock
        // until its end. A lock that cannot be had changes nothing: the process is killed then.
        let _lock = lock_exclusive(self.dir.root(), self.limit);
        let lines = remains::end(&self.run, &self.dir, "its supervisor");
        let recovery = journal::recover(&self.dir.undo(), UndoneBy::Runner);
        lines.into_iter().chain(recovery.kept).collect()
    }

    /// Waits for the supervisor's next message.
    ///
    /// # Errors
    ///
    /// When the supervisor has died. A supervisor that does not answer in time is killed, and is an
    /// error, too.
    fn answer(&mut self) -> io::Result<FixtureMessage> {
        let began = Instant::now();
        let limit = self.limit.saturating_add(SLACK);
        loop {
            if self.answers.buffer().is_empty() && !is_readable(self.answers.get_ref(), INTERVAL)? {
                if began.elapsed() >= limit {
                    self.process.kill()?;
                    return Err(io::Error::other(format!(
                        "the supervisor of the set-up was killed: it did not answer within {limit:?}"
                    )));
                }
                continue;
            }
            let mut line = String::new();
            if self.answers.read_line(&mut line)? == 0 {
                let status = self.process.wait()?;
                return Err(io::Error::other(format!(
                    "the supervisor of the set-up ended without an answer ({status})"
                )));
            }
            if let Some(answer) = line.strip_prefix(MESSAGE_PREFIX) {
                return Ok(serde_json::from_str(answer)?);
            }
        }
    }
}

impl Drop for RunningFixture {
    fn drop(&mut self) {
        if !self.is_over {
            // The run has failed already, so another error says nothing new.
            let _ = self.end();
        }
    }
}
