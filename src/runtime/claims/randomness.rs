//! The nodes that draw random numbers.

use super::check::{Unmet, unmet};
use crate::onnx::{
    Inference, InputLimits, Interval, Model, NodeInContext, Observer, UnreadableGraph, Value,
};

/// The operators that draw random numbers, of any domain.
const RANDOM: [&str; 10] = [
    "Bernoulli",
    "BiasDropout",
    "BitmaskBiasDropout",
    "BitmaskDropout",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Sampling",
];

/// Finds the nodes of a model, and of the functions that it defines, that can draw random numbers.
///
/// `Dropout` counts if its input `training_mode` can be true.
///
/// # Errors
///
/// When the bytes are not a model.
pub(crate) fn random_nodes(model: &[u8]) -> Result<Vec<Unmet>, UnreadableGraph> {
    let model = Model::read(model)?;
    let mut search = RandomSearch::default();
    Inference::walk(&model, &|_| None, InputLimits::WIDEST, &mut search);
    Inference::walk_functions(&model, &|_| None, &mut search);
    Ok(search.0)
}

#[derive(Default)]
struct RandomSearch(Vec<Unmet>);

impl Observer for RandomSearch {
    fn node(&mut self, node: &NodeInContext<'_, '_>) {
        let operator = node.node.operator;
        let is_random = RANDOM.contains(&operator) || operator == "Dropout" && trains(node);
        if is_random && !node.is_function {
            self.0.push(unmet(node, "randomness".to_owned()));
        }
    }

    fn output(&mut self, _name: &str, _value: Option<&Value>) {}
}

/// Whether the third input of a dropout can be true.
fn trains(node: &NodeInContext<'_, '_>) -> bool {
    let mode = node.inputs.get(2).and_then(|input| input.as_deref());
    mode.is_some_and(|mode| !mode.is_constant || mode.range() != Interval::of(0.0))
}
