//! Threads that begin later than they would, so that a race between them goes the other way.
//!
//! Two runs of a test with a race agree nearly always: the thread that is started first comes first. So in the second run of
//! `--check-determinism` every other thread waits a while before its first step. The kernel holds it: each new thread of the C library tells it
//! where its robust futexes are ([set_robust_list(2)](https://man7.org/linux/man-pages/man2/set_robust_list.2.html)), and that call is handed to
//! a thread of the harness, which lets it go on when it is time. Where the kernel cannot do that, or a C library does not call it, threads begin as
//! they come.

use crate::explore::{Listener, Trap, Waiting, install};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How much later a thread begins: longer than it takes to start the next one, also on a busy machine.
const DELAY: Duration = Duration::from_millis(20);

/// How often it is looked whether the test has ended.
const TICK: Duration = Duration::from_millis(2);

/// The thread that holds others up.
#[derive(Debug)]
pub(crate) struct LateStarts {
    ended: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
}

/// Makes the threads late that its thread starts.
#[derive(Debug)]
pub(crate) struct Latecomers(Sender<Listener>);

impl LateStarts {
    /// Starts the thread, which waits until [`Latecomers::begin`] gives it something to do.
    ///
    /// # Errors
    ///
    /// When there is no room for a thread.
    pub(crate) fn prepare() -> io::Result<(Self, Latecomers)> {
        let ended = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = channel();
        let over = Arc::clone(&ended);
        let keeper = thread::Builder::new()
            .name("chaos-late-starts".to_owned())
            .spawn(move || keep(&receiver, &over))?;
        Ok((Self { ended, keeper }, Latecomers(sender)))
    }

    /// Lets all go that still wait, and ends.
    pub(crate) fn end(self) {
        self.ended.store(true, Ordering::Release);
        // Its panic would have been on the timeline.
        let _ = self.keeper.join();
    }
}

impl Latecomers {
    /// From now on every other thread begins late that this one starts, or one of those; programs count as threads.
    pub(crate) fn begin(self) {
        let traps = [Trap {
            number: libc::SYS_set_robust_list,
            only: None,
        }];
        // Where it cannot be done, threads begin as they come. The one that keeps others is gone if it panicked.
        if let Ok(listener) = install(&traps) {
            let _ = self.0.send(Listener::new(listener));
        }
    }
}

/// Answers until the test has ended. What asks after that gets an error from the kernel, which the C library expects of old ones.
fn keep(listeners: &Receiver<Listener>, ended: &AtomicBool) {
    let Ok(listener) = listeners.recv() else {
        return;
    };
    let mut late: Vec<(Instant, Waiting)> = Vec::new();
    let mut is_next_late = true;
    while !ended.load(Ordering::Acquire) {
        let now = Instant::now();
        late.retain(|(until, waiting)| {
            let is_over = *until <= now;
            if is_over {
                let _ = listener.proceed(waiting);
            }
            !is_over
        });
        let tick = Timespec::try_from(TICK).unwrap_or_default();
        let mut watched = [PollFd::new(&listener, PollFlags::IN)];
        let polled = poll(&mut watched, Some(&tick));
        if polled.is_err() || !watched[0].revents().contains(PollFlags::IN) {
            continue;
        }
        let Ok(Some(waiting)) = listener.next() else {
            continue;
        };
        if is_next_late {
            late.push((now + DELAY, waiting));
        } else {
            let _ = listener.proceed(&waiting);
        }
        is_next_late = !is_next_late;
    }
    for (_, waiting) in late {
        let _ = listener.proceed(&waiting);
    }
}
