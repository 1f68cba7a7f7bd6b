//! Installs a filter in a process. System calls that match the filter wait for an answer.
#![expect(unsafe_code, reason = "seccomp(2) has no safe form with notifications")]

use libc::{sock_filter, sock_fprog};
use std::io;
use std::ops::Range;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

/// The number of this program's architecture in `seccomp_data` (`linux/audit.h`). `None` on
/// architectures for which this module is untested.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};

/// The offset of the call's number in `seccomp_data`.
const NUMBER_OFFSET: u32 = 0;

/// The offset of the architecture in `seccomp_data`.
const ARCHITECTURE_OFFSET: u32 = 4;

/// The offset of the first argument in `seccomp_data`. Arguments have 64 bits. The lower half comes
/// first on x86-64 and on 64-bit ARM.
const FIRST_ARGUMENT_OFFSET: u32 = 16;

/// The number of arguments of a system call.
const ARGUMENTS: u32 = 6;

/// The lowest system call number of x86-64's x32 mode.
const X32: u32 = 0x4000_0000;

/// Selects system calls that wait for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SyscallPattern {
    pub(crate) number: i64,
    /// The index of an argument, and bits of the argument's lower half. A call waits if one of
    /// these bits is set. If this field is `None`, every call with this number waits.
    pub(crate) argument_bits: Option<(u32, u32)>,
}

/// Installs a filter for this thread, and for all threads and processes that this thread starts
/// later. A call that matches one of `patterns` waits until the holder of the returned listener
/// answers. So does a call with an argument in `window`, whose bounds are multiples of 4 GiB.
///
/// Calls in another architecture's mode fail with `ENOSYS`. The setup of an io_uring also fails
/// with `ENOSYS`, because an io_uring writes without system calls. The process can no longer gain
/// privileges.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] when this kernel or machine does not support such a filter.
/// Another error when the installation fails for another reason.
pub(crate) fn install(
    patterns: &[SyscallPattern],
    window: Option<&Range<u64>>,
) -> io::Result<OwnedFd> {
    let mut program = program(patterns, window)?;
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = sock_fprog {
        len: length,
        filter: program.as_mut_ptr(),
    };
    rustix::thread::set_no_new_privs(true)?;
    // With `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`, a waiting call does not notify the listener
    // again after a handled signal. Kernels before 5.19 do not know this flag, so the second
    // attempt omits it.
    let flags = [
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
    ];
    let mut error = io::Error::from(io::ErrorKind::Unsupported);
    for flags in flags {
        // SAFETY: the program and its instructions outlive the call.
        let listener = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        };
        if let Ok(listener @ 0..) = RawFd::try_from(listener) {
            // SAFETY: the kernel has just opened this descriptor, and nothing else owns it.
            return Ok(unsafe { OwnedFd::from_raw_fd(listener) });
        }
        error = io::Error::last_os_error();
    }
    Err(match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EINVAL) => unsupported("the kernel has no seccomp notifications"),
        Some(libc::EBUSY) => unsupported(
            "another program, such as a container's runtime, is already notified of this process's \
             system calls",
        ),
        _ => error,
    })
}

fn unsupported(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, reason)
}

fn program(
    patterns: &[SyscallPattern],
    window: Option<&Range<u64>>,
) -> io::Result<Vec<sock_filter>> {
    let architecture = ARCHITECTURE.ok_or_else(|| {
        unsupported("system calls can be explored on x86-64 and 64-bit ARM processors alone")
    })?;
    let refuse = return_action(libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs());
    let mut program = vec![
        load(ARCHITECTURE_OFFSET),
        skip_unless_equal(architecture, 1),
        load(NUMBER_OFFSET),
        // Only calls of this architecture reach the instructions from here on.
        skip_unless_equal_or_above(X32),
        refuse,
    ];
    // For another architecture, the second instruction jumps to the refusal.
    program[1].jf = 2;
    program.extend([
        skip_unless_equal(number(libc::SYS_io_uring_setup)?, 1),
        refuse,
    ]);
    let notify = return_action(libc::SECCOMP_RET_USER_NOTIF);
    let allow = return_action(libc::SECCOMP_RET_ALLOW);
    if let Some(window) = window {
        let high = |address: u64| (address >> 32) as u32;
        for argument in 0..ARGUMENTS {
            program.extend([
                load(FIRST_ARGUMENT_OFFSET + 8 * argument + 4),
                skip_below(high(window.start), 2),
                skip_from(high(window.end)),
                notify,
            ]);
        }
        program.push(load(NUMBER_OFFSET));
    }
    for pattern in patterns {
        let has_number =
            |length| Ok::<_, io::Error>(skip_unless_equal(number(pattern.number)?, length));
        match pattern.argument_bits {
            None => program.extend([has_number(1)?, notify]),
            Some((argument, bits)) => program.extend([
                has_number(4)?,
                load(FIRST_ARGUMENT_OFFSET + 8 * argument),
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
        // Every code fits into 16 bits.
        code: (code & 0xffff) as u16,
        jt: 0,
        jf: 0,
        k: value,
    }
}

fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn return_action(action: u32) -> sock_filter {
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

fn skip_below(start: u32, instructions: u8) -> sock_filter {
    let jump = instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, start);
    sock_filter {
        jf: instructions,
        ..jump
    }
}

fn skip_from(value: u32) -> sock_filter {
    let jump = instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, value);
    sock_filter { jt: 1, ..jump }
}

fn skip_unless_any(bits: u32) -> sock_filter {
    let jump = instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits);
    sock_filter { jf: 1, ..jump }
}
