//! The supervisors that wait for cases: one for each test that runs at the same time.
//!
//! A supervisor is started when it is first needed and used again and again. It gets an [`RunnerMessage`] in a line of its standard input, and gives an
//! [`SupervisorMessage`] in a line of its standard output. One that dies takes its case with it, and the next case gets another.

use crate::data::case::{Case, SlotDir};
use crate::data::confinement::Confinement;
use crate::data::duration::deadline;
use crate::data::process_report::ProcessReport;
use crate::runner::workspace::Workspace;
use crate::supervisor;
use crate::supervisor::protocol::{MESSAGE_PREFIX, RunnerMessage, SupervisorMessage};
use crate::supervisor::role::{Role, SupervisorConfig};
use clarity_chaos_record::{Isolation, Sandbox};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a supervisor may take to begin.
const BEGINNING: Duration = Duration::from_secs(30);

/// The supervisors of a run.
#[derive(Debug)]
pub(crate) struct Slots {
    isolation: Isolation,
    run: PathBuf,
    state: Mutex<State>,
    interrupted: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// What supervisors of the sandbox try to put up: less, as long as that is refused to the first of them.
    confinement: Confinement,
    /// Whether it stands around one, and so was told to the user.
    is_told: bool,
    started: usize,
    free: Vec<Slot>,
    /// Where the supervisors that are at work take orders.
    working: Vec<Arc<Mutex<Orders>>>,
}

impl Slots {
    /// None yet, for the run whose folder is `run`.
    pub(crate) fn new(isolation: Isolation, run: PathBuf) -> Self {
        Self {
            isolation,
            run,
            state: Mutex::new(State {
                confinement: Confinement::tightest(),
                is_told: false,
                started: 0,
                free: Vec::new(),
                working: Vec::new(),
            }),
            interrupted: AtomicBool::new(false),
        }
    }

    /// A supervisor that waits for a case, in the sandbox or not.
    ///
    /// # Errors
    ///
    /// When none is free, and none can be started.
    pub(crate) fn take(&self, sandboxed: bool) -> io::Result<Held<'_>> {
        let free = {
            let mut state = self.state();
            let fits = |slot: &Slot| slot.sandboxed == sandboxed;
            let near = |slot: &Slot| fits(slot) && slot.processor == bound_processor();
            let near = state.free.iter().position(near);
            let place = near.or_else(|| state.free.iter().position(fits));
            place.map(|place| state.free.swap_remove(place))
        };
        let slot = match free {
            Some(slot) => slot,
            None => self.start(sandboxed)?,
        };
        Ok(Held {
            slots: self,
            slot,
            is_over: false,
        })
    }

    /// Makes the cases that run end as if their time were up, and those that would begin not begin.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
        let working = self.state().working.clone();
        for orders in working {
            // A supervisor that is gone needs no order.
            let _ = locked(&orders).give(&RunnerMessage::Interrupt);
        }
    }

    /// Whether [`interrupt`](Self::interrupt) was called.
    pub(crate) fn are_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    fn start(&self, sandboxed: bool) -> io::Result<Slot> {
        let (number, mut confinement) = {
            let mut state = self.state();
            state.started += 1;
            let closed = sandboxed.then(|| state.confinement.clone());
            (state.started, closed.unwrap_or(Confinement::Open))
        };
        let folder = SlotDir::create(&self.run, number)?;
        let processor = match self.isolation {
            Isolation::Fork => processor_of(number),
            _ => None,
        };
        loop {
            let post = SupervisorConfig {
                isolation: self.isolation,
                confinement: confinement.clone(),
                processor,
                slot: folder.clone(),
                run: self.run.clone(),
            };
            let refusal = match Slot::start(post, sandboxed)? {
                Ok(slot) => {
                    self.state().is_told |= sandboxed;
                    return Ok(slot);
                }
                Err(refusal) => refusal,
            };
            if self.state().is_told {
                return Err(io::Error::other(format!(
                    "the sandbox of the tests before it was refused: {refusal}"
                )));
            }
            confinement = confinement.looser(refusal.clone()).ok_or_else(|| {
                io::Error::other(format!("no supervisor can be started: {refusal}"))
            })?;
            self.state().confinement = confinement.clone();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

/// A supervisor that nobody else can use meanwhile.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    slots: &'a Slots,
    slot: Slot,
    /// Whether it has failed, or said that it ends.
    is_over: bool,
}

impl Held<'_> {
    /// The folder that the case's own is to be in.
    pub(crate) fn workspace(&mut self) -> &mut Workspace {
        &mut self.slot.workspace
    }

    /// What stands around its tests.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.slot.sandbox
    }

    /// Lets it wait for another case, when nobody needs what the last one left in its folder any more.
    pub(crate) fn give_back(self) {
        if !self.is_over {
            self.slots.state().free.push(self.slot);
        }
    }

    /// Runs a case, and returns when nothing of it is left but its folder.
    ///
    /// # Errors
    ///
    /// When the supervisor died or has not answered after `patience`.
    pub(crate) fn run(&mut self, case: &Case, patience: Duration) -> io::Result<ProcessReport> {
        bind(self.slot.processor);
        let orders = Arc::clone(&self.slot.orders);
        self.slots.state().working.push(Arc::clone(&orders));
        let ended = self.order(case, patience);
        let mut state = self.slots.state();
        state.working.retain(|other| !Arc::ptr_eq(other, &orders));
        drop(state);
        self.is_over = ended.as_ref().map_or(true, |ending| ending.retires);
        ended
    }

    fn order(&mut self, case: &Case, patience: Duration) -> io::Result<ProcessReport> {
        self.slot
            .give(&RunnerMessage::Run(Box::new(case.clone())))?;
        // Whoever interrupted before the order was given has interrupted nobody.
        if self.slots.are_interrupted() {
            self.slot.give(&RunnerMessage::Interrupt)?;
        }
        match self.slot.answer(patience)? {
            SupervisorMessage::CaseEnded(ending) => Ok(ending),
            other => Err(out_of_turn(&other)),
        }
    }
}

