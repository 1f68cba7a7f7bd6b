//! The warm-up: the first run of a model without a probe, before it serves requests.

use std::iter::repeat_n;
use std::time::Duration;

use tokio::time::Instant;

use super::RuntimeError;
use crate::session::{RunError, Session, run};
use crate::tensor::{
    ByteStrings, DataType, Dimension, Fp16, Tensor, TensorData, TensorSpec, element_count,
};

/// The sizes that the warm-up tries for dynamic dimensions, in this order. A dynamic first
/// dimension, by convention the batch, always has size 1.
const SIZES: [usize; 4] = [1, 16, 128, 1024];

/// The maximum number of elements of a generated input. This maximum limits the memory of the
/// warm-up.
const MAX_ELEMENTS: usize = 64 << 20;

/// The maximum number of elements of a generated input with larger dynamic dimensions than
/// necessary.
// Without this limit, the warm-up would run an image model on 1024 by 1024 pixels, for seconds.
const MAX_ENLARGED_ELEMENTS: usize = 256 << 10;

/// Runs the model on generated inputs until one run succeeds. A run succeeds if its outputs have
/// the declared datatypes and ranks, and are finite where they must be. No run begins later than
/// `limit` after the first one.
///
/// The inputs of the first run are zeros, and all dynamic dimensions have size 1. A BYTES input
/// holds the text `0` instead. Returns `None` if
/// a run succeeds. Returns the first failure, as a sentence, if every run fails: a correct model
/// can refuse each generated input.
///
/// # Errors
///
/// When an input is too large. Also when no run succeeds, and a run gave an answer that does not
/// have the declared datatype or rank, or is not finite where it must be.
// A correct model can fail on zeros, for example when it computes the mean of an empty mask. It can
// fail on size 1, for example when it needs a window of 7. So the warm-up also tries ones and
// larger sizes. A model that needs exactly 512 samples refuses all of them, and answers requests.
//
// A panic is no verdict either: the server catches the panics of requests, too. The datatype and
// the rank of an output hardly depend on the input, and with a wrong one no request is answered.
// An answer of NaN is a verdict, because damaged weights give it for each input. It must not
// replace a version that answers. A probe, or the manifest's declaration, admits a good model.
pub(crate) fn warm_up(
    session: &dyn Session,
    limit: Duration,
    on_step: &dyn Fn(&str),
) -> Result<Option<String>, RuntimeError> {
    let start = Instant::now();
    let (mut first, mut unfit) = (None, None);
    let mut runs = 0;
    'sizes: for (&size, is_first) in sizes(session).iter().zip([true, false, false, false]) {
        for fill in [0, 1] {
            let inputs = match generate_all(session, size, fill, is_first) {
                Err(error) if is_first => return Err(error),
                Err(_) => continue 'sizes,
                Ok(inputs) => inputs,
            };
            if runs > 0 && start.elapsed() >= limit {
                break 'sizes;
            }
            runs += 1;
            on_step(&format!(
                "generated input {runs}, size {size}, filled with {fill}"
            ));
            match run(session, inputs) {
                Ok(_) => return Ok(None),
                Err(
                    error @ (RunError::UnexpectedOutput { .. }
                    | RunError::UnexpectedRank { .. }
                    | RunError::NotFinite { .. }),
                ) => unfit = unfit.or(Some(error)),
                Err(error) => first = first.or(Some(error)),
            }
        }
    }
    if let Some(error) = unfit {
        return Err(RuntimeError::WarmUp(error));
    }
    let first = first.unwrap_or_else(|| RunError::Failed("no input was tried".to_owned()));
    Ok(Some(format!(
        "the model refused {runs} generated input(s): {first}"
    )))
}

/// The sizes to try for dynamic dimensions: only one if no dimension is dynamic.
fn sizes(session: &dyn Session) -> &'static [usize] {
    let is_dynamic = |spec: &TensorSpec| match &spec.shape {
        Some(shape) => shape
            .iter()
            .any(|dimension| matches!(dimension, Dimension::Dynamic(_))),
        None => true,
    };
    match session.inputs().iter().any(is_dynamic) {
        true => &SIZES,
        false => &SIZES[..1],
    }
}

fn generate_all(
    session: &dyn Session,
    size: usize,
    fill: u8,
    is_first: bool,
) -> Result<Vec<Tensor>, RuntimeError> {
    let most = if is_first {
        MAX_ELEMENTS
    } else {
        MAX_ENLARGED_ELEMENTS
    };
    session
        .inputs()
        .iter()
        .map(|spec| generate(spec, size, fill, most))
        .collect()
}

