//! Looks for pointers into followed mappings among the arguments of a system call.

use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use std::io;

/// Gives an argument that points into a mapping to which the kernel can write.
pub(super) fn points_into(waiting: &WaitingCall, is_mapped: impl Fn(u64) -> bool) -> Option<u64> {
    let arguments = written_arguments(waiting).iter();
    arguments
        .map(|index| waiting.arguments[*index])
        .find(|address| is_mapped(*address))
}

/// Gives a vector that points into a mapping, if the kernel can write to it.
pub(super) fn vectors_point_into(
    waiting: &WaitingCall,
    tracee: &Tracee,
    is_mapped: impl Fn(u64) -> bool,
) -> io::Result<Option<u64>> {
    let [_, second, third, ..] = waiting.arguments;
    let (vectors, count) = match waiting.number {
        libc::SYS_readv | libc::SYS_preadv | libc::SYS_preadv2 => (second, third),
        // The fields of `struct msghdr`.
        libc::SYS_recvmsg => (tracee.long(second + 16)?, tracee.long(second + 24)?),
        _ => return Ok(None),
    };
    for index in 0..count.min(1024) {
        let address = tracee.long(vectors + 16 * index)?;
        let end = address.saturating_add(tracee.long(vectors + 16 * index + 8)?);
        for place in [address, end.saturating_sub(1)] {
            if is_mapped(place) {
                return Ok(Some(place));
            }
        }
    }
    Ok(None)
}

/// Lists the arguments that point to memory to which the kernel writes, by index.
// Registers behind the last argument of a call can have any value, so not all are looked at.
fn written_arguments(waiting: &WaitingCall) -> &'static [usize] {
    #[cfg(target_arch = "x86_64")]
    match waiting.number {
        libc::SYS_pipe | libc::SYS_poll | libc::SYS_time => return &[0],
        libc::SYS_stat
        | libc::SYS_lstat
        | libc::SYS_readlink
        | libc::SYS_getdents
        | libc::SYS_getrlimit
        | libc::SYS_epoll_wait
        | libc::SYS_arch_prctl => return &[1],
        libc::SYS_select => return &[1, 2, 3, 4],
        _ => {}
    }
    match waiting.number {
        libc::SYS_getcwd
        | libc::SYS_getrandom
        | libc::SYS_pipe2
        | libc::SYS_ppoll
        | libc::SYS_times
        | libc::SYS_uname
        | libc::SYS_sysinfo
        | libc::SYS_set_tid_address
        | libc::SYS_rt_sigpending => &[0],
        libc::SYS_gettimeofday
        | libc::SYS_getcpu
        | libc::SYS_getresuid
        | libc::SYS_getresgid
        | libc::SYS_capget => &[0, 1, 2],
        libc::SYS_read
        | libc::SYS_pread64
        | libc::SYS_getdents64
        | libc::SYS_fstat
        | libc::SYS_statfs
        | libc::SYS_fstatfs
        | libc::SYS_recvmsg
        | libc::SYS_recvmmsg
        | libc::SYS_epoll_pwait
        | libc::SYS_epoll_pwait2
        | libc::SYS_clock_gettime
        | libc::SYS_clock_getres
        | libc::SYS_nanosleep
        | libc::SYS_getrusage
        | libc::SYS_getgroups
        | libc::SYS_getitimer
        | libc::SYS_sigaltstack
        | libc::SYS_rt_sigtimedwait
        | libc::SYS_listxattr
        | libc::SYS_llistxattr
        | libc::SYS_flistxattr
        | libc::SYS_mq_timedreceive
        | libc::SYS_msgrcv
        | libc::SYS_prctl => &[1],
        libc::SYS_getsockname
        | libc::SYS_getpeername
        | libc::SYS_accept
        | libc::SYS_accept4
        | libc::SYS_process_vm_readv => &[1, 2],
        libc::SYS_pselect6 => &[1, 2, 3],
        libc::SYS_recvfrom => &[1, 4, 5],
        libc::SYS_wait4 | libc::SYS_splice | libc::SYS_copy_file_range => &[1, 3],
        libc::SYS_newfstatat
        | libc::SYS_readlinkat
        | libc::SYS_sched_getaffinity
        | libc::SYS_rt_sigaction
        | libc::SYS_rt_sigprocmask
        | libc::SYS_setitimer
        | libc::SYS_mincore
        | libc::SYS_getxattr
        | libc::SYS_lgetxattr
        | libc::SYS_fgetxattr
        | libc::SYS_sendfile
        | libc::SYS_ioctl => &[2],
        libc::SYS_waitid => &[2, 4],
        libc::SYS_name_to_handle_at => &[2, 3],
        libc::SYS_getsockopt => &[3, 4],
        libc::SYS_socketpair
        | libc::SYS_prlimit64
        | libc::SYS_clock_nanosleep
        | libc::SYS_io_getevents => &[3],
        libc::SYS_statx => &[4],
        libc::SYS_fcntl => match waiting.arguments[1] as i32 {
            libc::F_GETLK | libc::F_OFD_GETLK => &[2],
            _ => &[],
        },
        libc::SYS_futex => match waiting.arguments[1] as i32
            & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME)
        {
            libc::FUTEX_WAIT
            | libc::FUTEX_WAKE
            | libc::FUTEX_WAIT_BITSET
            | libc::FUTEX_WAKE_BITSET
            | libc::FUTEX_REQUEUE
            | libc::FUTEX_CMP_REQUEUE => &[],
            _ => &[0, 4],
        },
        _ => &[],
    }
}
