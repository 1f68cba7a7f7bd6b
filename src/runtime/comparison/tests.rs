use std::sync::Mutex;

use super::*;
use crate::store::tests::models::Models;
use crate::tensor::{DataType, Dimension, TensorData};
use crate::{RunError, RuntimeError, Version};

/// Computes `a - 2 b` of numbers with 3 elements, and declares its inputs in an order of its own.
#[derive(Clone, Debug)]
struct Subtraction {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl Subtraction {
    fn new(inputs: [(&str, DataType); 2], outputs: &[&str]) -> Self {
        let shape = || Some(vec![Dimension::Fixed(3)]);
        let spec = |(name, datatype)| TensorSpec::new(name, datatype, shape());
        let output = |name: &&str| TensorSpec::new(*name, DataType::Fp32, shape());
        Self {
            inputs: inputs.map(spec).into(),
            outputs: outputs.iter().map(output).collect(),
        }
    }
}

impl Runtime for Subtraction {
    fn load(&self, _: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
        Ok(Box::new(self.clone()))
    }
}

impl Session for Subtraction {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        let named = |name: &str| {
            let place = self.inputs.iter().position(|spec| spec.name == name);
            let TensorData::Fp32(values) = inputs[place.unwrap()].data() else {
                panic!("{inputs:?}");
            };
            values.clone()
        };
        let pairs = named("a").into_iter().zip(named("b"));
        let difference: Vec<f32> = pairs.map(|(a, b)| a - 2.0 * b).collect();
        let negative = difference.iter().map(|value| -value).collect();
        let values = |spec: &TensorSpec| match &*spec.name {
            "y" => difference.clone(),
            _ => Vec::clone(&negative),
        };
        let tensors = self.outputs.iter().map(|spec| {
            let tensor = Tensor::new(vec![3], TensorData::Fp32(values(spec)));
            tensor.unwrap()
        });
        Ok(tensors.collect())
    }
}

fn opinion(first: &Subtraction, second: &Subtraction, limit: Duration) -> SecondOpinion {
    let models = Models::cole_kripke();
    let model = "cole_kripke".parse().unwrap();
    let version = models.store.open(&model, Version::FIRST).unwrap();
    let steps = Mutex::new(Vec::new());
    let first = FirstOpinion {
        runtime: &RuntimeId::new("first", ""),
        session: first,
        probe: None,
    };
    let on_step = |step: &str| steps.lock().unwrap().push(step.to_owned());
    compare(&first, second, version, limit, &on_step)
}

const HOUR: Duration = Duration::from_secs(3600);
const FP32: DataType = DataType::Fp32;

#[test]
fn inputs_and_outputs_are_matched_by_name() {
    let first = Subtraction::new([("a", FP32), ("b", FP32)], &["y", "z"]);
    let second = Subtraction::new([("b", FP32), ("a", FP32)], &["z", "y"]);
    let found = opinion(&first, &second, HOUR);
    let agreed = SecondOpinion::Agreed {
        runtime: RuntimeId::new("custom", ""),
        compared: DRAWN,
        tried: DRAWN,
    };
    assert_eq!(found, agreed);
}

#[test]
fn comparison_begins_no_run_after_its_time() {
    let first = Subtraction::new([("a", FP32), ("b", FP32)], &["y"]);
    let found = opinion(&first, &first, Duration::ZERO);
    assert!(
        matches!(found, SecondOpinion::Agreed { tried: 1, .. }),
        "{found}"
    );
}

#[test]
fn other_declaration_is_a_disagreement() {
    let first = Subtraction::new([("a", FP32), ("b", FP32)], &["y"]);
    let names = Subtraction::new([("a", FP32), ("c", FP32)], &["y"]);
    let types = Subtraction::new([("a", FP32), ("b", DataType::Int64)], &["y"]);
    let more = Subtraction::new([("a", FP32), ("b", FP32)], &["y", "z"]);
    for (second, says) in [
        (
            names,
            "the declared inputs: first answers a FP32, b FP32, custom answers a FP32, c FP32",
        ),
        (types, "custom answers a FP32, b INT64"),
        (
            more,
            "the declared outputs: first answers y FP32, custom answers y FP32, z FP32",
        ),
    ] {
        let found = opinion(&first, &second, HOUR).to_string();
        assert!(found.contains(says), "{found}");
    }
}
