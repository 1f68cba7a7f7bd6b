//! Chains of nodes that rten's optimiser replaces by wrong nodes.
//!
//! - `Unsqueeze`, `Expand` and `Reshape` become one node that repeats, also where the new axis
//!   comes before the repeated one.
//! - `ReduceMean` in a normalization is taken for one along the last axis that keeps it.
//! - `MatMul` and `Add` of a constant become one node, which panics if the constant has not one
//!   element for each column.

use std::collections::HashMap;

use crate::onnx::NodeInContext;

/// The nodes seen so far, as far as they matter.
#[derive(Debug, Default)]
pub(super) struct Hazards {
    /// The outputs of `Unsqueeze`, and those of `Expand` after it, by name.
    repeated: HashMap<String, bool>,
    has_repetition: bool,
    /// The number of columns of a product of matrices, by name; `None` if it is unknown.
    columns: HashMap<String, Option<f64>>,
    has_other_bias: bool,
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
            "MatMul" => self.follow_product(node, columns_of(node)),
            "Add" => self.add_bias(node),
            // The optimiser drops such nodes, if they change nothing.
            "Cast" | "Div" | "Dropout" | "Identity" | "Mul" | "Sub" | "Transpose" => {
                self.pass_on(node)
            }
            "Sqrt" => self.has_root = true,
            "ReduceMean" => self.has_other_mean |= !is_last_axis_kept(node),
            _ => {}
        }
    }

    /// Whether a chain has been seen.
    pub(super) fn found(&self) -> bool {
        self.has_repetition || self.has_other_bias || (self.has_other_mean && self.has_root)
    }

    fn add_bias(&mut self, node: &NodeInContext<'_, '_>) {
        for (product, bias) in [(0, 1), (1, 0)] {
            let columns = node.node.inputs.get(product);
            let columns = columns.and_then(|name| self.columns.get(*name));
            let bias = node.inputs.get(bias).and_then(|bias| bias.as_deref());
            let bias = bias.filter(|bias| bias.is_constant);
            if let (Some(columns), Some(bias)) = (columns, bias)
                && let Some([size]) = bias.shape.as_deref()
            {
                let fits = columns.is_some() && *columns == size.single();
                self.has_other_bias |= !fits;
            }
        }
        self.pass_on(node);
    }

    fn pass_on(&mut self, node: &NodeInContext<'_, '_>) {
        let mut inputs = node.node.inputs.iter();
        if let Some(columns) = inputs.find_map(|name| self.columns.get(*name).copied()) {
            self.follow_product(node, columns);
        }
    }

    fn follow_product(&mut self, node: &NodeInContext<'_, '_>, columns: Option<f64>) {
        if let Some(output) = node.node.outputs.first() {
            self.columns.insert((*output).to_owned(), columns);
        }
    }

    fn follow(&mut self, node: &NodeInContext<'_, '_>, is_expanded: bool) {
        if let Some(output) = node.node.outputs.first() {
            self.repeated.insert((*output).to_owned(), is_expanded);
        }
    }
}

/// The number of columns of the second factor. A vector is one column.
fn columns_of(node: &NodeInContext<'_, '_>) -> Option<f64> {
    let factor = node.inputs.get(1)?.as_deref()?;
    match factor.shape.as_deref()? {
        [] => None,
        [_] => Some(1.0),
        [.., columns] => columns.single(),
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
