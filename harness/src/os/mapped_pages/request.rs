//! Requests of the supervisor to a thread that waits in a system call.
#![expect(unsafe_code, reason = "rt_tgsigqueueinfo has no safe form")]

use crate::os::proc_text::read_lossy;
use std::io;

/// A request to make another call in the place of the call in which the thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Map the file at this address, without the right to write.
    MapAt(u64),
    /// Protect all pages. Then repeat the call with this number.
    Repeat(i64),
}

// The lowest bits of the value that a signal carries. Addresses of pages leave them free.
const MAP_AT: u64 = 1;
const REPEAT: u64 = 2;
const BITS: u64 = 12;

impl Request {
    fn to_value(self) -> u64 {
        match self {
            Self::MapAt(address) => address | MAP_AT,
            Self::Repeat(number) => number.unsigned_abs() << BITS | REPEAT,
        }
    }

    pub(crate) fn from_value(value: u64) -> Option<Self> {
        let low = value & ((1 << BITS) - 1);
        match low {
            MAP_AT => Some(Self::MapAt(value & !low)),
            REPEAT => i64::try_from(value >> BITS).ok().map(Self::Repeat),
            _ => None,
        }
    }
}

/// Gives the signal that carries a request.
pub(crate) fn request_signal() -> i32 {
    // Programs that use real-time signals begin at either end.
    libc::SIGRTMAX() - 9
}

/// The state of a thread's signals, and the thread's process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadSignals {
    pub(crate) process: u32,
    thread: u32,
    blocked: u64,
    caught: u64,
}

impl ThreadSignals {
    /// Reads the state from `/proc`.
    pub(crate) fn read(thread: u32) -> io::Result<Self> {
        let path = format!("/proc/{thread}/status");
        let status = read_lossy(&path)?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim)
                .ok_or_else(|| io::Error::other(format!("{path} has no {name}")))
        };
        let set = |name| u64::from_str_radix(field(name)?, 16).map_err(io::Error::other);
        Ok(Self {
            process: field("Tgid:")?.parse().map_err(io::Error::other)?,
            thread,
            blocked: set("SigBlk:")?,
            caught: set("SigCgt:")?,
        })
    }

    /// Whether the thread's process handles requests. A program reached by `exec` does not.
    pub(crate) fn handles_requests(&self) -> bool {
        self.caught & bit(request_signal()) != 0
    }

    /// Whether the thread blocks a signal that the protection of pages needs.
    pub(crate) fn is_blocking(&self) -> bool {
        let needed = [request_signal(), libc::SIGSEGV, libc::SIGTRAP];
        needed.iter().any(|signal| self.blocked & bit(*signal) != 0)
    }

    /// Sends a request to the thread. The thread handles it as soon as its call returns.
    pub(crate) fn send(&self, request: Request) -> io::Result<()> {
        let info = SignalInfo {
            signal: request_signal(),
            errno: 0,
            code: libc::SI_QUEUE,
            _padding: 0,
            process: rustix::process::getpid().as_raw_nonzero().get(),
            user: rustix::process::getuid().as_raw(),
            value: request.to_value(),
            _unused: [0; 12],
        };
        // SAFETY: the struct has the size and the layout of `siginfo_t`, and outlives the call.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_rt_tgsigqueueinfo,
                self.process,
                self.thread,
                request_signal(),
                &raw const info,
            )
        };
        match io::Error::last_os_error() {
            _ if sent == 0 => Ok(()),
            // The thread was killed.
            error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            error => Err(error),
        }
    }
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// The kernel's `siginfo_t` of a queued signal, on machines with 64 bits.
#[repr(C)]
struct SignalInfo {
    signal: i32,
    errno: i32,
    code: i32,
    _padding: i32,
    process: i32,
    user: u32,
    value: u64,
    _unused: [u64; 12],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_the_way_through_a_signal() {
        for request in [Request::MapAt(0x2000_0000_1000), Request::Repeat(452)] {
            assert_eq!(Request::from_value(request.to_value()), Some(request));
        }
        assert_eq!(Request::from_value(0), None);
    }

    #[test]
    fn signals_of_this_thread_are_read() {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        let signals = ThreadSignals::read(thread.unsigned_abs()).unwrap();
        assert_eq!(signals.process, std::process::id());
        assert!(!signals.is_blocking());
    }
}
