//! The thread that answers intercepted calls.

use super::rule::{Action, Rule};
use crate::os::proc_text::read_lossy;
use crate::os::resource_limit::with_limits_lifted;
use crate::os::seccomp::filter::{SyscallPattern, install};
use crate::os::seccomp::listener::{NotificationListener, WaitingCall};
use crate::os::seccomp::partial_io::execute_partially;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::patterns::file_calls;
use crate::syscalls::unreadable_call::{is_hidden, reason_for_hiding};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The delay of a thread that starts late. The delay is long enough for the next thread to start
/// first, even on a busy machine.
const LATE_START: Duration = Duration::from_millis(20);

/// The interval at which the listener thread looks for expired delays, new listeners, and the end
/// of the test.
const TICK: Duration = Duration::from_millis(2);

/// The first call that the C library makes in each thread
/// ([set_robust_list(2)](https://man7.org/linux/man-pages/man2/set_robust_list.2.html)).
const THREAD_START: i64 = libc::SYS_set_robust_list;

/// The interceptor of this process. Set only in a process that runs a single test, and never in the
/// runner.
static INTERCEPTOR: OnceLock<Arc<Interceptor>> = OnceLock::new();

#[derive(Debug, Default)]
struct Interceptor {
    ended: AtomicBool,
    /// Whether every second thread starts late.
    late_starts: bool,
    state: Mutex<InterceptorState>,
}

#[derive(Debug, Default)]
struct InterceptorState {
    thread: Option<JoinHandle<()>>,
    /// New listeners, which the listener thread takes over at its next tick.
    new: Vec<OwnedFd>,
    /// The number of listeners that have been installed so far.
    listening: usize,
    rules: Vec<(u64, Rule)>,
    /// The number of rules that have been added so far.
    numbered: u64,
    /// The rules that may have applied to a call that could not be read.
    missed: BTreeSet<String>,
}

/// The permission to intercept system calls of this process. It exists from the test's start to the
/// test's end.
#[derive(Debug)]
pub(crate) struct SyscallInterceptor(Arc<Interceptor>);

impl SyscallInterceptor {
    /// Allows system calls of this process to be intercepted. Call this function once.
    pub(crate) fn allow(late_starts: bool) -> Self {
        let interceptor = INTERCEPTOR.get_or_init(|| {
            Arc::new(Interceptor {
                late_starts,
                ..Interceptor::default()
            })
        });
        Self(Arc::clone(interceptor))
    }

    /// Ends the listener thread. Before it ends, the listener thread lets all delayed calls pass.
    ///
    /// Calls that are intercepted afterwards fail with `ENOSYS`. This does no harm, since the
    /// threads that make such calls are about to end as well.
    pub(crate) fn end(&self) {
        self.0.ended.store(true, Ordering::Release);
        let thread = self.0.state().thread.take();
        // Ignores a panic of the listener thread: the timeline already shows the panic.
        let _ = thread.map(JoinHandle::join);
    }

    /// Describes the rules that may have applied to a call, whose arguments could not be read. Such
    /// a call was executed as without the rule.
    pub(crate) fn missed(&self) -> Vec<String> {
        self.0.state().missed.iter().cloned().collect()
    }

    /// Intercepts the calls of this thread if every second thread is to start late.
    pub(crate) fn begin_late_starts() {
        if INTERCEPTOR
            .get()
            .is_some_and(|interceptor| interceptor.late_starts)
        {
            // An error is ignored: if the interception fails, no thread starts late.
            let _ = intercept_this_thread();
        }
    }

    /// Whether calls of this process are already intercepted. If so, an exploration cannot
    /// intercept them as well.
    pub(crate) fn is_in_use() -> bool {
        INTERCEPTOR
            .get()
            .is_some_and(|interceptor| interceptor.state().listening > 0)
    }
}

