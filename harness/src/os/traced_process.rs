//! Kills a process at a chosen system call, for tests.
#![expect(unsafe_code, reason = "ptrace and pre_exec have no safe form")]

use rustix::process::Pid;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr;

/// The values of `ptrace_syscall_info::op` for the beginning of a system call.
const ENTRY: u8 = 1;

/// The end of a traced process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TracedEnd {
    /// The process was killed instead of executing the chosen call.
    Killed,
    /// The process has made fewer calls. Contains its wait status.
    Ended(i32),
}

/// Runs a command. Kills its process instead of executing the call `number` of its latest thread,
/// counted from 1. Only the calls between two calls of `sched_yield` count.
///
/// # Errors
///
/// When the command cannot be started or traced.
pub(crate) fn kill_at_call(command: &mut Command, number: usize) -> io::Result<TracedEnd> {
    // SAFETY: the closure makes one system call, and allocates nothing.
    unsafe { command.pre_exec(|| trace(libc::PTRACE_TRACEME, 0, 0).map(drop)) };
    let mut child = command.spawn()?;
    let process = Pid::from_child(&child).as_raw_nonzero().get();
    // The thread whose calls count.
    let mut thread = process;
    wait(thread)?;
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
    trace(libc::PTRACE_SETOPTIONS, thread, number_of(options)?)?;
    let (mut counted, mut signal) = (None, 0);
    let mut status = loop {
        trace(libc::PTRACE_SYSCALL, thread, signal)?;
        let status = wait(thread)?;
        signal = 0;
        if !libc::WIFSTOPPED(status) {
            break status;
        }
        if status >> 8 == libc::SIGTRAP | (libc::PTRACE_EVENT_CLONE << 8) {
            let created = created_thread(thread)?;
            trace(libc::PTRACE_CONT, thread, 0)?;
            thread = created;
            // A new thread begins with a stop.
            wait(thread)?;
            continue;
        }
        if libc::WSTOPSIG(status) != libc::SIGTRAP | 0x80 {
            signal = number_of(libc::WSTOPSIG(status))?;
            continue;
        }
        let Some(call) = entered_call(thread)? else {
            continue;
        };
        counted = match (counted, call == libc::SYS_sched_yield) {
            (None, true) => Some(0),
            (None, false) => None,
            // The rest of the process does not count.
            (Some(_), true) => Some(usize::MAX),
            (Some(before), false) => Some(usize::saturating_add(before, 1)),
        };
        if counted == Some(number) {
            // A process that is killed before a call does not execute the call.
            child.kill()?;
            if thread != process {
                wait(thread)?;
            }
            child.wait()?;
            return Ok(TracedEnd::Killed);
        }
    };
    if thread != process {
        status = wait(process)?;
        while libc::WIFSTOPPED(status) {
            trace(libc::PTRACE_CONT, process, 0)?;
            status = wait(process)?;
        }
    }
    Ok(TracedEnd::Ended(status))
}

/// The thread that the stopped thread has created.
fn created_thread(thread: libc::pid_t) -> io::Result<libc::pid_t> {
    let mut created: libc::c_ulong = 0;
    trace(
        libc::PTRACE_GETEVENTMSG,
        thread,
        (&raw mut created).expose_provenance(),
    )?;
    libc::pid_t::try_from(created).map_err(io::Error::other)
}

fn number_of(value: i32) -> io::Result<usize> {
    usize::try_from(value).map_err(io::Error::other)
}

/// The number of the call that the stopped process is about to execute. `None` after a call.
fn entered_call(pid: libc::pid_t) -> io::Result<Option<libc::c_long>> {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let size = ptr::without_provenance_mut::<libc::c_void>(size_of_val(&info));
    // SAFETY: the last argument points to memory of the size that the third argument gives.
    let filled =
        unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, info.as_mut_ptr()) };
    if filled < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zeros are a valid value, and the kernel has filled the fields of this operation.
    let info = unsafe { info.assume_init() };
    if info.op != ENTRY {
        return Ok(None);
    }
    // SAFETY: the operation says which field of the union is set.
    let number = unsafe { info.u.entry.nr };
    Ok(libc::c_long::try_from(number).ok())
}

/// Makes a request whose last argument is a number, or the address of a number.
fn trace(request: libc::c_uint, thread: libc::pid_t, data: usize) -> io::Result<libc::c_long> {
    let data = ptr::with_exposed_provenance_mut::<libc::c_void>(data);
    // SAFETY: the requests of this module either take a number, or write to the given number.
    match unsafe { libc::ptrace(request, thread, ptr::null_mut::<libc::c_void>(), data) } {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

fn wait(pid: libc::pid_t) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: the pointer is valid during the call.
    match unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(status),
    }
}
