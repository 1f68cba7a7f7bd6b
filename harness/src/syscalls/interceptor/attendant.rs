//! The thread that answers the calls that wait.

use super::rule::{Action, Rule};
use crate::os::listener::{Listener, Waiting};
use crate::os::lowered_limit::lifted;
use crate::os::seccomp::{Trap, install};
use crate::os::short_io::shortened;
use crate::os::tracee::Tracee;
use crate::syscalls::decoder::traps;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How much later a thread begins: longer than it takes to start the next one, also on a busy machine.
const LATE: Duration = Duration::from_millis(20);

/// How often it is looked whether a call has waited for long enough, whether there are others to listen to, and whether the test has ended.
const TICK: Duration = Duration::from_millis(2);

/// The call that the C library makes first in each thread
/// ([set_robust_list(2)](https://man7.org/linux/man-pages/man2/set_robust_list.2.html)).
const FIRST: i64 = libc::SYS_set_robust_list;

/// The attendant of this process; one at most, since it has one test. None where the test is a guest of the runner.
static ATTENDANT: OnceLock<Arc<Attendant>> = OnceLock::new();

#[derive(Debug, Default)]
struct Attendant {
    ended: AtomicBool,
    /// Whether every other thread is to begin late.
    late_starts: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    thread: Option<JoinHandle<()>>,
    /// To be listened to from now on.
    new: Vec<OwnedFd>,
    /// How many listeners there have been.
    listening: usize,
    rules: Vec<(u64, Rule)>,
    /// How many rules there were.
    numbered: u64,
}

/// What the process of a test has from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Attendants(Arc<Attendant>);

impl Attendants {
    /// Allows calls of this process to be handed over, once.
    pub(crate) fn allow(late_starts: bool) -> Self {
        let attendant = ATTENDANT.get_or_init(|| {
            Arc::new(Attendant {
                late_starts,
                ..Attendant::default()
            })
        });
        Self(Arc::clone(attendant))
    }

    /// Lets all go that still wait, and ends. Calls that come later fail, as on a kernel that does not know them: what makes them is about
    /// to end, too.
    pub(crate) fn end(&self) {
        self.0.ended.store(true, Ordering::Release);
        let thread = self.0.state().thread.take();
        // Its panic is on the timeline.
        let _ = thread.map(JoinHandle::join);
    }

    /// Hands the calls of this thread over if its threads are to begin late.
    pub(crate) fn begin_late_starts() {
        if ATTENDANT
            .get()
            .is_some_and(|attendant| attendant.late_starts)
        {
            // Where it cannot be done, threads begin as they come.
            let _ = attend();
        }
    }

    /// Whether calls of this process are handed over, so that an exploration cannot have them.
    pub(crate) fn are_in_use() -> bool {
        ATTENDANT
            .get()
            .is_some_and(|attendant| attendant.state().listening > 0)
    }
}

/// From now on the file calls of this thread, and of all threads and processes that it starts, are handed to the attendant.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] when the test has no process of its own, or this kernel cannot do it.
pub(crate) fn attend() -> io::Result<()> {
    let attendant = ATTENDANT.get().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "the test has no process of its own (--isolation thread)",
        )
    })?;
    let mut state = attendant.state();
    // Before the filter: the attendant's own calls wait for nobody.
    if state.thread.is_none() {
        let own = Arc::clone(attendant);
        let thread = thread::Builder::new().name("chaos-calls".to_owned());
        state.thread = Some(thread.spawn(move || own.serve())?);
    }
    let mut wanted = traps(true);
    if attendant.late_starts {
        wanted.push(Trap {
            number: FIRST,
            only: None,
        });
    }
    match install(&wanted) {
        Ok(listener) => {
            // As it is: already a call to set it up would wait for the attendant, who waits for this lock.
            state.new.push(listener);
            state.listening += 1;
        }
        // A thread has one listener at most, and this one's is ours already, or of who started the whole process.
        Err(error) if error.kind() == io::ErrorKind::Unsupported && state.listening > 0 => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Puts a rule in force, and gives what takes it back.
pub(crate) fn put(rule: Rule) -> impl FnOnce() + Send + 'static {
    let attendant = ATTENDANT.get().map(Arc::clone);
    let number = attendant.as_ref().map_or(0, |attendant| {
        let mut state = attendant.state();
        state.numbered += 1;
        let number = state.numbered;
        state.rules.push((number, rule));
        number
    });
    move || {
        if let Some(attendant) = attendant {
            attendant
                .state()
                .rules
                .retain(|(other, _)| *other != number);
        }
    }
}

