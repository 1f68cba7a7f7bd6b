//! Programs that a test starts as processes.
//!
//! The test's output repeats the output of a [`Process`], with the process's name before each line.
//! The process ends when the [`Process`] is dropped, at the latest when the test ends. Two faults
//! disturb a process: [`Kill`](crate::test::fault::Kill) and [`Pause`](crate::test::fault::Pause).
//!
//! ```no_run
//! # use clarity_chaos::fault::Pause;
//! # use clarity_chaos::{Context, Result, chaos};
//! # use std::process::Command;
//! # use std::time::Duration;
//! # use std::io::{Read as _, Write as _};
//! # use std::net::TcpStream;
//! # fn ask(address: &str) -> Result {
//! #     let mut connection = TcpStream::connect(address)?;
//! #     connection.set_read_timeout(Some(Duration::from_secs(1)))?;
//! #     connection.write_all(b"ping")?;
//! #     Ok(connection.read_exact(&mut [0; 4])?)
//! # }
//! /// A server that was frozen for a while answers again.
//! #[chaos(non_destructive)]
//! fn a_frozen_server(cx: Context) -> Result {
//!     let server = cx.spawn("server", Command::new("my-server").arg("--port=0"))?;
//!     let line = server.wait_for_line("listening on ", Duration::from_secs(10))?;
//!     let address = line.trim_start_matches("listening on ");
//!     let frozen = cx.inject(Pause::new(&server))?;
//!     assert!(ask(address).is_err());
//!     frozen.undo();
//!     ask(address)
//! }
//! ```

use std::fmt;
use std::io::{self, BufRead as _, BufReader, PipeReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The interval between two checks whether a process has ended.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// The longest wait until a process has stopped. One in uninterruptible sleep stops later.
#[cfg(target_os = "linux")]
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// A process that a test started. Dropping the value kills the process.
#[must_use = "the process is killed when this is dropped"]
pub struct Process {
    name: String,
    child: Arc<ChildProcess>,
    printed: Arc<PrintedLines>,
    reading: Option<JoinHandle<()>>,
}

/// The child process. The [`Process`] and the faults that disturb it share this value.
#[derive(Debug)]
pub(crate) struct ChildProcess(Mutex<Child>);

/// The lines that a process has printed so far.
#[derive(Debug, Default)]
struct PrintedLines {
    state: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    /// The number of lines up to the last line that [`Process::wait_for_line`] returned.
    seen: usize,
    is_complete: bool,
}

/// The error of an operation on a [`Process`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The process ended without printing another line that contains the wanted text.
    #[error("{process} ended and never printed a line with {wanted:?}; its last lines: {last}")]
    #[non_exhaustive]
    NoSuchLine {
        /// The name of the process.
        process: String,
        /// The text that the line must contain.
        wanted: String,
        /// The last lines that the process printed.
        last: String,
    },
    /// The awaited event, a line or the end of the process, did not happen within the timeout.
    #[error("{process}: {awaited} did not come within {timeout:?}; its last lines: {last}")]
    #[non_exhaustive]
    TimedOut {
        /// The name of the process.
        process: String,
        /// The expected event: a line, or the end of the process.
        awaited: String,
        /// The timeout of the wait.
        timeout: Duration,
        /// The last lines that the process printed.
        last: String,
    },
    /// The system refused an operation on the process.
    #[error("{process}: {source}")]
    #[non_exhaustive]
    Io {
        /// The name of the process.
        process: String,
        /// The system's error.
        source: io::Error,
    },
}

