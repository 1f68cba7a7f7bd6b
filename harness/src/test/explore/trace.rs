//! One undisturbed run of an operation, with the journal of its changes.

use super::baseline::Baseline;
use super::calls_journal::{self, RunCalls};
use super::directory_content::DirectoryContent;
use super::error::{ExploreError, UnsupportedOperation};
use super::explorer::Explorer;
use super::operation_call::OperationCall;
use super::operation_run::OperationRun;
use crate::syscalls::errno::Errno;
use crate::syscalls::file_call::FileCall;
use clarity_chaos_disk::{Entry, Journal, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The maximum number of runs until the calls of several threads explain the content.
const TRIES: usize = 5;

/// The calls of an undisturbed run, and the journal of their changes.
// All states after a death or a loss of power come from the journal. So a later run that takes
// another way cannot make a state wrong.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) baseline: Baseline,
    pub(super) journal: Journal,
}

impl Trace {
    /// Runs the operation undisturbed. Returns an error unless its calls explain the content of the
    /// directory after its end.
    pub(super) fn record(explorer: &Explorer<'_>) -> Result<Self, ExploreError> {
        let mut tries = TRIES;
        loop {
            let baseline = explorer.baseline()?;
            let journal = journal(explorer, &baseline, baseline.calls(), &BTreeMap::new())?;
            tries -= 1;
            match check_content(&journal, &baseline, explorer, "end") {
                // The kernel can execute calls of two threads in another order than they came.
                Err(ExploreError::NotExplorable(_)) if tries > 0 && !baseline.is_sequential() => {}
                checked => {
                    checked?;
                    return Ok(Self { baseline, journal });
                }
            }
        }
    }

    /// Makes the trace of a run with failed calls. Returns `None` if the calls do not explain the
    /// content, and several threads or processes made them.
    pub(super) fn of_failed(
        explorer: &Explorer<'_>,
        run: OperationRun,
    ) -> Result<Option<Self>, ExploreError> {
        let failed = run.failed.clone();
        let baseline = Baseline::new(run);
        let journal = journal(explorer, &baseline, baseline.calls(), &failed)?;
        match check_content(&journal, &baseline, explorer, "end") {
            Err(ExploreError::NotExplorable(_)) if !baseline.is_sequential() => Ok(None),
            checked => checked.map(|()| Some(Self { baseline, journal })),
        }
    }

    /// Checks the directory that a killed run has left. Does nothing if several threads or
    /// processes made calls: an allowed call may not have happened before the kill.
    pub(super) fn check_death(
        explorer: &Explorer<'_>,
        run: OperationRun,
    ) -> Result<(), ExploreError> {
        let killed = Baseline::new(run);
        if !killed.is_sequential() {
            return Ok(());
        }
        // The last call is the one in whose place the process died.
        let made = killed
            .calls()
            .split_last()
            .map_or(&[][..], |(_, made)| made);
        let journal = journal(explorer, &killed, made, &BTreeMap::new())?;
        check_content(&journal, &killed, explorer, "death")
    }
}

fn journal(
    explorer: &Explorer<'_>,
    baseline: &Baseline,
    calls: &[FileCall],
    failed: &BTreeMap<usize, Errno>,
) -> Result<Journal, ExploreError> {
    let before = &explorer.before.snapshot;
    let run = RunCalls {
        files: baseline.files(),
        calls,
    };
    let journal = calls_journal::journal(before, [run], failed)
        .map_err(|(index, reason)| not_explorable(reason, Some(baseline.describe(index))))?;
    if baseline.is_sequential() {
        check_each_call(&journal, baseline)?;
    }
    Ok(journal)
}

/// Returns an error unless the calls explain each recorded content.
fn check_each_call(journal: &Journal, baseline: &Baseline) -> Result<(), ExploreError> {
    let mut replay = journal.replay();
    for (index, found) in baseline.contents() {
        replay.advance_to(index + 1);
        let explained = baseline.volatile.apply(index + 1, replay.snapshot());
        if let Some(path) = first_difference(&explained, found) {
            let reason = format!("the call does not explain {} after it", path.display());
            return Err(not_explorable(&reason, Some(baseline.describe(*index))));
        }
    }
    Ok(())
}

/// Returns an error unless the directory has the content that the journal explains.
pub(super) fn check_content(
    journal: &Journal,
    run: &Baseline,
    explorer: &Explorer<'_>,
    moment: &str,
) -> Result<(), ExploreError> {
    let content = DirectoryContent::read(&explorer.directory)?;
    if let Some(path) = content.special {
        let reason = format!("{} is a device, a FIFO or a socket", path.display());
        return Err(not_explorable(&reason, None));
    }
    let explained = run.volatile.apply(usize::MAX, journal.live());
    match first_difference(&explained, &content) {
        None => Ok(()),
        Some(path) => {
            let path = path.display();
            let reason = format!("its calls do not explain {path} as it is after its {moment}");
            Err(not_explorable(&reason, None))
        }
    }
}

fn not_explorable(reason: &str, call: Option<OperationCall>) -> ExploreError {
    ExploreError::NotExplorable(Box::new(UnsupportedOperation {
        reason: reason.to_owned(),
        call,
    }))
}

/// Gives the first path whose entry differs, with its bytes, mode and set times.
fn first_difference<'a>(explained: &'a Snapshot, found: &'a DirectoryContent) -> Option<&'a Path> {
    let paths: BTreeSet<&Path> = [explained, &found.snapshot]
        .into_iter()
        .flat_map(|snapshot| snapshot.entries().map(|(path, _)| path))
        .collect();
    let file = |snapshot: &Snapshot, path: &Path| match snapshot.entry(path) {
        Some(Entry::File(number)) => Some(snapshot.file(*number).clone()),
        _ => None,
    };
    let has_other_time = |path: &Path| match explained.entry(path) {
        Some(Entry::File(number)) => explained
            .modified(*number)
            .is_some_and(|time| found.modified.get(path) != Some(&time)),
        _ => false,
    };
    let differs = |path: &&Path| {
        explained.entry(path) != found.snapshot.entry(path)
            || file(explained, path) != file(&found.snapshot, path)
            || has_other_time(path)
    };
    paths.into_iter().find(differs)
}
