//! Conditions that no other condition of the language can express.

use crate::onnx::NodeInContext;

/// A condition in code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// The attribute that the rule reads.
    pub(super) attribute: Option<&'static str>,
    pub(super) check: fn(&NodeInContext<'_, '_>) -> Result<(), String>,
}

const RULES: &[Rule] = &[Rule {
    name: "last_axis",
    attribute: Some("axis"),
    check: last_axis,
}];

pub(super) fn find(name: &str) -> Option<Rule> {
    RULES.iter().find(|rule| rule.name == name).copied()
}

/// The attribute `axis` names the last axis.
fn last_axis(node: &NodeInContext<'_, '_>) -> Result<(), String> {
    let rank = node
        .inputs
        .first()
        .cloned()
        .flatten()
        .and_then(|value| value.rank());
    match (node.node.integer("axis").unwrap_or(1), rank) {
        (-1, _) => Ok(()),
        (axis, Some(rank)) if usize::try_from(axis + 1) == Ok(rank) => Ok(()),
        (axis, Some(rank)) => Err(format!("axis {axis} of {rank} dimensions")),
        (axis, None) => Err(format!("axis {axis} of an unknown number of dimensions")),
    }
}
