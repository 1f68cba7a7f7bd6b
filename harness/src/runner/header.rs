//! The first lines of a run: what runs, with which seed, and what is enforced.

use crate::runner::surroundings::{Group, Surroundings};
use std::fmt::Write as _;

pub(crate) fn header(
    selected: usize,
    total: usize,
    seeds: &str,
    isolation: &str,
    surroundings: &Surroundings,
) -> String {
    let mut text = format!("chaos: {selected} of {total} tests, {seeds}, isolation {isolation}");
    let Surroundings { sandboxed, open } = surroundings;
    let both = sandboxed.is_some() && open.is_some();
    let title = |title: &str, group: &Group| {
        if both {
            let plural = if group.tests == 1 { "" } else { "s" };
            format!("{title} ({} test{plural}):", group.tests)
        } else {
            format!("{title}:")
        }
    };
    if let Some(group) = sandboxed {
        let _ = write!(text, "\n{}", title("sandbox", group));
        tell(&mut text, group);
    }
    if let Some(group) = open {
        let _ = write!(text, "\n{}", title("no sandbox", group));
        tell(&mut text, group);
    }
    text
}

/// Which parts are enforced and by what, which are not, and why not: each reason once.
fn tell(text: &mut String, group: &Group) {
    for (part, enforcement) in group.sandbox.parts() {
        let mark = if enforcement.enforced { "✓" } else { "✗" };
        let _ = write!(text, " {part} {mark}");
        if enforcement.enforced {
            let _ = write!(text, " ({})", enforcement.detail);
        }
    }
    let mut reasons: Vec<(Vec<&str>, &str)> = Vec::new();
    for (part, reason) in group.sandbox.missing() {
        match reasons.iter_mut().find(|(_, known)| *known == reason) {
            Some((parts, _)) => parts.push(part),
            None => reasons.push((vec![part], reason)),
        }
    }
    for (parts, reason) in reasons {
        let _ = write!(text, "\n    ✗ {}: {reason}", parts.join(", "));
    }
}
