//! A session whose runs happen in a worker.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::channel::Channel;
use super::message::{LoadOrder, decode_answer, encode_tensors};
use super::process::{self, DeathCause, LoadedWorker, WorkerDeath, WorkerProgram};
use super::shared_memory;
use super::suspects::Suspects;
use crate::runtime::RuntimeError;
use crate::runtime::session_threads::{IdleThreads, SessionThreads};
use crate::session::Work;
use crate::{Digest, ModelName, RunError, Session, Tensor, TensorSpec, VerifiedVersion, Version};

/// The delay before a third start in a row if no worker has answered anything. Doubled with each
/// further start.
const BACKOFF_LEAST: Duration = Duration::from_millis(100);

/// The longest delay before a start.
const BACKOFF_MOST: Duration = Duration::from_secs(10);

/// A model in a worker, which a thread of this session starts again whenever the worker dies.
#[derive(Debug)]
pub(super) struct WorkerSession {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    threads: SessionThreads,
    shared: Arc<SharedWorker>,
}

#[derive(Debug)]
struct SharedWorker {
    program: WorkerProgram,
    /// A [`LoadOrder`] in JSON.
    order: Vec<u8>,
    /// The verified bytes of the version, sealed.
    bytes: File,
    memory: u64,
    model: ModelName,
    version: Version,
    state: Mutex<WorkerState>,
    /// A worker has started, failed to start, died, or has an idle slot. Or the session is closed.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct WorkerState {
    /// The number of workers that have started.
    generation: u64,
    /// The living worker.
    worker: Option<Arc<OwnedFd>>,
    /// The slots of the living worker that run nothing.
    idle: Vec<Channel>,
    /// The number of slots of the living worker that run something.
    busy: usize,
    /// Whether the living worker has answered anything.
    has_answered: bool,
    /// The last death, and whether a single run was under way.
    death: Option<(WorkerDeath, bool)>,
    /// The number of starts that failed, and the last error.
    failed_starts: (u64, String),
    suspects: Suspects,
    is_closed: bool,
}

/// A slot of one worker.
struct Lease {
    slot: Channel,
    generation: u64,
}

type FirstStart = Result<(Vec<TensorSpec>, Vec<TensorSpec>), RuntimeError>;

