//! A model with inputs of several datatypes, and the checks of decoded inputs.

use clarity::fuzzing::decode_request;
use clarity::{DataType, Dimension, TensorData, TensorSpec};
use std::sync::LazyLock;

/// The memory limit for all decoded inputs, in bytes.
const MEMORY: usize = 1 << 20;

static INPUTS: LazyLock<Vec<TensorSpec>> = LazyLock::new(|| {
    let rows = || Dimension::Dynamic(Some("rows".to_owned()));
    let spec = |name: &str, datatype, shape| TensorSpec::new(name, datatype, shape);
    vec![
        spec("a", DataType::Fp32, Some(vec![rows(), Dimension::Fixed(2)])),
        spec("b", DataType::Int64, Some(vec![rows()])),
        spec("c", DataType::Int32, None),
        spec("d", DataType::Bool, Some(vec![Dimension::Dynamic(None)])),
        spec("e", DataType::Uint8, Some(vec![])),
        spec(
            "f",
            DataType::Int8,
            Some(vec![Dimension::Fixed(1), Dimension::Fixed(3)]),
        ),
        spec("g", DataType::Bytes, Some(vec![Dimension::Dynamic(None)])),
        spec("h", DataType::Fp64, None),
        spec("i", DataType::Fp16, None),
        spec("j", DataType::Uint64, Some(vec![rows()])),
        spec("k", DataType::Uint32, Some(vec![])),
        spec("l", DataType::Uint16, Some(vec![Dimension::Fixed(2)])),
        spec("m", DataType::Int16, Some(vec![Dimension::Dynamic(None)])),
    ]
});

/// Decodes the body for the first six inputs of the model, and for each input alone. The fuzzer
/// finds one valid input sooner than six.
pub(crate) fn check(body: &[u8], json_length: Option<usize>) {
    let six = [&INPUTS[..6]];
    for specs in six.into_iter().chain(INPUTS.chunks(1)) {
        let Ok(inputs) = decode_request(body, json_length, specs, &INPUTS[..1], MEMORY) else {
            continue;
        };
        assert_eq!(inputs.len(), specs.len());
        for (input, spec) in inputs.iter().zip(specs) {
            let count: usize = input.shape().iter().product();
            assert_eq!(input.data().len(), count);
            assert_eq!(input.datatype(), spec.datatype);
            assert!(count <= MEMORY);
            if let TensorData::Bytes(values) = input.data() {
                assert!(values.iter().map(<[u8]>::len).sum::<usize>() <= MEMORY);
            }
            if let Some(shape) = &spec.shape {
                assert_eq!(shape.len(), input.shape().len());
                for (declared, found) in shape.iter().zip(input.shape()) {
                    assert!(!matches!(declared, Dimension::Fixed(size) if size != found));
                }
            }
        }
    }
}