/// Intercepts this thread's calls on files from now on. Also intercepts such calls of all threads
/// and processes that this thread starts later.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] when the test has no process of its own, or when this kernel
/// cannot intercept calls.
pub(crate) fn intercept_this_thread() -> io::Result<()> {
    let interceptor = INTERCEPTOR.get().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "the test has no process of its own (--isolation thread)",
        )
    })?;
    let mut state = interceptor.state();
    // Starts the listener thread before this thread installs the filter. The listener thread then
    // does not inherit the filter, and its own calls are not intercepted.
    if state.thread.is_none() {
        let own = Arc::clone(interceptor);
        let thread = thread::Builder::new().name("chaos-calls".to_owned());
        state.thread = Some(thread.spawn(move || own.serve())?);
    }
    let mut patterns = file_calls(true);
    if interceptor.late_starts {
        patterns.push(SyscallPattern {
            number: THREAD_START,
            argument_bits: None,
        });
    }
    match install(&patterns, None) {
        Ok(listener) => {
            // This thread must not make a system call on the listener here. Such a call would be
            // intercepted, and would wait for the listener thread. The listener thread would wait
            // for the lock that this thread holds.
            state.new.push(listener);
            state.listening += 1;
        }
        // This thread already has a listener, and cannot have a second one. This interceptor, or
        // the program that started this process, has installed the listener.
        Err(error) if error.kind() == io::ErrorKind::Unsupported && state.listening > 0 => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Adds a rule. Gives a function that removes the rule.
pub(crate) fn add_rule(rule: Rule) -> impl FnOnce() + Send + 'static {
    let interceptor = INTERCEPTOR.get().map(Arc::clone);
    let number = interceptor.as_ref().map_or(0, |interceptor| {
        let mut state = interceptor.state();
        state.numbered += 1;
        let number = state.numbered;
        state.rules.push((number, rule));
        number
    });
    move || {
        if let Some(interceptor) = interceptor {
            interceptor
                .state()
                .rules
                .retain(|(other, _)| *other != number);
        }
    }
}

impl Interceptor {
    /// Answers calls until the test ends.
    fn serve(&self) {
        let mut listeners: Vec<NotificationListener> = Vec::new();
        let mut delayed: Vec<DelayedCall> = Vec::new();
        let mut threads = 0_u64;
        while !self.ended.load(Ordering::Acquire) {
            let new = std::mem::take(&mut self.state().new);
            listeners.extend(new.into_iter().map(NotificationListener::new));
            let now = Instant::now();
            delayed.retain(|call| !call.is_released(&listeners, now));
            for index in ready(&mut listeners) {
                let listener = &listeners[index];
                let Ok(Some(waiting)) = listener.next() else {
                    continue;
                };
                let action = if waiting.number == THREAD_START {
                    threads += 1;
                    (threads % 2 == 1).then_some(Action::Delay(LATE_START))
                } else {
                    self.action_for(&waiting, listener)
                };
                match action {
                    None => pass(listener, &waiting),
                    Some(Action::Fail(errno)) => {
                        let _ = listener.fail(&waiting, errno);
                    }
                    Some(Action::Delay(by)) => delayed.push(DelayedCall {
                        until: Instant::now() + by,
                        listener: listener.number(),
                        waiting,
                    }),
                    Some(Action::Shorten { limit, otherwise }) => {
                        match (execute_partially(&waiting, limit), otherwise) {
                            (Some(value), _) => {
                                let _ = listener.pretend(&waiting, value);
                            }
                            (None, Some(errno)) => {
                                let _ = listener.fail(&waiting, errno);
                            }
                            (None, None) => pass(listener, &waiting),
                        }
                    }
                    Some(Action::RunBefore(hook)) => {
                        hook.run();
                        pass(listener, &waiting);
                    }
                    // Never happens: for `LimitSpace`, `Rule::apply` gives `Shorten`, `Fail` or
                    // none.
                    Some(Action::LimitSpace(_)) => pass(listener, &waiting),
                }
            }
        }
        for call in delayed {
            call.release(&listeners);
        }
    }

