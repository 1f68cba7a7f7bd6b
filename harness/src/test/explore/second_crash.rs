//! Second crashes, and the contents that they leave.

use super::Crash;
use super::baseline::Baseline;
use super::broken_points::BrokenPoints;
use super::calls_journal::RunCalls;
use super::death_points::{choose, is_crash_point};
use super::disk_states::hash;
use super::error::{ExploreError, UnsupportedOperation};
use super::explored_state::ExploredState;
use super::operation_call::OperationCall;
use super::recovery_crash::RecoveryCrash;
use clarity_chaos_disk::{Journal, Snapshot};
use rand_chacha::ChaCha8Rng;

/// A first crash.
pub(super) struct FirstCrash<'a> {
    pub(super) content: &'a Snapshot,
    pub(super) crash: Crash,
    /// The number of the operation's calls whose changes may not be on the disk yet; none if the
    /// disk has exactly the content.
    pub(super) made: Option<usize>,
}

/// A content that a crash during the recovery leaves.
pub(super) struct Candidate {
    pub(super) content: Snapshot,
    /// The number of the recovery's calls before the crash.
    pub(super) made: usize,
    pub(super) written: Option<usize>,
    /// The calls whose changes are missing, if the power failed.
    pub(super) lost: Option<Vec<usize>>,
}

/// A second crash that breaks the invariant.
pub(super) struct Broken {
    pub(super) recovery: RecoveryCrash,
    pub(super) message: String,
    pub(super) content: Snapshot,
}

impl FirstCrash<'_> {
    /// Gives the crash as the invariant sees it while it recovers.
    pub(super) fn checked(&self) -> Crash {
        Crash {
            during_recovery: false,
            ..self.crash
        }
    }
}

impl Candidate {
    /// Makes the candidate for a loss of power after `made` calls of the recovery.
    pub(super) fn of_power_loss(content: Snapshot, made: usize, lost: &[usize]) -> Self {
        Self {
            content,
            made,
            written: None,
            lost: Some(lost.to_vec()),
        }
    }

    /// Lists the contents that deaths during the recovery leave.
    pub(super) fn of_deaths(
        recovery: &Baseline,
        journal: &Journal,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Self> {
        let volatile = &recovery.volatile;
        let mut found = Vec::new();
        let mut replay = journal.replay();
        let calls = recovery.calls().iter().enumerate();
        for (made, _) in calls.filter(|(_, call)| is_crash_point(call)) {
            replay.advance_to(made);
            let torn = choose(&replay.torn_lengths(), rng);
            for written in [None].into_iter().chain(torn.into_iter().map(Some)) {
                found.push(Self {
                    content: volatile.apply(
                        made,
                        match written {
                            Some(written) => replay.torn(written),
                            None => replay.snapshot(),
                        },
                    ),
                    made,
                    written,
                    lost: None,
                });
            }
        }
        found.push(Self {
            content: volatile.apply(recovery.calls().len(), journal.live()),
            made: recovery.calls().len(),
            written: None,
            lost: None,
        });
        found
    }
}

impl Broken {
    /// Adds the second crash. `state` is the state after the first one, and `made` the number of
    /// the operation's calls before it.
    pub(super) fn add_to(
        self,
        broken: &mut BrokenPoints<'_>,
        baseline: &Baseline,
        made: usize,
        state: ExploredState,
    ) {
        let found = (self.recovery, self.message);
        broken.add_recovery(baseline, made, state, found, &self.content);
    }
}

/// Gives the first `count` calls of a run.
pub(super) fn run_calls(baseline: &Baseline, count: usize) -> RunCalls<'_> {
    RunCalls {
        files: baseline.files(),
        calls: &baseline.calls()[..count],
    }
}

/// Gives a hash of a content and of the circumstances in which it is checked.
pub(super) fn key(crash: Crash, content: &Snapshot) -> u64 {
    hash(&(
        crash.acknowledged,
        crash.acknowledgements,
        crash.power_lost,
        content,
    ))
}

/// Makes the error for a recovery that cannot be followed.
pub(super) fn not_explorable(reason: &str, call: Option<OperationCall>) -> ExploreError {
    ExploreError::NotExplorable(Box::new(UnsupportedOperation {
        reason: format!("a crash during recovery cannot be explored: {reason}"),
        call,
    }))
}
