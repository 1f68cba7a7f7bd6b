//! The supervisors that wait for cases: one for each test that runs at the same time.
//!
//! A supervisor is started when it is first needed and used again and again. It gets an [`Order`] in a line of its standard input, and answers with
//! the case's ending in a line of its standard output. One that dies takes its case with it, and the next case gets another.

use crate::case::CaseDir;
use crate::duration::deadline;
use crate::ending::Ending;
use crate::isolation::Isolation;
use crate::order::{ANSWER, Order};
use crate::role::Role;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The supervisors of a run.
#[derive(Debug)]
pub(crate) struct Slots {
    isolation: Isolation,
    run: PathBuf,
    free: Mutex<Vec<Slot>>,
}

impl Slots {
    /// None yet, for the run whose folder is `run`.
    pub(crate) fn new(isolation: Isolation, run: PathBuf) -> Self {
        Self {
            isolation,
            run,
            free: Mutex::default(),
        }
    }

    /// Runs a case, and returns when nothing of it is left but its folder.
    ///
    /// # Errors
    ///
    /// When no supervisor could be started, or the one that had the case died or has not answered after `patience`.
    pub(crate) fn run(&self, case: &CaseDir, patience: Duration) -> io::Result<Ending> {
        let free = self.free().pop();
        let mut slot = match free {
            Some(slot) => slot,
            None => Slot::start(self.isolation, self.run.clone())?,
        };
        let ending = slot.run(case, patience)?;
        self.free().push(slot);
        Ok(ending)
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Slot>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One supervisor.
#[derive(Debug)]
struct Slot {
    process: Child,
    /// Open until the slot is dropped: its end tells the supervisor that the runner is done, or gone.
    orders: Option<ChildStdin>,
    endings: BufReader<ChildStdout>,
}

impl Slot {
    fn start(isolation: Isolation, run: PathBuf) -> io::Result<Self> {
        let mut command = Role::Supervisor(isolation, run).command()?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            command.process_group(0); // Ctrl-C ends the runner; the supervisor notices that and cleans up
        }
        let mut process = command.spawn()?;
        let missing = || io::Error::other("a pipe of the supervisor is missing");
        let endings = process.stdout.take().ok_or_else(missing)?;
        Ok(Self {
            orders: process.stdin.take(),
            endings: BufReader::new(endings),
            process,
        })
    }

    fn run(&mut self, case: &CaseDir, patience: Duration) -> io::Result<Ending> {
        self.order(&Order::Run(case.clone()))?;
        loop {
            if self.endings.buffer().is_empty() && !readable(self.endings.get_ref(), patience)? {
                self.process.kill()?;
                return Err(io::Error::other(format!(
                    "the supervisor has not answered for {patience:?}, and was killed"
                )));
            }
            let mut line = String::new();
            if self.endings.read_line(&mut line)? == 0 {
                let status = self.process.wait()?;
                return Err(io::Error::other(format!(
                    "the supervisor ended without a word ({status})"
                )));
            }
            if let Some(answer) = line.strip_prefix(ANSWER) {
                return Ok(serde_json::from_str(answer)?);
            }
        }
    }

    fn order(&mut self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        match &mut self.orders {
            Some(orders) => orders.write_all(&line),
            None => Ok(()),
        }
    }
}

/// Waits until there is something to read, its end included.
#[cfg(unix)]
fn readable(pipe: &ChildStdout, patience: Duration) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let deadline = deadline(patience);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&wait)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// There is no simple way to wait for a pipe with a limit here: a supervisor that hangs hangs the run.
#[cfg(not(unix))]
fn readable(_pipe: &ChildStdout, _patience: Duration) -> io::Result<bool> {
    Ok(true)
}

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = self.order(&Order::Farewell); // fails when it is dead, which is as well
        self.orders = None;
        let _ = self.process.wait();
    }
}
