//! A runtime whose models answer with their inputs.

use clarity::{
    DataType, Dimension, RunError, Runtime, RuntimeError, Session, Tensor, TensorSpec,
    VerifiedVersion,
};

/// Loads models whose outputs are their inputs, without reading their files.
///
/// A model named like a datatype, in lower case, has the input `x` and the output `y` of that
/// datatype. Any other model has an input and an output of each datatype, such as `in_FP16` and
/// `out_FP16`. All have two dynamic dimensions.
#[derive(Clone, Copy, Debug, Default)]
pub struct EchoRuntime;

impl EchoRuntime {
    /// The name of a model with this datatype alone.
    #[must_use]
    pub fn model(datatype: DataType) -> String {
        datatype.as_str().to_lowercase()
    }
}

impl Runtime for EchoRuntime {
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
        let manifest = version.manifest();
        let name = manifest.model().as_str();
        let all = || DataType::ALL.iter().copied();
        let spec = |name: String, datatype| {
            let shape = vec![Dimension::Dynamic(None), Dimension::Dynamic(None)];
            TensorSpec::new(name, datatype, Some(shape))
        };
        let (inputs, mut outputs): (Vec<_>, Vec<_>) =
            match all().find(|datatype| Self::model(*datatype) == name) {
                Some(datatype) => (
                    vec![spec("x".to_owned(), datatype)],
                    vec![spec("y".to_owned(), datatype)],
                ),
                None => all()
                    .map(|datatype| {
                        let [input, output] =
                            ["in", "out"].map(|role| spec(format!("{role}_{datatype}"), datatype));
                        (input, output)
                    })
                    .unzip(),
            };
        for output in &mut outputs {
            let is_floating = matches!(
                output.datatype,
                DataType::Fp16 | DataType::Fp32 | DataType::Fp64
            );
            let allowed = manifest.allow_nonfinite();
            output.allow_nonfinite =
                is_floating && allowed.is_some_and(|allowed| allowed.includes(&output.name));
        }
        Ok(Box::new(EchoSession { inputs, outputs }))
    }
}

struct EchoSession {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl Session for EchoSession {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        Ok(inputs)
    }
}
