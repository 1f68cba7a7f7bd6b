//! Hints: the likely causes of a failure, recognised in the failure's record.

use crate::auto_advance::auto_advance_hint;
use clarity_chaos_record::{ClockKind, EventKind, HungThread, Record, Verdict};
use std::time::Duration;

/// The system calls in which a thread of an async runtime waits until a task can run.
const OF_RUNTIMES: [&str; 4] = ["epoll_wait", "epoll_pwait", "epoll_pwait2", "futex"];
/// The system calls in which a thread sleeps.
const SLEEPS: [&str; 2] = ["clock_nanosleep", "nanosleep"];
/// The number of bytes that the operating system keeps of a thread's name.
const NAME: usize = 15;
/// The number of bytes at the end of the output that are searched for causes.
const OUTPUT: usize = 16 * 1024;
/// The name of Tokio's runtime threads: workers, and threads for blocking tasks.
const TOKIO: &str = "tokio-rt-worker";

/// The texts of `EACCES` and `EROFS`, as the system, `std::io` and C programs write them.
const REFUSALS: [&str; 6] = [
    "Permission denied",
    "Read-only file system",
    "PermissionDenied",
    "ReadOnlyFilesystem",
    "EACCES",
    "EROFS",
];

/// Returns the likely causes of a failure, each with a remedy. Most failures have no hint.
#[must_use]
pub fn hints(record: &Record) -> Vec<String> {
    let mut hints = Vec::new();
    let is_virtual = record.clock != ClockKind::Real;
    if record.verdict.is_failure() && is_virtual {
        hints.extend(blocked(record));
    }
    hints.extend(record.unrepeated.clone());
    if let Some(progress) = record.exploring() {
        hints.push(format!("it was exploring, {progress}"));
    }
    if record.verdict.is_failure() {
        hints.extend(suspended(record));
        hints.extend(long_socket_path(record));
    }
    hints.extend(refused_by_sandbox(record));
    match &record.verdict {
        Verdict::TimedOut { .. } if is_virtual => hints.extend(hung_in_virtual_time(record)),
        Verdict::TimedOut { .. } => hints.extend(hung_in_real_time(record)),
        verdict if verdict.is_failure() && record.clock == ClockKind::Paused => {
            let jumped = || jumped_ahead(&verdict.to_string());
            hints.extend(auto_advance_hint(record).or_else(jumped));
        }
        _ => {}
    }
    hints
}

/// Returns a hint if the run was stopped while the test ran.
fn suspended(record: &Record) -> Option<String> {
    let events = record.timeline.iter();
    let stops = events.filter_map(|event| match event.kind {
        EventKind::Suspended { duration_us } => Some(duration_us),
        _ => None,
    });
    let stopped: u64 = stops.sum();
    (stopped > 0).then(|| {
        format!(
            "the run was stopped (Ctrl-Z) for {:.1} s while the test ran: its time limit stood still, and real deadlines inside of it went on",
            Duration::from_micros(stopped).as_secs_f64()
        )
    })
}

/// The words of libraries and programs that could not use a Unix socket, because its path is too
/// long. They are lower case.
const LONG_SOCKET_PATHS: [&str; 7] = [
    "shorter than sun_len",
    "af_unix path too long",
    "socket path too long",
    "too long for unix domain socket",
    "too long for a unix domain socket",
    "too long for unix socket",
    "too long for a unix socket",
];

/// Returns a hint if the path of a Unix socket was too long.
fn long_socket_path(record: &Record) -> Option<String> {
    let is_too_long = |text: &str| {
        let text = text.to_lowercase();
        let mut lines = text.lines();
        LONG_SOCKET_PATHS.iter().any(|words| text.contains(words))
            || lines.any(|line| line.contains("socket path") && line.contains("is too long"))
    };
    (is_too_long(&record.verdict.to_string()) || is_too_long(record.output.tail(OUTPUT))).then(|| {
        "the path of a Unix socket has at most 107 bytes, and the harness adds up to 40 bytes to `TMPDIR`: set `TMPDIR` to a shorter directory, or give the socket a shorter name"
            .to_owned()
    })
}

/// Returns a hint if the failure's text has an error with which the sandbox refuses access.
fn refused_by_sandbox(record: &Record) -> Option<String> {
    let sandbox = &record.sandbox;
    let is_sandboxed = sandbox.files.enforced || sandbox.metadata.enforced;
    let is_of_test = matches!(
        record.verdict,
        Verdict::Failed { .. } | Verdict::Panicked { .. } | Verdict::PanickedElsewhere { .. }
    );
    if !is_of_test || !is_sandboxed {
        return None;
    }
    let text = record.verdict.to_string();
    let has_refusal = |text: &str| REFUSALS.iter().any(|refusal| text.contains(refusal));
    // Other causes of the same errors: a fault, or a mode that the test itself has set.
    let of_fault = record.faults.iter().any(|fault| {
        has_refusal(&fault.to_string())
            || has_refusal(&fault.plan.to_string())
            || fault.kind == "permissions"
    });
    if !has_refusal(&text) || of_fault || names_own_directory(&text) {
        return None;
    }
    let update = match text.contains("snap") {
        true => {
            " (snapshots are updated with `--sandbox none` and the variable of their tool, such as `INSTA_UPDATE=always`)"
        }
        false => "",
    };
    Some(format!(
        "the sandbox lets a test write only below `cx.dir()` and `TMPDIR`, and hides the user's home: use such a directory, or run the test with `--sandbox none`{update}"
    ))
}

