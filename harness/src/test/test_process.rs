//! Runs a test in this process: sets up the test, runs its body on a new thread, and records its
//! end.

use crate::data::case::Case;
#[cfg(target_os = "linux")]
use crate::data::case::CaseSpec;
use crate::data::closed_timeline;
#[cfg(target_os = "linux")]
use crate::os::affinity;
use crate::os::cpu_time;
#[cfg(target_os = "linux")]
use crate::os::fork::has_other_threads;
use crate::registration::{self, TestCase};
use crate::sandbox::{TestRules, prepare_test};
#[cfg(target_os = "linux")]
use crate::syscalls::interceptor::SyscallInterceptor;
use crate::test::auto_advance::AutoAdvanceMonitor;
use crate::test::body::Body;
use crate::test::body_call::call;
use crate::test::clock::Clock;
use crate::test::context::Context;
use crate::test::explore::kept_state::EvidencePaths;
use crate::test::fault::FaultLog;
use crate::test::leak_audit::{self, LeakAudit};
use crate::test::limits;
use crate::test::logs;
use crate::test::missed_faults;
use crate::test::oracle;
use crate::test::outcome::{BodyOutcome, Skipped};
use crate::test::panics::{CaughtPanic, Panics};
use crate::test::process_scope::ProcessScope;
use crate::test::termination::TerminationHandler;
use crate::test::test_time::TestTime;
use crate::test::timeline::Timeline;
use clarity_chaos_record::{BodyEnd, EventKind};
use std::fs::File;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Touches memory pages in the zygote, so that these pages are already mapped in each fork.
///
/// After this call, the zygote holds more memory, and the descriptors that Tokio keeps open. It
/// holds no other new resource.
///
/// # Errors
///
/// When the log filter is not valid, or no thread can be started.
#[cfg(target_os = "linux")]
pub(crate) fn prefault(spec: &CaseSpec) -> io::Result<()> {
    logs::subscribe(&spec.log)?;
    leak_audit::open_lasting_descriptors();
    // The first call selects the fastest clock, and forks inherit the selection.
    let _ = cpu_time::cpu_time_us();
    // The C library keeps the stack and the heap arena of an ended thread. The second thread runs
    // the code that reuses this stack and this arena.
    for _ in 0..2 {
        thread::Builder::new()
            .spawn(|| ())?
            .join()
            .map_err(|_payload| io::Error::other("cannot prefault: an empty thread panicked"))?;
    }
    // `join` returns before the kernel removes the thread. A process with more than one thread
    // cannot be forked.
    while has_other_threads() {
        thread::yield_now();
    }
    Ok(())
}

/// Runs a case in this process, which runs no other case. Returns the process's exit code. `rules`
/// are the sandbox's restrictions, if the zygote has prepared them.
///
/// # Errors
///
/// When the case cannot be started. A failure of the test is not an error: the timeline records it.
pub(crate) fn run(
    case: &Case,
    test: &'static TestCase,
    rules: Option<TestRules>,
) -> io::Result<i32> {
    let timeline = Timeline::open(&case.timeline())?;
    let setup = Setup::new(test, case, timeline, ProcessScope::Dedicated)?;
    if case.spec.sandboxed {
        let rules = rules.map_or_else(|| prepare_test(case), Ok)?;
        rules.enter()?;
    }
    let timeline = setup.timeline.clone();
    let Some(end) = setup.run(test, &|| false)? else {
        // A test in its own process ends before `run` returns.
        return Ok(1);
    };
    if timeline.is_closed() {
        // An error is ignored: the test may have closed standard error, too.
        if let Some(own) = describe(&end) {
            let _ = writeln!(io::stderr(), "\n{}{own}", closed_timeline::END);
        }
        return Ok(closed_timeline::EXIT_CODE);
    }
    Ok(exit_code(end))
}

/// Describes the end of a test that has not passed.
fn describe(end: &BodyEnd) -> Option<String> {
    match end {
        BodyEnd::Failed { message } => Some(format!("failed: {message}")),
        BodyEnd::Panicked { message, .. } => Some(format!("panicked: {message}")),
        BodyEnd::PanickedElsewhere { panics } => Some(format!("panicked: {}", panics.join("; "))),
        BodyEnd::Skipped { reason } => Some(format!("asked to be skipped: {reason}")),
        _ => None,
    }
}

