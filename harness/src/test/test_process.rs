//! The process of one test: sets everything up, runs the body on a fresh thread, tells how it ended.

use crate::data::case::Case;
#[cfg(target_os = "linux")]
use crate::data::case::CaseSpec;
#[cfg(target_os = "linux")]
use crate::os::affinity;
use crate::os::cpu_time;
#[cfg(target_os = "linux")]
use crate::os::fork::has_other_threads;
use crate::registration::{self, TestCase};
use crate::sandbox::{TestRules, prepare_test};
#[cfg(target_os = "linux")]
use crate::syscalls::interceptor::SyscallInterceptor;
use crate::test::audit::{self, Audit};
use crate::test::blocking::Watched;
use crate::test::body::Body;
use crate::test::clock::Clock;
use crate::test::context::Context;
use crate::test::end_request::EndRequest;
use crate::test::fault::FaultLog;
use crate::test::home::Home;
use crate::test::limits;
use crate::test::logs;
use crate::test::oracle;
use crate::test::outcome::{Outcome, Skipped};
use crate::test::panics::{Caught, Panics};
use crate::test::test_time::TestTime;
use crate::test::timeline::Timeline;
use clarity_chaos_record::{BodyEnd, EventKind};
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// Does once, in a process that will be forked for each test, what each of them would otherwise do anew: a page that the fork finds touched already costs it nothing.
/// EventKind it does must leave nothing behind but memory, and the descriptors that Tokio keeps.
///
/// # Errors
///
/// When there is no room for a thread.
#[cfg(target_os = "linux")]
pub(crate) fn rehearse(spec: &CaseSpec) -> io::Result<()> {
    logs::subscribe(&spec.log)?;
    audit::make_lasting_descriptors();
    // Which looks for the fastest way to ask.
    let _ = cpu_time::cpu_time_us();
    // The C library keeps the stack of a thread that has ended, and its part of the heap, for the next one; which takes another way through it.
    for _ in 0..2 {
        thread::Builder::new()
            .spawn(|| ())?
            .join()
            .map_err(|_payload| io::Error::other("a thread that does nothing has panicked"))?;
    }
    // It has ended for us a moment before it has for the kernel, and a process with threads cannot be forked.
    while has_other_threads() {
        thread::yield_now();
    }
    Ok(())
}

/// EventKind a process for a test has from the one that it was forked from, which made it once for all its forks.
#[derive(Debug)]
pub(crate) struct Inherited {
    /// The file that the timeline is appended to.
    pub(crate) timeline: File,
    /// EventKind the process gives up, in the sandbox.
    pub(crate) rules: Option<TestRules>,
}

/// Runs the case of this test in this process, which is its own, and gives the code to exit with.
///
/// # Errors
///
/// When the case cannot even begin; what the test does is on the timeline instead.
pub(crate) fn run(
    case: &Case,
    test: &'static TestCase,
    inherited: Option<Inherited>,
) -> io::Result<i32> {
    let (timeline, rules) = match inherited {
        Some(inherited) => (inherited.timeline, inherited.rules),
        None => (Timeline::open(&case.timeline())?, None),
    };
    let setup = Setup::new(test, case, timeline, Home::Own)?;
    if case.spec.sandboxed {
        let rules = rules.map_or_else(|| prepare_test(&case.worker_dir().work()), Ok)?;
        rules.enter()?;
    }
    setup.run(test).map(exit_code)
}

/// Runs the case on a thread of a process that is not its own, and gives the code that its process would have exited with.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_as_guest(case: &Case) -> io::Result<i32> {
    let test = test_of(case)?;
    let timeline = Timeline::open(&case.timeline())?;
    let setup = Setup::new(test, case, timeline, Home::Runner)?;
    let panics = setup.panics.clone();
    let end = setup.run(test);
    panics.uninstall();
    logs::send_to(None);
    oracle::watch(None);
    end.map(exit_code)
}

/// The test of the case.
///
/// # Errors
///
/// When this binary does not have it.
pub(crate) fn test_of(case: &Case) -> io::Result<&'static TestCase> {
    let path = &case.spec.path;
    registration::find(path)
        .ok_or_else(|| io::Error::other(format!("this binary has no test called `{path}`")))
}

fn exit_code(end: BodyEnd) -> i32 {
    match end {
        BodyEnd::Returned | BodyEnd::Skipped { .. } => 0,
        _ => 101,
    }
}

/// EventKind stands ready before the body begins.
struct Setup {
    time: TestTime,
    timeline: Timeline,
    panics: Panics,
    faults: FaultLog,
    request: EndRequest,
    context: Context,
    /// Prefixes of the names of threads that may live as long as the process.
    lasting_threads: Vec<String>,
    /// None in the runner, of which no call is handed over.
    #[cfg(target_os = "linux")]
    interceptor: Option<SyscallInterceptor>,
}

