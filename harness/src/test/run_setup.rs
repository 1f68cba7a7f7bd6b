//! The argument of a run's set-up: programs, services and undo steps that last as long as the run.

use crate::data::case::WorkerDir;
use crate::data::service::{RunServices, Service, ServiceAddress};
use crate::journal::{UndoError, UndoJournal, UndoStep};
use crate::test::process::Process;
use clarity_chaos_record::UndoOutcome;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The longest wait until a service accepts a connection.
const SERVICE_LIMIT: Duration = Duration::from_secs(30);

/// The interval at which a wait tries again.
const INTERVAL: Duration = Duration::from_millis(10);

/// The longest wait until a program has ended after the request to end.
const PROGRAM_LIMIT: Duration = Duration::from_secs(5);

/// The argument of a run's set-up. It starts programs, and gives their addresses to the tests.
///
/// The set-up is a function that [`main!`](crate::main) gets. It runs once, in a process of its own
/// outside of the sandbox, before the first test. The process lives until the tear-down.
///
/// The programs, the directory and the undo steps end with the run, also if the runner is killed.
/// A supervisor that loses its runner calls the tear-down, and kills the processes that are left.
/// If the supervisor is killed too, the next run kills them.
#[derive(Debug)]
pub struct RunSetup {
    dir: PathBuf,
    programs: Vec<Arc<Process>>,
    services: Vec<Service>,
    shared: BTreeMap<String, String>,
    journal: UndoJournal,
}

impl RunSetup {
    /// Creates the directory of the set-up inside of `worker`.
    pub(crate) fn create(worker: &WorkerDir) -> io::Result<Self> {
        let dir = worker.case().join("dir");
        fs::create_dir_all(&dir)?;
        Ok(Self {
            dir,
            programs: Vec::new(),
            services: Vec::new(),
            shared: BTreeMap::new(),
            journal: UndoJournal::new(worker.undo().join("0"), "set-up of the run".to_owned()),
        })
    }