/// Runs a case on a thread of a shared process. Returns the exit code that a dedicated process
/// would have. If `is_interrupted` returns true before the end of the case, undoes its faults and
/// returns `None`.
///
/// # Errors
///
/// When the case cannot be started. A failure of the test is not an error: the timeline records it.
pub(crate) fn run_in_shared_process(
    case: &Case,
    is_interrupted: &dyn Fn() -> bool,
) -> io::Result<Option<i32>> {
    let test = test_of(case)?;
    let timeline = Timeline::open(&case.timeline())?;
    let setup = Setup::new(test, case, timeline, ProcessScope::Shared)?;
    let panics = setup.panics.clone();
    let end = setup.run(test, is_interrupted);
    panics.uninstall();
    logs::send_to(None);
    oracle::send_to(None);
    Ok(end?.map(exit_code))
}

/// Finds the test of the case.
///
/// # Errors
///
/// When this binary does not contain the test.
pub(crate) fn test_of(case: &Case) -> io::Result<&'static TestCase> {
    let path = &case.spec.path;
    registration::find(path)
        .ok_or_else(|| io::Error::other(format!("this binary contains no test `{path}`")))
}

fn exit_code(end: BodyEnd) -> i32 {
    match end {
        BodyEnd::Returned | BodyEnd::Skipped { .. } => 0,
        _ => 101,
    }
}

/// The parts of a test that is ready to run.
struct Setup {
    scope: ProcessScope,
    time: TestTime,
    timeline: Timeline,
    auto_advance: AutoAdvanceMonitor,
    panics: Panics,
    faults: FaultLog,
    termination: TerminationHandler,
    context: Context,
    /// Name prefixes of the threads that last as long as the process.
    lasting_threads: Vec<String>,
    /// The interceptor of system calls. `None` if the test runs in the runner's process, whose
    /// calls must not be intercepted.
    #[cfg(target_os = "linux")]
    interceptor: Option<SyscallInterceptor>,
}

impl Setup {
    fn new(test: &TestCase, case: &Case, timeline: File, scope: ProcessScope) -> io::Result<Self> {
        scope.enter();
        let is_dedicated = scope == ProcessScope::Dedicated;
        let termination = TerminationHandler::new(is_dedicated);
        let spec = &case.spec;
        let time = TestTime::new(test.clock());
        let timeline = Timeline::new(timeline, time.clone());
        let auto_advance = AutoAdvanceMonitor::new(timeline.clone());
        let panics = Panics::default();
        panics.install(timeline.clone());
        logs::subscribe(&spec.log)?;
        logs::send_to(Some(timeline.clone()));
        oracle::send_to(Some(timeline.clone()));
        let faults = FaultLog::new(
            spec.seed,
            spec.fault_selection.clone(),
            case.dir(),
            case.undo(),
            timeline.clone(),
            termination.clone(),
        );
        let context = Context::new(
            spec,
            case.dir(),
            EvidencePaths {
                states: case.states(),
                kept_states: spec.kept_states.clone(),
                progress: case.exploring(),
            },
            Clock::new(time.clone(), timeline.clone(), auto_advance.clone()),
            timeline.clone(),
            faults.clone(),
            panics.clone(),
        );
        Ok(Self {
            scope,
            time,
            timeline,
            auto_advance,
            panics,
            faults,
            termination,
            context,
            lasting_threads: spec.lasting_threads.clone(),
            #[cfg(target_os = "linux")]
            interceptor: is_dedicated.then(|| SyscallInterceptor::allow(spec.late_starts)),
        })
    }

