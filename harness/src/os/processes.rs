//! The processes in `/proc`.

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, getpid, waitid};
use std::collections::HashMap;
use std::fs;

/// A living process.
pub(crate) struct ProcessEntry {
    pub(crate) pid: Pid,
    pub(crate) parent: Pid,
    is_alive: bool,
    /// Whether a signal or a tracer has stopped the process.
    pub(crate) is_stopped: bool,
    /// The start of the process, in clock ticks since the start of the system.
    pub(crate) start: Option<u64>,
    /// The name of the program. `command_line` gives this name if the command line is missing.
    name: String,
}

/// Gives all living processes in `/proc`, keyed by process number.
pub(crate) fn processes() -> HashMap<Pid, ProcessEntry> {
    entries()
        .filter(|process| process.is_alive)
        .map(|process| (process.pid, process))
        .collect()
}

/// Whether this process has children, living or dead. A subreaper without children has no
/// descendants.
pub(crate) fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    // Without this option, children that send no signal when they end are not found.
    let options = options | WaitIdOptions::from_bits_retain(libc::__WALL.cast_unsigned());
    !waitid(WaitId::All, options).is_err_and(|error| error == Errno::CHILD)
}

/// Gives the numbers of all dead children of this process that were not reaped.
pub(crate) fn dead_children() -> Vec<Pid> {
    let own = getpid();
    entries()
        .filter(|process| process.parent == own && !process.is_alive)
        .map(|process| process.pid)
        .collect()
}

/// Gives the living process with this number, if there is one.
pub(crate) fn process(pid: Pid) -> Option<ProcessEntry> {
    let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    ProcessEntry::parse(&String::from_utf8_lossy(&stat)).filter(|process| process.is_alive)
}

/// Gives all processes in `/proc`.
fn entries() -> impl Iterator<Item = ProcessEntry> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes()
                .first()
                .is_some_and(u8::is_ascii_digit)
        })
        .filter_map(|entry| fs::read(entry.path().join("stat")).ok())
        .filter_map(|stat| ProcessEntry::parse(&String::from_utf8_lossy(&stat)))
}

/// Gives all living descendants of this process, ordered by process number.
pub(crate) fn descendants() -> Vec<ProcessEntry> {
    let mut processes = processes();
    let is_below = |process: &ProcessEntry| {
        let mut parent = process.parent;
        // The parent of a process can change while `/proc` is read, so the entries can form a
        // cycle. To end even in a cycle, the loop takes at most one step for each entry.
        for _ in 0..processes.len() {
            if parent == getpid() {
                return true;
            }
            match processes.get(&parent) {
                Some(next) => parent = next.parent,
                None => return false,
            }
        }
        false
    };
    let mut below: Vec<Pid> = processes
        .values()
        .filter(|process| is_below(process))
        .map(|process| process.pid)
        .collect();
    below.sort_by_key(|pid| pid.as_raw_nonzero());
    below
        .into_iter()
        .filter_map(|pid| processes.remove(&pid))
        .collect()
}

impl ProcessEntry {
    /// Parses `/proc/PID/stat`: `PID (NAME) STATE PPID …`. The name may contain parentheses.
    fn parse(stat: &str) -> Option<Self> {
        let (pid, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?;
        let parent = fields.next()?;
        Some(Self {
            pid: Pid::from_raw(pid.parse().ok()?)?,
            parent: Pid::from_raw(parent.parse().ok()?)?,
            is_alive: state != "Z" && state != "X",
            is_stopped: state == "T" || state == "t",
            start: fields.nth(17).and_then(|start| start.parse().ok()),
            name: name.to_owned(),
        })
    }

    /// Gives the command line of the process. Gives the program's name in brackets if the command
    /// line is missing.
    ///
    /// A fork that has executed no program has the command line of the test's process. Its second
    /// word is `internal_argument`. Gives the name of the fork instead.
    pub(crate) fn describe(&self, internal_argument: &str) -> String {
        let arguments =
            fs::read(format!("/proc/{}/cmdline", self.pid.as_raw_nonzero())).unwrap_or_default();
        let words: Vec<_> = arguments
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(String::from_utf8_lossy)
            .collect();
        if words.get(1).is_some_and(|word| word == internal_argument) {
            format!("{}, a fork of the test's process", self.name)
        } else if words.is_empty() {
            format!("[{}]", self.name)
        } else {
            words.join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_name_may_contain_parentheses_and_spaces() {
        let process = ProcessEntry::parse("17 (a) R (b c) S 4 17 17 0 -1").unwrap();
        assert_eq!(process.pid.as_raw_nonzero().get(), 17);
        assert_eq!(process.parent.as_raw_nonzero().get(), 4);
        assert_eq!(process.name, "a) R (b c");
    }

    #[test]
    fn own_process_started_after_the_system() {
        let own = process(getpid()).unwrap();
        assert!(own.start.unwrap() > 0);
        let numbers = "17 (a b) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23";
        assert_eq!(ProcessEntry::parse(numbers).unwrap().start, Some(22));
    }

    #[test]
    fn stopped_process_is_alive() {
        for state in ["T", "t"] {
            let process = ProcessEntry::parse(&format!("17 (sh) {state} 4 17 17 0 -1")).unwrap();
            assert!(process.is_alive && process.is_stopped);
        }
    }

    #[test]
    fn dead_process_is_not_alive() {
        let process = ProcessEntry::parse("17 (sh) Z 4 17 17 0 -1").unwrap();
        assert!(!process.is_alive);
        assert!(ProcessEntry::parse("nonsense").is_none());
    }
}
