//! Lists the intercepted system calls on files.

use crate::os::seccomp::filter::SyscallPattern;

/// Gives the system calls that change files. With `reads`, also gives the calls that read files.
pub(crate) fn file_calls(reads: bool) -> Vec<SyscallPattern> {
    // O_TMPFILE contains the bit of O_DIRECTORY. That bit alone creates nothing, so it is left out.
    let creating =
        (libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY)).unsigned_abs();
    let opening = |argument| (!reads).then_some((argument, creating));
    let mut patterns = vec![SyscallPattern {
        number: libc::SYS_openat,
        argument_bits: opening(2),
    }];
    #[cfg(target_arch = "x86_64")]
    patterns.push(SyscallPattern {
        number: libc::SYS_open,
        argument_bits: opening(1),
    });
    let mut numbers = vec![
        libc::SYS_openat2,
        libc::SYS_write,
        libc::SYS_pwrite64,
        libc::SYS_writev,
        libc::SYS_pwritev,
        libc::SYS_pwritev2,
        libc::SYS_sendfile,
        libc::SYS_copy_file_range,
        libc::SYS_splice,
        libc::SYS_fallocate,
        libc::SYS_ftruncate,
        libc::SYS_truncate,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_sync_file_range,
        libc::SYS_syncfs,
        libc::SYS_sync,
        libc::SYS_renameat2,
        libc::SYS_unlinkat,
        libc::SYS_mkdirat,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_mknodat,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchmodat2,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_ioctl,
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        libc::SYS_fsetxattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        libc::SYS_fremovexattr,
    ];
    #[cfg(target_arch = "x86_64")]
    numbers.extend([
        libc::SYS_creat,
        libc::SYS_rename,
        libc::SYS_unlink,
        libc::SYS_rmdir,
        libc::SYS_mkdir,
        libc::SYS_link,
        libc::SYS_symlink,
        libc::SYS_mknod,
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_utime,
        libc::SYS_utimes,
        libc::SYS_futimesat,
    ]);
    // Architectures newer than `renameat2` do not have `renameat`.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    numbers.push(libc::SYS_renameat);
    if reads {
        numbers.extend([
            libc::SYS_read,
            libc::SYS_pread64,
            libc::SYS_readv,
            libc::SYS_preadv,
            libc::SYS_preadv2,
            libc::SYS_getdents64,
            libc::SYS_close,
            libc::SYS_close_range,
        ]);
    }
    patterns.extend(numbers.into_iter().map(|number| SyscallPattern {
        number,
        argument_bits: None,
    }));
    patterns
}

/// Gives the system calls that start processes, threads and programs.
pub(crate) fn process_calls() -> Vec<SyscallPattern> {
    let mut numbers = vec![
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_execve,
        libc::SYS_execveat,
    ];
    #[cfg(target_arch = "x86_64")]
    numbers.extend([libc::SYS_fork, libc::SYS_vfork]);
    let pattern = |number| SyscallPattern {
        number,
        argument_bits: None,
    };
    numbers.into_iter().map(pattern).collect()
}

/// Gives the system calls by which a program can make, change, sync or write to a shared mapping,
/// beside those that `file_calls` gives.
pub(crate) fn mapping_calls() -> Vec<SyscallPattern> {
    let makes_writable = Some((2, libc::PROT_WRITE.unsigned_abs()));
    // The numbers of SIGSEGV, SIGTRAP and the signal of requests have these bits, as those of many
    // other signals have.
    let handled = Some((0, (libc::SIGSEGV & 8 | libc::SIGTRAP & 4).unsigned_abs()));
    let vectors = [
        libc::SYS_readv,
        libc::SYS_preadv,
        libc::SYS_preadv2,
        libc::SYS_recvmsg,
    ];
    [
        (libc::SYS_mmap, Some((3, libc::MAP_SHARED.unsigned_abs()))),
        (libc::SYS_mprotect, makes_writable),
        (libc::SYS_pkey_mprotect, makes_writable),
        (libc::SYS_msync, None),
        (libc::SYS_rt_sigaction, handled),
    ]
    .into_iter()
    .chain(vectors.map(|number| (number, None)))
    .map(|(number, argument_bits)| SyscallPattern {
        number,
        argument_bits,
    })
    .collect()
}
