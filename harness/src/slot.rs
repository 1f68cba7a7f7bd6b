//! The supervisors that wait for cases: one for each test that runs at the same time.
//!
//! A supervisor is started when it is first needed and used again and again. It is told the folder of a case on its standard input, a line
//! each, and answers with the case's ending on its standard output. One that dies takes its case with it, and the next case gets another.

use crate::case::CaseDir;
use crate::ending::Ending;
use crate::isolation::Isolation;
use crate::role::Role;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};

/// The supervisors of a run.
#[derive(Debug)]
pub(crate) struct Slots {
    isolation: Isolation,
    free: Mutex<Vec<Slot>>,
}

impl Slots {
    pub(crate) fn new(isolation: Isolation) -> Self {
        Self {
            isolation,
            free: Mutex::default(),
        }
    }

    /// Runs a case, and returns when nothing of it is left but its folder.
    ///
    /// # Errors
    ///
    /// When no supervisor could be started, or the one that had the case died.
    pub(crate) fn run(&self, case: &CaseDir) -> io::Result<Ending> {
        let free = self.free().pop();
        let mut slot = match free {
            Some(slot) => slot,
            None => Slot::start(self.isolation)?,
        };
        let ending = slot.run(case)?;
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
    fn start(isolation: Isolation) -> io::Result<Self> {
        let mut command = Role::Supervisor(isolation).command()?;
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

    fn run(&mut self, case: &CaseDir) -> io::Result<Ending> {
        let mut order = serde_json::to_vec(case)?;
        order.push(b'\n');
        if let Some(orders) = &mut self.orders {
            orders.write_all(&order)?;
        }
        let mut answer = String::new();
        if self.endings.read_line(&mut answer)? == 0 {
            let status = self.process.wait()?;
            return Err(io::Error::other(format!(
                "the supervisor ended without a word ({status})"
            )));
        }
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.process.wait();
    }
}