impl Process {
    /// Starts the process with an empty standard input. Standard output and standard error go to
    /// one pipe.
    pub(crate) fn start(name: String, command: &mut Command) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn();
        // Removes the pipe's writers from `command`. Otherwise the reading thread would never reach
        // the end of the pipe.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = Arc::new(ChildProcess(Mutex::new(child?)));
        let printed = Arc::new(PrintedLines::default());
        let reading = thread::Builder::new().name("process".to_owned()).spawn({
            let (printed, name) = (Arc::clone(&printed), name.clone());
            move || printed.read(reader, &name)
        });
        let mut process = Self {
            name,
            child,
            printed,
            reading: None,
        };
        // If the reading thread did not start, this `?` drops `process`, which kills the child
        // process.
        process.reading = Some(reading?);
        Ok(process)
    }

    /// The name that the test gave to the process.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.child().id()
    }

    /// The lines that the process has printed so far, on standard output and standard error.
    /// Invalid UTF-8 is replaced by U+FFFD.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.printed.state().lines.clone()
    }

    /// Waits for the next line that contains `wanted`, and returns this line. The search starts
    /// after the line that the last successful call returned. The search of the first call starts
    /// at the first line.
    ///
    /// This method blocks the thread: an async test should call it in `tokio::task::block_in_place`
    /// or in a blocking task.
    ///
    /// # Errors
    ///
    /// When the process ends without such a line, or does not print one within `timeout`.
    pub fn wait_for_line(&self, wanted: &str, timeout: Duration) -> Result<String, ProcessError> {
        let deadline = Instant::now() + timeout;
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
                return Err(ProcessError::TimedOut {
                    process: self.name.clone(),
                    awaited: format!("a line with {wanted:?}"),
                    timeout,
                    last: state.last(),
                });
            }
            let waited = self.printed.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the end of the process, and returns its exit status. This method blocks the
    /// thread.
    ///
    /// # Errors
    ///
    /// When the process does not end within `timeout`, or its status cannot be read.
    pub fn wait(&self, timeout: Duration) -> Result<ExitStatus, ProcessError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(ProcessError::TimedOut {
                    process: self.name.clone(),
                    awaited: "its end".to_owned(),
                    timeout,
                    last: self.printed.state().last(),
                });
            }
            thread::sleep(CHECK_INTERVAL);
        }
    }

    /// The exit status of the process, or `None` while the process runs.
    ///
    /// # Errors
    ///
    /// When the system does not return the status.
    pub fn status(&self) -> Result<Option<ExitStatus>, ProcessError> {
        let status = self.child.child().try_wait();
        status.map_err(|source| ProcessError::Io {
            process: self.name.clone(),
            source,
        })
    }

    /// Sends the signal with this number, such as `libc::SIGTERM`. Sends nothing if the process has
    /// ended.
    ///
    /// # Errors
    ///
    /// When no signal has this number, or the system refuses to send the signal.
    #[cfg(unix)]
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.child.signal(signal)
    }

    pub(crate) fn child(&self) -> Arc<ChildProcess> {
        Arc::clone(&self.child)
    }
}

impl ChildProcess {
    /// Kills the process and waits until it has ended. Returns whether the process was still
    /// running.
    pub(crate) fn kill(&self) -> io::Result<bool> {
        let mut child = self.child();
        if child.try_wait()?.is_some() {
            return Ok(false);
        }
        child.kill()?;
        child.wait()?;
        Ok(true)
    }

    /// Whether the process is still running.
    pub(crate) fn is_running(&self) -> io::Result<bool> {
        Ok(self.child().try_wait()?.is_none())
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        let signal = Signal::from_named_raw(signal)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such signal"))?;
        let mut child = self.child();
        // After `try_wait` has returned the exit status, another process can get the process ID.
        // The signal would then reach that process.
        if child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&child), signal)?;
        }
        Ok(())
    }

    /// Waits until the process is stopped or has ended, at most [`STOP_TIMEOUT`].
    #[cfg(target_os = "linux")]
    pub(crate) fn wait_until_stopped(&self) {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED;
        let options = options | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let child = self.child();
        let deadline = Instant::now() + STOP_TIMEOUT;
        // The call fails if the process has ended and was reaped.
        while let Ok(None) = waitid(WaitId::Pid(Pid::from_child(&child)), options)
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_micros(100));
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PrintedLines {
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
    /// The last 5 lines joined by slashes, for an error message. The text `none` if there are no
    /// lines.
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
        let _ = self.child.kill();
        // Waits at most one second for the reading thread, because the process's own children can
        // hold the pipe open. The end of the test ends these children and the reading thread.
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
