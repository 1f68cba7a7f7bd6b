//! All points of an operation, one after the other.

use super::child::{Child, End};
use super::power::Journal;
use super::run::{Operation, Point, Run, Script};
use super::strays::Strays;
use super::tree::Tree;
use super::{Crash, Errno, Exploration, ExploreError, InjectedFailure};
use crate::os::seccomp::Trap;
use crate::syscalls::decoder::traps;
use crate::syscalls::effect::{Call, Effect};
use crate::syscalls::location;
use crate::test::random::rng;
use clarity_chaos_record::ExploredCall;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// How often a point is tried that does not come again.
const TRIES: usize = 5;

/// The operation of a test, and its invariant; errors are texts.
type Work<'a> = &'a (dyn Fn(&Path) -> Result<(), String> + Sync);
type Check<'a, T> = &'a (dyn Fn(&Path, T) -> Result<(), String> + Sync);

/// How far an exploration has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) calls: Vec<ExploredCall>,
    /// How many states after a loss of power were checked.
    pub(crate) states: usize,
}

impl Progress {
    fn begin(&mut self, whole: &Whole) {
        let calls = whole.calls.iter();
        self.calls = calls.map(|call| ExploredCall::new(call.words())).collect();
    }
}

/// Lets the operation die everywhere.
pub(super) fn crash(
    exploration: &Exploration<'_>,
    work: Work<'_>,
    invariant: Check<'_, Crash>,
    progress: &mut Progress,
) -> Result<(), ExploreError> {
    let site = Site::prepare(exploration, work, false)?;
    let whole = site.watch()?;
    progress.begin(&whole);
    for (call, told) in whole.calls.iter().zip(&mut progress.calls) {
        told.exempt = !can_be_cut_off(call);
    }
    let acknowledged = Crash {
        acknowledged: true,
        power_lost: false,
    };
    site.check(invariant, acknowledged).map_err(|why| {
        ExploreError::Broken(format!(
            "the invariant does not hold after the operation itself: {why}"
        ))
    })?;
    let crash = Crash {
        acknowledged: false,
        power_lost: false,
    };
    for (number, call) in whole.calls.iter().enumerate() {
        if !can_be_cut_off(call) {
            continue;
        }
        site.reach(&whole, number, Script::Die)?;
        progress.calls[number].points += 1;
        if let Err(why) = site.check(invariant, crash) {
            progress.calls[number].invariant_broken = true;
            let at = site.tell(&whole, number);
            return Err(ExploreError::Broken(format!(
                "the invariant broke when the process died in the place of {at}: {why}"
            )));
        }
    }
    site.lose_power(exploration, &whole, invariant, progress)
}

/// Lets every call of the operation fail.
pub(super) fn fail(
    exploration: &Exploration<'_>,
    errnos: &[Errno],
    work: Work<'_>,
    invariant: Check<'_, InjectedFailure>,
    progress: &mut Progress,
) -> Result<(), ExploreError> {
    let site = Site::prepare(exploration, work, true)?;
    let whole = site.watch()?;
    progress.begin(&whole);
    for call in &mut progress.calls {
        call.exempt = true;
    }
    for (number, call) in whole.calls.iter().enumerate() {
        for &errno in errnos {
            if !is_possible(errno, call) {
                continue;
            }
            progress.calls[number].exempt = false;
            let run = site.reach(&whole, number, |point| Script::Fail(point, errno.0))?;
            progress.calls[number].points += 1;
            let failure = InjectedFailure {
                errno,
                acknowledged: run.end == Some(End::Returned(Ok(()))),
            };
            if let Err(why) = site.check(invariant, failure) {
                progress.calls[number].invariant_broken = true;
                let at = site.tell(&whole, number);
                let end = match run.end {
                    Some(End::Returned(Ok(()))) => "the operation returned success".to_owned(),
                    Some(End::Returned(Err(error))) => format!("the operation returned: {error}"),
                    Some(End::Panicked(message)) => format!("the operation panicked: {message}"),
                    Some(End::Died(how)) => how,
                    Some(End::Located(_)) | None => "the operation was ended".to_owned(),
                };
                return Err(ExploreError::Broken(format!(
                    "the invariant broke when {at} failed ({errno}): {why}; {end}"
                )));
            }
        }
    }
    Ok(())
}

