//! Chains of nodes that rten's optimiser replaces by wrong nodes.
//!
//! - `Unsqueeze`, `Expand` and `Reshape` become one node that repeats, also where the new axis
//!   comes before the repeated one.
//! - `ReduceMean` in a normalization is taken for one along the last axis that keeps it.

use std::collections::HashMap;

use crate::onnx::NodeInContext;

/// The nodes seen so far, as far as they matter.
#[derive(Debug, Default)]
pub(super) struct Hazards {
    /// The outputs of `Unsqueeze`, and those of `Expand` after it, by name.
    repeated: HashMap<String, bool>,
    has_repetition: bool,
    has_other_mean: bool,
    has_root: bool,
}

impl Hazards {
    pub(super) fn add(&mut self, node: &NodeInContext<'_, '_>) {
        let inner = node.node;
        let input = inner.inputs.first().copied().unwrap_or("");
        match inner.operator {
            "Unsqueeze" => self.follow(node, false),
            "Expand" if self.repeated.contains_key(input) => self.follow(node, true),
            "Reshape" => self.has_repetition |= self.repeated.get(input) == Some(&true),
            "Sqrt" => self.has_root = true,
            "ReduceMean" => self.has_other_mean |= !is_last_axis_kept(node),
            _ => {}
        }
    }

    /// Whether a chain has been seen.
    pub(super) fn found(&self) -> bool {
        self.has_repetition || (self.has_other_mean && self.has_root)
    }

    fn follow(&mut self, node: &NodeInContext<'_, '_>, is_expanded: bool) {
        if let Some(output) = node.node.outputs.first() {
            self.repeated.insert((*output).to_owned(), is_expanded);
        }
    }
}

fn is_last_axis_kept(node: &NodeInContext<'_, '_>) -> bool {
    let input = |position: usize| node.inputs.get(position).and_then(|input| input.as_deref());
    let axes = match node.node.integers("axes") {
        Some(axes) => Some(axes.iter().map(|axis| *axis as f64).collect()),
        None => input(1).and_then(|axes| axes.numbers()),
    };
    let rank = input(0).and_then(|value| value.rank());
    let last = rank.map(|rank| rank as f64 - 1.0);
    let is_last =
        axes.is_some_and(|axes| matches!(axes[..], [axis] if axis == -1.0 || Some(axis) == last));
    is_last && node.node.integer("keepdims").unwrap_or(1) == 1
}
