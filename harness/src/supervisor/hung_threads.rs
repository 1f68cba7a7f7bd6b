//! Reads the state of a hung test's threads from `/proc`.

use crate::os::proc_text::read_lossy;
use crate::os::processes::descendants;
use crate::os::sockets;
use crate::supervisor::role::ROLE_ARGUMENT;
use crate::test::termination;
use clarity_chaos_record::HungThread;
use rustix::process::Pid;
use std::fs;
use std::path::Path;
use syscalls::Sysno;

/// The largest number of threads in a report. A test can have thousands of threads.
const MAX_THREADS: usize = 64;

/// Describes up to [`MAX_THREADS`] threads of this process's descendants. The threads of the
/// process `test` come first.
pub(super) fn inspect(test: Pid) -> Vec<HungThread> {
    let mut processes = descendants();
    processes.sort_by_key(|process| process.pid != test);
    let threads = processes.into_iter().flat_map(|process| {
        let command = (process.pid != test).then(|| process.describe(ROLE_ARGUMENT));
        let directory = format!("/proc/{}/task", process.pid.as_raw_nonzero());
        let tasks = fs::read_dir(directory).into_iter().flatten().flatten();
        // Leaves out the main thread of the test's process. The main thread belongs to the harness,
        // and waits for the test's thread.
        let main = (process.pid == test).then(|| test.as_raw_nonzero().to_string());
        let mut tasks: Vec<_> = tasks
            .map(|task| task.path())
            .filter(|task| task.file_name().and_then(|name| name.to_str()) != main.as_deref())
            .collect();
        tasks.sort();
        tasks
            .into_iter()
            .filter_map(move |task| inspect_thread(&task, command.clone()))
    });
    threads.take(MAX_THREADS).collect()
}

/// Describes one thread. Returns `None` for a thread that has ended, or that belongs to the
/// harness.
fn inspect_thread(task: &Path, process: Option<String>) -> Option<HungThread> {
    let read = |file: &str| read_lossy(task.join(file)).ok();
    let status = read("status")?;
    let state = status
        .lines()
        .find_map(|line| line.strip_prefix("State:"))
        .and_then(|state| state.split_once('('))
        .map(|(_letter, word)| word.trim_end_matches(')').to_owned())?;
    let thread = read("comm")?.trim_end().to_owned();
    if thread == termination::THREAD {
        return None;
    }
    let wait_channel = read("wchan").filter(|channel| channel != "0" && !channel.is_empty());
    let mut hung = HungThread::new(thread, state);
    hung.process = process;
    // The files `syscall` and `wchan` show their values only to a process that may trace the
    // thread.
    hung.system_call = read("syscall").and_then(|call| system_call(&call, task));
    hung.wait_channel = wait_channel;
    Some(hung)
}

/// Parses the content of the file `syscall`, which is `NUMBER ARGUMENT… STACK INSTRUCTION`. Returns
/// `None` if the thread is not in a system call. The content is then `running`, or the number is
/// -1.
fn system_call(line: &str, task: &Path) -> Option<String> {
    let mut words = line.split_whitespace();
    let number: usize = words.next()?.parse().ok()?;
    let Some(call) = Sysno::new(number) else {
        return Some(format!("system call {number}"));
    };
    let target = takes_descriptor(call)
        .then(|| words.next())
        .flatten()
        .and_then(|word| u32::from_str_radix(word.trim_start_matches("0x"), 16).ok())
        .and_then(|descriptor| fs::read_link(task.join(format!("fd/{descriptor}"))).ok());
    Some(match target {
        Some(target) => format!("{call} of {}", sockets::describe(&target.to_string_lossy())),
        None => call.to_string(),
    })
}

/// Whether `call` can block and has a descriptor as its first argument.
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