fn generate(spec: &TensorSpec, size: usize, fill: u8, most: usize) -> Result<Tensor, RuntimeError> {
    let sized = |(position, dimension): (usize, &Dimension)| match dimension {
        Dimension::Fixed(fixed) => *fixed,
        Dimension::Dynamic(_) if position == 0 => 1,
        Dimension::Dynamic(_) => size,
    };
    let shape: Vec<usize> = match &spec.shape {
        Some(shape) => shape.iter().enumerate().map(sized).collect(),
        None => vec![1],
    };
    let unservable = || RuntimeError::Unservable {
        tensor: spec.name.clone(),
        why: format!("expected at most {most} elements, found the shape {shape:?}"),
    };
    let count = element_count(&shape)
        .filter(|&count| count <= most)
        .ok_or_else(unservable)?;
    let data = match spec.datatype {
        DataType::Bool => TensorData::Bool(vec![fill != 0; count]),
        DataType::Uint8 => TensorData::Uint8(vec![fill; count]),
        DataType::Uint16 => TensorData::Uint16(vec![fill.into(); count]),
        DataType::Uint32 => TensorData::Uint32(vec![fill.into(); count]),
        DataType::Uint64 => TensorData::Uint64(vec![fill.into(); count]),
        DataType::Int8 => TensorData::Int8(vec![fill.cast_signed(); count]),
        DataType::Int16 => TensorData::Int16(vec![fill.into(); count]),
        DataType::Int32 => TensorData::Int32(vec![fill.into(); count]),
        DataType::Int64 => TensorData::Int64(vec![fill.into(); count]),
        DataType::Fp16 => TensorData::Fp16(vec![Fp16::from_f32(fill.into()); count]),
        DataType::Fp32 => TensorData::Fp32(vec![fill.into(); count]),
        DataType::Fp64 => TensorData::Fp64(vec![fill.into(); count]),
        DataType::Bytes => {
            let mut texts = ByteStrings::with_capacity(count, count);
            texts.extend(repeat_n(fill.to_string(), count));
            TensorData::Bytes(texts)
        }
    };
    Tensor::new(shape.clone(), data).ok_or_else(unservable)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A session that fails, and records the shape of the input of each run.
    struct Refusing(Vec<TensorSpec>, Mutex<Vec<Vec<usize>>>, fn() -> RunError);

    impl Refusing {
        fn new(shape: &[Dimension], error: fn() -> RunError) -> Self {
            let input = TensorSpec::new("x", DataType::Fp32, Some(shape.to_vec()));
            Self(vec![input], Mutex::default(), error)
        }

        fn shapes(self) -> Vec<Vec<usize>> {
            self.1.into_inner().unwrap()
        }
    }

    impl Session for Refusing {
        fn inputs(&self) -> &[TensorSpec] {
            &self.0
        }

        fn outputs(&self) -> &[TensorSpec] {
            &[]
        }

        fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
            self.1.lock().unwrap().push(inputs[0].shape().to_vec());
            Err((self.2)())
        }
    }

    fn failed() -> RunError {
        RunError::Failed("why".to_owned())
    }

    const OPEN: Dimension = Dimension::Dynamic(None);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn warm_up_of_a_refusing_model_is_no_verdict() {
        let session = Refusing::new(&[OPEN, OPEN], failed);
        let why = warm_up(&session, HOUR, &|_| {}).unwrap().unwrap();
        assert_eq!(
            why,
            "the model refused 8 generated input(s): the model failed: why"
        );
        let sizes: Vec<usize> = session.shapes().iter().map(|shape| shape[1]).collect();
        assert_eq!(sizes, [1, 1, 16, 16, 128, 128, 1024, 1024]);
    }

    /// An image of 1024 by 1024 pixels would take seconds. A larger input does not fit at all.
    #[test]
    fn warm_up_enlarges_no_input_beyond_its_limit() {
        let session = Refusing::new(&[OPEN, Dimension::Fixed(3), OPEN, OPEN], failed);
        assert!(warm_up(&session, HOUR, &|_| {}).unwrap().is_some());
        assert_eq!(session.shapes().last().unwrap(), &[1, 3, 128, 128]);
        let session = Refusing::new(&[Dimension::Fixed(MAX_ELEMENTS), OPEN], failed);
        assert!(warm_up(&session, HOUR, &|_| {}).unwrap().is_some());
        assert_eq!(session.shapes().len(), 2);
        let session = Refusing::new(&[Dimension::Fixed(MAX_ELEMENTS + 1)], failed);
        let error = warm_up(&session, HOUR, &|_| {}).unwrap_err();
        assert!(matches!(error, RuntimeError::Unservable { .. }), "{error}");
    }

    #[test]
    fn generated_inputs_have_every_datatype() {
        for &datatype in DataType::ALL {
            let spec = TensorSpec::new("x", datatype, Some(vec![OPEN, OPEN]));
            for fill in [0, 1] {
                let tensor = generate(&spec, 16, fill, MAX_ELEMENTS).unwrap();
                assert_eq!(
                    (tensor.datatype(), tensor.shape()),
                    (datatype, &[1, 16][..])
                );
                match tensor.data() {
                    TensorData::Bytes(texts) => assert!(texts.iter().all(|t| t == [b'0' + fill])),
                    TensorData::Fp16(values) => assert_eq!(values[15].to_f32(), f32::from(fill)),
                    TensorData::Fp64(values) => assert_eq!(values[15], f64::from(fill)),
                    TensorData::Uint64(values) => assert_eq!(values[15], u64::from(fill)),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn warm_up_begins_no_run_after_its_time() {
        let session = Refusing::new(&[OPEN, OPEN], failed);
        let why = warm_up(&session, Duration::ZERO, &|_| {}).unwrap().unwrap();
        assert!(why.contains("refused 1 generated"), "{why}");
        assert_eq!(session.shapes().len(), 1);
    }

    #[test]
    fn warm_up_refuses_a_misdeclared_output() {
        let rank = || RunError::UnexpectedRank {
            output: "y".to_owned(),
            expected: 2,
            found: 3,
        };
        let session = Refusing::new(&[OPEN], rank);
        let error = warm_up(&session, HOUR, &|_| {}).unwrap_err().to_string();
        assert_eq!(
            error,
            "the warm-up failed: output y: expected 2 dimensions, found 3 dimensions: to override \
             the declaration, publish with --output-rank y=3"
        );
    }
}
