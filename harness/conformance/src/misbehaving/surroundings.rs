//! Tests that show, or change, the surroundings of their process.

use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use rustix::fs::{FlockOperation, SeekFrom, flock, seek};
use rustix::process::{
    Pid, Resource, Rlimit, getpgrp, getpid, getppid, getrlimit, setpriority_process, setrlimit,
    umask,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, hint, io, thread};

/// The fields of `/proc/thread-self/status` that describe a process and not its use of resources.
const STATUS: [&str; 21] = [
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "SigPnd",
    "ShdPnd",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
    "THP_enabled",
    "Cpus_allowed_list",
    "Mems_allowed_list",
    "Speculation_Store_Bypass",
];

/// Notes the surroundings of the test.
fn show(cx: &Context) -> Result {
    let worker = cx.dir().ancestors().nth(3).ok_or("no such ancestor")?;
    let worker = worker.display().to_string();
    let case = cx.dir().parent().ok_or("no parent")?;
    let case = case.display().to_string();
    for line in surroundings()? {
        cx.note(line.replace(&case, "CASE").replace(&worker, "WORKER"));
    }
    Ok(())
}

fn surroundings() -> Result<Vec<String>> {
    let mut lines = vec![
        format!("parallelism: {}", thread::available_parallelism()?),
        format!("directory: {}", env::current_dir()?.display()),
        format!("root: {}", fs::read_link("/proc/self/root")?.display()),
        format!("slack: {}", rustix::thread::current_timer_slack()?),
        format!(
            "dies with: {:?}",
            rustix::process::parent_process_death_signal()?
        ),
        format!("dumpable: {:?}", rustix::process::dumpable_behavior()?),
        format!(
            "subreaper: {}",
            rustix::process::child_subreaper()?.is_some()
        ),
        format!(
            "group: {}",
            if getpgrp() == getpid() {
                "own"
            } else {
                "other"
            }
        ),
        format!("session: {}", session()?),
    ];
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let is_shown = |line: &&str| {
        let name = line.split(':').next();
        name.is_some_and(|name| STATUS.contains(&name))
    };
    lines.extend(status.lines().filter(is_shown).map(str::to_owned));
    // The signal mask of the main thread is left out: it changes while the thread starts another.
    let main = fs::read_to_string("/proc/self/status")?;
    let is_shown = |line: &&str| line.starts_with("Cpus_allowed_list");
    let processors = main.lines().filter(is_shown);
    lines.extend(processors.map(|line| format!("main thread: {line}")));
    lines.push(scheduling("thread-self")?);
    lines.push(format!("main thread: {}", scheduling("self")?));
    for file in [
        "limits",
        "oom_score_adj",
        "coredump_filter",
        "personality",
        "cgroup",
        "timers",
    ] {
        // Some files need a kernel option, or more permissions.
        let text = fs::read_to_string(Path::new("/proc/self").join(file));
        let text = text.unwrap_or_else(|error| error.kind().to_string());
        lines.extend(text.lines().map(|line| format!("{file}: {line}")));
    }
    let mut variables: Vec<String> = env::vars_os()
        .map(|(name, value)| format!("variable: {}={}", name.display(), value.display()))
        .collect();
    variables.sort();
    lines.extend(variables);
    lines.extend(descriptors()?);
    lines.extend(mounts()?);
    Ok(lines)
}

fn session() -> io::Result<&'static str> {
    // The session can be one outside of the PID namespace, which has the number 0 here.
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let session = after_name.split_whitespace().nth(SESSION_FIELD);
    let is = |pid: Pid| session == Some(pid.as_raw_nonzero().to_string().as_str());
    Ok(match getppid() {
        _ if is(getpid()) => "own",
        Some(parent) if is(parent) => "of the parent",
        _ => "other",
    })
}

