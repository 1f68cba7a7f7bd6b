//! Runs a program under a seccomp filter that refuses system calls, as container runtimes do.
//!
//! `filtered ERRNO CALL,… PROGRAM ARGUMENT…` lets these calls fail with this error number.

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    use nix::libc;
    use std::io::{Error, ErrorKind};
    use std::os::unix::process::CommandExt as _;

    const EQUALS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or(ErrorKind::InvalidInput);
    let errno: u32 = next()?.parse().map_err(Error::other)?;
    let calls = next()?;
    let program = next()?;
    let statement = |code: u32, k: u32, jf: u8| libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: 0,
        jf,
        k,
    };
    // The number of the call is the first field of the filter's data.
    let mut filter = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for call in calls.split(',') {
        let number = match call {
            "unshare" => libc::SYS_unshare,
            "mount" => libc::SYS_mount,
            "mount_setattr" => libc::SYS_mount_setattr,
            "landlock_create_ruleset" => libc::SYS_landlock_create_ruleset,
            other => return Err(Error::other(format!("unknown call {other}"))),
        };
        let number = u32::try_from(number).map_err(Error::other)?;
        filter.push(statement(EQUALS, number, 1));
        filter.push(statement(libc::BPF_RET, libc::SECCOMP_RET_ERRNO | errno, 0));
    }
    filter.push(statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW, 0));
    let program_of_filter = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(Error::other)?,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the call takes no pointer.
    let no_privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the pointers point to a whole filter, which outlives the call.
    let filtered = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program_of_filter,
        )
    };
    if no_privileges != 0 || filtered != 0 {
        return Err(Error::last_os_error());
    }
    Err(std::process::Command::new(program).args(arguments).exec())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("seccomp filters exist on Linux only");
    std::process::exit(2);
}