impl Setup {
    fn new(test: &TestCase, case: &Case, timeline: File, home: Home) -> io::Result<Self> {
        home.enter();
        let request = EndRequest::new(home == Home::Own);
        let spec = &case.spec;
        let time = TestTime::new(test.clock());
        let timeline = Timeline::new(timeline, time.clone());
        let panics = Panics::default();
        panics.install(timeline.clone());
        logs::subscribe(&spec.log)?;
        logs::send_to(Some(timeline.clone()));
        oracle::watch(Some(timeline.clone()));
        let faults = FaultLog::new(
            spec.seed,
            spec.restriction.clone(),
            case.dir(),
            case.undo(),
            timeline.clone(),
            request.clone(),
        );
        let context = Context::new(
            spec,
            case.dir(),
            Clock::new(time.clone(), timeline.clone()),
            timeline.clone(),
            faults.clone(),
            panics.clone(),
        );
        Ok(Self {
            time,
            timeline,
            panics,
            faults,
            request,
            context,
            lasting_threads: spec.lasting_threads.clone(),
            #[cfg(target_os = "linux")]
            interceptor: (home == Home::Own).then(|| SyscallInterceptor::allow(spec.late_starts)),
        })
    }

    /// Runs the test, on a fresh thread.
    fn run(self, test: &'static TestCase) -> io::Result<BodyEnd> {
        let (context, time) = (self.context.clone(), self.time.clone());
        let body: Body = *test.body().downcast_ref().ok_or_else(|| {
            io::Error::other("the test was registered by another version of the harness")
        })?;
        let (panics, timeline) = (self.panics.clone(), self.timeline.clone());
        audit::make_lasting_descriptors();
        // Before anything that is gone again by the end: its place must not hide what was left.
        let audit = Audit::begin();
        let limits = limits::enforce(test.limits())?;
        self.timeline.record(EventKind::Started);
        // Named after the test: its `HashMap`s get keys of their own, its panics a name.
        let returned = thread::Builder::new()
            .name(test.name().to_owned())
            .spawn(move || {
                #[cfg(target_os = "linux")]
                {
                    affinity::unbind();
                    SyscallInterceptor::begin_late_starts();
                }
                catch_unwind(AssertUnwindSafe(|| call(body, context, &time, timeline)))
                    .map_err(|payload| panics.caught(&*payload))
            })?
            .join()
            .map_err(|_payload| io::Error::other("the test's thread ended outside its body"))?;
        #[cfg(target_os = "linux")]
        if let Some(interceptor) = &self.interceptor {
            interceptor.end();
        }
        drop(limits);
        let left_behind = self.faults.end();
        self.context.close();
        self.request.stop();
        let found = audit.end(&self.lasting_threads);
        if !found.is_empty() {
            self.timeline.record(EventKind::Leaked {
                threads: found.threads,
                descriptors: found.descriptors,
            });
        }
        let end = self.judge(returned, &left_behind);
        self.timeline.record(EventKind::Finished {
            end: end.clone(),
            cpu_us: cpu_time::cpu_time_us(),
            omitted_events: 0, // the timeline knows
        });
        Ok(end)
    }

    /// EventKind the body's return or panic means, with all that happened beside it.
    fn judge(
        &self,
        returned: Result<io::Result<Outcome>, Caught>,
        left_behind: &[String],
    ) -> BodyEnd {
        let outcome = match returned {
            Err(panic) if !panic.expected => {
                return BodyEnd::Panicked {
                    message: panic.message,
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
            return BodyEnd::Failed { message };
        }
        // A test that skips itself must be as clean as one that passes.
        let panics = self.panics.undeclared();
        if !panics.is_empty() {
            return BodyEnd::PanickedElsewhere { panics };
        }
        let mut complaints = self.panics.unmet();
        let violations = oracle::violations();
        complaints.extend(
            violations
                .iter()
                .map(|oracle| format!("it did not hold: {oracle}")),
        );
        complaints.extend(
            left_behind
                .iter()
                .map(|fault| format!("a fault is left behind: {fault}")),
        );
        if !self.panics.still_watches() {
            complaints.push(
                "the test replaced the panic hook, so panics of other threads were not seen; put back what `take_hook` gave"
                    .to_owned(),
            );
        }
        match (complaints.is_empty(), skipped) {
            (false, _) => BodyEnd::Failed {
                message: complaints.join("; "),
            },
            (true, Some(reason)) => BodyEnd::Skipped {
                reason: reason.to_owned(),
            },
            (true, None) => BodyEnd::Returned,
        }
    }
}

/// Calls the body; an async one on a runtime of its own, which is gone when this returns or unwinds.
fn call(body: Body, context: Context, time: &TestTime, timeline: Timeline) -> io::Result<Outcome> {
    match body {
        Body::Sync(function) => Ok(function(context)),
        Body::Async(function) => {
            let runtime = time.runtime()?;
            let body = function(context);
            let body = if time.kind().is_virtual() {
                Box::pin(Watched::new(body, timeline))
            } else {
                // Other tasks go on while the body waits.
                body
            };
            let returned = catch_unwind(AssertUnwindSafe(|| runtime.block_on(body)));
            runtime.shut_down();
            Ok(returned.unwrap_or_else(|payload| std::panic::resume_unwind(payload)))
        }
    }
}