/// Whether a text has a path below a test's own directories, to which the sandbox allows access.
fn names_own_directory(text: &str) -> bool {
    // `/clarity-chaos-XXXXXX/N/work/` is above `c`, the directory of the running case, and `t`,
    // its temporary directory.
    text.match_indices("/clarity-chaos-").any(|(start, _)| {
        let mut names = text[start..].split('/').skip(3);
        names.next() == Some("work") && matches!(names.next(), Some("c" | "t"))
    })
}

/// Returns a hint if the test's body blocked the only thread of its Tokio runtime.
fn blocked(record: &Record) -> Option<String> {
    let events = record.timeline.iter();
    let waits: Vec<u64> = events
        .filter_map(|event| match event.kind {
            EventKind::Blocked { duration_us } => Some(duration_us),
            _ => None,
        })
        .collect();
    if waits.is_empty() {
        return None;
    }
    let waited = Duration::from_micros(waits.iter().sum());
    Some(format!(
        "the body kept the one thread of its runtime waiting for {:.1} s of real time, while no task could run: use Tokio's own sleeps, sockets and locks, or `tokio::task::spawn_blocking`",
        waited.as_secs_f64()
    ))
}

/// Returns a hint for a timeout under a virtual clock, where one thread runs all tasks.
fn hung_in_virtual_time(record: &Record) -> Option<String> {
    let own = own_thread(record)?;
    let call = own.system_call.as_deref()?;
    let name = call.split_whitespace().next()?;
    if SLEEPS.contains(&name) {
        return Some(
            "it sleeps by the system's clock, which the test's does not move: use `tokio::time::sleep`".to_owned(),
        );
    }
    if !OF_RUNTIMES.contains(&name) {
        return Some(format!(
            "the one thread that runs all tasks is in {call}: use Tokio's own sockets and files, or `tokio::task::spawn_blocking`"
        ));
    }
    (record.clock == ClockKind::Manual && name != "futex").then(|| {
        "all tasks wait, and under `clock = \"manual\"` timers fire only when the test calls `cx.clock().advance(…)`".to_owned()
    })
}

/// Returns a hint for a timeout under a real clock.
///
/// Looks first for a Tokio worker thread that blocks. If there is none, checks whether at least two
/// threads exist and all threads wait for locks or channels.
fn hung_in_real_time(record: &Record) -> Option<String> {
    let threads = record.hung_threads.iter();
    let own = threads.filter(|thread| thread.process.is_none());
    // Tokio's worker threads and its threads for blocking tasks have the same name. A worker
    // certainly blocks if the number of idle threads is less than the number of workers.
    let of_runtime: Vec<(&str, bool)> = own
        .clone()
        .filter(|thread| thread.thread == TOKIO)
        .filter_map(|thread| {
            let call = thread.system_call.as_deref()?;
            let name = call.split_whitespace().next()?;
            Some((call, OF_RUNTIMES.contains(&name)))
        })
        .collect();
    let idle = of_runtime.iter().filter(|(_, is_idle)| *is_idle).count();
    let busy = of_runtime.iter().find(|(_, is_idle)| !is_idle);
    if let (Some((call, _)), true) = (busy, idle < ClockKind::REAL_WORKERS) {
        return Some(format!(
            "a thread of the runtime is in {call}, and no other task can use it: use Tokio's own, or `tokio::task::spawn_blocking`"
        ));
    }
    let in_locks = own
        .clone()
        .filter(|thread| thread.system_call.as_deref() == Some("futex"));
    let (in_locks, all) = (in_locks.count(), own.count());
    (in_locks >= 2 && in_locks == all).then(|| {
        "all of its threads wait for locks or channels: each may hold a lock that another needs, or a sender was kept that never sends"
            .to_owned()
    })
}

/// Returns the thread that runs the test's body. The thread's name is the test's name, cut to 15
/// bytes.
fn own_thread(record: &Record) -> Option<&HungThread> {
    let mut threads = record.hung_threads.iter();
    threads.find(|thread| {
        let name = record.name.as_bytes();
        thread.process.is_none() && thread.thread.as_bytes() == &name[..name.len().min(NAME)]
    })
}

/// Returns a hint if the verdict mentions a timeout. Under a paused clock, a virtual timeout
/// expires at once while a task waits for a socket or another thread.
fn jumped_ahead(verdict: &str) -> Option<String> {
    let is_late = ["deadline has elapsed", "timed out"];
    is_late.iter().any(|words| verdict.contains(words)).then(|| {
        "a paused clock jumps to the next timer while a socket or another thread is waited for: with such peers, use `clock = \"manual\"`"
            .to_owned()
    })
}
