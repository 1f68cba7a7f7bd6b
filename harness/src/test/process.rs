//! Programs that a test starts: the real binary, with its files, its signals and its end.
//!
//! What a [`Process`] prints becomes part of the test's output, each line behind the process's name. It ends with the test, or when it is dropped.
//! [`Kill`](crate::test::fault::Kill) and [`Pause`](crate::test::fault::Pause) are its faults.
//!
//! ```no_run
//! # use clarity_chaos::fault::Pause;
//! # use clarity_chaos::{Context, Result, chaos};
//! # use std::process::Command;
//! # use std::time::Duration;
//! # fn ask(server: &str) -> Result { std::net::TcpStream::connect(server)?; Ok(()) }
//! /// A server that was frozen for a while answers again.
//! #[chaos(non_destructive)]
//! fn a_frozen_server(cx: Context) -> Result {
//!     let server = cx.spawn("server", Command::new("my-server").arg("--port=0"))?;
//!     let line = server.wait_for_line("listening on ", Duration::from_secs(10))?;
//!     let frozen = cx.inject(Pause::of(&server))?;
//!     assert!(ask(&line).is_err());
//!     frozen.undo();
//!     ask(&line)
//! }
//! ```

use std::fmt;
use std::io::{self, BufRead as _, BufReader, PipeReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a process is looked after that somebody waits for.
const LOOK: Duration = Duration::from_millis(5);

/// A program that runs, and is killed when this is dropped.
#[must_use = "the process is killed when this is dropped"]
pub struct Process {
    name: String,
    running: Arc<Running>,
    printed: Arc<Printed>,
    reading: Option<JoinHandle<()>>,
}

/// The process itself, which faults hold on to.
#[derive(Debug)]
pub(crate) struct Running(Mutex<Child>);

/// What it has printed so far, in lines.
#[derive(Debug, Default)]
struct Printed {
    state: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    /// How many of them [`Process::wait_for_line`] has passed.
    seen: usize,
    is_complete: bool,
}

/// Why a line or an end did not come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The process has printed all that it will, and this was not among it.
    #[error("{process} ended and never printed a line with {wanted:?}; its last lines: {last}")]
    NoSuchLine {
        /// The process.
        process: String,
        /// What was waited for.
        wanted: String,
        /// What it said in the end.
        last: String,
    },
    /// The time was up.
    #[error("{process}: {what} did not come within {patience:?}; its last lines: {last}")]
    Impatient {
        /// The process.
        process: String,
        /// What was waited for.
        what: String,
        /// How long.
        patience: Duration,
        /// What it said last.
        last: String,
    },
    /// The system refused.
    #[error("{process}: {source}")]
    Io {
        /// The process.
        process: String,
        /// What it said.
        source: io::Error,
    },
}

impl Process {
    /// Starts it, with nothing to read and its output in one pipe.
    pub(crate) fn start(name: String, command: &mut Command) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn();
        // The command would keep the pipe open for as long as it lives.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let running = Arc::new(Running(Mutex::new(child?)));
        let printed = Arc::new(Printed::default());
        let reading = thread::Builder::new().name("process".to_owned()).spawn({
            let (printed, name) = (Arc::clone(&printed), name.clone());
            move || printed.read(reader, &name)
        });
        let mut process = Self {
            name,
            running,
            printed,
            reading: None,
        };
        // Without a reader it is dropped, and so killed.
        process.reading = Some(reading?);
        Ok(process)
    }

    /// What the test calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The system's number of it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.running.child().id()
    }

    /// All that it has printed so far, on standard output and standard error, in lines. What is no UTF-8 is replaced.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.printed.state().lines.clone()
    }

    /// Waits for the next line that has `wanted` in it, from the beginning or after the one that this gave last. It blocks: in an async test call
    /// it where that does no harm, such as in `tokio::task::block_in_place`.
    ///
    /// # Errors
    ///
    /// When it ends without such a line, or the line does not come in time.
    pub fn wait_for_line(&self, wanted: &str, patience: Duration) -> Result<String, ProcessError> {
        let deadline = Instant::now() + patience;
        let mut state = self.printed.state();
        loop {
            let found = state.lines[state.seen..]
                .iter()
                .position(|line| line.contains(wanted));
            if let Some(place) = found {
                state.seen += place + 1;
                return Ok(state.lines[state.seen - 1].clone());
            }
            if state.is_complete {
                return Err(ProcessError::NoSuchLine {
                    process: self.name.clone(),
                    wanted: wanted.to_owned(),
                    last: state.last(),
                });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ProcessError::Impatient {
                    process: self.name.clone(),
                    what: format!("a line with {wanted:?}"),
                    patience,
                    last: state.last(),
                });
            }
            let waited = self.printed.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// When it does not end in time.
    pub fn wait(&self, patience: Duration) -> Result<ExitStatus, ProcessError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(ProcessError::Impatient {
                    process: self.name.clone(),
                    what: "its end".to_owned(),
                    patience,
                    last: self.printed.state().last(),
                });
            }
            thread::sleep(LOOK);
        }
    }

    /// How it has ended; none while it runs.
    ///
    /// # Errors
    ///
    /// When the system cannot tell.
    pub fn status(&self) -> Result<Option<ExitStatus>, ProcessError> {
        let status = self.running.child().try_wait();
        status.map_err(|source| ProcessError::Io {
            process: self.name.clone(),
            source,
        })
    }

    /// Sends it a signal, by the system's number (`libc::SIGTERM`, …); nothing when it has ended.
    ///
    /// # Errors
    ///
    /// When there is no such signal.
    #[cfg(unix)]
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.running.signal(signal)
    }

    pub(crate) fn running(&self) -> Arc<Running> {
        Arc::clone(&self.running)
    }
}

impl Running {
    /// Kills it and waits until it is gone; tells whether it was still running.
    pub(crate) fn kill(&self) -> io::Result<bool> {
        let mut child = self.child();
        if child.try_wait()?.is_some() {
            return Ok(false);
        }
        child.kill()?;
        child.wait()?;
        Ok(true)
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&self) -> io::Result<bool> {
        Ok(self.child().try_wait()?.is_none())
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        let signal = Signal::from_named_raw(signal)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such signal"))?;
        let mut child = self.child();
        // Its number is its own only until it has been waited for.
        if child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&child), signal)?;
        }
        Ok(())
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Printed {
    fn read(&self, pipe: PipeReader, name: &str) {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']).to_owned();
            println!("{name}: {text}");
            self.state().lines.push(text);
            self.changed.notify_all();
            line.clear();
        }
        self.state().is_complete = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, Lines> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// What is told of the end.
    fn last(&self) -> String {
        const LAST: usize = 5;
        let last = &self.lines[self.lines.len().saturating_sub(LAST)..];
        match last {
            [] => "none".to_owned(),
            last => last.join(" / "),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.running.kill();
        // What it has started itself may hold the pipe; then the sweep after the test ends both.
        if let Some(reading) = self.reading.take() {
            let deadline = Instant::now() + Duration::from_secs(1);
            while !reading.is_finished() && Instant::now() < deadline {
                thread::sleep(Duration::from_micros(200));
            }
            if reading.is_finished() {
                let _ = reading.join();
            }
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
