//! Runs tests in forks of their supervisor.

use crate::data::case::Case;
use crate::data::exit_status::ExitStatus;
use crate::data::process_report::ResourceUsage;
use crate::os::environment;
use crate::os::exit_handler;
use crate::os::fork::fork;
use crate::os::session::in_session_of;
use crate::os::wait::wait_with_usage;
use crate::registration::TestCase;
use crate::sandbox::tool_settings::tool_settings;
use crate::sandbox::{TestRules, prepare_test};
use crate::test::test_process;
use rustix::process::{
    Pid, Signal, getpid, getppid, set_parent_process_death_signal, setpgid, setsid,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;

/// The state that a supervisor prepares, and that each fork inherits.
#[derive(Debug)]
pub(super) struct Zygote {
    /// The sandbox's restrictions for the test's process.
    rules: Option<TestRules>,
}

impl Zygote {
    /// Prepares this process for forks. Each fork runs one case of the worker.
    pub(super) fn prepare(case: &Case) -> io::Result<Self> {
        // The variables are set only once: all cases of a worker have the same directories and the
        // same sandbox.
        environment::set("TMPDIR".as_ref(), case.tmp().as_os_str())?;
        if case.spec.sandboxed {
            for (name, value) in tool_settings() {
                environment::set(name.as_ref(), value)?;
            }
        }
        for (name, value) in super::home_variables(case)? {
            match value {
                Some(value) => environment::set(&name, &value)?,
                None => environment::remove(&name)?,
            }
        }
        test_process::prefault(&case.spec)?;
        exit_handler::skip_inherited()?;
        let rules = case.spec.sandboxed.then(|| prepare_test(case));
        Ok(Self {
            rules: rules.transpose()?,
        })
    }
}

/// Forks a process that runs the test of this case. Returns the ID of that process.
pub(super) fn fork_test(case: &Case, zygote: &mut Option<Zygote>) -> io::Result<Pid> {
    let supervisor = getpid();
    // The test is looked up before the fork. A lookup in each fork would cause more page faults.
    let test = test_process::test_of(case)?;
    if let Some(child) = fork()? {
        return Ok(child);
    }
    // This process is now the child. It takes the zygote from its own copy of the memory, and must
    // never return into the supervisor's loop.
    let zygote = zygote.take();
    let run = || run_in_fork(case, test, zygote, supervisor);
    let code = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            eprintln!("clarity-chaos: {error}");
            1
        }
        Err(_panic) => 1,
    };
    // Unlike `_exit`, `exit` runs the functions that the test has registered with `atexit`.
    process::exit(code)
}

fn run_in_fork(
    case: &Case,
    test: &'static TestCase,
    zygote: Option<Zygote>,
    supervisor: Pid,
) -> io::Result<i32> {
    // If the supervisor is process 1 of a PID namespace, its death already ends all processes of
    // the namespace.
    if supervisor != Pid::INIT {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(supervisor) {
            return Err(io::Error::other(
                "the test cannot start: its supervisor has died",
            ));
        }
    }
    // Leaves the runner's terminal and the supervisor's process group. Signals for the supervisor's
    // process group then do not reach the test.
    if in_session_of(supervisor) {
        setpgid(None, None)?;
    } else {
        setsid()?;
    }
    let Zygote { rules } = zygote.ok_or_else(|| {
        io::Error::other("the test cannot start: its supervisor was not prepared for forks")
    })?;
    // Each test opens these files anew. Open files that the tests share would also share flags,
    // positions and locks.
    dup2_stdin(File::open("/dev/null")?)?;
    let output = super::output(case)?;
    dup2_stdout(&output)?;
    dup2_stderr(output)?;
    test_process::run(case, test, rules)
}

/// Waits for the end of a child of this process, and reaps the child.
///
/// The returned usage includes the processes that the child itself has reaped.
pub(super) fn reap(child: Pid) -> io::Result<(ExitStatus, ResourceUsage)> {
    let (status, rusage) = wait_with_usage(child)?;
    let microseconds = |time: libc::timeval| {
        let (seconds, rest) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
        Some(seconds.ok()? * 1_000_000 + rest.ok()?)
    };
    let (user, system) = (microseconds(rusage.ru_utime), microseconds(rusage.ru_stime));
    let usage = ResourceUsage {
        cpu_us: user.zip(system).map(|(user, system)| user + system),
        // `ru_maxrss` is in KiB on Linux.
        peak_memory_bytes: u64::try_from(rusage.ru_maxrss).ok().map(|kib| kib * 1024),
    };
    Ok((status.into(), usage))
}
