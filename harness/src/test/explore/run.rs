//! One run of an operation, with what was done to it.

use super::child::{Child, End};
use super::strays::Strays;
use super::tree::Tree;
use crate::os::listener::Waiting;
use crate::os::seccomp::Trap;
use crate::os::tracee::Tracee;
use crate::syscalls::decoder::Decoder;
use crate::syscalls::effect::{Call, Effect};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long killed processes may take to be gone.
const DYING: Duration = Duration::from_secs(5);

/// A point of an operation: one of its calls in its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// The call with this number, from 0: of an operation that makes them one after the other.
    Number(usize),
    /// The call of this name on this file, after so many others like it: of one whose threads make them in any order.
    Occurrence(&'static str, PathBuf, usize),
}

/// What is done to an operation.
#[derive(Clone, Debug)]
pub(super) enum Script {
    /// Nothing; the bytes that it writes are taken down.
    Watch,
    /// Its process dies in the place of this call.
    Die(Point),
    /// The call fails with this error.
    Fail(Point, i32),
    /// It is asked where in the code it makes this call.
    Locate(Point),
}

/// A run of an operation.
#[derive(Debug)]
pub(super) struct Run {
    /// Its calls in its directory, in order, up to the point where it was stopped.
    pub(super) calls: Vec<(u32, Call)>,
    /// How it ended; none if it was made to die.
    pub(super) end: Option<End>,
    /// Whether the point was reached.
    pub(super) reached: bool,
}

/// What is run.
pub(super) struct Operation<'a> {
    pub(super) directory: &'a Path,
    pub(super) traps: &'a [Trap],
    pub(super) strays: &'a Strays,
    pub(super) work: &'a (dyn Fn(&Path) -> Result<(), String> + Sync),
}

impl Operation<'_> {
    /// Runs it in its directory, which is made to hold `before` first.
    pub(super) fn run(&self, before: &Tree, script: &Script) -> io::Result<Run> {
        before.write(self.directory)?;
        let child = Child::spawn(Some(self.traps), || (self.work)(self.directory))?;
        Watch {
            decoder: Decoder::new(self.directory, matches!(script, Script::Watch)),
            child,
            script,
            strays: self.strays,
            occurrences: HashMap::new(),
            calls: Vec::new(),
            reached: false,
        }
        .watch()
    }
}

struct Watch<'a> {
    decoder: Decoder<'a>,
    child: Child,
    script: &'a Script,
    strays: &'a Strays,
    occurrences: HashMap<(&'static str, PathBuf), usize>,
    calls: Vec<(u32, Call)>,
    reached: bool,
}

/// What became of a call.
enum Fate {
    Answered,
    Dies,
}

impl Watch<'_> {
    fn watch(mut self) -> io::Result<Run> {
        let mut dies = false;
        while !dies {
            let Some(listener) = &self.child.listener else {
                return Err(io::Error::other("a process without a listener"));
            };
            let mut watched = [
                PollFd::new(listener, PollFlags::IN),
                PollFd::new(&self.child.ended, PollFlags::IN),
            ];
            match poll(&mut watched, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let (calls, ended) = (watched[0].revents(), watched[1].revents());
            // Then a call is one of a process that was left behind, and none of the operation's.
            if !ended.is_empty() {
                break;
            }
            if calls.contains(PollFlags::IN)
                && let Some(call) = listener.next()?
            {
                dies = matches!(self.meet(&call)?, Fate::Dies);
            }
        }
        self.end_all()?;
        let end = self.child.reap()?;
        Ok(Run {
            calls: self.calls,
            end: (!dies).then_some(end),
            reached: self.reached,
        })
    }

    /// Answers a call, or lets its process die.
    fn meet(&mut self, waiting: &Waiting) -> io::Result<Fate> {
        let Some(listener) = &self.child.listener else {
            return Ok(Fate::Answered);
        };
        let decoded =
            Tracee::of(waiting.thread).and_then(|tracee| self.decoder.decode(waiting, &tracee));
        // What was read is another thread's if this one is gone by now.
        if !listener.waits(waiting) {
            return Ok(Fate::Answered);
        }
        // What may not be looked at would be left out without a word.
        if let Err(error) = &decoded
            && error.kind() == io::ErrorKind::PermissionDenied
        {
            return Err(io::Error::other(format!(
                "the operation makes calls that may not be looked at: {error}"
            )));
        }
        // A call whose arguments cannot be read, such as an address that is none, fails by itself.
        let Ok(Some(call)) = decoded else {
            listener.proceed(waiting)?;
            return Ok(Fate::Answered);
        };
        // As on file systems that cannot do it, where whoever wants it copies instead.
        if matches!(call.effect, Effect::Clone { .. }) {
            listener.fail(waiting, libc::EOPNOTSUPP)?;
            return Ok(Fate::Answered);
        }
        let key = (call.name, call.effect.path().to_owned());
        let earlier = self.occurrences.entry(key).or_insert(0);
        let is_at = |point: &Point| match point {
            Point::Number(number) => *number == self.calls.len(),
            Point::Occurrence(name, path, count) => {
                *name == call.name && path == call.effect.path() && *count == *earlier
            }
        };
        let script = match self.script {
            Script::Die(point) | Script::Fail(point, _) | Script::Locate(point)
                if self.reached || !is_at(point) =>
            {
                &Script::Watch
            }
            script => script,
        };
        *earlier += 1;
        let is_sync = matches!(call.effect, Effect::Sync { .. } | Effect::SyncAll);
        self.calls.push((waiting.thread, call));
        self.reached |= !matches!(script, Script::Watch);
        match script {
            Script::Die(_) => {
                self.child.kill();
                return Ok(Fate::Dies);
            }
            Script::Fail(_, errno) => listener.fail(waiting, *errno)?,
            Script::Locate(_) if self.child.ask_where(waiting.thread) => {
                listener.fail(waiting, libc::EINTR)?;
            }
            // Nothing is lost here when the process dies, and the disk need not be waited for.
            _ if is_sync => listener.pretend(waiting, 0)?,
            _ => listener.proceed(waiting)?,
        }
        Ok(Fate::Answered)
    }

    /// Ends all that the operation has started: when this returns, nothing changes the directory any more.
    fn end_all(&self) -> io::Result<()> {
        self.child.kill();
        let Some(listener) = &self.child.listener else {
            return Ok(());
        };
        let deadline = Instant::now() + DYING;
        let soon = Timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        loop {
            let mut watched = [PollFd::new(&self.child.ended, PollFlags::IN)];
            let ended = poll(&mut watched, Some(&soon)).is_ok() && !watched[0].revents().is_empty();
            // Nobody has the filter any more when nobody can call. Some kernels count the dead among those who have it.
            let mut watched = [PollFd::new(listener, PollFlags::IN)];
            let unused = poll(&mut watched, Some(&Timespec::default())).is_ok()
                && watched[0].revents().contains(PollFlags::HUP);
            // What has left its group is looked for.
            if ended && (unused || !self.strays.kill()) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(io::Error::other(
                    "processes that the operation has started cannot be ended",
                ));
            }
        }
    }
}
