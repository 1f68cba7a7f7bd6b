//! The worker pool: one supervisor for each of the tests that run in parallel.
//!
//! The pool reuses supervisors. It starts a supervisor when no free supervisor fits. When a
//! supervisor dies, its case is lost, and the next case gets a new supervisor.

use crate::data::case::{Case, WorkerDir};
use crate::data::confinement::Confinement;
use crate::data::process_report::ProcessReport;
use crate::data::service::{RunServices, VisibleServices};
#[cfg(target_os = "linux")]
use crate::os::stopped_processes::StoppedProcesses;
use crate::os::temporary_directory::with_temporary_directory;
use crate::runner::suspensions::Suspensions;
use crate::runner::worker::{OrderPipe, Worker, locked};
use crate::runner::workspace::Workspace;
use crate::supervisor::protocol::RunnerMessage;
use crate::supervisor::role::SupervisorConfig;
use clarity_chaos_record::{Isolation, Sandbox};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// The workers of a run.
#[derive(Debug)]
pub(crate) struct WorkerPool {
    isolation: Isolation,
    run: PathBuf,
    shared: SharedByPools,
    /// The file for coverage data of the tests. `None` if the environment names it, or if there is
    /// no such data.
    profile_file: Option<PathBuf>,
    state: Mutex<PoolState>,
    interrupted: AtomicBool,
    suspended: AtomicBool,
    /// The processes that tests in the runner's process have started, while the run is stopped.
    #[cfg(target_os = "linux")]
    stopped: Mutex<Option<StoppedProcesses>>,
}

/// The state that all pools of a run share.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedByPools {
    /// The number of workers that the pools have started.
    started: Arc<AtomicUsize>,
    pub(crate) suspensions: Suspensions,
}

/// The longest wait until the supervisors have stopped their tests.
const SUSPEND_LIMIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct PoolState {
    /// The confinement that new sandboxed supervisors try first. Each refusal weakens the
    /// confinement.
    confinement: Confinement,
    /// Whether a supervisor has started with `confinement`. If so, `confinement` must not change
    /// any more, because the header may already show it.
    is_confirmed: bool,
    /// The services of the run, for new supervisors.
    services: RunServices,
    free: Vec<Worker>,
    /// The order pipes of the workers that are running a case.
    busy: Vec<Arc<Mutex<OrderPipe>>>,
}

impl WorkerPool {
    /// Creates an empty pool, in the run's directory `run`.
    pub(crate) fn new(
        isolation: Isolation,
        run: PathBuf,
        shared: SharedByPools,
        profile_file: Option<PathBuf>,
    ) -> Self {
        Self {
            isolation,
            run,
            shared,
            profile_file,
            state: Mutex::new(PoolState {
                confinement: Confinement::tightest(),
                is_confirmed: false,
                services: RunServices::default(),
                free: Vec::new(),
                busy: Vec::new(),
            }),
            interrupted: AtomicBool::new(false),
            suspended: AtomicBool::new(false),
            #[cfg(target_os = "linux")]
            stopped: Mutex::default(),
        }
    }

