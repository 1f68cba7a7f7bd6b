//! The filter that hands a process's system calls to whoever explores it ([seccomp_unotify(2)]).
//!
//! [seccomp_unotify(2)]: https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html
#![expect(unsafe_code, reason = "seccomp(2) has no safe form with notifications")]

use libc::{sock_filter, sock_fprog};
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

/// What `seccomp_data` calls the machine that this program is made for (`linux/audit.h`); none where nobody has tried this.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};

/// Where the number of a call, and the machine, stand in `seccomp_data`.
const NUMBER: u32 = 0;
const MACHINE: u32 = 4;

/// Where the arguments begin: 64 bits each, of which the lower half stands first on both machines.
const FIRST_ARGUMENT: u32 = 16;

/// From this number on calls of x86-64 are those of its x32 mode.
const X32: u32 = 0x4000_0000;

/// A call that is waited for: every one of that number, or those that have one of these bits in an argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trap {
    pub(crate) number: i64,
    /// The place of the argument, and the bits in its lower half.
    pub(crate) only: Option<(u32, u32)>,
}

/// Lets this thread, and all threads and processes that it starts, wait at these calls for what the holder of the listener says.
/// Calls in the mode of another machine, and io_uring, which writes without any call, do not exist for them.
///
/// The process cannot gain privileges any more.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] when this kernel or machine cannot do it; anything else when it could not be done.
pub(crate) fn install(traps: &[Trap]) -> io::Result<OwnedFd> {
    let mut program = program(traps)?;
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = sock_fprog {
        len: length,
        filter: program.as_mut_ptr(),
    };
    rustix::thread::set_no_new_privs(true)?;
    // A signal that the operation handles must not make its thread ask again; kernels before 5.19 do not know the flag.
    let flags = [
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
    ];
    let mut error = io::Error::from(io::ErrorKind::Unsupported);
    for flags in flags {
        // SAFETY: the program and what it points to outlive the call.
        let listener = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        };
        if let Ok(listener @ 0..) = RawFd::try_from(listener) {
            // SAFETY: the kernel has just made it, for us alone.
            return Ok(unsafe { OwnedFd::from_raw_fd(listener) });
        }
        error = io::Error::last_os_error();
    }
    Err(match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EINVAL) => unsupported("the kernel has no seccomp notifications"),
        Some(libc::EBUSY) => unsupported(
            "somebody else, such as a container's runtime, is notified of the system calls of this process already",
        ),
        _ => error,
    })
}

fn unsupported(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}

fn program(traps: &[Trap]) -> io::Result<Vec<sock_filter>> {
    let machine = ARCHITECTURE.ok_or_else(|| {
        unsupported("this processor is none of those that system calls are explored on")
    })?;
    let refuse = give(libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs());
    let mut program = vec![
        load(MACHINE),
        skip_unless_equal(machine, 1),
        load(NUMBER),
        // What follows is not for another machine.
        skip_unless_equal_or_above(X32),
        refuse,
    ];
    // The second instruction must go to the refusal for another machine.
    program[1].jf = 2;
    program.extend([
        skip_unless_equal(number(libc::SYS_io_uring_setup)?, 1),
        refuse,
    ]);
    let notify = give(libc::SECCOMP_RET_USER_NOTIF);
    let allow = give(libc::SECCOMP_RET_ALLOW);
    for trap in traps {
        let is_it = |length| Ok::<_, io::Error>(skip_unless_equal(number(trap.number)?, length));
        match trap.only {
            None => program.extend([is_it(1)?, notify]),
            Some((argument, bits)) => program.extend([
                is_it(4)?,
                load(FIRST_ARGUMENT + 8 * argument),
                skip_unless_any(bits),
                notify,
                allow,
            ]),
        }
    }
    program.push(allow);
    Ok(program)
}

fn number(call: i64) -> io::Result<u32> {
    u32::try_from(call).map_err(io::Error::other)
}

fn instruction(code: u32, value: u32) -> sock_filter {
    sock_filter {
        // All codes have 16 bits.
        code: (code & 0xffff) as u16,
        jt: 0,
        jf: 0,
        k: value,
    }
}

fn load(at: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at)
}

fn give(action: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action)
}

fn skip_unless_equal(value: u32, instructions: u8) -> sock_filter {
    let jump = instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value);
    sock_filter {
        jf: instructions,
        ..jump
    }
}

fn skip_unless_equal_or_above(value: u32) -> sock_filter {
    let jump = instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, value);
    sock_filter { jf: 1, ..jump }
}

fn skip_unless_any(bits: u32) -> sock_filter {
    let jump = instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits);
    sock_filter { jf: 1, ..jump }
}
