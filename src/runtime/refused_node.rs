//! The nodes of a model that a runtime does not compute rightly.

use std::collections::BTreeMap;
use std::fmt;

use super::claims::Unmet;

/// The maximum number of operators that an error lists.
const MAX_LISTED_OPERATORS: usize = 10;

/// The first node of a model that a runtime does not compute rightly, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedNode {
    /// The name of the node, or of its first output.
    pub node: String,
    /// The operator of the node.
    pub operator: String,
    /// The imported version of the operator.
    pub version: Option<i64>,
    /// The condition that does not hold, and the found value.
    pub condition: String,
    /// A sentence part about the other such nodes; empty if there are none.
    pub more: String,
}

impl RefusedNode {
    pub(super) fn first_of(unmet: &[Unmet]) -> Option<Self> {
        let (first, rest) = unmet.split_first()?;
        Some(Self {
            node: first.node.clone(),
            operator: first.operator.clone(),
            version: first.version,
            condition: first.condition.clone(),
            more: others(rest),
        })
    }
}

impl fmt::Display for RefusedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} ({}", self.node, self.operator)?;
        if let Some(version) = self.version {
            write!(f, ", version {version}")?;
        }
        write!(f, "): {}{}", self.condition, self.more)
    }
}

/// Counts nodes by operator.
fn others(unmet: &[Unmet]) -> String {
    let mut operators: BTreeMap<&str, usize> = BTreeMap::new();
    for each in unmet {
        *operators.entry(&each.operator).or_default() += 1;
    }
    let listed = operators.iter().take(MAX_LISTED_OPERATORS);
    let listed = listed.map(|(operator, count)| format!("{operator} {count}"));
    let listed = listed.collect::<Vec<_>>().join(", ");
    let dots = if operators.len() > MAX_LISTED_OPERATORS {
        ", …"
    } else {
        ""
    };
    match unmet.len() {
        0 => String::new(),
        count => format!("; and {count} other node(s): {listed}{dots}"),
    }
}
