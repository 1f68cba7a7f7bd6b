//! The first lines of a run: what runs, with which seed, and what is enforced.

use crate::sandbox::Sandbox;
use crate::seed::Seed;
use std::fmt::Write as _;

pub(crate) fn header(
    selected: usize,
    total: usize,
    seed: Seed,
    isolation: &str,
    sandbox: &Sandbox,
) -> String {
    let mut text = format!(
        "chaos: {selected} of {total} tests, seed {seed} (again: --seed {seed}), isolation {isolation}\nsandbox:"
    );
    for (part, enforcement) in sandbox.parts() {
        let mark = if enforcement.enforced { "✓" } else { "✗" };
        let _ = write!(text, " {part} {mark}");
        if enforcement.enforced {
            let _ = write!(text, " ({})", enforcement.how);
        }
    }
    let mut reasons: Vec<&str> = sandbox
        .parts()
        .iter()
        .filter(|(_, enforcement)| !enforcement.enforced)
        .map(|(_, enforcement)| enforcement.how.as_str())
        .collect();
    reasons.dedup();
    if !reasons.is_empty() {
        let _ = write!(text, "\n         ✗: {}", reasons.join("; "));
    }
    text
}
