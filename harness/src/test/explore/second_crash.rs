//! The contents that a crash during a recovery leaves.

use super::baseline::Baseline;
use super::process_death::{choose, is_crash_point};
use clarity_chaos_disk::{Journal, Snapshot};
use rand_chacha::ChaCha8Rng;

/// A crash during a recovery, with the content that it leaves.
pub(super) struct SecondCrash {
    pub(super) content: Snapshot,
    /// The number of the recovery's calls before the crash.
    pub(super) made: usize,
    /// The number of bytes that the next call has written, if the process died inside it.
    pub(super) written: Option<usize>,
    /// The calls whose changes are missing, if the power failed.
    pub(super) lost: Option<Vec<usize>>,
}

/// Lists the deaths at the changing calls of a recovery, and the one after its last call.
pub(super) fn deaths(
    recovery: &Baseline,
    journal: &Journal,
    rng: &mut ChaCha8Rng,
) -> Vec<SecondCrash> {
    let mut found = Vec::new();
    let mut replay = journal.replay();
    let calls = recovery.calls().iter().enumerate();
    for (made, _) in calls.filter(|(_, call)| is_crash_point(call)) {
        replay.advance_to(made);
        let torn = choose(&replay.torn_lengths(), rng);
        for written in [None].into_iter().chain(torn.into_iter().map(Some)) {
            found.push(SecondCrash {
                content: match written {
                    Some(written) => replay.torn(written),
                    None => replay.snapshot(),
                },
                made,
                written,
                lost: None,
            });
        }
    }
    found.push(SecondCrash {
        content: journal.live(),
        made: recovery.calls().len(),
        written: None,
        lost: None,
    });
    found
}
