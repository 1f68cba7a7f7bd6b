//! Workers: processes that run models on behalf of a server.
//!
//! A hostile or faulty model can end its process. In a worker, this costs the requests that the
//! worker was running, and nothing else: the server starts another worker at once. A worker gets
//! the verified bytes of one version, and locks itself down before it parses them.

mod channel;
mod lockdown;
mod message;
mod process;
mod serve;
mod session;
mod shared_memory;
mod suspects;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use self::process::WorkerProgram;
pub use self::serve::serve_worker;
use self::session::WorkerSession;
use crate::runtime::session_threads::IdleThreads;
use crate::runtime::{RuntimeError, default_threads};
use crate::{Runtime, RuntimeId, Session, VerifiedVersion};

/// The maximum number of runs of one worker at the same time. All their sockets and memories are
/// sent in one message, for which Linux has a limit of 253.
const MAX_SLOTS: usize = 64;

/// The maximum size of an order and of its answer, in bytes.
const MAX_ORDER_BYTES: u64 = 64 << 20;

/// The private memory that a worker may use for each byte of its version.
const COPIES: u64 = 4;

/// Runs the models of another runtime in workers, one for each version. Linux only.
///
/// The program of the workers calls [`serve_worker`] with the same kind of runtime. In this
/// process, the other runtime only lends its [name](Runtime::id).
#[derive(Debug)]
pub struct WorkerRuntime {
    runtime: Arc<dyn Runtime>,
    program: WorkerProgram,
    memory: u64,
    requires_lockdown: bool,
    /// The idle threads of all sessions in this process.
    idle_threads: Arc<IdleThreads>,
}

impl WorkerRuntime {
    /// The default of [`memory`](Self::memory).
    pub const DEFAULT_MEMORY: u64 = 2 << 30;

    /// Runs `program` with `args` as the worker of each version. `runtime` must not be a choice
    /// between [candidates](Runtime::candidates).
    pub fn new(runtime: Arc<dyn Runtime>, program: impl Into<PathBuf>, args: &[&str]) -> Self {
        Self {
            runtime,
            program: WorkerProgram {
                path: program.into(),
                args: args.iter().map(|&arg| arg.to_owned()).collect(),
                threads: default_threads(),
            },
            memory: Self::DEFAULT_MEMORY,
            requires_lockdown: false,
            idle_threads: Arc::default(),
        }
    }

    /// Sets the number of threads of each worker's session. At most 64 runs of a worker go on at
    /// the same time.
    #[must_use]
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.program.threads = threads;
        self
    }

    /// Sets the limit of each worker's private memory, in bytes, to which four times the size of
    /// its version is added. An allocation beyond the limit fails.
    #[must_use]
    pub fn memory(self, memory: u64) -> Self {
        Self { memory, ..self }
    }

    /// Refuses all versions if this system does not enforce a part of the lock-down of workers.
    #[must_use]
    pub fn require_lockdown(self, requires_lockdown: bool) -> Self {
        Self {
            requires_lockdown,
            ..self
        }
    }
}

impl Runtime for WorkerRuntime {
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
        let sizes = version.files().values().map(|file| file.len() as u64);
        let copies = sizes.fold(0, u64::saturating_add).saturating_mul(COPIES);
        let memory = self.memory.saturating_add(copies);
        let program = self.program.clone();
        let idle = Arc::clone(&self.idle_threads);
        let session = WorkerSession::start(program, memory, self.requires_lockdown, idle, version)?;
        Ok(Box::new(session))
    }

    fn id(&self) -> RuntimeId {
        self.runtime.id()
    }
}