/// Whether dying in its place leaves something else than dying before it.
fn can_be_cut_off(call: &Call) -> bool {
    let is_sync = matches!(call.effect, Effect::Sync { .. } | Effect::SyncAll);
    call.effect.changes() && !is_sync
}

/// Whether the call can give this error: not for want of room if it needs none, nor of descriptors if it opens nothing.
fn is_possible(errno: Errno, call: &Call) -> bool {
    match errno {
        Errno::ENOSPC => call.effect.allocates(),
        Errno::EMFILE => matches!(call.effect, Effect::Open { .. }),
        _ => true,
    }
}

/// A run to the end, of which all others are parts.
struct Whole {
    calls: Vec<Call>,
    /// Whether one thread made them all.
    is_sequential: bool,
}

impl Whole {
    fn point(&self, number: usize) -> Point {
        if self.is_sequential {
            return Point::Number(number);
        }
        let (call, path) = (&self.calls[number], self.calls[number].effect.path());
        let like = |other: &&Call| other.name == call.name && other.effect.path() == path;
        let earlier = self.calls[..number].iter().filter(like).count();
        Point::Occurrence(call.name, path.to_owned(), earlier)
    }
}

/// Where the operation is run again and again.
struct Site<'a> {
    work: Work<'a>,
    before: Tree,
    traps: Vec<Trap>,
    strays: Strays,
    directory: PathBuf,
    _folder: tempfile::TempDir,
}

