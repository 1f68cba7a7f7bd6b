//! The test as a fork of its supervisor.

use crate::data::case::Case;
use crate::data::ending::{Exit, Usage};
use crate::os::environment;
use crate::os::exit_handler;
use crate::os::fork::fork;
use crate::os::session::in_session_of;
use crate::os::wait::wait_with_usage;
use crate::registration::TestCase;
use crate::sandbox::prepare_test;
use crate::test::test_process::{self, Inherited};
use crate::test::timeline::Timeline;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{
    Pid, Signal, getpid, getppid, set_parent_process_death_signal, setpgid, setsid,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;

/// A process that is ready to be forked for tests: what each fork gets from it, made once.
#[derive(Debug)]
pub(super) struct Zygote {
    nothing: File,
    output: File,
    inherited: Inherited,
}

impl Zygote {
    /// Prepares this process for forks that run tests like this.
    pub(super) fn prepare(case: &Case) -> io::Result<Self> {
        // The same for all cases of a slot.
        environment::set("TMPDIR", case.tmp().as_os_str())?;
        test_process::rehearse(&case.spec)?;
        exit_handler::skip_inherited()?;
        let rules = case
            .spec
            .sandboxed
            .then(|| prepare_test(&case.worker_dir().work()));
        Ok(Self {
            nothing: File::open("/dev/null")?,
            output: super::output(case)?,
            inherited: Inherited {
                timeline: Timeline::open(&case.timeline())?,
                rules: rules.transpose()?,
            },
        })
    }
}

impl Zygote {
    /// Makes what its forks share as it was: a fork can change how a file is written to for all of them.
    pub(super) fn restore(&self) -> io::Result<()> {
        for file in [&self.output, &self.inherited.timeline] {
            fcntl_setfl(file, OFlags::APPEND)?;
        }
        Ok(())
    }
}

/// Forks a process that runs the test of this case, and gives its number.
pub(super) fn test(case: &Case, zygote: &mut Option<Zygote>) -> io::Result<Pid> {
    let supervisor = getpid();
    // Found here, once, and not by each fork in pages that it has not seen.
    let of_case = test_process::test_of(case)?;
    if let Some(child) = fork()? {
        return Ok(child);
    }
    // Only from the child's copy. And the child must never return into the supervisor's loop.
    let zygote = zygote.take();
    let become_test = || become_test(case, of_case, zygote, supervisor);
    let ended = catch_unwind(AssertUnwindSafe(become_test));
    let code = match ended {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            eprintln!("clarity-chaos: {error}");
            1
        }
        Err(_panic) => 1,
    };
    // And not `_exit`: the test may have registered what is to be done then.
    process::exit(code)
}

fn become_test(
    case: &Case,
    test: &'static TestCase,
    zygote: Option<Zygote>,
    supervisor: Pid,
) -> io::Result<i32> {
    // With process 1 of a namespace everything in it ends anyway.
    if supervisor != Pid::INIT {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(supervisor) {
            return Err(io::Error::other("the supervisor of this test is gone"));
        }
    }
    // Away from the terminal of the runner, and the supervisor's signals.
    if in_session_of(supervisor) {
        setpgid(None, None)?;
    } else {
        setsid()?;
    }
    let Zygote {
        nothing,
        output,
        inherited,
    } = zygote.ok_or_else(|| io::Error::other("the supervisor was not prepared"))?;
    dup2_stdin(nothing)?;
    dup2_stdout(&output)?;
    dup2_stderr(output)?;
    test_process::run(case, test, Some(inherited))
}

/// Waits for a child of this process that has ended or is about to, and gives what it and the children that it had waited for used.
pub(super) fn reap(child: Pid) -> io::Result<(Exit, Usage)> {
    let (status, usage) = wait_with_usage(child)?;
    let microseconds = |time: libc::timeval| {
        let (seconds, rest) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
        Some(seconds.ok()? * 1_000_000 + rest.ok()?)
    };
    let (user, system) = (microseconds(usage.ru_utime), microseconds(usage.ru_stime));
    let used = Usage {
        cpu_us: user.zip(system).map(|(user, system)| user + system),
        // In kibibytes on Linux.
        peak_memory_bytes: u64::try_from(usage.ru_maxrss).ok().map(|kib| kib * 1024),
    };
    Ok((status.into(), used))
}
