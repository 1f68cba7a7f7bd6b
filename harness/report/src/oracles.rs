//! The oracles that a run should have met, told to a person.

use std::fmt::Write as _;

/// The oracles that no case has met.
pub fn oracles(unmet: &[String]) -> String {
    let mut text = "oracles that no case has met:\n".to_owned();
    for oracle in unmet {
        let _ = writeln!(text, "    {oracle}");
    }
    text
}
