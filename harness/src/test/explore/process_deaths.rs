//! The death of one process of an operation, while the others go on.

use super::Crash;
use super::baseline::Baseline;
use super::broken_points::BrokenPoints;
use super::checker::Checker;
use super::directory_content::DirectoryContent;
use super::error::{ExploreError, UnsupportedOperation};
use super::explored_state::ExploredState;
use super::explorer::Explorer;
use super::intervention::Intervention;
use super::operation_call::OperationEnd;
use super::progress::Progress;

/// Lets the process of each call that is a point die alone. Each death is a run of its own, since
/// the other processes can answer the death with other calls. Adds broken points to `broken`. Does
/// nothing if the operation's own
/// process makes all calls.
pub(super) fn explore(
    explorer: &Explorer<'_>,
    baseline: &Baseline,
    checker: &Checker<'_, Crash>,
    progress: &mut Progress,
    broken: &mut BrokenPoints<'_>,
) -> Result<(), ExploreError> {
    let calls = baseline.calls().iter().enumerate();
    // A sync can be the last call of a process, and so the last point at which it can die.
    let points = calls.filter(|(_, call)| call.effect.is_point());
    for (index, _) in points {
        let Some(process) = baseline.process(index) else {
            return Ok(());
        };
        if !process.is_identified() {
            return Err(ExploreError::NotExplorable(Box::new(
                UnsupportedOperation {
                    reason:
                        "a process cannot die alone, since its place among the processes is unknown"
                            .to_owned(),
                    call: Some(baseline.describe(index)),
                },
            )));
        }
        progress.reach(index);
        let run = explorer.intervene(baseline, index, Intervention::KillProcess)?;
        progress.calls[index].exempt = false;
        progress.calls[index].points += 1;
        let end = run.operation_end();
        let crash = Crash {
            acknowledged: end == OperationEnd::Succeeded,
            acknowledgements: run.acknowledgements(),
            power_lost: false,
            victim: Some(process),
            during_recovery: false,
        };
        // The invariant may change the directory, so its content is read first.
        let content = DirectoryContent::read(&explorer.directory)?.snapshot;
        if let Err(message) = checker.check(crash) {
            progress.calls[index].invariant_broken = true;
            let call = broken.locate(baseline, index);
            let state = ExploredState::OneProcessDied { call, end };
            broken.add(baseline, index, state, message, &content);
            if !broken.goes_on() {
                return Ok(());
            }
        }
    }
    Ok(())
}