/// One supervisor.
#[derive(Debug)]
struct Slot {
    process: Child,
    sandboxed: bool,
    processor: Option<usize>,
    workspace: Workspace,
    sandbox: Sandbox,
    orders: Arc<Mutex<Orders>>,
    answers: BufReader<ChildStdout>,
}

/// Where a supervisor takes orders. Its end tells the supervisor that the runner is done, or gone.
#[derive(Debug)]
struct Orders(Option<ChildStdin>);

impl Orders {
    fn give(&mut self, order: &RunnerMessage) -> io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        match &mut self.0 {
            Some(pipe) => pipe.write_all(&line),
            None => Ok(()),
        }
    }
}

impl Slot {
    /// Starts a supervisor; the inner error is its reason to refuse the post.
    fn start(post: SupervisorConfig, sandboxed: bool) -> io::Result<Result<Self, String>> {
        let (workspace, processor) = (Workspace::open(post.slot.clone())?, post.processor);
        let mut command = Role::Supervisor(post).command()?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            command.process_group(0); // Ctrl-C ends the runner; the supervisor notices that and cleans up
        }
        let mut process = command.spawn()?;
        let missing = || io::Error::other("a pipe of the supervisor is missing");
        let answers = process.stdout.take().ok_or_else(missing)?;
        let mut slot = Self {
            sandboxed,
            processor,
            workspace,
            sandbox: supervisor::unconfined(),
            orders: Arc::new(Mutex::new(Orders(process.stdin.take()))),
            answers: BufReader::new(answers),
            process,
        };
        match slot.answer(BEGINNING)? {
            SupervisorMessage::Ready(sandbox) => slot.sandbox = sandbox,
            SupervisorMessage::Refused(reason) => return Ok(Err(reason)),
            other @ SupervisorMessage::CaseEnded(_) => return Err(out_of_turn(&other)),
        }
        Ok(Ok(slot))
    }

    fn give(&self, order: &RunnerMessage) -> io::Result<()> {
        locked(&self.orders).give(order)
    }

    /// The supervisor's next answer.
    fn answer(&mut self, patience: Duration) -> io::Result<SupervisorMessage> {
        loop {
            if self.answers.buffer().is_empty() && !readable(self.answers.get_ref(), patience)? {
                self.process.kill()?;
                return Err(io::Error::other(format!(
                    "the supervisor has not answered for {patience:?}, and was killed"
                )));
            }
            let mut line = String::new();
            if self.answers.read_line(&mut line)? == 0 {
                let status = self.process.wait()?;
                return Err(io::Error::other(format!(
                    "the supervisor ended without a word ({status})"
                )));
            }
            if let Some(answer) = line.strip_prefix(MESSAGE_PREFIX) {
                return Ok(serde_json::from_str(answer)?);
            }
        }
    }
}

fn out_of_turn(answer: &SupervisorMessage) -> io::Error {
    io::Error::other(format!("the supervisor answered out of turn: {answer:?}"))
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
        let mut orders = locked(&self.orders);
        let _ = orders.give(&RunnerMessage::Shutdown); // fails when it is dead, which is as well
        orders.0 = None;
        drop(orders);
        let _ = self.process.wait();
    }
}

#[cfg(target_os = "linux")]
use crate::os::affinity::{bind, bound as bound_processor, processor_of};

#[cfg(not(target_os = "linux"))]
fn bind(_processor: Option<usize>) {}

#[cfg(not(target_os = "linux"))]
fn bound_processor() -> Option<usize> {
    None
}

#[cfg(not(target_os = "linux"))]
fn processor_of(_slot: usize) -> Option<usize> {
    None
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