/// The priority, nice value, exit signal, real-time priority and policy of a thread.
fn scheduling(thread: &str) -> Result<String> {
    let stat = fs::read_to_string(format!("/proc/{thread}/stat"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // The first field after the name has the number 3 in proc_pid_stat(5).
    let field = |number: usize| *fields.get(number - 3).unwrap_or(&"");
    Ok(format!("scheduling {:?}", [18, 19, 38, 40, 41].map(field)))
}

/// The number of the session among the fields of `/proc/self/stat` after the name, from 0.
const SESSION_FIELD: usize = 3;

/// The number of fields of a lock in fdinfo up to its kind, as in `lock: 1: FLOCK ADVISORY READ`.
const LOCK_FIELDS: usize = 5;

/// The number, target, position, flags and locks of each descriptor.
fn descriptors() -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        // The descriptor of this listing is closed when the target is read.
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let target = target.display().to_string();
        if target.ends_with("/fd") {
            continue;
        }
        let number = entry.file_name().display().to_string();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
        let is_shown = |line: &&str| {
            // The position in the timeline depends on the length of its first event.
            line.starts_with("pos") && !target.ends_with("timeline.jsonl")
                || line.starts_with("flags")
                || line.starts_with("lock")
        };
        let info = info.lines().filter(is_shown);
        // The fields of a lock after its kind are the process and the file, which differ.
        let kind = |line: &str| {
            line.split_whitespace()
                .take(LOCK_FIELDS)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let info: Vec<String> = info.map(kind).collect();
        // The text in brackets is a number that no other socket or pipe has.
        let target = target.split(":[").next().unwrap_or_default();
        lines.push(format!(
            "descriptor {number:>3}: {target} {}",
            info.join(" ")
        ));
    }
    lines.sort();
    Ok(lines)
}

/// The mount points, with their options.
fn mounts() -> Result<Vec<String>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    Ok(mounts
        .lines()
        .map(|line| format!("mount: {line}"))
        .collect())
}

/// Shows its surroundings.
#[chaos]
fn shows(cx: Context) -> Result {
    show(&cx)
}

/// Shows its surroundings, as `shows` does.
#[chaos]
fn shows_again(cx: Context) -> Result {
    show(&cx)
}

/// Shows its surroundings, as `shows` does.
#[chaos]
fn shows_once_more(cx: Context) -> Result {
    show(&cx)
}

/// Shows its surroundings, as `shows` does, and always runs in the sandbox.
#[chaos(non_destructive)]
fn shows_in_the_sandbox(cx: Context) -> Result {
    show(&cx)
}

/// Two threads count without a lock. With one seed in five, they do so at the same time, and lose
/// counts. They lose nearly none on one processor.
#[chaos]
fn races(cx: Context) -> Result {
    let (count, arrived) = (AtomicU64::new(0), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    let deadline = Instant::now() + RACE_LIMIT;
    let add = || {
        let seen = count.load(Ordering::SeqCst);
        // Long enough for the other thread to begin, and short for a scheduler.
        for _ in 0..50 {
            hint::spin_loop();
        }
        count.store(seen + 1, Ordering::SeqCst);
    };
    let race = || {
        let mut added = 0;
        for round in 1..=ROUNDS {
            arrived.fetch_add(1, Ordering::SeqCst);
            // A waiting thread keeps its processor, so the other one moves to another.
            while arrived.load(Ordering::SeqCst) < 2 * round {
                if is_over.load(Ordering::SeqCst) || Instant::now() > deadline {
                    is_over.store(true, Ordering::SeqCst);
                    return added;
                }
                hint::spin_loop();
            }
            add();
            added += 1;
        }
        added
    };
    let added = match cx.rng().random_ratio(1, 5) {
        true => thread::scope(|scope| {
            let threads = [scope.spawn(race), scope.spawn(race)];
            threads.map(|thread| thread.join().unwrap()).iter().sum()
        }),
        false => {
            (0..2 * ROUNDS).for_each(|_| add());
            2 * ROUNDS
        }
    };
    assert_eq!(count.into_inner(), added, "counts were lost");
    Ok(())
}

/// The number of counts of each thread of a race.
const ROUNDS: u64 = 100;

/// The time that a race takes at most, on one processor or on a busy one.
const RACE_LIMIT: Duration = Duration::from_secs(1);

/// Changes its surroundings as far as possible, and those of its parent.
#[chaos]
fn changes_all(cx: Context) -> Result {
    let one = {
        let allowed = sched_getaffinity(None)?;
        let first = (0..CpuSet::MAX_CPU).find(|processor| allowed.is_set(*processor));
        let mut one = CpuSet::new();
        one.set(first.ok_or("no processor is allowed")?);
        one
    };
    let parent = getppid().unwrap_or(Pid::INIT);
    for process in [None, Some(getpid()), Some(parent)] {
        sched_setaffinity(process, &one)?;
    }
    umask(0o777.into());
    env::set_current_dir(cx.dir())?;
    setpriority_process(None, 19)?;
    let limit = Rlimit {
        current: Some(100),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limit)?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGUSR1);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals), None)?;
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    // The sandbox refuses this.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    println!("moves the position");
    for descriptor in [
        io::stdin().as_fd(),
        io::stdout().as_fd(),
        io::stderr().as_fd(),
    ] {
        let flags = OFlag::from_bits_retain(fcntl(descriptor, FcntlArg::F_GETFL)?);
        fcntl(descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        flock(descriptor, FlockOperation::NonBlockingLockShared)?;
        // A seek in `/dev/null` has no effect.
        seek(descriptor, SeekFrom::Start(7))?;
    }
    Ok(())
}
