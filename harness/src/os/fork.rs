//! Forks this process.
#![expect(unsafe_code, reason = "fork has no safe form")]

use crate::os::proc_text::read_lossy;
use rustix::process::{Pid, getpid};
use std::fs;
use std::io;
use std::mem;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Forks this process. Returns the child's process number in the parent, and `None` in the child.
///
/// # Errors
///
/// When this process has more than one thread, or the system refuses another process.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    if has_other_threads() {
        return Err(io::Error::other(
            "cannot fork a process with threads: this binary starts threads before `main`",
        ));
    }
    // The child has a copy of this thread only. Locks that other threads hold would stay locked in
    // the child.
    // SAFETY: this is the only thread, so no other thread holds a lock that the child needs.
    child_of(unsafe { libc::fork() })
}

/// Forks this process. Every thread except the calling thread must be harmless. The main thread is
/// harmless, since it waits for the calling thread. So is the thread whose number `harmless`
/// returns. The child has a copy of the calling thread only.
///
/// # Errors
///
/// [`io::ErrorKind::ResourceBusy`] when a thread is not harmless.
pub(crate) fn fork_with_threads(harmless: fn() -> Option<Pid>) -> io::Result<Option<Pid>> {
    refuse_threads(harmless)?;
    // SAFETY: all other threads are harmless: they wait, and hold no lock that the child needs. The
    // C library keeps its own locks usable in the child.
    child_of(unsafe { libc::fork() })
}

/// Gives the number of a forked child, and `None` in the child itself.
fn child_of(result: libc::pid_t) -> io::Result<Option<Pid>> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        child => Pid::from_raw(child)
            .map(Some)
            .ok_or_else(|| io::Error::other("fork gave no process number")),
    }
}

/// A fork whose child keeps the stacks of the threads that it lacks.
///
/// After `fork`, the GNU C Library gives these stacks to the child's new threads. Then a child may
/// not use references into the stack of a thread that waits in the parent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackKeepingFork {
    function: unsafe extern "C" fn() -> libc::pid_t,
}

impl StackKeepingFork {
    /// Finds the C library's function. Returns `None` if the library has none.
    // `_Fork` leaves the library's own locks and lists as they are, and calls no handlers of
    // `pthread_atfork`. POSIX has it since 2024, glibc since 2.34.
    pub(crate) fn find() -> Option<Self> {
        // SAFETY: the name is a C string.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_Fork".as_ptr()) };
        // SAFETY: POSIX gives `_Fork` this type, and a null pointer is `None`.
        let function = unsafe {
            mem::transmute::<*mut libc::c_void, Option<unsafe extern "C" fn() -> libc::pid_t>>(
                found,
            )
        };
        function.map(|function| Self { function })
    }

    /// Forks this process, as [`fork_with_threads`] does.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] when a thread is not harmless.
    pub(crate) fn fork(self, harmless: fn() -> Option<Pid>) -> io::Result<Option<Pid>> {
        refuse_threads(harmless)?;
        // SAFETY: all other threads are harmless: they wait, and hold no lock that the child needs.
        // The calling thread holds none of the C library's locks here.
        child_of(unsafe { (self.function)() })
    }
}

/// Ends this process without calling its exit handlers.
pub(crate) fn exit_immediately(code: i32) -> ! {
    // SAFETY: the call touches no memory.
    unsafe { libc::_exit(code) }
}

/// Whether this process has threads besides the calling thread. Also true if `/proc` cannot be
/// read.
pub(crate) fn has_other_threads() -> bool {
    // In a process with one thread, `unshare` succeeds and changes nothing (unshare(2)). This call
    // is cheaper than reading `/proc`.
    // SAFETY: without other threads, the call changes nothing. With other threads, the call fails.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } == 0 {
        return false;
    }
    count_threads().map_or(true, |threads| threads != 1)
}

fn task_directory(thread: Pid) -> String {
    format!("/proc/self/task/{}", thread.as_raw_nonzero())
}

/// Returns the number of threads of this process.
fn count_threads() -> io::Result<u64> {
    // `/proc/self/task` has one subdirectory for each thread. A directory's link count is the
    // number of its subdirectories plus two.
    Ok(fs::metadata("/proc/self/task")?.nlink().saturating_sub(2))
}

/// The maximum time that a joined thread may take to disappear from `/proc`.
const EXIT_TIMEOUT: Duration = Duration::from_millis(100);

/// Returns an error if this process has other threads that are not harmless. Such a thread may hold
/// a lock that a forked child needs.
fn refuse_threads(harmless: fn() -> Option<Pid>) -> io::Result<()> {
    // To read the names of all threads costs as much as the fork of a small process.
    let mut known = vec![rustix::thread::gettid(), getpid()];
    // A process that was forked has no copy of the thread.
    let is_alive = |thread: &Pid| Path::new(&task_directory(*thread)).exists();
    known.extend(harmless().filter(is_alive));
    known.sort_unstable_by_key(|thread| thread.as_raw_nonzero());
    known.dedup();
    if count_threads()? == known.len() as u64 {
        return Ok(());
    }
    // A joined thread can stay in `/proc` for a short time.
    let deadline = Instant::now() + EXIT_TIMEOUT;
    loop {
        let others = other_threads(harmless)?;
        if others.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!(
                    "cannot fork the test's process for an exploration while these threads run: \
                     {}; end them first, run the set-up that starts them in `cx.prepare`, or start \
                     them inside of the operation",
                    others.join(", ")
                ),
            ));
        }
        thread::yield_now();
    }
}

/// Gives the names of all threads except the calling thread, the main thread and `harmless`.
fn other_threads(harmless: fn() -> Option<Pid>) -> io::Result<Vec<String>> {
    let (own, main) = (rustix::thread::gettid(), getpid());
    let mut others = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        let number = task.file_name().to_string_lossy().parse().ok();
        let Some(number) = number.and_then(Pid::from_raw) else {
            continue;
        };
        // If the name cannot be read, the thread has ended.
        let Ok(name) = read_lossy(task.path().join("comm")) else {
            continue;
        };
        let name = name.trim_end();
        if number != own && number != main && Some(number) != harmless() {
            others.push(format!("`{name}`"));
        }
    }
    Ok(others)
}

/// Runs `test` in a forked process without other threads. Returns whether it returned `true`. The
/// caller is a test of this binary, on the thread that bears the test's name.
///
/// Executes the binary for this test alone, and forks there: at a fork, the other tests could hold
/// locks of the standard library, such as that of the panic hook.
#[cfg(test)]
pub(crate) fn in_process_with_one_thread(test: impl FnOnce() -> bool) -> bool {
    const ALONE: &str = "CHAOS_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return in_fork(test);
    }
    let thread = thread::current();
    let name = thread.name().expect("the thread bears the test's name");
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads=1", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let has_passed = output.status.success() && text.contains("\ntest result: ok. 1 passed");
    if !has_passed {
        eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    has_passed
}

/// Runs `test` in a fork of this process, whose other threads wait. Returns whether it returned
/// `true`.
#[cfg(test)]
fn in_fork(test: impl FnOnce() -> bool) -> bool {
    // SAFETY: the main thread of the test framework waits for this test, and holds no lock.
    let child = match unsafe { libc::fork() } {
        0 => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
            exit_immediately(i32::from(!outcome.unwrap_or(false)))
        }
        child => Pid::from_raw(child).expect("a child"),
    };
    let status = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
    let (_, status) = status.unwrap().expect("the child has ended");
    status.exit_status() == Some(0)
}