impl<'a> Site<'a> {
    fn prepare(exploration: &Exploration<'_>, work: Work<'a>, reading: bool) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("explored-").tempdir()?;
        Ok(Self {
            work,
            before: Tree::read(&exploration.before)?,
            traps: traps(reading),
            strays: Strays::watch()?,
            directory: folder.path().canonicalize()?.join("dir"),
            _folder: folder,
        })
    }

    fn run(&self, script: &Script) -> io::Result<Run> {
        let operation = Operation {
            directory: &self.directory,
            traps: &self.traps,
            strays: &self.strays,
            work: self.work,
        };
        operation.run(&self.before, script)
    }

    /// Runs it to its end, and makes sure that it can be explored.
    fn watch(&self) -> Result<Whole, ExploreError> {
        let run = self.run(&Script::Watch)?;
        match run.end {
            Some(End::Returned(Ok(()))) => {}
            Some(End::Returned(Err(error))) => return Err(ExploreError::Operation(error)),
            Some(End::Panicked(message)) => {
                return Err(ExploreError::Operation(format!("it panics: {message}")));
            }
            Some(End::Died(how)) => return Err(ExploreError::Operation(how)),
            Some(End::Located(_)) | None => {
                return Err(io::Error::other("the operation was ended").into());
            }
        }
        let is_sequential = run.calls.windows(2).all(|pair| pair[0].0 == pair[1].0);
        let whole = Whole {
            calls: run.calls.into_iter().map(|(_, call)| call).collect(),
            is_sequential,
        };
        if whole.calls.is_empty() {
            return Err(ExploreError::NotExplorable(
                "the operation does nothing in the directory that it is given".to_owned(),
            ));
        }
        for (number, call) in whole.calls.iter().enumerate() {
            if let Effect::Unknown { why, .. } = &call.effect {
                let at = self.tell(&whole, number);
                return Err(ExploreError::NotExplorable(format!("{why}: {at}")));
            }
        }
        Ok(whole)
    }

    /// Runs it with something done at this point.
    fn reach(
        &self,
        whole: &Whole,
        number: usize,
        script: impl Fn(Point) -> Script,
    ) -> Result<Run, ExploreError> {
        let script = script(whole.point(number));
        let mut made = 0;
        for _ in 0..TRIES {
            let run = self.run(&script)?;
            let expected = &whole.calls[number];
            let is_there = match run.calls.get(number) {
                Some((_, call)) if whole.is_sequential => call.name == expected.name,
                _ => !whole.is_sequential,
            };
            if run.reached && is_there {
                return Ok(run);
            }
            made = run.calls.len();
        }
        Err(ExploreError::Diverged(format!(
            "{} did not come again in {TRIES} runs; the last one made {made} calls in the directory, the first one {}",
            whole.calls[number].words(),
            whole.calls.len()
        )))
    }

    /// A call in words, with where it is made.
    fn tell(&self, whole: &Whole, number: usize) -> String {
        let located = match self.run(&Script::Locate(whole.point(number))) {
            Ok(Run {
                end: Some(End::Located(backtrace)),
                ..
            }) => location::of(&backtrace),
            _ => None,
        };
        let place = located.map_or_else(String::new, |place| format!(" ({place})"));
        format!(
            "call {} of {}, {}{place}",
            number + 1,
            whole.calls.len(),
            whole.calls[number].words()
        )
    }

    fn check<T: Send>(&self, invariant: Check<'_, T>, found: T) -> Result<(), String> {
        let ended = Child::spawn(None, || invariant(&self.directory, found)).and_then(Child::reap);
        match ended {
            Ok(End::Returned(result)) => result,
            Ok(End::Panicked(message)) => Err(message),
            Ok(End::Died(how)) => Err(format!("its check did not end: {how}")),
            Ok(End::Located(_)) => Err("its check did not end".to_owned()),
            Err(error) => Err(format!("it could not be checked: {error}")),
        }
    }

    /// Lets the power fail after each call, if that was asked for.
    fn lose_power(
        &self,
        exploration: &Exploration<'_>,
        whole: &Whole,
        invariant: Check<'_, Crash>,
        progress: &mut Progress,
    ) -> Result<(), ExploreError> {
        let Some(model) = exploration.power_loss else {
            return Ok(());
        };
        // Another run than the one that was taken down may have had other names for the same.
        let run = self.run(&Script::Watch)?;
        let calls: Vec<Call> = run.calls.into_iter().map(|(_, call)| call).collect();
        let found = Tree::read(&self.directory)?;
        let journal = Journal::follow(&self.before, &calls).map_err(ExploreError::NotExplorable)?;
        if journal.whole().contents() != found.contents() {
            return Err(ExploreError::NotExplorable(format!(
                "its calls do not explain what is there afterwards: {}",
                difference(&journal.whole(), &found)
            )));
        }
        let seed = exploration.seed.child("explore", "power loss");
        let mut rng = rng(seed);
        let mut seen = HashSet::new();
        for made in 0..=calls.len() {
            let acknowledged = made == calls.len();
            if !acknowledged && !calls[made].effect.changes() {
                continue;
            }
            let crash = Crash {
                acknowledged,
                power_lost: true,
            };
            for lost in journal.states(made, model, exploration.draws, &mut rng) {
                if !seen.insert((acknowledged, lost.tree.clone())) {
                    continue;
                }
                progress.states += 1;
                lost.tree.write(&self.directory)?;
                let Err(why) = self.check(invariant, crash) else {
                    continue;
                };
                let when = match acknowledged {
                    true => "after the operation had returned success".to_owned(),
                    false => format!("before {}", self.tell(whole, made)),
                };
                for number in &lost.missing {
                    if let Some(call) = progress.calls.get_mut(*number) {
                        call.invariant_broken = true;
                    }
                }
                let missing: Vec<String> = lost
                    .missing
                    .iter()
                    .map(|number| self.tell(whole, *number))
                    .collect();
                let missing = match missing.is_empty() {
                    true => "with all that was done on the disk".to_owned(),
                    false => format!(
                        "with this not on the disk, since nothing had synced it: {}",
                        missing.join("; ")
                    ),
                };
                return Err(ExploreError::Broken(format!(
                    "the invariant broke when the power failed {when}, {missing}: {why}"
                )));
            }
        }
        Ok(())
    }
}

/// The first path that is not the same.
fn difference(explained: &Tree, found: &Tree) -> String {
    let (explained, found) = (explained.contents(), found.contents());
    let mut paths = explained.keys().chain(found.keys());
    let other = paths.find(|path| explained.get(*path) != found.get(*path));
    other.map_or_else(String::new, |path| path.display().to_string())
}