    /// The directory of the set-up, empty at first. Tests can read it at the same path. The run
    /// removes it after the tear-down.
    ///
    /// Other users than the runner's cannot reach the directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts a program with an empty standard input. The program's output appears in the output of
    /// the set-up, with `name` before each line.
    ///
    /// The program runs until the tear-down, even if the returned value is dropped. After the
    /// tear-down function, the harness sends `SIGTERM` to the programs, the latest first. It is a
    /// failure of the run if a program ends before the tear-down, or later than 5 s after the
    /// signal.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn spawn(
        &mut self,
        name: impl Into<String>,
        command: &mut Command,
    ) -> io::Result<Arc<Process>> {
        let program = Arc::new(Process::start(name.into(), command)?);
        self.programs.push(Arc::clone(&program));
        Ok(program)
    }

    /// Gives a TCP service to the tests: [`Context::service_addr`](crate::Context::service_addr)
    /// returns its address. Waits up to 30 s until the service accepts a connection.
    ///
    /// A test in the sandbox has a loopback of its own. There the harness listens at the same
    /// address, and forwards each connection. A service that is not on a loopback address gets a
    /// port of `127.0.0.1` there. The harness accepts a connection before the service does: if the
    /// service refuses, the test sees a reset.
    ///
    /// # Errors
    ///
    /// When the service accepts no connection, or a program of the set-up ends first. Also when
    /// `address` does not resolve, or is the unspecified address, and when the name is taken.
    pub fn serve_tcp(
        &mut self,
        name: impl Into<String>,
        address: impl ToSocketAddrs,
    ) -> io::Result<()> {
        let name = self.free_name(name.into())?;
        let addresses: Vec<_> = address.to_socket_addrs()?.collect();
        if let Some(address) = addresses.iter().find(|one| one.ip().is_unspecified()) {
            return Err(invalid(format!(
                "service `{name}`: expected an address to which clients connect, found {address}"
            )));
        }
        let mut found = None;
        self.wait_for(&name, || {
            let mut error = invalid("the address does not resolve".to_owned());
            for address in &addresses {
                match TcpStream::connect_timeout(address, SERVICE_LIMIT) {
                    Ok(_connection) => {
                        found = Some(*address);
                        return Ok(());
                    }
                    Err(refused) => error = refused,
                }
            }
            Err(error)
        })?;
        let address = found.ok_or_else(|| invalid("the address does not resolve".to_owned()))?;
        self.services.push(Service {
            name,
            address: ServiceAddress::Tcp(address),
        });
        Ok(())
    }

    /// Gives a service on a Unix socket to the tests:
    /// [`Context::service_path`](crate::Context::service_path) returns its path. Waits up to 30 s
    /// until the service accepts a connection. The socket must be of the type `SOCK_STREAM`.
    ///
    /// Tests in the sandbox reach the socket at the same path. A path holds at most 107 bytes.
    ///
    /// # Errors
    ///
    /// When the service accepts no connection, or a program of the set-up ends first. Also when the
    /// name is taken.
    #[cfg(unix)]
    pub fn serve_unix(
        &mut self,
        name: impl Into<String>,
        path: impl AsRef<Path>,
    ) -> io::Result<()> {
        let name = self.free_name(name.into())?;
        let path = path.as_ref();
        self.wait_for(&name, || {
            std::os::unix::net::UnixStream::connect(path).map(drop)
        })?;
        // The sandbox compares paths without symlinks.
        let path = path.canonicalize()?;
        self.services.push(Service {
            name,
            address: ServiceAddress::Unix(path),
        });
        Ok(())
    }

    /// Gives a value to the tests, such as a password: [`Context::shared`](crate::Context::shared)
    /// returns the value. A second value for the same key replaces the first one.
    pub fn share(&mut self, key: impl Into<String>, value: impl Display) {
        self.shared.insert(key.into(), value.to_string());
    }

    /// Records a step that undoes a change of the set-up, before the set-up makes the change. The
    /// steps run after the tear-down function, the latest first. If the processes of the run are
    /// killed, their supervisor or the next run runs the steps.
    ///
    /// # Errors
    ///
    /// When the step cannot be recorded. Nothing must be changed then.
    pub fn undo_later(&mut self, step: UndoStep) -> Result<(), UndoError> {
        self.journal.record(step)
    }

    /// Waits until `connect` succeeds.
    fn wait_for(&self, name: &str, mut connect: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        let deadline = Instant::now() + SERVICE_LIMIT;
        loop {
            let Err(error) = connect() else {
                return Ok(());
            };
            if let Some(ended) = self.ended_programs().into_iter().next() {
                let text = format!("service `{name}` accepts no connection ({error}): {ended}");
                return Err(io::Error::new(error.kind(), text));
            }
            if Instant::now() >= deadline {
                let text = format!(
                    "service `{name}` accepted no connection within {SERVICE_LIMIT:?}: {error}"
                );
                return Err(io::Error::new(error.kind(), text));
            }
            thread::sleep(INTERVAL);
        }
    }

    fn free_name(&self, name: String) -> io::Result<String> {
        let is_taken = self.services.iter().any(|service| service.name == name);
        match is_taken {
            true => Err(invalid(format!("two services are called `{name}`"))),
            false => Ok(name),
        }
    }

    /// Returns the services and values for the tests.
    pub(crate) fn services(&self) -> RunServices {
        RunServices {
            dir: Some(self.dir.clone()),
            services: self.services.clone(),
            shared: self.shared.clone(),
        }
    }

    /// Returns a line for each program that has ended.
    pub(crate) fn ended_programs(&self) -> Vec<String> {
        let programs = self.programs.iter();
        programs
            .filter_map(|program| match program.status() {
                Ok(None) => None,
                Ok(Some(status)) => Some(format!(
                    "the program `{}` has ended ({status})",
                    program.name()
                )),
                Err(error) => Some(error.to_string()),
            })
            .collect()
    }

    /// Ends the programs and runs the undo steps. Returns a line for each failure.
    pub(crate) fn end(mut self) -> Vec<String> {
        let mut failures = Vec::new();
        while let Some(program) = self.programs.pop() {
            failures.extend(end_program(&program).err());
        }
        if !self.journal.is_empty() {
            failures.extend(match self.journal.undo() {
                UndoOutcome::Failed { error } => {
                    Some(format!("a change of the set-up is not undone: {error}"))
                }
                UndoOutcome::Superseded { found } => Some(format!(
                    "a change of the set-up is not undone: found {found}"
                )),
                _ => None,
            });
        }
        failures
    }
}

/// Asks a program to end, and kills it after [`PROGRAM_LIMIT`].
#[cfg(unix)]
fn end_program(program: &Process) -> Result<(), String> {
    let asked = program.signal(libc::SIGTERM);
    asked.map_err(|error| format!("the program `{}`: {error}", program.name()))?;
    match program.wait(PROGRAM_LIMIT) {
        Ok(_status) => Ok(()),
        Err(_late) => {
            let killed = program.child().kill();
            killed.map_err(|error| format!("the program `{}`: {error}", program.name()))?;
            Err(format!(
                "the program `{}` was killed: it did not end within {PROGRAM_LIMIT:?} after SIGTERM",
                program.name()
            ))
        }
    }
}

#[cfg(not(unix))]
fn end_program(program: &Process) -> Result<(), String> {
    let killed = program.child().kill();
    let error = |error| format!("the program `{}`: {error}", program.name());
    killed.map(drop).map_err(error)
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