impl WorkerSession {
    /// Starts a worker, and waits until it has loaded the version.
    pub(super) fn start(
        program: WorkerProgram,
        memory: u64,
        requires_lockdown: bool,
        idle_threads: Arc<IdleThreads>,
        version: VerifiedVersion,
    ) -> Result<Self, RuntimeError> {
        let failed = |error: String| RuntimeError::Worker(error);
        let manifest = version.manifest();
        let order = LoadOrder {
            manifest: manifest.to_json(),
            memory,
            threads: program.threads.get(),
            requires_lockdown,
        };
        let parts = version.files().values().map(Vec::as_slice);
        let bytes = shared_memory::sealed("clarity-version", parts);
        let threads = SessionThreads::new(program.slots(), idle_threads);
        let shared = Arc::new(SharedWorker {
            program,
            order: serde_json::to_vec(&order).map_err(|error| failed(error.to_string()))?,
            bytes: bytes.map_err(|error| failed(format!("cannot copy the version: {error}")))?,
            memory,
            model: manifest.model().clone(),
            version: manifest.version(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        drop(version);
        let (sender, receiver) = sync_channel(1);
        let supervised = Arc::clone(&shared);
        // The kernel kills a worker when the thread that started it ends.
        let supervisor = thread::Builder::new().name("worker".to_owned());
        let supervisor = supervisor.spawn(move || supervised.supervise(sender));
        supervisor.map_err(|error| failed(format!("cannot start a thread: {error}")))?;
        let first = receiver.recv();
        let (inputs, outputs) =
            first.unwrap_or_else(|_| Err(failed("its thread ended".to_owned())))?;
        Ok(Self {
            inputs,
            outputs,
            threads,
            shared,
        })
    }
}

impl Drop for WorkerSession {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        if let Some(worker) = &state.worker {
            process::kill(worker);
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Session for WorkerSession {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        let mut request = Vec::new();
        encode_tensors(&inputs, &mut request);
        drop(inputs);
        let mut lease = self.shared.take_slot(&request)?;
        if lease.slot.send(&request).is_err() {
            // The worker died before it could receive the request, so another one may run it.
            self.shared.bury(lease.generation, None);
            lease = self.shared.take_slot(&request)?;
            if lease.slot.send(&request).is_err() {
                return Err(self.shared.bury(lease.generation, None));
            }
        }
        let answer = lease.slot.receive(self.shared.memory);
        match answer.ok().and_then(|answer| decode_answer(&answer)) {
            Some(outcome) => {
                self.shared.give_back(lease);
                outcome
            }
            None => Err(self.shared.bury(lease.generation, Some(&request))),
        }
    }

    fn spawn(&self, work: Work) -> Result<(), Work> {
        self.threads.spawn(work)
    }
}

impl SharedWorker {
    /// Starts a worker, waits for its death, and starts another one, until the session is closed.
    /// Gives up if the first worker does not load the version.
    fn supervise(&self, first: SyncSender<FirstStart>) {
        let mut first = Some(first);
        let mut futile = 0;
        loop {
            let started = process::start(&self.program, &self.order, &self.bytes);
            match (started, first.take()) {
                (Err(error), Some(first)) => {
                    // An error means that nobody waits for the start.
                    let _ = first.send(Err(error));
                    return;
                }
                (Err(error), None) => {
                    futile += 1;
                    self.record_failed_start(&error);
                }
                (Ok(worker), first) => {
                    let (has_answered, is_closed) = self.oversee(worker, first);
                    if is_closed {
                        return;
                    }
                    futile = if has_answered { 0 } else { futile + 1 };
                }
            }
            if self.is_closed_within(backoff(futile)) {
                return;
            }
        }
    }

    /// Offers a worker to runs until its death. Returns whether the worker has answered anything,
    /// and whether the session is closed.
    fn oversee(&self, worker: LoadedWorker, first: Option<SyncSender<FirstStart>>) -> (bool, bool) {
        let (model, version) = (&self.model, self.version);
        let LoadedWorker {
            mut process,
            slots,
            inputs,
            outputs,
            lockdown,
        } = worker;
        let pid = process.id();
        let generation = {
            let mut state = self.lock();
            if state.is_closed {
                process.kill();
            }
            state.generation += 1;
            state.worker = Some(process.handle());
            (state.idle, state.busy) = (slots, 0);
            state.has_answered = false;
            state.generation
        };
        self.changed.notify_all();
        let enforced = lockdown.enforced.join(", ");
        tracing::info!(%model, %version, pid, generation, enforced, "worker started");
        if !lockdown.missing.is_empty() {
            let missing = lockdown.missing.join("; ");
            tracing::warn!(%model, %version, pid, missing, "the worker's sandbox is incomplete");
        }
        if let Some(first) = first {
            // An error means that nobody waits for the start.
            let _ = first.send(Ok((inputs, outputs)));
        }
        let death = process.wait().unwrap_or_else(|error| WorkerDeath {
            cause: DeathCause::Own,
            outcome: format!("cannot be waited for: {error}"),
        });
        let mut state = self.lock();
        let outcome = death.outcome.clone();
        state.death = Some((death, state.busy == 1));
        state.worker = None;
        state.idle.clear();
        let (requests, ended) = (state.busy, (state.has_answered, state.is_closed));
        drop(state);
        self.changed.notify_all();
        if !ended.1 {
            tracing::warn!(%model, %version, pid, generation, requests, outcome, "worker died");
        }
        ended
    }

    fn record_failed_start(&self, error: &RuntimeError) {
        let (model, version, detail) = (&self.model, self.version, error.to_string());
        tracing::error!(%model, %version, detail, "worker did not start");
        let mut state = self.lock();
        state.failed_starts.0 += 1;
        state.failed_starts.1 = detail;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for `delay`. Returns early, and true, once the session is closed.
    fn is_closed_within(&self, delay: Duration) -> bool {
        let state = self.lock();
        let waited = self
            .changed
            .wait_timeout_while(state, delay, |state| !state.is_closed);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_closed
    }

    /// Waits for an idle slot of a living worker.
    ///
    /// # Errors
    ///
    /// When no worker can be started, or when the request has killed too many workers.
    fn take_slot(&self, request: &[u8]) -> Result<Lease, RunError> {
        let mut state = self.lock();
        if !state.suspects.is_empty() && state.suspects.holds(&Digest::of(request)) {
            return Err(RunError::WorkerDied {
                why: "the same request ended two workers: it is refused for a minute".to_owned(),
                is_judged: false,
            });
        }
        let failed_before = state.failed_starts.0;
        loop {
            if let Some(slot) = state.idle.pop() {
                state.busy += 1;
                let generation = state.generation;
                return Ok(Lease { slot, generation });
            }
            if state.worker.is_none() && state.failed_starts.0 > failed_before {
                return Err(RunError::WorkerDied {
                    why: format!("no worker starts: {}", state.failed_starts.1),
                    is_judged: false,
                });
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives back the slot of a run that was answered.
    fn give_back(&self, lease: Lease) {
        lease.slot.trim();
        let mut state = self.lock();
        if state.generation == lease.generation && state.worker.is_some() {
            state.has_answered = true;
            state.busy -= 1;
            state.idle.push(lease.slot);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Kills the worker of a failed exchange, waits for its death, and describes the death. The
    /// request that the worker received becomes a suspect if the worker had no other one.
    // A worker that has closed its socket, or has sent a malformed message, must not live on.
    fn bury(&self, generation: u64, request: Option<&[u8]>) -> RunError {
        let mut state = self.lock();
        while state.generation == generation
            && let Some(worker) = &state.worker
        {
            process::kill(worker);
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        let Some((death, was_alone)) = state.death.clone() else {
            return RunError::Failed("the worker sent a malformed answer".to_owned());
        };
        if let Some(request) = request
            && was_alone
            && death.cause != DeathCause::Outside
        {
            state.suspects.add(Digest::of(request));
        }
        match death.cause {
            DeathCause::OutOfMemory => RunError::OutOfMemory(death.outcome),
            cause => RunError::WorkerDied {
                why: format!("the worker {}", death.outcome),
                is_judged: cause == DeathCause::Own,
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, WorkerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The delay before a start, after `futile` workers in a row that answered nothing.
fn backoff(futile: u32) -> Duration {
    match futile {
        0 | 1 => Duration::ZERO,
        more => BACKOFF_MOST.min(BACKOFF_LEAST * 2_u32.saturating_pow((more - 2).min(16))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_only_after_a_second_futile_worker() {
        let delays: Vec<u128> = (0..5).map(|futile| backoff(futile).as_millis()).collect();
        assert_eq!(delays, [0, 0, 100, 200, 400]);
        assert_eq!(backoff(u32::MAX), BACKOFF_MOST);
    }
}
