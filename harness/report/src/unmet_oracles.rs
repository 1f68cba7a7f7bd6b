//! Renders the unmet oracles of a run as text.

use std::fmt::Write as _;

/// Renders a heading, and an indented line for each of these oracles.
#[must_use]
pub fn render_unmet_oracles(unmet: &[String]) -> String {
    let mut text = "oracles that no case has met:\n".to_owned();
    for oracle in unmet {
        let _ = writeln!(text, "    {oracle}");
    }
    text
}