    /// Takes a free worker with or without the sandbox, as `sandboxed` requires. Starts a worker if
    /// no such worker is free.
    ///
    /// # Errors
    ///
    /// When no such worker is free, and no worker can be started.
    pub(crate) fn take(&self, sandboxed: bool) -> io::Result<WorkerLease<'_>> {
        let free = {
            let mut state = self.state();
            let fits = |worker: &Worker| worker.sandboxed == sandboxed;
            let near = |worker: &Worker| fits(worker) && worker.processor == bound_processor();
            let near = state.free.iter().position(near);
            let index = near.or_else(|| state.free.iter().position(fits));
            index.map(|index| state.free.swap_remove(index))
        };
        let worker = match free {
            Some(worker) => worker,
            None => self.start(sandboxed)?,
        };
        Ok(WorkerLease {
            pool: self,
            worker,
            is_over: false,
        })
    }

    /// Gives the services of the run to all later cases. Call this method while no case runs.
    pub(crate) fn serve(&self, services: RunServices) {
        let mut state = self.state();
        state.services = services;
        let without_services = std::mem::take(&mut state.free);
        drop(state);
        drop(without_services);
    }

    /// Ends the running cases as if they had reached their timeouts. Ends every later case right
    /// after its start.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
        self.send_to_busy(&RunnerMessage::Interrupt);
    }

    /// Whether [`interrupt`](Self::interrupt) has been called on this pool.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// Stops the running cases. Returns when they have stopped, or after [`SUSPEND_LIMIT`]. A case
    /// in the runner's process stops with the runner, so only its processes stop here.
    pub(crate) fn suspend(&self) {
        #[cfg(target_os = "linux")]
        if self.isolation == Isolation::Thread {
            *locked(&self.stopped) = Some(StoppedProcesses::stop_descendants());
        }
        self.suspended.store(true, Ordering::SeqCst);
        self.send_to_busy(&RunnerMessage::Suspend);
        let deadline = Instant::now() + SUSPEND_LIMIT;
        let is_running = |orders: &Arc<Mutex<OrderPipe>>| !locked(orders).is_suspended;
        while self.busy().iter().any(is_running) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Continues the cases that [`suspend`](Self::suspend) has stopped.
    pub(crate) fn resume(&self) {
        #[cfg(target_os = "linux")]
        drop(locked(&self.stopped).take());
        self.suspended.store(false, Ordering::SeqCst);
        self.send_to_busy(&RunnerMessage::Resume);
    }

    fn send_to_busy(&self, order: &RunnerMessage) {
        for orders in self.busy() {
            let mut orders = locked(&orders);
            orders.is_suspended = false;
            // Sending fails only if the supervisor is dead.
            let _ = orders.send(order);
        }
    }

    fn busy(&self) -> Vec<Arc<Mutex<OrderPipe>>> {
        self.state().busy.clone()
    }

    /// Returns the order for a case that starts during an interruption or a suspension.
    fn pending_order(&self) -> Option<RunnerMessage> {
        if self.is_interrupted() {
            return Some(RunnerMessage::Interrupt);
        }
        let suspended = self.suspended.load(Ordering::SeqCst);
        suspended.then_some(RunnerMessage::Suspend)
    }

    fn start(&self, sandboxed: bool) -> io::Result<Worker> {
        let (number, mut confinement) = {
            let closed = sandboxed.then(|| self.state().confinement.clone());
            let number = self.shared.started.fetch_add(1, Ordering::Relaxed) + 1;
            (number, closed.unwrap_or(Confinement::Open))
        };
        // The supervisor and its tests inherit the processors of this thread.
        unbind();
        // Elsewhere there is no sandbox, and so no reason to distrust the worker's journals.
        let is_sandboxed = sandboxed && cfg!(target_os = "linux");
        let directory = WorkerDir::create(&self.run, &number.to_string(), is_sandboxed)
            .map_err(with_temporary_directory)?;
        let processor = match self.isolation {
            Isolation::Fork => processor_of(number),
            _ => None,
        };
        loop {
            let post = SupervisorConfig {
                isolation: self.isolation,
                confinement: confinement.clone(),
                processor,
                worker_dir: directory.clone(),
                run: self.run.clone(),
                services: self.state().services.clone(),
            };
            let refusal = match Worker::start(post, sandboxed, self.profile_file.as_deref())? {
                Ok(worker) => {
                    self.state().is_confirmed |= sandboxed;
                    return Ok(worker);
                }
                Err(refusal) => refusal,
            };
            if self.state().is_confirmed {
                return Err(io::Error::other(format!(
                    "the sandbox of earlier tests was refused: {refusal}"
                )));
            }
            confinement = confinement
                .looser(refusal.clone())
                .ok_or_else(|| io::Error::other(format!("cannot start a supervisor: {refusal}")))?;
            self.state().confinement = confinement.clone();
        }
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        locked(&self.state)
    }
}

/// The exclusive use of a worker.
#[derive(Debug)]
pub(crate) struct WorkerLease<'a> {
    pool: &'a WorkerPool,
    worker: Worker,
    /// Whether the supervisor has failed, or exits after the case that it has just run.
    is_over: bool,
}

impl WorkerLease<'_> {
    /// Returns the workspace in which the worker's cases have their directories.
    pub(crate) fn workspace(&mut self) -> &mut Workspace {
        &mut self.worker.workspace
    }

    /// Returns the services of the run, as the worker's tests see them.
    pub(crate) fn services(&self) -> &VisibleServices {
        &self.worker.services
    }

    /// Returns the sandbox around the worker's tests.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.worker.sandbox
    }

    /// Returns the worker to the pool, unless its supervisor has ended. The worker's directory must
    /// contain no file that is still needed.
    pub(crate) fn release(self) {
        if !self.is_over {
            self.pool.state().free.push(self.worker);
        }
    }

    /// Runs a case and waits for its end. The files of the case remain.
    ///
    /// # Errors
    ///
    /// When the supervisor has died, or does not answer within `limit`.
    pub(crate) fn run(&mut self, case: &Case, limit: Duration) -> io::Result<ProcessReport> {
        bind(self.worker.processor);
        let orders = Arc::clone(&self.worker.orders);
        self.pool.state().busy.push(Arc::clone(&orders));
        let suspensions = &self.pool.shared.suspensions;
        let pending = || self.pool.pending_order();
        let ended = self.worker.run(case, limit, suspensions, pending);
        let mut state = self.pool.state();
        state.busy.retain(|other| !Arc::ptr_eq(other, &orders));
        drop(state);
        self.is_over = ended.as_ref().map_or(true, |ending| ending.retires);
        ended
    }
}

#[cfg(target_os = "linux")]
use crate::os::affinity::{bind, bound as bound_processor, processor_of, unbind};

#[cfg(not(target_os = "linux"))]
fn bind(_processor: Option<usize>) {}

#[cfg(not(target_os = "linux"))]
fn unbind() {}

#[cfg(not(target_os = "linux"))]
fn bound_processor() -> Option<usize> {
    None
}

#[cfg(not(target_os = "linux"))]
fn processor_of(_worker: usize) -> Option<usize> {
    None
}