    /// Runs the body on a new thread, cleans up, and records the end of the test. If
    /// `is_interrupted` returns true first, undoes the test's faults and returns `None`.
    fn run(
        self,
        test: &'static TestCase,
        is_interrupted: &dyn Fn() -> bool,
    ) -> io::Result<Option<BodyEnd>> {
        let (context, time) = (self.context.clone(), self.time.clone());
        let body: Body = *test.body().downcast_ref().ok_or_else(|| {
            io::Error::other(format!(
                "cannot run `{}`: another version of the harness registered it",
                test.name()
            ))
        })?;
        let (panics, timeline) = (self.panics.clone(), self.timeline.clone());
        let auto_advance = self.auto_advance.clone();
        leak_audit::open_lasting_descriptors();
        // The audit's snapshot must not contain temporary descriptors. A leaked descriptor could
        // reuse the number of a temporary one, and the audit would miss the leak.
        let audit = LeakAudit::begin();
        let limits = limits::enforce(test.limits())?;
        self.timeline.record(EventKind::Started);
        // On a new thread, `HashMap`s get new random keys, not the keys that a fork inherits. The
        // thread has the test's name, which panic messages show.
        let waiter = thread::current();
        let body = thread::Builder::new()
            .name(test.name().to_owned())
            .spawn(move || {
                #[cfg(target_os = "linux")]
                {
                    affinity::unbind_with_main_thread();
                    SyscallInterceptor::begin_late_starts();
                }
                let returned = catch_unwind(AssertUnwindSafe(|| {
                    call(body, context, &time, timeline, &auto_advance)
                }))
                .map_err(|payload| panics.caught(&*payload));
                waiter.unpark();
                returned
            })?;
        let is_shared = self.scope == ProcessScope::Shared;
        if is_shared && !wait_unless(is_interrupted, &body) {
            self.timeline.record(EventKind::TerminationRequested);
            self.faults.end();
            return Ok(None);
        }
        let returned = body.join().map_err(|_payload| {
            io::Error::other("the test's thread panicked outside of the test's body")
        })?;
        #[cfg(target_os = "linux")]
        if let Some(interceptor) = &self.interceptor {
            interceptor.end();
        }
        drop(limits);
        let active_faults = self.faults.end();
        self.context.close();
        self.termination.uninstall();
        let leaks = audit.end(&self.lasting_threads);
        if !leaks.is_empty() {
            self.timeline.record(EventKind::Leaked {
                threads: leaks.threads,
                descriptors: leaks.descriptors,
            });
        }
        let end = self.judge(returned, &active_faults);
        self.timeline.record(EventKind::Finished {
            end: end.clone(),
            cpu_us: cpu_time::cpu_time_us(),
            // The timeline sets this number.
            omitted_events: 0,
        });
        Ok(Some(end))
    }

    /// Determines the result of the test from the return or panic of the body, and from all other
    /// observations.
    fn judge(
        &self,
        returned: Result<io::Result<BodyOutcome>, CaughtPanic>,
        active_faults: &[String],
    ) -> BodyEnd {
        let mut missed = self.context.missed_faults();
        #[cfg(target_os = "linux")]
        missed.extend(self.interceptor.iter().flat_map(SyscallInterceptor::missed));
        let missed: Vec<String> = missed.iter().map(missed_faults::describe).collect();
        let outcome = match returned {
            Err(panic) if !panic.expected => {
                return BodyEnd::Panicked {
                    message: missed_faults::added_to(panic.message, &missed),
                    location: panic.location,
                };
            }
            Err(_expected) => Ok(()),
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Err(format!("failed to start the test's runtime: {error}")),
        };
        let skipped = match (&outcome, self.context.skip_reason()) {
            (Err(message), Some(reason)) if Skipped::is_in(reason, message) => Some(reason),
            _ => None,
        };
        if let (Err(message), None) = (outcome, skipped) {
            return BodyEnd::Failed {
                message: missed_faults::added_to(message, &missed),
            };
        }
        // A skipped test must also meet the following conditions of a passed test.
        let panics = self.panics.undeclared();
        if !panics.is_empty() {
            return BodyEnd::PanickedElsewhere { panics };
        }
        let mut failures = self.panics.missing();
        let violations = oracle::violations();
        failures.extend(
            violations
                .iter()
                .map(|oracle| format!("an oracle did not hold: {oracle}")),
        );
        failures.extend(
            active_faults
                .iter()
                .map(|fault| format!("a fault is left behind: {fault}")),
        );
        failures.extend(self.auto_advance.failure());
        failures.extend(missed);
        if !self.panics.is_installed() {
            failures.push(
                "the test replaced the panic hook, which hides panics of other threads: \
                 restore the hook that `take_hook` returned"
                    .to_owned(),
            );
        }
        match (failures.is_empty(), skipped) {
            (false, _) => BodyEnd::Failed {
                message: failures.join("; "),
            },
            (true, Some(reason)) => BodyEnd::Skipped {
                reason: reason.to_owned(),
            },
            (true, None) => BodyEnd::Returned,
        }
    }
}

/// The interval at which [`wait_unless`] looks for an interruption.
const INTERRUPTION_INTERVAL: Duration = Duration::from_millis(20);

/// Waits for a thread that unparks this one at its end. Returns `false` if `is_interrupted` returns
/// true before.
fn wait_unless<T>(is_interrupted: &dyn Fn() -> bool, thread: &JoinHandle<T>) -> bool {
    while !thread.is_finished() {
        if is_interrupted() {
            return false;
        }
        thread::park_timeout(INTERRUPTION_INTERVAL);
    }
    true
}