impl Attendant {
    /// The attendant's whole life.
    fn serve(&self) {
        let mut listeners: Vec<Listener> = Vec::new();
        let mut held: Vec<Held> = Vec::new();
        let mut threads = 0_u64;
        while !self.ended.load(Ordering::Acquire) {
            let new = std::mem::take(&mut self.state().new);
            listeners.extend(new.into_iter().map(Listener::new));
            let now = Instant::now();
            held.retain(|held| !held.is_released(&listeners, now));
            for place in ready(&mut listeners) {
                let listener = &listeners[place];
                let Ok(Some(waiting)) = listener.next() else {
                    continue;
                };
                let action = if waiting.number == FIRST {
                    threads += 1;
                    (threads % 2 == 1).then_some(Action::Delay(LATE))
                } else {
                    self.action_for(&waiting)
                };
                match action {
                    None => pass(listener, &waiting),
                    Some(Action::Fail(errno)) => {
                        let _ = listener.fail(&waiting, errno);
                    }
                    Some(Action::Delay(by)) => held.push(Held {
                        until: Instant::now() + by,
                        listener: listener.number(),
                        waiting,
                    }),
                    Some(Action::Shorten { most, otherwise }) => {
                        match (shortened(&waiting, most), otherwise) {
                            (Some(value), _) => {
                                let _ = listener.pretend(&waiting, value);
                            }
                            (None, Some(errno)) => {
                                let _ = listener.fail(&waiting, errno);
                            }
                            (None, None) => pass(listener, &waiting),
                        }
                    }
                    Some(Action::After(deed)) => {
                        deed.run();
                        pass(listener, &waiting);
                    }
                    // A rule gives what it comes to.
                    Some(Action::Room(_)) => pass(listener, &waiting),
                }
            }
        }
        for held in held {
            held.release(&listeners);
        }
    }

    /// What is to be done to a call: by the first rule that is for it, though all of them count it.
    fn action_for(&self, waiting: &Waiting) -> Option<Action> {
        let mut state = self.state();
        if state.rules.is_empty() {
            return None;
        }
        // To look at a call takes descriptors and memory, of which a fault may have left none.
        lifted(|| {
            let tracee = Tracee::of(waiting.thread).ok()?;
            let rules = state.rules.iter_mut();
            // Not lazily: each is to count it.
            let actions: Vec<_> = rules.map(|(_, rule)| rule.meet(waiting, &tracee)).collect();
            actions.into_iter().flatten().next()
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is delayed.
#[derive(Debug)]
struct Held {
    until: Instant,
    /// The number of the listener that it came by.
    listener: i32,
    waiting: Waiting,
}

impl Held {
    /// Whether it has been let go, since it was time.
    fn is_released(&self, listeners: &[Listener], now: Instant) -> bool {
        let is_time = self.until <= now;
        if is_time {
            self.release(listeners);
        }
        is_time
    }

    fn release(&self, listeners: &[Listener]) {
        let by = listeners
            .iter()
            .find(|listener| listener.number() == self.listener);
        // None if all who could call that way are gone.
        if let Some(listener) = by {
            pass(listener, &self.waiting);
        }
    }
}

/// Its thread may have been killed meanwhile.
fn pass(listener: &Listener, waiting: &Waiting) {
    let _ = listener.proceed(waiting);
}

/// Waits for calls, no longer than a tick, and gives the places of the listeners that have one. Forgets those that nobody can call by any more.
fn ready(listeners: &mut Vec<Listener>) -> Vec<usize> {
    let tick = Timespec::try_from(TICK).unwrap_or_default();
    let mut watched: Vec<PollFd<'_>> = listeners
        .iter()
        .map(|listener| PollFd::new(listener, PollFlags::IN))
        .collect();
    if poll(&mut watched, Some(&tick)).is_err() {
        return Vec::new();
    }
    let found: Vec<PollFlags> = watched.iter().map(PollFd::revents).collect();
    let has_call = |flags: &PollFlags| flags.contains(PollFlags::IN);
    if found
        .iter()
        .any(|flags| !has_call(flags) && flags.contains(PollFlags::HUP))
    {
        let mut flags = found.iter();
        listeners.retain(|_| {
            let flags = flags.next();
            flags.is_some_and(|flags| has_call(flags) || !flags.contains(PollFlags::HUP))
        });
        return Vec::new();
    }
    let places = found.iter().enumerate();
    places
        .filter(|(_, flags)| has_call(flags))
        .map(|(place, _)| place)
        .collect()
}
