//! Supervision where there is no subreaper: the test's process, and what its process group (Unix) or
//! process tree (Windows) still tells, can be ended; a daemon escapes.

use crate::data::case::Case;
use crate::data::duration::deadline;
use crate::data::ending::{Cut, Ending, Exit};
use crate::supervisor::protocol::Order;
use crate::supervisor::role::Post;
use clarity_chaos_record::Isolation;
use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How often the test's process is looked at.
const INTERVAL: Duration = Duration::from_millis(5);

/// This process, with a thread that listens to the runner.
#[derive(Debug)]
pub(super) struct Supervisor {
    orders: Receiver<io::Result<Order>>,
    /// Set when the runner, who holds our standard input open, is gone.
    runner_gone: Arc<AtomicBool>,
    /// Set when the case that runs is to end.
    interrupted: Arc<AtomicBool>,
}

impl Supervisor {
    pub(super) fn new(post: &Post, _private: Vec<PathBuf>) -> io::Result<Self> {
        if post.isolation != Isolation::Exec {
            return Err(io::Error::other(format!(
                "the {} isolation does not exist on this system; use --isolation exec",
                post.isolation
            )));
        }
        let (sender, orders) = mpsc::channel();
        let runner_gone = Arc::new(AtomicBool::new(false));
        let interrupted = Arc::new(AtomicBool::new(false));
        let (gone, interrupt) = (Arc::clone(&runner_gone), Arc::clone(&interrupted));
        thread::spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(Order::Interrupt) => interrupt.store(true, Ordering::Release),
                    order => {
                        if sender.send(order.map_err(Into::into)).is_err() {
                            break;
                        }
                    }
                }
            }
            gone.store(true, Ordering::Release);
        });
        Ok(Self {
            orders,
            runner_gone,
            interrupted,
        })
    }

    /// The runner's next order; none when there will be no more.
    pub(super) fn next_order(&mut self) -> io::Result<Option<Order>> {
        self.orders.recv().ok().transpose()
    }

    /// Whether the runner is gone.
    pub(super) fn is_abandoned(&self) -> bool {
        self.runner_gone.load(Ordering::Acquire)
    }

    /// Runs a case to its end; `None` when the runner went away first.
    pub(super) fn supervise(&mut self, case: &Case) -> io::Result<Option<Ending>> {
        let spec = &case.spec;
        let gone = || self.runner_gone.load(Ordering::Acquire);
        let began = Instant::now();
        let mut test = super::execute(case)?;

        let interrupted = || self.interrupted.load(Ordering::Acquire);
        let mut cut = None;
        let mut status = wait_for(&mut test, deadline(spec.timeout), || {
            gone() || interrupted()
        })?;
        if status.is_none() && !gone() {
            cut = Some(if interrupted() {
                Cut::Interrupted
            } else {
                Cut::TimedOut
            });
            ask_to_end(&test);
            status = wait_for(&mut test, deadline(spec.grace), gone)?;
        }
        kill_tree(&mut test);
        let status = match status {
            Some(status) => status,
            None => test.wait()?,
        };
        if gone() {
            return Ok(None);
        }
        let exit = Exit::from(status);
        Ok(Some(Ending {
            cut,
            ..Ending::of(exit, Isolation::Exec, began.elapsed())
        }))
    }
}

fn wait_for(
    test: &mut Child,
    deadline: Instant,
    give_up: impl Fn() -> bool,
) -> io::Result<Option<std::process::ExitStatus>> {
    loop {
        if let Some(status) = test.try_wait()? {
            return Ok(Some(status));
        }
        if give_up() || Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(INTERVAL);
    }
}

#[cfg(unix)]
fn ask_to_end(test: &Child) {
    let pid = rustix::process::Pid::from_child(test);
    let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::TERM);
}

#[cfg(unix)]
fn kill_tree(test: &mut Child) {
    let pid = rustix::process::Pid::from_child(test);
    let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    let _ = test.kill();
}

/// There is no polite way to end a process without a window.
#[cfg(not(unix))]
fn ask_to_end(_test: &Child) {}

#[cfg(not(unix))]
fn kill_tree(test: &mut Child) {
    // The system's own tool walks the tree by parents.
    let _ = std::process::Command::new("taskkill")
        .args(["/T", "/F", "/PID", &test.id().to_string()])
        .output();
    let _ = test.kill();
}
