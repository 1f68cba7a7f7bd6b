//! The threads and processes of `/proc`, and the number of the newest one.

use crate::os::proc_text::read_lossy;
use rustix::fs::{PROC_SUPER_MAGIC, fstatfs};
use std::fs::File;
use std::io::{self, Read as _};

/// The bit of a process that has executed no program since its fork (`PF_FORKNOEXEC`).
const IS_FORK: u64 = 0x40;

/// A living thread, with its process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskStatus {
    /// The number of the thread's process.
    pub(crate) process: u32,
    /// The number of the parent of the process.
    pub(crate) parent: u32,
    /// The time at which the process started, in ticks since the system's start. Together with the
    /// number, it identifies the process.
    pub(crate) started: u64,
    /// The first 15 bytes of the name of the program that the process has executed. None if it has
    /// executed no program since its fork.
    pub(crate) program: Option<String>,
}

impl TaskStatus {
    /// Reads the status of the thread with this number.
    pub(crate) fn read(thread: u32) -> io::Result<Self> {
        let path = format!("/proc/{thread}/status");
        let status = read_lossy(&path)?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|text| text.trim().parse().ok());
            number.ok_or_else(|| io::Error::other(format!("{path} has no {name}")))
        };
        let (process, parent) = (number("Tgid:")?, number("PPid:")?);
        let path = format!("/proc/{process}/stat");
        let stat = read_lossy(&path)?;
        let (program, flags, started) =
            parse(&stat).ok_or_else(|| io::Error::other(format!("{path} has no start time")))?;
        Ok(Self {
            process,
            parent,
            started,
            program: (flags & IS_FORK == 0).then(|| program.to_owned()),
        })
    }
}

/// Gives the name, the flags and the start time of a line `PID (NAME) STATE PPID …`. The name may
/// contain parentheses.
fn parse(stat: &str) -> Option<(&str, u64, u64)> {
    let (name, rest) = stat.split_once(" (")?.1.rsplit_once(") ")?;
    // The first of these fields is the third of the line (proc_pid_stat(5)).
    let fields: Vec<&str> = rest.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.trim().parse().ok();
    Some((name, field(9)?, field(22)?))
}

/// Gives the number of the newest thread or process, in the namespace of this process. The kernel
/// gives rising numbers, and starts again after the greatest.
///
/// # Errors
///
/// When `/proc/loadavg` is not the kernel's own. Some containers have a file of another origin.
pub(crate) fn newest_task() -> io::Result<u32> {
    let mut file = File::open("/proc/loadavg")?;
    if fstatfs(&file)?.f_type != PROC_SUPER_MAGIC {
        return Err(io::Error::other("/proc/loadavg is not the kernel's own"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let number = text.split_whitespace().last();
    let number = number.and_then(|number| number.parse().ok());
    number.ok_or_else(|| io::Error::other("/proc/loadavg has no process number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn status_has_process_parent_and_program() {
        let own = TaskStatus::read(
            rustix::thread::gettid()
                .as_raw_nonzero()
                .get()
                .unsigned_abs(),
        );
        let own = own.unwrap();
        assert_eq!(own.process, std::process::id());
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let status = TaskStatus::read(child.id()).unwrap();
        assert_eq!(status.parent, std::process::id());
        assert_eq!(status.program.as_deref(), Some("cat"));
        assert!(status.started >= own.started);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn name_may_contain_parentheses_and_spaces() {
        let line = "17 (a) R (b c) S 4 17 17 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 4711 0";
        assert_eq!(parse(line), Some(("a) R (b c", 64, 4711)));
    }
}
