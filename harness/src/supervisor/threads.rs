//! What the threads of hung processes are at, as `/proc` tells.

use crate::os::processes::descendants;
use crate::os::sockets;
use crate::test::end_request;
use clarity_chaos_record::HungThread;
use rustix::process::Pid;
use std::fs;
use std::path::Path;
use syscalls::Sysno;

/// How many threads are told of; a test can have thousands.
const MANY: usize = 64;

/// The threads of all processes below this one; those of the process `test` first.
pub(super) fn look(test: Pid) -> Vec<HungThread> {
    let mut processes = descendants();
    processes.sort_by_key(|process| process.pid != test);
    let threads = processes.into_iter().flat_map(|process| {
        let command = (process.pid != test).then(|| process.command_line());
        let folder = format!("/proc/{}/task", process.pid.as_raw_nonzero());
        let tasks = fs::read_dir(folder).into_iter().flatten().flatten();
        // The main thread of the test's own process is the harness's, and waits for the test's.
        let own = (process.pid == test).then(|| test.as_raw_nonzero().to_string());
        let mut tasks: Vec<_> = tasks
            .map(|task| task.path())
            .filter(|task| task.file_name().and_then(|name| name.to_str()) != own.as_deref())
            .collect();
        tasks.sort();
        tasks
            .into_iter()
            .filter_map(move |task| look_at(&task, command.clone()))
    });
    threads.take(MANY).collect()
}

/// Looks at one thread; none when it has just ended.
fn look_at(task: &Path, process: Option<String>) -> Option<HungThread> {
    let read = |file: &str| fs::read_to_string(task.join(file)).ok();
    let status = read("status")?;
    let state = status
        .lines()
        .find_map(|line| line.strip_prefix("State:"))
        .and_then(|state| state.split_once('('))
        .map(|(_letter, word)| word.trim_end_matches(')').to_owned())?;
    let thread = read("comm")?.trim_end().to_owned();
    if thread == end_request::THREAD {
        return None;
    }
    let wait_channel = read("wchan").filter(|channel| channel != "0" && !channel.is_empty());
    let mut hung = HungThread::new(thread, state);
    hung.process = process;
    // Both need the right to trace the thread.
    hung.system_call = read("syscall").and_then(|call| system_call(&call, task));
    hung.wait_channel = wait_channel;
    Some(hung)
}

/// Reads `NUMBER ARGUMENT… STACK INSTRUCTION`; a thread that is in no call says `running`, or -1.
fn system_call(line: &str, task: &Path) -> Option<String> {
    let mut words = line.split_whitespace();
    let number: usize = words.next()?.parse().ok()?;
    let Some(call) = Sysno::new(number) else {
        return Some(format!("system call {number}"));
    };
    let about = takes_descriptor(call)
        .then(|| words.next())
        .flatten()
        .and_then(|word| u32::from_str_radix(word.trim_start_matches("0x"), 16).ok())
        .and_then(|descriptor| fs::read_link(task.join(format!("fd/{descriptor}"))).ok());
    Some(match about {
        Some(about) => format!("{call} of {}", sockets::describe(&about.to_string_lossy())),
        None => call.to_string(),
    })
}

/// Whether the first argument of a call that can block is a descriptor.
fn takes_descriptor(call: Sysno) -> bool {
    const CALLS: [&str; 18] = [
        "read",
        "write",
        "readv",
        "writev",
        "pread64",
        "pwrite64",
        "recvfrom",
        "recvmsg",
        "sendto",
        "sendmsg",
        "accept",
        "accept4",
        "connect",
        "flock",
        "fcntl",
        "fsync",
        "fdatasync",
        "ioctl",
    ];
    CALLS.contains(&call.name())
}
