//! The calls at which a process can die, and the parts of a write that it then leaves.

use crate::syscalls::file_call::FileCall;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// Chooses the first length, a drawn one, and the last.
pub(super) fn choose(lengths: &[usize], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut chosen = match lengths {
        [] => Vec::new(),
        [first, .., last] => vec![*first, lengths[rng.random_range(0..lengths.len())], *last],
        [only] => vec![*only],
    };
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// Whether the call is a crash point. A crash point changes files. A sync is not a crash point,
/// since a sync only makes earlier changes durable.
pub(super) fn is_crash_point(call: &FileCall) -> bool {
    call.effect.is_point() && !call.effect.is_sync()
}