    /// Gives the action of the first rule that applies to a call. Every rule that matches the call
    /// counts the call, even if another rule applies.
    fn action_for(&self, waiting: &WaitingCall, listener: &NotificationListener) -> Option<Action> {
        let mut state = self.state();
        let InterceptorState { rules, missed, .. } = &mut *state;
        if rules.is_empty() {
            return None;
        }
        // Decoding needs descriptors and memory. A fault may have exhausted both, so the decoder
        // runs with the resource limits lifted.
        with_limits_lifted(|| {
            let tracee = Tracee::open(waiting.thread);
            let mut first = None;
            // Each rule must have the chance to count the call. So all rules are applied before one
            // action is picked.
            for (_, rule) in rules {
                let applied = match &tracee {
                    Ok(tracee) => rule.apply(waiting, tracee),
                    Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
                };
                match applied {
                    Ok(action) => first = first.or(action),
                    // Without a waiting call, the data can be that of another thread.
                    Err(error) if rule.can_apply(waiting) && listener.is_waiting(waiting) => {
                        missed.insert(describe_miss(rule, waiting, &error));
                    }
                    Err(_) => {}
                }
            }
            first
        })
    }

    fn state(&self) -> MutexGuard<'_, InterceptorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Describes a rule that may have applied to a call, whose arguments could not be read.
fn describe_miss(rule: &Rule, waiting: &WaitingCall, error: &io::Error) -> String {
    let program = read_lossy(format!("/proc/{}/comm", waiting.thread)).unwrap_or_default();
    let program = match program.trim_end() {
        "" => "a process",
        program => program,
    };
    let reason = match is_hidden(error) {
        true => format!(
            "the kernel hides the calls of {program}: {}",
            reason_for_hiding(None)
        ),
        false => format!("the arguments of a call of {program} cannot be read: {error}"),
    };
    format!(
        "calls to {} below {}; {reason}",
        rule.kind,
        rule.below.display()
    )
}

/// A call that the listener thread lets pass only after a delay.
#[derive(Debug)]
struct DelayedCall {
    until: Instant,
    /// The descriptor number of the call's listener.
    listener: i32,
    waiting: WaitingCall,
}

impl DelayedCall {
    /// Lets the call pass if its delay is over. Returns whether the delay is over.
    fn is_released(&self, listeners: &[NotificationListener], now: Instant) -> bool {
        let is_time = self.until <= now;
        if is_time {
            self.release(listeners);
        }
        is_time
    }

    fn release(&self, listeners: &[NotificationListener]) {
        let listener = listeners
            .iter()
            .find(|listener| listener.number() == self.listener);
        // The listener is missing if all threads with its filter are gone.
        if let Some(listener) = listener {
            pass(listener, &self.waiting);
        }
    }
}

/// Lets the kernel execute a call.
fn pass(listener: &NotificationListener, waiting: &WaitingCall) {
    // An error is ignored: no caller could handle the error.
    let _ = listener.proceed(waiting);
}

/// Waits up to one tick for calls. Gives the indices of the listeners at which a call waits.
///
/// Removes each listener whose filtered threads are all gone. Gives no indices after a removal,
/// since the indices have changed.
fn ready(listeners: &mut Vec<NotificationListener>) -> Vec<usize> {
    let tick = Timespec::try_from(TICK).unwrap_or_default();
    let mut polled: Vec<PollFd<'_>> = listeners
        .iter()
        .map(|listener| PollFd::new(listener, PollFlags::IN))
        .collect();
    if poll(&mut polled, Some(&tick)).is_err() {
        return Vec::new();
    }
    let found: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
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
    let indexed = found.iter().enumerate();
    indexed
        .filter(|(_, flags)| has_call(flags))
        .map(|(index, _)| index)
        .collect()
}
