//! Formats the first lines of a run: the number of tests, the seed, the sandbox's enforced parts,
//! and the profile.

use crate::runner::sandbox_probe::{ProbedTests, SandboxProbe};
use crate::supervisor::remedies;
use std::fmt::Write as _;

/// Formats the lines. `profile` describes the profile and its overrides.
pub(crate) fn header(
    selected: usize,
    total: usize,
    seeds: &str,
    isolation: &str,
    probe: &SandboxProbe,
    profile: Option<&str>,
) -> String {
    let mut text = format!("chaos: {selected} of {total} tests, {seeds}, isolation {isolation}");
    let SandboxProbe { sandboxed, open } = probe;
    let both = sandboxed.is_some() && open.is_some();
    let title = |title: &str, tests: &ProbedTests| {
        if both {
            let plural = if tests.count == 1 { "" } else { "s" };
            format!("{title} ({} test{plural}):", tests.count)
        } else {
            format!("{title}:")
        }
    };
    if let Some(tests) = sandboxed {
        let _ = write!(text, "\n{}", title("sandbox", tests));
        render_parts(&mut text, tests);
        for remedy in remedies(&tests.sandbox) {
            let _ = write!(text, "\n    remedy: {remedy}");
        }
    }
    if let Some(tests) = open {
        let _ = write!(text, "\n{}", title("no sandbox", tests));
        render_parts(&mut text, tests);
    }
    if let Some(profile) = profile {
        let _ = write!(text, "\nprofile: {profile}");
    }
    text
}

/// Appends the enforced parts with their mechanisms, and the missing parts grouped by reason.
fn render_parts(text: &mut String, tests: &ProbedTests) {
    for (part, enforcement) in tests.sandbox.parts() {
        let mark = if enforcement.enforced { "✓" } else { "✗" };
        let _ = write!(text, " {part} {mark}");
        if enforcement.enforced {
            let _ = write!(text, " ({})", enforcement.detail);
        }
    }
    let mut reasons: Vec<(Vec<&str>, &str)> = Vec::new();
    for (part, reason) in tests.sandbox.missing() {
        match reasons.iter_mut().find(|(_, known)| *known == reason) {
            Some((parts, _)) => parts.push(part),
            None => reasons.push((vec![part], reason)),
        }
    }
    for (parts, reason) in reasons {
        let _ = write!(text, "\n    ✗ {}: {reason}", parts.join(", "));
    }
}
